// BookKeeper's wire protocol, both forms: v2 (fixed binary layout) and v3 (protobuf). Sections 1.3
// to 1.8 of the BookKeeper sheet.
//
// One request struct and one response struct serve both forms and all operations; what an operation
// has no use for is zero. A packet is what stands behind the 4-byte length. Decoding borrows from
// the packet; lengths in it are checked against what is there, nothing is allocated.
#ifndef GEMINGA_PROTO_BOOKKEEPER_H
#define GEMINGA_PROTO_BOOKKEEPER_H

#include "runtime/bytes.h"
#include "runtime/err.h"

enum {
    PROTO_BK_KEY_SIZE = 20,        // of a master key, as clients make it
    PROTO_BK_FRAME_MAX = 5253120,  // Pulsar's; counts the length word (nettyMaxFrameSizeBytes)
    PROTO_BK_V2_READ_HEAD = 24,    // of a v2 read response before the entry
    PROTO_BK_BATCH_HEAD = 32,      // of a v2 batch read response before the first entry
    PROTO_BK_HEAD_MAX = 128        // any response without its body and texts, and a v3 read head
};

enum proto_bk_form { PROTO_BK_V2 = 2, PROTO_BK_V3 = 3 };

enum proto_bk_kind {
    PROTO_BK_UNKNOWN,  // v3 only: a well-formed header with an operation that we do not know
    PROTO_BK_ADD,
    PROTO_BK_READ,
    PROTO_BK_BATCH_READ,  // v2 only
    PROTO_BK_AUTH,
    PROTO_BK_WRITE_LAC,  // this and those behind it: v3 only
    PROTO_BK_READ_LAC,
    PROTO_BK_FORCE_LEDGER,
    PROTO_BK_BOOKIE_INFO,
    PROTO_BK_LIST_ENTRIES,
    PROTO_BK_START_TLS,
    PROTO_BK_KINDS
};

enum proto_bk_flag {
    PROTO_BK_FENCE = 1 << 0,          // read: fences the ledger first
    PROTO_BK_RECOVERY = 1 << 1,       // add: also to a fenced ledger
    PROTO_BK_HIGH_PRIORITY = 1 << 2,  // v3: priority > 0
    PROTO_BK_DEFERRED_SYNC = 1 << 3,  // add, v3: answered before it is durable
    PROTO_BK_PIGGYBACK = 1 << 4,      // read, v3: entry previous_lac + 1 with the LAC
    PROTO_BK_HAS_KEY = 1 << 5,
    PROTO_BK_HAS_PREVIOUS_LAC = 1 << 6,
    PROTO_BK_HAS_TIMEOUT = 1 << 7
};

// What a bookie answers. The numbers are ours; proto_bk_code_v2 and _v3 have those of the wire.
enum proto_bk_code {
    PROTO_BK_OK,
    PROTO_BK_NO_LEDGER,
    PROTO_BK_NO_ENTRY,
    PROTO_BK_BAD_REQUEST,
    PROTO_BK_IO,
    PROTO_BK_UNAUTHORIZED,
    PROTO_BK_BAD_VERSION,
    PROTO_BK_FENCED,
    PROTO_BK_READ_ONLY,
    PROTO_BK_TOO_MANY_REQUESTS,
    PROTO_BK_UNKNOWN_LEDGER_STATE,  // in v2: IO, since clients know no such code
    PROTO_BK_CODES
};
int32_t proto_bk_code_v2(enum proto_bk_code code);
int32_t proto_bk_code_v3(enum proto_bk_code code);
enum proto_bk_code proto_bk_code_of(int32_t wire);        // of either form; unknown ones are IO
const char *proto_bk_code_name(enum proto_bk_code code);  // "ENOLEDGER" and so on
const char *proto_bk_kind_name(enum proto_bk_kind kind);  // "ADD_ENTRY" and so on

struct proto_bk_request {
    enum proto_bk_form form;
    enum proto_bk_kind kind;
    unsigned flags;     // of enum proto_bk_flag
    int32_t version;    // as sent: a server answers BAD_VERSION to v2 over 2 and to v3 other than 3
    int32_t operation;  // as sent, for the echo of what is not known
    uint64_t request_id;    // v3: txnId; batch read: requestId
    int64_t ledger, entry;  // entry -1 of a read: the last one. Batch read: the first
    struct rt_bytes key;    // master key; add, write LAC, fencing read
    struct rt_bytes body;   // add: the entry as it is stored; write LAC: the opaque record
    int64_t previous_lac, timeout_ms;  // long poll
    int64_t lac;                       // write LAC
    int32_t count_max;                 // batch read; at most 0: no limit
    int64_t size_max;
    int64_t info_mask;                     // 1 total, 2 free disk space
    struct rt_bytes plugin, auth_payload;  // auth
};

// v3 packets begin with 0x0a, v2 packets with their version. RT_EPROTO: truncated, a lie, or an
// operation that has no place in v2 (the connection ends). A v2 version over 2 is decoded as far as
// its header goes.
RT_CHECK
rt_err proto_bk_request_decode(struct rt_bytes packet, struct proto_bk_request *request);
// Without the length word, and of an add without the body, which the caller sends behind it (it is
// last in both forms; *body_behind says how much is missing). RT_EUNSUPPORTED: not in this form.
RT_CHECK
rt_err proto_bk_request_encode(const struct proto_bk_request *request, struct rt_writer *w,
                               size_t *body_behind);

struct proto_bk_response {
    enum proto_bk_form form;
    enum proto_bk_kind kind;
    enum proto_bk_code code;
    int32_t operation;  // of an UNKNOWN request
    uint64_t request_id;
    int64_t ledger, entry;  // as the request had them; a piggyback read's entry is what was found
    struct rt_bytes body;   // read: the entry; batch read: entries, each behind its be32 size
    bool has_body, has_max_lac, has_update_time;
    int64_t max_lac, update_time_ms;       // v3 read
    struct rt_bytes lac_body, last_entry;  // read LAC
    bool has_lac_body, has_last_entry;
    int64_t total_bytes, free_bytes;  // bookie info; those that were asked for
    bool has_total, has_free;
    struct rt_bytes entries;  // list of entries (proto_bk_entry_list)
    struct rt_bytes plugin, auth_payload;
};
RT_CHECK
rt_err proto_bk_response_decode(struct rt_bytes packet, struct proto_bk_response *response);
// The packet up to where a body of `body_size` bytes belongs (read, batch read; 0 of others), which
// is last in both forms, so that it can be sent as a reference. For all other kinds: the packet.
void proto_bk_response_encode(const struct proto_bk_response *response, size_t body_size,
                              struct rt_writer *w);

// THE LIST OF A LEDGER'S ENTRIES (availabilityOfEntriesOfLedger): runs with one distance.
struct proto_bk_entry_group {
    int64_t first, last;   // of the starts of its sequences
    int32_t size, period;  // of a sequence; from one start to the next, 0 if there is only one
};
enum { PROTO_BK_ENTRY_LIST_MAX = 1 << 24 };  // ids that one list may stand for; groups: no limit
// Ascending ids in, groups out: the fewest that a greedy walk finds.
void proto_bk_entry_list_encode(const int64_t *entries, size_t count, struct rt_buf *out);
// RT_EPROTO: lies, overlaps or is out of order. The groups take no more memory than the bytes do;
// the ids are of a bounded number (RT_ETOOBIG). Both are appended.
RT_CHECK
rt_err proto_bk_entry_groups_decode(struct rt_bytes bytes, struct rt_buf *groups);  // of the above
RT_CHECK
rt_err proto_bk_entry_list_decode(struct rt_bytes bytes, struct rt_buf *entries);  // of int64_t

#endif
