// The formats on disk: golden bytes, round trips, every truncation, every flipped bit.
#include <criterion/criterion.h>
#include <string.h>

#include "meta/server/log/hard_state.h"
#include "meta/server/log/manifest.h"
#include "meta/server/log/segment.h"
#include "runtime/crc32c.h"

static const struct meta_segment_id id = {1, 2, 3, 4};

Test(meta_log_formats, segment_names_are_parsed_strictly) {
    char name[META_SEGMENT_NAME_SIZE];
    uint64_t number, salt;
    meta_segment_name(&id, name);
    cr_assert_str_eq(name, "0000000000000003-0000000000000004.log");
    cr_assert(meta_segment_name_parse(name, &number, &salt));
    cr_assert(number == 3 && salt == 4);
    cr_assert_not(meta_segment_name_parse("0000000000000003-0000000000000004.lo", &number, &salt));
    cr_assert_not(meta_segment_name_parse("000000000000000X-0000000000000004.log", &number, &salt));
    cr_assert_not(
        meta_segment_name_parse("0000000000000003-0000000000000004.log.damaged", &number, &salt));
}

Test(meta_log_formats, record_bytes_are_these) {
    struct meta_record_header header = {.body_crc = rt_crc32c(0, RT_BYTES_LITERAL("abc")),
                                        .body_size = 3,
                                        .kind = RAFT_DATA,
                                        .at = {5, 6},
                                        .chain_before = 7};
    static const uint8_t golden[36] = {0x36, 0x4b, 0x3f, 0xb7, 0, 0, 0, 3, 0, 0, 0, 2,
                                       0,    0,    0,    0,    0, 0, 0, 5, 0, 0, 0, 0,
                                       0,    0,    0,    6,    0, 0, 0, 0, 0, 0, 0, 7};
    uint8_t bytes[META_RECORD_HEADER_SIZE];
    meta_record_header_encode(&header, meta_segment_seed(&id), bytes);
    cr_assert_eq(memcmp(bytes + 4, golden, sizeof(golden)), 0);
    struct meta_record_header back;
    struct rt_bytes whole = RT_BYTES(bytes, sizeof(bytes));
    cr_assert_eq(meta_record_header_decode(whole, meta_segment_seed(&id), &back), RT_OK);
    cr_assert(back.body_size == 3 && back.kind == RAFT_DATA && back.body_crc == header.body_crc);
    cr_assert(raft_position_equal(back.at, header.at));
    cr_assert(back.chain_before == 7 && back.chain == header.chain);
    const struct meta_segment_id other = {1, 2, 3, 5};
    cr_assert_eq(meta_record_header_decode(whole, meta_segment_seed(&other), &back), RT_ECORRUPT);
}

Test(meta_log_formats, every_flipped_bit_of_a_header_is_seen) {
    uint8_t segment[META_SEGMENT_HEADER_SIZE], batch[META_BATCH_HEADER_SIZE];
    uint32_t seed = meta_segment_seed(&id);
    const struct meta_segment_header header = {
        .id = id, .base = {7, 1}, .claimed = {9, 1}, .chain = 5, .kind = META_SEGMENT_CUTS};
    const struct meta_batch_header head = {
        .size = 500, .count = 2, .first = 8, .durable = {7, 1}, .chain = 5};
    struct meta_segment_header header_back;
    struct meta_batch_header head_back;
    meta_segment_header_encode(&header, segment);
    meta_batch_header_encode(&head, seed, batch);
    struct rt_bytes segment_bytes = RT_BYTES(segment, sizeof(segment));
    struct rt_bytes batch_bytes = RT_BYTES(batch, sizeof(batch));
    cr_assert_eq(meta_segment_header_decode(segment_bytes, &header_back), RT_OK);
    cr_assert_eq(header_back.claimed.index, 9);
    cr_assert_eq(meta_batch_header_decode(batch_bytes, seed, &head_back), RT_OK);
    cr_assert_eq(head_back.durable.index, 7);
    for (size_t bit = 0; bit < 8 * sizeof(segment); bit++) {
        segment[bit / 8] ^= (uint8_t)(1u << bit % 8);
        cr_assert_eq(meta_segment_header_decode(segment_bytes, &header_back), RT_ECORRUPT);
        segment[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t bit = 0; bit < 8 * sizeof(batch); bit++) {
        batch[bit / 8] ^= (uint8_t)(1u << bit % 8);
        cr_assert_eq(meta_batch_header_decode(batch_bytes, seed, &head_back), RT_ECORRUPT);
        batch[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

Test(meta_log_formats, hard_state_slot_has_two_copies) {
    uint8_t bytes[META_HARD_SLOT_SIZE];
    const struct meta_hard_slot slot = {1, 2, 3, 4, 5, 6, 7, {8, 9}};
    struct meta_hard_slot back;
    meta_hard_slot_encode(&slot, bytes);
    for (size_t at = 0; at < sizeof(bytes); at += sizeof(bytes) / 2) {
        cr_assert_eq(meta_hard_slot_decode(RT_BYTES(bytes + at, sizeof(bytes) / 2), &back), RT_OK);
        cr_assert_eq(memcmp(&back, &slot, sizeof(slot)), 0);
    }
    bytes[20] ^= 1;
    cr_assert_eq(meta_hard_slot_decode(RT_BYTES(bytes, sizeof(bytes) / 2), &back), RT_ECORRUPT);
}

// MANIFESTS

static void manifest_fill(struct meta_manifest *manifest, const char *second) {
    *manifest = (struct meta_manifest){.cluster = 3, .at = {10, 2}};
    cr_assert_eq(raft_config_put(&manifest->config, 1, RAFT_VOTER, "here"), RT_OK);
    meta_manifest_add(manifest, RT_BYTES_LITERAL("000001.sst"), 100, 7);
    meta_manifest_add(manifest, rt_bytes_of(second), 50, 8);
}

Test(meta_log_formats, manifest_is_read_back_and_refused_when_cut_or_changed) {
    struct meta_manifest manifest, back;
    struct rt_buf bytes = {0};
    manifest_fill(&manifest, "CURRENT");
    meta_manifest_encode(&manifest, &bytes);
    cr_assert_eq(meta_manifest_decode(rt_buf_bytes(&bytes), &back), RT_OK);
    cr_assert_eq(back.count, 2);
    cr_assert_str_eq(back.files[1].name, "CURRENT");
    cr_assert_eq(meta_manifest_bytes(&back), 150);
    meta_manifest_fini(&back);
    for (size_t size = 0; size < bytes.size; size++) {
        cr_assert_eq(meta_manifest_decode(RT_BYTES(bytes.data, size), &back), RT_ECORRUPT);
        meta_manifest_fini(&back);
        bytes.data[size] ^= 0x10;
        cr_assert_eq(meta_manifest_decode(rt_buf_bytes(&bytes), &back), RT_ECORRUPT);
        meta_manifest_fini(&back);
        bytes.data[size] ^= 0x10;
    }
    meta_manifest_fini(&manifest);
    rt_buf_fini(&bytes);
}

Test(meta_log_formats, manifest_with_a_name_that_leads_elsewhere_is_refused) {
    static const char *const names[] = {"../x",     "a/b",        ".",          "..",  "",
                                        "MANIFEST", "000001.sst", "000000.sst", "x y", "\x80"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct meta_manifest manifest, back;
        struct rt_buf bytes = {0};
        manifest_fill(&manifest, names[i]);
        meta_manifest_encode(&manifest, &bytes);
        cr_assert_eq(meta_manifest_decode(rt_buf_bytes(&bytes), &back), RT_ECORRUPT, "%s",
                     names[i]);
        meta_manifest_fini(&back);
        meta_manifest_fini(&manifest);
        rt_buf_fini(&bytes);
    }
}
