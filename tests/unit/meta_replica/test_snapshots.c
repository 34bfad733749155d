// Nodes that are so far behind that the log does not reach them any more.
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/meta_replica/stage.h"

// The core keeps 10000 entries behind a snapshot.
enum { SEED = 17, ROUNDS = 5, ROUND = 3500 };

static void open_nodes(struct stage *stage, unsigned count, unsigned founders) {
    stage_open(stage, count, founders, SEED);
    for (unsigned i = 0; i < count; i++) stage->nodes[i].options.snapshot_entries = 1000;
    for (uint64_t id = 1; id <= founders; id++) stage_start(stage, id);
    stage_session(stage, stage_leader(stage), 77, 40000);
}

// So much that the log is shortened.
static void fill(struct stage *stage) {
    for (unsigned round = 0; round < ROUNDS; round++) {
        char prefix[16];
        uint64_t first;
        snprintf(prefix, sizeof(prefix), "r%u-", round);
        struct stage_node *leader = stage_node(stage, stage_leader(stage));
        cr_assert_eq(stage_submit_many(leader, prefix, ROUND, &first), ROUND);
        stage_pass(stage, 2000);
    }
    struct meta_replica_status status = stage_status(stage_node(stage, stage_leader(stage)));
    cr_assert_gt(status.snapshots_taken, 3);
    cr_assert_gt(status.raft.log_base.index, 1000);
}

static void check_has_all(struct stage *stage, uint64_t id) {
    stage_agree(stage);
    for (unsigned round = 0; round < ROUNDS; round++) {
        char path[32];
        snprintf(path, sizeof(path), "/r%u-%u", round, ROUND - 1);
        cr_assert_not_null(stage_find(stage_node(stage, id), path), "%s", path);
    }
}

Test(meta_replica_snapshots, a_node_that_was_away_for_long_gets_one) {
    struct stage stage;
    open_nodes(&stage, 3, 3);
    uint64_t away = stage_leader(&stage) == 1 ? 2 : 1;
    stage_crash(&stage, away, RT_SIM_KILL);
    fill(&stage);
    stage_start(&stage, away);
    check_has_all(&stage, away);
    cr_assert_eq(stage_node(&stage, away)->replaced, 1);
    stage_fill(stage_node(&stage, away), "b", 5);
    stage_crash(&stage, away, RT_SIM_POWER_LOSS);
    stage_start(&stage, away);
    check_has_all(&stage, away);
    stage_close(&stage);
}

Test(meta_replica_snapshots, a_node_with_a_new_disk_gets_one) {
    struct stage stage;
    open_nodes(&stage, 3, 3);
    uint64_t lost = stage_leader(&stage) == 1 ? 2 : 1;
    stage_crash(&stage, lost, RT_SIM_KILL);
    fill(&stage);
    stage_node(&stage, lost)->wipes = true;
    stage_start(&stage, lost);
    check_has_all(&stage, lost);
    cr_assert_eq(stage_node(&stage, lost)->replaced, 1);
    stage_close(&stage);
}

static void add_piece(struct stage_node *node, void *argument) {
    struct raft_config to = *meta_replica_config(node->replica);
    struct rt_why why;
    (void)argument;
    cr_assert_eq(raft_config_put(&to, 4, RAFT_VOTER, node->stage->members[3].address), RT_OK);
    cr_assert_eq(meta_replica_change_members(node->replica, &to, &why), RT_OK, "%s", why.text);
}

Test(meta_replica_snapshots, a_node_that_joins_gets_one) {
    struct stage stage;
    open_nodes(&stage, 4, 3);
    fill(&stage);
    stage_run(stage_node(&stage, stage_leader(&stage)), add_piece, NULL);
    stage_start(&stage, 4);
    stage_applies(&stage, 4, 1000);
    check_has_all(&stage, 4);
    cr_assert_eq(stage_node(&stage, 4)->replaced, 1);
    stage_close(&stage);
}

// Killed at any moment of it, the receiver has the old state or the new one, and gets there.
Test(meta_replica_snapshots, a_receiver_that_loses_its_power_again_and_again_gets_there) {
    struct stage stage;
    open_nodes(&stage, 3, 3);
    uint64_t away = stage_leader(&stage) == 1 ? 2 : 1;
    stage_crash(&stage, away, RT_SIM_KILL);
    fill(&stage);
    for (unsigned i = 0; i < 12; i++) {
        stage_start(&stage, away);
        cr_assert_eq(stage_node(&stage, away)->open_err, RT_OK, "%s",
                     stage_node(&stage, away)->why.text);
        stage_pass(&stage, 150 + 40 * i);
        stage_crash(&stage, away, RT_SIM_POWER_LOSS);
    }
    stage_start(&stage, away);
    check_has_all(&stage, away);
    cr_assert_geq(stage_node(&stage, away)->replaced, 1);
    stage_close(&stage);
}

Test(meta_replica_snapshots, one_is_taken_when_asked_and_one_at_a_time) {
    struct stage stage;
    open_nodes(&stage, 3, 3);
    struct stage_node *node = stage_node(&stage, 1);
    uint64_t taken = stage_status(node).snapshots_taken;
    cr_assert(stage_snapshot(node));
    cr_assert_not(stage_snapshot(node));
    stage_pass(&stage, 2000);
    cr_assert_eq(stage_status(node).snapshots_taken, taken + 1);
    cr_assert_gt(stage_status(node).raft.snapshot.index, 1);
    cr_assert(stage_snapshot(node));
    stage_close(&stage);
}
