// The follower's side of section 5.3.
#include "meta/raft/core.h"

static rt_err entry_check(const struct raft_entry *entry, struct raft_position before) {
    if (entry->at.index != before.index + 1 || entry->at.term < before.term) return RT_EPROTO;
    if (entry->kind == RAFT_CONFIG) {
        struct raft_config config;
        rt_err err = raft_config_decode(entry->data, &config);
        if (err) return err;
        return config.index == entry->at.index ? RT_OK : RT_EPROTO;
    }
    return entry->kind == RAFT_NOOP || entry->kind == RAFT_DATA ? RT_OK : RT_EPROTO;
}

// Whatever the state: the entries follow prev and each other.
rt_err raft_append_check(const struct raft *raft, const struct raft_message *message) {
    const struct raft_append *append = &message->append;
    (void)raft;
    struct raft_position before = append->prev;
    if (before.index > UINT64_MAX / 2) return RT_EPROTO;
    for (size_t i = 0; i < append->entry_count; i++) {
        rt_err err = entry_check(&append->entries[i], before);
        if (err) return err;
        before = append->entries[i].at;
    }
    return before.term <= message->term ? RT_OK : RT_EPROTO;
}

static void append_one(struct raft *raft, const struct raft_entry *entry) {
    raft_log_append(&raft->log, entry);
    if (entry->kind != RAFT_CONFIG) return;
    struct raft_config config;
    rt_err err = raft_config_decode(entry->data, &config);
    assert(!err);  // checked when the message came
    raft_config_push(raft, &config);
}

static void cut_from(struct raft *raft, uint64_t from) {
    assert(from > raft->commit);  // a committed entry is never overwritten
    raft_log_truncate(&raft->log, from);
    raft_config_truncate(raft, from);
}

// Entries that are there already are skipped: a late, shorter message cuts nothing.
void raft_append_entries(struct raft *raft, const struct raft_append *append) {
    for (size_t i = 0; i < append->entry_count; i++) {
        const struct raft_entry *entry = &append->entries[i];
        if (entry->at.index <= raft->log.base.index) continue;
        if (raft_log_has(&raft->log, entry->at)) continue;
        if (entry->at.index <= raft->log.last) cut_from(raft, entry->at.index);
        append_one(raft, entry);
    }
    uint64_t end = append->prev.index + append->entry_count;
    if (raft_has_bug(raft, RAFT_BUG_TRUNCATE_ALWAYS) && end < raft->log.last &&
        end >= raft->commit) {
        cut_from(raft, end + 1);
    }
}

// Says that this node has everything up to index, once that is so on its disk.
void raft_acknowledge(struct raft *raft, uint64_t to, uint64_t index) {
    struct raft_message *reply = raft_send(raft, RAFT_APPEND_REPLY, to);
    reply->append_reply.index = index;
    reply->needs.log = raft_log_version_for(&raft->log, index);
}

static void reject(struct raft *raft, const struct raft_message *message) {
    struct raft_message *reply = raft_send(raft, RAFT_APPEND_REPLY, message->from);
    reply->append_reply.rejected = true;
    reply->append_reply.repairing =
        !raft_position_covers(raft_log_last(&raft->log), raft->claimed_last);
    reply->append_reply.index = message->append.prev.index;
    reply->append_reply.hint = raft_log_hint(&raft->log, message->append.prev);
}

rt_err raft_on_append(struct raft *raft, const struct raft_message *message) {
    const struct raft_append *append = &message->append;
    // Up to the commit both logs agree; what is before it may be gone here.
    bool connects = append->prev.index < raft->commit || raft_log_has(&raft->log, append->prev);
    if (!connects) {
        reject(raft, message);
        return RT_OK;
    }
    raft_append_entries(raft, append);
    uint64_t verified = append->prev.index + append->entry_count;
    if (verified < raft->commit) verified = raft->commit;
    if (raft_has_bug(raft, RAFT_BUG_COMMIT_UNVERIFIED)) {
        uint64_t commit = append->commit < raft->log.last ? append->commit : raft->log.last;
        if (commit > raft->commit) raft_commit_to(raft, commit);
    }
    // Only what this message proved to be the leader's: the rest of the log may be another's.
    uint64_t commit = append->commit < verified ? append->commit : verified;
    if (commit > raft->commit) raft_commit_to(raft, commit);
    raft_acknowledge(raft, message->from, verified);
    return RT_OK;
}

void raft_on_heartbeat(struct raft *raft, const struct raft_message *message) {
    // Below last unless entries were lost and are being repaired; what is left is still the
    // leader's.
    uint64_t commit = message->heartbeat.commit;
    if (commit > raft->log.last) commit = raft->log.last;
    if (commit > raft->commit) raft_commit_to(raft, commit);
    struct raft_message *reply = raft_send(raft, RAFT_HEARTBEAT_REPLY, message->from);
    reply->heartbeat_reply.round = message->heartbeat.round;
}
