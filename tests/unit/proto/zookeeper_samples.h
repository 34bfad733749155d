// One request and one reply of every layout, with the bytes they must have.
#ifndef GEMINGA_TESTS_UNIT_PROTO_ZOOKEEPER_SAMPLES_H
#define GEMINGA_TESTS_UNIT_PROTO_ZOOKEEPER_SAMPLES_H

#include "proto/zookeeper.h"
#include "tests/unit/proto/hex.h"

struct request_sample {
    struct proto_zk_request request;
    const char *hex;  // of the whole payload; spaces are ignored
};

struct reply_sample {
    int32_t opcode;
    struct proto_zk_reply reply;
    const char *hex;
};

extern const struct request_sample request_samples[];
extern const size_t request_sample_count;
extern const struct reply_sample reply_samples[];
extern const size_t reply_sample_count;

// 68 bytes that differ from each other, and the Stat they stand for.
#define STAT_HEX                                                   \
    "0000000000000101 0000000000000102 0000000000000103 "          \
    "0000000000000104 00000105 00000106 ffffffff 0100000000000107" \
    "00000108 00000109 000000000000010a"
#define STAT_SAMPLE                                                                             \
    {                                                                                           \
        .czxid = 0x101, .mzxid = 0x102, .ctime_ms = 0x103, .mtime_ms = 0x104, .version = 0x105, \
        .cversion = 0x106, .aversion = -1, .ephemeral_owner = 0x01LL << 56 | 0x107,             \
        .data_size = 0x108, .children = 0x109, .pzxid = 0x10a,                                  \
    }

struct rt_buf request_bytes(const struct proto_zk_request *request);
struct rt_buf reply_bytes(const struct proto_zk_reply *reply, int32_t opcode);

#endif
