// The simulated disk keeps every promise that files and directories make on the real machine.
#include <criterion/criterion.h>

#include "tests/lib/conformance_file.h"
#include "tests/sim/disk_world.h"

enum { MILLION = 1000000, SEEDS = 8 };

struct conformance {
    struct disk_world world;
    struct file_run run;
    bool ended;
};

static void fault(struct file_run *run, bool on) {
    struct conformance *c = rt_container_of(run, struct conformance, run);
    struct rt_sim_disk disk = rt_sim_disk_get(c->world.node);
    disk.write_fail_per_million = on ? MILLION : 0;
    rt_sim_disk_set(c->world.node, &disk);
}

static void ended(struct file_run *run) {
    rt_container_of(run, struct conformance, run)->ended = true;
}

static void dir_piece(struct disk_world *world, void *argument) {
    cr_assert_eq(rt_dir_create_now(world->machine, argument, NULL), RT_OK);
}

static void case_run(const struct file_case *is, unsigned flags, uint64_t seed) {
    struct conformance c = {0};
    char dir[] = "/data/files";
    disk_world_open(&c.world, seed);
    disk_world_run(&c.world, dir_piece, dir);
    c.run = (struct file_run){.machine = c.world.machine,
                              .is = is,
                              .dir = dir,
                              .flags = flags,
                              .fault = fault,
                              .ended = ended};
    file_run_start(&c.run);
    while (!c.ended) cr_assert(rt_sim_step(c.world.sim), "%s: nothing happens any more", is->name);
    cr_assert_eq(c.run.failure[0], 0, "seed %d: %s", (int)seed, c.run.failure);
    disk_world_close(&c.world);
}

Test(sim_file_conformance, every_case_holds) {
    for (size_t i = 0; i < file_case_count; i++) {
        for (uint64_t seed = 1; seed <= SEEDS; seed++) case_run(&file_cases[i], 0, seed);
    }
}

Test(sim_file_conformance, every_case_holds_for_journals) {
    for (size_t i = 0; i < file_case_count; i++) case_run(&file_cases[i], RT_FILE_OWN_THREAD, 1);
}
