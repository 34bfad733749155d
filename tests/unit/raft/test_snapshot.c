#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/raft/solo.h"

static uint8_t config_memory[RAFT_CONFIG_SIZE_MAX];

static struct raft_message chunk_of(struct solo *f, uint64_t index, uint64_t offset, size_t size) {
    struct rt_writer w = rt_writer_over(config_memory, sizeof(config_memory));
    raft_config_encode(&f->config, &w);
    struct raft_message message = {.kind = RAFT_SNAPSHOT, .from = 2, .term = 3};
    message.snapshot.at = (struct raft_position){index, 2};
    message.snapshot.config = RT_BYTES(config_memory, w.written);
    message.snapshot.offset = offset;
    message.snapshot.total = 30;
    message.snapshot.data = RT_BYTES("0123456789012345678901234567890", size);
    return message;
}

static const struct raft_snapshot_effect *effect(const struct solo *f,
                                                 enum raft_snapshot_kind kind) {
    for (size_t i = 0; i < f->fx->snapshot_count; i++) {
        if (f->fx->snapshots[i].kind == kind) return &f->fx->snapshots[i];
    }
    return NULL;
}

static void chunk_written(struct solo *f, uint64_t transfer, uint64_t end, bool failed) {
    struct raft_event event = {.kind = RAFT_CHUNK_WRITTEN};
    event.chunk_written.transfer = transfer;
    event.chunk_written.end = end;
    event.chunk_written.failed = failed;
    cr_assert_eq(solo_step(f, &event), RT_OK);
}

static uint64_t receive_chunk(struct solo *f, uint64_t index, uint64_t offset, size_t size) {
    cr_assert_eq(solo_receive(f, chunk_of(f, index, offset, size)), RT_OK);
    const struct raft_snapshot_effect *write = effect(f, RAFT_SNAPSHOT_WRITE);
    return write ? write->transfer : 0;
}

Test(raft_snapshot, is_installed_when_all_of_it_is_durable) {
    struct solo f;
    solo_init(&f, 3);
    SOLO_OPEN(&f, 1);
    uint64_t transfer = receive_chunk(&f, 50, 0, 20);
    chunk_written(&f, transfer, 20, false);
    cr_assert_eq(solo_sent(&f, RAFT_SNAPSHOT_REPLY, 2)->snapshot_reply.offset, 20);
    cr_assert_eq(receive_chunk(&f, 50, 20, 10), transfer);
    cr_assert_null(effect(&f, RAFT_SNAPSHOT_INSTALL));
    chunk_written(&f, transfer, 30, false);
    cr_assert_not_null(effect(&f, RAFT_SNAPSHOT_INSTALL));
    cr_assert(f.fx->log.reset);
    cr_assert_eq(f.fx->log.base.index, 50);
    cr_assert_null(solo_sent(&f, RAFT_APPEND_REPLY, 2), "acknowledged only when installed");
    struct raft_event installed = {.kind = RAFT_SNAPSHOT_INSTALLED, .index = 50};
    cr_assert_eq(solo_step(&f, &installed), RT_OK);
    cr_assert_eq(solo_sent(&f, RAFT_APPEND_REPLY, 2)->append_reply.index, 50);
    cr_assert_eq(f.status.applied, 50);
    solo_close(&f);
}

Test(raft_snapshot, chunks_are_taken_in_order_and_once) {
    struct solo f;
    solo_init(&f, 3);
    SOLO_OPEN(&f, 1);
    cr_assert_eq(receive_chunk(&f, 50, 10, 10), 0, "must begin at the beginning");
    cr_assert(solo_sent(&f, RAFT_SNAPSHOT_REPLY, 2)->snapshot_reply.rewind);
    cr_assert_neq(receive_chunk(&f, 50, 0, 10), 0);
    cr_assert_eq(receive_chunk(&f, 50, 0, 10), 0, "a second copy");
    cr_assert_eq(receive_chunk(&f, 50, 20, 10), 0, "a gap");
    cr_assert(solo_sent(&f, RAFT_SNAPSHOT_REPLY, 2)->snapshot_reply.rewind);
    cr_assert_eq(solo_sent(&f, RAFT_SNAPSHOT_REPLY, 2)->snapshot_reply.offset, 10);
    solo_close(&f);
}

Test(raft_snapshot, another_snapshot_discards_the_half_received_one) {
    struct solo f;
    solo_init(&f, 3);
    SOLO_OPEN(&f, 1);
    uint64_t first = receive_chunk(&f, 50, 0, 10);
    uint64_t second = receive_chunk(&f, 60, 0, 10);
    cr_assert_neq(first, second);
    chunk_written(&f, first, 10, false);
    cr_assert_null(solo_sent(&f, RAFT_SNAPSHOT_REPLY, 2), "the old one's report is ignored");
    solo_close(&f);
}

Test(raft_snapshot, failed_write_starts_again) {
    struct solo f;
    solo_init(&f, 3);
    SOLO_OPEN(&f, 1);
    uint64_t transfer = receive_chunk(&f, 50, 0, 30);
    chunk_written(&f, transfer, 30, true);
    const struct raft_message *reply = solo_sent(&f, RAFT_SNAPSHOT_REPLY, 2);
    cr_assert(reply->snapshot_reply.rewind && reply->snapshot_reply.offset == 0);
    cr_assert_gt(receive_chunk(&f, 50, 0, 10), transfer);
    solo_close(&f);
}

Test(raft_snapshot, of_what_is_committed_here_is_only_acknowledged) {
    struct solo f;
    solo_init(&f, 3);
    f.found.hard_state = (struct raft_hard_state){.term = 2, .commit = 4};
    SOLO_OPEN(&f, 1, 2, 2, 2);
    cr_assert_eq(receive_chunk(&f, 3, 0, 10), 0);
    cr_assert_eq(solo_sent(&f, RAFT_APPEND_REPLY, 2)->append_reply.index, 4);
    solo_close(&f);
}

Test(raft_snapshot, log_that_goes_on_behind_it_is_kept) {
    struct solo f;
    solo_init(&f, 3);
    SOLO_OPEN(&f, 1, 2, 2, 2);
    uint64_t transfer = receive_chunk(&f, 3, 0, 30);
    chunk_written(&f, transfer, 30, false);
    cr_assert_not_null(effect(&f, RAFT_SNAPSHOT_INSTALL));
    cr_assert_not(f.fx->write_log);
    cr_assert_eq(f.status.last, 4);
    cr_assert_eq(f.status.log_base.index, 3);
    solo_close(&f);
}

Test(raft_snapshot, malformed_chunks_are_refused) {
    struct solo f;
    solo_init(&f, 3);
    SOLO_OPEN(&f, 1);
    struct raft_message empty = chunk_of(&f, 50, 0, 0), outside = chunk_of(&f, 50, 25, 10);
    struct raft_message strange = chunk_of(&f, 50, 0, 10);
    strange.snapshot.config = RT_BYTES_LITERAL("nonsense");
    cr_assert_eq(solo_receive(&f, empty), RT_EPROTO);
    cr_assert_eq(solo_receive(&f, outside), RT_EPROTO);
    cr_assert_eq(solo_receive(&f, strange), RT_EPROTO);
    solo_close(&f);
}

Test(raft_snapshot, own_one_lets_the_log_go_but_for_its_tail) {
    struct solo f;
    solo_init(&f, 3);
    f.options.trailing_entries = 2;
    f.found.applied = 6;
    SOLO_OPEN(&f, 1, 2, 2, 2, 2, 2);
    struct raft_event taken = {.kind = RAFT_SNAPSHOT_TAKEN, .index = 9};
    cr_assert_eq(solo_step(&f, &taken), RT_EINVAL, "not applied yet");
    taken.index = 6;
    cr_assert_eq(solo_step(&f, &taken), RT_OK);
    cr_assert_eq(f.fx->log_unneeded_to, 4);
    cr_assert_eq(f.status.log_base.index, 4);
    cr_assert_eq(f.status.last, 6);
    solo_close(&f);
}

static rt_err open_with(uint64_t base, uint64_t snapshot, uint64_t applied) {
    struct solo f;
    solo_init(&f, 3);
    f.found.log_base = (struct raft_position){base, base ? 1 : 0};
    f.found.snapshot = (struct raft_position){snapshot, snapshot ? 1 : 0};
    f.found.config = snapshot ? &f.config : NULL;
    f.found.applied = applied;
    f.found.hard_state.term = 1;
    struct rt_why why = {{0}};
    rt_err err = raft_new(&f.options, &f.found, &f.raft, &why);
    if (err) return err;
    err = raft_start(f.raft, &why);
    raft_free(f.raft);
    return err;
}

Test(raft_start, what_does_not_fit_together_is_refused) {
    cr_assert_eq(open_with(0, 0, 0), RT_OK, "a node that joins has nothing");
    cr_assert_eq(open_with(3, 0, 0), RT_ECORRUPT, "a hole before the log");
    cr_assert_eq(open_with(0, 5, 4), RT_ECORRUPT, "the state is older than the snapshot");
    cr_assert_eq(open_with(0, 5, 9), RT_ECORRUPT, "the state is newer than log and snapshot");
    cr_assert_eq(open_with(0, 5, 5), RT_OK, "a log that ends before the snapshot is replaced");
}

Test(raft_start, log_that_contradicts_the_snapshot_is_dropped) {
    struct solo f;
    solo_init(&f, 3);
    f.found.snapshot = (struct raft_position){2, 7};
    f.found.config = &f.config;
    f.found.applied = 2;
    f.found.hard_state.term = 8;
    SOLO_OPEN(&f, 1, 1, 1);
    cr_assert(f.fx->write_log && f.fx->log.reset);
    cr_assert_eq(f.status.last, 2);
    solo_close(&f);
}

Test(raft_start, term_found_in_the_log_only_is_adopted_without_a_vote) {
    struct solo f;
    solo_init(&f, 3);
    f.found.hard_state = (struct raft_hard_state){.term = 2, .vote = 3};
    SOLO_OPEN(&f, 1, 4);
    cr_assert_eq(f.status.term, 4);
    cr_assert(f.fx->write_hard_state);
    cr_assert_eq(f.fx->hard_state.vote, 0);
    solo_close(&f);
}
