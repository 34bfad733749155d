// The way into the journals. A call's record is appended at once where there is room; else the call
// waits in its journal's queue, and while one waits no add is put for that journal, so the queue
// holds one add and what needs little: fences, LACs, forces.
#include <assert.h>

#include "bookie/server/core/core_internal.h"

// A record that nobody waits for, in front of one that somebody does.
struct side_append {
    struct bookie_core *core;
    struct bookie_journal_op op;
};

static struct bookie_journal *journal_of(const struct bookie_core *core, int64_t ledger) {
    struct bookie_journal *journal = core->options.journals[bookie_journal_index(core, ledger)];
    assert(journal);
    return journal;
}

static struct rt_bytes key_of(const struct bookie_ledger *ledger) {
    return RT_BYTES(ledger->key, ledger->key_size);
}

static rt_err meta_append(struct bookie_core *core, struct bookie_journal_op *op,
                          enum bookie_record_kind kind, int64_t ledger, struct rt_bytes body) {
    uint8_t head[BOOKIE_RECORD_HEAD];
    bookie_record_head(kind, ledger, body.size, head);
    const struct rt_bytes parts[] = {RT_BYTES(head, sizeof(head)), body};
    return bookie_journal_append(journal_of(core, ledger), op, parts, 2);
}

// PREFIXES

static void side_appended(struct bookie_journal_op *op, rt_err err) {
    struct side_append *side = rt_container_of(op, struct side_append, op);
    struct bookie_core *core = side->core;
    rt_free(side);
    core->under_way--;
    if (err) bookie_core_on_failed(core);
    bookie_core_maybe_closed(core);
}

static rt_err side_append(struct bookie_call *call, enum bookie_record_kind kind) {
    struct side_append *side = RT_NEW(struct side_append);
    side->core = call->core;
    side->op.done = side_appended;
    rt_err err =
        meta_append(call->core, &side->op, kind, call->request.ledger, key_of(call->ledger));
    if (err)
        rt_free(side);
    else
        call->core->under_way++;
    return err;
}

// Each leaves once: what is left of them is tried again with the record itself.
static rt_err prefixes_append(struct bookie_call *call) {
    rt_err err = RT_OK;
    if (call->prefixes & (unsigned)PREFIX_KEY) {
        err = side_append(call, BOOKIE_RECORD_KEY);
        if (!err) call->prefixes &= ~(unsigned)PREFIX_KEY;
    }
    if (!err && (call->prefixes & (unsigned)PREFIX_FENCE)) {
        err = side_append(call, BOOKIE_RECORD_FENCE);
        if (!err) call->prefixes &= ~(unsigned)PREFIX_FENCE;
    }
    return err;
}

// RECORDS

static void add_appended(struct bookie_journal_op *op, rt_err err) {
    struct bookie_call *call = rt_container_of(op, struct bookie_call, journal);
    struct bookie_core *core = call->core;
    if (err) bookie_core_on_failed(core);
    bookie_call_finish(call, core->has_failed ? PROTO_BK_IO : PROTO_BK_OK);
}

static void fence_appended(struct bookie_journal_op *op, rt_err err) {
    struct bookie_call *call = rt_container_of(op, struct bookie_call, journal);
    if (err) bookie_core_on_failed(call->core);
    bookie_fence_appended(call, !call->core->has_failed);
}

static rt_err entry_append(struct bookie_call *call) {
    const struct proto_bk_request *request = &call->request;
    struct bookie_journal *journal = journal_of(call->core, request->ledger);
    if (request->flags & (unsigned)PROTO_BK_DEFERRED_SYNC)
        return bookie_journal_append_deferred(journal, &call->journal, &request->body, 1);
    return bookie_journal_append(journal, &call->journal, &request->body, 1);
}

static rt_err record_append(struct bookie_call *call) {
    const struct proto_bk_request *request = &call->request;
    struct bookie_core *core = call->core;
    call->journal.done = add_appended;
    switch (request->kind) {
    case PROTO_BK_ADD: return entry_append(call);
    case PROTO_BK_WRITE_LAC:
        return meta_append(core, &call->journal, BOOKIE_RECORD_EXPLICIT_LAC, request->ledger,
                           request->body);
    case PROTO_BK_FORCE_LEDGER:
        return bookie_journal_force(journal_of(core, request->ledger), &call->journal);
    case PROTO_BK_READ:
    case PROTO_BK_BATCH_READ:
        call->journal.done = fence_appended;
        return meta_append(core, &call->journal, BOOKIE_RECORD_FENCE, request->ledger,
                           key_of(call->ledger));
    case PROTO_BK_UNKNOWN:
    case PROTO_BK_AUTH:
    case PROTO_BK_READ_LAC:
    case PROTO_BK_BOOKIE_INFO:
    case PROTO_BK_LIST_ENTRIES:
    case PROTO_BK_START_TLS:
    case PROTO_BK_KINDS: break;
    }
    rt_panic("a %s has no record", proto_bk_kind_name(request->kind));
}

static void append_refused(struct bookie_call *call, rt_err err) {
    struct bookie_core *core = call->core;
    bool is_fence =
        call->request.kind == PROTO_BK_READ || call->request.kind == PROTO_BK_BATCH_READ;
    if (!core->has_failed)
        rt_log_error("bookie", "journal append refused ledger=%lld err=%s",
                     (long long)call->request.ledger, rt_err_name(err));
    bookie_core_on_failed(core);
    if (is_fence)
        bookie_fence_appended(call, false);
    else
        bookie_call_finish(call, PROTO_BK_IO);
}

// False: no room; the call waits.
static bool append_try(struct bookie_call *call) {
    rt_err err = call->core->has_failed ? RT_EFAILED : prefixes_append(call);
    if (!err) err = record_append(call);
    if (err == RT_EBUSY) return false;
    if (err)
        append_refused(call, err);
    else
        bookie_call_let_frame_go(call);  // journal and cache have copies
    return true;
}

void bookie_append_start(struct bookie_call *call) {
    struct bookie_core *core = call->core;
    struct rt_list *waiting =
        &core->journals[bookie_journal_index(core, call->request.ledger)].appends;
    call->state = CALL_APPENDING;
    if (rt_list_is_empty(waiting) && append_try(call)) return;
    bookie_call_keep(call);
    rt_list_push_back(waiting, &call->link);
    bookie_core_see_congestion(core);
}

bool bookie_append_is_held_up(const struct bookie_core *core, int64_t ledger) {
    return !rt_list_is_empty(&core->journals[bookie_journal_index(core, ledger)].appends);
}

static void journal_pump(struct rt_list *waiting) {
    while (!rt_list_is_empty(waiting)) {
        struct bookie_call *call =
            rt_container_of(rt_list_pop_front(waiting), struct bookie_call, link);
        if (append_try(call)) continue;
        rt_list_push_front(waiting, &call->link);
        return;
    }
}

void bookie_append_pump(struct bookie_core *core) {
    for (unsigned i = 0; i < core->options.journal_count; i++)
        journal_pump(&core->journals[i].appends);
}
