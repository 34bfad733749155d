// A ZooKeeper server that knows no tree: it notes what it is asked and answers what is expected.
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/meta_client/stage.h"

struct fake_conn {
    struct rt_conn conn;
    struct fake *fake;
    bool is_attached;
};

// SENDING

static void frame_send(struct fake_conn *conn, struct rt_buf *buf) {
    uint8_t prefix[4];
    struct rt_writer w = rt_writer_over(prefix, sizeof(prefix));
    rt_write_be32(&w, (uint32_t)buf->size);
    rt_conn_send(&conn->conn, RT_BYTES(prefix, sizeof(prefix)));
    rt_conn_send(&conn->conn, rt_buf_bytes(buf));
    rt_buf_fini(buf);
}

void fake_conn_reply(struct fake_conn *conn, const struct proto_zk_reply *reply, int32_t opcode) {
    struct rt_buf buf = {0};
    struct rt_writer w = rt_writer_into(&buf);
    proto_zk_reply_encode(reply, opcode, &w);
    frame_send(conn, &buf);
}

void fake_conn_hang_up(struct fake_conn *conn) {
    rt_conn_close(&conn->conn, RT_OK);
}

void fake_post(struct fake *fake, struct rt_task *task) {
    rt_post(fake->loop, task);
}

struct fake *fake_of(struct fake_conn *conn) {
    return conn->fake;
}

static void reply_send(struct fake_conn *conn, int32_t xid, int32_t opcode, int32_t err,
                       struct rt_bytes path) {
    struct stage *stage = conn->fake->stage;
    static const struct rt_bytes names[] = {{(const uint8_t *)"x", 1}};
    struct proto_zk_reply reply = {
        .header = {.xid = xid, .zxid = ++stage->zxid, .err = err},
        .body = {.path = path, .data = RT_BYTES_LITERAL("v"), .names = {names, 1, false}}};
    if (stage->reply_data.size > 0) reply.body.data = stage->reply_data;
    fake_conn_reply(conn, &reply, opcode);
}

// REQUESTS

enum { NOTED_MAX = 100 };  // bytes of a path

static void note_strings(struct stage_log *log, const char *name,
                         const struct proto_zk_strings *strings) {
    if (strings->count == 0) return;
    stage_note(log, " %s=", name);
    if (strings->count > 8 || strings->items[0].size > NOTED_MAX) {
        stage_note(log, "(%zu)", strings->count);
        return;
    }
    for (size_t i = 0; i < strings->count; i++) {
        stage_note(log, "%s%.*s", i > 0 ? "," : "", (int)strings->items[i].size,
                   (const char *)strings->items[i].data);
    }
}

static bool is_read(int32_t opcode) {
    return opcode == PROTO_ZK_OP_GET_DATA || opcode == PROTO_ZK_OP_EXISTS ||
           opcode == PROTO_ZK_OP_GET_CHILDREN || opcode == PROTO_ZK_OP_GET_CHILDREN2;
}

static void note(struct fake *fake, const struct proto_zk_request *request) {
    struct stage_log *log = &fake->stage->server_log;
    const struct proto_zk_op *op = &request->op;
    stage_note(log, "%u:%s", fake->number, proto_zk_op_name(op->opcode));
    if (op->opcode == PROTO_ZK_OP_AUTH) {
        stage_note(log, " %.*s:%.*s", (int)op->auth.scheme.size, (const char *)op->auth.scheme.data,
                   (int)op->auth.auth.size, (const char *)op->auth.auth.data);
        if (!op->auth.auth.data) stage_note(log, "(null)");
    } else if (op->opcode == PROTO_ZK_OP_SET_WATCHES || op->opcode == PROTO_ZK_OP_SET_WATCHES2) {
        stage_note(log, " zxid=%" PRId64, op->set_watches.relative_zxid);
        note_strings(log, "data", &op->set_watches.data);
        note_strings(log, "exist", &op->set_watches.exist);
        note_strings(log, "child", &op->set_watches.child);
        note_strings(log, "persistent", &op->set_watches.persistent);
        note_strings(log, "recursive", &op->set_watches.persistent_recursive);
    } else if (op->opcode == PROTO_ZK_OP_MULTI || op->opcode == PROTO_ZK_OP_MULTI_READ) {
        for (size_t i = 0; i < request->op_count; i++) {
            stage_note(log, " %s(%.*s)", proto_zk_op_name(request->ops[i].opcode),
                       (int)request->ops[i].path.size, (const char *)request->ops[i].path.data);
        }
    } else if (op->opcode != PROTO_ZK_OP_CLOSE_SESSION && op->opcode != PROTO_ZK_OP_WHO_AM_I &&
               op->opcode != PROTO_ZK_OP_RECONFIG) {
        size_t size = op->path.size < NOTED_MAX ? op->path.size : NOTED_MAX;
        stage_note(log, " %.*s", (int)size, (const char *)op->path.data);
        if (is_read(op->opcode) && op->read.watch) stage_note(log, " watch");
    }
    stage_note(log, "; ");
}

// A path that ends in "missing" names no node.
static int32_t err_of(const struct fake *fake, int32_t opcode, struct rt_bytes path) {
    static const char missing[] = "missing";
    size_t size = sizeof(missing) - 1;
    if (opcode == PROTO_ZK_OP_AUTH)
        return fake->refuses_auth ? PROTO_ZK_ERR_AUTHFAILED : PROTO_ZK_ERR_OK;
    bool is_missing = path.size >= size && memcmp(path.data + path.size - size, missing, size) == 0;
    return is_read(opcode) && is_missing ? PROTO_ZK_ERR_NONODE : PROTO_ZK_ERR_OK;
}

static bool has_path(int32_t opcode) {
    return opcode > 0 && opcode < PROTO_ZK_OP_AUTH && opcode != PROTO_ZK_OP_PING &&
           opcode != PROTO_ZK_OP_MULTI && opcode != PROTO_ZK_OP_MULTI_READ &&
           opcode != PROTO_ZK_OP_RECONFIG;
}

static void hold(struct fake *fake, const struct proto_zk_request *request, struct rt_bytes path) {
    cr_assert(fake->held_count < STAGE_OPS);
    struct fake_held *held = &fake->held[fake->held_count++];
    *held = (struct fake_held){.xid = request->xid, .opcode = request->op.opcode};
    snprintf(held->path, sizeof(held->path), "%.*s", (int)path.size, (const char *)path.data);
}

static void count_watches(struct fake *fake, const struct proto_zk_op *op) {
    if (op->opcode != PROTO_ZK_OP_SET_WATCHES && op->opcode != PROTO_ZK_OP_SET_WATCHES2) return;
    const struct proto_zk_set_watches *set = &op->set_watches;
    size_t count = set->data.count + set->exist.count + set->child.count;
    if (op->opcode == PROTO_ZK_OP_SET_WATCHES2)
        count += set->persistent.count + set->persistent_recursive.count;
    fake->set_watches++;
    fake->set_watches_paths += (unsigned)count;
}

static void serve(struct fake_conn *conn, const struct proto_zk_request *request) {
    struct fake *fake = conn->fake;
    int32_t opcode = request->op.opcode;
    struct rt_bytes path = has_path(opcode) ? request->op.path : RT_BYTES_LITERAL("");
    note(fake, request);
    count_watches(fake, &request->op);
    if (fake->serve)
        fake->serve(conn, request);
    else if (fake->holds)
        hold(fake, request, path);
    else
        reply_send(conn, request->xid, opcode, err_of(fake, opcode, path), path);
    if (opcode == PROTO_ZK_OP_CLOSE_SESSION && !fake->holds) rt_conn_finish(&conn->conn);
}

static void on_request(struct fake_conn *conn, struct rt_bytes payload) {
    struct fake *fake = conn->fake;
    struct rt_arena arena = {0};
    struct proto_zk_request request;
    rt_err err = proto_zk_request_decode(payload, &arena, &request);
    cr_assert(!err);
    if (payload.size > fake->request_size_max) fake->request_size_max = payload.size;
    if (request.op.opcode == PROTO_ZK_OP_PING) {
        fake->pings++;
        if (!fake->ignores_pings)
            reply_send(conn, request.xid, PROTO_ZK_OP_PING, 0, RT_BYTES_LITERAL(""));
    } else {
        serve(conn, &request);
    }
    rt_arena_fini(&arena);
}

// HANDSHAKE

static void on_connect(struct fake_conn *conn, struct rt_bytes payload) {
    struct fake *fake = conn->fake;
    struct proto_zk_connect connect;
    rt_err err = proto_zk_connect_decode(payload, &connect);
    cr_assert(!err);
    stage_note(&fake->stage->server_log, "%u:connect session=%" PRIx64 " zxid=%" PRId64 "; ",
               fake->number, (uint64_t)connect.session_id, connect.last_zxid_seen);
    cr_assert_eq(connect.password.size, PROTO_ZK_PASSWORD_SIZE);
    memcpy(fake->password, connect.password.data, PROTO_ZK_PASSWORD_SIZE);
    conn->is_attached = fake->mode == FAKE_IS_SILENT;  // a test may accept in its place
    if (fake->mode == FAKE_IS_SILENT) return;
    if (fake->mode == FAKE_HANGS_UP) {
        rt_conn_close(&conn->conn, RT_OK);
        return;
    }
    struct proto_zk_connected connected = {.timeout_ms = connect.timeout_ms,
                                           .session_id = STAGE_SESSION,
                                           .password = "0123456789abcde",
                                           .has_read_only = connect.has_read_only};
    if (fake->grants_ms) connected.timeout_ms = fake->grants_ms;
    if (fake->mode == FAKE_GIVES_ANOTHER) connected.session_id++;
    if (fake->mode == FAKE_EXPIRES)
        connected = (struct proto_zk_connected){.has_read_only = connect.has_read_only};
    struct rt_buf buf = {0};
    struct rt_writer w = rt_writer_into(&buf);
    proto_zk_connected_encode(&connected, &w);
    frame_send(conn, &buf);
    conn->is_attached = true;
    if (fake->attached) fake->attached(conn, true);
    if (fake->pauses) rt_conn_pause(&conn->conn);
}

// CONNECTIONS

static void on_frame(struct rt_conn *rt_conn, const struct rt_frame *frame) {
    struct fake_conn *conn = rt_container_of(rt_conn, struct fake_conn, conn);
    struct rt_bytes payload = rt_frame_bytes(frame, 0, frame->size);
    if (conn->is_attached)
        on_request(conn, payload);
    else
        on_connect(conn, payload);
}

static void on_closed(struct rt_conn *rt_conn, rt_err why) {
    struct fake_conn *conn = rt_container_of(rt_conn, struct fake_conn, conn);
    (void)why;  // the client's transcript says what matters
    if (conn->fake->conn == conn) conn->fake->conn = NULL;
    if (conn->fake->attached) conn->fake->attached(conn, false);
    rt_free(conn);
}

static const struct rt_conn_events conn_events = {
    .name = "fake", .on_frame = on_frame, .on_closed = on_closed};

static void on_incoming(struct rt_listener *listener, struct rt_loop *loop,
                        struct rt_incoming *incoming) {
    struct fake *fake = rt_container_of(listener, struct fake, listener);
    struct fake_conn *conn = RT_NEW(struct fake_conn);
    conn->fake = fake;
    fake->conn = conn;
    fake->accepted++;
    struct rt_stream_options options = {.framing = RT_FRAMES_BE32, .frame_size_max = 4 << 20};
    rt_conn_accept(&conn->conn, loop, incoming, &conn_events, &options);
}

static const struct rt_listener_events listener_events = {.name = "fake",
                                                          .on_incoming = on_incoming};

static void boot(struct rt_sim_program *program, struct rt_machine *machine) {
    struct fake *fake = rt_container_of(program, struct fake, program);
    fake->loop = rt_machine_loop(machine, 0);
    rt_err err = rt_listener_open(&fake->listener, fake->loop, "tcp://*:2181", &listener_events,
                                  false, NULL, NULL);
    cr_assert(!err);
}

static void crashed(struct rt_sim_program *program) {
    struct fake *fake = rt_container_of(program, struct fake, program);
    fake->conn = NULL;
}

void fake_init(struct stage *stage, unsigned index) {
    struct fake *fake = &stage->fakes[index];
    char name[8];
    fake->stage = stage;
    fake->number = index + 1;
    fake->program.boot = boot;
    fake->program.crashed = crashed;
    snprintf(name, sizeof(name), "s%u", fake->number);
    fake->node = rt_sim_node_add(stage->sim, name, 1, &fake->program);
    rt_sim_start(fake->node);
}

// WHAT TESTS MAKE IT DO, each in a turn of its loop

struct deed {
    struct rt_task task;
    struct fake *fake;
    void (*run)(struct deed *deed);
    int32_t xid, opcode, err;
    struct rt_bytes bytes;
    const struct proto_zk_reply *reply;
};

static void deed_run(struct rt_task *task) {
    struct deed *deed = rt_container_of(task, struct deed, task);
    cr_assert(deed->fake->conn, "nobody is connected");
    deed->run(deed);
}

static void deed_do(struct deed *deed) {
    rt_task_init(&deed->task, deed_run, "fake deed");
    rt_post(deed->fake->loop, &deed->task);
    stage_run(deed->fake->stage, 20);
}

void fake_conn_event(struct fake_conn *conn, int32_t type, struct rt_bytes path) {
    struct proto_zk_event event = {
        .type = type, .state = PROTO_ZK_STATE_SYNC_CONNECTED, .path = path};
    struct rt_buf buf = {0};
    struct rt_writer w = rt_writer_into(&buf);
    proto_zk_event_encode(&event, -1, &w);
    frame_send(conn, &buf);
}

static void event_deed(struct deed *deed) {
    fake_conn_event(deed->fake->conn, deed->opcode, deed->bytes);
}

void fake_event(struct fake *fake, int32_t type, const char *path) {
    struct deed deed = {
        .fake = fake, .run = event_deed, .opcode = type, .bytes = rt_bytes_of(path)};
    deed_do(&deed);
}

static void reply_deed(struct deed *deed) {
    reply_send(deed->fake->conn, deed->xid, deed->opcode, deed->err, deed->bytes);
}

void fake_reply(struct fake *fake, int32_t xid, int32_t opcode, int32_t err, const char *path) {
    struct deed deed = {.fake = fake,
                        .run = reply_deed,
                        .xid = xid,
                        .opcode = opcode,
                        .err = err,
                        .bytes = rt_bytes_of(path)};
    deed_do(&deed);
}

static void raw_deed(struct deed *deed) {
    struct rt_buf buf = {0};
    rt_buf_append(&buf, deed->bytes);
    frame_send(deed->fake->conn, &buf);
}

void fake_raw(struct fake *fake, struct rt_bytes frame) {
    struct deed deed = {.fake = fake, .run = raw_deed, .bytes = frame};
    deed_do(&deed);
}

static void bytes_deed(struct deed *deed) {
    rt_conn_send(&deed->fake->conn->conn, deed->bytes);
}

void fake_bytes(struct fake *fake, struct rt_bytes bytes) {
    struct deed deed = {.fake = fake, .run = bytes_deed, .bytes = bytes};
    deed_do(&deed);
}

static void release_deed(struct deed *deed) {
    struct fake *fake = deed->fake;
    for (unsigned i = 0; i < fake->held_count; i++) {
        const struct fake_held *held = &fake->held[i];
        struct rt_bytes path = rt_bytes_of(held->path);
        reply_send(fake->conn, held->xid, held->opcode, err_of(fake, held->opcode, path), path);
    }
    fake->held_count = 0;
    fake->holds = false;
}

void fake_release(struct fake *fake) {
    struct deed deed = {.fake = fake, .run = release_deed};
    deed_do(&deed);
}

static void hang_up_deed(struct deed *deed) {
    rt_conn_close(&deed->fake->conn->conn, RT_OK);
}

void fake_hang_up(struct fake *fake) {
    struct deed deed = {.fake = fake, .run = hang_up_deed};
    fake->held_count = 0;
    deed_do(&deed);
}

static void answer_deed(struct deed *deed) {
    struct fake *fake = deed->fake;
    cr_assert(fake->held_count > 0);
    struct fake_held held = fake->held[0];
    struct proto_zk_reply reply = *deed->reply;
    memmove(&fake->held[0], &fake->held[1], --fake->held_count * sizeof(held));
    reply.header.xid = held.xid;
    if (reply.header.zxid == 0) reply.header.zxid = ++fake->stage->zxid;
    fake_conn_reply(fake->conn, &reply, held.opcode);
}

void fake_answer(struct fake *fake, const struct proto_zk_reply *reply) {
    struct deed deed = {.fake = fake, .run = answer_deed, .reply = reply};
    deed_do(&deed);
}

static void pause_deed(struct deed *deed) {
    rt_conn_pause(&deed->fake->conn->conn);
}

void fake_pause(struct fake *fake) {
    struct deed deed = {.fake = fake, .run = pause_deed};
    deed_do(&deed);
}

static void resume_deed(struct deed *deed) {
    rt_conn_resume(&deed->fake->conn->conn);
}

void fake_resume(struct fake *fake) {
    struct deed deed = {.fake = fake, .run = resume_deed};
    deed_do(&deed);
}
