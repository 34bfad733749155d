#include <criterion/criterion.h>

#include "tests/lib/conformance_crowd.h"
#include "tests/lib/conformance_stream.h"

static struct crowd_run run;

static void crowd_set(enum harness_place place, size_t first_part) {
    run = (struct crowd_run){.harness = {.place = place}, .first_part = first_part, .keep_ms = 3};
    crowd_run_set(&run);
}

Test(runtime_stream_budget, crowd_that_announces_large_frames_is_served_in_turn) {
    crowd_set(HARNESS_ONE_LOOP, 5);
    cr_assert(harness_run_real(&run.harness), "%s", run.harness.failure);
}

Test(runtime_stream_budget, crowd_on_another_loop_is_served_in_turn) {
    crowd_set(HARNESS_TWO_LOOPS, 5);
    cr_assert(harness_run_real(&run.harness), "%s", run.harness.failure);
}

Test(runtime_stream_budget, unfinished_frames_that_hold_all_memory_are_finished_one_by_one) {
    crowd_set(HARNESS_TWO_LOOPS, 300 << 10);
    cr_assert(harness_run_real(&run.harness), "%s", run.harness.failure);
}

Test(runtime_stream_budget, parked_connections_can_be_closed) {
    crowd_set(HARNESS_TWO_LOOPS, 900 << 10);
    run.abort_ms = 30;
    run.keep_ms = 1000;
    cr_assert(harness_run_real(&run.harness), "%s", run.harness.failure);
}

Test(runtime_stream_budget, simulated_parked_connections_can_be_closed) {
    for (uint64_t seed = 1; seed <= 20; seed++) {
        crowd_set(HARNESS_TWO_NODES, 900 << 10);
        run.abort_ms = 1 + seed;
        run.keep_ms = seed < 10 ? 1000 : 2;
        run.harness.seed = seed;
        cr_assert(harness_run_sim(&run.harness), "%s", run.harness.failure);
    }
}

Test(runtime_stream_budget, simulated_crowd_is_served_in_turn) {
    for (uint64_t seed = 1; seed <= 3; seed++) {
        crowd_set(HARNESS_TWO_NODES, seed == 1 ? 5 : 300 << 10);
        run.harness.seed = seed;
        cr_assert(harness_run_sim(&run.harness), "%s", run.harness.failure);
    }
}

// A budget that others have used up: the connection's own kilobyte is enough for short frames.
static struct rt_budget used_up;

static void talk_opened(struct stream_end *end) {
    for (int i = 0; i < 100; i++) rt_conn_send(&end->conn, RT_BYTES_LITERAL("\0\0\0\4talk"));
    rt_conn_finish(&end->conn);
}

static void talk_frame(struct stream_end *end, const struct rt_frame *frame) {
    HARNESS_CHECK(end->harness, frame->size == 4);
}

static void talk_closed(struct stream_end *end) {
    HARNESS_CHECK(end->harness, end->frames == 100);
}

Test(runtime_stream_budget, short_frames_pass_when_others_have_used_it_up) {
    static struct stream_run talk;
    const struct stream_case talk_case = {
        .name = "talk",
        .server = {.options = {.budget = &used_up}, .frame = talk_frame, .closed = talk_closed},
        .client = {.opened = talk_opened}};
    rt_budget_init(&used_up, "used up", 1000);
    rt_budget_charge(&used_up, 1000);
    stream_run_set(&talk, &talk_case);
    cr_assert(harness_run_real(&talk.harness), "%s", talk.harness.failure);
    cr_assert_eq(rt_budget_used(&used_up), 1000);
}

// A kept frame that fills the kilobyte: the next one has nowhere to begin.
static void keep_frame(struct stream_end *end, const struct rt_frame *frame) {
    if (end->frames > 0) {
        HARNESS_CHECK(end->harness, end->step == 1);
        return;
    }
    end->kept = rt_frame_slice(frame, 0, frame->size);
    stream_end_tick_after(end, 20);
}

static void keep_tick(struct stream_end *end) {
    end->step = 1;
    rt_slice_drop(&end->kept);
    rt_budget_release(&used_up, 100000);
}

static void keep_opened(struct stream_end *end) {
    static const uint8_t frame[RT_SLAB_1K] = {0, 0, 1020 >> 8, 1020 & 0xff};
    rt_conn_send(&end->conn, RT_BYTES(frame, sizeof(frame)));
    rt_conn_send(&end->conn, RT_BYTES(frame, sizeof(frame)));
    rt_conn_finish(&end->conn);
}

static void keep_closed(struct stream_end *end) {
    HARNESS_CHECK(end->harness, end->frames == 2);
}

Test(runtime_stream_budget, connection_whose_bytes_are_kept_waits_for_room) {
    static struct stream_run keep;
    const struct stream_case keep_case = {
        .name = "keep",
        .server = {.options = {.budget = &used_up, .open_timeout_ms = 5, .frame_timeout_ms = 5},
                   .frame = keep_frame,
                   .tick = keep_tick,
                   .closed = keep_closed},
        .client = {.opened = keep_opened}};
    rt_budget_init(&used_up, "used up", 100000);
    rt_budget_charge(&used_up, 100000);
    keep.harness.place = HARNESS_TWO_NODES;
    stream_run_set(&keep, &keep_case);
    cr_assert(harness_run_sim(&keep.harness), "%s", keep.harness.failure);
}
