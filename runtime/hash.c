#include "runtime/hash.h"

#include <string.h>

#define SPREAD UINT64_C(0x9e3779b97f4a7c15)

static uint64_t mix(uint64_t value) {
    value ^= value >> 32;
    value *= SPREAD;
    value ^= value >> 29;
    return value;
}

uint32_t rt_hash(const void *key, size_t size) {
    const uint8_t *at = key;
    uint64_t hash = mix(size + 1), word;
    for (; size >= sizeof(word); size -= sizeof(word), at += sizeof(word)) {
        memcpy(&word, at, sizeof(word));
        hash = mix(hash ^ word) * SPREAD;
    }
    word = 0;
    if (size) memcpy(&word, at, size);
    hash = mix(mix(hash ^ word) * SPREAD);
    return (uint32_t)(hash ^ hash >> 32);
}
