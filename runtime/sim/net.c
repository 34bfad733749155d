// The transport of simulated nodes, their listeners, and how the network is made.
//
// tcp and tls+tcp carry the same bytes: nothing is encrypted and no certificate is looked at, but
// who speaks TLS to one that does not is told so, and who does not speak it to one that does is
// reset.
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "runtime/address.h"
#include "runtime/sim/sim_net.h"

enum { PORT_FREE_FIRST = 32768, PORT_FREE_COUNT = 28000 };

static const struct rt_transport transport_tcp, transport_tls;

static bool is_own_name(const struct rt_sim_node *node, const char *host) {
    static const char *const local[] = {"localhost", "127.0.0.1", "::1"};
    for (size_t i = 0; i < sizeof local / sizeof local[0]; i++) {
        if (strcmp(host, local[i]) == 0) return true;
    }
    return strcmp(host, node->name) == 0;
}

static bool is_any_name(const char *host) {
    static const char *const any[] = {"", "*", "0.0.0.0", "::"};
    for (size_t i = 0; i < sizeof any / sizeof any[0]; i++) {
        if (strcmp(host, any[i]) == 0) return true;
    }
    return false;
}

static struct rt_sim_node *node_named(struct rt_sim_node *from, const char *host) {
    if (is_own_name(from, host)) return from;
    struct rt_sim *sim = from->sim;
    for (unsigned i = 0; i < sim->node_count; i++) {
        if (strcmp(sim->nodes[i]->name, host) == 0) return sim->nodes[i];
    }
    return NULL;
}

static uint16_t port_next(struct rt_sim_node *node) {
    return (uint16_t)(PORT_FREE_FIRST + node->net->port_next++ % PORT_FREE_COUNT);
}

// CONNECTIONS

static rt_err dial_resolve(struct rt_sim_node *node, const char *text, struct rt_sim_node **to,
                           uint16_t *port) {
    struct rt_address address;
    rt_err err = rt_address_parse(text, &address, NULL);
    if (err) return err;
    *port = address.port;
    *to = node_named(node, address.host);
    return *to && address.port ? RT_OK : RT_EADDRESS;
}

static void transport_dial(struct rt_conn *conn, const char *text) {
    struct rt_sim_node *node = sim_node_of(rt_loop_machine(conn->loop));
    struct rt_sim_node *to = NULL;
    uint16_t port = 0;
    rt_err err = dial_resolve(node, text, &to, &port);
    struct sim_conn *made = sim_conn_new(node->sim, node, to, port);
    struct sim_end *end = &made->ends[0];
    made->tls = conn->transport == &transport_tls;
    end->conn = conn;
    conn->transport_state = end;
    sim_trace(node->sim, SIM_DIAL, node, made->id, to ? to->index : UINT32_MAX, port);
    if (err) {
        made->ends[1].state = SIM_END_GONE;
        sim_end_fail(end, err);
    } else {
        snprintf(made->ends[1].incoming.peer, sizeof made->ends[1].incoming.peer, "%.50s:%u",
                 node->name, port_next(node));
        sim_conn_dial(made);
    }
}

static void transport_accept(struct rt_conn *conn, struct rt_incoming *incoming) {
    struct sim_end *end = incoming->transport_state;
    assert(end->state == SIM_END_WAITING);
    end->state = SIM_END_OPEN;
    end->conn = conn;
    end->open_due = true;
    conn->transport_state = end;
    sim_end_wake(end);
}

static void transport_refuse(struct rt_incoming *incoming) {
    struct sim_end *end = incoming->transport_state;
    assert(end->state == SIM_END_WAITING);
    sim_end_leave(end, true);
    end->state = SIM_END_GONE;
    sim_conn_free_if_done(end->owner);
}

static void transport_receive(struct rt_conn *conn, uint8_t *memory, size_t capacity) {
    struct sim_end *end = conn->transport_state;
    assert(!end->receiving && capacity > 0);
    end->receiving = true;
    end->memory = memory;
    end->memory_size = capacity;
    bool ready = sim_pipe_readable(sim_end_peer(end)) > 0 || end->end_arrived;
    if (ready || end->failed || end->closing) sim_end_wake(end);
}

static void transport_unreceive(struct rt_conn *conn) {
    struct sim_end *end = conn->transport_state;
    if (!end->receiving) return;
    end->unreceiving = true;
    sim_end_wake(end);
}

static void transport_send(struct rt_conn *conn, const struct rt_slice *pieces, unsigned count) {
    struct sim_end *end = conn->transport_state;
    assert(!end->sending && count > 0);
    end->sending = true;
    end->taken = 0;
    end->piece_count = count < SIM_PIECES_MAX ? count : SIM_PIECES_MAX;
    for (unsigned i = 0; i < end->piece_count; i++) end->pieces[i] = rt_slice_bytes(pieces[i]);
    if (end->failed || end->closing || sim_pipe_send(end)) sim_end_wake(end);
}

static void transport_close(struct rt_conn *conn) {
    struct sim_end *end = conn->transport_state;
    assert(!end->closing);
    end->closing = true;
    sim_end_leave(end, false);
    sim_end_wake(end);
}

// LISTENERS

struct sim_listener *sim_listener_find(const struct rt_sim_node *node, uint16_t port) {
    rt_list_each (link, &node->net->listeners) {
        struct sim_listener *listener = rt_container_of(link, struct sim_listener, link);
        if (listener->port == port) return listener;
    }
    return NULL;
}

static void listener_wake(struct sim_listener *listener) {
    if (listener->report_posted) return;
    listener->report_posted = true;
    struct rt_sim_node *node = listener->node;
    if (node->sim->inside) {
        assert(node->sim->inside == node);
        rt_post(listener->listener->loop, &listener->report);
        return;
    }
    struct rt_heap *outside = sim_node_enter(node);
    rt_post(listener->listener->loop, &listener->report);
    sim_node_leave(node, outside);
}

void sim_listener_give(struct sim_listener *listener, struct sim_end *end) {
    rt_list_push_back(&listener->waiting, &end->link);
    listener_wake(listener);
}

static void listener_drop_waiting(struct sim_listener *listener) {
    struct rt_list *link;
    while ((link = rt_list_pop_front(&listener->waiting))) {
        struct sim_end *end = rt_container_of(link, struct sim_end, link);
        sim_end_leave(end, true);
        end->state = SIM_END_GONE;
        sim_conn_free_if_done(end->owner);
    }
}

static void on_listener_report(struct rt_task *task) {
    struct sim_listener *listener = rt_container_of(task, struct sim_listener, report);
    listener->report_posted = false;
    struct rt_listener *owner = listener->listener;
    while (!listener->closing) {
        struct rt_list *link = rt_list_pop_front(&listener->waiting);
        if (!link) return;
        struct sim_end *end = rt_container_of(link, struct sim_end, link);
        end->incoming.transport = owner->transport;
        end->incoming.listener = owner;
        end->incoming.transport_state = end;
        rt_listener_incoming(owner, &end->incoming);
    }
    if (listener->report_posted) return;  // a callback closed it: the next turn says so
    listener_drop_waiting(listener);
    sim_listener_free(listener);
    rt_listener_detached(owner);
}

void sim_listener_free(struct sim_listener *listener) {
    struct rt_heap *inside = sim_world_enter();
    rt_list_remove(&listener->link);
    rt_free(listener);
    sim_world_leave(inside);
}

// Port 0 takes the next free one.
static rt_err port_take(struct rt_sim_node *node, uint16_t *port) {
    if (*port) return sim_listener_find(node, *port) ? RT_EADDRINUSE : RT_OK;
    for (unsigned tries = 0; tries < PORT_FREE_COUNT; tries++) {
        *port = port_next(node);
        if (!sim_listener_find(node, *port)) return RT_OK;
    }
    return RT_EADDRINUSE;
}

static rt_err transport_listen(struct rt_listener *owner, const char *text, struct rt_why *why) {
    struct rt_sim_node *node = sim_node_of(rt_loop_machine(owner->loop));
    struct rt_address address;
    rt_err err = rt_address_parse(text, &address, why);
    if (err) return err;
    if (!is_own_name(node, address.host) && !is_any_name(address.host)) {
        return rt_why_set(why, RT_EADDRESS, "%s is not an address of %s", text, node->name);
    }
    uint16_t port = address.port;
    err = port_take(node, &port);
    if (err) return rt_why_set(why, err, "%s is taken on %s", text, node->name);
    struct rt_heap *inside = sim_world_enter();
    struct sim_listener *listener = RT_NEW(struct sim_listener);
    sim_world_leave(inside);
    listener->node = node;
    listener->listener = owner;
    listener->port = port;
    listener->tls = owner->transport == &transport_tls;
    rt_list_init(&listener->waiting);
    rt_task_init(&listener->report, on_listener_report, "net-listener");
    rt_list_push_back(&node->net->listeners, &listener->link);
    owner->transport_state = listener;
    owner->port = port;
    sim_trace(node->sim, SIM_LISTEN, node, port, 1, 0);
    return RT_OK;
}

static void transport_unlisten(struct rt_listener *owner) {
    struct sim_listener *listener = owner->transport_state;
    assert(!listener->closing);
    sim_trace(listener->node->sim, SIM_LISTEN, listener->node, listener->port, 0, 0);
    listener->closing = true;
    listener->port = 0;  // free for the next one at once
    listener_wake(listener);
}

static const struct rt_transport transport_tcp = {
    .scheme = "tcp",
    .dial = transport_dial,
    .accept = transport_accept,
    .refuse = transport_refuse,
    .receive = transport_receive,
    .unreceive = transport_unreceive,
    .send = transport_send,
    .close = transport_close,
    .listen = transport_listen,
    .unlisten = transport_unlisten,
    .send_pieces_max = SIM_PIECES_MAX,
    .receive_may_wait = true,
};

// Without unreceive, as TLS on the real machine.
static const struct rt_transport transport_tls = {
    .scheme = "tls+tcp",
    .dial = transport_dial,
    .accept = transport_accept,
    .refuse = transport_refuse,
    .receive = transport_receive,
    .send = transport_send,
    .close = transport_close,
    .listen = transport_listen,
    .unlisten = transport_unlisten,
    .send_pieces_max = SIM_PIECES_MAX,
};

const struct rt_transport *sim_transport(struct rt_machine *machine, const char *scheme,
                                         size_t scheme_size) {
    (void)machine;
    struct rt_bytes asked = RT_BYTES(scheme, scheme_size);
    if (rt_bytes_equal(asked, rt_bytes_of(transport_tcp.scheme))) return &transport_tcp;
    if (rt_bytes_equal(asked, rt_bytes_of(transport_tls.scheme))) return &transport_tls;
    return NULL;
}

// LIFE

struct sim_net *sim_net_new(struct rt_sim *sim) {
    struct sim_net *net = RT_NEW(struct sim_net);
    net->sim = sim;
    net->patience_ns = 60 * RT_NS_PER_S;
    net->default_link = sim_link_defaults((struct rt_sim_link){0});
    rt_list_init(&net->conns);
    return net;
}

void sim_net_free(struct rt_sim *sim) {
    while (!rt_list_is_empty(&sim->net->conns)) {
        sim_conn_free(rt_container_of(sim->net->conns.next, struct sim_conn, link));
    }
    for (unsigned i = 0; i < sim->node_count; i++) {
        struct sim_net_node *net = sim->nodes[i]->net;
        assert(rt_list_is_empty(&net->listeners));
        rt_free(net->links);
        rt_free(net);
    }
    rt_free(sim->net);
}

static void links_grow(struct rt_sim_node *node, unsigned count) {
    struct sim_net_node *net = node->net;
    net->links = rt_realloc(net->links, count * sizeof *net->links);
    while (net->link_count < count) {
        net->links[net->link_count++] = (struct sim_link){.config = node->sim->net->default_link};
    }
}

void sim_net_node_add(struct rt_sim_node *node) {
    struct rt_sim *sim = node->sim;
    node->net = RT_NEW(struct sim_net_node);
    node->net->port_next = (uint32_t)rt_random_below(&sim->net_random, PORT_FREE_COUNT);
    rt_list_init(&node->net->listeners);
    for (unsigned i = 0; i < sim->node_count; i++) links_grow(sim->nodes[i], sim->node_count);
}
