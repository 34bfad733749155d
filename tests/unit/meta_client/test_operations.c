// Requests and their replies.
#include <criterion/criterion.h>
#include <string.h>

#include "meta/client/client_internal.h"
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

static void get(struct stage *stage, unsigned slot, const char *path) {
    stage_read(stage, slot, PROTO_ZK_OP_GET_DATA, path, -1);
}

// ORDER

Test(meta_client_operations, are_pipelined_and_complete_in_order) {
    struct stage stage;
    start(&stage);
    stage.fakes[0].holds = true;
    get(&stage, 0, "/a");
    stage_read(&stage, 1, PROTO_ZK_OP_EXISTS, "/missing", -1);
    stage_read(&stage, 2, PROTO_ZK_OP_SYNC, "/c", -1);
    stage_expect_servers(&stage, "1:getData /a; 1:exists /missing; 1:sync /c;");
    stage_expect_client(&stage, "%s", "");
    fake_release(&stage.fakes[0]);
    stage_expect_client(&stage, "0:RT_OK 1:RT_EREFUSED/NONODE 2:RT_OK=/c");
    stage_fini(&stage);
}

Test(meta_client_operations, may_start_the_next_when_they_are_done) {
    struct stage stage;
    start(&stage);
    stage.ops[0].again = true;
    get(&stage, 0, "/a");
    stage_expect_client(&stage, "0:RT_OK 0:RT_OK");
    stage_expect_servers(&stage, "1:getData /a; 1:getData /a;");
    stage_fini(&stage);
}

static void refused_act(struct stage *stage) {
    struct proto_zk_request request = {
        .op = {.opcode = PROTO_ZK_OP_GET_DATA, .path = RT_BYTES_LITERAL("a")}};
    stage->ops[0].stage = stage;
    meta_client_send(stage->client, &stage->ops[0].op, &request, NULL, stage_done());
    cr_assert_eq(stage->ops[0].dones, 0);
}

Test(meta_client_operations, are_never_done_before_the_call_returns) {
    struct stage stage;
    start(&stage);
    stage_act(&stage, refused_act);
    cr_assert_eq(stage.ops[0].dones, 1);
    stage_fini(&stage);
}

// PATHS

static const int32_t path_opcodes[] = {
    PROTO_ZK_OP_CREATE,         PROTO_ZK_OP_DELETE,
    PROTO_ZK_OP_EXISTS,         PROTO_ZK_OP_GET_DATA,
    PROTO_ZK_OP_SET_DATA,       PROTO_ZK_OP_GET_ACL,
    PROTO_ZK_OP_SET_ACL,        PROTO_ZK_OP_GET_CHILDREN,
    PROTO_ZK_OP_SYNC,           PROTO_ZK_OP_GET_CHILDREN2,
    PROTO_ZK_OP_CREATE2,        PROTO_ZK_OP_CHECK_WATCHES,
    PROTO_ZK_OP_REMOVE_WATCHES, PROTO_ZK_OP_CREATE_CONTAINER,
    PROTO_ZK_OP_CREATE_TTL,     PROTO_ZK_OP_GET_ALL_CHILDREN_NUMBER,
    PROTO_ZK_OP_ADD_WATCH,
};

static bool answers_path(int32_t opcode) {
    return opcode == PROTO_ZK_OP_CREATE || opcode == PROTO_ZK_OP_CREATE2 ||
           opcode == PROTO_ZK_OP_CREATE_CONTAINER || opcode == PROTO_ZK_OP_CREATE_TTL ||
           opcode == PROTO_ZK_OP_SYNC;
}

Test(meta_client_operations, every_path_is_below_the_chroot_and_comes_back_without_it) {
    struct stage stage;
    start_at(&stage, "s1/c/d");
    for (unsigned i = 0; i < sizeof(path_opcodes) / sizeof(path_opcodes[0]); i++) {
        int32_t opcode = path_opcodes[i];
        if (opcode == PROTO_ZK_OP_GET_ALL_CHILDREN_NUMBER) stage.fakes[0].serve = NULL;
        stage_read(&stage, 0, opcode, "/x", -1);
        stage_expect_client(&stage, "0:RT_OK%s", answers_path(opcode) ? "=/x" : "");
        stage_expect_servers(&stage, "1:%s /c/d/x;", proto_zk_op_name(opcode));
        stage_read(&stage, 0, opcode, "/", -1);
        stage_expect_client(&stage, "0:RT_OK%s", answers_path(opcode) ? "=/" : "");
        stage_expect_servers(&stage, "1:%s /c/d;", proto_zk_op_name(opcode));
    }
    stage_fini(&stage);
}

Test(meta_client_operations, paths_without_a_chroot_are_sent_as_they_are) {
    struct stage stage;
    start(&stage);
    stage_read(&stage, 0, PROTO_ZK_OP_CREATE, "/c/d/x", -1);
    stage_expect_client(&stage, "0:RT_OK=/c/d/x");
    stage_expect_servers(&stage, "1:create /c/d/x;");
    stage_fini(&stage);
}

Test(meta_client_operations, requests_without_a_path_have_none_put_in) {
    static const int32_t opcodes[] = {PROTO_ZK_OP_WHO_AM_I, PROTO_ZK_OP_RECONFIG, PROTO_ZK_OP_MULTI,
                                      PROTO_ZK_OP_MULTI_READ};
    struct stage stage;
    start_at(&stage, "s1/c");
    for (unsigned i = 0; i < sizeof(opcodes) / sizeof(opcodes[0]); i++) {
        struct proto_zk_request request = {.op = {.opcode = opcodes[i]}};
        stage_send(&stage, 0, &request, NULL);
        stage_expect_client(&stage, "0:RT_OK");
        stage_expect_servers(&stage, "1:%s;", proto_zk_op_name(opcodes[i]));
    }
    stage_fini(&stage);
}

static struct proto_zk_result created(int32_t opcode, const char *path) {
    return (struct proto_zk_result){.opcode = opcode, .body.path = rt_bytes_of(path)};
}

Test(meta_client_operations, multi_maps_every_part_of_request_and_reply) {
    struct stage stage;
    start_at(&stage, "s1/c");
    const struct proto_zk_op ops[] = {
        {.opcode = PROTO_ZK_OP_CHECK, .path = RT_BYTES_LITERAL("/")},
        {.opcode = PROTO_ZK_OP_CREATE, .path = RT_BYTES_LITERAL("/a")},
        {.opcode = PROTO_ZK_OP_CREATE2, .path = RT_BYTES_LITERAL("/a/b")},
        {.opcode = PROTO_ZK_OP_SET_DATA, .path = RT_BYTES_LITERAL("/a")},
        {.opcode = PROTO_ZK_OP_DELETE, .path = RT_BYTES_LITERAL("/z")},
    };
    struct proto_zk_request request = {
        .op = {.opcode = PROTO_ZK_OP_MULTI}, .ops = ops, .op_count = 5};
    stage.fakes[0].holds = true;
    stage_send(&stage, 0, &request, NULL);
    stage_expect_servers(&stage,
                         "1:multi check(/c) create(/c/a) create2(/c/a/b) setData(/c/a) "
                         "delete(/c/z);");
    const struct proto_zk_result results[] = {
        {.opcode = PROTO_ZK_OP_CHECK},          created(PROTO_ZK_OP_CREATE, "/c/a"),
        created(PROTO_ZK_OP_CREATE2, "/c/a/b"), {.opcode = PROTO_ZK_OP_SET_DATA},
        {.opcode = PROTO_ZK_OP_DELETE},
    };
    struct proto_zk_reply reply = {.results = results, .result_count = 5};
    fake_answer(&stage.fakes[0], &reply);
    stage_expect_client(&stage, "0:RT_OK{}{/a}{/a/b}{}{}");
    stage.fakes[0].holds = false;
    stage_fini(&stage);
}

Test(meta_client_operations, multi_read_maps_its_paths) {
    struct stage stage;
    start_at(&stage, "s1/c");
    const struct proto_zk_op ops[] = {
        {.opcode = PROTO_ZK_OP_GET_DATA, .path = RT_BYTES_LITERAL("/a")},
        {.opcode = PROTO_ZK_OP_GET_CHILDREN, .path = RT_BYTES_LITERAL("/")}};
    struct proto_zk_request request = {
        .op = {.opcode = PROTO_ZK_OP_MULTI_READ}, .ops = ops, .op_count = 2};
    stage_send(&stage, 0, &request, NULL);
    stage_expect_servers(&stage, "1:multiRead getData(/c/a) getChildren(/c);");
    stage_fini(&stage);
}

Test(meta_client_operations, names_of_ephemerals_are_without_the_chroot) {
    static const struct rt_bytes names[] = {
        {(const uint8_t *)"/c/a", 4}, {(const uint8_t *)"/c", 2}, {(const uint8_t *)"/c/a/b", 6}};
    struct stage stage;
    start_at(&stage, "s1/c");
    stage.fakes[0].holds = true;
    stage_read(&stage, 0, PROTO_ZK_OP_GET_EPHEMERALS, "/", -1);
    struct proto_zk_reply reply = {.body.names = {names, 3, false}};
    fake_answer(&stage.fakes[0], &reply);
    stage_expect_client(&stage, "0:RT_OK[/a][/][/a/b]");
    stage_expect_servers(&stage, "1:getEphemerals /c;");
    stage.fakes[0].holds = false;
    stage_fini(&stage);
}

Test(meta_client_operations, relative_paths_are_refused_unsent) {
    static const char *const paths[] = {"", "a", "a/b", "../a"};
    struct stage stage;
    start_at(&stage, "s1/c");
    for (unsigned i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        get(&stage, 0, paths[i]);
        stage_expect_client(&stage, "0:RT_EREFUSED/BADARGUMENTS");
        const struct proto_zk_op op = {.opcode = PROTO_ZK_OP_DELETE, .path = rt_bytes_of(paths[i])};
        struct proto_zk_request request = {
            .op = {.opcode = PROTO_ZK_OP_MULTI}, .ops = &op, .op_count = 1};
        stage_send(&stage, 0, &request, NULL);
        stage_expect_client(&stage, "0:RT_EREFUSED/BADARGUMENTS");
    }
    stage_expect_servers(&stage, "%s", "");
    stage_fini(&stage);
}

// WHAT IS REFUSED

Test(meta_client_operations, what_the_client_does_itself_is_not_for_callers) {
    static const int32_t opcodes[] = {
        PROTO_ZK_OP_NOTIFICATION,
        PROTO_ZK_OP_PING,
        PROTO_ZK_OP_AUTH,
        PROTO_ZK_OP_SASL,
        PROTO_ZK_OP_SET_WATCHES,
        PROTO_ZK_OP_SET_WATCHES2,
        PROTO_ZK_OP_CHECK,
        PROTO_ZK_OP_CREATE_SESSION,
        PROTO_ZK_OP_CLOSE_SESSION,
        PROTO_ZK_OP_DELETE_CONTAINER,
        10,
        9999,
    };
    struct stage stage;
    start(&stage);
    for (unsigned i = 0; i < sizeof(opcodes) / sizeof(opcodes[0]); i++) {
        stage_read(&stage, 0, opcodes[i], "/a", -1);
        stage_expect_client(&stage, "0:RT_EUNSUPPORTED");
    }
    stage_expect_servers(&stage, "%s", "");
    stage_fini(&stage);
}

static void set(struct stage *stage, unsigned slot, size_t data_size) {
    static uint8_t data[1 << 20];
    struct proto_zk_request request = {
        .op = {.opcode = PROTO_ZK_OP_SET_DATA,
               .set_data = {.path = RT_BYTES_LITERAL("/a"), .data = RT_BYTES(data, data_size)}}};
    stage_send(stage, slot, &request, NULL);
}

// Header, path, length of the data, version.
enum { SET_OVERHEAD = 8 + 4 + 2 + 4 + 4 };

Test(meta_client_operations, request_may_be_as_long_as_servers_take_and_no_longer) {
    struct stage stage;
    start(&stage);
    set(&stage, 0, PROTO_ZK_FRAME_SIZE_MAX - SET_OVERHEAD);
    set(&stage, 1, PROTO_ZK_FRAME_SIZE_MAX - SET_OVERHEAD + 1);
    stage_run(&stage, 100);
    cr_assert_eq(stage.ops[0].err, RT_OK);
    cr_assert_eq(stage.ops[1].err, RT_ETOOBIG);
    stage_expect_servers(&stage, "1:setData /a;");
    stage_fini(&stage);
}

Test(meta_client_operations, request_limit_may_be_set) {
    struct stage stage;
    stage_init(&stage);
    stage.options.request_size_max = 100;
    stage_open(&stage);
    set(&stage, 0, 100 - SET_OVERHEAD);
    set(&stage, 1, 100 - SET_OVERHEAD + 1);
    stage_expect_client(&stage, "CONNECTED 0:RT_OK 1:RT_ETOOBIG");
    stage_fini(&stage);
}

Test(meta_client_operations, refused_one_with_a_watch_leaves_none) {
    struct stage stage;
    stage_init(&stage);
    stage.options.request_size_max = 12;
    stage_open(&stage);
    stage_read(&stage, 0, PROTO_ZK_OP_EXISTS, "/long", 0);
    stage_read(&stage, 1, PROTO_ZK_OP_EXISTS, "relative", 0);
    stage_close(&stage);
    stage_expect_client(&stage, "CONNECTED 0:RT_ETOOBIG 1:RT_EREFUSED/BADARGUMENTS CLOSED closed");
    stage_fini(&stage);
}

// ERRORS

Test(meta_client_operations, errors_of_the_server_are_passed_on) {
    static const int32_t errs[] = {PROTO_ZK_ERR_NONODE, PROTO_ZK_ERR_BADVERSION,
                                   PROTO_ZK_ERR_NODEEXISTS, PROTO_ZK_ERR_NOTEMPTY,
                                   PROTO_ZK_ERR_NOAUTH};
    struct stage stage;
    start(&stage);
    for (unsigned i = 0; i < sizeof(errs) / sizeof(errs[0]); i++) {
        stage.fakes[0].holds = true;
        set(&stage, 0, 1);
        struct proto_zk_reply reply = {.header.err = errs[i]};
        fake_answer(&stage.fakes[0], &reply);
        stage_expect_client(&stage, "0:RT_EREFUSED/%s", proto_zk_err_name(errs[i]));
    }
    stage.fakes[0].holds = false;
    stage_fini(&stage);
}

static struct proto_zk_result failed(int32_t err) {
    return (struct proto_zk_result){.opcode = PROTO_ZK_RESULT_ERROR, .err = err};
}

// Whose header says that all is well.
Test(meta_client_operations, failed_multi_ends_with_the_error_that_caused_it) {
    struct stage stage;
    start(&stage);
    const struct proto_zk_op ops[] = {
        {.opcode = PROTO_ZK_OP_DELETE, .path = RT_BYTES_LITERAL("/a")},
        {.opcode = PROTO_ZK_OP_DELETE, .path = RT_BYTES_LITERAL("/b")},
        {.opcode = PROTO_ZK_OP_DELETE, .path = RT_BYTES_LITERAL("/c")}};
    struct proto_zk_request request = {
        .op = {.opcode = PROTO_ZK_OP_MULTI}, .ops = ops, .op_count = 3};
    stage.fakes[0].holds = true;
    stage_send(&stage, 0, &request, NULL);
    const struct proto_zk_result results[] = {failed(PROTO_ZK_ERR_OK),
                                              failed(PROTO_ZK_ERR_NOTEMPTY),
                                              failed(PROTO_ZK_ERR_RUNTIMEINCONSISTENCY)};
    struct proto_zk_reply reply = {.results = results, .result_count = 3};
    fake_answer(&stage.fakes[0], &reply);
    stage_expect_client(&stage, "0:RT_EREFUSED/NOTEMPTY{}{}{}");
    stage.fakes[0].holds = false;
    stage_fini(&stage);
}

Test(meta_client_operations, multi_read_with_a_failed_part_has_not_failed) {
    struct stage stage;
    start(&stage);
    const struct proto_zk_op op = {.opcode = PROTO_ZK_OP_GET_DATA,
                                   .path = RT_BYTES_LITERAL("/missing")};
    struct proto_zk_request request = {
        .op = {.opcode = PROTO_ZK_OP_MULTI_READ}, .ops = &op, .op_count = 1};
    stage.fakes[0].holds = true;
    stage_send(&stage, 0, &request, NULL);
    const struct proto_zk_result result = failed(PROTO_ZK_ERR_NONODE);
    struct proto_zk_reply reply = {.results = &result, .result_count = 1};
    fake_answer(&stage.fakes[0], &reply);
    stage_expect_client(&stage, "0:RT_OK{}");
    stage.fakes[0].holds = false;
    stage_fini(&stage);
}

// A PEER THAT DOES NOT READ

enum { LARGE = 500 << 10 };

Test(meta_client_operations, what_the_connection_has_no_room_for_waits_in_order) {
    struct stage stage;
    start(&stage);
    fake_pause(&stage.fakes[0]);
    for (unsigned i = 0; i < 20; i++) set(&stage, i, LARGE);
    get(&stage, 20, "/b");
    struct meta_client *client = stage.client;
    cr_assert_gt(client->waiting_bytes, 10 * LARGE);
    cr_assert_leq(rt_conn_queued_bytes(&client->conn), (1 << 20) + LARGE + 1000);
    fake_resume(&stage.fakes[0]);
    stage_run(&stage, 1000);
    for (unsigned i = 0; i <= 20; i++) cr_assert(stage.ops[i].dones == 1 && !stage.ops[i].err);
    cr_assert_eq(client->waiting_bytes, 0);
    cr_assert(strstr(stage.server_log.text, "1:getData /b; "));
    stage_fini(&stage);
}

Test(meta_client_operations, full_queue_refuses_behind_a_full_connection_too) {
    struct stage stage;
    stage_init(&stage);
    stage.options.queue_bytes_max = LARGE + 100;
    stage_open(&stage);
    fake_pause(&stage.fakes[0]);
    unsigned refused = 0;
    for (unsigned i = 0; i < 20; i++) set(&stage, i, LARGE);
    for (unsigned i = 0; i < 20; i++) refused += stage.ops[i].dones;
    cr_assert_gt(refused, 10);
    for (unsigned i = 20 - refused; i < 20; i++) cr_assert_eq(stage.ops[i].err, RT_EBUSY);
    fake_resume(&stage.fakes[0]);
    stage_run(&stage, 1000);
    for (unsigned i = 0; i < 20 - refused; i++)
        cr_assert(stage.ops[i].dones == 1 && !stage.ops[i].err);
    stage_fini(&stage);
}

Test(meta_client_operations, close_behind_a_full_connection_ends) {
    struct stage stage;
    start(&stage);
    fake_pause(&stage.fakes[0]);
    for (unsigned i = 0; i < 20; i++) set(&stage, i, LARGE);
    stage_close(&stage);
    stage_run(&stage, 2100);
    cr_assert(stage.is_closed);
    for (unsigned i = 0; i < 20; i++) cr_assert_eq(stage.ops[i].err, RT_ECLOSED);
    stage_fini(&stage);
}

// MEMORY

// A client that once read a long list does not keep room for it.
Test(meta_client_operations, memory_of_large_requests_and_replies_is_given_back) {
    enum { NAMES = 50000 };
    static struct rt_bytes names[NAMES];
    static struct proto_zk_op ops[NAMES / 5];
    struct stage stage;
    start_at(&stage, "s1/c");
    size_t before = stage_memory(&stage);
    for (unsigned i = 0; i < NAMES; i++) names[i] = RT_BYTES_LITERAL("name");
    for (unsigned i = 0; i < NAMES / 5; i++)
        ops[i] = (struct proto_zk_op){.opcode = PROTO_ZK_OP_DELETE, .path = RT_BYTES_LITERAL("/a")};
    stage.fakes[0].holds = true;
    stage_read(&stage, 0, PROTO_ZK_OP_GET_CHILDREN2, "/a", -1);
    struct proto_zk_reply reply = {.body.names = {names, NAMES, false}};
    fake_answer(&stage.fakes[0], &reply);
    struct proto_zk_request request = {
        .op = {.opcode = PROTO_ZK_OP_MULTI}, .ops = ops, .op_count = NAMES / 5};
    stage_send(&stage, 1, &request, NULL);
    reply = (struct proto_zk_reply){.header.err = PROTO_ZK_ERR_NONODE};
    fake_answer(&stage.fakes[0], &reply);
    stage_run(&stage, 10000);
    cr_assert_eq(stage.ops[0].err, RT_OK);
    cr_assert_eq(stage.ops[1].err, RT_EREFUSED);
    size_t more = stage_memory(&stage) - before;
    cr_assert_lt(more, 384 << 10, "%zu", more);
    stage.fakes[0].holds = false;
    stage_fini(&stage);
}

// THE COMMON ONES

static void commands_act(struct stage *stage) {
    struct meta_client *client = stage->client;
    struct rt_bytes a = RT_BYTES_LITERAL("/a"), v = RT_BYTES_LITERAL("v");
    struct stage_op *ops = stage->ops;
    const struct proto_zk_op part = {.opcode = PROTO_ZK_OP_DELETE, .path = a};
    for (unsigned i = 0; i < 10; i++) ops[i].stage = stage;
    meta_client_create(client, &ops[0].op, a, v, PROTO_ZK_MODE_EPHEMERAL, NULL, stage_done());
    meta_client_create(client, &ops[1].op, a, v, PROTO_ZK_MODE_CONTAINER, NULL, stage_done());
    meta_client_delete(client, &ops[2].op, a, -1, stage_done());
    meta_client_set(client, &ops[3].op, a, v, -1, stage_done());
    meta_client_get(client, &ops[4].op, a, NULL, stage_done());
    meta_client_exists(client, &ops[5].op, a, &stage->watches[0].watch, stage_done());
    meta_client_children(client, &ops[6].op, a, NULL, stage_done());
    meta_client_sync(client, &ops[7].op, a, stage_done());
    meta_client_multi(client, &ops[8].op, &part, 1, stage_done());
    meta_client_add_watch(client, &ops[9].op, a, PROTO_ZK_ADD_PERSISTENT, &stage->watches[1].watch,
                          stage_done());
}

Test(meta_client_operations, common_ones_are_what_their_names_say) {
    struct stage stage;
    start(&stage);
    stage_act(&stage, commands_act);
    stage_expect_servers(&stage,
                         "1:create2 /a; 1:createContainer /a; 1:delete /a; 1:setData /a; "
                         "1:getData /a; 1:exists /a watch; 1:getChildren2 /a; 1:sync /a; "
                         "1:multi delete(/a); 1:addWatch /a;");
    stage_expect_client(&stage,
                        "0:RT_OK=/a 1:RT_OK=/a 2:RT_OK 3:RT_OK 4:RT_OK 5:RT_OK 6:RT_OK "
                        "7:RT_OK=/a 8:RT_OK 9:RT_OK");
    stage_fini(&stage);
}
