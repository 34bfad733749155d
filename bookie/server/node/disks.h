// How full the disks are, and what follows: a full ledger directory gets no new files; with any, or
// all of them full (the configuration says which), the bookie is read-only until they are below the
// low-water mark again. Section 5.7 of the BookKeeper sheet.
//
// Loop: the bookie's; the disks are asked on a worker.
#ifndef GEMINGA_BOOKIE_SERVER_NODE_DISKS_H
#define GEMINGA_BOOKIE_SERVER_NODE_DISKS_H

#include "bookie/server/node/bk_config.h"
#include "runtime/file.h"

struct bookie_disk {
    const char *path;
    struct rt_disk_space space;
    unsigned used;  // thousandths
    bool is_full, is_warned;
    rt_err err;  // it cannot be asked
};

// PURE: how the marks move the state.
struct bookie_disk_limits {
    unsigned full, warn, low;  // thousandths
    bool any;                  // one full disk is enough
};
unsigned bookie_disk_used(struct rt_disk_space space);
// Sets is_full (which lasts until the disk is below `low`) and is_warned of each from its space.
// True: the bookie has to be read-only.
bool bookie_disks_judge(struct bookie_disk *disks, unsigned count,
                        const struct bookie_disk_limits *limits);

struct bookie_disks;
struct bookie_disks_events {
    // After each look; disks are in the order of the configuration's ledger directories.
    void (*looked)(struct bookie_disks_events *events, bool read_only);
    void (*failed)(struct bookie_disks_events *events, rt_err err, const char *what);
};
// The first look is now (blocks); the next ones follow by themselves.
RT_CHECK
rt_err bookie_disks_open_now(struct rt_machine *machine, struct rt_loop *loop,
                             const struct bookie_config *config, struct bookie_disks_events *events,
                             struct bookie_disks **disks, struct rt_why *why);
const struct bookie_disk *bookie_disks_all(const struct bookie_disks *disks, unsigned *count);
bool bookie_disks_read_only(const struct bookie_disks *disks);
// Sums over file systems, each once.
struct rt_disk_space bookie_disks_space(const struct bookie_disks *disks);
void bookie_disks_look(struct bookie_disks *disks);  // soon, besides the timer
void bookie_disks_close(struct bookie_disks *disks, struct rt_task *closed);

#endif
