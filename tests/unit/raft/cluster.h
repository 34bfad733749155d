// A whole cluster in memory: real cores, and a driver with a simulated disk, network and state
// machine for each. Time is virtual ticks; everything follows from the seed. The invariants are
// checked after every step, and the first that breaks is kept as text.
//
// Within a tick: every node's timer, then random events, then messages and disk work that is due.
#ifndef GEMINGA_TESTS_UNIT_RAFT_CLUSTER_H
#define GEMINGA_TESTS_UNIT_RAFT_CLUSTER_H

#include "meta/raft/raft.h"
#include "runtime/random.h"

enum { NODES_MAX = 8, ROUNDS_KEPT = 256, FAILURE_SIZE = 256, TEXT_MAX = 64 };

// Bugs of a driver, planted to prove that the checks find them.
enum driver_bug {
    DRIVER_FORGETS_VOTES = 1 << 0,     // reports hard state as written, and does not write it
    DRIVER_SENDS_BEFORE_LOG = 1 << 1,  // does not wait for the log write a message needs
    DRIVER_SENDS_BEFORE_HARD_STATE = 1 << 2,
    DRIVER_REPORTS_LOG_EARLY = 1 << 3  // says written when it is only queued
};

struct cluster_options {
    uint64_t seed;
    unsigned founders;      // nodes 1 .. founders are the first voters
    unsigned nodes;         // that exist at all; ids are 1 .. nodes
    unsigned planted_bugs;  // in the core (bugs.h)
    unsigned driver_bugs;
    bool indirect_only;  // leaves out the checks that look at each answer and the disk behind it
    unsigned delay_max;  // of messages, in ticks
    unsigned disk_delay_max;
    uint32_t drop_ppm, duplicate_ppm;
    struct {  // of a thousand ticks, in how many something of the kind happens (chaos.c)
        unsigned propose, read, snapshot, crash, cut, change, transfer, lose, pause, rot;
    } odds;
    struct raft_options core;  // id and seed are filled in
};

struct cluster_options cluster_options_default(uint64_t seed);

// What the log of a node holds, with the hash of everything up to here.
struct cell {
    struct raft_entry entry;
    uint64_t chain;
};

struct cells {
    struct raft_position base;
    uint64_t base_chain;
    struct cell *items;  // items[0] is base.index + 1
    size_t count, capacity;
};

enum work_kind {
    WORK_HARD_STATE,
    WORK_LOG,
    WORK_LOAD,
    WORK_CHUNK_READ,
    WORK_CHUNK_WRITE,
    WORK_INSTALL,
    WORK_SNAPSHOT,
    WORK_APPLY
};

// Disk work under way.
struct work {
    enum work_kind kind;
    uint64_t due;
    struct raft_hard_state hard_state;
    struct raft_log_write log;  // entries are copied and held
    uint64_t base_chain;
    struct raft_load load;
    struct raft_snapshot_effect snapshot;
    struct raft_config *config;
    uint64_t index, chain;
};

struct letter {
    uint64_t due, order;
    uint64_t from, to;
    struct raft_needs needs;
    struct rt_buf frame;
    struct raft_position acked;  // an append is acknowledged up to here ...
    uint64_t acked_chain;
    uint64_t granted_term;  // ... a vote is granted in this term
    uint64_t term;          // that the message reveals; 0: none
    bool is_ack;
};

struct letters {
    struct letter *items;
    size_t count, capacity;
};

struct node {
    uint64_t id;
    struct raft *raft;  // NULL: down
    struct raft_status status;
    struct {  // survives a crash
        struct raft_hard_state hard_state;
        struct cells log;
        struct raft_position snapshot, claimed_last;
        uint64_t snapshot_chain;
        struct raft_config snapshot_config;
        uint64_t applied;
    } disk;
    struct cells log;  // what the core believes; entries are held
    struct {
        uint64_t applied, chain;
    } state;
    struct work *work;
    size_t work_count, work_capacity;
    struct raft_needs done;
    struct letters outbox;  // wait for the disk
    struct {
        uint64_t transfer;
        struct rt_buf bytes;
    } incoming;
    uint64_t commit_seen, term_seen;
    bool removed, snapshotting;
    uint64_t paused_until;  // neither its clock nor anything else moves
    uint64_t round_term, round_last, round_tick[ROUNDS_KEPT];
    uint64_t transferred_in;  // the term in which it handed over, so its lease is gone
    struct {
        uint64_t context, fresh_from;  // an answer below shows the past
    } * reads;
    size_t read_count, read_capacity;
    uint64_t reads_done, reads_failed, refused;
};

struct known_entry {  // by (index, term): one history only
    uint64_t index, term, chain;
};

struct cluster {
    struct cluster_options options;
    struct rt_random random, network;
    struct node nodes[NODES_MAX + 1];  // by id
    uint64_t now, steps, orders, contexts;
    struct letters network_letters;
    bool cut[NODES_MAX + 1][NODES_MAX + 1];  // from, to
    struct {
        uint64_t *chains, *terms;  // by index - 1: what is committed, and the term that decided
        size_t count, capacity;
    } committed;
    struct {
        uint64_t *ids;  // by term
        size_t capacity;
    } leaders;
    struct {
        uint64_t *votes;  // by term * (NODES_MAX + 1) + voter
        size_t capacity;
    } votes;
    struct known_entry *known;
    size_t known_count, known_capacity;
    uint64_t proposals, elections, snapshots_installed, changes;
    char failure[FAILURE_SIZE];
    char *trace;  // of the messages, for transcripts; NULL: none
    size_t trace_size;
};

void cluster_init(struct cluster *c, const struct cluster_options *options);
void cluster_fini(struct cluster *c);
void cluster_fail(struct cluster *c, const char *format, ...) RT_PRINTF(2, 3);
bool cluster_has_failed(const struct cluster *c);

// One tick, with everything that becomes due in it.
void cluster_tick(struct cluster *c);
void cluster_run(struct cluster *c, unsigned ticks);
void cluster_settle(struct cluster *c);  // messages and disk work that are due, no timers
// Ticks until `id` leads (0: anybody) and is ready, or fails the cluster.
uint64_t cluster_elect(struct cluster *c, uint64_t id);
struct node *cluster_leader(struct cluster *c);  // ready, of the highest term; or NULL

void cluster_crash(struct cluster *c, uint64_t id);  // what is not durable is lost, or not
// Crashes it, and corruption takes the end of its durable log. One node at a time.
void cluster_rot(struct cluster *c, uint64_t id);
void cluster_restart(struct cluster *c, uint64_t id);  // also the first start of a late node
void cluster_cut(struct cluster *c, uint64_t from, uint64_t to, bool cut);  // one way
void cluster_isolate(struct cluster *c, uint64_t id, bool isolated);        // both ways
void cluster_heal(struct cluster *c);  // all links, no more loss

rt_err cluster_propose(struct cluster *c, uint64_t id, const char *text);
rt_err cluster_read(struct cluster *c, uint64_t id);
rt_err cluster_change(struct cluster *c, uint64_t id, const struct raft_config *target);
void cluster_take_snapshot(struct cluster *c, uint64_t id);
rt_err cluster_event(struct cluster *c, uint64_t id, const struct raft_event *event);

// Faults are over, everybody is up: within `ticks` there is a leader, all members have all entries
// and a new proposal goes through; else the cluster fails (invariant 18).
void cluster_converge(struct cluster *c, unsigned ticks);

// Writes down who says what, and what is decided, until read.
void cluster_trace_begin(struct cluster *c);
const char *cluster_trace(struct cluster *c);
void cluster_trace_line(struct cluster *c, const char *format, ...) RT_PRINTF(2, 3);

// chaos.c
struct cluster_options chaos_options(uint64_t seed);  // drawn from the seed
void chaos_run(struct cluster *c, unsigned ticks);

// node.c: the driver
void node_start(struct cluster *c, struct node *node);
void node_stop(struct cluster *c, struct node *node);
rt_err node_step(struct cluster *c, struct node *node, const struct raft_event *event);
bool node_work(struct cluster *c, struct node *node);  // one piece that is due; false: none
void node_crash_disk(struct cluster *c, struct node *node);

// disk.c
uint64_t chain_next(uint64_t chain, const struct raft_entry *entry);
void cells_fini(struct cells *cells);
void cells_clear(struct cells *cells, struct raft_position base, uint64_t chain);
void cells_append(struct cells *cells, const struct raft_entry *entry);
void cells_truncate(struct cells *cells, uint64_t from);
void cells_drop_to(struct cells *cells, uint64_t index);
uint64_t cells_last(const struct cells *cells);
const struct cell *cells_at(const struct cells *cells, uint64_t index);  // NULL: not there
bool cells_chain(const struct cells *cells, uint64_t index, uint64_t *chain);
void cells_write(struct cells *cells, const struct raft_log_write *write, uint64_t base_chain,
                 size_t entry_count);
void snapshot_bytes(uint64_t sender, struct raft_position at, uint64_t chain, struct rt_buf *out);
bool snapshot_parse(struct rt_bytes bytes, struct raft_position *at, uint64_t *chain);

// checks.c
void check_log_write(struct cluster *c, struct node *node, const struct raft_log_write *write);
void check_after_step(struct cluster *c, struct node *node);
void check_apply(struct cluster *c, struct node *node, const struct raft_entry *entry);
void check_read(struct cluster *c, struct node *node, const struct raft_read_done *read);
void check_release(struct cluster *c, struct node *node, const struct letter *letter);
void check_message(struct cluster *c, struct node *node, const struct raft_message *message);
void checks_fini(struct cluster *c);

#endif
