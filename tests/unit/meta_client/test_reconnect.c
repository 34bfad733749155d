// What happens when connections break, or never come about.
#include <criterion/criterion.h>

#include "tests/unit/meta_client/stage.h"

static void start(struct stage *stage) {
    stage_init(stage);
    stage->options.servers = "s1:2181,s2";
    stage_open(stage);
    stage_expect_client(stage, "CONNECTED");
    stage_expect_servers(stage, "%u:connect session=0 zxid=0;", stage_server(stage)->number);
}

static void get(struct stage *stage, unsigned slot, const char *path) {
    stage_read(stage, slot, PROTO_ZK_OP_GET_DATA, path, -1);
}

// ANOTHER SERVER

Test(meta_client_reconnect, next_server_is_given_the_session_its_password_and_what_was_seen) {
    struct stage stage;
    start(&stage);
    struct fake *first = stage_server(&stage), *second = stage_other_server(&stage);
    get(&stage, 0, "/a");
    cr_assert_eq(meta_client_last_zxid(stage.client), 101);
    fake_hang_up(first);
    stage_expect_client(&stage, "0:RT_OK DISCONNECTED CONNECTED");
    stage_expect_servers(&stage, "%u:getData /a; %u:connect session=77 zxid=101;", first->number,
                         second->number);
    cr_assert_str_eq((const char *)second->password, "0123456789abcde");
    cr_assert_eq(stage_server(&stage), second);
    cr_assert_eq(meta_client_session_id(stage.client), STAGE_SESSION);
    stage_fini(&stage);
}

Test(meta_client_reconnect, what_a_failed_reply_saw_counts_too) {
    struct stage stage;
    start(&stage);
    get(&stage, 0, "/missing");
    cr_assert_eq(meta_client_last_zxid(stage.client), 101);
    stage_fini(&stage);
}

Test(meta_client_reconnect, dead_server_costs_nothing_but_its_turn) {
    struct stage stage;
    start(&stage);
    struct fake *first = stage_server(&stage), *second = stage_other_server(&stage);
    rt_sim_crash(second->node, RT_SIM_KILL);
    stage_run(&stage, 2000);
    fake_hang_up(first);
    stage_run(&stage, 100);
    stage_expect_client(&stage, "DISCONNECTED CONNECTED");
    cr_assert_eq(stage_server(&stage), first);
    stage_fini(&stage);
}

// Of the 6 s each of two servers is given 3.
Test(meta_client_reconnect, servers_that_say_nothing_have_their_share_of_the_timeout) {
    for (unsigned i = 0; i < 2; i++) {
        struct stage stage;
        start(&stage);
        struct fake *first = stage_server(&stage), *second = stage_other_server(&stage);
        if (i == 0) second->mode = FAKE_IS_SILENT;
        if (i == 1) rt_sim_crash(second->node, RT_SIM_POWER_LOSS);
        stage_run(&stage, 2000);
        fake_hang_up(first);
        stage_run(&stage, 2900);
        stage_expect_client(&stage, "DISCONNECTED");
        stage_run(&stage, 200);
        stage_expect_client(&stage, "CONNECTED");
        cr_assert_eq(stage_server(&stage), first);
        stage_fini(&stage);
    }
}

Test(meta_client_reconnect, time_to_connect_may_be_set) {
    struct stage stage;
    stage_init(&stage);
    stage.options.connect_timeout_ms = 100;
    stage.fakes[0].mode = FAKE_IS_SILENT;
    stage_open(&stage);
    stage_run(&stage, 900);
    cr_assert_geq(stage.fakes[0].accepted, 4);
    stage.fakes[0].mode = FAKE_SERVES;
    stage_run(&stage, 1200);
    stage_expect_client(&stage, "CONNECTED");
    stage_fini(&stage);
}

// PACE

Test(meta_client_reconnect, connection_that_was_good_is_replaced_at_once) {
    struct stage stage;
    stage_init(&stage);
    stage_open(&stage);
    stage_run(&stage, 2000);
    fake_hang_up(&stage.fakes[0]);
    stage_expect_client(&stage, "CONNECTED DISCONNECTED CONNECTED");
    stage_fini(&stage);
}

// 50 ms, 100, 200, ... and never more than a second; never all at once.
static void flaps(enum fake_mode mode, bool after_handshake) {
    struct stage stage;
    stage_init(&stage);
    stage.fakes[0].mode = mode;
    stage_open(&stage);
    for (unsigned i = 0; i < 3000; i++) {
        if (after_handshake && stage.fakes[0].conn) fake_hang_up(&stage.fakes[0]);
        stage_run(&stage, 20);
    }
    cr_assert_geq(stage.fakes[0].accepted, 60);
    cr_assert_leq(stage.fakes[0].accepted, 150);
    stage.fakes[0].mode = FAKE_SERVES;
    stage_run(&stage, 1100);
    cr_assert_eq(meta_client_state(stage.client), META_CLIENT_CONNECTED);
    stage_fini(&stage);
}

Test(meta_client_reconnect, server_that_hangs_up_is_not_besieged) {
    flaps(FAKE_HANGS_UP, false);
}

Test(meta_client_reconnect, server_that_hangs_up_after_the_handshake_is_not_besieged) {
    flaps(FAKE_SERVES, true);
}

// Only a server says that a session is over.
Test(meta_client_reconnect, goes_on_trying_long_after_the_timeout) {
    struct stage stage;
    stage_init(&stage);
    stage_open(&stage);
    rt_sim_crash(stage.fakes[0].node, RT_SIM_KILL);
    stage_run(&stage, 600 * 1000);
    get(&stage, 0, "/a");
    stage_expect_client(&stage, "CONNECTED DISCONNECTED");
    rt_sim_start(stage.fakes[0].node);
    stage_run(&stage, 1100);
    stage_expect_client(&stage, "CONNECTED 0:RT_OK");
    stage_fini(&stage);
}

Test(meta_client_reconnect, connection_that_died_without_a_sign_is_noticed) {
    struct stage stage;
    start(&stage);
    struct fake *first = stage_server(&stage), *second = stage_other_server(&stage);
    rt_sim_cut(stage.sim, first->node, stage.client_node);
    get(&stage, 0, "/a");
    stage_run(&stage, 3900);
    stage_expect_client(&stage, "%s", "");
    stage_run(&stage, 200);
    stage_expect_client(&stage, "DISCONNECTED 0:RT_ERESET CONNECTED");
    cr_assert_eq(stage_server(&stage), second);
    stage_fini(&stage);
}

// OPERATIONS

Test(meta_client_reconnect, what_is_under_way_is_lost_and_what_waits_is_kept) {
    struct stage stage;
    start(&stage);
    struct fake *first = stage_server(&stage), *second = stage_other_server(&stage);
    get(&stage, 0, "/a");
    first->holds = true;
    get(&stage, 1, "/b");
    get(&stage, 2, "/c");
    second->mode = FAKE_IS_SILENT;
    fake_hang_up(first);
    get(&stage, 3, "/d");
    get(&stage, 4, "/e");
    stage_expect_client(&stage, "0:RT_OK DISCONNECTED 1:RT_ERESET 2:RT_ERESET");
    first->holds = false;
    second->mode = FAKE_SERVES;
    stage_run(&stage, 4000);
    stage_expect_client(&stage, "CONNECTED 3:RT_OK 4:RT_OK");
    stage_expect_servers(&stage,
                         "%u:getData /a; %u:getData /b; %u:getData /c; "
                         "%u:connect session=77 zxid=101; %u:connect session=77 zxid=101; "
                         "%u:getData /d; %u:getData /e;",
                         first->number, first->number, first->number, second->number, first->number,
                         first->number, first->number);
    stage_fini(&stage);
}

Test(meta_client_reconnect, lost_operation_may_start_itself_anew) {
    struct stage stage;
    start(&stage);
    struct fake *first = stage_server(&stage);
    first->holds = true;
    stage.ops[0].again = true;
    get(&stage, 0, "/a");
    fake_hang_up(first);
    stage_run(&stage, 100);
    stage_expect_client(&stage, "DISCONNECTED 0:RT_ERESET CONNECTED 0:RT_OK");
    stage_fini(&stage);
}

Test(meta_client_reconnect, nothing_is_sent_before_the_first_session) {
    struct stage stage;
    stage_init(&stage);
    stage.fakes[0].mode = FAKE_IS_SILENT;
    stage_open(&stage);
    for (unsigned i = 0; i < 5; i++) get(&stage, i, "/a");
    stage_expect_servers(&stage, "1:connect session=0 zxid=0;");
    stage.fakes[0].mode = FAKE_SERVES;
    stage_run(&stage, 7000);
    stage_expect_client(&stage, "CONNECTED 0:RT_OK 1:RT_OK 2:RT_OK 3:RT_OK 4:RT_OK");
    stage_fini(&stage);
}

// A request of path "/a" takes 4 + 8 + 4 + 2 + 1 bytes.
enum { GET_SIZE = 19 };

Test(meta_client_reconnect, what_waits_is_bounded_and_room_comes_back) {
    struct stage stage;
    stage_init(&stage);
    stage.options.queue_bytes_max = 2 * GET_SIZE + GET_SIZE - 1;
    stage.fakes[0].mode = FAKE_IS_SILENT;
    stage_open(&stage);
    for (unsigned i = 0; i < 4; i++) get(&stage, i, "/a");
    stage_expect_client(&stage, "2:RT_EBUSY 3:RT_EBUSY");
    stage.fakes[0].mode = FAKE_SERVES;
    stage_run(&stage, 7000);
    stage_expect_client(&stage, "CONNECTED 0:RT_OK 1:RT_OK");
    stage.fakes[0].mode = FAKE_HANGS_UP;
    fake_hang_up(&stage.fakes[0]);
    for (unsigned i = 0; i < 3; i++) get(&stage, i, "/a");
    stage_expect_client(&stage, "DISCONNECTED 2:RT_EBUSY");
    stage_close(&stage);
    stage_expect_client(&stage, "0:RT_ECLOSED 1:RT_ECLOSED CLOSED closed");
    stage_fini(&stage);
}

Test(meta_client_reconnect, queue_takes_exactly_its_limit) {
    struct stage stage;
    stage_init(&stage);
    stage.options.queue_bytes_max = 2 * GET_SIZE;
    stage.fakes[0].mode = FAKE_IS_SILENT;
    stage_open(&stage);
    for (unsigned i = 0; i < 3; i++) get(&stage, i, "/a");
    stage_expect_client(&stage, "2:RT_EBUSY");
    stage_fini(&stage);
}
