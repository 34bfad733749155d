#include "runtime/real/machine.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "runtime/log.h"
#include "runtime/metrics.h"
#include "runtime/real/file_posix.h"
#include "runtime/real/kv_rocksdb.h"
#include "runtime/real/loop_thread.h"
#include "runtime/real/real.h"
#include "runtime/real/stream_nng.h"
#include "runtime/real/work_pool.h"

enum { WORKER_COUNT_DEFAULT = 4, MEMORY_BYTES_DEFAULT = 256 << 20 };

// THE BACKEND

static uint64_t clock_read(clockid_t clock) {
    struct timespec now;
    int result = clock_gettime(clock, &now);
    assert(result == 0);
    (void)result;
    return (uint64_t)now.tv_sec * RT_NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t real_mono_ns(void) {
    return clock_read(CLOCK_MONOTONIC);
}

static uint64_t machine_mono_ns(const struct rt_machine *machine) {
    (void)machine;
    return clock_read(CLOCK_MONOTONIC);
}

static uint64_t machine_wall_ns(const struct rt_machine *machine) {
    (void)machine;
    return clock_read(CLOCK_REALTIME);
}

static void machine_entropy(struct rt_machine *machine, void *memory, size_t size) {
    (void)machine;
    uint8_t *at = memory;
    while (size > 0) {
        ssize_t got = getrandom(at, size, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) rt_panic("the system's random numbers are not available: errno=%d", errno);
        at += got;
        size -= (size_t)got;
    }
}

static bool machine_chance(struct rt_machine *machine, const char *point, uint32_t per_million) {
    (void)machine;
    (void)point;
    (void)per_million;
    return false;
}

static void machine_work_submit(struct rt_machine *machine, struct rt_work *work) {
    real_work_pool_submit(real_machine_of(machine)->workers, work);
}

static struct rt_backend backend_make(void) {
    return (struct rt_backend){
        .name = "real",
        .mono_ns = machine_mono_ns,
        .wall_ns = machine_wall_ns,
        .entropy = machine_entropy,
        .chance = machine_chance,
        .notify = real_loop_notify,
        .transport = real_transport,
        .work_submit = machine_work_submit,
        .files = real_file_backend(),
        .kv = real_kv_backend(),
    };
}

// LIFE

static void loops_make(struct real_machine *real, unsigned loop_count) {
    struct rt_machine *machine = &real->base;
    machine->loop_count = loop_count;
    machine->loops = rt_alloc_zero(loop_count, sizeof(machine->loops[0]));
    real->drivers = rt_alloc_zero(loop_count, sizeof(real->drivers[0]));
    for (unsigned i = 0; i < loop_count; i++) {
        uint64_t seed;
        machine_entropy(machine, &seed, sizeof(seed));
        machine->loops[i] = rt_loop_new(machine, i, seed);
        real->drivers[i] = real_loop_driver_new(machine->loops[i]);
    }
}

static rt_err log_set_up(struct real_machine *real, struct rt_log *log, struct rt_why *why) {
    real->base.log = log;
    if (log) return RT_OK;
    const struct rt_log_options options = {.level = RT_LOG_INFO};
    rt_err err = rt_log_open(&options, &real->own_log, why);
    if (err) return rt_why_prefix(why, err, "log");
    real->base.log = real->own_log;
    return RT_OK;
}

rt_err rt_real_open(const struct rt_real_options *options, struct rt_machine **machine,
                    struct rt_why *why) {
    static const struct rt_real_options defaults;
    if (!options) options = &defaults;
    struct real_machine *real = rt_alloc_aligned(_Alignof(struct real_machine), sizeof(*real));
    memset(real, 0, sizeof(*real));
    rt_err err = log_set_up(real, options->log, why);
    if (err) {
        rt_free(real);
        return err;
    }
    real->backend = backend_make();
    real->base.backend = &real->backend;
    real->own_name = rt_strdup(options->name ? options->name : "");
    real->base.name = real->own_name;
    real->base.metrics = rt_metrics_new();
    rt_budget_init(&real->base.budget, "memory",
                   options->memory_bytes ? options->memory_bytes : MEMORY_BYTES_DEFAULT);
    real->reaper = real_reaper_new(&real->base);
    real->workers = real_work_pool_new(&real->base, options->worker_count ? options->worker_count
                                                                          : WORKER_COUNT_DEFAULT);
    loops_make(real, options->loop_count ? options->loop_count : real_cpu_count());
    *machine = &real->base;
    return RT_OK;
}

void rt_real_start(struct rt_machine *machine) {
    struct real_machine *real = real_machine_of(machine);
    assert(!real->started);
    real->started = true;
    for (unsigned i = 0; i < machine->loop_count; i++) real_loop_driver_start(real->drivers[i]);
}

static void nothing_run(struct rt_task *task) {
    (void)task;
}

// The turns that told our caller that everything is closed may still be going on.
static void turns_await(struct rt_machine *machine) {
    for (unsigned i = 0; i < machine->loop_count; i++) {
        struct rt_task task;
        rt_task_init(&task, nothing_run, "machine close");
        rt_real_call(machine->loops[i], &task);
    }
}

// Whoever may still post ends before the loops do: workers, I/O threads, callbacks that the reaper
// waits for. Only then does nobody touch a loop any more, and it can go.
void rt_real_close(struct rt_machine *machine) {
    assert(!rt_loop_current());
    struct real_machine *real = real_machine_of(machine);
    if (real->started) turns_await(machine);
    real_work_pool_free(real->workers);
    real_files_close(machine);
    real_reaper_free(real->reaper);
    for (unsigned i = 0; i < machine->loop_count; i++) real_loop_driver_stop(real->drivers[i]);
    for (unsigned i = 0; i < machine->loop_count; i++) {
        real_loop_driver_free(real->drivers[i]);
        rt_loop_free(machine->loops[i]);
    }
    rt_free(real->drivers);
    rt_free(machine->loops);
    assert(rt_budget_used(&machine->budget) == 0);
    rt_metrics_free(machine->metrics);
    if (real->own_log) rt_log_close(real->own_log);
    rt_free(real->own_name);
    rt_free(real);
}

void real_count_syscalls(struct rt_machine *machine, uint64_t count) {
    atomic_fetch_add_explicit(&real_machine_of(machine)->syscalls, count, memory_order_relaxed);
}

uint64_t rt_real_syscall_estimate(const struct rt_machine *machine) {
    const struct real_machine *real =
        (const struct real_machine *)((const char *)machine - offsetof(struct real_machine, base));
    return atomic_load_explicit(&real->syscalls, memory_order_relaxed);
}

// CALLS FROM OUTSIDE

struct call {
    struct rt_task post;
    struct rt_task *task;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool done;
};

static void call_run(struct rt_task *post) {
    struct call *call = rt_container_of(post, struct call, post);
    call->task->run(call->task);
    pthread_mutex_lock(&call->lock);
    call->done = true;
    pthread_cond_signal(&call->changed);
    pthread_mutex_unlock(&call->lock);
}

void rt_real_call(struct rt_loop *loop, struct rt_task *task) {
    assert(!rt_loop_current());
    struct call call = {.task = task};
    rt_task_init(&call.post, call_run, task->name);
    pthread_mutex_init(&call.lock, NULL);
    pthread_cond_init(&call.changed, NULL);
    rt_post(loop, &call.post);
    pthread_mutex_lock(&call.lock);
    while (!call.done) pthread_cond_wait(&call.changed, &call.lock);
    pthread_mutex_unlock(&call.lock);
    pthread_cond_destroy(&call.changed);
    pthread_mutex_destroy(&call.lock);
}
