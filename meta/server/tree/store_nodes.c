// Znodes: looked up in the overlay, then on the disk; changed in the overlay only.
#include <assert.h>
#include <string.h>

#include "meta/server/tree/node_record.h"
#include "meta/server/tree/state_digest.h"
#include "meta/server/tree/store_internal.h"

// Where the disk is asked: either call of the key-value port.
static rt_err kv_get(struct meta_store *store, bool may_block, unsigned column) {
    struct rt_bytes key = rt_buf_bytes(&store->key);
    if (may_block) return rt_kv_get_now(store->kv, NULL, column, key, &store->value);
    return rt_kv_try_get(store->kv, column, key, &store->value);
}

// The payloads of a state of its own, for what the node borrows.
static void state_fill(struct meta_node_state *state, uint64_t path_digest) {
    struct meta_znode *node = &state->node;
    node->data = RT_BYTES(node->has_data ? (const void *)"" : NULL, 0);
    node->acl = RT_BYTES(NULL, 0);
    if (state->data) node->data = RT_BYTES(state->data->bytes, state->data->size);
    if (state->acl) node->acl = RT_BYTES(state->acl->bytes, state->acl->size);
    state->exists = true;
    state->digest = meta_node_digest(path_digest, state);
}

static bool kind_is_reapable(enum meta_znode_kind kind) {
    return kind == META_CONTAINER || kind == META_TTL;
}

// The record is in store->record, the key in store->key.
static rt_err entry_load(struct meta_store *store, struct rt_bytes path, bool may_block,
                         struct meta_node_entry **entry) {
    struct meta_node_record record;
    rt_err err = meta_node_record_decode(rt_buf_bytes(&store->record), &record);
    if (err) return err;
    if (record.data_is_elsewhere) {
        err = kv_get(store, may_block, META_COLUMN_DATA);
        if (err) return err == RT_ENOTFOUND ? RT_ECORRUPT : err;
        record.node.data = rt_buf_bytes(&store->value);
        if (record.node.data.size != record.data_size) return RT_ECORRUPT;
    }
    struct meta_node_entry *e = meta_overlay_add(&store->overlay, path);
    struct meta_node_state state = {.node = record.node,
                                    .data = meta_payload_of(record.node.data, NULL),
                                    .acl = meta_payload_of(record.node.acl, NULL)};
    state_fill(&state, e->path_digest);
    meta_overlay_state_set(&store->overlay, e, &state);
    e->at_rest.exists = true;
    e->at_rest.has_far_data = record.data_is_elsewhere;
    e->at_rest.is_reapable = kind_is_reapable(record.node.kind);
    e->at_rest.is_ephemeral = record.node.kind == META_EPHEMERAL;
    e->at_rest.owner = record.node.owner;
    *entry = e;
    return RT_OK;
}

// A parent in memory that has no children says that a node does not exist without the disk.
static bool parent_is_childless(struct meta_store *store, struct rt_bytes path) {
    size_t size = path.size;
    while (size > 0 && path.data[size - 1] != '/') size--;
    if (size == 0 || path.size == 1) return false;
    struct rt_bytes parent = RT_BYTES(path.data, size > 1 ? size - 1 : 1);
    struct meta_node_entry *entry = meta_overlay_find(&store->overlay, parent);
    return entry && (!entry->state.exists || entry->state.node.children == 0);
}

// RT_OK with an entry, which may be of no node; NULL: certainly none, and nothing was remembered.
static rt_err entry_find(struct meta_store *store, struct rt_bytes path, bool may_block,
                         struct meta_node_entry **entry) {
    *entry = meta_overlay_find(&store->overlay, path);
    if (*entry || parent_is_childless(store, path)) return RT_OK;
    if (!store->kv) return RT_ECLOSED;
    meta_node_key(&store->key, path);
    rt_err err = kv_get(store, may_block, META_COLUMN_NODES);
    if (err == RT_ENOTFOUND) {
        *entry = meta_overlay_add(&store->overlay, path);
        return RT_OK;
    }
    if (err) return err;
    struct rt_buf record = store->value;
    store->value = store->record;
    store->record = record;
    return entry_load(store, path, may_block, entry);
}

const struct meta_znode *meta_store_find_now(struct meta_store *store, struct rt_bytes path) {
    struct meta_node_entry *entry;
    rt_err err = entry_find(store, path, true, &entry);
    if (err) meta_store_fail(store, err);
    meta_overlay_trim(&store->overlay);
    return !err && entry && entry->state.exists ? &entry->state.node : NULL;
}

rt_err meta_store_try_find(struct meta_store *store, struct rt_bytes path,
                           const struct meta_znode **node) {
    struct meta_node_entry *entry;
    *node = NULL;
    rt_err err = entry_find(store, path, false, &entry);
    if (err) return err == RT_EAGAIN ? err : meta_store_fail(store, err);
    meta_overlay_trim(&store->overlay);
    if (!entry || !entry->state.exists) return RT_ENOTFOUND;
    *node = &entry->state.node;
    return RT_OK;
}

static void totals_count(struct meta_store_totals *totals, const struct meta_node_entry *entry,
                         uint64_t factor) {
    const struct meta_node_state *state = &entry->state;
    if (!state->exists) return;
    totals->nodes += factor;
    totals->ephemerals += factor * (state->node.kind == META_EPHEMERAL);
    totals->data_bytes += factor * (entry->path_size + state->node.data.size);
    totals->digest += factor * state->digest;
}

void meta_store_entry_set(struct meta_store *store, struct meta_node_entry *entry,
                          const struct meta_node_state *state) {
    const uint64_t less = UINT64_MAX, more = 1;  // unsigned sums wrap: that is minus one
    if (state->data != entry->state.data) entry->data_changed = true;
    totals_count(&store->totals, entry, less);
    meta_overlay_state_set(&store->overlay, entry, state);
    totals_count(&store->totals, entry, more);
    meta_overlay_make_dirty(&store->overlay, entry);
    store->is_changed = true;
}

// NULL: the disk failed, which the store remembers.
static struct meta_node_entry *entry_to_change(struct meta_store *store, struct rt_bytes path) {
    struct meta_node_entry *entry;
    rt_err err = entry_find(store, path, true, &entry);
    if (err) {
        meta_store_fail(store, err);
        return NULL;
    }
    if (!entry) entry = meta_overlay_add(&store->overlay, path);
    meta_store_undo_node(store, entry);
    return entry;
}

void meta_store_put(struct meta_store *store, struct rt_bytes path, const struct meta_znode *node) {
    assert(path.size > 0 && node->children >= 0);
    assert(node->has_data || node->data.size == 0);
    struct meta_znode given = *node;  // may be the entry's own
    struct meta_node_entry *entry = entry_to_change(store, path);
    if (!entry) return;
    struct meta_node_state state = {.node = given,
                                    .data = meta_payload_of(given.data, entry->state.data),
                                    .acl = meta_payload_of(given.acl, entry->state.acl)};
    if (given.kind != META_EPHEMERAL) state.node.owner = 0;
    if (given.kind != META_TTL) state.node.ttl_ms = 0;
    state_fill(&state, entry->path_digest);
    meta_store_entry_set(store, entry, &state);
    meta_overlay_trim(&store->overlay);
}

void meta_store_remove(struct meta_store *store, struct rt_bytes path) {
    struct meta_node_entry *entry = entry_to_change(store, path);
    if (!entry) return;
    assert(entry->state.exists && entry->state.node.children == 0);
    meta_store_entry_set(store, entry, &(struct meta_node_state){0});
    meta_overlay_trim(&store->overlay);
}

void meta_znode_stat(const struct meta_znode *node, struct proto_zk_stat *stat) {
    uint32_t cversion = 2 * (uint32_t)node->creates - (uint32_t)node->children;
    *stat = (struct proto_zk_stat){.czxid = node->czxid,
                                   .mzxid = node->mzxid,
                                   .ctime_ms = node->ctime_ms,
                                   .mtime_ms = node->mtime_ms,
                                   .version = node->version,
                                   .cversion = (int32_t)cversion,
                                   .aversion = node->aversion,
                                   .ephemeral_owner = node->owner,
                                   .data_size = (int32_t)node->data.size,
                                   .children = node->children,
                                   .pzxid = node->pzxid};
}
