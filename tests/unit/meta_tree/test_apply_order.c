// Which of several errors is found first. Each case starts with a request in which everything is
// wrong and puts it right step by step, from the first check to the last.
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/unit/meta_tree/applier.h"

enum { GONE = 999 };

static void put_closed(struct applier *a, const char *path) {
    struct proto_zk_op op = applier_op_create(PROTO_ZK_OP_CREATE, path, 0);
    op.create.acl = applier_bob_acl;
    cr_assert_eq(applier_ask(a, &op), PROTO_ZK_ERR_OK);
}

// Hard limits of one node and four bytes for `path`, which are used up.
static void put_limits(struct applier *a, const char *path) {
    char node[64];
    snprintf(node, sizeof(node), "/zookeeper/quota%s", path);
    cr_assert_eq(applier_create(a, node, 0), PROTO_ZK_ERR_OK);
    snprintf(node, sizeof(node), "/zookeeper/quota%s/zookeeper_limits", path);
    cr_assert_eq(applier_create(a, node, 0), PROTO_ZK_ERR_OK);
    const char *limits = "count=-1,bytes=-1=;byteHardLimit=4;countHardLimit=1";
    cr_assert_eq(applier_set(a, node, limits), PROTO_ZK_ERR_OK);
    snprintf(node, sizeof(node), "/zookeeper/quota%s/zookeeper_stats", path);
    cr_assert_eq(applier_create(a, node, 0), PROTO_ZK_ERR_OK);
}

APPLIER_TEST(meta_tree_apply_order, errors_of_create_in_their_order) {
    put_closed(a, "/closed");
    applier_create(a, "/there", 0);
    applier_create(a, "/ephemeral", PROTO_ZK_MODE_EPHEMERAL);
    put_limits(a, "/ephemeral");
    applier_create(a, "/full", 0);
    put_limits(a, "/full");
    a->session = GONE;
    a->flags = META_ENFORCE_QUOTA;
    struct proto_zk_op op = applier_op_create(PROTO_ZK_OP_CREATE_TTL, "none", 0);
    op.create.acl = (struct proto_zk_acls){0};
    cr_expect_eq(applier_ask(a, &op), PROTO_ZK_ERR_BADARGUMENTS, "flag");
    op.create.flags = PROTO_ZK_MODE_PERSISTENT_WITH_TTL;
    cr_expect_eq(applier_ask(a, &op), PROTO_ZK_ERR_UNIMPLEMENTED, "ttl off");
    a->flags |= META_EXTENDED_TYPES;
    cr_expect_eq(applier_ask(a, &op), PROTO_ZK_ERR_BADARGUMENTS, "ttl range");
    op.create.ttl_ms = 1;
    cr_expect_eq(applier_ask(a, &op), PROTO_ZK_ERR_SESSIONEXPIRED);
    a->session = APPLIER_SESSION;
    cr_expect_eq(applier_ask(a, &op), PROTO_ZK_ERR_BADARGUMENTS, "no slash");
    op.create.path = RT_BYTES_LITERAL("/none/\0");
    cr_expect_eq(applier_ask(a, &op), PROTO_ZK_ERR_BADARGUMENTS, "NUL");
    op.create.path = RT_BYTES_LITERAL("/none/\1");
    cr_expect_eq(applier_ask(a, &op), PROTO_ZK_ERR_INVALIDACL);
    op.create.acl = applier_open_acl;
    cr_expect_eq(applier_ask(a, &op), PROTO_ZK_ERR_NONODE, "parent");
    op.create.path = RT_BYTES_LITERAL("/closed/\1");
    cr_expect_eq(applier_ask(a, &op), PROTO_ZK_ERR_NOAUTH);
    a->ids = applier_bob;
    cr_expect_eq(applier_ask(a, &op), PROTO_ZK_ERR_BADARGUMENTS, "full path");
    op.create.path = RT_BYTES_LITERAL("/there");
    cr_expect_eq(applier_ask(a, &op), PROTO_ZK_ERR_NODEEXISTS);
    op.create.path = RT_BYTES_LITERAL("/ephemeral/x");
    cr_expect_eq(applier_ask(a, &op), PROTO_ZK_ERR_NOCHILDRENFOREPHEMERALS);
    op.create.path = RT_BYTES_LITERAL("/full/x");
    cr_expect_eq(applier_ask(a, &op), PROTO_ZK_ERR_QUOTAEXCEEDED);
    a->flags &= ~(unsigned)META_ENFORCE_QUOTA;
    cr_expect_eq(applier_ask(a, &op), PROTO_ZK_ERR_OK);
}

APPLIER_TEST(meta_tree_apply_order, errors_of_delete_in_their_order) {
    put_closed(a, "/closed");
    applier_create(a, "/a", 0);
    applier_create(a, "/a/b", 0);
    a->session = GONE;
    struct proto_zk_op op = applier_op_versioned(PROTO_ZK_OP_DELETE, "none", 5);
    cr_expect_eq(applier_ask(a, &op), PROTO_ZK_ERR_SESSIONEXPIRED);
    a->session = APPLIER_SESSION;
    cr_expect_eq(applier_ask(a, &op), PROTO_ZK_ERR_BADARGUMENTS, "no slash");
    static const char *const builtin[] = {"/", "/zookeeper", "/zookeeper/quota",
                                          "/zookeeper/config"};
    for (size_t i = 0; i < sizeof(builtin) / sizeof(builtin[0]); i++)
        cr_expect_eq(applier_delete(a, builtin[i]), PROTO_ZK_ERR_BADARGUMENTS, "%s", builtin[i]);
    cr_expect_eq(applier_delete(a, "/none/x"), PROTO_ZK_ERR_NONODE, "parent");
    op.versioned.path = RT_BYTES_LITERAL("/closed/none");
    cr_expect_eq(applier_ask(a, &op), PROTO_ZK_ERR_NOAUTH, "of the parent");
    a->ids = applier_bob;
    cr_expect_eq(applier_ask(a, &op), PROTO_ZK_ERR_NONODE);
    cr_expect_eq(applier_delete(a, "/a/"), PROTO_ZK_ERR_NONODE, "ill-formed is not there");
    op.versioned.path = RT_BYTES_LITERAL("/a");
    cr_expect_eq(applier_ask(a, &op), PROTO_ZK_ERR_BADVERSION);
    op.versioned.version = 0;
    cr_expect_eq(applier_ask(a, &op), PROTO_ZK_ERR_NOTEMPTY);
    applier_delete(a, "/a/b");
    cr_expect_eq(applier_ask(a, &op), PROTO_ZK_ERR_OK);
}

APPLIER_TEST(meta_tree_apply_order, the_node_itself_need_not_allow_its_deletion) {
    put_closed(a, "/closed");
    cr_assert_eq(applier_delete(a, "/closed"), PROTO_ZK_ERR_OK);
}

APPLIER_TEST(meta_tree_apply_order, errors_of_set_data_in_their_order) {
    put_closed(a, "/closed");
    put_limits(a, "/closed");
    a->session = GONE;
    a->flags = META_ENFORCE_QUOTA;
    struct proto_zk_op op = applier_op_set("/none/", "longer", 5);
    cr_expect_eq(applier_ask(a, &op), PROTO_ZK_ERR_SESSIONEXPIRED);
    a->session = APPLIER_SESSION;
    cr_expect_eq(applier_ask(a, &op), PROTO_ZK_ERR_BADARGUMENTS, "path");
    op.set_data.path = RT_BYTES_LITERAL("/none");
    cr_expect_eq(applier_ask(a, &op), PROTO_ZK_ERR_NONODE);
    op.set_data.path = RT_BYTES_LITERAL("/closed");
    cr_expect_eq(applier_ask(a, &op), PROTO_ZK_ERR_NOAUTH);
    a->ids = applier_bob;
    cr_expect_eq(applier_ask(a, &op), PROTO_ZK_ERR_QUOTAEXCEEDED);
    op.set_data.data = RT_BYTES_LITERAL("same");
    cr_expect_eq(applier_ask(a, &op), PROTO_ZK_ERR_BADVERSION);
    op.set_data.version = 0;
    cr_expect_eq(applier_ask(a, &op), PROTO_ZK_ERR_OK);
}

APPLIER_TEST(meta_tree_apply_order, errors_of_set_acl_in_their_order) {
    put_closed(a, "/closed");
    a->session = GONE;
    struct proto_zk_op op = {.opcode = PROTO_ZK_OP_SET_ACL};
    op.set_acl.path = RT_BYTES_LITERAL("/none/");
    op.set_acl.version = 5;
    cr_expect_eq(applier_ask(a, &op), PROTO_ZK_ERR_SESSIONEXPIRED);
    a->session = APPLIER_SESSION;
    cr_expect_eq(applier_ask(a, &op), PROTO_ZK_ERR_BADARGUMENTS, "path");
    op.set_acl.path = RT_BYTES_LITERAL("/none");
    cr_expect_eq(applier_ask(a, &op), PROTO_ZK_ERR_INVALIDACL);
    op.set_acl.acl = applier_open_acl;
    cr_expect_eq(applier_ask(a, &op), PROTO_ZK_ERR_NONODE);
    op.set_acl.path = RT_BYTES_LITERAL("/closed");
    cr_expect_eq(applier_ask(a, &op), PROTO_ZK_ERR_NOAUTH);
    a->ids = applier_bob;
    cr_expect_eq(applier_ask(a, &op), PROTO_ZK_ERR_BADVERSION);
    op.set_acl.version = 0;
    cr_expect_eq(applier_ask(a, &op), PROTO_ZK_ERR_OK);
    cr_expect_eq(applier_find(a, "/closed")->aversion, 1);
    cr_expect_eq(applier_find(a, "/closed")->version, 0);
    cr_expect_eq(applier_find(a, "/closed")->acl.size, 0);
    cr_expect_eq(a->outcome.change_count, 0, "no event tells of an ACL");
}

static int32_t check(struct applier *a, const char *path, int32_t version) {
    struct proto_zk_op op = applier_op_versioned(PROTO_ZK_OP_CHECK, path, version);
    cr_assert_eq(applier_multi(a, &op, 1), PROTO_ZK_ERR_OK);
    cr_assert_eq(a->outcome.reply.result_count, 1);
    return a->outcome.reply.results[0].err;
}

APPLIER_TEST(meta_tree_apply_order, errors_of_check_in_their_order) {
    put_closed(a, "/closed");
    a->session = GONE;
    cr_expect_eq(check(a, "/none/", 5), PROTO_ZK_ERR_SESSIONEXPIRED);
    a->session = APPLIER_SESSION;
    cr_expect_eq(check(a, "/none/", 5), PROTO_ZK_ERR_BADARGUMENTS);
    cr_expect_eq(check(a, "/none", 5), PROTO_ZK_ERR_NONODE);
    cr_expect_eq(check(a, "/closed", 5), PROTO_ZK_ERR_NOAUTH);
    a->ids = applier_bob;
    cr_expect_eq(check(a, "/closed", 5), PROTO_ZK_ERR_BADVERSION);
    cr_expect_eq(check(a, "/closed", 0), PROTO_ZK_ERR_OK);
    cr_expect_eq(check(a, "/closed", -1), PROTO_ZK_ERR_OK);
}

APPLIER_TEST(meta_tree_apply_order, skipping_acls_and_super_pass_everything) {
    put_closed(a, "/closed");
    cr_assert_eq(applier_set(a, "/closed", "x"), PROTO_ZK_ERR_NOAUTH);
    a->flags = META_SKIP_ACL;
    cr_assert_eq(applier_set(a, "/closed", "x"), PROTO_ZK_ERR_OK);
    a->flags = 0;
    const struct proto_zk_id super = {RT_BYTES_LITERAL("super"), RT_BYTES_LITERAL("")};
    a->ids = (struct proto_zk_ids){.items = &super, .count = 1};
    cr_assert_eq(applier_set(a, "/closed", "y"), PROTO_ZK_ERR_OK);
}
