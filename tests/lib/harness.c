#include "tests/lib/harness.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "runtime/real/real.h"

enum { PATIENCE_DEFAULT_MS = 60000, MEMORY_DEFAULT = 64 << 20 };

// COMMON

static void sink_line(struct rt_log_sink *sink, enum rt_log_level level, const char *text) {
    struct harness *harness = rt_container_of(sink, struct harness, sink);
    (void)level;  // the log was opened at warn
    pthread_mutex_lock(&harness->lock);
    harness->log_lines++;
    snprintf(harness->log_last, sizeof(harness->log_last), "%s", text);
    pthread_mutex_unlock(&harness->lock);
}

void harness_set_up(struct harness *harness, const char *host) {
    if (!harness->transport) harness->transport = "tcp";
    bool inproc = strcmp(harness->transport, "inproc") == 0;
    snprintf(harness->listen, sizeof(harness->listen), "%s://%s%s", harness->transport,
             inproc ? "case" : host, inproc ? "" : ":0");
    snprintf(harness->dial, sizeof(harness->dial), "%s", harness->listen);
    pthread_mutex_init(&harness->lock, NULL);
    pthread_cond_init(&harness->changed, NULL);
    harness->sink.line = sink_line;
}

void harness_tear_down(struct harness *harness) {
    pthread_cond_destroy(&harness->changed);
    pthread_mutex_destroy(&harness->lock);
}

void harness_ready(struct harness *harness, uint16_t port) {
    pthread_mutex_lock(&harness->lock);
    if (port != 0) {
        char *colon = strrchr(harness->dial, ':');
        snprintf(colon, (size_t)(harness->dial + sizeof(harness->dial) - colon), ":%u", port);
    }
    harness->ready = true;
    pthread_cond_broadcast(&harness->changed);
    pthread_mutex_unlock(&harness->lock);
}

void harness_end(struct harness *harness) {
    pthread_mutex_lock(&harness->lock);
    harness->ended++;
    pthread_cond_broadcast(&harness->changed);
    pthread_mutex_unlock(&harness->lock);
}

void harness_fail(struct harness *harness, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    pthread_mutex_lock(&harness->lock);
    if (harness->failure[0] == '\0')
        vsnprintf(harness->failure, sizeof(harness->failure), format, arguments);
    pthread_cond_broadcast(&harness->changed);
    pthread_mutex_unlock(&harness->lock);
    va_end(arguments);
}

unsigned harness_log_lines(struct harness *harness) {
    pthread_mutex_lock(&harness->lock);
    unsigned lines = harness->log_lines;
    pthread_mutex_unlock(&harness->lock);
    return lines;
}

static bool over_locked(const struct harness *harness) {
    unsigned sides = harness->sides[1].start ? 2 : 1;
    return harness->failure[0] != '\0' || harness->ended >= sides;
}

bool harness_is_over(struct harness *harness) {
    pthread_mutex_lock(&harness->lock);
    bool over = over_locked(harness);
    pthread_mutex_unlock(&harness->lock);
    return over;
}

// REAL

struct start {
    struct rt_task task;
    struct harness *harness;
    struct rt_loop *loop;
    const struct harness_side *side;
};

static void start_run(struct rt_task *task) {
    struct start *start = rt_container_of(task, struct start, task);
    start->side->start(start->harness, start->loop);
}

static void side_start(struct harness *harness, unsigned index) {
    struct rt_machine *machine = harness->machines[0];
    unsigned loop = harness->place == HARNESS_TWO_LOOPS ? index : 0;
    struct start start = {
        .harness = harness, .side = &harness->sides[index], .loop = rt_machine_loop(machine, loop)};
    rt_task_init(&start.task, start_run, "start");
    rt_real_call(start.loop, &start.task);
}

static struct timespec deadline_of(const struct harness *harness) {
    uint64_t patience_ms = harness->patience_ms ? harness->patience_ms : PATIENCE_DEFAULT_MS;
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    at.tv_sec += (time_t)(patience_ms / 1000);
    return at;
}

// Until the case is over, or side 0 is ready where that is what is waited for.
static void wait_for(struct harness *harness, const struct timespec *deadline, bool ready) {
    pthread_mutex_lock(&harness->lock);
    int failed = 0;
    while (!over_locked(harness) && !(ready && harness->ready) && failed != ETIMEDOUT)
        failed = pthread_cond_timedwait(&harness->changed, &harness->lock, deadline);
    pthread_mutex_unlock(&harness->lock);
    if (failed == ETIMEDOUT) harness_fail(harness, "the case did not end in time");
}

bool harness_run_real(struct harness *harness) {
    harness_set_up(harness, "127.0.0.1");
    struct rt_log *log = rt_log_to_sink(&harness->sink, RT_LOG_WARN);
    const struct rt_real_options options = {
        .loop_count = harness->place == HARNESS_TWO_LOOPS ? 2 : 1,
        .worker_count = 1,
        .memory_bytes = harness->memory_bytes ? harness->memory_bytes : MEMORY_DEFAULT,
        .log = log};
    struct rt_why why;
    if (rt_real_open(&options, &harness->machines[0], &why)) {
        harness_fail(harness, "%s", why.text);
        return false;
    }
    harness->machines[1] = harness->machines[0];
    rt_real_start(harness->machines[0]);
    struct timespec deadline = deadline_of(harness);
    side_start(harness, 0);
    if (harness->sides[1].start) {
        wait_for(harness, &deadline, true);
        if (harness->ready) side_start(harness, 1);
    }
    wait_for(harness, &deadline, false);
    if (harness->failure[0] != '\0') return false;
    rt_real_close(harness->machines[0]);
    rt_log_close(log);
    harness_tear_down(harness);
    return true;
}
