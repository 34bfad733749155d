#include "tests/unit/meta_replica/stranger.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static void on_frame(struct rt_conn *conn, const struct rt_frame *frame) {
    struct stranger_conn *self = rt_container_of(conn, struct stranger_conn, conn);
    struct meta_peer_hello hello;
    self->frames++;
    if (!meta_peer_hello_decode(rt_frame_bytes(frame, 0, frame->size), &hello))
        self->stranger->answer = hello;
}

static void on_closed(struct rt_conn *conn, rt_err why) {
    (void)why;  // however it ends
    rt_container_of(conn, struct stranger_conn, conn)->is_open = false;
}

static const struct rt_conn_events conn_events = {
    .name = "stranger", .on_frame = on_frame, .on_closed = on_closed};

static void on_incoming(struct rt_listener *listener, struct rt_loop *loop,
                        struct rt_incoming *incoming) {
    (void)loop;
    rt_container_of(listener, struct stranger, listener)->dialed++;
    rt_incoming_refuse(incoming);
}

static const struct rt_listener_events listener_events = {.name = "stranger",
                                                          .on_incoming = on_incoming};

static void boot(struct rt_sim_program *program, struct rt_machine *machine) {
    struct stranger *self = rt_container_of(program, struct stranger, program);
    struct rt_why why;
    self->machine = machine;
    cr_assert_eq(rt_listener_open(&self->listener, rt_machine_loop(machine, 0), "tcp://x:2888",
                                  &listener_events, false, NULL, &why),
                 RT_OK, "%s", why.text);
}

static void run_act(struct rt_task *task) {
    struct stranger *self = rt_container_of(task, struct stranger, task);
    self->act(self);
    self->is_done = true;
}

static void act(struct stranger *self, void (*what)(struct stranger *)) {
    self->act = what;
    self->is_done = false;
    rt_task_init(&self->task, run_act, "stranger");
    rt_post(rt_machine_loop(self->machine, 0), &self->task);
    while (!self->is_done) cr_assert(rt_sim_step(self->stage->sim));
}

void stranger_open(struct stranger *stranger, struct stage *stage) {
    *stranger = (struct stranger){.stage = stage, .program.boot = boot};
    stranger->sim_node = rt_sim_node_add(stage->sim, "x", 1, &stranger->program);
    rt_sim_start(stranger->sim_node);
    while (!stranger->machine) cr_assert(rt_sim_step(stage->sim));
}

static void dial_act(struct stranger *self) {
    struct stranger_conn *conn = &self->conns[self->conn];
    const struct rt_stream_options options = {.frame_size_max = META_PEER_FRAME_MAX,
                                              .out_bytes_max = (size_t)1 << 30,
                                              .open_timeout_ms = RT_NO_TIMEOUT,
                                              .frame_timeout_ms = RT_NO_TIMEOUT,
                                              .stall_timeout_ms = RT_NO_TIMEOUT};
    *conn = (struct stranger_conn){.stranger = self, .is_open = true};
    rt_conn_dial(&conn->conn, rt_machine_loop(self->machine, 0), self->url, &conn_events, &options);
}

void stranger_dial(struct stranger *stranger, unsigned conn, uint64_t node) {
    char url[32];
    cr_assert_not(stranger->conns[conn].is_open);
    snprintf(url, sizeof(url), "tcp://m%u:2888", (unsigned)node);
    stranger->conn = conn;
    stranger->url = url;
    act(stranger, dial_act);
}

static void say_act(struct stranger *self) {
    rt_conn_send(&self->conns[self->conn].conn, self->bytes);
}

void stranger_say(struct stranger *stranger, unsigned conn, struct rt_bytes bytes) {
    if (!stranger->conns[conn].is_open) return;
    stranger->conn = conn;
    stranger->bytes = bytes;
    act(stranger, say_act);
}

void stranger_frame(struct stranger *stranger, unsigned conn, struct rt_bytes frame) {
    uint8_t length[4];
    struct rt_writer w = rt_writer_over(length, sizeof(length));
    rt_write_be32(&w, (uint32_t)frame.size);
    stranger_say(stranger, conn, RT_BYTES(length, sizeof(length)));
    stranger_say(stranger, conn, frame);
}

void stranger_hello(struct stranger *stranger, unsigned conn, uint64_t cluster, uint64_t from,
                    uint64_t to, const char *address) {
    struct meta_peer_hello hello = {.cluster = cluster, .from = from, .to = to};
    struct rt_buf frame = {0};
    struct rt_writer w = rt_writer_into(&frame);
    snprintf(hello.address, sizeof(hello.address), "%s", address);
    meta_peer_hello_encode(&hello, &w);
    stranger_frame(stranger, conn, rt_buf_bytes(&frame));
    rt_buf_fini(&frame);
}

unsigned stranger_open_count(const struct stranger *stranger) {
    unsigned count = 0;
    for (unsigned i = 0; i < STRANGER_CONNS_MAX; i++) count += stranger->conns[i].is_open;
    return count;
}
