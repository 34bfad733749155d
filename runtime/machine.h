// A machine: the ports through which one node reaches the world. A node is a value: everything it
// owns hangs off one struct that was created with a machine, nothing is global, and ten nodes live
// in one process as well as one.
//
// Two backends stand behind the same headers: the real one (runtime/real/real.h) and the simulator
// (runtime/sim/sim.h). Tier code sees this header and the port headers (loop, stream, file, kv,
// work, http, log, metrics) and cannot tell which it runs on.
#ifndef GEMINGA_RUNTIME_MACHINE_H
#define GEMINGA_RUNTIME_MACHINE_H

#include <stdatomic.h>

#include "runtime/loop.h"

struct rt_backend;  // runtime/backend.h, for backends only
struct rt_log;
struct rt_metrics;

// The in-process addresses of a machine (stream_inproc.c). Zero-initialised is empty.
struct rt_inproc {
    atomic_flag locked;
    struct inproc_listener *listeners;
};

struct rt_machine {
    const struct rt_backend *backend;
    const char *name;  // in every log line; "" on the real machine unless it hosts several nodes
    struct rt_loop **loops;
    unsigned loop_count;
    struct rt_log *log;
    struct rt_metrics *metrics;
    struct rt_budget budget;  // the memory that slabs of this node are charged to by default
    struct rt_inproc inproc;
    _Atomic(void *) files;  // of the file backend, made by the first open
};

static inline struct rt_loop *rt_machine_loop(const struct rt_machine *machine, unsigned index) {
    return machine->loops[index % machine->loop_count];
}

// Wall clock, nanoseconds since 1970; may jump either way. For people and for records only: what
// measures durations uses rt_loop_now.
uint64_t rt_machine_wall_ns(const struct rt_machine *machine);

// Bytes nobody can guess (a seeded stream in the simulator). For ids, salts and seeds.
void rt_machine_entropy(struct rt_machine *machine, void *memory, size_t size);

// True now and then in the simulator, constant false on the real machine: takes rare branches on
// purpose (a tiny buffer, a delayed step). `point` names the place in traces.
bool rt_machine_chance(struct rt_machine *machine, const char *point, uint32_t per_million);

#endif
