// Servers that lie: a clear error, nothing leaks, and the client goes on.
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/meta_client/stage.h"

// For long enough that a connection which breaks is replaced at once.
static void start(struct stage *stage) {
    stage_init(stage);
    stage_open(stage);
    stage_run(stage, 1100);
    stage_expect_client(stage, "CONNECTED");
}

static void get(struct stage *stage, unsigned slot, const char *path, int watch) {
    stage_read(stage, slot, PROTO_ZK_OP_GET_DATA, path, watch);
}

static void reconnect(struct stage *stage) {
    stage->fakes[0].holds = false;
    stage->fakes[0].held_count = 0;
    stage_run(stage, 1200);
    cr_assert_eq(meta_client_state(stage->client), META_CLIENT_CONNECTED);
    stage->client_log.size = stage->server_log.size = 0;
    stage->client_log.text[0] = stage->server_log.text[0] = '\0';
}

// FRAMES

struct frame {
    uint8_t bytes[256];
    size_t size;
};

static struct rt_bytes frame_bytes(const struct frame *frame) {
    return RT_BYTES(frame->bytes, frame->size);
}

// What it cannot encode the tests write by hand.
static struct frame reply_frame(int32_t xid, int32_t opcode, int32_t err) {
    static const struct rt_bytes names[] = {{(const uint8_t *)"x", 1}, {(const uint8_t *)"yy", 2}};
    static const struct proto_zk_acl acl = {
        .perms = 1,
        .id = {.scheme = {(const uint8_t *)"ip", 2}, .id = {(const uint8_t *)"::1", 3}}};
    static const struct proto_zk_result results[] = {
        {.opcode = PROTO_ZK_OP_CREATE, .body.path = {(const uint8_t *)"/a", 2}},
        {.opcode = PROTO_ZK_OP_SET_DATA}};
    struct proto_zk_reply reply = {.header = {.xid = xid, .zxid = 7, .err = err},
                                   .body = {.path = RT_BYTES_LITERAL("/a"),
                                            .data = RT_BYTES_LITERAL("value"),
                                            .names = {names, 2, false},
                                            .acl = {.items = &acl, .count = 1},
                                            .ids = {.items = &acl.id, .count = 1}},
                                   .results = results,
                                   .result_count = 2};
    struct rt_buf buf = {0};
    struct rt_writer w = rt_writer_into(&buf);
    proto_zk_reply_encode(&reply, opcode, &w);
    struct frame frame = {.size = buf.size};
    cr_assert_leq(buf.size, sizeof(frame.bytes));
    memcpy(frame.bytes, buf.data, buf.size);
    rt_buf_fini(&buf);
    return frame;
}

static void put_be32(struct frame *frame, size_t at, uint32_t value) {
    struct rt_writer w = rt_writer_over(frame->bytes + at, sizeof(value));
    rt_write_be32(&w, value);
}

static int32_t held_xid(const struct stage *stage) {
    cr_assert_gt(stage->fakes[0].held_count, 0);
    return stage->fakes[0].held[0].xid;
}

// REPLIES

Test(meta_client_hostile, reply_with_another_xid_breaks_the_connection) {
    static const int32_t wrong[] = {0, 1, 3, 4711, INT32_MAX, -3, -5, -7, -9, INT32_MIN};
    struct stage stage;
    start(&stage);
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        stage.fakes[0].holds = true;
        get(&stage, 0, "/a", -1);
        get(&stage, 1, "/b", -1);
        int32_t xid = held_xid(&stage);
        struct frame frame = reply_frame(wrong[i] > 0 && wrong[i] < 4 ? xid + wrong[i] : wrong[i],
                                         PROTO_ZK_OP_GET_DATA, 0);
        fake_raw(&stage.fakes[0], frame_bytes(&frame));
        stage_expect_client(&stage, "DISCONNECTED 0:RT_ERESET 1:RT_ERESET CONNECTED");
        reconnect(&stage);
    }
    stage_fini(&stage);
}

Test(meta_client_hostile, reply_that_nobody_asked_for_breaks_the_connection) {
    struct stage stage;
    start(&stage);
    get(&stage, 0, "/a", -1);
    struct frame frame = reply_frame(stage.ops[0].op.xid, PROTO_ZK_OP_GET_DATA, 0);
    fake_raw(&stage.fakes[0], frame_bytes(&frame));
    stage_expect_client(&stage, "0:RT_OK DISCONNECTED CONNECTED");
    reconnect(&stage);
    stage_fini(&stage);
}

static const int32_t opcodes[] = {
    PROTO_ZK_OP_CREATE,       PROTO_ZK_OP_CREATE2,        PROTO_ZK_OP_EXISTS,
    PROTO_ZK_OP_GET_DATA,     PROTO_ZK_OP_SET_DATA,       PROTO_ZK_OP_GET_ACL,
    PROTO_ZK_OP_GET_CHILDREN, PROTO_ZK_OP_GET_CHILDREN2,  PROTO_ZK_OP_SYNC,
    PROTO_ZK_OP_MULTI,        PROTO_ZK_OP_GET_EPHEMERALS, PROTO_ZK_OP_GET_ALL_CHILDREN_NUMBER,
    PROTO_ZK_OP_ADD_WATCH,    PROTO_ZK_OP_WHO_AM_I,
};

static void ask(struct stage *stage, int32_t opcode) {
    struct proto_zk_request request = {.op = {.opcode = opcode, .path = RT_BYTES_LITERAL("/a")}};
    if (opcode == PROTO_ZK_OP_WHO_AM_I || opcode == PROTO_ZK_OP_MULTI)
        request.op.path = (struct rt_bytes){0};
    stage->fakes[0].holds = true;
    stage->ops[0].dones = 0;
    stage_send(stage, 0, &request, NULL);
}

Test(meta_client_hostile, truncated_reply_ends_its_operation_and_the_connection) {
    struct stage stage;
    start(&stage);
    for (unsigned i = 0; i < sizeof(opcodes) / sizeof(opcodes[0]); i++) {
        size_t whole = reply_frame(1, opcodes[i], 0).size;
        for (size_t size = 0; size < whole; size++) {
            ask(&stage, opcodes[i]);
            struct frame frame = reply_frame(held_xid(&stage), opcodes[i], 0);
            frame.size = size;
            fake_raw(&stage.fakes[0], frame_bytes(&frame));
            cr_assert_eq(stage.ops[0].dones, 1, "opcode %d size %zu", opcodes[i], size);
            rt_err expected = size < PROTO_ZK_REPLY_HEADER_SIZE ? RT_ERESET : RT_EPROTO;
            cr_assert_eq(stage.ops[0].err, expected, "opcode %d size %zu", opcodes[i], size);
            reconnect(&stage);
        }
    }
    stage_fini(&stage);
}

Test(meta_client_hostile, lengths_in_a_reply_that_lie_are_noticed) {
    static const uint32_t lengths[] = {0x7fffffff, 0x80000000, 0xfffffffe, 0xfffffff0, 100,
                                       1u << 22,   1u << 24,   1u << 30,   0x20000000};
    struct stage stage;
    start(&stage);
    for (unsigned i = 0; i < sizeof(opcodes) / sizeof(opcodes[0]); i++) {
        bool has_length = opcodes[i] != PROTO_ZK_OP_EXISTS && opcodes[i] != PROTO_ZK_OP_SET_DATA &&
                          opcodes[i] != PROTO_ZK_OP_ADD_WATCH && opcodes[i] != PROTO_ZK_OP_MULTI &&
                          opcodes[i] != PROTO_ZK_OP_GET_ALL_CHILDREN_NUMBER;
        for (unsigned j = 0; has_length && j < sizeof(lengths) / sizeof(lengths[0]); j++) {
            ask(&stage, opcodes[i]);
            struct frame frame = reply_frame(held_xid(&stage), opcodes[i], 0);
            put_be32(&frame, PROTO_ZK_REPLY_HEADER_SIZE, lengths[j]);
            fake_raw(&stage.fakes[0], frame_bytes(&frame));
            stage_expect_client(&stage, "0:RT_EPROTO DISCONNECTED CONNECTED");
            reconnect(&stage);
        }
    }
    stage_fini(&stage);
}

Test(meta_client_hostile, what_is_under_way_behind_a_bad_reply_is_lost) {
    struct stage stage;
    start(&stage);
    stage.fakes[0].holds = true;
    get(&stage, 0, "/a", 0);
    get(&stage, 1, "/b", 1);
    struct frame frame = reply_frame(held_xid(&stage), PROTO_ZK_OP_GET_DATA, 0);
    frame.size -= 1;
    fake_raw(&stage.fakes[0], frame_bytes(&frame));
    stage_expect_client(&stage, "0:RT_EPROTO DISCONNECTED 1:RT_ERESET CONNECTED");
    reconnect(&stage);
    stage_close(&stage);
    stage_expect_client(&stage, "CLOSED closed");
    stage_fini(&stage);
}

Test(meta_client_hostile, operation_with_a_bad_reply_may_close_the_client_or_start_anew) {
    for (unsigned i = 0; i < 2; i++) {
        struct stage stage;
        start(&stage);
        stage.fakes[0].holds = true;
        get(&stage, 0, "/a", -1);
        stage.ops[0].closes = i == 0;
        stage.ops[0].again = i == 1;
        struct frame frame = reply_frame(held_xid(&stage), PROTO_ZK_OP_GET_DATA, 0);
        frame.size -= 1;
        stage.fakes[0].holds = false;
        fake_raw(&stage.fakes[0], frame_bytes(&frame));
        stage_run(&stage, 200);
        const char *told[] = {"0:RT_EPROTO CLOSED closed",
                              "0:RT_EPROTO DISCONNECTED CONNECTED 0:RT_OK"};
        stage_expect_client(&stage, "%s", told[i]);
        stage_fini(&stage);
    }
}

Test(meta_client_hostile, error_code_that_nobody_knows_is_an_error) {
    struct stage stage;
    start(&stage);
    stage.fakes[0].holds = true;
    get(&stage, 0, "/a", 0);
    struct frame frame = reply_frame(held_xid(&stage), PROTO_ZK_OP_GET_DATA, PROTO_ZK_ERR_NONODE);
    put_be32(&frame, 12, (uint32_t)-9999);
    fake_raw(&stage.fakes[0], frame_bytes(&frame));
    stage_expect_client(&stage, "0:RT_EREFUSED/UNKNOWN");
    cr_assert_eq(stage.ops[0].op.zk_err, -9999);
    stage.fakes[0].holds = false;
    stage_fini(&stage);
}

// LENGTHS OF FRAMES

static void announce(struct stage *stage, uint32_t length) {
    struct frame frame = {.size = 4};
    put_be32(&frame, 0, length);
    fake_bytes(&stage->fakes[0], frame_bytes(&frame));
}

Test(meta_client_hostile, frame_over_the_limit_ends_the_operation_it_would_answer) {
    static const uint32_t lengths[] = {(4u << 20) + 1, 0x7fffffff, 0x80000000, 0xffffffff};
    struct stage stage;
    start(&stage);
    for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        stage.fakes[0].holds = true;
        get(&stage, 0, "/a", -1);
        get(&stage, 1, "/a", -1);
        announce(&stage, lengths[i]);
        stage_expect_client(&stage, "DISCONNECTED 0:RT_ETOOBIG 1:RT_ERESET CONNECTED");
        reconnect(&stage);
        announce(&stage, lengths[i]);
        stage_expect_client(&stage, "DISCONNECTED CONNECTED");
        reconnect(&stage);
    }
    stage_fini(&stage);
}

// Header, length of the data, Stat.
enum { DATA_OVERHEAD = PROTO_ZK_REPLY_HEADER_SIZE + 4 + PROTO_ZK_STAT_SIZE };

Test(meta_client_hostile, reply_may_be_as_long_as_the_limit) {
    static uint8_t data[100000];
    struct stage stage;
    stage_init(&stage);
    stage.options.reply_size_max = sizeof(data);
    stage_open(&stage);
    stage_run(&stage, 1100);
    stage.reply_data = RT_BYTES(data, sizeof(data) - DATA_OVERHEAD);
    get(&stage, 0, "/a", -1);
    stage_expect_client(&stage, "CONNECTED 0:RT_OK");
    cr_assert_eq(stage.ops[0].data_size, sizeof(data) - DATA_OVERHEAD);
    stage.reply_data.size++;
    get(&stage, 0, "/a", -1);
    stage_expect_client(&stage, "DISCONNECTED 0:RT_ETOOBIG CONNECTED");
    stage.reply_data.size = 0;
    reconnect(&stage);
    stage_fini(&stage);
}

Test(meta_client_hostile, length_that_is_only_announced_buys_little_memory) {
    struct stage stage;
    start(&stage);
    size_t before = stage_memory(&stage);
    announce(&stage, 4u << 20);
    cr_assert_lt(stage_memory(&stage) - before, 200 << 10);
    stage_run(&stage, 60000);
    stage_expect_client(&stage, "DISCONNECTED CONNECTED");
    stage_fini(&stage);
}

// EVENTS

static void raw_event(struct stage *stage, int32_t type, int32_t state, struct rt_bytes path) {
    struct proto_zk_event event = {.type = type, .state = state, .path = path};
    struct rt_buf buf = {0};
    struct rt_writer w = rt_writer_into(&buf);
    proto_zk_event_encode(&event, -1, &w);
    fake_raw(&stage->fakes[0], rt_buf_bytes(&buf));
    rt_buf_fini(&buf);
}

static void watch_much(struct stage *stage) {
    get(stage, 0, "/a", 0);
    stage_add_watch(stage, 1, "/", PROTO_ZK_ADD_PERSISTENT_RECURSIVE, 1);
    stage_add_watch(stage, 2, "/a/b", PROTO_ZK_ADD_PERSISTENT_RECURSIVE, 2);
    stage->client_log.size = 0;
    stage->client_log.text[0] = '\0';
}

Test(meta_client_hostile, events_of_unknown_types_change_nothing) {
    static const int32_t types[] = {0, 5, 6, 7, 8, 99, -1, -2, INT32_MAX, INT32_MIN};
    struct stage stage;
    start(&stage);
    watch_much(&stage);
    for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        raw_event(&stage, types[i], PROTO_ZK_STATE_EXPIRED, RT_BYTES_LITERAL("/a"));
    stage_expect_client(&stage, "%s", "");
    fake_event(&stage.fakes[0], PROTO_ZK_EVENT_NODE_CREATED, "/a");
    stage_expect_client(&stage, "w0:NodeCreated /a w1:NodeCreated /a");
    stage_fini(&stage);
}

Test(meta_client_hostile, events_of_what_is_no_path_change_nothing) {
    static const struct rt_bytes paths[] = {
        {NULL, 0},
        {(const uint8_t *)"", 0},
        {(const uint8_t *)"a", 1},
        {(const uint8_t *)"abc/def", 7},
        {(const uint8_t *)"a/", 2},
        {(const uint8_t *)"/a\0/b", 5},
        {(const uint8_t *)"\0", 1},
    };
    struct stage stage;
    start(&stage);
    watch_much(&stage);
    for (unsigned i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        for (int32_t type = 1; type <= 4; type++)
            raw_event(&stage, type, PROTO_ZK_STATE_SYNC_CONNECTED, paths[i]);
    }
    stage_expect_client(&stage, "%s", "");
    stage_fini(&stage);
}

// Each of its two million ancestors might be watched.
Test(meta_client_hostile, event_of_a_path_without_end_costs_no_time) {
    enum { SIZE = 4000000 };
    static uint8_t path[SIZE];
    struct stage stage;
    start(&stage);
    watch_much(&stage);
    for (unsigned i = 0; i < SIZE; i++) path[i] = i % 2 ? 'b' : '/';
    path[1] = 'a';
    raw_event(&stage, PROTO_ZK_EVENT_NODE_CREATED, PROTO_ZK_STATE_SYNC_CONNECTED,
              RT_BYTES(path, SIZE));
    stage_run(&stage, 1000);
    cr_assert_eq(stage.watches[0].calls, 0);
    cr_assert_eq(stage.watches[1].calls, 1);
    cr_assert_eq(stage.watches[2].calls, 1);
    stage_fini(&stage);
}

Test(meta_client_hostile, truncated_event_breaks_the_connection) {
    struct stage stage;
    start(&stage);
    struct proto_zk_event event = {.type = PROTO_ZK_EVENT_NODE_CREATED,
                                   .state = PROTO_ZK_STATE_SYNC_CONNECTED,
                                   .path = RT_BYTES_LITERAL("/a")};
    struct frame frame;
    struct rt_writer w = rt_writer_over(frame.bytes, sizeof(frame.bytes));
    proto_zk_event_encode(&event, -1, &w);
    for (frame.size = 0; frame.size < w.written; frame.size++) {
        get(&stage, 0, "/a", 0);
        fake_raw(&stage.fakes[0], frame_bytes(&frame));
        stage_expect_client(&stage, "0:RT_OK DISCONNECTED CONNECTED");
        reconnect(&stage);
    }
    stage_fini(&stage);
}

// SPECIAL REPLIES

static void raw_reply(struct stage *stage, int32_t xid, int32_t err) {
    struct frame frame = reply_frame(xid, PROTO_ZK_OP_PING, err);
    fake_raw(&stage->fakes[0], frame_bytes(&frame));
}

Test(meta_client_hostile, special_replies_that_nobody_asked_for_change_nothing) {
    struct stage stage;
    start(&stage);
    stage.fakes[0].holds = true;
    get(&stage, 0, "/a", -1);
    raw_reply(&stage, PROTO_ZK_XID_PING, 0);
    raw_reply(&stage, PROTO_ZK_XID_PING, PROTO_ZK_ERR_NONODE);
    raw_reply(&stage, PROTO_ZK_XID_AUTH, 0);
    raw_reply(&stage, PROTO_ZK_XID_SET_WATCHES, 0);
    stage_expect_client(&stage, "%s", "");
    fake_release(&stage.fakes[0]);
    stage_expect_client(&stage, "0:RT_OK");
    stage_fini(&stage);
}

Test(meta_client_hostile, refused_watches_break_the_connection) {
    struct stage stage;
    start(&stage);
    raw_reply(&stage, PROTO_ZK_XID_SET_WATCHES, PROTO_ZK_ERR_UNIMPLEMENTED);
    stage_expect_client(&stage, "DISCONNECTED CONNECTED");
    reconnect(&stage);
    stage_fini(&stage);
}

Test(meta_client_hostile, flood_of_pings_leaves_no_memory_behind) {
    enum { PINGS = 20000, PING_SIZE = 4 + PROTO_ZK_REPLY_HEADER_SIZE };
    static uint8_t flood[PINGS * PING_SIZE];
    struct stage stage;
    start(&stage);
    struct frame frame = reply_frame(PROTO_ZK_XID_PING, PROTO_ZK_OP_PING, 0);
    for (unsigned i = 0; i < PINGS; i++) {
        struct rt_writer w = rt_writer_over(flood + (size_t)i * PING_SIZE, PING_SIZE);
        rt_write_be32(&w, (uint32_t)frame.size);
        rt_write_bytes(&w, frame_bytes(&frame));
    }
    size_t before = stage_memory(&stage);
    for (unsigned i = 0; i < 10; i++) fake_bytes(&stage.fakes[0], RT_BYTES(flood, sizeof(flood)));
    cr_assert_lt(stage_memory(&stage) - before, 600 << 10);
    get(&stage, 0, "/a", -1);
    stage_run(&stage, 100);
    stage_expect_client(&stage, "0:RT_OK");
    stage_fini(&stage);
}

// HANDSHAKES

static struct frame connected_frame(int32_t timeout_ms, int64_t session_id) {
    struct proto_zk_connected connected = {.timeout_ms = timeout_ms,
                                           .session_id = session_id,
                                           .password = "0123456789abcde",
                                           .has_read_only = true};
    struct frame frame;
    struct rt_writer w = rt_writer_over(frame.bytes, sizeof(frame.bytes));
    proto_zk_connected_encode(&connected, &w);
    frame.size = w.written;
    return frame;
}

static void start_silent(struct stage *stage) {
    stage_init(stage);
    stage->options.connect_timeout_ms = 500;
    stage->fakes[0].mode = FAKE_IS_SILENT;
    stage_open(stage);
}

// The last byte is one that old servers do not send.
Test(meta_client_hostile, truncated_handshake_is_none) {
    size_t whole = connected_frame(6000, STAGE_SESSION).size;
    for (size_t size = 0; size <= whole; size++) {
        struct stage stage;
        start_silent(&stage);
        struct frame frame = connected_frame(6000, STAGE_SESSION);
        frame.size = size;
        fake_raw(&stage.fakes[0], frame_bytes(&frame));
        stage_expect_client(&stage, "%s", size >= whole - 1 ? "CONNECTED" : "");
        stage.fakes[0].mode = FAKE_SERVES;
        stage_run(&stage, 2000);
        cr_assert_eq(meta_client_state(stage.client), META_CLIENT_CONNECTED);
        stage_fini(&stage);
    }
}

Test(meta_client_hostile, handshake_without_a_timeout_or_a_session_is_a_refusal) {
    static const struct {
        int32_t timeout_ms;
        int64_t session_id;
    } cases[] = {{0, 0}, {0, 5}, {-1, 5}, {INT32_MIN, 5}, {6000, 0}};
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct stage stage;
        start_silent(&stage);
        struct frame frame = connected_frame(cases[i].timeout_ms, cases[i].session_id);
        fake_raw(&stage.fakes[0], frame_bytes(&frame));
        stage_run(&stage, 5000);
        stage_expect_client(&stage, "EXPIRED");
        stage_fini(&stage);
    }
}

Test(meta_client_hostile, password_of_another_length_is_no_handshake) {
    static const uint32_t lengths[] = {0, 15, 17, 0xffffffff, 0x7fffffff, 0x80000000};
    for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct stage stage;
        start_silent(&stage);
        struct frame frame = connected_frame(6000, STAGE_SESSION);
        put_be32(&frame, 16, lengths[i]);
        fake_raw(&stage.fakes[0], frame_bytes(&frame));
        stage_expect_client(&stage, "%s", "");
        stage_fini(&stage);
    }
}

Test(meta_client_hostile, shortest_and_longest_timeouts_work) {
    static const int32_t timeouts[] = {1, 2, 3, INT32_MAX};
    for (unsigned i = 0; i < sizeof(timeouts) / sizeof(timeouts[0]); i++) {
        struct stage stage;
        stage_init(&stage);
        stage.fakes[0].grants_ms = timeouts[i];
        stage_open(&stage);
        stage_run(&stage, 2000);
        cr_assert_leq(stage.fakes[0].pings, 10000);
        stage.fakes[0].grants_ms = 6000;
        if (stage.fakes[0].conn) fake_hang_up(&stage.fakes[0]);
        stage_run(&stage, 3000);
        cr_assert_eq(meta_client_state(stage.client), META_CLIENT_CONNECTED);
        stage_fini(&stage);
    }
}

Test(meta_client_hostile, second_handshake_breaks_the_connection) {
    struct stage stage;
    start(&stage);
    struct frame frame = connected_frame(6000, STAGE_SESSION);
    fake_raw(&stage.fakes[0], frame_bytes(&frame));
    stage_expect_client(&stage, "DISCONNECTED CONNECTED");
    reconnect(&stage);
    stage_fini(&stage);
}

Test(meta_client_hostile, garbage_instead_of_the_answer_to_a_close_ends_it) {
    static const struct rt_bytes frames[] = {{(const uint8_t *)"", 0},
                                             {(const uint8_t *)"garbage", 7},
                                             {(const uint8_t *)"garbage garbage garbage", 23}};
    for (unsigned i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
        struct stage stage;
        start(&stage);
        stage.fakes[0].holds = true;
        stage_close(&stage);
        fake_raw(&stage.fakes[0], frames[i]);
        stage_run(&stage, 2100);
        stage_expect_client(&stage, "CLOSED closed");
        stage_fini(&stage);
    }
}

// ANYTHING

static void mutate(struct rt_random *random, struct frame *frame) {
    if (frame->size == 0) return;
    switch (rt_random_below(random, 4)) {
    case 0: frame->size = rt_random_below(random, frame->size); break;
    case 1: put_be32(frame, rt_random_below(random, frame->size), UINT32_MAX); break;
    case 2:
        put_be32(frame, rt_random_below(random, frame->size), (uint32_t)rt_random_u64(random));
        break;
    default:
        frame->bytes[rt_random_below(random, frame->size)] ^=
            (uint8_t)(1u << rt_random_below(random, 8));
    }
}

static void mutated_once(struct stage *stage, struct rt_random *random) {
    int32_t opcode = opcodes[rt_random_below(random, sizeof(opcodes) / sizeof(opcodes[0]))];
    ask(stage, opcode);
    struct frame frame = reply_frame(held_xid(stage), opcode, 0);
    for (uint64_t i = rt_random_between(random, 1, 3); i > 0; i--) mutate(random, &frame);
    fake_raw(&stage->fakes[0], frame_bytes(&frame));
    if (stage->fakes[0].conn && stage->ops[0].dones == 0) fake_hang_up(&stage->fakes[0]);
    stage_run(stage, 10);
    cr_assert_eq(stage->ops[0].dones, 1);
}

// A reply may be changed into the answer to credentials, which ends the session.
Test(meta_client_hostile, changed_replies_end_their_operation_once_and_harm_nothing) {
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct rt_random random;
        struct stage stage;
        rt_random_seed(&random, seed);
        start(&stage);
        for (unsigned i = 0; i < 100 && stage.client; i++) {
            mutated_once(&stage, &random);
            if (meta_client_state(stage.client) == META_CLIENT_AUTH_FAILED) break;
            reconnect(&stage);
        }
        stage_fini(&stage);
    }
}
