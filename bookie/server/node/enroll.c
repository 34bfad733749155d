#include "bookie/server/node/enroll.h"

#include <stdio.h>
#include <string.h>

#include "runtime/log.h"

enum { PATH_SIZE = 1024 };

// Each step asks one thing and goes on with its answer. A connection that breaks begins them anew:
// all of them may be repeated.
enum step {
    STEP_IDLE,
    STEP_INSTANCE,
    STEP_COOKIE,
    STEP_STAMP,
    STEP_PARENT,
    STEP_CREATE,
    STEP_OVER
};

struct bookie_enroll {
    struct rt_machine *machine;
    struct rt_loop *loop;
    const struct bookie_config *config;
    struct bookie_cookies *cookies;
    struct bookie_enroll_events *events;
    struct meta_client *client;
    struct meta_client_owner owner;
    struct meta_client_op op;
    struct rt_work work;
    struct rt_task closed;
    struct rt_timer again;
    enum step step;
    struct rt_arena arena;  // what came from the metadata
    struct rt_bytes instance;
    bool has_remote, is_closing, has_waited;
    int32_t version;  // of the cookie in the metadata
    struct proto_cookie remote;
    struct bookie_cookie_verdict verdict;
    rt_err err;
    struct rt_why why;
};

static void step_run(struct bookie_enroll *enroll, enum step step);

static void all_closed(struct rt_task *task) {
    struct bookie_enroll *enroll = rt_container_of(task, struct bookie_enroll, closed);
    struct bookie_enroll_events *events = enroll->events;
    struct rt_why why = enroll->why;
    rt_err err = enroll->err;
    rt_timer_cancel(&enroll->again);
    rt_arena_fini(&enroll->arena);
    rt_free(enroll);
    events->done(events, err, why.text);
}

static void finish(struct bookie_enroll *enroll, rt_err err) {
    if (enroll->is_closing) return;
    enroll->is_closing = true;
    enroll->step = STEP_OVER;
    enroll->err = err;
    rt_task_init(&enroll->closed, all_closed, "bookie.enrolled");
    meta_client_close(enroll->client, &enroll->closed);
}

static const char *path_of(struct bookie_enroll *enroll, char path[PATH_SIZE], const char *name) {
    struct rt_bytes id = enroll->cookies->own.bookie;
    snprintf(path, PATH_SIZE, "%.400s/%s", enroll->config->root, name);
    size_t size = strlen(path);
    if (path[size - 1] == '/')
        snprintf(path + size, PATH_SIZE - size, "%.*s", (int)id.size, (const char *)id.data);
    return path;
}

static void again_fire(struct rt_timer *timer) {
    step_run(rt_container_of(timer, struct bookie_enroll, again), STEP_INSTANCE);
}

// What is not an answer: the connection broke, or the session is over. True: nothing more to do
// here.
static bool is_no_answer(struct bookie_enroll *enroll, rt_err err) {
    if (enroll->is_closing) return true;
    if (!err || err == RT_EREFUSED) return false;
    enroll->step = STEP_IDLE;
    if (err == RT_ERESET)
        rt_timer_after(&enroll->again, 100 * RT_NS_PER_MS);
    else
        finish(enroll, rt_why_set(&enroll->why, err, "metadata at %s: %s", enroll->config->servers,
                                  rt_err_text(err)));
    return true;
}

static void refused(struct bookie_enroll *enroll, const char *what, int32_t zk_err) {
    finish(enroll, rt_why_set(&enroll->why, RT_EIO, "metadata at %s: %s: %s",
                              enroll->config->servers, what, proto_zk_err_text(zk_err)));
}

// STEPS, last first

static void create_done(struct meta_client_op *op, rt_err err, const struct proto_zk_reply *reply) {
    struct bookie_enroll *enroll = rt_container_of(op, struct bookie_enroll, op);
    (void)reply;
    if (is_no_answer(enroll, err)) return;
    // Created by an attempt whose answer was lost: the comparison decides.
    if (err && (op->zk_err == PROTO_ZK_ERR_NODEEXISTS || op->zk_err == PROTO_ZK_ERR_BADVERSION))
        return step_run(enroll, STEP_INSTANCE);
    if (err) return refused(enroll, "the cookie cannot be written", op->zk_err);
    finish(enroll, RT_OK);
}

static void cookie_create(struct bookie_enroll *enroll) {
    char path[PATH_SIZE];
    struct rt_buf text = {0};
    proto_cookie_encode(&enroll->cookies->own, &text);
    struct rt_bytes name = rt_bytes_of(path_of(enroll, path, "cookies/"));
    if (enroll->has_remote)
        meta_client_set(enroll->client, &enroll->op, name, rt_buf_bytes(&text), enroll->version,
                        create_done);
    else
        meta_client_create(enroll->client, &enroll->op, name, rt_buf_bytes(&text), 0, NULL,
                           create_done);
    rt_buf_fini(&text);
}

static void parent_done(struct meta_client_op *op, rt_err err, const struct proto_zk_reply *reply) {
    struct bookie_enroll *enroll = rt_container_of(op, struct bookie_enroll, op);
    (void)reply;
    if (is_no_answer(enroll, err)) return;
    if (err && op->zk_err == PROTO_ZK_ERR_NONODE) {
        RT_IGNORE(rt_why_set(&enroll->why, RT_ENOTFOUND,
                             "metadata at %s has no %s: run 'geminga init' first",
                             enroll->config->servers, enroll->config->root));
        return finish(enroll, RT_ENOTFOUND);
    }
    if (err && op->zk_err != PROTO_ZK_ERR_NODEEXISTS)
        return refused(enroll, "cookies cannot be created", op->zk_err);
    step_run(enroll, STEP_CREATE);
}

static void parent_create(struct bookie_enroll *enroll) {
    char path[PATH_SIZE];
    meta_client_create(enroll->client, &enroll->op, rt_bytes_of(path_of(enroll, path, "cookies")),
                       (struct rt_bytes){0}, 0, NULL, parent_done);
}

static void stamp_run(struct rt_work *work) {
    struct bookie_enroll *enroll = rt_container_of(work, struct bookie_enroll, work);
    enroll->err =
        bookie_cookies_stamp_now(enroll->machine, enroll->cookies, &enroll->verdict, &enroll->why);
}

static void stamp_done(struct rt_work *work) {
    struct bookie_enroll *enroll = rt_container_of(work, struct bookie_enroll, work);
    if (enroll->err) return finish(enroll, enroll->err);
    if (!enroll->verdict.stamps_remote) return finish(enroll, RT_OK);
    step_run(enroll, STEP_PARENT);
}

static void judge(struct bookie_enroll *enroll) {
    rt_err err = bookie_cookies_judge(
        enroll->cookies, enroll->has_remote ? &enroll->remote : NULL, enroll->instance,
        enroll->config->values.allow_storage_expansion, &enroll->verdict, &enroll->why);
    if (err) return finish(enroll, err);
    if (!enroll->verdict.stamps_dirs && !enroll->verdict.stamps_remote)
        return finish(enroll, RT_OK);
    step_run(enroll, STEP_STAMP);
}

static void cookie_done(struct meta_client_op *op, rt_err err, const struct proto_zk_reply *reply) {
    struct bookie_enroll *enroll = rt_container_of(op, struct bookie_enroll, op);
    if (is_no_answer(enroll, err)) return;
    if (err && op->zk_err != PROTO_ZK_ERR_NONODE)
        return refused(enroll, "the cookie cannot be read", op->zk_err);
    enroll->has_remote = !err;
    if (!err) {
        struct rt_bytes text = rt_arena_copy(&enroll->arena, reply->body.data);
        enroll->version = reply->body.stat.version;
        err = proto_cookie_decode(text, &enroll->arena, &enroll->remote, &enroll->why);
        if (err) return finish(enroll, rt_why_prefix(&enroll->why, err, "cookie in the metadata"));
    }
    judge(enroll);
}

// A cluster without an instance is an old one: cookies then go without.
static void instance_done(struct meta_client_op *op, rt_err err,
                          const struct proto_zk_reply *reply) {
    struct bookie_enroll *enroll = rt_container_of(op, struct bookie_enroll, op);
    if (is_no_answer(enroll, err)) return;
    if (err && op->zk_err != PROTO_ZK_ERR_NONODE)
        return refused(enroll, "INSTANCEID cannot be read", op->zk_err);
    enroll->instance = err ? (struct rt_bytes){0} : rt_arena_copy(&enroll->arena, reply->body.data);
    step_run(enroll, STEP_COOKIE);
}

static void step_run(struct bookie_enroll *enroll, enum step step) {
    char path[PATH_SIZE];
    if (enroll->is_closing) return;
    enroll->step = step;
    switch (step) {
    case STEP_INSTANCE:
        meta_client_get(enroll->client, &enroll->op,
                        rt_bytes_of(path_of(enroll, path, "INSTANCEID")), NULL, instance_done);
        break;
    case STEP_COOKIE:
        meta_client_get(enroll->client, &enroll->op, rt_bytes_of(path_of(enroll, path, "cookies/")),
                        NULL, cookie_done);
        break;
    case STEP_STAMP:
        rt_work_submit(&enroll->work, enroll->loop, stamp_run, stamp_done, "bookie.stamp");
        break;
    case STEP_PARENT: parent_create(enroll); break;
    case STEP_CREATE: cookie_create(enroll); break;
    default: break;
    }
}

static void on_state(struct meta_client *client, enum meta_client_state state) {
    struct bookie_enroll *enroll =
        rt_container_of(meta_client_owner(client), struct bookie_enroll, owner);
    if (state == META_CLIENT_CONNECTED && enroll->step == STEP_IDLE &&
        !rt_timer_is_armed(&enroll->again))
        step_run(enroll, STEP_INSTANCE);
    if (state == META_CLIENT_DISCONNECTED && !enroll->has_waited && !enroll->is_closing) {
        enroll->has_waited = true;
        rt_log_warn("bookie", "waits for the metadata servers=%s", enroll->config->servers);
    }
    if (state == META_CLIENT_EXPIRED || state == META_CLIENT_AUTH_FAILED)
        finish(enroll, rt_why_set(&enroll->why, RT_EACCESS, "metadata at %s: the session is over",
                                  enroll->config->servers));
}

rt_err bookie_enroll_start(struct rt_machine *machine, struct rt_loop *loop,
                           const struct bookie_config *config, struct bookie_cookies *cookies,
                           struct bookie_enroll_events *events, struct bookie_enroll **enroll,
                           struct rt_why *why) {
    struct bookie_enroll *self = RT_NEW(struct bookie_enroll);
    *self = (struct bookie_enroll){.machine = machine,
                                   .loop = loop,
                                   .config = config,
                                   .cookies = cookies,
                                   .events = events,
                                   .owner.name = "bookie.enroll"};
    rt_timer_init(&self->again, loop, again_fire, "bookie.enroll_again");
    const struct meta_client_options options = {.servers = config->servers,
                                                .session_timeout_ms =
                                                    (int32_t)config->values.zk_timeout_ms,
                                                .on_state = on_state,
                                                .owner = &self->owner};
    rt_err err = meta_client_open(loop, &options, &self->client, why);
    if (err)
        rt_free(self);
    else
        *enroll = self;
    return err;
}

void bookie_enroll_stop(struct bookie_enroll *enroll) {
    finish(enroll, RT_ECLOSED);
}
