// What was found in a log's directory, while it is judged. Private to meta/server/log/.
#ifndef GEMINGA_META_SERVER_LOG_RECOVER_H
#define GEMINGA_META_SERVER_LOG_RECOVER_H

#include "meta/server/log/log_internal.h"

// A file of the directory with a segment's name.
struct meta_found_segment {
    struct meta_log_segment *segment;
    bool is_valid;    // its header is
    bool is_void;     // a later one says so of all its entries
    uint64_t limit;   // entries behind are void
    bool is_walked;   // its entries count
    bool is_damaged;  // something behind its valid entries was valid once
};

// A position that was durable once, as said in a segment (or for it, in the hard state).
struct meta_claim {
    uint64_t number;
    struct raft_position at;
};

struct meta_walk {
    struct meta_log *log;
    struct meta_found_segment *items;  // by number
    size_t count;
    struct raft_position base, end;
    uint64_t end_chain;
    struct meta_found_segment *end_item;  // where it ended, or NULL
    uint64_t end_offset;
    // The batch that the end lies in was perhaps never synced.
    struct meta_found_segment *batch_item;
    uint64_t batch_at, batch_size;
    struct raft_position batch_before;
    struct raft_position claimed;  // the furthest of all claims
};

// recover_scan.c
RT_CHECK
rt_err meta_walk_scan_now(struct meta_walk *walk, struct rt_why *why);  // names and headers
RT_CHECK
rt_err meta_walk_read_now(struct meta_walk *walk, struct rt_why *why);  // entries and claims
void meta_walk_claim(struct meta_walk *walk, struct meta_claim claim);
void meta_walk_fini(struct meta_walk *walk);

#endif
