// Blocking work: runs on the machine's worker threads, completes on the loop that asked.
#ifndef GEMINGA_RUNTIME_WORK_H
#define GEMINGA_RUNTIME_WORK_H

#include "runtime/loop.h"
#include "runtime/machine.h"

// Embedded in the caller's state, borrowed until done. `run` touches only what it was given: it
// is on another thread and no turn is going on around it. It may use the *_now calls of the ports.
struct rt_work {
    struct rt_task task;
    struct rt_work *next;
    struct rt_loop *loop;
    void (*run)(struct rt_work *work);
    void (*done)(struct rt_work *work);
    const char *name;
};

// Called on a loop. Work starts in the order of submission; several run at once.
void rt_work_submit(struct rt_work *work, struct rt_loop *loop, void (*run)(struct rt_work *),
                    void (*done)(struct rt_work *), const char *name);

#endif
