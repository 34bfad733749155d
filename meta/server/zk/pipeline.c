// The requests of a connection, answered in the order in which they came.
//
// A command goes to the replica as it comes, so that the log is never behind a reply. A read runs
// when all before it are answered; with nothing before it that is at once, from the frame, without
// a copy. Whoever changes what a connection is (its ids) does it as it comes too, and is answered
// in its place.
#include <assert.h>

#include "meta/server/zk/conn.h"

enum {
    SPARE_MAX = 4096,
    OUTSTANDING_BYTES_MAX = 64 << 20,  // of requests and replies that wait, in the whole server
    TICKET_OFFSET = 20                 // of the ticket in a command (command.h)
};

// PENDINGS

static bool is_over(const struct meta_server *server) {
    return server->outstanding >= server->options.outstanding_max ||
           server->outstanding_bytes >= OUTSTANDING_BYTES_MAX;
}

// Sockets are read again once there is room for some more than one request.
void meta_server_unthrottle(struct meta_server *server) {
    size_t max = server->options.outstanding_max;
    if (server->outstanding > max - 1 - max / 4) return;
    if (server->outstanding_bytes > OUTSTANDING_BYTES_MAX / 2) return;
    while (!rt_list_is_empty(&server->throttled)) {
        struct rt_list *node = rt_list_pop_front(&server->throttled);
        struct meta_conn *conn = rt_container_of(node, struct meta_conn, throttled_link);
        meta_conn_unpause(conn, META_PAUSE_THROTTLED);
    }
}

static void throttle(struct meta_conn *conn) {
    struct meta_server *server = conn->server;
    if (conn->state != META_CONN_READY || !is_over(server)) return;
    if (rt_list_is_linked(&conn->throttled_link)) return;
    meta_conn_pause(conn, META_PAUSE_THROTTLED);
    rt_list_push_back(&server->throttled, &conn->throttled_link);
    server->stats.throttled++;
}

static void charge(struct meta_pending *pending) {
    struct meta_server *server = pending->conn->server;
    server->outstanding_bytes += pending->bytes.size - pending->charged;
    pending->charged = pending->bytes.size;
}

static struct meta_pending *spare_take(struct meta_server *server) {
    if (rt_list_is_empty(&server->spare)) return rt_alloc(sizeof(struct meta_pending));
    server->spare_count--;
    return rt_container_of(rt_list_pop_front(&server->spare), struct meta_pending, link);
}

static void sync_done(struct meta_sync *sync, rt_err err);

struct meta_pending *meta_pending_new(struct meta_conn *conn, const struct meta_asked *asked) {
    struct meta_pending *pending = spare_take(conn->server);
    *pending = (struct meta_pending){
        .conn = conn, .asked = *asked, .id_count = conn->id_count, .sync.done = sync_done};
    rt_list_init(&pending->link);
    rt_list_init(&pending->sync.link);
    rt_list_push_back(&conn->pending, &pending->link);
    conn->pending_count++;
    conn->server->outstanding++;
    return pending;
}

static void settle(struct meta_pending *pending) {
    struct meta_conn *conn = pending->conn;
    if (pending->is_ticketed) HASH_DEL(conn->server->waiting, pending);
    if (pending->is_ticketed || pending->is_syncing) conn->submitted--;
    pending->is_ticketed = pending->is_syncing = false;
}

void meta_pending_bar(struct meta_pending *pending) {
    struct meta_conn *conn = pending->conn;
    if (pending->is_barrier) return;
    pending->is_barrier = true;
    conn->barriers++;
    meta_conn_pause(conn, META_PAUSE_ORDER);
}

static void unbar(struct meta_pending *pending) {
    struct meta_conn *conn = pending->conn;
    if (!pending->is_barrier) return;
    pending->is_barrier = false;
    if (--conn->barriers == 0) meta_conn_unpause(conn, META_PAUSE_ORDER);
}

// What may take a worker, or several turns: were a write behind it taken before it is answered,
// other reads between the two could see the write. Reads of one node do without (reading.c).
static bool holds_writes(int32_t opcode) {
    switch (opcode) {
    case PROTO_ZK_OP_GET_CHILDREN:
    case PROTO_ZK_OP_GET_CHILDREN2:
    case PROTO_ZK_OP_GET_ALL_CHILDREN_NUMBER:
    case PROTO_ZK_OP_GET_EPHEMERALS:
    case PROTO_ZK_OP_MULTI_READ:
    case PROTO_ZK_OP_SET_WATCHES:
    case PROTO_ZK_OP_SET_WATCHES2: return true;
    default: return false;
    }
}

void meta_pending_free(struct meta_pending *pending) {
    struct meta_conn *conn = pending->conn;
    struct meta_server *server = conn->server;
    if (pending->is_syncing) meta_replica_sync_cancel(server->replica, &pending->sync);
    meta_reconfig_forget(server, pending);
    settle(pending);
    unbar(pending);
    rt_list_remove(&pending->link);
    conn->pending_count--;
    server->outstanding--;
    server->outstanding_bytes -= pending->charged;
    rt_buf_fini(&pending->bytes);
    if (server->spare_count < SPARE_MAX) {
        rt_list_push_front(&server->spare, &pending->link);
        server->spare_count++;
    } else {
        rt_free(pending);
    }
    if (!rt_list_is_empty(&server->throttled)) meta_server_unthrottle(server);
}

static bool is_first(const struct meta_pending *pending) {
    return pending->conn->pending.next == &pending->link;
}

// COMMANDS

void meta_pending_command(struct meta_pending *pending, struct meta_command *command) {
    struct meta_server *server = pending->conn->server;
    struct rt_buf *bytes = &pending->bytes;
    command->flags = server->command_flags;
    command->origin = server->options.server_id;
    rt_buf_clear(bytes);
    size_t size = META_COMMAND_HEADER_SIZE + 64;
    if (command->kind == META_REQUEST) {
        size += command->request.payload.size;
        for (size_t i = 0; i < command->request.ids.count; i++)
            size += command->request.ids.items[i].id.size + 16;
    }
    rt_buf_reserve(bytes, size);
    struct rt_writer w = rt_writer_into(bytes);
    meta_command_encode(command, &w);
    charge(pending);
}

static void proposal_count(struct meta_server *server, size_t size) {
    server->proposal_last = (int64_t)size;
    if (server->proposal_min < 0 || (int64_t)size < server->proposal_min)
        server->proposal_min = (int64_t)size;
    if ((int64_t)size > server->proposal_max) server->proposal_max = (int64_t)size;
}

// Tickets are taken in the order of submission, so a command that was refused gets another one.
static void ticket_take(struct meta_server *server, struct meta_pending *pending) {
    pending->ticket = meta_replica_next_ticket(server->replica);
    assert(pending->bytes.size >= META_COMMAND_HEADER_SIZE);
    struct rt_writer w = rt_writer_over(pending->bytes.data + TICKET_OFFSET, sizeof(uint64_t));
    rt_write_be64(&w, pending->ticket);
}

void meta_pending_submit(struct meta_pending *pending) {
    struct meta_conn *conn = pending->conn;
    struct meta_server *server = conn->server;
    settle(pending);
    ticket_take(server, pending);
    size_t size = pending->bytes.size;
    rt_err err = meta_replica_submit(server->replica, &pending->bytes);
    if (err == RT_EBUSY) {
        pending->state = META_PENDING_BUSY;
        meta_conn_pause(conn, META_PAUSE_BUSY);
        if (!rt_list_is_linked(&conn->busy_link))
            rt_list_push_back(&server->busy, &conn->busy_link);
        return;
    }
    if (err) {
        meta_conn_close(conn, err);
        return;
    }
    proposal_count(server, size);
    pending->state = META_PENDING_WAITING;
    pending->is_ticketed = true;
    conn->submitted++;
    HASH_ADD(hh, server->waiting, ticket, sizeof(pending->ticket), pending);
    meta_conn_unpause(conn, META_PAUSE_BUSY);
}

void meta_server_on_drained(struct meta_server *server) {
    struct rt_list busy;
    rt_list_init(&busy);
    rt_list_splice(&busy, &server->busy);
    while (!rt_list_is_empty(&busy)) {
        struct rt_list *node = rt_list_pop_front(&busy);
        struct meta_conn *conn = rt_container_of(node, struct meta_conn, busy_link);
        assert(!rt_list_is_empty(&conn->pending));
        struct meta_pending *last = rt_container_of(conn->pending.prev, struct meta_pending, link);
        assert(last->state == META_PENDING_BUSY);  // nothing was read behind it
        meta_pending_submit(last);
        if (rt_list_is_empty(&server->busy)) continue;
        rt_list_splice(&server->busy, &busy);  // still busy: the others keep their places
        return;
    }
}

static void command_ask(struct meta_conn *conn, const struct meta_asked *asked,
                        struct rt_bytes payload) {
    struct meta_command command = {.kind = META_REQUEST,
                                   .session = conn->session,
                                   .attachment = conn->attachment,
                                   .request = {meta_conn_ids(conn), payload}};
    struct meta_pending *pending = meta_pending_new(conn, asked);
    meta_pending_command(pending, &command);
    meta_pending_submit(pending);
}

static void close_session_ask(struct meta_conn *conn, const struct meta_asked *asked) {
    struct meta_command command = {
        .kind = META_CLOSE_SESSION, .session = conn->session, .attachment = conn->attachment};
    struct meta_pending *pending = meta_pending_new(conn, asked);
    pending->is_last = true;
    meta_conn_pause(conn, META_PAUSE_LAST);
    meta_pending_command(pending, &command);
    meta_pending_submit(pending);
}

// ANSWERS

static void reply_end(struct meta_conn *conn, bool is_last) {
    if (is_last)
        meta_conn_finish(conn);
    else
        meta_conn_advance(conn);
}

void meta_pending_answer(struct meta_pending *pending, struct proto_zk_reply *reply) {
    struct meta_conn *conn = pending->conn;
    struct meta_server *server = conn->server;
    bool is_last = pending->is_last;
    reply->header.xid = pending->asked.xid;
    settle(pending);
    if (is_first(pending)) {
        meta_conn_reply(conn, &pending->asked, reply);
        meta_pending_free(pending);
        reply_end(conn, is_last);
        return;
    }
    rt_buf_clear(&pending->bytes);
    rt_buf_append(&pending->bytes, meta_reply_frame(server, reply, pending->asked.opcode));
    charge(pending);
    pending->zxid = reply->header.zxid;
    pending->state = META_PENDING_DONE;
}

void meta_conn_fail(struct meta_conn *conn, const struct meta_asked *asked, int32_t err) {
    struct proto_zk_reply reply = {
        .header = {asked->xid, (int64_t)meta_server_applied(conn->server), err}};
    meta_conn_reply(conn, asked, &reply);
}

static void ping_answer(struct meta_conn *conn, const struct meta_asked *asked) {
    meta_conn_fail(conn, asked, PROTO_ZK_ERR_OK);
}

static void path_answer(struct meta_conn *conn, const struct meta_asked *asked,
                        struct rt_bytes path) {
    struct proto_zk_reply reply = {
        .header = {asked->xid, (int64_t)meta_server_applied(conn->server), PROTO_ZK_ERR_OK},
        .body.path = path};
    meta_conn_reply(conn, asked, &reply);
}

// As a server without SASL: a null token.
static void sasl_answer(struct meta_conn *conn, const struct meta_asked *asked) {
    struct proto_zk_reply reply = {.header = {asked->xid, 0, PROTO_ZK_ERR_OK}};
    meta_conn_reply(conn, asked, &reply);
}

// RUNNING

// What runs here has nothing before it. False: the answer comes later, or the connection is closed.
static bool run(struct meta_conn *conn, struct meta_pending *pending,
                const struct meta_asked *asked, const struct proto_zk_request *request,
                struct rt_bytes payload) {
    const struct proto_zk_ids ids = meta_pending_ids(conn, pending);
    switch (asked->opcode) {
    case PROTO_ZK_OP_PING: ping_answer(conn, asked); return true;
    case PROTO_ZK_OP_SYNC: path_answer(conn, asked, request->op.path); return true;
    case PROTO_ZK_OP_SASL: sasl_answer(conn, asked); return true;
    case PROTO_ZK_OP_WHO_AM_I: meta_conn_who_am_i(conn, asked, &ids); return true;
    case PROTO_ZK_OP_ADD_WATCH: meta_conn_add_watch(conn, asked, &request->op); return true;
    case PROTO_ZK_OP_CHECK_WATCHES:
    case PROTO_ZK_OP_REMOVE_WATCHES: meta_conn_check_watch(conn, asked, &request->op); return true;
    case PROTO_ZK_OP_SET_WATCHES:
    case PROTO_ZK_OP_SET_WATCHES2:
        return meta_conn_set_watches(conn, pending, asked, request, payload);
    case PROTO_ZK_OP_RECONFIG: return meta_conn_reconfig(conn, pending, asked, request, payload);
    default: return meta_conn_read(conn, pending, asked, request, payload);
    }
}

static void fixed_answer(struct meta_conn *conn, const struct meta_pending *pending) {
    struct proto_zk_reply reply = {.header = {pending->asked.xid, pending->zxid, pending->err}};
    if (!pending->has_zxid) reply.header.zxid = (int64_t)meta_server_applied(conn->server);
    meta_conn_reply(conn, &pending->asked, &reply);
}

static bool queued_run(struct meta_conn *conn, struct meta_pending *pending) {
    if (pending->is_fixed) {
        fixed_answer(conn, pending);
        return true;
    }
    struct meta_server *server = conn->server;
    struct proto_zk_request request = {0};
    struct rt_bytes payload = rt_buf_bytes(&pending->bytes);
    rt_arena_clear(&server->arena);
    rt_err err = proto_zk_request_decode(payload, &server->arena, &request);
    assert(!err);  // it could be when it came
    return run(conn, pending, &pending->asked, &request, payload);
}

static void done_send(struct meta_conn *conn, struct meta_pending *pending) {
    rt_conn_send(&conn->stream, rt_buf_bytes(&pending->bytes));
    meta_conn_reply_sent(conn, &pending->asked, pending->zxid);
}

// Full, and not told so by the stream yet: by the next turn it has flushed, or says so.
void meta_conn_advance_later(struct meta_conn *conn) {
    struct meta_server *server = conn->server;
    if (!rt_list_is_linked(&conn->slice_link))
        rt_list_push_back(&server->sliced, &conn->slice_link);
    if (server->slice_queued) return;
    server->slice_queued = true;
    rt_defer(server->loop, &server->slice);
}

// Answers what can be answered. False: the first one has to wait.
static bool first_answer(struct meta_conn *conn, struct meta_pending *first) {
    switch (first->state) {
    case META_PENDING_DONE: done_send(conn, first); return true;
    case META_PENDING_QUEUED:
        // With commands on their way behind it, it runs now: they must not be seen by it.
        if (!meta_conn_is_slow(conn) || conn->submitted) return queued_run(conn, first);
        if (!(conn->pauses & META_PAUSE_FULL)) meta_conn_advance_later(conn);
        return false;
    case META_PENDING_BUSY:
    case META_PENDING_WAITING: return false;
    }
    return false;
}

void meta_conn_advance(struct meta_conn *conn) {
    while (conn->state == META_CONN_READY && !rt_list_is_empty(&conn->pending)) {
        struct meta_pending *first = rt_container_of(conn->pending.next, struct meta_pending, link);
        if (!first_answer(conn, first)) return;
        if (conn->state != META_CONN_READY) return;
        bool is_last = first->is_last;
        meta_pending_free(first);
        if (is_last) meta_conn_finish(conn);
    }
}

// TAKING

static void run_or_queue(struct meta_conn *conn, const struct meta_asked *asked,
                         const struct proto_zk_request *request, struct rt_bytes payload) {
    bool at_once = rt_list_is_empty(&conn->pending) && !meta_conn_is_slow(conn);
    if (at_once) {
        run(conn, NULL, asked, request, payload);
        return;
    }
    struct meta_pending *pending = meta_pending_new(conn, asked);
    rt_buf_append(&pending->bytes, payload);
    charge(pending);
    if (holds_writes(asked->opcode)) meta_pending_bar(pending);
    if (is_first(pending)) meta_conn_advance(conn);
}

static void answer_in_place(struct meta_conn *conn, const struct meta_asked *asked, int32_t err,
                            const int64_t *zxid, bool is_last) {
    struct meta_pending *pending = meta_pending_new(conn, asked);
    pending->is_fixed = true;
    pending->err = err;
    pending->has_zxid = zxid != NULL;
    pending->zxid = zxid ? *zxid : 0;
    pending->is_last = is_last;
    if (is_last) meta_conn_pause(conn, META_PAUSE_LAST);
    if (is_first(pending)) meta_conn_advance(conn);
}

static void auth_take(struct meta_conn *conn, const struct meta_asked *asked,
                      const struct proto_zk_op *op) {
    const int64_t none = 0;
    int32_t code = meta_conn_authenticate(conn, op->auth.scheme, op->auth.auth);
    if (code) conn->server->stats.auth_failed++;
    answer_in_place(conn, asked, code, &none, code != PROTO_ZK_ERR_OK);
}

static void sync_done(struct meta_sync *sync, rt_err err) {
    struct meta_pending *pending = rt_container_of(sync, struct meta_pending, sync);
    struct meta_conn *conn = pending->conn;
    settle(pending);
    if (err) {
        meta_conn_close(conn, err);
        return;
    }
    pending->state = META_PENDING_QUEUED;
    if (is_first(pending)) meta_conn_advance(conn);
}

static void sync_take(struct meta_conn *conn, const struct meta_asked *asked,
                      struct rt_bytes payload) {
    struct meta_pending *pending = meta_pending_new(conn, asked);
    rt_buf_append(&pending->bytes, payload);
    charge(pending);
    pending->state = META_PENDING_WAITING;
    pending->is_syncing = true;
    conn->submitted++;
    meta_pending_bar(pending);
    meta_replica_sync(conn->server->replica, &pending->sync);
}

static bool is_command(int32_t opcode) {
    const struct proto_zk_op_info *info = proto_zk_op_find(opcode);
    return info && info->kind == PROTO_ZK_WRITE && opcode != PROTO_ZK_OP_RECONFIG;
}

static void take(struct meta_conn *conn, const struct meta_asked *asked,
                 const struct proto_zk_request *request, struct rt_bytes payload) {
    switch (asked->opcode) {
    case PROTO_ZK_OP_AUTH: auth_take(conn, asked, &request->op); return;
    case PROTO_ZK_OP_CLOSE_SESSION: close_session_ask(conn, asked); return;
    case PROTO_ZK_OP_SYNC: sync_take(conn, asked, payload); return;
    default: break;
    }
    if (is_command(asked->opcode))
        command_ask(conn, asked, payload);
    else
        run_or_queue(conn, asked, request, payload);
}

void meta_conn_request(struct meta_conn *conn, struct rt_bytes payload) {
    const int64_t no_zxid = -1, zero = 0;
    struct meta_server *server = conn->server;
    struct proto_zk_request request = {0};
    rt_arena_clear(&server->arena);
    rt_err err = proto_zk_request_decode(payload, &server->arena, &request);
    if (err == RT_EPROTO) {
        meta_conn_close(conn, err);
        return;
    }
    meta_replica_touch(server->replica, conn->session);
    struct meta_asked asked = {request.xid, request.op.opcode, rt_loop_now(server->loop)};
    if (!meta_conn_may_ask(conn, asked.opcode)) {
        int32_t code = PROTO_ZK_ERR_SESSIONCLOSEDREQUIRESASLAUTH;
        answer_in_place(conn, &asked, code, &zero, true);
    } else if (err == RT_EUNSUPPORTED) {
        answer_in_place(conn, &asked, PROTO_ZK_ERR_UNIMPLEMENTED, &no_zxid, true);
    } else if (err) {
        answer_in_place(conn, &asked, PROTO_ZK_ERR_MARSHALLINGERROR, NULL, false);
    } else {
        take(conn, &asked, &request, payload);
    }
    throttle(conn);
}
