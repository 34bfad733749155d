#include <assert.h>
#include <rocksdb/c.h>

#include "runtime/real/kv_rocksdb.h"

struct rt_kv_iter {
    const struct rt_kv_backend *backend;
    rocksdb_readoptions_t *options;
    rocksdb_iterator_t *iterator;
};

// Total order even where a column has prefix blooms: iterators cross prefixes. Reading ahead is
// left to RocksDB, which begins it once it sees a scan.
struct rt_kv_iter *real_kv_iter_new(struct rt_kv *kv, const struct rt_kv_snapshot *snapshot,
                                    unsigned column) {
    assert(column < kv->column_count);
    struct rt_kv_iter *iter = RT_NEW(struct rt_kv_iter);
    iter->backend = kv->head.backend;
    iter->options = rocksdb_readoptions_create();
    rocksdb_readoptions_set_total_order_seek(iter->options, 1);
    if (snapshot) rocksdb_readoptions_set_snapshot(iter->options, real_kv_snapshot_of(snapshot));
    iter->iterator = rocksdb_create_iterator_cf(kv->db, iter->options, kv->handles[column]);
    return iter;
}

void real_kv_iter_free(struct rt_kv_iter *iter) {
    rocksdb_iter_destroy(iter->iterator);
    rocksdb_readoptions_destroy(iter->options);
    rt_free(iter);
}

void real_kv_iter_first(struct rt_kv_iter *iter) {
    rocksdb_iter_seek_to_first(iter->iterator);
}

void real_kv_iter_last(struct rt_kv_iter *iter) {
    rocksdb_iter_seek_to_last(iter->iterator);
}

void real_kv_iter_seek(struct rt_kv_iter *iter, struct rt_bytes key) {
    rocksdb_iter_seek(iter->iterator, key.size > 0 ? (const char *)key.data : "", key.size);
}

void real_kv_iter_seek_for_prev(struct rt_kv_iter *iter, struct rt_bytes key) {
    rocksdb_iter_seek_for_prev(iter->iterator, key.size > 0 ? (const char *)key.data : "",
                               key.size);
}

void real_kv_iter_next(struct rt_kv_iter *iter) {
    rocksdb_iter_next(iter->iterator);
}

void real_kv_iter_prev(struct rt_kv_iter *iter) {
    rocksdb_iter_prev(iter->iterator);
}

bool real_kv_iter_valid(const struct rt_kv_iter *iter) {
    return rocksdb_iter_valid(iter->iterator);
}

rt_err real_kv_iter_err(const struct rt_kv_iter *iter) {
    char *error = NULL;
    rocksdb_iter_get_error(iter->iterator, &error);
    return real_kv_err(error);
}

struct rt_bytes real_kv_iter_key(const struct rt_kv_iter *iter) {
    struct rt_bytes key = {0};
    key.data = (const uint8_t *)rocksdb_iter_key(iter->iterator, &key.size);
    return key;
}

struct rt_bytes real_kv_iter_value(const struct rt_kv_iter *iter) {
    struct rt_bytes value = {0};
    value.data = (const uint8_t *)rocksdb_iter_value(iter->iterator, &value.size);
    return value;
}
