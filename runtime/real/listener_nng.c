// Listening with nng: one accept in flight.
//
// When the process is out of file descriptors, nng's accept fails at once, and would again and
// again; so after a failure the listener waits before it tries again. Connections that are open
// feel nothing of it, and new ones wait in the kernel's queue.
#include <assert.h>
#include <string.h>

#include "runtime/real/loop_thread.h"
#include "runtime/real/machine.h"
#include "runtime/real/stream_nng.h"

struct nng_door {
    struct rt_listener *listener;
    struct rt_loop *loop;
    struct rt_machine *machine;
    nng_stream_listener *nng;
    nng_aio *aio;
    struct rt_task task;  // an accept has ended; later: the door is closed
    struct rt_task reap;
    int result;
    atomic_bool busy;      // from the start of an accept until its task ran
    atomic_uint returned;  // callbacks: nng_aio_free waits for the last one
    bool closing;
};

static const uint64_t retry_ms = 100;

static void accept_next(struct nng_door *door) {
    // nng carries what the loop wrote to its threads; this says so to those who cannot look into
    // it.
    atomic_store_explicit(&door->busy, true, memory_order_release);
    real_count_syscalls(door->machine, 1);
    nng_stream_listener_accept(door->nng, door->aio);
}

static void accept_called_back(void *argument) {
    struct nng_door *door = argument;
    struct real_adopter adopter = {0};
    bool busy = atomic_load_explicit(&door->busy, memory_order_acquire);
    assert(busy);
    (void)busy;
    door->result = nng_aio_result(door->aio);
    real_adopter_begin(&adopter);
    rt_post(door->loop, &door->task);
    real_adopter_end();
    atomic_fetch_add_explicit(&door->returned, 1, memory_order_release);  // pairs with door_reap
}

static void retry_fire(struct rt_timer *timer) {
    struct rt_listener *listener = rt_container_of(timer, struct rt_listener, retry);
    accept_next(listener->transport_state);
}

// REFUSING

static void refused_reap(struct rt_task *task) {
    struct rt_incoming *incoming = rt_container_of(task, struct rt_incoming, task);
    nng_stream_free(incoming->transport_state);
    rt_free(incoming);
}

void real_nng_refuse(struct rt_incoming *incoming) {
    nng_stream_close(incoming->transport_state);
    rt_task_init(&incoming->task, refused_reap, "nng");
    real_reap(rt_loop_machine(incoming->listener->loop), &incoming->task);
}

// ACCEPTING

static struct rt_incoming *incoming_new(struct nng_door *door) {
    struct rt_incoming *incoming = RT_NEW(struct rt_incoming);
    incoming->transport = door->listener->transport;
    incoming->listener = door->listener;
    incoming->transport_state = nng_aio_get_output(door->aio, 0);
    real_peer_name(incoming->transport_state, incoming->peer, sizeof(incoming->peer));
    return incoming;
}

static void door_reap(struct rt_task *task) {
    struct nng_door *door = rt_container_of(task, struct nng_door, reap);
    nng_aio_free(door->aio);
    atomic_load_explicit(&door->returned, memory_order_acquire);
    nng_stream_listener_free(door->nng);
    rt_free(door);
}

static void door_gone(struct nng_door *door) {
    struct rt_listener *listener = door->listener;
    real_reap(door->machine, &door->reap);
    rt_listener_detached(listener);
}

static void door_run(struct rt_task *task) {
    struct nng_door *door = rt_container_of(task, struct nng_door, task);
    bool accepted = door->busy && door->result == 0;
    door->busy = false;
    if (door->closing) {
        if (accepted) real_nng_refuse(incoming_new(door));
        door_gone(door);
        return;
    }
    if (!accepted) {
        rt_listener_failed(door->listener, real_err_from_nng(door->result));
        rt_timer_after(&door->listener->retry, retry_ms * RT_NS_PER_MS);
        return;
    }
    rt_listener_incoming(door->listener, incoming_new(door));
    if (!door->closing) accept_next(door);
}

// OPENING AND CLOSING

static rt_err door_bind(struct nng_door *door, const char *text, struct rt_why *why) {
    struct rt_listener *listener = door->listener;
    struct rt_address address;
    rt_err err = rt_address_parse(text, &address, why);
    if (err) return err;
    if (strcmp(address.host, "*") == 0) address.host[0] = '\0';
    char url[REAL_URL_SIZE];
    real_nng_url(&address, url);
    int failed = nng_stream_listener_alloc(&door->nng, url);
    if (failed) return real_err_from_nng(failed);
    failed = nng_stream_listener_set_bool(door->nng, NNG_OPT_TCP_NODELAY, true);
    if (failed) return real_err_from_nng(failed);
    if (listener->tls) {
        nng_tls_config *config;
        err = real_tls_config(listener->tls, true, NULL, &config, why);
        if (err) return err;
        failed = nng_stream_listener_set_ptr(door->nng, NNG_OPT_TLS_CONFIG, config);
        nng_tls_config_free(config);  // the listener holds its own reference
        if (failed) return real_err_from_nng(failed);
    }
    failed = nng_stream_listener_listen(door->nng);
    if (failed) return real_err_from_nng(failed);
    int port;
    failed = nng_stream_listener_get_int(door->nng, NNG_OPT_TCP_BOUND_PORT, &port);
    if (!failed) listener->port = (uint16_t)port;
    return real_err_from_nng(failed);
}

rt_err real_nng_listen(struct rt_listener *listener, const char *address, struct rt_why *why) {
    bool wants_tls = strcmp(listener->transport->scheme, "tls+tcp") == 0;
    if (wants_tls != (listener->tls != NULL))
        return rt_why_set(why, RT_EINVAL,
                          wants_tls ? "no certificate is configured"
                                    : "TLS needs a tls+tcp:// address");
    struct nng_door *door = RT_NEW(struct nng_door);
    door->listener = listener;
    door->loop = listener->loop;
    door->machine = rt_loop_machine(listener->loop);
    rt_err err = door_bind(door, address, why);
    if (err) goto free_door;
    if (nng_aio_alloc(&door->aio, accept_called_back, door) != 0) rt_panic("nng: out of memory");
    nng_aio_set_timeout(door->aio, NNG_DURATION_INFINITE);
    rt_task_init(&door->task, door_run, "nng");
    rt_task_init(&door->reap, door_reap, "nng");
    rt_timer_init(&listener->retry, listener->loop, retry_fire, listener->events->name);
    listener->transport_state = door;
    accept_next(door);
    return RT_OK;

free_door:
    if (door->nng)
        nng_stream_listener_free(door->nng);  // no accept was started: nothing to wait for
    rt_free(door);
    return err;
}

void real_nng_unlisten(struct rt_listener *listener) {
    struct nng_door *door = listener->transport_state;
    door->closing = true;
    rt_timer_cancel(&listener->retry);
    nng_stream_listener_close(door->nng);
    if (!door->busy) rt_defer(door->loop, &door->task);
}
