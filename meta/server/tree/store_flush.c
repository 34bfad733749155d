// Everything dirty goes into one batch, each key once, with the position and totals it belongs to.
// What the indexes need follows from the difference between a znode and what is at rest of it.
#include <assert.h>

#include "meta/server/tree/node_record.h"
#include "meta/server/tree/store_internal.h"

enum { BATCH_BYTES_KEPT = 1 << 20 };

void meta_ephemeral_key(struct rt_buf *key, int64_t session, struct rt_bytes path) {
    rt_buf_clear(key);
    struct rt_writer w = rt_writer_into(key);
    rt_write_be64(&w, (uint64_t)session);
    rt_write_bytes(&w, path);
}

static bool node_is_reapable(const struct meta_node_state *state) {
    return state->exists && (state->node.kind == META_CONTAINER || state->node.kind == META_TTL);
}

static bool data_is_far(const struct meta_node_state *state) {
    return state->exists && state->node.data.size > META_STORE_INLINE_MAX;
}

static bool is_ephemeral_of(const struct meta_node_state *state, int64_t owner) {
    return state->exists && state->node.kind == META_EPHEMERAL && state->node.owner == owner;
}

// A session's id may be 0 in principle, so whether there is an owner is asked of the kind.
static void index_write(struct meta_store *store, const struct meta_node_entry *entry) {
    struct rt_bytes path = meta_entry_path(entry);
    const struct meta_node_state *state = &entry->state;
    bool was_owned = entry->at_rest.is_ephemeral;
    if (was_owned && !is_ephemeral_of(state, entry->at_rest.owner)) {
        meta_ephemeral_key(&store->key, entry->at_rest.owner, path);
        rt_kv_delete(store->batch, META_COLUMN_EPHEMERALS, rt_buf_bytes(&store->key));
    }
    bool is_owned = state->exists && state->node.kind == META_EPHEMERAL;
    if (is_owned && !(was_owned && state->node.owner == entry->at_rest.owner)) {
        meta_ephemeral_key(&store->key, state->node.owner, path);
        rt_kv_put(store->batch, META_COLUMN_EPHEMERALS, rt_buf_bytes(&store->key),
                  RT_BYTES(NULL, 0));
    }
    bool is_reapable = node_is_reapable(state);
    if (is_reapable && !entry->at_rest.is_reapable) {
        rt_kv_put(store->batch, META_COLUMN_REAPABLE, path, RT_BYTES(NULL, 0));
    } else if (!is_reapable && entry->at_rest.is_reapable) {
        rt_kv_delete(store->batch, META_COLUMN_REAPABLE, path);
    }
}

static void node_write(struct meta_store *store, const struct meta_node_entry *entry) {
    const struct meta_node_state *state = &entry->state;
    bool is_far = data_is_far(state);
    meta_node_key(&store->key, meta_entry_path(entry));
    struct rt_bytes key = rt_buf_bytes(&store->key);
    if (is_far && (entry->data_changed || !entry->at_rest.has_far_data)) {
        rt_kv_put(store->batch, META_COLUMN_DATA, key, state->node.data);
    } else if (!is_far && entry->at_rest.has_far_data) {
        rt_kv_delete(store->batch, META_COLUMN_DATA, key);
    }
    if (!state->exists) {
        if (entry->at_rest.exists) rt_kv_delete(store->batch, META_COLUMN_NODES, key);
        return;
    }
    const struct meta_node_record record = {.node = state->node,
                                            .data_is_elsewhere = is_far,
                                            .data_size = state->node.data.size,
                                            .data_crc = state->data ? state->data->crc : 0};
    rt_buf_clear(&store->record);
    struct rt_writer w = rt_writer_into(&store->record);
    meta_node_record_encode(&record, &w);
    rt_kv_put(store->batch, META_COLUMN_NODES, key, rt_buf_bytes(&store->record));
}

static void session_write(struct meta_store *store, uint64_t id) {
    const struct meta_session *session = meta_store_session(store, (int64_t)id);
    meta_ephemeral_key(&store->key, (int64_t)id, RT_BYTES(NULL, 0));
    struct rt_bytes key = rt_buf_bytes(&store->key);
    if (!session) {
        rt_kv_delete(store->batch, META_COLUMN_SESSIONS, key);
        return;
    }
    rt_buf_clear(&store->record);
    struct rt_writer w = rt_writer_into(&store->record);
    meta_session_encode(session, &w);
    rt_kv_put(store->batch, META_COLUMN_SESSIONS, key, rt_buf_bytes(&store->record));
}

static void batch_fill(struct meta_store *store) {
    rt_kv_batch_clear(store->batch);
    rt_list_each (link, &store->overlay.dirty) {
        const struct meta_node_entry *entry = rt_container_of(link, struct meta_node_entry, link);
        node_write(store, entry);
        index_write(store, entry);
    }
    for (size_t i = 0; i < store->dirty_session_count; i++) {
        session_write(store, store->dirty_sessions[i]);
    }
    rt_buf_clear(&store->record);
    struct rt_writer w = rt_writer_into(&store->record);
    meta_applied_encode(&store->totals, &w);
    rt_kv_put(store->batch, META_COLUMN_DEFAULT, meta_applied_key(), rt_buf_bytes(&store->record));
}

static void entry_written(struct meta_store *store, struct meta_node_entry *entry) {
    const struct meta_node_state *state = &entry->state;
    entry->at_rest.exists = state->exists;
    entry->at_rest.has_far_data = data_is_far(state);
    entry->at_rest.is_reapable = node_is_reapable(state);
    entry->at_rest.is_ephemeral = state->exists && state->node.kind == META_EPHEMERAL;
    entry->at_rest.owner = state->exists ? state->node.owner : 0;
    entry->data_changed = false;
    meta_overlay_make_clean(&store->overlay, entry);
}

static void all_written(struct meta_store *store) {
    rt_list_each_safe (link, &store->overlay.dirty) {
        entry_written(store, rt_container_of(link, struct meta_node_entry, link));
    }
    for (size_t i = 0; i < store->dirty_session_count; i++) {
        struct meta_session_entry *entry =
            meta_session_table_find(&store->sessions, store->dirty_sessions[i]);
        if (entry) entry->is_dirty = false;
    }
    store->dirty_session_count = 0;
    store->is_changed = false;
}

// A big batch would keep its memory for as long as the store is open.
static void batch_shrink(struct meta_store *store) {
    if (rt_kv_batch_bytes(store->batch) <= BATCH_BYTES_KEPT) return;
    rt_kv_batch_free(store->batch);
    store->batch = rt_kv_batch_new(store->kv);
}

rt_err meta_store_flush_now(struct meta_store *store) {
    assert(!store->undo.is_marked);
    if (store->failure) return store->failure;
    if (!store->is_changed) return RT_OK;
    if (!store->kv) return RT_ECLOSED;
    batch_fill(store);
    rt_err err = rt_kv_write_now(store->kv, store->batch, RT_KV_NO_LOG);
    if (err) return meta_store_fail(store, err);
    all_written(store);
    batch_shrink(store);
    meta_overlay_trim(&store->overlay);
    return RT_OK;
}
