// Hash tables: uthash on our memory and with our hash. Tables grow without bound, keep the order of
// insertion (so walks are the same in every run), and live in their items.
//
// The only place that includes uthash.
#ifndef GEMINGA_RUNTIME_HASH_H
#define GEMINGA_RUNTIME_HASH_H

#include <stdint.h>

#include "runtime/mem.h"

// Not for bytes that must not be guessed: the same in every process.
uint32_t rt_hash(const void *key, size_t size);

// Its own hash is a switch that falls through, in every file that uses it.
#define HASH_FUNCTION(key, size, value) ((value) = rt_hash((key), (size)))
#define uthash_malloc(size) rt_alloc(size)
#define uthash_free(memory, size) rt_free(memory)
#include <uthash.h>

#endif
