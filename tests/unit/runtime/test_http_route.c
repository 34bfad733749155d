#include <criterion/criterion.h>

#include "runtime/http_route.h"

static void nothing(struct rt_http_request *request) {
    (void)request;
}

static const struct rt_http_route routes[] = {
    {"GET", "/", nothing, "root"},
    {"GET", "/metrics", nothing, "metrics"},
    {"GET", "/admin/:tenant", nothing, "tenant get"},
    {"PUT", "/admin/:name", nothing, "tenant put"},
    {"GET", "/admin/clusters", nothing, "clusters"},
    {"POST", "/admin/:tenant/:namespace", nothing, "namespace"},
    {"GET", "/admin/clusters/:cluster/brokers", nothing, "brokers"},
    {"GET", "/admin/*", nothing, "admin rest"},
    {"*", "/any", nothing, "any"},
    {"GET", "/any", nothing, "any get"},
    {"GET", "/static/*", nothing, "static"},
    {"HEAD", "/head", nothing, "head head"},
    {"GET", "/head", nothing, "head get"},
    {"DELETE", "/a/:x/c", nothing, "param c"},
    {"GET", "/a/b/:y", nothing, "fixed param"},
    {"GET", "/a//b", nothing, "empty segment"},
};

// The help text of what was found, or the status as text with what is allowed.
static const char *find(struct rt_arena *arena, const char *method, const char *path) {
    struct rt_http_router *router = rt_http_router_new(routes, sizeof(routes) / sizeof(routes[0]));
    struct rt_http_match match = rt_http_router_find(router, method, path, arena);
    rt_http_router_free(router);
    if (match.route) return match.route->help;
    if (match.status == 404) return "404";
    return rt_arena_print(arena, "%d %s", match.status, match.allow);
}

static void check(const char *method, const char *path, const char *expected) {
    struct rt_arena arena = {0};
    cr_assert_str_eq(find(&arena, method, path), expected, "%s %s", method, path);
    rt_arena_fini(&arena);
}

Test(runtime_http_route, fixed_segments_are_preferred) {
    check("GET", "/", "root");
    check("GET", "/metrics", "metrics");
    check("GET", "/admin/clusters", "clusters");
    check("GET", "/admin/public", "tenant get");
    check("GET", "/admin/clusters/c/brokers", "brokers");
}

Test(runtime_http_route, other_branches_are_tried_where_the_preferred_one_ends) {
    check("PUT", "/admin/clusters", "tenant put");
    check("POST", "/admin/clusters/x", "namespace");
    check("GET", "/admin/clusters/c/other", "admin rest");
    check("DELETE", "/a/b/c", "param c");
    check("GET", "/a/b/c", "fixed param");
}

Test(runtime_http_route, a_parameter_takes_one_segment_that_is_not_empty) {
    check("PUT", "/admin/", "405 GET, HEAD");
    check("PUT", "/admin/a/b", "405 GET, HEAD, POST");
    check("DELETE", "/a//c", "404");
}

Test(runtime_http_route, the_rest_may_be_empty) {
    check("GET", "/static/", "static");
    check("GET", "/static/a//b/", "static");
    check("GET", "/static", "404");
}

Test(runtime_http_route, slashes_are_kept) {
    check("GET", "//", "404");
    check("GET", "/metrics/", "404");
    check("GET", "//metrics", "404");
    check("GET", "/a//b", "empty segment");
}

Test(runtime_http_route, segments_are_compared_decoded) {
    check("GET", "/%6detrics", "metrics");
    check("GET", "/metrics%2f", "404");
    check("GET", "/admin%2fclusters", "404");
    check("GET", "/metric", "404");
    check("GET", "/metrics%20", "404");
}

Test(runtime_http_route, other_methods_are_told_what_is_allowed) {
    check("POST", "/metrics", "405 GET, HEAD");
    check("DELETE", "/admin/x", "405 GET, HEAD, PUT");
    check("BREW", "/a/b/c", "405 GET, HEAD, DELETE");
    check("get", "/metrics", "405 GET, HEAD");
    check("BREW", "/nowhere", "404");
}

Test(runtime_http_route, the_first_of_equal_patterns_wins) {
    check("GET", "/any", "any");
    check("BREW", "/any", "any");
}

Test(runtime_http_route, get_answers_head) {
    check("HEAD", "/metrics", "metrics");
    check("HEAD", "/head", "head head");
    check("GET", "/head", "head get");
    check("HEAD", "/a/b/c", "fixed param");
}

Test(runtime_http_route, asterisk_is_nobodys_path) {
    check("OPTIONS", "*", "404");
}

static void check_param(const char *pattern, const char *path, const char *name,
                        const char *expected) {
    struct rt_arena arena = {0};
    struct rt_http_route route = {"GET", pattern, nothing, ""};
    const char *value = rt_http_route_param(&route, path, name, &arena);
    if (expected) {
        cr_assert_not_null(value);
        cr_assert_str_eq(value, expected);
    } else {
        cr_assert_null(value);
    }
    rt_arena_fini(&arena);
}

Test(runtime_http_route, parameters_are_decoded) {
    check_param("/a/:t/:n", "/a/x/y%2Fz+%20", "n", "y/z+ ");
    check_param("/a/:t/:n", "/a/x/y", "t", "x");
    check_param("/a/:t/:n", "/a/x/y", "a", NULL);
    check_param("/a/:t/:n", "/a/x/y", "*", NULL);
    check_param("/:tt/:t", "/1/2", "t", "2");
    check_param("/s/*", "/s/a//b%41", "*", "a//bA");
    check_param("/s/*", "/s/", "*", "");
    check_param("/s/*", "/s/x", "x", NULL);
}

static void check_query(const char *query, const char *name, const char *expected) {
    struct rt_arena arena = {0};
    const char *value = rt_http_query_value(query, name, &arena);
    if (expected) {
        cr_assert_not_null(value, "%s", query);
        cr_assert_str_eq(value, expected);
    } else {
        cr_assert_null(value);
    }
    rt_arena_fini(&arena);
}

Test(runtime_http_route, queries_are_decoded) {
    check_query("a=1&b=2", "b", "2");
    check_query("a=1&a=2", "a", "1");
    check_query("a=x%26y+z%2B&b", "a", "x&y z+");
    check_query("&&b&a", "b", "");
    check_query("a=b=c", "a", "b=c");
    check_query("%61+c=1", "a c", "1");
    check_query("ab=1", "a", NULL);
    check_query("a=1", "ab", NULL);
    check_query("=1", "a", NULL);
    check_query("", "a", NULL);
    check_query(NULL, "a", NULL);
}

Test(runtime_http_route, look_ups_do_not_depend_on_the_order_of_unequal_patterns) {
    static const struct rt_http_route rest_first[] = {{"GET", "/*", nothing, "rest"},
                                                      {"GET", "/:p", nothing, "param"},
                                                      {"GET", "/x", nothing, "x"}};
    struct rt_arena arena = {0};
    struct rt_http_router *router = rt_http_router_new(rest_first, 3);
    cr_assert_str_eq(rt_http_router_find(router, "GET", "/x", &arena).route->help, "x");
    cr_assert_str_eq(rt_http_router_find(router, "GET", "/y", &arena).route->help, "param");
    cr_assert_str_eq(rt_http_router_find(router, "GET", "/x/y", &arena).route->help, "rest");
    cr_assert_str_eq(rt_http_router_find(router, "GET", "/", &arena).route->help, "rest");
    rt_http_router_free(router);
    rt_arena_fini(&arena);
}
