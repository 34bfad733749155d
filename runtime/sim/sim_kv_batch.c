// Batches of the simulated store.
//
// CHANGE  1 byte kind, 1 byte column, varint key size, key; a put adds varint value size and the
//         value, a removed range varint end size and the end.
#include <assert.h>

#include "runtime/sim/sim_kv.h"

void sim_kv_sized_write(struct rt_writer *w, struct rt_bytes bytes) {
    rt_write_varint(w, bytes.size);
    rt_write_bytes(w, bytes);
}

struct rt_bytes sim_kv_sized_read(struct rt_reader *r) {
    uint64_t size = rt_read_varint(r);
    if (size > rt_reader_left(r)) rt_reader_fail(r);
    return rt_read_bytes(r, rt_reader_failed(r) ? 0 : (size_t)size);
}

struct rt_kv_batch *sim_kv_batch_new(struct rt_kv *kv) {
    struct rt_kv_batch *batch = RT_NEW(struct rt_kv_batch);
    batch->backend = kv->head.backend;
    batch->column_count = kv->store->column_count;
    return batch;
}

void sim_kv_batch_free(struct rt_kv_batch *batch) {
    if (!batch) return;
    rt_buf_fini(&batch->changes);
    rt_free(batch);
}

void sim_kv_batch_clear(struct rt_kv_batch *batch) {
    rt_buf_clear(&batch->changes);
    batch->count = 0;
}

static struct rt_writer change_begin(struct rt_kv_batch *batch, enum sim_kv_change_kind kind,
                                     unsigned column, struct rt_bytes key) {
    assert(column < batch->column_count);
    struct rt_writer w = rt_writer_into(&batch->changes);
    rt_write_u8(&w, (uint8_t)kind);
    rt_write_u8(&w, (uint8_t)column);
    sim_kv_sized_write(&w, key);
    batch->count++;
    return w;
}

void sim_kv_batch_put(struct rt_kv_batch *batch, unsigned column, struct rt_bytes key,
                      struct rt_bytes value) {
    struct rt_writer w = change_begin(batch, SIM_KV_PUT, column, key);
    sim_kv_sized_write(&w, value);
}

void sim_kv_batch_remove(struct rt_kv_batch *batch, unsigned column, struct rt_bytes key) {
    change_begin(batch, SIM_KV_REMOVE, column, key);
}

void sim_kv_batch_remove_range(struct rt_kv_batch *batch, unsigned column, struct rt_bytes first,
                               struct rt_bytes end) {
    struct rt_writer w = change_begin(batch, SIM_KV_REMOVE_RANGE, column, first);
    sim_kv_sized_write(&w, end);
}

size_t sim_kv_batch_count(const struct rt_kv_batch *batch) {
    return batch->count;
}

size_t sim_kv_batch_bytes(const struct rt_kv_batch *batch) {
    return batch->changes.size;
}

static void change_apply(struct sim_kv_store *store, struct rt_reader *r, uint64_t sequence,
                         const unsigned *columns, unsigned column_count) {
    unsigned kind = rt_read_u8(r), from = rt_read_u8(r);
    struct rt_bytes key = sim_kv_sized_read(r);
    struct rt_bytes other = kind == SIM_KV_REMOVE ? RT_BYTES(NULL, 0) : sim_kv_sized_read(r);
    bool known = kind >= SIM_KV_PUT && kind <= SIM_KV_REMOVE_RANGE;
    if (!known || from >= column_count) rt_reader_fail(r);
    if (rt_reader_failed(r)) return;
    unsigned column = columns[from];
    if (kind == SIM_KV_PUT) sim_kv_put(store, column, sequence, key, other);
    if (kind == SIM_KV_REMOVE) sim_kv_remove(store, column, sequence, key);
    if (kind == SIM_KV_REMOVE_RANGE) sim_kv_remove_range(store, column, sequence, key, other);
}

rt_err sim_kv_apply(struct sim_kv_store *store, struct rt_bytes changes, uint64_t sequence,
                    const unsigned *columns, unsigned column_count) {
    struct rt_reader r = rt_reader_over(changes);
    while (rt_reader_left(&r) > 0 && !rt_reader_failed(&r)) {
        change_apply(store, &r, sequence, columns, column_count);
    }
    return rt_reader_failed(&r) ? RT_ECORRUPT : RT_OK;
}
