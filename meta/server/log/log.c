#include "runtime/log.h"
#include "meta/server/log/log_internal.h"

#include <string.h>

// TERMS: where each begins, so that the position of any entry is known without reading it.

uint64_t meta_log_term_at(const struct meta_log *log, uint64_t index) {
    size_t low = 0, high = log->term_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (log->terms[middle].index <= index) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    assert(low > 0);
    return log->terms[low - 1].term;
}

void meta_log_term_push(struct meta_log *log, struct raft_position at) {
    if (log->term_count && log->terms[log->term_count - 1].term == at.term) return;
    if (log->term_count == log->term_capacity) {
        log->term_capacity = log->term_capacity ? 2 * log->term_capacity : 16;
        log->terms = rt_realloc(log->terms, log->term_capacity * sizeof(*log->terms));
    }
    log->terms[log->term_count++] = (struct meta_log_term){at.index, at.term};
}

void meta_log_term_cut(struct meta_log *log, uint64_t index) {
    while (log->term_count && log->terms[log->term_count - 1].index > index) log->term_count--;
}

void meta_log_term_release(struct meta_log *log, uint64_t index) {
    size_t gone = 0;
    while (gone + 1 < log->term_count && log->terms[gone + 1].index <= index) gone++;
    if (gone == 0) return;
    log->term_count -= gone;
    memmove(log->terms, log->terms + gone, log->term_count * sizeof(*log->terms));
}

// WRITING

static void write_cut(struct meta_log *log, const struct raft_log_write *write) {
    if (write->reset) {
        meta_log_term_cut(log, 0);
        log->term_count = 0;
        meta_log_term_push(log, write->base);
        meta_log_segment_next(log, META_SEGMENT_RESETS, write->base);
    } else if (write->truncate_from && write->truncate_from <= log->last.index) {
        struct raft_position base = {.index = write->truncate_from - 1};
        base.term = meta_log_term_at(log, base.index);
        meta_log_term_cut(log, base.index);
        meta_log_segment_next(log, META_SEGMENT_CUTS, base);
    }
}

void meta_log_write(struct meta_log *log, const struct raft_log_write *write) {
    if (log->failed || log->is_closing) return;
    const struct meta_log_segment *tail = log->tail;
    write_cut(log, write);
    for (size_t i = 0; i < write->entry_count; i++) meta_log_batch_add(log, &write->entries[i]);
    meta_log_batch_version(log, write->version);
    if (log->tail != tail) meta_log_upkeep_start(log);
}

void meta_log_release(struct meta_log *log, uint64_t index) {
    if (log->failed || log->is_closing || index <= log->released) return;
    log->released = index;
    meta_log_segments_release(log);
    meta_log_upkeep_start(log);
}

void meta_log_fail(struct meta_log *log, rt_err err, const char *what) {
    if (log->failed) return;
    log->failed = true;
    rt_log_error("log", "gave up what=%s err=%s", what, rt_err_name(err));
    if (!log->is_closing) log->events->failed(log->events, err, what);
}

struct meta_log_stats meta_log_stats(const struct meta_log *log) {
    struct meta_log_stats stats = log->stats;
    for (const struct rt_list *link = log->segments.next; link != &log->segments;
         link = link->next) {
        const struct meta_log_segment *segment =
            rt_container_of(link, const struct meta_log_segment, link);
        stats.segments++;
        stats.bytes += segment->end;
    }
    return stats;
}

// CLOSING: what was given is written, then the hard state once more, then the files are closed.

static void segments_free(struct rt_list *list) {
    while (!rt_list_is_empty(list))
        meta_log_segment_free(meta_log_segment_at(rt_list_pop_front(list)));
}

void meta_log_free(struct meta_log *log) {
    while (!rt_list_is_empty(&log->queue)) {
        struct rt_list *link = rt_list_pop_front(&log->queue);
        meta_log_batch_free(rt_container_of(link, struct meta_log_batch, link));
    }
    if (log->idle) meta_log_batch_free(log->idle);
    segments_free(&log->segments);
    segments_free(&log->prepared);
    segments_free(&log->retired);
    segments_free(&log->upkeep.retired);
    rt_free(log->upkeep.files);
    while (log->upkeep.spare_count) rt_free(log->upkeep.spares[--log->upkeep.spare_count]);
    rt_free(log->terms);
    rt_free(log->hard.bytes);
    rt_free(log->directory);
    rt_free(log);
}

static void files_close_now(struct rt_list *list) {
    rt_list_each (link, list) {
        struct meta_log_segment *segment = meta_log_segment_at(link);
        if (segment->file) rt_file_close_now(segment->file);
        segment->file = NULL;
    }
}

void meta_log_files_close_now(struct meta_log *log) {
    files_close_now(&log->segments);
    files_close_now(&log->prepared);
    files_close_now(&log->retired);
    for (size_t i = 0; i < log->upkeep.file_count; i++) rt_file_close_now(log->upkeep.files[i]);
    log->upkeep.file_count = 0;
    if (log->hard.file) rt_file_close_now(log->hard.file);
    log->hard.file = NULL;
    if (log->lock) rt_dir_unlock(log->lock);
    log->lock = NULL;
}

static void close_run(struct rt_work *work) {
    meta_log_files_close_now(rt_container_of(work, struct meta_log, close_work));
}

static void close_done(struct rt_work *work) {
    struct meta_log *log = rt_container_of(work, struct meta_log, close_work);
    struct rt_loop *loop = log->loop;
    struct rt_task *closed = log->closed;
    rt_flush_forget(loop, &log->flush);
    rt_timer_cancel(&log->claim_timer);
    meta_log_free(log);
    rt_post(loop, closed);
}

void meta_log_maybe_close(struct meta_log *log) {
    if (!log->is_closing || log->is_ended) return;
    bool is_written = !log->writing && (log->failed || rt_list_is_empty(&log->queue));
    if (!is_written || log->loads || log->upkeep.is_busy) return;
    if (!meta_log_hard_is_settled(log)) {
        meta_log_hard_write(log);
        return;
    }
    log->is_ended = true;
    rt_work_submit(&log->close_work, log->loop, close_run, close_done, "log.close");
}

void meta_log_close(struct meta_log *log, struct rt_task *closed) {
    assert(!log->is_closing);
    log->is_closing = true;
    log->closed = closed;
    rt_timer_cancel(&log->claim_timer);
    meta_log_maybe_close(log);
}
