// Structured log lines: time, level, node, component, event in the past tense, key=value pairs.
//
//   2026-11-21T03:18:05.123Z INFO  journal: segment rolled file=000007.log bytes=67108864
//
// A line goes to the log of the machine whose turn or work this thread is in, else to the process
// log (stderr). Lines are cut at RT_LOG_LINE_MAX; control characters are escaped, so nothing from
// a peer can forge a second line. Threads: any.
#ifndef GEMINGA_RUNTIME_LOG_H
#define GEMINGA_RUNTIME_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/err.h"

struct rt_log;
struct rt_machine;

enum { RT_LOG_LINE_MAX = 1024 };

enum rt_log_level {
    RT_LOG_DEBUG,  // the rest, and everything per message
    RT_LOG_INFO,   // state changed
    RT_LOG_WARN,   // abnormal, handled
    RT_LOG_ERROR   // a person must act
};

#define rt_log_debug(...) rt_log_write(RT_LOG_DEBUG, __VA_ARGS__)
#define rt_log_info(...) rt_log_write(RT_LOG_INFO, __VA_ARGS__)
#define rt_log_warn(...) rt_log_write(RT_LOG_WARN, __VA_ARGS__)
#define rt_log_error(...) rt_log_write(RT_LOG_ERROR, __VA_ARGS__)

void rt_log_write(enum rt_log_level level, const char *component, const char *format, ...)
    RT_PRINTF(3, 4);

// Where a peer can cause a line at will: passes at most `burst` lines a second through, then one
// that counts those held back. Zero-initialise but for burst; belongs to one loop.
struct rt_log_limit {
    uint32_t burst;
    uint32_t passed, held_back;
    uint64_t second;
};
bool rt_log_allows(struct rt_log_limit *limit, const char *component);

enum rt_log_format { RT_LOG_TEXT, RT_LOG_JSON };

struct rt_log_options {
    enum rt_log_level level;
    enum rt_log_format format;
    const char *path;  // appended to, reopened by rt_log_reopen; NULL: stderr
};

RT_CHECK
rt_err rt_log_open(const struct rt_log_options *options, struct rt_log **log, struct rt_why *why);
void rt_log_close(struct rt_log *log);
void rt_log_reopen(struct rt_log *log);  // after rotation (SIGHUP); keeps the old file on failure
void rt_log_set_level(struct rt_log *log, enum rt_log_level level);
enum rt_log_level rt_log_level(const struct rt_log *log);
RT_CHECK
rt_err rt_log_level_parse(const char *text, enum rt_log_level *level);

// For tests and the simulator: lines (without newline) go to `sink` instead.
struct rt_log_sink {
    void (*line)(struct rt_log_sink *sink, enum rt_log_level level, const char *text);
};
struct rt_log *rt_log_to_sink(struct rt_log_sink *sink, enum rt_log_level level);

#endif
