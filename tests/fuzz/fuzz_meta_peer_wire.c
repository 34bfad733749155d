// Frames between metadata nodes: decoding never reads past the end, and what it accepts encodes
// back to the same bytes. The first byte of the input says whether the checksum of a message of the
// core is put right first, the rest is the frame.
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "meta/server/replica/peer_wire.h"
#include "meta/server/replica/wire.h"
#include "runtime/crc32c.h"
#include "tests/fuzz/fuzz.h"

static void check_same(struct rt_bytes frame, struct rt_buf *again) {
    assert(rt_bytes_equal(frame, rt_buf_bytes(again)));
    rt_buf_fini(again);
}

// Flags that have no meaning are dropped on the way.
static void check_hello(struct rt_bytes frame) {
    struct meta_peer_hello hello, twice;
    if (meta_peer_hello_decode(frame, &hello)) return;
    struct rt_buf again = {0};
    struct rt_writer w = rt_writer_into(&again);
    assert(hello.from && memchr(hello.address, '\0', sizeof(hello.address)));
    meta_peer_hello_encode(&hello, &w);
    rt_err err = meta_peer_hello_decode(rt_buf_bytes(&again), &twice);
    assert(!err && twice.from == hello.from && strcmp(twice.address, hello.address) == 0);
    again.data[5] = frame.data[5];
    check_same(frame, &again);
    char url[64];
    if (meta_peer_url(hello.address, "tcp", hello.is_virgin, url, sizeof(url)))
        assert(strncmp(url, "tcp://", 6) == 0 && strlen(url) < sizeof(url));
}

static void check_touch(struct rt_bytes frame) {
    int64_t *sessions = calloc(META_PEER_TOUCHES_MAX, sizeof(*sessions));
    size_t count;
    if (!sessions) abort();
    if (!meta_peer_touch_decode(frame, sessions, &count)) {
        struct rt_buf again = {0};
        struct rt_writer w = rt_writer_into(&again);
        meta_peer_touch_encode(sessions, count, &w);
        check_same(frame, &again);
    }
    free(sessions);
}

static void check_forward(struct rt_bytes frame) {
    uint64_t term;
    struct rt_bytes command;
    if (meta_peer_forward_decode(frame, &term, &command)) return;
    struct rt_buf again = {0};
    struct rt_writer w = rt_writer_into(&again);
    meta_peer_forward_encode(term, command, &w);
    check_same(frame, &again);
}

static void check_refused(struct rt_bytes frame) {
    bool is_one;
    uint64_t ticket;
    if (meta_peer_refused_decode(frame, &is_one, &ticket)) return;
    struct rt_buf again = {0};
    struct rt_writer w = rt_writer_into(&again);
    meta_peer_refused_encode(is_one ? &ticket : NULL, &w);
    check_same(frame, &again);
}

static void payload_release(struct raft_payload *payload) {
    (void)payload;  // the input's memory
}

static void check_message(uint8_t *bytes, size_t size, bool mends) {
    enum { CRC_AT = 4, CRC_FROM = 8, CLUSTER_AT = 8 };
    struct rt_arena arena = {0};
    struct raft_payload payload;
    struct raft_message message;
    uint64_t cluster = 1;
    if (mends && size > CRC_FROM) {
        struct rt_writer w = rt_writer_over(bytes + CRC_AT, sizeof(uint32_t));
        rt_write_be32(&w, rt_crc32c(0, RT_BYTES(bytes + CRC_FROM, size - CRC_FROM)));
    }
    if (size >= CLUSTER_AT + sizeof(cluster)) {
        struct rt_reader r = rt_reader_over(RT_BYTES(bytes + CLUSTER_AT, sizeof(cluster)));
        cluster = rt_read_be64(&r);
    }
    raft_payload_init(&payload, payload_release);
    if (!meta_wire_decode(cluster, RT_BYTES(bytes, size), &payload, &arena, &message)) {
        struct rt_buf again = {0};
        meta_wire_encode(cluster, &message, &again);
        check_same(RT_BYTES(bytes, size), &again);
    }
    rt_err other = meta_wire_decode(cluster + 1, RT_BYTES(bytes, size), &payload, &arena, &message);
    assert(other);
    rt_arena_fini(&arena);
    raft_payload_drop(&payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    uint8_t *copy = malloc(size - 1);
    if (!copy) abort();
    memcpy(copy, data + 1, size - 1);
    struct rt_bytes frame = RT_BYTES(copy, size - 1);
    check_hello(frame);
    check_touch(frame);
    check_forward(frame);
    check_refused(frame);
    check_message(copy + 1, size - 2, data[0] & 1);
    free(copy);
    return 0;
}
