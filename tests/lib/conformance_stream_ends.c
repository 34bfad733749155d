// Cases of back-pressure, closing and time limits.
#include <string.h>

#include "tests/lib/conformance_stream.h"

enum { PART = 64 << 10, MANY_PARTS = 512, SMALL_HIGH = 256 << 10 };

static void send_part(struct rt_conn *conn) {
    struct rt_slab *slab = rt_slab_get(rt_loop_slabs(conn->loop), PART + 4, NULL);
    struct rt_writer w = rt_writer_over(slab->data, 4);
    rt_write_be32(&w, PART);
    memset(slab->data + 4, 'p', PART);
    struct rt_slice slice = rt_slice_of_slab(slab, 0, PART + 4);
    rt_conn_send_slice(conn, slice);
    rt_slice_drop(&slice);
    rt_slab_drop(slab);
}

static void ignore_frame(struct stream_end *end, const struct rt_frame *frame) {
    (void)end;
    (void)frame;
}

static void close_ok(struct stream_end *end) {
    rt_conn_close(&end->conn, RT_OK);
}

static void say_hello(struct stream_end *end) {
    rt_conn_send(&end->conn, RT_BYTES_LITERAL("\0\0\0\5hello"));
}

// BACK-PRESSURE: 32 MiB for a reader that pauses after each frame; the writer stops when it is
// told that it is full, and what is queued never exceeds the high mark and the last part.

static void pour(struct stream_end *end) {
    while (end->step < MANY_PARTS && !rt_conn_is_full(&end->conn)) {
        send_part(&end->conn);
        end->step++;
    }
    HARNESS_CHECK(end->harness, rt_conn_queued_bytes(&end->conn) <= SMALL_HIGH + PART + 4);
    if (end->step == MANY_PARTS) rt_conn_finish(&end->conn);
}

static void pause_frame(struct stream_end *end, const struct rt_frame *frame) {
    HARNESS_CHECK(end->harness, frame->size == PART);
    if (end->frames % 64 != 0) return;
    rt_conn_pause(&end->conn);
    stream_end_tick_after(end, 2);
    end->step = (unsigned)end->frames + 1;
}

static void pause_tick(struct stream_end *end) {
    HARNESS_CHECK(end->harness, end->frames == end->step);
    rt_conn_resume(&end->conn);
}

static void poured_closed(struct stream_end *end) {
    HARNESS_CHECK(end->harness, end->fulls > 0 && end->draineds == end->fulls);
}

static void parts_closed(struct stream_end *end) {
    HARNESS_CHECK(end->harness, end->frames == MANY_PARTS);
}

const struct stream_case stream_case_paused_reader_holds_up_the_writer = {
    .name = "paused_reader_holds_up_the_writer",
    .server = {.frame = pause_frame, .tick = pause_tick, .closed = parts_closed},
    .client = {.options = {.out_high_bytes = SMALL_HIGH},
               .opened = pour,
               .drained = pour,
               .closed = poured_closed},
};

static void busy_opened(struct stream_end *end) {
    for (unsigned i = 0; i < 20; i++) send_part(&end->conn);
    HARNESS_CHECK(end->harness, !rt_conn_is_open(&end->conn) && !end->closed);
}

const struct stream_case stream_case_output_over_its_limit_closes_busy = {
    .name = "output_over_its_limit_closes_busy",
    .server = {.frame = ignore_frame, .or_why = RT_ERESET},
    .client = {.options = {.out_bytes_max = 10 * PART}, .opened = busy_opened, .why = RT_EBUSY},
};

static void resume_opened(struct stream_end *end) {
    rt_conn_pause(&end->conn);
    stream_end_tick_after(end, 20);
}

static void resume_tick(struct stream_end *end) {
    HARNESS_CHECK(end->harness, end->frames == 0);
    rt_conn_resume(&end->conn);
    end->step = 1;
}

static void resume_frame(struct stream_end *end, const struct rt_frame *frame) {
    HARNESS_CHECK(end->harness, end->step == 1 && frame->size == 5);
    rt_conn_close(&end->conn, RT_OK);
}

const struct stream_case stream_case_resume_delivers_what_waited = {
    .name = "resume_delivers_what_waited",
    .server = {.opened = resume_opened, .tick = resume_tick, .frame = resume_frame},
    .client = {.opened = say_hello, .or_why = RT_ERESET},
};

// BOTH WRITE FIRST: the answer to the first question does not leave, since its reader does not
// read; the second question is heard all the same.

static void asker_opened(struct stream_end *end) {
    rt_conn_pause(&end->conn);
    say_hello(end);
    stream_end_tick_after(end, 20);
}

static void asker_tick(struct stream_end *end) {
    if (end->step++ == 0) {
        say_hello(end);
        stream_end_tick_after(end, 1000);
    } else {
        rt_conn_close(&end->conn, RT_OK);
    }
}

static void answerer_frame(struct stream_end *end, const struct rt_frame *frame) {
    HARNESS_CHECK(end->harness, frame->size == 5);
    if (end->frames > 0) return;
    for (unsigned i = 0; i < MANY_PARTS; i++) send_part(&end->conn);
}

static void two_frames_closed(struct stream_end *end) {
    HARNESS_CHECK(end->harness, end->frames == 2);
}

const struct stream_case stream_case_question_is_heard_while_an_answer_is_stuck = {
    .name = "question_is_heard_while_an_answer_is_stuck",
    .server = {.frame = answerer_frame, .closed = two_frames_closed, .or_why = STREAM_WHY_ANY},
    .client = {.frame = ignore_frame, .opened = asker_opened, .tick = asker_tick},
};

// FINISHING

static void finish_opened(struct stream_end *end) {
    for (unsigned i = 0; i < 100; i++) send_part(&end->conn);
    rt_conn_finish(&end->conn);
    HARNESS_CHECK(end->harness, !rt_conn_is_open(&end->conn));
    send_part(&end->conn);
}

static void hundred_closed(struct stream_end *end) {
    HARNESS_CHECK(end->harness, end->frames == 100);
}

const struct stream_case stream_case_finish_lets_queued_output_leave = {
    .name = "finish_lets_queued_output_leave",
    .server = {.frame = ignore_frame, .closed = hundred_closed},
    .client = {.opened = finish_opened},
};

// The answer is on its way while the client's end has long been seen.
static void answer_frame(struct stream_end *end, const struct rt_frame *frame) {
    (void)frame;
    for (unsigned i = 0; i < 10; i++) say_hello(end);
    rt_conn_finish(&end->conn);
}

static void ten_closed(struct stream_end *end) {
    HARNESS_CHECK(end->harness, end->frames == 10);
}

const struct stream_case stream_case_peer_that_finishes_may_still_be_answered = {
    .name = "peer_that_finishes_may_still_be_answered",
    .server = {.frame = answer_frame},
    .client = {.opened = say_hello, .frame = ignore_frame, .closed = ten_closed},
};

static void cut_opened(struct stream_end *end) {
    say_hello(end);
    rt_conn_send(&end->conn, RT_BYTES_LITERAL("\0\0\0\5hel"));
    rt_conn_finish(&end->conn);
}

static void hello_closed(struct stream_end *end) {
    HARNESS_CHECK(end->harness, end->frames == 1);
}

const struct stream_case stream_case_end_inside_a_frame_is_a_reset = {
    .name = "end_inside_a_frame_is_a_reset",
    .server = {.frame = ignore_frame, .closed = hello_closed, .why = RT_ERESET},
    .client = {.opened = cut_opened},
};

static void early_finish_closed(struct stream_end *end) {
    HARNESS_CHECK(end->harness, end->frames == 1 && end->bytes == 3);
}

const struct stream_case stream_case_finish_before_open_closes_once_open = {
    .name = "finish_before_open_closes_once_open",
    .server = {.frame = ignore_frame, .closed = early_finish_closed},
};

// CLOSING

static void hello_thrice(struct stream_end *end) {
    for (int i = 0; i < 3; i++) say_hello(end);
}

static void close_frame(struct stream_end *end, const struct rt_frame *frame) {
    HARNESS_CHECK(end->harness, end->frames == 0 && frame->size == 5);
    rt_conn_close(&end->conn, RT_EINVAL);
    rt_conn_close(&end->conn, RT_EIO);
    HARNESS_CHECK(end->harness, !end->closed && !rt_conn_is_open(&end->conn));
}

const struct stream_case stream_case_close_from_on_frame_stops_delivery = {
    .name = "close_from_on_frame_stops_delivery",
    .server = {.frame = close_frame, .closed = hello_closed, .why = RT_EINVAL},
    .client = {.opened = hello_thrice, .or_why = RT_ERESET},
};

const struct stream_case stream_case_close_from_on_open_reaches_the_peer = {
    .name = "close_from_on_open_reaches_the_peer",
    .server = {.or_why = RT_ERESET},
    .client = {.opened = close_ok},
};

static void deaf_opened(struct stream_end *end) {
    rt_conn_pause(&end->conn);
}

static void flood_opened(struct stream_end *end) {
    for (unsigned i = 0; i < MANY_PARTS; i++) send_part(&end->conn);
}

static void full_close(struct stream_end *end) {
    rt_conn_close(&end->conn, RT_EBUSY);
    send_part(&end->conn);
}

static void full_closed(struct stream_end *end) {
    HARNESS_CHECK(end->harness, end->fulls == 1 && end->draineds == 0);
}

const struct stream_case stream_case_close_from_on_full_drops_the_rest = {
    .name = "close_from_on_full_drops_the_rest",
    .server = {.frame = ignore_frame, .or_why = RT_ERESET},
    .client = {.options = {.out_high_bytes = SMALL_HIGH},
               .opened = flood_opened,
               .full = full_close,
               .closed = full_closed,
               .why = RT_EBUSY},
};

// Both pour as much as they can; the client closes in the middle.
static void both_frame(struct stream_end *end, const struct rt_frame *frame) {
    (void)frame;
    if (end->frames == 50) rt_conn_close(&end->conn, RT_ECANCELED);
}

const struct stream_case stream_case_close_with_both_ways_busy_ends_both = {
    .name = "close_with_both_ways_busy_ends_both",
    .server = {.opened = flood_opened, .frame = ignore_frame, .why = RT_ERESET},
    .client = {.opened = flood_opened, .frame = both_frame, .why = RT_ECANCELED},
};

static void late_opened(struct stream_end *end) {
    say_hello(end);
    rt_conn_finish(&end->conn);
    say_hello(end);
    memset(rt_conn_reserve(&end->conn, 100), 0, 100);
    send_part(&end->conn);
    HARNESS_CHECK(end->harness, rt_conn_queued_bytes(&end->conn) == 9);
}

const struct stream_case stream_case_send_after_close_is_dropped = {
    .name = "send_after_close_is_dropped",
    .server = {.frame = ignore_frame, .closed = hello_closed},
    .client = {.opened = late_opened},
};

// Refused before it was open, reset, or open and closed again: what the stack below makes of it.
const struct stream_case stream_case_refused_connection_ends = {
    .name = "refused_connection_ends",
    .refuse = true,
    .client = {.or_why = STREAM_WHY_ANY},
};

// TIME LIMITS

const struct stream_case stream_case_silent_client_runs_out_of_time = {
    .name = "silent_client_runs_out_of_time",
    .server = {.options = {.open_timeout_ms = 50}, .why = RT_ETIMEDOUT},
    .client = {.options = {.open_timeout_ms = 10000}},
};

// A byte every ten milliseconds: each is in time, the frame is not.
static void dribble_tick(struct stream_end *end) {
    rt_conn_send(&end->conn, RT_BYTES_LITERAL("d"));
    stream_end_tick_after(end, 10);
}

static void dribble_opened(struct stream_end *end) {
    say_hello(end);
    rt_conn_send(&end->conn, RT_BYTES_LITERAL("\0\0\1\0"));
    stream_end_tick_after(end, 10);
}

const struct stream_case stream_case_dribbling_client_runs_out_of_time = {
    .name = "dribbling_client_runs_out_of_time",
    .server = {.options = {.frame_timeout_ms = 100},
               .frame = ignore_frame,
               .closed = hello_closed,
               .why = RT_ETIMEDOUT},
    .client = {.opened = dribble_opened, .tick = dribble_tick, .or_why = RT_ERESET},
};

// The server learns of the end only once it reads again.
static void deaf_tick(struct stream_end *end) {
    rt_conn_resume(&end->conn);
}

static void deaf_for_long(struct stream_end *end) {
    deaf_opened(end);
    stream_end_tick_after(end, 500);
}

const struct stream_case stream_case_peer_that_never_reads_runs_out_of_time = {
    .name = "peer_that_never_reads_runs_out_of_time",
    .server = {.opened = deaf_for_long,
               .tick = deaf_tick,
               .frame = ignore_frame,
               .or_why = RT_ERESET},
    .client = {.options = {.stall_timeout_ms = 100}, .opened = flood_opened, .why = RT_ETIMEDOUT},
};

// MEMORY: after a burst and six seconds of silence a connection holds a kilobyte again.

static void burst_tick(struct stream_end *end) {
    size_t used = rt_budget_used(&rt_loop_machine(end->loop)->budget);
    HARNESS_CHECK(end->harness, used <= 2 * rt_slab_charge_size(RT_SLAB_1K));
    rt_conn_close(&end->conn, RT_OK);
}

static void burst_frame(struct stream_end *end, const struct rt_frame *frame) {
    (void)frame;
    if (end->frames == 0) stream_end_tick_after(end, 6000);
}

static void burst_opened(struct stream_end *end) {
    for (unsigned i = 0; i < 50; i++) send_part(&end->conn);
}

const struct stream_case stream_case_idle_connection_gives_its_memory_back = {
    .name = "idle_connection_gives_its_memory_back",
    .server = {.frame = burst_frame, .tick = burst_tick},
    .client = {.opened = burst_opened},
};
