// Compaction: OPEN, then COPY and WRITE until the file has ended, SYNC, NAME, TURN, EXTENTS, INDEX.
// What goes wrong before INDEX leads to UNDO, and everything is as it was.
#include "bookie/server/store/compaction.h"

#include <assert.h>
#include <stdlib.h>

#include "bookie/server/store/store_internal.h"
#include "bookie/server/store/walk.h"
#include "runtime/mem.h"

enum { STEP_BYTES = 1 << 20 };

enum compaction_step { OPEN, COPY, WRITE, SYNC, NAME, TURN, EXTENTS, INDEX, UNDO };

// What was copied, and where to.
struct moved {
    struct bookie_location from, to;
};

struct bookie_compaction {
    struct bookie_store *store;
    struct bookie_compact_op *op;
    enum compaction_step step;
    struct bookie_file *source;
    struct bookie_walk walk;
    bool has_walk, has_extent, has_ended, out_is_new;
    unsigned dir;
    struct bookie_appender appender;
    uint64_t size_before, live_moved;
    struct rt_buf moved;  // of struct moved
    uint64_t paced_bytes, seen_before;
    struct rt_kv_batch *batch;
    rt_err err;  // why it is undone
    struct rt_work work;
    rt_err work_err;
    struct rt_file_op file_op;
    struct rt_bytes part;
    struct rt_kv_op kv_op;
    struct rt_timer pause;
    struct bookie_turn turn;
};

static void step_start(struct bookie_compaction *c);
static void step_done(struct bookie_compaction *c, rt_err err);

// PICKING

static bool is_written_to(const struct bookie_store *store, uint64_t id) {
    for (unsigned i = 0; i < store->dir_count; i++) {
        if (store->dirs[i].file_size > 0 && store->dirs[i].file_id == id) return true;
    }
    for (unsigned i = 0; i < store->flush.file_count; i++) {
        if (bookie_flush_is_under_way(store) && store->flush.files[i].id == id) return true;
    }
    return store->compacting.out_size > 0 && store->compacting.out_id == id;
}

static unsigned live_percent(const struct bookie_file *file) {
    uint64_t size = file->record.size > 0 ? file->record.size : 1;
    return (unsigned)(file->record.live_bytes * 100 / size);
}

unsigned bookie_store_compactable(const struct bookie_store *store, unsigned live_percent_max,
                                  uint64_t *files, unsigned count_max) {
    unsigned count = 0;
    for (unsigned percent = 0; percent <= live_percent_max && count < count_max; percent++) {
        for (size_t i = 0; i < store->files.count && count < count_max; i++) {
            const struct bookie_file *file = store->files.items[i];
            if (live_percent(file) != percent || file->is_damaged) continue;
            if (!is_written_to(store, file->record.id)) files[count++] = file->record.id;
        }
    }
    return count;
}

// WORKERS

static rt_err open_now(struct bookie_compaction *c) {
    struct bookie_store *store = c->store;
    const struct bookie_file_record *source = &c->source->record;
    char *path = bookie_file_path(store->dirs[source->dir].path, source->id);
    c->has_walk = true;
    rt_err err = bookie_walk_open_now(&c->walk, store->machine, store->kv, path, store->state.owner,
                                      source->id, source->size);
    rt_free(path);
    if (err) return err;
    const char *directory = store->dirs[c->dir].path;
    if (!c->out_is_new) {
        return bookie_appender_resume_now(&c->appender, store->machine, directory, c->appender.id,
                                          c->size_before);
    }
    return bookie_appender_create_now(&c->appender, store->machine, directory, store->state.owner,
                                      c->appender.id);
}

static void extent_take(struct bookie_compaction *c) {
    const struct bookie_extent_head *head = &c->walk.head;
    struct moved moved = {.from = {.ledger = head->ledger,
                                   .first = head->first,
                                   .last = head->last,
                                   .generation = head->generation,
                                   .count = head->count,
                                   .plain_size = head->plain_size,
                                   .stored_size = head->stored_size,
                                   .file = c->walk.file_id,
                                   .offset = c->walk.offset}};
    moved.to = moved.from;
    moved.to.file = c->appender.id;
    moved.to.offset = bookie_appender_offset(&c->appender);
    rt_buf_append(&c->moved, RT_BYTES(&moved, sizeof(moved)));
    rt_buf_clear(&c->appender.extent);
    rt_buf_append(&c->appender.extent, rt_buf_bytes(&c->walk.stored));
    c->appender.taken = 0;
}

// Until the chunk is full, enough was read, or the file ends.
static rt_err copy_now(struct bookie_compaction *c) {
    uint64_t stop = c->walk.seen_bytes + STEP_BYTES;
    while (!bookie_appender_take(&c->appender)) {
        if (c->walk.seen_bytes >= stop) return RT_OK;
        rt_err err = bookie_walk_next_now(&c->walk);
        if (err == RT_ENOTFOUND) {
            c->has_ended = true;
            bookie_appender_pad(&c->appender);
            return RT_OK;
        }
        if (err) return err;
        if (c->walk.is_live) extent_take(c);
    }
    return RT_OK;
}

// Whoever was deleted since is not moved. The turn is ours.
static rt_err extents_now(struct bookie_compaction *c) {
    const struct moved *moved = (const void *)c->moved.data;
    for (size_t i = 0; i < c->moved.size / sizeof(*moved); i++) {
        const struct bookie_location *from = &moved[i].from;
        struct bookie_location now;
        rt_err err = bookie_index_extent_now(c->store->kv, from->ledger, from->first,
                                             from->generation, &now);
        if (err == RT_ENOTFOUND) continue;
        if (err) return err;
        if (now.file != from->file || now.offset != from->offset) continue;
        bookie_index_put_extent(c->batch, &moved[i].to);
        c->live_moved += BOOKIE_EXTENT_HEADER + (uint64_t)from->stored_size;
        c->op->copied_extents++;
    }
    if (c->has_walk) bookie_walk_close_now(&c->walk);
    c->has_walk = false;
    return RT_OK;
}

static void undo_now(struct bookie_compaction *c) {
    struct bookie_store *store = c->store;
    const char *directory = store->dirs[c->dir].path;
    if (c->appender.file) {
        rt_file_close_now(c->appender.file);
        c->appender.file = NULL;
        char *path = bookie_file_path(directory, c->appender.id);
        struct rt_file *file = NULL;
        rt_err err;
        if (c->out_is_new) {
            err = rt_path_remove_now(store->machine, path);
            if (!err) err = rt_dir_sync_now(store->machine, directory);
        } else {
            err = rt_file_open_now(store->machine, path, RT_FILE_WRITE, &file, NULL);
            if (!err) err = rt_file_truncate_now(file, c->size_before);
            if (file) rt_file_close_now(file);
        }
        if (err) {
            rt_log_warn("store", "rest of a compaction stays path=%s err=%s", path,
                        rt_err_name(err));
        }
        rt_free(path);
    }
    if (c->has_walk) bookie_walk_close_now(&c->walk);
    c->has_walk = false;
}

static void on_work(struct rt_work *work) {
    struct bookie_compaction *c = rt_container_of(work, struct bookie_compaction, work);
    c->work_err = RT_OK;
    if (c->step == OPEN) c->work_err = open_now(c);
    if (c->step == COPY) c->work_err = copy_now(c);
    if (c->step == NAME) {
        c->work_err = rt_dir_sync_now(c->store->machine, c->store->dirs[c->dir].path);
    }
    if (c->step == EXTENTS) c->work_err = extents_now(c);
    if (c->step == UNDO) undo_now(c);
}

// STEPS

static void on_worked(struct rt_work *work) {
    struct bookie_compaction *c = rt_container_of(work, struct bookie_compaction, work);
    step_done(c, c->work_err);
}

static void on_file(struct rt_file_op *op, rt_err err) {
    step_done(rt_container_of(op, struct bookie_compaction, file_op), err);
}

static void on_index(struct rt_kv_op *op, rt_err err) {
    step_done(rt_container_of(op, struct bookie_compaction, kv_op), err);
}

static void on_turn(struct bookie_turn *turn) {
    step_done(rt_container_of(turn, struct bookie_compaction, turn), RT_OK);
}

static void on_pause(struct rt_timer *timer) {
    step_start(rt_container_of(timer, struct bookie_compaction, pause));
}

static void step_start(struct bookie_compaction *c) {
    struct bookie_store *store = c->store;
    switch (c->step) {
    case OPEN:
    case COPY:
    case NAME:
    case EXTENTS:
    case UNDO: rt_work_submit(&c->work, store->loop, on_work, on_worked, "store.compact"); return;
    case WRITE:
        c->part = RT_BYTES(c->appender.chunk, c->appender.used);
        rt_file_write(&c->file_op, c->appender.file, c->appender.written, &c->part, 1, false,
                      on_file);
        return;
    case SYNC: rt_file_sync(&c->file_op, c->appender.file, on_file); return;
    case TURN:
        c->turn.run = on_turn;
        bookie_turn_take(store, &c->turn);
        return;
    case INDEX:
        rt_kv_write(&c->kv_op, store->loop, store->kv, c->batch, RT_KV_DURABLE, on_index);
        return;
    }
}

// THE INDEX

static bool has_output(const struct bookie_compaction *c) {
    return c->moved.size > 0;
}

// As with a flush: a reader may be faster than the answer to the batch.
static void turn_taken(struct bookie_compaction *c) {
    struct bookie_store *store = c->store;
    const struct bookie_file_record record = {.id = c->appender.id, .dir = c->dir};
    c->batch = rt_kv_batch_new(store->kv);
    if (has_output(c) && !bookie_files_find(&store->files, record.id))
        bookie_files_add(&store->files, &record);
}

static void batch_finish(struct bookie_compaction *c) {
    struct bookie_store *store = c->store;
    bookie_index_delete_file(c->batch, c->source->record.id);
    bookie_index_put_state(c->batch, &store->state);
    if (!has_output(c)) return;
    struct bookie_file_record record = bookie_files_find(&store->files, c->appender.id)->record;
    record.size = c->appender.written;
    record.live_bytes += c->live_moved;
    bookie_index_put_file(c->batch, &record);
}

static void indexed(struct bookie_compaction *c) {
    struct bookie_store *store = c->store;
    struct bookie_file *source = c->source;
    if (has_output(c)) {
        struct bookie_file *out = bookie_files_find(&store->files, c->appender.id);
        out->record.size = c->appender.written;
        out->record.live_bytes += c->live_moved;
        bool is_full = out->record.size >= store->file_bytes_max;
        store->compacting.out_id = out->record.id;
        store->compacting.out_dir = c->dir;
        store->compacting.out_size = is_full ? 0 : out->record.size;
    }
    c->op->copied_bytes = c->live_moved;
    c->op->freed_bytes = source->record.size;
    bookie_files_take(&store->files, source);
    rt_list_push_back(&store->doomed, &source->list);
    bookie_turn_give(store);
    bookie_files_remove_doomed(store);
}

// ENDING

static void ended(struct bookie_compaction *c, rt_err err) {
    struct bookie_store *store = c->store;
    struct bookie_compact_op *op = c->op;
    if (c->appender.file) bookie_handle_close_later(store, c->appender.file);
    c->appender.file = NULL;
    if (c->has_walk) bookie_walk_close_now(&c->walk);
    bookie_appender_fini(&c->appender);
    if (c->batch) rt_kv_batch_free(c->batch);
    rt_buf_fini(&c->moved);
    rt_timer_cancel(&c->pause);
    rt_free(c);
    store->compacting.running = NULL;
    op->done(op, err);
    bookie_store_maybe_close(store);
}

static enum compaction_step next_step(struct bookie_compaction *c) {
    switch (c->step) {
    case OPEN: return COPY;
    case COPY:
        // Nothing live at all: the file that was opened for it is not needed.
        if (c->has_ended && !has_output(c)) return UNDO;
        if (c->has_ended || c->appender.used == BOOKIE_CHUNK)
            return c->appender.used > 0 ? WRITE : SYNC;
        return COPY;
    case WRITE: bookie_appender_wrote(&c->appender); return c->has_ended ? SYNC : COPY;
    case SYNC: return c->out_is_new ? NAME : TURN;
    case NAME: return TURN;
    case TURN: turn_taken(c); return EXTENTS;
    case EXTENTS: batch_finish(c); return INDEX;
    case UNDO: return TURN;
    case INDEX: break;
    }
    rt_panic("compaction step %d has no end", (int)c->step);
}

// Something failed, or the store closes: back to where it began.
static void give_up(struct bookie_compaction *c, rt_err err) {
    struct bookie_store *store = c->store;
    c->err = err;
    if (err == RT_ECORRUPT) {
        c->source->is_damaged = true;
        rt_log_error("store", "ledger file kept: it is damaged file=%016llx offset=%llu",
                     (unsigned long long)c->source->record.id, (unsigned long long)c->walk.offset);
    }
    if (c->step == EXTENTS) {
        if (c->out_is_new && has_output(c)) {
            struct bookie_file *out = bookie_files_find(&store->files, c->appender.id);
            bookie_files_take(&store->files, out);
            bookie_file_free(out);
        }
        bookie_turn_give(store);
    }
    // What was appended to is not appended to any more.
    store->compacting.out_size = 0;
    c->step = UNDO;
    step_start(c);
}

static bool pause_starts(struct bookie_compaction *c) {
    if (c->op->bytes_per_s == 0 || (c->step != COPY && c->step != WRITE)) return false;
    uint64_t bytes = c->walk.seen_bytes - c->seen_before + c->appender.written - c->paced_bytes;
    c->seen_before = c->walk.seen_bytes;
    c->paced_bytes = c->appender.written;
    if (bytes == 0) return false;
    rt_timer_after(&c->pause, bytes * RT_NS_PER_S / c->op->bytes_per_s);
    return true;
}

static void step_done(struct bookie_compaction *c, rt_err err) {
    struct bookie_store *store = c->store;
    if (c->step == INDEX) {
        if (err) {
            bookie_turn_give(store);
            bookie_store_fail(store, err, "moving extents in the index");
        } else {
            indexed(c);
        }
        ended(c, err);
        return;
    }
    if (c->step == UNDO && c->err) {
        ended(c, c->err);
        return;
    }
    if (!err && c->step < SYNC && store->closed) err = RT_ECLOSED;
    if (err) {
        give_up(c, err);
        return;
    }
    c->step = next_step(c);
    if (!pause_starts(c)) step_start(c);
}

// BEGINNING

static rt_err output_choose(struct bookie_compaction *c) {
    struct bookie_store *store = c->store;
    c->out_is_new = store->compacting.out_size == 0;
    if (!c->out_is_new) {
        c->dir = store->compacting.out_dir;
        c->appender.id = store->compacting.out_id;
        c->size_before = store->compacting.out_size;
        c->paced_bytes = c->size_before;
        return RT_OK;
    }
    int dir = bookie_dirs_pick(store);
    if (dir < 0) return RT_ENOSPACE;
    c->dir = (unsigned)dir;
    c->appender.id = store->state.next_file++;
    return RT_OK;
}

struct refusal {
    struct rt_task task;
    struct bookie_store *store;
    struct bookie_compact_op *op;
    rt_err err;
};

static void refuse_run(struct rt_task *task) {
    struct refusal *refusal = rt_container_of(task, struct refusal, task);
    struct bookie_store *store = refusal->store;
    struct bookie_compact_op *op = refusal->op;
    rt_err err = refusal->err;
    rt_free(refusal);
    store->closings--;
    op->done(op, err);
    bookie_store_maybe_close(store);
}

static void refuse(struct bookie_store *store, struct bookie_compact_op *op, rt_err err) {
    struct refusal *refusal = RT_NEW(struct refusal);
    *refusal = (struct refusal){.store = store, .op = op, .err = err};
    rt_task_init(&refusal->task, refuse_run, "store.compact");
    store->closings++;
    rt_defer(store->loop, &refusal->task);
}

void bookie_store_compact(struct bookie_store *store, struct bookie_compact_op *op,
                          uint64_t file_id) {
    assert(!store->closed && !store->compacting.running);
    struct bookie_file *file = bookie_files_find(&store->files, file_id);
    op->file = file_id;
    op->copied_extents = op->copied_bytes = op->freed_bytes = 0;
    if (!file || is_written_to(store, file_id) || store->failure) {
        refuse(store, op, store->failure ? RT_EFAILED : RT_ENOTFOUND);
        return;
    }
    struct bookie_compaction *c = RT_NEW(struct bookie_compaction);
    c->store = store;
    c->op = op;
    c->source = file;
    bookie_appender_init(&c->appender);
    rt_timer_init(&c->pause, store->loop, on_pause, "store.compact");
    store->compacting.running = c;
    bool is_dead = file->record.live_bytes == 0;
    rt_err err = is_dead ? RT_OK : output_choose(c);
    if (err) {
        rt_list_init(&c->turn.link);
        store->compacting.running = NULL;
        bookie_appender_fini(&c->appender);
        rt_free(c);
        refuse(store, op, err);
        return;
    }
    c->step = is_dead ? TURN : OPEN;
    step_start(c);
}

void bookie_compaction_hurry(struct bookie_store *store) {
    struct bookie_compaction *c = store->compacting.running;
    if (c && rt_timer_is_armed(&c->pause)) rt_timer_after(&c->pause, 0);
    bookie_verification_hurry(store);
}

bool bookie_compaction_is_quiet(const struct bookie_store *store) {
    return !store->compacting.running && !store->compacting.verifying;
}
