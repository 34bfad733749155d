#include "runtime/http_route.h"

#include <assert.h>
#include <string.h>

#include "runtime/http_parse.h"

// A node stands for the segments that lead to it; ends are the routes whose pattern stops here.
struct node {
    struct rt_bytes segment;  // of the fixed ones; points into a pattern
    struct node **fixed;
    size_t fixed_count;
    struct node *param, *rest;
    const struct rt_http_route **ends;
    size_t end_count;
};

struct rt_http_router {
    struct node root;
};

enum { METHOD_GET, METHOD_HEAD, METHODS_KNOWN = 7 };

static const char *const methods_known[METHODS_KNOWN] = {"GET",   "HEAD",   "PUT",    "POST",
                                                         "PATCH", "DELETE", "OPTIONS"};

// SEGMENTS

// Takes the segment behind the '/' that `path` starts with, and leaves what follows it.
static struct rt_bytes segment_take(const char **path) {
    assert(**path == '/');
    const char *start = *path + 1;
    size_t size = strcspn(start, "/");
    *path = start + size;
    return RT_BYTES(start, size);
}

// Compares without storing: `raw` is percent-encoded and a decoded byte comes from one or three.
static bool decodes_to(struct rt_bytes raw, bool plus_is_space, struct rt_bytes fixed) {
    size_t at = 0;
    for (size_t i = 0; i < fixed.size; i++) {
        char c;
        if (at == raw.size) return false;
        size_t size = raw.data[at] == '%' ? 3 : 1;
        rt_http_unescape(RT_BYTES(raw.data + at, size), plus_is_space, &c);
        if ((uint8_t)c != fixed.data[i]) return false;
        at += size;
    }
    return at == raw.size;
}

static char *decoded_text(struct rt_bytes raw, bool plus_is_space, struct rt_arena *arena) {
    char *text = rt_arena_alloc(arena, raw.size + 1);
    text[rt_http_unescape(raw, plus_is_space, text)] = 0;
    return text;
}

// THE TREE

static struct node *node_fixed(struct node *node, struct rt_bytes segment) {
    for (size_t i = 0; i < node->fixed_count; i++) {
        if (rt_bytes_equal(node->fixed[i]->segment, segment)) return node->fixed[i];
    }
    struct node *child = RT_NEW(struct node);
    child->segment = segment;
    node->fixed = rt_realloc(node->fixed, (node->fixed_count + 1) * sizeof(node->fixed[0]));
    node->fixed[node->fixed_count++] = child;
    return child;
}

static struct node *node_only(struct node **child) {
    if (!*child) *child = RT_NEW(struct node);
    return *child;
}

static bool method_is_known(const char *method) {
    for (size_t i = 0; i < METHODS_KNOWN; i++) {
        if (strcmp(method, methods_known[i]) == 0) return true;
    }
    return strcmp(method, "*") == 0;
}

static void router_add(struct rt_http_router *router, const struct rt_http_route *route) {
    struct node *node = &router->root;
    const char *left = route->pattern;
    assert(method_is_known(route->method));
    assert(route->run);
    while (*left) {
        struct rt_bytes segment = segment_take(&left);
        if (segment.size && segment.data[0] == ':') {
            assert(segment.size > 1);
            node = node_only(&node->param);
        } else if (segment.size == 1 && segment.data[0] == '*') {
            assert(!*left);
            node = node_only(&node->rest);
        } else {
            node = node_fixed(node, segment);
        }
    }
    node->ends = rt_realloc(node->ends, (node->end_count + 1) * sizeof(node->ends[0]));
    node->ends[node->end_count++] = route;
}

struct rt_http_router *rt_http_router_new(const struct rt_http_route *routes, size_t route_count) {
    struct rt_http_router *router = RT_NEW(struct rt_http_router);
    for (size_t i = 0; i < route_count; i++) router_add(router, &routes[i]);
    return router;
}

static void node_free(struct node *node) {
    if (!node) return;
    for (size_t i = 0; i < node->fixed_count; i++) node_free(node->fixed[i]);
    node_free(node->param);
    node_free(node->rest);
    rt_free(node->fixed);
    rt_free(node->ends);
    rt_free(node);
}

void rt_http_router_free(struct rt_http_router *router) {
    node_free(&router->root);  // the root is the router's first member
}

// LOOKING UP

struct search {
    const char *method;
    bool is_head;
    const struct rt_http_route *found;
    const struct node **dead_ends;  // that know the path and not the method
    size_t dead_end_count;
    struct rt_arena *arena;
};

static const struct rt_http_route *node_route(const struct node *node, const char *method) {
    for (size_t i = 0; i < node->end_count; i++) {
        const char *has = node->ends[i]->method;
        if (strcmp(has, method) == 0 || strcmp(has, "*") == 0) return node->ends[i];
    }
    return NULL;
}

static void search_end(struct search *search, const struct node *node) {
    if (search->found || !node || node->end_count == 0) return;
    search->found = node_route(node, search->method);
    if (!search->found && search->is_head) search->found = node_route(node, "GET");
    if (search->found) return;
    const struct node **list =
        rt_arena_alloc(search->arena, (search->dead_end_count + 1) * sizeof(list[0]));
    if (search->dead_end_count) {
        memcpy(list, search->dead_ends, search->dead_end_count * sizeof(list[0]));
    }
    list[search->dead_end_count++] = node;
    search->dead_ends = list;
}

// Every node is visited at most once, so the worst path costs as much as there are nodes.
static void search_node(struct search *search, const struct node *node, const char *left) {
    if (!*left) {
        search_end(search, node);
        return;
    }
    const char *next = left;
    struct rt_bytes segment = segment_take(&next);
    for (size_t i = 0; i < node->fixed_count && !search->found; i++) {
        if (!decodes_to(segment, false, node->fixed[i]->segment)) continue;
        search_node(search, node->fixed[i], next);
        break;
    }
    if (!search->found && node->param && segment.size) search_node(search, node->param, next);
    if (!search->found && node->rest) search_end(search, node->rest);
}

// The methods of all dead ends, each once, in the order of methods_known.
static const char *search_allow(const struct search *search) {
    const char *allow = "";
    bool has[METHODS_KNOWN] = {false};
    for (size_t i = 0; i < METHODS_KNOWN; i++) {
        for (size_t n = 0; n < search->dead_end_count; n++) {
            if (node_route(search->dead_ends[n], methods_known[i])) has[i] = true;
        }
        if (i == METHOD_HEAD && has[METHOD_GET]) has[i] = true;
        if (!has[i]) continue;
        const char *comma = *allow ? ", " : "";
        allow = rt_arena_print(search->arena, "%s%s%s", allow, comma, methods_known[i]);
    }
    return allow;
}

struct rt_http_match rt_http_router_find(const struct rt_http_router *router, const char *method,
                                         const char *path, struct rt_arena *arena) {
    struct search search = {
        .method = method, .is_head = strcmp(method, "HEAD") == 0, .arena = arena};
    if (*path == '/') search_node(&search, &router->root, path);  // not so: OPTIONS *
    if (search.found) return (struct rt_http_match){.route = search.found, .status = 200};
    if (search.dead_end_count == 0) return (struct rt_http_match){.status = 404};
    return (struct rt_http_match){.status = 405, .allow = search_allow(&search)};
}

const char *rt_http_route_param(const struct rt_http_route *route, const char *path,
                                const char *name, struct rt_arena *arena) {
    const char *pattern = route->pattern;
    struct rt_bytes wanted = rt_bytes_of(name);
    while (*pattern) {
        const char *rest = path;
        struct rt_bytes part = segment_take(&pattern);
        struct rt_bytes segment = segment_take(&path);
        if (part.size == 1 && part.data[0] == '*') {
            return strcmp(name, "*") == 0 ? decoded_text(rt_bytes_of(rest + 1), false, arena)
                                          : NULL;
        }
        if (part.size && part.data[0] == ':' && rt_bytes_equal(rt_bytes_skip(part, 1), wanted)) {
            return decoded_text(segment, false, arena);
        }
    }
    return NULL;
}

// QUERIES: name=value pairs between '&'.

const char *rt_http_query_value(const char *query, const char *name, struct rt_arena *arena) {
    while (query && *query) {
        size_t size = strcspn(query, "&");
        size_t name_size = strcspn(query, "&=");
        if (decodes_to(RT_BYTES(query, name_size), true, rt_bytes_of(name))) {
            struct rt_bytes pair = RT_BYTES(query, size);
            return decoded_text(rt_bytes_skip(pair, name_size + 1), true, arena);
        }
        query += query[size] ? size + 1 : size;
    }
    return NULL;
}
