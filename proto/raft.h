// The Raft messages between metadata nodes: our own format.
//
// FRAME (big-endian), behind the stream's 4-byte length
//   OFFSET  SIZE  FIELD
//        0     1  version, 1
//        1     1  kind, enum proto_raft_kind
//        2     2  flags, of those the kind allows; the rest 0
//        4     4  CRC32C of byte 8 to the end
//        8     8  cluster id; a receiver drops frames of another cluster
//       16    24  from, to, term
//       40     *  eight bytes for each number of the kind (the table in raft.c), in this order:
//       index,
//                 log term, hint index, hint term, commit, round, offset, total, read id
// APPEND then has: entry count (u32); for each entry kind (u8), term (u64), size (u32); then the
// data
//       of all entries back to back. The first entry's index is index + 1.
// SNAPSHOT then has: configuration size (u16) and bytes; chunk size (u32) and bytes.
// Nothing may follow. A frame that breaks a rule is dropped with its connection (RT_EPROTO).
//
// Everything except payloads comes first, so a sender can pass payloads by reference: encode the
// head, then send the data of the entries, or the chunk, as they lie.
#ifndef GEMINGA_PROTO_RAFT_H
#define GEMINGA_PROTO_RAFT_H

#include "runtime/arena.h"
#include "runtime/bytes.h"

enum { PROTO_RAFT_VERSION = 1, PROTO_RAFT_HEADER_SIZE = 40, PROTO_RAFT_ENTRY_HEADER_SIZE = 13 };

enum proto_raft_kind {
    PROTO_RAFT_PRE_VOTE = 1,
    PROTO_RAFT_PRE_VOTE_REPLY,
    PROTO_RAFT_VOTE,
    PROTO_RAFT_VOTE_REPLY,
    PROTO_RAFT_APPEND,
    PROTO_RAFT_APPEND_REPLY,
    PROTO_RAFT_HEARTBEAT,
    PROTO_RAFT_HEARTBEAT_REPLY,
    PROTO_RAFT_SNAPSHOT,
    PROTO_RAFT_SNAPSHOT_REPLY,
    PROTO_RAFT_READ,
    PROTO_RAFT_READ_REPLY,
    PROTO_RAFT_TIMEOUT_NOW,
    PROTO_RAFT_REMOVED,
    PROTO_RAFT_KINDS
};

enum proto_raft_flags {
    PROTO_RAFT_GRANTED = 1 << 0,    // vote replies
    PROTO_RAFT_TRANSFER = 1 << 1,   // votes: the old leader wants it
    PROTO_RAFT_REJECTED = 1 << 2,   // append reply
    PROTO_RAFT_REPAIRING = 1 << 3,  // append reply: acknowledged entries were lost
    PROTO_RAFT_REWIND = 1 << 4      // snapshot reply
};

struct proto_raft_entry {
    uint8_t kind;
    uint64_t term;
    struct rt_bytes data;
};

// Numbers that a kind does not have are not sent, and read as 0.
struct proto_raft_message {
    enum proto_raft_kind kind;
    unsigned flags;
    uint64_t cluster, from, to, term;
    uint64_t index, log_term;  // votes: last; append: prev; replies: up to here, or the rejected
                               // prev; snapshot: what it contains; read reply: read index; removed:
                               // of the configuration
    uint64_t hint_index, hint_term;  // append reply
    uint64_t commit;                 // append, heartbeat
    uint64_t round;                  // heartbeat and reply
    uint64_t offset, total;          // snapshot; offset of its reply
    uint64_t read_id;                // read and reply
    const struct proto_raft_entry *entries;
    size_t entry_count;
    struct rt_bytes config, chunk;  // snapshot
};

// Everything but the payloads; the checksum covers them too. Then w->written is the head's size.
void proto_raft_encode_head(const struct proto_raft_message *message, struct rt_writer *w);
size_t proto_raft_payload_size(const struct proto_raft_message *message);
// Head and payloads in one piece.
void proto_raft_encode(const struct proto_raft_message *message, struct rt_writer *w);

// Payloads point into the frame, the entry table into the arena. The entry kinds, and whether the
// message makes sense, are the receiver's to check.
RT_CHECK
rt_err proto_raft_decode(struct rt_bytes frame, struct rt_arena *arena,
                         struct proto_raft_message *message);

#endif
