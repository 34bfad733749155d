// An ordered key-value store: RocksDB on the real machine, a crash-faithful model in the simulator.
//
// Keys order bytewise. Writes go in batches that apply whole or not at all. A batch is durable when
// it was written with RT_KV_DURABLE, or when a later durable batch was: after a crash the store
// holds a prefix of the batches, at least up to the last durable one. Batches with RT_KV_NO_LOG
// (for data that a log of ours can replay) form a sequence of their own, of which a crash leaves a
// prefix, at least up to the last flush.
//
// Columns that are not there yet are created when the store is opened; columns that only the store
// knows, because a later version made them, are kept and not touched.
//
// The *_now calls may touch the disk and block: start-up, workers, tools, or a caller that accepts
// it knowingly (a memtable or block-cache hit costs a microsecond). rt_kv_try_get answers only from
// memory.
#ifndef GEMINGA_RUNTIME_KV_H
#define GEMINGA_RUNTIME_KV_H

#include "runtime/loop.h"
#include "runtime/machine.h"
#include "runtime/work.h"

struct rt_kv;
struct rt_kv_snapshot;
struct rt_kv_iter;

enum { RT_KV_COLUMNS_MAX = 16 };

struct rt_kv_column {
    const char *name;           // column 0 is always named "default"
    size_t write_buffer_bytes;  // [16 MiB]
    size_t block_bytes;         // [4 KiB]
    unsigned prefix_bytes;      // fixed prefix for prefix blooms, 0: whole-key blooms
    bool compress;              // LZ4
};

struct rt_kv_options {
    const struct rt_kv_column *columns;
    unsigned column_count;
    size_t cache_bytes;  // [64 MiB] block cache, index and filter blocks included
    bool create_if_missing;
};

RT_CHECK rt_err rt_kv_open_now(struct rt_machine *machine, const char *path,
                               const struct rt_kv_options *options, struct rt_kv **kv,
                               struct rt_why *why);
void rt_kv_close_now(struct rt_kv *kv);  // flushes; no operation may be in flight

// BATCHES: heap objects, reusable after a clear. Keys and values are copied.
struct rt_kv_batch;
struct rt_kv_batch *rt_kv_batch_new(struct rt_kv *kv);
void rt_kv_batch_free(struct rt_kv_batch *batch);
void rt_kv_batch_clear(struct rt_kv_batch *batch);
void rt_kv_put(struct rt_kv_batch *batch, unsigned column, struct rt_bytes key,
               struct rt_bytes value);
void rt_kv_delete(struct rt_kv_batch *batch, unsigned column, struct rt_bytes key);
void rt_kv_delete_range(struct rt_kv_batch *batch, unsigned column, struct rt_bytes first,
                        struct rt_bytes end);  // [first, end)
size_t rt_kv_batch_count(const struct rt_kv_batch *batch);
size_t rt_kv_batch_bytes(const struct rt_kv_batch *batch);

enum rt_kv_durability { RT_KV_DURABLE, RT_KV_LAZY, RT_KV_NO_LOG };

RT_CHECK rt_err rt_kv_write_now(struct rt_kv *kv, struct rt_kv_batch *batch,
                                enum rt_kv_durability durability);

// Asynchronous operations run on workers; writes of one store in the order they were started.
struct rt_kv_op {
    struct rt_work work;  // private; its task is the completion
    struct rt_kv_op *next;
    struct rt_kv *kv;
    struct rt_loop *loop;
    void (*done)(struct rt_kv_op *op, rt_err err);
    unsigned kind, column;
    struct rt_kv_batch *batch;  // write: borrowed until done
    enum rt_kv_durability durability;
    struct rt_bytes key;   // get: borrowed until done
    struct rt_buf *value;  // get: filled; checkpoint: unused
    const char *path;      // checkpoint: borrowed until done
    rt_err err;
};
typedef void rt_kv_done_fn(struct rt_kv_op *op, rt_err err);

void rt_kv_write(struct rt_kv_op *op, struct rt_loop *loop, struct rt_kv *kv,
                 struct rt_kv_batch *batch, enum rt_kv_durability durability, rt_kv_done_fn *done);
void rt_kv_get(struct rt_kv_op *op, struct rt_loop *loop, struct rt_kv *kv, unsigned column,
               struct rt_bytes key, struct rt_buf *value, rt_kv_done_fn *done);
// A consistent copy of the store in a new directory, by hard links where the disk has them.
void rt_kv_checkpoint(struct rt_kv_op *op, struct rt_loop *loop, struct rt_kv *kv, const char *path,
                      rt_kv_done_fn *done);

// RT_ENOTFOUND is an answer. The value replaces what the buffer held.
RT_CHECK rt_err rt_kv_get_now(struct rt_kv *kv, const struct rt_kv_snapshot *snapshot,
                              unsigned column, struct rt_bytes key, struct rt_buf *value);
RT_CHECK rt_err rt_kv_try_get(struct rt_kv *kv, unsigned column, struct rt_bytes key,
                              struct rt_buf *value);  // RT_EAGAIN: ask with rt_kv_get
RT_CHECK rt_err rt_kv_flush_now(struct rt_kv *kv);    // memory to disk, for RT_KV_NO_LOG users
RT_CHECK rt_err rt_kv_checkpoint_now(struct rt_kv *kv, const char *path);

struct rt_kv_snapshot *rt_kv_snapshot_take(struct rt_kv *kv);
void rt_kv_snapshot_drop(struct rt_kv *kv, struct rt_kv_snapshot *snapshot);

// ITERATORS see the store as it was when they were made (or at the snapshot). Not thread-safe.
struct rt_kv_iter *rt_kv_iter_new(struct rt_kv *kv, const struct rt_kv_snapshot *snapshot,
                                  unsigned column);
void rt_kv_iter_free(struct rt_kv_iter *iter);
void rt_kv_iter_first(struct rt_kv_iter *iter);
void rt_kv_iter_last(struct rt_kv_iter *iter);
void rt_kv_iter_seek(struct rt_kv_iter *iter, struct rt_bytes key);           // first key >= key
void rt_kv_iter_seek_for_prev(struct rt_kv_iter *iter, struct rt_bytes key);  // last key <= key
void rt_kv_iter_next(struct rt_kv_iter *iter);
void rt_kv_iter_prev(struct rt_kv_iter *iter);
bool rt_kv_iter_valid(const struct rt_kv_iter *iter);
rt_err rt_kv_iter_err(const struct rt_kv_iter *iter);  // why it is not valid; RT_OK: simply the end
struct rt_bytes rt_kv_iter_key(const struct rt_kv_iter *iter);  // borrowed until it moves
struct rt_bytes rt_kv_iter_value(const struct rt_kv_iter *iter);

struct rt_kv_stats {
    uint64_t memtable_bytes, cache_bytes, table_reader_bytes, live_bytes, keys_estimate;
};
struct rt_kv_stats rt_kv_stats(struct rt_kv *kv);

#endif
