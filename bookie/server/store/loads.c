#include "bookie/server/store/loads.h"

#include <assert.h>

#include "runtime/mem.h"

// THE DISK, on a worker

static rt_err compressed_read(struct rt_file *file, const struct bookie_location *location,
                              size_t size, uint8_t *memory, struct bookie_extent *extent) {
    uint8_t *stored = rt_alloc(size);
    size_t got = 0;
    rt_err err = rt_file_read_now(file, location->offset, stored, size, &got);
    if (!err) err = bookie_extent_open(RT_BYTES(stored, got), memory, extent);
    rt_free(stored);
    return err;
}

static bool head_is(const struct bookie_extent_head *head, const struct bookie_location *location) {
    return head->ledger == location->ledger && head->first == location->first &&
           head->last == location->last && head->generation == location->generation &&
           head->count == location->count && head->plain_size == location->plain_size;
}

rt_err bookie_extent_read_now(struct rt_file *file, const struct bookie_location *location,
                              uint8_t *memory, struct bookie_extent *extent) {
    size_t size = BOOKIE_EXTENT_HEADER + (size_t)location->stored_size, got = 0;
    rt_err err;
    if (location->stored_size < location->plain_size) {
        err = compressed_read(file, location, size, memory, extent);
    } else {
        err = rt_file_read_now(file, location->offset, memory, size, &got);
        if (!err) err = bookie_extent_open(RT_BYTES(memory, got), NULL, extent);
    }
    if (err) return err;
    return head_is(&extent->head, location) ? RT_OK : RT_ECORRUPT;
}

static void load_run(struct rt_work *work) {
    struct bookie_load *load = rt_container_of(work, struct bookie_load, work);
    struct bookie_store *store = load->store;
    struct rt_file *handle = load->file->handle;
    if (!handle) {
        const struct bookie_file_record *record = &load->file->record;
        char *path = bookie_file_path(store->dirs[record->dir].path, record->id);
        load->err = bookie_file_open_read_now(store->machine, path, store->state.owner, record->id,
                                              &load->opened);
        rt_free(path);
        // The index says that it is there.
        if (load->err == RT_ENOTFOUND) load->err = RT_ECORRUPT;
        if (load->err) return;
        handle = load->opened;
    }
    load->err = bookie_extent_read_now(handle, &load->location, load->slab->data, &load->extent);
}

// AROUND IT

static bool damage_is_new(struct bookie_store *store, const struct bookie_location *location) {
    struct bookie_reading *reading = &store->reading;
    unsigned known =
        reading->damaged_count < BOOKIE_DAMAGE_MAX ? reading->damaged_count : BOOKIE_DAMAGE_MAX;
    for (unsigned i = 0; i < known; i++) {
        const struct bookie_damaged *damaged = &reading->damaged[i];
        if (damaged->file == location->file && damaged->offset == location->offset) return false;
    }
    reading->damaged[reading->damaged_count++ % BOOKIE_DAMAGE_MAX] =
        (struct bookie_damaged){location->file, location->offset};
    return true;
}

static void failure_log(const struct bookie_load *load) {
    struct bookie_store *store = load->store;
    const struct bookie_location *location = &load->location;
    bool is_damage = load->err == RT_ECORRUPT;
    if (is_damage && !damage_is_new(store, location)) return;
    if (is_damage) store->stats.corrupt_extents++;
    rt_log_error("store",
                 "extent not read ledger=%lld first=%lld count=%u file=%016llx "
                 "offset=%llu err=%s",
                 (long long)location->ledger, (long long)location->first, location->count,
                 (unsigned long long)location->file, (unsigned long long)location->offset,
                 rt_err_name(load->err));
}

static void load_free(struct bookie_load *load) {
    rt_list_remove(&load->link);
    if (load->slab) rt_slab_drop(load->slab);
    rt_free(load);
}

static void file_unuse(struct bookie_store *store, struct bookie_file *file) {
    assert(file->uses > 0);
    if (--file->uses == 0 && file->is_removed) bookie_files_remove_doomed(store);
}

static void queue_go_on(struct bookie_store *store);

static void load_ran(struct rt_work *work) {
    struct bookie_load *load = rt_container_of(work, struct bookie_load, work);
    struct bookie_store *store = load->store;
    if (load->opened) {
        struct rt_file *extra = bookie_files_give_handle(&store->files, load->file, load->opened);
        if (extra) bookie_handle_close_later(store, extra);
    }
    bookie_files_touch(&store->files, load->file);
    file_unuse(store, load->file);
    store->reading.jobs--;
    store->reading.load_bytes -= load->charge;
    store->stats.disk_reads++;
    if (load->err) {
        failure_log(load);
    } else {
        store->stats.disk_read_bytes += BOOKIE_EXTENT_HEADER + load->location.stored_size;
        if (!load->is_covered) bookie_read_cache_add(&store->read_cache, &load->extent, load->slab);
    }
    rt_list_remove(&load->link);
    bookie_reads_loaded(load);
    load_free(load);
    queue_go_on(store);
    bookie_store_maybe_close(store);
}

static void load_submit(struct bookie_load *load) {
    struct bookie_store *store = load->store;
    // The header is read in front of what it describes; a compressed payload is unpacked there.
    size_t size = BOOKIE_EXTENT_HEADER + (size_t)load->location.plain_size;
    load->slab = rt_slab_get(rt_loop_slabs(store->loop), size, &store->read_budget);
    store->reading.jobs++;
    rt_work_submit(&load->work, store->loop, load_run, load_ran, "store.read");
}

static bool may_submit(const struct bookie_store *store, size_t charge) {
    size_t bytes = store->reading.load_bytes;
    return bytes == 0 || bytes + charge <= store->reading.load_bytes_max;
}

static void queue_go_on(struct bookie_store *store) {
    struct bookie_reading *reading = &store->reading;
    while (!rt_list_is_empty(&reading->queued)) {
        struct bookie_load *load =
            rt_container_of(reading->queued.next, struct bookie_load, queue_link);
        if (!may_submit(store, load->charge)) return;
        rt_list_remove(&load->queue_link);
        load->is_queued = false;
        reading->load_bytes += load->charge;
        load_submit(load);
    }
}

rt_err bookie_load_start(struct bookie_reads *reads, const struct bookie_location *location,
                         bool is_covered, struct bookie_load **started) {
    struct bookie_store *store = reads->store;
    struct bookie_file *file = bookie_files_find(&store->files, location->file);
    if (!file) return store->files.removals == reads->removals ? RT_ECORRUPT : RT_EAGAIN;
    struct bookie_load *load = RT_NEW(struct bookie_load);
    load->store = store;
    load->reads = reads;
    load->location = *location;
    load->is_covered = is_covered;
    load->file = file;
    load->charge = rt_slab_charge_size(BOOKIE_EXTENT_HEADER + (size_t)location->plain_size);
    file->uses++;
    rt_list_init(&load->ops);
    rt_list_push_back(&reads->loads, &load->link);
    load->is_queued = true;
    rt_list_push_back(&store->reading.queued, &load->queue_link);
    *started = load;
    queue_go_on(store);
    return RT_OK;
}
