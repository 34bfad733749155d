#include <criterion/criterion.h>
#include <string.h>

#include "runtime/http_parse.h"
#include "runtime/mem.h"

enum { BODY_MAX = 100 };

// A parser that was fed everything at once.
struct parse {
    struct rt_http_parser p;
    size_t used;
};

static struct parse *parse_bytes(struct rt_bytes bytes) {
    struct parse *parse = RT_NEW(struct parse);
    rt_http_parser_init(&parse->p, BODY_MAX);
    parse->used = rt_http_parser_feed(&parse->p, bytes);
    return parse;
}

static struct parse *parse_text(const char *text) {
    return parse_bytes(rt_bytes_of(text));
}

static void parse_free(struct parse *parse) {
    rt_http_parser_fini(&parse->p);
    rt_free(parse);
}

static void check_body(const struct parse *parse, const char *body) {
    cr_assert(rt_bytes_equal(rt_buf_bytes(&parse->p.body), rt_bytes_of(body)));
}

static void check_path(const char *target, const char *path, const char *query) {
    struct rt_buf text = {0};
    rt_buf_print(&text, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", target);
    struct parse *parse = parse_bytes(rt_buf_bytes(&text));
    cr_assert_eq(parse->p.state, RT_HTTP_COMPLETE, "%s: %s", target, parse->p.problem);
    cr_assert_str_eq(rt_http_parser_path(&parse->p), path);
    if (query) {
        cr_assert_str_eq(rt_http_parser_query(&parse->p), query);
    } else {
        cr_assert_null(rt_http_parser_query(&parse->p));
    }
    parse_free(parse);
    rt_buf_fini(&text);
}

static void check_status(struct rt_bytes text, int status) {
    struct parse *parse = parse_bytes(text);
    cr_assert_eq(parse->p.state, RT_HTTP_FAILED, "was accepted: %.60s", (const char *)text.data);
    cr_assert_eq(parse->p.status, status, "%.60s: %d %s", (const char *)text.data, parse->p.status,
                 parse->p.problem);
    cr_assert_not_null(parse->p.problem);
    parse_free(parse);
}

Test(runtime_http_parse, a_request_is_taken_apart) {
    struct parse *parse = parse_text(
        "GET /a/b?x=1&y HTTP/1.1\r\nHost: h:80\r\nX-One:  1 \t\r\nx-one: 2\r\nEmpty:\r\n\r\nNEXT");
    const struct rt_http_parser *p = &parse->p;
    cr_assert_eq(p->state, RT_HTTP_COMPLETE);
    cr_assert(p->has_head);
    cr_assert_str_eq(rt_http_parser_method(p), "GET");
    cr_assert_str_eq(rt_http_parser_path(p), "/a/b");
    cr_assert_str_eq(rt_http_parser_query(p), "x=1&y");
    cr_assert_str_eq(rt_http_parser_field(p, "x-ONE"), "1");
    cr_assert_str_eq(rt_http_parser_field(p, "empty"), "");
    cr_assert_null(rt_http_parser_field(p, "x"));
    cr_assert(rt_http_parser_keeps_alive(p));
    check_body(parse, "");
    parse_free(parse);
}

Test(runtime_http_parse, bytes_behind_a_request_are_left) {
    const char *first = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc";
    struct rt_buf text = {0};
    rt_buf_print(&text, "%sGET / HTTP/1.1\r\n", first);
    struct parse *parse = parse_bytes(rt_buf_bytes(&text));
    cr_assert_eq(parse->p.state, RT_HTTP_COMPLETE);
    cr_assert_eq(parse->used, strlen(first));
    cr_assert_eq(rt_http_parser_feed(&parse->p, RT_BYTES_LITERAL("x")), 0);
    check_body(parse, "abc");
    parse_free(parse);
    rt_buf_fini(&text);
}

Test(runtime_http_parse, every_cut_gives_the_same_request) {
    struct rt_bytes text = RT_BYTES_LITERAL(
        "\r\nPUT /p%2fq?a=%41 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n"
        "Connection: x, close\r\n\r\n4;ext=\"1\"\r\nabcd\r\n0005 ;x\r\nefghi\r\n0\r\nT: 1\r\n\r\n");
    for (size_t cut = 0; cut <= text.size; cut++) {
        struct parse *parse = parse_bytes(RT_BYTES(text.data, cut));
        cr_assert_eq(parse->used, cut);
        cr_assert_eq(parse->p.state == RT_HTTP_COMPLETE, cut == text.size);
        rt_http_parser_feed(&parse->p, rt_bytes_skip(text, cut));
        cr_assert_eq(parse->p.state, RT_HTTP_COMPLETE, "cut at %zu: %s", cut, parse->p.problem);
        cr_assert_str_eq(rt_http_parser_path(&parse->p), "/p%2fq");
        cr_assert_not(rt_http_parser_keeps_alive(&parse->p));
        check_body(parse, "abcdefghi");
        parse_free(parse);
    }
}

Test(runtime_http_parse, absolute_targets_lose_their_authority) {
    check_path("http://h/a?b", "/a", "b");
    check_path("HTTPS://user.host:8080/a/", "/a/", NULL);
    check_path("http://h", "/", NULL);
    check_path("http://h?x=1", "/", "x=1");
    check_path("http://h/?", "/", "");
    check_path("/http://h/a", "/http://h/a", NULL);
    check_path("//a//b", "//a//b", NULL);
}

Test(runtime_http_parse, asterisk_is_a_target_of_options_only) {
    struct parse *parse = parse_text("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n");
    cr_assert_eq(parse->p.state, RT_HTTP_COMPLETE);
    cr_assert_str_eq(rt_http_parser_path(&parse->p), "*");
    parse_free(parse);
    check_status(RT_BYTES_LITERAL("GET * HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
}

static const struct {
    const char *text;
    int status;
} refused_lines[] = {
    {"GET /\r\n", 400},            // HTTP/0.9
    {"GET  / HTTP/1.1\r\n", 400},  // two spaces
    {"GET / HTTP/1.1 \r\n", 400},  // and one behind
    {" GET / HTTP/1.1\r\n", 400},
    {"GET / x HTTP/1.1\r\n", 400},
    {"GET / http/1.1\r\n", 400},
    {"GET / HTTP/1.1\n", 400},      // no CR
    {"GET /\r HTTP/1.1\r\n", 400},  // bare CR
    {"GET / HTTP/1.1\r\r\n", 400},
    {"GET /\t HTTP/1.1\r\n", 400},
    {"GET /\x01 HTTP/1.1\r\n", 400},
    {"GET /\x7f HTTP/1.1\r\n", 400},
    {"GET /\xc3\xa4 HTTP/1.1\r\n", 400},  // must be escaped
    {"GET /a#b HTTP/1.1\r\n", 400},
    {"GET /%4 HTTP/1.1\r\n", 400},
    {"GET /%zz HTTP/1.1\r\n", 400},
    {"GET /%00 HTTP/1.1\r\n", 400},
    {"GET /?a=% HTTP/1.1\r\n", 400},
    {"GET /?a=%00 HTTP/1.1\r\n", 400},
    {"GET a HTTP/1.1\r\n", 400},
    {"GET ftp://h/ HTTP/1.1\r\n", 400},
    {"GET http:// HTTP/1.1\r\n", 400},
    {"GET http:///a HTTP/1.1\r\n", 400},
    {"CONNECT h:80 HTTP/1.1\r\n", 400},
    {"G(T / HTTP/1.1\r\n", 400},
    {"GET / HTTP/1.11\r\n", 400},
    {"GET / HTTP/2.0\r\n", 505},
    {"GET / HTTP/0.9\r\n", 505},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},  // HTTP/2 with prior knowledge
    {"\x16\x03\x01", 400},                      // TLS on a port without it
    {"\r\n\r\n\r\n\r\n\r\n", 400},
};

Test(runtime_http_parse, malformed_request_lines_are_refused) {
    for (size_t i = 0; i < sizeof(refused_lines) / sizeof(refused_lines[0]); i++) {
        check_status(rt_bytes_of(refused_lines[i].text), refused_lines[i].status);
    }
    check_status(RT_BYTES_LITERAL("GET /\0 HTTP/1.1\r\n"), 400);
}

static const struct {
    const char *fields;
    int status;
} refused_fields[] = {
    {"\r\n", 400},  // no Host
    {"Host: a\r\nHost: a\r\n\r\n", 400},
    {"Host: a b\r\n\r\n", 400},
    {"Host: a/b\r\n\r\n", 400},
    {"Host: h\r\n folded\r\n\r\n", 400},
    {" X: y\r\nHost: h\r\n\r\n", 400},
    {"Host : h\r\n\r\n", 400},
    {"Host\r\n\r\n", 400},
    {": x\r\n\r\n", 400},
    {"X y: z\r\n\r\n", 400},
    {"X: a\rb\r\n\r\n", 400},
    {"X: a\nb: c\r\n\r\n", 400},
    {"X: a\x0b\r\n\r\n", 400},
    {"Host: h\r\nContent-Length: -1\r\n\r\n", 400},
    {"Host: h\r\nContent-Length: +1\r\n\r\n", 400},
    {"Host: h\r\nContent-Length:\r\n\r\n", 400},
    {"Host: h\r\nContent-Length: 0x1\r\n\r\n", 400},
    {"Host: h\r\nContent-Length: 1, 1\r\n\r\n", 400},
    {"Host: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400},
    {"Host: h\r\nContent-Length: 18446744073709551616\r\n\r\n", 400},
    {"Host: h\r\nContent-Length: 99999999999999999999999\r\n\r\n", 400},
    {"Host: h\r\nContent-Length: 18446744073709551615\r\n\r\n", 413},
    {"Host: h\r\nContent-Length: 101\r\n\r\n", 413},
    {"Host: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    {"Host: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n", 400},
    {"Host: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501},
    {"Host: h\r\nTransfer-Encoding: identity\r\n\r\n", 501},
    {"Host: h\r\nTransfer-Encoding: xchunked\r\n\r\n", 501},
    {"Host: h\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", 400},
    {"Host: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n", 400},
    {"Host: h\r\nTransfer-Encoding:\r\n\r\n", 400},
    {"Host: h\r\nTransfer-Encoding: \x0b"
     "chunked\r\n\r\n",
     400},
    {"Host: h\r\nExpect: 200-ok\r\n\r\n", 417},
};

Test(runtime_http_parse, malformed_fields_are_refused) {
    for (size_t i = 0; i < sizeof(refused_fields) / sizeof(refused_fields[0]); i++) {
        struct rt_buf text = {0};
        rt_buf_print(&text, "POST / HTTP/1.1\r\n%s", refused_fields[i].fields);
        check_status(rt_buf_bytes(&text), refused_fields[i].status);
        rt_buf_fini(&text);
    }
    check_status(RT_BYTES_LITERAL("GET / HTTP/1.1\r\nX: \0\r\n\r\n"), 400);
    check_status(rt_bytes_of("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
}

Test(runtime_http_parse, equal_content_lengths_are_one) {
    struct parse *parse = parse_text(
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nContent-Length: 02\r\n\r\nab");
    cr_assert_eq(parse->p.state, RT_HTTP_COMPLETE);
    check_body(parse, "ab");
    parse_free(parse);
}

static const struct {
    const char *body;
    int status;
} refused_chunks[] = {
    {"\r\n", 400},
    {"x\r\n", 400},
    {" 1\r\na\r\n", 400},
    {"-1\r\n", 400},
    {"0x1\r\n", 400},
    {"1 \r\na\r\n", 400},
    {"1 x\r\na\r\n", 400},
    {"1\na\r\n", 400},
    {"1;a\rb\r\n", 400},
    {"2\r\nabc\r\n", 400},  // longer than it said
    {"2\r\nab\n", 400},
    {"65\r\n", 413},  // 101
    {"64\r\n", 0},    // 100: only begins
    {"ffffffffffffffff\r\n", 413},
    {"fffffffffffffffff\r\n", 413},       // beyond 64 bits
    {"10000000000000001\r\na\r\n", 413},  // and wrapping around to 1
    {"0\r\n folded\r\n\r\n", 400},
    {"0\r\nno colon\r\n\r\n", 400},
    {"0\r\n\rx", 400},
};

Test(runtime_http_parse, malformed_chunks_are_refused) {
    for (size_t i = 0; i < sizeof(refused_chunks) / sizeof(refused_chunks[0]); i++) {
        struct rt_buf text = {0};
        rt_buf_print(&text, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n%s",
                     refused_chunks[i].body);
        if (refused_chunks[i].status) {
            check_status(rt_buf_bytes(&text), refused_chunks[i].status);
        } else {
            struct parse *parse = parse_bytes(rt_buf_bytes(&text));
            cr_assert_eq(parse->p.state, RT_HTTP_CHUNK_DATA);
            parse_free(parse);
        }
        rt_buf_fini(&text);
    }
}

Test(runtime_http_parse, chunks_together_stay_within_the_limit) {
    struct rt_buf text = {0};
    rt_buf_print(&text, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 10; i++) rt_buf_print(&text, "a\r\n0123456789\r\n");
    struct parse *parse = parse_bytes(rt_buf_bytes(&text));
    cr_assert_eq(parse->p.body.size, BODY_MAX);
    cr_assert_eq(parse->p.state, RT_HTTP_CHUNK_LINE);
    rt_http_parser_feed(&parse->p, RT_BYTES_LITERAL("1\r\nx"));
    cr_assert_eq(parse->p.status, 413);
    cr_assert(parse->p.has_head);
    parse_free(parse);
    rt_buf_fini(&text);
}

static struct rt_buf padded(const char *before, size_t pad, const char *after) {
    struct rt_buf text = {0};
    rt_buf_print(&text, "%s", before);
    for (size_t i = 0; i < pad; i++) rt_buf_append(&text, RT_BYTES_LITERAL("x"));
    rt_buf_print(&text, "%s", after);
    return text;
}

static void check_padded(const char *before, size_t pad, const char *after, int status) {
    struct rt_buf text = padded(before, pad, after);
    struct parse *parse = parse_bytes(rt_buf_bytes(&text));
    cr_assert_eq(parse->p.status, status, "%.20s... with %zu: %d", before, pad, parse->p.status);
    if (!status) cr_assert_eq(parse->p.state, RT_HTTP_COMPLETE);
    parse_free(parse);
    rt_buf_fini(&text);
}

Test(runtime_http_parse, limits_hold_at_their_edge) {
    size_t line = RT_HTTP_LINE_MAX - strlen("GET / HTTP/1.1");
    check_padded("GET /", line, " HTTP/1.1\r\nHost: h\r\n\r\n", 0);
    check_padded("GET /", line + 1, " HTTP/1.1\r\nHost: h\r\n\r\n", 414);
    check_padded("GET /", line + 20, "", 414);
    size_t fields = RT_HTTP_FIELDS_SIZE_MAX - strlen("Host: h\r\nX: \r\n\r\n");
    check_padded("GET / HTTP/1.1\r\nHost: h\r\nX: ", fields, "\r\n\r\n", 0);
    check_padded("GET / HTTP/1.1\r\nHost: h\r\nX: ", fields + 1, "\r\n\r\n", 431);
    check_padded("GET / HTTP/1.1\r\nHost: h\r\nX: ", fields + 20, "", 431);
    const char *chunked = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0;";
    check_padded(chunked, RT_HTTP_CHUNK_LINE_MAX - 2, "\r\n\r\n", 0);
    check_padded(chunked, RT_HTTP_CHUNK_LINE_MAX - 1, "\r\n\r\n", 400);
}

Test(runtime_http_parse, trailers_are_bounded_and_skipped) {
    const char *chunked =
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nT: ";
    size_t room = RT_HTTP_FIELDS_SIZE_MAX - strlen("T: \r\n\r\n");
    check_padded(chunked, room, "\r\n\r\n", 0);
    check_padded(chunked, room + 1, "\r\n\r\n", 431);
    struct rt_buf text = padded(chunked, 1, "\r\nHost: other\r\n\r\n");
    struct parse *parse = parse_bytes(rt_buf_bytes(&text));
    cr_assert_null(rt_http_parser_field(&parse->p, "T"));
    cr_assert_str_eq(rt_http_parser_field(&parse->p, "Host"), "h");
    parse_free(parse);
    rt_buf_fini(&text);
}

Test(runtime_http_parse, a_hundred_fields_are_enough) {
    for (int extra = 0; extra <= 1; extra++) {
        struct rt_buf text = {0};
        rt_buf_print(&text, "GET / HTTP/1.1\r\nHost: h\r\n");
        for (int i = 1; i < RT_HTTP_FIELDS_MAX + extra; i++)
            rt_buf_print(&text, "X%d: %d\r\n", i, i);
        rt_buf_print(&text, "\r\n");
        struct parse *parse = parse_bytes(rt_buf_bytes(&text));
        cr_assert_eq(parse->p.status, extra ? 431 : 0);
        if (!extra) cr_assert_str_eq(rt_http_parser_field(&parse->p, "X99"), "99");
        parse_free(parse);
        rt_buf_fini(&text);
    }
}

static bool keeps_alive(const char *head) {
    struct parse *parse = parse_text(head);
    cr_assert_eq(parse->p.state, RT_HTTP_COMPLETE, "%s", head);
    bool keeps = rt_http_parser_keeps_alive(&parse->p);
    parse_free(parse);
    return keeps;
}

Test(runtime_http_parse, keep_alive_follows_version_and_connection) {
    cr_assert(keeps_alive("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    cr_assert(keeps_alive("GET / HTTP/1.9\r\nHost: h\r\nConnection: upgrade\r\n\r\n"));
    cr_assert_not(keeps_alive("GET / HTTP/1.1\r\nHost: h\r\nConnection: a ,CLOSE\r\n\r\n"));
    cr_assert_not(keeps_alive("GET / HTTP/1.0\r\n\r\n"));
    cr_assert(keeps_alive("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"));
    cr_assert_not(keeps_alive("GET / HTTP/1.0\r\nConnection: close, keep-alive\r\n\r\n"));
}

Test(runtime_http_parse, only_http_1_1_can_expect) {
    struct parse *parse = parse_text(
        "PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n");
    cr_assert(parse->p.expects_continue);
    cr_assert_eq(parse->p.state, RT_HTTP_BODY);
    parse_free(parse);
    parse = parse_text("PUT / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n");
    cr_assert_not(parse->p.expects_continue);
    parse_free(parse);
}

Test(runtime_http_parse, other_bytes_of_values_pass_unchanged) {
    struct parse *parse = parse_text("GET / HTTP/1.1\r\nHost:\r\nX: \xc3\xa4 \t \"b:\r\n\r\n");
    cr_assert_eq(parse->p.state, RT_HTTP_COMPLETE);
    cr_assert_str_eq(rt_http_parser_field(&parse->p, "X"), "\xc3\xa4 \t \"b:");
    parse_free(parse);
}

Test(runtime_http_parse, escapes_are_undone) {
    char out[16];
    size_t size = rt_http_unescape(RT_BYTES_LITERAL("a+%2B%c3%A4"), false, out);
    cr_assert_eq(size, 5);
    cr_assert_arr_eq(out, "a++\xc3\xa4", size);
    size = rt_http_unescape(RT_BYTES_LITERAL("a+%2B"), true, out);
    cr_assert_arr_eq(out, "a +", size);
}
