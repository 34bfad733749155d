// The HTTP request parser on arbitrary bytes: the same input, fed whole and fed in pieces whose
// sizes the input itself decides, must give the same requests; and what was accepted must be safe
// to route.
#include <assert.h>
#include <string.h>

#include "runtime/http_parse.h"
#include "runtime/http_route.h"
#include "runtime/mem.h"
#include "tests/fuzz/fuzz.h"

enum { BODY_MAX = 2000, REQUESTS_MAX = 64 };

static void handler(struct rt_http_request *request) {
    (void)request;
}

static const struct rt_http_route routes[] = {
    {"GET", "/metrics", handler, ""},
    {"GET", "/admin/v2/:tenant/:namespace", handler, ""},
    {"PUT", "/admin/v2/*", handler, ""},
    {"*", "/a//b", handler, ""},
};

// xorshift64*, started from the input.
static uint64_t random_next(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

static uint64_t seed_of(struct rt_bytes bytes) {
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < bytes.size; i++) hash = (hash ^ bytes.data[i]) * UINT64_C(1099511628211);
    return hash | 1;
}

static size_t feed_in_pieces(struct rt_http_parser *p, struct rt_bytes bytes, uint64_t *random) {
    size_t used = 0;
    while (used < bytes.size && p->state < RT_HTTP_COMPLETE) {
        struct rt_bytes rest = rt_bytes_skip(bytes, used);
        size_t size = 1 + (size_t)(random_next(random) >> 32) % (1u << random_next(random) % 9);
        if (size > rest.size) size = rest.size;
        size_t taken = rt_http_parser_feed(p, RT_BYTES(rest.data, size));
        assert(taken == size || p->state >= RT_HTTP_COMPLETE);
        used += taken;
    }
    return used;
}

static void check_same_texts(const struct rt_http_parser *a, const struct rt_http_parser *b) {
    assert(a->field_count == b->field_count);
    assert(a->head.size == b->head.size);
    assert(a->head.size == 0 || memcmp(a->head.data, b->head.data, a->head.size) == 0);
    for (unsigned i = 0; i < a->field_count; i++) {
        assert(a->fields[i].name == b->fields[i].name);
        assert(a->fields[i].value == b->fields[i].value);
    }
    assert(a->path == b->path && a->has_query == b->has_query && a->query == b->query);
}

static void check_same(const struct rt_http_parser *a, const struct rt_http_parser *b) {
    assert(a->state == b->state);
    assert(a->status == b->status && a->problem == b->problem);
    assert(a->has_head == b->has_head && a->has_method == b->has_method);
    assert(rt_bytes_equal(rt_buf_bytes(&a->body), rt_buf_bytes(&b->body)));
    assert(a->body.size <= BODY_MAX);
    if (a->state == RT_HTTP_FAILED) {
        assert(a->status >= 400 && a->problem);
    } else {
        check_same_texts(a, b);
    }
}

static void check_usable(const struct rt_http_parser *p) {
    struct rt_arena arena = {0};
    struct rt_http_router *router = rt_http_router_new(routes, sizeof(routes) / sizeof(routes[0]));
    const char *path = rt_http_parser_path(p);
    struct rt_http_match match =
        rt_http_router_find(router, rt_http_parser_method(p), path, &arena);
    assert(match.route || match.status == 404 || (match.status == 405 && match.allow));
    if (match.route) {
        rt_http_route_param(match.route, path, "tenant", &arena);
        rt_http_route_param(match.route, path, "*", &arena);
    }
    rt_http_query_value(rt_http_parser_query(p), "a", &arena);
    assert(p->minor == 0 || rt_http_parser_field(p, "Host"));
    rt_http_router_free(router);
    rt_arena_fini(&arena);
}

// Checks one request; returns how many bytes it took, 0 when there can be no further one.
static size_t check_request(struct rt_bytes bytes, uint64_t *random) {
    struct rt_http_parser whole, pieces;
    rt_http_parser_init(&whole, BODY_MAX);
    rt_http_parser_init(&pieces, BODY_MAX);
    size_t used = rt_http_parser_feed(&whole, bytes);
    size_t used_in_pieces = feed_in_pieces(&pieces, bytes, random);
    check_same(&whole, &pieces);
    bool complete = whole.state == RT_HTTP_COMPLETE;
    if (complete) {
        assert(used == used_in_pieces && used > 0);
        check_usable(&whole);
    } else if (whole.state != RT_HTTP_FAILED) {
        assert(used == bytes.size);
    }
    rt_http_parser_fini(&whole);
    rt_http_parser_fini(&pieces);
    return complete ? used : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct rt_bytes bytes = RT_BYTES(data, size);
    uint64_t random = seed_of(bytes);
    for (int i = 0; i < REQUESTS_MAX && bytes.size; i++) {
        size_t used = check_request(bytes, &random);
        if (!used) break;
        bytes = rt_bytes_skip(bytes, used);
    }
    return 0;
}
