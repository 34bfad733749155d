// Batches: entries become records when they are given, and leave together.
//
// Small bodies are copied behind their headers; large ones are written from where they are, and
// their payloads held. The header of a batch is filled in last, when it is known what is durable.
#include <string.h>

#include "meta/server/log/log_internal.h"
#include "runtime/crc32c.h"

enum {
    BATCH_BYTES_MAX = 4 << 20,  // then the next one begins; a single entry may be larger
    REFERENCE_MIN = 16 << 10    // bodies from here on are not copied
};
static_assert(2 * META_LOG_REFS_MAX + 3 <= RT_FILE_PARTS_MAX, "a batch is one write");

static const uint8_t zeroes[META_SEGMENT_PAGE];

// GATHERING

static struct meta_log_batch *batch_at(struct rt_list *link) {
    return rt_container_of(link, struct meta_log_batch, link);
}

static struct meta_log_batch *batch_open(const struct meta_log *log) {
    return rt_list_is_empty(&log->queue) ? NULL : batch_at(log->queue.prev);
}

static struct meta_log_batch *batch_new(struct meta_log *log) {
    struct meta_log_batch *batch = log->idle;
    log->idle = NULL;
    if (!batch) return RT_NEW(struct meta_log_batch);
    struct rt_buf bytes = batch->bytes;
    rt_buf_clear(&bytes);
    *batch = (struct meta_log_batch){.bytes = bytes};
    return batch;
}

void meta_log_batch_free(struct meta_log_batch *batch) {
    for (unsigned i = 0; i < batch->ref_count; i++) raft_payload_drop(batch->held[i]);
    rt_buf_fini(&batch->bytes);
    rt_free(batch);
}

static void batch_put_away(struct meta_log *log, struct meta_log_batch *batch) {
    for (unsigned i = 0; i < batch->ref_count; i++) raft_payload_drop(batch->held[i]);
    batch->ref_count = 0;
    if (log->idle) {
        meta_log_batch_free(batch);
    } else {
        log->idle = batch;
    }
}

static uint8_t *bytes_reserve(struct meta_log_batch *batch, size_t size) {
    rt_buf_reserve(&batch->bytes, size);
    uint8_t *at = batch->bytes.data + batch->bytes.size;
    batch->bytes.size += size;
    return at;
}

void meta_log_batch_begin(struct meta_log *log, struct meta_log_segment *segment, bool has_header) {
    struct meta_log_batch *batch = batch_new(log);
    batch->segment = segment;
    batch->has_header = has_header;
    batch->offset = segment->encoded_end;
    batch->size = META_BATCH_HEADER_SIZE;
    batch->chain = log->chain;
    batch->last = log->last;
    batch->first = log->last.index + 1;
    if (has_header) {
        uint8_t *page = bytes_reserve(batch, META_SEGMENT_PAGE);
        memset(page, 0, META_SEGMENT_PAGE);
        meta_segment_header_encode(&segment->header, page);
    }
    memset(bytes_reserve(batch, META_BATCH_HEADER_SIZE), 0, META_BATCH_HEADER_SIZE);
    rt_list_push_back(&log->queue, &batch->link);
    if (!log->is_blocking) rt_flush_later(log->loop, &log->flush);
}

// The batch that takes `size` more bytes: the open one, the next, or the next in another segment.
static struct meta_log_batch *batch_for(struct meta_log *log, size_t size) {
    struct meta_log_segment *tail = log->tail;
    struct meta_log_batch *batch = batch_open(log);
    bool is_open = batch && (batch->count == 0 || batch->size + size <= BATCH_BYTES_MAX);
    uint64_t from =
        is_open ? batch->offset + batch->size : tail->encoded_end + META_BATCH_HEADER_SIZE;
    bool is_first = is_open && batch->has_header && batch->count == 0;
    if (!is_first && from + size > tail->size) {
        meta_log_segment_next(log, META_SEGMENT_CONTINUES, log->last);
    } else if (!is_open) {
        meta_log_batch_begin(log, tail, false);
    }
    return batch_open(log);
}

static void body_add(struct meta_log_batch *batch, const struct raft_entry *entry) {
    bool referable = entry->data.size >= REFERENCE_MIN && batch->ref_count < META_LOG_REFS_MAX;
    if (!referable) {
        rt_buf_append(&batch->bytes, entry->data);
        return;
    }
    raft_payload_hold(entry->payload);
    batch->held[batch->ref_count] = entry->payload;
    batch->refs[batch->ref_count] = (struct meta_log_ref){batch->bytes.size, entry->data};
    batch->ref_count++;
}

void meta_log_batch_add(struct meta_log *log, const struct raft_entry *entry) {
    assert(entry->at.index == log->last.index + 1);
    assert(entry->at.term >= log->last.term);
    size_t size = META_RECORD_HEADER_SIZE + entry->data.size;
    struct meta_log_batch *batch = batch_for(log, size);
    struct meta_record_header header = {
        .body_crc = rt_crc32c(0, entry->data),
        .body_size = (uint32_t)entry->data.size,
        .kind = entry->kind,
        .at = entry->at,
        .chain_before = log->chain,
    };
    uint8_t *out = bytes_reserve(batch, META_RECORD_HEADER_SIZE);
    meta_record_header_encode(&header, batch->segment->seed, out);
    body_add(batch, entry);
    batch->count++;
    batch->size += size;
    batch->last = log->last = entry->at;
    log->chain = header.chain;
    batch->segment->encoded_end = meta_segment_page_up(batch->offset + batch->size);
    meta_log_term_push(log, entry->at);
    log->stats.entries++;
}

void meta_log_batch_version(struct meta_log *log, uint64_t version) {
    if (!batch_open(log)) meta_log_batch_begin(log, log->tail, false);
    batch_open(log)->version = version;
}

// WRITING

static size_t header_at(const struct meta_log_batch *batch) {
    return batch->has_header ? META_SEGMENT_PAGE : 0;
}

// All before it is durable. A reset says nothing of entries: its base is that of a snapshot.
static struct raft_position durable_before(const struct meta_log *log,
                                           const struct meta_log_batch *batch) {
    if (!batch->has_header) return log->durable;
    const struct meta_segment_header *header = &batch->segment->header;
    bool resets = header->kind == META_SEGMENT_RESETS;
    return resets ? (struct raft_position){0} : header->base;
}

static void batch_seal(struct meta_log *log, struct meta_log_batch *batch) {
    struct meta_batch_header header = {
        .size = (uint32_t)batch->size,
        .count = batch->count,
        .first = batch->first,
        .durable = durable_before(log, batch),
        .chain = batch->chain,
    };
    if (batch->count == 0) {
        batch->bytes.size = header_at(batch);  // a header page alone, or nothing
    } else {
        meta_batch_header_encode(&header, batch->segment->seed,
                                 batch->bytes.data + header_at(batch));
    }
}

static unsigned parts_fill(struct meta_log *log, const struct meta_log_batch *batch) {
    unsigned count = 0;
    size_t from = 0;
    for (unsigned i = 0; i < batch->ref_count; i++) {
        const struct meta_log_ref *ref = &batch->refs[i];
        log->parts[count++] = RT_BYTES(batch->bytes.data + from, ref->at - from);
        log->parts[count++] = ref->body;
        from = ref->at;
    }
    if (batch->bytes.size > from)
        log->parts[count++] = RT_BYTES(batch->bytes.data + from, batch->bytes.size - from);
    uint64_t size = 0;
    for (unsigned i = 0; i < count; i++) size += log->parts[i].size;
    uint64_t padding = meta_segment_page_up(size) - size;
    if (padding) log->parts[count++] = RT_BYTES(zeroes, (size_t)padding);
    return count;
}

static uint64_t batch_write_at(const struct meta_log_batch *batch) {
    return batch->offset - header_at(batch);
}

static bool batch_is_empty(const struct meta_log_batch *batch) {
    return batch->count == 0 && !batch->has_header;
}

static void batch_durable(struct meta_log *log, struct meta_log_batch *batch) {
    struct meta_log_segment *segment = batch->segment;
    if (batch->count) {
        segment->last = batch->last.index;
        meta_log_segment_mark(segment, batch->first, batch->offset);
        segment->end = meta_segment_page_up(batch->offset + batch->size);
        if (segment->end > segment->size) segment->size = segment->end;
    }
    log->durable = batch->last;
    log->written = segment;
    if (raft_position_covers(log->durable, log->claimed)) log->claimed = (struct raft_position){0};
    if (batch->has_header) meta_log_segment_begun(log, segment);
    if (!log->is_blocking && !log->is_closing) meta_log_claim_later(log);
}

static void batch_start(struct meta_log *log);

static void batch_ended(struct meta_log *log, struct meta_log_batch *batch) {
    uint64_t version = batch->version;
    batch_durable(log, batch);
    batch_put_away(log, batch);
    log->writing = NULL;
    if (version && !log->is_closing) log->events->log_written(log->events, version);
    meta_log_upkeep_start(log);
    batch_start(log);
    meta_log_maybe_close(log);
}

static void batch_written(struct rt_file_op *op, rt_err err) {
    struct meta_log *log = rt_container_of(op, struct meta_log, op);
    struct meta_log_batch *batch = log->writing;
    uint64_t took_ns = rt_loop_clock(log->loop) - log->write_begun_ns;
    log->stats.sync_ns_last = took_ns;
    if (took_ns > log->stats.sync_ns_max) log->stats.sync_ns_max = took_ns;
    log->stats.appends++;
    if (log->sync) log->stats.syncs++;
    if (err) {
        log->writing = NULL;
        batch_put_away(log, batch);
        meta_log_fail(log, err, "writing the log");
        meta_log_maybe_close(log);
        return;
    }
    batch_ended(log, batch);
}

// One that only carries a version ends at once: what it waits for is durable.
static void batch_start(struct meta_log *log) {
    while (!log->failed && !log->writing && !rt_list_is_empty(&log->queue)) {
        struct meta_log_batch *batch = batch_at(log->queue.next);
        if (!batch->segment->ready) {
            meta_log_upkeep_start(log);
            return;
        }
        rt_list_remove(&batch->link);
        log->writing = batch;
        batch_seal(log, batch);
        if (batch_is_empty(batch)) {
            batch_ended(log, batch);
            return;
        }
        log->write_begun_ns = rt_loop_clock(log->loop);
        unsigned count = parts_fill(log, batch);
        rt_file_write(&log->op, batch->segment->file, batch_write_at(batch), log->parts, count,
                      log->sync, batch_written);
    }
}

void meta_log_batch_flush(struct rt_flush *flush) {
    struct meta_log *log = rt_container_of(flush, struct meta_log, flush);
    batch_start(log);
}

// BLOCKING, at start-up

static rt_err batch_write_now(struct meta_log *log, struct meta_log_batch *batch) {
    uint64_t at = batch_write_at(batch);
    unsigned count = parts_fill(log, batch);
    for (unsigned i = 0; i < count; i++) {
        rt_err err = rt_file_write_now(batch->segment->file, at, log->parts[i]);
        if (err) return err;
        at += log->parts[i].size;
    }
    return log->sync ? rt_file_sync_now(batch->segment->file) : RT_OK;
}

static rt_err segment_ready_now(struct meta_log *log, struct meta_log_segment *segment) {
    if (segment->ready) return RT_OK;
    rt_err err = meta_log_prepare_now(log, segment, NULL);
    segment->ready = !err;
    return err;
}

rt_err meta_log_batches_write_now(struct meta_log *log) {
    while (!rt_list_is_empty(&log->queue)) {
        struct meta_log_batch *batch = batch_at(rt_list_pop_front(&log->queue));
        batch_seal(log, batch);
        rt_err err = segment_ready_now(log, batch->segment);
        if (!err && !batch_is_empty(batch)) err = batch_write_now(log, batch);
        if (!err) batch_durable(log, batch);
        batch_put_away(log, batch);
        if (err) return err;
    }
    return RT_OK;
}
