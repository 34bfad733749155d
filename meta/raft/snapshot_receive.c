// A snapshot from the leader, chunk by chunk, and the node's own snapshots.
//
// A transfer is named by its sender, the sender's term and the position: the bytes of two nodes for
// the same position need not be equal, so chunks of different transfers never mix. A chunk is
// acknowledged when it is written; the whole is installed when the driver has it durable and
// verified, and only then the log before it goes.
#include "meta/raft/core.h"

static void reply_offset(struct raft *raft, uint64_t index, uint64_t offset, bool rewind) {
    if (raft->role != RAFT_FOLLOWER || raft->leader != raft->incoming.from) return;
    struct raft_message *reply = raft_send(raft, RAFT_SNAPSHOT_REPLY, raft->incoming.from);
    reply->snapshot_reply = (struct raft_snapshot_reply){index, offset, rewind};
}

static rt_err chunk_check(const struct raft_snapshot_chunk *chunk, struct raft_config *config) {
    bool sane = chunk->at.index > 0 && chunk->at.index < UINT64_MAX / 2 && chunk->data.size > 0 &&
                chunk->offset < chunk->total && chunk->data.size <= chunk->total - chunk->offset;
    if (!sane) return RT_EPROTO;
    rt_err err = raft_config_decode(chunk->config, config);
    if (err) return err;
    return config->index <= chunk->at.index ? RT_OK : RT_EPROTO;
}

static bool is_same_transfer(const struct raft *raft, const struct raft_message *message) {
    const struct raft_incoming *incoming = &raft->incoming;
    return incoming->transfer && incoming->from == message->from &&
           incoming->term == message->term && incoming->total == message->snapshot.total &&
           raft_position_equal(incoming->at, message->snapshot.at);
}

static void incoming_begin(struct raft *raft, const struct raft_message *message,
                           const struct raft_config *config) {
    raft->incoming = (struct raft_incoming){
        .transfer = ++raft->transfer_last,
        .from = message->from,
        .term = message->term,
        .at = message->snapshot.at,
        .config = *config,
        .total = message->snapshot.total,
    };
}

static void chunk_accept(struct raft *raft, const struct raft_snapshot_chunk *chunk) {
    struct raft_incoming *incoming = &raft->incoming;
    struct raft_snapshot_effect *effect =
        raft_snapshot_effect(raft, RAFT_SNAPSHOT_WRITE, incoming->from, incoming->at);
    effect->transfer = incoming->transfer;
    effect->offset = chunk->offset;
    effect->total = chunk->total;
    effect->data = chunk->data;
    effect->payload = chunk->payload;
    effect->config = &incoming->config;
    raft_hold(raft, chunk->payload);
    incoming->wanted += chunk->data.size;
}

rt_err raft_on_snapshot(struct raft *raft, const struct raft_message *message) {
    const struct raft_snapshot_chunk *chunk = &message->snapshot;
    struct raft_config config;
    rt_err err = chunk_check(chunk, &config);
    if (err) return err;
    if (raft->installing) return RT_OK;  // the acknowledgement follows
    if (chunk->at.index <= raft->commit) {
        raft_acknowledge(raft, message->from, raft->commit);
        return RT_OK;
    }
    if (!is_same_transfer(raft, message)) {
        if (chunk->offset != 0) {
            struct raft_message *reply = raft_send(raft, RAFT_SNAPSHOT_REPLY, message->from);
            reply->snapshot_reply = (struct raft_snapshot_reply){chunk->at.index, 0, true};
            return RT_OK;
        }
        incoming_begin(raft, message, &config);
    }
    if (chunk->offset == raft->incoming.wanted) {
        chunk_accept(raft, chunk);
    } else if (chunk->offset < raft->incoming.wanted) {
        reply_offset(raft, chunk->at.index, raft->incoming.written, false);
    } else {
        reply_offset(raft, chunk->at.index, raft->incoming.wanted, true);
    }
    return RT_OK;
}

// The log keeps what follows the snapshot if it has the snapshot's last entry; else nothing of it
// is known to be right. Both hold for committed entries: the snapshot has them all.
static void install(struct raft *raft) {
    struct raft_incoming *incoming = &raft->incoming;
    bool keep = raft_log_has(&raft->log, incoming->at);
    if (keep) {
        raft_log_compact(&raft->log, incoming->at.index);
        raft->effects.log_unneeded_to = incoming->at.index;
    } else {
        raft_log_reset(&raft->log, incoming->at);
    }
    raft_config_reset(raft, &incoming->config, keep);
    raft->snapshot = incoming->at;
    raft->snapshot_config = incoming->config;
    raft->commit = incoming->at.index;
    raft->installing = true;
    struct raft_snapshot_effect *effect =
        raft_snapshot_effect(raft, RAFT_SNAPSHOT_INSTALL, incoming->from, incoming->at);
    effect->transfer = incoming->transfer;
    effect->total = incoming->total;
    effect->config = &incoming->config;
    incoming->transfer = 0;
}

void raft_on_chunk_written(struct raft *raft, const struct raft_event *event) {
    struct raft_incoming *incoming = &raft->incoming;
    if (!incoming->transfer || event->chunk_written.transfer != incoming->transfer) return;
    if (event->chunk_written.failed) {
        reply_offset(raft, incoming->at.index, 0, true);
        incoming->transfer = 0;
        return;
    }
    assert(event->chunk_written.end > incoming->written);
    assert(event->chunk_written.end <= incoming->wanted);
    incoming->written = event->chunk_written.end;
    reply_offset(raft, incoming->at.index, incoming->written, false);
    if (incoming->written < incoming->total) return;
    bool useless = incoming->at.index <= raft->commit || raft->role == RAFT_LEADER;
    if (useless) {
        incoming->transfer = 0;
    } else {
        install(raft);
    }
}

void raft_on_snapshot_installed(struct raft *raft, uint64_t index) {
    assert(raft->installing && index == raft->incoming.at.index);
    raft->installing = false;
    raft->applied = raft->applying = index;
    if (raft->role == RAFT_FOLLOWER && raft->leader) raft_acknowledge(raft, raft->leader, index);
}

// SNAPSHOTS OF OUR OWN

// A live follower that is a little behind should not need a snapshot.
static uint64_t needed_by_followers(const struct raft *raft, uint64_t to, uint64_t floor) {
    for (size_t i = 0; raft->role == RAFT_LEADER && i < raft->peers.count; i++) {
        const struct raft_peer *peer = &raft->peers.items[i];
        bool counts = peer->id != raft->options.id && peer->progress != RAFT_SEND_SNAPSHOT &&
                      peer->silent_ticks < raft->options.election_ticks;
        if (counts && peer->match < to) to = peer->match;
    }
    return to > floor ? to : floor;
}

static uint64_t minus(uint64_t a, uint64_t b) {
    return a > b ? a - b : 0;
}

rt_err raft_on_snapshot_taken(struct raft *raft, uint64_t index) {
    struct raft_position at;
    const struct raft_config *config;
    if (index > raft->applied) return RT_EINVAL;
    if (index <= raft->snapshot.index) return RT_OK;  // an installed one was faster
    bool known = raft_snapshot_facts(raft, index, &at, &config);
    assert(known);
    raft->snapshot = at;
    raft->snapshot_config = *config;
    uint64_t to = minus(index, raft->options.trailing_entries);
    to = needed_by_followers(raft, to, minus(to, raft->options.lagging_entries_max));
    if (to <= raft->log.base.index) return RT_OK;
    raft_log_compact(&raft->log, to);
    raft_config_compact(raft, to);
    raft->effects.log_unneeded_to = to;
    return RT_OK;
}

bool raft_snapshot_facts(const struct raft *raft, uint64_t index, struct raft_position *at,
                         const struct raft_config **config) {
    at->index = index;
    *config = raft_config_at(raft, index);
    return *config && raft_log_term(&raft->log, index, &at->term);
}
