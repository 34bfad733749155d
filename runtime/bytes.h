// Borrowed bytes, and the only way integers go in and out of them.
//
// A reader remembers its first failure and answers zero from then on, so decoding is a list of
// fields and one check. A writer does the same when its space ends. Neither allocates, except a
// writer over an rt_buf, which grows it.
#ifndef GEMINGA_RUNTIME_BYTES_H
#define GEMINGA_RUNTIME_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/err.h"

// Bytes that belong to somebody else, valid for this call only. data may be NULL when size is 0.
struct rt_bytes {
    const uint8_t *data;
    size_t size;
};

#define RT_BYTES(pointer, count) ((struct rt_bytes){(const uint8_t *)(pointer), (count)})
#define RT_BYTES_LITERAL(text) RT_BYTES("" text, sizeof(text) - 1)

struct rt_bytes rt_bytes_of(const char *text);  // without the terminating NUL
bool rt_bytes_equal(struct rt_bytes a, struct rt_bytes b);
int rt_bytes_compare(struct rt_bytes a, struct rt_bytes b);  // memcmp order, shorter first
bool rt_bytes_starts_with(struct rt_bytes bytes, struct rt_bytes prefix);
struct rt_bytes rt_bytes_skip(struct rt_bytes bytes, size_t count);  // count is cut to size

// A heap buffer that grows. Zero-initialised is empty; rt_buf_fini releases it.
struct rt_buf {
    uint8_t *data;
    size_t size;
    size_t capacity;
};

void rt_buf_fini(struct rt_buf *buf);
void rt_buf_clear(struct rt_buf *buf);  // keeps the memory
void rt_buf_reserve(struct rt_buf *buf, size_t more);
void rt_buf_append(struct rt_buf *buf, struct rt_bytes bytes);
void rt_buf_print(struct rt_buf *buf, const char *format, ...) RT_PRINTF(2, 3);
struct rt_bytes rt_buf_bytes(const struct rt_buf *buf);

struct rt_reader {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
};

struct rt_reader rt_reader_over(struct rt_bytes bytes);
bool rt_reader_failed(const struct rt_reader *r);
bool rt_reader_done(const struct rt_reader *r);  // nothing left and nothing failed
size_t rt_reader_left(const struct rt_reader *r);
void rt_reader_fail(struct rt_reader *r);  // for a field that is well-formed but not allowed

uint8_t rt_read_u8(struct rt_reader *r);
uint16_t rt_read_be16(struct rt_reader *r);
uint32_t rt_read_be32(struct rt_reader *r);
uint64_t rt_read_be64(struct rt_reader *r);
uint16_t rt_read_le16(struct rt_reader *r);
uint32_t rt_read_le32(struct rt_reader *r);
uint64_t rt_read_le64(struct rt_reader *r);
uint64_t rt_read_varint(struct rt_reader *r);  // LEB128, at most 10 bytes
struct rt_bytes rt_read_bytes(struct rt_reader *r, size_t count);
struct rt_bytes rt_read_rest(struct rt_reader *r);

// Writes into fixed memory, or at the end of an rt_buf (then `buf` is set and it never fails).
struct rt_writer {
    uint8_t *at;
    uint8_t *end;
    struct rt_buf *buf;
    size_t written;
    bool failed;
};

struct rt_writer rt_writer_over(void *memory, size_t capacity);
struct rt_writer rt_writer_into(struct rt_buf *buf);
bool rt_writer_failed(const struct rt_writer *w);

void rt_write_u8(struct rt_writer *w, uint8_t value);
void rt_write_be16(struct rt_writer *w, uint16_t value);
void rt_write_be32(struct rt_writer *w, uint32_t value);
void rt_write_be64(struct rt_writer *w, uint64_t value);
void rt_write_le16(struct rt_writer *w, uint16_t value);
void rt_write_le32(struct rt_writer *w, uint32_t value);
void rt_write_le64(struct rt_writer *w, uint64_t value);
void rt_write_varint(struct rt_writer *w, uint64_t value);
void rt_write_bytes(struct rt_writer *w, struct rt_bytes bytes);

#endif
