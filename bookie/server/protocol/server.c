// The server's life: who is let in, what the core tells, the pool of calls.
#include "bookie/server/protocol/server.h"

#include <assert.h>

#include "bookie/server/protocol/conn.h"

enum {
    CALLS_PER_CONN = 10000,
    IDLE_CALLS_MAX = 4096,
    ENTRY_SIZE = 16 << 10,
    LOG_BURST = 10,
    LENGTH_SIZE = 4,
    OUT_HIGH_BYTES = 1 << 20,
};

// What reads under way may add to an output that was not yet full.
static const size_t out_bytes_max = (size_t)1 << 30;

// CALLS

struct conn_call *bookie_server_call_take(struct bookie_server *server, struct bookie_conn *conn) {
    struct rt_list *node = rt_list_pop_front(&server->idle);
    struct conn_call *call;
    if (node) {
        call = rt_container_of(node, struct conn_call, link);
        server->idle_count--;
    } else {
        call = RT_NEW(struct conn_call);
    }
    call->conn = conn;
    rt_list_push_back(&conn->calls, &call->link);
    return call;
}

// The one used last is the next: it is in the caches of the processor.
void bookie_server_call_give(struct bookie_server *server, struct conn_call *call) {
    rt_list_remove(&call->link);
    if (server->idle_count == IDLE_CALLS_MAX) {
        rt_free(call);
        return;
    }
    server->idle_count++;
    rt_list_push_front(&server->idle, &call->link);
}

// LETTING IN

static void conn_accept(struct bookie_server *server, struct rt_incoming *incoming) {
    struct bookie_conn *conn = RT_NEW(struct bookie_conn);
    conn->server = server;
    conn->entry_size = ENTRY_SIZE;
    rt_list_init(&conn->congested_link);
    rt_list_init(&conn->calls);
    rt_list_push_back(&server->conns, &conn->link);
    server->conn_count++;
    server->stats.connections++;
    server->stats.connections_opened++;
    rt_conn_accept(&conn->stream, server->loop, incoming, &bookie_conn_events, &server->streams);
}

static void incoming_arrived(struct rt_listener *listener, struct rt_loop *loop,
                             struct rt_incoming *incoming) {
    struct bookie_server *server = rt_container_of(listener, struct bookie_server, listener);
    unsigned max = server->options.connections_max;
    assert(loop == server->loop);
    if (!server->closed && (!max || server->stats.connections < max)) {
        conn_accept(server, incoming);
        return;
    }
    server->stats.connections_refused++;
    if (!server->closed && rt_log_allows(&server->log_limit, "bookie"))
        rt_log_warn("bookie", "connection refused, too many peer=%s max=%u",
                    rt_incoming_peer(incoming), max);
    rt_incoming_refuse(incoming);
}

static void listener_closed(struct rt_listener *listener) {
    struct bookie_server *server = rt_container_of(listener, struct bookie_server, listener);
    server->is_listening = false;
    bookie_server_maybe_closed(server);
}

static const struct rt_listener_events listener_events = {
    .name = "bookkeeper", .on_incoming = incoming_arrived, .on_closed = listener_closed};

rt_err bookie_server_listen(struct bookie_server *server, struct rt_why *why) {
    assert(!server->is_listening && !server->closed);
    rt_err err = rt_listener_open(&server->listener, server->loop, server->options.listen,
                                  &listener_events, false, NULL, why);
    if (err) return rt_why_prefix(why, err, "listening for clients");
    server->is_listening = true;
    return RT_OK;
}

uint16_t bookie_server_port(const struct bookie_server *server) {
    return server->is_listening ? rt_listener_port(&server->listener) : 0;
}

// CONGESTION: a connection is paused when its next packet came, so idle ones cost nothing.

void bookie_server_on_congested(struct bookie_server *server) {
    server->is_congested = true;
}

void bookie_server_on_relieved(struct bookie_server *server) {
    server->is_congested = false;
    while (!rt_list_is_empty(&server->congested)) {
        struct bookie_conn *conn =
            rt_container_of(server->congested.next, struct bookie_conn, congested_link);
        rt_list_remove(&conn->congested_link);
        bookie_conn_unpause(conn, PAUSE_CONGESTED);
    }
}

// LIFE

struct bookie_server *bookie_server_new(struct rt_machine *machine, struct rt_loop *loop,
                                        const struct bookie_server_options *options,
                                        struct bookie_core *core) {
    struct bookie_server *server = RT_NEW(struct bookie_server);
    server->machine = machine;
    server->loop = loop;
    server->core = core;
    server->options = *options;
    if (!server->options.frame_size_max) server->options.frame_size_max = PROTO_BK_FRAME_MAX;
    if (!server->options.calls_per_conn_max) server->options.calls_per_conn_max = CALLS_PER_CONN;
    assert(server->options.frame_size_max > LENGTH_SIZE);
    server->streams =
        (struct rt_stream_options){.framing = RT_FRAMES_BE32,
                                   .frame_size_max = server->options.frame_size_max - LENGTH_SIZE,
                                   .out_high_bytes = OUT_HIGH_BYTES,
                                   .out_bytes_max = out_bytes_max};
    server->log_limit.burst = LOG_BURST;
    rt_list_init(&server->conns);
    rt_list_init(&server->congested);
    rt_list_init(&server->idle);
    return server;
}

void bookie_server_close(struct bookie_server *server, struct rt_task *closed) {
    assert(!server->closed);
    server->closed = closed;
    server->conn_count++;  // it stays until we are through the list
    if (server->is_listening) rt_listener_close(&server->listener);
    rt_list_each_safe (node, &server->conns)
        bookie_conn_wind_down(rt_container_of(node, struct bookie_conn, link));
    server->conn_count--;
    bookie_server_maybe_closed(server);
}

void bookie_server_maybe_closed(struct bookie_server *server) {
    if (!server->closed || server->is_listening || server->conn_count) return;
    while (!rt_list_is_empty(&server->idle))
        rt_free(rt_container_of(rt_list_pop_front(&server->idle), struct conn_call, link));
    rt_buf_fini(&server->scratch);
    rt_defer(server->loop, server->closed);
    rt_free(server);
}

struct bookie_server_stats bookie_server_stats(const struct bookie_server *server) {
    return server->stats;
}
