#include "bookie/server/node/registrar.h"

#include <stdio.h>
#include <string.h>

#include "runtime/log.h"

enum { PATH_SIZE = 1024, AGAIN_MS = 1000 };

// What is done next. A step that fails for want of a connection is done again when there is one.
enum step { STEP_IDLE, STEP_AVAILABLE, STEP_READONLY, STEP_CREATE, STEP_OWNER, STEP_REMOVE };

struct bookie_registrar {
    struct rt_loop *loop;
    char *servers, *root, *id;
    uint64_t timeout_ms;
    struct rt_buf info;
    struct bookie_registrar_events *events;
    struct meta_client *client;
    struct meta_client_owner owner;
    struct meta_client_op op;
    enum step step;
    bool wants_read_only;   // as it was last asked for
    bool making_read_only;  // what the steps under way are about
    bool is_registered, is_read_only, is_connected, is_failed;
    bool is_reopening;  // the client of an expired session is being closed
    uint64_t taken_ns;  // since when somebody else's node is in the way; 0: none
    struct rt_timer again;
    struct rt_task client_closed;
    struct rt_task *closed;
};

static void step_run(struct bookie_registrar *registrar, enum step step);
static rt_err client_open(struct bookie_registrar *registrar, struct rt_why *why);

static const char *path_of(const struct bookie_registrar *registrar, char path[PATH_SIZE],
                           bool read_only) {
    snprintf(path, PATH_SIZE, "%.400s/available/%s%.400s", registrar->root,
             read_only ? "readonly/" : "", registrar->id);
    return path;
}

static void fail(struct bookie_registrar *registrar, rt_err err, const char *what) {
    if (registrar->is_failed || registrar->closed) return;
    registrar->is_failed = true;
    registrar->events->failed(registrar->events, err, what);
}

static void begin(struct bookie_registrar *registrar) {
    if (registrar->step != STEP_IDLE || !registrar->is_connected || registrar->closed) return;
    if (registrar->is_registered && registrar->is_read_only == registrar->wants_read_only) return;
    registrar->making_read_only = registrar->wants_read_only;
    step_run(registrar, STEP_AVAILABLE);
}

static void again_fire(struct rt_timer *timer) {
    begin(rt_container_of(timer, struct bookie_registrar, again));
}

static void later(struct bookie_registrar *registrar) {
    registrar->step = STEP_IDLE;
    if (!registrar->closed) rt_timer_after(&registrar->again, AGAIN_MS * RT_NS_PER_MS);
}

// True: there was an answer.
static bool is_answer(struct bookie_registrar *registrar, rt_err err) {
    if (!err || err == RT_EREFUSED) return true;
    later(registrar);
    return false;
}

static void refused(struct bookie_registrar *registrar, const char *what, int32_t zk_err) {
    char text[256];
    registrar->step = STEP_IDLE;
    snprintf(text, sizeof(text), "%s: %s", what, proto_zk_err_text(zk_err));
    fail(registrar, RT_EIO, text);
}

static void registered(struct bookie_registrar *registrar) {
    registrar->step = STEP_IDLE;
    registrar->taken_ns = 0;
    registrar->is_registered = true;
    registrar->is_read_only = registrar->making_read_only;
    rt_log_info("bookie", "registered id=%s mode=%s", registrar->id,
                registrar->is_read_only ? "read-only" : "writable");
    registrar->events->registered(registrar->events, registrar->is_read_only);
    begin(registrar);  // it may have been asked for the other one meanwhile
}

static void remove_done(struct meta_client_op *op, rt_err err, const struct proto_zk_reply *reply) {
    struct bookie_registrar *registrar = rt_container_of(op, struct bookie_registrar, op);
    (void)reply;
    if (!is_answer(registrar, err)) return;
    if (err && op->zk_err != PROTO_ZK_ERR_NONODE)
        return refused(registrar, "the other registration cannot be removed", op->zk_err);
    registered(registrar);
}

// Ours (an answer was lost), or of a session that has not expired yet.
static void owner_done(struct meta_client_op *op, rt_err err, const struct proto_zk_reply *reply) {
    struct bookie_registrar *registrar = rt_container_of(op, struct bookie_registrar, op);
    if (!is_answer(registrar, err)) return;
    if (err) return later(registrar);
    if (reply->body.stat.ephemeral_owner == meta_client_session_id(registrar->client))
        return step_run(registrar, STEP_REMOVE);
    uint64_t now = rt_loop_now(registrar->loop);
    if (!registrar->taken_ns) registrar->taken_ns = now;
    uint64_t limit_ms = 2 * registrar->timeout_ms + 10 * AGAIN_MS;
    if (now - registrar->taken_ns > limit_ms * RT_NS_PER_MS) {
        registrar->step = STEP_IDLE;
        return fail(registrar, RT_EEXIST, "another bookie is registered with this id");
    }
    later(registrar);
}

static void create_done(struct meta_client_op *op, rt_err err, const struct proto_zk_reply *reply) {
    struct bookie_registrar *registrar = rt_container_of(op, struct bookie_registrar, op);
    (void)reply;
    if (!is_answer(registrar, err)) return;
    if (err && op->zk_err == PROTO_ZK_ERR_NODEEXISTS) return step_run(registrar, STEP_OWNER);
    if (err) return refused(registrar, "the bookie cannot be registered", op->zk_err);
    step_run(registrar, STEP_REMOVE);
}

static void parent_done(struct meta_client_op *op, rt_err err, const struct proto_zk_reply *reply) {
    struct bookie_registrar *registrar = rt_container_of(op, struct bookie_registrar, op);
    (void)reply;
    if (!is_answer(registrar, err)) return;
    if (err && op->zk_err == PROTO_ZK_ERR_NONODE)
        return refused(registrar, "the metadata is not initialised (run 'geminga init')",
                       op->zk_err);
    if (err && op->zk_err != PROTO_ZK_ERR_NODEEXISTS)
        return refused(registrar, "available cannot be created", op->zk_err);
    step_run(registrar, registrar->step == STEP_AVAILABLE ? STEP_READONLY : STEP_CREATE);
}

static void parent_create(struct bookie_registrar *registrar, const char *name) {
    char path[PATH_SIZE];
    snprintf(path, sizeof(path), "%.400s/%s", registrar->root, name);
    meta_client_create(registrar->client, &registrar->op, rt_bytes_of(path), (struct rt_bytes){0},
                       0, NULL, parent_done);
}

static void step_run(struct bookie_registrar *registrar, enum step step) {
    char path[PATH_SIZE];
    registrar->step = step;
    if (registrar->closed) return;
    struct rt_bytes own = rt_bytes_of(path_of(registrar, path, registrar->making_read_only));
    switch (step) {
    case STEP_AVAILABLE: parent_create(registrar, "available"); break;
    case STEP_READONLY: parent_create(registrar, "available/readonly"); break;
    case STEP_CREATE:
        meta_client_create(registrar->client, &registrar->op, own, rt_buf_bytes(&registrar->info),
                           PROTO_ZK_MODE_EPHEMERAL, NULL, create_done);
        break;
    case STEP_OWNER:
        meta_client_exists(registrar->client, &registrar->op, own, NULL, owner_done);
        break;
    case STEP_REMOVE:
        meta_client_delete(registrar->client, &registrar->op,
                           rt_bytes_of(path_of(registrar, path, !registrar->making_read_only)), -1,
                           remove_done);
        break;
    case STEP_IDLE: break;
    }
}

// SESSIONS

static void lose(struct bookie_registrar *registrar) {
    bool was = registrar->is_registered;
    registrar->is_registered = registrar->is_connected = false;
    if (was && !registrar->closed) registrar->events->lost(registrar->events);
}

static void all_closed(struct bookie_registrar *registrar) {
    rt_defer(registrar->loop, registrar->closed);
    rt_timer_cancel(&registrar->again);
    rt_buf_fini(&registrar->info);
    rt_free(registrar->servers);
    rt_free(registrar->root);
    rt_free(registrar->id);
    rt_free(registrar);
}

static void client_closed(struct rt_task *task) {
    struct bookie_registrar *registrar =
        rt_container_of(task, struct bookie_registrar, client_closed);
    struct rt_why why = {{0}};
    registrar->client = NULL;
    registrar->is_reopening = false;
    if (registrar->closed) return all_closed(registrar);
    registrar->step = STEP_IDLE;
    rt_err err = client_open(registrar, &why);
    if (err) fail(registrar, err, why.text);
}

static void on_state(struct meta_client *client, enum meta_client_state state) {
    struct bookie_registrar *registrar =
        rt_container_of(meta_client_owner(client), struct bookie_registrar, owner);
    switch (state) {
    case META_CLIENT_CONNECTED:
        registrar->is_connected = true;
        begin(registrar);
        break;
    case META_CLIENT_DISCONNECTED: registrar->is_connected = false; break;
    case META_CLIENT_EXPIRED:
        rt_log_warn("bookie", "the metadata session expired; registers again id=%s", registrar->id);
        lose(registrar);
        if (registrar->closed) break;
        registrar->is_reopening = true;
        rt_task_init(&registrar->client_closed, client_closed, "bookie.session_closed");
        meta_client_close(client, &registrar->client_closed);
        break;
    case META_CLIENT_AUTH_FAILED:
        fail(registrar, RT_EACCESS, "the metadata refuses the authentication");
        break;
    default: break;
    }
}

static rt_err client_open(struct bookie_registrar *registrar, struct rt_why *why) {
    const struct meta_client_options options = {.servers = registrar->servers,
                                                .session_timeout_ms =
                                                    (int32_t)registrar->timeout_ms,
                                                .on_state = on_state,
                                                .owner = &registrar->owner};
    return meta_client_open(registrar->loop, &options, &registrar->client, why);
}

rt_err bookie_registrar_open(struct rt_loop *loop, const struct bookie_registrar_options *options,
                             struct bookie_registrar **registrar, struct rt_why *why) {
    struct bookie_registrar *self = RT_NEW(struct bookie_registrar);
    self->loop = loop;
    self->servers = rt_strdup(options->servers);
    self->root = rt_strdup(options->root);
    self->id = rt_strdup(options->bookie_id);
    self->timeout_ms = options->session_timeout_ms;
    self->events = options->events;
    self->wants_read_only = options->read_only;
    self->owner.name = "bookie";
    rt_buf_append(&self->info, options->info);
    rt_timer_init(&self->again, loop, again_fire, "bookie.register_again");
    *registrar = self;
    return client_open(self, why);
}

void bookie_registrar_set_read_only(struct bookie_registrar *registrar, bool read_only) {
    registrar->wants_read_only = read_only;
    begin(registrar);
}

bool bookie_registrar_is_registered(const struct bookie_registrar *registrar) {
    return registrar->is_registered;
}

struct meta_client *bookie_registrar_client(struct bookie_registrar *registrar) {
    return registrar->closed || registrar->is_reopening ? NULL : registrar->client;
}

void bookie_registrar_close(struct bookie_registrar *registrar, struct rt_task *closed) {
    registrar->closed = closed;
    if (!registrar->client) return all_closed(registrar);
    if (registrar->is_reopening) return;  // after an expiry: client_closed goes on
    rt_task_init(&registrar->client_closed, client_closed, "bookie.session_closed");
    meta_client_close(registrar->client, &registrar->client_closed);
}
