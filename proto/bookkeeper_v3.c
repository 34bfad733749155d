// Each packet is one message, Request or Response, with a header and the message of its operation.
// Tables are in the order in which we write: a body comes last, so that it can be sent from where
// it lies.
#include <assert.h>

#include "proto/bookkeeper_forms.h"
#include "proto/bookkeeper_messages.h"

// What BookKeeper's own clients send for recovery; the server asks only whether it is over 0.
enum { VERSION = 3, PRIORITY_HIGH = 100, READ_FENCE = 1, READ_PIGGYBACK = 2, ADD_RECOVERY = 1 };
enum { WRITE_DEFERRED_SYNC = 1 };

rt_err proto_bk_auth_decode(struct rt_bytes bytes, struct rt_bytes *plugin,
                            struct rt_bytes *payload) {
    struct bk_auth auth;
    rt_err err = proto_pb_decode(&bk_auth_message, bytes, NULL, &auth);
    if (err) return err;
    *plugin = auth.plugin;
    *payload = auth.payload;
    return RT_OK;
}

void proto_bk_auth_encode(struct rt_bytes plugin, struct rt_bytes payload, struct rt_writer *w) {
    struct bk_auth auth = {plugin, payload};
    proto_pb_encode(&bk_auth_message, &auth, w);
}

// REQUESTS

static bool flag_is(const struct proto_bk_request *request, unsigned flag) {
    return (request->flags & flag) != 0;
}

static void key_take(struct rt_bytes key, struct proto_bk_request *request) {
    request->key = key;
    request->flags |= PROTO_BK_HAS_KEY;
}

static bool read_take(const struct bk_request *packet, struct proto_bk_request *request) {
    const struct bk_read *read = &packet->read;
    request->ledger = read->ledger;
    request->entry = read->entry;
    if (read->flag == READ_FENCE) request->flags |= PROTO_BK_FENCE;
    if (read->flag == READ_PIGGYBACK) request->flags |= PROTO_BK_PIGGYBACK;
    if (read->has_key) key_take(read->key, request);
    if (read->has_previous_lac) request->flags |= PROTO_BK_HAS_PREVIOUS_LAC;
    if (read->has_timeout) request->flags |= PROTO_BK_HAS_TIMEOUT;
    request->previous_lac = read->previous_lac;
    request->timeout_ms = read->timeout;
    return packet->has_read;
}

static bool add_take(const struct bk_request *packet, struct proto_bk_request *request) {
    const struct bk_add *add = &packet->add;
    request->ledger = add->ledger;
    request->entry = add->entry;
    request->body = add->body;
    key_take(add->key, request);
    if (add->flag == ADD_RECOVERY) request->flags |= PROTO_BK_RECOVERY;
    if (add->write_flags & WRITE_DEFERRED_SYNC) request->flags |= PROTO_BK_DEFERRED_SYNC;
    return packet->has_add;
}

static bool write_lac_take(const struct bk_request *packet, struct proto_bk_request *request) {
    request->ledger = packet->write_lac.ledger;
    request->lac = packet->write_lac.lac;
    request->body = packet->write_lac.body;
    key_take(packet->write_lac.key, request);
    return packet->has_write_lac;
}

// False where the message of the operation is missing and had something to say.
static bool operation_take(const struct bk_request *packet, struct proto_bk_request *request) {
    switch (request->kind) {
    case PROTO_BK_READ: return read_take(packet, request);
    case PROTO_BK_ADD: return add_take(packet, request);
    case PROTO_BK_AUTH:
        request->plugin = packet->auth.plugin;
        request->auth_payload = packet->auth.payload;
        return packet->has_auth;
    case PROTO_BK_WRITE_LAC: return write_lac_take(packet, request);
    case PROTO_BK_READ_LAC: request->ledger = packet->read_lac.ledger; return packet->has_read_lac;
    case PROTO_BK_FORCE_LEDGER: request->ledger = packet->force.ledger; return packet->has_force;
    case PROTO_BK_LIST_ENTRIES: request->ledger = packet->list.ledger; return packet->has_list;
    case PROTO_BK_BOOKIE_INFO: request->info_mask = packet->info.requested; return true;
    case PROTO_BK_START_TLS:
    case PROTO_BK_BATCH_READ:
    case PROTO_BK_UNKNOWN:
    case PROTO_BK_KINDS: break;
    }
    return true;
}

rt_err proto_bk_v3_request_decode(struct rt_bytes bytes, struct proto_bk_request *request) {
    struct bk_request packet;
    rt_err err = proto_pb_decode(&bk_request_message, bytes, NULL, &packet);
    if (err) return err;
    request->form = PROTO_BK_V3;
    request->version = packet.header.version;
    request->operation = packet.header.operation;
    request->kind = proto_bk_kind_of_operation(packet.header.operation);
    request->request_id = packet.header.txn;
    if (packet.header.priority > 0) request->flags |= PROTO_BK_HIGH_PRIORITY;
    if (!operation_take(&packet, request) && request->version == VERSION) return RT_EPROTO;
    return RT_OK;
}

static void read_give(const struct proto_bk_request *request, struct bk_request *packet) {
    struct bk_read *read = &packet->read;
    packet->has_read = true;
    read->ledger = request->ledger;
    read->entry = request->entry;
    read->has_key = flag_is(request, PROTO_BK_HAS_KEY);
    read->key = request->key;
    read->has_previous_lac = flag_is(request, PROTO_BK_HAS_PREVIOUS_LAC);
    read->previous_lac = request->previous_lac;
    read->has_timeout = flag_is(request, PROTO_BK_HAS_TIMEOUT);
    read->timeout = request->timeout_ms;
    read->has_flag = flag_is(request, PROTO_BK_FENCE | PROTO_BK_PIGGYBACK);
    read->flag = flag_is(request, PROTO_BK_FENCE) ? READ_FENCE : READ_PIGGYBACK;
}

static void add_give(const struct proto_bk_request *request, struct bk_request *packet) {
    struct bk_add *add = &packet->add;
    packet->has_add = true;
    add->ledger = request->ledger;
    add->entry = request->entry;
    add->key = request->key;
    add->body = RT_BYTES(NULL, request->body.size);  // sent behind
    add->has_flag = flag_is(request, PROTO_BK_RECOVERY);
    add->flag = ADD_RECOVERY;
    add->has_write_flags = flag_is(request, PROTO_BK_DEFERRED_SYNC);
    add->write_flags = WRITE_DEFERRED_SYNC;
}

static void operation_give(const struct proto_bk_request *request, struct bk_request *packet) {
    assert(proto_bk_operation(request->kind));
    switch (request->kind) {
    case PROTO_BK_READ: read_give(request, packet); break;
    case PROTO_BK_ADD: add_give(request, packet); break;
    case PROTO_BK_AUTH:
        packet->has_auth = true;
        packet->auth = (struct bk_auth){request->plugin, request->auth_payload};
        break;
    case PROTO_BK_WRITE_LAC:
        packet->has_write_lac = true;
        packet->write_lac = (struct bk_write_lac){.ledger = request->ledger,
                                                  .lac = request->lac,
                                                  .key = request->key,
                                                  .body = request->body};
        break;
    case PROTO_BK_READ_LAC:
        packet->has_read_lac = true;
        packet->read_lac.ledger = request->ledger;
        break;
    case PROTO_BK_FORCE_LEDGER:
        packet->has_force = true;
        packet->force.ledger = request->ledger;
        break;
    case PROTO_BK_LIST_ENTRIES:
        packet->has_list = true;
        packet->list.ledger = request->ledger;
        break;
    case PROTO_BK_BOOKIE_INFO:
        packet->has_info = true;
        packet->info = (struct bk_info_request){true, request->info_mask};
        break;
    case PROTO_BK_START_TLS: packet->has_tls = true; break;
    case PROTO_BK_BATCH_READ:
    case PROTO_BK_UNKNOWN:
    case PROTO_BK_KINDS: break;
    }
}

rt_err proto_bk_v3_request_encode(const struct proto_bk_request *request, struct rt_writer *w) {
    if (!proto_bk_operation(request->kind)) return RT_EUNSUPPORTED;
    // One flag per read is all the form has.
    if (flag_is(request, PROTO_BK_FENCE) && flag_is(request, PROTO_BK_PIGGYBACK)) {
        return RT_EUNSUPPORTED;
    }
    struct bk_request packet = {.header = {.version = VERSION,
                                           .operation = proto_bk_operation(request->kind),
                                           .txn = request->request_id,
                                           .priority = PRIORITY_HIGH}};
    packet.header.has_priority = flag_is(request, PROTO_BK_HIGH_PRIORITY);
    operation_give(request, &packet);
    proto_pb_encode(&bk_request_message, &packet, w);
    return RT_OK;
}

// RESPONSES

static void ids_take(const struct bk_status *status, struct proto_bk_response *response) {
    response->ledger = status->ledger;
    response->entry = status->entry;
}

static void read_response_take(const struct bk_read_response *read,
                               struct proto_bk_response *response) {
    response->ledger = read->ledger;
    response->entry = read->entry;
    response->has_body = read->has_body;
    response->body = read->body;
    response->has_max_lac = read->has_max_lac;
    response->max_lac = read->max_lac;
    response->has_update_time = read->has_update_time;
    response->update_time_ms = read->update_time;
}

static void read_lac_response_take(const struct bk_read_lac_response *lac,
                                   struct proto_bk_response *response) {
    response->ledger = lac->ledger;
    response->has_lac_body = lac->has_lac_body;
    response->lac_body = lac->lac_body;
    response->has_last_entry = lac->has_last_entry;
    response->last_entry = lac->last_entry;
}

static void info_response_take(const struct bk_info_response *info,
                               struct proto_bk_response *response) {
    response->has_total = info->has_total;
    response->total_bytes = info->total;
    response->has_free = info->has_free;
    response->free_bytes = info->free;
}

// What the operation's own message says. *status stays as it is where it has none; false where the
// message is missing and had something to say.
static bool result_take(const struct bk_response *packet, struct proto_bk_response *response,
                        int32_t *status) {
    bool found = true;
    int32_t inner = *status;
    switch (response->kind) {
    case PROTO_BK_READ:
        found = packet->has_read;
        inner = packet->read.status;
        read_response_take(&packet->read, response);
        break;
    case PROTO_BK_ADD:
        found = packet->has_add;
        inner = packet->add.status;
        ids_take(&packet->add, response);
        break;
    case PROTO_BK_WRITE_LAC:
        found = packet->has_write_lac;
        inner = packet->write_lac.status;
        ids_take(&packet->write_lac, response);
        break;
    case PROTO_BK_FORCE_LEDGER:
        found = packet->has_force;
        inner = packet->force.status;
        ids_take(&packet->force, response);
        break;
    case PROTO_BK_READ_LAC:
        found = packet->has_read_lac;
        inner = packet->read_lac.status;
        read_lac_response_take(&packet->read_lac, response);
        break;
    case PROTO_BK_BOOKIE_INFO:
        found = packet->has_info;
        inner = packet->info.status;
        info_response_take(&packet->info, response);
        break;
    case PROTO_BK_LIST_ENTRIES:
        found = packet->has_list;
        inner = packet->list.status;
        response->ledger = packet->list.ledger;
        response->entries = packet->list.entries;
        break;
    case PROTO_BK_AUTH:
        response->plugin = packet->auth.plugin;
        response->auth_payload = packet->auth.payload;
        return packet->has_auth;
    case PROTO_BK_START_TLS:
    case PROTO_BK_BATCH_READ:
    case PROTO_BK_UNKNOWN:
    case PROTO_BK_KINDS: break;
    }
    if (found && *status == 0) *status = inner;
    return found;
}

rt_err proto_bk_v3_response_decode(struct rt_bytes bytes, struct proto_bk_response *response) {
    struct bk_response packet;
    rt_err err = proto_pb_decode(&bk_response_message, bytes, NULL, &packet);
    if (err) return err;
    response->form = PROTO_BK_V3;
    response->operation = packet.header.operation;
    response->kind = proto_bk_kind_of_operation(packet.header.operation);
    response->request_id = packet.header.txn;
    int32_t status = packet.status;
    bool found = result_take(&packet, response, &status);
    response->code = proto_bk_code_of(status);
    return found || response->code != PROTO_BK_OK ? RT_OK : RT_EPROTO;
}

static struct bk_read_response read_response_of(const struct proto_bk_response *response,
                                                size_t body_size) {
    return (struct bk_read_response){.status = proto_bk_code_v3(response->code),
                                     .ledger = response->ledger,
                                     .entry = response->entry,
                                     .has_max_lac = response->has_max_lac,
                                     .max_lac = response->max_lac,
                                     .has_update_time = response->has_update_time,
                                     .update_time = response->update_time_ms,
                                     .has_body = response->has_body,
                                     .body = RT_BYTES(NULL, body_size)};  // sent behind
}

static struct bk_read_lac_response read_lac_response_of(const struct proto_bk_response *response) {
    return (struct bk_read_lac_response){.status = proto_bk_code_v3(response->code),
                                         .ledger = response->ledger,
                                         .has_lac_body = response->has_lac_body,
                                         .lac_body = response->lac_body,
                                         .has_last_entry = response->has_last_entry,
                                         .last_entry = response->last_entry};
}

static struct bk_info_response info_response_of(const struct proto_bk_response *response) {
    return (struct bk_info_response){.status = proto_bk_code_v3(response->code),
                                     .has_total = response->has_total,
                                     .total = response->total_bytes,
                                     .has_free = response->has_free,
                                     .free = response->free_bytes};
}

static void result_give(const struct proto_bk_response *response, size_t body_size,
                        struct bk_response *packet) {
    assert(response->kind == PROTO_BK_UNKNOWN || proto_bk_operation(response->kind));
    bool ok = response->code == PROTO_BK_OK;
    struct bk_status status = {packet->status, response->ledger, response->entry};
    switch (response->kind) {
    case PROTO_BK_READ:
        packet->has_read = true;
        packet->read = read_response_of(response, body_size);
        break;
    case PROTO_BK_ADD:
        packet->has_add = true;
        packet->add = status;
        break;
    case PROTO_BK_WRITE_LAC:
        packet->has_write_lac = true;
        packet->write_lac = status;
        break;
    case PROTO_BK_FORCE_LEDGER:
        packet->has_force = true;
        packet->force = status;
        break;
    case PROTO_BK_READ_LAC:
        packet->has_read_lac = true;
        packet->read_lac = read_lac_response_of(response);
        break;
    case PROTO_BK_BOOKIE_INFO:
        packet->has_info = true;
        packet->info = info_response_of(response);
        break;
    case PROTO_BK_LIST_ENTRIES:
        packet->has_list = true;
        packet->list =
            (struct bk_list_response){packet->status, response->ledger, ok, response->entries};
        break;
    case PROTO_BK_AUTH:
        packet->has_auth = ok;
        packet->auth = (struct bk_auth){response->plugin, response->auth_payload};
        break;
    case PROTO_BK_START_TLS: packet->has_tls = ok; break;
    case PROTO_BK_UNKNOWN:
    case PROTO_BK_BATCH_READ:
    case PROTO_BK_KINDS: break;
    }
}

void proto_bk_v3_response_encode(const struct proto_bk_response *response, size_t body_size,
                                 struct rt_writer *w) {
    assert(body_size == 0 || response->has_body);
    int32_t operation = response->kind == PROTO_BK_UNKNOWN ? response->operation
                                                           : proto_bk_operation(response->kind);
    struct bk_response packet = {
        .header = {.version = VERSION, .operation = operation, .txn = response->request_id},
        .status = proto_bk_code_v3(response->code)};
    result_give(response, body_size, &packet);
    proto_pb_encode(&bk_response_message, &packet, w);
}
