// The bookie's journal: records of 1 KiB, each answered when it is durable, from 1, 16 and 1000 in
// flight, beside fio writing and syncing pages of 4 KiB in the same directory.
//   bench_bookie_journal [DIRECTORY]
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bookie/server/journal/journal.h"
#include "runtime/real/real.h"

enum { RECORD = 1024, FLIGHT_MAX = 1000, PATH_SIZE = 512, LINE = 4096, FIO_IOPS_FIELD = 49 };
static const uint64_t run_ns = 3 * RT_NS_PER_S;

struct slot {
    struct bookie_journal_op op;
    struct bench *bench;
};

struct bench {
    struct rt_machine *machine;
    struct rt_loop *loop;
    struct bookie_journal_events events;
    struct bookie_journal *journal;
    struct rt_task start, closed;
    struct slot slots[FLIGHT_MAX];
    unsigned in_flight, running;
    uint64_t begin_ns, end_ns, count;
    struct bookie_journal_stats stats;
    const char *directory;
    sem_t ended;
};

static _Noreturn void die(const char *what) {
    fprintf(stderr, "bench_bookie_journal: %s\n", what);
    exit(1);
}

static void on_failed(struct bookie_journal_events *events, rt_err err, const char *what) {
    (void)events;
    (void)err;
    die(what);
}

static void on_drained(struct bookie_journal_events *events) {
    (void)events;
}

static void on_closed(struct rt_task *task) {
    sem_post(&rt_container_of(task, struct bench, closed)->ended);
}

static void slot_append(struct slot *slot) {
    static uint8_t record[RECORD];
    struct rt_bytes part = RT_BYTES(record, RECORD);
    if (bookie_journal_append(slot->bench->journal, &slot->op, &part, 1)) die("append");
}

static void appended(struct bookie_journal_op *op, rt_err err) {
    struct slot *slot = rt_container_of(op, struct slot, op);
    struct bench *bench = slot->bench;
    if (err) die(rt_err_name(err));
    bench->count++;
    // What lets go of segments is a checkpoint; here nothing has to be kept.
    if (bench->count % 4096 == 0)
        bookie_journal_release(bench->journal, bookie_journal_end(bench->journal));
    bench->end_ns = rt_loop_now(bench->loop);
    if (bench->end_ns - bench->begin_ns < run_ns) {
        slot_append(slot);
    } else if (--bench->running == 0) {
        bench->stats = bookie_journal_stats(bench->journal);
        rt_task_init(&bench->closed, on_closed, "bench.closed");
        bookie_journal_close(bench->journal, &bench->closed);
    }
}

static void start_run(struct rt_task *task) {
    struct bench *bench = rt_container_of(task, struct bench, start);
    struct bookie_journal_options options = {
        .directory = bench->directory, .owner = 1, .sync = true, .events = &bench->events};
    struct rt_why why;
    bench->events = (struct bookie_journal_events){on_failed, on_drained};
    rt_err err = bookie_journal_open_now(bench->machine, bench->loop, &options,
                                         (struct bookie_mark){0, 0}, &bench->journal, &why);
    if (err) die(why.text);
    bench->begin_ns = rt_loop_clock(bench->loop);
    bench->running = bench->in_flight;
    for (unsigned i = 0; i < bench->in_flight; i++) {
        bench->slots[i] = (struct slot){.op = {.done = appended}, .bench = bench};
        slot_append(&bench->slots[i]);
    }
}

static void measure(const char *directory, unsigned in_flight) {
    static struct bench bench;
    char path[PATH_SIZE];
    struct rt_why why;
    snprintf(path, sizeof(path), "%s/bench-journal.tmp", directory);
    bench = (struct bench){.in_flight = in_flight, .directory = path};
    struct rt_real_options options = {.loop_count = 1, .worker_count = 1};
    if (rt_real_open(&options, &bench.machine, &why)) die(why.text);
    if (rt_path_remove_tree_now(bench.machine, path)) die("cannot remove what was there");
    bench.loop = rt_machine_loop(bench.machine, 0);
    sem_init(&bench.ended, 0, 0);
    rt_task_init(&bench.start, start_run, "bench.start");
    rt_real_start(bench.machine);
    rt_post(bench.loop, &bench.start);
    sem_wait(&bench.ended);
    double seconds = (double)(bench.end_ns - bench.begin_ns) / 1e9;
    double records = (double)bench.count / seconds;
    printf("  %4u in flight %10.0f records/s %8.1f MiB/s %8.0f writes/s %6.1f records each\n",
           in_flight, records, records * RECORD / (1 << 20), (double)bench.stats.batches / seconds,
           (double)bench.count / (double)bench.stats.batches);
    fflush(stdout);
    if (rt_path_remove_tree_now(bench.machine, path)) die("cannot remove the journal");
    rt_real_close(bench.machine);
}

static double fio_writes(const char *directory) {
    char command[LINE], line[LINE];
    snprintf(command, sizeof(command),
             "fio --name=journal --directory='%s' --rw=write --bs=4k --size=64m --direct=1 "
             "--sync=dsync --ioengine=psync --overwrite=1 --runtime=3 --time_based "
             "--output-format=terse --terse-version=3 2>/dev/null",
             directory);
    FILE *file = popen(command, "r");
    double rate = 0;
    if (file && fgets(line, sizeof(line), file)) {
        char *at = line;
        for (unsigned field = 1; field < FIO_IOPS_FIELD && at; field++) {
            at = strchr(at, ';');
            if (at) at++;
        }
        if (at) rate = atof(at);
    }
    if (file) pclose(file);
    snprintf(command, sizeof(command), "%s/journal.0.0", directory);
    unlink(command);
    return rate;
}

int main(int argc, char **argv) {
    const char *directory = argc > 1 ? argv[1] : ".";
    printf("Journal, records of 1 KiB, each synced, in %s\n", directory);
    double fio = fio_writes(directory);
    if (fio > 0) printf("  fio, 4 KiB   %10.0f writes/s\n", fio);
    measure(directory, 1);
    measure(directory, 16);
    measure(directory, FLIGHT_MAX);
    return 0;
}
