#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "runtime/mem.h"
#include "runtime/random.h"
#include "tests/unit/proto/bookkeeper_samples.h"

static rt_err decode_request(struct rt_bytes packet, struct proto_bk_request *request) {
    struct rt_bytes copy = exact_copy(packet);
    rt_err err = proto_bk_request_decode(copy, request);
    rt_free((void *)(uintptr_t)copy.data);
    return err;
}

static rt_err decode_response(struct rt_bytes packet) {
    struct proto_bk_response response;
    struct rt_bytes copy = exact_copy(packet);
    rt_err err = proto_bk_response_decode(copy, &response);
    rt_free((void *)(uintptr_t)copy.data);
    return err;
}

static struct proto_bk_request request_of(const char *hex, rt_err expected) {
    struct rt_buf bytes = hex_bytes(hex);
    struct proto_bk_request request;
    cr_expect_eq(decode_request(rt_buf_bytes(&bytes), &request), expected, "%s", hex);
    rt_buf_fini(&bytes);
    return request;
}

static void expect_response(const char *hex, rt_err expected) {
    struct rt_buf bytes = hex_bytes(hex);
    cr_expect_eq(decode_response(rt_buf_bytes(&bytes)), expected, "%s", hex);
    rt_buf_fini(&bytes);
}

// The body of a v2 add ends where the packet does: from its ids on, every size is an entry.
static size_t request_least(const struct proto_bk_request *request, size_t size) {
    bool open_end = request->form == PROTO_BK_V2 && request->kind == PROTO_BK_ADD;
    return open_end ? 4 + PROTO_BK_KEY_SIZE + 16 : size;
}

Test(proto_bookkeeper_hostile, every_truncated_request_fails) {
    for (size_t i = 0; i < bk_request_sample_count; i++) {
        const struct bk_request_sample *sample = &bk_request_samples[i];
        struct rt_buf bytes = hex_bytes(sample->hex);
        struct proto_bk_request request;
        size_t least = request_least(&sample->request, bytes.size);
        for (size_t size = 0; size < bytes.size; size++) {
            rt_err err = decode_request(RT_BYTES(bytes.data, size), &request);
            // A v3 packet without its last field, the operation's message, says too little; but
            // that of a bookie info or of TLS may be missing.
            bool may_miss = sample->request.form == PROTO_BK_V3 && size == 8 &&
                            (sample->request.kind == PROTO_BK_BOOKIE_INFO ||
                             sample->request.kind == PROTO_BK_START_TLS);
            bool whole = size >= least || may_miss;
            cr_expect_eq(err, whole ? RT_OK : RT_EPROTO, "sample %zu at %zu", i, size);
        }
        rt_buf_fini(&bytes);
    }
}

// Where the entries of a batch end, it may end. A body and the entry of a read end with the packet.
static bool response_may_end(const struct proto_bk_response *response, size_t size) {
    if (response->form == PROTO_BK_V2) {
        if (response->kind == PROTO_BK_READ) return size >= PROTO_BK_V2_READ_HEAD;
        bool batch = response->kind == PROTO_BK_BATCH_READ;
        return batch && (size == PROTO_BK_BATCH_HEAD || size == PROTO_BK_BATCH_HEAD + 5 ||
                         size == PROTO_BK_BATCH_HEAD + 9);
    }
    // Behind the status: errors may come without the operation's message, and TLS has none.
    size_t head = response->code == PROTO_BK_OK ? 10 : 11;
    bool needs = response->code == PROTO_BK_OK && response->kind != PROTO_BK_START_TLS;
    return size == head && !needs;
}

Test(proto_bookkeeper_hostile, every_truncated_response_fails) {
    for (size_t i = 0; i < bk_response_sample_count; i++) {
        const struct bk_response_sample *sample = &bk_response_samples[i];
        struct rt_buf bytes = hex_bytes(sample->hex);
        for (size_t size = 0; size < bytes.size; size++) {
            bool may_end = response_may_end(&sample->response, size);
            rt_err err = decode_response(RT_BYTES(bytes.data, size));
            cr_expect_eq(err, may_end ? RT_OK : RT_EPROTO, "sample %zu at %zu", i, size);
        }
        rt_buf_fini(&bytes);
    }
}

#define KEY_HEX "850bf1071c5e3d8c24235676f8816ae0cbe2f14f"

Test(proto_bookkeeper_hostile, opcodes_without_a_place_in_v2_end_the_connection) {
    for (unsigned opcode = 0; opcode < 256; opcode++) {
        uint8_t packet[80] = {2, (uint8_t)opcode};
        if (opcode == 3) memcpy(packet + 4, "\x0a\x00\x12\x00\x18\x01\x18\x01", 8);
        size_t size = opcode == 3 ? 12 : sizeof(packet);
        bool known = opcode == 1 || opcode == 2 || opcode == 3 || opcode == 7;
        struct proto_bk_request request;
        rt_err err = decode_request(RT_BYTES(packet, size), &request);
        cr_expect_eq(err, known ? RT_OK : RT_EPROTO, "opcode %u", opcode);
    }
}

Test(proto_bookkeeper_hostile, flags_count_where_they_mean_something) {
    for (uint32_t flags = 0; flags < 16; flags++) {
        char hex[256];
        snprintf(hex, sizeof(hex), "0201%04x" KEY_HEX "0000000000000001 0000000000000002", flags);
        unsigned high = flags & 4 ? PROTO_BK_HIGH_PRIORITY : 0;
        struct proto_bk_request add = request_of(hex, RT_OK);
        cr_expect_eq(add.flags, PROTO_BK_HAS_KEY | high | (flags & 2 ? PROTO_BK_RECOVERY : 0u));
        snprintf(hex, sizeof(hex), "0202%04x 0000000000000001 0000000000000002" KEY_HEX, flags);
        struct proto_bk_request read = request_of(hex, RT_OK);
        cr_expect_eq(read.flags, high | (flags & 1 ? PROTO_BK_FENCE | PROTO_BK_HAS_KEY : 0u));
        snprintf(hex, sizeof(hex), "ff02%04x", flags);
        cr_expect_eq(request_of(hex, RT_OK).flags, 0);
    }
}

Test(proto_bookkeeper_hostile, versions_of_v2_are_told_apart) {
    struct proto_bk_request old =
        request_of("01020001 0000000000000001 ffffffffffffffff", RT_OK);  // fences without a key
    cr_expect(old.version == 1 && old.flags == PROTO_BK_FENCE && old.entry == -1);
    struct proto_bk_request oldest =
        request_of("00000002 0000000000000001 0000000000000003", RT_OK);
    cr_expect(oldest.version == 0 && oldest.kind == PROTO_BK_READ && oldest.flags == 0);
    cr_expect_eq(oldest.entry, 3);
    (void)request_of("00020000 0000000000000001 0000000000000003", RT_EPROTO);
    struct proto_bk_request next = request_of("03010000", RT_OK);  // a header and no more
    cr_expect(next.version == 3 && next.kind == PROTO_BK_ADD && next.body.size == 0);
    cr_expect_eq(next.form, PROTO_BK_V2);
    (void)request_of("03090000", RT_EPROTO);
}

Test(proto_bookkeeper_hostile, adds_need_room_for_their_ids) {
    (void)request_of("02010000" KEY_HEX, RT_EPROTO);
    (void)request_of("02010000" KEY_HEX "0000000000000001 00000000000000", RT_EPROTO);
    struct proto_bk_request add =
        request_of("02010000" KEY_HEX "8000000000000000 ffffffffffffffff", RT_OK);
    cr_expect(add.ledger == INT64_MIN && add.entry == -1 && add.body.size == 16);
}

Test(proto_bookkeeper_hostile, required_fields_are_required) {
    (void)request_of("0a04 0803 1001 a206 04 0801 1000", RT_EPROTO);       // no txnId
    (void)request_of("0a04 0803 1807 a206 04 0801 1000", RT_EPROTO);       // no operation
    (void)request_of("0a04 1001 1807 a206 04 0801 1000", RT_EPROTO);       // no version
    (void)request_of("0a06 0803 1001 1807 a206 02 0801", RT_EPROTO);       // no entryId
    (void)request_of("0a06 0803 1001 1807", RT_EPROTO);                    // no message
    (void)request_of("0a06 0803 1001 1807 aa06 04 0801 1000", RT_EPROTO);  // an add without a key
    (void)request_of("0a06 0803 1005 1807 b206 03 0a0170", RT_EPROTO);     // no payload
    (void)request_of("0a06 0803 1001 1807 a206 04 0801 1000 b206 00", RT_EPROTO);  // in another's
    (void)request_of("0a06 0803 1001 1807 a206 07 0801 1000 a20600", RT_OK);
    expect_response("0a06 0803 1001 1807 a206 06 0800 1001 1800", RT_EPROTO);  // no status
    expect_response("0a06 0803 1001 1807 1000", RT_EPROTO);                    // no message
    expect_response("0a06 0803 1002 1807 1000 aa06 04 0800 1001", RT_EPROTO);  // no entryId
}

Test(proto_bookkeeper_hostile, lengths_and_tags_that_lie_fail) {
    (void)request_of("0a06 0803 1001 1807 a206 05 0801 1000", RT_EPROTO);
    (void)request_of("0a07 0803 1001 1807 a206 04 0801 1000", RT_EPROTO);
    (void)request_of("0a06 0803 1001 1807 a206 ffffffffffffffffff01 0801 1000", RT_EPROTO);
    (void)request_of("0a06 0803 1001 1807 a206 ffffffffffffffffffff01 0801 1000", RT_EPROTO);
    (void)request_of("0a06 0803 1001 1807 a206 04 0801 1000 0001", RT_EPROTO);  // field 0
    (void)request_of("0a06 0803 1001 1807 a206 04 0801 1000 808080808001 01",
                     RT_EPROTO);                                                 // too large
    (void)request_of("0a06 0803 1001 1807 a206 04 0801 1000 0b 0c", RT_EPROTO);  // a group
    (void)request_of("0a06 0803 1001 1807 a206 04 0801 1000 0e", RT_EPROTO);     // no such type
    (void)request_of("0a06 0803 1001 1807 a206 04 0801 1000 0a", RT_EPROTO);
    expect_response("02070000 00000000 0000000000000001 0000000000000002 0000000000000009 ffffffff",
                    RT_EPROTO);
    expect_response(
        "02070000 00000000 0000000000000001 0000000000000002 0000000000000009"
        "00000002 61",
        RT_EPROTO);
    expect_response("01010000 00000000 0000000000000001 0000000000000000", RT_EPROTO);
    expect_response("02090000 00000000 0000000000000001 0000000000000000", RT_EPROTO);
}

Test(proto_bookkeeper_hostile, what_is_not_known_is_passed_over) {
    // Context pairs and fields of all types; flags and priorities that mean nothing.
    struct proto_bk_request request = request_of(
        "0a0a 0803 1001 1807 2000 2801 a206 07 0801 1000 a00609"
        "c20c 06 0a016b 120176 f03f 05 f93f 0102030405060708 fd3f 01020304",
        RT_OK);
    cr_expect(request.kind == PROTO_BK_READ && request.flags == 0 && request.ledger == 1);
    // A known number of another type is not the field.
    (void)request_of("0a06 0803 1001 1807 a206 06 0801 1000 1801", RT_OK);
    (void)request_of("0a06 0803 1001 1807 a206 06 0a0101 10000000", RT_EPROTO);
}

Test(proto_bookkeeper_hostile, operations_that_are_not_known_can_be_answered) {
    static const struct {
        const char *hex;
        int32_t operation;
    } cases[] = {{"0a06 0803 1003 1807", 3},
                 {"0a06 0803 100c 1807", 12},
                 {"0a06 0803 1063 1807", 99},
                 {"0a0f 0803 10 ffffffffffffffffff01 1807", -1}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct proto_bk_request request = request_of(cases[i].hex, RT_OK);
        cr_expect_eq(request.kind, PROTO_BK_UNKNOWN);
        cr_expect_eq(request.operation, cases[i].operation);
        cr_expect_eq(request.request_id, 7);
        struct proto_bk_response answer = {.form = PROTO_BK_V3,
                                           .kind = PROTO_BK_UNKNOWN,
                                           .code = PROTO_BK_BAD_REQUEST,
                                           .operation = request.operation,
                                           .request_id = 7};
        struct rt_buf bytes = bk_response_bytes(&answer);
        struct proto_bk_response out;
        cr_expect_eq(proto_bk_response_decode(rt_buf_bytes(&bytes), &out), RT_OK);
        cr_expect(bk_responses_equal(&out, &answer));
        rt_buf_fini(&bytes);
    }
    struct proto_bk_request next = request_of("0a06 0804 1001 1807", RT_OK);
    cr_expect(next.version == 4 && next.kind == PROTO_BK_READ && next.form == PROTO_BK_V3);
}

Test(proto_bookkeeper_hostile, the_inner_status_counts_when_the_outer_one_is_fine) {
    struct rt_buf bytes = hex_bytes("0a06 0803 1002 1807 1000 aa06 07 08f803 1001 1806");
    struct proto_bk_response response;
    cr_expect_eq(proto_bk_response_decode(rt_buf_bytes(&bytes), &response), RT_OK);
    cr_expect_eq(response.code, PROTO_BK_FENCED);
    rt_buf_fini(&bytes);
    bytes = hex_bytes("0a06 0803 1002 1807 10f603 aa06 07 08f803 1001 1806");
    cr_expect_eq(proto_bk_response_decode(rt_buf_bytes(&bytes), &response), RT_OK);
    cr_expect_eq(response.code, PROTO_BK_UNAUTHORIZED);
    rt_buf_fini(&bytes);
}

static rt_err encode(const struct proto_bk_request *request) {
    struct rt_buf buf = {0};
    struct rt_writer w = rt_writer_into(&buf);
    size_t behind;
    rt_err err = proto_bk_request_encode(request, &w, &behind);
    rt_buf_fini(&buf);
    return err;
}

Test(proto_bookkeeper_hostile, what_a_form_cannot_say_is_not_sent) {
    for (unsigned kind = 0; kind < PROTO_BK_KINDS; kind++) {
        struct rt_bytes key = RT_BYTES_LITERAL("12345678901234567890");
        struct proto_bk_request request = {
            .kind = (enum proto_bk_kind)kind, .key = key, .flags = PROTO_BK_HAS_KEY};
        bool in_v2 = kind == PROTO_BK_ADD || kind == PROTO_BK_READ || kind == PROTO_BK_BATCH_READ ||
                     kind == PROTO_BK_AUTH;
        bool in_v3 = kind != PROTO_BK_UNKNOWN && kind != PROTO_BK_BATCH_READ;
        request.form = PROTO_BK_V2;
        cr_expect_eq(encode(&request), in_v2 ? RT_OK : RT_EUNSUPPORTED, "kind %u", kind);
        request.form = PROTO_BK_V3;
        cr_expect_eq(encode(&request), in_v3 ? RT_OK : RT_EUNSUPPORTED, "kind %u", kind);
    }
    static const unsigned v3_only[] = {PROTO_BK_DEFERRED_SYNC, PROTO_BK_PIGGYBACK,
                                       PROTO_BK_HAS_PREVIOUS_LAC, PROTO_BK_HAS_TIMEOUT};
    for (size_t i = 0; i < 4; i++) {
        struct proto_bk_request request = {
            .form = PROTO_BK_V2, .kind = PROTO_BK_READ, .flags = v3_only[i]};
        cr_expect_eq(encode(&request), RT_EUNSUPPORTED, "flag %u", v3_only[i]);
    }
    struct proto_bk_request both = {
        .form = PROTO_BK_V3, .kind = PROTO_BK_READ, .flags = PROTO_BK_FENCE | PROTO_BK_PIGGYBACK};
    cr_expect_eq(encode(&both), RT_EUNSUPPORTED);
}

Test(proto_bookkeeper_hostile, heads_of_responses_are_as_small_as_said) {
    for (unsigned kind = 0; kind < PROTO_BK_KINDS; kind++) {
        for (unsigned form = PROTO_BK_V2; form <= PROTO_BK_V3; form++) {
            bool is_v2_kind = kind == PROTO_BK_ADD || kind == PROTO_BK_READ;
            if (form == PROTO_BK_V2 ? !is_v2_kind && kind != PROTO_BK_BATCH_READ
                                    : kind == PROTO_BK_BATCH_READ) {
                continue;
            }
            struct proto_bk_response response = {.form = (enum proto_bk_form)form,
                                                 .kind = (enum proto_bk_kind)kind,
                                                 .operation = -1,
                                                 .request_id = UINT64_MAX,
                                                 .ledger = -1,
                                                 .entry = -1,
                                                 .has_body = true,
                                                 .has_max_lac = true,
                                                 .max_lac = -1,
                                                 .has_update_time = true,
                                                 .update_time_ms = -1,
                                                 .has_total = true,
                                                 .total_bytes = -1,
                                                 .has_free = true,
                                                 .free_bytes = -1,
                                                 .has_lac_body = true,
                                                 .has_last_entry = true};
            bool with_body = kind == PROTO_BK_READ || kind == PROTO_BK_BATCH_READ;
            uint8_t head[PROTO_BK_HEAD_MAX];
            struct rt_writer w = rt_writer_over(head, sizeof(head));
            proto_bk_response_encode(&response, with_body ? PROTO_BK_FRAME_MAX : 0, &w);
            cr_expect_not(rt_writer_failed(&w), "kind %u", kind);
            if (form == PROTO_BK_V2 && kind == PROTO_BK_READ) {
                cr_expect_eq(w.written, PROTO_BK_V2_READ_HEAD);
            }
            if (kind == PROTO_BK_BATCH_READ) cr_expect_eq(w.written, PROTO_BK_BATCH_HEAD);
        }
    }
}
