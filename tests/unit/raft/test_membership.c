#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/raft/solo.h"

static struct raft_config config_of(unsigned voters, unsigned learners) {
    struct raft_config config = {0};
    for (unsigned id = 1; id <= voters + learners; id++) {
        unsigned role = id <= voters ? RAFT_VOTER : RAFT_LEARNER;
        cr_assert_eq(raft_config_put(&config, id, role, "b:2"), RT_OK);
    }
    return config;
}

static rt_err change(struct solo *f, const struct raft_config *target) {
    struct raft_event event = {.kind = RAFT_CONFIG_PROPOSED, .config = target};
    return solo_step(f, &event);
}

Test(raft_config, survives_encoding) {
    struct raft_config config = config_of(3, 2), back;
    config.index = 77;
    uint8_t memory[RAFT_CONFIG_SIZE_MAX];
    struct rt_writer w = rt_writer_over(memory, sizeof(memory));
    raft_config_encode(&config, &w);
    cr_assert_eq(raft_config_decode(RT_BYTES(memory, w.written), &back), RT_OK);
    cr_assert_eq(memcmp(&config, &back, sizeof(config)), 0);
    for (size_t cut = 0; cut < w.written; cut++) {
        cr_assert_eq(raft_config_decode(RT_BYTES(memory, cut), &back), RT_EPROTO, "at %zu", cut);
    }
}

Test(raft_config, golden_bytes) {
    struct raft_config config = {.index = 2};
    cr_assert_eq(raft_config_put(&config, 5, RAFT_VOTER, "h:1"), RT_OK);
    uint8_t memory[RAFT_CONFIG_SIZE_MAX];
    struct rt_writer w = rt_writer_over(memory, sizeof(memory));
    raft_config_encode(&config, &w);
    static const uint8_t golden[] = {1, 0, 0, 0, 0, 0, 0, 0, 2,   1,   0,  0,
                                     0, 0, 0, 0, 0, 5, 1, 3, 'h', ':', '1'};
    cr_assert(rt_bytes_equal(RT_BYTES(memory, w.written), RT_BYTES(golden, sizeof(golden))));
}

Test(raft_config, refuses_what_makes_no_cluster) {
    struct raft_config config = {0};
    char address[RAFT_ADDRESS_SIZE + 1];
    memset(address, 'a', sizeof(address) - 1);
    address[RAFT_ADDRESS_SIZE] = 0;
    cr_assert_eq(raft_config_put(&config, 0, RAFT_VOTER, ""), RT_EINVAL);
    cr_assert_eq(raft_config_put(&config, 1, 0, ""), RT_EINVAL);
    cr_assert_eq(raft_config_put(&config, 1, RAFT_VOTER | RAFT_LEARNER, ""), RT_EINVAL);
    cr_assert_eq(raft_config_put(&config, 1, RAFT_VOTER, address), RT_EINVAL);
    cr_assert_not(raft_config_is_valid(&config), "nobody votes");
    for (unsigned id = 1; id <= RAFT_MEMBERS_MAX; id++) {
        cr_assert_eq(raft_config_put(&config, id, RAFT_VOTER, ""), RT_OK);
    }
    cr_assert_eq(raft_config_put(&config, 99, RAFT_VOTER, ""), RT_ETOOBIG);
}

Test(raft_config, joint_configuration_remembers_both_sets) {
    struct raft_config from = config_of(3, 0), to = {0}, joint, end;
    cr_assert_eq(raft_config_put(&to, 2, RAFT_VOTER, "b:2"), RT_OK);
    cr_assert_eq(raft_config_put(&to, 3, RAFT_LEARNER, "b:2"), RT_OK);
    cr_assert_eq(raft_config_put(&to, 4, RAFT_VOTER, "b:2"), RT_OK);
    cr_assert_eq(raft_config_enter_joint(&from, &to, &joint), RT_OK);
    cr_assert(raft_config_is_joint(&joint));
    cr_assert_eq(raft_config_find(&joint, 1)->roles, RAFT_VOTER_OLD);
    cr_assert_eq(raft_config_find(&joint, 2)->roles, RAFT_VOTER | RAFT_VOTER_OLD);
    cr_assert_eq(raft_config_find(&joint, 3)->roles, RAFT_LEARNER | RAFT_VOTER_OLD);
    cr_assert_eq(raft_config_find(&joint, 4)->roles, RAFT_VOTER);
    raft_config_leave_joint(&joint, &end);
    cr_assert_null(raft_config_find(&end, 1));
    cr_assert_eq(raft_config_find(&end, 3)->roles, RAFT_LEARNER);
}

// The fix to the single-server bug of 2015.
static rt_err change_right_after_the_election(unsigned bugs) {
    struct solo f;
    solo_init(&f, 3);
    f.options.planted_bugs = bugs;
    SOLO_OPEN(&f, 1);
    solo_lead(&f);
    struct raft_config target = config_of(2, 0);
    rt_err err = change(&f, &target);
    solo_close(&f);
    return err;
}

Test(raft_membership, no_change_before_an_entry_of_the_term_is_committed) {
    cr_assert_eq(change_right_after_the_election(0), RT_EBUSY);
    cr_assert_eq(change_right_after_the_election(RAFT_BUG_CHANGE_BEFORE_NOOP), RT_OK);
}

Test(raft_membership, one_change_at_a_time) {
    struct solo f;
    solo_init(&f, 3);
    SOLO_OPEN(&f, 1);
    struct raft_config target = config_of(4, 0);
    cr_assert_eq(change(&f, &target), RT_EAGAIN, "not the leader");
    solo_lead(&f);
    solo_acknowledge(&f, 2, 2);
    cr_assert_eq(change(&f, &target), RT_OK);
    cr_assert_eq(change(&f, &target), RT_EBUSY);
    solo_close(&f);
}

// Section 6: C_old,new needs a majority of each set, then C_new follows by itself.
Test(raft_membership, joint_change_needs_both_majorities_and_ends_by_itself) {
    struct solo f;
    solo_init(&f, 3);
    SOLO_OPEN(&f, 1);
    solo_lead(&f);
    solo_acknowledge(&f, 2, 2);
    struct raft_config target = {0};
    for (unsigned id = 4; id <= 6; id++) {
        cr_assert_eq(raft_config_put(&target, id, RAFT_VOTER, "c:3"), RT_OK);
    }
    cr_assert_eq(change(&f, &target), RT_OK);
    solo_log_written(&f);
    for (unsigned id = 4; id <= 6; id++) solo_acknowledge(&f, id, 3);
    cr_assert_eq(f.status.commit, 2, "the old set has a say");
    solo_acknowledge(&f, 2, 3);
    cr_assert_eq(f.status.commit, 3);
    cr_assert_not(raft_config_is_joint(raft_config(f.raft)), "left by itself");
    cr_assert_eq(raft_config(f.raft)->index, 4);
    cr_assert_eq(f.status.role, RAFT_LEADER, "leads until the new set has it");
    solo_acknowledge(&f, 4, 4);
    solo_acknowledge(&f, 5, 4);
    cr_assert_eq(f.status.role, RAFT_FOLLOWER, "and goes");
    cr_assert(f.fx->removed);
    cr_assert_eq(solo_sent(&f, RAFT_REMOVED, 3)->removed.config_index, 4);
    solo_close(&f);
}

Test(raft_membership, learners_do_not_count) {
    struct solo f;
    solo_init(&f, 3);
    SOLO_OPEN(&f, 1);
    solo_lead(&f);
    solo_acknowledge(&f, 2, 2);
    struct raft_config target = config_of(3, 2);
    cr_assert_eq(change(&f, &target), RT_OK);
    cr_assert_not(raft_config_is_joint(raft_config(f.raft)), "learners need no joint step");
    solo_log_written(&f);
    solo_acknowledge(&f, 4, 3);
    solo_acknowledge(&f, 5, 3);
    cr_assert_eq(f.status.commit, 2);
    solo_acknowledge(&f, 3, 3);
    cr_assert_eq(f.status.commit, 3);
    solo_close(&f);
}

Test(raft_membership, configuration_is_in_force_on_append_and_undone_by_a_cut) {
    struct solo f;
    solo_init(&f, 3);
    SOLO_OPEN(&f, 1);
    struct raft_config config = config_of(4, 0);
    config.index = 2;
    uint8_t memory[RAFT_CONFIG_SIZE_MAX];
    struct rt_writer w = rt_writer_over(memory, sizeof(memory));
    raft_config_encode(&config, &w);
    struct raft_entry entry = solo_entry(2, 1);
    entry.kind = RAFT_CONFIG;
    entry.payload = raft_payload_copy(RT_BYTES(memory, w.written), &entry.data);
    solo_append(&f, 2, 1, (struct raft_position){1, 1}, &entry, 1, 0);
    raft_payload_drop(entry.payload);
    cr_assert_eq(f.fx->config->count, 4);
    struct raft_entry other = solo_entry(2, 2);
    solo_append(&f, 3, 2, (struct raft_position){1, 1}, &other, 1, 0);
    cr_assert_eq(f.fx->config->count, 3);
    solo_close(&f);
}

Test(raft_membership, removed_node_believes_only_a_newer_configuration) {
    struct solo f;
    solo_init(&f, 3);
    SOLO_OPEN(&f, 1);
    struct raft_message removed = {.kind = RAFT_REMOVED, .from = 2, .term = 1};
    removed.removed.config_index = 1;
    cr_assert_eq(solo_receive(&f, removed), RT_OK);
    cr_assert_not(f.fx->removed);
    removed.removed.config_index = 5;
    cr_assert_eq(solo_receive(&f, removed), RT_OK);
    cr_assert(f.fx->removed);
    solo_tick(&f, 100);
    cr_assert_eq(f.status.role, RAFT_FOLLOWER, "and campaigns no more");
    solo_close(&f);
}

Test(raft_transfer, target_that_has_everything_is_told_to_campaign) {
    struct solo f;
    solo_init(&f, 3);
    SOLO_OPEN(&f, 1);
    solo_lead(&f);
    solo_acknowledge(&f, 2, 2);
    struct raft_event transfer = {.kind = RAFT_TRANSFER_ASKED, .peer = 3};
    cr_assert_eq(solo_step(&f, &transfer), RT_OK);
    cr_assert_null(solo_sent(&f, RAFT_TIMEOUT_NOW, 0), "it lacks an entry");
    cr_assert_eq(solo_propose(&f, "x"), RT_EBUSY, "no proposals meanwhile");
    solo_acknowledge(&f, 3, 2);
    cr_assert_not_null(solo_sent(&f, RAFT_TIMEOUT_NOW, 3));
    solo_tick(&f, 5);
    solo_acknowledge(&f, 2, 2);
    solo_tick(&f, 5);
    cr_assert_eq(f.status.transfer_to, 0, "given up after T");
    cr_assert_eq(solo_propose(&f, "x"), RT_OK);
    solo_close(&f);
}

Test(raft_transfer, told_follower_campaigns_at_once_and_says_why) {
    struct solo f;
    solo_init(&f, 3);
    SOLO_OPEN(&f, 1);
    struct raft_message beat = {.kind = RAFT_HEARTBEAT, .from = 2, .term = 1};
    cr_assert_eq(solo_receive(&f, beat), RT_OK);
    struct raft_message now = {.kind = RAFT_TIMEOUT_NOW, .from = 2, .term = 1};
    cr_assert_eq(solo_receive(&f, now), RT_OK);
    cr_assert_eq(f.status.role, RAFT_CANDIDATE);
    cr_assert(solo_sent(&f, RAFT_VOTE, 3)->vote.transfer);
    solo_close(&f);
}
