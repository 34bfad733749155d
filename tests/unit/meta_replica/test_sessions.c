// Sessions that go silent, and what the leader clears away.
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/meta_replica/stage.h"

enum { SEED = 19, TIMEOUT_MS = 4000, TICK_MS = 500 };

static void open_three(struct stage *stage) {
    stage_open(stage, 3, 3, SEED);
    for (unsigned i = 0; i < 3; i++) stage->nodes[i].options.container_check_ms = 1000;
    stage_start_all(stage);
    stage_session(stage, stage_leader(stage), 77, TIMEOUT_MS);
}

static void session_piece(struct stage_node *node, void *argument) {
    *(bool *)argument = meta_store_session(meta_replica_store(node->replica), 77) != NULL;
}

static bool is_alive(struct stage_node *node) {
    bool is = false;
    stage_run(node, session_piece, &is);
    return is;
}

static void touch_piece(struct stage_node *node, void *argument) {
    (void)argument;
    meta_replica_touch(node->replica, 77);
}

static uint64_t follower_of(uint64_t leader) {
    return leader == 1 ? 2 : 1;
}

Test(meta_replica_sessions, a_silent_one_ends_after_its_timeout_and_not_before) {
    struct stage stage;
    open_three(&stage);
    struct stage_node *node = stage_node(&stage, 1);
    cr_assert_eq(stage_created(node, "/mine", PROTO_ZK_MODE_EPHEMERAL), 0);
    stage_pass(&stage, TIMEOUT_MS - TICK_MS);
    cr_assert(is_alive(node));
    stage_pass(&stage, 3 * TICK_MS);
    for (unsigned i = 0; i < 3; i++) cr_assert_not(is_alive(&stage.nodes[i]));
    cr_assert_null(stage_find(node, "/mine"));
    stage_close(&stage);
}

static void kept_alive_through(bool leader) {
    struct stage stage;
    open_three(&stage);
    uint64_t led = stage_leader(&stage);
    struct stage_node *node = stage_node(&stage, leader ? led : follower_of(led));
    for (unsigned i = 0; i < 20; i++) {
        stage_pass(&stage, TIMEOUT_MS / 2);
        cr_assert(is_alive(node), "%u", i);
        stage_run(node, touch_piece, NULL);
    }
    stage_pass(&stage, TIMEOUT_MS + 4 * TICK_MS);
    cr_assert_not(is_alive(node));
    stage_close(&stage);
}

Test(meta_replica_sessions, one_that_speaks_to_the_leader_lives) {
    kept_alive_through(true);
}

Test(meta_replica_sessions, one_that_speaks_to_a_follower_lives) {
    kept_alive_through(false);
}

Test(meta_replica_sessions, a_new_leader_gives_each_a_whole_timeout) {
    struct stage stage;
    open_three(&stage);
    uint64_t old = stage_leader(&stage), next = follower_of(old);
    stage_pass(&stage, TIMEOUT_MS - 2 * TICK_MS);
    stage_lead(&stage, next);
    stage_pass(&stage, TIMEOUT_MS - TICK_MS);
    cr_assert(is_alive(stage_node(&stage, next)), "its silence before does not count");
    stage_pass(&stage, 4 * TICK_MS);
    cr_assert_not(is_alive(stage_node(&stage, next)));
    stage_close(&stage);
}

Test(meta_replica_sessions, without_a_leader_none_ends) {
    struct stage stage;
    open_three(&stage);
    uint64_t leader = stage_leader(&stage), kept = follower_of(leader);
    for (uint64_t id = 1; id <= 3; id++) {
        if (id != kept) stage_crash(&stage, id, RT_SIM_KILL);
    }
    stage_pass(&stage, 10 * TIMEOUT_MS);
    cr_assert(is_alive(stage_node(&stage, kept)));
    stage_start_all(&stage);
    stage_leader(&stage);
    cr_assert(is_alive(stage_node(&stage, kept)));
    stage_pass(&stage, TIMEOUT_MS + 4 * TICK_MS);
    cr_assert_not(is_alive(stage_node(&stage, kept)));
    stage_close(&stage);
}

// Nobody could be heard while the process stood still.
Test(meta_replica_sessions, time_in_which_the_loop_stood_still_does_not_count) {
    struct stage stage;
    stage_open(&stage, 1, 1, SEED);
    stage.nodes[0].options.member_count = 0;
    stage_start_all(&stage);
    stage_session(&stage, stage_leader(&stage), 77, TIMEOUT_MS);
    rt_sim_pause(stage.nodes[0].sim_node);
    stage_pass(&stage, 5 * TIMEOUT_MS);
    rt_sim_resume(stage.nodes[0].sim_node);
    stage_pass(&stage, TIMEOUT_MS / 2);
    cr_assert(is_alive(&stage.nodes[0]));
    stage_pass(&stage, TIMEOUT_MS);
    cr_assert_not(is_alive(&stage.nodes[0]));
    stage_close(&stage);
}

// REAPING

static void keep_alive(struct stage *stage, struct stage_node *node, unsigned seconds) {
    for (unsigned i = 0; i < seconds; i++) {
        stage_run(node, touch_piece, NULL);
        stage_pass(stage, 1000);
    }
}

Test(meta_replica_sessions, a_ttl_node_goes_when_its_time_is_over) {
    struct stage stage;
    open_three(&stage);
    struct stage_node *node = stage_node(&stage, 1);
    cr_assert_eq(stage_created(node, "/ttl", PROTO_ZK_MODE_PERSISTENT_WITH_TTL), 0);
    cr_assert_eq(stage_created(node, "/stays", 0), 0);
    keep_alive(&stage, node, 4);
    cr_assert_not_null(stage_find(node, "/ttl"), "it has 5 seconds");
    keep_alive(&stage, node, 6);
    cr_assert_null(stage_find(node, "/ttl"));
    cr_assert_not_null(stage_find(node, "/stays"));
    stage_close(&stage);
}

Test(meta_replica_sessions, a_container_goes_when_its_last_child_has_gone) {
    struct stage stage;
    open_three(&stage);
    struct stage_node *node = stage_node(&stage, 1);
    cr_assert_eq(stage_created(node, "/used", PROTO_ZK_MODE_CONTAINER), 0);
    cr_assert_eq(stage_created(node, "/fresh", PROTO_ZK_MODE_CONTAINER), 0);
    cr_assert_eq(stage_created(node, "/used/child", PROTO_ZK_MODE_EPHEMERAL), 0);
    keep_alive(&stage, node, 5);
    cr_assert_not_null(stage_find(node, "/used"));
    stage_pass(&stage, TIMEOUT_MS + 10 * TICK_MS);  // the session ends, and the child with it
    cr_assert_null(stage_find(node, "/used"));
    cr_assert_not_null(stage_find(node, "/fresh"), "it never had one");
    stage_close(&stage);
}
