#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/meta_zk/stage.h"

static void ask_read(struct stage *stage, unsigned client, int32_t xid, int32_t opcode,
                     const char *path, bool watch) {
    const struct proto_zk_op op = stage_read(opcode, path, watch);
    stage_ask(stage, client, xid, &op);
}

static void ask_create(struct stage *stage, unsigned client, int32_t xid, const char *path) {
    const struct proto_zk_op op = stage_create(path, "1", 0);
    stage_ask(stage, client, xid, &op);
}

static void ask_set(struct stage *stage, unsigned client, int32_t xid, const char *path,
                    const char *data) {
    const struct proto_zk_op op = stage_set(path, data);
    stage_ask(stage, client, xid, &op);
}

static void ask_bare(struct stage *stage, unsigned client, int32_t xid, int32_t opcode) {
    const struct proto_zk_op op = stage_bare(opcode);
    stage_ask(stage, client, xid, &op);
}

Test(meta_zk_order, everything_is_answered_in_the_order_in_which_it_came) {
    struct stage stage;
    stage_init(&stage);
    stage_open(&stage);
    stage_enter(&stage, 0);
    const struct proto_zk_op sync = stage_path(PROTO_ZK_OP_SYNC, "/s");
    const struct proto_zk_op auth = stage_auth("digest", "bob:pw");

    ask_create(&stage, 0, 1, "/a");
    ask_read(&stage, 0, 2, PROTO_ZK_OP_GET_DATA, "/a", false);
    ask_bare(&stage, 0, PROTO_ZK_XID_PING, PROTO_ZK_OP_PING);
    ask_set(&stage, 0, 3, "/a", "2");
    stage_ask(&stage, 0, PROTO_ZK_XID_AUTH, &auth);
    ask_read(&stage, 0, 4, PROTO_ZK_OP_GET_DATA, "/a", false);
    stage_ask(&stage, 0, 5, &sync);
    ask_set(&stage, 0, 6, "/a", "3");
    ask_read(&stage, 0, 7, PROTO_ZK_OP_GET_CHILDREN, "/", false);
    ask_set(&stage, 0, 8, "/none", "3");
    ask_read(&stage, 0, 9, PROTO_ZK_OP_GET_DATA, "/a", false);
    stage_go(&stage);

    stage_expect(&stage, 0,
                 "1:OK=/a 2:OK=1 -2:OK 3:OK -4:OK 4:OK=2 5:OK=/s 6:OK 7:OK=a,zookeeper 8:NONODE "
                 "9:OK=3 ");
    stage_close(&stage);
}

static void hold(struct stage *stage) {
    stage->replica.holds = true;
}

static void release(struct stage *stage) {
    fake_replica_release(&stage->replica);
}

Test(meta_zk_order, read_waits_for_the_writes_before_it_and_others_do_not) {
    struct stage stage;
    stage_init(&stage);
    stage_open(&stage);
    stage_enter(&stage, 0);
    stage_enter(&stage, 1);
    stage_act(&stage, hold);

    ask_create(&stage, 0, 1, "/a");
    ask_read(&stage, 0, 2, PROTO_ZK_OP_EXISTS, "/a", false);
    ask_read(&stage, 1, 1, PROTO_ZK_OP_EXISTS, "/a", false);
    stage_go(&stage);
    stage_expect(&stage, 0, "");
    stage_expect(&stage, 1, "1:NONODE ");
    stage_act(&stage, release);

    stage_expect(&stage, 0, "1:OK=/a 2:OK ");
    stage_close(&stage);
}

// A read sees the writes before it, and none of those that came behind it on its connection.
Test(meta_zk_order, read_does_not_see_the_writes_behind_it) {
    struct stage stage;
    stage_init(&stage);
    stage_open(&stage);
    stage_enter(&stage, 0);
    const struct proto_zk_op sync = stage_path(PROTO_ZK_OP_SYNC, "/");
    ask_create(&stage, 0, 1, "/a");
    stage_go(&stage);
    stage_expect(&stage, 0, "1:OK=/a ");

    ask_set(&stage, 0, 2, "/a", "2");
    ask_read(&stage, 0, 3, PROTO_ZK_OP_GET_DATA, "/a", false);
    ask_set(&stage, 0, 4, "/a", "3");
    stage_ask(&stage, 0, 5, &sync);
    ask_read(&stage, 0, 6, PROTO_ZK_OP_GET_DATA, "/a", false);
    ask_set(&stage, 0, 7, "/a", "4");
    stage_go(&stage);

    stage_expect(&stage, 0, "2:OK 3:OK=2 4:OK 5:OK=/ 6:OK=3 7:OK ");
    stage_close(&stage);
}

Test(meta_zk_order, event_comes_before_the_reply_of_the_write_that_made_it) {
    struct stage stage;
    stage_init(&stage);
    stage_open(&stage);
    stage_enter(&stage, 0);
    stage_enter(&stage, 1);
    ask_read(&stage, 0, 1, PROTO_ZK_OP_EXISTS, "/a", true);
    ask_read(&stage, 1, 1, PROTO_ZK_OP_EXISTS, "/a", true);
    stage_go(&stage);
    stage_expect(&stage, 1, "1:NONODE ");

    ask_create(&stage, 0, 2, "/a");
    stage_go(&stage);
    ask_read(&stage, 1, 2, PROTO_ZK_OP_EXISTS, "/a", false);
    stage_go(&stage);

    stage_expect(&stage, 0, "1:NONODE event NodeCreated /a 2:OK=/a ");
    stage_expect(&stage, 1, "event NodeCreated /a 2:OK ");
    stage_close(&stage);
}

enum { CHILDREN = 600 };

static void many_children(struct stage *stage, unsigned client) {
    char path[32];
    const struct proto_zk_op parent = stage_create("/big", "", 0);
    stage_ask(stage, client, 1, &parent);
    for (int i = 0; i < CHILDREN; i++) {
        snprintf(path, sizeof(path), "/big/%d", i);
        ask_create(stage, client, 2 + i, path);
    }
    stage->clients[client].counts_only = true;
    stage_go(stage);
    stage_run(stage, 2000);
    stage->clients[client].counts_only = false;
    cr_assert_eq(stage->clients[client].replies, CHILDREN + 1);
}

static const char *heard(struct stage *stage, unsigned client) {
    stage->clients[client].log[stage->clients[client].log_size] = '\0';
    return stage->clients[client].log;
}

// A list too long for the loop is read by a worker: what happens meanwhile is told afterwards, and
// the list is that of the moment at which it was asked for.
Test(meta_zk_order, events_wait_behind_a_read_that_takes_long) {
    struct stage stage;
    stage_init(&stage);
    stage_open(&stage);
    stage_enter(&stage, 0);
    stage_enter(&stage, 1);
    many_children(&stage, 1);
    ask_read(&stage, 0, 1, PROTO_ZK_OP_EXISTS, "/x", true);
    stage_go(&stage);
    stage_expect(&stage, 0, "1:NONODE ");

    stage_slow_workers(&stage, 20);
    ask_read(&stage, 0, 2, PROTO_ZK_OP_GET_CHILDREN, "/big", true);
    ask_read(&stage, 0, 3, PROTO_ZK_OP_EXISTS, "/x", false);
    stage_send(&stage);
    stage_run(&stage, 10);
    ask_create(&stage, 1, 9000, "/big/new");
    ask_create(&stage, 1, 9001, "/x");
    stage_send(&stage);
    stage_run(&stage, 5);
    cr_assert_str_eq(heard(&stage, 0), "", "the worker is not done");
    stage_run(&stage, 50);

    const char *text = heard(&stage, 0);
    const char *rest = strstr(text, " event");
    cr_assert_eq(strncmp(text, "2:OK=0,1,10,", 12), 0);
    cr_assert_not_null(rest);
    cr_assert_str_eq(rest, " event NodeChildrenChanged /big event NodeCreated /x 3:OK ");
    cr_assert_null(strstr(text, "new"));
    stage_close(&stage);
}

// The list would take a worker's time, in which the last write would be applied.
Test(meta_zk_order, read_behind_one_that_takes_long_does_not_see_a_later_write) {
    struct stage stage;
    stage_init(&stage);
    stage_open(&stage);
    stage_enter(&stage, 0);
    stage_enter(&stage, 1);
    many_children(&stage, 1);
    stage_slow_workers(&stage, 20);
    ask_create(&stage, 0, 1, "/x");
    stage_go(&stage);
    stage_expect(&stage, 0, "1:OK=/x ");

    ask_set(&stage, 0, 2, "/x", "2");
    ask_read(&stage, 0, 3, PROTO_ZK_OP_GET_CHILDREN, "/big", false);
    ask_read(&stage, 0, 4, PROTO_ZK_OP_GET_DATA, "/x", false);
    ask_set(&stage, 0, 5, "/x", "3");
    ask_read(&stage, 0, 6, PROTO_ZK_OP_GET_CHILDREN, "/big", false);
    ask_read(&stage, 0, 7, PROTO_ZK_OP_GET_DATA, "/x", false);
    stage_go(&stage);
    stage_run(&stage, 200);

    const char *text = heard(&stage, 0);
    cr_assert_not_null(strstr(text, " 4:OK=2 5:OK 6:OK="), "%s", text);
    cr_assert_not_null(strstr(text, " 7:OK=3 "), "%s", text);
    stage_close(&stage);
}

Test(meta_zk_order, connection_may_end_while_a_worker_reads_for_it) {
    struct stage stage;
    stage_init(&stage);
    stage_open(&stage);
    stage_enter(&stage, 0);
    stage_enter(&stage, 1);
    many_children(&stage, 1);
    ask_read(&stage, 0, 1, PROTO_ZK_OP_GET_CHILDREN, "/big", true);
    ask_read(&stage, 0, 2, PROTO_ZK_OP_GET_CHILDREN2, "/big", false);
    stage_bytes(&stage, 0, RT_BYTES_LITERAL("\xff\xff\xff\xff"));
    stage_go(&stage);
    const char *text = heard(&stage, 0);
    cr_assert_str_eq(text + strlen(text) - strlen("closed "), "closed ");
    stage_close(&stage);
}

static void interrupt(struct stage *stage) {
    fake_replica_interrupt(&stage->replica);
}

Test(meta_zk_order, only_connections_that_wait_for_an_outcome_are_interrupted) {
    struct stage stage;
    stage_init(&stage);
    stage_open(&stage);
    for (unsigned i = 0; i < 3; i++) stage_enter(&stage, i);
    const struct proto_zk_op sync = stage_path(PROTO_ZK_OP_SYNC, "/");
    stage_act(&stage, hold);
    ask_create(&stage, 0, 1, "/a");
    stage_ask(&stage, 1, 1, &sync);
    ask_read(&stage, 2, 1, PROTO_ZK_OP_EXISTS, "/a", false);
    stage_go(&stage);
    stage_act(&stage, interrupt);
    stage_expect(&stage, 0, "closed ");
    stage_expect(&stage, 1, "closed ");
    stage_expect(&stage, 2, "1:NONODE ");
    stage_close(&stage);
}

static void refuse_last(struct stage *stage) {
    fake_replica_refuse_last(&stage->replica);
    meta_server_on_refused(stage->server, 1234567);  // nobody's
}

static void release_held(struct stage *stage) {
    fake_replica_release(&stage->replica);
}

Test(meta_zk_order, only_the_connection_whose_command_was_refused_is_closed) {
    struct stage stage;
    stage_init(&stage);
    stage_open(&stage);
    for (unsigned i = 0; i < 2; i++) stage_enter(&stage, i);
    stage_act(&stage, hold);
    ask_create(&stage, 0, 1, "/a");
    stage_go(&stage);
    ask_create(&stage, 1, 1, "/b");
    stage_go(&stage);
    stage_act(&stage, refuse_last);
    stage_expect(&stage, 1, "closed ");
    stage_act(&stage, release_held);
    stage_expect(&stage, 0, "1:OK=/a ");
    stage_close(&stage);
}

static void lose_leader(struct stage *stage) {
    fake_replica_lead(&stage->replica, false);
}

static void get_leader(struct stage *stage) {
    fake_replica_lead(&stage->replica, true);
}

Test(meta_zk_order, without_a_leader_reads_go_on_for_two_seconds) {
    struct stage stage;
    stage_init(&stage);
    stage_open(&stage);
    stage_enter(&stage, 0);
    stage_enter(&stage, 1);
    stage_act(&stage, lose_leader);
    stage_run(&stage, 1000);
    ask_read(&stage, 0, 1, PROTO_ZK_OP_EXISTS, "/", false);
    ask_create(&stage, 1, 1, "/a");
    stage_go(&stage);
    stage_expect(&stage, 0, "1:OK ");
    stage_expect(&stage, 1, "closed ");
    stage_act(&stage, get_leader);
    stage_run(&stage, 5000);
    stage_expect(&stage, 0, "");
    stage_act(&stage, lose_leader);
    stage_run(&stage, 2100);
    stage_expect(&stage, 0, "closed ");
    stage_close(&stage);
}
