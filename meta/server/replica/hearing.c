// What comes from other nodes: hellos, messages of the core, forwarded commands, touched sessions.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "meta/server/replica/replica_internal.h"
#include "meta/server/replica/wire.h"

// HELLOS

static const char *own_address(const struct meta_replica *replica) {
    for (unsigned i = 0; i < replica->options.member_count; i++) {
        if (replica->members[i].id == replica->options.node_id) return replica->members[i].address;
    }
    return "";
}

static void hello_fill(struct meta_peers_events *events, struct meta_peer_hello *hello) {
    struct meta_replica *replica = rt_container_of(events, struct meta_replica, peer_events);
    struct raft_status status = {0};
    if (replica->raft) raft_status(replica->raft, &status);
    hello->cluster = replica->identity.cluster;
    hello->is_virgin = replica->is_virgin && status.last <= 1;
    // The last position this node knows: entries up to here may have been acknowledged.
    hello->last = (struct raft_position){status.last, status.term};
    snprintf(hello->address, sizeof(hello->address), "%s", own_address(replica));
}

static bool has_member(const struct meta_replica *replica, uint64_t id) {
    for (unsigned i = 0; i < replica->options.member_count; i++) {
        if (replica->members[i].id == id) return true;
    }
    return replica->raft && raft_config_find(raft_config(replica->raft), id);
}

// Who wants to join takes the cluster of the first member that calls.
static bool adopt_cluster(struct meta_replica *replica, const struct meta_peer_hello *hello) {
    struct rt_why why = {{0}};
    if (!hello->cluster) return false;
    replica->identity = (struct replica_identity){hello->cluster, replica->options.node_id};
    rt_err err = replica_identity_write_now(replica, &why);
    if (!err) err = replica_bring_up_now(replica, &why);
    if (!err) err = replica_core_start(replica, (struct raft_position){0}, &why);
    if (err) {
        replica_fail(replica, err, why.text);
        return false;
    }
    rt_log_info("meta", "joined a cluster cluster=%016" PRIx64 " through=%" PRIu64, hello->cluster,
                hello->from);
    return true;
}

static bool greeted(struct meta_peers_events *events, const struct meta_peer_hello *hello) {
    struct meta_replica *replica = rt_container_of(events, struct meta_replica, peer_events);
    if (replica->closing || replica->failing) return false;
    if (!replica->identity.cluster && replica->is_joining) return adopt_cluster(replica, hello);
    if (hello->cluster != replica->identity.cluster && hello->cluster) {
        rt_log_error("meta",
                     "a peer belongs to another cluster peer=%" PRIu64 " cluster=%016" PRIx64
                     " own=%016" PRIx64
                     " advice=\"compare the server lines, or empty the data "
                     "directory of the one that is wrong\"",
                     hello->from, hello->cluster, replica->identity.cluster);
        return false;
    }
    if (!hello->cluster && !has_member(replica, hello->from)) return false;
    if (!hello->is_virgin && raft_position_covers(hello->last, replica->looked_last))
        replica->looked_last = hello->last;
    return meta_peers_know(replica->peers, hello->from, hello->address);
}

// FRAMES

struct heard {  // keeps the bytes that entries of a message lie in
    struct raft_payload payload;
    struct rt_buf bytes;
};

static void heard_release(struct raft_payload *payload) {
    struct heard *heard = rt_container_of(payload, struct heard, payload);
    rt_buf_fini(&heard->bytes);
    rt_free(heard);
}

static rt_err hear_raft(struct meta_replica *replica, uint64_t from, struct rt_bytes body) {
    struct heard *heard = RT_NEW(struct heard);
    struct rt_arena arena = {0};
    struct raft_message message;
    raft_payload_init(&heard->payload, heard_release);
    rt_buf_append(&heard->bytes, body);
    rt_err err = meta_wire_decode(replica->identity.cluster, rt_buf_bytes(&heard->bytes),
                                  &heard->payload, &arena, &message);
    if (!err && (message.from != from || message.to != replica->options.node_id)) err = RT_EPROTO;
    if (!err) {
        struct raft_event event = {.kind = RAFT_RECEIVED, .message = &message};
        err = replica_step(replica, &event);
    }
    rt_arena_fini(&arena);
    raft_payload_drop(&heard->payload);
    return err == RT_EPROTO ? err : RT_OK;
}

static rt_err hear_forward(struct meta_replica *replica, uint64_t from, struct rt_bytes frame) {
    struct rt_arena arena = {0};
    struct meta_command parsed;
    struct rt_bytes command;
    uint64_t term;
    if (meta_peer_forward_decode(frame, &term, &command)) return RT_EPROTO;
    bool sound = !meta_command_decode(command, &arena, &parsed) && parsed.origin == from;
    rt_arena_fini(&arena);
    if (sound)
        replica_forwarded(replica, from, term, command);
    else
        replica_refuse(replica, from, NULL);  // of a newer version, perhaps: somebody waits
    return sound ? RT_OK : RT_EPROTO;
}

static rt_err hear_refused(struct meta_replica *replica, uint64_t from, struct rt_bytes frame) {
    bool is_one;
    uint64_t ticket;
    if (meta_peer_refused_decode(frame, &is_one, &ticket)) return RT_EPROTO;
    if (from != replica->sent_to) return RT_OK;  // of a leader that is none any more
    if (is_one)
        replica_refused(replica, ticket);
    else
        replica_interrupt(replica);
    return RT_OK;
}

static rt_err hear_touch(struct meta_replica *replica, struct rt_bytes frame) {
    int64_t *sessions = rt_alloc_zero(META_PEER_TOUCHES_MAX, sizeof(*sessions));
    size_t count = 0;
    rt_err err = meta_peer_touch_decode(frame, sessions, &count);
    if (!err) replica_touched_by(replica, sessions, count);
    rt_free(sessions);
    return err;
}

static rt_err received(struct meta_peers_events *events, uint64_t from, struct rt_bytes frame) {
    struct meta_replica *replica = rt_container_of(events, struct meta_replica, peer_events);
    struct rt_bytes body = rt_bytes_skip(frame, 1);
    rt_err err = RT_OK;
    if (replica->closing || replica->failing || !replica->raft) return RT_OK;
    switch (frame.data[0]) {
    case META_PEER_RAFT: err = hear_raft(replica, from, body); break;
    case META_PEER_FORWARD: err = hear_forward(replica, from, frame); break;
    case META_PEER_REFUSED: err = hear_refused(replica, from, frame); break;
    case META_PEER_TOUCH: err = hear_touch(replica, frame); break;
    default: err = RT_EPROTO;
    }
    return err;
}

static void connected(struct meta_peers_events *events, uint64_t peer) {
    (void)events;  // Raft says by itself what was not heard
    (void)peer;
}

static bool is_member(struct meta_peers_events *events, uint64_t peer) {
    return has_member(rt_container_of(events, struct meta_replica, peer_events), peer);
}

static void lost(struct meta_peers_events *events, uint64_t peer) {
    struct meta_replica *replica = rt_container_of(events, struct meta_replica, peer_events);
    struct raft_event event = {.kind = RAFT_PEER_LOST, .peer = peer};
    if (replica->closing || !replica->raft) return;
    if (peer == replica->sent_to && replica->status.role != RAFT_LEADER) replica_interrupt(replica);
    RT_IGNORE(replica_step(replica, &event));  // never refused
}

void replica_hear_init(struct meta_replica *replica) {
    replica->peer_events = (struct meta_peers_events){.received = received,
                                                      .greeted = greeted,
                                                      .hello = hello_fill,
                                                      .connected = connected,
                                                      .lost = lost,
                                                      .is_member = is_member};
}

// A founder that has nothing asks before it starts: if the others have a history, its own was lost,
// or it comes late. Either way it may not vote for less than what they have until it has caught up.
void replica_virgin_tick(struct meta_replica *replica) {
    unsigned peers = 0;
    for (unsigned i = 0; i < replica->options.member_count; i++)
        peers += replica->members[i].id != replica->options.node_id;
    bool all = meta_peers_connected(replica->peers) == peers;
    if (replica->looking_ticks && !all) {
        replica->looking_ticks--;
        return;
    }
    struct rt_why why = {{0}};
    rt_err err = replica_core_start(replica, replica->looked_last, &why);
    if (err) replica_fail(replica, err, why.text);
}
