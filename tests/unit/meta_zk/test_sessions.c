#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/unit/meta_zk/stage.h"

static void ask_ephemeral(struct stage *stage, unsigned client, int32_t xid, const char *path) {
    const struct proto_zk_op op = stage_create(path, "", PROTO_ZK_MODE_EPHEMERAL);
    stage_ask(stage, client, xid, &op);
}

static void ask_exists(struct stage *stage, unsigned client, int32_t xid, const char *path,
                       bool watch) {
    const struct proto_zk_op op = stage_read(PROTO_ZK_OP_EXISTS, path, watch);
    stage_ask(stage, client, xid, &op);
}

Test(meta_zk_sessions, close_is_answered_and_then_the_connection_ends) {
    struct stage stage;
    stage_init(&stage);
    stage_open(&stage);
    stage_enter(&stage, 0);
    stage_enter(&stage, 1);
    const struct proto_zk_op close = stage_bare(PROTO_ZK_OP_CLOSE_SESSION);
    ask_ephemeral(&stage, 0, 1, "/e");
    stage_go(&stage);
    ask_exists(&stage, 1, 1, "/e", true);
    stage_go(&stage);

    stage_ask(&stage, 0, 2, &close);
    ask_exists(&stage, 0, 3, "/e", false);  // nobody answers this
    stage_go(&stage);

    stage_expect(&stage, 0, "1:OK=/e 2:OK closed ");
    stage_expect(&stage, 1, "1:OK event NodeDeleted /e ");
    stage_close(&stage);
}

static void expire_first(struct stage *stage) {
    fake_replica_expire(&stage->replica, stage->clients[0].session);
}

Test(meta_zk_sessions, expired_one_is_closed_without_a_word) {
    struct stage stage;
    stage_init(&stage);
    stage_open(&stage);
    stage_enter(&stage, 0);
    stage_enter(&stage, 1);
    ask_ephemeral(&stage, 0, 1, "/e");
    ask_exists(&stage, 0, 2, "/e", true);
    stage_go(&stage);
    ask_exists(&stage, 1, 1, "/e", true);
    stage_go(&stage);

    stage_act(&stage, expire_first);

    stage_expect(&stage, 0, "1:OK=/e 2:OK closed ");
    stage_expect(&stage, 1, "1:OK event NodeDeleted /e ");
    cr_assert_eq(meta_server_stats(stage.server).sessions_expired, 1);
    stage_dial(&stage, 2);
    stage_hello_again(&stage, 2, 0);
    stage_go(&stage);
    stage_expect(&stage, 2, "rejected closed ");
    stage_close(&stage);
}

static void hold(struct stage *stage) {
    stage->replica.holds = true;
}

static void release(struct stage *stage) {
    fake_replica_release(&stage->replica);
}

static void attach_elsewhere(struct stage *stage) {
    const struct meta_session *session =
        meta_store_session(stage->replica.store, stage->clients[0].session);
    cr_assert_not_null(session);
    fake_replica_attach_elsewhere(&stage->replica, session);
}

Test(meta_zk_sessions, one_that_moved_to_another_server_loses_its_connection_here) {
    struct stage stage;
    stage_init(&stage);
    stage_open(&stage);
    stage_enter(&stage, 0);
    stage_act(&stage, attach_elsewhere);
    stage_expect(&stage, 0, "closed ");
    stage_close(&stage);
}

// The write comes into the log behind the attachment: it must neither be done nor answered.
Test(meta_zk_sessions, write_over_an_older_attachment_is_not_done) {
    struct stage stage;
    stage_init(&stage);
    stage_open(&stage);
    stage_enter(&stage, 0);
    stage_enter(&stage, 1);
    stage_act(&stage, hold);
    stage_act(&stage, attach_elsewhere);
    ask_ephemeral(&stage, 0, 1, "/e");
    stage_go(&stage);
    stage_act(&stage, release);
    ask_exists(&stage, 1, 1, "/e", false);
    stage_go(&stage);
    stage_expect(&stage, 0, "closed ");
    stage_expect(&stage, 1, "1:NONODE ");
    stage_close(&stage);
}

Test(meta_zk_sessions, lost_connection_does_not_end_one) {
    struct stage stage;
    stage_init(&stage);
    stage_open(&stage);
    stage_enter(&stage, 0);
    ask_ephemeral(&stage, 0, 1, "/e");
    stage_go(&stage);
    stage_hang_up(&stage, 0);
    stage_dial(&stage, 1);
    stage_hello_again(&stage, 1, 0);
    ask_exists(&stage, 1, 1, "/e", false);
    stage_go(&stage);
    stage_expect(&stage, 0, "1:OK=/e closed ");
    stage_expect(&stage, 1, "connected 10000 1:OK ");
    stage_close(&stage);
}

Test(meta_zk_sessions, every_request_keeps_one_alive) {
    struct stage stage;
    stage_init(&stage);
    stage_open(&stage);
    stage_enter(&stage, 0);
    const struct proto_zk_op ping = stage_bare(PROTO_ZK_OP_PING);
    unsigned before = stage.replica.touched;
    for (int i = 0; i < 5; i++) stage_ask(&stage, 0, PROTO_ZK_XID_PING, &ping);
    stage_go(&stage);
    cr_assert_eq(stage.replica.touched, before + 5);
    stage_close(&stage);
}

static void replace(struct stage *stage) {
    meta_server_on_replaced(stage->server);
}

Test(meta_zk_sessions, replaced_store_ends_all_connections_and_no_session) {
    struct stage stage;
    stage_init(&stage);
    stage_open(&stage);
    stage_enter(&stage, 0);
    stage_act(&stage, replace);
    stage_dial(&stage, 1);
    stage_hello_again(&stage, 1, 0);
    stage_go(&stage);
    stage_expect(&stage, 0, "closed ");
    stage_expect(&stage, 1, "connected 10000 ");
    stage_close(&stage);
}
