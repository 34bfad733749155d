// The table as a help text, and a configuration as a file.
#include <stdio.h>
#include <string.h>

#include "runtime/config_internal.h"

enum { HELP_COLUMN = 30, HELP_WIDTH = 96 };

static const char *placeholder(const struct rt_option *option) {
    switch (option->type) {
    case RT_OPTION_BOOL: return "";
    case RT_OPTION_INT: return " N";
    case RT_OPTION_SIZE: return " SIZE";
    case RT_OPTION_DURATION: return " TIME";
    case RT_OPTION_TEXT: return " TEXT";
    case RT_OPTION_CHOICE: return " NAME";
    }
    return "";
}

// Words of `text` from `column` on, broken at the width, each line at the help's column.
static void print_wrapped(struct rt_buf *out, size_t column, const char *text) {
    while (*text) {
        size_t word = strcspn(text, " ");
        if (column + 1 + word > HELP_WIDTH && column > HELP_COLUMN) {
            rt_buf_print(out, "\n");
            column = 0;
        }
        if (column < HELP_COLUMN) {
            rt_buf_print(out, "%*s", (int)(HELP_COLUMN - column), "");
            column = HELP_COLUMN;
        } else {
            rt_buf_print(out, " ");
            column++;
        }
        rt_buf_print(out, "%.*s", (int)word, text);
        column += word;
        text += word + strspn(text + word, " ");
    }
    rt_buf_print(out, "\n");
}

static void print_option(const struct rt_option *option, struct rt_buf *out) {
    char name[CONFIG_NAME_SIZE];
    char also[CONFIG_NAME_SIZE];
    size_t start = out->size;
    rt_config_kebab(option->name, name);
    if (option->also) {
        rt_config_kebab(option->also, also);
        rt_buf_print(out, "  --%s, --%s%s", also, name, placeholder(option));
    } else {
        rt_buf_print(out, "  --%s%s", name, placeholder(option));
    }
    size_t column = out->size - start;
    if (column >= HELP_COLUMN) {
        rt_buf_print(out, "\n");
        column = 0;
    }
    struct rt_buf text = {0};
    rt_buf_print(&text, "%s [", option->help);
    if (option->fallback[0] != '\0') rt_buf_print(&text, "default %s; ", option->fallback);
    size_t before = text.size;
    bool any = option->min == 0 && option->max == 0 && option->type != RT_OPTION_CHOICE;
    if (!any) rt_option_format_bounds(option, &text);
    if (text.size > before) rt_buf_print(&text, "; ");
    rt_buf_print(&text, "key %s]", option->name);
    rt_buf_append(&text, RT_BYTES_LITERAL("\0"));
    print_wrapped(out, column, (const char *)text.data);
    rt_buf_fini(&text);
}

void rt_config_print_help(const struct rt_option_table *table, struct rt_buf *out) {
    for (size_t i = 0; i < table->count; i++) print_option(&table->options[i], out);
}

void rt_config_print_values(const struct rt_option_table *table, const void *config,
                            struct rt_buf *out) {
    for (size_t i = 0; i < table->count; i++) {
        const struct rt_option *option = &table->options[i];
        rt_buf_print(out, "%s=", option->name);
        rt_option_format(option, rt_option_load(option, config), out);
        rt_buf_print(out, "\n");
    }
}
