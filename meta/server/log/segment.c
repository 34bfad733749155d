#include "meta/server/log/segment.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "runtime/crc32c.h"

enum {
    SEGMENT_MAGIC = 0x476d4c73,
    BATCH_MAGIC = 0x476d4c62,
    VERSION = 1,
    HEX_DIGITS = 16,
    CHECKSUM_SIZE = 4
};

static const char ending[] = ".log";

// NAMES

void meta_segment_name(const struct meta_segment_id *id, char name[static META_SEGMENT_NAME_SIZE]) {
    snprintf(name, META_SEGMENT_NAME_SIZE, "%016llx-%016llx%s", (unsigned long long)id->number,
             (unsigned long long)id->salt, ending);
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

bool meta_segment_name_parse(const char *name, uint64_t *number, uint64_t *salt) {
    if (strlen(name) != 2 * HEX_DIGITS + 1 + strlen(ending)) return false;
    if (!hex_parse(name, number) || name[HEX_DIGITS] != '-') return false;
    if (!hex_parse(name + HEX_DIGITS + 1, salt)) return false;
    return strcmp(name + 2 * HEX_DIGITS + 1, ending) == 0;
}

// SHARED

uint64_t meta_segment_page_up(uint64_t offset) {
    return (offset + META_SEGMENT_PAGE - 1) / META_SEGMENT_PAGE * META_SEGMENT_PAGE;
}

uint32_t meta_segment_seed(const struct meta_segment_id *id) {
    uint8_t bytes[32];
    struct rt_writer w = rt_writer_over(bytes, sizeof(bytes));
    rt_write_be64(&w, id->cluster);
    rt_write_be64(&w, id->node);
    rt_write_be64(&w, id->number);
    rt_write_be64(&w, id->salt);
    return rt_crc32c(0, RT_BYTES(bytes, sizeof(bytes)));
}

static void write_position(struct rt_writer *w, struct raft_position at) {
    rt_write_be64(w, at.index);
    rt_write_be64(w, at.term);
}

static struct raft_position read_position(struct rt_reader *r) {
    struct raft_position at;
    at.index = rt_read_be64(r);
    at.term = rt_read_be64(r);
    return at;
}

static void put_be32(uint8_t *out, uint32_t value) {
    struct rt_writer w = rt_writer_over(out, sizeof(value));
    rt_write_be32(&w, value);
}

// HEADERS

void meta_segment_header_encode(const struct meta_segment_header *header, uint8_t *out) {
    struct rt_writer w = rt_writer_over(out, META_SEGMENT_HEADER_SIZE);
    rt_write_be32(&w, SEGMENT_MAGIC);
    rt_write_be32(&w, VERSION);
    rt_write_be64(&w, header->id.cluster);
    rt_write_be64(&w, header->id.node);
    rt_write_be64(&w, header->id.number);
    rt_write_be64(&w, header->id.salt);
    write_position(&w, header->base);
    write_position(&w, header->claimed);
    rt_write_be64(&w, header->chain);
    rt_write_be32(&w, header->kind);
    rt_write_be32(&w, rt_crc32c(0, RT_BYTES(out, META_SEGMENT_HEADER_SIZE - CHECKSUM_SIZE)));
    assert(!rt_writer_failed(&w) && w.at == w.end);
}

rt_err meta_segment_header_decode(struct rt_bytes bytes, struct meta_segment_header *header) {
    if (bytes.size < META_SEGMENT_HEADER_SIZE) return RT_ECORRUPT;
    uint32_t crc = rt_crc32c(0, RT_BYTES(bytes.data, META_SEGMENT_HEADER_SIZE - CHECKSUM_SIZE));
    struct rt_reader r = rt_reader_over(RT_BYTES(bytes.data, META_SEGMENT_HEADER_SIZE));
    if (rt_read_be32(&r) != SEGMENT_MAGIC) rt_reader_fail(&r);
    if (rt_read_be32(&r) != VERSION) rt_reader_fail(&r);
    header->id.cluster = rt_read_be64(&r);
    header->id.node = rt_read_be64(&r);
    header->id.number = rt_read_be64(&r);
    header->id.salt = rt_read_be64(&r);
    header->base = read_position(&r);
    header->claimed = read_position(&r);
    header->chain = rt_read_be64(&r);
    uint32_t kind = rt_read_be32(&r);
    if (kind < META_SEGMENT_CONTINUES || kind > META_SEGMENT_RESETS) rt_reader_fail(&r);
    header->kind = (enum meta_segment_kind)kind;
    if (rt_read_be32(&r) != crc) rt_reader_fail(&r);
    return rt_reader_failed(&r) ? RT_ECORRUPT : RT_OK;
}

// BATCHES

void meta_batch_header_encode(const struct meta_batch_header *header, uint32_t seed, uint8_t *out) {
    struct rt_writer w = rt_writer_over(out, META_BATCH_HEADER_SIZE);
    rt_write_be32(&w, BATCH_MAGIC);
    rt_write_be32(&w, 0);
    rt_write_be32(&w, header->size);
    rt_write_be32(&w, header->count);
    rt_write_be64(&w, header->first);
    write_position(&w, header->durable);
    rt_write_be64(&w, header->chain);
    assert(!rt_writer_failed(&w) && w.at == w.end);
    put_be32(out + 4, rt_crc32c(seed, RT_BYTES(out + 8, META_BATCH_HEADER_SIZE - 8)));
}

rt_err meta_batch_header_decode(struct rt_bytes bytes, uint32_t seed,
                                struct meta_batch_header *header) {
    if (bytes.size < META_BATCH_HEADER_SIZE) return RT_ECORRUPT;
    struct rt_reader r = rt_reader_over(RT_BYTES(bytes.data, META_BATCH_HEADER_SIZE));
    if (rt_read_be32(&r) != BATCH_MAGIC) return RT_ECORRUPT;
    uint32_t crc = rt_read_be32(&r);
    header->size = rt_read_be32(&r);
    header->count = rt_read_be32(&r);
    header->first = rt_read_be64(&r);
    header->durable = read_position(&r);
    header->chain = rt_read_be64(&r);
    if (rt_crc32c(seed, RT_BYTES(bytes.data + 8, META_BATCH_HEADER_SIZE - 8)) != crc)
        rt_reader_fail(&r);
    if (header->size < META_BATCH_HEADER_SIZE + META_RECORD_HEADER_SIZE) rt_reader_fail(&r);
    if (header->count == 0 || header->first == 0) rt_reader_fail(&r);
    return rt_reader_failed(&r) ? RT_ECORRUPT : RT_OK;
}

// RECORDS

void meta_record_header_encode(struct meta_record_header *header, uint32_t seed, uint8_t *out) {
    assert(header->body_size <= META_RECORD_BODY_MAX);
    struct rt_writer w = rt_writer_over(out, META_RECORD_HEADER_SIZE);
    rt_write_be32(&w, 0);
    rt_write_be32(&w, header->body_crc);
    rt_write_be32(&w, header->body_size);
    rt_write_be32(&w, header->kind);
    write_position(&w, header->at);
    rt_write_be64(&w, header->chain_before);
    assert(!rt_writer_failed(&w) && w.at == w.end);
    uint32_t crc = rt_crc32c(seed, RT_BYTES(out + 4, META_RECORD_HEADER_SIZE - 4));
    put_be32(out, crc);
    header->chain = (uint64_t)crc << 32 | header->body_crc;
}

rt_err meta_record_header_decode(struct rt_bytes bytes, uint32_t seed,
                                 struct meta_record_header *header) {
    if (bytes.size < META_RECORD_HEADER_SIZE) return RT_ECORRUPT;
    struct rt_reader r = rt_reader_over(RT_BYTES(bytes.data, META_RECORD_HEADER_SIZE));
    uint32_t crc = rt_read_be32(&r);
    header->body_crc = rt_read_be32(&r);
    header->body_size = rt_read_be32(&r);
    uint32_t kind = rt_read_be32(&r);
    header->at = read_position(&r);
    header->chain_before = rt_read_be64(&r);
    header->kind = (enum raft_entry_kind)kind;
    header->chain = (uint64_t)crc << 32 | header->body_crc;
    if (rt_crc32c(seed, RT_BYTES(bytes.data + 4, META_RECORD_HEADER_SIZE - 4)) != crc)
        rt_reader_fail(&r);
    if (kind < RAFT_NOOP || kind > RAFT_CONFIG) rt_reader_fail(&r);
    if (header->body_size > META_RECORD_BODY_MAX) rt_reader_fail(&r);
    return rt_reader_failed(&r) ? RT_ECORRUPT : RT_OK;
}
