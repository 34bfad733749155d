// Commands on their way: proposed by the leader, forwarded by the others; each outcome told once
// and in order, and nothing lost without a word.
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "runtime/mem.h"
#include "tests/unit/meta_replica/stage.h"

enum { SEED = 7, SMALL = 64 << 10 };

static void open_three(struct stage *stage) {
    stage_open(stage, 3, 3, SEED);
    stage_start_all(stage);
    stage_session(stage, stage_leader(stage), 77, 30000);
}

static uint64_t follower_of(uint64_t leader) {
    return leader == 1 ? 2 : 1;
}

// Those told since `before` are the `count` tickets from `first` on, in that order, all done.
static void check_told(const struct stage_node *node, size_t before, uint64_t first,
                       unsigned count) {
    cr_assert_eq(node->outcome_count, before + count);
    for (unsigned i = 0; i < count; i++) {
        const struct stage_outcome *told = &node->outcomes[(before + i) % STAGE_OUTCOMES_MAX];
        cr_assert_eq(told->ticket, first + i);
        cr_assert_eq(told->verdict, META_ANSWERED);
        cr_assert_eq(told->err, 0);
    }
}

static void submitted_are_told_in_order(bool on_leader) {
    struct stage stage;
    enum { COUNT = 700 };  // several batches
    uint64_t first;
    open_three(&stage);
    uint64_t leader = stage_leader(&stage);
    struct stage_node *node = stage_node(&stage, on_leader ? leader : follower_of(leader));
    size_t before = node->outcome_count;
    cr_assert_eq(stage_submit_many(node, "a", COUNT, &first), COUNT);
    stage_pass(&stage, 2000);
    check_told(node, before, first, COUNT);
    cr_assert_eq(stage_status(node).outstanding, 0);
    cr_assert_eq(node->interrupted, 0);
    stage_agree(&stage);
    stage_close(&stage);
}

Test(meta_replica_submit, what_a_leader_is_given_is_told_once_and_in_order) {
    submitted_are_told_in_order(true);
}

Test(meta_replica_submit, what_a_follower_is_given_is_told_once_and_in_order) {
    submitted_are_told_in_order(false);
}

Test(meta_replica_submit, nodes_do_not_hear_of_each_others_tickets) {
    struct stage stage;
    uint64_t first[3];
    size_t before[3];
    open_three(&stage);
    for (unsigned i = 0; i < 3; i++) {
        char prefix[2] = {(char)('a' + i), '\0'};
        before[i] = stage.nodes[i].outcome_count;
        cr_assert_eq(stage_submit_many(&stage.nodes[i], prefix, 100, &first[i]), 100);
    }
    stage_pass(&stage, 2000);
    for (unsigned i = 0; i < 3; i++) check_told(&stage.nodes[i], before[i], first[i], 100);
    stage_close(&stage);
}

Test(meta_replica_submit, without_a_leader_nothing_is_taken) {
    struct stage stage;
    uint64_t first;
    stage_open(&stage, 3, 3, SEED);
    stage_start(&stage, 1);
    stage_pass(&stage, 5000);
    cr_assert_eq(stage_submit_many(&stage.nodes[0], "a", 1, &first), 0);
    cr_assert_eq(stage_status(&stage.nodes[0]).outstanding, 0);
    cr_assert_neq(stage_status(&stage.nodes[0]).leaderless_ns, 0);
    stage_close(&stage);
}

struct raw_submit {
    struct rt_buf command;
    rt_err err;
    bool is_kept;
};

static void refused_piece(struct stage_node *node, void *argument) {
    struct raw_submit *raw = argument;
    struct meta_command command = {.kind = META_CLOSE_SESSION, .session = 9, .origin = 1};
    struct rt_buf bytes = {0};
    struct rt_writer w = rt_writer_into(&bytes);
    meta_command_encode(&command, &w);
    raw->err = meta_replica_submit(node->replica, &bytes);
    raw->is_kept = bytes.size == META_COMMAND_HEADER_SIZE;
    rt_buf_fini(&bytes);
}

Test(meta_replica_submit, what_is_not_taken_stays_with_who_asked) {
    struct stage stage;
    struct raw_submit raw = {.err = RT_OK};
    stage_open(&stage, 3, 3, SEED);
    stage_start(&stage, 1);
    stage_run(&stage.nodes[0], refused_piece, &raw);
    cr_assert_eq(raw.err, RT_EAGAIN);
    cr_assert(raw.is_kept);
    stage_close(&stage);
}

// BUDGETS

static void beyond_the_budget(bool on_leader) {
    struct stage stage;
    uint64_t first, again;
    open_three(&stage);
    uint64_t leader = stage_leader(&stage);
    struct stage_node *node = stage_node(&stage, on_leader ? leader : follower_of(leader));
    size_t before = node->outcome_count;
    unsigned taken = stage_submit_many(node, "a", 6000, &first);
    cr_assert(taken > 1000 && taken < 6000, "%u", taken);
    cr_assert_eq(node->drained, 0);
    stage_pass(&stage, 5000);
    cr_assert_eq(node->drained, 1);
    check_told(node, before, first, taken);
    before = node->outcome_count;
    cr_assert_eq(stage_submit_many(node, "b", 10, &again), 10);
    stage_pass(&stage, 2000);
    check_told(node, before, again, 10);
    cr_assert_eq(node->drained, 1);
    stage_close(&stage);
}

Test(meta_replica_submit, a_leader_over_its_budget_says_busy_and_then_drained) {
    beyond_the_budget(true);
}

Test(meta_replica_submit, a_follower_over_its_budget_says_busy_and_then_drained) {
    beyond_the_budget(false);
}

static void cut_all(struct stage *stage, uint64_t leader) {
    for (uint64_t id = 1; id <= stage->count; id++) {
        if (id != leader) stage_cut(stage, leader, id);
    }
}

// Two commands of which the core takes only one: the other waits, and the loop with it.
Test(meta_replica_submit, what_the_core_has_no_room_for_waits_without_spinning) {
    struct stage stage;
    uint64_t first, second;
    stage_open(&stage, 3, 3, SEED);
    for (unsigned i = 0; i < 3; i++) {
        stage.nodes[i].options.uncommitted_bytes_max = 64;
        stage.nodes[i].options.election_ms = 5000;
    }
    stage_start_all(&stage);
    uint64_t leader = stage_leader(&stage);
    stage_session(&stage, leader, 77, 30000);
    struct stage_node *node = stage_node(&stage, leader);
    cut_all(&stage, leader);
    size_t before = node->outcome_count;
    cr_assert_eq(stage_submit_many(node, "a", 1, &first), 1);
    stage_pass(&stage, 50);
    cr_assert_eq(stage_submit_many(node, "b", 1, &second), 1);
    uint64_t events = rt_sim_events(stage.sim);
    stage_pass(&stage, 1000);
    events = rt_sim_events(stage.sim) - events;
    cr_assert_lt(events, 5000, "%llu events in an idle second", (unsigned long long)events);
    cr_assert_eq(node->outcome_count, before);
    stage_heal(&stage);
    stage_pass(&stage, 10000);
    cr_assert_eq(node->interrupted, 0);
    check_told(node, before, first, 2);
    stage_close(&stage);
}

Test(meta_replica_submit, what_waits_for_a_transfer_that_fails_goes_on) {
    struct stage stage;
    uint64_t first;
    open_three(&stage);
    uint64_t leader = stage_leader(&stage), target = follower_of(leader);
    struct stage_node *node = stage_node(&stage, leader);
    stage_cut(&stage, leader, target);
    size_t before = node->outcome_count;
    cr_assert_eq(stage_submit_many(node, "w", 1, &first), 1);  // which the target does not get
    stage_pass(&stage, 20);
    struct meta_replica_status status = stage_status(node);
    cr_assert_eq(status.raft.role, RAFT_LEADER);
    stage_transfer(node, target);
    cr_assert_eq(stage_submit_many(node, "a", 5, &first), 5);
    uint64_t events = rt_sim_events(stage.sim);
    stage_pass(&stage, 200);
    cr_assert_lt(rt_sim_events(stage.sim) - events, 2000);
    cr_assert_eq(stage_status(node).raft.transfer_to, target);
    stage_pass(&stage, 3000);
    cr_assert_eq(node->interrupted, 0);
    check_told(node, before + 1, first, 5);
    stage_heal(&stage);
    stage_close(&stage);
}

// SIZE

static uint64_t submit_sized(struct stage_node *node, const char *path, size_t size, rt_err *err) {
    struct rt_buf payload = {0};
    uint8_t *data = rt_alloc_zero(1, size);
    struct meta_command command =
        stage_create(node->stage, path, RT_BYTES(data, size), 0, &payload);
    uint64_t ticket = stage_submit(node, &command, err);
    rt_buf_fini(&payload);
    rt_free(data);
    return ticket;
}

static void open_small(struct stage *stage) {
    stage_open(stage, 3, 3, SEED);
    for (unsigned i = 0; i < 3; i++) stage->nodes[i].options.command_bytes_max = SMALL;
    stage_start_all(stage);
    stage_session(stage, stage_leader(stage), 77, 30000);
}

static void too_large_is_refused(bool on_leader) {
    struct stage stage;
    rt_err err;
    open_small(&stage);
    uint64_t leader = stage_leader(&stage);
    struct stage_node *node = stage_node(&stage, on_leader ? leader : follower_of(leader));
    size_t before = node->outcome_count;
    uint64_t first = submit_sized(node, "/before", 100, &err);
    cr_assert_eq(err, RT_OK);
    submit_sized(node, "/large", SMALL, &err);
    cr_assert_eq(err, RT_ETOOBIG);
    uint64_t second = submit_sized(node, "/behind", 100, &err);
    cr_assert_eq(err, RT_OK);
    stage_pass(&stage, 1000);
    cr_assert_eq(node->outcome_count, before + 2);
    cr_assert_eq(stage_outcome(node, first)->err, 0);
    cr_assert_eq(stage_outcome(node, second)->err, 0);
    cr_assert_eq(stage_status(node).outstanding, 0);
    cr_assert_eq(node->refused_count + node->interrupted, 0);
    stage_close(&stage);
}

Test(meta_replica_submit, a_leader_refuses_what_is_too_large_and_only_that) {
    too_large_is_refused(true);
}

Test(meta_replica_submit, a_follower_refuses_what_is_too_large_and_only_that) {
    too_large_is_refused(false);
}

// A command of exactly the limit is one the log, the wire and the core all take.
Test(meta_replica_submit, the_largest_command_goes_through) {
    struct stage stage;
    rt_err err;
    open_three(&stage);
    struct stage_node *node = stage_node(&stage, follower_of(stage_leader(&stage)));
    const size_t limit = 31 << 20;
    struct rt_buf payload = {0}, encoded = {0};
    struct meta_command empty = stage_create(&stage, "/x", RT_BYTES(NULL, 0), 0, &payload);
    struct rt_writer w = rt_writer_into(&encoded);
    meta_command_encode(&empty, &w);
    size_t around = encoded.size;
    rt_buf_fini(&payload);
    rt_buf_fini(&encoded);
    submit_sized(node, "/x", limit - around + 1, &err);
    cr_assert_eq(err, RT_ETOOBIG);
    uint64_t ticket = submit_sized(node, "/x", limit - around, &err);
    cr_assert_eq(err, RT_OK);
    stage_pass(&stage, 10000);
    cr_assert_not_null(stage_outcome(node, ticket));
    cr_assert_eq(stage_outcome(node, ticket)->err, 0);
    stage_agree(&stage);
    stage_close(&stage);
}

// The leader takes less than the follower that forwards: who asked hears of it.
Test(meta_replica_submit, a_leader_refuses_the_one_forwarded_command_that_is_too_large) {
    struct stage stage;
    rt_err err;
    stage_open(&stage, 3, 3, SEED);
    stage.nodes[0].options.command_bytes_max = SMALL;
    stage_start_all(&stage);
    stage_lead(&stage, 1);
    struct stage_node *node = stage_node(&stage, 2);
    stage_session(&stage, 1, 77, 30000);
    size_t before = node->outcome_count;
    uint64_t tickets[3];
    tickets[0] = submit_sized(node, "/before", 100, &err);
    tickets[1] = submit_sized(node, "/large", SMALL, &err);
    cr_assert_eq(err, RT_OK);
    tickets[2] = submit_sized(node, "/behind", 100, &err);
    stage_pass(&stage, 1000);
    cr_assert_eq(node->refused_count, 1);
    cr_assert_eq(node->refused[0], tickets[1]);
    cr_assert_eq(node->outcome_count, before + 2);
    cr_assert_eq(stage_outcome(node, tickets[0])->err, 0);
    cr_assert_eq(stage_outcome(node, tickets[2])->err, 0);
    cr_assert_eq(node->interrupted, 0);
    cr_assert_eq(stage_status(node).outstanding, 0);
    stage_close(&stage);
}
