#include <criterion/criterion.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>

#include "runtime/backend.h"

Test(runtime_mem, zeroed_and_copied_memory_is_what_it_says) {
    uint8_t *zeroes = rt_alloc_zero(100, 10);
    for (size_t i = 0; i < 1000; i++) cr_assert_eq(zeroes[i], 0);
    char *text = rt_strdup("text");
    cr_assert_str_eq(text, "text");
    rt_free(zeroes);
    rt_free(text);
    rt_free(NULL);
}

static void check_aligned(void) {
    for (size_t alignment = 1; alignment <= 4096; alignment *= 2) {
        for (size_t size = 0; size < 100; size += 33) {
            uint8_t *memory = rt_alloc_aligned(alignment, size);
            cr_assert_eq((uintptr_t)memory % alignment, 0);
            memset(memory, 1, size);
            rt_free(memory);
        }
    }
}

Test(runtime_mem, aligned_memory_is_aligned_inside_and_outside_of_a_node) {
    check_aligned();
    struct rt_heap *heap = rt_heap_new();
    rt_heap_enter(heap);
    check_aligned();
    cr_assert_eq(rt_heap_bytes(heap), 0);
    rt_heap_enter(NULL);
    rt_heap_free_all(heap);
}

static void check_realloc(void) {
    uint8_t *memory = rt_realloc(NULL, 1);
    memory[0] = 0;
    for (size_t size = 2; size < 300; size++) {
        memory = rt_realloc(memory, size);
        memory[size - 1] = (uint8_t)(size - 1);
        for (size_t i = 0; i < size; i++) cr_assert_eq(memory[i], (uint8_t)i);
    }
    memory = rt_realloc(memory, 5);
    for (size_t i = 0; i < 5; i++) cr_assert_eq(memory[i], i);
    memory = rt_realloc(memory, 0);
    cr_assert_not_null(memory);
    rt_free(memory);
}

Test(runtime_mem, reallocation_keeps_the_content) {
    check_realloc();
    struct rt_heap *heap = rt_heap_new();
    rt_heap_enter(heap);
    check_realloc();
    cr_assert_eq(rt_heap_bytes(heap), 0);
    rt_heap_enter(NULL);
    rt_heap_free_all(heap);
}

Test(runtime_mem, a_crash_takes_back_all_that_the_node_held_and_nothing_else) {
    char *outside = rt_strdup("outside");
    struct rt_heap *heap = rt_heap_new();
    cr_assert_null(rt_heap_enter(heap));
    for (size_t i = 0; i < 1000; i++) memset(rt_alloc(i), 1, i);
    void *freed = rt_alloc_zero(10, 10);
    char *aligned = rt_alloc_aligned(4096, 10000);
    memset(aligned, 1, 10000);
    rt_free(freed);
    cr_assert_eq(rt_heap_bytes(heap), 999 * 1000 / 2 + 10000);
    cr_assert_eq(rt_heap_enter(NULL), heap);
    rt_heap_free_all(heap);  // the leak checker sees what it forgets
    cr_assert_str_eq(outside, "outside");
    rt_free(outside);
}

Test(runtime_mem, two_nodes_count_their_own_bytes) {
    struct rt_heap *a = rt_heap_new(), *b = rt_heap_new();
    rt_heap_enter(a);
    void *of_a = rt_alloc(100);
    cr_assert_eq(rt_heap_enter(b), a);
    void *of_b = rt_alloc(10);
    cr_assert_eq(rt_heap_bytes(a), 100);
    cr_assert_eq(rt_heap_bytes(b), 10);
    rt_free(of_b);
    rt_heap_enter(a);
    rt_free(of_a);
    rt_heap_enter(NULL);
    rt_heap_free_all(a);
    rt_heap_free_all(b);
}

Test(runtime_mem, memory_of_another_node_cannot_be_freed, .signal = SIGABRT) {
    struct rt_heap *a = rt_heap_new(), *b = rt_heap_new();
    rt_heap_enter(a);
    void *of_a = rt_alloc(100);
    rt_heap_enter(b);
    rt_free(of_a);
}

Test(runtime_mem, a_product_of_sizes_that_overflows_ends_the_process, .signal = SIGABRT) {
    void *memory = rt_alloc_zero(SIZE_MAX / 2, 3);
    cr_log_error("got %p", memory);
}

Test(runtime_mem, running_out_of_memory_ends_the_process, .signal = SIGABRT) {
    struct rt_heap *heap = rt_heap_new();
    rt_heap_enter(heap);
    void *memory = rt_alloc(SIZE_MAX - 8);
    cr_log_error("got %p", memory);
}
