// A crowd of clients that announce large frames to one server with little memory: no more than the
// budget and a known excess is ever used, and all frames arrive in the end.
#ifndef GEMINGA_TESTS_LIB_CONFORMANCE_CROWD_H
#define GEMINGA_TESTS_LIB_CONFORMANCE_CROWD_H

#include "runtime/stream.h"
#include "tests/lib/harness.h"

enum { CROWD_SIZE = 100, CROWD_FRAME = 1 << 20, CROWD_BUDGET = 8 << 20 };

struct crowd_member {
    struct crowd_run *run;
    struct rt_conn conn;
    struct rt_timer timer;
    struct rt_slice kept;
    bool closed;
};

struct crowd_run {
    struct harness harness;
    size_t first_part;  // each client sends this much of its frame before anyone sends the rest
    uint64_t keep_ms;   // the server keeps each frame for this long
    uint64_t abort_ms;  // the server closes all connections after this; 0: never
    struct rt_budget budget;
    // The server's
    struct rt_listener listener;
    struct crowd_member served[CROWD_SIZE];
    unsigned accepted, frames, served_closed;
    struct rt_timer abort;
    // The clients'
    struct crowd_member clients[CROWD_SIZE];
    struct rt_timer rest;
    struct rt_slab *slab;
    unsigned opened, clients_closed;
};

// Zero-initialise and set place, transport, seed and what stands before the budget.
void crowd_run_set(struct crowd_run *run);

#endif
