// Formats: round trips, golden bytes, every truncation, every flipped bit.
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "bookie/server/journal/format.h"
#include "runtime/crc32c.h"

static const struct journal_header segment_header = {
    .owner = 0x1122334455667788, .number = 9, .salt = 0xfeedfacecafef00d, .follows = {8, 8192}};
static const struct bookie_mark place = {9, 12288};

// Two records, "journal" and an empty one.
static size_t batch_make(uint8_t *out, struct journal_batch_header *header) {
    uint8_t *body = out + JOURNAL_BATCH_HEADER_SIZE;
    struct rt_writer w = rt_writer_over(body, 64);
    rt_write_be32(&w, 7);
    rt_write_bytes(&w, RT_BYTES_LITERAL("journal"));
    rt_write_be32(&w, 0);
    *header = (struct journal_batch_header){
        .body_crc = rt_crc32c(0, RT_BYTES(body, w.written)),
        .size = (uint32_t)(JOURNAL_BATCH_HEADER_SIZE + w.written),
        .count = 2,
        .at = place,
        .before = place,
        .durable = {9, 4096},
    };
    bookie_journal_batch_encode(header, bookie_journal_seed(&segment_header), out);
    return header->size;
}

static rt_err batch_read(struct rt_bytes bytes, uint32_t seed, struct bookie_mark at) {
    struct journal_batch_header header;
    rt_err err = bookie_journal_batch_decode(bytes, seed, at, &header);
    return err ? err : bookie_journal_batch_check(bytes, &header);
}

static void hex_check(const uint8_t *bytes, size_t size, const char *hex) {
    cr_assert_eq(strlen(hex), 2 * size);
    for (size_t i = 0; i < size; i++) {
        char digits[3];
        snprintf(digits, sizeof(digits), "%02x", bytes[i]);
        cr_assert(strncmp(digits, hex + 2 * i, 2) == 0, "byte %zu is %s", i, digits);
    }
}

Test(bookie_journal_format, names_are_parsed_as_they_are_made) {
    char name[JOURNAL_NAME_SIZE];
    uint64_t number = 0;
    for (unsigned kind = JOURNAL_NAME_SEGMENT; kind <= JOURNAL_NAME_NEW; kind++) {
        bookie_journal_name((enum journal_name)kind, 0xabc, name);
        cr_assert_eq(bookie_journal_name_parse(name, &number), kind);
        cr_assert_eq(number, 0xabc);
    }
    cr_assert_str_eq(name, "0000000000000abc.new");
    static const char *const others[] = {"",
                                         "LOCK",
                                         "0000000000000abc",
                                         "0000000000000abc.journal2",
                                         "0000000000000ABC.journal",
                                         "000000000000abc.journal",
                                         "0000000000000000.journal",
                                         "00000000000000abc.journal"};
    for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        cr_assert_eq(bookie_journal_name_parse(others[i], &number), JOURNAL_NAME_OTHER);
}

Test(bookie_journal_format, header_has_its_golden_bytes_and_reads_back) {
    uint8_t bytes[JOURNAL_SEGMENT_HEADER_SIZE];
    bookie_journal_header_encode(&segment_header, bytes);
    hex_check(bytes, sizeof(bytes),
              "476d4a730000000111223344556677880000000000000009feedfacecafef00d"
              "00000000000000080000000000002000"
              "75984444");
    struct journal_header header;
    cr_assert_eq(bookie_journal_header_decode(RT_BYTES(bytes, sizeof(bytes)), &header), RT_OK);
    cr_assert_eq(header.owner, segment_header.owner);
    cr_assert_eq(header.number, 9);
    cr_assert_eq(header.salt, segment_header.salt);
    cr_assert_eq(bookie_mark_compare(header.follows, segment_header.follows), 0);
}

Test(bookie_journal_format, header_that_was_cut_or_changed_is_refused) {
    uint8_t bytes[JOURNAL_SEGMENT_HEADER_SIZE];
    bookie_journal_header_encode(&segment_header, bytes);
    struct journal_header header;
    for (size_t size = 0; size < sizeof(bytes); size++)
        cr_assert_eq(bookie_journal_header_decode(RT_BYTES(bytes, size), &header), RT_ECORRUPT);
    for (size_t bit = 0; bit < 8 * sizeof(bytes); bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        cr_assert_eq(bookie_journal_header_decode(RT_BYTES(bytes, sizeof(bytes)), &header),
                     RT_ECORRUPT, "bit %zu", bit);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

Test(bookie_journal_format, header_that_follows_itself_is_refused) {
    uint8_t bytes[JOURNAL_SEGMENT_HEADER_SIZE];
    struct journal_header header = segment_header;
    header.follows.segment = header.number;
    bookie_journal_header_encode(&header, bytes);
    cr_assert_eq(bookie_journal_header_decode(RT_BYTES(bytes, sizeof(bytes)), &header),
                 RT_ECORRUPT);
}

Test(bookie_journal_format, batch_has_its_golden_bytes_and_reads_back) {
    uint8_t bytes[256];
    struct journal_batch_header header, read;
    size_t size = batch_make(bytes, &header);
    hex_check(bytes, size,
              "476d4a627320c295e0d19bc0000000570000000200000000"
              "00000000000000090000000000003000"
              "00000000000000090000000000003000"
              "00000000000000090000000000001000"
              "000000076a6f75726e616c00000000");
    uint32_t seed = bookie_journal_seed(&segment_header);
    cr_assert_eq(bookie_journal_batch_decode(RT_BYTES(bytes, size), seed, place, &read), RT_OK);
    cr_assert_eq(bookie_journal_batch_check(RT_BYTES(bytes, size), &read), RT_OK);
    cr_assert_eq(read.count, 2);
    cr_assert_eq(read.durable.offset, 4096);
}

Test(bookie_journal_format, batch_that_was_cut_or_changed_is_refused) {
    uint8_t bytes[256];
    struct journal_batch_header header;
    size_t size = batch_make(bytes, &header);
    uint32_t seed = bookie_journal_seed(&segment_header);
    for (size_t cut = 0; cut < size; cut++)
        cr_assert_eq(batch_read(RT_BYTES(bytes, cut), seed, place), RT_ECORRUPT);
    for (size_t bit = 0; bit < 8 * size; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        cr_assert_eq(batch_read(RT_BYTES(bytes, size), seed, place), RT_ECORRUPT, "bit %zu", bit);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    cr_assert_eq(batch_read(RT_BYTES(bytes, size), seed, place), RT_OK);
}

Test(bookie_journal_format, batch_of_another_place_or_use_is_refused) {
    uint8_t bytes[256];
    struct journal_batch_header header;
    size_t size = batch_make(bytes, &header);
    struct bookie_mark elsewhere = {place.segment, place.offset + JOURNAL_PAGE};
    uint32_t seed = bookie_journal_seed(&segment_header);
    cr_assert_eq(batch_read(RT_BYTES(bytes, size), seed, elsewhere), RT_ECORRUPT);
    struct journal_header others[] = {segment_header, segment_header, segment_header};
    others[0].owner++;
    others[1].number++;
    others[2].salt++;
    for (unsigned i = 0; i < 3; i++) {
        seed = bookie_journal_seed(&others[i]);
        cr_assert_eq(batch_read(RT_BYTES(bytes, size), seed, place), RT_ECORRUPT);
    }
}

Test(bookie_journal_format, batch_whose_records_do_not_add_up_is_refused) {
    uint8_t bytes[256];
    struct journal_batch_header header;
    size_t size = batch_make(bytes, &header);
    uint8_t *body = bytes + JOURNAL_BATCH_HEADER_SIZE;
    body[3] = 200;
    header.body_crc = rt_crc32c(0, RT_BYTES(body, size - JOURNAL_BATCH_HEADER_SIZE));
    cr_assert_eq(bookie_journal_batch_check(RT_BYTES(bytes, size), &header), RT_ECORRUPT);
    batch_make(bytes, &header);
    header.count = 3;
    cr_assert_eq(bookie_journal_batch_check(RT_BYTES(bytes, size), &header), RT_ECORRUPT);
}

Test(bookie_journal_format, marks_are_ordered_by_segment_and_offset) {
    struct bookie_mark least = {0, 0}, low = {3, 9000}, high = {4, 5}, higher = {4, 6};
    cr_assert_lt(bookie_mark_compare(least, low), 0);
    cr_assert_lt(bookie_mark_compare(low, high), 0);
    cr_assert_lt(bookie_mark_compare(high, higher), 0);
    cr_assert_gt(bookie_mark_compare(higher, low), 0);
    cr_assert_eq(bookie_mark_compare(low, low), 0);
}
