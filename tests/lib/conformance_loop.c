#include "tests/lib/conformance_loop.h"

#include <string.h>

#include "runtime/backend.h"

// All cases run with two loops, start on the first, and allocate inside the node.

static struct rt_loop *second_loop(struct harness *harness) {
    return rt_machine_loop(harness->machines[0], 1);
}

// POSTS

enum { POSTS = 5000 };

struct posts {
    struct harness *harness;
    struct rt_task start;
    struct posted {
        struct rt_task task;
        struct posts *posts;
        unsigned number;
    } items[POSTS];
    unsigned arrived;
};

static void posted_run(struct rt_task *task) {
    struct posted *item = rt_container_of(task, struct posted, task);
    struct posts *posts = item->posts;
    HARNESS_CHECK(posts->harness, rt_loop_is_current(second_loop(posts->harness)));
    HARNESS_CHECK(posts->harness, item->number == posts->arrived);
    if (++posts->arrived < POSTS) return;
    struct harness *harness = posts->harness;
    rt_free(posts);
    harness_end(harness);
}

// Half of them in one turn, half in the next.
static void posts_second_half(struct rt_task *task) {
    struct posts *posts = rt_container_of(task, struct posts, start);
    for (unsigned i = POSTS / 2; i < POSTS; i++) {
        rt_post(second_loop(posts->harness), &posts->items[i].task);
    }
}

void loop_case_posts_between_loops_arrive_in_order(struct harness *harness, struct rt_loop *loop) {
    struct posts *posts = RT_NEW(struct posts);
    posts->harness = harness;
    for (unsigned i = 0; i < POSTS; i++) {
        posts->items[i].posts = posts;
        posts->items[i].number = i;
        rt_task_init(&posts->items[i].task, posted_run, "posted");
        if (i < POSTS / 2) rt_post(second_loop(harness), &posts->items[i].task);
    }
    rt_task_init(&posts->start, posts_second_half, "second half");
    rt_defer(loop, &posts->start);
}

enum { ROUNDS = 1000 };

struct ball {
    struct harness *harness;
    struct rt_task task;
    unsigned round;
    bool posting;
};

static void ball_run(struct rt_task *task) {
    struct ball *ball = rt_container_of(task, struct ball, task);
    struct harness *harness = ball->harness;
    struct rt_loop *here = rt_machine_loop(harness->machines[0], ball->round % 2);
    HARNESS_CHECK(harness, !ball->posting);
    HARNESS_CHECK(harness, rt_loop_is_current(here));
    HARNESS_CHECK(harness, rt_loop_machine(here) == harness->machines[0]);
    HARNESS_CHECK(harness, rt_machine_current() == harness->machines[0]);
    if (++ball->round == ROUNDS) {
        rt_free(ball);
        harness_end(harness);
        return;
    }
    ball->posting = true;
    rt_post(rt_machine_loop(harness->machines[0], ball->round % 2), task);
    ball->posting = false;  // the post leaves with the turn, so this is still ours
}

void loop_case_a_task_goes_back_and_forth_between_loops(struct harness *harness,
                                                        struct rt_loop *loop) {
    struct ball *ball = RT_NEW(struct ball);
    ball->harness = harness;
    rt_task_init(&ball->task, ball_run, "ball");
    rt_post(loop, &ball->task);
}

// TIMERS

enum { TIMERS = 50 };

struct timers {
    struct harness *harness;
    struct timed {
        struct rt_timer timer;
        struct timers *timers;
        uint64_t deadline_ns;
    } items[TIMERS];
    uint64_t last_ns;
    unsigned fired;
};

static void timed_fire(struct rt_timer *timer) {
    struct timed *item = rt_container_of(timer, struct timed, timer);
    struct timers *timers = item->timers;
    struct harness *harness = timers->harness;
    HARNESS_CHECK(harness, rt_loop_now(timer->loop) >= item->deadline_ns);
    HARNESS_CHECK(harness, item->deadline_ns >= timers->last_ns);
    HARNESS_CHECK(harness, !rt_timer_is_armed(timer));
    timers->last_ns = item->deadline_ns;
    if (++timers->fired < TIMERS) return;
    rt_free(timers);
    harness_end(harness);
}

void loop_case_timers_fire_in_order_and_never_early(struct harness *harness, struct rt_loop *loop) {
    struct timers *timers = RT_NEW(struct timers);
    timers->harness = harness;
    for (unsigned i = 0; i < TIMERS; i++) {
        struct timed *item = &timers->items[i];
        item->timers = timers;
        item->deadline_ns = rt_loop_now(loop) + (i * 17 + 1) % TIMERS * RT_NS_PER_MS / 2 + 1;
        rt_timer_init(&item->timer, loop, timed_fire, "timed");
        rt_timer_at(&item->timer, item->deadline_ns);
    }
}

struct silence {
    struct harness *harness;
    struct rt_timer silent, last;
};

static void silent_fire(struct rt_timer *timer) {
    struct silence *silence = rt_container_of(timer, struct silence, silent);
    harness_fail(silence->harness, "a cancelled timer fired");
}

static void last_fire(struct rt_timer *timer) {
    struct silence *silence = rt_container_of(timer, struct silence, last);
    struct harness *harness = silence->harness;
    rt_free(silence);
    harness_end(harness);
}

void loop_case_a_cancelled_timer_stays_silent(struct harness *harness, struct rt_loop *loop) {
    struct silence *silence = RT_NEW(struct silence);
    silence->harness = harness;
    rt_timer_init(&silence->silent, loop, silent_fire, "silent");
    rt_timer_init(&silence->last, loop, last_fire, "last");
    rt_timer_after(&silence->silent, RT_NS_PER_MS);
    rt_timer_after(&silence->last, 100 * RT_NS_PER_MS);
    rt_timer_after(&silence->last, 3 * RT_NS_PER_MS);  // moved
    rt_timer_cancel(&silence->silent);
    HARNESS_CHECK(harness, !rt_timer_is_armed(&silence->silent));
}

struct busy {
    struct harness *harness;
    struct rt_timer timer;
    struct rt_task task;
    unsigned rounds;
    bool ends;
};

static void busy_fire(struct rt_timer *timer) {
    struct busy *busy = rt_container_of(timer, struct busy, timer);
    busy->rounds++;
    if (!busy->ends) {
        rt_timer_after(timer, 0);
        return;
    }
    struct harness *harness = busy->harness;
    rt_free(busy);
    harness_end(harness);
}

static void busy_task(struct rt_task *task) {
    struct busy *busy = rt_container_of(task, struct busy, task);
    if (busy->rounds < 20)
        rt_defer(rt_loop_current(), task);
    else
        busy->ends = true;
}

void loop_case_a_timer_that_rearms_itself_lets_others_run(struct harness *harness,
                                                          struct rt_loop *loop) {
    struct busy *busy = RT_NEW(struct busy);
    busy->harness = harness;
    rt_timer_init(&busy->timer, loop, busy_fire, "busy");
    rt_task_init(&busy->task, busy_task, "busy");
    rt_timer_after(&busy->timer, 0);
    rt_defer(loop, &busy->task);
}

// FLUSHES

enum { FLUSH_TASKS = 10 };

struct flushes {
    struct harness *harness;
    struct flush_task {
        struct rt_task task;
        struct flushes *flushes;
    } tasks[FLUSH_TASKS];
    struct rt_flush flush;
    unsigned ran, flushed;
};

static void flushes_flush(struct rt_flush *flush) {
    struct flushes *flushes = rt_container_of(flush, struct flushes, flush);
    struct harness *harness = flushes->harness;
    flushes->flushed++;
    HARNESS_CHECK(harness, flushes->ran == FLUSH_TASKS);
    HARNESS_CHECK(harness, flushes->flushed == 1);
    rt_free(flushes);
    harness_end(harness);
}

static void flushes_task(struct rt_task *task) {
    struct flushes *flushes = rt_container_of(task, struct flush_task, task)->flushes;
    flushes->ran++;
    rt_flush_later(rt_loop_current(), &flushes->flush);
}

void loop_case_a_flush_follows_all_tasks_and_timers_of_its_turn(struct harness *harness,
                                                                struct rt_loop *loop) {
    struct flushes *flushes = RT_NEW(struct flushes);
    flushes->harness = harness;
    rt_flush_init(&flushes->flush, flushes_flush, "flush");
    for (unsigned i = 0; i < FLUSH_TASKS; i++) {
        flushes->tasks[i].flushes = flushes;
        rt_task_init(&flushes->tasks[i].task, flushes_task, "flushed");
        rt_defer(loop, &flushes->tasks[i].task);
    }
}

// WORK

struct job {
    struct harness *harness;
    struct rt_work work;
    unsigned *left;
    bool submitting, ran;
};

static void job_run(struct rt_work *work) {
    struct job *job = rt_container_of(work, struct job, work);
    HARNESS_CHECK(job->harness, rt_loop_current() == NULL);
    HARNESS_CHECK(job->harness, rt_machine_current() == job->harness->machines[0]);
    job->ran = true;
}

static void job_done(struct rt_work *work) {
    struct job *job = rt_container_of(work, struct job, work);
    struct harness *harness = job->harness;
    HARNESS_CHECK(harness, rt_loop_is_current(work->loop));
    HARNESS_CHECK(harness, job->ran && !job->submitting);
    unsigned *left = job->left;
    rt_free(job);
    if (--*left > 0) return;
    rt_free(left);
    harness_end(harness);
}

static void jobs_submit(struct harness *harness, struct rt_loop *loop, unsigned count) {
    unsigned *left = RT_NEW(unsigned);
    *left = count;
    for (unsigned i = 0; i < count; i++) {
        struct job *job = RT_NEW(struct job);
        job->harness = harness;
        job->left = left;
        job->submitting = true;
        rt_work_submit(&job->work, loop, job_run, job_done, "job");
        job->submitting = false;  // the completion cannot have freed it
    }
}

void loop_case_work_runs_off_the_loop_and_completes_on_it(struct harness *harness,
                                                          struct rt_loop *loop) {
    jobs_submit(harness, loop, 1);
}

void loop_case_many_works_all_complete(struct harness *harness, struct rt_loop *loop) {
    jobs_submit(harness, loop, 1000);
}

// BUDGETS

struct hunger {
    struct harness *harness;
    struct rt_budget budget;
    struct rt_task wait, wake;
    struct rt_timer feed;
};

static void hunger_wake(struct rt_task *task) {
    struct hunger *hunger = rt_container_of(task, struct hunger, wake);
    struct harness *harness = hunger->harness;
    HARNESS_CHECK(harness, rt_loop_is_current(second_loop(harness)));
    HARNESS_CHECK(harness, rt_budget_try_charge(&hunger->budget, 25));
    rt_free(hunger);
    harness_end(harness);
}

static void hunger_wait(struct rt_task *task) {
    struct hunger *hunger = rt_container_of(task, struct hunger, wait);
    rt_budget_wait(&hunger->budget, rt_loop_current(), &hunger->wake);
}

static void hunger_feed(struct rt_timer *timer) {
    struct hunger *hunger = rt_container_of(timer, struct hunger, feed);
    rt_budget_release(&hunger->budget, 50);
}

void loop_case_a_budget_wakes_a_loop_that_waits(struct harness *harness, struct rt_loop *loop) {
    struct hunger *hunger = RT_NEW(struct hunger);
    hunger->harness = harness;
    rt_budget_init(&hunger->budget, "hunger", 100);
    rt_budget_charge(&hunger->budget, 100);
    rt_task_init(&hunger->wait, hunger_wait, "wait");
    rt_task_init(&hunger->wake, hunger_wake, "wake");
    rt_timer_init(&hunger->feed, loop, hunger_feed, "feed");
    rt_post(second_loop(harness), &hunger->wait);
    rt_timer_after(&hunger->feed, RT_NS_PER_MS);
}

// THE MACHINE

void loop_case_entropy_and_clocks_are_there(struct harness *harness, struct rt_loop *loop) {
    uint8_t a[100] = {0}, b[100] = {0}, zeroes[100] = {0};
    rt_machine_entropy(harness->machines[0], a, sizeof(a));
    rt_machine_entropy(harness->machines[0], b, sizeof(b));
    HARNESS_CHECK(harness, memcmp(a, b, sizeof(a)) != 0);
    HARNESS_CHECK(harness, memcmp(a + 50, zeroes, 50) != 0);
    uint64_t year_2001_ns = UINT64_C(1000000000) * RT_NS_PER_S;
    HARNESS_CHECK(harness, rt_machine_wall_ns(harness->machines[0]) > year_2001_ns);
    HARNESS_CHECK(harness, rt_loop_clock(loop) >= rt_loop_now(loop));
    HARNESS_CHECK(harness, rt_random_u64(rt_loop_random(loop)) !=
                               rt_random_u64(rt_loop_random(second_loop(harness))));
    harness_end(harness);
}
