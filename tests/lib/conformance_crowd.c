#include "tests/lib/conformance_crowd.h"

#include <string.h>

static struct crowd_member *member_of(struct rt_conn *conn) {
    return rt_container_of(conn, struct crowd_member, conn);
}

// SERVER

static void keep_fire(struct rt_timer *timer) {
    struct crowd_member *member = rt_container_of(timer, struct crowd_member, timer);
    rt_slice_drop(&member->kept);
    rt_conn_close(&member->conn, RT_OK);
}

static void served_frame(struct rt_conn *conn, const struct rt_frame *frame) {
    struct crowd_member *member = member_of(conn);
    HARNESS_CHECK(&member->run->harness, frame->size == CROWD_FRAME);
    member->run->frames++;
    member->kept = rt_frame_slice(frame, 0, frame->size);
    rt_timer_after(&member->timer, member->run->keep_ms * RT_NS_PER_MS);
}

static void served_closed(struct rt_conn *conn, rt_err why) {
    struct crowd_run *run = member_of(conn)->run;
    bool aborted = run->abort_ms > 0 && why == RT_ECANCELED;
    HARNESS_CHECK(&run->harness, why == RT_OK || aborted);
    member_of(conn)->closed = true;
    rt_timer_cancel(&member_of(conn)->timer);
    rt_slice_drop(&member_of(conn)->kept);
    memset(conn, 0x5a, sizeof(*conn));
    if (++run->served_closed < CROWD_SIZE) return;
    // What may go over the limit: one frame for the loop and one more, a kilobyte for each.
    size_t most = CROWD_BUDGET + 2 * rt_slab_charge_size(CROWD_FRAME + 4) +
                  CROWD_SIZE * rt_slab_charge_size(RT_SLAB_1K);
    HARNESS_CHECK(&run->harness, run->frames == CROWD_SIZE || run->abort_ms > 0);
    HARNESS_CHECK(&run->harness, rt_budget_used(&run->budget) == 0);
    HARNESS_CHECK(&run->harness, atomic_load(&run->budget.peak_bytes) <= most);
    rt_listener_close(&run->listener);
}

// Most of them are parked by now, some in line for the right to go over the budget.
static void abort_fire(struct rt_timer *timer) {
    struct crowd_run *run = rt_container_of(timer, struct crowd_run, abort);
    for (unsigned i = 0; i < CROWD_SIZE; i++)
        if (!run->served[i].closed) rt_conn_close(&run->served[i].conn, RT_ECANCELED);
}

static const struct rt_conn_events served_events = {
    .name = "served", .on_frame = served_frame, .on_closed = served_closed};

static void on_incoming(struct rt_listener *listener, struct rt_loop *loop,
                        struct rt_incoming *incoming) {
    struct crowd_run *run = rt_container_of(listener, struct crowd_run, listener);
    struct crowd_member *member = &run->served[run->accepted++];
    if (run->accepted == CROWD_SIZE && run->abort_ms > 0)
        rt_timer_after(&run->abort, run->abort_ms * RT_NS_PER_MS);
    const struct rt_stream_options options = {.frame_size_max = CROWD_FRAME,
                                              .budget = &run->budget};
    member->run = run;
    rt_timer_init(&member->timer, loop, keep_fire, "keep");
    rt_conn_accept(&member->conn, loop, incoming, &served_events, &options);
}

static void listener_closed(struct rt_listener *listener) {
    struct crowd_run *run = rt_container_of(listener, struct crowd_run, listener);
    harness_end(&run->harness);
}

static const struct rt_listener_events listener_events = {
    .name = "crowd", .on_incoming = on_incoming, .on_closed = listener_closed};

static void server_start(struct harness *harness, struct rt_loop *loop) {
    struct crowd_run *run = rt_container_of(harness, struct crowd_run, harness);
    struct rt_why why;
    rt_budget_init(&run->budget, "crowd", CROWD_BUDGET);
    rt_timer_init(&run->abort, loop, abort_fire, "abort");
    if (rt_listener_open(&run->listener, loop, harness->listen, &listener_events, false, NULL,
                         &why))
        harness_fail(harness, "%s", why.text);
    else
        harness_ready(harness, rt_listener_port(&run->listener));
}

// CLIENTS

static void send_part(struct crowd_run *run, unsigned index, size_t offset, size_t size) {
    struct rt_slice slice = rt_slice_of_slab(run->slab, offset, size);
    rt_conn_send_slice(&run->clients[index].conn, slice);
    rt_slice_drop(&slice);
}

static void client_open(struct rt_conn *conn) {
    struct crowd_member *member = member_of(conn);
    struct crowd_run *run = member->run;
    send_part(run, (unsigned)(member - run->clients), 0, run->first_part);
    if (++run->opened == CROWD_SIZE) rt_timer_after(&run->rest, 50 * RT_NS_PER_MS);
}

static void rest_fire(struct rt_timer *timer) {
    struct crowd_run *run = rt_container_of(timer, struct crowd_run, rest);
    for (unsigned i = 0; i < CROWD_SIZE; i++)
        send_part(run, i, run->first_part, CROWD_FRAME + 4 - run->first_part);
}

static void client_frame(struct rt_conn *conn, const struct rt_frame *frame) {
    (void)frame;
    harness_fail(&member_of(conn)->run->harness, "the server sent a frame");
}

static void client_closed(struct rt_conn *conn, rt_err why) {
    struct crowd_run *run = member_of(conn)->run;
    HARNESS_CHECK(&run->harness, why == RT_OK || run->abort_ms > 0);
    if (++run->clients_closed < CROWD_SIZE) return;
    rt_timer_cancel(&run->rest);
    rt_slab_drop(run->slab);
    harness_end(&run->harness);
}

static const struct rt_conn_events client_events = {
    .name = "client", .on_open = client_open, .on_frame = client_frame, .on_closed = client_closed};

static void client_start(struct harness *harness, struct rt_loop *loop) {
    struct crowd_run *run = rt_container_of(harness, struct crowd_run, harness);
    run->slab = rt_slab_get(rt_loop_slabs(loop), CROWD_FRAME + 4, NULL);
    memset(run->slab->data, 'c', CROWD_FRAME + 4);
    struct rt_writer w = rt_writer_over(run->slab->data, 4);
    rt_write_be32(&w, CROWD_FRAME);
    rt_timer_init(&run->rest, loop, rest_fire, "rest");
    for (unsigned i = 0; i < CROWD_SIZE; i++) {
        run->clients[i].run = run;
        rt_conn_dial(&run->clients[i].conn, loop, harness->dial, &client_events, NULL);
    }
}

void crowd_run_set(struct crowd_run *run) {
    run->harness.sides[0].start = server_start;
    run->harness.sides[1].start = client_start;
}
