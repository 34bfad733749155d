// ZooKeeper's AdminServer: /commands/NAME answers with an object whose members monitoring systems
// read by name. Each has its command's name and an error, which is null when there is none.
#include <stdio.h>
#include <string.h>

#include "meta/server/node/admin.h"
#include "meta/server/node/admin_json.h"

typedef void command_fn(struct meta_node *node, struct meta_json *json);

// LINES of four-letter words

struct lines {
    struct rt_buf text;
    struct rt_bytes rest;
};

static struct lines lines_of(struct meta_node *node, const char *word) {
    struct lines lines = {.rest = {0}};
    meta_word_print(node->server, word, &lines.text);
    lines.rest = rt_buf_bytes(&lines.text);
    return lines;
}

// The next line that has the separator, as key and value. False: that was the last.
static bool line_next(struct lines *lines, char separator, struct rt_bytes *key,
                      struct rt_bytes *value) {
    while (lines->rest.size) {
        const struct rt_bytes text = lines->rest;
        const uint8_t *end = memchr(text.data, '\n', text.size);
        size_t size = end ? (size_t)(end - text.data) : text.size;
        const uint8_t *middle = memchr(text.data, separator, size);
        lines->rest = rt_bytes_skip(text, size < text.size ? size + 1 : size);
        if (!middle) continue;
        *key = RT_BYTES(text.data, (size_t)(middle - text.data));
        *value = RT_BYTES(middle + 1, size - key->size - 1);
        while (value->size && value->data[0] == ' ') *value = rt_bytes_skip(*value, 1);
        return true;
    }
    return false;
}

static void put_lines(struct meta_node *node, struct meta_json *json, const char *word,
                      char separator) {
    struct lines lines = lines_of(node, word);
    struct rt_bytes key, value, prefix = RT_BYTES_LITERAL("zk_");
    while (line_next(&lines, separator, &key, &value)) {
        if (rt_bytes_starts_with(key, prefix)) key = rt_bytes_skip(key, prefix.size);
        meta_json_value(json, key, value);
    }
    rt_buf_fini(&lines.text);
}

struct renaming {
    const char *from, *to;
};

// Those lines of a word that are in the table, under their other names.
static void put_renamed(struct meta_node *node, struct meta_json *json, const char *word,
                        char separator, const struct renaming *names, size_t count) {
    struct lines lines = lines_of(node, word);
    struct rt_bytes key, value;
    while (line_next(&lines, separator, &key, &value)) {
        for (size_t i = 0; i < count; i++) {
            if (!rt_bytes_equal(key, rt_bytes_of(names[i].from))) continue;
            meta_json_value(json, rt_bytes_of(names[i].to), value);
        }
    }
    rt_buf_fini(&lines.text);
}
#define PUT_RENAMED(node, json, word, separator, names) \
    put_renamed(node, json, word, separator, names, sizeof(names) / sizeof(names[0]))

// THE SERVER

static void put_configuration(struct meta_node *node, struct meta_json *json) {
    static const struct renaming names[] = {
        {"clientPort", "client_port"},
        {"secureClientPort", "secure_client_port"},
        {"dataDir", "data_dir"},
        {"dataLogDir", "data_log_dir"},
        {"tickTime", "tick_time"},
        {"maxClientCnxns", "max_client_cnxns"},
        {"minSessionTimeout", "min_session_timeout"},
        {"maxSessionTimeout", "max_session_timeout"},
        {"serverId", "server_id"},
        {"clientPortListenBacklog", "client_port_listen_backlog"},
        {"initLimit", "init_limit"},
        {"syncLimit", "sync_limit"},
    };
    PUT_RENAMED(node, json, "conf", '=', names);
}

static void put_dirs(struct meta_node *node, struct meta_json *json) {
    put_lines(node, json, "dirs", ':');
}

static void put_environment(struct meta_node *node, struct meta_json *json) {
    put_lines(node, json, "envi", '=');
}

static void put_monitor(struct meta_node *node, struct meta_json *json) {
    put_lines(node, json, "mntr", '\t');
}

static void put_read_only(struct meta_node *node, struct meta_json *json) {
    (void)node;  // there is no such mode
    meta_json_bool(json, "read_only", false);
}

static void put_nothing(struct meta_node *node, struct meta_json *json) {
    (void)node;
    (void)json;
}

static void reset_stats(struct meta_node *node, struct meta_json *json) {
    (void)json;
    meta_server_stats_reset(node->server);
}

static void reset_connection_stats(struct meta_node *node, struct meta_json *json) {
    (void)json;
    meta_server_connection_stats_reset(node->server);
}

static void put_server_stats(struct meta_node *node, struct meta_json *json) {
    static const struct renaming version[] = {{"zk_version", "version"}};
    static const struct renaming figures[] = {
        {"zk_server_state", "server_state"},
        {"zk_packets_received", "packets_received"},
        {"zk_packets_sent", "packets_sent"},
        {"zk_avg_latency", "avg_latency"},
        {"zk_min_latency", "min_latency"},
        {"zk_max_latency", "max_latency"},
        {"zk_num_alive_connections", "num_alive_client_connections"},
        {"zk_outstanding_requests", "outstanding_requests"},
        {"zk_auth_failed_count", "auth_failed_count"},
        {"zk_uptime", "uptime"},
    };
    static const struct renaming sizes[] = {{"datadir_size", "data_dir_size"},
                                            {"logdir_size", "log_dir_size"}};
    struct meta_store_totals totals = meta_store_totals(meta_replica_store(node->replica));
    PUT_RENAMED(node, json, "mntr", '\t', version);
    meta_json_bool(json, "read_only", false);
    meta_json_open(json, "server_stats", '{');
    PUT_RENAMED(node, json, "mntr", '\t', figures);
    PUT_RENAMED(node, json, "dirs", ':', sizes);
    meta_json_number(json, "last_processed_zxid", (int64_t)totals.applied.index);
    meta_json_bool(json, "provider_null", false);
    meta_json_close(json);
    meta_json_number(json, "node_count", (int64_t)totals.nodes);
}

// CONNECTIONS

struct connections {
    struct meta_conn_visit visit;
    struct meta_json *json;
    bool secure, whole;
};

static void put_connection(struct meta_conn_visit *visit, const struct meta_conn_facts *facts) {
    struct connections *list = rt_container_of(visit, struct connections, visit);
    struct meta_json *json = list->json;
    if (facts->is_secure != list->secure || meta_json_is_long(json)) return;
    meta_json_open(json, NULL, '{');
    meta_json_text(json, "remote_socket_address", rt_bytes_of(facts->peer));
    meta_json_number(json, "interest_ops", facts->has_session);
    meta_json_number(json, "outstanding_requests", (int64_t)facts->queued);
    meta_json_number(json, "packets_received", (int64_t)facts->received);
    meta_json_number(json, "packets_sent", (int64_t)facts->sent);
    if (list->whole && facts->has_session) {
        meta_json_number(json, "session_id", facts->session);
        meta_json_text(json, "last_operation",
                       rt_bytes_of(meta_opcode_short_name(facts->last_opcode)));
        meta_json_number(json, "established", (int64_t)facts->established_ms);
        meta_json_number(json, "session_timeout", facts->timeout_ms);
        meta_json_number(json, "last_cxid", facts->last_xid);
        meta_json_number(json, "last_zxid", facts->last_zxid);
        meta_json_number(json, "last_response_time", (int64_t)facts->last_response_ms);
        meta_json_number(json, "last_latency", (int64_t)facts->last_latency_ms);
        meta_json_number(json, "min_latency", (int64_t)facts->min_latency_ms);
        meta_json_number(json, "avg_latency", (int64_t)facts->avg_latency_ms);
        meta_json_number(json, "max_latency", (int64_t)facts->max_latency_ms);
    }
    meta_json_close(json);
}

static void put_connection_lists(struct meta_node *node, struct meta_json *json, bool whole) {
    struct connections list = {.visit = {put_connection}, .json = json, .whole = whole};
    meta_json_open(json, "connections", '[');
    meta_server_visit(node->server, &list.visit);
    meta_json_close(json);
    list.secure = true;
    meta_json_open(json, "secure_connections", '[');
    meta_server_visit(node->server, &list.visit);
    meta_json_close(json);
}

static void put_connections(struct meta_node *node, struct meta_json *json) {
    put_connection_lists(node, json, true);
}

static void put_stats(struct meta_node *node, struct meta_json *json) {
    put_server_stats(node, json);
    put_connection_lists(node, json, false);
}

// WATCHES AND EPHEMERAL NODES

static void open_session(struct meta_json *json, int64_t session) {
    char key[24];
    snprintf(key, sizeof(key), "%lld", (long long)session);
    meta_json_open(json, key, '[');
}

struct watch_list {
    struct meta_watch_visit paths;
    struct meta_conn_visit connections;
    const struct meta_watches *watches;
    struct meta_json *json;
    struct rt_bytes path;  // whose list is open
};

static void put_watched_path(struct meta_watch_visit *visit, struct rt_bytes path,
                             struct meta_watcher *watcher, unsigned kinds) {
    struct watch_list *list = rt_container_of(visit, struct watch_list, paths);
    (void)watcher;
    (void)kinds;
    if (!meta_json_is_long(list->json)) meta_json_text(list->json, NULL, path);
}

static void put_watcher(struct meta_conn_visit *visit, const struct meta_conn_facts *facts) {
    struct watch_list *list = rt_container_of(visit, struct watch_list, connections);
    if (!facts->watcher->count || meta_json_is_long(list->json)) return;
    open_session(list->json, facts->session);
    meta_watches_visit_watcher(list->watches, facts->watcher, &list->paths);
    meta_json_close(list->json);
}

static void put_watches(struct meta_node *node, struct meta_json *json) {
    struct watch_list list = {.paths = {put_watched_path},
                              .connections = {put_watcher},
                              .watches = meta_server_watches(node->server),
                              .json = json};
    meta_json_open(json, "session_id_to_watched_paths", '{');
    meta_server_visit(node->server, &list.connections);
    meta_json_close(json);
}

static void put_path_watcher(struct meta_watch_visit *visit, struct rt_bytes path,
                             struct meta_watcher *watcher, unsigned kinds) {
    struct watch_list *list = rt_container_of(visit, struct watch_list, paths);
    (void)kinds;
    if (meta_json_is_long(list->json)) return;
    if (list->path.data != path.data) {
        if (list->path.data) meta_json_close(list->json);
        meta_json_open_bytes(list->json, path, '[');
    }
    list->path = path;
    meta_json_number(list->json, NULL, meta_watcher_session(watcher));
}

static void put_watches_by_path(struct meta_node *node, struct meta_json *json) {
    struct watch_list list = {.paths = {put_path_watcher}, .json = json};
    meta_json_open(json, "path_to_session_ids", '{');
    meta_watches_visit_paths(meta_server_watches(node->server), &list.paths);
    if (list.path.data) meta_json_close(json);
    meta_json_close(json);
}

static void put_watch_summary(struct meta_node *node, struct meta_json *json) {
    struct meta_watch_totals totals = meta_watches_totals(meta_server_watches(node->server));
    meta_json_number(json, "num_connections", (int64_t)totals.watchers);
    meta_json_number(json, "num_paths", (int64_t)totals.paths);
    meta_json_number(json, "num_total_watches", (int64_t)totals.watches);
}

struct ephemerals {
    struct meta_scan scan;
    struct meta_json *json;
    int64_t session, open;  // open: whose list is; 0: none
};

static bool put_ephemeral(struct meta_scan *scan, struct rt_bytes path) {
    struct ephemerals *list = rt_container_of(scan, struct ephemerals, scan);
    if (list->open != list->session) {
        if (list->open) meta_json_close(list->json);
        open_session(list->json, list->session);
        list->open = list->session;
    }
    meta_json_text(list->json, NULL, path);
    return !meta_json_is_long(list->json);
}

// Sessions by the time of their expiry are a matter of the leader's timers: empty, as on followers.
static void put_dump(struct meta_node *node, struct meta_json *json) {
    struct ephemerals list = {.scan = {put_ephemeral}, .json = json};
    struct meta_view view;
    meta_json_open(json, "expiry_time_to_session_ids", '{');
    meta_json_close(json);
    meta_json_open(json, "session_id_to_ephemeral_paths", '{');
    rt_err err = meta_store_view_now(meta_replica_store(node->replica), &view);
    if (!err) err = meta_view_all_ephemerals_now(&view, &list.scan, &list.session);
    if (err) rt_log_warn("meta", "ephemeral nodes not listed err=%s", rt_err_name(err));
    if (list.open) meta_json_close(json);
    meta_json_close(json);
}

// THE CLUSTER

static const struct raft_member *member_of(const struct raft_config *config, uint64_t id) {
    for (unsigned i = 0; config && i < config->count; i++) {
        if (config->members[i].id == id) return &config->members[i];
    }
    return NULL;
}

static void put_leader(struct meta_node *node, struct meta_json *json) {
    struct meta_replica_status status;
    struct meta_server_line line = {.host = ""};
    meta_replica_status(node->replica, &status);
    const struct raft_member *leader =
        member_of(meta_replica_config(node->replica), status.raft.leader);
    if (leader && meta_server_line_parse(rt_bytes_of(leader->address), &line, NULL))
        line.host[0] = '\0';
    meta_json_bool(json, "is_leader", status.raft.role == RAFT_LEADER);
    meta_json_number(json, "leader_id", (int64_t)status.raft.leader);
    meta_json_text(json, "leader_ip", rt_bytes_of(line.host));
}

static void put_address(struct meta_json *json, const char *key, const char *host, uint16_t port) {
    char text[RAFT_ADDRESS_SIZE + 8];
    int size = snprintf(text, sizeof(text), "%s:%u", host, (unsigned)port);
    meta_json_text(json, key, RT_BYTES(text, port ? (size_t)size : 0));
}

static void put_member(struct meta_json *json, const struct raft_member *member) {
    struct meta_server_line line;
    char key[24];
    if (meta_server_line_parse(rt_bytes_of(member->address), &line, NULL)) return;
    snprintf(key, sizeof(key), "%llu", (unsigned long long)member->id);
    meta_json_open(json, key, '{');
    meta_json_open(json, "server_addresses", '[');
    put_address(json, NULL, line.host, line.peer_port);
    meta_json_close(json);
    meta_json_open(json, "election_addresses", '[');
    put_address(json, NULL, line.host, line.election_port);
    meta_json_close(json);
    put_address(json, "client_address", line.client_host, line.client_port);
    meta_json_text(json, "learner_type",
                   rt_bytes_of(line.is_observer ? "observer" : "participant"));
    meta_json_close(json);
}

static void put_voting_view(struct meta_node *node, struct meta_json *json) {
    struct meta_replica_status status;
    const struct raft_config *config = meta_replica_config(node->replica);
    meta_replica_status(node->replica, &status);
    meta_json_open(json, "current_config", '{');
    for (unsigned i = 0; config && !status.is_alone && i < config->count; i++) {
        if (config->members[i].roles & RAFT_VOTER) put_member(json, &config->members[i]);
    }
    meta_json_close(json);
}

static void put_zab_state(struct meta_node *node, struct meta_json *json) {
    struct meta_replica_status status;
    char zxid[24];
    meta_replica_status(node->replica, &status);
    const struct raft_member *own = member_of(meta_replica_config(node->replica), status.raft.id);
    bool votes = !status.is_alone && own && own->roles & RAFT_VOTER;
    snprintf(zxid, sizeof(zxid), "0x%llx", (unsigned long long)status.raft.last);
    if (!status.is_alone) {
        meta_json_number(json, "myid", (int64_t)status.raft.id);
        meta_json_bool(json, "is_leader", status.raft.role == RAFT_LEADER);
        meta_json_text(json, "last_zxid", rt_bytes_of(zxid));
    }
    meta_json_bool(json, "voting", votes);
    const char *state = status.is_serving ? "broadcast" : "election";
    meta_json_text(json, "zabstate", rt_bytes_of(status.is_alone ? "" : state));
}

// THE TABLE, in the order in which they are listed

enum { ANYTIME, SERVING, IN_CLUSTER };  // when there is an answer

static const struct command {
    const char *names;  // the first is the command's, the others are aliases
    command_fn *run;
    int when;
} commands[] = {
    {"configuration conf config", put_configuration, SERVING},
    {"connection_stat_reset crst", reset_connection_stats, SERVING},
    {"connections cons", put_connections, SERVING},
    {"dirs", put_dirs, SERVING},
    {"dump", put_dump, SERVING},
    {"environment env envi", put_environment, ANYTIME},
    {"is_read_only isro", put_read_only, SERVING},
    {"leader lead", put_leader, IN_CLUSTER},
    {"monitor mntr", put_monitor, SERVING},
    {"ruok", put_nothing, ANYTIME},
    {"server_stats srvr", put_server_stats, SERVING},
    {"stat_reset srst", reset_stats, SERVING},
    {"stats stat", put_stats, SERVING},
    {"voting_view", put_voting_view, SERVING},
    {"watch_summary wchs", put_watch_summary, SERVING},
    {"watches wchc", put_watches, SERVING},
    {"watches_by_path wchp", put_watches_by_path, SERVING},
    {"zabstate", put_zab_state, ANYTIME},
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

// NULL: it can be answered.
static const char *fault_of(const struct meta_node *node, const struct command *command) {
    struct meta_replica_status status;
    meta_replica_status(node->replica, &status);
    if (command->when == IN_CLUSTER && status.is_alone) return "server is not initialized";
    if (command->when != ANYTIME && !status.is_serving)
        return "This ZooKeeper instance is not currently serving requests";
    return NULL;
}

void meta_admin_command(struct rt_http_request *request) {
    struct meta_node *node = rt_container_of(rt_http_owner(request), struct meta_node, admin_owner);
    const char *name = rt_http_param(request, "name");
    const struct command *command = command_find(name);
    struct meta_json json;
    meta_json_begin(&json);
    if (!command) {
        char error[128];
        snprintf(error, sizeof(error), "Unknown command: %.100s", name);
        meta_json_text(&json, "command", rt_bytes_of(name));
        meta_json_text(&json, "error", rt_bytes_of(error));
        meta_json_reply(&json, request);
        return;
    }
    const char *fault = fault_of(node, command);
    if (!fault) command->run(node, &json);
    meta_json_text(&json, "command", RT_BYTES(command->names, strcspn(command->names, " ")));
    if (fault)
        meta_json_text(&json, "error", rt_bytes_of(fault));
    else
        meta_json_null(&json, "error");
    meta_json_reply(&json, request);
}

void meta_admin_commands_list(struct rt_http_request *request) {
    struct rt_buf page = {0};
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        int size = (int)strcspn(commands[i].names, " ");
        rt_buf_print(&page, "<a href=\"/commands/%.*s\">%.*s</a>\n<br/>\n", size, commands[i].names,
                     size, commands[i].names);
    }
    rt_http_reply(request, 200, "text/html; charset=utf-8", rt_buf_bytes(&page));
    rt_buf_fini(&page);
}
