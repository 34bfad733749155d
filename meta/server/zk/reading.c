// Reads: answered at once from memory, else by a worker on the state of that moment. While a worker
// reads, the connection's events are held back, for a client must not hear of a change before it
// gets an older state that it asked for earlier.
#include <assert.h>

#include "meta/server/tree/read_source.h"
#include "meta/server/zk/conn.h"

// Outlives its connection, which may be closed meanwhile.
struct meta_slow_read {
    struct meta_read read;
    struct meta_server *server;
    struct meta_conn *conn;  // NULL: nobody waits any more
    struct meta_pending *pending;
    struct rt_arena arena;  // of all that the worker is given
    struct proto_zk_request request;
    bool was_watched;  // before this read asked for it
};

static bool reply_watches(const struct proto_zk_op *op, int32_t err) {
    bool missing = op->opcode == PROTO_ZK_OP_EXISTS && err == PROTO_ZK_ERR_NONODE;
    return err == PROTO_ZK_ERR_OK || missing;
}

// The parts of a multiRead watch nothing, whatever they say.
void meta_conn_watch_read(struct meta_conn *conn, const struct proto_zk_request *request,
                          const struct proto_zk_reply *reply) {
    unsigned kind = meta_watch_kind_of_read(&request->op);
    if (kind && reply_watches(&request->op, reply->header.err))
        meta_conn_watch(conn, request->op.read.path, kind);
}

// BY A WORKER

// The watch belongs to the state that is read, so it is set now, whatever the read will find.
static bool slow_watch(struct meta_slow_read *slow) {
    struct meta_conn *conn = slow->conn;
    const struct proto_zk_op *op = &slow->request.op;
    unsigned kind = meta_watch_kind_of_read(op);
    if (!kind || !op->read.path.data) return true;
    slow->was_watched =
        meta_watches_has(conn->server->watches, &conn->watcher, op->read.path, kind);
    return meta_conn_watch(conn, op->read.path, kind);
}

static void slow_unwatch(const struct meta_slow_read *slow, const struct proto_zk_reply *reply) {
    struct meta_conn *conn = slow->conn;
    const struct proto_zk_op *op = &slow->request.op;
    unsigned kind = meta_watch_kind_of_read(op);
    if (!kind || !op->read.path.data || slow->was_watched) return;
    if (reply_watches(op, reply->header.err)) return;
    meta_watches_remove(conn->server->watches, &conn->watcher, op->read.path, kind);
}

static void slow_free(struct meta_slow_read *slow) {
    struct meta_server *server = slow->server;
    rt_arena_fini(&slow->arena);
    rt_free(slow);
    server->slow_reads--;
    meta_server_maybe_gone(server);
}

static void held_send(struct meta_conn *conn) {
    rt_conn_send(&conn->stream, rt_buf_bytes(&conn->held));
    rt_buf_fini(&conn->held);
}

static void slow_done(struct meta_read *read, rt_err err) {
    struct meta_slow_read *slow = rt_container_of(read, struct meta_slow_read, read);
    struct meta_conn *conn = slow->conn;
    if (!conn) {
        slow_free(slow);
        return;
    }
    if (err) {
        rt_log_warn("meta", "read failed err=%s", rt_err_name(err));
        meta_conn_close(conn, err);  // abandons the read
        slow_free(slow);
        return;
    }
    struct meta_pending *pending = slow->pending;
    slow_unwatch(slow, &read->reply);
    read->reply.header.xid = pending->asked.xid;
    meta_conn_reply(conn, &pending->asked, &read->reply);
    conn->slow = NULL;
    held_send(conn);
    meta_pending_free(pending);
    slow_free(slow);
    meta_conn_advance(conn);
}

void meta_slow_read_abandon(struct meta_slow_read *slow) {
    slow->conn = NULL;
    slow->pending = NULL;
}

static struct proto_zk_ids ids_copy(struct proto_zk_ids ids, struct rt_arena *arena) {
    struct proto_zk_id *items = rt_arena_alloc(arena, (ids.count + 1) * sizeof(*items));
    for (size_t i = 0; i < ids.count; i++) {
        items[i].scheme = rt_arena_copy(arena, ids.items[i].scheme);
        items[i].id = rt_arena_copy(arena, ids.items[i].id);
    }
    return (struct proto_zk_ids){.items = items, .count = ids.count};
}

static void slow_start(struct meta_conn *conn, struct meta_pending *pending,
                       const struct meta_asked *asked, struct rt_bytes payload) {
    struct meta_server *server = conn->server;
    struct meta_slow_read *slow = RT_NEW(struct meta_slow_read);
    server->slow_reads++;
    slow->server = server;
    slow->conn = conn;
    rt_err err =
        proto_zk_request_decode(rt_arena_copy(&slow->arena, payload), &slow->arena, &slow->request);
    assert(!err);  // it could be just now
    slow->pending = pending ? pending : meta_pending_new(conn, asked);
    slow->pending->state = META_PENDING_WAITING;
    if (!slow_watch(slow)) {
        slow_free(slow);  // the connection is closed
        return;
    }
    conn->slow = slow;
    meta_pending_bar(slow->pending);
    const struct meta_read_context context = {
        .session = conn->session,
        .ids = ids_copy(meta_pending_ids(conn, slow->pending), &slow->arena),
        .skip_acl = server->options.skip_acl};
    meta_read_start(&slow->read, server->loop, server->store, &context, &slow->request,
                    &slow->arena, slow_done);
}

// AT ONCE

// Whether a read waits behind it that must not see a command which is on its way already. Then a
// worker would take too long: the next one would run when that command is applied.
static bool cannot_wait(const struct meta_pending *pending) {
    bool reads = false;
    if (!pending) return false;
    for (const struct rt_list *node = pending->link.next; node != &pending->conn->pending;
         node = node->next) {
        const struct meta_pending *next = rt_container_of(node, struct meta_pending, link);
        if (next->is_ticketed && reads) return true;
        reads |= next->state == META_PENDING_QUEUED && !next->is_fixed;
    }
    return false;
}

// What a worker does, here: the loop waits for the disk.
static rt_err read_now(struct meta_server *server, const struct meta_read_context *context,
                       const struct proto_zk_request *request, struct proto_zk_reply *reply) {
    struct meta_read_source source = {.context = context,
                                      .arena = &server->arena,
                                      .scan_left = SIZE_MAX,
                                      .bytes_left = META_READ_REPLY_BYTES};
    rt_err err = meta_store_view_now(server->store, &source.view);
    if (!err) err = meta_read_answer(&source, request, reply);
    reply->header.zxid = (int64_t)meta_server_applied(server);
    return err;
}

bool meta_conn_read(struct meta_conn *conn, struct meta_pending *pending,
                    const struct meta_asked *asked, const struct proto_zk_request *request,
                    struct rt_bytes payload) {
    struct meta_server *server = conn->server;
    struct proto_zk_reply reply;
    const struct meta_read_context context = {.session = conn->session,
                                              .ids = meta_pending_ids(conn, pending),
                                              .skip_acl = server->options.skip_acl};
    rt_err err = meta_read_try(server->store, &context, request, &server->arena, &reply);
    if (err == RT_EAGAIN && cannot_wait(pending)) err = read_now(server, &context, request, &reply);
    if (err == RT_EAGAIN) {
        slow_start(conn, pending, asked, payload);
        return false;
    }
    if (err) {
        rt_log_warn("meta", "read failed err=%s", rt_err_name(err));
        meta_conn_close(conn, err);
        return false;
    }
    meta_conn_watch_read(conn, request, &reply);
    if (conn->state != META_CONN_READY) return false;
    reply.header.xid = asked->xid;
    meta_conn_reply(conn, asked, &reply);
    return true;
}
