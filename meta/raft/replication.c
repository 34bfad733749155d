// The leader's side of section 5.3: proposals, appends, heartbeats and what comes back.
#include "meta/raft/core.h"

void raft_append_own(struct raft *raft, enum raft_entry_kind kind, struct rt_bytes data,
                     struct raft_payload *payload) {
    assert(raft->role == RAFT_LEADER);
    struct raft_entry entry = {
        .at = {raft->log.last + 1, raft->hard_state.term},
        .kind = kind,
        .data = data,
        .payload = payload,
    };
    raft_log_append(&raft->log, &entry);
    raft->uncommitted_bytes += raft_entry_cost(kind, data.size);
}

static rt_err proposals_check(const struct raft *raft, const struct raft_event *event) {
    if (raft->role != RAFT_LEADER) return RT_EAGAIN;
    if (raft->transfer_to) return RT_EBUSY;
    size_t bytes = 0;
    for (size_t i = 0; i < event->proposals.count; i++) {
        size_t size = event->proposals.items[i].data.size;
        if (size > raft->options.entry_bytes_max) return RT_ETOOBIG;
        bytes += raft_entry_cost(RAFT_DATA, size);
    }
    // One batch always goes through when nothing else is waiting.
    bool over = raft->uncommitted_bytes + bytes > raft->options.uncommitted_bytes_max;
    return over && raft->uncommitted_bytes > 0 ? RT_EBUSY : RT_OK;
}

rt_err raft_on_proposed(struct raft *raft, const struct raft_event *event) {
    assert(event->proposals.count > 0);
    rt_err err = proposals_check(raft, event);
    if (err) return err;
    raft->effects.proposed_first = raft->log.last + 1;
    for (size_t i = 0; i < event->proposals.count; i++) {
        const struct raft_proposal *proposal = &event->proposals.items[i];
        raft_append_own(raft, RAFT_DATA, proposal->data, proposal->payload);
    }
    raft_broadcast_append(raft);
    return RT_OK;
}

static void send_append(struct raft *raft, struct raft_peer *peer, const struct raft_entry *entries,
                        size_t count, size_t bytes) {
    struct raft_message *message = raft_send(raft, RAFT_APPEND, peer->id);
    struct raft_append *append = &message->append;
    append->prev.index = peer->next - 1;
    bool known = raft_log_term(&raft->log, append->prev.index, &append->prev.term);
    assert(known);
    append->commit = raft->commit;
    append->entries = entries;
    append->entry_count = count;
    peer->commit_sent = raft->commit;
    if (peer->progress == RAFT_PROBE) {
        peer->probing = true;
    } else if (count) {
        peer->next += count;
        raft_inflight_add(&peer->inflight, peer->next - 1, bytes);
    }
}

static void ask_load(struct raft *raft, struct raft_peer *peer) {
    struct raft_load *load = RAFT_PUSH(&raft->loads);
    uint64_t behind_cache = raft->log.cached_first - 1;
    uint64_t most = peer->next + raft->options.append_entries_max - 1;
    load->peer = peer->id;
    load->first = peer->next;
    load->last = most < behind_cache ? most : behind_cache;
    load->bytes_max = raft->options.append_bytes_max;
    peer->loading = true;
}

// Sends what is in memory from next on, as much as fits in one message.
static void send_cached(struct raft *raft, struct raft_peer *peer) {
    size_t count = 0, bytes = 0;
    struct raft_entry *entries = NULL;
    uint64_t room = raft->log.last + 1 - peer->next;
    if (room > raft->options.append_entries_max) room = raft->options.append_entries_max;
    if (room) entries = rt_arena_zero(&raft->arena, (size_t)room, sizeof(*entries));
    while (count < room) {
        const struct raft_entry *entry = raft_log_cached(&raft->log, peer->next + count);
        if (count && bytes + entry->data.size > raft->options.append_bytes_max) break;
        raft_hold(raft, entry->payload);
        entries[count++] = *entry;
        bytes += entry->data.size;
    }
    send_append(raft, peer, entries, count, bytes);
}

// One message. True: there may be more to send.
static bool send_some(struct raft *raft, struct raft_peer *peer, bool even_empty) {
    if (peer->id == raft->options.id || raft_peer_is_paused(raft, peer)) return false;
    uint64_t term;
    if (!raft_log_term(&raft->log, peer->next - 1, &term)) {
        raft_snapshot_start(raft, peer);
        return false;
    }
    bool has_entries = peer->next <= raft->log.last;
    if (!has_entries && !even_empty && peer->commit_sent >= raft->commit) return false;
    if (has_entries && peer->next < raft->log.cached_first) {
        ask_load(raft, peer);
        return false;
    }
    send_cached(raft, peer);
    return has_entries;
}

void raft_send_entries(struct raft *raft, struct raft_peer *peer) {
    while (send_some(raft, peer, false)) continue;
}

void raft_broadcast_append(struct raft *raft) {
    for (size_t i = 0; i < raft->peers.count; i++) raft_send_entries(raft, &raft->peers.items[i]);
}

static bool loaded_fits(const struct raft *raft, const struct raft_peer *peer,
                        const struct raft_event *event) {
    if (event->loaded.failed || event->loaded.count == 0) return false;
    if (event->loaded.first != peer->next || raft_peer_is_paused(raft, peer)) return false;
    for (size_t i = 0; i < event->loaded.count; i++) {
        const struct raft_entry *entry = &event->loaded.entries[i];
        if (entry->at.index != event->loaded.first + i) return false;
        if (!raft_log_has(&raft->log, entry->at)) return false;  // overwritten since
    }
    return true;
}

// What does not fit any more is asked for again at the next heartbeat reply.
void raft_on_loaded(struct raft *raft, const struct raft_event *event) {
    if (event->loaded.peer == raft->options.id) {
        raft_on_apply_loaded(raft, event);
        return;
    }
    struct raft_peer *peer = raft_peer_find(raft, event->loaded.peer);
    if (!peer || raft->role != RAFT_LEADER) return;
    peer->loading = false;
    uint64_t term;
    if (!loaded_fits(raft, peer, event)) return;
    if (!raft_log_term(&raft->log, peer->next - 1, &term)) return;
    size_t count = event->loaded.count, bytes = 0;
    if (count > raft->options.append_entries_max) count = raft->options.append_entries_max;
    for (size_t i = 0; i < count; i++) bytes += event->loaded.entries[i].data.size;
    send_append(raft, peer, raft_hold_entries(raft, event->loaded.entries, count), count, bytes);
    raft_send_entries(raft, peer);
}

// Heartbeats never carry a commit that the follower has not acknowledged: its log may differ there.
void raft_broadcast_heartbeat(struct raft *raft) {
    raft->round++;
    raft->heartbeat_ticks = 0;
    for (size_t i = 0; i < raft->peers.count; i++) {
        struct raft_peer *peer = &raft->peers.items[i];
        if (peer->id == raft->options.id) continue;
        uint64_t commit = peer->match < raft->commit ? peer->match : raft->commit;
        if (raft_has_bug(raft, RAFT_BUG_HEARTBEAT_COMMIT)) commit = raft->commit;
        struct raft_message *message = raft_send(raft, RAFT_HEARTBEAT, peer->id);
        message->heartbeat.commit = commit;
        message->heartbeat.round = raft->round;
    }
}

static struct raft_peer *answering_peer(struct raft *raft, const struct raft_message *message) {
    if (raft->role != RAFT_LEADER) return NULL;
    struct raft_peer *peer = raft_peer_find(raft, message->from);
    if (peer) peer->silent_ticks = 0;
    return peer;
}

void raft_on_heartbeat_reply(struct raft *raft, const struct raft_message *message) {
    struct raft_peer *peer = answering_peer(raft, message);
    if (!peer || message->heartbeat_reply.round > raft->round) return;
    if (message->heartbeat_reply.round > peer->acked_round) {
        peer->acked_round = message->heartbeat_reply.round;
    }
    peer->probing = false;
    // A full window whose answers were lost would stay full; an append shows what is missing.
    if (peer->progress == RAFT_REPLICATE && raft_peer_is_paused(raft, peer)) {
        raft_inflight_free_first(&peer->inflight);
    }
    bool more = peer->match < raft->log.last && send_some(raft, peer, true);
    if (more) raft_send_entries(raft, peer);
    raft_reads_confirm(raft);
}

// The next place to try: where the follower's hint and our log can meet.
static void back_off(struct raft *raft, struct raft_peer *peer,
                     const struct raft_append_reply *reply) {
    uint64_t next = raft_log_hint(&raft->log, reply->hint).index + 1;
    if (next > reply->index) next = reply->index;
    raft_peer_probe(raft, peer);
    if (next > peer->match) peer->next = next;
}

static void on_rejected(struct raft *raft, struct raft_peer *peer,
                        const struct raft_append_reply *reply) {
    if (peer->progress == RAFT_SEND_SNAPSHOT) return;
    // A follower that lost what it had says so; then the entries count no longer. One that does not
    // know of its loss (rot that looked like a torn tail) refuses a probe at what it acknowledged.
    bool unaware = peer->progress == RAFT_PROBE && reply->index == peer->next - 1 &&
                   reply->index == peer->match;
    bool lost = (reply->repairing || unaware) && reply->hint.index < peer->match;
    if (lost) peer->match = reply->hint.index;
    bool stale =
        peer->progress == RAFT_PROBE ? reply->index != peer->next - 1 : reply->index <= peer->match;
    if (!lost && (stale || reply->index <= peer->match)) return;
    back_off(raft, peer, reply);
    raft_send_entries(raft, peer);
}

static void on_accepted(struct raft *raft, struct raft_peer *peer, uint64_t index) {
    bool grew = index > peer->match;
    if (grew) peer->match = index;
    if (peer->next <= peer->match) peer->next = peer->match + 1;
    switch (peer->progress) {
    case RAFT_PROBE:
        if (grew || index == peer->next - 1) raft_peer_replicate(raft, peer);
        break;
    case RAFT_REPLICATE: raft_inflight_free_to(&peer->inflight, index); break;
    case RAFT_SEND_SNAPSHOT:
        if (peer->match >= raft->log.base.index) raft_peer_replicate(raft, peer);
        break;
    }
}

rt_err raft_on_append_reply(struct raft *raft, const struct raft_message *message) {
    const struct raft_append_reply *reply = &message->append_reply;
    struct raft_peer *peer = answering_peer(raft, message);
    if (!peer) return RT_OK;
    if (reply->rejected) {
        on_rejected(raft, peer, reply);
        return RT_OK;
    }
    if (reply->index > raft->log.last) return RT_EPROTO;
    on_accepted(raft, peer, reply->index);
    if (raft_maybe_commit(raft)) raft_after_commit(raft);
    peer = raft_peer_find(raft, message->from);  // the configuration may have changed
    if (!peer || raft->role != RAFT_LEADER) return RT_OK;
    raft_send_entries(raft, peer);
    if (raft->transfer_to == peer->id) raft_transfer_go(raft);
    return RT_OK;
}

void raft_on_peer_lost(struct raft *raft, uint64_t id) {
    struct raft_peer *peer = raft_peer_find(raft, id);
    if (raft->role != RAFT_LEADER || !peer) return;
    if (peer->progress == RAFT_REPLICATE) raft_peer_probe(raft, peer);
}

static bool is_heard(const struct raft *raft, const struct raft_peer *peer) {
    return peer->id == raft->options.id || peer->silent_ticks < raft->options.election_ticks;
}

// Check-quorum: a leader that nobody answers must not keep its followers from electing another.
void raft_tick_leader(struct raft *raft) {
    for (size_t i = 0; i < raft->peers.count; i++) {
        raft->peers.items[i].silent_ticks++;
        raft_tick_snapshot(raft, &raft->peers.items[i]);
    }
    if (!raft_quorum(raft, is_heard) && !raft_has_bug(raft, RAFT_BUG_NO_CHECK_QUORUM)) {
        raft_become_follower(raft, raft->hard_state.term, 0);
        return;
    }
    raft_tick_transfer(raft);
    if (++raft->heartbeat_ticks >= raft->options.heartbeat_ticks) raft_broadcast_heartbeat(raft);
}
