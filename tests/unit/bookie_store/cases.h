// A case that runs on both machines, or on the simulated one only, each time with a fresh fixture.
#ifndef GEMINGA_TESTS_UNIT_BOOKIE_STORE_CASES_H
#define GEMINGA_TESTS_UNIT_BOOKIE_STORE_CASES_H

#include <criterion/criterion.h>
#include <stdlib.h>

#include "tests/unit/bookie_store/fixture.h"

static inline void case_run(void (*run)(struct fixture *fixture), bool is_real) {
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    if (is_real) {
        fixture_init_real(fixture);
    } else {
        fixture_init_sim(fixture, 1);
    }
    run(fixture);
    fixture_fini(fixture);
    free(fixture);
}

#define SIM_CASE(suite, name)                  \
    static void name(struct fixture *fixture); \
    Test(suite, name) {                        \
        case_run(name, false);                 \
    }                                          \
    static void name(struct fixture *fixture)

#define BOTH_CASE(suite, name)                 \
    static void name(struct fixture *fixture); \
    Test(suite, name##_sim) {                  \
        case_run(name, false);                 \
    }                                          \
    Test(suite, name##_real) {                 \
        case_run(name, true);                  \
    }                                          \
    static void name(struct fixture *fixture)

#endif
