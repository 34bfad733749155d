// Armed timers lie in a heap of four children per node: half as deep as a binary one, and the four
// siblings share two cache lines. The heap's array is cut into chunks that never move, so arming
// the millionth timer costs what arming the hundredth did; the table of chunks is the only thing
// that is copied when it grows.
#include <assert.h>

#include "runtime/loop_internal.h"

enum { CHILDREN = 4 };

static struct timer_slot *slot_at(const struct timer_heap *heap, size_t index) {
    return &heap->chunks[index >> TIMER_CHUNK_BITS][index & (TIMER_CHUNK_SLOTS - 1)];
}

static bool is_before(const struct timer_slot *a, const struct timer_slot *b) {
    if (a->deadline_ns != b->deadline_ns) return a->deadline_ns < b->deadline_ns;
    return a->sequence < b->sequence;
}

static void place(const struct timer_heap *heap, size_t index, struct timer_slot slot) {
    *slot_at(heap, index) = slot;
    slot.timer->heap_index = index;
}

// Moves the hole at `index` towards the root until `slot` fits into it.
static void sift_up(const struct timer_heap *heap, size_t index, struct timer_slot slot) {
    while (index > 0) {
        size_t parent = (index - 1) / CHILDREN;
        if (!is_before(&slot, slot_at(heap, parent))) break;
        place(heap, index, *slot_at(heap, parent));
        index = parent;
    }
    place(heap, index, slot);
}

// The first among the children of `index`, or heap->count when it has none.
static size_t first_child(const struct timer_heap *heap, size_t index) {
    size_t child = index * CHILDREN + 1;
    if (child >= heap->count) return heap->count;
    size_t end = child + CHILDREN < heap->count ? child + CHILDREN : heap->count;
    size_t best = child;
    while (++child < end) {
        if (is_before(slot_at(heap, child), slot_at(heap, best))) best = child;
    }
    return best;
}

static void sift_down(const struct timer_heap *heap, size_t index, struct timer_slot slot) {
    for (;;) {
        size_t child = first_child(heap, index);
        if (child == heap->count || !is_before(slot_at(heap, child), &slot)) break;
        place(heap, index, *slot_at(heap, child));
        index = child;
    }
    place(heap, index, slot);
}

static void settle(const struct timer_heap *heap, size_t index, struct timer_slot slot) {
    if (index > 0 && is_before(&slot, slot_at(heap, (index - 1) / CHILDREN))) {
        sift_up(heap, index, slot);
    } else {
        sift_down(heap, index, slot);
    }
}

static void heap_grow(struct timer_heap *heap) {
    if (heap->count < heap->chunk_count << TIMER_CHUNK_BITS) return;
    if (heap->chunk_count == heap->chunk_capacity) {
        heap->chunk_capacity = heap->chunk_capacity ? heap->chunk_capacity * 2 : 8;
        heap->chunks = rt_realloc(heap->chunks, heap->chunk_capacity * sizeof(heap->chunks[0]));
    }
    heap->chunks[heap->chunk_count++] = rt_alloc(TIMER_CHUNK_SLOTS * sizeof(struct timer_slot));
}

// Keeps one empty chunk, so that a count that swings around a chunk's edge allocates nothing.
static void heap_shrink(struct timer_heap *heap) {
    size_t needed = (heap->count >> TIMER_CHUNK_BITS) + 2;
    while (heap->chunk_count > needed) rt_free(heap->chunks[--heap->chunk_count]);
}

static void heap_insert(struct timer_heap *heap, struct rt_timer *timer, uint64_t deadline_ns) {
    heap_grow(heap);
    size_t index = heap->count++;
    sift_up(heap, index, (struct timer_slot){deadline_ns, heap->next_sequence++, timer});
}

static void heap_remove(struct timer_heap *heap, size_t index) {
    assert(index < heap->count);
    slot_at(heap, index)->timer->heap_index = RT_TIMER_IDLE;
    struct timer_slot last = *slot_at(heap, --heap->count);
    if (index < heap->count) settle(heap, index, last);
    heap_shrink(heap);
}

void timer_heap_fini(struct timer_heap *heap) {
    assert(heap->count == 0);
    while (heap->chunk_count > 0) rt_free(heap->chunks[--heap->chunk_count]);
    rt_free(heap->chunks);
}

uint64_t timer_heap_deadline(const struct timer_heap *heap) {
    return heap->count ? slot_at(heap, 0)->deadline_ns : UINT64_MAX;
}

struct rt_timer *timer_heap_first(const struct timer_heap *heap) {
    return heap->count ? slot_at(heap, 0)->timer : NULL;
}

struct rt_timer *timer_heap_pop_due(struct timer_heap *heap, uint64_t now_ns) {
    if (heap->count == 0 || slot_at(heap, 0)->deadline_ns > now_ns) return NULL;
    struct rt_timer *timer = slot_at(heap, 0)->timer;
    heap_remove(heap, 0);
    return timer;
}

void rt_timer_init(struct rt_timer *timer, struct rt_loop *loop,
                   void (*fire)(struct rt_timer *timer), const char *name) {
    *timer =
        (struct rt_timer){.loop = loop, .fire = fire, .name = name, .heap_index = RT_TIMER_IDLE};
}

void rt_timer_at(struct rt_timer *timer, uint64_t deadline_ns) {
    struct timer_heap *heap = rt_loop_timers(timer->loop);
    uint64_t now_ns = rt_loop_now(timer->loop);
    if (deadline_ns <= now_ns) deadline_ns = now_ns + 1;
    if (timer->heap_index == RT_TIMER_IDLE) {
        heap_insert(heap, timer, deadline_ns);
    } else {
        assert(slot_at(heap, timer->heap_index)->timer == timer);
        settle(heap, timer->heap_index,
               (struct timer_slot){deadline_ns, heap->next_sequence++, timer});
    }
}

void rt_timer_after(struct rt_timer *timer, uint64_t delay_ns) {
    uint64_t now_ns = rt_loop_now(timer->loop);
    rt_timer_at(timer, delay_ns < UINT64_MAX - now_ns ? now_ns + delay_ns : UINT64_MAX);
}

void rt_timer_cancel(struct rt_timer *timer) {
    if (timer->heap_index == RT_TIMER_IDLE) return;
    struct timer_heap *heap = rt_loop_timers(timer->loop);
    assert(slot_at(heap, timer->heap_index)->timer == timer);
    heap_remove(heap, timer->heap_index);
}

bool rt_timer_is_armed(const struct rt_timer *timer) {
    return timer->heap_index != RT_TIMER_IDLE;
}
