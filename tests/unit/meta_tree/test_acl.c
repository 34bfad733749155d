// Ids, lists of rights and who passes them. No store, no machine.
#include "meta/server/tree/acl.h"

#include <criterion/criterion.h>
#include <string.h>

#include "meta/server/tree/digest_id.h"

static struct proto_zk_id id_of(const char *scheme, const char *id) {
    return (struct proto_zk_id){rt_bytes_of(scheme), rt_bytes_of(id)};
}

static struct proto_zk_acl entry(int32_t perms, const char *scheme, const char *id) {
    return (struct proto_zk_acl){perms, id_of(scheme, id)};
}

static struct proto_zk_acls list(const struct proto_zk_acl *items, size_t count) {
    return (struct proto_zk_acls){.items = items, .count = count};
}

static struct proto_zk_ids ids_of(const struct proto_zk_id *items, size_t count) {
    return (struct proto_zk_ids){.items = items, .count = count};
}

static bool bytes_are(struct rt_bytes bytes, const char *text) {
    return rt_bytes_equal(bytes, rt_bytes_of(text));
}

// DIGEST

Test(meta_tree_acl, digest_ids_are_those_of_zookeeper) {
    struct rt_arena arena = {0};
    cr_assert(bytes_are(meta_digest_id(RT_BYTES_LITERAL("bob:pw"), &arena),
                        "bob:ikIaKsbtGweaHnb/jKn7OHqbunM="));
    cr_assert(bytes_are(meta_digest_id(RT_BYTES_LITERAL("super:test"), &arena),
                        "super:D/InIHSb7yEEbrWz8b9l71RjZJU="));
    rt_arena_fini(&arena);
}

Test(meta_tree_acl, base64_pads_to_four) {
    static const char *const cases[][2] = {
        {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t memory[16];
        struct rt_writer w = rt_writer_over(memory, sizeof(memory));
        meta_base64(rt_bytes_of(cases[i][0]), &w);
        cr_expect(bytes_are(RT_BYTES(memory, w.written), cases[i][1]), "%s", cases[i][0]);
    }
}

// ADDRESSES

Test(meta_tree_acl, addresses_match_by_their_leading_bits) {
    static const struct {
        const char *pattern, *address;
        bool matches;
    } cases[] = {
        {"10.1.2.3", "10.1.2.3", true},
        {"10.1.2.3", "10.1.2.4", false},
        {"10.1.0.0/16", "10.1.255.1", true},
        {"10.1.0.0/16", "10.2.0.1", false},
        {"10.1.2.128/25", "10.1.2.127", false},
        {"0.0.0.0/0", "255.1.1.1", true},
        {"0.0.0.0/0", "::1", false},
        {"::1", "0:0:0:0:0:0:0:1", true},
        {"fe80::/10", "fe80::1:2", true},
        {"fe80::/10", "fec0::1", false},
        {"::ffff:10.0.0.1", "::ffff:a00:1", true},
        {"2001:db8::/33", "2001:db8:8000::", false},
        {"10.1.2.3", "not an address", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cr_expect_eq(meta_ip_matches(rt_bytes_of(cases[i].pattern), rt_bytes_of(cases[i].address)),
                     cases[i].matches, "%s %s", cases[i].pattern, cases[i].address);
    }
}

Test(meta_tree_acl, malformed_addresses_are_refused) {
    static const char *const wrong[] = {"",
                                        "1.2.3",
                                        "1.2.3.4.5",
                                        "1.2.3.256",
                                        "1.2.3.4/33",
                                        "1.2.3.4/",
                                        "1.2.3.4/-1",
                                        "a.b.c.d",
                                        "::1/129",
                                        "1:2:3",
                                        ":::",
                                        "1::2::3",
                                        "1:2:3:4:5:6:7:8:9",
                                        "12345::",
                                        "1:",
                                        "::1:",
                                        ":1::2",
                                        "::1.2.3",
                                        "::%",
                                        "1.2.3.",
                                        "1:2:3:4:5:6:7:1.2.3.4"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        cr_expect_not(meta_ip_is_valid(rt_bytes_of(wrong[i])), "%s", wrong[i]);
    static const char *const right[] = {"1.2.3.4", "1.2.3.4/32", "::", "1::/0", "1:2:3:4:5:6:7:8"};
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++)
        cr_expect(meta_ip_is_valid(rt_bytes_of(right[i])), "%s", right[i]);
}

// LISTS

static int32_t fix(const struct proto_zk_acl *items, size_t count, const struct proto_zk_ids *ids,
                   struct rt_arena *arena, struct proto_zk_acls *fixed) {
    struct rt_bytes stored;
    struct proto_zk_acls asked = list(items, count);
    int32_t err = meta_acl_fix(&asked, ids, arena, &stored);
    if (!err) meta_acl_decode(stored, arena, fixed);
    return err;
}

Test(meta_tree_acl, invalid_lists_are_refused) {
    const struct proto_zk_acl wrong[] = {
        entry(1, "world", "somebody"), entry(1, "digest", "bob"), entry(1, "digest", "a:b:c"),
        entry(1, "digest", "bob:"),    entry(1, "digest", ""),    entry(1, "ip", "1.2.3"),
        entry(1, "super", "x"),        entry(1, "", ""),          entry(1, "kerberos", "x"),
        entry(1, "auth", ""),          entry(1, "sasl", ""),
    };
    struct rt_arena arena = {0};
    struct proto_zk_ids nobody = {0};
    struct proto_zk_acls fixed;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        cr_expect_eq(fix(&wrong[i], 1, &nobody, &arena, &fixed), PROTO_ZK_ERR_INVALIDACL, "%zu", i);
    cr_expect_eq(fix(NULL, 0, &nobody, &arena, &fixed), PROTO_ZK_ERR_INVALIDACL);
    struct rt_bytes stored;
    struct proto_zk_acls null = {.is_null = true};
    cr_expect_eq(meta_acl_fix(&null, &nobody, &arena, &stored), PROTO_ZK_ERR_INVALIDACL);
    rt_arena_fini(&arena);
}

Test(meta_tree_acl, open_to_all_takes_no_room) {
    const struct proto_zk_acl open = entry(PROTO_ZK_PERM_ALL, "world", "anyone");
    struct proto_zk_acls asked = list(&open, 1);
    struct proto_zk_ids nobody = {0};
    struct rt_arena arena = {0};
    struct rt_bytes stored = RT_BYTES_LITERAL("x");
    cr_assert_eq(meta_acl_fix(&asked, &nobody, &arena, &stored), PROTO_ZK_ERR_OK);
    cr_assert_eq(stored.size, 0);
    cr_assert(meta_acl_allows(stored, PROTO_ZK_PERM_ADMIN, &nobody));
    rt_arena_fini(&arena);
}

Test(meta_tree_acl, auth_becomes_one_entry_for_each_authenticated_id) {
    const struct proto_zk_id who[] = {id_of("ip", "10.0.0.1"), id_of("digest", "a:x"),
                                      id_of("sasl", "carol")};
    const struct proto_zk_ids ids = ids_of(who, 3), only_ip = ids_of(who, 1);
    const struct proto_zk_acl asked[] = {entry(3, "auth", "means nothing"),
                                         entry(1, "world", "anyone")};
    struct rt_arena arena = {0};
    struct proto_zk_acls fixed;
    cr_assert_eq(fix(asked, 2, &ids, &arena, &fixed), PROTO_ZK_ERR_OK);
    cr_assert_eq(fixed.count, 3);
    cr_assert(bytes_are(fixed.items[0].id.id, "a:x") && fixed.items[0].perms == 3);
    cr_assert(bytes_are(fixed.items[1].id.id, "carol"));
    cr_assert(bytes_are(fixed.items[2].id.scheme, "world"));
    cr_assert_eq(fix(asked, 2, &only_ip, &arena, &fixed), PROTO_ZK_ERR_INVALIDACL);
    rt_arena_fini(&arena);
}

Test(meta_tree_acl, duplicates_go_and_the_order_stays) {
    const struct proto_zk_acl asked[] = {entry(1, "ip", "::1"),     entry(1, "digest", "b:y"),
                                         entry(1, "ip", "::1"),     entry(2, "ip", "::1"),
                                         entry(1, "digest", "b:y"), entry(-1, "digest", "a:x")};
    struct rt_arena arena = {0};
    struct proto_zk_ids nobody = {0};
    struct proto_zk_acls fixed;
    cr_assert_eq(fix(asked, 6, &nobody, &arena, &fixed), PROTO_ZK_ERR_OK);
    cr_assert_eq(fixed.count, 4);
    cr_assert(bytes_are(fixed.items[0].id.id, "::1") && fixed.items[0].perms == 1);
    cr_assert(bytes_are(fixed.items[1].id.id, "b:y"));
    cr_assert(bytes_are(fixed.items[2].id.id, "::1") && fixed.items[2].perms == 2);
    cr_assert(bytes_are(fixed.items[3].id.id, "a:x") && fixed.items[3].perms == -1,
              "permissions are kept unmasked");
    rt_arena_fini(&arena);
}

Test(meta_tree_acl, an_id_too_long_for_the_stored_form_is_refused_also_behind_auth) {
    static char text[70000];
    memset(text, 'u', sizeof(text) - 1);
    memcpy(text, "user:", 5);
    const struct proto_zk_acl plain = entry(1, "digest", text), auth = entry(1, "auth", "");
    const struct proto_zk_id who = id_of("digest", text);
    const struct proto_zk_ids ids = ids_of(&who, 1);
    struct rt_arena arena = {0};
    struct proto_zk_acls fixed;
    cr_assert_eq(fix(&plain, 1, &ids, &arena, &fixed), PROTO_ZK_ERR_INVALIDACL);
    cr_assert_eq(fix(&auth, 1, &ids, &arena, &fixed), PROTO_ZK_ERR_INVALIDACL);
    rt_arena_fini(&arena);
}

Test(meta_tree_acl, any_matching_entry_with_one_of_the_rights_lets_pass) {
    const struct proto_zk_acl items[] = {entry(PROTO_ZK_PERM_READ, "digest", "a:x"),
                                         entry(PROTO_ZK_PERM_WRITE, "ip", "10.0.0.0/8")};
    const struct proto_zk_id a = id_of("digest", "a:x"), near = id_of("ip", "10.9.9.9"),
                             root = id_of("super", ""), other = id_of("sasl", "a:x");
    const struct proto_zk_ids is_a = ids_of(&a, 1), is_near = ids_of(&near, 1),
                              is_root = ids_of(&root, 1), is_other = ids_of(&other, 1);
    struct rt_arena arena = {0};
    struct rt_bytes stored;
    struct proto_zk_acls acls = list(items, 2);
    meta_acl_encode(&acls, &arena, &stored);
    cr_expect(meta_acl_allows(stored, PROTO_ZK_PERM_READ, &is_a));
    cr_expect(meta_acl_allows(stored, PROTO_ZK_PERM_READ | PROTO_ZK_PERM_ADMIN, &is_a));
    cr_expect_not(meta_acl_allows(stored, PROTO_ZK_PERM_WRITE, &is_a));
    cr_expect(meta_acl_allows(stored, PROTO_ZK_PERM_WRITE, &is_near));
    cr_expect_not(meta_acl_allows(stored, PROTO_ZK_PERM_READ, &is_near));
    cr_expect(meta_acl_allows(stored, PROTO_ZK_PERM_ADMIN, &is_root));
    cr_expect_not(meta_acl_allows(stored, PROTO_ZK_PERM_READ, &is_other), "schemes differ");
    rt_arena_fini(&arena);
}

Test(meta_tree_acl, masking_hides_what_makes_a_digest) {
    const struct proto_zk_acl items[] = {entry(1, "digest", "bob:secret"), entry(1, "ip", "::1")};
    struct proto_zk_acls acls = list(items, 2);
    struct rt_arena arena = {0};
    meta_acl_mask(&acls, &arena);
    cr_assert(bytes_are(acls.items[0].id.id, "bob:x"));
    cr_assert(bytes_are(acls.items[1].id.id, "::1"));
    rt_arena_fini(&arena);
}

Test(meta_tree_acl, a_damaged_stored_list_gives_fewer_entries_and_never_more_rights) {
    const struct proto_zk_acl items[] = {entry(1, "digest", "a:x"), entry(31, "digest", "b:y")};
    const struct proto_zk_id b = id_of("digest", "b:y");
    const struct proto_zk_ids is_b = ids_of(&b, 1);
    struct proto_zk_acls acls = list(items, 2), decoded;
    struct rt_arena arena = {0};
    struct rt_bytes stored;
    meta_acl_encode(&acls, &arena, &stored);
    for (size_t size = 1; size < stored.size; size++) {
        struct rt_bytes cut = RT_BYTES(stored.data, size);
        meta_acl_decode(cut, &arena, &decoded);
        cr_assert_lt(decoded.count, 2, "cut at %zu", size);
        cr_assert_not(meta_acl_allows(cut, PROTO_ZK_PERM_READ, &is_b), "cut at %zu", size);
    }
    rt_arena_fini(&arena);
}
