// multi: all or nothing.
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/meta_tree/applier.h"

static struct proto_zk_op create(const char *path, int32_t flags) {
    return applier_op_create(PROTO_ZK_OP_CREATE, path, flags);
}

// The encoded reply behind its header.
static bool results_are(struct applier *a, const void *bytes, size_t size) {
    struct rt_buf buf = {0};
    struct rt_writer w = rt_writer_into(&buf);
    proto_zk_reply_encode(&a->outcome.reply, PROTO_ZK_OP_MULTI, &w);
    struct rt_bytes behind = rt_bytes_skip(rt_buf_bytes(&buf), PROTO_ZK_REPLY_HEADER_SIZE);
    bool same = rt_bytes_equal(behind, RT_BYTES(bytes, size));
    rt_buf_fini(&buf);
    return same;
}

APPLIER_TEST(meta_tree_apply_multi, operations_see_those_before_them_at_one_zxid) {
    struct proto_zk_op ops[] = {create("/a", 0),
                                create("/a/s-", PROTO_ZK_MODE_PERSISTENT_SEQUENTIAL),
                                create("/a/s-", PROTO_ZK_MODE_PERSISTENT_SEQUENTIAL),
                                applier_op_set("/a", "x", 0),
                                applier_op_set("/a", "yy", 1),
                                applier_op_versioned(PROTO_ZK_OP_CHECK, "/a", 2),
                                applier_op_versioned(PROTO_ZK_OP_DELETE, "/a/s-0000000000", 0)};
    cr_assert_eq(applier_multi(a, ops, 7), PROTO_ZK_ERR_OK);
    const struct proto_zk_result *results = a->outcome.reply.results;
    cr_assert_eq(a->outcome.reply.result_count, 7);
    cr_expect(rt_bytes_equal(results[2].body.path, RT_BYTES_LITERAL("/a/s-0000000001")));
    cr_expect_eq(results[3].body.stat.version, 1, "right after that operation");
    cr_expect_eq(results[3].body.stat.data_size, 1);
    cr_expect_eq(results[4].body.stat.version, 2);
    cr_expect_eq(results[4].body.stat.children, 2);
    cr_expect_eq(results[4].body.stat.mzxid, (int64_t)a->index);
    cr_expect_str_eq(applier_changes(a),
                     "+/a +/a/s-0000000000 +/a/s-0000000001 =/a =/a -/a/s-0000000000");
    cr_expect_eq(applier_find(a, "/a")->children, 1);
}

APPLIER_TEST(meta_tree_apply_multi, the_reply_to_a_failed_one_is_that_of_zookeeper) {
    struct proto_zk_op ops[] = {
        create("/a", 0), applier_op_versioned(PROTO_ZK_OP_DELETE, "/none", -1), create("/b", 0)};
    cr_assert_eq(applier_multi(a, ops, 3), PROTO_ZK_ERR_OK, "the header says nothing of it");
    static const uint8_t expected[] = {
        0xff, 0xff, 0xff, 0xff, 0, 0,    0,    0,    0,    0,    0,    0,    0,     // ok
        0xff, 0xff, 0xff, 0xff, 0, 0xff, 0xff, 0xff, 0x9b, 0xff, 0xff, 0xff, 0x9b,  // -101
        0xff, 0xff, 0xff, 0xff, 0, 0xff, 0xff, 0xff, 0xfe, 0xff, 0xff, 0xff, 0xfe,  // -2
        0xff, 0xff, 0xff, 0xff, 1, 0xff, 0xff, 0xff, 0xff};
    cr_expect(results_are(a, expected, sizeof(expected)));
}

APPLIER_TEST(meta_tree_apply_multi, results_of_creates_are_typed_by_what_they_answer) {
    a->flags = META_EXTENDED_TYPES;
    struct proto_zk_op ops[] = {
        create("/1", 0), create("/2", PROTO_ZK_MODE_CONTAINER),
        applier_op_create(PROTO_ZK_OP_CREATE2, "/3", 0),
        applier_op_create(PROTO_ZK_OP_CREATE_CONTAINER, "/4", PROTO_ZK_MODE_CONTAINER),
        applier_op_create(PROTO_ZK_OP_CREATE_TTL, "/5", PROTO_ZK_MODE_PERSISTENT_WITH_TTL)};
    ops[4].create.ttl_ms = 1;
    static const int32_t types[] = {PROTO_ZK_OP_CREATE, PROTO_ZK_OP_CREATE2, PROTO_ZK_OP_CREATE2,
                                    PROTO_ZK_OP_CREATE2, PROTO_ZK_OP_CREATE2};
    cr_assert_eq(applier_multi(a, ops, 5), PROTO_ZK_ERR_OK);
    for (size_t i = 0; i < 5; i++)
        cr_expect_eq(a->outcome.reply.results[i].opcode, types[i], "%zu", i);
}

APPLIER_TEST(meta_tree_apply_multi, an_empty_one_answers_the_end_alone) {
    static const uint8_t end[] = {0xff, 0xff, 0xff, 0xff, 1, 0xff, 0xff, 0xff, 0xff};
    cr_assert_eq(applier_multi(a, NULL, 0), PROTO_ZK_ERR_OK);
    cr_expect(results_are(a, end, sizeof(end)));
}

APPLIER_TEST(meta_tree_apply_multi, a_failed_one_leaves_no_trace) {
    applier_create(a, "/p", 0);
    applier_create(a, "/p/old", 0);
    applier_create(a, "/p/mine", PROTO_ZK_MODE_EPHEMERAL);
    struct meta_store_totals before = meta_store_totals(a->stage->store);
    struct proto_zk_op ops[] = {create("/p/s-", PROTO_ZK_MODE_PERSISTENT_SEQUENTIAL),
                                applier_op_versioned(PROTO_ZK_OP_DELETE, "/p/old", -1),
                                applier_op_versioned(PROTO_ZK_OP_DELETE, "/p/mine", -1),
                                create("/p/e", PROTO_ZK_MODE_EPHEMERAL),
                                applier_op_set("/p", "changed", -1),
                                applier_op_versioned(PROTO_ZK_OP_CHECK, "/p", 0)};
    cr_assert_eq(applier_multi(a, ops, 6), PROTO_ZK_ERR_OK);
    cr_expect_eq(a->outcome.reply.results[5].err, PROTO_ZK_ERR_BADVERSION);
    cr_expect_eq(a->outcome.change_count, 0);
    struct meta_store_totals after = meta_store_totals(a->stage->store);
    cr_expect(after.digest == before.digest && after.nodes == before.nodes);
    cr_expect(after.ephemerals == before.ephemerals);
    cr_expect_not_null(applier_find(a, "/p/old"));
    applier_create(a, "/p/s-", PROTO_ZK_MODE_PERSISTENT_SEQUENTIAL);
    cr_expect(applier_path_is(a, "/p/s-0000000002"), "no number was used up");
    applier_close_session(a, a->session, 0, 0);
    cr_expect_str_eq(applier_changes(a), "-/p/mine");
}

static void op_write(struct rt_writer *w, int32_t opcode, const char *path) {
    rt_write_be32(w, (uint32_t)opcode);
    rt_write_u8(w, 0);
    rt_write_be32(w, UINT32_MAX);
    rt_write_be32(w, (uint32_t)strlen(path));
    rt_write_bytes(w, rt_bytes_of(path));
    for (unsigned n = 0; n < 4; n++) rt_write_be32(w, UINT32_MAX);  // fits whatever follows a path
}

// The encoder makes no such request.
APPLIER_TEST(meta_tree_apply_multi, what_it_must_not_contain_is_refused_as_a_whole) {
    applier_create(a, "/a", 0);
    static const int32_t opcodes[] = {PROTO_ZK_OP_GET_DATA, PROTO_ZK_OP_SET_ACL,
                                      PROTO_ZK_OP_MULTI,    PROTO_ZK_OP_CLOSE_SESSION,
                                      PROTO_ZK_OP_SYNC,     PROTO_ZK_OP_DELETE_CONTAINER};
    for (size_t i = 0; i < sizeof(opcodes) / sizeof(opcodes[0]); i++) {
        struct rt_buf payload = {0};
        struct rt_writer w = rt_writer_into(&payload);
        rt_write_be32(&w, 5);
        rt_write_be32(&w, PROTO_ZK_OP_MULTI);
        rt_write_bytes(&w, RT_BYTES_LITERAL("\0\0\0\2\0\377\377\377\377"
                                            "\0\0\0\2/a\377\377\377\377"));  // a delete
        op_write(&w, opcodes[i], "/a");
        const struct meta_command command = {.kind = META_REQUEST,
                                             .session = a->session,
                                             .attachment = a->attachment,
                                             .request.payload = rt_buf_bytes(&payload)};
        applier_entry(a, &command);
        cr_expect_eq(a->outcome.reply.header.err, PROTO_ZK_ERR_MARSHALLINGERROR, "%d", opcodes[i]);
        rt_buf_fini(&payload);
    }
    cr_expect_not_null(applier_find(a, "/a"));
}

APPLIER_TEST(meta_tree_apply_multi, a_session_that_is_gone_fails_the_first_operation) {
    a->session = 999;
    struct proto_zk_op ops[] = {create("/a", 0), create("/b", 0)};
    cr_assert_eq(applier_multi(a, ops, 2), PROTO_ZK_ERR_OK);
    cr_expect_eq(a->outcome.reply.results[0].err, PROTO_ZK_ERR_SESSIONEXPIRED);
    cr_expect_eq(a->outcome.reply.results[1].err, PROTO_ZK_ERR_RUNTIMEINCONSISTENCY);
}

APPLIER_TEST(meta_tree_apply_multi, made_and_deleted_and_made_again_is_there_once) {
    struct proto_zk_op ops[] = {create("/a", 0), applier_op_versioned(PROTO_ZK_OP_DELETE, "/a", 0),
                                create("/a", PROTO_ZK_MODE_EPHEMERAL)};
    cr_assert_eq(applier_multi(a, ops, 3), PROTO_ZK_ERR_OK);
    cr_expect_eq(applier_find(a, "/a")->owner, a->session);
    cr_expect_eq(applier_find(a, "/")->children, 2);
    cr_expect_eq(meta_store_totals(a->stage->store).ephemerals, 1);
    applier_close_session(a, a->session, 0, 0);
    cr_expect_null(applier_find(a, "/a"));
}
