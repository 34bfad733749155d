// A line of `geminga zk` as words, and the words of a command as flags and arguments.
#ifndef GEMINGA_CLI_ZK_WORDS_H
#define GEMINGA_CLI_ZK_WORDS_H

#include "runtime/arena.h"

enum { ZK_WORDS_MAX = 16 };

struct zk_words {
    const char *items[ZK_WORDS_MAX];
    unsigned count;
};

// Blanks separate; quotes of both kinds and backslashes keep them. A word that begins with # ends
// the line. NULL, or what is wrong.
const char *zk_words_split(const char *line, struct rt_arena *arena, struct zk_words *words);

// What a command was given. Flags come in front of the arguments, which may be any text.
struct zk_arguments {
    const char *values[26];  // by letter: the flag's value, "" for one that has none; NULL: absent
    const char *items[ZK_WORDS_MAX];
    unsigned count;
};

// `flags` lists letters, with a colon behind those that take a value: "sv:". NULL, or what is
// wrong.
const char *zk_arguments_parse(const struct zk_words *words, const char *flags,
                               struct rt_arena *arena, struct zk_arguments *arguments);
bool zk_has_flag(const struct zk_arguments *arguments, char letter);
const char *zk_flag(const struct zk_arguments *arguments, char letter);  // NULL: absent

bool zk_number_parse(const char *text, int64_t *number);  // decimal, all of it

#endif
