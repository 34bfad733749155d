// Votes and campaigns: sections 5.2 and 5.4.1 of the paper, 9.6 (pre-vote) and 6.4.1 (stickiness)
// of the thesis.
#include "meta/raft/core.h"

// A promise: while a leader may count on this node, nobody else gets its vote. A restarted node
// cannot know what it promised, so it behaves as if it had heard a leader when it started.
bool raft_is_sticky(const struct raft *raft) {
    return raft->role == RAFT_LEADER || raft->heard_ticks < raft->options.election_ticks;
}

// The last position that this node has, or once acknowledged and lost.
static struct raft_position last_acknowledged(const struct raft *raft) {
    struct raft_position last = raft_log_last(&raft->log);
    if (raft_has_bug(raft, RAFT_BUG_REPAIR_FORGOTTEN)) return last;
    return raft_position_covers(last, raft->claimed_last) ? last : raft->claimed_last;
}

static bool is_repairing(const struct raft *raft) {
    if (raft_has_bug(raft, RAFT_BUG_REPAIR_FORGOTTEN)) return false;
    return !raft_position_covers(raft_log_last(&raft->log), raft->claimed_last);
}

// A voter that the latest configuration leaves out is still needed until that is committed: its log
// may be ahead of all who stay, and then nobody else can win. Its own vote does not count (section
// 4.2.2 of the thesis).
static bool is_leaving_voter(const struct raft *raft) {
    const struct raft_config *config = raft_config(raft);
    if (config->index <= raft->commit || raft->configs.count < 2) return false;
    return raft_config_is_voter(&raft->configs.items[raft->configs.count - 2], raft->options.id);
}

bool raft_is_electable(const struct raft *raft) {
    if (raft->removed || is_repairing(raft)) return false;
    return raft_config_is_voter(raft_config(raft), raft->options.id) || is_leaving_voter(raft);
}

static void ask_for_votes(struct raft *raft, enum raft_message_kind kind, bool transfer) {
    const struct raft_config *config = raft_config(raft);
    for (unsigned i = 0; i < config->count; i++) {
        uint64_t id = config->members[i].id;
        if (id == raft->options.id || !raft_config_is_voter(config, id)) continue;
        struct raft_message *message = raft_send(raft, kind, id);
        if (kind == RAFT_PRE_VOTE) message->term++;
        message->vote.last = raft_log_last(&raft->log);
        message->vote.transfer = transfer;
    }
}

static bool has_granted(const struct raft *raft, const struct raft_peer *peer) {
    (void)raft;
    return peer->ballot == RAFT_GRANTED;
}

static bool may_still_grant(const struct raft *raft, const struct raft_peer *peer) {
    (void)raft;
    return peer->ballot != RAFT_REFUSED;
}

static void count_votes(struct raft *raft) {
    if (raft_quorum(raft, has_granted)) {
        if (raft->role == RAFT_PRE_CANDIDATE) {
            raft_campaign(raft, false);
        } else {
            raft_become_leader(raft);
        }
    } else if (!raft_quorum(raft, may_still_grant)) {
        raft_become_follower(raft, raft->hard_state.term, 0);
    }
}

// The own vote counts when it is durable, like everybody else's: a node that is its own quorum
// would otherwise lead a term that it forgets in a crash.
void raft_campaign(struct raft *raft, bool transfer) {
    assert(raft_is_electable(raft));
    raft_become_candidate(raft);
    ask_for_votes(raft, RAFT_VOTE, transfer);
}

void raft_on_hard_state_written(struct raft *raft, uint64_t version) {
    if (version > raft->hard_state_durable) raft->hard_state_durable = version;
    if (raft->role != RAFT_CANDIDATE || raft->vote_version > raft->hard_state_durable) return;
    struct raft_peer *self = raft_peer_find(raft, raft->options.id);
    if (!self || self->ballot == RAFT_GRANTED) return;
    self->ballot = RAFT_GRANTED;
    count_votes(raft);
}

static void pre_campaign(struct raft *raft) {
    raft_become_pre_candidate(raft);
    struct raft_peer *self = raft_peer_find(raft, raft->options.id);
    if (self) self->ballot = RAFT_GRANTED;
    ask_for_votes(raft, RAFT_PRE_VOTE, false);
    count_votes(raft);
}

// The only voter need not wait, unless it may have promised something to a leader that is leaving:
// when the configuration is known to be committed, that leader has stepped down.
static bool is_alone(const struct raft *raft) {
    const struct raft_config *config = raft_config(raft);
    return raft->role == RAFT_FOLLOWER && raft->leader == 0 && config->index <= raft->commit &&
           raft_config_is_alone(config, raft->options.id);
}

void raft_tick_election(struct raft *raft) {
    raft->elapsed_ticks++;
    if (raft->elapsed_ticks < raft->timeout_ticks && !is_alone(raft)) return;
    if (raft_is_electable(raft)) {
        pre_campaign(raft);
    } else {
        raft_set_leader(raft, 0);
        raft_reset_timer(raft);
    }
}

static bool may_vote_for(const struct raft *raft, const struct raft_message *message) {
    if (message->kind == RAFT_PRE_VOTE && message->term > raft->hard_state.term) return true;
    if (raft_has_bug(raft, RAFT_BUG_VOTE_TWICE)) return true;
    uint64_t vote = raft->hard_state.vote;
    return vote == message->from || (vote == 0 && raft->leader == 0);
}

static bool is_up_to_date(const struct raft *raft, struct raft_position last) {
    if (raft_has_bug(raft, RAFT_BUG_VOTE_FOR_SHORTER)) return true;
    return raft_position_covers(last, last_acknowledged(raft));
}

void raft_on_vote(struct raft *raft, const struct raft_message *message) {
    bool pre = message->kind == RAFT_PRE_VOTE;
    bool granted = may_vote_for(raft, message) && is_up_to_date(raft, message->vote.last);
    if (pre && raft_is_sticky(raft)) {
        raft_tell_removed(raft, message->from);
        granted = false;
    }
    if (granted && !pre) {
        if (raft->role == RAFT_PRE_CANDIDATE) raft_become_follower(raft, raft->hard_state.term, 0);
        if (raft->role != RAFT_FOLLOWER) return;  // it has voted, for itself
        if (raft->hard_state.vote != message->from) raft_hard_state_touch(raft);
        raft->hard_state.vote = message->from;
        raft_reset_timer(raft);
    }
    enum raft_message_kind kind = pre ? RAFT_PRE_VOTE_REPLY : RAFT_VOTE_REPLY;
    struct raft_message *reply = raft_send(raft, kind, message->from);
    reply->vote_reply.granted = granted;
    if (pre && granted) reply->term = message->term;
}

void raft_on_vote_reply(struct raft *raft, const struct raft_message *message) {
    bool pre = message->kind == RAFT_PRE_VOTE_REPLY;
    if (raft->role != (pre ? RAFT_PRE_CANDIDATE : RAFT_CANDIDATE)) return;
    bool granted = message->vote_reply.granted;
    if (pre && granted && message->term != raft->hard_state.term + 1) return;
    struct raft_peer *peer = raft_peer_find(raft, message->from);
    if (!peer || peer->ballot != RAFT_NO_ANSWER) return;
    peer->ballot = granted ? RAFT_GRANTED : RAFT_REFUSED;
    count_votes(raft);
}
