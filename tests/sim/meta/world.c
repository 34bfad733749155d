#include "tests/sim/meta/world.h"

#include <stdlib.h>

void world_open(struct world *world, const struct world_options *options) {
    struct rt_sim_options sim = {.seed = options->seed, .replay = options->replay};
    *world = (struct world){.options = *options, .sim = rt_sim_new(&sim)};
    rt_random_split(&world->random, options->seed, "workload");
    for (unsigned i = 1; i <= options->nodes; i++) world_node_init(world, i);
    for (unsigned i = 0; i < options->nodes; i++) rt_sim_start(world->sim_nodes[i]);
    for (unsigned i = 0; i < options->clients; i++) world_client_init(world, i);
    world->check.check = world_check_nodes;
    rt_sim_add_check(world->sim, &world->check);
}

void world_close(struct world *world) {
    rt_sim_free(world->sim);
    history_fini(&world->history);
    free(world->leaders);
    free(world->digests);
}
