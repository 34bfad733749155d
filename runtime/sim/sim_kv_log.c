// The log of a simulated store.
//
// HEADER (little-endian)  4 CRC32C of the rest, 4 size of the rest; the rest is 8 sequence before
//                         the first batch, columns
// RECORD  OFFSET  SIZE  FIELD
//            0      4   CRC32C of byte 4 to the end of the changes
//            4      4   magic
//            8      8   sequence of the batch: one more than of the record before
//           16      8   how much of the log was durable when it was written
//           24      4   size of the changes
//           28      *   changes
//
// Replay ends at the first record that is not valid, or not the next. That is the tail a crash
// tore, unless a valid record further on knows that this place was durable: then it is corruption.
#include <assert.h>

#include "runtime/crc32c.h"
#include "runtime/sim/sim_kv.h"

enum { RECORD_MAGIC = 0x474f4c4b, RECORD_HEADER_SIZE = 28, LOG_HEADER_SIZE = 8 };

void sim_kv_log_header(const struct sim_kv_store *store, struct rt_buf *content) {
    struct rt_buf rest = {0};
    struct rt_writer inner = rt_writer_into(&rest);
    rt_write_le64(&inner, store->sequence);
    sim_kv_columns_write(store, &inner);
    struct rt_writer w = rt_writer_into(content);
    rt_write_le32(&w, rt_crc32c(0, rt_buf_bytes(&rest)));
    rt_write_le32(&w, (uint32_t)rest.size);
    rt_write_bytes(&w, rt_buf_bytes(&rest));
    rt_buf_fini(&rest);
}

rt_err sim_kv_log_append(struct sim_kv_store *store, struct rt_bytes changes, bool durable) {
    uint8_t header[RECORD_HEADER_SIZE];
    if (changes.size > UINT32_MAX) return RT_ETOOBIG;
    struct rt_writer w = rt_writer_over(header, sizeof(header));
    rt_write_le32(&w, 0);
    rt_write_le32(&w, RECORD_MAGIC);
    rt_write_le64(&w, store->sequence + 1);
    rt_write_le64(&w, store->log_synced_size);
    rt_write_le32(&w, (uint32_t)changes.size);
    assert(!rt_writer_failed(&w));
    uint32_t crc = rt_crc32c(0, RT_BYTES(header + 4, sizeof(header) - 4));
    struct rt_writer sum = rt_writer_over(header, 4);
    rt_write_le32(&sum, rt_crc32c(crc, changes));
    struct rt_bytes parts[] = {RT_BYTES(header, sizeof(header)), changes};
    rt_err err = sim_disk_write(store->log, store->log_size, parts, 2);
    if (err) return err;
    store->log_size += sizeof(header) + changes.size;
    if (!durable) return RT_OK;
    err = sim_disk_sync(store->log);
    if (!err) store->log_synced_size = store->log_size;
    return err;
}

// REPLAY

struct record {
    uint64_t sequence, synced_size;
    struct rt_bytes changes;
    size_t size;  // of the whole record
};

static bool record_read(const struct rt_buf *content, size_t offset, struct record *record) {
    struct rt_bytes rest = rt_bytes_skip(rt_buf_bytes(content), offset);
    struct rt_reader r = rt_reader_over(rest);
    uint32_t crc = rt_read_le32(&r);
    if (rt_read_le32(&r) != RECORD_MAGIC) return false;
    record->sequence = rt_read_le64(&r);
    record->synced_size = rt_read_le64(&r);
    uint32_t size = rt_read_le32(&r);
    record->changes = rt_read_bytes(&r, size);
    if (rt_reader_failed(&r)) return false;
    record->size = RECORD_HEADER_SIZE + record->changes.size;
    return crc == rt_crc32c(0, RT_BYTES(rest.data + 4, record->size - 4));
}

static bool is_corrupt_at(const struct rt_buf *content, size_t offset, uint64_t sequence) {
    struct record later;
    for (size_t at = offset + 1; at < content->size; at++) {
        if (!record_read(content, at, &later)) continue;
        if (later.sequence > sequence && later.synced_size > offset) return true;
    }
    return false;
}

static rt_err records_apply(struct sim_kv_store *store, const struct rt_buf *content,
                            size_t *offset, const struct sim_kv_columns *columns) {
    struct record record;
    while (*offset < content->size) {
        uint64_t sequence = store->sequence + 1;
        if (!record_read(content, *offset, &record)) {
            return is_corrupt_at(content, *offset, sequence) ? RT_ECORRUPT : RT_OK;
        }
        if (record.sequence != sequence) return RT_OK;
        rt_err err = sim_kv_apply(store, record.changes, sequence, columns->at, columns->count);
        if (err) return err;
        store->sequence = sequence;
        *offset += record.size;
    }
    return RT_OK;
}

static rt_err log_decode(struct sim_kv_store *store, const struct rt_buf *content, bool *clean) {
    struct rt_reader outer = rt_reader_over(rt_buf_bytes(content));
    uint32_t crc = rt_read_le32(&outer), size = rt_read_le32(&outer);
    struct rt_bytes rest = rt_read_bytes(&outer, size);
    if (rt_reader_failed(&outer) || crc != rt_crc32c(0, rest)) return RT_ECORRUPT;
    struct rt_reader r = rt_reader_over(rest);
    struct sim_kv_columns columns;
    if (rt_read_le64(&r) != store->sequence) return RT_ECORRUPT;
    rt_err err = sim_kv_columns_read(store, &r, &columns);
    if (err) return err;
    size_t offset = LOG_HEADER_SIZE + rest.size;
    *clean = content->size == offset;
    store->log_size = store->log_synced_size = offset;
    err = records_apply(store, content, &offset, &columns);
    if (err || offset == content->size) return err;
    sim_trace(store->node->sim, SIM_KV_LOSS, store->node, store->sequence, offset, content->size);
    return RT_OK;
}

rt_err sim_kv_log_replay(struct sim_kv_store *store, bool *clean) {
    char name[32];
    struct sim_inode *inode;
    sim_kv_file_name(name, store->image_number, "log");
    rt_err err = sim_kv_file_find(store->dir, name, &inode);
    if (err) return RT_ECORRUPT;  // CURRENT named it
    sim_inode_hold(inode);
    store->log = inode;
    struct rt_buf content = {0};
    err = sim_kv_file_read(inode, &content);
    if (!err) err = log_decode(store, &content, clean);
    rt_buf_fini(&content);
    return err;
}
