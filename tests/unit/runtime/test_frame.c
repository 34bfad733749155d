// Frames in several pieces: as in-process peers send them, and how their bytes are got at.
#include <criterion/criterion.h>
#include <string.h>

#include "tests/lib/conformance_stream.h"

enum { PAYLOAD = 100000, SMALL = 5000 };

static void run_inproc(const struct stream_case *stream_case) {
    static struct stream_run run;
    run.harness = (struct harness){.place = HARNESS_TWO_LOOPS, .transport = "inproc"};
    stream_run_set(&run, stream_case);
    cr_assert(harness_run_real(&run.harness), "%s", run.harness.failure);
}

static struct rt_slice slice_of(struct rt_loop *loop, size_t size, uint8_t first) {
    struct rt_slab *slab = rt_slab_get(rt_loop_slabs(loop), size, NULL);
    for (size_t i = 0; i < size; i++) slab->data[i] = (uint8_t)(first + i);
    struct rt_slice slice = rt_slice_of_slab(slab, 0, size);
    rt_slab_drop(slab);
    return slice;
}

static void send_length(struct rt_conn *conn, size_t length) {
    struct rt_writer w = rt_writer_over(rt_conn_reserve(conn, 4), 4);
    rt_write_be32(&w, (uint32_t)length);
}

static void send_slice(struct stream_end *end, size_t size, uint8_t first) {
    struct rt_slice slice = slice_of(end->loop, size, first);
    rt_conn_send_slice(&end->conn, slice);
    rt_slice_drop(&slice);
}

// THE SAME MEMORY

static const uint8_t *_Atomic sent_at;

static void same_opened(struct stream_end *end) {
    struct rt_slice slice = slice_of(end->loop, PAYLOAD, 0);
    sent_at = slice.data;
    send_length(&end->conn, 6 + PAYLOAD);
    rt_conn_send(&end->conn, RT_BYTES_LITERAL("header"));
    rt_conn_send_slice(&end->conn, slice);
    rt_slice_drop(&slice);
    rt_conn_finish(&end->conn);
}

static void same_frame(struct stream_end *end, const struct rt_frame *frame) {
    HARNESS_CHECK(end->harness, frame->size == 6 + PAYLOAD && frame->piece_count == 2);
    struct rt_bytes header = rt_frame_bytes(frame, 0, 6);
    HARNESS_CHECK(end->harness, rt_bytes_equal(header, RT_BYTES_LITERAL("header")));
    HARNESS_CHECK(end->harness, rt_frame_bytes(frame, 6, PAYLOAD).data == sent_at);
    end->kept = rt_frame_slice(frame, 6 + 100, PAYLOAD - 100);
    HARNESS_CHECK(end->harness, end->kept.data == sent_at + 100);
}

static void one_frame_closed(struct stream_end *end) {
    HARNESS_CHECK(end->harness, end->frames == 1);
}

Test(runtime_frame, large_slice_arrives_in_process_as_the_same_memory) {
    const struct stream_case same = {.name = "same",
                                     .server = {.frame = same_frame, .closed = one_frame_closed},
                                     .client = {.opened = same_opened}};
    run_inproc(&same);
}

// ACROSS PIECES

enum { PIECES = 4 };

static void pieces_opened(struct stream_end *end) {
    send_length(&end->conn, PIECES * SMALL);
    for (unsigned i = 0; i < PIECES; i++) send_slice(end, SMALL, (uint8_t)(i * SMALL));
    rt_conn_finish(&end->conn);
}

static bool counts_up(struct rt_bytes bytes, size_t from) {
    for (size_t i = 0; i < bytes.size; i++)
        if (bytes.data[i] != (uint8_t)(from + i)) return false;
    return true;
}

static void pieces_frame(struct stream_end *end, const struct rt_frame *frame) {
    HARNESS_CHECK(end->harness, frame->piece_count == PIECES && frame->size == PIECES * SMALL);
    for (size_t offset = 0; offset <= frame->size; offset += 777) {
        for (size_t size = 0; size <= frame->size - offset; size += 1234) {
            struct rt_bytes bytes = rt_frame_bytes(frame, offset, size);
            HARNESS_CHECK(end->harness, bytes.size == size && counts_up(bytes, offset));
            struct rt_slice slice = rt_frame_slice(frame, offset, size);
            HARNESS_CHECK(end->harness, slice.size == size);
            HARNESS_CHECK(end->harness, counts_up(rt_slice_bytes(slice), offset));
            rt_slice_drop(&slice);
        }
    }
}

Test(runtime_frame, bytes_are_one_piece_wherever_they_are_asked_for) {
    const struct stream_case pieces = {
        .name = "pieces",
        .server = {.frame = pieces_frame, .closed = one_frame_closed},
        .client = {.opened = pieces_opened}};
    run_inproc(&pieces);
}

// TOO MANY PIECES

enum { TOO_MANY = RT_FRAME_PIECES_MAX + 1 };

static void many_opened(struct stream_end *end) {
    for (unsigned count = RT_FRAME_PIECES_MAX; count <= TOO_MANY; count++) {
        send_length(&end->conn, count * SMALL);
        for (unsigned i = 0; i < count; i++) send_slice(end, SMALL, (uint8_t)(i * SMALL));
    }
    rt_conn_finish(&end->conn);
}

static void many_frame(struct stream_end *end, const struct rt_frame *frame) {
    bool fits = end->frames == 0;
    HARNESS_CHECK(end->harness, frame->piece_count == (fits ? RT_FRAME_PIECES_MAX : 1u));
    HARNESS_CHECK(end->harness, frame->size == (fits ? RT_FRAME_PIECES_MAX : TOO_MANY) * SMALL);
    HARNESS_CHECK(end->harness, counts_up(rt_frame_bytes(frame, 0, frame->size), 0));
}

static void two_frames_closed(struct stream_end *end) {
    HARNESS_CHECK(end->harness, end->frames == 2);
}

Test(runtime_frame, more_pieces_than_a_frame_may_have_become_one) {
    const struct stream_case many = {.name = "many",
                                     .server = {.frame = many_frame, .closed = two_frames_closed},
                                     .client = {.opened = many_opened}};
    run_inproc(&many);
}
