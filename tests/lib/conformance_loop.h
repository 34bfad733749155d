// What loops promise on every machine: posts, timers, flushes, blocking work, budgets. Each case is
// one or two sides of the harness; the same cases run on the real machine and in the simulator.
#ifndef GEMINGA_TESTS_LIB_CONFORMANCE_LOOP_H
#define GEMINGA_TESTS_LIB_CONFORMANCE_LOOP_H

#include "tests/lib/harness.h"

// One line for each case; the name is the claim.
#define LOOP_CASES(X)                                   \
    X(posts_between_loops_arrive_in_order)              \
    X(a_task_goes_back_and_forth_between_loops)         \
    X(timers_fire_in_order_and_never_early)             \
    X(a_cancelled_timer_stays_silent)                   \
    X(a_timer_that_rearms_itself_lets_others_run)       \
    X(a_flush_follows_all_tasks_and_timers_of_its_turn) \
    X(work_runs_off_the_loop_and_completes_on_it)       \
    X(many_works_all_complete)                          \
    X(a_budget_wakes_a_loop_that_waits)                 \
    X(entropy_and_clocks_are_there)

#define LOOP_CASE_DECLARE(name) \
    void loop_case_##name(struct harness *harness, struct rt_loop *loop);
LOOP_CASES(LOOP_CASE_DECLARE)
#undef LOOP_CASE_DECLARE

#endif
