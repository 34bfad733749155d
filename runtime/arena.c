#include "runtime/arena.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "runtime/mem.h"

enum { CHUNK_SIZE_DEFAULT = 4096, ALIGNMENT = 16 };
static_assert(ALIGNMENT >= _Alignof(max_align_t), "an arena's memory suits any type");

struct rt_arena_chunk {
    struct rt_arena_chunk *older;
    size_t capacity, used;
    _Alignas(ALIGNMENT) uint8_t data[];
};

static struct rt_arena_chunk *chunk_add(struct rt_arena *arena, size_t size) {
    size_t capacity = arena->chunk_size ? arena->chunk_size : CHUNK_SIZE_DEFAULT;
    if (capacity < size) capacity = size;
    if (capacity > SIZE_MAX - sizeof(struct rt_arena_chunk)) {
        rt_panic("arena asked for %zu bytes", size);
    }
    struct rt_arena_chunk *chunk = rt_alloc(sizeof(*chunk) + capacity);
    *chunk = (struct rt_arena_chunk){.older = arena->chunk, .capacity = capacity};
    arena->chunk = chunk;
    return chunk;
}

void *rt_arena_alloc(struct rt_arena *arena, size_t size) {
    if (size > SIZE_MAX - ALIGNMENT) rt_panic("arena asked for %zu bytes", size);
    size = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    struct rt_arena_chunk *chunk = arena->chunk;
    if (!chunk || chunk->capacity - chunk->used < size) chunk = chunk_add(arena, size);
    void *memory = chunk->data + chunk->used;
    chunk->used += size;
    arena->used_bytes += size;
    return memory;
}

void *rt_arena_zero(struct rt_arena *arena, size_t count, size_t item_size) {
    if (item_size && count > SIZE_MAX / item_size) {
        rt_panic("arena asked for %zu items of %zu bytes", count, item_size);
    }
    void *memory = rt_arena_alloc(arena, count * item_size);
    memset(memory, 0, count * item_size);
    return memory;
}

char *rt_arena_text(struct rt_arena *arena, struct rt_bytes bytes) {
    char *text = rt_arena_alloc(arena, bytes.size + 1);
    if (bytes.size) memcpy(text, bytes.data, bytes.size);
    text[bytes.size] = 0;
    return text;
}

struct rt_bytes rt_arena_copy(struct rt_arena *arena, struct rt_bytes bytes) {
    if (bytes.size == 0) return RT_BYTES(NULL, 0);
    uint8_t *copy = rt_arena_alloc(arena, bytes.size);
    memcpy(copy, bytes.data, bytes.size);
    return RT_BYTES(copy, bytes.size);
}

char *rt_arena_print(struct rt_arena *arena, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    assert(length >= 0);
    char *text = rt_arena_alloc(arena, (size_t)length + 1);
    vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}

void rt_arena_clear(struct rt_arena *arena) {
    struct rt_arena_chunk *chunk = arena->chunk;
    if (!chunk) return;
    while (chunk->older) {
        struct rt_arena_chunk *older = chunk->older;
        rt_free(chunk);
        chunk = older;
    }
    chunk->used = 0;
    arena->chunk = chunk;
    arena->used_bytes = 0;
}

void rt_arena_fini(struct rt_arena *arena) {
    rt_arena_clear(arena);
    rt_free(arena->chunk);
    arena->chunk = NULL;
}
