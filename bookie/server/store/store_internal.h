// The parts of the store: open.c, store.c (puts, closing), ledgers.c, flush*.c, reads.c, loads.c,
// entries.c, delete.c, dirs.c. Everything here belongs to the store's loop; what a worker touches
// is named beside it.
//
// ORDER. The index is changed by one at a time: a flush, a deletion, a compaction. Whoever wants to
// takes the turn (bookie_turn) first and gives it back when its batch is on disk and the tables in
// memory say the same. Ledgers are thus deleted before or behind the commit of a flush, never in
// the middle of it, and its worker may look at which ones were dropped.
#ifndef GEMINGA_BOOKIE_SERVER_STORE_STORE_INTERNAL_H
#define GEMINGA_BOOKIE_SERVER_STORE_STORE_INTERNAL_H

#include "bookie/server/store/files.h"
#include "bookie/server/store/flush.h"
#include "bookie/server/store/read_cache.h"
#include "bookie/server/store/store.h"
#include "bookie/server/store/write_cache.h"
#include "runtime/log.h"

enum {
    BOOKIE_CLEAN_LEDGERS_MAX = 16384,  // kept without a holder
    BOOKIE_DIRTY_LEDGERS_MAX = 32768,  // then a flush begins
    BOOKIE_READS_MAX = 8192,
    BOOKIE_DAMAGE_MAX = 64
};

struct bookie_dir {
    char *path;  // DIRECTORY/current
    char *given;
    // The file that flushes append to. NULL with a size: to be opened again.
    struct rt_file *file;
    uint64_t file_id, file_size;  // size 0: none
    bool is_full, has_failed, has_no_space;
    uint64_t no_space_ns;  // since when
    struct rt_disk_space space;
};

struct bookie_ledgers {
    struct bookie_ledger **buckets;
    size_t bucket_count, count;
    struct rt_list clean;  // nobody holds them: longest unused first
    size_t clean_count;
    struct rt_list dirty, flushing;
    size_t dirty_count;
    uint8_t round;
    struct rt_list loads;  // struct ledger_load
    struct rt_list ready;  // struct bookie_ledger_op whose ledgers are in memory and held
    struct rt_task ready_task;
};

struct bookie_damaged {
    uint64_t file, offset;
};

struct bookie_reading {
    struct rt_list groups;     // struct bookie_reads
    struct rt_list queued;     // struct bookie_load that wait for memory
    struct rt_list completed;  // struct bookie_read_op to be answered
    struct rt_task completed_task;
    unsigned count;     // reads that were not answered yet
    unsigned jobs;      // lookups and loads on workers
    size_t load_bytes;  // charged for loads under way
    size_t load_bytes_max;
    struct bookie_damaged damaged[BOOKIE_DAMAGE_MAX];
    unsigned damaged_count;
};

struct bookie_deleting {
    struct rt_list waiting;  // bookie_ledger_delete_op.acquire.link
    struct bookie_deletion *running;
};

struct bookie_compacting {
    struct bookie_compaction *running;
    struct bookie_verification *verifying;
    // The file that compactions append to; size 0: none.
    uint64_t out_id, out_size;
    unsigned out_dir;
};

struct bookie_store {
    struct rt_machine *machine;
    struct rt_loop *loop;
    struct bookie_store_events *events;
    struct bookie_dir *dirs;
    unsigned dir_count, dir_next;
    unsigned journal_count;
    uint64_t file_bytes_max, flush_ms;
    size_t extent_bytes;
    bool compress;

    struct rt_kv *kv;
    struct bookie_state state;  // as committed, but next_file, which runs ahead
    struct bookie_files files;
    struct rt_list doomed;  // files that are to be removed
    unsigned scans;         // workers that open files on their own: nothing is removed meanwhile
    unsigned closings;      // handles and files on their way out

    struct bookie_ledgers ledgers;
    struct rt_budget write_budget, read_budget;
    struct bookie_cache_half halves[2];
    unsigned active;  // the other one is empty, or frozen
    struct bookie_read_cache read_cache;
    struct bookie_reading reading;
    struct bookie_flush flush;
    struct bookie_deleting deleting;
    struct bookie_compacting compacting;
    struct rt_list turns;  // who waits
    bool turn_taken;

    struct rt_task started;
    bool is_booting;           // no turn of the loop has begun since it was opened
    bool wants_room;           // a put was refused
    rt_err failure;            // of writing: final
    struct rt_list flush_ops;  // for the next flush
    struct rt_task flush_task;
    bool flush_asked;
    struct rt_timer flush_timer;

    struct rt_task *closed;  // not NULL: closing
    bool has_flushed_last;
    struct rt_work close_work;
    struct bookie_store_stats stats;
};

// STORE (store.c)
void bookie_store_fail(struct bookie_store *store, rt_err err, const char *what);
void bookie_store_maybe_close(struct bookie_store *store);
void bookie_turn_take(struct bookie_store *store, struct bookie_turn *turn);
void bookie_turn_give(struct bookie_store *store);
// A copy where the memory would otherwise stay pinned for long; else counted.
struct rt_slice bookie_store_slice(struct bookie_store *store, struct rt_slab *slab,
                                   struct rt_bytes body);
struct bookie_cache_half *bookie_store_active(struct bookie_store *store);
struct bookie_cache_half *bookie_store_frozen(struct bookie_store *store);  // may be empty
void bookie_store_free(struct bookie_store *store);

// LEDGERS (ledgers.c)
void bookie_ledgers_init(struct bookie_store *store);
void bookie_ledgers_fini(struct bookie_store *store);
struct bookie_ledger *bookie_ledgers_find(const struct bookie_store *store, int64_t id);
// Dirty ones become those of a flush.
void bookie_ledgers_turn(struct bookie_store *store);
void bookie_ledger_flushed(struct bookie_store *store, struct bookie_ledger *ledger);
bool bookie_ledgers_are_loading(const struct bookie_store *store);

// FLUSHING (flush.c)
void bookie_flush_init(struct bookie_store *store);
void bookie_flush_fini(struct bookie_store *store);
bool bookie_flush_is_under_way(const struct bookie_store *store);
void bookie_flush_start(struct bookie_store *store);
void bookie_flush_soon(struct bookie_store *store);   // in a turn to come
void bookie_flush_retry(struct bookie_store *store);  // there may be space again
bool bookie_flush_waits_for_space(const struct bookie_store *store);

// READING (reads.c, loads.c)
void bookie_reading_init(struct bookie_store *store, size_t read_cache_bytes);
bool bookie_reading_is_quiet(const struct bookie_store *store);
// What is under way for the ledger must not be trusted: the index changed under it.
void bookie_reads_outdate(struct bookie_store *store, struct bookie_ledger *ledger);

// DELETING (delete.c)
void bookie_deleting_init(struct bookie_store *store);
bool bookie_deleting_is_quiet(const struct bookie_store *store);

// COMPACTING (compaction.c, verify.c)
// Pauses end at once: the store closes.
void bookie_compaction_hurry(struct bookie_store *store);
void bookie_verification_hurry(struct bookie_store *store);
bool bookie_compaction_is_quiet(const struct bookie_store *store);

// FILES (dirs.c)
// The directory for the next flush, or -1: all are full.
int bookie_dirs_pick(struct bookie_store *store);
void bookie_handle_close_later(struct bookie_store *store, struct rt_file *handle);
void bookie_files_remove_doomed(struct bookie_store *store);

#endif
