#include <criterion/criterion.h>
#include <string.h>

#include "runtime/random.h"

Test(runtime_random, a_seed_gives_the_same_numbers_on_every_machine) {
    struct rt_random random;
    rt_random_seed(&random, 0);
    cr_assert_eq(rt_random_u64(&random), UINT64_C(0x99ec5f36cb75f2b4));
    cr_assert_eq(rt_random_u64(&random), UINT64_C(0xbf6e1f784956452a));
    uint8_t bytes[11], again[11];
    rt_random_seed(&random, 7);
    rt_random_fill(&random, bytes, sizeof(bytes));
    rt_random_seed(&random, 7);
    uint64_t first = rt_random_u64(&random);
    rt_random_seed(&random, 7);
    rt_random_fill(&random, again, sizeof(again));
    cr_assert_eq(memcmp(bytes, again, sizeof(bytes)), 0);
    cr_assert_eq(bytes[0], (uint8_t)first, "little-endian everywhere");
    cr_assert_eq(bytes[7], (uint8_t)(first >> 56));
}

Test(runtime_random, names_split_a_seed_into_different_streams) {
    struct rt_random net, disk, net_again, other_seed;
    rt_random_split(&net, 1, "net");
    rt_random_split(&disk, 1, "disk");
    rt_random_split(&net_again, 1, "net");
    rt_random_split(&other_seed, 2, "net");
    uint64_t drawn = rt_random_u64(&net);
    cr_assert_eq(rt_random_u64(&net_again), drawn);
    cr_assert_neq(rt_random_u64(&disk), drawn);
    cr_assert_neq(rt_random_u64(&other_seed), drawn);
}

Test(runtime_random, draws_stay_in_their_range_and_reach_its_ends) {
    struct rt_random random;
    rt_random_seed(&random, 3);
    unsigned seen[6] = {0};
    for (unsigned i = 0; i < 6000; i++) seen[rt_random_below(&random, 6)]++;
    for (unsigned i = 0; i < 6; i++) cr_assert(seen[i] > 800 && seen[i] < 1200, "%u", seen[i]);
    bool low = false, high = false;
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t drawn = rt_random_between(&random, 10, 13);
        cr_assert(drawn >= 10 && drawn <= 13);
        low |= drawn == 10;
        high |= drawn == 13;
    }
    cr_assert(low && high);
    cr_assert_eq(rt_random_below(&random, 1), 0);
    cr_assert_eq(rt_random_between(&random, 5, 5), 5);
    rt_random_between(&random, 0, UINT64_MAX);
    for (unsigned i = 0; i < 1000; i++) {
        cr_assert_lt(rt_random_below(&random, UINT64_C(3) << 62), UINT64_C(3) << 62);
    }
}

Test(runtime_random, chances_are_as_likely_as_they_say) {
    struct rt_random random;
    rt_random_seed(&random, 4);
    unsigned hits = 0;
    for (unsigned i = 0; i < 100000; i++) {
        cr_assert_not(rt_random_chance(&random, 0));
        cr_assert(rt_random_chance(&random, 1000000));
        hits += rt_random_chance(&random, 100000);
    }
    cr_assert(hits > 9000 && hits < 11000, "%u", hits);
}
