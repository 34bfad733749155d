// The four-letter words that list: connections, sessions, watches, directories. They are as long as
// the lists are, up to a limit; operators allow them one by one.
#include <stdio.h>
#include <string.h>

#include "meta/server/zk/conn.h"
#include "runtime/file.h"

enum { TEXT_MAX = 32 << 20, DEPTH_MAX = 4, PATH_SIZE = 512 };

static bool is_long(const struct rt_buf *out) {
    return out->size > TEXT_MAX;
}

// CONNECTIONS

struct connections {
    struct meta_conn_visit visit;
    struct rt_buf *out;
    bool is_extended;
};

const char *meta_opcode_short_name(int32_t opcode) {
    switch (opcode) {
    case PROTO_ZK_OP_PING: return "PING";
    case PROTO_ZK_OP_CREATE_SESSION: return "SESS";
    case PROTO_ZK_OP_CLOSE_SESSION: return "CLOS";
    case PROTO_ZK_OP_MULTI: return "MULT";
    case PROTO_ZK_OP_MULTI_READ: return "MLTR";
    case PROTO_ZK_OP_CREATE:
    case PROTO_ZK_OP_CREATE2:
    case PROTO_ZK_OP_CREATE_TTL:
    case PROTO_ZK_OP_CREATE_CONTAINER: return "CREA";
    case PROTO_ZK_OP_DELETE: return "DELE";
    case PROTO_ZK_OP_SET_DATA: return "SETD";
    case PROTO_ZK_OP_SET_ACL: return "SETA";
    case PROTO_ZK_OP_RECONFIG: return "RECO";
    case PROTO_ZK_OP_SYNC: return "SYNC";
    case PROTO_ZK_OP_EXISTS: return "EXIS";
    case PROTO_ZK_OP_GET_DATA: return "GETD";
    case PROTO_ZK_OP_GET_ACL: return "GETA";
    case PROTO_ZK_OP_GET_CHILDREN:
    case PROTO_ZK_OP_GET_CHILDREN2: return "GETC";
    case PROTO_ZK_OP_GET_ALL_CHILDREN_NUMBER: return "GETACN";
    case PROTO_ZK_OP_GET_EPHEMERALS: return "GETE";
    case PROTO_ZK_OP_SET_WATCHES:
    case PROTO_ZK_OP_SET_WATCHES2: return "SETW";
    case PROTO_ZK_OP_ADD_WATCH: return "ADDW";
    case PROTO_ZK_OP_CHECK_WATCHES: return "CHKW";
    case PROTO_ZK_OP_REMOVE_WATCHES: return "REMW";
    case PROTO_ZK_OP_WHO_AM_I: return "HOMI";
    default: return "NA";
    }
}

static void session_print(const struct meta_conn_facts *facts, struct rt_buf *out) {
    rt_buf_print(out, ",sid=0x%llx,lop=%s,est=%llu,to=%d", (unsigned long long)facts->session,
                 meta_opcode_short_name(facts->last_opcode),
                 (unsigned long long)facts->established_ms, facts->timeout_ms);
    if (facts->last_xid >= 0) rt_buf_print(out, ",lcxid=0x%x", (unsigned)facts->last_xid);
    rt_buf_print(out, ",lzxid=0x%llx,lresp=%llu,llat=%llu", (unsigned long long)facts->last_zxid,
                 (unsigned long long)facts->last_response_ms,
                 (unsigned long long)facts->last_latency_ms);
    rt_buf_print(
        out, ",minlat=%llu,avglat=%llu,maxlat=%llu", (unsigned long long)facts->min_latency_ms,
        (unsigned long long)facts->avg_latency_ms, (unsigned long long)facts->max_latency_ms);
}

static void connection_each(struct meta_conn_visit *visit, const struct meta_conn_facts *facts) {
    struct connections *list = rt_container_of(visit, struct connections, visit);
    if (is_long(list->out)) return;
    rt_buf_print(list->out, " /%s[%d](queued=%llu,recved=%llu,sent=%llu", facts->peer,
                 facts->has_session ? 1 : 0, (unsigned long long)facts->queued,
                 (unsigned long long)facts->received, (unsigned long long)facts->sent);
    if (list->is_extended && facts->has_session) session_print(facts, list->out);
    rt_buf_print(list->out, ")\n");
}

void meta_word_connections(struct meta_server *server, struct rt_buf *out, bool extended) {
    struct connections list = {{connection_each}, out, extended};
    meta_server_visit(server, &list.visit);
}

// SESSIONS AND THEIR NODES

struct ephemerals {
    struct meta_scan scan;
    struct rt_buf text;
    int64_t session, printed;
    size_t sessions;
};

static bool ephemeral_each(struct meta_scan *scan, struct rt_bytes path) {
    struct ephemerals *list = rt_container_of(scan, struct ephemerals, scan);
    if (!list->sessions || list->printed != list->session) {
        list->sessions++;
        list->printed = list->session;
        rt_buf_print(&list->text, "0x%llx:\n", (unsigned long long)list->session);
    }
    rt_buf_print(&list->text, "\t%.*s\n", (int)path.size, (const char *)path.data);
    return !is_long(&list->text);
}

static void sessions_print(struct meta_server *server, struct rt_buf *out) {
    rt_buf_print(out, "SessionTracker dump:\nGlobal Sessions(%zu):\n",
                 meta_store_session_count(server->store));
    const struct meta_session *session = meta_store_session_next(server->store, 0);
    for (; session && !is_long(out); session = meta_store_session_next(server->store, session->id))
        rt_buf_print(out, "0x%llx\t%dms\n", (unsigned long long)session->id, session->timeout_ms);
}

void meta_word_dump(struct meta_server *server, struct rt_buf *out) {
    struct ephemerals list = {.scan = {ephemeral_each}};
    struct meta_view view;
    sessions_print(server, out);
    rt_err err = meta_store_view_now(server->store, &view);
    if (!err) err = meta_view_all_ephemerals_now(&view, &list.scan, &list.session);
    if (err) rt_log_warn("meta", "ephemeral nodes not listed err=%s", rt_err_name(err));
    rt_buf_print(out, "ephemeral nodes dump:\nSessions with Ephemerals (%zu):\n", list.sessions);
    rt_buf_append(out, rt_buf_bytes(&list.text));
    rt_buf_fini(&list.text);
}

// WATCHES

struct watch_list {
    struct meta_watch_visit paths;
    struct meta_conn_visit connections;
    struct meta_server *server;
    struct rt_buf *out;
    struct rt_bytes path;
};

static void path_print(struct rt_buf *out, const char *before, struct rt_bytes path) {
    rt_buf_append(out, rt_bytes_of(before));
    rt_buf_append(out, path);
    rt_buf_append(out, RT_BYTES_LITERAL("\n"));
}

static void by_path_each(struct meta_watch_visit *visit, struct rt_bytes path,
                         struct meta_watcher *watcher, unsigned kinds) {
    struct watch_list *list = rt_container_of(visit, struct watch_list, paths);
    const struct meta_conn *conn = rt_container_of(watcher, struct meta_conn, watcher);
    (void)kinds;
    if (is_long(list->out)) return;
    if (path.data != list->path.data) path_print(list->out, "", path);
    list->path = path;
    rt_buf_print(list->out, "\t0x%llx\n", (unsigned long long)conn->session);
}

void meta_word_watches_by_path(struct meta_server *server, struct rt_buf *out) {
    struct watch_list list = {.paths = {by_path_each}, .server = server, .out = out};
    meta_watches_visit_paths(server->watches, &list.paths);
    rt_buf_append(out, RT_BYTES_LITERAL("\n"));
}

static void of_session_each(struct meta_watch_visit *visit, struct rt_bytes path,
                            struct meta_watcher *watcher, unsigned kinds) {
    struct watch_list *list = rt_container_of(visit, struct watch_list, paths);
    (void)watcher;
    (void)kinds;
    if (!is_long(list->out)) path_print(list->out, "\t", path);
}

static void by_session_each(struct meta_conn_visit *visit, const struct meta_conn_facts *facts) {
    struct watch_list *list = rt_container_of(visit, struct watch_list, connections);
    if (!facts->watcher->count || is_long(list->out)) return;
    rt_buf_print(list->out, "0x%llx\n", (unsigned long long)facts->session);
    meta_watches_visit_watcher(list->server->watches, facts->watcher, &list->paths);
}

void meta_word_watches_by_session(struct meta_server *server, struct rt_buf *out) {
    struct watch_list list = {
        .paths = {of_session_each}, .connections = {by_session_each}, .server = server, .out = out};
    meta_server_visit(server, &list.connections);
    rt_buf_append(out, RT_BYTES_LITERAL("\n"));
}

// DIRECTORIES

static uint64_t directory_size(struct rt_machine *machine, const char *path, unsigned depth) {
    struct rt_dir_listing listing;
    uint64_t size = 0;
    if (depth > DEPTH_MAX || rt_dir_list_now(machine, path, &listing, NULL)) return 0;
    for (size_t i = 0; i < listing.count; i++) {
        const struct rt_dir_entry *entry = &listing.entries[i];
        char inner[PATH_SIZE];
        size += entry->is_dir ? 0 : entry->size;
        int count = snprintf(inner, sizeof(inner), "%s/%s", path, entry->name);
        if (!entry->is_dir || count < 0 || (size_t)count >= sizeof(inner)) continue;
        size += directory_size(machine, inner, depth + 1);
    }
    rt_dir_listing_fini(&listing);
    return size;
}

void meta_data_sizes(struct meta_server *server, uint64_t *data, uint64_t *log) {
    const char *data_dir = server->options.data_dir;
    char log_dir[PATH_SIZE];
    *data = *log = 0;
    if (!data_dir) return;
    snprintf(log_dir, sizeof(log_dir), "%s/log", data_dir);
    *log = directory_size(server->machine, log_dir, 0);
    *data = directory_size(server->machine, data_dir, 0) - *log;
}

void meta_word_directories(struct meta_server *server, struct rt_buf *out) {
    uint64_t data, log;
    meta_data_sizes(server, &data, &log);
    rt_buf_print(out, "datadir_size: %llu\nlogdir_size: %llu\n", (unsigned long long)data,
                 (unsigned long long)log);
}
