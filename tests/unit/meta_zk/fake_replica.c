#include "tests/unit/meta_zk/fake_replica.h"

#include <assert.h>
#include <stdio.h>

struct queued {
    struct rt_list link;
    struct rt_buf command;
};

// APPLYING

static struct meta_position next_position(struct meta_replica *replica) {
    return (struct meta_position){++replica->index, 1};
}

static void command_apply(struct meta_replica *replica, struct rt_buf *command) {
    struct meta_outcome outcome;
    rt_arena_clear(&replica->arena);
    meta_command_stamp(command->data, (int64_t)(rt_machine_wall_ns(replica->machine) / 1000000));
    meta_apply(replica->store, next_position(replica), rt_buf_bytes(command), &replica->arena,
               &outcome);
    if (replica->server) meta_server_on_applied(replica->server, &outcome);
}

static void members_apply(struct meta_replica *replica) {
    struct meta_outcome outcome;
    struct rt_buf text = {0};
    struct meta_position at = next_position(replica);
    rt_arena_clear(&replica->arena);
    replica->changes_members = false;
    replica->config.index = at.index;
    for (unsigned i = 0; i < replica->config.count; i++)
        rt_buf_print(&text, "server.%llu=%s\n", (unsigned long long)replica->config.members[i].id,
                     replica->config.members[i].address);
    rt_buf_print(&text, "version=%llx", (unsigned long long)at.index);
    struct rt_bytes copy = rt_arena_copy(&replica->arena, rt_buf_bytes(&text));
    rt_buf_fini(&text);
    meta_apply_config(replica->store, at, copy, &replica->arena, &outcome);
    if (replica->server) meta_server_on_applied(replica->server, &outcome);
}

static void queue_apply(struct meta_replica *replica) {
    while (!rt_list_is_empty(&replica->queue) && !replica->holds) {
        struct queued *queued =
            rt_container_of(rt_list_pop_front(&replica->queue), struct queued, link);
        replica->queued--;
        command_apply(replica, &queued->command);
        rt_buf_fini(&queued->command);
        rt_free(queued);
        if (!replica->told_busy) continue;
        replica->told_busy = false;
        meta_server_on_drained(replica->server);
    }
    if (replica->changes_members && !replica->holds) members_apply(replica);
}

static void syncs_end(struct meta_replica *replica, rt_err err) {
    while (!rt_list_is_empty(&replica->syncs)) {
        struct meta_sync *sync =
            rt_container_of(rt_list_pop_front(&replica->syncs), struct meta_sync, link);
        sync->done(sync, err);
    }
}

static void work_run(struct rt_task *task) {
    struct meta_replica *replica = rt_container_of(task, struct meta_replica, task);
    replica->task_queued = false;
    queue_apply(replica);
    rt_err err = meta_store_flush_now(replica->store);
    assert(!err);
    if (!replica->holds) syncs_end(replica, RT_OK);
}

static void work_later(struct meta_replica *replica) {
    if (replica->task_queued || replica->holds) return;
    replica->task_queued = true;
    rt_defer(replica->loop, &replica->task);
}

// WHAT THE SERVER CALLS

struct meta_store *meta_replica_store(struct meta_replica *replica) {
    return replica->store;
}

uint64_t meta_replica_next_ticket(struct meta_replica *replica) {
    return ++replica->ticket;
}

static void enqueue(struct meta_replica *replica, struct rt_buf *command) {
    struct queued *queued = RT_NEW(struct queued);
    queued->command = *command;
    *command = (struct rt_buf){0};
    rt_list_push_back(&replica->queue, &queued->link);
    replica->queued++;
    work_later(replica);
}

rt_err meta_replica_submit(struct meta_replica *replica, struct rt_buf *command) {
    if (replica->leaderless_ns) return RT_EAGAIN;
    if (replica->is_narrow && replica->queued == FAKE_BUSY_MAX) {
        replica->told_busy = true;
        return RT_EBUSY;
    }
    enqueue(replica, command);
    return RT_OK;
}

void meta_replica_sync(struct meta_replica *replica, struct meta_sync *sync) {
    rt_list_push_back(&replica->syncs, &sync->link);
    work_later(replica);
}

void meta_replica_sync_cancel(struct meta_replica *replica, struct meta_sync *sync) {
    (void)replica;
    rt_list_remove(&sync->link);
}

void meta_replica_touch(struct meta_replica *replica, int64_t session) {
    assert(session);
    replica->touched++;
}

void meta_replica_status(const struct meta_replica *replica, struct meta_replica_status *status) {
    *status = (struct meta_replica_status){.is_serving = replica->is_serving,
                                           .is_alone = replica->is_alone,
                                           .leaderless_ns = replica->leaderless_ns};
    status->raft.id = FAKE_NODE_ID;
    status->raft.role = replica->is_follower ? RAFT_FOLLOWER : RAFT_LEADER;
    status->raft.commit = status->raft.applied = replica->index;
}

const struct raft_config *meta_replica_config(const struct meta_replica *replica) {
    return &replica->config;
}

bool meta_replica_peer_status(const struct meta_replica *replica, uint64_t id,
                              struct raft_peer_status *status) {
    if (id == FAKE_NODE_ID || !raft_config_find(&replica->config, id)) return false;
    *status =
        (struct raft_peer_status){.id = id, .match = replica->index, .progress = RAFT_REPLICATE};
    return true;
}

rt_err meta_replica_change_members(struct meta_replica *replica, const struct raft_config *to,
                                   struct rt_why *why) {
    (void)why;
    if (replica->changes_members) return RT_EBUSY;
    replica->config = *to;
    replica->changes_members = true;
    work_later(replica);
    return RT_OK;
}

// WHAT TESTS DO

void fake_replica_open(struct meta_replica *replica, struct rt_machine *machine,
                       struct rt_loop *loop) {
    const struct meta_store_options options = {
        .path = "zk-store", .cache_bytes = 1 << 20, .node_bytes = 1 << 20};
    *replica = (struct meta_replica){.machine = machine, .loop = loop};
    replica->is_serving = replica->is_alone = true;
    rt_list_init(&replica->queue);
    rt_list_init(&replica->syncs);
    rt_task_init(&replica->task, work_run, "fake.replica");
    rt_err err = meta_store_open_now(machine, &options, &replica->store, NULL);
    assert(!err);
    meta_apply_genesis(replica->store);
    meta_apply_nothing(replica->store, next_position(replica));
}

static void queue_drop(struct meta_replica *replica) {
    while (!rt_list_is_empty(&replica->queue)) {
        struct queued *queued =
            rt_container_of(rt_list_pop_front(&replica->queue), struct queued, link);
        rt_buf_fini(&queued->command);
        rt_free(queued);
    }
    replica->queued = 0;
}

void fake_replica_close(struct meta_replica *replica) {
    queue_drop(replica);
    rt_arena_fini(&replica->arena);
    meta_store_close_now(replica->store);
}

void fake_replica_release(struct meta_replica *replica) {
    replica->holds = false;
    work_later(replica);
}

static void command_queue(struct meta_replica *replica, const struct meta_command *command) {
    struct rt_buf bytes = {0};
    struct rt_writer w = rt_writer_into(&bytes);
    meta_command_encode(command, &w);
    enqueue(replica, &bytes);
}

void fake_replica_expire(struct meta_replica *replica, int64_t session) {
    const struct meta_command command = {.kind = META_CLOSE_SESSION, .session = session};
    command_queue(replica, &command);
}

void fake_replica_attach_elsewhere(struct meta_replica *replica,
                                   const struct meta_session *session) {
    struct meta_command command = {.kind = META_ATTACH_SESSION,
                                   .origin = FAKE_NODE_ID + 1,
                                   .ticket = 1,
                                   .session = session->id,
                                   .open.timeout_ms = session->timeout_ms};
    for (size_t i = 0; i < sizeof(command.open.password); i++)
        command.open.password[i] = session->password[i];
    command_queue(replica, &command);
}

void fake_replica_interrupt(struct meta_replica *replica) {
    queue_drop(replica);
    replica->told_busy = false;
    meta_server_on_interrupted(replica->server);
}

void fake_replica_refuse_last(struct meta_replica *replica) {
    assert(!rt_list_is_empty(&replica->queue));
    struct queued *queued = rt_container_of(replica->queue.prev, struct queued, link);
    struct rt_arena arena = {0};
    struct meta_command command;
    rt_err err = meta_command_decode(rt_buf_bytes(&queued->command), &arena, &command);
    assert(!err);
    uint64_t ticket = command.ticket;
    rt_arena_fini(&arena);
    rt_list_remove(&queued->link);
    replica->queued--;
    rt_buf_fini(&queued->command);
    rt_free(queued);
    meta_server_on_refused(replica->server, ticket);
}

void fake_replica_lead(struct meta_replica *replica, bool has_leader) {
    replica->is_serving = has_leader;
    replica->leaderless_ns = has_leader ? 0 : rt_loop_now(replica->loop);
    meta_server_on_status_changed(replica->server);
}

void fake_replica_members(struct meta_replica *replica, unsigned count) {
    replica->is_alone = false;
    replica->config = (struct raft_config){0};
    for (unsigned i = 1; i <= count; i++) {
        char address[RAFT_ADDRESS_SIZE];
        snprintf(address, sizeof(address), "h%u:2888:3888:participant;h%u:2181", i, i);
        rt_err err = raft_config_put(&replica->config, i, RAFT_VOTER, address);
        assert(!err);
    }
    replica->changes_members = true;
    work_later(replica);
}
