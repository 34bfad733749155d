// The messages of BookKeeper's protobuf form, as far as they are spoken. Private to the codec.
//
// Enums are kept as numbers, so that what is not known can be answered with an echo of itself.
#ifndef GEMINGA_PROTO_BOOKKEEPER_MESSAGES_H
#define GEMINGA_PROTO_BOOKKEEPER_MESSAGES_H

#include "proto/protobuf.h"

struct bk_header {
    int32_t version, operation;
    uint64_t txn;
    bool has_priority;
    uint32_t priority;
};

struct bk_auth {
    struct rt_bytes plugin, payload;
};

// REQUESTS

struct bk_read {
    int64_t ledger, entry, previous_lac, timeout;
    int32_t flag;
    bool has_key, has_previous_lac, has_timeout, has_flag;
    struct rt_bytes key;
};

struct bk_add {
    int64_t ledger, entry;
    struct rt_bytes key, body;
    bool has_write_flags, has_flag;
    int32_t write_flags, flag;
};

struct bk_write_lac {
    int64_t ledger, lac;
    struct rt_bytes key, body;
};

struct bk_ledger {
    int64_t ledger;
};

struct bk_info_request {
    bool has_requested;
    int64_t requested;
};

struct bk_empty {
    char unused;
};

struct bk_request {
    struct bk_header header;
    struct bk_read read;
    struct bk_add add;
    struct bk_auth auth;
    struct bk_write_lac write_lac;
    struct bk_ledger read_lac, force, list;
    struct bk_info_request info;
    struct bk_empty tls;
    bool has_read, has_add, has_auth, has_write_lac, has_read_lac, has_info, has_tls, has_force,
        has_list;
};

// RESPONSES

// Of an add; the entry is no field of the others.
struct bk_status {
    int32_t status;
    int64_t ledger, entry;
};

struct bk_read_response {
    int32_t status;
    int64_t ledger, entry, max_lac, update_time;
    bool has_body, has_max_lac, has_update_time;
    struct rt_bytes body;
};

struct bk_read_lac_response {
    int32_t status;
    int64_t ledger;
    bool has_lac_body, has_last_entry;
    struct rt_bytes lac_body, last_entry;
};

struct bk_info_response {
    int32_t status;
    bool has_total, has_free;
    int64_t total, free;
};

struct bk_list_response {
    int32_t status;
    int64_t ledger;
    bool has_entries;
    struct rt_bytes entries;
};

struct bk_response {
    struct bk_header header;
    int32_t status;
    struct bk_read_response read;
    struct bk_status add, write_lac, force;
    struct bk_auth auth;
    struct bk_read_lac_response read_lac;
    struct bk_info_response info;
    struct bk_list_response list;
    struct bk_empty tls;
    bool has_read, has_add, has_auth, has_write_lac, has_read_lac, has_info, has_tls, has_force,
        has_list;
};

extern const struct proto_pb_message bk_auth_message, bk_request_message, bk_response_message;

#endif
