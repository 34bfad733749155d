// One half of the write cache: entries by ledger, ascending, their bodies copied into segments.
//
// A half is charged for all it allocates, not only for bodies, and refuses what would take it over
// its limit; the one exception is an entry that is larger than an empty half. While it is flushed
// it is frozen: workers walk through it and the loop only looks things up, and remembers which
// ledgers were dropped.
#ifndef GEMINGA_BOOKIE_SERVER_STORE_WRITE_CACHE_H
#define GEMINGA_BOOKIE_SERVER_STORE_WRITE_CACHE_H

#include "runtime/slab.h"

struct bookie_cached_entry {
    int64_t entry;
    uint32_t segment, offset, size;
};

struct bookie_cached_run;

struct bookie_cached_ledger {
    int64_t id;
    struct bookie_cached_ledger *hash_next;
    size_t place;                     // in half->ledgers
    struct bookie_cached_run **runs;  // of ascending entries, none empty
    uint32_t run_count, run_capacity;
    uint64_t entry_count;
    bool is_dropped;    // of the loop, while frozen: its entries are not there any more
    uint32_t span_max;  // of the flush: of its extents
};

struct bookie_cache_half {
    struct rt_slab_pool *pool;
    struct rt_budget *budget;  // segments are charged to it too
    size_t limit_bytes, used_bytes, segment_bytes;
    struct rt_slab **segments;
    size_t segment_count, segment_capacity;
    size_t open_segment, open_used;  // of which the next body takes a piece
    struct bookie_cached_ledger **buckets;
    size_t bucket_count;
    struct bookie_cached_ledger **ledgers;  // in no order, until sorted
    size_t ledger_count, ledger_capacity;
    uint64_t entry_count, body_bytes;
    bool is_frozen;
};

void bookie_cache_init(struct bookie_cache_half *half, struct rt_slab_pool *pool,
                       struct rt_budget *budget, size_t limit_bytes);
void bookie_cache_clear(struct bookie_cache_half *half);  // and thaws; gives all memory back
bool bookie_cache_is_empty(const struct bookie_cache_half *half);

// False: no room, and nothing was changed. The same entry again replaces the body.
RT_CHECK
bool bookie_cache_put(struct bookie_cache_half *half, int64_t ledger, int64_t entry,
                      struct rt_bytes body);
// The ledger, or NULL: also when it was dropped.
struct bookie_cached_ledger *bookie_cache_ledger(const struct bookie_cache_half *half, int64_t id);
const struct bookie_cached_entry *bookie_cache_find(const struct bookie_cached_ledger *ledger,
                                                    int64_t entry);
struct rt_bytes bookie_cache_body(const struct bookie_cache_half *half,
                                  const struct bookie_cached_entry *entry);
struct rt_slice bookie_cache_slice(const struct bookie_cache_half *half,
                                   const struct bookie_cached_entry *entry);  // holds
int64_t bookie_cache_last(const struct bookie_cached_ledger *ledger);
void bookie_cache_drop(struct bookie_cache_half *half, int64_t ledger);

// Frozen: by id.
void bookie_cache_sort(struct bookie_cache_half *half);

// Entries of a ledger in ascending order.
struct bookie_cache_cursor {
    const struct bookie_cached_ledger *ledger;
    uint32_t run, at;
};
// NULL: no more.
const struct bookie_cached_entry *bookie_cache_next(struct bookie_cache_cursor *cursor);

#endif
