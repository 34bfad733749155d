// APPLIED, the value of "applied" in the column default (big-endian): version (u8, 1), index, term,
// time ms, digest, znodes, ephemerals, data bytes (u64 each).
#include "meta/server/tree/store.h"

#include <assert.h>
#include <string.h>

#include "meta/server/tree/state_digest.h"
#include "meta/server/tree/store_internal.h"
#include "runtime/mem.h"

enum { APPLIED_VERSION = 1 };

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

// Write buffers take memory as they fill; all are written out together once one of them is full.
static const struct rt_kv_column columns[META_COLUMNS] = {
    [META_COLUMN_DEFAULT] = {.name = "default", .write_buffer_bytes = 4 * MIB},
    [META_COLUMN_NODES] = {.name = "nodes",
                           .write_buffer_bytes = 16 * MIB,
                           .block_bytes = 8 * KIB,
                           .compress = true},
    [META_COLUMN_DATA] = {.name = "data",
                          .write_buffer_bytes = 16 * MIB,
                          .block_bytes = 16 * KIB,
                          .compress = true},
    [META_COLUMN_EPHEMERALS] = {.name = "ephemerals", .write_buffer_bytes = 4 * MIB},
    [META_COLUMN_SESSIONS] = {.name = "sessions", .write_buffer_bytes = 4 * MIB},
    [META_COLUMN_REAPABLE] = {.name = "reapable", .write_buffer_bytes = 4 * MIB},
};

struct rt_bytes meta_applied_key(void) {
    return RT_BYTES_LITERAL("applied");
}

void meta_applied_encode(const struct meta_store_totals *totals, struct rt_writer *w) {
    rt_write_u8(w, APPLIED_VERSION);
    rt_write_be64(w, totals->applied.index);
    rt_write_be64(w, totals->applied.term);
    rt_write_be64(w, (uint64_t)totals->time_ms);
    rt_write_be64(w, totals->digest);
    rt_write_be64(w, totals->nodes);
    rt_write_be64(w, totals->ephemerals);
    rt_write_be64(w, totals->data_bytes);
}

rt_err meta_applied_decode(struct rt_bytes value, struct meta_store_totals *totals) {
    struct rt_reader r = rt_reader_over(value);
    *totals = (struct meta_store_totals){0};
    if (rt_read_u8(&r) != APPLIED_VERSION) return RT_ECORRUPT;
    totals->applied.index = rt_read_be64(&r);
    totals->applied.term = rt_read_be64(&r);
    totals->time_ms = (int64_t)rt_read_be64(&r);
    totals->digest = rt_read_be64(&r);
    totals->nodes = rt_read_be64(&r);
    totals->ephemerals = rt_read_be64(&r);
    totals->data_bytes = rt_read_be64(&r);
    return rt_reader_done(&r) ? RT_OK : RT_ECORRUPT;
}

static rt_err kv_open(struct rt_machine *machine, const char *path, size_t cache_bytes, bool create,
                      struct rt_kv **kv, struct rt_why *why) {
    const struct rt_kv_options options = {.columns = columns,
                                          .column_count = META_COLUMNS,
                                          .cache_bytes = cache_bytes,
                                          .create_if_missing = create};
    return rt_kv_open_now(machine, path, &options, kv, why);
}

// A new store has none: everything zero.
static rt_err applied_read(struct rt_kv *kv, struct meta_store_totals *totals, struct rt_why *why) {
    struct rt_buf value = {0};
    *totals = (struct meta_store_totals){0};
    rt_err err = rt_kv_get_now(kv, NULL, META_COLUMN_DEFAULT, meta_applied_key(), &value);
    if (err == RT_OK) err = meta_applied_decode(rt_buf_bytes(&value), totals);
    rt_buf_fini(&value);
    if (err == RT_ENOTFOUND) return RT_OK;
    return err ? rt_why_prefix(why, err, "applied position") : RT_OK;
}

static rt_err sessions_read(struct meta_store *store, struct rt_why *why) {
    struct rt_kv_iter *iter = rt_kv_iter_new(store->kv, NULL, META_COLUMN_SESSIONS);
    rt_err err = RT_OK;
    for (rt_kv_iter_first(iter); !err && rt_kv_iter_valid(iter); rt_kv_iter_next(iter)) {
        struct meta_session session;
        err = meta_session_decode(rt_kv_iter_key(iter), rt_kv_iter_value(iter), &session);
        if (err) break;
        meta_session_table_add(&store->sessions, (uint64_t)session.id)->session = session;
    }
    if (!err) err = rt_kv_iter_err(iter);
    rt_kv_iter_free(iter);
    return err ? rt_why_prefix(why, err, "sessions") : RT_OK;
}

static rt_err files_open(struct meta_store *store, struct rt_why *why) {
    rt_err err = kv_open(store->machine, store->path, store->cache_bytes, true, &store->kv, why);
    if (err) return err;
    store->batch = rt_kv_batch_new(store->kv);
    err = applied_read(store->kv, &store->totals, why);
    if (!err) err = sessions_read(store, why);
    if (err) meta_store_close_files_now(store);
    return err;
}

static void memory_init(struct meta_store *store) {
    uint64_t seed;
    rt_machine_entropy(store->machine, &seed, sizeof(seed));
    meta_overlay_init(&store->overlay, seed, store->node_bytes);
}

static void memory_fini(struct meta_store *store) {
    meta_store_undo_forget(store);
    meta_overlay_fini(&store->overlay);
    meta_session_table_fini(&store->sessions);
    store->dirty_session_count = 0;
    store->totals = (struct meta_store_totals){0};
    store->is_changed = false;
    store->failure = RT_OK;
}

rt_err meta_store_open_now(struct rt_machine *machine, const struct meta_store_options *options,
                           struct meta_store **store, struct rt_why *why) {
    struct meta_store *s = RT_NEW(struct meta_store);
    s->machine = machine;
    s->path = rt_strdup(options->path);
    s->cache_bytes = options->cache_bytes ? options->cache_bytes : 64 * MIB;
    s->node_bytes = options->node_bytes ? options->node_bytes : 16 * MIB;
    memory_init(s);
    *store = NULL;
    rt_err err = files_open(s, why);
    if (err) {
        meta_store_close_now(s);
        return err;
    }
    *store = s;
    return RT_OK;
}

void meta_store_close_files_now(struct meta_store *store) {
    assert(store->snapshots == 0);
    if (!store->kv) return;
    rt_kv_batch_free(store->batch);
    rt_kv_close_now(store->kv);
    store->batch = NULL;
    store->kv = NULL;
}

void meta_store_close_now(struct meta_store *store) {
    meta_store_close_files_now(store);
    memory_fini(store);
    rt_free(store->dirty_sessions);
    rt_free(store->undo.images);
    rt_buf_fini(&store->key);
    rt_buf_fini(&store->value);
    rt_buf_fini(&store->record);
    rt_free(store->path);
    rt_free(store);
}

rt_err meta_store_reopen_now(struct meta_store *store, struct rt_why *why) {
    meta_store_close_files_now(store);
    memory_fini(store);
    memory_init(store);
    return files_open(store, why);
}

struct meta_store_totals meta_store_totals(const struct meta_store *store) {
    return store->totals;
}

void meta_store_set_applied(struct meta_store *store, struct meta_position at, int64_t time_ms) {
    assert(!store->undo.is_marked);
    assert(at.index >= store->totals.applied.index);
    store->totals.applied = at;
    store->totals.time_ms = time_ms;
    store->is_changed = true;
}

rt_err meta_store_fail(struct meta_store *store, rt_err err) {
    assert(err);
    if (!store->failure) store->failure = err;
    return err;
}

rt_err meta_store_failure(const struct meta_store *store) {
    return store->failure;
}

size_t meta_store_dirty_bytes(const struct meta_store *store) {
    return store->overlay.dirty_bytes;
}

size_t meta_store_clean_bytes(const struct meta_store *store) {
    return store->overlay.clean_bytes;
}

bool meta_store_has_changes(const struct meta_store *store) {
    return store->is_changed || store->failure;
}

struct rt_kv *meta_store_kv(const struct meta_store *store) {
    return store->kv;
}

struct rt_kv_stats meta_store_kv_stats(const struct meta_store *store) {
    return store->kv ? rt_kv_stats(store->kv) : (struct rt_kv_stats){0};
}

rt_err meta_store_peek_now(struct rt_machine *machine, const char *path,
                           struct meta_position *applied, struct rt_why *why) {
    struct rt_kv *kv;
    *applied = (struct meta_position){0};
    rt_err err = kv_open(machine, path, 1 * MIB, false, &kv, why);
    if (err) return err;
    struct meta_store_totals totals;
    err = applied_read(kv, &totals, why);
    rt_kv_close_now(kv);
    *applied = totals.applied;
    return err;
}
