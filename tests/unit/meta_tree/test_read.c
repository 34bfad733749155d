// Reads, on both machines. Each request is asked twice: of the store on its loop, and of a view as
// a worker does; both must answer alike.
#include "meta/server/tree/read.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "meta/server/tree/acl.h"
#include "meta/server/tree/read_source.h"
#include "runtime/mem.h"
#include "tests/unit/meta_tree/stage.h"

struct asker {
    struct stage *stage;
    struct rt_arena arena;
    struct meta_read_context context;
    struct proto_zk_reply reply;
};

// As a worker does it.
static struct proto_zk_reply ask_view(struct asker *asker, const struct proto_zk_request *request) {
    struct meta_read_source source = {.context = &asker->context,
                                      .arena = &asker->arena,
                                      .scan_left = SIZE_MAX,
                                      .bytes_left = META_READ_REPLY_BYTES};
    struct proto_zk_reply reply;
    cr_assert_eq(meta_store_view_now(asker->stage->store, &source.view), RT_OK);
    cr_assert_eq(meta_read_answer(&source, request, &reply), RT_OK);
    reply.header.zxid = (int64_t)source.view.applied.index;
    return reply;
}

static void replies_are_same(const struct asker *asker, const struct proto_zk_reply *other,
                             int32_t opcode) {
    struct rt_buf here = {0}, there = {0};
    struct rt_writer w = rt_writer_into(&here);
    proto_zk_reply_encode(&asker->reply, opcode, &w);
    w = rt_writer_into(&there);
    proto_zk_reply_encode(other, opcode, &w);
    cr_assert(rt_bytes_equal(rt_buf_bytes(&here), rt_buf_bytes(&there)), "%s differs",
              proto_zk_op_name(opcode));
    rt_buf_fini(&here);
    rt_buf_fini(&there);
}

// What is not known in memory may be left to a worker.
static int32_t ask_request(struct asker *asker, const struct proto_zk_request *request) {
    rt_err err =
        meta_read_try(asker->stage->store, &asker->context, request, &asker->arena, &asker->reply);
    struct proto_zk_reply reply = ask_view(asker, request);
    if (err == RT_EAGAIN) {
        asker->reply = reply;
        return reply.header.err;
    }
    cr_assert_eq(err, RT_OK, "%s", rt_err_name(err));
    replies_are_same(asker, &reply, request->op.opcode);
    return asker->reply.header.err;
}

static struct proto_zk_op op_of(int32_t opcode, struct rt_bytes path) {
    struct proto_zk_op op = {.opcode = opcode};
    switch (opcode) {
    case PROTO_ZK_OP_GET_ACL:
    case PROTO_ZK_OP_GET_EPHEMERALS:
    case PROTO_ZK_OP_GET_ALL_CHILDREN_NUMBER: op.path = path; break;
    default: op.read.path = path; break;
    }
    return op;
}

static int32_t ask_bytes(struct asker *asker, int32_t opcode, struct rt_bytes path) {
    struct proto_zk_request request = {.xid = 1, .op = op_of(opcode, path)};
    return ask_request(asker, &request);
}

static int32_t ask(struct asker *asker, int32_t opcode, const char *path) {
    return ask_bytes(asker, opcode, rt_bytes_of(path));
}

static void names_are(const struct asker *asker, const char *expected) {
    char text[256] = "";
    const struct proto_zk_strings *names = &asker->reply.body.names;
    cr_assert_not(names->is_null);
    for (size_t i = 0; i < names->count; i++) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof(text) - used, "%.*s ", (int)names->items[i].size,
                 (const char *)names->items[i].data);
    }
    cr_assert_str_eq(text, expected);
}

static void acl_set(struct asker *asker, const char *path, int32_t perms, const char *scheme,
                    const char *id) {
    struct rt_bytes stored;
    const struct proto_zk_acl entry = {perms, {rt_bytes_of(scheme), rt_bytes_of(id)}};
    const struct proto_zk_acls acls = {.items = &entry, .count = 1};
    struct meta_znode node = *stage_find(asker->stage, path);
    meta_acl_encode(&acls, &asker->arena, &stored);
    node.acl = stored;
    meta_store_put(asker->stage->store, rt_bytes_of(path), &node);
}

static void kind_set(struct asker *asker, const char *path, enum meta_znode_kind kind,
                     int64_t owner) {
    struct meta_znode node = *stage_find(asker->stage, path);
    node.kind = kind;
    node.owner = owner;
    meta_store_put(asker->stage->store, rt_bytes_of(path), &node);
}

static const struct proto_zk_id me = {RT_BYTES_LITERAL("digest"), RT_BYTES_LITERAL("me:hash")};

static struct asker asker_open(struct stage *stage) {
    stage_open(stage);
    stage_create(stage, "/", 0, NULL);
    stage_create(stage, "/a", 2, "data");
    stage_create(stage, "/a/x", 3, "");
    stage_create(stage, "/a/y", 4, NULL);
    stage_create(stage, "/a/y/deep", 5, NULL);
    stage_create(stage, "/closed", 6, "secret");
    stage_applied(stage, 6);
    struct asker asker = {.stage = stage, .context.session = 7};
    acl_set(&asker, "/closed", PROTO_ZK_PERM_WRITE, "digest", "me:hash");
    return asker;
}

static void asker_close(struct asker *asker) {
    rt_arena_fini(&asker->arena);
    stage_close(asker->stage);
}

static void reads_fail_in_the_order_of_the_protocol(struct stage *stage) {
    static const struct {
        int32_t opcode;
        const char *path;
        int32_t err;
    } cases[] = {
        {PROTO_ZK_OP_EXISTS, "/none", PROTO_ZK_ERR_NONODE},
        {PROTO_ZK_OP_EXISTS, "/closed", PROTO_ZK_ERR_NOAUTH},
        {PROTO_ZK_OP_EXISTS, "/closed/none", PROTO_ZK_ERR_NONODE},
        {PROTO_ZK_OP_EXISTS, "no-slash", PROTO_ZK_ERR_NONODE},
        {PROTO_ZK_OP_EXISTS, "/a/", PROTO_ZK_ERR_NONODE},
        {PROTO_ZK_OP_EXISTS, "//", PROTO_ZK_ERR_NONODE},
        {PROTO_ZK_OP_EXISTS, "", PROTO_ZK_ERR_OK},
        {PROTO_ZK_OP_GET_DATA, "/none", PROTO_ZK_ERR_NONODE},
        {PROTO_ZK_OP_GET_DATA, "/closed", PROTO_ZK_ERR_NOAUTH},
        {PROTO_ZK_OP_GET_DATA, "/a/../a", PROTO_ZK_ERR_NONODE},
        {PROTO_ZK_OP_GET_DATA, "", PROTO_ZK_ERR_OK},
        {PROTO_ZK_OP_GET_ACL, "/none", PROTO_ZK_ERR_NONODE},
        {PROTO_ZK_OP_GET_ACL, "/closed", PROTO_ZK_ERR_NOAUTH},
        {PROTO_ZK_OP_GET_CHILDREN, "/none", PROTO_ZK_ERR_NONODE},
        {PROTO_ZK_OP_GET_CHILDREN, "/closed", PROTO_ZK_ERR_NOAUTH},
        {PROTO_ZK_OP_GET_CHILDREN2, "/none", PROTO_ZK_ERR_NONODE},
        {PROTO_ZK_OP_GET_CHILDREN2, "/closed", PROTO_ZK_ERR_NOAUTH},
        {PROTO_ZK_OP_GET_ALL_CHILDREN_NUMBER, "/none", PROTO_ZK_ERR_NONODE},
        {PROTO_ZK_OP_GET_ALL_CHILDREN_NUMBER, "/closed", PROTO_ZK_ERR_NOAUTH},
        {PROTO_ZK_OP_GET_EPHEMERALS, "/none", PROTO_ZK_ERR_OK},
    };
    struct asker asker = asker_open(stage);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int32_t err = ask(&asker, cases[i].opcode, cases[i].path);
        cr_assert_eq(err, cases[i].err, "%s %s: %d", proto_zk_op_name(cases[i].opcode),
                     cases[i].path, err);
    }
    struct rt_bytes nul = RT_BYTES("/a\0b", 4);
    cr_assert_eq(ask_bytes(&asker, PROTO_ZK_OP_EXISTS, nul), PROTO_ZK_ERR_BADARGUMENTS);
    cr_assert_eq(ask_bytes(&asker, PROTO_ZK_OP_GET_DATA, nul), PROTO_ZK_ERR_NONODE);
    asker_close(&asker);
}

static void a_null_path_could_not_be_decoded(struct stage *stage) {
    static const int32_t opcodes[] = {
        PROTO_ZK_OP_EXISTS,       PROTO_ZK_OP_GET_DATA,      PROTO_ZK_OP_GET_ACL,
        PROTO_ZK_OP_GET_CHILDREN, PROTO_ZK_OP_GET_CHILDREN2, PROTO_ZK_OP_GET_ALL_CHILDREN_NUMBER};
    struct asker asker = asker_open(stage);
    for (size_t i = 0; i < sizeof(opcodes) / sizeof(opcodes[0]); i++) {
        int32_t err = ask_bytes(&asker, opcodes[i], RT_BYTES(NULL, 0));
        cr_assert_eq(err, PROTO_ZK_ERR_MARSHALLINGERROR, "%s", proto_zk_op_name(opcodes[i]));
    }
    cr_assert_eq(ask_bytes(&asker, PROTO_ZK_OP_GET_EPHEMERALS, RT_BYTES(NULL, 0)), 0);
    asker_close(&asker);
}

static void reads_answer_what_the_tree_has(struct stage *stage) {
    struct asker asker = asker_open(stage);
    cr_assert_eq(ask(&asker, PROTO_ZK_OP_EXISTS, "/a"), 0);
    cr_assert_eq(asker.reply.body.stat.czxid, 2);
    cr_assert_eq(asker.reply.body.stat.children, 2);
    cr_assert_eq(asker.reply.header.zxid, 6);
    cr_assert_eq(ask(&asker, PROTO_ZK_OP_GET_DATA, "/a"), 0);
    cr_assert(rt_bytes_equal(asker.reply.body.data, RT_BYTES_LITERAL("data")));
    cr_assert_eq(asker.reply.body.stat.data_size, 4);
    cr_assert_eq(ask(&asker, PROTO_ZK_OP_GET_DATA, "/a/x"), 0);
    cr_assert_not_null(asker.reply.body.data.data);
    cr_assert_eq(ask(&asker, PROTO_ZK_OP_GET_DATA, "/a/y"), 0);
    cr_assert_null(asker.reply.body.data.data);
    cr_assert_eq(ask(&asker, PROTO_ZK_OP_GET_CHILDREN, "/a"), 0);
    names_are(&asker, "x y ");
    cr_assert_eq(ask(&asker, PROTO_ZK_OP_GET_CHILDREN2, ""), 0);
    names_are(&asker, "a closed ");
    cr_assert_eq(asker.reply.body.stat.children, 2);
    cr_assert_eq(ask(&asker, PROTO_ZK_OP_GET_CHILDREN, "/a/x"), 0);
    names_are(&asker, "");
    cr_assert_eq(ask(&asker, PROTO_ZK_OP_GET_ALL_CHILDREN_NUMBER, "/"), 0);
    cr_assert_eq(asker.reply.body.number, 5);
    cr_assert_eq(ask(&asker, PROTO_ZK_OP_GET_ALL_CHILDREN_NUMBER, "/a/x"), 0);
    cr_assert_eq(asker.reply.body.number, 0);
    asker_close(&asker);
}

static void an_answer_outlives_the_node(struct stage *stage) {
    struct asker asker = asker_open(stage);
    cr_assert_eq(ask(&asker, PROTO_ZK_OP_GET_DATA, "/a"), 0);
    struct rt_bytes data = asker.reply.body.data;
    struct meta_znode node = *stage_find(stage, "/a");
    node.data = RT_BYTES_LITERAL("changed");
    meta_store_put(stage->store, RT_BYTES_LITERAL("/a"), &node);
    cr_assert(rt_bytes_equal(data, RT_BYTES_LITERAL("data")));
    asker_close(&asker);
}

static void the_acl_is_masked_for_those_without_admin(struct stage *stage) {
    struct asker asker = asker_open(stage);
    asker.context.ids = (struct proto_zk_ids){.items = &me, .count = 1};
    cr_assert_eq(ask(&asker, PROTO_ZK_OP_GET_ACL, "/closed"), PROTO_ZK_ERR_NOAUTH);
    acl_set(&asker, "/closed", PROTO_ZK_PERM_READ, "digest", "me:hash");
    cr_assert_eq(ask(&asker, PROTO_ZK_OP_GET_ACL, "/closed"), 0);
    cr_assert_eq(asker.reply.body.acl.count, 1);
    cr_assert(rt_bytes_equal(asker.reply.body.acl.items[0].id.id, RT_BYTES_LITERAL("me:x")));
    acl_set(&asker, "/closed", PROTO_ZK_PERM_ADMIN, "digest", "me:hash");
    cr_assert_eq(ask(&asker, PROTO_ZK_OP_GET_ACL, "/closed"), 0);
    cr_assert(rt_bytes_equal(asker.reply.body.acl.items[0].id.id, RT_BYTES_LITERAL("me:hash")));
    cr_assert_eq(asker.reply.body.stat.czxid, 6);
    asker.context = (struct meta_read_context){.skip_acl = true};
    cr_assert_eq(ask(&asker, PROTO_ZK_OP_GET_ACL, "/closed"), 0);
    cr_assert(rt_bytes_equal(asker.reply.body.acl.items[0].id.id, RT_BYTES_LITERAL("me:hash")));
    cr_assert_eq(ask(&asker, PROTO_ZK_OP_GET_DATA, "/closed"), 0);
    asker_close(&asker);
}

static void an_open_node_answers_the_acl_for_anyone(struct stage *stage) {
    struct asker asker = asker_open(stage);
    cr_assert_eq(ask(&asker, PROTO_ZK_OP_GET_ACL, "/a"), 0);
    cr_assert_eq(asker.reply.body.acl.count, 1);
    cr_assert_eq(asker.reply.body.acl.items[0].perms, PROTO_ZK_PERM_ALL);
    cr_assert(rt_bytes_equal(asker.reply.body.acl.items[0].id.id, RT_BYTES_LITERAL("anyone")));
    asker_close(&asker);
}

static void ephemerals_are_the_sessions_own_by_prefix(struct stage *stage) {
    struct asker asker = asker_open(stage);
    cr_assert_eq(ask(&asker, PROTO_ZK_OP_GET_EPHEMERALS, "/"), 0);
    names_are(&asker, "");
    stage_create(stage, "/e1", 7, NULL);
    stage_create(stage, "/e22", 8, NULL);
    stage_create(stage, "/other", 9, NULL);
    kind_set(&asker, "/e1", META_EPHEMERAL, 7);
    kind_set(&asker, "/e22", META_EPHEMERAL, 7);
    kind_set(&asker, "/other", META_EPHEMERAL, 8);
    static const struct {
        const char *prefix, *paths;
    } cases[] = {{"/", "/e1 /e22 "}, {"", "/e1 /e22 "}, {"  ", "/e1 /e22 "}, {"/e2", "/e22 "},
                 {"/e22", "/e22 "},  {"/e222", ""},     {"e1", ""},          {"/other", ""}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cr_assert_eq(ask(&asker, PROTO_ZK_OP_GET_EPHEMERALS, cases[i].prefix), 0);
        names_are(&asker, cases[i].paths);
    }
    cr_assert_eq(ask_bytes(&asker, PROTO_ZK_OP_GET_EPHEMERALS, RT_BYTES(NULL, 0)), 0);
    names_are(&asker, "/e1 /e22 ");
    asker_close(&asker);
}

static void each_part_of_a_multi_read_stands_for_itself(struct stage *stage) {
    struct asker asker = asker_open(stage);
    const struct proto_zk_op ops[] = {
        op_of(PROTO_ZK_OP_GET_DATA, RT_BYTES_LITERAL("/none")),
        op_of(PROTO_ZK_OP_GET_DATA, RT_BYTES_LITERAL("/a")),
        op_of(PROTO_ZK_OP_GET_CHILDREN, RT_BYTES_LITERAL("/closed")),
        op_of(PROTO_ZK_OP_GET_CHILDREN, RT_BYTES_LITERAL("/a")),
        op_of(PROTO_ZK_OP_GET_DATA, RT_BYTES(NULL, 0)),
    };
    static const int32_t errs[] = {PROTO_ZK_ERR_NONODE, 0, PROTO_ZK_ERR_NOAUTH, 0};
    struct proto_zk_request request = {
        .op.opcode = PROTO_ZK_OP_MULTI_READ, .ops = ops, .op_count = 5};
    cr_assert_eq(ask_request(&asker, &request), PROTO_ZK_ERR_MARSHALLINGERROR, "no path at all");
    request.op_count = 4;
    cr_assert_eq(ask_request(&asker, &request), 0);
    cr_assert_eq(asker.reply.result_count, 4);
    for (size_t i = 0; i < 4; i++) {
        const struct proto_zk_result *result = &asker.reply.results[i];
        cr_assert_eq(result->err, errs[i]);
        cr_assert_eq(result->opcode, errs[i] ? PROTO_ZK_RESULT_ERROR : ops[i].opcode);
    }
    cr_assert(rt_bytes_equal(asker.reply.results[1].body.data, RT_BYTES_LITERAL("data")));
    cr_assert_eq(asker.reply.results[3].body.names.count, 2);
    request.op_count = 0;
    cr_assert_eq(ask_request(&asker, &request), 0);
    cr_assert_eq(asker.reply.result_count, 0);
    asker_close(&asker);
}

static rt_err try(struct asker *asker, int32_t opcode, const char *path) {
    struct proto_zk_request request = {.op = op_of(opcode, rt_bytes_of(path))};
    return meta_read_try(asker->stage->store, &asker->context, &request, &asker->arena,
                         &asker->reply);
}

static void long_scans_are_left_to_a_worker(struct stage *stage) {
    char path[32];
    struct asker asker = asker_open(stage);
    cr_assert_eq(try(&asker, PROTO_ZK_OP_GET_ALL_CHILDREN_NUMBER, "/a"), RT_EAGAIN);
    for (int i = 0; i < META_READ_LOOP_SCAN; i++) {
        snprintf(path, sizeof(path), "/a/x/%d", i);
        stage_create(stage, path, 7, NULL);
        kind_set(&asker, path, META_EPHEMERAL, 7);
    }
    cr_assert_eq(try(&asker, PROTO_ZK_OP_GET_CHILDREN, "/a/x"), RT_OK);
    cr_assert_eq(asker.reply.body.names.count, META_READ_LOOP_SCAN);
    cr_assert_eq(try(&asker, PROTO_ZK_OP_GET_EPHEMERALS, "/"), RT_OK);
    stage_create(stage, "/a/x/more", 7, NULL);
    kind_set(&asker, "/a/x/more", META_EPHEMERAL, 7);
    cr_assert_eq(try(&asker, PROTO_ZK_OP_GET_CHILDREN, "/a/x"), RT_EAGAIN);
    cr_assert_eq(try(&asker, PROTO_ZK_OP_GET_EPHEMERALS, "/"), RT_EAGAIN);
    cr_assert_eq(try(&asker, PROTO_ZK_OP_GET_CHILDREN, "/a"), RT_OK);
    asker_close(&asker);
}

static void a_reply_without_end_is_refused(struct stage *stage) {
    enum { OPS = 300, SIZE = 1 << 20 };
    static struct proto_zk_op ops[OPS];
    static uint8_t data[SIZE];
    struct asker asker = asker_open(stage);
    struct meta_znode node = *stage_find(stage, "/a");
    node.data = RT_BYTES(data, SIZE);
    meta_store_put(stage->store, RT_BYTES_LITERAL("/a"), &node);
    for (size_t i = 0; i < OPS; i++) {
        ops[i] = op_of(PROTO_ZK_OP_GET_DATA, RT_BYTES_LITERAL("/a"));
    }
    const struct proto_zk_request request = {
        .op.opcode = PROTO_ZK_OP_MULTI_READ, .ops = ops, .op_count = OPS};
    cr_assert_eq(meta_read_try(stage->store, &asker.context, &request, &asker.arena, &asker.reply),
                 RT_EAGAIN);
    struct meta_read_source source = {
        .context = &asker.context, .arena = &asker.arena, .bytes_left = 3 * SIZE + SIZE / 2};
    cr_assert_eq(meta_store_view_now(stage->store, &source.view), RT_OK);
    cr_assert_eq(meta_read_answer(&source, &request, &asker.reply), RT_OK);
    cr_assert_eq(asker.reply.results[2].err, 0);
    cr_assert_eq(asker.reply.results[3].err, PROTO_ZK_ERR_BADARGUMENTS);
    cr_assert_lt(asker.arena.used_bytes, 10 * SIZE);
    asker_close(&asker);
}

#define READ_CASES(X)                              \
    X(reads_fail_in_the_order_of_the_protocol)     \
    X(a_null_path_could_not_be_decoded)            \
    X(reads_answer_what_the_tree_has)              \
    X(an_answer_outlives_the_node)                 \
    X(the_acl_is_masked_for_those_without_admin)   \
    X(an_open_node_answers_the_acl_for_anyone)     \
    X(ephemerals_are_the_sessions_own_by_prefix)   \
    X(each_part_of_a_multi_read_stands_for_itself) \
    X(long_scans_are_left_to_a_worker)             \
    X(a_reply_without_end_is_refused)

#define REAL(name)               \
    Test(meta_tree_read, name) { \
        stage_run_real(name);    \
    }
READ_CASES(REAL)

#define SIM(name)                    \
    Test(meta_tree_read_sim, name) { \
        stage_run_sim(name);         \
    }
READ_CASES(SIM)
