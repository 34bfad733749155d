#include "runtime/random.h"

#include <assert.h>
#include <string.h>

// splitmix64: spreads a seed of any quality over the whole state.
static uint64_t spread(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

void rt_random_seed(struct rt_random *random, uint64_t seed) {
    for (size_t i = 0; i < 4; i++) random->state[i] = spread(&seed);
}

void rt_random_split(struct rt_random *random, uint64_t seed, const char *name) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);  // FNV-1a
    for (const char *at = name; *at; at++) {
        hash = (hash ^ (unsigned char)*at) * UINT64_C(0x100000001b3);
    }
    rt_random_seed(random, spread(&seed) ^ hash);
}

static uint64_t rotate(uint64_t value, unsigned by) {
    return value << by | value >> (64 - by);
}

uint64_t rt_random_u64(struct rt_random *random) {
    uint64_t *s = random->state;
    uint64_t result = rotate(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

// The high half of a 128-bit product is in range; low halves under 2^64 mod bound are drawn again,
// so that every result is exactly as likely as any other.
uint64_t rt_random_below(struct rt_random *random, uint64_t bound) {
    assert(bound > 0);
    unsigned __int128 product = (unsigned __int128)rt_random_u64(random) * bound;
    if ((uint64_t)product < bound) {
        uint64_t reject_below = -bound % bound;
        while ((uint64_t)product < reject_below) {
            product = (unsigned __int128)rt_random_u64(random) * bound;
        }
    }
    return (uint64_t)(product >> 64);
}

uint64_t rt_random_between(struct rt_random *random, uint64_t low, uint64_t high) {
    assert(low <= high);
    if (high - low == UINT64_MAX) return rt_random_u64(random);
    return low + rt_random_below(random, high - low + 1);
}

bool rt_random_chance(struct rt_random *random, uint32_t per_million) {
    return rt_random_below(random, 1000000) < per_million;
}

// Bytes in little-endian order on every machine.
void rt_random_fill(struct rt_random *random, void *memory, size_t size) {
    uint8_t *at = memory;
    while (size > 0) {
        uint64_t word = rt_random_u64(random);
        size_t count = size < 8 ? size : 8;
        for (size_t i = 0; i < count; i++, word >>= 8) at[i] = (uint8_t)word;
        at += count;
        size -= count;
    }
}
