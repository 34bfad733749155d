#include "proto/bookkeeper.h"

#include <assert.h>

#include "proto/bookkeeper_forms.h"

// CODES. Their numbers in the two forms do not meet, except for OK.

static const struct code_info {
    const char *name;
    int32_t v2, v3;
} codes[PROTO_BK_CODES] = {
    [PROTO_BK_OK] = {"EOK", 0, 0},
    [PROTO_BK_NO_LEDGER] = {"ENOLEDGER", 1, 402},
    [PROTO_BK_NO_ENTRY] = {"ENOENTRY", 2, 403},
    [PROTO_BK_BAD_REQUEST] = {"EBADREQ", 100, 404},
    [PROTO_BK_IO] = {"EIO", 101, 501},
    [PROTO_BK_UNAUTHORIZED] = {"EUA", 102, 502},
    [PROTO_BK_BAD_VERSION] = {"EBADVERSION", 103, 503},
    [PROTO_BK_FENCED] = {"EFENCED", 104, 504},
    [PROTO_BK_READ_ONLY] = {"EREADONLY", 105, 505},
    [PROTO_BK_TOO_MANY_REQUESTS] = {"ETOOMANYREQUESTS", 106, 506},
    [PROTO_BK_UNKNOWN_LEDGER_STATE] = {"EUNKNOWNLEDGERSTATE", 107, 507},
};

int32_t proto_bk_code_v2(enum proto_bk_code code) {
    assert(code < PROTO_BK_CODES);
    if (code == PROTO_BK_UNKNOWN_LEDGER_STATE) code = PROTO_BK_IO;
    return codes[code].v2;
}

int32_t proto_bk_code_v3(enum proto_bk_code code) {
    assert(code < PROTO_BK_CODES);
    return codes[code].v3;
}

// Bookies of others do answer 107 in v2, so it is understood.
enum proto_bk_code proto_bk_code_of(int32_t wire) {
    for (unsigned i = 0; i < PROTO_BK_CODES; i++) {
        if (codes[i].v2 == wire || codes[i].v3 == wire) return (enum proto_bk_code)i;
    }
    return PROTO_BK_IO;
}

const char *proto_bk_code_name(enum proto_bk_code code) {
    assert(code < PROTO_BK_CODES);
    return codes[code].name;
}

// KINDS

static const struct kind_info {
    const char *name;
    int32_t opcode, operation;
} kinds[PROTO_BK_KINDS] = {
    [PROTO_BK_UNKNOWN] = {"UNKNOWN", 0, 0},
    [PROTO_BK_ADD] = {"ADD_ENTRY", 1, 2},
    [PROTO_BK_READ] = {"READ_ENTRY", 2, 1},
    [PROTO_BK_BATCH_READ] = {"BATCH_READ_ENTRY", 7, 0},
    [PROTO_BK_AUTH] = {"AUTH", 3, 5},
    [PROTO_BK_WRITE_LAC] = {"WRITE_LAC", 0, 6},
    [PROTO_BK_READ_LAC] = {"READ_LAC", 0, 7},
    [PROTO_BK_FORCE_LEDGER] = {"FORCE_LEDGER", 0, 10},
    [PROTO_BK_BOOKIE_INFO] = {"GET_BOOKIE_INFO", 0, 8},
    [PROTO_BK_LIST_ENTRIES] = {"GET_LIST_OF_ENTRIES_OF_LEDGER", 0, 11},
    [PROTO_BK_START_TLS] = {"START_TLS", 0, 9},
};

const char *proto_bk_kind_name(enum proto_bk_kind kind) {
    assert(kind < PROTO_BK_KINDS);
    return kinds[kind].name;
}

int32_t proto_bk_opcode(enum proto_bk_kind kind) {
    assert(kind < PROTO_BK_KINDS);
    return kinds[kind].opcode;
}

int32_t proto_bk_operation(enum proto_bk_kind kind) {
    assert(kind < PROTO_BK_KINDS);
    return kinds[kind].operation;
}

enum proto_bk_kind proto_bk_kind_of_opcode(int32_t opcode) {
    for (unsigned i = PROTO_BK_ADD; i < PROTO_BK_KINDS; i++) {
        if (kinds[i].opcode == opcode && opcode) return (enum proto_bk_kind)i;
    }
    return PROTO_BK_UNKNOWN;
}

enum proto_bk_kind proto_bk_kind_of_operation(int32_t operation) {
    for (unsigned i = PROTO_BK_ADD; i < PROTO_BK_KINDS; i++) {
        if (kinds[i].operation == operation && operation) return (enum proto_bk_kind)i;
    }
    return PROTO_BK_UNKNOWN;
}

// PACKETS

static bool is_v3(struct rt_bytes packet) {
    return packet.size > 0 && packet.data[0] == 0x0a;  // field 1, the header, a message
}

rt_err proto_bk_request_decode(struct rt_bytes packet, struct proto_bk_request *request) {
    *request = (struct proto_bk_request){.form = PROTO_BK_V2};
    return is_v3(packet) ? proto_bk_v3_request_decode(packet, request)
                         : proto_bk_v2_request_decode(packet, request);
}

rt_err proto_bk_request_encode(const struct proto_bk_request *request, struct rt_writer *w,
                               size_t *body_behind) {
    *body_behind = request->kind == PROTO_BK_ADD ? request->body.size : 0;
    return request->form == PROTO_BK_V3 ? proto_bk_v3_request_encode(request, w)
                                        : proto_bk_v2_request_encode(request, w);
}

rt_err proto_bk_response_decode(struct rt_bytes packet, struct proto_bk_response *response) {
    *response = (struct proto_bk_response){.form = PROTO_BK_V2};
    return is_v3(packet) ? proto_bk_v3_response_decode(packet, response)
                         : proto_bk_v2_response_decode(packet, response);
}

void proto_bk_response_encode(const struct proto_bk_response *response, size_t body_size,
                              struct rt_writer *w) {
    assert(body_size == 0 || response->kind == PROTO_BK_READ ||
           response->kind == PROTO_BK_BATCH_READ);
    assert(body_size == 0 || response->code == PROTO_BK_OK);
    if (response->form == PROTO_BK_V3) {
        proto_bk_v3_response_encode(response, body_size, w);
    } else {
        proto_bk_v2_response_encode(response, w);
    }
}
