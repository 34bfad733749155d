#include <criterion/criterion.h>
#include <string.h>

#include "proto/ledger_entry.h"
#include "runtime/mem.h"
#include "runtime/random.h"
#include "tests/unit/proto/hex.h"

static const struct proto_entry hello = {1, 0, -1, 5, {(const uint8_t *)"hello", 5}};
static const enum proto_digest all_digests[] = {PROTO_DIGEST_CRC32, PROTO_DIGEST_MAC,
                                                PROTO_DIGEST_CRC32C, PROTO_DIGEST_DUMMY};
enum { DIGESTS = 4 };

static struct proto_ledger_keys keys_of(enum proto_digest digest, const char *password) {
    struct proto_ledger_keys keys;
    proto_ledger_keys_make(&keys, digest, rt_bytes_of(password));
    return keys;
}

static struct rt_buf entry_bytes(const struct proto_ledger_keys *keys,
                                 const struct proto_entry *entry) {
    struct rt_buf buf = {0};
    uint8_t head[PROTO_ENTRY_HEAD + PROTO_ENTRY_DIGEST_MAX];
    size_t size = proto_entry_head(keys, entry, &entry->payload, 1, head);
    rt_buf_append(&buf, RT_BYTES(head, size));
    rt_buf_append(&buf, entry->payload);
    return buf;
}

Test(proto_ledger_entry, keys_are_those_of_bookkeeper) {
    struct proto_ledger_keys empty = keys_of(PROTO_DIGEST_CRC32C, "");
    struct proto_ledger_keys pwd = keys_of(PROTO_DIGEST_MAC, "pwd");
    cr_expect(
        bytes_are_hex(RT_BYTES(empty.master, 20), "850bf1071c5e3d8c24235676f8816ae0cbe2f14f"));
    cr_expect(bytes_are_hex(RT_BYTES(empty.mac, 20), "347ead6348e936507920c15d2ae8266ac6ce9b49"));
    cr_expect(bytes_are_hex(RT_BYTES(pwd.master, 20), "9c31dcb7214645e06dbf8a67daa6cfcdcd13a611"));
}

#define HELLO_IDS "0000000000000001 0000000000000000 ffffffffffffffff 0000000000000005"

Test(proto_ledger_entry, digests_are_those_of_bookkeeper) {
    static const struct {
        enum proto_digest digest;
        const char *password, *hex, *name;
    } cases[] = {
        {PROTO_DIGEST_CRC32, "", HELLO_IDS "00000000 30a56872 68656c6c6f", "CRC32"},
        {PROTO_DIGEST_MAC, "pwd", HELLO_IDS "b66e20f9eebddec1e704fc3b96b2ed248b6a5ed9 68656c6c6f",
         "MAC"},
        {PROTO_DIGEST_CRC32C, "", HELLO_IDS "e3a5f74d 68656c6c6f", "CRC32C"},
        {PROTO_DIGEST_DUMMY, "", HELLO_IDS "68656c6c6f", "DUMMY"},
    };
    for (size_t i = 0; i < DIGESTS; i++) {
        struct proto_ledger_keys keys = keys_of(cases[i].digest, cases[i].password);
        struct rt_buf bytes = entry_bytes(&keys, &hello);
        cr_expect(bytes_are_hex(rt_buf_bytes(&bytes), cases[i].hex), "%s", cases[i].name);
        cr_expect_str_eq(proto_digest_name(cases[i].digest), cases[i].name);
        rt_buf_fini(&bytes);
    }
}

Test(proto_ledger_entry, explicit_lac_is_that_of_bookkeeper) {
    struct proto_ledger_keys keys = keys_of(PROTO_DIGEST_CRC32C, "");
    struct rt_buf buf = {0};
    proto_explicit_lac_make(&keys, 1, 41, &buf);
    cr_expect(bytes_are_hex(rt_buf_bytes(&buf), "0000000000000001 0000000000000029 ee4119b0"));
    rt_buf_fini(&buf);
}

Test(proto_ledger_entry, what_is_made_opens_again_whatever_the_cuts_of_the_payload) {
    struct rt_random random;
    rt_random_seed(&random, 3);
    uint8_t payload[500];
    rt_random_fill(&random, payload, sizeof(payload));
    for (unsigned round = 0; round < 400; round++) {
        struct proto_ledger_keys keys = keys_of(all_digests[round % DIGESTS], "secret");
        size_t size = rt_random_below(&random, sizeof(payload) + 1);
        struct proto_entry entry = {(int64_t)(rt_random_u64(&random) >> 1),
                                    (int64_t)(rt_random_u64(&random) >> 1), -1, (int64_t)size,
                                    RT_BYTES(payload, size)};
        size_t cut = rt_random_below(&random, size + 1);
        struct rt_bytes parts[] = {RT_BYTES(payload, cut), RT_BYTES(NULL, 0),
                                   RT_BYTES(payload + cut, size - cut)};
        uint8_t head[PROTO_ENTRY_HEAD + PROTO_ENTRY_DIGEST_MAX];
        size_t head_size = proto_entry_head(&keys, &entry, parts, 3, head);
        struct rt_buf body = {0};
        rt_buf_append(&body, RT_BYTES(head, head_size));
        rt_buf_append(&body, entry.payload);
        struct proto_entry out;
        cr_assert_eq(proto_entry_open(&keys, rt_buf_bytes(&body), entry.ledger, entry.entry, &out),
                     RT_OK);
        cr_assert(out.ledger == entry.ledger && out.entry == entry.entry && out.lac == -1 &&
                  out.length == entry.length && rt_bytes_equal(out.payload, entry.payload));
        rt_buf_fini(&body);
    }
}

Test(proto_ledger_entry, any_flipped_bit_is_corruption) {
    for (size_t i = 0; i < DIGESTS - 1; i++) {
        struct proto_ledger_keys keys = keys_of(all_digests[i], "secret");
        struct rt_buf body = entry_bytes(&keys, &hello);
        for (size_t bit = 0; bit < 8 * body.size; bit++) {
            struct proto_entry out;
            body.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            rt_err err = proto_entry_open(&keys, rt_buf_bytes(&body), 1, -1, &out);
            cr_assert_eq(err, RT_ECORRUPT, "digest %zu, bit %zu", i, bit);
            body.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        rt_buf_fini(&body);
    }
}

Test(proto_ledger_entry, truncated_entries_are_corrupt) {
    for (size_t i = 0; i < DIGESTS; i++) {
        struct proto_ledger_keys keys = keys_of(all_digests[i], "secret");
        struct rt_buf body = entry_bytes(&keys, &hello);
        size_t least = all_digests[i] == PROTO_DIGEST_DUMMY ? PROTO_ENTRY_HEAD : body.size;
        for (size_t size = 0; size < least; size++) {
            struct rt_bytes copy = exact_copy(RT_BYTES(body.data, size));
            struct proto_entry out;
            cr_assert_eq(proto_entry_open(&keys, copy, 1, 0, &out), RT_ECORRUPT);
            rt_free((void *)(uintptr_t)copy.data);
        }
        rt_buf_fini(&body);
    }
}

Test(proto_ledger_entry, an_entry_of_another_place_or_password_is_corrupt) {
    struct proto_ledger_keys keys = keys_of(PROTO_DIGEST_MAC, "secret");
    struct proto_ledger_keys others = keys_of(PROTO_DIGEST_MAC, "Secret");
    struct rt_buf body = entry_bytes(&keys, &hello);
    struct rt_bytes bytes = rt_buf_bytes(&body);
    struct proto_entry out;
    cr_expect_eq(proto_entry_open(&keys, bytes, 2, 0, &out), RT_ECORRUPT);
    cr_expect_eq(proto_entry_open(&keys, bytes, 1, 1, &out), RT_ECORRUPT);
    cr_expect_eq(proto_entry_open(&others, bytes, 1, 0, &out), RT_ECORRUPT);
    cr_expect_eq(proto_entry_open(&keys, bytes, 1, -1, &out), RT_OK);
    rt_buf_fini(&body);
}

Test(proto_ledger_entry, ids_need_24_bytes_and_no_sign) {
    struct proto_entry_ids ids;
    struct rt_buf bytes = hex_bytes("0000000000000001 7fffffffffffffff fffffffffffffffe 00");
    for (size_t size = 0; size < 24; size++) {
        cr_expect_eq(proto_entry_ids_read(RT_BYTES(bytes.data, size), &ids), RT_EPROTO);
    }
    cr_expect_eq(proto_entry_ids_read(rt_buf_bytes(&bytes), &ids), RT_OK);
    cr_expect(ids.ledger == 1 && ids.entry == INT64_MAX && ids.lac == -2);
    bytes.data[8] = 0xff;
    cr_expect_eq(proto_entry_ids_read(rt_buf_bytes(&bytes), &ids), RT_EPROTO);
    bytes.data[8] = 0;
    bytes.data[0] = 0x80;
    cr_expect_eq(proto_entry_ids_read(rt_buf_bytes(&bytes), &ids), RT_EPROTO);
    rt_buf_fini(&bytes);
}

Test(proto_ledger_entry, explicit_lac_opens_only_as_it_was_made) {
    for (size_t i = 0; i < DIGESTS; i++) {
        struct proto_ledger_keys keys = keys_of(all_digests[i], "secret");
        struct rt_buf buf = {0};
        int64_t lac = 0;
        proto_explicit_lac_make(&keys, 7, -1, &buf);
        cr_expect_eq(buf.size, 16 + proto_digest_size(all_digests[i]));
        cr_expect_eq(proto_explicit_lac_open(&keys, rt_buf_bytes(&buf), 7, &lac), RT_OK);
        cr_expect_eq(lac, -1);
        cr_expect_eq(proto_explicit_lac_open(&keys, rt_buf_bytes(&buf), 8, &lac), RT_ECORRUPT);
        for (size_t size = 0; size < buf.size; size++) {
            struct rt_bytes copy = exact_copy(RT_BYTES(buf.data, size));
            cr_expect_eq(proto_explicit_lac_open(&keys, copy, 7, &lac), RT_ECORRUPT);
            rt_free((void *)(uintptr_t)copy.data);
        }
        buf.data[15] ^= 1;
        rt_err err = proto_explicit_lac_open(&keys, rt_buf_bytes(&buf), 7, &lac);
        cr_expect_eq(err, all_digests[i] == PROTO_DIGEST_DUMMY ? RT_OK : RT_ECORRUPT);
        rt_buf_fini(&buf);
    }
}
