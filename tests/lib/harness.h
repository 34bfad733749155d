// Runs one case on the real machine or in the simulator: what both must do is written once.
//
// A case has one or two sides, each a function that starts on a loop. Side 0 calls harness_ready
// when side 1 may start (a server that listens); each side calls harness_end when it is done and
// has closed all it opened. Sides share nothing but the harness: they may be on different loops of
// one machine (real), or on different nodes (simulator).
#ifndef GEMINGA_TESTS_LIB_HARNESS_H
#define GEMINGA_TESTS_LIB_HARNESS_H

#include <pthread.h>

#include "runtime/log.h"
#include "runtime/machine.h"

struct harness;

struct harness_side {
    void (*start)(struct harness *harness, struct rt_loop *loop);  // in a turn of loop
};

enum harness_place {
    HARNESS_ONE_LOOP,   // both sides on loop 0 of one machine
    HARNESS_TWO_LOOPS,  // on loops 0 and 1 of one machine
    HARNESS_TWO_NODES   // simulator only: each on a node of its own, "a" and "b"
};

// Zero-initialise, then set what is above the line.
struct harness {
    struct harness_side sides[2];  // the second may be empty
    enum harness_place place;
    const char *transport;  // ["tcp"], "tls+tcp" or "inproc": for listen and dial below
    size_t memory_bytes;    // [64 MiB] budget of the machine (real)
    uint64_t seed;          // [1] simulator
    uint64_t patience_ms;   // [60 s real, one hour simulated] then the case has failed
    // ----
    char listen[128];  // an address with port 0, or a name
    char dial[128];    // filled in by harness_ready
    char failure[1024];
    struct rt_machine *machines[2];
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool ready;
    unsigned ended;
    struct rt_log_sink sink;
    unsigned log_lines;
    char log_last[RT_LOG_LINE_MAX];
};

// False: failure says why, and what the case had opened is left behind.
bool harness_run_real(struct harness *harness);
bool harness_run_sim(struct harness *harness);

// From any side.
void harness_ready(struct harness *harness, uint16_t port);
void harness_end(struct harness *harness);
void harness_fail(struct harness *harness, const char *format, ...)
    RT_PRINTF(2, 3);  // first one counts
#define HARNESS_CHECK(harness, condition)                                                       \
    do {                                                                                        \
        if (!(condition)) harness_fail((harness), "%s:%d: %s", __FILE__, __LINE__, #condition); \
    } while (0)

// Log lines of the case, at warn and above.
unsigned harness_log_lines(struct harness *harness);

// For the runners.
void harness_set_up(struct harness *harness, const char *host);
bool harness_is_over(struct harness *harness);
void harness_tear_down(struct harness *harness);

#endif
