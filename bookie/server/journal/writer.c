// Records are gathered where they will be written, and leave a batch at a time.
//
// A batch begins when nothing is under way, at the end of the turn, so that all that one turn
// brings leaves together; behind a write under way the next gathers by itself. One that is full
// does not wait for the end of the turn.
#include <stdio.h>
#include <string.h>

#include "bookie/server/journal/journal_internal.h"
#include "runtime/crc32c.h"

// Deferred records, and all of a journal that does not sync, are durable this much later.
static const uint64_t sync_ns = RT_NS_PER_S;

enum { WHAT_SIZE = 256 };

static struct journal_batch *batch_at(struct rt_list *link) {
    return rt_container_of(link, struct journal_batch, link);
}

// BATCHES

static struct journal_batch *batch_new(struct bookie_journal *journal) {
    if (!journal->idle_count) {
        struct journal_batch *batch = RT_NEW(struct journal_batch);
        rt_list_init(&batch->link);
        return batch;
    }
    struct journal_batch *batch = journal->idle[--journal->idle_count];
    uint8_t *memory = batch->memory;
    size_t capacity = batch->capacity;
    *batch = (struct journal_batch){.memory = memory, .capacity = capacity};
    rt_list_init(&batch->link);
    return batch;
}

void bookie_journal_batch_free(struct journal_batch *batch) {
    rt_free(batch->memory);
    rt_free(batch);
}

static void batch_put_away(struct bookie_journal *journal, struct journal_batch *batch) {
    bool is_usual = !batch->memory || batch->capacity == journal->batch_bytes;
    if (is_usual && journal->idle_count < JOURNAL_IDLE_MAX) {
        journal->idle[journal->idle_count++] = batch;
    } else {
        bookie_journal_batch_free(batch);
    }
}

static void batch_reserve(struct bookie_journal *journal, struct journal_batch *batch,
                          size_t size) {
    size_t capacity = (size_t)bookie_journal_page_up(JOURNAL_BATCH_HEADER_SIZE + size);
    if (capacity < journal->batch_bytes) capacity = journal->batch_bytes;
    if (batch->capacity < capacity) {
        rt_free(batch->memory);
        batch->memory = rt_alloc_aligned(RT_FILE_ALIGN, capacity);
        batch->capacity = capacity;
    }
    batch->size = JOURNAL_BATCH_HEADER_SIZE;
    journal->queue_memory += batch->capacity;
}

void bookie_journal_last_batch(struct bookie_journal *journal) {
    struct journal_batch *batch = batch_new(journal);
    rt_list_push_back(&journal->queue, &batch->link);
    batch->is_forced = true;
    batch->is_last = true;
}

struct journal_batch *bookie_journal_open_batch(struct bookie_journal *journal) {
    if (!rt_list_is_empty(&journal->queue)) return batch_at(journal->queue.prev);
    struct journal_batch *batch = batch_new(journal);
    rt_list_push_back(&journal->queue, &batch->link);
    return batch;
}

static bool batch_takes(const struct journal_batch *batch, size_t size) {
    return batch->size == 0 || size <= batch->capacity - batch->size;
}

static struct journal_batch *batch_for(struct bookie_journal *journal, size_t size) {
    struct journal_batch *batch = bookie_journal_open_batch(journal);
    if (!batch_takes(batch, size)) {
        batch = batch_new(journal);
        rt_list_push_back(&journal->queue, &batch->link);
    }
    if (batch->size == 0) batch_reserve(journal, batch, size);
    return batch;
}

void bookie_journal_op_add(struct journal_batch *batch, struct bookie_journal_op *op) {
    op->next = NULL;
    if (batch->ops.last) {
        batch->ops.last->next = op;
    } else {
        batch->ops.first = op;
    }
    batch->ops.last = op;
}

// GATHERING

// Whatever the limit is, one record always finds room: else a large one would wait for ever.
static bool is_full(const struct bookie_journal *journal, size_t size) {
    size_t limit = journal->queue_bytes_max;
    if (journal->queue_bytes == 0) return false;
    if (size > limit || journal->queue_bytes > limit - size) return true;
    bool needs_more =
        rt_list_is_empty(&journal->queue) || !batch_takes(batch_at(journal->queue.prev), size);
    return needs_more && journal->queue_memory > limit + BOOKIE_JOURNAL_BATCH;
}

static void batch_put(struct journal_batch *batch, const struct rt_bytes *parts,
                      unsigned part_count, size_t size) {
    uint8_t *begin = batch->memory + batch->size;
    struct rt_writer w = rt_writer_over(begin, batch->capacity - batch->size);
    rt_write_be32(&w, (uint32_t)(size - JOURNAL_RECORD_HEADER_SIZE));
    for (unsigned i = 0; i < part_count; i++) rt_write_bytes(&w, parts[i]);
    assert(!rt_writer_failed(&w) && w.written == size);
    batch->body_crc = rt_crc32c(batch->body_crc, RT_BYTES(begin, size));
    batch->size += size;
    batch->count++;
}

rt_err bookie_journal_gather(struct bookie_journal *journal, struct bookie_journal_op *op,
                             const struct rt_bytes *parts, unsigned part_count, bool is_deferred) {
    if (journal->failed) return RT_EFAILED;
    if (journal->is_closing) return RT_ECLOSED;
    assert(journal->is_replayed);
    size_t size = JOURNAL_RECORD_HEADER_SIZE;
    for (unsigned i = 0; i < part_count; i++) {
        assert(parts[i].size <= JOURNAL_RECORD_HEADER_SIZE + JOURNAL_RECORD_MAX - size);
        size += parts[i].size;
    }
    if (is_full(journal, size)) {
        journal->is_full = true;
        return RT_EBUSY;
    }
    struct journal_batch *batch = batch_for(journal, size);
    batch_put(batch, parts, part_count, size);
    if (!is_deferred) batch->has_plain = true;
    bookie_journal_op_add(batch, op);
    journal->queue_bytes += size;
    journal->stats.appends++;
    rt_flush_later(journal->loop, &journal->flush);
    return RT_OK;
}

// ENDING

static void ops_tell(struct journal_ops *ops, rt_err err) {
    while (ops->first) {
        struct bookie_journal_op *op = ops->first;
        ops->first = op->next;
        op->next = NULL;
        op->done(op, err);
    }
    ops->last = NULL;
}

static size_t batch_queued(const struct journal_batch *batch) {
    return batch->size ? batch->size - JOURNAL_BATCH_HEADER_SIZE : 0;
}

static void batch_end(struct bookie_journal *journal, struct journal_batch *batch, rt_err err) {
    journal->queue_bytes -= batch_queued(batch);
    if (batch->size) journal->queue_memory -= batch->capacity;
    struct journal_ops ops = batch->ops;
    batch_put_away(journal, batch);
    ops_tell(&ops, err);
}

// In order: what is under way first, so it has to have ended.
void bookie_journal_queue_fail(struct bookie_journal *journal) {
    assert(journal->failed);
    assert(journal->state == JOURNAL_IDLE && !journal->writing);
    while (!rt_list_is_empty(&journal->queue))
        batch_end(journal, batch_at(rt_list_pop_front(&journal->queue)), RT_EFAILED);
}

static void maybe_drained(struct bookie_journal *journal) {
    if (!journal->is_full || journal->queue_bytes > journal->queue_bytes_max / 2) return;
    journal->is_full = false;
    if (!journal->is_closing) journal->events->drained(journal->events);
}

// WRITING

static size_t padded_size(const struct journal_batch *batch) {
    return (size_t)bookie_journal_page_up(batch->size);
}

// A segment takes one batch of any size: an untouched one grows.
static bool fits(const struct bookie_journal *journal, const struct journal_batch *batch) {
    const struct journal_segment *tail = journal->tail;
    if (tail->end == JOURNAL_PAGE) return true;
    return tail->end < tail->size && padded_size(batch) <= tail->size - tail->end;
}

static bool has_bytes(const struct journal_batch *batch) {
    return batch->size > 0;
}

bool bookie_journal_is_waiting(const struct bookie_journal *journal) {
    if (journal->state != JOURNAL_IDLE || rt_list_is_empty(&journal->queue)) return false;
    const struct journal_batch *batch = batch_at(journal->queue.next);
    return has_bytes(batch) && !fits(journal, batch);
}

static bool wants_sync(const struct bookie_journal *journal, const struct journal_batch *batch) {
    if (batch->is_forced) return true;
    return journal->sync && (batch->has_plain || journal->unsynced_bytes >= JOURNAL_UNSYNCED_MAX);
}

static void batch_seal(struct bookie_journal *journal, struct journal_batch *batch) {
    const struct journal_segment *tail = journal->tail;
    struct journal_batch_header header = {
        .body_crc = batch->body_crc,
        .size = (uint32_t)batch->size,
        .count = batch->count,
        .at = {tail->header.number, tail->end},
        .before = journal->written,
        .durable = journal->durable,
    };
    bookie_journal_batch_encode(&header, tail->seed, batch->memory);
    memset(batch->memory + batch->size, 0, padded_size(batch) - batch->size);
}

static void op_ended(struct rt_file_op *op, rt_err err);

static void write_begin(struct bookie_journal *journal, struct journal_batch *batch) {
    rt_list_remove(&batch->link);
    journal->writing = batch;
    journal->state = JOURNAL_WRITING;
    journal->syncs = wants_sync(journal, batch);
    batch_seal(journal, batch);
    journal->part = RT_BYTES(batch->memory, padded_size(batch));
    journal->begun_ns = rt_loop_clock(journal->loop);
    rt_file_write(&journal->op, journal->tail->file, journal->tail->end, &journal->part, 1,
                  journal->syncs && !journal->planted_no_sync, op_ended);
}

static void sync_begin(struct bookie_journal *journal) {
    journal->state = JOURNAL_SYNCING;
    journal->begun_ns = rt_loop_clock(journal->loop);
    rt_file_sync(&journal->op, journal->tail->file, op_ended);
}

// The next segment becomes the tail. All of the old one is durable.
static void roll(struct bookie_journal *journal) {
    assert(journal->next && !journal->old_file && !journal->unsynced_bytes);
    struct journal_segment *old = journal->tail;
    journal->old_file = old->file;
    old->file = NULL;
    journal->tail = journal->next;
    journal->next = NULL;
    rt_list_push_back(&journal->segments, &journal->tail->link);
    journal->segment_count++;
    bookie_journal_upkeep_start(journal);
}

// A place for the batch. False: something has to end first.
static bool room_find(struct bookie_journal *journal, struct journal_batch *batch) {
    if (fits(journal, batch)) return true;
    if (journal->unsynced_bytes) {
        sync_begin(journal);
        return false;
    }
    if (!journal->next || journal->old_file) {
        bookie_journal_upkeep_start(journal);
        return false;
    }
    roll(journal);
    return true;
}

// Where there is something to speak of, and room; a segment is not begun for it.
static void last_prepare(struct bookie_journal *journal, struct journal_batch *batch) {
    const struct journal_segment *tail = journal->tail;
    bool is_needed = tail->end > JOURNAL_PAGE && !batch->size;
    if (is_needed && tail->end + JOURNAL_PAGE <= tail->size) batch_reserve(journal, batch, 0);
}

static void write_next(struct bookie_journal *journal) {
    while (!journal->failed && journal->state == JOURNAL_IDLE &&
           !rt_list_is_empty(&journal->queue)) {
        struct journal_batch *batch = batch_at(journal->queue.next);
        if (batch->is_last && !journal->unsynced_bytes) last_prepare(journal, batch);
        if (has_bytes(batch)) {
            if (!room_find(journal, batch)) return;
            write_begin(journal, batch);
        } else if (batch->is_forced && journal->unsynced_bytes) {
            sync_begin(journal);
        } else {
            rt_list_remove(&batch->link);
            batch_end(journal, batch, RT_OK);
        }
    }
}

void bookie_journal_flush(struct rt_flush *flush) {
    struct bookie_journal *journal = rt_container_of(flush, struct bookie_journal, flush);
    write_next(journal);
    bookie_journal_maybe_close(journal);
}

void bookie_journal_sync_fire(struct rt_timer *timer) {
    struct bookie_journal *journal = rt_container_of(timer, struct bookie_journal, sync_timer);
    if (!journal->unsynced_bytes || journal->failed || journal->is_closing) return;
    bookie_journal_open_batch(journal)->is_forced = true;
    rt_flush_later(journal->loop, &journal->flush);
}

// WRITTEN

static void measured(struct bookie_journal *journal) {
    uint64_t took_ns = rt_loop_clock(journal->loop) - journal->begun_ns;
    journal->stats.sync_ns_last = took_ns;
    if (took_ns > journal->stats.sync_ns_max) journal->stats.sync_ns_max = took_ns;
}

static void failed(struct bookie_journal *journal, struct journal_batch *batch, rt_err err) {
    char what[WHAT_SIZE];
    snprintf(what, sizeof(what), "cannot %s %s: %s", batch ? "write" : "sync", journal->tail->path,
             rt_err_text(err));
    if (batch) rt_list_push_front(&journal->queue, &batch->link);
    if (!journal->failed) {
        bookie_journal_fail(journal, err, what);
    } else {
        bookie_journal_queue_fail(journal);
        bookie_journal_maybe_close(journal);
    }
}

static void all_durable(struct bookie_journal *journal) {
    journal->durable = journal->written;
    journal->unsynced_bytes = 0;
    rt_timer_cancel(&journal->sync_timer);
}

static void batch_written(struct bookie_journal *journal, const struct journal_batch *batch) {
    struct journal_segment *tail = journal->tail;
    size_t size = padded_size(batch);
    tail->end += size;
    if (tail->size < tail->end) tail->size = tail->end;
    journal->written = (struct bookie_mark){tail->header.number, tail->end};
    journal->stats.batches++;
    journal->stats.bytes += size;
    if (journal->syncs) {
        all_durable(journal);
        return;
    }
    journal->unsynced_bytes += size;
    if (!rt_timer_is_armed(&journal->sync_timer)) rt_timer_after(&journal->sync_timer, sync_ns);
}

// Full batches do not wait for the end of the turn; what may still grow does.
static void go_on(struct bookie_journal *journal) {
    bool has_full =
        !rt_list_is_empty(&journal->queue) && journal->queue.next != journal->queue.prev;
    if (has_full && has_bytes(batch_at(journal->queue.next))) write_next(journal);
    if (!rt_list_is_empty(&journal->queue)) rt_flush_later(journal->loop, &journal->flush);
}

static void op_ended(struct rt_file_op *op, rt_err err) {
    struct bookie_journal *journal = rt_container_of(op, struct bookie_journal, op);
    struct journal_batch *batch = journal->writing;
    measured(journal);
    journal->writing = NULL;
    journal->state = JOURNAL_IDLE;
    if (err || journal->failed) {
        failed(journal, batch, err);
        return;
    }
    if (batch) {
        batch_written(journal, batch);
    } else {
        all_durable(journal);
    }
    go_on(journal);
    if (batch) batch_end(journal, batch, RT_OK);
    maybe_drained(journal);
    bookie_journal_maybe_close(journal);
}
