#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/meta_zk/stage.h"

static void ask(struct stage *stage, int32_t xid, const char *joining, const char *leaving,
                const char *members, int64_t config_id) {
    struct proto_zk_op op = {.opcode = PROTO_ZK_OP_RECONFIG, .reconfig.config_id = config_id};
    if (joining) op.reconfig.joining = rt_bytes_of(joining);
    if (leaving) op.reconfig.leaving = rt_bytes_of(leaving);
    if (members) op.reconfig.members = rt_bytes_of(members);
    stage_ask(stage, 0, xid, &op);
}

static void three_members(struct stage *stage) {
    fake_replica_members(&stage->replica, 3);
}

static void follow(struct stage *stage) {
    stage->replica.is_follower = true;
}

static void start(struct stage *stage) {
    const struct proto_zk_op auth = stage_auth("digest", "super:test");
    stage_init(stage);
    stage->options.super_digest = "super:D/InIHSb7yEEbrWz8b9l71RjZJU=";
    stage->options.reconfig_enabled = true;
    stage_open(stage);
    stage_act(stage, three_members);
    stage_enter(stage, 0);
    stage_ask(stage, 0, PROTO_ZK_XID_AUTH, &auth);
    stage_go(stage);
    stage_expect(stage, 0, "-4:OK ");
}

Test(meta_zk_reconfig, is_disabled_by_default) {
    struct stage stage;
    stage_init(&stage);
    stage_open(&stage);
    stage_enter(&stage, 0);
    ask(&stage, 1, NULL, "3", NULL, -1);
    stage_go(&stage);
    stage_expect(&stage, 0, "1:RECONFIGDISABLED ");
    stage_close(&stage);
}

Test(meta_zk_reconfig, is_not_for_a_server_that_is_alone) {
    struct stage stage;
    stage_init(&stage);
    stage.options.reconfig_enabled = true;
    stage_open(&stage);
    stage_enter(&stage, 0);
    ask(&stage, 1, NULL, "3", NULL, -1);
    stage_go(&stage);
    stage_expect(&stage, 0, "1:UNIMPLEMENTED ");
    stage_close(&stage);
}

Test(meta_zk_reconfig, answers_with_the_configuration_that_came_into_force) {
    struct stage stage;
    start(&stage);
    const struct proto_zk_op get = stage_read(PROTO_ZK_OP_EXISTS, "/", false);
    ask(&stage, 1, "server.4=h4:2888:3888;2181", "3", NULL, -1);
    stage_ask(&stage, 0, 2, &get);
    stage_go(&stage);
    char expected[512];
    snprintf(expected, sizeof(expected),
             "1:OK=server.1=h1:2888:3888:participant;h1:2181\n"
             "server.2=h2:2888:3888:participant;h2:2181\n"
             "server.4=h4:2888:3888:participant;0.0.0.0:2181\nversion=%llx 2:OK ",
             (unsigned long long)stage.replica.config.index);
    stage_expect(&stage, 0, expected);
    stage_close(&stage);
}

Test(meta_zk_reconfig, takes_a_whole_set_too) {
    struct stage stage;
    start(&stage);
    ask(&stage, 1, NULL, NULL,
        "server.1=h1:2888:3888:participant;h1:2181,server.9=[::1]:1:2:observer", -1);
    stage_go(&stage);
    char expected[512];
    snprintf(expected, sizeof(expected),
             "1:OK=server.1=h1:2888:3888:participant;h1:2181\n"
             "server.9=[::1]:1:2:observer\nversion=%llx ",
             (unsigned long long)stage.replica.config.index);
    stage_expect(&stage, 0, expected);
    cr_assert_eq(raft_config_find(&stage.replica.config, 9)->roles, RAFT_LEARNER);
    stage_close(&stage);
}

Test(meta_zk_reconfig, what_makes_no_sense_is_refused) {
    static const struct {
        const char *joining, *leaving, *members;
    } cases[] = {
        {NULL, NULL, NULL},
        {"server.4=h4:2888:3888;2181", NULL, "server.1=h1:2888:3888"},
        {"server.4=h4:2888", NULL, NULL},
        {"server.4=h4:0:3888", NULL, NULL},
        {"server.4=h4:2888:99999", NULL, NULL},
        {"server.4=h4:2888:3888:boss", NULL, NULL},
        {"server.4=:2888:3888", NULL, NULL},
        {"server.4=[h4:2888:3888", NULL, NULL},
        {"server.4=h4:2888:3888;h4", NULL, NULL},
        {"server.0=h4:2888:3888", NULL, NULL},
        {"server.x=h4:2888:3888", NULL, NULL},
        {"server.99999999999999999999=h4:2888:3888", NULL, NULL},
        {"h4:2888:3888", NULL, NULL},
        {NULL, "three", NULL},
        {NULL, "1,2,3", NULL},
        {NULL, NULL, "server.1=h1:2888:3888:observer"},
    };
    struct stage stage;
    start(&stage);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ask(&stage, 1, cases[i].joining, cases[i].leaving, cases[i].members, -1);
        stage_go(&stage);
        stage_expect(&stage, 0, "1:BADARGUMENTS ");
    }
    stage_close(&stage);
}

Test(meta_zk_reconfig, other_version_of_the_configuration_is_refused) {
    struct stage stage;
    start(&stage);
    ask(&stage, 1, NULL, "3", NULL, (int64_t)stage.replica.config.index - 1);
    ask(&stage, 2, NULL, "3", NULL, (int64_t)stage.replica.config.index);
    stage_go(&stage);
    cr_assert_eq(strncmp(stage.clients[0].log, "1:BADVERSION 2:OK=", 18), 0);
    stage_close(&stage);
}

Test(meta_zk_reconfig, needs_the_right_to_write_the_configuration) {
    struct stage stage;
    start(&stage);
    stage_enter(&stage, 1);
    struct proto_zk_op op = {.opcode = PROTO_ZK_OP_RECONFIG,
                             .reconfig = {.leaving = RT_BYTES_LITERAL("3"), .config_id = -1}};
    stage_ask(&stage, 1, 1, &op);
    stage_go(&stage);
    stage_expect(&stage, 1, "1:NOAUTH ");
    stage_close(&stage);
}

Test(meta_zk_reconfig, follower_closes_the_connection) {
    struct stage stage;
    start(&stage);
    stage_act(&stage, follow);
    ask(&stage, 1, NULL, "3", NULL, -1);
    stage_go(&stage);
    stage_expect(&stage, 0, "closed ");
    stage_close(&stage);
}

static void hold(struct stage *stage) {
    stage->replica.holds = true;
}

static void interrupt(struct stage *stage) {
    fake_replica_interrupt(&stage->replica);
}

Test(meta_zk_reconfig, one_is_under_way_at_a_time_and_ends_with_its_leader) {
    struct stage stage;
    start(&stage);
    const struct proto_zk_op auth = stage_auth("digest", "super:test");
    const struct proto_zk_op op = {.opcode = PROTO_ZK_OP_RECONFIG,
                                   .reconfig = {.leaving = RT_BYTES_LITERAL("2"), .config_id = -1}};
    stage_enter(&stage, 1);
    stage_act(&stage, hold);
    ask(&stage, 1, NULL, "3", NULL, -1);
    stage_go(&stage);
    stage_ask(&stage, 1, PROTO_ZK_XID_AUTH, &auth);
    stage_ask(&stage, 1, 1, &op);
    stage_go(&stage);
    stage_expect(&stage, 0, "");
    stage_expect(&stage, 1, "-4:OK 1:RECONFIGINPROGRESS ");
    stage_act(&stage, interrupt);
    stage_expect(&stage, 0, "closed ");
    stage_expect(&stage, 1, "");
    stage_close(&stage);
}
