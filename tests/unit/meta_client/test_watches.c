// Watches: what calls them and how often.
#include <criterion/criterion.h>
#include <stdio.h>
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

// KINDS

enum kind { DATA, EXIST, CHILD, PERSISTENT, RECURSIVE, KINDS };

// Watch 0 on "/missing" for EXIST, else on "/a".
static const char *watch_as(struct stage *stage, enum kind kind) {
    switch (kind) {
    case DATA: get(stage, 0, "/a", 0); break;
    case EXIST: stage_read(stage, 0, PROTO_ZK_OP_EXISTS, "/missing", 0); return "/missing";
    case CHILD: stage_read(stage, 0, PROTO_ZK_OP_GET_CHILDREN2, "/a", 0); break;
    case PERSISTENT: stage_add_watch(stage, 0, "/a", PROTO_ZK_ADD_PERSISTENT, 0); break;
    case RECURSIVE: stage_add_watch(stage, 0, "/a", PROTO_ZK_ADD_PERSISTENT_RECURSIVE, 0); break;
    case KINDS: break;
    }
    return "/a";
}

static unsigned calls_of(enum kind kind, int32_t event, const char *below) {
    struct stage stage;
    char path[32];
    start(&stage);
    snprintf(path, sizeof(path), "%s%s", watch_as(&stage, kind), below);
    fake_event(&stage.fakes[0], event, path);
    fake_event(&stage.fakes[0], event, path);
    unsigned calls = stage.watches[0].calls;
    stage_fini(&stage);
    return calls;
}

// Each event twice: standard ones are consumed by the first. By type: created, deleted, changed,
// children changed.
Test(meta_client_watches, hear_of_their_own_events) {
    static const unsigned calls[KINDS][4] = {[DATA] = {1, 1, 1, 0},
                                             [EXIST] = {1, 1, 1, 0},
                                             [CHILD] = {0, 1, 0, 1},
                                             [PERSISTENT] = {2, 2, 2, 2},
                                             [RECURSIVE] = {2, 2, 2, 0}};
    for (unsigned kind = 0; kind < KINDS; kind++) {
        for (int32_t event = 1; event <= 4; event++) {
            unsigned got = calls_of((enum kind)kind, event, "");
            cr_expect_eq(got, calls[kind][event - 1], "kind %u event %d: %u", kind, event, got);
        }
    }
}

Test(meta_client_watches, only_recursive_ones_hear_of_what_is_below) {
    for (unsigned kind = 0; kind < KINDS; kind++) {
        for (int32_t event = 1; event <= 4; event++) {
            unsigned expected = kind == RECURSIVE && event != 4 ? 2 : 0;
            cr_expect_eq(calls_of((enum kind)kind, event, "/b"), expected, "kind %u", kind);
            cr_expect_eq(calls_of((enum kind)kind, event, "/b/c/d"), expected, "kind %u", kind);
            cr_expect_eq(calls_of((enum kind)kind, event, "b"), 0, "kind %u", kind);
            cr_expect_eq(calls_of((enum kind)kind, event, "b/c"), 0, "kind %u", kind);
        }
    }
}

Test(meta_client_watches, recursive_one_on_the_root_hears_of_everything) {
    struct stage stage;
    start(&stage);
    stage_add_watch(&stage, 0, "/", PROTO_ZK_ADD_PERSISTENT_RECURSIVE, 0);
    changed(&stage, "/");
    changed(&stage, "/a");
    changed(&stage, "/a/b/c");
    stage_expect_client(&stage,
                        "0:RT_OK w0:NodeDataChanged / w0:NodeDataChanged /a "
                        "w0:NodeDataChanged /a/b/c");
    stage_fini(&stage);
}

Test(meta_client_watches, recursive_ones_of_all_depths_hear) {
    struct stage stage;
    start(&stage);
    stage_add_watch(&stage, 0, "/a/b/c", PROTO_ZK_ADD_PERSISTENT_RECURSIVE, 0);
    stage_add_watch(&stage, 1, "/a", PROTO_ZK_ADD_PERSISTENT_RECURSIVE, 1);
    stage_add_watch(&stage, 2, "/a/b/c/d", PROTO_ZK_ADD_PERSISTENT_RECURSIVE, 2);
    forget(&stage);
    changed(&stage, "/a/b/c/d/e");
    stage_expect_client(&stage,
                        "w2:NodeDataChanged /a/b/c/d/e w0:NodeDataChanged /a/b/c/d/e "
                        "w1:NodeDataChanged /a/b/c/d/e");
    changed(&stage, "/a/b/c");
    stage_expect_client(&stage, "w0:NodeDataChanged /a/b/c w1:NodeDataChanged /a/b/c");
    stage_fini(&stage);
}

Test(meta_client_watches, only_reads_that_succeed_watch_but_exists_always_does) {
    struct stage stage;
    start(&stage);
    get(&stage, 0, "/missing", 0);
    stage_read(&stage, 1, PROTO_ZK_OP_GET_CHILDREN2, "/missing", 1);
    stage_read(&stage, 2, PROTO_ZK_OP_EXISTS, "/missing", 2);
    forget(&stage);
    fake_event(&stage.fakes[0], PROTO_ZK_EVENT_NODE_CREATED, "/missing");
    stage_expect_client(&stage, "w2:NodeCreated /missing");
    stage_fini(&stage);
}

Test(meta_client_watches, exists_that_fails_otherwise_does_not_watch) {
    struct stage stage;
    start(&stage);
    stage.fakes[0].holds = true;
    stage_read(&stage, 0, PROTO_ZK_OP_EXISTS, "/a", 0);
    struct proto_zk_reply reply = {.header.err = PROTO_ZK_ERR_NOAUTH};
    fake_answer(&stage.fakes[0], &reply);
    stage_add_watch(&stage, 1, "/a", PROTO_ZK_ADD_PERSISTENT, 1);
    fake_answer(&stage.fakes[0], &reply);
    forget(&stage);
    fake_event(&stage.fakes[0], PROTO_ZK_EVENT_NODE_CREATED, "/a");
    stage_expect_client(&stage, "%s", "");
    stage.fakes[0].holds = false;
    stage_fini(&stage);
}

// ONCE

Test(meta_client_watches, one_event_calls_one_watch_once) {
    struct stage stage;
    start(&stage);
    get(&stage, 0, "/a/b", 0);
    get(&stage, 1, "/a/b", 0);
    stage_read(&stage, 2, PROTO_ZK_OP_GET_CHILDREN2, "/a/b", 0);
    stage_add_watch(&stage, 3, "/a/b", PROTO_ZK_ADD_PERSISTENT, 0);
    stage_add_watch(&stage, 4, "/a", PROTO_ZK_ADD_PERSISTENT_RECURSIVE, 0);
    forget(&stage);
    fake_event(&stage.fakes[0], PROTO_ZK_EVENT_NODE_DELETED, "/a/b");
    stage_expect_client(&stage, "w0:NodeDeleted /a/b");
    changed(&stage, "/a/b");
    stage_expect_client(&stage, "w0:NodeDataChanged /a/b");
    stage_fini(&stage);
}

Test(meta_client_watches, one_event_calls_all_watches_in_the_order_they_were_set) {
    struct stage stage;
    start(&stage);
    get(&stage, 0, "/a", 2);
    get(&stage, 1, "/a", 0);
    get(&stage, 2, "/a", 1);
    forget(&stage);
    changed(&stage, "/a");
    changed(&stage, "/a");
    stage_expect_client(&stage,
                        "w2:NodeDataChanged /a w0:NodeDataChanged /a w1:NodeDataChanged /a");
    stage_fini(&stage);
}

Test(meta_client_watches, one_may_watch_many_paths) {
    struct stage stage;
    start(&stage);
    get(&stage, 0, "/a", 0);
    get(&stage, 1, "/b", 0);
    forget(&stage);
    changed(&stage, "/b");
    changed(&stage, "/a");
    stage_expect_client(&stage, "w0:NodeDataChanged /b w0:NodeDataChanged /a");
    stage_fini(&stage);
}

Test(meta_client_watches, callback_may_watch_again) {
    struct stage stage;
    start(&stage);
    get(&stage, 0, "/a", 0);
    stage.watches[0].reads = 0;
    forget(&stage);
    changed(&stage, "/a");
    stage_expect_client(&stage, "w0:NodeDataChanged /a 0:RT_OK");
    stage_expect_servers(&stage, "1:getData /a watch;");
    changed(&stage, "/a");
    stage_expect_client(&stage, "w0:NodeDataChanged /a 0:RT_OK");
    stage.watches[0].reads = -1;
    stage_fini(&stage);
}

// ORDER

Test(meta_client_watches, event_is_told_before_the_read_that_sees_the_change) {
    struct stage stage;
    start(&stage);
    get(&stage, 0, "/a", 0);
    stage.fakes[0].holds = true;
    get(&stage, 1, "/a", 0);
    changed(&stage, "/a");
    fake_release(&stage.fakes[0]);
    stage_expect_client(&stage, "0:RT_OK w0:NodeDataChanged /a 1:RT_OK");
    changed(&stage, "/a");
    stage_expect_client(&stage, "w0:NodeDataChanged /a");
    stage_fini(&stage);
}

// CANCELLING

static void expect_silence(struct stage *stage, unsigned watch) {
    fake_event(&stage->fakes[0], PROTO_ZK_EVENT_NODE_DATA_CHANGED, "/a");
    fake_event(&stage->fakes[0], PROTO_ZK_EVENT_NODE_DELETED, "/a");
    fake_event(&stage->fakes[0], PROTO_ZK_EVENT_NODE_CREATED, "/missing");
    cr_assert_eq(stage->watches[watch].calls, 0);
    stage->fakes[0].set_watches = 0;
    fake_hang_up(&stage->fakes[0]);
    stage_run(stage, 1000);
    cr_assert_eq(stage->fakes[0].set_watches, 0, "it was set anew");
    stage_close(stage);
    cr_assert_eq(stage->watches[watch].calls, 0);
    stage_fini(stage);
}

Test(meta_client_watches, cancelled_one_is_not_called_of_any_kind) {
    for (unsigned kind = 0; kind < KINDS; kind++) {
        struct stage stage;
        start(&stage);
        watch_as(&stage, (enum kind)kind);
        stage_cancel(&stage, 0);
        stage_cancel(&stage, 0);
        expect_silence(&stage, 0);
    }
}

Test(meta_client_watches, cancelled_before_its_read_is_answered) {
    for (unsigned kind = 0; kind < KINDS; kind++) {
        struct stage stage;
        start(&stage);
        stage.fakes[0].holds = true;
        watch_as(&stage, (enum kind)kind);
        stage_cancel(&stage, 0);
        fake_release(&stage.fakes[0]);
        cr_assert_eq(stage.ops[0].dones, 1);
        expect_silence(&stage, 0);
    }
}

Test(meta_client_watches, cancelled_before_its_read_is_sent) {
    for (unsigned kind = 0; kind < KINDS; kind++) {
        struct stage stage;
        stage_init(&stage);
        stage.fakes[0].mode = FAKE_IS_SILENT;
        stage_open(&stage);
        watch_as(&stage, (enum kind)kind);
        stage_cancel(&stage, 0);
        stage.fakes[0].mode = FAKE_SERVES;
        stage_run(&stage, 7000);
        cr_assert_eq(stage.ops[0].dones, 1);
        expect_silence(&stage, 0);
    }
}

Test(meta_client_watches, cancelled_by_its_neighbour_while_both_are_called) {
    struct stage stage;
    start(&stage);
    get(&stage, 0, "/a", 0);
    get(&stage, 1, "/a", 1);
    get(&stage, 2, "/a", 2);
    stage.watches[0].cancels = &stage.watches[1];
    changed(&stage, "/a");
    cr_assert_eq(stage.watches[2].calls, 1);
    expect_silence(&stage, 1);
}

Test(meta_client_watches, cancelled_by_itself) {
    struct stage stage;
    start(&stage);
    get(&stage, 0, "/a", 0);
    get(&stage, 1, "/b", 0);
    stage_add_watch(&stage, 2, "/a", PROTO_ZK_ADD_PERSISTENT, 0);
    stage.watches[0].cancels = &stage.watches[0];
    changed(&stage, "/a");
    cr_assert_eq(stage.watches[0].calls, 1);
    stage.watches[0].calls = 0;
    changed(&stage, "/b");
    expect_silence(&stage, 0);
}

Test(meta_client_watches, cancelling_what_was_never_set_or_is_over_does_nothing) {
    struct stage stage;
    start(&stage);
    stage_cancel(&stage, 0);
    get(&stage, 0, "/a", 1);
    changed(&stage, "/a");
    stage_cancel(&stage, 1);
    get(&stage, 1, "/a", 2);
    stage.fakes[0].mode = FAKE_EXPIRES;
    fake_hang_up(&stage.fakes[0]);
    stage_run(&stage, 100);
    stage_cancel(&stage, 2);
    stage_expect_client(&stage,
                        "0:RT_OK w1:NodeDataChanged /a 1:RT_OK DISCONNECTED "
                        "w2:None(-112) EXPIRED");
    stage_fini(&stage);
}

Test(meta_client_watches, cancelled_one_may_be_set_again) {
    struct stage stage;
    start(&stage);
    get(&stage, 0, "/a", 0);
    stage_cancel(&stage, 0);
    get(&stage, 1, "/a", 0);
    changed(&stage, "/a");
    cr_assert_eq(stage.watches[0].calls, 1);
    stage_fini(&stage);
}

// REMOVING, on the server too

static void remove_of(struct stage *stage, unsigned slot, const char *path, int32_t type) {
    struct proto_zk_request request = {.op = {.opcode = PROTO_ZK_OP_REMOVE_WATCHES,
                                              .watch = {.path = rt_bytes_of(path), .type = type}}};
    stage_send(stage, slot, &request, NULL);
}

static void watch_all_kinds(struct stage *stage) {
    get(stage, 0, "/a", 0);
    stage_read(stage, 1, PROTO_ZK_OP_GET_CHILDREN2, "/a", 1);
    stage_add_watch(stage, 2, "/a", PROTO_ZK_ADD_PERSISTENT, 2);
    stage_add_watch(stage, 3, "/a", PROTO_ZK_ADD_PERSISTENT_RECURSIVE, 3);
    forget(stage);
}

Test(meta_client_watches, removed_ones_hear_of_it_and_are_not_set_anew) {
    static const struct {
        int32_t type;
        const char *told, *anew;
    } cases[] = {
        {PROTO_ZK_WATCH_DATA, "w0:DataWatchRemoved /a ",
         "1:setWatches2 zxid=106 child=/c/a persistent=/c/a recursive=/c/a;"},
        {PROTO_ZK_WATCH_CHILDREN, "w1:ChildWatchRemoved /a ",
         "1:setWatches2 zxid=106 data=/c/a persistent=/c/a recursive=/c/a;"},
        {PROTO_ZK_WATCH_PERSISTENT, "w2:PersistentWatchRemoved /a ",
         "1:setWatches2 zxid=106 data=/c/a child=/c/a recursive=/c/a;"},
        {PROTO_ZK_WATCH_PERSISTENT_RECURSIVE, "w3:PersistentWatchRemoved /a ",
         "1:setWatches2 zxid=106 data=/c/a child=/c/a persistent=/c/a;"},
        {PROTO_ZK_WATCH_ANY,
         "w0:DataWatchRemoved /a w1:ChildWatchRemoved /a w2:PersistentWatchRemoved /a "
         "w3:PersistentWatchRemoved /a ",
         ""},
        {99, "", "1:setWatches2 zxid=106 data=/c/a child=/c/a persistent=/c/a recursive=/c/a;"},
    };
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct stage stage;
        start_at(&stage, "s1/c");
        watch_all_kinds(&stage);
        remove_of(&stage, 4, "/a", cases[i].type);
        remove_of(&stage, 5, "/b", PROTO_ZK_WATCH_ANY);
        stage_expect_client(&stage, "%s4:RT_OK 5:RT_OK", cases[i].told);
        stage_expect_servers(&stage, "1:removeWatches /c/a; 1:removeWatches /c/b;");
        fake_hang_up(&stage.fakes[0]);
        stage_run(&stage, 100);
        bool anew = cases[i].anew[0] != '\0';
        stage_expect_servers(&stage, "1:connect session=77 zxid=106;%s%s", anew ? " " : "",
                             cases[i].anew);
        stage_fini(&stage);
    }
}

Test(meta_client_watches, refused_removal_removes_nothing) {
    struct stage stage;
    start(&stage);
    watch_all_kinds(&stage);
    stage.fakes[0].holds = true;
    remove_of(&stage, 4, "/a", PROTO_ZK_WATCH_ANY);
    struct proto_zk_reply reply = {.header.err = PROTO_ZK_ERR_NOWATCHER};
    fake_answer(&stage.fakes[0], &reply);
    stage_expect_client(&stage, "4:RT_EREFUSED/NOWATCHER");
    changed(&stage, "/a");
    cr_assert(stage.watches[0].calls == 1 && stage.watches[2].calls == 1);
    stage.fakes[0].holds = false;
    stage_fini(&stage);
}

// THE END

Test(meta_client_watches, each_is_called_once_when_the_session_ends) {
    struct stage stage;
    start(&stage);
    get(&stage, 0, "/a", 0);
    get(&stage, 1, "/b", 0);
    stage_read(&stage, 2, PROTO_ZK_OP_GET_CHILDREN2, "/a", 0);
    stage_add_watch(&stage, 3, "/a", PROTO_ZK_ADD_PERSISTENT_RECURSIVE, 1);
    forget(&stage);
    stage_close(&stage);
    stage_expect_client(&stage, "w0:None(7) w1:None(7) CLOSED closed");
    stage_fini(&stage);
}

// TWO CLIENTS

static struct meta_client *second;

static void second_open_act(struct stage *stage) {
    struct rt_why why = {{0}};
    struct meta_client_options options = stage->options;
    options.on_state = NULL;
    rt_err err = meta_client_open(stage->loop, &options, &second, &why);
    cr_assert_not(err);
}

static void second_get_act(struct stage *stage) {
    stage->ops[1].stage = stage;
    meta_client_get(second, &stage->ops[1].op, RT_BYTES_LITERAL("/a"), &stage->watches[0].watch,
                    stage_done());
}

static void second_close_act(struct stage *stage) {
    meta_client_abandon(second, &stage->second_closed);
}

Test(meta_client_watches, one_of_two_clients_is_cancelled_with_one_and_stays_with_the_other) {
    struct stage stage;
    start(&stage);
    get(&stage, 0, "/a", 0);
    stage_act(&stage, second_open_act);
    stage_act(&stage, second_get_act);
    cr_assert_eq(stage.ops[1].err, RT_OK);
    stage_cancel(&stage, 0);
    changed(&stage, "/a");  // on the latest connection, the second client's
    cr_assert_eq(stage.watches[0].calls, 1);
    stage_act(&stage, second_close_act);
    stage_run(&stage, 1000);
    stage_fini(&stage);
}
