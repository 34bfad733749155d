// Environment and flags as sources.
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "runtime/config_internal.h"

enum { WHERE_SIZE = 160 };

// ENVIRONMENT

static const char env_prefix[] = "GEMINGA_";

// NUM_BOOKIES is numBookies.
static bool is_shouted(const char *env_name, const char *name) {
    char kebab[CONFIG_NAME_SIZE];
    if (!name) return false;
    rt_config_kebab(name, kebab);
    size_t i = 0;
    for (; kebab[i] && env_name[i]; i++) {
        char c = kebab[i] == '-' ? '_' : kebab[i];
        if (c >= 'a' && c <= 'z') c = (char)(c - 'a' + 'A');
        if (c != env_name[i]) return false;
    }
    return kebab[i] == env_name[i];
}

static int env_find(const struct rt_option_table *table, const char *env_name) {
    int index = rt_config_find(table, env_name);
    for (size_t i = 0; i < table->count && index == CONFIG_NONE; i++) {
        const struct rt_option *option = &table->options[i];
        if (is_shouted(env_name, option->name) || is_shouted(env_name, option->also)) {
            index = (int)i;
        }
    }
    return index;
}

// An unknown variable is only worth a word when it looks like a slip: the environment is shared.
static void unknown_variable(struct rt_config_loading *loading, const char *name) {
    struct rt_why suggestion = {{0}};
    rt_config_suggest(loading->table, name, false, &suggestion);
    if (suggestion.text[0] == '\0') return;
    rt_config_say(loading->report, CONFIG_WARNING, "environment", "unknown variable %s%.80s%s",
                  env_prefix, name, suggestion.text);
}

static void load_variable(struct rt_config_loading *loading, const char *variable, bool prefixed) {
    const char *equals = strchr(variable, '=');
    bool has_prefix = strncmp(variable, env_prefix, strlen(env_prefix)) == 0;
    if (!equals || has_prefix != prefixed) return;
    const char *start = variable + (prefixed ? strlen(env_prefix) : 0);
    size_t size = (size_t)(equals - start);
    char name[CONFIG_NAME_SIZE];
    if (equals < start || size == 0 || size >= sizeof(name)) return;
    memcpy(name, start, size);
    name[size] = '\0';
    int index = prefixed ? env_find(loading->table, name) : rt_config_find(loading->table, name);
    if (index != CONFIG_NONE) {
        rt_config_give(loading, index, name, equals + 1, "environment");
    } else if (prefixed) {
        unknown_variable(loading, name);
    }
}

void rt_config_load_environment(struct rt_config_loading *loading) {
    const char *const *environment = loading->source->environment;
    for (size_t i = 0; loading->table->env_bare && environment[i]; i++) {
        load_variable(loading, environment[i], false);
    }
    for (size_t i = 0; environment[i]; i++) load_variable(loading, environment[i], true);
}

// FLAGS

static bool flag_is(const char *flag, const char *name) {
    char kebab[CONFIG_NAME_SIZE];
    if (!name) return false;
    rt_config_kebab(name, kebab);
    return strcmp(flag, name) == 0 || strcmp(flag, kebab) == 0;
}

// `name` becomes the spelling of the table, so that an old name is known for one.
static int flag_find(const struct rt_option_table *table, const char *flag, const char **name) {
    for (size_t i = 0; i < table->count; i++) {
        const struct rt_option *option = &table->options[i];
        const char *const names[] = {option->name, option->also, option->old_name};
        for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
            if (!flag_is(flag, names[n])) continue;
            *name = names[n];
            return (int)i;
        }
    }
    return CONFIG_NONE;
}

// The value behind a flag without `=`, or NULL. A bool takes the next word only if it is one.
static const char *value_behind(const struct rt_option *option, const char *next) {
    if (option->type == RT_OPTION_BOOL) {
        bool is_value = next && (strcmp(next, "true") == 0 || strcmp(next, "false") == 0);
        return is_value ? next : NULL;
    }
    return next && strncmp(next, "--", 2) != 0 ? next : NULL;
}

// Returns how many arguments the flag took.
static int load_flag(struct rt_config_loading *loading, const char *argument, const char *next) {
    char flag[CONFIG_NAME_SIZE];
    char where[WHERE_SIZE];
    const char *body = argument + strlen("--");
    const char *equals = strchr(body, '=');
    size_t size = equals ? (size_t)(equals - body) : strlen(body);
    snprintf(flag, sizeof(flag), "%.*s", (int)(size < sizeof(flag) ? size : sizeof(flag)), body);
    snprintf(where, sizeof(where), "--%s", flag);
    const char *name = NULL;
    int index = flag_find(loading->table, flag, &name);
    if (index == CONFIG_NONE) {
        struct rt_why suggestion = {{0}};
        rt_config_suggest(loading->table, flag, true, &suggestion);
        rt_config_say(loading->report, CONFIG_ERROR, where, "unknown flag%s", suggestion.text);
        return 1;
    }
    const struct rt_option *option = &loading->table->options[index];
    const char *value = equals ? equals + 1 : value_behind(option, next);
    int taken = !equals && value ? 2 : 1;
    if (!value && option->type == RT_OPTION_BOOL) value = "true";
    if (value) {
        rt_config_give(loading, index, name, value, where);
    } else {
        rt_config_say(loading->report, CONFIG_ERROR, where, "needs a value: %s=...", where);
    }
    return taken;
}

static void load_rest(struct rt_config_loading *loading, const char *argument, const char **rest,
                      size_t *rest_count) {
    if (rest_count) {
        rest[(*rest_count)++] = argument;
        return;
    }
    rt_config_say(loading->report, CONFIG_ERROR, "arguments", "%.80s is not a flag", argument);
}

void rt_config_load_flags(struct rt_config_loading *loading, const char **rest,
                          size_t *rest_count) {
    const struct rt_config_source *source = loading->source;
    bool flags_ended = false;
    if (rest_count) *rest_count = 0;
    for (int i = 0; i < source->argc;) {
        const char *argument = source->argv[i];
        const char *next = i + 1 < source->argc ? source->argv[i + 1] : NULL;
        bool is_flag = !flags_ended && strncmp(argument, "--", 2) == 0;
        bool is_short = !flags_ended && !is_flag && argument[0] == '-' && argument[1] != '\0';
        if (is_flag && argument[2] == '\0') {
            flags_ended = true;
            i++;
        } else if (is_flag) {
            i += load_flag(loading, argument, next);
        } else if (is_short) {
            rt_config_say(loading->report, CONFIG_ERROR, "arguments",
                          "unknown flag %.80s (flags begin with --; behind a -- nothing is one)",
                          argument);
            i++;
        } else {
            load_rest(loading, argument, rest, rest_count);
            i++;
        }
    }
}
