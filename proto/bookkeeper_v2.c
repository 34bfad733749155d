// PACKET (big-endian): a word of version(8) opcode(8) flags(16), then
//   ADD request         key(20) body, which begins with ledger(8) entry(8)
//   READ request        ledger(8) entry(8) [key(20) if fencing]
//   BATCH_READ request  ledger(8) entry(8) request id(8) count(4) size(8) [key(20) if fencing]
//   AUTH, both ways     AuthMessage of protobuf
//   ADD response        code(4) ledger(8) entry(8)
//   READ response       code(4) ledger(8) entry(8), the entry if the code is 0
//   BATCH_READ response code(4) ledger(8) entry(8) request id(8), then size(4) entry for each
// Version 0 has the opcode in the whole word and no flags; versions 0 and 1 fence without a key.
// What is left behind a packet's last field is not looked at, as in BookKeeper.
#include <assert.h>

#include "proto/bookkeeper_forms.h"

enum { VERSION = 2, FENCE = 1, RECOVERY_ADD = 2, HIGH_PRIORITY = 4, FLAGS_MASK = 0xffff };

static int64_t read_long(struct rt_reader *r) {
    return (int64_t)rt_read_be64(r);
}

static void write_long(struct rt_writer *w, int64_t value) {
    rt_write_be64(w, (uint64_t)value);
}

// REQUESTS

static void add_read(struct rt_reader *r, struct proto_bk_request *request) {
    request->key = rt_read_bytes(r, PROTO_BK_KEY_SIZE);
    request->flags |= PROTO_BK_HAS_KEY;
    struct rt_reader body = *r;
    request->body = rt_read_rest(r);
    request->ledger = read_long(&body);
    request->entry = read_long(&body);
    if (rt_reader_failed(&body)) rt_reader_fail(r);
}

static void fence_key_read(struct rt_reader *r, struct proto_bk_request *request) {
    if (!(request->flags & PROTO_BK_FENCE) || request->version < VERSION) return;
    request->key = rt_read_bytes(r, PROTO_BK_KEY_SIZE);
    request->flags |= PROTO_BK_HAS_KEY;
}

static void read_read(struct rt_reader *r, struct proto_bk_request *request) {
    request->ledger = read_long(r);
    request->entry = read_long(r);
    if (request->kind == PROTO_BK_BATCH_READ) {
        request->request_id = rt_read_be64(r);
        request->count_max = (int32_t)rt_read_be32(r);
        request->size_max = read_long(r);
    }
    fence_key_read(r, request);
}

static unsigned flags_of_word(enum proto_bk_kind kind, uint32_t word) {
    unsigned flags = 0;
    if (kind == PROTO_BK_AUTH) return 0;
    if (word & HIGH_PRIORITY) flags |= PROTO_BK_HIGH_PRIORITY;
    if (word & FENCE && kind != PROTO_BK_ADD) flags |= PROTO_BK_FENCE;
    if (word & RECOVERY_ADD && kind == PROTO_BK_ADD) flags |= PROTO_BK_RECOVERY;
    return flags;
}

rt_err proto_bk_v2_request_decode(struct rt_bytes packet, struct proto_bk_request *request) {
    struct rt_reader r = rt_reader_over(packet);
    uint32_t word = rt_read_be32(&r);
    if (rt_reader_failed(&r)) return RT_EPROTO;
    request->form = PROTO_BK_V2;
    request->version = (int32_t)(word >> 24);
    request->operation = (int32_t)(request->version ? word >> 16 & 0xff : word);
    request->kind = proto_bk_kind_of_opcode(request->operation);
    if (request->kind == PROTO_BK_UNKNOWN) return RT_EPROTO;
    if (request->version > VERSION) return RT_OK;
    if (request->version > 0) request->flags = flags_of_word(request->kind, word & FLAGS_MASK);
    if (request->kind == PROTO_BK_AUTH) {
        return proto_bk_auth_decode(rt_read_rest(&r), &request->plugin, &request->auth_payload);
    }
    if (request->kind == PROTO_BK_ADD) {
        add_read(&r, request);
    } else {
        read_read(&r, request);
    }
    return rt_reader_failed(&r) ? RT_EPROTO : RT_OK;
}

static uint32_t word_of(enum proto_bk_kind kind, unsigned flags) {
    uint32_t word = (uint32_t)VERSION << 24 | (uint32_t)proto_bk_opcode(kind) << 16;
    if (kind == PROTO_BK_AUTH) return word;
    if (flags & PROTO_BK_HIGH_PRIORITY) word |= HIGH_PRIORITY;
    if (flags & PROTO_BK_FENCE && kind != PROTO_BK_ADD) word |= FENCE;
    if (flags & PROTO_BK_RECOVERY && kind == PROTO_BK_ADD) word |= RECOVERY_ADD;
    return word;
}

static void key_write(const struct proto_bk_request *request, struct rt_writer *w) {
    assert(request->flags & PROTO_BK_HAS_KEY && request->key.size == PROTO_BK_KEY_SIZE);
    rt_write_bytes(w, request->key);
}

rt_err proto_bk_v2_request_encode(const struct proto_bk_request *request, struct rt_writer *w) {
    static const unsigned v3_only = PROTO_BK_DEFERRED_SYNC | PROTO_BK_PIGGYBACK |
                                    PROTO_BK_HAS_PREVIOUS_LAC | PROTO_BK_HAS_TIMEOUT;
    if (!proto_bk_opcode(request->kind) || request->flags & v3_only) return RT_EUNSUPPORTED;
    rt_write_be32(w, word_of(request->kind, request->flags));
    if (request->kind == PROTO_BK_AUTH) {
        proto_bk_auth_encode(request->plugin, request->auth_payload, w);
        return RT_OK;
    }
    if (request->kind == PROTO_BK_ADD) {
        key_write(request, w);
        return RT_OK;
    }
    write_long(w, request->ledger);
    write_long(w, request->entry);
    if (request->kind == PROTO_BK_BATCH_READ) {
        rt_write_be64(w, request->request_id);
        rt_write_be32(w, (uint32_t)request->count_max);
        write_long(w, request->size_max);
    }
    if (request->flags & PROTO_BK_FENCE) key_write(request, w);
    return RT_OK;
}

// RESPONSES

static bool entries_are_whole(struct rt_bytes entries) {
    struct rt_reader r = rt_reader_over(entries);
    while (rt_reader_left(&r) > 0) (void)rt_read_bytes(&r, rt_read_be32(&r));
    return !rt_reader_failed(&r);
}

static rt_err body_read(struct rt_reader *r, struct proto_bk_response *response) {
    if (response->code != PROTO_BK_OK) return RT_OK;
    response->body = rt_read_rest(r);
    response->has_body = true;
    if (response->kind == PROTO_BK_READ || entries_are_whole(response->body)) return RT_OK;
    return RT_EPROTO;
}

rt_err proto_bk_v2_response_decode(struct rt_bytes packet, struct proto_bk_response *response) {
    struct rt_reader r = rt_reader_over(packet);
    uint32_t word = rt_read_be32(&r);
    if (rt_reader_failed(&r) || word >> 24 != VERSION) return RT_EPROTO;
    response->form = PROTO_BK_V2;
    response->operation = (int32_t)(word >> 16 & 0xff);
    response->kind = proto_bk_kind_of_opcode(response->operation);
    if (response->kind == PROTO_BK_UNKNOWN) return RT_EPROTO;
    if (response->kind == PROTO_BK_AUTH) {
        return proto_bk_auth_decode(rt_read_rest(&r), &response->plugin, &response->auth_payload);
    }
    response->code = proto_bk_code_of((int32_t)rt_read_be32(&r));
    response->ledger = read_long(&r);
    response->entry = read_long(&r);
    if (response->kind == PROTO_BK_BATCH_READ) response->request_id = rt_read_be64(&r);
    if (rt_reader_failed(&r)) return RT_EPROTO;
    return response->kind == PROTO_BK_ADD ? RT_OK : body_read(&r, response);
}

void proto_bk_v2_response_encode(const struct proto_bk_response *response, struct rt_writer *w) {
    assert(proto_bk_opcode(response->kind));
    rt_write_be32(w, word_of(response->kind, 0));
    if (response->kind == PROTO_BK_AUTH) {
        proto_bk_auth_encode(response->plugin, response->auth_payload, w);
        return;
    }
    rt_write_be32(w, (uint32_t)proto_bk_code_v2(response->code));
    write_long(w, response->ledger);
    write_long(w, response->entry);
    if (response->kind == PROTO_BK_BATCH_READ) rt_write_be64(w, response->request_id);
}
