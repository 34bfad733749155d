// When sessions die of silence: the leader's timers. Pure; times are given.
//
// Time goes in ticks, as ZooKeeper's does: a session whose timeout is T is found due between T and
// one tick later, never before T. A touch is one look-up and one store: entries move to their real
// place only when the tick comes for which they were filed.
#ifndef GEMINGA_META_SERVER_REPLICA_EXPIRY_H
#define GEMINGA_META_SERVER_REPLICA_EXPIRY_H

#include <stdint.h>

#include "runtime/list.h"

struct meta_expiry;

struct meta_expiry *meta_expiry_new(uint64_t tick_ns);
void meta_expiry_free(struct meta_expiry *expiry);
void meta_expiry_clear(struct meta_expiry *expiry);
size_t meta_expiry_count(const struct meta_expiry *expiry);

// Adds it, or gives it a new timeout and a whole one from now.
void meta_expiry_add(struct meta_expiry *expiry, int64_t session, uint64_t timeout_ns,
                     uint64_t now_ns);
void meta_expiry_touch(struct meta_expiry *expiry, int64_t session, uint64_t now_ns);  // if known
void meta_expiry_remove(struct meta_expiry *expiry, int64_t session);

// Calls `due` for each session whose time is over, in the order of being filed. Each stays known
// and is due again after another timeout, unless removed or touched.
struct meta_expiry_due {
    void (*due)(struct meta_expiry_due *due, int64_t session);
};
void meta_expiry_run(struct meta_expiry *expiry, uint64_t now_ns, struct meta_expiry_due *due);

#endif
