// The inside of a replica: what its files share. Private to meta/server/replica.
//
//   replica.c   life: what is on disk, bringing the core up, closing
//   identity.c  who this node is, and which cluster it belongs to
//   driver.c    one step of the core, and its effects in their order
//   submit.c    requests: queued, proposed by the leader, forwarded by the others
//   hearing.c   frames and hellos of peers
//   upkeep.c    the leader's session timers, reaping, snapshots
#ifndef GEMINGA_META_SERVER_REPLICA_REPLICA_INTERNAL_H
#define GEMINGA_META_SERVER_REPLICA_REPLICA_INTERNAL_H

#include <assert.h>

#include "meta/server/log/log.h"
#include "meta/server/log/segment.h"
#include "meta/server/log/snapshots.h"
#include "meta/server/replica/expiry.h"
#include "meta/server/replica/peers.h"
#include "meta/server/replica/replica.h"

// With its message around it, a command fits in a frame between nodes and in a record of the log.
enum { REPLICA_COMMAND_BYTES_MAX = 31 << 20 };
static_assert((size_t)REPLICA_COMMAND_BYTES_MAX <= (size_t)META_RECORD_BODY_MAX,
              "a command fits in a record");
static_assert(REPLICA_COMMAND_BYTES_MAX + (1u << 20) <= (size_t)META_PEER_FRAME_MAX,
              "and in a frame");

struct replica_identity {
    uint64_t cluster, node;
};

// A command on its way into the log: the payload of its entry.
struct replica_box {
    struct raft_payload payload;
    struct rt_list link;
    struct rt_buf bytes;
};

// A message that waits for the disk.
struct replica_letter {
    struct rt_list link;
    struct raft_needs needs;
    uint64_t to;
    struct rt_buf frame;
};

struct replica_reap;

struct meta_replica {
    struct rt_machine *machine;
    struct rt_loop *loop;
    struct meta_replica_options options;
    struct meta_member *members;  // founders
    char *data_dir, *log_dir, *store_dir, *snapshot_dir;
    struct replica_identity identity;
    bool is_alone, is_joining, is_virgin, started, closing, failing;

    struct raft *raft;  // NULL until brought up
    struct raft_status status;
    struct meta_log *log;
    struct meta_snapshots *snapshots;
    struct meta_store *store;
    struct meta_peers *peers;
    struct meta_log_events log_events;
    struct meta_snapshots_events snapshot_events;
    struct meta_peers_events peer_events;

    // Driver.
    struct rt_timer tick;
    uint64_t tick_ns_last;
    struct rt_arena arena;
    struct raft_needs done;
    struct rt_list letters;
    struct rt_buf frame;   // scratch
    uint64_t applied_now;  // a batch that was just applied and not yet reported; 0: none
    bool stepping;
    uint64_t leaderless_ns;
    unsigned looking_ticks;  // a virgin founder asks its peers before it starts

    // Requests.
    struct rt_flush flush;
    uint64_t ticket, ticket_first;
    struct rt_list queue;  // boxes to propose (leader)
    size_t queue_bytes, queue_count;
    bool proposing;
    bool queue_waits;  // the core had no room; asked again when these have changed:
    size_t waits_uncommitted;
    uint64_t waits_transfer;
    struct rt_log_limit refusal_limit;
    struct replica_own {  // submitted here, outcome not known: a ring
        uint64_t *tickets;
        size_t *sizes;
        size_t first, count, capacity, bytes;
    } own;
    uint64_t sent_to, sent_term;  // the leader that has what is in `own`
    bool told_busy;
    int64_t stamp_ms;
    struct rt_list syncs, new_syncs;
    uint64_t sync_context;

    // Upkeep.
    struct meta_expiry *expiry;
    bool watching_sessions;
    struct rt_timer session_tick;
    uint64_t session_tick_due_ns, stalled_ns;
    struct replica_touched *touched;
    size_t touched_count;
    struct rt_timer touch_tick, reap_tick;
    struct replica_reap *reap;
    uint64_t snapshot_at, snapshot_log_bytes, snapshot_jitter;
    bool snapshotting;
    uint64_t applied_entries, snapshots_taken;

    // Closing.
    struct rt_task *closed;
    struct rt_task part_closed;
    unsigned parts;
    struct raft_position looked_last;  // the furthest log a peer told of
    struct meta_log_found found_log;
    struct meta_snapshots_found found_snapshot;
    bool founded, starts;  // the core's first effects are still to be carried out
};

// identity.c
RT_CHECK
rt_err replica_identity_read_now(struct meta_replica *replica, bool *found, struct rt_why *why);
RT_CHECK
rt_err replica_identity_write_now(struct meta_replica *replica, struct rt_why *why);
uint64_t replica_cluster_of(struct meta_replica *replica);  // of the founders
void replica_founding_config(const struct meta_replica *replica, struct raft_config *config);

// replica.c
RT_CHECK
rt_err replica_bring_up_now(struct meta_replica *replica, struct rt_why *why);
RT_CHECK
rt_err replica_core_start(struct meta_replica *replica, struct raft_position claimed,
                          struct rt_why *why);
void replica_fail(struct meta_replica *replica, rt_err err, const char *what);

// driver.c
rt_err replica_step(struct meta_replica *replica, const struct raft_event *event);
void replica_first_step(struct meta_replica *replica);    // carries out what raft_start asked for
void replica_drive_events(struct meta_replica *replica);  // sets log_events, snapshot_events
void replica_know_members(struct meta_replica *replica);
void replica_letters_drop(struct meta_replica *replica);

// submit.c
void replica_requests_init(struct meta_replica *replica);
void replica_requests_fini(struct meta_replica *replica);
void replica_propose(struct meta_replica *replica, const struct meta_command *command);
void replica_queue_go_on(struct meta_replica *replica);  // after each step
void replica_forwarded(struct meta_replica *replica, uint64_t from, uint64_t term,
                       struct rt_bytes command);
void replica_refuse(struct meta_replica *replica, uint64_t to, const uint64_t *ticket);
void replica_refused(struct meta_replica *replica, uint64_t ticket);  // by the leader
void replica_outcome_seen(struct meta_replica *replica, const struct meta_outcome *outcome);
void replica_interrupt(struct meta_replica *replica);  // if anything is under way
void replica_leadership_changed(struct meta_replica *replica);
void replica_reads_done(struct meta_replica *replica, const struct raft_read_done *reads,
                        size_t count);

// hearing.c
void replica_hear_init(struct meta_replica *replica);
void replica_virgin_tick(struct meta_replica *replica);

// upkeep.c
void replica_upkeep_init(struct meta_replica *replica);
void replica_upkeep_fini(struct meta_replica *replica);
void replica_upkeep_role(struct meta_replica *replica);  // after each step that changed it
void replica_upkeep_outcome(struct meta_replica *replica, const struct meta_outcome *outcome);
void replica_upkeep_applied(struct meta_replica *replica);
void replica_touched_by(struct meta_replica *replica, const int64_t *sessions, size_t count);
bool replica_upkeep_is_idle(const struct meta_replica *replica);

#endif
