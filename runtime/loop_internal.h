// What the parts of the loop share: loop.c (turns, posts), timer.c (the heap), slab.c (whose turn
// it is). Nobody else includes this.
#ifndef GEMINGA_RUNTIME_LOOP_INTERNAL_H
#define GEMINGA_RUNTIME_LOOP_INTERNAL_H

#include "runtime/loop.h"

// TIMERS: a heap in chunks, so that growing to a million timers never copies them.

struct timer_slot {
    uint64_t deadline_ns;
    uint64_t sequence;  // breaks ties: first armed, first fired
    struct rt_timer *timer;
};

enum { TIMER_CHUNK_BITS = 12, TIMER_CHUNK_SLOTS = 1 << TIMER_CHUNK_BITS };

struct timer_heap {
    struct timer_slot **chunks;
    size_t chunk_count, chunk_capacity;
    size_t count;
    uint64_t next_sequence;
};

void timer_heap_fini(struct timer_heap *heap);                     // nothing may be armed
uint64_t timer_heap_deadline(const struct timer_heap *heap);       // UINT64_MAX: none
struct rt_timer *timer_heap_first(const struct timer_heap *heap);  // NULL: none
// Takes the first timer off when it is due.
struct rt_timer *timer_heap_pop_due(struct timer_heap *heap, uint64_t now_ns);

struct timer_heap *rt_loop_timers(struct rt_loop *loop);

// SLABS: the pool whose owner runs on this thread. Returns the previous one.
struct rt_slab_pool *rt_slab_pool_enter(struct rt_slab_pool *pool);

#endif
