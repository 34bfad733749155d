// The simulated key-value store: opening, writing, flushing, and the table of its backend.
#include "runtime/sim/sim_kv.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { FLUSH_BYTES_DEFAULT = 16 << 20, TRY_GET_MISS_PER_MILLION = 100000 };

// THE STORE

unsigned sim_kv_column_add(struct sim_kv_store *store, struct rt_bytes name) {
    unsigned column = store->column_total++;
    assert(column < SIM_KV_COLUMNS_MAX);
    store->columns[column] = rt_alloc_zero(1, name.size + 1);
    if (name.size) memcpy(store->columns[column], name.data, name.size);
    sim_kv_map_init(&store->maps[column], column);
    return column;
}

static void column_open(struct sim_kv_store *store, const struct rt_kv_column *column) {
    size_t buffer = column->write_buffer_bytes ? column->write_buffer_bytes : FLUSH_BYTES_DEFAULT;
    if (buffer < store->flush_bytes) store->flush_bytes = buffer;
    sim_kv_column_add(store, rt_bytes_of(column->name));
    store->column_count++;
}

static struct sim_kv_store *store_new(struct rt_sim_node *node,
                                      const struct rt_kv_options *options) {
    struct sim_kv_store *store = RT_NEW(struct sim_kv_store);
    store->node = node;
    rt_list_init(&store->views);
    rt_list_init(&store->stale);
    store->flush_bytes = SIZE_MAX;
    for (unsigned i = 0; i < options->column_count; i++) column_open(store, &options->columns[i]);
    if (!store->column_count) column_open(store, &(struct rt_kv_column){.name = "default"});
    store->next = node->stores;
    node->stores = store;
    return store;
}

static void store_free(struct sim_kv_store *store) {
    struct sim_kv_store **at = &store->node->stores;
    while (*at != store) at = &(*at)->next;
    *at = store->next;
    for (unsigned i = 0; i < store->column_total; i++) {
        sim_kv_map_fini(&store->maps[i]);
        rt_free(store->columns[i]);
    }
    struct rt_list *link;
    while ((link = rt_list_pop_front(&store->views))) {
        rt_free(rt_container_of(link, struct rt_kv_snapshot, link));
    }
    if (store->log) sim_inode_release(store->log);
    if (store->lock) sim_lock_drop(store->lock);
    if (store->dir) sim_inode_release(store->dir);
    rt_free(store);
}

void sim_kv_crash(struct rt_sim_node *node) {
    while (node->stores) store_free(node->stores);
}

// Memory becomes an image with an empty log.
static rt_err store_flush(struct sim_kv_store *store) {
    struct sim_inode *log;
    uint64_t image_bytes;
    rt_err err = sim_kv_image_write(store, store->dir, store->image_number + 1, &log, &image_bytes);
    sim_trace(store->node->sim, SIM_KV_OP, store->node, store->sequence, image_bytes, err);
    if (err) {
        store->failed = true;
        return err;
    }
    if (store->log) sim_inode_release(store->log);
    store->log = log;
    store->log_size = store->log_synced_size = log->size;
    store->unlogged_bytes = 0;
    store->image_number++;
    store->image_sequence = store->sequence;
    store->image_bytes = image_bytes;
    sim_kv_image_remove_others(store);
    return RT_OK;
}

// OPENING

static rt_err store_dir_find(struct sim_kv_store *store, const char *path, bool create,
                             struct rt_why *why) {
    struct sim_disk *disk = store->node->disk;
    struct sim_inode *dir;
    rt_err err = sim_path_find(disk, path, &dir);
    if (err == RT_ENOTFOUND && create) {
        err = rt_dir_create_now(&store->node->machine, path, why);
        if (!err) err = sim_path_find(disk, path, &dir);
    }
    if (err) return rt_why_set(why, err, "cannot open store %s: %s", path, rt_err_text(err));
    if (!dir->is_dir) return rt_why_set(why, RT_EINVAL, "%s is not a directory", path);
    sim_inode_hold(dir);
    store->dir = dir;
    err = sim_lock_take(dir, &store->lock);
    if (!err) return RT_OK;
    return rt_why_set(why, err, "cannot lock store %s: %s", path, rt_err_text(err));
}

static rt_err store_load(struct sim_kv_store *store, bool create) {
    bool columns_changed = false, clean = false;
    rt_err err = sim_kv_current_read(store);
    if (err == RT_ENOTFOUND && create) {
        err = sim_kv_dir_check_new(store);
        return err ? err : store_flush(store);
    }
    if (!err) err = sim_kv_image_read(store, &columns_changed);
    if (!err) err = sim_kv_log_replay(store, &clean);
    if (err) return err;
    sim_kv_image_remove_others(store);
    return clean && !columns_changed ? RT_OK : store_flush(store);
}

static rt_err kv_open(struct rt_machine *machine, const char *path,
                      const struct rt_kv_options *options, struct rt_kv **kv, struct rt_why *why) {
    struct rt_sim_node *node = sim_node_of(machine);
    struct rt_heap *inside = sim_world_enter();
    struct sim_kv_store *store = store_new(node, options);
    rt_err err = store_dir_find(store, path, options->create_if_missing, why);
    if (!err) {
        err = store_load(store, options->create_if_missing);
        if (err) rt_why_set(why, err, "cannot open store %s: %s", path, rt_err_text(err));
    }
    sim_trace_text(node->sim, SIM_KV_OP, node, path, store->sequence << 8 | err);
    if (err) store_free(store);
    sim_world_leave(inside);
    if (err) return err;
    *kv = RT_NEW(struct rt_kv);
    rt_kv_head_init(&(*kv)->head, machine, sim_kv_backend());
    (*kv)->store = store;
    return RT_OK;
}

// What has no log is written out; what has one only needs it to be durable.
static void kv_close(struct rt_kv *kv) {
    struct sim_kv_store *store = kv->store;
    assert(rt_list_is_empty(&store->views));
    struct rt_heap *inside = sim_world_enter();
    if (!store->failed && store->unlogged_bytes) {
        RT_IGNORE(store_flush(store));  // as after a crash: the log, or what replaces it, decides
    } else if (!store->failed) {
        RT_IGNORE(sim_disk_sync(store->log));  // whoever needed it durable wrote it so
    }
    store_free(store);
    sim_world_leave(inside);
    rt_free(kv);
}

// WRITING AND READING

static bool is_full(const struct sim_kv_store *store) {
    uint64_t bytes = store->log_size + store->unlogged_bytes;
    return bytes > store->flush_bytes && bytes > store->image_bytes;
}

static rt_err store_write(struct sim_kv_store *store, struct rt_bytes changes,
                          enum rt_kv_durability durability) {
    static const unsigned same[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    static_assert(sizeof(same) / sizeof(same[0]) == RT_KV_COLUMNS_MAX, "every column has a place");
    if (store->failed) return RT_EFAILED;
    rt_err err = RT_OK;
    if (durability == RT_KV_NO_LOG) {
        store->unlogged_bytes += changes.size + 1;
    } else {
        err = sim_kv_log_append(store, changes, durability == RT_KV_DURABLE);
    }
    if (err) {
        store->failed = true;
        return err;
    }
    err = sim_kv_apply(store, changes, store->sequence + 1, same, store->column_count);
    assert(!err);
    store->sequence++;
    if (is_full(store)) RT_IGNORE(store_flush(store));  // in the background: the next write tells
    return RT_OK;
}

static rt_err kv_write(struct rt_kv *kv, struct rt_kv_batch *batch,
                       enum rt_kv_durability durability) {
    struct sim_kv_store *store = kv->store;
    struct rt_heap *inside = sim_world_enter();
    struct rt_bytes changes = rt_buf_bytes(&batch->changes);
    rt_err err = store_write(store, changes, durability);
    sim_trace(store->node->sim, SIM_KV_OP, store->node, store->sequence,
              sim_hash(changes.data, changes.size), (uint64_t)durability << 8 | err);
    sim_world_leave(inside);
    return err;
}

// The value is the caller's, so it comes from the heap he is in.
static rt_err kv_get(struct rt_kv *kv, const struct rt_kv_snapshot *snapshot, unsigned column,
                     struct rt_bytes key, struct rt_buf *value, bool memory_only) {
    const struct sim_kv_store *store = kv->store;
    assert(column < store->column_count);
    rt_buf_clear(value);
    if (memory_only) {
        bool miss =
            rt_machine_chance(kv->head.machine, "kv not in memory", TRY_GET_MISS_PER_MILLION);
        if (miss) return RT_EAGAIN;
    } else {
        rt_err err = sim_disk_read_blocks(store->dir->disk);
        if (err) return err;
    }
    const struct sim_kv_key *found = sim_kv_map_find(&store->maps[column], key);
    uint64_t sequence = snapshot ? snapshot->sequence : store->sequence;
    const struct sim_kv_version *version = found ? sim_kv_key_at(found, sequence) : NULL;
    if (!version) return RT_ENOTFOUND;
    rt_buf_append(value, RT_BYTES(version->value, version->value_size));
    return RT_OK;
}

static rt_err kv_flush(struct rt_kv *kv) {
    struct rt_heap *inside = sim_world_enter();
    rt_err err = kv->store->failed ? RT_EFAILED : store_flush(kv->store);
    sim_world_leave(inside);
    return err;
}

// CHECKPOINTS are made under another name, so that a directory with the asked-for name is whole.

static bool dir_is_flat(const struct sim_inode *dir) {
    for (size_t i = 0; i < dir->now.count; i++) {
        if (dir->now.items[i].inode->is_dir) return false;
    }
    return true;
}

static void flat_dir_remove(struct sim_inode *parent, const char *name) {
    struct sim_inode *dir = sim_names_find(&parent->now, name);
    while (dir->now.count) {
        char file[SIM_NAME_MAX + 1];
        snprintf(file, sizeof(file), "%s", dir->now.items[dir->now.count - 1].name);
        sim_dir_remove(dir, file);
    }
    sim_dir_remove(parent, name);
}

// The image is the second, so that without its CURRENT it is not taken for a creation.
static rt_err checkpoint_make(struct sim_kv_store *store, struct sim_inode *parent,
                              const char *making, const char *name) {
    struct sim_inode *log, *dir = sim_dir_add(parent, making, true);
    uint64_t image_bytes;
    rt_err err = sim_kv_image_write(store, dir, 2, &log, &image_bytes);
    if (err) return err;
    sim_inode_release(log);
    return sim_dir_rename(parent, making, parent, name);
}

static rt_err checkpoint_write(struct sim_kv_store *store, struct sim_inode *parent,
                               const char *name) {
    char making[SIM_NAME_MAX + 1];
    int size = snprintf(making, sizeof(making), "%s.tmp", name);
    if (size < 0 || size > SIM_NAME_MAX) return RT_EINVAL;
    const struct sim_inode *left = sim_names_find(&parent->now, making);
    if (sim_names_find(&parent->now, name) || (left && !dir_is_flat(left))) return RT_EEXIST;
    if (left) flat_dir_remove(parent, making);
    rt_err err = sim_disk_change_names(parent->disk);
    if (err) return err;
    err = checkpoint_make(store, parent, making, name);
    if (err) {
        flat_dir_remove(parent, making);
        return err;
    }
    return sim_disk_sync_names(parent);
}

static rt_err kv_checkpoint(struct rt_kv *kv, const char *path) {
    struct sim_kv_store *store = kv->store;
    struct rt_heap *inside = sim_world_enter();
    char name[SIM_NAME_MAX + 1];
    struct sim_inode *parent;
    rt_err err = sim_path_parent(store->node->disk, path, &parent, name);
    if (!err) err = name[0] ? checkpoint_write(store, parent, name) : RT_EEXIST;
    sim_trace_text(store->node->sim, SIM_KV_OP, store->node, path, err);
    sim_world_leave(inside);
    return err;
}

// SNAPSHOTS

static struct rt_kv_snapshot *kv_snapshot_take(struct rt_kv *kv) {
    struct rt_heap *inside = sim_world_enter();
    struct rt_kv_snapshot *view = sim_kv_view_new(kv->store);
    sim_world_leave(inside);
    return view;
}

static void kv_snapshot_drop(struct rt_kv *kv, struct rt_kv_snapshot *snapshot) {
    struct rt_heap *inside = sim_world_enter();
    sim_kv_view_release(kv->store, snapshot);
    sim_world_leave(inside);
}

static struct rt_kv_stats kv_stats(struct rt_kv *kv) {
    const struct sim_kv_store *store = kv->store;
    struct rt_kv_stats stats = {
        .memtable_bytes = store->log_size + store->unlogged_bytes,
        .live_bytes = store->image_bytes,
    };
    for (unsigned i = 0; i < store->column_total; i++) {
        stats.keys_estimate += store->maps[i].key_count;
    }
    return stats;
}

const struct rt_kv_backend *sim_kv_backend(void) {
    static const struct rt_kv_backend backend = {
        .open = kv_open,
        .close = kv_close,
        .batch_new = sim_kv_batch_new,
        .batch_free = sim_kv_batch_free,
        .batch_clear = sim_kv_batch_clear,
        .put = sim_kv_batch_put,
        .remove = sim_kv_batch_remove,
        .remove_range = sim_kv_batch_remove_range,
        .batch_count = sim_kv_batch_count,
        .batch_bytes = sim_kv_batch_bytes,
        .write = kv_write,
        .get = kv_get,
        .flush = kv_flush,
        .checkpoint = kv_checkpoint,
        .snapshot_take = kv_snapshot_take,
        .snapshot_drop = kv_snapshot_drop,
        .iter_new = sim_kv_iter_new,
        .iter_free = sim_kv_iter_free,
        .iter_first = sim_kv_iter_first,
        .iter_last = sim_kv_iter_last,
        .iter_seek = sim_kv_iter_seek,
        .iter_seek_for_prev = sim_kv_iter_seek_for_prev,
        .iter_next = sim_kv_iter_next,
        .iter_prev = sim_kv_iter_prev,
        .iter_valid = sim_kv_iter_valid,
        .iter_err = sim_kv_iter_err,
        .iter_key = sim_kv_iter_key,
        .iter_value = sim_kv_iter_value,
        .stats = kv_stats,
    };
    return &backend;
}
