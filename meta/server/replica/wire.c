#include "meta/server/replica/wire.h"

static void append_to_wire(const struct raft_append *append, struct rt_arena *arena,
                           struct proto_raft_message *out) {
    struct proto_raft_entry *entries =
        rt_arena_zero(arena, append->entry_count + 1, sizeof(*entries));
    for (size_t i = 0; i < append->entry_count; i++) {
        entries[i].kind = (uint8_t)append->entries[i].kind;
        entries[i].term = append->entries[i].at.term;
        entries[i].data = append->entries[i].data;
    }
    out->index = append->prev.index;
    out->log_term = append->prev.term;
    out->commit = append->commit;
    out->entries = entries;
    out->entry_count = append->entry_count;
}

static void append_reply_to_wire(const struct raft_append_reply *reply,
                                 struct proto_raft_message *out) {
    out->flags = (reply->rejected ? PROTO_RAFT_REJECTED : 0u) |
                 (reply->repairing ? PROTO_RAFT_REPAIRING : 0u);
    out->index = reply->index;
    out->hint_index = reply->hint.index;
    out->hint_term = reply->hint.term;
}

static void snapshot_to_wire(const struct raft_snapshot_chunk *chunk,
                             struct proto_raft_message *out) {
    out->index = chunk->at.index;
    out->log_term = chunk->at.term;
    out->offset = chunk->offset;
    out->total = chunk->total;
    out->config = chunk->config;
    out->chunk = chunk->data;
}

static void fields_to_wire(const struct raft_message *m, struct rt_arena *arena,
                           struct proto_raft_message *out) {
    switch (m->kind) {
    case RAFT_PRE_VOTE:
    case RAFT_VOTE:
        out->flags = m->vote.transfer ? PROTO_RAFT_TRANSFER : 0;
        out->index = m->vote.last.index;
        out->log_term = m->vote.last.term;
        break;
    case RAFT_PRE_VOTE_REPLY:
    case RAFT_VOTE_REPLY: out->flags = m->vote_reply.granted ? PROTO_RAFT_GRANTED : 0; break;
    case RAFT_APPEND: append_to_wire(&m->append, arena, out); break;
    case RAFT_APPEND_REPLY: append_reply_to_wire(&m->append_reply, out); break;
    case RAFT_HEARTBEAT:
        out->commit = m->heartbeat.commit;
        out->round = m->heartbeat.round;
        break;
    case RAFT_HEARTBEAT_REPLY: out->round = m->heartbeat_reply.round; break;
    case RAFT_SNAPSHOT: snapshot_to_wire(&m->snapshot, out); break;
    case RAFT_SNAPSHOT_REPLY:
        out->flags = m->snapshot_reply.rewind ? PROTO_RAFT_REWIND : 0;
        out->index = m->snapshot_reply.index;
        out->offset = m->snapshot_reply.offset;
        break;
    case RAFT_READ: out->read_id = m->read.id; break;
    case RAFT_READ_REPLY:
        out->read_id = m->read_reply.id;
        out->index = m->read_reply.index;
        break;
    case RAFT_REMOVED: out->index = m->removed.config_index; break;
    case RAFT_TIMEOUT_NOW:
    case RAFT_MESSAGE_KINDS: break;
    }
}

void meta_wire_encode(uint64_t cluster, const struct raft_message *message, struct rt_buf *frame) {
    struct rt_arena arena = {0};
    struct proto_raft_message out = {
        .kind = (enum proto_raft_kind)message->kind,
        .cluster = cluster,
        .from = message->from,
        .to = message->to,
        .term = message->term,
    };
    fields_to_wire(message, &arena, &out);
    struct rt_writer w = rt_writer_into(frame);
    proto_raft_encode(&out, &w);
    rt_arena_fini(&arena);
}

static void append_from_wire(const struct proto_raft_message *in, struct raft_payload *payload,
                             struct rt_arena *arena, struct raft_append *append) {
    struct raft_entry *entries = rt_arena_zero(arena, in->entry_count + 1, sizeof(*entries));
    for (size_t i = 0; i < in->entry_count; i++) {
        entries[i].at = (struct raft_position){in->index + 1 + i, in->entries[i].term};
        entries[i].kind = (enum raft_entry_kind)in->entries[i].kind;
        entries[i].data = in->entries[i].data;
        entries[i].payload = payload;
    }
    append->prev = (struct raft_position){in->index, in->log_term};
    append->commit = in->commit;
    append->entries = entries;
    append->entry_count = in->entry_count;
}

static void fields_from_wire(const struct proto_raft_message *in, struct raft_payload *payload,
                             struct rt_arena *arena, struct raft_message *m) {
    struct raft_position at = {in->index, in->log_term};
    switch (m->kind) {
    case RAFT_PRE_VOTE:
    case RAFT_VOTE: m->vote = (struct raft_vote){at, (in->flags & PROTO_RAFT_TRANSFER) != 0}; break;
    case RAFT_PRE_VOTE_REPLY:
    case RAFT_VOTE_REPLY: m->vote_reply.granted = (in->flags & PROTO_RAFT_GRANTED) != 0; break;
    case RAFT_APPEND: append_from_wire(in, payload, arena, &m->append); break;
    case RAFT_APPEND_REPLY:
        m->append_reply.rejected = (in->flags & PROTO_RAFT_REJECTED) != 0;
        m->append_reply.repairing = (in->flags & PROTO_RAFT_REPAIRING) != 0;
        m->append_reply.index = in->index;
        m->append_reply.hint = (struct raft_position){in->hint_index, in->hint_term};
        break;
    case RAFT_HEARTBEAT: m->heartbeat = (struct raft_heartbeat){in->commit, in->round}; break;
    case RAFT_HEARTBEAT_REPLY: m->heartbeat_reply.round = in->round; break;
    case RAFT_SNAPSHOT:
        m->snapshot =
            (struct raft_snapshot_chunk){at, in->config, in->offset, in->total, in->chunk, payload};
        break;
    case RAFT_SNAPSHOT_REPLY:
        m->snapshot_reply = (struct raft_snapshot_reply){in->index, in->offset,
                                                         (in->flags & PROTO_RAFT_REWIND) != 0};
        break;
    case RAFT_READ: m->read.id = in->read_id; break;
    case RAFT_READ_REPLY: m->read_reply = (struct raft_read_reply){in->read_id, in->index}; break;
    case RAFT_REMOVED: m->removed.config_index = in->index; break;
    case RAFT_TIMEOUT_NOW:
    case RAFT_MESSAGE_KINDS: break;
    }
}

rt_err meta_wire_decode(uint64_t cluster, struct rt_bytes frame, struct raft_payload *payload,
                        struct rt_arena *arena, struct raft_message *message) {
    struct proto_raft_message in;
    rt_err err = proto_raft_decode(frame, arena, &in);
    if (err) return err;
    if (in.cluster != cluster) return RT_EPROTO;
    *message = (struct raft_message){
        .kind = (enum raft_message_kind)in.kind, .from = in.from, .to = in.to, .term = in.term};
    fields_from_wire(&in, payload, arena, message);
    return RT_OK;
}
