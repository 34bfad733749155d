#include "runtime/http_parse.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

// CHARACTERS

static bool is_digit(uint8_t c) {
    return c >= '0' && c <= '9';
}

static bool is_token_char(uint8_t c) {
    if (is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return true;
    return c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

static bool is_blank(uint8_t c) {
    return c == ' ' || c == '\t';
}

// What may stand in a line at all: the rest of the grammar is checked once the line is whole.
static bool is_line_char(uint8_t c) {
    return (c >= ' ' && c != 0x7f) || c == '\t';
}

static int hex_value(uint8_t c) {
    if (is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static bool bytes_are_token(struct rt_bytes bytes) {
    for (size_t i = 0; i < bytes.size; i++) {
        if (!is_token_char(bytes.data[i])) return false;
    }
    return bytes.size > 0;
}

bool rt_http_is_token(const char *text) {
    return bytes_are_token(rt_bytes_of(text));
}

static bool bytes_are(struct rt_bytes bytes, const char *text) {
    return bytes.size == strlen(text) &&
           strncasecmp((const char *)bytes.data, text, bytes.size) == 0;
}

static struct rt_bytes bytes_trim(struct rt_bytes bytes) {
    while (bytes.size && is_blank(bytes.data[0])) bytes = rt_bytes_skip(bytes, 1);
    while (bytes.size && is_blank(bytes.data[bytes.size - 1])) bytes.size--;
    return bytes;
}

// Takes the next element of a comma-separated list, trimmed; false at the end. Empty ones are
// skipped, as RFC 9110 asks.
static bool list_next(struct rt_bytes *rest, struct rt_bytes *element) {
    while (rest->size) {
        const uint8_t *comma = memchr(rest->data, ',', rest->size);
        size_t size = comma ? (size_t)(comma - rest->data) : rest->size;
        *element = bytes_trim(RT_BYTES(rest->data, size));
        *rest = rt_bytes_skip(*rest, comma ? size + 1 : size);
        if (element->size) return true;
    }
    return false;
}

static bool escapes_are_valid(struct rt_bytes text) {
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] != '%') continue;
        if (text.size - i < 3) return false;
        int high = hex_value(text.data[i + 1]);
        int low = hex_value(text.data[i + 2]);
        if (high < 0 || low < 0 || high + low == 0) return false;
        i += 2;
    }
    return true;
}

size_t rt_http_unescape(struct rt_bytes text, bool plus_is_space, char *out) {
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (c == '%') {
            assert(text.size - i >= 3);
            c = (uint8_t)(hex_value(text.data[i + 1]) << 4 | hex_value(text.data[i + 2]));
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        out[size++] = (char)c;
    }
    return size;
}

// LIFE

void rt_http_parser_init(struct rt_http_parser *p, size_t body_size_max) {
    *p = (struct rt_http_parser){.state = RT_HTTP_REQUEST_LINE, .body_size_max = body_size_max};
}

void rt_http_parser_fini(struct rt_http_parser *p) {
    rt_buf_fini(&p->head);
    rt_buf_fini(&p->body);
}

static void parser_fail(struct rt_http_parser *p, int status, const char *problem) {
    p->state = RT_HTTP_FAILED;
    p->status = status;
    p->problem = problem;
}

static const char *text_at(const struct rt_http_parser *p, uint32_t at) {
    assert(at < p->head.size);
    return (const char *)p->head.data + at;
}

bool rt_http_parser_keeps_alive(const struct rt_http_parser *p) {
    if (p->asks_close) return false;
    return p->minor >= 1 || p->asks_keep_alive;
}

const char *rt_http_parser_method(const struct rt_http_parser *p) {
    assert(p->has_method);
    return text_at(p, p->method);
}

const char *rt_http_parser_path(const struct rt_http_parser *p) {
    return text_at(p, p->path);
}

const char *rt_http_parser_query(const struct rt_http_parser *p) {
    return p->has_query ? text_at(p, p->query) : NULL;
}

const char *rt_http_parser_field(const struct rt_http_parser *p, const char *name) {
    for (unsigned i = 0; i < p->field_count; i++) {
        if (strcasecmp(text_at(p, p->fields[i].name), name) == 0) {
            return text_at(p, p->fields[i].value);
        }
    }
    return NULL;
}

// LINES

// Gathers a line behind head.data + line_at, without its CRLF, and says whether it is whole. Its
// text is then closed with a NUL, which is not counted in *size.
static bool line_gather(struct rt_http_parser *p, struct rt_bytes in, size_t *used, size_t size_max,
                        int too_long_status, const char *too_long) {
    size_t run = 0;
    while (!p->line_saw_cr && run < in.size && is_line_char(in.data[run])) run++;
    *used = run;
    if (run > size_max - (p->head.size - p->line_at)) {
        parser_fail(p, too_long_status, too_long);
        return false;
    }
    rt_buf_append(&p->head, RT_BYTES(in.data, run));
    if (run == in.size) return false;
    *used = run + 1;
    uint8_t c = in.data[run];
    if (!p->line_saw_cr && c == '\r') {
        p->line_saw_cr = true;
        return false;
    }
    if (!p->line_saw_cr || c != '\n') {
        parser_fail(p, 400, "a line holds a control character or does not end in CR LF");
        return false;
    }
    p->line_saw_cr = false;
    rt_buf_append(&p->head, RT_BYTES("", 1));
    return true;
}

static struct rt_bytes line_bytes(const struct rt_http_parser *p) {
    return RT_BYTES(p->head.data + p->line_at, p->head.size - 1 - p->line_at);
}

static void line_keep(struct rt_http_parser *p) {
    p->line_at = p->head.size;
}

static void line_forget(struct rt_http_parser *p) {
    p->head.size = p->line_at;
}

// THE REQUEST LINE: method SP target SP HTTP/1.x

static bool version_parse(struct rt_http_parser *p, struct rt_bytes text) {
    bool known = text.size == 8 && memcmp(text.data, "HTTP/", 5) == 0 && is_digit(text.data[5]) &&
                 text.data[6] == '.' && is_digit(text.data[7]);
    if (!known) {
        parser_fail(p, 400, "the request line does not end in HTTP/1.0 or HTTP/1.1");
    } else if (text.data[5] != '1') {
        parser_fail(p, 505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
        known = false;
    } else {
        p->minor = text.data[7] == '0' ? 0 : 1;
    }
    return known;
}

static size_t scheme_size(struct rt_bytes target) {
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < 2; i++) {
        size_t size = strlen(schemes[i]);
        if (target.size > size && bytes_are(RT_BYTES(target.data, size), schemes[i])) return size;
    }
    return 0;
}

// Absolute form: the authority is left out. The path starts at its '/', or where there is none
// ("http://host?x"), the authority's last byte becomes one: it is not needed otherwise.
static bool target_skip_authority(struct rt_http_parser *p, struct rt_bytes *target) {
    size_t scheme = scheme_size(*target);
    struct rt_bytes rest = rt_bytes_skip(*target, scheme);
    size_t authority = 0;
    while (authority < rest.size && !strchr("/?", rest.data[authority])) authority++;
    if (!scheme || !authority) {
        parser_fail(p, 400, "the request target is neither a path nor an http URL");
        return false;
    }
    *target = rt_bytes_skip(rest, authority);
    if (target->size && target->data[0] == '/') return true;
    *target = RT_BYTES(target->data - 1, target->size + 1);
    p->head.data[target->data - p->head.data] = '/';
    return true;
}

static bool target_parse(struct rt_http_parser *p, struct rt_bytes method, struct rt_bytes target) {
    for (size_t i = 0; i < target.size; i++) {
        if (target.data[i] > ' ' && target.data[i] < 0x7f && target.data[i] != '#') continue;
        parser_fail(p, 400, "the request target holds a character that must be percent-encoded");
        return false;
    }
    if (!escapes_are_valid(target)) {
        parser_fail(p, 400, "the request target holds an invalid percent escape");
        return false;
    }
    bool asterisk = bytes_are(target, "*") && bytes_are(method, "OPTIONS");
    if (target.size && target.data[0] != '/' && !asterisk) {
        if (!target_skip_authority(p, &target)) return false;
    }
    p->path = (uint32_t)(target.data - p->head.data);
    const uint8_t *mark = memchr(target.data, '?', target.size);
    if (mark) {
        p->head.data[mark - p->head.data] = 0;
        p->query = (uint32_t)(mark + 1 - p->head.data);
        p->has_query = true;
    }
    return true;
}

static bool request_line_parse(struct rt_http_parser *p, struct rt_bytes line) {
    const uint8_t *first = memchr(line.data, ' ', line.size);
    const uint8_t *last = memrchr(line.data, ' ', line.size);
    if (!first || first == last || last - first == 1) {
        parser_fail(p, 400, "the request line is not METHOD TARGET VERSION");
        return false;
    }
    struct rt_bytes method = RT_BYTES(line.data, (size_t)(first - line.data));
    struct rt_bytes target = RT_BYTES(first + 1, (size_t)(last - first - 1));
    struct rt_bytes version = rt_bytes_skip(line, (size_t)(last + 1 - line.data));
    if (!bytes_are_token(method)) {
        parser_fail(p, 400, "the method is not a token");
        return false;
    }
    if (!version_parse(p, version)) return false;
    p->head.data[first - p->head.data] = 0;
    p->head.data[last - p->head.data] = 0;
    p->method = (uint32_t)(method.data - p->head.data);
    p->has_method = true;
    return target_parse(p, method, target);
}

static size_t on_request_line(struct rt_http_parser *p, struct rt_bytes in) {
    size_t used = 0;
    if (!line_gather(p, in, &used, RT_HTTP_LINE_MAX, 414, "the request line is too long")) {
        return used;
    }
    struct rt_bytes line = line_bytes(p);
    if (line.size == 0) {
        line_forget(p);
        if (++p->empty_lines > RT_HTTP_EMPTY_LINES_MAX) {
            parser_fail(p, 400, "empty lines where a request was expected");
        }
        return used;
    }
    if (request_line_parse(p, line)) p->state = RT_HTTP_FIELDS;
    line_keep(p);
    return used;
}

// FIELDS

static void on_content_length(struct rt_http_parser *p, struct rt_bytes value) {
    uint64_t length = 0;
    bool valid = value.size > 0;
    for (size_t i = 0; i < value.size && valid; i++) {
        valid = is_digit(value.data[i]) && !__builtin_mul_overflow(length, 10u, &length) &&
                !__builtin_add_overflow(length, (uint64_t)(value.data[i] - '0'), &length);
    }
    if (!valid) {
        parser_fail(p, 400, "Content-Length is not a number");
    } else if (p->has_length && p->length != length) {
        parser_fail(p, 400, "Content-Length was given twice and differs");
    }
    p->has_length = true;
    p->length = length;
}

static void on_transfer_encoding(struct rt_http_parser *p, struct rt_bytes value) {
    struct rt_bytes coding;
    p->has_coding = true;
    while (list_next(&value, &coding)) {
        if (p->chunked) {
            parser_fail(p, 400, "a transfer coding follows chunked");
        } else if (bytes_are(coding, "chunked")) {
            p->chunked = true;
        } else {
            parser_fail(p, 501, "chunked is the only transfer coding that is understood");
        }
        if (p->state == RT_HTTP_FAILED) return;
    }
}

static void on_host(struct rt_http_parser *p, struct rt_bytes value) {
    p->host_count++;
    for (size_t i = 0; i < value.size; i++) {
        uint8_t c = value.data[i];
        if (c > ' ' && c < 0x7f && !strchr("/?#@\\,\"<>^`{|}", c)) continue;
        parser_fail(p, 400, "Host is not a host name");
        return;
    }
}

static void on_connection(struct rt_http_parser *p, struct rt_bytes value) {
    struct rt_bytes option;
    while (list_next(&value, &option)) {
        if (bytes_are(option, "close")) p->asks_close = true;
        if (bytes_are(option, "keep-alive")) p->asks_keep_alive = true;
    }
}

static void on_expect(struct rt_http_parser *p, struct rt_bytes value) {
    if (p->minor == 0) return;  // HTTP/1.0 knows no expectations
    if (!bytes_are(value, "100-continue")) {
        parser_fail(p, 417, "100-continue is the only expectation that is understood");
    }
    p->expects_continue = true;
}

static const struct {
    const char *name;
    void (*run)(struct rt_http_parser *p, struct rt_bytes value);
} known_fields[] = {
    {"Content-Length", on_content_length},
    {"Transfer-Encoding", on_transfer_encoding},
    {"Host", on_host},
    {"Connection", on_connection},
    {"Expect", on_expect},
};

static bool field_split(struct rt_http_parser *p, struct rt_bytes line, struct rt_bytes *name,
                        struct rt_bytes *value) {
    const uint8_t *colon = memchr(line.data, ':', line.size);
    *name = RT_BYTES(line.data, colon ? (size_t)(colon - line.data) : line.size);
    if (is_blank(line.data[0])) {
        parser_fail(p, 400, "a header line is folded");
    } else if (!colon || !bytes_are_token(*name)) {
        parser_fail(p, 400, "a header line is not NAME: VALUE");
    } else {
        *value = bytes_trim(rt_bytes_skip(line, name->size + 1));
        return true;
    }
    return false;
}

static void field_add(struct rt_http_parser *p, struct rt_bytes line) {
    struct rt_bytes name, value;
    if (!field_split(p, line, &name, &value)) return;
    if (p->field_count == RT_HTTP_FIELDS_MAX) {
        parser_fail(p, 431, "too many header fields");
        return;
    }
    size_t value_at = (size_t)(value.data - p->head.data);
    p->head.data[p->line_at + name.size] = 0;
    p->head.data[value_at + value.size] = 0;
    p->fields[p->field_count++] = (struct rt_http_field){(uint32_t)p->line_at, (uint32_t)value_at};
    for (size_t i = 0; i < sizeof(known_fields) / sizeof(known_fields[0]); i++) {
        if (bytes_are(name, known_fields[i].name)) known_fields[i].run(p, value);
    }
}

static bool fields_agree(struct rt_http_parser *p) {
    if (p->host_count > 1 || (p->minor >= 1 && p->host_count == 0)) {
        parser_fail(p, 400, "the request does not have exactly one Host");
    } else if (p->has_coding && (p->has_length || p->minor == 0 || !p->chunked)) {
        parser_fail(p, 400, "Transfer-Encoding contradicts the rest of the request");
    } else if (p->length > p->body_size_max) {
        parser_fail(p, 413, "the body is larger than the limit");
    } else {
        return true;
    }
    return false;
}

static void head_end(struct rt_http_parser *p) {
    if (!fields_agree(p)) return;
    p->has_head = true;
    p->fields_size = 0;  // the trailers are counted from here
    p->body_left = p->length;
    if (p->chunked) {
        p->state = RT_HTTP_CHUNK_LINE;
    } else {
        p->state = p->length ? RT_HTTP_BODY : RT_HTTP_COMPLETE;
    }
}

// Gathers one line of fields or trailers within their common size.
static bool field_line_gather(struct rt_http_parser *p, struct rt_bytes in, size_t *used) {
    static const char too_long[] = "the header fields are too long";
    size_t room = RT_HTTP_FIELDS_SIZE_MAX - p->fields_size;
    if (!line_gather(p, in, used, room, 431, too_long)) return false;
    p->fields_size += line_bytes(p).size + 2;
    if (p->fields_size > RT_HTTP_FIELDS_SIZE_MAX) parser_fail(p, 431, too_long);
    return p->state != RT_HTTP_FAILED;
}

static size_t on_fields(struct rt_http_parser *p, struct rt_bytes in) {
    size_t used = 0;
    if (!field_line_gather(p, in, &used)) return used;
    struct rt_bytes line = line_bytes(p);
    if (line.size) {
        field_add(p, line);
        line_keep(p);
    } else {
        line_forget(p);
        head_end(p);
    }
    return used;
}

// BODIES

static size_t body_take(struct rt_http_parser *p, struct rt_bytes in) {
    size_t size = in.size < p->body_left ? in.size : (size_t)p->body_left;
    rt_buf_append(&p->body, RT_BYTES(in.data, size));
    p->body_left -= size;
    assert(p->body.size <= p->body_size_max);
    return size;
}

static size_t on_body(struct rt_http_parser *p, struct rt_bytes in) {
    size_t used = body_take(p, in);
    if (p->body_left == 0) p->state = RT_HTTP_COMPLETE;
    return used;
}

// chunk-size [BWS ";" extensions]
static void chunk_line_parse(struct rt_http_parser *p, struct rt_bytes line) {
    uint64_t size = 0;
    size_t digits = 0;
    bool overflow = false;
    for (; digits < line.size && hex_value(line.data[digits]) >= 0; digits++) {
        overflow |= size >> 60 != 0;
        size = size << 4 | (uint64_t)hex_value(line.data[digits]);
    }
    struct rt_bytes rest = bytes_trim(rt_bytes_skip(line, digits));
    if (digits == 0 || (digits < line.size && (rest.size == 0 || rest.data[0] != ';'))) {
        parser_fail(p, 400, "a chunk does not start with its size");
    } else if (overflow || size > p->body_size_max - p->body.size) {
        parser_fail(p, 413, "the body is larger than the limit");
    } else {
        p->body_left = size;
        p->state = size ? RT_HTTP_CHUNK_DATA : RT_HTTP_TRAILERS;
    }
}

static size_t on_chunk_line(struct rt_http_parser *p, struct rt_bytes in) {
    size_t used = 0;
    if (line_gather(p, in, &used, RT_HTTP_CHUNK_LINE_MAX, 400, "a chunk's line is too long")) {
        chunk_line_parse(p, line_bytes(p));
        line_forget(p);
    }
    return used;
}

static size_t on_chunk_data(struct rt_http_parser *p, struct rt_bytes in) {
    size_t used = body_take(p, in);
    if (p->body_left == 0) p->state = RT_HTTP_CHUNK_END;
    return used;
}

static size_t on_chunk_end(struct rt_http_parser *p, struct rt_bytes in) {
    size_t used = 0;
    if (line_gather(p, in, &used, 0, 400, "a chunk is longer than its size")) {
        line_forget(p);
        p->state = RT_HTTP_CHUNK_LINE;
    }
    return used;
}

static size_t on_trailers(struct rt_http_parser *p, struct rt_bytes in) {
    size_t used = 0;
    struct rt_bytes name, value;
    if (!field_line_gather(p, in, &used)) return used;
    struct rt_bytes line = line_bytes(p);
    bool last = line.size == 0;
    bool valid = last || field_split(p, line, &name, &value);
    line_forget(p);
    if (valid && last) p->state = RT_HTTP_COMPLETE;
    return used;
}

size_t rt_http_parser_feed(struct rt_http_parser *p, struct rt_bytes bytes) {
    static size_t (*const steps[])(struct rt_http_parser *, struct rt_bytes) = {
        [RT_HTTP_REQUEST_LINE] = on_request_line,
        [RT_HTTP_FIELDS] = on_fields,
        [RT_HTTP_BODY] = on_body,
        [RT_HTTP_CHUNK_LINE] = on_chunk_line,
        [RT_HTTP_CHUNK_DATA] = on_chunk_data,
        [RT_HTTP_CHUNK_END] = on_chunk_end,
        [RT_HTTP_TRAILERS] = on_trailers,
    };
    size_t used = 0;
    while (used < bytes.size && p->state < RT_HTTP_COMPLETE) {
        used += steps[p->state](p, rt_bytes_skip(bytes, used));
    }
    return used;
}
