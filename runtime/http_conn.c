#include "runtime/http_conn.h"

#include <assert.h>
#include <string.h>

static void conn_become(struct http_conn *conn, enum http_phase next) {
    static const unsigned legal_moves[] = {
        [HTTP_IDLE] = 1u << HTTP_READING | 1u << HTTP_LEAVING,
        [HTTP_READING] = 1u << HTTP_ANSWERING | 1u << HTTP_LEAVING,
        [HTTP_ANSWERING] = 1u << HTTP_IDLE | 1u << HTTP_LEAVING,
        [HTTP_LEAVING] = 0,
    };
    assert(legal_moves[conn->phase] & 1u << next);
    conn->phase = next;
}

static struct rt_budget *conn_budget(const struct http_conn *conn) {
    return &rt_loop_machine(conn->shard->loop)->budget;
}

// REQUESTS

static void request_start(struct http_conn *conn) {
    struct rt_http_request *request = rt_alloc(sizeof(*request));
    *request = (struct rt_http_request){.conn = conn, .since_ns = rt_loop_now(conn->shard->loop)};
    rt_http_parser_init(&request->parser, conn->shard->server->options.body_size_max);
    conn->request = request;
    conn_become(conn, HTTP_READING);
}

static void request_free(struct rt_http_request *request) {
    if (request->charged_bytes)
        rt_budget_release(conn_budget(request->conn), request->charged_bytes);
    rt_http_parser_fini(&request->parser);
    rt_arena_fini(&request->arena);
    rt_buf_fini(&request->reply_fields);
    request->conn->request = NULL;
    rt_free(request);
}

static bool request_charge(struct rt_http_request *request) {
    size_t held = sizeof(*request) + request->parser.head.capacity + request->parser.body.capacity;
    assert(held >= request->charged_bytes);
    size_t more = held - request->charged_bytes;
    if (more && !rt_budget_try_charge(conn_budget(request->conn), more)) return false;
    request->charged_bytes = held;
    return true;
}

static void request_run(struct rt_http_request *request) {
    struct http_conn *conn = request->conn;
    const struct rt_http_parser *p = &request->parser;
    const char *method = rt_http_parser_method(p);
    struct rt_http_match match = rt_http_router_find(conn->shard->server->router, method,
                                                     rt_http_parser_path(p), &request->arena);
    conn_become(conn, HTTP_ANSWERING);
    request->is_head = strcmp(method, "HEAD") == 0;
    request->keep_alive = rt_http_parser_keeps_alive(p);
    request->route = match.route;
    if (match.route) {
        match.route->run(request);
        return;
    }
    if (match.allow) rt_http_reply_header(request, "Allow", match.allow);
    rt_http_reply_reason(request, match.status,
                         match.status == 404 ? "there is nothing under this path"
                                             : "this path does not know this method");
}

// Answers a request that could not be read, and takes no other from this connection. Unless all
// that the peer sent was read, its close is awaited: closing first could destroy the reply on its
// way.
static void request_refuse(struct rt_http_request *request, int status, const char *reason) {
    const struct rt_http_parser *p = &request->parser;
    conn_become(request->conn, HTTP_ANSWERING);
    request->is_head = p->has_method && strcmp(rt_http_parser_method(p), "HEAD") == 0;
    request->keep_alive = false;
    request->lingers = p->has_head || (status != 400 && status != 408);
    rt_log_debug("http", "request refused peer=%s status=%d reason=\"%s\"",
                 rt_conn_peer(&request->conn->stream), status, reason);
    rt_http_reply_reason(request, status, reason);
}

static void request_step(struct rt_http_request *request) {
    const struct rt_http_parser *p = &request->parser;
    if (p->state == RT_HTTP_FAILED) {
        request_refuse(request, p->status, p->problem);
    } else if (!request_charge(request)) {
        request_refuse(request, 503, "the server is out of memory for requests; retry later");
    } else if (p->state == RT_HTTP_COMPLETE) {
        request_run(request);
    } else if (p->has_head && p->expects_continue && !request->continued) {
        request->continued = true;
        if (p->body.size) return;  // it is coming already
        rt_conn_send(&request->conn->stream, RT_BYTES_LITERAL("HTTP/1.1 100 Continue\r\n\r\n"));
    }
}

// INPUT

static bool conn_takes_input(const struct http_conn *conn) {
    if (conn->gone || rt_conn_is_full(&conn->stream)) return false;
    return conn->phase == HTTP_IDLE || conn->phase == HTTP_READING;
}

// Parses and runs requests until one is being answered; returns what is left.
static struct rt_bytes conn_consume(struct http_conn *conn, struct rt_bytes in) {
    assert(!conn->consuming);
    conn->consuming = true;  // replies come back into http_conn_replied from here
    for (unsigned count = 0; count < HTTP_REQUESTS_PER_TURN; count++) {
        if (in.size == 0 || !conn_takes_input(conn)) break;
        if (conn->phase == HTTP_IDLE) request_start(conn);
        in = rt_bytes_skip(in, rt_http_parser_feed(&conn->request->parser, in));
        request_step(conn->request);
    }
    conn->consuming = false;
    return in;
}

static void pending_clear(struct http_conn *conn) {
    if (conn->pending_charged) rt_budget_release(conn_budget(conn), conn->pending_charged);
    rt_buf_fini(&conn->pending);
    conn->pending_at = conn->pending_charged = 0;
}

static void pending_add(struct http_conn *conn, struct rt_bytes bytes) {
    struct rt_buf *pending = &conn->pending;
    if (conn->pending_at) {
        pending->size -= conn->pending_at;
        memmove(pending->data, pending->data + conn->pending_at, pending->size);
        conn->pending_at = 0;
    }
    rt_buf_append(pending, bytes);
    // What was read must be kept, so the budget may be exceeded; the stream then stops reading.
    rt_budget_charge(conn_budget(conn), pending->capacity - conn->pending_charged);
    conn->pending_charged = pending->capacity;
}

static struct rt_bytes pending_bytes(const struct http_conn *conn) {
    return rt_bytes_skip(rt_buf_bytes(&conn->pending), conn->pending_at);
}

static void conn_pump_later(struct http_conn *conn) {
    if (conn->pump_queued || conn->gone || pending_bytes(conn).size == 0) return;
    conn->pump_queued = true;
    rt_defer(conn->shard->loop, &conn->pump);
}

// TIME

static void conn_arm(struct http_conn *conn, uint64_t deadline_ns) {
    conn->deadline_ns = deadline_ns;
    if (deadline_ns == UINT64_MAX)
        return;  // an armed timer fires, sees that, and is not armed again
    if (rt_timer_is_armed(&conn->timer) && conn->timer_ns <= deadline_ns) return;
    conn->timer_ns = deadline_ns;
    rt_timer_at(&conn->timer, deadline_ns);
}

// Nothing more is expected of the peer: it closes when the queued output has left.
static void conn_finish(struct http_conn *conn) {
    assert(conn->phase == HTTP_LEAVING);
    conn_arm(conn, UINT64_MAX);
    rt_conn_finish(&conn->stream);
}

// Called after every step: by what time must the peer have done its next one?
static void conn_watch(struct http_conn *conn) {
    uint64_t now = rt_loop_now(conn->shard->loop);
    switch (conn->phase) {
    case HTTP_IDLE:
        conn_arm(conn, now + conn->shard->server->options.idle_timeout_ms * RT_NS_PER_MS);
        break;
    case HTTP_READING:
        conn_arm(conn, HTTP_PROGRESS_NS +
                           (conn->request->parser.has_head ? now : conn->request->since_ns));
        break;
    case HTTP_ANSWERING: conn_arm(conn, UINT64_MAX); break;
    case HTTP_LEAVING: conn_arm(conn, now + HTTP_LINGER_NS); break;
    }
}

static void on_timer(struct rt_timer *timer) {
    struct http_conn *conn = rt_container_of(timer, struct http_conn, timer);
    uint64_t now = rt_loop_now(conn->shard->loop);
    assert(!conn->gone);
    if (conn->phase == HTTP_READING && rt_conn_is_full(&conn->stream)) {
        conn->deadline_ns = now + HTTP_PROGRESS_NS;  // it is us who do not read
    }
    if (now < conn->deadline_ns) {
        conn_arm(conn, conn->deadline_ns);
    } else if (conn->phase == HTTP_READING) {
        request_refuse(conn->request, 408, "the request did not arrive in time");
    } else {
        if (conn->phase == HTTP_IDLE) conn_become(conn, HTTP_LEAVING);
        conn_finish(conn);
    }
}

// After input was consumed or a reply was given: hold the peer back or let it send, and go on.
static void conn_settle(struct http_conn *conn) {
    size_t waiting = pending_bytes(conn).size;
    if (waiting == 0) pending_clear(conn);
    bool pause = waiting > HTTP_PENDING_MAX;
    if (pause != conn->paused) {
        conn->paused = pause;
        if (pause) {
            rt_conn_pause(&conn->stream);
        } else {
            rt_conn_resume(&conn->stream);
        }
    }
    if (conn_takes_input(conn)) conn_pump_later(conn);
    conn_watch(conn);
}

// LIFE

static void conn_release(struct http_conn *conn) {
    assert(conn->gone);
    if (conn->phase == HTTP_ANSWERING || conn->pump_queued) return;
    struct http_shard *shard = conn->shard;
    if (conn->request) request_free(conn->request);
    pending_clear(conn);
    rt_list_remove(&conn->link);
    rt_free(conn);
    http_server_conn_freed(shard);
}

static void on_pump(struct rt_task *task) {
    struct http_conn *conn = rt_container_of(task, struct http_conn, pump);
    conn->pump_queued = false;
    if (conn->gone) {
        conn_release(conn);
        return;
    }
    struct rt_bytes in = pending_bytes(conn);
    size_t left = conn_consume(conn, in).size;
    conn->pending_at += in.size - left;
    if (conn->phase == HTTP_LEAVING) {
        pending_clear(conn);
    } else {
        conn_settle(conn);
    }
}

static void on_frame(struct rt_conn *stream, const struct rt_frame *frame) {
    struct http_conn *conn = rt_container_of(stream, struct http_conn, stream);
    for (unsigned i = 0; i < frame->piece_count && conn->phase != HTTP_LEAVING; i++) {
        struct rt_bytes bytes = rt_slice_bytes(frame->pieces[i]);
        if (pending_bytes(conn).size == 0) bytes = conn_consume(conn, bytes);
        if (bytes.size && conn->phase != HTTP_LEAVING) pending_add(conn, bytes);
    }
    if (conn->phase != HTTP_LEAVING) conn_settle(conn);
}

static void request_drained(struct rt_http_request *request) {
    if (!request || !request->waits_for_drain) return;
    request->waits_for_drain = false;
    if (request->drain) request->drain->drained(request->drain);  // may reply: request is gone then
}

static void on_drained(struct rt_conn *stream) {
    struct http_conn *conn = rt_container_of(stream, struct http_conn, stream);
    request_drained(conn->request);
    if (conn->phase != HTTP_LEAVING) conn_settle(conn);
}

static void on_closed(struct rt_conn *stream, rt_err why) {
    struct http_conn *conn = rt_container_of(stream, struct http_conn, stream);
    if (why) {
        rt_log_debug("http", "connection lost peer=%s err=%s", rt_conn_peer(stream),
                     rt_err_name(why));
    }
    assert(!conn->consuming);
    rt_timer_cancel(&conn->timer);
    conn->gone = true;
    if (conn->phase == HTTP_ANSWERING && conn->request->waits_for_drain) {
        request_drained(conn->request);  // may reply, and so free both
        return;
    }
    conn_release(conn);
}

void http_conn_accept(struct http_shard *shard, struct rt_incoming *incoming) {
    static const struct rt_conn_events events = {
        .name = "http", .on_frame = on_frame, .on_closed = on_closed, .on_drained = on_drained};
    struct rt_stream_options options = {.framing = RT_FRAMES_RAW,
                                        .frame_size_max = HTTP_RECEIVE_MAX,
                                        .frame_timeout_ms = RT_NO_TIMEOUT,
                                        .tls = shard->server->options.tls};
    struct http_conn *conn = RT_NEW(struct http_conn);
    conn->shard = shard;
    conn->phase = HTTP_IDLE;
    rt_list_push_back(&shard->conns, &conn->link);
    rt_task_init(&conn->pump, on_pump, "http pump");
    rt_timer_init(&conn->timer, shard->loop, on_timer, "http timer");
    rt_conn_accept(&conn->stream, shard->loop, incoming, &events, &options);
    conn_watch(conn);
}

void http_conn_leave(struct http_conn *conn) {
    if (conn->gone || conn->phase == HTTP_ANSWERING) return;  // replied, it sees that we close
    if (conn->request) request_free(conn->request);
    if (conn->phase != HTTP_LEAVING) conn_become(conn, HTTP_LEAVING);
    pending_clear(conn);
    conn_finish(conn);
}

void http_conn_replied(struct rt_http_request *request) {
    struct http_conn *conn = request->conn;
    bool lingers = request->lingers && !conn->shard->closing;
    bool stays = request->keep_alive && !conn->shard->closing;
    request_free(request);
    conn_become(conn, stays ? HTTP_IDLE : HTTP_LEAVING);
    if (conn->gone) {
        conn_release(conn);
        return;
    }
    if (stays) {
        if (!conn->consuming) conn_settle(conn);
        return;
    }
    if (!conn->consuming) pending_clear(conn);
    if (!lingers) {
        conn_finish(conn);
        return;
    }
    if (conn->paused) rt_conn_resume(&conn->stream);
    conn->paused = false;
    conn_watch(conn);
}
