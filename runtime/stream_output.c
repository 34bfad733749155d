// Sending: a queue of slices that leaves once per turn.
//
// Small pieces are gathered in staging slabs, where the next one joins the last if it can; large
// slices are referenced. A flush gives the transport what is queued, up to its number of pieces;
// while that is on its way the rest gathers, so the busier a connection, the larger its writes.
#include <assert.h>
#include <string.h>

#include "runtime/stream_private.h"

enum {
    COPY_MAX = 4 << 10,
    RESERVE_MAX = 64 << 10,
    STAGING_MIN = RT_SLAB_1K,
    STAGING_MAX = RT_SLAB_64K,
    STAGING_STEP = 4,
    SEND_PIECES_DEFAULT = 8,
    IDLE_RING_MAX = 64
};

static bool takes_output(const struct rt_conn *conn) {
    return conn->state <= CONN_OPEN && !conn->finishing;
}

// QUEUEING

// Where `size` more bytes can be staged in one piece. The slab is used anew when nothing that is
// queued, on its way or held by an in-process peer lies in it.
static uint8_t *staging_room(struct rt_conn *conn, size_t size) {
    struct rt_conn_output *out = &conn->out;
    if (out->staging && atomic_load_explicit(&out->staging->refs, memory_order_acquire) == 1)
        out->staging_used = 0;
    if (out->staging && out->staging->capacity - out->staging_used >= size)
        return out->staging->data + out->staging_used;

    size_t capacity = STAGING_MIN;
    if (out->staging) {
        capacity = out->staging->capacity * STAGING_STEP;
        rt_slab_drop(out->staging);
    }
    if (capacity > STAGING_MAX) capacity = STAGING_MAX;
    if (capacity < size) capacity = size;
    out->staging = rt_slab_get(rt_loop_slabs(conn->loop), capacity, NULL);
    out->staging_used = 0;
    return out->staging->data;
}

static void queue_staged(struct rt_conn *conn, size_t size) {
    struct rt_conn_output *out = &conn->out;
    const uint8_t *data = out->staging->data + out->staging_used;
    if (out->queue.count > 0) {
        const struct rt_slice *last = rt_slice_queue_at(&out->queue, out->queue.count - 1);
        if (last->slab == out->staging && last->data + last->size == data) {
            rt_slice_queue_grow_last(&out->queue, size);
            out->staging_used += size;
            return;
        }
    }
    rt_slice_queue_push(&out->queue, rt_slice_of_slab(out->staging, out->staging_used, size));
    out->staging_used += size;
}

static void output_queued(struct rt_conn *conn) {
    size_t queued = conn->out.queue.bytes;
    if (queued > conn->options.out_bytes_max) {
        rt_conn_close(conn, RT_EBUSY);
        return;
    }
    if (queued > conn->options.out_high_bytes) conn->full = true;
    rt_flush_later(conn->loop, &conn->flush);
}

void rt_conn_send(struct rt_conn *conn, struct rt_bytes bytes) {
    assert(rt_loop_is_current(conn->loop));
    if (bytes.size == 0 || !takes_output(conn)) return;
    if (bytes.size > COPY_MAX) {
        struct rt_slice copy = rt_slice_copy(rt_loop_slabs(conn->loop), NULL, bytes);
        rt_slice_queue_push(&conn->out.queue, copy);
    } else {
        memcpy(staging_room(conn, bytes.size), bytes.data, bytes.size);
        queue_staged(conn, bytes.size);
    }
    output_queued(conn);
}

void rt_conn_send_slice(struct rt_conn *conn, struct rt_slice slice) {
    assert(rt_loop_is_current(conn->loop));
    if (slice.size <= COPY_MAX) {
        rt_conn_send(conn, rt_slice_bytes(slice));
        return;
    }
    if (!takes_output(conn)) return;
    rt_slice_queue_push(&conn->out.queue, rt_slice_hold(slice));
    output_queued(conn);
}

uint8_t *rt_conn_reserve(struct rt_conn *conn, size_t size) {
    assert(rt_loop_is_current(conn->loop) && size <= RESERVE_MAX);
    uint8_t *room = staging_room(conn, size);
    if (size == 0 || !takes_output(conn)) return room;
    queue_staged(conn, size);
    output_queued(conn);
    return room;
}

size_t rt_conn_queued_bytes(const struct rt_conn *conn) {
    return conn->out.queue.bytes;
}

bool rt_conn_is_full(const struct rt_conn *conn) {
    return conn->full;
}

// SENDING

static void send_some(struct rt_conn *conn) {
    struct rt_slice pieces[RT_SEND_PIECES_MAX];
    struct rt_slice_queue *queue = &conn->out.queue;
    unsigned max = conn->transport->send_pieces_max;
    if (max == 0) max = SEND_PIECES_DEFAULT;
    assert(max <= RT_SEND_PIECES_MAX);
    unsigned count = queue->count < max ? (unsigned)queue->count : max;
    for (unsigned i = 0; i < count; i++) pieces[i] = *rt_slice_queue_at(queue, i);
    conn->sending = true;
    conn->stats.out_flushes++;
    conn->out.progress_ns = rt_loop_now(conn->loop);
    rt_limits_watch(conn, conn->out.progress_ns, conn->options.stall_timeout_ms);
    conn->transport->send(conn, pieces, count);
}

static void output_flush(struct rt_flush *flush) {
    struct rt_conn *conn = rt_container_of(flush, struct rt_conn, flush);
    if (conn->full && !conn->told_full) {
        conn->told_full = true;
        if (conn->events->on_full) conn->events->on_full(conn);
    }
    if (conn->state != CONN_OPEN || conn->sending || conn->out.queue.count == 0) return;
    send_some(conn);
}

static void output_fell(struct rt_conn *conn) {
    if (!conn->full || conn->out.queue.bytes > conn->options.out_low_bytes) return;
    bool told = conn->told_full;
    conn->full = false;
    conn->told_full = false;
    if (told && conn->events->on_drained) conn->events->on_drained(conn);
}

// An idle connection keeps no memory for output.
static void output_rest(struct rt_conn_output *out) {
    if (out->queue.capacity > IDLE_RING_MAX) rt_slice_queue_clear(&out->queue);
    if (out->staging) rt_slab_drop(out->staging);
    out->staging = NULL;
}

void rt_conn_sent(struct rt_conn *conn, size_t size, rt_err err) {
    assert(conn->sending);
    conn->sending = false;
    conn->stats.out_bytes += size;
    conn->out.progress_ns = rt_loop_now(conn->loop);
    rt_slice_queue_skip(&conn->out.queue, size);
    if (conn->state != CONN_OPEN) return;
    if (err) {
        rt_conn_close(conn, err);
        return;
    }
    output_fell(conn);
    if (conn->state != CONN_OPEN) return;
    if (conn->out.queue.count > 0) {
        rt_flush_later(conn->loop, &conn->flush);
    } else {
        output_rest(&conn->out);
        if (conn->finishing) rt_conn_finished(conn);
    }
    rt_input_undelay(conn);
}

void rt_output_init(struct rt_conn *conn) {
    rt_flush_init(&conn->flush, output_flush, conn->events->name);
}

void rt_output_start(struct rt_conn *conn) {
    if (conn->out.queue.count > 0) rt_flush_later(conn->loop, &conn->flush);
}

bool rt_output_is_idle(const struct rt_conn *conn) {
    return conn->out.queue.count == 0 && !conn->sending;
}

void rt_output_fini(struct rt_conn *conn) {
    rt_slice_queue_clear(&conn->out.queue);
    if (conn->out.staging) rt_slab_drop(conn->out.staging);
    conn->out.staging = NULL;
}
