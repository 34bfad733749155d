// Configuration: one table describes every key; file, environment and flags fill one struct.
//
// Order of precedence, later wins: default, file, environment, flag. The file is Java properties as
// operators know them (key=value or key: value, # and ! comments, \ continuations, UTF-8 with or
// without a BOM, LF or CRLF); a flag is --key=value or --key value; both also in kebab-case
// (--num-bookies is numBookies); a bool flag may stand alone. `--` ends the flags; of a flag given
// twice the last counts. Environment: GEMINGA_<key> (GEMINGA_numBookies or GEMINGA_NUM_BOOKIES), or
// the bare key as Pulsar's images use it where the table's env_bare says so.
// An empty value of anything but a text means the default, as in the files we take over. Blanks
// around a value are dropped unless escaped.
//
// Everything wrong in a source is reported, not only the first: wrong types, values out of range
// and duplicate keys are errors with file and line; an unknown key is a warning with the nearest
// known name. Nothing is applied when there was an error.
#ifndef GEMINGA_RUNTIME_CONFIG_H
#define GEMINGA_RUNTIME_CONFIG_H

#include <stddef.h>

#include "runtime/bytes.h"
#include "runtime/machine.h"

enum rt_option_type {
    RT_OPTION_BOOL,      // bool: true false yes no on off 1 0
    RT_OPTION_INT,       // int64_t
    RT_OPTION_SIZE,      // uint64_t bytes: 64, 64k, 64K, 64KiB, 1.5G; powers of 1024
    RT_OPTION_DURATION,  // uint64_t in the option's unit_ns: bare numbers are in it, or 10ms 5s 2m
                         // 1h 7d
    RT_OPTION_TEXT,      // char *, owned by the struct (rt_config_fini); never NULL
    RT_OPTION_CHOICE     // int: index into choices
};

struct rt_option {
    const char *name;
    enum rt_option_type type;
    size_t offset;               // into the target struct; OPTION_AT in the tables
    const char *fallback;        // default, in the file's syntax
    int64_t min, max;            // bounds of INT, SIZE, DURATION, inclusive; both 0: any
    uint64_t unit_ns;            // DURATION: 1000000 when the key's bare numbers are milliseconds
    const char *const *choices;  // CHOICE: NULL-terminated
    const char *old_name;        // an alias that still works, with a warning; may be NULL
    const char *also;            // a second name that means the same; may be NULL
    const char *help;            // one sentence
    bool reloadable;             // takes effect on SIGHUP; others say that a restart is needed
    rt_err (*check)(const struct rt_option *option, const char *value, struct rt_why *why);
};

struct rt_option_table {
    const char *name;  // "broker.conf", for messages
    const struct rt_option *options;
    size_t count;
    bool env_bare;  // the bare key is looked up in the environment too
    // Keys that are known from the system we replace and have no effect here: a debug line instead
    // of a warning. Sorted; may be NULL.
    const char *const *ignored;
    size_t ignored_count;
};

// What was said about the sources, in the order found: "broker.conf:12: warning: ...".
struct rt_config_report {
    struct rt_buf text;
    unsigned errors, warnings;
};
void rt_config_report_fini(struct rt_config_report *report);

// Keys of a file that follow a pattern (server.1, server.2, ...) are no options: whoever knows them
// is asked about each key the table does not have. True: taken; what it writes to why is an error.
struct rt_config_extra {
    bool (*take)(struct rt_config_extra *extra, const char *key, const char *value,
                 struct rt_why *why);
};

struct rt_config_source {
    const char *file;                // NULL: none. A missing file is an error.
    const char *const *environment;  // "KEY=value" strings, NULL-terminated; NULL: none
    int argc;                        // flags only, without program and subcommand
    const char *const *argv;
    struct rt_config_extra *extra;  // NULL: none
};

// Fills *config (sets every option to its default first). Arguments that are not flags are left to
// the caller through rest (rest_count may be NULL: then they are errors).
RT_CHECK
rt_err rt_config_load(const struct rt_option_table *table, void *config,
                      const struct rt_config_source *source, struct rt_config_report *report,
                      const char **rest, size_t *rest_count);
void rt_config_defaults(const struct rt_option_table *table, void *config);
void rt_config_fini(const struct rt_option_table *table, void *config);  // frees texts

// For help and reference pages and for `effective configuration` lines.
void rt_config_print_help(const struct rt_option_table *table, struct rt_buf *out);
void rt_config_print_values(const struct rt_option_table *table, const void *config,
                            struct rt_buf *out);
// The reloadable options whose values differ are copied; the names of the others that differ are
// reported as needing a restart (a warning each).
void rt_config_reload(const struct rt_option_table *table, void *config, const void *fresh,
                      struct rt_config_report *report);

// The nearest of count names by edit distance, or NULL when none is near enough to suggest.
const char *rt_nearest_name(const char *name, const char *const *names, size_t count);

// RT_EINVAL: not understood (for durations also: no whole number of units); RT_ETOOBIG: does not
// fit.
RT_CHECK
rt_err rt_parse_size(struct rt_bytes text, uint64_t *bytes);
RT_CHECK
rt_err rt_parse_duration(struct rt_bytes text, uint64_t unit_ns, uint64_t *in_units);

#endif
