// Calls in and out: what each kind needs, the loading of its ledger, the answer; and the core's
// life.
#include "bookie/server/core/core_internal.h"

#include <assert.h>

enum {
    BATCH_READ_BYTES_MAX = 5 << 20,
    PARKED_BYTES_MAX = 64 << 20,
    PARKED_CHARGE_MIN = 512,
    LOG_BURST = 10
};

// KINDS

struct call_kind {
    enum proto_bk_code (*check)(struct bookie_call *call);  // of what the request alone can say
    void (*run)(struct bookie_call *call);                  // with its ledger
    bool has_no_ledger;
};

static const struct call_kind kinds[PROTO_BK_KINDS] = {
    [PROTO_BK_ADD] = {.check = bookie_add_check, .run = bookie_add_run},
    [PROTO_BK_READ] = {.check = bookie_read_check, .run = bookie_read_run},
    [PROTO_BK_BATCH_READ] = {.check = bookie_read_check, .run = bookie_read_run},
    [PROTO_BK_WRITE_LAC] = {.check = bookie_lac_write_check, .run = bookie_lac_write_run},
    [PROTO_BK_READ_LAC] = {.run = bookie_lac_read_run},
    [PROTO_BK_FORCE_LEDGER] = {.run = bookie_append_start, .has_no_ledger = true},
    [PROTO_BK_LIST_ENTRIES] = {.run = bookie_list_run},
};

// FRAMES THAT ARE KEPT

static size_t frame_charge(const struct bookie_call *call) {
    return call->frame.size > PARKED_CHARGE_MIN ? call->frame.size : PARKED_CHARGE_MIN;
}

void bookie_call_keep(struct bookie_call *call) {
    if (call->holds_frame) return;
    call->frame = rt_slice_hold(call->frame);
    call->holds_frame = true;
    call->core->stats.parked_bytes += frame_charge(call);
    call->core->stats.parked++;
}

bool bookie_call_try_keep(struct bookie_call *call) {
    struct bookie_core *core = call->core;
    if (!call->holds_frame &&
        core->stats.parked_bytes + frame_charge(call) > core->options.parked_bytes_max)
        return false;
    bookie_call_keep(call);
    return true;
}

void bookie_call_let_frame_go(struct bookie_call *call) {
    if (!call->holds_frame) return;
    call->core->stats.parked_bytes -= frame_charge(call);
    call->core->stats.parked--;
    call->holds_frame = false;
    rt_slice_drop(&call->frame);
}

// ANSWERS

static void answer_count(struct bookie_call *call, enum proto_bk_code code) {
    struct bookie_core *core = call->core;
    struct bookie_core_kind_stats *kind = &core->stats.kinds[call->request.kind];
    uint64_t now = rt_loop_now(core->loop);
    uint64_t ns = now > call->since_ns ? now - call->since_ns : 0;
    kind->calls++;
    kind->failures += code != PROTO_BK_OK;
    kind->ns_sum += ns;
    if (ns > kind->ns_max) kind->ns_max = ns;
    core->stats.rejected += code == PROTO_BK_TOO_MANY_REQUESTS;
}

static void bodies_drop(struct bookie_call *call) {
    for (unsigned i = 0; i < call->body_count; i++) rt_slice_drop(&call->bodies[i]);
    call->bodies = NULL;
    call->body_count = 0;
    rt_slice_drop(&call->body_one);
}

void bookie_call_fini(struct bookie_call *call) {
    assert(call->state == CALL_IDLE);
    bodies_drop(call);
    rt_free(call->body_array);
    call->body_array = NULL;
    call->body_capacity = 0;
    rt_buf_fini(&call->scratch);
}

void bookie_call_finish(struct bookie_call *call, enum proto_bk_code code) {
    struct bookie_core *core = call->core;
    assert(call->state != CALL_IDLE);
    answer_count(call, code);
    if (call->is_counted) core->stats.adds_in_progress--;
    call->is_counted = false;
    if (code != PROTO_BK_OK) bodies_drop(call);
    bookie_call_let_frame_go(call);
    if (call->ledger) bookie_ledger_release(core->options.store, call->ledger);
    call->ledger = NULL;
    call->response.code = code;
    call->state = CALL_IDLE;
    if (!rt_list_is_empty(&core->parked) && core->options.adds_in_progress_max)
        bookie_core_run_later(core);
    if (!call->is_starting) call->done(call);
    core->under_way--;  // behind done, which may close the core
    bookie_core_maybe_closed(core);
}

// LOADING

static void loaded(struct bookie_ledger_op *op, rt_err err, struct bookie_ledger *ledger) {
    struct core_load *load = rt_container_of(op, struct core_load, op);
    struct bookie_core *core = load->core;
    if (err && rt_log_allows(&core->log_limit, "bookie"))
        rt_log_error("bookie", "ledger record not read ledger=%lld err=%s", (long long)load->id,
                     rt_err_name(err));
    // Who comes meanwhile joins the queue's end: the ledger's calls keep their order.
    while (!rt_list_is_empty(&load->waiting)) {
        struct bookie_call *call =
            rt_container_of(rt_list_pop_front(&load->waiting), struct bookie_call, link);
        call->state = CALL_RUNNING;
        if (err) {
            bookie_call_finish(call, PROTO_BK_IO);
            continue;
        }
        call->ledger = bookie_ledger_try_acquire(core->options.store, load->id);
        assert(call->ledger == ledger);
        kinds[call->request.kind].run(call);
    }
    HASH_DEL(core->loads, load);
    if (ledger) bookie_ledger_release(core->options.store, ledger);
    rt_free(load);
    core->under_way--;
    bookie_core_maybe_closed(core);
}

static void load_wait(struct bookie_call *call, struct core_load *load) {
    if (!bookie_call_try_keep(call)) {
        bookie_call_finish(call, PROTO_BK_TOO_MANY_REQUESTS);
        return;
    }
    call->state = CALL_LOADING;
    rt_list_push_back(&load->waiting, &call->link);
}

static struct core_load *load_start(struct bookie_core *core, int64_t id) {
    struct core_load *load = RT_NEW(struct core_load);
    load->id = id;
    load->core = core;
    load->op.done = loaded;
    rt_list_init(&load->waiting);
    HASH_ADD(hh, core->loads, id, sizeof(load->id), load);
    core->under_way++;
    bookie_ledger_acquire(core->options.store, &load->op, id);
    return load;
}

static void ledger_find(struct bookie_call *call) {
    struct bookie_core *core = call->core;
    int64_t id = call->request.ledger;
    struct core_load *load = NULL;
    if (core->loads) HASH_FIND(hh, core->loads, &id, sizeof(id), load);
    if (!load) {
        call->ledger = bookie_ledger_try_acquire(core->options.store, id);
        if (call->ledger) {
            kinds[call->request.kind].run(call);
            return;
        }
        load = load_start(core, id);
    }
    load_wait(call, load);
}

// CALLS

static void call_init(struct bookie_core *core, struct bookie_call *call) {
    const struct proto_bk_request *request = &call->request;
    assert(call->state == CALL_IDLE && !call->bodies && !call->ledger && !call->holds_frame);
    call->core = core;
    call->state = CALL_RUNNING;
    call->prefixes = 0;
    call->is_abandoned = false;
    call->body_bytes = 0;
    rt_list_init(&call->link);
    rt_list_init(&call->poll_link);
    rt_buf_clear(&call->scratch);
    call->response = (struct proto_bk_response){.form = request->form,
                                                .kind = request->kind,
                                                .operation = request->operation,
                                                .request_id = request->request_id,
                                                .ledger = request->ledger,
                                                .entry = request->entry};
    core->under_way++;
}

bool bookie_core_call(struct bookie_core *core, struct bookie_call *call) {
    const struct call_kind *kind = &kinds[call->request.kind];
    assert(kind->run && call->done && !core->closed);
    call_init(core, call);
    call->is_starting = true;
    enum proto_bk_code code = call->request.ledger < 0 ? PROTO_BK_BAD_REQUEST : PROTO_BK_OK;
    if (!code && kind->check) code = kind->check(call);
    if (code)
        bookie_call_finish(call, code);
    else if (kind->has_no_ledger)
        kind->run(call);
    else
        ledger_find(call);
    call->is_starting = false;
    if (!call->holds_frame) call->frame = (struct rt_slice){0};
    return call->state == CALL_IDLE;
}

void bookie_core_abandon(struct bookie_core *core, struct bookie_call *call) {
    assert(call->core == core && call->state != CALL_IDLE);
    call->is_abandoned = true;
    if (call->state == CALL_READING) {
        bookie_store_read_cancel(core->options.store, &call->read);
        core->stats.reads_in_progress--;
    }
    if (call->state == CALL_READING || call->state == CALL_QUEUED || call->state == CALL_POLLING)
        bookie_call_wake(call);
}

void bookie_call_wake(struct bookie_call *call) {
    struct bookie_core *core = call->core;
    if (call->state == CALL_POLLING) {
        core->stats.long_polls--;
        rt_timer_cancel(&call->timer);
        rt_list_remove(&call->poll_link);
        rt_list_remove(&call->link);
        bookie_ledger_settle(call->ledger);
    }
    rt_list_remove(&call->link);
    call->state = CALL_WOKEN;
    rt_list_push_back(&core->woken, &call->link);
    bookie_core_run_later(core);
}

// THE TASK: what must not happen inside the call that caused it.

static void task_run(struct rt_task *task) {
    struct bookie_core *core = rt_container_of(task, struct bookie_core, task);
    struct rt_list woken;
    core->task_queued = false;
    core->under_way++;  // it must not be freed below us
    rt_list_init(&woken);
    rt_list_splice(&woken, &core->woken);
    while (!rt_list_is_empty(&woken)) {
        struct bookie_call *call =
            rt_container_of(rt_list_pop_front(&woken), struct bookie_call, link);
        call->state = CALL_RUNNING;
        if (call->is_abandoned)
            bookie_call_finish(call, PROTO_BK_IO);
        else
            bookie_poll_answer(call);
    }
    bookie_append_pump(core);
    bookie_add_pump(core);
    bookie_read_pump(core);
    bookie_core_see_congestion(core);
    core->under_way--;
    bookie_core_maybe_closed(core);
}

void bookie_core_run_later(struct bookie_core *core) {
    if (core->task_queued) return;
    core->task_queued = true;
    rt_defer(core->loop, &core->task);
}

void bookie_core_see_congestion(struct bookie_core *core) {
    bool is_congested = !rt_list_is_empty(&core->parked);
    for (unsigned i = 0; i < core->options.journal_count; i++)
        is_congested |= !rt_list_is_empty(&core->journals[i].appends);
    if (is_congested == core->is_congested) return;
    core->is_congested = is_congested;
    struct bookie_core_events *events = core->options.events;
    if (events && is_congested) events->congested(events);
    if (events && !is_congested) events->relieved(events);
}

void bookie_core_on_drained(struct bookie_core *core) {
    bookie_core_run_later(core);
}

void bookie_core_on_failed(struct bookie_core *core) {
    core->has_failed = true;
    bookie_core_run_later(core);
}

// STATE

void bookie_core_set_read_only(struct bookie_core *core, bool read_only, bool room_for_recovery) {
    core->read_only = read_only;
    core->room_for_recovery = room_for_recovery;
}

void bookie_core_forget_ledger(struct bookie_core *core, int64_t ledger, bool was_fenced) {
    struct bookie_forgotten *set = was_fenced ? &core->forgotten : &core->deleted;
    bookie_forgotten_add(set, ledger, rt_loop_now(core->loop));
}

void bookie_core_poke(struct bookie_core *core, int64_t id) {
    struct bookie_ledger *ledger = bookie_ledger_try_acquire(core->options.store, id);
    if (!ledger) return;  // nobody waits for it either
    bookie_polls_wake(core, ledger, true);
    bookie_ledger_release(core->options.store, ledger);
}

struct bookie_core_stats bookie_core_stats(const struct bookie_core *core) {
    return core->stats;
}

// LIFE

struct bookie_core *bookie_core_new(struct rt_machine *machine, struct rt_loop *loop,
                                    const struct bookie_core_options *options) {
    struct bookie_core *core = RT_NEW(struct bookie_core);
    assert(options->journal_count > 0 && options->journal_count <= BOOKIE_JOURNALS_MAX);
    core->machine = machine;
    core->loop = loop;
    core->options = *options;
    core->log_limit.burst = LOG_BURST;
    if (!core->options.batch_read_bytes_max)
        core->options.batch_read_bytes_max = BATCH_READ_BYTES_MAX;
    if (!core->options.frame_size_max) core->options.frame_size_max = PROTO_BK_FRAME_MAX;
    if (!core->options.parked_bytes_max) core->options.parked_bytes_max = PARKED_BYTES_MAX;
    core->journals = rt_alloc_zero(options->journal_count, sizeof(*core->journals));
    for (unsigned i = 0; i < options->journal_count; i++) rt_list_init(&core->journals[i].appends);
    rt_list_init(&core->parked);
    rt_list_init(&core->reads);
    rt_list_init(&core->polls);
    rt_list_init(&core->woken);
    rt_task_init(&core->task, task_run, "bookie.core");
    return core;
}

void bookie_core_close(struct bookie_core *core, struct rt_task *closed) {
    assert(!core->closed);
    core->closed = closed;
    while (!rt_list_is_empty(&core->polls))
        bookie_call_wake(rt_container_of(core->polls.next, struct bookie_call, poll_link));
    bookie_core_maybe_closed(core);
}

void bookie_core_maybe_closed(struct bookie_core *core) {
    if (!core->closed || core->under_way || core->task_queued) return;
    assert(!core->loads && rt_list_is_empty(&core->parked) && rt_list_is_empty(&core->reads));
    bookie_forgotten_fini(&core->forgotten);
    bookie_forgotten_fini(&core->deleted);
    rt_defer(core->loop, core->closed);
    rt_free(core->journals);
    rt_free(core);
}
