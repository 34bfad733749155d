// What the production client and the production server must agree on beyond the workload of the
// cluster tests: a chroot, multi, watches of all kinds, and their life over a crash of the server.
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/sim/meta/world.h"

enum { CALLS_MAX = 1024 };

struct visitor {
    struct world world;
    struct rt_sim_program program;
    struct rt_loop *loop;
    struct meta_client_owner owner;
    struct meta_client *client;
    struct meta_client_watch watch, everything;
    struct meta_client_op op;
    struct rt_task task, closed;
    struct proto_zk_request request;
    struct meta_client_watch *with;
    bool done, over;
    rt_err err;
    int32_t zk_err;
    char path[64], names[128], heard[CALLS_MAX];
};

static void note(struct visitor *self, const char *who, const struct proto_zk_event *event) {
    size_t used = strlen(self->heard);
    snprintf(self->heard + used, CALLS_MAX - used, "%s:%s %.*s;", who,
             proto_zk_event_name(event->type), (int)event->path.size,
             (const char *)event->path.data);
}

static void watch_fired(struct meta_client_watch *watch, const struct proto_zk_event *event) {
    note(rt_container_of(watch, struct visitor, watch), "one", event);
}

static void everything_fired(struct meta_client_watch *watch, const struct proto_zk_event *event) {
    note(rt_container_of(watch, struct visitor, everything), "all", event);
}

// OPENING

static void boot(struct rt_sim_program *program, struct rt_machine *machine) {
    struct visitor *self = rt_container_of(program, struct visitor, program);
    self->loop = rt_machine_loop(machine, 0);
}

static void turn(struct visitor *self, void (*run)(struct rt_task *task)) {
    rt_task_init(&self->task, run, "test turn");
    rt_post(self->loop, &self->task);
    rt_sim_run_for(self->world.sim, 10 * RT_NS_PER_MS);
}

static void open_run(struct rt_task *task) {
    struct visitor *self = rt_container_of(task, struct visitor, task);
    struct rt_why why = {{0}};
    struct meta_client_options options = {
        .servers = "m1,m2,m3/app", .session_timeout_ms = 6000, .owner = &self->owner};
    rt_err err = meta_client_open(self->loop, &options, &self->client, &why);
    cr_assert(!err, "%s", why.text);
}

static void visitor_open(struct visitor *self) {
    world_open(&self->world,
               &(struct world_options){.seed = 5, .nodes = 3, .snapshot_entries = 10000});
    self->program.boot = boot;
    self->owner.name = "visitor";
    self->watch.fired = watch_fired;
    self->everything.fired = everything_fired;
    rt_sim_start(rt_sim_node_add(self->world.sim, "visitor", 1, &self->program));
    rt_sim_run_for(self->world.sim, 5 * RT_NS_PER_S);
    turn(self, open_run);
    rt_sim_run_for(self->world.sim, 5 * RT_NS_PER_S);
    cr_assert_eq(meta_client_state(self->client), META_CLIENT_CONNECTED);
}

static void closed_run(struct rt_task *task) {
    rt_container_of(task, struct visitor, closed)->over = true;
}

static void close_run(struct rt_task *task) {
    struct visitor *self = rt_container_of(task, struct visitor, task);
    rt_task_init(&self->closed, closed_run, "test closed");
    meta_client_close(self->client, &self->closed);
}

static void visitor_close(struct visitor *self) {
    turn(self, close_run);
    rt_sim_run_for(self->world.sim, 5 * RT_NS_PER_S);
    cr_assert(self->over);
    world_close(&self->world);
}

// ASKING

static void op_done(struct meta_client_op *op, rt_err err, const struct proto_zk_reply *reply) {
    struct visitor *self = rt_container_of(op, struct visitor, op);
    self->done = true;
    self->err = err;
    self->zk_err = op->zk_err;
    self->path[0] = self->names[0] = '\0';
    if (err || !reply) return;
    const struct proto_zk_body *body = reply->result_count ? &reply->results[0].body : &reply->body;
    snprintf(self->path, sizeof(self->path), "%.*s", (int)body->path.size,
             (const char *)body->path.data);
    for (size_t i = 0; i < reply->body.names.count; i++) {
        size_t used = strlen(self->names);
        snprintf(self->names + used, sizeof(self->names) - used, "%.*s;",
                 (int)reply->body.names.items[i].size,
                 (const char *)reply->body.names.items[i].data);
    }
}

static void ask_run(struct rt_task *task) {
    struct visitor *self = rt_container_of(task, struct visitor, task);
    meta_client_send(self->client, &self->op, &self->request, self->with, op_done);
}

// Of op->opcode, path and what else is set; waits for the answer.
static rt_err ask(struct visitor *self, const struct proto_zk_op *op,
                  struct meta_client_watch *watch) {
    self->request.op = *op;
    self->with = watch;
    self->done = false;
    turn(self, ask_run);
    for (unsigned i = 0; i < 200 && !self->done; i++)
        rt_sim_run_for(self->world.sim, 100 * RT_NS_PER_MS);
    cr_assert(self->done, "no answer");
    rt_sim_run_for(self->world.sim, 500 * RT_NS_PER_MS);
    return self->err;
}

static const struct proto_zk_acl open_acl = {
    .perms = PROTO_ZK_PERM_ALL,
    .id = {.scheme = {(const uint8_t *)"world", 5}, .id = {(const uint8_t *)"anyone", 6}}};

static struct proto_zk_op creation(const char *path, int32_t flags) {
    return (struct proto_zk_op){.opcode = PROTO_ZK_OP_CREATE2,
                                .create = {.path = rt_bytes_of(path),
                                           .data = RT_BYTES_LITERAL("v"),
                                           .acl = {.items = &open_acl, .count = 1},
                                           .flags = flags}};
}

static void create(struct visitor *self, const char *path, int32_t flags) {
    struct proto_zk_op op = creation(path, flags);
    rt_err err = ask(self, &op, NULL);
    cr_assert(!err, "%s: %s", path, proto_zk_err_name(self->zk_err));
}

static void set(struct visitor *self, const char *path) {
    struct proto_zk_op op = {
        .opcode = PROTO_ZK_OP_SET_DATA,
        .set_data = {.path = rt_bytes_of(path), .data = RT_BYTES_LITERAL("w"), .version = -1}};
    cr_assert_not(ask(self, &op, NULL));
}

static void read_with(struct visitor *self, int32_t opcode, const char *path) {
    struct proto_zk_op op = {.opcode = opcode, .path = rt_bytes_of(path)};
    rt_err err = ask(self, &op, &self->watch);
    cr_assert(!err || self->zk_err == PROTO_ZK_ERR_NONODE);
}

static void typed(struct visitor *self, int32_t opcode, const char *path, int32_t type,
                  struct meta_client_watch *watch) {
    struct proto_zk_op op = {.opcode = opcode, .watch = {.path = rt_bytes_of(path), .type = type}};
    cr_assert_not(ask(self, &op, watch));
}

static void expect_heard(struct visitor *self, const char *expected) {
    cr_expect_str_eq(self->heard, expected, "heard %s\nnot %s", self->heard, expected);
    self->heard[0] = '\0';
}

// The root of a chroot is not there by itself.
Test(sim_meta_client, lives_in_its_chroot) {
    static struct visitor self;
    visitor_open(&self);
    create(&self, "/", PROTO_ZK_MODE_PERSISTENT);
    cr_expect_str_eq(self.path, "/");
    create(&self, "/e-", PROTO_ZK_MODE_EPHEMERAL_SEQUENTIAL);
    cr_expect_str_eq(self.path, "/e-0000000000");
    struct proto_zk_op ephemerals = {.opcode = PROTO_ZK_OP_GET_EPHEMERALS,
                                     .path = RT_BYTES_LITERAL("/")};
    cr_assert_not(ask(&self, &ephemerals, NULL));
    cr_expect_str_eq(self.names, "/e-0000000000;");
    const struct proto_zk_op parts[] = {creation("/m", 0), creation("/m/n", 0)};
    self.request.ops = parts;
    self.request.op_count = 2;
    struct proto_zk_op multi = {.opcode = PROTO_ZK_OP_MULTI};
    cr_assert_not(ask(&self, &multi, NULL));
    cr_expect_str_eq(self.path, "/m");
    cr_assert_eq(ask(&self, &multi, NULL), RT_EREFUSED);
    cr_expect_eq(self.zk_err, PROTO_ZK_ERR_NODEEXISTS);
    self.request.op_count = 0;
    visitor_close(&self);
}

Test(sim_meta_client, watches_outlive_the_server) {
    static struct visitor self;
    visitor_open(&self);
    create(&self, "/", PROTO_ZK_MODE_PERSISTENT);
    create(&self, "/a", PROTO_ZK_MODE_PERSISTENT);
    typed(&self, PROTO_ZK_OP_ADD_WATCH, "/", PROTO_ZK_ADD_PERSISTENT_RECURSIVE, &self.everything);
    read_with(&self, PROTO_ZK_OP_GET_DATA, "/a");
    read_with(&self, PROTO_ZK_OP_EXISTS, "/b");
    unsigned server = (unsigned)(meta_client_server(self.client)[1] - '1');
    rt_sim_crash(self.world.sim_nodes[server], RT_SIM_KILL);
    rt_sim_run_for(self.world.sim, 20 * RT_NS_PER_S);
    cr_assert_eq(meta_client_state(self.client), META_CLIENT_CONNECTED);
    expect_heard(&self, "");
    set(&self, "/a");
    create(&self, "/b", PROTO_ZK_MODE_PERSISTENT);
    set(&self, "/a");
    expect_heard(&self,
                 "one:NodeDataChanged /a;all:NodeDataChanged /a;one:NodeCreated /b;"
                 "all:NodeCreated /b;all:NodeDataChanged /a;");
    typed(&self, PROTO_ZK_OP_REMOVE_WATCHES, "/", PROTO_ZK_WATCH_PERSISTENT_RECURSIVE, NULL);
    expect_heard(&self, "all:PersistentWatchRemoved /;");
    set(&self, "/a");
    expect_heard(&self, "");
    visitor_close(&self);
}
