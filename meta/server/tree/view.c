// Scans over the key-value store. Only the view is touched, so that a worker may run them.
#include <assert.h>
#include <string.h>

#include "meta/server/tree/node_record.h"
#include "meta/server/tree/store_internal.h"

rt_err meta_store_view_now(struct meta_store *store, struct meta_view *view) {
    *view = (struct meta_view){0};
    rt_err err = meta_store_flush_now(store);
    if (err) return err;
    if (!store->kv) return RT_ECLOSED;
    *view = (struct meta_view){.kv = store->kv, .applied = store->totals.applied};
    return RT_OK;
}

rt_err meta_store_snapshot_now(struct meta_store *store, struct meta_view *view) {
    rt_err err = meta_store_view_now(store, view);
    if (err) return err;
    view->snapshot = rt_kv_snapshot_take(store->kv);
    store->snapshots++;
    return RT_OK;
}

void meta_store_snapshot_drop(struct meta_store *store, struct meta_view *view) {
    assert(view->snapshot && store->snapshots > 0 && view->kv == store->kv);
    rt_kv_snapshot_drop(view->kv, view->snapshot);
    store->snapshots--;
    *view = (struct meta_view){0};
}

static rt_err far_data_get(const struct meta_view *view, struct rt_bytes key, size_t size,
                           struct rt_arena *arena, struct rt_bytes *data) {
    struct rt_buf value = {0};
    rt_err err = rt_kv_get_now(view->kv, view->snapshot, META_COLUMN_DATA, key, &value);
    if (err == RT_ENOTFOUND || (!err && value.size != size)) err = RT_ECORRUPT;
    if (!err) *data = rt_arena_copy(arena, rt_buf_bytes(&value));
    rt_buf_fini(&value);
    return err;
}

rt_err meta_view_find_now(const struct meta_view *view, struct rt_bytes path,
                          struct rt_arena *arena, struct meta_znode *node) {
    struct rt_buf key = {0}, value = {0};
    struct meta_node_record record = {0};
    meta_node_key(&key, path);
    rt_err err =
        rt_kv_get_now(view->kv, view->snapshot, META_COLUMN_NODES, rt_buf_bytes(&key), &value);
    if (!err) err = meta_node_record_decode(rt_buf_bytes(&value), &record);
    *node = record.node;
    if (!err && record.data_is_elsewhere) {
        err = far_data_get(view, rt_buf_bytes(&key), record.data_size, arena, &node->data);
    } else if (!err) {
        struct rt_bytes empty = RT_BYTES(node->has_data ? (const void *)"" : NULL, 0);
        node->data = node->data.size ? rt_arena_copy(arena, node->data) : empty;
    }
    if (!err) node->acl = rt_arena_copy(arena, node->acl);
    rt_buf_fini(&key);
    rt_buf_fini(&value);
    return err;
}

// Calls `each` for the keys that start with the prefix, without their first `skip` bytes, until it
// says false. `behind`: starts behind this key instead of at the prefix.
struct prefix_scan {
    const struct meta_view *view;
    enum meta_column column;
    struct rt_bytes prefix, behind;
    bool (*each)(struct prefix_scan *scan, struct rt_bytes key);
    struct meta_scan *scan;
    uint64_t count;
    int64_t *session;
    size_t names_at;  // children: where their names start in the key
};

static rt_err prefix_scan_run(struct prefix_scan *scan) {
    struct rt_kv_iter *iter = rt_kv_iter_new(scan->view->kv, scan->view->snapshot, scan->column);
    struct rt_bytes start = scan->behind.size ? scan->behind : scan->prefix;
    if (start.size) {
        rt_kv_iter_seek(iter, start);
    } else {
        rt_kv_iter_first(iter);
    }
    rt_err err = RT_OK;
    while (true) {
        if (!rt_kv_iter_valid(iter)) {
            err = rt_kv_iter_err(iter);
            break;
        }
        struct rt_bytes key = rt_kv_iter_key(iter);
        if (!rt_bytes_starts_with(key, scan->prefix)) break;
        bool is_start = scan->behind.size && rt_bytes_equal(key, scan->behind);
        if (!is_start && !scan->each(scan, key)) break;
        rt_kv_iter_next(iter);
    }
    rt_kv_iter_free(iter);
    return err;
}

// The keys of all below `path` at a depth: the depth, the path, a slash.
static void below_key(struct rt_buf *key, unsigned depth, struct rt_bytes path) {
    rt_buf_clear(key);
    struct rt_writer w = rt_writer_into(key);
    rt_write_be16(&w, (uint16_t)depth);
    rt_write_bytes(&w, path);
    if (path.size > 1) rt_write_u8(&w, '/');
}

static unsigned depth_below(unsigned depth) {
    return depth < META_DEPTH_MAX ? depth + 1 : META_DEPTH_MAX;
}

// Where the depth has reached its limit, deeper ones are in the same range.
static bool child_each(struct prefix_scan *scan, struct rt_bytes key) {
    struct rt_bytes name = rt_bytes_skip(key, scan->names_at);
    if (name.size == 0) return true;
    if (memchr(name.data, '/', name.size)) return true;
    return scan->scan->each(scan->scan, rt_bytes_skip(key, META_NODE_KEY_PATH));
}

rt_err meta_view_children_now(const struct meta_view *view, struct rt_bytes path,
                              struct meta_scan *scan) {
    struct rt_buf key = {0};
    below_key(&key, depth_below(meta_path_depth(path)), path);
    struct prefix_scan s = {.view = view,
                            .column = META_COLUMN_NODES,
                            .prefix = rt_buf_bytes(&key),
                            .each = child_each,
                            .scan = scan,
                            .names_at = key.size};
    rt_err err = prefix_scan_run(&s);
    rt_buf_fini(&key);
    return err;
}

static bool ephemeral_each(struct prefix_scan *scan, struct rt_bytes key) {
    struct rt_reader r = rt_reader_over(key);
    int64_t session = (int64_t)rt_read_be64(&r);
    if (scan->session) *scan->session = session;
    return scan->scan->each(scan->scan, rt_read_rest(&r));
}

rt_err meta_view_ephemerals_now(const struct meta_view *view, int64_t session,
                                struct meta_scan *scan) {
    struct rt_buf key = {0};
    meta_ephemeral_key(&key, session, RT_BYTES(NULL, 0));
    struct prefix_scan s = {.view = view,
                            .column = META_COLUMN_EPHEMERALS,
                            .prefix = rt_buf_bytes(&key),
                            .each = ephemeral_each,
                            .scan = scan};
    rt_err err = prefix_scan_run(&s);
    rt_buf_fini(&key);
    return err;
}

rt_err meta_view_all_ephemerals_now(const struct meta_view *view, struct meta_scan *scan,
                                    int64_t *session) {
    struct prefix_scan s = {.view = view,
                            .column = META_COLUMN_EPHEMERALS,
                            .each = ephemeral_each,
                            .scan = scan,
                            .session = session};
    return prefix_scan_run(&s);
}

static bool path_each(struct prefix_scan *scan, struct rt_bytes key) {
    return scan->scan->each(scan->scan, key);
}

rt_err meta_view_reapable_now(const struct meta_view *view, struct rt_bytes after,
                              struct meta_scan *scan) {
    struct prefix_scan s = {.view = view,
                            .column = META_COLUMN_REAPABLE,
                            .behind = after,
                            .each = path_each,
                            .scan = scan};
    return prefix_scan_run(&s);
}

static bool count_each(struct prefix_scan *scan, struct rt_bytes key) {
    (void)key;  // it is below, that is all
    scan->count++;
    return true;
}

// Depth by depth: where one has nothing, nothing is deeper. The last one a key can say has all that
// are deeper.
static rt_err below_count(const struct meta_view *view, struct rt_bytes path, uint64_t *count) {
    struct rt_buf key = {0};
    unsigned depth = meta_path_depth(path);
    rt_err err = RT_OK;
    bool goes_on = true;
    while (!err && goes_on) {
        depth = depth_below(depth);
        below_key(&key, depth, path);
        struct prefix_scan s = {.view = view,
                                .column = META_COLUMN_NODES,
                                .prefix = rt_buf_bytes(&key),
                                .each = count_each};
        err = prefix_scan_run(&s);
        *count += s.count;
        goes_on = s.count > 0 && depth < META_DEPTH_MAX;
    }
    rt_buf_fini(&key);
    return err;
}

rt_err meta_view_descendants_now(const struct meta_view *view, struct rt_bytes path,
                                 uint64_t *count) {
    *count = 0;
    if (path.size != 1) return below_count(view, path, count);
    struct rt_buf value = {0};  // of the root: all but itself
    struct meta_store_totals totals = {0};
    rt_err err =
        rt_kv_get_now(view->kv, view->snapshot, META_COLUMN_DEFAULT, meta_applied_key(), &value);
    if (!err) err = meta_applied_decode(rt_buf_bytes(&value), &totals);
    if (totals.nodes > 0) *count = totals.nodes - 1;
    rt_buf_fini(&value);
    return err == RT_ENOTFOUND ? RT_OK : err;
}
