// Members come, lag, are caught up by snapshots, take over, and go.
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "runtime/mem.h"
#include "tests/unit/meta_replica/stage.h"

struct change {
    struct raft_config to;
    uint64_t transfer_to;
    rt_err err;
};

static void change_piece(struct stage_node *node, void *argument) {
    struct change *change = argument;
    struct rt_why why = {{0}};
    change->err = meta_replica_change_members(node->replica, &change->to, &why);
}

static void transfer_piece(struct stage_node *node, void *argument) {
    struct change *change = argument;
    change->err = meta_replica_transfer(node->replica, change->transfer_to);
}

static void snapshot_piece(struct stage_node *node, void *argument) {
    *(bool *)argument = meta_replica_snapshot(node->replica);
}

static struct raft_config config_of(struct stage *stage, uint64_t id) {
    return *meta_replica_config(stage_node(stage, id)->replica);
}

static struct stage *three_with_data(unsigned count, uint64_t seed) {
    struct stage *stage = RT_NEW(struct stage);
    stage_open(stage, count, 3, seed);
    for (uint64_t id = 1; id <= 3; id++) stage_start(stage, id);
    stage_session(stage, stage_leader(stage), 7, 30000);
    stage_fill(stage_node(stage, stage_leader(stage)), "n", 50);
    return stage;
}

static void add(struct stage *stage, uint64_t leader, uint64_t id, unsigned roles) {
    struct change change = {.to = config_of(stage, leader)};
    cr_assert_eq(raft_config_put(&change.to, id, roles, stage->members[id - 1].address), RT_OK);
    stage_run(stage_node(stage, leader), change_piece, &change);
    cr_assert_eq(change.err, RT_OK, "%s", rt_err_name(change.err));
}

static void large_create(struct stage *stage, uint64_t id, unsigned number) {
    enum { SIZE = 1 << 20 };
    struct rt_buf payload = {0};
    char path[32];
    uint8_t *data = rt_alloc_zero(1, SIZE);
    snprintf(path, sizeof(path), "/n%u", number);
    struct meta_command command = stage_create(stage, path, RT_BYTES(data, SIZE), 0, &payload);
    cr_assert_eq(stage_ask(stage_node(stage, id), &command)->err, 0);
    rt_buf_fini(&payload);
    rt_free(data);
}

Test(meta_replica_members, a_new_member_gets_all_that_was_before) {
    struct stage *stage = three_with_data(4, 1);
    uint64_t leader = stage_leader(stage);
    stage_start(stage, 4);
    stage_pass(stage, 500);
    add(stage, leader, 4, RAFT_VOTER);
    stage_pass(stage, 5000);
    stage_agree(stage);
    cr_assert_not_null(stage_find(stage_node(stage, 4), "/n49"));
    cr_assert_eq(stage_created(stage_node(stage, 4), "/from4", 0), 0);
    stage_close(stage);
    rt_free(stage);
}

Test(meta_replica_members, a_member_that_missed_the_log_is_caught_up_by_a_snapshot) {
    struct stage *stage = RT_NEW(struct stage);
    stage_open(stage, 3, 3, 2);
    for (unsigned i = 0; i < 3; i++) {
        stage->nodes[i].options.snapshot_entries = 10;
        stage->nodes[i].options.log_entries_kept = 1;
    }
    stage_start_all(stage);
    uint64_t leader = stage_leader(stage), away = leader % 3 + 1;
    stage_session(stage, leader, 7, 30000);
    stage_crash(stage, away, RT_SIM_POWER_LOSS);
    // More than two segments of the log, so that the first ones go.
    for (unsigned i = 0; i < 60; i++) large_create(stage, leader, i);
    stage_pass(stage, 5000);
    cr_assert_gt(stage_status(stage_node(stage, leader)).snapshots_taken, 0);
    stage_start(stage, away);
    stage_agree(stage);
    cr_assert_gt(stage_node(stage, away)->replaced, 0);
    cr_assert_not_null(stage_find(stage_node(stage, away), "/n59"));
    stage_close(stage);
    rt_free(stage);
}

Test(meta_replica_members, leadership_is_given_to_whom_it_was_meant_for) {
    struct stage *stage = three_with_data(3, 3);
    uint64_t leader = stage_leader(stage);
    struct change change = {.transfer_to = leader % 3 + 1};
    stage_run(stage_node(stage, leader), transfer_piece, &change);
    cr_assert_eq(change.err, RT_OK);
    stage_pass(stage, 1000);
    cr_assert_eq(stage_leader(stage), change.transfer_to);
    stage_run(stage_node(stage, leader), transfer_piece, &change);
    cr_assert_eq(change.err, RT_EAGAIN, "a follower has nothing to give");
    stage_close(stage);
    rt_free(stage);
}

Test(meta_replica_members, a_member_that_was_removed_stops_and_the_others_go_on) {
    struct stage *stage = three_with_data(3, 4);
    uint64_t leader = stage_leader(stage), gone = leader % 3 + 1;
    struct change change = {.to = {0}};
    struct raft_config now = config_of(stage, leader);
    for (unsigned i = 0; i < now.count; i++) {
        if (now.members[i].id != gone) change.to.members[change.to.count++] = now.members[i];
    }
    stage_run(stage_node(stage, leader), change_piece, &change);
    cr_assert_eq(change.err, RT_OK);
    stage_pass(stage, 3000);
    cr_assert_eq(config_of(stage, leader).count, 2);
    stage_crash(stage, gone, RT_SIM_KILL);
    cr_assert_eq(stage_created(stage_node(stage, leader), "/after", 0), 0);
    stage_close(stage);
    rt_free(stage);
}

Test(meta_replica_members, a_learner_follows_and_does_not_vote) {
    struct stage *stage = three_with_data(4, 5);
    uint64_t leader = stage_leader(stage);
    stage_start(stage, 4);
    stage_pass(stage, 500);
    add(stage, leader, 4, RAFT_LEARNER);
    stage_pass(stage, 3000);
    stage_agree(stage);
    leader = stage_leader(stage);
    for (uint64_t id = 1; id <= 3; id++) {
        if (id != leader) stage_crash(stage, id, RT_SIM_KILL);
    }
    stage_pass(stage, 5000);
    cr_assert_not(stage_status(stage_node(stage, 4)).is_serving);
    stage_close(stage);
    rt_free(stage);
}

Test(meta_replica_members, a_second_snapshot_is_refused_while_one_is_taken) {
    struct stage *stage = three_with_data(3, 6);
    bool first = false, second = true;
    struct stage_node *leader = stage_node(stage, stage_leader(stage));
    stage_run(leader, snapshot_piece, &first);
    stage_run(leader, snapshot_piece, &second);
    cr_assert(first);
    stage_pass(stage, 2000);
    if (!second) {
        stage_run(leader, snapshot_piece, &second);
        cr_assert(second);
    }
    stage_pass(stage, 2000);
    cr_assert_geq(stage_status(leader).snapshots_taken, 1);
    stage_close(stage);
    rt_free(stage);
}

// Sessions live in the log: whoever leads expires them, and late ones are kept by a touch.
Test(meta_replica_members, a_session_expires_also_under_another_leader) {
    struct stage *stage = three_with_data(3, 7);
    uint64_t leader = stage_leader(stage);
    struct meta_command open = {.kind = META_OPEN_SESSION, .session = 99, .open.timeout_ms = 4000};
    cr_assert_eq(stage_ask(stage_node(stage, leader), &open)->verdict, META_SESSION_OPENED);
    stage_crash(stage, leader, RT_SIM_KILL);
    uint64_t next = stage_leader(stage);
    cr_assert_eq(meta_store_session_count(meta_replica_store(stage_node(stage, next)->replica)), 2);
    stage_pass(stage, 12000);
    cr_assert_eq(meta_store_session_count(meta_replica_store(stage_node(stage, next)->replica)), 1);
    stage_close(stage);
    rt_free(stage);
}
