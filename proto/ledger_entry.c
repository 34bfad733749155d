#include "proto/ledger_entry.h"

#include <assert.h>
#include <string.h>

#include "runtime/crc32.h"
#include "runtime/crc32c.h"
#include "runtime/sha1.h"

static_assert((int)PROTO_ENTRY_KEY == (int)RT_SHA1_SIZE, "keys are SHA-1 digests");
static_assert((int)PROTO_ENTRY_DIGEST_MAX == (int)RT_SHA1_SIZE, "a MAC is the largest digest");

static const struct digest_info {
    const char *name;
    size_t size;
} digests[] = {
    [PROTO_DIGEST_CRC32] = {"CRC32", 8},  // four zero bytes, then the sum
    [PROTO_DIGEST_MAC] = {"MAC", RT_SHA1_SIZE},
    [PROTO_DIGEST_CRC32C] = {"CRC32C", 4},
    [PROTO_DIGEST_DUMMY] = {"DUMMY", 0},
};

static const struct digest_info *info_of(enum proto_digest digest) {
    assert(digest >= PROTO_DIGEST_CRC32 && digest <= PROTO_DIGEST_DUMMY);
    return &digests[digest];
}

size_t proto_digest_size(enum proto_digest digest) {
    return info_of(digest)->size;
}

const char *proto_digest_name(enum proto_digest digest) {
    return info_of(digest)->name;
}

// KEYS: SHA-1 of a word and the password.

static void key_make(struct rt_bytes word, struct rt_bytes password, uint8_t key[RT_SHA1_SIZE]) {
    struct rt_sha1 sha;
    rt_sha1_start(&sha);
    rt_sha1_add(&sha, word);
    rt_sha1_add(&sha, password);
    rt_sha1_finish(&sha, key);
}

void proto_ledger_keys_make(struct proto_ledger_keys *keys, enum proto_digest digest,
                            struct rt_bytes password) {
    keys->digest = digest;
    key_make(RT_BYTES_LITERAL("ledger"), password, keys->master);
    key_make(RT_BYTES_LITERAL("mac"), password, keys->mac);
}

// DIGESTS, over a head and the parts behind it.

struct digest_input {
    struct rt_bytes head;
    const struct rt_bytes *parts;
    size_t part_count;
};

typedef uint32_t crc_fn(uint32_t crc, struct rt_bytes bytes);

static uint32_t crc_of(crc_fn *crc, const struct digest_input *input) {
    uint32_t sum = crc(0, input->head);
    for (size_t i = 0; i < input->part_count; i++) sum = crc(sum, input->parts[i]);
    return sum;
}

// HMAC (RFC 2104); the key is shorter than a block.
static void hmac_start(struct rt_sha1 *sha, const uint8_t key[PROTO_ENTRY_KEY], uint8_t pad) {
    uint8_t block[RT_SHA1_BLOCK];
    for (size_t i = 0; i < RT_SHA1_BLOCK; i++) {
        block[i] = (uint8_t)((i < PROTO_ENTRY_KEY ? key[i] : 0) ^ pad);
    }
    rt_sha1_start(sha);
    rt_sha1_add(sha, RT_BYTES(block, sizeof(block)));
}

static void hmac_of(const uint8_t key[PROTO_ENTRY_KEY], const struct digest_input *input,
                    uint8_t digest[RT_SHA1_SIZE]) {
    struct rt_sha1 sha;
    hmac_start(&sha, key, 0x36);
    rt_sha1_add(&sha, input->head);
    for (size_t i = 0; i < input->part_count; i++) rt_sha1_add(&sha, input->parts[i]);
    rt_sha1_finish(&sha, digest);
    hmac_start(&sha, key, 0x5c);
    rt_sha1_add(&sha, RT_BYTES(digest, RT_SHA1_SIZE));
    rt_sha1_finish(&sha, digest);
}

// Returns the size.
static size_t digest_make(const struct proto_ledger_keys *keys, const struct digest_input *input,
                          uint8_t digest[PROTO_ENTRY_DIGEST_MAX]) {
    struct rt_writer w = rt_writer_over(digest, PROTO_ENTRY_DIGEST_MAX);
    switch (keys->digest) {
    case PROTO_DIGEST_CRC32: rt_write_be64(&w, crc_of(rt_crc32, input)); break;
    case PROTO_DIGEST_CRC32C: rt_write_be32(&w, crc_of(rt_crc32c, input)); break;
    case PROTO_DIGEST_MAC: hmac_of(keys->mac, input, digest); break;
    case PROTO_DIGEST_DUMMY: break;
    }
    return proto_digest_size(keys->digest);
}

static bool digest_fits(const struct proto_ledger_keys *keys, const struct digest_input *input,
                        const uint8_t *digest) {
    uint8_t expected[PROTO_ENTRY_DIGEST_MAX];
    size_t size = digest_make(keys, input, expected);
    return rt_bytes_equal(RT_BYTES(expected, size), RT_BYTES(digest, size));
}

// ENTRIES

size_t proto_entry_head(const struct proto_ledger_keys *keys, const struct proto_entry *entry,
                        const struct rt_bytes *parts, size_t part_count,
                        uint8_t head[PROTO_ENTRY_HEAD + PROTO_ENTRY_DIGEST_MAX]) {
    struct rt_writer w = rt_writer_over(head, PROTO_ENTRY_HEAD);
    rt_write_be64(&w, (uint64_t)entry->ledger);
    rt_write_be64(&w, (uint64_t)entry->entry);
    rt_write_be64(&w, (uint64_t)entry->lac);
    rt_write_be64(&w, (uint64_t)entry->length);
    struct digest_input input = {RT_BYTES(head, PROTO_ENTRY_HEAD), parts, part_count};
    return PROTO_ENTRY_HEAD + digest_make(keys, &input, head + PROTO_ENTRY_HEAD);
}

rt_err proto_entry_open(const struct proto_ledger_keys *keys, struct rt_bytes body, int64_t ledger,
                        int64_t entry, struct proto_entry *out) {
    size_t head_size = PROTO_ENTRY_HEAD + proto_digest_size(keys->digest);
    if (body.size < head_size) return RT_ECORRUPT;
    struct rt_reader r = rt_reader_over(body);
    out->ledger = (int64_t)rt_read_be64(&r);
    out->entry = (int64_t)rt_read_be64(&r);
    out->lac = (int64_t)rt_read_be64(&r);
    out->length = (int64_t)rt_read_be64(&r);
    out->payload = RT_BYTES(body.data + head_size, body.size - head_size);
    struct digest_input input = {RT_BYTES(body.data, PROTO_ENTRY_HEAD), &out->payload, 1};
    if (!digest_fits(keys, &input, body.data + PROTO_ENTRY_HEAD)) return RT_ECORRUPT;
    if (out->ledger != ledger) return RT_ECORRUPT;
    return entry == -1 || out->entry == entry ? RT_OK : RT_ECORRUPT;
}

rt_err proto_entry_ids_read(struct rt_bytes body, struct proto_entry_ids *ids) {
    struct rt_reader r = rt_reader_over(body);
    ids->ledger = (int64_t)rt_read_be64(&r);
    ids->entry = (int64_t)rt_read_be64(&r);
    ids->lac = (int64_t)rt_read_be64(&r);
    if (rt_reader_failed(&r) || ids->ledger < 0 || ids->entry < 0) return RT_EPROTO;
    return RT_OK;
}

// EXPLICIT LAC

enum { LAC_HEAD = 16 };

void proto_explicit_lac_make(const struct proto_ledger_keys *keys, int64_t ledger, int64_t lac,
                             struct rt_buf *out) {
    uint8_t bytes[LAC_HEAD + PROTO_ENTRY_DIGEST_MAX];
    struct rt_writer w = rt_writer_over(bytes, LAC_HEAD);
    rt_write_be64(&w, (uint64_t)ledger);
    rt_write_be64(&w, (uint64_t)lac);
    struct digest_input input = {.head = RT_BYTES(bytes, LAC_HEAD)};
    size_t digest_size = digest_make(keys, &input, bytes + LAC_HEAD);
    rt_buf_append(out, RT_BYTES(bytes, LAC_HEAD + digest_size));
}

rt_err proto_explicit_lac_open(const struct proto_ledger_keys *keys, struct rt_bytes body,
                               int64_t ledger, int64_t *lac) {
    if (body.size < LAC_HEAD + proto_digest_size(keys->digest)) return RT_ECORRUPT;
    struct rt_reader r = rt_reader_over(body);
    int64_t found = (int64_t)rt_read_be64(&r);
    *lac = (int64_t)rt_read_be64(&r);
    struct digest_input input = {.head = RT_BYTES(body.data, LAC_HEAD)};
    if (!digest_fits(keys, &input, body.data + LAC_HEAD)) return RT_ECORRUPT;
    return found == ledger ? RT_OK : RT_ECORRUPT;
}
