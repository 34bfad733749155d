// Nodes: the process that comes and goes, and the turns of its loops.
//
// A process is its heap, its machine and its loops. It ends without any destructor: whatever could
// still reach it from the world (turns, works, disk operations, connections) is cut off first, then
// its heap is taken back whole.
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "runtime/metrics.h"
#include "runtime/sim/sim_internal.h"

enum { MACHINE_BYTES_MAX = 256 << 20 };

// TURNS: one pending event for each loop, at its next turn: soon when it has work, else when its
// first timer is due. Turns of one node's loops meet in drawn order, as threads would.

static uint64_t turn_delay(struct rt_sim_node *node) {
    return rt_random_between(&node->cpu_random, node->turn_min_ns, node->turn_max_ns);
}

static void turn_no_later_than(struct sim_loop *driver, uint64_t at_ns) {
    struct rt_sim *sim = driver->node->sim;
    if (sim_is_scheduled(&driver->turn) && sim_event_at(sim, &driver->turn) <= at_ns) return;
    sim_schedule(sim, &driver->turn, at_ns);
}

static void turn_plan(struct sim_loop *driver, bool has_work) {
    struct rt_sim_node *node = driver->node;
    if (has_work || rt_loop_has_work(driver->loop)) {
        turn_no_later_than(driver, node->sim->now_ns + turn_delay(node));
        return;
    }
    uint64_t deadline_ns = rt_loop_next_deadline(driver->loop);
    if (deadline_ns == UINT64_MAX) return;
    turn_no_later_than(driver, sim_clock_true_at(node, deadline_ns) + turn_delay(node));
}

static void turns_stop(struct rt_sim_node *node) {
    for (unsigned i = 0; i < node->loop_count; i++) {
        sim_cancel(node->sim, &node->drivers[i].turn);
    }
}

// Plans anew: whether a loop had work is known only by a turn, which does no harm when there is
// none.
static void turns_replan(struct rt_sim_node *node) {
    for (unsigned i = 0; i < node->loop_count; i++) turn_plan(&node->drivers[i], true);
}

void sim_loop_notify(struct rt_loop *loop) {
    struct sim_loop *driver = rt_loop_driver(loop);
    if (driver->node->paused || driver->in_turn) return;
    turn_no_later_than(driver, driver->node->sim->now_ns + turn_delay(driver->node));
}

void sim_node_clock_changed(struct rt_sim_node *node) {
    if (!node->running || node->paused) return;
    turns_stop(node);
    turns_replan(node);
}

static void process_end(struct rt_sim_node *node, enum rt_sim_crash_kind kind);

static void turn_run(struct sim_event *event) {
    struct sim_loop *driver = rt_container_of(event, struct sim_loop, turn);
    struct rt_sim_node *node = driver->node;
    assert(node->running && !node->paused);
    sim_trace(node->sim, SIM_TURN, node, driver->index, node->incarnation, 0);
    struct rt_heap *outside = rt_heap_enter(node->heap);
    node->sim->inside = node;
    driver->in_turn = true;
    bool more = rt_loop_turn(driver->loop, false);
    driver->in_turn = false;
    node->sim->inside = NULL;
    rt_heap_enter(outside);
    if (node->crash_asked) process_end(node, node->crash_kind);
    if (node->running && !node->paused) turn_plan(driver, more);
}

struct rt_heap *sim_node_enter(struct rt_sim_node *node) {
    assert(node->running && !node->sim->inside);
    node->sim->inside = node;
    struct rt_heap *outside = rt_heap_enter(node->heap);
    rt_machine_enter(&node->machine);
    return outside;
}

void sim_node_leave(struct rt_sim_node *node, struct rt_heap *outside) {
    rt_machine_leave();
    rt_heap_enter(outside);
    node->sim->inside = NULL;
    if (node->crash_asked) process_end(node, node->crash_kind);
}

// THE PROCESS

static void on_log_line(struct rt_log_sink *sink, enum rt_log_level level, const char *text) {
    struct rt_sim_node *node = rt_container_of(sink, struct rt_sim_node, log_sink);
    struct rt_sim *sim = node->sim;
    if (level >= RT_LOG_INFO) sim_trace_text(sim, SIM_LOG, node, text, level);
    if (!sim->options.log_to_stderr) return;
    fprintf(stderr, "%12.6f ms %s\n", (double)sim->now_ns / (double)RT_NS_PER_MS, text);
}

static void on_boot(struct rt_task *task) {
    struct rt_sim_node *node = rt_container_of(task, struct rt_sim_node, boot);
    node->program->boot(node->program, &node->machine);
}

// Inside the node's new heap.
static void machine_build(struct rt_sim_node *node) {
    struct rt_machine *machine = &node->machine;
    // Debug lines are for people; they stay out of the trace, so that looking changes no hash.
    enum rt_log_level level = node->sim->options.log_to_stderr ? RT_LOG_DEBUG : RT_LOG_INFO;
    *machine = (struct rt_machine){
        .backend = &node->sim->backend,
        .name = node->name,
        .loop_count = node->loop_count,
        .log = rt_log_to_sink(&node->log_sink, level),
        .metrics = rt_metrics_new(),
    };
    rt_budget_init(&machine->budget, "machine", MACHINE_BYTES_MAX);
    machine->loops = rt_alloc_zero(node->loop_count, sizeof *machine->loops);
    for (unsigned i = 0; i < node->loop_count; i++) {
        struct sim_loop *driver = &node->drivers[i];
        driver->loop = rt_loop_new(machine, i, rt_random_u64(&node->cpu_random));
        rt_loop_set_driver(driver->loop, driver);
        machine->loops[i] = driver->loop;
    }
}

void rt_sim_start(struct rt_sim_node *node) {
    struct rt_sim *sim = node->sim;
    if (node->running || sim->failed) return;
    struct rt_heap *inside = sim_world_enter();
    node->incarnation++;
    node->running = true;
    node->heap = rt_heap_new();
    rt_heap_enter(node->heap);
    machine_build(node);
    rt_task_init(&node->boot, on_boot, "boot");
    rt_post(node->machine.loops[0], &node->boot);
    rt_heap_enter(NULL);
    sim_trace(sim, SIM_START, node, node->incarnation, node->loop_count, 0);
    sim_net_started(node);
    sim_world_leave(inside);
}

static void process_end(struct rt_sim_node *node, enum rt_sim_crash_kind kind) {
    struct rt_sim *sim = node->sim;
    sim_trace(sim, SIM_CRASH, node, node->incarnation, kind, rt_heap_bytes(node->heap));
    node->crash_asked = false;
    turns_stop(node);
    sim_work_crash(node);
    sim_disk_crash(node, kind);
    sim_net_crash(node, kind);
    node->running = false;
    node->paused = false;
    rt_heap_free_all(node->heap);
    node->heap = NULL;
    node->machine = (struct rt_machine){.name = node->name};
    if (kind == RT_SIM_POWER_LOSS) sim_clock_reboot(node);
    if (node->program->crashed) node->program->crashed(node->program);
}

void rt_sim_crash(struct rt_sim_node *node, enum rt_sim_crash_kind kind) {
    if (!node->running) return;
    if (node->sim->inside == node) {
        node->crash_asked = true;
        node->crash_kind = kind;
        return;
    }
    struct rt_heap *inside = sim_world_enter();
    process_end(node, kind);
    sim_world_leave(inside);
}

bool rt_sim_is_running(const struct rt_sim_node *node) {
    return node->running;
}

void rt_sim_pause(struct rt_sim_node *node) {
    if (!node->running || node->paused) return;
    sim_trace(node->sim, SIM_PAUSE, node, node->incarnation, 0, 0);
    node->paused = true;
    turns_stop(node);
}

void rt_sim_resume(struct rt_sim_node *node) {
    if (!node->paused) return;
    sim_trace(node->sim, SIM_RESUME, node, node->incarnation, 0, 0);
    node->paused = false;
    turns_replan(node);
    sim_work_resume(node);
}

// THE NODE

// Streams of its own for each purpose: a new draw of one node, or of one kind, shifts no other.
static void node_random(struct rt_sim_node *node, struct rt_random *random, const char *purpose) {
    char name[128];
    snprintf(name, sizeof name, "%u/%s", node->index, purpose);
    rt_random_split(random, node->sim->options.seed, name);
}

static void loops_init(struct rt_sim_node *node) {
    node->drivers = rt_alloc_zero(node->loop_count, sizeof *node->drivers);
    for (unsigned i = 0; i < node->loop_count; i++) {
        struct sim_loop *driver = &node->drivers[i];
        sim_event_init(&driver->turn, node->sim, node, SIM_TURN, turn_run);
        driver->node = node;
        driver->index = i;
    }
}

static void nodes_push(struct rt_sim *sim, struct rt_sim_node *node) {
    for (unsigned i = 0; i < sim->node_count; i++) {
        assert(strcmp(sim->nodes[i]->name, node->name) != 0);  // names are hosts
    }
    sim->nodes = rt_realloc(sim->nodes, (sim->node_count + 1) * sizeof(struct rt_sim_node *));
    sim->nodes[sim->node_count++] = node;
}

struct rt_sim_node *rt_sim_node_add(struct rt_sim *sim, const char *name, unsigned loop_count,
                                    struct rt_sim_program *program) {
    assert(loop_count > 0 && program->boot);
    struct rt_heap *inside = sim_world_enter();
    struct rt_sim_node *node = RT_NEW(struct rt_sim_node);
    node->sim = sim;
    node->index = sim->node_count;
    node->name = rt_strdup(name);
    node->loop_count = loop_count;
    node->program = program;
    node->machine.name = node->name;
    node->log_sink.line = on_log_line;
    rt_list_init(&node->works);
    node_random(node, &node->cpu_random, "cpu");
    node_random(node, &node->clock_random, "clock");
    node_random(node, &node->disk_random, "disk");
    node_random(node, &node->entropy_random, "entropy");
    rt_sim_cpu(node, 0, 2 * RT_NS_PER_US, RT_NS_PER_US, 50 * RT_NS_PER_US);
    loops_init(node);
    sim_clock_init(node);
    nodes_push(sim, node);
    sim_net_node_add(node);
    sim_disk_new(node);
    sim_world_leave(inside);
    return node;
}

void sim_node_free(struct rt_sim_node *node) {
    assert(!node->running);
    sim_disk_free(node);
    sim_chances_free(node);
    rt_free(node->drivers);
    rt_free(node->name);
    rt_free(node);
}

const char *rt_sim_node_name(const struct rt_sim_node *node) {
    return node->name;
}

void rt_sim_cpu(struct rt_sim_node *node, uint64_t turn_min_ns, uint64_t turn_max_ns,
                uint64_t work_min_ns, uint64_t work_max_ns) {
    assert(turn_min_ns <= turn_max_ns && work_min_ns <= work_max_ns);
    node->turn_min_ns = turn_min_ns;
    node->turn_max_ns = turn_max_ns;
    node->work_min_ns = work_min_ns;
    node->work_max_ns = work_max_ns;
}
