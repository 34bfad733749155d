// Bytes from a metadata client or server: whatever decodes, encodes to bytes that decode to the
// same. The first byte of the input says as what the rest is read.
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/zookeeper.h"
#include "proto/zookeeper_path.h"
#include "tests/fuzz/fuzz.h"

static const int32_t opcodes[] = {
#define OP_CODE(id, code, ...) code,
    PROTO_ZK_OPS(OP_CODE)};
enum { OPCODES = sizeof(opcodes) / sizeof(opcodes[0]) };

// Decodes, then encodes at the end of `out`; false if the bytes are malformed.
typedef bool pass(struct rt_bytes bytes, int32_t opcode, struct rt_buf *out);

static bool request_pass(struct rt_bytes bytes, int32_t opcode, struct rt_buf *out) {
    (void)opcode;
    struct rt_arena arena = {0};
    struct proto_zk_request request;
    rt_err err = proto_zk_request_decode(bytes, &arena, &request);
    assert(err != RT_EPROTO || bytes.size < 8);
    struct rt_writer w = rt_writer_into(out);
    if (!err) proto_zk_request_encode(&request, &w);
    rt_arena_fini(&arena);
    return !err;
}

static bool op_pass(struct rt_bytes bytes, int32_t opcode, struct rt_buf *out) {
    if (opcode == PROTO_ZK_OP_MULTI || opcode == PROTO_ZK_OP_MULTI_READ) return false;
    struct rt_arena arena = {0};
    struct proto_zk_op op = {.opcode = opcode};
    struct rt_reader r = rt_reader_over(bytes);
    rt_err err = proto_zk_op_decode(&r, &arena, &op);
    struct rt_writer w = rt_writer_into(out);
    if (!err) proto_zk_op_encode(&op, &w);
    rt_arena_fini(&arena);
    return !err;
}

static bool errors_are_sendable(const struct proto_zk_reply *reply) {
    for (size_t i = 0; i < reply->result_count; i++) {
        if (!proto_zk_err_is_sendable(reply->results[i].err)) return false;
    }
    return proto_zk_err_is_sendable(reply->header.err);
}

static bool reply_pass(struct rt_bytes bytes, int32_t opcode, struct rt_buf *out) {
    struct rt_arena arena = {0};
    struct proto_zk_reply reply;
    rt_err err = proto_zk_reply_decode(bytes, opcode, &arena, &reply);
    bool encodes = !err && errors_are_sendable(&reply);
    struct rt_writer w = rt_writer_into(out);
    if (encodes) proto_zk_reply_encode(&reply, opcode, &w);
    rt_arena_fini(&arena);
    return encodes;
}

static bool connect_pass(struct rt_bytes bytes, int32_t opcode, struct rt_buf *out) {
    (void)opcode;
    struct proto_zk_connect connect;
    if (proto_zk_connect_decode(bytes, &connect)) return false;
    struct rt_writer w = rt_writer_into(out);
    proto_zk_connect_encode(&connect, &w);
    return true;
}

static bool connected_pass(struct rt_bytes bytes, int32_t opcode, struct rt_buf *out) {
    (void)opcode;
    struct proto_zk_connected connected;
    if (proto_zk_connected_decode(bytes, &connected)) return false;
    struct rt_writer w = rt_writer_into(out);
    proto_zk_connected_encode(&connected, &w);
    return true;
}

static bool event_pass(struct rt_bytes bytes, int32_t opcode, struct rt_buf *out) {
    (void)opcode;
    struct rt_reader r = rt_reader_over(bytes);
    struct proto_zk_reply_header header;
    struct proto_zk_event event;
    if (proto_zk_reply_header_decode(&r, &header)) return false;
    if (proto_zk_event_decode(&r, &event)) return false;
    struct rt_writer w = rt_writer_into(out);
    proto_zk_event_encode(&event, header.zxid, &w);
    return true;
}

static void check(pass *run, struct rt_bytes bytes, int32_t opcode) {
    struct rt_buf first = {0};
    struct rt_buf second = {0};
    if (run(bytes, opcode, &first)) {
        assert(first.size <= bytes.size);
        bool again = run(rt_buf_bytes(&first), opcode, &second);
        assert(again && rt_bytes_equal(rt_buf_bytes(&first), rt_buf_bytes(&second)));
    }
    rt_buf_fini(&first);
    rt_buf_fini(&second);
}

static void check_path(struct rt_bytes path) {
    enum proto_zk_path_fault fault = proto_zk_path_check(path);
    if (!proto_zk_path_is_splittable(path)) {
        assert(fault);
        return;
    }
    struct rt_bytes parent = proto_zk_path_parent(path);
    struct rt_bytes name = proto_zk_path_name(path);
    assert(parent.size + name.size <= path.size);
    if (!fault) assert(proto_zk_path_check(parent) == PROTO_ZK_PATH_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    size_t left = size - 1;
    uint8_t *copy = malloc(left ? left : 1);  // with nothing behind it
    if (!copy) abort();
    memcpy(copy, data + 1, left);
    struct rt_bytes bytes = RT_BYTES(copy, left);
    unsigned selector = data[0];
    check(request_pass, bytes, 0);
    check(op_pass, bytes, opcodes[selector % OPCODES]);
    check(reply_pass, bytes, opcodes[selector % OPCODES]);
    check(connect_pass, bytes, 0);
    check(connected_pass, bytes, 0);
    check(event_pass, bytes, 0);
    check_path(bytes);
    free(copy);
    return 0;
}
