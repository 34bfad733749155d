// A machine that a test turns by hand: its clock stands still until it is moved, a loop runs a turn
// when it is told to, notifications are counted. For tests of the loop and what lies on it.
#ifndef GEMINGA_TESTS_LIB_HAND_MACHINE_H
#define GEMINGA_TESTS_LIB_HAND_MACHINE_H

#include "runtime/backend.h"
#include "runtime/log.h"

enum { HAND_LOOPS_MAX = 100, HAND_LOG_SIZE = 4096 };

struct hand_machine {
    struct rt_machine machine;
    struct rt_backend backend;
    struct rt_log_sink sink;
    uint64_t now_ns;
    uint64_t step_ns;  // the clock moves by this with each look at it
    unsigned notified[HAND_LOOPS_MAX];
    char log[HAND_LOG_SIZE];  // the lines written in turns, one behind the other
};

void hand_machine_init(struct hand_machine *hand, unsigned loop_count);
void hand_machine_fini(struct hand_machine *hand);  // turns what is left
struct rt_loop *hand_loop(const struct hand_machine *hand, unsigned index);
bool hand_turn(struct hand_machine *hand, unsigned index);
void hand_settle(struct hand_machine *hand);  // turns all loops until none has more to do

// Runs `body` in a turn of loop 0.
void hand_in_turn(struct hand_machine *hand, void (*body)(struct rt_task *), struct rt_task *task);

#endif
