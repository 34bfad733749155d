// Opening: the index, then the ledger directories, compared with what the index says of them.
#include <assert.h>
#include <string.h>

#include "bookie/server/store/store_internal.h"
#include "runtime/mem.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

// A file that the index does not know and that is larger than what one flush can have left behind
// is not removed.
#define REST_SLACK_BYTES (64 * MIB)

struct opening {
    struct bookie_store *store;
    size_t rest_bytes_max;
    bool has_moved;  // a file is in another directory than the index says
    struct rt_why *why;
};

static size_t or_default(size_t value, size_t when_zero) {
    return value ? value : when_zero;
}

static char *path_in(const char *directory, const char *name) {
    struct rt_buf path = {0};
    rt_buf_print(&path, "%s/%s", directory, name);
    rt_buf_append(&path, RT_BYTES("", 1));
    return (char *)path.data;
}

// FILES OF THE INDEX

static rt_err records_read(struct opening *opening) {
    struct bookie_store *store = opening->store;
    struct rt_kv_iter *iter = rt_kv_iter_new(store->kv, NULL, BOOKIE_COLUMN_FILES);
    rt_err err = RT_OK;
    for (rt_kv_iter_first(iter); !err && rt_kv_iter_valid(iter); rt_kv_iter_next(iter)) {
        struct bookie_file_record record;
        err = bookie_file_record_read(rt_kv_iter_key(iter), rt_kv_iter_value(iter), &record);
        if (!err) bookie_files_add(&store->files, &record);
    }
    if (!err) err = rt_kv_iter_err(iter);
    rt_kv_iter_free(iter);
    if (err) return rt_why_prefix(opening->why, err, "ledger files in the index");
    return RT_OK;
}

static rt_err file_cut(struct opening *opening, const char *path, uint64_t size) {
    struct rt_file *file;
    rt_err err = rt_file_open_now(opening->store->machine, path, RT_FILE_WRITE, &file, NULL);
    if (err) return err;
    err = rt_file_truncate_now(file, size);
    if (!err) err = rt_file_sync_now(file);
    rt_file_close_now(file);
    return err;
}

static rt_err known_file(struct opening *opening, unsigned dir, const char *path,
                         struct bookie_file *file, uint64_t size) {
    if (file->is_seen) {
        return rt_why_set(opening->why, RT_ECORRUPT, "%s: the same file is in another directory",
                          path);
    }
    file->is_seen = true;
    opening->has_moved = opening->has_moved || file->record.dir != dir;
    file->record.dir = dir;
    if (size < file->record.size) {
        return rt_why_set(opening->why, RT_ECORRUPT, "%s has %llu bytes and should have %llu", path,
                          (unsigned long long)size, (unsigned long long)file->record.size);
    }
    if (size == file->record.size) return RT_OK;
    rt_log_info("store", "rest of an unfinished flush cut off path=%s bytes=%llu", path,
                (unsigned long long)(size - file->record.size));
    rt_err err = file_cut(opening, path, file->record.size);
    return err ? rt_why_set(opening->why, err, "cutting %s: %s", path, rt_err_text(err)) : RT_OK;
}

// UNKNOWN FILES

enum verdict { REMOVE, SET_ASIDE, REFUSE };

static rt_err header_read(struct opening *opening, const char *path, uint64_t *owner,
                          uint64_t *id) {
    uint8_t page[BOOKIE_FILE_HEADER];
    size_t size = 0;
    struct rt_file *file;
    rt_err err = rt_file_open_now(opening->store->machine, path, RT_FILE_READ, &file, NULL);
    if (err) return err;
    err = rt_file_read_now(file, 0, page, sizeof(page), &size);
    rt_file_close_now(file);
    return err ? err : bookie_file_header_decode(RT_BYTES(page, size), owner, id);
}

static enum verdict judge(struct opening *opening, uint64_t name_id, uint64_t size, rt_err err,
                          uint64_t owner) {
    if (!err && owner != opening->store->state.owner) return REFUSE;
    bool was_emptied = !err && name_id < opening->store->state.next_file;
    return was_emptied || size <= opening->rest_bytes_max ? REMOVE : SET_ASIDE;
}

static rt_err set_aside(struct opening *opening, const char *path) {
    struct rt_buf aside = {0};
    rt_buf_print(&aside, "%s.unknown", path);
    rt_buf_append(&aside, RT_BYTES("", 1));
    rt_log_warn("store", "ledger file unknown to the index set aside path=%s", (char *)aside.data);
    rt_err err = rt_path_rename_now(opening->store->machine, path, (char *)aside.data);
    rt_buf_fini(&aside);
    return err;
}

static rt_err unknown_file(struct opening *opening, const char *path, uint64_t name_id,
                           uint64_t size, bool *has_changed) {
    uint64_t owner = 0, id = 0;
    rt_err err = header_read(opening, path, &owner, &id);
    if (err && err != RT_ECORRUPT)
        return rt_why_set(opening->why, err, "reading %s: %s", path, rt_err_text(err));
    *has_changed = true;
    switch (judge(opening, name_id, size, err, owner)) {
    case REMOVE:
        rt_log_info("store", "ledger file without a flush removed path=%s bytes=%llu", path,
                    (unsigned long long)size);
        err = rt_path_remove_now(opening->store->machine, path);
        break;
    case SET_ASIDE: err = set_aside(opening, path); break;
    case REFUSE:
        return rt_why_set(opening->why, RT_ECORRUPT,
                          "%s belongs to another store; was the index lost?", path);
    }
    return err ? rt_why_set(opening->why, err, "moving %s away: %s", path, rt_err_text(err))
               : RT_OK;
}

// DIRECTORIES

static rt_err dir_check(struct opening *opening, unsigned index) {
    struct bookie_store *store = opening->store;
    struct bookie_dir *dir = &store->dirs[index];
    struct rt_dir_listing listing = {0};
    bool has_changed = false;
    rt_err err = rt_dir_list_now(store->machine, dir->path, &listing, opening->why);
    for (size_t i = 0; !err && i < listing.count; i++) {
        const struct rt_dir_entry *entry = &listing.entries[i];
        uint64_t id;
        if (entry->is_dir || !bookie_file_name_parse(entry->name, &id)) continue;
        struct bookie_file *file = bookie_files_find(&store->files, id);
        char *path = path_in(dir->path, entry->name);
        err = file ? known_file(opening, index, path, file, entry->size)
                   : unknown_file(opening, path, id, entry->size, &has_changed);
        rt_free(path);
    }
    rt_dir_listing_fini(&listing);
    // A name that comes back after a crash must not meet a file that got its id since.
    if (!err && has_changed) {
        err = rt_dir_sync_now(store->machine, dir->path);
        if (err) err = rt_why_set(opening->why, err, "syncing %s", dir->path);
    }
    return err;
}

static rt_err dir_open(struct opening *opening, unsigned index) {
    struct bookie_store *store = opening->store;
    struct bookie_dir *dir = &store->dirs[index];
    rt_err err = rt_dir_create_now(store->machine, dir->path, opening->why);
    if (err) return err;
    RT_IGNORE(rt_dir_space_now(store->machine, dir->path, &dir->space));  // for people only
    return dir_check(opening, index);
}

// The newest file of each directory, if it is not full, is appended to.
static void dirs_resume(struct bookie_store *store) {
    for (size_t i = 0; i < store->files.count; i++) {
        const struct bookie_file_record *record = &store->files.items[i]->record;
        struct bookie_dir *dir = &store->dirs[record->dir];
        bool is_full = record->size >= store->file_bytes_max;
        dir->file_id = record->id;
        dir->file_size = is_full ? 0 : record->size;
    }
}

static rt_err all_seen(struct opening *opening) {
    struct bookie_store *store = opening->store;
    for (size_t i = 0; i < store->files.count; i++) {
        if (store->files.items[i]->is_seen) continue;
        const struct bookie_file_record *record = &store->files.items[i]->record;
        const char *dir = record->dir < store->dir_count ? store->dirs[record->dir].path
                                                         : "a directory that is not configured";
        char name[BOOKIE_FILE_NAME_SIZE];
        bookie_file_name(record->id, name);
        return rt_why_set(opening->why, RT_ECORRUPT, "ledger file %s is missing; it was in %s",
                          name, dir);
    }
    return RT_OK;
}

// Directories may be given in another order than the last time.
static rt_err moved_write(struct opening *opening) {
    struct bookie_store *store = opening->store;
    if (!opening->has_moved) return RT_OK;
    struct rt_kv_batch *batch = rt_kv_batch_new(store->kv);
    for (size_t i = 0; i < store->files.count; i++) {
        bookie_index_put_file(batch, &store->files.items[i]->record);
    }
    rt_err err = rt_kv_write_now(store->kv, batch, RT_KV_DURABLE);
    rt_kv_batch_free(batch);
    return err ? rt_why_set(opening->why, err, "writing the index: %s", rt_err_text(err)) : RT_OK;
}

// THE INDEX

static void state_begin(struct bookie_store *store) {
    rt_machine_entropy(store->machine, &store->state.owner, sizeof(store->state.owner));
    store->state.next_file = 1;
}

// What was found may be the work of a process that was killed before its batch was durable. Files
// are cut and removed according to it, so it must not go back to what it was before.
static rt_err state_fix(struct bookie_store *store) {
    if (store->state.mark_count < store->journal_count)
        store->state.mark_count = store->journal_count;
    struct rt_kv_batch *batch = rt_kv_batch_new(store->kv);
    bookie_index_put_state(batch, &store->state);
    rt_err err = rt_kv_write_now(store->kv, batch, RT_KV_DURABLE);
    rt_kv_batch_free(batch);
    return err;
}

static rt_err index_open(struct opening *opening, const struct bookie_store_options *options) {
    struct bookie_store *store = opening->store;
    rt_err err = rt_dir_create_now(store->machine, options->index_dir, opening->why);
    if (err) return err;
    char *path = path_in(options->index_dir, "index");
    err = bookie_index_open_now(store->machine, path,
                                or_default(options->index_cache_bytes, 32 * MIB), &store->kv,
                                opening->why);
    rt_free(path);
    if (err) {
        store->kv = NULL;
        return err;
    }
    err = bookie_index_state_now(store->kv, &store->state);
    if (err == RT_ENOTFOUND) {
        state_begin(store);
        err = RT_OK;
    }
    if (!err) err = state_fix(store);
    if (err) return rt_why_set(opening->why, err, "state of the index: %s", rt_err_text(err));
    return RT_OK;
}

// THE STORE

static void dirs_init(struct bookie_store *store, const struct bookie_store_options *options) {
    assert(options->ledger_dir_count > 0 && options->ledger_dir_count <= BOOKIE_DIRS_MAX);
    store->dir_count = options->ledger_dir_count;
    store->dirs = rt_alloc_zero(store->dir_count, sizeof(*store->dirs));
    for (unsigned i = 0; i < store->dir_count; i++) {
        store->dirs[i].given = rt_strdup(options->ledger_dirs[i]);
        store->dirs[i].path = path_in(options->ledger_dirs[i], "current");
    }
}

static void caches_init(struct bookie_store *store, const struct bookie_store_options *options) {
    size_t write_bytes = or_default(options->write_cache_bytes, 64 * MIB);
    rt_budget_init(&store->write_budget, "write cache", write_bytes);
    for (unsigned i = 0; i < 2; i++) {
        bookie_cache_init(&store->halves[i], rt_loop_slabs(store->loop), &store->write_budget,
                          write_bytes / 2);
    }
    bookie_reading_init(store, or_default(options->read_cache_bytes, 64 * MIB));
}

static void on_started(struct rt_task *task) {
    struct bookie_store *store = rt_container_of(task, struct bookie_store, started);
    store->is_booting = false;
    if (store->flush_ms > 0 && !store->closed)
        rt_timer_after(&store->flush_timer, store->flush_ms * RT_NS_PER_MS);
    bookie_store_maybe_close(store);
}

static struct bookie_store *store_new(struct rt_machine *machine, struct rt_loop *loop,
                                      const struct bookie_store_options *options) {
    assert(options->journal_count <= BOOKIE_JOURNALS_MAX && options->events);
    struct bookie_store *store = RT_NEW(struct bookie_store);
    store->machine = machine;
    store->loop = loop;
    store->events = options->events;
    store->journal_count = options->journal_count;
    store->file_bytes_max = or_default(options->file_bytes_max, 1024 * MIB);
    store->extent_bytes = or_default(options->extent_bytes, 64 * KIB);
    store->compress = options->compress;
    store->flush_ms = options->flush_ms;
    store->is_booting = true;
    rt_list_init(&store->turns);
    rt_list_init(&store->doomed);
    rt_list_init(&store->flush_ops);
    bookie_files_init(&store->files);
    bookie_ledgers_init(store);
    bookie_deleting_init(store);
    dirs_init(store, options);
    caches_init(store, options);
    return store;
}

void bookie_store_free(struct bookie_store *store) {
    bookie_cache_clear(&store->flush.garbage);
    for (unsigned i = 0; i < 2; i++) bookie_cache_clear(&store->halves[i]);
    bookie_read_cache_fini(&store->read_cache);
    bookie_ledgers_fini(store);
    for (unsigned i = 0; i < store->dir_count; i++) {
        rt_free(store->dirs[i].given);
        rt_free(store->dirs[i].path);
    }
    rt_free(store->dirs);
    rt_free(store);
}

static rt_err all_open(struct opening *opening, const struct bookie_store_options *options) {
    rt_err err = index_open(opening, options);
    if (!err) err = records_read(opening);
    for (unsigned i = 0; !err && i < opening->store->dir_count; i++) err = dir_open(opening, i);
    if (!err) err = all_seen(opening);
    if (!err) err = moved_write(opening);
    return err;
}

rt_err bookie_store_open_now(struct rt_machine *machine, struct rt_loop *loop,
                             const struct bookie_store_options *options,
                             struct bookie_store **store, struct rt_why *why) {
    struct bookie_store *opened = store_new(machine, loop, options);
    struct opening opening = {.store = opened, .why = why};
    opening.rest_bytes_max = opened->write_budget.limit_bytes + REST_SLACK_BYTES;
    rt_err err = all_open(&opening, options);
    *store = NULL;
    if (err) {
        bookie_files_fini(&opened->files);
        if (opened->kv) rt_kv_close_now(opened->kv);
        bookie_store_free(opened);
        return rt_why_prefix(why, err, "opening the store");
    }
    dirs_resume(opened);
    bookie_flush_init(opened);
    rt_task_init(&opened->started, on_started, "store.started");
    rt_post(loop, &opened->started);
    *store = opened;
    return RT_OK;
}
