// Where entries live: a write cache in memory, ledger files of extents on disk, and an index in the
// key-value store. Also the table of ledgers: what must be known of each besides its entries.
//
// An entry that was put is readable at once. A flush turns the cache around, sorts what it holds by
// ledger and entry, appends it to ledger files as extents (one ledger, ascending entries, one
// checksum, LZ4 where that shrinks it), syncs them, and writes one durable index batch: a record
// for each extent, every changed ledger record, and the journal marks that the flush covers. The
// marks are thus never ahead of data, nor of fences and keys that came without data (BookKeeper
// sheet, traps 9 and 10).
//
// What is not in the write cache is read by a worker: index, then one extent, which goes whole into
// the read cache. Damage is an error (RT_ECORRUPT), never an absence: RT_ENOTFOUND is said only of
// what was never put (trap 4).
//
// Loop: the one it was opened on; workers for everything that may touch a disk. The formats are
// described in store/extent.h, store/ledger_file.h and store/index.h.
#ifndef GEMINGA_BOOKIE_SERVER_STORE_STORE_H
#define GEMINGA_BOOKIE_SERVER_STORE_STORE_H

#include "bookie/server/journal/journal.h"
#include "runtime/slab.h"
#include "runtime/work.h"

struct bookie_store;

enum { BOOKIE_DIRS_MAX = 64, BOOKIE_JOURNALS_MAX = 16, BOOKIE_KEY_MAX = 64 };

struct bookie_store_events {
    // The end of a journal. Asked when the cache is turned around: everything put, and every ledger
    // changed, before that moment is covered by it.
    struct bookie_mark (*journal_end)(struct bookie_store_events *events, unsigned journal);
    // A flush is durable up to these marks (one for each journal): release the journals. Not called
    // by bookie_store_flush_now: a later flush tells.
    void (*flushed)(struct bookie_store_events *events, const struct bookie_mark *marks,
                    unsigned count);
    // The write cache has room again after RT_EBUSY.
    void (*drained)(struct bookie_store_events *events);
    // A disk failed on writing: the bookie has to stop. What was acknowledged is in the journal.
    void (*failed)(struct bookie_store_events *events, rt_err err, const char *what);
};

struct bookie_store_options {
    const char *const *ledger_dirs;  // each gets current/ with ledger files
    unsigned ledger_dir_count;
    const char *index_dir;  // gets index/
    unsigned journal_count;
    size_t write_cache_bytes;  // [64 MiB] both halves
    size_t read_cache_bytes;   // [64 MiB]
    size_t index_cache_bytes;  // [32 MiB] of the key-value store
    size_t file_bytes_max;     // logSizeLimit [1 GiB]
    size_t extent_bytes;       // [64 KiB] of raw entries, unless one entry is larger
    bool compress;             // LZ4
    uint64_t flush_ms;         // flushInterval [60000]; 0: only when full or asked
    struct bookie_store_events *events;
};

RT_CHECK
rt_err bookie_store_open_now(struct rt_machine *machine, struct rt_loop *loop,
                             const struct bookie_store_options *options,
                             struct bookie_store **store, struct rt_why *why);
// The marks of the last flush: where replay begins.
struct bookie_mark bookie_store_mark(const struct bookie_store *store, unsigned journal);
void bookie_store_close(struct bookie_store *store, struct rt_task *closed);  // flushes first

// LEDGERS. A record is in memory from the moment it was acquired until it is released and clean.

struct bookie_ledger {
    int64_t id;
    bool exists;  // false: this bookie has never heard of it, or it was deleted
    bool fenced, limbo;
    uint8_t key_size;  // 0: not known yet (also stored keys of zeroes)
    uint8_t key[BOOKIE_KEY_MAX];
    int64_t last_entry;  // the highest id ever put; -1: none
    int64_t lac;         // the highest LAC inside any entry put since start, or explicit; -1
    struct rt_buf explicit_lac;  // opaque; empty: none
    void *user;                  // of the core
    // Private to the store from here.
    int64_t stored_last;  // of what is on disk
    uint32_t holds;
    uint32_t span_max;  // no extent of it spans more
    bool dirty;         // in the list of round `round`
    bool dirty_again;   // changed behind the flush that is under way
    uint8_t round;
    bool is_unstored;     // what the index says of it is being deleted: it does not count
    struct rt_list list;  // dirty ones, those of a flush, or clean ones that nobody holds
    struct bookie_ledger *hash_next;
    struct bookie_reads *reads;  // under way
};

struct bookie_ledger_op {
    struct rt_list link;  // private
    int64_t id;
    void (*done)(struct bookie_ledger_op *op, rt_err err, struct bookie_ledger *ledger);
};
// From memory, held, or NULL: then acquire. Never blocks.
struct bookie_ledger *bookie_ledger_try_acquire(struct bookie_store *store, int64_t id);
// Loads the record if it must; also of ledgers that do not exist (exists = false). RT_EIO,
// RT_ECORRUPT.
void bookie_ledger_acquire(struct bookie_store *store, struct bookie_ledger_op *op, int64_t id);
// The same, blocking: at start-up only.
RT_CHECK
rt_err bookie_ledger_acquire_now(struct bookie_store *store, int64_t id,
                                 struct bookie_ledger **ledger, struct rt_why *why);
void bookie_ledger_release(struct bookie_store *store, struct bookie_ledger *ledger);
// Its fields were changed: goes with the next flush.
void bookie_ledger_changed(struct bookie_store *store, struct bookie_ledger *ledger);

// Ids of all ledgers that exist, ascending from `from` on, on a worker (a snapshot: GC).
struct bookie_ledger_list_op {
    struct rt_work work;  // private
    struct bookie_store *store;
    int64_t from;
    size_t count_max;
    struct rt_buf ids;  // of int64_t; the caller's to free
    rt_err err;
    void (*done)(struct bookie_ledger_list_op *op, rt_err err);
};
void bookie_ledger_list(struct bookie_store *store, struct bookie_ledger_list_op *op);
// Forgets the ledger with all its entries; space comes back with compaction. Durable when done.
struct bookie_ledger_delete_op {
    struct bookie_ledger_op acquire;  // private
    struct rt_work work;              // private
    struct bookie_store *store;
    int64_t id;
    rt_err err;
    void (*done)(struct bookie_ledger_delete_op *op, rt_err err);
};
void bookie_ledger_delete(struct bookie_store *store, struct bookie_ledger_delete_op *op,
                          int64_t id);

// ENTRIES

// Copies the body into the write cache; updates last_entry and lac; the ledger is created by it.
// The same entry again replaces it. RT_EBUSY: the cache is full and a flush is under way: wait for
// `drained`; nothing was changed.
RT_CHECK
rt_err bookie_store_put(struct bookie_store *store, struct bookie_ledger *ledger, int64_t entry,
                        int64_t lac, struct rt_bytes body);
// From the caches; RT_EAGAIN: ask with bookie_store_read. The slice is counted and the caller's.
RT_CHECK
rt_err bookie_store_try_read(struct bookie_store *store, struct bookie_ledger *ledger,
                             int64_t entry, struct rt_slice *body);
struct bookie_read_op {
    struct rt_list link;           // private
    struct bookie_ledger *ledger;  // held by the caller until done
    int64_t entry;                 // -1: the last one
    unsigned ahead;                // so many entries behind it are likely to be asked for too
    int64_t found;                 // the entry's id
    struct rt_slice body;          // the caller's to drop
    void (*done)(struct bookie_read_op *op, rt_err err);
    struct bookie_reads *reads;  // private from here
    uint64_t before;             // looks for extents of earlier generations only
    rt_err err;
};
// RT_ENOTFOUND, RT_ECORRUPT, RT_EIO, RT_EBUSY (too many reads under way).
void bookie_store_read(struct bookie_store *store, struct bookie_read_op *op);
void bookie_store_read_cancel(struct bookie_store *store, struct bookie_read_op *op);  // no done
// Ids of the entries of a ledger, ascending (GET_LIST_OF_ENTRIES_OF_LEDGER). RT_ETOOBIG: over 2^25.
struct bookie_entries_op {
    struct rt_work work;  // private
    struct bookie_store *store;
    struct bookie_ledger *ledger;  // held by the caller until done
    struct rt_buf entries;         // of int64_t; the caller's to free
    rt_err err;
    void (*done)(struct bookie_entries_op *op, rt_err err);
};
void bookie_store_entries(struct bookie_store *store, struct bookie_entries_op *op);

// FLUSHING

struct bookie_flush_op {
    struct rt_list link;  // private
    void (*done)(struct bookie_flush_op *op, rt_err err);
};
// Done when everything that came before is on disk. Metadata is flushed also when the cache is
// empty.
void bookie_store_flush(struct bookie_store *store, struct bookie_flush_op *op);
// The same, blocking: for replay, where bookie_store_put said RT_EBUSY and no loop runs yet. Puts
// work again afterwards.
RT_CHECK
rt_err bookie_store_flush_now(struct bookie_store *store, struct rt_why *why);

// DIRECTORIES
struct bookie_dir_status {
    const char *path;
    uint64_t total_bytes, free_bytes;  // when it was opened, or flushed last
    uint64_t file_bytes, live_bytes;
    bool is_full, has_failed;  // as told; a full one gets no new ledger files
};
unsigned bookie_store_dirs(const struct bookie_store *store, struct bookie_dir_status *dirs,
                           unsigned count_max);
void bookie_store_dir_set_full(struct bookie_store *store, unsigned dir, bool is_full);

struct bookie_store_stats {
    uint64_t ledgers_in_memory, write_cache_bytes, write_cache_entries, read_cache_bytes;
    uint64_t puts, put_bytes, flushes, flushed_extents, flushed_bytes, index_records, index_bytes;
    uint64_t write_cache_hits, read_cache_hits, disk_reads, disk_read_bytes, corrupt_extents;
    uint64_t files, file_bytes, live_bytes, flush_ns_last, flush_ns_max;
};
struct bookie_store_stats bookie_store_stats(const struct bookie_store *store);

#endif
