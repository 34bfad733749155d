// Heap memory. Every allocation of ours comes from here: it never returns NULL (running out of
// memory ends the process with a line that says so; sizes that come from outside are checked
// against a limit first), and the simulator can take back all that a crashed node held.
//
// Threads: any. What is allocated inside a simulated node is freed inside it, or by its crash.
#ifndef GEMINGA_RUNTIME_MEM_H
#define GEMINGA_RUNTIME_MEM_H

#include <stddef.h>

#define RT_MALLOC __attribute__((malloc, returns_nonnull, warn_unused_result))

void *rt_alloc(size_t size) RT_MALLOC;                          // not cleared
void *rt_alloc_zero(size_t count, size_t item_size) RT_MALLOC;  // cleared, product checked
void *rt_realloc(void *memory, size_t size);                    // as realloc, never NULL
void *rt_alloc_aligned(size_t alignment, size_t size) RT_MALLOC;
void rt_free(void *memory);  // any of the above, or NULL
char *rt_strdup(const char *text) RT_MALLOC;

#define RT_NEW(type) ((type *)rt_alloc_zero(1, sizeof(type)))

// Recovers the structure that embeds `pointer` as `member`.
#define rt_container_of(pointer, type, member) \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif
