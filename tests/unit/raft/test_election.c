#include <criterion/criterion.h>

#include "tests/unit/raft/solo.h"

enum { T = 10 };

static struct raft_message vote_of(uint64_t from, uint64_t term, struct raft_position last) {
    struct raft_message message = {.kind = RAFT_VOTE, .from = from, .term = term};
    message.vote.last = last;
    return message;
}

static struct raft_message pre_vote_of(uint64_t from, uint64_t term, struct raft_position last) {
    struct raft_message message = vote_of(from, term, last);
    message.kind = RAFT_PRE_VOTE;
    return message;
}

static struct raft_message heartbeat_of(uint64_t from, uint64_t term) {
    return (struct raft_message){.kind = RAFT_HEARTBEAT, .from = from, .term = term};
}

static bool granted(const struct solo *f) {
    const struct raft_message *reply = solo_sent(f, RAFT_VOTE_REPLY, 0);
    return reply && reply->vote_reply.granted;
}

static bool pre_granted(const struct solo *f) {
    const struct raft_message *reply = solo_sent(f, RAFT_PRE_VOTE_REPLY, 0);
    return reply && reply->vote_reply.granted;
}

// Section 5.2.
Test(raft_election, follower_campaigns_when_no_leader_is_heard_between_t_and_2t) {
    struct solo f;
    solo_init(&f, 3);
    SOLO_OPEN(&f, 1);
    solo_tick(&f, T - 1);
    cr_assert_eq(f.status.role, RAFT_FOLLOWER);
    solo_tick(&f, T);
    cr_assert_eq(f.status.role, RAFT_PRE_CANDIDATE);
    solo_close(&f);
}

Test(raft_election, heartbeats_keep_a_follower_quiet) {
    struct solo f;
    solo_init(&f, 3);
    SOLO_OPEN(&f, 1);
    for (unsigned i = 0; i < 10; i++) {
        cr_assert_eq(solo_receive(&f, heartbeat_of(2, 1)), RT_OK);
        solo_tick(&f, T - 1);
    }
    cr_assert_eq(f.status.role, RAFT_FOLLOWER);
    cr_assert_eq(f.status.leader, 2);
    solo_close(&f);
}

// Section 9.6 of the thesis.
Test(raft_election, pre_vote_changes_neither_term_nor_vote) {
    struct solo f;
    solo_init(&f, 3);
    SOLO_OPEN(&f, 1);
    solo_tick(&f, T);
    cr_assert_eq(solo_receive(&f, pre_vote_of(2, 7, (struct raft_position){1, 1})), RT_OK);
    cr_assert(pre_granted(&f));
    cr_assert_eq(solo_sent(&f, RAFT_PRE_VOTE_REPLY, 2)->term, 7);
    cr_assert_eq(f.status.term, 1);
    cr_assert_not(f.fx->write_hard_state);
    solo_close(&f);
}

Test(raft_election, pre_candidate_keeps_its_term_without_a_quorum) {
    struct solo f;
    solo_init(&f, 5);
    SOLO_OPEN(&f, 1);
    solo_tick(&f, 20 * T);
    cr_assert_eq(f.status.term, 1);
    cr_assert_neq(f.status.role, RAFT_LEADER);
    solo_close(&f);
}

// Section 5.2 and the durability rule: the vote is on disk before it leaves.
Test(raft_election, vote_waits_for_its_hard_state) {
    struct solo f;
    solo_init(&f, 3);
    SOLO_OPEN(&f, 1);
    solo_tick(&f, T);
    cr_assert_eq(solo_receive(&f, vote_of(2, 2, (struct raft_position){1, 1})), RT_OK);
    cr_assert(granted(&f));
    cr_assert(f.fx->write_hard_state);
    cr_assert_eq(f.fx->hard_state.term, 2);
    cr_assert_eq(f.fx->hard_state.vote, 2);
    cr_assert_eq(solo_sent(&f, RAFT_VOTE_REPLY, 2)->needs.hard_state, f.fx->hard_state.version);
    solo_close(&f);
}

Test(raft_election, one_vote_per_term) {
    struct solo f;
    solo_init(&f, 3);
    SOLO_OPEN(&f, 1);
    solo_tick(&f, T);
    struct raft_position last = {1, 1};
    cr_assert_eq(solo_receive(&f, vote_of(2, 2, last)), RT_OK);
    cr_assert_eq(solo_receive(&f, vote_of(3, 2, last)), RT_OK);
    cr_assert_not(granted(&f), "voted for two candidates");
    cr_assert_eq(solo_receive(&f, vote_of(2, 2, last)), RT_OK);
    cr_assert(granted(&f), "does not repeat a vote whose answer was lost");
    solo_close(&f);
}

// Section 5.4.1.
Test(raft_election, candidate_with_an_older_log_gets_no_vote) {
    static const struct {
        struct raft_position last;
        bool granted;
    } cases[] = {
        {{3, 2}, true}, {{4, 2}, true}, {{2, 3}, true}, {{2, 2}, false}, {{9, 1}, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct solo f;
        solo_init(&f, 3);
        SOLO_OPEN(&f, 1, 2, 2);
        solo_tick(&f, T);
        cr_assert_eq(solo_receive(&f, vote_of(2, 9, cases[i].last)), RT_OK);
        cr_assert_eq(granted(&f), cases[i].granted, "case %zu", i);
        solo_close(&f);
    }
}

// Section 4.2.3 of the thesis.
Test(raft_election, voter_that_hears_a_leader_ignores_candidates) {
    struct solo f;
    solo_init(&f, 3);
    SOLO_OPEN(&f, 1);
    solo_tick(&f, T);
    cr_assert_eq(solo_receive(&f, heartbeat_of(2, 1)), RT_OK);
    cr_assert_eq(solo_receive(&f, vote_of(3, 5, (struct raft_position){9, 4})), RT_OK);
    cr_assert_null(solo_sent(&f, RAFT_VOTE_REPLY, 0));
    cr_assert_eq(f.status.term, 1);
    cr_assert_eq(solo_receive(&f, pre_vote_of(3, 5, (struct raft_position){9, 4})), RT_OK);
    cr_assert_not(pre_granted(&f));
    solo_close(&f);
}

Test(raft_election, transfer_overrides_stickiness) {
    struct solo f;
    solo_init(&f, 3);
    SOLO_OPEN(&f, 1);
    cr_assert_eq(solo_receive(&f, heartbeat_of(2, 1)), RT_OK);
    struct raft_message vote = vote_of(3, 2, (struct raft_position){1, 1});
    vote.vote.transfer = true;
    cr_assert_eq(solo_receive(&f, vote), RT_OK);
    cr_assert(granted(&f));
    solo_close(&f);
}

static bool votes_right_after_a_start(unsigned bugs) {
    struct solo f;
    solo_init(&f, 3);
    f.options.planted_bugs = bugs;
    SOLO_OPEN(&f, 1);
    cr_assert_eq(solo_receive(&f, vote_of(2, 2, (struct raft_position){1, 1})), RT_OK);
    bool early = granted(&f);
    solo_tick(&f, T);
    cr_assert_eq(solo_receive(&f, vote_of(2, 2, (struct raft_position){1, 1})), RT_OK);
    cr_assert(granted(&f), "never votes again");
    solo_close(&f);
    return early;
}

Test(raft_election, restarted_node_keeps_the_promise_that_it_forgot) {
    cr_assert_not(votes_right_after_a_start(0));
    cr_assert(votes_right_after_a_start(RAFT_BUG_VOTE_AFTER_RESTART),
              "the test sees no difference");
}

// Section 6.2 of the thesis.
static bool steps_down_in_silence(unsigned bugs) {
    struct solo f;
    solo_init(&f, 3);
    f.options.planted_bugs = bugs;
    SOLO_OPEN(&f, 1);
    solo_lead(&f);
    solo_tick(&f, T);
    bool stepped_down = f.status.role == RAFT_FOLLOWER;
    solo_close(&f);
    return stepped_down;
}

Test(raft_election, leader_that_nobody_answers_steps_down) {
    cr_assert(steps_down_in_silence(0));
    cr_assert_not(steps_down_in_silence(RAFT_BUG_NO_CHECK_QUORUM), "the test sees no difference");
}

Test(raft_election, node_of_a_higher_term_unseats_the_leader_it_hears) {
    struct solo f;
    solo_init(&f, 3);
    f.found.hard_state.term = 5;
    SOLO_OPEN(&f, 1);
    cr_assert_eq(solo_receive(&f, heartbeat_of(2, 4)), RT_OK);
    const struct raft_message *reply = solo_sent(&f, RAFT_APPEND_REPLY, 2);
    cr_assert(reply && reply->term == 5 && reply->append_reply.rejected);
    cr_assert_eq(f.status.leader, 0);
    solo_close(&f);
}

Test(raft_election, only_voter_leads_as_soon_as_its_vote_is_durable) {
    struct solo f;
    solo_init(&f, 1);
    f.found.hard_state.term = 1;
    f.found.hard_state.commit = 1;
    SOLO_OPEN(&f, 1);
    solo_tick(&f, 1);
    cr_assert_eq(f.status.role, RAFT_CANDIDATE);
    solo_hard_state_written(&f);
    cr_assert_eq(f.status.role, RAFT_LEADER);
    cr_assert_eq(f.status.commit, 1);
    solo_log_written(&f);
    cr_assert_eq(f.status.commit, 2);
    solo_close(&f);
}

// A node that lost acknowledged entries must not help to elect somebody without them.
static bool helps_to_forget(unsigned bugs) {
    struct solo f;
    solo_init(&f, 3);
    f.options.planted_bugs = bugs;
    f.found.claimed_last = (struct raft_position){4, 2};
    SOLO_OPEN(&f, 1, 2);
    solo_tick(&f, T);
    cr_assert_eq(solo_receive(&f, vote_of(2, 9, (struct raft_position){3, 2})), RT_OK);
    bool helped = granted(&f);
    solo_close(&f);
    return helped;
}

Test(raft_election, repairing_node_votes_by_what_it_had) {
    cr_assert_not(helps_to_forget(0));
    cr_assert(helps_to_forget(RAFT_BUG_REPAIR_FORGOTTEN), "the test sees no difference");
}

Test(raft_election, repairing_node_does_not_campaign_until_its_log_is_whole) {
    struct solo f;
    solo_init(&f, 3);
    f.found.claimed_last = (struct raft_position){3, 1};
    SOLO_OPEN(&f, 1);
    solo_tick(&f, 5 * T);
    cr_assert_eq(f.status.role, RAFT_FOLLOWER);
    cr_assert(f.status.repairing);
    struct raft_entry entries[] = {solo_entry(2, 1), solo_entry(3, 1)};
    solo_append(&f, 2, 1, (struct raft_position){1, 1}, entries, 2, 0);
    cr_assert_not(f.status.repairing);
    solo_tick(&f, 2 * T);
    cr_assert_eq(f.status.role, RAFT_PRE_CANDIDATE);
    solo_close(&f);
}

Test(raft_election, nonsense_is_refused_and_changes_nothing) {
    struct solo f;
    solo_init(&f, 3);
    SOLO_OPEN(&f, 1);
    struct raft_message from_self = heartbeat_of(1, 9);
    struct raft_message endless = heartbeat_of(2, UINT64_MAX);
    cr_assert_eq(solo_receive(&f, from_self), RT_EPROTO);
    cr_assert_eq(solo_receive(&f, endless), RT_EPROTO);
    cr_assert_eq(f.status.term, 1);
    solo_close(&f);
}
