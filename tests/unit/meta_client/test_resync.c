// How watches outlive connections.
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/meta_client/stage.h"

static void start_at(struct stage *stage, const char *servers) {
    stage_init(stage);
    stage->options.servers = servers;
    stage_open(stage);
    stage_expect_client(stage, "CONNECTED");
    stage_expect_servers(stage, "1:connect session=0 zxid=0;");
}

static void start(struct stage *stage) {
    start_at(stage, "s1");
}

static void forget(struct stage *stage) {
    stage->client_log.size = stage->server_log.size = 0;
    stage->client_log.text[0] = stage->server_log.text[0] = '\0';
}

static void get(struct stage *stage, unsigned slot, const char *path, int watch) {
    stage_read(stage, slot, PROTO_ZK_OP_GET_DATA, path, watch);
}

static void changed(struct stage *stage, const char *path) {
    fake_event(&stage->fakes[0], PROTO_ZK_EVENT_NODE_DATA_CHANGED, path);
}

Test(meta_client_resync, are_set_anew_by_kind_before_what_waits) {
    struct stage stage;
    start(&stage);
    get(&stage, 0, "/a", 0);
    stage_read(&stage, 1, PROTO_ZK_OP_EXISTS, "/b", 0);
    stage_read(&stage, 2, PROTO_ZK_OP_EXISTS, "/missing", 0);
    stage_read(&stage, 3, PROTO_ZK_OP_GET_CHILDREN, "/a", 1);
    forget(&stage);
    fake_hang_up(&stage.fakes[0]);
    get(&stage, 4, "/a", -1);
    stage_run(&stage, 100);
    stage_expect_servers(&stage,
                         "1:connect session=77 zxid=104; 1:setWatches zxid=104 data=/a,/b "
                         "exist=/missing child=/a; 1:getData /a;");
    stage_add_watch(&stage, 5, "/p", PROTO_ZK_ADD_PERSISTENT, 0);
    stage_add_watch(&stage, 6, "/r", PROTO_ZK_ADD_PERSISTENT_RECURSIVE, 0);
    forget(&stage);
    fake_hang_up(&stage.fakes[0]);
    stage_run(&stage, 200);
    stage_expect_servers(&stage,
                         "1:connect session=77 zxid=108; 1:setWatches2 zxid=108 data=/a,/b "
                         "exist=/missing child=/a persistent=/p recursive=/r;");
    stage_fini(&stage);
}

Test(meta_client_resync, what_fired_is_not_set_anew) {
    struct stage stage;
    start(&stage);
    get(&stage, 0, "/a", 0);
    get(&stage, 1, "/b", 0);
    changed(&stage, "/a");
    forget(&stage);
    fake_hang_up(&stage.fakes[0]);
    stage_run(&stage, 100);
    stage_expect_servers(&stage, "1:connect session=77 zxid=102; 1:setWatches zxid=102 data=/b;");
    changed(&stage, "/b");
    forget(&stage);
    fake_hang_up(&stage.fakes[0]);
    stage_run(&stage, 200);
    stage_expect_servers(&stage, "1:connect session=77 zxid=102;");
    stage_fini(&stage);
}

Test(meta_client_resync, below_a_chroot_are_set_anew_where_they_are) {
    struct stage stage;
    start_at(&stage, "s1/c");
    get(&stage, 0, "/a", 0);
    stage_add_watch(&stage, 1, "/", PROTO_ZK_ADD_PERSISTENT_RECURSIVE, 1);
    changed(&stage, "/c");
    changed(&stage, "/ca");
    changed(&stage, "/a");
    changed(&stage, "/c/x/y");
    stage_expect_client(&stage, "0:RT_OK 1:RT_OK w1:NodeDataChanged / w1:NodeDataChanged /x/y");
    forget(&stage);
    fake_hang_up(&stage.fakes[0]);
    stage_run(&stage, 100);
    stage_expect_servers(&stage,
                         "1:connect session=77 zxid=102; 1:setWatches2 zxid=102 data=/c/a "
                         "recursive=/c;");
    changed(&stage, "/c/a");
    stage_expect_client(&stage,
                        "DISCONNECTED CONNECTED w0:NodeDataChanged /a w1:NodeDataChanged /a");
    stage_fini(&stage);
}

static char long_paths[STAGE_OPS][60001];

static void watch_long_paths(struct stage *stage, unsigned count, size_t size) {
    for (unsigned i = 0; i < count; i++) {
        memset(long_paths[i], 'a', size);
        long_paths[i][0] = '/';
        long_paths[i][1] = (char)('A' + i);
        long_paths[i][size] = '\0';
        get(stage, i, long_paths[i], 0);
        cr_assert_eq(stage->ops[i].err, RT_OK);
    }
    stage->fakes[0].request_size_max = 0;
}

Test(meta_client_resync, many_are_set_anew_by_several_requests) {
    struct stage stage;
    start(&stage);
    watch_long_paths(&stage, 30, 20000);
    fake_hang_up(&stage.fakes[0]);
    stage_run(&stage, 1000);
    cr_assert_eq(stage.fakes[0].set_watches, 5);
    cr_assert_eq(stage.fakes[0].set_watches_paths, 30);
    cr_assert_leq(stage.fakes[0].request_size_max, 132 << 10);
    fake_hang_up(&stage.fakes[0]);
    stage_run(&stage, 1000);
    cr_assert_eq(stage.fakes[0].set_watches_paths, 60);
    stage_fini(&stage);
}

// A server with a lower limit breaks the connection at every attempt.
Test(meta_client_resync, are_set_anew_by_requests_within_the_limit) {
    for (size_t limit = 100; limit < 1000; limit += 37) {
        struct stage stage;
        stage_init(&stage);
        stage.options.request_size_max = limit;
        stage_open(&stage);
        watch_long_paths(&stage, 30, 50);
        fake_hang_up(&stage.fakes[0]);
        stage_run(&stage, 1000);
        cr_assert_eq(stage.fakes[0].set_watches_paths, 30);
        cr_assert_leq(stage.fakes[0].request_size_max, limit);
        stage_fini(&stage);
    }
}

Test(meta_client_resync, one_path_of_all_kinds_may_take_several_requests) {
    struct stage stage;
    stage_init(&stage);
    stage.options.request_size_max = 200;
    stage_open(&stage);
    watch_long_paths(&stage, 1, 150);
    stage_read(&stage, 1, PROTO_ZK_OP_GET_CHILDREN2, long_paths[0], 0);
    stage_add_watch(&stage, 2, long_paths[0], PROTO_ZK_ADD_PERSISTENT, 0);
    stage_add_watch(&stage, 3, long_paths[0], PROTO_ZK_ADD_PERSISTENT_RECURSIVE, 0);
    fake_hang_up(&stage.fakes[0]);
    stage_run(&stage, 1000);
    cr_assert_eq(stage.fakes[0].set_watches_paths, 4);
    cr_assert_leq(stage.fakes[0].request_size_max, 200);
    stage_fini(&stage);
}

// The longest that can be set anew is 40 bytes below the limit.
Test(meta_client_resync, path_that_could_not_be_set_anew_is_too_long_to_watch) {
    struct stage stage;
    stage_init(&stage);
    stage.options.request_size_max = 200;
    stage_open(&stage);
    watch_long_paths(&stage, 1, 160);
    memset(long_paths[1], 'b', 161);
    long_paths[1][0] = '/';
    long_paths[1][161] = '\0';
    get(&stage, 1, long_paths[1], 1);
    get(&stage, 2, long_paths[1], -1);
    stage_expect_client(&stage, "CONNECTED 0:RT_OK 1:RT_ETOOBIG 2:RT_OK");
    stage_fini(&stage);
}

// A connection too full for all of them at once, broken in the middle.
Test(meta_client_resync, setting_anew_goes_on_when_there_is_room_and_from_the_start_elsewhere) {
    struct stage stage;
    start(&stage);
    watch_long_paths(&stage, 30, 60000);
    stage.fakes[0].pauses = true;
    fake_hang_up(&stage.fakes[0]);
    get(&stage, 30, "/last", -1);
    stage_run(&stage, 200);
    stage_cancel(&stage, 1);
    stage.fakes[0].pauses = false;
    fake_hang_up(&stage.fakes[0]);
    stage_run(&stage, 2000);
    cr_assert_eq(stage.fakes[0].set_watches_paths, 30);
    cr_assert_eq(stage.ops[30].err, RT_OK);
    for (unsigned i = 0; i < 30; i++) changed(&stage, long_paths[i]);
    cr_assert_eq(stage.watches[0].calls, 30);
    stage_fini(&stage);
}

Test(meta_client_resync, events_of_what_was_missed_come_before_reads) {
    struct stage stage;
    start(&stage);
    get(&stage, 0, "/a", 0);
    forget(&stage);
    stage.fakes[0].holds = true;
    fake_hang_up(&stage.fakes[0]);
    stage.ops[1].stage = &stage;
    get(&stage, 1, "/a", -1);
    stage_run(&stage, 100);
    stage_expect_servers(&stage,
                         "1:connect session=77 zxid=101; 1:setWatches zxid=101 data=/a; "
                         "1:getData /a;");
    changed(&stage, "/a");
    stage.fakes[0].held[0].xid = PROTO_ZK_XID_SET_WATCHES;
    fake_release(&stage.fakes[0]);
    stage_expect_client(&stage, "DISCONNECTED CONNECTED w0:NodeDataChanged /a 1:RT_OK");
    stage_fini(&stage);
}
