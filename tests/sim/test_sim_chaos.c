// Chaos over a tiny echo service, for many seeds: every kind of fault strikes, limits hold, and all
// is well again afterwards.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/peer.h"

#define MS RT_NS_PER_MS
#define SECOND RT_NS_PER_S

enum { SERVERS = 3, SEEDS = 100 };

static const char *const server_names[SERVERS] = {"s1", "s2", "s3"};
static const char *const client_names[SERVERS] = {"c1", "c2", "c3"};
static const char *const addresses[SERVERS] = {"tcp://s1:7000", "tcp://s2:7000", "tcp://s3:7000"};

struct cluster {
    struct rt_sim *sim;
    struct peer servers[SERVERS], clients[SERVERS];
    struct rt_sim_node *nodes[SERVERS];
    struct rt_sim_check check;
    unsigned down_max, down_limit;
};

static void count_down(struct rt_sim_check *check, struct rt_sim *sim) {
    struct cluster *cluster = rt_container_of(check, struct cluster, check);
    unsigned down = 0;
    for (unsigned i = 0; i < SERVERS; i++) down += !rt_sim_is_running(cluster->nodes[i]);
    if (down > cluster->down_max) cluster->down_max = down;
    if (down > cluster->down_limit) rt_sim_fail(sim, "%u nodes are down at once", down);
}

static void cluster_open(struct cluster *cluster, const struct rt_sim_options *options) {
    *cluster = (struct cluster){.check.check = count_down, .down_limit = 1};
    cluster->sim = rt_sim_new(options);
    rt_sim_add_check(cluster->sim, &cluster->check);
    for (unsigned i = 0; i < SERVERS; i++) {
        cluster->servers[i] = (struct peer){.listen = "tcp://*:7000", .echoes = true};
        peer_add(&cluster->servers[i], cluster->sim, server_names[i], 2);
        cluster->nodes[i] = cluster->servers[i].node;
    }
    for (unsigned i = 0; i < SERVERS; i++) {
        cluster->clients[i] =
            (struct peer){.dial = addresses[i], .redials = true, .ping_every_ns = 5 * MS};
        peer_add(&cluster->clients[i], cluster->sim, client_names[i], 1);
    }
    rt_sim_connection_patience(cluster->sim, SECOND);
    for (unsigned i = 0; i < SERVERS; i++) rt_sim_start(cluster->nodes[i]);
    rt_sim_run_for(cluster->sim, MS);
    for (unsigned i = 0; i < SERVERS; i++) rt_sim_start(cluster->clients[i].node);
}

static const struct rt_sim_chaos everything = {
    .mean_interval_ns = 50 * MS,
    .crashes = true,
    .power_losses = true,
    .pauses = true,
    .partitions = true,
    .one_way_cuts = true,
    .slow_links = true,
    .resets = true,
    .half_opens = true,
    .clock_jumps = true,
    .bit_rot = true,
    .disk_errors = true,
    .disk_full = true,
};

static void chaos_run(struct cluster *cluster, uint64_t duration_ns) {
    struct rt_sim_chaos chaos = everything;
    chaos.nodes = cluster->nodes;
    chaos.node_count = SERVERS;
    rt_sim_chaos_start(cluster->sim, &chaos);
    rt_sim_run_for(cluster->sim, duration_ns);
    cluster->down_limit = SERVERS;  // mending a disk restarts its node
    rt_sim_chaos_stop(cluster->sim);
}

Test(sim_chaos, all_is_well_after_chaos_whatever_the_seed) {
    unsigned down_max = 0, crashes = 0, closes = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct cluster cluster;
        cluster_open(&cluster, &(struct rt_sim_options){.seed = seed});
        chaos_run(&cluster, 3 * SECOND);
        rt_sim_run_for(cluster.sim, 10 * SECOND);
        for (unsigned i = 0; i < SERVERS; i++) {
            struct peer *client = &cluster.clients[i];
            unsigned before = client->frames;
            cr_assert(rt_sim_is_running(cluster.nodes[i]), "seed %u", (unsigned)seed);
            rt_sim_run_for(cluster.sim, SECOND);
            cr_assert_geq(client->frames, before + 150, "seed %u", (unsigned)seed);
            cr_assert(!client->damaged && !cluster.servers[i].damaged);
            crashes += cluster.servers[i].crashes;
            closes += client->closed;
        }
        if (cluster.down_max > down_max) down_max = cluster.down_max;
        cr_assert(!rt_sim_failed(cluster.sim), "seed %u", (unsigned)seed);
        rt_sim_free(cluster.sim);
    }
    cr_assert_eq(down_max, 1);
    cr_assert_gt(crashes, SEEDS, "crashes do happen");
    cr_assert_gt(closes, SEEDS, "connections do break");
}

Test(sim_chaos, more_nodes_go_down_when_that_is_allowed) {
    struct cluster cluster;
    cluster_open(&cluster, &(struct rt_sim_options){.seed = 1});
    cluster.down_limit = 2;
    struct rt_sim_chaos chaos = {.nodes = cluster.nodes,
                                 .node_count = SERVERS,
                                 .mean_interval_ns = 10 * MS,
                                 .crashed_max = 2,
                                 .crashes = true};
    rt_sim_chaos_start(cluster.sim, &chaos);
    rt_sim_run_for(cluster.sim, 5 * SECOND);
    cr_assert_eq(cluster.down_max, 2);
    rt_sim_free(cluster.sim);
}

Test(sim_chaos, only_what_is_asked_for_strikes) {
    struct cluster cluster;
    cluster_open(&cluster, &(struct rt_sim_options){.seed = 2});
    struct rt_sim_chaos chaos = {
        .nodes = cluster.nodes, .node_count = SERVERS, .mean_interval_ns = 10 * MS, .pauses = true};
    rt_sim_chaos_start(cluster.sim, &chaos);
    rt_sim_run_for(cluster.sim, 5 * SECOND);
    rt_sim_chaos_stop(cluster.sim);
    for (unsigned i = 0; i < SERVERS; i++) {
        cr_assert_eq(cluster.servers[i].crashes, 0);
        cr_assert_eq(cluster.clients[i].closed, 0);
        cr_assert_gt(cluster.clients[i].frames, 100);
    }
    rt_sim_free(cluster.sim);
}

Test(sim_chaos, every_kind_of_fault_strikes) {
    static const char *const kinds[] = {"kill",      "power-loss", "pause",       "partition",
                                        "reset",     "half-open",  "clock",       "one-way-cut",
                                        "slow-link", "bit-rot",    "disk-errors", "disk-full"};
    enum { KINDS = sizeof kinds / sizeof kinds[0] };
    char path[] = "/tmp/geminga-chaos-XXXXXX";
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    struct cluster cluster;
    cluster_open(&cluster, &(struct rt_sim_options){.seed = 3, .trace_path = path});
    chaos_run(&cluster, 10 * SECOND);
    rt_sim_free(cluster.sim);

    unsigned seen[KINDS] = {0};
    FILE *trace = fdopen(fd, "r");
    char line[2048], kind[64], fault[64];
    while (fgets(line, sizeof line, trace)) {
        if (sscanf(line, "%*s %*s %63s %*s %63s", kind, fault) != 2) continue;
        if (strcmp(kind, "chaos") != 0) continue;
        for (unsigned i = 0; i < KINDS; i++) seen[i] += strcmp(fault, kinds[i]) == 0;
    }
    fclose(trace);
    remove(path);
    for (unsigned i = 0; i < KINDS; i++) cr_assert_gt(seen[i], 0, "%s never struck", kinds[i]);
}
