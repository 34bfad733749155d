// A connection's life. What the stream says comes in here and goes to the handshake, the pipeline
// or the words; what is to be said leaves through meta_conn_reply and the event sink.
#include "meta/server/zk/conn.h"

#include <assert.h>

enum { LENGTH_SIZE = 4, SCRATCH_KEPT_MAX = 256 << 10 };

// FRAMES: a length (u32) and that many bytes; the very first may be four letters instead.

rt_err meta_conn_measure(struct rt_conn *stream, struct rt_bytes have, size_t *size) {
    struct meta_conn *conn = rt_container_of(stream, struct meta_conn, stream);
    *size = 0;
    if (have.size < LENGTH_SIZE) return RT_OK;
    struct rt_reader r = rt_reader_over(have);
    size_t length = rt_read_be32(&r);
    if (conn->state == META_CONN_NEW && meta_word_is_known((const char *)have.data)) {
        conn->is_word = true;
        length = 0;
    }
    if (length > conn->server->options.frame_size_max) return RT_ETOOBIG;
    *size = LENGTH_SIZE + length;
    return RT_OK;
}

static void word_answer(struct meta_conn *conn, struct rt_bytes word) {
    struct rt_buf text = {0};
    meta_word_answer(conn->server, (const char *)word.data, &text);
    rt_conn_send(&conn->stream, rt_buf_bytes(&text));
    rt_buf_fini(&text);
    meta_conn_finish(conn);
}

static void frame_arrived(struct rt_conn *stream, const struct rt_frame *frame) {
    struct meta_conn *conn = rt_container_of(stream, struct meta_conn, stream);
    struct rt_bytes bytes = rt_frame_bytes(frame, 0, frame->size);
    if (conn->state == META_CONN_ENDED) return;
    assert(!conn->pauses);
    conn->received++;
    conn->server->stats.received++;
    struct rt_bytes payload = rt_bytes_skip(bytes, LENGTH_SIZE);
    if (conn->is_word) {
        word_answer(conn, bytes);
    } else if (conn->state == META_CONN_NEW) {
        meta_conn_greet(conn, payload);
    } else {
        meta_conn_request(conn, payload);
    }
}

// PAUSING

void meta_conn_pause(struct meta_conn *conn, enum meta_conn_pause why) {
    conn->pauses |= (unsigned)why;
    rt_conn_pause(&conn->stream);
}

void meta_conn_unpause(struct meta_conn *conn, enum meta_conn_pause why) {
    if (!(conn->pauses & (unsigned)why)) return;
    conn->pauses &= ~(unsigned)why;
    if (!conn->pauses) rt_conn_resume(&conn->stream);
}

bool meta_conn_is_slow(const struct meta_conn *conn) {
    return (conn->pauses & META_PAUSE_FULL) || rt_conn_is_full(&conn->stream);
}

static void output_full(struct rt_conn *stream) {
    struct meta_conn *conn = rt_container_of(stream, struct meta_conn, stream);
    if (conn->state != META_CONN_ENDED) meta_conn_pause(conn, META_PAUSE_FULL);
}

static void output_drained(struct rt_conn *stream) {
    struct meta_conn *conn = rt_container_of(stream, struct meta_conn, stream);
    if (conn->state == META_CONN_ENDED) return;
    meta_conn_unpause(conn, META_PAUSE_FULL);
    meta_conn_advance(conn);
}

// REPLIES

struct rt_bytes meta_reply_frame(struct meta_server *server, const struct proto_zk_reply *reply,
                                 int32_t opcode) {
    struct rt_buf *scratch = &server->scratch;
    if (scratch->capacity > SCRATCH_KEPT_MAX) rt_buf_fini(scratch);
    rt_buf_clear(scratch);
    struct rt_writer w = rt_writer_into(scratch);
    rt_write_be32(&w, 0);
    proto_zk_reply_encode(reply, opcode, &w);
    struct rt_writer length = rt_writer_over(scratch->data, LENGTH_SIZE);
    rt_write_be32(&length, (uint32_t)(scratch->size - LENGTH_SIZE));
    return rt_buf_bytes(scratch);
}

static void latency_count(uint64_t us, uint64_t *count, uint64_t *sum, uint64_t *min,
                          uint64_t *max) {
    if (!*count || us < *min) *min = us;
    if (us > *max) *max = us;
    *sum += us;
    *count += 1;
}

void meta_conn_reply_sent(struct meta_conn *conn, const struct meta_asked *asked, int64_t zxid) {
    struct meta_server_stats *stats = &conn->server->stats;
    uint64_t now = rt_loop_now(conn->server->loop);
    uint64_t us = (now - asked->since_ns) / RT_NS_PER_US;
    conn->sent++;
    stats->sent++;
    stats->requests++;
    latency_count(us, &stats->latency_count, &stats->latency_sum_us, &stats->latency_min_us,
                  &stats->latency_max_us);
    latency_count(us, &conn->latency_count, &conn->latency_sum_us, &conn->latency_min_us,
                  &conn->latency_max_us);
    meta_server_latency_record(conn->server, asked->opcode, now - asked->since_ns);
    conn->latency_last_us = us;
    conn->last_response_ns = now;
    conn->last = *asked;
    conn->last_zxid = zxid;
}

void meta_conn_reply(struct meta_conn *conn, const struct meta_asked *asked,
                     const struct proto_zk_reply *reply) {
    rt_conn_send(&conn->stream, meta_reply_frame(conn->server, reply, asked->opcode));
    meta_conn_reply_sent(conn, asked, reply->header.zxid);
}

// THE END

static void host_leave(struct meta_server *server, struct meta_host *host) {
    if (!host || --host->count) return;
    HASH_DEL(server->hosts, host);
    rt_free(host);
}

// Leaves nothing behind that leads to the connection but its stream.
static void detach(struct meta_conn *conn) {
    struct meta_server *server = conn->server;
    if (conn->state == META_CONN_READY) HASH_DELETE(by_session, server->sessions, conn);
    conn->state = META_CONN_ENDED;
    meta_watches_drop(server->watches, &conn->watcher);
    if (conn->slow) meta_slow_read_abandon(conn->slow);
    conn->slow = NULL;
    while (!rt_list_is_empty(&conn->pending))
        meta_pending_free(rt_container_of(conn->pending.next, struct meta_pending, link));
    rt_list_remove(&conn->busy_link);
    rt_list_remove(&conn->throttled_link);
    rt_list_remove(&conn->slice_link);
    rt_list_remove(&conn->link);
    rt_buf_fini(&conn->held);
    host_leave(server, conn->host);
    conn->host = NULL;
    server->stats.connections--;
}

void meta_conn_close(struct meta_conn *conn, rt_err why) {
    if (conn->state == META_CONN_ENDED) return;
    rt_log_debug("meta", "connection closed peer=%s session=0x%llx err=%s",
                 rt_conn_peer(&conn->stream), (unsigned long long)conn->session, rt_err_name(why));
    detach(conn);
    rt_conn_close(&conn->stream, why);
}

void meta_conn_finish(struct meta_conn *conn) {
    if (conn->state == META_CONN_ENDED) return;
    detach(conn);
    rt_conn_finish(&conn->stream);
    rt_conn_resume(&conn->stream);  // what still comes is read and dropped
}

static void stream_closed(struct rt_conn *stream, rt_err why) {
    struct meta_conn *conn = rt_container_of(stream, struct meta_conn, stream);
    struct meta_server *server = conn->server;
    if (conn->state != META_CONN_ENDED) {
        rt_log_debug("meta", "connection lost peer=%s session=0x%llx err=%s", rt_conn_peer(stream),
                     (unsigned long long)conn->session, rt_err_name(why));
        detach(conn);
    }
    for (size_t i = 0; i < conn->id_count; i++) rt_free((void *)conn->ids[i].id.data);
    rt_free(conn->ids);
    rt_free(conn);
    server->conn_count--;
    meta_server_maybe_gone(server);
}

const struct rt_conn_events meta_conn_events = {
    .name = "zookeeper",
    .on_frame = frame_arrived,
    .on_closed = stream_closed,
    .on_full = output_full,
    .on_drained = output_drained,
};
