#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "runtime/http_conn.h"
#include "runtime/machine.h"

enum { CONTENT_TYPE_MAX = 128, DATE_SIZE = 32, HEAD_SIZE_MAX = 512 };

static const struct {
    int status;
    const char *text;
} statuses[] = {
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {422, "Unprocessable Content"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
};

const char *rt_http_status_text(int status) {
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        if (statuses[i].status == status) return statuses[i].text;
    }
    return "Unknown";
}

// FIELDS

static bool is_field_value(const char *text) {
    for (; *text; text++) {
        uint8_t c = (uint8_t)*text;
        if ((c < ' ' && c != '\t') || c == 0x7f) return false;
    }
    return true;
}

static bool is_ours(const char *name) {
    static const char *const names[] = {"Connection", "Content-Length", "Content-Type", "Date",
                                        "Transfer-Encoding"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcasecmp(name, names[i]) == 0) return true;
    }
    return false;
}

void rt_http_reply_header(struct rt_http_request *request, const char *name, const char *value) {
    assert(request->reply == HTTP_REPLY_NONE);
    assert(rt_http_is_token(name));
    assert(!is_ours(name));
    assert(is_field_value(value));
    rt_buf_print(&request->reply_fields, "%s: %s\r\n", name, value);
}

// IMF-fixdate, as "Sat, 21 Nov 2026 03:18:05 GMT".
static void date_print(uint64_t wall_ns, char text[DATE_SIZE]) {
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t seconds = (time_t)(wall_ns / RT_NS_PER_S);
    struct tm tm = {.tm_mon = 0};
    gmtime_r(&seconds, &tm);
    snprintf(text, DATE_SIZE, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[tm.tm_wday], tm.tm_mday,
             months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

// HEADS

static const char *connection_field(const struct rt_http_request *request) {
    if (!request->keep_alive) return "Connection: close\r\n";
    return request->parser.minor == 0 ? "Connection: keep-alive\r\n" : "";
}

// The length of the body, or how its end will be known.
static void framing_print(const struct rt_http_request *request, bool no_body, size_t size,
                          char *text, size_t text_size) {
    text[0] = 0;
    if (no_body) return;
    if (size != SIZE_MAX) {
        snprintf(text, text_size, "Content-Length: %zu\r\n", size);
    } else if (request->chunked) {
        snprintf(text, text_size, "Transfer-Encoding: chunked\r\n");
    }
}

// size is SIZE_MAX where it is not known.
static void reply_head(struct rt_http_request *request, int status, const char *content_type,
                       size_t size) {
    assert(request->reply == HTTP_REPLY_NONE);
    assert(status >= 200 && status <= 599);
    assert(request->conn->phase == HTTP_ANSWERING);
    bool no_body = status == 204 || status == 304;
    request->reply = HTTP_REPLY_BEGUN;
    request->bodiless = no_body || request->is_head;
    if (request->conn->shard->closing) request->keep_alive = false;
    if (request->conn->gone) return;

    struct http_conn *conn = request->conn;
    char head[HEAD_SIZE_MAX], date[DATE_SIZE], framing[64], type[CONTENT_TYPE_MAX + 32] = "";
    date_print(rt_machine_wall_ns(rt_loop_machine(conn->shard->loop)), date);
    framing_print(request, no_body, size, framing, sizeof(framing));
    if (content_type) {
        assert(is_field_value(content_type) && strlen(content_type) <= CONTENT_TYPE_MAX);
        snprintf(type, sizeof(type), "Content-Type: %s\r\n", content_type);
    }
    int length =
        snprintf(head, sizeof(head), "HTTP/1.1 %d %s\r\nDate: %s\r\n%s%s%s", status,
                 rt_http_status_text(status), date, type, framing, connection_field(request));
    assert(length > 0 && length < HEAD_SIZE_MAX);
    rt_conn_send(&conn->stream, RT_BYTES(head, (size_t)length));
    rt_conn_send(&conn->stream, rt_buf_bytes(&request->reply_fields));
    rt_conn_send(&conn->stream, RT_BYTES_LITERAL("\r\n"));
}

// BODIES

void rt_http_reply(struct rt_http_request *request, int status, const char *content_type,
                   struct rt_bytes body) {
    reply_head(request, status, content_type, body.size);
    if (!request->conn->gone && !request->bodiless) rt_conn_send(&request->conn->stream, body);
    http_conn_replied(request);
}

void rt_http_reply_begin(struct rt_http_request *request, int status, const char *content_type) {
    request->chunked = request->parser.minor >= 1;
    if (!request->chunked) request->keep_alive = false;  // the close is the end of the body
    reply_head(request, status, content_type, SIZE_MAX);
}

bool rt_http_reply_chunk(struct rt_http_request *request, struct rt_bytes bytes) {
    struct rt_conn *stream = &request->conn->stream;
    assert(request->reply == HTTP_REPLY_BEGUN);
    if (request->conn->gone || request->bodiless) return true;
    if (bytes.size) {  // an empty chunk would be the last
        char line[24];
        int length = request->chunked ? snprintf(line, sizeof(line), "%zx\r\n", bytes.size) : 0;
        rt_conn_send(stream, RT_BYTES(line, (size_t)length));
        rt_conn_send(stream, bytes);
        if (request->chunked) rt_conn_send(stream, RT_BYTES_LITERAL("\r\n"));
    }
    request->waits_for_drain = rt_conn_is_full(stream);
    return !request->waits_for_drain;
}

void rt_http_on_drained(struct rt_http_request *request, struct rt_http_drain *drain) {
    request->drain = drain;
}

void rt_http_reply_end(struct rt_http_request *request) {
    assert(request->reply == HTTP_REPLY_BEGUN);
    bool closes_chunks = request->chunked && !request->bodiless && !request->conn->gone;
    if (closes_chunks) rt_conn_send(&request->conn->stream, RT_BYTES_LITERAL("0\r\n\r\n"));
    http_conn_replied(request);
}

void rt_http_reply_abort(struct rt_http_request *request) {
    assert(request->reply == HTTP_REPLY_BEGUN);
    request->keep_alive = false;
    request->lingers = true;  // it is closed here, not finished
    if (!request->conn->gone) rt_conn_close(&request->conn->stream, RT_ECANCELED);
    http_conn_replied(request);
}

static void json_print(struct rt_buf *out, const char *text) {
    for (; *text; text++) {
        uint8_t c = (uint8_t)*text;
        if (c == '"' || c == '\\') {
            rt_buf_print(out, "\\%c", c);
        } else if (c < ' ') {
            rt_buf_print(out, "\\u%04x", c);
        } else {
            rt_buf_append(out, RT_BYTES(text, 1));
        }
    }
}

void rt_http_reply_reason(struct rt_http_request *request, int status, const char *reason) {
    struct rt_buf body = {0};
    rt_buf_append(&body, RT_BYTES_LITERAL("{\"reason\":\""));
    json_print(&body, reason);
    rt_buf_append(&body, RT_BYTES_LITERAL("\"}"));
    rt_http_reply(request, status, "application/json", rt_buf_bytes(&body));
    rt_buf_fini(&body);
}
