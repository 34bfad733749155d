// Listening: common to all transports. A new connection is carried to the loop that takes it.
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "runtime/address.h"
#include "runtime/stream_private.h"

#define RECOVERED_NS (RT_NS_PER_S)  // without a failure

// One hold while open and one for each connection on its way: the last one posts on_closed.
static void listener_drop(struct rt_listener *listener) {
    if (atomic_fetch_sub_explicit(&listener->holds, 1, memory_order_acq_rel) == 1)
        rt_post(listener->loop, &listener->task);
}

static void listener_closed(struct rt_task *task) {
    struct rt_listener *listener = rt_container_of(task, struct rt_listener, task);
    if (listener->events->on_closed) listener->events->on_closed(listener);
}

// The address as people will look for it: with the port that was found where 0 was asked for.
static void name_port(struct rt_listener *listener) {
    size_t size = strlen(listener->address);
    if (size < 2 || strcmp(listener->address + size - 2, ":0") != 0) return;
    snprintf(listener->address + size - 1, sizeof(listener->address) - (size - 1), "%u",
             (unsigned)listener->port);
}

rt_err rt_listener_open(struct rt_listener *listener, struct rt_loop *loop, const char *address,
                        const struct rt_listener_events *events, bool spread,
                        const struct rt_tls *tls, struct rt_why *why) {
    assert(events->on_incoming);
    *listener = (struct rt_listener){.loop = loop, .events = events, .tls = tls, .spread = spread};
    atomic_init(&listener->holds, 1);
    atomic_init(&listener->closing, false);
    rt_task_init(&listener->task, listener_closed, events->name);
    if (why) why->text[0] = '\0';
    struct rt_address parsed;
    rt_err err = rt_address_split(address, &parsed);
    if (err || (size_t)snprintf(listener->address, sizeof(listener->address), "%s", address) >=
                   sizeof(listener->address))
        return rt_why_set(why, RT_EADDRESS, "\"%s\" is not an address to listen on", address);
    listener->transport = rt_transport_of(rt_loop_machine(loop), parsed.scheme);
    if (!listener->transport)
        return rt_why_set(why, RT_EADDRESS, "\"%s\": unknown scheme \"%.*s\"", address,
                          (int)parsed.scheme.size, (const char *)parsed.scheme.data);
    err = listener->transport->listen(listener, address, why);
    if (err) return rt_why_prefix(why, err, "listening on %s", address);
    name_port(listener);
    return RT_OK;
}

uint16_t rt_listener_port(const struct rt_listener *listener) {
    return listener->port;
}

void rt_listener_close(struct rt_listener *listener) {
    assert(rt_loop_is_current(listener->loop));
    if (atomic_exchange(&listener->closing, true)) return;
    listener->transport->unlisten(listener);
}

void rt_listener_detached(struct rt_listener *listener) {
    listener_drop(listener);
}

static void incoming_arrived(struct rt_task *task) {
    struct rt_incoming *incoming = rt_container_of(task, struct rt_incoming, task);
    struct rt_listener *listener = incoming->listener;
    if (atomic_load(&listener->closing))
        rt_incoming_refuse(incoming);
    else
        listener->events->on_incoming(listener, incoming->loop, incoming);
    listener_drop(listener);
}

// One line when accepting begins to fail and one when it goes on: at the edge of running out of
// file descriptors single accepts succeed in between.
void rt_listener_failed(struct rt_listener *listener, rt_err err) {
    if (!listener->failing)
        rt_log_warn("stream", "accept failed, trying again address=%s err=%s", listener->address,
                    rt_err_name(err));
    listener->failing = true;
    listener->failed_ns = rt_loop_now(listener->loop);
}

static void listener_recovered(struct rt_listener *listener) {
    if (rt_loop_now(listener->loop) - listener->failed_ns < RECOVERED_NS) return;
    listener->failing = false;
    rt_log_info("stream", "accepting again address=%s", listener->address);
}

void rt_listener_incoming(struct rt_listener *listener, struct rt_incoming *incoming) {
    if (listener->failing) listener_recovered(listener);
    struct rt_machine *machine = rt_loop_machine(listener->loop);
    incoming->listener = listener;
    incoming->taken = false;
    incoming->loop = listener->loop;
    if (listener->spread) incoming->loop = rt_machine_loop(machine, listener->next_loop++);
    atomic_fetch_add_explicit(&listener->holds, 1, memory_order_relaxed);
    rt_task_init(&incoming->task, incoming_arrived, listener->events->name);
    if (incoming->loop == listener->loop)
        incoming_arrived(&incoming->task);
    else
        rt_post(incoming->loop, &incoming->task);
}

void rt_incoming_refuse(struct rt_incoming *incoming) {
    assert(!incoming->taken);
    incoming->taken = true;
    incoming->transport->refuse(incoming);
}

const char *rt_incoming_peer(const struct rt_incoming *incoming) {
    return incoming->peer;
}
