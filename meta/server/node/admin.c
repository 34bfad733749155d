// HTTP for operators: ZooKeeper's AdminServer under /commands (admin_commands.c), what belongs to a
// Raft cluster under /meta, and metrics and health.
#include "meta/server/node/admin.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meta/server/node/admin_json.h"
#include "runtime/metrics_http.h"

static struct meta_node *node_of(const struct rt_http_request *request) {
    return rt_container_of(rt_http_owner(request), struct meta_node, admin_owner);
}

// THE CLUSTER

static void object_reply(struct rt_http_request *request, struct rt_buf *out) {
    rt_buf_append(out, RT_BYTES_LITERAL("\n}\n"));
    rt_http_reply(request, 200, "application/json", rt_buf_bytes(out));
    rt_buf_fini(out);
}

static void get_status(struct rt_http_request *request) {
    struct meta_node *node = node_of(request);
    struct meta_replica_status status;
    struct meta_store_totals totals = meta_store_totals(meta_replica_store(node->replica));
    struct rt_buf out = {0};
    meta_replica_status(node->replica, &status);
    rt_buf_print(&out,
                 "{\n  \"id\" : %" PRIu64 ",\n  \"role\" : \"%s\",\n  \"term\" : %" PRIu64
                 ",\n  \"leader\" : %" PRIu64 ",\n  \"serving\" : %s",
                 status.raft.id, raft_role_name(status.raft.role), status.raft.term,
                 status.raft.leader, status.is_serving ? "true" : "false");
    rt_buf_print(&out,
                 ",\n  \"cluster\" : \"%016" PRIx64 "\",\n  \"last\" : %" PRIu64
                 ",\n  \"commit\" : %" PRIu64 ",\n  \"applied\" : %" PRIu64
                 ",\n  \"snapshot\" : %" PRIu64 ",\n  \"peersConnected\" : %u",
                 status.cluster, status.raft.last, status.raft.commit, totals.applied.index,
                 status.raft.snapshot.index, status.peers_connected);
    rt_buf_print(
        &out,
        ",\n  \"znodes\" : %" PRIu64 ",\n  \"sessions\" : %zu,\n  \"digest\" : \"%016" PRIx64 "\"",
        totals.nodes, meta_store_session_count(meta_replica_store(node->replica)), totals.digest);
    object_reply(request, &out);
}

static const char *role_text(unsigned roles) {
    if (roles & RAFT_VOTER) return "participant";
    return roles & RAFT_LEARNER ? "observer" : "leaving";
}

static void get_members(struct rt_http_request *request) {
    struct meta_node *node = node_of(request);
    const struct raft_config *config = meta_replica_config(node->replica);
    struct rt_buf out = {0};
    rt_buf_print(&out, "{\n  \"version\" : %" PRIu64 ",\n  \"members\" : [",
                 config ? config->index : 0);
    for (unsigned i = 0; config && i < config->count; i++) {
        const struct raft_member *member = &config->members[i];
        struct raft_peer_status peer = {0};
        bool known = meta_replica_peer_status(node->replica, member->id, &peer);
        rt_buf_print(&out, "%s\n    {\"id\" : %" PRIu64 ", \"role\" : \"%s\", \"address\" : ",
                     i ? "," : "", member->id, role_text(member->roles));
        meta_json_quote(&out, rt_bytes_of(member->address));
        if (known) rt_buf_print(&out, ", \"match\" : %" PRIu64, peer.match);
        rt_buf_append(&out, RT_BYTES_LITERAL("}"));
    }
    rt_buf_append(&out, RT_BYTES_LITERAL("\n  ]"));
    object_reply(request, &out);
}

static void done_reply(struct rt_http_request *request, rt_err err, const char *why) {
    if (err)
        rt_http_reply_reason(request, err == RT_EAGAIN || err == RT_EBUSY ? 409 : 400,
                             why && why[0] ? why : rt_err_text(err));
    else
        rt_http_reply(request, 200, "application/json", RT_BYTES_LITERAL("{\"ok\" : true}\n"));
}

static uint64_t number_query(const struct rt_http_request *request, const char *name) {
    const char *text = rt_http_query(request, name);
    return text ? strtoull(text, NULL, 10) : 0;
}

static void post_add(struct rt_http_request *request) {
    struct meta_node *node = node_of(request);
    const struct raft_config *now = meta_replica_config(node->replica);
    const char *address = rt_http_query(request, "address");
    struct meta_server_line line;
    struct rt_why why = {{0}};
    if (!now || !address) {
        done_reply(request, RT_EINVAL, "give id and address (host:peerPort:electionPort[:role])");
        return;
    }
    struct raft_config to = *now;
    rt_err err = meta_server_line_parse(rt_bytes_of(address), &line, &why);
    if (!err)
        err = raft_config_put(&to, number_query(request, "id"),
                              line.is_observer ? RAFT_LEARNER : RAFT_VOTER, address);
    if (!err) err = meta_replica_change_members(node->replica, &to, &why);
    done_reply(request, err, why.text);
}

static void post_remove(struct rt_http_request *request) {
    struct meta_node *node = node_of(request);
    const struct raft_config *now = meta_replica_config(node->replica);
    uint64_t id = number_query(request, "id");
    struct rt_why why = {{0}};
    struct raft_config to = {0};
    if (!now || !raft_config_find(now, id)) {
        done_reply(request, RT_EINVAL, "there is no such member");
        return;
    }
    for (unsigned i = 0; i < now->count; i++) {
        if (now->members[i].id != id) to.members[to.count++] = now->members[i];
    }
    done_reply(request, meta_replica_change_members(node->replica, &to, &why), why.text);
}

static void post_transfer(struct rt_http_request *request) {
    rt_err err = meta_replica_transfer(node_of(request)->replica, number_query(request, "to"));
    done_reply(request, err, NULL);
}

static void post_snapshot(struct rt_http_request *request) {
    bool begun = meta_replica_snapshot(node_of(request)->replica);
    done_reply(request, begun ? RT_OK : RT_EBUSY, "a snapshot is being taken already");
}

// HEALTH

static void get_health(struct rt_http_request *request) {
    rt_http_reply(request, 200, "text/plain; charset=utf-8", RT_BYTES_LITERAL("ok\n"));
}

static void get_ready(struct rt_http_request *request) {
    bool ready = meta_replica_has_leader_ready(node_of(request)->replica);
    rt_http_reply(request, ready ? 200 : 503, "text/plain; charset=utf-8",
                  rt_bytes_of(ready ? "ready\n" : "no leader\n"));
}

const struct rt_http_route meta_admin_routes[] = {
    {"GET", "/commands", meta_admin_commands_list, "the AdminServer's commands"},
    {"GET", "/commands/:name", meta_admin_command, "one of them"},
    {"GET", "/meta/status", get_status, "role, term and positions of this node"},
    {"GET", "/meta/members", get_members, "who belongs to the cluster"},
    {"POST", "/meta/add", post_add, "adds a member: id, address"},
    {"POST", "/meta/remove", post_remove, "removes a member: id"},
    {"POST", "/meta/transfer", post_transfer, "gives leadership away: to"},
    {"POST", "/meta/snapshot", post_snapshot, "takes a snapshot"},
    {"GET", "/metrics", rt_metrics_reply, "metrics in the Prometheus text format"},
    {"GET", "/health", get_health, "200 while the process runs"},
    {"GET", "/ready", get_ready, "200 while clients are served"},
};
const size_t meta_admin_route_count = sizeof(meta_admin_routes) / sizeof(meta_admin_routes[0]);
