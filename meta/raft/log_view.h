// The core's view of its log: terms of all entries, the recent entries themselves, what is durable.
// Private to meta/raft.
//
//     base.index          cached_first       durable              last
//  ------|--------------------|-----------------|-------------------|
//  gone    on disk, terms only  in memory too     in memory, written now
//
// Invariants: base.index <= durable <= last; base.index < cached_first <= last + 1; an entry that
// is not durable is in memory. Terms never fall along the log.
#ifndef GEMINGA_META_RAFT_LOG_VIEW_H
#define GEMINGA_META_RAFT_LOG_VIEW_H

#include "meta/raft/entry.h"

// Entries from `first` to the next run's first have this term. As many runs as leaders wrote.
struct raft_term_run {
    uint64_t first, term;
};

// A write that was handed out and is not reported yet.
struct raft_log_pending {
    uint64_t version;
    uint64_t last;  // durable up to here when it is; lowered by truncations that come later
};

struct raft_log {
    struct raft_position base;
    uint64_t last, durable;
    uint64_t cached_first;
    size_t cached_bytes;
    struct raft_entry *ring;  // entry i is at i & (ring_size - 1)
    uint64_t ring_size;       // a power of two, or 0
    struct raft_term_run *runs;
    size_t run_count, run_capacity;
    struct raft_log_pending *pending;  // by version
    size_t pending_count, pending_capacity;
    uint64_t version;  // of the newest write
    struct {           // what this step adds to the newest write
        bool begun, reset;
        uint64_t truncate_from, append_from;
    } write;
    bool bug_stale_reports;  // RAFT_BUG_WRITTEN_BY_INDEX
};

void raft_log_init(struct raft_log *log, struct raft_position base);
void raft_log_fini(struct raft_log *log);

struct raft_position raft_log_last(const struct raft_log *log);
// False: compacted, or not there yet.
bool raft_log_term(const struct raft_log *log, uint64_t index, uint64_t *term);
bool raft_log_has(const struct raft_log *log, struct raft_position at);
const struct raft_entry *raft_log_cached(const struct raft_log *log, uint64_t index);
// The latest position at or before `at.index` whose term is not above at.term (fast backtracking).
struct raft_position raft_log_hint(const struct raft_log *log, struct raft_position at);

// The entry follows the last one. Holds its payload.
void raft_log_append(struct raft_log *log, const struct raft_entry *entry);
void raft_log_restore(struct raft_log *log, const struct raft_entry *entry);  // found on disk
void raft_log_truncate(struct raft_log *log, uint64_t from);
void raft_log_reset(struct raft_log *log, struct raft_position base);
void raft_log_compact(struct raft_log *log, uint64_t to);  // base becomes `to`
// Drops the oldest entries from memory while there are more than bytes_max, none behind `limit`.
void raft_log_evict(struct raft_log *log, uint64_t limit, size_t bytes_max);

// The write that must be done for `index` to be durable; 0: it is.
uint64_t raft_log_version_for(const struct raft_log *log, uint64_t index);
void raft_log_end_write(struct raft_log *log);  // at the end of a step
void raft_log_written(struct raft_log *log, uint64_t version);
size_t raft_entry_weight(const struct raft_entry *entry);  // in memory
// Against the budget of uncommitted proposals; what the core itself appends is free.
size_t raft_entry_cost(enum raft_entry_kind kind, size_t size);
void raft_log_assert(const struct raft_log *log);

#endif
