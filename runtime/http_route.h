// The router of the HTTP server: a path and a method in, a route out. Pure.
//
// Patterns are compared segment by segment with the percent-decoded path: a fixed segment is
// preferred to ":name" (which takes one segment that is not empty), and that to "*" (which takes
// the rest, even an empty one). Where the preferred branch leads nowhere, or knows the path but not
// the method, the others are tried. Among equal patterns the first in the table wins. GET answers
// HEAD.
//
// The routes form a tree, so a look-up does not get slower with their number.
#ifndef GEMINGA_RUNTIME_HTTP_ROUTE_H
#define GEMINGA_RUNTIME_HTTP_ROUTE_H

#include "runtime/arena.h"
#include "runtime/http.h"

struct rt_http_router;

// Borrows the routes. A pattern that makes no sense is a mistake of ours and asserted.
struct rt_http_router *rt_http_router_new(const struct rt_http_route *routes, size_t route_count);
void rt_http_router_free(struct rt_http_router *router);

struct rt_http_match {
    const struct rt_http_route *route;  // NULL: then the status says why
    int status;                         // 200, 404 or 405
    const char *allow;                  // 405: the methods there are, "GET, HEAD"; in the arena
};

// `path` as rt_http_parser_path gives it.
struct rt_http_match rt_http_router_find(const struct rt_http_router *router, const char *method,
                                         const char *path, struct rt_arena *arena);

// The decoded part of `path` that the route's pattern calls `name` (without ':', or "*"), in the
// arena; NULL when the pattern has no such part. The path must match the pattern.
const char *rt_http_route_param(const struct rt_http_route *route, const char *path,
                                const char *name, struct rt_arena *arena);

// The decoded value of a query's first `name`, "" where it has no '='; NULL when it is absent.
const char *rt_http_query_value(const char *query, const char *name, struct rt_arena *arena);

#endif
