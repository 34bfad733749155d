// Directories, and files on their way out.
#include <assert.h>

#include "bookie/server/store/store_internal.h"
#include "runtime/mem.h"

// A directory in which there was no space is tried again after this long, or when it is said to
// have some.
#define NO_SPACE_NS (5 * RT_NS_PER_S)

// PICKING

static bool dir_is_usable(const struct bookie_store *store, const struct bookie_dir *dir) {
    if (dir->is_full || dir->has_failed) return false;
    if (!dir->has_no_space) return true;
    return rt_loop_clock(store->loop) - dir->no_space_ns >= NO_SPACE_NS;
}

int bookie_dirs_pick(struct bookie_store *store) {
    for (unsigned i = 0; i < store->dir_count; i++) {
        unsigned index = (store->dir_next + i) % store->dir_count;
        struct bookie_dir *dir = &store->dirs[index];
        if (!dir_is_usable(store, dir)) continue;
        dir->has_no_space = false;
        store->dir_next = (index + 1) % store->dir_count;
        return (int)index;
    }
    return -1;
}

void bookie_store_dir_set_full(struct bookie_store *store, unsigned dir, bool is_full) {
    assert(dir < store->dir_count);
    store->dirs[dir].is_full = is_full;
    if (is_full) return;
    store->dirs[dir].has_no_space = false;
    bookie_flush_retry(store);
}

unsigned bookie_store_dirs(const struct bookie_store *store, struct bookie_dir_status *dirs,
                           unsigned count_max) {
    unsigned count = store->dir_count < count_max ? store->dir_count : count_max;
    for (unsigned i = 0; i < count; i++) {
        const struct bookie_dir *dir = &store->dirs[i];
        dirs[i] = (struct bookie_dir_status){.path = dir->given,
                                             .total_bytes = dir->space.total_bytes,
                                             .free_bytes = dir->space.free_bytes,
                                             .is_full = dir->is_full,
                                             .has_failed = dir->has_failed};
    }
    for (size_t i = 0; i < store->files.count; i++) {
        const struct bookie_file_record *record = &store->files.items[i]->record;
        if (record->dir >= count) continue;
        dirs[record->dir].file_bytes += record->size;
        dirs[record->dir].live_bytes += record->live_bytes;
    }
    return count;
}

// CLOSING HANDLES

struct closing {
    struct rt_file_op op;
    struct bookie_store *store;
};

static void handle_closed(struct rt_file_op *op, rt_err err) {
    struct closing *closing = rt_container_of(op, struct closing, op);
    struct bookie_store *store = closing->store;
    (void)err;  // what had to be durable was synced
    rt_free(closing);
    store->closings--;
    bookie_store_maybe_close(store);
}

void bookie_handle_close_later(struct bookie_store *store, struct rt_file *handle) {
    if (!rt_loop_is_current(store->loop)) {
        rt_file_close_now(handle);
        return;
    }
    struct closing *closing = RT_NEW(struct closing);
    closing->store = store;
    store->closings++;
    rt_file_close(&closing->op, handle, handle_closed);
}

// REMOVING FILES

struct removal {
    struct rt_work work;
    struct bookie_store *store;
    struct bookie_file *file;
};

static void removal_run(struct rt_work *work) {
    struct removal *removal = rt_container_of(work, struct removal, work);
    struct bookie_store *store = removal->store;
    struct bookie_file *file = removal->file;
    const char *directory = store->dirs[file->record.dir].path;
    if (file->handle) rt_file_close_now(file->handle);
    file->handle = NULL;
    char *path = bookie_file_path(directory, file->record.id);
    rt_err err = rt_path_remove_now(store->machine, path);
    if (!err) err = rt_dir_sync_now(store->machine, directory);
    if (err) {
        rt_log_warn("store", "emptied ledger file stays until the next start path=%s err=%s", path,
                    rt_err_name(err));
    }
    rt_free(path);
}

static void removal_ran(struct rt_work *work) {
    struct removal *removal = rt_container_of(work, struct removal, work);
    struct bookie_store *store = removal->store;
    bookie_file_free(removal->file);
    rt_free(removal);
    store->closings--;
    bookie_store_maybe_close(store);
}

void bookie_files_remove_doomed(struct bookie_store *store) {
    if (store->scans > 0) return;
    rt_list_each_safe (link, &store->doomed) {
        struct bookie_file *file = rt_container_of(link, struct bookie_file, list);
        if (file->uses > 0) continue;
        rt_list_remove(&file->list);
        struct removal *removal = RT_NEW(struct removal);
        removal->store = store;
        removal->file = file;
        store->closings++;
        rt_work_submit(&removal->work, store->loop, removal_run, removal_ran, "store.remove");
    }
}
