// Which configuration is in force, and how it changes (section 6).
//
// A configuration is in force from the moment its entry is in the log, committed or not, and out of
// force when the entry is cut. The history reaches back to the one in force at the log's base.
//
//   C_old --leader appends--> C_old,new --committed; the leader appends--> C_new --committed-->
//   done
//
// One change at a time, and none before the leader committed an entry of its term: else two leaders
// may decide with quorums that do not meet. Learners come and go, and addresses change, in one
// step.
#include <string.h>

#include "meta/raft/core.h"

const struct raft_config *raft_config(const struct raft *raft) {
    return &raft->configs.items[raft->configs.count - 1];
}

const struct raft_config *raft_config_at(const struct raft *raft, uint64_t index) {
    for (size_t i = raft->configs.count; i-- > 0;) {
        if (raft->configs.items[i].index <= index) return &raft->configs.items[i];
    }
    return NULL;
}

void raft_config_push(struct raft *raft, const struct raft_config *config) {
    assert(raft->configs.count == 0 || config->index > raft_config(raft)->index);
    *RAFT_PUSH(&raft->configs) = *config;
    raft_peers_sync(raft);
}

void raft_config_truncate(struct raft *raft, uint64_t from) {
    size_t before = raft->configs.count;
    while (raft->configs.count > 1 && raft_config(raft)->index >= from) raft->configs.count--;
    if (raft->configs.count != before) raft_peers_sync(raft);
}

// Forgets what was replaced at or before `to`.
void raft_config_compact(struct raft *raft, uint64_t to) {
    size_t gone = 0;
    while (gone + 1 < raft->configs.count && raft->configs.items[gone + 1].index <= to) gone++;
    for (size_t i = gone; i < raft->configs.count; i++) {
        raft->configs.items[i - gone] = raft->configs.items[i];
    }
    raft->configs.count -= gone;
}

void raft_config_reset(struct raft *raft, const struct raft_config *config, bool keep_later) {
    struct raft_config first = *config;  // it may lie in the history
    size_t later = 0, count = raft->configs.count;
    while (later < count && raft->configs.items[later].index <= first.index) later++;
    size_t kept = keep_later ? count - later : 0;
    *RAFT_PUSH(&raft->configs) = first;  // room for one more in front
    memmove(&raft->configs.items[1], &raft->configs.items[later],
            kept * sizeof(raft->configs.items[0]));
    raft->configs.items[0] = first;
    raft->configs.count = kept + 1;
    raft_peers_sync(raft);
}

static void append_config(struct raft *raft, struct raft_config *config) {
    uint8_t memory[RAFT_CONFIG_SIZE_MAX];
    config->index = raft->log.last + 1;
    struct rt_writer w = rt_writer_over(memory, sizeof(memory));
    raft_config_encode(config, &w);
    assert(!rt_writer_failed(&w));
    struct rt_bytes data;
    struct raft_payload *payload = raft_payload_copy(RT_BYTES(memory, w.written), &data);
    raft_append_own(raft, RAFT_CONFIG, data, payload);
    raft_payload_drop(payload);
    raft_config_push(raft, config);
    raft_broadcast_append(raft);
}

static bool has_same_voters(const struct raft_config *a, const struct raft_config *b) {
    for (unsigned i = 0; i < a->count; i++) {
        bool votes = a->members[i].roles & RAFT_VOTER;
        if (votes && !raft_config_has_role(b, a->members[i].id, RAFT_VOTER)) return false;
    }
    return true;
}

static rt_err change_check(const struct raft *raft) {
    if (raft->role != RAFT_LEADER) return RT_EAGAIN;
    if (raft->transfer_to) return RT_EBUSY;
    bool is_joint = raft_config_is_joint(raft_config(raft));
    if (raft_has_bug(raft, RAFT_BUG_CHANGE_BEFORE_NOOP)) return is_joint ? RT_EBUSY : RT_OK;
    bool settled = raft_config(raft)->index <= raft->commit && !is_joint;
    return settled && raft_is_ready(raft) ? RT_OK : RT_EBUSY;
}

rt_err raft_on_config_proposed(struct raft *raft, const struct raft_config *target) {
    rt_err err = change_check(raft);
    if (err) return err;
    struct raft_config next;
    err = raft_config_enter_joint(raft_config(raft), target, &next);
    if (err) return err;
    bool same =
        has_same_voters(target, raft_config(raft)) && has_same_voters(raft_config(raft), target);
    if (same) next = *target;
    raft->effects.proposed_first = raft->log.last + 1;
    append_config(raft, &next);
    return RT_OK;
}

// Best effort, and also done when a removed node asks for votes.
void raft_tell_removed(struct raft *raft, uint64_t id) {
    const struct raft_config *config = raft_config(raft);
    bool settled = config->index <= raft->commit && !raft_config_is_joint(config);
    if (raft->role != RAFT_LEADER || !settled || raft_config_is_member(config, id)) return;
    raft_send(raft, RAFT_REMOVED, id)->removed.config_index = config->index;
}

static void tell_those_who_left(struct raft *raft) {
    if (raft->configs.count < 2) return;
    struct raft_config before = raft->configs.items[raft->configs.count - 2];
    for (unsigned i = 0; i < before.count; i++) {
        uint64_t id = before.members[i].id;
        if (id != raft->options.id) raft_tell_removed(raft, id);
    }
}

void raft_after_config_commit(struct raft *raft) {
    struct raft_config config = *raft_config(raft);
    bool news = config.index <= raft->commit && config.index > raft->config_settled;
    if (raft->role != RAFT_LEADER || !news) return;
    raft->config_settled = config.index;
    if (raft_config_is_joint(&config)) {
        struct raft_config next;
        raft_config_leave_joint(&config, &next);
        append_config(raft, &next);
        return;
    }
    tell_those_who_left(raft);
    if (raft_config_is_voter(&config, raft->options.id)) return;
    if (!raft_config_is_member(&config, raft->options.id)) {
        raft->removed = raft->effects.removed = true;
    }
    raft_become_follower(raft, raft->hard_state.term, 0);
}

// Ids are never used again, so a committed configuration that is newer than ours and does not have
// us means that we were removed, whoever says so and however late.
void raft_on_removed(struct raft *raft, const struct raft_message *message) {
    const struct raft_config *config = raft_config(raft);
    bool member = raft_config_is_member(config, raft->options.id);
    uint64_t newer_than = member ? config->index : config->index - 1;
    if (config->count == 0 || message->removed.config_index <= newer_than) return;
    if (raft->removed) return;
    raft->removed = raft->effects.removed = true;
    if (raft->role != RAFT_FOLLOWER) raft_become_follower(raft, raft->hard_state.term, 0);
}
