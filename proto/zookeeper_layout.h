// The fields of each request and reply, in wire order: what decoder and encoder both walk.
// Private to proto/.
#ifndef GEMINGA_PROTO_ZOOKEEPER_LAYOUT_H
#define GEMINGA_PROTO_ZOOKEEPER_LAYOUT_H

#include "proto/zookeeper.h"

enum zk_field_type {
    ZK_FIELD_END,
    ZK_FIELD_BOOL,
    ZK_FIELD_INT,
    ZK_FIELD_LONG,
    ZK_FIELD_BYTES,
    ZK_FIELD_STRINGS,
    ZK_FIELD_IDS,
    ZK_FIELD_ACLS,
    ZK_FIELD_STAT
};

struct zk_field {
    enum zk_field_type type;
    size_t offset;  // in struct proto_zk_op for a request, in struct proto_zk_body for a reply
};

// Each ends with ZK_FIELD_END. NULL: no such opcode.
const struct zk_field *proto_zk_request_layout(int32_t opcode);
const struct zk_field *proto_zk_reply_layout(int32_t opcode);

// multi and multiRead have no layout of their own (an empty one): repeated headers and records.
bool proto_zk_opcode_is_multi(int32_t opcode);
// Which use an opcode must have to be part of this multi.
enum proto_zk_use proto_zk_multi_use(int32_t opcode);

#endif
