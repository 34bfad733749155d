// The read cache: whole extents as they were unpacked, by ledger, longest unused first out.
//
// The extents of a ledger in it never overlap: one that was overlapped by a newer one is not put in
// or is dropped, so what is found here is the newest. A miss says nothing.
//
// What its extents take is charged to a budget until the last slice of them is dropped; the cache
// gives up extents for as long as the budget is over its limit.
#ifndef GEMINGA_BOOKIE_SERVER_STORE_READ_CACHE_H
#define GEMINGA_BOOKIE_SERVER_STORE_READ_CACHE_H

#include "bookie/server/store/extent.h"
#include "runtime/slab.h"

struct bookie_cached_extent {
    struct rt_list lru;
    struct rt_slab *slab;         // held
    struct bookie_extent extent;  // its bytes are in the slab
    struct bookie_extents_of *owner;
};

struct bookie_read_cache {
    struct rt_budget *budget;
    size_t limit_bytes;
    struct rt_list lru;
    struct bookie_extents_of **buckets;
    size_t bucket_count, ledger_count;
    size_t bytes;  // of the slabs, charged
};

void bookie_read_cache_init(struct bookie_read_cache *cache, struct rt_budget *budget,
                            size_t limit_bytes);
void bookie_read_cache_fini(struct bookie_read_cache *cache);
// The extent that holds the entry, or NULL. Borrowed until the cache changes.
const struct bookie_cached_extent *bookie_read_cache_find(struct bookie_read_cache *cache,
                                                          int64_t ledger, int64_t entry);
bool bookie_read_cache_covers(const struct bookie_read_cache *cache, int64_t ledger, int64_t first,
                              int64_t last);
// Holds the slab. What it overlaps goes.
void bookie_read_cache_add(struct bookie_read_cache *cache, const struct bookie_extent *extent,
                           struct rt_slab *slab);
void bookie_read_cache_drop(struct bookie_read_cache *cache, int64_t ledger);

#endif
