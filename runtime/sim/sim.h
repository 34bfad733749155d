// The simulated machine: any number of nodes in one thread, on virtual time, with faults.
//
// Everything that happens is an event, ordered by (virtual time, sequence number) and drawn from
// one seed; the production code of loops, streams, HTTP and operations runs inside it unchanged.
// The trace of a run is a hash over its events: same seed and same program, same hash, on any
// machine. No part of it depends on addresses, hash seeds, the real clock or floating point.
//
// For tests/ only. All calls from the one thread that made the sim.
#ifndef GEMINGA_RUNTIME_SIM_SIM_H
#define GEMINGA_RUNTIME_SIM_SIM_H

#include "runtime/log.h"
#include "runtime/machine.h"

struct rt_sim;
struct rt_sim_node;

// THE WORLD

struct rt_sim_options {
    uint64_t seed;
    const char *trace_path;  // every event as a line of text; NULL: hash only
    bool log_to_stderr;      // the nodes' log lines, with virtual time
    const char *replay;      // command that replays a run, "%llu" for the seed; printed on failure
};

struct rt_sim *rt_sim_new(const struct rt_sim_options *options);
void rt_sim_free(struct rt_sim *sim);  // crashes what still runs

uint64_t rt_sim_now(const struct rt_sim *sim);  // true time: virtual nanoseconds since the start
uint64_t rt_sim_events(const struct rt_sim *sim);
uint64_t rt_sim_trace_hash(const struct rt_sim *sim);
struct rt_random *rt_sim_random(struct rt_sim *sim);  // the workload's own stream

// Runs one event; false when nothing is left to happen.
bool rt_sim_step(struct rt_sim *sim);
void rt_sim_run_for(struct rt_sim *sim, uint64_t duration_ns);
// Until `done` says so, at most duration_ns; returns whether it did.
struct rt_sim_condition {
    bool (*done)(struct rt_sim_condition *condition);
};
bool rt_sim_run_until(struct rt_sim *sim, struct rt_sim_condition *condition, uint64_t duration_ns);

// Called after every event: invariants. Several may be added.
struct rt_sim_check {
    void (*check)(struct rt_sim_check *check, struct rt_sim *sim);
    struct rt_list link;
};
void rt_sim_add_check(struct rt_sim *sim, struct rt_sim_check *check);

// A script's own step at a later time, outside every node (fault schedules, workloads).
struct rt_sim_event {
    void (*run)(struct rt_sim_event *event, struct rt_sim *sim);
    const char *name;
};
void rt_sim_schedule(struct rt_sim *sim, struct rt_sim_event *event, uint64_t after_ns);

// Ends the run as failed: prints what, the seed, the time and the replay command to stderr, once;
// then rt_sim_failed is true and steps do nothing. Invariants call it. A test asserts
// !rt_sim_failed.
void rt_sim_fail(struct rt_sim *sim, const char *format, ...) RT_PRINTF(2, 3);
bool rt_sim_failed(const struct rt_sim *sim);
const char *rt_sim_failure(const struct rt_sim *sim);  // its text, or NULL

// NODES: a disk and a clock that stay, and a process that comes and goes.

// What runs on a node: boot is called in the first turn of loop 0 of each incarnation and builds
// the node from its machine; all it allocates goes away with the process. The program itself
// belongs to the test and survives crashes (it may hold what a checker wants to know, never node
// memory it frees).
struct rt_sim_program {
    void (*boot)(struct rt_sim_program *program, struct rt_machine *machine);
    void (*crashed)(struct rt_sim_program *program);  // forget pointers into the node; may be NULL
};

struct rt_sim_node *rt_sim_node_add(struct rt_sim *sim, const char *name, unsigned loop_count,
                                    struct rt_sim_program *program);
const char *rt_sim_node_name(const struct rt_sim_node *node);
void rt_sim_start(struct rt_sim_node *node);
bool rt_sim_is_running(const struct rt_sim_node *node);

enum rt_sim_crash_kind {
    RT_SIM_KILL,       // kill -9: the page cache survives
    RT_SIM_POWER_LOSS  // what was not synced may be lost, whole or in part, or torn
};
void rt_sim_crash(struct rt_sim_node *node, enum rt_sim_crash_kind kind);
void rt_sim_pause(struct rt_sim_node *node);  // as SIGSTOP: nothing runs, its clock goes on
void rt_sim_resume(struct rt_sim_node *node);
void rt_sim_clock_jump(struct rt_sim_node *node, int64_t wall_ns);  // wall clock only
// Drift of both clocks and of the timers: -500000 (half as fast) to 1000000 (twice as fast).
void rt_sim_clock_rate(struct rt_sim_node *node, int32_t parts_per_million);
void rt_sim_chance_rate(struct rt_sim_node *node, bool on);  // rt_machine_chance points; default on

// CPU: each turn takes between these; default 0 to 2 us, and work 1 to 50 us.
void rt_sim_cpu(struct rt_sim_node *node, uint64_t turn_min_ns, uint64_t turn_max_ns,
                uint64_t work_min_ns, uint64_t work_max_ns);

// NETWORK: a link is one direction between two nodes. Streams are reliable and ordered, as TCP:
// what a cut link swallows waits until it heals or the connection dies. A host is a node's name, or
// localhost for the node itself. A killed process leaves a kernel that ends or resets its
// connections and refuses new ones; a host without power is silent until its node starts again, and
// then answers what is left of old connections with a reset.

// Zero latency_max_ns and bytes_per_s take their defaults.
struct rt_sim_link {
    uint64_t latency_min_ns, latency_max_ns;  // default 20 to 200 us
    uint64_t bytes_per_s;                     // default 1 GB/s
    uint32_t reset_per_million;               // chance, per segment, that the connection is reset
    uint32_t slow_per_million;  // chance, per segment, of ten to a thousand times the latency
};
void rt_sim_link_set(struct rt_sim *sim, struct rt_sim_node *from, struct rt_sim_node *to,
                     const struct rt_sim_link *link);
void rt_sim_link_set_all(struct rt_sim *sim, const struct rt_sim_link *link);
struct rt_sim_link rt_sim_link_get(const struct rt_sim_node *from, const struct rt_sim_node *to);
void rt_sim_cut(struct rt_sim *sim, struct rt_sim_node *from, struct rt_sim_node *to);  // one way
void rt_sim_heal(struct rt_sim *sim, struct rt_sim_node *from, struct rt_sim_node *to);
// Cuts both ways between these nodes and all others there are now.
void rt_sim_partition(struct rt_sim *sim, struct rt_sim_node *const *side, unsigned side_count);
void rt_sim_heal_all(struct rt_sim *sim);
void rt_sim_reset_connections(struct rt_sim *sim, struct rt_sim_node *a, struct rt_sim_node *b);
// The connections between a and b go dead without a sign: a's side is gone (a sees a reset), b
// hears neither reset nor end and believes in them until it gives up. New connections work.
void rt_sim_half_open(struct rt_sim *sim, struct rt_sim_node *a, struct rt_sim_node *b);
// A connection nobody answers for this long is reset by the stack; default 60 s.
void rt_sim_connection_patience(struct rt_sim *sim, uint64_t timeout_ns);

// DISKS: one for each node. Sectors of 512 bytes; a synced sector is safe (unless it rots).

struct rt_sim_disk {
    uint64_t latency_min_ns, latency_max_ns;  // of an operation; default 20 to 200 us
    uint64_t sync_min_ns, sync_max_ns;        // default 100 us to 2 ms
    uint64_t bytes_per_s;                     // default 1 GB/s
    uint64_t capacity_bytes;  // default 1 TiB: beyond it RT_ENOSPACE (writes may be short)
    uint32_t write_fail_per_million, sync_fail_per_million, read_fail_per_million;
    // At a power loss, for each sector written since the last sync: kept, lost, or torn garbage.
    uint32_t lost_per_million, torn_per_million;  // default 400000 and 100000; the rest is kept
};
void rt_sim_disk_set(struct rt_sim_node *node, const struct rt_sim_disk *disk);
struct rt_sim_disk rt_sim_disk_get(const struct rt_sim_node *node);
// Flips one bit in a durable byte of a file (the name's prefix selects; drawn from the seed).
// False when the node has no such file with data.
bool rt_sim_bit_rot(struct rt_sim_node *node, const char *path_prefix);
// The durable content of a file as a power loss right now could at worst leave it, for checkers.
RT_CHECK
rt_err rt_sim_durable_content(struct rt_sim_node *node, const char *path, struct rt_buf *content);

// CHAOS: a ready-made schedule of faults over some nodes, drawn from the seed.

struct rt_sim_chaos {
    struct rt_sim_node *const *nodes;
    unsigned node_count;
    uint64_t mean_interval_ns;  // between faults; default 500 ms
    unsigned crashed_max;       // nodes down at once; default 1
    bool crashes, power_losses, pauses, partitions, one_way_cuts, slow_links, resets, half_opens,
        clock_jumps, bit_rot, disk_errors, disk_full;
};
// What strikes is mended after a drawn time. A node with a bad or full disk counts as down; when
// the disk works again the node is killed and started, as its operator would. A partition cuts off
// nodes of the set from all others, listed or not. Copied, with the list of nodes.
void rt_sim_chaos_start(struct rt_sim *sim, const struct rt_sim_chaos *chaos);
// Heals links, restarts and resumes nodes, lets disks work again.
void rt_sim_chaos_stop(struct rt_sim *sim);

#endif
