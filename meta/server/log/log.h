// The Raft log on disk: segments with group commit, the hard state, and recovery that tells a torn
// tail from corruption.
//
// One write and sync is under way at a time; what is asked for meanwhile goes with the next, so a
// batch needs no timer. Completions are numbers (raft.h): all writes up to that version are
// durable. A failed write or sync is final: `failed` is called once and the node has to stop.
//
// Recovery (section 6 of the Raft sheet): a record that does not verify ends the log. It was torn
// if nothing behind it verifies and it lies beyond everything known durable: it is cut, with a log
// line. Otherwise acknowledged entries are damaged: nothing is destroyed (the damaged segments are
// renamed aside), and found.claimed_last makes the core repair itself from its peers; a node that
// is alone refuses to start and says which record of which file is damaged.
//
// Loop: the node's. The formats are described in log/segment.h and log/hard_state.h.
#ifndef GEMINGA_META_SERVER_LOG_LOG_H
#define GEMINGA_META_SERVER_LOG_LOG_H

#include "meta/raft/raft.h"
#include "runtime/file.h"

struct meta_log;

struct meta_log_events {
    void (*hard_state_written)(struct meta_log_events *events, uint64_t version);
    void (*log_written)(struct meta_log_events *events, uint64_t version);
    // Answers a load as raft_event.loaded wants it; entries are borrowed for the call, their
    // payloads counted.
    void (*loaded)(struct meta_log_events *events, const struct raft_load *load,
                   const struct raft_entry *entries, size_t count);
    void (*failed)(struct meta_log_events *events, rt_err err, const char *what);
};

struct meta_log_options {
    const char *directory;   // created if missing
    uint64_t cluster, node;  // in every segment: files of another are refused (RT_ECORRUPT)
    size_t segment_bytes;    // [16 MiB]; one entry always fits
    bool sync;               // [true must be given] false: ZooKeeper's forceSync=no
    bool is_alone;           // corruption cannot be repaired from peers: refuse to start
    struct meta_log_events *events;
};

struct meta_log_found {
    bool is_new;  // nothing was there
    struct raft_hard_state hard_state;
    struct raft_position base;          // just before the first entry
    struct raft_position claimed_last;  // see raft_found
};

// Blocks. Afterwards meta_log_replay_now hands over every entry, in order, in batches.
RT_CHECK
rt_err meta_log_open_now(struct rt_machine *machine, struct rt_loop *loop,
                         const struct meta_log_options *options, struct meta_log **log,
                         struct meta_log_found *found, struct rt_why *why);
struct meta_log_replay {
    rt_err (*each)(struct meta_log_replay *replay, const struct raft_entry *entries, size_t count,
                   struct rt_why *why);
};
RT_CHECK
rt_err meta_log_replay_now(struct meta_log *log, struct meta_log_replay *replay,
                           struct rt_why *why);

// A new log's first content, durable when it returns: see RAFT_FIRST_TERM.
RT_CHECK
rt_err meta_log_found_now(struct meta_log *log, const struct raft_entry *entry,
                          const struct raft_hard_state *hard_state, struct rt_why *why);

void meta_log_write_hard_state(struct meta_log *log, const struct raft_hard_state *hard_state);
void meta_log_write(struct meta_log *log, const struct raft_log_write *write);  // holds payloads
void meta_log_load(struct meta_log *log, const struct raft_load *load);
// Entries up to `index` may go; segments that hold only such are reused or removed.
void meta_log_release(struct meta_log *log, uint64_t index);

struct meta_log_stats {
    uint64_t segments, bytes, appends, syncs, entries, sync_ns_last, sync_ns_max;
};
struct meta_log_stats meta_log_stats(const struct meta_log *log);

// On the loop; waits for what is under way, then `closed` runs and the log is freed.
void meta_log_close(struct meta_log *log, struct rt_task *closed);

#endif
