// The inside of the journal: what its files share. Private to bookie/server/journal/.
//
// Records are gathered in batches at the place where they will be written (writer.c); one file
// operation is under way at a time. Segments are made ahead and put away by a worker (upkeep.c),
// one job at a time. recover_scan.c and recover.c judge what is there, begin.c makes the segment
// that is written next.
#ifndef GEMINGA_BOOKIE_SERVER_JOURNAL_JOURNAL_INTERNAL_H
#define GEMINGA_BOOKIE_SERVER_JOURNAL_JOURNAL_INTERNAL_H

#include <assert.h>

#include "bookie/server/journal/format.h"
#include "runtime/work.h"

enum {
    JOURNAL_SEGMENT_BYTES_MIN = 16 << 10,
    JOURNAL_FIRST_BYTES = 1 << 20,   // of a segment that is made while somebody waits
    JOURNAL_UNSYNCED_MAX = 4 << 20,  // then deferred records are synced all the same
    JOURNAL_IDLE_MAX = 2,            // batches kept with their memory
    JOURNAL_SPARE_MAX = 64
};

struct journal_segment {
    struct rt_list link;
    struct journal_header header;
    uint32_t seed;
    char *path;
    struct rt_file *file;  // open for writing, or NULL
    uint64_t size;         // of the file
    uint64_t end;          // behind the last batch
    bool is_kept;          // when it is put away: as a spare
};

struct journal_ops {
    struct bookie_journal_op *first, *last;
};

// Without records it carries operations that wait for a sync.
struct journal_batch {
    struct rt_list link;
    uint8_t *memory;  // aligned; the header's place is left free; NULL: no record came yet
    size_t capacity;
    size_t size;  // with the header; 0 without memory
    uint32_t count, body_crc;
    bool has_plain;  // a record that is not deferred
    bool is_forced;
    bool is_last;  // of a journal that closes: says what is durable
    struct journal_ops ops;
};

enum journal_state { JOURNAL_IDLE, JOURNAL_WRITING, JOURNAL_SYNCING };

struct journal_upkeep {
    struct rt_work work;
    bool is_busy;
    struct rt_list retired;  // given to the job
    struct rt_file *closes;  // the last tail's, or NULL
    struct journal_segment *prepare;
    bool is_awaited;                    // somebody waited for it when the job began
    char *spare;                        // a file to use again, or NULL; the job's
    char *put_away[JOURNAL_SPARE_MAX];  // new spares; the job's
    unsigned put_away_count;
    rt_err err;
    struct rt_why why;
};

struct bookie_journal {
    struct rt_machine *machine;
    struct rt_loop *loop;
    char *directory;
    uint64_t owner;
    size_t segment_bytes, queue_bytes_max, batch_bytes;
    unsigned spare_max;
    bool sync, planted_no_sync;
    struct bookie_journal_events *events;
    struct rt_dir_lock *lock;

    struct rt_list segments;  // oldest first; the last is the tail, which is written
    struct journal_segment *tail;
    struct journal_segment *next;  // made ahead, or NULL
    struct rt_list retired;        // not yet given to a job
    struct rt_file *old_file;      // of the segment that was the tail before, to be closed
    char *spares[JOURNAL_SPARE_MAX];
    unsigned spare_count;
    uint64_t number_last;  // of all segments there ever were
    size_t segment_count;

    struct bookie_mark from;     // where replay begins
    struct bookie_mark reached;  // by replay
    bool is_replayed;
    struct bookie_mark released;
    struct bookie_mark written;  // the end of the last batch
    struct bookie_mark durable;
    uint64_t unsynced_bytes;

    struct rt_list queue;  // batches, the last one is open
    size_t queue_bytes, queue_memory;
    struct journal_batch *writing;
    struct journal_batch *idle[JOURNAL_IDLE_MAX];
    unsigned idle_count;
    enum journal_state state;
    bool syncs;  // the write under way is durable when it ends
    struct rt_file_op op;
    struct rt_bytes part;
    uint64_t begun_ns;
    struct rt_flush flush;
    struct rt_timer sync_timer;   // for records that nobody waits for
    struct rt_timer retry_timer;  // of a segment that could not be made
    bool is_full;                 // RT_EBUSY was said, `drained` not yet

    struct journal_upkeep upkeep;
    struct rt_task begin;  // the first job
    bool is_beginning;
    struct bookie_journal_stats stats;
    bool failed, is_closing, is_ended;
    struct rt_task *closed;
    struct rt_work close_work;
};

// journal.c
void bookie_journal_fail(struct bookie_journal *journal, rt_err err, const char *what);  // once
void bookie_journal_maybe_close(struct bookie_journal *journal);

// segments.c; the blocking ones at start-up or on the worker
struct journal_segment *bookie_journal_segment_new(const struct bookie_journal *journal,
                                                   const struct journal_header *header);
void bookie_journal_segment_free(struct journal_segment *segment);
struct journal_segment *bookie_journal_segment_at(struct rt_list *link);
// The next number, a new salt.
struct journal_segment *bookie_journal_segment_next(struct bookie_journal *journal,
                                                    struct bookie_mark follows);
char *bookie_journal_path(const struct bookie_journal *journal, const char *name);
// Opens the file under its working name, from `spare` (taken) or new, with `size` bytes allocated
// and the header written; `commit` makes all of it durable and gives it its name.
RT_CHECK
rt_err bookie_journal_segment_make_now(struct bookie_journal *journal,
                                       struct journal_segment *segment, char **spare,
                                       struct rt_why *why);
RT_CHECK
rt_err bookie_journal_segment_commit_now(struct bookie_journal *journal,
                                         struct journal_segment *segment, struct rt_why *why);
// Renames it to a spare, whose path is given, or removes it (NULL).
char *bookie_journal_segment_put_away_now(struct bookie_journal *journal,
                                          const struct journal_segment *segment);

// upkeep.c
void bookie_journal_upkeep_start(struct bookie_journal *journal);  // if there is something to do
void bookie_journal_segment_retire(struct bookie_journal *journal, struct journal_segment *segment);
void bookie_journal_retry_fire(struct rt_timer *timer);

// writer.c
RT_CHECK
rt_err bookie_journal_gather(struct bookie_journal *journal, struct bookie_journal_op *op,
                             const struct rt_bytes *parts, unsigned part_count, bool is_deferred);
struct journal_batch *bookie_journal_open_batch(struct bookie_journal *journal);
void bookie_journal_last_batch(struct bookie_journal *journal);  // of one that closes
void bookie_journal_op_add(struct journal_batch *batch, struct bookie_journal_op *op);
void bookie_journal_flush(struct rt_flush *flush);
void bookie_journal_sync_fire(struct rt_timer *timer);
void bookie_journal_queue_fail(struct bookie_journal *journal);
void bookie_journal_batch_free(struct journal_batch *batch);
bool bookie_journal_is_waiting(const struct bookie_journal *journal);  // for a segment

// begin.c
RT_CHECK
rt_err bookie_journal_recover_now(struct bookie_journal *journal, struct rt_why *why);

#endif
