#include <criterion/criterion.h>

#include "runtime/mem.h"
#include "tests/unit/proto/zookeeper_samples.h"

static rt_err decode_request(struct rt_bytes payload) {
    struct rt_arena arena = {0};
    struct proto_zk_request request;
    struct rt_bytes copy = exact_copy(payload);
    rt_err err = proto_zk_request_decode(copy, &arena, &request);
    rt_free((void *)(uintptr_t)copy.data);
    rt_arena_fini(&arena);
    return err;
}

static rt_err decode_reply(struct rt_bytes payload, int32_t opcode) {
    struct rt_arena arena = {0};
    struct proto_zk_reply reply;
    struct rt_bytes copy = exact_copy(payload);
    rt_err err = proto_zk_reply_decode(copy, opcode, &arena, &reply);
    rt_free((void *)(uintptr_t)copy.data);
    rt_arena_fini(&arena);
    return err;
}

static rt_err decode_request_hex(const char *hex) {
    struct rt_buf bytes = hex_bytes(hex);
    rt_err err = decode_request(rt_buf_bytes(&bytes));
    rt_buf_fini(&bytes);
    return err;
}

Test(proto_zookeeper_hostile, every_truncated_request_fails) {
    for (size_t i = 0; i < request_sample_count; i++) {
        struct rt_buf bytes = hex_bytes(request_samples[i].hex);
        for (size_t size = 0; size < bytes.size; size++) {
            rt_err err = decode_request(RT_BYTES(bytes.data, size));
            cr_assert_eq(err, size < 8 ? RT_EPROTO : RT_EINVAL, "sample %zu at %zu", i, size);
        }
        rt_buf_fini(&bytes);
    }
}

Test(proto_zookeeper_hostile, every_truncated_reply_fails) {
    for (size_t i = 0; i < reply_sample_count; i++) {
        struct rt_buf bytes = hex_bytes(reply_samples[i].hex);
        for (size_t size = 0; size < bytes.size; size++) {
            rt_err err = decode_reply(RT_BYTES(bytes.data, size), reply_samples[i].opcode);
            cr_assert_eq(err, RT_EPROTO, "sample %zu at %zu", i, size);
        }
        rt_buf_fini(&bytes);
    }
}

Test(proto_zookeeper_hostile, every_truncated_handshake_fails) {
    uint8_t request[45] = {[27] = 16};
    uint8_t reply[37] = {[19] = 16};
    struct proto_zk_connect connect;
    struct proto_zk_connected connected;
    for (size_t size = 0; size < 44; size++) {
        struct rt_bytes copy = exact_copy(RT_BYTES(request, size));
        cr_assert_eq(proto_zk_connect_decode(copy, &connect), RT_EPROTO, "at %zu", size);
        rt_free((void *)(uintptr_t)copy.data);
    }
    for (size_t size = 0; size < 36; size++) {
        struct rt_bytes copy = exact_copy(RT_BYTES(reply, size));
        cr_assert_eq(proto_zk_connected_decode(copy, &connected), RT_EPROTO, "at %zu", size);
        rt_free((void *)(uintptr_t)copy.data);
    }
}

Test(proto_zookeeper_hostile, handshake_reply_needs_a_password_of_16_bytes) {
    struct rt_buf bytes = hex_bytes("00000000 00007530 0100000000000003 00000001 00");
    struct proto_zk_connected connected;
    cr_assert_eq(proto_zk_connected_decode(rt_buf_bytes(&bytes), &connected), RT_EPROTO);
    rt_buf_fini(&bytes);
}

Test(proto_zookeeper_hostile, truncated_event_fails) {
    struct rt_buf bytes = hex_bytes("00000002 00000003 00000002 2f61");
    struct proto_zk_event event;
    for (size_t size = 0; size < bytes.size; size++) {
        struct rt_reader r = rt_reader_over(RT_BYTES(bytes.data, size));
        cr_assert_eq(proto_zk_event_decode(&r, &event), RT_EPROTO, "at %zu", size);
    }
    rt_buf_fini(&bytes);
}

Test(proto_zookeeper_hostile, lengths_below_minus_one_or_beyond_the_frame_fail) {
    cr_assert_eq(decode_request_hex("00000001 00000006 fffffffe 2f61"), RT_EINVAL);
    cr_assert_eq(decode_request_hex("00000001 00000006 80000000 2f61"), RT_EINVAL);
    cr_assert_eq(decode_request_hex("00000001 00000006 00000003 2f61"), RT_EINVAL);
    cr_assert_eq(decode_request_hex("00000001 00000006 7fffffff 2f61"), RT_EINVAL);
    cr_assert_eq(decode_request_hex("00000001 00000006 00000002 2f61"), RT_OK);
}

Test(proto_zookeeper_hostile, counts_are_checked_before_memory_is_taken) {
    static const char *const counts[] = {"7fffffff", "fffffffe", "80000000", "00000002"};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        struct rt_buf bytes = hex_bytes("00000001 00000007 00000001 2f ");
        hex_append(&bytes, counts[i]);
        hex_append(&bytes, "0000001f 00000000 00000000 00000000");
        struct rt_arena arena = {0};
        struct proto_zk_request request;
        cr_assert_eq(proto_zk_request_decode(rt_buf_bytes(&bytes), &arena, &request), RT_EINVAL);
        cr_assert_eq(arena.used_bytes, 0, "%s", counts[i]);
        rt_arena_fini(&arena);
        rt_buf_fini(&bytes);
    }
}

Test(proto_zookeeper_hostile, strings_and_ids_check_their_counts) {
    cr_assert_eq(decode_request_hex("00000001 00000065 0000000000000000 00000001 ffffffff"
                                    "00000000 00000001"),
                 RT_EINVAL);
    struct rt_buf ids = hex_bytes("00000001 0000000000000000 00000000 7fffffff 00000000");
    cr_assert_eq(decode_reply(rt_buf_bytes(&ids), PROTO_ZK_OP_WHO_AM_I), RT_EPROTO);
    rt_buf_fini(&ids);
}

Test(proto_zookeeper_hostile, opcodes_that_clients_may_not_send_are_unsupported) {
    static const int32_t codes[] = {0, -1, -10, 10, 13, 20, 23, 99, 108, 500, INT32_MIN};
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        uint8_t memory[64] = {0};
        struct rt_writer w = rt_writer_over(memory, sizeof(memory));
        rt_write_be32(&w, 77);
        rt_write_be32(&w, (uint32_t)codes[i]);
        struct proto_zk_request request;
        struct rt_arena arena = {0};
        rt_err err = proto_zk_request_decode(RT_BYTES(memory, sizeof(memory)), &arena, &request);
        cr_assert_eq(err, RT_EUNSUPPORTED, "opcode %d", codes[i]);
        cr_assert_eq(request.xid, 77);
        cr_assert_eq(request.op.opcode, codes[i]);
        rt_arena_fini(&arena);
    }
}

Test(proto_zookeeper_hostile, internal_records_decode_without_a_request) {
    struct rt_buf bytes = hex_bytes("00000002 2f61");
    struct rt_reader r = rt_reader_over(rt_buf_bytes(&bytes));
    struct rt_arena arena = {0};
    struct proto_zk_op op = {.opcode = PROTO_ZK_OP_DELETE_CONTAINER};
    cr_assert_eq(proto_zk_op_decode(&r, &arena, &op), RT_OK);
    cr_assert(rt_bytes_equal(op.path, RT_BYTES_LITERAL("/a")));
    op.opcode = 1234;
    cr_assert_eq(proto_zk_op_decode(&r, &arena, &op), RT_EUNSUPPORTED);
    rt_arena_fini(&arena);
    rt_buf_fini(&bytes);
}

#define END "ffffffff 01 ffffffff"

Test(proto_zookeeper_hostile, multi_refuses_what_it_must_not_contain) {
    const char *read_in_multi = "00000001 0000000e 00000004 00 ffffffff 00000001 2f 00" END;
    const char *write_in_read = "00000001 00000016 00000002 00 ffffffff 00000001 2f ffffffff" END;
    const char *nested = "00000001 0000000e 0000000e 00 ffffffff" END END;
    const char *unknown = "00000001 0000000e 000001f4 00 ffffffff" END;
    const char *error = "00000001 0000000e ffffffff 00 ffffffff 00000000" END;
    cr_assert_eq(decode_request_hex(read_in_multi), RT_EINVAL);
    cr_assert_eq(decode_request_hex(write_in_read), RT_EINVAL);
    cr_assert_eq(decode_request_hex(nested), RT_EINVAL);
    cr_assert_eq(decode_request_hex(unknown), RT_EINVAL);
    cr_assert_eq(decode_request_hex(error), RT_EINVAL);
}

Test(proto_zookeeper_hostile, multi_ends_at_the_done_flag_whatever_its_type) {
    cr_assert_eq(decode_request_hex("00000001 0000000e 00000001 07 00000000 ff"), RT_OK);
    cr_assert_eq(decode_request_hex("00000001 0000000e"), RT_EINVAL);
}

Test(proto_zookeeper_hostile, malformed_multi_takes_no_memory) {
    struct rt_buf bytes = hex_bytes("00000001 0000000e ");
    for (size_t i = 0; i < 100; i++) hex_append(&bytes, "00000002 00 ffffffff ffffffff ffffffff");
    struct rt_arena arena = {0};
    struct proto_zk_request request;
    cr_assert_eq(proto_zk_request_decode(rt_buf_bytes(&bytes), &arena, &request), RT_EINVAL);
    cr_assert_eq(arena.used_bytes, 0);
    hex_append(&bytes, END);
    cr_assert_eq(proto_zk_request_decode(rt_buf_bytes(&bytes), &arena, &request), RT_OK);
    cr_assert_eq(request.op_count, 100);
    rt_arena_fini(&arena);
    rt_buf_fini(&bytes);
}
