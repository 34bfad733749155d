// Extents as they come from a disk: opening never reads past the end, and what is accepted can be
// walked through and encodes to an extent with the same entries. The first byte of the input says
// whether the checksum is put right first.
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "bookie/server/store/extent.h"
#include "runtime/crc32c.h"
#include "runtime/mem.h"
#include "tests/fuzz/fuzz.h"

static void check_again(const struct bookie_extent *extent) {
    struct bookie_extent_item *items = rt_alloc_zero(extent->head.count, sizeof(*items));
    struct rt_buf scratch = {0}, again = {0};
    for (uint32_t i = 0; i < extent->head.count; i++) {
        items[i].entry = bookie_extent_entry(extent, i);
        items[i].body = bookie_extent_body(extent, i);
        struct rt_bytes body;
        assert(bookie_extent_find(extent, items[i].entry, &body));
        assert(rt_bytes_equal(body, items[i].body));
    }
    bookie_extent_encode(extent->head.ledger, extent->head.generation, items, extent->head.count,
                         false, &scratch, &again);
    struct bookie_extent opened;
    assert(bookie_extent_open(rt_buf_bytes(&again), NULL, &opened) == RT_OK);
    assert(rt_bytes_equal(opened.plain, extent->plain));
    assert(opened.head.last == extent->head.last && opened.head.count == extent->head.count);
    rt_buf_fini(&scratch);
    rt_buf_fini(&again);
    rt_free(items);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    size_t stored_size = size - 1;
    uint8_t *stored = malloc(stored_size + 1);
    if (!stored) abort();
    memcpy(stored, data + 1, stored_size);
    struct rt_bytes bytes = RT_BYTES(stored, stored_size);
    if (data[0] & 1 && stored_size > 8) {
        struct rt_writer w = rt_writer_over(stored + 4, 4);
        rt_write_be32(&w, rt_crc32c(0, RT_BYTES(stored + 8, stored_size - 8)));
    }
    struct bookie_extent_head head;
    if (bookie_extent_head_decode(bytes, &head) == RT_OK && head.plain_size < 1 << 20) {
        uint8_t *memory = malloc(head.plain_size + 1);
        struct bookie_extent extent;
        if (!memory) abort();
        if (bookie_extent_open(bytes, memory, &extent) == RT_OK) check_again(&extent);
        free(memory);
    }
    free(stored);
    return 0;
}
