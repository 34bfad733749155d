#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

#include "tests/lib/hand_machine.h"

// What ran, as one letter each.
static char ran[256];

static void note(char letter) {
    size_t used = strlen(ran);
    cr_assert_lt(used, sizeof(ran) - 1);
    ran[used] = letter;
    ran[used + 1] = 0;
}

struct letter {
    struct rt_task task;
    struct rt_timer timer;
    struct rt_flush flush;
    char task_letter, timer_letter, flush_letter;
};

static void letter_task(struct rt_task *task) {
    note(rt_container_of(task, struct letter, task)->task_letter);
}

static void letter_timer(struct rt_timer *timer) {
    note(rt_container_of(timer, struct letter, timer)->timer_letter);
}

static void letter_flush(struct rt_flush *flush) {
    note(rt_container_of(flush, struct letter, flush)->flush_letter);
}

static struct letter letter_of(char task, char timer, char flush, struct rt_loop *loop) {
    struct letter letter = {.task_letter = task, .timer_letter = timer, .flush_letter = flush};
    rt_task_init(&letter.task, letter_task, "letter");
    rt_timer_init(&letter.timer, loop, letter_timer, "letter");
    rt_flush_init(&letter.flush, letter_flush, "letter");
    return letter;
}

static struct hand_machine hand;

static void start(unsigned loop_count) {
    ran[0] = 0;
    hand_machine_init(&hand, loop_count);
}

Test(runtime_loop, posts_from_outside_run_in_their_order) {
    start(1);
    struct letter a = letter_of('a', 0, 0, NULL), b = letter_of('b', 0, 0, NULL),
                  c = letter_of('c', 0, 0, NULL);
    rt_post(hand_loop(&hand, 0), &a.task);
    rt_post(hand_loop(&hand, 0), &b.task);
    rt_post(hand_loop(&hand, 0), &c.task);
    cr_assert_eq(hand.notified[0], 1, "only the first post finds the loop without work");
    cr_assert_str_eq(ran, "", "a post never runs inside the call");
    cr_assert_not(hand_turn(&hand, 0));
    cr_assert_str_eq(ran, "abc");
    hand_machine_fini(&hand);
}

static struct letter order[3];

static void order_task(struct rt_task *task) {
    (void)task;
    struct rt_loop *loop = rt_loop_current();
    note('t');
    rt_flush_later(loop, &order[0].flush);
    rt_timer_at(&order[0].timer, rt_loop_now(loop));
    rt_defer(loop, &order[0].task);
}

Test(runtime_loop, a_turn_runs_tasks_then_timers_then_flushes_and_defers_the_rest) {
    start(1);
    struct rt_loop *loop = hand_loop(&hand, 0);
    order[0] = letter_of('d', 'n', 'F', loop);
    order[1] = letter_of(0, 'T', 0, loop);
    rt_timer_at(&order[1].timer, hand.now_ns + 5);
    hand.now_ns += 5;
    struct rt_task task;
    rt_task_init(&task, order_task, "order");
    rt_post(loop, &task);
    cr_assert(hand_turn(&hand, 0), "a deferred task waits");
    cr_assert_str_eq(ran, "tTF");
    cr_assert_not(hand_turn(&hand, 0), "the clock stands before the timer");
    cr_assert_str_eq(ran, "tTFd");
    hand.now_ns++;
    hand_turn(&hand, 0);
    cr_assert_str_eq(ran, "tTFdn");
    hand_machine_fini(&hand);
}

static unsigned reposts;

static void repost_run(struct rt_task *task) {
    if (++reposts < 5) rt_post(rt_loop_current(), task);
}

Test(runtime_loop, a_post_to_its_own_loop_runs_in_the_next_turn) {
    start(1);
    reposts = 0;
    struct rt_task task;
    rt_task_init(&task, repost_run, "repost");
    rt_post(hand_loop(&hand, 0), &task);
    for (unsigned turn = 1; turn <= 5; turn++) {
        cr_assert_eq(hand_turn(&hand, 0), turn < 5);
        cr_assert_eq(reposts, turn, "one turn runs it once");
    }
    hand_machine_fini(&hand);
}

static void flush_ask_run(struct rt_task *task) {
    (void)task;
    struct rt_loop *loop = rt_loop_current();
    rt_flush_later(loop, &order[0].flush);
    rt_flush_later(loop, &order[1].flush);
    rt_flush_later(loop, &order[2].flush);
    rt_flush_later(loop, &order[0].flush);
    rt_flush_forget(loop, &order[1].flush);
    rt_flush_forget(loop, &order[1].flush);
}

Test(runtime_loop, a_flush_runs_once_a_turn_and_not_when_forgotten) {
    start(1);
    for (unsigned i = 0; i < 3; i++) order[i] = letter_of(0, 0, (char)('A' + i), NULL);
    struct rt_task task;
    hand_in_turn(&hand, flush_ask_run, &task);
    cr_assert_str_eq(ran, "AC");
    hand_in_turn(&hand, flush_ask_run, &task);
    cr_assert_str_eq(ran, "ACAC");
    hand_machine_fini(&hand);
}

static void flush_and_forget(struct rt_flush *flush) {
    struct rt_loop *loop = rt_loop_current();
    letter_flush(flush);
    rt_flush_forget(loop, &order[1].flush);  // its turn would have come next
    rt_flush_later(loop, &order[2].flush);
    if (strlen(ran) < 3) rt_flush_later(loop, flush);
}

static void flush_chain_run(struct rt_task *task) {
    (void)task;
    rt_flush_later(rt_loop_current(), &order[0].flush);
    rt_flush_later(rt_loop_current(), &order[1].flush);
}

Test(runtime_loop, a_flush_asked_for_by_a_flush_runs_in_the_next_turn) {
    start(1);
    for (unsigned i = 0; i < 3; i++) order[i] = letter_of(0, 0, (char)('A' + i), NULL);
    order[0].flush.run = flush_and_forget;
    struct rt_task task;
    rt_task_init(&task, flush_chain_run, "chain");
    rt_post(hand_loop(&hand, 0), &task);
    cr_assert(hand_turn(&hand, 0), "the next turn follows at once");
    cr_assert_str_eq(ran, "A");
    cr_assert(hand_turn(&hand, 0));
    cr_assert_str_eq(ran, "ACA");
    cr_assert_not(hand_turn(&hand, 0));
    cr_assert_str_eq(ran, "ACAC");
    hand_machine_fini(&hand);
}

static struct letter cross[4];

static void cross_run(struct rt_task *task) {
    (void)task;
    rt_post(hand_loop(&hand, 1), &cross[0].task);
    rt_post(hand_loop(&hand, 2), &cross[3].task);
    rt_post(hand_loop(&hand, 1), &cross[1].task);
    rt_post(hand_loop(&hand, 1), &cross[2].task);
    cr_assert_not(rt_loop_has_work(hand_loop(&hand, 1)), "posts leave at the end of the turn");
}

Test(runtime_loop, posts_to_other_loops_leave_at_the_end_of_the_turn_in_order) {
    start(3);
    for (unsigned i = 0; i < 4; i++) cross[i] = letter_of((char)('a' + i), 0, 0, NULL);
    struct rt_task task;
    hand_in_turn(&hand, cross_run, &task);
    cr_assert_eq(hand.notified[1], 1, "one hand-over, one notification");
    cr_assert_eq(hand.notified[2], 1);
    hand_turn(&hand, 2);
    hand_turn(&hand, 1);
    cr_assert_str_eq(ran, "dabc");
    cr_assert_eq(rt_loop_stats(hand_loop(&hand, 0)).posts_out, 4);
    hand_machine_fini(&hand);
}

static unsigned freed;

static void free_run(struct rt_task *task) {
    rt_free(rt_container_of(task, struct letter, task));
    freed++;
}

static void free_each_run(struct rt_task *task) {
    (void)task;
    for (unsigned i = 1; i < HAND_LOOPS_MAX; i++) {
        struct letter *letter = RT_NEW(struct letter);
        rt_task_init(&letter->task, free_run, NULL);
        rt_post(hand_loop(&hand, i), &letter->task);
    }
}

Test(runtime_loop, a_task_may_free_itself_on_any_of_a_hundred_loops) {
    start(HAND_LOOPS_MAX);
    freed = 0;
    struct rt_task task;
    hand_in_turn(&hand, free_each_run, &task);
    hand_settle(&hand);
    cr_assert_eq(freed, HAND_LOOPS_MAX - 1);
    hand_machine_fini(&hand);
}

static struct hand_machine other;

static void other_machine_run(struct rt_task *task) {
    (void)task;
    rt_post(hand_loop(&other, 0), &cross[0].task);
    cr_assert(rt_loop_has_work(hand_loop(&other, 0)),
              "another machine's loop is any thread's loop");
}

Test(runtime_loop, a_post_to_another_machine_goes_out_directly) {
    start(2);
    hand_machine_init(&other, 2);
    cross[0] = letter_of('o', 0, 0, NULL);
    struct rt_task task;
    hand_in_turn(&hand, other_machine_run, &task);
    cr_assert_eq(other.notified[0], 1);
    hand_turn(&other, 0);
    cr_assert_str_eq(ran, "o");
    hand_machine_fini(&other);
    hand_machine_fini(&hand);
}

static void question_run(struct rt_task *task) {
    (void)task;
    struct rt_loop *loop = hand_loop(&hand, 0);
    cr_assert_eq(rt_loop_current(), loop);
    cr_assert(rt_loop_is_current(loop));
    cr_assert_not(rt_loop_is_current(hand_loop(&hand, 1)));
    cr_assert_eq(rt_machine_current(), &hand.machine);
    uint64_t now_ns = rt_loop_now(loop);
    hand.now_ns += 7;
    cr_assert_eq(rt_loop_now(loop), now_ns, "read once for the turn");
    cr_assert_eq(rt_loop_clock(loop), now_ns + 7);
}

Test(runtime_loop, the_current_loop_is_known_in_its_turns_only) {
    start(2);
    cr_assert_null(rt_loop_current());
    struct rt_task task;
    hand_in_turn(&hand, question_run, &task);
    cr_assert_null(rt_loop_current());
    cr_assert_null(rt_machine_current());
    hand_machine_fini(&hand);
}

Test(runtime_loop, a_turn_gives_the_worker_its_machine_back) {
    start(1);
    rt_machine_enter(&hand.machine);
    hand_turn(&hand, 0);
    cr_assert_eq(rt_machine_current(), &hand.machine);
    rt_machine_leave();
    cr_assert_null(rt_machine_current());
    hand_machine_fini(&hand);
}

// Long by the processor's counter, and 30 ms long by the machine's clock.
static void slow_run(struct rt_task *task) {
    (void)task;
    volatile uint64_t sum = 0;
    for (unsigned i = 0; i < 3000000; i++) sum = sum + i;
    hand.now_ns += 30 * RT_NS_PER_MS;
}

Test(runtime_loop, a_slow_callback_is_counted_and_logged_with_its_name) {
    start(1);
    struct rt_task quick[2], slow;
    rt_task_init(&quick[0], repost_run, "quick");
    rt_task_init(&slow, slow_run, "sluggish");
    reposts = 100;
    rt_post(hand_loop(&hand, 0), &quick[0]);
    rt_post(hand_loop(&hand, 0), &slow);
    hand_turn(&hand, 0);
    struct rt_loop_stats stats = rt_loop_stats(hand_loop(&hand, 0));
    cr_assert_eq(stats.slow_callbacks, 1);
    cr_assert_str_eq(stats.longest_name, "sluggish");
    cr_assert_geq(stats.longest_ns, 20 * RT_NS_PER_MS);
    cr_assert(strstr(hand.log, "sluggish"), "log: %s", hand.log);
    cr_assert_not(strstr(hand.log, "quick"), "log: %s", hand.log);
    hand_machine_fini(&hand);
}

Test(runtime_loop, statistics_count_what_ran) {
    start(2);
    struct rt_loop *loop = hand_loop(&hand, 0);
    order[0] = letter_of('d', 'n', 'F', loop);
    hand.step_ns = 1000;
    struct rt_task task;
    hand_in_turn(&hand, order_task, &task);
    cr_assert_eq(rt_loop_stats(loop).timers_armed, 1);
    hand_settle(&hand);
    rt_loop_turn(loop, true);
    struct rt_loop_stats stats = rt_loop_stats(loop);
    cr_assert_eq(stats.tasks, 2);
    cr_assert_eq(stats.timers_fired, 1);
    cr_assert_eq(stats.flushes, 1);
    cr_assert_eq(stats.adopted_turns, 1);
    cr_assert_eq(stats.timers_armed, 0);
    cr_assert_geq(stats.busy_ns, stats.turns * 1000,
                  "from the first to the last look at the clock");
    hand_machine_fini(&hand);
}

Test(runtime_loop, a_loop_that_ends_with_a_task_waiting_is_a_broken_promise, .signal = SIGABRT) {
    start(1);
    struct letter a = letter_of('a', 0, 0, NULL);
    rt_post(hand_loop(&hand, 0), &a.task);
    rt_loop_free(hand_loop(&hand, 0));
}
