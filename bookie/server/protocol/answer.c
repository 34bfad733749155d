// Responses: a head that is encoded in place, and bodies by reference. Also the requests that are
// answered without the core: authentication, TLS, space, and what we do not know.
#include <assert.h>

#include "bookie/server/protocol/conn.h"

enum {
    LENGTH_SIZE = 4,
    ADD_V2_SIZE = 24,  // header, code, ledger, entry
    ENTRY_LENGTH_SIZE = 4,
    SCRATCH_KEPT_MAX = 256 << 10
};

static const struct rt_bytes no_auth_plugin = RT_BYTES_LITERAL("AuthDisabledPlugin");

// The answer of nearly all requests of a busy bookie.
static void add_v2_send(struct bookie_conn *conn, const struct proto_bk_response *response) {
    uint8_t *room = rt_conn_reserve(&conn->stream, LENGTH_SIZE + ADD_V2_SIZE);
    struct rt_writer w = rt_writer_over(room, LENGTH_SIZE + ADD_V2_SIZE);
    rt_write_be32(&w, ADD_V2_SIZE);
    proto_bk_response_encode(response, 0, &w);
    assert(!rt_writer_failed(&w) && w.written == LENGTH_SIZE + ADD_V2_SIZE);
    conn->server->stats.bytes_out += LENGTH_SIZE + ADD_V2_SIZE;
}

// The packet up to its body, behind the length word; its size with all.
static size_t head_encode(struct bookie_server *server, const struct proto_bk_response *response,
                          size_t body_size) {
    struct rt_buf *scratch = &server->scratch;
    if (scratch->capacity > SCRATCH_KEPT_MAX) rt_buf_fini(scratch);
    rt_buf_clear(scratch);
    struct rt_writer w = rt_writer_into(scratch);
    rt_write_be32(&w, 0);
    proto_bk_response_encode(response, body_size, &w);
    size_t size = scratch->size + body_size;
    struct rt_writer length = rt_writer_over(scratch->data, LENGTH_SIZE);
    rt_write_be32(&length, (uint32_t)(size - LENGTH_SIZE));
    return size;
}

static void head_send(struct bookie_conn *conn, const struct proto_bk_response *response,
                      size_t body_size) {
    size_t size = head_encode(conn->server, response, body_size);
    rt_conn_send(&conn->stream, rt_buf_bytes(&conn->server->scratch));
    conn->server->stats.bytes_out += size;
}

static void error_send(struct bookie_conn *conn, const struct proto_bk_response *response,
                       enum proto_bk_code code) {
    const struct proto_bk_response error = {.form = response->form,
                                            .kind = response->kind,
                                            .code = code,
                                            .operation = response->operation,
                                            .request_id = response->request_id,
                                            .ledger = response->ledger,
                                            .entry = response->entry};
    head_send(conn, &error, 0);
}

// BODIES

static bool is_batch(const struct bookie_call *call) {
    return call->response.kind == PROTO_BK_BATCH_READ;
}

static size_t bodies_size(const struct bookie_call *call) {
    size_t size = is_batch(call) ? call->body_count * (size_t)ENTRY_LENGTH_SIZE : 0;
    for (unsigned i = 0; i < call->body_count; i++) size += call->bodies[i].size;
    return size;
}

static void bodies_send(struct bookie_conn *conn, const struct bookie_call *call) {
    for (unsigned i = 0; i < call->body_count; i++) {
        const struct rt_slice *body = &call->bodies[i];
        if (body->size > conn->entry_size) conn->entry_size = body->size;
        if (is_batch(call)) {
            uint8_t *room = rt_conn_reserve(&conn->stream, ENTRY_LENGTH_SIZE);
            struct rt_writer w = rt_writer_over(room, ENTRY_LENGTH_SIZE);
            rt_write_be32(&w, (uint32_t)body->size);
        }
        rt_conn_send_slice(&conn->stream, *body);
    }
}

void bookie_conn_answer(struct bookie_conn *conn, struct bookie_call *call) {
    const struct proto_bk_response *response = &call->response;
    struct bookie_server *server = conn->server;
    server->stats.responses++;
    if (response->kind == PROTO_BK_ADD && response->form == PROTO_BK_V2) {
        add_v2_send(conn, response);
        return;
    }
    size_t bodies = bodies_size(call);
    size_t size = head_encode(server, response, bodies);
    if (size > server->options.frame_size_max) {
        // The client would end the connection, with all that is under way on it.
        error_send(conn, response, PROTO_BK_IO);
        return;
    }
    server->stats.bytes_out += size;
    rt_conn_send(&conn->stream, rt_buf_bytes(&server->scratch));
    bodies_send(conn, call);
}

// WITHOUT THE CORE

static void space_answer(struct bookie_conn *conn, const struct proto_bk_request *request,
                         struct proto_bk_response *response) {
    struct bookie_server_events *events = conn->server->options.events;
    uint64_t total_bytes = 0, free_bytes = 0;
    if (events) events->space(events, &total_bytes, &free_bytes);
    response->has_total = request->info_mask & 1;
    response->has_free = request->info_mask & 2;
    response->total_bytes = (int64_t)total_bytes;
    response->free_bytes = (int64_t)free_bytes;
}

static bool version_fits(const struct proto_bk_request *request) {
    if (request->form == PROTO_BK_V3) return request->version == PROTO_BK_V3;
    return request->version >= 0 && request->version <= PROTO_BK_V2;
}

static bool is_cores(enum proto_bk_kind kind) {
    switch (kind) {
    case PROTO_BK_ADD:
    case PROTO_BK_READ:
    case PROTO_BK_BATCH_READ:
    case PROTO_BK_WRITE_LAC:
    case PROTO_BK_READ_LAC:
    case PROTO_BK_FORCE_LEDGER:
    case PROTO_BK_LIST_ENTRIES: return true;
    case PROTO_BK_UNKNOWN:
    case PROTO_BK_AUTH:
    case PROTO_BK_BOOKIE_INFO:
    case PROTO_BK_START_TLS:
    case PROTO_BK_KINDS: break;
    }
    return false;
}

bool bookie_conn_answer_alone(struct bookie_conn *conn, const struct proto_bk_request *request) {
    bool fits = version_fits(request);
    if (fits && is_cores(request->kind)) return false;
    struct proto_bk_response response = {.form = request->form,
                                         .kind = request->kind,
                                         .operation = request->operation,
                                         .request_id = request->request_id,
                                         .ledger = request->ledger,
                                         .entry = request->entry};
    if (!fits)
        response.code = PROTO_BK_BAD_VERSION;
    else if (request->kind == PROTO_BK_AUTH)
        response.plugin = no_auth_plugin;
    else if (request->kind == PROTO_BK_BOOKIE_INFO)
        space_answer(conn, request, &response);
    else
        response.code = PROTO_BK_BAD_REQUEST;  // TLS is a listener's here, not a packet's
    conn->server->stats.responses++;
    head_send(conn, &response, 0);
    return true;
}
