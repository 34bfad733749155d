// The life of a session: how it begins, what keeps it, how it ends.
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/meta_client/stage.h"

static const char password[] = "0123456789abcde";

static uint64_t now_ms(const struct stage *stage) {
    return rt_sim_now(stage->sim) / RT_NS_PER_MS;
}

// BEGINNING

Test(meta_client_session, begins_with_a_handshake) {
    struct stage stage;
    stage_init(&stage);
    stage_open(&stage);
    stage_expect_client(&stage, "CONNECTED");
    stage_expect_servers(&stage, "1:connect session=0 zxid=0;");
    cr_assert_eq(meta_client_session_id(stage.client), STAGE_SESSION);
    cr_assert_arr_eq(meta_client_password(stage.client), password, sizeof(password));
    cr_assert_str_eq(meta_client_server(stage.client), "s1:2181");
    cr_assert_eq(meta_client_owner(stage.client), &stage.owner);
    stage_close(&stage);
    stage_expect_client(&stage, "CLOSED closed");
    stage_expect_servers(&stage, "1:closeSession;");
    stage_fini(&stage);
}

Test(meta_client_session, timeout_is_what_the_server_grants) {
    struct stage stage;
    stage_init(&stage);
    stage.fakes[0].grants_ms = 900;
    stage_open(&stage);
    cr_assert_eq(meta_client_session_timeout_ms(stage.client), 900);
    stage_run(&stage, 2950);
    cr_assert_eq(stage.fakes[0].pings, 9);
    stage_fini(&stage);
}

static rt_err open_err;

static void open_bad_act(struct stage *stage) {
    struct rt_why why = {{0}};
    stage->options.servers = "s1:2181/relative//path";
    open_err = meta_client_open(stage->loop, &stage->options, &stage->client, &why);
    cr_assert(strstr(why.text, "server list"), "%s", why.text);
}

Test(meta_client_session, bad_server_list_opens_nothing) {
    struct stage stage;
    stage_init(&stage);
    stage_act(&stage, open_bad_act);
    cr_assert_eq(open_err, RT_EINVAL);
    cr_assert_null(stage.client);
    stage_fini(&stage);
}

Test(meta_client_session, taken_over_one_goes_on_with_its_id_and_password) {
    struct stage stage;
    stage_init(&stage);
    stage.options.session_id = STAGE_SESSION;
    memcpy(stage.options.password, password, sizeof(password));
    stage_open(&stage);
    stage_expect_client(&stage, "CONNECTED");
    stage_expect_servers(&stage, "1:connect session=77 zxid=0;");
    cr_assert_arr_eq(stage.fakes[0].password, password, sizeof(password));
    stage_fini(&stage);
}

// PINGS

Test(meta_client_session, idle_connection_is_pinged_every_third_of_the_timeout) {
    struct stage stage;
    stage_init(&stage);
    stage_open(&stage);
    stage_run(&stage, 20500);
    cr_assert_eq(stage.fakes[0].pings, 10);
    stage_expect_client(&stage, "CONNECTED");
    stage_fini(&stage);
}

Test(meta_client_session, pings_are_never_further_apart_than_ten_seconds) {
    struct stage stage;
    stage_init(&stage);
    stage.options.session_timeout_ms = 120000;
    stage_open(&stage);
    stage_run(&stage, 60500);
    cr_assert_eq(stage.fakes[0].pings, 6);
    stage_fini(&stage);
}

Test(meta_client_session, busy_connection_is_not_pinged) {
    struct stage stage;
    stage_init(&stage);
    stage_open(&stage);
    for (unsigned i = 0; i < 20; i++) {
        stage_read(&stage, 0, PROTO_ZK_OP_GET_DATA, "/a", -1);
        stage_run(&stage, 1000);
    }
    cr_assert_eq(stage.fakes[0].pings, 0);
    stage_fini(&stage);
}

// The server must be heard of, however much is sent to it.
Test(meta_client_session, server_that_answers_nothing_is_pinged_too) {
    struct stage stage;
    stage_init(&stage);
    stage_open(&stage);
    stage.fakes[0].holds = true;
    for (unsigned i = 0; i < 20; i++) {
        stage_read(&stage, i, PROTO_ZK_OP_GET_DATA, "/a", -1);
        stage_run(&stage, 980);
    }
    cr_assert_geq(stage.fakes[0].pings, 9);
    stage_expect_client(&stage, "CONNECTED");
    fake_release(&stage.fakes[0]);
    stage_fini(&stage);
}

Test(meta_client_session, silent_connection_is_given_up_at_two_thirds_of_the_timeout) {
    struct stage stage;
    stage_init(&stage);
    stage_open(&stage);
    uint64_t from_ms = now_ms(&stage);
    stage.fakes[0].ignores_pings = true;
    stage_run(&stage, 3900);
    stage_expect_client(&stage, "CONNECTED");
    stage_run(&stage, 2000);
    uint64_t took_ms = stage.state_ns / RT_NS_PER_MS - from_ms;
    cr_assert(took_ms <= 4100, "%lu", (unsigned long)took_ms);
    stage_expect_client(&stage, "DISCONNECTED CONNECTED");
    stage_expect_servers(&stage, "1:connect session=0 zxid=0; 1:connect session=77 zxid=0;");
    stage_fini(&stage);
}

// AUTHENTICATION

static const struct meta_client_auth auths[] = {
    {"digest", {(const uint8_t *)"bob:pw", 6}},
    {"ip", {(const uint8_t *)"", 0}},
};

Test(meta_client_session, credentials_lead_on_every_connection) {
    struct stage stage;
    stage_init(&stage);
    stage.options.auths = auths;
    stage.options.auth_count = 2;
    stage_open(&stage);
    stage_expect_servers(&stage, "1:connect session=0 zxid=0; 1:auth digest:bob:pw; 1:auth ip:;");
    fake_hang_up(&stage.fakes[0]);
    stage_read(&stage, 0, PROTO_ZK_OP_GET_DATA, "/a", -1);
    stage_run(&stage, 1000);
    stage_expect_servers(&stage,
                         "1:connect session=77 zxid=0; 1:auth digest:bob:pw; "
                         "1:auth ip:; 1:getData /a;");
    stage_fini(&stage);
}

Test(meta_client_session, refused_credentials_end_everything) {
    struct stage stage;
    stage_init(&stage);
    stage.options.auths = auths;
    stage.options.auth_count = 1;
    stage_open(&stage);
    stage_read(&stage, 0, PROTO_ZK_OP_GET_DATA, "/a", 0);
    stage.fakes[0].refuses_auth = true;
    fake_hang_up(&stage.fakes[0]);
    stage_read(&stage, 1, PROTO_ZK_OP_GET_DATA, "/b", -1);
    stage_run(&stage, 1000);
    stage_expect_client(&stage,
                        "CONNECTED 0:RT_OK DISCONNECTED CONNECTED w0:None(4) AUTH_FAILED "
                        "1:RT_EACCESS");
    stage_read(&stage, 2, PROTO_ZK_OP_GET_DATA, "/c", -1);
    stage_run(&stage, 20000);
    stage_expect_client(&stage, "2:RT_EACCESS");
    cr_assert_eq(stage.fakes[0].accepted, 2);
    stage_close(&stage);
    stage_expect_client(&stage, "closed");
    stage_fini(&stage);
}

// EXPIRY

Test(meta_client_session, refused_handshake_is_an_expiry) {
    struct stage stage;
    stage_init(&stage);
    stage.fakes[0].mode = FAKE_EXPIRES;
    stage_open(&stage);
    stage_run(&stage, 20000);
    stage_expect_client(&stage, "EXPIRED");
    cr_assert_eq(stage.fakes[0].accepted, 1);
    stage_fini(&stage);
}

static void expires_with(enum fake_mode mode) {
    struct stage stage;
    stage_init(&stage);
    stage_open(&stage);
    stage_read(&stage, 0, PROTO_ZK_OP_GET_DATA, "/a", 0);
    stage_read(&stage, 1, PROTO_ZK_OP_GET_CHILDREN2, "/a", 0);
    stage_read(&stage, 2, PROTO_ZK_OP_EXISTS, "/missing", 1);
    stage_expect_client(&stage, "CONNECTED 0:RT_OK 1:RT_OK 2:RT_EREFUSED/NONODE");
    stage.fakes[0].mode = mode;
    stage.fakes[0].holds = true;
    stage_read(&stage, 3, PROTO_ZK_OP_GET_DATA, "/b", -1);
    fake_hang_up(&stage.fakes[0]);
    stage_read(&stage, 4, PROTO_ZK_OP_GET_DATA, "/c", -1);
    stage_run(&stage, 20000);
    stage_expect_client(&stage,
                        "DISCONNECTED 3:RT_ERESET w0:None(-112) w1:None(-112) EXPIRED "
                        "4:RT_EACCESS");
    stage_read(&stage, 5, PROTO_ZK_OP_GET_DATA, "/d", -1);
    stage_expect_client(&stage, "5:RT_EACCESS");
    cr_assert_eq(stage.fakes[0].accepted, 2);
    stage_close(&stage);
    stage_expect_client(&stage, "closed");
    stage_fini(&stage);
}

Test(meta_client_session, expiry_tells_operations_and_watches_and_is_final) {
    expires_with(FAKE_EXPIRES);
}

Test(meta_client_session, server_that_gives_another_session_has_lost_ours) {
    expires_with(FAKE_GIVES_ANOTHER);
}

Test(meta_client_session, expired_reply_ends_only_its_operation) {
    struct stage stage;
    stage_init(&stage);
    stage_open(&stage);
    stage.fakes[0].holds = true;
    stage_read(&stage, 0, PROTO_ZK_OP_GET_DATA, "/a", 0);
    struct proto_zk_reply reply = {.header.err = PROTO_ZK_ERR_SESSIONEXPIRED};
    fake_answer(&stage.fakes[0], &reply);
    stage_expect_client(&stage, "CONNECTED 0:RT_EACCESS/SESSIONEXPIRED");
    stage.fakes[0].holds = false;
    stage_fini(&stage);
}

// CLOSING, in every phase and from every callback

Test(meta_client_session, close_ends_operations_in_order_then_watches_then_the_client) {
    struct stage stage;
    stage_init(&stage);
    stage_open(&stage);
    stage_read(&stage, 0, PROTO_ZK_OP_GET_DATA, "/a", 0);
    stage.fakes[0].holds = true;
    stage_read(&stage, 1, PROTO_ZK_OP_GET_DATA, "/b", 1);
    stage_read(&stage, 2, PROTO_ZK_OP_GET_DATA, "/c", -1);
    stage_close(&stage);
    stage_expect_client(&stage, "CONNECTED 0:RT_OK 1:RT_ECLOSED 2:RT_ECLOSED");
    fake_release(&stage.fakes[0]);
    stage_expect_client(&stage, "w0:None(7) CLOSED closed");
    stage_fini(&stage);
}

Test(meta_client_session, server_that_does_not_answer_the_end_is_not_awaited_long) {
    struct stage stage;
    stage_init(&stage);
    stage_open(&stage);
    stage.fakes[0].holds = true;
    stage_close(&stage);
    stage_run(&stage, 1900);
    cr_assert_not(stage.is_closed);
    stage_run(&stage, 200);
    stage_expect_client(&stage, "CONNECTED CLOSED closed");
    stage_fini(&stage);
}

Test(meta_client_session, close_survives_a_server_that_dies_of_it) {
    struct stage stage;
    stage_init(&stage);
    stage_open(&stage);
    stage.fakes[0].holds = true;
    stage_close(&stage);
    rt_sim_crash(stage.fakes[0].node, RT_SIM_KILL);
    stage_run(&stage, 100);
    stage_expect_client(&stage, "CONNECTED CLOSED closed");
    stage_fini(&stage);
}

Test(meta_client_session, abandoned_one_lives_on_at_the_server) {
    struct stage stage;
    stage_init(&stage);
    stage_open(&stage);
    stage.fakes[0].holds = true;
    stage_read(&stage, 0, PROTO_ZK_OP_GET_DATA, "/a", -1);
    stage_abandon(&stage);
    stage_expect_client(&stage, "CONNECTED 0:RT_ECLOSED CLOSED closed");
    stage_expect_servers(&stage, "1:connect session=0 zxid=0; 1:getData /a;");
    stage_fini(&stage);
}

// Leaves the client in one of the phases without a session.
static void never_connects(struct stage *stage, unsigned how) {
    stage_init(stage);
    struct fake *fake = &stage->fakes[0];
    if (how == 0) fake->mode = FAKE_IS_SILENT;
    if (how == 1) fake->mode = FAKE_HANGS_UP;
    if (how == 2) rt_sim_crash(fake->node, RT_SIM_POWER_LOSS);
    if (how == 3) rt_sim_crash(fake->node, RT_SIM_KILL);
    stage_open(stage);
    stage_read(stage, 0, PROTO_ZK_OP_GET_DATA, "/a", 0);
}

Test(meta_client_session, close_and_abandon_work_before_there_is_a_session) {
    for (unsigned i = 0; i < 8; i++) {
        struct stage stage;
        never_connects(&stage, i / 2);
        stage_run(&stage, i * 7);
        if (i % 2 == 0) stage_close(&stage);
        if (i % 2 == 1) stage_abandon(&stage);
        stage_expect_client(&stage, "0:RT_ECLOSED CLOSED closed");
        stage_fini(&stage);
    }
}

static void close_at_once_act(struct stage *stage) {
    struct rt_why why = {{0}};
    rt_err err = meta_client_open(stage->loop, &stage->options, &stage->client, &why);
    cr_assert_not(err);
    stage->was_opened = true;
    meta_client_close(stage->client, &stage->closed);
}

Test(meta_client_session, may_be_closed_in_the_turn_that_opened_it) {
    struct stage stage;
    stage_init(&stage);
    stage_act(&stage, close_at_once_act);
    stage_run(&stage, 1000);
    stage_expect_client(&stage, "CLOSED closed");
    stage_expect_servers(&stage, "%s", "");
    stage_fini(&stage);
}

Test(meta_client_session, may_be_closed_when_its_state_is_told) {
    static const struct {
        int in;
        enum fake_mode mode;
        const char *told;
    } cases[] = {
        {META_CLIENT_CONNECTED, FAKE_SERVES, "CONNECTED CLOSED closed"},
        {META_CLIENT_DISCONNECTED, FAKE_SERVES, "CONNECTED DISCONNECTED CLOSED closed"},
        {META_CLIENT_EXPIRED, FAKE_EXPIRES, "CONNECTED DISCONNECTED EXPIRED closed"},
    };
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct stage stage;
        stage_init(&stage);
        stage.closes_in = cases[i].in;
        stage_open(&stage);
        stage.fakes[0].mode = cases[i].mode;
        if (stage.client) fake_hang_up(&stage.fakes[0]);
        stage_run(&stage, 1000);
        stage_expect_client(&stage, "%s", cases[i].told);
        stage_fini(&stage);
    }
}

Test(meta_client_session, may_be_closed_by_refused_credentials) {
    struct stage stage;
    stage_init(&stage);
    stage.options.auths = auths;
    stage.options.auth_count = 2;
    stage.fakes[0].refuses_auth = true;
    stage.closes_in = META_CLIENT_AUTH_FAILED;
    stage_open(&stage);
    stage_expect_client(&stage, "CONNECTED AUTH_FAILED closed");
    stage_fini(&stage);
}

Test(meta_client_session, may_be_closed_by_the_completion_of_an_operation) {
    struct stage stage;
    stage_init(&stage);
    stage_open(&stage);
    stage.fakes[0].holds = true;
    stage_read(&stage, 0, PROTO_ZK_OP_GET_DATA, "/a", -1);
    stage_read(&stage, 1, PROTO_ZK_OP_GET_DATA, "/b", -1);
    stage.ops[0].closes = true;
    fake_release(&stage.fakes[0]);
    stage_run(&stage, 100);
    stage_expect_client(&stage, "CONNECTED 0:RT_OK 1:RT_ECLOSED CLOSED closed");
    stage_fini(&stage);
}

Test(meta_client_session, may_be_closed_by_an_operation_that_was_lost) {
    struct stage stage;
    stage_init(&stage);
    stage_open(&stage);
    stage.fakes[0].holds = true;
    stage_read(&stage, 0, PROTO_ZK_OP_GET_DATA, "/a", -1);
    stage_read(&stage, 1, PROTO_ZK_OP_GET_DATA, "/b", -1);
    stage.ops[0].closes = true;
    fake_hang_up(&stage.fakes[0]);
    stage_run(&stage, 100);
    stage_expect_client(&stage, "CONNECTED DISCONNECTED 0:RT_ERESET 1:RT_ERESET CLOSED closed");
    stage_fini(&stage);
}

Test(meta_client_session, may_be_closed_by_a_watch_whose_neighbours_are_still_told) {
    struct stage stage;
    stage_init(&stage);
    stage_open(&stage);
    stage_read(&stage, 0, PROTO_ZK_OP_GET_DATA, "/a", 0);
    stage_read(&stage, 1, PROTO_ZK_OP_GET_DATA, "/a", 1);
    stage_read(&stage, 2, PROTO_ZK_OP_GET_DATA, "/b", 2);
    stage.watches[0].closes = true;
    fake_event(&stage.fakes[0], PROTO_ZK_EVENT_NODE_DATA_CHANGED, "/a");
    stage_expect_client(&stage,
                        "CONNECTED 0:RT_OK 1:RT_OK 2:RT_OK w0:NodeDataChanged /a "
                        "w1:NodeDataChanged /a w2:None(7) CLOSED closed");
    stage_fini(&stage);
}

// What a callback starts when all is over is refused, and told before the client goes.
Test(meta_client_session, operation_started_by_the_last_callbacks_is_told) {
    struct stage stage;
    stage_init(&stage);
    stage_open(&stage);
    stage_read(&stage, 0, PROTO_ZK_OP_GET_DATA, "/a", 0);
    stage.fakes[0].holds = true;
    stage_read(&stage, 1, PROTO_ZK_OP_GET_DATA, "/b", -1);
    stage.ops[1].again = true;
    stage.watches[0].reads = 0;
    stage_close(&stage);
    fake_release(&stage.fakes[0]);
    stage_expect_client(&stage,
                        "CONNECTED 0:RT_OK 1:RT_ECLOSED 1:RT_ECLOSED w0:None(7) CLOSED "
                        "0:RT_ECLOSED closed");
    stage_fini(&stage);
}
