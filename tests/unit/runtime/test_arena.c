#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

#include "runtime/arena.h"
#include "runtime/backend.h"

Test(runtime_arena, memory_is_aligned_and_does_not_overlap) {
    struct rt_arena arena = {0};
    uint8_t *pieces[300];
    for (size_t i = 0; i < 300; i++) {
        pieces[i] = rt_arena_alloc(&arena, i * 7 % 100);
        cr_assert_eq((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
        memset(pieces[i], (int)(i % 251), i * 7 % 100);
    }
    for (size_t i = 0; i < 300; i++) {
        for (size_t k = 0; k < i * 7 % 100; k++) cr_assert_eq(pieces[i][k], i % 251);
    }
    rt_arena_fini(&arena);
}

Test(runtime_arena, one_allocation_may_be_larger_than_a_chunk) {
    struct rt_arena arena = {.chunk_size = 64};
    uint8_t *small = rt_arena_alloc(&arena, 10);
    uint8_t *large = rt_arena_alloc(&arena, 100000);
    memset(small, 1, 10);
    memset(large, 2, 100000);
    cr_assert_eq(small[9], 1);
    cr_assert_geq(arena.used_bytes, 100010);
    rt_arena_fini(&arena);
}

Test(runtime_arena, a_request_that_fits_the_first_chunk_allocates_nothing_in_the_steady_state) {
    struct rt_heap *heap = rt_heap_new();
    rt_heap_enter(heap);
    struct rt_arena arena = {0};
    rt_arena_alloc(&arena, 100);
    size_t bytes = rt_heap_bytes(heap);
    for (unsigned request = 0; request < 10; request++) {
        rt_arena_alloc(&arena, 3000);
        cr_assert_eq(rt_heap_bytes(heap), bytes);
        rt_arena_clear(&arena);
        cr_assert_eq(arena.used_bytes, 0);
    }
    rt_arena_alloc(&arena, 30000);
    rt_arena_clear(&arena);
    cr_assert_eq(rt_heap_bytes(heap), bytes, "only the first chunk survives");
    rt_arena_fini(&arena);
    cr_assert_eq(rt_heap_bytes(heap), 0);
    rt_heap_enter(NULL);
    rt_heap_free_all(heap);
}

Test(runtime_arena, texts_and_copies_are_their_own) {
    struct rt_arena arena = {0};
    char source[] = "abc";
    char *text = rt_arena_text(&arena, RT_BYTES(source, 2));
    struct rt_bytes copy = rt_arena_copy(&arena, RT_BYTES(source, 3));
    source[0] = 'x';
    cr_assert_str_eq(text, "ab");
    cr_assert(rt_bytes_equal(copy, RT_BYTES_LITERAL("abc")));
    cr_assert_str_eq(rt_arena_text(&arena, RT_BYTES(NULL, 0)), "");
    cr_assert_eq(rt_arena_copy(&arena, RT_BYTES(NULL, 0)).size, 0);
    cr_assert_str_eq(rt_arena_print(&arena, "%d-%s", 7, "x"), "7-x");
    const uint64_t *zeroes = rt_arena_zero(&arena, 1000, sizeof(uint64_t));
    for (size_t i = 0; i < 1000; i++) cr_assert_eq(zeroes[i], 0);
    rt_arena_fini(&arena);
}

Test(runtime_arena, an_empty_arena_clears_and_ends) {
    struct rt_arena arena = {0};
    rt_arena_clear(&arena);
    rt_arena_fini(&arena);
    rt_arena_fini(&arena);
}
