// The steps of a flush, in flush.h: what each does, and which follows. Started on the loop, each
// ends in step_done; a blocking flush (flush_now) takes the same steps one after the other.
#include <assert.h>
#include <string.h>

#include "bookie/server/store/store_internal.h"
#include "runtime/mem.h"

#define PAUSE_MAX_NS (50 * RT_NS_PER_MS)
#define SPACE_RETRY_NS (1 * RT_NS_PER_S)

static void step_start(struct bookie_flush *flush);
static void step_done(struct bookie_flush *flush, rt_err err);

bool bookie_flush_is_under_way(const struct bookie_store *store) {
    return store->flush.step != BOOKIE_FLUSH_IDLE;
}

bool bookie_flush_waits_for_space(const struct bookie_store *store) {
    return store->flush.step == BOOKIE_FLUSH_WAIT;
}

// WHAT WORKERS DO

static struct bookie_dir *dir_of(struct bookie_flush *flush) {
    return &flush->store->dirs[flush->dir];
}

static rt_err open_now(struct bookie_flush *flush) {
    struct bookie_store *store = flush->store;
    struct bookie_appender *appender = &flush->appender;
    const struct bookie_dir *dir = dir_of(flush);
    if (appender->file) {
        rt_file_close_now(appender->file);
        appender->file = NULL;
    }
    if (!flush->file_is_new) {
        appender->id = dir->file_id;
        appender->written = dir->file_size;
        appender->file = dir->file;
        if (appender->file) return RT_OK;
        return bookie_appender_resume_now(appender, store->machine, dir->path, dir->file_id,
                                          dir->file_size);
    }
    return bookie_appender_create_now(appender, store->machine, dir->path, store->state.owner,
                                      appender->id);
}

// What an attempt wrote goes away: no extent in it is known to anybody.
static void undo_now(struct bookie_flush *flush) {
    struct rt_machine *machine = flush->store->machine;
    if (flush->appender.file) rt_file_close_now(flush->appender.file);
    flush->appender.file = NULL;
    for (unsigned i = 0; i < flush->file_count; i++) {
        const struct bookie_flush_file *written = &flush->files[i];
        const char *directory = flush->store->dirs[written->dir].path;
        char *path = bookie_file_path(directory, written->id);
        struct rt_file *file = NULL;
        rt_err err = RT_OK;
        if (written->size_before == 0) {
            err = rt_path_remove_now(machine, path);
            if (!err) err = rt_dir_sync_now(machine, directory);
        } else {
            err = rt_file_open_now(machine, path, RT_FILE_WRITE, &file, NULL);
            if (!err) err = rt_file_truncate_now(file, written->size_before);
            if (file) rt_file_close_now(file);
        }
        if (err) {
            rt_log_warn("store", "rest of a flush stays until the next start path=%s err=%s", path,
                        rt_err_name(err));
        }
        rt_free(path);
    }
}

static void clear_now(struct bookie_flush *flush) {
    struct bookie_store *store = flush->store;
    bookie_cache_clear(&flush->garbage);
    for (unsigned i = 0; i < store->dir_count; i++) {
        // For people and disk checks: what cannot be told stays as it was.
        RT_IGNORE(rt_dir_space_now(store->machine, store->dirs[i].path, &flush->spaces[i]));
    }
}

static rt_err work_now(struct bookie_flush *flush) {
    switch (flush->step) {
    case BOOKIE_FLUSH_OPEN: return open_now(flush);
    case BOOKIE_FLUSH_FILL:
        if (flush->filling.ledger == 0 && !flush->filling.in_ledger)
            bookie_cache_sort(flush->filling.half);
        bookie_flush_fill(flush);
        return RT_OK;
    case BOOKIE_FLUSH_NAME: return rt_dir_sync_now(flush->store->machine, dir_of(flush)->path);
    case BOOKIE_FLUSH_UNDO: undo_now(flush); return RT_OK;
    case BOOKIE_FLUSH_EXTENTS: bookie_flush_extents(flush); return RT_OK;
    case BOOKIE_FLUSH_CLEAR: clear_now(flush); return RT_OK;
    case BOOKIE_FLUSH_WRITE:
        return rt_file_write_now(flush->appender.file, flush->appender.written, flush->part);
    case BOOKIE_FLUSH_SYNC: return rt_file_sync_now(flush->appender.file);
    case BOOKIE_FLUSH_INDEX: return rt_kv_write_now(flush->store->kv, flush->batch, RT_KV_DURABLE);
    case BOOKIE_FLUSH_IDLE:
    case BOOKIE_FLUSH_WAIT:
    case BOOKIE_FLUSH_TURN:
    case BOOKIE_FLUSH_RECORDS:
    case BOOKIE_FLUSH_SETTLE: break;
    }
    rt_panic("flush step %d is no work", (int)flush->step);
}

// STARTING A STEP

static void on_work(struct rt_work *work) {
    struct bookie_flush *flush = rt_container_of(work, struct bookie_flush, work);
    flush->err = work_now(flush);
}

static void on_worked(struct rt_work *work) {
    struct bookie_flush *flush = rt_container_of(work, struct bookie_flush, work);
    step_done(flush, flush->err);
}

static void on_file(struct rt_file_op *op, rt_err err) {
    step_done(rt_container_of(op, struct bookie_flush, file_op), err);
}

static void on_index(struct rt_kv_op *op, rt_err err) {
    step_done(rt_container_of(op, struct bookie_flush, kv_op), err);
}

static void on_task(struct rt_task *task) {
    struct bookie_flush *flush = rt_container_of(task, struct bookie_flush, task);
    step_done(flush, RT_OK);
}

static void on_pause(struct rt_timer *timer) {
    struct bookie_flush *flush = rt_container_of(timer, struct bookie_flush, pause);
    if (flush->step == BOOKIE_FLUSH_WAIT) {
        step_done(flush, RT_OK);
    } else {
        step_start(flush);
    }
}

static void on_turn(struct bookie_turn *turn) {
    struct bookie_flush *flush = rt_container_of(turn, struct bookie_flush, turn);
    step_done(flush, RT_OK);
}

static void part_set(struct bookie_flush *flush) {
    flush->part = RT_BYTES(flush->appender.chunk, flush->appender.used);
}

static void step_start(struct bookie_flush *flush) {
    struct bookie_store *store = flush->store;
    switch (flush->step) {
    case BOOKIE_FLUSH_OPEN:
    case BOOKIE_FLUSH_FILL:
    case BOOKIE_FLUSH_NAME:
    case BOOKIE_FLUSH_UNDO:
    case BOOKIE_FLUSH_EXTENTS:
    case BOOKIE_FLUSH_CLEAR:
        rt_work_submit(&flush->work, store->loop, on_work, on_worked, "store.flush");
        return;
    case BOOKIE_FLUSH_WRITE:
        flush->write_started_ns = rt_loop_clock(store->loop);
        part_set(flush);
        rt_file_write(&flush->file_op, flush->appender.file, flush->appender.written, &flush->part,
                      1, false, on_file);
        return;
    case BOOKIE_FLUSH_SYNC: rt_file_sync(&flush->file_op, flush->appender.file, on_file); return;
    case BOOKIE_FLUSH_WAIT:
        rt_timer_after(&flush->pause, SPACE_RETRY_NS);
        bookie_store_maybe_close(store);
        return;
    case BOOKIE_FLUSH_TURN:
        flush->turn.run = on_turn;
        bookie_turn_take(store, &flush->turn);
        return;
    case BOOKIE_FLUSH_RECORDS:
    case BOOKIE_FLUSH_SETTLE: rt_defer(store->loop, &flush->task); return;
    case BOOKIE_FLUSH_INDEX:
        rt_kv_write(&flush->kv_op, store->loop, store->kv, flush->batch, RT_KV_DURABLE, on_index);
        return;
    case BOOKIE_FLUSH_IDLE: break;
    }
    rt_panic("flush step %d cannot be started", (int)flush->step);
}

// WHICH STEP FOLLOWS

static void file_enter(struct bookie_flush *flush) {
    if (flush->file_count == flush->file_capacity) {
        flush->file_capacity = flush->file_capacity ? flush->file_capacity * 2 : 4;
        flush->files = rt_realloc(flush->files, flush->file_capacity * sizeof(*flush->files));
    }
    uint64_t size = flush->file_is_new ? 0 : flush->appender.written;
    flush->files[flush->file_count++] = (struct bookie_flush_file){
        .id = flush->appender.id, .dir = flush->dir, .size_before = size, .size = size};
    flush->has_file = true;
}

// The handle stays with the flush until it ends: the directory has it again then.
static enum bookie_flush_step file_begin(struct bookie_flush *flush) {
    struct bookie_store *store = flush->store;
    const struct bookie_dir *dir = dir_of(flush);
    flush->file_is_new =
        flush->has_file || dir->file_size == 0 || dir->file_size >= store->file_bytes_max;
    if (flush->file_is_new) flush->appender.id = store->state.next_file++;
    return BOOKIE_FLUSH_OPEN;
}

static enum bookie_flush_step dir_begin(struct bookie_flush *flush) {
    int dir = bookie_dirs_pick(flush->store);
    if (dir < 0) return BOOKIE_FLUSH_WAIT;
    flush->dir = (unsigned)dir;
    flush->file_count = 0;
    flush->has_file = false;
    struct bookie_cache_half *frozen = bookie_store_frozen(flush->store);
    bookie_flush_fill_begin(flush, frozen);
    return file_begin(flush);
}

static enum bookie_flush_step opened(struct bookie_flush *flush) {
    struct bookie_dir *dir = dir_of(flush);
    if (!flush->has_file && dir->file && dir->file != flush->appender.file) {
        bookie_handle_close_later(flush->store, dir->file);  // it is full
    }
    dir->file = NULL;
    file_enter(flush);
    return BOOKIE_FLUSH_FILL;
}

static enum bookie_flush_step filled(struct bookie_flush *flush) {
    return flush->appender.used > 0 ? BOOKIE_FLUSH_WRITE : BOOKIE_FLUSH_SYNC;
}

static enum bookie_flush_step wrote(struct bookie_flush *flush) {
    bookie_appender_wrote(&flush->appender);
    flush->files[flush->file_count - 1].size = flush->appender.written;
    bool has_end = flush->filling.file_is_full || flush->filling.has_ended;
    return has_end ? BOOKIE_FLUSH_SYNC : BOOKIE_FLUSH_FILL;
}

static enum bookie_flush_step file_ended(struct bookie_flush *flush) {
    if (!flush->filling.has_ended) return file_begin(flush);
    struct bookie_dir *dir = dir_of(flush);
    dir->file = flush->appender.file;
    dir->file_id = flush->appender.id;
    flush->appender.file = NULL;
    return BOOKIE_FLUSH_TURN;
}

static enum bookie_flush_step undone(struct bookie_flush *flush) {
    // The file of the directory, if there was one, stays as it was and is not written any more.
    struct bookie_dir *dir = dir_of(flush);
    dir->file_size = 0;
    flush->file_count = 0;
    return dir_begin(flush);
}

static enum bookie_flush_step cleared(struct bookie_flush *flush) {
    struct bookie_store *store = flush->store;
    for (unsigned i = 0; i < store->dir_count; i++) store->dirs[i].space = flush->spaces[i];
    return BOOKIE_FLUSH_IDLE;
}

static enum bookie_flush_step next_step(struct bookie_flush *flush) {
    switch (flush->step) {
    case BOOKIE_FLUSH_OPEN: return opened(flush);
    case BOOKIE_FLUSH_FILL: return filled(flush);
    case BOOKIE_FLUSH_WRITE: return wrote(flush);
    case BOOKIE_FLUSH_SYNC: return flush->file_is_new ? BOOKIE_FLUSH_NAME : file_ended(flush);
    case BOOKIE_FLUSH_NAME: return file_ended(flush);
    case BOOKIE_FLUSH_UNDO: return undone(flush);
    case BOOKIE_FLUSH_WAIT: return dir_begin(flush);
    case BOOKIE_FLUSH_TURN: bookie_flush_records_begin(flush); return BOOKIE_FLUSH_RECORDS;
    case BOOKIE_FLUSH_RECORDS:
        return bookie_flush_records(flush) ? BOOKIE_FLUSH_EXTENTS : BOOKIE_FLUSH_RECORDS;
    case BOOKIE_FLUSH_EXTENTS: return BOOKIE_FLUSH_INDEX;
    case BOOKIE_FLUSH_INDEX: bookie_flush_indexed(flush); return BOOKIE_FLUSH_SETTLE;
    case BOOKIE_FLUSH_SETTLE:
        return bookie_flush_settle(flush) ? BOOKIE_FLUSH_CLEAR : BOOKIE_FLUSH_SETTLE;
    case BOOKIE_FLUSH_CLEAR: return cleared(flush);
    case BOOKIE_FLUSH_IDLE: break;
    }
    rt_panic("flush step %d has no end", (int)flush->step);
}

static void ops_answer(struct rt_list *ops, rt_err err) {
    for (struct rt_list *link; (link = rt_list_pop_front(ops));) {
        struct bookie_flush_op *op = rt_container_of(link, struct bookie_flush_op, link);
        op->done(op, err);
    }
}

static void flush_ended(struct bookie_flush *flush) {
    struct bookie_store *store = flush->store;
    uint64_t took_ns = rt_loop_clock(store->loop) - flush->started_ns;
    store->stats.flush_ns_last = took_ns;
    if (took_ns > store->stats.flush_ns_max) store->stats.flush_ns_max = took_ns;
    struct rt_list ops;
    rt_list_init(&ops);
    rt_list_splice(&ops, &flush->ops);
    ops_answer(&ops, RT_OK);
    bool wanted_room = store->wants_room;
    store->wants_room = false;
    if (wanted_room && !flush->is_now) store->events->drained(store->events);
    if (flush->is_now) return;
    if (!rt_list_is_empty(&store->flush_ops)) bookie_flush_soon(store);
    if (store->flush_ms > 0 && !rt_timer_is_armed(&store->flush_timer) && !store->closed)
        rt_timer_after(&store->flush_timer, store->flush_ms * RT_NS_PER_MS);
    bookie_store_maybe_close(store);
}

static const char *const step_whats[] = {
    [BOOKIE_FLUSH_OPEN] = "opening a ledger file",
    [BOOKIE_FLUSH_WRITE] = "writing a ledger file",
    [BOOKIE_FLUSH_SYNC] = "syncing a ledger file",
    [BOOKIE_FLUSH_NAME] = "syncing a ledger directory",
    [BOOKIE_FLUSH_INDEX] = "writing the index",
    [BOOKIE_FLUSH_WAIT] = "every ledger directory is full",
    [BOOKIE_FLUSH_CLEAR] = "",
};

// The frozen half stays readable, and is never flushed: nothing is, after a failure.
static void flush_failed(struct bookie_flush *flush, rt_err err) {
    struct bookie_store *store = flush->store;
    if (flush->step == BOOKIE_FLUSH_INDEX) {
        bookie_turn_give(store);
    } else if (flush->step < BOOKIE_FLUSH_UNDO) {
        dir_of(flush)->has_failed = true;
    }
    const char *what = step_whats[flush->step];
    if (flush->appender.file) bookie_handle_close_later(store, flush->appender.file);
    flush->appender.file = NULL;
    flush->step = BOOKIE_FLUSH_IDLE;
    ops_answer(&flush->ops, err);
    bookie_store_fail(store, err, what);
    bookie_store_maybe_close(store);
}

static bool has_no_space(const struct bookie_flush *flush, rt_err err) {
    return err == RT_ENOSPACE && flush->step < BOOKIE_FLUSH_UNDO;
}

// As long as the last write took, so that the disk is half free for others; but nobody waits for
// that.
static bool pause_starts(struct bookie_flush *flush) {
    struct bookie_store *store = flush->store;
    const struct bookie_cache_half *active = bookie_store_active(store);
    bool is_urgent = store->wants_room || store->closed || !rt_list_is_empty(&flush->ops) ||
                     !rt_list_is_empty(&store->flush_ops) ||
                     active->used_bytes > active->limit_bytes / 2;
    if (flush->is_now || is_urgent) return false;
    uint64_t took_ns = rt_loop_clock(store->loop) - flush->write_started_ns;
    rt_timer_after(&flush->pause, took_ns < PAUSE_MAX_NS ? took_ns : PAUSE_MAX_NS);
    return true;
}

// Moves on; says whether the step it moved to has to be started.
static bool step_move(struct bookie_flush *flush, rt_err err) {
    enum bookie_flush_step ended = flush->step;
    if (has_no_space(flush, err)) {
        struct bookie_dir *dir = dir_of(flush);
        rt_log_warn("store", "no space to flush dir=%s", dir->given);
        dir->has_no_space = true;
        dir->no_space_ns = rt_loop_clock(flush->store->loop);
        if (!flush->appender.file) flush->appender.file = dir->file;
        dir->file = NULL;
        flush->step = BOOKIE_FLUSH_UNDO;
    } else if (err) {
        flush_failed(flush, err);
        return false;
    } else {
        flush->step = next_step(flush);
    }
    if (flush->step == BOOKIE_FLUSH_IDLE) {
        flush_ended(flush);
        return false;
    }
    bool wrote_chunk = ended == BOOKIE_FLUSH_WRITE && flush->step == BOOKIE_FLUSH_FILL;
    return !(wrote_chunk && pause_starts(flush));
}

static void step_done(struct bookie_flush *flush, rt_err err) {
    if (step_move(flush, err)) step_start(flush);
}

// BEGINNING

static bool mark_is_behind(struct bookie_mark mark, struct bookie_mark other) {
    if (mark.segment != other.segment) return mark.segment > other.segment;
    return mark.offset > other.offset;
}

static bool has_something(const struct bookie_store *store) {
    if (!bookie_cache_is_empty(&store->halves[store->active])) return true;
    if (!rt_list_is_empty(&store->ledgers.dirty)) return true;
    for (unsigned i = 0; i < store->journal_count; i++) {
        struct bookie_mark mark = store->events->journal_end(store->events, i);
        if (mark_is_behind(mark, store->state.marks[i])) return true;
    }
    return false;
}

static void marks_take(struct bookie_flush *flush) {
    struct bookie_store *store = flush->store;
    memcpy(flush->marks, store->state.marks, sizeof(flush->marks));
    for (unsigned i = 0; i < store->journal_count; i++) {
        struct bookie_mark mark = store->events->journal_end(store->events, i);
        if (mark_is_behind(mark, flush->marks[i])) flush->marks[i] = mark;
    }
}

// Turns the cache around. Everything that was put or changed before belongs to this flush.
static void flush_begin(struct bookie_flush *flush, bool is_now) {
    struct bookie_store *store = flush->store;
    assert(flush->step == BOOKIE_FLUSH_IDLE && !store->failure);
    flush->is_now = is_now;
    flush->started_ns = rt_loop_clock(store->loop);
    flush->generation = store->state.generation + 1;
    flush->file_count = 0;
    rt_buf_clear(&flush->locations);
    rt_list_splice(&flush->ops, &store->flush_ops);
    marks_take(flush);
    bookie_ledgers_turn(store);
    store->halves[store->active].is_frozen = true;
    store->active ^= 1;
    assert(bookie_cache_is_empty(bookie_store_active(store)));
    bool has_entries = !bookie_cache_is_empty(bookie_store_frozen(store));
    flush->step = has_entries ? dir_begin(flush) : BOOKIE_FLUSH_TURN;
}

void bookie_flush_start(struct bookie_store *store) {
    rt_timer_cancel(&store->flush_timer);
    flush_begin(&store->flush, false);
    step_start(&store->flush);
}

void bookie_flush_retry(struct bookie_store *store) {
    struct bookie_flush *flush = &store->flush;
    if (flush->step != BOOKIE_FLUSH_WAIT) return;
    rt_timer_after(&flush->pause, 0);
}

static void on_flush_task(struct rt_task *task) {
    struct bookie_store *store = rt_container_of(task, struct bookie_store, flush_task);
    store->flush_asked = false;
    if (bookie_flush_is_under_way(store)) {  // its end looks again
        bookie_store_maybe_close(store);
        return;
    }
    if (store->failure || !has_something(store)) {
        struct rt_list ops;
        rt_list_init(&ops);
        rt_list_splice(&ops, &store->flush_ops);
        ops_answer(&ops, store->failure);
        bookie_store_maybe_close(store);
        return;
    }
    bookie_flush_start(store);
}

void bookie_flush_soon(struct bookie_store *store) {
    if (store->flush_asked) return;
    store->flush_asked = true;
    rt_defer(store->loop, &store->flush_task);
}

static void on_flush_timer(struct rt_timer *timer) {
    struct bookie_store *store = rt_container_of(timer, struct bookie_store, flush_timer);
    rt_timer_after(&store->flush_timer, store->flush_ms * RT_NS_PER_MS);
    bookie_flush_soon(store);
}

void bookie_store_flush(struct bookie_store *store, struct bookie_flush_op *op) {
    assert(rt_loop_is_current(store->loop) && !store->closed);
    rt_list_push_back(&store->flush_ops, &op->link);
    bookie_flush_soon(store);
}

// One step, blocking. At start-up nobody else changes the index, and nobody waits for space.
static rt_err step_now(struct bookie_flush *flush) {
    if (flush->step == BOOKIE_FLUSH_WAIT) return RT_ENOSPACE;
    if (flush->step == BOOKIE_FLUSH_TURN) {
        assert(!flush->store->turn_taken);
        flush->store->turn_taken = true;
        return RT_OK;
    }
    if (flush->step == BOOKIE_FLUSH_RECORDS || flush->step == BOOKIE_FLUSH_SETTLE) return RT_OK;
    part_set(flush);
    return work_now(flush);
}

rt_err bookie_store_flush_now(struct bookie_store *store, struct rt_why *why) {
    struct bookie_flush *flush = &store->flush;
    assert(flush->step == BOOKIE_FLUSH_IDLE && rt_list_is_empty(&store->flush_ops));
    if (store->failure) return rt_why_set(why, store->failure, "flushing: it failed before");
    if (!has_something(store)) return RT_OK;
    flush_begin(flush, true);
    rt_err err = RT_OK;
    while (flush->step != BOOKIE_FLUSH_IDLE) {
        const char *what = step_whats[flush->step];
        err = step_now(flush);
        if (err && !has_no_space(flush, err))
            rt_why_set(why, err, "%s: %s", what, rt_err_text(err));
        (void)step_move(flush, err);  // a blocking flush starts nothing
    }
    flush->is_now = false;
    store->wants_room = false;
    return store->failure ? err : RT_OK;
}

// LIFE

void bookie_flush_init(struct bookie_store *store) {
    struct bookie_flush *flush = &store->flush;
    *flush = (struct bookie_flush){.store = store};
    bookie_appender_init(&flush->appender);
    flush->spaces = rt_alloc_zero(store->dir_count, sizeof(*flush->spaces));
    for (unsigned i = 0; i < store->dir_count; i++) flush->spaces[i] = store->dirs[i].space;
    flush->batch = rt_kv_batch_new(store->kv);
    rt_list_init(&flush->ops);
    rt_list_init(&store->flush_ops);
    rt_task_init(&flush->task, on_task, "store.flush");
    rt_task_init(&store->flush_task, on_flush_task, "store.flush");
    rt_timer_init(&flush->pause, store->loop, on_pause, "store.flush");
    rt_timer_init(&store->flush_timer, store->loop, on_flush_timer, "store.flush");
}

void bookie_flush_fini(struct bookie_store *store) {
    struct bookie_flush *flush = &store->flush;
    bookie_appender_fini(&flush->appender);
    rt_kv_batch_free(flush->batch);
    rt_buf_fini(&flush->record);
    rt_buf_fini(&flush->locations);
    rt_buf_fini(&flush->filling.scratch);
    rt_free(flush->filling.items);
    rt_free(flush->files);
    rt_free(flush->spaces);
}
