// The inside of the simulated machine: what its files share. Private to runtime/sim/.
//
// Memory: the world (events, connections in flight, disks, the nodes themselves) lives outside
// every node's heap, because it survives crashes. Node code runs with its node's heap entered, so
// world code that allocates or frees while it was called from a node steps out first:
//
//     struct rt_heap *inside = sim_world_enter();
//     ... rt_alloc, rt_free ...
//     sim_world_leave(inside);
#ifndef GEMINGA_RUNTIME_SIM_SIM_INTERNAL_H
#define GEMINGA_RUNTIME_SIM_SIM_INTERNAL_H

#include <stdio.h>

#include "runtime/backend.h"
#include "runtime/sim/sim.h"

struct sim_disk;      // disk.c: what the node's disk holds, through crashes
struct sim_kv_store;  // sim_kv.c: list of the node's key-value stores, through crashes
struct sim_net_node;  // net.c: the node's ports and links
struct sim_net;
struct sim_chaos;

// EVENTS (scheduler.c): embedded in what they are about; ordered by time, then by scheduling.

// clang-format off
#define SIM_KINDS(X)                                                                        \
    X(SIM_TURN, "turn") X(SIM_SCRIPT, "script") X(SIM_START, "start") X(SIM_CRASH, "crash") \
    X(SIM_PAUSE, "pause") X(SIM_RESUME, "resume") X(SIM_CLOCK, "clock")                     \
    X(SIM_CHANCE, "chance") X(SIM_ENTROPY, "entropy") X(SIM_LOG, "log")                     \
    X(SIM_WORK_RUN, "work-run") X(SIM_DIAL, "dial") X(SIM_HANDSHAKE, "handshake")           \
    X(SIM_LISTEN, "listen") X(SIM_SEND, "send") X(SIM_DELIVER, "deliver")                   \
    X(SIM_RECEIVE, "receive") X(SIM_ACK, "ack") X(SIM_END, "end") X(SIM_RESET, "reset")     \
    X(SIM_PATIENCE, "patience") X(SIM_CUT, "cut") X(SIM_HEAL, "heal") X(SIM_LINK, "link")   \
    X(SIM_HALF_OPEN, "half-open") X(SIM_CHAOS, "chaos") X(SIM_REPAIR, "repair")             \
    X(SIM_FILE_OP, "file-op") X(SIM_FILE_DONE, "file-done") X(SIM_FILE_FAULT, "file-fault") \
    X(SIM_DISK_LOSS, "disk-loss") X(SIM_BIT_ROT, "bit-rot") X(SIM_KV_OP, "kv-op")           \
    X(SIM_KV_LOSS, "kv-loss") X(SIM_FAILED, "failed")
// clang-format on

enum sim_kind {
#define SIM_KIND_CODE(code, text) code,
    SIM_KINDS(SIM_KIND_CODE)
#undef SIM_KIND_CODE
        SIM_KIND_COUNT
};

struct sim_event {
    void (*run)(struct sim_event *event);  // the event is off the queue: it may be scheduled again
    struct rt_sim *sim;
    struct rt_sim_node *node;  // in the trace; NULL: the world
    enum sim_kind kind;        // in the trace
    size_t heap_index;         // SIM_EVENT_IDLE when not scheduled
};

#define SIM_EVENT_IDLE SIZE_MAX

void sim_event_init(struct sim_event *event, struct rt_sim *sim, struct rt_sim_node *node,
                    enum sim_kind kind, void (*run)(struct sim_event *event));
// Puts the event on the queue, or moves it. A time that has passed means now, behind what waits.
// Never allocates in a node's heap; callable from anywhere.
void sim_schedule(struct rt_sim *sim, struct sim_event *event, uint64_t at_ns);
void sim_cancel(struct rt_sim *sim, struct sim_event *event);  // harmless when not scheduled
static inline bool sim_is_scheduled(const struct sim_event *event) {
    return event->heap_index != SIM_EVENT_IDLE;
}
uint64_t sim_event_at(const struct rt_sim *sim, const struct sim_event *event);  // when scheduled

struct sim_queue_entry {
    uint64_t at_ns, sequence;
    struct sim_event *event;
};

struct sim_queue {
    struct sim_queue_entry *entries;  // a heap of four children for each parent
    size_t count, capacity;
    uint64_t sequence;
};

// TRACE (trace.c): every event and what it did, into the rolling hash and the trace file. Operands
// are numbers that depend on nothing but the run: sizes, offsets, ids, content hashes; never
// addresses.
struct sim_trace {
    uint64_t hash;
    FILE *file;
};
void sim_trace(struct rt_sim *sim, enum sim_kind kind, const struct rt_sim_node *node, uint64_t a,
               uint64_t b, uint64_t c);
void sim_trace_text(struct rt_sim *sim, enum sim_kind kind, const struct rt_sim_node *node,
                    const char *text, uint64_t a);
uint64_t sim_hash(const void *memory, size_t size);  // of content, fast; for operands
uint64_t sim_hash_text(const char *text);
bool sim_trace_open(struct rt_sim *sim);
void sim_trace_close(struct rt_sim *sim);
void sim_replay_print(const struct rt_sim *sim, FILE *out);  // one line: how to run this again
// Says which run died when an assertion or a sanitizer ends the process inside it.
void sim_deathbed_install(void);
void sim_deathbed_running(struct rt_sim *sim);  // NULL: none

// THE WORLD

struct rt_sim {
    struct rt_sim_options options;
    struct rt_backend backend;  // of every node
    uint64_t now_ns, event_count;
    struct sim_queue queue;
    struct sim_trace trace;
    struct rt_random workload;                  // rt_sim_random
    struct rt_random net_random, chaos_random;  // disk, cpu and clock: one for each node
    struct rt_sim_node **nodes;
    unsigned node_count;
    struct rt_sim_node *inside;  // whose code is running, NULL between
    struct rt_list checks;       // struct rt_sim_check
    struct rt_list scripts;      // struct sim_script, scheduled
    struct rt_list work_pool;    // struct sim_work, idle
    struct sim_net *net;
    struct sim_chaos *chaos;  // NULL: none is going on
    char *failure;            // rt_sim_fail
    bool failed;
};

struct rt_heap *sim_world_enter(void);         // steps out of the node's heap
void sim_world_leave(struct rt_heap *inside);  // and back

// CLOCK (clock.c): two clocks from one drifting oscillator, both go on through crashes and pauses.
struct sim_clock {
    uint64_t base_true_ns, base_ns;  // since base_true_ns it went at this rate from base_ns
    int32_t rate_ppm;
    uint64_t boot_ns;  // the oscillator when the monotonic clock began, less where it began
    uint64_t wall_ns;  // the wall clock when the oscillator stood at 0
};
void sim_clock_init(struct rt_sim_node *node);
void sim_clock_reboot(struct rt_sim_node *node);  // the monotonic clock begins anew
uint64_t sim_clock_mono(const struct rt_sim_node *node);
uint64_t sim_clock_wall(const struct rt_sim_node *node);
// The first true time at which the node's monotonic clock shows at least mono_ns, never the past.
uint64_t sim_clock_true_at(const struct rt_sim_node *node, uint64_t mono_ns);

// NODES (node.c)

struct sim_loop {  // the driver of one loop of one incarnation; in the world, one for each index
    struct sim_event turn;
    struct rt_sim_node *node;
    struct rt_loop *loop;
    unsigned index;
    bool in_turn;
};

struct rt_sim_node {
    struct rt_sim *sim;
    unsigned index;  // in sim->nodes
    char *name;
    unsigned loop_count;
    struct rt_sim_program *program;

    bool running, paused;
    uint32_t incarnation;       // 1 for the first start
    struct rt_heap *heap;       // of this incarnation; NULL when not running
    struct rt_machine machine;  // of this incarnation
    struct sim_loop *drivers;   // loop_count of them
    struct rt_task boot;
    struct rt_log_sink log_sink;
    bool crash_asked;  // from inside its own code: done when that returns
    enum rt_sim_crash_kind crash_kind;

    struct sim_clock clock;
    struct rt_random cpu_random, clock_random, disk_random, entropy_random;
    uint64_t turn_min_ns, turn_max_ns, work_min_ns, work_max_ns;
    struct rt_list works;        // struct sim_work, submitted and not yet run (work.c)
    struct sim_chance *chances;  // rt_machine_chance points (backend.c)
    size_t chance_count, chance_capacity;
    bool chance_off;

    struct sim_net_node *net;
    struct sim_disk *disk;  // made by sim_disk_new
    struct sim_kv_store *stores;
};

static inline struct rt_sim_node *sim_node_of(const struct rt_machine *machine) {
    uintptr_t at =
        (uintptr_t)machine;  // a node's machine is const only to those who ask it the time
    return (struct rt_sim_node *)(at - offsetof(struct rt_sim_node, machine));
}

// Runs what follows as code of the node's process (heap, machine for logs) outside a turn: to post
// completions (rt_file_finished, rt_work_finished, rt_post) and to run work. The node is running.
// Posting to a paused node is fine: its loops take it when they go on.
struct rt_heap *sim_node_enter(struct rt_sim_node *node);
void sim_node_leave(struct rt_sim_node *node, struct rt_heap *outside);
void sim_loop_notify(struct rt_loop *loop);
void sim_node_free(struct rt_sim_node *node);
void sim_node_clock_changed(struct rt_sim_node *node);  // timers move with the clock

// WORK (work.c)
void sim_work_submit(struct rt_machine *machine, struct rt_work *work);
void sim_work_crash(struct rt_sim_node *node);
void sim_work_resume(struct rt_sim_node *node);
void sim_work_pool_free(struct rt_sim *sim);

// NETWORK (net.c, net_faults.c)
struct sim_net *sim_net_new(struct rt_sim *sim);
void sim_net_free(struct rt_sim *sim);
void sim_net_node_add(struct rt_sim_node *node);
void sim_net_node_free(struct rt_sim_node *node);
void sim_net_crash(struct rt_sim_node *node, enum rt_sim_crash_kind kind);
void sim_net_started(struct rt_sim_node *node);
const struct rt_transport *sim_transport(struct rt_machine *machine, const char *scheme,
                                         size_t scheme_size);

// CHAOS (chaos.c)
void sim_chaos_free(struct rt_sim *sim);

// DISK (disk.c, disk_faults.c, sim_kv.c). A disk is made with its node and freed with it; its draws
// come from node->disk_random only. A crash calls sim_disk_crash first, while the heap still
// stands: in-flight operations are forgotten (they complete never) and what is lost is drawn; then
// the heap goes, with every struct rt_file, rt_kv and rt_dir_lock that lives in it.
void sim_disk_new(struct rt_sim_node *node);
void sim_disk_free(struct rt_sim_node *node);
void sim_disk_crash(struct rt_sim_node *node, enum rt_sim_crash_kind kind);
const struct rt_file_backend *sim_file_backend(void);
const struct rt_kv_backend *sim_kv_backend(void);

// BACKEND (backend.c)
void sim_backend_fill(struct rt_backend *backend);
void sim_chances_free(struct rt_sim_node *node);

#endif
