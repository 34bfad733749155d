// The formats: extents and the records of the index.
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "bookie/server/store/extent.h"
#include "bookie/server/store/index.h"
#include "bookie/server/store/ledger_file.h"
#include "runtime/mem.h"
#include "runtime/random.h"

enum { ITEMS_MAX = 300 };

struct sample {
    struct bookie_extent_item items[ITEMS_MAX];
    size_t count;
    uint8_t bytes[ITEMS_MAX * 100];
    struct rt_buf scratch, stored;
    uint8_t *memory;
    struct bookie_extent extent;
};

static struct sample *sample_make(uint64_t seed, size_t count, int64_t first, unsigned step_max,
                                  bool compress) {
    struct sample *sample = calloc(1, sizeof(*sample));
    struct rt_random random;
    rt_random_seed(&random, seed);
    sample->count = count;
    for (size_t i = 0; i < sizeof(sample->bytes); i++)
        sample->bytes[i] = (uint8_t)(i % 7 ? 'a' : rt_random_u64(&random));
    int64_t entry = first;
    for (size_t i = 0; i < count; i++) {
        size_t size = rt_random_below(&random, 100);
        sample->items[i] =
            (struct bookie_extent_item){entry, RT_BYTES(sample->bytes + i * 100, size)};
        if (i + 1 < count) entry += 1 + (int64_t)rt_random_below(&random, step_max);
    }
    bookie_extent_encode(-3, 12, sample->items, count, compress, &sample->scratch, &sample->stored);
    return sample;
}

static rt_err sample_open(struct sample *sample, struct rt_bytes stored) {
    struct bookie_extent_head head;
    rt_err err = bookie_extent_head_decode(stored, &head);
    if (err) return err;
    sample->memory = realloc(sample->memory, head.plain_size + 1);
    return bookie_extent_open(stored, sample->memory, &sample->extent);
}

static void sample_free(struct sample *sample) {
    rt_buf_fini(&sample->scratch);
    rt_buf_fini(&sample->stored);
    free(sample->memory);
    free(sample);
}

static void check_found(struct sample *sample) {
    struct rt_bytes body;
    cr_assert_eq(sample->extent.head.count, sample->count);
    for (size_t i = 0; i < sample->count; i++) {
        const struct bookie_extent_item *item = &sample->items[i];
        cr_assert_eq(bookie_extent_entry(&sample->extent, i), item->entry);
        cr_assert(bookie_extent_find(&sample->extent, item->entry, &body));
        cr_assert(rt_bytes_equal(body, item->body));
        bool is_next = i + 1 < sample->count && sample->items[i + 1].entry == item->entry + 1;
        if (item->entry == INT64_MAX) continue;
        cr_assert_eq(bookie_extent_find(&sample->extent, item->entry + 1, &body), is_next);
    }
    if (sample->items[0].entry > 0)
        cr_assert_not(bookie_extent_find(&sample->extent, sample->items[0].entry - 1, &body));
}

Test(bookie_store_extent, comes_back_whole_and_in_order) {
    for (uint64_t seed = 0; seed < 60; seed++) {
        size_t count = 1 + seed * 5 % ITEMS_MAX;
        struct sample *sample =
            sample_make(seed, count, (int64_t)seed * 1000, seed % 3 ? 1 : 40, seed % 2);
        cr_assert_eq(sample_open(sample, rt_buf_bytes(&sample->stored)), RT_OK);
        cr_assert_eq(sample->extent.head.ledger, -3);
        cr_assert_eq(sample->extent.head.generation, 12);
        check_found(sample);
        sample_free(sample);
    }
}

Test(bookie_store_extent, holds_the_last_ids_there_are) {
    struct sample *sample = sample_make(1, 100, INT64_MAX - 99, 1, true);
    cr_assert_eq(sample_open(sample, rt_buf_bytes(&sample->stored)), RT_OK);
    cr_assert_eq(sample->extent.head.last, INT64_MAX);
    check_found(sample);
    sample_free(sample);
}

Test(bookie_store_extent, consecutive_ids_need_no_table_and_text_is_compressed) {
    struct sample *plain = sample_make(1, 200, 0, 1, false);
    struct sample *gaps = sample_make(1, 200, 0, 2, false);
    struct sample *small = sample_make(1, 200, 0, 1, true);
    cr_assert_eq(sample_open(plain, rt_buf_bytes(&plain->stored)), RT_OK);
    cr_assert_eq(sample_open(gaps, rt_buf_bytes(&gaps->stored)), RT_OK);
    cr_assert_eq(sample_open(small, rt_buf_bytes(&small->stored)), RT_OK);
    cr_assert_not(plain->extent.head.has_gaps);
    cr_assert(gaps->extent.head.has_gaps);
    cr_assert(small->extent.head.is_compressed);
    cr_assert_lt(small->stored.size, plain->stored.size * 7 / 8);
    sample_free(plain);
    sample_free(gaps);
    sample_free(small);
}

Test(bookie_store_extent, what_does_not_shrink_is_stored_as_it_is) {
    uint8_t noise[4000];
    struct rt_random random;
    rt_random_seed(&random, 5);
    rt_random_fill(&random, noise, sizeof(noise));
    const struct bookie_extent_item item = {9, RT_BYTES(noise, sizeof(noise))};
    struct rt_buf scratch = {0}, stored = {0};
    struct bookie_extent extent;
    bookie_extent_encode(1, 1, &item, 1, true, &scratch, &stored);
    cr_assert_eq(stored.size, bookie_extent_size(1, sizeof(noise), false));
    cr_assert_eq(bookie_extent_open(rt_buf_bytes(&stored), NULL, &extent), RT_OK);
    cr_assert_not(extent.head.is_compressed);
    rt_buf_fini(&scratch);
    rt_buf_fini(&stored);
}

// Bytes written by version 1: they must stay readable.
Test(bookie_store_extent, format_is_as_it_always_was) {
    static const uint8_t golden[] = {0x47, 0x6d, 0x45, 0x78, 0xff, 0xff, 0xff, 0xff, 1,
                                     1,    0,    0,    0,    0,    0,    2,  // to the count
                                     0,    0,    0,    0,    0,    0,    0,    7,    0,
                                     0,    0,    0,    0,    0,    0,    5,  // ledger, first
                                     0,    0,    0,    0,    0,    0,    0,    8,    0,
                                     0,    0,    0,    0,    0,    0,    9,  // last, generation
                                     0,    0,    0,    21,   0,    0,    0,    21,  // sizes
                                     0,    0,    0,    0,    0,    0,    0,    3,   // ids
                                     0,    0,    0,    2,    0,    0,    0,    5,    'h',
                                     'i',  'y',  'o',  'u'};
    const struct bookie_extent_item items[] = {{5, RT_BYTES_LITERAL("hi")},
                                               {8, RT_BYTES_LITERAL("you")}};
    struct rt_buf scratch = {0}, stored = {0};
    bookie_extent_encode(7, 9, items, 2, false, &scratch, &stored);
    cr_assert_eq(stored.size, sizeof(golden));
    cr_assert_eq(memcmp(stored.data, golden, 4), 0);
    cr_assert_eq(memcmp(stored.data + 8, golden + 8, sizeof(golden) - 8), 0);
    rt_buf_fini(&scratch);
    rt_buf_fini(&stored);
}

Test(bookie_store_extent, any_bit_that_turns_and_any_cut_is_seen) {
    for (unsigned compress = 0; compress < 2; compress++) {
        struct sample *sample = sample_make(3, 12, 4, 5, compress);
        struct rt_bytes stored = rt_buf_bytes(&sample->stored);
        for (size_t bit = 0; bit < stored.size * 8; bit++) {
            sample->stored.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            cr_assert_eq(sample_open(sample, stored), RT_ECORRUPT, "bit %zu", bit);
            sample->stored.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        for (size_t size = 0; size < stored.size; size++) {
            cr_assert_eq(sample_open(sample, RT_BYTES(stored.data, size)), RT_ECORRUPT);
        }
        cr_assert_eq(sample_open(sample, stored), RT_OK);
        sample_free(sample);
    }
}

Test(bookie_store_extent, header_of_a_file_names_owner_and_id) {
    uint8_t page[BOOKIE_FILE_HEADER];
    uint64_t owner, id;
    bookie_file_header_encode(77, 5, page);
    cr_assert_eq(bookie_file_header_decode(RT_BYTES(page, sizeof(page)), &owner, &id), RT_OK);
    cr_assert_eq(owner, 77);
    cr_assert_eq(id, 5);
    for (size_t bit = 0; bit < 40 * 8; bit++) {
        page[bit / 8] ^= (uint8_t)(1u << bit % 8);
        cr_assert_eq(bookie_file_header_decode(RT_BYTES(page, sizeof(page)), &owner, &id),
                     RT_ECORRUPT);
        page[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    cr_assert_eq(bookie_file_header_decode(RT_BYTES(page, 39), &owner, &id), RT_ECORRUPT);
}

Test(bookie_store_extent, names_of_files_are_read_back_and_nothing_else_is) {
    char name[BOOKIE_FILE_NAME_SIZE];
    uint64_t id;
    bookie_file_name(UINT64_C(0xfedcba9876543210), name);
    cr_assert(bookie_file_name_parse(name, &id));
    cr_assert_eq(id, UINT64_C(0xfedcba9876543210));
    cr_assert_not(bookie_file_name_parse("fedcba9876543210.gel.unknown", &id));
    cr_assert_not(bookie_file_name_parse("FEDCBA9876543210.gel", &id));
    cr_assert_not(bookie_file_name_parse("edcba9876543210.gel", &id));
    cr_assert_not(bookie_file_name_parse("", &id));
}

Test(bookie_store_extent, ledger_record_comes_back_and_no_piece_of_it_passes) {
    struct bookie_ledger ledger = {.id = 9, .exists = true, .fenced = true, .span_max = 300};
    struct bookie_ledger found = {.id = 9};
    struct rt_buf value = {0};
    ledger.key_size = 20;
    memset(ledger.key, 0, sizeof(ledger.key));  // zeroes are a key too
    rt_buf_append(&ledger.explicit_lac, RT_BYTES_LITERAL("lac"));
    bookie_ledger_record_write(&ledger, INT64_MAX, &value);
    cr_assert_eq(bookie_ledger_record_read(rt_buf_bytes(&value), &found), RT_OK);
    cr_assert(found.exists && found.fenced && !found.limbo);
    cr_assert_eq(found.key_size, 20);
    cr_assert_eq(found.last_entry, INT64_MAX);
    cr_assert_eq(found.span_max, 300);
    cr_assert(rt_bytes_equal(rt_buf_bytes(&found.explicit_lac), RT_BYTES_LITERAL("lac")));
    for (size_t size = 0; size < value.size - 3; size++) {
        struct bookie_ledger cut = {.id = 9};
        cr_assert_eq(bookie_ledger_record_read(RT_BYTES(value.data, size), &cut), RT_ECORRUPT);
    }
    rt_buf_fini(&value);
    rt_buf_fini(&ledger.explicit_lac);
    rt_buf_fini(&found.explicit_lac);
}

Test(bookie_store_extent, keys_of_ledgers_order_as_their_ids) {
    static const int64_t ids[] = {INT64_MIN, -1, 0, 1, 255, 256, INT64_MAX};
    uint8_t before[BOOKIE_LEDGER_KEY], key[BOOKIE_LEDGER_KEY];
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        int64_t id;
        bookie_ledger_key(ids[i], key);
        cr_assert_eq(bookie_ledger_key_read(RT_BYTES(key, sizeof(key)), &id), RT_OK);
        cr_assert_eq(id, ids[i]);
        if (i > 0) cr_assert_lt(memcmp(before, key, sizeof(key)), 0);
        memcpy(before, key, sizeof(key));
    }
}
