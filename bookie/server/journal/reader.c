#include "bookie/server/journal/reader.h"

#include <string.h>

enum { WINDOW_SIZE = 256 << 10 };

rt_err bookie_journal_reader_open_now(struct journal_reader *reader,
                                      const struct bookie_journal *journal,
                                      const struct journal_segment *segment, struct rt_why *why) {
    *reader = (struct journal_reader){.segment = segment};
    return rt_file_open_now(journal->machine, segment->path, RT_FILE_READ, &reader->file, why);
}

void bookie_journal_reader_close_now(struct journal_reader *reader) {
    rt_file_close_now(reader->file);
    rt_free(reader->window);
}

static void window_reserve(struct journal_reader *reader, size_t size) {
    if (reader->capacity >= size) return;
    rt_free(reader->window);
    reader->capacity = (size_t)bookie_journal_page_up(size);
    if (reader->capacity < WINDOW_SIZE) reader->capacity = WINDOW_SIZE;
    reader->window = rt_alloc_aligned(RT_FILE_ALIGN, reader->capacity);
    reader->size = 0;
}

// Brings `size` bytes from `offset` on into the window; RT_ENOTFOUND: the file ends before.
static rt_err window_fill_now(struct journal_reader *reader, uint64_t offset, size_t size) {
    bool is_there = reader->size >= size && offset >= reader->base &&
                    offset - reader->base <= reader->size - size;
    if (is_there) return RT_OK;
    window_reserve(reader, size);
    reader->base = offset;
    reader->size = 0;
    rt_err err =
        rt_file_read_now(reader->file, offset, reader->window, reader->capacity, &reader->size);
    if (err) return err;
    return reader->size >= size ? RT_OK : RT_ENOTFOUND;
}

rt_err bookie_journal_reader_header_now(struct journal_reader *reader, uint64_t offset) {
    assert(offset % JOURNAL_PAGE == 0);
    const struct journal_segment *segment = reader->segment;
    rt_err err = window_fill_now(reader, offset, JOURNAL_BATCH_HEADER_SIZE);
    if (err) return err;
    reader->bytes = reader->window + (offset - reader->base);
    struct rt_bytes bytes = RT_BYTES(reader->bytes, JOURNAL_BATCH_HEADER_SIZE);
    struct bookie_mark at = {segment->header.number, offset};
    return bookie_journal_batch_decode(bytes, segment->seed, at, &reader->batch) ? RT_ENOTFOUND
                                                                                 : RT_OK;
}

rt_err bookie_journal_reader_batch_now(struct journal_reader *reader, uint64_t offset) {
    rt_err err = bookie_journal_reader_header_now(reader, offset);
    if (!err) err = window_fill_now(reader, offset, reader->batch.size);
    if (err) return err;
    reader->bytes = reader->window + (offset - reader->base);
    struct rt_bytes bytes = RT_BYTES(reader->bytes, reader->batch.size);
    return bookie_journal_batch_check(bytes, &reader->batch) ? RT_ENOTFOUND : RT_OK;
}

rt_err bookie_journal_reader_seek_now(struct journal_reader *reader, uint64_t from,
                                      uint64_t *offset) {
    uint64_t at = JOURNAL_PAGE;
    bool is_end = true;  // of a batch, or of the header page
    while (at < from && at < reader->segment->size) {
        rt_err err = bookie_journal_reader_header_now(reader, at);
        if (err && err != RT_ENOTFOUND) return err;
        uint64_t end = at + (err ? JOURNAL_PAGE : bookie_journal_page_up(reader->batch.size));
        is_end = !err;
        if (is_end && end > from) break;
        at = end;
    }
    *offset = at;
    if (is_end && at <= from && (at == from || at < reader->segment->size)) return RT_OK;
    return at == from ? bookie_journal_reader_header_now(reader, at) : RT_ENOTFOUND;
}

bool bookie_journal_reader_is_between(const struct journal_reader *reader, uint64_t offset,
                                      uint64_t place) {
    struct rt_reader r = rt_reader_over(RT_BYTES(reader->bytes, reader->batch.size));
    rt_read_bytes(&r, JOURNAL_BATCH_HEADER_SIZE);
    while (!rt_reader_done(&r)) {
        if (offset + reader->batch.size - rt_reader_left(&r) == place) return true;
        rt_read_bytes(&r, rt_read_be32(&r));
        assert(!rt_reader_failed(&r));
    }
    return offset + reader->batch.size == place;
}
