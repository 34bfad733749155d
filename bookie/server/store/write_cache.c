// A ledger's entries lie in runs of up to RUN_MAX, so that an entry out of order moves a few
// kilobytes at the most. Entries nearly always come at the end.
#include "bookie/server/store/write_cache.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/mem.h"

enum {
    RUN_MIN = 4,
    RUN_MAX = 256,
    SEGMENT_MIN = 16 << 10,
    SEGMENT_MAX = 1 << 20,
    BUCKETS_MIN = 64,
    // Of an allocation, beside what was asked for.
    HEAP_OVERHEAD = 16
};

struct bookie_cached_run {
    uint32_t count, capacity;
    struct bookie_cached_entry entries[];
};

static size_t run_size(uint32_t capacity) {
    return sizeof(struct bookie_cached_run) + capacity * sizeof(struct bookie_cached_entry) +
           HEAP_OVERHEAD;
}

static size_t ledger_size(void) {
    return sizeof(struct bookie_cached_ledger) + sizeof(void *) + 3 * HEAP_OVERHEAD;
}

static size_t segment_size_of(size_t limit_bytes) {
    size_t size = limit_bytes / 16;
    if (size < SEGMENT_MIN) return SEGMENT_MIN;
    return size > SEGMENT_MAX ? SEGMENT_MAX : size;
}

void bookie_cache_init(struct bookie_cache_half *half, struct rt_slab_pool *pool,
                       struct rt_budget *budget, size_t limit_bytes) {
    *half = (struct bookie_cache_half){.pool = pool,
                                       .budget = budget,
                                       .limit_bytes = limit_bytes,
                                       .segment_bytes = segment_size_of(limit_bytes)};
}

static void ledger_free(struct bookie_cached_ledger *ledger) {
    for (uint32_t i = 0; i < ledger->run_count; i++) rt_free(ledger->runs[i]);
    rt_free(ledger->runs);
    rt_free(ledger);
}

void bookie_cache_clear(struct bookie_cache_half *half) {
    for (size_t i = 0; i < half->ledger_count; i++) ledger_free(half->ledgers[i]);
    for (size_t i = 0; i < half->segment_count; i++) rt_slab_drop(half->segments[i]);
    rt_free(half->ledgers);
    rt_free(half->segments);
    rt_free(half->buckets);
    bookie_cache_init(half, half->pool, half->budget, half->limit_bytes);
}

bool bookie_cache_is_empty(const struct bookie_cache_half *half) {
    return half->ledger_count == 0;
}

// LEDGERS

static size_t bucket_of(const struct bookie_cache_half *half, int64_t id) {
    uint64_t mixed = (uint64_t)id * UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)(mixed >> 32) & (half->bucket_count - 1);
}

static struct bookie_cached_ledger *ledger_find(const struct bookie_cache_half *half, int64_t id) {
    if (half->bucket_count == 0) return NULL;
    struct bookie_cached_ledger *ledger = half->buckets[bucket_of(half, id)];
    while (ledger && ledger->id != id) ledger = ledger->hash_next;
    return ledger;
}

struct bookie_cached_ledger *bookie_cache_ledger(const struct bookie_cache_half *half, int64_t id) {
    struct bookie_cached_ledger *ledger = ledger_find(half, id);
    return ledger && !ledger->is_dropped ? ledger : NULL;
}

static void buckets_grow(struct bookie_cache_half *half) {
    size_t count = half->bucket_count ? half->bucket_count * 2 : BUCKETS_MIN;
    half->used_bytes += (count - half->bucket_count) * sizeof(*half->buckets);
    rt_free(half->buckets);
    half->buckets = rt_alloc_zero(count, sizeof(*half->buckets));
    half->bucket_count = count;
    for (size_t i = 0; i < half->ledger_count; i++) {
        struct bookie_cached_ledger *ledger = half->ledgers[i];
        struct bookie_cached_ledger **bucket = &half->buckets[bucket_of(half, ledger->id)];
        ledger->hash_next = *bucket;
        *bucket = ledger;
    }
}

static struct bookie_cached_ledger *ledger_add(struct bookie_cache_half *half, int64_t id) {
    if (half->ledger_count >= half->bucket_count) buckets_grow(half);
    if (half->ledger_count == half->ledger_capacity) {
        size_t capacity = half->ledger_capacity ? half->ledger_capacity * 2 : BUCKETS_MIN;
        half->used_bytes += (capacity - half->ledger_capacity) * sizeof(*half->ledgers);
        half->ledgers = rt_realloc(half->ledgers, capacity * sizeof(*half->ledgers));
        half->ledger_capacity = capacity;
    }
    struct bookie_cached_ledger *ledger = RT_NEW(struct bookie_cached_ledger);
    ledger->id = id;
    ledger->place = half->ledger_count;
    half->ledgers[half->ledger_count++] = ledger;
    struct bookie_cached_ledger **bucket = &half->buckets[bucket_of(half, id)];
    ledger->hash_next = *bucket;
    *bucket = ledger;
    half->used_bytes += ledger_size();
    return ledger;
}

// What its runs took may be used again before the next flush; what its bodies took, not.
static void ledger_remove(struct bookie_cache_half *half, struct bookie_cached_ledger *ledger) {
    struct bookie_cached_ledger **link = &half->buckets[bucket_of(half, ledger->id)];
    while (*link != ledger) link = &(*link)->hash_next;
    *link = ledger->hash_next;
    half->ledgers[ledger->place] = half->ledgers[--half->ledger_count];
    half->ledgers[ledger->place]->place = ledger->place;
    half->entry_count -= ledger->entry_count;
    half->used_bytes -= ledger_size() + ledger->run_capacity * sizeof(*ledger->runs);
    for (uint32_t i = 0; i < ledger->run_count; i++) {
        half->used_bytes -= run_size(ledger->runs[i]->capacity);
    }
    ledger_free(ledger);
}

void bookie_cache_drop(struct bookie_cache_half *half, int64_t ledger_id) {
    struct bookie_cached_ledger *ledger = ledger_find(half, ledger_id);
    if (!ledger) return;
    if (half->is_frozen) {
        ledger->is_dropped = true;
        return;
    }
    ledger_remove(half, ledger);
    if (bookie_cache_is_empty(half)) bookie_cache_clear(half);
}

static int ledger_compare(const void *a, const void *b) {
    int64_t left = (*(struct bookie_cached_ledger *const *)a)->id;
    int64_t right = (*(struct bookie_cached_ledger *const *)b)->id;
    return left < right ? -1 : left > right;
}

void bookie_cache_sort(struct bookie_cache_half *half) {
    assert(half->is_frozen);
    if (half->ledger_count == 0) return;
    qsort(half->ledgers, half->ledger_count, sizeof(*half->ledgers), ledger_compare);
}

// RUNS

// The run that holds the entry, or into which it belongs: the last one whose first is not greater.
static uint32_t run_of(const struct bookie_cached_ledger *ledger, int64_t entry) {
    uint32_t low = 0, high = ledger->run_count;
    if (high > 0 && ledger->runs[high - 1]->entries[0].entry <= entry) return high - 1;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (ledger->runs[middle]->entries[0].entry <= entry) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

// The first place whose entry is not smaller.
static uint32_t place_of(const struct bookie_cached_run *run, int64_t entry) {
    uint32_t low = 0, high = run->count;
    if (run->entries[high - 1].entry < entry) return high;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (run->entries[middle].entry < entry) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

const struct bookie_cached_entry *bookie_cache_find(const struct bookie_cached_ledger *ledger,
                                                    int64_t entry) {
    if (ledger->run_count == 0) return NULL;
    const struct bookie_cached_run *run = ledger->runs[run_of(ledger, entry)];
    uint32_t place = place_of(run, entry);
    if (place == run->count || run->entries[place].entry != entry) return NULL;
    return &run->entries[place];
}

int64_t bookie_cache_last(const struct bookie_cached_ledger *ledger) {
    if (ledger->run_count == 0) return -1;
    const struct bookie_cached_run *run = ledger->runs[ledger->run_count - 1];
    return run->entries[run->count - 1].entry;
}

static struct bookie_cached_run *run_new(struct bookie_cache_half *half, uint32_t capacity) {
    struct bookie_cached_run *run =
        rt_alloc(sizeof(*run) + capacity * sizeof(struct bookie_cached_entry));
    run->count = 0;
    run->capacity = capacity;
    half->used_bytes += run_size(capacity);
    return run;
}

static void run_insert(struct bookie_cache_half *half, struct bookie_cached_ledger *ledger,
                       uint32_t at, struct bookie_cached_run *run) {
    if (ledger->run_count == ledger->run_capacity) {
        uint32_t capacity = ledger->run_capacity ? ledger->run_capacity * 2 : 1;
        half->used_bytes += (capacity - ledger->run_capacity) * sizeof(run);
        ledger->runs = rt_realloc(ledger->runs, capacity * sizeof(run));
        ledger->run_capacity = capacity;
    }
    memmove(&ledger->runs[at + 1], &ledger->runs[at], (ledger->run_count - at) * sizeof(run));
    ledger->runs[at] = run;
    ledger->run_count++;
}

static void run_grow(struct bookie_cache_half *half, struct bookie_cached_run **run) {
    uint32_t capacity = (*run)->capacity * 2;
    half->used_bytes += run_size(capacity) - run_size((*run)->capacity);
    *run = rt_realloc(*run, sizeof(**run) + capacity * sizeof(struct bookie_cached_entry));
    (*run)->capacity = capacity;
}

// A full run, when an entry belongs inside it: its upper half becomes a run of its own.
static void run_split(struct bookie_cache_half *half, struct bookie_cached_ledger *ledger,
                      uint32_t at) {
    struct bookie_cached_run *lower = ledger->runs[at], *upper = run_new(half, RUN_MAX);
    upper->count = lower->count / 2;
    lower->count -= upper->count;
    memcpy(upper->entries, &lower->entries[lower->count], upper->count * sizeof(*upper->entries));
    run_insert(half, ledger, at + 1, upper);
}

static void entry_insert(struct bookie_cache_half *half, struct bookie_cached_ledger *ledger,
                         const struct bookie_cached_entry *entry) {
    uint32_t at = 0;
    bool is_behind = entry->entry > bookie_cache_last(ledger);
    if (ledger->run_count == 0) {
        run_insert(half, ledger, 0, run_new(half, RUN_MIN));
    } else {
        at = run_of(ledger, entry->entry);
    }
    struct bookie_cached_run *run = ledger->runs[at];
    if (run->count == RUN_MAX && is_behind) {
        run_insert(half, ledger, ++at, run_new(half, RUN_MIN));
    } else if (run->count == RUN_MAX) {
        run_split(half, ledger, at);
        at = run_of(ledger, entry->entry);
    } else if (run->count == run->capacity) {
        run_grow(half, &ledger->runs[at]);
    }
    run = ledger->runs[at];
    uint32_t place = run->count == 0 ? 0 : place_of(run, entry->entry);
    memmove(&run->entries[place + 1], &run->entries[place],
            (run->count - place) * sizeof(*run->entries));
    run->entries[place] = *entry;
    run->count++;
    ledger->entry_count++;
    half->entry_count++;
}

// BODIES

static bool body_has_place(const struct bookie_cache_half *half, size_t size) {
    return half->segment_count > 0 &&
           half->segments[half->open_segment]->capacity - half->open_used >= size;
}

// A large body gets a segment of its own, so that little of the open one is wasted.
static size_t segment_for(const struct bookie_cache_half *half, size_t size) {
    return size > half->segment_bytes || size > RT_SLAB_256K ? size : half->segment_bytes;
}

static void segment_add(struct bookie_cache_half *half, size_t size) {
    if (half->segment_count == half->segment_capacity) {
        size_t capacity = half->segment_capacity ? half->segment_capacity * 2 : 16;
        half->used_bytes += (capacity - half->segment_capacity) * sizeof(*half->segments);
        half->segments = rt_realloc(half->segments, capacity * sizeof(*half->segments));
        half->segment_capacity = capacity;
    }
    half->segments[half->segment_count++] = rt_slab_get(half->pool, size, half->budget);
    half->used_bytes += rt_slab_charge_size(size);
}

static void body_copy(struct bookie_cache_half *half, struct rt_bytes body,
                      struct bookie_cached_entry *entry) {
    entry->size = (uint32_t)body.size;
    if (!body_has_place(half, body.size)) {
        size_t size = segment_for(half, body.size);
        segment_add(half, size);
        bool is_shared = size == half->segment_bytes;
        if (is_shared || half->segment_count == 1) {
            half->open_segment = half->segment_count - 1;
            half->open_used = 0;
        } else {
            entry->segment = (uint32_t)half->segment_count - 1;
            entry->offset = 0;
            memcpy(half->segments[entry->segment]->data, body.data, body.size);
            return;
        }
    }
    entry->segment = (uint32_t)half->open_segment;
    entry->offset = (uint32_t)half->open_used;
    if (body.size > 0) {
        memcpy(half->segments[entry->segment]->data + entry->offset, body.data, body.size);
    }
    half->open_used += body.size;
}

// At the most: a segment, a ledger, a run, and what grows by doubling.
static bool has_room(const struct bookie_cache_half *half,
                     const struct bookie_cached_ledger *ledger, size_t body_size) {
    size_t need = run_size(RUN_MAX);
    if (!body_has_place(half, body_size)) {
        need += rt_slab_charge_size(segment_for(half, body_size));
        if (half->segment_count == half->segment_capacity)
            need += half->segment_capacity * sizeof(*half->segments);
    }
    if (!ledger) {
        need += ledger_size();
        if (half->ledger_count >= half->bucket_count)
            need += half->bucket_count * sizeof(*half->buckets);
        if (half->ledger_count == half->ledger_capacity)
            need += half->ledger_capacity * sizeof(*half->ledgers);
    } else if (ledger->run_count == ledger->run_capacity) {
        need += ledger->run_capacity * sizeof(*ledger->runs);
    }
    return need <= half->limit_bytes && half->used_bytes <= half->limit_bytes - need;
}

bool bookie_cache_put(struct bookie_cache_half *half, int64_t ledger_id, int64_t entry,
                      struct rt_bytes body) {
    assert(!half->is_frozen && entry >= 0 && body.size <= UINT32_MAX);
    struct bookie_cached_ledger *ledger = ledger_find(half, ledger_id);
    if (!bookie_cache_is_empty(half) && !has_room(half, ledger, body.size)) return false;
    if (!ledger) ledger = ledger_add(half, ledger_id);
    struct bookie_cached_entry added = {.entry = entry};
    body_copy(half, body, &added);
    half->body_bytes += body.size;
    const struct bookie_cached_entry *old = bookie_cache_find(ledger, entry);
    if (old) {
        *(struct bookie_cached_entry *)(uintptr_t)old = added;  // ours: the half is not frozen
    } else {
        entry_insert(half, ledger, &added);
    }
    return true;
}

struct rt_bytes bookie_cache_body(const struct bookie_cache_half *half,
                                  const struct bookie_cached_entry *entry) {
    return RT_BYTES(half->segments[entry->segment]->data + entry->offset, entry->size);
}

struct rt_slice bookie_cache_slice(const struct bookie_cache_half *half,
                                   const struct bookie_cached_entry *entry) {
    return rt_slice_of_slab(half->segments[entry->segment], entry->offset, entry->size);
}

const struct bookie_cached_entry *bookie_cache_next(struct bookie_cache_cursor *cursor) {
    if (cursor->run == cursor->ledger->run_count) return NULL;
    const struct bookie_cached_run *run = cursor->ledger->runs[cursor->run];
    const struct bookie_cached_entry *entry = &run->entries[cursor->at];
    if (++cursor->at == run->count) {
        cursor->run++;
        cursor->at = 0;
    }
    return entry;
}
