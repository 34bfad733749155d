#include <criterion/criterion.h>
#include <string.h>

#include "proto/zookeeper_codes.h"

Test(proto_zookeeper_codes, opcodes_are_found_by_their_code) {
    const struct proto_zk_op_info *multi = proto_zk_op_find(14);
    cr_assert_not_null(multi);
    cr_assert_str_eq(multi->name, "multi");
    cr_assert_eq(multi->kind, PROTO_ZK_WRITE);
    cr_assert_str_eq(proto_zk_op_name(-11), "closeSession");
    cr_assert_eq(proto_zk_op_find(9)->kind, PROTO_ZK_BARRIER);
    cr_assert_eq(proto_zk_op_find(100)->kind, PROTO_ZK_CONN);
    cr_assert_null(proto_zk_op_find(10));
    cr_assert_str_eq(proto_zk_op_name(-1), "unknown");
}

Test(proto_zookeeper_codes, every_opcode_is_found_under_its_own_code) {
#define FIND_OP(id, op_code, ...) cr_assert_eq(proto_zk_op_find(op_code)->code, (op_code));
    PROTO_ZK_OPS(FIND_OP)
}

Test(proto_zookeeper_codes, multis_consist_of_these) {
    static const int32_t writes[] = {1, 15, 19, 21, 2, 5, 13};
    size_t in_multi = 0, in_multi_read = 0;
    for (int32_t code = -20; code < 200; code++) {
        const struct proto_zk_op_info *info = proto_zk_op_find(code);
        if (info && info->uses & PROTO_ZK_IN_MULTI) in_multi++;
        if (info && info->uses & PROTO_ZK_IN_MULTI_READ) in_multi_read++;
    }
    cr_assert_eq(in_multi, 7);
    cr_assert_eq(in_multi_read, 2);
    for (size_t i = 0; i < 7; i++) {
        cr_assert(proto_zk_op_find(writes[i])->uses & PROTO_ZK_IN_MULTI);
    }
    cr_assert(proto_zk_op_find(4)->uses & PROTO_ZK_IN_MULTI_READ);
    cr_assert(proto_zk_op_find(8)->uses & PROTO_ZK_IN_MULTI_READ);
}

Test(proto_zookeeper_codes, errors_have_names_and_texts) {
    cr_assert_str_eq(proto_zk_err_name(-101), "NONODE");
    cr_assert_str_eq(proto_zk_err_text(-101), "node does not exist");
    cr_assert_str_eq(proto_zk_err_name(-99), "UNKNOWN");
    cr_assert_str_eq(proto_zk_err_text(1), "unknown error");
}

Test(proto_zookeeper_codes, what_only_clients_find_out_is_not_sent) {
    cr_assert(proto_zk_err_is_sendable(PROTO_ZK_ERR_OK));
    cr_assert(proto_zk_err_is_sendable(PROTO_ZK_ERR_NONODE));
    cr_assert_not(proto_zk_err_is_sendable(PROTO_ZK_ERR_CONNECTIONLOSS));
    cr_assert_not(proto_zk_err_is_sendable(PROTO_ZK_ERR_OPERATIONTIMEOUT));
    cr_assert_not(proto_zk_err_is_sendable(PROTO_ZK_ERR_SESSIONMOVED));
    cr_assert_not(proto_zk_err_is_sendable(-3));
}

Test(proto_zookeeper_codes, create_modes_say_what_the_flags_mean) {
    const struct proto_zk_create_mode *mode = proto_zk_create_mode_find(3);
    cr_assert(mode->is_ephemeral && mode->is_sequential && !mode->has_ttl && !mode->is_container);
    cr_assert(proto_zk_create_mode_find(4)->is_container);
    cr_assert(proto_zk_create_mode_find(6)->has_ttl && proto_zk_create_mode_find(6)->is_sequential);
    for (int32_t flags = 0; flags <= 6; flags++) {
        cr_assert_eq(proto_zk_create_mode_find(flags)->flags, flags);
    }
    cr_assert_null(proto_zk_create_mode_find(7));
    cr_assert_null(proto_zk_create_mode_find(-1));
}

Test(proto_zookeeper_codes, events_have_names) {
    cr_assert_str_eq(proto_zk_event_name(4), "NodeChildrenChanged");
    cr_assert_str_eq(proto_zk_event_name(0), "unknown");
}

Test(proto_zookeeper_codes, numbers_are_those_of_the_protocol) {
    cr_assert_eq(PROTO_ZK_WATCH_CHILDREN, 1);
    cr_assert_eq(PROTO_ZK_WATCH_PERSISTENT_RECURSIVE, 5);
    cr_assert_eq(PROTO_ZK_PERM_ALL, 31);
    cr_assert_eq(PROTO_ZK_PERM_ADMIN, 16);
    cr_assert_eq(PROTO_ZK_TTL_MS_MAX, 1099511627775);
}
