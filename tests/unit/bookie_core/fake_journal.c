#include "tests/unit/bookie_core/fake_journal.h"

#include <assert.h>

#include "bookie/server/core/records.h"

static void tell(struct bookie_journal *journal, struct fake_record *record, rt_err err) {
    struct bookie_journal_op *op = record->op;
    record->op = NULL;
    journal->told++;
    op->done(op, err);
}

static void task_run(struct rt_task *task) {
    struct bookie_journal *journal = rt_container_of(task, struct bookie_journal, task);
    unsigned end = journal->count;
    journal->task_queued = false;
    for (unsigned i = journal->told; i < end && !journal->holds; i++) {
        struct fake_record *record = &journal->records[i];
        record->is_written = !journal->fails;
        if (journal->holds_syncs && !record->is_deferred) return;
        record->is_durable = !journal->fails && !journal->holds_syncs;
        tell(journal, record, journal->fails ? RT_EIO : RT_OK);
    }
}

static void go_on(struct bookie_journal *journal) {
    if (journal->task_queued || journal->holds) return;
    journal->task_queued = true;
    rt_defer(journal->loop, &journal->task);
}

static rt_err take(struct bookie_journal *journal, struct bookie_journal_op *op,
                   const struct rt_bytes *parts, unsigned part_count, struct fake_record **taken) {
    if (journal->room == 0) {
        journal->was_busy = true;
        return RT_EBUSY;
    }
    assert(journal->count < FAKE_RECORDS_MAX);
    journal->room--;
    struct fake_record *record = *taken = &journal->records[journal->count++];
    *record = (struct fake_record){.op = op};
    for (unsigned i = 0; i < part_count; i++) rt_buf_append(&record->bytes, parts[i]);
    go_on(journal);
    return RT_OK;
}

rt_err bookie_journal_append(struct bookie_journal *journal, struct bookie_journal_op *op,
                             const struct rt_bytes *parts, unsigned part_count) {
    struct fake_record *record;
    return take(journal, op, parts, part_count, &record);
}

rt_err bookie_journal_append_deferred(struct bookie_journal *journal, struct bookie_journal_op *op,
                                      const struct rt_bytes *parts, unsigned part_count) {
    struct fake_record *record;
    rt_err err = take(journal, op, parts, part_count, &record);
    if (!err) record->is_deferred = true;
    return err;
}

rt_err bookie_journal_force(struct bookie_journal *journal, struct bookie_journal_op *op) {
    struct fake_record *record;
    rt_err err = take(journal, op, NULL, 0, &record);
    if (!err) record->is_force = true;
    return err;
}

void fake_journal_open(struct bookie_journal *journal, struct rt_loop *loop) {
    *journal = (struct bookie_journal){.loop = loop, .room = UINT32_MAX};
    rt_task_init(&journal->task, task_run, "fake.journal");
}

void fake_journal_close(struct bookie_journal *journal) {
    for (unsigned i = 0; i < journal->count; i++) {
        assert(!journal->records[i].op);
        rt_buf_fini(&journal->records[i].bytes);
    }
    journal->count = 0;
}

void fake_journal_release(struct bookie_journal *journal) {
    journal->holds = journal->holds_syncs = false;
    go_on(journal);
}

void fake_journal_print(const struct bookie_journal *journal, struct rt_buf *text) {
    static const char *const names[] = {"entry", "key", "fence", "lac", "other"};
    for (unsigned i = 0; i < journal->count; i++) {
        const struct fake_record *record = &journal->records[i];
        struct bookie_record read;
        rt_buf_print(text, i ? ", " : "");
        if (record->is_force) {
            rt_buf_print(text, "force");
            continue;
        }
        rt_err err = bookie_record_read(rt_buf_bytes(&record->bytes), &read);
        assert(!err);
        rt_buf_print(text, "%s %lld", names[read.kind], (long long)read.ledger);
        if (read.kind == BOOKIE_RECORD_ENTRY) rt_buf_print(text, "/%lld", (long long)read.entry);
    }
}
