// A connection: packets become calls, calls become answers, and it is not read while it has enough
// of either.
#include "bookie/server/protocol/conn.h"

#include <assert.h>

enum {
    READING_BYTES_MAX = 8 << 20,  // a read over it waits, unless it is alone
    READING_BYTES_LOW = 4 << 20
};

// PAUSING

void bookie_conn_pause(struct bookie_conn *conn, enum conn_pause why) {
    conn->pauses |= (unsigned)why;
    rt_conn_pause(&conn->stream);
}

void bookie_conn_unpause(struct bookie_conn *conn, enum conn_pause why) {
    if (!(conn->pauses & (unsigned)why)) return;
    conn->pauses &= ~(unsigned)why;
    if (!conn->pauses) rt_conn_resume(&conn->stream);
}

static void output_full(struct rt_conn *stream) {
    bookie_conn_pause(rt_container_of(stream, struct bookie_conn, stream), PAUSE_OUTPUT);
}

static void output_drained(struct rt_conn *stream) {
    bookie_conn_unpause(rt_container_of(stream, struct bookie_conn, stream), PAUSE_OUTPUT);
}

// What the answer of a read may be, as far as one can tell before.
static size_t read_size(const struct bookie_conn *conn, const struct proto_bk_request *request) {
    size_t max = conn->server->options.frame_size_max;
    if (request->kind == PROTO_BK_LIST_ENTRIES) return max;
    if (request->kind != PROTO_BK_BATCH_READ) return conn->entry_size;
    size_t size = max;
    if (request->size_max < (int64_t)max)
        size = request->size_max > 0 ? (size_t)request->size_max : 0;
    int32_t count = request->count_max;
    if (count > 0 && (size_t)count < size / conn->entry_size)
        size = (size_t)count * conn->entry_size;
    return size > conn->entry_size ? size : conn->entry_size;
}

static bool is_read(enum proto_bk_kind kind) {
    return kind == PROTO_BK_READ || kind == PROTO_BK_BATCH_READ || kind == PROTO_BK_READ_LAC ||
           kind == PROTO_BK_LIST_ENTRIES;
}

// Behind each packet: whether the next one has to wait.
static void look_around(struct bookie_conn *conn) {
    struct bookie_server *server = conn->server;
    if (conn->is_over) return;
    if (conn->call_count >= server->options.calls_per_conn_max)
        bookie_conn_pause(conn, PAUSE_CALLS);
    if (conn->reading_bytes >= READING_BYTES_MAX) bookie_conn_pause(conn, PAUSE_READS);
    if (rt_conn_is_full(&conn->stream)) bookie_conn_pause(conn, PAUSE_OUTPUT);
    if (server->is_congested && !(conn->pauses & (unsigned)PAUSE_CONGESTED)) {
        bookie_conn_pause(conn, PAUSE_CONGESTED);
        rt_list_push_back(&server->congested, &conn->congested_link);
    }
}

// CALLS

static void maybe_gone(struct bookie_conn *conn) {
    struct bookie_server *server = conn->server;
    if (conn->call_count) return;
    if (!conn->is_over) {
        if (!server->closed) return;
        rt_conn_finish(&conn->stream);
        rt_conn_resume(&conn->stream);  // what still comes is read and dropped
        return;
    }
    rt_free(conn);
    server->conn_count--;
    bookie_server_maybe_closed(server);
}

static void call_over(struct conn_call *own) {
    struct bookie_conn *conn = own->conn;
    struct bookie_server *server = conn->server;
    conn->call_count--;
    conn->reading_bytes -= own->reserved;
    bookie_call_fini(&own->call);
    bookie_server_call_give(server, own);
    if (!conn->is_over) {
        if (conn->call_count < server->options.calls_per_conn_max)
            bookie_conn_unpause(conn, PAUSE_CALLS);
        if (conn->reading_bytes <= READING_BYTES_LOW) bookie_conn_unpause(conn, PAUSE_READS);
    }
    maybe_gone(conn);
}

static void call_done(struct bookie_call *call) {
    struct conn_call *own = rt_container_of(call, struct conn_call, call);
    if (!own->conn->is_over) bookie_conn_answer(own->conn, call);
    call_over(own);
}

static void call_start(struct bookie_conn *conn, struct conn_call *own) {
    struct bookie_call *call = &own->call;
    call->done = call_done;
    call->since_ns = rt_loop_now(conn->server->loop);
    conn->call_count++;
    own->reserved = is_read(call->request.kind) ? read_size(conn, &call->request) : 0;
    conn->reading_bytes += own->reserved;
    if (!bookie_core_call(conn->server->core, call)) return;
    bookie_conn_answer(conn, call);
    call_over(own);
}

// PACKETS

static void undecodable(struct bookie_conn *conn, rt_err err) {
    struct bookie_server *server = conn->server;
    server->stats.protocol_errors++;
    if (rt_log_allows(&server->log_limit, "bookie"))
        rt_log_warn("bookie", "connection closed, its packet is no request peer=%s err=%s",
                    rt_conn_peer(&conn->stream), rt_err_name(err));
    rt_conn_close(&conn->stream, err);
}

static void packet_arrived(struct bookie_conn *conn, struct rt_slice packet) {
    struct bookie_server *server = conn->server;
    struct conn_call *own = bookie_server_call_take(server, conn);
    rt_err err = proto_bk_request_decode(rt_slice_bytes(packet), &own->call.request);
    if (err || bookie_conn_answer_alone(conn, &own->call.request)) {
        bookie_server_call_give(server, own);
        if (err) undecodable(conn, err);
        return;
    }
    own->call.frame = packet;
    call_start(conn, own);
}

static void frame_arrived(struct rt_conn *stream, const struct rt_frame *frame) {
    struct bookie_conn *conn = rt_container_of(stream, struct bookie_conn, stream);
    struct bookie_server *server = conn->server;
    assert(!conn->is_over && !conn->pauses);
    server->stats.requests++;
    server->stats.bytes_in += frame->size + sizeof(uint32_t);
    if (frame->piece_count == 1) {
        struct rt_bytes bytes = rt_frame_bytes(frame, 0, frame->size);
        packet_arrived(conn, (struct rt_slice){frame->pieces[0].slab, bytes.data, bytes.size});
    } else {
        struct rt_slice packet = rt_frame_slice(frame, 0, frame->size);
        packet_arrived(conn, packet);
        rt_slice_drop(&packet);
    }
    look_around(conn);
}

// THE END

static bool is_long_poll(const struct bookie_call *call) {
    return call->request.kind == PROTO_BK_READ &&
           (call->request.flags & (unsigned)PROTO_BK_HAS_TIMEOUT);
}

void bookie_conn_wind_down(struct bookie_conn *conn) {
    bookie_conn_pause(conn, PAUSE_CLOSING);
    rt_list_each (node, &conn->calls) {
        struct conn_call *own = rt_container_of(node, struct conn_call, link);
        if (is_long_poll(&own->call)) bookie_core_abandon(conn->server->core, &own->call);
    }
    maybe_gone(conn);
}

static void stream_closed(struct rt_conn *stream, rt_err why) {
    struct bookie_conn *conn = rt_container_of(stream, struct bookie_conn, stream);
    struct bookie_server *server = conn->server;
    if (why == RT_ETOOBIG) {
        server->stats.protocol_errors++;
        if (rt_log_allows(&server->log_limit, "bookie"))
            rt_log_warn("bookie", "connection closed, its packet is too large peer=%s max=%zu",
                        rt_conn_peer(stream), server->options.frame_size_max);
    }
    conn->is_over = true;
    server->stats.connections--;
    rt_list_remove(&conn->link);
    rt_list_remove(&conn->congested_link);
    rt_list_each (node, &conn->calls)
        bookie_core_abandon(server->core, &rt_container_of(node, struct conn_call, link)->call);
    maybe_gone(conn);
}

const struct rt_conn_events bookie_conn_events = {
    .name = "bookkeeper",
    .on_frame = frame_arrived,
    .on_closed = stream_closed,
    .on_full = output_full,
    .on_drained = output_drained,
};
