#include "tests/unit/meta_client/stage.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "runtime/backend.h"

static const char *const state_names[] = {"CONNECTING", "CONNECTED",   "DISCONNECTED",
                                          "EXPIRED",    "AUTH_FAILED", "CLOSED"};

void stage_run(struct stage *stage, uint64_t ms) {
    rt_sim_run_for(stage->sim, ms * RT_NS_PER_MS);
}

void stage_note(struct stage_log *log, const char *format, ...) {
    size_t room = sizeof(log->text) - log->size;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(log->text + log->size, room, format, arguments);
    va_end(arguments);
    cr_assert(length >= 0);
    log->size += (size_t)length < room ? (size_t)length : room - 1;
}

// CALLBACKS

static void closed_run(struct rt_task *task) {
    struct stage *stage = rt_container_of(task, struct stage, closed);
    stage->is_closed = true;
    stage->client = NULL;
    stage_note(&stage->client_log, "closed ");
}

static void second_closed_run(struct rt_task *task) {
    struct stage *stage = rt_container_of(task, struct stage, second_closed);
    stage_note(&stage->client_log, "second closed ");
}

static void on_state(struct meta_client *client, enum meta_client_state state) {
    struct stage *stage = rt_container_of(meta_client_owner(client), struct stage, owner);
    stage_note(&stage->client_log, "%s ", state_names[state]);
    stage->state_ns = rt_sim_now(stage->sim);
    cr_assert_eq(meta_client_state(client), state);
    if ((int)state == stage->closes_in) meta_client_close(client, &stage->closed);
}

static void note_reply(struct stage_log *log, const struct meta_client_op *op,
                       const struct proto_zk_reply *reply) {
    const struct proto_zk_body *body = &reply->body;
    if (body->path.size > 0)
        stage_note(log, "=%.*s", (int)body->path.size, (const char *)body->path.data);
    for (size_t i = 0; op->opcode == PROTO_ZK_OP_GET_EPHEMERALS && i < body->names.count; i++) {
        stage_note(log, "[%.*s]", (int)body->names.items[i].size,
                   (const char *)body->names.items[i].data);
    }
    for (size_t i = 0; i < reply->result_count; i++) {
        const struct proto_zk_result *result = &reply->results[i];
        stage_note(log, "{%.*s}", (int)result->body.path.size,
                   (const char *)result->body.path.data);
    }
}

static void done(struct meta_client_op *op, rt_err err, const struct proto_zk_reply *reply) {
    struct stage_op *self = rt_container_of(op, struct stage_op, op);
    struct stage_log *log = &self->stage->client_log;
    self->dones++;
    self->err = err;
    if (reply) self->data_size = reply->body.data.size;
    stage_note(log, "%u:%s", (unsigned)(self - self->stage->ops), rt_err_name(err));
    if (op->zk_err) stage_note(log, "/%s", proto_zk_err_name(op->zk_err));
    if (reply) note_reply(log, op, reply);
    stage_note(log, " ");
    if (self->closes) meta_client_close(op->client, &self->stage->closed);
    if (self->again) meta_client_send(op->client, op, &self->request, self->watch, done);
    self->again = false;
}

static void fired(struct meta_client_watch *watch, const struct proto_zk_event *event) {
    struct stage_watch *self = rt_container_of(watch, struct stage_watch, watch);
    struct stage *stage = self->stage;
    self->calls++;
    stage_note(&stage->client_log, "w%u:%s", (unsigned)(self - stage->watches),
               proto_zk_event_name(event->type));
    if (event->type == PROTO_ZK_EVENT_NONE)
        stage_note(&stage->client_log, "(%" PRId32 ") ", event->state);
    else
        stage_note(&stage->client_log, " %.*s ", (int)event->path.size,
                   (const char *)event->path.data);
    if (self->cancels) meta_client_watch_cancel(stage->client, &self->cancels->watch);
    if (self->reads >= 0) {
        struct stage_op *op = &stage->ops[self->reads];
        meta_client_send(stage->client, &op->op, &op->request, op->watch, done);
    }
    if (self->closes) meta_client_close(stage->client, &stage->closed);
    self->closes = false;
}

// OPENING AND CLOSING

static void open_act(struct stage *stage) {
    struct rt_why why = {{0}};
    rt_err err = meta_client_open(stage->loop, &stage->options, &stage->client, &why);
    cr_assert(!err, "%s", why.text);
    stage->was_opened = true;
}

static void boot(struct rt_sim_program *program, struct rt_machine *machine) {
    struct stage *stage = rt_container_of(program, struct stage, program);
    stage->loop = rt_machine_loop(machine, 0);
}

static void no_timer(struct rt_timer *timer) {
    (void)timer;
    cr_assert_fail("it was cancelled");
}

// The first timer of a loop brings memory for many along, which stays.
static void warm_up_act(struct stage *stage) {
    struct rt_timer timer;
    rt_timer_init(&timer, stage->loop, no_timer, "warm up");
    rt_timer_after(&timer, RT_NS_PER_S);
    rt_timer_cancel(&timer);
}

void stage_init(struct stage *stage) {
    *stage = (struct stage){.zxid = 100, .closes_in = -1};
    stage->sim = rt_sim_new(&(struct rt_sim_options){.seed = 7});
    for (unsigned i = 0; i < STAGE_SERVERS; i++) fake_init(stage, i);
    stage->program.boot = boot;
    stage->client_node = rt_sim_node_add(stage->sim, "client", 1, &stage->program);
    rt_sim_start(stage->client_node);
    stage->owner.name = "test";
    stage->options = (struct meta_client_options){.servers = "s1:2181",
                                                  .session_timeout_ms = 6000,
                                                  .on_state = on_state,
                                                  .owner = &stage->owner};
    rt_task_init(&stage->closed, closed_run, "test closed");
    rt_task_init(&stage->second_closed, second_closed_run, "test closed");
    for (unsigned i = 0; i < STAGE_WATCHES; i++) {
        stage->watches[i].stage = stage;
        stage->watches[i].watch.fired = fired;
        stage->watches[i].reads = -1;
    }
    stage_run(stage, 10);
    stage_act(stage, warm_up_act);
    stage->memory_before = stage_memory(stage);
}

void stage_open(struct stage *stage) {
    stage_act(stage, open_act);
}

static void close_act(struct stage *stage) {
    meta_client_close(stage->client, &stage->closed);
}

void stage_close(struct stage *stage) {
    stage_act(stage, close_act);
}

static void abandon_act(struct stage *stage) {
    meta_client_abandon(stage->client, &stage->closed);
}

void stage_abandon(struct stage *stage) {
    stage_act(stage, abandon_act);
}

static void memory_act(struct stage *stage) {
    struct rt_heap *heap = rt_heap_enter(NULL);
    struct rt_slab_stats slabs = rt_slab_pool_stats(rt_loop_slabs(stage->loop));
    stage->memory = rt_heap_bytes(heap) - slabs.free_bytes;
    rt_heap_enter(heap);
}

size_t stage_memory(struct stage *stage) {
    stage_act(stage, memory_act);
    return stage->memory;
}

struct fake *stage_server(struct stage *stage) {
    const char *server = meta_client_server(stage->client);
    cr_assert(server[0] == 's', "not connected");
    return &stage->fakes[server[1] - '1'];
}

struct fake *stage_other_server(struct stage *stage) {
    return &stage->fakes[stage_server(stage) == &stage->fakes[0]];
}

void stage_fini(struct stage *stage) {
    if (stage->client) {
        stage_close(stage);
        stage_run(stage, 10000);
    }
    size_t memory = stage_memory(stage);
    cr_assert_eq(memory, stage->memory_before, "%zu bytes are left of the client's",
                 memory - stage->memory_before);
    cr_assert(!rt_sim_failed(stage->sim), "%s", rt_sim_failure(stage->sim));
    cr_assert(stage->is_closed || !stage->was_opened);
    rt_sim_free(stage->sim);
}

// ACTING

struct act {
    struct rt_task task;
    struct stage *stage;
    void (*run)(struct stage *stage);
};

static void act_run(struct rt_task *task) {
    struct act *act = rt_container_of(task, struct act, task);
    act->run(act->stage);
}

void stage_act(struct stage *stage, void (*run)(struct stage *stage)) {
    struct act act = {.stage = stage, .run = run};
    rt_task_init(&act.task, act_run, "test act");
    rt_post(stage->loop, &act.task);
    stage_run(stage, 20);
}

meta_client_done_fn *stage_done(void) {
    return done;
}

static void start_run(struct rt_task *task) {
    struct stage_op *self = rt_container_of(task, struct stage_op, start);
    meta_client_send(self->stage->client, &self->op, &self->request, self->watch, done);
}

void stage_send(struct stage *stage, unsigned slot, const struct proto_zk_request *request,
                struct meta_client_watch *watch) {
    struct stage_op *self = &stage->ops[slot];
    self->stage = stage;
    self->request = *request;
    self->watch = watch;
    rt_task_init(&self->start, start_run, "test send");
    rt_post(stage->loop, &self->start);
    stage_run(stage, 20);
}

void stage_read(struct stage *stage, unsigned slot, int32_t opcode, const char *path, int watch) {
    struct proto_zk_request request = {.op = {.opcode = opcode, .path = rt_bytes_of(path)}};
    stage_send(stage, slot, &request, watch < 0 ? NULL : &stage->watches[watch].watch);
}

void stage_add_watch(struct stage *stage, unsigned slot, const char *path, int32_t mode,
                     int watch) {
    struct proto_zk_request request = {.op = {.opcode = PROTO_ZK_OP_ADD_WATCH,
                                              .watch = {.path = rt_bytes_of(path), .type = mode}}};
    stage_send(stage, slot, &request, watch < 0 ? NULL : &stage->watches[watch].watch);
}

static void cancel_act(struct stage *stage) {
    meta_client_watch_cancel(stage->client, &stage->watches[stage->to_cancel].watch);
}

void stage_cancel(struct stage *stage, unsigned watch) {
    stage->to_cancel = watch;
    stage_act(stage, cancel_act);
}

// COMPARING

RT_PRINTF(2, 0)
static void expect(struct stage_log *log, const char *format, va_list arguments) {
    char expected[4096];
    int length = vsnprintf(expected, sizeof(expected), format, arguments);
    cr_assert(length >= 0 && (size_t)length < sizeof(expected));
    if (log->size > 0 && log->text[log->size - 1] == ' ') log->text[log->size - 1] = '\0';
    cr_expect_str_eq(log->text, expected, "is\n  %s\nnot\n  %s", log->text, expected);
    log->text[0] = '\0';
    log->size = 0;
}

void stage_expect_client(struct stage *stage, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    expect(&stage->client_log, format, arguments);
    va_end(arguments);
}

void stage_expect_servers(struct stage *stage, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    expect(&stage->server_log, format, arguments);
    va_end(arguments);
}
