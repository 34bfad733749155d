#include <criterion/criterion.h>

#include "runtime/crc32.h"
#include "runtime/mem.h"
#include "runtime/random.h"

// The definition: one bit after the other.
static uint32_t by_definition(uint32_t crc, struct rt_bytes bytes) {
    crc = ~crc;
    for (size_t i = 0; i < bytes.size; i++) {
        crc ^= bytes.data[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0xedb88320) : 0);
    }
    return ~crc;
}

Test(runtime_crc32, known_inputs_have_their_known_sums) {
    cr_assert_eq(rt_crc32(0, RT_BYTES_LITERAL("123456789")), 0xcbf43926);
    cr_assert_eq(rt_crc32(0, RT_BYTES(NULL, 0)), 0);
}

Test(runtime_crc32, tables_follow_the_definition_at_any_length_alignment_and_cut) {
    struct rt_random random;
    rt_random_seed(&random, 1);
    for (size_t size = 0; size < 600; size++) {
        uint8_t *exact = rt_alloc_zero(1, size + 7);
        rt_random_fill(&random, exact, size + 7);
        struct rt_bytes bytes = RT_BYTES(exact + 7 - size % 8, size);
        uint32_t start = (uint32_t)rt_random_u64(&random);
        uint32_t expected = by_definition(start, bytes);
        cr_assert_eq(rt_crc32(start, bytes), expected, "%zu bytes", size);
        size_t cut = rt_random_below(&random, size + 1);
        uint32_t first = rt_crc32(start, RT_BYTES(bytes.data, cut));
        cr_assert_eq(rt_crc32(first, rt_bytes_skip(bytes, cut)), expected, "cut at %zu", cut);
        rt_free(exact);
    }
}
