// How a log line looks, in text and in JSON. Pure: no clock, no descriptor. Private to runtime/.
#ifndef GEMINGA_RUNTIME_LOG_FORMAT_H
#define GEMINGA_RUNTIME_LOG_FORMAT_H

#include "runtime/bytes.h"
#include "runtime/log.h"

struct rt_log_line {
    enum rt_log_level level;
    uint64_t wall_ns;
    const char *node;  // "" where the process is the node
    const char *component;
    struct rt_bytes message;
};

const char *rt_log_level_name(enum rt_log_level level);  // "INFO"

// Writes the line and its newline, at most RT_LOG_LINE_MAX bytes; returns how many. What is too
// long ends in "..."; the result is valid UTF-8, in JSON a valid object, whatever the message is.
size_t rt_log_format_line(const struct rt_log_line *line, enum rt_log_format format,
                          char out[RT_LOG_LINE_MAX]);

#endif
