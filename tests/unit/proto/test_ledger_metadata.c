#include <criterion/criterion.h>
#include <string.h>

#include "proto/ledger_metadata.h"
#include "runtime/mem.h"
#include "tests/unit/proto/hex.h"

#define BYTES(text) \
    { (const uint8_t *)(text), sizeof(text) - 1 }
#define HEADER "BookieMetadataFormatVersion\t"

static const struct rt_bytes first_bookies[] = {BYTES("bk1:3181"), BYTES("bk2:3181"),
                                                BYTES("bk3:3181")};
static const struct rt_bytes second_bookies[] = {BYTES("bk4:3181"), BYTES("bk2:3181"),
                                                 BYTES("bk3:3181")};
static const struct proto_ledger_segment segments[] = {{0, first_bookies}, {70, second_bookies}};
static const struct proto_ledger_custom custom[] = {{BYTES("k"), BYTES("\xc3\xa9")}};

// What BookKeeper 4.16 writes for metadata_sample, in each version and state.
static const char *const v1_texts[] = {
    [PROTO_LEDGER_OPEN] =
        HEADER "1\n2\n3\n0\n0\tbk1:3181\tbk2:3181\tbk3:3181\n70\tbk4:3181\tbk2:3181\tbk3:3181\n",
    [PROTO_LEDGER_IN_RECOVERY] = HEADER
    "1\n2\n3\n0\n0\tbk1:3181\tbk2:3181\tbk3:3181\n70\tbk4:3181\tbk2:3181\tbk3:3181\n-102\tCLOSED",
    [PROTO_LEDGER_CLOSED] = HEADER
    "1\n2\n3\n12345\n0\tbk1:3181\tbk2:3181\tbk3:3181\n70\tbk4:3181\tbk2:3181\tbk3:3181\n"
    "99\tCLOSED",
};
#define V2_TEXT(length, last, state)                                                           \
    HEADER "2\nquorumSize: 2\nensembleSize: 3\nlength: " length "\nlastEntryId: " last         \
           "\nstate: " state                                                                   \
           "\nsegment {\n  ensembleMember: \"bk1:3181\"\n  ensembleMember: \"bk2:3181\"\n"     \
           "  ensembleMember: \"bk3:3181\"\n  firstEntryId: 0\n}\n"                            \
           "segment {\n  ensembleMember: \"bk4:3181\"\n  ensembleMember: \"bk2:3181\"\n"       \
           "  ensembleMember: \"bk3:3181\"\n  firstEntryId: 70\n}\ndigestType: HMAC\n"         \
           "password: \"\\000\\001a\\\"\\'\\\\\\n\\t\\177\\377\\a\\b\\v\\f\\r\"\n"             \
           "ackQuorumSize: 1\nctime: 1700000000123\ncustomMetadata {\n  key: \"k\"\n  value: " \
           "\"\\303\\251\"\n}\n"
static const char *const v2_texts[] = {
    [PROTO_LEDGER_OPEN] = V2_TEXT("0", "-1", "OPEN"),
    [PROTO_LEDGER_IN_RECOVERY] = V2_TEXT("0", "-1", "IN_RECOVERY"),
    [PROTO_LEDGER_CLOSED] = V2_TEXT("12345", "99", "CLOSED"),
};
#define V3_HEADER "426f6f6b69654d65746164617461466f726d617456657273696f6e09330a"
#define V3_REST                                                            \
    "32200a08626b313a333138310a08626b323a333138310a08626b333a333138311000" \
    "32200a08626b343a333138310a08626b323a333138310a08626b333a333138311046" \
    "3802420f00016122275c0a097fff07080b0c0d480150fbd095ffbc315a070a016b1202c3a96063"
static const char *const v3_hex[] = {
    [PROTO_LEDGER_OPEN] = V3_HEADER "7e08021003180020ffffffffffffffffff012801" V3_REST,
    [PROTO_LEDGER_IN_RECOVERY] = V3_HEADER "7e08021003180020ffffffffffffffffff012802" V3_REST,
    [PROTO_LEDGER_CLOSED] = V3_HEADER "760802100318b960206328 03" V3_REST,
};

static struct proto_ledger_metadata metadata_sample(int version, enum proto_ledger_state state) {
    bool closed = state == PROTO_LEDGER_CLOSED;
    struct proto_ledger_metadata metadata = {.version = version,
                                             .ensemble_size = 3,
                                             .write_quorum = 2,
                                             .ack_quorum = version == 1 ? 2 : 1,
                                             .state = state,
                                             .length = closed ? 12345 : 0,
                                             .last_entry = closed ? 99 : -1,
                                             .segments = segments,
                                             .segment_count = 2};
    if (version == 1) return metadata;
    metadata.has_password = true;
    metadata.digest = PROTO_DIGEST_MAC;
    metadata.password = RT_BYTES_LITERAL("\0\1a\"'\\\n\t\x7f\xff\a\b\v\f\r");
    metadata.has_ctime = true;
    metadata.ctime_ms = 1700000000123;
    metadata.custom = custom;
    metadata.custom_count = 1;
    metadata.has_token = version == 3;
    metadata.token = version == 3 ? 99 : 0;
    return metadata;
}

static struct rt_buf golden_bytes(int version, enum proto_ledger_state state) {
    if (version == 3) return hex_bytes(v3_hex[state]);
    struct rt_buf buf = {0};
    rt_buf_append(&buf, rt_bytes_of(version == 1 ? v1_texts[state] : v2_texts[state]));
    return buf;
}

static bool segments_equal(const struct proto_ledger_metadata *a,
                           const struct proto_ledger_metadata *b) {
    if (a->segment_count != b->segment_count) return false;
    for (size_t i = 0; i < a->segment_count; i++) {
        if (a->segments[i].first_entry != b->segments[i].first_entry) return false;
        for (size_t j = 0; j < a->ensemble_size; j++) {
            if (!rt_bytes_equal(a->segments[i].bookies[j], b->segments[i].bookies[j])) return false;
        }
    }
    return true;
}

static bool custom_equal(const struct proto_ledger_metadata *a,
                         const struct proto_ledger_metadata *b) {
    if (a->custom_count != b->custom_count) return false;
    for (size_t i = 0; i < a->custom_count; i++) {
        if (!rt_bytes_equal(a->custom[i].key, b->custom[i].key)) return false;
        if (!rt_bytes_equal(a->custom[i].value, b->custom[i].value)) return false;
    }
    return true;
}

static bool metadata_equal(const struct proto_ledger_metadata *a,
                           const struct proto_ledger_metadata *b) {
    return a->version == b->version && a->ensemble_size == b->ensemble_size &&
           a->write_quorum == b->write_quorum && a->ack_quorum == b->ack_quorum &&
           a->state == b->state && a->length == b->length && a->last_entry == b->last_entry &&
           segments_equal(a, b) && a->has_password == b->has_password && a->digest == b->digest &&
           rt_bytes_equal(a->password, b->password) && a->has_ctime == b->has_ctime &&
           a->ctime_ms == b->ctime_ms && a->has_token == b->has_token && a->token == b->token &&
           custom_equal(a, b);
}

Test(proto_ledger_metadata, is_written_as_bookkeeper_writes_it) {
    for (int version = 1; version <= 3; version++) {
        for (unsigned state = PROTO_LEDGER_OPEN; state <= PROTO_LEDGER_CLOSED; state++) {
            struct proto_ledger_metadata metadata =
                metadata_sample(version, (enum proto_ledger_state)state);
            struct rt_buf golden = golden_bytes(version, metadata.state);
            struct rt_buf buf = {0};
            proto_ledger_metadata_encode(&metadata, &buf);
            cr_expect(rt_bytes_equal(rt_buf_bytes(&buf), rt_buf_bytes(&golden)),
                      "version %d, state %u:\n%.*s", version, state, (int)buf.size,
                      (char *)buf.data);
            rt_buf_fini(&buf);
            rt_buf_fini(&golden);
        }
    }
}

Test(proto_ledger_metadata, is_read_as_bookkeeper_meant_it) {
    for (int version = 1; version <= 3; version++) {
        for (unsigned state = PROTO_LEDGER_OPEN; state <= PROTO_LEDGER_CLOSED; state++) {
            struct proto_ledger_metadata metadata =
                metadata_sample(version, (enum proto_ledger_state)state);
            struct rt_buf golden = golden_bytes(version, metadata.state);
            struct rt_arena arena = {0};
            struct proto_ledger_metadata out;
            struct rt_why why = {""};
            rt_err err = proto_ledger_metadata_decode(rt_buf_bytes(&golden), &arena, &out, &why);
            cr_expect_eq(err, RT_OK, "version %d: %s", version, why.text);
            cr_expect(metadata_equal(&out, &metadata), "version %d, state %u", version, state);
            rt_arena_fini(&arena);
            rt_buf_fini(&golden);
        }
    }
}

static rt_err decode(struct rt_bytes bytes, struct rt_why *why) {
    struct rt_arena arena = {0};
    struct rt_bytes copy = exact_copy(bytes);
    struct proto_ledger_metadata metadata;
    rt_err err = proto_ledger_metadata_decode(copy, &arena, &metadata, why);
    rt_free((void *)(uintptr_t)copy.data);
    rt_arena_fini(&arena);
    return err;
}

Test(proto_ledger_metadata, version_3_of_the_fact_sheet_is_understood) {
    struct rt_buf bytes =
        hex_bytes(V3_HEADER
                  "4b 0802 1002 1800 20ffffffffffffffffff01 2801 32160a08626b313a333138310a08626b"
                  "323a333138311000 3803 4200 4802 5a150a0b6170706c69636174696f6e120670756c736172"
                  "60b960");
    struct rt_arena arena = {0};
    struct proto_ledger_metadata m;
    cr_assert_eq(proto_ledger_metadata_decode(rt_buf_bytes(&bytes), &arena, &m, NULL), RT_OK);
    cr_expect(m.ensemble_size == 2 && m.write_quorum == 2 && m.ack_quorum == 2);
    cr_expect(m.has_password && m.digest == PROTO_DIGEST_CRC32C && m.password.size == 0);
    cr_expect(m.has_token && m.token == 12345 && !m.has_ctime && m.last_entry == -1);
    cr_expect(rt_bytes_equal(m.custom[0].key, RT_BYTES_LITERAL("application")));
    struct rt_buf again = {0};
    proto_ledger_metadata_encode(&m, &again);
    cr_expect(rt_bytes_equal(rt_buf_bytes(&again), rt_buf_bytes(&bytes)));
    rt_buf_append(&bytes, RT_BYTES_LITERAL("what is behind does not matter"));
    cr_expect_eq(decode(rt_buf_bytes(&bytes), NULL), RT_OK);
    rt_buf_fini(&again);
    rt_buf_fini(&bytes);
    rt_arena_fini(&arena);
}

// The text forms do not say where they end, so they are cut within their first segment.
Test(proto_ledger_metadata, every_truncation_fails) {
    static const char *const in_segment[] = {NULL, "bk3", "firstEntryId", NULL};
    for (int version = 1; version <= 3; version++) {
        struct rt_buf golden = golden_bytes(version, PROTO_LEDGER_CLOSED);
        size_t end = golden.size;
        const char *text =
            version == 1 ? v1_texts[PROTO_LEDGER_CLOSED] : v2_texts[PROTO_LEDGER_CLOSED];
        if (version < 3) end = (size_t)(strstr(text, in_segment[version]) - text);
        for (size_t size = 0; size < end; size++) {
            struct rt_why why = {""};
            rt_err err = decode(RT_BYTES(golden.data, size), &why);
            cr_expect_eq(err, RT_EPROTO, "version %d at %zu", version, size);
            cr_expect_str_neq(why.text, "");
        }
        rt_buf_fini(&golden);
    }
}

#define V2(fields) HEADER "2\n" fields
#define SIZES "quorumSize: 2 ensembleSize: 2 length: 0 "
#define ONE "segment { ensembleMember: \"a\" ensembleMember: \"b\" firstEntryId: 0 } "

Test(proto_ledger_metadata, contradictions_are_named) {
    static const struct {
        const char *text, *reason;
    } cases[] = {
        {"", "header"},
        {"BookieMetadataFormatVersion 3\n", "header"},
        {HEADER "\n", "no version"},
        {HEADER "x\n", "no version"},
        {HEADER "3", "no version"},
        {HEADER "00000000003\n", "no version"},
        {HEADER "4\n", "version 4"},
        {HEADER "0\n", "version 0"},
        {HEADER "-1\n", "version -1"},
        {HEADER "3\n", "truncated"},
        {HEADER "3\n\x05\x08\x02", "truncated"},
        {HEADER "3\n\x02\x08\x02", "malformed"},
        {HEADER "1\n2\n2\nx\n0\ta\tb\n", "not numbers"},
        {HEADER "1\n2\n2\n0\nx\ta\tb\n", "line 4"},
        {HEADER "1\n2\n2\n0\n0\ta\n", "has 1 bookies instead of 2"},
        {HEADER "1\n2\n2\n0\n", "no segment"},
        {HEADER "1\n2\n2\n0\n0\ta\tb\n-2\tCLOSED", "last entry"},
        {HEADER "1\n9999999999\n2\n0\n0\ta\tb\n", "not numbers"},
        {V2("quorumSize: 3 ensembleSize: 2 length: 0 state: OPEN " ONE), "contradict"},
        {V2("quorumSize: 0 ensembleSize: 2 length: 0 state: OPEN " ONE), "contradict"},
        {V2("quorumSize: -1 ensembleSize: -1 length: 0 state: OPEN " ONE), "contradict"},
        {V2(SIZES "state: OPEN ackQuorumSize: 3 " ONE), "contradict"},
        {V2(SIZES "state: OPEN ackQuorumSize: 0 " ONE), "contradict"},
        {V2(SIZES "state: OPEN"), "no segment"},
        {V2(SIZES
            "state: OPEN segment { ensembleMember: 'a' ensembleMember: 'b' firstEntryId: 1 }"),
         "out of order"},
        {V2(SIZES "state: OPEN " ONE ONE), "out of order"},
        {V2(SIZES "state: OPEN segment { firstEntryId: 0 }"), "has 0 bookies"},
        {V2(SIZES "state: OPEN segment { ensembleMember: ['a', 'b/c'] firstEntryId: 0 }"),
         "invalid bookie id"},
        {V2(SIZES "state: CLOSED " ONE), "last entry"},
        {V2(SIZES "state: CLOSED lastEntryId: -2 " ONE), "last entry"},
        {V2("quorumSize: 2 ensembleSize: 2 length: -1 lastEntryId: 0 state: CLOSED " ONE),
         "length"},
        {V2(SIZES "state: OPEN password: '' " ONE), "password"},
        {V2(SIZES "state: OPEN digestType: CRC32 " ONE), "password"},
        {V2(SIZES "state: OTHER " ONE), "line 1"},
        {V2(SIZES ONE), "required"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rt_why why = {""};
        cr_expect_eq(decode(rt_bytes_of(cases[i].text), &why), RT_EPROTO, "%s", cases[i].text);
        cr_expect(strstr(why.text, cases[i].reason), "\"%s\" for %s", why.text, cases[i].text);
    }
    cr_expect_eq(decode(rt_bytes_of(V2(SIZES "state: OPEN " ONE)), NULL), RT_OK);
}

Test(proto_ledger_metadata, a_digest_that_is_not_known_is_no_other_one) {
    struct rt_buf bytes = hex_bytes(V3_HEADER
                                    "1a 0801 1001 1800 20ffffffffffffffffff01 2801 3205"
                                    "0a0161 1000 3803 4200");
    bytes.data[30] = (uint8_t)(bytes.size - 31);
    cr_expect_eq(decode(rt_buf_bytes(&bytes), NULL), RT_OK);
    bytes.data[bytes.size - 3] = 5;
    cr_expect_eq(decode(rt_buf_bytes(&bytes), NULL), RT_EPROTO);
    rt_buf_fini(&bytes);
}

Test(proto_ledger_metadata, an_open_ledger_has_no_length_and_no_end_whatever_is_stored) {
    struct rt_arena arena = {0};
    struct proto_ledger_metadata metadata;
    const char *text =
        V2("quorumSize: 1 ensembleSize: 2 length: 77 lastEntryId: 5 "
           "state: IN_RECOVERY " ONE);
    cr_assert_eq(proto_ledger_metadata_decode(rt_bytes_of(text), &arena, &metadata, NULL), RT_OK);
    cr_expect(metadata.length == 0 && metadata.last_entry == -1 && metadata.ack_quorum == 1);
    rt_arena_fini(&arena);
}

Test(proto_ledger_metadata, an_entry_belongs_to_the_last_segment_before_it) {
    enum { COUNT = 9 };
    struct proto_ledger_segment many[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        many[i] = (struct proto_ledger_segment){(int64_t)(i * i * 10), first_bookies};
    }
    for (size_t count = 1; count <= COUNT; count++) {
        struct proto_ledger_metadata metadata = {.segments = many, .segment_count = count};
        for (int64_t entry = 0; entry < 700; entry++) {
            size_t expected = 0;
            while (expected + 1 < count && many[expected + 1].first_entry <= entry) expected++;
            cr_assert_eq(proto_ledger_segment_of(&metadata, entry), &many[expected]);
        }
        cr_assert_eq(proto_ledger_segment_of(&metadata, INT64_MAX), &many[count - 1]);
    }
}
