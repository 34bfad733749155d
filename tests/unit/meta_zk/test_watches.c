#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/unit/meta_zk/stage.h"

static void ask(struct stage *stage, unsigned client, int32_t xid, struct proto_zk_op op) {
    stage_ask(stage, client, xid, &op);
}

static void start(struct stage *stage) {
    stage_init(stage);
    stage_open(stage);
    stage_enter(stage, 0);
    stage_enter(stage, 1);
}

Test(meta_zk_watches, only_successful_reads_watch_but_exists_always_does) {
    struct stage stage;
    start(&stage);
    ask(&stage, 0, 1, stage_read(PROTO_ZK_OP_GET_DATA, "/a", true));
    ask(&stage, 0, 2, stage_read(PROTO_ZK_OP_GET_CHILDREN, "/b", true));
    ask(&stage, 0, 3, stage_read(PROTO_ZK_OP_EXISTS, "/c", true));
    stage_go(&stage);
    for (int i = 0; i < 3; i++) {
        static const char *const paths[] = {"/a", "/b", "/c"};
        ask(&stage, 1, 1 + i, stage_create(paths[i], "", 0));
    }
    stage_go(&stage);
    stage_expect(&stage, 0, "1:NONODE 2:NONODE 3:NONODE event NodeCreated /c ");
    stage_close(&stage);
}

Test(meta_zk_watches, standard_one_fires_once) {
    struct stage stage;
    start(&stage);
    ask(&stage, 0, 1, stage_create("/a", "", 0));
    ask(&stage, 0, 2, stage_read(PROTO_ZK_OP_GET_DATA, "/a", true));
    ask(&stage, 0, 3, stage_read(PROTO_ZK_OP_EXISTS, "/a", true));
    ask(&stage, 0, 4, stage_read(PROTO_ZK_OP_GET_CHILDREN2, "/a", true));
    stage_go(&stage);
    stage_expect(&stage, 0, "1:OK=/a 2:OK 3:OK 4:OK ");
    ask(&stage, 1, 1, stage_set("/a", "1"));
    ask(&stage, 1, 2, stage_set("/a", "2"));
    ask(&stage, 1, 3, stage_create("/a/b", "", 0));
    ask(&stage, 1, 4, stage_delete("/a/b"));
    ask(&stage, 1, 5, stage_delete("/a"));
    stage_go(&stage);
    stage_expect(&stage, 0, "event NodeDataChanged /a event NodeChildrenChanged /a ");
    stage_close(&stage);
}

Test(meta_zk_watches, added_ones_stay_and_tell_of_what_is_below) {
    struct stage stage;
    start(&stage);
    ask(&stage, 0, 1, stage_watch(PROTO_ZK_OP_ADD_WATCH, "/p", PROTO_ZK_ADD_PERSISTENT));
    ask(&stage, 0, 2, stage_watch(PROTO_ZK_OP_ADD_WATCH, "/r", PROTO_ZK_ADD_PERSISTENT_RECURSIVE));
    ask(&stage, 0, 3, stage_watch(PROTO_ZK_OP_ADD_WATCH, "/r", 7));
    stage_go(&stage);
    stage_expect(&stage, 0, "1:OK 2:OK 3:MARSHALLINGERROR ");
    ask(&stage, 1, 1, stage_create("/p", "", 0));
    ask(&stage, 1, 2, stage_create("/p/x", "", 0));
    ask(&stage, 1, 3, stage_create("/r", "", 0));
    ask(&stage, 1, 4, stage_create("/r/x", "", 0));
    ask(&stage, 1, 5, stage_set("/r/x", "1"));
    stage_go(&stage);
    stage_expect(&stage, 0,
                 "event NodeCreated /p event NodeChildrenChanged /p event NodeCreated /r "
                 "event NodeCreated /r/x event NodeDataChanged /r/x ");
    stage_close(&stage);
}

Test(meta_zk_watches, checking_leaves_them_and_removing_does_not) {
    struct stage stage;
    start(&stage);
    ask(&stage, 0, 1, stage_create("/a", "", 0));
    ask(&stage, 0, 2, stage_read(PROTO_ZK_OP_GET_DATA, "/a", true));
    ask(&stage, 0, 3, stage_watch(PROTO_ZK_OP_CHECK_WATCHES, "/a", PROTO_ZK_WATCH_DATA));
    ask(&stage, 0, 4, stage_watch(PROTO_ZK_OP_CHECK_WATCHES, "/a", PROTO_ZK_WATCH_CHILDREN));
    ask(&stage, 0, 5, stage_watch(PROTO_ZK_OP_CHECK_WATCHES, "/a", 9));
    ask(&stage, 0, 6, stage_watch(PROTO_ZK_OP_REMOVE_WATCHES, "/a", PROTO_ZK_WATCH_ANY));
    ask(&stage, 0, 7, stage_watch(PROTO_ZK_OP_REMOVE_WATCHES, "/a", PROTO_ZK_WATCH_ANY));
    ask(&stage, 0, 8, stage_set("/a", "1"));
    stage_go(&stage);
    stage_expect(&stage, 0,
                 "1:OK=/a 2:OK 3:OK 4:NOWATCHER 5:MARSHALLINGERROR 6:OK 7:NOWATCHER 8:OK ");
    stage_close(&stage);
}

static const struct proto_zk_acl for_bob = {
    PROTO_ZK_PERM_ALL,
    {RT_BYTES_LITERAL("digest"), RT_BYTES_LITERAL("bob:ikIaKsbtGweaHnb/jKn7OHqbunM=")}};

// What a connection may not read it does not hear of either; the watch is gone all the same.
Test(meta_zk_watches, events_are_for_those_who_may_read) {
    struct stage stage;
    start(&stage);
    struct proto_zk_op create = stage_create("/s", "", 0);
    create.create.acl.items = &for_bob;
    ask(&stage, 0, 1, stage_read(PROTO_ZK_OP_EXISTS, "/s", true));
    ask(&stage, 1, PROTO_ZK_XID_AUTH, stage_auth("digest", "bob:pw"));
    ask(&stage, 1, 1, stage_read(PROTO_ZK_OP_EXISTS, "/s", true));
    stage_go(&stage);
    ask(&stage, 1, 2, create);
    stage_go(&stage);
    stage_expect(&stage, 0, "1:NONODE ");
    stage_expect(&stage, 1, "-4:OK 1:NONODE event NodeCreated /s 2:OK=/s ");
    ask(&stage, 0, 2, stage_watch(PROTO_ZK_OP_CHECK_WATCHES, "/s", PROTO_ZK_WATCH_ANY));
    stage_go(&stage);
    stage_expect(&stage, 0, "2:NOWATCHER ");
    stage_close(&stage);
}

Test(meta_zk_watches, go_with_their_connection) {
    struct stage stage;
    start(&stage);
    ask(&stage, 0, 1, stage_read(PROTO_ZK_OP_EXISTS, "/a", true));
    stage_go(&stage);
    cr_assert_eq(meta_server_stats(stage.server).watch_count, 1);
    stage_dial(&stage, 2);
    stage_hello_again(&stage, 2, 0);
    stage_go(&stage);
    cr_assert_eq(meta_server_stats(stage.server).watch_count, 0);
    stage_close(&stage);
}
