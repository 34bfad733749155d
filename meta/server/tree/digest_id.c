#include "meta/server/tree/digest_id.h"

#include <string.h>

#include "meta/server/tree/acl.h"

enum { BLOCK = 64, ROUNDS = 80 };

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

void meta_sha1(struct rt_bytes bytes, uint8_t digest[META_SHA1_SIZE]) {
    uint32_t state[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    size_t whole = bytes.size - bytes.size % BLOCK, rest = bytes.size - whole;
    for (size_t at = 0; at < whole; at += BLOCK) block_add(state, bytes.data + at);
    uint8_t tail[2 * BLOCK] = {0};
    if (rest) memcpy(tail, bytes.data + whole, rest);
    tail[rest] = 0x80;
    size_t size = rest + 9 <= BLOCK ? BLOCK : 2 * BLOCK;
    struct rt_writer length = rt_writer_over(tail + size - 8, 8);
    rt_write_be64(&length, (uint64_t)bytes.size * 8);
    for (size_t at = 0; at < size; at += BLOCK) block_add(state, tail + at);
    struct rt_writer w = rt_writer_over(digest, META_SHA1_SIZE);
    for (unsigned i = 0; i < 5; i++) rt_write_be32(&w, state[i]);
}

void meta_base64(struct rt_bytes bytes, struct rt_writer *w) {
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t at = 0; at < bytes.size; at += 3) {
        size_t have = bytes.size - at < 3 ? bytes.size - at : 3;
        uint32_t bits = 0;
        for (size_t i = 0; i < 3; i++) bits = bits << 8 | (i < have ? bytes.data[at + i] : 0u);
        for (size_t i = 0; i < 4; i++) {
            char letter = i <= have ? letters[bits >> (18 - 6 * i) & 63] : '=';
            rt_write_u8(w, (uint8_t)letter);
        }
    }
}

struct rt_bytes meta_digest_id(struct rt_bytes user_and_password, struct rt_arena *arena) {
    enum { BASE64_SIZE = 28 };
    uint8_t digest[META_SHA1_SIZE];
    size_t user = 0;
    while (user < user_and_password.size && user_and_password.data[user] != ':') user++;
    meta_sha1(user_and_password, digest);
    size_t size = user + 1 + BASE64_SIZE;
    uint8_t *id = rt_arena_alloc(arena, size);
    struct rt_writer w = rt_writer_over(id, size);
    rt_write_bytes(&w, RT_BYTES(user_and_password.data, user));
    rt_write_u8(&w, ':');
    meta_base64(RT_BYTES(digest, META_SHA1_SIZE), &w);
    return RT_BYTES(id, w.written);
}
