#include "proto/zookeeper_layout.h"

#include <assert.h>

#define END \
    { .type = ZK_FIELD_END }

#define OP(field, member) \
    { .type = ZK_FIELD_##field, .offset = offsetof(struct proto_zk_op, member) }

static const struct zk_field request_nothing[] = {END};
static const struct zk_field request_path[] = {OP(BYTES, path), END};
static const struct zk_field request_token[] = {OP(BYTES, token), END};
static const struct zk_field request_create[] = {
    OP(BYTES, create.path),
    OP(BYTES, create.data),
    OP(ACLS, create.acl),
    OP(INT, create.flags),
    END,
};
static const struct zk_field request_create_ttl[] = {
    OP(BYTES, create.path), OP(BYTES, create.data),  OP(ACLS, create.acl),
    OP(INT, create.flags),  OP(LONG, create.ttl_ms), END,
};
static const struct zk_field request_path_version[] = {OP(BYTES, versioned.path),
                                                       OP(INT, versioned.version), END};
static const struct zk_field request_path_watch[] = {OP(BYTES, read.path), OP(BOOL, read.watch),
                                                     END};
static const struct zk_field request_set_data[] = {
    OP(BYTES, set_data.path), OP(BYTES, set_data.data), OP(INT, set_data.version), END};
static const struct zk_field request_set_acl[] = {OP(BYTES, set_acl.path), OP(ACLS, set_acl.acl),
                                                  OP(INT, set_acl.version), END};
static const struct zk_field request_path_type[] = {OP(BYTES, watch.path), OP(INT, watch.type),
                                                    END};
static const struct zk_field request_set_watches[] = {
    OP(LONG, set_watches.relative_zxid),
    OP(STRINGS, set_watches.data),
    OP(STRINGS, set_watches.exist),
    OP(STRINGS, set_watches.child),
    END,
};
static const struct zk_field request_set_watches2[] = {
    OP(LONG, set_watches.relative_zxid),
    OP(STRINGS, set_watches.data),
    OP(STRINGS, set_watches.exist),
    OP(STRINGS, set_watches.child),
    OP(STRINGS, set_watches.persistent),
    OP(STRINGS, set_watches.persistent_recursive),
    END,
};
static const struct zk_field request_auth[] = {OP(INT, auth.type), OP(BYTES, auth.scheme),
                                               OP(BYTES, auth.auth), END};
static const struct zk_field request_reconfig[] = {
    OP(BYTES, reconfig.joining),
    OP(BYTES, reconfig.leaving),
    OP(BYTES, reconfig.members),
    OP(LONG, reconfig.config_id),
    END,
};

#define BODY(field, member) \
    { .type = ZK_FIELD_##field, .offset = offsetof(struct proto_zk_body, member) }

static const struct zk_field reply_nothing[] = {END};
static const struct zk_field reply_path[] = {BODY(BYTES, path), END};
static const struct zk_field reply_path_stat[] = {BODY(BYTES, path), BODY(STAT, stat), END};
static const struct zk_field reply_data[] = {BODY(BYTES, data), END};
static const struct zk_field reply_data_stat[] = {BODY(BYTES, data), BODY(STAT, stat), END};
static const struct zk_field reply_stat[] = {BODY(STAT, stat), END};
static const struct zk_field reply_names[] = {BODY(STRINGS, names), END};
static const struct zk_field reply_names_stat[] = {BODY(STRINGS, names), BODY(STAT, stat), END};
static const struct zk_field reply_acl_stat[] = {BODY(ACLS, acl), BODY(STAT, stat), END};
static const struct zk_field reply_ids[] = {BODY(IDS, ids), END};
static const struct zk_field reply_number[] = {BODY(INT, number), END};

const struct zk_field *proto_zk_request_layout(int32_t opcode) {
#define REQUEST_CASE(id, code, name, kind, use, request, reply) \
    case code: return request_##request;
    switch (opcode) { PROTO_ZK_OPS(REQUEST_CASE) }
    return NULL;
}

const struct zk_field *proto_zk_reply_layout(int32_t opcode) {
#define REPLY_CASE(id, code, name, kind, use, request, reply) \
    case code: return reply_##reply;
    switch (opcode) { PROTO_ZK_OPS(REPLY_CASE) }
    return NULL;
}

bool proto_zk_opcode_is_multi(int32_t opcode) {
    return opcode == PROTO_ZK_OP_MULTI || opcode == PROTO_ZK_OP_MULTI_READ;
}

enum proto_zk_use proto_zk_multi_use(int32_t opcode) {
    assert(proto_zk_opcode_is_multi(opcode));
    return opcode == PROTO_ZK_OP_MULTI ? PROTO_ZK_IN_MULTI : PROTO_ZK_IN_MULTI_READ;
}
