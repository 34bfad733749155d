// A metadata cluster of five under every kind of fault: the invariants of Raft after every event,
// and at the end the histories of all clients.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/meta/world.h"

enum { SEEDS = 500 };

#define REPLAY "GEMINGA_SEED=%llu ./test sim/meta"

struct goal {
    struct rt_sim_condition condition;
    struct world *world;
    uint64_t acked;
};

static bool serves_again(struct rt_sim_condition *condition) {
    struct goal *goal = rt_container_of(condition, struct goal, condition);
    return world_acked(goal->world) >= goal->acked;
}

static bool clients_over(struct rt_sim_condition *condition) {
    return world_clients_are_over(rt_container_of(condition, struct goal, condition)->world);
}

// All nodes run, agree on everything, and no session or ephemeral is left of clients that are gone.
static bool converged(struct rt_sim_condition *condition) {
    struct world *world = rt_container_of(condition, struct goal, condition)->world;
    struct meta_store_totals first = {0};
    bool any = false;
    for (unsigned i = 0; i < world->options.nodes; i++) {
        struct meta_node *node = world->nodes[i].node;
        if (world->nodes[i].retired) continue;
        if (!node || !rt_sim_is_running(world->sim_nodes[i])) return false;
        struct meta_store *store = meta_replica_store(meta_node_replica(node));
        struct meta_store_totals totals = meta_store_totals(store);
        if (totals.ephemerals || meta_store_session_count(store)) return false;
        if (!any) first = totals;
        any = true;
        bool same = totals.applied.index == first.applied.index && totals.digest == first.digest;
        if (!same) return false;
    }
    return true;
}

static void world_live(struct world *world) {
    struct goal goal = {.world = world};
    struct rt_sim_chaos chaos = {.nodes = world->sim_nodes,
                                 .node_count = world->options.nodes,
                                 .mean_interval_ns = 300 * RT_NS_PER_MS,
                                 .crashed_max = (world->options.nodes - 1) / 2,
                                 .crashes = true,
                                 .power_losses = true,
                                 .pauses = true,
                                 .partitions = true,
                                 .one_way_cuts = true,
                                 .slow_links = true,
                                 .resets = true,
                                 .half_opens = true,
                                 .clock_jumps = true,
                                 .bit_rot = world->options.bit_rot,
                                 .disk_errors = world->options.disk_errors,
                                 .disk_full = world->options.disk_errors};
    rt_sim_run_for(world->sim, 3 * RT_NS_PER_S);
    rt_sim_chaos_start(world->sim, &chaos);
    rt_sim_run_for(world->sim, 8 * RT_NS_PER_S);
    rt_sim_chaos_stop(world->sim);
    unsigned retired = 0;
    for (unsigned i = 0; i < world->options.nodes; i++) retired += world->nodes[i].retired;
    if (2 * (world->options.nodes - retired) <= world->options.nodes) return;  // no quorum is left
    goal.acked = world_acked(world) + 20;
    goal.condition.done = serves_again;
    if (!rt_sim_run_until(world->sim, &goal.condition, 120 * RT_NS_PER_S))
        rt_sim_fail(world->sim, "no write acknowledged after the faults ended");
    world_stop_clients(world);
    goal.condition.done = clients_over;
    if (!rt_sim_run_until(world->sim, &goal.condition, 120 * RT_NS_PER_S))
        rt_sim_fail(world->sim, "a client could not close its session");
    goal.condition.done = converged;
    if (!rt_sim_run_until(world->sim, &goal.condition, 120 * RT_NS_PER_S))
        rt_sim_fail(world->sim, "the nodes do not come to one state without sessions");
}

struct outcome {
    bool failed;
    char failure[640];
    uint64_t hash, events, acked, operations;
};

static struct outcome world_run(const struct world_options *options) {
    static struct world world;
    struct outcome outcome = {0};
    char text[512] = "";
    world_open(&world, options);
    world_live(&world);
    if (!rt_sim_failed(world.sim) && !history_check(&world.history, text, sizeof(text)))
        rt_sim_fail(world.sim, "history: %s", text);
    outcome.failed = rt_sim_failed(world.sim);
    if (outcome.failed)
        snprintf(outcome.failure, sizeof(outcome.failure), "%s", rt_sim_failure(world.sim));
    outcome.hash = rt_sim_trace_hash(world.sim);
    outcome.events = rt_sim_events(world.sim);
    outcome.acked = world_acked(&world);
    outcome.operations = world.history.count;
    world_close(&world);
    return outcome;
}

static struct world_options options_of(uint64_t seed) {
    return (struct world_options){.seed = seed,
                                  .nodes = 5,
                                  .clients = 3,
                                  .snapshot_entries = seed % 3 == 0 ? 50 : 2000,
                                  .disk_errors = seed % 4 == 0,
                                  .bit_rot = seed % 5 == 0,
                                  .replay = REPLAY};
}

static uint64_t number_from_environment(const char *name) {
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : 0;
}

// GEMINGA_SEEDS runs so many seeds, from GEMINGA_SEED on; GEMINGA_SEED alone runs that one.
Test(sim_meta_cluster, clients_see_one_history_whatever_fails, .timeout = 100000) {
    uint64_t only = number_from_environment("GEMINGA_SEED");
    uint64_t count = number_from_environment("GEMINGA_SEEDS");
    uint64_t first = only ? only : 1;
    uint64_t last = first + (count ? count : only ? 1 : SEEDS) - 1;
    uint64_t acked = 0, operations = 0;
    for (uint64_t seed = first; seed <= last; seed++) {
        struct world_options options = options_of(seed);
        struct outcome outcome = world_run(&options);
        cr_assert(!outcome.failed, "seed %llu: %s", (unsigned long long)seed, outcome.failure);
        acked += outcome.acked;
        operations += outcome.operations;
    }
    cr_assert(acked > (last - first + 1) * 20, "the workload did nothing");
    fprintf(stderr, "%llu seeds: %llu operations, %llu writes acknowledged\n",
            (unsigned long long)(last - first + 1), (unsigned long long)operations,
            (unsigned long long)acked);
}

Test(sim_meta_cluster, a_seed_replays_to_the_same_trace) {
    struct world_options options = options_of(7), others = options_of(8);
    struct outcome once = world_run(&options), again = world_run(&options);
    struct outcome other = world_run(&others);
    cr_assert_eq(once.hash, again.hash);
    cr_assert_eq(once.events, again.events);
    cr_assert_neq(once.hash, other.hash);
}

Test(sim_meta_cluster, acknowledging_before_the_disk_has_it_is_found, .timeout = 300) {
    uint64_t found = 0;
    for (uint64_t seed = 1; seed <= 200 && !found; seed++) {
        struct world_options options = options_of(seed);
        options.no_sync = true;
        if (world_run(&options).failed) found = seed;
    }
    cr_assert_neq(found, 0, "the simulator did not see a lost acknowledged write");
}
