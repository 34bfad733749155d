#include <criterion/criterion.h>
#include <string.h>

#include "proto/raft.h"
#include "runtime/crc32c.h"

static const struct proto_raft_entry entries[] = {
    {1, 5, {NULL, 0}},
    {2, 6, {(const uint8_t *)"abc", 3}},
};

static const struct proto_raft_message messages[] = {
    {.kind = PROTO_RAFT_PRE_VOTE, .term = 9, .index = 3, .log_term = 4},
    {.kind = PROTO_RAFT_PRE_VOTE_REPLY, .term = 9, .flags = PROTO_RAFT_GRANTED},
    {.kind = PROTO_RAFT_VOTE, .flags = PROTO_RAFT_TRANSFER, .index = 3, .log_term = 4},
    {.kind = PROTO_RAFT_VOTE_REPLY},
    {.kind = PROTO_RAFT_APPEND, .index = 3, .log_term = 4, .commit = 2},
    {.kind = PROTO_RAFT_APPEND, .index = 3, .entries = entries, .entry_count = 2},
    {.kind = PROTO_RAFT_APPEND_REPLY,
     .flags = PROTO_RAFT_REJECTED | PROTO_RAFT_REPAIRING,
     .index = 3,
     .hint_index = 2,
     .hint_term = 1},
    {.kind = PROTO_RAFT_HEARTBEAT, .commit = 2, .round = UINT64_MAX},
    {.kind = PROTO_RAFT_HEARTBEAT_REPLY, .round = 8},
    {.kind = PROTO_RAFT_SNAPSHOT,
     .index = 3,
     .log_term = 4,
     .offset = 10,
     .total = 20,
     .config = {(const uint8_t *)"cfg", 3},
     .chunk = {(const uint8_t *)"chunk", 5}},
    {.kind = PROTO_RAFT_SNAPSHOT_REPLY, .flags = PROTO_RAFT_REWIND, .index = 3, .offset = 10},
    {.kind = PROTO_RAFT_READ, .read_id = 77},
    {.kind = PROTO_RAFT_READ_REPLY, .read_id = 77, .index = 3},
    {.kind = PROTO_RAFT_TIMEOUT_NOW},
    {.kind = PROTO_RAFT_REMOVED, .index = 3},
};

enum { MESSAGES = sizeof(messages) / sizeof(messages[0]) };

static struct proto_raft_message addressed(size_t i) {
    struct proto_raft_message message = messages[i];
    message.cluster = 0x1122334455667788;
    message.from = 1;
    message.to = 2;
    return message;
}

static struct rt_buf encoded(size_t i) {
    struct proto_raft_message message = addressed(i);
    struct rt_buf frame = {0};
    struct rt_writer w = rt_writer_into(&frame);
    proto_raft_encode(&message, &w);
    return frame;
}

static void assert_same(const struct proto_raft_message *a, const struct proto_raft_message *b) {
    cr_assert_eq(a->entry_count, b->entry_count);
    for (size_t i = 0; i < a->entry_count; i++) {
        cr_assert_eq(a->entries[i].kind, b->entries[i].kind);
        cr_assert_eq(a->entries[i].term, b->entries[i].term);
        cr_assert(rt_bytes_equal(a->entries[i].data, b->entries[i].data));
    }
    cr_assert(rt_bytes_equal(a->config, b->config));
    cr_assert(rt_bytes_equal(a->chunk, b->chunk));
    cr_assert_eq(memcmp(a, b, offsetof(struct proto_raft_message, entries)), 0);
}

Test(proto_raft, every_message_survives_the_way) {
    for (size_t i = 0; i < MESSAGES; i++) {
        struct rt_buf frame = encoded(i);
        struct rt_arena arena = {0};
        struct proto_raft_message want = addressed(i), got;
        cr_assert_eq(proto_raft_decode(rt_buf_bytes(&frame), &arena, &got), RT_OK, "%zu", i);
        assert_same(&want, &got);
        rt_arena_fini(&arena);
        rt_buf_fini(&frame);
    }
}

Test(proto_raft, head_and_payloads_make_the_same_frame) {
    for (size_t i = 0; i < MESSAGES; i++) {
        struct rt_buf whole = encoded(i), pieces = {0};
        struct proto_raft_message message = addressed(i);
        struct rt_writer w = rt_writer_into(&pieces);
        proto_raft_encode_head(&message, &w);
        cr_assert_eq(whole.size, w.written + proto_raft_payload_size(&message));
        cr_assert_eq(memcmp(whole.data, pieces.data, pieces.size), 0);
        rt_buf_fini(&whole);
        rt_buf_fini(&pieces);
    }
}

Test(proto_raft, every_truncation_and_every_extra_byte_is_refused) {
    for (size_t i = 0; i < MESSAGES; i++) {
        struct rt_buf frame = encoded(i);
        struct rt_arena arena = {0};
        struct proto_raft_message got;
        for (size_t cut = 0; cut < frame.size; cut++) {
            cr_assert_eq(proto_raft_decode(RT_BYTES(frame.data, cut), &arena, &got), RT_EPROTO);
        }
        rt_buf_append(&frame, RT_BYTES_LITERAL("x"));
        cr_assert_eq(proto_raft_decode(rt_buf_bytes(&frame), &arena, &got), RT_EPROTO);
        rt_arena_fini(&arena);
        rt_buf_fini(&frame);
    }
}

Test(proto_raft, every_flipped_bit_is_seen) {
    struct rt_buf frame = encoded(5);
    struct rt_arena arena = {0};
    for (size_t bit = 32; bit < frame.size * 8; bit++) {
        struct proto_raft_message got;
        frame.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        cr_assert_eq(proto_raft_decode(rt_buf_bytes(&frame), &arena, &got), RT_EPROTO);
        frame.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    rt_arena_fini(&arena);
    rt_buf_fini(&frame);
}

// Sizes that lie, under a checksum that holds.
Test(proto_raft, lying_entry_count_is_refused_before_memory_is_taken) {
    struct rt_buf frame = encoded(4);
    memset(frame.data + frame.size - 4, 0xff, 4);
    struct rt_writer w = rt_writer_over(frame.data + 4, 4);
    rt_write_be32(&w, rt_crc32c(0, rt_bytes_skip(rt_buf_bytes(&frame), 8)));
    struct rt_arena arena = {0};
    struct proto_raft_message got;
    cr_assert_eq(proto_raft_decode(rt_buf_bytes(&frame), &arena, &got), RT_EPROTO);
    cr_assert_eq(arena.used_bytes, 0);
    rt_arena_fini(&arena);
    rt_buf_fini(&frame);
}

Test(proto_raft, golden_bytes_of_a_heartbeat) {
    static const struct proto_raft_message beat = {.kind = PROTO_RAFT_HEARTBEAT,
                                                   .cluster = 1,
                                                   .from = 2,
                                                   .to = 3,
                                                   .term = 4,
                                                   .commit = 5,
                                                   .round = 6};
    struct rt_buf frame = {0};
    struct rt_writer w = rt_writer_into(&frame);
    proto_raft_encode(&beat, &w);
    uint8_t golden[56] = {1, 7, 0, 0};
    for (uint8_t i = 1; i <= 6; i++) golden[8 * i + 7] = i;
    struct rt_writer crc = rt_writer_over(golden + 4, 4);
    rt_write_be32(&crc, rt_crc32c(0, RT_BYTES(golden + 8, 48)));
    cr_assert(rt_bytes_equal(rt_buf_bytes(&frame), RT_BYTES(golden, sizeof(golden))));
    rt_buf_fini(&frame);
}
