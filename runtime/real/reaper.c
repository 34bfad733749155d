// One thread for calls that wait until somebody else has finished; started with the first of them.
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/real/machine.h"

enum { REAPER_NICE = 5 };

struct real_reaper {
    struct rt_machine *machine;
    struct real_thread *thread;  // NULL until the first task
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct rt_task *first, *last;
    bool stopping;
};

static struct rt_task *reaper_take(struct real_reaper *reaper) {
    pthread_mutex_lock(&reaper->lock);
    while (!reaper->first && !reaper->stopping) {
        pthread_cond_wait(&reaper->changed, &reaper->lock);
    }
    struct rt_task *task = reaper->first;
    if (task) reaper->first = task->next;
    if (!reaper->first) reaper->last = NULL;
    pthread_mutex_unlock(&reaper->lock);
    return task;
}

static void reaper_run(void *argument) {
    struct real_reaper *reaper = argument;
    setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), REAPER_NICE);  // for this thread only
    rt_machine_enter(reaper->machine);
    for (struct rt_task *task; (task = reaper_take(reaper));) {
        task->next = NULL;
        task->run(task);
    }
    rt_machine_leave();
}

struct real_reaper *real_reaper_new(struct rt_machine *machine) {
    struct real_reaper *reaper = RT_NEW(struct real_reaper);
    reaper->machine = machine;
    pthread_mutex_init(&reaper->lock, NULL);
    pthread_cond_init(&reaper->changed, NULL);
    return reaper;
}

void real_reaper_free(struct real_reaper *reaper) {
    pthread_mutex_lock(&reaper->lock);
    reaper->stopping = true;
    pthread_cond_signal(&reaper->changed);
    struct real_thread *thread = reaper->thread;
    pthread_mutex_unlock(&reaper->lock);
    real_thread_join(thread);
    pthread_cond_destroy(&reaper->changed);
    pthread_mutex_destroy(&reaper->lock);
    rt_free(reaper);
}

void real_reap(struct rt_machine *machine, struct rt_task *task) {
    struct real_reaper *reaper = real_machine_of(machine)->reaper;
    task->next = NULL;
    pthread_mutex_lock(&reaper->lock);
    if (reaper->last) {
        reaper->last->next = task;
    } else {
        reaper->first = task;
    }
    reaper->last = task;
    if (!reaper->thread) reaper->thread = real_thread_start("reaper", reaper_run, reaper);
    pthread_cond_signal(&reaper->changed);
    pthread_mutex_unlock(&reaper->lock);
}
