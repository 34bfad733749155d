#include "runtime/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "runtime/backend.h"
#include "runtime/log_format.h"
#include "runtime/mem.h"

// No lock: a line is one write to a descriptor opened with O_APPEND, and reopening puts the new
// file under the old number (dup3), which the kernel does at once for all threads.
struct rt_log {
    atomic_int level;
    enum rt_log_format format;
    char *path;  // NULL: stderr or sink
    int fd;
    struct rt_log_sink *sink;
    atomic_uint_fast64_t lost;  // lines that could not be written, said once writing works again
};

enum { MESSAGE_SIZE_MAX = RT_LOG_LINE_MAX, LOG_FILE_MODE = 0640 };

static uint64_t wall_ns_now(const struct rt_machine *machine) {
    if (machine) return rt_machine_wall_ns(machine);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * RT_NS_PER_S + (uint64_t)now.tv_nsec;
}

static bool write_whole(int fd, const char *data, size_t size) {
    ssize_t written = 0;
    do {
        written = write(fd, data, size);
    } while (written < 0 && errno == EINTR);
    return written == (ssize_t)size;
}

// What could not be written (disk full, pipe gone) is counted and said once writing works again.
static void log_lost_lines(struct rt_log *log, const struct rt_log_line *after) {
    uint64_t lost = atomic_exchange_explicit(&log->lost, 0, memory_order_relaxed);
    if (lost == 0) return;
    char message[64];
    int size =
        snprintf(message, sizeof(message), "lines lost count=%llu", (unsigned long long)lost);
    struct rt_log_line line = *after;
    line.level = RT_LOG_WARN;
    line.component = "log";
    line.message = RT_BYTES(message, (size_t)size);
    char text[RT_LOG_LINE_MAX];
    size_t text_size = rt_log_format_line(&line, log->format, text);
    if (!write_whole(log->fd, text, text_size)) {
        atomic_fetch_add_explicit(&log->lost, lost, memory_order_relaxed);
    }
}

static void line_to_file(struct rt_log *log, const struct rt_log_line *line) {
    char text[RT_LOG_LINE_MAX];
    size_t size = rt_log_format_line(line, log->format, text);
    if (write_whole(log->fd, text, size)) {
        log_lost_lines(log, line);
    } else {
        atomic_fetch_add_explicit(&log->lost, 1, memory_order_relaxed);
    }
}

static void line_to_sink(struct rt_log *log, const struct rt_log_line *line) {
    char text[RT_LOG_LINE_MAX];
    size_t size = rt_log_format_line(line, log->format, text);
    text[size - 1] = '\0';  // in place of the newline
    log->sink->line(log->sink, line->level, text);
}

// The log of a thread that works for no machine, or for one that has no log.
static void line_to_stderr(const struct rt_log_line *line) {
    char text[RT_LOG_LINE_MAX];
    size_t size = rt_log_format_line(line, RT_LOG_TEXT, text);
    bool written = write_whole(STDERR_FILENO, text, size);
    (void)written;  // stderr is closed: there is nowhere left to say so
}

static bool level_is_on(const struct rt_log *log, enum rt_log_level level) {
    return level >= (log ? rt_log_level(log) : RT_LOG_INFO);
}

void rt_log_write(enum rt_log_level level, const char *component, const char *format, ...) {
    struct rt_machine *machine = rt_machine_current();
    struct rt_log *log = machine ? machine->log : NULL;
    if (!level_is_on(log, level)) return;
    int saved_errno = errno;  // so that a log line never changes what the caller goes on to report
    char message[MESSAGE_SIZE_MAX];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    if (size < 0) size = snprintf(message, sizeof(message), "(unprintable) %s", format);
    size_t kept = (size_t)size < sizeof(message) ? (size_t)size : sizeof(message) - 1;
    struct rt_log_line line = {.level = level,
                               .wall_ns = wall_ns_now(machine),
                               .node = machine && machine->name ? machine->name : "",
                               .component = component,
                               .message = RT_BYTES(message, kept)};
    if (!log) {
        line_to_stderr(&line);
    } else if (log->sink) {
        line_to_sink(log, &line);
    } else {
        line_to_file(log, &line);
    }
    errno = saved_errno;
}

static uint64_t mono_second(void) {
    const struct rt_loop *loop = rt_loop_current();
    if (loop) return rt_loop_now(loop) / RT_NS_PER_S;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec;
}

bool rt_log_allows(struct rt_log_limit *limit, const char *component) {
    assert(limit->burst > 0);
    uint64_t second = mono_second();
    if (second != limit->second) {
        if (limit->held_back > 0) {
            rt_log_warn(component, "similar lines held back count=%u", limit->held_back);
        }
        limit->second = second;
        limit->passed = 0;
        limit->held_back = 0;
    }
    if (limit->passed == limit->burst) {
        limit->held_back++;
        return false;
    }
    limit->passed++;
    return true;
}

static rt_err log_file_open(const char *path, int *fd, struct rt_why *why) {
    *fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, LOG_FILE_MODE);
    int code = errno;
    if (*fd >= 0) return RT_OK;
    rt_err err = rt_err_from_errno(code);
    return rt_why_set(why, err, "log file %s: %s", path, strerrordesc_np(code));
}

rt_err rt_log_open(const struct rt_log_options *options, struct rt_log **log, struct rt_why *why) {
    int fd = STDERR_FILENO;
    if (options->path) {
        rt_err err = log_file_open(options->path, &fd, why);
        if (err) return err;
    }
    struct rt_log *opened = RT_NEW(struct rt_log);
    atomic_init(&opened->level, (int)options->level);
    opened->format = options->format;
    opened->path = options->path ? rt_strdup(options->path) : NULL;
    opened->fd = fd;
    *log = opened;
    return RT_OK;
}

struct rt_log *rt_log_to_sink(struct rt_log_sink *sink, enum rt_log_level level) {
    struct rt_log *log = RT_NEW(struct rt_log);
    atomic_init(&log->level, (int)level);
    log->sink = sink;
    log->fd = -1;
    return log;
}

void rt_log_close(struct rt_log *log) {
    if (!log) return;
    if (log->path) close(log->fd);
    rt_free(log->path);
    rt_free(log);
}

void rt_log_reopen(struct rt_log *log) {
    if (!log->path) return;
    int fd = -1;
    struct rt_why why;
    rt_err err = log_file_open(log->path, &fd, &why);
    if (err) {
        rt_log_error("log", "not reopened, the old file is kept: %s", why.text);
        return;
    }
    dup3(fd, log->fd, O_CLOEXEC);
    close(fd);
}

void rt_log_set_level(struct rt_log *log, enum rt_log_level level) {
    atomic_store_explicit(&log->level, (int)level, memory_order_relaxed);
}

enum rt_log_level rt_log_level(const struct rt_log *log) {
    return (enum rt_log_level)atomic_load_explicit(&log->level, memory_order_relaxed);
}

rt_err rt_log_level_parse(const char *text, enum rt_log_level *level) {
    for (int i = RT_LOG_DEBUG; i <= RT_LOG_ERROR; i++) {
        if (strcasecmp(text, rt_log_level_name((enum rt_log_level)i)) != 0) continue;
        *level = (enum rt_log_level)i;
        return RT_OK;
    }
    return RT_EINVAL;
}
