#include "runtime/config.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "runtime/config_internal.h"
#include "runtime/mem.h"

enum { LINES_MAX = 100, TEXT_SIZE = 1024, VALUE_SHOWN_MAX = 80 };

// REPORT

bool rt_config_has_room(const struct rt_config_report *report) {
    return report->errors + report->warnings < LINES_MAX;
}

static const char *severity_name(enum rt_config_severity severity) {
    switch (severity) {
    case CONFIG_NOTE: return "note";
    case CONFIG_WARNING: return "warning";
    case CONFIG_ERROR: return "error";
    }
    return "?";
}

// What is quoted from a source goes to a terminal: control characters do not.
static void blank_out_controls(char *text) {
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < 0x20 || c == 0x7f) *text = '?';
    }
}

void rt_config_say(struct rt_config_report *report, enum rt_config_severity severity,
                   const char *where, const char *format, ...) {
    bool has_room = rt_config_has_room(report);
    report->errors += severity == CONFIG_ERROR;
    report->warnings += severity == CONFIG_WARNING;
    if (!has_room) return;
    char text[TEXT_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    blank_out_controls(text);
    rt_buf_print(&report->text, "%s: %s: %s\n", where, severity_name(severity), text);
    if (!rt_config_has_room(report)) {
        rt_buf_print(&report->text, "%s: note: what else is wrong is not listed\n", where);
    }
}

void rt_config_report_fini(struct rt_config_report *report) {
    rt_buf_fini(&report->text);
    *report = (struct rt_config_report){0};
}

// NAMES

static bool name_is(const char *name, const char *known) {
    return known && strcmp(name, known) == 0;
}

int rt_config_find(const struct rt_option_table *table, const char *name) {
    for (size_t i = 0; i < table->count; i++) {
        const struct rt_option *option = &table->options[i];
        if (name_is(name, option->name) || name_is(name, option->also) ||
            name_is(name, option->old_name)) {
            return (int)i;
        }
    }
    return CONFIG_NONE;
}

static bool is_lower(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_upper(char c) {
    return c >= 'A' && c <= 'Z';
}

// A word begins at a capital behind a small letter, and at the last capital of a run: TLSPort is
// tls-port.
void rt_config_kebab(const char *name, char out[CONFIG_NAME_SIZE]) {
    size_t size = 0;
    for (size_t i = 0; name[i] && size + 2 < CONFIG_NAME_SIZE; i++) {
        bool begins = i > 0 && is_upper(name[i]) &&
                      (is_lower(name[i - 1]) || (is_upper(name[i - 1]) && is_lower(name[i + 1])));
        if (begins) out[size++] = '-';
        out[size++] = is_upper(name[i]) ? (char)(name[i] - 'A' + 'a') : name[i];
    }
    out[size] = '\0';
}

void rt_config_suggest(const struct rt_option_table *table, const char *name, bool kebab,
                       struct rt_why *suggestion) {
    const char **names = rt_alloc_zero(table->count * 2 + 1, sizeof(*names));
    char(*kebabs)[CONFIG_NAME_SIZE] = rt_alloc_zero(table->count * 2 + 1, sizeof(*kebabs));
    size_t count = 0;
    for (size_t i = 0; i < table->count * 2; i++) {
        const struct rt_option *option = &table->options[i / 2];
        const char *known = i % 2 ? option->also : option->name;
        if (!known) continue;
        rt_config_kebab(known, kebabs[count]);
        names[count] = kebab ? kebabs[count] : known;
        count++;
    }
    const char *nearest = rt_nearest_name(name, names, count);
    suggestion->text[0] = '\0';
    if (nearest) {
        RT_IGNORE(rt_why_set(suggestion, RT_OK, "; did you mean %s%s?", kebab ? "--" : "",
                             nearest));  // it returns what it was given
    }
    rt_free(names);
    rt_free(kebabs);
}

// VALUES

void rt_config_give(struct rt_config_loading *loading, int index, const char *name,
                    const char *text, const char *where) {
    const struct rt_option *option = &loading->table->options[index];
    if (name_is(name, option->old_name)) {
        rt_config_say(loading->report, CONFIG_WARNING, where, "%s is now called %s", name,
                      option->name);
    }
    union rt_option_value value;
    struct rt_why why = {{0}};
    rt_err err = rt_option_parse(option, text, &value, &why);
    if (err) {
        const char *dots = strnlen(text, VALUE_SHOWN_MAX + 1) > VALUE_SHOWN_MAX ? "..." : "";
        rt_config_say(loading->report, CONFIG_ERROR, where, "%s=%.*s%s %s", name, VALUE_SHOWN_MAX,
                      text, dots, why.text);
        return;
    }
    struct rt_config_given *given = &loading->given[index];
    rt_free(given->text);
    given->text = rt_strdup(text);
}

static void store(const struct rt_option *option, void *config, const char *text) {
    union rt_option_value value = {0};
    struct rt_why why = {{0}};
    rt_err err = rt_option_parse(option, text, &value, &why);
    if (err) rt_panic("option %s: the default %s %s", option->name, text, why.text);
    rt_option_store(option, config, value);
}

static char **text_field(const struct rt_option *option, void *config) {
    return (char **)(void *)((char *)config + option->offset);
}

void rt_config_defaults(const struct rt_option_table *table, void *config) {
    for (size_t i = 0; i < table->count; i++) {
        const struct rt_option *option = &table->options[i];
        if (option->type == RT_OPTION_TEXT) *text_field(option, config) = NULL;
        store(option, config, option->fallback);
    }
}

void rt_config_fini(const struct rt_option_table *table, void *config) {
    for (size_t i = 0; i < table->count; i++) {
        const struct rt_option *option = &table->options[i];
        if (option->type != RT_OPTION_TEXT) continue;
        rt_free(*text_field(option, config));
        *text_field(option, config) = NULL;
    }
}

rt_err rt_config_load(const struct rt_option_table *table, void *config,
                      const struct rt_config_source *source, struct rt_config_report *report,
                      const char **rest, size_t *rest_count) {
    unsigned errors_before = report->errors;
    struct rt_config_loading loading = {.table = table, .source = source, .report = report};
    loading.given = rt_alloc_zero(table->count + 1, sizeof(*loading.given));
    rt_config_defaults(table, config);
    if (source->file) rt_config_load_file(&loading);
    if (source->environment) rt_config_load_environment(&loading);
    rt_config_load_flags(&loading, rest, rest_count);
    bool good = report->errors == errors_before;
    for (size_t i = 0; i < table->count; i++) {
        char *text = loading.given[i].text;
        if (text && good) store(&table->options[i], config, text);
        rt_free(text);
    }
    rt_free(loading.given);
    return good ? RT_OK : RT_EINVAL;
}

void rt_config_reload(const struct rt_option_table *table, void *config, const void *fresh,
                      struct rt_config_report *report) {
    for (size_t i = 0; i < table->count; i++) {
        const struct rt_option *option = &table->options[i];
        union rt_option_value old = rt_option_load(option, config);
        union rt_option_value value = rt_option_load(option, fresh);
        if (rt_option_equal(option, old, value)) continue;
        struct rt_buf text = {0};
        rt_option_format(option, value, &text);
        const char *shown = text.size ? (const char *)text.data : "";
        if (option->reloadable) {
            rt_option_store(option, config, value);
            rt_config_say(report, CONFIG_NOTE, table->name, "%s=%.*s took effect", option->name,
                          (int)text.size, shown);
        } else {
            rt_config_say(report, CONFIG_WARNING, table->name, "%s=%.*s needs a restart",
                          option->name, (int)text.size, shown);
        }
        rt_buf_fini(&text);
    }
}
