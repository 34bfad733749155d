#include "meta/server/tree/state_digest.h"

// Odd constants with no pattern (fractional digits of the square roots of 2, 3 and 5).
#define MULTIPLIER UINT64_C(0x6a09e667f3bcc909)
#define NODE_SEED UINT64_C(0xbb67ae8584caa73b)
#define SESSION_SEED UINT64_C(0x3c6ef372fe94f82b)

// Every bit of the result depends on every bit of both.
static uint64_t mix(uint64_t hash, uint64_t word) {
    uint64_t x = hash ^ word;
    x ^= x >> 32;
    x *= MULTIPLIER;
    x ^= x >> 29;
    x *= UINT64_C(0x9b05688c2b3e6c1f);
    x ^= x >> 32;
    return x + (hash << 5 | hash >> 59);
}

uint64_t meta_hash_bytes(uint64_t seed, struct rt_bytes bytes) {
    uint64_t hash = mix(seed, bytes.size);
    struct rt_reader r = rt_reader_over(bytes);
    while (rt_reader_left(&r) >= sizeof(uint64_t)) hash = mix(hash, rt_read_le64(&r));
    uint64_t last = 0;
    while (rt_reader_left(&r) > 0) last = last << 8 | rt_read_u8(&r);
    return mix(hash, last);
}

uint64_t meta_path_digest(struct rt_bytes path) {
    return meta_hash_bytes(NODE_SEED, path);
}

uint64_t meta_node_digest(uint64_t path_digest, const struct meta_node_state *state) {
    const struct meta_znode *node = &state->node;
    const uint64_t words[] = {
        (uint64_t)node->kind << 1 | node->has_data,
        (uint64_t)node->czxid,
        (uint64_t)node->mzxid,
        (uint64_t)node->pzxid,
        (uint64_t)node->ctime_ms,
        (uint64_t)node->mtime_ms,
        (uint64_t)(uint32_t)node->version << 32 | (uint32_t)node->aversion,
        (uint64_t)(uint32_t)node->creates << 32 | (uint32_t)node->children,
        (uint64_t)node->owner,
        (uint64_t)node->ttl_ms,
        state->data ? (uint64_t)state->data->size << 32 | state->data->crc : 0,
        state->acl ? (uint64_t)state->acl->size << 32 | state->acl->crc : 0,
    };
    uint64_t hash = path_digest;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) hash = mix(hash, words[i]);
    return hash;
}

uint64_t meta_session_digest(const struct meta_session *session) {
    uint64_t hash = mix(SESSION_SEED, (uint64_t)session->id);
    hash = mix(hash, (uint32_t)session->timeout_ms);
    hash = mix(hash, session->attachment);
    hash = mix(hash, (uint64_t)session->created_ms);
    return meta_hash_bytes(hash, RT_BYTES(session->password, sizeof(session->password)));
}
