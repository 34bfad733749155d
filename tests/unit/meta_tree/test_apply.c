// What single requests do to the tree.
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/meta_tree/applier.h"

static struct proto_zk_stat stat_of(struct applier *a, const char *path) {
    struct proto_zk_stat stat;
    const struct meta_znode *node = applier_find(a, path);
    cr_assert_not_null(node, "%s is missing", path);
    meta_znode_stat(node, &stat);
    return stat;
}

static bool stats_are_same(const struct proto_zk_stat *one, const struct proto_zk_stat *other) {
    uint8_t bytes[2][PROTO_ZK_STAT_SIZE];
    struct rt_writer w = rt_writer_over(bytes[0], sizeof(bytes[0]));
    proto_zk_stat_encode(one, &w);
    w = rt_writer_over(bytes[1], sizeof(bytes[1]));
    proto_zk_stat_encode(other, &w);
    return memcmp(bytes[0], bytes[1], sizeof(bytes[0])) == 0;
}

static void counters_set(struct applier *a, const char *path, int32_t creates, int32_t version) {
    struct meta_znode node = *applier_find(a, path);
    node.creates = creates;
    node.version = version;
    meta_store_put(a->stage->store, rt_bytes_of(path), &node);
}

APPLIER_TEST(meta_tree_apply, a_new_tree_is_that_of_zookeeper) {
    struct proto_zk_stat root = stat_of(a, "/"), own = stat_of(a, "/zookeeper");
    cr_expect_eq(root.cversion, -1);
    cr_expect_eq(root.children, 1);
    cr_expect_eq(own.cversion, -2);
    cr_expect_eq(own.children, 2);
    cr_expect_eq(stat_of(a, "/zookeeper/config").aversion, -1);
    cr_expect_eq(root.czxid + root.ctime_ms, 0);
    cr_expect_eq(meta_store_totals(a->stage->store).nodes, 4);
    uint64_t digest = meta_store_totals(a->stage->store).digest;
    meta_apply_genesis(a->stage->store);
    cr_expect_eq(meta_store_totals(a->stage->store).digest, digest, "only once");
    cr_expect_eq(applier_set(a, "/", "root"), PROTO_ZK_ERR_OK);
    cr_expect_eq(applier_set(a, "/zookeeper/config", "x"), PROTO_ZK_ERR_NOAUTH);
}

APPLIER_TEST(meta_tree_apply, creating_sets_the_stat_and_counts_in_the_parent) {
    a->time_ms = 5000;
    cr_assert_eq(applier_create(a, "/a", 0), PROTO_ZK_ERR_OK);
    cr_expect(applier_path_is(a, "/a"));
    int64_t zxid = (int64_t)a->index;
    const struct proto_zk_stat *stat = &a->outcome.reply.body.stat;
    cr_expect(stat->czxid == zxid && stat->mzxid == zxid && stat->pzxid == zxid);
    cr_expect(stat->ctime_ms == 5000 && stat->mtime_ms == 5000);
    cr_expect(stat->version == 0 && stat->cversion == 0 && stat->aversion == 0);
    cr_expect(stat->data_size == 4 && stat->children == 0 && stat->ephemeral_owner == 0);
    struct proto_zk_stat root = stat_of(a, "/");
    cr_expect(root.pzxid == zxid && root.cversion == 0 && root.children == 2);
    cr_expect(root.mzxid == 0 && root.version == 0);
    cr_expect_str_eq(applier_changes(a), "+/a");
}

APPLIER_TEST(meta_tree_apply, cversion_on_the_wire_counts_creates_and_deletes) {
    int32_t expected = -1;
    struct rt_random random;
    bool there[8] = {0};
    rt_random_seed(&random, 11);
    for (unsigned n = 0; n < 100; n++) {
        char path[] = "/0";
        size_t i = rt_random_below(&random, 8);
        path[1] = (char)('0' + i);
        int32_t err = there[i] ? applier_delete(a, path) : applier_create(a, path, 0);
        cr_assert_eq(err, PROTO_ZK_ERR_OK);
        there[i] = !there[i];
        cr_assert_eq(stat_of(a, "/").cversion, ++expected);
    }
}

APPLIER_TEST(meta_tree_apply, sequence_numbers_count_all_creates_and_never_fall) {
    cr_assert_eq(applier_create(a, "/p", 0), PROTO_ZK_ERR_OK);
    applier_create(a, "/p/s-", PROTO_ZK_MODE_PERSISTENT_SEQUENTIAL);
    cr_expect(applier_path_is(a, "/p/s-0000000000"));
    applier_create(a, "/p/plain", 0);
    applier_delete(a, "/p/plain");
    applier_create(a, "/p/e-", PROTO_ZK_MODE_EPHEMERAL_SEQUENTIAL);
    cr_expect(applier_path_is(a, "/p/e-0000000002"));
    cr_expect_eq(applier_create(a, "/p/plain/x", 0), PROTO_ZK_ERR_NONODE);
    applier_create(a, "/p/", PROTO_ZK_MODE_PERSISTENT_SEQUENTIAL);
    cr_expect(applier_path_is(a, "/p/0000000003"), "no name but the number");
    cr_expect_str_eq(applier_changes(a), "+/p/0000000003");
}

APPLIER_TEST(meta_tree_apply, a_recreated_parent_numbers_from_zero) {
    for (unsigned n = 0; n < 2; n++) {
        applier_create(a, "/p", 0);
        applier_create(a, "/p/s-", PROTO_ZK_MODE_PERSISTENT_SEQUENTIAL);
        cr_expect(applier_path_is(a, "/p/s-0000000000"));
        applier_delete(a, "/p/s-0000000000");
        applier_delete(a, "/p");
    }
}

APPLIER_TEST(meta_tree_apply, sequence_numbers_go_on_below_zero) {
    applier_create(a, "/p", 0);
    counters_set(a, "/p", INT32_MAX, 0);
    applier_create(a, "/p/s-", PROTO_ZK_MODE_PERSISTENT_SEQUENTIAL);
    cr_expect(applier_path_is(a, "/p/s-2147483647"));
    applier_create(a, "/p/s-", PROTO_ZK_MODE_PERSISTENT_SEQUENTIAL);
    cr_expect(applier_path_is(a, "/p/s--2147483648"));
}

APPLIER_TEST(meta_tree_apply, a_taken_sequential_name_is_refused_and_uses_no_number) {
    applier_create(a, "/p", 0);
    applier_create(a, "/p/s-0000000001", 0);
    cr_expect_eq(applier_create(a, "/p/s-", PROTO_ZK_MODE_PERSISTENT_SEQUENTIAL),
                 PROTO_ZK_ERR_NODEEXISTS);
    cr_expect_eq(applier_find(a, "/p")->creates, 1);
}

APPLIER_TEST(meta_tree_apply, paths_are_checked_as_zookeeper_does) {
    applier_create(a, "/x", 0);
    static const struct {
        const char *path;
        int32_t flags, err;
    } cases[] = {
        {"/x//y", 0, PROTO_ZK_ERR_NONODE},
        {"/x/", 0, PROTO_ZK_ERR_BADARGUMENTS},
        {"/x/..", 0, PROTO_ZK_ERR_BADARGUMENTS},
        {"/x/./y", 0, PROTO_ZK_ERR_NONODE},
        {"x/y", 0, PROTO_ZK_ERR_NONODE},
        {"/", 0, PROTO_ZK_ERR_NODEEXISTS},
        {"/x/.y", 0, PROTO_ZK_ERR_OK},
        {"", 0, PROTO_ZK_ERR_BADARGUMENTS},
        {"/x/\xff", 0, PROTO_ZK_ERR_BADARGUMENTS},
        {"/x/..", PROTO_ZK_MODE_PERSISTENT_SEQUENTIAL, PROTO_ZK_ERR_OK},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_expect_eq(applier_create(a, cases[i].path, cases[i].flags), cases[i].err, "%s",
                     cases[i].path);
    struct proto_zk_op op = applier_op_create(PROTO_ZK_OP_CREATE, "", 0);
    op.create.path = (struct rt_bytes){0};
    cr_expect_eq(applier_ask(a, &op), PROTO_ZK_ERR_MARSHALLINGERROR, "null");
    cr_expect_eq(applier_delete(a, ""), PROTO_ZK_ERR_BADARGUMENTS);
    cr_expect_eq(applier_set(a, "", "x"), PROTO_ZK_ERR_BADARGUMENTS);
}

APPLIER_TEST(meta_tree_apply, each_opcode_takes_its_flags_only) {
    a->flags = META_EXTENDED_TYPES;
    enum { BAD = PROTO_ZK_ERR_BADARGUMENTS };
    // Flags -1 to 7 of create, create2, createContainer and createTTL (with a time to live of 5).
    static const struct {
        int32_t opcode, errs[9];
    } cases[] = {
        {PROTO_ZK_OP_CREATE, {BAD, 0, 0, 0, 0, 0, BAD, BAD, BAD}},
        {PROTO_ZK_OP_CREATE2, {BAD, 0, 0, 0, 0, 0, BAD, BAD, BAD}},
        {PROTO_ZK_OP_CREATE_CONTAINER, {BAD, 0, 0, 0, 0, 0, BAD, BAD, BAD}},
        {PROTO_ZK_OP_CREATE_TTL, {BAD, BAD, BAD, BAD, BAD, BAD, 0, 0, BAD}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (int32_t flags = -1; flags <= 7; flags++) {
            char path[16];
            snprintf(path, sizeof(path), "/%d.%d.", (int)i, (int)flags);
            struct proto_zk_op op = applier_op_create(cases[i].opcode, path, flags);
            op.create.ttl_ms = 5;
            cr_expect_eq(applier_ask(a, &op), cases[i].errs[flags + 1], "%s", path);
        }
    }
}

APPLIER_TEST(meta_tree_apply, time_to_live_has_a_range) {
    a->flags = META_EXTENDED_TYPES;
    struct proto_zk_op op =
        applier_op_create(PROTO_ZK_OP_CREATE_TTL, "/t", PROTO_ZK_MODE_PERSISTENT_WITH_TTL);
    static const int64_t wrong[] = {INT64_MIN, -1, 0, PROTO_ZK_TTL_MS_MAX + 1, INT64_MAX};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        op.create.ttl_ms = wrong[i];
        cr_expect_eq(applier_ask(a, &op), PROTO_ZK_ERR_BADARGUMENTS);
    }
    op.create.ttl_ms = PROTO_ZK_TTL_MS_MAX;
    cr_assert_eq(applier_ask(a, &op), PROTO_ZK_ERR_OK);
    cr_expect_eq(applier_find(a, "/t")->ttl_ms, PROTO_ZK_TTL_MS_MAX);
    cr_expect_eq(a->outcome.reply.body.stat.ephemeral_owner, 0);
}

APPLIER_TEST(meta_tree_apply, setting_data_touches_version_mzxid_and_mtime_only) {
    applier_create(a, "/a", 0);
    struct proto_zk_stat before = stat_of(a, "/a");
    a->time_ms = 7000;
    cr_assert_eq(applier_set(a, "/a", "new data"), PROTO_ZK_ERR_OK);
    struct proto_zk_stat after = stat_of(a, "/a");
    cr_expect(after.version == 1 && after.mzxid == (int64_t)a->index && after.mtime_ms == 7000);
    cr_expect(after.czxid == before.czxid && after.ctime_ms == before.ctime_ms);
    cr_expect(after.pzxid == before.pzxid && after.cversion == 0 && after.aversion == 0);
    cr_expect(stats_are_same(&after, &a->outcome.reply.body.stat));
    cr_expect_str_eq(applier_changes(a), "=/a");
}

APPLIER_TEST(meta_tree_apply, null_data_and_empty_data_stay_different) {
    applier_create(a, "/a", 0);
    cr_assert_eq(applier_set(a, "/a", NULL), PROTO_ZK_ERR_OK);
    cr_expect_not(applier_find(a, "/a")->has_data);
    cr_assert_eq(applier_set(a, "/a", ""), PROTO_ZK_ERR_OK);
    cr_expect(applier_find(a, "/a")->has_data);
    cr_expect_eq(stat_of(a, "/a").data_size, 0);
}

APPLIER_TEST(meta_tree_apply, versions_skip_the_one_that_means_any) {
    applier_create(a, "/a", 0);
    counters_set(a, "/a", 0, -2);
    cr_assert_eq(applier_set(a, "/a", "x"), PROTO_ZK_ERR_OK);
    cr_expect_eq(applier_find(a, "/a")->version, 0);
    counters_set(a, "/a", 0, INT32_MAX);
    cr_assert_eq(applier_set(a, "/a", "x"), PROTO_ZK_ERR_OK);
    cr_expect_eq(applier_find(a, "/a")->version, INT32_MIN);
}

APPLIER_TEST(meta_tree_apply, changes_carry_the_acls_of_their_moment) {
    struct proto_zk_op op = applier_op_create(PROTO_ZK_OP_CREATE, "/a", 0);
    op.create.acl = applier_bob_acl;
    applier_ask(a, &op);
    struct rt_bytes stored;
    struct rt_arena arena = {0};
    meta_acl_encode(&applier_bob_acl, &arena, &stored);
    cr_expect(rt_bytes_equal(a->outcome.changes[0].acl, stored));
    cr_expect_eq(a->outcome.changes[0].parent_acl.size, 0);
    a->ids = applier_bob;
    applier_create(a, "/a/b", 0);
    cr_expect_eq(a->outcome.changes[0].acl.size, 0);
    cr_expect(rt_bytes_equal(a->outcome.changes[0].parent_acl, stored));
    applier_delete(a, "/a/b");
    cr_expect(rt_bytes_equal(a->outcome.changes[0].parent_acl, stored));
    applier_delete(a, "/a");
    cr_expect(rt_bytes_equal(a->outcome.changes[0].acl, stored), "as it was before");
    rt_arena_fini(&arena);
}

APPLIER_TEST(meta_tree_apply, a_failed_write_has_a_zxid_and_changes_nothing) {
    uint64_t digest = meta_store_totals(a->stage->store).digest;
    cr_assert_eq(applier_set(a, "/none", "x"), PROTO_ZK_ERR_NONODE);
    cr_expect_eq(a->outcome.reply.header.zxid, (int64_t)a->index);
    cr_expect_eq(a->outcome.change_count, 0);
    cr_expect_eq(meta_store_totals(a->stage->store).digest, digest);
}

APPLIER_TEST(meta_tree_apply, time_never_falls) {
    a->time_ms = 9000;
    applier_create(a, "/a", 0);
    a->time_ms = 100;
    applier_create(a, "/b", 0);
    cr_expect_eq(stat_of(a, "/b").ctime_ms, 9000);
    cr_expect_eq(meta_store_totals(a->stage->store).time_ms, 9000);
}

APPLIER_TEST(meta_tree_apply, what_is_no_write_is_answered_with_a_header_only) {
    static const int32_t opcodes[] = {PROTO_ZK_OP_GET_DATA, PROTO_ZK_OP_EXISTS, PROTO_ZK_OP_SYNC,
                                      PROTO_ZK_OP_PING,     PROTO_ZK_OP_CHECK,  12345};
    for (size_t i = 0; i < sizeof(opcodes) / sizeof(opcodes[0]); i++) {
        struct rt_buf payload = {0};
        struct rt_writer w = rt_writer_into(&payload);
        rt_write_be32(&w, 77);
        rt_write_be32(&w, (uint32_t)opcodes[i]);
        rt_write_be32(&w, 2);
        rt_write_bytes(&w, RT_BYTES_LITERAL("/a"));
        rt_write_be32(&w, 0);
        const struct meta_command command = {.kind = META_REQUEST,
                                             .origin = 3,
                                             .session = a->session,
                                             .attachment = a->attachment,
                                             .request.payload = rt_buf_bytes(&payload)};
        applier_entry(a, &command);
        cr_expect_eq(a->outcome.verdict, META_ANSWERED);
        cr_expect_eq(a->outcome.reply.header.xid, 77);
        cr_expect_eq(a->outcome.reply.header.err, PROTO_ZK_ERR_UNIMPLEMENTED, "%d", opcodes[i]);
        cr_expect(a->outcome.origin == 3 && a->outcome.change_count == 0);
        rt_buf_fini(&payload);
    }
}

APPLIER_TEST(meta_tree_apply, every_cut_of_a_request_is_answered) {
    struct proto_zk_op op = applier_op_create(PROTO_ZK_OP_CREATE, "/whole", 0);
    cr_assert_eq(applier_ask(a, &op), PROTO_ZK_ERR_OK);
    applier_delete(a, "/whole");
    struct proto_zk_request request = {.xid = 4, .op = op};
    struct rt_buf payload = {0};
    struct rt_writer w = rt_writer_into(&payload);
    proto_zk_request_encode(&request, &w);
    for (size_t size = 0; size < payload.size; size++) {
        const struct meta_command command = {.kind = META_REQUEST,
                                             .session = a->session,
                                             .attachment = a->attachment,
                                             .request.payload = RT_BYTES(payload.data, size)};
        applier_entry(a, &command);
        cr_expect_eq(a->outcome.reply.header.err, PROTO_ZK_ERR_MARSHALLINGERROR, "cut at %zu",
                     size);
    }
    cr_expect_null(applier_find(a, "/whole"));
    rt_buf_fini(&payload);
}

APPLIER_TEST(meta_tree_apply, an_entry_that_is_no_command_is_ignored_but_counts) {
    cr_expect_eq(applier_bytes(a, RT_BYTES_LITERAL("nonsense"))->verdict, META_IGNORED);
    cr_expect_eq(applier_bytes(a, (struct rt_bytes){0})->verdict, META_IGNORED);
    struct meta_position at = {a->index + 1, 2};
    meta_apply_nothing(a->stage->store, at);
    cr_expect_eq(meta_store_totals(a->stage->store).applied.index, at.index);
}

APPLIER_TEST(meta_tree_apply, another_configuration_becomes_data_once) {
    struct meta_position at = {++a->index, 1};
    struct rt_bytes text = RT_BYTES_LITERAL("server.1=a\nversion=2");
    meta_apply_config(a->stage->store, at, text, &a->arena, &a->outcome);
    cr_expect_str_eq(applier_changes(a), "=/zookeeper/config");
    cr_expect(applier_data_is(a, "/zookeeper/config", "server.1=a\nversion=2"));
    cr_expect_eq(applier_find(a, "/zookeeper/config")->version, 1);
    at.index = ++a->index;
    meta_apply_config(a->stage->store, at, text, &a->arena, &a->outcome);
    cr_expect_eq(a->outcome.change_count, 0);
    cr_expect_eq(meta_store_totals(a->stage->store).applied.index, at.index);
    cr_expect_eq(applier_find(a, "/zookeeper/config")->version, 1);
}

APPLIER_TEST(meta_tree_apply, only_what_the_leader_saw_is_reaped) {
    a->flags = META_EXTENDED_TYPES;
    cr_assert_eq(applier_create(a, "/c", PROTO_ZK_MODE_CONTAINER), PROTO_ZK_ERR_OK);
    int64_t zxid = (int64_t)a->index;
    applier_create(a, "/c/child", 0);
    applier_reap(a, "/c", zxid, zxid);
    cr_expect_not_null(applier_find(a, "/c"), "it has a child");
    applier_delete(a, "/c/child");
    applier_reap(a, "/c", zxid + 1, zxid);
    applier_reap(a, "/c", zxid, zxid + 1);
    cr_expect_not_null(applier_find(a, "/c"), "another node, or changed");
    cr_expect_eq(applier_reap(a, "/c", zxid, zxid)->verdict, META_IGNORED);
    cr_expect_str_eq(applier_changes(a), "-/c");
    cr_expect_eq(applier_reap(a, "/c", zxid, zxid)->change_count, 0, "gone already");
    applier_create(a, "/plain", 0);
    zxid = (int64_t)a->index;
    applier_reap(a, "/plain", zxid, zxid);
    cr_expect_not_null(applier_find(a, "/plain"), "no container");
    cr_expect_eq(applier_reap(a, "no path", 1, 1)->change_count, 0);
}
