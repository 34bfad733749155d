#include "cli/zk_words.h"

#include <string.h>

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

// One word from *line on, which is moved behind it. NULL: a quote is open.
static char *word_take(const char **line, struct rt_arena *arena) {
    char *word = rt_arena_alloc(arena, strlen(*line) + 1);
    size_t size = 0;
    char quote = '\0';
    const char *at = *line;
    for (; *at != '\0' && (quote || !is_blank(*at)); at++) {
        if (*at == '\\' && at[1] != '\0' && quote != '\'') {
            word[size++] = *++at;
        } else if (quote ? *at == quote : *at == '"' || *at == '\'') {
            quote = quote ? '\0' : *at;
        } else {
            word[size++] = *at;
        }
    }
    *line = at;
    word[size] = '\0';
    return quote ? NULL : word;
}

const char *zk_words_split(const char *line, struct rt_arena *arena, struct zk_words *words) {
    words->count = 0;
    for (;;) {
        while (is_blank(*line)) line++;
        if (*line == '\0' || *line == '#') return NULL;
        if (words->count == ZK_WORDS_MAX) return "too many words";
        const char *word = word_take(&line, arena);
        if (!word) return "a quote is not closed";
        words->items[words->count++] = word;
    }
}

// FLAGS

static const char *flag_find(const char *flags, char letter) {
    return letter >= 'A' && letter != ':' ? strchr(flags, letter) : NULL;
}

// Capitals and small letters of one command differ by more than their size.
static unsigned flag_index(char letter) {
    return (unsigned)((letter | 0x20) - 'a') % 26;
}

static const char *flag_take(const struct zk_words *words, unsigned *at, const char *flags,
                             struct rt_arena *arena, struct zk_arguments *arguments) {
    const char *word = words->items[*at];
    for (const char *letter = word + 1; *letter != '\0'; letter++) {
        const char *found = flag_find(flags, *letter);
        if (!found) return rt_arena_print(arena, "there is no flag -%c", *letter);
        arguments->values[flag_index(*letter)] = "";
        if (found[1] != ':') continue;
        const char *value = letter[1] != '\0' ? letter + 1 : NULL;
        if (!value && *at + 1 < words->count) value = words->items[++*at];
        if (!value) return rt_arena_print(arena, "-%c needs a value", *letter);
        arguments->values[flag_index(*letter)] = value;
        return NULL;
    }
    return NULL;
}

const char *zk_arguments_parse(const struct zk_words *words, const char *flags,
                               struct rt_arena *arena, struct zk_arguments *arguments) {
    *arguments = (struct zk_arguments){.count = 0};
    unsigned at = 1;
    for (; at < words->count; at++) {
        const char *word = words->items[at];
        if (strcmp(word, "--") == 0) {
            at++;
            break;
        }
        if (word[0] != '-' || word[1] == '\0') break;
        const char *fault = flag_take(words, &at, flags, arena, arguments);
        if (fault) return fault;
    }
    for (; at < words->count; at++) arguments->items[arguments->count++] = words->items[at];
    return NULL;
}

const char *zk_flag(const struct zk_arguments *arguments, char letter) {
    return arguments->values[flag_index(letter)];
}

bool zk_has_flag(const struct zk_arguments *arguments, char letter) {
    return zk_flag(arguments, letter) != NULL;
}

bool zk_number_parse(const char *text, int64_t *number) {
    bool is_negative = text[0] == '-';
    const char *at = text + (is_negative ? 1 : 0);
    if (*at == '\0') return false;
    int64_t value = 0;
    for (; *at != '\0'; at++) {
        if (*at < '0' || *at > '9') return false;
        if (__builtin_mul_overflow(value, 10, &value)) return false;
        if (__builtin_add_overflow(value, *at - '0', &value)) return false;
    }
    *number = is_negative ? -value : value;
    return true;
}
