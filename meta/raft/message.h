// What the nodes say to each other. proto/raft.h has the form on the wire.
#ifndef GEMINGA_META_RAFT_MESSAGE_H
#define GEMINGA_META_RAFT_MESSAGE_H

#include "meta/raft/entry.h"

enum raft_message_kind {
    RAFT_PRE_VOTE = 1,    // would you vote for me in `term`? Changes nothing (section 9.6)
    RAFT_PRE_VOTE_REPLY,  // granted: `term` is the one asked for; else the voter's own
    RAFT_VOTE,            // section 5.2
    RAFT_VOTE_REPLY,
    RAFT_APPEND,  // section 5.3
    RAFT_APPEND_REPLY,
    RAFT_HEARTBEAT,
    RAFT_HEARTBEAT_REPLY,
    RAFT_SNAPSHOT,  // one chunk (section 7)
    RAFT_SNAPSHOT_REPLY,
    RAFT_READ,  // a follower asks the leader for a read index (section 6.4 of the thesis)
    RAFT_READ_REPLY,
    RAFT_TIMEOUT_NOW,  // campaign at once: leadership is handed over (section 3.10 of the thesis)
    RAFT_REMOVED,      // you are no longer a member
    RAFT_MESSAGE_KINDS
};

// Numbers of writes that must be durable before a message leaves; 0 asks for nothing.
struct raft_needs {
    uint64_t hard_state;  // raft_hard_state.version
    uint64_t log;         // raft_log_write.version
};

struct raft_vote {
    struct raft_position last;  // of the candidate's log
    bool transfer;              // the old leader wants it: stickiness does not apply
};

struct raft_vote_reply {
    bool granted;
};

struct raft_append {
    struct raft_position prev;  // the entries follow it
    uint64_t commit;
    const struct raft_entry *entries;
    size_t entry_count;
};

struct raft_append_reply {
    bool rejected;
    bool repairing;             // the log lost entries that it had acknowledged: match may fall
    uint64_t index;             // durable up to here; rejected: the prev that does not match
    struct raft_position hint;  // rejected: the follower's latest position that might match
};

struct raft_heartbeat {
    uint64_t commit;  // never more than this follower has acknowledged
    uint64_t round;   // a reply proves leadership at any time before the round began
};

struct raft_heartbeat_reply {
    uint64_t round;
};

struct raft_snapshot_chunk {
    struct raft_position at;  // what the snapshot contains
    struct rt_bytes config;   // in force there, encoded
    uint64_t offset, total;   // bytes of the snapshot
    struct rt_bytes data;
    struct raft_payload *payload;
};

struct raft_snapshot_reply {
    uint64_t index;   // of the snapshot
    uint64_t offset;  // everything before is safe with the receiver
    bool rewind;      // and it wants the chunk at offset again
};

struct raft_read {
    uint64_t id;  // random, so that no answer serves a question of an earlier life
};

struct raft_read_reply {
    uint64_t id;
    uint64_t index;  // the state at or after this index is fresh enough
};

struct raft_removed {
    uint64_t config_index;  // of the committed configuration without the receiver
};

struct raft_message {
    enum raft_message_kind kind;
    uint64_t from, to, term;
    struct raft_needs needs;  // on the sender's side only
    union {
        struct raft_vote vote;
        struct raft_vote_reply vote_reply;
        struct raft_append append;
        struct raft_append_reply append_reply;
        struct raft_heartbeat heartbeat;
        struct raft_heartbeat_reply heartbeat_reply;
        struct raft_snapshot_chunk snapshot;
        struct raft_snapshot_reply snapshot_reply;
        struct raft_read read;
        struct raft_read_reply read_reply;
        struct raft_removed removed;
    };
};

#endif
