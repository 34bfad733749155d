#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/meta_zk/stage.h"

static void ask(struct stage *stage, unsigned client, int32_t xid, struct proto_zk_op op) {
    stage_ask(stage, client, xid, &op);
}

static void start(struct stage *stage) {
    stage_init(stage);
    stage_open(stage);
    stage_enter(stage, 0);
}

// A request of a header and the rest, whatever that is.
static void ask_raw(struct stage *stage, int32_t xid, int32_t opcode, struct rt_bytes rest) {
    uint8_t payload[64];
    struct rt_writer w = rt_writer_over(payload, sizeof(payload));
    rt_write_be32(&w, (uint32_t)xid);
    rt_write_be32(&w, (uint32_t)opcode);
    rt_write_bytes(&w, rest);
    stage_frame(stage, 0, RT_BYTES(payload, w.written));
}

Test(meta_zk_errors, operation_that_is_not_offered_is_refused_in_its_place_and_ends) {
    static const int32_t codes[] = {0, 13, 20, -10, 10, 99, 500, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        struct stage stage;
        start(&stage);
        ask(&stage, 0, 1, stage_create("/a", "", 0));
        ask_raw(&stage, 2, codes[i], RT_BYTES_LITERAL(""));
        ask(&stage, 0, 3, stage_create("/b", "", 0));
        stage_go(&stage);
        stage_expect(&stage, 0, "1:OK=/a 2:UNIMPLEMENTED closed ");
        stage_close(&stage);
    }
}

Test(meta_zk_errors, record_that_cannot_be_decoded_is_answered_and_forgotten) {
    struct stage stage;
    start(&stage);
    ask(&stage, 0, 1, stage_create("/a", "", 0));
    ask_raw(&stage, 2, PROTO_ZK_OP_GET_DATA, RT_BYTES_LITERAL("\x7f\xff\xff\xff"));
    ask_raw(&stage, 3, PROTO_ZK_OP_CREATE, RT_BYTES_LITERAL("\x00\x00"));
    ask_raw(&stage, 4, PROTO_ZK_OP_GET_DATA, RT_BYTES_LITERAL("\xff\xff\xff\xff\x00"));
    ask(&stage, 0, 5, stage_read(PROTO_ZK_OP_EXISTS, "/a", false));
    stage_go(&stage);
    stage_expect(&stage, 0,
                 "1:OK=/a 2:MARSHALLINGERROR 3:MARSHALLINGERROR 4:MARSHALLINGERROR 5:OK ");
    stage_close(&stage);
}

Test(meta_zk_errors, frame_without_a_whole_header_ends_the_connection) {
    for (size_t size = 0; size < 8; size++) {
        struct stage stage;
        start(&stage);
        stage_frame(&stage, 0, RT_BYTES("\0\0\0\1\0\0\0", size));
        stage_go(&stage);
        stage_expect(&stage, 0, "closed ");
        stage_close(&stage);
    }
}

Test(meta_zk_errors, frame_over_the_limit_ends_the_connection_and_one_at_it_does_not) {
    enum { LIMIT = 5000, AROUND = 8 + 4 + 2 + 4 + 4 };  // header, path, size of the data, version
    static char data[LIMIT];
    memset(data, 'x', sizeof(data) - 1);
    for (int over = 0; over < 2; over++) {
        struct stage stage;
        stage_init(&stage);
        stage.options.frame_size_max = LIMIT;
        stage_open(&stage);
        stage_enter(&stage, 0);
        struct proto_zk_op set = stage_set("/z", "");
        set.set_data.data = RT_BYTES(data, (size_t)(LIMIT - AROUND + over));
        ask(&stage, 0, 1, set);
        stage_go(&stage);
        stage_expect(&stage, 0, over ? "closed " : "1:NONODE ");
        stage_close(&stage);
    }
}

Test(meta_zk_errors, bytes_behind_a_record_are_ignored) {
    struct stage stage;
    start(&stage);
    stage.clients[0].asked[0].xid = 7;
    stage.clients[0].asked[0].opcode = PROTO_ZK_OP_PING;
    stage.clients[0].asked_count = 1;
    ask_raw(&stage, 7, PROTO_ZK_OP_PING, RT_BYTES_LITERAL("more"));
    stage_go(&stage);
    stage_expect(&stage, 0, "7:OK ");
    stage_close(&stage);
}

Test(meta_zk_errors, multi_that_fails_says_where) {
    struct stage stage;
    start(&stage);
    struct proto_zk_op ops[3] = {stage_create("/a", "", 0), stage_delete("/none"),
                                 stage_create("/b", "", 0)};
    const struct proto_zk_request request = {
        .xid = 1, .op.opcode = PROTO_ZK_OP_MULTI, .ops = ops, .op_count = 3};
    struct rt_buf payload = {0};
    struct rt_writer w = rt_writer_into(&payload);
    proto_zk_request_encode(&request, &w);
    stage.clients[0].asked[0].xid = 1;
    stage.clients[0].asked[0].opcode = PROTO_ZK_OP_MULTI;
    stage.clients[0].asked_count = 1;
    stage_frame(&stage, 0, rt_buf_bytes(&payload));
    rt_buf_fini(&payload);
    stage_go(&stage);
    stage_expect(&stage, 0, "1:OK=OK,NONODE,RUNTIMEINCONSISTENCY ");
    ask(&stage, 0, 2, stage_read(PROTO_ZK_OP_EXISTS, "/a", false));
    stage_go(&stage);
    stage_expect(&stage, 0, "2:NONODE ");
    stage_close(&stage);
}
