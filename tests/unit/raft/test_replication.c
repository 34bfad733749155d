#include <criterion/criterion.h>

#include "tests/unit/raft/solo.h"

static const struct raft_message *ack(const struct solo *f) {
    return solo_sent(f, RAFT_APPEND_REPLY, 0);
}

// Section 5.3, and the durability rule for acknowledgements.
Test(raft_replication, acknowledgement_waits_for_the_entries) {
    struct solo f;
    solo_init(&f, 3);
    SOLO_OPEN(&f, 1);
    struct raft_entry entry = solo_entry(2, 1);
    solo_append(&f, 2, 1, (struct raft_position){1, 1}, &entry, 1, 0);
    cr_assert(f.fx->write_log);
    cr_assert_eq(f.fx->log.entry_count, 1);
    cr_assert_eq(ack(&f)->append_reply.index, 2);
    cr_assert_eq(ack(&f)->needs.log, f.fx->log.version);
    solo_log_written(&f);
    solo_append(&f, 2, 1, (struct raft_position){1, 1}, &entry, 1, 0);
    cr_assert_eq(ack(&f)->needs.log, 0, "a durable entry asks for nothing");
    cr_assert_not(f.fx->write_log);
    solo_close(&f);
}

Test(raft_replication, append_that_does_not_connect_is_rejected_with_a_hint) {
    struct solo f;
    solo_init(&f, 3);
    SOLO_OPEN(&f, 1, 2, 2, 4);
    solo_append(&f, 2, 6, (struct raft_position){9, 5}, NULL, 0, 0);
    cr_assert(ack(&f)->append_reply.rejected);
    cr_assert_eq(ack(&f)->append_reply.hint.index, 4);
    solo_append(&f, 2, 6, (struct raft_position){4, 3}, NULL, 0, 0);
    cr_assert_eq(ack(&f)->append_reply.hint.index, 3, "skips the whole term");
    cr_assert_eq(ack(&f)->append_reply.hint.term, 2);
    solo_close(&f);
}

Test(raft_replication, conflict_cuts_from_there_and_nothing_else) {
    struct solo f;
    solo_init(&f, 3);
    SOLO_OPEN(&f, 1, 1, 2, 2);
    struct raft_entry entries[] = {solo_entry(2, 1), solo_entry(3, 3)};
    solo_append(&f, 2, 3, (struct raft_position){1, 1}, entries, 2, 0);
    cr_assert_eq(f.fx->log.truncate_from, 3);
    cr_assert_eq(f.fx->log.entry_count, 1);
    cr_assert_eq(f.status.last, 3);
    solo_close(&f);
}

static uint64_t last_after_a_late_append(unsigned bugs) {
    struct solo f;
    solo_init(&f, 3);
    f.options.planted_bugs = bugs;
    SOLO_OPEN(&f, 1, 1, 1, 1);
    struct raft_entry entry = solo_entry(2, 1);
    solo_append(&f, 2, 1, (struct raft_position){1, 1}, &entry, 1, 0);
    uint64_t last = f.status.last;
    solo_close(&f);
    return last;
}

Test(raft_replication, late_shorter_append_cuts_nothing) {
    cr_assert_eq(last_after_a_late_append(0), 4);
    cr_assert_eq(last_after_a_late_append(RAFT_BUG_TRUNCATE_ALWAYS), 2);
}

static uint64_t commit_with_an_unverified_tail(unsigned bugs) {
    struct solo f;
    solo_init(&f, 3);
    f.options.planted_bugs = bugs;
    SOLO_OPEN(&f, 1, 2, 2);
    solo_append(&f, 2, 3, (struct raft_position){1, 1}, NULL, 0, 3);
    uint64_t commit = f.status.commit;
    solo_close(&f);
    return commit;
}

Test(raft_replication, follower_commits_only_what_the_message_verified) {
    cr_assert_eq(commit_with_an_unverified_tail(0), 1);
    cr_assert_eq(commit_with_an_unverified_tail(RAFT_BUG_COMMIT_UNVERIFIED), 3);
}

// The report of a write that was overwritten meanwhile.
static uint64_t durable_after_a_stale_report(unsigned bugs) {
    struct solo f;
    solo_init(&f, 3);
    f.options.planted_bugs = bugs;
    SOLO_OPEN(&f, 1);
    struct raft_entry old[] = {solo_entry(2, 1), solo_entry(3, 1)};
    solo_append(&f, 2, 1, (struct raft_position){1, 1}, old, 2, 0);
    uint64_t first_write = f.log_version;
    struct raft_entry new[] = {solo_entry(2, 2), solo_entry(3, 2)};
    solo_append(&f, 3, 2, (struct raft_position){1, 1}, new, 2, 0);
    struct raft_event written = {.kind = RAFT_LOG_WRITTEN, .version = first_write};
    cr_assert_eq(solo_step(&f, &written), RT_OK);
    uint64_t durable = f.status.durable;
    solo_close(&f);
    return durable;
}

Test(raft_replication, report_of_an_overwritten_entry_does_not_count) {
    cr_assert_eq(durable_after_a_stale_report(0), 1);
    cr_assert_eq(durable_after_a_stale_report(RAFT_BUG_WRITTEN_BY_INDEX), 3);
}

// Section 5.4.2, figure 8.
static uint64_t commit_of_an_old_term(unsigned bugs) {
    struct solo f;
    solo_init(&f, 5);
    f.options.planted_bugs = bugs;
    SOLO_OPEN(&f, 1, 2);
    solo_lead(&f);
    solo_acknowledge(&f, 2, 2);
    solo_acknowledge(&f, 3, 2);
    uint64_t commit = f.status.commit;
    solo_acknowledge(&f, 2, 3);
    solo_acknowledge(&f, 3, 3);
    cr_assert_eq(f.status.commit, 3, "the no-op commits what is before it");
    solo_close(&f);
    return commit;
}

Test(raft_replication, entry_of_an_earlier_term_is_not_committed_by_counting) {
    cr_assert_eq(commit_of_an_old_term(0), 0);
    cr_assert_eq(commit_of_an_old_term(RAFT_BUG_COMMIT_OLD_TERM), 2);
}

static uint64_t commit_before_the_own_disk(unsigned bugs) {
    struct solo f;
    solo_init(&f, 3);
    f.options.planted_bugs = bugs;
    SOLO_OPEN(&f, 1);
    solo_lead(&f);
    solo_acknowledge(&f, 2, 2);
    cr_assert_eq(solo_propose(&f, "x"), RT_OK);
    solo_acknowledge(&f, 2, 3);
    uint64_t commit = f.status.commit;
    solo_acknowledge(&f, 3, 3);
    cr_assert_eq(f.status.commit, 3, "two followers are a quorum without the leader");
    cr_assert_lt(f.status.applied, 3);
    cr_assert_eq(f.fx->apply_count, 0, "applied only when the own disk has it");
    solo_close(&f);
    return commit;
}

Test(raft_replication, leader_counts_itself_only_when_durable) {
    cr_assert_eq(commit_before_the_own_disk(0), 2);
    cr_assert_eq(commit_before_the_own_disk(RAFT_BUG_COUNT_SELF_EARLY), 3);
}

Test(raft_replication, appends_are_pipelined_up_to_the_window) {
    struct solo f;
    solo_init(&f, 3);
    f.options.inflight_messages_max = 3;
    SOLO_OPEN(&f, 1);
    solo_lead(&f);
    solo_acknowledge(&f, 2, 2);
    unsigned sent = 0;
    for (unsigned i = 0; i < 10; i++) {
        cr_assert_eq(solo_propose(&f, "x"), RT_OK);
        sent += solo_sent(&f, RAFT_APPEND, 2) != NULL;
    }
    cr_assert_eq(sent, 3);
    solo_acknowledge(&f, 2, 3);
    cr_assert_eq(solo_sent(&f, RAFT_APPEND, 2)->append.entry_count, 7, "the rest in one message");
    solo_close(&f);
}

Test(raft_replication, proposals_over_the_budget_are_refused) {
    struct solo f;
    solo_init(&f, 3);
    f.options.uncommitted_bytes_max = 10;
    f.options.entry_bytes_max = 100;
    SOLO_OPEN(&f, 1);
    cr_assert_eq(solo_propose(&f, "x"), RT_EAGAIN, "not the leader");
    solo_lead(&f);
    cr_assert_eq(solo_propose(&f, "larger than the budget"), RT_OK, "one always fits");
    cr_assert_eq(solo_propose(&f, "x"), RT_EBUSY);
    solo_log_written(&f);
    solo_acknowledge(&f, 2, 3);
    cr_assert_eq(f.status.uncommitted_bytes, 0);
    cr_assert_eq(solo_propose(&f, "x"), RT_OK);
    solo_close(&f);
}

Test(raft_replication, empty_proposals_use_the_budget_too) {
    struct solo f;
    solo_init(&f, 3);
    f.options.uncommitted_bytes_max = 1000;
    SOLO_OPEN(&f, 1);
    solo_lead(&f);
    unsigned accepted = 0;
    while (solo_propose(&f, "") == RT_OK) cr_assert_lt(++accepted, 1000);
    cr_assert_gt(accepted, 1);
    solo_close(&f);
}

Test(raft_replication, heartbeat_never_tells_a_follower_to_commit_what_it_may_not_have) {
    struct solo f;
    solo_init(&f, 3);
    SOLO_OPEN(&f, 1);
    solo_lead(&f);
    solo_acknowledge(&f, 2, 2);
    solo_tick(&f, f.options.heartbeat_ticks);
    cr_assert_eq(solo_sent(&f, RAFT_HEARTBEAT, 2)->heartbeat.commit, 2);
    cr_assert_eq(solo_sent(&f, RAFT_HEARTBEAT, 3)->heartbeat.commit, 0);
    solo_close(&f);
}

Test(raft_replication, stale_reject_does_not_move_a_follower_back) {
    struct solo f;
    solo_init(&f, 3);
    SOLO_OPEN(&f, 1, 1, 1, 1);
    solo_lead(&f);
    solo_acknowledge(&f, 2, 5);
    struct raft_message late = {.kind = RAFT_APPEND_REPLY, .from = 2, .term = f.status.term};
    late.append_reply = (struct raft_append_reply){.rejected = true, .index = 4, .hint = {1, 1}};
    cr_assert_eq(solo_receive(&f, late), RT_OK);
    struct raft_peer_status peer;
    cr_assert(raft_peer_status(f.raft, 2, &peer));
    cr_assert_eq(peer.progress, RAFT_REPLICATE);
    cr_assert_eq(peer.match, 5);
    solo_close(&f);
}

Test(raft_replication, follower_that_lost_entries_is_sent_them_again) {
    struct solo f;
    solo_init(&f, 3);
    SOLO_OPEN(&f, 1, 1, 1, 1);
    solo_lead(&f);
    solo_acknowledge(&f, 2, 5);
    struct raft_message lost = {.kind = RAFT_APPEND_REPLY, .from = 2, .term = f.status.term};
    lost.append_reply =
        (struct raft_append_reply){.rejected = true, .repairing = true, .index = 5, .hint = {2, 1}};
    cr_assert_eq(solo_receive(&f, lost), RT_OK);
    const struct raft_message *append = solo_sent(&f, RAFT_APPEND, 2);
    cr_assert(append && append->append.prev.index == 2);
    solo_close(&f);
}

// Its last batch rotted and was taken for a torn tail: it does not know that it lost anything.
Test(raft_replication, follower_that_lost_entries_unawares_is_sent_them_again) {
    struct solo f;
    solo_init(&f, 3);
    SOLO_OPEN(&f, 1, 1, 1, 1);
    solo_lead(&f);
    solo_acknowledge(&f, 2, 5);
    struct raft_event away = {.kind = RAFT_PEER_LOST, .peer = 2};
    cr_assert_eq(solo_step(&f, &away), RT_OK);
    struct raft_message lost = {.kind = RAFT_APPEND_REPLY, .from = 2, .term = f.status.term};
    lost.append_reply = (struct raft_append_reply){.rejected = true, .index = 5, .hint = {4, 1}};
    cr_assert_eq(solo_receive(&f, lost), RT_OK);
    const struct raft_message *append = solo_sent(&f, RAFT_APPEND, 2);
    cr_assert(append && append->append.prev.index == 4);
    solo_close(&f);
}

Test(raft_replication, entries_that_left_memory_are_loaded_for_a_slow_follower) {
    struct solo f;
    solo_init(&f, 3);
    f.options.cache_bytes_max = 0;
    SOLO_OPEN(&f, 1, 1, 1, 1);
    solo_lead(&f);
    struct raft_message reject = {.kind = RAFT_APPEND_REPLY, .from = 2, .term = f.status.term};
    reject.append_reply = (struct raft_append_reply){.rejected = true, .index = 4, .hint = {1, 1}};
    cr_assert_eq(solo_receive(&f, reject), RT_OK);
    cr_assert_eq(f.fx->load_count, 1);
    cr_assert_eq(f.fx->loads[0].first, 2);
    struct raft_entry entries[] = {solo_entry(2, 1), solo_entry(3, 1)};
    struct raft_event loaded = {.kind = RAFT_LOADED};
    loaded.loaded.peer = 2;
    loaded.loaded.first = 2;
    loaded.loaded.entries = entries;
    loaded.loaded.count = 2;
    cr_assert_eq(solo_step(&f, &loaded), RT_OK);
    const struct raft_message *append = solo_sent(&f, RAFT_APPEND, 2);
    cr_assert(append && append->append.prev.index == 1 && append->append.entry_count == 2);
    solo_close(&f);
}

Test(raft_replication, memory_for_entries_is_bounded) {
    struct solo f;
    solo_init(&f, 3);
    f.options.cache_bytes_max = 1000;
    SOLO_OPEN(&f, 1);
    solo_lead(&f);
    for (unsigned i = 0; i < 1000; i++) {
        cr_assert_eq(solo_propose(&f, "some bytes"), RT_OK);
        solo_log_written(&f);
        solo_acknowledge(&f, 2, f.status.last);
    }
    cr_assert_leq(f.status.cached_bytes, 1000);
    solo_close(&f);
}

Test(raft_replication, malformed_appends_are_refused) {
    struct solo f;
    solo_init(&f, 3);
    SOLO_OPEN(&f, 1);
    struct raft_entry gap = solo_entry(7, 1), future = solo_entry(2, 9), config = solo_entry(2, 1);
    config.kind = RAFT_CONFIG;
    const struct raft_entry *bad[] = {&gap, &future, &config};
    for (size_t i = 0; i < 3; i++) {
        struct raft_message message = {.kind = RAFT_APPEND, .from = 2, .term = 1};
        message.append = (struct raft_append){{1, 1}, 0, bad[i], 1};
        cr_assert_eq(solo_receive(&f, message), RT_EPROTO, "case %zu", i);
        cr_assert_eq(f.status.last, 1);
    }
    solo_close(&f);
}
