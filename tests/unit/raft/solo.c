#include "tests/unit/raft/solo.h"

#include <criterion/criterion.h>

void solo_init(struct solo *f, unsigned voters) {
    *f = (struct solo){.options = raft_options_default(1, 42)};
    f->config.index = 1;
    for (unsigned id = 1; id <= voters; id++) {
        cr_assert_eq(raft_config_put(&f->config, id, RAFT_VOTER, "a:1"), RT_OK);
    }
}

struct raft_entry solo_entry(uint64_t index, uint64_t term) {
    return (struct raft_entry){
        .at = {index, term}, .kind = RAFT_DATA, .data = RT_BYTES_LITERAL("entry")};
}

static void take_effects(struct solo *f) {
    f->fx = raft_effects(f->raft);
    raft_status(f->raft, &f->status);
    if (f->fx->write_hard_state) f->hard_state_version = f->fx->hard_state.version;
    if (f->fx->write_log) f->log_version = f->fx->log.version;
}

void solo_open(struct solo *f, const uint64_t *terms, size_t count) {
    uint8_t memory[RAFT_CONFIG_SIZE_MAX];
    struct rt_writer w = rt_writer_over(memory, sizeof(memory));
    raft_config_encode(&f->config, &w);
    if (f->found.hard_state.term == 0) f->found.hard_state.term = terms[count - 1];
    cr_assert_eq(raft_new(&f->options, &f->found, &f->raft, NULL), RT_OK);
    for (size_t i = 0; i < count; i++) {
        struct raft_entry entry = solo_entry(i + 1, terms[i]);
        if (i == 0) {
            entry.kind = RAFT_CONFIG;
            entry.payload = raft_payload_copy(RT_BYTES(memory, w.written), &entry.data);
        }
        cr_assert_eq(raft_restore(f->raft, &entry, 1, NULL), RT_OK);
        raft_payload_drop(entry.payload);
    }
    cr_assert_eq(raft_start(f->raft, NULL), RT_OK);
    take_effects(f);
}

void solo_close(struct solo *f) {
    raft_free(f->raft);
}

rt_err solo_step(struct solo *f, const struct raft_event *event) {
    rt_err err = raft_step(f->raft, event);
    take_effects(f);
    return err;
}

void solo_tick(struct solo *f, unsigned ticks) {
    struct raft_event event = {.kind = RAFT_TICK};
    while (ticks--) cr_assert_eq(solo_step(f, &event), RT_OK);
}

rt_err solo_receive(struct solo *f, struct raft_message message) {
    message.to = 1;
    struct raft_event event = {.kind = RAFT_RECEIVED, .message = &message};
    return solo_step(f, &event);
}

void solo_hard_state_written(struct solo *f) {
    struct raft_event event = {.kind = RAFT_HARD_STATE_WRITTEN, .version = f->hard_state_version};
    cr_assert_eq(solo_step(f, &event), RT_OK);
}

void solo_log_written(struct solo *f) {
    f->log_done = f->log_version;
    struct raft_event event = {.kind = RAFT_LOG_WRITTEN, .version = f->log_version};
    cr_assert_eq(solo_step(f, &event), RT_OK);
}

rt_err solo_propose(struct solo *f, const char *text) {
    struct raft_proposal proposal;
    proposal.payload = raft_payload_copy(rt_bytes_of(text), &proposal.data);
    struct raft_event event = {.kind = RAFT_PROPOSED};
    event.proposals.items = &proposal;
    event.proposals.count = 1;
    rt_err err = solo_step(f, &event);
    raft_payload_drop(proposal.payload);
    return err;
}

rt_err solo_read(struct solo *f, uint64_t context) {
    struct raft_event event = {.kind = RAFT_READ_ASKED, .read_context = context};
    return solo_step(f, &event);
}

const struct raft_message *solo_sent(const struct solo *f, enum raft_message_kind kind,
                                     uint64_t to) {
    for (size_t i = 0; i < f->fx->message_count; i++) {
        const struct raft_message *message = &f->fx->messages[i];
        if (message->kind == kind && (to == 0 || message->to == to)) return message;
    }
    return NULL;
}

static void all_grant(struct solo *f, enum raft_message_kind kind, uint64_t term) {
    for (unsigned i = 0; i < f->config.count; i++) {
        uint64_t id = f->config.members[i].id;
        if (id == 1) continue;
        struct raft_message reply = {.kind = kind, .from = id, .term = term};
        reply.vote_reply.granted = true;
        cr_assert_eq(solo_receive(f, reply), RT_OK);
    }
}

void solo_lead(struct solo *f) {
    uint64_t term = f->status.term + 1;
    while (f->status.role == RAFT_FOLLOWER) solo_tick(f, 1);
    all_grant(f, RAFT_PRE_VOTE_REPLY, term);
    solo_hard_state_written(f);
    all_grant(f, RAFT_VOTE_REPLY, term);
    cr_assert_eq(f->status.role, RAFT_LEADER);
    solo_log_written(f);
}

void solo_acknowledge(struct solo *f, uint64_t from, uint64_t index) {
    struct raft_message reply = {.kind = RAFT_APPEND_REPLY, .from = from, .term = f->status.term};
    reply.append_reply.index = index;
    cr_assert_eq(solo_receive(f, reply), RT_OK);
}

void solo_append(struct solo *f, uint64_t from, uint64_t term, struct raft_position prev,
                 const struct raft_entry *entries, size_t count, uint64_t commit) {
    struct raft_message message = {.kind = RAFT_APPEND, .from = from, .term = term};
    message.append = (struct raft_append){prev, commit, entries, count};
    cr_assert_eq(solo_receive(f, message), RT_OK);
}
