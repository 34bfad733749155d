// Random operations over connections that break at random, against a tree of a few nodes that
// others change too. Every operation ends once and in order; who watches a node hears of each
// change before seeing it, and of the last one in any case.
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/unit/meta_client/stage.h"

enum { KEYS = 6, SLOTS = 12, STEPS = 3000, SEEDS = 40 };

struct world;

// A node: as it is, what the current connection watches, and what the client believes.
struct key {
    struct meta_client_watch watch;
    struct world *world;
    bool exists, watched;
    int64_t mzxid;
    bool arming, armed, seen_exists;
    int64_t seen_mzxid;
    unsigned calls;
};

struct slot {
    struct meta_client_op op;
    struct rt_task start;
    struct world *world;
    struct proto_zk_request request;
    struct key *key;
    char path[8];
    bool busy, arms;
    uint64_t number;
};

struct world {
    struct stage stage;
    struct rt_random random;
    struct key keys[KEYS];
    struct slot slots[SLOTS];
    struct meta_client_watch everything;
    bool watches_everything;  // the current connection
    unsigned everything_calls;
    struct fake_conn *conn;  // the current one
    const char *chroot;
    struct rt_task change[STAGE_SERVERS], change_all;
    bool changing[STAGE_SERVERS];
    uint64_t started, done, lost;
};

static struct world *world_of(struct fake_conn *conn) {
    return rt_container_of(fake_of(conn)->stage, struct world, stage);
}

// THE SERVERS

static void change(struct world *world, struct key *key, bool exists) {
    int32_t event = PROTO_ZK_EVENT_NODE_DATA_CHANGED;
    if (!key->exists) event = PROTO_ZK_EVENT_NODE_CREATED;
    if (!exists) event = PROTO_ZK_EVENT_NODE_DELETED;
    key->exists = exists;
    key->mzxid = ++world->stage.zxid;
    bool told = key->watched || world->watches_everything;
    key->watched = false;
    char path[16];
    snprintf(path, sizeof(path), "%s/k%u", world->chroot, (unsigned)(key - world->keys));
    if (told && world->conn) fake_conn_event(world->conn, event, rt_bytes_of(path));
}

static struct key *key_of(struct world *world, struct rt_bytes path) {
    unsigned index = (unsigned)(path.data[path.size - 1] - '0');
    cr_assert_lt(index, KEYS);
    return &world->keys[index];
}

static void set_watches(struct world *world, const struct proto_zk_request *request) {
    const struct proto_zk_set_watches *set = &request->op.set_watches;
    if (request->op.opcode == PROTO_ZK_OP_SET_WATCHES2)
        world->watches_everything = set->persistent_recursive.count == 1;
    for (size_t i = 0; i < set->data.count; i++) {
        struct key *key = key_of(world, set->data.items[i]);
        int32_t event =
            key->exists ? PROTO_ZK_EVENT_NODE_DATA_CHANGED : PROTO_ZK_EVENT_NODE_DELETED;
        key->watched = key->mzxid <= set->relative_zxid;
        if (!key->watched) fake_conn_event(world->conn, event, set->data.items[i]);
    }
    for (size_t i = 0; i < set->exist.count; i++) {
        struct key *key = key_of(world, set->exist.items[i]);
        if (key->exists)
            fake_conn_event(world->conn, PROTO_ZK_EVENT_NODE_CREATED, set->exist.items[i]);
        else
            key->watched = true;
    }
}

static int32_t key_serve(struct world *world, struct key *key, const struct proto_zk_op *op) {
    bool is_create = op->opcode == PROTO_ZK_OP_CREATE;
    bool is_read = op->opcode == PROTO_ZK_OP_GET_DATA || op->opcode == PROTO_ZK_OP_EXISTS;
    if (is_read && op->read.watch && (key->exists || op->opcode == PROTO_ZK_OP_EXISTS))
        key->watched = true;
    if (is_create && key->exists) return PROTO_ZK_ERR_NODEEXISTS;
    if (!is_create && !key->exists) return PROTO_ZK_ERR_NONODE;
    if (!is_read) change(world, key, op->opcode != PROTO_ZK_OP_DELETE);
    return PROTO_ZK_ERR_OK;
}

static void serve(struct fake_conn *conn, const struct proto_zk_request *request) {
    struct world *world = world_of(conn);
    const struct proto_zk_op *op = &request->op;
    struct proto_zk_reply reply = {.header.xid = request->xid};
    if (conn != world->conn) return;
    if (op->opcode == PROTO_ZK_OP_ADD_WATCH) {
        world->watches_everything = true;
    } else if (op->opcode == PROTO_ZK_OP_SET_WATCHES || op->opcode == PROTO_ZK_OP_SET_WATCHES2) {
        set_watches(world, request);
    } else if (op->opcode != PROTO_ZK_OP_CLOSE_SESSION) {
        struct key *key = key_of(world, op->path);
        reply.header.err = key_serve(world, key, op);
        reply.body.stat.mzxid = key->mzxid;
        reply.body.path = op->path;
    }
    reply.header.zxid = world->stage.zxid;
    fake_conn_reply(conn, &reply, op->opcode);
}

static void attached(struct fake_conn *conn, bool is_attached) {
    struct world *world = world_of(conn);
    if (!is_attached && world->conn != conn) return;
    world->conn = is_attached ? conn : NULL;
    world->watches_everything = false;
    for (unsigned i = 0; i < KEYS; i++) world->keys[i].watched = false;
}

// By somebody else, in a turn of the server that the client is connected to.
static void others_change(struct world *world, unsigned server) {
    struct key *key = &world->keys[rt_random_below(&world->random, KEYS)];
    world->changing[server] = false;
    if (world->conn && fake_of(world->conn) != &world->stage.fakes[server]) return;
    change(world, key, key->exists ? rt_random_chance(&world->random, 700000) : true);
}

static void first_changes(struct rt_task *task) {
    others_change(rt_container_of(task, struct world, change[0]), 0);
}

static void second_changes(struct rt_task *task) {
    others_change(rt_container_of(task, struct world, change[1]), 1);
}

// THE CLIENT

static void key_fired(struct meta_client_watch *watch, const struct proto_zk_event *event) {
    struct key *key = rt_container_of(watch, struct key, watch);
    if (event->type == PROTO_ZK_EVENT_NONE) return;
    cr_assert(key->armed, "called, but not set");
    key->armed = false;
    key->calls++;
}

static void everything_fired(struct meta_client_watch *watch, const struct proto_zk_event *event) {
    struct world *world = rt_container_of(watch, struct world, everything);
    if (event->type != PROTO_ZK_EVENT_NONE) world->everything_calls++;
}

static void read_done(struct slot *slot, rt_err err, const struct proto_zk_reply *reply) {
    struct key *key = slot->key;
    bool is_absent = err == RT_EREFUSED && slot->op.zk_err == PROTO_ZK_ERR_NONODE;
    if (slot->arms) key->arming = false;
    if (err && !is_absent) return;
    int64_t mzxid = is_absent ? 0 : reply->body.stat.mzxid;
    if (slot->arms) {
        key->armed = !is_absent || slot->op.opcode == PROTO_ZK_OP_EXISTS;
        key->seen_exists = !is_absent;
        key->seen_mzxid = mzxid;
    } else if (key->armed) {
        cr_assert_eq(key->seen_exists, !is_absent, "seen before its event");
        cr_assert_eq(key->seen_mzxid, mzxid, "seen before its event");
    }
}

static void slot_done(struct meta_client_op *op, rt_err err, const struct proto_zk_reply *reply) {
    struct slot *slot = rt_container_of(op, struct slot, op);
    struct world *world = slot->world;
    cr_assert(slot->busy, "done twice");
    cr_assert(!err || err == RT_EREFUSED || err == RT_ERESET, "%s", rt_err_name(err));
    cr_assert_eq(slot->number, world->done, "out of order");
    world->done++;
    if (err == RT_ERESET) world->lost++;
    slot->busy = false;
    if (op->opcode == PROTO_ZK_OP_GET_DATA || op->opcode == PROTO_ZK_OP_EXISTS)
        read_done(slot, err, reply);
}

static void slot_start(struct rt_task *task) {
    struct slot *slot = rt_container_of(task, struct slot, start);
    struct key *key = slot->key;
    int32_t opcode = slot->request.op.opcode;
    bool is_read = opcode == PROTO_ZK_OP_GET_DATA || opcode == PROTO_ZK_OP_EXISTS;
    slot->arms = is_read && !key->arming && !key->armed;
    if (slot->arms) key->arming = true;
    slot->number = slot->world->started++;
    meta_client_send(slot->world->stage.client, &slot->op, &slot->request,
                     slot->arms ? &key->watch : NULL, slot_done);
}

// WHAT HAPPENS

static void operation(struct world *world) {
    static const int32_t opcodes[] = {
        PROTO_ZK_OP_GET_DATA, PROTO_ZK_OP_EXISTS, PROTO_ZK_OP_GET_DATA, PROTO_ZK_OP_EXISTS,
        PROTO_ZK_OP_SET_DATA, PROTO_ZK_OP_CREATE, PROTO_ZK_OP_DELETE};
    struct slot *slot = &world->slots[rt_random_below(&world->random, SLOTS)];
    if (slot->busy) return;
    unsigned index = (unsigned)rt_random_below(&world->random, KEYS);
    slot->busy = true;
    slot->key = &world->keys[index];
    snprintf(slot->path, sizeof(slot->path), "/k%u", index);
    slot->request = (struct proto_zk_request){
        .op = {.opcode =
                   opcodes[rt_random_below(&world->random, sizeof(opcodes) / sizeof(opcodes[0]))],
               .path = rt_bytes_of(slot->path)}};
    rt_task_init(&slot->start, slot_start, "test start");
    rt_post(world->stage.loop, &slot->start);
}

static void fault(struct world *world) {
    struct stage *stage = &world->stage;
    struct fake *fake = &stage->fakes[rt_random_below(&world->random, STAGE_SERVERS)];
    switch (rt_random_below(&world->random, 5)) {
    case 0: rt_sim_cut(stage->sim, fake->node, stage->client_node); break;
    case 1: rt_sim_cut(stage->sim, stage->client_node, fake->node); break;
    case 2: rt_sim_half_open(stage->sim, stage->client_node, fake->node); break;
    default: rt_sim_reset_connections(stage->sim, stage->client_node, fake->node);
    }
}

static void change_post(struct world *world) {
    unsigned server = (unsigned)rt_random_below(&world->random, STAGE_SERVERS);
    if (world->changing[server]) return;
    world->changing[server] = true;
    fake_post(&world->stage.fakes[server], &world->change[server]);
}

static void step(struct world *world) {
    uint64_t draw = rt_random_below(&world->random, 1000);
    uint64_t us = rt_random_below(&world->random, 300);
    if (draw < 700) operation(world);
    if (draw >= 700 && draw < 950) change_post(world);
    if (draw >= 950 && draw < 980) fault(world);
    if (draw >= 980) rt_sim_heal_all(world->stage.sim);
    if (draw >= 970) us = rt_random_below(&world->random, 1500000);
    rt_sim_run_for(world->stage.sim, us * RT_NS_PER_US);
}

static void world_init(struct world *world, uint64_t seed) {
    struct stage *stage = &world->stage;
    *world = (struct world){.everything = {.fired = everything_fired}};
    rt_random_seed(&world->random, seed);
    stage_init(stage);
    world->chroot = seed % 2 ? "" : "/c";
    stage->options.servers = seed % 2 ? "s1,s2" : "s1,s2/c";
    for (unsigned i = 0; i < STAGE_SERVERS; i++) {
        stage->fakes[i].serve = serve;
        stage->fakes[i].attached = attached;
    }
    rt_task_init(&world->change[0], first_changes, "test change");
    rt_task_init(&world->change[1], second_changes, "test change");
    for (unsigned i = 0; i < KEYS; i++) {
        world->keys[i].world = world;
        world->keys[i].watch.fired = key_fired;
    }
    for (unsigned i = 0; i < SLOTS; i++) world->slots[i].world = world;
    stage_open(stage);
    struct proto_zk_request request = {
        .op = {
            .opcode = PROTO_ZK_OP_ADD_WATCH,
            .watch = {.path = RT_BYTES_LITERAL("/"), .type = PROTO_ZK_ADD_PERSISTENT_RECURSIVE}}};
    stage_send(stage, 0, &request, &world->everything);
    cr_assert(stage->ops[0].dones == 1 && !stage->ops[0].err);
}

static void all_change(struct rt_task *task) {
    struct world *world = rt_container_of(task, struct world, change_all);
    cr_assert(world->watches_everything);
    for (unsigned i = 0; i < KEYS; i++) change(world, &world->keys[i], !world->keys[i].exists);
}

// Every watch that the client believes in is alive, and has missed nothing.
static void world_check(struct world *world) {
    bool armed[KEYS];
    unsigned everything_calls = world->everything_calls;
    for (unsigned i = 0; i < KEYS; i++) {
        struct key *key = &world->keys[i];
        armed[i] = key->armed;
        key->calls = 0;
        cr_assert_not(key->arming);
        if (!key->armed) continue;
        cr_assert_eq(key->seen_exists, key->exists, "a change of key %u was missed", i);
        if (key->exists) cr_assert_eq(key->seen_mzxid, key->mzxid, "key %u: change missed", i);
    }
    rt_task_init(&world->change_all, all_change, "test change");
    fake_post(stage_server(&world->stage), &world->change_all);
    stage_run(&world->stage, 100);
    for (unsigned i = 0; i < KEYS; i++) cr_assert_eq(world->keys[i].calls, armed[i], "key %u", i);
    cr_assert_eq(world->everything_calls, everything_calls + KEYS);
}

static uint64_t world_run(uint64_t seed) {
    struct world *world = RT_NEW(struct world);
    struct stage *stage = &world->stage;
    world_init(world, seed);
    for (unsigned i = 0; i < STEPS; i++) {
        step(world);
        if (rt_sim_failed(stage->sim)) break;
    }
    rt_sim_heal_all(stage->sim);
    stage_run(stage, 20000);
    cr_assert_eq(world->started, world->done);
    cr_assert_gt(world->done, STEPS / 4);
    cr_assert_eq(meta_client_state(stage->client), META_CLIENT_CONNECTED);
    world_check(world);
    uint64_t lost = world->lost;
    stage_fini(stage);
    rt_free(world);
    return lost;
}

Test(meta_client_random, operations_end_once_in_order_and_watches_miss_nothing) {
    uint64_t lost = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) lost += world_run(seed);
    cr_assert_gt(lost, 10 * SEEDS, "only %lu were lost", (unsigned long)lost);
}
