// Handing over leadership (section 3.10 of the thesis): no new proposals, the target catches up,
// then it is told to campaign at once. If it has not taken over within T the leader goes on.
#include "meta/raft/core.h"

static bool is_candidate_to_be(const struct raft *raft, const struct raft_peer *peer) {
    return peer->id != raft->options.id &&
           raft_config_has_role(raft_config(raft), peer->id, RAFT_VOTER);
}

static uint64_t best_target(const struct raft *raft) {
    const struct raft_peer *best = NULL;
    for (size_t i = 0; i < raft->peers.count; i++) {
        const struct raft_peer *peer = &raft->peers.items[i];
        bool answers = peer->silent_ticks < raft->options.election_ticks;
        if (!is_candidate_to_be(raft, peer) || !answers) continue;
        if (!best || peer->match > best->match) best = peer;
    }
    return best ? best->id : 0;
}

rt_err raft_on_transfer_asked(struct raft *raft, uint64_t target) {
    if (raft->role != RAFT_LEADER) return RT_EAGAIN;
    if (raft->transfer_to) return RT_EBUSY;
    if (target == 0) target = best_target(raft);
    const struct raft_peer *peer = raft_peer_find(raft, target);
    if (!peer || !is_candidate_to_be(raft, peer)) return RT_EINVAL;
    raft->transfer_to = target;
    raft->transfer_ticks = 0;
    raft->transfer_sent = false;
    raft_transfer_go(raft);
    return RT_OK;
}

void raft_transfer_go(struct raft *raft) {
    struct raft_peer *peer = raft_peer_find(raft, raft->transfer_to);
    if (!peer) {
        raft_transfer_stop(raft);
    } else if (peer->match < raft->log.last) {
        raft_send_entries(raft, peer);
    } else if (!raft->transfer_sent) {
        raft->transfer_sent = true;
        raft_send(raft, RAFT_TIMEOUT_NOW, peer->id);
    }
}

void raft_transfer_stop(struct raft *raft) {
    raft->transfer_to = 0;
}

void raft_tick_transfer(struct raft *raft) {
    if (!raft->transfer_to) return;
    bool late = ++raft->transfer_ticks >= raft->options.election_ticks;
    if (late || !raft_peer_find(raft, raft->transfer_to)) raft_transfer_stop(raft);
}

void raft_on_timeout_now(struct raft *raft, const struct raft_message *message) {
    bool asked_by_leader = raft->role == RAFT_FOLLOWER && raft->leader == message->from;
    if (asked_by_leader && raft_is_electable(raft)) raft_campaign(raft, true);
}
