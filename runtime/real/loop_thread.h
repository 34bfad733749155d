// How the loops of the real machine get their turns. Private to runtime/real/.
//
// A turn may be running inside an nng callback (see loop_thread.c). Hence the rule for everything
// that runs in turns: it never calls what waits for a callback (nng_aio_stop, nng_aio_free,
// nng_aio_wait, nng_stream_free, nng_stream_listener_free, ...): that callback may be the one
// around the turn. Such calls go to the reaper (real_reap, runtime/real/machine.h).
#ifndef GEMINGA_RUNTIME_REAL_LOOP_THREAD_H
#define GEMINGA_RUNTIME_REAL_LOOP_THREAD_H

#include "runtime/backend.h"

// ADOPTERS: a thread outside the loops that is about to post, and has nothing better to do
// afterwards than to run the turn that its post asks for.
//
//     struct real_adopter adopter = {0};
//     real_adopter_begin(&adopter);
//     rt_post(...);                // any number of posts
//     real_adopter_end();          // runs turns of a loop that was asleep, or does nothing
//
// Everything that the thread must not be late with, and everything that must not be touched once
// the posted task has run, comes before the end. Not inside a turn; pairs do not nest.
struct real_adopter {
    // Asked between turns; false ends the adoption at once (the thread's own work has come). NULL:
    // true.
    bool (*may_go_on)(struct real_adopter *adopter);
    struct rt_loop *brought;  // private: the sleeping loop that got the first post
};
void real_adopter_begin(struct real_adopter *adopter);
void real_adopter_end(void);

// The backend's notify: a task was pushed to a loop that had none.
void real_loop_notify(struct rt_loop *loop);

// DRIVERS: one for each loop.
struct real_loop_driver;
struct real_loop_driver *real_loop_driver_new(struct rt_loop *loop);
void real_loop_driver_start(struct real_loop_driver *driver);
// Waits until the loop stands still for good and its thread is gone.
void real_loop_driver_stop(struct real_loop_driver *driver);
void real_loop_driver_free(struct real_loop_driver *driver);

#endif
