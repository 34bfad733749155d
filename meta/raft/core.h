// What the files of the core share. Private to meta/raft.
//
// A step is: begin effects, one handler, finish (apply.c, effects.c), assert. Files by subject:
//   core.c       events to handlers, roles, ticks          election.c   votes, campaigns
//   open.c       start from disk                           progress.c   what a follower has and
//   gets log_view.c   the log in memory                         replication.c  append and heartbeat
//   effects.c    what a step asks the driver to do         commit.c     the commit rule, applying
//   config.c     configurations as values                  membership.c   their history and change
//   read_index.c linearizable reads                        transfer.c   handing over leadership
//   snapshot_send.c, snapshot_receive.c                    quorum.c     majorities of either set
#ifndef GEMINGA_META_RAFT_CORE_H
#define GEMINGA_META_RAFT_CORE_H

#include <assert.h>

#include "meta/raft/bugs.h"
#include "meta/raft/log_view.h"
#include "meta/raft/raft.h"
#include "runtime/arena.h"
#include "runtime/random.h"

enum raft_ballot { RAFT_NO_ANSWER, RAFT_GRANTED, RAFT_REFUSED };

// One per member of the configuration, the own node included.
struct raft_peer {
    uint64_t id;
    enum raft_ballot ballot;  // of the campaign under way

    // The rest counts on a leader only.
    enum raft_progress progress;
    uint64_t match;  // durable there and equal to ours
    uint64_t next;   // the first entry not sent yet; > match
    bool probing;  // PROBE: one append is on its way, no more until an answer or a heartbeat reply
    bool loading;  // older entries are being read for it
    uint64_t commit_sent;
    unsigned silent_ticks;  // since it last answered in this term
    uint64_t acked_round;   // of heartbeats
    struct raft_inflight {  // REPLICATE: appends sent and not acknowledged, oldest first
        struct raft_inflight_item {
            uint64_t last;
            size_t size;
        } * items;  // a ring
        size_t first, count, capacity;
        size_t bytes;
    } inflight;
    struct raft_sending {  // SEND_SNAPSHOT
        struct raft_position at;
        struct rt_buf config;
        uint64_t acked, next, total;  // total 0: not known before the first chunk
        bool reading;
        uint64_t rewound;  // where the receiver last wanted it again
        unsigned stalled_ticks, retries;
    } sending;
};

struct raft_incoming {  // a snapshot being received
    uint64_t transfer;  // 0: none
    uint64_t from, term;
    struct raft_position at;
    struct raft_config config;
    uint64_t total, wanted, written;
};

// A read that a client of this node asked for.
struct raft_pending_read {
    uint64_t context;
    uint64_t batch;  // 0: not asked yet
    bool answered;
    uint64_t index;
    unsigned age_ticks;
};

// A question that the leader answers, of a follower or of itself.
struct raft_read_request {
    uint64_t from, id;
    uint64_t index, round;  // round 0: waits for the first commit of the term
};

#define RAFT_VECTOR(type)       \
    struct {                    \
        type *items;            \
        size_t count, capacity; \
    }

// Grows a vector by one and yields the new item, zeroed.
#define RAFT_PUSH(vector)                                                                      \
    ((vector)->items = raft_vector_grow((vector)->items, (vector)->count, &(vector)->capacity, \
                                        sizeof(*(vector)->items)),                             \
     &(vector)->items[(vector)->count++])
void *raft_vector_grow(void *items, size_t count, size_t *capacity, size_t item_size);

struct raft {
    struct raft_options options;
    struct rt_random random;

    enum raft_role role;
    struct raft_hard_state hard_state;  // what was handed out last is durable up to:
    uint64_t hard_state_durable;
    bool hard_state_changed;  // in this step
    uint64_t vote_version;    // of the write that holds the own vote for oneself
    uint64_t leader;
    bool started, removed;
    struct raft_position claimed_last;

    unsigned elapsed_ticks;    // since the election timer was reset
    unsigned timeout_ticks;    // where it fires
    unsigned heard_ticks;      // since a leader was heard, or since the start (stickiness)
    unsigned heartbeat_ticks;  // leader: since the last heartbeats

    struct raft_log log;
    uint64_t commit, applied;
    uint64_t applying;  // end of the batch that is out; == applied: none
    bool apply_loading;
    struct raft_entry *apply_loaded;  // read from disk, in the effects' arena of this step
    size_t apply_loaded_count;

    RAFT_VECTOR(struct raft_peer) peers;      // by id
    RAFT_VECTOR(struct raft_config) configs;  // the history; the last is in force
    bool config_changed;                      // in this step
    uint64_t config_settled;  // leader: index of the last whose commit was acted upon

    uint64_t term_first;  // leader: index of the no-op of its term
    size_t uncommitted_bytes;
    uint64_t round;  // leader: of the newest heartbeats
    uint64_t transfer_to;
    unsigned transfer_ticks;
    bool transfer_sent;

    struct raft_position snapshot;  // the newest durable one of this node
    struct raft_config snapshot_config;
    struct raft_incoming incoming;
    uint64_t transfer_last;
    bool installing;

    RAFT_VECTOR(struct raft_pending_read) reads;
    RAFT_VECTOR(struct raft_read_request) requests;
    uint64_t read_batch;  // the one that is out; 0: none
    unsigned read_batch_ticks;

    struct raft_effects effects;
    struct rt_arena arena;  // arrays of the effects
    RAFT_VECTOR(struct raft_message) messages;
    RAFT_VECTOR(struct raft_load) loads;
    RAFT_VECTOR(struct raft_snapshot_effect) snapshots;
    RAFT_VECTOR(struct raft_read_done) reads_done;
    RAFT_VECTOR(struct raft_payload *) held;  // until the next step
};

static inline bool raft_has_bug(const struct raft *raft, enum raft_bug bug) {
    return (raft->options.planted_bugs & (unsigned)bug) != 0;
}

// core.c
void raft_become_follower(struct raft *raft, uint64_t term, uint64_t leader);
void raft_become_pre_candidate(struct raft *raft);
void raft_become_candidate(struct raft *raft);
void raft_become_leader(struct raft *raft);
void raft_heard_leader(struct raft *raft, uint64_t leader);  // in its own, current term
void raft_set_leader(struct raft *raft, uint64_t leader);
void raft_reset_timer(struct raft *raft);
void raft_assert(const struct raft *raft);

// effects.c
void raft_effects_begin(struct raft *raft);
void raft_effects_finish(struct raft *raft);
void raft_effects_fini(struct raft *raft);
void raft_hard_state_touch(struct raft *raft);  // term or vote changed: write it
// Fills from and term (unless set) and adds what every message needs. Valid until the next push.
struct raft_message *raft_send(struct raft *raft, enum raft_message_kind kind, uint64_t to);
void raft_hold(struct raft *raft, struct raft_payload *payload);  // until the next step
struct raft_entry *raft_hold_entries(struct raft *raft, const struct raft_entry *entries,
                                     size_t count);
struct raft_snapshot_effect *raft_snapshot_effect(struct raft *raft, enum raft_snapshot_kind kind,
                                                  uint64_t peer, struct raft_position at);

// quorum.c
typedef bool raft_peer_test(const struct raft *raft, const struct raft_peer *peer);
bool raft_quorum(const struct raft *raft, raft_peer_test *test);
typedef uint64_t raft_peer_value(const struct raft *raft, const struct raft_peer *peer);
uint64_t raft_quorum_value(const struct raft *raft, raft_peer_value *value);

// election.c
void raft_tick_election(struct raft *raft);
void raft_campaign(struct raft *raft, bool transfer);                      // for real
void raft_on_vote(struct raft *raft, const struct raft_message *message);  // pre-vote too
void raft_on_vote_reply(struct raft *raft, const struct raft_message *message);
void raft_on_hard_state_written(struct raft *raft, uint64_t version);
bool raft_is_sticky(const struct raft *raft);  // keeps to the leader it has, or may have had
bool raft_is_electable(const struct raft *raft);

// progress.c
struct raft_peer *raft_peer_find(const struct raft *raft, uint64_t id);
void raft_peers_sync(struct raft *raft);   // the configuration changed
void raft_peers_reset(struct raft *raft);  // a new leader knows nothing
void raft_peer_fini(struct raft_peer *peer);
void raft_peer_probe(struct raft *raft, struct raft_peer *peer);
void raft_peer_replicate(struct raft *raft, struct raft_peer *peer);
void raft_peer_send_snapshot(struct raft *raft, struct raft_peer *peer);
bool raft_peer_is_paused(const struct raft *raft, const struct raft_peer *peer);
void raft_inflight_add(struct raft_inflight *inflight, uint64_t last, size_t size);
void raft_inflight_free_to(struct raft_inflight *inflight, uint64_t index);
void raft_inflight_free_first(struct raft_inflight *inflight);

// replication.c
rt_err raft_on_proposed(struct raft *raft, const struct raft_event *event);
void raft_broadcast_append(struct raft *raft);
void raft_broadcast_heartbeat(struct raft *raft);
void raft_send_entries(struct raft *raft, struct raft_peer *peer);
rt_err raft_on_append(struct raft *raft, const struct raft_message *message);
rt_err raft_on_append_reply(struct raft *raft, const struct raft_message *message);
void raft_on_heartbeat(struct raft *raft, const struct raft_message *message);
void raft_on_heartbeat_reply(struct raft *raft, const struct raft_message *message);
void raft_on_loaded(struct raft *raft, const struct raft_event *event);
void raft_on_peer_lost(struct raft *raft, uint64_t id);
void raft_tick_leader(struct raft *raft);
void raft_acknowledge(struct raft *raft, uint64_t to, uint64_t index);
void raft_append_own(struct raft *raft, enum raft_entry_kind kind, struct rt_bytes data,
                     struct raft_payload *payload);

// append.c
rt_err raft_append_check(const struct raft *raft, const struct raft_message *message);
void raft_append_entries(struct raft *raft, const struct raft_append *append);

// commit.c
bool raft_maybe_commit(struct raft *raft);
void raft_commit_to(struct raft *raft, uint64_t index);
void raft_after_commit(struct raft *raft);  // leader: what waited for it
bool raft_is_ready(const struct raft *raft);
void raft_apply_more(struct raft *raft);
void raft_on_applied(struct raft *raft, uint64_t index);
void raft_on_apply_loaded(struct raft *raft, const struct raft_event *event);

// membership.c
const struct raft_config *raft_config_at(const struct raft *raft, uint64_t index);
void raft_config_push(struct raft *raft, const struct raft_config *config);
void raft_config_truncate(struct raft *raft, uint64_t from);
void raft_config_compact(struct raft *raft, uint64_t to);
void raft_config_reset(struct raft *raft, const struct raft_config *config, bool keep_later);
rt_err raft_on_config_proposed(struct raft *raft, const struct raft_config *target);
void raft_after_config_commit(struct raft *raft);
void raft_tell_removed(struct raft *raft, uint64_t id);
void raft_on_removed(struct raft *raft, const struct raft_message *message);

// read_index.c
rt_err raft_on_read_asked(struct raft *raft, uint64_t context);
void raft_on_read(struct raft *raft, uint64_t from, uint64_t id);
void raft_on_read_reply(struct raft *raft, const struct raft_message *message);
void raft_reads_ready(struct raft *raft);    // leader: the no-op is committed
void raft_reads_confirm(struct raft *raft);  // leader: rounds were acknowledged
void raft_reads_role_changed(struct raft *raft);
void raft_reads_release(struct raft *raft);  // applied moved
void raft_reads_send(struct raft *raft);
void raft_tick_reads(struct raft *raft);

// snapshot_send.c
void raft_snapshot_start(struct raft *raft, struct raft_peer *peer);
void raft_snapshot_stop(struct raft *raft, struct raft_peer *peer);
void raft_on_chunk_read(struct raft *raft, const struct raft_event *event);
void raft_on_snapshot_reply(struct raft *raft, const struct raft_message *message);
void raft_tick_snapshot(struct raft *raft, struct raft_peer *peer);

// snapshot_receive.c
rt_err raft_on_snapshot(struct raft *raft, const struct raft_message *message);
void raft_on_chunk_written(struct raft *raft, const struct raft_event *event);
void raft_on_snapshot_installed(struct raft *raft, uint64_t index);
rt_err raft_on_snapshot_taken(struct raft *raft, uint64_t index);

// transfer.c
rt_err raft_on_transfer_asked(struct raft *raft, uint64_t target);
void raft_transfer_go(struct raft *raft);
void raft_transfer_stop(struct raft *raft);
void raft_tick_transfer(struct raft *raft);
void raft_on_timeout_now(struct raft *raft, const struct raft_message *message);

#endif
