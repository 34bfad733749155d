// What the leader knows of each follower.
//
//             reject, or connection lost                   log it needs is compacted
//   REPLICATE ---------------------------> PROBE ------------------------------------->
//   SEND_SNAPSHOT
//      ^                                   |   ^                                             |
//      '------- an append is accepted -----'   '--- installed (acknowledged), or given up ---'
//
// PROBE: one append at a time, until the place where the logs meet is known.
// REPLICATE: appends are sent without waiting, as far as the window allows; next runs ahead of
// match. SEND_SNAPSHOT: no appends.
#include "meta/raft/core.h"
#include "runtime/mem.h"

struct raft_peer *raft_peer_find(const struct raft *raft, uint64_t id) {
    size_t low = 0, high = raft->peers.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (raft->peers.items[middle].id == id) return &raft->peers.items[middle];
        if (raft->peers.items[middle].id < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

static void inflight_clear(struct raft_inflight *inflight) {
    inflight->first = inflight->count = inflight->bytes = 0;
}

static void peer_forget(struct raft *raft, struct raft_peer *peer) {
    peer->progress = RAFT_PROBE;
    peer->match = 0;
    peer->next = raft->log.last + 1;
    peer->probing = peer->loading = false;
    peer->commit_sent = peer->acked_round = 0;
    peer->silent_ticks = 0;
    inflight_clear(&peer->inflight);
}

void raft_peer_fini(struct raft_peer *peer) {
    rt_free(peer->inflight.items);
    rt_buf_fini(&peer->sending.config);
}

static struct raft_peer *peer_move(struct raft_peer *old, size_t old_count, uint64_t id) {
    for (size_t i = 0; i < old_count; i++) {
        if (old[i].id == id) return &old[i];
    }
    return NULL;
}

// Peers are moved: pointers to them do not survive a change of the configuration.
void raft_peers_sync(struct raft *raft) {
    const struct raft_config *config = raft_config(raft);
    struct raft_peer *old = raft->peers.items;
    size_t old_count = raft->peers.count;
    struct raft_peer *peers = rt_alloc_zero(config->count + 1, sizeof(*peers));
    for (unsigned i = 0; i < config->count; i++) {
        struct raft_peer *known = peer_move(old, old_count, config->members[i].id);
        if (known) {
            peers[i] = *known;
            known->id = 0;
        } else {
            peers[i].id = config->members[i].id;
            peer_forget(raft, &peers[i]);
        }
    }
    for (size_t i = 0; i < old_count; i++) {
        if (old[i].id == 0) continue;
        raft_snapshot_stop(raft, &old[i]);
        raft_peer_fini(&old[i]);
    }
    rt_free(old);
    raft->peers.items = peers;
    raft->peers.count = config->count;
    raft->peers.capacity = config->count + 1;
    raft->config_changed = true;
}

void raft_peers_reset(struct raft *raft) {
    for (size_t i = 0; i < raft->peers.count; i++) peer_forget(raft, &raft->peers.items[i]);
}

void raft_peer_probe(struct raft *raft, struct raft_peer *peer) {
    raft_snapshot_stop(raft, peer);
    peer->progress = RAFT_PROBE;
    peer->probing = false;
    peer->next = peer->match + 1;
    inflight_clear(&peer->inflight);
}

void raft_peer_replicate(struct raft *raft, struct raft_peer *peer) {
    raft_snapshot_stop(raft, peer);
    peer->progress = RAFT_REPLICATE;
    peer->probing = false;
    peer->next = peer->match + 1;
    inflight_clear(&peer->inflight);
}

void raft_peer_send_snapshot(struct raft *raft, struct raft_peer *peer) {
    assert(peer->progress != RAFT_SEND_SNAPSHOT);
    peer->progress = RAFT_SEND_SNAPSHOT;
    peer->probing = false;
    inflight_clear(&peer->inflight);
    (void)raft;
}

bool raft_peer_is_paused(const struct raft *raft, const struct raft_peer *peer) {
    if (peer->loading) return true;
    switch (peer->progress) {
    case RAFT_PROBE: return peer->probing;
    case RAFT_REPLICATE:
        return peer->inflight.count >= raft->options.inflight_messages_max ||
               peer->inflight.bytes >= raft->options.inflight_bytes_max;
    case RAFT_SEND_SNAPSHOT: break;
    }
    return true;
}

static struct raft_inflight_item *inflight_at(const struct raft_inflight *inflight, size_t i) {
    return &inflight->items[(inflight->first + i) % inflight->capacity];
}

void raft_inflight_add(struct raft_inflight *inflight, uint64_t last, size_t size) {
    if (inflight->count == inflight->capacity) {
        size_t capacity = inflight->capacity ? inflight->capacity * 2 : 8;
        struct raft_inflight_item *items = rt_alloc_zero(capacity, sizeof(*items));
        for (size_t i = 0; i < inflight->count; i++) items[i] = *inflight_at(inflight, i);
        rt_free(inflight->items);
        inflight->items = items;
        inflight->first = 0;
        inflight->capacity = capacity;
    }
    inflight->count++;
    *inflight_at(inflight, inflight->count - 1) = (struct raft_inflight_item){last, size};
    inflight->bytes += size;
}

static void inflight_free_one(struct raft_inflight *inflight) {
    inflight->bytes -= inflight_at(inflight, 0)->size;
    inflight->first = (inflight->first + 1) % inflight->capacity;
    inflight->count--;
}

void raft_inflight_free_to(struct raft_inflight *inflight, uint64_t index) {
    while (inflight->count && inflight_at(inflight, 0)->last <= index) inflight_free_one(inflight);
}

void raft_inflight_free_first(struct raft_inflight *inflight) {
    if (inflight->count) inflight_free_one(inflight);
}

bool raft_peer_status(const struct raft *raft, uint64_t id, struct raft_peer_status *status) {
    const struct raft_peer *peer = raft_peer_find(raft, id);
    if (!peer) return false;
    *status = (struct raft_peer_status){
        .id = id,
        .match = id == raft->options.id ? raft->log.durable : peer->match,
        .next = peer->next,
        .progress = peer->progress,
        .silent_ticks = peer->silent_ticks,
        .acked_round = peer->acked_round,
    };
    return true;
}
