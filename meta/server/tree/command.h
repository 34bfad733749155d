// What goes through the Raft log: one command in each RAFT_DATA entry.
//
// Everything that decides the outcome is in the entry (who asks, with which authenticated ids, when
// by the leader's clock, under which settings of the server that took the request), so that
// applying it is a function of tree and entry and comes out the same on every node.
//
// COMMAND (big-endian)
//   OFFSET  SIZE  FIELD
//        0     1  version, 1
//        1     1  kind
//        2     2  flags
//        4     8  time: ms since 1970, filled in by the leader (meta_command_stamp); never falls
//       12     8  origin: node that took the request; 0: nobody waits
//       20     8  ticket: the origin's number for it; unique over the origin's restarts
//       28     8  session
//       36     8  attachment of that session (store.h); CLOSE_SESSION: 0 for any
//       44     *  by kind:
// REQUEST        count of ids (u32), each scheme and id (u32 size and bytes); then the client's
//                request payload as it came, xid and opcode included
// OPEN_SESSION   timeout ms (u32), password (16); `session` is the id wanted
// ATTACH_SESSION timeout ms (u32), password (16)
// CLOSE_SESSION  nothing
// REAP           czxid (u64), mzxid (u64), path (u32 size and bytes): a container or TTL node that
// the
//                leader found due; removed if it is still that node, unchanged and childless
// Valid: a known version, kind and flags, and nothing behind the last field.
#ifndef GEMINGA_META_SERVER_TREE_COMMAND_H
#define GEMINGA_META_SERVER_TREE_COMMAND_H

#include "proto/zookeeper.h"

enum meta_command_kind {
    META_REQUEST = 1,
    META_OPEN_SESSION = 2,
    META_ATTACH_SESSION = 3,
    META_CLOSE_SESSION = 4,
    META_REAP = 5
};

// Settings of the origin that decide outcomes.
enum meta_command_flags {
    META_SKIP_ACL = 1 << 0,
    META_EXTENDED_TYPES = 1 << 1,  // TTL nodes may be created
    META_ENFORCE_QUOTA = 1 << 2
};

enum { META_COMMAND_VERSION = 1, META_COMMAND_HEADER_SIZE = 44 };

struct meta_command {
    enum meta_command_kind kind;
    unsigned flags;
    int64_t time_ms;
    uint64_t origin, ticket;
    int64_t session;
    uint64_t attachment;
    union {
        struct {
            struct proto_zk_ids ids;  // authenticated, of the connection; {"super",""} passes all
            struct rt_bytes payload;
        } request;
        struct {
            int32_t timeout_ms;
            uint8_t password[PROTO_ZK_PASSWORD_SIZE];
        } open;  // ATTACH_SESSION too
        struct {
            int64_t czxid, mzxid;
            struct rt_bytes path;
        } reap;
    };
};

void meta_command_encode(const struct meta_command *command, struct rt_writer *w);
void meta_command_stamp(uint8_t *encoded, int64_t time_ms);  // in place
// Borrows from the bytes, ids lie in the arena. RT_ECORRUPT: not a command.
RT_CHECK
rt_err meta_command_decode(struct rt_bytes bytes, struct rt_arena *arena,
                           struct meta_command *command);

#endif
