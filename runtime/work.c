#include "runtime/work.h"

#include <assert.h>

#include "runtime/backend.h"

static void work_done(struct rt_task *task) {
    struct rt_work *work = rt_container_of(task, struct rt_work, task);
    work->done(work);
}

void rt_work_submit(struct rt_work *work, struct rt_loop *loop, void (*run)(struct rt_work *),
                    void (*done)(struct rt_work *), const char *name) {
    assert(rt_loop_is_current(loop));
    *work = (struct rt_work){.loop = loop, .run = run, .done = done, .name = name};
    rt_task_init(&work->task, work_done, name);
    struct rt_machine *machine = rt_loop_machine(loop);
    machine->backend->work_submit(machine, work);
}

void rt_work_finished(struct rt_work *work) {
    rt_post(work->loop, &work->task);
}
