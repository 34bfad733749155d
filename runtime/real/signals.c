#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "runtime/real/machine.h"
#include "runtime/real/real.h"

static sigset_t signals_set(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    return set;
}

void rt_signals_block(void) {
    sigset_t set = signals_set();
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void stop_run(struct rt_task *task) {
    struct rt_signals *signals = rt_container_of(task, struct rt_signals, private.stop);
    signals->on_stop(signals, signals->private.stop_signal);
}

// A signal that comes while the callback runs is posted again: none is lost, several become one.
static void reload_run(struct rt_task *task) {
    struct rt_signals *signals = rt_container_of(task, struct rt_signals, private.reload);
    atomic_store(&signals->private.reload_posted, false);
    if (signals->on_reload) signals->on_reload(signals);
}

static _Noreturn void end_at_once(int signal_number) {
    static const char text[] = "second signal: ended without shutting down\n";
    ssize_t written = write(STDERR_FILENO, text, sizeof(text) - 1);
    (void)written;  // there is nobody left to tell
    _exit(128 + signal_number);
}

static void signal_arrived(struct rt_signals *signals, int signal_number) {
    struct rt_signals_private *p = &signals->private;
    if (signal_number == SIGHUP) {
        if (!atomic_exchange(&p->reload_posted, true)) rt_post(p->loop, &p->reload);
        return;
    }
    if (p->stop_signal) end_at_once(signal_number);
    p->stop_signal = signal_number;
    rt_post(p->loop, &p->stop);
}

static void signals_run(void *argument) {
    struct rt_signals *signals = argument;
    struct rt_signals_private *p = &signals->private;
    for (;;) {
        struct pollfd fds[] = {{.fd = p->signal_fd, .events = POLLIN},
                               {.fd = p->end_fd, .events = POLLIN}};
        if (poll(fds, 2, -1) < 0) {
            assert(errno == EINTR);
            continue;
        }
        if (fds[1].revents) return;
        struct signalfd_siginfo info;
        if (read(p->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info)) continue;
        signal_arrived(signals, (int)info.ssi_signo);
    }
}

void rt_signals_start(struct rt_signals *signals, struct rt_loop *loop) {
    struct rt_signals_private *p = &signals->private;
    memset(p, 0, sizeof(*p));
    p->loop = loop;
    rt_task_init(&p->stop, stop_run, "signal stop");
    rt_task_init(&p->reload, reload_run, "signal reload");
    sigset_t set = signals_set();
    p->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    p->end_fd = eventfd(0, EFD_CLOEXEC);
    if (p->signal_fd < 0 || p->end_fd < 0) {
        rt_panic("signals cannot be received: %s", rt_err_text(rt_err_from_errno(errno)));
    }
    p->thread = real_thread_start("signals", signals_run, signals);
}

static void barrier_run(struct rt_task *task) {
    (void)task;
}

void rt_signals_stop(struct rt_signals *signals) {
    struct rt_signals_private *p = &signals->private;
    uint64_t one = 1;
    ssize_t written = write(p->end_fd, &one, sizeof(one));
    assert(written == (ssize_t)sizeof(one));
    (void)written;
    real_thread_join(p->thread);
    close(p->signal_fd);
    close(p->end_fd);
    struct rt_task barrier;  // behind what the thread has posted
    rt_task_init(&barrier, barrier_run, "signals stop");
    rt_real_call(p->loop, &barrier);
}
