// Blocking work: runs in one piece at a drawn time after its submission, so works overlap and
// overtake as on a pool of threads. A paused node's work waits; a crashed node's is forgotten.
#include <assert.h>

#include "runtime/sim/sim_internal.h"

struct sim_work {
    struct sim_event event;
    struct rt_work *work;
    struct rt_list link;  // of node->works, in order of submission; or of sim->work_pool
    bool held;            // its time came while the node was paused
};

static void work_drop(struct sim_work *job) {
    rt_list_remove(&job->link);
    rt_list_push_back(&job->event.sim->work_pool, &job->link);
}

static void work_run(struct sim_event *event) {
    struct sim_work *job = rt_container_of(event, struct sim_work, event);
    struct rt_sim_node *node = event->node;
    assert(node->running);
    if (node->paused) {
        job->held = true;
        return;
    }
    struct rt_work *work = job->work;
    work_drop(job);
    sim_trace(node->sim, SIM_WORK_RUN, node, work->name ? sim_hash_text(work->name) : 0, 0, 0);
    struct rt_heap *outside = sim_node_enter(node);
    work->run(work);
    rt_work_finished(work);
    sim_node_leave(node, outside);
}

static struct sim_work *work_take(struct rt_sim *sim) {
    struct rt_list *link = rt_list_pop_front(&sim->work_pool);
    if (link) return rt_container_of(link, struct sim_work, link);
    struct rt_heap *inside = sim_world_enter();
    struct sim_work *job = RT_NEW(struct sim_work);
    sim_world_leave(inside);
    rt_list_init(&job->link);
    return job;
}

void sim_work_submit(struct rt_machine *machine, struct rt_work *work) {
    struct rt_sim_node *node = sim_node_of(machine);
    struct rt_sim *sim = node->sim;
    struct sim_work *job = work_take(sim);
    sim_event_init(&job->event, sim, node, SIM_WORK_RUN, work_run);
    job->work = work;
    job->held = false;
    rt_list_push_back(&node->works, &job->link);
    uint64_t delay_ns = rt_random_between(&node->cpu_random, node->work_min_ns, node->work_max_ns);
    sim_schedule(sim, &job->event, sim->now_ns + delay_ns);
}

void sim_work_crash(struct rt_sim_node *node) {
    rt_list_each_safe (link, &node->works) {
        struct sim_work *job = rt_container_of(link, struct sim_work, link);
        sim_cancel(node->sim, &job->event);
        work_drop(job);
    }
}

void sim_work_resume(struct rt_sim_node *node) {
    rt_list_each (link, &node->works) {
        struct sim_work *job = rt_container_of(link, struct sim_work, link);
        if (job->held) sim_schedule(node->sim, &job->event, node->sim->now_ns);
        job->held = false;
    }
}

void sim_work_pool_free(struct rt_sim *sim) {
    struct rt_list *link;
    while ((link = rt_list_pop_front(&sim->work_pool))) {
        rt_free(rt_container_of(link, struct sim_work, link));
    }
}
