// Opening a client, the end of its session, and freeing it.
#include "meta/client/client_internal.h"

#include <assert.h>
#include <string.h>

enum { SESSION_TIMEOUT_MS = 30000, REPLY_SIZE_MAX = 4 << 20, QUEUE_BYTES_MAX = 64 << 20 };

static void deliver_run(struct rt_task *task);

// OPENING

static void auths_copy(struct meta_client *client, const struct meta_client_options *options) {
    struct rt_arena *arena = &client->servers.arena;
    struct meta_client_auth *auths = rt_arena_zero(arena, options->auth_count, sizeof(auths[0]));
    for (unsigned i = 0; i < options->auth_count; i++) {
        auths[i].scheme = rt_arena_text(arena, rt_bytes_of(options->auths[i].scheme));
        bool is_empty = options->auths[i].auth.size == 0;  // and not null, which servers refuse
        auths[i].auth =
            is_empty ? RT_BYTES_LITERAL("") : rt_arena_copy(arena, options->auths[i].auth);
    }
    client->options.auths = auths;
}

static void options_copy(struct meta_client *client, const struct meta_client_options *options) {
    struct meta_client_options *own = &client->options;
    *own = *options;
    own->servers = NULL;
    if (own->session_timeout_ms <= 0) own->session_timeout_ms = SESSION_TIMEOUT_MS;
    if (own->reply_size_max == 0) own->reply_size_max = REPLY_SIZE_MAX;
    if (own->request_size_max == 0) own->request_size_max = PROTO_ZK_FRAME_SIZE_MAX;
    if (own->queue_bytes_max == 0) own->queue_bytes_max = QUEUE_BYTES_MAX;
    if (own->tls) {
        client->tls = *own->tls;
        own->tls = &client->tls;
    }
    if (own->auth_count > 0) auths_copy(client, options);
    client->session_id = own->session_id;
    memcpy(client->password, own->password, sizeof(client->password));
}

rt_err meta_client_open(struct rt_loop *loop, const struct meta_client_options *options,
                        struct meta_client **out, struct rt_why *why) {
    assert(options->owner && rt_loop_is_current(loop));
    struct meta_client *client = RT_NEW(struct meta_client);
    rt_err err = meta_client_servers_parse(&client->servers, options->servers, options->tls != NULL,
                                           rt_loop_random(loop), why);
    if (err) {
        rt_free(client);
        return err;
    }
    client->loop = loop;
    options_copy(client, options);
    rt_list_init(&client->waiting);
    rt_list_init(&client->sent);
    rt_list_init(&client->ended);
    rt_task_init(&client->deliver, deliver_run, "meta client");
    meta_client_watches_init(&client->watches);
    meta_client_connection_init(client);
    meta_client_dial_after(client, 0);
    *out = client;
    return RT_OK;
}

// ASKING

struct meta_client_owner *meta_client_owner(const struct meta_client *client) {
    return client->options.owner;
}

int64_t meta_client_session_id(const struct meta_client *client) {
    return client->session_id;
}

const uint8_t *meta_client_password(const struct meta_client *client) {
    return client->password;
}

int32_t meta_client_session_timeout_ms(const struct meta_client *client) {
    return client->timeout_ms ? client->timeout_ms : client->options.session_timeout_ms;
}

uint64_t meta_client_timeout_ns(const struct meta_client *client) {
    return (uint64_t)meta_client_session_timeout_ms(client) * RT_NS_PER_MS;
}

int64_t meta_client_last_zxid(const struct meta_client *client) {
    return client->last_zxid;
}

enum meta_client_state meta_client_state(const struct meta_client *client) {
    return client->state;
}

const char *meta_client_server(const struct meta_client *client) {
    if (client->phase != META_CLIENT_READY) return "";
    return meta_client_servers_last(&client->servers);
}

void meta_client_watch_cancel(struct meta_client *client, struct meta_client_watch *watch) {
    meta_client_watches_cancel(&client->watches, watch);
    struct rt_list *const lists[] = {&client->waiting, &client->sent};
    for (unsigned i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        rt_list_each (node, lists[i]) {
            struct meta_client_op *op = rt_container_of(node, struct meta_client_op, link);
            if (op->watch == watch) op->watch = NULL;
        }
    }
}

// THE END

static void everything_ends(struct meta_client *client, rt_err err) {
    client->over_err = err;
    meta_client_ops_end(client, &client->sent, err);
    meta_client_ops_end(client, &client->waiting, err);
}

static int32_t event_state(enum meta_client_state state) {
    if (state == META_CLIENT_EXPIRED) return PROTO_ZK_STATE_EXPIRED;
    if (state == META_CLIENT_AUTH_FAILED) return PROTO_ZK_STATE_AUTH_FAILED;
    return META_CLIENT_EVENT_STATE_CLOSED;
}

// Once. Callbacks may close the client, which is freed in a later turn.
static void tell_end(struct meta_client *client, enum meta_client_state state) {
    assert(!client->end_told);
    client->end_told = true;
    client->state = state;
    struct proto_zk_event event = {
        .type = PROTO_ZK_EVENT_NONE, .state = event_state(state), .path = RT_BYTES_LITERAL("")};
    meta_client_watches_end(&client->watches, &event);
    if (client->options.on_state) client->options.on_state(client, state);
}

void meta_client_session_end(struct meta_client *client, enum meta_client_state state, rt_err err) {
    assert(!client->closed && client->phase != META_CLIENT_OVER);
    client->phase = META_CLIENT_OVER;
    rt_timer_cancel(&client->timer);
    if (client->conn_used) rt_conn_close(&client->conn, RT_OK);
    everything_ends(client, err);
    tell_end(client, state);
}

static void client_free(struct meta_client *client) {
    rt_timer_cancel(&client->timer);
    meta_client_watches_fini(&client->watches);
    meta_client_servers_fini(&client->servers);
    rt_arena_fini(&client->request_arena);
    rt_arena_fini(&client->reply_arena);
    rt_buf_fini(&client->scratch);
    rt_free(client);
}

// Operations first, then the watches and the state, then `closed`. A callback may have started
// another operation meanwhile: that is told first.
static void maybe_free(struct meta_client *client) {
    if (client->conn_used || client->deliver_queued) return;
    if (!client->end_told) tell_end(client, META_CLIENT_CLOSED);
    if (client->deliver_queued) return;
    rt_defer(client->loop, client->closed);
    client_free(client);
}

static void deliver_run(struct rt_task *task) {
    struct meta_client *client = rt_container_of(task, struct meta_client, deliver);
    struct rt_list batch;
    rt_list_init(&batch);
    rt_list_splice(&batch, &client->ended);
    client->deliver_queued = false;
    struct rt_list *node;
    while ((node = rt_list_pop_front(&batch)) != NULL) {
        struct meta_client_op *op = rt_container_of(node, struct meta_client_op, link);
        meta_client_op_finish(op, op->err, NULL);
    }
    if (client->closed) maybe_free(client);
}

void meta_client_deliver_later(struct meta_client *client) {
    if (client->deliver_queued) return;
    client->deliver_queued = true;
    rt_defer(client->loop, &client->deliver);
}

static void close_start(struct meta_client *client, struct rt_task *closed, bool tell_server) {
    assert(!client->closed && closed && rt_loop_is_current(client->loop));
    client->closed = closed;
    everything_ends(client, RT_ECLOSED);
    if (tell_server && client->phase == META_CLIENT_READY) {
        meta_client_session_close(client);
    } else {
        client->phase = META_CLIENT_OVER;
        rt_timer_cancel(&client->timer);
        if (client->conn_used) rt_conn_close(&client->conn, RT_OK);
    }
    meta_client_deliver_later(client);
}

void meta_client_close(struct meta_client *client, struct rt_task *closed) {
    close_start(client, closed, true);
}

void meta_client_abandon(struct meta_client *client, struct rt_task *closed) {
    close_start(client, closed, false);
}
