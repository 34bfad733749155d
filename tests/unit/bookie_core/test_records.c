// The layout of the journal's records, and the memory of deleted ledgers.
#include <criterion/criterion.h>
#include <string.h>

#include "bookie/server/core/forgotten.h"
#include "bookie/server/core/records.h"
#include "runtime/loop.h"

static const uint64_t day_ns = UINT64_C(24) * 60 * 60 * RT_NS_PER_S;

static const struct {
    enum bookie_record_kind kind;
    uint8_t bytes[22];
} golden[] = {
    {BOOKIE_RECORD_KEY,
     {0, 0, 0, 0, 0, 0, 1, 2, 255, 255, 255, 255, 255, 255, 0xf0, 0, 0, 0, 0, 2, 'a', 'b'}},
    {BOOKIE_RECORD_FENCE,
     {0, 0, 0, 0, 0, 0, 1, 2, 255, 255, 255, 255, 255, 255, 0xe0, 0, 0, 0, 0, 2, 'a', 'b'}},
    {BOOKIE_RECORD_EXPLICIT_LAC,
     {0, 0, 0, 0, 0, 0, 1, 2, 255, 255, 255, 255, 255, 255, 0x80, 0, 0, 0, 0, 2, 'a', 'b'}},
};

Test(bookie_core_records, meta_records_have_bookkeepers_layout) {
    for (size_t i = 0; i < sizeof(golden) / sizeof(golden[0]); i++) {
        uint8_t bytes[22];
        struct bookie_record record;
        bookie_record_head(golden[i].kind, 258, 2, bytes);
        memcpy(bytes + BOOKIE_RECORD_HEAD, "ab", 2);
        cr_assert_arr_eq(bytes, golden[i].bytes, sizeof(bytes));
        cr_assert_eq(bookie_record_read(RT_BYTES(bytes, sizeof(bytes)), &record), RT_OK);
        cr_assert_eq(record.kind, golden[i].kind);
        cr_assert_eq(record.ledger, 258);
        cr_assert(record.has_body && rt_bytes_equal(record.body, RT_BYTES_LITERAL("ab")));
    }
}

Test(bookie_core_records, no_truncation_of_a_record_is_one_but_bookkeepers_fence) {
    for (size_t i = 0; i < sizeof(golden) / sizeof(golden[0]); i++) {
        for (size_t size = 0; size < sizeof(golden[i].bytes); size++) {
            struct bookie_record record;
            rt_err err = bookie_record_read(RT_BYTES(golden[i].bytes, size), &record);
            bool is_fence = golden[i].kind == BOOKIE_RECORD_FENCE && size == 16;
            cr_assert_eq(err, is_fence ? RT_OK : RT_ECORRUPT, "%zu bytes of %zu", size, i);
            if (is_fence) cr_assert(!record.has_body);
        }
    }
}

Test(bookie_core_records, an_entry_is_a_record_as_it_is) {
    uint8_t bytes[25] = {0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0,  0,
                         0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3, 'x'};
    struct bookie_record record;
    cr_assert_eq(bookie_record_read(RT_BYTES(bytes, sizeof(bytes)), &record), RT_OK);
    cr_assert(record.kind == BOOKIE_RECORD_ENTRY && record.ledger == 1 && record.entry == 2);
    cr_assert(record.lac == 3 && record.body.size == sizeof(bytes));
    cr_assert_eq(bookie_record_read(RT_BYTES(bytes, 23), &record), RT_ECORRUPT);
    bytes[0] = 0x80;
    cr_assert_eq(bookie_record_read(RT_BYTES(bytes, sizeof(bytes)), &record), RT_ECORRUPT);
}

Test(bookie_core_records, an_unknown_meta_record_is_known_to_be_unknown) {
    uint8_t bytes[16] = {0};
    struct bookie_record record;
    memset(bytes + 8, 0xff, 8);
    cr_assert_eq(bookie_record_read(RT_BYTES(bytes, sizeof(bytes)), &record), RT_OK);
    cr_assert_eq(record.kind, BOOKIE_RECORD_OTHER);
}

// FORGOTTEN LEDGERS

Test(bookie_core_records, a_forgotten_ledger_is_remembered_for_at_least_seven_days) {
    for (unsigned hour = 0; hour < 24; hour++) {
        struct bookie_forgotten forgotten = {0};
        uint64_t start_ns = 100 * day_ns + hour * day_ns / 24;
        bookie_forgotten_add(&forgotten, 5, start_ns);
        cr_assert(bookie_forgotten_has(&forgotten, 5, start_ns + 7 * day_ns));
        cr_assert(!bookie_forgotten_has(&forgotten, 6, start_ns));
        cr_assert(!bookie_forgotten_has(&forgotten, 5, start_ns + 8 * day_ns));
        cr_assert_eq(forgotten.count, 0, "and its memory given back");
        bookie_forgotten_fini(&forgotten);
    }
}

Test(bookie_core_records, a_million_forgotten_ledgers_over_a_fortnight) {
    struct bookie_forgotten forgotten = {0};
    const int64_t count = 1000000, a_day = count / 14 + 1;
    for (int64_t i = 0; i < count; i++) {
        bookie_forgotten_add(&forgotten, i * 1024, (uint64_t)(i / a_day) * day_ns);
        bookie_forgotten_add(&forgotten, i * 1024, (uint64_t)(i / a_day) * day_ns);
    }
    cr_assert_leq(forgotten.count, (size_t)(8 * a_day));
    for (int64_t i = 0; i < count; i++) {
        bool expected = i / a_day >= 13 - 7;
        cr_assert_eq(bookie_forgotten_has(&forgotten, i * 1024, 13 * day_ns), expected);
    }
    bookie_forgotten_fini(&forgotten);
}
