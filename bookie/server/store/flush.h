// A flush: the frozen half of the write cache, and every changed ledger record, go to disk.
//
//   OPEN ── FILL ── WRITE ──┐      FILL gathers extents until a chunk is full; a file that is full
//     ^      ^        │     │      ends there, and another one is opened.
//     │      └─pause──┘     │
//     └──────────────── SYNC ── NAME ── TURN ── RECORDS ── EXTENTS ── INDEX ── SETTLE ── CLEAR
//
//   OPEN     [worker] opens or creates the file of a directory that is not full
//   FILL     [worker] encodes extents into the chunk
//   WRITE    the chunk, around the page cache; then a pause as long as the write took, unless
//            somebody waits, so that the disk has time for others
//   SYNC     the file; NAME [worker] its directory, when it is new
//   TURN     waits until nobody else changes the index
//   RECORDS  changed ledgers into the batch, some in each turn of the loop
//   EXTENTS  [worker] extents and files into the batch, without those of ledgers that were deleted
//   INDEX    the batch, durable: from now on the flush has happened
//   SETTLE   the tables in memory follow, some ledgers in each turn of the loop
//   CLEAR    [worker] frees the frozen half
//
// No space anywhere before INDEX: UNDO [worker] gives back what was written, and it begins again in
// another directory, or later. Any other failure is final (bookie_store_fail): what was put is in
// the journal.
#ifndef GEMINGA_BOOKIE_SERVER_STORE_FLUSH_H
#define GEMINGA_BOOKIE_SERVER_STORE_FLUSH_H

#include "bookie/server/store/index.h"
#include "bookie/server/store/ledger_file.h"
#include "bookie/server/store/write_cache.h"

enum bookie_flush_step {
    BOOKIE_FLUSH_IDLE,
    BOOKIE_FLUSH_OPEN,
    BOOKIE_FLUSH_FILL,
    BOOKIE_FLUSH_WRITE,
    BOOKIE_FLUSH_SYNC,
    BOOKIE_FLUSH_NAME,
    BOOKIE_FLUSH_UNDO,
    BOOKIE_FLUSH_WAIT,
    BOOKIE_FLUSH_TURN,
    BOOKIE_FLUSH_RECORDS,
    BOOKIE_FLUSH_EXTENTS,
    BOOKIE_FLUSH_INDEX,
    BOOKIE_FLUSH_SETTLE,
    BOOKIE_FLUSH_CLEAR
};

// A file that the flush wrote to.
struct bookie_flush_file {
    uint64_t id;
    unsigned dir;
    uint64_t size_before, size;  // before 0: it is new
    uint64_t live_before, live_added;
};

// To change the index, see store_internal.h.
struct bookie_turn {
    struct rt_list link;
    void (*run)(struct bookie_turn *turn);  // maybe at once
};

struct bookie_filling {
    struct bookie_cache_half *half;
    size_t ledger;  // place of the one that is being encoded
    bool in_ledger;
    struct bookie_cache_cursor cursor;
    const struct bookie_cached_entry *next;  // read from the cursor and not used yet
    struct bookie_extent_item *items;
    size_t item_count, item_capacity;
    struct rt_buf scratch;
    struct bookie_location placed;  // of the extent in the appender
    bool has_extent;                // it waits for its place
    bool file_is_full, has_ended;
};

struct bookie_flush {
    struct bookie_store *store;
    enum bookie_flush_step step;
    bool is_now;  // blocking
    unsigned dir;
    uint64_t generation;
    struct bookie_appender appender;
    struct bookie_filling filling;
    struct rt_buf locations;  // of struct bookie_location
    struct bookie_flush_file *files;
    unsigned file_count, file_capacity;
    bool has_file, file_is_new;
    struct bookie_mark marks[BOOKIE_JOURNALS_MAX];
    struct rt_kv_batch *batch;
    struct rt_buf record;    // scratch
    struct rt_list *cursor;  // among the ledgers, in RECORDS
    struct bookie_cache_half garbage;
    struct rt_list ops;
    uint64_t started_ns, write_started_ns;
    struct rt_disk_space *spaces;  // of each directory
    rt_err err;

    struct rt_work work;
    struct rt_task task;
    struct rt_file_op file_op;
    struct rt_bytes part;
    struct rt_kv_op kv_op;
    struct rt_timer pause;
    struct bookie_turn turn;
};

// FILLING (flush_fill.c)
void bookie_flush_fill_begin(struct bookie_flush *flush, struct bookie_cache_half *half);
void bookie_flush_fill(struct bookie_flush *flush);  // on a worker: until the chunk must be written

// COMMITTING (flush_commit.c)
void bookie_flush_records_begin(struct bookie_flush *flush);
bool bookie_flush_records(struct bookie_flush *flush);  // false: there is more to do
void bookie_flush_extents(struct bookie_flush *flush);  // on a worker
void bookie_flush_indexed(struct bookie_flush *flush);
bool bookie_flush_settle(struct bookie_flush *flush);  // false: there is more to do

#endif
