// The server's life: who is let in, and what the replica tells is passed to those concerned.
#include "meta/server/zk/server.h"

#include <assert.h>
#include <string.h>

#include "meta/server/zk/conn.h"

enum {
    TICK_MS = 2000,
    PER_HOST_MAX = 60,
    OUTSTANDING_MAX = 1000,
    LOG_BURST = 10,
    SESSION_CLOCK_BITS = 40,
    SESSION_COUNTER_BITS = 16,
    FRAME_PREFIX = 4
};

static const uint64_t leaderless_max_ns = 2 * RT_NS_PER_S;

uint64_t meta_server_applied(const struct meta_server *server) {
    return meta_store_totals(server->store).applied.index;
}

uint64_t meta_server_wall_ms(const struct meta_server *server) {
    return rt_machine_wall_ns(server->machine) / RT_NS_PER_MS;
}

struct meta_conn *meta_server_conn_of(struct meta_server *server, int64_t session) {
    struct meta_conn *conn;
    HASH_FIND(by_session, server->sessions, &session, sizeof(session), conn);
    return conn;
}

// LETTING IN

// The host of "host:port", without brackets; all of an address in this process.
static struct rt_bytes host_of(const char *peer, bool *is_local) {
    struct rt_bytes host = rt_bytes_of(peer);
    *is_local = rt_bytes_starts_with(host, RT_BYTES_LITERAL("inproc:"));
    const char *colon = strrchr(peer, ':');
    if (*is_local || !colon) return host;
    host.size = (size_t)(colon - peer);
    if (host.size < 2 || peer[0] != '[' || peer[host.size - 1] != ']') return host;
    return RT_BYTES(peer + 1, host.size - 2);
}

static struct meta_host *host_find(struct meta_server *server, struct rt_bytes name) {
    struct meta_host *host;
    HASH_FIND(hh, server->hosts, name.data, name.size, host);
    return host;
}

static struct meta_host *host_enter(struct meta_server *server, struct rt_bytes name) {
    struct meta_host *host = host_find(server, name);
    if (!host) {
        host = rt_alloc(sizeof(*host) + name.size + 1);
        *host = (struct meta_host){.size = name.size};
        memcpy(host->name, name.data, name.size);
        HASH_ADD_KEYPTR(hh, server->hosts, host->name, host->size, host);
    }
    host->count++;
    return host;
}

static bool has_room(struct meta_server *server, struct rt_bytes host, bool is_local) {
    const struct meta_server_options *options = &server->options;
    if (server->closing || server->stats.connections >= options->connections_max) return false;
    const struct meta_host *known = is_local ? NULL : host_find(server, host);
    return !known || known->count < options->connections_per_host_max;
}

static void conn_accept(struct meta_door *door, struct rt_incoming *incoming, struct rt_bytes host,
                        bool is_local) {
    struct meta_server *server = door->server;
    struct meta_conn *conn = RT_NEW(struct meta_conn);
    conn->server = server;
    conn->is_secure = door->is_secure;
    rt_list_init(&conn->busy_link);
    rt_list_init(&conn->throttled_link);
    rt_list_init(&conn->slice_link);
    rt_list_init(&conn->pending);
    rt_list_init(&conn->link);
    rt_list_push_back(&server->conns, &conn->link);
    meta_watcher_init(&conn->watcher);
    meta_conn_ids_init(conn, host);
    if (!is_local) conn->host = host_enter(server, host);
    server->conn_count++;
    server->stats.connections++;
    server->stats.connections_opened++;
    rt_conn_accept(&conn->stream, server->loop, incoming, &meta_conn_events, &server->streams);
}

static void incoming_arrived(struct rt_listener *listener, struct rt_loop *loop,
                             struct rt_incoming *incoming) {
    struct meta_door *door = rt_container_of(listener, struct meta_door, listener);
    struct meta_server *server = door->server;
    bool is_local;
    struct rt_bytes host = host_of(rt_incoming_peer(incoming), &is_local);
    assert(loop == server->loop);
    if (has_room(server, host, is_local)) {
        conn_accept(door, incoming, host, is_local);
        return;
    }
    server->stats.connections_refused++;
    if (rt_log_allows(&server->log_limit, "meta"))
        rt_log_warn("meta", "connection refused, too many peer=%s", rt_incoming_peer(incoming));
    rt_incoming_refuse(incoming);
}

static void door_closed(struct rt_listener *listener) {
    struct meta_door *door = rt_container_of(listener, struct meta_door, listener);
    door->is_open = false;
    meta_server_maybe_gone(door->server);
}

static const struct rt_listener_events door_events = {
    .name = "zookeeper", .on_incoming = incoming_arrived, .on_closed = door_closed};

static rt_err door_open(struct meta_door *door, const char *address, struct rt_why *why) {
    struct meta_server *server = door->server;
    const struct rt_tls *tls = door->is_secure ? server->options.secure_tls : NULL;
    if (!address) return RT_OK;
    rt_err err =
        rt_listener_open(&door->listener, server->loop, address, &door_events, false, tls, why);
    if (err) return rt_why_prefix(why, err, "listening for clients");
    door->is_open = true;
    return RT_OK;
}

rt_err meta_server_listen(struct meta_server *server, struct rt_why *why) {
    rt_err err = door_open(&server->doors[0], server->options.client_listen, why);
    if (!err) err = door_open(&server->doors[1], server->options.secure_listen, why);
    return err;
}

static uint16_t door_port(const struct meta_door *door) {
    return door->is_open ? rt_listener_port(&door->listener) : 0;
}

uint16_t meta_server_port(const struct meta_server *server) {
    return door_port(&server->doors[0]);
}

uint16_t meta_server_secure_port(const struct meta_server *server) {
    return door_port(&server->doors[1]);
}

// WHAT THE REPLICA TELLS

static struct meta_pending *pending_of(struct meta_server *server,
                                       const struct meta_outcome *outcome) {
    struct meta_pending *pending = NULL;
    if (outcome->origin != server->options.server_id) return NULL;
    HASH_FIND(hh, server->waiting, &outcome->ticket, sizeof(outcome->ticket), pending);
    return pending;
}

// Before anybody hears of the changes: who lost the session is not told.
static void session_ends(struct meta_server *server, const struct meta_outcome *outcome) {
    bool opened = outcome->verdict == META_SESSION_OPENED;
    if (!opened && outcome->verdict != META_SESSION_CLOSED) return;
    const struct meta_pending *pending = pending_of(server, outcome);
    struct meta_conn *conn = meta_server_conn_of(server, outcome->session);
    if (!opened && !outcome->origin) server->stats.sessions_expired++;
    bool asked_itself = !opened && pending && pending->conn == conn;
    if (conn && !asked_itself) meta_conn_close(conn, RT_OK);
}

static void pending_outcome(struct meta_pending *pending, const struct meta_outcome *outcome) {
    struct proto_zk_reply reply = outcome->reply;
    if (pending->asked.opcode == PROTO_ZK_OP_CREATE_SESSION) {
        meta_conn_greeted(pending, outcome);
        return;
    }
    switch (outcome->verdict) {
    case META_ANSWERED:
    case META_SESSION_CLOSED:
        reply.header.zxid = outcome->zxid;
        meta_pending_answer(pending, &reply);
        return;
    case META_SESSION_OPENED:
    case META_SESSION_REFUSED:
    case META_SESSION_MOVED:
    case META_IGNORED: break;
    }
    meta_conn_close(pending->conn, RT_OK);  // another connection has the session
}

void meta_server_on_applied(struct meta_server *server, const struct meta_outcome *outcome) {
    if (server->closing) return;
    session_ends(server, outcome);
    meta_server_fire(server, outcome);
    struct meta_pending *pending = pending_of(server, outcome);
    if (pending) pending_outcome(pending, outcome);
    meta_reconfig_outcome(server, outcome);
}

static void all_close(struct meta_server *server, rt_err why) {
    while (!rt_list_is_empty(&server->conns))
        meta_conn_close(rt_container_of(server->conns.next, struct meta_conn, link), why);
}

void meta_server_on_replaced(struct meta_server *server) {
    all_close(server, RT_EAGAIN);
}

void meta_server_on_interrupted(struct meta_server *server) {
    rt_list_each_safe (node, &server->conns) {
        struct meta_conn *conn = rt_container_of(node, struct meta_conn, link);
        if (conn->submitted) meta_conn_close(conn, RT_EAGAIN);
    }
    if (server->reconfig.is_under_way) meta_conn_close(server->reconfig.pending->conn, RT_EAGAIN);
}

void meta_server_on_refused(struct meta_server *server, uint64_t ticket) {
    struct meta_pending *pending = NULL;
    HASH_FIND(hh, server->waiting, &ticket, sizeof(ticket), pending);
    if (pending) meta_conn_close(pending->conn, RT_ETOOBIG);
}

static void leaderless_fire(struct rt_timer *timer) {
    struct meta_server *server = rt_container_of(timer, struct meta_server, leaderless);
    struct meta_replica_status status;
    meta_replica_status(server->replica, &status);
    if (!status.leaderless_ns) return;
    rt_log_info("meta", "no leader is known, connections closed count=%llu",
                (unsigned long long)server->stats.connections);
    all_close(server, RT_EAGAIN);
}

void meta_server_on_status_changed(struct meta_server *server) {
    struct meta_replica_status status;
    if (server->closing) return;
    meta_replica_status(server->replica, &status);
    if (status.leaderless_ns)
        rt_timer_at(&server->leaderless, status.leaderless_ns + leaderless_max_ns);
    else
        rt_timer_cancel(&server->leaderless);
}

static void slice_run(struct rt_task *task) {
    struct meta_server *server = rt_container_of(task, struct meta_server, slice);
    struct rt_list sliced;
    rt_list_init(&sliced);
    rt_list_splice(&sliced, &server->sliced);
    server->slice_queued = false;
    while (!rt_list_is_empty(&sliced)) {
        struct rt_list *node = rt_list_pop_front(&sliced);
        meta_conn_advance(rt_container_of(node, struct meta_conn, slice_link));
    }
    meta_server_maybe_gone(server);
}

// LIFE

static void options_default(struct meta_server_options *options) {
    if (!options->tick_ms) options->tick_ms = TICK_MS;
    if (!options->session_timeout_min_ms)
        options->session_timeout_min_ms = (int32_t)options->tick_ms * 2;
    if (!options->session_timeout_max_ms)
        options->session_timeout_max_ms = (int32_t)options->tick_ms * 20;
    if (!options->frame_size_max) options->frame_size_max = PROTO_ZK_FRAME_SIZE_MAX;
    if (!options->connections_per_host_max) options->connections_per_host_max = PER_HOST_MAX;
    if (!options->connections_max) options->connections_max = UINT32_MAX;
    if (!options->outstanding_max) options->outstanding_max = OUTSTANDING_MAX;
    if (!options->words) options->words = "srvr";
}

static unsigned command_flags_of(const struct meta_server_options *options) {
    unsigned flags = 0;
    if (options->skip_acl) flags |= META_SKIP_ACL;
    if (options->extended_types) flags |= META_EXTENDED_TYPES;
    if (options->enforce_quota) flags |= META_ENFORCE_QUOTA;
    return flags;
}

static void session_ids_start(struct meta_server *server) {
    uint64_t clock = meta_server_wall_ms(server) & ((UINT64_C(1) << SESSION_CLOCK_BITS) - 1);
    uint64_t id = server->options.server_id & 0xff;
    server->next_session =
        id << (SESSION_CLOCK_BITS + SESSION_COUNTER_BITS) | clock << SESSION_COUNTER_BITS;
}

static void lists_init(struct meta_server *server) {
    rt_list_init(&server->conns);
    rt_list_init(&server->spare);
    rt_list_init(&server->busy);
    rt_list_init(&server->throttled);
    rt_list_init(&server->sliced);
}

static void gone_run(struct rt_task *task);

struct meta_server *meta_server_new(struct rt_machine *machine, struct rt_loop *loop,
                                    const struct meta_server_options *options,
                                    struct meta_replica *replica) {
    struct meta_server *server = RT_NEW(struct meta_server);
    assert(options->server_id);  // 0 as an origin: nobody waits
    server->machine = machine;
    server->loop = loop;
    server->options = *options;
    options_default(&server->options);
    server->replica = replica;
    server->store = meta_replica_store(replica);
    server->watches = meta_watches_new();
    server->command_flags = command_flags_of(&server->options);
    server->streams =
        (struct rt_stream_options){.framing = RT_FRAMES_MEASURED,
                                   .measure = meta_conn_measure,
                                   .frame_size_max = server->options.frame_size_max + FRAME_PREFIX};
    server->doors[0] = (struct meta_door){.server = server};
    server->doors[1] = (struct meta_door){.server = server, .is_secure = true};
    server->log_limit.burst = LOG_BURST;
    server->started_ms = meta_server_wall_ms(server);
    server->proposal_last = server->proposal_min = server->proposal_max = -1;
    lists_init(server);
    session_ids_start(server);
    meta_watching_init(server);
    meta_reconfig_init(server);
    meta_server_latencies_init(server);
    rt_task_init(&server->slice, slice_run, "zookeeper.slice");
    rt_task_init(&server->gone, gone_run, "zookeeper.gone");
    rt_timer_init(&server->leaderless, loop, leaderless_fire, "zookeeper.leaderless");
    return server;
}

static void gone_run(struct rt_task *task) {
    struct meta_server *server = rt_container_of(task, struct meta_server, gone);
    struct rt_task *closed = server->closed;
    assert(!server->waiting && !server->hosts && !server->sessions);
    while (!rt_list_is_empty(&server->spare)) {
        struct rt_list *node = rt_list_pop_front(&server->spare);
        rt_free(rt_container_of(node, struct meta_pending, link));
    }
    meta_server_latencies_fini(server);
    meta_watches_free(server->watches);
    rt_arena_fini(&server->arena);
    rt_buf_fini(&server->scratch);
    rt_buf_fini(&server->event.bytes);
    struct rt_loop *loop = server->loop;
    rt_free(server);
    if (closed) rt_defer(loop, closed);
}

void meta_server_maybe_gone(struct meta_server *server) {
    bool is_held = server->conn_count || server->slow_reads || server->slice_queued ||
                   server->reconfig.is_queued || server->doors[0].is_open ||
                   server->doors[1].is_open;
    if (!server->closing || server->gone_queued || is_held) return;
    server->gone_queued = true;
    rt_defer(server->loop, &server->gone);
}

void meta_server_close(struct meta_server *server, struct rt_task *closed) {
    assert(!server->closing);
    server->closing = true;
    server->closed = closed;
    rt_timer_cancel(&server->leaderless);
    for (size_t i = 0; i < 2; i++) {
        if (server->doors[i].is_open) rt_listener_close(&server->doors[i].listener);
    }
    all_close(server, RT_OK);
    meta_server_maybe_gone(server);
}
