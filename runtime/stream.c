// The life of a connection: from dial or accept to on_closed. Common to all transports.
#include "runtime/stream.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "runtime/address.h"
#include "runtime/backend.h"
#include "runtime/stream_private.h"

const struct rt_transport *rt_transport_of(struct rt_machine *machine, struct rt_bytes scheme) {
    if (rt_bytes_equal(scheme, RT_BYTES_LITERAL("inproc"))) return rt_transport_inproc();
    return machine->backend->transport(machine, (const char *)scheme.data, scheme.size);
}

// OPENING

static void conn_gone(struct rt_conn *conn) {
    assert(conn->state == CONN_CLOSING && !conn->receiving && !conn->sending);
    conn->state = CONN_CLOSED;
    rt_input_fini(conn);
    rt_output_fini(conn);
    conn->events->on_closed(conn, conn->why);
}

// on_closed is the last callback, so it waits for the transport and for every task of ours.
void rt_conn_task_ran(struct rt_conn *conn) {
    if (!conn->detached || conn->task_queued) return;
    if (rt_input_budget_fini(conn)) conn_gone(conn);
}

static void conn_task(struct rt_task *task) {
    struct rt_conn *conn = rt_container_of(task, struct rt_conn, task);
    conn->task_queued = false;
    if (conn->state == CONN_OPEN) {
        if (!conn->paused) rt_input_restart_clocks(conn);
        rt_input_continue(conn);
    }
    rt_conn_task_ran(conn);
}

void rt_conn_continue_later(struct rt_conn *conn) {
    if (conn->task_queued) return;
    conn->task_queued = true;
    rt_defer(conn->loop, &conn->task);
}

static void conn_init(struct rt_conn *conn, struct rt_loop *loop,
                      const struct rt_conn_events *events,
                      const struct rt_stream_options *options) {
    assert(rt_loop_is_current(loop));
    assert(events->on_frame && events->on_closed);
    *conn = (struct rt_conn){.loop = loop, .events = events, .state = CONN_OPENING};
    if (options) conn->options = *options;
    rt_stream_defaults(&conn->options, loop);
    assert(conn->options.framing != RT_FRAMES_MEASURED || conn->options.measure);
    rt_task_init(&conn->task, conn_task, events->name);
    rt_input_init(conn);
    rt_output_init(conn);
    rt_limits_init(conn);
}

void rt_conn_dial(struct rt_conn *conn, struct rt_loop *loop, const char *address,
                  const struct rt_conn_events *events, const struct rt_stream_options *options) {
    conn_init(conn, loop, events, options);
    conn->dialed = true;
    struct rt_address parsed;
    rt_err err = rt_address_split(address, &parsed);
    if (!err) {
        snprintf(conn->peer, sizeof(conn->peer), "%.*s", (int)parsed.rest.size,
                 (const char *)parsed.rest.data);
        conn->transport = rt_transport_of(rt_loop_machine(loop), parsed.scheme);
    }
    if (!conn->transport) {
        rt_conn_close(conn, RT_EADDRESS);
        return;
    }
    conn->transport->dial(conn, address);
}

void rt_conn_accept(struct rt_conn *conn, struct rt_loop *loop, struct rt_incoming *incoming,
                    const struct rt_conn_events *events, const struct rt_stream_options *options) {
    assert(incoming->loop == loop && !incoming->taken);
    conn_init(conn, loop, events, options);
    incoming->taken = true;
    conn->transport = incoming->transport;
    memcpy(conn->peer, incoming->peer, sizeof(conn->peer));
    conn->transport->accept(conn, incoming);
}

void rt_conn_opened(struct rt_conn *conn) {
    if (conn->state != CONN_OPENING) return;
    conn->state = CONN_OPEN;
    if (!conn->dialed) rt_input_restart_clocks(conn);
    if (conn->dialed && conn->events->on_open) conn->events->on_open(conn);
    if (conn->state != CONN_OPEN) return;
    if (conn->finishing && rt_output_is_idle(conn)) {
        rt_conn_finished(conn);
        return;
    }
    rt_output_start(conn);
    rt_input_continue(conn);
}

// PAUSING

void rt_conn_pause(struct rt_conn *conn) {
    conn->paused = true;
}

void rt_conn_resume(struct rt_conn *conn) {
    if (!conn->paused) return;
    conn->paused = false;
    if (conn->state == CONN_OPEN) rt_conn_continue_later(conn);
}

// CLOSING

static void conn_stop(struct rt_conn *conn, rt_err why) {
    conn->state = CONN_CLOSING;
    conn->why = why;
    rt_limits_fini(conn);
    rt_flush_forget(conn->loop, &conn->flush);
}

void rt_conn_close(struct rt_conn *conn, rt_err why) {
    assert(rt_loop_is_current(conn->loop));
    if (conn->state >= CONN_CLOSING) return;
    conn_stop(conn, why);
    if (conn->transport) {
        conn->transport->close(conn);
        return;
    }
    conn->detached = true;
    rt_conn_continue_later(conn);
}

void rt_conn_finished(struct rt_conn *conn) {
    uint64_t linger_ms = conn->transport->linger_ms;
    if (linger_ms == 0 || conn->ended || conn->stats.out_bytes == 0) {
        rt_conn_close(conn, RT_OK);
        return;
    }
    conn->lingering = true;
    rt_limits_watch(conn, conn->out.progress_ns, linger_ms);
}

void rt_conn_finish(struct rt_conn *conn) {
    assert(rt_loop_is_current(conn->loop));
    if (conn->state >= CONN_CLOSING || conn->finishing) return;
    conn->finishing = true;
    if (conn->state == CONN_OPENING) return;
    if (rt_output_is_idle(conn)) rt_conn_finished(conn);
    if (conn->state == CONN_OPEN && !conn->receiving && !conn->ended) rt_conn_continue_later(conn);
}

void rt_conn_detached(struct rt_conn *conn, rt_err err) {
    assert(!conn->detached);
    if (conn->state < CONN_CLOSING) conn_stop(conn, err);
    conn->detached = true;
    rt_conn_task_ran(conn);
}

bool rt_conn_is_open(const struct rt_conn *conn) {
    return conn->state == CONN_OPEN && !conn->finishing;
}

const char *rt_conn_peer(const struct rt_conn *conn) {
    return conn->peer;
}
