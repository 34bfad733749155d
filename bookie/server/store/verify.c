// The scrubber's look at one file, a megabyte at a time.
#include <assert.h>

#include "bookie/server/store/compaction.h"
#include "bookie/server/store/store_internal.h"
#include "bookie/server/store/walk.h"
#include "runtime/mem.h"

enum { STEP_BYTES = 1 << 20, DAMAGED_MAX = 1000 };

struct bookie_verification {
    struct bookie_store *store;
    struct bookie_verify_op *op;
    struct bookie_walk walk;
    bool has_walk;
    struct bookie_file_record record;
    uint64_t paced_bytes;
    struct rt_work work;
    struct rt_timer pause;
    rt_err err;
};

static rt_err begin_now(struct bookie_verification *v) {
    struct bookie_store *store = v->store;
    char *path = bookie_file_path(store->dirs[v->record.dir].path, v->record.id);
    v->has_walk = true;
    rt_err err = bookie_walk_open_now(&v->walk, store->machine, store->kv, path, store->state.owner,
                                      v->record.id, v->record.size);
    rt_free(path);
    return err;
}

static void damage_note(struct bookie_verification *v) {
    const struct bookie_extent_head *head = &v->walk.head;
    struct bookie_damage damage = {.ledger = -1, .first = -1, .last = -1, .offset = v->walk.offset};
    // Its header may be what is damaged: only what the index knows, too, is believed.
    if (v->walk.is_live) {
        damage.ledger = head->ledger;
        damage.first = head->first;
        damage.last = head->last;
    }
    if (v->op->damaged.size < DAMAGED_MAX * sizeof(damage))
        rt_buf_append(&v->op->damaged, RT_BYTES(&damage, sizeof(damage)));
}

static void verify_run(struct rt_work *work) {
    struct bookie_verification *v = rt_container_of(work, struct bookie_verification, work);
    v->err = v->has_walk ? RT_OK : begin_now(v);
    uint64_t stop = v->walk.seen_bytes + STEP_BYTES;
    while (!v->err && v->walk.seen_bytes < stop) {
        v->err = bookie_walk_next_now(&v->walk);
        if (v->err == RT_ECORRUPT) {
            damage_note(v);
            v->err = RT_OK;
        } else if (!v->err) {
            v->op->extents++;
        }
    }
    v->op->bytes = v->walk.seen_bytes;
}

static void verify_end(struct bookie_verification *v, rt_err err) {
    struct bookie_store *store = v->store;
    struct bookie_verify_op *op = v->op;
    if (v->has_walk) bookie_walk_close_now(&v->walk);
    rt_timer_cancel(&v->pause);
    rt_free(v);
    store->compacting.verifying = NULL;
    store->scans--;
    op->done(op, err);
    bookie_files_remove_doomed(store);
    bookie_store_maybe_close(store);
}

static void verify_ran(struct rt_work *work);

static void verify_go_on(struct rt_timer *timer) {
    struct bookie_verification *v = rt_container_of(timer, struct bookie_verification, pause);
    rt_work_submit(&v->work, v->store->loop, verify_run, verify_ran, "store.verify");
}

static void verify_ran(struct rt_work *work) {
    struct bookie_verification *v = rt_container_of(work, struct bookie_verification, work);
    rt_err err = v->err;
    if (!err && v->store->closed) err = RT_ECLOSED;
    if (err) {
        verify_end(v, err == RT_ENOTFOUND ? RT_OK : err);
        return;
    }
    uint64_t bytes = v->op->bytes - v->paced_bytes;
    v->paced_bytes = v->op->bytes;
    uint64_t rate = v->op->bytes_per_s;
    rt_timer_after(&v->pause, rate ? bytes * RT_NS_PER_S / rate : 0);
}

void bookie_verification_hurry(struct bookie_store *store) {
    struct bookie_verification *v = store->compacting.verifying;
    if (v && rt_timer_is_armed(&v->pause)) rt_timer_after(&v->pause, 0);
}

// The file stays until it is done, also when it is compacted meanwhile.
void bookie_store_verify_file(struct bookie_store *store, struct bookie_verify_op *op,
                              uint64_t file) {
    assert(!store->closed && !store->compacting.verifying);
    struct bookie_verification *v = RT_NEW(struct bookie_verification);
    const struct bookie_file *found = bookie_files_find(&store->files, file);
    op->file = file;
    op->extents = op->bytes = 0;
    op->damaged = (struct rt_buf){0};
    v->store = store;
    v->op = op;
    v->err = RT_OK;
    // A file that is not there is empty.
    v->record = found ? found->record : (struct bookie_file_record){.id = file};
    v->has_walk = !found;
    rt_timer_init(&v->pause, store->loop, verify_go_on, "store.verify");
    store->compacting.verifying = v;
    store->scans++;
    rt_work_submit(&v->work, store->loop, verify_run, verify_ran, "store.verify");
}
