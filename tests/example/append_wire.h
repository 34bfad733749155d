// The worked example's frames: 4-byte length (the stream's), then one byte of kind, then fields.
//
//   kind        direction            fields (big-endian)
//   ECHO        client to any        request u64, body *         answered by ECHO with the same
//   APPEND      client to primary    request u64, body *         answered by APPENDED
//   APPENDED    primary to client    request u64, id u64, error u8
//   READ        client to any        request u64, id u64         answered by CONTENT
//   CONTENT     any to client        request u64, error u8, body *
//   HELLO       primary to follower  last id u64                 what the primary has; the rest
//   goes WELCOME     follower to primary  last id u64                 what the follower has left
//   ENTRIES     primary to follower  raw records *               (append_log.h)
//   DURABLE     follower to primary  id u64                      synced up to here
#ifndef GEMINGA_TESTS_EXAMPLE_APPEND_WIRE_H
#define GEMINGA_TESTS_EXAMPLE_APPEND_WIRE_H

#include "runtime/stream.h"

enum append_kind {
    APPEND_ECHO = 1,
    APPEND_APPEND,
    APPEND_APPENDED,
    APPEND_READ,
    APPEND_CONTENT,
    APPEND_HELLO,
    APPEND_WELCOME,
    APPEND_ENTRIES,
    APPEND_DURABLE
};

enum { APPEND_PREFIX_SIZE = 4, APPEND_HEAD_MAX = 32, APPEND_FRAME_MAX = (1 << 20) + 4096 };

// A frame's head is encoded here; append_frame_send puts the length in front and a body behind.
struct append_head {
    uint8_t memory[APPEND_HEAD_MAX];
    struct rt_writer w;
};

static inline void append_head_start(struct append_head *head, enum append_kind kind) {
    head->w = rt_writer_over(head->memory, sizeof(head->memory));
    rt_write_u8(&head->w, (uint8_t)kind);
}

static inline void append_frame_send(struct rt_conn *conn, const struct append_head *head,
                                     struct rt_bytes body) {
    size_t head_size = (size_t)(head->w.at - head->memory);
    struct rt_writer w =
        rt_writer_over(rt_conn_reserve(conn, APPEND_PREFIX_SIZE + head_size), APPEND_HEAD_MAX + 4);
    rt_write_be32(&w, (uint32_t)(head_size + body.size));
    rt_write_bytes(&w, RT_BYTES(head->memory, head_size));
    rt_conn_send(conn, body);
}

#endif
