// The properties parser and all that the configuration makes of its keys and values.
#include <assert.h>
#include <string.h>

#include "runtime/config_internal.h"
#include "runtime/mem.h"
#include "runtime/utf8.h"
#include "tests/fuzz/fuzz.h"

struct target {
    bool yes;
    int64_t number;
    uint64_t size, duration;
    char *text;
    int choice;
};

static const char *const choices[] = {"text", "json", NULL};
#define TARGET(field) .offset = offsetof(struct target, field), .help = "x"
static const struct rt_option options[] = {
    {.name = "yes", .type = RT_OPTION_BOOL, TARGET(yes), .fallback = "no"},
    {.name = "number", .type = RT_OPTION_INT, TARGET(number), .fallback = "0"},
    {.name = "size", .type = RT_OPTION_SIZE, TARGET(size), .fallback = "0"},
    {.name = "duration",
     .type = RT_OPTION_DURATION,
     TARGET(duration),
     .fallback = "0",
     .unit_ns = 1},
    {.name = "text", .type = RT_OPTION_TEXT, TARGET(text), .fallback = "", .old_name = "oldText"},
    {.name = "choice",
     .type = RT_OPTION_CHOICE,
     TARGET(choice),
     .fallback = "text",
     .choices = choices},
};
static const struct rt_option_table table = {
    .name = "fuzz", .options = options, .count = sizeof(options) / sizeof(options[0])};

// A value that was accepted is printed in a form that reads back as the same value.
static void check_round_trip(const struct rt_option *option, union rt_option_value value) {
    struct rt_buf line = {0};
    rt_buf_print(&line, "%s=", option->name);
    rt_option_format(option, value, &line);
    struct rt_properties p;
    rt_properties_init(&p, rt_buf_bytes(&line));
    rt_err err = rt_properties_next(&p);
    assert(err == RT_OK);
    union rt_option_value again = {0};
    err = rt_option_parse(option, (const char *)p.value.data, &again, NULL);
    assert(err == RT_OK && rt_option_equal(option, value, again));
    rt_properties_fini(&p);
    rt_buf_fini(&line);
}

static void check_entry(const struct rt_properties *p) {
    assert(p->key.size > 0 && strlen((const char *)p->key.data) == p->key.size);
    assert(strlen((const char *)p->value.data) == p->value.size);
    assert(rt_utf8_valid_size(rt_buf_bytes(&p->value)) == p->value.size);
    int index = rt_config_find(&table, (const char *)p->key.data);
    if (index == CONFIG_NONE) {
        struct rt_why suggestion;
        rt_config_suggest(&table, (const char *)p->key.data, false, &suggestion);
        return;
    }
    struct rt_why why = {{0}};
    union rt_option_value value = {0};
    rt_err err = rt_option_parse(&options[index], (const char *)p->value.data, &value, &why);
    if (!err) check_round_trip(&options[index], value);
    if (err) assert(why.text[0] != '\0');
}

static void check_flags(const char *text) {
    struct target target;
    struct rt_config_report report = {.errors = 0};
    const char *argv[] = {text, text};
    const char *rest[2];
    size_t rest_count = 0;
    const char *environment[] = {text, NULL};
    struct rt_config_source source = {.environment = environment, .argc = 2, .argv = argv};
    rt_err err = rt_config_load(&table, &target, &source, &report, rest, &rest_count);
    assert(!err == (report.errors == 0) && rest_count <= 2);
    rt_config_fini(&table, &target);
    rt_config_report_fini(&report);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct rt_bytes text = {data, size};
    unsigned line = 0;
    const char *problem = NULL;
    if (rt_properties_check_text(text, &line, &problem)) {
        assert(line >= 1 && line <= size && problem);
        return 0;
    }
    struct rt_properties p;
    rt_properties_init(&p, text);
    unsigned before = 0;
    rt_err err = RT_OK;
    while ((err = rt_properties_next(&p)) != RT_ENOTFOUND) {
        assert(p.entry_line > before && p.entry_line <= size + 1);
        before = p.entry_line;
        if (!err) check_entry(&p);
        if (err) assert(p.error);
        if (!err) check_flags((const char *)p.value.data);
    }
    rt_properties_fini(&p);
    return 0;
}
