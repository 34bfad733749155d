// The loop that owns a pool works on its free lists without atomics; everybody else pushes onto one
// lock-free stack, which the owner takes whole when a list has run empty. A pool that is freed
// stays until its last slab is back: `users` counts those slabs, and one for the owner.
#include "runtime/slab.h"

#include <assert.h>
#include <string.h>

#include "runtime/loop_internal.h"
#include "runtime/mem.h"

#if defined(__SANITIZE_ADDRESS__)
#    define HAVE_ASAN 1
#elif defined(__has_feature)
#    if __has_feature(address_sanitizer)
#        define HAVE_ASAN 1
#    endif
#endif
#ifdef HAVE_ASAN
void __asan_poison_memory_region(void const volatile *memory, size_t size);
void __asan_unpoison_memory_region(void const volatile *memory, size_t size);
#endif

enum { CLASS_COUNT = 5, RT_SLAB_LARGE = CLASS_COUNT };

static const size_t class_sizes[CLASS_COUNT] = {RT_SLAB_1K, RT_SLAB_4K, RT_SLAB_16K, RT_SLAB_64K,
                                                RT_SLAB_256K};

struct rt_slab_pool {
    struct rt_slab *free[CLASS_COUNT];
    size_t free_bytes_max;
    atomic_size_t free_bytes;  // in the lists above; written by the owner
    atomic_uint_fast64_t taken, recycled;

    _Alignas(64) _Atomic(struct rt_slab *) returned;  // by others, newest first
    atomic_size_t returned_bytes;
    atomic_uint_fast64_t foreign_returns;
    atomic_size_t in_use_bytes;
    atomic_size_t users;
};

static _Thread_local struct rt_slab_pool *pool_current;

struct rt_slab_pool *rt_slab_pool_enter(struct rt_slab_pool *pool) {
    struct rt_slab_pool *previous = pool_current;
    pool_current = pool;
    return previous;
}

// Under AddressSanitizer the bytes of a slab that nobody holds may not be touched.
static void slab_forbid(struct rt_slab *slab) {
#ifdef HAVE_ASAN
    __asan_poison_memory_region(slab->data, slab->capacity);
#else
    (void)slab;
#endif
}

static void slab_allow(struct rt_slab *slab) {
#ifdef HAVE_ASAN
    __asan_unpoison_memory_region(slab->data, slab->capacity);
#else
    (void)slab;
#endif
}

static void slab_free(struct rt_slab *slab) {
    slab_allow(slab);
    rt_free(slab);
}

static unsigned class_of(size_t size) {
    unsigned class_index = 0;
    while (class_index < CLASS_COUNT && class_sizes[class_index] < size) class_index++;
    return class_index;
}

static size_t slab_footprint(const struct rt_slab *slab) {
    return sizeof(struct rt_slab) + slab->capacity;
}

struct rt_slab_pool *rt_slab_pool_new(size_t free_bytes_max) {
    struct rt_slab_pool *pool = rt_alloc_aligned(64, sizeof(*pool));
    memset(pool, 0, sizeof(*pool));
    pool->free_bytes_max = free_bytes_max;
    atomic_store(&pool->users, 1);
    return pool;
}

static void free_chain(struct rt_slab *slab) {
    while (slab) {
        struct rt_slab *next = slab->next_free;
        slab_free(slab);
        slab = next;
    }
}

static void pool_unuse(struct rt_slab_pool *pool) {
    if (atomic_fetch_sub_explicit(&pool->users, 1, memory_order_acq_rel) > 1) return;
    free_chain(atomic_load_explicit(&pool->returned, memory_order_relaxed));
    rt_free(pool);
}

void rt_slab_pool_free(struct rt_slab_pool *pool) {
    if (!pool) return;
    for (unsigned i = 0; i < CLASS_COUNT; i++) {
        free_chain(pool->free[i]);
        pool->free[i] = NULL;
    }
    if (pool_current == pool) pool_current = NULL;
    pool_unuse(pool);
}

// Owner only. Keeps the slab, unless the pool has enough of them.
static void pool_keep(struct rt_slab_pool *pool, struct rt_slab *slab) {
    size_t free_bytes = atomic_load_explicit(&pool->free_bytes, memory_order_relaxed);
    size_t kept_bytes = free_bytes + slab_footprint(slab);
    if (slab->class_index == RT_SLAB_LARGE || kept_bytes > pool->free_bytes_max) {
        slab_free(slab);
        return;
    }
    slab_forbid(slab);
    slab->next_free = pool->free[slab->class_index];
    pool->free[slab->class_index] = slab;
    atomic_store_explicit(&pool->free_bytes, kept_bytes, memory_order_relaxed);
}

static void pool_collect(struct rt_slab_pool *pool) {
    if (!atomic_load_explicit(&pool->returned, memory_order_relaxed)) return;
    struct rt_slab *slab = atomic_exchange_explicit(&pool->returned, NULL, memory_order_acquire);
    size_t bytes = 0;
    while (slab) {
        struct rt_slab *next = slab->next_free;
        bytes += slab_footprint(slab);
        pool_keep(pool, slab);
        slab = next;
    }
    atomic_fetch_sub_explicit(&pool->returned_bytes, bytes, memory_order_relaxed);
}

static struct rt_slab *pool_take(struct rt_slab_pool *pool, unsigned class_index) {
    if (class_index == RT_SLAB_LARGE) return NULL;
    if (!pool->free[class_index]) pool_collect(pool);
    struct rt_slab *slab = pool->free[class_index];
    if (!slab) return NULL;
    slab_allow(slab);
    pool->free[class_index] = slab->next_free;
    atomic_fetch_sub_explicit(&pool->free_bytes, slab_footprint(slab), memory_order_relaxed);
    atomic_fetch_add_explicit(&pool->recycled, 1, memory_order_relaxed);
    return slab;
}

struct rt_slab *rt_slab_get(struct rt_slab_pool *pool, size_t size, struct rt_budget *budget) {
    unsigned class_index = class_of(size);
    struct rt_slab *slab = pool_take(pool, class_index);
    if (!slab) {
        if (size > SIZE_MAX - sizeof(*slab)) rt_panic("slab of %zu bytes asked for", size);
        size_t capacity = class_index == RT_SLAB_LARGE ? size : class_sizes[class_index];
        slab = rt_alloc(sizeof(*slab) + capacity);
        slab->class_index = class_index;
        slab->capacity = capacity;
        slab->pool = pool;
    }
    atomic_store_explicit(&slab->refs, 1, memory_order_relaxed);
    slab->budget = budget;
    slab->next_free = NULL;
    if (budget) rt_budget_charge(budget, slab_footprint(slab));
    atomic_fetch_add_explicit(&pool->users, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&pool->in_use_bytes, slab_footprint(slab), memory_order_relaxed);
    atomic_fetch_add_explicit(&pool->taken, 1, memory_order_relaxed);
    return slab;
}

size_t rt_slab_charge_size(size_t size) {
    unsigned class_index = class_of(size);
    size_t capacity = class_index == RT_SLAB_LARGE ? size : class_sizes[class_index];
    return sizeof(struct rt_slab) + capacity;
}

struct rt_slab *rt_slab_hold(struct rt_slab *slab) {
    unsigned refs = atomic_fetch_add_explicit(&slab->refs, 1, memory_order_relaxed);
    assert(refs > 0 && refs < UINT32_MAX / 2);
    return slab;
}

// On a thread that is not in a turn of the pool's loop. The owner may be idle and never collect, so
// what lies in the stack is bounded like the free lists are.
static void return_foreign(struct rt_slab_pool *pool, struct rt_slab *slab) {
    size_t size = slab_footprint(slab);
    size_t waiting = atomic_fetch_add_explicit(&pool->returned_bytes, size, memory_order_relaxed);
    atomic_fetch_add_explicit(&pool->foreign_returns, 1, memory_order_relaxed);
    if (slab->class_index == RT_SLAB_LARGE || waiting + size > pool->free_bytes_max) {
        atomic_fetch_sub_explicit(&pool->returned_bytes, size, memory_order_relaxed);
        slab_free(slab);
        return;
    }
    slab_forbid(slab);
    struct rt_slab *top = atomic_load_explicit(&pool->returned, memory_order_relaxed);
    do {
        slab->next_free = top;
    } while (!atomic_compare_exchange_weak_explicit(&pool->returned, &top, slab,
                                                    memory_order_release, memory_order_relaxed));
}

static void slab_retire(struct rt_slab *slab) {
    struct rt_slab_pool *pool = slab->pool;
    size_t size = slab_footprint(slab);
    struct rt_budget *budget = slab->budget;
    atomic_fetch_sub_explicit(&pool->in_use_bytes, size, memory_order_relaxed);
    if (pool_current == pool) {
        pool_keep(pool, slab);
    } else {
        return_foreign(pool, slab);
    }
    pool_unuse(pool);
    if (budget) rt_budget_release(budget, size);
}

void rt_slab_drop(struct rt_slab *slab) {
    unsigned refs = atomic_fetch_sub_explicit(&slab->refs, 1, memory_order_acq_rel);
    assert(refs > 0);
    if (refs == 1) slab_retire(slab);
}

// SLICES

struct rt_slice rt_slice_of_slab(struct rt_slab *slab, size_t offset, size_t size) {
    assert(offset <= slab->capacity && size <= slab->capacity - offset);
    return (struct rt_slice){rt_slab_hold(slab), slab->data + offset, size};
}

struct rt_slice rt_slice_static(struct rt_bytes bytes) {
    return (struct rt_slice){NULL, bytes.data, bytes.size};
}

struct rt_slice rt_slice_hold(struct rt_slice slice) {
    if (slice.slab) rt_slab_hold(slice.slab);
    return slice;
}

struct rt_slice rt_slice_sub(struct rt_slice slice, size_t offset, size_t size) {
    assert(offset <= slice.size && size <= slice.size - offset);
    rt_slice_hold(slice);
    const uint8_t *data = slice.data ? slice.data + offset : NULL;
    return (struct rt_slice){slice.slab, data, size};
}

struct rt_slice rt_slice_copy(struct rt_slab_pool *pool, struct rt_budget *budget,
                              struct rt_bytes bytes) {
    if (bytes.size == 0) return (struct rt_slice){0};
    struct rt_slab *slab = rt_slab_get(pool, bytes.size, budget);
    memcpy(slab->data, bytes.data, bytes.size);
    return (struct rt_slice){slab, slab->data, bytes.size};
}

void rt_slice_drop(struct rt_slice *slice) {
    struct rt_slab *slab = slice->slab;
    *slice = (struct rt_slice){0};
    if (slab) rt_slab_drop(slab);
}

struct rt_bytes rt_slice_bytes(struct rt_slice slice) {
    return RT_BYTES(slice.data, slice.size);
}

struct rt_slab_stats rt_slab_pool_stats(const struct rt_slab_pool *pool) {
    return (struct rt_slab_stats){
        .in_use_bytes = atomic_load_explicit(&pool->in_use_bytes, memory_order_relaxed),
        .free_bytes = atomic_load_explicit(&pool->free_bytes, memory_order_relaxed) +
                      atomic_load_explicit(&pool->returned_bytes, memory_order_relaxed),
        .taken = atomic_load_explicit(&pool->taken, memory_order_relaxed),
        .recycled = atomic_load_explicit(&pool->recycled, memory_order_relaxed),
        .foreign_returns = atomic_load_explicit(&pool->foreign_returns, memory_order_relaxed),
    };
}
