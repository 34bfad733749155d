#include <criterion/criterion.h>

#include "proto/zookeeper_path.h"

static const struct {
    struct rt_bytes path;
    enum proto_zk_path_fault fault;
} cases[] = {
#define CASE(text, expected) \
    { {(const uint8_t *)(text), sizeof(text) - 1}, PROTO_ZK_PATH_##expected }
    CASE("/", OK),
    CASE("/a", OK),
    CASE("/a/b/c", OK),
    CASE("/.x", OK),
    CASE("/...", OK),
    CASE("/a.", OK),
    CASE("/a/..b/c..", OK),
    CASE("/ ", OK),
    CASE("/~", OK),
    CASE("/\xc2\xa0", OK),  // U+00A0
    CASE("/\xc3\xa9t\xc3\xa9", OK),
    CASE("/\xed\x9f\xbf", OK),  // U+D7FF
    CASE("/\xef\xa4\x80", OK),  // U+F900
    CASE("/\xef\xbf\xaf", OK),  // U+FFEF
    {{NULL, 0}, PROTO_ZK_PATH_NULL},
    CASE("", EMPTY),
    CASE("a", RELATIVE),
    CASE("a/b", RELATIVE),
    CASE("//", TRAILING_SLASH),
    CASE("/a/", TRAILING_SLASH),
    CASE("/\x01/", TRAILING_SLASH),
    CASE("//a", EMPTY_COMPONENT),
    CASE("/a//b", EMPTY_COMPONENT),
    CASE("/.", DOTS),
    CASE("/..", DOTS),
    CASE("/./a", DOTS),
    CASE("/a/../b", DOTS),
    CASE("/a/b/..", DOTS),
    CASE("/a\0b", NUL),
    CASE("/\0", NUL),
    CASE("/\x01", CHARACTER),
    CASE("/\x1f", CHARACTER),
    CASE("/\x7f", CHARACTER),
    CASE("/a\n/b", CHARACTER),
    CASE("/\xc2\x80", CHARACTER),          // U+0080
    CASE("/\xc2\x9f", CHARACTER),          // U+009F
    CASE("/\xed\xa0\x80", CHARACTER),      // U+D800
    CASE("/\xed\xbf\xbf", CHARACTER),      // U+DFFF
    CASE("/\xee\x80\x80", CHARACTER),      // U+E000
    CASE("/\xef\xa3\xbf", CHARACTER),      // U+F8FF
    CASE("/\xef\xbf\xb0", CHARACTER),      // U+FFF0
    CASE("/\xef\xbf\xbd", CHARACTER),      // U+FFFD
    CASE("/\xf0\x9f\x98\x80", CHARACTER),  // U+1F600
    CASE("/\xf4\x8f\xbf\xbf", CHARACTER),  // U+10FFFF
    CASE("/\xf4\x90\x80\x80", UTF8),       // beyond Unicode
    CASE("/\xf8\x88\x80\x80\x80", UTF8),
    CASE("/\x80", UTF8),
    CASE("/\xff", UTF8),
    CASE("/\xc3", UTF8),
    CASE("/\xe2\x82", UTF8),
    CASE("/\xe2\x82/a", UTF8),
    CASE("/\xc0\x80", UTF8),          // overlong NUL
    CASE("/\xc0\xaf", UTF8),          // overlong slash
    CASE("/\xe0\x80\xaf", UTF8),      // the same in three bytes
    CASE("/\xf0\x80\x80\xaf", UTF8),  // and in four
};

Test(proto_zookeeper_path, paths_are_valid_or_have_this_fault) {
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        enum proto_zk_path_fault fault = proto_zk_path_check(cases[i].path);
        cr_assert_eq(fault, cases[i].fault, "case %zu is %s, not %s", i,
                     proto_zk_path_fault_text(fault), proto_zk_path_fault_text(cases[i].fault));
    }
}

Test(proto_zookeeper_path, faults_say_what_is_wrong) {
    cr_assert_str_eq(proto_zk_path_fault_text(PROTO_ZK_PATH_DOTS), "path has a component . or ..");
    cr_assert_str_eq(proto_zk_path_fault_text(PROTO_ZK_PATH_OK), "valid");
}

Test(proto_zookeeper_path, splittable_needs_a_slash_and_no_nul) {
    cr_assert(proto_zk_path_is_splittable(RT_BYTES_LITERAL("/a//b/")));
    cr_assert(proto_zk_path_is_splittable(RT_BYTES_LITERAL("a/b")));
    cr_assert_not(proto_zk_path_is_splittable(RT_BYTES_LITERAL("ab")));
    cr_assert_not(proto_zk_path_is_splittable(RT_BYTES_LITERAL("/a\0")));
    cr_assert_not(proto_zk_path_is_splittable(RT_BYTES_LITERAL("")));
    cr_assert_not(proto_zk_path_is_splittable(RT_BYTES(NULL, 0)));
}

static void assert_split(const char *path, const char *parent, const char *name) {
    cr_assert(rt_bytes_equal(proto_zk_path_parent(rt_bytes_of(path)), rt_bytes_of(parent)));
    cr_assert(rt_bytes_equal(proto_zk_path_name(rt_bytes_of(path)), rt_bytes_of(name)));
}

Test(proto_zookeeper_path, the_last_slash_splits_parent_and_name) {
    assert_split("/a", "/", "a");
    assert_split("/a/b", "/a", "b");
    assert_split("/", "/", "");
    assert_split("/a/", "/a", "");
    assert_split("/x//y", "/x/", "y");
    assert_split("a/b", "a", "b");
}

Test(proto_zookeeper_path, four_nodes_are_built_in) {
    cr_assert(proto_zk_path_is_builtin(RT_BYTES_LITERAL("/")));
    cr_assert(proto_zk_path_is_builtin(RT_BYTES_LITERAL("/zookeeper")));
    cr_assert(proto_zk_path_is_builtin(RT_BYTES_LITERAL("/zookeeper/quota")));
    cr_assert(proto_zk_path_is_builtin(RT_BYTES_LITERAL("/zookeeper/config")));
    cr_assert_not(proto_zk_path_is_builtin(RT_BYTES_LITERAL("/zookeeper/quota/a")));
    cr_assert_not(proto_zk_path_is_builtin(RT_BYTES_LITERAL("")));
}
