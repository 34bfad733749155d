// An arena: allocations of one request, released together. Not thread-safe; belongs to its owner.
#ifndef GEMINGA_RUNTIME_ARENA_H
#define GEMINGA_RUNTIME_ARENA_H

#include "runtime/bytes.h"

struct rt_arena_chunk;

// Zero-initialised is an empty arena with the default chunk size. The first chunk survives
// rt_arena_clear, so an arena that is reused per request allocates nothing in the steady state.
struct rt_arena {
    struct rt_arena_chunk *chunk;
    size_t chunk_size;  // 0: 4 KiB
    size_t used_bytes;  // handed out since the last clear
};

void *rt_arena_alloc(struct rt_arena *arena, size_t size);  // aligned for any type; never NULL
void *rt_arena_zero(struct rt_arena *arena, size_t count, size_t item_size);
char *rt_arena_text(struct rt_arena *arena, struct rt_bytes bytes);  // NUL-terminated copy
struct rt_bytes rt_arena_copy(struct rt_arena *arena, struct rt_bytes bytes);
char *rt_arena_print(struct rt_arena *arena, const char *format, ...) RT_PRINTF(2, 3);
void rt_arena_clear(struct rt_arena *arena);
void rt_arena_fini(struct rt_arena *arena);

#endif
