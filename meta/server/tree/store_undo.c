// Undo keeps, for each znode changed since the mark, its state at the mark; for sessions, the state
// before each change. Taking back goes from the latest to the first.
#include <assert.h>

#include "meta/server/tree/store_internal.h"
#include "runtime/mem.h"

enum { IMAGES_KEPT = 1024 };  // memory that is not given back after a mark

static struct meta_undo_image *image_add(struct meta_undo *undo) {
    if (undo->count == undo->capacity) {
        undo->capacity = undo->capacity ? 2 * undo->capacity : 16;
        undo->images = rt_realloc(undo->images, undo->capacity * sizeof(undo->images[0]));
    }
    return &undo->images[undo->count++];
}

void meta_store_undo_node(struct meta_store *store, struct meta_node_entry *entry) {
    struct meta_undo *undo = &store->undo;
    if (!undo->is_marked || entry->marked_in == undo->mark) return;
    entry->marked_in = undo->mark;
    // Dirty, so that the cache keeps what the image points to.
    meta_overlay_make_dirty(&store->overlay, entry);
    *image_add(undo) = (struct meta_undo_image){.entry = entry, .state = entry->state};
    meta_payload_hold(entry->state.data);
    meta_payload_hold(entry->state.acl);
}

void meta_store_undo_session(struct meta_store *store, int64_t id) {
    if (!store->undo.is_marked) return;
    const struct meta_session *session = meta_store_session(store, id);
    struct meta_undo_image *image = image_add(&store->undo);
    *image = (struct meta_undo_image){.of_session.session.id = id};
    image->of_session.existed = session != NULL;
    if (session) image->of_session.session = *session;
}

void meta_store_mark(struct meta_store *store) {
    assert(!store->undo.is_marked && store->undo.count == 0);
    store->undo.is_marked = true;
    store->undo.mark++;
    store->undo.totals = store->totals;
}

void meta_store_undo_forget(struct meta_store *store) {
    struct meta_undo *undo = &store->undo;
    for (size_t i = 0; i < undo->count; i++) {
        if (!undo->images[i].entry) continue;
        meta_payload_drop(undo->images[i].state.data);
        meta_payload_drop(undo->images[i].state.acl);
    }
    undo->count = 0;
    undo->is_marked = false;
    if (undo->capacity <= IMAGES_KEPT) return;
    rt_free(undo->images);
    undo->images = NULL;
    undo->capacity = 0;
}

void meta_store_commit(struct meta_store *store) {
    assert(store->undo.is_marked);
    meta_store_undo_forget(store);
}

static void session_restore(struct meta_store *store, const struct meta_undo_image *image) {
    const struct meta_session *session = &image->of_session.session;
    if (image->of_session.existed) {
        meta_store_session_set(store, session);
    } else if (meta_store_session(store, session->id)) {
        meta_store_session_unset(store, session->id);
    }
}

void meta_store_rollback(struct meta_store *store) {
    struct meta_undo *undo = &store->undo;
    assert(undo->is_marked);
    undo->is_marked = false;
    while (undo->count > 0) {
        const struct meta_undo_image *image = &undo->images[--undo->count];
        if (image->entry) {
            meta_store_entry_set(store, image->entry, &image->state);
        } else {
            session_restore(store, image);
        }
    }
    assert(store->totals.digest == undo->totals.digest);
    assert(store->totals.nodes == undo->totals.nodes);
    assert(store->totals.data_bytes == undo->totals.data_bytes);
    meta_store_undo_forget(store);
}
