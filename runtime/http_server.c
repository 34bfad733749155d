#include <assert.h>

#include "runtime/http_conn.h"

// LISTENING

static struct http_shard *shard_of(struct rt_http_server *server, const struct rt_loop *loop) {
    return &server->shards[server->options.spread ? rt_loop_index(loop) : 0];
}

static void on_incoming(struct rt_listener *listener, struct rt_loop *loop,
                        struct rt_incoming *incoming) {
    struct rt_http_server *server = rt_container_of(listener, struct rt_http_server, listener);
    struct http_shard *shard = shard_of(server, loop);
    assert(shard->loop == loop);
    unsigned before = atomic_fetch_add_explicit(&server->conn_count, 1, memory_order_relaxed);
    if (before < server->options.connections_max && !shard->closing) {
        http_conn_accept(shard, incoming);
        return;
    }
    atomic_fetch_sub_explicit(&server->conn_count, 1, memory_order_relaxed);
    if (!shard->closing && rt_log_allows(&shard->log_limit, "http")) {
        rt_log_warn("http", "connection refused peer=%s port=%u connections_max=%u",
                    rt_incoming_peer(incoming), rt_listener_port(listener),
                    server->options.connections_max);
    }
    rt_incoming_refuse(incoming);
}

// CLOSING: no new connections; each shard lets its requests be answered; when all shards are empty
// and the listener has ended, the server is freed.

static void server_free(struct rt_http_server *server) {
    rt_http_router_free(server->router);
    rt_free(server);
}

static void server_finish(struct rt_http_server *server) {
    if (server->shards_open || !server->listener_closed) return;
    assert(atomic_load_explicit(&server->conn_count, memory_order_relaxed) == 0);
    struct rt_http_closing *closing = server->closing;
    server_free(server);
    closing->closed(closing);
}

static void on_listener_closed(struct rt_listener *listener) {
    struct rt_http_server *server = rt_container_of(listener, struct rt_http_server, listener);
    server->listener_closed = true;
    server_finish(server);
}

static void on_shard_empty(struct rt_task *task) {
    struct http_shard *shard = rt_container_of(task, struct http_shard, empty);
    shard->server->shards_open--;
    server_finish(shard->server);
}

static void shard_report(struct http_shard *shard) {
    if (!shard->closing || shard->is_empty || !rt_list_is_empty(&shard->conns)) return;
    shard->is_empty = true;
    rt_post(shard->server->loop, &shard->empty);
}

static void on_shard_close(struct rt_task *task) {
    struct http_shard *shard = rt_container_of(task, struct http_shard, close);
    shard->closing = true;
    rt_list_each_safe (node, &shard->conns) {
        http_conn_leave(rt_container_of(node, struct http_conn, link));
    }
    shard_report(shard);
}

void http_server_conn_freed(struct http_shard *shard) {
    atomic_fetch_sub_explicit(&shard->server->conn_count, 1, memory_order_relaxed);
    shard_report(shard);
}

void rt_http_server_close(struct rt_http_server *server, struct rt_http_closing *closing) {
    assert(!server->closing);
    server->closing = closing;
    rt_listener_close(&server->listener);
    for (unsigned i = 0; i < server->shard_count; i++) {
        rt_post(server->shards[i].loop, &server->shards[i].close);
    }
}

// OPENING

static struct rt_http_options options_filled(const struct rt_http_options *options) {
    struct rt_http_options filled = options ? *options : (struct rt_http_options){0};
    if (!filled.body_size_max) filled.body_size_max = 1 << 20;
    if (!filled.connections_max) filled.connections_max = 1024;
    if (!filled.idle_timeout_ms) filled.idle_timeout_ms = 60000;
    return filled;
}

static struct rt_http_server *server_new(struct rt_loop *loop, const struct rt_http_route *routes,
                                         size_t route_count,
                                         const struct rt_http_options *options) {
    struct rt_machine *machine = rt_loop_machine(loop);
    struct rt_http_options filled = options_filled(options);
    unsigned shard_count = filled.spread ? machine->loop_count : 1;
    struct rt_http_server *server =
        rt_alloc_zero(1, sizeof(*server) + shard_count * sizeof(server->shards[0]));
    server->loop = loop;
    server->options = filled;
    server->router = rt_http_router_new(routes, route_count);
    server->owner = filled.owner;
    server->shard_count = server->shards_open = shard_count;
    for (unsigned i = 0; i < shard_count; i++) {
        struct http_shard *shard = &server->shards[i];
        shard->server = server;
        shard->loop = filled.spread ? rt_machine_loop(machine, i) : loop;
        shard->log_limit.burst = 1;
        rt_list_init(&shard->conns);
        rt_task_init(&shard->close, on_shard_close, "http shard close");
        rt_task_init(&shard->empty, on_shard_empty, "http shard empty");
    }
    return server;
}

rt_err rt_http_server_open(struct rt_loop *loop, const char *address,
                           const struct rt_http_route *routes, size_t route_count,
                           const struct rt_http_options *options, struct rt_http_server **server,
                           struct rt_why *why) {
    static const struct rt_listener_events events = {
        .name = "http", .on_incoming = on_incoming, .on_closed = on_listener_closed};
    struct rt_http_server *opened = server_new(loop, routes, route_count, options);
    rt_err err = rt_listener_open(&opened->listener, loop, address, &events, opened->options.spread,
                                  opened->options.tls, why);
    if (err) {
        server_free(opened);
        return rt_why_prefix(why, err, "http server");
    }
    *server = opened;
    return RT_OK;
}

uint16_t rt_http_server_port(const struct rt_http_server *server) {
    return rt_listener_port(&server->listener);
}
