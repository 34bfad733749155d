#include <criterion/criterion.h>
#include <string.h>

#include "proto/bookkeeper.h"
#include "runtime/mem.h"
#include "tests/unit/proto/hex.h"

#define ZEROS_8 "0000000000000000"
#define HEAD(count) "00000000" count ZEROS_8 ZEROS_8 ZEROS_8 ZEROS_8 ZEROS_8 ZEROS_8 ZEROS_8

static struct rt_buf list_of(const int64_t *ids, size_t count) {
    struct rt_buf buf = {0};
    proto_bk_entry_list_encode(ids, count, &buf);
    return buf;
}

Test(proto_bookkeeper_list, runs_with_one_distance_are_one_group) {
    static const int64_t ids[] = {0,  1,   2,   10,  11,  12,   20,         21,
                                  22, 100, 102, 104, 106, 1000, 5000000000, 5000000001};
    struct rt_buf list = list_of(ids, sizeof(ids) / sizeof(ids[0]));
    cr_expect(
        bytes_are_hex(rt_buf_bytes(&list),
                      HEAD("00000004") "0000000000000000 0000000000000014 00000003 0000000a"
                                       "0000000000000064 000000000000006a 00000001 00000002"
                                       "00000000000003e8 00000000000003e8 00000001 00000000"
                                       "000000012a05f200 000000012a05f200 00000002 00000000"));
    rt_buf_fini(&list);
    list = list_of(NULL, 0);
    cr_expect(bytes_are_hex(rt_buf_bytes(&list), HEAD("00000000")));
    rt_buf_fini(&list);
}

Test(proto_bookkeeper_list, a_list_of_bookkeeper_is_understood) {
    // Of {0, 10, 20, 30}, which BookKeeper 4.16 writes as groups of one sequence each.
    struct rt_buf list = hex_bytes(HEAD(
        "00000004") "0000000000000000 0000000000000000 00000001 00000000"
                    "000000000000000a 000000000000000a 00000001 00000000"
                    "0000000000000014 0000000000000014 00000001 00000000"
                    "000000000000001e 000000000000001e 00000001 00000000");
    static const int64_t ids[] = {0, 10, 20, 30};
    struct rt_buf out = {0};
    cr_assert_eq(proto_bk_entry_list_decode(rt_buf_bytes(&list), &out), RT_OK);
    cr_expect(rt_bytes_equal(rt_buf_bytes(&out), RT_BYTES(ids, sizeof(ids))));
    for (size_t size = 0; size < list.size; size++) {
        struct rt_bytes copy = exact_copy(RT_BYTES(list.data, size));
        cr_expect_eq(proto_bk_entry_list_decode(copy, &out), RT_EPROTO, "at %zu", size);
        rt_free((void *)(uintptr_t)copy.data);
    }
    rt_buf_fini(&out);
    rt_buf_fini(&list);
}

Test(proto_bookkeeper_list, groups_that_lie_fail) {
    static const char *const bad[] = {
        "ffffffffffffffff ffffffffffffffff 00000001 00000000",  // before 0
        "0000000000000001 0000000000000000 00000001 00000001",  // ends before it begins
        "0000000000000001 0000000000000001 00000000 00000000",  // nothing in it
        "0000000000000001 0000000000000001 ffffffff 00000000",
        "0000000000000001 0000000000000002 00000001 00000000",  // two sequences and no period
        "0000000000000000 0000000000000004 00000003 00000002",  // sequences overlap
        "0000000000000000 0000000000000005 00000001 00000002",  // half a period
        "0000000000000000 0000000000000004 00000001 fffffffe",
        "7fffffffffffffff 7fffffffffffffff 00000001 00000000",  // ends beyond the last id
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct rt_buf list = hex_bytes(HEAD("00000001"));
        struct rt_buf out = {0};
        hex_append(&list, bad[i]);
        cr_expect_eq(proto_bk_entry_groups_decode(rt_buf_bytes(&list), &out), RT_EPROTO, "%zu", i);
        cr_expect_eq(out.size, 0);
        rt_buf_fini(&out);
        rt_buf_fini(&list);
    }
    struct rt_buf overlapping = hex_bytes(HEAD(
        "00000002") "0000000000000000 000000000000000a 00000003 0000000a"
                    "000000000000000c 000000000000000c 00000001 00000000");
    struct rt_buf out = {0};
    cr_expect_eq(proto_bk_entry_groups_decode(rt_buf_bytes(&overlapping), &out), RT_EPROTO);
    overlapping.data[3] = 1;  // the version
    cr_expect_eq(proto_bk_entry_groups_decode(rt_buf_bytes(&overlapping), &out), RT_EPROTO);
    rt_buf_fini(&out);
    rt_buf_fini(&overlapping);
}

Test(proto_bookkeeper_list, a_small_list_of_very_many_ids_takes_no_memory) {
    struct rt_buf list =
        hex_bytes(HEAD("00000001") "0000000000000000 4000000000000000 00000001 00000001");
    struct rt_buf out = {0};
    struct rt_buf groups = {0};
    cr_expect_eq(proto_bk_entry_list_decode(rt_buf_bytes(&list), &out), RT_ETOOBIG);
    cr_expect_eq(out.capacity, 0);
    cr_expect_eq(proto_bk_entry_groups_decode(rt_buf_bytes(&list), &groups), RT_OK);
    cr_expect_eq(groups.size, sizeof(struct proto_bk_entry_group));
    rt_buf_fini(&groups);
    rt_buf_fini(&list);
}
