// reconfig: the members of the cluster, changed by a client of the leader. One at a time; the
// answer is what /zookeeper/config says once the new members are in force.
//
// A follower knows too little to do it and cannot pass it on as a command, so it closes the
// connection: the client finds the leader among its servers.
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "meta/server/zk/conn.h"

#define CONFIG_PATH RT_BYTES_LITERAL("/zookeeper/config")

enum { PORT_MAX = 65535, DIGITS_MAX = 19, SILENT_TICKS_MAX = 20 };

// SERVER LINES: server.N=host:peerPort:electionPort[:role][;[clientHost:]clientPort]

// What is before the separator; `rest` goes on behind it.
static struct rt_bytes split(struct rt_bytes *rest, char separator, bool *found) {
    struct rt_bytes part = *rest;
    const uint8_t *at = rest->size ? memchr(rest->data, separator, rest->size) : NULL;
    *found = at != NULL;
    if (at) part.size = (size_t)(at - rest->data);
    *rest = rt_bytes_skip(*rest, part.size + (at ? 1 : 0));
    return part;
}

static struct rt_bytes trim(struct rt_bytes text) {
    while (text.size && text.data[0] <= ' ') text = rt_bytes_skip(text, 1);
    while (text.size && text.data[text.size - 1] <= ' ') text.size--;
    return text;
}

static bool number_parse(struct rt_bytes text, uint64_t max, uint64_t *number) {
    *number = 0;
    if (text.size == 0 || text.size > DIGITS_MAX) return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') return false;
        *number = *number * 10 + (uint64_t)(text.data[i] - '0');
    }
    return *number <= max;
}

static bool is_port(struct rt_bytes text) {
    uint64_t port;
    return number_parse(text, PORT_MAX, &port) && port > 0;
}

static struct rt_bytes host_take(struct rt_bytes *rest) {
    bool found;
    if (!rest->size || rest->data[0] != '[') return split(rest, ':', &found);
    struct rt_bytes host = split(rest, ']', &found);
    if (!found || !rest->size || rest->data[0] != ':') return (struct rt_bytes){0};
    *rest = rt_bytes_skip(*rest, 1);
    host.size++;  // with the bracket
    return host;
}

static bool host_is_sane(struct rt_bytes host) {
    for (size_t i = 0; i < host.size; i++) {
        if (host.data[i] <= ' ' || host.data[i] == ',' || host.data[i] > '~') return false;
    }
    return host.size > 0;
}

// The client's part as it is written in /zookeeper/config: with a host.
static bool client_print(struct rt_bytes text, char *out, size_t size) {
    const char *host = "0.0.0.0";
    int host_size = (int)strlen(host);
    if (!is_port(text)) {
        struct rt_bytes given = host_take(&text);
        if (!host_is_sane(given) || !is_port(text)) return false;
        host = (const char *)given.data;
        host_size = (int)given.size;
    }
    int count = snprintf(out, size, ";%.*s:%.*s", host_size, host, (int)text.size, text.data);
    return count > 0 && (size_t)count < size;
}

static bool address_parse(struct rt_bytes text, char *address, unsigned *roles) {
    bool has_client, found;
    char client[RAFT_ADDRESS_SIZE] = "";
    struct rt_bytes server = split(&text, ';', &has_client);
    if (has_client && !client_print(trim(text), client, sizeof(client))) return false;
    struct rt_bytes host = host_take(&server);
    struct rt_bytes peer = split(&server, ':', &found);
    struct rt_bytes election = split(&server, ':', &found);
    bool is_observer = found && rt_bytes_equal(server, RT_BYTES_LITERAL("observer"));
    bool is_voter = !found || rt_bytes_equal(server, RT_BYTES_LITERAL("participant"));
    if (!host_is_sane(host) || !is_port(peer) || !is_port(election)) return false;
    if (!is_observer && !is_voter) return false;
    *roles = is_observer ? RAFT_LEARNER : RAFT_VOTER;
    int count = snprintf(address, RAFT_ADDRESS_SIZE, "%.*s:%.*s:%.*s:%s%s", (int)host.size,
                         (const char *)host.data, (int)peer.size, (const char *)peer.data,
                         (int)election.size, (const char *)election.data,
                         is_observer ? "observer" : "participant", client);
    return count > 0 && count < RAFT_ADDRESS_SIZE;
}

static bool server_add(struct raft_config *config, struct rt_bytes line) {
    bool found;
    char address[RAFT_ADDRESS_SIZE];
    unsigned roles;
    uint64_t id;
    struct rt_bytes name = trim(split(&line, '=', &found));
    struct rt_bytes prefix = RT_BYTES_LITERAL("server.");
    if (!found || !rt_bytes_starts_with(name, prefix)) return false;
    if (!number_parse(rt_bytes_skip(name, prefix.size), INT64_MAX, &id) || !id) return false;
    if (!address_parse(trim(line), address, &roles)) return false;
    return raft_config_put(config, id, roles, address) == RT_OK;
}

static bool servers_add(struct raft_config *config, struct rt_bytes text) {
    while (text.size) {
        bool more;
        size_t size = 0;
        while (size < text.size && text.data[size] != ',' && text.data[size] != '\n') size++;
        struct rt_bytes line = RT_BYTES(text.data, size);
        more = size < text.size;
        text = rt_bytes_skip(text, size + (more ? 1 : 0));
        if (trim(line).size && !server_add(config, line)) return false;
    }
    return true;
}

static bool servers_remove(struct raft_config *config, struct rt_bytes text) {
    while (text.size) {
        bool found;
        uint64_t id;
        unsigned kept = 0;
        struct rt_bytes item = trim(split(&text, ',', &found));
        if (!number_parse(item, INT64_MAX, &id)) return false;
        for (unsigned i = 0; i < config->count; i++) {
            if (config->members[i].id != id) config->members[kept++] = config->members[i];
        }
        config->count = kept;
    }
    return true;
}

// False: the request makes no sense.
static bool config_make(const struct proto_zk_op *op, const struct raft_config *now,
                        struct raft_config *to) {
    bool changes = op->reconfig.joining.size || op->reconfig.leaving.size;
    bool replaces = op->reconfig.members.size != 0;
    if (changes == replaces) return false;
    *to = (struct raft_config){0};
    if (replaces) return servers_add(to, op->reconfig.members) && raft_config_is_valid(to);
    *to = *now;
    if (!servers_remove(to, op->reconfig.leaving)) return false;
    return servers_add(to, op->reconfig.joining) && raft_config_is_valid(to);
}

// CHECKS, in the order of section 11 of the protocol sheet

static bool is_live(const struct meta_server *server, uint64_t id) {
    struct raft_peer_status peer;
    if (id == server->options.server_id) return true;
    if (!meta_replica_peer_status(server->replica, id, &peer)) return true;  // comes with it
    return peer.silent_ticks <= SILENT_TICKS_MAX;
}

static bool has_quorum(const struct meta_server *server, const struct raft_config *config) {
    unsigned voters = 0, live = 0;
    for (unsigned i = 0; i < config->count; i++) {
        if (!(config->members[i].roles & RAFT_VOTER)) continue;
        voters++;
        live += is_live(server, config->members[i].id);
    }
    return live > voters / 2;
}

static bool may_write(const struct meta_conn *conn) {
    struct meta_server *server = conn->server;
    struct proto_zk_ids ids = meta_conn_ids(conn);
    if (server->options.skip_acl) return true;
    const struct meta_znode *node = meta_store_find_now(server->store, CONFIG_PATH);
    return node && (node->acl.size == 0 || meta_acl_allows(node->acl, PROTO_ZK_PERM_WRITE, &ids));
}

static int32_t check(const struct meta_conn *conn, const struct proto_zk_op *op,
                     struct raft_config *to) {
    struct meta_server *server = conn->server;
    const struct raft_config *now = meta_replica_config(server->replica);
    int64_t id = op->reconfig.config_id;
    if (raft_config_is_joint(now)) return PROTO_ZK_ERR_RECONFIGINPROGRESS;
    if (id != -1 && id != (int64_t)now->index) return PROTO_ZK_ERR_BADVERSION;
    if (!config_make(op, now, to)) return PROTO_ZK_ERR_BADARGUMENTS;
    if (!has_quorum(server, to)) return PROTO_ZK_ERR_NEWCONFIGNOQUORUM;
    return may_write(conn) ? PROTO_ZK_ERR_OK : PROTO_ZK_ERR_NOAUTH;
}

// DOING IT

static void answer(struct meta_server *server, struct meta_pending *pending) {
    struct proto_zk_reply reply = {.header.zxid = (int64_t)meta_server_applied(server)};
    const struct meta_znode *node = meta_store_find_now(server->store, CONFIG_PATH);
    assert(node);  // built in
    reply.body.data = node->data;
    meta_znode_stat(node, &reply.body.stat);
    meta_pending_answer(pending, &reply);
}

static void fail(struct meta_server *server, struct meta_pending *pending, int32_t code) {
    struct proto_zk_reply reply = {.header = {0, (int64_t)meta_server_applied(server), code}};
    meta_pending_answer(pending, &reply);
}

static bool is_same(const struct raft_config *a, const struct raft_config *b) {
    if (a->count != b->count) return false;
    for (unsigned i = 0; i < a->count; i++) {
        const struct raft_member *x = &a->members[i], *y = &b->members[i];
        if (x->id != y->id || x->roles != y->roles || strcmp(x->address, y->address) != 0)
            return false;
    }
    return true;
}

static void change(struct meta_server *server, struct meta_pending *pending,
                   const struct raft_config *to) {
    struct rt_why why = {0};
    if (is_same(meta_replica_config(server->replica), to)) {
        answer(server, pending);
        return;
    }
    server->reconfig.is_under_way = true;
    rt_err err = meta_replica_change_members(server->replica, to, &why);
    if (!err) return;  // answered by meta_reconfig_outcome
    server->reconfig.is_under_way = false;
    rt_log_warn("meta", "reconfig refused err=%s why=%s", rt_err_name(err), why.text);
    if (err == RT_EAGAIN)
        meta_conn_close(pending->conn, err);
    else
        fail(server, pending,
             err == RT_EBUSY ? PROTO_ZK_ERR_RECONFIGINPROGRESS : PROTO_ZK_ERR_BADARGUMENTS);
}

// In a turn of its own: the request may have come up while the replica was at work.
static void reconfig_run(struct rt_task *task) {
    struct meta_server *server = rt_container_of(task, struct meta_server, reconfig.task);
    struct meta_pending *pending = server->reconfig.pending;
    struct proto_zk_request request = {0};
    struct meta_replica_status status;
    struct raft_config to;
    server->reconfig.is_queued = false;
    meta_server_maybe_gone(server);
    if (!pending) return;  // its connection was closed
    meta_replica_status(server->replica, &status);
    if (status.raft.role != RAFT_LEADER) {
        rt_log_info("meta", "reconfig came to a follower, connection closed peer=%s",
                    rt_conn_peer(&pending->conn->stream));
        meta_conn_close(pending->conn, RT_EAGAIN);
        return;
    }
    rt_arena_clear(&server->arena);
    rt_err err = proto_zk_request_decode(rt_buf_bytes(&pending->bytes), &server->arena, &request);
    assert(!err);  // it could be when it came
    int32_t code = check(pending->conn, &request.op, &to);
    if (code)
        fail(server, pending, code);
    else
        change(server, pending, &to);
}

void meta_reconfig_init(struct meta_server *server) {
    rt_task_init(&server->reconfig.task, reconfig_run, "zookeeper.reconfig");
}

bool meta_conn_reconfig(struct meta_conn *conn, struct meta_pending *pending,
                        const struct meta_asked *asked, const struct proto_zk_request *request,
                        struct rt_bytes payload) {
    struct meta_server *server = conn->server;
    struct meta_replica_status status;
    meta_replica_status(server->replica, &status);
    int32_t code = PROTO_ZK_ERR_OK;
    bool is_busy = server->reconfig.pending || server->reconfig.is_queued;
    (void)request;  // decoded again when it runs
    if (is_busy) code = PROTO_ZK_ERR_RECONFIGINPROGRESS;
    if (status.is_alone) code = PROTO_ZK_ERR_UNIMPLEMENTED;
    if (!server->options.reconfig_enabled) code = PROTO_ZK_ERR_RECONFIGDISABLED;
    if (code) {
        meta_conn_fail(conn, asked, code);
        return true;
    }
    if (!pending) {
        pending = meta_pending_new(conn, asked);
        rt_buf_append(&pending->bytes, payload);
    }
    pending->state = META_PENDING_WAITING;
    meta_pending_bar(pending);
    server->reconfig.pending = pending;
    server->reconfig.is_queued = true;
    rt_defer(server->loop, &server->reconfig.task);
    return false;
}

// Only another configuration changes that node without a request.
void meta_reconfig_outcome(struct meta_server *server, const struct meta_outcome *outcome) {
    struct meta_pending *pending = server->reconfig.pending;
    if (!pending || !server->reconfig.is_under_way) return;
    if (outcome->verdict != META_IGNORED || outcome->change_count != 1) return;
    if (!rt_bytes_equal(outcome->changes[0].path, CONFIG_PATH)) return;
    answer(server, pending);
}

void meta_reconfig_forget(struct meta_server *server, const struct meta_pending *pending) {
    if (server->reconfig.pending != pending) return;
    server->reconfig.pending = NULL;
    server->reconfig.is_under_way = false;
}
