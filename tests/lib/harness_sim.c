#include <stdio.h>

#include "runtime/sim/sim.h"
#include "tests/lib/harness.h"

enum { PATIENCE_DEFAULT_MS = 3600 * 1000 };

struct sim_side {
    struct rt_sim_program program;
    struct harness *harness;
    unsigned index;
};

struct sim_end {
    struct rt_sim_condition condition;
    struct harness *harness;
    bool ready;  // is enough
};

static void side_boot(struct rt_sim_program *program, struct rt_machine *machine) {
    struct sim_side *side = rt_container_of(program, struct sim_side, program);
    side->harness->machines[side->index] = machine;
    side->harness->sides[side->index].start(side->harness, rt_machine_loop(machine, 0));
}

static bool end_is_there(struct rt_sim_condition *condition) {
    struct sim_end *end = rt_container_of(condition, struct sim_end, condition);
    return harness_is_over(end->harness) || (end->ready && end->harness->ready);
}

// The second side on the first one's machine: posted to its loop from outside of every node.
struct sim_start {
    struct rt_task task;
    struct harness *harness;
    struct rt_loop *loop;
};

static void start_run(struct rt_task *task) {
    struct sim_start *start = rt_container_of(task, struct sim_start, task);
    start->harness->machines[1] = start->harness->machines[0];
    start->harness->sides[1].start(start->harness, start->loop);
}

static void wait_for(struct harness *harness, struct rt_sim *sim, bool ready) {
    uint64_t patience_ms = harness->patience_ms ? harness->patience_ms : PATIENCE_DEFAULT_MS;
    struct sim_end end = {{end_is_there}, harness, ready};
    if (!rt_sim_run_until(sim, &end.condition, patience_ms * RT_NS_PER_MS))
        harness_fail(harness, "the case did not end in time%s%s", rt_sim_failed(sim) ? ": " : "",
                     rt_sim_failed(sim) ? rt_sim_failure(sim) : "");
}

// What the simulated world borrows, for as long as it exists.
struct sim_run {
    struct sim_side sides[2];
    struct sim_start start;
};

static void run_sides(struct harness *harness, struct rt_sim *sim, struct sim_run *run) {
    unsigned loops = harness->place == HARNESS_TWO_LOOPS ? 2 : 1;
    for (unsigned i = 0; i < 2; i++)
        run->sides[i] = (struct sim_side){{.boot = side_boot}, harness, i};
    rt_sim_start(rt_sim_node_add(sim, "a", loops, &run->sides[0].program));
    if (harness->sides[1].start) {
        wait_for(harness, sim, true);
        if (harness->place == HARNESS_TWO_NODES) {
            rt_sim_start(rt_sim_node_add(sim, "b", 1, &run->sides[1].program));
        } else {
            struct sim_start *start = &run->start;
            start->harness = harness;
            start->loop = rt_machine_loop(harness->machines[0], loops - 1);
            rt_task_init(&start->task, start_run, "start");
            rt_post(start->loop, &start->task);
        }
    }
    wait_for(harness, sim, false);
}

bool harness_run_sim(struct harness *harness) {
    harness_set_up(harness, "a");
    const struct rt_sim_options options = {.seed = harness->seed ? harness->seed : 1};
    struct rt_sim *sim = rt_sim_new(&options);
    struct sim_run run = {0};
    run_sides(harness, sim, &run);
    bool good = harness->failure[0] == '\0';
    rt_sim_free(sim);
    if (good) harness_tear_down(harness);
    return good;
}
