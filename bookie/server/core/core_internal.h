// The inside of the core: what its files share. Private to bookie/server/core.
//
//   core.c       life, calls in and out, loading of ledgers, the deferred task
//   add.c        adds: verdict, put, parking
//   append.c     the way into the journals, of all calls that need one
//   fence.c      keys and fences
//   read.c       entries: single, batch, lists
//   lac.c        explicit LACs: written and read
//   poll.c       long polls and piggyback reads
//   replay.c     journal records at start-up
//   records.c    the records' layout
//   forgotten.c  ledgers that were fenced and deleted
#ifndef GEMINGA_BOOKIE_SERVER_CORE_CORE_INTERNAL_H
#define GEMINGA_BOOKIE_SERVER_CORE_CORE_INTERNAL_H

#include "bookie/server/core/core.h"
#include "bookie/server/core/forgotten.h"
#include "bookie/server/core/records.h"
#include "runtime/hash.h"
#include "runtime/log.h"

// A CALL
//
//   RUNNING --> LOADING --> RUNNING --> PARKED --> APPENDING (adds)
//                                   --> FENCING, APPENDING --> READING (fencing reads)
//                                   --> POLLING --> WOKEN --> READING (long polls)
// and from each of them to IDLE: answered. A call in a list is in exactly one, by `link`.
enum bookie_call_state {
    CALL_IDLE,       // answered; not the core's
    CALL_RUNNING,    // in a function of the core right now
    CALL_LOADING,    // waits for its ledger's record, in load->waiting
    CALL_PARKED,     // an add that waits for room, in core->parked; nothing of it was done
    CALL_APPENDING,  // its record waits for room in the journal (journal->appends) or is under way
    CALL_FENCING,    // waits for another call's fence record, in core_ledger->fences
    CALL_POLLING,    // in core_ledger->polls, and by poll_link in core->polls
    CALL_QUEUED,     // a read, too many are under way: in core->reads
    CALL_READING,    // an entry is being read by a worker
    CALL_LISTING,
    CALL_WOKEN  // the task goes on with it, in core->woken
};

enum bookie_call_prefix { PREFIX_KEY = 1 << 0, PREFIX_FENCE = 1 << 1 };

// What a ledger has only while somebody waits for it; of ledger->user. The waiting hold the ledger.
struct core_ledger {
    bool is_fencing;        // the fence record is not durable yet
    struct rt_list fences;  // calls that wait for it
    struct rt_list polls;
};

struct core_journal {
    struct rt_list appends;  // calls whose records did not fit in, in their order
};

// A ledger whose record is being loaded, with the calls for it.
struct core_load {
    UT_hash_handle hh;
    int64_t id;
    struct bookie_core *core;
    struct bookie_ledger_op op;
    struct rt_list waiting;
};

struct bookie_core {
    struct rt_machine *machine;
    struct rt_loop *loop;
    struct bookie_core_options options;
    struct core_journal *journals;
    struct core_load *loads;
    struct rt_list parked, reads, polls, woken;
    struct rt_task task;
    bool task_queued;
    struct bookie_forgotten forgotten;  // fenced and deleted
    struct bookie_forgotten deleted;    // not fenced when that began
    bool read_only, room_for_recovery;
    bool has_failed;  // a journal: no write is answered OK any more
    bool is_congested;
    struct rt_log_limit log_limit;  // of what clients can cause again and again
    size_t under_way;               // calls, loads, and key records that nobody waits for
    struct rt_task *closed;
    struct bookie_core_stats stats;
};

// core.c
// Answers. The call may be gone when it returns.
void bookie_call_finish(struct bookie_call *call, enum proto_bk_code code);
// Before it waits with something of the request still to be used. False: over the budget.
RT_CHECK
bool bookie_call_try_keep(struct bookie_call *call);
void bookie_call_keep(struct bookie_call *call);
void bookie_call_let_frame_go(struct bookie_call *call);
void bookie_call_wake(struct bookie_call *call);  // to the task; off its list
void bookie_core_run_later(struct bookie_core *core);
void bookie_core_maybe_closed(struct bookie_core *core);
void bookie_core_see_congestion(struct bookie_core *core);

// add.c
enum proto_bk_code bookie_add_check(struct bookie_call *call);
void bookie_add_run(struct bookie_call *call);
void bookie_add_pump(struct bookie_core *core);

// append.c
static inline unsigned bookie_journal_index(const struct bookie_core *core, int64_t ledger) {
    return (unsigned)((uint64_t)ledger % core->options.journal_count);
}
void bookie_append_start(struct bookie_call *call);
bool bookie_append_is_held_up(const struct bookie_core *core, int64_t ledger);
void bookie_append_pump(struct bookie_core *core);

// fence.c
bool bookie_key_fits(const struct bookie_ledger *ledger, struct rt_bytes key);
// The first real key is kept, and of a new ledger any; true: it has to be remembered.
bool bookie_key_adopt(struct bookie_core *core, struct bookie_ledger *ledger, struct rt_bytes key,
                      bool is_new);
struct core_ledger *bookie_ledger_state(struct bookie_ledger *ledger);
void bookie_ledger_settle(struct bookie_ledger *ledger);  // frees the state if it is of no use
void bookie_fence_run(struct bookie_call *call);
void bookie_fence_appended(struct bookie_call *call, bool is_durable);

// read.c
enum proto_bk_code bookie_read_check(struct bookie_call *call);
void bookie_read_run(struct bookie_call *call);
void bookie_read_go(struct bookie_call *call);  // behind the fence, if there was one
// Reads one entry (-1: the last) into call->body_one; `then` is run, perhaps at once.
void bookie_entry_read(struct bookie_call *call, int64_t entry,
                       void (*then)(struct bookie_call *call, rt_err err));
void bookie_entry_answer(struct bookie_call *call, rt_err err);  // with what was read
enum proto_bk_code bookie_entry_code(const struct bookie_call *call, rt_err err);
int64_t bookie_entry_lac(struct rt_slice body);
void bookie_read_pump(struct bookie_core *core);
void bookie_list_run(struct bookie_call *call);

// lac.c
enum proto_bk_code bookie_lac_write_check(struct bookie_call *call);
void bookie_lac_write_run(struct bookie_call *call);
void bookie_lac_read_run(struct bookie_call *call);
int64_t bookie_explicit_lac_of(struct rt_bytes body);  // -1: too short
int64_t bookie_lac_known(const struct bookie_ledger *ledger);
bool bookie_lac_set(struct bookie_core *core, struct bookie_ledger *ledger, struct rt_bytes body);

// poll.c
bool bookie_poll_is(const struct bookie_call *call);
void bookie_poll_run(struct bookie_call *call);
void bookie_poll_answer(struct bookie_call *call);
void bookie_polls_wake(struct bookie_core *core, struct bookie_ledger *ledger, bool all);

#endif
