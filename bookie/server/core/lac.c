// Explicit LACs: written, read, known.
#include "bookie/server/core/core_internal.h"

enum {
    BODY_MIN = 16,  // ledger and LAC
    BODY_MAX = 256  // with any digest; it stays in memory with the ledger
};

static bool ids_read(struct rt_bytes body, int64_t *ledger, int64_t *lac) {
    struct rt_reader r = rt_reader_over(body);
    *ledger = (int64_t)rt_read_be64(&r);
    *lac = (int64_t)rt_read_be64(&r);
    return !rt_reader_failed(&r);
}

int64_t bookie_explicit_lac_of(struct rt_bytes body) {
    int64_t ledger, lac;
    return ids_read(body, &ledger, &lac) ? lac : -1;
}

int64_t bookie_lac_known(const struct bookie_ledger *ledger) {
    int64_t explicit_lac = bookie_explicit_lac_of(rt_buf_bytes(&ledger->explicit_lac));
    return explicit_lac > ledger->lac ? explicit_lac : ledger->lac;
}

// An older one that comes late replaces none.
bool bookie_lac_set(struct bookie_core *core, struct bookie_ledger *ledger, struct rt_bytes body) {
    struct rt_bytes known = rt_buf_bytes(&ledger->explicit_lac);
    if (known.size && bookie_explicit_lac_of(body) < bookie_explicit_lac_of(known)) return false;
    rt_buf_clear(&ledger->explicit_lac);
    rt_buf_append(&ledger->explicit_lac, body);
    ledger->exists = true;
    bookie_ledger_changed(core->options.store, ledger);
    return true;
}

// WRITE_LAC

enum proto_bk_code bookie_lac_write_check(struct bookie_call *call) {
    const struct proto_bk_request *request = &call->request;
    int64_t ledger, lac;
    if (request->body.size < BODY_MIN || request->body.size > BODY_MAX) return PROTO_BK_BAD_REQUEST;
    bool is_sound = ids_read(request->body, &ledger, &lac);
    if (!is_sound || ledger != request->ledger || lac != request->lac) return PROTO_BK_BAD_REQUEST;
    return PROTO_BK_OK;
}

static enum proto_bk_code write_verdict(struct bookie_call *call) {
    struct bookie_core *core = call->core;
    const struct bookie_ledger *ledger = call->ledger;
    if (core->has_failed) return PROTO_BK_IO;
    if (core->read_only) return PROTO_BK_READ_ONLY;
    if (!ledger->exists &&
        bookie_forgotten_has(&core->forgotten, ledger->id, rt_loop_now(core->loop)))
        return PROTO_BK_NO_LEDGER;
    return bookie_key_fits(ledger, call->request.key) ? PROTO_BK_OK : PROTO_BK_UNAUTHORIZED;
}

// In memory before it is in the journal, as entries are; the key goes with it, since a ledger whose
// adds are not journaled has no record of it.
void bookie_lac_write_run(struct bookie_call *call) {
    struct bookie_core *core = call->core;
    struct bookie_ledger *ledger = call->ledger;
    enum proto_bk_code code = write_verdict(call);
    if (code) {
        bookie_call_finish(call, code);
        return;
    }
    bookie_key_adopt(core, ledger, call->request.key, !ledger->exists);
    call->prefixes = PREFIX_KEY;
    if (bookie_lac_set(core, ledger, call->request.body)) bookie_polls_wake(core, ledger, true);
    bookie_append_start(call);
}

// READ_LAC

static void last_entry_came(struct bookie_call *call, rt_err err) {
    struct proto_bk_response *response = &call->response;
    enum proto_bk_code code = bookie_entry_code(call, err);
    if (!err) {
        response->last_entry = rt_slice_bytes(call->body_one);
        response->has_last_entry = true;
    }
    if (code == PROTO_BK_NO_ENTRY && response->has_lac_body) code = PROTO_BK_OK;
    bookie_call_finish(call, code);
}

void bookie_lac_read_run(struct bookie_call *call) {
    const struct bookie_ledger *ledger = call->ledger;
    if (!ledger->exists) {
        bookie_call_finish(call, PROTO_BK_NO_LEDGER);
        return;
    }
    if (ledger->limbo) {
        bookie_call_finish(call, PROTO_BK_UNKNOWN_LEDGER_STATE);
        return;
    }
    if (ledger->explicit_lac.size) {
        rt_buf_append(&call->scratch, rt_buf_bytes(&ledger->explicit_lac));
        call->response.lac_body = rt_buf_bytes(&call->scratch);
        call->response.has_lac_body = true;
    }
    bookie_entry_read(call, -1, last_entry_came);
}
