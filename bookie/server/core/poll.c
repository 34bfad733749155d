// Long polls and piggyback reads (sheet 1.8): a v3 read that names the LAC it knows.
//
// With a timeout it waits until the LAC is past that, the ledger is fenced, an explicit LAC is
// written, or the time is over; then it is answered as any read, or, with PIGGYBACK, with the LAC
// and the entry behind the one that was known.
#include "bookie/server/core/core_internal.h"

enum { TIMEOUT_MAX_S = 24 * 60 * 60 };

bool bookie_poll_is(const struct bookie_call *call) {
    return call->request.kind == PROTO_BK_READ &&
           (call->request.flags & (unsigned)PROTO_BK_HAS_PREVIOUS_LAC);
}

static void piggybacked(struct bookie_call *call, rt_err err) {
    enum proto_bk_code code = bookie_entry_code(call, err);
    if (code == PROTO_BK_NO_ENTRY)
        bookie_call_finish(call, PROTO_BK_OK);  // it lies on other bookies
    else
        bookie_entry_answer(call, err);
}

void bookie_poll_answer(struct bookie_call *call) {
    struct proto_bk_response *response = &call->response;
    const struct bookie_ledger *ledger = call->ledger;
    bool wants_entry = call->request.flags & (unsigned)PROTO_BK_PIGGYBACK;
    int64_t previous = call->request.previous_lac;
    if (!ledger->exists || ledger->limbo || !wants_entry) {
        bookie_read_go(call);
        return;
    }
    response->max_lac = bookie_lac_known(ledger);
    response->has_max_lac = true;
    if (response->max_lac <= previous) {
        bookie_call_finish(call, PROTO_BK_OK);
        return;
    }
    response->entry = previous + 1;
    bookie_entry_read(call, previous + 1, piggybacked);
}

// WAITING

static void timed_out(struct rt_timer *timer) {
    bookie_call_wake(rt_container_of(timer, struct bookie_call, timer));
}

static uint64_t timeout_ns(const struct bookie_call *call) {
    const struct proto_bk_request *request = &call->request;
    if (!(request->flags & (unsigned)PROTO_BK_HAS_TIMEOUT) || request->timeout_ms <= 0) return 0;
    if (request->timeout_ms > TIMEOUT_MAX_S * INT64_C(1000)) return TIMEOUT_MAX_S * RT_NS_PER_S;
    return (uint64_t)request->timeout_ms * RT_NS_PER_MS;
}

static void poll_wait(struct bookie_call *call) {
    struct bookie_core *core = call->core;
    struct core_ledger *state = bookie_ledger_state(call->ledger);
    call->state = CALL_POLLING;
    rt_list_push_back(&state->polls, &call->link);
    rt_list_push_back(&core->polls, &call->poll_link);
    core->stats.long_polls++;
    bookie_call_let_frame_go(call);
    rt_timer_init(&call->timer, core->loop, timed_out, "bookie.poll");
    rt_timer_after(&call->timer, timeout_ns(call));
}

static void poll_decide(struct bookie_call *call) {
    const struct bookie_ledger *ledger = call->ledger;
    bool is_news =
        bookie_lac_known(ledger) > call->request.previous_lac || ledger->fenced || !ledger->exists;
    bool may_wait = timeout_ns(call) && !call->core->closed && !call->is_abandoned;
    if (is_news || !may_wait)
        bookie_poll_answer(call);
    else
        poll_wait(call);
}

// After a restart nothing was put yet that tells the LAC: the last entry does.
static void last_entry_came(struct bookie_call *call, rt_err err) {
    if (err && err != RT_ENOTFOUND) {
        bookie_call_finish(call, bookie_entry_code(call, err));
        return;
    }
    int64_t lac = err ? -1 : bookie_entry_lac(call->body_one);
    rt_slice_drop(&call->body_one);
    if (lac > call->ledger->lac) call->ledger->lac = lac;
    poll_decide(call);
}

void bookie_poll_run(struct bookie_call *call) {
    const struct bookie_ledger *ledger = call->ledger;
    if (!ledger->exists)
        bookie_call_finish(call, PROTO_BK_NO_LEDGER);
    else if (ledger->limbo)
        bookie_call_finish(call, PROTO_BK_UNKNOWN_LEDGER_STATE);
    else if (bookie_lac_known(ledger) > call->request.previous_lac || ledger->lac >= 0)
        poll_decide(call);
    else
        bookie_entry_read(call, -1, last_entry_came);
}

// WAKING

void bookie_polls_wake(struct bookie_core *core, struct bookie_ledger *ledger, bool all) {
    struct core_ledger *state = ledger->user;
    if (!state || rt_list_is_empty(&state->polls)) return;
    int64_t lac = bookie_lac_known(ledger);
    int64_t now_ms = (int64_t)(rt_machine_wall_ns(core->machine) / RT_NS_PER_MS);
    struct rt_list polls;
    rt_list_init(&polls);
    rt_list_splice(&polls, &state->polls);
    // The state is of use until the last of them was looked at: waking may free it.
    while (!rt_list_is_empty(&polls)) {
        struct bookie_call *call =
            rt_container_of(rt_list_pop_front(&polls), struct bookie_call, link);
        bool is_news = lac > call->request.previous_lac;
        if (is_news) {
            call->response.update_time_ms = now_ms;
            call->response.has_update_time = true;
        }
        if (is_news || all)
            bookie_call_wake(call);
        else
            rt_list_push_back(&bookie_ledger_state(ledger)->polls, &call->link);
    }
}
