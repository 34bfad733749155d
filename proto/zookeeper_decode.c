#include <assert.h>
#include <string.h>

#include "proto/zookeeper_layout.h"

// Vectors are decoded without an arena to measure a multi: then they are walked and not kept.

static int32_t read_int(struct rt_reader *r) {
    return (int32_t)rt_read_be32(r);
}

static int64_t read_long(struct rt_reader *r) {
    return (int64_t)rt_read_be64(r);
}

static struct rt_bytes read_bytes(struct rt_reader *r) {
    int32_t size = read_int(r);
    if (size < -1) rt_reader_fail(r);
    return size < 0 ? RT_BYTES(NULL, 0) : rt_read_bytes(r, (size_t)size);
}

// No item is smaller than item_size, so no count that passes makes us allocate much more than the
// frame holds.
static size_t read_count(struct rt_reader *r, size_t item_size, bool *is_null) {
    int32_t count = read_int(r);
    *is_null = count == -1 && !rt_reader_failed(r);
    if (*is_null) return 0;
    if (count < 0 || (size_t)count > rt_reader_left(r) / item_size) rt_reader_fail(r);
    return rt_reader_failed(r) ? 0 : (size_t)count;
}

static void *vector_memory(struct rt_arena *arena, size_t count, size_t item_size) {
    return arena && count > 0 ? rt_arena_zero(arena, count, item_size) : NULL;
}

static struct proto_zk_strings read_strings(struct rt_reader *r, struct rt_arena *arena) {
    struct proto_zk_strings strings = {.count = 0};
    size_t count = read_count(r, sizeof(int32_t), &strings.is_null);
    struct rt_bytes *items = vector_memory(arena, count, sizeof(*items));
    for (size_t i = 0; i < count && !rt_reader_failed(r); i++) {
        struct rt_bytes item = read_bytes(r);
        if (items) items[i] = item;
    }
    strings.items = items;
    strings.count = items ? count : 0;
    return strings;
}

static struct proto_zk_id read_id(struct rt_reader *r) {
    struct proto_zk_id id;
    id.scheme = read_bytes(r);
    id.id = read_bytes(r);
    return id;
}

static struct proto_zk_ids read_ids(struct rt_reader *r, struct rt_arena *arena) {
    struct proto_zk_ids ids = {.count = 0};
    size_t count = read_count(r, 2 * sizeof(int32_t), &ids.is_null);
    struct proto_zk_id *items = vector_memory(arena, count, sizeof(*items));
    for (size_t i = 0; i < count && !rt_reader_failed(r); i++) {
        struct proto_zk_id item = read_id(r);
        if (items) items[i] = item;
    }
    ids.items = items;
    ids.count = items ? count : 0;
    return ids;
}

static struct proto_zk_acls read_acls(struct rt_reader *r, struct rt_arena *arena) {
    struct proto_zk_acls acls = {.count = 0};
    size_t count = read_count(r, 3 * sizeof(int32_t), &acls.is_null);
    struct proto_zk_acl *items = vector_memory(arena, count, sizeof(*items));
    for (size_t i = 0; i < count && !rt_reader_failed(r); i++) {
        struct proto_zk_acl item;
        item.perms = read_int(r);
        item.id = read_id(r);
        if (items) items[i] = item;
    }
    acls.items = items;
    acls.count = items ? count : 0;
    return acls;
}

static struct proto_zk_stat read_stat(struct rt_reader *r) {
    struct proto_zk_stat stat;
    stat.czxid = read_long(r);
    stat.mzxid = read_long(r);
    stat.ctime_ms = read_long(r);
    stat.mtime_ms = read_long(r);
    stat.version = read_int(r);
    stat.cversion = read_int(r);
    stat.aversion = read_int(r);
    stat.ephemeral_owner = read_long(r);
    stat.data_size = read_int(r);
    stat.children = read_int(r);
    stat.pzxid = read_long(r);
    return stat;
}

static void read_fields(struct rt_reader *r, const struct zk_field *field, struct rt_arena *arena,
                        void *record) {
    for (; field->type != ZK_FIELD_END; field++) {
        void *at = (char *)record + field->offset;
        switch (field->type) {
        case ZK_FIELD_END: break;
        case ZK_FIELD_BOOL: *(bool *)at = rt_read_u8(r) != 0; break;
        case ZK_FIELD_INT: *(int32_t *)at = read_int(r); break;
        case ZK_FIELD_LONG: *(int64_t *)at = read_long(r); break;
        case ZK_FIELD_BYTES: *(struct rt_bytes *)at = read_bytes(r); break;
        case ZK_FIELD_STRINGS: *(struct proto_zk_strings *)at = read_strings(r, arena); break;
        case ZK_FIELD_IDS: *(struct proto_zk_ids *)at = read_ids(r, arena); break;
        case ZK_FIELD_ACLS: *(struct proto_zk_acls *)at = read_acls(r, arena); break;
        case ZK_FIELD_STAT: *(struct proto_zk_stat *)at = read_stat(r); break;
        }
    }
}

// HANDSHAKE

rt_err proto_zk_connect_decode(struct rt_bytes payload, struct proto_zk_connect *connect) {
    struct rt_reader r = rt_reader_over(payload);
    *connect = (struct proto_zk_connect){.version = read_int(&r)};
    connect->last_zxid_seen = read_long(&r);
    connect->timeout_ms = read_int(&r);
    connect->session_id = read_long(&r);
    connect->password = read_bytes(&r);
    connect->has_read_only = rt_reader_left(&r) > 0;
    if (connect->has_read_only) connect->read_only = rt_read_u8(&r) != 0;
    return rt_reader_failed(&r) ? RT_EPROTO : RT_OK;
}

rt_err proto_zk_connected_decode(struct rt_bytes payload, struct proto_zk_connected *connected) {
    struct rt_reader r = rt_reader_over(payload);
    *connected = (struct proto_zk_connected){.version = read_int(&r)};
    connected->timeout_ms = read_int(&r);
    connected->session_id = read_long(&r);
    struct rt_bytes password = read_bytes(&r);
    if (rt_reader_failed(&r) || password.size != PROTO_ZK_PASSWORD_SIZE) return RT_EPROTO;
    memcpy(connected->password, password.data, password.size);
    connected->has_read_only = rt_reader_left(&r) > 0;
    if (connected->has_read_only) connected->read_only = rt_read_u8(&r) != 0;
    return RT_OK;
}

// MULTI

struct multi_header {
    int32_t type;
    bool done;
};

// The third field says what the type and the record say as well.
static struct multi_header read_multi_header(struct rt_reader *r) {
    struct multi_header header;
    header.type = read_int(r);
    header.done = rt_read_u8(r) != 0;
    (void)rt_read_be32(r);
    return header;
}

// Reads one operation; false at the end and at a failure. An opcode that this multi cannot have
// fails the reader: without its layout nothing behind it can be found.
static bool multi_op_read(struct rt_reader *r, enum proto_zk_use use, struct rt_arena *arena,
                          struct proto_zk_op *op) {
    struct multi_header header = read_multi_header(r);
    if (header.done || rt_reader_failed(r)) return false;
    const struct proto_zk_op_info *info = proto_zk_op_find(header.type);
    if (!info || !(info->uses & use)) {
        rt_reader_fail(r);
        return false;
    }
    op->opcode = header.type;
    read_fields(r, proto_zk_request_layout(header.type), arena, op);
    return !rt_reader_failed(r);
}

// Counts first, so that the operations lie in one piece and nothing is allocated for a frame that
// turns out to be malformed.
static void multi_read(struct rt_reader *r, struct rt_arena *arena,
                       struct proto_zk_request *request) {
    enum proto_zk_use use = proto_zk_multi_use(request->op.opcode);
    struct rt_reader ahead = *r;
    struct proto_zk_op measured;
    size_t count = 0;
    while (multi_op_read(&ahead, use, NULL, &measured)) count++;
    if (rt_reader_failed(&ahead)) rt_reader_fail(r);
    if (rt_reader_failed(r) || count == 0) return;
    struct proto_zk_op *ops = rt_arena_zero(arena, count, sizeof(*ops));
    for (size_t i = 0; i < count; i++) {
        bool again = multi_op_read(r, use, arena, &ops[i]);
        assert(again);
    }
    request->ops = ops;
    request->op_count = count;
}

// REQUESTS

rt_err proto_zk_op_decode(struct rt_reader *r, struct rt_arena *arena, struct proto_zk_op *op) {
    assert(!proto_zk_opcode_is_multi(op->opcode));
    const struct zk_field *layout = proto_zk_request_layout(op->opcode);
    if (!layout) return RT_EUNSUPPORTED;
    int32_t opcode = op->opcode;
    memset(op, 0, sizeof(*op));  // all members of the union
    op->opcode = opcode;
    read_fields(r, layout, arena, op);
    return rt_reader_failed(r) ? RT_EINVAL : RT_OK;
}

rt_err proto_zk_request_decode(struct rt_bytes payload, struct rt_arena *arena,
                               struct proto_zk_request *request) {
    memset(request, 0, sizeof(*request));
    struct rt_reader r = rt_reader_over(payload);
    request->xid = read_int(&r);
    request->op.opcode = read_int(&r);
    if (rt_reader_failed(&r)) return RT_EPROTO;
    const struct proto_zk_op_info *info = proto_zk_op_find(request->op.opcode);
    if (!info || !(info->uses & PROTO_ZK_ALONE)) return RT_EUNSUPPORTED;
    if (!proto_zk_opcode_is_multi(info->code)) return proto_zk_op_decode(&r, arena, &request->op);
    multi_read(&r, arena, request);
    return rt_reader_failed(&r) ? RT_EINVAL : RT_OK;
}

// REPLIES

rt_err proto_zk_reply_header_decode(struct rt_reader *r, struct proto_zk_reply_header *header) {
    header->xid = read_int(r);
    header->zxid = read_long(r);
    header->err = read_int(r);
    return rt_reader_failed(r) ? RT_EPROTO : RT_OK;
}

static bool result_read(struct rt_reader *r, enum proto_zk_use use, struct rt_arena *arena,
                        struct proto_zk_result *result) {
    struct multi_header header = read_multi_header(r);
    if (header.done || rt_reader_failed(r)) return false;
    result->opcode = header.type;
    if (header.type == PROTO_ZK_RESULT_ERROR) {
        result->err = read_int(r);
        return !rt_reader_failed(r);
    }
    const struct proto_zk_op_info *info = proto_zk_op_find(header.type);
    if (!info || !(info->uses & use)) {
        rt_reader_fail(r);
        return false;
    }
    read_fields(r, proto_zk_reply_layout(header.type), arena, &result->body);
    return !rt_reader_failed(r);
}

static void results_read(struct rt_reader *r, enum proto_zk_use use, struct rt_arena *arena,
                         struct proto_zk_reply *reply) {
    struct rt_reader ahead = *r;
    struct proto_zk_result measured;
    size_t count = 0;
    while (result_read(&ahead, use, NULL, &measured)) count++;
    if (rt_reader_failed(&ahead)) rt_reader_fail(r);
    if (rt_reader_failed(r) || count == 0) return;
    struct proto_zk_result *results = rt_arena_zero(arena, count, sizeof(*results));
    for (size_t i = 0; i < count; i++) {
        bool again = result_read(r, use, arena, &results[i]);
        assert(again);
    }
    reply->results = results;
    reply->result_count = count;
}

rt_err proto_zk_reply_body_decode(struct rt_reader *r, int32_t opcode, struct rt_arena *arena,
                                  struct proto_zk_reply *reply) {
    const struct zk_field *layout = proto_zk_reply_layout(opcode);
    assert(layout);  // of a request that we sent
    reply->body = (struct proto_zk_body){.number = 0};
    reply->results = NULL;
    reply->result_count = 0;
    read_fields(r, layout, arena, &reply->body);
    if (proto_zk_opcode_is_multi(opcode)) {
        results_read(r, proto_zk_multi_use(opcode), arena, reply);
    }
    return rt_reader_failed(r) ? RT_EPROTO : RT_OK;
}

rt_err proto_zk_reply_decode(struct rt_bytes payload, int32_t opcode, struct rt_arena *arena,
                             struct proto_zk_reply *reply) {
    *reply = (struct proto_zk_reply){.result_count = 0};
    struct rt_reader r = rt_reader_over(payload);
    rt_err err = proto_zk_reply_header_decode(&r, &reply->header);
    if (err || reply->header.err) return err;
    return proto_zk_reply_body_decode(&r, opcode, arena, reply);
}

rt_err proto_zk_event_decode(struct rt_reader *r, struct proto_zk_event *event) {
    event->type = read_int(r);
    event->state = read_int(r);
    event->path = read_bytes(r);
    return rt_reader_failed(r) ? RT_EPROTO : RT_OK;
}
