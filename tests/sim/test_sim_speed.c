// How fast the simulator is, as printed figures; nothing is asserted about time.
#include <criterion/criterion.h>
#include <stdio.h>
#include <time.h>

#include "tests/sim/peer.h"

static double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

Test(sim_speed, ping_pong_over_the_network) {
    struct pair p;
    pair_open(&p, 1);
    p.server.echoes = p.client.pings_in_turn = true;
    pair_connect(&p);
    double start_s = seconds_now();
    uint64_t before = rt_sim_events(p.sim);
    rt_sim_run_for(p.sim, 5 * RT_NS_PER_S);
    double took_s = seconds_now() - start_s;
    uint64_t events = rt_sim_events(p.sim) - before;
    fprintf(stderr, "sim_speed: ping-pong %.2f M events/s, %.0f k round trips/s\n",
            (double)events / took_s / 1e6, p.client.frames / took_s / 1e3);
    cr_assert_gt(p.client.frames, 1000);
    pair_close(&p);
}

// A hundred timers of one loop, each a turn of its own.
struct ticker {
    struct rt_sim_program program;
    struct rt_timer timers[100];
};

static void tick(struct rt_timer *timer) {
    rt_timer_after(timer, RT_NS_PER_MS);
}

static void ticker_boot(struct rt_sim_program *program, struct rt_machine *machine) {
    struct ticker *ticker = rt_container_of(program, struct ticker, program);
    for (unsigned i = 0; i < 100; i++) {
        rt_timer_init(&ticker->timers[i], machine->loops[0], tick, "test.tick");
        rt_timer_after(&ticker->timers[i], RT_NS_PER_MS + i * 10 * RT_NS_PER_US);
    }
}

Test(sim_speed, timers_of_many_nodes) {
    enum { NODES = 20 };
    struct ticker tickers[NODES];
    struct rt_sim *sim = rt_sim_new(&(struct rt_sim_options){.seed = 2});
    for (unsigned i = 0; i < NODES; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%u", i);
        tickers[i].program = (struct rt_sim_program){.boot = ticker_boot};
        rt_sim_start(rt_sim_node_add(sim, name, 1, &tickers[i].program));
    }
    double start_s = seconds_now();
    rt_sim_run_for(sim, RT_NS_PER_S / 2);
    double took_s = seconds_now() - start_s;
    uint64_t events = rt_sim_events(sim);
    fprintf(stderr, "sim_speed: timers %.2f M events/s\n", (double)events / took_s / 1e6);
    cr_assert_gt(events, 100000);
    rt_sim_free(sim);
}
