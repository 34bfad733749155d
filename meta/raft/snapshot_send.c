// The leader sends its newest snapshot to a follower whose log ends before the leader's begins.
//
// Chunks are read from the driver one at a time, and sent up to a window ahead of what the receiver
// reports as safe. The receiver takes them in order; it says where to go on, so a transfer resumes
// after loss, and after a chunk too many it simply says how far it is. The transfer ends when the
// follower acknowledges the log position of the snapshot like any other.
#include "meta/raft/core.h"

enum { RETRIES_MAX = 20 };  // stalls of T each, before it begins again with a newer snapshot

static void read_next(struct raft *raft, struct raft_peer *peer) {
    struct raft_sending *sending = &peer->sending;
    uint64_t window =
        (uint64_t)raft->options.snapshot_chunk_bytes * raft->options.snapshot_chunks_ahead;
    bool at_end = sending->total && sending->next >= sending->total;
    if (sending->reading || at_end || sending->next - sending->acked >= window) return;
    sending->reading = true;
    struct raft_snapshot_effect *effect =
        raft_snapshot_effect(raft, RAFT_SNAPSHOT_READ, peer->id, sending->at);
    effect->offset = sending->next;
    effect->size_max = raft->options.snapshot_chunk_bytes;
}

void raft_snapshot_start(struct raft *raft, struct raft_peer *peer) {
    if (peer->silent_ticks >= raft->options.election_ticks) return;
    assert(raft->snapshot.index >= raft->log.base.index);
    raft_peer_send_snapshot(raft, peer);
    struct raft_sending *sending = &peer->sending;
    struct rt_buf config = sending->config;  // keeps the memory
    rt_buf_clear(&config);
    struct rt_writer w = rt_writer_into(&config);
    raft_config_encode(&raft->snapshot_config, &w);
    *sending = (struct raft_sending){.at = raft->snapshot, .config = config, .rewound = UINT64_MAX};
    raft_snapshot_effect(raft, RAFT_SNAPSHOT_OPEN, peer->id, sending->at);
    read_next(raft, peer);
}

void raft_snapshot_stop(struct raft *raft, struct raft_peer *peer) {
    if (peer->progress != RAFT_SEND_SNAPSHOT) return;
    peer->progress = RAFT_PROBE;
    peer->next = peer->match + 1;
    raft_snapshot_effect(raft, RAFT_SNAPSHOT_CLOSE, peer->id, peer->sending.at);
}

static void send_chunk(struct raft *raft, struct raft_peer *peer, const struct raft_event *event) {
    struct raft_message *message = raft_send(raft, RAFT_SNAPSHOT, peer->id);
    message->snapshot = (struct raft_snapshot_chunk){
        .at = peer->sending.at,
        .config = rt_arena_copy(&raft->arena, rt_buf_bytes(&peer->sending.config)),
        .offset = event->chunk.offset,
        .total = event->chunk.total,
        .data = event->chunk.data,
        .payload = event->chunk.payload,
    };
    raft_hold(raft, event->chunk.payload);
}

void raft_on_chunk_read(struct raft *raft, const struct raft_event *event) {
    struct raft_peer *peer = raft_peer_find(raft, event->chunk.peer);
    if (!peer || raft->role != RAFT_LEADER || peer->progress != RAFT_SEND_SNAPSHOT) return;
    struct raft_sending *sending = &peer->sending;
    if (!sending->reading || !raft_position_equal(event->chunk.at, sending->at)) return;
    sending->reading = false;
    if (event->chunk.failed) {
        raft_peer_probe(raft, peer);
        return;
    }
    if (event->chunk.offset == sending->next) {
        assert(event->chunk.data.size > 0);
        assert(event->chunk.offset + event->chunk.data.size <= event->chunk.total);
        sending->total = event->chunk.total;
        sending->next += event->chunk.data.size;
        send_chunk(raft, peer, event);
    }
    read_next(raft, peer);
}

static void rewind_to(struct raft_sending *sending, uint64_t offset) {
    if (offset == sending->rewound) return;  // one answer for each chunk of the window
    sending->rewound = offset;
    sending->next = sending->acked = offset;
}

void raft_on_snapshot_reply(struct raft *raft, const struct raft_message *message) {
    const struct raft_snapshot_reply *reply = &message->snapshot_reply;
    struct raft_peer *peer = raft_peer_find(raft, message->from);
    if (!peer || raft->role != RAFT_LEADER) return;
    peer->silent_ticks = 0;
    struct raft_sending *sending = &peer->sending;
    if (peer->progress != RAFT_SEND_SNAPSHOT || reply->index != sending->at.index) return;
    if (sending->total == 0 || reply->offset > sending->total) return;
    if (reply->rewind) {
        rewind_to(sending, reply->offset);
    } else if (reply->offset > sending->acked) {
        sending->acked = reply->offset;
        sending->stalled_ticks = sending->retries = 0;
        sending->rewound = UINT64_MAX;
        if (sending->next < sending->acked) sending->next = sending->acked;
    }
    read_next(raft, peer);
}

// Chunks or answers were lost. When all is sent, the first chunk again brings the last answer
// again.
void raft_tick_snapshot(struct raft *raft, struct raft_peer *peer) {
    if (peer->progress != RAFT_SEND_SNAPSHOT) return;
    struct raft_sending *sending = &peer->sending;
    bool gone = peer->silent_ticks >= raft->options.election_ticks;
    if (!gone && ++sending->stalled_ticks < raft->options.election_ticks) return;
    if (gone || ++sending->retries > RETRIES_MAX) {
        raft_peer_probe(raft, peer);
        return;
    }
    sending->stalled_ticks = 0;
    sending->rewound = UINT64_MAX;
    if (sending->acked == sending->total) sending->acked = 0;
    sending->next = sending->acked;
    read_next(raft, peer);
}
