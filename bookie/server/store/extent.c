#include "bookie/server/store/extent.h"

#include <assert.h>
#include <lz4.h>
#include <string.h>

#include "runtime/crc32c.h"

enum {
    MAGIC = 0x476d4578,
    VERSION = 1,
    FLAG_GAPS = 1,
    FLAG_LZ4 = 2,
    CRC_FROM = 8,
    ID_SIZE = 4,
    END_SIZE = 4
};
static_assert(BOOKIE_BODY_MAX + ID_SIZE + END_SIZE <= BOOKIE_EXTENT_PLAIN_MAX,
              "an extent has room for any entry");
static_assert(BOOKIE_EXTENT_PLAIN_MAX <= LZ4_MAX_INPUT_SIZE, "LZ4 takes any payload");

static size_t table_size(size_t count, bool has_gaps) {
    return count * (has_gaps ? ID_SIZE + END_SIZE : END_SIZE);
}

size_t bookie_extent_size(size_t count, size_t body_bytes, bool has_gaps) {
    return BOOKIE_EXTENT_HEADER + table_size(count, has_gaps) + body_bytes;
}

static uint32_t be32_at(const uint8_t *data) {
    return (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 | data[3];
}

static void be32_put(uint8_t *data, uint32_t value) {
    struct rt_writer w = rt_writer_over(data, sizeof(value));
    rt_write_be32(&w, value);
}

// WRITING

static size_t bodies_size(const struct bookie_extent_item *items, size_t count) {
    size_t size = 0;
    for (size_t i = 0; i < count; i++) size += items[i].body.size;
    return size;
}

static void plain_write(const struct bookie_extent_item *items, size_t count, bool has_gaps,
                        struct rt_buf *out) {
    struct rt_writer w = rt_writer_into(out);
    for (size_t i = 0; has_gaps && i < count; i++) {
        assert(i == 0 || items[i].entry > items[i - 1].entry);
        rt_write_be32(&w, (uint32_t)(items[i].entry - items[0].entry));
    }
    uint32_t end = 0;
    for (size_t i = 0; i < count; i++) {
        end += (uint32_t)items[i].body.size;
        rt_write_be32(&w, end);
    }
    for (size_t i = 0; i < count; i++) rt_buf_append(out, items[i].body);
}

// Behind what `out` holds. False, and nothing is appended, when it saves less than an eighth.
static bool payload_compress(struct rt_bytes plain, struct rt_buf *out) {
    size_t room = plain.size - plain.size / 8;
    rt_buf_reserve(out, room);
    int size = LZ4_compress_default((const char *)plain.data, (char *)out->data + out->size,
                                    (int)plain.size, (int)room);
    if (size <= 0) return false;
    out->size += (size_t)size;
    return true;
}

static void head_write(const struct bookie_extent_head *head, uint8_t *at) {
    struct rt_writer w = rt_writer_over(at, BOOKIE_EXTENT_HEADER);
    rt_write_be32(&w, MAGIC);
    rt_write_be32(&w, 0);
    rt_write_u8(&w, VERSION);
    rt_write_u8(&w,
                (uint8_t)((head->has_gaps ? FLAG_GAPS : 0) | (head->is_compressed ? FLAG_LZ4 : 0)));
    rt_write_be16(&w, 0);
    rt_write_be32(&w, head->count);
    rt_write_be64(&w, (uint64_t)head->ledger);
    rt_write_be64(&w, (uint64_t)head->first);
    rt_write_be64(&w, (uint64_t)head->last);
    rt_write_be64(&w, head->generation);
    rt_write_be32(&w, head->plain_size);
    rt_write_be32(&w, head->stored_size);
    assert(!rt_writer_failed(&w) && w.at == w.end);
}

void bookie_extent_encode(int64_t ledger, uint64_t generation,
                          const struct bookie_extent_item *items, size_t count, bool compress,
                          struct rt_buf *scratch, struct rt_buf *out) {
    assert(count > 0);
    int64_t first = items[0].entry, last = items[count - 1].entry;
    assert(first >= 0 && last - first <= BOOKIE_EXTENT_SPAN_MAX);
    bool has_gaps = (uint64_t)(last - first) != count - 1;
    size_t plain_size = table_size(count, has_gaps) + bodies_size(items, count);
    assert(plain_size <= BOOKIE_EXTENT_PLAIN_MAX);
    rt_buf_clear(scratch);
    rt_buf_reserve(scratch, plain_size);
    plain_write(items, count, has_gaps, scratch);
    assert(scratch->size == plain_size);

    size_t at = out->size;
    rt_buf_reserve(out, BOOKIE_EXTENT_HEADER + plain_size);
    out->size += BOOKIE_EXTENT_HEADER;
    bool is_compressed = compress && payload_compress(rt_buf_bytes(scratch), out);
    if (!is_compressed) rt_buf_append(out, rt_buf_bytes(scratch));
    const struct bookie_extent_head head = {
        .ledger = ledger,
        .first = first,
        .last = last,
        .generation = generation,
        .count = (uint32_t)count,
        .plain_size = (uint32_t)plain_size,
        .stored_size = (uint32_t)(out->size - at - BOOKIE_EXTENT_HEADER),
        .has_gaps = has_gaps,
        .is_compressed = is_compressed,
    };
    head_write(&head, out->data + at);
    struct rt_bytes covered = RT_BYTES(out->data + at + CRC_FROM, out->size - at - CRC_FROM);
    be32_put(out->data + at + 4, rt_crc32c(0, covered));
}

// READING

static bool head_is_sound(const struct bookie_extent_head *head) {
    if (head->first < 0 || head->last < head->first) return false;
    uint64_t span = (uint64_t)(head->last - head->first);
    if (span > BOOKIE_EXTENT_SPAN_MAX || head->count == 0 || head->count > span + 1) return false;
    if (head->has_gaps == (head->count == span + 1)) return false;
    if (head->plain_size > BOOKIE_EXTENT_PLAIN_MAX) return false;
    if (head->plain_size < table_size(head->count, head->has_gaps)) return false;
    if (head->is_compressed) return head->stored_size < head->plain_size;
    return head->stored_size == head->plain_size;
}

rt_err bookie_extent_head_decode(struct rt_bytes bytes, struct bookie_extent_head *head) {
    struct rt_reader r = rt_reader_over(bytes);
    *head = (struct bookie_extent_head){0};
    if (rt_read_be32(&r) != MAGIC) rt_reader_fail(&r);
    (void)rt_read_be32(&r);  // the checksum: bookie_extent_open compares it
    if (rt_read_u8(&r) != VERSION) rt_reader_fail(&r);
    uint8_t flags = rt_read_u8(&r);
    if (flags & ~(FLAG_GAPS | FLAG_LZ4)) rt_reader_fail(&r);
    if (rt_read_be16(&r) != 0) rt_reader_fail(&r);
    head->has_gaps = flags & FLAG_GAPS;
    head->is_compressed = flags & FLAG_LZ4;
    head->count = rt_read_be32(&r);
    head->ledger = (int64_t)rt_read_be64(&r);
    head->first = (int64_t)rt_read_be64(&r);
    head->last = (int64_t)rt_read_be64(&r);
    head->generation = rt_read_be64(&r);
    head->plain_size = rt_read_be32(&r);
    head->stored_size = rt_read_be32(&r);
    return rt_reader_failed(&r) || !head_is_sound(head) ? RT_ECORRUPT : RT_OK;
}

static const uint8_t *ends_of(const struct bookie_extent *extent) {
    return extent->plain.data + (extent->head.has_gaps ? extent->head.count * ID_SIZE : 0);
}

static bool tables_are_sound(const struct bookie_extent *extent) {
    const struct bookie_extent_head *head = &extent->head;
    const uint8_t *ids = extent->plain.data, *ends = ends_of(extent);
    uint32_t before = 0;
    for (size_t i = 0; head->has_gaps && i < head->count; i++) {
        uint32_t id = be32_at(ids + i * ID_SIZE);
        if (i == 0 ? id != 0 : id <= before) return false;
        before = id;
    }
    if (head->has_gaps && before != (uint64_t)(head->last - head->first)) return false;
    uint32_t end_before = 0;
    for (size_t i = 0; i < head->count; i++) {
        uint32_t end = be32_at(ends + i * END_SIZE);
        if (end < end_before) return false;
        end_before = end;
    }
    return end_before == head->plain_size - table_size(head->count, head->has_gaps);
}

rt_err bookie_extent_open(struct rt_bytes stored, void *memory, struct bookie_extent *extent) {
    struct bookie_extent_head *head = &extent->head;
    rt_err err = bookie_extent_head_decode(stored, head);
    if (err) return err;
    if (stored.size != BOOKIE_EXTENT_HEADER + (size_t)head->stored_size) return RT_ECORRUPT;
    if (rt_crc32c(0, rt_bytes_skip(stored, CRC_FROM)) != be32_at(stored.data + 4))
        return RT_ECORRUPT;
    struct rt_bytes payload = rt_bytes_skip(stored, BOOKIE_EXTENT_HEADER);
    extent->plain = payload;
    if (head->is_compressed) {
        int size = LZ4_decompress_safe((const char *)payload.data, memory, (int)payload.size,
                                       (int)head->plain_size);
        if (size < 0 || (uint32_t)size != head->plain_size) return RT_ECORRUPT;
        extent->plain = RT_BYTES(memory, head->plain_size);
    }
    return tables_are_sound(extent) ? RT_OK : RT_ECORRUPT;
}

int64_t bookie_extent_entry(const struct bookie_extent *extent, size_t index) {
    assert(index < extent->head.count);
    if (!extent->head.has_gaps) return extent->head.first + (int64_t)index;
    return extent->head.first + be32_at(extent->plain.data + index * ID_SIZE);
}

struct rt_bytes bookie_extent_body(const struct bookie_extent *extent, size_t index) {
    assert(index < extent->head.count);
    const uint8_t *ends = ends_of(extent);
    const uint8_t *bodies = ends + (size_t)extent->head.count * END_SIZE;
    uint32_t start = index == 0 ? 0 : be32_at(ends + (index - 1) * END_SIZE);
    return RT_BYTES(bodies + start, be32_at(ends + index * END_SIZE) - start);
}

bool bookie_extent_find(const struct bookie_extent *extent, int64_t entry, struct rt_bytes *body) {
    const struct bookie_extent_head *head = &extent->head;
    if (entry < head->first || entry > head->last) return false;
    size_t low = 0, high = head->count;
    if (!head->has_gaps) low = (size_t)(entry - head->first);
    while (head->has_gaps && high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (bookie_extent_entry(extent, middle) <= entry) {
            low = middle;
        } else {
            high = middle;
        }
    }
    if (bookie_extent_entry(extent, low) != entry) return false;
    *body = bookie_extent_body(extent, low);
    return true;
}
