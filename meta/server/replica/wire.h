// Between the messages of the Raft core and their form on the wire (proto/raft.h). Pure.
#ifndef GEMINGA_META_SERVER_REPLICA_WIRE_H
#define GEMINGA_META_SERVER_REPLICA_WIRE_H

#include "meta/raft/raft.h"
#include "proto/raft.h"

// Appends to the frame.
void meta_wire_encode(uint64_t cluster, const struct raft_message *message, struct rt_buf *frame);
// What the message points to lies in the frame, which `payload` keeps alive, and in the arena.
// RT_EPROTO: malformed, or of another cluster.
RT_CHECK
rt_err meta_wire_decode(uint64_t cluster, struct rt_bytes frame, struct raft_payload *payload,
                        struct rt_arena *arena, struct raft_message *message);

#endif
