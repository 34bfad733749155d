// Puts, failing and closing.
#include "bookie/server/store/store.h"

#include <assert.h>

#include "bookie/server/store/store_internal.h"
#include "runtime/mem.h"

enum { COPY_BELOW = 4096 };

struct bookie_cache_half *bookie_store_active(struct bookie_store *store) {
    return &store->halves[store->active];
}

struct bookie_cache_half *bookie_store_frozen(struct bookie_store *store) {
    return &store->halves[store->active ^ 1];
}

struct bookie_mark bookie_store_mark(const struct bookie_store *store, unsigned journal) {
    assert(journal < BOOKIE_JOURNALS_MAX);
    return store->state.marks[journal];
}

// PUTTING

// Turns the cache around when that makes room. At start-up there is nobody to flush: the caller has
// to.
static bool make_room(struct bookie_store *store) {
    if (store->is_booting || bookie_flush_is_under_way(store)) return false;
    bookie_flush_start(store);
    return true;
}

static bool cache_put(struct bookie_store *store, int64_t ledger, int64_t entry,
                      struct rt_bytes body) {
    if (store->is_booting && store->ledgers.dirty_count >= BOOKIE_DIRTY_LEDGERS_MAX) return false;
    if (bookie_cache_put(bookie_store_active(store), ledger, entry, body)) return true;
    if (!make_room(store)) return false;
    return bookie_cache_put(bookie_store_active(store), ledger, entry, body);
}

rt_err bookie_store_put(struct bookie_store *store, struct bookie_ledger *ledger, int64_t entry,
                        int64_t lac, struct rt_bytes body) {
    assert(ledger->holds > 0 && entry >= 0);
    if (store->failure) return RT_EFAILED;
    if (body.size > BOOKIE_BODY_MAX) return RT_ETOOBIG;
    if (!cache_put(store, ledger->id, entry, body)) {
        store->wants_room = true;
        return RT_EBUSY;
    }
    ledger->exists = true;
    if (entry > ledger->last_entry) ledger->last_entry = entry;
    if (lac > ledger->lac) ledger->lac = lac;
    bookie_ledger_changed(store, ledger);
    store->stats.puts++;
    store->stats.put_bytes += body.size;
    return RT_OK;
}

// Small bodies are copied: a slice of one would keep a whole segment or extent in memory. Large
// ones are, too, once much is kept like that.
struct rt_slice bookie_store_slice(struct bookie_store *store, struct rt_slab *slab,
                                   struct rt_bytes body) {
    const struct rt_budget *budget = slab->budget;
    size_t used = rt_budget_used(budget);
    size_t own = budget == &store->read_budget
                     ? store->read_cache.bytes + store->reading.load_bytes
                     : store->halves[0].used_bytes + store->halves[1].used_bytes;
    bool is_tight = used > own && used - own > budget->limit_bytes / 4;
    if (is_tight || body.size < COPY_BELOW || body.size < slab->capacity / 64)
        return rt_slice_copy(rt_loop_slabs(store->loop), &store->machine->budget, body);
    return rt_slice_of_slab(slab, (size_t)(body.data - slab->data), body.size);
}

// TURNS

void bookie_turn_take(struct bookie_store *store, struct bookie_turn *turn) {
    if (store->turn_taken) {
        rt_list_push_back(&store->turns, &turn->link);
        return;
    }
    store->turn_taken = true;
    turn->run(turn);
}

void bookie_turn_give(struct bookie_store *store) {
    assert(store->turn_taken);
    store->turn_taken = false;
    struct rt_list *link = rt_list_pop_front(&store->turns);
    if (!link) return;
    store->turn_taken = true;
    struct bookie_turn *turn = rt_container_of(link, struct bookie_turn, link);
    turn->run(turn);
}

// FAILING

static void ops_fail(struct rt_list *ops, rt_err err) {
    struct rt_list failed;
    rt_list_init(&failed);
    rt_list_splice(&failed, ops);
    for (struct rt_list *link; (link = rt_list_pop_front(&failed));) {
        struct bookie_flush_op *op = rt_container_of(link, struct bookie_flush_op, link);
        op->done(op, err);
    }
}

void bookie_store_fail(struct bookie_store *store, rt_err err, const char *what) {
    if (store->failure) return;
    store->failure = err;
    rt_log_error("store", "writing given up at=\"%s\" err=%s", what, rt_err_name(err));
    rt_timer_cancel(&store->flush_timer);
    ops_fail(&store->flush_ops, err);
    if (!store->flush.is_now) store->events->failed(store->events, err, what);
    bookie_store_maybe_close(store);
}

// CLOSING: what is under way ends, what is left is flushed, then files and index are closed.

static void close_run(struct rt_work *work) {
    struct bookie_store *store = rt_container_of(work, struct bookie_store, close_work);
    for (unsigned i = 0; i < store->dir_count; i++) {
        if (store->dirs[i].file) rt_file_close_now(store->dirs[i].file);
        store->dirs[i].file = NULL;
    }
    bookie_files_fini(&store->files);
    bookie_flush_fini(store);
    rt_kv_close_now(store->kv);
    store->kv = NULL;
}

static void close_ran(struct rt_work *work) {
    struct bookie_store *store = rt_container_of(work, struct bookie_store, close_work);
    struct rt_task *closed = store->closed;
    struct rt_loop *loop = store->loop;
    bookie_store_free(store);
    rt_defer(loop, closed);
}

static bool is_flushing(const struct bookie_store *store) {
    return bookie_flush_is_under_way(store) && !bookie_flush_waits_for_space(store);
}

static bool is_quiet(const struct bookie_store *store) {
    return !is_flushing(store) && !store->flush_asked && bookie_reading_is_quiet(store) &&
           bookie_deleting_is_quiet(store) && bookie_compaction_is_quiet(store) &&
           !bookie_ledgers_are_loading(store) && store->scans == 0 && store->closings == 0;
}

void bookie_store_maybe_close(struct bookie_store *store) {
    if (!store->closed || store->close_work.run || store->flush.is_now || !is_quiet(store)) return;
    if (!store->has_flushed_last) {
        store->has_flushed_last = true;
        bookie_flush_soon(store);
        return;
    }
    if (bookie_flush_waits_for_space(store)) {
        rt_log_warn("store", "closed without a flush: no space; the journal has what was not");
    }
    rt_timer_cancel(&store->flush.pause);
    rt_work_submit(&store->close_work, store->loop, close_run, close_ran, "store.close");
}

static void closed_begin(struct rt_task *task) {
    bookie_store_maybe_close(rt_container_of(task, struct bookie_store, started));
}

void bookie_store_close(struct bookie_store *store, struct rt_task *closed) {
    assert(!store->closed && rt_loop_is_current(store->loop));
    store->closed = closed;
    rt_timer_cancel(&store->flush_timer);
    bookie_compaction_hurry(store);
    if (store->is_booting) return;  // the first turn goes on with it
    rt_task_init(&store->started, closed_begin, "store.close");
    rt_defer(store->loop, &store->started);
}

struct bookie_store_stats bookie_store_stats(const struct bookie_store *store) {
    struct bookie_store_stats stats = store->stats;
    stats.ledgers_in_memory = store->ledgers.count;
    stats.read_cache_bytes = rt_budget_used(&store->read_budget);
    stats.files = store->files.count;
    for (unsigned i = 0; i < 2; i++) {
        stats.write_cache_bytes += store->halves[i].used_bytes;
        stats.write_cache_entries += store->halves[i].entry_count;
    }
    for (size_t i = 0; i < store->files.count; i++) {
        stats.file_bytes += store->files.items[i]->record.size;
        stats.live_bytes += store->files.items[i]->record.live_bytes;
    }
    return stats;
}
