#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "runtime/real/real.h"
#include "tests/lib/conformance_file.h"
#include "tests/lib/harness.h"

enum { FAULT_LIMIT_BYTES = 6 };

struct file_test {
    struct harness harness;
    struct file_run run;
    char dir[64];
};

// The limit of a file's size: writes beyond it fail for this process, after a part that still fits.
static void fault(struct file_run *run, bool on) {
    (void)run;
    struct rlimit limit = {.rlim_cur = on ? FAULT_LIMIT_BYTES : RLIM_INFINITY,
                           .rlim_max = RLIM_INFINITY};
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void ended(struct file_run *run) {
    struct file_test *test = rt_container_of(run, struct file_test, run);
    RT_IGNORE(rt_path_remove_tree_now(run->machine, run->dir));  // only tidiness
    if (run->failure[0]) harness_fail(&test->harness, "%s", run->failure);
    harness_end(&test->harness);
}

static void start(struct harness *harness, struct rt_loop *loop) {
    struct file_test *test = rt_container_of(harness, struct file_test, harness);
    test->run.machine = rt_loop_machine(loop);
    file_run_start(&test->run);
}

static void case_run(const struct file_case *is, unsigned flags, const char *place) {
    struct file_test *test = rt_alloc_zero(1, sizeof(*test));
    snprintf(test->dir, sizeof(test->dir), "%s/geminga-file-XXXXXX", place);
    cr_assert_not_null(mkdtemp(test->dir));
    test->harness.sides[0].start = start;
    test->run = (struct file_run){
        .is = is, .dir = test->dir, .flags = flags, .fault = fault, .ended = ended};
    cr_assert(harness_run_real(&test->harness), "%s", test->harness.failure);
    rt_free(test);
}

static void all_cases_run(unsigned flags, const char *place) {
    signal(SIGXFSZ, SIG_IGN);
    for (size_t i = 0; i < file_case_count; i++) case_run(&file_cases[i], flags, place);
}

Test(runtime_file_real, shared_threads_conform) {
    all_cases_run(0, "/tmp");
}

Test(runtime_file_real, own_threads_conform) {
    all_cases_run(RT_FILE_OWN_THREAD, "/tmp");
}
