// The nodes' clocks. Each node has one oscillator that drifts from true time; the monotonic clock
// counts it from boot, the wall clock from a date, with a skew and jumps of its own.
#include <assert.h>

#include "runtime/sim/sim_internal.h"

static const uint64_t wall_epoch_ns = UINT64_C(1767225600) * 1000000000;  // 2026-01-01
static const int32_t parts = 1000000;

// elapsed * rate / 1000000 without overflow for any run shorter than centuries.
static uint64_t at_rate(uint64_t elapsed_ns, int32_t rate_ppm) {
    uint64_t speed = (uint64_t)(parts + rate_ppm);
    uint64_t million = (uint64_t)parts;
    return elapsed_ns / million * speed + elapsed_ns % million * speed / million;
}

static uint64_t oscillator(const struct rt_sim_node *node) {
    const struct sim_clock *clock = &node->clock;
    return clock->base_ns + at_rate(node->sim->now_ns - clock->base_true_ns, clock->rate_ppm);
}

// A machine has been up for anything between a second and a week, so no two monotonic clocks agree.
void sim_clock_reboot(struct rt_sim_node *node) {
    uint64_t up_ns =
        rt_random_between(&node->clock_random, RT_NS_PER_S, UINT64_C(7) * 86400 * RT_NS_PER_S);
    node->clock.boot_ns = oscillator(node) - up_ns;
}

void sim_clock_init(struct rt_sim_node *node) {
    node->clock = (struct sim_clock){.base_true_ns = node->sim->now_ns};
    uint64_t skew_ns = rt_random_below(&node->clock_random, 100 * RT_NS_PER_MS);
    node->clock.wall_ns = wall_epoch_ns + node->sim->now_ns + skew_ns - 50 * RT_NS_PER_MS;
    sim_clock_reboot(node);
}

uint64_t sim_clock_mono(const struct rt_sim_node *node) {
    return oscillator(node) - node->clock.boot_ns;  // wraps below zero and back: boot may precede 0
}

uint64_t sim_clock_wall(const struct rt_sim_node *node) {
    return node->clock.wall_ns + oscillator(node);
}

uint64_t sim_clock_true_at(const struct rt_sim_node *node, uint64_t mono_ns) {
    uint64_t now_mono = sim_clock_mono(node);
    if (mono_ns <= now_mono) return node->sim->now_ns;
    uint64_t left = mono_ns - now_mono;
    if (left > UINT64_MAX / 8) return UINT64_MAX / 4;  // never, within a run
    uint64_t speed = (uint64_t)(parts + node->clock.rate_ppm);
    uint64_t million = (uint64_t)parts;
    // at_rate rounds down, so this is up to two nanoseconds late and never early by more than one.
    return node->sim->now_ns + left / speed * million + left % speed * million / speed + 2;
}

void rt_sim_clock_jump(struct rt_sim_node *node, int64_t wall_ns) {
    node->clock.wall_ns += (uint64_t)wall_ns;
    sim_trace(node->sim, SIM_CLOCK, node, 0, (uint64_t)wall_ns, 0);
}

void rt_sim_clock_rate(struct rt_sim_node *node, int32_t parts_per_million) {
    assert(parts_per_million >= -parts / 2 && parts_per_million <= parts);
    struct sim_clock *clock = &node->clock;
    clock->base_ns = oscillator(node);
    clock->base_true_ns = node->sim->now_ns;
    clock->rate_ppm = parts_per_million;
    sim_trace(node->sim, SIM_CLOCK, node, 1, (uint64_t)(int64_t)parts_per_million, 0);
    sim_node_clock_changed(node);
}
