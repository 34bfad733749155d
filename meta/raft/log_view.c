#include "meta/raft/log_view.h"

#include <assert.h>

#include "runtime/mem.h"

enum { RING_SIZE_MIN = 64 };

void raft_log_init(struct raft_log *log, struct raft_position base) {
    *log = (struct raft_log){.base = base};
    log->last = log->durable = base.index;
    log->cached_first = base.index + 1;
}

static struct raft_entry *ring_at(const struct raft_log *log, uint64_t index) {
    assert(index >= log->cached_first && index <= log->last);
    return &log->ring[index & (log->ring_size - 1)];
}

static void ring_drop(struct raft_log *log, uint64_t index) {
    struct raft_entry *entry = ring_at(log, index);
    log->cached_bytes -= raft_entry_weight(entry);
    raft_payload_drop(entry->payload);
    entry->payload = NULL;
}

static void ring_drop_from(struct raft_log *log, uint64_t from) {
    uint64_t first = from > log->cached_first ? from : log->cached_first;
    for (uint64_t i = first; i <= log->last; i++) ring_drop(log, i);
    if (log->cached_first > from) log->cached_first = from;
}

void raft_log_fini(struct raft_log *log) {
    ring_drop_from(log, log->cached_first);
    rt_free(log->ring);
    rt_free(log->runs);
    rt_free(log->pending);
    *log = (struct raft_log){0};
}

static void ring_grow(struct raft_log *log) {
    uint64_t size = log->ring_size ? log->ring_size * 2 : RING_SIZE_MIN;
    struct raft_entry *ring = rt_alloc_zero(size, sizeof(*ring));
    for (uint64_t i = log->cached_first; i <= log->last; i++)
        ring[i & (size - 1)] = *ring_at(log, i);
    rt_free(log->ring);
    log->ring = ring;
    log->ring_size = size;
}

size_t raft_entry_weight(const struct raft_entry *entry) {
    return sizeof(*entry) + entry->data.size;
}

struct raft_position raft_log_last(const struct raft_log *log) {
    struct raft_position last = {log->last, 0};
    bool known = raft_log_term(log, log->last, &last.term);
    assert(known);
    return last;
}

size_t raft_entry_cost(enum raft_entry_kind kind, size_t size) {
    return kind == RAFT_DATA ? sizeof(struct raft_entry) + size : 0;
}

// The run that holds `index`, which lies behind the base.
static size_t run_of(const struct raft_log *log, uint64_t index) {
    size_t low = 0, high = log->run_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (log->runs[middle].first <= index) {
            low = middle;
        } else {
            high = middle;
        }
    }
    assert(low < log->run_count && log->runs[low].first <= index);
    return low;
}

bool raft_log_term(const struct raft_log *log, uint64_t index, uint64_t *term) {
    if (index < log->base.index || index > log->last) return false;
    *term = index == log->base.index ? log->base.term : log->runs[run_of(log, index)].term;
    return true;
}

bool raft_log_has(const struct raft_log *log, struct raft_position at) {
    uint64_t term;
    return raft_log_term(log, at.index, &term) && term == at.term;
}

const struct raft_entry *raft_log_cached(const struct raft_log *log, uint64_t index) {
    return index >= log->cached_first && index <= log->last ? ring_at(log, index) : NULL;
}

struct raft_position raft_log_hint(const struct raft_log *log, struct raft_position at) {
    uint64_t index = at.index < log->last ? at.index : log->last;
    if (index < log->base.index) return (struct raft_position){index, 0};
    while (index > log->base.index) {
        const struct raft_term_run *run = &log->runs[run_of(log, index)];
        if (run->term <= at.term) return (struct raft_position){index, run->term};
        index = run->first > log->base.index ? run->first - 1 : log->base.index;
    }
    return log->base;
}

static void run_append(struct raft_log *log, struct raft_position at) {
    if (log->run_count) {
        uint64_t last_term = log->runs[log->run_count - 1].term;
        assert(at.term >= last_term);
        if (at.term == last_term) return;
    }
    if (log->run_count == log->run_capacity) {
        log->run_capacity = log->run_capacity ? log->run_capacity * 2 : 8;
        log->runs = rt_realloc(log->runs, log->run_capacity * sizeof(*log->runs));
    }
    log->runs[log->run_count++] = (struct raft_term_run){at.index, at.term};
}

void raft_log_restore(struct raft_log *log, const struct raft_entry *entry) {
    assert(entry->at.index == log->last + 1 && entry->at.term >= raft_log_last(log).term);
    run_append(log, entry->at);
    if (log->last + 1 - log->cached_first >= log->ring_size) ring_grow(log);
    log->ring[entry->at.index & (log->ring_size - 1)] = *entry;
    log->last++;
    log->durable = log->last;
    log->cached_bytes += raft_entry_weight(entry);
    raft_payload_hold(entry->payload);
}

// One write per step: a second change of the log in the same step joins it.
static void write_begin(struct raft_log *log) {
    if (log->write.begun) return;
    log->write.begun = true;
    log->write.append_from = UINT64_MAX;
    log->version++;
}

void raft_log_append(struct raft_log *log, const struct raft_entry *entry) {
    uint64_t durable = log->durable;
    write_begin(log);
    raft_log_restore(log, entry);
    log->durable = durable;
    if (log->write.append_from > entry->at.index) log->write.append_from = entry->at.index;
}

// What earlier writes will have made durable ends before the cut.
static void durable_cut(struct raft_log *log, uint64_t last) {
    if (log->durable > last) log->durable = last;
    for (size_t i = 0; i < log->pending_count && !log->bug_stale_reports; i++) {
        if (log->pending[i].last > last) log->pending[i].last = last;
    }
}

void raft_log_truncate(struct raft_log *log, uint64_t from) {
    assert(from > log->base.index && from <= log->last);
    write_begin(log);
    if (!log->write.truncate_from || log->write.truncate_from > from) {
        log->write.truncate_from = from;
    }
    if (log->write.append_from > from) log->write.append_from = from;
    ring_drop_from(log, from);
    log->last = from - 1;
    durable_cut(log, log->last);
    while (log->run_count && log->runs[log->run_count - 1].first >= from) log->run_count--;
}

void raft_log_reset(struct raft_log *log, struct raft_position base) {
    write_begin(log);
    log->write.reset = true;
    log->write.truncate_from = 0;
    log->write.append_from = base.index + 1;
    ring_drop_from(log, log->cached_first);
    log->base = base;
    log->last = log->durable = base.index;
    log->cached_first = base.index + 1;
    log->run_count = 0;
    durable_cut(log, base.index);
}

void raft_log_compact(struct raft_log *log, uint64_t to) {
    if (to <= log->base.index) return;
    assert(to <= log->last);
    bool known = raft_log_term(log, to, &log->base.term);
    assert(known);
    log->base.index = to;
    while (log->cached_first <= to && log->cached_first <= log->last) {
        ring_drop(log, log->cached_first);
        log->cached_first++;
    }
    if (log->cached_first <= to) log->cached_first = to + 1;
    if (log->durable < to) log->durable = to;  // a durable snapshot covers it
    size_t gone = 0;
    while (gone + 1 < log->run_count && log->runs[gone + 1].first <= to + 1) gone++;
    for (size_t i = gone; i < log->run_count; i++) log->runs[i - gone] = log->runs[i];
    log->run_count -= gone;
}

void raft_log_evict(struct raft_log *log, uint64_t limit, size_t bytes_max) {
    if (limit > log->durable) limit = log->durable;
    while (log->cached_bytes > bytes_max && log->cached_first <= limit) {
        ring_drop(log, log->cached_first);
        log->cached_first++;
    }
}

uint64_t raft_log_version_for(const struct raft_log *log, uint64_t index) {
    assert(index <= log->last);
    if (index <= log->durable) return 0;
    for (size_t i = 0; i < log->pending_count; i++) {
        if (log->pending[i].last >= index) return log->pending[i].version;
    }
    assert(log->write.begun);
    return log->version;
}

void raft_log_end_write(struct raft_log *log) {
    if (!log->write.begun) return;
    if (log->pending_count == log->pending_capacity) {
        log->pending_capacity = log->pending_capacity ? log->pending_capacity * 2 : 8;
        log->pending = rt_realloc(log->pending, log->pending_capacity * sizeof(*log->pending));
    }
    log->pending[log->pending_count++] = (struct raft_log_pending){log->version, log->last};
    log->write.begun = log->write.reset = false;
    log->write.truncate_from = log->write.append_from = 0;
}

void raft_log_written(struct raft_log *log, uint64_t version) {
    size_t done = 0;
    while (done < log->pending_count && log->pending[done].version <= version) {
        if (log->pending[done].last > log->durable) log->durable = log->pending[done].last;
        if (log->bug_stale_reports && log->durable > log->last) log->durable = log->last;
        done++;
    }
    for (size_t i = done; i < log->pending_count; i++) log->pending[i - done] = log->pending[i];
    log->pending_count -= done;
}

void raft_log_assert(const struct raft_log *log) {
    assert(log->base.index <= log->durable && log->durable <= log->last);
    assert(log->base.index < log->cached_first && log->cached_first <= log->last + 1);
    assert(log->cached_first <= log->durable + 1);
    assert(log->last == log->base.index || log->run_count > 0);
    assert(!log->run_count || log->runs[0].first <= log->base.index + 1);
    assert(log->bug_stale_reports || log->pending_count == 0 ||
           log->pending[log->pending_count - 1].last <= log->last);
}
