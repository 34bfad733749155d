// A queue of slices: a ring that grows, first in first out, each slice with its own reference.
// Belongs to one loop. Zero-initialised is empty; nothing is allocated before the first push.
#ifndef GEMINGA_RUNTIME_SLICE_QUEUE_H
#define GEMINGA_RUNTIME_SLICE_QUEUE_H

#include "runtime/slab.h"

struct rt_slice_queue {
    struct rt_slice *ring;
    size_t head, count, capacity;  // capacity is zero or a power of two
    size_t bytes;
};

void rt_slice_queue_push(struct rt_slice_queue *queue, struct rt_slice slice);         // takes it
struct rt_slice *rt_slice_queue_at(const struct rt_slice_queue *queue, size_t index);  // 0: oldest
void rt_slice_queue_grow_last(struct rt_slice_queue *queue, size_t size);  // its bytes follow on
void rt_slice_queue_skip(struct rt_slice_queue *queue, size_t size);       // drops the oldest bytes
// Borrows up to `max` pieces that cover [offset, offset + size); returns how many there are in
// all, more than max when they did not fit.
unsigned rt_slice_queue_cover(const struct rt_slice_queue *queue, size_t offset, size_t size,
                              struct rt_slice *pieces, unsigned max);
void rt_slice_queue_copy(const struct rt_slice_queue *queue, size_t offset, size_t size,
                         uint8_t *to);
void rt_slice_queue_clear(struct rt_slice_queue *queue);  // drops all, gives the memory back

#endif
