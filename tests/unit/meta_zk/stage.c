#include "tests/unit/meta_zk/stage.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SETTLE_MS = 50, MULTI_END_SIZE = 9 };

// WHAT IS HEARD

static void hear(struct stage_client *client, const char *format, ...) RT_PRINTF(2, 3);
static void hear(struct stage_client *client, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int size =
        vsnprintf(client->log + client->log_size, STAGE_LOG - client->log_size, format, arguments);
    va_end(arguments);
    client->log_size += (size_t)size;
    if (client->log_size >= STAGE_LOG) client->log_size = STAGE_LOG - 1;
}

static void hear_connected(struct stage_client *client, struct rt_bytes payload) {
    struct proto_zk_connected connected;
    client->is_greeted = true;
    client->connected_size = payload.size;
    if (proto_zk_connected_decode(payload, &connected)) {
        hear(client, "garbage ");
    } else if (connected.session_id == 0) {
        bool is_blank = connected.timeout_ms == 0;
        for (size_t i = 0; i < sizeof(connected.password); i++) is_blank &= !connected.password[i];
        hear(client, is_blank ? "rejected " : "half rejected ");
    } else {
        client->session = connected.session_id;
        client->timeout_ms = connected.timeout_ms;
        memcpy(client->password, connected.password, sizeof(client->password));
        hear(client, "connected %d ", connected.timeout_ms);
    }
}

static void hear_event(struct stage_client *client, struct rt_reader *r) {
    struct proto_zk_event event;
    if (proto_zk_event_decode(r, &event)) {
        hear(client, "garbage ");
        return;
    }
    hear(client, "event %s %.*s ", proto_zk_event_name(event.type), (int)event.path.size,
         (const char *)event.path.data);
}

static int32_t opcode_of(const struct stage_client *client, int32_t xid) {
    for (unsigned i = client->asked_count; i-- > 0 && i + STAGE_ASKED > client->asked_count;) {
        if (client->asked[i % STAGE_ASKED].xid == xid) return client->asked[i % STAGE_ASKED].opcode;
    }
    return 0;
}

static void hear_body(struct stage_client *client, const struct proto_zk_reply *reply) {
    const struct proto_zk_body *body = &reply->body;
    if (body->path.size) hear(client, "=%.*s", (int)body->path.size, (const char *)body->path.data);
    if (body->data.size) hear(client, "=%.*s", (int)body->data.size, (const char *)body->data.data);
    for (size_t i = 0; i < body->names.count; i++)
        hear(client, "%s%.*s", i ? "," : "=", (int)body->names.items[i].size,
             (const char *)body->names.items[i].data);
    for (size_t i = 0; i < body->ids.count; i++)
        hear(client, "%s%.*s:%.*s", i ? "," : "=", (int)body->ids.items[i].scheme.size,
             (const char *)body->ids.items[i].scheme.data, (int)body->ids.items[i].id.size,
             (const char *)body->ids.items[i].id.data);
    for (size_t i = 0; i < reply->result_count; i++)
        hear(client, "%s%s", i ? "," : "=", proto_zk_err_name(reply->results[i].err));
}

static void hear_reply(struct stage_client *client, struct rt_bytes payload) {
    struct rt_arena arena = {0};
    struct proto_zk_reply reply = {0};
    struct rt_reader r = rt_reader_over(payload);
    if (proto_zk_reply_header_decode(&r, &reply.header)) {
        hear(client, "garbage ");
        return;
    }
    if (reply.header.xid == PROTO_ZK_XID_EVENT) {
        hear_event(client, &r);
        return;
    }
    client->replies++;
    if (client->counts_only) return;
    if (reply.header.zxid > 0) {
        cr_assert_leq(client->last_zxid, reply.header.zxid, "zxids of replies never fall");
        client->last_zxid = reply.header.zxid;
    }
    int32_t opcode = opcode_of(client, reply.header.xid);
    hear(client, "%d:%s", reply.header.xid, proto_zk_err_name(reply.header.err));
    rt_err err = RT_OK;
    if (!reply.header.err) err = proto_zk_reply_body_decode(&r, opcode, &arena, &reply);
    size_t behind = opcode == PROTO_ZK_OP_MULTI ? MULTI_END_SIZE : 0;
    bool is_whole = !err && rt_reader_left(&r) == (reply.header.err ? 0 : behind);
    if (!reply.header.err && is_whole) hear_body(client, &reply);
    hear(client, is_whole ? " " : " garbage ");
    rt_arena_fini(&arena);
}

static void on_frame(struct rt_conn *conn, const struct rt_frame *frame) {
    struct stage_client *client = rt_container_of(conn, struct stage_client, conn);
    struct rt_bytes payload = rt_frame_bytes(frame, 0, frame->size);
    client->raw_bytes += payload.size;
    if (client->is_raw) {
        if (!client->counts_only)
            hear(client, "%s%.*s", client->is_greeted ? "" : "text ", (int)payload.size,
                 (const char *)payload.data);
        client->is_greeted = true;
    } else if (!client->is_greeted) {
        hear_connected(client, payload);
    } else {
        hear_reply(client, payload);
    }
}

static void on_closed(struct rt_conn *conn, rt_err why) {
    struct stage_client *client = rt_container_of(conn, struct stage_client, conn);
    (void)why;  // a reset or an end: both are how servers close
    client->is_open = false;
    hear(client, "closed ");
}

static const struct rt_conn_events client_events = {
    .name = "client", .on_frame = on_frame, .on_closed = on_closed};

// ACTING

struct act {
    struct rt_task task;
    struct stage *stage;
    void (*run)(struct stage *stage);
    bool is_done;
};

static void act_run(struct rt_task *task) {
    struct act *act = rt_container_of(task, struct act, task);
    act->run(act->stage);
    act->is_done = true;
}

void stage_run(struct stage *stage, uint64_t ms) {
    rt_sim_run_for(stage->sim, ms * RT_NS_PER_MS);
}

void stage_act(struct stage *stage, void (*run)(struct stage *stage)) {
    struct act act = {.stage = stage, .run = run};
    rt_task_init(&act.task, act_run, "test act");
    rt_post(stage->loop, &act.task);
    while (!act.is_done) cr_assert(rt_sim_step(stage->sim));
    stage_run(stage, SETTLE_MS);
}

// LIFE

static void boot(struct rt_sim_program *program, struct rt_machine *machine) {
    struct stage *stage = rt_container_of(program, struct stage, program);
    stage->machine = machine;
    stage->loop = rt_machine_loop(machine, 0);
}

static void closed_run(struct rt_task *task) {
    rt_container_of(task, struct stage, closed)->is_closed = true;
}

void stage_init(struct stage *stage) {
    *stage = (struct stage){.program.boot = boot};
    stage->sim = rt_sim_new(&(struct rt_sim_options){.seed = 3});
    stage->node = rt_sim_node_add(stage->sim, "a", 1, &stage->program);
    rt_sim_start(stage->node);
    rt_task_init(&stage->closed, closed_run, "test closed");
    stage->options =
        (struct meta_server_options){.client_listen = "tcp://a:2181", .server_id = FAKE_NODE_ID};
    for (unsigned i = 0; i < STAGE_CLIENTS; i++) {
        stage->clients[i].stage = stage;
        stage->clients[i].out = malloc(STAGE_OUT);
        cr_assert_not_null(stage->clients[i].out);
    }
    stage_run(stage, SETTLE_MS);
}

static void open_act(struct stage *stage) {
    struct rt_why why = {{0}};
    fake_replica_open(&stage->replica, stage->machine, stage->loop);
    stage->server = meta_server_new(stage->machine, stage->loop, &stage->options, &stage->replica);
    stage->replica.server = stage->server;
    cr_assert_eq(meta_server_listen(stage->server, &why), RT_OK, "%s", why.text);
}

void stage_open(struct stage *stage) {
    stage_act(stage, open_act);
}

static void close_act(struct stage *stage) {
    stage->replica.server = NULL;
    meta_server_close(stage->server, &stage->closed);
}

static void gone_act(struct stage *stage) {
    fake_replica_close(&stage->replica);
}

void stage_close(struct stage *stage) {
    stage_act(stage, close_act);
    stage_run(stage, 60000);
    cr_assert(stage->is_closed, "everything is given back");
    for (unsigned i = 0; i < STAGE_CLIENTS; i++) {
        cr_assert(!stage->clients[i].is_open, "the server closed its connections");
        free(stage->clients[i].out);
    }
    stage_act(stage, gone_act);
    cr_assert(!rt_sim_failed(stage->sim), "%s", rt_sim_failure(stage->sim));
    rt_sim_free(stage->sim);
}

// CLIENTS

struct client_act {
    struct rt_task task;
    struct stage_client *client;
    void (*run)(struct stage_client *client);
    bool is_done;
};

static void client_act_run(struct rt_task *task) {
    struct client_act *act = rt_container_of(task, struct client_act, task);
    act->run(act->client);
    act->is_done = true;
}

static void client_act(struct stage *stage, unsigned client,
                       void (*run)(struct stage_client *client)) {
    struct client_act act = {.client = &stage->clients[client], .run = run};
    rt_task_init(&act.task, client_act_run, "client act");
    rt_post(stage->loop, &act.task);
    while (!act.is_done) cr_assert(rt_sim_step(stage->sim));
}

static void dial_run(struct stage_client *client) {
    const struct rt_stream_options options = {.framing =
                                                  client->is_raw ? RT_FRAMES_RAW : RT_FRAMES_BE32,
                                              .frame_size_max = 16 << 20,
                                              .open_timeout_ms = RT_NO_TIMEOUT};
    client->is_open = true;
    client->is_greeted = false;
    client->last_zxid = 0;
    rt_conn_dial(&client->conn, client->stage->loop, "tcp://a:2181", &client_events, &options);
}

void stage_dial(struct stage *stage, unsigned client) {
    cr_assert(!stage->clients[client].is_open);
    client_act(stage, client, dial_run);
}

struct proto_zk_connect stage_hello_new(void) {
    return (struct proto_zk_connect){.timeout_ms = 10000, .has_read_only = true};
}

void stage_bytes(struct stage *stage, unsigned client, struct rt_bytes bytes) {
    struct stage_client *self = &stage->clients[client];
    cr_assert_leq(self->out_size + bytes.size, STAGE_OUT);
    if (bytes.size) memcpy(self->out + self->out_size, bytes.data, bytes.size);
    self->out_size += bytes.size;
}

void stage_frame(struct stage *stage, unsigned client, struct rt_bytes payload) {
    uint8_t length[4];
    struct rt_writer w = rt_writer_over(length, sizeof(length));
    rt_write_be32(&w, (uint32_t)payload.size);
    stage_bytes(stage, client, RT_BYTES(length, sizeof(length)));
    stage_bytes(stage, client, payload);
}

void stage_hello(struct stage *stage, unsigned client, const struct proto_zk_connect *connect) {
    struct rt_buf payload = {0};
    struct rt_writer w = rt_writer_into(&payload);
    proto_zk_connect_encode(connect, &w);
    stage_frame(stage, client, rt_buf_bytes(&payload));
    rt_buf_fini(&payload);
}

void stage_hello_again(struct stage *stage, unsigned client, unsigned other) {
    const struct stage_client *known = &stage->clients[other];
    struct proto_zk_connect connect = stage_hello_new();
    connect.session_id = known->session;
    connect.password = RT_BYTES(known->password, sizeof(known->password));
    stage_hello(stage, client, &connect);
}

void stage_ask(struct stage *stage, unsigned client, int32_t xid, const struct proto_zk_op *op) {
    struct stage_client *self = &stage->clients[client];
    const struct proto_zk_request request = {.xid = xid, .op = *op};
    struct rt_buf payload = {0};
    struct rt_writer w = rt_writer_into(&payload);
    proto_zk_request_encode(&request, &w);
    unsigned at = self->asked_count++ % STAGE_ASKED;
    self->asked[at].xid = xid;
    self->asked[at].opcode = op->opcode;
    stage_frame(stage, client, rt_buf_bytes(&payload));
    rt_buf_fini(&payload);
}

static void send_run(struct stage_client *client) {
    if (client->is_open) rt_conn_send(&client->conn, RT_BYTES(client->out, client->out_size));
    client->out_size = 0;
}

void stage_send(struct stage *stage) {
    for (unsigned i = 0; i < STAGE_CLIENTS; i++) {
        if (stage->clients[i].out_size) client_act(stage, i, send_run);
    }
}

void stage_go(struct stage *stage) {
    stage_send(stage);
    stage_run(stage, SETTLE_MS);
}

void stage_slow_workers(struct stage *stage, uint64_t ms) {
    rt_sim_cpu(stage->node, 0, RT_NS_PER_US, ms * RT_NS_PER_MS, ms * RT_NS_PER_MS);
}

static void hang_up_run(struct stage_client *client) {
    rt_conn_close(&client->conn, RT_OK);
}

void stage_hang_up(struct stage *stage, unsigned client) {
    client_act(stage, client, hang_up_run);
    stage_run(stage, SETTLE_MS);
}

void stage_enter(struct stage *stage, unsigned client) {
    const struct proto_zk_connect connect = stage_hello_new();
    stage_dial(stage, client);
    stage_hello(stage, client, &connect);
    stage_go(stage);
    stage_expect(stage, client, "connected 10000 ");
}

void stage_expect(struct stage *stage, unsigned client, const char *expected) {
    struct stage_client *self = &stage->clients[client];
    self->log[self->log_size] = '\0';
    cr_expect_str_eq(self->log, expected, "client %u heard: %s\n expected: %s", client, self->log,
                     expected);
    self->log_size = 0;
    self->log[0] = '\0';
}

// OPERATIONS

struct proto_zk_op stage_read(int32_t opcode, const char *path, bool watch) {
    return (struct proto_zk_op){.opcode = opcode, .read = {rt_bytes_of(path), watch}};
}

struct proto_zk_op stage_path(int32_t opcode, const char *path) {
    return (struct proto_zk_op){.opcode = opcode, .path = rt_bytes_of(path)};
}

static const struct proto_zk_acl open_to_all = {
    PROTO_ZK_PERM_ALL, {RT_BYTES_LITERAL("world"), RT_BYTES_LITERAL("anyone")}};

struct proto_zk_op stage_create(const char *path, const char *data, int32_t flags) {
    return (struct proto_zk_op){.opcode = PROTO_ZK_OP_CREATE,
                                .create = {.path = rt_bytes_of(path),
                                           .data = rt_bytes_of(data),
                                           .acl = {.items = &open_to_all, .count = 1},
                                           .flags = flags}};
}

struct proto_zk_op stage_set(const char *path, const char *data) {
    return (struct proto_zk_op){.opcode = PROTO_ZK_OP_SET_DATA,
                                .set_data = {rt_bytes_of(path), rt_bytes_of(data), -1}};
}

struct proto_zk_op stage_delete(const char *path) {
    return (struct proto_zk_op){.opcode = PROTO_ZK_OP_DELETE, .versioned = {rt_bytes_of(path), -1}};
}

struct proto_zk_op stage_watch(int32_t opcode, const char *path, int32_t type) {
    return (struct proto_zk_op){.opcode = opcode, .watch = {rt_bytes_of(path), type}};
}

struct proto_zk_op stage_auth(const char *scheme, const char *auth) {
    return (struct proto_zk_op){.opcode = PROTO_ZK_OP_AUTH,
                                .auth = {0, rt_bytes_of(scheme), rt_bytes_of(auth)}};
}

struct proto_zk_op stage_bare(int32_t opcode) {
    return (struct proto_zk_op){.opcode = opcode};
}
