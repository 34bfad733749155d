#include "cli/zk_session.h"

#include <string.h>

#include "runtime/latch.h"
#include "runtime/real/real.h"

struct call {
    struct rt_task start;
    struct meta_client_op op;
    struct zk_session *session;
    const struct proto_zk_request *request;
    struct meta_client_watch *watch;
    struct zk_answer *answer;
};

// OPENING

static void on_state(struct meta_client *client, enum meta_client_state state) {
    struct zk_session *session =
        rt_container_of(meta_client_owner(client), struct zk_session, owner);
    if (state == META_CLIENT_EXPIRED) session->expired = true;
    if (state == META_CLIENT_AUTH_FAILED) session->auth_failed = true;
}

static void closed_run(struct rt_task *task) {
    struct zk_session *session = rt_container_of(task, struct zk_session, closed);
    session->client = NULL;
    rt_latch_open(session->waiting);
}

// The session is given up: what is under way ends with it.
static void limit_passed(struct rt_timer *timer) {
    struct zk_session *session = rt_container_of(timer, struct zk_session, limit);
    session->timed_out = true;
    meta_client_close(session->client, &session->closed);
}

static void open_run(struct rt_task *task) {
    struct zk_session *session = rt_container_of(task, struct zk_session, task);
    const struct zk_session_options *given = session->options;
    const char *colon = strchr(given->auth, ':');
    struct meta_client_auth auth = {0};
    char scheme[32] = "";
    if (colon && (size_t)(colon - given->auth) < sizeof(scheme)) {
        memcpy(scheme, given->auth, (size_t)(colon - given->auth));
        auth = (struct meta_client_auth){.scheme = scheme, .auth = rt_bytes_of(colon + 1)};
    }
    struct meta_client_options options = {.servers = given->servers,
                                          .session_timeout_ms = (int32_t)given->timeout_ms,
                                          .tls = given->tls,
                                          .auths = &auth,
                                          .auth_count = auth.scheme ? 1 : 0,
                                          .reply_size_max = 64 << 20,
                                          .on_state = on_state,
                                          .owner = &session->owner};
    session->open_err = meta_client_open(session->loop, &options, &session->client, session->why);
    rt_timer_init(&session->limit, session->loop, limit_passed, "zk limit");
}

static rt_err machine_open(struct zk_session *session, struct rt_why *why) {
    struct rt_log_options log = {.level = RT_LOG_ERROR};
    rt_err err = rt_log_open(&log, &session->log, why);
    if (err) return err;
    struct rt_real_options machine = {.loop_count = 1, .worker_count = 1, .log = session->log};
    err = rt_real_open(&machine, &session->machine, why);
    if (err) rt_log_close(session->log);
    return err;
}

static void machine_close(struct zk_session *session) {
    rt_real_close(session->machine);
    rt_log_close(session->log);
}

rt_err zk_session_open(struct zk_session *session, const struct zk_session_options *options,
                       struct rt_why *why) {
    *session = (struct zk_session){.options = options, .why = why, .owner = {.name = "zk"}};
    rt_err err = machine_open(session, why);
    if (err) return err;
    session->loop = rt_machine_loop(session->machine, 0);
    rt_task_init(&session->closed, closed_run, "zk closed");
    rt_task_init(&session->task, open_run, "zk open");
    rt_real_start(session->machine);
    rt_real_call(session->loop, &session->task);
    if (session->open_err) machine_close(session);
    return session->open_err;
}

// CLOSING

static void close_run(struct rt_task *task) {
    struct zk_session *session = rt_container_of(task, struct zk_session, task);
    meta_client_close(session->client, &session->closed);
}

// After a call that got no answer the client is closed already.
void zk_session_close(struct zk_session *session) {
    if (!session->timed_out) {
        session->waiting = rt_latch_new();
        rt_task_init(&session->task, close_run, "zk close");
        rt_post(session->loop, &session->task);
        rt_latch_wait(session->waiting);
        rt_latch_free(session->waiting);
    }
    machine_close(session);
}

// CALLS

static struct rt_bytes copy(struct rt_arena *arena, struct rt_bytes bytes) {
    return bytes.data ? rt_arena_copy(arena, bytes) : bytes;
}

static void copy_names(struct rt_arena *arena, struct proto_zk_strings *names) {
    struct rt_bytes *items = rt_arena_zero(arena, names->count + 1, sizeof(items[0]));
    for (size_t i = 0; i < names->count; i++) items[i] = copy(arena, names->items[i]);
    names->items = items;
}

static void copy_acl(struct rt_arena *arena, struct proto_zk_acls *acl) {
    struct proto_zk_acl *items = rt_arena_zero(arena, acl->count + 1, sizeof(items[0]));
    for (size_t i = 0; i < acl->count; i++) {
        items[i] = acl->items[i];
        items[i].id.scheme = copy(arena, acl->items[i].id.scheme);
        items[i].id.id = copy(arena, acl->items[i].id.id);
    }
    acl->items = items;
}

static void copy_ids(struct rt_arena *arena, struct proto_zk_ids *ids) {
    struct proto_zk_id *items = rt_arena_zero(arena, ids->count + 1, sizeof(items[0]));
    for (size_t i = 0; i < ids->count; i++) {
        items[i].scheme = copy(arena, ids->items[i].scheme);
        items[i].id = copy(arena, ids->items[i].id);
    }
    ids->items = items;
}

static void answer_copy(struct zk_answer *answer, const struct proto_zk_body *body) {
    answer->body = *body;
    answer->body.path = copy(&answer->arena, body->path);
    answer->body.data = copy(&answer->arena, body->data);
    copy_names(&answer->arena, &answer->body.names);
    copy_acl(&answer->arena, &answer->body.acl);
    copy_ids(&answer->arena, &answer->body.ids);
}

static void answered(struct meta_client_op *op, rt_err err, const struct proto_zk_reply *reply) {
    struct call *call = rt_container_of(op, struct call, op);
    struct zk_session *session = call->session;
    call->answer->err = session->timed_out ? RT_ETIMEDOUT : err;
    call->answer->zk_err = op->zk_err;
    if (reply) answer_copy(call->answer, &reply->body);
    if (session->timed_out) return;  // closed_run goes on
    rt_timer_cancel(&session->limit);
    rt_latch_open(session->waiting);
}

static void call_run(struct rt_task *task) {
    struct call *call = rt_container_of(task, struct call, start);
    struct zk_session *session = call->session;
    rt_timer_after(&session->limit, session->options->timeout_ms * RT_NS_PER_MS);
    meta_client_send(session->client, &call->op, call->request, call->watch, answered);
}

void zk_session_call(struct zk_session *session, const struct proto_zk_request *request,
                     struct meta_client_watch *watch, struct zk_answer *answer) {
    rt_arena_clear(&answer->arena);
    answer->body = (struct proto_zk_body){.number = 0};
    answer->err = RT_ETIMEDOUT;
    answer->zk_err = 0;
    if (session->timed_out) return;
    struct call call = {.session = session, .request = request, .watch = watch, .answer = answer};
    session->waiting = rt_latch_new();
    rt_task_init(&call.start, call_run, "zk call");
    rt_post(session->loop, &call.start);
    rt_latch_wait(session->waiting);
    rt_latch_free(session->waiting);
}

void zk_answer_fini(struct zk_answer *answer) {
    rt_arena_fini(&answer->arena);
}

const char *zk_session_error(const struct zk_session *session, const struct zk_answer *answer) {
    if (session->timed_out) return "no server answered in time";
    if (session->auth_failed) return "authentication failed";
    if (session->expired) return "session expired";
    if (answer->zk_err) return proto_zk_err_text(answer->zk_err);
    if (answer->err == RT_ERESET) return "connection lost, outcome unknown";
    return rt_err_text(answer->err);
}
