// The trace: a hash over everything that happened, the same as lines of text, and the last words of
// a process that dies inside a run.
//
// LINE  TIME-NS EVENT KIND NODE A B C        (EVENT counts events; NODE is "-" for the world)
//
// Operands are numbers in hex, or a text in A's place. Two runs of one seed write identical files.
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/sim/sim_internal.h"

static const char *const kind_names[SIM_KIND_COUNT] = {
#define SIM_KIND_NAME(code, text) [code] = text,
    SIM_KINDS(SIM_KIND_NAME)
#undef SIM_KIND_NAME
};

// HASHING: each step folds a 128-bit product, so every bit of both inputs reaches every bit of the
// result, for two multiplications per line.

static const uint64_t salt_a = UINT64_C(0x9e3779b97f4a7c15);
static const uint64_t salt_b = UINT64_C(0xd1342543de82ef95);

static inline uint64_t fold(uint64_t a, uint64_t b) {
    __extension__ unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t sim_hash(const void *memory, size_t size) {
    const uint8_t *at = memory;
    uint64_t hash = fold(size ^ salt_a, salt_b);
    uint64_t word;
    for (; size >= sizeof word; at += sizeof word, size -= sizeof word) {
        memcpy(&word, at, sizeof word);
        hash = fold(hash ^ word, salt_b) + salt_a;
    }
    word = 0;
    if (size > 0) memcpy(&word, at, size);
    return fold(hash ^ word, salt_b ^ size);
}

uint64_t sim_hash_text(const char *text) {
    return sim_hash(text, strlen(text));
}

static void hash_add(struct rt_sim *sim, uint64_t a, uint64_t b) {
    sim->trace.hash = fold(sim->trace.hash ^ a ^ salt_a, b ^ salt_b) + a + (b << 32 | b >> 32);
}

static void hash_line(struct rt_sim *sim, enum sim_kind kind, const struct rt_sim_node *node,
                      const uint64_t operands[3]) {
    uint64_t who = node ? node->index + 1u : 0;
    hash_add(sim, sim->now_ns, sim->event_count << 16 ^ who << 8 ^ (uint64_t)kind);
    hash_add(sim, operands[0], operands[1]);
    hash_add(sim, operands[2], who);
}

uint64_t rt_sim_trace_hash(const struct rt_sim *sim) {
    return fold(sim->trace.hash ^ salt_b, salt_a);
}

// LINES

static const char *node_name(const struct rt_sim_node *node) {
    return node ? node->name : "-";
}

void sim_trace(struct rt_sim *sim, enum sim_kind kind, const struct rt_sim_node *node, uint64_t a,
               uint64_t b, uint64_t c) {
    hash_line(sim, kind, node, (const uint64_t[3]){a, b, c});
    if (!sim->trace.file) return;
    fprintf(sim->trace.file, "%" PRIu64 " %" PRIu64 " %s %s %" PRIx64 " %" PRIx64 " %" PRIx64 "\n",
            sim->now_ns, sim->event_count, kind_names[kind], node_name(node), a, b, c);
}

void sim_trace_text(struct rt_sim *sim, enum sim_kind kind, const struct rt_sim_node *node,
                    const char *text, uint64_t a) {
    size_t size = strlen(text);
    hash_line(sim, kind, node, (const uint64_t[3]){sim_hash(text, size), size, a});
    if (!sim->trace.file) return;
    fprintf(sim->trace.file, "%" PRIu64 " %" PRIu64 " %s %s %s %" PRIx64 "\n", sim->now_ns,
            sim->event_count, kind_names[kind], node_name(node), text, a);
}

bool sim_trace_open(struct rt_sim *sim) {
    if (!sim->options.trace_path) return true;
    sim->trace.file = fopen(sim->options.trace_path, "w");
    return sim->trace.file != NULL;
}

void sim_trace_close(struct rt_sim *sim) {
    if (sim->trace.file) fclose(sim->trace.file);
    sim->trace.file = NULL;
}

// LAST WORDS. The command has "%llu" where the seed goes; it is a value, not a format.

void sim_replay_print(const struct rt_sim *sim, FILE *out) {
    const char *command = sim->options.replay;
    if (!command) return;
    const char *hole = strstr(command, "%llu");
    if (!hole) {
        fprintf(out, "  replay: %s\n", command);
        return;
    }
    fprintf(out, "  replay: %.*s%" PRIu64 "%s\n", (int)(hole - command), command, sim->options.seed,
            hole + strlen("%llu"));
}

// The run this thread is in, for the handlers below; and what they replaced.
static _Thread_local struct rt_sim *running;
static _Thread_local bool installed;

enum { FATAL_SIGNALS = 5 };
static const int fatal_signals[FATAL_SIGNALS] = {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE};
static _Thread_local struct sigaction replaced[FATAL_SIGNALS];

void sim_deathbed_running(struct rt_sim *sim) {
    running = sim;
}

// The process is lost already, so stdio is worth its risk: without the seed the death is useless.
static void last_words(void) {
    struct rt_sim *sim = running;
    if (!sim) return;
    running = NULL;
    fprintf(stderr,
            "simulation died inside %s\n  at=%" PRIu64 " ns seed=%" PRIu64 " events=%" PRIu64
            " trace=%016" PRIx64 "\n",
            sim->inside ? sim->inside->name : "the world", sim->now_ns, sim->options.seed,
            sim->event_count, rt_sim_trace_hash(sim));
    sim_replay_print(sim, stderr);
    fflush(stderr);
    if (sim->trace.file) fflush(sim->trace.file);
}

// Puts the former handler back and lets the signal come again, so that a debugger, a sanitizer or
// the test's own harness sees the death as it would have without us.
static void on_fatal(int signal_number) {
    last_words();
    for (unsigned i = 0; i < FATAL_SIGNALS; i++) {
        if (fatal_signals[i] == signal_number) sigaction(signal_number, &replaced[i], NULL);
    }
    if (signal_number == SIGABRT) raise(signal_number);
}

// Present when a sanitizer is linked in: its reports end the process without a signal.
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

void sim_deathbed_install(void) {
    if (installed) return;
    installed = true;
    struct sigaction action = {.sa_handler = on_fatal, .sa_flags = SA_NODEFER};
    sigemptyset(&action.sa_mask);
    for (unsigned i = 0; i < FATAL_SIGNALS; i++) {
        sigaction(fatal_signals[i], &action, &replaced[i]);
    }
    if (__sanitizer_set_death_callback) __sanitizer_set_death_callback(last_words);
}
