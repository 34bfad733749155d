#include "runtime/sha1.h"

#include <string.h>

enum { BLOCK = RT_SHA1_BLOCK, ROUNDS = 80 };

static uint32_t rotate(uint32_t value, unsigned bits) {
    return value << bits | value >> (32 - bits);
}

static uint32_t choose(unsigned round, uint32_t b, uint32_t c, uint32_t d) {
    if (round < 20) return (b & c) | (~b & d);
    if (round >= 40 && round < 60) return (b & c) | (b & d) | (c & d);
    return b ^ c ^ d;
}

static void block_add(uint32_t state[5], const uint8_t block[BLOCK]) {
    static const uint32_t constants[] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
    uint32_t words[ROUNDS];
    struct rt_reader r = rt_reader_over(RT_BYTES(block, BLOCK));
    for (unsigned i = 0; i < 16; i++) words[i] = rt_read_be32(&r);
    for (unsigned i = 16; i < ROUNDS; i++)
        words[i] = rotate(words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1);
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint32_t next = rotate(a, 5) + choose(i, b, c, d) + e + words[i] + constants[i / 20];
        e = d;
        d = c;
        c = rotate(b, 30);
        b = a;
        a = next;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
}

void rt_sha1_start(struct rt_sha1 *sha) {
    *sha = (struct rt_sha1){{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0}, 0, {0}};
}

void rt_sha1_add(struct rt_sha1 *sha, struct rt_bytes bytes) {
    size_t have = sha->size % BLOCK;
    sha->size += bytes.size;
    if (have > 0) {
        size_t more = bytes.size < BLOCK - have ? bytes.size : BLOCK - have;
        if (more > 0) memcpy(sha->block + have, bytes.data, more);
        if (have + more < BLOCK) return;
        block_add(sha->state, sha->block);
        bytes = rt_bytes_skip(bytes, more);
    }
    for (; bytes.size >= BLOCK; bytes = rt_bytes_skip(bytes, BLOCK)) {
        block_add(sha->state, bytes.data);
    }
    if (bytes.size > 0) memcpy(sha->block, bytes.data, bytes.size);
}

void rt_sha1_finish(struct rt_sha1 *sha, uint8_t digest[RT_SHA1_SIZE]) {
    static const uint8_t padding[BLOCK] = {0x80};
    uint64_t bits = sha->size * 8;
    size_t have = sha->size % BLOCK;
    size_t end = have < BLOCK - 8 ? BLOCK - 8 : 2 * BLOCK - 8;
    rt_sha1_add(sha, RT_BYTES(padding, end - have));
    uint8_t size[8];
    struct rt_writer length = rt_writer_over(size, sizeof(size));
    rt_write_be64(&length, bits);
    rt_sha1_add(sha, RT_BYTES(size, sizeof(size)));
    struct rt_writer w = rt_writer_over(digest, RT_SHA1_SIZE);
    for (unsigned i = 0; i < 5; i++) rt_write_be32(&w, sha->state[i]);
}

void rt_sha1_of(struct rt_bytes bytes, uint8_t digest[RT_SHA1_SIZE]) {
    struct rt_sha1 sha;
    rt_sha1_start(&sha);
    rt_sha1_add(&sha, bytes);
    rt_sha1_finish(&sha, digest);
}
