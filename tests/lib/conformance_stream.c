// The two ends that every case is played by. The cases: conformance_stream_cases*.c.
#include "tests/lib/conformance_stream.h"

#include <string.h>

static struct stream_end *end_of(struct rt_conn *conn) {
    return rt_container_of(conn, struct stream_end, conn);
}

static void on_open(struct rt_conn *conn) {
    struct stream_end *end = end_of(conn);
    HARNESS_CHECK(end->harness, !end->opened && !end->closed);
    HARNESS_CHECK(end->harness, rt_conn_peer(conn)[0] != '\0');
    end->opened = true;
    if (end->plan->opened) end->plan->opened(end);
}

static void on_frame(struct rt_conn *conn, const struct rt_frame *frame) {
    struct stream_end *end = end_of(conn);
    HARNESS_CHECK(end->harness, end->opened && !end->closed && end->plan->frame);
    end->bytes += frame->size;
    if (end->plan->frame) end->plan->frame(end, frame);
    end->frames++;
}

static void on_full(struct rt_conn *conn) {
    struct stream_end *end = end_of(conn);
    HARNESS_CHECK(end->harness, !end->closed && end->fulls == end->draineds);
    end->fulls++;
    if (end->plan->full) end->plan->full(end);
}

static void on_drained(struct rt_conn *conn) {
    struct stream_end *end = end_of(conn);
    end->draineds++;
    HARNESS_CHECK(end->harness, !end->closed && end->fulls == end->draineds);
    if (end->plan->drained) end->plan->drained(end);
}

static void on_closed(struct rt_conn *conn, rt_err why) {
    struct stream_end *end = end_of(conn);
    const struct stream_plan *plan = end->plan;
    HARNESS_CHECK(end->harness, !end->closed);
    bool other = plan->or_why == STREAM_WHY_ANY || (plan->or_why != RT_OK && why == plan->or_why);
    if (why != plan->why && !other)
        harness_fail(end->harness, "%s closed with %s instead of %s",
                     end == &((struct stream_run *)end->harness)->server ? "server" : "client",
                     rt_err_name(why), rt_err_name(plan->why));
    end->closed = true;
    if (plan->closed) plan->closed(end);
    rt_slice_drop(&end->kept);
    rt_timer_cancel(&end->timer);
    memset(conn, 0x5a, sizeof(*conn));  // it is ours again: nobody may look at it any more
    if (end->listener.loop)
        rt_listener_close(&end->listener);
    else
        harness_end(end->harness);
}

static const struct rt_conn_events events = {.name = "case",
                                             .on_open = on_open,
                                             .on_frame = on_frame,
                                             .on_closed = on_closed,
                                             .on_full = on_full,
                                             .on_drained = on_drained};

static void tick_fire(struct rt_timer *timer) {
    struct stream_end *end = rt_container_of(timer, struct stream_end, timer);
    end->plan->tick(end);
}

void stream_end_tick_after(struct stream_end *end, uint64_t delay_ms) {
    rt_timer_after(&end->timer, delay_ms * RT_NS_PER_MS);
}

static void end_init(struct stream_end *end, struct harness *harness, struct rt_loop *loop,
                     const struct stream_plan *plan) {
    end->harness = harness;
    end->loop = loop;
    end->plan = plan;
    rt_timer_init(&end->timer, loop, tick_fire, "tick");
}

// SERVER

static void on_incoming(struct rt_listener *listener, struct rt_loop *loop,
                        struct rt_incoming *incoming) {
    struct stream_end *end = rt_container_of(listener, struct stream_end, listener);
    HARNESS_CHECK(end->harness, !end->opened && loop == end->loop);
    HARNESS_CHECK(end->harness, rt_incoming_peer(incoming)[0] != '\0');
    if (end->stream_case->refuse) {
        rt_incoming_refuse(incoming);
        rt_listener_close(listener);
        return;
    }
    rt_conn_accept(&end->conn, loop, incoming, &events, &end->plan->options);
    end->opened = true;
    if (end->plan->opened) end->plan->opened(end);
}

static void on_listener_closed(struct rt_listener *listener) {
    struct stream_end *end = rt_container_of(listener, struct stream_end, listener);
    harness_end(end->harness);
}

static const struct rt_listener_events listener_events = {
    .name = "case", .on_incoming = on_incoming, .on_closed = on_listener_closed};

static void server_start(struct harness *harness, struct rt_loop *loop) {
    struct stream_run *run = rt_container_of(harness, struct stream_run, harness);
    struct stream_end *end = &run->server;
    struct rt_why why;
    end_init(end, harness, loop, &end->stream_case->server);
    rt_err err = rt_listener_open(&end->listener, loop, harness->listen, &listener_events, false,
                                  run->server_tls, &why);
    if (err)
        harness_fail(harness, "%s", why.text);
    else
        harness_ready(harness, rt_listener_port(&end->listener));
}

static void client_start(struct harness *harness, struct rt_loop *loop) {
    struct stream_run *run = rt_container_of(harness, struct stream_run, harness);
    struct stream_end *end = &run->client;
    end_init(end, harness, loop, &end->stream_case->client);
    struct rt_stream_options options = end->plan->options;
    options.tls = run->client_tls;
    rt_conn_dial(&end->conn, loop, harness->dial, &events, &options);
    if (strcmp(end->stream_case->name, "finish_before_open_closes_once_open") == 0) {
        rt_conn_send(&end->conn, RT_BYTES_LITERAL("\0\0\0\3bye"));
        rt_conn_finish(&end->conn);
    }
    HARNESS_CHECK(harness, !end->opened && !end->closed && !rt_conn_is_open(&end->conn));
}

void stream_run_set(struct stream_run *run, const struct stream_case *stream_case) {
    run->server.stream_case = run->client.stream_case = stream_case;
    run->harness.sides[0].start = server_start;
    run->harness.sides[1].start = client_start;
}
