// Slabs, slices and budgets: payload memory that is read from a socket once and then only counted.
//
// A slab is one block of memory with a reference count; a slice is a counted piece of it. Slices
// may cross loops: the count is the one atomic that tier code ever (indirectly) touches. A pool
// belongs to one loop; a slab released on another thread returns to its pool through a lock-free
// list. A budget is a byte limit that slabs are charged to, by their whole size, from the moment
// they are taken until the last slice is dropped; budgets are shared by loops.
//
// What is kept long is copied out (rt_slice_copy), so that a small slice never pins a large slab.
#ifndef GEMINGA_RUNTIME_SLAB_H
#define GEMINGA_RUNTIME_SLAB_H

#include <pthread.h>
#include <stdatomic.h>

#include "runtime/bytes.h"
#include "runtime/list.h"

struct rt_slab_pool;
struct rt_conn;

// Who waits for room (rt_budget_wait, backend.h) is kept in a list of its own, off the fast path.
struct rt_budget {
    const char *name;
    size_t limit_bytes;
    atomic_size_t used_bytes;
    atomic_size_t peak_bytes;
    atomic_bool starved;  // somebody waits; the release that makes room looks for them
    pthread_mutex_t waiters_lock;
    struct rt_list waiters;  // oldest first
    struct rt_overdraft {    // stream_budget.c, under the same lock
        struct rt_conn *holder, *first, *last;
    } overdraft;
};

void rt_budget_init(struct rt_budget *budget, const char *name, size_t limit_bytes);
bool rt_budget_try_charge(struct rt_budget *budget, size_t size);  // false: over the limit
void rt_budget_charge(struct rt_budget *budget, size_t size);  // may go over: for what must go on
void rt_budget_release(struct rt_budget *budget, size_t size);
size_t rt_budget_used(const struct rt_budget *budget);

struct rt_slab {
    atomic_uint refs;
    uint32_t class_index;       // of its pool, or RT_SLAB_LARGE
    size_t capacity;            // of data
    struct rt_slab_pool *pool;  // held: the pool outlives its last slab
    struct rt_budget *budget;   // may be NULL
    struct rt_slab *next_free;
    _Alignas(16) uint8_t data[];
};

// A counted piece of a slab. slab == NULL: static or otherwise immortal bytes (or none).
struct rt_slice {
    struct rt_slab *slab;
    const uint8_t *data;
    size_t size;
};

// Pools keep free slabs of these sizes; larger ones come from the heap each time.
enum {
    RT_SLAB_1K = 1 << 10,
    RT_SLAB_4K = 1 << 12,
    RT_SLAB_16K = 1 << 14,
    RT_SLAB_64K = 1 << 16,
    RT_SLAB_256K = 1 << 18
};

struct rt_slab_pool *rt_slab_pool_new(size_t free_bytes_max);  // what it keeps when idle
void rt_slab_pool_free(struct rt_slab_pool *pool);             // slabs still in use stay valid

// A slab with room for `size` bytes and one reference, charged (never refused) to budget (may be
// NULL).
struct rt_slab *rt_slab_get(struct rt_slab_pool *pool, size_t size, struct rt_budget *budget);
struct rt_slab *rt_slab_hold(struct rt_slab *slab);
void rt_slab_drop(struct rt_slab *slab);
size_t rt_slab_charge_size(size_t size);  // what rt_slab_get would charge for `size`

struct rt_slice rt_slice_of_slab(struct rt_slab *slab, size_t offset,
                                 size_t size);           // adds a reference
struct rt_slice rt_slice_static(struct rt_bytes bytes);  // bytes live for ever
struct rt_slice rt_slice_hold(struct rt_slice slice);    // one more reference
struct rt_slice rt_slice_sub(struct rt_slice slice, size_t offset, size_t size);  // holds too
struct rt_slice rt_slice_copy(struct rt_slab_pool *pool, struct rt_budget *budget, struct rt_bytes);
void rt_slice_drop(struct rt_slice *slice);             // and empties it
struct rt_bytes rt_slice_bytes(struct rt_slice slice);  // borrowed

struct rt_slab_stats {
    size_t in_use_bytes, free_bytes;
    uint64_t taken, recycled, foreign_returns;
};
struct rt_slab_stats rt_slab_pool_stats(const struct rt_slab_pool *pool);

#endif
