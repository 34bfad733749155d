#include <criterion/criterion.h>

#include "tests/lib/conformance_stream.h"

enum { SEEDS = 5 };

static void run_sim(const struct stream_case *stream_case, enum harness_place place,
                    const char *transport) {
    static struct stream_run run;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        run =
            (struct stream_run){.harness = {.place = place, .transport = transport, .seed = seed}};
        stream_run_set(&run, stream_case);
        cr_assert(harness_run_sim(&run.harness), "seed %llu: %s", (unsigned long long)seed,
                  run.harness.failure);
    }
}

#define TWO_NODES(name)                                         \
    Test(runtime_stream_sim_two_nodes, name) {                  \
        run_sim(&stream_case_##name, HARNESS_TWO_NODES, "tcp"); \
    }
STREAM_CASES(TWO_NODES)
STREAM_CASES_SLOW(TWO_NODES)

#define TWO_LOOPS(name)                                         \
    Test(runtime_stream_sim_two_loops, name) {                  \
        run_sim(&stream_case_##name, HARNESS_TWO_LOOPS, "tcp"); \
    }
STREAM_CASES(TWO_LOOPS)

#define INPROC(name)                                               \
    Test(runtime_stream_sim_inproc, name) {                        \
        run_sim(&stream_case_##name, HARNESS_TWO_LOOPS, "inproc"); \
    }
STREAM_CASES(INPROC)
