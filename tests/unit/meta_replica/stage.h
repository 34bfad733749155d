// Replicas in the simulator without servers around them: commands are submitted from the test, in
// turns of the nodes' loops, and their outcomes are kept. What a node's struct remembers survives
// the crashes of its process.
#ifndef GEMINGA_TESTS_UNIT_META_REPLICA_STAGE_H
#define GEMINGA_TESTS_UNIT_META_REPLICA_STAGE_H

#include "meta/server/replica/replica.h"
#include "runtime/sim/sim.h"

enum { STAGE_NODES_MAX = 4, STAGE_OUTCOMES_MAX = 8192, STAGE_REFUSED_MAX = 16 };

struct stage;

struct stage_outcome {
    uint64_t ticket;
    enum meta_verdict verdict;
    int64_t zxid;
    int32_t err;
};

struct stage_node {
    struct rt_sim_program program;
    struct stage *stage;
    struct rt_sim_node *sim_node;
    struct rt_machine *machine;    // of the process that runs; NULL: none
    struct meta_replica *replica;  // NULL: not opened, or closed
    struct meta_replica_events events;
    struct meta_replica_options options;  // of the next start
    rt_err open_err;
    struct rt_why why;
    bool wipes;  // the disk is a new one at the next start
    bool has_failed;
    char failure[256];
    unsigned interrupted, replaced, drained;
    bool is_closed;
    struct rt_task closed_task;
    // Own ones, in the order in which they were told: the last of them, in a ring.
    struct stage_outcome outcomes[STAGE_OUTCOMES_MAX];
    size_t outcome_count;  // of all there ever were
    uint64_t refused[STAGE_REFUSED_MAX];
    unsigned refused_count;
    // Of all entries, in order.
    int64_t zxid_last;
    bool is_out_of_order;
    struct rt_task task;
    void (*piece)(struct stage_node *node, void *argument);
    void *argument;
    bool is_done;
};

struct stage {
    struct rt_sim *sim;
    unsigned count;
    struct meta_member members[STAGE_NODES_MAX];
    struct stage_node nodes[STAGE_NODES_MAX];  // id - 1
    int64_t session;
    uint64_t attachment;
};

// `founders` of `count` nodes with default options; nothing runs yet.
void stage_open(struct stage *stage, unsigned count, unsigned founders, uint64_t seed);
void stage_close(struct stage *stage);
struct stage_node *stage_node(struct stage *stage, uint64_t id);
void stage_start(struct stage *stage, uint64_t id);
void stage_start_all(struct stage *stage);
void stage_crash(struct stage *stage, uint64_t id, enum rt_sim_crash_kind kind);
void stage_run(struct stage_node *node, void (*piece)(struct stage_node *, void *), void *argument);
void stage_shut(struct stage *stage, uint64_t id);  // closes the replica; the process goes on
// What the process holds.
size_t stage_heap_bytes(struct stage_node *node);
// Between the nodes of `one` and `other`, both ways.
void stage_cut(struct stage *stage, uint64_t one, uint64_t other);
void stage_heal(struct stage *stage);
void stage_pass(struct stage *stage, uint64_t ms);

// These go on until it is so, and fail the test after a minute.
uint64_t stage_leader(struct stage *stage);  // a ready one that all running nodes follow
void stage_agree(struct stage *stage);       // all running nodes have one state
void stage_applies(struct stage *stage, uint64_t id, uint64_t index);
uint64_t stage_leader_but(struct stage *stage, uint64_t other);  // another than that one
void stage_transfer(struct stage_node *node, uint64_t to);       // asks for it, which is taken
void stage_lead(struct stage *stage, uint64_t id);               // hands leadership to it

bool stage_snapshot(struct stage_node *node);

struct meta_replica_status stage_status(struct stage_node *node);
struct meta_store_totals stage_totals(struct stage_node *node);
const struct meta_znode *stage_find(struct stage_node *node, const char *path);

// Submits and does not wait. The ticket is 0 when it was refused.
uint64_t stage_submit(struct stage_node *node, struct meta_command *command, rt_err *err);
// `count` creations of PREFIX0 and so on in one turn; returns how many were taken. Their tickets
// follow the first one.
unsigned stage_submit_many(struct stage_node *node, const char *prefix, unsigned count,
                           uint64_t *first);
// The outcome of a ticket, if it was told.
const struct stage_outcome *stage_outcome(const struct stage_node *node, uint64_t ticket);
// Submits and waits.
const struct stage_outcome *stage_ask(struct stage_node *node, struct meta_command *command);

void stage_session(struct stage *stage, uint64_t id, int64_t session, int32_t timeout_ms);
// A command that creates; `payload` is what it borrows from.
struct meta_command stage_create(const struct stage *stage, const char *path, struct rt_bytes data,
                                 int32_t flags, struct rt_buf *payload);
int32_t stage_created(struct stage_node *node, const char *path, int32_t flags);  // error code
// `count` children of /, PREFIX0 and so on, each answered.
void stage_fill(struct stage_node *node, const char *prefix, unsigned count);

#endif
