// The state machine: applies one committed command to the store and says what came of it.
//
// Apply is total: whatever the bytes of a committed entry are, it yields an outcome, and the same
// one on every node. It reads no clock and no setting of this node; time and settings come with the
// command. zxid is the log index. When the disk fails, the store remembers that
// (meta_store_failure): the outcome means nothing then and nobody may hear of it.
//
// The order in which errors are found is that of section 11 of the protocol sheet; tests of the
// real ZooKeeper compare it.
#ifndef GEMINGA_META_SERVER_TREE_APPLY_H
#define GEMINGA_META_SERVER_TREE_APPLY_H

#include "meta/server/tree/command.h"
#include "meta/server/tree/store.h"

// What happened to a node, for those who watch. In the order of the changes.
struct meta_change {
    enum proto_zk_event_type type;  // NODE_CREATED, NODE_DELETED or NODE_DATA_CHANGED
    struct rt_bytes path;
    struct rt_bytes acl;         // of the node (before its deletion), as stored
    struct rt_bytes parent_acl;  // created, deleted: the parent's children changed as well
};

enum meta_verdict {
    META_ANSWERED,         // reply is what the client gets
    META_SESSION_OPENED,   // `session` is in the store now; attachment is the entry's index
    META_SESSION_REFUSED,  // open or attach: id in use, unknown, or wrong password
    META_SESSION_CLOSED,   // by a CLOSE_SESSION; reply is that to the client's closeSession
    META_SESSION_MOVED,    // the request came over an older attachment: close that connection
    META_IGNORED           // nothing to answer: no-op, reap, close of a session that moved on
};

// Lies in the arena that was given to apply.
struct meta_outcome {
    enum meta_verdict verdict;
    uint64_t origin, ticket;  // whose request
    int64_t session;
    int64_t zxid;
    int32_t opcode;               // of the request; closeSession for CLOSE_SESSION
    struct proto_zk_reply reply;  // xid as the client sent it; err -112 for a session that is gone
    const struct meta_change *changes;
    size_t change_count;
};

// A new tree gets its built-in nodes. Idempotent.
void meta_apply_genesis(struct meta_store *store);

// `data` are the bytes of a RAFT_DATA entry. Sets the applied position of the store.
void meta_apply(struct meta_store *store, struct meta_position at, struct rt_bytes data,
                struct rt_arena *arena, struct meta_outcome *outcome);
// A no-op entry.
void meta_apply_nothing(struct meta_store *store, struct meta_position at);
// Another configuration came into force: it becomes the data of /zookeeper/config (empty: stays
// empty, as on a standalone server), and its watchers hear of it.
void meta_apply_config(struct meta_store *store, struct meta_position at, struct rt_bytes text,
                       struct rt_arena *arena, struct meta_outcome *outcome);

#endif
