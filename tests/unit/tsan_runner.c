// Runs Criterion tests under ThreadSanitizer. Criterion isolates tests in processes built by hand,
// which that sanitizer cannot follow, so here each test runs in a fork. The asserts and messages
// are still Criterion's; only main and what an assert does on failure are replaced.
//   PROGRAM [--tap=FILE] [--filter=TEXT]
// Not supported, and reported as failed: parameterized tests and theories.
#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TIMEOUT_DEFAULT_S = 60, SKIPPED = 77 };

// The linker collects every Test() of the program between these two.
extern struct criterion_test *__start_cr_tst[];
extern struct criterion_test *__stop_cr_tst[];
extern struct criterion_suite *__start_cr_sts[] __attribute__((weak));
extern struct criterion_suite *__stop_cr_sts[] __attribute__((weak));

static const struct criterion_test *running;
static const struct criterion_suite *running_suite;
static bool failed;

void criterion_send_assert(struct criterion_assert_stats *stats) {
    if (stats->passed) return;
    failed = true;
    fprintf(stderr, "%s:%u: %s\n", stats->file, stats->line, stats->message);
}

void cri_asserts_passed_incr(void) {
}

void criterion_continue_test(void) {
}

void criterion_abort_test(void) {
    fflush(NULL);
    _exit(1);
}

void criterion_skip_test(const char *format, ...) {
    (void)format;
    _exit(SKIPPED);
}

void criterion_test_die(const char *format, ...) {
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    criterion_abort_test();
}

void criterion_internal_test_setup(void) {
    if (running_suite && running_suite->data->init) running_suite->data->init();
    if (running->data->init) running->data->init();
}

void criterion_internal_test_main(void (*body)(void)) {
    body();
}

void criterion_internal_test_teardown(void) {
    if (running->data->fini) running->data->fini();
    if (running_suite && running_suite->data->fini) running_suite->data->fini();
}

static const struct criterion_suite *suite_of(const struct criterion_test *test) {
    for (struct criterion_suite **s = __start_cr_sts; s < __stop_cr_sts; s++) {
        if (*s && strcmp((*s)->name, test->category) == 0) return *s;
    }
    return NULL;
}

// What the test asks for (.signal, .exit_code, .timeout), with its suite's as the default.
static int expected_signal(void) {
    if (running->data->signal || !running_suite) return running->data->signal;
    return running_suite->data->signal;
}

static int expected_exit_code(void) {
    if (running->data->exit_code || !running_suite) return running->data->exit_code;
    return running_suite->data->exit_code;
}

static unsigned timeout_s(void) {
    double timeout = running->data->timeout;
    if (timeout <= 0 && running_suite) timeout = running_suite->data->timeout;
    return timeout > 0 ? (unsigned)timeout + 1 : TIMEOUT_DEFAULT_S;
}

static int run_in_fork(void) {
    fflush(NULL);
    pid_t child = fork();
    if (child < 0) abort();
    if (child == 0) {
        alarm(timeout_s());
        running->test();
        exit(failed ? 1 : 0);
    }
    int status = 0;
    if (waitpid(child, &status, 0) != child) abort();
    return status;
}

static const char *verdict_of(int status) {
    if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED) return "skip";
    if (expected_signal()) {
        return WIFSIGNALED(status) && WTERMSIG(status) == expected_signal() ? "ok" : "not ok";
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == expected_exit_code() ? "ok" : "not ok";
}

static bool is_disabled(void) {
    return running->data->disabled || (running_suite && running_suite->data->disabled);
}

static bool run_test(FILE *tap) {
    const char *verdict = "not ok";
    if (is_disabled()) {
        verdict = "skip";
    } else if (running->data->kind_ == CR_TEST_NORMAL) {
        verdict = verdict_of(run_in_fork());
    }
    bool skipped = strcmp(verdict, "skip") == 0;
    fprintf(tap, "%s - %s::%s%s\n", skipped ? "ok" : verdict, running->category, running->name,
            skipped ? " # SKIP" : "");
    return strcmp(verdict, "not ok") != 0;
}

int main(int argc, char **argv) {
    FILE *tap = stdout;
    const char *filter = "";
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--tap=", 6) == 0) tap = fopen(argv[i] + 6, "w");
        if (strncmp(argv[i], "--filter=", 9) == 0) filter = argv[i] + 9;
    }
    if (!tap) return 2;
    int failures = 0;
    for (struct criterion_test **t = __start_cr_tst; t < __stop_cr_tst; t++) {
        running = *t;
        if (!running || !strstr(running->data->identifier_, filter)) continue;
        running_suite = suite_of(running);
        if (!run_test(tap)) failures++;
    }
    fclose(tap);
    return failures ? 1 : 0;
}
