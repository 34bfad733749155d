// Chaos: at drawn times a drawn fault strikes drawn nodes, and after a drawn time it is mended.
//
// Limits keep a run meaningful: never more than crashed_max nodes of the set are down at once, and
// bits rot on at most as many nodes in the whole run, so that a replicated system always has copies
// to recover from. What is still wrong when the chaos stops is mended then.
#include <assert.h>

#include "runtime/sim/sim_net.h"

// Faults that end by themselves (reset, half open, jump, rot) leave no repair.
struct repair {
    struct sim_event event;
    struct rt_list link;  // of chaos->repairs
    void (*mend)(struct repair *repair);
    struct rt_sim_node *node, *other;
    struct rt_sim_link link_before;
    struct rt_sim_disk disk_before;
};

struct sim_chaos {
    struct sim_event strike;
    struct rt_sim *sim;
    struct rt_sim_chaos options;
    struct rt_sim_node **nodes;
    unsigned rot_first;  // of the crashed_max nodes on whose disks bits rot
    struct rt_list repairs;
};

static struct rt_random *random_of(struct sim_chaos *chaos) {
    return &chaos->sim->chaos_random;
}

static struct rt_sim_node *draw_node(struct sim_chaos *chaos) {
    return chaos->nodes[rt_random_below(random_of(chaos), chaos->options.node_count)];
}

// NULL when there is only one node.
static struct rt_sim_node *draw_other(struct sim_chaos *chaos, const struct rt_sim_node *node) {
    if (chaos->options.node_count < 2) return NULL;
    uint64_t at = rt_random_below(random_of(chaos), chaos->options.node_count - 1);
    return chaos->nodes[at] == node ? chaos->nodes[chaos->options.node_count - 1]
                                    : chaos->nodes[at];
}

// REPAIRS

static void repair_run(struct repair *repair) {
    struct rt_sim *sim = repair->event.sim;
    sim_trace(sim, SIM_REPAIR, repair->node, repair->other ? repair->other->index : UINT32_MAX, 0,
              0);
    rt_list_remove(&repair->link);
    sim_cancel(sim, &repair->event);
    repair->mend(repair);
    rt_free(repair);
}

static void on_repair(struct sim_event *event) {
    repair_run(rt_container_of(event, struct repair, event));
}

// Most faults are short, some outlast every time limit: one to sixty-four tenths of the interval,
// each power of two as likely as the next.
static uint64_t draw_duration(struct sim_chaos *chaos) {
    uint64_t tenth = chaos->options.mean_interval_ns / 10 + 1;
    uint64_t scale = tenth << rt_random_below(random_of(chaos), 7);
    return rt_random_between(random_of(chaos), scale / 2, scale);
}

static struct repair *repair_later(struct sim_chaos *chaos, void (*mend)(struct repair *repair),
                                   struct rt_sim_node *node, struct rt_sim_node *other) {
    struct repair *repair = RT_NEW(struct repair);
    sim_event_init(&repair->event, chaos->sim, node, SIM_REPAIR, on_repair);
    repair->mend = mend;
    repair->node = node;
    repair->other = other;
    rt_list_push_back(&chaos->repairs, &repair->link);
    sim_schedule(chaos->sim, &repair->event, chaos->sim->now_ns + draw_duration(chaos));
    return repair;
}

static bool is_under_repair(struct sim_chaos *chaos, void (*mend)(struct repair *repair),
                            const struct rt_sim_node *node, const struct rt_sim_node *other) {
    rt_list_each (link, &chaos->repairs) {
        struct repair *repair = rt_container_of(link, struct repair, link);
        if (repair->mend == mend && repair->node == node && repair->other == other) return true;
    }
    return false;
}

// PROCESSES

static void mend_crash(struct repair *repair) {
    rt_sim_start(repair->node);
}

static void mend_disk(struct repair *repair);

static bool may_go_down(struct sim_chaos *chaos, const struct rt_sim_node *node) {
    unsigned down = 0;
    for (unsigned i = 0; i < chaos->options.node_count; i++) {
        const struct rt_sim_node *each = chaos->nodes[i];
        bool is_down = !each->running || is_under_repair(chaos, mend_disk, each, NULL);
        if (is_down && each == node) return false;
        down += is_down;
    }
    return down < chaos->options.crashed_max;
}

static void crash(struct sim_chaos *chaos, enum rt_sim_crash_kind kind) {
    struct rt_sim_node *node = draw_node(chaos);
    if (!may_go_down(chaos, node)) return;
    rt_sim_crash(node, kind);
    repair_later(chaos, mend_crash, node, NULL);
}

static void strike_kill(struct sim_chaos *chaos) {
    crash(chaos, RT_SIM_KILL);
}

static void strike_power_loss(struct sim_chaos *chaos) {
    crash(chaos, RT_SIM_POWER_LOSS);
}

static void mend_pause(struct repair *repair) {
    rt_sim_resume(repair->node);
}

static void strike_pause(struct sim_chaos *chaos) {
    struct rt_sim_node *node = draw_node(chaos);
    if (!node->running || node->paused) return;
    rt_sim_pause(node);
    repair_later(chaos, mend_pause, node, NULL);
}

// NETWORK

static void mend_cut(struct repair *repair) {
    rt_sim_heal(repair->event.sim, repair->node, repair->other);
}

static void cut(struct sim_chaos *chaos, struct rt_sim_node *from, struct rt_sim_node *to) {
    if (from == to || sim_link_between(from, to)->cut) return;
    rt_sim_cut(chaos->sim, from, to);
    repair_later(chaos, mend_cut, from, to);
}

// Cut off from all that are on the other side, which includes nodes that chaos does not touch. Each
// link heals at a time of its own, so that on the way back some see each other and some do not.
static void isolate(struct sim_chaos *chaos, const bool *is_inside) {
    struct rt_sim *sim = chaos->sim;
    for (unsigned i = 0; i < sim->node_count; i++) {
        for (unsigned k = 0; k < sim->node_count; k++) {
            if (is_inside[i] != is_inside[k]) cut(chaos, sim->nodes[i], sim->nodes[k]);
        }
    }
}

// One node, or a drawn half of them.
static void strike_partition(struct sim_chaos *chaos) {
    bool *is_inside = rt_alloc_zero(chaos->sim->node_count, sizeof *is_inside);
    if (rt_random_chance(random_of(chaos), 500000)) {
        for (unsigned i = 0; i < chaos->options.node_count; i++) {
            is_inside[chaos->nodes[i]->index] = rt_random_chance(random_of(chaos), 500000);
        }
    } else {
        is_inside[draw_node(chaos)->index] = true;
    }
    isolate(chaos, is_inside);
    rt_free(is_inside);
}

static void strike_one_way(struct sim_chaos *chaos) {
    struct rt_sim_node *from = draw_node(chaos);
    struct rt_sim_node *to = draw_other(chaos, from);
    if (to) cut(chaos, from, to);
}

static void mend_link(struct repair *repair) {
    rt_sim_link_set(repair->event.sim, repair->node, repair->other, &repair->link_before);
}

static void strike_slow_link(struct sim_chaos *chaos) {
    struct rt_random *random = random_of(chaos);
    struct rt_sim_node *from = draw_node(chaos);
    struct rt_sim_node *to = draw_other(chaos, from);
    if (!to || is_under_repair(chaos, mend_link, from, to)) return;
    struct rt_sim_link link = rt_sim_link_get(from, to);
    struct repair *repair = repair_later(chaos, mend_link, from, to);
    repair->link_before = link;
    link.latency_max_ns *= rt_random_between(random, 2, 1000);
    link.bytes_per_s = link.bytes_per_s / rt_random_between(random, 1, 10000) + 1;
    link.slow_per_million = (uint32_t)rt_random_below(random, 100000);
    rt_sim_link_set(chaos->sim, from, to, &link);
}

static void strike_reset(struct sim_chaos *chaos) {
    struct rt_sim_node *node = draw_node(chaos);
    struct rt_sim_node *other = draw_other(chaos, node);
    if (other) rt_sim_reset_connections(chaos->sim, node, other);
}

static void strike_half_open(struct sim_chaos *chaos) {
    struct rt_sim_node *node = draw_node(chaos);
    struct rt_sim_node *other = draw_other(chaos, node);
    if (other) rt_sim_half_open(chaos->sim, node, other);
}

// CLOCKS

static void mend_rate(struct repair *repair) {
    rt_sim_clock_rate(repair->node, 0);
}

static void strike_clock(struct sim_chaos *chaos) {
    struct rt_random *random = random_of(chaos);
    struct rt_sim_node *node = draw_node(chaos);
    bool forward = rt_random_chance(random, 500000);
    if (rt_random_chance(random, 700000)) {
        int64_t jump_ns =
            (int64_t)rt_random_below(random, RT_NS_PER_MS << rt_random_below(random, 23));
        rt_sim_clock_jump(node, forward ? jump_ns : -jump_ns);
    } else if (!is_under_repair(chaos, mend_rate, node, NULL)) {
        int32_t ppm =
            (int32_t)rt_random_below(random, UINT64_C(1) << rt_random_between(random, 4, 18));
        rt_sim_clock_rate(node, forward ? ppm : -ppm);
        repair_later(chaos, mend_rate, node, NULL);
    }
}

// DISKS. A file whose write failed refuses all further ones, so a program ends itself and is
// started again; here the mending does that, and a node with a bad disk counts as down.

static void mend_disk(struct repair *repair) {
    rt_sim_disk_set(repair->node, &repair->disk_before);
    bool was_running = repair->node->running;
    rt_sim_crash(repair->node, RT_SIM_KILL);
    if (was_running) rt_sim_start(repair->node);
}

static void disk_fails(struct sim_chaos *chaos, struct rt_sim_node *node,
                       const struct rt_sim_disk *disk) {
    struct repair *repair = repair_later(chaos, mend_disk, node, NULL);
    repair->disk_before = rt_sim_disk_get(node);
    rt_sim_disk_set(node, disk);
}

static void strike_disk_errors(struct sim_chaos *chaos) {
    struct rt_random *random = random_of(chaos);
    struct rt_sim_node *node = draw_node(chaos);
    if (!may_go_down(chaos, node)) return;
    struct rt_sim_disk disk = rt_sim_disk_get(node);
    uint32_t *rates[] = {&disk.write_fail_per_million, &disk.sync_fail_per_million,
                         &disk.read_fail_per_million};
    *rates[rt_random_below(random, 3)] = (uint32_t)rt_random_between(random, 1000, 500000);
    disk_fails(chaos, node, &disk);
}

static void strike_disk_full(struct sim_chaos *chaos) {
    struct rt_sim_node *node = draw_node(chaos);
    if (!may_go_down(chaos, node)) return;
    struct rt_sim_disk disk = rt_sim_disk_get(node);
    disk.capacity_bytes = 1;
    disk_fails(chaos, node, &disk);
}

static void strike_bit_rot(struct sim_chaos *chaos) {
    uint64_t victim = rt_random_below(random_of(chaos), chaos->options.crashed_max);
    unsigned at = (unsigned)((chaos->rot_first + victim) % chaos->options.node_count);
    (void)rt_sim_bit_rot(chaos->nodes[at], "");  // false: nothing is stored there yet
}

// THE SCHEDULE

static const struct fault {
    const char *name;
    size_t enabled_at;  // of its switch in the options
    void (*strike)(struct sim_chaos *chaos);
} faults[] = {
    {"kill", offsetof(struct rt_sim_chaos, crashes), strike_kill},
    {"power-loss", offsetof(struct rt_sim_chaos, power_losses), strike_power_loss},
    {"pause", offsetof(struct rt_sim_chaos, pauses), strike_pause},
    {"partition", offsetof(struct rt_sim_chaos, partitions), strike_partition},
    {"one-way-cut", offsetof(struct rt_sim_chaos, one_way_cuts), strike_one_way},
    {"slow-link", offsetof(struct rt_sim_chaos, slow_links), strike_slow_link},
    {"reset", offsetof(struct rt_sim_chaos, resets), strike_reset},
    {"half-open", offsetof(struct rt_sim_chaos, half_opens), strike_half_open},
    {"clock", offsetof(struct rt_sim_chaos, clock_jumps), strike_clock},
    {"bit-rot", offsetof(struct rt_sim_chaos, bit_rot), strike_bit_rot},
    {"disk-errors", offsetof(struct rt_sim_chaos, disk_errors), strike_disk_errors},
    {"disk-full", offsetof(struct rt_sim_chaos, disk_full), strike_disk_full},
};

enum { FAULTS = sizeof faults / sizeof faults[0] };

static bool is_enabled(const struct sim_chaos *chaos, const struct fault *fault) {
    return *(const bool *)((const char *)&chaos->options + fault->enabled_at);
}

static void strike_later(struct sim_chaos *chaos) {
    uint64_t wait_ns = rt_random_below(random_of(chaos), chaos->options.mean_interval_ns * 2);
    sim_schedule(chaos->sim, &chaos->strike, chaos->sim->now_ns + wait_ns);
}

static void on_strike(struct sim_event *event) {
    struct sim_chaos *chaos = rt_container_of(event, struct sim_chaos, strike);
    const struct fault *enabled[FAULTS];
    unsigned count = 0;
    for (unsigned i = 0; i < FAULTS; i++) {
        if (is_enabled(chaos, &faults[i])) enabled[count++] = &faults[i];
    }
    strike_later(chaos);
    if (count == 0) return;
    const struct fault *fault = enabled[rt_random_below(random_of(chaos), count)];
    sim_trace_text(chaos->sim, SIM_CHAOS, NULL, fault->name, 0);
    fault->strike(chaos);
}

void rt_sim_chaos_start(struct rt_sim *sim, const struct rt_sim_chaos *options) {
    assert(!sim->inside && !sim->chaos && options->node_count > 0);
    struct sim_chaos *chaos = RT_NEW(struct sim_chaos);
    chaos->sim = sim;
    chaos->options = *options;
    if (!chaos->options.mean_interval_ns) chaos->options.mean_interval_ns = 500 * RT_NS_PER_MS;
    if (!chaos->options.crashed_max) chaos->options.crashed_max = 1;
    chaos->nodes = rt_alloc(options->node_count * sizeof(struct rt_sim_node *));
    for (unsigned i = 0; i < options->node_count; i++) chaos->nodes[i] = options->nodes[i];
    chaos->options.nodes = chaos->nodes;
    chaos->rot_first = (unsigned)rt_random_below(&sim->chaos_random, options->node_count);
    rt_list_init(&chaos->repairs);
    sim_event_init(&chaos->strike, sim, NULL, SIM_CHAOS, on_strike);
    sim->chaos = chaos;
    strike_later(chaos);
}

void rt_sim_chaos_stop(struct rt_sim *sim) {
    struct sim_chaos *chaos = sim->chaos;
    if (!chaos) return;
    assert(!sim->inside);
    while (!rt_list_is_empty(&chaos->repairs)) {
        repair_run(rt_container_of(chaos->repairs.next, struct repair, link));
    }
    rt_sim_heal_all(sim);
    for (unsigned i = 0; i < chaos->options.node_count; i++) {
        if (chaos->nodes[i]->incarnation > 0) rt_sim_start(chaos->nodes[i]);
        rt_sim_resume(chaos->nodes[i]);
    }
    sim_chaos_free(sim);
}

void sim_chaos_free(struct rt_sim *sim) {
    struct sim_chaos *chaos = sim->chaos;
    if (!chaos) return;
    sim_cancel(sim, &chaos->strike);
    rt_list_each_safe (link, &chaos->repairs) {
        struct repair *repair = rt_container_of(link, struct repair, link);
        sim_cancel(sim, &repair->event);
        rt_free(repair);
    }
    rt_free(chaos->nodes);
    rt_free(chaos);
    sim->chaos = NULL;
}
