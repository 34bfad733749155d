// What the files of runtime/real/ share about the real machine. Private to runtime/real/.
#ifndef GEMINGA_RUNTIME_REAL_MACHINE_H
#define GEMINGA_RUNTIME_REAL_MACHINE_H

#include "runtime/backend.h"

struct real_loop_driver;
struct real_work_pool;
struct real_reaper;

// Every rt_machine whose backend is the real one is embedded in one of these.
struct real_machine {
    struct rt_machine base;
    struct rt_backend backend;
    struct real_loop_driver **drivers;  // by loop index
    struct real_work_pool *workers;
    struct real_reaper *reaper;
    struct rt_log *own_log;  // opened by the machine; NULL when it borrows one
    char *own_name;
    bool started;
    _Alignas(64) atomic_uint_fast64_t syscalls;
};

static inline struct real_machine *real_machine_of(struct rt_machine *machine) {
    return rt_container_of(machine, struct real_machine, base);
}

// THREADS. The name is cut to 15 bytes. A thread that cannot be started ends the process.
struct real_thread;
struct real_thread *real_thread_start(const char *name, void (*run)(void *), void *argument);
void real_thread_join(struct real_thread *thread);  // waits for its end and frees it

// Runs task->run later on the reaper, a thread of low priority without a current loop, one after
// the other in the order of the calls: for calls that wait for callbacks (loop_thread.h). From any
// thread. The task is off the queue when it runs, so it may free what embeds it. All tasks have run
// before rt_real_close returns.
void real_reap(struct rt_machine *machine, struct rt_task *task);
struct real_reaper *real_reaper_new(struct rt_machine *machine);
void real_reaper_free(struct real_reaper *reaper);  // runs what is left, then ends

// Adds to rt_real_syscall_estimate. From any thread.
void real_count_syscalls(struct rt_machine *machine, uint64_t count);

uint64_t real_mono_ns(void);
unsigned real_cpu_count(void);  // that this process may use: affinity and cgroup quota

#endif
