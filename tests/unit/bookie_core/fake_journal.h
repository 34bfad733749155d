// A journal in memory whose disk does what the test says. Takes the place of bookie_journal_*.
#ifndef GEMINGA_TESTS_UNIT_BOOKIE_CORE_FAKE_JOURNAL_H
#define GEMINGA_TESTS_UNIT_BOOKIE_CORE_FAKE_JOURNAL_H

#include <stdbool.h>

#include "bookie/server/journal/journal.h"

enum { FAKE_RECORDS_MAX = 4096 };

struct fake_record {
    struct rt_buf bytes;
    struct bookie_journal_op *op;  // NULL: was told
    bool is_force, is_deferred, is_written, is_durable;
};

struct bookie_journal {
    struct rt_loop *loop;
    struct rt_task task;
    bool task_queued;
    bool holds;        // nothing is written ...
    bool holds_syncs;  // ... or only not synced ...
    bool fails;        // ... or the disk is broken
    bool was_busy;
    unsigned room;  // appends that are taken until RT_EBUSY
    unsigned count, told;
    struct fake_record records[FAKE_RECORDS_MAX];
};

void fake_journal_open(struct bookie_journal *journal, struct rt_loop *loop);
void fake_journal_close(struct bookie_journal *journal);
void fake_journal_release(struct bookie_journal *journal);  // it goes on
// "key 1, entry 1/0, fence 2, lac 3, force": what it was given, in order, durable or not.
void fake_journal_print(const struct bookie_journal *journal, struct rt_buf *text);

#endif
