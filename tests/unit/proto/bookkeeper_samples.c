#include "tests/unit/proto/bookkeeper_samples.h"

#include <assert.h>

#define BYTES(text) \
    { (const uint8_t *)(text), sizeof(text) - 1 }

// The key of the empty password; and entry 0 of ledger 1, "hello", with CRC32C.
#define KEY_HEX "850bf1071c5e3d8c24235676f8816ae0cbe2f14f"
#define KEY \
    BYTES("\x85\x0b\xf1\x07\x1c\x5e\x3d\x8c\x24\x23\x56\x76\xf8\x81\x6a\xe0\xcb\xe2\xf1\x4f")
#define BODY_HEX \
    "0000000000000001 0000000000000000 ffffffffffffffff 0000000000000005 e3a5f74d 68656c6c6f"
#define BODY                                                                               \
    BYTES(                                                                                 \
        "\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0\0\0\0\5" \
        "\xe3\xa5\xf7\x4d"                                                                 \
        "hello")
#define MINUS_1 "ffffffffffffffffff01"
#define V2(kind_, flags_) \
    .form = PROTO_BK_V2, .kind = PROTO_BK_##kind_, .version = 2, .flags = (flags_)
#define V3(kind_, flags_) \
    .form = PROTO_BK_V3, .kind = PROTO_BK_##kind_, .version = 3, .flags = (flags_)

const struct bk_request_sample bk_request_samples[] = {
    {{V2(ADD, PROTO_BK_HAS_KEY), .operation = 1, .ledger = 1, .key = KEY, .body = BODY},
     "02010000" KEY_HEX BODY_HEX},
    {{V2(ADD, PROTO_BK_HAS_KEY | PROTO_BK_RECOVERY | PROTO_BK_HIGH_PRIORITY), .operation = 1,
      .ledger = 1, .key = KEY, .body = BODY},
     "02010006" KEY_HEX BODY_HEX},
    {{V2(ADD, PROTO_BK_HAS_KEY | PROTO_BK_RECOVERY), .operation = 1, .ledger = 1, .key = KEY,
      .body = BODY},
     "02010002" KEY_HEX BODY_HEX},
    {{V2(READ, 0), .operation = 2, .ledger = 1}, "02020000 0000000000000001 0000000000000000"},
    {{V2(READ, PROTO_BK_FENCE | PROTO_BK_HAS_KEY), .operation = 2, .ledger = 1, .entry = -1,
      .key = KEY},
     "02020001 0000000000000001 ffffffffffffffff" KEY_HEX},
    {{V2(READ, PROTO_BK_FENCE | PROTO_BK_HIGH_PRIORITY | PROTO_BK_HAS_KEY), .operation = 2,
      .ledger = 1, .entry = 7, .key = KEY},
     "02020005 0000000000000001 0000000000000007" KEY_HEX},
    {{V2(BATCH_READ, 0), .operation = 7, .ledger = 1, .request_id = 9, .count_max = 10,
      .size_max = 5253120},
     "02070000 0000000000000001 0000000000000000 0000000000000009 0000000a 0000000000502800"},
    {{V2(BATCH_READ, PROTO_BK_FENCE | PROTO_BK_HAS_KEY), .operation = 7, .ledger = 1, .entry = 3,
      .request_id = UINT64_MAX, .count_max = -1, .size_max = -2, .key = KEY},
     "02070001 0000000000000001 0000000000000003 ffffffffffffffff ffffffff "
     "fffffffffffffffe" KEY_HEX},
    {{V2(AUTH, 0), .operation = 3, .plugin = BYTES("p"), .auth_payload = BYTES("xyz")},
     "02030000 0a0170 120378797a"},
    {{V3(READ, 0), .operation = 1, .request_id = 7, .ledger = 1},
     "0a06 0803 1001 1807 a206 04 0801 1000"},
    {{V3(READ, PROTO_BK_FENCE | PROTO_BK_HAS_KEY | PROTO_BK_HIGH_PRIORITY), .operation = 1,
      .request_id = 7, .ledger = 1, .entry = -1, .key = KEY},
     "0a08 0803 1001 1807 2064 a206 26 0801 10" MINUS_1 "1a14" KEY_HEX "a00601"},
    {{V3(READ, PROTO_BK_PIGGYBACK | PROTO_BK_HAS_PREVIOUS_LAC | PROTO_BK_HAS_TIMEOUT),
      .operation = 1, .request_id = 8, .ledger = 1, .entry = -1, .previous_lac = -1,
      .timeout_ms = 1000},
     "0a06 0803 1001 1808 a206 1e 0801 10" MINUS_1 "20" MINUS_1 "28e807 a00602"},
    {{V3(ADD, PROTO_BK_HAS_KEY), .operation = 2, .request_id = 300, .ledger = 1, .key = KEY,
      .body = BODY},
     "0a07 0803 1002 18ac02 aa06 45 0801 1000 1a14" KEY_HEX "2229" BODY_HEX},
    {{V3(ADD, PROTO_BK_HAS_KEY | PROTO_BK_RECOVERY | PROTO_BK_DEFERRED_SYNC), .operation = 2,
      .ledger = 1, .key = KEY, .body = BODY},
     "0a06 0803 1002 1800 aa06 4a 0801 1000 1a14" KEY_HEX "2801 a00601 2229" BODY_HEX},
    {{V3(AUTH, 0), .operation = 5, .request_id = 1, .plugin = BYTES("p"),
      .auth_payload = BYTES("xyz")},
     "0a06 0803 1005 1801 b206 08 0a0170 120378797a"},
    {{V3(WRITE_LAC, PROTO_BK_HAS_KEY), .operation = 6, .request_id = 1, .ledger = 1, .lac = 41,
      .key = KEY, .body = BYTES("lac")},
     "0a06 0803 1006 1801 ba06 1f 0801 1029 1a14" KEY_HEX "2203 6c6163"},
    {{V3(READ_LAC, 0), .operation = 7, .request_id = 1, .ledger = 5},
     "0a06 0803 1007 1801 c206 02 0805"},
    {{V3(BOOKIE_INFO, 0), .operation = 8, .request_id = 1, .info_mask = 3},
     "0a06 0803 1008 1801 ca06 02 0803"},
    {{V3(START_TLS, 0), .operation = 9, .request_id = 1}, "0a06 0803 1009 1801 d206 00"},
    {{V3(FORCE_LEDGER, 0), .operation = 10, .request_id = 1, .ledger = 5},
     "0a06 0803 100a 1801 da06 02 0805"},
    {{V3(LIST_ENTRIES, 0), .operation = 11, .request_id = 1, .ledger = 5},
     "0a06 0803 100b 1801 e206 02 0805"},
};
const size_t bk_request_sample_count = sizeof(bk_request_samples) / sizeof(bk_request_samples[0]);

#undef V2
#undef V3
#define V2(kind_, number) .form = PROTO_BK_V2, .kind = PROTO_BK_##kind_, .operation = (number)
#define V3(kind_, number) .form = PROTO_BK_V3, .kind = PROTO_BK_##kind_, .operation = (number)

const struct bk_response_sample bk_response_samples[] = {
    {{V2(ADD, 1), .ledger = 1}, "02010000 00000000 0000000000000001 0000000000000000"},
    {{V2(ADD, 1), .code = PROTO_BK_FENCED, .ledger = 1, .entry = 2},
     "02010000 00000068 0000000000000001 0000000000000002"},
    {{V2(READ, 2), .ledger = 1, .has_body = true, .body = BODY},
     "02020000 00000000 0000000000000001 0000000000000000" BODY_HEX},
    {{V2(READ, 2), .ledger = 1, .entry = -1, .has_body = true},
     "02020000 00000000 0000000000000001 ffffffffffffffff"},
    {{V2(READ, 2), .code = PROTO_BK_NO_ENTRY, .ledger = 1, .entry = 9},
     "02020000 00000002 0000000000000001 0000000000000009"},
    {{V2(BATCH_READ, 7), .ledger = 1, .entry = 2, .request_id = 9, .has_body = true,
      .body = BYTES("\0\0\0\1a\0\0\0\0\0\0\0\2bc")},
     "02070000 00000000 0000000000000001 0000000000000002 0000000000000009"
     "00000001 61 00000000 00000002 6263"},
    {{V2(BATCH_READ, 7), .code = PROTO_BK_NO_LEDGER, .ledger = 1, .entry = 2, .request_id = 9},
     "02070000 00000001 0000000000000001 0000000000000002 0000000000000009"},
    {{V2(AUTH, 3), .plugin = BYTES("AuthDisabledPlugin")},
     "02030000 0a12 4175746844697361626c6564506c7567696e 1200"},
    {{V3(READ, 1), .request_id = 7, .code = PROTO_BK_NO_ENTRY, .ledger = 1},
     "0a06 0803 1001 1807 10 9303 a206 07 08 9303 1001 1800"},
    {{V3(READ, 1), .request_id = 7, .ledger = 1, .has_body = true, .body = BODY,
      .has_max_lac = true, .max_lac = 4, .has_update_time = true, .update_time_ms = 5},
     "0a06 0803 1001 1807 1000 a206 35 0800 1001 1800 2804 3005 2229" BODY_HEX},
    {{V3(READ, 1), .request_id = 7, .ledger = 1, .entry = -1, .has_max_lac = true, .max_lac = -1},
     "0a06 0803 1001 1807 1000 a206 1a 0800 1001 18" MINUS_1 "28" MINUS_1},
    {{V3(ADD, 2), .request_id = 7, .ledger = 1, .entry = 6},
     "0a06 0803 1002 1807 1000 aa06 06 0800 1001 1806"},
    {{V3(ADD, 2), .request_id = 7, .code = PROTO_BK_READ_ONLY, .ledger = 1, .entry = 6},
     "0a06 0803 1002 1807 10f903 aa06 07 08f903 1001 1806"},
    {{V3(AUTH, 5), .request_id = 1, .plugin = BYTES("p"), .auth_payload = BYTES("xyz")},
     "0a06 0803 1005 1801 1000 b206 08 0a0170 120378797a"},
    {{V3(AUTH, 5), .request_id = 1, .code = PROTO_BK_UNAUTHORIZED}, "0a06 0803 1005 1801 10f603"},
    {{V3(WRITE_LAC, 6), .request_id = 1, .ledger = 5},
     "0a06 0803 1006 1801 1000 ba06 04 0800 1005"},
    {{V3(READ_LAC, 7), .request_id = 1, .ledger = 5, .has_lac_body = true, .lac_body = BYTES("lac"),
      .has_last_entry = true, .last_entry = BYTES("entry")},
     "0a06 0803 1007 1801 1000 c206 10 0800 1005 1a036c6163 2205656e747279"},
    {{V3(READ_LAC, 7), .request_id = 1, .ledger = 5, .code = PROTO_BK_NO_LEDGER},
     "0a06 0803 1007 1801 109203 c206 05 089203 1005"},
    {{V3(BOOKIE_INFO, 8), .request_id = 1, .has_total = true, .total_bytes = 300, .has_free = true,
      .free_bytes = 2},
     "0a06 0803 1008 1801 1000 ca06 07 0800 10ac02 1802"},
    {{V3(START_TLS, 9), .request_id = 1}, "0a06 0803 1009 1801 1000 d206 00"},
    {{V3(START_TLS, 9), .request_id = 1, .code = PROTO_BK_BAD_REQUEST},
     "0a06 0803 1009 1801 109403"},
    {{V3(FORCE_LEDGER, 10), .request_id = 1, .ledger = 5},
     "0a06 0803 100a 1801 1000 da06 04 0800 1005"},
    {{V3(LIST_ENTRIES, 11), .request_id = 1, .ledger = 5, .entries = BYTES("abc")},
     "0a06 0803 100b 1801 1000 e206 09 0800 1005 1a03616263"},
    {{V3(UNKNOWN, 12), .request_id = 1, .code = PROTO_BK_BAD_REQUEST},
     "0a06 0803 100c 1801 109403"},
};
const size_t bk_response_sample_count =
    sizeof(bk_response_samples) / sizeof(bk_response_samples[0]);

struct rt_buf bk_request_bytes(const struct proto_bk_request *request) {
    struct rt_buf buf = {0};
    struct rt_writer w = rt_writer_into(&buf);
    size_t behind = 0;
    rt_err err = proto_bk_request_encode(request, &w, &behind);
    assert(!err && behind == (request->kind == PROTO_BK_ADD ? request->body.size : 0));
    if (behind > 0) rt_buf_append(&buf, request->body);
    return buf;
}

struct rt_buf bk_response_bytes(const struct proto_bk_response *response) {
    struct rt_buf buf = {0};
    struct rt_writer w = rt_writer_into(&buf);
    proto_bk_response_encode(response, response->body.size, &w);
    rt_buf_append(&buf, response->body);
    return buf;
}

bool bk_requests_equal(const struct proto_bk_request *a, const struct proto_bk_request *b) {
    return a->form == b->form && a->kind == b->kind && a->flags == b->flags &&
           a->version == b->version && a->operation == b->operation &&
           a->request_id == b->request_id && a->ledger == b->ledger && a->entry == b->entry &&
           rt_bytes_equal(a->key, b->key) && rt_bytes_equal(a->body, b->body) &&
           a->previous_lac == b->previous_lac && a->timeout_ms == b->timeout_ms &&
           a->lac == b->lac && a->count_max == b->count_max && a->size_max == b->size_max &&
           a->info_mask == b->info_mask && rt_bytes_equal(a->plugin, b->plugin) &&
           rt_bytes_equal(a->auth_payload, b->auth_payload);
}

bool bk_responses_equal(const struct proto_bk_response *a, const struct proto_bk_response *b) {
    bool same_has = a->has_body == b->has_body && a->has_max_lac == b->has_max_lac &&
                    a->has_update_time == b->has_update_time &&
                    a->has_lac_body == b->has_lac_body && a->has_last_entry == b->has_last_entry &&
                    a->has_total == b->has_total && a->has_free == b->has_free;
    return same_has && a->form == b->form && a->kind == b->kind && a->code == b->code &&
           a->operation == b->operation && a->request_id == b->request_id &&
           a->ledger == b->ledger && a->entry == b->entry && rt_bytes_equal(a->body, b->body) &&
           a->max_lac == b->max_lac && a->update_time_ms == b->update_time_ms &&
           rt_bytes_equal(a->lac_body, b->lac_body) &&
           rt_bytes_equal(a->last_entry, b->last_entry) && a->total_bytes == b->total_bytes &&
           a->free_bytes == b->free_bytes && rt_bytes_equal(a->entries, b->entries) &&
           rt_bytes_equal(a->plugin, b->plugin) && rt_bytes_equal(a->auth_payload, b->auth_payload);
}
