#include "meta/server/log/segment_reader.h"

#include "runtime/crc32c.h"

enum { WINDOW_SIZE = 256 << 10 };

void meta_segment_reader_init(struct meta_segment_reader *reader, struct rt_file *file,
                              uint32_t seed, uint64_t from) {
    *reader = (struct meta_segment_reader){
        .file = file,
        .seed = seed,
        .at = from ? from : META_SEGMENT_PAGE,
        .limit = UINT64_MAX,
    };
}

void meta_segment_reader_fini(struct meta_segment_reader *reader) {
    rt_buf_fini(&reader->window);
}

void meta_segment_reader_follow(struct meta_segment_reader *reader, struct raft_position last,
                                uint64_t chain) {
    reader->follows = true;
    reader->last = last;
    reader->chain = chain;
}

bool meta_segment_reader_in_batch(const struct meta_segment_reader *reader) {
    return reader->at < reader->batch_end;
}

static bool window_has(const struct meta_segment_reader *reader, uint64_t at, size_t size) {
    if (at < reader->window_at) return false;
    uint64_t skip = at - reader->window_at;
    return skip <= reader->window.size && reader->window.size - skip >= size;
}

// Less than `size` bytes: the file ends.
static rt_err fetch(struct meta_segment_reader *reader, uint64_t at, size_t size,
                    struct rt_bytes *bytes) {
    *bytes = RT_BYTES(NULL, 0);
    if (at >= reader->limit || reader->limit - at < size) return RT_OK;
    if (!window_has(reader, at, size)) {
        size_t want = size > WINDOW_SIZE ? size : WINDOW_SIZE;
        if (want > reader->limit - at) want = (size_t)(reader->limit - at);
        rt_buf_clear(&reader->window);
        rt_buf_reserve(&reader->window, want);
        reader->window_at = at;
        rt_err err =
            rt_file_read_now(reader->file, at, reader->window.data, want, &reader->window.size);
        if (err) return err;
        if (!window_has(reader, at, size)) return RT_OK;
    }
    *bytes = RT_BYTES(reader->window.data + (at - reader->window_at), size);
    return RT_OK;
}

static bool batch_fits(const struct meta_segment_reader *reader,
                       const struct meta_batch_header *batch) {
    if (!reader->follows) return true;
    return batch->first == reader->last.index + 1 && batch->chain == reader->chain;
}

static rt_err batch_enter(struct meta_segment_reader *reader) {
    struct rt_bytes bytes;
    struct meta_batch_header batch;
    uint64_t at = meta_segment_page_up(reader->at);
    rt_err err = fetch(reader, at, META_BATCH_HEADER_SIZE, &bytes);
    if (err) return err;
    if (meta_batch_header_decode(bytes, reader->seed, &batch)) return RT_ENOTFOUND;
    if (!batch_fits(reader, &batch)) return RT_ENOTFOUND;
    if (!reader->follows) {
        struct raft_position before = {.index = batch.first - 1};
        meta_segment_reader_follow(reader, before, batch.chain);
    }
    reader->batch = batch;
    reader->batch_before = reader->last;
    reader->batch_at = at;
    reader->batch_end = at + batch.size;
    reader->at = at + META_BATCH_HEADER_SIZE;
    return RT_OK;
}

static bool record_fits(const struct meta_segment_reader *reader,
                        const struct meta_record_header *header) {
    uint64_t room = reader->batch_end - reader->at - META_RECORD_HEADER_SIZE;
    return header->at.index == reader->last.index + 1 && header->at.term >= reader->last.term &&
           header->chain_before == reader->chain && header->body_size <= room;
}

rt_err meta_segment_reader_next(struct meta_segment_reader *reader, struct raft_entry *entry) {
    if (!meta_segment_reader_in_batch(reader)) {
        rt_err err = batch_enter(reader);
        if (err) return err;
    }
    struct rt_bytes bytes;
    struct meta_record_header header;
    if (reader->batch_end - reader->at < META_RECORD_HEADER_SIZE) return RT_ENOTFOUND;
    rt_err err = fetch(reader, reader->at, META_RECORD_HEADER_SIZE, &bytes);
    if (err) return err;
    if (meta_record_header_decode(bytes, reader->seed, &header)) return RT_ENOTFOUND;
    if (!record_fits(reader, &header)) return RT_ENOTFOUND;
    err = fetch(reader, reader->at + META_RECORD_HEADER_SIZE, header.body_size, &bytes);
    if (err) return err;
    if (bytes.size != header.body_size) return RT_ENOTFOUND;
    if (rt_crc32c(0, bytes) != header.body_crc) return RT_ENOTFOUND;
    *entry = (struct raft_entry){.at = header.at, .kind = header.kind, .data = bytes};
    reader->last = header.at;
    reader->chain = header.chain;
    reader->at += META_RECORD_HEADER_SIZE + header.body_size;
    return RT_OK;
}

rt_err meta_segment_reader_scan(struct meta_segment_reader *reader,
                                struct meta_batch_header *header) {
    for (;;) {
        struct rt_bytes bytes;
        uint64_t at = meta_segment_page_up(reader->at);
        rt_err err = fetch(reader, at, META_BATCH_HEADER_SIZE, &bytes);
        if (err) return err;
        if (bytes.size == 0) return RT_ENOTFOUND;
        reader->at = at + META_BATCH_HEADER_SIZE;
        if (meta_batch_header_decode(bytes, reader->seed, header) == RT_OK) return RT_OK;
    }
}
