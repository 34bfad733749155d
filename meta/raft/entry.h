// Log entries, and who owns their bytes.
//
// The bytes of an entry belong to whoever read or built them: a receive slab, a block read from the
// log, a client's request. They are shared by count, never copied by the core: the owner embeds a
// raft_payload (one may serve many entries), and everybody who keeps an entry beyond the call that
// brought it holds the payload. One loop only, so the count is a plain integer. payload == NULL
// means that the bytes are immortal, or that there are none.
#ifndef GEMINGA_META_RAFT_ENTRY_H
#define GEMINGA_META_RAFT_ENTRY_H

#include "runtime/bytes.h"

struct raft_payload {
    uint32_t refs;
    void (*release)(struct raft_payload *payload);  // the last reference was dropped
};

void raft_payload_init(struct raft_payload *payload, void (*release)(struct raft_payload *));
void raft_payload_hold(struct raft_payload *payload);  // NULL is allowed, as in drop
void raft_payload_drop(struct raft_payload *payload);

// A copy of bytes with a payload of its own and one reference. *copy points into it.
struct raft_payload *raft_payload_copy(struct rt_bytes bytes, struct rt_bytes *copy);

// A place in the log. Two logs that agree on one position agree on everything before it.
struct raft_position {
    uint64_t index;  // from 1; 0 is before the first entry
    uint64_t term;
};

bool raft_position_equal(struct raft_position a, struct raft_position b);
// "At least as up to date" of section 5.4.1: the later term wins, then the longer log.
bool raft_position_covers(struct raft_position a, struct raft_position b);

// The numbers are on disk and on the wire.
enum raft_entry_kind {
    RAFT_NOOP = 1,   // a leader's first entry; no data
    RAFT_DATA = 2,   // the state machine's
    RAFT_CONFIG = 3  // a raft_config, encoded (config.h)
};

struct raft_entry {
    struct raft_position at;
    enum raft_entry_kind kind;
    struct rt_bytes data;
    struct raft_payload *payload;  // keeps data alive
};

#endif
