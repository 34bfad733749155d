// Connections: the handshake, what arrives at an end, and what its process is told.
#include <assert.h>

#include "runtime/sim/sim_net.h"

// REPORTS. Everything a process hears of its end is said in one task of its loop, in this order: it
// is open, what was sent, what was received, it is closed. A process that closes inside one of
// these still hears how the operations in flight ended.

static void report_sent(struct sim_end *end) {
    bool over = end->taken > 0 || end->failed || end->closing;
    if (!end->sending || !over) return;
    size_t size = end->taken;
    end->sending = false;
    end->taken = 0;
    rt_err err = size > 0 ? RT_OK : end->closing ? RT_ECANCELED : end->failed;
    rt_conn_sent(end->conn, size, err);
}

static bool can_read(struct sim_end *end) {
    return sim_pipe_readable(sim_end_peer(end)) > 0 || end->end_arrived || end->failed;
}

static void report_received(struct sim_end *end) {
    bool over = end->closing || end->unreceiving;
    if (!end->receiving || (!over && !can_read(end))) return;
    size_t size = 0;
    rt_err err = RT_OK;
    if (!end->closing && sim_pipe_readable(sim_end_peer(end)) > 0) {
        size = sim_pipe_read(sim_end_peer(end), end->memory, end->memory_size);
    } else if (end->closing || !can_read(end)) {
        err = RT_ECANCELED;
    } else {
        err = end->failed;
    }
    end->receiving = end->unreceiving = false;
    sim_trace(end->owner->sim, SIM_RECEIVE, end->node, sim_end_id(end), size,
              size ? sim_hash(end->memory, size) : err);
    rt_conn_received(end->conn, size, err);
}

static void on_report(struct rt_task *task) {
    struct sim_end *end = rt_container_of(task, struct sim_end, report);
    end->report_posted = false;
    if (end->open_due) {
        end->open_due = false;
        rt_conn_opened(end->conn);
    }
    report_sent(end);
    report_received(end);
    if (end->state == SIM_END_DIALING && end->failed) end->closing = true;
    bool again = end->report_posted;  // a callback asked for more: the next turn says it
    if (again || !end->closing || end->sending || end->receiving) return;
    rt_err err = end->state == SIM_END_DIALING ? end->failed : RT_OK;
    struct rt_conn *conn = end->conn;
    end->conn = NULL;
    end->state = SIM_END_GONE;
    rt_conn_detached(conn, err);
    sim_conn_free_if_done(end->owner);
}

void sim_end_wake(struct sim_end *end) {
    if (!end->conn || end->report_posted) return;
    end->report_posted = true;
    if (end->owner->sim->inside) {
        assert(end->owner->sim->inside == end->node);
        rt_post(end->conn->loop, &end->report);
        return;
    }
    struct rt_heap *outside = sim_node_enter(end->node);
    rt_post(end->conn->loop, &end->report);
    sim_node_leave(end->node, outside);
}

// ENDS

// What arrived for it can still be read; what it sent before goes on its way.
void sim_end_fail(struct sim_end *end, rt_err err) {
    if (end->failed) return;
    sim_trace(end->owner->sim, SIM_END, end->node, sim_end_id(end), err, end->state);
    end->failed = err;
    sim_cancel(end->owner->sim, &end->out.patience);
    sim_end_wake(end);
}

// A kernel that drops bytes which its process never read tells the peer with a reset.
void sim_end_leave(struct sim_end *end, bool hard) {
    struct sim_end *peer = sim_end_peer(end);
    bool unread = sim_pipe_readable(peer) > 0;
    bool was_dialing = end->state == SIM_END_DIALING || end->state == SIM_END_UNBORN;
    if (unread) sim_pipe_drop_readable(peer);
    if (end->failed || was_dialing) return;
    sim_pipe_push(end, hard || unread ? SIM_SEGMENT_RESET : SIM_SEGMENT_END, 0);
}

static void refuse_segment(struct sim_end *end) {
    sim_pipe_drop_in_flight(sim_end_peer(end));
    sim_pipe_push(end, SIM_SEGMENT_RESET, 0);
}

static void arrive_open(struct sim_end *end) {
    struct sim_conn *conn = end->owner;
    struct sim_listener *listener = sim_listener_find(end->node, conn->port);
    bool listens = listener && !listener->closing && listener->tls == conn->tls;
    if (end->state != SIM_END_UNBORN) return;
    if (!listens) {
        end->state = SIM_END_GONE;
        refuse_segment(end);
        return;
    }
    end->state = SIM_END_WAITING;
    sim_listener_give(listener, end);
}

static void arrive_reset(struct sim_end *end) {
    if (end->failed || end->state == SIM_END_GONE) return;
    sim_trace(end->owner->sim, SIM_RESET, end->node, sim_end_id(end), 0, 0);
    // Whether a process still reads what came before a reset is a matter of luck.
    bool lost = rt_random_chance(&end->owner->sim->net_random, 500000);
    if (lost) sim_pipe_drop_readable(sim_end_peer(end));
    sim_end_fail(end, RT_ERESET);
}

void sim_end_arrive(struct sim_end *end, struct sim_segment segment) {
    bool lives = (end->state == SIM_END_WAITING || end->state == SIM_END_OPEN) && !end->failed;
    switch (segment.kind) {
    case SIM_SEGMENT_OPEN: arrive_open(end); return;
    case SIM_SEGMENT_RESET: arrive_reset(end); return;
    case SIM_SEGMENT_DATA:
        if (!lives || end->closing) {
            refuse_segment(end);
            return;
        }
        sim_pipe_arrived(sim_end_peer(end), segment.size);
        break;
    case SIM_SEGMENT_END:
        if (!lives) return;
        end->end_arrived = true;
        break;
    }
    if (end->receiving) sim_end_wake(end);
}

// THE HANDSHAKE: asked at the other host, answered back; the dialer's first segment then makes the
// other end, so a listener never hears of a dialer that was not answered.

static void handshake_stage(struct sim_conn *conn, enum sim_handshake stage,
                            struct sim_link *link) {
    struct rt_sim *sim = conn->sim;
    conn->stage = stage;
    sim_schedule(sim, &conn->handshake, sim->now_ns + sim_latency(sim, link));
}

static void handshake_asked(struct sim_conn *conn) {
    struct rt_sim_node *from = conn->ends[0].node;
    struct rt_sim_node *to = conn->ends[1].node;
    conn->handshake_held = sim_link_between(from, to)->cut || to->net->host_down;
    if (conn->handshake_held) return;
    struct sim_listener *listener = sim_listener_find(to, conn->port);
    enum sim_handshake stage = SIM_ACCEPTED;
    if (!listener || listener->closing)
        stage = SIM_REFUSED;
    else if (conn->tls && !listener->tls)
        stage = SIM_NOT_TLS;
    handshake_stage(conn, stage, sim_link_between(to, from));
}

static void handshake_answered(struct sim_conn *conn) {
    struct sim_end *end = &conn->ends[0];
    conn->handshake_held = sim_link_between(conn->ends[1].node, end->node)->cut;
    if (conn->handshake_held) return;
    if (conn->stage != SIM_ACCEPTED) {
        sim_end_fail(end, conn->stage == SIM_REFUSED ? RT_EREFUSED : RT_ETLS);
        return;
    }
    end->state = SIM_END_OPEN;
    end->open_due = true;
    sim_cancel(conn->sim, &end->out.patience);
    sim_pipe_push(end, SIM_SEGMENT_OPEN, 0);
    sim_end_wake(end);
}

static void on_handshake(struct sim_event *event) {
    struct sim_conn *conn = rt_container_of(event, struct sim_conn, handshake);
    struct sim_end *end = &conn->ends[0];
    sim_trace(event->sim, SIM_HANDSHAKE, end->node, conn->id, conn->stage, end->state);
    bool waits = end->state == SIM_END_DIALING && !end->closing && !end->failed;
    if (waits && !conn->dead_air) {
        if (conn->stage == SIM_ASKING)
            handshake_asked(conn);
        else
            handshake_answered(conn);
    }
    sim_conn_free_if_done(conn);
}

void sim_conn_retry(struct sim_conn *conn) {
    struct rt_sim *sim = conn->sim;
    if (conn->handshake_held) {
        struct sim_link *link = sim_link_between(conn->ends[0].node, conn->ends[1].node);
        conn->handshake_held = false;
        sim_schedule(sim, &conn->handshake, sim->now_ns + sim_latency(sim, link));
    }
    sim_pipe_retry(&conn->ends[0]);
    sim_pipe_retry(&conn->ends[1]);
}

void sim_conn_reset(struct sim_conn *conn) {
    sim_trace(conn->sim, SIM_RESET, NULL, conn->id, 1, 0);
    for (unsigned i = 0; i < 2; i++) {
        if (conn->ends[i].state == SIM_END_DIALING)
            sim_end_fail(&conn->ends[i], RT_ERESET);
        else
            sim_pipe_push(&conn->ends[i], SIM_SEGMENT_RESET, 0);
    }
}

// LIFE

struct sim_conn *sim_conn_new(struct rt_sim *sim, struct rt_sim_node *from, struct rt_sim_node *to,
                              uint16_t port) {
    struct rt_heap *inside = sim_world_enter();
    struct sim_conn *conn = RT_NEW(struct sim_conn);
    conn->sim = sim;
    conn->id = sim->net->conn_count++;
    conn->port = port;
    sim_event_init(&conn->handshake, sim, from, SIM_HANDSHAKE, on_handshake);
    for (unsigned i = 0; i < 2; i++) {
        struct sim_end *end = &conn->ends[i];
        end->owner = conn;
        end->node = i == 0 ? from : to;
        end->state = i == 0 ? SIM_END_DIALING : SIM_END_UNBORN;
        rt_task_init(&end->report, on_report, "net");
        rt_list_init(&end->link);
        sim_pipe_init(end);
    }
    rt_list_push_back(&sim->net->conns, &conn->link);
    sim_world_leave(inside);
    return conn;
}

void sim_conn_dial(struct sim_conn *conn) {
    handshake_stage(conn, SIM_ASKING, sim_link_between(conn->ends[0].node, conn->ends[1].node));
    sim_pipe_expect(&conn->ends[0]);
}

void sim_conn_free(struct sim_conn *conn) {
    struct rt_heap *inside = sim_world_enter();
    sim_cancel(conn->sim, &conn->handshake);
    rt_list_remove(&conn->link);
    for (unsigned i = 0; i < 2; i++) {
        rt_list_remove(&conn->ends[i].link);
        sim_pipe_fini(&conn->ends[i]);
    }
    rt_free(conn);
    sim_world_leave(inside);
}

// An end nobody made yet is still to come while the dialer's segments are on their way.
static bool end_is_done(struct sim_end *end) {
    if (end->state == SIM_END_GONE) return true;
    struct sim_end *peer = sim_end_peer(end);
    return end->state == SIM_END_UNBORN && peer->state == SIM_END_GONE &&
           peer->out.segments.count == 0;
}

bool sim_conn_free_if_done(struct sim_conn *conn) {
    if (!end_is_done(&conn->ends[0]) || !end_is_done(&conn->ends[1])) return false;
    sim_conn_free(conn);
    return true;
}
