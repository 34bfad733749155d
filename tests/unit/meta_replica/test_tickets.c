// Who waits for an outcome that may never come is told so; reads that wait for the leader; closing.
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/meta_replica/stage.h"

enum { SEED = 11 };

static void open_three(struct stage *stage) {
    stage_open(stage, 3, 3, SEED);
    stage_start_all(stage);
    stage_session(stage, stage_leader(stage), 77, 30000);
}

static uint64_t follower_of(uint64_t leader) {
    return leader == 1 ? 2 : 1;
}

static void cut_off(struct stage *stage, uint64_t id) {
    for (uint64_t other = 1; other <= stage->count; other++) {
        if (other != id) stage_cut(stage, id, other);
    }
}

Test(meta_replica_tickets, a_leader_that_is_cut_off_says_that_outcomes_are_unknown) {
    struct stage stage;
    uint64_t first;
    open_three(&stage);
    uint64_t old = stage_leader(&stage);
    struct stage_node *node = stage_node(&stage, old);
    cut_off(&stage, old);
    size_t before = node->outcome_count;
    cr_assert_eq(stage_submit_many(node, "a", 20, &first), 20);
    stage_pass(&stage, 5000);
    cr_assert_eq(node->interrupted, 1);
    cr_assert_eq(node->outcome_count, before);
    cr_assert_eq(stage_status(node).outstanding, 0);
    cr_assert_eq(stage_submit_many(node, "b", 1, &first), 0);
    stage_heal(&stage);
    stage_agree(&stage);
    cr_assert_eq(node->outcome_count, before, "what was cut off is in nobody's log");
    cr_assert_null(stage_find(node, "/a0"));
    stage_close(&stage);
}

Test(meta_replica_tickets, a_follower_whose_leader_is_gone_says_so_and_goes_on_with_the_next) {
    struct stage stage;
    uint64_t first, again;
    open_three(&stage);
    uint64_t old = stage_leader(&stage);
    struct stage_node *node = stage_node(&stage, follower_of(old));
    stage_crash(&stage, old, RT_SIM_POWER_LOSS);
    cr_assert_eq(stage_submit_many(node, "a", 20, &first), 20);
    stage_leader(&stage);
    cr_assert_eq(node->interrupted, 1);
    cr_assert_eq(stage_status(node).outstanding, 0);
    size_t before = node->outcome_count;
    cr_assert_eq(stage_submit_many(node, "b", 20, &again), 20);
    stage_pass(&stage, 2000);
    cr_assert_eq(node->outcome_count, before + 20);
    cr_assert_eq(node->interrupted, 1);
    stage_start_all(&stage);
    stage_agree(&stage);
    stage_close(&stage);
}

// The connection breaks and the leader stays: what was on its way may be lost, and nobody is told
// twice of what was not.
Test(meta_replica_tickets, a_broken_connection_to_the_leader_interrupts_those_that_wait) {
    struct stage stage;
    uint64_t first, again;
    open_three(&stage);
    uint64_t leader = stage_leader(&stage);
    struct stage_node *node = stage_node(&stage, follower_of(leader));
    cr_assert_eq(stage_submit_many(node, "a", 50, &first), 50);
    rt_sim_reset_connections(stage.sim, node->sim_node, stage_node(&stage, leader)->sim_node);
    stage_pass(&stage, 20);
    cr_assert_eq(node->interrupted, 1);
    cr_assert_eq(stage_status(node).outstanding, 0);
    cr_assert_eq(stage_leader(&stage), leader);
    stage_pass(&stage, 3000);
    size_t before = node->outcome_count;
    cr_assert_eq(stage_submit_many(node, "b", 50, &again), 50);
    stage_pass(&stage, 2000);
    cr_assert_eq(node->outcome_count, before + 50);
    for (size_t i = 1; i < node->outcome_count; i++)
        cr_assert_lt(node->outcomes[i - 1].zxid, node->outcomes[i].zxid, "told once");
    stage_close(&stage);
}

Test(meta_replica_tickets, without_anything_under_way_nobody_is_interrupted) {
    struct stage stage;
    open_three(&stage);
    stage_crash(&stage, stage_leader(&stage), RT_SIM_KILL);
    stage_leader(&stage);
    for (unsigned i = 0; i < 3; i++) cr_assert_eq(stage.nodes[i].interrupted, 0);
    stage_close(&stage);
}

Test(meta_replica_tickets, tickets_are_not_used_again_after_a_restart) {
    struct stage stage;
    uint64_t first, again;
    open_three(&stage);
    struct stage_node *node = stage_node(&stage, 1);
    cr_assert_eq(stage_submit_many(node, "a", 1, &first), 1);
    stage_pass(&stage, 500);
    stage_crash(&stage, 1, RT_SIM_KILL);
    stage_start(&stage, 1);
    stage_leader(&stage);
    stage_pass(&stage, 500);
    cr_assert_eq(stage_submit_many(node, "b", 1, &again), 1);
    cr_assert(again - first > 1000000, "no luck with the seed, or counted from one");
    stage_close(&stage);
}

// SYNC

struct waiter {
    struct meta_sync sync;
    struct stage_node *node;
    unsigned calls;
    rt_err err;
    uint64_t applied;
};

static void on_synced(struct meta_sync *sync, rt_err err) {
    struct waiter *waiter = rt_container_of(sync, struct waiter, sync);
    waiter->calls++;
    waiter->err = err;
    waiter->applied = meta_store_totals(meta_replica_store(waiter->node->replica)).applied.index;
}

static void sync_piece(struct stage_node *node, void *argument) {
    struct waiter *waiter = argument;
    waiter->node = node;
    waiter->sync.done = on_synced;
    rt_list_init(&waiter->sync.link);
    meta_replica_sync(node->replica, &waiter->sync);
}

static void cancel_piece(struct stage_node *node, void *argument) {
    struct waiter *waiter = argument;
    meta_replica_sync_cancel(node->replica, &waiter->sync);
}

Test(meta_replica_tickets, a_sync_sees_all_that_was_answered_before_anywhere) {
    struct stage stage;
    open_three(&stage);
    uint64_t leader = stage_leader(&stage);
    struct waiter waiters[3] = {{.calls = 0}};
    stage_fill(stage_node(&stage, leader), "a", 20);
    uint64_t last = stage_totals(stage_node(&stage, leader)).applied.index;
    for (unsigned i = 0; i < 3; i++) stage_run(&stage.nodes[i], sync_piece, &waiters[i]);
    stage_pass(&stage, 1000);
    for (unsigned i = 0; i < 3; i++) {
        cr_assert_eq(waiters[i].calls, 1);
        cr_assert_eq(waiters[i].err, RT_OK);
        cr_assert_geq(waiters[i].applied, last);
    }
    stage_close(&stage);
}

Test(meta_replica_tickets, a_sync_that_no_leader_answers_ends_with_an_error) {
    struct stage stage;
    struct waiter waiter = {.calls = 0};
    open_three(&stage);
    struct stage_node *node = stage_node(&stage, follower_of(stage_leader(&stage)));
    cut_off(&stage, node->options.node_id);
    stage_run(node, sync_piece, &waiter);
    stage_pass(&stage, 60000);
    cr_assert_eq(waiter.calls, 1);
    cr_assert_eq(waiter.err, RT_ETIMEDOUT);
    stage_heal(&stage);
    stage_close(&stage);
}

Test(meta_replica_tickets, a_sync_that_was_canceled_is_not_heard_of) {
    struct stage stage;
    struct waiter early = {.calls = 0}, late = {.calls = 0};
    open_three(&stage);
    struct stage_node *node = stage_node(&stage, follower_of(stage_leader(&stage)));
    stage_run(node, sync_piece, &early);
    stage_run(node, cancel_piece, &early);
    cut_off(&stage, node->options.node_id);
    stage_run(node, sync_piece, &late);
    stage_pass(&stage, 10);
    stage_run(node, cancel_piece, &late);
    stage_heal(&stage);
    stage_pass(&stage, 60000);
    cr_assert_eq(early.calls + late.calls, 0);
    stage_close(&stage);
}

// STATUS

Test(meta_replica_tickets, status_says_who_leads_and_who_is_connected) {
    struct stage stage;
    open_three(&stage);
    uint64_t leader = stage_leader(&stage);
    for (unsigned i = 0; i < 3; i++) {
        struct meta_replica_status status = stage_status(&stage.nodes[i]);
        cr_assert(status.is_serving);
        cr_assert_not(status.is_alone);
        cr_assert_eq(status.raft.id, i + 1);
        cr_assert_eq(status.raft.leader, leader);
        cr_assert_eq(status.leaderless_ns, 0);
        cr_assert_eq(status.peers_connected, 2);
        cr_assert_eq(status.cluster, stage_status(&stage.nodes[0]).cluster);
        cr_assert_gt(status.applied_entries, 1);
    }
    stage_close(&stage);
}

Test(meta_replica_tickets, status_says_since_when_there_is_no_leader) {
    struct stage stage;
    open_three(&stage);
    struct stage_node *node = stage_node(&stage, follower_of(stage_leader(&stage)));
    cut_off(&stage, node->options.node_id);
    stage_pass(&stage, 3000);
    struct meta_replica_status early = stage_status(node);
    cr_assert_neq(early.leaderless_ns, 0);
    cr_assert_not(early.is_serving);
    stage_pass(&stage, 3000);
    cr_assert_eq(stage_status(node).leaderless_ns, early.leaderless_ns, "since the first");
    stage_heal(&stage);
    stage_leader(&stage);
    cr_assert_eq(stage_status(node).leaderless_ns, 0);
    stage_close(&stage);
}

Test(meta_replica_tickets, one_alone_serves_without_peers) {
    struct stage stage;
    stage_open(&stage, 1, 0, SEED);
    stage.nodes[0].options.member_count = 0;
    stage.nodes[0].options.is_joining = false;
    stage_start_all(&stage);
    cr_assert_eq(stage_leader(&stage), 1);
    stage_session(&stage, 1, 77, 30000);
    stage_fill(&stage.nodes[0], "a", 5);
    struct meta_replica_status status = stage_status(&stage.nodes[0]);
    cr_assert(status.is_alone && status.is_serving);
    stage_crash(&stage, 1, RT_SIM_POWER_LOSS);
    stage_start(&stage, 1);
    cr_assert_eq(stage_leader(&stage), 1);
    cr_assert_not_null(stage_find(&stage.nodes[0], "/a4"));
    stage_close(&stage);
}

// CLOSING

Test(meta_replica_tickets, a_replica_closes_with_work_under_way_and_says_nothing_more) {
    struct stage stage;
    uint64_t first;
    open_three(&stage);
    for (uint64_t id = 1; id <= 3; id++) {
        struct stage_node *node = stage_node(&stage, id);
        stage_submit_many(node, "a", 300, &first);
        size_t before = node->outcome_count;
        stage_shut(&stage, id);
        size_t told = node->outcome_count;
        stage_pass(&stage, 3000);
        cr_assert_eq(node->outcome_count, told, "%zu", before);
        cr_assert_not(node->has_failed);
    }
    stage_close(&stage);
}

// What it holds goes back, also when it is opened and closed again and again in one process.
static void again_piece(struct stage_node *node, void *argument) {
    (void)argument;
    cr_assert_eq(meta_replica_open_now(node->machine, rt_machine_loop(node->machine, 0),
                                       &node->options, &node->replica, &node->why),
                 RT_OK);
    cr_assert_eq(meta_replica_start(node->replica, &node->why), RT_OK);
}

Test(meta_replica_tickets, a_closed_replica_has_given_everything_back) {
    struct stage stage;
    size_t bytes = 0;
    open_three(&stage);
    for (unsigned round = 0; round < 6; round++) {
        stage_leader(&stage);
        stage_shut(&stage, 2);
        stage_pass(&stage, 5000);
        if (round == 2) bytes = stage_heap_bytes(&stage.nodes[1]);
        if (round > 2) cr_assert_leq(stage_heap_bytes(&stage.nodes[1]), bytes + 4096);
        stage_run(&stage.nodes[1], again_piece, NULL);
    }
    stage_agree(&stage);
    stage_close(&stage);
}
