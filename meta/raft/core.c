// Events to handlers, and the roles.
//
//   FOLLOWER --timeout--> PRE_CANDIDATE --quorum--> CANDIDATE --quorum--> LEADER
//   any --higher term, or a leader of the own term--> FOLLOWER
//   FOLLOWER --told to by the leader, or the only voter--> CANDIDATE
//   CANDIDATE --timeout--> PRE_CANDIDATE         LEADER --quorum silent, or removed--> FOLLOWER
#include "meta/raft/core.h"

// Far beyond any honest term: a message with more would end all elections.
#define TERM_MAX (UINT64_MAX / 4)

static const unsigned legal_moves[] = {
    [RAFT_FOLLOWER] = 1u << RAFT_FOLLOWER | 1u << RAFT_PRE_CANDIDATE | 1u << RAFT_CANDIDATE,
    [RAFT_PRE_CANDIDATE] = 1u << RAFT_FOLLOWER | 1u << RAFT_PRE_CANDIDATE | 1u << RAFT_CANDIDATE,
    [RAFT_CANDIDATE] =
        1u << RAFT_FOLLOWER | 1u << RAFT_PRE_CANDIDATE | 1u << RAFT_CANDIDATE | 1u << RAFT_LEADER,
    [RAFT_LEADER] = 1u << RAFT_FOLLOWER,
};

static void become(struct raft *raft, enum raft_role next) {
    assert(legal_moves[raft->role] & 1u << next);
    if (raft->role != next) raft->effects.status_changed = true;
    raft->role = next;
    for (size_t i = 0; i < raft->peers.count; i++) raft->peers.items[i].ballot = RAFT_NO_ANSWER;
}

void raft_set_leader(struct raft *raft, uint64_t leader) {
    if (raft->leader == leader) return;
    raft->leader = leader;
    raft->effects.status_changed = true;
}

void raft_reset_timer(struct raft *raft) {
    unsigned base = raft->options.election_ticks;
    raft->elapsed_ticks = 0;
    raft->timeout_ticks = base + (unsigned)rt_random_below(&raft->random, base);
}

static void leader_ends(struct raft *raft) {
    raft_transfer_stop(raft);
    for (size_t i = 0; i < raft->peers.count; i++) {
        raft_snapshot_stop(raft, &raft->peers.items[i]);
    }
    raft->heard_ticks = raft->options.election_ticks;  // it keeps no promise to another leader
}

void raft_become_follower(struct raft *raft, uint64_t term, uint64_t leader) {
    assert(term >= raft->hard_state.term);
    enum raft_role was = raft->role;
    become(raft, RAFT_FOLLOWER);
    if (was == RAFT_LEADER) leader_ends(raft);
    if (term > raft->hard_state.term) {
        raft->hard_state.term = term;
        raft->hard_state.vote = 0;
        raft_hard_state_touch(raft);
        raft->effects.status_changed = true;
    }
    raft_set_leader(raft, leader);
    if (was != RAFT_FOLLOWER) raft_reset_timer(raft);
    raft_reads_role_changed(raft);
}

void raft_become_pre_candidate(struct raft *raft) {
    become(raft, RAFT_PRE_CANDIDATE);
    raft_set_leader(raft, 0);
    raft_reset_timer(raft);
}

void raft_become_candidate(struct raft *raft) {
    become(raft, RAFT_CANDIDATE);
    raft_set_leader(raft, 0);
    raft->hard_state.term++;
    raft->hard_state.vote = raft->options.id;
    raft_hard_state_touch(raft);
    raft->vote_version = raft->hard_state.version;
    raft->effects.status_changed = true;
    raft_reset_timer(raft);
}

void raft_become_leader(struct raft *raft) {
    assert(raft->hard_state.vote == raft->options.id);
    become(raft, RAFT_LEADER);
    raft_set_leader(raft, raft->options.id);
    raft_peers_reset(raft);
    raft->heartbeat_ticks = 0;
    raft->round = 0;
    raft->uncommitted_bytes = 0;
    raft->transfer_to = 0;
    raft->config_settled = 0;
    raft->term_first = raft->log.last + 1;
    raft_reads_role_changed(raft);
    raft_append_own(raft, RAFT_NOOP, RT_BYTES(NULL, 0),
                    NULL);  // section 8: learns what is committed
    raft_broadcast_append(raft);
}

void raft_heard_leader(struct raft *raft, uint64_t leader) {
    if (raft->role != RAFT_FOLLOWER || raft->leader != leader) {
        raft_become_follower(raft, raft->hard_state.term, leader);
    }
    raft->heard_ticks = 0;
    raft_reset_timer(raft);
}

static bool is_of_leader(enum raft_message_kind kind) {
    return kind == RAFT_APPEND || kind == RAFT_HEARTBEAT || kind == RAFT_SNAPSHOT;
}

// False: the message is not looked at any further.
static bool newer_term(struct raft *raft, const struct raft_message *message) {
    switch (message->kind) {
    case RAFT_PRE_VOTE: return true;  // asks what would be; the term stays
    case RAFT_PRE_VOTE_REPLY:
        if (message->vote_reply.granted) return true;  // answers in the term asked for
        break;
    case RAFT_VOTE:
        if (!message->vote.transfer && raft_is_sticky(raft)) {
            raft_tell_removed(raft, message->from);
            return false;
        }
        break;
    case RAFT_VOTE_REPLY:
    case RAFT_APPEND:
    case RAFT_APPEND_REPLY:
    case RAFT_HEARTBEAT:
    case RAFT_HEARTBEAT_REPLY:
    case RAFT_SNAPSHOT:
    case RAFT_SNAPSHOT_REPLY:
    case RAFT_READ:
    case RAFT_READ_REPLY:
    case RAFT_TIMEOUT_NOW:
    case RAFT_REMOVED:
    case RAFT_MESSAGE_KINDS: break;
    }
    raft_become_follower(raft, message->term, is_of_leader(message->kind) ? message->from : 0);
    return true;
}

// A node that is ahead of the leader, after a partition, must be able to unseat it: with pre-votes
// and stickiness nothing else brings the two together.
static void older_term(struct raft *raft, const struct raft_message *message) {
    if (is_of_leader(message->kind)) {
        raft_send(raft, RAFT_APPEND_REPLY, message->from)->append_reply.rejected = true;
    } else if (message->kind == RAFT_PRE_VOTE) {
        raft_send(raft, RAFT_PRE_VOTE_REPLY, message->from);
    } else if (message->kind == RAFT_VOTE) {
        raft_send(raft, RAFT_VOTE_REPLY, message->from);
    }
}

static rt_err dispatch(struct raft *raft, const struct raft_message *message) {
    if (is_of_leader(message->kind)) {
        if (raft->role == RAFT_LEADER) return RT_EPROTO;  // two leaders of one term: not by Raft
        if (raft->leader && raft->leader != message->from) return RT_EPROTO;
        raft_heard_leader(raft, message->from);
    }
    switch (message->kind) {
    case RAFT_PRE_VOTE:
    case RAFT_VOTE: raft_on_vote(raft, message); return RT_OK;
    case RAFT_PRE_VOTE_REPLY:
    case RAFT_VOTE_REPLY: raft_on_vote_reply(raft, message); return RT_OK;
    case RAFT_APPEND: return raft_on_append(raft, message);
    case RAFT_APPEND_REPLY: return raft_on_append_reply(raft, message);
    case RAFT_HEARTBEAT: raft_on_heartbeat(raft, message); return RT_OK;
    case RAFT_HEARTBEAT_REPLY: raft_on_heartbeat_reply(raft, message); return RT_OK;
    case RAFT_SNAPSHOT: return raft_on_snapshot(raft, message);
    case RAFT_SNAPSHOT_REPLY: raft_on_snapshot_reply(raft, message); return RT_OK;
    case RAFT_READ: raft_on_read(raft, message->from, message->read.id); return RT_OK;
    case RAFT_READ_REPLY: raft_on_read_reply(raft, message); return RT_OK;
    case RAFT_TIMEOUT_NOW: raft_on_timeout_now(raft, message); return RT_OK;
    case RAFT_REMOVED:
    case RAFT_MESSAGE_KINDS: break;
    }
    return RT_EPROTO;
}

static rt_err receive(struct raft *raft, const struct raft_message *message) {
    uint64_t own = raft->options.id;
    if (message->to != own || message->from == own || message->from == 0) return RT_EPROTO;
    if (message->term > TERM_MAX) return RT_EPROTO;
    if (message->kind == RAFT_REMOVED) {
        raft_on_removed(raft, message);  // true whatever the term
        return RT_OK;
    }
    rt_err err = message->kind == RAFT_APPEND ? raft_append_check(raft, message) : RT_OK;
    if (err) return err;
    if (message->term < raft->hard_state.term) {
        older_term(raft, message);
        return RT_OK;
    }
    if (message->term > raft->hard_state.term && !newer_term(raft, message)) return RT_OK;
    return dispatch(raft, message);
}

static void tick(struct raft *raft) {
    if (raft->heard_ticks < raft->options.election_ticks) raft->heard_ticks++;
    if (raft->role == RAFT_LEADER) {
        raft_tick_leader(raft);
    } else {
        raft_tick_election(raft);
    }
    raft_tick_reads(raft);
}

static void log_written(struct raft *raft, uint64_t version) {
    raft_log_written(&raft->log, version);
    if (raft->role == RAFT_LEADER && raft_maybe_commit(raft)) raft_after_commit(raft);
}

static rt_err handle(struct raft *raft, const struct raft_event *event) {
    switch (event->kind) {
    case RAFT_TICK: tick(raft); return RT_OK;
    case RAFT_RECEIVED: return receive(raft, event->message);
    case RAFT_PROPOSED: return raft_on_proposed(raft, event);
    case RAFT_HARD_STATE_WRITTEN: raft_on_hard_state_written(raft, event->version); return RT_OK;
    case RAFT_LOG_WRITTEN: log_written(raft, event->version); return RT_OK;
    case RAFT_LOADED: raft_on_loaded(raft, event); return RT_OK;
    case RAFT_APPLIED: raft_on_applied(raft, event->index); return RT_OK;
    case RAFT_READ_ASKED: return raft_on_read_asked(raft, event->read_context);
    case RAFT_TRANSFER_ASKED: return raft_on_transfer_asked(raft, event->peer);
    case RAFT_CONFIG_PROPOSED: return raft_on_config_proposed(raft, event->config);
    case RAFT_SNAPSHOT_TAKEN: return raft_on_snapshot_taken(raft, event->index);
    case RAFT_CHUNK_READ: raft_on_chunk_read(raft, event); return RT_OK;
    case RAFT_CHUNK_WRITTEN: raft_on_chunk_written(raft, event); return RT_OK;
    case RAFT_SNAPSHOT_INSTALLED: raft_on_snapshot_installed(raft, event->index); return RT_OK;
    case RAFT_PEER_LOST: raft_on_peer_lost(raft, event->peer); return RT_OK;
    }
    return RT_EINVAL;
}

rt_err raft_step(struct raft *raft, const struct raft_event *event) {
    assert(raft->started);
    raft_effects_begin(raft);
    rt_err err = handle(raft, event);
    raft_reads_release(raft);
    raft_apply_more(raft);
    raft_effects_finish(raft);
    raft_assert(raft);
    return err;
}

static void leader_assert(const struct raft *raft) {
    assert(raft->leader == raft->options.id && raft->hard_state.vote == raft->options.id);
    assert(raft->term_first <= raft->log.last);
    for (size_t i = 0; i < raft->peers.count; i++) {
        const struct raft_peer *peer = &raft->peers.items[i];
        assert(peer->match < peer->next && peer->next <= raft->log.last + 1);
        assert(peer->id == raft->options.id || peer->match <= raft->log.last);
    }
    // Once it knows what is committed, at most one change is not.
    size_t changes = raft->configs.count;
    assert(!raft_is_ready(raft) || changes < 2 || raft_has_bug(raft, RAFT_BUG_CHANGE_BEFORE_NOOP) ||
           raft->configs.items[changes - 2].index <= raft->commit);
}

void raft_assert(const struct raft *raft) {
    raft_log_assert(&raft->log);
    assert(raft->applied <= raft->applying && raft->applying <= raft->commit);
    assert(raft->commit <= raft->log.last && raft->log.base.index <= raft->commit);
    assert(raft->applying <= raft->log.durable);
    assert(raft->installing || raft->log.base.index <= raft->applied);
    assert(raft->log.base.index <= raft->snapshot.index);
    assert(raft_log_last(&raft->log).term <= raft->hard_state.term);
    assert(raft->configs.count > 0 && raft_config(raft)->index <= raft->log.last);
    assert(raft->peers.count == raft_config(raft)->count);
    if (raft->role == RAFT_LEADER) leader_assert(raft);
    if (raft->role == RAFT_CANDIDATE) assert(raft->hard_state.vote == raft->options.id);
    if (raft->role != RAFT_LEADER) assert(raft->leader != raft->options.id);
}
