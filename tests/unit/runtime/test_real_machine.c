#include <criterion/criterion.h>
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/host.h"
#include "runtime/real/loop_thread.h"
#include "runtime/real/machine.h"
#include "runtime/real/real.h"
#include "runtime/work.h"

// A gate that opens once: how the test waits for the loops.
struct latch {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool open;
};

static void latch_init(struct latch *latch) {
    pthread_mutex_init(&latch->lock, NULL);
    pthread_cond_init(&latch->changed, NULL);
    latch->open = false;
}

static void latch_open(struct latch *latch) {
    pthread_mutex_lock(&latch->lock);
    latch->open = true;
    pthread_cond_broadcast(&latch->changed);
    pthread_mutex_unlock(&latch->lock);
}

static void latch_wait(struct latch *latch) {
    pthread_mutex_lock(&latch->lock);
    while (!latch->open) pthread_cond_wait(&latch->changed, &latch->lock);
    pthread_mutex_unlock(&latch->lock);
}

static void latch_fini(struct latch *latch) {
    pthread_cond_destroy(&latch->changed);
    pthread_mutex_destroy(&latch->lock);
}

static struct rt_machine *machine_open(unsigned loop_count) {
    const struct rt_real_options options = {
        .name = "test", .loop_count = loop_count, .worker_count = 3};
    struct rt_machine *machine = NULL;
    struct rt_why why = {""};
    cr_assert_eq(rt_real_open(&options, &machine, &why), RT_OK, "%s", why.text);
    return machine;
}

static struct rt_machine *machine_start(unsigned loop_count) {
    struct rt_machine *machine = machine_open(loop_count);
    rt_real_start(machine);
    return machine;
}

// A task that opens a latch.
struct opener {
    struct rt_task task;
    struct rt_timer timer;
    struct latch latch;
    pthread_t thread;  // that ran it
};

static void opener_run(struct rt_task *task) {
    struct opener *opener = rt_container_of(task, struct opener, task);
    opener->thread = pthread_self();
    latch_open(&opener->latch);
}

static void opener_fire(struct rt_timer *timer) {
    latch_open(&rt_container_of(timer, struct opener, timer)->latch);
}

static void opener_init(struct opener *opener, struct rt_loop *loop) {
    rt_task_init(&opener->task, opener_run, "opener");
    rt_timer_init(&opener->timer, loop, opener_fire, "opener");
    latch_init(&opener->latch);
}

static void opener_wait(struct opener *opener) {
    latch_wait(&opener->latch);
    latch_fini(&opener->latch);
}

// LIFE

Test(runtime_real_machine, it_closes_without_having_started) {
    rt_real_close(machine_open(3));
}

Test(runtime_real_machine, it_closes_without_having_done_anything) {
    for (unsigned round = 0; round < 20; round++) rt_real_close(machine_start(1 + round % 4));
}

Test(runtime_real_machine, defaults_fill_what_was_not_said) {
    struct rt_machine *machine = NULL;
    cr_assert_eq(rt_real_open(NULL, &machine, NULL), RT_OK);
    cr_assert_str_eq(machine->name, "");
    cr_assert_eq(machine->loop_count, real_cpu_count());
    cr_assert_geq(machine->loop_count, 1);
    cr_assert_eq(machine->budget.limit_bytes, (size_t)256 << 20);
    cr_assert_not_null(machine->log);
    cr_assert_not_null(machine->metrics);
    cr_assert_not(rt_machine_chance(machine, "never here", 1000000));
    rt_real_close(machine);
}

Test(runtime_real_machine, what_was_set_up_before_the_start_runs_after_it) {
    struct rt_machine *machine = machine_open(2);
    struct opener posted, deferred, timed;
    opener_init(&posted, rt_machine_loop(machine, 0));
    opener_init(&deferred, rt_machine_loop(machine, 1));
    opener_init(&timed, rt_machine_loop(machine, 1));
    rt_post(rt_machine_loop(machine, 0), &posted.task);
    rt_defer(rt_machine_loop(machine, 1), &deferred.task);
    rt_timer_after(&timed.timer, RT_NS_PER_MS);
    rt_real_start(machine);
    opener_wait(&posted);
    opener_wait(&deferred);
    opener_wait(&timed);
    rt_real_close(machine);
}

Test(runtime_real_machine, a_call_has_run_in_a_turn_when_it_returns) {
    struct rt_machine *machine = machine_start(2);
    for (unsigned i = 0; i < 100; i++) {
        struct opener opener;
        opener_init(&opener, NULL);
        rt_real_call(rt_machine_loop(machine, i), &opener.task);
        cr_assert(opener.latch.open);
        latch_fini(&opener.latch);
    }
    rt_real_close(machine);
}

// ADOPTION

static void post_as_adopter(struct rt_loop *loop, struct rt_task *task,
                            bool (*may_go_on)(struct real_adopter *)) {
    struct real_adopter adopter = {.may_go_on = may_go_on};
    real_adopter_begin(&adopter);
    rt_post(loop, task);
    real_adopter_end();
}

Test(runtime_real_machine, an_adopter_runs_the_turn_of_a_loop_that_sleeps) {
    struct rt_machine *machine = machine_start(1);
    struct rt_loop *loop = rt_machine_loop(machine, 0);
    bool adopted = false;
    while (!adopted) {  // until the loop's thread was asleep
        struct opener opener;
        opener_init(&opener, loop);
        post_as_adopter(loop, &opener.task, NULL);
        opener_wait(&opener);
        adopted = pthread_equal(opener.thread, pthread_self());
    }
    cr_assert_gt(rt_loop_stats(loop).adopted_turns, 0);
    cr_assert_null(rt_loop_current());
    rt_real_close(machine);
}

static void arm_run(struct rt_task *task) {
    rt_timer_after(&rt_container_of(task, struct opener, task)->timer, RT_NS_PER_MS);
}

static void arm_far_run(struct rt_task *task) {
    rt_timer_after(&rt_container_of(task, struct opener, task)->timer, 3600 * RT_NS_PER_S);
}

static void cancel_run(struct rt_task *task) {
    rt_timer_cancel(&rt_container_of(task, struct opener, task)->timer);
}

Test(runtime_real_machine, a_nearer_timer_of_an_adopted_turn_fires_in_time) {
    struct rt_machine *machine = machine_start(1);
    struct rt_loop *loop = rt_machine_loop(machine, 0);
    struct opener far;
    opener_init(&far, loop);
    far.task.run = arm_far_run;
    rt_real_call(loop, &far.task);
    for (uint64_t before = 0; before < 20; before = rt_loop_stats(loop).adopted_turns) {
        struct opener near;
        opener_init(&near, loop);
        near.task.run = arm_run;
        post_as_adopter(loop, &near.task, NULL);
        opener_wait(&near);  // for an hour, if the thread went on sleeping
    }
    far.task.run = cancel_run;
    rt_real_call(loop, &far.task);
    latch_fini(&far.latch);
    rt_real_close(machine);
}

struct chain {
    struct opener opener;
    unsigned left;
};

static void chain_run(struct rt_task *task) {
    struct chain *chain = rt_container_of(task, struct chain, opener.task);
    if (--chain->left > 0)
        rt_defer(rt_loop_current(), task);
    else
        opener_run(task);
}

static bool never(struct real_adopter *adopter) {
    (void)adopter;
    return false;
}

Test(runtime_real_machine, what_an_adopter_leaves_its_loop_finishes) {
    struct rt_machine *machine = machine_start(1);
    struct rt_loop *loop = rt_machine_loop(machine, 0);
    for (unsigned round = 0; round < 50; round++) {
        struct chain chain = {.left = 500};  // turns: more than an adopter may take
        opener_init(&chain.opener, loop);
        chain.opener.task.run = chain_run;
        post_as_adopter(loop, &chain.opener.task, round % 2 ? never : NULL);
        opener_wait(&chain.opener);
    }
    rt_real_close(machine);
}

struct hop {
    struct opener opener;
    struct rt_machine *machine;
    unsigned left;
};

static void hop_run(struct rt_task *task) {
    struct hop *hop = rt_container_of(task, struct hop, opener.task);
    if (--hop->left > 0)
        rt_post(rt_machine_loop(hop->machine, hop->left), task);
    else
        opener_run(task);
}

Test(runtime_real_machine, an_adopter_follows_its_task_from_loop_to_loop) {
    struct rt_machine *machine = machine_start(3);
    for (unsigned round = 0; round < 300; round++) {
        struct hop hop = {.machine = machine, .left = 1 + round % 100};
        opener_init(&hop.opener, NULL);
        hop.opener.task.run = hop_run;
        post_as_adopter(rt_machine_loop(machine, round), &hop.opener.task, NULL);
        opener_wait(&hop.opener);
    }
    rt_real_close(machine);
}

// STRESS: threads, adopters, timers and workers all bring work to the same loops.

enum { STRESS_LOOPS = 3, STRESS_THREADS = 4, STRESS_POSTS = 3000, STRESS_HOPS = 3 };

struct stress_loop {
    unsigned inside;  // not atomic: only turns touch it, and they never overlap
    uint64_t ran;
    struct rt_timer timer;
    uint64_t ticks;
    bool ending;
    struct rt_task end;
    struct latch ended;
};

struct stress {
    struct rt_machine *machine;
    struct stress_loop loops[STRESS_LOOPS];
    atomic_uint left;
    struct latch all_ran;
};

struct stress_item {
    struct rt_task task;
    struct rt_work work;
    struct stress *stress;
    unsigned hops, number;
};

static void stress_item_end(struct stress_item *item) {
    struct stress *stress = item->stress;
    rt_free(item);
    if (atomic_fetch_sub(&stress->left, 1) == 1) latch_open(&stress->all_ran);
}

static void stress_work_run(struct rt_work *work) {
    rt_container_of(work, struct stress_item, work)->hops = 1;
}

static void stress_work_done(struct rt_work *work) {
    stress_item_end(rt_container_of(work, struct stress_item, work));
}

static void stress_item_run(struct rt_task *task) {
    struct stress_item *item = rt_container_of(task, struct stress_item, task);
    struct rt_loop *loop = rt_loop_current();
    struct stress_loop *here = &item->stress->loops[rt_loop_index(loop)];
    cr_assert_eq(here->inside++, 0);
    here->ran++;
    if (item->number % 16 == 0) rt_timer_after(&here->timer, item->number % 64 * RT_NS_PER_US);
    here->inside--;
    if (item->hops-- > 1)
        rt_post(rt_machine_loop(item->stress->machine, item->number + item->hops), task);
    else if (item->number % 8 == 0)
        rt_work_submit(&item->work, loop, stress_work_run, stress_work_done, "stress");
    else
        stress_item_end(item);
}

static void stress_tick(struct rt_timer *timer) {
    struct stress_loop *here = rt_container_of(timer, struct stress_loop, timer);
    cr_assert_eq(here->inside, 0);
    here->ticks++;
}

static void *stress_thread(void *argument) {
    struct stress *stress = argument;
    struct rt_random random;
    rt_random_seed(&random, (uint64_t)(uintptr_t)&random);
    for (unsigned i = 0; i < STRESS_POSTS; i++) {
        struct stress_item *item = RT_NEW(struct stress_item);
        item->stress = stress;
        item->hops = STRESS_HOPS;
        item->number = (unsigned)rt_random_below(&random, 1000);
        rt_task_init(&item->task, stress_item_run, "stress");
        struct rt_loop *loop = rt_machine_loop(stress->machine, item->number);
        if (i % 2)
            rt_post(loop, &item->task);
        else
            post_as_adopter(loop, &item->task, i % 4 ? never : NULL);
        if (i % 100 == 0) sched_yield();  // lets the loops fall asleep now and then
    }
    return NULL;
}

static void stress_end(struct rt_task *task) {
    rt_timer_cancel(&rt_container_of(task, struct stress_loop, end)->timer);
}

Test(runtime_real_machine, nothing_is_lost_and_no_turns_overlap_under_stress) {
    for (unsigned round = 0; round < 5; round++) {
        struct stress stress = {.machine = machine_start(STRESS_LOOPS)};
        atomic_store(&stress.left, STRESS_THREADS * STRESS_POSTS);
        latch_init(&stress.all_ran);
        for (unsigned i = 0; i < STRESS_LOOPS; i++) {
            struct stress_loop *loop = &stress.loops[i];
            rt_timer_init(&loop->timer, rt_machine_loop(stress.machine, i), stress_tick, "tick");
        }
        pthread_t threads[STRESS_THREADS];
        for (unsigned i = 0; i < STRESS_THREADS; i++) {
            pthread_create(&threads[i], NULL, stress_thread, &stress);
        }
        latch_wait(&stress.all_ran);  // for ever, if a wake-up was lost
        for (unsigned i = 0; i < STRESS_THREADS; i++) pthread_join(threads[i], NULL);
        uint64_t ran = 0;
        for (unsigned i = 0; i < STRESS_LOOPS; i++) {
            rt_task_init(&stress.loops[i].end, stress_end, "end");
            rt_real_call(rt_machine_loop(stress.machine, i), &stress.loops[i].end);
            ran += stress.loops[i].ran;
        }
        cr_assert_eq(ran, STRESS_THREADS * STRESS_POSTS * STRESS_HOPS);
        latch_fini(&stress.all_ran);
        rt_real_close(stress.machine);
    }
}

// WORKERS AND THE REAPER

struct gate {
    struct rt_work work;
    struct latch *gate;
    atomic_uint *waiting;
    struct latch *all_wait;
};

static void gate_run(struct rt_work *work) {
    struct gate *gate = rt_container_of(work, struct gate, work);
    if (atomic_fetch_add(gate->waiting, 1) == 2) latch_open(gate->all_wait);
    latch_wait(gate->gate);
}

static struct opener gates_done;
static unsigned gates_left;

static void gate_done(struct rt_work *work) {
    (void)work;
    if (--gates_left == 0) opener_run(&gates_done.task);
}

static struct gate gates[10];

static void gates_submit(struct rt_task *task) {
    (void)task;
    for (unsigned i = 0; i < 10; i++) {
        rt_work_submit(&gates[i].work, rt_loop_current(), gate_run, gate_done, "gate");
    }
}

Test(runtime_real_machine, as_many_works_run_at_once_as_there_are_workers) {
    struct rt_machine *machine = machine_start(1);
    struct latch gate, all_wait;
    atomic_uint waiting = 0;
    latch_init(&gate);
    latch_init(&all_wait);
    opener_init(&gates_done, NULL);
    gates_left = 10;
    for (unsigned i = 0; i < 10; i++) {
        gates[i] = (struct gate){.gate = &gate, .waiting = &waiting, .all_wait = &all_wait};
    }
    struct rt_task submit;
    rt_task_init(&submit, gates_submit, "submit");
    rt_real_call(rt_machine_loop(machine, 0), &submit);
    latch_wait(&all_wait);  // for ever, if they ran one after the other
    cr_assert_eq(atomic_load(&waiting), 3, "and no more");
    latch_open(&gate);
    opener_wait(&gates_done);
    rt_real_close(machine);
    latch_fini(&gate);
    latch_fini(&all_wait);
}

enum { REAPED = 100 };
static unsigned reaped[REAPED], reaped_count;

static void reaped_run(struct rt_task *task) {
    cr_assert_null(rt_loop_current());
    reaped[reaped_count++] = (unsigned)task->name[0];
    rt_free(task);
}

static void reap_many(struct rt_task *task) {
    (void)task;
    static const char names[] = "abcdefghij";
    for (unsigned i = 0; i < REAPED; i++) {
        struct rt_task *reap = RT_NEW(struct rt_task);
        rt_task_init(reap, reaped_run, &names[i % 10]);
        real_reap(rt_loop_machine(rt_loop_current()), reap);
    }
}

Test(runtime_real_machine, all_that_was_given_to_the_reaper_has_run_in_order_when_it_closes) {
    struct rt_machine *machine = machine_start(1);
    struct rt_task task;
    rt_task_init(&task, reap_many, "reap");
    rt_real_call(rt_machine_loop(machine, 0), &task);
    rt_real_close(machine);
    cr_assert_eq(reaped_count, REAPED);
    for (unsigned i = 0; i < REAPED; i++) cr_assert_eq(reaped[i], 'a' + i % 10);
}

// SIGNALS
//
// The test runner has threads of its own that do not block signals, so these are sent to the one
// thread that waits for them.

static bool task_is_named(const char *task, const char *name) {
    char path[320], text[32] = "";
    snprintf(path, sizeof(path), "/proc/self/task/%s/comm", task);
    FILE *file = fopen(path, "r");
    if (!file) return false;
    bool is_named = fgets(text, sizeof(text), file) && strcspn(text, "\n") == strlen(name) &&
                    strncmp(text, name, strlen(name)) == 0;
    fclose(file);
    return is_named;
}

static int task_find(const char *name) {
    int found = 0;
    DIR *dir = opendir("/proc/self/task");
    for (const struct dirent *entry; (entry = readdir(dir));) {
        if (task_is_named(entry->d_name, name)) found = (int)strtol(entry->d_name, NULL, 10);
    }
    closedir(dir);
    return found;
}

static void signal_send(int signal_number) {
    int task = 0;
    while (task == 0) task = task_find("signals");  // it names itself once it runs
    cr_assert_eq(syscall(SYS_tgkill, getpid(), task, signal_number), 0);
}

struct signal_test {
    struct rt_signals signals;
    struct latch stopped, reloaded;
    int stop_number;
    bool in_turn;
};

static void signal_stop(struct rt_signals *signals, int signal_number) {
    struct signal_test *test = rt_container_of(signals, struct signal_test, signals);
    test->stop_number = signal_number;
    test->in_turn = rt_loop_current() != NULL;
    latch_open(&test->stopped);
}

static void signal_reload(struct rt_signals *signals) {
    latch_open(&rt_container_of(signals, struct signal_test, signals)->reloaded);
}

static struct rt_machine *signal_test_start(struct signal_test *test) {
    *test = (struct signal_test){.signals = {.on_stop = signal_stop, .on_reload = signal_reload}};
    latch_init(&test->stopped);
    latch_init(&test->reloaded);
    rt_signals_block();
    struct rt_machine *machine = machine_start(1);
    rt_signals_start(&test->signals, rt_machine_loop(machine, 0));
    return machine;
}

Test(runtime_real_machine, signals_become_turns_of_a_loop) {
    struct signal_test test;
    struct rt_machine *machine = signal_test_start(&test);
    kill(getpid(), SIGPIPE);
    signal_send(SIGHUP);
    latch_wait(&test.reloaded);
    signal_send(SIGTERM);
    latch_wait(&test.stopped);
    rt_signals_stop(&test.signals);
    rt_real_close(machine);
    cr_assert_eq(test.stop_number, SIGTERM);
    cr_assert(test.in_turn);
    latch_fini(&test.stopped);
    latch_fini(&test.reloaded);
}

Test(runtime_real_machine, the_second_stop_signal_ends_the_process_at_once,
     .exit_code = 128 + SIGINT) {
    struct signal_test test;
    signal_test_start(&test);
    signal_send(SIGTERM);
    latch_wait(&test.stopped);
    signal_send(SIGINT);
    for (;;) pause();
}

// THE PROCESS

Test(runtime_real_machine, the_process_knows_itself) {
    struct rt_process_stats stats = rt_process_stats();
    cr_assert_gt(stats.resident_bytes, 100000);
    cr_assert_geq(stats.open_files, 3);
    cr_assert_leq(stats.open_files, stats.open_files_max);
    cr_assert_gt(stats.cpu_ns, 0);
    struct rt_machine *machine = machine_open(1);
    uint64_t now_ns = rt_machine_wall_ns(machine);
    cr_assert_lt(stats.start_ns, now_ns + 2 * RT_NS_PER_S);
    cr_assert_gt(stats.start_ns, now_ns - 3600 * RT_NS_PER_S, "it has not run for an hour");
    real_count_syscalls(machine, 3);
    real_count_syscalls(machine, 4);
    cr_assert_eq(rt_real_syscall_estimate(machine), 7);
    rt_real_close(machine);
}

static unsigned long resident_file_pages(void) {
    unsigned long size, resident, shared = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    cr_assert(file);
    cr_assert_eq(fscanf(file, "%lu %lu %lu", &size, &resident, &shared), 3);
    fclose(file);
    return shared;
}

Test(runtime_real_machine, code_that_start_up_ran_is_given_back_and_still_runs) {
    struct rt_machine *machine = machine_open(1);
    unsigned long before = resident_file_pages();
    rt_process_code_release();
    cr_assert_lt(resident_file_pages(), before);
    rt_real_close(machine);
}
