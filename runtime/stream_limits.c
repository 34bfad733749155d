// Limits of a connection: the defaults of its options, and its time limits.
//
// All time limits share one timer. It is moved only when a deadline comes up that is earlier than
// the one it waits for, and looks around when it fires; so a busy connection, whose deadlines only
// move away, pays for a timer operation every few seconds instead of one for each frame.
#include "runtime/stream_private.h"

enum {
    FRAME_SIZE_DEFAULT = 1 << 20,
    RAW_SIZE_DEFAULT = 256 << 10,
    OUT_HIGH_DEFAULT = 1 << 20,
    OUT_MAX_DEFAULT = 64 << 20,
    TIMEOUT_DEFAULT_MS = 30000
};

void rt_stream_defaults(struct rt_stream_options *options, struct rt_loop *loop) {
    bool raw = options->framing == RT_FRAMES_RAW;
    if (options->frame_size_max == 0)
        options->frame_size_max = raw ? RAW_SIZE_DEFAULT : FRAME_SIZE_DEFAULT;
    if (options->out_high_bytes == 0) options->out_high_bytes = OUT_HIGH_DEFAULT;
    if (options->out_low_bytes == 0) options->out_low_bytes = options->out_high_bytes / 2;
    if (options->out_bytes_max == 0) options->out_bytes_max = OUT_MAX_DEFAULT;
    if (options->open_timeout_ms == 0) options->open_timeout_ms = TIMEOUT_DEFAULT_MS;
    if (options->frame_timeout_ms == 0) options->frame_timeout_ms = TIMEOUT_DEFAULT_MS;
    if (options->stall_timeout_ms == 0) options->stall_timeout_ms = TIMEOUT_DEFAULT_MS;
    if (!options->budget) options->budget = &rt_loop_machine(loop)->budget;
}

uint64_t rt_deadline(uint64_t since_ns, uint64_t timeout_ms) {
    if (timeout_ms >= (UINT64_MAX - since_ns) / RT_NS_PER_MS) return UINT64_MAX;
    return since_ns + timeout_ms * RT_NS_PER_MS;
}

void rt_limits_watch(struct rt_conn *conn, uint64_t since_ns, uint64_t timeout_ms) {
    uint64_t deadline_ns = rt_deadline(since_ns, timeout_ms);
    if (deadline_ns >= conn->timer_ns || conn->state >= CONN_CLOSING) return;
    conn->timer_ns = deadline_ns;
    rt_timer_at(&conn->timer, deadline_ns);
}

// The peer is waited for: what we hold up ourselves (a pause, an empty budget) is not its fault.
static bool peer_is_late_possible(const struct rt_conn *conn) {
    return (conn->receiving || conn->behind_send) && !conn->paused;
}

static bool is_opening(const struct rt_conn *conn) {
    if (conn->state == CONN_OPENING) return true;
    if (!conn->dialed) return !conn->saw_frame && !conn->finishing && peer_is_late_possible(conn);
    return conn->transport->late_handshake && conn->stats.in_bytes + conn->stats.out_bytes == 0;
}

// When the earliest limit on what the peer does runs out; UINT64_MAX when none applies now.
static uint64_t peer_deadline(const struct rt_conn *conn) {
    const struct rt_stream_options *options = &conn->options;
    uint64_t open_ns = UINT64_MAX, stall_ns = UINT64_MAX, frame_ns = UINT64_MAX;
    if (is_opening(conn)) open_ns = rt_deadline(conn->in.open_since_ns, options->open_timeout_ms);
    if (conn->sending) stall_ns = rt_deadline(conn->out.progress_ns, options->stall_timeout_ms);
    if (conn->in.frame_since_ns != 0 && peer_is_late_possible(conn))
        frame_ns = rt_deadline(conn->in.frame_since_ns, options->frame_timeout_ms);
    uint64_t earliest_ns = open_ns < stall_ns ? open_ns : stall_ns;
    return earliest_ns < frame_ns ? earliest_ns : frame_ns;
}

static void limits_fire(struct rt_timer *timer) {
    struct rt_conn *conn = rt_container_of(timer, struct rt_conn, timer);
    conn->timer_ns = UINT64_MAX;
    uint64_t now = rt_loop_now(conn->loop);
    uint64_t deadline_ns = conn->lingering
                               ? rt_deadline(conn->out.progress_ns, conn->transport->linger_ms)
                               : peer_deadline(conn);
    if (deadline_ns <= now) {
        rt_conn_close(conn, conn->lingering ? RT_OK : RT_ETIMEDOUT);
        return;
    }
    if (conn->overdraft_spent) rt_input_overdraft_settle(conn);
    uint64_t idle_ns = rt_input_idle_deadline(conn);
    if (idle_ns <= now) {
        rt_input_shrink(conn);
        idle_ns = UINT64_MAX;
    }
    if (idle_ns < deadline_ns) deadline_ns = idle_ns;
    uint64_t delay_ns = rt_input_delay_deadline(conn);
    if (delay_ns < deadline_ns) deadline_ns = delay_ns;
    if (deadline_ns != UINT64_MAX) rt_limits_watch(conn, deadline_ns, 0);
    if (delay_ns <= now) rt_input_undelay(conn);
}

void rt_limits_init(struct rt_conn *conn) {
    rt_timer_init(&conn->timer, conn->loop, limits_fire, conn->events->name);
    conn->timer_ns = UINT64_MAX;
    rt_limits_watch(conn, rt_loop_now(conn->loop), conn->options.open_timeout_ms);
}

void rt_limits_fini(struct rt_conn *conn) {
    rt_timer_cancel(&conn->timer);
    conn->timer_ns = UINT64_MAX;
}
