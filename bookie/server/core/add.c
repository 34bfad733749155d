// Adds: whether one is taken, the put into the cache, and waiting for room.
//
// An add that finds no room in the cache or in its journal is parked before anything of it was
// done, and all adds behind it are parked too, so that they keep their order. When its turn comes
// everything is looked at again: a fence may have come first.
#include <assert.h>

#include "bookie/server/core/core_internal.h"
#include "proto/ledger_entry.h"

enum { RECORD_MAX = 16 << 20 };  // of a journal record

// The ids in front of the body are what is stored and replayed, so they must be the request's.
enum proto_bk_code bookie_add_check(struct bookie_call *call) {
    const struct proto_bk_request *request = &call->request;
    struct proto_entry_ids ids;
    if (request->body.size > RECORD_MAX) return PROTO_BK_BAD_REQUEST;
    if (proto_entry_ids_read(request->body, &ids)) return PROTO_BK_BAD_REQUEST;
    if (ids.ledger != request->ledger || ids.entry != request->entry) return PROTO_BK_BAD_REQUEST;
    return PROTO_BK_OK;
}

static bool was_fenced_and_deleted(struct bookie_core *core, const struct bookie_ledger *ledger) {
    return core->forgotten.count &&
           bookie_forgotten_has(&core->forgotten, ledger->id, rt_loop_now(core->loop));
}

// Sheet 1.7, in its order.
static enum proto_bk_code add_verdict(struct bookie_call *call) {
    struct bookie_core *core = call->core;
    const struct bookie_ledger *ledger = call->ledger;
    unsigned flags = call->request.flags;
    bool may_write =
        !core->read_only || (core->room_for_recovery && (flags & (unsigned)PROTO_BK_HIGH_PRIORITY));
    if (core->has_failed) return PROTO_BK_IO;
    if (!may_write) return PROTO_BK_READ_ONLY;
    if (!bookie_key_fits(ledger, call->request.key)) return PROTO_BK_UNAUTHORIZED;
    if (flags & (unsigned)PROTO_BK_RECOVERY) return PROTO_BK_OK;
    if (ledger->fenced || was_fenced_and_deleted(core, ledger)) return PROTO_BK_FENCED;
    return ledger->limbo ? PROTO_BK_UNAUTHORIZED : PROTO_BK_OK;
}

// What the ledger has to remember beside the entry goes into the journal in front of it.
static void ledger_note(struct bookie_call *call, bool is_new) {
    struct bookie_core *core = call->core;
    struct bookie_ledger *ledger = call->ledger;
    if (bookie_key_adopt(core, ledger, call->request.key, is_new)) call->prefixes |= PREFIX_KEY;
    if (!ledger->fenced && was_fenced_and_deleted(core, ledger)) {
        // Replicated back to this bookie; its old writer stays locked out, also after the week.
        ledger->fenced = true;
        bookie_ledger_changed(core->options.store, ledger);
        call->prefixes |= PREFIX_FENCE;
    }
    if (ledger->user) bookie_polls_wake(core, ledger, false);
}

static bool has_room(const struct bookie_core *core, int64_t ledger) {
    unsigned max = core->options.adds_in_progress_max;
    if (max && core->stats.adds_in_progress >= max) return false;
    return !bookie_append_is_held_up(core, ledger);
}

static void add_put(struct bookie_call *call, bool is_new) {
    struct bookie_core *core = call->core;
    core->stats.add_bytes += call->request.body.size;
    core->stats.adds_in_progress++;
    call->is_counted = true;
    ledger_note(call, is_new);
    if (core->options.journal_writes)
        bookie_append_start(call);
    else
        bookie_call_finish(call, PROTO_BK_OK);
}

// False: no room, nothing was changed.
static bool add_try(struct bookie_call *call) {
    struct bookie_core *core = call->core;
    const struct proto_bk_request *request = &call->request;
    struct proto_entry_ids ids;
    enum proto_bk_code code = add_verdict(call);
    if (code) {
        bookie_call_finish(call, code);
        return true;
    }
    if (!has_room(core, request->ledger)) return false;
    bool is_new = !call->ledger->exists;
    rt_err err = proto_entry_ids_read(request->body, &ids);
    assert(!err);  // checked when it came
    err = bookie_store_put(core->options.store, call->ledger, ids.entry, ids.lac, request->body);
    if (err == RT_EBUSY) return false;
    if (err)
        bookie_call_finish(call, PROTO_BK_IO);
    else
        add_put(call, is_new);
    return true;
}

void bookie_add_run(struct bookie_call *call) {
    struct bookie_core *core = call->core;
    if (rt_list_is_empty(&core->parked) && add_try(call)) return;
    if (!bookie_call_try_keep(call)) {
        bookie_call_finish(call, PROTO_BK_TOO_MANY_REQUESTS);
        return;
    }
    call->state = CALL_PARKED;
    rt_list_push_back(&core->parked, &call->link);
    bookie_core_see_congestion(core);
}

void bookie_add_pump(struct bookie_core *core) {
    while (!rt_list_is_empty(&core->parked)) {
        struct bookie_call *call =
            rt_container_of(rt_list_pop_front(&core->parked), struct bookie_call, link);
        call->state = CALL_RUNNING;
        if (add_try(call)) continue;
        call->state = CALL_PARKED;
        rt_list_push_front(&core->parked, &call->link);
        return;
    }
}
