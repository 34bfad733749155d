// Each loop has a thread of its own, but its turns need not run there. Waking a sleeping thread
// costs more than most turns, so a thread that brings work to a sleeping loop and would go to sleep
// next (an nng callback, a worker without work: an adopter) runs the loop's turns itself. Whoever
// runs turns holds the loop; the state says whether somebody does:
//
//              take: the loop's thread (woken, timer) or an adopter
//        +--------------------------------------------------------+
//        |                                                        v
//      IDLE                                                    RUNNING <-- until it is started
//        |  ^                                                     |
//        |  +-----------------------------------------------------+
//        |      give back: nothing left to do, or an adopter's allowance is used up
//        v
//     STOPPED   by the loop's thread, when it has been asked to end and nothing is left to do
//
// Taking and giving back are an acquire and a release, so a turn sees all that the one before it
// did. An adopter gives up after ADOPT_TURNS_MAX turns or ADOPT_NS_MAX, or when its own work comes.
//
// No wake-up is lost, because everyone writes first and looks second, sequentially consistent:
//   who posts     pushes the task,                 then looks at the state: IDLE, wakes the thread;
//   who gives back  sets the deadline, sets IDLE,  then looks at the inbox and at how long the
//                                                  thread sleeps: work or a nearer timer, wakes it;
//   the thread    sets `asleep` and until when,    then looks at state, inbox and deadline.
// Whichever of two is second sees what the first wrote. A post to a loop that is RUNNING wakes
// nobody: who runs it looks at the inbox after giving it back.
#include "runtime/real/loop_thread.h"

#include <assert.h>
#include <errno.h>
#include <linux/futex.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "runtime/real/machine.h"

enum { LOOP_IDLE, LOOP_RUNNING, LOOP_STOPPED };
enum { ADOPT_TURNS_MAX = 64, ADOPT_NS_MAX = 1000000 };
enum { TIMER_SLACK_NS = 1000 };  // the kernel's default makes each timer 50 us late

struct real_loop_driver {
    struct rt_loop *loop;
    struct real_thread *thread;
    _Alignas(64) atomic_uint state;
    atomic_uint asleep;  // futex: 1 from before the thread's last look until it is awake or woken
    atomic_uint_fast64_t deadline_ns;     // of the loop when it was last given back; 0: at once
    atomic_uint_fast64_t sleep_until_ns;  // of the thread; 0: it is awake
    atomic_bool stopping;
};

static _Thread_local struct real_adopter *adopter_current;

// SLEEPING AND WAKING

static void futex_wait(atomic_uint *word, unsigned expected, uint64_t until_ns) {
    struct timespec until = {.tv_sec = (time_t)(until_ns / RT_NS_PER_S),
                             .tv_nsec = (long)(until_ns % RT_NS_PER_S)};
    const struct timespec *limit = until_ns == UINT64_MAX ? NULL : &until;
    long result = syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, expected, limit,
                          NULL, FUTEX_BITSET_MATCH_ANY);
    // A change of the word, the deadline and a signal all end the wait: the caller looks again.
    assert(result == 0 || errno == EAGAIN || errno == ETIMEDOUT || errno == EINTR);
    (void)result;
}

static void thread_wake(struct real_loop_driver *driver) {
    if (!atomic_load(&driver->asleep) || !atomic_exchange(&driver->asleep, 0)) return;
    rt_loop_count_wakeup(driver->loop);
    syscall(SYS_futex, &driver->asleep, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0);
}

static bool loop_take(struct real_loop_driver *driver) {
    unsigned idle = LOOP_IDLE;
    return atomic_compare_exchange_strong(&driver->state, &idle, LOOP_RUNNING);
}

static void loop_give_back(struct real_loop_driver *driver, bool more) {
    uint64_t deadline_ns = more ? 0 : rt_loop_next_deadline(driver->loop);
    atomic_store(&driver->deadline_ns, deadline_ns);
    atomic_store(&driver->state, LOOP_IDLE);
}

// There is something to do, for whoever can take the loop.
static bool loop_is_due(struct real_loop_driver *driver) {
    if (rt_loop_has_work(driver->loop)) return true;
    uint64_t deadline_ns = atomic_load(&driver->deadline_ns);
    return deadline_ns != UINT64_MAX && deadline_ns <= real_mono_ns();
}

// THE LOOP'S OWN THREAD

static bool thread_may_sleep(struct real_loop_driver *driver, uint64_t until_ns) {
    if (atomic_load(&driver->state) == LOOP_RUNNING) return true;  // who runs it wakes this thread
    if (atomic_load(&driver->stopping)) return false;
    return !rt_loop_has_work(driver->loop) && atomic_load(&driver->deadline_ns) >= until_ns;
}

static void thread_sleep(struct real_loop_driver *driver) {
    bool held = atomic_load(&driver->state) == LOOP_RUNNING;
    uint64_t until_ns = held ? UINT64_MAX : atomic_load(&driver->deadline_ns);
    atomic_store(&driver->asleep, 1);
    atomic_store(&driver->sleep_until_ns, until_ns);
    if (thread_may_sleep(driver, until_ns)) futex_wait(&driver->asleep, 1, until_ns);
    atomic_store(&driver->asleep, 0);
    atomic_store(&driver->sleep_until_ns, 0);
}

static bool thread_may_end(struct real_loop_driver *driver) {
    if (!atomic_load(&driver->stopping) || loop_is_due(driver)) return false;
    unsigned idle = LOOP_IDLE;
    return atomic_compare_exchange_strong(&driver->state, &idle, LOOP_STOPPED);
}

static void thread_run(void *argument) {
    struct real_loop_driver *driver = argument;
    prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS);
    while (!thread_may_end(driver)) {
        if (loop_is_due(driver) && loop_take(driver)) {
            while (rt_loop_turn(driver->loop, false)) continue;
            loop_give_back(driver, false);
        } else {
            thread_sleep(driver);
        }
    }
}

// ADOPTION

struct allowance {
    struct real_adopter *adopter;
    unsigned turns;
    uint64_t end_ns;
    bool is_used_up;
};

// Asked after each turn.
static bool may_go_on(struct allowance *allowance) {
    struct real_adopter *adopter = allowance->adopter;
    allowance->turns++;
    allowance->is_used_up = allowance->turns >= ADOPT_TURNS_MAX ||
                            real_mono_ns() >= allowance->end_ns ||
                            (adopter->may_go_on && !adopter->may_go_on(adopter));
    return !allowance->is_used_up;
}

// What an adopted turn brought to another loop goes to that loop's thread after all.
static void pass_brought(struct real_adopter *adopter) {
    struct rt_loop *loop = adopter->brought;
    if (!loop) return;
    adopter_current = NULL;
    real_loop_notify(loop);
    adopter_current = adopter;
    adopter->brought = NULL;
}

// After a loop was given back: its thread must know of what is left, of a nearer timer, and that it
// may end now.
static void thread_tell(struct real_loop_driver *driver) {
    bool sleeps_too_long = atomic_load(&driver->deadline_ns) < atomic_load(&driver->sleep_until_ns);
    if (sleeps_too_long || rt_loop_has_work(driver->loop) || atomic_load(&driver->stopping)) {
        thread_wake(driver);
    }
}

// Holds the loop. Returns what its last turn said.
static bool adopted_turns(struct allowance *allowance, struct real_loop_driver *driver) {
    for (;;) {
        pass_brought(allowance->adopter);  // this loop goes on, so the other cannot wait for us
        bool more = rt_loop_turn(driver->loop, true);
        if (!may_go_on(allowance) || !more) return more;
    }
}

static void adopt(struct allowance *allowance, struct real_loop_driver *driver) {
    while (loop_take(driver)) {  // else: whoever runs it finds what was brought
        bool more = adopted_turns(allowance, driver);
        loop_give_back(driver, more);
        if (allowance->is_used_up || !rt_loop_has_work(driver->loop)) {
            thread_tell(driver);
            return;
        }
    }
}

void real_adopter_begin(struct real_adopter *adopter) {
    assert(!adopter_current && !rt_loop_current());
    adopter->brought = NULL;
    adopter_current = adopter;
}

void real_adopter_end(void) {
    struct real_adopter *adopter = adopter_current;
    assert(adopter && !rt_loop_current());
    if (adopter->brought) {
        struct allowance allowance = {.adopter = adopter, .end_ns = real_mono_ns() + ADOPT_NS_MAX};
        while (adopter->brought && !allowance.is_used_up) {
            struct rt_loop *loop = adopter->brought;
            adopter->brought = NULL;
            adopt(&allowance, rt_loop_driver(loop));
        }
        pass_brought(adopter);
    }
    adopter_current = NULL;
}

void real_loop_notify(struct rt_loop *loop) {
    struct real_adopter *adopter = adopter_current;
    if (adopter && (!adopter->brought || adopter->brought == loop)) {
        adopter->brought = loop;
        return;
    }
    struct real_loop_driver *driver = rt_loop_driver(loop);
    if (atomic_load(&driver->state) == LOOP_IDLE) thread_wake(driver);
}

// LIFE

struct real_loop_driver *real_loop_driver_new(struct rt_loop *loop) {
    struct real_loop_driver *driver = rt_alloc_aligned(64, sizeof(*driver));
    *driver = (struct real_loop_driver){.loop = loop};
    atomic_store(&driver->state, LOOP_RUNNING);
    rt_loop_set_driver(loop, driver);
    return driver;
}

void real_loop_driver_start(struct real_loop_driver *driver) {
    char name[16];
    snprintf(name, sizeof(name), "loop-%u", rt_loop_index(driver->loop) % 1000000);
    loop_give_back(driver, true);
    driver->thread = real_thread_start(name, thread_run, driver);
}

void real_loop_driver_stop(struct real_loop_driver *driver) {
    if (!driver->thread) return;
    atomic_store(&driver->stopping, true);
    thread_wake(driver);
    real_thread_join(driver->thread);
    driver->thread = NULL;
    assert(atomic_load(&driver->state) == LOOP_STOPPED);
}

void real_loop_driver_free(struct real_loop_driver *driver) {
    if (!driver) return;
    assert(!driver->thread);
    rt_loop_set_driver(driver->loop, NULL);
    rt_free(driver);
}
