// Lists: the entries of a ledger, the ledgers of the store. What is in memory is noted on the loop,
// what is on disk is added by a worker; whatever moves from the one to the other meanwhile is seen
// twice, which does no harm.
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "bookie/server/store/loads.h"
#include "bookie/server/store/store_internal.h"
#include "runtime/mem.h"

enum { ENTRIES_MAX = 1 << 25 };

static void id_add(struct rt_buf *ids, int64_t id) {
    rt_buf_append(ids, RT_BYTES(&id, sizeof(id)));
}

static int id_compare(const void *a, const void *b) {
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return left < right ? -1 : left > right;
}

static void ids_sort(struct rt_buf *ids) {
    size_t count = ids->size / sizeof(int64_t), kept = 0;
    if (count == 0) return;
    int64_t *all = (void *)ids->data;
    qsort(all, count, sizeof(*all), id_compare);
    for (size_t i = 1; i < count; i++) {
        if (all[i] != all[kept]) all[++kept] = all[i];
    }
    ids->size = (kept + 1) * sizeof(int64_t);
}

static void scan_ended(struct bookie_store *store) {
    store->scans--;
    bookie_files_remove_doomed(store);
    bookie_store_maybe_close(store);
}

// ENTRIES

static void half_entries(const struct bookie_cache_half *half, int64_t ledger, struct rt_buf *ids) {
    const struct bookie_cached_ledger *cached = bookie_cache_ledger(half, ledger);
    if (!cached) return;
    struct bookie_cache_cursor cursor = {.ledger = cached};
    for (const struct bookie_cached_entry *entry; (entry = bookie_cache_next(&cursor));) {
        id_add(ids, entry->entry);
    }
}

// Of an extent with gaps: it says itself which.
static rt_err gaps_read(struct bookie_store *store, const struct bookie_location *location,
                        uint32_t dir, struct rt_buf *ids) {
    struct rt_file *file;
    char *path = bookie_file_path(store->dirs[dir].path, location->file);
    rt_err err =
        bookie_file_open_read_now(store->machine, path, store->state.owner, location->file, &file);
    rt_free(path);
    if (err) return err == RT_ENOTFOUND ? RT_ECORRUPT : err;
    uint8_t *memory = rt_alloc(BOOKIE_EXTENT_HEADER + (size_t)location->plain_size);
    struct bookie_extent extent;
    err = bookie_extent_read_now(file, location, memory, &extent);
    for (uint32_t i = 0; !err && i < extent.head.count; i++) {
        id_add(ids, bookie_extent_entry(&extent, i));
    }
    rt_free(memory);
    rt_file_close_now(file);
    return err;
}

static rt_err file_dir_now(struct rt_kv *kv, const struct rt_kv_snapshot *snapshot, uint64_t id,
                           uint32_t *dir) {
    uint8_t key[8];
    struct rt_buf value = {0};
    struct bookie_file_record record;
    struct rt_writer w = rt_writer_over(key, sizeof(key));
    rt_write_be64(&w, id);
    rt_err err =
        rt_kv_get_now(kv, snapshot, BOOKIE_COLUMN_FILES, RT_BYTES(key, sizeof(key)), &value);
    if (!err)
        err = bookie_file_record_read(RT_BYTES(key, sizeof(key)), rt_buf_bytes(&value), &record);
    if (!err) *dir = record.dir;
    rt_buf_fini(&value);
    return err == RT_ENOTFOUND ? RT_ECORRUPT : err;
}

static rt_err location_entries(struct bookie_store *store, const struct rt_kv_snapshot *snapshot,
                               const struct bookie_location *location, struct rt_buf *ids) {
    if (ids->size / sizeof(int64_t) + location->count > ENTRIES_MAX) return RT_ETOOBIG;
    bool has_gaps = (uint64_t)(location->last - location->first) + 1 != location->count;
    if (has_gaps) {
        uint32_t dir = 0;
        rt_err err = file_dir_now(store->kv, snapshot, location->file, &dir);
        if (!err && dir >= store->dir_count) err = RT_ECORRUPT;
        return err ? err : gaps_read(store, location, dir, ids);
    }
    for (uint32_t i = 0; i < location->count; i++) id_add(ids, location->first + i);
    return RT_OK;
}

static void entries_run(struct rt_work *work) {
    struct bookie_entries_op *op = rt_container_of(work, struct bookie_entries_op, work);
    struct bookie_finder finder;
    struct bookie_location location;
    bool has_begun = false;
    rt_err err;
    struct rt_kv_snapshot *snapshot = rt_kv_snapshot_take(op->store->kv);
    bookie_finder_init(&finder, op->store->kv, snapshot, op->ledger->id, 0);
    while (!(err = bookie_finder_each(&finder, &has_begun, &location))) {
        err = location_entries(op->store, snapshot, &location, &op->entries);
        if (err) break;
    }
    bookie_finder_fini(&finder);
    rt_kv_snapshot_drop(op->store->kv, snapshot);
    op->err = err == RT_ENOTFOUND ? RT_OK : err;
    ids_sort(&op->entries);
}

static void entries_skip(struct rt_work *work) {
    struct bookie_entries_op *op = rt_container_of(work, struct bookie_entries_op, work);
    ids_sort(&op->entries);
}

static void entries_ran(struct rt_work *work) {
    struct bookie_entries_op *op = rt_container_of(work, struct bookie_entries_op, work);
    struct bookie_store *store = op->store;
    op->done(op, op->err);
    scan_ended(store);
}

void bookie_store_entries(struct bookie_store *store, struct bookie_entries_op *op) {
    assert(!store->closed && op->ledger->holds > 0);
    op->store = store;
    op->entries = (struct rt_buf){0};
    op->err = RT_OK;
    for (unsigned i = 0; i < 2; i++) half_entries(&store->halves[i], op->ledger->id, &op->entries);
    store->scans++;
    rt_work_submit(&op->work, store->loop, op->ledger->is_unstored ? entries_skip : entries_run,
                   entries_ran, "store.entries");
}

// LEDGERS

static void dirty_ledgers(const struct rt_list *ledgers, int64_t from, struct rt_buf *ids) {
    rt_list_each (link, ledgers) {
        const struct bookie_ledger *ledger = rt_container_of(link, struct bookie_ledger, list);
        if (ledger->exists && ledger->id >= from) id_add(ids, ledger->id);
    }
}

static void list_run(struct rt_work *work) {
    struct bookie_ledger_list_op *op = rt_container_of(work, struct bookie_ledger_list_op, work);
    uint8_t key[BOOKIE_LEDGER_KEY];
    struct rt_kv_iter *iter = rt_kv_iter_new(op->store->kv, NULL, BOOKIE_COLUMN_LEDGERS);
    bookie_ledger_key(op->from, key);
    rt_kv_iter_seek(iter, RT_BYTES(key, sizeof(key)));
    for (size_t i = 0; i < op->count_max && rt_kv_iter_valid(iter); i++) {
        int64_t id;
        op->err = bookie_ledger_key_read(rt_kv_iter_key(iter), &id);
        if (op->err) break;
        id_add(&op->ids, id);
        rt_kv_iter_next(iter);
    }
    if (!op->err) op->err = rt_kv_iter_err(iter);
    rt_kv_iter_free(iter);
    ids_sort(&op->ids);
    if (op->ids.size / sizeof(int64_t) > op->count_max)
        op->ids.size = op->count_max * sizeof(int64_t);
}

static void list_ran(struct rt_work *work) {
    struct bookie_ledger_list_op *op = rt_container_of(work, struct bookie_ledger_list_op, work);
    struct bookie_store *store = op->store;
    op->done(op, op->err);
    scan_ended(store);
}

void bookie_ledger_list(struct bookie_store *store, struct bookie_ledger_list_op *op) {
    assert(!store->closed);
    op->store = store;
    op->ids = (struct rt_buf){0};
    op->err = RT_OK;
    dirty_ledgers(&store->ledgers.dirty, op->from, &op->ids);
    dirty_ledgers(&store->ledgers.flushing, op->from, &op->ids);
    store->scans++;
    rt_work_submit(&op->work, store->loop, list_run, list_ran, "store.list");
}
