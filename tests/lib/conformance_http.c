#include "tests/lib/conformance_http.h"

#include "runtime/metrics_http.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/machine.h"

static void run_steps(struct http_run *run);

static struct http_run *run_of(const struct rt_http_request *request) {
    return rt_container_of(rt_http_owner(request), struct http_run, owner);
}

// HANDLERS

static void on_hello(struct rt_http_request *request) {
    rt_http_reply(request, 200, "text/plain", RT_BYTES_LITERAL("hello"));
}

static void on_echo(struct rt_http_request *request) {
    rt_http_reply_header(request, "X-Method", rt_http_method(request));
    rt_http_reply(request, 201, "text/plain", rt_http_body(request));
}

static const char *or_none(const char *text) {
    return text ? text : "none";
}

static void on_params(struct rt_http_request *request) {
    const char *text =
        rt_arena_print(rt_http_arena(request), "%s|%s|%s|%s|%s", rt_http_param(request, "name"),
                       rt_http_param(request, "*"), or_none(rt_http_query(request, "q")),
                       or_none(rt_http_header(request, "x-test")), rt_http_path(request));
    rt_http_reply(request, 200, "text/plain", rt_bytes_of(text));
}

static void on_nothing(struct rt_http_request *request) {
    rt_http_reply(request, 204, NULL, RT_BYTES(NULL, 0));
}

struct later {
    struct rt_timer timer;
    struct rt_http_request *request;
};

static void later_fire(struct rt_timer *timer) {
    struct later *later = rt_container_of(timer, struct later, timer);
    rt_http_reply(later->request, 200, "text/plain", RT_BYTES_LITERAL("later"));
}

static void on_later(struct rt_http_request *request) {
    struct later *later = rt_arena_alloc(rt_http_arena(request), sizeof(*later));
    later->request = request;
    rt_timer_init(&later->timer, rt_http_loop(request), later_fire, "later");
    rt_timer_after(&later->timer, RT_NS_PER_MS);
}

static void on_hold(struct rt_http_request *request) {
    struct http_run *run = run_of(request);
    assert(!run->held);
    run->held = request;
    run->held_loop = rt_http_loop(request);
    rt_post(run->loop, &run->held_task);
}

static void release(struct rt_task *task) {
    struct http_run *run = rt_container_of(task, struct http_run, release_task);
    struct rt_http_request *request = run->held;
    run->held = NULL;
    rt_http_reply(request, 200, "text/plain", RT_BYTES_LITERAL("held"));
}

// /stream?chunks=N: N chunks of 64 KiB, as fast as the peer takes them.
struct stream {
    struct rt_http_drain drain;
    struct rt_http_request *request;
    long chunks;
    bool told;
};

enum { STREAM_CHUNK_SIZE = 64 << 10 };

static void stream_continue(struct rt_http_drain *drain) {
    struct stream *stream = rt_container_of(drain, struct stream, drain);
    struct http_run *run = run_of(stream->request);
    static const uint8_t chunk[STREAM_CHUNK_SIZE];
    while (stream->chunks > 0) {
        stream->chunks--;
        if (rt_http_reply_chunk(stream->request, RT_BYTES(chunk, sizeof(chunk)))) continue;
        if (!stream->told) rt_post(run->loop, &run->stuffed_task);
        stream->told = true;
        return;
    }
    rt_http_reply_end(stream->request);
    rt_post(run->loop, &run->stream_end_task);
}

static void on_stream(struct rt_http_request *request) {
    struct stream *stream = rt_arena_zero(rt_http_arena(request), 1, sizeof(*stream));
    stream->request = request;
    stream->chunks = strtol(rt_http_query(request, "chunks"), NULL, 10);
    stream->drain.drained = stream_continue;
    rt_http_on_drained(request, &stream->drain);
    rt_http_reply_begin(request, 200, "application/octet-stream");
    stream_continue(&stream->drain);
}

static void on_pieces(struct rt_http_request *request) {
    rt_http_reply_begin(request, 200, "text/plain");
    rt_http_reply_chunk(request, RT_BYTES_LITERAL("one"));
    rt_http_reply_chunk(request, RT_BYTES_LITERAL(""));
    rt_http_reply_chunk(request, RT_BYTES_LITERAL("twenty three characters"));
    rt_http_reply_end(request);
}

static void on_big(struct rt_http_request *request) {
    static const uint8_t big[512 << 10];
    rt_http_reply(request, 200, "application/octet-stream", RT_BYTES(big, sizeof(big)));
}

static void on_count(struct rt_http_request *request) {
    const char *text = rt_arena_print(rt_http_arena(request), "%zu", rt_http_body(request).size);
    rt_http_reply(request, 200, "text/plain", rt_bytes_of(text));
}

static void on_abort(struct rt_http_request *request) {
    rt_http_reply_begin(request, 200, "text/plain");
    rt_http_reply_abort(request);
}

static const struct rt_http_route routes[] = {
    {"GET", "/hello", on_hello, "a fixed text"},
    {"*", "/echo", on_echo, "the body"},
    {"GET", "/params/:name/*", on_params, "what the request said"},
    {"DELETE", "/nothing", on_nothing, "no body"},
    {"GET", "/later", on_later, "a reply in a later turn"},
    {"GET", "/hold", on_hold, "a reply when the script says so"},
    {"GET", "/stream", on_stream, "as much as asked for"},
    {"GET", "/pieces", on_pieces, "three chunks, one of them empty"},
    {"GET", "/big", on_big, "half a MiB"},
    {"PUT", "/count", on_count, "the size of the body"},
    {"GET", "/abort", on_abort, "a reply that breaks off"},
    {"GET", "/metrics", rt_metrics_reply, "the registry"},
};

// HEARING

enum heard { HEARD_ALL, HEARD_PART, HEARD_OTHER };

// Whether a Date line starts at `at`; sets *size to its length, 0 while it is not whole.
static bool is_date(struct rt_bytes heard, size_t at, size_t *size) {
    static const char name[] = "Date: ";
    struct rt_bytes rest = rt_bytes_skip(heard, at);
    size_t known = rest.size < sizeof(name) - 1 ? rest.size : sizeof(name) - 1;
    bool at_line = at >= 2 && memcmp(heard.data + at - 2, "\r\n", 2) == 0;
    if (!at_line || !known || memcmp(rest.data, name, known) != 0) return false;
    const uint8_t *end = memmem(rest.data, rest.size, "\r\n", 2);
    *size = end ? (size_t)(end - rest.data) + 2 : 0;
    return true;
}

// Compares from *at on, leaving Date lines out; moves *at behind what was expected.
static enum heard compare(struct rt_bytes heard, size_t *at, struct rt_bytes expected) {
    for (size_t i = 0; i < expected.size;) {
        size_t date_size;
        if (*at == heard.size) return HEARD_PART;
        if (is_date(heard, *at, &date_size)) {
            if (!date_size) return HEARD_PART;
            *at += date_size;
        } else if (heard.data[(*at)++] != expected.data[i++]) {
            return HEARD_OTHER;
        }
    }
    return HEARD_ALL;
}

static void run_fail(struct http_run *run, const char *what) {
    struct rt_buf text = {0};
    http_run_describe(run, &text);
    harness_fail(&run->harness, "%s: %.*s", what, (int)text.size, (const char *)text.data);
    rt_buf_fini(&text);
    run->failed = true;
}

static struct rt_bytes heard_of(const struct http_peer *peer) {
    return rt_bytes_skip(rt_buf_bytes(&peer->heard), peer->heard_at);
}

static void forget(struct http_peer *peer, size_t size) {
    peer->heard_at += size;
    if (peer->heard_at < peer->heard.size) return;
    rt_buf_clear(&peer->heard);
    peer->heard_at = 0;
}

static bool hear(struct http_run *run, struct http_peer *peer, const struct http_step *step) {
    unsigned times = step->times ? step->times : 1;
    for (; run->repeats < times; run->repeats++) {
        size_t at = 0;
        enum heard result = compare(heard_of(peer), &at, rt_bytes_of(step->text));
        if (result == HEARD_OTHER) run_fail(run, "heard something else");
        if (result == HEARD_PART && peer->closed) run_fail(run, "closed too early");
        if (result != HEARD_ALL) return false;
        forget(peer, step->kind == HTTP_HEAR ? at : heard_of(peer).size);
    }
    run->repeats = 0;
    return true;
}

static bool hear_bytes(struct http_run *run, struct http_peer *peer, const struct http_step *step) {
    size_t missing = step->times - run->repeats;
    size_t size = heard_of(peer).size < missing ? heard_of(peer).size : missing;
    forget(peer, size);
    run->repeats += (unsigned)size;
    if (run->repeats < step->times && peer->closed) run_fail(run, "closed too early");
    if (run->repeats < step->times) return false;
    run->repeats = 0;
    return true;
}

static bool hear_close(struct http_run *run, struct http_peer *peer) {
    if (!peer->closed) return false;
    if (heard_of(peer).size) run_fail(run, "heard more before the close");
    return true;
}

// PEERS

static void peer_open(struct rt_conn *conn) {
    struct http_peer *peer = rt_container_of(conn, struct http_peer, conn);
    peer->open = true;
    run_steps(peer->run);
}

static void peer_frame(struct rt_conn *conn, const struct rt_frame *frame) {
    struct http_peer *peer = rt_container_of(conn, struct http_peer, conn);
    if (peer->heard_at) {
        struct rt_bytes left = heard_of(peer);
        memmove(peer->heard.data, left.data, left.size);
        peer->heard.size = left.size;
        peer->heard_at = 0;
    }
    rt_buf_append(&peer->heard, rt_frame_bytes(frame, 0, frame->size));
    run_steps(peer->run);
}

static void peer_closed(struct rt_conn *conn, rt_err why) {
    struct http_peer *peer = rt_container_of(conn, struct http_peer, conn);
    (void)why;  // however it ended: the script says what must have been heard before
    peer->closed = true;
    run_steps(peer->run);
}

static void peer_dial(struct http_peer *peer) {
    static const struct rt_conn_events events = {.name = "http peer",
                                                 .on_open = peer_open,
                                                 .on_frame = peer_frame,
                                                 .on_closed = peer_closed};
    static const struct rt_stream_options options = {.framing = RT_FRAMES_RAW,
                                                     .frame_timeout_ms = RT_NO_TIMEOUT,
                                                     .open_timeout_ms = RT_NO_TIMEOUT,
                                                     .stall_timeout_ms = RT_NO_TIMEOUT};
    peer->dialed = true;
    rt_conn_dial(&peer->conn, peer->run->loop, peer->run->harness.dial, &events, &options);
}

static void say(struct http_peer *peer, const struct http_step *step) {
    unsigned times = step->times ? step->times : 1;
    for (unsigned i = 0; i < times && !peer->closed; i++) {
        rt_conn_send(&peer->conn, rt_bytes_of(step->text));
    }
}

// STEPS

static void server_closed(struct rt_http_closing *closing) {
    struct http_run *run = rt_container_of(closing, struct http_run, closing);
    run->server_closed = true;
    run_steps(run);
}

static void server_close(struct http_run *run) {
    if (run->server_closing) return;
    run->server_closing = true;
    run->closing.closed = server_closed;
    rt_http_server_close(run->server, &run->closing);
}

static void pause_end(struct rt_timer *timer) {
    struct http_run *run = rt_container_of(timer, struct http_run, pause);
    run_steps(run);
}

// True once the timer, which the first call arms, has fired.
static bool pause_done(struct http_run *run, unsigned times) {
    if (run->pausing && !rt_timer_is_armed(&run->pause)) {
        run->pausing = false;
        return true;
    }
    if (!run->pausing) rt_timer_after(&run->pause, (times ? times : 1) * 2 * RT_NS_PER_MS);
    run->pausing = true;
    return false;
}

// Carries a step out; false while it has to wait.
static bool step_done(struct http_run *run, const struct http_step *step) {
    struct http_peer *peer = &run->peers[step->peer];
    if (!peer->dialed) peer_dial(peer);
    if (!peer->open && !peer->closed) return false;
    switch (step->kind) {
    case HTTP_SAY: say(peer, step); return true;
    case HTTP_HEAR:
    case HTTP_HEAR_START: return hear(run, peer, step);
    case HTTP_HEAR_BYTES: return hear_bytes(run, peer, step);
    case HTTP_HEAR_CLOSE: return hear_close(run, peer);
    case HTTP_HANG_UP: rt_conn_close(&peer->conn, RT_OK); return true;
    case HTTP_PAUSE: return pause_done(run, step->times);
    case HTTP_STILL_OPEN:
        if (peer->closed) run_fail(run, "closed too early");
        return true;
    case HTTP_HELD_BACK:
        if (rt_conn_queued_bytes(&peer->conn) == 0) run_fail(run, "was not held back");
        return true;
    case HTTP_DEAF: rt_conn_pause(&peer->conn); return true;
    case HTTP_LISTEN: rt_conn_resume(&peer->conn); return true;
    case HTTP_HELD: return run->held_seen;
    case HTTP_RELEASE: rt_post(run->held_loop, &run->release_task); return true;
    case HTTP_STUFFED: return run->stuffed_seen;
    case HTTP_STREAM_END: return run->stream_end_seen;
    case HTTP_CLOSE: server_close(run); return true;
    case HTTP_CLOSED: return run->server_closed;
    case HTTP_STEP_END: break;
    }
    return false;
}

// After the script: everything is closed, then the run has ended.
static void run_wrap_up(struct http_run *run) {
    bool all_closed = true;
    for (unsigned i = 0; i < HTTP_PEERS; i++) {
        struct http_peer *peer = &run->peers[i];
        if (!peer->dialed || peer->closed) continue;
        rt_conn_close(&peer->conn, RT_OK);
        all_closed = false;
    }
    server_close(run);
    if (!all_closed || !run->server_closed || run->ended) return;
    run->ended = true;
    for (unsigned i = 0; i < HTTP_PEERS; i++) rt_buf_fini(&run->peers[i].heard);
    harness_end(&run->harness);
}

static void run_steps(struct http_run *run) {
    const struct http_step *steps = run->talk->steps;
    while (!run->failed && steps[run->step].kind != HTTP_STEP_END) {
        if (!step_done(run, &steps[run->step])) return;
        run->step++;
    }
    if (!run->failed) run_wrap_up(run);
}

// LIFE

static void on_held(struct rt_task *task) {
    struct http_run *run = rt_container_of(task, struct http_run, held_task);
    run->held_seen = true;
    run_steps(run);
}

static void on_stuffed(struct rt_task *task) {
    struct http_run *run = rt_container_of(task, struct http_run, stuffed_task);
    run->stuffed_seen = true;
    run_steps(run);
}

static void on_stream_end(struct rt_task *task) {
    struct http_run *run = rt_container_of(task, struct http_run, stream_end_task);
    run->stream_end_seen = true;
    run_steps(run);
}

static void on_start(struct harness *harness, struct rt_loop *loop) {
    struct http_run *run = rt_container_of(harness, struct http_run, harness);
    struct rt_http_options options = run->talk->options;
    struct rt_why why = {0};
    options.owner = &run->owner;
    run->loop = loop;
    rt_timer_init(&run->pause, loop, pause_end, "http run pause");
    rt_err err =
        rt_http_server_open(loop, harness->listen, routes, sizeof(routes) / sizeof(routes[0]),
                            &options, &run->server, &why);
    if (err) {
        harness_fail(harness, "%s", why.text);
        return;
    }
    harness_ready(harness, rt_http_server_port(run->server));
    run_steps(run);
}

void http_run_set(struct http_run *run, const struct http_talk *talk) {
    run->harness.place = HARNESS_TWO_LOOPS;
    run->harness.sides[0].start = on_start;
    run->talk = talk;
    for (unsigned i = 0; i < HTTP_PEERS; i++) run->peers[i].run = run;
    rt_task_init(&run->held_task, on_held, "http run held");
    rt_task_init(&run->release_task, release, "http run release");
    rt_task_init(&run->stuffed_task, on_stuffed, "http run stuffed");
    rt_task_init(&run->stream_end_task, on_stream_end, "http run stream end");
}

void http_run_describe(const struct http_run *run, struct rt_buf *out) {
    rt_buf_print(out, "talk \"%s\", step %u", run->talk->name, run->step);
    for (unsigned i = 0; i < HTTP_PEERS; i++) {
        const struct http_peer *peer = &run->peers[i];
        if (!peer->dialed) continue;
        struct rt_bytes heard = rt_bytes_skip(rt_buf_bytes(&peer->heard), peer->heard_at);
        rt_buf_print(out, ", peer %u%s heard \"%.*s\"", i, peer->closed ? " (closed)" : "",
                     (int)(heard.size < 400 ? heard.size : 400), (const char *)heard.data);
    }
}
