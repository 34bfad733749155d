// The simulated store keeps every promise that stores make on the real machine.
#include <criterion/criterion.h>

#include "tests/lib/conformance_kv.h"
#include "tests/sim/disk_world.h"

enum { SEEDS = 4 };

struct conformance {
    struct disk_world world;
    struct kv_run run;
    bool ended;
};

static void ended(struct kv_run *run) {
    rt_container_of(run, struct conformance, run)->ended = true;
}

static void dir_piece(struct disk_world *world, void *argument) {
    cr_assert_eq(rt_dir_create_now(world->machine, argument, NULL), RT_OK);
}

static void case_run(const struct kv_case *is, uint64_t seed) {
    struct conformance c = {0};
    char dir[] = "/data/stores";
    disk_world_open(&c.world, seed);
    rt_sim_chance_rate(c.world.node, false);  // else a get from memory misses now and then
    disk_world_run(&c.world, dir_piece, dir);
    c.run = (struct kv_run){.machine = c.world.machine, .is = is, .dir = dir, .ended = ended};
    kv_run_start(&c.run);
    while (!c.ended) cr_assert(rt_sim_step(c.world.sim), "%s: nothing happens any more", is->name);
    cr_assert_eq(c.run.failure[0], 0, "seed %d: %s", (int)seed, c.run.failure);
    disk_world_close(&c.world);
}

Test(sim_kv_conformance, every_case_holds) {
    for (size_t i = 0; i < kv_case_count; i++) {
        for (uint64_t seed = 1; seed <= SEEDS; seed++) case_run(&kv_cases[i], seed);
    }
}
