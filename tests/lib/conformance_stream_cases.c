// Cases of framing and order.
#include <string.h>

#include "tests/lib/conformance_stream.h"

// Byte i of message n: so that a frame tells which one it is.
static uint8_t pattern(uint64_t n, size_t i) {
    return (uint8_t)(n * 31 + i * 7 + i / 251);
}

static void send_length(struct rt_conn *conn, uint32_t length) {
    struct rt_writer w = rt_writer_over(rt_conn_reserve(conn, 4), 4);
    rt_write_be32(&w, length);
}

static void send_pattern(struct rt_conn *conn, uint64_t n, size_t size) {
    struct rt_slab *slab = rt_slab_get(rt_loop_slabs(conn->loop), size + 1, NULL);
    for (size_t i = 0; i < size; i++) slab->data[i] = pattern(n, i);
    struct rt_slice slice = rt_slice_of_slab(slab, 0, size);
    send_length(conn, (uint32_t)size);
    rt_conn_send_slice(conn, slice);
    rt_slice_drop(&slice);
    rt_slab_drop(slab);
}

static void check_pattern(struct stream_end *end, const struct rt_frame *frame, uint64_t n,
                          size_t size) {
    HARNESS_CHECK(end->harness, frame->size == size);
    struct rt_bytes bytes = rt_frame_bytes(frame, 0, frame->size);
    for (size_t i = 0; i < bytes.size; i++) {
        if (bytes.data[i] == pattern(n, i)) continue;
        harness_fail(end->harness, "frame %llu differs at byte %zu", (unsigned long long)n, i);
        return;
    }
}

static void echo(struct stream_end *end, const struct rt_frame *frame) {
    send_length(&end->conn, (uint32_t)frame->size);
    struct rt_slice slice = rt_frame_slice(frame, 0, frame->size);
    rt_conn_send_slice(&end->conn, slice);
    rt_slice_drop(&slice);
}

// SPLITS: three frames of 0, 5 and 300 bytes, cut into two sends at each position in turn; then
// byte by byte, one a turn.

enum { SPLIT_STREAM = 4 + 4 + 5 + 4 + 300, SPLIT_ROUNDS = SPLIT_STREAM + 1 };

static size_t split_stream(uint8_t *memory) {
    static const size_t sizes[] = {0, 5, 300};
    struct rt_writer w = rt_writer_over(memory, SPLIT_STREAM);
    for (size_t n = 0; n < 3; n++) {
        rt_write_be32(&w, (uint32_t)sizes[n]);
        for (size_t i = 0; i < sizes[n]; i++) rt_write_u8(&w, pattern(n, i));
    }
    return w.written;
}

static void split_tick(struct stream_end *end) {
    uint8_t stream[SPLIT_STREAM];
    size_t size = split_stream(stream);
    size_t round = end->step / 2;
    if (round < SPLIT_ROUNDS) {
        if (end->step % 2 == 0)
            rt_conn_send(&end->conn, RT_BYTES(stream, round));
        else
            rt_conn_send(&end->conn, RT_BYTES(stream + round, size - round));
    } else {
        size_t at = end->step - 2 * SPLIT_ROUNDS;
        if (at == size) {
            rt_conn_finish(&end->conn);
            return;
        }
        rt_conn_send(&end->conn, RT_BYTES(stream + at, 1));
    }
    end->step++;
    rt_timer_after(&end->timer, 1);
}

static void split_opened(struct stream_end *end) {
    rt_timer_after(&end->timer, 1);
}

static void split_frame(struct stream_end *end, const struct rt_frame *frame) {
    static const size_t sizes[] = {0, 5, 300};
    uint64_t n = end->frames % 3;
    check_pattern(end, frame, n, sizes[n]);
}

static void split_closed(struct stream_end *end) {
    HARNESS_CHECK(end->harness, end->frames == 3 * (SPLIT_ROUNDS + 1));
}

const struct stream_case stream_case_frame_is_whole_however_its_bytes_are_split = {
    .name = "frame_is_whole_however_its_bytes_are_split",
    .server = {.frame = split_frame, .closed = split_closed},
    .client = {.opened = split_opened, .tick = split_tick},
};

// SIZES

enum { SIZE_LIMIT = 100000 };

static void largest_opened(struct stream_end *end) {
    send_pattern(&end->conn, 0, SIZE_LIMIT);
    send_pattern(&end->conn, 1, SIZE_LIMIT - 1);
    send_pattern(&end->conn, 2, SIZE_LIMIT);
    rt_conn_finish(&end->conn);
}

static void largest_frame(struct stream_end *end, const struct rt_frame *frame) {
    check_pattern(end, frame, end->frames, SIZE_LIMIT - end->frames % 2);
}

static void three_frames_closed(struct stream_end *end) {
    HARNESS_CHECK(end->harness, end->frames == 3);
}

const struct stream_case stream_case_frame_of_the_largest_size_passes = {
    .name = "frame_of_the_largest_size_passes",
    .server = {.options = {.frame_size_max = SIZE_LIMIT},
               .frame = largest_frame,
               .closed = three_frames_closed},
    .client = {.opened = largest_opened},
};

static void over_opened(struct stream_end *end) {
    send_pattern(&end->conn, 0, SIZE_LIMIT);
    send_length(&end->conn, SIZE_LIMIT + 1);
}

static void over_frame(struct stream_end *end, const struct rt_frame *frame) {
    check_pattern(end, frame, 0, SIZE_LIMIT);
}

static void one_frame_closed(struct stream_end *end) {
    HARNESS_CHECK(end->harness, end->frames == 1);
}

const struct stream_case stream_case_frame_one_over_the_limit_closes_before_it_is_stored = {
    .name = "frame_one_over_the_limit_closes_before_it_is_stored",
    .server = {.options = {.frame_size_max = SIZE_LIMIT},
               .frame = over_frame,
               .closed = one_frame_closed,
               .why = RT_ETOOBIG},
    .client = {.opened = over_opened, .or_why = RT_ERESET},
};

static void huge_opened(struct stream_end *end) {
    send_length(&end->conn, UINT32_MAX);
}

static void huge_closed(struct stream_end *end) {
    HARNESS_CHECK(end->harness, rt_budget_used(&rt_loop_machine(end->loop)->budget) <= 64 << 10);
}

const struct stream_case stream_case_huge_length_closes_and_takes_no_memory = {
    .name = "huge_length_closes_and_takes_no_memory",
    .server = {.closed = huge_closed, .why = RT_ETOOBIG},
    .client = {.opened = huge_opened, .or_why = RT_ERESET},
};

static void empty_opened(struct stream_end *end) {
    for (int i = 0; i < 3; i++) send_length(&end->conn, 0);
    rt_conn_finish(&end->conn);
}

static void empty_frame(struct stream_end *end, const struct rt_frame *frame) {
    HARNESS_CHECK(end->harness, frame->size == 0);
    HARNESS_CHECK(end->harness, rt_frame_bytes(frame, 0, 0).size == 0);
}

const struct stream_case stream_case_empty_frames_are_delivered = {
    .name = "empty_frames_are_delivered",
    .server = {.frame = empty_frame, .closed = three_frames_closed},
    .client = {.opened = empty_opened},
};

// MANY, LARGE

enum { MANY = 5000, LARGE = 5 << 20, LARGE_COUNT = 3 };

static size_t many_size(uint64_t n) {
    return (size_t)(n * 37 % 1500);
}

static void many_opened(struct stream_end *end) {
    for (uint64_t n = 0; n < MANY; n++) send_pattern(&end->conn, n, many_size(n));
}

static void echo_frame(struct stream_end *end, const struct rt_frame *frame) {
    echo(end, frame);
}

static void many_frame(struct stream_end *end, const struct rt_frame *frame) {
    check_pattern(end, frame, end->frames, many_size(end->frames));
    if (end->frames + 1 == MANY) rt_conn_finish(&end->conn);
}

static void many_closed(struct stream_end *end) {
    HARNESS_CHECK(end->harness, end->frames == MANY);
}

const struct stream_case stream_case_thousands_of_frames_stay_in_order = {
    .name = "thousands_of_frames_stay_in_order",
    .server = {.frame = echo_frame, .closed = many_closed},
    .client = {.opened = many_opened, .frame = many_frame, .closed = many_closed},
};

static void large_opened(struct stream_end *end) {
    for (uint64_t n = 0; n < LARGE_COUNT; n++) send_pattern(&end->conn, n, LARGE - n);
}

static void large_frame(struct stream_end *end, const struct rt_frame *frame) {
    check_pattern(end, frame, end->frames, LARGE - end->frames);
    if (end->frames + 1 == LARGE_COUNT) rt_conn_finish(&end->conn);
}

const struct stream_case stream_case_large_frames_come_back_unchanged = {
    .name = "large_frames_come_back_unchanged",
    .server = {.options = {.frame_size_max = LARGE}, .frame = echo_frame},
    .client = {.options = {.frame_size_max = LARGE},
               .opened = large_opened,
               .frame = large_frame,
               .closed = three_frames_closed},
};

// OTHER FRAMINGS

enum { RAW_TOTAL = 200000, RAW_MOST = 50000 };

static void raw_opened(struct stream_end *end) {
    for (size_t i = 0; i < RAW_TOTAL; i++) {
        uint8_t byte = pattern(0, i);
        rt_conn_send(&end->conn, RT_BYTES(&byte, 1));
    }
    rt_conn_finish(&end->conn);
}

static void raw_frame(struct stream_end *end, const struct rt_frame *frame) {
    HARNESS_CHECK(end->harness, frame->size > 0 && frame->size <= RAW_MOST);
    struct rt_bytes bytes = rt_frame_bytes(frame, 0, frame->size);
    size_t first = end->bytes - frame->size;
    for (size_t i = 0; i < bytes.size; i++)
        HARNESS_CHECK(end->harness, bytes.data[i] == pattern(0, first + i));
}

static void raw_closed(struct stream_end *end) {
    HARNESS_CHECK(end->harness, end->bytes == RAW_TOTAL);
}

const struct stream_case stream_case_raw_bytes_arrive_as_they_are = {
    .name = "raw_bytes_arrive_as_they_are",
    .server = {.options = {.framing = RT_FRAMES_RAW, .frame_size_max = RAW_MOST},
               .frame = raw_frame,
               .closed = raw_closed},
    .client = {.options = {.framing = RT_FRAMES_RAW}, .opened = raw_opened},
};

// Words of four letters alone, or one byte of length and as many more.
static rt_err words_measure(struct rt_conn *conn, struct rt_bytes have, size_t *size) {
    (void)conn;
    if (have.data[0] >= 'a' && have.data[0] <= 'z') {
        if (have.size >= 4) *size = 4;
        return RT_OK;
    }
    if (have.data[0] == 0xff) return RT_EUNSUPPORTED;
    if (have.data[0] == 0xfe) return RT_OK;
    *size = 1 + (size_t)have.data[0];
    return RT_OK;
}

static void words_opened(struct stream_end *end) {
    rt_conn_send(&end->conn, RT_BYTES_LITERAL("ruok\3abcstat\0"));
    rt_conn_finish(&end->conn);
}

static void words_frame(struct stream_end *end, const struct rt_frame *frame) {
    static const char *const words[] = {"ruok", "\3abc", "stat", "\0"};
    static const size_t sizes[] = {4, 4, 4, 1};
    HARNESS_CHECK(end->harness, end->frames < 4 && frame->size == sizes[end->frames]);
    struct rt_bytes bytes = rt_frame_bytes(frame, 0, frame->size);
    HARNESS_CHECK(end->harness, memcmp(bytes.data, words[end->frames], bytes.size) == 0);
}

static void words_closed(struct stream_end *end) {
    HARNESS_CHECK(end->harness, end->frames == 4);
}

const struct stream_case stream_case_measured_frames_keep_all_their_bytes = {
    .name = "measured_frames_keep_all_their_bytes",
    .server = {.options = {.framing = RT_FRAMES_MEASURED, .measure = words_measure},
               .frame = words_frame,
               .closed = words_closed},
    .client = {.opened = words_opened},
};

static void vague_opened(struct stream_end *end) {
    uint8_t bytes[64];
    memset(bytes, 0xfe, sizeof(bytes));
    rt_conn_send(&end->conn, RT_BYTES(bytes, sizeof(bytes)));
}

const struct stream_case stream_case_measure_that_cannot_tell_is_a_broken_protocol = {
    .name = "measure_that_cannot_tell_is_a_broken_protocol",
    .server = {.options = {.framing = RT_FRAMES_MEASURED, .measure = words_measure},
               .why = RT_EPROTO},
    .client = {.opened = vague_opened, .or_why = RT_ERESET},
};

static void broken_opened(struct stream_end *end) {
    rt_conn_send(&end->conn, RT_BYTES_LITERAL("\xff"));
}

const struct stream_case stream_case_measure_error_closes_with_it = {
    .name = "measure_error_closes_with_it",
    .server = {.options = {.framing = RT_FRAMES_MEASURED, .measure = words_measure},
               .why = RT_EUNSUPPORTED},
    .client = {.opened = broken_opened, .or_why = RT_ERESET},
};

// RESERVE

static void reserve_opened(struct stream_end *end) {
    send_length(&end->conn, 6);
    memcpy(rt_conn_reserve(&end->conn, 2), "ab", 2);
    rt_conn_send(&end->conn, RT_BYTES_LITERAL("cd"));
    memcpy(rt_conn_reserve(&end->conn, 2), "ef", 2);
    send_length(&end->conn, 64 << 10);
    memset(rt_conn_reserve(&end->conn, 64 << 10), 'x', 64 << 10);
    rt_conn_finish(&end->conn);
}

static void reserve_frame(struct stream_end *end, const struct rt_frame *frame) {
    struct rt_bytes bytes = rt_frame_bytes(frame, 0, frame->size);
    if (end->frames == 0)
        HARNESS_CHECK(end->harness, rt_bytes_equal(bytes, RT_BYTES_LITERAL("abcdef")));
    else
        HARNESS_CHECK(end->harness, bytes.size == 64 << 10 && bytes.data[bytes.size - 1] == 'x');
}

static void reserve_closed(struct stream_end *end) {
    HARNESS_CHECK(end->harness, end->frames == 2);
}

const struct stream_case stream_case_reserved_room_is_sent_in_order = {
    .name = "reserved_room_is_sent_in_order",
    .server = {.frame = reserve_frame, .closed = reserve_closed},
    .client = {.opened = reserve_opened},
};

// FAIRNESS: ten thousand empty frames come at once; a turn takes at most 1024 of them.

enum { BURST = 10000, TURN_FRAMES_MAX = 1024 };

static void burst_opened(struct stream_end *end) {
    for (int i = 0; i < BURST; i++) send_length(&end->conn, 0);
    rt_conn_finish(&end->conn);
}

static void burst_frame(struct stream_end *end, const struct rt_frame *frame) {
    (void)frame;
    uint64_t turns = rt_loop_stats(end->loop).turns;
    if (end->step != (unsigned)turns) end->fulls = 0;  // frames seen in this turn
    end->step = (unsigned)turns;
    HARNESS_CHECK(end->harness, ++end->fulls <= TURN_FRAMES_MAX);
}

static void burst_closed(struct stream_end *end) {
    HARNESS_CHECK(end->harness, end->frames == BURST);
}

const struct stream_case stream_case_one_turn_delivers_a_bounded_number_of_frames = {
    .name = "one_turn_delivers_a_bounded_number_of_frames",
    .server = {.frame = burst_frame, .closed = burst_closed},
    .client = {.opened = burst_opened},
};
