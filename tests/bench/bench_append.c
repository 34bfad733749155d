// A journal's pattern: 64 KiB appended around the page cache into zeroed space, each synced, the
// next one started from the completion of the one before.
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/file.h"
#include "runtime/real/real.h"
#include "tests/bench/bench.h"

enum { APPEND_SIZE = 1 << 16, SEGMENT_SIZE = 256 << 20, PATH_SIZE = 512 };
static const uint64_t run_ns = 3000000000u;

struct appender {
    struct rt_file_op op;
    struct rt_task start;
    struct rt_file *file;
    struct rt_bytes part;
    uint64_t begin_ns, took_ns, count, offset;
    sem_t ended;
};

static void append_next(struct appender *appender);

static void appended(struct rt_file_op *op, rt_err err) {
    struct appender *appender = rt_container_of(op, struct appender, op);
    if (err) bench_die(rt_err_name(err));
    appender->count++;
    appender->took_ns = bench_now_ns() - appender->begin_ns;
    if (appender->took_ns < run_ns) {
        append_next(appender);
    } else {
        sem_post(&appender->ended);
    }
}

static void append_next(struct appender *appender) {
    appender->offset += APPEND_SIZE;
    if (appender->offset == SEGMENT_SIZE) {
        appender->offset = 0;
        rt_file_append_at(appender->file, 0);  // the segment is used again, as a journal's are
    }
    rt_file_append(&appender->op, appender->file, &appender->part, 1, true, appended);
}

static void start_run(struct rt_task *task) {
    struct appender *appender = rt_container_of(task, struct appender, start);
    appender->begin_ns = bench_now_ns();
    append_next(appender);
}

void bench_append(const char *directory) {
    static struct appender appender;
    char path[PATH_SIZE];
    struct rt_machine *machine;
    struct rt_why why;
    struct rt_real_options options = {.loop_count = 1, .worker_count = 1};
    snprintf(path, sizeof(path), "%s/bench-append.tmp", directory);
    unlink(path);
    if (rt_real_open(&options, &machine, &why)) bench_die(why.text);
    unsigned flags =
        RT_FILE_READ | RT_FILE_WRITE | RT_FILE_CREATE | RT_FILE_DIRECT | RT_FILE_OWN_THREAD;
    if (rt_file_open_now(machine, path, flags, &appender.file, &why)) bench_die(why.text);
    if (rt_file_allocate_now(appender.file, SEGMENT_SIZE)) bench_die("allocate");
    rt_file_append_at(appender.file, 0);
    uint8_t *memory = rt_alloc_aligned(RT_FILE_ALIGN, APPEND_SIZE);
    memset(memory, 'j', APPEND_SIZE);
    appender.part = RT_BYTES(memory, APPEND_SIZE);
    sem_init(&appender.ended, 0, 0);
    rt_task_init(&appender.start, start_run, "bench.append");
    rt_real_start(machine);
    rt_post(rt_machine_loop(machine, 0), &appender.start);
    sem_wait(&appender.ended);
    printf("appends_per_s %.0f\n", (double)appender.count * 1e9 / (double)appender.took_ns);
    rt_file_close_now(appender.file);
    rt_real_close(machine);
    rt_free(memory);
    unlink(path);
}
