#include <criterion/criterion.h>
#include <string.h>

#include "runtime/crc32c.h"
#include "runtime/mem.h"
#include "runtime/random.h"

// The definition: one bit after the other.
static uint32_t by_definition(uint32_t crc, struct rt_bytes bytes) {
    crc = ~crc;
    for (size_t i = 0; i < bytes.size; i++) {
        crc ^= bytes.data[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0x82f63b78) : 0);
    }
    return ~crc;
}

Test(runtime_crc32c, known_inputs_have_their_known_sums) {
    uint8_t zeroes[32] = {0}, ones[32], up[32], down[32];
    memset(ones, 0xff, sizeof(ones));
    for (uint8_t i = 0; i < 32; i++) {
        up[i] = i;
        down[i] = (uint8_t)(31 - i);
    }
    cr_assert_eq(rt_crc32c(0, RT_BYTES_LITERAL("123456789")), 0xe3069283);
    cr_assert_eq(rt_crc32c(0, RT_BYTES(zeroes, 32)), 0x8a9136aa);  // RFC 3720, B.4
    cr_assert_eq(rt_crc32c(0, RT_BYTES(ones, 32)), 0x62a8ab43);
    cr_assert_eq(rt_crc32c(0, RT_BYTES(up, 32)), 0x46dd794e);
    cr_assert_eq(rt_crc32c(0, RT_BYTES(down, 32)), 0x113fdb5c);
    cr_assert_eq(rt_crc32c(0, RT_BYTES(NULL, 0)), 0);
    cr_assert_eq(rt_crc32c_portable(0, RT_BYTES(NULL, 0)), 0);
}

Test(runtime_crc32c, both_versions_follow_the_definition_at_any_length_and_alignment) {
    struct rt_random random;
    rt_random_seed(&random, 1);
    uint8_t bytes[3000];
    rt_random_fill(&random, bytes, sizeof(bytes));
    for (size_t size = 0; size < 2400; size += size < 100 ? 1 : 13) {
        uint32_t start = (uint32_t)rt_random_u64(&random);
        struct rt_bytes part = RT_BYTES(bytes + size % 17, size);
        uint32_t expected = by_definition(start, part);
        cr_assert_eq(rt_crc32c_portable(start, part), expected, "table, %zu bytes", size);
        cr_assert_eq(rt_crc32c(start, part), expected, "%s, %zu bytes", rt_crc32c_implementation(),
                     size);
    }
}

Test(runtime_crc32c, a_sum_continues_over_any_cut) {
    uint8_t bytes[1700];
    struct rt_random random;
    rt_random_seed(&random, 2);
    rt_random_fill(&random, bytes, sizeof(bytes));
    uint32_t whole = rt_crc32c(0, RT_BYTES(bytes, sizeof(bytes)));
    for (size_t cut = 0; cut <= sizeof(bytes); cut += 23) {
        uint32_t first = rt_crc32c(0, RT_BYTES(bytes, cut));
        cr_assert_eq(rt_crc32c(first, RT_BYTES(bytes + cut, sizeof(bytes) - cut)), whole);
    }
}

Test(runtime_crc32c, nothing_behind_the_end_is_read) {
    for (size_t size = 0; size < 900; size += 7) {
        uint8_t *exact = rt_alloc_zero(1, size);
        cr_assert_eq(rt_crc32c(5, RT_BYTES(exact, size)), by_definition(5, RT_BYTES(exact, size)));
        rt_free(exact);
    }
}
