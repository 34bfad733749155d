// One core without a driver: the test hands it events and looks at the effects. It is node 1.
#ifndef GEMINGA_TESTS_UNIT_RAFT_SOLO_H
#define GEMINGA_TESTS_UNIT_RAFT_SOLO_H

#include "meta/raft/bugs.h"
#include "meta/raft/raft.h"

enum { SOLO_ENTRIES_MAX = 32 };

struct solo {
    struct raft_options options;
    struct raft_found found;
    struct raft_config config;
    struct raft *raft;
    const struct raft_effects *fx;  // of the last step
    struct raft_status status;
    uint64_t hard_state_version, log_version;  // handed out
    uint64_t log_done;
};

// Voters 1 .. voters; the log has an entry for each term given, the first the configuration.
void solo_init(struct solo *f, unsigned voters);
void solo_open(struct solo *f, const uint64_t *terms, size_t count);
#define SOLO_OPEN(f, ...)                         \
    solo_open(f, (const uint64_t[]){__VA_ARGS__}, \
              sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))
void solo_close(struct solo *f);

rt_err solo_step(struct solo *f, const struct raft_event *event);
void solo_tick(struct solo *f, unsigned ticks);
rt_err solo_receive(struct solo *f, struct raft_message message);  // `to` is filled in
void solo_hard_state_written(struct solo *f);
void solo_log_written(struct solo *f);
rt_err solo_propose(struct solo *f, const char *text);
rt_err solo_read(struct solo *f, uint64_t context);

// The first message of the kind to `to` (0: anybody) among the effects of the last step, or NULL.
const struct raft_message *solo_sent(const struct solo *f, enum raft_message_kind kind,
                                     uint64_t to);

void solo_lead(struct solo *f);  // elected by all, its no-op written but not acknowledged
void solo_acknowledge(struct solo *f, uint64_t from, uint64_t index);
void solo_append(struct solo *f, uint64_t from, uint64_t term, struct raft_position prev,
                 const struct raft_entry *entries, size_t count, uint64_t commit);
struct raft_entry solo_entry(uint64_t index, uint64_t term);

#endif
