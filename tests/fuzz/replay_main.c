// A fuzz target as an ordinary test: replays every file given (folders one level deep), then runs
// seeded mutations of them. Needs no libFuzzer and no clang.
//   fuzz_NAME [--seed=N] [--runs=N] [--save=FILE] FILE_OR_FOLDER …
// The seed is printed first. If the target dies, the input it died of is in the --save file.
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { INPUT_SIZE_MAX = 1 << 16, INPUTS_MAX = 4096, EDITS_MAX = 8 };

struct input {
    uint8_t *data;
    size_t size;
};

struct corpus {
    struct input inputs[INPUTS_MAX];
    size_t count;
};

static struct corpus corpus;
static uint8_t current[INPUT_SIZE_MAX];
static size_t current_size;
static const char *save_path = "crash-input";

// xorshift64*: small, and the same everywhere.
static uint64_t random_next(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

static size_t random_below(uint64_t *state, size_t bound) {
    return (size_t)(random_next(state) % bound);
}

static void on_death(int signal_number) {
    int fd = open(save_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd >= 0) {
        ssize_t written = write(fd, current, current_size);
        (void)written;  // dying: nobody is left to tell
        close(fd);
    }
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static void run_current(void) {
    // A heap copy of the exact size, so that reading past the end is seen.
    uint8_t *copy = malloc(current_size ? current_size : 1);
    if (!copy) abort();
    memcpy(copy, current, current_size);
    LLVMFuzzerTestOneInput(copy, current_size);
    free(copy);
}

static void corpus_add_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) {
        fprintf(stderr, "cannot read the corpus file %s\n", path);
        exit(2);
    }
    if (corpus.count < INPUTS_MAX) {
        struct input *input = &corpus.inputs[corpus.count++];
        input->data = malloc(INPUT_SIZE_MAX);
        if (!input->data) abort();
        input->size = fread(input->data, 1, INPUT_SIZE_MAX, file);
    }
    fclose(file);
}

static int is_visible(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

static void corpus_add(const char *path) {
    struct stat info;
    if (stat(path, &info) != 0) return;  // no corpus yet: mutations start from nothing
    if (!S_ISDIR(info.st_mode)) {
        corpus_add_file(path);
        return;
    }
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, is_visible, alphasort);
    for (int i = 0; i < count; i++) {
        char file[4096];
        snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name);
        corpus_add_file(file);
        free(entries[i]);
    }
    free(entries);
}

static void insert_bytes(uint64_t *random) {
    size_t room = INPUT_SIZE_MAX - current_size;
    size_t count = 1 + random_below(random, 16);
    if (count > room) return;
    size_t at = random_below(random, current_size + 1);
    memmove(current + at + count, current + at, current_size - at);
    for (size_t i = 0; i < count; i++) current[at + i] = (uint8_t)random_next(random);
    current_size += count;
}

static void remove_bytes(uint64_t *random) {
    size_t at = random_below(random, current_size);
    size_t count = 1 + random_below(random, current_size - at);
    memmove(current + at, current + at + count, current_size - at - count);
    current_size -= count;
}

static void splice_other(uint64_t *random) {
    const struct input *other = &corpus.inputs[random_below(random, corpus.count)];
    size_t at = random_below(random, current_size + 1);
    size_t from = random_below(random, other->size + 1);
    size_t count = other->size - from;
    if (count > INPUT_SIZE_MAX - at) count = INPUT_SIZE_MAX - at;
    if (count) memcpy(current + at, other->data + from, count);
    current_size = at + count;
}

// The values that lengths and counts go wrong at.
static void set_edge_value(uint64_t *random) {
    static const uint32_t edges[] = {0, 1, 0x7f, 0x80, 0xff, 0x7fffffff, 0x80000000, 0xffffffff};
    uint32_t value = edges[random_below(random, sizeof(edges) / sizeof(edges[0]))];
    size_t width = (size_t)1 << random_below(random, 3);
    if (current_size < width) return;
    size_t at = random_below(random, current_size - width + 1);
    for (size_t i = 0; i < width; i++) {
        current[at + i] = (uint8_t)(value >> 8 * (width - 1 - i));
    }
}

static void edit_once(uint64_t *random) {
    size_t kind = random_below(random, 6);
    if (kind == 0 || current_size == 0) {
        insert_bytes(random);
    } else if (kind == 1) {
        remove_bytes(random);
    } else if (kind == 2) {
        splice_other(random);
    } else if (kind == 3) {
        set_edge_value(random);
    } else if (kind == 4) {
        current[random_below(random, current_size)] ^= (uint8_t)(1u << random_below(random, 8));
    } else {
        current[random_below(random, current_size)] = (uint8_t)random_next(random);
    }
}

static void load(const struct input *input) {
    current_size = input->size;
    if (input->size) memcpy(current, input->data, input->size);
}

static void replay_corpus(void) {
    for (size_t i = 0; i < corpus.count; i++) {
        load(&corpus.inputs[i]);
        run_current();
    }
}

static void run_mutations(uint64_t seed, uint64_t runs) {
    uint64_t random = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
    for (uint64_t run = 0; run < runs; run++) {
        load(&corpus.inputs[random_below(&random, corpus.count)]);
        for (size_t edits = 1 + random_below(&random, EDITS_MAX); edits > 0; edits--) {
            edit_once(&random);
        }
        run_current();
    }
}

static void watch_for_death(void) {
    signal(SIGABRT, on_death);
#ifndef __SANITIZE_ADDRESS__
    static const int deaths[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    for (size_t i = 0; i < sizeof(deaths) / sizeof(deaths[0]); i++) signal(deaths[i], on_death);
#endif
}

int main(int argc, char **argv) {
    uint64_t seed = 1;
    uint64_t runs = 1000;
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--seed=", 7) == 0) {
            seed = strtoull(argv[i] + 7, NULL, 0);
        } else if (strncmp(argv[i], "--runs=", 7) == 0) {
            runs = strtoull(argv[i] + 7, NULL, 0);
        } else if (strncmp(argv[i], "--save=", 7) == 0) {
            save_path = argv[i] + 7;
        } else {
            corpus_add(argv[i]);
        }
    }
    size_t files = corpus.count;
    if (corpus.count == 0) corpus.inputs[corpus.count++] = (struct input){0};
    printf("seed=%" PRIu64 " runs=%" PRIu64 " corpus=%zu\n", seed, runs, files);
    fflush(stdout);
    watch_for_death();
    replay_corpus();
    run_mutations(seed, runs);
    for (size_t i = 0; i < files; i++) free(corpus.inputs[i].data);
    return 0;
}
