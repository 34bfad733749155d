#include <assert.h>
#include <string.h>

#include "meta/server/tree/state_digest.h"
#include "meta/server/tree/store_internal.h"
#include "runtime/mem.h"

// An id may be listed twice, after a removal: it is then written twice, the same.
static void dirty_add(struct meta_store *store, uint64_t id) {
    if (store->dirty_session_count == store->dirty_session_capacity) {
        size_t capacity = store->dirty_session_capacity ? 2 * store->dirty_session_capacity : 64;
        store->dirty_sessions = rt_realloc(store->dirty_sessions, capacity * sizeof(uint64_t));
        store->dirty_session_capacity = capacity;
    }
    store->dirty_sessions[store->dirty_session_count++] = id;
    store->is_changed = true;
}

void meta_store_session_set(struct meta_store *store, const struct meta_session *session) {
    uint64_t id = (uint64_t)session->id;
    struct meta_session_entry *entry = meta_session_table_find(&store->sessions, id);
    if (entry) {
        store->totals.digest -= meta_session_digest(&entry->session);
    } else {
        entry = meta_session_table_add(&store->sessions, id);
    }
    entry->session = *session;
    store->totals.digest += meta_session_digest(&entry->session);
    if (!entry->is_dirty) dirty_add(store, id);
    entry->is_dirty = true;
}

void meta_store_session_unset(struct meta_store *store, int64_t id) {
    struct meta_session_entry *entry = meta_session_table_find(&store->sessions, (uint64_t)id);
    assert(entry);
    store->totals.digest -= meta_session_digest(&entry->session);
    if (!entry->is_dirty) dirty_add(store, (uint64_t)id);
    meta_session_table_remove(&store->sessions, (uint64_t)id);
}

void meta_store_session_put(struct meta_store *store, const struct meta_session *session) {
    struct meta_session copy = *session;  // may be the table's own
    meta_store_undo_session(store, copy.id);
    meta_store_session_set(store, &copy);
}

void meta_store_session_remove(struct meta_store *store, int64_t id) {
    meta_store_undo_session(store, id);
    meta_store_session_unset(store, id);
}

const struct meta_session *meta_store_session(const struct meta_store *store, int64_t id) {
    struct meta_session_entry *entry = meta_session_table_find(&store->sessions, (uint64_t)id);
    return entry ? &entry->session : NULL;
}

size_t meta_store_session_count(const struct meta_store *store) {
    return store->sessions.count;
}

const struct meta_session *meta_store_session_next(const struct meta_store *store, int64_t after) {
    struct meta_session_entry *entry = meta_session_table_next(&store->sessions, (uint64_t)after);
    return entry ? &entry->session : NULL;
}
