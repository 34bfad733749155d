#include "meta/server/node/node.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "meta/server/node/admin.h"

enum { ADDRESS_SIZE = 320, TRANSFER_MS = 1000, TRANSFER_LOOK_MS = 10 };

static void part_closed(struct rt_task *task);

// LISTENING

static void address_print(char address[ADDRESS_SIZE], const char *scheme, const char *host,
                          int64_t port) {
    bool is_v6 = strchr(host, ':') && host[0] != '[';
    snprintf(address, ADDRESS_SIZE, "%s://%s%.250s%s:%d", scheme, is_v6 ? "[" : "",
             host[0] ? host : "0.0.0.0", is_v6 ? "]" : "", (int)port);
}

// EVENTS OF THE REPLICA

static struct meta_node *node_of(struct meta_replica_events *events) {
    return rt_container_of(events, struct meta_node, events);
}

static void on_applied(struct meta_replica_events *events, const struct meta_outcome *outcome) {
    struct meta_node *node = node_of(events);
    if (node->server) meta_server_on_applied(node->server, outcome);
}

static void on_replaced(struct meta_replica_events *events) {
    struct meta_node *node = node_of(events);
    if (node->server) meta_server_on_replaced(node->server);
}

static void on_interrupted(struct meta_replica_events *events) {
    struct meta_node *node = node_of(events);
    if (node->server) meta_server_on_interrupted(node->server);
}

static void on_refused(struct meta_replica_events *events, uint64_t ticket) {
    struct meta_node *node = node_of(events);
    if (node->server) meta_server_on_refused(node->server, ticket);
}

static void on_drained(struct meta_replica_events *events) {
    struct meta_node *node = node_of(events);
    if (node->server) meta_server_on_drained(node->server);
}

static void on_status_changed(struct meta_replica_events *events) {
    struct meta_node *node = node_of(events);
    if (node->server) meta_server_on_status_changed(node->server);
    if (node->served || !meta_replica_has_leader_ready(node->replica)) return;
    node->served = true;
    rt_log_info("meta", "serves clients");
    if (node->options.serving) node->options.serving(node);
}

static void on_failed(struct meta_replica_events *events, rt_err err, const char *what) {
    struct meta_node *node = node_of(events);
    if (node->options.failed) node->options.failed(node, err, what);
}

// OPENING

static rt_err replica_open(struct meta_node *node, struct rt_why *why) {
    const struct meta_zoo_config *config = node->options.config;
    const struct meta_zoo_values *values = &config->values;
    struct meta_replica_options options = {
        .data_dir = values->data_dir,
        .node_id = config->node_id,
        .members = config->members,
        .member_count = config->member_count,
        .peer_tls = values->ssl_quorum ? &config->peer_tls : NULL,
        .is_joining = values->join,
        .election_ms = (uint32_t)values->election_ms,
        .session_tick_ms = (uint32_t)values->tick_ms,
        .container_check_ms = (uint32_t)values->container_check_ms,
        .container_reap_max = (uint32_t)values->container_reap_max,
        .container_never_used_ms = (uint64_t)values->container_never_used_ms,
        .snapshot_entries = (uint64_t)values->snap_count,
        .cache_bytes = (size_t)values->cache_bytes,
        .node_bytes = (size_t)values->node_bytes,
        .sync = values->force_sync,
        .planted_bugs = node->options.planted_bugs,
        .events = &node->events};
    return meta_replica_open_now(node->machine, node->loop, &options, &node->replica, why);
}

static unsigned limit_of(int64_t value) {
    return value > 0 && value < UINT_MAX ? (unsigned)value : UINT_MAX;
}

static int32_t timeout_of(int64_t value) {
    return value > 0 ? (int32_t)value : 0;  // 0 takes the default
}

static rt_err server_open(struct meta_node *node, struct rt_why *why) {
    const struct meta_zoo_config *config = node->options.config;
    const struct meta_zoo_values *values = &config->values;
    char client[ADDRESS_SIZE] = "", secure[ADDRESS_SIZE] = "";
    address_print(client, "tcp", values->client_address, values->client_port);
    address_print(secure, "tls+tcp", values->secure_client_address, values->secure_client_port);
    struct meta_server_options options = {
        .client_listen = values->client_port >= 0 ? client : NULL,
        .secure_listen = values->secure_client_port >= 0 ? secure : NULL,
        .secure_tls = config->has_client_tls ? &config->client_tls : NULL,
        .tick_ms = (uint32_t)values->tick_ms,
        .session_timeout_min_ms = timeout_of(values->session_timeout_min_ms),
        .session_timeout_max_ms = timeout_of(values->session_timeout_max_ms),
        .frame_size_max = (size_t)values->frame_size_max,
        .connections_per_host_max = limit_of(values->connections_per_host_max),
        .connections_max = limit_of(values->connections_max),
        .outstanding_max = limit_of(values->outstanding_max),
        .words = values->words,
        .super_digest = values->super_digest[0] ? values->super_digest : NULL,
        .skip_acl = values->skip_acl,
        .extended_types = values->extended_types,
        .enforce_quota = values->enforce_quota,
        .reconfig_enabled = values->reconfig_enabled,
        .enforce_auth = values->enforce_auth,
        .enforce_auth_schemes = values->enforce_auth_schemes,
        .config_text = config->effective,
        .data_dir = values->data_dir,
        .version = node->options.version,
        .server_id = config->node_id};
    node->server = meta_server_new(node->machine, node->loop, &options, node->replica);
    rt_err err = meta_server_listen(node->server, why);
    return err ? rt_why_prefix(why, err, "client port") : RT_OK;
}

// Like ZooKeeper, a node whose HTTP port is taken goes on without it.
static void admin_open(struct meta_node *node) {
    const struct meta_zoo_values *values = &node->options.config->values;
    char address[ADDRESS_SIZE];
    struct rt_why why = {{0}};
    if (node->options.no_admin || !values->admin_enabled) return;
    address_print(address, "tcp", values->admin_address, values->admin_port);
    const struct rt_http_options options = {.owner = &node->admin_owner};
    rt_err err = rt_http_server_open(node->loop, address, meta_admin_routes, meta_admin_route_count,
                                     &options, &node->admin, &why);
    if (!err) return;
    node->admin = NULL;
    rt_log_warn("meta", "goes on without HTTP reason=\"%s\"", why.text);
}

rt_err meta_node_open_now(struct rt_machine *machine, const struct meta_node_options *options,
                          struct meta_node **node, struct rt_why *why) {
    struct meta_node *self = RT_NEW(struct meta_node);
    self->machine = machine;
    self->loop = rt_machine_loop(machine, 0);
    self->options = *options;
    self->admin_owner.name = "meta";
    self->events = (struct meta_replica_events){.applied = on_applied,
                                                .replaced = on_replaced,
                                                .interrupted = on_interrupted,
                                                .refused = on_refused,
                                                .status_changed = on_status_changed,
                                                .drained = on_drained,
                                                .failed = on_failed};
    rt_task_init(&self->part_closed, part_closed, "meta.close");
    *node = NULL;
    rt_err err = replica_open(self, why);
    if (!err) err = server_open(self, why);
    if (err) {
        rt_defer(self->loop, &self->part_closed);
        return err;
    }
    *node = self;
    self->metrics = meta_metrics_new(machine, self->loop, self->replica, self->server);
    admin_open(self);
    return meta_replica_start(self->replica, why);
}

// FACTS

struct rt_http_owner *meta_node_owner(const struct meta_node *node) {
    return node->options.owner;
}

uint16_t meta_node_client_port(const struct meta_node *node) {
    return meta_server_port(node->server);
}

uint16_t meta_node_secure_port(const struct meta_node *node) {
    return meta_server_secure_port(node->server);
}

uint16_t meta_node_admin_port(const struct meta_node *node) {
    return node->admin ? rt_http_server_port(node->admin) : 0;
}

struct meta_replica *meta_node_replica(struct meta_node *node) {
    return node->replica;
}

struct meta_server *meta_node_server(struct meta_node *node) {
    return node->server;
}

// CLOSING: leadership is given away, then clients, HTTP and replica end, each waited for.

static void http_closed(struct rt_http_closing *closing) {
    struct meta_node *node = rt_container_of(closing, struct meta_node, admin_closing);
    rt_defer(node->loop, &node->part_closed);
}

static void part_closed(struct rt_task *task) {
    struct meta_node *node = rt_container_of(task, struct meta_node, part_closed);
    if (node->server) {
        struct meta_server *server = node->server;
        meta_metrics_free(node->metrics);
        node->metrics = NULL;
        node->server = NULL;
        meta_server_close(server, task);
    } else if (node->admin) {
        struct rt_http_server *admin = node->admin;
        node->admin = NULL;
        node->admin_closing.closed = http_closed;
        rt_http_server_close(admin, &node->admin_closing);
    } else if (node->replica) {
        struct meta_replica *replica = node->replica;
        node->replica = NULL;
        meta_replica_close(replica, task);
    } else {
        if (node->closed) rt_defer(node->loop, node->closed);
        rt_free(node);
    }
}

static void transfer_look(struct rt_timer *timer) {
    struct meta_node *node = rt_container_of(timer, struct meta_node, transfer_timer);
    struct meta_replica_status status;
    meta_replica_status(node->replica, &status);
    bool wait = status.raft.role == RAFT_LEADER && rt_loop_now(node->loop) < node->transfer_end_ns;
    if (wait)
        rt_timer_after(timer, TRANSFER_LOOK_MS * RT_NS_PER_MS);
    else
        rt_defer(node->loop, &node->part_closed);
}

void meta_node_close(struct meta_node *node, struct rt_task *closed) {
    assert(!node->closed);
    node->closed = closed;
    rt_timer_init(&node->transfer_timer, node->loop, transfer_look, "meta.transfer");
    node->transfer_end_ns = rt_loop_now(node->loop) + TRANSFER_MS * RT_NS_PER_MS;
    bool leaves = !meta_replica_transfer(node->replica, 0);
    if (leaves)
        rt_timer_after(&node->transfer_timer, TRANSFER_LOOK_MS * RT_NS_PER_MS);
    else
        rt_defer(node->loop, &node->part_closed);
}
