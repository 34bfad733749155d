// The event queue and the world's own calls: time moves only here.
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "runtime/sim/sim_internal.h"

// THE QUEUE: an implicit heap of four children for each parent, its keys inside the entries so that
// sifting touches no event but the one that moves.

static bool entry_before(const struct sim_queue_entry *a, const struct sim_queue_entry *b) {
    if (a->at_ns != b->at_ns) return a->at_ns < b->at_ns;
    return a->sequence < b->sequence;
}

static void entry_place(struct sim_queue *queue, size_t index, struct sim_queue_entry entry) {
    queue->entries[index] = entry;
    entry.event->heap_index = index;
}

static void sift_up(struct sim_queue *queue, size_t index, struct sim_queue_entry entry) {
    while (index > 0) {
        size_t parent = (index - 1) / 4;
        if (!entry_before(&entry, &queue->entries[parent])) break;
        entry_place(queue, index, queue->entries[parent]);
        index = parent;
    }
    entry_place(queue, index, entry);
}

static size_t first_child(const struct sim_queue *queue, size_t index) {
    size_t child = index * 4 + 1;
    size_t end = child + 4 < queue->count ? child + 4 : queue->count;
    size_t best = child;
    for (size_t other = child + 1; other < end; other++) {
        if (entry_before(&queue->entries[other], &queue->entries[best])) best = other;
    }
    return best;
}

static void sift_down(struct sim_queue *queue, size_t index, struct sim_queue_entry entry) {
    while (index * 4 + 1 < queue->count) {
        size_t child = first_child(queue, index);
        if (!entry_before(&queue->entries[child], &entry)) break;
        entry_place(queue, index, queue->entries[child]);
        index = child;
    }
    entry_place(queue, index, entry);
}

// Puts an entry where it belongs, starting from a place whose former entry is gone.
static void queue_settle(struct sim_queue *queue, size_t index, struct sim_queue_entry entry) {
    if (index > 0 && entry_before(&entry, &queue->entries[(index - 1) / 4])) {
        sift_up(queue, index, entry);
    } else {
        sift_down(queue, index, entry);
    }
}

static void queue_grow(struct sim_queue *queue) {
    struct rt_heap *inside = sim_world_enter();
    queue->capacity = queue->capacity ? queue->capacity * 2 : 256;
    queue->entries = rt_realloc(queue->entries, queue->capacity * sizeof *queue->entries);
    sim_world_leave(inside);
}

void sim_event_init(struct sim_event *event, struct rt_sim *sim, struct rt_sim_node *node,
                    enum sim_kind kind, void (*run)(struct sim_event *event)) {
    *event = (struct sim_event){
        .run = run, .sim = sim, .node = node, .kind = kind, .heap_index = SIM_EVENT_IDLE};
}

void sim_schedule(struct rt_sim *sim, struct sim_event *event, uint64_t at_ns) {
    assert(event->run);
    struct sim_queue *queue = &sim->queue;
    struct sim_queue_entry entry = {
        .at_ns = at_ns < sim->now_ns ? sim->now_ns : at_ns,
        .sequence = queue->sequence++,
        .event = event,
    };
    if (sim_is_scheduled(event)) {
        queue_settle(queue, event->heap_index, entry);
        return;
    }
    if (queue->count == queue->capacity) queue_grow(queue);
    sift_up(queue, queue->count++, entry);
}

void sim_cancel(struct rt_sim *sim, struct sim_event *event) {
    if (!sim_is_scheduled(event)) return;
    struct sim_queue *queue = &sim->queue;
    size_t index = event->heap_index;
    assert(queue->entries[index].event == event);
    event->heap_index = SIM_EVENT_IDLE;
    struct sim_queue_entry last = queue->entries[--queue->count];
    if (index < queue->count) queue_settle(queue, index, last);
}

uint64_t sim_event_at(const struct rt_sim *sim, const struct sim_event *event) {
    assert(sim_is_scheduled(event));
    return sim->queue.entries[event->heap_index].at_ns;
}

// MEMORY OF THE WORLD

struct rt_heap *sim_world_enter(void) {
    return rt_heap_enter(NULL);
}

void sim_world_leave(struct rt_heap *inside) {
    struct rt_heap *outside = rt_heap_enter(inside);
    assert(!outside);
    (void)outside;
}

// SCRIPTS

struct sim_script {
    struct sim_event event;
    struct rt_sim_event *script;
    struct rt_list link;
};

static void script_run(struct sim_event *event) {
    struct sim_script *step = rt_container_of(event, struct sim_script, event);
    struct rt_sim *sim = event->sim;
    struct rt_sim_event *script = step->script;
    rt_list_remove(&step->link);
    rt_free(step);
    sim_trace_text(sim, SIM_SCRIPT, NULL, script->name ? script->name : "", 0);
    script->run(script, sim);
}

void rt_sim_schedule(struct rt_sim *sim, struct rt_sim_event *event, uint64_t after_ns) {
    struct rt_heap *inside = sim_world_enter();
    struct sim_script *step = RT_NEW(struct sim_script);
    sim_event_init(&step->event, sim, NULL, SIM_SCRIPT, script_run);
    step->script = event;
    rt_list_push_back(&sim->scripts, &step->link);
    sim_schedule(sim, &step->event, sim->now_ns + after_ns);
    sim_world_leave(inside);
}

static void scripts_free(struct rt_sim *sim) {
    rt_list_each_safe (link, &sim->scripts) {
        struct sim_script *step = rt_container_of(link, struct sim_script, link);
        sim_cancel(sim, &step->event);
        rt_free(step);
    }
}

// THE WORLD

struct rt_sim *rt_sim_new(const struct rt_sim_options *options) {
    struct rt_sim *sim = RT_NEW(struct rt_sim);
    sim->options = *options;
    if (options->trace_path) sim->options.trace_path = rt_strdup(options->trace_path);
    if (options->replay) sim->options.replay = rt_strdup(options->replay);
    rt_random_split(&sim->workload, options->seed, "workload");
    rt_random_split(&sim->net_random, options->seed, "net");
    rt_random_split(&sim->chaos_random, options->seed, "chaos");
    rt_list_init(&sim->checks);
    rt_list_init(&sim->scripts);
    rt_list_init(&sim->work_pool);
    sim_backend_fill(&sim->backend);
    sim->net = sim_net_new(sim);
    sim_deathbed_install();
    if (!sim_trace_open(sim))
        rt_sim_fail(sim, "trace file %s cannot be written", options->trace_path);
    return sim;
}

void rt_sim_free(struct rt_sim *sim) {
    if (!sim) return;
    sim_chaos_free(sim);
    for (unsigned i = 0; i < sim->node_count; i++) rt_sim_crash(sim->nodes[i], RT_SIM_KILL);
    sim_net_free(sim);
    for (unsigned i = 0; i < sim->node_count; i++) sim_node_free(sim->nodes[i]);
    scripts_free(sim);
    sim_work_pool_free(sim);
    assert(sim->queue.count == 0);
    sim_trace_close(sim);
    rt_free(sim->nodes);
    rt_free(sim->queue.entries);
    rt_free(sim->failure);
    rt_free((void *)(uintptr_t)sim->options.trace_path);
    rt_free((void *)(uintptr_t)sim->options.replay);
    rt_free(sim);
}

uint64_t rt_sim_now(const struct rt_sim *sim) {
    return sim->now_ns;
}

uint64_t rt_sim_events(const struct rt_sim *sim) {
    return sim->event_count;
}

struct rt_random *rt_sim_random(struct rt_sim *sim) {
    return &sim->workload;
}

void rt_sim_add_check(struct rt_sim *sim, struct rt_sim_check *check) {
    rt_list_push_back(&sim->checks, &check->link);
}

static void run_checks(struct rt_sim *sim) {
    rt_list_each_safe (link, &sim->checks) {
        struct rt_sim_check *check = rt_container_of(link, struct rt_sim_check, link);
        check->check(check, sim);
    }
}

bool rt_sim_step(struct rt_sim *sim) {
    struct sim_queue *queue = &sim->queue;
    if (sim->failed || queue->count == 0) return false;
    struct sim_event *event = queue->entries[0].event;
    uint64_t at_ns = queue->entries[0].at_ns;
    assert(at_ns >= sim->now_ns);
    sim_cancel(sim, event);
    sim->now_ns = at_ns;
    sim->event_count++;
    sim_deathbed_running(sim);
    event->run(event);
    run_checks(sim);
    sim_deathbed_running(NULL);
    return true;
}

static bool step_before(struct rt_sim *sim, uint64_t end_ns) {
    if (sim->queue.count == 0 || sim->queue.entries[0].at_ns > end_ns) return false;
    return rt_sim_step(sim);
}

void rt_sim_run_for(struct rt_sim *sim, uint64_t duration_ns) {
    uint64_t end_ns = sim->now_ns + duration_ns;
    while (step_before(sim, end_ns)) continue;
    if (!sim->failed) sim->now_ns = end_ns;
}

bool rt_sim_run_until(struct rt_sim *sim, struct rt_sim_condition *condition,
                      uint64_t duration_ns) {
    uint64_t end_ns = sim->now_ns + duration_ns;
    while (!condition->done(condition)) {
        if (step_before(sim, end_ns)) continue;
        if (!sim->failed) sim->now_ns = end_ns;
        return false;
    }
    return true;
}

// FAILURE

static void announce_failure(struct rt_sim *sim) {
    fprintf(stderr, "simulation failed: %s\n  at=%llu ns seed=%llu events=%llu trace=%016llx\n",
            sim->failure, (unsigned long long)sim->now_ns, (unsigned long long)sim->options.seed,
            (unsigned long long)sim->event_count, (unsigned long long)rt_sim_trace_hash(sim));
    sim_replay_print(sim, stderr);
    fflush(stderr);
}

void rt_sim_fail(struct rt_sim *sim, const char *format, ...) {
    if (sim->failed) return;
    struct rt_heap *inside = sim_world_enter();
    char line[RT_WHY_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    sim->failure = rt_strdup(line);
    sim->failed = true;
    sim_trace_text(sim, SIM_FAILED, NULL, line, 0);
    announce_failure(sim);
    sim_world_leave(inside);
}

bool rt_sim_failed(const struct rt_sim *sim) {
    return sim->failed;
}

const char *rt_sim_failure(const struct rt_sim *sim) {
    return sim->failure;
}
