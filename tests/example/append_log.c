#include "tests/example/append_log.h"

#include <assert.h>
#include <stdio.h>

#include "runtime/crc32c.h"
#include "runtime/log.h"

// INDEX, in the store's default column
//   'e' id (be64)  -> offset of the record (be64)
//   'h'            -> head: last indexed id (be64), offset behind its record (be64)
// Index batches are lazy: what a crash takes from the index, replay puts back from the file.
enum { INDEX_KEY_SIZE = 9, PATH_SIZE = 256 };
static const struct rt_kv_column columns[] = {{.name = "default"}};

struct index_key {
    uint8_t bytes[INDEX_KEY_SIZE];
};

static struct rt_bytes entry_key(struct index_key *key, uint64_t id) {
    struct rt_writer w = rt_writer_over(key->bytes, sizeof(key->bytes));
    rt_write_u8(&w, 'e');
    rt_write_be64(&w, id);
    return RT_BYTES(key->bytes, sizeof(key->bytes));
}

static void index_put_entry(struct rt_kv_batch *batch, uint64_t id, uint64_t offset) {
    struct index_key key;
    uint8_t value[8];
    struct rt_writer w = rt_writer_over(value, sizeof(value));
    rt_write_be64(&w, offset);
    rt_kv_put(batch, 0, entry_key(&key, id), RT_BYTES(value, sizeof(value)));
}

static void index_put_head(struct rt_kv_batch *batch, uint64_t id, uint64_t end_offset) {
    uint8_t value[16];
    struct rt_writer w = rt_writer_over(value, sizeof(value));
    rt_write_be64(&w, id);
    rt_write_be64(&w, end_offset);
    rt_kv_put(batch, 0, RT_BYTES_LITERAL("h"), RT_BYTES(value, sizeof(value)));
}

static rt_err index_head_now(struct append_log *log, uint64_t *id, uint64_t *end_offset) {
    struct rt_buf value = {0};
    *id = 0;
    *end_offset = 0;
    rt_err err = rt_kv_get_now(log->kv, NULL, 0, RT_BYTES_LITERAL("h"), &value);
    if (!err) {
        struct rt_reader r = rt_reader_over(rt_buf_bytes(&value));
        *id = rt_read_be64(&r);
        *end_offset = rt_read_be64(&r);
        if (!rt_reader_done(&r)) err = RT_ECORRUPT;
    }
    rt_buf_fini(&value);
    return err == RT_ENOTFOUND ? RT_OK : err;
}

static rt_err index_offset_now(struct append_log *log, uint64_t id, uint64_t *offset) {
    struct index_key key;
    struct rt_buf value = {0};
    rt_err err = rt_kv_get_now(log->kv, NULL, 0, entry_key(&key, id), &value);
    if (!err) {
        struct rt_reader r = rt_reader_over(rt_buf_bytes(&value));
        *offset = rt_read_be64(&r);
        if (!rt_reader_done(&r)) err = RT_ECORRUPT;
    }
    rt_buf_fini(&value);
    return err;
}

// RECORDS

static void record_encode(struct rt_buf *buf, uint64_t id, struct rt_bytes body) {
    assert(body.size <= APPEND_BODY_MAX);
    uint8_t id_bytes[8];
    struct rt_writer id_writer = rt_writer_over(id_bytes, sizeof(id_bytes));
    rt_write_be64(&id_writer, id);
    uint32_t crc = rt_crc32c(rt_crc32c(0, RT_BYTES(id_bytes, sizeof(id_bytes))), body);
    struct rt_writer w = rt_writer_into(buf);
    rt_write_be32(&w, (uint32_t)body.size);
    rt_write_be32(&w, crc);
    rt_write_be64(&w, id);
    rt_write_bytes(&w, body);
}

rt_err append_record_decode(struct rt_reader *r, struct append_record *record) {
    uint32_t body_size = rt_read_be32(r);
    uint32_t crc = rt_read_be32(r);
    if (body_size > APPEND_BODY_MAX) rt_reader_fail(r);
    struct rt_bytes covered = rt_read_bytes(r, sizeof(uint64_t) + (size_t)body_size);
    if (rt_reader_failed(r)) return RT_ECORRUPT;
    if (rt_crc32c(0, covered) != crc) rt_reader_fail(r);
    struct rt_reader inner = rt_reader_over(covered);
    record->id = rt_read_be64(&inner);
    record->body = rt_read_rest(&inner);
    return rt_reader_failed(r) ? RT_ECORRUPT : RT_OK;
}

// OPENING

static rt_err read_whole_now(struct append_log *log, uint64_t from, struct rt_buf *content) {
    uint64_t size;
    rt_err err = rt_file_size_now(log->file, &size);
    if (err) return err;
    if (size <= from) return RT_OK;
    rt_buf_reserve(content, size - from);
    return rt_file_read_now(log->file, from, content->data, size - from, &content->size);
}

// Indexes every valid record behind the index's head and cuts the torn rest off.
static rt_err replay_now(struct append_log *log) {
    uint64_t head_id, head_offset;
    struct rt_buf content = {0};
    rt_err err = index_head_now(log, &head_id, &head_offset);
    if (!err) err = read_whole_now(log, head_offset, &content);
    if (err) goto free_content;
    struct rt_reader r = rt_reader_over(rt_buf_bytes(&content));
    struct append_record record;
    while (!append_record_decode(&r, &record) && record.id == head_id + 1) {
        index_put_entry(log->writing_index, record.id, head_offset);
        head_id = record.id;
        head_offset += APPEND_RECORD_HEADER + record.body.size;
    }
    index_put_head(log->writing_index, head_id, head_offset);
    err = rt_file_truncate_now(log->file, head_offset);
    if (!err) err = rt_file_sync_now(log->file);
    if (!err) err = rt_kv_write_now(log->kv, log->writing_index, RT_KV_DURABLE);
    rt_kv_batch_clear(log->writing_index);
    rt_file_append_at(log->file, head_offset);
    log->last_id = log->durable_id = head_id;
    log->end_offset = head_offset;

free_content:
    rt_buf_fini(&content);
    return err;
}

static void gathered(struct rt_flush *flush);

rt_err append_log_open_now(struct append_log *log, struct rt_loop *loop, const char *directory,
                           struct rt_why *why) {
    struct rt_machine *machine = rt_loop_machine(loop);
    char path[PATH_SIZE];
    log->loop = loop;
    rt_flush_init(&log->flush, gathered, "append_log.gathered");
    rt_err err = rt_dir_create_now(machine, directory, why);
    if (err) return err;
    snprintf(path, sizeof(path), "%s/entries", directory);
    err = rt_file_open_now(machine, path,
                           RT_FILE_READ | RT_FILE_WRITE | RT_FILE_CREATE | RT_FILE_EXISTING |
                               RT_FILE_OWN_THREAD,
                           &log->file, why);
    if (err) return err;
    err = rt_dir_sync_now(machine, directory);
    if (err) goto close_file;
    snprintf(path, sizeof(path), "%s/index", directory);
    struct rt_kv_options options = {
        .columns = columns, .column_count = 1, .cache_bytes = 1 << 20, .create_if_missing = true};
    err = rt_kv_open_now(machine, path, &options, &log->kv, why);
    if (err) goto close_file;
    log->gathering_index = rt_kv_batch_new(log->kv);
    log->writing_index = rt_kv_batch_new(log->kv);
    err = replay_now(log);
    if (err) goto close_kv;
    return RT_OK;

close_kv:
    rt_kv_batch_free(log->gathering_index);
    rt_kv_batch_free(log->writing_index);
    rt_kv_close_now(log->kv);
close_file:
    rt_file_close_now(log->file);
    return rt_why_prefix(why, err, "opening the log in %s", directory);
}

// APPENDING: what arrives while a batch is being written and synced is the next batch.

uint64_t append_log_append(struct append_log *log, struct rt_bytes body) {
    assert(!log->closing && !log->rewinding);
    uint64_t id = ++log->last_id;
    record_encode(&log->gathering, id, body);
    index_put_entry(log->gathering_index, id, log->end_offset);
    log->end_offset += APPEND_RECORD_HEADER + body.size;
    index_put_head(log->gathering_index, id, log->end_offset);
    rt_flush_later(log->loop, &log->flush);
    return id;
}

static void batch_start(struct append_log *log);
static void quiet(struct append_log *log);

static void batch_ended(struct append_log *log, rt_err err) {
    log->busy = false;
    if (err) log->failed = err;
    if (!err) log->durable_id = log->written_id;
    log->on_durable(log, err);
    if (log->rewinding || log->closing) {
        quiet(log);
    } else if (!log->failed) {
        batch_start(log);
    }
}

static void batch_indexed(struct rt_kv_op *op, rt_err err) {
    struct append_log *log = rt_container_of(op, struct append_log, kv_op);
    rt_kv_batch_clear(log->writing_index);
    batch_ended(log, err);
}

static void batch_written(struct rt_file_op *op, rt_err err) {
    struct append_log *log = rt_container_of(op, struct append_log, file_op);
    rt_buf_clear(&log->writing);
    if (err) {
        batch_indexed(&log->kv_op, err);
        return;
    }
    rt_kv_write(&log->kv_op, log->loop, log->kv, log->writing_index, RT_KV_LAZY, batch_indexed);
}

static void batch_start(struct append_log *log) {
    if (log->busy || log->gathering.size == 0) return;
    struct rt_buf records = log->writing;
    struct rt_kv_batch *index = log->writing_index;
    log->writing = log->gathering;
    log->gathering = records;
    log->writing_index = log->gathering_index;
    log->gathering_index = index;
    log->written_id = log->last_id;
    log->busy = true;
    log->writing_bytes = rt_buf_bytes(&log->writing);
    rt_file_append(&log->file_op, log->file, &log->writing_bytes, 1, !log->ack_before_sync,
                   batch_written);
}

static void gathered(struct rt_flush *flush) {
    struct append_log *log = rt_container_of(flush, struct append_log, flush);
    if (!log->failed && !log->rewinding && !log->closing) batch_start(log);
}

// REWINDING AND CLOSING: both wait for the batch in flight, then block on a worker.

static void rewind_run(struct rt_work *work) {
    struct append_log *log = rt_container_of(work, struct append_log, work);
    struct index_key first, end;
    uint64_t offset;
    rt_err err = index_offset_now(log, log->rewind_to + 1, &offset);
    if (err) goto done;
    // The index goes first: if we stop in between, replay finds the records again and so does the
    // next rewind. The other way round the index would point behind the end of the file.
    rt_kv_delete_range(log->writing_index, 0, entry_key(&first, log->rewind_to + 1),
                       entry_key(&end, UINT64_MAX));
    index_put_head(log->writing_index, log->rewind_to, offset);
    err = rt_kv_write_now(log->kv, log->writing_index, RT_KV_DURABLE);
    rt_kv_batch_clear(log->writing_index);
    if (!err) err = rt_file_truncate_now(log->file, offset);
    if (!err) err = rt_file_sync_now(log->file);
    if (err) goto done;
    rt_file_append_at(log->file, offset);
    log->end_offset = offset;
    log->last_id = log->durable_id = log->rewind_to;

done:
    log->failed = err;
}

static void rewind_done(struct rt_work *work) {
    struct append_log *log = rt_container_of(work, struct append_log, work);
    log->rewinding = log->busy = false;
    log->on_rewound(log, log->failed);
    if (log->closing) quiet(log);
}

static void close_run(struct rt_work *work) {
    struct append_log *log = rt_container_of(work, struct append_log, work);
    rt_kv_batch_free(log->gathering_index);
    rt_kv_batch_free(log->writing_index);
    rt_kv_close_now(log->kv);
    rt_file_close_now(log->file);
}

static void close_done(struct rt_work *work) {
    struct append_log *log = rt_container_of(work, struct append_log, work);
    rt_buf_fini(&log->gathering);
    rt_buf_fini(&log->writing);
    rt_flush_forget(log->loop, &log->flush);
    log->on_closed(log);
}

// Nothing is being written: what waited for that may go on.
static void quiet(struct append_log *log) {
    rt_buf_clear(&log->gathering);
    rt_kv_batch_clear(log->gathering_index);
    log->busy = true;
    if (log->closing) {
        rt_work_submit(&log->work, log->loop, close_run, close_done, "append_log.close");
    } else {
        rt_work_submit(&log->work, log->loop, rewind_run, rewind_done, "append_log.rewind");
    }
}

void append_log_rewind(struct append_log *log, uint64_t id) {
    assert(!log->closing && !log->rewinding && id < log->last_id);
    log->rewinding = true;
    log->rewind_to = id;
    if (!log->busy) quiet(log);
}

void append_log_close(struct append_log *log) {
    assert(!log->closing);
    log->closing = true;
    if (!log->busy) quiet(log);
}

// READING

static rt_err read_record_now(struct append_log *log, uint64_t id, struct rt_buf *record) {
    uint64_t offset;
    rt_err err = index_offset_now(log, id, &offset);
    if (err) return err;
    uint8_t header[4];
    size_t got;
    err = rt_file_read_now(log->file, offset, header, sizeof(header), &got);
    if (err) return err;
    struct rt_reader r = rt_reader_over(RT_BYTES(header, got));
    size_t size = APPEND_RECORD_HEADER + (size_t)rt_read_be32(&r);
    if (rt_reader_failed(&r) || size > APPEND_RECORD_HEADER + APPEND_BODY_MAX) return RT_ECORRUPT;
    rt_buf_reserve(record, size);
    err = rt_file_read_now(log->file, offset, record->data + record->size, size, &got);
    if (!err) record->size += got;
    return err;
}

rt_err append_log_read_now(struct append_log *log, uint64_t id, struct rt_buf *body) {
    struct rt_buf raw = {0};
    rt_err err = read_record_now(log, id, &raw);
    if (!err) {
        struct append_record record;
        struct rt_reader r = rt_reader_over(rt_buf_bytes(&raw));
        err = append_record_decode(&r, &record);
        if (!err && record.id != id) err = RT_ECORRUPT;
        if (!err) rt_buf_append(body, record.body);
    }
    rt_buf_fini(&raw);
    return err;
}

rt_err append_log_copy_now(struct append_log *log, uint64_t first, uint64_t last,
                           struct rt_buf *records, uint64_t *copied_to) {
    *copied_to = first - 1;
    for (uint64_t id = first; id <= last && records->size < APPEND_COPY_MAX; id++) {
        rt_err err = read_record_now(log, id, records);
        if (err) return err;
        *copied_to = id;
    }
    return RT_OK;
}
