#include "bookie/server/journal/format.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "runtime/crc32c.h"

enum {
    SEGMENT_MAGIC = 0x476d4a73,
    BATCH_MAGIC = 0x476d4a62,
    VERSION = 1,
    HEX_DIGITS = 16,
    CHECKSUM_SIZE = 4
};

static const char *const endings[] = {
    [JOURNAL_NAME_SEGMENT] = ".journal",
    [JOURNAL_NAME_SPARE] = ".spare",
    [JOURNAL_NAME_NEW] = ".new",
};

// MARKS

int bookie_mark_compare(struct bookie_mark a, struct bookie_mark b) {
    if (a.segment != b.segment) return a.segment < b.segment ? -1 : 1;
    return (a.offset > b.offset) - (a.offset < b.offset);
}

static void write_mark(struct rt_writer *w, struct bookie_mark mark) {
    rt_write_be64(w, mark.segment);
    rt_write_be64(w, mark.offset);
}

static struct bookie_mark read_mark(struct rt_reader *r) {
    struct bookie_mark mark;
    mark.segment = rt_read_be64(r);
    mark.offset = rt_read_be64(r);
    return mark;
}

// NAMES

void bookie_journal_name(enum journal_name kind, uint64_t number,
                         char name[static JOURNAL_NAME_SIZE]) {
    snprintf(name, JOURNAL_NAME_SIZE, "%016llx%s", (unsigned long long)number, endings[kind]);
}

static bool hex_parse(const char *text, uint64_t *value) {
    *value = 0;
    for (unsigned i = 0; i < HEX_DIGITS; i++) {
        char c = text[i];
        bool is_digit = c >= '0' && c <= '9', is_letter = c >= 'a' && c <= 'f';
        if (!is_digit && !is_letter) return false;
        *value = *value << 4 | (uint64_t)(is_digit ? c - '0' : c - 'a' + 10);
    }
    return true;
}

enum journal_name bookie_journal_name_parse(const char *name, uint64_t *number) {
    if (!hex_parse(name, number) || *number == 0) return JOURNAL_NAME_OTHER;
    for (unsigned kind = JOURNAL_NAME_SEGMENT; kind <= JOURNAL_NAME_NEW; kind++) {
        if (strcmp(name + HEX_DIGITS, endings[kind]) == 0) return (enum journal_name)kind;
    }
    return JOURNAL_NAME_OTHER;
}

// SHARED

uint64_t bookie_journal_page_up(uint64_t offset) {
    return (offset + JOURNAL_PAGE - 1) / JOURNAL_PAGE * JOURNAL_PAGE;
}

uint32_t bookie_journal_seed(const struct journal_header *header) {
    uint8_t bytes[3 * sizeof(uint64_t)];
    struct rt_writer w = rt_writer_over(bytes, sizeof(bytes));
    rt_write_be64(&w, header->owner);
    rt_write_be64(&w, header->number);
    rt_write_be64(&w, header->salt);
    return rt_crc32c(0, RT_BYTES(bytes, sizeof(bytes)));
}

// HEADERS

void bookie_journal_header_encode(const struct journal_header *header, uint8_t *out) {
    struct rt_writer w = rt_writer_over(out, JOURNAL_SEGMENT_HEADER_SIZE);
    rt_write_be32(&w, SEGMENT_MAGIC);
    rt_write_be32(&w, VERSION);
    rt_write_be64(&w, header->owner);
    rt_write_be64(&w, header->number);
    rt_write_be64(&w, header->salt);
    write_mark(&w, header->follows);
    rt_write_be32(&w, rt_crc32c(0, RT_BYTES(out, JOURNAL_SEGMENT_HEADER_SIZE - CHECKSUM_SIZE)));
    assert(!rt_writer_failed(&w) && w.at == w.end);
}

rt_err bookie_journal_header_decode(struct rt_bytes bytes, struct journal_header *header) {
    if (bytes.size < JOURNAL_SEGMENT_HEADER_SIZE) return RT_ECORRUPT;
    uint32_t crc = rt_crc32c(0, RT_BYTES(bytes.data, JOURNAL_SEGMENT_HEADER_SIZE - CHECKSUM_SIZE));
    struct rt_reader r = rt_reader_over(RT_BYTES(bytes.data, JOURNAL_SEGMENT_HEADER_SIZE));
    if (rt_read_be32(&r) != SEGMENT_MAGIC) rt_reader_fail(&r);
    if (rt_read_be32(&r) != VERSION) rt_reader_fail(&r);
    header->owner = rt_read_be64(&r);
    header->number = rt_read_be64(&r);
    header->salt = rt_read_be64(&r);
    header->follows = read_mark(&r);
    if (rt_read_be32(&r) != crc) rt_reader_fail(&r);
    if (header->follows.segment >= header->number) rt_reader_fail(&r);
    if (header->follows.offset % JOURNAL_PAGE != 0) rt_reader_fail(&r);
    return rt_reader_failed(&r) ? RT_ECORRUPT : RT_OK;
}

// BATCHES

void bookie_journal_batch_encode(const struct journal_batch_header *header, uint32_t seed,
                                 uint8_t *out) {
    struct rt_writer w = rt_writer_over(out, JOURNAL_BATCH_HEADER_SIZE);
    rt_write_be32(&w, BATCH_MAGIC);
    rt_write_be32(&w, 0);
    rt_write_be32(&w, header->body_crc);
    rt_write_be32(&w, header->size);
    rt_write_be32(&w, header->count);
    rt_write_be32(&w, 0);
    write_mark(&w, header->at);
    write_mark(&w, header->before);
    write_mark(&w, header->durable);
    assert(!rt_writer_failed(&w) && w.at == w.end);
    struct rt_writer crc = rt_writer_over(out + 4, CHECKSUM_SIZE);
    rt_write_be32(&crc, rt_crc32c(seed, RT_BYTES(out + 8, JOURNAL_BATCH_HEADER_SIZE - 8)));
}

// Of a batch, of a header page, or of nothing.
static bool mark_is_end(struct bookie_mark mark) {
    return mark.segment ? mark.offset >= JOURNAL_PAGE && mark.offset % JOURNAL_PAGE == 0
                        : mark.offset == 0;
}

rt_err bookie_journal_batch_decode(struct rt_bytes bytes, uint32_t seed, struct bookie_mark at,
                                   struct journal_batch_header *header) {
    if (bytes.size < JOURNAL_BATCH_HEADER_SIZE) return RT_ECORRUPT;
    struct rt_reader r = rt_reader_over(RT_BYTES(bytes.data, JOURNAL_BATCH_HEADER_SIZE));
    if (rt_read_be32(&r) != BATCH_MAGIC) return RT_ECORRUPT;
    uint32_t crc = rt_read_be32(&r);
    if (rt_crc32c(seed, RT_BYTES(bytes.data + 8, JOURNAL_BATCH_HEADER_SIZE - 8)) != crc)
        return RT_ECORRUPT;
    header->body_crc = rt_read_be32(&r);
    header->size = rt_read_be32(&r);
    header->count = rt_read_be32(&r);
    if (rt_read_be32(&r) != 0) rt_reader_fail(&r);
    header->at = read_mark(&r);
    header->before = read_mark(&r);
    header->durable = read_mark(&r);
    if (bookie_mark_compare(header->at, at) != 0) rt_reader_fail(&r);
    if (bookie_mark_compare(header->durable, header->before) > 0) rt_reader_fail(&r);
    if (bookie_mark_compare(header->before, at) > 0) rt_reader_fail(&r);
    if (!mark_is_end(header->before) || !mark_is_end(header->durable)) rt_reader_fail(&r);
    if (header->size < JOURNAL_BATCH_HEADER_SIZE) rt_reader_fail(&r);
    if (header->size > JOURNAL_BATCH_MAX) rt_reader_fail(&r);
    return rt_reader_failed(&r) ? RT_ECORRUPT : RT_OK;
}

rt_err bookie_journal_batch_check(struct rt_bytes batch,
                                  const struct journal_batch_header *header) {
    if (batch.size != header->size) return RT_ECORRUPT;
    struct rt_bytes body = rt_bytes_skip(batch, JOURNAL_BATCH_HEADER_SIZE);
    if (rt_crc32c(0, body) != header->body_crc) return RT_ECORRUPT;
    struct rt_reader r = rt_reader_over(body);
    uint32_t count = 0;
    while (!rt_reader_failed(&r) && !rt_reader_done(&r)) {
        uint32_t size = rt_read_be32(&r);
        if (size > JOURNAL_RECORD_MAX) rt_reader_fail(&r);
        rt_read_bytes(&r, size);
        count++;
    }
    return rt_reader_failed(&r) || count != header->count ? RT_ECORRUPT : RT_OK;
}
