// Raft as a pure state machine: raft_step takes one event, raft_effects says what is to be done
// now. No I/O, no clock, no threads, no log; the same events in the same order give the same
// effects.
//
// The driver owns disk, connections and timers. After every step it carries out the effects in the
// order in which struct raft_effects lists them, and reports completions as events, each write once
// and in the order of the version numbers. It never starts a step inside another.
//
// Ownership: what an event points to is borrowed for the step; what the effects point to is
// borrowed until the next step. Who keeps an entry or a chunk longer holds its payload (entry.h).
// Memory is bounded by the options: the core keeps recent entries only and asks for older ones.
//
// Durability: a message leaves when what it `needs` is durable. An entry is applied only after this
// node's own disk has it, so that a stored applied index never points behind the log.
#ifndef GEMINGA_META_RAFT_RAFT_H
#define GEMINGA_META_RAFT_RAFT_H

#include "meta/raft/config.h"
#include "meta/raft/entry.h"
#include "meta/raft/message.h"

struct raft;

// START

struct raft_options {
    uint64_t id;
    uint64_t seed;                                     // entropy, another one at every start
    unsigned election_ticks;                           // T: timeouts are drawn from [T, 2T)
    unsigned heartbeat_ticks;                          // at most T / 3
    size_t entry_bytes_max;                            // larger proposals are refused
    size_t append_bytes_max, append_entries_max;       // per message; one entry always fits
    size_t inflight_bytes_max, inflight_messages_max;  // per follower
    size_t uncommitted_bytes_max;  // of proposals; then they are refused with RT_EBUSY
    size_t cache_bytes_max;        // of entries kept in memory beside those that have to be
    size_t apply_bytes_max;        // per batch; one batch is out at a time
    size_t snapshot_chunk_bytes;
    unsigned snapshot_chunks_ahead;  // sent and not acknowledged
    uint64_t trailing_entries;       // kept in the log behind a snapshot ...
    uint64_t lagging_entries_max;    // ... and at most so many for a live follower that is behind
    size_t reads_max;                // waiting at once
    unsigned planted_bugs;           // tests only (bugs.h)
};

struct raft_options raft_options_default(uint64_t id, uint64_t seed);

struct raft_hard_state {
    uint64_t version;  // counts writes of this life; not stored
    uint64_t term, vote;
    uint64_t commit;  // a hint, already durable in the log
};

// What was found on disk. A state machine behind the snapshot is replaced by it before.
struct raft_found {
    struct raft_hard_state hard_state;
    struct raft_position snapshot;     // zero: none
    const struct raft_config *config;  // of the snapshot; NULL: none
    struct raft_position log_base;     // just before the first entry on disk
    uint64_t applied;                  // by the state machine; at least snapshot.index
    // Set where corrupt entries were cut from the log's end: the last one that was ever
    // acknowledged. Until the log reaches it again the node neither campaigns nor votes for shorter
    // logs.
    struct raft_position claimed_last;
};

// raft_new, raft_restore with all entries behind log_base in order, then raft_start, whose effects
// are carried out like those of a step. RT_ECORRUPT: what was found does not fit together.
RT_CHECK
rt_err raft_new(const struct raft_options *options, const struct raft_found *found,
                struct raft **raft, struct rt_why *why);
RT_CHECK
rt_err raft_restore(struct raft *raft, const struct raft_entry *entries, size_t count,
                    struct rt_why *why);
RT_CHECK
rt_err raft_start(struct raft *raft, struct rt_why *why);
void raft_free(struct raft *raft);

// A new cluster: before its first start every founder stores the same log, one RAFT_CONFIG entry at
// {1, RAFT_FIRST_TERM}, with the hard state {term RAFT_FIRST_TERM, vote 0, commit 1}. Who joins
// later starts with nothing at all.
enum { RAFT_FIRST_TERM = 1 };

// EVENTS

enum raft_event_kind {
    RAFT_TICK,
    RAFT_RECEIVED,            // message
    RAFT_PROPOSED,            // proposals
    RAFT_HARD_STATE_WRITTEN,  // version
    RAFT_LOG_WRITTEN,         // version
    RAFT_LOADED,              // loaded
    RAFT_APPLIED,             // index: the batch that ends there was applied
    RAFT_READ_ASKED,          // read_context
    RAFT_TRANSFER_ASKED,      // peer, or 0: the best one
    RAFT_CONFIG_PROPOSED,     // config: voters and learners to be, index unused
    RAFT_SNAPSHOT_TAKEN,      // index: a durable snapshot of the state applied there exists
    RAFT_CHUNK_READ,          // chunk
    RAFT_CHUNK_WRITTEN,       // chunk_written
    RAFT_SNAPSHOT_INSTALLED,  // index
    RAFT_PEER_LOST            // peer: its connection broke, what was in flight is gone
};

struct raft_proposal {
    struct rt_bytes data;
    struct raft_payload *payload;
};

struct raft_event {
    enum raft_event_kind kind;
    union {
        const struct raft_message *message;
        struct {
            const struct raft_proposal *items;
            size_t count;
        } proposals;
        uint64_t version;
        struct {
            uint64_t peer, first;              // as asked
            const struct raft_entry *entries;  // from `first` on, at least one unless failed
            size_t count;
            bool failed;
        } loaded;
        uint64_t index;
        uint64_t read_context;
        uint64_t peer;
        const struct raft_config *config;
        struct {
            uint64_t peer;
            struct raft_position at;  // as asked
            uint64_t offset, total;
            struct rt_bytes data;
            struct raft_payload *payload;
            bool failed;
        } chunk;
        struct {
            uint64_t transfer;  // as asked
            uint64_t end;       // everything before is written; end == total: durable and verified
            bool failed;        // the transfer starts again
        } chunk_written;
    };
};

// Anything but RT_OK: the request was refused and nothing changed.
// RT_EAGAIN: not the leader (raft_status has the hint); RT_EBUSY: over a budget, or a transfer or
// change is under way; RT_EINVAL, RT_ETOOBIG: never; RT_EPROTO: a message that makes no sense.
RT_CHECK
rt_err raft_step(struct raft *raft, const struct raft_event *event);

// EFFECTS

// 1. One write: cut, then append. Numbered, and reported by its number alone: a number stands for
// one content, so a late report of an overwritten entry cannot be mistaken for the new one.
struct raft_log_write {
    uint64_t version;
    bool reset;  // drop the whole log; it then begins behind `base`
    struct raft_position base;
    uint64_t truncate_from;  // drop entries from here on; 0: none
    const struct raft_entry *entries;
    size_t entry_count;
};

// A load that fails is asked for again: a driver whose disk cannot be read stops the node instead.
struct raft_load {
    uint64_t peer;  // whom for; the own id: to apply
    uint64_t first, last;
    size_t bytes_max;  // stop before going over it, but answer at least one
};

enum raft_snapshot_kind {
    RAFT_SNAPSHOT_OPEN,  // keep the snapshot `at` readable for `peer` until CLOSE
    RAFT_SNAPSHOT_READ,  // chunk of it at offset: answer RAFT_CHUNK_READ
    RAFT_SNAPSHOT_CLOSE,
    RAFT_SNAPSHOT_WRITE,   // chunk of incoming snapshot `transfer`; offset 0 discards other
                           // transfers
    RAFT_SNAPSHOT_INSTALL  // make `at` the state machine's state: answer RAFT_SNAPSHOT_INSTALLED
};

struct raft_snapshot_effect {
    enum raft_snapshot_kind kind;
    uint64_t peer;
    struct raft_position at;
    uint64_t offset, total;
    size_t size_max;       // READ
    uint64_t transfer;     // WRITE, INSTALL
    struct rt_bytes data;  // WRITE
    struct raft_payload *payload;
    const struct raft_config *config;  // WRITE, INSTALL: store it with the snapshot
};

struct raft_read_done {
    uint64_t context;
    rt_err err;  // RT_ETIMEDOUT: no leader answered
    uint64_t index;
};

enum raft_role { RAFT_FOLLOWER, RAFT_PRE_CANDIDATE, RAFT_CANDIDATE, RAFT_LEADER };

struct raft_effects {
    // 1. Write, hard state first; both may go on while the rest is done.
    bool write_hard_state;
    struct raft_hard_state hard_state;
    bool write_log;
    struct raft_log_write log;
    // 2. Send each as soon as its needs are durable; any order, any may be lost.
    const struct raft_message *messages;
    size_t message_count;
    // 3. Read entries from the log (all of them durable).
    const struct raft_load *loads;
    size_t load_count;
    // 4. Snapshot work, in this order.
    const struct raft_snapshot_effect *snapshots;
    size_t snapshot_count;
    // 5. Apply these in order and report RAFT_APPLIED with the last index.
    const struct raft_entry *apply;
    size_t apply_count;
    // 6. Answer reads: everything up to their index is applied.
    const struct raft_read_done *reads;
    size_t read_count;
    // 7. Tell those who care.
    uint64_t proposed_first;           // index of the first of the accepted proposals; 0: none
    uint64_t log_unneeded_to;          // entries up to here may be deleted; 0: no news
    bool status_changed;               // role, term or leader
    bool removed;                      // told so by the leader: stop for good
    const struct raft_config *config;  // another one came into force; NULL: no news
};

const struct raft_effects *raft_effects(const struct raft *raft);

// QUESTIONS

struct raft_status {
    uint64_t id, term, leader;  // leader 0: unknown
    enum raft_role role;
    uint64_t commit, applied, last, durable;
    struct raft_position log_base, snapshot;
    size_t uncommitted_bytes, cached_bytes;
    bool repairing, ready;  // ready: leader with a committed entry of its term
    uint64_t transfer_to;
};

enum raft_progress { RAFT_PROBE, RAFT_REPLICATE, RAFT_SEND_SNAPSHOT };

struct raft_peer_status {
    uint64_t id, match, next;
    enum raft_progress progress;
    unsigned silent_ticks;
    uint64_t acked_round;
};

void raft_status(const struct raft *raft, struct raft_status *status);
const struct raft_config *raft_config(const struct raft *raft);  // in force
// What a snapshot of the applied index `index` stores besides the state. False: no longer known.
bool raft_snapshot_facts(const struct raft *raft, uint64_t index, struct raft_position *at,
                         const struct raft_config **config);
bool raft_peer_status(const struct raft *raft, uint64_t id, struct raft_peer_status *status);
const char *raft_role_name(enum raft_role role);

#endif
