#include <criterion/criterion.h>

#include "tests/unit/raft/solo.h"

static void apply_all(struct solo *f) {
    while (f->fx->apply_count) {
        uint64_t last = f->fx->apply[f->fx->apply_count - 1].at.index;
        struct raft_event applied = {.kind = RAFT_APPLIED, .index = last};
        cr_assert_eq(solo_step(f, &applied), RT_OK);
    }
}

static void confirm(struct solo *f, uint64_t from, uint64_t round) {
    struct raft_message reply = {
        .kind = RAFT_HEARTBEAT_REPLY, .from = from, .term = f->status.term};
    reply.heartbeat_reply.round = round;
    cr_assert_eq(solo_receive(f, reply), RT_OK);
}

static void lead_and_apply(struct solo *f) {
    solo_lead(f);
    solo_acknowledge(f, 2, 2);
    apply_all(f);
}

// Section 6.4 of the thesis.
Test(raft_read, is_answered_after_a_round_that_began_later) {
    struct solo f;
    solo_init(&f, 3);
    SOLO_OPEN(&f, 1);
    lead_and_apply(&f);
    solo_tick(&f, 1);
    uint64_t old_round = solo_sent(&f, RAFT_HEARTBEAT, 2)->heartbeat.round;
    cr_assert_eq(solo_read(&f, 7), RT_OK);
    uint64_t round = solo_sent(&f, RAFT_HEARTBEAT, 2)->heartbeat.round;
    cr_assert_gt(round, old_round);
    confirm(&f, 2, old_round);
    cr_assert_eq(f.fx->read_count, 0);
    confirm(&f, 2, round);
    cr_assert_eq(f.fx->read_count, 1);
    cr_assert_eq(f.fx->reads[0].context, 7);
    cr_assert_eq(f.fx->reads[0].err, RT_OK);
    solo_close(&f);
}

Test(raft_read, waits_for_the_first_commit_of_the_term) {
    struct solo f;
    solo_init(&f, 3);
    SOLO_OPEN(&f, 1);
    solo_lead(&f);
    cr_assert_eq(solo_read(&f, 7), RT_OK);
    cr_assert_null(solo_sent(&f, RAFT_HEARTBEAT, 0));
    solo_acknowledge(&f, 2, 2);
    cr_assert_not_null(solo_sent(&f, RAFT_HEARTBEAT, 2), "the round begins");
    solo_close(&f);
}

Test(raft_read, waits_until_its_index_is_applied) {
    struct solo f;
    solo_init(&f, 1);
    f.found.hard_state = (struct raft_hard_state){.term = 1, .commit = 1};
    SOLO_OPEN(&f, 1);
    solo_tick(&f, 1);
    solo_hard_state_written(&f);
    solo_log_written(&f);
    cr_assert_eq(solo_read(&f, 7), RT_OK);
    cr_assert_eq(f.fx->read_count, 0);
    struct raft_event applied = {.kind = RAFT_APPLIED, .index = 1};
    cr_assert_eq(solo_step(&f, &applied), RT_OK);
    cr_assert_eq(f.fx->read_count, 0);
    applied.index = 2;
    cr_assert_eq(solo_step(&f, &applied), RT_OK);
    cr_assert_eq(f.fx->read_count, 1, "a single node needs no round");
    solo_close(&f);
}

Test(raft_read, follower_asks_the_leader_and_asks_again) {
    struct solo f;
    solo_init(&f, 3);
    SOLO_OPEN(&f, 1);
    struct raft_message beat = {.kind = RAFT_HEARTBEAT, .from = 2, .term = 1};
    cr_assert_eq(solo_receive(&f, beat), RT_OK);
    cr_assert_eq(solo_read(&f, 7), RT_OK);
    uint64_t id = solo_sent(&f, RAFT_READ, 2)->read.id;
    cr_assert_eq(solo_read(&f, 8), RT_OK);
    cr_assert_null(solo_sent(&f, RAFT_READ, 2), "one question at a time");
    solo_tick(&f, f.options.heartbeat_ticks);
    cr_assert_eq(solo_sent(&f, RAFT_READ, 2)->read.id, id, "again, under the same id");
    struct raft_message reply = {.kind = RAFT_READ_REPLY, .from = 2, .term = 1};
    reply.read_reply = (struct raft_read_reply){id, 0};
    cr_assert_eq(solo_receive(&f, reply), RT_OK);
    cr_assert_eq(f.fx->read_count, 1);
    cr_assert_not_null(solo_sent(&f, RAFT_READ, 2), "then the next question");
    solo_close(&f);
}

Test(raft_read, times_out_without_a_leader) {
    struct solo f;
    solo_init(&f, 3);
    SOLO_OPEN(&f, 1);
    cr_assert_eq(solo_read(&f, 7), RT_OK);
    solo_tick(&f, 20);
    cr_assert_eq(f.fx->read_count, 1);
    cr_assert_eq(f.fx->reads[0].err, RT_ETIMEDOUT);
    solo_close(&f);
}

Test(raft_read, over_the_budget_is_refused) {
    struct solo f;
    solo_init(&f, 3);
    f.options.reads_max = 2;
    SOLO_OPEN(&f, 1);
    cr_assert_eq(solo_read(&f, 1), RT_OK);
    cr_assert_eq(solo_read(&f, 2), RT_OK);
    cr_assert_eq(solo_read(&f, 3), RT_EBUSY);
    solo_close(&f);
}
