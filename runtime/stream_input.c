// Receiving: slabs that adapt to the peer, and frames cut out of them.
//
// An idle connection waits with a kilobyte. One that fills what it is given gets four times as
// much, up to 256 KiB; eight receives in a row that hardly use theirs, or five seconds of silence,
// take it back. A frame always lies in one piece: when the slab's rest is too short for it, the
// part that came moves to a slab with room for all of it.
//
// The length that a peer announces buys memory only as far as it was earned: 64 KiB, what the
// connection uses anyway, twice the largest frame it has completed, or sixteen times what came of
// this frame, whichever is most. So a megabyte that never comes costs us 64 KiB.
#include <assert.h>
#include <string.h>

#include "runtime/stream_private.h"

enum {
    RECEIVE_MIN = RT_SLAB_1K,
    RECEIVE_MAX = RT_SLAB_256K,
    RECEIVE_MAX_SCARCE = RT_SLAB_4K,  // while more than half of the budget is used
    RECEIVE_STEP = 4,
    SMALL_RECEIVES = 8,
    SMALL_SHARE = 16,
    REST_MIN = 256,
    UNEARNED_MAX = RT_SLAB_64K,
    EARNED_FACTOR = 16,
    BE32_SIZE = 4,
    MEASURE_MAX = 64,
    TURN_FRAMES = 1024,
    TURN_BYTES = 256 << 10,
    RECEIVE_DELAY_MS = 100
};

static const uint64_t idle_ms = 5000;

void rt_input_init(struct rt_conn *conn) {
    conn->in.receive_size = RECEIVE_MIN;
    conn->in.open_since_ns = rt_loop_now(conn->loop);
    conn->in.active_ns = conn->in.open_since_ns;
    rt_input_budget_init(conn);
}

void rt_input_fini(struct rt_conn *conn) {
    if (conn->in.slab) rt_slab_drop(conn->in.slab);
    conn->in.slab = NULL;
    rt_slice_queue_clear(&conn->in.queue);
}

void rt_input_restart_clocks(struct rt_conn *conn) {
    uint64_t now = rt_loop_now(conn->loop);
    if (!conn->saw_frame) {
        conn->in.open_since_ns = now;
        rt_limits_watch(conn, now, conn->options.open_timeout_ms);
    }
    if (conn->in.frame_since_ns != 0) {
        conn->in.frame_since_ns = now;
        rt_limits_watch(conn, now, conn->options.frame_timeout_ms);
    }
}

static size_t unread_size(const struct rt_conn *conn) {
    const struct rt_conn_input *in = &conn->in;
    return conn->transport->by_reference ? in->queue.bytes : in->end - in->start;
}

static void consume(struct rt_conn *conn, size_t size) {
    if (conn->transport->by_reference)
        rt_slice_queue_skip(&conn->in.queue, size);
    else
        conn->in.start += size;
}

// FRAMES

// The bytes at the frame's start, in one piece; from pieces at most MEASURE_MAX, copied to `copy`.
static struct rt_bytes frame_head(const struct rt_conn *conn, uint8_t *copy) {
    const struct rt_conn_input *in = &conn->in;
    if (!conn->transport->by_reference)
        return RT_BYTES(in->slab->data + in->start, in->end - in->start);
    const struct rt_slice *first = rt_slice_queue_at(&in->queue, 0);
    size_t size = in->queue.bytes < MEASURE_MAX ? in->queue.bytes : MEASURE_MAX;
    if (first->size >= size) return rt_slice_bytes(*first);
    rt_slice_queue_copy(&in->queue, 0, size, copy);
    return RT_BYTES(copy, size);
}

static rt_err be32_size(struct rt_conn *conn, struct rt_bytes head, size_t *size) {
    struct rt_reader r = rt_reader_over(head);
    uint32_t length = rt_read_be32(&r);
    if (rt_reader_failed(&r)) return RT_OK;
    if (length > conn->options.frame_size_max) return RT_ETOOBIG;
    *size = (size_t)BE32_SIZE + length;
    return RT_OK;
}

static rt_err measured_size(struct rt_conn *conn, struct rt_bytes head, size_t *size) {
    rt_err err = conn->options.measure(conn, head, size);
    if (err) return err;
    if (*size == 0 && head.size >= MEASURE_MAX) return RT_EPROTO;
    return *size > conn->options.frame_size_max ? RT_ETOOBIG : RT_OK;
}

// As much as came, but not more than fits the pieces of one frame.
static size_t raw_size(const struct rt_conn *conn) {
    size_t size = unread_size(conn);
    if (conn->transport->by_reference && conn->in.queue.count > RT_FRAME_PIECES_MAX) {
        size = 0;
        for (size_t i = 0; i < RT_FRAME_PIECES_MAX; i++)
            size += rt_slice_queue_at(&conn->in.queue, i)->size;
    }
    return size < conn->options.frame_size_max ? size : conn->options.frame_size_max;
}

// Finds out how long the frame at the start is; in.frame_size stays 0 while that is not known.
static rt_err frame_measure(struct rt_conn *conn) {
    if (conn->in.frame_size != 0 || unread_size(conn) == 0) return RT_OK;
    uint8_t copy[MEASURE_MAX];
    switch (conn->options.framing) {
    case RT_FRAMES_BE32: return be32_size(conn, frame_head(conn, copy), &conn->in.frame_size);
    case RT_FRAMES_MEASURED:
        return measured_size(conn, frame_head(conn, copy), &conn->in.frame_size);
    case RT_FRAMES_RAW: conn->in.frame_size = raw_size(conn); return RT_OK;
    }
    return RT_EINVAL;
}

// Copies a frame that came in more pieces than a frame may have.
static struct rt_slice frame_flatten(struct rt_conn *conn, size_t offset, size_t size) {
    struct rt_slab *slab = rt_slab_get(rt_loop_slabs(conn->loop), size, conn->options.budget);
    rt_slice_queue_copy(&conn->in.queue, offset, size, slab->data);
    return (struct rt_slice){.slab = slab, .data = slab->data, .size = size};
}

static void frame_deliver(struct rt_conn *conn) {
    struct rt_conn_input *in = &conn->in;
    struct rt_slice pieces[RT_FRAME_PIECES_MAX], flat = {0};
    struct rt_slab *scratch = NULL;
    size_t whole = in->frame_size;
    size_t prefix = conn->options.framing == RT_FRAMES_BE32 ? BE32_SIZE : 0;
    struct rt_frame frame = {.size = whole - prefix,
                             .piece_count = 1,
                             .pieces = pieces,
                             .loop = conn->loop,
                             .scratch = &scratch};
    if (conn->transport->by_reference) {
        frame.piece_count =
            rt_slice_queue_cover(&in->queue, prefix, frame.size, pieces, RT_FRAME_PIECES_MAX);
        if (frame.piece_count > RT_FRAME_PIECES_MAX) {
            flat = frame_flatten(conn, prefix, frame.size);
            pieces[0] = flat;
            frame.piece_count = 1;
        }
    } else {
        pieces[0] = (struct rt_slice){in->slab, in->slab->data + in->start + prefix, frame.size};
    }
    in->frame_size = 0;
    in->frame_since_ns = 0;
    if (whole > in->frame_size_seen) in->frame_size_seen = whole;
    conn->saw_frame = true;
    conn->stats.in_frames++;

    conn->events->on_frame(conn, &frame);

    rt_frame_scratch_drop(&scratch);
    rt_slice_drop(&flat);
    consume(conn, whole);
    if (conn->overdraws) conn->overdraft_spent = true;
}

// After rt_conn_finish the peer is read only so that it does not block while it reads us.
static void discard(struct rt_conn *conn) {
    consume(conn, unread_size(conn));
    conn->in.frame_size = 0;
    conn->in.frame_since_ns = 0;
}

// True when more bytes are needed to go on.
static bool deliver(struct rt_conn *conn) {
    size_t frames = 0, bytes = 0;
    for (;;) {
        if (conn->state != CONN_OPEN) return false;
        if (conn->finishing) {
            discard(conn);
            return true;
        }
        if (conn->paused) return unread_size(conn) == 0 && conn->ended;
        rt_err err = frame_measure(conn);
        if (err) {
            rt_conn_close(conn, err);
            return false;
        }
        size_t size = conn->in.frame_size;
        if (size == 0 || unread_size(conn) < size) break;
        if (frames == TURN_FRAMES || bytes >= TURN_BYTES) {
            rt_conn_continue_later(conn);
            return false;
        }
        frames++;
        bytes += size;
        frame_deliver(conn);
    }
    if (unread_size(conn) > 0 && conn->in.frame_since_ns == 0) {
        conn->in.frame_since_ns = rt_loop_now(conn->loop);
        rt_limits_watch(conn, conn->in.frame_since_ns, conn->options.frame_timeout_ms);
    }
    return true;
}

// MEMORY

static size_t earned_size(const struct rt_conn_input *in) {
    size_t earned = UNEARNED_MAX;
    if (in->receive_size > earned) earned = in->receive_size;
    if (in->frame_size_seen > earned / 2) earned = in->frame_size_seen * 2;
    return earned;
}

static bool slab_is_ours_alone(const struct rt_slab *slab) {
    return atomic_load_explicit(&slab->refs, memory_order_acquire) == 1;
}

// Whether the slab at hand is good for the next receive.
static bool slab_serves(const struct rt_conn_input *in) {
    if (!in->slab || in->end == in->slab->capacity) return false;
    size_t capacity = in->slab->capacity;
    if (in->end == 0)
        return capacity >= in->receive_size && capacity / RECEIVE_STEP <= in->receive_size;
    if (in->frame_size == 0) {
        size_t rest_min = capacity / 8 > REST_MIN ? capacity / 8 : REST_MIN;
        return capacity - in->end >= rest_min;
    }
    size_t earned = earned_size(in);
    size_t wanted = in->frame_size < earned ? in->frame_size : earned;
    return capacity - in->start >= wanted;
}

static size_t receive_size_now(const struct rt_conn *conn) {
    struct rt_budget *budget = conn->options.budget;
    bool scarce = rt_budget_used(budget) > budget->limit_bytes / 2;
    if (scarce && conn->in.receive_size > RECEIVE_MAX_SCARCE) return RECEIVE_MAX_SCARCE;
    return conn->in.receive_size;
}

static size_t max_size(size_t a, size_t b) {
    return a > b ? a : b;
}

static size_t min_size(size_t a, size_t b) {
    return a < b ? a : b;
}

// The next step of a growing slab, or the whole frame where the step would fall just short of it: a
// frame that moves for its last few bytes takes its memory twice.
static size_t step_to_frame(const struct rt_conn_input *in, size_t step) {
    return in->frame_size <= step + step / 4 ? in->frame_size : step;
}

// Makes room behind the bytes that are there; false: parked.
static bool make_room(struct rt_conn *conn) {
    struct rt_conn_input *in = &conn->in;
    size_t have = in->end - in->start;
    if (in->slab && have == 0 && slab_is_ours_alone(in->slab)) in->start = in->end = 0;
    if (slab_serves(in)) return true;

    size_t size = receive_size_now(conn), least = RECEIVE_MIN;
    if (in->frame_size > have) {
        size_t earned = max_size(earned_size(in), have * EARNED_FACTOR);
        size = max_size(size, step_to_frame(in, earned));
        least = step_to_frame(in, max_size(have * 2, RECEIVE_MIN));
    }
    struct rt_slab *slab = rt_input_slab(conn, size, min_size(size, least));
    if (!slab) return false;
    if (have > 0) memcpy(slab->data, in->slab->data + in->start, have);
    if (in->slab) rt_slab_drop(in->slab);
    in->slab = slab;
    in->start = 0;
    in->end = have;
    if (conn->overdraft_spent) rt_input_overdraft_settle(conn);
    return true;
}

static void adapt(struct rt_conn_input *in, size_t received) {
    size_t room = in->slab->capacity - in->end;
    bool small = received <= in->receive_size / SMALL_SHARE;
    in->small_receives = small ? in->small_receives + 1 : 0;
    if (received == room && in->receive_size < RECEIVE_MAX) {
        in->receive_size *= RECEIVE_STEP;
    } else if (in->small_receives == SMALL_RECEIVES && in->receive_size > RECEIVE_MIN) {
        in->receive_size /= RECEIVE_STEP;
        in->small_receives = 0;
    }
}

uint64_t rt_input_idle_deadline(const struct rt_conn *conn) {
    const struct rt_conn_input *in = &conn->in;
    bool spare = conn->receiving && !conn->unreceiving && conn->transport->unreceive && in->slab &&
                 in->start == in->end && in->slab->capacity > RECEIVE_MIN;
    return spare ? rt_deadline(in->active_ns, idle_ms) : UINT64_MAX;
}

void rt_input_shrink(struct rt_conn *conn) {
    conn->unreceiving = true;
    conn->transport->unreceive(conn);
}

// RECEIVING

static void receive(struct rt_conn *conn) {
    struct rt_conn_input *in = &conn->in;
    uint8_t *memory = NULL;
    size_t room = 0;
    if (!conn->transport->by_reference) {
        if (!make_room(conn)) return;
        memory = in->slab->data + in->end;
        room = in->slab->capacity - in->end;
        if (in->slab->capacity > RECEIVE_MIN) rt_limits_watch(conn, in->active_ns, idle_ms);
    }
    conn->receiving = true;
    conn->transport->receive(conn, memory, room);
}

// The peer says no more. What it asked for before may still be answered with what is queued.
static void end(struct rt_conn *conn) {
    bool cut_off = unread_size(conn) > 0 && !conn->finishing;
    if (cut_off)
        rt_conn_close(conn, RT_ERESET);
    else if (conn->lingering)
        rt_conn_close(conn, RT_OK);
    else
        rt_conn_finish(conn);
}

// When this turn's frames were answered, the next ones come after the answers have left: asking for
// them earlier finds nothing and costs a poll. Answers that do not leave soon may wait for a peer
// that waits for us to read, so then we do.
static bool waits_for_send(struct rt_conn *conn) {
    if (!conn->transport->receive_may_wait || conn->finishing) return false;
    if (conn->sending || conn->out.queue.count == 0) return false;
    conn->behind_send = true;
    conn->in.delay_since_ns = rt_loop_now(conn->loop);
    rt_limits_watch(conn, conn->in.delay_since_ns, RECEIVE_DELAY_MS);
    return true;
}

uint64_t rt_input_delay_deadline(const struct rt_conn *conn) {
    if (!conn->behind_send) return UINT64_MAX;
    return rt_deadline(conn->in.delay_since_ns, RECEIVE_DELAY_MS);
}

void rt_input_undelay(struct rt_conn *conn) {
    if (conn->behind_send) rt_input_continue(conn);
}

void rt_input_continue(struct rt_conn *conn) {
    conn->behind_send = false;
    if (conn->receiving || conn->parked || !deliver(conn)) return;
    if (conn->ended)
        end(conn);
    else if (!waits_for_send(conn))
        receive(conn);
    if (conn->overdraft_spent) rt_input_overdraft_settle(conn);
}

static bool receive_failed(struct rt_conn *conn, size_t size, rt_err err) {
    bool given_up = conn->unreceiving && err == RT_ECANCELED;
    conn->receiving = false;
    conn->unreceiving = false;
    if (conn->state != CONN_OPEN) return true;
    if (given_up) {
        conn->in.receive_size = RECEIVE_MIN;
        rt_slab_drop(conn->in.slab);
        conn->in.slab = NULL;
        conn->in.start = conn->in.end = 0;
        rt_input_continue(conn);
        return true;
    }
    if (err) rt_conn_close(conn, err);
    conn->ended = size == 0;
    conn->in.active_ns = rt_loop_now(conn->loop);
    conn->stats.in_bytes += size;
    return err != RT_OK;
}

void rt_conn_received(struct rt_conn *conn, size_t size, rt_err err) {
    assert(conn->receiving && !conn->transport->by_reference);
    if (receive_failed(conn, size, err)) return;
    assert(size <= conn->in.slab->capacity - conn->in.end);
    adapt(&conn->in, size);
    conn->in.end += size;
    rt_input_continue(conn);
}

void rt_conn_received_slices(struct rt_conn *conn, struct rt_slice *slices, unsigned count,
                             rt_err err) {
    assert(conn->receiving && conn->transport->by_reference);
    size_t size = 0;
    for (unsigned i = 0; i < count; i++) size += slices[i].size;
    bool done = receive_failed(conn, size, err);
    for (unsigned i = 0; i < count; i++) {
        if (done || slices[i].size == 0)
            rt_slice_drop(&slices[i]);
        else
            rt_slice_queue_push(&conn->in.queue, slices[i]);
    }
    if (!done) rt_input_continue(conn);
}
