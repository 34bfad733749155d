#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/meta_zk/stage.h"

enum { MANY = 20000 };

static void ask(struct stage *stage, unsigned client, int32_t xid, struct proto_zk_op op) {
    stage_ask(stage, client, xid, &op);
}

struct lists {
    struct rt_bytes data[4], exist[4], child[4], persistent[1], recursive[1];
};

static struct proto_zk_op set_watches(struct lists *lists, int32_t opcode, int64_t zxid) {
    const struct rt_bytes paths[] = {RT_BYTES_LITERAL("/none"), RT_BYTES_LITERAL("/old"),
                                     RT_BYTES_LITERAL("/new"), RT_BYTES_LITERAL("/parent")};
    memcpy(lists->data, paths, sizeof(paths));
    memcpy(lists->exist, paths, sizeof(paths));
    memcpy(lists->child, paths, sizeof(paths));
    lists->persistent[0] = RT_BYTES_LITERAL("/p");
    lists->recursive[0] = RT_BYTES_LITERAL("/r");
    return (struct proto_zk_op){
        .opcode = opcode,
        .set_watches = {.relative_zxid = zxid,
                        .data = {lists->data, 4, false},
                        .exist = {lists->exist, 4, false},
                        .child = {lists->child, 4, false},
                        .persistent = {lists->persistent, 1, false},
                        .persistent_recursive = {lists->recursive, 1, false}}};
}

static int64_t prepare(struct stage *stage) {
    stage_init(stage);
    stage_open(stage);
    stage_enter(stage, 0);
    stage_enter(stage, 1);
    ask(stage, 1, 1, stage_create("/old", "", 0));
    ask(stage, 1, 2, stage_create("/parent", "", 0));
    stage_go(stage);
    int64_t seen = (int64_t)stage->replica.index;
    ask(stage, 1, 3, stage_create("/new", "", 0));
    ask(stage, 1, 4, stage_create("/parent/child", "", 0));
    stage_go(stage);
    return seen;
}

Test(meta_zk_set_watches, what_changed_is_told_and_the_rest_is_watched) {
    struct stage stage;
    struct lists lists;
    int64_t seen = prepare(&stage);
    ask(&stage, 0, 1, set_watches(&lists, PROTO_ZK_OP_SET_WATCHES, seen));
    stage_go(&stage);
    stage_expect(&stage, 0,
                 "event NodeDeleted /none event NodeDataChanged /new "
                 "event NodeCreated /old event NodeCreated /new event NodeCreated /parent "
                 "event NodeDeleted /none event NodeChildrenChanged /new "
                 "event NodeChildrenChanged /parent 1:OK ");
    ask(&stage, 1, 5, stage_create("/none", "", 0));
    ask(&stage, 1, 6, stage_set("/old", "1"));
    ask(&stage, 1, 7, stage_set("/new", "1"));
    ask(&stage, 1, 8, stage_create("/old/child", "", 0));
    ask(&stage, 1, 9, stage_create("/p", "", 0));
    stage_go(&stage);
    stage_expect(&stage, 0,
                 "event NodeCreated /none event NodeDataChanged /old "
                 "event NodeChildrenChanged /old ");
    stage_close(&stage);
}

Test(meta_zk_set_watches, second_form_brings_the_lasting_ones) {
    struct stage stage;
    struct lists lists;
    int64_t seen = prepare(&stage);
    ask(&stage, 0, PROTO_ZK_XID_SET_WATCHES,
        set_watches(&lists, PROTO_ZK_OP_SET_WATCHES2, seen + 100));
    stage_go(&stage);
    stage_expect(&stage, 0,
                 "event NodeDeleted /none event NodeCreated /old event NodeCreated /new "
                 "event NodeCreated /parent event NodeDeleted /none -8:OK ");
    ask(&stage, 1, 5, stage_create("/p", "", 0));
    ask(&stage, 1, 6, stage_create("/r", "", 0));
    ask(&stage, 1, 7, stage_create("/r/x", "", 0));
    stage_go(&stage);
    stage_expect(&stage, 0, "event NodeCreated /p event NodeCreated /r event NodeCreated /r/x ");
    stage_close(&stage);
}

// More than one turn is given: the requests behind it wait, and events go out meanwhile.
Test(meta_zk_set_watches, very_long_ones_take_several_turns_and_stay_in_their_place) {
    struct stage stage;
    static struct rt_bytes paths[MANY];
    static char text[MANY][12];
    prepare(&stage);
    for (size_t i = 0; i < MANY; i++) {
        snprintf(text[i], sizeof(text[i]), "/n%zu", i);
        paths[i] = rt_bytes_of(text[i]);
    }
    ask(&stage, 0, 1,
        (struct proto_zk_op){.opcode = PROTO_ZK_OP_SET_WATCHES,
                             .set_watches = {.exist = {paths, MANY, false}}});
    ask(&stage, 0, 2, stage_read(PROTO_ZK_OP_EXISTS, "/n19999", false));
    ask(&stage, 0, 3, stage_create("/n7", "", 0));
    stage_go(&stage);
    stage_run(&stage, 1000);
    stage_expect(&stage, 0, "1:OK 2:NONODE event NodeCreated /n7 3:OK=/n7 ");
    cr_assert_eq(meta_server_stats(stage.server).watch_count, MANY - 1);
    stage_close(&stage);
}
