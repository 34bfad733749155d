// Random faults and requests. Every run draws its own kinds of trouble: some have none of a kind,
// some much, and limits are drawn down to one entry per message.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/raft/cluster.h"

static uint32_t maybe(struct rt_random *random, uint32_t most) {
    return rt_random_below(random, 2) ? (uint32_t)rt_random_below(random, most) : 0;
}

struct cluster_options chaos_options(uint64_t seed) {
    struct rt_random random;
    rt_random_split(&random, seed, "options");
    struct cluster_options options = cluster_options_default(seed);
    options.founders = 1 + (unsigned)rt_random_below(&random, 5);
    options.nodes = options.founders + (unsigned)rt_random_below(&random, 4);
    if (options.nodes > NODES_MAX) options.nodes = NODES_MAX;
    options.delay_max = (unsigned)rt_random_below(&random, 1 + rt_random_below(&random, 6));
    options.disk_delay_max = (unsigned)rt_random_below(&random, 6);
    options.drop_ppm = maybe(&random, 300000);
    options.duplicate_ppm = maybe(&random, 200000);
    options.odds.propose = 50 + (unsigned)rt_random_below(&random, 600);
    options.odds.read = maybe(&random, 300);
    options.odds.snapshot = maybe(&random, 100);
    options.odds.crash = maybe(&random, 100);
    options.odds.cut = maybe(&random, 150);
    options.odds.change = maybe(&random, 60);
    options.odds.transfer = maybe(&random, 60);
    options.odds.lose = maybe(&random, 30);
    options.odds.pause = maybe(&random, 60);
    options.odds.rot = maybe(&random, 30);
    // With fewer than three voters there is no second copy to repair from.
    if (options.founders < 3 || options.odds.change) options.odds.rot = 0;
    struct raft_options *core = &options.core;
    core->election_ticks = 10;
    core->heartbeat_ticks = 1 + (unsigned)rt_random_below(&random, 3);
    core->append_entries_max = 1 + rt_random_below(&random, 8);
    core->append_bytes_max = 1 + rt_random_below(&random, 200);
    core->inflight_messages_max = 1 + rt_random_below(&random, 8);
    core->inflight_bytes_max = 1 + rt_random_below(&random, 1000);
    core->uncommitted_bytes_max = 50 + rt_random_below(&random, 2000);
    core->entry_bytes_max = 1000;
    core->cache_bytes_max = rt_random_below(&random, 4000);
    core->apply_bytes_max = 1 + rt_random_below(&random, 200);
    core->snapshot_chunk_bytes = 16 + rt_random_below(&random, 100);
    core->snapshot_chunks_ahead = 1 + (unsigned)rt_random_below(&random, 4);
    core->trailing_entries = rt_random_below(&random, 30);
    core->lagging_entries_max = rt_random_below(&random, 30);
    core->reads_max = 100;
    return options;
}

static uint64_t any_node(struct cluster *c) {
    return 1 + rt_random_below(&c->random, c->options.nodes);
}

// Mostly whoever leads, sometimes one that only thinks so, or does not.
static uint64_t likely_leader(struct cluster *c) {
    uint64_t id = any_node(c);
    for (unsigned i = 0; i < c->options.nodes; i++) {
        struct node *node = &c->nodes[1 + (id + i) % c->options.nodes];
        if (node->raft && node->status.role == RAFT_LEADER) return node->id;
    }
    return id;
}

static void propose_some(struct cluster *c) {
    char text[64];
    uint64_t count = 1 + rt_random_below(&c->random, 3);
    uint64_t id = likely_leader(c);
    for (uint64_t i = 0; i < count; i++) {
        int pad = (int)rt_random_below(&c->random, 40);
        snprintf(text, sizeof(text), "%" PRIu64 "%*s", c->proposals, pad, "");
        RT_IGNORE(cluster_propose(c, id, text));  // refusals are counted
    }
}

static void cut_some(struct cluster *c) {
    if (rt_random_below(&c->random, 2)) {
        memset(c->cut, 0, sizeof(c->cut));
        return;
    }
    switch (rt_random_below(&c->random, 4)) {
    case 0: cluster_isolate(c, any_node(c), true); break;
    case 1: cluster_cut(c, any_node(c), any_node(c), true); break;
    case 2: cluster_isolate(c, likely_leader(c), true); break;
    default: {  // one node hears nobody, and is heard
        uint64_t deaf = any_node(c);
        for (unsigned id = 1; id <= c->options.nodes; id++) cluster_cut(c, id, deaf, true);
    }
    }
}

static void crash_some(struct cluster *c) {
    uint64_t id = rt_random_below(&c->random, 2) ? likely_leader(c) : any_node(c);
    if (c->nodes[id].raft) {
        cluster_crash(c, id);
        if (rt_random_below(&c->random, 2)) cluster_restart(c, id);
    } else {
        cluster_restart(c, id);
    }
}

static void change_some(struct cluster *c) {
    uint64_t leader = likely_leader(c);
    if (!c->nodes[leader].raft) return;
    struct raft_config target = {0};
    const struct raft_config *now = raft_config(c->nodes[leader].raft);
    for (unsigned id = 1; id <= c->options.nodes; id++) {
        static const unsigned roles[] = {0, RAFT_VOTER, RAFT_VOTER, RAFT_LEARNER};
        bool was = raft_config_is_member(now, id);
        // An id that is gone stays gone.
        bool gone = !was && (id <= c->options.founders || c->nodes[id].removed ||
                             c->nodes[id].disk.hard_state.term > 0);
        if (gone) continue;
        unsigned role = roles[rt_random_below(&c->random, 4)];
        if (was && rt_random_below(&c->random, 2)) {
            role = raft_config_find(now, id)->roles & (RAFT_VOTER | RAFT_LEARNER);
        }
        if (!role) continue;
        RT_IGNORE(raft_config_put(&target, id, role, "x:1"));  // fits
    }
    if (cluster_change(c, leader, &target) != RT_OK) return;
    for (unsigned id = 1; id <= c->options.nodes; id++) cluster_restart(c, id);
}

static void ask_transfer(struct cluster *c) {
    struct raft_event event = {.kind = RAFT_TRANSFER_ASKED};
    RT_IGNORE(cluster_event(c, likely_leader(c), &event));  // may be refused
}

static void lose_some(struct cluster *c) {
    struct raft_event event = {.kind = RAFT_PEER_LOST, .peer = any_node(c)};
    RT_IGNORE(cluster_event(c, likely_leader(c), &event));  // never refused
}

static void pause_some(struct cluster *c) {
    uint64_t id = rt_random_below(&c->random, 2) ? likely_leader(c) : any_node(c);
    uint64_t ticks = rt_random_below(&c->random, 4 * c->options.core.election_ticks);
    c->nodes[id].paused_until = c->now + ticks;
}

static void rot_some(struct cluster *c) {
    cluster_rot(c, any_node(c));
}

static void read_some(struct cluster *c) {
    uint64_t id = rt_random_below(&c->random, 2) ? likely_leader(c) : any_node(c);
    RT_IGNORE(cluster_read(c, id));  // may be down
}

static void snapshot_some(struct cluster *c) {
    cluster_take_snapshot(c, any_node(c));
}

static void act(struct cluster *c) {
    const struct {
        unsigned odds;
        void (*run)(struct cluster *c);
    } acts[] = {
        {c->options.odds.propose, propose_some},   {c->options.odds.read, read_some},
        {c->options.odds.snapshot, snapshot_some}, {c->options.odds.crash, crash_some},
        {c->options.odds.cut, cut_some},           {c->options.odds.change, change_some},
        {c->options.odds.transfer, ask_transfer},  {c->options.odds.lose, lose_some},
        {c->options.odds.pause, pause_some},       {c->options.odds.rot, rot_some},
    };
    for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]) && !cluster_has_failed(c); i++) {
        if (rt_random_below(&c->random, 1000) < acts[i].odds) acts[i].run(c);
    }
}

void chaos_run(struct cluster *c, unsigned ticks) {
    while (ticks-- && !cluster_has_failed(c)) {
        act(c);
        if (!cluster_has_failed(c)) cluster_tick(c);
    }
}
