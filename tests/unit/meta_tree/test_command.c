#include "meta/server/tree/command.h"

#include <criterion/criterion.h>
#include <string.h>

static struct meta_command request_command(const struct proto_zk_id *ids, size_t count) {
    return (struct meta_command){
        .kind = META_REQUEST,
        .flags = META_SKIP_ACL | META_ENFORCE_QUOTA,
        .time_ms = -2,
        .origin = 3,
        .ticket = 4,
        .session = -5,
        .attachment = 6,
        .request = {.ids = {.items = ids, .count = count}, .payload = RT_BYTES_LITERAL("payload")}};
}

static rt_err decode(const struct rt_buf *bytes, struct rt_arena *arena, struct meta_command *c) {
    return meta_command_decode(rt_buf_bytes(bytes), arena, c);
}

static void encode(const struct meta_command *command, struct rt_buf *bytes) {
    struct rt_writer w = rt_writer_into(bytes);
    meta_command_encode(command, &w);
}

static void check_round_trip(const struct meta_command *command) {
    struct rt_buf first = {0}, second = {0};
    struct rt_arena arena = {0};
    struct meta_command decoded;
    encode(command, &first);
    cr_assert_eq(decode(&first, &arena, &decoded), RT_OK);
    cr_assert_eq(decoded.kind, command->kind);
    encode(&decoded, &second);
    cr_assert(rt_bytes_equal(rt_buf_bytes(&first), rt_buf_bytes(&second)));
    rt_arena_fini(&arena);
    rt_buf_fini(&first);
    rt_buf_fini(&second);
}

Test(meta_tree_command, a_request_keeps_all_its_fields) {
    const struct proto_zk_id ids[] = {{RT_BYTES_LITERAL("ip"), RT_BYTES_LITERAL("::1")},
                                      {RT_BYTES_LITERAL("super"), RT_BYTES_LITERAL("")}};
    struct meta_command command = request_command(ids, 2), decoded;
    struct rt_buf bytes = {0};
    struct rt_arena arena = {0};
    encode(&command, &bytes);
    cr_assert_eq(decode(&bytes, &arena, &decoded), RT_OK);
    cr_assert_eq(decoded.flags, META_SKIP_ACL | META_ENFORCE_QUOTA);
    cr_assert_eq(decoded.time_ms, -2);
    cr_assert_eq(decoded.origin, 3);
    cr_assert_eq(decoded.ticket, 4);
    cr_assert_eq(decoded.session, -5);
    cr_assert_eq(decoded.attachment, 6);
    cr_assert_eq(decoded.request.ids.count, 2);
    cr_assert(rt_bytes_equal(decoded.request.ids.items[0].id, RT_BYTES_LITERAL("::1")));
    cr_assert(rt_bytes_equal(decoded.request.ids.items[1].scheme, RT_BYTES_LITERAL("super")));
    cr_assert_eq(decoded.request.ids.items[1].id.size, 0);
    cr_assert(rt_bytes_equal(decoded.request.payload, RT_BYTES_LITERAL("payload")));
    rt_arena_fini(&arena);
    rt_buf_fini(&bytes);
}

Test(meta_tree_command, each_kind_comes_back) {
    struct meta_command command = request_command(NULL, 0);
    check_round_trip(&command);
    command.open.timeout_ms = -1;
    memset(command.open.password, 7, sizeof(command.open.password));
    command.kind = META_OPEN_SESSION;
    check_round_trip(&command);
    command.kind = META_ATTACH_SESSION;
    check_round_trip(&command);
    command.kind = META_CLOSE_SESSION;
    check_round_trip(&command);
    command.kind = META_REAP;
    command.reap.czxid = 1;
    command.reap.mzxid = 2;
    command.reap.path = RT_BYTES_LITERAL("/a");
    check_round_trip(&command);
}

Test(meta_tree_command, the_bytes_are_those_of_the_layout) {
    static const uint8_t golden[] = {1, 5, 0, 2,                 // version, kind, flags
                                     0, 0, 0, 0, 0,   0,  1, 0,  // time
                                     0, 0, 0, 0, 0,   0,  0, 9,  // origin
                                     0, 0, 0, 0, 0,   0,  0, 8,  // ticket
                                     0, 0, 0, 0, 0,   0,  0, 7,  // session
                                     0, 0, 0, 0, 0,   0,  0, 6,  // attachment
                                     0, 0, 0, 0, 0,   0,  0, 5,  // czxid
                                     0, 0, 0, 0, 0,   0,  0, 4,  // mzxid
                                     0, 0, 0, 2, '/', 'a'};
    const struct meta_command command = {.kind = META_REAP,
                                         .flags = META_EXTENDED_TYPES,
                                         .origin = 9,
                                         .ticket = 8,
                                         .session = 7,
                                         .attachment = 6,
                                         .reap = {5, 4, RT_BYTES_LITERAL("/a")}};
    struct rt_buf bytes = {0};
    encode(&command, &bytes);
    meta_command_stamp(bytes.data, 256);
    cr_assert(rt_bytes_equal(rt_buf_bytes(&bytes), RT_BYTES(golden, sizeof(golden))));
    rt_buf_fini(&bytes);
}

static void check_cuts(const struct meta_command *command, size_t from) {
    struct rt_buf bytes = {0};
    struct rt_arena arena = {0};
    struct meta_command decoded;
    encode(command, &bytes);
    for (size_t size = 0; size < from; size++) {
        rt_err err = meta_command_decode(RT_BYTES(bytes.data, size), &arena, &decoded);
        cr_assert_eq(err, RT_ECORRUPT, "%zu bytes", size);
    }
    rt_arena_fini(&arena);
    rt_buf_fini(&bytes);
}

Test(meta_tree_command, a_cut_one_is_refused) {
    const struct proto_zk_id id = {RT_BYTES_LITERAL("ip"), RT_BYTES_LITERAL("::1")};
    struct meta_command command = request_command(&id, 1);
    check_cuts(&command, META_COMMAND_HEADER_SIZE + 4 + 4 + 2 + 4 + 3);  // the payload may be cut
    command.kind = META_OPEN_SESSION;
    check_cuts(&command, META_COMMAND_HEADER_SIZE + 4 + PROTO_ZK_PASSWORD_SIZE);
    command.kind = META_CLOSE_SESSION;
    check_cuts(&command, META_COMMAND_HEADER_SIZE);
    command.kind = META_REAP;
    command.reap.path = RT_BYTES_LITERAL("/a");
    check_cuts(&command, META_COMMAND_HEADER_SIZE + 16 + 4 + 2);
}

static void check_refused(size_t at, uint8_t byte, struct rt_bytes tail) {
    const struct meta_command command = {.kind = META_CLOSE_SESSION};
    struct rt_buf bytes = {0};
    struct rt_arena arena = {0};
    struct meta_command decoded;
    encode(&command, &bytes);
    bytes.data[at] = byte;
    rt_buf_append(&bytes, tail);
    cr_assert_eq(decode(&bytes, &arena, &decoded), RT_ECORRUPT, "byte %zu", at);
    cr_assert_eq(arena.used_bytes, 0);
    rt_arena_fini(&arena);
    rt_buf_fini(&bytes);
}

Test(meta_tree_command, unknown_versions_kinds_flags_and_tails_are_refused) {
    const struct rt_bytes none = RT_BYTES(NULL, 0);
    check_refused(0, 0, none);
    check_refused(0, META_COMMAND_VERSION + 1, none);
    check_refused(1, 0, none);
    check_refused(1, META_REAP + 1, none);
    check_refused(2, 0x80, none);
    check_refused(3, 0x08, none);
    check_refused(3, 0, RT_BYTES_LITERAL("x"));
}

Test(meta_tree_command, a_count_of_ids_is_not_believed) {
    check_refused(1, META_REQUEST, RT_BYTES_LITERAL("\xff\xff\xff\xff payload"));
}
