// The nearest name: Damerau-Levenshtein distance in its restricted form (insertion, deletion,
// substitution, swap of neighbours), blind to case.
#include <assert.h>
#include <string.h>

#include "runtime/config.h"

enum { NAME_SIZE_MAX = 96 };

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static unsigned min_of(unsigned a, unsigned b) {
    return a < b ? a : b;
}

static bool is_swap(const char *a, const char *b, size_t i, size_t j) {
    return i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
           lower(a[i - 2]) == lower(b[j - 1]);
}

// Row by row over a table of prefixes; a swap looks two rows back.
static unsigned distance(const char *a, size_t a_size, const char *b, size_t b_size) {
    assert(a_size <= NAME_SIZE_MAX && b_size <= NAME_SIZE_MAX);
    unsigned rows[3][NAME_SIZE_MAX + 1];
    for (size_t j = 0; j <= b_size; j++) rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= a_size; i++) {
        unsigned *row = rows[i % 3];
        const unsigned *above = rows[(i + 2) % 3];
        const unsigned *two_above = rows[(i + 1) % 3];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_size; j++) {
            unsigned cost = lower(a[i - 1]) != lower(b[j - 1]);
            row[j] = min_of(min_of(above[j], row[j - 1]) + 1, above[j - 1] + cost);
            if (is_swap(a, b, i, j)) row[j] = min_of(row[j], two_above[j - 2] + 1);
        }
    }
    return rows[a_size % 3][b_size];
}

// Enough for a slip or two, too little for another word.
static unsigned distance_allowed(size_t size) {
    return 1 + (unsigned)(size / 6);
}

const char *rt_nearest_name(const char *name, const char *const *names, size_t count) {
    size_t size = strnlen(name, NAME_SIZE_MAX + 1);
    if (size == 0 || size > NAME_SIZE_MAX) return NULL;
    const char *nearest = NULL;
    unsigned best = distance_allowed(size) + 1;
    for (size_t i = 0; i < count; i++) {
        size_t other = strlen(names[i]);
        size_t gap = other > size ? other - size : size - other;
        if (other > NAME_SIZE_MAX || gap >= best) continue;
        unsigned far = distance(name, size, names[i], other);
        if (far >= best || far >= min_of((unsigned)size, (unsigned)other)) continue;
        best = far;
        nearest = names[i];
    }
    return nearest;
}
