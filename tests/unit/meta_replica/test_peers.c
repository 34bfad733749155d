// What strangers may say on a peer port: nothing that harms.
#include <criterion/criterion.h>
#include <string.h>

#include "meta/server/replica/peer_wire.h"
#include "runtime/mem.h"
#include "runtime/random.h"
#include "tests/unit/meta_replica/stage.h"

// A node that dials m1's peer port and sends what it was given.
struct stranger {
    struct rt_sim_program program;
    struct rt_conn conn;
    struct rt_buf says;
    bool is_closed;
};

static void stranger_frame(struct rt_conn *conn, const struct rt_frame *frame) {
    (void)conn, (void)frame;
}

static void stranger_open(struct rt_conn *conn) {
    struct stranger *stranger = rt_container_of(conn, struct stranger, conn);
    rt_conn_send(conn, rt_buf_bytes(&stranger->says));
}

static void stranger_closed(struct rt_conn *conn, rt_err why) {
    (void)why;
    rt_container_of(conn, struct stranger, conn)->is_closed = true;
}

static const struct rt_conn_events stranger_events = {.name = "stranger",
                                                      .on_open = stranger_open,
                                                      .on_frame = stranger_frame,
                                                      .on_closed = stranger_closed};

static void stranger_boot(struct rt_sim_program *program, struct rt_machine *machine) {
    struct stranger *stranger = rt_container_of(program, struct stranger, program);
    const struct rt_stream_options options = {.framing = RT_FRAMES_RAW};
    rt_conn_dial(&stranger->conn, rt_machine_loop(machine, 0), "tcp://m1:2888", &stranger_events,
                 &options);
}

static void frame_say(struct rt_buf *says, struct rt_bytes payload, size_t claimed) {
    struct rt_writer w = rt_writer_into(says);
    rt_write_be32(&w, (uint32_t)claimed);
    rt_write_bytes(&w, payload);
}

static void hello_say(const struct meta_peer_hello *hello, struct rt_buf *body) {
    struct rt_writer w = rt_writer_into(body);
    meta_peer_hello_encode(hello, &w);
}

// Runs three nodes with a stranger that says this; they go on as if nothing had been said.
static bool tell(struct rt_bytes says, uint64_t seed) {
    struct stage *stage = RT_NEW(struct stage);
    struct stranger stranger = {.program = {stranger_boot, NULL}};
    rt_buf_append(&stranger.says, says);
    stage_open(stage, 3, 3, seed);
    struct rt_sim_node *node = rt_sim_node_add(stage->sim, "x", 1, &stranger.program);
    stage_start_all(stage);
    uint64_t leader = stage_leader(stage);
    stage_session(stage, leader, 7, 30000);
    rt_sim_start(node);
    stage_pass(stage, 1000);
    cr_assert_eq(stage_created(stage_node(stage, leader), "/after", 0), 0);
    stage_agree(stage);
    for (uint64_t id = 1; id <= 3; id++) cr_assert_not(stage_node(stage, id)->has_failed);
    stage_pass(stage, 40000);
    bool closed = stranger.is_closed;
    rt_sim_crash(node, RT_SIM_KILL);
    stage_close(stage);
    rt_buf_fini(&stranger.says);
    rt_free(stage);
    return closed;
}

Test(meta_replica_peers, a_length_that_lies_ends_the_connection) {
    struct rt_buf says = {0};
    frame_say(&says, RT_BYTES_LITERAL("x"), 0xfffffff0);
    cr_assert(tell(rt_buf_bytes(&says), 1));
    rt_buf_fini(&says);
}

Test(meta_replica_peers, garbage_instead_of_a_hello_ends_the_connection) {
    struct rt_buf says = {0};
    frame_say(&says, RT_BYTES_LITERAL("GET / HTTP/1.1\r\n\r\n"), 18);
    cr_assert(tell(rt_buf_bytes(&says), 2));
    rt_buf_fini(&says);
}

Test(meta_replica_peers, who_says_nothing_is_not_waited_for) {
    cr_assert(tell((struct rt_bytes){0}, 3));
}

Test(meta_replica_peers, a_hello_to_somebody_else_ends_the_connection) {
    struct meta_peer_hello hello = {.from = 2, .to = 3, .cluster = 5};
    struct rt_buf body = {0}, says = {0};
    hello_say(&hello, &body);
    frame_say(&says, rt_buf_bytes(&body), body.size);
    cr_assert(tell(rt_buf_bytes(&says), 4));
    rt_buf_fini(&body);
    rt_buf_fini(&says);
}

Test(meta_replica_peers, random_frames_behind_a_hello_do_no_harm) {
    struct rt_random random;
    rt_random_seed(&random, 9);
    for (unsigned round = 0; round < 20; round++) {
        struct rt_buf says = {0}, body = {0};
        struct meta_peer_hello hello = {.from = 2, .to = 1};
        hello_say(&hello, &body);
        frame_say(&says, rt_buf_bytes(&body), body.size);
        for (unsigned i = 0; i < 20; i++) {
            uint8_t bytes[200];
            size_t size = 1 + (size_t)rt_random_below(&random, sizeof(bytes) - 1);
            for (size_t k = 0; k < size; k++) bytes[k] = (uint8_t)rt_random_below(&random, 256);
            bytes[0] = (uint8_t)rt_random_below(&random, 8);
            frame_say(&says, RT_BYTES(bytes, size), size);
        }
        tell(rt_buf_bytes(&says), 10 + round);
        rt_buf_fini(&body);
        rt_buf_fini(&says);
    }
}
