#include <assert.h>
#include <string.h>

#include "runtime/stream_private.h"

// A copy made by rt_frame_bytes lives in a slab that begins with the link to the one before.
enum { SCRATCH_HEADER_SIZE = 16 };
static_assert(sizeof(struct rt_slab *) <= SCRATCH_HEADER_SIZE, "the link fits before the bytes");

// The piece that holds byte `*offset` of the frame, and the offset inside it.
static const struct rt_slice *piece_at(const struct rt_frame *frame, size_t *offset) {
    const struct rt_slice *piece = frame->pieces;
    while (*offset >= piece->size) {
        *offset -= piece->size;
        piece++;
        assert(piece < frame->pieces + frame->piece_count);
    }
    return piece;
}

static void copy_out(const struct rt_frame *frame, size_t offset, size_t size, uint8_t *to) {
    for (const struct rt_slice *piece = piece_at(frame, &offset); size > 0; piece++) {
        size_t part = piece->size - offset < size ? piece->size - offset : size;
        memcpy(to, piece->data + offset, part);
        to += part;
        size -= part;
        offset = 0;
    }
}

struct rt_bytes rt_frame_bytes(const struct rt_frame *frame, size_t offset, size_t size) {
    assert(offset <= frame->size && size <= frame->size - offset);
    if (size == 0) return RT_BYTES(NULL, 0);
    size_t inside = offset;
    const struct rt_slice *piece = piece_at(frame, &inside);
    if (piece->size - inside >= size) return RT_BYTES(piece->data + inside, size);

    struct rt_slab_pool *pool = rt_loop_slabs(frame->loop);
    struct rt_slab *slab = rt_slab_get(pool, SCRATCH_HEADER_SIZE + size, NULL);
    memcpy(slab->data, frame->scratch, sizeof(*frame->scratch));
    *frame->scratch = slab;
    copy_out(frame, offset, size, slab->data + SCRATCH_HEADER_SIZE);
    return RT_BYTES(slab->data + SCRATCH_HEADER_SIZE, size);
}

struct rt_slice rt_frame_slice(const struct rt_frame *frame, size_t offset, size_t size) {
    assert(offset <= frame->size && size <= frame->size - offset);
    if (size == 0) return (struct rt_slice){0};
    size_t inside = offset;
    const struct rt_slice *piece = piece_at(frame, &inside);
    if (piece->size - inside >= size) return rt_slice_sub(*piece, inside, size);

    struct rt_budget *budget = &rt_loop_machine(frame->loop)->budget;
    struct rt_slab *slab = rt_slab_get(rt_loop_slabs(frame->loop), size, budget);
    copy_out(frame, offset, size, slab->data);
    struct rt_slice slice = rt_slice_of_slab(slab, 0, size);
    rt_slab_drop(slab);
    return slice;
}

void rt_frame_scratch_drop(struct rt_slab **scratch) {
    while (*scratch) {
        struct rt_slab *slab = *scratch;
        memcpy(scratch, slab->data, sizeof(*scratch));
        rt_slab_drop(slab);
    }
}
