#include "proto/raft.h"

#include <assert.h>
#include <stddef.h>

#include "runtime/crc32c.h"

enum { CRC_START = 8, PIECE_SIZE = 256 };

// The numbers in the order in which they are sent.
enum {
    INDEX = 1 << 0,
    LOG_TERM = 1 << 1,
    HINT_INDEX = 1 << 2,
    HINT_TERM = 1 << 3,
    COMMIT = 1 << 4,
    ROUND = 1 << 5,
    OFFSET = 1 << 6,
    TOTAL = 1 << 7,
    READ_ID = 1 << 8,
    NUMBERS = 9,
    POSITION = INDEX | LOG_TERM
};

static const size_t number_offsets[NUMBERS] = {
    offsetof(struct proto_raft_message, index),      offsetof(struct proto_raft_message, log_term),
    offsetof(struct proto_raft_message, hint_index), offsetof(struct proto_raft_message, hint_term),
    offsetof(struct proto_raft_message, commit),     offsetof(struct proto_raft_message, round),
    offsetof(struct proto_raft_message, offset),     offsetof(struct proto_raft_message, total),
    offsetof(struct proto_raft_message, read_id),
};

static const struct kind_format {
    unsigned numbers, flags;
} formats[PROTO_RAFT_KINDS] = {
    [PROTO_RAFT_PRE_VOTE] = {POSITION, PROTO_RAFT_TRANSFER},
    [PROTO_RAFT_PRE_VOTE_REPLY] = {0, PROTO_RAFT_GRANTED},
    [PROTO_RAFT_VOTE] = {POSITION, PROTO_RAFT_TRANSFER},
    [PROTO_RAFT_VOTE_REPLY] = {0, PROTO_RAFT_GRANTED},
    [PROTO_RAFT_APPEND] = {POSITION | COMMIT, 0},
    [PROTO_RAFT_APPEND_REPLY] = {INDEX | HINT_INDEX | HINT_TERM,
                                 PROTO_RAFT_REJECTED | PROTO_RAFT_REPAIRING},
    [PROTO_RAFT_HEARTBEAT] = {COMMIT | ROUND, 0},
    [PROTO_RAFT_HEARTBEAT_REPLY] = {ROUND, 0},
    [PROTO_RAFT_SNAPSHOT] = {POSITION | OFFSET | TOTAL, 0},
    [PROTO_RAFT_SNAPSHOT_REPLY] = {INDEX | OFFSET, PROTO_RAFT_REWIND},
    [PROTO_RAFT_READ] = {READ_ID, 0},
    [PROTO_RAFT_READ_REPLY] = {INDEX | READ_ID, 0},
    [PROTO_RAFT_TIMEOUT_NOW] = {0, 0},
    [PROTO_RAFT_REMOVED] = {INDEX, 0},
};

static uint64_t number_get(const struct proto_raft_message *message, size_t i) {
    return *(const uint64_t *)(const void *)((const char *)message + number_offsets[i]);
}

static void number_set(struct proto_raft_message *message, size_t i, uint64_t value) {
    *(uint64_t *)(void *)((char *)message + number_offsets[i]) = value;
}

// Writes and sums up at the same time, so that a head can be summed before it is complete.
struct summed {
    struct rt_writer *w;  // NULL: only the sum
    uint32_t crc;
};

static void put(struct summed *out, struct rt_bytes bytes) {
    out->crc = rt_crc32c(out->crc, bytes);
    if (out->w) rt_write_bytes(out->w, bytes);
}

static void put_numbers(const struct proto_raft_message *m, struct summed *out) {
    uint8_t memory[PIECE_SIZE];
    struct rt_writer w = rt_writer_over(memory, sizeof(memory));
    rt_write_be64(&w, m->cluster);
    rt_write_be64(&w, m->from);
    rt_write_be64(&w, m->to);
    rt_write_be64(&w, m->term);
    for (size_t i = 0; i < NUMBERS; i++) {
        if (formats[m->kind].numbers & 1u << i) rt_write_be64(&w, number_get(m, i));
    }
    if (m->kind == PROTO_RAFT_APPEND) rt_write_be32(&w, (uint32_t)m->entry_count);
    if (m->kind == PROTO_RAFT_SNAPSHOT) rt_write_be16(&w, (uint16_t)m->config.size);
    assert(!rt_writer_failed(&w));
    put(out, RT_BYTES(memory, w.written));
}

static void put_entry_header(const struct proto_raft_entry *entry, struct summed *out) {
    uint8_t memory[PROTO_RAFT_ENTRY_HEADER_SIZE];
    struct rt_writer w = rt_writer_over(memory, sizeof(memory));
    assert(entry->data.size <= UINT32_MAX);
    rt_write_u8(&w, entry->kind);
    rt_write_be64(&w, entry->term);
    rt_write_be32(&w, (uint32_t)entry->data.size);
    put(out, RT_BYTES(memory, w.written));
}

static void put_body(const struct proto_raft_message *m, struct summed *out) {
    put_numbers(m, out);
    for (size_t i = 0; i < m->entry_count; i++) put_entry_header(&m->entries[i], out);
    if (m->kind != PROTO_RAFT_SNAPSHOT) return;
    uint8_t memory[4];
    struct rt_writer w = rt_writer_over(memory, sizeof(memory));
    rt_write_be32(&w, (uint32_t)m->chunk.size);
    put(out, m->config);
    put(out, RT_BYTES(memory, w.written));
}

static void put_payloads(const struct proto_raft_message *m, struct summed *out) {
    for (size_t i = 0; i < m->entry_count; i++) put(out, m->entries[i].data);
    put(out, m->chunk);
}

static void message_assert(const struct proto_raft_message *m) {
    assert(m->kind > 0 && m->kind < PROTO_RAFT_KINDS);
    assert((m->flags & ~formats[m->kind].flags) == 0);
    assert(m->entry_count == 0 || m->kind == PROTO_RAFT_APPEND);
    assert(m->chunk.size == 0 || m->kind == PROTO_RAFT_SNAPSHOT);
    assert(m->config.size <= UINT16_MAX && m->chunk.size <= UINT32_MAX);
    assert(m->entry_count <= UINT32_MAX);
}

void proto_raft_encode_head(const struct proto_raft_message *message, struct rt_writer *w) {
    message_assert(message);
    struct summed sum = {0};
    put_body(message, &sum);
    put_payloads(message, &sum);
    rt_write_u8(w, PROTO_RAFT_VERSION);
    rt_write_u8(w, (uint8_t)message->kind);
    rt_write_be16(w, (uint16_t)message->flags);
    rt_write_be32(w, sum.crc);
    struct summed out = {.w = w};
    put_body(message, &out);
}

size_t proto_raft_payload_size(const struct proto_raft_message *message) {
    size_t size = message->chunk.size;
    for (size_t i = 0; i < message->entry_count; i++) size += message->entries[i].data.size;
    return size;
}

void proto_raft_encode(const struct proto_raft_message *message, struct rt_writer *w) {
    proto_raft_encode_head(message, w);
    for (size_t i = 0; i < message->entry_count; i++) rt_write_bytes(w, message->entries[i].data);
    rt_write_bytes(w, message->chunk);
}

static void read_entries(struct rt_reader *r, struct rt_arena *arena,
                         struct proto_raft_message *m) {
    size_t count = rt_read_be32(r);
    if (count > rt_reader_left(r) / PROTO_RAFT_ENTRY_HEADER_SIZE) rt_reader_fail(r);
    if (rt_reader_failed(r) || count == 0) return;
    struct rt_reader headers =
        rt_reader_over(rt_read_bytes(r, count * PROTO_RAFT_ENTRY_HEADER_SIZE));
    struct proto_raft_entry *entries = rt_arena_zero(arena, count, sizeof(*entries));
    for (size_t i = 0; i < count && !rt_reader_failed(r); i++) {
        entries[i].kind = rt_read_u8(&headers);
        entries[i].term = rt_read_be64(&headers);
        entries[i].data = rt_read_bytes(r, rt_read_be32(&headers));
    }
    m->entries = entries;
    m->entry_count = count;
}

static void read_chunk(struct rt_reader *r, struct proto_raft_message *m) {
    size_t config_size = rt_read_be16(r);
    m->config = rt_read_bytes(r, config_size);
    m->chunk = rt_read_bytes(r, rt_read_be32(r));
}

static rt_err read_header(struct rt_reader *r, struct rt_bytes frame,
                          struct proto_raft_message *m) {
    if (rt_read_u8(r) != PROTO_RAFT_VERSION) return RT_EPROTO;
    unsigned kind = rt_read_u8(r);
    if (kind == 0 || kind >= PROTO_RAFT_KINDS) return RT_EPROTO;
    m->kind = (enum proto_raft_kind)kind;
    m->flags = rt_read_be16(r);
    if (m->flags & ~formats[kind].flags) return RT_EPROTO;
    uint32_t crc = rt_read_be32(r);
    if (rt_reader_failed(r)) return RT_EPROTO;
    return crc == rt_crc32c(0, rt_bytes_skip(frame, CRC_START)) ? RT_OK : RT_EPROTO;
}

rt_err proto_raft_decode(struct rt_bytes frame, struct rt_arena *arena,
                         struct proto_raft_message *message) {
    *message = (struct proto_raft_message){.flags = 0};
    struct rt_reader r = rt_reader_over(frame);
    rt_err err = read_header(&r, frame, message);
    if (err) return err;
    message->cluster = rt_read_be64(&r);
    message->from = rt_read_be64(&r);
    message->to = rt_read_be64(&r);
    message->term = rt_read_be64(&r);
    for (size_t i = 0; i < NUMBERS; i++) {
        if (formats[message->kind].numbers & 1u << i) number_set(message, i, rt_read_be64(&r));
    }
    if (message->kind == PROTO_RAFT_APPEND) read_entries(&r, arena, message);
    if (message->kind == PROTO_RAFT_SNAPSHOT) read_chunk(&r, message);
    return rt_reader_done(&r) ? RT_OK : RT_EPROTO;
}
