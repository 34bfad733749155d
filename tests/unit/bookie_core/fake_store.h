// A store in memory whose caches and disks do what the test says. Takes the place of
// bookie_store_* and bookie_ledger_*.
#ifndef GEMINGA_TESTS_UNIT_BOOKIE_CORE_FAKE_STORE_H
#define GEMINGA_TESTS_UNIT_BOOKIE_CORE_FAKE_STORE_H

#include "bookie/server/store/store.h"

struct fake_entry {
    struct rt_list link;
    int64_t id;
    struct rt_buf body;
};

struct fake_ledger {
    struct rt_list link;
    struct bookie_ledger ledger;
    struct rt_list entries;  // ascending
    bool is_in_memory;
};

struct bookie_store {
    struct rt_loop *loop;
    struct rt_list ledgers, loads, reads, lists;
    struct rt_task task;
    bool task_queued;
    bool is_cold;   // ledgers are not in memory until they were loaded
    bool is_slow;   // entries are not in the caches
    bool holds;     // workers stand still
    unsigned room;  // puts that are taken until RT_EBUSY
    unsigned room_after_flush;
    rt_err load_err, put_err, read_err;
    unsigned loads_done, reads_done, flushes, changes, holds_count;
};

void fake_store_open(struct bookie_store *store, struct rt_loop *loop);
void fake_store_close(struct bookie_store *store);    // asserts that nothing is held
void fake_store_release(struct bookie_store *store);  // workers go on
struct bookie_ledger *fake_store_ledger(struct bookie_store *store, int64_t id);
struct fake_entry *fake_store_entry(struct bookie_store *store, int64_t ledger, int64_t entry);
void fake_store_delete(struct bookie_store *store, int64_t id);  // as GC does

#endif
