// The ZooKeeper server's connections on arbitrary bytes: a few simulated clients do what the input
// says, in the pieces that it says, while the replica is held, interrupted, without a leader. It
// must not crash, hold memory within bounds, and give everything back when it closes.
//
// The input is a list of acts: a byte with the client (high two bits) and the kind of act (low
// four), a size, and so many bytes.
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/backend.h"
#include "runtime/sim/sim.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/meta_zk/fake_replica.h"

enum {
    CLIENTS = 4,
    FRAME_MAX = 4096,
    ACTS_MAX = 400,
    HEAP_MAX = 24 << 20,   // the store's caches and what a few connections may hold
    HEAP_KEPT = 512 << 10  // by the loop and the network, for the next
};

enum act {
    ACT_BYTES,   // as they are
    ACT_FRAME,   // with their length before them
    ACT_HELLO,   // a new session
    ACT_RETURN,  // to the session that the next client has
    ACT_TIME,    // passes
    ACT_HANG_UP,
    ACT_HOLD,
    ACT_GO_ON,
    ACT_INTERRUPT,
    ACT_EXPIRE,
    ACT_LEADER,
    ACT_DEAF,  // reads no more, or again
    ACT_NARROW,
    ACT_REFUSE
};

struct client {
    struct rt_conn conn;
    bool is_open, is_greeted, is_deaf;
    int64_t session;
    uint8_t password[PROTO_ZK_PASSWORD_SIZE];
};

struct fuzz {
    struct rt_sim *sim;
    struct rt_sim_program program;
    struct rt_machine *machine;
    struct rt_loop *loop;
    struct meta_replica replica;
    struct meta_server *server;
    struct rt_task task, closed;
    bool is_done, is_closed, has_leader;
    struct client clients[CLIENTS];
    size_t heap;
    enum act act;
    struct client *client;
    struct rt_bytes bytes;
    void (*run)(struct fuzz *fuzz);
};

static size_t heap_bytes(void) {
    struct rt_heap *heap = rt_heap_enter(NULL);  // to learn which it is
    rt_heap_enter(heap);
    return rt_heap_bytes(heap);
}

// CLIENTS

static void on_frame(struct rt_conn *conn, const struct rt_frame *frame) {
    struct client *client = rt_container_of(conn, struct client, conn);
    struct proto_zk_connected connected;
    if (client->is_greeted) return;
    client->is_greeted = true;
    if (proto_zk_connected_decode(rt_frame_bytes(frame, 0, frame->size), &connected)) return;
    client->session = connected.session_id;
    memcpy(client->password, connected.password, sizeof(client->password));
}

static void on_closed(struct rt_conn *conn, rt_err why) {
    (void)why;  // however it ends
    rt_container_of(conn, struct client, conn)->is_open = false;
}

static const struct rt_conn_events client_events = {
    .name = "client", .on_frame = on_frame, .on_closed = on_closed};

static void dial(struct fuzz *fuzz, struct client *client) {
    const struct rt_stream_options options = {.frame_size_max = 16 << 20};
    if (client->is_open) return;
    client->is_open = true;
    client->is_greeted = client->is_deaf = false;
    rt_conn_dial(&client->conn, fuzz->loop, "tcp://a:2181", &client_events, &options);
}

static void say_frame(struct client *client, struct rt_bytes payload) {
    uint8_t length[4];
    struct rt_writer w = rt_writer_over(length, sizeof(length));
    rt_write_be32(&w, (uint32_t)payload.size);
    rt_conn_send(&client->conn, RT_BYTES(length, sizeof(length)));
    rt_conn_send(&client->conn, payload);
}

static void hello(struct fuzz *fuzz, struct client *client, const struct client *other) {
    struct proto_zk_connect connect = {.timeout_ms = 10000, .has_read_only = true};
    struct rt_buf payload = {0};
    struct rt_writer w = rt_writer_into(&payload);
    if (other) {
        connect.session_id = other->session;
        connect.password = RT_BYTES(other->password, sizeof(other->password));
    }
    if (fuzz->bytes.size) connect.timeout_ms = fuzz->bytes.data[0] * 1000;
    proto_zk_connect_encode(&connect, &w);
    say_frame(client, rt_buf_bytes(&payload));
    rt_buf_fini(&payload);
}

static void deafen(struct client *client) {
    client->is_deaf = !client->is_deaf;
    if (client->is_deaf)
        rt_conn_pause(&client->conn);
    else
        rt_conn_resume(&client->conn);
}

static void lead(struct fuzz *fuzz) {
    fuzz->has_leader = !fuzz->has_leader;
    fake_replica_lead(&fuzz->replica, fuzz->has_leader);
}

static void act_run(struct fuzz *fuzz) {
    struct client *client = fuzz->client;
    struct meta_replica *replica = &fuzz->replica;
    size_t next = (size_t)(client - fuzz->clients + 1) % CLIENTS;
    if (fuzz->act <= ACT_RETURN) dial(fuzz, client);
    switch (fuzz->act) {
    case ACT_BYTES: rt_conn_send(&client->conn, fuzz->bytes); break;
    case ACT_FRAME: say_frame(client, fuzz->bytes); break;
    case ACT_HELLO: hello(fuzz, client, NULL); break;
    case ACT_RETURN: hello(fuzz, client, &fuzz->clients[next]); break;
    case ACT_TIME: break;
    case ACT_HANG_UP:
        if (client->is_open) rt_conn_close(&client->conn, RT_OK);
        break;
    case ACT_HOLD: replica->holds = true; break;
    case ACT_GO_ON: fake_replica_release(replica); break;
    case ACT_INTERRUPT: fake_replica_interrupt(replica); break;
    case ACT_EXPIRE: fake_replica_expire(replica, client->session); break;
    case ACT_LEADER: lead(fuzz); break;
    case ACT_DEAF:
        if (client->is_open) deafen(client);
        break;
    case ACT_NARROW: replica->is_narrow = !replica->is_narrow; break;
    case ACT_REFUSE:
        if (replica->queued) fake_replica_refuse_last(replica);
        break;
    }
    assert(heap_bytes() < HEAP_MAX);
}

// THE NODE

static void boot(struct rt_sim_program *program, struct rt_machine *machine) {
    struct fuzz *fuzz = rt_container_of(program, struct fuzz, program);
    fuzz->machine = machine;
    fuzz->loop = rt_machine_loop(machine, 0);
}

static void task_run(struct rt_task *task) {
    struct fuzz *fuzz = rt_container_of(task, struct fuzz, task);
    fuzz->run(fuzz);
    fuzz->is_done = true;
}

// In a turn of the loop, then for some time.
static void turn(struct fuzz *fuzz, void (*run)(struct fuzz *), uint64_t us) {
    fuzz->run = run;
    fuzz->is_done = false;
    rt_task_init(&fuzz->task, task_run, "fuzz");
    rt_post(fuzz->loop, &fuzz->task);
    while (!fuzz->is_done) {
        bool more = rt_sim_step(fuzz->sim);
        assert(more);
    }
    rt_sim_run_for(fuzz->sim, us * RT_NS_PER_US);
}

static void open_run(struct fuzz *fuzz) {
    const struct meta_server_options options = {.client_listen = "tcp://a:2181",
                                                .frame_size_max = FRAME_MAX,
                                                .outstanding_max = 20,
                                                .words = "*",
                                                .extended_types = true,
                                                .reconfig_enabled = true,
                                                .server_id = FAKE_NODE_ID};
    fuzz->heap = heap_bytes();
    fake_replica_open(&fuzz->replica, fuzz->machine, fuzz->loop);
    fuzz->server = meta_server_new(fuzz->machine, fuzz->loop, &options, &fuzz->replica);
    fuzz->replica.server = fuzz->server;
    rt_err err = meta_server_listen(fuzz->server, NULL);
    assert(!err);
}

static void closed_run(struct rt_task *task) {
    rt_container_of(task, struct fuzz, closed)->is_closed = true;
}

static void close_run(struct fuzz *fuzz) {
    fuzz->replica.server = NULL;
    for (size_t i = 0; i < CLIENTS; i++) {
        if (fuzz->clients[i].is_open && fuzz->clients[i].is_deaf) deafen(&fuzz->clients[i]);
    }
    rt_task_init(&fuzz->closed, closed_run, "fuzz.closed");
    meta_server_close(fuzz->server, &fuzz->closed);
}

static void gone_run(struct fuzz *fuzz) {
    fake_replica_close(&fuzz->replica);
    assert(heap_bytes() <= fuzz->heap + HEAP_KEPT);
}

static void acts_run(struct fuzz *fuzz, struct rt_bytes input) {
    struct rt_reader r = rt_reader_over(input);
    for (unsigned i = 0; i < ACTS_MAX && rt_reader_left(&r) >= 2; i++) {
        unsigned what = rt_read_u8(&r);
        size_t size = rt_read_u8(&r);
        if (size > rt_reader_left(&r)) size = rt_reader_left(&r);
        fuzz->bytes = rt_read_bytes(&r, size);
        fuzz->client = &fuzz->clients[what >> 6];
        fuzz->act = (enum act)((what & 15u) % (ACT_REFUSE + 1u));
        uint64_t us = 1 + (what >> 4 & 3u) * 300;
        if (fuzz->act == ACT_TIME && size) us = fuzz->bytes.data[0] * 50000u;
        turn(fuzz, act_run, us);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fuzz *fuzz = calloc(1, sizeof(*fuzz));
    if (!fuzz) abort();
    *fuzz = (struct fuzz){.program.boot = boot, .has_leader = true};
    fuzz->sim = rt_sim_new(&(struct rt_sim_options){.seed = 1});
    rt_sim_start(rt_sim_node_add(fuzz->sim, "a", 1, &fuzz->program));
    while (!fuzz->machine) rt_sim_step(fuzz->sim);
    turn(fuzz, open_run, 1000);
    acts_run(fuzz, RT_BYTES(data, size));
    turn(fuzz, close_run, 60000000);
    assert(fuzz->is_closed);
    for (size_t i = 0; i < CLIENTS; i++) assert(!fuzz->clients[i].is_open);
    turn(fuzz, gone_run, 1000);
    assert(!rt_sim_failed(fuzz->sim));
    rt_sim_free(fuzz->sim);
    free(fuzz);
    return 0;
}
