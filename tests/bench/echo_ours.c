// The runtime's streams: framed, limited, with back-pressure, one flush per turn.
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/real/real.h"
#include "runtime/stream.h"
#include "tests/bench/bench.h"

enum { ADDRESS_SIZE = 64 };

struct ours_side {
    struct rt_conn conn;
    struct rt_task task;
    struct rt_loop *loop;
    char address[ADDRESS_SIZE];
    uint8_t *frame;
    unsigned depth;
    uint64_t sent, answered, messages;
    uint64_t start_ns, took_ns;
    sem_t ended;
};

struct ours_server {
    struct rt_listener listener;
    struct ours_side side;
    sem_t closed;
};

static const struct rt_stream_options stream_options = {.frame_size_max = 1 << 20};

static struct rt_machine *machine_open(void) {
    struct rt_machine *machine;
    struct rt_why why;
    struct rt_real_options options = {.loop_count = 1, .worker_count = 1};
    if (rt_real_open(&options, &machine, &why)) bench_die(why.text);
    return machine;
}

static void send_frame(struct rt_conn *conn, struct rt_bytes body) {
    struct rt_writer w = rt_writer_over(rt_conn_reserve(conn, BENCH_PREFIX), BENCH_PREFIX);
    rt_write_be32(&w, (uint32_t)body.size);
    rt_conn_send(conn, body);
}

static void side_on_closed(struct rt_conn *conn, rt_err why) {
    (void)why;  // the other side is done
    sem_post(&rt_container_of(conn, struct ours_side, conn)->ended);
}

// SERVER

static void echo_on_frame(struct rt_conn *conn, const struct rt_frame *frame) {
    send_frame(conn, rt_frame_bytes(frame, 0, frame->size));
}

static const struct rt_conn_events echo_events = {
    .name = "bench.echo", .on_frame = echo_on_frame, .on_closed = side_on_closed};

static void echo_incoming(struct rt_listener *listener, struct rt_loop *loop,
                          struct rt_incoming *incoming) {
    struct ours_server *server = rt_container_of(listener, struct ours_server, listener);
    rt_conn_accept(&server->side.conn, loop, incoming, &echo_events, &stream_options);
}

static void echo_listener_closed(struct rt_listener *listener) {
    sem_post(&rt_container_of(listener, struct ours_server, listener)->closed);
}

static const struct rt_listener_events listener_events = {
    .name = "bench", .on_incoming = echo_incoming, .on_closed = echo_listener_closed};

static void echo_close(struct rt_task *task) {
    struct ours_side *side = rt_container_of(task, struct ours_side, task);
    rt_listener_close(&rt_container_of(side, struct ours_server, side)->listener);
}

static void ours_serve(void) {
    static struct ours_server server;
    struct rt_machine *machine = machine_open();
    struct rt_why why;
    sem_init(&server.side.ended, 0, 0);
    sem_init(&server.closed, 0, 0);
    if (rt_listener_open(&server.listener, rt_machine_loop(machine, 0), "tcp://127.0.0.1:0",
                         &listener_events, false, NULL, &why))
        bench_die(why.text);
    bench_say_port(rt_listener_port(&server.listener));
    rt_real_start(machine);
    sem_wait(&server.side.ended);
    rt_task_init(&server.side.task, echo_close, "bench.close");
    rt_post(rt_machine_loop(machine, 0), &server.side.task);
    sem_wait(&server.closed);
    rt_real_close(machine);
}

// CLIENT

static void load_send(struct ours_side *side) {
    side->sent++;
    send_frame(&side->conn, RT_BYTES(side->frame, BENCH_BODY));
}

static void load_on_open(struct rt_conn *conn) {
    struct ours_side *side = rt_container_of(conn, struct ours_side, conn);
    side->start_ns = bench_now_ns();
    for (unsigned i = 0; i < side->depth; i++) load_send(side);
}

static void load_on_frame(struct rt_conn *conn, const struct rt_frame *frame) {
    (void)frame;  // only its arrival counts
    struct ours_side *side = rt_container_of(conn, struct ours_side, conn);
    if (++side->answered == side->messages) {
        side->took_ns = bench_now_ns() - side->start_ns;
        rt_conn_close(conn, RT_OK);
    } else if (side->sent < side->messages) {
        load_send(side);
    }
}

static const struct rt_conn_events load_events = {.name = "bench.load",
                                                  .on_open = load_on_open,
                                                  .on_frame = load_on_frame,
                                                  .on_closed = side_on_closed};

static void load_dial(struct rt_task *task) {
    struct ours_side *side = rt_container_of(task, struct ours_side, task);
    rt_conn_dial(&side->conn, side->loop, side->address, &load_events, &stream_options);
}

static uint64_t ours_load(uint16_t port, unsigned depth, uint64_t messages) {
    static struct ours_side side;
    struct rt_machine *machine = machine_open();
    side.loop = rt_machine_loop(machine, 0);
    side.depth = depth;
    side.messages = messages;
    side.frame = malloc(BENCH_FRAME);
    bench_fill_frames(side.frame, 1);
    snprintf(side.address, sizeof(side.address), "tcp://127.0.0.1:%u", (unsigned)port);
    sem_init(&side.ended, 0, 0);
    rt_task_init(&side.task, load_dial, "bench.dial");
    rt_real_start(machine);
    rt_post(side.loop, &side.task);
    sem_wait(&side.ended);
    free(side.frame);
    rt_real_close(machine);
    return side.took_ns;
}

const struct bench_echo bench_echo_ours = {"geminga", "the runtime's framed streams", ours_serve,
                                           ours_load};
