#include "runtime/slice_queue.h"

#include <assert.h>
#include <string.h>

enum { RING_FIRST = 8 };

struct rt_slice *rt_slice_queue_at(const struct rt_slice_queue *queue, size_t index) {
    assert(index < queue->count);
    return &queue->ring[(queue->head + index) & (queue->capacity - 1)];
}

static void ring_grow(struct rt_slice_queue *queue) {
    size_t capacity = queue->capacity > 0 ? queue->capacity * 2 : RING_FIRST;
    struct rt_slice *ring = rt_alloc_zero(capacity, sizeof(*ring));
    for (size_t i = 0; i < queue->count; i++) ring[i] = *rt_slice_queue_at(queue, i);
    rt_free(queue->ring);
    queue->ring = ring;
    queue->head = 0;
    queue->capacity = capacity;
}

void rt_slice_queue_push(struct rt_slice_queue *queue, struct rt_slice slice) {
    if (queue->count == queue->capacity) ring_grow(queue);
    queue->count++;
    *rt_slice_queue_at(queue, queue->count - 1) = slice;
    queue->bytes += slice.size;
}

void rt_slice_queue_grow_last(struct rt_slice_queue *queue, size_t size) {
    rt_slice_queue_at(queue, queue->count - 1)->size += size;
    queue->bytes += size;
}

static void queue_pop(struct rt_slice_queue *queue) {
    struct rt_slice *oldest = rt_slice_queue_at(queue, 0);
    queue->bytes -= oldest->size;
    queue->head = (queue->head + 1) & (queue->capacity - 1);
    queue->count--;
    rt_slice_drop(oldest);
}

void rt_slice_queue_skip(struct rt_slice_queue *queue, size_t size) {
    assert(size <= queue->bytes);
    while (queue->count > 0) {
        struct rt_slice *oldest = rt_slice_queue_at(queue, 0);
        if (oldest->size > size) break;
        size -= oldest->size;
        queue_pop(queue);
    }
    if (size == 0) return;
    struct rt_slice *oldest = rt_slice_queue_at(queue, 0);
    oldest->data += size;
    oldest->size -= size;
    queue->bytes -= size;
}

unsigned rt_slice_queue_cover(const struct rt_slice_queue *queue, size_t offset, size_t size,
                              struct rt_slice *pieces, unsigned max) {
    unsigned covered = 0;
    for (size_t i = 0; i < queue->count && size > 0; i++) {
        struct rt_slice piece = *rt_slice_queue_at(queue, i);
        if (offset >= piece.size) {
            offset -= piece.size;
            continue;
        }
        piece.data += offset;
        piece.size -= offset;
        offset = 0;
        if (piece.size > size) piece.size = size;
        size -= piece.size;
        if (covered < max) pieces[covered] = piece;
        covered++;
    }
    return covered;
}

void rt_slice_queue_copy(const struct rt_slice_queue *queue, size_t offset, size_t size,
                         uint8_t *to) {
    assert(offset + size <= queue->bytes);
    for (size_t i = 0; size > 0; i++) {
        const struct rt_slice *piece = rt_slice_queue_at(queue, i);
        if (offset >= piece->size) {
            offset -= piece->size;
            continue;
        }
        size_t part = piece->size - offset < size ? piece->size - offset : size;
        memcpy(to, piece->data + offset, part);
        to += part;
        size -= part;
        offset = 0;
    }
}

void rt_slice_queue_clear(struct rt_slice_queue *queue) {
    while (queue->count > 0) queue_pop(queue);
    rt_free(queue->ring);
    *queue = (struct rt_slice_queue){0};
}
