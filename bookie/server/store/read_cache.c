#include "bookie/server/store/read_cache.h"

#include <assert.h>
#include <string.h>

#include "runtime/mem.h"

enum { BUCKETS_MIN = 64, OVERHEAD = 192 };

// The cached extents of one ledger, by first entry.
struct bookie_extents_of {
    int64_t ledger;
    struct bookie_extents_of *hash_next;
    struct bookie_cached_extent **items;
    size_t count, capacity;
};

void bookie_read_cache_init(struct bookie_read_cache *cache, struct rt_budget *budget,
                            size_t limit_bytes) {
    *cache = (struct bookie_read_cache){.budget = budget, .limit_bytes = limit_bytes};
    cache->bucket_count = BUCKETS_MIN;
    cache->buckets = rt_alloc_zero(cache->bucket_count, sizeof(*cache->buckets));
    rt_list_init(&cache->lru);
}

static struct bookie_extents_of **bucket_of(const struct bookie_read_cache *cache, int64_t ledger) {
    uint64_t mixed = (uint64_t)ledger * UINT64_C(0x9e3779b97f4a7c15);
    return &cache->buckets[(size_t)(mixed >> 32) & (cache->bucket_count - 1)];
}

static struct bookie_extents_of *ledger_find(const struct bookie_read_cache *cache,
                                             int64_t ledger) {
    struct bookie_extents_of *of = *bucket_of(cache, ledger);
    while (of && of->ledger != ledger) of = of->hash_next;
    return of;
}

static void buckets_grow(struct bookie_read_cache *cache) {
    struct bookie_extents_of **old = cache->buckets;
    size_t old_count = cache->bucket_count;
    cache->bucket_count *= 2;
    cache->buckets = rt_alloc_zero(cache->bucket_count, sizeof(*cache->buckets));
    for (size_t i = 0; i < old_count; i++) {
        for (struct bookie_extents_of *of = old[i], *next; of; of = next) {
            next = of->hash_next;
            struct bookie_extents_of **bucket = bucket_of(cache, of->ledger);
            of->hash_next = *bucket;
            *bucket = of;
        }
    }
    rt_free(old);
}

static struct bookie_extents_of *ledger_add(struct bookie_read_cache *cache, int64_t ledger) {
    if (cache->ledger_count >= cache->bucket_count) buckets_grow(cache);
    struct bookie_extents_of *of = RT_NEW(struct bookie_extents_of);
    struct bookie_extents_of **bucket = bucket_of(cache, ledger);
    of->ledger = ledger;
    of->hash_next = *bucket;
    *bucket = of;
    cache->ledger_count++;
    return of;
}

static void ledger_remove(struct bookie_read_cache *cache, struct bookie_extents_of *of) {
    struct bookie_extents_of **link = bucket_of(cache, of->ledger);
    while (*link != of) link = &(*link)->hash_next;
    *link = of->hash_next;
    cache->ledger_count--;
    rt_free(of->items);
    rt_free(of);
}

// The first place whose extent ends at or behind the entry.
static size_t place_of(const struct bookie_extents_of *of, int64_t entry) {
    size_t low = 0, high = of->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (of->items[middle]->extent.head.last < entry) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static size_t charge_of(const struct bookie_cached_extent *cached) {
    return rt_slab_charge_size(cached->slab->capacity);
}

static void extent_free(struct bookie_read_cache *cache, struct bookie_cached_extent *cached) {
    rt_list_remove(&cached->lru);
    cache->bytes -= charge_of(cached);
    rt_budget_release(cache->budget, OVERHEAD);
    rt_slab_drop(cached->slab);
    rt_free(cached);
}

static void extent_drop(struct bookie_read_cache *cache, struct bookie_extents_of *of,
                        size_t place) {
    struct bookie_cached_extent *cached = of->items[place];
    of->count--;
    memmove(&of->items[place], &of->items[place + 1], (of->count - place) * sizeof(*of->items));
    extent_free(cache, cached);
}

static void extent_evict(struct bookie_read_cache *cache) {
    struct bookie_cached_extent *cached =
        rt_container_of(cache->lru.next, struct bookie_cached_extent, lru);
    struct bookie_extents_of *of = cached->owner;
    extent_drop(cache, of, place_of(of, cached->extent.head.last));
    if (of->count == 0) ledger_remove(cache, of);
}

void bookie_read_cache_drop(struct bookie_read_cache *cache, int64_t ledger) {
    struct bookie_extents_of *of = ledger_find(cache, ledger);
    if (!of) return;
    for (size_t i = 0; i < of->count; i++) extent_free(cache, of->items[i]);
    ledger_remove(cache, of);
}

void bookie_read_cache_fini(struct bookie_read_cache *cache) {
    while (!rt_list_is_empty(&cache->lru)) extent_evict(cache);
    assert(cache->ledger_count == 0 && cache->bytes == 0);
    rt_free(cache->buckets);
    cache->buckets = NULL;
}

const struct bookie_cached_extent *bookie_read_cache_find(struct bookie_read_cache *cache,
                                                          int64_t ledger, int64_t entry) {
    const struct bookie_extents_of *of = ledger_find(cache, ledger);
    if (!of) return NULL;
    size_t place = place_of(of, entry);
    if (place == of->count) return NULL;
    struct bookie_cached_extent *cached = of->items[place];
    struct rt_bytes body;
    if (!bookie_extent_find(&cached->extent, entry, &body)) return NULL;
    rt_list_remove(&cached->lru);
    rt_list_push_back(&cache->lru, &cached->lru);
    return cached;
}

bool bookie_read_cache_covers(const struct bookie_read_cache *cache, int64_t ledger, int64_t first,
                              int64_t last) {
    const struct bookie_extents_of *of = ledger_find(cache, ledger);
    if (!of) return false;
    size_t place = place_of(of, first);
    if (place == of->count) return false;
    const struct bookie_extent_head *head = &of->items[place]->extent.head;
    return head->first <= first && head->last >= last;
}

static void overlapped_drop(struct bookie_read_cache *cache, struct bookie_extents_of *of,
                            const struct bookie_extent_head *head) {
    size_t place = place_of(of, head->first);
    while (place < of->count && of->items[place]->extent.head.first <= head->last) {
        extent_drop(cache, of, place);
    }
}

static void extent_insert(struct bookie_extents_of *of, struct bookie_cached_extent *cached) {
    if (of->count == of->capacity) {
        of->capacity = of->capacity ? of->capacity * 2 : 4;
        of->items = rt_realloc(of->items, of->capacity * sizeof(struct bookie_cached_extent *));
    }
    size_t place = place_of(of, cached->extent.head.first);
    memmove(&of->items[place + 1], &of->items[place], (of->count - place) * sizeof(*of->items));
    of->items[place] = cached;
    of->count++;
}

void bookie_read_cache_add(struct bookie_read_cache *cache, const struct bookie_extent *extent,
                           struct rt_slab *slab) {
    struct bookie_extents_of *of = ledger_find(cache, extent->head.ledger);
    if (!of) of = ledger_add(cache, extent->head.ledger);
    overlapped_drop(cache, of, &extent->head);
    struct bookie_cached_extent *cached = RT_NEW(struct bookie_cached_extent);
    cached->slab = rt_slab_hold(slab);
    cached->extent = *extent;
    cached->owner = of;
    rt_list_push_back(&cache->lru, &cached->lru);
    cache->bytes += charge_of(cached);
    rt_budget_charge(cache->budget, OVERHEAD);
    extent_insert(of, cached);
    while (!rt_list_is_empty(&cache->lru) && rt_budget_used(cache->budget) > cache->limit_bytes) {
        extent_evict(cache);
    }
}
