// Deleting ledgers: those that wait go together, in one durable batch. A worker adds up what they
// take in each file first, while no one else changes the index; then they are forgotten in memory,
// and until the batch is written the index does not count for them.
#include <assert.h>
#include <stdlib.h>

#include "bookie/server/store/store_internal.h"
#include "runtime/mem.h"

enum { TOGETHER_MAX = 128 };

struct dead_bytes {
    uint64_t file, bytes;
};

struct bookie_deletion {
    struct bookie_store *store;
    struct bookie_turn turn;
    struct rt_list ops;  // bookie_ledger_delete_op.acquire.link
    int64_t ids[TOGETHER_MAX];
    unsigned count;
    struct rt_work work;
    struct rt_kv_op kv_op;
    struct rt_kv_batch *batch;
    struct dead_bytes *dead;  // one for each file, once merged
    size_t dead_count, dead_capacity;
    rt_err err;
};

static void deletion_begin(struct bookie_store *store);

// THE WALK, on a worker

static void dead_add(struct bookie_deletion *deletion, const struct bookie_location *location) {
    uint64_t bytes = BOOKIE_EXTENT_HEADER + (uint64_t)location->stored_size;
    struct dead_bytes *last =
        deletion->dead_count > 0 ? &deletion->dead[deletion->dead_count - 1] : NULL;
    if (last && last->file == location->file) {
        last->bytes += bytes;
        return;
    }
    if (deletion->dead_count == deletion->dead_capacity) {
        deletion->dead_capacity = deletion->dead_capacity ? deletion->dead_capacity * 2 : 16;
        deletion->dead =
            rt_realloc(deletion->dead, deletion->dead_capacity * sizeof(*deletion->dead));
    }
    deletion->dead[deletion->dead_count++] = (struct dead_bytes){location->file, bytes};
}

static int dead_compare(const void *a, const void *b) {
    uint64_t left = ((const struct dead_bytes *)a)->file;
    uint64_t right = ((const struct dead_bytes *)b)->file;
    return left < right ? -1 : left > right;
}

static void dead_merge(struct bookie_deletion *deletion) {
    if (deletion->dead_count == 0) return;
    qsort(deletion->dead, deletion->dead_count, sizeof(*deletion->dead), dead_compare);
    size_t kept = 0;
    for (size_t i = 1; i < deletion->dead_count; i++) {
        if (deletion->dead[i].file == deletion->dead[kept].file) {
            deletion->dead[kept].bytes += deletion->dead[i].bytes;
        } else {
            deletion->dead[++kept] = deletion->dead[i];
        }
    }
    deletion->dead_count = kept + 1;
}

static rt_err ledger_walk(struct bookie_deletion *deletion, int64_t id) {
    struct bookie_finder finder;
    struct bookie_location location;
    bool has_begun = false;
    bookie_finder_init(&finder, deletion->store->kv, NULL, id, 0);
    rt_err err;
    while (!(err = bookie_finder_each(&finder, &has_begun, &location)))
        dead_add(deletion, &location);
    bookie_finder_fini(&finder);
    return err == RT_ENOTFOUND ? RT_OK : err;
}

static void walk_run(struct rt_work *work) {
    struct bookie_deletion *deletion = rt_container_of(work, struct bookie_deletion, work);
    for (unsigned i = 0; i < deletion->count && !deletion->err; i++) {
        deletion->err = ledger_walk(deletion, deletion->ids[i]);
    }
    dead_merge(deletion);
}

// FORGETTING

static void ledger_forget(struct bookie_store *store, struct bookie_ledger *ledger) {
    for (unsigned i = 0; i < 2; i++) bookie_cache_drop(&store->halves[i], ledger->id);
    bookie_read_cache_drop(&store->read_cache, ledger->id);
    bookie_reads_outdate(store, ledger);
    ledger->exists = ledger->fenced = ledger->limbo = false;
    ledger->key_size = 0;
    ledger->last_entry = ledger->stored_last = ledger->lac = -1;
    ledger->span_max = 0;
    ledger->is_unstored = true;
    rt_buf_fini(&ledger->explicit_lac);
}

static void files_reduce(struct bookie_deletion *deletion) {
    struct bookie_store *store = deletion->store;
    for (size_t i = 0; i < deletion->dead_count; i++) {
        const struct dead_bytes *dead = &deletion->dead[i];
        struct bookie_file *file = bookie_files_find(&store->files, dead->file);
        if (!file) continue;
        uint64_t live = file->record.live_bytes;
        file->record.live_bytes = live > dead->bytes ? live - dead->bytes : 0;
        bookie_index_put_file(deletion->batch, &file->record);
    }
}

// ENDING

static void deletion_end(struct bookie_deletion *deletion, rt_err err) {
    struct bookie_store *store = deletion->store;
    store->deleting.running = NULL;
    for (unsigned i = 0; i < deletion->count; i++) {
        bookie_ledgers_find(store, deletion->ids[i])->is_unstored = false;
    }
    bookie_turn_give(store);
    for (struct rt_list *link; (link = rt_list_pop_front(&deletion->ops));) {
        struct bookie_ledger_delete_op *op =
            rt_container_of(link, struct bookie_ledger_delete_op, acquire.link);
        bookie_ledger_release(store, bookie_ledgers_find(store, op->id));
        op->done(op, err);
    }
    if (deletion->batch) rt_kv_batch_free(deletion->batch);
    rt_free(deletion->dead);
    rt_free(deletion);
    deletion_begin(store);
    bookie_store_maybe_close(store);
}

// What was forgotten in memory and is on disk comes back with the next start, as far as it was
// flushed: nothing said that it was deleted.
static void batch_written(struct rt_kv_op *kv_op, rt_err err) {
    struct bookie_deletion *deletion = rt_container_of(kv_op, struct bookie_deletion, kv_op);
    if (err) bookie_store_fail(deletion->store, err, "deleting ledgers from the index");
    deletion_end(deletion, err);
}

static void walk_ran(struct rt_work *work) {
    struct bookie_deletion *deletion = rt_container_of(work, struct bookie_deletion, work);
    struct bookie_store *store = deletion->store;
    rt_err err = deletion->err ? deletion->err : store->failure;
    if (err) {
        deletion_end(deletion, err);
        return;
    }
    deletion->batch = rt_kv_batch_new(store->kv);
    for (unsigned i = 0; i < deletion->count; i++) {
        ledger_forget(store, bookie_ledgers_find(store, deletion->ids[i]));
        bookie_index_delete_ledger(deletion->batch, deletion->ids[i]);
    }
    files_reduce(deletion);
    rt_kv_write(&deletion->kv_op, store->loop, store->kv, deletion->batch, RT_KV_DURABLE,
                batch_written);
}

// BEGINNING

static bool has_id(const struct bookie_deletion *deletion, int64_t id) {
    unsigned i = 0;
    while (i < deletion->count && deletion->ids[i] != id) i++;
    return i < deletion->count;
}

static void on_turn(struct bookie_turn *turn) {
    struct bookie_deletion *deletion = rt_container_of(turn, struct bookie_deletion, turn);
    struct bookie_store *store = deletion->store;
    while (deletion->count < TOGETHER_MAX && !rt_list_is_empty(&store->deleting.waiting)) {
        struct rt_list *link = rt_list_pop_front(&store->deleting.waiting);
        struct bookie_ledger_delete_op *op =
            rt_container_of(link, struct bookie_ledger_delete_op, acquire.link);
        rt_list_push_back(&deletion->ops, link);
        if (!has_id(deletion, op->id)) deletion->ids[deletion->count++] = op->id;
    }
    rt_work_submit(&deletion->work, store->loop, walk_run, walk_ran, "store.delete");
}

static void deletion_begin(struct bookie_store *store) {
    if (store->deleting.running || rt_list_is_empty(&store->deleting.waiting)) return;
    struct bookie_deletion *deletion = RT_NEW(struct bookie_deletion);
    deletion->store = store;
    rt_list_init(&deletion->ops);
    deletion->turn.run = on_turn;
    store->deleting.running = deletion;
    bookie_turn_take(store, &deletion->turn);
}

static void on_acquired(struct bookie_ledger_op *acquire, rt_err err,
                        struct bookie_ledger *ledger) {
    struct bookie_ledger_delete_op *op =
        rt_container_of(acquire, struct bookie_ledger_delete_op, acquire);
    if (!ledger) {
        op->done(op, err);
        return;
    }
    struct bookie_store *store = op->store;
    rt_list_push_back(&store->deleting.waiting, &op->acquire.link);
    deletion_begin(store);
}

void bookie_ledger_delete(struct bookie_store *store, struct bookie_ledger_delete_op *op,
                          int64_t id) {
    assert(!store->closed);
    op->store = store;
    op->id = id;
    op->acquire.done = on_acquired;
    bookie_ledger_acquire(store, &op->acquire, id);
}

void bookie_deleting_init(struct bookie_store *store) {
    rt_list_init(&store->deleting.waiting);
}

bool bookie_deleting_is_quiet(const struct bookie_store *store) {
    return !store->deleting.running && rt_list_is_empty(&store->deleting.waiting);
}
