// The server processes, and what must hold among them after every event: one leader for each term,
// and one state for each applied index, on every node and through every restart.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/meta/world.h"

static void node_restart(struct rt_sim_event *event, struct rt_sim *sim) {
    struct world_node *self = rt_container_of(event, struct world_node, restart);
    (void)sim;  // the node knows its own
    if (!self->failed) return;
    self->failed = false;
    if (rt_sim_is_running(self->sim_node)) {
        rt_sim_crash(self->sim_node, RT_SIM_KILL);
        rt_sim_start(self->sim_node);
    }
}

// As a supervisor would: the process is ended and started again.
static void node_failed(struct meta_node *node, rt_err err, const char *what) {
    struct world_node *self = rt_container_of(meta_node_owner(node), struct world_node, owner);
    (void)err;
    (void)what;
    if (self->failed) return;
    self->failed = true;
    self->node = NULL;
    rt_sim_schedule(self->world->sim, &self->restart, 50 * RT_NS_PER_MS);
}

static void text_set(char **text, const char *value) {
    rt_free(*text);
    *text = rt_strdup(value);
}

static void config_fill(struct world_node *self) {
    struct meta_zoo_config *config = &self->config;
    const struct world_options *options = &self->world->options;
    *config = (struct meta_zoo_config){.node_id = self->id};
    rt_config_defaults(&meta_zoo_options, &config->values);
    text_set(&config->values.data_dir, "data");
    text_set(&config->values.data_log_dir, "");
    text_set(&config->values.words, "*");
    config->values.client_port = 2181;
    config->values.tick_ms = 500;
    config->values.admin_enabled = false;
    config->values.force_sync = !options->no_sync;
    config->values.snap_count = (int64_t)options->snapshot_entries;
    for (unsigned i = 0; i < options->nodes; i++) {
        struct meta_member *member = &config->members[config->member_count++];
        *member = (struct meta_member){.id = i + 1};
        snprintf(member->address, sizeof(member->address), "m%u:2888:3888:participant;m%u:2181",
                 i + 1, i + 1);
    }
    config->effective = rt_strdup("");
}

static void node_boot(struct rt_sim_program *program, struct rt_machine *machine) {
    struct world_node *self = rt_container_of(program, struct world_node, program);
    config_fill(self);
    self->failed = false;
    self->term = self->applied = 0;
    struct meta_node_options options = {.config = &self->config,
                                        .version = "simulated",
                                        .no_admin = true,
                                        .planted_bugs = self->world->options.planted_bugs,
                                        .failed = node_failed,
                                        .owner = &self->owner};
    struct rt_why why = {{0}};
    rt_err err = meta_node_open_now(machine, &options, &self->node, &why);
    if (!err) return;
    self->node = NULL;
    bool disk = err == RT_EIO || err == RT_ENOSPACE;  // the schedule of faults starts it again
    // A disk that rots may take with it what cannot be made again: the node then says so and stays
    // out, as it must.
    if (err == RT_ECORRUPT && self->world->options.bit_rot) self->retired = disk = true;
    if (!disk) rt_sim_fail(self->world->sim, "m%u did not start: %s", self->id, why.text);
}

static void node_crashed(struct rt_sim_program *program) {
    struct world_node *self = rt_container_of(program, struct world_node, program);
    self->node = NULL;
    self->config = (struct meta_zoo_config){0};
}

void world_node_init(struct world *world, unsigned id) {
    struct world_node *self = &world->nodes[id - 1];
    char name[8];
    *self = (struct world_node){.world = world, .id = id};
    self->program.boot = node_boot;
    self->program.crashed = node_crashed;
    self->owner.name = "test";
    self->restart = (struct rt_sim_event){.run = node_restart, .name = "restart"};
    snprintf(name, sizeof(name), "m%u", id);
    self->sim_node = rt_sim_node_add(world->sim, name, 1, &self->program);
    world->sim_nodes[id - 1] = self->sim_node;
}

// INVARIANTS

static void *table_grow(void *table, size_t *count, size_t wanted, size_t item_size) {
    if (wanted < *count) return table;
    size_t grown = wanted * 2 + 64;
    table = realloc(table, grown * item_size);
    if (!table) abort();
    memset((char *)table + *count * item_size, 0, (grown - *count) * item_size);
    *count = grown;
    return table;
}

static void check_leader(struct world *world, struct world_node *self,
                         const struct raft_status *status) {
    if (status->role != RAFT_LEADER) return;
    world->leaders = table_grow(world->leaders, &world->leader_count, (size_t)status->term,
                                sizeof(*world->leaders));
    uint64_t *leader = &world->leaders[status->term];
    if (*leader && *leader != self->id) {
        rt_sim_fail(world->sim, "m%u and m%u both lead term %llu", (unsigned)*leader, self->id,
                    (unsigned long long)status->term);
    }
    *leader = self->id;
}

static void check_digest(struct world *world, struct world_node *self,
                         const struct meta_store_totals *totals) {
    size_t index = (size_t)totals->applied.index;
    world->digests =
        table_grow(world->digests, &world->digest_count, index, sizeof(*world->digests));
    struct world_digest *known = &world->digests[index];
    if (!known->known) {
        *known = (struct world_digest){totals->digest, self->id, true};
    } else if (known->digest != totals->digest) {
        rt_sim_fail(world->sim, "m%u and m%u differ after entry %zu", known->node, self->id, index);
    }
}

static void check_node(struct world *world, struct world_node *self) {
    struct meta_replica *replica = meta_node_replica(self->node);
    struct meta_replica_status status;
    meta_replica_status(replica, &status);
    if (status.raft.term < self->term) rt_sim_fail(world->sim, "m%u: the term fell", self->id);
    self->term = status.raft.term;
    check_leader(world, self, &status.raft);
    struct meta_store_totals totals = meta_store_totals(meta_replica_store(replica));
    if (totals.applied.index == self->applied) return;
    if (totals.applied.index < self->applied)
        rt_sim_fail(world->sim, "m%u: the applied index fell", self->id);
    if (totals.applied.index > status.raft.commit && status.raft.commit)
        rt_sim_fail(world->sim, "m%u: applied what is not committed", self->id);
    self->applied = totals.applied.index;
    check_digest(world, self, &totals);
}

void world_check_nodes(struct rt_sim_check *check, struct rt_sim *sim) {
    struct world *world = rt_container_of(check, struct world, check);
    (void)sim;  // the world's
    for (unsigned i = 0; i < world->options.nodes; i++) {
        struct world_node *self = &world->nodes[i];
        if (self->node && rt_sim_is_running(self->sim_node)) check_node(world, self);
    }
}
