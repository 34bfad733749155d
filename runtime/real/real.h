// The real machine: threads, nng byte streams, files, RocksDB. For cli/ and tests/.
#ifndef GEMINGA_RUNTIME_REAL_REAL_H
#define GEMINGA_RUNTIME_REAL_REAL_H

#include "runtime/machine.h"

struct rt_real_options {
    const char *name;       // [""]
    unsigned loop_count;    // [one per core]
    unsigned worker_count;  // [4]
    size_t memory_bytes;    // [256 MiB] limit of the machine's budget
    struct rt_log *log;     // [stderr at info]; borrowed
};

// Opens a machine whose loops stand still until rt_real_start: objects may be set up meanwhile.
RT_CHECK
rt_err rt_real_open(const struct rt_real_options *options, struct rt_machine **machine,
                    struct rt_why *why);
void rt_real_start(struct rt_machine *machine);
// Ends the loops and workers; called from the thread that opened it, after the node on it has
// closed everything. Then frees the machine.
void rt_real_close(struct rt_machine *machine);

// Runs a function in a turn of a loop and waits for it: for main() and tests, never from a loop.
void rt_real_call(struct rt_loop *loop, struct rt_task *task);

// SIGNALS. SIGTERM, SIGINT and SIGHUP become tasks on a loop; SIGPIPE is ignored. One per process,
// before any other thread starts (rt_real_open starts threads). A second SIGTERM or SIGINT ends the
// process at once.
struct rt_signals {
    void (*on_stop)(struct rt_signals *signals, int signal_number);
    void (*on_reload)(struct rt_signals *signals);  // may be NULL
    struct rt_signals_private {                     // cleared by rt_signals_start
        struct rt_loop *loop;
        struct rt_task stop, reload;
        struct real_thread *thread;
        int signal_fd, end_fd;
        int stop_signal;  // the first one; 0: none yet
        atomic_bool reload_posted;
    } private;
};
void rt_signals_block(void);                                              // first thing in main
void rt_signals_start(struct rt_signals *signals, struct rt_loop *loop);  // once the loops run
// From the thread that started it, while the loops run: no callback comes after it has returned.
void rt_signals_stop(struct rt_signals *signals);

struct rt_process_stats {
    uint64_t resident_bytes, open_files, open_files_max, cpu_ns, start_ns;
};
struct rt_process_stats rt_process_stats(void);
uint64_t rt_real_syscall_estimate(const struct rt_machine *machine);  // stream and file calls made

#endif
