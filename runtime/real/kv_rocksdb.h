// The key-value store of the real machine, inside. Private to runtime/real/: nothing else sees
// RocksDB.
#ifndef GEMINGA_RUNTIME_REAL_KV_ROCKSDB_H
#define GEMINGA_RUNTIME_REAL_KV_ROCKSDB_H

#include <pthread.h>

#include "runtime/backend.h"

const struct rt_kv_backend *real_kv_backend(void);

struct rt_kv {
    struct rt_kv_head head;
    char *path;
    struct rocksdb_t *db;
    struct rocksdb_cache_t *cache;
    unsigned column_count;  // that the caller named; the first handles are theirs
    unsigned handle_count;  // and those of columns that only the store knows
    struct rocksdb_column_family_handle_t **handles;
    struct rocksdb_writeoptions_t *write_options[RT_KV_NO_LOG + 1];
    struct rocksdb_readoptions_t *read_options, *read_memory_options;
    atomic_bool used_no_log;

    pthread_mutex_t flush_lock;                     // one flush at a time; guards what follows
    struct rocksdb_column_family_handle_t *marker;  // see kv_rocksdb_flush.c; NULL until needed
};

// ERRORS (kv_rocksdb_error.c). Both free the text and may be given NULL, which is RT_OK.
rt_err real_kv_err(char *text);
// Says "cannot <verb> store <path>: <RocksDB's reason>".
rt_err real_kv_why(struct rt_why *why, char *text, const char *verb, const char *path);

// OPTIONS (kv_rocksdb_options.c), with the defaults of kv.h filled in
struct rocksdb_options_t *real_kv_store_options(const struct rt_kv_options *options);
struct rocksdb_options_t *real_kv_column_options(const struct rt_kv_column *column,
                                                 struct rocksdb_cache_t *cache);
struct rocksdb_cache_t *real_kv_cache_new(const struct rt_kv_options *options);

// FLUSHING (kv_rocksdb_flush.c)
#define REAL_KV_MARKER_COLUMN "geminga.flush"
rt_err real_kv_flush(struct rt_kv *kv);
rt_err real_kv_checkpoint(struct rt_kv *kv, const char *path);

// DATA (kv_rocksdb_data.c, kv_rocksdb_iter.c)
struct rt_kv_batch *real_kv_batch_new(struct rt_kv *kv);
void real_kv_batch_free(struct rt_kv_batch *batch);
void real_kv_batch_clear(struct rt_kv_batch *batch);
void real_kv_put(struct rt_kv_batch *batch, unsigned column, struct rt_bytes key,
                 struct rt_bytes value);
void real_kv_remove(struct rt_kv_batch *batch, unsigned column, struct rt_bytes key);
void real_kv_remove_range(struct rt_kv_batch *batch, unsigned column, struct rt_bytes first,
                          struct rt_bytes end);
size_t real_kv_batch_count(const struct rt_kv_batch *batch);
size_t real_kv_batch_bytes(const struct rt_kv_batch *batch);
rt_err real_kv_write(struct rt_kv *kv, struct rt_kv_batch *batch, enum rt_kv_durability durability);
rt_err real_kv_get(struct rt_kv *kv, const struct rt_kv_snapshot *snapshot, unsigned column,
                   struct rt_bytes key, struct rt_buf *value, bool memory_only);
struct rt_kv_snapshot *real_kv_snapshot_take(struct rt_kv *kv);
void real_kv_snapshot_drop(struct rt_kv *kv, struct rt_kv_snapshot *snapshot);
const struct rocksdb_snapshot_t *real_kv_snapshot_of(const struct rt_kv_snapshot *snapshot);

struct rt_kv_iter *real_kv_iter_new(struct rt_kv *kv, const struct rt_kv_snapshot *snapshot,
                                    unsigned column);
void real_kv_iter_free(struct rt_kv_iter *iter);
void real_kv_iter_first(struct rt_kv_iter *iter);
void real_kv_iter_last(struct rt_kv_iter *iter);
void real_kv_iter_seek(struct rt_kv_iter *iter, struct rt_bytes key);
void real_kv_iter_seek_for_prev(struct rt_kv_iter *iter, struct rt_bytes key);
void real_kv_iter_next(struct rt_kv_iter *iter);
void real_kv_iter_prev(struct rt_kv_iter *iter);
bool real_kv_iter_valid(const struct rt_kv_iter *iter);
rt_err real_kv_iter_err(const struct rt_kv_iter *iter);
struct rt_bytes real_kv_iter_key(const struct rt_kv_iter *iter);
struct rt_bytes real_kv_iter_value(const struct rt_kv_iter *iter);

#endif
