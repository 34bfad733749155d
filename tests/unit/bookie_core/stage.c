#include "tests/unit/bookie_core/stage.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SETTLE_MS = 5, BODY_HEAD = 24, PACKET_MAX = 4096 };

// WHAT IS HEARD

static void hear(struct stage *stage, const char *format, ...) RT_PRINTF(2, 3);
static void hear(struct stage *stage, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    size_t room = STAGE_LOG - stage->log_size;
    int size = vsnprintf(stage->log + stage->log_size, room, format, arguments);
    va_end(arguments);
    cr_assert(size >= 0 && (size_t)size < room);
    stage->log_size += (size_t)size;
}

static void hear_bodies(struct stage *stage, const struct bookie_call *call) {
    cr_assert_eq(call->response.has_body, call->body_count > 0);
    for (unsigned i = 0; i < call->body_count; i++) {
        struct rt_bytes payload = rt_bytes_skip(rt_slice_bytes(call->bodies[i]), BODY_HEAD);
        hear(stage, "%s%.*s", i ? "," : "=", (int)payload.size, (const char *)payload.data);
    }
}

static void hear_list(struct stage *stage, const struct proto_bk_response *response) {
    struct rt_buf ids = {0};
    if (!response->entries.size) return;
    cr_assert_eq(proto_bk_entry_list_decode(response->entries, &ids), RT_OK);
    hear(stage, "n=%zu", ids.size / sizeof(int64_t));
    rt_buf_fini(&ids);
}

static void hear_answer(struct stage_call *own) {
    struct stage *stage = own->stage;
    const struct bookie_call *call = &own->call;
    const struct proto_bk_response *response = &call->response;
    cr_assert_eq(response->kind, call->request.kind);
    cr_assert_eq(response->form, call->request.form);
    cr_assert_eq(response->ledger, call->request.ledger);
    cr_assert_eq(response->request_id, call->request.request_id);
    hear(stage, "%u:%s", own->number, proto_bk_code_name(response->code));
    hear_bodies(stage, call);
    if (response->entry != call->request.entry) hear(stage, "@%lld", (long long)response->entry);
    if (response->has_max_lac) hear(stage, "lac=%lld", (long long)response->max_lac);
    if (response->has_lac_body) {
        struct rt_reader r = rt_reader_over(rt_bytes_skip(response->lac_body, 8));
        hear(stage, "explicit=%lld", (long long)rt_read_be64(&r));
    }
    if (response->has_last_entry) {
        struct rt_bytes last = rt_bytes_skip(response->last_entry, BODY_HEAD);
        hear(stage, "last=%.*s", (int)last.size, (const char *)last.data);
    }
    hear_list(stage, response);
    hear(stage, " ");
}

static void answer(struct stage_call *own) {
    struct stage *stage = own->stage;
    hear_answer(own);
    stage->answers++;
    own->is_used = false;
    bookie_call_fini(&own->call);
    if (stage->answered) stage->answered(stage, own);
}

static void call_done(struct bookie_call *call) {
    answer(rt_container_of(call, struct stage_call, call));
}

static void congested(struct bookie_core_events *events) {
    hear(rt_container_of(events, struct stage, events), "congested ");
}

static void relieved(struct bookie_core_events *events) {
    hear(rt_container_of(events, struct stage, events), "relieved ");
}

void stage_expect(struct stage *stage, const char *expected) {
    cr_expect_str_eq(stage->log, expected, "heard: %s\n expected: %s", stage->log, expected);
    stage->log_size = 0;
    stage->log[0] = '\0';
}

void stage_expect_journal(struct stage *stage, unsigned journal, const char *expected) {
    struct rt_buf text = {0};
    fake_journal_print(&stage->journals[journal], &text);
    rt_buf_append(&text, RT_BYTES("", 1));
    cr_expect_str_eq((char *)text.data, expected, "the journal has: %s\n expected: %s",
                     (char *)text.data, expected);
    rt_buf_fini(&text);
}

// ACTING

struct act {
    struct rt_task task;
    struct stage *stage;
    void (*run)(struct stage *stage);
    struct stage_call *call;
    const struct proto_bk_request *request;
    bool is_done;
};

static void act_do(struct stage *stage, struct act *act, void (*run)(struct rt_task *task)) {
    act->stage = stage;
    rt_task_init(&act->task, run, "test act");
    rt_post(stage->loop, &act->task);
    while (!act->is_done) cr_assert(rt_sim_step(stage->sim));
    stage_run(stage, SETTLE_MS);
}

static void act_run(struct rt_task *task) {
    struct act *act = rt_container_of(task, struct act, task);
    act->run(act->stage);
    act->is_done = true;
}

void stage_run(struct stage *stage, uint64_t ms) {
    rt_sim_run_for(stage->sim, ms * RT_NS_PER_MS);
}

void stage_act(struct stage *stage, void (*run)(struct stage *stage)) {
    struct act act = {.run = run};
    act_do(stage, &act, act_run);
}

static void journals_release_act(struct stage *stage) {
    for (unsigned i = 0; i < STAGE_JOURNALS; i++) fake_journal_release(&stage->journals[i]);
}

void stage_journals_release(struct stage *stage) {
    stage_act(stage, journals_release_act);
}

static void store_release_act(struct stage *stage) {
    fake_store_release(&stage->store);
}

void stage_store_release(struct stage *stage) {
    stage_act(stage, store_release_act);
}

static void drained_act(struct stage *stage) {
    bookie_core_on_drained(stage->core);
}

void stage_drained(struct stage *stage) {
    stage_act(stage, drained_act);
}

// LIFE

static void boot(struct rt_sim_program *program, struct rt_machine *machine) {
    struct stage *stage = rt_container_of(program, struct stage, program);
    stage->machine = machine;
    stage->loop = rt_machine_loop(machine, 0);
    fake_store_open(&stage->store, stage->loop);
    for (unsigned i = 0; i < STAGE_JOURNALS; i++) {
        fake_journal_open(&stage->journals[i], stage->loop);
        stage->journal_table[i] = &stage->journals[i];
    }
}

static void closed_run(struct rt_task *task) {
    rt_container_of(task, struct stage, closed)->is_closed = true;
}

struct stage *stage_new(void) {
    struct stage *stage = calloc(1, sizeof(*stage));
    cr_assert_not_null(stage);
    stage->program.boot = boot;
    stage->events = (struct bookie_core_events){congested, relieved};
    stage->options = (struct bookie_core_options){.store = &stage->store,
                                                  .journals = stage->journal_table,
                                                  .journal_count = STAGE_JOURNALS,
                                                  .journal_writes = true,
                                                  .events = &stage->events};
    stage->sim = rt_sim_new(&(struct rt_sim_options){.seed = 5});
    stage->node = rt_sim_node_add(stage->sim, "a", 1, &stage->program);
    rt_sim_start(stage->node);
    rt_task_init(&stage->closed, closed_run, "test closed");
    stage_run(stage, SETTLE_MS);
    return stage;
}

static void start_act(struct stage *stage) {
    stage->core = bookie_core_new(stage->machine, stage->loop, &stage->options);
}

void stage_start(struct stage *stage) {
    stage_act(stage, start_act);
}

struct stage *stage_open(void) {
    struct stage *stage = stage_new();
    stage_start(stage);
    return stage;
}

static void stop_act(struct stage *stage) {
    stage->is_closed = false;
    bookie_core_close(stage->core, &stage->closed);
}

void stage_stop(struct stage *stage) {
    stage_act(stage, stop_act);
    cr_assert(stage->is_closed, "calls under way were answered");
}

static void gone_act(struct stage *stage) {
    fake_store_close(&stage->store);
    for (unsigned i = 0; i < STAGE_JOURNALS; i++) fake_journal_close(&stage->journals[i]);
}

void stage_close(struct stage *stage) {
    stage_stop(stage);
    for (unsigned i = 0; i < STAGE_CALLS; i++)
        cr_assert(!stage->calls[i].is_used, "call %u was never answered", i);
    stage_act(stage, gone_act);
    cr_assert(!rt_sim_failed(stage->sim), "%s", rt_sim_failure(stage->sim));
    rt_sim_free(stage->sim);
    free(stage);
}

// CALLS

// The packet is ours: what the core uses later without a hold is garbage by then.
static void ask_run(struct rt_task *task) {
    struct act *act = rt_container_of(task, struct act, task);
    struct stage_call *own = act->call;
    struct bookie_call *call = &own->call;
    call->request = *act->request;
    size_t size = call->request.key.size + call->request.body.size;
    struct rt_slab *slab = rt_slab_get(rt_loop_slabs(act->stage->loop), size + 1, NULL);
    struct rt_writer w = rt_writer_over(slab->data, size);
    rt_write_bytes(&w, call->request.key);
    rt_write_bytes(&w, call->request.body);
    call->request.key.data = slab->data;
    call->request.body.data = slab->data + call->request.key.size;
    call->frame = (struct rt_slice){slab, slab->data, size};
    call->done = call_done;
    call->since_ns = rt_loop_now(act->stage->loop);
    own->is_used = true;
    bool is_answered = bookie_core_call(act->stage->core, call);
    if (atomic_load(&slab->refs) == 1) memset(slab->data, 0xee, size);
    rt_slab_drop(slab);
    if (is_answered) answer(own);
    act->is_done = true;
}

void stage_ask(struct stage *stage, unsigned number, const struct proto_bk_request *request) {
    struct stage_call *own = &stage->calls[number];
    struct act act = {.call = own, .request = request};
    cr_assert(!own->is_used);
    own->stage = stage;
    own->number = number;
    act_do(stage, &act, ask_run);
}

static void abandon_run(struct rt_task *task) {
    struct act *act = rt_container_of(task, struct act, task);
    bookie_core_abandon(act->stage->core, &act->call->call);
    act->is_done = true;
}

void stage_abandon(struct stage *stage, unsigned number) {
    struct act act = {.call = &stage->calls[number]};
    act_do(stage, &act, abandon_run);
}

struct rt_bytes stage_key(char letter) {
    static uint8_t keys[256][STAGE_KEY];
    memset(keys[(uint8_t)letter], letter, STAGE_KEY);
    return RT_BYTES(keys[(uint8_t)letter], STAGE_KEY);
}

struct rt_bytes stage_body(int64_t ledger, int64_t entry, int64_t lac, struct rt_buf *buf) {
    struct rt_writer w = rt_writer_into(buf);
    rt_buf_clear(buf);
    rt_write_be64(&w, (uint64_t)ledger);
    rt_write_be64(&w, (uint64_t)entry);
    rt_write_be64(&w, (uint64_t)lac);
    rt_buf_print(buf, "e%lld", (long long)entry);
    return rt_buf_bytes(buf);
}

static void add(struct stage *stage, unsigned number, struct proto_bk_request *request,
                int64_t lac) {
    struct rt_buf body = {0};
    request->form = PROTO_BK_V2;
    request->kind = PROTO_BK_ADD;
    request->flags |= PROTO_BK_HAS_KEY;
    request->body = stage_body(request->ledger, request->entry, lac, &body);
    stage_ask(stage, number, request);
    rt_buf_fini(&body);
}

void stage_add(struct stage *stage, unsigned number, int64_t ledger, int64_t entry,
               unsigned flags) {
    add(stage, number,
        &(struct proto_bk_request){
            .ledger = ledger, .entry = entry, .flags = flags, .key = stage_key('k')},
        entry - 1);
}

void stage_add_lac(struct stage *stage, unsigned number, int64_t ledger, int64_t entry,
                   int64_t lac) {
    add(stage, number,
        &(struct proto_bk_request){.ledger = ledger, .entry = entry, .key = stage_key('k')}, lac);
}

void stage_add_key(struct stage *stage, unsigned number, int64_t ledger, int64_t entry,
                   struct rt_bytes key) {
    add(stage, number, &(struct proto_bk_request){.ledger = ledger, .entry = entry, .key = key},
        entry - 1);
}

void stage_read(struct stage *stage, unsigned number, int64_t ledger, int64_t entry) {
    stage_ask(stage, number,
              &(struct proto_bk_request){
                  .form = PROTO_BK_V2, .kind = PROTO_BK_READ, .ledger = ledger, .entry = entry});
}

void stage_fence(struct stage *stage, unsigned number, int64_t ledger, int64_t entry) {
    stage_ask(stage, number,
              &(struct proto_bk_request){.form = PROTO_BK_V2,
                                         .kind = PROTO_BK_READ,
                                         .flags = PROTO_BK_FENCE | PROTO_BK_HAS_KEY,
                                         .ledger = ledger,
                                         .entry = entry,
                                         .key = stage_key('k')});
}

void stage_batch(struct stage *stage, unsigned number, int64_t ledger, int64_t entry, int32_t count,
                 int64_t size) {
    stage_ask(stage, number,
              &(struct proto_bk_request){.form = PROTO_BK_V2,
                                         .kind = PROTO_BK_BATCH_READ,
                                         .request_id = 77,
                                         .ledger = ledger,
                                         .entry = entry,
                                         .count_max = count,
                                         .size_max = size});
}

void stage_simple(struct stage *stage, unsigned number, enum proto_bk_kind kind, int64_t ledger) {
    stage_ask(stage, number,
              &(struct proto_bk_request){.form = PROTO_BK_V3, .kind = kind, .ledger = ledger});
}

void stage_write_lac(struct stage *stage, unsigned number, int64_t ledger, int64_t lac) {
    uint8_t body[20] = {0};
    struct rt_writer w = rt_writer_over(body, sizeof(body));
    rt_write_be64(&w, (uint64_t)ledger);
    rt_write_be64(&w, (uint64_t)lac);
    stage_ask(stage, number,
              &(struct proto_bk_request){.form = PROTO_BK_V3,
                                         .kind = PROTO_BK_WRITE_LAC,
                                         .flags = PROTO_BK_HAS_KEY,
                                         .ledger = ledger,
                                         .lac = lac,
                                         .key = stage_key('k'),
                                         .body = RT_BYTES(body, sizeof(body))});
}

void stage_poll(struct stage *stage, unsigned number, int64_t ledger, int64_t previous_lac,
                int64_t timeout_ms, unsigned flags) {
    flags |= PROTO_BK_HAS_PREVIOUS_LAC | (timeout_ms >= 0 ? PROTO_BK_HAS_TIMEOUT : 0);
    stage_ask(stage, number,
              &(struct proto_bk_request){.form = PROTO_BK_V3,
                                         .kind = PROTO_BK_READ,
                                         .flags = flags,
                                         .ledger = ledger,
                                         .entry = -1,
                                         .previous_lac = previous_lac,
                                         .timeout_ms = timeout_ms});
}
