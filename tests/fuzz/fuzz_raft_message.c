// Raft frames from outside: decoding never reads past the end, and what it accepts, encodes back to
// the same bytes. The first byte of the input says whether the checksum is put right first.
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "meta/raft/config.h"
#include "proto/raft.h"
#include "runtime/crc32c.h"
#include "tests/fuzz/fuzz.h"

static void check_frame(struct rt_bytes frame) {
    struct rt_arena arena = {0};
    struct proto_raft_message message;
    if (proto_raft_decode(frame, &arena, &message) == RT_OK) {
        struct rt_buf again = {0};
        struct rt_writer w = rt_writer_into(&again);
        proto_raft_encode(&message, &w);
        assert(rt_bytes_equal(frame, rt_buf_bytes(&again)));
        rt_buf_fini(&again);
    }
    rt_arena_fini(&arena);
}

static void check_config(struct rt_bytes bytes) {
    struct raft_config config;
    if (raft_config_decode(bytes, &config) != RT_OK) return;
    uint8_t memory[RAFT_CONFIG_SIZE_MAX];
    struct rt_writer w = rt_writer_over(memory, sizeof(memory));
    raft_config_encode(&config, &w);
    assert(rt_bytes_equal(bytes, RT_BYTES(memory, w.written)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    size_t frame_size = size - 1;
    uint8_t *frame = malloc(frame_size + 1);
    if (!frame) abort();
    memcpy(frame, data + 1, frame_size);
    if (data[0] & 1 && frame_size > 8) {
        struct rt_writer w = rt_writer_over(frame + 4, 4);
        rt_write_be32(&w, rt_crc32c(0, RT_BYTES(frame + 8, frame_size - 8)));
    }
    check_frame(RT_BYTES(frame, frame_size));
    check_config(RT_BYTES(frame, frame_size));
    free(frame);
    return 0;
}
