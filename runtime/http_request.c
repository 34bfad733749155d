#include "runtime/http_conn.h"

// Decoded texts go to the request's arena, which a caller may see as part of what it borrows.
static struct rt_arena *arena_of(const struct rt_http_request *request) {
    return &request->conn->request->arena;
}

struct rt_http_owner *rt_http_owner(const struct rt_http_request *request) {
    return request->conn->shard->server->owner;
}

const char *rt_http_method(const struct rt_http_request *request) {
    return rt_http_parser_method(&request->parser);
}

const char *rt_http_path(const struct rt_http_request *request) {
    return rt_http_parser_path(&request->parser);
}

struct rt_loop *rt_http_loop(const struct rt_http_request *request) {
    return request->conn->shard->loop;
}

const char *rt_http_peer(const struct rt_http_request *request) {
    return rt_conn_peer(&request->conn->stream);
}

const char *rt_http_param(const struct rt_http_request *request, const char *name) {
    return rt_http_route_param(request->route, rt_http_path(request), name, arena_of(request));
}

const char *rt_http_query(const struct rt_http_request *request, const char *name) {
    return rt_http_query_value(rt_http_parser_query(&request->parser), name, arena_of(request));
}

const char *rt_http_header(const struct rt_http_request *request, const char *name) {
    return rt_http_parser_field(&request->parser, name);
}

struct rt_bytes rt_http_body(const struct rt_http_request *request) {
    return rt_buf_bytes(&request->parser.body);
}

struct rt_arena *rt_http_arena(struct rt_http_request *request) {
    return &request->arena;
}

bool rt_http_peer_is_gone(const struct rt_http_request *request) {
    return request->conn->gone || !rt_conn_is_open(&request->conn->stream);
}
