// What the node answers over HTTP. Handlers run on the node's loop.
#include <inttypes.h>
#include <stdio.h>

#include "cli/standalone.h"
#include "runtime/metrics_http.h"

static struct standalone *node_of(const struct rt_http_request *request) {
    return rt_container_of(rt_http_owner(request), struct standalone, owner);
}

static void reply_text(struct rt_http_request *request, int status, const char *text) {
    rt_http_reply(request, status, "text/plain; charset=utf-8", rt_bytes_of(text));
}

static void get_health(struct rt_http_request *request) {
    const struct standalone *node = node_of(request);
    uint64_t uptime_ms = standalone_uptime_ns(node) / RT_NS_PER_MS;
    const char *body = rt_arena_print(rt_http_arena(request),
                                      "{\"status\":\"%s\",\"uptimeSeconds\":%" PRIu64
                                      ".%03u,\"version\":\"%s\"}\n",
                                      node->ready ? "ok" : "stopping", uptime_ms / 1000,
                                      (unsigned)(uptime_ms % 1000), node->version);
    rt_http_reply(request, node->ready ? 200 : 503, "application/json", rt_bytes_of(body));
}

// The probe of Pulsar's load balancers and charts: exactly "OK".
static void get_status(struct rt_http_request *request) {
    bool ready = node_of(request)->ready;
    reply_text(request, ready ? 200 : 503, ready ? "OK" : "stopping");
}

static void get_ready(struct rt_http_request *request) {
    bool ready = node_of(request)->ready;
    reply_text(request, ready ? 200 : 503, ready ? "ready\n" : "stopping\n");
}

static void get_index(struct rt_http_request *request) {
    struct rt_buf page = {0};
    rt_buf_print(&page,
                 "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                 "<title>Geminga</title></head>\n<body><h1>Geminga %s</h1>\n<ul>\n",
                 node_of(request)->version);
    for (size_t i = 0; i < standalone_route_count; i++) {
        const struct rt_http_route *route = &standalone_routes[i];
        rt_buf_print(&page, "<li><a href=\"%s\">%s</a>: %s</li>\n", route->pattern, route->pattern,
                     route->help);
    }
    rt_buf_print(&page, "</ul></body></html>\n");
    rt_http_reply(request, 200, "text/html; charset=utf-8", rt_buf_bytes(&page));
    rt_buf_fini(&page);
}

const struct rt_http_route standalone_routes[] = {
    {"GET", "/", get_index, "this page"},
    {"GET", "/metrics", rt_metrics_reply, "metrics in the Prometheus text format"},
    {"GET", "/health", get_health, "status, uptime and version as JSON"},
    {"GET", "/ready", get_ready, "200 once it serves, 503 while it stops"},
    {"GET", "/status.html", get_status, "OK, for load balancers"},
};
const size_t standalone_route_count = sizeof(standalone_routes) / sizeof(standalone_routes[0]);
