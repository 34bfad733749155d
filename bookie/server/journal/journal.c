#include "bookie/server/journal/journal.h"

#include <stdio.h>

#include "bookie/server/journal/journal_internal.h"
#include "runtime/log.h"

// OPENING

static size_t size_or(size_t size, size_t fallback) {
    return size ? size : fallback;
}

static void begin_run(struct rt_task *task) {
    struct bookie_journal *journal = rt_container_of(task, struct bookie_journal, begin);
    journal->is_beginning = false;
    bookie_journal_upkeep_start(journal);
    bookie_journal_maybe_close(journal);
}

static void limits_set(struct bookie_journal *journal,
                       const struct bookie_journal_options *options) {
    size_t segment_bytes = size_or(options->segment_bytes, 64 << 20);
    if (segment_bytes < JOURNAL_SEGMENT_BYTES_MIN) segment_bytes = JOURNAL_SEGMENT_BYTES_MIN;
    journal->segment_bytes = (size_t)bookie_journal_page_up(segment_bytes);
    journal->batch_bytes = journal->segment_bytes - JOURNAL_PAGE;
    if (journal->batch_bytes > BOOKIE_JOURNAL_BATCH) journal->batch_bytes = BOOKIE_JOURNAL_BATCH;
    journal->queue_bytes_max = size_or(options->queue_bytes_max, 64 << 20);
    journal->spare_max = options->spare_max ? options->spare_max : 4;
    if (journal->spare_max > JOURNAL_SPARE_MAX) journal->spare_max = JOURNAL_SPARE_MAX;
}

static struct bookie_journal *journal_new(struct rt_machine *machine, struct rt_loop *loop,
                                          const struct bookie_journal_options *options) {
    struct bookie_journal *journal = RT_NEW(struct bookie_journal);
    journal->machine = machine;
    journal->loop = loop;
    journal->directory = rt_strdup(options->directory);
    journal->owner = options->owner;
    journal->sync = options->sync;
    journal->planted_no_sync = options->planted_no_sync;
    journal->events = options->events;
    limits_set(journal, options);
    rt_list_init(&journal->segments);
    rt_list_init(&journal->retired);
    rt_list_init(&journal->queue);
    rt_list_init(&journal->upkeep.retired);
    rt_flush_init(&journal->flush, bookie_journal_flush, "journal.flush");
    rt_timer_init(&journal->sync_timer, loop, bookie_journal_sync_fire, "journal.sync");
    rt_timer_init(&journal->retry_timer, loop, bookie_journal_retry_fire, "journal.retry");
    rt_task_init(&journal->begin, begin_run, "journal.begin");
    return journal;
}

static void files_close_now(struct bookie_journal *journal) {
    if (journal->tail && journal->tail->file) rt_file_close_now(journal->tail->file);
    if (journal->tail) journal->tail->file = NULL;
    if (journal->next) rt_file_close_now(journal->next->file);
    if (journal->next) journal->next->file = NULL;
    if (journal->old_file) rt_file_close_now(journal->old_file);
    journal->old_file = NULL;
    if (journal->lock) rt_dir_unlock(journal->lock);
    journal->lock = NULL;
}

static void segments_free(struct rt_list *list) {
    while (!rt_list_is_empty(list))
        bookie_journal_segment_free(bookie_journal_segment_at(rt_list_pop_front(list)));
}

static void journal_free(struct bookie_journal *journal) {
    assert(rt_list_is_empty(&journal->queue) && !journal->writing);
    for (unsigned i = 0; i < journal->idle_count; i++) bookie_journal_batch_free(journal->idle[i]);
    for (unsigned i = 0; i < journal->spare_count; i++) rt_free(journal->spares[i]);
    segments_free(&journal->segments);
    segments_free(&journal->retired);
    if (journal->next) bookie_journal_segment_free(journal->next);
    rt_free(journal->directory);
    rt_free(journal);
}

static rt_err open_now(struct bookie_journal *journal, struct rt_why *why) {
    rt_err err = rt_dir_create_now(journal->machine, journal->directory, why);
    if (!err) err = rt_dir_lock_now(journal->machine, journal->directory, &journal->lock, why);
    if (!err) err = bookie_journal_recover_now(journal, why);
    return err;
}

rt_err bookie_journal_open_now(struct rt_machine *machine, struct rt_loop *loop,
                               const struct bookie_journal_options *options,
                               struct bookie_mark from, struct bookie_journal **out,
                               struct rt_why *why) {
    struct bookie_journal *journal = journal_new(machine, loop, options);
    if (from.segment && from.offset < JOURNAL_PAGE) from.offset = JOURNAL_PAGE;
    journal->from = journal->reached = journal->released = from;
    rt_err err = open_now(journal, why);
    if (err) {
        files_close_now(journal);
        journal_free(journal);
        return rt_why_prefix(why, err, "opening the journal in %s", options->directory);
    }
    journal->is_beginning = true;
    rt_post(loop, &journal->begin);
    *out = journal;
    return RT_OK;
}

// APPENDING

rt_err bookie_journal_append(struct bookie_journal *journal, struct bookie_journal_op *op,
                             const struct rt_bytes *parts, unsigned part_count) {
    return bookie_journal_gather(journal, op, parts, part_count, false);
}

rt_err bookie_journal_append_deferred(struct bookie_journal *journal, struct bookie_journal_op *op,
                                      const struct rt_bytes *parts, unsigned part_count) {
    return bookie_journal_gather(journal, op, parts, part_count, true);
}

rt_err bookie_journal_force(struct bookie_journal *journal, struct bookie_journal_op *op) {
    if (journal->failed) return RT_EFAILED;
    if (journal->is_closing) return RT_ECLOSED;
    struct journal_batch *batch = bookie_journal_open_batch(journal);
    batch->is_forced = true;
    bookie_journal_op_add(batch, op);
    rt_flush_later(journal->loop, &journal->flush);
    return RT_OK;
}

// MARKS

// All before the tail is durable: its beginning is as good as the end of the one before, and lets
// go of that one. A mark never falls back behind one that was given.
struct bookie_mark bookie_journal_end(const struct bookie_journal *journal) {
    if (!journal->is_replayed) return journal->reached;
    uint64_t number = journal->tail->header.number;
    if (journal->durable.segment == number) return journal->durable;
    return (struct bookie_mark){number, JOURNAL_PAGE};
}

void bookie_journal_release(struct bookie_journal *journal, struct bookie_mark mark) {
    if (bookie_mark_compare(mark, journal->released) > 0) journal->released = mark;
    rt_list_each_safe (link, &journal->segments) {
        struct journal_segment *segment = bookie_journal_segment_at(link);
        if (segment == journal->tail || segment->header.number >= mark.segment) break;
        bookie_journal_segment_retire(journal, segment);
    }
    bookie_journal_upkeep_start(journal);
}

struct bookie_journal_stats bookie_journal_stats(const struct bookie_journal *journal) {
    struct bookie_journal_stats stats = journal->stats;
    struct bookie_mark released = journal->released;
    stats.queued_bytes = journal->queue_bytes;
    stats.segments = journal->segment_count;
    stats.spare_segments = journal->spare_count;
    rt_list_each (link, &journal->segments) {
        const struct journal_segment *segment = bookie_journal_segment_at(link);
        uint64_t number = segment->header.number;
        uint64_t from = number == released.segment ? released.offset : JOURNAL_PAGE;
        if (number >= released.segment && segment->end > from)
            stats.bytes_since_release += segment->end - from;
    }
    return stats;
}

// FAILING

void bookie_journal_fail(struct bookie_journal *journal, rt_err err, const char *what) {
    if (journal->failed) return;
    journal->failed = true;
    rt_timer_cancel(&journal->sync_timer);
    rt_timer_cancel(&journal->retry_timer);
    rt_log_error("journal", "given up directory=%s why=%s err=%s", journal->directory, what,
                 rt_err_name(err));
    journal->events->failed(journal->events, err, what);
    if (journal->state != JOURNAL_IDLE) return;  // what is under way ends first
    bookie_journal_queue_fail(journal);
    bookie_journal_maybe_close(journal);
}

// CLOSING: what was given is written, then a batch that says that all of it is durable.

static void close_run(struct rt_work *work) {
    files_close_now(rt_container_of(work, struct bookie_journal, close_work));
}

static void close_done(struct rt_work *work) {
    struct bookie_journal *journal = rt_container_of(work, struct bookie_journal, close_work);
    struct rt_loop *loop = journal->loop;
    struct rt_task *closed = journal->closed;
    rt_flush_forget(loop, &journal->flush);
    journal_free(journal);
    rt_post(loop, closed);
}

void bookie_journal_maybe_close(struct bookie_journal *journal) {
    if (!journal->is_closing || journal->is_ended || journal->is_beginning) return;
    if (journal->state != JOURNAL_IDLE || !rt_list_is_empty(&journal->queue)) return;
    if (journal->writing || journal->upkeep.is_busy) return;
    journal->is_ended = true;
    rt_timer_cancel(&journal->sync_timer);
    rt_timer_cancel(&journal->retry_timer);
    rt_work_submit(&journal->close_work, journal->loop, close_run, close_done, "journal.close");
}

void bookie_journal_close(struct bookie_journal *journal, struct rt_task *closed) {
    assert(!journal->is_closing);
    journal->closed = closed;
    if (!journal->failed) {
        bookie_journal_last_batch(journal);
        rt_flush_later(journal->loop, &journal->flush);
    }
    journal->is_closing = true;
    bookie_journal_maybe_close(journal);
}
