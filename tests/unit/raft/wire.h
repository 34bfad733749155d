// Between the core's messages and the frames of proto/raft.h.
#ifndef GEMINGA_TESTS_UNIT_RAFT_WIRE_H
#define GEMINGA_TESTS_UNIT_RAFT_WIRE_H

#include "meta/raft/message.h"
#include "proto/raft.h"

enum { WIRE_CLUSTER = 77 };

void wire_encode(const struct raft_message *message, struct rt_buf *frame);
// Payloads point into the frame and belong to `payload`, which the message does not hold.
RT_CHECK
rt_err wire_decode(struct rt_bytes frame, struct raft_payload *payload, struct rt_arena *arena,
                   struct raft_message *message);

#endif
