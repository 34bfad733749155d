// Members come, change and go; leadership is handed over.
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/meta_replica/stage.h"

enum { SEED = 13 };

// Nodes 1 to 3 serve; 4 waits to be added.
static void open_with_one_to_come(struct stage *stage) {
    stage_open(stage, 4, 3, SEED);
    for (uint64_t id = 1; id <= 3; id++) stage_start(stage, id);
    stage_session(stage, stage_leader(stage), 77, 60000);
    stage_fill(stage_node(stage, 1), "a", 10);
    stage_start(stage, 4);
}

struct change {
    struct raft_config to;
    rt_err err;
    struct rt_why why;
};

static void config_piece(struct stage_node *node, void *argument) {
    *(struct raft_config *)argument = *meta_replica_config(node->replica);
}

static struct raft_config config_of(struct stage_node *node) {
    struct raft_config config;
    stage_run(node, config_piece, &config);
    return config;
}

static void change_piece(struct stage_node *node, void *argument) {
    struct change *change = argument;
    change->err = meta_replica_change_members(node->replica, &change->to, &change->why);
}

// A change from what is in force; roles 0 removes.
static struct change change_begin(struct stage_node *node) {
    return (struct change){.to = config_of(node)};
}

static void change_member(struct stage *stage, struct change *change, uint64_t id, unsigned roles) {
    struct raft_config config = {.index = change->to.index};
    for (unsigned i = 0; i < change->to.count; i++) {
        if (change->to.members[i].id != id) config.members[config.count++] = change->to.members[i];
    }
    if (roles)
        cr_assert_eq(raft_config_put(&config, id, roles, stage->members[id - 1].address), RT_OK);
    change->to = config;
}

static rt_err change_ask(struct stage_node *node, struct change *change) {
    stage_run(node, change_piece, change);
    return change->err;
}

static void change_one(struct stage *stage, uint64_t id, unsigned roles) {
    struct stage_node *leader = stage_node(stage, stage_leader(stage));
    struct change change = change_begin(leader);
    change_member(stage, &change, id, roles);
    cr_assert_eq(change_ask(leader, &change), RT_OK, "%s", change.why.text);
    stage_pass(stage, 3000);
}

static bool leads_nothing(struct stage *stage, uint64_t id) {
    struct meta_replica_status status = stage_status(stage_node(stage, id));
    return !status.is_serving;
}

Test(meta_replica_membership, a_learner_gets_everything_and_counts_for_nothing) {
    struct stage stage;
    open_with_one_to_come(&stage);
    stage_pass(&stage, 5000);
    cr_assert_eq(stage_status(stage_node(&stage, 4)).raft.leader, 0, "it waits");
    change_one(&stage, 4, RAFT_LEARNER);
    stage_agree(&stage);
    cr_assert_not_null(stage_find(stage_node(&stage, 4), "/a9"));
    stage_fill(stage_node(&stage, 4), "b", 5);  // and forwards what it is asked
    stage_crash(&stage, 1, RT_SIM_KILL);
    stage_crash(&stage, 2, RT_SIM_KILL);
    stage_pass(&stage, 10000);
    cr_assert(leads_nothing(&stage, 3) && leads_nothing(&stage, 4));
    stage_start(&stage, 1);
    cr_assert_neq(stage_leader(&stage), 4);
    stage_close(&stage);
}

Test(meta_replica_membership, a_learner_that_becomes_a_voter_counts) {
    struct stage stage;
    open_with_one_to_come(&stage);
    change_one(&stage, 4, RAFT_LEARNER);
    change_one(&stage, 4, RAFT_VOTER);
    stage_agree(&stage);
    cr_assert(raft_config_is_voter(meta_replica_config(stage.nodes[3].replica), 4));
    stage_crash(&stage, stage_leader(&stage) == 1 ? 2 : 1, RT_SIM_KILL);
    stage_fill(stage_node(&stage, 4), "b", 5);
    stage_lead(&stage, 4);
    stage_fill(stage_node(&stage, 4), "c", 5);
    stage_close(&stage);
}

Test(meta_replica_membership, who_was_added_is_still_there_after_restarts_of_all) {
    struct stage stage;
    open_with_one_to_come(&stage);
    change_one(&stage, 4, RAFT_VOTER);
    stage_agree(&stage);
    for (uint64_t id = 1; id <= 4; id++) stage_crash(&stage, id, RT_SIM_POWER_LOSS);
    stage_start_all(&stage);
    stage_leader(&stage);
    for (unsigned i = 0; i < 4; i++) cr_assert_eq(config_of(&stage.nodes[i]).count, 4);
    stage_agree(&stage);
    stage_close(&stage);
}

// Through a joint configuration: one comes and another goes in the same change.
Test(meta_replica_membership, one_is_replaced_by_another_in_one_change) {
    struct stage stage;
    open_with_one_to_come(&stage);
    stage_lead(&stage, 1);
    struct stage_node *leader = stage_node(&stage, 1);
    struct change change = change_begin(leader);
    change_member(&stage, &change, 3, 0);
    change_member(&stage, &change, 4, RAFT_VOTER);
    cr_assert_eq(change_ask(leader, &change), RT_OK);
    cr_assert(raft_config_is_joint(meta_replica_config(leader->replica)));
    stage_pass(&stage, 5000);
    struct raft_config now = config_of(leader);
    cr_assert_not(raft_config_is_joint(&now));
    cr_assert_eq(now.count, 3);
    cr_assert_not(raft_config_is_member(&now, 3));
    cr_assert(stage.nodes[2].has_failed);
    cr_assert_str_eq(stage.nodes[2].failure, "RT_ECLOSED: removed from the cluster");
    stage_crash(&stage, 2, RT_SIM_KILL);  // 1 and 4 are a majority of 1, 2, 4
    stage_fill(leader, "b", 5);
    stage_agree(&stage);
    stage_close(&stage);
}

Test(meta_replica_membership, a_leader_that_removes_itself_stops_and_another_leads) {
    struct stage stage;
    stage_open(&stage, 3, 3, SEED);
    stage_start_all(&stage);
    stage_session(&stage, stage_leader(&stage), 77, 60000);
    uint64_t old = stage_leader(&stage);
    change_one(&stage, old, 0);
    stage_pass(&stage, 10000);
    cr_assert(stage_node(&stage, old)->has_failed);
    uint64_t leader = stage_leader_but(&stage, old);
    cr_assert_eq(config_of(stage_node(&stage, leader)).count, 2);
    stage_fill(stage_node(&stage, leader), "b", 5);
    stage_close(&stage);
}

Test(meta_replica_membership, one_that_was_away_when_it_was_removed_is_told_when_it_comes) {
    struct stage stage;
    stage_open(&stage, 3, 3, SEED);
    stage_start_all(&stage);
    uint64_t leader = stage_leader(&stage), other = leader == 1 ? 2 : 1;
    stage_session(&stage, leader, 77, 60000);
    stage_crash(&stage, other, RT_SIM_KILL);
    change_one(&stage, other, 0);
    stage_pass(&stage, 10000);
    stage_start(&stage, other);
    stage_pass(&stage, 20000);
    cr_assert_str_eq(stage_node(&stage, other)->failure, "RT_ECLOSED: removed from the cluster");
    cr_assert(stage_status(stage_node(&stage, leader)).is_serving);
    stage_close(&stage);
}

// REFUSALS

Test(meta_replica_membership, only_the_leader_changes_members_and_the_others_say_who_it_is) {
    struct stage stage;
    stage_open(&stage, 3, 3, SEED);
    stage_start_all(&stage);
    stage_lead(&stage, 2);
    struct change change = change_begin(stage_node(&stage, 1));
    change_member(&stage, &change, 3, 0);
    cr_assert_eq(change_ask(stage_node(&stage, 1), &change), RT_EAGAIN);
    cr_assert_str_eq(change.why.text, "node 1 is not the leader, node 2 is");
    stage_close(&stage);
}

Test(meta_replica_membership, a_second_change_waits_for_the_first) {
    struct stage stage;
    open_with_one_to_come(&stage);
    struct stage_node *leader = stage_node(&stage, stage_leader(&stage));
    struct change first = change_begin(leader), second = first;
    change_member(&stage, &first, 4, RAFT_LEARNER);
    cr_assert_eq(change_ask(leader, &first), RT_OK);
    change_member(&stage, &second, leader->options.node_id == 1 ? 2 : 1, 0);
    cr_assert_eq(change_ask(leader, &second), RT_EBUSY);
    cr_assert_not_null(strstr(second.why.text, "the change was refused: "), "%s", second.why.text);
    stage_pass(&stage, 3000);
    cr_assert_eq(config_of(leader).count, 4);
    stage_close(&stage);
}

Test(meta_replica_membership, a_cluster_without_voters_is_refused) {
    struct stage stage;
    stage_open(&stage, 3, 3, SEED);
    stage_start_all(&stage);
    struct stage_node *leader = stage_node(&stage, stage_leader(&stage));
    struct change change = {.err = RT_OK};
    cr_assert_eq(change_ask(leader, &change), RT_EINVAL);
    change = change_begin(leader);
    for (uint64_t id = 1; id <= 3; id++) change_member(&stage, &change, id, RAFT_LEARNER);
    cr_assert_eq(change_ask(leader, &change), RT_EINVAL);
    cr_assert_eq(config_of(leader).index, 1);
    stage_close(&stage);
}

// LEADERSHIP

struct transfer {
    uint64_t to;
    rt_err err;
};

static void transfer_piece(struct stage_node *node, void *argument) {
    struct transfer *transfer = argument;
    transfer->err = meta_replica_transfer(node->replica, transfer->to);
}

static rt_err transfer(struct stage_node *node, uint64_t to) {
    struct transfer asked = {.to = to};
    stage_run(node, transfer_piece, &asked);
    return asked.err;
}

Test(meta_replica_membership, leadership_goes_to_who_is_named_or_to_the_best) {
    struct stage stage;
    stage_open(&stage, 3, 3, SEED);
    stage_start_all(&stage);
    for (unsigned round = 0; round < 4; round++) {
        for (uint64_t id = 1; id <= 3; id++) stage_lead(&stage, id);
    }
    cr_assert_eq(transfer(stage_node(&stage, 3), 0), RT_OK);
    cr_assert_neq(stage_leader_but(&stage, 3), 3);
    stage_close(&stage);
}

Test(meta_replica_membership, leadership_is_given_by_the_leader_to_a_voter_only) {
    struct stage stage;
    open_with_one_to_come(&stage);
    change_one(&stage, 4, RAFT_LEARNER);
    stage_lead(&stage, 1);
    cr_assert_eq(transfer(stage_node(&stage, 2), 3), RT_EAGAIN);
    cr_assert_eq(transfer(stage_node(&stage, 1), 4), RT_EINVAL);
    cr_assert_eq(transfer(stage_node(&stage, 1), 9), RT_EINVAL);
    stage_pass(&stage, 2000);
    cr_assert_eq(stage_leader(&stage), 1);
    stage_close(&stage);
}
