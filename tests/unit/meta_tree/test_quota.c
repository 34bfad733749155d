// Quotas: counted always, enforced where the command says so.
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/meta_tree/applier.h"

#define LIMITS "/zookeeper/quota/q/zookeeper_limits"
#define STATS "/zookeeper/quota/q/zookeeper_stats"

static void quota_put(struct applier *a, const char *limits) {
    cr_assert_eq(applier_create(a, "/zookeeper/quota/q", 0), PROTO_ZK_ERR_OK);
    cr_assert_eq(applier_create(a, LIMITS, 0), PROTO_ZK_ERR_OK);
    cr_assert_eq(applier_set(a, LIMITS, limits), PROTO_ZK_ERR_OK);
    cr_assert_eq(applier_create(a, STATS, 0), PROTO_ZK_ERR_OK);
}

APPLIER_TEST(meta_tree_quota, a_new_quota_counts_what_is_there_with_its_root) {
    applier_create(a, "/q", 0);
    applier_create(a, "/q/a", 0);
    stage_flush(a->stage);
    applier_create(a, "/q/a/b", 0);
    applier_create(a, "/quite", 0);
    quota_put(a, "count=5,bytes=100");
    cr_expect(applier_data_is(a, STATS, "count=3,bytes=12"));
}

APPLIER_TEST(meta_tree_quota, changes_are_counted_without_telling_anybody) {
    applier_create(a, "/q", 0);
    quota_put(a, "count=5,bytes=100");
    struct proto_zk_stat before, after;
    meta_znode_stat(applier_find(a, STATS), &before);
    applier_create(a, "/q/a", 0);
    cr_expect(applier_data_is(a, STATS, "count=2,bytes=8"));
    cr_expect_str_eq(applier_changes(a), "+/q/a");
    applier_set(a, "/q/a", "longer");
    cr_expect(applier_data_is(a, STATS, "count=2,bytes=10"));
    applier_create(a, "/q/e", PROTO_ZK_MODE_EPHEMERAL);
    cr_expect(applier_data_is(a, STATS, "count=3,bytes=14"));
    applier_close_session(a, a->session, 0, 0);
    cr_expect(applier_data_is(a, STATS, "count=2,bytes=10"));
    meta_znode_stat(applier_find(a, STATS), &after);
    cr_expect(after.version == before.version && after.mzxid == before.mzxid);
}

APPLIER_TEST(meta_tree_quota, the_nearest_one_counts) {
    applier_create(a, "/q", 0);
    applier_create(a, "/q/inner", 0);
    quota_put(a, "count=5,bytes=-1");
    applier_create(a, "/zookeeper/quota/q/inner", 0);
    applier_create(a, "/zookeeper/quota/q/inner/zookeeper_limits", 0);
    applier_create(a, "/zookeeper/quota/q/inner/zookeeper_stats", 0);
    applier_create(a, "/q/inner/x", 0);
    cr_expect(applier_data_is(a, "/zookeeper/quota/q/inner/zookeeper_stats", "count=2,bytes=8"));
    cr_expect(applier_data_is(a, STATS, "count=2,bytes=8"));
    applier_create(a, "/q/innermost", 0);
    cr_expect(applier_data_is(a, STATS, "count=3,bytes=12"), "names are whole");
}

APPLIER_TEST(meta_tree_quota, hard_limits_hold_where_they_are_enforced) {
    applier_create(a, "/q", 0);
    quota_put(a, "count=1,bytes=-1=;byteHardLimit=10;countHardLimit=2");
    a->flags = META_ENFORCE_QUOTA;
    cr_expect_eq(applier_create(a, "/q/a", 0), PROTO_ZK_ERR_OK, "soft limits only warn");
    cr_expect_eq(applier_create(a, "/q/b", 0), PROTO_ZK_ERR_QUOTAEXCEEDED);
    cr_expect_eq(applier_set(a, "/q/a", "123456"), PROTO_ZK_ERR_OK);
    cr_expect_eq(applier_set(a, "/q/a", "1234567"), PROTO_ZK_ERR_QUOTAEXCEEDED);
    a->flags = 0;
    cr_expect_eq(applier_create(a, "/q/b", 0), PROTO_ZK_ERR_OK);
    cr_expect(applier_data_is(a, STATS, "count=3,bytes=14"));
    a->flags = META_ENFORCE_QUOTA;
    cr_expect_eq(applier_set(a, "/q/a", "12345"), PROTO_ZK_ERR_OK, "less is always fine");
    cr_expect_eq(applier_delete(a, "/q/b"), PROTO_ZK_ERR_OK);
}

APPLIER_TEST(meta_tree_quota, a_multi_is_counted_as_a_whole_or_not_at_all) {
    applier_create(a, "/q", 0);
    quota_put(a, "count=5,bytes=100");
    struct proto_zk_op ops[] = {applier_op_create(PROTO_ZK_OP_CREATE, "/q/a", 0),
                                applier_op_create(PROTO_ZK_OP_CREATE, "/q/b", 0),
                                applier_op_versioned(PROTO_ZK_OP_CHECK, "/none", 0)};
    applier_multi(a, ops, 3);
    cr_expect(applier_data_is(a, STATS, "count=1,bytes=4"));
    applier_multi(a, ops, 2);
    cr_expect(applier_data_is(a, STATS, "count=3,bytes=12"));
}

APPLIER_TEST(meta_tree_quota, a_multi_that_makes_statistics_counts_what_it_made) {
    applier_create(a, "/q", 0);
    applier_create(a, "/q/old", 0);
    applier_create(a, "/q/again", 0);
    struct proto_zk_op ops[] = {
        applier_op_create(PROTO_ZK_OP_CREATE, "/q/new", 0),
        applier_op_create(PROTO_ZK_OP_CREATE, "/q/new/below", 0),
        applier_op_versioned(PROTO_ZK_OP_DELETE, "/q/old", -1),
        applier_op_versioned(PROTO_ZK_OP_DELETE, "/q/again", -1),
        applier_op_create(PROTO_ZK_OP_CREATE, "/q/again", 0),
        applier_op_versioned(PROTO_ZK_OP_DELETE, "/q/again", -1),
        applier_op_create(PROTO_ZK_OP_CREATE, "/q/again", 0),
        applier_op_create(PROTO_ZK_OP_CREATE, "/zookeeper/quota/q", 0),
        applier_op_create(PROTO_ZK_OP_CREATE, LIMITS, 0),
        applier_op_create(PROTO_ZK_OP_CREATE, STATS, 0),
        applier_op_create(PROTO_ZK_OP_CREATE, "/q/last", 0),
    };
    applier_multi(a, ops, sizeof(ops) / sizeof(ops[0]));
    cr_expect(applier_data_is(a, STATS, "count=5,bytes=20"));
}

APPLIER_TEST(meta_tree_quota, nonsense_limits_limit_nothing) {
    static const char *const limits[] = {"",
                                         "count",
                                         "count=,bytes=x",
                                         "countHardLimit=99999999999999999999",
                                         "=;=;,,",
                                         "countHardLimit=-1;byteHardLimit=-1",
                                         "countHardLimit=1x"};
    applier_create(a, "/q", 0);
    quota_put(a, "");
    a->flags = META_ENFORCE_QUOTA;
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        applier_set(a, LIMITS, limits[i]);
        cr_expect_eq(applier_create(a, "/q/a", 0), PROTO_ZK_ERR_OK, "%s", limits[i]);
        applier_delete(a, "/q/a");
    }
}

APPLIER_TEST(meta_tree_quota, statistics_that_are_missing_or_of_nothing_do_no_harm) {
    applier_create(a, "/zookeeper/quota/zookeeper_stats", 0);
    applier_create(a, "/zookeeper/quota/none", 0);
    cr_assert_eq(applier_create(a, "/zookeeper/quota/none/zookeeper_stats", 0), PROTO_ZK_ERR_OK);
    cr_expect(applier_data_is(a, "/zookeeper/quota/none/zookeeper_stats", "count=0,bytes=0"));
    applier_create(a, "/q", 0);
    applier_create(a, "/zookeeper/quota/q", 0);
    applier_create(a, LIMITS, 0);
    cr_expect_eq(applier_create(a, "/q/a", 0), PROTO_ZK_ERR_OK);
}
