// What the files of the configuration share. Private to runtime/config*.c.
#ifndef GEMINGA_RUNTIME_CONFIG_INTERNAL_H
#define GEMINGA_RUNTIME_CONFIG_INTERNAL_H

#include "runtime/config.h"

enum { CONFIG_NAME_SIZE = 96, CONFIG_NONE = -1 };

// VALUES (config_value.c)

union rt_option_value {
    bool yes;          // BOOL
    int64_t integer;   // INT
    uint64_t amount;   // SIZE, DURATION
    int choice;        // CHOICE
    const char *text;  // TEXT, borrowed
};

// Reads one value, within its bounds. `why` says what is wrong, without the option's name.
RT_CHECK
rt_err rt_option_parse(const struct rt_option *option, const char *text,
                       union rt_option_value *value, struct rt_why *why);
void rt_option_store(const struct rt_option *option, void *config, union rt_option_value value);
union rt_option_value rt_option_load(const struct rt_option *option, const void *config);
bool rt_option_equal(const struct rt_option *option, union rt_option_value a,
                     union rt_option_value b);
// In the file's syntax: reads back as the same value.
void rt_option_format(const struct rt_option *option, union rt_option_value value,
                      struct rt_buf *out);
void rt_option_format_bounds(const struct rt_option *option, struct rt_buf *out);

// LOADING (config.c). A load gathers what each source gave; later sources overwrite.

struct rt_config_given {
    char *text;          // NULL: not given
    unsigned file_line;  // 0: not by the file
};

struct rt_config_loading {
    const struct rt_option_table *table;
    const struct rt_config_source *source;
    struct rt_config_report *report;
    struct rt_config_given *given;  // one for each option
};

enum rt_config_severity { CONFIG_NOTE, CONFIG_WARNING, CONFIG_ERROR };
// Adds "where: error: text". After a hundred lines it only counts.
void rt_config_say(struct rt_config_report *report, enum rt_config_severity severity,
                   const char *where, const char *format, ...) RT_PRINTF(4, 5);
bool rt_config_has_room(const struct rt_config_report *report);

// The option of this name, also or old_name included, or CONFIG_NONE.
int rt_config_find(const struct rt_option_table *table, const char *name);
// Checks and notes a value; says what is wrong with it, and that an old name is one.
void rt_config_give(struct rt_config_loading *loading, int index, const char *name,
                    const char *text, const char *where);
// "; did you mean x?", or nothing.
void rt_config_suggest(const struct rt_option_table *table, const char *name, bool kebab,
                       struct rt_why *suggestion);

// numBookies to num-bookies, cut at CONFIG_NAME_SIZE.
void rt_config_kebab(const char *name, char out[CONFIG_NAME_SIZE]);

// SOURCES (config_file.c, config_flags.c)

void rt_config_load_file(struct rt_config_loading *loading);
void rt_config_load_environment(struct rt_config_loading *loading);
void rt_config_load_flags(struct rt_config_loading *loading, const char **rest, size_t *rest_count);

// PROPERTIES (config_parse.c): the Java properties format, one logical line after the other.

struct rt_properties {
    struct rt_bytes left;
    unsigned line;        // of the first byte of left
    unsigned entry_line;  // where the entry (or the error) began
    struct rt_buf logical, key, value;
    const char *error;
};

void rt_properties_init(struct rt_properties *properties, struct rt_bytes text);
void rt_properties_fini(struct rt_properties *properties);
// The next key and value, NUL-terminated. RT_ENOTFOUND at the end; RT_EPROTO: `error` says what is
// wrong with the entry, and the next call goes on behind it.
RT_CHECK
rt_err rt_properties_next(struct rt_properties *properties);
// Everything but NUL bytes and bytes that are not UTF-8 can be parsed. `why` names the line.
RT_CHECK
rt_err rt_properties_check_text(struct rt_bytes text, unsigned *line, const char **problem);
// Appends a value as the format writes it.
void rt_properties_escape(struct rt_bytes value, struct rt_buf *out);

#endif
