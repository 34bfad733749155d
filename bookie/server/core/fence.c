// Keys and fences (sheet 1.7, 5.8).
//
// A fence is set in memory first, so that no add comes behind it; its record, which carries the
// key, makes it durable; only then the ledger is read and answered. A fence that finds the flag set
// waits for the record if that is still under way. A flag that was loaded or replayed is durable
// already.
#include <assert.h>
#include <string.h>

#include "bookie/server/core/core_internal.h"

// KEYS

static bool is_unset(struct rt_bytes key) {
    for (size_t i = 0; i < key.size; i++) {
        if (key.data[i]) return false;
    }
    return true;
}

static struct rt_bytes key_of(const struct bookie_ledger *ledger) {
    return RT_BYTES(ledger->key, ledger->key_size);
}

bool bookie_key_fits(const struct bookie_ledger *ledger, struct rt_bytes key) {
    if (key.size > BOOKIE_KEY_MAX) return false;
    if (rt_bytes_equal(key_of(ledger), key)) return true;
    return is_unset(key_of(ledger));
}

bool bookie_key_adopt(struct bookie_core *core, struct bookie_ledger *ledger, struct rt_bytes key,
                      bool is_new) {
    assert(bookie_key_fits(ledger, key));
    if (!is_new && (is_unset(key) || rt_bytes_equal(key_of(ledger), key))) return false;
    if (key.size) memcpy(ledger->key, key.data, key.size);
    ledger->key_size = (uint8_t)key.size;
    bookie_ledger_changed(core->options.store, ledger);
    return true;
}

// WHO WAITS

struct core_ledger *bookie_ledger_state(struct bookie_ledger *ledger) {
    if (ledger->user) return ledger->user;
    struct core_ledger *state = RT_NEW(struct core_ledger);
    rt_list_init(&state->fences);
    rt_list_init(&state->polls);
    ledger->user = state;
    return state;
}

void bookie_ledger_settle(struct bookie_ledger *ledger) {
    struct core_ledger *state = ledger->user;
    if (!state || state->is_fencing || !rt_list_is_empty(&state->fences) ||
        !rt_list_is_empty(&state->polls))
        return;
    rt_free(state);
    ledger->user = NULL;
}

// FENCES

static void fence_set(struct bookie_call *call) {
    struct bookie_core *core = call->core;
    struct bookie_ledger *ledger = call->ledger;
    uint64_t now = rt_loop_now(core->loop);
    // The store may be about to forget the ledger, with the flag.
    if (bookie_forgotten_has(&core->deleted, ledger->id, now))
        bookie_forgotten_add(&core->forgotten, ledger->id, now);
    ledger->exists = true;
    ledger->fenced = true;
    bookie_ledger_changed(core->options.store, ledger);
    bookie_ledger_state(ledger)->is_fencing = true;
    core->stats.fences++;
    bookie_polls_wake(core, ledger, true);
    bookie_append_start(call);
}

void bookie_fence_run(struct bookie_call *call) {
    struct bookie_core *core = call->core;
    struct bookie_ledger *ledger = call->ledger;
    struct core_ledger *state = ledger->user;
    if (core->has_failed) {
        bookie_call_finish(call, PROTO_BK_IO);
        return;
    }
    if (!bookie_key_fits(ledger, call->request.key)) {
        bookie_call_finish(call, PROTO_BK_UNAUTHORIZED);
        return;
    }
    bookie_key_adopt(core, ledger, call->request.key, !ledger->exists);
    if (!ledger->fenced) {
        fence_set(call);
    } else if (state && state->is_fencing) {
        call->state = CALL_FENCING;
        rt_list_push_back(&state->fences, &call->link);
    } else {
        bookie_read_go(call);
    }
}

static void fence_over(struct bookie_call *call, bool is_durable) {
    call->state = CALL_RUNNING;
    if (is_durable)
        bookie_read_go(call);
    else
        bookie_call_finish(call, PROTO_BK_IO);
}

void bookie_fence_appended(struct bookie_call *call, bool is_durable) {
    struct bookie_ledger *ledger = call->ledger;
    struct core_ledger *state = ledger->user;
    struct rt_list waiting;
    assert(state && state->is_fencing);
    rt_list_init(&waiting);
    rt_list_splice(&waiting, &state->fences);
    state->is_fencing = false;
    bookie_ledger_settle(ledger);
    fence_over(call, is_durable);
    while (!rt_list_is_empty(&waiting)) {
        struct rt_list *node = rt_list_pop_front(&waiting);
        fence_over(rt_container_of(node, struct bookie_call, link), is_durable);
    }
}
