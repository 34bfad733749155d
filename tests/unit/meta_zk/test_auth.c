#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/unit/meta_zk/stage.h"

static void ask(struct stage *stage, unsigned client, int32_t xid, struct proto_zk_op op) {
    stage_ask(stage, client, xid, &op);
}

static void start(struct stage *stage) {
    stage_open(stage);
    stage_enter(stage, 0);
    stage_enter(stage, 1);
}

static const struct proto_zk_acl for_bob = {
    PROTO_ZK_PERM_ALL,
    {RT_BYTES_LITERAL("digest"), RT_BYTES_LITERAL("bob:ikIaKsbtGweaHnb/jKn7OHqbunM=")}};

Test(meta_zk_auth, digest_opens_what_its_acl_guards) {
    struct stage stage;
    stage_init(&stage);
    start(&stage);
    struct proto_zk_op create = stage_create("/s", "1", 0);
    create.create.acl.items = &for_bob;
    ask(&stage, 0, 1, create);
    ask(&stage, 0, 2, stage_read(PROTO_ZK_OP_GET_DATA, "/s", false));
    ask(&stage, 0, PROTO_ZK_XID_AUTH, stage_auth("digest", "bob:wrong"));
    ask(&stage, 0, 3, stage_set("/s", "2"));
    ask(&stage, 0, PROTO_ZK_XID_AUTH, stage_auth("digest", "bob:pw"));
    ask(&stage, 0, 4, stage_set("/s", "3"));
    ask(&stage, 0, 5, stage_read(PROTO_ZK_OP_GET_DATA, "/s", false));
    stage_go(&stage);
    stage_expect(&stage, 0, "1:OK=/s 2:NOAUTH -4:OK 3:NOAUTH -4:OK 4:OK 5:OK=3 ");
    ask(&stage, 1, 1, stage_read(PROTO_ZK_OP_GET_DATA, "/s", false));
    stage_go(&stage);
    stage_expect(&stage, 1, "1:NOAUTH ");
    stage_close(&stage);
}

Test(meta_zk_auth, unknown_scheme_is_refused_and_the_connection_ends) {
    struct stage stage;
    stage_init(&stage);
    start(&stage);
    ask(&stage, 0, 1, stage_create("/a", "", 0));
    ask(&stage, 0, PROTO_ZK_XID_AUTH, stage_auth("kerberos", "bob"));
    ask(&stage, 0, 2, stage_create("/b", "", 0));
    stage_go(&stage);
    stage_expect(&stage, 0, "1:OK=/a -4:AUTHFAILED closed ");
    cr_assert_eq(meta_server_stats(stage.server).auth_failed, 1);
    ask(&stage, 1, 1, stage_read(PROTO_ZK_OP_EXISTS, "/b", false));
    stage_go(&stage);
    stage_expect(&stage, 1, "1:NONODE ");
    stage_close(&stage);
}

Test(meta_zk_auth, super_digest_passes_every_acl) {
    struct stage stage;
    stage_init(&stage);
    stage.options.super_digest = "super:D/InIHSb7yEEbrWz8b9l71RjZJU=";
    start(&stage);
    struct proto_zk_op create = stage_create("/s", "1", 0);
    create.create.acl.items = &for_bob;
    ask(&stage, 0, 1, create);
    ask(&stage, 0, PROTO_ZK_XID_AUTH, stage_auth("digest", "super:test"));
    stage_go(&stage);
    ask(&stage, 0, 2, stage_read(PROTO_ZK_OP_GET_DATA, "/s", false));
    stage_go(&stage);
    stage_expect(&stage, 0, "1:OK=/s -4:OK 2:OK=1 ");
    stage_close(&stage);
}

Test(meta_zk_auth, who_am_i_names_without_hashes) {
    struct stage stage;
    stage_init(&stage);
    start(&stage);
    ask(&stage, 0, PROTO_ZK_XID_AUTH, stage_auth("digest", "bob:pw"));
    ask(&stage, 0, PROTO_ZK_XID_AUTH, stage_auth("digest", "bob:pw"));
    ask(&stage, 0, PROTO_ZK_XID_AUTH, stage_auth("ip", ""));
    ask(&stage, 0, 1, stage_bare(PROTO_ZK_OP_WHO_AM_I));
    stage_go(&stage);
    stage_expect(&stage, 0, "-4:OK -4:OK -4:OK 1:OK=ip:a,digest:bob ");
    stage_close(&stage);
}

Test(meta_zk_auth, where_it_is_enforced_nothing_else_is_answered_first) {
    struct stage stage;
    stage_init(&stage);
    stage.options.enforce_auth = true;
    stage.options.enforce_auth_schemes = "sasl, digest";
    start(&stage);
    ask(&stage, 0, PROTO_ZK_XID_AUTH, stage_auth("digest", "bob:pw"));
    ask(&stage, 0, 1, stage_create("/a", "", 0));
    ask(&stage, 1, 1, stage_create("/b", "", 0));
    ask(&stage, 1, 2, stage_create("/c", "", 0));
    stage_go(&stage);
    stage_expect(&stage, 0, "-4:OK 1:OK=/a ");
    stage_expect(&stage, 1, "1:SESSIONCLOSEDREQUIRESASLAUTH closed ");
    stage_close(&stage);
}

// They go with every command: somebody who proves a new name all day must not slow down the log.
Test(meta_zk_auth, names_of_one_connection_are_limited) {
    struct stage stage;
    stage_init(&stage);
    start(&stage);
    char name[64][16];
    for (int i = 0; i < 64; i++) {
        snprintf(name[i], sizeof(name[i]), "u%d:x", i);
        ask(&stage, 0, PROTO_ZK_XID_AUTH, stage_auth("digest", name[i]));
    }
    stage.clients[0].counts_only = true;
    stage_go(&stage);
    cr_assert_eq(stage.clients[0].replies, 64);
    stage_expect(&stage, 0, "closed ");
    stage_close(&stage);
}

Test(meta_zk_auth, sasl_is_answered_as_by_a_server_without_it) {
    struct stage stage;
    stage_init(&stage);
    start(&stage);
    ask(&stage, 0, 1, stage_path(PROTO_ZK_OP_SASL, "token"));
    ask(&stage, 0, 2, stage_read(PROTO_ZK_OP_EXISTS, "/", false));
    stage_go(&stage);
    stage_expect(&stage, 0, "1:OK 2:OK ");
    stage_close(&stage);
}
