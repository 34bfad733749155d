#include "tests/unit/bookie_protocol/front.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SETTLE_MS = 20, LENGTH_SIZE = 4, CLOSE_MS = 60000 };

// CLIENTS

static void keep(struct front_client *client, struct rt_bytes bytes) {
    client->bytes += bytes.size;
    if (client->only_counts) return;
    if (client->in_size + bytes.size > client->in_capacity) {
        client->in_capacity = 2 * (client->in_size + bytes.size);
        client->in = realloc(client->in, client->in_capacity);
        cr_assert_not_null(client->in);
    }
    memcpy(client->in + client->in_size, bytes.data, bytes.size);
    client->in_size += bytes.size;
}

static void on_frame(struct rt_conn *conn, const struct rt_frame *frame) {
    struct front_client *client = rt_container_of(conn, struct front_client, conn);
    keep(client, rt_frame_bytes(frame, 0, frame->size));
}

static void on_closed(struct rt_conn *conn, rt_err why) {
    (void)why;  // an end or a reset: both are how a server closes
    rt_container_of(conn, struct front_client, conn)->is_open = false;
}

static const struct rt_conn_events client_events = {
    .name = "client", .on_frame = on_frame, .on_closed = on_closed};

// ACTING

struct act {
    struct rt_task task;
    struct front *front;
    void (*run)(struct front *front);
    struct front_client *client;
    struct rt_bytes bytes;
    bool is_done, flag;
};

static void act_do(struct front *front, struct act *act, void (*run)(struct rt_task *task)) {
    act->front = front;
    rt_task_init(&act->task, run, "test act");
    rt_post(front->loop, &act->task);
    while (!act->is_done) cr_assert(rt_sim_step(front->sim));
}

static void act_run(struct rt_task *task) {
    struct act *act = rt_container_of(task, struct act, task);
    act->run(act->front);
    act->is_done = true;
}

void front_run(struct front *front, uint64_t ms) {
    rt_sim_run_for(front->sim, ms * RT_NS_PER_MS);
}

void front_act(struct front *front, void (*run)(struct front *front)) {
    struct act act = {.run = run};
    act_do(front, &act, act_run);
    front_run(front, SETTLE_MS);
}

static void release_act(struct front *front) {
    fake_journal_release(&front->journal);
}

void front_journal_release(struct front *front) {
    front_act(front, release_act);
}

static void drained_act(struct front *front) {
    bookie_core_on_drained(front->core);
}

void front_drained(struct front *front) {
    front_act(front, drained_act);
}

// LIFE

static void congested(struct bookie_core_events *events) {
    bookie_server_on_congested(rt_container_of(events, struct front, core_events)->server);
}

static void relieved(struct bookie_core_events *events) {
    bookie_server_on_relieved(rt_container_of(events, struct front, core_events)->server);
}

static void space(struct bookie_server_events *events, uint64_t *total_bytes,
                  uint64_t *free_bytes) {
    (void)events;
    *total_bytes = 1000;
    *free_bytes = 300;
}

static void boot(struct rt_sim_program *program, struct rt_machine *machine) {
    struct front *front = rt_container_of(program, struct front, program);
    front->machine = machine;
    front->loop = rt_machine_loop(machine, 0);
    fake_store_open(&front->store, front->loop);
    fake_journal_open(&front->journal, front->loop);
    front->journals[0] = &front->journal;
}

static void server_closed(struct rt_task *task) {
    rt_container_of(task, struct front, server_closed)->is_server_closed = true;
}

static void core_closed(struct rt_task *task) {
    rt_container_of(task, struct front, core_closed)->is_core_closed = true;
}

struct front *front_new(unsigned client_count) {
    struct front *front = calloc(1, sizeof(*front));
    cr_assert_not_null(front);
    front->clients = calloc(client_count, sizeof(*front->clients));
    front->client_count = client_count;
    for (unsigned i = 0; i < client_count; i++) front->clients[i].front = front;
    front->program.boot = boot;
    front->core_events = (struct bookie_core_events){congested, relieved};
    front->server_events = (struct bookie_server_events){space};
    front->core_options = (struct bookie_core_options){.store = &front->store,
                                                       .journals = front->journals,
                                                       .journal_count = 1,
                                                       .journal_writes = true,
                                                       .events = &front->core_events};
    front->options =
        (struct bookie_server_options){.listen = "tcp://a:3181", .events = &front->server_events};
    front->sim = rt_sim_new(&(struct rt_sim_options){.seed = 7});
    front->node = rt_sim_node_add(front->sim, "a", 1, &front->program);
    rt_sim_start(front->node);
    rt_task_init(&front->server_closed, server_closed, "test closed");
    rt_task_init(&front->core_closed, core_closed, "test closed");
    front_run(front, SETTLE_MS);
    return front;
}

static void start_act(struct front *front) {
    struct rt_why why = {{0}};
    front->core = bookie_core_new(front->machine, front->loop, &front->core_options);
    front->server = bookie_server_new(front->machine, front->loop, &front->options, front->core);
    cr_assert_eq(bookie_server_listen(front->server, &why), RT_OK, "%s", why.text);
    cr_assert_eq(bookie_server_port(front->server), 3181);
}

void front_start(struct front *front) {
    front_act(front, start_act);
}

struct front *front_open(unsigned client_count) {
    struct front *front = front_new(client_count);
    front_start(front);
    return front;
}

static void shut_act(struct front *front) {
    bookie_server_close(front->server, &front->server_closed);
    front->server = NULL;
}

void front_shut(struct front *front) {
    front_act(front, shut_act);
    front_run(front, CLOSE_MS);
    cr_assert(front->is_server_closed, "everything is given back");
}

static void core_close_act(struct front *front) {
    bookie_core_close(front->core, &front->core_closed);
}

static void gone_act(struct front *front) {
    fake_store_close(&front->store);
    fake_journal_close(&front->journal);
}

void front_close(struct front *front) {
    if (front->server) front_shut(front);
    front_act(front, core_close_act);
    cr_assert(front->is_core_closed);
    front_act(front, gone_act);
    for (unsigned i = 0; i < front->client_count; i++) {
        cr_assert(!front->clients[i].is_open, "the server closed its connections");
        free(front->clients[i].in);
    }
    cr_assert(!rt_sim_failed(front->sim), "%s", rt_sim_failure(front->sim));
    rt_sim_free(front->sim);
    free(front->clients);
    free(front);
}

// WHAT CLIENTS DO

static void dial_run(struct rt_task *task) {
    struct act *act = rt_container_of(task, struct act, task);
    const struct rt_stream_options options = {.framing = RT_FRAMES_RAW,
                                              .open_timeout_ms = RT_NO_TIMEOUT,
                                              .stall_timeout_ms = RT_NO_TIMEOUT};
    act->client->is_open = true;
    rt_conn_dial(&act->client->conn, act->front->loop, "tcp://a:3181", &client_events, &options);
    if (act->client->is_slow) rt_conn_pause(&act->client->conn);
    act->is_done = true;
}

void front_dial(struct front *front, unsigned client) {
    struct act act = {.client = &front->clients[client]};
    cr_assert(!act.client->is_open);
    act_do(front, &act, dial_run);
}

static void hang_up_run(struct rt_task *task) {
    struct act *act = rt_container_of(task, struct act, task);
    rt_conn_close(&act->client->conn, RT_OK);
    act->is_done = true;
}

void front_hang_up(struct front *front, unsigned client) {
    struct act act = {.client = &front->clients[client]};
    act_do(front, &act, hang_up_run);
    front_run(front, SETTLE_MS);
}

static void send_run(struct rt_task *task) {
    struct act *act = rt_container_of(task, struct act, task);
    if (act->client->is_open) rt_conn_send(&act->client->conn, act->bytes);
    act->is_done = true;
}

void front_send(struct front *front, unsigned client, struct rt_bytes bytes) {
    struct act act = {.client = &front->clients[client], .bytes = bytes};
    act_do(front, &act, send_run);
    front_run(front, SETTLE_MS);
}

static void slow_run(struct rt_task *task) {
    struct act *act = rt_container_of(task, struct act, task);
    act->client->is_slow = act->flag;
    if (act->flag)
        rt_conn_pause(&act->client->conn);
    else
        rt_conn_resume(&act->client->conn);
    act->is_done = true;
}

void front_set_slow(struct front *front, unsigned client, bool is_slow) {
    struct act act = {.client = &front->clients[client], .flag = is_slow};
    act_do(front, &act, slow_run);
    front_run(front, SETTLE_MS);
}

static void hex_read(const char *hex, struct rt_buf *bytes) {
    unsigned value;
    while (*hex) {
        if (*hex == ' ') {
            hex++;
            continue;
        }
        cr_assert_eq(sscanf(hex, "%2x", &value), 1);
        rt_buf_append(bytes, RT_BYTES(&(uint8_t){(uint8_t)value}, 1));
        hex += 2;
    }
}

void front_send_hex(struct front *front, unsigned client, const char *hex) {
    struct rt_buf bytes = {0};
    hex_read(hex, &bytes);
    front_send(front, client, rt_buf_bytes(&bytes));
    rt_buf_fini(&bytes);
}

void front_encode(const struct proto_bk_request *request, struct rt_buf *packets) {
    size_t start = packets->size, behind;
    struct rt_writer w = rt_writer_into(packets);
    rt_write_be32(&w, 0);
    cr_assert_eq(proto_bk_request_encode(request, &w, &behind), RT_OK);
    if (request->kind == PROTO_BK_ADD) {
        cr_assert_eq(behind, request->body.size);
        rt_buf_append(packets, request->body);
    }
    struct rt_writer length = rt_writer_over(packets->data + start, LENGTH_SIZE);
    rt_write_be32(&length, (uint32_t)(packets->size - start - LENGTH_SIZE));
}

void front_ask(struct front *front, unsigned client, const struct proto_bk_request *request) {
    struct rt_buf packet = {0};
    front_encode(request, &packet);
    front_send(front, client, rt_buf_bytes(&packet));
    rt_buf_fini(&packet);
}

// WHAT CLIENTS SEE

static void in_skip(struct front_client *client, size_t size) {
    memmove(client->in, client->in + size, client->in_size - size);
    client->in_size -= size;
}

void front_expect_hex(struct front *front, unsigned client, const char *hex) {
    struct front_client *self = &front->clients[client];
    struct rt_buf expected = {0};
    hex_read(hex, &expected);
    cr_expect_eq(self->in_size, expected.size, "%zu bytes came", self->in_size);
    if (self->in_size == expected.size) cr_expect_arr_eq(self->in, expected.data, expected.size);
    self->in_size = 0;
    rt_buf_fini(&expected);
}

bool front_next(struct front *front, unsigned client, struct proto_bk_response *response,
                enum proto_bk_form form) {
    static uint8_t packet[1 << 23];
    struct front_client *self = &front->clients[client];
    struct rt_reader r = rt_reader_over(RT_BYTES(self->in, self->in_size));
    size_t size = rt_read_be32(&r);
    struct rt_bytes bytes = rt_read_bytes(&r, size);
    if (rt_reader_failed(&r)) return false;
    cr_assert_leq(size, sizeof(packet));
    memcpy(packet, bytes.data, size);
    in_skip(self, LENGTH_SIZE + size);
    *response = (struct proto_bk_response){.form = PROTO_BK_V2};
    cr_assert_eq(proto_bk_response_decode(RT_BYTES(packet, size), response), RT_OK);
    cr_assert_eq(response->form, form);
    return true;
}

struct proto_bk_response front_expect(struct front *front, unsigned client, enum proto_bk_form form,
                                      enum proto_bk_kind kind, enum proto_bk_code code) {
    struct proto_bk_response response = {.form = PROTO_BK_V2};
    cr_assert(front_next(front, client, &response, form), "nothing came");
    cr_expect_eq(response.kind, kind, "a %s came", proto_bk_kind_name(response.kind));
    cr_expect_eq(response.code, code, "%s came", proto_bk_code_name(response.code));
    return response;
}

void front_expect_silence(struct front *front, unsigned client) {
    cr_expect_eq(front->clients[client].in_size, 0, "%zu bytes came",
                 front->clients[client].in_size);
    cr_expect(front->clients[client].is_open, "and the connection is open");
}

// REQUESTS

struct rt_bytes front_key(void) {
    static const uint8_t key[FRONT_KEY] = {'k'};
    return RT_BYTES(key, sizeof(key));
}

struct rt_bytes front_body(int64_t ledger, int64_t entry, size_t size, struct rt_buf *buf) {
    struct rt_writer w = rt_writer_into(buf);
    rt_buf_clear(buf);
    rt_write_be64(&w, (uint64_t)ledger);
    rt_write_be64(&w, (uint64_t)entry);
    rt_write_be64(&w, (uint64_t)(entry - 1));
    while (buf->size < size) rt_write_u8(&w, (uint8_t)(entry + (int64_t)buf->size));
    return rt_buf_bytes(buf);
}

struct proto_bk_request front_add(enum proto_bk_form form, int64_t ledger, int64_t entry,
                                  struct rt_bytes body) {
    return (struct proto_bk_request){.form = form,
                                     .kind = PROTO_BK_ADD,
                                     .flags = PROTO_BK_HAS_KEY,
                                     .version = form == PROTO_BK_V3 ? 3 : 2,
                                     .request_id = form == PROTO_BK_V3 ? 1000 + (uint64_t)entry : 0,
                                     .ledger = ledger,
                                     .entry = entry,
                                     .key = front_key(),
                                     .body = body};
}

struct proto_bk_request front_read(enum proto_bk_form form, int64_t ledger, int64_t entry) {
    return (struct proto_bk_request){.form = form,
                                     .kind = PROTO_BK_READ,
                                     .version = form == PROTO_BK_V3 ? 3 : 2,
                                     .request_id = form == PROTO_BK_V3 ? 2000 : 0,
                                     .ledger = ledger,
                                     .entry = entry};
}
