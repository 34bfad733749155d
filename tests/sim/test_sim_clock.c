// The nodes' clocks: monotonic through everything but a power loss, a wall clock that jumps, drift.
#include <criterion/criterion.h>

#include "runtime/sim/sim.h"

#define MS RT_NS_PER_MS
#define SECOND RT_NS_PER_S

// Notes what its clocks show each second of its own time.
struct watcher {
    struct rt_sim_program program;
    struct rt_machine *machine;
    struct rt_timer timer;
    unsigned fired;
    uint64_t booted_ns;
};

struct clocks {
    struct rt_sim *sim;
    struct rt_sim_node *node;
    struct watcher watcher;
};

static void on_second(struct rt_timer *timer) {
    struct watcher *watcher = rt_container_of(timer, struct watcher, timer);
    watcher->fired++;
    rt_timer_after(timer, SECOND);
}

static void watcher_boot(struct rt_sim_program *program, struct rt_machine *machine) {
    struct watcher *watcher = rt_container_of(program, struct watcher, program);
    watcher->machine = machine;
    watcher->booted_ns = rt_loop_clock(machine->loops[0]);
    rt_timer_init(&watcher->timer, machine->loops[0], on_second, "test.second");
    rt_timer_after(&watcher->timer, SECOND);
}

static void clocks_open(struct clocks *c, uint64_t seed) {
    *c = (struct clocks){.watcher.program.boot = watcher_boot};
    c->sim = rt_sim_new(&(struct rt_sim_options){.seed = seed});
    c->node = rt_sim_node_add(c->sim, "n1", 1, &c->watcher.program);
    rt_sim_start(c->node);
    rt_sim_run_for(c->sim, MS);
}

static uint64_t mono(const struct clocks *c) {
    return rt_loop_clock(c->watcher.machine->loops[0]);
}

static uint64_t wall(const struct clocks *c) {
    return rt_machine_wall_ns(c->watcher.machine);
}

Test(sim_clock, both_clocks_go_with_true_time) {
    struct clocks c;
    clocks_open(&c, 1);
    uint64_t mono_ns = mono(&c);
    uint64_t wall_ns = wall(&c);
    rt_sim_run_for(c.sim, 10 * SECOND);
    cr_assert_eq(mono(&c) - mono_ns, 10 * SECOND);
    cr_assert_eq(wall(&c) - wall_ns, 10 * SECOND);
    cr_assert_eq(c.watcher.fired, 10);
    rt_sim_free(c.sim);
}

Test(sim_clock, no_two_monotonic_clocks_begin_alike_and_wall_clocks_are_skewed) {
    struct clocks a, b;
    clocks_open(&a, 1);
    clocks_open(&b, 2);
    cr_assert_neq(mono(&a), mono(&b));
    cr_assert_neq(wall(&a), wall(&b));
    uint64_t apart = wall(&a) > wall(&b) ? wall(&a) - wall(&b) : wall(&b) - wall(&a);
    cr_assert_leq(apart, 100 * MS);
    rt_sim_free(a.sim);
    rt_sim_free(b.sim);
}

Test(sim_clock, a_jump_moves_the_wall_clock_only) {
    struct clocks c;
    clocks_open(&c, 3);
    uint64_t mono_ns = mono(&c);
    uint64_t wall_ns = wall(&c);
    rt_sim_clock_jump(c.node, -3600 * (int64_t)SECOND);
    cr_assert_eq(mono(&c), mono_ns);
    cr_assert_eq(wall(&c), wall_ns - 3600 * SECOND);
    rt_sim_clock_jump(c.node, 7200 * (int64_t)SECOND);
    rt_sim_run_for(c.sim, 10 * SECOND);
    cr_assert_eq(wall(&c), wall_ns + 3610 * SECOND);
    cr_assert_eq(c.watcher.fired, 10);
    rt_sim_free(c.sim);
}

Test(sim_clock, drift_moves_both_clocks_and_the_timers) {
    struct clocks c;
    clocks_open(&c, 4);
    uint64_t mono_ns = mono(&c);
    uint64_t wall_ns = wall(&c);
    rt_sim_clock_rate(c.node, 100000);
    rt_sim_run_for(c.sim, 10 * SECOND);
    cr_assert_eq(mono(&c) - mono_ns, 11 * SECOND);
    cr_assert_eq(wall(&c) - wall_ns, 11 * SECOND);
    cr_assert_eq(c.watcher.fired, 11);
    rt_sim_clock_rate(c.node, -500000);
    rt_sim_run_for(c.sim, 10 * SECOND);
    cr_assert_eq(mono(&c) - mono_ns, 16 * SECOND);
    cr_assert_eq(c.watcher.fired, 16);
    rt_sim_free(c.sim);
}

Test(sim_clock, clocks_go_on_through_a_pause) {
    struct clocks c;
    clocks_open(&c, 5);
    uint64_t mono_ns = mono(&c);
    rt_sim_pause(c.node);
    rt_sim_run_for(c.sim, 10 * SECOND);
    cr_assert_eq(c.watcher.fired, 0);
    rt_sim_resume(c.node);
    rt_sim_run_for(c.sim, MS);
    cr_assert_eq(mono(&c) - mono_ns, 10 * SECOND + MS);
    cr_assert_eq(c.watcher.fired, 1, "a late timer fires once");
    rt_sim_free(c.sim);
}

Test(sim_clock, a_kill_leaves_the_monotonic_clock_and_a_power_loss_begins_another) {
    struct clocks c;
    clocks_open(&c, 6);
    uint64_t mono_ns = mono(&c);
    rt_sim_crash(c.node, RT_SIM_KILL);
    rt_sim_run_for(c.sim, SECOND);
    rt_sim_start(c.node);
    rt_sim_run_for(c.sim, MS);
    cr_assert_eq(mono(&c) - mono_ns, SECOND + MS);

    uint64_t wall_ns = wall(&c);
    rt_sim_crash(c.node, RT_SIM_POWER_LOSS);
    rt_sim_run_for(c.sim, SECOND);
    rt_sim_start(c.node);
    rt_sim_run_for(c.sim, MS);
    cr_assert_neq(mono(&c) - mono_ns, 2 * SECOND + 2 * MS);
    cr_assert_eq(wall(&c) - wall_ns, SECOND + MS, "the battery kept the date");
    rt_sim_free(c.sim);
}

Test(sim_clock, timers_are_never_early_at_any_rate) {
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct clocks c;
        clocks_open(&c, seed);
        struct rt_random *random = rt_sim_random(c.sim);
        uint64_t start_ns = c.watcher.booted_ns;
        for (unsigned i = 0; i < 20; i++) {
            int32_t ppm = (int32_t)rt_random_below(random, 1500000) - 500000;
            rt_sim_clock_rate(c.node, ppm);
            rt_sim_run_for(c.sim, rt_random_below(random, SECOND));
            uint64_t due = (mono(&c) - start_ns) / SECOND;
            cr_assert_leq(c.watcher.fired, due);
            cr_assert_geq(c.watcher.fired + 1, due);
        }
        rt_sim_free(c.sim);
    }
}
