// Snapshots and iterators of the simulated store.
#include <assert.h>

#include "runtime/sim/sim_kv.h"

// VIEWS

struct rt_kv_snapshot *sim_kv_view_new(struct sim_kv_store *store) {
    if (!rt_list_is_empty(&store->views)) {
        struct rt_kv_snapshot *newest =
            rt_container_of(store->views.prev, struct rt_kv_snapshot, link);
        if (newest->sequence == store->sequence) {
            newest->refs++;
            return newest;
        }
    }
    struct rt_kv_snapshot *view = RT_NEW(struct rt_kv_snapshot);
    view->sequence = store->sequence;
    view->refs = 1;
    rt_list_push_back(&store->views, &view->link);
    return view;
}

void sim_kv_view_release(struct sim_kv_store *store, struct rt_kv_snapshot *view) {
    assert(view->refs > 0);
    if (--view->refs > 0) return;
    bool oldest = store->views.next == &view->link;
    rt_list_remove(&view->link);
    rt_free(view);
    if (oldest) sim_kv_forget_versions(store);
}

// ITERATORS

struct rt_kv_iter {
    const struct rt_kv_backend *backend;
    struct sim_kv_store *store;
    const struct sim_kv_map *map;
    struct rt_kv_snapshot *view;
    const struct sim_kv_key *key;  // it stands there; NULL: nowhere
    const struct sim_kv_version *version;
    rt_err err;
};

struct rt_kv_iter *sim_kv_iter_new(struct rt_kv *kv, const struct rt_kv_snapshot *snapshot,
                                   unsigned column) {
    struct sim_kv_store *store = kv->store;
    assert(column < store->column_count);
    struct rt_kv_iter *iter = RT_NEW(struct rt_kv_iter);
    iter->backend = kv->head.backend;
    iter->store = store;
    iter->map = &store->maps[column];
    struct rt_heap *inside = sim_world_enter();
    if (snapshot) {
        iter->view = (struct rt_kv_snapshot *)(uintptr_t)snapshot;  // counted, that is all
        iter->view->refs++;
    } else {
        iter->view = sim_kv_view_new(store);
    }
    sim_world_leave(inside);
    return iter;
}

void sim_kv_iter_free(struct rt_kv_iter *iter) {
    if (!iter) return;
    struct rt_heap *inside = sim_world_enter();
    sim_kv_view_release(iter->store, iter->view);
    sim_world_leave(inside);
    rt_free(iter);
}

static void iter_rest_at(struct rt_kv_iter *iter, const struct sim_kv_key *key, bool forward) {
    const struct sim_kv_key *head = iter->map->head;
    const struct sim_kv_version *version = NULL;
    while (key && key != head && !(version = sim_kv_key_at(key, iter->view->sequence))) {
        key = forward ? key->next[0] : key->prev;
    }
    iter->key = version ? key : NULL;
    iter->version = version;
}

// Positioning reads the disk, which may fail.
static bool iter_may_read(struct rt_kv_iter *iter) {
    iter->err = sim_disk_read_blocks(iter->store->dir->disk);
    iter->key = NULL;
    iter->version = NULL;
    return !iter->err;
}

void sim_kv_iter_first(struct rt_kv_iter *iter) {
    if (iter_may_read(iter)) iter_rest_at(iter, iter->map->head->next[0], true);
}

void sim_kv_iter_last(struct rt_kv_iter *iter) {
    if (iter_may_read(iter)) iter_rest_at(iter, iter->map->last, false);
}

void sim_kv_iter_seek(struct rt_kv_iter *iter, struct rt_bytes key) {
    if (iter_may_read(iter)) iter_rest_at(iter, sim_kv_map_ceiling(iter->map, key), true);
}

void sim_kv_iter_seek_for_prev(struct rt_kv_iter *iter, struct rt_bytes key) {
    if (iter_may_read(iter)) iter_rest_at(iter, sim_kv_map_floor(iter->map, key), false);
}

void sim_kv_iter_next(struct rt_kv_iter *iter) {
    assert(iter->key);
    iter_rest_at(iter, iter->key->next[0], true);
}

void sim_kv_iter_prev(struct rt_kv_iter *iter) {
    assert(iter->key);
    iter_rest_at(iter, iter->key->prev, false);
}

bool sim_kv_iter_valid(const struct rt_kv_iter *iter) {
    return iter->key != NULL;
}

rt_err sim_kv_iter_err(const struct rt_kv_iter *iter) {
    return iter->err;
}

struct rt_bytes sim_kv_iter_key(const struct rt_kv_iter *iter) {
    assert(iter->key);
    return sim_kv_key_bytes(iter->key);
}

struct rt_bytes sim_kv_iter_value(const struct rt_kv_iter *iter) {
    assert(iter->key);
    return RT_BYTES(iter->version->value, iter->version->value_size);
}
