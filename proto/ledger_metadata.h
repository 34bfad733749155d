// What BookKeeper keeps in ZooKeeper: ledger metadata in its three versions, its paths, and the
// small records beside it. Section 4 of the BookKeeper sheet.
//
// Decoded structs borrow from the bytes they were decoded from, or from the arena. Members that are
// not known survive neither reading nor writing; custom metadata does.
#ifndef GEMINGA_PROTO_LEDGER_METADATA_H
#define GEMINGA_PROTO_LEDGER_METADATA_H

#include "proto/ledger_entry.h"
#include "runtime/arena.h"

enum proto_ledger_state { PROTO_LEDGER_OPEN = 1, PROTO_LEDGER_IN_RECOVERY, PROTO_LEDGER_CLOSED };

struct proto_ledger_segment {
    int64_t first_entry;
    const struct rt_bytes *bookies;  // ids; ensemble_size of them
};

struct proto_ledger_custom {
    struct rt_bytes key, value;
};

struct proto_ledger_metadata {
    int version;  // 1 to 3: kept when it is written again
    uint32_t ensemble_size, write_quorum, ack_quorum;
    enum proto_ledger_state state;
    int64_t length, last_entry;  // 0 and -1 unless closed
    const struct proto_ledger_segment *segments;
    size_t segment_count;
    bool has_password;
    enum proto_digest digest;
    struct rt_bytes password;
    bool has_ctime, has_token;
    int64_t ctime_ms, token;
    const struct proto_ledger_custom *custom;
    size_t custom_count;
};

// RT_EPROTO with the reason: another format, truncated, segments that do not begin with 0, are out
// of order or of another size than the ensemble, quorums that contradict each other.
RT_CHECK
rt_err proto_ledger_metadata_decode(struct rt_bytes bytes, struct rt_arena *arena,
                                    struct proto_ledger_metadata *metadata, struct rt_why *why);
void proto_ledger_metadata_encode(const struct proto_ledger_metadata *metadata, struct rt_buf *out);
// The segment that entry belongs to: the last that begins at or before it.
const struct proto_ledger_segment *proto_ledger_segment_of(
    const struct proto_ledger_metadata *metadata, int64_t entry);

// PATHS below the root (without it, with a leading slash)
enum { PROTO_LEDGER_PATH_SIZE = 40 };
void proto_ledger_path(int64_t ledger, char path[PROTO_LEDGER_PATH_SIZE]);
bool proto_ledger_path_parse(struct rt_bytes path, int64_t *ledger);  // either form
bool proto_ledger_id_is_long(int64_t ledger);                         // of the 19-digit form

// A BOOKIE'S ID: what ZooKeeper and ledgers call it. Letters, digits and :;<=>?@[\]^_.- and not
// "readonly".
bool proto_bookie_id_is_valid(struct rt_bytes id);

// BookieServiceInfoFormat: where a bookie listens.
struct proto_bookie_endpoint {
    struct rt_bytes id, host, protocol;
    int32_t port;
    const struct rt_bytes *auth, *extensions;
    size_t auth_count, extension_count;
};
struct proto_bookie_info {
    const struct proto_bookie_endpoint *endpoints;
    size_t endpoint_count;
    const struct proto_ledger_custom *properties;
    size_t property_count;
};
RT_CHECK
rt_err proto_bookie_info_decode(struct rt_bytes bytes, struct rt_arena *arena,
                                struct proto_bookie_info *info);
void proto_bookie_info_encode(const struct proto_bookie_info *info, struct rt_buf *out);

// COOKIE: who owns a directory. Text; layout 5 is written, 4 and 5 are read.
struct proto_cookie {
    struct rt_bytes bookie, journal_dirs, ledger_dirs, instance, index_dirs;
    bool has_instance, has_index_dirs;
};
RT_CHECK
rt_err proto_cookie_decode(struct rt_bytes text, struct rt_arena *arena,
                           struct proto_cookie *cookie, struct rt_why *why);
void proto_cookie_encode(const struct proto_cookie *cookie, struct rt_buf *out);
bool proto_cookie_equal(const struct proto_cookie *a, const struct proto_cookie *b);

// "2\n<factory class>:1"
RT_CHECK
rt_err proto_layout_decode(struct rt_bytes text, struct rt_bytes *factory, int *version);
void proto_layout_encode(struct rt_buf *out);  // of the hierarchical manager

#endif
