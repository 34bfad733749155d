// The ZooKeeper client protocol: requests and replies as structs, both directions of each.
//
// A frame is a 4-byte length (the stream's) and a payload; this is the payload. Integers are
// big-endian, a string or buffer is an int length and its bytes, a vector an int count and its
// items; length or count -1 is null. There are no tags, so a record is its fields in order
// (zookeeper_layout.c); bytes behind a complete record are ignored.
//
// Valid: every length and count is -1 or more and what it announces lies in the frame.
//
// Decoded strings and buffers borrow from the frame, vectors lie in the arena. In an rt_bytes null
// has no data pointer, while empty has one; so zero-initialised is null. A vector says so itself,
// zero-initialised it is empty.
#ifndef GEMINGA_PROTO_ZOOKEEPER_H
#define GEMINGA_PROTO_ZOOKEEPER_H

#include "proto/zookeeper_codes.h"
#include "runtime/arena.h"
#include "runtime/bytes.h"

struct proto_zk_strings {
    const struct rt_bytes *items;
    size_t count;
    bool is_null;
};

struct proto_zk_id {
    struct rt_bytes scheme, id;
};

struct proto_zk_ids {
    const struct proto_zk_id *items;
    size_t count;
    bool is_null;
};

struct proto_zk_acl {
    int32_t perms;  // unmasked: bits beyond PROTO_ZK_PERM_ALL are kept
    struct proto_zk_id id;
};

struct proto_zk_acls {
    const struct proto_zk_acl *items;
    size_t count;
    bool is_null;
};

struct proto_zk_stat {
    int64_t czxid, mzxid;
    int64_t ctime_ms, mtime_ms;
    int32_t version, cversion, aversion;
    int64_t ephemeral_owner;
    int32_t data_size, children;
    int64_t pzxid;
};

// HANDSHAKE

struct proto_zk_connect {
    int32_t version;  // 0
    int64_t last_zxid_seen;
    int32_t timeout_ms;  // wanted; any value
    int64_t session_id;  // 0: a new one
    struct rt_bytes password;
    bool has_read_only;  // absent from old clients; the reply has it if the request has
    bool read_only;
};

struct proto_zk_connected {
    int32_t version;
    int32_t timeout_ms;  // 0 with session_id 0: rejected
    int64_t session_id;
    uint8_t password[PROTO_ZK_PASSWORD_SIZE];
    bool has_read_only;
    bool read_only;
};

RT_CHECK rt_err proto_zk_connect_decode(struct rt_bytes payload, struct proto_zk_connect *connect);
void proto_zk_connect_encode(const struct proto_zk_connect *connect, struct rt_writer *w);
RT_CHECK rt_err proto_zk_connected_decode(struct rt_bytes payload,
                                          struct proto_zk_connected *connected);
void proto_zk_connected_encode(const struct proto_zk_connected *connected, struct rt_writer *w);

// REQUESTS

struct proto_zk_set_watches {
    int64_t relative_zxid;
    struct proto_zk_strings data, exist, child;
    struct proto_zk_strings persistent, persistent_recursive;  // setWatches2
};

// One operation: a request, or a part of a multi.
struct proto_zk_op {
    int32_t opcode;
    union {
        struct rt_bytes path;   // getACL, sync, getEphemerals (a prefix), getAllChildrenNumber
        struct rt_bytes token;  // sasl
        struct {
            struct rt_bytes path, data;
            struct proto_zk_acls acl;
            int32_t flags;
            int64_t ttl_ms;  // createTTL
        } create;            // create, create2, createContainer, createTTL
        struct {
            struct rt_bytes path;
            int32_t version;
        } versioned;  // delete, check
        struct {
            struct rt_bytes path;
            bool watch;
        } read;  // exists, getData, getChildren, getChildren2
        struct {
            struct rt_bytes path, data;
            int32_t version;
        } set_data;
        struct {
            struct rt_bytes path;
            struct proto_zk_acls acl;
            int32_t version;  // of the ACL
        } set_acl;
        struct {
            struct rt_bytes path;
            int32_t type;  // addWatch: enum proto_zk_watch_mode, else enum proto_zk_watch_type
        } watch;           // addWatch, checkWatches, removeWatches
        struct proto_zk_set_watches set_watches;
        struct {
            int32_t type;  // means nothing
            struct rt_bytes scheme, auth;
        } auth;
        struct {
            struct rt_bytes joining, leaving, members;
            int64_t config_id;
        } reconfig;
    };
};

struct proto_zk_request {
    int32_t xid;
    struct proto_zk_op op;
    const struct proto_zk_op *ops;  // multi and multiRead
    size_t op_count;
};

// RT_EPROTO: no header, close the connection. From here on xid and opcode are set. RT_EUNSUPPORTED:
// no opcode for clients, answer UNIMPLEMENTED with zxid -1, then close. RT_EINVAL: the record
// cannot be decoded or a multi mixes what it must not, answer MARSHALLINGERROR and go on.
RT_CHECK rt_err proto_zk_request_decode(struct rt_bytes payload, struct rt_arena *arena,
                                        struct proto_zk_request *request);
void proto_zk_request_encode(const struct proto_zk_request *request, struct rt_writer *w);

// The record alone, for any opcode that has a row, internal ones too: op->opcode says which, all
// else is set here. A multi is not one record. RT_EINVAL as above; RT_EUNSUPPORTED without a row.
RT_CHECK rt_err proto_zk_op_decode(struct rt_reader *r, struct rt_arena *arena,
                                   struct proto_zk_op *op);
void proto_zk_op_encode(const struct proto_zk_op *op, struct rt_writer *w);

// REPLIES

struct proto_zk_reply_header {
    int32_t xid;
    int64_t zxid;
    int32_t err;
};

// What replies are made of; each opcode has some of it, the table in zookeeper_layout.c says which.
struct proto_zk_body {
    struct rt_bytes path;
    struct rt_bytes data;  // the token for sasl
    struct proto_zk_stat stat;
    struct proto_zk_strings names;
    struct proto_zk_acls acl;
    struct proto_zk_ids ids;
    int32_t number;  // 0 for addWatch
};

// One result of a multi. PROTO_ZK_RESULT_ERROR has only err; in a failed multi all results are
// such, those before the failure with err 0.
struct proto_zk_result {
    int32_t opcode;  // from proto_zk_result_opcode, or PROTO_ZK_RESULT_ERROR
    int32_t err;
    struct proto_zk_body body;
};

struct proto_zk_reply {
    struct proto_zk_reply_header header;
    struct proto_zk_body body;
    const struct proto_zk_result *results;  // multi and multiRead
    size_t result_count;
};

// The header alone says by its xid what follows: an event, or the reply to some opcode.
RT_CHECK rt_err proto_zk_reply_header_decode(struct rt_reader *r,
                                             struct proto_zk_reply_header *header);
void proto_zk_reply_header_encode(const struct proto_zk_reply_header *header, struct rt_writer *w);

// Behind an error header there is no body to decode. RT_EPROTO: the body is not the opcode's.
RT_CHECK rt_err proto_zk_reply_body_decode(struct rt_reader *r, int32_t opcode,
                                           struct rt_arena *arena, struct proto_zk_reply *reply);
RT_CHECK rt_err proto_zk_reply_decode(struct rt_bytes payload, int32_t opcode,
                                      struct rt_arena *arena, struct proto_zk_reply *reply);

// With an error in the header, the header only. Error codes are those that may be sent.
void proto_zk_reply_encode(const struct proto_zk_reply *reply, int32_t opcode, struct rt_writer *w);

// Results one by one, for whoever does not keep them all: header, results, end.
void proto_zk_result_encode(const struct proto_zk_result *result, struct rt_writer *w);
void proto_zk_results_end(struct rt_writer *w);
// The opcode in the result of an operation: all creates that answer a Stat answer as create2.
int32_t proto_zk_result_opcode(const struct proto_zk_op *op);

// For a getData reply whose data goes out by reference: header, size of the data (-1 for null),
// the data, Stat.
void proto_zk_data_size_encode(struct rt_bytes data, struct rt_writer *w);
void proto_zk_stat_encode(const struct proto_zk_stat *stat, struct rt_writer *w);

struct proto_zk_event {
    int32_t type, state;
    struct rt_bytes path;
};

// The record behind a header with PROTO_ZK_XID_EVENT, and both together.
RT_CHECK rt_err proto_zk_event_decode(struct rt_reader *r, struct proto_zk_event *event);
void proto_zk_event_encode(const struct proto_zk_event *event, int64_t zxid, struct rt_writer *w);

#endif
