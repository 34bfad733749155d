// The parts of the store: store.c (files, totals), store_nodes.c, store_sessions.c, store_undo.c,
// store_flush.c and view.c (scans).
#ifndef GEMINGA_META_SERVER_TREE_STORE_INTERNAL_H
#define GEMINGA_META_SERVER_TREE_STORE_INTERNAL_H

#include "meta/server/tree/overlay.h"
#include "meta/server/tree/session_table.h"

enum meta_column {
    META_COLUMN_DEFAULT,
    META_COLUMN_NODES,
    META_COLUMN_DATA,
    META_COLUMN_EPHEMERALS,
    META_COLUMN_SESSIONS,
    META_COLUMN_REAPABLE,
    META_COLUMNS
};

// A former state of a znode or of a session.
struct meta_undo_image {
    struct meta_node_entry *entry;  // NULL: of a session
    union {
        struct meta_node_state state;  // its payloads are held
        struct {
            bool existed;
            struct meta_session session;
        } of_session;
    };
};

struct meta_undo {
    bool is_marked;
    uint64_t mark;  // number of the latest one
    struct meta_store_totals totals;
    struct meta_undo_image *images;
    size_t count, capacity;
};

struct meta_store {
    struct rt_machine *machine;
    char *path;
    size_t cache_bytes, node_bytes;
    struct rt_kv *kv;  // NULL while the files are closed
    struct rt_kv_batch *batch;
    size_t snapshots;  // taken and not dropped
    struct meta_store_totals totals;
    bool is_changed;  // something is not flushed
    rt_err failure;   // the first one; from then on nothing is flushed
    struct meta_overlay overlay;
    struct meta_session_table sessions;
    uint64_t *dirty_sessions;  // ids to write or to delete
    size_t dirty_session_count, dirty_session_capacity;
    struct meta_undo undo;
    struct rt_buf key, value, record;  // scratch
};

struct rt_bytes meta_applied_key(void);
RT_CHECK
rt_err meta_applied_decode(struct rt_bytes value, struct meta_store_totals *totals);
void meta_applied_encode(const struct meta_store_totals *totals, struct rt_writer *w);

rt_err meta_store_fail(struct meta_store *store, rt_err err);  // returns err
void meta_store_undo_node(struct meta_store *store, struct meta_node_entry *entry);
void meta_store_undo_session(struct meta_store *store, int64_t id);
void meta_store_undo_forget(struct meta_store *store);
// Replaces the state, keeps the totals in step. Takes the payloads of the new one.
void meta_store_entry_set(struct meta_store *store, struct meta_node_entry *entry,
                          const struct meta_node_state *state);
// Not recorded for undo.
void meta_store_session_set(struct meta_store *store, const struct meta_session *session);
void meta_store_session_unset(struct meta_store *store, int64_t id);

// session (u64), path: a key of the column ephemerals. Replaces what the buffer held.
void meta_ephemeral_key(struct rt_buf *key, int64_t session, struct rt_bytes path);

#endif
