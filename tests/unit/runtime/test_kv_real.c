#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/file.h"
#include "runtime/real/real.h"
#include "tests/lib/conformance_kv.h"
#include "tests/lib/harness.h"

struct kv_test {
    struct harness harness;
    struct kv_run run;
    char dir[64];
};

static void ended(struct kv_run *run) {
    struct kv_test *test = rt_container_of(run, struct kv_test, run);
    RT_IGNORE(rt_path_remove_tree_now(run->machine, run->dir));  // only tidiness
    if (run->failure[0]) harness_fail(&test->harness, "%s", run->failure);
    harness_end(&test->harness);
}

static void start(struct harness *harness, struct rt_loop *loop) {
    struct kv_test *test = rt_container_of(harness, struct kv_test, harness);
    test->run.machine = rt_loop_machine(loop);
    kv_run_start(&test->run);
}

static void case_run(const struct kv_case *is) {
    struct kv_test *test = rt_alloc_zero(1, sizeof(*test));
    snprintf(test->dir, sizeof(test->dir), "/tmp/geminga-kv-XXXXXX");
    cr_assert_not_null(mkdtemp(test->dir));
    test->harness.sides[0].start = start;
    test->run = (struct kv_run){.is = is, .dir = test->dir, .ended = ended};
    cr_assert(harness_run_real(&test->harness), "%s", test->harness.failure);
    rt_free(test);
}

Test(runtime_kv_real, all_cases_conform) {
    for (size_t i = 0; i < kv_case_count; i++) case_run(&kv_cases[i]);
}
