#include <criterion/criterion.h>

#include "tests/lib/conformance_loop.h"

enum { SEEDS = 20 };

typedef void case_fn(struct harness *harness, struct rt_loop *loop);

static void run_real(case_fn *start) {
    static struct harness harness;
    harness = (struct harness){.sides = {{start}}, .place = HARNESS_TWO_LOOPS};
    cr_assert(harness_run_real(&harness), "%s", harness.failure);
}

static void run_sim(case_fn *start) {
    static struct harness harness;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        harness = (struct harness){.sides = {{start}}, .place = HARNESS_TWO_LOOPS, .seed = seed};
        cr_assert(harness_run_sim(&harness), "seed %llu: %s", (unsigned long long)seed,
                  harness.failure);
    }
}

#define REAL(name)                  \
    Test(runtime_loop_real, name) { \
        run_real(loop_case_##name); \
    }
LOOP_CASES(REAL)

#define SIM(name)                  \
    Test(runtime_loop_sim, name) { \
        run_sim(loop_case_##name); \
    }
LOOP_CASES(SIM)
