// Sessions meet connections. A new session gets its id and password here and exists once the log
// says so; one that comes back is asked for in the log too, so that whoever attached last is the
// same on every node. Everything else a client sends waits until then.
#include "meta/server/zk/conn.h"

#include <assert.h>
#include <string.h>

enum { SESSION_COUNTER_BITS = 16, SESSION_JUMP_MAX = 1000 };

// SESSION IDS: the server in the top byte, then a number that starts at the clock. Zero and the ids
// that mark containers and TTL nodes are not among them.
static int64_t session_id_next(struct meta_server *server) {
    const uint64_t container_owner = UINT64_C(1) << 63, ttl_owner = 0xff;
    uint64_t id;
    do {
        id = ++server->next_session;
    } while (id == 0 || id == container_owner || id >> 56 == ttl_owner);
    return (int64_t)id;
}

// The id was taken, so the clock went back: the next ones are looked for elsewhere.
static void session_ids_jump(struct meta_server *server) {
    uint64_t server_byte = server->next_session >> 56 << 56;
    uint64_t step = 1 + rt_random_below(rt_loop_random(server->loop), SESSION_JUMP_MAX);
    uint64_t next = server->next_session + (step << SESSION_COUNTER_BITS);
    server->next_session = server_byte | (next & (UINT64_MAX >> 8));
}

static int32_t timeout_clamp(const struct meta_server *server, int32_t wanted_ms) {
    const struct meta_server_options *options = &server->options;
    if (wanted_ms < options->session_timeout_min_ms) return options->session_timeout_min_ms;
    if (wanted_ms > options->session_timeout_max_ms) return options->session_timeout_max_ms;
    return wanted_ms;
}

static void connected_send(struct meta_conn *conn, const struct proto_zk_connected *connected) {
    uint8_t frame[64];
    struct rt_writer w = rt_writer_over(frame, sizeof(frame));
    rt_write_be32(&w, 0);
    proto_zk_connected_encode(connected, &w);
    assert(!rt_writer_failed(&w));
    struct rt_writer length = rt_writer_over(frame, sizeof(uint32_t));
    rt_write_be32(&length, (uint32_t)(w.written - sizeof(uint32_t)));
    rt_conn_send(&conn->stream, RT_BYTES(frame, w.written));
    conn->sent++;
    conn->server->stats.sent++;
}

// The only way a client learns that its session is gone.
static void reject(struct meta_conn *conn) {
    struct proto_zk_connected connected = {.has_read_only = conn->has_read_only};
    connected_send(conn, &connected);
    meta_conn_finish(conn);
}

// Gives a new session an id first; then into the log with it.
static void session_ask(struct meta_conn *conn, struct meta_pending *pending) {
    struct meta_server *server = conn->server;
    if (conn->is_new_session) conn->session = session_id_next(server);
    struct meta_command command = {.kind = conn->is_new_session ? META_OPEN_SESSION
                                                                : META_ATTACH_SESSION,
                                   .session = conn->session,
                                   .open.timeout_ms = conn->timeout_ms};
    memcpy(command.open.password, conn->password, sizeof(conn->password));
    meta_pending_command(pending, &command);
    meta_pending_submit(pending);
}

static bool is_welcome(struct meta_conn *conn, const struct proto_zk_connect *connect) {
    struct meta_server *server = conn->server;
    struct meta_replica_status status;
    meta_replica_status(server->replica, &status);
    if (!status.is_serving) return false;
    return connect->last_zxid_seen <= (int64_t)meta_server_applied(server);
}

void meta_conn_greet(struct meta_conn *conn, struct rt_bytes payload) {
    struct meta_server *server = conn->server;
    struct proto_zk_connect connect;
    if (proto_zk_connect_decode(payload, &connect)) {
        meta_conn_close(conn, RT_EPROTO);
        return;
    }
    if (!is_welcome(conn, &connect)) {
        meta_conn_close(conn, RT_OK);  // it tries the next server
        return;
    }
    conn->has_read_only = connect.has_read_only;
    conn->timeout_ms = timeout_clamp(server, connect.timeout_ms);
    conn->is_new_session = connect.session_id == 0;
    if (conn->is_new_session) {
        rt_machine_entropy(server->machine, conn->password, sizeof(conn->password));
    } else if (connect.password.size == sizeof(conn->password)) {
        conn->session = connect.session_id;
        memcpy(conn->password, connect.password.data, sizeof(conn->password));
    } else {
        reject(conn);
        return;
    }
    conn->state = META_CONN_HANDSHAKE;
    meta_conn_pause(conn, META_PAUSE_HANDSHAKE);
    const struct meta_asked asked = {.opcode = PROTO_ZK_OP_CREATE_SESSION,
                                     .since_ns = rt_loop_now(server->loop)};
    session_ask(conn, meta_pending_new(conn, &asked));
}

static void establish(struct meta_conn *conn, const struct meta_asked *asked, int64_t zxid) {
    struct meta_server *server = conn->server;
    struct proto_zk_connected connected = {.timeout_ms = conn->timeout_ms,
                                           .session_id = conn->session,
                                           .has_read_only = conn->has_read_only};
    memcpy(connected.password, conn->password, sizeof(conn->password));
    conn->state = META_CONN_READY;
    conn->attachment = (uint64_t)zxid;
    conn->established_ms = meta_server_wall_ms(server);
    conn->last = *asked;
    conn->last_zxid = zxid;
    HASH_ADD(by_session, server->sessions, session, sizeof(conn->session), conn);
    connected_send(conn, &connected);
    meta_replica_touch(server->replica, conn->session);
    meta_conn_unpause(conn, META_PAUSE_HANDSHAKE);
}

void meta_conn_greeted(struct meta_pending *pending, const struct meta_outcome *outcome) {
    struct meta_conn *conn = pending->conn;
    struct meta_asked asked = pending->asked;
    assert(conn->state == META_CONN_HANDSHAKE);
    if (outcome->verdict == META_SESSION_OPENED) {
        meta_pending_free(pending);
        establish(conn, &asked, outcome->zxid);
    } else if (conn->is_new_session) {
        session_ids_jump(conn->server);
        session_ask(conn, pending);
    } else {
        reject(conn);
    }
}
