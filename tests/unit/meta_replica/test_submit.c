// Requests on their way: in order, once, and nobody waits for what will never come.
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "runtime/mem.h"
#include "tests/unit/meta_replica/stage.h"

enum { MANY = 200, LARGE = 3 << 20 };

static struct stage *open_with_session(unsigned count, uint64_t seed) {
    struct stage *stage = RT_NEW(struct stage);
    stage_open(stage, count, count, seed);
    stage_start_all(stage);
    uint64_t leader = stage_leader(stage);
    stage_session(stage, leader, 77, 30000);
    return stage;
}

static void done(struct stage *stage) {
    stage_close(stage);
    rt_free(stage);
}

static uint64_t other_than(const struct stage *stage, uint64_t id) {
    return id % stage->count + 1;
}

static uint64_t submit_path(struct stage *stage, uint64_t id, const char *path, size_t size,
                            rt_err *err) {
    struct rt_buf payload = {0};
    uint8_t *data = rt_alloc_zero(1, size + 1);
    struct meta_command command = stage_create(stage, path, RT_BYTES(data, size), 0, &payload);
    uint64_t ticket = stage_submit(stage_node(stage, id), &command, err);
    rt_buf_fini(&payload);
    rt_free(data);
    return ticket;
}

// `count` commands one behind the other, then each has its outcome, in order.
static void many_in_order(struct stage *stage, uint64_t id) {
    uint64_t tickets[MANY];
    rt_err err;
    struct stage_node *node = stage_node(stage, id);
    for (unsigned i = 0; i < MANY; i++) {
        char path[32];
        snprintf(path, sizeof(path), "/n%u", i);
        tickets[i] = submit_path(stage, id, path, 10, &err);
        cr_assert_eq(err, RT_OK);
    }
    stage_pass(stage, 2000);
    size_t seen = 0;
    for (size_t i = 0; i < node->outcome_count; i++) {
        if (seen == MANY || node->outcomes[i].ticket != tickets[seen]) continue;
        cr_assert_eq(node->outcomes[i].err, 0);
        seen++;
    }
    cr_assert_eq(seen, MANY);
}

Test(meta_replica_submit, outcomes_on_the_leader_come_once_and_in_order) {
    struct stage *stage = open_with_session(3, 1);
    many_in_order(stage, stage_leader(stage));
    stage_agree(stage);
    done(stage);
}

Test(meta_replica_submit, outcomes_on_a_follower_come_once_and_in_order) {
    struct stage *stage = open_with_session(3, 2);
    many_in_order(stage, other_than(stage, stage_leader(stage)));
    stage_agree(stage);
    done(stage);
}

Test(meta_replica_submit, a_command_over_the_limit_is_refused_and_the_others_go_on) {
    struct stage *stage = open_with_session(3, 3);
    uint64_t leader = stage_leader(stage);
    for (uint64_t id = 1; id <= 3; id++) {
        char before[32], behind[32];
        rt_err first, large, last;
        snprintf(before, sizeof(before), "/before%u", (unsigned)id);
        snprintf(behind, sizeof(behind), "/behind%u", (unsigned)id);
        uint64_t one = submit_path(stage, id, before, 10, &first);
        submit_path(stage, id, "/large", LARGE, &large);
        uint64_t two = submit_path(stage, id, behind, 10, &last);
        stage_pass(stage, 1000);
        cr_assert_eq(first, RT_OK);
        cr_assert_eq(large, RT_ETOOBIG);
        cr_assert_eq(last, RT_OK);
        cr_assert_not_null(stage_outcome(stage_node(stage, id), one));
        cr_assert_not_null(stage_outcome(stage_node(stage, id), two));
    }
    cr_assert_eq(stage_leader(stage), leader);
    done(stage);
}

// Members that were configured differently: the origin hears that its requests are lost.
Test(meta_replica_submit, a_forwarded_command_over_the_leaders_limit_is_refused_to_its_origin) {
    struct stage *stage = RT_NEW(struct stage);
    stage_open(stage, 3, 3, 4);
    for (unsigned i = 0; i < 3; i++) stage->nodes[i].options.command_bytes_max = 1 << 20;
    stage_start_all(stage);
    uint64_t leader = stage_leader(stage), follower = other_than(stage, leader);
    stage_crash(stage, follower, RT_SIM_KILL);
    stage->nodes[follower - 1].options.command_bytes_max = 4 << 20;
    stage_start(stage, follower);
    stage_leader(stage);
    stage_session(stage, leader, 77, 30000);
    rt_err err;
    unsigned before = stage_node(stage, follower)->interrupted;
    submit_path(stage, follower, "/large", LARGE, &err);
    cr_assert_eq(err, RT_OK);
    stage_pass(stage, 1000);
    cr_assert_gt(stage_node(stage, follower)->interrupted, before);
    cr_assert_eq(stage_created(stage_node(stage, follower), "/after", 0), 0);
    done(stage);
}

static void turns_piece(struct stage_node *node, void *argument) {
    *(uint64_t *)argument = rt_loop_stats(rt_machine_loop(node->machine, 0)).turns;
}

// With a budget for one batch the second waits for the first. It must not ask all the time.
Test(meta_replica_submit, what_the_core_has_no_room_for_waits_without_spinning) {
    struct stage *stage = RT_NEW(struct stage);
    stage_open(stage, 3, 3, 5);
    for (unsigned i = 0; i < 3; i++) stage->nodes[i].options.uncommitted_bytes_max = 1;
    stage_start_all(stage);
    uint64_t leader = stage_leader(stage);
    stage_session(stage, leader, 77, 30000);
    for (uint64_t id = 1; id <= 3; id++) {
        if (id != leader) rt_sim_pause(stage_node(stage, id)->sim_node);
    }
    rt_err err;
    uint64_t before, after;
    uint64_t one = submit_path(stage, leader, "/one", 10, &err);
    uint64_t two = submit_path(stage, leader, "/two", 10, &err);
    stage_run(stage_node(stage, leader), turns_piece, &before);
    stage_pass(stage, 200);
    stage_run(stage_node(stage, leader), turns_piece, &after);
    cr_assert_lt(after - before, 200);
    cr_assert_null(stage_outcome(stage_node(stage, leader), one));
    for (uint64_t id = 1; id <= 3; id++) {
        if (id != leader) rt_sim_resume(stage_node(stage, id)->sim_node);
    }
    stage_pass(stage, 3000);
    // A leader that was cut off meanwhile has told its waiters; otherwise both are done.
    bool both = stage_outcome(stage_node(stage, leader), one) &&
                stage_outcome(stage_node(stage, leader), two);
    cr_assert(both || stage_node(stage, leader)->interrupted);
    stage_leader(stage);
    cr_assert_neq(stage_created(stage_node(stage, leader), "/three", 0), -1);
    done(stage);
}

Test(meta_replica_submit, who_waits_is_told_when_the_leader_goes) {
    struct stage *stage = open_with_session(3, 6);
    uint64_t leader = stage_leader(stage), follower = other_than(stage, leader);
    unsigned before = stage_node(stage, follower)->interrupted;
    rt_err err;
    uint64_t ticket = submit_path(stage, follower, "/lost", 10, &err);
    cr_assert_eq(err, RT_OK);
    stage_crash(stage, leader, RT_SIM_POWER_LOSS);
    stage_pass(stage, 3000);
    cr_assert(stage_outcome(stage_node(stage, follower), ticket) ||
              stage_node(stage, follower)->interrupted > before);
    stage_leader(stage);
    cr_assert_eq(stage_created(stage_node(stage, follower), "/after", 0), 0);
    done(stage);
}

Test(meta_replica_submit, without_a_leader_a_command_is_refused_at_once) {
    struct stage *stage = open_with_session(3, 7);
    uint64_t leader = stage_leader(stage), left = other_than(stage, leader);
    for (uint64_t id = 1; id <= 3; id++) {
        if (id != left) stage_crash(stage, id, RT_SIM_KILL);
    }
    stage_pass(stage, 5000);
    rt_err err;
    submit_path(stage, left, "/nobody", 10, &err);
    cr_assert_eq(err, RT_EAGAIN);
    stage_start_all(stage);
    stage_leader(stage);
    cr_assert_eq(stage_created(stage_node(stage, left), "/after", 0), 0);
    stage_agree(stage);
    done(stage);
}

// More than may be under way: busy, then drained, and everything that was taken has its outcome.
Test(meta_replica_submit, too_much_under_way_is_busy_until_it_drained) {
    struct stage *stage = open_with_session(3, 8);
    uint64_t follower = other_than(stage, stage_leader(stage));
    struct stage_node *node = stage_node(stage, follower);
    uint64_t tickets[64];
    unsigned taken = 0;
    rt_err err = RT_OK;
    while (!err && taken < 64) {
        char path[32];
        snprintf(path, sizeof(path), "/big%u", taken);
        tickets[taken] = submit_path(stage, follower, path, 1 << 20, &err);
        if (!err) taken++;
    }
    cr_assert_eq(err, RT_EBUSY);
    stage_pass(stage, 20000);
    cr_assert_eq(node->drained, 1);
    for (unsigned i = 0; i < taken; i++) cr_assert_not_null(stage_outcome(node, tickets[i]));
    cr_assert_eq(stage_created(node, "/after", 0), 0);
    done(stage);
}
