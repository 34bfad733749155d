#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/meta_zk/stage.h"

// The bytes of old clients: without the last one.
enum { OLD_REPLY_SIZE = 36, NEW_REPLY_SIZE = 37 };

static void greet(struct stage *stage, unsigned client, const struct proto_zk_connect *connect) {
    stage_dial(stage, client);
    stage_hello(stage, client, connect);
    stage_go(stage);
}

Test(meta_zk_handshake, reply_is_as_long_as_the_request_asks) {
    struct stage stage;
    stage_init(&stage);
    stage_open(&stage);
    struct proto_zk_connect connect = stage_hello_new();

    greet(&stage, 0, &connect);
    connect.has_read_only = false;
    greet(&stage, 1, &connect);

    stage_expect(&stage, 0, "connected 10000 ");
    stage_expect(&stage, 1, "connected 10000 ");
    cr_assert_eq(stage.clients[0].connected_size, NEW_REPLY_SIZE);
    cr_assert_eq(stage.clients[1].connected_size, OLD_REPLY_SIZE);
    cr_assert_neq(stage.clients[0].session, stage.clients[1].session);
    cr_assert_eq((uint64_t)stage.clients[0].session >> 56, FAKE_NODE_ID);
    stage_close(&stage);
}

Test(meta_zk_handshake, timeouts_are_brought_into_their_bounds) {
    static const struct {
        int32_t wanted;
        const char *heard;
    } cases[] = {{0, "connected 4000 "},
                 {-5, "connected 4000 "},
                 {3999, "connected 4000 "},
                 {4001, "connected 4001 "},
                 {40001, "connected 40000 "}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct stage stage;
        stage_init(&stage);
        stage_open(&stage);
        struct proto_zk_connect connect = stage_hello_new();
        connect.timeout_ms = cases[i].wanted;
        greet(&stage, 0, &connect);
        stage_expect(&stage, 0, cases[i].heard);
        stage_close(&stage);
    }
}

Test(meta_zk_handshake, unknown_session_and_wrong_password_are_rejected_alike) {
    struct stage stage;
    stage_init(&stage);
    stage_open(&stage);
    stage_enter(&stage, 0);
    struct proto_zk_connect connect = stage_hello_new();
    uint8_t wrong[PROTO_ZK_PASSWORD_SIZE] = {1};

    connect.session_id = 0x4711;
    connect.password = RT_BYTES(wrong, sizeof(wrong));
    greet(&stage, 1, &connect);
    connect.session_id = stage.clients[0].session;
    greet(&stage, 2, &connect);
    connect.password = RT_BYTES(wrong, 3);
    greet(&stage, 3, &connect);

    stage_expect(&stage, 0, "");
    for (unsigned i = 1; i < STAGE_CLIENTS; i++) stage_expect(&stage, i, "rejected closed ");
    stage_close(&stage);
}

Test(meta_zk_handshake, client_that_saw_more_is_sent_away_without_a_word) {
    struct stage stage;
    stage_init(&stage);
    stage_open(&stage);
    struct proto_zk_connect connect = stage_hello_new();
    connect.last_zxid_seen = 1000;
    greet(&stage, 0, &connect);
    stage_expect(&stage, 0, "closed ");
    stage_close(&stage);
}

static void lose_leader(struct stage *stage) {
    fake_replica_lead(&stage->replica, false);
}

Test(meta_zk_handshake, server_that_does_not_serve_sends_clients_away) {
    struct stage stage;
    stage_init(&stage);
    stage_open(&stage);
    stage_act(&stage, lose_leader);
    struct proto_zk_connect connect = stage_hello_new();
    greet(&stage, 0, &connect);
    stage_expect(&stage, 0, "closed ");
    stage_close(&stage);
}

Test(meta_zk_handshake, requests_behind_the_handshake_wait_for_it) {
    struct stage stage;
    stage_init(&stage);
    stage_open(&stage);
    const struct proto_zk_connect connect = stage_hello_new();
    const struct proto_zk_op create = stage_create("/a", "1", 0);
    const struct proto_zk_op get = stage_read(PROTO_ZK_OP_GET_DATA, "/a", false);
    stage_dial(&stage, 0);
    stage_hello(&stage, 0, &connect);
    stage_ask(&stage, 0, 1, &create);
    stage_ask(&stage, 0, 2, &get);
    stage_go(&stage);
    stage_expect(&stage, 0, "connected 10000 1:OK=/a 2:OK=1 ");
    stage_close(&stage);
}

Test(meta_zk_handshake, session_that_comes_back_ends_its_older_connection) {
    struct stage stage;
    stage_init(&stage);
    stage_open(&stage);
    stage_enter(&stage, 0);
    const struct proto_zk_op get = stage_read(PROTO_ZK_OP_GET_DATA, "/", false);

    stage_dial(&stage, 1);
    stage_hello_again(&stage, 1, 0);
    stage_ask(&stage, 1, 1, &get);
    stage_go(&stage);

    stage_expect(&stage, 0, "closed ");
    stage_expect(&stage, 1, "connected 10000 1:OK ");
    cr_assert_eq(stage.clients[0].session, stage.clients[1].session);
    stage_close(&stage);
}

static void hold(struct stage *stage) {
    stage->replica.holds = true;
}

static void interrupt(struct stage *stage) {
    fake_replica_interrupt(&stage->replica);
}

Test(meta_zk_handshake, interrupted_one_is_closed) {
    struct stage stage;
    stage_init(&stage);
    stage_open(&stage);
    stage_act(&stage, hold);
    const struct proto_zk_connect connect = stage_hello_new();
    greet(&stage, 0, &connect);
    stage_expect(&stage, 0, "");
    stage_act(&stage, interrupt);
    stage_expect(&stage, 0, "closed ");
    stage_close(&stage);
}

// Whoever hangs up in the middle leaves nothing behind that the outcome could find.
Test(meta_zk_handshake, client_may_leave_before_its_session_is_there) {
    struct stage stage;
    stage_init(&stage);
    stage_open(&stage);
    stage_act(&stage, hold);
    const struct proto_zk_connect connect = stage_hello_new();
    greet(&stage, 0, &connect);
    stage_hang_up(&stage, 0);
    stage_expect(&stage, 0, "closed ");
    stage_close(&stage);
}

Test(meta_zk_handshake, every_truncation_and_every_garbage_ends_the_connection) {
    struct stage stage;
    stage_init(&stage);
    stage_open(&stage);
    uint8_t payload[44];
    for (size_t size = 0; size < sizeof(payload); size += 7) {
        memset(payload, 0x55, sizeof(payload));
        stage_dial(&stage, 0);
        stage_frame(&stage, 0, RT_BYTES(payload, size));
        stage_go(&stage);
        stage_expect(&stage, 0, "closed ");
    }
    stage_close(&stage);
}
