// Loops: one thread at a time runs a loop, and everything that belongs to it.
//
// Every object belongs to exactly one loop and only that loop touches it, so tier code has no
// locks. Crossing loops is a posted task. A loop lives in turns; one turn is, in this order:
//
//   1. tasks: what other loops, threads and finished operations posted, and what the last turn
//      deferred, first come first run;
//   2. timers that are due, by deadline, then by the order in which they were armed;
//   3. flushes: each registered flush once (connections write here, journals close a batch here);
//   4. posts made by this turn leave, one hand-over per target loop.
//
// What a callback defers or posts to its own loop runs in the next turn, never in this one: a
// completion therefore never runs before the call that started it has returned.
//
// The real machine gives each loop a thread of its own; a thread that brings work to a sleeping
// loop and has nothing else to do runs the turn itself instead of waking it (docs/decisions.md).
// Either way turns of one loop never overlap. The simulator runs all loops on one thread.
#ifndef GEMINGA_RUNTIME_LOOP_H
#define GEMINGA_RUNTIME_LOOP_H

#include "runtime/err.h"
#include "runtime/list.h"
#include "runtime/random.h"
#include "runtime/slab.h"

struct rt_loop;
struct rt_machine;

#define RT_NS_PER_US UINT64_C(1000)
#define RT_NS_PER_MS UINT64_C(1000000)
#define RT_NS_PER_S UINT64_C(1000000000)

// A piece of work for a loop. Embedded in the caller's state; borrowed from the post until it runs.
// It is off every queue when `run` is called, so run may post it again or free what embeds it.
struct rt_task {
    struct rt_task *next;
    void (*run)(struct rt_task *task);
    const char *name;  // static; shown when the callback was slow
};

static inline void rt_task_init(struct rt_task *task, void (*run)(struct rt_task *),
                                const char *name) {
    *task = (struct rt_task){.run = run, .name = name};
}

// Posts to a loop, from any thread. From a turn of another loop of the same machine the post leaves
// at the end of that turn; posts from one loop to another arrive in order.
void rt_post(struct rt_loop *to, struct rt_task *task);

// Runs `task` in the next turn of this loop. Called on the loop; cheaper than rt_post.
void rt_defer(struct rt_loop *loop, struct rt_task *task);

// A timer. Embedded; belongs to one loop; all calls on that loop. Zero cost while not armed.
struct rt_timer {
    struct rt_loop *loop;
    void (*fire)(struct rt_timer *timer);
    const char *name;
    size_t heap_index;  // RT_TIMER_IDLE when not armed
};

#define RT_TIMER_IDLE SIZE_MAX

void rt_timer_init(struct rt_timer *timer, struct rt_loop *loop,
                   void (*fire)(struct rt_timer *timer), const char *name);
// Arms, or moves an armed timer. A deadline that is not in the future counts as the nanosecond
// after rt_loop_now, so it fires in the next turn, never in this one.
void rt_timer_at(struct rt_timer *timer, uint64_t deadline_ns);
void rt_timer_after(struct rt_timer *timer, uint64_t delay_ns);
void rt_timer_cancel(struct rt_timer *timer);  // harmless when idle; it will not fire afterwards
bool rt_timer_is_armed(const struct rt_timer *timer);

// A flush: `run` is called once at the end of the turn in which it was asked for.
struct rt_flush {
    struct rt_list link;
    void (*run)(struct rt_flush *flush);
    const char *name;
    bool queued;
};

void rt_flush_init(struct rt_flush *flush, void (*run)(struct rt_flush *), const char *name);
// Idempotent within a turn. Asked for by another flush: runs in the next turn, which follows at
// once.
void rt_flush_later(struct rt_loop *loop, struct rt_flush *flush);
void rt_flush_forget(struct rt_loop *loop,
                     struct rt_flush *flush);  // before freeing what embeds it

// Time: monotonic nanoseconds, read once per turn (rt_loop_now) or right now (rt_loop_clock).
uint64_t rt_loop_now(const struct rt_loop *loop);
uint64_t rt_loop_clock(const struct rt_loop *loop);

struct rt_machine *rt_loop_machine(const struct rt_loop *loop);
unsigned rt_loop_index(const struct rt_loop *loop);  // 0 .. loop count - 1 of its machine
struct rt_random *rt_loop_random(struct rt_loop *loop);
struct rt_slab_pool *rt_loop_slabs(struct rt_loop *loop);
bool rt_loop_is_current(const struct rt_loop *loop);  // for assertions

// The callback under way blocks knowingly, before the loop serves anybody: no line about it.
void rt_loop_may_block(struct rt_loop *loop);

// The loop whose turn this thread is in, or NULL.
struct rt_loop *rt_loop_current(void);

// What a loop counts about itself. Read from anywhere; each field is exact, the set is not.
struct rt_loop_stats {
    uint64_t turns, tasks, timers_fired, flushes, posts_out, wakeups, adopted_turns;
    uint64_t busy_ns;         // time inside turns
    uint64_t slow_callbacks;  // over RT_SLOW_CALLBACK_NS, each logged with its name
    uint64_t longest_ns;      // longest callback since start ...
    const char *longest_name;
    uint64_t timers_armed;
};
#define RT_SLOW_CALLBACK_NS (10 * RT_NS_PER_MS)
struct rt_loop_stats rt_loop_stats(const struct rt_loop *loop);

#endif
