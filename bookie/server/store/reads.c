// Reads: from the caches at once, else a lookup in the index (one at a time for a ledger, many
// entries at once), then a load of the extent that it names.
#include <assert.h>

#include "bookie/server/store/loads.h"
#include "bookie/server/store/store_internal.h"
#include "runtime/mem.h"

static void group_go_on(struct bookie_reads *reads);

// FROM MEMORY

static bool half_read(struct bookie_store *store, struct bookie_cache_half *half, int64_t ledger,
                      int64_t entry, struct rt_slice *body) {
    const struct bookie_cached_ledger *cached = bookie_cache_ledger(half, ledger);
    const struct bookie_cached_entry *found = cached ? bookie_cache_find(cached, entry) : NULL;
    if (!found) return false;
    *body =
        bookie_store_slice(store, half->segments[found->segment], bookie_cache_body(half, found));
    store->stats.write_cache_hits++;
    return true;
}

static bool cache_read(struct bookie_store *store, int64_t ledger, int64_t entry,
                       struct rt_slice *body) {
    const struct bookie_cached_extent *cached =
        bookie_read_cache_find(&store->read_cache, ledger, entry);
    struct rt_bytes bytes;
    if (!cached || !bookie_extent_find(&cached->extent, entry, &bytes)) return false;
    *body = bookie_store_slice(store, cached->slab, bytes);
    store->stats.read_cache_hits++;
    return true;
}

rt_err bookie_store_try_read(struct bookie_store *store, struct bookie_ledger *ledger,
                             int64_t entry, struct rt_slice *body) {
    assert(ledger->holds > 0);
    *body = (struct rt_slice){0};
    if (entry < 0 || entry > ledger->last_entry) return RT_ENOTFOUND;
    if (half_read(store, bookie_store_active(store), ledger->id, entry, body)) return RT_OK;
    if (half_read(store, bookie_store_frozen(store), ledger->id, entry, body)) return RT_OK;
    // A flush moves stored_last before it gives up the frozen half.
    if (ledger->is_unstored || entry > ledger->stored_last) return RT_ENOTFOUND;
    if (cache_read(store, ledger->id, entry, body)) return RT_OK;
    return RT_EAGAIN;
}

// ANSWERING

static void completed_run(struct rt_task *task) {
    struct bookie_reading *reading = rt_container_of(task, struct bookie_reading, completed_task);
    struct bookie_store *store = rt_container_of(reading, struct bookie_store, reading);
    struct rt_list completed;
    rt_list_init(&completed);
    rt_list_splice(&completed, &reading->completed);
    for (struct rt_list *link; (link = rt_list_pop_front(&completed));) {
        struct bookie_read_op *op = rt_container_of(link, struct bookie_read_op, link);
        reading->count--;
        op->done(op, op->err);
    }
    bookie_store_maybe_close(store);
}

// Never before the turn after the one in which it was asked.
static void op_complete(struct bookie_store *store, struct bookie_read_op *op, rt_err err) {
    op->err = err;
    op->reads = NULL;
    if (rt_list_is_empty(&store->reading.completed))
        rt_defer(store->loop, &store->reading.completed_task);
    rt_list_push_back(&store->reading.completed, &op->link);
}

// What nobody found on disk may have come into a cache since.
static void op_not_found(struct bookie_store *store, struct bookie_read_op *op) {
    rt_err err = bookie_store_try_read(store, op->ledger, op->found, &op->body);
    op_complete(store, op, err == RT_EAGAIN ? RT_ENOTFOUND : err);
}

// GROUPS

static struct bookie_reads *group_of(struct bookie_store *store, struct bookie_ledger *ledger) {
    if (ledger->reads) return ledger->reads;
    struct bookie_reads *reads = RT_NEW(struct bookie_reads);
    reads->store = store;
    reads->ledger = ledger;
    reads->ledger_id = ledger->id;
    rt_list_init(&reads->waiting);
    rt_list_init(&reads->loads);
    rt_list_push_back(&store->reading.groups, &reads->link);
    ledger->reads = reads;
    ledger->holds++;
    return reads;
}

static void group_maybe_free(struct bookie_reads *reads) {
    bool is_idle = rt_list_is_empty(&reads->waiting) && rt_list_is_empty(&reads->loads);
    if (!is_idle || reads->is_looking) return;
    reads->ledger->reads = NULL;
    bookie_ledger_release(reads->store, reads->ledger);
    rt_list_remove(&reads->link);
    rt_free(reads);
}

static struct bookie_load *load_covering(struct bookie_reads *reads,
                                         const struct bookie_read_op *op) {
    rt_list_each (link, &reads->loads) {
        struct bookie_load *load = rt_container_of(link, struct bookie_load, link);
        const struct bookie_location *location = &load->location;
        bool covers = location->first <= op->found && location->last >= op->found;
        if (covers && !load->is_covered && location->generation < op->before) return load;
    }
    return NULL;
}

// LOOKING UP, on a worker

static rt_err target_look(struct bookie_finder *finder, struct bookie_target *target) {
    rt_err err = bookie_finder_find(finder, target->entry, target->before, &target->location);
    if (err) return err;
    return bookie_finder_is_covered(finder, &target->location, &target->is_covered);
}

// The extents that a reader who goes on will ask for. What fails here is no failure.
static void ahead_look(struct bookie_reads *reads, struct bookie_finder *finder,
                       const struct bookie_target *target) {
    struct bookie_location at = target->location;
    int64_t reach = target->entry <= INT64_MAX - target->ahead
                        ? target->entry + (int64_t)target->ahead
                        : INT64_MAX;
    while (reads->ahead_count < BOOKIE_AHEAD_MAX && at.last < reach) {
        struct bookie_ahead *ahead = &reads->ahead[reads->ahead_count];
        if (bookie_finder_next(finder, &at, &ahead->location)) return;
        at = ahead->location;
        if (at.first > reach) return;
        if (bookie_finder_is_covered(finder, &at, &ahead->is_covered)) return;
        reads->ahead_count++;
    }
}

static void look_run(struct rt_work *work) {
    struct bookie_reads *reads = rt_container_of(work, struct bookie_reads, work);
    struct bookie_finder finder;
    bookie_finder_init(&finder, reads->store->kv, NULL, reads->ledger_id, reads->span_max);
    reads->ahead_count = 0;
    for (unsigned i = 0; i < reads->target_count; i++) {
        struct bookie_target *target = &reads->targets[i];
        target->err = target_look(&finder, target);
        if (!target->err && target->ahead > 1) ahead_look(reads, &finder, target);
    }
    bookie_finder_fini(&finder);
}

static void op_wait(struct bookie_reads *reads, struct bookie_read_op *op) {
    op->reads = reads;
    rt_list_push_back(&reads->waiting, &op->link);
}

static struct bookie_load *load_of(struct bookie_reads *reads,
                                   const struct bookie_location *location) {
    rt_list_each (link, &reads->loads) {
        struct bookie_load *load = rt_container_of(link, struct bookie_load, link);
        if (load->location.file == location->file && load->location.offset == location->offset)
            return load;
    }
    return NULL;
}

static void target_load(struct bookie_reads *reads, const struct bookie_target *target) {
    struct bookie_read_op *op = target->op;
    struct bookie_load *load = load_of(reads, &target->location);
    rt_err err = RT_OK;
    if (!load) err = bookie_load_start(reads, &target->location, target->is_covered, &load);
    if (err == RT_EAGAIN) {
        op_wait(reads, op);
    } else if (err) {
        rt_log_error("store", "extent in a file that is not there ledger=%lld first=%lld",
                     (long long)target->location.ledger, (long long)target->location.first);
        op_complete(reads->store, op, err);
    } else {
        op->reads = reads;
        rt_list_push_back(&load->ops, &op->link);
    }
}

static void target_looked(struct bookie_reads *reads, const struct bookie_target *target) {
    struct bookie_store *store = reads->store;
    struct bookie_read_op *op = target->op;
    if (!op) return;
    if (reads->is_outdated) {
        op_wait(reads, op);
    } else if (target->err == RT_ENOTFOUND) {
        op_not_found(store, op);
    } else if (target->err) {
        rt_log_error("store", "index not read ledger=%lld entry=%lld err=%s",
                     (long long)reads->ledger_id, (long long)target->entry,
                     rt_err_name(target->err));
        op_complete(store, op, target->err);
    } else {
        // It may have been loaded, ahead of another read, while the index was asked.
        rt_err err = bookie_store_try_read(store, op->ledger, op->found, &op->body);
        if (err != RT_EAGAIN && op->before == UINT64_MAX) {
            op_complete(store, op, err);
            return;
        }
        rt_slice_drop(&op->body);
        target_load(reads, target);
    }
}

static void ahead_load(struct bookie_reads *reads, const struct bookie_ahead *ahead) {
    struct bookie_store *store = reads->store;
    const struct bookie_location *location = &ahead->location;
    if (ahead->is_covered || load_of(reads, location)) return;
    if (bookie_read_cache_covers(&store->read_cache, reads->ledger_id, location->first,
                                 location->last))
        return;
    size_t charge = rt_slab_charge_size(BOOKIE_EXTENT_HEADER + (size_t)location->plain_size);
    if (store->reading.load_bytes + charge > store->reading.load_bytes_max / 2) return;
    struct bookie_load *load;
    RT_IGNORE(bookie_load_start(reads, location, false, &load));  // nobody asked for it yet
}

static void look_ran(struct rt_work *work) {
    struct bookie_reads *reads = rt_container_of(work, struct bookie_reads, work);
    struct bookie_store *store = reads->store;
    store->reading.jobs--;
    reads->is_looking = false;
    bool was_outdated = reads->is_outdated;
    for (unsigned i = 0; i < reads->target_count; i++) target_looked(reads, &reads->targets[i]);
    reads->is_outdated = false;
    for (unsigned i = 0; i < reads->ahead_count && !was_outdated; i++) {
        ahead_load(reads, &reads->ahead[i]);
    }
    group_go_on(reads);
    bookie_store_maybe_close(store);
}

// Joins those whose extent is being loaded; looks for the others.
static void group_go_on(struct bookie_reads *reads) {
    if (reads->is_looking) return;
    struct bookie_store *store = reads->store;
    reads->target_count = 0;
    while (!rt_list_is_empty(&reads->waiting) && reads->target_count < BOOKIE_TARGETS_MAX) {
        struct bookie_read_op *op =
            rt_container_of(rt_list_pop_front(&reads->waiting), struct bookie_read_op, link);
        struct bookie_load *load = load_covering(reads, op);
        if (load) {
            rt_list_push_back(&load->ops, &op->link);
            continue;
        }
        if (reads->ledger->is_unstored) {
            op_not_found(store, op);
            continue;
        }
        rt_list_init(&op->link);
        reads->targets[reads->target_count++] = (struct bookie_target){
            .op = op, .entry = op->found, .before = op->before, .ahead = op->ahead};
    }
    if (reads->target_count == 0) {
        group_maybe_free(reads);
        return;
    }
    reads->is_looking = true;
    reads->is_outdated = false;
    reads->span_max = reads->ledger->span_max;
    reads->removals = store->files.removals;
    store->reading.jobs++;
    rt_work_submit(&reads->work, store->loop, look_run, look_ran, "store.look");
}

// LOADED

static void op_loaded(struct bookie_load *load, struct bookie_read_op *op) {
    struct bookie_store *store = load->store;
    struct rt_bytes body;
    if (load->err) {
        op_complete(store, op, load->err);
    } else if (bookie_extent_find(&load->extent, op->found, &body)) {
        op->body = bookie_store_slice(store, load->slab, body);
        op_complete(store, op, RT_OK);
    } else {
        // In a gap: an older extent may have it.
        op->before = load->location.generation;
        op_wait(load->reads, op);
    }
}

void bookie_reads_loaded(struct bookie_load *load) {
    struct bookie_reads *reads = load->reads;
    for (struct rt_list *link; (link = rt_list_pop_front(&load->ops));) {
        op_loaded(load, rt_container_of(link, struct bookie_read_op, link));
    }
    if (!reads->is_looking) group_go_on(reads);
}

void bookie_reads_outdate(struct bookie_store *store, struct bookie_ledger *ledger) {
    struct bookie_reads *reads = ledger->reads;
    (void)store;
    if (!reads) return;
    reads->is_outdated = reads->is_looking;
    rt_list_each (link, &reads->loads) {
        rt_container_of(link, struct bookie_load, link)->is_covered = true;
    }
}

// ASKING

void bookie_store_read(struct bookie_store *store, struct bookie_read_op *op) {
    assert(rt_loop_is_current(store->loop) && !store->closed && op->ledger->holds > 0);
    op->found = op->entry == -1 ? op->ledger->last_entry : op->entry;
    op->body = (struct rt_slice){0};
    op->before = UINT64_MAX;
    op->reads = NULL;
    rt_list_init(&op->link);
    store->reading.count++;
    if (store->reading.count > BOOKIE_READS_MAX) {
        op_complete(store, op, RT_EBUSY);
        return;
    }
    rt_err err = bookie_store_try_read(store, op->ledger, op->found, &op->body);
    if (err != RT_EAGAIN) {
        op_complete(store, op, err);
        return;
    }
    struct bookie_reads *reads = group_of(store, op->ledger);
    op_wait(reads, op);
    group_go_on(reads);
}

void bookie_store_read_cancel(struct bookie_store *store, struct bookie_read_op *op) {
    struct bookie_reads *reads = op->reads;
    assert(store->reading.count > 0);
    store->reading.count--;
    rt_slice_drop(&op->body);
    if (rt_list_is_linked(&op->link)) {
        rt_list_remove(&op->link);
        return;
    }
    for (unsigned i = 0; reads && i < reads->target_count; i++) {
        if (reads->targets[i].op == op) reads->targets[i].op = NULL;
    }
}

// LIFE

void bookie_reading_init(struct bookie_store *store, size_t read_cache_bytes) {
    struct bookie_reading *reading = &store->reading;
    rt_budget_init(&store->read_budget, "read cache", read_cache_bytes);
    bookie_read_cache_init(&store->read_cache, &store->read_budget, read_cache_bytes);
    reading->load_bytes_max = read_cache_bytes / 2;  // part of the same budget
    rt_list_init(&reading->groups);
    rt_list_init(&reading->queued);
    rt_list_init(&reading->completed);
    rt_task_init(&reading->completed_task, completed_run, "store.reads");
}

bool bookie_reading_is_quiet(const struct bookie_store *store) {
    const struct bookie_reading *reading = &store->reading;
    return reading->count == 0 && reading->jobs == 0 && rt_list_is_empty(&reading->groups);
}
