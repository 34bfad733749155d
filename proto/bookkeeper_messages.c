#include "proto/bookkeeper_messages.h"

#define MUST PROTO_PB_MUST
#define MAY PROTO_PB_MAY

static const struct proto_pb_field header_fields[] = {
    MUST(struct bk_header, version, 1, "version", INT32),
    MUST(struct bk_header, operation, 2, "operation", INT32),
    MUST(struct bk_header, txn, 3, "txnId", UINT64),
    MAY(struct bk_header, priority, 4, "priority", UINT32),
};
static const struct proto_pb_message header = PROTO_PB_MESSAGE_OF(struct bk_header, header_fields);

static const struct proto_pb_field auth_fields[] = {
    MUST(struct bk_auth, plugin, 1, "authPluginName", STRING),
    MUST(struct bk_auth, payload, 2, "payload", BYTES),
};
const struct proto_pb_message bk_auth_message = PROTO_PB_MESSAGE_OF(struct bk_auth, auth_fields);

static const struct proto_pb_message empty = {NULL, 0, sizeof(struct bk_empty)};

// REQUESTS

static const struct proto_pb_field read_fields[] = {
    MUST(struct bk_read, ledger, 1, "ledgerId", INT64),
    MUST(struct bk_read, entry, 2, "entryId", INT64),
    MAY(struct bk_read, key, 3, "masterKey", BYTES),
    MAY(struct bk_read, previous_lac, 4, "previousLAC", INT64),
    MAY(struct bk_read, timeout, 5, "timeOut", INT64),
    MAY(struct bk_read, flag, 100, "flag", INT32),
};
static const struct proto_pb_message read_message =
    PROTO_PB_MESSAGE_OF(struct bk_read, read_fields);

static const struct proto_pb_field add_fields[] = {
    MUST(struct bk_add, ledger, 1, "ledgerId", INT64),
    MUST(struct bk_add, entry, 2, "entryId", INT64),
    MUST(struct bk_add, key, 3, "masterKey", BYTES),
    MAY(struct bk_add, write_flags, 5, "writeFlags", INT32),
    MAY(struct bk_add, flag, 100, "flag", INT32),
    MUST(struct bk_add, body, 4, "body", BYTES),
};
static const struct proto_pb_message add_message = PROTO_PB_MESSAGE_OF(struct bk_add, add_fields);

static const struct proto_pb_field write_lac_fields[] = {
    MUST(struct bk_write_lac, ledger, 1, "ledgerId", INT64),
    MUST(struct bk_write_lac, lac, 2, "lac", INT64),
    MUST(struct bk_write_lac, key, 3, "masterKey", BYTES),
    MUST(struct bk_write_lac, body, 4, "body", BYTES),
};
static const struct proto_pb_message write_lac_message =
    PROTO_PB_MESSAGE_OF(struct bk_write_lac, write_lac_fields);

static const struct proto_pb_field ledger_fields[] = {
    MUST(struct bk_ledger, ledger, 1, "ledgerId", INT64),
};
static const struct proto_pb_message ledger_message =
    PROTO_PB_MESSAGE_OF(struct bk_ledger, ledger_fields);

static const struct proto_pb_field info_request_fields[] = {
    MAY(struct bk_info_request, requested, 1, "requested", INT64),
};
static const struct proto_pb_message info_request_message =
    PROTO_PB_MESSAGE_OF(struct bk_info_request, info_request_fields);

#define OF(table) MESSAGE, .message = &(table)

static const struct proto_pb_field request_fields[] = {
    MUST(struct bk_request, header, 1, "header", OF(header)),
    MAY(struct bk_request, read, 100, "readRequest", OF(read_message)),
    MAY(struct bk_request, add, 101, "addRequest", OF(add_message)),
    MAY(struct bk_request, auth, 102, "authRequest", OF(bk_auth_message)),
    MAY(struct bk_request, write_lac, 103, "writeLacRequest", OF(write_lac_message)),
    MAY(struct bk_request, read_lac, 104, "readLacRequest", OF(ledger_message)),
    MAY(struct bk_request, info, 105, "getBookieInfoRequest", OF(info_request_message)),
    MAY(struct bk_request, tls, 106, "startTLSRequest", OF(empty)),
    MAY(struct bk_request, force, 107, "forceLedgerRequest", OF(ledger_message)),
    MAY(struct bk_request, list, 108, "getListOfEntriesOfLedgerRequest", OF(ledger_message)),
};
const struct proto_pb_message bk_request_message =
    PROTO_PB_MESSAGE_OF(struct bk_request, request_fields);

// RESPONSES

static const struct proto_pb_field read_response_fields[] = {
    MUST(struct bk_read_response, status, 1, "status", INT32),
    MUST(struct bk_read_response, ledger, 2, "ledgerId", INT64),
    MUST(struct bk_read_response, entry, 3, "entryId", INT64),
    MAY(struct bk_read_response, max_lac, 5, "maxLAC", INT64),
    MAY(struct bk_read_response, update_time, 6, "lacUpdateTimestamp", INT64),
    MAY(struct bk_read_response, body, 4, "body", BYTES),
};
static const struct proto_pb_message read_response_message =
    PROTO_PB_MESSAGE_OF(struct bk_read_response, read_response_fields);

static const struct proto_pb_field add_response_fields[] = {
    MUST(struct bk_status, status, 1, "status", INT32),
    MUST(struct bk_status, ledger, 2, "ledgerId", INT64),
    MUST(struct bk_status, entry, 3, "entryId", INT64),
};
static const struct proto_pb_message add_response_message =
    PROTO_PB_MESSAGE_OF(struct bk_status, add_response_fields);

static const struct proto_pb_field status_fields[] = {
    MUST(struct bk_status, status, 1, "status", INT32),
    MUST(struct bk_status, ledger, 2, "ledgerId", INT64),
};
static const struct proto_pb_message status_message =
    PROTO_PB_MESSAGE_OF(struct bk_status, status_fields);

static const struct proto_pb_field read_lac_response_fields[] = {
    MUST(struct bk_read_lac_response, status, 1, "status", INT32),
    MUST(struct bk_read_lac_response, ledger, 2, "ledgerId", INT64),
    MAY(struct bk_read_lac_response, lac_body, 3, "lacBody", BYTES),
    MAY(struct bk_read_lac_response, last_entry, 4, "lastEntryBody", BYTES),
};
static const struct proto_pb_message read_lac_response_message =
    PROTO_PB_MESSAGE_OF(struct bk_read_lac_response, read_lac_response_fields);

static const struct proto_pb_field info_response_fields[] = {
    MUST(struct bk_info_response, status, 1, "status", INT32),
    MAY(struct bk_info_response, total, 2, "totalDiskCapacity", INT64),
    MAY(struct bk_info_response, free, 3, "freeDiskSpace", INT64),
};
static const struct proto_pb_message info_response_message =
    PROTO_PB_MESSAGE_OF(struct bk_info_response, info_response_fields);

static const struct proto_pb_field list_response_fields[] = {
    MUST(struct bk_list_response, status, 1, "status", INT32),
    MUST(struct bk_list_response, ledger, 2, "ledgerId", INT64),
    MAY(struct bk_list_response, entries, 3, "availabilityOfEntriesOfLedger", BYTES),
};
static const struct proto_pb_message list_response_message =
    PROTO_PB_MESSAGE_OF(struct bk_list_response, list_response_fields);

static const struct proto_pb_field response_fields[] = {
    MUST(struct bk_response, header, 1, "header", OF(header)),
    MUST(struct bk_response, status, 2, "status", INT32),
    MAY(struct bk_response, read, 100, "readResponse", OF(read_response_message)),
    MAY(struct bk_response, add, 101, "addResponse", OF(add_response_message)),
    MAY(struct bk_response, auth, 102, "authResponse", OF(bk_auth_message)),
    MAY(struct bk_response, write_lac, 103, "writeLacResponse", OF(status_message)),
    MAY(struct bk_response, read_lac, 104, "readLacResponse", OF(read_lac_response_message)),
    MAY(struct bk_response, info, 105, "getBookieInfoResponse", OF(info_response_message)),
    MAY(struct bk_response, tls, 106, "startTLSResponse", OF(empty)),
    MAY(struct bk_response, force, 107, "forceLedgerResponse", OF(status_message)),
    MAY(struct bk_response, list, 108, "getListOfEntriesOfLedgerResponse",
        OF(list_response_message)),
};
const struct proto_pb_message bk_response_message =
    PROTO_PB_MESSAGE_OF(struct bk_response, response_fields);
