// What goes wrong between nodes: links, cuts, resets, half-open connections, and what a crash of a
// process leaves of its connections.
#include <assert.h>

#include "runtime/sim/sim_net.h"

// LINKS

struct rt_sim_link sim_link_defaults(struct rt_sim_link link) {
    if (link.latency_max_ns == 0) {
        link.latency_min_ns = 20 * RT_NS_PER_US;
        link.latency_max_ns = 200 * RT_NS_PER_US;
    }
    if (link.bytes_per_s == 0) link.bytes_per_s = 1000000000;
    assert(link.latency_min_ns <= link.latency_max_ns);
    return link;
}

void rt_sim_link_set(struct rt_sim *sim, struct rt_sim_node *from, struct rt_sim_node *to,
                     const struct rt_sim_link *config) {
    struct sim_link *link = sim_link_between(from, to);
    link->config = sim_link_defaults(*config);
    link->free_ns = sim->now_ns;
    sim_trace(sim, SIM_LINK, from, to->index, link->config.latency_max_ns,
              link->config.bytes_per_s);
}

struct rt_sim_link rt_sim_link_get(const struct rt_sim_node *from, const struct rt_sim_node *to) {
    return sim_link_between(from, to)->config;
}

void rt_sim_link_set_all(struct rt_sim *sim, const struct rt_sim_link *config) {
    sim->net->default_link = sim_link_defaults(*config);
    for (unsigned i = 0; i < sim->node_count; i++) {
        for (unsigned k = 0; k < sim->node_count; k++) {
            rt_sim_link_set(sim, sim->nodes[i], sim->nodes[k], config);
        }
    }
}

void rt_sim_connection_patience(struct rt_sim *sim, uint64_t timeout_ns) {
    assert(timeout_ns > 0);
    sim->net->patience_ns = timeout_ns;
}

// CONNECTIONS OF A PAIR, and of a node with anybody (b NULL). The visitor may free its connection.

static bool conn_joins(const struct sim_conn *conn, const struct rt_sim_node *a,
                       const struct rt_sim_node *b) {
    const struct rt_sim_node *from = conn->ends[0].node;
    const struct rt_sim_node *to = conn->ends[1].node;
    if (!b) return from == a || to == a;
    return (from == a && to == b) || (from == b && to == a);
}

static void conns_visit(struct rt_sim *sim, struct rt_sim_node *a, struct rt_sim_node *b,
                        void (*visit)(struct sim_conn *conn, struct rt_sim_node *a)) {
    rt_list_each_safe (link, &sim->net->conns) {
        struct sim_conn *conn = rt_container_of(link, struct sim_conn, link);
        if (conn_joins(conn, a, b)) visit(conn, a);
    }
}

static void visit_retry(struct sim_conn *conn, struct rt_sim_node *a) {
    (void)a;
    sim_conn_retry(conn);
}

// CUTS

void rt_sim_cut(struct rt_sim *sim, struct rt_sim_node *from, struct rt_sim_node *to) {
    struct sim_link *link = sim_link_between(from, to);
    if (link->cut || from == to) return;
    link->cut = true;
    sim_trace(sim, SIM_CUT, from, to->index, 0, 0);
}

void rt_sim_heal(struct rt_sim *sim, struct rt_sim_node *from, struct rt_sim_node *to) {
    struct sim_link *link = sim_link_between(from, to);
    if (!link->cut) return;
    link->cut = false;
    sim_trace(sim, SIM_HEAL, from, to->index, 0, 0);
    conns_visit(sim, from, to, visit_retry);
}

static bool is_member(struct rt_sim_node *const *side, unsigned side_count,
                      const struct rt_sim_node *node) {
    for (unsigned i = 0; i < side_count; i++) {
        if (side[i] == node) return true;
    }
    return false;
}

void rt_sim_partition(struct rt_sim *sim, struct rt_sim_node *const *side, unsigned side_count) {
    for (unsigned i = 0; i < sim->node_count; i++) {
        struct rt_sim_node *other = sim->nodes[i];
        if (is_member(side, side_count, other)) continue;
        for (unsigned k = 0; k < side_count; k++) {
            rt_sim_cut(sim, side[k], other);
            rt_sim_cut(sim, other, side[k]);
        }
    }
}

void rt_sim_heal_all(struct rt_sim *sim) {
    for (unsigned i = 0; i < sim->node_count; i++) {
        for (unsigned k = 0; k < sim->node_count; k++) {
            rt_sim_heal(sim, sim->nodes[i], sim->nodes[k]);
        }
    }
}

// CONNECTIONS THAT DIE

static void visit_reset(struct sim_conn *conn, struct rt_sim_node *a) {
    (void)a;
    sim_conn_reset(conn);
}

void rt_sim_reset_connections(struct rt_sim *sim, struct rt_sim_node *a, struct rt_sim_node *b) {
    assert(!sim->inside);
    conns_visit(sim, a, b, visit_reset);
}

static void visit_half_open(struct sim_conn *conn, struct rt_sim_node *a) {
    if (conn->ends[1].state == SIM_END_UNBORN || conn->dead_air) return;
    conn->dead_air = true;
    struct sim_end *end = &conn->ends[conn->ends[0].node == a ? 0 : 1];
    sim_pipe_drop_in_flight(end);
    sim_end_fail(end, RT_ERESET);
}

void rt_sim_half_open(struct rt_sim *sim, struct rt_sim_node *a, struct rt_sim_node *b) {
    assert(!sim->inside);
    sim_trace(sim, SIM_HALF_OPEN, a, b->index, 0, 0);
    conns_visit(sim, a, b, visit_half_open);
}

// CRASHES

static void end_forget_process(struct sim_end *end) {
    end->conn = NULL;
    end->report_posted = end->open_due = end->closing = false;
    end->receiving = end->unreceiving = end->sending = false;
    end->taken = 0;
    rt_list_remove(&end->link);
    if (end->state != SIM_END_UNBORN) end->state = SIM_END_GONE;
}

// The kernel of a killed process ends its connections, some with a reset.
static void end_killed(struct sim_end *end) {
    bool held = end->state == SIM_END_OPEN || end->state == SIM_END_WAITING;
    if (held && !end->closing) {
        sim_end_leave(end, rt_random_chance(&end->owner->sim->net_random, 500000));
    }
    end_forget_process(end);
}

// Nothing says a word any more: what waited for a better link is lost with the kernel's memory.
static void end_unpowered(struct sim_end *end) {
    if (end->out.held) sim_pipe_drop_in_flight(end);
    sim_cancel(end->owner->sim, &end->out.patience);
    end_forget_process(end);
}

static void visit_killed(struct sim_conn *conn, struct rt_sim_node *a) {
    for (unsigned i = 0; i < 2; i++) {
        if (conn->ends[i].node == a) end_killed(&conn->ends[i]);
    }
    sim_conn_free_if_done(conn);
}

static void visit_unpowered(struct sim_conn *conn, struct rt_sim_node *a) {
    for (unsigned i = 0; i < 2; i++) {
        if (conn->ends[i].node == a) end_unpowered(&conn->ends[i]);
    }
    sim_conn_free_if_done(conn);
}

static void listeners_crash(struct rt_sim_node *node) {
    rt_list_each_safe (link, &node->net->listeners) {
        struct sim_listener *listener = rt_container_of(link, struct sim_listener, link);
        sim_listener_free(listener);
    }
}

void sim_net_crash(struct rt_sim_node *node, enum rt_sim_crash_kind kind) {
    node->net->host_down = kind == RT_SIM_POWER_LOSS;
    conns_visit(node->sim, node, NULL, kind == RT_SIM_KILL ? visit_killed : visit_unpowered);
    listeners_crash(node);
}

void sim_net_started(struct rt_sim_node *node) {
    bool was_down = node->net->host_down;
    node->net->host_down = false;
    if (was_down) conns_visit(node->sim, node, NULL, visit_retry);
}
