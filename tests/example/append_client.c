#include "tests/example/append_client.h"

enum { PATIENCE_MS = 2000 };

static void call_run_done(struct rt_task *task) {
    struct append_call *call = rt_container_of(task, struct append_call, task);
    call->done(call, call->err);
}

static void call_end(struct append_client *client, struct append_call *call, rt_err err) {
    rt_list_remove(&call->link);
    call->err = err;
    rt_task_init(&call->task, call_run_done, "example.call");
    rt_defer(client->loop, &call->task);
}

static void fail_calls(struct append_client *client, rt_err err) {
    while (!rt_list_is_empty(&client->calls))
        call_end(client, rt_container_of(client->calls.next, struct append_call, link), err);
}

static void client_is_patient(struct rt_timer *timer) {
    struct append_client *client = rt_container_of(timer, struct append_client, patience);
    uint64_t silent_ns = rt_loop_now(client->loop) - client->heard_ns;
    if (!rt_list_is_empty(&client->calls) && silent_ns > PATIENCE_MS * RT_NS_PER_MS) {
        rt_conn_close(&client->conn, RT_ETIMEDOUT);
    } else {
        rt_timer_after(timer, PATIENCE_MS * RT_NS_PER_MS / 2);
    }
}

static void client_on_open(struct rt_conn *conn) {
    struct append_client *client = rt_container_of(conn, struct append_client, conn);
    client->heard_ns = rt_loop_now(client->loop);
    rt_timer_after(&client->patience, PATIENCE_MS * RT_NS_PER_MS / 2);
    if (client->on_open) client->on_open(client);
}

static struct append_call *call_find(struct append_client *client, uint64_t request) {
    rt_list_each (node, &client->calls) {
        struct append_call *call = rt_container_of(node, struct append_call, link);
        if (call->request == request) return call;
    }
    return NULL;
}

static void client_on_frame(struct rt_conn *conn, const struct rt_frame *frame) {
    struct append_client *client = rt_container_of(conn, struct append_client, conn);
    client->heard_ns = rt_loop_now(client->loop);
    struct rt_reader r = rt_reader_over(rt_frame_bytes(frame, 0, frame->size));
    uint8_t kind = rt_read_u8(&r);
    struct append_call *call = call_find(client, rt_read_be64(&r));
    rt_err err = RT_OK;
    if (kind == APPEND_APPENDED && call) call->id = rt_read_be64(&r);
    if (kind != APPEND_ECHO) err = (rt_err)rt_read_u8(&r);
    if (!call || rt_reader_failed(&r)) {
        rt_conn_close(conn, RT_EPROTO);
        return;
    }
    if (call->content) rt_buf_append(call->content, rt_read_rest(&r));
    call_end(client, call, err);
}

static void client_on_closed(struct rt_conn *conn, rt_err why) {
    (void)why;  // whatever it was: the calls are lost and we dial again
    struct append_client *client = rt_container_of(conn, struct append_client, conn);
    client->connected = false;
    rt_timer_cancel(&client->patience);
    fail_calls(client, RT_ERESET);
    if (client->closing) {
        rt_defer(client->loop, &client->closed);
    } else {
        rt_timer_after(&client->redial, 50 * RT_NS_PER_MS);
    }
}

static const struct rt_conn_events client_events = {.name = "example.client",
                                                    .on_open = client_on_open,
                                                    .on_frame = client_on_frame,
                                                    .on_closed = client_on_closed};

static void client_dial(struct rt_timer *timer) {
    struct append_client *client = rt_container_of(timer, struct append_client, redial);
    static const struct rt_stream_options options = {.frame_size_max = APPEND_FRAME_MAX};
    client->connected = true;
    rt_conn_dial(&client->conn, client->loop, client->address, &client_events, &options);
}

void append_client_start(struct append_client *client, struct rt_loop *loop, const char *address) {
    client->loop = loop;
    client->address = address;
    rt_list_init(&client->calls);
    rt_timer_init(&client->redial, loop, client_dial, "example.redial");
    rt_timer_init(&client->patience, loop, client_is_patient, "example.patience");
    rt_timer_after(&client->redial, 0);
}

// Behind the calls that the lost connection has just ended, so they are all done before it.
static void client_closed(struct rt_task *task) {
    struct append_client *client = rt_container_of(task, struct append_client, closed);
    client->on_closed(client);
}

void append_client_close(struct append_client *client, void (*on_closed)(struct append_client *)) {
    client->closing = true;
    client->on_closed = on_closed;
    rt_timer_cancel(&client->redial);
    rt_task_init(&client->closed, client_closed, "example.closed");
    if (client->connected) {
        rt_conn_close(&client->conn, RT_OK);
    } else {
        rt_defer(client->loop, &client->closed);
    }
}

static void call_start(struct append_client *client, struct append_call *call,
                       enum append_kind kind, struct append_head *head, append_call_done *done) {
    if (rt_list_is_empty(&client->calls)) client->heard_ns = rt_loop_now(client->loop);
    call->request = ++client->last_request;
    call->done = done;
    rt_list_push_back(&client->calls, &call->link);
    append_head_start(head, kind);
    rt_write_be64(&head->w, call->request);
}

static void call_send(struct append_client *client, struct append_call *call,
                      const struct append_head *head, struct rt_bytes body) {
    if (client->connected && rt_conn_is_open(&client->conn)) {
        append_frame_send(&client->conn, head, body);
    } else {
        call_end(client, call, RT_ECLOSED);
    }
}

void append_client_append(struct append_client *client, struct append_call *call,
                          struct rt_bytes body, append_call_done *done) {
    struct append_head head;
    call->content = NULL;
    call_start(client, call, APPEND_APPEND, &head, done);
    call_send(client, call, &head, body);
}

void append_client_read(struct append_client *client, struct append_call *call, uint64_t id,
                        struct rt_buf *content, append_call_done *done) {
    struct append_head head;
    call->content = content;
    call_start(client, call, APPEND_READ, &head, done);
    rt_write_be64(&head.w, id);
    call_send(client, call, &head, RT_BYTES(NULL, 0));
}

void append_client_echo(struct append_client *client, struct append_call *call,
                        struct rt_bytes body, struct rt_buf *content, append_call_done *done) {
    struct append_head head;
    call->content = content;
    call_start(client, call, APPEND_ECHO, &head, done);
    call_send(client, call, &head, body);
}
