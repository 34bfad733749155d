// Loads: an extent on its way from the disk. Reads of its entries share it.
#ifndef GEMINGA_BOOKIE_SERVER_STORE_LOADS_H
#define GEMINGA_BOOKIE_SERVER_STORE_LOADS_H

#include "bookie/server/store/store_internal.h"

struct bookie_load {
    struct rt_list link;  // in reads->loads
    struct rt_list queue_link;
    struct bookie_store *store;
    struct bookie_reads *reads;
    struct bookie_location location;
    bool is_covered;  // by a newer extent, or outdated: not for the cache
    bool is_queued;
    struct rt_list ops;  // struct bookie_read_op; none: read ahead
    // Of the worker.
    struct rt_work work;
    struct bookie_file *file;  // used
    struct rt_file *opened;    // by it
    struct rt_slab *slab;
    size_t charge;
    struct bookie_extent extent;
    rt_err err;
};

// RT_EAGAIN: the file is gone since it was looked up; look again.
RT_CHECK
rt_err bookie_load_start(struct bookie_reads *reads, const struct bookie_location *location,
                         bool is_covered, struct bookie_load **load);
// Called by loads.c when it has ended, with its operations still in it; frees nothing.
void bookie_reads_loaded(struct bookie_load *load);
// Reads the extent through a file. `memory` has room for the header and the plain payload.
RT_CHECK
rt_err bookie_extent_read_now(struct rt_file *file, const struct bookie_location *location,
                              uint8_t *memory, struct bookie_extent *extent);

// Reads of one ledger that are under way.
struct bookie_target {
    struct bookie_read_op *op;  // NULL: canceled
    int64_t entry;
    uint64_t before;
    unsigned ahead;
    struct bookie_location location;
    bool is_covered;
    rt_err err;
};
enum { BOOKIE_TARGETS_MAX = 64, BOOKIE_AHEAD_MAX = 8 };
struct bookie_ahead {
    struct bookie_location location;
    bool is_covered;
};
struct bookie_reads {
    struct rt_list link;  // in store->reading.groups
    struct bookie_store *store;
    struct bookie_ledger *ledger;
    struct rt_list waiting;  // struct bookie_read_op, for the next lookup
    struct rt_list loads;
    bool is_outdated;  // the lookup under way has to be done again
    // The lookup.
    bool is_looking;
    struct rt_work work;
    int64_t ledger_id;
    uint32_t span_max;
    uint64_t removals;
    struct bookie_target targets[BOOKIE_TARGETS_MAX];
    unsigned target_count;
    struct bookie_ahead ahead[BOOKIE_AHEAD_MAX];
    unsigned ahead_count;
};

#endif
