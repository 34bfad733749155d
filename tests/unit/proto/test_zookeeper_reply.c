#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/proto/zookeeper_samples.h"

Test(proto_zookeeper_reply, replies_have_exactly_these_bytes) {
    for (size_t i = 0; i < reply_sample_count; i++) {
        struct rt_buf expected = hex_bytes(reply_samples[i].hex);
        struct rt_buf actual = reply_bytes(&reply_samples[i].reply, reply_samples[i].opcode);
        cr_assert(rt_bytes_equal(rt_buf_bytes(&actual), rt_buf_bytes(&expected)), "sample %zu", i);
        rt_buf_fini(&actual);
        rt_buf_fini(&expected);
    }
}

Test(proto_zookeeper_reply, replies_decode_to_what_encodes_to_the_same_bytes) {
    for (size_t i = 0; i < reply_sample_count; i++) {
        struct rt_buf bytes = hex_bytes(reply_samples[i].hex);
        struct rt_arena arena = {0};
        struct proto_zk_reply reply;
        int32_t opcode = reply_samples[i].opcode;
        rt_err err = proto_zk_reply_decode(rt_buf_bytes(&bytes), opcode, &arena, &reply);
        cr_assert_eq(err, RT_OK, "sample %zu: %s", i, rt_err_name(err));
        struct rt_buf again = reply_bytes(&reply, opcode);
        cr_assert(rt_bytes_equal(rt_buf_bytes(&again), rt_buf_bytes(&bytes)), "sample %zu", i);
        rt_buf_fini(&again);
        rt_arena_fini(&arena);
        rt_buf_fini(&bytes);
    }
}

Test(proto_zookeeper_reply, stat_has_68_bytes) {
    struct proto_zk_stat stat = STAT_SAMPLE;
    struct rt_buf expected = hex_bytes(STAT_HEX);
    uint8_t memory[PROTO_ZK_STAT_SIZE];
    struct rt_writer w = rt_writer_over(memory, sizeof(memory));
    proto_zk_stat_encode(&stat, &w);
    cr_assert_not(rt_writer_failed(&w));
    cr_assert(rt_bytes_equal(RT_BYTES(memory, w.written), rt_buf_bytes(&expected)));
    rt_buf_fini(&expected);
}

Test(proto_zookeeper_reply, nothing_behind_an_error_header_is_looked_at) {
    struct rt_buf bytes = hex_bytes("00000007 0000000000000005 ffffff9b ffffff");
    struct rt_arena arena = {0};
    struct proto_zk_reply reply;
    rt_err err = proto_zk_reply_decode(rt_buf_bytes(&bytes), PROTO_ZK_OP_GET_DATA, &arena, &reply);
    cr_assert_eq(err, RT_OK);
    cr_assert_eq(reply.header.err, PROTO_ZK_ERR_NONODE);
    rt_arena_fini(&arena);
    rt_buf_fini(&bytes);
}

Test(proto_zookeeper_reply, data_by_reference_gives_the_same_bytes) {
    struct proto_zk_reply reply = {.header = {.xid = 7, .zxid = 9},
                                   .body = {.data = RT_BYTES_LITERAL("abc"), .stat = STAT_SAMPLE}};
    struct rt_buf whole = reply_bytes(&reply, PROTO_ZK_OP_GET_DATA);
    struct rt_buf parts = {0};
    struct rt_writer w = rt_writer_into(&parts);
    proto_zk_reply_header_encode(&reply.header, &w);
    proto_zk_data_size_encode(reply.body.data, &w);
    rt_buf_append(&parts, reply.body.data);
    proto_zk_stat_encode(&reply.body.stat, &w);
    cr_assert(rt_bytes_equal(rt_buf_bytes(&whole), rt_buf_bytes(&parts)));
    rt_buf_fini(&parts);
    rt_buf_fini(&whole);
}

Test(proto_zookeeper_reply, creates_that_answer_a_stat_answer_as_create2_in_a_multi) {
    struct proto_zk_op create = {.opcode = PROTO_ZK_OP_CREATE};
    cr_assert_eq(proto_zk_result_opcode(&create), PROTO_ZK_OP_CREATE);
    create.create.flags = PROTO_ZK_MODE_CONTAINER;
    cr_assert_eq(proto_zk_result_opcode(&create), PROTO_ZK_OP_CREATE2);
    struct proto_zk_op container = {.opcode = PROTO_ZK_OP_CREATE_CONTAINER};
    cr_assert_eq(proto_zk_result_opcode(&container), PROTO_ZK_OP_CREATE2);
    struct proto_zk_op ttl = {.opcode = PROTO_ZK_OP_CREATE_TTL};
    cr_assert_eq(proto_zk_result_opcode(&ttl), PROTO_ZK_OP_CREATE2);
    struct proto_zk_op check = {.opcode = PROTO_ZK_OP_CHECK};
    cr_assert_eq(proto_zk_result_opcode(&check), PROTO_ZK_OP_CHECK);
}

Test(proto_zookeeper_reply, notification_is_a_reply_header_and_an_event) {
    struct proto_zk_event event = {.type = PROTO_ZK_EVENT_NODE_DELETED,
                                   .state = PROTO_ZK_STATE_SYNC_CONNECTED,
                                   .path = RT_BYTES_LITERAL("/a")};
    struct rt_buf expected =
        hex_bytes("ffffffff ffffffffffffffff 00000000 00000002 00000003 00000002 2f61");
    struct rt_buf actual = {0};
    struct rt_writer w = rt_writer_into(&actual);
    proto_zk_event_encode(&event, -1, &w);
    cr_assert(rt_bytes_equal(rt_buf_bytes(&actual), rt_buf_bytes(&expected)));
    struct rt_reader r = rt_reader_over(rt_buf_bytes(&actual));
    struct proto_zk_reply_header header;
    cr_assert_eq(proto_zk_reply_header_decode(&r, &header), RT_OK);
    cr_assert_eq(header.xid, PROTO_ZK_XID_EVENT);
    struct proto_zk_event again;
    cr_assert_eq(proto_zk_event_decode(&r, &again), RT_OK);
    cr_assert_eq(again.type, event.type);
    cr_assert_eq(again.state, event.state);
    cr_assert(rt_bytes_equal(again.path, event.path));
    rt_buf_fini(&actual);
    rt_buf_fini(&expected);
}

#define CONNECTED_HEX "00000000 00007530 0100000000000003 00000010 000102030405060708090a0b0c0d0e0f"

static void check_connected(const char *hex, struct proto_zk_connected *connected) {
    struct rt_buf bytes = hex_bytes(hex);
    cr_assert_eq(proto_zk_connected_decode(rt_buf_bytes(&bytes), connected), RT_OK);
    struct rt_buf again = {0};
    struct rt_writer w = rt_writer_into(&again);
    proto_zk_connected_encode(connected, &w);
    cr_assert(rt_bytes_equal(rt_buf_bytes(&again), rt_buf_bytes(&bytes)));
    rt_buf_fini(&again);
    rt_buf_fini(&bytes);
}

Test(proto_zookeeper_reply, handshake_reply_has_37_bytes_or_36_without_read_only) {
    struct proto_zk_connected connected;
    check_connected(CONNECTED_HEX "00", &connected);
    cr_assert(connected.has_read_only);
    cr_assert_eq(connected.timeout_ms, 30000);
    cr_assert_eq(connected.password[15], 15);
    check_connected(CONNECTED_HEX, &connected);
    cr_assert_not(connected.has_read_only);
}

Test(proto_zookeeper_reply, rejection_is_zeroes) {
    struct proto_zk_connected rejected = {.has_read_only = true};
    uint8_t memory[37];
    struct rt_writer w = rt_writer_over(memory, sizeof(memory));
    proto_zk_connected_encode(&rejected, &w);
    cr_assert_not(rt_writer_failed(&w));
    cr_assert_eq(w.written, 37);
    uint8_t expected[37] = {[19] = 16};
    cr_assert_eq(memcmp(memory, expected, sizeof(expected)), 0);
}
