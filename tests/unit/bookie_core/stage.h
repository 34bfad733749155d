// A core on a fake store and fake journals, on a simulated node. Calls are numbered; what is
// answered is a line of text: "number:CODE", then of what there is "=payload", ",payload" for each
// further one, "@entry" where that is not the asked one, "lac=max LAC", and so on.
#ifndef GEMINGA_TESTS_UNIT_BOOKIE_CORE_STAGE_H
#define GEMINGA_TESTS_UNIT_BOOKIE_CORE_STAGE_H

#include "bookie/server/core/core.h"
#include "runtime/sim/sim.h"
#include "tests/unit/bookie_core/fake_journal.h"
#include "tests/unit/bookie_core/fake_store.h"

enum { STAGE_CALLS = 256, STAGE_JOURNALS = 2, STAGE_LOG = 1 << 16, STAGE_KEY = 20 };

struct stage_call {
    struct bookie_call call;
    struct stage *stage;
    unsigned number;
    bool is_used;
};

struct stage {
    struct rt_sim_program program;
    struct rt_sim *sim;
    struct rt_sim_node *node;
    struct rt_machine *machine;
    struct rt_loop *loop;
    struct bookie_store store;
    struct bookie_journal journals[STAGE_JOURNALS];
    struct bookie_journal *journal_table[STAGE_JOURNALS];
    struct bookie_core_options options;  // may be changed before stage_open
    struct bookie_core *core;
    struct bookie_core_events events;
    struct rt_task closed;
    bool is_closed;
    struct stage_call calls[STAGE_CALLS];
    unsigned answers;
    void (*answered)(struct stage *stage, struct stage_call *call);  // beside the log; may be NULL
    char log[STAGE_LOG];
    size_t log_size;
};

struct stage *stage_new(void);          // not opened yet: options may still be changed
struct stage *stage_open(void);         // both
void stage_start(struct stage *stage);  // the core
void stage_stop(struct stage *stage);   // and store and journals stay
void stage_close(struct stage *stage);  // checks that everything was given back, and frees

void stage_act(struct stage *stage, void (*run)(struct stage *stage));  // on the loop; settles
void stage_run(struct stage *stage, uint64_t ms);
void stage_journals_release(struct stage *stage);
void stage_store_release(struct stage *stage);
void stage_drained(struct stage *stage);  // tells the core that there is room again

// What was answered since the last time.
void stage_expect(struct stage *stage, const char *expected);
void stage_expect_journal(struct stage *stage, unsigned journal, const char *expected);

// CALLS. The key is KEY unless the request has one.
void stage_ask(struct stage *stage, unsigned number, const struct proto_bk_request *request);
void stage_abandon(struct stage *stage, unsigned number);
struct rt_bytes stage_key(char letter);  // twenty times
void stage_add(struct stage *stage, unsigned number, int64_t ledger, int64_t entry, unsigned flags);
void stage_add_lac(struct stage *stage, unsigned number, int64_t ledger, int64_t entry,
                   int64_t lac);
void stage_add_key(struct stage *stage, unsigned number, int64_t ledger, int64_t entry,
                   struct rt_bytes key);
void stage_read(struct stage *stage, unsigned number, int64_t ledger, int64_t entry);
void stage_fence(struct stage *stage, unsigned number, int64_t ledger, int64_t entry);
void stage_batch(struct stage *stage, unsigned number, int64_t ledger, int64_t entry, int32_t count,
                 int64_t size);
void stage_simple(struct stage *stage, unsigned number, enum proto_bk_kind kind, int64_t ledger);
void stage_write_lac(struct stage *stage, unsigned number, int64_t ledger, int64_t lac);
void stage_poll(struct stage *stage, unsigned number, int64_t ledger, int64_t previous_lac,
                int64_t timeout_ms, unsigned flags);
// The body of an entry: ids, LAC, then "e<entry>".
struct rt_bytes stage_body(int64_t ledger, int64_t entry, int64_t lac, struct rt_buf *buf);

#endif
