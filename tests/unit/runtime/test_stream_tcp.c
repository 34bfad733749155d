#include <criterion/criterion.h>

#include "tests/lib/conformance_stream.h"

static void run_real(const struct stream_case *stream_case, enum harness_place place) {
    static struct stream_run run;
    run = (struct stream_run){.harness = {.place = place, .transport = "tcp"}};
    stream_run_set(&run, stream_case);
    cr_assert(harness_run_real(&run.harness), "%s", run.harness.failure);
}

#define ONE_LOOP(name)                                   \
    Test(runtime_stream_tcp_one_loop, name) {            \
        run_real(&stream_case_##name, HARNESS_ONE_LOOP); \
    }
STREAM_CASES(ONE_LOOP)
STREAM_CASES_SLOW(ONE_LOOP)

#define TWO_LOOPS(name)                                   \
    Test(runtime_stream_tcp_two_loops, name) {            \
        run_real(&stream_case_##name, HARNESS_TWO_LOOPS); \
    }
STREAM_CASES(TWO_LOOPS)
