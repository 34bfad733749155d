// Requests and what comes back: replies in order, events, and the answers to the client's own.
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "meta/client/client_internal.h"

enum {
    PREFIX_SIZE = sizeof(uint32_t),  // the frame's length; then the xid
    SCRATCH_KEPT_MAX = 256 << 10,
    ARENA_KEPT_MAX = 16 << 10  // the first chunk of an arena survives, however large it is
};

static const char component[] = "meta-client";

static struct meta_client_op *op_of(struct rt_list *link) {
    return rt_container_of(link, struct meta_client_op, link);
}

int32_t meta_client_xid_next(struct meta_client *client) {
    client->last_xid = client->last_xid == INT32_MAX ? 1 : client->last_xid + 1;
    return client->last_xid;
}

// ENDING

// The callback may free the operation, or start it anew.
void meta_client_op_finish(struct meta_client_op *op, rt_err err,
                           const struct proto_zk_reply *reply) {
    assert(!rt_list_is_linked(&op->link));
    rt_free(op->watch_path);
    op->watch_path = NULL;
    rt_buf_fini(&op->frame);
    op->done(op, err, reply);
}

static void op_end_later(struct meta_client_op *op, rt_err err) {
    rt_list_remove(&op->link);
    op->err = err;
    rt_list_push_back(&op->client->ended, &op->link);
    meta_client_deliver_later(op->client);
}

void meta_client_ops_end(struct meta_client *client, struct rt_list *ops, rt_err err) {
    if (ops == &client->waiting) client->waiting_bytes = 0;
    while (!rt_list_is_empty(ops)) op_end_later(op_of(ops->next), err);
}

// SENDING

static void encode(struct meta_client *client, const struct proto_zk_request *request) {
    struct rt_buf *scratch = &client->scratch;
    rt_buf_clear(scratch);
    struct rt_writer w = rt_writer_into(scratch);
    rt_write_be32(&w, 0);
    proto_zk_request_encode(request, &w);
    assert(scratch->size > PREFIX_SIZE && scratch->size <= UINT32_MAX);
    struct rt_writer prefix = rt_writer_over(scratch->data, PREFIX_SIZE);
    rt_write_be32(&prefix, (uint32_t)(scratch->size - PREFIX_SIZE));
}

static void arena_release(struct rt_arena *arena) {
    if (arena->used_bytes > ARENA_KEPT_MAX) rt_arena_fini(arena);
    rt_arena_clear(arena);
}

static void scratch_release(struct meta_client *client) {
    if (client->scratch.capacity > SCRATCH_KEPT_MAX) rt_buf_fini(&client->scratch);
    arena_release(&client->request_arena);
}

static void send_frame(struct meta_client *client, struct rt_bytes frame) {
    client->sent_ns = rt_loop_now(client->loop);
    rt_conn_send(&client->conn, frame);
}

void meta_client_request_now(struct meta_client *client, struct proto_zk_request *request) {
    encode(client, request);
    send_frame(client, rt_buf_bytes(&client->scratch));
    scratch_release(client);
}

// The xid is given when it leaves: only what is sent counts.
static void op_send_frame(struct meta_client *client, struct meta_client_op *op,
                          struct rt_buf *frame) {
    op->xid = meta_client_xid_next(client);
    op->sent = true;
    struct rt_writer w = rt_writer_over(frame->data + PREFIX_SIZE, sizeof(uint32_t));
    rt_write_be32(&w, (uint32_t)op->xid);
    rt_list_push_back(&client->sent, &op->link);
    send_frame(client, rt_buf_bytes(frame));
}

static void resync_send(struct meta_client *client) {
    struct proto_zk_request request = {.xid = PROTO_ZK_XID_SET_WATCHES};
    request.op.set_watches.relative_zxid = client->last_zxid;
    request.op.opcode =
        meta_client_watches_resync_next(&client->watches, client->options.request_size_max,
                                        &client->request_arena, &request.op.set_watches);
    meta_client_request_now(client, &request);
}

static bool may_send(const struct meta_client *client) {
    return client->phase == META_CLIENT_READY && rt_conn_is_open(&client->conn) &&
           !rt_conn_is_full(&client->conn);
}

void meta_client_pump(struct meta_client *client) {
    while (may_send(client) && !meta_client_watches_resync_is_over(&client->watches)) {
        resync_send(client);
    }
    while (may_send(client) && !rt_list_is_empty(&client->waiting)) {
        struct meta_client_op *op = op_of(rt_list_pop_front(&client->waiting));
        client->waiting_bytes -= op->frame.size;
        op_send_frame(client, op, &op->frame);
        rt_buf_fini(&op->frame);
    }
}

// STARTING

// All but these carry a path in front, which is relative to the chroot.
static bool has_path(int32_t opcode) {
    return opcode != PROTO_ZK_OP_WHO_AM_I && opcode != PROTO_ZK_OP_RECONFIG &&
           opcode != PROTO_ZK_OP_MULTI && opcode != PROTO_ZK_OP_MULTI_READ;
}

static bool is_for_callers(int32_t opcode) {
    const struct proto_zk_op_info *info = proto_zk_op_find(opcode);
    if (!info || !(info->uses & PROTO_ZK_ALONE)) return false;
    return info->kind != PROTO_ZK_CONN && opcode != PROTO_ZK_OP_PING &&
           opcode != PROTO_ZK_OP_SET_WATCHES && opcode != PROTO_ZK_OP_SET_WATCHES2 &&
           opcode != PROTO_ZK_OP_CLOSE_SESSION;
}

static_assert(offsetof(struct proto_zk_op, path) == offsetof(struct proto_zk_op, create.path) &&
                  offsetof(struct proto_zk_op, path) == offsetof(struct proto_zk_op, read.path) &&
                  offsetof(struct proto_zk_op, path) == offsetof(struct proto_zk_op, watch.path),
              "a path comes first in every operation that has one");

// A relative path would leave the chroot; all else is for the server to judge.
static rt_err op_localize(struct meta_client *client, struct proto_zk_op *op) {
    if (!has_path(op->opcode)) return RT_OK;
    if (op->path.size == 0 || op->path.data[0] != '/') return RT_EREFUSED;
    op->path = meta_client_servers_outer(&client->servers, op->path, &client->request_arena);
    return RT_OK;
}

static rt_err multi_localize(struct meta_client *client, struct proto_zk_request *request) {
    struct proto_zk_op *ops =
        rt_arena_zero(&client->request_arena, request->op_count, sizeof(ops[0]));
    for (size_t i = 0; i < request->op_count; i++) {
        ops[i] = request->ops[i];
        rt_err err = op_localize(client, &ops[i]);
        if (err) return err;
    }
    request->ops = ops;
    return RT_OK;
}

static void watch_path_copy(struct meta_client_op *op, struct rt_bytes path) {
    op->watch_path = rt_alloc(path.size + 1);
    memcpy(op->watch_path, path.data, path.size);
    op->watch_path[path.size] = '\0';
}

static void watch_prepare(struct meta_client_op *op, struct proto_zk_request *request) {
    switch (request->op.opcode) {
    case PROTO_ZK_OP_EXISTS:
    case PROTO_ZK_OP_GET_DATA: op->watch_kind = META_CLIENT_WATCH_DATA; break;
    case PROTO_ZK_OP_GET_CHILDREN:
    case PROTO_ZK_OP_GET_CHILDREN2: op->watch_kind = META_CLIENT_WATCH_CHILD; break;
    default:
        assert(request->op.opcode == PROTO_ZK_OP_ADD_WATCH);
        op->watch_kind = META_CLIENT_WATCH_PERSISTENT;
        if (request->op.watch.type == PROTO_ZK_ADD_PERSISTENT_RECURSIVE)
            op->watch_kind = META_CLIENT_WATCH_RECURSIVE;
    }
    if (request->op.opcode != PROTO_ZK_OP_ADD_WATCH) request->op.read.watch = true;
    watch_path_copy(op, request->op.path);
}

// Leaves the encoded request in the scratch buffer.
static rt_err op_prepare(struct meta_client *client, struct meta_client_op *op,
                         struct proto_zk_request *request) {
    if (client->over_err) return client->over_err;
    if (!is_for_callers(request->op.opcode)) return RT_EUNSUPPORTED;
    rt_err err = op_localize(client, &request->op);
    if (!err && request->op_count > 0) err = multi_localize(client, request);
    if (err) return err;
    size_t size_max = client->options.request_size_max;
    if (op->watch && request->op.path.size + META_CLIENT_RESYNC_OVERHEAD > size_max)
        return RT_ETOOBIG;  // it could not be registered on another connection
    if (op->watch) watch_prepare(op, request);
    if (op->opcode == PROTO_ZK_OP_REMOVE_WATCHES) {
        op->removes = request->op.watch.type;
        watch_path_copy(op, request->op.path);
    }
    encode(client, request);
    return client->scratch.size - PREFIX_SIZE > size_max ? RT_ETOOBIG : RT_OK;
}

static rt_err op_send_or_wait(struct meta_client *client, struct meta_client_op *op) {
    struct rt_buf *scratch = &client->scratch;
    if (may_send(client) && rt_list_is_empty(&client->waiting) &&
        meta_client_watches_resync_is_over(&client->watches)) {
        op_send_frame(client, op, scratch);
        return RT_OK;
    }
    if (scratch->size > client->options.queue_bytes_max - client->waiting_bytes) return RT_EBUSY;
    rt_buf_append(&op->frame, rt_buf_bytes(scratch));
    client->waiting_bytes += op->frame.size;
    rt_list_push_back(&client->waiting, &op->link);
    return RT_OK;
}

void meta_client_send(struct meta_client *client, struct meta_client_op *op,
                      const struct proto_zk_request *request, struct meta_client_watch *watch,
                      meta_client_done_fn *done) {
    assert(rt_loop_is_current(client->loop) && done);
    *op = (struct meta_client_op){
        .client = client, .opcode = request->op.opcode, .watch = watch, .done = done};
    rt_list_init(&op->link);
    struct proto_zk_request localized = *request;
    rt_err err = op_prepare(client, op, &localized);
    if (!err) err = op_send_or_wait(client, op);
    if (err == RT_EREFUSED) op->zk_err = PROTO_ZK_ERR_BADARGUMENTS;
    if (err) op_end_later(op, err);
    scratch_release(client);
}

// REPLIES

static void watch_register(struct meta_client *client, struct meta_client_op *op,
                           const struct proto_zk_reply *reply) {
    if (!op->watch) return;
    enum meta_client_watch_kind kind = (enum meta_client_watch_kind)op->watch_kind;
    bool is_absent = op->opcode == PROTO_ZK_OP_EXISTS && reply->header.err == PROTO_ZK_ERR_NONODE;
    if (reply->header.err != PROTO_ZK_ERR_OK && !is_absent) return;
    if (is_absent) kind = META_CLIENT_WATCH_EXIST;
    meta_client_watches_add(&client->watches, rt_bytes_of(op->watch_path), kind, op->watch);
}

static void watches_unregister(struct meta_client *client, const struct meta_client_op *op,
                               const struct proto_zk_reply *reply) {
    if (op->opcode != PROTO_ZK_OP_REMOVE_WATCHES || reply->header.err != PROTO_ZK_ERR_OK) return;
    struct rt_bytes path = rt_bytes_of(op->watch_path);
    meta_client_watches_remove(&client->watches, path, op->removes,
                               meta_client_servers_inner(&client->servers, path));
}

static void body_localize(const struct meta_client *client, struct proto_zk_body *body) {
    if (body->path.size > 0) body->path = meta_client_servers_inner(&client->servers, body->path);
}

// Results and names lie in our arena, so they are ours to change.
static void reply_localize(struct meta_client *client, int32_t opcode,
                           struct proto_zk_reply *reply) {
    if (client->servers.chroot.size == 0) return;
    body_localize(client, &reply->body);
    struct proto_zk_result *results =
        rt_arena_zero(&client->reply_arena, reply->result_count + 1, sizeof(results[0]));
    for (size_t i = 0; i < reply->result_count; i++) {
        results[i] = reply->results[i];
        body_localize(client, &results[i].body);
    }
    if (reply->result_count > 0) reply->results = results;
    if (opcode != PROTO_ZK_OP_GET_EPHEMERALS) return;
    struct rt_bytes *names =
        rt_arena_zero(&client->reply_arena, reply->body.names.count + 1, sizeof(names[0]));
    for (size_t i = 0; i < reply->body.names.count; i++) {
        names[i] = meta_client_servers_inner(&client->servers, reply->body.names.items[i]);
    }
    reply->body.names.items = names;
}

// A failed multi says so in its results only.
static int32_t multi_err(const struct proto_zk_reply *reply) {
    for (size_t i = 0; i < reply->result_count; i++) {
        const struct proto_zk_result *result = &reply->results[i];
        if (result->opcode != PROTO_ZK_RESULT_ERROR) continue;
        if (result->err != PROTO_ZK_ERR_OK && result->err != PROTO_ZK_ERR_RUNTIMEINCONSISTENCY)
            return result->err;
    }
    return PROTO_ZK_ERR_OK;
}

static void op_answered(struct meta_client *client, struct meta_client_op *op,
                        struct proto_zk_reply *reply) {
    op->zk_err = reply->header.err;
    if (op->zk_err == PROTO_ZK_ERR_OK && op->opcode == PROTO_ZK_OP_MULTI)
        op->zk_err = multi_err(reply);
    watch_register(client, op, reply);
    watches_unregister(client, op, reply);
    reply_localize(client, op->opcode, reply);
    rt_err err = op->zk_err == PROTO_ZK_ERR_OK ? RT_OK : RT_EREFUSED;
    if (op->zk_err == PROTO_ZK_ERR_SESSIONEXPIRED) err = RT_EACCESS;
    meta_client_op_finish(op, err, reply);
}

static void ordinary_reply(struct meta_client *client, struct rt_reader *r,
                           const struct proto_zk_reply_header *header) {
    struct rt_list *head = client->sent.next;
    if (head == &client->sent || op_of(head)->xid != header->xid) {
        rt_log_warn(component, "reply out of order owner=%s server=%s xid=%" PRId32,
                    client->options.owner->name, rt_conn_peer(&client->conn), header->xid);
        rt_conn_close(&client->conn, RT_EPROTO);
        return;
    }
    struct meta_client_op *op = op_of(head);
    struct proto_zk_reply reply = {.header = *header};
    rt_err err = RT_OK;
    if (header->err == PROTO_ZK_ERR_OK)
        err = proto_zk_reply_body_decode(r, op->opcode, &client->reply_arena, &reply);
    rt_list_remove(&op->link);
    if (err) {
        rt_log_warn(component, "reply not understood owner=%s server=%s op=%s",
                    client->options.owner->name, rt_conn_peer(&client->conn),
                    proto_zk_op_name(op->opcode));
        rt_conn_close(&client->conn, RT_EPROTO);
        meta_client_op_finish(op, RT_EPROTO, NULL);
    } else {
        if (header->zxid > client->last_zxid) client->last_zxid = header->zxid;
        op_answered(client, op, &reply);
    }
    arena_release(&client->reply_arena);
}

static void event_came(struct meta_client *client, struct rt_reader *r) {
    struct proto_zk_event event;
    rt_err err = proto_zk_event_decode(r, &event);
    if (err) {
        rt_conn_close(&client->conn, RT_EPROTO);
        return;
    }
    struct rt_bytes outer = event.path;
    event.path = meta_client_servers_inner(&client->servers, outer);
    meta_client_watches_fire(&client->watches, outer, &event);
}

static void auth_answered(struct meta_client *client, int32_t zk_err) {
    if (zk_err == PROTO_ZK_ERR_OK) return;
    rt_log_warn(component, "authentication failed owner=%s server=%s", client->options.owner->name,
                rt_conn_peer(&client->conn));
    meta_client_session_end(client, META_CLIENT_AUTH_FAILED, RT_EACCESS);
}

static void resync_answered(struct meta_client *client, int32_t zk_err) {
    if (zk_err == PROTO_ZK_ERR_OK) return;
    rt_log_warn(component, "watches refused owner=%s server=%s err=%s", client->options.owner->name,
                rt_conn_peer(&client->conn), proto_zk_err_name(zk_err));
    rt_conn_close(&client->conn, RT_EPROTO);
}

void meta_client_on_reply(struct meta_client *client, struct rt_bytes payload) {
    struct rt_reader r = rt_reader_over(payload);
    struct proto_zk_reply_header header;
    rt_err err = proto_zk_reply_header_decode(&r, &header);
    if (err) {
        rt_conn_close(&client->conn, RT_EPROTO);
        return;
    }
    if (client->phase == META_CLIENT_CLOSING) {
        if (header.xid == client->close_xid) rt_conn_close(&client->conn, RT_OK);
        return;
    }
    switch (header.xid) {
    case PROTO_ZK_XID_EVENT: event_came(client, &r); break;
    case PROTO_ZK_XID_PING: break;
    case PROTO_ZK_XID_AUTH: auth_answered(client, header.err); break;
    case PROTO_ZK_XID_SET_WATCHES: resync_answered(client, header.err); break;
    default: ordinary_reply(client, &r, &header);
    }
}
