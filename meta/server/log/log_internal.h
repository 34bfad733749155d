// The inside of the log: what its files share. Private to meta/server/log/.
//
// Entries are encoded for the tail segment when they are given (batch.c) and written one batch at a
// time. Segments are made and put away by a worker (upkeep.c), one job at a time. recover.c reads
// what is there, loader.c reads for the core.
#ifndef GEMINGA_META_SERVER_LOG_LOG_INTERNAL_H
#define GEMINGA_META_SERVER_LOG_LOG_INTERNAL_H

#include <assert.h>

#include "meta/server/log/hard_state.h"
#include "meta/server/log/log.h"
#include "meta/server/log/segment_reader.h"
#include "runtime/work.h"

enum {
    META_LOG_REFS_MAX = 30,  // bodies written from where they are: two parts each
    META_LOG_FIRST_SEGMENT_BYTES = 256 << 10,
    META_LOG_SPARES_MAX = 8  // what a snapshot makes needless, under load
};

struct meta_log_mark {
    uint64_t index, offset;  // a batch that begins with this entry
};

struct meta_log_segment {
    struct rt_list link;  // in segments, prepared or retired
    struct meta_segment_header header;
    uint32_t seed;
    char *path;
    struct rt_file *file;  // open for writing, or NULL
    bool ready;            // made: may be written
    uint64_t size;         // of the file
    uint64_t encoded_end;  // where the next batch goes
    uint64_t end;          // behind what is durable
    uint64_t last;         // the last durable entry, base.index: none
    unsigned loads;        // under way
    struct meta_log_mark *marks;
    size_t mark_count, mark_capacity;
};

struct meta_log_ref {
    size_t at;  // in the batch's bytes: this body comes before them
    struct rt_bytes body;
};

struct meta_log_batch {
    struct rt_list link;
    struct meta_log_segment *segment;
    bool has_header;
    uint64_t offset;      // of the first byte to write
    size_t size;          // of the batch, its header included, the padding not
    struct rt_buf bytes;  // all but the bodies in refs
    struct meta_log_ref refs[META_LOG_REFS_MAX];
    unsigned ref_count;
    struct raft_payload *held[META_LOG_REFS_MAX];
    uint32_t count;
    uint64_t first, chain;
    struct raft_position last;
    uint64_t version;  // of the last write that ends here, or 0
};

struct meta_log_term {
    uint64_t index, term;  // entries from index on
};

struct meta_log_hard {
    struct rt_file *file;
    struct meta_hard_slot slot;  // of the latest write
    struct raft_hard_state wanted;
    uint64_t version_writing, version_written;
    bool is_wanted, is_writing;
    struct rt_file_op op;
    uint8_t *bytes;
    struct rt_bytes part;
};

struct meta_log_upkeep {
    struct rt_work work;
    bool is_busy;
    struct rt_list retired;  // given to the job
    struct rt_file **files;  // to close
    size_t file_count;
    struct meta_log_segment *prepare;   // or NULL
    char *spares[META_LOG_SPARES_MAX];  // paths of files to use again; the job's
    unsigned spare_count;
    bool has_failed;  // the last try: the next is made when the segment is needed
    rt_err err;
    struct rt_why why;
};

// Entries copied out of a segment, with the payload that keeps them.
struct meta_log_block {
    struct raft_payload payload;
    struct rt_buf bytes;
    struct raft_entry *entries;
    size_t count, capacity;
};

struct meta_log {
    struct rt_machine *machine;
    struct rt_loop *loop;
    char *directory;
    uint64_t cluster, node;
    size_t segment_bytes;
    bool sync, is_alone;
    struct meta_log_events *events;
    struct rt_dir_lock *lock;

    struct rt_list segments;           // oldest first
    struct meta_log_segment *tail;     // entries are encoded for it
    struct meta_log_segment *written;  // holds the last durable batch
    struct rt_list prepared;           // the next tails, in order; not all ready
    struct rt_list retired;            // not yet given to a job
    uint64_t number_last;              // of all segments there ever were
    uint64_t released;

    struct raft_position base, last, durable, claimed;
    uint64_t chain;  // of last
    struct meta_log_term *terms;
    size_t term_count, term_capacity;

    struct rt_list queue;            // batches
    struct meta_log_batch *writing;  // or NULL
    struct meta_log_batch *idle;     // one is kept with its memory
    struct rt_file_op op;
    struct rt_bytes parts[RT_FILE_PARTS_MAX];
    struct rt_flush flush;
    uint64_t write_begun_ns;

    struct meta_log_hard hard;
    struct rt_timer claim_timer;
    struct meta_log_upkeep upkeep;
    unsigned loads;  // under way
    struct meta_log_stats stats;
    bool is_blocking;  // start-up: nothing runs by itself
    bool failed, is_closing, is_ended;
    struct rt_task *closed;
    struct rt_work close_work;
};

// log.c
void meta_log_free(struct meta_log *log);
void meta_log_files_close_now(struct meta_log *log);
void meta_log_fail(struct meta_log *log, rt_err err, const char *what);  // once
void meta_log_maybe_close(struct meta_log *log);
uint64_t meta_log_term_at(const struct meta_log *log, uint64_t index);
void meta_log_term_push(struct meta_log *log, struct raft_position at);
void meta_log_term_cut(struct meta_log *log, uint64_t index);  // entries behind it are gone
void meta_log_term_release(struct meta_log *log, uint64_t index);

// log_segments.c
struct meta_log_segment *meta_log_segment_new(struct meta_log *log, uint64_t number, uint64_t salt);
void meta_log_segment_free(struct meta_log_segment *segment);
struct meta_log_segment *meta_log_segment_at(struct rt_list *link);
void meta_log_segment_mark(struct meta_log_segment *segment, uint64_t index, uint64_t offset);
uint64_t meta_log_segment_mark_before(const struct meta_log_segment *segment, uint64_t index);
// Another segment becomes the tail. It gets `base` and follows what was before as `kind` says.
void meta_log_segment_next(struct meta_log *log, enum meta_segment_kind kind,
                           struct raft_position base);
// Its header is durable: what it says of those before it is carried out.
void meta_log_segment_begun(struct meta_log *log, struct meta_log_segment *segment);
void meta_log_segments_release(struct meta_log *log);

// upkeep.c
void meta_log_upkeep_start(struct meta_log *log);  // if there is something to do
RT_CHECK
rt_err meta_log_prepare_now(struct meta_log *log, struct meta_log_segment *segment,
                            struct rt_why *why);
void meta_log_put_away_now(struct meta_log *log, struct meta_log_segment *segment);

// batch.c
void meta_log_batch_begin(struct meta_log *log, struct meta_log_segment *segment, bool has_header);
void meta_log_batch_add(struct meta_log *log, const struct raft_entry *entry);
void meta_log_batch_version(struct meta_log *log, uint64_t version);
void meta_log_batch_flush(struct rt_flush *flush);
RT_CHECK
rt_err meta_log_batches_write_now(struct meta_log *log);
void meta_log_batch_free(struct meta_log_batch *batch);

// hard.c
void meta_log_hard_write(struct meta_log *log);  // if none is under way
bool meta_log_hard_is_settled(const struct meta_log *log);
void meta_log_claim_fire(struct rt_timer *timer);
void meta_log_claim_later(struct meta_log *log);
RT_CHECK
rt_err meta_log_hard_write_now(struct meta_log *log, uint64_t segment,
                               struct raft_position durable);

// recover.c
RT_CHECK
rt_err meta_log_recover_now(struct meta_log *log, struct rt_why *why);

// block.c
struct meta_log_block *meta_log_block_new(void);  // with one reference
void meta_log_block_add(struct meta_log_block *block, const struct raft_entry *entry);
void meta_log_block_place(struct meta_log_block *block);  // nothing is added afterwards

#endif
