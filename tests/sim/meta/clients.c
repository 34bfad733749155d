// The workload: each client has one session at a time and a few requests in flight, on a handful of
// nodes that all clients share. Everything it does and is told goes into the history.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/meta/world.h"

static void lane_next(struct rt_timer *timer);
static void client_open(struct world_client *self);

static struct rt_bytes key_path(unsigned key, char path[16]) {
    snprintf(path, 16, "/k%u", key);
    return rt_bytes_of(path);
}

static struct rt_bytes value_text(uint64_t value, char text[24]) {
    snprintf(text, 24, "%llu", (unsigned long long)value);
    return rt_bytes_of(text);
}

static uint64_t number_in(struct rt_bytes text) {
    char copy[24] = "";
    size_t size = text.size < sizeof(copy) - 1 ? text.size : sizeof(copy) - 1;
    memcpy(copy, text.data, size);
    return strtoull(copy, NULL, 10);
}

// The parent of the sequential nodes; whoever misses it creates it, and outside the history.
static void parent_done(struct meta_client_op *op, rt_err err, const struct proto_zk_reply *reply) {
    struct world_client *self = rt_container_of(op, struct world_client, parent_op);
    (void)err;  // it is tried again whenever it is missed
    (void)reply;
    self->creates_parent = false;
}

static void parent_create(struct world_client *self) {
    if (self->creates_parent || self->stopping) return;
    self->creates_parent = true;
    meta_client_create(self->client, &self->parent_op, RT_BYTES_LITERAL("/e"), (struct rt_bytes){0},
                       PROTO_ZK_MODE_PERSISTENT, NULL, parent_done);
}

// ANSWERS

static enum history_result result_of(rt_err err, int32_t zk_err) {
    if (!err) return HISTORY_OK;
    if (err != RT_EREFUSED) return HISTORY_UNKNOWN;
    if (zk_err == PROTO_ZK_ERR_NONODE) return HISTORY_ABSENT;
    if (zk_err == PROTO_ZK_ERR_NODEEXISTS) return HISTORY_PRESENT;
    return HISTORY_OTHER;
}

// Rule 7: whoever watches a node hears of a change before seeing it.
static void watch_check(struct world_client *self, struct world_lane *lane) {
    struct world_key *key = &self->keys[lane->doing.key];
    bool seen = lane->doing.result == HISTORY_OK;
    if (lane->arms) {
        key->arming = false;
        key->armed = seen;
        key->mzxid = lane->doing.mzxid;
    } else if (key->armed && seen && lane->doing.mzxid > key->mzxid) {
        rt_sim_fail(self->world->sim, "client %u saw key %u change before its event", self->index,
                    lane->doing.key);
    }
    lane->arms = false;
}

static void lane_done(struct meta_client_op *op, rt_err err, const struct proto_zk_reply *reply) {
    struct world_lane *lane = rt_container_of(op, struct world_lane, op);
    struct world_client *self = lane->client;
    struct history_op *doing = &lane->doing;
    lane->busy = false;
    doing->ended_ns = rt_sim_now(self->world->sim);
    doing->result = result_of(err, op->zk_err);
    doing->answer = self->answers++;
    doing->session = self->sessions;
    if (reply) doing->zxid = reply->header.zxid;
    if (!err && doing->kind == HISTORY_READ) {
        doing->mzxid = reply->body.stat.mzxid;
        doing->value = number_in(reply->body.data);
    }
    if (!err && doing->kind == HISTORY_SEQUENCE)
        doing->sequence = number_in(rt_bytes_skip(reply->body.path, strlen("/e/s-")));
    if (doing->kind == HISTORY_READ) watch_check(self, lane);
    bool is_write = doing->kind != HISTORY_READ && doing->kind != HISTORY_SYNC;
    if (!err && is_write) self->acked++;
    history_add(&self->world->history, doing);
    if (doing->kind == HISTORY_SEQUENCE && doing->result == HISTORY_ABSENT) parent_create(self);
    if (self->stopping) return;
    uint64_t pause_us = rt_random_below(&self->world->random, 20000);
    rt_timer_after(&lane->pace, pause_us * RT_NS_PER_US);
}

// OPERATIONS

static void read_start(struct world_lane *lane) {
    struct world_client *self = lane->client;
    struct world_key *key = &self->keys[lane->doing.key];
    char path[16];
    lane->arms = !key->armed && !key->arming;
    if (lane->arms) key->arming = true;
    lane->busy = true;
    lane->doing.kind = HISTORY_READ;
    lane->doing.began_ns = rt_sim_now(self->world->sim);
    meta_client_get(self->client, &lane->op, key_path(lane->doing.key, path),
                    lane->arms ? &key->watch : NULL, lane_done);
}

static void synced(struct meta_client_op *op, rt_err err, const struct proto_zk_reply *reply) {
    struct world_lane *lane = rt_container_of(op, struct world_lane, op);
    if (err || lane->client->stopping) {
        lane_done(op, err, reply);
        return;
    }
    lane->doing.synced_ns = lane->doing.began_ns;
    read_start(lane);
}

static void write_start(struct world_lane *lane, struct rt_bytes path) {
    struct world_client *self = lane->client;
    char text[24];
    lane->doing.value = ++self->next_value * WORLD_CLIENTS_MAX + self->index;
    struct rt_bytes value = value_text(lane->doing.value, text);
    switch ((int)lane->doing.kind) {
    case HISTORY_SET: meta_client_set(self->client, &lane->op, path, value, -1, lane_done); break;
    case HISTORY_CREATE:
        meta_client_create(self->client, &lane->op, path, value, PROTO_ZK_MODE_PERSISTENT, NULL,
                           lane_done);
        break;
    case HISTORY_DELETE: meta_client_delete(self->client, &lane->op, path, -1, lane_done); break;
    default:
        meta_client_create(self->client, &lane->op, RT_BYTES_LITERAL("/e/s-"), value,
                           PROTO_ZK_MODE_EPHEMERAL_SEQUENTIAL, NULL, lane_done);
        break;
    }
}

static enum history_kind kind_draw(struct rt_random *random) {
    uint64_t draw = rt_random_below(random, 100);
    if (draw < 35) return HISTORY_SET;
    if (draw < 45) return HISTORY_CREATE;
    if (draw < 50) return HISTORY_DELETE;
    if (draw < 60) return HISTORY_SEQUENCE;
    if (draw < 70) return HISTORY_SYNC;
    return HISTORY_READ;
}

static void lane_next(struct rt_timer *timer) {
    struct world_lane *lane = rt_container_of(timer, struct world_lane, pace);
    struct world_client *self = lane->client;
    struct rt_random *random = &self->world->random;
    char path[16];
    if (self->stopping || !self->client || lane->busy) return;
    lane->doing = (struct history_op){.client = self->index,
                                      .kind = kind_draw(random),
                                      .key = (unsigned)rt_random_below(random, WORLD_KEYS),
                                      .began_ns = rt_sim_now(self->world->sim)};
    struct rt_bytes key = key_path(lane->doing.key, path);
    if (lane->doing.kind == HISTORY_READ) {
        read_start(lane);
        return;
    }
    lane->busy = true;
    if (lane->doing.kind == HISTORY_SYNC)
        meta_client_sync(self->client, &lane->op, key, synced);
    else
        write_start(lane, key);
}

// SESSIONS

static void key_fired(struct meta_client_watch *watch, const struct proto_zk_event *event) {
    struct world_key *key = rt_container_of(watch, struct world_key, watch);
    (void)event;  // that it came is what counts
    key->armed = false;
}

static void client_closed(struct rt_task *task) {
    struct world_client *self = rt_container_of(task, struct world_client, closed);
    self->client = NULL;
    for (unsigned i = 0; i < WORLD_KEYS; i++) self->keys[i].armed = self->keys[i].arming = false;
    if (self->stopping)
        self->over = true;
    else
        rt_timer_after(&self->reopen, 0);
}

static void client_end(struct world_client *self) {
    rt_task_init(&self->closed, client_closed, "test.closed");
    meta_client_close(self->client, &self->closed);
}

static void client_on_state(struct meta_client *client, enum meta_client_state state) {
    struct world_client *self =
        rt_container_of(meta_client_owner(client), struct world_client, owner);
    if (state == META_CLIENT_EXPIRED && !self->stopping) client_end(self);
}

static void client_reopen(struct rt_timer *timer) {
    client_open(rt_container_of(timer, struct world_client, reopen));
}

static void client_open(struct world_client *self) {
    char servers[128] = "";
    size_t size = 0;
    for (unsigned i = 0; i < self->world->options.nodes; i++) {
        size += (size_t)snprintf(servers + size, sizeof(servers) - size, "%sm%u:2181", i ? "," : "",
                                 i + 1);
    }
    struct meta_client_options options = {.servers = servers,
                                          .session_timeout_ms = 4000,
                                          .on_state = client_on_state,
                                          .owner = &self->owner};
    struct rt_why why = {{0}};
    self->sessions++;
    rt_err err = meta_client_open(self->loop, &options, &self->client, &why);
    if (err) {
        rt_sim_fail(self->world->sim, "client: %s", why.text);
        return;
    }
    for (unsigned i = 0; i < WORLD_LANES; i++) rt_timer_after(&self->lanes[i].pace, RT_NS_PER_MS);
}

static void client_boot(struct rt_sim_program *program, struct rt_machine *machine) {
    struct world_client *self = rt_container_of(program, struct world_client, program);
    self->machine = machine;
    self->loop = rt_machine_loop(machine, 0);
    for (unsigned i = 0; i < WORLD_LANES; i++) {
        self->lanes[i].client = self;
        rt_timer_init(&self->lanes[i].pace, self->loop, lane_next, "test.lane");
    }
    for (unsigned i = 0; i < WORLD_KEYS; i++) {
        self->keys[i].client = self;
        self->keys[i].watch.fired = key_fired;
    }
    rt_timer_init(&self->reopen, self->loop, client_reopen, "test.reopen");
    client_open(self);
}

void world_client_init(struct world *world, unsigned index) {
    struct world_client *self = &world->clients[index];
    char name[8];
    *self = (struct world_client){.world = world, .index = index};
    self->program.boot = client_boot;
    self->owner.name = "test";
    snprintf(name, sizeof(name), "c%u", index + 1);
    rt_sim_start(rt_sim_node_add(world->sim, name, 1, &self->program));
}

uint64_t world_acked(const struct world *world) {
    uint64_t acked = 0;
    for (unsigned i = 0; i < world->options.clients; i++) acked += world->clients[i].acked;
    return acked;
}

struct stop {
    struct rt_task task;
    struct world_client *client;
};

static void client_stop(struct rt_task *task) {
    struct stop *stop = rt_container_of(task, struct stop, task);
    struct world_client *self = stop->client;
    free(stop);
    self->stopping = true;
    if (self->client)
        client_end(self);
    else
        self->over = true;
}

void world_stop_clients(struct world *world) {
    for (unsigned i = 0; i < world->options.clients; i++) {
        struct stop *stop = malloc(sizeof(*stop));
        if (!stop) abort();
        stop->client = &world->clients[i];
        rt_task_init(&stop->task, client_stop, "test.stop");
        rt_post(world->clients[i].loop, &stop->task);
    }
}

bool world_clients_are_over(const struct world *world) {
    for (unsigned i = 0; i < world->options.clients; i++) {
        if (!world->clients[i].over) return false;
    }
    return true;
}
