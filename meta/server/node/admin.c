// HTTP for operators: ZooKeeper's AdminServer under /commands, what belongs to a Raft cluster under
// /meta, and metrics and health.
#include "meta/server/node/admin.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/metrics_http.h"

static struct meta_node *node_of(const struct rt_http_request *request) {
    return rt_container_of(rt_http_owner(request), struct meta_node, admin_owner);
}

// JSON

static void json_text(struct rt_buf *out, struct rt_bytes text) {
    rt_buf_append(out, RT_BYTES_LITERAL("\""));
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (c == '"' || c == '\\')
            rt_buf_print(out, "\\%c", c);
        else if (c < 0x20)
            rt_buf_print(out, "\\u%04x", c);
        else
            rt_buf_append(out, RT_BYTES(&c, 1));
    }
    rt_buf_append(out, RT_BYTES_LITERAL("\""));
}

static bool is_number(struct rt_bytes text) {
    size_t digits = 0, dots = 0;
    for (size_t i = 0; i < text.size; i++) {
        bool sign = i == 0 && text.data[i] == '-';
        digits += isdigit(text.data[i]) != 0;
        dots += text.data[i] == '.';
        if (!isdigit(text.data[i]) && text.data[i] != '.' && !sign) return false;
    }
    return digits && dots <= 1 && text.size < 19 && isdigit(text.data[text.size - 1]) &&
           (text.data[0] != '0' || text.size == 1 || text.data[1] == '.');
}

static void json_member(struct rt_buf *out, struct rt_bytes key, struct rt_bytes value) {
    rt_buf_append(out, RT_BYTES_LITERAL(",\n  "));
    json_text(out, key);
    rt_buf_append(out, RT_BYTES_LITERAL(" : "));
    if (is_number(value))
        rt_buf_append(out, value);
    else
        json_text(out, value);
}

// Lines "key SEPARATOR value" as members; `drop` is taken from the front of keys.
static void json_lines(struct rt_buf *out, struct rt_bytes text, char separator, const char *drop) {
    struct rt_bytes prefix = rt_bytes_of(drop);
    while (text.size) {
        const uint8_t *end = memchr(text.data, '\n', text.size);
        size_t size = end ? (size_t)(end - text.data) : text.size;
        const uint8_t *middle = memchr(text.data, separator, size);
        if (middle) {
            struct rt_bytes key = RT_BYTES(text.data, (size_t)(middle - text.data));
            struct rt_bytes value = RT_BYTES(middle + 1, size - key.size - 1);
            while (value.size && value.data[0] == ' ') value = rt_bytes_skip(value, 1);
            if (rt_bytes_starts_with(key, prefix)) key = rt_bytes_skip(key, prefix.size);
            json_member(out, key, value);
        }
        text = rt_bytes_skip(text, size + 1);
    }
}

// COMMANDS

static const struct command {
    const char *names;  // the first is the command's, the others are aliases
    const char *word;   // whose text answers it
    char separator;     // of its lines; 0: the text as a whole
    const char *drop;
} commands[] = {
    {"configuration conf config", "conf", '=', ""},
    {"connections cons", "cons", 0, ""},
    {"connection_stat_reset crst", "crst", 0, ""},
    {"dirs", "dirs", ':', ""},
    {"dump", "dump", 0, ""},
    {"environment env envi", "envi", '=', ""},
    {"is_read_only isro", "isro", 0, ""},
    {"monitor mntr", "mntr", '\t', "zk_"},
    {"ruok", "ruok", 0, ""},
    {"server_stats srvr", "srvr", ':', ""},
    {"stats stat", "stat", 0, ""},
    {"stat_reset srst", "srst", 0, ""},
    {"watches wchc", "wchc", 0, ""},
    {"watches_by_path wchp", "wchp", 0, ""},
    {"watch_summary wchs", "wchs", 0, ""},
};
enum { COMMAND_COUNT = sizeof(commands) / sizeof(commands[0]) };

static const struct command *command_find(const char *name) {
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        for (const char *at = commands[i].names; *at;) {
            size_t size = strcspn(at, " ");
            if (strlen(name) == size && memcmp(at, name, size) == 0) return &commands[i];
            at += size;
            at += strspn(at, " ");
        }
    }
    return NULL;
}

static void json_begin(struct rt_buf *out, const char *command, const char *error) {
    rt_buf_append(out, RT_BYTES_LITERAL("{\n  \"command\" : "));
    json_text(out, rt_bytes_of(command));
    rt_buf_append(out, RT_BYTES_LITERAL(",\n  \"error\" : "));
    if (error)
        json_text(out, rt_bytes_of(error));
    else
        rt_buf_append(out, RT_BYTES_LITERAL("null"));
}

static void json_reply(struct rt_http_request *request, int status, struct rt_buf *out) {
    rt_buf_append(out, RT_BYTES_LITERAL("\n}\n"));
    rt_http_reply(request, status, "application/json", rt_buf_bytes(out));
    rt_buf_fini(out);
}

static void get_command(struct rt_http_request *request) {
    struct meta_node *node = node_of(request);
    const char *name = rt_http_param(request, "name");
    const struct command *command = command_find(name);
    struct rt_buf out = {0}, text = {0};
    if (!command) {
        json_begin(&out, name, "Unknown command");
        json_reply(request, 200, &out);
        return;
    }
    char first[32];
    snprintf(first, sizeof(first), "%.*s", (int)strcspn(command->names, " "), command->names);
    bool serves = meta_replica_has_leader_ready(node->replica);
    json_begin(&out, first,
               serves ? NULL : "This ZooKeeper instance is not currently serving requests");
    meta_word_print(node->server, command->word, &text);
    if (command->separator)
        json_lines(&out, rt_buf_bytes(&text), command->separator, command->drop);
    else
        json_member(&out, RT_BYTES_LITERAL("text"), rt_buf_bytes(&text));
    rt_buf_fini(&text);
    json_reply(request, 200, &out);
}

static void get_commands(struct rt_http_request *request) {
    struct rt_buf page = {0};
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        int size = (int)strcspn(commands[i].names, " ");
        rt_buf_print(&page, "<a href=\"/commands/%.*s\">%.*s</a>\n<br/>\n", size, commands[i].names,
                     size, commands[i].names);
    }
    rt_http_reply(request, 200, "text/html; charset=utf-8", rt_buf_bytes(&page));
    rt_buf_fini(&page);
}

// THE CLUSTER

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
    json_reply(request, 200, &out);
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
        json_text(&out, rt_bytes_of(member->address));
        if (known) rt_buf_print(&out, ", \"match\" : %" PRIu64, peer.match);
        rt_buf_append(&out, RT_BYTES_LITERAL("}"));
    }
    rt_buf_append(&out, RT_BYTES_LITERAL("\n  ]"));
    json_reply(request, 200, &out);
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
    {"GET", "/commands", get_commands, "the AdminServer's commands"},
    {"GET", "/commands/:name", get_command, "one of them"},
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
