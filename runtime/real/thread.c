#include <stdio.h>

#include <nng/nng.h>
#include <nng/supplemental/util/platform.h>

#include "runtime/real/machine.h"

struct real_thread {
    nng_thread *thread;
    void (*run)(void *argument);
    void *argument;
    char name[16];
};

// The thread names itself: a name set from outside may come before the thread does.
static void thread_begin(void *argument) {
    struct real_thread *thread = argument;
    nng_thread_set_name(NULL, thread->name);
    thread->run(thread->argument);
}

struct real_thread *real_thread_start(const char *name, void (*run)(void *), void *argument) {
    struct real_thread *thread = RT_NEW(struct real_thread);
    thread->run = run;
    thread->argument = argument;
    snprintf(thread->name, sizeof(thread->name), "%s", name);
    int code = nng_thread_create(&thread->thread, thread_begin, thread);
    if (code) {
        rt_panic("thread '%s' cannot be started: %s (too many threads, or out of memory)", name,
                 nng_strerror(code));
    }
    return thread;
}

void real_thread_join(struct real_thread *thread) {
    if (!thread) return;
    nng_thread_destroy(thread->thread);
    rt_free(thread);
}
