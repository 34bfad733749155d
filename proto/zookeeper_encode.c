#include <assert.h>

#include "proto/zookeeper_layout.h"

static void write_int(struct rt_writer *w, int32_t value) {
    rt_write_be32(w, (uint32_t)value);
}

static void write_long(struct rt_writer *w, int64_t value) {
    rt_write_be64(w, (uint64_t)value);
}

static void write_bool(struct rt_writer *w, bool value) {
    rt_write_u8(w, value ? 1 : 0);
}

void proto_zk_data_size_encode(struct rt_bytes data, struct rt_writer *w) {
    assert(data.data || data.size == 0);
    assert(data.size <= INT32_MAX);
    write_int(w, data.data ? (int32_t)data.size : -1);
}

static void write_bytes(struct rt_writer *w, struct rt_bytes bytes) {
    proto_zk_data_size_encode(bytes, w);
    rt_write_bytes(w, bytes);
}

static void write_count(struct rt_writer *w, size_t count, bool is_null) {
    assert(count <= INT32_MAX && !(is_null && count > 0));
    write_int(w, is_null ? -1 : (int32_t)count);
}

static void write_strings(struct rt_writer *w, const struct proto_zk_strings *strings) {
    write_count(w, strings->count, strings->is_null);
    for (size_t i = 0; i < strings->count; i++) write_bytes(w, strings->items[i]);
}

static void write_id(struct rt_writer *w, const struct proto_zk_id *id) {
    write_bytes(w, id->scheme);
    write_bytes(w, id->id);
}

static void write_ids(struct rt_writer *w, const struct proto_zk_ids *ids) {
    write_count(w, ids->count, ids->is_null);
    for (size_t i = 0; i < ids->count; i++) write_id(w, &ids->items[i]);
}

static void write_acls(struct rt_writer *w, const struct proto_zk_acls *acls) {
    write_count(w, acls->count, acls->is_null);
    for (size_t i = 0; i < acls->count; i++) {
        write_int(w, acls->items[i].perms);
        write_id(w, &acls->items[i].id);
    }
}

void proto_zk_stat_encode(const struct proto_zk_stat *stat, struct rt_writer *w) {
    write_long(w, stat->czxid);
    write_long(w, stat->mzxid);
    write_long(w, stat->ctime_ms);
    write_long(w, stat->mtime_ms);
    write_int(w, stat->version);
    write_int(w, stat->cversion);
    write_int(w, stat->aversion);
    write_long(w, stat->ephemeral_owner);
    write_int(w, stat->data_size);
    write_int(w, stat->children);
    write_long(w, stat->pzxid);
}

static void write_fields(struct rt_writer *w, const struct zk_field *field, const void *record) {
    assert(field);  // an opcode of the table
    for (; field->type != ZK_FIELD_END; field++) {
        const void *at = (const char *)record + field->offset;
        switch (field->type) {
        case ZK_FIELD_END: break;
        case ZK_FIELD_BOOL: write_bool(w, *(const bool *)at); break;
        case ZK_FIELD_INT: write_int(w, *(const int32_t *)at); break;
        case ZK_FIELD_LONG: write_long(w, *(const int64_t *)at); break;
        case ZK_FIELD_BYTES: write_bytes(w, *(const struct rt_bytes *)at); break;
        case ZK_FIELD_STRINGS: write_strings(w, at); break;
        case ZK_FIELD_IDS: write_ids(w, at); break;
        case ZK_FIELD_ACLS: write_acls(w, at); break;
        case ZK_FIELD_STAT: proto_zk_stat_encode(at, w); break;
        }
    }
}

// HANDSHAKE

void proto_zk_connect_encode(const struct proto_zk_connect *connect, struct rt_writer *w) {
    write_int(w, connect->version);
    write_long(w, connect->last_zxid_seen);
    write_int(w, connect->timeout_ms);
    write_long(w, connect->session_id);
    write_bytes(w, connect->password);
    if (connect->has_read_only) write_bool(w, connect->read_only);
}

void proto_zk_connected_encode(const struct proto_zk_connected *connected, struct rt_writer *w) {
    write_int(w, connected->version);
    write_int(w, connected->timeout_ms);
    write_long(w, connected->session_id);
    write_bytes(w, RT_BYTES(connected->password, PROTO_ZK_PASSWORD_SIZE));
    if (connected->has_read_only) write_bool(w, connected->read_only);
}

// REQUESTS

static void write_multi_header(struct rt_writer *w, int32_t type, bool done, int32_t err) {
    write_int(w, type);
    write_bool(w, done);
    write_int(w, err);
}

static void multi_end(struct rt_writer *w) {
    write_multi_header(w, -1, true, -1);
}

static void write_ops(const struct proto_zk_request *request, struct rt_writer *w) {
    for (size_t i = 0; i < request->op_count; i++) {
        const struct proto_zk_op *op = &request->ops[i];
        const struct proto_zk_op_info *info = proto_zk_op_find(op->opcode);
        assert(info && info->uses & proto_zk_multi_use(request->op.opcode));
        write_multi_header(w, op->opcode, false, -1);
        proto_zk_op_encode(op, w);
    }
    multi_end(w);
}

void proto_zk_op_encode(const struct proto_zk_op *op, struct rt_writer *w) {
    assert(!proto_zk_opcode_is_multi(op->opcode));
    write_fields(w, proto_zk_request_layout(op->opcode), op);
}

void proto_zk_request_encode(const struct proto_zk_request *request, struct rt_writer *w) {
    write_int(w, request->xid);
    write_int(w, request->op.opcode);
    if (proto_zk_opcode_is_multi(request->op.opcode)) {
        write_ops(request, w);
    } else {
        proto_zk_op_encode(&request->op, w);
    }
}

// REPLIES

void proto_zk_reply_header_encode(const struct proto_zk_reply_header *header, struct rt_writer *w) {
    assert(proto_zk_err_is_sendable(header->err));
    write_int(w, header->xid);
    write_long(w, header->zxid);
    write_int(w, header->err);
}

int32_t proto_zk_result_opcode(const struct proto_zk_op *op) {
    switch (op->opcode) {
    case PROTO_ZK_OP_CREATE:
        return op->create.flags == PROTO_ZK_MODE_CONTAINER ? PROTO_ZK_OP_CREATE2 : op->opcode;
    case PROTO_ZK_OP_CREATE_CONTAINER:
    case PROTO_ZK_OP_CREATE_TTL: return PROTO_ZK_OP_CREATE2;
    default: return op->opcode;
    }
}

void proto_zk_result_encode(const struct proto_zk_result *result, struct rt_writer *w) {
    if (result->opcode == PROTO_ZK_RESULT_ERROR) {
        assert(proto_zk_err_is_sendable(result->err));
        write_multi_header(w, PROTO_ZK_RESULT_ERROR, false, result->err);
        write_int(w, result->err);
        return;
    }
    write_multi_header(w, result->opcode, false, 0);
    write_fields(w, proto_zk_reply_layout(result->opcode), &result->body);
}

void proto_zk_results_end(struct rt_writer *w) {
    multi_end(w);
}

void proto_zk_reply_encode(const struct proto_zk_reply *reply, int32_t opcode,
                           struct rt_writer *w) {
    proto_zk_reply_header_encode(&reply->header, w);
    if (reply->header.err) return;
    write_fields(w, proto_zk_reply_layout(opcode), &reply->body);
    if (!proto_zk_opcode_is_multi(opcode)) return;
    for (size_t i = 0; i < reply->result_count; i++) proto_zk_result_encode(&reply->results[i], w);
    proto_zk_results_end(w);
}

void proto_zk_event_encode(const struct proto_zk_event *event, int64_t zxid, struct rt_writer *w) {
    struct proto_zk_reply_header header = {.xid = PROTO_ZK_XID_EVENT, .zxid = zxid};
    proto_zk_reply_header_encode(&header, w);
    write_int(w, event->type);
    write_int(w, event->state);
    write_bytes(w, event->path);
}
