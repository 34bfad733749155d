// In-process streams: two ends on loops of one machine, slices passed by reference.
//
// A pipe has two ends, each touched by its own loop only; they talk by posted tasks, which arrive
// in order. A send fills the end's batch and posts it; the batch belongs to the other side until it
// is taken there, which is when the receiver asks for more. So a reader that pauses holds up the
// writer after one batch, and one batch (64 pieces or 1 MiB) is the window of a direction.
//
//   dialer                                listener's loop, then the accepting loop
//   dial: pipe made, knock posted   -->   rt_listener_incoming -> accept or refuse
//   rt_conn_opened, or detached     <--   answer
//   send: batch filled, arrive      -->   held until a receive asks; then taken is posted back
//   close: shut posted              -->   the end is seen behind all that arrived before
//
// The registry of names hangs off the machine; its lock is held for a walk over a few listeners.
#include <assert.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "runtime/address.h"
#include "runtime/transport.h"

enum { BATCH_BYTES = 1 << 20 };

struct inproc_pipe;

struct inproc_end {
    struct inproc_pipe *pipe;
    struct inproc_end *other;
    struct rt_loop *loop;
    struct rt_conn *conn;  // NULL before it is attached and after it is detached
    bool connected, closing, sending, receiving, batch_here, peer_shut, ready_posted;

    struct rt_slice batch[RT_SEND_PIECES_MAX];  // to the other end
    unsigned batch_count;
    size_t batch_bytes;
    struct rt_task arrive;  // on the other loop: the batch is there
    struct rt_task taken;   // on this loop: and may be filled again
    struct rt_task shut;    // on the other loop: nothing more will come
    struct rt_task answer;  // on this loop: accepted (or refused)
    struct rt_task ready;   // on this loop: a receive that can be answered at once
    struct rt_task gone;    // on this loop: the last step of close
};

struct inproc_pipe {
    atomic_uint holds;  // by attached ends and by tasks on their way
    struct inproc_end ends[2];
    struct inproc_listener *listener;
    struct rt_task knock;
    struct rt_incoming incoming;
    bool refused;
};

struct inproc_listener {
    struct inproc_listener *next;  // of the machine, under its lock
    atomic_uint holds;
    struct rt_listener *listener;  // NULL once closed; used on its loop only
    struct rt_loop *loop;
    struct rt_task gone;
    char name[sizeof(((struct rt_listener *)0)->address)];
};

// REGISTRY

static void registry_lock(struct rt_inproc *registry) {
    while (atomic_flag_test_and_set_explicit(&registry->locked, memory_order_acquire))
        sched_yield();
}

static void registry_unlock(struct rt_inproc *registry) {
    atomic_flag_clear_explicit(&registry->locked, memory_order_release);
}

static struct inproc_listener **registry_find(struct rt_inproc *registry, const char *name) {
    struct inproc_listener **at = &registry->listeners;
    while (*at && strcmp((*at)->name, name) != 0) at = &(*at)->next;
    return at;
}

static void listener_drop(struct inproc_listener *il) {
    if (atomic_fetch_sub_explicit(&il->holds, 1, memory_order_acq_rel) == 1) rt_free(il);
}

static const char *name_of(const char *address) {
    return strstr(address, "://") + 3;
}

static void listener_gone(struct rt_task *task) {
    struct inproc_listener *il = rt_container_of(task, struct inproc_listener, gone);
    struct rt_listener *listener = il->listener;
    il->listener = NULL;
    listener_drop(il);
    rt_listener_detached(listener);
}

static rt_err inproc_listen(struct rt_listener *listener, const char *address, struct rt_why *why) {
    (void)why;  // the error's own text says it all
    struct rt_inproc *registry = &rt_loop_machine(listener->loop)->inproc;
    struct inproc_listener *il = RT_NEW(struct inproc_listener);
    atomic_init(&il->holds, 1);
    il->listener = listener;
    il->loop = listener->loop;
    rt_task_init(&il->gone, listener_gone, "inproc");
    snprintf(il->name, sizeof(il->name), "%s", name_of(address));
    registry_lock(registry);
    struct inproc_listener **at = registry_find(registry, il->name);
    bool taken = *at != NULL;
    if (!taken) *at = il;
    registry_unlock(registry);
    if (taken) {
        rt_free(il);
        return RT_EADDRINUSE;
    }
    listener->transport_state = il;
    return RT_OK;
}

static void inproc_unlisten(struct rt_listener *listener) {
    struct rt_inproc *registry = &rt_loop_machine(listener->loop)->inproc;
    struct inproc_listener *il = listener->transport_state;
    registry_lock(registry);
    struct inproc_listener **at = registry_find(registry, il->name);
    assert(*at == il);
    *at = il->next;
    registry_unlock(registry);
    rt_defer(listener->loop, &il->gone);
}

// PIPES

static void pipe_drop(struct inproc_pipe *pipe) {
    if (atomic_fetch_sub_explicit(&pipe->holds, 1, memory_order_acq_rel) == 1) rt_free(pipe);
}

// The pipe outlives the task.
static void end_post(struct inproc_end *end, struct rt_loop *to, struct rt_task *task) {
    atomic_fetch_add_explicit(&end->pipe->holds, 1, memory_order_relaxed);
    rt_post(to, task);
}

static unsigned batch_move(struct inproc_end *from, struct rt_slice *slices) {
    unsigned count = from->batch_count;
    memcpy(slices, from->batch, count * sizeof(*slices));
    from->batch_count = 0;
    return count;
}

static void batch_drop(struct inproc_end *from) {
    for (unsigned i = 0; i < from->batch_count; i++) rt_slice_drop(&from->batch[i]);
    from->batch_count = 0;
}

static void batch_take(struct inproc_end *end) {
    struct rt_slice slices[RT_SEND_PIECES_MAX];
    struct inproc_end *from = end->other;
    end->receiving = false;
    end->batch_here = false;
    unsigned count = batch_move(from, slices);
    end_post(end, from->loop, &from->taken);
    rt_conn_received_slices(end->conn, slices, count, RT_OK);
}

static void arrive_run(struct rt_task *task) {
    struct inproc_end *from = rt_container_of(task, struct inproc_end, arrive);
    struct inproc_end *end = from->other;
    if (!end->conn || end->closing) {
        batch_drop(from);
    } else {
        end->batch_here = true;
        if (end->receiving) batch_take(end);
    }
    pipe_drop(end->pipe);
}

static void sent(struct inproc_end *end, size_t size, rt_err err) {
    if (!end->sending) return;
    end->sending = false;
    rt_conn_sent(end->conn, size, err);
}

static void taken_run(struct rt_task *task) {
    struct inproc_end *end = rt_container_of(task, struct inproc_end, taken);
    if (end->conn && !end->closing) sent(end, end->batch_bytes, RT_OK);
    pipe_drop(end->pipe);
}

// What was on its way to an end that closed is lost without a sign, as in a socket's buffer.
static void shut_run(struct rt_task *task) {
    struct inproc_end *from = rt_container_of(task, struct inproc_end, shut);
    struct inproc_end *end = from->other;
    end->peer_shut = true;
    if (end->conn && !end->closing) {
        sent(end, end->batch_bytes, RT_OK);
        if (end->receiving && !end->batch_here && !end->closing) {
            end->receiving = false;
            rt_conn_received_slices(end->conn, NULL, 0, RT_OK);
        }
    }
    pipe_drop(end->pipe);
}

static void ready_post(struct inproc_end *end) {
    if (end->ready_posted) return;
    end->ready_posted = true;
    end_post(end, end->loop, &end->ready);
}

static void ready_run(struct rt_task *task) {
    struct inproc_end *end = rt_container_of(task, struct inproc_end, ready);
    end->ready_posted = false;
    if (end->conn && !end->closing) {
        if (end->sending && end->peer_shut) sent(end, 0, RT_ERESET);
        if (end->receiving && !end->closing && end->batch_here) {
            batch_take(end);
        } else if (end->receiving && !end->closing && end->peer_shut) {
            end->receiving = false;
            rt_conn_received_slices(end->conn, NULL, 0, RT_OK);
        }
    }
    pipe_drop(end->pipe);
}

static void gone_run(struct rt_task *task) {
    struct inproc_end *end = rt_container_of(task, struct inproc_end, gone);
    struct rt_conn *conn = end->conn;
    sent(end, 0, RT_ECANCELED);
    if (end->receiving) rt_conn_received_slices(conn, NULL, 0, RT_ECANCELED);
    if (end->batch_here) batch_drop(end->other);
    end->receiving = end->batch_here = false;
    end->conn = NULL;
    rt_conn_detached(conn, RT_OK);
    pipe_drop(end->pipe);
}

static void end_finish_close(struct inproc_end *end) {
    if (!end->peer_shut) end_post(end, end->other->loop, &end->shut);
    rt_defer(end->loop, &end->gone);
}

static void answer_run(struct rt_task *task) {
    struct inproc_end *end = rt_container_of(task, struct inproc_end, answer);
    struct inproc_pipe *pipe = end->pipe;
    if (pipe->refused) {
        struct rt_conn *conn = end->conn;
        end->conn = NULL;
        rt_conn_detached(conn, RT_EREFUSED);
        pipe_drop(pipe);
    } else {
        end->connected = true;
        if (end->closing)
            end_finish_close(end);
        else
            rt_conn_opened(end->conn);
    }
    pipe_drop(pipe);
}

static void end_init(struct inproc_pipe *pipe, unsigned index) {
    struct inproc_end *end = &pipe->ends[index];
    end->pipe = pipe;
    end->other = &pipe->ends[1 - index];
    rt_task_init(&end->arrive, arrive_run, "inproc");
    rt_task_init(&end->taken, taken_run, "inproc");
    rt_task_init(&end->shut, shut_run, "inproc");
    rt_task_init(&end->answer, answer_run, "inproc");
    rt_task_init(&end->ready, ready_run, "inproc");
    rt_task_init(&end->gone, gone_run, "inproc");
}

static void end_attach(struct inproc_end *end, struct rt_conn *conn) {
    atomic_fetch_add_explicit(&end->pipe->holds, 1, memory_order_relaxed);
    end->conn = conn;
    end->loop = conn->loop;
    conn->transport_state = end;
}

// OPENING

static void inproc_refuse(struct rt_incoming *incoming) {
    struct inproc_pipe *pipe = incoming->transport_state;
    pipe->refused = true;
    end_post(&pipe->ends[0], pipe->ends[0].loop, &pipe->ends[0].answer);
    pipe_drop(pipe);
}

static void knock_run(struct rt_task *task) {
    struct inproc_pipe *pipe = rt_container_of(task, struct inproc_pipe, knock);
    struct inproc_listener *il = pipe->listener;
    pipe->incoming.transport = rt_transport_inproc();
    pipe->incoming.transport_state = pipe;
    snprintf(pipe->incoming.peer, sizeof(pipe->incoming.peer), "inproc:%.50s", il->name);
    if (il->listener)
        rt_listener_incoming(il->listener, &pipe->incoming);
    else
        inproc_refuse(&pipe->incoming);
    listener_drop(il);
}

static void inproc_dial(struct rt_conn *conn, const char *address) {
    struct inproc_pipe *pipe = RT_NEW(struct inproc_pipe);
    atomic_init(&pipe->holds, 0);
    end_init(pipe, 0);
    end_init(pipe, 1);
    end_attach(&pipe->ends[0], conn);
    snprintf(conn->peer, sizeof(conn->peer), "inproc:%.50s", name_of(address));
    rt_task_init(&pipe->knock, knock_run, "inproc");

    struct rt_inproc *registry = &rt_loop_machine(conn->loop)->inproc;
    registry_lock(registry);
    struct inproc_listener *il = *registry_find(registry, name_of(address));
    if (il) atomic_fetch_add_explicit(&il->holds, 1, memory_order_relaxed);
    registry_unlock(registry);
    pipe->listener = il;
    if (il) {
        end_post(&pipe->ends[0], il->loop, &pipe->knock);
        return;
    }
    pipe->refused = true;
    end_post(&pipe->ends[0], conn->loop, &pipe->ends[0].answer);
}

static void inproc_accept(struct rt_conn *conn, struct rt_incoming *incoming) {
    struct inproc_pipe *pipe = incoming->transport_state;
    end_attach(&pipe->ends[1], conn);
    for (unsigned i = 0; i < 2; i++)
        end_post(&pipe->ends[i], pipe->ends[i].loop, &pipe->ends[i].answer);
    pipe_drop(pipe);
}

// BYTES

static void inproc_receive(struct rt_conn *conn, uint8_t *memory, size_t capacity) {
    (void)memory, (void)capacity;  // passes references
    struct inproc_end *end = conn->transport_state;
    end->receiving = true;
    if (end->batch_here || end->peer_shut) ready_post(end);
}

static void inproc_send(struct rt_conn *conn, const struct rt_slice *pieces, unsigned count) {
    struct inproc_end *end = conn->transport_state;
    end->sending = true;
    if (end->peer_shut) {
        ready_post(end);
        return;
    }
    assert(end->batch_count == 0);
    end->batch_bytes = 0;
    for (unsigned i = 0; i < count && end->batch_bytes < BATCH_BYTES; i++) {
        end->batch[end->batch_count++] = rt_slice_hold(pieces[i]);
        end->batch_bytes += pieces[i].size;
    }
    end_post(end, end->other->loop, &end->arrive);
}

static void inproc_close(struct rt_conn *conn) {
    struct inproc_end *end = conn->transport_state;
    end->closing = true;
    if (end->connected) end_finish_close(end);
}

static const struct rt_transport inproc = {
    .scheme = "inproc",
    .dial = inproc_dial,
    .accept = inproc_accept,
    .refuse = inproc_refuse,
    .receive = inproc_receive,
    .send = inproc_send,
    .close = inproc_close,
    .listen = inproc_listen,
    .unlisten = inproc_unlisten,
    .send_pieces_max = RT_SEND_PIECES_MAX,
    .by_reference = true,
};

const struct rt_transport *rt_transport_inproc(void) {
    return &inproc;
}
