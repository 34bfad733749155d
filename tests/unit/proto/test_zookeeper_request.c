#include <criterion/criterion.h>

#include "tests/unit/proto/zookeeper_samples.h"

Test(proto_zookeeper_request, requests_have_exactly_these_bytes) {
    for (size_t i = 0; i < request_sample_count; i++) {
        struct rt_buf expected = hex_bytes(request_samples[i].hex);
        struct rt_buf actual = request_bytes(&request_samples[i].request);
        cr_assert(rt_bytes_equal(rt_buf_bytes(&actual), rt_buf_bytes(&expected)), "sample %zu", i);
        rt_buf_fini(&actual);
        rt_buf_fini(&expected);
    }
}

Test(proto_zookeeper_request, requests_decode_to_what_encodes_to_the_same_bytes) {
    for (size_t i = 0; i < request_sample_count; i++) {
        struct rt_buf bytes = hex_bytes(request_samples[i].hex);
        struct rt_arena arena = {0};
        struct proto_zk_request request;
        rt_err err = proto_zk_request_decode(rt_buf_bytes(&bytes), &arena, &request);
        cr_assert_eq(err, RT_OK, "sample %zu: %s", i, rt_err_name(err));
        struct rt_buf again = request_bytes(&request);
        cr_assert(rt_bytes_equal(rt_buf_bytes(&again), rt_buf_bytes(&bytes)), "sample %zu", i);
        rt_buf_fini(&again);
        rt_arena_fini(&arena);
        rt_buf_fini(&bytes);
    }
}

Test(proto_zookeeper_request, every_opcode_for_clients_has_a_sample){
#define COUNT_SAMPLES(id, code, ...)                                                     \
    {                                                                                    \
        size_t samples = 0;                                                              \
        for (size_t i = 0; i < request_sample_count; i++)                                \
            samples += request_samples[i].request.op.opcode == (code);                   \
        bool alone = proto_zk_op_find(code)->uses & PROTO_ZK_ALONE;                      \
        cr_assert_eq(samples > 0, alone, "%s has %zu", proto_zk_op_name(code), samples); \
    }
    PROTO_ZK_OPS(COUNT_SAMPLES)}

Test(proto_zookeeper_request, bytes_behind_a_record_are_ignored) {
    for (size_t i = 0; i < request_sample_count; i++) {
        struct rt_buf bytes = hex_bytes(request_samples[i].hex);
        size_t size = bytes.size;
        hex_append(&bytes, "ff00ff");
        struct rt_arena arena = {0};
        struct proto_zk_request request;
        cr_assert_eq(proto_zk_request_decode(rt_buf_bytes(&bytes), &arena, &request), RT_OK);
        struct rt_buf again = request_bytes(&request);
        cr_assert(rt_bytes_equal(rt_buf_bytes(&again), RT_BYTES(bytes.data, size)));
        rt_buf_fini(&again);
        rt_arena_fini(&arena);
        rt_buf_fini(&bytes);
    }
}

Test(proto_zookeeper_request, null_and_empty_stay_different) {
    struct rt_buf bytes = hex_bytes(
        "00000001 0000000f 00000000 ffffffff ffffffff 00000000"
        "00000001 0000000f ffffffff 00000000 00000000 00000000");
    struct rt_arena arena = {0};
    struct proto_zk_request request;
    cr_assert_eq(proto_zk_request_decode(RT_BYTES(bytes.data, 24), &arena, &request), RT_OK);
    cr_assert(request.op.create.path.data && !request.op.create.data.data);
    cr_assert(request.op.create.acl.is_null);
    cr_assert_eq(proto_zk_request_decode(RT_BYTES(bytes.data + 24, 24), &arena, &request), RT_OK);
    cr_assert(!request.op.create.path.data && request.op.create.data.data);
    cr_assert_eq(request.op.create.data.size, 0);
    cr_assert_not(request.op.create.acl.is_null);
    rt_arena_fini(&arena);
    rt_buf_fini(&bytes);
}

Test(proto_zookeeper_request, decoded_fields_are_where_they_belong) {
    struct rt_buf bytes = hex_bytes(
        "00000001 00000015 00000002 2f61 00000001 78 00000001 80000001 00000002 6970 00000001 2a"
        "00000005 0000000000000009");
    struct rt_arena arena = {0};
    struct proto_zk_request request;
    cr_assert_eq(proto_zk_request_decode(rt_buf_bytes(&bytes), &arena, &request), RT_OK);
    cr_assert_eq(request.xid, 1);
    cr_assert_eq(request.op.opcode, PROTO_ZK_OP_CREATE_TTL);
    cr_assert(rt_bytes_equal(request.op.create.path, RT_BYTES_LITERAL("/a")));
    cr_assert(rt_bytes_equal(request.op.create.data, RT_BYTES_LITERAL("x")));
    cr_assert_eq(request.op.create.acl.count, 1);
    cr_assert_eq(request.op.create.acl.items[0].perms, INT32_MIN + 1);
    cr_assert(rt_bytes_equal(request.op.create.acl.items[0].id.scheme, RT_BYTES_LITERAL("ip")));
    cr_assert(rt_bytes_equal(request.op.create.acl.items[0].id.id, RT_BYTES_LITERAL("*")));
    cr_assert_eq(request.op.create.flags, 5);
    cr_assert_eq(request.op.create.ttl_ms, 9);
    cr_assert(request.op.create.path.data == bytes.data + 12, "strings borrow from the frame");
    rt_arena_fini(&arena);
    rt_buf_fini(&bytes);
}

#define CONNECT_HEX                                                \
    "00000000 0000000000000102 00007530 0100000000000003 00000010" \
    "000102030405060708090a0b0c0d0e0f"

static void check_connect(const char *hex, struct proto_zk_connect *connect) {
    struct rt_buf bytes = hex_bytes(hex);
    cr_assert_eq(proto_zk_connect_decode(rt_buf_bytes(&bytes), connect), RT_OK);
    struct rt_buf again = {0};
    struct rt_writer w = rt_writer_into(&again);
    proto_zk_connect_encode(connect, &w);
    cr_assert(rt_bytes_equal(rt_buf_bytes(&again), rt_buf_bytes(&bytes)));
    rt_buf_fini(&again);
    rt_buf_fini(&bytes);
}

Test(proto_zookeeper_request, handshake_has_45_bytes_or_44_without_read_only) {
    struct proto_zk_connect connect;
    check_connect(CONNECT_HEX "01", &connect);
    cr_assert(connect.has_read_only && connect.read_only);
    cr_assert_eq(connect.last_zxid_seen, 0x102);
    cr_assert_eq(connect.timeout_ms, 30000);
    cr_assert_eq(connect.session_id, 0x0100000000000003);
    cr_assert_eq(connect.password.size, PROTO_ZK_PASSWORD_SIZE);
    check_connect(CONNECT_HEX, &connect);
    cr_assert_not(connect.has_read_only || connect.read_only);
}

Test(proto_zookeeper_request, first_handshake_may_have_no_password) {
    struct proto_zk_connect connect;
    check_connect("00000000 0000000000000000 00007530 0000000000000000 ffffffff 00", &connect);
    cr_assert_null(connect.password.data);
    cr_assert(connect.has_read_only);
    check_connect("00000000 0000000000000000 00007530 0000000000000000 00000000", &connect);
    cr_assert_not_null(connect.password.data);
    cr_assert_not(connect.has_read_only);
}
