// The connection under the session: dialing in turn, the handshake, pings, and what follows when
// it breaks.
//
// TIME, T being the session timeout: a server has T / servers to connect and accept; a ping leaves
// when nothing was sent or nothing was heard for T/3; a connection that was silent for 2/3 T is
// given up. Only a server says that a session has expired, so the client tries until one does.
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "meta/client/client_internal.h"

enum {
    PING_MS_MAX = 10000,
    BACKOFF_MS_MIN = 50,
    BACKOFF_MS_MAX = 1000,
    CLOSE_MS_MAX = 2000,  // for the server to end the session when we close
    GOOD_MS = 1000        // a connection that lasted so long may be replaced at once
};

static const char component[] = "meta-client";

static struct meta_client *client_of(struct rt_conn *conn) {
    return rt_container_of(conn, struct meta_client, conn);
}

static uint64_t ping_interval_ns(const struct meta_client *client) {
    uint64_t third = meta_client_timeout_ns(client) / 3;
    return third < PING_MS_MAX * RT_NS_PER_MS ? third : PING_MS_MAX * RT_NS_PER_MS;
}

// DIALING

static void on_open(struct rt_conn *conn);
static void on_frame(struct rt_conn *conn, const struct rt_frame *frame);
static void on_closed(struct rt_conn *conn, rt_err why);
static void on_drained(struct rt_conn *conn);

static const struct rt_conn_events events = {.name = "meta client",
                                             .on_open = on_open,
                                             .on_frame = on_frame,
                                             .on_closed = on_closed,
                                             .on_drained = on_drained};

static uint64_t connect_limit_ns(const struct meta_client *client) {
    uint64_t limit = client->options.connect_timeout_ms * RT_NS_PER_MS;
    if (limit == 0) limit = meta_client_timeout_ns(client) / client->servers.count;
    return limit > RT_NS_PER_MS ? limit : RT_NS_PER_MS;
}

static void dial(struct meta_client *client) {
    assert(client->phase == META_CLIENT_WAITING && !client->conn_used);
    uint64_t limit_ns = connect_limit_ns(client);
    struct rt_stream_options options = {
        .framing = RT_FRAMES_BE32,
        .frame_size_max = client->options.reply_size_max,
        .open_timeout_ms = limit_ns / RT_NS_PER_MS,
        .tls = client->options.tls,
    };
    client->phase = META_CLIENT_DIALING;
    client->conn_used = true;
    client->attempts++;
    rt_timer_after(&client->timer, limit_ns);
    rt_conn_dial(&client->conn, client->loop, meta_client_servers_take(&client->servers), &events,
                 &options);
}

void meta_client_dial_after(struct meta_client *client, uint64_t delay_ns) {
    client->phase = META_CLIENT_WAITING;
    rt_timer_after(&client->timer, delay_ns);
}

// The servers of a round are tried without a pause; rounds are further and further apart, and not
// in step with other clients.
static uint64_t dial_delay_ns(struct meta_client *client) {
    uint64_t rounds = client->attempts / client->servers.count;
    if (client->attempts % client->servers.count != 0 || rounds == 0) return 0;
    uint64_t limit_ms = BACKOFF_MS_MAX;
    if (rounds <= 5) limit_ms = (uint64_t)BACKOFF_MS_MIN << (rounds - 1);
    if (limit_ms > BACKOFF_MS_MAX) limit_ms = BACKOFF_MS_MAX;
    return rt_random_between(rt_loop_random(client->loop), limit_ms / 2, limit_ms) * RT_NS_PER_MS;
}

// THE HANDSHAKE

static void on_open(struct rt_conn *conn) {
    struct meta_client *client = client_of(conn);
    assert(client->phase == META_CLIENT_DIALING);
    client->phase = META_CLIENT_HANDSHAKE;
    struct proto_zk_connect connect = {.last_zxid_seen = client->last_zxid,
                                       .timeout_ms = client->options.session_timeout_ms,
                                       .session_id = client->session_id,
                                       .password =
                                           RT_BYTES(client->password, sizeof(client->password)),
                                       .has_read_only = true};
    uint8_t memory[64];
    struct rt_writer w =
        rt_writer_over(memory + sizeof(uint32_t), sizeof(memory) - sizeof(uint32_t));
    proto_zk_connect_encode(&connect, &w);
    assert(!rt_writer_failed(&w));
    struct rt_writer prefix = rt_writer_over(memory, sizeof(uint32_t));
    rt_write_be32(&prefix, (uint32_t)w.written);
    rt_conn_send(conn, RT_BYTES(memory, sizeof(uint32_t) + w.written));
}

static void auths_send(struct meta_client *client) {
    for (unsigned i = 0; i < client->options.auth_count; i++) {
        const struct meta_client_auth *auth = &client->options.auths[i];
        struct proto_zk_request request = {
            .xid = PROTO_ZK_XID_AUTH,
            .op = {.opcode = PROTO_ZK_OP_AUTH,
                   .auth = {.scheme = rt_bytes_of(auth->scheme), .auth = auth->auth}}};
        meta_client_request_now(client, &request);
    }
}

// Credentials first, then the watches, then what waits; reads behind the watches cannot overtake
// an event.
static void session_ready(struct meta_client *client, const struct proto_zk_connected *connected) {
    bool is_new = client->session_id == 0;
    client->session_id = connected->session_id;
    client->timeout_ms = connected->timeout_ms;
    memcpy(client->password, connected->password, sizeof(client->password));
    client->phase = META_CLIENT_READY;
    client->state = META_CLIENT_CONNECTED;
    client->ready_ns = client->sent_ns = client->pinged_ns = client->heard_ns;
    rt_timer_after(&client->timer, ping_interval_ns(client));
    rt_log_info(component, "session %s owner=%s server=%s id=0x%" PRIx64 " timeout_ms=%" PRId32,
                is_new ? "opened" : "continued", client->options.owner->name,
                rt_conn_peer(&client->conn), (uint64_t)client->session_id, client->timeout_ms);
    auths_send(client);
    meta_client_watches_resync_start(&client->watches);
    meta_client_pump(client);
    if (client->options.on_state) client->options.on_state(client, META_CLIENT_CONNECTED);
}

// A server that answers with another session has lost ours: that is an expiry too.
static void handshake_answered(struct meta_client *client, struct rt_bytes payload) {
    struct proto_zk_connected connected;
    rt_err err = proto_zk_connected_decode(payload, &connected);
    if (err) {
        rt_conn_close(&client->conn, err);
        return;
    }
    bool is_other = client->session_id != 0 && connected.session_id != client->session_id;
    if (connected.timeout_ms <= 0 || connected.session_id == 0 || is_other) {
        rt_log_warn(component, "session expired owner=%s server=%s id=0x%" PRIx64,
                    client->options.owner->name, rt_conn_peer(&client->conn),
                    (uint64_t)client->session_id);
        meta_client_session_end(client, META_CLIENT_EXPIRED, RT_EACCESS);
        return;
    }
    session_ready(client, &connected);
}

static void on_frame(struct rt_conn *conn, const struct rt_frame *frame) {
    struct meta_client *client = client_of(conn);
    client->heard_ns = rt_loop_now(client->loop);
    struct rt_bytes payload = rt_frame_bytes(frame, 0, frame->size);
    switch (client->phase) {
    case META_CLIENT_HANDSHAKE: handshake_answered(client, payload); break;
    case META_CLIENT_READY:
    case META_CLIENT_CLOSING: meta_client_on_reply(client, payload); break;
    case META_CLIENT_WAITING:
    case META_CLIENT_DIALING:
    case META_CLIENT_OVER: break;
    }
}

static void on_drained(struct rt_conn *conn) {
    struct meta_client *client = client_of(conn);
    if (client->phase == META_CLIENT_READY) meta_client_pump(client);
}

// BREAKING

static void sent_is_lost(struct meta_client *client, rt_err why) {
    struct rt_list *head = client->sent.next;
    bool was_oversize = why == RT_ETOOBIG && head != &client->sent;
    meta_client_ops_end(client, &client->sent, RT_ERESET);
    if (was_oversize) rt_container_of(head, struct meta_client_op, link)->err = RT_ETOOBIG;
}

static void disconnected(struct meta_client *client, rt_err why) {
    rt_log_warn(component, "connection lost owner=%s server=%s id=0x%" PRIx64 " err=%s",
                client->options.owner->name, rt_conn_peer(&client->conn),
                (uint64_t)client->session_id, rt_err_name(why));
    uint64_t lasted_ns = rt_loop_now(client->loop) - client->ready_ns;
    if (lasted_ns >= GOOD_MS * RT_NS_PER_MS) client->attempts = 0;
    client->state = META_CLIENT_DISCONNECTED;
    sent_is_lost(client, why);
    meta_client_dial_after(client, dial_delay_ns(client));
    if (client->options.on_state) client->options.on_state(client, META_CLIENT_DISCONNECTED);
}

static void on_closed(struct rt_conn *conn, rt_err why) {
    struct meta_client *client = client_of(conn);
    client->conn_used = false;
    rt_timer_cancel(&client->timer);
    switch (client->phase) {
    case META_CLIENT_READY: disconnected(client, why); break;
    case META_CLIENT_DIALING:
    case META_CLIENT_HANDSHAKE:
        rt_log_debug(component, "connect failed owner=%s server=%s err=%s",
                     client->options.owner->name, rt_conn_peer(conn), rt_err_name(why));
        meta_client_dial_after(client, dial_delay_ns(client));
        break;
    case META_CLIENT_CLOSING: client->phase = META_CLIENT_OVER; break;
    case META_CLIENT_WAITING:
    case META_CLIENT_OVER: break;
    }
    if (client->closed) meta_client_deliver_later(client);
}

// TIME

static void ping(struct meta_client *client, uint64_t now_ns) {
    struct proto_zk_request request = {.xid = PROTO_ZK_XID_PING,
                                       .op = {.opcode = PROTO_ZK_OP_PING}};
    client->pinged_ns = now_ns;
    meta_client_request_now(client, &request);
}

// Also with requests under way: a server that is slow to answer those answers pings.
static void watch_over(struct meta_client *client) {
    uint64_t now_ns = rt_loop_now(client->loop), interval_ns = ping_interval_ns(client);
    uint64_t dead_ns = client->heard_ns + meta_client_timeout_ns(client) / 3 * 2;
    if (now_ns >= dead_ns) {
        rt_conn_close(&client->conn, RT_ETIMEDOUT);
        return;
    }
    bool is_silent = now_ns >= client->heard_ns + interval_ns;
    if (now_ns >= client->sent_ns + interval_ns ||
        (is_silent && now_ns >= client->pinged_ns + interval_ns)) {
        ping(client, now_ns);
    }
    uint64_t next_ns = client->sent_ns + interval_ns;
    uint64_t silent_ns =
        client->heard_ns > client->pinged_ns ? client->heard_ns : client->pinged_ns;
    if (silent_ns + interval_ns < next_ns) next_ns = silent_ns + interval_ns;
    rt_timer_at(&client->timer, next_ns < dead_ns ? next_ns : dead_ns);
}

static void timer_fired(struct rt_timer *timer) {
    struct meta_client *client = rt_container_of(timer, struct meta_client, timer);
    switch (client->phase) {
    case META_CLIENT_WAITING: dial(client); break;
    case META_CLIENT_DIALING:
    case META_CLIENT_HANDSHAKE: rt_conn_close(&client->conn, RT_ETIMEDOUT); break;
    case META_CLIENT_READY: watch_over(client); break;
    case META_CLIENT_CLOSING: rt_conn_close(&client->conn, RT_ETIMEDOUT); break;
    case META_CLIENT_OVER: break;
    }
}

void meta_client_connection_init(struct meta_client *client) {
    rt_timer_init(&client->timer, client->loop, timer_fired, "meta client");
}

void meta_client_session_close(struct meta_client *client) {
    assert(client->phase == META_CLIENT_READY);
    client->phase = META_CLIENT_CLOSING;
    struct proto_zk_request request = {.op = {.opcode = PROTO_ZK_OP_CLOSE_SESSION}};
    request.xid = client->close_xid = meta_client_xid_next(client);
    meta_client_request_now(client, &request);
    uint64_t limit_ns = meta_client_timeout_ns(client) / 3;
    if (limit_ns > CLOSE_MS_MAX * RT_NS_PER_MS) limit_ns = CLOSE_MS_MAX * RT_NS_PER_MS;
    rt_timer_after(&client->timer, limit_ns);
}
