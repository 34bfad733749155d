#include "runtime/bytes.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "runtime/mem.h"

struct rt_bytes rt_bytes_of(const char *text) {
    return RT_BYTES(text, strlen(text));
}

bool rt_bytes_equal(struct rt_bytes a, struct rt_bytes b) {
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

int rt_bytes_compare(struct rt_bytes a, struct rt_bytes b) {
    size_t shared = a.size < b.size ? a.size : b.size;
    int order = shared ? memcmp(a.data, b.data, shared) : 0;
    if (order) return order;
    return (a.size > b.size) - (a.size < b.size);
}

bool rt_bytes_starts_with(struct rt_bytes bytes, struct rt_bytes prefix) {
    if (bytes.size < prefix.size) return false;
    return rt_bytes_equal(RT_BYTES(bytes.data, prefix.size), prefix);
}

struct rt_bytes rt_bytes_skip(struct rt_bytes bytes, size_t count) {
    if (count > bytes.size) count = bytes.size;
    if (count == 0) return bytes;
    return RT_BYTES(bytes.data + count, bytes.size - count);
}

// BUFFERS

enum { BUF_CAPACITY_MIN = 64 };

void rt_buf_fini(struct rt_buf *buf) {
    rt_free(buf->data);
    *buf = (struct rt_buf){0};
}

void rt_buf_clear(struct rt_buf *buf) {
    buf->size = 0;
}

void rt_buf_reserve(struct rt_buf *buf, size_t more) {
    if (more <= buf->capacity - buf->size) return;
    if (more > SIZE_MAX / 2 - buf->size) {
        rt_panic("buffer of %zu bytes asked for %zu more", buf->size, more);
    }
    size_t capacity = buf->capacity ? buf->capacity : BUF_CAPACITY_MIN;
    while (capacity < buf->size + more) capacity *= 2;
    buf->data = rt_realloc(buf->data, capacity);
    buf->capacity = capacity;
}

void rt_buf_append(struct rt_buf *buf, struct rt_bytes bytes) {
    if (bytes.size == 0) return;
    rt_buf_reserve(buf, bytes.size);
    memcpy(buf->data + buf->size, bytes.data, bytes.size);
    buf->size += bytes.size;
}

void rt_buf_print(struct rt_buf *buf, const char *format, ...) {
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    size_t room = buf->capacity - buf->size;
    int length = vsnprintf(room ? (char *)buf->data + buf->size : NULL, room, format, args);
    va_end(args);
    assert(length >= 0);
    if ((size_t)length >= room) {
        rt_buf_reserve(buf, (size_t)length + 1);  // the terminator is written, not counted
        vsnprintf((char *)buf->data + buf->size, (size_t)length + 1, format, again);
    }
    va_end(again);
    buf->size += (size_t)length;
}

struct rt_bytes rt_buf_bytes(const struct rt_buf *buf) {
    return RT_BYTES(buf->data, buf->size);
}

// READER

struct rt_reader rt_reader_over(struct rt_bytes bytes) {
    static const uint8_t nothing[1];
    const uint8_t *at = bytes.data ? bytes.data : nothing;
    return (struct rt_reader){.at = at, .end = at + bytes.size};
}

bool rt_reader_failed(const struct rt_reader *r) {
    return r->failed;
}

bool rt_reader_done(const struct rt_reader *r) {
    return !r->failed && r->at == r->end;
}

size_t rt_reader_left(const struct rt_reader *r) {
    return (size_t)(r->end - r->at);
}

// A failed reader has nothing left, so that a loop over what is left ends.
void rt_reader_fail(struct rt_reader *r) {
    r->failed = true;
    r->at = r->end;
}

static const uint8_t *take(struct rt_reader *r, size_t count) {
    if (count > rt_reader_left(r)) {
        rt_reader_fail(r);
        return NULL;
    }
    const uint8_t *at = r->at;
    r->at += count;
    return at;
}

uint8_t rt_read_u8(struct rt_reader *r) {
    const uint8_t *at = take(r, 1);
    return at ? *at : 0;
}

static uint64_t read_be(struct rt_reader *r, size_t size) {
    const uint8_t *at = take(r, size);
    if (!at) return 0;
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) value = value << 8 | at[i];
    return value;
}

static uint64_t read_le(struct rt_reader *r, size_t size) {
    const uint8_t *at = take(r, size);
    if (!at) return 0;
    uint64_t value = 0;
    for (size_t i = size; i > 0; i--) value = value << 8 | at[i - 1];
    return value;
}

uint16_t rt_read_be16(struct rt_reader *r) {
    return (uint16_t)read_be(r, 2);
}

uint32_t rt_read_be32(struct rt_reader *r) {
    return (uint32_t)read_be(r, 4);
}

uint64_t rt_read_be64(struct rt_reader *r) {
    return read_be(r, 8);
}

uint16_t rt_read_le16(struct rt_reader *r) {
    return (uint16_t)read_le(r, 2);
}

uint32_t rt_read_le32(struct rt_reader *r) {
    return (uint32_t)read_le(r, 4);
}

uint64_t rt_read_le64(struct rt_reader *r) {
    return read_le(r, 8);
}

uint64_t rt_read_varint(struct rt_reader *r) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = rt_read_u8(r);
        if (r->failed || (shift == 63 && byte > 1)) break;  // ended, or more than 64 bits
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) return value;
    }
    rt_reader_fail(r);
    return 0;
}

struct rt_bytes rt_read_bytes(struct rt_reader *r, size_t count) {
    const uint8_t *at = take(r, count);
    return at ? RT_BYTES(at, count) : RT_BYTES(NULL, 0);
}

struct rt_bytes rt_read_rest(struct rt_reader *r) {
    return rt_read_bytes(r, rt_reader_left(r));
}

// WRITER

struct rt_writer rt_writer_over(void *memory, size_t capacity) {
    uint8_t *at = memory;
    return (struct rt_writer){.at = at, .end = capacity ? at + capacity : at};
}

struct rt_writer rt_writer_into(struct rt_buf *buf) {
    return (struct rt_writer){.buf = buf};
}

bool rt_writer_failed(const struct rt_writer *w) {
    return w->failed;
}

// Space for exactly `count` bytes, or NULL for good once something did not fit.
static uint8_t *give(struct rt_writer *w, size_t count) {
    if (w->buf) {
        rt_buf_reserve(w->buf, count);
        uint8_t *at = w->buf->data + w->buf->size;
        w->buf->size += count;
        w->written += count;
        return at;
    }
    if (w->failed || count > (size_t)(w->end - w->at)) {
        w->failed = true;
        return NULL;
    }
    uint8_t *at = w->at;
    w->at += count;
    w->written += count;
    return at;
}

static void write_be(struct rt_writer *w, uint64_t value, size_t size) {
    uint8_t *at = give(w, size);
    if (!at) return;
    for (size_t i = size; i > 0; i--, value >>= 8) at[i - 1] = (uint8_t)value;
}

static void write_le(struct rt_writer *w, uint64_t value, size_t size) {
    uint8_t *at = give(w, size);
    if (!at) return;
    for (size_t i = 0; i < size; i++, value >>= 8) at[i] = (uint8_t)value;
}

void rt_write_u8(struct rt_writer *w, uint8_t value) {
    write_be(w, value, 1);
}

void rt_write_be16(struct rt_writer *w, uint16_t value) {
    write_be(w, value, 2);
}

void rt_write_be32(struct rt_writer *w, uint32_t value) {
    write_be(w, value, 4);
}

void rt_write_be64(struct rt_writer *w, uint64_t value) {
    write_be(w, value, 8);
}

void rt_write_le16(struct rt_writer *w, uint16_t value) {
    write_le(w, value, 2);
}

void rt_write_le32(struct rt_writer *w, uint32_t value) {
    write_le(w, value, 4);
}

void rt_write_le64(struct rt_writer *w, uint64_t value) {
    write_le(w, value, 8);
}

void rt_write_varint(struct rt_writer *w, uint64_t value) {
    uint8_t bytes[10];
    size_t size = 0;
    for (; value >= 0x80; value >>= 7) bytes[size++] = (uint8_t)(value | 0x80);
    bytes[size++] = (uint8_t)value;
    rt_write_bytes(w, RT_BYTES(bytes, size));
}

void rt_write_bytes(struct rt_writer *w, struct rt_bytes bytes) {
    if (bytes.size == 0) return;
    uint8_t *at = give(w, bytes.size);
    if (at) memcpy(at, bytes.data, bytes.size);
}
