// Entries are read: one, the last one, runs of them, and the list of what there is.
//
// "No entry" and "no ledger" are safety statements (sheet, trap 4): said of what is beyond the
// highest entry ever put, and of what the store says it does not have; in limbo never.
#include <assert.h>

#include "bookie/server/core/core_internal.h"

enum {
    LAST_ENTRY = -1,
    LAC_OFFSET = 16,
    BATCH_HEAD = 36,  // of a batch read's answer, with the length word
    BATCH_ENTRY_HEAD = 4,
    BATCH_COUNT_MAX = 8192,  // an answer may always be shorter than asked, and a turn should be
    LIST_HEAD = 128          // of the answer, more than enough
};

enum proto_bk_code bookie_read_check(struct bookie_call *call) {
    const struct proto_bk_request *request = &call->request;
    unsigned flags = request->flags;
    bool is_batch = request->kind == PROTO_BK_BATCH_READ;
    if (request->entry < (is_batch ? 0 : LAST_ENTRY)) return PROTO_BK_BAD_REQUEST;
    if (flags & (unsigned)PROTO_BK_FENCE)
        return flags & (unsigned)PROTO_BK_HAS_KEY ? PROTO_BK_OK : PROTO_BK_UNAUTHORIZED;
    if (flags & (unsigned)PROTO_BK_PIGGYBACK) {
        if (!bookie_poll_is(call) || request->entry != LAST_ENTRY) return PROTO_BK_BAD_REQUEST;
    }
    if (bookie_poll_is(call) && request->previous_lac < -1) return PROTO_BK_BAD_REQUEST;
    return PROTO_BK_OK;
}

// ONE ENTRY

enum proto_bk_code bookie_entry_code(const struct bookie_call *call, rt_err err) {
    const struct bookie_ledger *ledger = call->ledger;
    if (!err) return PROTO_BK_OK;
    if (err == RT_EBUSY) return PROTO_BK_TOO_MANY_REQUESTS;
    if (err != RT_ENOTFOUND) return PROTO_BK_IO;
    if (!ledger->exists) return PROTO_BK_NO_LEDGER;
    return ledger->limbo ? PROTO_BK_UNKNOWN_LEDGER_STATE : PROTO_BK_NO_ENTRY;
}

int64_t bookie_entry_lac(struct rt_slice body) {
    struct rt_reader r = rt_reader_over(rt_bytes_skip(rt_slice_bytes(body), LAC_OFFSET));
    int64_t lac = (int64_t)rt_read_be64(&r);
    return rt_reader_failed(&r) ? -1 : lac;
}

static void entry_came(struct bookie_read_op *op, rt_err err) {
    struct bookie_call *call = rt_container_of(op, struct bookie_call, read);
    struct bookie_core *core = call->core;
    assert(call->state == CALL_READING);
    core->stats.reads_in_progress--;
    call->state = CALL_RUNNING;
    if (!err) call->body_one = op->body;
    op->body = (struct rt_slice){0};
    bool is_bad = err && err != RT_ENOTFOUND && err != RT_EBUSY;
    if (is_bad && rt_log_allows(&core->log_limit, "bookie"))
        rt_log_error("bookie", "entry not read ledger=%lld entry=%lld err=%s",
                     (long long)call->ledger->id, (long long)op->entry, rt_err_name(err));
    if (!rt_list_is_empty(&core->reads)) bookie_core_run_later(core);
    call->entry_read(call, err);
}

static void read_start(struct bookie_call *call) {
    call->state = CALL_READING;
    call->core->stats.reads_in_progress++;
    bookie_store_read(call->core->options.store, &call->read);
}

// Of a worker, as soon as there are not too many.
static void read_later(struct bookie_call *call, int64_t entry, unsigned ahead) {
    struct bookie_core *core = call->core;
    unsigned max = core->options.reads_in_progress_max;
    call->read.ledger = call->ledger;
    call->read.entry = entry;
    call->read.ahead = ahead;
    call->read.done = entry_came;
    if (!max || core->stats.reads_in_progress < max) {
        read_start(call);
        return;
    }
    call->state = CALL_QUEUED;
    rt_list_push_back(&core->reads, &call->link);
}

void bookie_read_pump(struct bookie_core *core) {
    while (!rt_list_is_empty(&core->reads) &&
           core->stats.reads_in_progress < core->options.reads_in_progress_max)
        read_start(rt_container_of(rt_list_pop_front(&core->reads), struct bookie_call, link));
}

static rt_err entry_try(const struct bookie_call *call, int64_t entry, struct rt_slice *body) {
    if (!call->ledger->exists || entry > call->ledger->last_entry) return RT_ENOTFOUND;
    return bookie_store_try_read(call->core->options.store, call->ledger, entry, body);
}

void bookie_entry_read(struct bookie_call *call, int64_t entry,
                       void (*then)(struct bookie_call *call, rt_err err)) {
    rt_err err = RT_ENOTFOUND;
    if (entry == LAST_ENTRY) entry = call->ledger->last_entry;
    if (entry >= 0) err = entry_try(call, entry, &call->body_one);
    call->entry_read = then;
    if (err == RT_EAGAIN)
        read_later(call, entry, 0);
    else
        then(call, err);
}

void bookie_entry_answer(struct bookie_call *call, rt_err err) {
    if (!err) {
        call->bodies = &call->body_one;
        call->body_count = 1;
        call->response.has_body = true;
        call->core->stats.read_bytes += call->body_one.size;
    }
    bookie_call_finish(call, bookie_entry_code(call, err));
}

// The client learns from it how far it may read.
static void plain_answer(struct bookie_call *call, rt_err err) {
    bool is_fence = call->request.flags & (unsigned)PROTO_BK_FENCE;
    if (!err && !is_fence && call->request.form == PROTO_BK_V3) {
        int64_t known = bookie_lac_known(call->ledger), own = bookie_entry_lac(call->body_one);
        call->response.max_lac = known > own ? known : own;
        call->response.has_max_lac = true;
    }
    bookie_entry_answer(call, err);
}

// BATCHES

static void body_push(struct bookie_call *call, struct rt_slice body) {
    if (call->body_count == call->body_capacity) {
        call->body_capacity = call->body_capacity ? 2 * call->body_capacity : 16;
        call->body_array =
            rt_realloc(call->body_array, call->body_capacity * sizeof(*call->body_array));
    }
    call->bodies = call->body_array;
    call->bodies[call->body_count++] = body;
    call->body_bytes += BATCH_ENTRY_HEAD + body.size;
    call->core->stats.read_bytes += body.size;
}

static unsigned batch_count_max(const struct bookie_call *call) {
    int32_t asked = call->request.count_max;
    return asked <= 0 || asked > BATCH_COUNT_MAX ? BATCH_COUNT_MAX : (unsigned)asked;
}

// The first entry is returned even over the client's budget, but never over a frame.
static bool batch_has_room(const struct bookie_call *call, size_t size) {
    const struct bookie_core_options *options = &call->core->options;
    size_t total = BATCH_HEAD + call->body_bytes + BATCH_ENTRY_HEAD + size;
    int64_t max = call->request.size_max;
    if (max > options->batch_read_bytes_max) max = options->batch_read_bytes_max;
    if (total > options->frame_size_max) return false;
    return call->body_count == 0 || (max > 0 && total <= (uint64_t)max);
}

static void batch_end(struct bookie_call *call, enum proto_bk_code code) {
    call->response.has_body = call->body_count > 0;
    bookie_call_finish(call, call->body_count ? PROTO_BK_OK : code);
}

// False: the batch is over.
static bool batch_take(struct bookie_call *call, rt_err err) {
    struct rt_slice body = call->body_one;
    call->body_one = (struct rt_slice){0};
    if (err) {
        batch_end(call, bookie_entry_code(call, err));
        return false;
    }
    if (!batch_has_room(call, body.size)) {
        rt_slice_drop(&body);
        batch_end(call, PROTO_BK_IO);
        return false;
    }
    body_push(call, body);
    if (call->body_count < batch_count_max(call)) return true;
    batch_end(call, PROTO_BK_OK);
    return false;
}

static void batch_next(struct bookie_call *call);

static void batch_came(struct bookie_call *call, rt_err err) {
    if (batch_take(call, err)) batch_next(call);
}

static void batch_next(struct bookie_call *call) {
    for (;;) {
        uint64_t entry = (uint64_t)call->request.entry + call->body_count;
        rt_err err = RT_ENOTFOUND;
        if (entry <= INT64_MAX) err = entry_try(call, (int64_t)entry, &call->body_one);
        if (err == RT_EAGAIN) {
            call->entry_read = batch_came;
            read_later(call, (int64_t)entry, batch_count_max(call) - call->body_count - 1);
            return;
        }
        if (!batch_take(call, err)) return;
    }
}

// READS

void bookie_read_go(struct bookie_call *call) {
    const struct bookie_ledger *ledger = call->ledger;
    if (!ledger->exists)
        bookie_call_finish(call, PROTO_BK_NO_LEDGER);
    else if (call->request.kind == PROTO_BK_BATCH_READ)
        batch_next(call);
    else if (ledger->limbo && call->request.entry == LAST_ENTRY)
        bookie_call_finish(call, PROTO_BK_UNKNOWN_LEDGER_STATE);
    else
        bookie_entry_read(call, call->request.entry, plain_answer);
}

void bookie_read_run(struct bookie_call *call) {
    if (call->request.flags & (unsigned)PROTO_BK_FENCE)
        bookie_fence_run(call);
    else if (bookie_poll_is(call))
        bookie_poll_run(call);
    else
        bookie_read_go(call);
}

// LISTS

static void list_came(struct bookie_entries_op *op, rt_err err) {
    struct bookie_call *call = rt_container_of(op, struct bookie_call, entries);
    const struct bookie_core_options *options = &call->core->options;
    enum proto_bk_code code = err ? PROTO_BK_IO : PROTO_BK_OK;
    call->state = CALL_RUNNING;
    if (!err) {
        const int64_t *ids = (const int64_t *)(const void *)op->entries.data;
        proto_bk_entry_list_encode(ids, op->entries.size / sizeof(*ids), &call->scratch);
        call->response.entries = rt_buf_bytes(&call->scratch);
        if (call->scratch.size + LIST_HEAD > options->frame_size_max) code = PROTO_BK_IO;
    }
    rt_buf_fini(&op->entries);
    bookie_call_finish(call, code);
}

void bookie_list_run(struct bookie_call *call) {
    if (!call->ledger->exists) {
        bookie_call_finish(call, PROTO_BK_NO_LEDGER);
        return;
    }
    if (call->ledger->limbo) {
        bookie_call_finish(call, PROTO_BK_UNKNOWN_LEDGER_STATE);
        return;
    }
    call->state = CALL_LISTING;
    call->entries = (struct bookie_entries_op){.ledger = call->ledger, .done = list_came};
    bookie_store_entries(call->core->options.store, &call->entries);
}
