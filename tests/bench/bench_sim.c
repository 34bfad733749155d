// How many events a second the simulator carries out: pairs of nodes that echo to each other.
#include <stdio.h>

#include "runtime/sim/sim.h"
#include "runtime/stream.h"
#include "tests/bench/bench.h"

enum { DEPTH = 16, BODY = 100, PAIRS = 4, ADDRESS_SIZE = 32 };
static const uint64_t events_wanted = 3000000;

struct echo_node {
    struct rt_sim_program program;
    struct rt_listener listener;
    struct rt_conn conn;
    char address[ADDRESS_SIZE];
    bool serves;
};

static const struct rt_stream_options stream_options = {.frame_size_max = 4096};

static void send_frame(struct rt_conn *conn, struct rt_bytes body) {
    struct rt_writer w = rt_writer_over(rt_conn_reserve(conn, BENCH_PREFIX), BENCH_PREFIX);
    rt_write_be32(&w, (uint32_t)body.size);
    rt_conn_send(conn, body);
}

static void on_frame(struct rt_conn *conn, const struct rt_frame *frame) {
    send_frame(conn, rt_frame_bytes(frame, 0, frame->size));
}

static void on_open(struct rt_conn *conn) {
    static const uint8_t body[BODY];
    for (unsigned i = 0; i < DEPTH; i++) send_frame(conn, RT_BYTES(body, sizeof(body)));
}

static void on_closed(struct rt_conn *conn, rt_err why) {
    (void)conn;
    bench_die(rt_err_name(why));
}

static const struct rt_conn_events events = {
    .name = "bench.echo", .on_open = on_open, .on_frame = on_frame, .on_closed = on_closed};

static void on_incoming(struct rt_listener *listener, struct rt_loop *loop,
                        struct rt_incoming *incoming) {
    struct echo_node *node = rt_container_of(listener, struct echo_node, listener);
    rt_conn_accept(&node->conn, loop, incoming, &events, &stream_options);
}

static void on_listener_closed(struct rt_listener *listener) {
    (void)listener;  // never closed here
}

static const struct rt_listener_events listener_events = {
    .name = "bench", .on_incoming = on_incoming, .on_closed = on_listener_closed};

static void boot(struct rt_sim_program *program, struct rt_machine *machine) {
    struct echo_node *node = rt_container_of(program, struct echo_node, program);
    struct rt_why why;
    struct rt_loop *loop = rt_machine_loop(machine, 0);
    if (!node->serves) {
        rt_conn_dial(&node->conn, loop, node->address, &events, &stream_options);
    } else if (rt_listener_open(&node->listener, loop, node->address, &listener_events, false, NULL,
                                &why)) {
        bench_die(why.text);
    }
}

static void nodes_add(struct rt_sim *sim, struct echo_node *nodes) {
    char name[ADDRESS_SIZE];
    for (unsigned i = 0; i < 2 * PAIRS; i++) {
        struct echo_node *node = &nodes[i];
        node->program.boot = boot;
        node->serves = i % 2 == 0;
        snprintf(node->address, sizeof(node->address), "tcp://n%u:7", i & ~1u);
        snprintf(name, sizeof(name), "n%u", i);
        rt_sim_start(rt_sim_node_add(sim, name, 1, &node->program));
        if (node->serves) rt_sim_run_for(sim, RT_NS_PER_MS);
    }
}

void bench_sim(void) {
    static struct echo_node nodes[2 * PAIRS];
    struct rt_sim_options options = {.seed = 1};
    struct rt_sim *sim = rt_sim_new(&options);
    nodes_add(sim, nodes);
    uint64_t first = rt_sim_events(sim), start = bench_now_ns();
    while (rt_sim_events(sim) - first < events_wanted && rt_sim_step(sim)) continue;
    double seconds = (double)(bench_now_ns() - start) / 1e9;
    printf("events_per_s %.0f\n", (double)(rt_sim_events(sim) - first) / seconds);
    rt_sim_free(sim);
}
