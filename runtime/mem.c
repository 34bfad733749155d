// Heap memory, and the heaps of simulated nodes.
//
// While a heap is entered, each block carries a header that links it into that heap's list, so that
// a crash of the node can take everything back; outside, a block is the allocator's own. A free
// must know which kind it is given, hence the rule that what is allocated inside a node is freed
// inside it: a block without the mark, or of another heap, ends the process right there.
#include "runtime/mem.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/backend.h"
#include "runtime/err.h"
#include "runtime/list.h"

#define BLOCK_LIVE UINT64_C(0x6c697665426c6f63)
#define BLOCK_DEAD UINT64_C(0x64656164426c6f63)

// The mark is next to the caller's memory: a write before its start destroys it.
struct heap_block {
    struct rt_list link;
    struct rt_heap *heap;
    void *base;  // what the allocator gave; differs from the block where alignment was asked for
    size_t size;
    uint64_t mark;
};
static_assert(sizeof(struct heap_block) % 16 == 0, "memory behind the header suits any type");

struct rt_heap {
    struct rt_list blocks;
    size_t bytes;
};

static _Thread_local struct rt_heap *heap_current;

static _Noreturn void out_of_memory(size_t size) {
    rt_panic("out of memory: %zu bytes asked for", size);
}

static void *heap_link(struct rt_heap *heap, void *base, struct heap_block *block, size_t size) {
    block->heap = heap;
    block->base = base;
    block->size = size;
    block->mark = BLOCK_LIVE;
    rt_list_push_back(&heap->blocks, &block->link);
    heap->bytes += size;
    return block + 1;
}

static void heap_unlink(struct heap_block *block) {
    rt_list_remove(&block->link);
    block->heap->bytes -= block->size;
    block->mark = BLOCK_DEAD;
}

static struct heap_block *heap_block_of(const struct rt_heap *heap, void *memory) {
    struct heap_block *block = (struct heap_block *)memory - 1;
    if (block->mark != BLOCK_LIVE || block->heap != heap) {
        rt_panic("memory %p is not of the heap it is freed in: %s", memory,
                 block->mark == BLOCK_DEAD   ? "freed before"
                 : block->mark == BLOCK_LIVE ? "allocated by another node"
                                             : "allocated outside, or overwritten");
    }
    return block;
}

// The usable alignment is at least 16 with and without a heap.
static void *heap_alloc(struct rt_heap *heap, size_t alignment, size_t size) {
    size_t slack = sizeof(struct heap_block) + (alignment > 16 ? alignment : 0);
    if (size > SIZE_MAX - slack) out_of_memory(size);
    char *base = malloc(size + slack);
    if (!base) out_of_memory(size);
    char *memory = base + sizeof(struct heap_block);
    if (alignment > 16) memory += (alignment - (uintptr_t)memory % alignment) % alignment;
    return heap_link(heap, base, (struct heap_block *)(void *)memory - 1, size);
}

void *rt_alloc(size_t size) {
    if (heap_current) return heap_alloc(heap_current, 1, size);
    void *memory = malloc(size ? size : 1);
    if (!memory) out_of_memory(size);
    return memory;
}

void *rt_alloc_zero(size_t count, size_t item_size) {
    if (item_size && count > SIZE_MAX / item_size) {
        rt_panic("out of memory: %zu items of %zu bytes asked for", count, item_size);
    }
    size_t size = count * item_size;
    if (heap_current) return memset(heap_alloc(heap_current, 1, size), 0, size);
    void *memory = calloc(1, size ? size : 1);
    if (!memory) out_of_memory(size);
    return memory;
}

void *rt_alloc_aligned(size_t alignment, size_t size) {
    assert(alignment && (alignment & (alignment - 1)) == 0);
    if (heap_current) return heap_alloc(heap_current, alignment, size);
    void *memory = NULL;
    if (alignment < sizeof(void *)) alignment = sizeof(void *);
    if (posix_memalign(&memory, alignment, size ? size : 1)) out_of_memory(size);
    if (!memory) out_of_memory(size);
    return memory;
}

static void *heap_realloc(struct rt_heap *heap, void *memory, size_t size) {
    struct heap_block *old = heap_block_of(heap, memory);
    void *moved = heap_alloc(heap, 1, size);
    memcpy(moved, memory, old->size < size ? old->size : size);
    rt_free(memory);
    return moved;
}

void *rt_realloc(void *memory, size_t size) {
    if (!memory) return rt_alloc(size);
    if (heap_current) return heap_realloc(heap_current, memory, size);
    void *moved = realloc(memory, size ? size : 1);
    if (!moved) out_of_memory(size);
    return moved;
}

void rt_free(void *memory) {
    if (!memory || !heap_current) {
        free(memory);
        return;
    }
    struct heap_block *block = heap_block_of(heap_current, memory);
    heap_unlink(block);
    free(block->base);
}

char *rt_strdup(const char *text) {
    size_t size = strlen(text) + 1;
    return memcpy(rt_alloc(size), text, size);
}

struct rt_heap *rt_heap_new(void) {
    struct rt_heap *heap = malloc(sizeof(*heap));  // outside of every heap
    if (!heap) out_of_memory(sizeof(*heap));
    rt_list_init(&heap->blocks);
    heap->bytes = 0;
    return heap;
}

void rt_heap_free_all(struct rt_heap *heap) {
    assert(heap != heap_current);
    while (!rt_list_is_empty(&heap->blocks)) {
        struct heap_block *block = rt_container_of(heap->blocks.next, struct heap_block, link);
        assert(block->mark == BLOCK_LIVE);
        heap_unlink(block);
        free(block->base);
    }
    assert(heap->bytes == 0);
    free(heap);
}

struct rt_heap *rt_heap_enter(struct rt_heap *heap) {
    struct rt_heap *previous = heap_current;
    heap_current = heap;
    return previous;
}

size_t rt_heap_bytes(const struct rt_heap *heap) {
    return heap->bytes;
}
