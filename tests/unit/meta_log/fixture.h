// A log with everything it tells written down, and entries whose bytes follow from their position.
// All memory belongs to the test, so it survives the crash of a simulated node.
#ifndef GEMINGA_TESTS_UNIT_META_LOG_FIXTURE_H
#define GEMINGA_TESTS_UNIT_META_LOG_FIXTURE_H

#include "meta/server/log/log.h"

enum { FIXTURE_ENTRIES_MAX = 6000, FIXTURE_BODY_MAX = 1200 << 10 };

struct fixture {
    struct meta_log_events events;
    struct meta_log_replay replay;
    struct meta_log_options options;
    struct meta_log *log;
    struct meta_log_found found;
    struct rt_why why;
    // What replay gave, from found.base on.
    size_t count;
    uint64_t terms[FIXTURE_ENTRIES_MAX];
    bool is_garbled;  // an entry out of order, or with other bytes than its position tells
    // What the log told.
    uint64_t log_version, hard_version;
    uint64_t loaded_first;
    size_t loaded_count;
    unsigned loads, empty_loads;
    bool failed;
    char failure[256];
    void (*told)(struct fixture *fixture);  // after each of them; may be NULL
};

// Mostly small, some tens of kilobytes, a few above a megabyte.
size_t fixture_body_size(struct raft_position at);
struct raft_entry fixture_entry(struct raft_position at);
void fixture_init(struct fixture *fixture, const char *directory);
// Opens and replays.
rt_err fixture_open(struct fixture *fixture, struct rt_machine *machine, struct rt_loop *loop);
struct raft_position fixture_last(const struct fixture *fixture);  // that was found
// One numbered write of `count` entries of `term` from `first` on.
void fixture_write(struct fixture *fixture, uint64_t version, uint64_t truncate_from,
                   struct raft_position first, size_t count);
void fixture_reset(struct fixture *fixture, uint64_t version, struct raft_position base,
                   uint64_t term, size_t count);

#endif
