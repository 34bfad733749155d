#include <criterion/criterion.h>

#include "runtime/slice_queue.h"

static const uint8_t letters[] = "abcdefghijklmnopqrstuvwxyz";

static struct rt_slice part(size_t offset, size_t size) {
    return rt_slice_static(RT_BYTES(letters + offset, size));
}

// The alphabet in pieces of 1, 2, 3 ... bytes.
static struct rt_slice_queue alphabet(void) {
    struct rt_slice_queue queue = {0};
    size_t offset = 0;
    for (size_t size = 1; offset < 26; size++) {
        size_t fits = 26 - offset < size ? 26 - offset : size;
        rt_slice_queue_push(&queue, part(offset, fits));
        offset += fits;
    }
    return queue;
}

Test(runtime_slice_queue, bytes_leave_in_the_order_they_came) {
    struct rt_slice_queue queue = alphabet();
    for (size_t i = 0; i < 26; i++) {
        uint8_t letter;
        cr_assert_eq(queue.bytes, 26 - i);
        rt_slice_queue_copy(&queue, 0, 1, &letter);
        cr_assert_eq(letter, letters[i]);
        rt_slice_queue_skip(&queue, 1);
    }
    cr_assert_eq(queue.count, 0);
    rt_slice_queue_clear(&queue);
}

Test(runtime_slice_queue, every_range_can_be_copied_and_covered) {
    struct rt_slice_queue queue = alphabet();
    for (size_t offset = 0; offset <= 26; offset++) {
        for (size_t size = 0; size <= 26 - offset; size++) {
            uint8_t copy[26];
            rt_slice_queue_copy(&queue, offset, size, copy);
            cr_assert_arr_eq(copy, letters + offset, size);
            struct rt_slice pieces[26];
            unsigned count = rt_slice_queue_cover(&queue, offset, size, pieces, 26);
            size_t covered = 0;
            for (unsigned i = 0; i < count; i++) {
                cr_assert_eq(pieces[i].data, letters + offset + covered);
                covered += pieces[i].size;
            }
            cr_assert_eq(covered, size);
        }
    }
    rt_slice_queue_clear(&queue);
}

Test(runtime_slice_queue, cover_tells_how_many_pieces_it_would_take) {
    struct rt_slice_queue queue = alphabet();
    struct rt_slice pieces[2];
    cr_assert_eq(rt_slice_queue_cover(&queue, 0, 26, pieces, 2), queue.count);
    cr_assert_eq(pieces[1].size, 2);
    rt_slice_queue_clear(&queue);
}

Test(runtime_slice_queue, ring_goes_round_and_grows) {
    struct rt_slice_queue queue = {0};
    size_t pushed = 0, skipped = 0;
    for (unsigned round = 0; round < 1000; round++) {
        for (unsigned i = 0; i < round % 23; i++)
            rt_slice_queue_push(&queue, part(pushed++ % 26, 1));
        for (unsigned i = 0; i < round % 19 && queue.bytes > 0; i++) {
            cr_assert_eq(rt_slice_queue_at(&queue, 0)->data, letters + skipped++ % 26);
            rt_slice_queue_skip(&queue, 1);
        }
    }
    cr_assert_eq(queue.bytes, pushed - skipped);
    rt_slice_queue_clear(&queue);
}

Test(runtime_slice_queue, clear_drops_every_reference) {
    struct rt_slab_pool *pool = rt_slab_pool_new(0);
    struct rt_slab *slab = rt_slab_get(pool, 100, NULL);
    struct rt_slice_queue queue = {0};
    for (unsigned i = 0; i < 20; i++) rt_slice_queue_push(&queue, rt_slice_of_slab(slab, i, 5));
    rt_slice_queue_skip(&queue, 12);
    cr_assert_eq(atomic_load(&slab->refs), 1 + 18);
    rt_slice_queue_clear(&queue);
    cr_assert_eq(atomic_load(&slab->refs), 1);
    rt_slab_drop(slab);
    rt_slab_pool_free(pool);
}
