#include <criterion/criterion.h>
#include <string.h>

#include "proto/protobuf_text.h"
#include "runtime/mem.h"
#include "runtime/random.h"
#include "tests/unit/proto/hex.h"

struct inner {
    int32_t number;
    struct rt_bytes text;
    bool has_text;
};

struct outer {
    int32_t i32, color;
    uint32_t u32;
    int64_t i64;
    uint64_t u64;
    bool flag;
    bool has_i32, has_u32, has_i64, has_u64, has_flag, has_color, has_text, has_inner;
    struct rt_bytes text;
    struct inner inner;
    const struct rt_bytes *names;
    size_t name_count;
    const struct inner *inners;
    size_t inner_count;
};

static const struct proto_pb_field inner_fields[] = {
    PROTO_PB_MUST(struct inner, number, 1, "number", INT32),
    PROTO_PB_MAY(struct inner, text, 2, "text", STRING),
};
static const struct proto_pb_message inner_message =
    PROTO_PB_MESSAGE_OF(struct inner, inner_fields);
static const struct proto_pb_name colors[] = {{"RED", 1}, {"BLUE", -2}, {NULL, 0}};
static const struct proto_pb_field outer_fields[] = {
    PROTO_PB_MAY(struct outer, i32, 1, "i32", INT32),
    PROTO_PB_MAY(struct outer, u32, 2, "u32", UINT32),
    PROTO_PB_MAY(struct outer, i64, 3, "i64", INT64),
    PROTO_PB_MAY(struct outer, u64, 4, "u64", UINT64),
    PROTO_PB_MAY(struct outer, flag, 5, "flag", BOOL),
    PROTO_PB_MAY(struct outer, color, 6, "color", ENUM, .names = colors),
    PROTO_PB_MAY(struct outer, text, 7, "text", BYTES),
    PROTO_PB_MAY(struct outer, inner, 8, "inner", MESSAGE, .message = &inner_message),
    PROTO_PB_LIST(struct outer, names, name_count, 9, "name", STRING),
    PROTO_PB_LIST(struct outer, inners, inner_count, 10, "inners", MESSAGE,
                  .message = &inner_message),
};
static const struct proto_pb_message outer_message =
    PROTO_PB_MESSAGE_OF(struct outer, outer_fields);

// Read, and written again in the one way that we write; NULL with the reason where it fails.
static const char *normal(const char *text, struct rt_arena *arena, struct rt_why *why) {
    struct rt_bytes copy = exact_copy(rt_bytes_of(text));
    struct outer record;
    rt_err err = proto_pb_text_decode(&outer_message, copy, arena, &record, why);
    rt_free((void *)(uintptr_t)copy.data);
    if (err) return NULL;
    struct rt_buf buf = {0};
    proto_pb_text_encode(&outer_message, &record, &buf);
    const char *result = rt_arena_text(arena, rt_buf_bytes(&buf));
    rt_buf_fini(&buf);
    return result;
}

Test(proto_protobuf_text, any_way_to_write_a_value_is_understood) {
    static const char *const cases[][2] = {
        {"", ""},
        {"  # nothing\n\n#at all", ""},
        {"i32:-5", "i32: -5\n"},
        {"i32 : - 5 , u32:0x1F;i64:017", "i32: -5\nu32: 31\ni64: 15\n"},
        {"i32: 0", "i32: 0\n"},
        {"i32: 2147483647 u32: 4294967295", "i32: 2147483647\nu32: 4294967295\n"},
        {"i64: -9223372036854775808 u64: 18446744073709551615",
         "i64: -9223372036854775808\nu64: 18446744073709551615\n"},
        {"flag: true", "flag: true\n"},
        {"flag: f", "flag: false\n"},
        {"flag: 1", "flag: true\n"},
        {"color: BLUE", "color: BLUE\n"},
        {"color: 1", "color: RED\n"},
        {"i32: 1 i32: 2", "i32: 2\n"},  // the last one counts
        {"text: 'a\"b' \"c'd\" # and\n 'e'", "text: \"a\\\"bc\\'de\"\n"},
        {"text: \"\\a\\b\\f\\n\\r\\t\\v\\\\\\'\\\"\\?\"",
         "text: \"\\a\\b\\f\\n\\r\\t\\v\\\\\\'\\\"?\"\n"},
        {"text: '\\0\\00\\0011\\377\\x41\\xfg'", "text: \"\\000\\000\\0011\\377A\\017g\"\n"},
        {"text: '\xc3\xa9#'", "text: \"\\303\\251#\"\n"},
        {"inner { number: 1 }", "inner {\n  number: 1\n}\n"},
        {"inner: { number: 1 text: 'x' }", "inner {\n  number: 1\n  text: \"x\"\n}\n"},
        {"inner < number: 1; >", "inner {\n  number: 1\n}\n"},
        {"name: 'a' name: 'b' name: 'c'", "name: \"a\"\nname: \"b\"\nname: \"c\"\n"},
        {"name: ['a', 'b' 'c'] name: []", "name: \"a\"\nname: \"bc\"\n"},
        {"inners: [{number: 1}, <number: 2>] inners { number: 3 }",
         "inners {\n  number: 1\n}\ninners {\n  number: 2\n}\ninners {\n  number: 3\n}\n"},
        {"other: 1 other2: 'x' 'y' other3 { a: -1.5e3 b < c: [1, 2] > d: [] } i32: 7", "i32: 7\n"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rt_arena arena = {0};
        struct rt_why why = {""};
        const char *text = normal(cases[i][0], &arena, &why);
        cr_expect(text, "%s: %s", cases[i][0], why.text);
        if (text) cr_expect_str_eq(text, cases[i][1]);
        rt_arena_fini(&arena);
    }
}

Test(proto_protobuf_text, what_is_wrong_is_named_with_its_line) {
    static const char *const cases[][2] = {
        {"i32", "line 1: a colon is missing"},
        {"\n\ni32 5", "line 3: a colon is missing"},
        {"# a\n: 5", "line 2: a field's name is missing"},
        {"i32:", "not of the field's type"},
        {"i32: 'x'", "not of the field's type"},
        {"i32: 1.5", "not of the field's type"},
        {"i32: 09", "not of the field's type"},
        {"i32: 0x", "not of the field's type"},
        {"i32: 2147483648", "too large"},
        {"i32: -2147483649", "too large"},
        {"u32: -1", "too large"},
        {"u32: 4294967296", "too large"},
        {"i64: 9223372036854775808", "too large"},
        {"u64: 18446744073709551616", "not of the field's type"},
        {"flag: 2", "too large"},
        {"flag: -true", "a name has a sign"},
        {"color: GREEN", "not of the field's type"},
        {"color: 7", "none of its enum"},
        {"text: 5", "a string is missing"},
        {"text: 'a", "a string has no end"},
        {"text: 'a\\", "an escape that is none"},
        {"text: 'a\n'", "a string has no end"},
        {"text: '\\q'", "an escape that is none"},
        {"text: '\\400'", "an escape that is none"},
        {"text: '\\x'", "an escape that is none"},
        {"inner 5", "a message is missing"},
        {"inner { number: 1", "a field's name is missing"},
        {"inner { }", "a required field is missing"},
        {"inner { number: 1 >", "a field's name is missing"},
        {"inner: [{number: 1}]", "a message is missing"},
        {"name: ['a'", "a list has no end"},
        {"other", "a colon is missing"},
        {"other: ", "a value is missing"},
        {"other: [1", "a list has no end"},
        {"i32: 1 }", "a field's name is missing"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rt_arena arena = {0};
        struct rt_why why = {""};
        cr_expect_null(normal(cases[i][0], &arena, &why), "%s", cases[i][0]);
        cr_expect(strstr(why.text, cases[i][1]), "\"%s\" for %s", why.text, cases[i][0]);
        rt_arena_fini(&arena);
    }
}

Test(proto_protobuf_text, a_zero_byte_is_not_the_end) {
    struct rt_arena arena = {0};
    struct outer record;
    rt_err err = proto_pb_text_decode(&outer_message, RT_BYTES_LITERAL("i32: 1\0 i32: 2"), &arena,
                                      &record, NULL);
    cr_expect_eq(err, RT_EPROTO);
    rt_arena_fini(&arena);
}

Test(proto_protobuf_text, what_is_skipped_is_not_nested_without_end) {
    struct rt_buf text = {0};
    for (unsigned i = 0; i < 100000; i++) rt_buf_append(&text, RT_BYTES_LITERAL("a{"));
    struct rt_arena arena = {0};
    struct rt_why why = {""};
    struct outer record;
    rt_err err = proto_pb_text_decode(&outer_message, rt_buf_bytes(&text), &arena, &record, &why);
    cr_expect_eq(err, RT_EPROTO);
    cr_expect(strstr(why.text, "nested too deeply"));
    rt_arena_fini(&arena);
    rt_buf_fini(&text);
}

static struct outer random_record(struct rt_random *random, const struct rt_bytes *names,
                                  const struct inner *inners) {
    struct outer record = {.i32 = (int32_t)rt_random_u64(random),
                           .u32 = (uint32_t)rt_random_u64(random),
                           .i64 = (int64_t)rt_random_u64(random),
                           .u64 = rt_random_u64(random),
                           .flag = rt_random_below(random, 2) > 0,
                           .color = rt_random_below(random, 2) > 0 ? 1 : -2,
                           .text = names[0],
                           .inner = inners[0],
                           .names = names,
                           .name_count = rt_random_below(random, 5),
                           .inners = inners,
                           .inner_count = rt_random_below(random, 5)};
    record.has_i32 = rt_random_below(random, 2) > 0;
    record.has_u32 = rt_random_below(random, 2) > 0;
    record.has_i64 = rt_random_below(random, 2) > 0;
    record.has_u64 = rt_random_below(random, 2) > 0;
    record.has_flag = rt_random_below(random, 2) > 0;
    record.has_color = rt_random_below(random, 2) > 0;
    record.has_text = rt_random_below(random, 2) > 0;
    record.has_inner = rt_random_below(random, 2) > 0;
    return record;
}

Test(proto_protobuf_text, records_survive_both_forms) {
    struct rt_random random;
    rt_random_seed(&random, 21);
    for (unsigned round = 0; round < 500; round++) {
        uint8_t memory[64];
        struct rt_bytes names[5];
        struct inner inners[5];
        rt_random_fill(&random, memory, sizeof(memory));
        for (size_t i = 0; i < 5; i++) {
            names[i] = RT_BYTES(memory + 5 * i, rt_random_below(&random, 30));
            inners[i] = (struct inner){(int32_t)rt_random_u64(&random), names[i], i & 1};
        }
        struct outer record = random_record(&random, names, inners), out;
        struct rt_arena arena = {0};
        struct rt_buf text = {0}, again = {0}, binary = {0};
        proto_pb_text_encode(&outer_message, &record, &text);
        struct rt_why why = {""};
        rt_err err = proto_pb_text_decode(&outer_message, rt_buf_bytes(&text), &arena, &out, &why);
        cr_assert_eq(err, RT_OK, "round %u: %s", round, why.text);
        struct rt_writer w = rt_writer_into(&binary);
        proto_pb_encode(&outer_message, &out, &w);
        cr_assert_eq(binary.size, proto_pb_size(&outer_message, &record));
        err = proto_pb_decode(&outer_message, rt_buf_bytes(&binary), &arena, &out);
        cr_assert_eq(err, RT_OK, "round %u", round);
        proto_pb_text_encode(&outer_message, &out, &again);
        cr_assert(rt_bytes_equal(rt_buf_bytes(&text), rt_buf_bytes(&again)), "round %u", round);
        rt_buf_fini(&text);
        rt_buf_fini(&again);
        rt_buf_fini(&binary);
        rt_arena_fini(&arena);
    }
}
