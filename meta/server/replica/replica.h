// One member of the cluster: the Raft core driven on log, snapshots, peers and state machine.
//
// What clients want is submitted as commands; a follower forwards them to the leader, in order.
// Each applied entry is told with its outcome, on every node, in log order, right after it was
// applied and before the next one is: whoever waits for it answers then. The store is flushed once
// for a batch.
//
// Loop: the node's; everything on it.
#ifndef GEMINGA_META_SERVER_REPLICA_REPLICA_H
#define GEMINGA_META_SERVER_REPLICA_REPLICA_H

#include "meta/raft/raft.h"
#include "meta/server/tree/apply.h"
#include "runtime/stream.h"

struct meta_replica;

struct meta_replica_events {
    void (*applied)(struct meta_replica_events *events, const struct meta_outcome *outcome);
    // The store was replaced by a snapshot: watches cannot be told what changed, so connections
    // have to be closed.
    void (*replaced)(struct meta_replica_events *events);
    // The outcome of requests submitted until now and not yet told may stay unknown.
    void (*interrupted)(struct meta_replica_events *events);
    // The leader did not take this one (too large for it, or too much is queued there): it was not
    // done and will not be. The others go on.
    void (*refused)(struct meta_replica_events *events, uint64_t ticket);
    // Role, leader or readiness changed: meta_replica_status.
    void (*status_changed)(struct meta_replica_events *events);
    // There is room again after RT_EBUSY.
    void (*drained)(struct meta_replica_events *events);
    // Disk failed, removed from the cluster, or data that does not fit: the node must stop.
    void (*failed)(struct meta_replica_events *events, rt_err err, const char *what);
};

// A founding member, from server.N lines. address: as in those lines
// ("host:peerPort:electionPort:role;clientHost:clientPort").
struct meta_member {
    uint64_t id;
    bool is_observer;  // a learner
    char address[RAFT_ADDRESS_SIZE];
};

struct meta_replica_options {
    const char *data_dir;  // log/, store/, snapshots/ and IDENTITY in it
    uint64_t node_id;      // 1 when alone
    const struct meta_member *members;
    unsigned member_count;             // 0 or 1: a cluster of one, without peer port
    const char *peer_listen;           // "tcp://0.0.0.0:2888"; NULL: of the own member's line
    const struct rt_tls *peer_tls;     // NULL: plain
    bool is_joining;                   // no founder: waits to be added
    uint32_t tick_ms;                  // [50] of the Raft core
    uint32_t election_ms;              // [1000]
    uint32_t session_tick_ms;          // ZooKeeper's tickTime: granularity of expiry
    uint32_t container_check_ms;       // [60000] 0: never
    uint32_t container_reap_max;       // [10000] a minute
    uint64_t container_never_used_ms;  // [300000] 0: never
    uint64_t snapshot_entries;         // [100000] between snapshots
    size_t snapshot_log_bytes;         // [64 MiB] or so much log
    uint64_t log_entries_kept;  // [10000] behind a snapshot; ten times for a member that lags
    size_t cache_bytes, node_bytes;
    size_t uncommitted_bytes_max;
    size_t command_bytes_max;  // [31 MiB] larger ones are refused
    size_t queue_bytes_max;    // [256 MiB] of forwarded commands; beyond it they are refused
    bool sync;                 // forceSync
    unsigned planted_bugs;     // tests only
    struct meta_replica_events *events;
};

// Blocks until the node's own log is replayed into the core. Nothing is sent before `start`. After
// a failure there is no replica; what was opened is closed in the loop's next turns.
RT_CHECK
rt_err meta_replica_open_now(struct rt_machine *machine, struct rt_loop *loop,
                             const struct meta_replica_options *options,
                             struct meta_replica **replica, struct rt_why *why);
RT_CHECK
rt_err meta_replica_start(struct meta_replica *replica, struct rt_why *why);
void meta_replica_close(struct meta_replica *replica, struct rt_task *closed);

struct meta_store *meta_replica_store(struct meta_replica *replica);

// REQUESTS

// Unique over restarts of this node.
uint64_t meta_replica_next_ticket(struct meta_replica *replica);
// Takes over the encoded command (and empties the buffer) on RT_OK. RT_EAGAIN: no leader is known,
// nothing was done. RT_EBUSY: too much is under way, try again at `drained`. RT_ETOOBIG: no log
// takes it.
RT_CHECK
rt_err meta_replica_submit(struct meta_replica *replica, struct rt_buf *command);

// Done when everything that was committed before is applied here. RT_ETIMEDOUT: no leader answered.
struct meta_sync {
    void (*done)(struct meta_sync *sync, rt_err err);
    struct rt_list link;
    uint64_t context;
};
void meta_replica_sync(struct meta_replica *replica, struct meta_sync *sync);
void meta_replica_sync_cancel(struct meta_replica *replica, struct meta_sync *sync);  // no done

// The client said something: its session is alive. Cheap; called for every request.
void meta_replica_touch(struct meta_replica *replica, int64_t session);

// OPERATION

struct meta_replica_status {
    struct raft_status raft;
    bool is_serving;  // a leader is known (or this is a ready one) and start-up is over
    bool is_alone, is_removed;
    uint64_t cluster;
    uint64_t leaderless_ns;  // since when, on the loop's clock; 0: there is a leader
    unsigned peers_connected;
    uint64_t outstanding;  // submitted here and not applied
    uint64_t applied_entries, snapshots_taken;
};
void meta_replica_status(const struct meta_replica *replica, struct meta_replica_status *status);
const struct raft_config *meta_replica_config(const struct meta_replica *replica);
bool meta_replica_peer_status(const struct meta_replica *replica, uint64_t id,
                              struct raft_peer_status *status);

// Of the leader. RT_EAGAIN: not the leader. RT_EBUSY: a change is under way. RT_EINVAL.
RT_CHECK
rt_err meta_replica_transfer(struct meta_replica *replica, uint64_t to);  // 0: the best
RT_CHECK
rt_err meta_replica_change_members(struct meta_replica *replica, const struct raft_config *to,
                                   struct rt_why *why);
bool meta_replica_snapshot(struct meta_replica *replica);  // false: one is under way
bool meta_replica_has_leader_ready(const struct meta_replica *replica);

#endif
