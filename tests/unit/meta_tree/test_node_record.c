#include "meta/server/tree/node_record.h"

#include <criterion/criterion.h>
#include <string.h>

enum { FIXED_SIZE = 79 };

static size_t encode(const struct meta_node_record *record, uint8_t *memory, size_t size) {
    struct rt_writer w = rt_writer_over(memory, size);
    meta_node_record_encode(record, &w);
    cr_assert_not(rt_writer_failed(&w));
    return w.written;
}

static struct meta_node_record sample(void) {
    return (struct meta_node_record){.node = {.kind = META_TTL,
                                              .czxid = 1,
                                              .ttl_ms = 8,
                                              .children = 3,
                                              .has_data = true,
                                              .data = RT_BYTES_LITERAL("data"),
                                              .acl = RT_BYTES_LITERAL("acl")},
                                     .data_size = 4,
                                     .data_crc = 77};
}

Test(meta_tree_node_record, a_record_comes_back_and_each_cut_is_refused) {
    uint8_t memory[128];
    struct meta_node_record record = sample(), decoded;
    size_t size = encode(&record, memory, sizeof(memory));
    cr_assert_eq(size, FIXED_SIZE + 3 + 4);
    for (size_t cut = 0; cut < size; cut++) {
        cr_assert_eq(meta_node_record_decode(RT_BYTES(memory, cut), &decoded), RT_ECORRUPT);
    }
    cr_assert_eq(meta_node_record_decode(RT_BYTES(memory, size + 1), &decoded), RT_ECORRUPT);
    cr_assert_eq(meta_node_record_decode(RT_BYTES(memory, size), &decoded), RT_OK);
    cr_assert_eq(decoded.node.ttl_ms, 8);
    cr_assert_eq(decoded.node.owner, 0);
    cr_assert_eq(decoded.node.children, 3);
    cr_assert_eq(decoded.data_crc, 77);
    cr_assert(rt_bytes_equal(decoded.node.acl, RT_BYTES_LITERAL("acl")));
    cr_assert(rt_bytes_equal(decoded.node.data, RT_BYTES_LITERAL("data")));
}

Test(meta_tree_node_record, data_elsewhere_leaves_only_its_size) {
    uint8_t memory[128];
    struct meta_node_record record = sample(), decoded;
    record.data_is_elsewhere = true;
    record.data_size = 1 << 20;
    size_t size = encode(&record, memory, sizeof(memory));
    cr_assert_eq(size, FIXED_SIZE + 3);
    cr_assert_eq(meta_node_record_decode(RT_BYTES(memory, size), &decoded), RT_OK);
    cr_assert(decoded.data_is_elsewhere);
    cr_assert_eq(decoded.data_size, 1 << 20);
}

Test(meta_tree_node_record, unknown_versions_kinds_and_flags_are_refused) {
    static const struct {
        size_t at;
        uint8_t byte;
    } bad[] = {{0, 0}, {0, 2}, {1, 4}, {2, 4}, {2, 0}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint8_t memory[128];
        struct meta_node_record record = sample(), decoded;
        size_t size = encode(&record, memory, sizeof(memory));
        memory[bad[i].at] = bad[i].byte;
        cr_assert_eq(meta_node_record_decode(RT_BYTES(memory, size), &decoded), RT_ECORRUPT);
    }
}

Test(meta_tree_node_record, the_depth_counts_names) {
    cr_assert_eq(meta_path_depth(RT_BYTES_LITERAL("/")), 0);
    cr_assert_eq(meta_path_depth(RT_BYTES_LITERAL("/a")), 1);
    cr_assert_eq(meta_path_depth(RT_BYTES_LITERAL("/a/b")), 2);
    cr_assert_eq(meta_path_depth(RT_BYTES_LITERAL("")), 0);
}

Test(meta_tree_node_record, the_wire_cversion_counts_creates_and_deletes) {
    struct proto_zk_stat stat;
    struct meta_znode node = {.creates = 5, .children = 2};
    meta_znode_stat(&node, &stat);
    cr_assert_eq(stat.cversion, 8);
    node = (struct meta_znode){.creates = 0, .children = 1};
    meta_znode_stat(&node, &stat);
    cr_assert_eq(stat.cversion, -1);
    node = (struct meta_znode){.creates = INT32_MAX, .children = 0};
    meta_znode_stat(&node, &stat);
    cr_assert_eq(stat.cversion, -2);
}
