#include <criterion/criterion.h>
#include <string.h>

#include "proto/ledger_metadata.h"
#include "runtime/mem.h"
#include "runtime/random.h"
#include "tests/unit/proto/hex.h"

#define BYTES(text) \
    { (const uint8_t *)(text), sizeof(text) - 1 }

// PATHS

Test(proto_ledger_path, ids_have_the_paths_of_bookkeeper) {
    static const struct {
        int64_t ledger;
        const char *path;
    } cases[] = {
        {0, "/00/0000/L0000"},
        {1, "/00/0000/L0001"},
        {1234567890, "/12/3456/L7890"},
        {2147483646, "/21/4748/L3646"},
        {2147483647, "/000/0000/0021/4748/L3647"},
        {4294967297, "/000/0000/0042/9496/L7297"},
        {INT64_MAX, "/922/3372/0368/5477/L5807"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char path[PROTO_LEDGER_PATH_SIZE];
        int64_t ledger = -1;
        proto_ledger_path(cases[i].ledger, path);
        cr_expect_str_eq(path, cases[i].path);
        cr_expect(proto_ledger_path_parse(rt_bytes_of(cases[i].path), &ledger));
        cr_expect_eq(ledger, cases[i].ledger);
        cr_expect_eq(proto_ledger_id_is_long(ledger), strlen(path) > 20);
    }
}

Test(proto_ledger_path, either_form_is_read_and_nothing_else) {
    static const char *const bad[] = {"",
                                      "/",
                                      "00/0000/L0001",
                                      "/00/0000/0001",
                                      "/00/0000/L001",
                                      "/00/0000/L00012",
                                      "/00/000/L00001",
                                      "/0/00000/L0001",
                                      "/00/0000/L0001/",
                                      "/00/0000/L-001",
                                      "/000/0000/L0001",
                                      "/000/0000/0000/0000/0001",
                                      "/922/3372/0368/5477/L5808",
                                      "/000/0000/0000/0000/L0001/0",
                                      "/idgen/ID-0000000001",
                                      "/available"};
    int64_t ledger = 0;
    cr_expect(proto_ledger_path_parse(rt_bytes_of("/000/0000/0000/0000/L0001"), &ledger));
    cr_expect_eq(ledger, 1);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_expect_not(proto_ledger_path_parse(rt_bytes_of(bad[i]), &ledger), "%s", bad[i]);
    }
}

Test(proto_bookie_id, has_the_characters_that_bookkeeper_allows) {
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:;<=>?@[\\]^_.-";
    for (unsigned byte = 0; byte < 256; byte++) {
        uint8_t id[] = {'a', (uint8_t)byte, 'b'};
        bool expected = byte && strchr(allowed, (int)byte);
        cr_expect_eq(proto_bookie_id_is_valid(RT_BYTES(id, 3)), expected, "byte %u", byte);
    }
    cr_expect(proto_bookie_id_is_valid(rt_bytes_of("10.0.0.5:3181")));
    cr_expect(proto_bookie_id_is_valid(rt_bytes_of("readonly2")));
    cr_expect_not(proto_bookie_id_is_valid(rt_bytes_of("")));
    cr_expect_not(proto_bookie_id_is_valid(rt_bytes_of("readonly")));
    cr_expect_not(proto_bookie_id_is_valid(rt_bytes_of("ReadOnly")));
}

// SERVICE INFO

static const struct rt_bytes auths[] = {BYTES("x")};
static const struct rt_bytes extensions[] = {BYTES("tls"), BYTES("y")};
static const struct proto_bookie_endpoint endpoints[] = {
    {.id = BYTES("bookie"),
     .host = BYTES("10.0.0.5"),
     .protocol = BYTES("bookie-rpc"),
     .port = 3181,
     .auth = auths,
     .auth_count = 1,
     .extensions = extensions,
     .extension_count = 2},
    {.id = BYTES("httpserver"), .host = BYTES("10.0.0.5"), .protocol = BYTES("http"), .port = 8080},
};
static const struct proto_ledger_custom properties[] = {{BYTES("a"), BYTES("b")},
                                                        {BYTES("c"), BYTES("")}};
// What BookKeeper 4.16 writes for these.
#define INFO_HEX                                                                                 \
    "322c0a06626f6f6b696510ed181a0831302e302e302e35220a626f6f6b69652d7270632a01783203746c733201" \
    "79321f0a0a6874747073657276657210903f1a0831302e302e302e352204687474703a060a01611201623a050a" \
    "01631200"

Test(proto_bookie_info, is_written_and_read_as_bookkeeper_does) {
    struct proto_bookie_info info = {endpoints, 2, properties, 2}, out;
    struct rt_buf buf = {0};
    struct rt_arena arena = {0};
    proto_bookie_info_encode(&info, &buf);
    cr_expect(bytes_are_hex(rt_buf_bytes(&buf), INFO_HEX));
    cr_assert_eq(proto_bookie_info_decode(rt_buf_bytes(&buf), &arena, &out), RT_OK);
    cr_assert(out.endpoint_count == 2 && out.property_count == 2);
    cr_expect(rt_bytes_equal(out.endpoints[0].host, endpoints[0].host));
    cr_expect(out.endpoints[0].port == 3181 && out.endpoints[1].port == 8080);
    cr_expect(out.endpoints[0].extension_count == 2 && out.endpoints[0].auth_count == 1);
    cr_expect(rt_bytes_equal(out.endpoints[0].extensions[1], extensions[1]));
    cr_expect(rt_bytes_equal(out.properties[1].key, RT_BYTES_LITERAL("c")));
    rt_arena_fini(&arena);
    rt_buf_fini(&buf);
}

Test(proto_bookie_info, of_the_fact_sheet_and_of_old_bookies_are_understood) {
    struct rt_arena arena = {0};
    struct proto_bookie_info info;
    struct rt_buf bytes =
        hex_bytes("32 21 0a06 626f6f6b6965 10ed18 1a08 31302e302e302e35 220a 626f6f6b69652d727063");
    cr_assert_eq(proto_bookie_info_decode(rt_buf_bytes(&bytes), &arena, &info), RT_OK);
    cr_expect(info.endpoint_count == 1 && info.endpoints[0].port == 3181);
    for (size_t size = 1; size < bytes.size; size++) {
        rt_err err = proto_bookie_info_decode(RT_BYTES(bytes.data, size), &arena, &info);
        cr_expect_eq(err, RT_EPROTO, "at %zu", size);
    }
    cr_assert_eq(proto_bookie_info_decode(RT_BYTES(NULL, 0), &arena, &info), RT_OK);
    cr_expect_eq(info.endpoint_count, 0);
    rt_buf_fini(&bytes);
    rt_arena_fini(&arena);
}

Test(proto_bookie_info, an_endpoint_without_a_required_field_fails) {
    struct rt_arena arena = {0};
    struct proto_bookie_info info;
    static const char *const bad[] = {"3200", "3209 0a0161 1001 1a0162", "3209 0a0161 1001 220162",
                                      "3209 0a0161 1a0162 220163"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct rt_buf bytes = hex_bytes(bad[i]);
        if (i > 0) bytes.data[1] = (uint8_t)(bytes.size - 2);
        rt_err err = proto_bookie_info_decode(rt_buf_bytes(&bytes), &arena, &info);
        cr_expect_eq(err, RT_EPROTO, "%s", bad[i]);
        rt_buf_fini(&bytes);
    }
    rt_arena_fini(&arena);
}

// COOKIES

static const struct proto_cookie cookie_sample = {.bookie = BYTES("h:1"),
                                                  .journal_dirs = BYTES("/j"),
                                                  .ledger_dirs = BYTES("2\t/bk/d\t/\xc3\xa9\""),
                                                  .instance = BYTES("i"),
                                                  .index_dirs = BYTES("1\t/x"),
                                                  .has_instance = true,
                                                  .has_index_dirs = true};
// What BookKeeper 4.16 writes for it.
#define COOKIE_TEXT                                                                             \
    "5\nbookieHost: \"h:1\"\njournalDir: \"/j\"\nledgerDirs: \"2\\t/bk/d\\t/\\303\\251\\\"\"\n" \
    "instanceId: \"i\"\nindexDirs: \"1\\t/x\"\n"

Test(proto_cookie, is_written_and_read_as_bookkeeper_does) {
    struct rt_arena arena = {0};
    struct rt_buf buf = {0};
    struct proto_cookie cookie;
    proto_cookie_encode(&cookie_sample, &buf);
    cr_expect(rt_bytes_equal(rt_buf_bytes(&buf), RT_BYTES_LITERAL(COOKIE_TEXT)));
    cr_assert_eq(proto_cookie_decode(rt_buf_bytes(&buf), &arena, &cookie, NULL), RT_OK);
    cr_expect(proto_cookie_equal(&cookie, &cookie_sample));
    rt_buf_fini(&buf);
    rt_arena_fini(&arena);
}

Test(proto_cookie, layouts_4_and_5_are_read_and_others_named) {
    static const struct {
        const char *text, *reason;
    } cases[] = {
        {"4\nbookieHost: \"h:1\"\njournalDir: \"/j\"\nledgerDirs: \"1\\t/d\"\n", NULL},
        {"5\nbookieHost: 'h:1' journalDir: '/j', ledgerDirs: '1\\t/d'; other { a: 1 }", NULL},
        {"3\nh:1\n/j\n1\t/d\n", "layout 3"},
        {"6\nbookieHost: \"h:1\"\n", "layout 6"},
        {"", "first line"},
        {"five\n", "first line"},
        {"5\nbookieHost: \"h:1\"\njournalDir: \"/j\"\n", "required"},
        {"5\nbookieHost: \"h:1\n\"", "line 1: a string has no end"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rt_arena arena = {0};
        struct rt_why why = {""};
        struct proto_cookie cookie;
        rt_err err = proto_cookie_decode(rt_bytes_of(cases[i].text), &arena, &cookie, &why);
        cr_expect_eq(err, cases[i].reason ? RT_EPROTO : RT_OK, "%s: %s", cases[i].text, why.text);
        if (cases[i].reason) cr_expect(strstr(why.text, cases[i].reason), "%s", why.text);
        rt_arena_fini(&arena);
    }
}

Test(proto_cookie, cookies_differ_in_each_of_their_fields) {
    struct proto_cookie changed[] = {cookie_sample, cookie_sample, cookie_sample, cookie_sample,
                                     cookie_sample, cookie_sample, cookie_sample};
    changed[0].bookie = rt_bytes_of("h:2");
    changed[1].journal_dirs = rt_bytes_of("/k");
    changed[2].ledger_dirs = rt_bytes_of("1\t/bk/d");
    changed[3].instance = rt_bytes_of("j");
    changed[4].index_dirs = rt_bytes_of("1\t/y");
    changed[5].has_instance = false;
    changed[6].has_index_dirs = false;
    cr_expect(proto_cookie_equal(&cookie_sample, &cookie_sample));
    for (size_t i = 0; i < sizeof(changed) / sizeof(changed[0]); i++) {
        cr_expect_not(proto_cookie_equal(&cookie_sample, &changed[i]), "%zu", i);
        cr_expect_not(proto_cookie_equal(&changed[i], &cookie_sample), "%zu", i);
    }
}

// LAYOUT

Test(proto_layout, is_written_and_read_as_bookkeeper_does) {
    struct rt_buf buf = {0};
    proto_layout_encode(&buf);
    struct rt_bytes factory;
    int version = 0;
    cr_expect(rt_bytes_equal(
        rt_buf_bytes(&buf),
        rt_bytes_of("2\norg.apache.bookkeeper.meta.HierarchicalLedgerManagerFactory:1")));
    cr_assert_eq(proto_layout_decode(rt_buf_bytes(&buf), &factory, &version), RT_OK);
    cr_expect(rt_bytes_equal(
        factory, rt_bytes_of("org.apache.bookkeeper.meta.HierarchicalLedgerManagerFactory")));
    cr_expect_eq(version, 1);
    rt_buf_fini(&buf);
}

Test(proto_layout, other_formats_are_refused) {
    static const char *const bad[] = {"",          "2",      "2\n",      "2\na",
                                      "2\na:",     "2\n:1",  "2\na:x",   "2\na:-1",
                                      "1\nflat:1", "3\na:1", "2\na:1:2", "2\na:99999999999"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct rt_bytes factory;
        int version;
        rt_err err = proto_layout_decode(rt_bytes_of(bad[i]), &factory, &version);
        cr_expect_eq(err, RT_EPROTO, "%s", bad[i]);
    }
}
