// Whole stories: transcripts that can be read, and the seeds' random ones.
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "meta/raft/bugs.h"
#include "tests/unit/raft/cluster.h"

enum { CHAOS_SEEDS = 300, CHAOS_TICKS = 400, CONVERGE_TICKS = 2500 };

static void assert_sound(const struct cluster *c) {
    cr_assert_not(cluster_has_failed(c), "%s", c->failure);
}

Test(raft_cluster, elects_and_replicates) {
    static struct cluster c;
    struct cluster_options options = cluster_options_default(5);
    cluster_init(&c, &options);
    cluster_trace_begin(&c);
    cr_assert_eq(cluster_elect(&c, 0), 2);
    cr_assert_eq(cluster_propose(&c, 2, "hello"), RT_OK);
    cluster_settle(&c);
    cr_assert_str_eq(cluster_trace(&c),
                     "2>1 pre-vote t2 last=1/1\n"
                     "2>3 pre-vote t2 last=1/1\n"
                     "1>2 pre-vote-reply t2 granted\n"
                     "3>2 pre-vote-reply t2 granted\n"
                     "2>1 vote t2 last=1/1\n"
                     "2>3 vote t2 last=1/1\n"
                     "1>2 vote-reply t2 granted\n"
                     "3>2 vote-reply t2 granted\n"
                     "2 leads t2\n"
                     "2>1 append t2 prev=1/1 entries=1 commit=1\n"
                     "2>3 append t2 prev=1/1 entries=1 commit=1\n"
                     "1>2 append-reply t2 match=2\n"
                     "3>2 append-reply t2 match=2\n"
                     "2>1 append t2 prev=2/2 entries=0 commit=2\n"
                     "2>3 append t2 prev=2/2 entries=0 commit=2\n"
                     "1>2 append-reply t2 match=2\n"
                     "3>2 append-reply t2 match=2\n"
                     "2>1 append t2 prev=2/2 entries=1 commit=2\n"
                     "2>3 append t2 prev=2/2 entries=1 commit=2\n"
                     "1>2 append-reply t2 match=3\n"
                     "3>2 append-reply t2 match=3\n"
                     "2>1 append t2 prev=3/2 entries=0 commit=3\n"
                     "2>3 append t2 prev=3/2 entries=0 commit=3\n"
                     "1>2 append-reply t2 match=3\n"
                     "3>2 append-reply t2 match=3\n");
    for (unsigned id = 1; id <= 3; id++) cr_assert_eq(c.nodes[id].state.applied, 3);
    assert_sound(&c);
    cluster_fini(&c);
}

Test(raft_cluster, divergent_follower_is_found_in_one_probe_per_term) {
    static struct cluster c;
    struct cluster_options options = cluster_options_default(5);
    cluster_init(&c, &options);
    uint64_t old = cluster_elect(&c, 0);
    cluster_isolate(&c, old, true);
    for (unsigned i = 0; i < 20; i++) cr_assert_eq(cluster_propose(&c, old, "lost"), RT_OK);
    cluster_run(&c, 40);
    uint64_t next = cluster_elect(&c, 0);
    cr_assert_neq(next, old);
    for (unsigned i = 0; i < 5; i++) cr_assert_eq(cluster_propose(&c, next, "kept"), RT_OK);
    cluster_settle(&c);
    cluster_trace_begin(&c);
    cluster_isolate(&c, old, false);
    cluster_run(&c, 10);
    unsigned rejects = 0;
    for (const char *at = cluster_trace(&c); (at = strstr(at, "rejected=")); at++) rejects++;
    cr_assert_leq(rejects, 3, "%s", cluster_trace(&c));
    cr_assert_eq(c.nodes[old].state.applied, c.nodes[next].state.applied);
    assert_sound(&c);
    cluster_fini(&c);
}

Test(raft_cluster, isolated_node_does_not_disturb_when_it_returns) {
    static struct cluster c;
    struct cluster_options options = cluster_options_default(7);
    cluster_init(&c, &options);
    uint64_t leader = cluster_elect(&c, 0), other = leader % 3 + 1;
    uint64_t term = c.nodes[leader].status.term;
    cluster_isolate(&c, other, true);
    cluster_run(&c, 200);
    cluster_isolate(&c, other, false);
    cluster_run(&c, 50);
    cr_assert_eq(cluster_leader(&c)->id, leader);
    cr_assert_eq(c.nodes[leader].status.term, term, "pre-votes cost no term");
    assert_sound(&c);
    cluster_fini(&c);
}

Test(raft_cluster, leader_that_is_not_heard_back_is_replaced) {
    static struct cluster c;
    struct cluster_options options = cluster_options_default(8);
    cluster_init(&c, &options);
    uint64_t deaf = cluster_elect(&c, 0);
    for (unsigned id = 1; id <= 3; id++) {
        if (id != deaf) cluster_cut(&c, id, deaf, true);
    }
    cluster_run(&c, 60);
    cr_assert_neq(cluster_elect(&c, 0), deaf);
    assert_sound(&c);
    cluster_fini(&c);
}

Test(raft_cluster, leadership_moves_on_request_without_a_timeout) {
    static struct cluster c;
    struct cluster_options options = cluster_options_default(9);
    cluster_init(&c, &options);
    uint64_t leader = cluster_elect(&c, 0), target = leader % 3 + 1;
    uint64_t before = c.now;
    cr_assert_eq(cluster_elect(&c, target), target);
    cr_assert_leq(c.now - before, 3);
    assert_sound(&c);
    cluster_fini(&c);
}

Test(raft_cluster, node_behind_the_log_gets_a_snapshot_in_chunks) {
    static struct cluster c;
    struct cluster_options options = cluster_options_default(10);
    options.core.trailing_entries = 0;
    options.core.snapshot_chunk_bytes = 20;
    options.core.snapshot_chunks_ahead = 2;
    cluster_init(&c, &options);
    uint64_t leader = cluster_elect(&c, 0), late = leader % 3 + 1;
    cluster_isolate(&c, late, true);
    for (unsigned i = 0; i < 30; i++) cr_assert_eq(cluster_propose(&c, leader, "entry"), RT_OK);
    cluster_run(&c, 30);
    cluster_take_snapshot(&c, leader);
    cluster_settle(&c);
    cr_assert_gt(c.nodes[leader].status.log_base.index, 20);
    cluster_isolate(&c, late, false);
    cluster_trace_begin(&c);
    cluster_run(&c, 60);
    cr_assert_not_null(strstr(cluster_trace(&c), "offset=40"));
    cr_assert_eq(c.snapshots_installed, 1);
    cr_assert_eq(c.nodes[late].state.applied, c.nodes[leader].state.applied);
    assert_sound(&c);
    cluster_fini(&c);
}

Test(raft_cluster, whole_cluster_is_replaced_while_it_works) {
    static struct cluster c;
    struct cluster_options options = cluster_options_default(11);
    options.nodes = 6;
    cluster_init(&c, &options);
    uint64_t leader = cluster_elect(&c, 0);
    struct raft_config target = {0};
    for (unsigned id = 4; id <= 6; id++) {
        cluster_restart(&c, id);
        cr_assert_eq(raft_config_put(&target, id, RAFT_VOTER, "new:1"), RT_OK);
    }
    cr_assert_eq(cluster_change(&c, leader, &target), RT_OK);
    cluster_run(&c, 100);
    leader = cluster_elect(&c, 0);
    cr_assert_geq(leader, 4);
    for (unsigned id = 1; id <= 3; id++) cr_assert(c.nodes[id].removed, "%u was not told", id);
    cr_assert_eq(cluster_propose(&c, leader, "new times"), RT_OK);
    cluster_run(&c, 10);
    for (unsigned id = 4; id <= 6; id++) {
        cr_assert_eq(c.nodes[id].state.applied, c.nodes[leader].status.last);
    }
    assert_sound(&c);
    cluster_fini(&c);
}

// The log of the node that leaves is ahead of everybody's: without it nobody could be elected.
Test(raft_cluster, leaving_leader_that_is_ahead_may_still_lead) {
    static struct cluster c;
    struct cluster_options options = chaos_options(844);
    options.founders = 1;
    options.nodes = 2;
    options.drop_ppm = options.duplicate_ppm = 0;
    options.disk_delay_max = 0;
    cluster_init(&c, &options);
    cr_assert_eq(cluster_elect(&c, 1), 1);
    cluster_restart(&c, 2);
    struct raft_config target = {0};
    cr_assert_eq(raft_config_put(&target, 2, RAFT_VOTER, "new:1"), RT_OK);
    cr_assert_eq(cluster_change(&c, 1, &target), RT_OK);
    while (!cluster_has_failed(&c) && raft_config_is_member(raft_config(c.nodes[1].raft), 1)) {
        cluster_tick(&c);
    }
    cluster_cut(&c, 1, 2, true);  // the new configuration is on node 1 alone
    cluster_crash(&c, 1);
    cluster_restart(&c, 1);
    cluster_converge(&c, CONVERGE_TICKS);
    cr_assert_eq(cluster_leader(&c)->id, 2);
    assert_sound(&c);
    cluster_fini(&c);
}

// RANDOM STORIES

static void chaos(struct cluster *c, const struct cluster_options *options) {
    cluster_init(c, options);
    if (!cluster_has_failed(c)) chaos_run(c, CHAOS_TICKS);
    if (!cluster_has_failed(c)) cluster_converge(c, CONVERGE_TICKS);
}

Test(raft_chaos, invariants_hold_for_every_seed, .timeout = 100) {
    static struct cluster c;
    uint64_t steps = 0, elections = 0, snapshots = 0, changes = 0, reads = 0;
    for (uint64_t seed = 1; seed <= CHAOS_SEEDS; seed++) {
        struct cluster_options options = chaos_options(seed);
        chaos(&c, &options);
        assert_sound(&c);
        steps += c.steps;
        elections += c.elections;
        snapshots += c.snapshots_installed;
        changes += c.changes;
        for (unsigned id = 1; id <= NODES_MAX; id++) reads += c.nodes[id].reads_done;
        cluster_fini(&c);
    }
    // A run in which nothing happens proves nothing.
    cr_assert_gt(steps, 500 * CHAOS_SEEDS);
    cr_assert_gt(elections, 2 * CHAOS_SEEDS);
    cr_assert_gt(snapshots, 10);
    cr_assert_gt(changes, CHAOS_SEEDS / 2);
    cr_assert_gt(reads, CHAOS_SEEDS);
}

Test(raft_chaos, same_seed_same_story) {
    static struct cluster a, b;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct cluster_options options = chaos_options(seed);
        chaos(&a, &options);
        chaos(&b, &options);
        cr_assert_eq(a.steps, b.steps);
        cr_assert_eq(a.committed.count, b.committed.count);
        size_t last = a.committed.count - 1;
        cr_assert_eq(a.committed.chains[last], b.committed.chains[last]);
        cluster_fini(&a);
        cluster_fini(&b);
    }
}

// In a child, because an assertion of the core may be what finds the bug.
static bool finds(const struct cluster_options *options) {
    static struct cluster c;
    fflush(NULL);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        fclose(stderr);
        alarm(20);
        chaos(&c, options);
        _exit(cluster_has_failed(&c));
    }
    int status = 0;
    waitpid(child, &status, 0);
    return status != 0;
}

static const struct mutant {
    const char *name;
    unsigned core, driver;
    bool indirect;  // by its consequences, not by looking at what is said and what is on disk
    unsigned seeds_max;
} mutants[] = {
    {"cuts the log on every append", RAFT_BUG_TRUNCATE_ALWAYS, 0, false, 300},
    {"reads before the no-op", RAFT_BUG_READ_BEFORE_NOOP, 0, true, 300},
    {"changes members before the no-op", RAFT_BUG_CHANGE_BEFORE_NOOP, 0, true, 300},
    {"counts itself before its disk", RAFT_BUG_COUNT_SELF_EARLY, 0, true, 300},
    {"takes stale reports for new", RAFT_BUG_WRITTEN_BY_INDEX, 0, false, 300},
    {"takes an old round for a new one", RAFT_BUG_READ_OLD_ROUND, 0, true, 300},
    {"forgets the old set of a change", RAFT_BUG_JOINT_NEW_ONLY, 0, false, 300},
    {"counts learners", RAFT_BUG_LEARNERS_COUNT, 0, true, 300},
    {"votes for shorter logs", RAFT_BUG_VOTE_FOR_SHORTER, 0, true, 300},
    {"votes twice", RAFT_BUG_VOTE_TWICE, 0, true, 300},
    {"commits by heartbeat alone", RAFT_BUG_HEARTBEAT_COMMIT, 0, true, 300},
    {"forgets what it acknowledged and lost", RAFT_BUG_REPAIR_FORGOTTEN, 0, true, 300},
    {"driver forgets votes", 0, DRIVER_FORGETS_VOTES, true, 300},
    {"driver sends before the log is written", 0, DRIVER_SENDS_BEFORE_LOG, false, 300},
    {"driver sends before the vote is written", 0, DRIVER_SENDS_BEFORE_HARD_STATE, false, 300},
    {"driver reports the log early", 0, DRIVER_REPORTS_LOG_EARLY, true, 300},
};

// More of the faults that a bug needs to show.
static void provoke(struct cluster_options *options, unsigned bug) {
    if (bug == RAFT_BUG_CHANGE_BEFORE_NOOP) options->odds.change = 300;
    if (bug != RAFT_BUG_REPAIR_FORGOTTEN) return;
    options->founders = options->nodes = 3;
    options->odds.change = 0;
    options->odds.rot = 80;
    options->odds.cut = 150;
    options->odds.crash = 50;
}

Test(raft_chaos, every_planted_bug_is_found, .timeout = 100) {
    for (size_t i = 0; i < sizeof(mutants) / sizeof(mutants[0]); i++) {
        bool found = false;
        for (unsigned seed = 0; seed < mutants[i].seeds_max && !found; seed++) {
            struct cluster_options options = chaos_options(seed);
            options.planted_bugs = mutants[i].core;
            options.driver_bugs = mutants[i].driver;
            options.indirect_only = mutants[i].indirect;
            provoke(&options, mutants[i].core);
            found = finds(&options);
        }
        cr_assert(found, "not found within %u seeds: %s", mutants[i].seeds_max, mutants[i].name);
    }
}
