#include <rocksdb/c.h>
#include <string.h>

#include "runtime/real/file_posix.h"
#include "runtime/real/kv_rocksdb.h"

// After batches without a log, a crash may leave no more than a prefix of them. So all columns must
// reach the disk in one step, and a flush by column would not do. RocksDB's C interface has that
// step only as part of a manual compaction, whose failure it does not report. Hence a column of our
// own with one key, the marker: it gets a new value, the compaction of its range flushes every
// column together, and reading the value back from disk tells whether that worked. Everything that
// was written before the marker is then on disk with it.

static const char marker_key[] = "marker";
enum { MARKER_KEY_SIZE = sizeof(marker_key) - 1, READ_PERSISTED = 2 };

static rt_err marker_column_open(struct rt_kv *kv) {
    if (kv->marker) return RT_OK;
    char *error = NULL;
    struct rt_kv_column column = {.write_buffer_bytes = 64 << 10};
    rocksdb_options_t *options = real_kv_column_options(&column, kv->cache);
    kv->marker = rocksdb_create_column_family(kv->db, options, REAL_KV_MARKER_COLUMN, &error);
    rocksdb_options_destroy(options);
    if (error) kv->marker = NULL;
    return real_kv_err(error);
}

static rt_err marker_set(struct rt_kv *kv, uint64_t value) {
    char *error = NULL;
    rocksdb_put_cf(kv->db, kv->write_options[RT_KV_NO_LOG], kv->marker, marker_key, MARKER_KEY_SIZE,
                   (const char *)&value, sizeof(value), &error);
    return real_kv_err(error);
}

static void columns_flush_together(struct rt_kv *kv) {
    rocksdb_compactoptions_t *options = rocksdb_compactoptions_create();
    rocksdb_compactoptions_set_exclusive_manual_compaction(options, 0);
    rocksdb_compact_range_cf_opt(kv->db, kv->marker, options, marker_key, MARKER_KEY_SIZE,
                                 marker_key, MARKER_KEY_SIZE);
    rocksdb_compactoptions_destroy(options);
}

static bool marker_is_on_disk(struct rt_kv *kv, uint64_t value) {
    rocksdb_readoptions_t *options = rocksdb_readoptions_create();
    rocksdb_readoptions_set_read_tier(options, READ_PERSISTED);
    char *error = NULL;
    size_t size = 0;
    char *found =
        rocksdb_get_cf(kv->db, options, kv->marker, marker_key, MARKER_KEY_SIZE, &size, &error);
    bool is_same = found && size == sizeof(value) && memcmp(found, &value, sizeof(value)) == 0;
    rocksdb_free(found);
    rocksdb_free(error);
    rocksdb_readoptions_destroy(options);
    return is_same;
}

static rt_err column_flush(struct rt_kv *kv, rocksdb_column_family_handle_t *column) {
    rocksdb_flushoptions_t *options = rocksdb_flushoptions_create();
    char *error = NULL;
    rocksdb_flush_cf(kv->db, options, column, &error);
    rocksdb_flushoptions_destroy(options);
    return real_kv_err(error);
}

static rt_err marker_flush(struct rt_kv *kv) {
    uint64_t value = rocksdb_get_latest_sequence_number(kv->db) + 1;  // never used before
    rt_err err = marker_column_open(kv);
    if (!err) err = marker_set(kv, value);
    if (err) return err;
    columns_flush_together(kv);
    if (marker_is_on_disk(kv, value)) return RT_OK;
    err = column_flush(kv, kv->marker);  // of no use but for the reason
    return err ? err : RT_EIO;
}

static rt_err columns_flush(struct rt_kv *kv) {
    rt_err err = RT_OK;
    for (unsigned i = 0; i < kv->handle_count && !err; i++) err = column_flush(kv, kv->handles[i]);
    return err;
}

rt_err real_kv_flush(struct rt_kv *kv) {
    pthread_mutex_lock(&kv->flush_lock);
    bool together = kv->column_count > 1 && atomic_load(&kv->used_no_log);
    rt_err err = together ? marker_flush(kv) : columns_flush(kv);
    pthread_mutex_unlock(&kv->flush_lock);
    return err;
}

// CHECKPOINTS: RocksDB makes the directory under another name, syncs it and renames it.
rt_err real_kv_checkpoint(struct rt_kv *kv, const char *path) {
    char *error = NULL;
    rocksdb_checkpoint_t *checkpoint = rocksdb_checkpoint_object_create(kv->db, &error);
    if (error) return real_kv_err(error);
    rocksdb_checkpoint_create(checkpoint, path, 0,
                              &error);  // 0: flushes first, whatever the log's size
    rocksdb_checkpoint_object_destroy(checkpoint);
    rt_err err = real_kv_err(error);
    return err ? err : real_parent_sync(kv->head.machine, path);
}
