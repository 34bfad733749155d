// BookKeeper's HTTP endpoints that a bookie of ours has an answer to. Section 5.10 of the
// BookKeeper sheet.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bookie/server/node/node_internal.h"
#include "runtime/metrics_http.h"

static struct bookie_node *node_of(const struct rt_http_request *request) {
    return rt_container_of(rt_http_owner(request), struct bookie_node, http_owner);
}

static void text_reply(struct rt_http_request *request, int status, const char *text) {
    rt_http_reply(request, status, "text/plain; charset=utf-8", rt_bytes_of(text));
}

static void json_reply(struct rt_http_request *request, const char *text) {
    rt_http_reply(request, 200, "application/json", rt_bytes_of(text));
}

static const char *truth(bool value) {
    return value ? "true" : "false";
}

static void get_heartbeat(struct rt_http_request *request) {
    text_reply(request, 200, "OK\n");
}

static bool is_running(const struct bookie_node *node) {
    return node->phase == BOOKIE_RUNNING && node->served && !node->has_failed;
}

static void get_ready(struct rt_http_request *request) {
    bool ready = is_running(node_of(request));
    text_reply(request, ready ? 200 : 503, ready ? "OK" : "Bookie is not fully started yet");
}

static void get_state(struct rt_http_request *request) {
    const struct bookie_node *node = node_of(request);
    bool read_only = bookie_node_is_read_only(node);
    json_reply(request,
               rt_arena_print(rt_http_arena(request),
                              "{\n  \"running\" : %s,\n  \"readOnly\" : %s,\n  \"shuttingDown\" : "
                              "%s,\n  \"availableForHighPriorityWrites\" : %s\n}",
                              truth(is_running(node)), truth(read_only),
                              truth(node->phase == BOOKIE_CLOSING), truth(is_running(node))));
}

static void get_read_only(struct rt_http_request *request) {
    json_reply(request, rt_arena_print(rt_http_arena(request), "{\n  \"readOnly\" : %s\n}",
                                       truth(bookie_node_is_read_only(node_of(request)))));
}

// {"readOnly": true}; blanks may be anywhere.
static int read_only_asked(struct rt_bytes body) {
    char plain[64];
    size_t size = 0;
    for (size_t i = 0; i < body.size && size + 1 < sizeof(plain); i++) {
        if (!strchr(" \t\r\n", body.data[i])) plain[size++] = (char)body.data[i];
    }
    plain[size] = '\0';
    if (strcmp(plain, "{\"readOnly\":true}") == 0) return 1;
    return strcmp(plain, "{\"readOnly\":false}") == 0 ? 0 : -1;
}

static void put_read_only(struct rt_http_request *request) {
    struct bookie_node *node = node_of(request);
    int wanted = read_only_asked(rt_http_body(request));
    if (wanted < 0)
        return rt_http_reply_reason(request, 400, "the body is {\"readOnly\": true} or false");
    if (!is_running(node)) return rt_http_reply_reason(request, 503, "the bookie is not running");
    bookie_node_force_read_only(node, wanted);
    if (bookie_node_is_read_only(node) != wanted)
        return rt_http_reply_reason(request, 409, "the disks, or forceReadOnlyBookie, forbid it");
    text_reply(request, 200, "");
}

static void get_info(struct rt_http_request *request) {
    struct rt_disk_space space = bookie_disks_space(node_of(request)->disks);
    json_reply(request, rt_arena_print(rt_http_arena(request),
                                       "{\n  \"freeSpace\" : %" PRIu64 ",\n  \"totalSpace\" : "
                                       "%" PRIu64 "\n}",
                                       space.free_bytes, space.total_bytes));
}

static void get_config(struct rt_http_request *request) {
    struct rt_buf lines = {0}, out = {0};
    rt_config_print_values(&bookie_options, &node_of(request)->options.config->values, &lines);
    rt_buf_append(&out, RT_BYTES_LITERAL("{"));
    bool first = true;
    for (struct rt_bytes rest = rt_buf_bytes(&lines); rest.size;) {
        const uint8_t *end = memchr(rest.data, '\n', rest.size);
        size_t size = end ? (size_t)(end - rest.data) : rest.size;
        const uint8_t *equals = memchr(rest.data, '=', size);
        if (equals) {
            size_t key = (size_t)(equals - rest.data), value = size - key - 1;
            rt_buf_print(&out, "%s\n  \"%.*s\" : \"", first ? "" : ",", (int)key,
                         (const char *)rest.data);
            for (size_t i = 0; i < value; i++) {
                uint8_t c = equals[1 + i];
                rt_buf_print(&out, c == '"' || c == '\\' ? "\\%c" : c < ' ' ? "\\u%04x" : "%c", c);
            }
            rt_buf_append(&out, RT_BYTES_LITERAL("\""));
            first = false;
        }
        rest = rt_bytes_skip(rest, size + 1);
    }
    rt_buf_append(&out, RT_BYTES_LITERAL("\n}"));
    rt_http_reply(request, 200, "application/json", rt_buf_bytes(&out));
    rt_buf_fini(&lines);
    rt_buf_fini(&out);
}

static void get_mark(struct rt_http_request *request) {
    const struct bookie_node *node = node_of(request);
    struct rt_buf out = {0};
    rt_buf_append(&out, RT_BYTES_LITERAL("{"));
    for (unsigned i = 0; node->store && i < node->journal_count; i++) {
        struct bookie_mark mark = bookie_store_mark(node->store, i);
        rt_buf_print(
            &out, "%s\n  \"LastLogMark: Journal %u\" : \"segment %" PRIu64 " offset %" PRIu64 "\"",
            i ? "," : "", i, mark.segment, mark.offset);
    }
    rt_buf_append(&out, RT_BYTES_LITERAL("\n}"));
    rt_http_reply(request, 200, "application/json", rt_buf_bytes(&out));
    rt_buf_fini(&out);
}

// HEALTH of our own

static void get_health(struct rt_http_request *request) {
    text_reply(request, 200, "ok\n");
}

const struct rt_http_route bookie_admin_routes[] = {
    {"GET", "/heartbeat", get_heartbeat, "OK while the process runs"},
    {"GET", "/metrics", rt_metrics_reply, "metrics in the Prometheus text format"},
    {"GET", "/health", get_health, "200 while the process runs"},
    {"GET", "/ready", get_ready, "200 while it serves"},
    {"GET", "/api/v1/bookie/is_ready", get_ready, "200 while it serves"},
    {"GET", "/api/v1/bookie/state", get_state, "running, read-only, shutting down"},
    {"GET", "/api/v1/bookie/state/readonly", get_read_only, "whether it is read-only"},
    {"PUT", "/api/v1/bookie/state/readonly", put_read_only, "makes it so, or writable"},
    {"GET", "/api/v1/bookie/info", get_info, "room on the disks"},
    {"GET", "/api/v1/bookie/last_log_mark", get_mark, "where a replay would begin"},
    {"GET", "/api/v1/config/server_config", get_config, "the configuration in force"},
};
const size_t bookie_admin_route_count =
    sizeof(bookie_admin_routes) / sizeof(bookie_admin_routes[0]);
