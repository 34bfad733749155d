// An entry as clients make it and bookies store it: ids, LAC, length, digest, payload. Section 2 of
// the BookKeeper sheet.
//
// Layout, big-endian: ledger(8) entry(8) LAC(8) length(8) digest(d) payload. The digest covers the
// 32 bytes before it and the payload.
#ifndef GEMINGA_PROTO_LEDGER_ENTRY_H
#define GEMINGA_PROTO_LEDGER_ENTRY_H

#include "runtime/bytes.h"
#include "runtime/err.h"

enum { PROTO_ENTRY_HEAD = 32, PROTO_ENTRY_DIGEST_MAX = 20, PROTO_ENTRY_KEY = 20 };

// As ledger metadata numbers them.
enum proto_digest {
    PROTO_DIGEST_CRC32 = 1,
    PROTO_DIGEST_MAC,
    PROTO_DIGEST_CRC32C,
    PROTO_DIGEST_DUMMY
};

// What is derived from a ledger's password: the master key that bookies check, and the key of MAC.
struct proto_ledger_keys {
    enum proto_digest digest;
    uint8_t master[PROTO_ENTRY_KEY];
    uint8_t mac[PROTO_ENTRY_KEY];
};
void proto_ledger_keys_make(struct proto_ledger_keys *keys, enum proto_digest digest,
                            struct rt_bytes password);
size_t proto_digest_size(enum proto_digest digest);
const char *proto_digest_name(enum proto_digest digest);  // "CRC32C" and so on

struct proto_entry {
    int64_t ledger, entry, lac, length;
    struct rt_bytes payload;
};

// The 32 bytes and the digest: what is sent before the payload. Returns its size. The payload may
// lie in several parts.
size_t proto_entry_head(const struct proto_ledger_keys *keys, const struct proto_entry *entry,
                        const struct rt_bytes *parts, size_t part_count,
                        uint8_t head[PROTO_ENTRY_HEAD + PROTO_ENTRY_DIGEST_MAX]);
// RT_ECORRUPT: too short, the digest does not fit, another ledger, or (unless -1) another entry.
RT_CHECK
rt_err proto_entry_open(const struct proto_ledger_keys *keys, struct rt_bytes body, int64_t ledger,
                        int64_t entry, struct proto_entry *out);
// What a bookie needs, which knows no keys. RT_EPROTO: shorter than ids and LAC, or a negative id.
struct proto_entry_ids {
    int64_t ledger, entry, lac;
};
RT_CHECK
rt_err proto_entry_ids_read(struct rt_bytes body, struct proto_entry_ids *ids);

// Explicit LAC: ledger(8) lac(8) digest(d) over the 16 bytes.
void proto_explicit_lac_make(const struct proto_ledger_keys *keys, int64_t ledger, int64_t lac,
                             struct rt_buf *out);
RT_CHECK
rt_err proto_explicit_lac_open(const struct proto_ledger_keys *keys, struct rt_bytes body,
                               int64_t ledger, int64_t *lac);

#endif
