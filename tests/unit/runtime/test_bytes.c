#include <criterion/criterion.h>
#include <string.h>

#include "runtime/bytes.h"
#include "runtime/mem.h"

Test(runtime_bytes, equality_and_order_are_those_of_memcmp_with_the_shorter_first) {
    struct rt_bytes ab = RT_BYTES_LITERAL("ab"), abc = RT_BYTES_LITERAL("abc");
    struct rt_bytes high = RT_BYTES_LITERAL("\xff"), none = {NULL, 0};
    cr_assert(rt_bytes_equal(ab, rt_bytes_of("ab")));
    cr_assert_not(rt_bytes_equal(ab, abc));
    cr_assert(rt_bytes_equal(none, RT_BYTES_LITERAL("")));
    cr_assert_lt(rt_bytes_compare(ab, abc), 0);
    cr_assert_gt(rt_bytes_compare(high, abc), 0, "bytes are unsigned");
    cr_assert_lt(rt_bytes_compare(none, ab), 0);
    cr_assert_eq(rt_bytes_compare(none, none), 0);
}

Test(runtime_bytes, prefixes_and_skips_stay_inside) {
    struct rt_bytes abc = RT_BYTES_LITERAL("abc"), none = {NULL, 0};
    cr_assert(rt_bytes_starts_with(abc, RT_BYTES_LITERAL("ab")));
    cr_assert(rt_bytes_starts_with(abc, none));
    cr_assert_not(rt_bytes_starts_with(none, abc));
    cr_assert(rt_bytes_equal(rt_bytes_skip(abc, 2), RT_BYTES_LITERAL("c")));
    cr_assert_eq(rt_bytes_skip(abc, SIZE_MAX).size, 0);
    cr_assert_eq(rt_bytes_skip(none, 5).size, 0);
}

Test(runtime_bytes, integers_have_the_bytes_that_the_formats_say) {
    struct rt_buf buf = {0};
    struct rt_writer w = rt_writer_into(&buf);
    rt_write_u8(&w, 0x01);
    rt_write_be16(&w, 0x0203);
    rt_write_be32(&w, 0x04050607);
    rt_write_be64(&w, UINT64_C(0x08090a0b0c0d0e0f));
    rt_write_le16(&w, 0x1110);
    rt_write_le32(&w, 0x15141312);
    rt_write_le64(&w, UINT64_C(0x1d1c1b1a19181716));
    rt_write_bytes(&w, RT_BYTES_LITERAL("\x1e\x1f"));
    rt_write_bytes(&w, RT_BYTES(NULL, 0));
    cr_assert_eq(w.written, 31);
    cr_assert_eq(buf.size, 31);
    for (uint8_t i = 0; i < 31; i++) cr_assert_eq(buf.data[i], i + 1);
    rt_buf_fini(&buf);
}

Test(runtime_bytes, what_was_written_reads_back) {
    uint8_t memory[64];
    struct rt_writer w = rt_writer_over(memory, sizeof(memory));
    rt_write_be16(&w, 0xfffe);
    rt_write_be32(&w, 0xfffefdfc);
    rt_write_be64(&w, UINT64_MAX - 1);
    rt_write_le16(&w, 0xfffe);
    rt_write_le32(&w, 0xfffefdfc);
    rt_write_le64(&w, UINT64_MAX - 1);
    rt_write_u8(&w, 0x80);
    rt_write_bytes(&w, RT_BYTES_LITERAL("tail"));
    cr_assert_not(rt_writer_failed(&w));
    struct rt_reader r = rt_reader_over(RT_BYTES(memory, w.written));
    cr_assert_eq(rt_read_be16(&r), 0xfffe);
    cr_assert_eq(rt_read_be32(&r), 0xfffefdfc);
    cr_assert_eq(rt_read_be64(&r), UINT64_MAX - 1);
    cr_assert_eq(rt_read_le16(&r), 0xfffe);
    cr_assert_eq(rt_read_le32(&r), 0xfffefdfc);
    cr_assert_eq(rt_read_le64(&r), UINT64_MAX - 1);
    cr_assert_eq(rt_read_u8(&r), 0x80);
    cr_assert_not(rt_reader_done(&r));
    cr_assert_eq(rt_reader_left(&r), 4);
    cr_assert(rt_bytes_equal(rt_read_rest(&r), rt_bytes_of("tail")));
    cr_assert(rt_reader_done(&r));
}

Test(runtime_bytes, a_reader_that_failed_answers_zero_and_has_nothing_left) {
    for (size_t size = 0; size < 8; size++) {
        uint8_t *exact = rt_alloc(size);  // a read behind it is seen by the sanitizer
        memset(exact, 0xee, size);
        struct rt_reader r = rt_reader_over(RT_BYTES(exact, size));
        cr_assert_eq(rt_read_be64(&r), 0);
        cr_assert(rt_reader_failed(&r));
        cr_assert_eq(rt_read_u8(&r), 0);
        cr_assert_eq(rt_read_bytes(&r, 1).size, 0);
        cr_assert_eq(rt_read_rest(&r).size, 0);
        cr_assert_eq(rt_reader_left(&r), 0);
        cr_assert_not(rt_reader_done(&r));
        rt_free(exact);
    }
}

Test(runtime_bytes, a_length_from_outside_cannot_reach_behind_the_end) {
    struct rt_reader r = rt_reader_over(RT_BYTES_LITERAL("abc"));
    cr_assert_eq(rt_read_bytes(&r, SIZE_MAX).size, 0);
    cr_assert(rt_reader_failed(&r));
    struct rt_reader none = rt_reader_over(RT_BYTES(NULL, 0));
    cr_assert(rt_reader_done(&none));
    cr_assert_eq(rt_read_bytes(&none, 0).size, 0);
    cr_assert(rt_reader_done(&none));
}

Test(runtime_bytes, a_forbidden_field_fails_the_reader) {
    struct rt_reader r = rt_reader_over(RT_BYTES_LITERAL("abc"));
    rt_reader_fail(&r);
    cr_assert(rt_reader_failed(&r));
    cr_assert_eq(rt_read_u8(&r), 0);
}

static const struct {
    uint64_t value;
    const char *bytes;
    size_t size;
} varints[] = {
    {0, "\0", 1},
    {127, "\x7f", 1},
    {128, "\x80\x01", 2},
    {300, "\xac\x02", 2},
    {UINT32_MAX, "\xff\xff\xff\xff\x0f", 5},
    {INT64_MAX, "\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 9},
    {UINT64_MAX, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10},
};

Test(runtime_bytes, varints_have_their_golden_bytes_and_fail_at_every_truncation) {
    for (size_t i = 0; i < sizeof(varints) / sizeof(varints[0]); i++) {
        struct rt_bytes golden = RT_BYTES(varints[i].bytes, varints[i].size);
        uint8_t memory[10];
        struct rt_writer w = rt_writer_over(memory, sizeof(memory));
        rt_write_varint(&w, varints[i].value);
        cr_assert(rt_bytes_equal(RT_BYTES(memory, w.written), golden));
        struct rt_reader r = rt_reader_over(golden);
        cr_assert_eq(rt_read_varint(&r), varints[i].value);
        cr_assert(rt_reader_done(&r));
        for (size_t cut = 0; cut < golden.size; cut++) {
            struct rt_reader part = rt_reader_over(RT_BYTES(golden.data, cut));
            cr_assert_eq(rt_read_varint(&part), 0);
            cr_assert(rt_reader_failed(&part));
        }
    }
}

Test(runtime_bytes, a_varint_of_more_than_64_bits_is_an_error) {
    struct rt_reader wide =
        rt_reader_over(RT_BYTES_LITERAL("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"));
    cr_assert_eq(rt_read_varint(&wide), 0);
    cr_assert(rt_reader_failed(&wide));
    struct rt_reader endless =
        rt_reader_over(RT_BYTES_LITERAL("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"));
    cr_assert_eq(rt_read_varint(&endless), 0);
    cr_assert(rt_reader_failed(&endless));
}

Test(runtime_bytes, a_writer_without_room_fails_for_good_and_writes_nothing_behind_its_end) {
    for (size_t capacity = 0; capacity < 8; capacity++) {
        uint8_t *exact = rt_alloc(capacity);
        struct rt_writer w = rt_writer_over(exact, capacity);
        rt_write_be64(&w, UINT64_MAX);
        cr_assert(rt_writer_failed(&w));
        cr_assert_eq(w.written, 0);
        rt_write_u8(&w, 1);
        cr_assert_eq(w.written, 0, "nothing after the first failure");
        rt_free(exact);
    }
}

Test(runtime_bytes, a_buffer_grows_and_prints_and_keeps_its_memory_when_cleared) {
    struct rt_buf buf = {0};
    for (unsigned i = 0; i < 1000; i++) rt_buf_print(&buf, "%u,", i);
    cr_assert_eq(buf.size, 10 * 2 + 90 * 3 + 900 * 4);
    cr_assert(rt_bytes_starts_with(rt_buf_bytes(&buf), RT_BYTES_LITERAL("0,1,2,3,")));
    const uint8_t *memory = buf.data;
    rt_buf_clear(&buf);
    rt_buf_append(&buf, RT_BYTES_LITERAL("new"));
    cr_assert_eq(buf.data, memory);
    cr_assert(rt_bytes_equal(rt_buf_bytes(&buf), RT_BYTES_LITERAL("new")));
    rt_buf_fini(&buf);
    cr_assert_null(buf.data);
}

Test(runtime_bytes, printing_fills_a_buffer_to_the_last_byte) {
    for (size_t used = 0; used < 70; used++) {
        struct rt_buf buf = {0};
        rt_buf_reserve(&buf, 64);
        for (size_t i = 0; i < used; i++) rt_buf_append(&buf, RT_BYTES_LITERAL("."));
        rt_buf_print(&buf, "%s", "abc");
        cr_assert_eq(buf.size, used + 3);
        cr_assert_eq(memcmp(buf.data + used, "abc", 3), 0);
        rt_buf_fini(&buf);
    }
}
