// SHA-1 (RFC 3174): ids of ZooKeeper and keys of BookKeeper are made with it. Not for new formats.
#ifndef GEMINGA_RUNTIME_SHA1_H
#define GEMINGA_RUNTIME_SHA1_H

#include "runtime/bytes.h"

enum { RT_SHA1_SIZE = 20, RT_SHA1_BLOCK = 64 };

struct rt_sha1 {
    uint32_t state[5];
    uint64_t size;  // of all that was added
    uint8_t block[RT_SHA1_BLOCK];
};

void rt_sha1_start(struct rt_sha1 *sha);
void rt_sha1_add(struct rt_sha1 *sha, struct rt_bytes bytes);
void rt_sha1_finish(struct rt_sha1 *sha, uint8_t digest[RT_SHA1_SIZE]);  // then start again
void rt_sha1_of(struct rt_bytes bytes, uint8_t digest[RT_SHA1_SIZE]);

#endif
