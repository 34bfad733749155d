#include "tests/unit/meta_replica/stage.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "runtime/backend.h"
#include "runtime/file.h"
#include "runtime/mem.h"

#define PATIENCE_NS (60 * RT_NS_PER_S)

// WHAT A REPLICA TELLS

static struct stage_node *node_of(struct meta_replica_events *events) {
    return rt_container_of(events, struct stage_node, events);
}

static void on_applied(struct meta_replica_events *events, const struct meta_outcome *outcome) {
    struct stage_node *node = node_of(events);
    if (outcome->zxid <= node->zxid_last) node->is_out_of_order = true;
    node->zxid_last = outcome->zxid;
    if (outcome->origin != node->options.node_id) return;
    node->outcomes[node->outcome_count++ % STAGE_OUTCOMES_MAX] = (struct stage_outcome){
        outcome->ticket, outcome->verdict, outcome->zxid, outcome->reply.header.err};
}

static void on_replaced(struct meta_replica_events *events) {
    struct stage_node *node = node_of(events);
    node->replaced++;
    node->zxid_last = (int64_t)meta_store_totals(meta_replica_store(node->replica)).applied.index;
}

static void on_interrupted(struct meta_replica_events *events) {
    node_of(events)->interrupted++;
}

static void on_refused(struct meta_replica_events *events, uint64_t ticket) {
    struct stage_node *node = node_of(events);
    cr_assert(node->refused_count < STAGE_REFUSED_MAX);
    node->refused[node->refused_count++] = ticket;
}

static void on_status_changed(struct meta_replica_events *events) {
    (void)events;  // asked for where it is needed
}

static void on_drained(struct meta_replica_events *events) {
    node_of(events)->drained++;
}

static void on_failed(struct meta_replica_events *events, rt_err err, const char *what) {
    struct stage_node *node = node_of(events);
    node->has_failed = true;
    snprintf(node->failure, sizeof(node->failure), "%s: %s", rt_err_name(err), what);
}

// PROCESSES

static void node_boot(struct rt_sim_program *program, struct rt_machine *machine) {
    struct stage_node *node = rt_container_of(program, struct stage_node, program);
    struct meta_replica *replica = NULL;
    node->machine = machine;
    node->has_failed = false;
    node->zxid_last = 0;
    if (node->wipes) cr_assert_eq(rt_path_remove_tree_now(machine, "data"), RT_OK);
    node->wipes = false;
    node->open_err = meta_replica_open_now(machine, rt_machine_loop(machine, 0), &node->options,
                                           &replica, &node->why);
    if (node->open_err) {
        cr_assert_null(replica);
        return;
    }
    node->replica = replica;
    cr_assert_eq(meta_replica_start(replica, &node->why), RT_OK);
    struct meta_store *store = meta_replica_store(replica);
    if (store) node->zxid_last = (int64_t)meta_store_totals(store).applied.index;
}

static void node_crashed(struct rt_sim_program *program) {
    struct stage_node *node = rt_container_of(program, struct stage_node, program);
    node->machine = NULL;
    node->replica = NULL;
}

void stage_open(struct stage *stage, unsigned count, unsigned founders, uint64_t seed) {
    *stage = (struct stage){.count = count};
    stage->sim = rt_sim_new(&(struct rt_sim_options){.seed = seed});
    for (unsigned i = 0; i < count; i++) {
        struct stage_node *node = &stage->nodes[i];
        struct meta_member *member = &stage->members[i];
        char name[8];
        *node = (struct stage_node){.stage = stage,
                                    .program = {node_boot, node_crashed},
                                    .events = {on_applied, on_replaced, on_interrupted, on_refused,
                                               on_status_changed, on_drained, on_failed}};
        snprintf(name, sizeof(name), "m%u", i + 1);
        node->sim_node = rt_sim_node_add(stage->sim, name, 1, &node->program);
        member->id = i + 1;
        snprintf(member->address, sizeof(member->address), "%s:2888:3888:participant;%s:2181", name,
                 name);
        node->options =
            (struct meta_replica_options){.data_dir = "data",
                                          .node_id = i + 1,
                                          .members = stage->members,
                                          .member_count = i < founders ? founders : count,
                                          .is_joining = i >= founders,
                                          .session_tick_ms = 500,
                                          .cache_bytes = 4 << 20,
                                          .node_bytes = 1 << 20,
                                          .sync = true,
                                          .events = &node->events};
    }
}

void stage_close(struct stage *stage) {
    for (unsigned i = 0; i < stage->count; i++) cr_assert_not(stage->nodes[i].is_out_of_order);
    cr_assert_not(rt_sim_failed(stage->sim));
    rt_sim_free(stage->sim);
}

struct stage_node *stage_node(struct stage *stage, uint64_t id) {
    return &stage->nodes[id - 1];
}

void stage_start(struct stage *stage, uint64_t id) {
    struct stage_node *node = stage_node(stage, id);
    rt_sim_start(node->sim_node);
    while (!node->machine) cr_assert(rt_sim_step(stage->sim));
}

void stage_start_all(struct stage *stage) {
    for (unsigned i = 0; i < stage->count; i++) {
        if (!rt_sim_is_running(stage->nodes[i].sim_node)) stage_start(stage, i + 1);
    }
}

void stage_crash(struct stage *stage, uint64_t id, enum rt_sim_crash_kind kind) {
    rt_sim_crash(stage_node(stage, id)->sim_node, kind);
    cr_assert_null(stage_node(stage, id)->machine);
}

static void on_piece(struct rt_task *task) {
    struct stage_node *node = rt_container_of(task, struct stage_node, task);
    node->piece(node, node->argument);
    node->is_done = true;
}

void stage_run(struct stage_node *node, void (*piece)(struct stage_node *, void *),
               void *argument) {
    cr_assert_not_null(node->machine);
    node->piece = piece;
    node->argument = argument;
    node->is_done = false;
    rt_task_init(&node->task, on_piece, "test.piece");
    rt_post(rt_machine_loop(node->machine, 0), &node->task);
    while (!node->is_done) cr_assert(rt_sim_step(node->stage->sim));
}

static void on_closed(struct rt_task *task) {
    rt_container_of(task, struct stage_node, closed_task)->is_closed = true;
}

static void shut_piece(struct stage_node *node, void *argument) {
    struct meta_replica *replica = node->replica;
    (void)argument;
    node->is_closed = false;
    node->replica = NULL;
    rt_task_init(&node->closed_task, on_closed, "test.closed");
    meta_replica_close(replica, &node->closed_task);
}

void stage_shut(struct stage *stage, uint64_t id) {
    struct stage_node *node = stage_node(stage, id);
    stage_run(node, shut_piece, NULL);
    while (!node->is_closed) cr_assert(rt_sim_step(stage->sim));
}

static void heap_piece(struct stage_node *node, void *argument) {
    (void)node;
    struct rt_heap *heap = rt_heap_enter(NULL);  // to learn which it is
    rt_heap_enter(heap);
    *(size_t *)argument = rt_heap_bytes(heap);
}

size_t stage_heap_bytes(struct stage_node *node) {
    size_t bytes = 0;
    stage_run(node, heap_piece, &bytes);
    return bytes;
}

void stage_cut(struct stage *stage, uint64_t one, uint64_t other) {
    struct rt_sim_node *a = stage_node(stage, one)->sim_node;
    struct rt_sim_node *b = stage_node(stage, other)->sim_node;
    rt_sim_cut(stage->sim, a, b);
    rt_sim_cut(stage->sim, b, a);
}

void stage_heal(struct stage *stage) {
    rt_sim_heal_all(stage->sim);
}

void stage_pass(struct stage *stage, uint64_t ms) {
    rt_sim_run_for(stage->sim, ms * RT_NS_PER_MS);
}

// WAITING

struct waiting {
    struct rt_sim_condition condition;
    struct stage *stage;
    struct stage_node *node;
    uint64_t number, leader;
};

static void wait_for(struct waiting *waiting, bool (*done)(struct rt_sim_condition *),
                     const char *what) {
    waiting->condition.done = done;
    bool is_so = rt_sim_run_until(waiting->stage->sim, &waiting->condition, PATIENCE_NS);
    cr_assert(is_so, "%s: not within a minute", what);
}

static bool is_up(const struct stage_node *node) {
    return node->replica && !node->has_failed && rt_sim_is_running(node->sim_node);
}

static bool waits_to_be_added(const struct stage_node *node) {
    const struct raft_config *config = meta_replica_config(node->replica);
    return node->options.is_joining &&
           (!config || !raft_config_is_member(config, node->options.node_id));
}

static bool has_leader(struct rt_sim_condition *condition) {
    struct waiting *waiting = rt_container_of(condition, struct waiting, condition);
    uint64_t leader = 0;
    for (unsigned i = 0; i < waiting->stage->count; i++) {
        struct stage_node *node = &waiting->stage->nodes[i];
        if (!is_up(node) || waits_to_be_added(node)) continue;
        struct meta_replica_status status = stage_status(node);
        if (!status.is_serving || (leader && leader != status.raft.leader)) return false;
        leader = status.raft.leader;
    }
    waiting->leader = leader;
    return leader && leader != waiting->number && is_up(stage_node(waiting->stage, leader)) &&
           stage_status(stage_node(waiting->stage, leader)).raft.role == RAFT_LEADER;
}

uint64_t stage_leader(struct stage *stage) {
    struct waiting waiting = {.stage = stage};
    wait_for(&waiting, has_leader, "a leader");
    return waiting.leader;
}

uint64_t stage_leader_but(struct stage *stage, uint64_t other) {
    struct waiting waiting = {.stage = stage, .number = other};
    wait_for(&waiting, has_leader, "another leader");
    return waiting.leader;
}

static void transfer_piece(struct stage_node *node, void *argument) {
    cr_assert_eq(meta_replica_transfer(node->replica, *(const uint64_t *)argument), RT_OK);
}

void stage_transfer(struct stage_node *node, uint64_t to) {
    stage_run(node, transfer_piece, &to);
}

void stage_lead(struct stage *stage, uint64_t id) {
    uint64_t leader = stage_leader(stage);
    if (leader == id) return;
    stage_transfer(stage_node(stage, leader), id);
    cr_assert_eq(stage_leader_but(stage, leader), id);
}

static bool is_agreed(struct rt_sim_condition *condition) {
    struct waiting *waiting = rt_container_of(condition, struct waiting, condition);
    struct meta_store_totals first = {0};
    bool any = false;
    for (unsigned i = 0; i < waiting->stage->count; i++) {
        if (!is_up(&waiting->stage->nodes[i])) continue;
        if (!meta_replica_store(waiting->stage->nodes[i].replica)) return false;
        struct meta_store_totals totals = stage_totals(&waiting->stage->nodes[i]);
        if (!any) first = totals;
        any = true;
        if (totals.applied.index != first.applied.index || totals.digest != first.digest)
            return false;
    }
    return true;
}

void stage_agree(struct stage *stage) {
    struct waiting waiting = {.stage = stage};
    wait_for(&waiting, is_agreed, "one state");
}

static bool has_applied(struct rt_sim_condition *condition) {
    struct waiting *waiting = rt_container_of(condition, struct waiting, condition);
    return is_up(waiting->node) && meta_replica_store(waiting->node->replica) &&
           stage_totals(waiting->node).applied.index >= waiting->number;
}

void stage_applies(struct stage *stage, uint64_t id, uint64_t index) {
    struct waiting waiting = {.stage = stage, .node = stage_node(stage, id), .number = index};
    wait_for(&waiting, has_applied, "an applied index");
}

static bool has_outcome(struct rt_sim_condition *condition) {
    struct waiting *waiting = rt_container_of(condition, struct waiting, condition);
    return stage_outcome(waiting->node, waiting->number) != NULL;
}

static void snapshot_piece(struct stage_node *node, void *argument) {
    *(bool *)argument = meta_replica_snapshot(node->replica);
}

bool stage_snapshot(struct stage_node *node) {
    bool begun = false;
    stage_run(node, snapshot_piece, &begun);
    return begun;
}

// ASKING

struct meta_replica_status stage_status(struct stage_node *node) {
    struct meta_replica_status status;
    meta_replica_status(node->replica, &status);
    return status;
}

struct meta_store_totals stage_totals(struct stage_node *node) {
    return meta_store_totals(meta_replica_store(node->replica));
}

struct finding {
    const char *path;
    const struct meta_znode *node;
};

static void find_piece(struct stage_node *node, void *argument) {
    struct finding *finding = argument;
    finding->node =
        meta_store_find_now(meta_replica_store(node->replica), rt_bytes_of(finding->path));
}

const struct meta_znode *stage_find(struct stage_node *node, const char *path) {
    struct finding finding = {.path = path};
    stage_run(node, find_piece, &finding);
    return finding.node;
}

struct submission {
    struct meta_command *command;
    uint64_t ticket;
    rt_err err;
};

static void submit_piece(struct stage_node *node, void *argument) {
    struct submission *submission = argument;
    struct rt_buf bytes = {0};
    struct rt_writer w = rt_writer_into(&bytes);
    submission->ticket = meta_replica_next_ticket(node->replica);
    submission->command->origin = node->options.node_id;
    submission->command->ticket = submission->ticket;
    meta_command_encode(submission->command, &w);
    submission->err = meta_replica_submit(node->replica, &bytes);
    rt_buf_fini(&bytes);
}

struct many {
    const char *prefix;
    unsigned count, taken;
    uint64_t first;
};

static void many_piece(struct stage_node *node, void *argument) {
    struct many *many = argument;
    struct rt_buf payload = {0};
    many->first = 0;
    for (; many->taken < many->count; many->taken++) {
        char path[64];
        snprintf(path, sizeof(path), "/%s%u", many->prefix, many->taken);
        struct meta_command command =
            stage_create(node->stage, path, (struct rt_bytes){0}, 0, &payload);
        struct submission submission = {.command = &command};
        submit_piece(node, &submission);
        if (!many->taken) many->first = submission.ticket;
        if (submission.err) break;
    }
    rt_buf_fini(&payload);
}

unsigned stage_submit_many(struct stage_node *node, const char *prefix, unsigned count,
                           uint64_t *first) {
    struct many many = {.prefix = prefix, .count = count};
    stage_run(node, many_piece, &many);
    *first = many.first;
    return many.taken;
}

uint64_t stage_submit(struct stage_node *node, struct meta_command *command, rt_err *err) {
    struct submission submission = {.command = command};
    stage_run(node, submit_piece, &submission);
    *err = submission.err;
    return submission.err ? 0 : submission.ticket;
}

const struct stage_outcome *stage_outcome(const struct stage_node *node, uint64_t ticket) {
    size_t kept =
        node->outcome_count < STAGE_OUTCOMES_MAX ? node->outcome_count : STAGE_OUTCOMES_MAX;
    for (size_t i = 1; i <= kept; i++) {
        const struct stage_outcome *outcome =
            &node->outcomes[(node->outcome_count - i) % STAGE_OUTCOMES_MAX];
        if (outcome->ticket == ticket) return outcome;
    }
    return NULL;
}

const struct stage_outcome *stage_ask(struct stage_node *node, struct meta_command *command) {
    rt_err err;
    struct waiting waiting = {.stage = node->stage, .node = node};
    waiting.number = stage_submit(node, command, &err);
    cr_assert_eq(err, RT_OK, "%s", rt_err_name(err));
    wait_for(&waiting, has_outcome, "an outcome");
    return stage_outcome(node, waiting.number);
}

void stage_session(struct stage *stage, uint64_t id, int64_t session, int32_t timeout_ms) {
    struct meta_command command = {
        .kind = META_OPEN_SESSION, .session = session, .open.timeout_ms = timeout_ms};
    const struct stage_outcome *outcome = stage_ask(stage_node(stage, id), &command);
    cr_assert_eq(outcome->verdict, META_SESSION_OPENED);
    stage->session = session;
    stage->attachment = (uint64_t)outcome->zxid;
}

struct meta_command stage_create(const struct stage *stage, const char *path, struct rt_bytes data,
                                 int32_t flags, struct rt_buf *payload) {
    static const struct proto_zk_acl open_entry = {
        PROTO_ZK_PERM_ALL, {RT_BYTES_LITERAL("world"), RT_BYTES_LITERAL("anyone")}};
    bool ttl = flags == PROTO_ZK_MODE_PERSISTENT_WITH_TTL;
    bool container = flags == PROTO_ZK_MODE_CONTAINER;
    struct proto_zk_request request = {.xid = 1, .op.opcode = PROTO_ZK_OP_CREATE};
    if (ttl) request.op.opcode = PROTO_ZK_OP_CREATE_TTL;
    if (container) request.op.opcode = PROTO_ZK_OP_CREATE_CONTAINER;
    request.op.create.path = rt_bytes_of(path);
    request.op.create.data = data;
    request.op.create.acl = (struct proto_zk_acls){.items = &open_entry, .count = 1};
    request.op.create.flags = flags;
    request.op.create.ttl_ms = ttl ? 5000 : 0;
    rt_buf_clear(payload);
    struct rt_writer w = rt_writer_into(payload);
    proto_zk_request_encode(&request, &w);
    return (struct meta_command){.kind = META_REQUEST,
                                 .flags = META_EXTENDED_TYPES,
                                 .session = stage->session,
                                 .attachment = stage->attachment,
                                 .request.payload = rt_buf_bytes(payload)};
}

int32_t stage_created(struct stage_node *node, const char *path, int32_t flags) {
    struct rt_buf payload = {0};
    struct meta_command command =
        stage_create(node->stage, path, (struct rt_bytes){0}, flags, &payload);
    const struct stage_outcome *outcome = stage_ask(node, &command);
    cr_assert_eq(outcome->verdict, META_ANSWERED);
    rt_buf_fini(&payload);
    return outcome->err;
}

void stage_fill(struct stage_node *node, const char *prefix, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        char path[64];
        snprintf(path, sizeof(path), "/%s%u", prefix, i);
        cr_assert_eq(stage_created(node, path, 0), 0);
    }
}
