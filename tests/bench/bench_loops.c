// Posts between and within loops, and a million timers.
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/log.h"
#include "runtime/real/real.h"
#include "tests/bench/bench.h"

// Half a second of timers in one callback is what is measured here, not a mishap to be logged.
static struct rt_log *quiet_log(void) {
    struct rt_log_options options = {.level = RT_LOG_ERROR};
    struct rt_log *log;
    struct rt_why why;
    if (rt_log_open(&options, &log, &why)) bench_die(why.text);
    return log;
}

enum { BALLS = 4096, POSTS = 20000000, TIMERS = 1000000 };

struct court;

// A task that is thrown from loop to loop.
struct ball {
    struct rt_task task;
    struct court *court;
    unsigned at;
};

struct court {
    struct rt_loop *loops[2];
    struct ball balls[BALLS];
    unsigned balls_down;
    atomic_ulong thrown;
    bool within;
    sem_t ended;
    struct rt_task start;
};

static void ball_arrived(struct rt_task *task) {
    struct ball *ball = rt_container_of(task, struct ball, task);
    struct court *court = ball->court;
    if (atomic_fetch_add_explicit(&court->thrown, 1, memory_order_relaxed) >= POSTS) {
        sem_post(&court->ended);
        return;
    }
    if (!court->within) ball->at ^= 1u;
    rt_post(court->loops[ball->at], task);
}

static void throw_all(struct rt_task *task) {
    struct court *court = rt_container_of(task, struct court, start);
    for (unsigned i = 0; i < BALLS; i++) {
        court->balls[i].court = court;
        rt_task_init(&court->balls[i].task, ball_arrived, "bench.ball");
        rt_post(court->loops[0], &court->balls[i].task);
    }
}

static void posts_run(const char *key, bool within) {
    struct court *court = calloc(1, sizeof(*court));
    struct rt_machine *machine;
    struct rt_why why;
    struct rt_log *log = quiet_log();
    struct rt_real_options options = {.loop_count = 2, .worker_count = 1, .log = log};
    if (rt_real_open(&options, &machine, &why)) bench_die(why.text);
    sem_init(&court->ended, 0, 0);
    court->loops[0] = rt_machine_loop(machine, 0);
    court->loops[1] = rt_machine_loop(machine, 1);
    court->within = within;
    rt_task_init(&court->start, throw_all, "bench.start");
    rt_real_start(machine);
    uint64_t start = bench_now_ns();
    rt_post(court->loops[0], &court->start);
    for (unsigned i = 0; i < BALLS; i++) sem_wait(&court->ended);
    double seconds = (double)(bench_now_ns() - start) / 1e9;
    printf("%s %.0f\n", key, (double)POSTS / seconds);
    rt_real_close(machine);
    rt_log_close(log);
    free(court);
}

void bench_posts(void) {
    posts_run("between_per_s", false);
    posts_run("within_per_s", true);
}

struct crowd {
    struct rt_task start;
    struct rt_loop *loop;
    struct rt_timer *timers;
    uint64_t arm_ns, cancel_ns, slowest_ns;
    sem_t ended;
};

static void never(struct rt_timer *timer) {
    (void)timer;  // an hour away
    bench_die("a timer fired early");
}

static void timers_run(struct rt_task *task) {
    struct crowd *crowd = rt_container_of(task, struct crowd, start);
    struct rt_random *random = rt_loop_random(crowd->loop);
    uint64_t begin = bench_now_ns(), last = begin;
    for (unsigned i = 0; i < TIMERS; i++) {
        rt_timer_init(&crowd->timers[i], crowd->loop, never, "bench.never");
        rt_timer_after(&crowd->timers[i], 3600 * RT_NS_PER_S + rt_random_below(random, 1u << 30));
        uint64_t now = bench_now_ns();
        if (now - last > crowd->slowest_ns) crowd->slowest_ns = now - last;
        last = now;
    }
    crowd->arm_ns = last - begin;
    begin = last;
    for (unsigned i = 0; i < TIMERS; i++) {
        rt_timer_cancel(&crowd->timers[i]);
        uint64_t now = bench_now_ns();
        if (now - last > crowd->slowest_ns) crowd->slowest_ns = now - last;
        last = now;
    }
    crowd->cancel_ns = last - begin;
    sem_post(&crowd->ended);
}

void bench_timers(void) {
    struct crowd crowd = {.timers = calloc(TIMERS, sizeof(struct rt_timer))};
    struct rt_machine *machine;
    struct rt_why why;
    struct rt_log *log = quiet_log();
    struct rt_real_options options = {.loop_count = 1, .worker_count = 1, .log = log};
    if (rt_real_open(&options, &machine, &why)) bench_die(why.text);
    sem_init(&crowd.ended, 0, 0);
    crowd.loop = rt_machine_loop(machine, 0);
    rt_task_init(&crowd.start, timers_run, "bench.timers");
    rt_real_start(machine);
    rt_post(crowd.loop, &crowd.start);
    sem_wait(&crowd.ended);
    printf("arm_ns %llu\ncancel_ns %llu\nslowest_ns %llu\n", (unsigned long long)crowd.arm_ns,
           (unsigned long long)crowd.cancel_ns, (unsigned long long)crowd.slowest_ns);
    rt_real_close(machine);
    rt_log_close(log);
    free(crowd.timers);
}
