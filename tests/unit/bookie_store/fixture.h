// A store on the real machine or on the simulated one, whose calls wait for their answers. Bodies
// follow from ledger, entry and version, so that what is read tells what was put. All memory of the
// fixture belongs to the test and survives the crash of a simulated node.
#ifndef GEMINGA_TESTS_UNIT_BOOKIE_STORE_FIXTURE_H
#define GEMINGA_TESTS_UNIT_BOOKIE_STORE_FIXTURE_H

#include "bookie/server/store/store.h"
#include "runtime/latch.h"
#include "runtime/log.h"
#include "tests/sim/disk_world.h"

enum { FIXTURE_DIRS = 2 };

struct fixture {
    bool is_real;
    struct disk_world world;     // simulated
    struct rt_machine *machine;  // real
    char root[64];
    char dirs[FIXTURE_DIRS][96];
    char index[96];
    const char *dir_list[FIXTURE_DIRS];
    struct bookie_store_options options;
    struct bookie_store_events events;
    struct bookie_store *store;
    struct rt_why why;
    struct bookie_mark journal_end;  // of journal 0; the one of journal 1 is a segment later
    // What the store told.
    unsigned flushed, drained, failed;
    struct bookie_mark flushed_mark;  // of journal 0
    rt_err failed_err;
    // The piece under way.
    void (*piece)(struct fixture *fixture);
    struct rt_task task;
    struct rt_latch *latch;
    bool is_done;
    rt_err err;
    // Arguments and results of calls.
    int64_t ledger_id, entry, version, lac;
    size_t body_size;  // 0: from the entry
    unsigned ahead;
    struct bookie_ledger *ledger;
    struct bookie_ledger_op acquire;
    struct bookie_flush_op flush;
    struct bookie_read_op read;
    struct bookie_entries_op entries_op;
    struct bookie_ledger_list_op list;
    struct bookie_ledger_delete_op delete_op;
    int64_t found;
    bool body_is_right;
    int64_t ids[4096];
    size_t id_count;
    void *user;
};

void fixture_init_sim(struct fixture *fixture, uint64_t seed);
void fixture_init_real(struct fixture *fixture);
void fixture_fini(struct fixture *fixture);
void fixture_run(struct fixture *fixture, void (*piece)(struct fixture *fixture));  // and waits
void fixture_start(struct fixture *fixture, void (*piece)(struct fixture *fixture));
void fixture_wait(struct fixture *fixture);
void fixture_done(struct fixture *fixture, rt_err err);

struct rt_machine *fixture_machine(struct fixture *fixture);
// In a piece: just the call.
rt_err fixture_put_now(struct fixture *fixture, struct bookie_ledger *ledger, int64_t entry,
                       int64_t version);
rt_err fixture_try_open(struct fixture *fixture);
void fixture_open(struct fixture *fixture);
void fixture_close(struct fixture *fixture);
void fixture_crash(struct fixture *fixture, enum rt_sim_crash_kind kind);  // is not open then
void fixture_reopen(struct fixture *fixture);                              // closed and opened

size_t fixture_body_size(int64_t ledger, int64_t entry, int64_t version);
void fixture_body(int64_t ledger, int64_t entry, int64_t version, uint8_t *body, size_t size);
bool fixture_body_is(struct rt_bytes body, int64_t ledger, int64_t entry, int64_t version,
                     size_t size);

// Calls. Put waits for room as long as it takes.
rt_err fixture_put(struct fixture *fixture, int64_t ledger, int64_t entry, int64_t version);
void fixture_put_range(struct fixture *fixture, int64_t ledger, int64_t first, int64_t last);
rt_err fixture_flush(struct fixture *fixture);
// The version is checked, and fixture->body_is_right says what came of it.
rt_err fixture_read(struct fixture *fixture, int64_t ledger, int64_t entry, int64_t version);
void fixture_expect(struct fixture *fixture, int64_t ledger, int64_t first, int64_t last,
                    int64_t version);
rt_err fixture_delete(struct fixture *fixture, int64_t ledger);
rt_err fixture_entries(struct fixture *fixture, int64_t ledger);
rt_err fixture_list(struct fixture *fixture, int64_t from, size_t count_max);
// Holds: give it back with fixture_release.
struct bookie_ledger *fixture_acquire(struct fixture *fixture, int64_t ledger);
void fixture_release(struct fixture *fixture, struct bookie_ledger *ledger);
struct bookie_store_stats fixture_stats(struct fixture *fixture);

#endif
