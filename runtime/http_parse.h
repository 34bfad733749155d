// The request parser of the HTTP server: bytes in, one request out. Pure; no port, no clock.
//
// It is fed whatever arrived, in pieces of any size; the result does not depend on where the pieces
// were cut. One parser reads one request: bytes behind it are left to the next.
//
// Strictness (RFC 9112): a line ends in CRLF and nothing else; no control characters; no folded
// lines; nothing between a field's name and its colon; exactly one Host in HTTP/1.1; a body is
// measured by Content-Length or by chunks, never by both, and "chunked" is the only transfer
// coding. What could be read in two ways is refused, because a proxy in front may read it the other
// way.
#ifndef GEMINGA_RUNTIME_HTTP_PARSE_H
#define GEMINGA_RUNTIME_HTTP_PARSE_H

#include "runtime/bytes.h"

enum {
    RT_HTTP_LINE_MAX = 16 << 10,         // the request line; a longer one is answered 414
    RT_HTTP_FIELDS_SIZE_MAX = 32 << 10,  // all field lines, and again all trailers; 431
    RT_HTTP_FIELDS_MAX = 100,            // 431
    RT_HTTP_CHUNK_LINE_MAX = 1 << 10,    // a chunk's size and extensions
    RT_HTTP_EMPTY_LINES_MAX = 4          // that may precede a request line
};

//  REQUEST_LINE -> FIELDS -> BODY --------------------------------------------> COMPLETE
//                    |  `--> CHUNK_LINE -> CHUNK_DATA -> CHUNK_END -> CHUNK_LINE   ^ ^
//                    |            `----> TRAILERS ---------------------------------' |
//                    `---------------------- no body -------------------------------'
//  and from each of them FAILED.
enum rt_http_parse_state {
    RT_HTTP_REQUEST_LINE,
    RT_HTTP_FIELDS,
    RT_HTTP_BODY,
    RT_HTTP_CHUNK_LINE,
    RT_HTTP_CHUNK_DATA,
    RT_HTTP_CHUNK_END,
    RT_HTTP_TRAILERS,
    RT_HTTP_COMPLETE,
    RT_HTTP_FAILED
};

struct rt_http_field {
    uint32_t name, value;  // where the texts start in head
};

struct rt_http_parser {
    enum rt_http_parse_state state;
    size_t body_size_max;
    struct rt_buf head;  // the lines so far; once parsed, texts that end in NUL
    struct rt_buf body;
    size_t line_at;  // of the line being gathered, in head
    bool line_saw_cr;
    unsigned empty_lines;
    size_t fields_size;
    uint64_t body_left;  // of the body, or of the chunk

    uint32_t method, path, query;  // where the texts start in head
    bool has_method, has_query;
    unsigned minor;  // of HTTP/1.x; later ones count as 1
    unsigned field_count, host_count;
    bool has_length, has_coding, chunked;
    bool asks_close, asks_keep_alive, expects_continue;
    bool has_head;  // lines and fields are there and agree; stays true if the body then fails
    uint64_t length;
    struct rt_http_field fields[RT_HTTP_FIELDS_MAX];

    int status;           // FAILED: what to answer before closing
    const char *problem;  // FAILED: why, for a person; static
};

void rt_http_parser_init(struct rt_http_parser *p, size_t body_size_max);
void rt_http_parser_fini(struct rt_http_parser *p);

// Returns how many bytes belong to this request: all of them unless it is then COMPLETE or FAILED.
size_t rt_http_parser_feed(struct rt_http_parser *p, struct rt_bytes bytes);

bool rt_http_parser_keeps_alive(const struct rt_http_parser *p);

// Texts are borrowed until the parser's end. They need has_head; method also exists when
// has_method.
const char *rt_http_parser_method(const struct rt_http_parser *p);
const char *rt_http_parser_path(const struct rt_http_parser *p);
const char *rt_http_parser_query(const struct rt_http_parser *p);  // without '?'; NULL: none
// The first field of that name, in any case; NULL when there is none.
const char *rt_http_parser_field(const struct rt_http_parser *p, const char *name);

// Undoes percent-encoding; `out` has room for text.size bytes. The parser accepts only paths and
// queries whose escapes are well-formed and not %00. Returns the size written.
size_t rt_http_unescape(struct rt_bytes text, bool plus_is_space, char *out);
bool rt_http_is_token(const char *text);

#endif
