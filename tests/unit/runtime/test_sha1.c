#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "runtime/random.h"
#include "runtime/sha1.h"

static const char *hex_of(const uint8_t digest[RT_SHA1_SIZE], char hex[2 * RT_SHA1_SIZE + 1]) {
    for (size_t i = 0; i < RT_SHA1_SIZE; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    return hex;
}

Test(runtime_sha1, pads_at_every_size) {
    // Digests of that many bytes 'a', as sha1sum gives them.
    static const struct {
        size_t size;
        const char *hex;
    } cases[] = {
        {0, "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
        {55, "c1c8bbdc22796e28c0e15163d20899b65621d65a"},
        {56, "c2db330f6083854c99d4b5bfb6e8f29f201be699"},
        {63, "03f09f5b158a7a8cdad920bddc29b81c18a551f5"},
        {64, "0098ba824b5c16427bd7a1122a5a442a25ec644d"},
        {119, "ee971065aaa017e0632a8ca6c77bb3bf8b1dfc56"},
        {200, "e61cfffe0d9195a525fc6cf06ca2d77119c24a40"},
    };
    uint8_t bytes[200], digest[RT_SHA1_SIZE];
    char hex[2 * RT_SHA1_SIZE + 1];
    memset(bytes, 'a', sizeof(bytes));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        rt_sha1_of(RT_BYTES(bytes, cases[i].size), digest);
        cr_expect_str_eq(hex_of(digest, hex), cases[i].hex, "of %zu bytes", cases[i].size);
    }
}

Test(runtime_sha1, parts_of_any_size_make_the_digest_of_the_whole) {
    struct rt_random random;
    rt_random_seed(&random, 4);
    uint8_t bytes[700], whole[RT_SHA1_SIZE], digest[RT_SHA1_SIZE];
    rt_random_fill(&random, bytes, sizeof(bytes));
    for (unsigned round = 0; round < 300; round++) {
        size_t size = rt_random_below(&random, sizeof(bytes));
        rt_sha1_of(RT_BYTES(bytes, size), whole);
        struct rt_sha1 sha;
        rt_sha1_start(&sha);
        for (size_t at = 0, part; at < size; at += part) {
            part = rt_random_below(&random, 150);
            if (part > size - at) part = size - at;
            rt_sha1_add(&sha, RT_BYTES(bytes + at, part));
        }
        rt_sha1_add(&sha, RT_BYTES(NULL, 0));
        rt_sha1_finish(&sha, digest);
        cr_assert_eq(memcmp(digest, whole, RT_SHA1_SIZE), 0, "round %u, %zu bytes", round, size);
    }
}
