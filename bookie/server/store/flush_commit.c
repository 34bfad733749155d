// What a flush does to the index, and to the tables in memory behind it.
#include <assert.h>
#include <string.h>

#include "bookie/server/store/store_internal.h"
#include "runtime/mem.h"

enum { LEDGERS_PER_TURN = 512, BATCH_BYTES_KEPT = 1 << 20 };

// What of the ledger is in the frozen half, unless it was deleted since.
static const struct bookie_cached_ledger *frozen_of(struct bookie_flush *flush, int64_t ledger) {
    return bookie_cache_ledger(bookie_store_frozen(flush->store), ledger);
}

// RECORDS

// The last entry on disk, not the last one there is: that one may be in the journal only, and lost.
static int64_t last_after(struct bookie_flush *flush, const struct bookie_ledger *ledger) {
    const struct bookie_cached_ledger *frozen = frozen_of(flush, ledger->id);
    int64_t last = frozen ? bookie_cache_last(frozen) : -1;
    return last > ledger->stored_last ? last : ledger->stored_last;
}

static void record_put(struct bookie_flush *flush, struct bookie_ledger *ledger) {
    uint8_t key[BOOKIE_LEDGER_KEY];
    bookie_ledger_key(ledger->id, key);
    const struct bookie_cached_ledger *frozen = frozen_of(flush, ledger->id);
    // In memory before any extent is in the index: too large does no harm.
    if (frozen && frozen->span_max > ledger->span_max) ledger->span_max = frozen->span_max;
    if (!ledger->exists) {
        rt_kv_delete(flush->batch, BOOKIE_COLUMN_LEDGERS, RT_BYTES(key, sizeof(key)));
        return;
    }
    rt_buf_clear(&flush->record);
    bookie_ledger_record_write(ledger, last_after(flush, ledger), &flush->record);
    rt_kv_put(flush->batch, BOOKIE_COLUMN_LEDGERS, RT_BYTES(key, sizeof(key)),
              rt_buf_bytes(&flush->record));
}

// A reader may find an extent in the index before the loop hears that the batch was written: its
// file is in the table before.
static void file_prepare(struct bookie_store *store, struct bookie_flush_file *written) {
    const struct bookie_file_record record = {.id = written->id, .dir = written->dir};
    struct bookie_file *file = bookie_files_find(&store->files, written->id);
    if (!file) file = bookie_files_add(&store->files, &record);
    written->live_before = file->record.live_bytes;
    written->live_added = 0;
}

void bookie_flush_records_begin(struct bookie_flush *flush) {
    struct bookie_store *store = flush->store;
    assert(store->turn_taken);
    rt_kv_batch_clear(flush->batch);
    flush->cursor = store->ledgers.flushing.next;
    for (unsigned i = 0; i < flush->file_count; i++) file_prepare(store, &flush->files[i]);
}

bool bookie_flush_records(struct bookie_flush *flush) {
    struct rt_list *end = &flush->store->ledgers.flushing;
    for (unsigned i = 0; i < LEDGERS_PER_TURN && flush->cursor != end; i++) {
        record_put(flush, rt_container_of(flush->cursor, struct bookie_ledger, list));
        flush->cursor = flush->cursor->next;
    }
    if (flush->cursor != end) return false;
    struct bookie_state state = flush->store->state;
    memcpy(state.marks, flush->marks, sizeof(state.marks));
    state.generation = flush->generation;
    bookie_index_put_state(flush->batch, &state);
    return true;
}

// EXTENTS

static struct bookie_flush_file *file_of(struct bookie_flush *flush, uint64_t id) {
    unsigned i = 0;
    while (i < flush->file_count && flush->files[i].id != id) i++;
    assert(i < flush->file_count);
    return &flush->files[i];
}

static size_t location_count(const struct bookie_flush *flush) {
    return flush->locations.size / sizeof(struct bookie_location);
}

// Locations lie in the order of the ledgers.
void bookie_flush_extents(struct bookie_flush *flush) {
    const struct bookie_cache_half *frozen = bookie_store_frozen(flush->store);
    const struct bookie_location *locations = (const void *)flush->locations.data;
    size_t at = 0;
    for (size_t i = 0; i < location_count(flush); i++) {
        while (frozen->ledgers[at]->id != locations[i].ledger) at++;
        if (frozen->ledgers[at]->is_dropped) continue;
        bookie_index_put_extent(flush->batch, &locations[i]);
        file_of(flush, locations[i].file)->live_added +=
            BOOKIE_EXTENT_HEADER + locations[i].stored_size;
    }
    for (unsigned i = 0; i < flush->file_count; i++) {
        const struct bookie_flush_file *file = &flush->files[i];
        const struct bookie_file_record record = {.id = file->id,
                                                  .size = file->size,
                                                  .live_bytes =
                                                      file->live_before + file->live_added,
                                                  .dir = file->dir};
        bookie_index_put_file(flush->batch, &record);
    }
}

// THE TABLES

static void files_settle(struct bookie_flush *flush) {
    struct bookie_store *store = flush->store;
    for (unsigned i = 0; i < flush->file_count; i++) {
        const struct bookie_flush_file *written = &flush->files[i];
        struct bookie_file *file = bookie_files_find(&store->files, written->id);
        assert(file->record.live_bytes == written->live_before);
        file->record.size = written->size;
        file->record.live_bytes += written->live_added;
        store->stats.flushed_bytes += written->size - written->size_before;
    }
    if (flush->file_count == 0) return;
    struct bookie_dir *dir = &store->dirs[flush->dir];
    dir->file_size = flush->files[flush->file_count - 1].size;
}

void bookie_flush_indexed(struct bookie_flush *flush) {
    struct bookie_store *store = flush->store;
    files_settle(flush);
    store->state.generation = flush->generation;
    memcpy(store->state.marks, flush->marks, sizeof(store->state.marks));
    store->stats.flushes++;
    store->stats.flushed_extents += location_count(flush);
    store->stats.index_records += rt_kv_batch_count(flush->batch);
    store->stats.index_bytes += rt_kv_batch_bytes(flush->batch);
    if (rt_kv_batch_bytes(flush->batch) > BATCH_BYTES_KEPT) {
        rt_kv_batch_free(flush->batch);
        flush->batch = rt_kv_batch_new(store->kv);
    }
}

static void ledger_settle(struct bookie_flush *flush, struct bookie_ledger *ledger) {
    struct bookie_store *store = flush->store;
    const struct bookie_cached_ledger *frozen = frozen_of(flush, ledger->id);
    if (frozen) {
        struct bookie_cache_cursor cursor = {.ledger = frozen};
        // New extents reach into the range of older ones, which may be cached.
        if (bookie_cache_next(&cursor)->entry <= ledger->stored_last) {
            bookie_read_cache_drop(&store->read_cache, ledger->id);
            bookie_reads_outdate(store, ledger);
        }
        ledger->stored_last = last_after(flush, ledger);
    }
    bookie_ledger_flushed(store, ledger);
}

bool bookie_flush_settle(struct bookie_flush *flush) {
    struct bookie_store *store = flush->store;
    struct rt_list *flushing = &store->ledgers.flushing;
    for (unsigned i = 0; i < LEDGERS_PER_TURN && !rt_list_is_empty(flushing); i++) {
        ledger_settle(flush, rt_container_of(flushing->next, struct bookie_ledger, list));
    }
    if (!rt_list_is_empty(flushing)) return false;
    struct bookie_cache_half *frozen = bookie_store_frozen(store);
    flush->garbage = *frozen;
    bookie_cache_init(frozen, frozen->pool, frozen->budget, frozen->limit_bytes);
    rt_buf_fini(&flush->locations);
    bookie_turn_give(store);
    // Replay still reads the journals: a later flush tells.
    if (!flush->is_now) store->events->flushed(store->events, flush->marks, store->journal_count);
    return true;
}
