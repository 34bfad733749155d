// Watches of connections: how they come, how they go, what a client catches up with after a
// reconnect, and the events. Sections 13 and 14 of the protocol sheet.
#include <assert.h>
#include <limits.h>

#include "meta/server/zk/conn.h"

enum {
    EVENT_FRAME_PREFIX = 4,
    WATCH_BYTES_MAX = 1 << 30,  // paths of all watches of the server; who asks for more is closed
    HELD_BYTES_MAX = 16 << 20,  // events behind a read
    SLICE_COST_MAX = 8192,      // of a setWatches in one turn
    LOOKUP_COST = 1,
    DISK_LOOKUP_COST = 64
};

// Watches are on paths as they were asked for: the empty one reads as the root, but nothing ever
// happens to it.
bool meta_conn_watch(struct meta_conn *conn, struct rt_bytes path, unsigned kinds) {
    struct meta_server *server = conn->server;
    if (meta_watches_totals(server->watches).bytes + path.size > WATCH_BYTES_MAX) {
        if (rt_log_allows(&server->log_limit, "meta"))
            rt_log_warn("meta", "connection closed, too many watches peer=%s watches=%zu",
                        rt_conn_peer(&conn->stream), conn->watcher.count);
        meta_conn_close(conn, RT_EBUSY);
        return false;
    }
    meta_watches_add(server->watches, &conn->watcher, path, kinds);
    return true;
}

unsigned meta_watch_kind_of_read(const struct proto_zk_op *op) {
    switch (op->opcode) {
    case PROTO_ZK_OP_EXISTS:
    case PROTO_ZK_OP_GET_DATA: return op->read.watch ? META_WATCH_DATA : 0u;
    case PROTO_ZK_OP_GET_CHILDREN:
    case PROTO_ZK_OP_GET_CHILDREN2: return op->read.watch ? META_WATCH_CHILD : 0u;
    default: return 0;
    }
}

// addWatch, checkWatches, removeWatches

void meta_conn_add_watch(struct meta_conn *conn, const struct meta_asked *asked,
                         const struct proto_zk_op *op) {
    unsigned kind = 0;
    if (op->watch.type == PROTO_ZK_ADD_PERSISTENT) kind = META_WATCH_PERSISTENT;
    if (op->watch.type == PROTO_ZK_ADD_PERSISTENT_RECURSIVE) kind = META_WATCH_RECURSIVE;
    if (!kind || !op->watch.path.data) {
        meta_conn_fail(conn, asked, PROTO_ZK_ERR_MARSHALLINGERROR);
        return;
    }
    if (meta_conn_watch(conn, op->watch.path, kind)) meta_conn_fail(conn, asked, PROTO_ZK_ERR_OK);
}

static unsigned kinds_of_type(int32_t type) {
    switch (type) {
    case PROTO_ZK_WATCH_CHILDREN: return META_WATCH_CHILD;
    case PROTO_ZK_WATCH_DATA: return META_WATCH_DATA;
    case PROTO_ZK_WATCH_ANY:
        return META_WATCH_CHILD | META_WATCH_DATA | META_WATCH_PERSISTENT | META_WATCH_RECURSIVE;
    case PROTO_ZK_WATCH_PERSISTENT: return META_WATCH_PERSISTENT;
    case PROTO_ZK_WATCH_PERSISTENT_RECURSIVE: return META_WATCH_RECURSIVE;
    default: return 0;
    }
}

void meta_conn_check_watch(struct meta_conn *conn, const struct meta_asked *asked,
                           const struct proto_zk_op *op) {
    struct meta_watches *watches = conn->server->watches;
    unsigned kinds = kinds_of_type(op->watch.type);
    if (!kinds) {
        meta_conn_fail(conn, asked, PROTO_ZK_ERR_MARSHALLINGERROR);
        return;
    }
    struct rt_bytes path = op->watch.path;
    bool there = asked->opcode == PROTO_ZK_OP_CHECK_WATCHES
                     ? meta_watches_has(watches, &conn->watcher, path, kinds)
                     : meta_watches_remove(watches, &conn->watcher, path, kinds);
    meta_conn_fail(conn, asked, there ? PROTO_ZK_ERR_OK : PROTO_ZK_ERR_NOWATCHER);
}

// EVENTS

static struct rt_bytes event_encode(struct rt_buf *bytes, enum proto_zk_event_type type,
                                    struct rt_bytes path, int64_t zxid) {
    const struct proto_zk_event event = {type, PROTO_ZK_STATE_SYNC_CONNECTED, path};
    rt_buf_clear(bytes);
    struct rt_writer w = rt_writer_into(bytes);
    rt_write_be32(&w, 0);
    proto_zk_event_encode(&event, zxid, &w);
    struct rt_writer length = rt_writer_over(bytes->data, EVENT_FRAME_PREFIX);
    rt_write_be32(&length, (uint32_t)(bytes->size - EVENT_FRAME_PREFIX));
    return rt_buf_bytes(bytes);
}

static void event_send(struct meta_conn *conn, struct rt_bytes frame) {
    conn->sent++;
    conn->server->stats.sent++;
    if (!conn->slow) {
        rt_conn_send(&conn->stream, frame);
    } else if (conn->held.size + frame.size > HELD_BYTES_MAX) {
        rt_conn_close(&conn->stream, RT_EBUSY);  // the stream alone: watches are being fired
    } else {
        rt_buf_append(&conn->held, frame);
    }
}

static bool event_is_encoded(const struct meta_event_frame *event, enum proto_zk_event_type type,
                             struct rt_bytes path) {
    return event->is_encoded && event->type == type && event->path.data == path.data &&
           event->path.size == path.size;
}

static void event_deliver(struct meta_watch_sink *sink, struct meta_watcher *watcher,
                          enum proto_zk_event_type type, struct rt_bytes path,
                          struct rt_bytes acl) {
    struct meta_server *server = rt_container_of(sink, struct meta_server, sink);
    struct meta_conn *conn = rt_container_of(watcher, struct meta_conn, watcher);
    struct meta_event_frame *event = &server->event;
    struct proto_zk_ids ids = meta_conn_ids(conn);
    bool is_open = acl.size == 0 || server->options.skip_acl;
    if (!is_open && !meta_acl_allows(acl, PROTO_ZK_PERM_READ, &ids)) return;
    if (!event_is_encoded(event, type, path)) {
        event_encode(&event->bytes, type, path, event->zxid);
        event->type = type;
        event->path = path;
        event->is_encoded = true;
    }
    event_send(conn, rt_buf_bytes(&event->bytes));
}

void meta_server_fire(struct meta_server *server, const struct meta_outcome *outcome) {
    server->event.zxid = outcome->zxid;
    for (size_t i = 0; i < outcome->change_count; i++) {
        server->event.is_encoded = false;
        meta_watches_fire(server->watches, &outcome->changes[i], &server->sink);
    }
}

void meta_watching_init(struct meta_server *server) {
    server->sink.deliver = event_deliver;
}

// CATCHING UP: setWatches and setWatches2, some paths in a turn. Each path is looked up and watched
// in one step, so nothing is missed between two turns.

struct catch_up {
    struct meta_conn *conn;
    int64_t since_zxid;
    size_t skip, at;  // paths done in earlier turns, and paths seen in this one
    unsigned cost, cost_max;
};

static const struct meta_znode *look_up(struct catch_up *catch_up, struct rt_bytes path) {
    struct meta_store *store = catch_up->conn->server->store;
    const struct meta_znode *node = NULL;
    rt_err err = meta_store_try_find(store, path, &node);
    catch_up->cost += err == RT_EAGAIN ? DISK_LOOKUP_COST : LOOKUP_COST;
    if (err == RT_EAGAIN) return meta_store_find_now(store, path);
    return err ? NULL : node;
}

static void tell(struct catch_up *catch_up, enum proto_zk_event_type type, struct rt_bytes path) {
    struct meta_server *server = catch_up->conn->server;
    event_send(catch_up->conn, event_encode(&server->event.bytes, type, path, -1));
    server->event.is_encoded = false;
}

typedef void catch_up_fn(struct catch_up *catch_up, struct rt_bytes path);

static void catch_up_data(struct catch_up *catch_up, struct rt_bytes path) {
    const struct meta_znode *node = look_up(catch_up, path);
    if (!node) {
        tell(catch_up, PROTO_ZK_EVENT_NODE_DELETED, path);
    } else if (node->mzxid > catch_up->since_zxid) {
        tell(catch_up, PROTO_ZK_EVENT_NODE_DATA_CHANGED, path);
    } else {
        meta_conn_watch(catch_up->conn, path, META_WATCH_DATA);
    }
}

static void catch_up_exist(struct catch_up *catch_up, struct rt_bytes path) {
    if (look_up(catch_up, path))
        tell(catch_up, PROTO_ZK_EVENT_NODE_CREATED, path);
    else
        meta_conn_watch(catch_up->conn, path, META_WATCH_DATA);
}

static void catch_up_child(struct catch_up *catch_up, struct rt_bytes path) {
    const struct meta_znode *node = look_up(catch_up, path);
    if (!node) {
        tell(catch_up, PROTO_ZK_EVENT_NODE_DELETED, path);
    } else if (node->pzxid > catch_up->since_zxid) {
        tell(catch_up, PROTO_ZK_EVENT_NODE_CHILDREN_CHANGED, path);
    } else {
        meta_conn_watch(catch_up->conn, path, META_WATCH_CHILD);
    }
}

static void catch_up_persistent(struct catch_up *catch_up, struct rt_bytes path) {
    catch_up->cost += LOOKUP_COST;
    meta_conn_watch(catch_up->conn, path, META_WATCH_PERSISTENT);
}

static void catch_up_recursive(struct catch_up *catch_up, struct rt_bytes path) {
    catch_up->cost += LOOKUP_COST;
    meta_conn_watch(catch_up->conn, path, META_WATCH_RECURSIVE);
}

// False: enough for this turn, or the connection is closed.
static bool catch_up_list(struct catch_up *catch_up, const struct proto_zk_strings *paths,
                          catch_up_fn *each) {
    size_t done = catch_up->skip > catch_up->at ? catch_up->skip - catch_up->at : 0;
    size_t i = done < paths->count ? done : paths->count;
    for (; i < paths->count; i++) {
        if (catch_up->cost >= catch_up->cost_max) break;
        if (paths->items[i].data) each(catch_up, paths->items[i]);
        if (catch_up->conn->state != META_CONN_READY) break;
    }
    catch_up->at += i;
    return i == paths->count;
}

static bool catch_up_all(struct catch_up *catch_up, const struct proto_zk_set_watches *lists) {
    return catch_up_list(catch_up, &lists->data, catch_up_data) &&
           catch_up_list(catch_up, &lists->exist, catch_up_exist) &&
           catch_up_list(catch_up, &lists->child, catch_up_child) &&
           catch_up_list(catch_up, &lists->persistent, catch_up_persistent) &&
           catch_up_list(catch_up, &lists->persistent_recursive, catch_up_recursive);
}

bool meta_conn_set_watches(struct meta_conn *conn, struct meta_pending *pending,
                           const struct meta_asked *asked, const struct proto_zk_request *request,
                           struct rt_bytes payload) {
    struct catch_up catch_up = {.conn = conn,
                                .since_zxid = request->op.set_watches.relative_zxid,
                                .skip = pending ? pending->cursor : 0,
                                .cost_max = SLICE_COST_MAX};
    // Commands behind it are on their way: what waits between must not see them.
    if (conn->submitted) catch_up.cost_max = UINT_MAX;
    assert(!conn->slow);  // or its events would be held behind our reply
    bool all = catch_up_all(&catch_up, &request->op.set_watches);
    if (conn->state != META_CONN_READY) return false;
    if (all) {
        meta_conn_fail(conn, asked, PROTO_ZK_ERR_OK);
        return true;
    }
    if (!pending) {
        pending = meta_pending_new(conn, asked);
        rt_buf_append(&pending->bytes, payload);
    }
    pending->cursor = catch_up.at;
    meta_pending_bar(pending);
    meta_conn_advance_later(conn);
    return false;
}
