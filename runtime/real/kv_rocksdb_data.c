#include <assert.h>
#include <rocksdb/c.h>

#include "runtime/real/kv_rocksdb.h"

static const char *chars(struct rt_bytes bytes) {
    return bytes.size > 0 ? (const char *)bytes.data : "";
}

static rocksdb_column_family_handle_t *handle_of(const struct rt_kv *kv, unsigned column) {
    assert(column < kv->column_count);
    return kv->handles[column];
}

// BATCHES

enum { BATCH_HEADER_SIZE = 12 };  // of RocksDB's own encoding: sequence number and count

struct rt_kv_batch {
    const struct rt_kv_backend *backend;
    struct rt_kv *kv;
    rocksdb_writebatch_t *writes;
};

struct rt_kv_batch *real_kv_batch_new(struct rt_kv *kv) {
    struct rt_kv_batch *batch = RT_NEW(struct rt_kv_batch);
    batch->backend = kv->head.backend;
    batch->kv = kv;
    batch->writes = rocksdb_writebatch_create();
    return batch;
}

void real_kv_batch_free(struct rt_kv_batch *batch) {
    rocksdb_writebatch_destroy(batch->writes);
    rt_free(batch);
}

void real_kv_batch_clear(struct rt_kv_batch *batch) {
    rocksdb_writebatch_clear(batch->writes);
}

void real_kv_put(struct rt_kv_batch *batch, unsigned column, struct rt_bytes key,
                 struct rt_bytes value) {
    rocksdb_writebatch_put_cf(batch->writes, handle_of(batch->kv, column), chars(key), key.size,
                              chars(value), value.size);
}

void real_kv_remove(struct rt_kv_batch *batch, unsigned column, struct rt_bytes key) {
    rocksdb_writebatch_delete_cf(batch->writes, handle_of(batch->kv, column), chars(key), key.size);
}

void real_kv_remove_range(struct rt_kv_batch *batch, unsigned column, struct rt_bytes first,
                          struct rt_bytes end) {
    rocksdb_writebatch_delete_range_cf(batch->writes, handle_of(batch->kv, column), chars(first),
                                       first.size, chars(end), end.size);
}

size_t real_kv_batch_count(const struct rt_kv_batch *batch) {
    return (size_t)rocksdb_writebatch_count(batch->writes);
}

size_t real_kv_batch_bytes(const struct rt_kv_batch *batch) {
    size_t size = 0;
    (void)rocksdb_writebatch_data(batch->writes, &size);  // only its size is asked for
    return size - BATCH_HEADER_SIZE;
}

rt_err real_kv_write(struct rt_kv *kv, struct rt_kv_batch *batch,
                     enum rt_kv_durability durability) {
    assert(batch->kv == kv);
    if (durability == RT_KV_NO_LOG) atomic_store(&kv->used_no_log, true);
    char *error = NULL;
    rocksdb_write(kv->db, kv->write_options[durability], batch->writes, &error);
    return real_kv_err(error);
}

// READING

struct rt_kv_snapshot {
    const rocksdb_snapshot_t *snapshot;
};

struct rt_kv_snapshot *real_kv_snapshot_take(struct rt_kv *kv) {
    struct rt_kv_snapshot *snapshot = RT_NEW(struct rt_kv_snapshot);
    snapshot->snapshot = rocksdb_create_snapshot(kv->db);
    return snapshot;
}

void real_kv_snapshot_drop(struct rt_kv *kv, struct rt_kv_snapshot *snapshot) {
    rocksdb_release_snapshot(kv->db, snapshot->snapshot);
    rt_free(snapshot);
}

const rocksdb_snapshot_t *real_kv_snapshot_of(const struct rt_kv_snapshot *snapshot) {
    return snapshot->snapshot;
}

static rt_err get_with(struct rt_kv *kv, const rocksdb_readoptions_t *options, unsigned column,
                       struct rt_bytes key, struct rt_buf *value) {
    char *error = NULL;
    rocksdb_pinnableslice_t *found =
        rocksdb_get_pinned_cf(kv->db, options, handle_of(kv, column), chars(key), key.size, &error);
    if (error) return real_kv_err(error);
    if (!found) return RT_ENOTFOUND;
    struct rt_bytes bytes = {0};
    bytes.data = (const uint8_t *)rocksdb_pinnableslice_value(found, &bytes.size);
    rt_buf_append(value, bytes);
    rocksdb_pinnableslice_destroy(found);
    return RT_OK;
}

rt_err real_kv_get(struct rt_kv *kv, const struct rt_kv_snapshot *snapshot, unsigned column,
                   struct rt_bytes key, struct rt_buf *value, bool memory_only) {
    if (!snapshot) {
        return get_with(kv, memory_only ? kv->read_memory_options : kv->read_options, column, key,
                        value);
    }
    assert(!memory_only);
    rocksdb_readoptions_t *options = rocksdb_readoptions_create();
    rocksdb_readoptions_set_snapshot(options, snapshot->snapshot);
    rt_err err = get_with(kv, options, column, key, value);
    rocksdb_readoptions_destroy(options);
    return err;
}
