// Receive memory and its budget.
//
// A connection takes the memory it receives into from its budget, and is parked (not read) when
// there is none. Parking must never end in a standstill, so these may go over the limit:
//
//   1. a connection that holds no receive memory gets its first kilobyte: with it, it reads any
//      frame of that size for as long as nobody keeps the bytes of the one before;
//   2. a dialed connection: what comes in on it was asked for by us, and often is what frees the
//      memory that others wait for (an acknowledgement, an answer);
//   3. whoever asks while three quarters of the limit or less are used: one frame larger than what
//      is left fits by going over;
//   4. one accepted connection at a time that is in the middle of a frame, until nobody holds that
//      frame any more: so when all of the budget is in unfinished frames, they are finished one by
//      one, first parked first served.
//
// What 3 and 4 go over by is at most one frame for each loop and one more; what 1 goes over by is
// a kilobyte for each connection; 2 is bounded by our own requests.
#include <assert.h>

#include "runtime/backend.h"
#include "runtime/stream_private.h"

static const uint64_t settle_ms = 10;

static bool has_room(struct rt_budget *budget) {
    return rt_budget_used(budget) <= budget->limit_bytes - budget->limit_bytes / 4;
}

// Rule 4. The holder keeps its right until its frame is complete; the others stand in a queue.
static bool overdraft_take(struct rt_conn *conn) {
    struct rt_budget *budget = conn->options.budget;
    struct rt_overdraft *overdraft = &budget->overdraft;
    pthread_mutex_lock(&budget->waiters_lock);
    if (!overdraft->holder) overdraft->holder = conn;
    bool taken = overdraft->holder == conn;
    if (!taken && !conn->in_overdraft_queue) {
        conn->in_overdraft_queue = true;
        conn->next_overdraft = NULL;
        if (overdraft->last) overdraft->last->next_overdraft = conn;
        if (!overdraft->last) overdraft->first = conn;
        overdraft->last = conn;
    }
    pthread_mutex_unlock(&budget->waiters_lock);
    return taken;
}

// Under the lock. The next one learns of it by its task, which it waits for before it goes away.
static void overdraft_pass_on(struct rt_overdraft *overdraft) {
    struct rt_conn *next = overdraft->first;
    overdraft->holder = next;
    if (!next) return;
    overdraft->first = next->next_overdraft;
    if (!overdraft->first) overdraft->last = NULL;
    next->in_overdraft_queue = false;
    next->grant_posted = true;
    rt_post(next->loop, &next->grant);
}

static void overdraft_unqueue(struct rt_overdraft *overdraft, struct rt_conn *conn) {
    if (!conn->in_overdraft_queue) return;
    struct rt_conn **at = &overdraft->first;
    struct rt_conn *before = NULL;
    for (; *at != conn; at = &(*at)->next_overdraft) before = *at;
    *at = conn->next_overdraft;
    if (overdraft->last == conn) overdraft->last = before;
    conn->in_overdraft_queue = false;
}

static void unpark(struct rt_conn *conn) {
    if (!conn->parked) return;
    conn->parked = false;
    rt_input_restart_clocks(conn);
    rt_input_continue(conn);
}

static void overdraft_end(struct rt_conn *conn) {
    if (!conn->overdraws) return;
    conn->overdraws = false;
    conn->overdraft_spent = false;
    struct rt_budget *budget = conn->options.budget;
    pthread_mutex_lock(&budget->waiters_lock);
    assert(budget->overdraft.holder == conn);
    overdraft_pass_on(&budget->overdraft);
    pthread_mutex_unlock(&budget->waiters_lock);
}

// A slab tells nobody when its last slice goes, so the one holder looks again every few
// milliseconds.
void rt_input_overdraft_settle(struct rt_conn *conn) {
    if (!conn->overdraws) return;
    const struct rt_slab *slab = conn->in.slab;
    if (slab && atomic_load_explicit(&slab->refs, memory_order_acquire) > 1) {
        conn->overdraft_spent = true;
        rt_limits_watch(conn, rt_loop_now(conn->loop), settle_ms);
        return;
    }
    overdraft_end(conn);
    unpark(conn);
}

static bool may_go_over(struct rt_conn *conn) {
    bool mid_frame = conn->in.end > conn->in.start;
    if (!conn->in.slab || conn->dialed || has_room(conn->options.budget)) return true;
    if (!mid_frame) return false;
    if (!conn->overdraws) conn->overdraws = overdraft_take(conn);
    return conn->overdraws && !conn->overdraft_spent;
}

static struct rt_slab *slab_of_charged(struct rt_conn *conn, size_t size) {
    struct rt_slab *slab = rt_slab_get(rt_loop_slabs(conn->loop), size, NULL);
    slab->budget = conn->options.budget;  // it was charged by the caller
    return slab;
}

static void park(struct rt_conn *conn) {
    conn->parked = true;
    if (conn->wake_waits) return;
    conn->wake_waits = true;
    rt_budget_wait(conn->options.budget, conn->loop, &conn->wake);
}

struct rt_slab *rt_input_slab(struct rt_conn *conn, size_t size, size_t least) {
    struct rt_budget *budget = conn->options.budget;
    size_t charge = rt_slab_charge_size(size);
    if (rt_budget_try_charge(budget, charge)) return slab_of_charged(conn, size);
    charge = rt_slab_charge_size(least);
    if (!rt_budget_try_charge(budget, charge)) {
        if (!may_go_over(conn)) {
            park(conn);
            return NULL;
        }
        rt_budget_charge(budget, charge);
    }
    return slab_of_charged(conn, least);
}

static void wake_run(struct rt_task *task) {
    struct rt_conn *conn = rt_container_of(task, struct rt_conn, wake);
    conn->wake_waits = false;
    if (conn->state == CONN_OPEN) unpark(conn);
    rt_conn_task_ran(conn);
}

static void grant_run(struct rt_task *task) {
    struct rt_conn *conn = rt_container_of(task, struct rt_conn, grant);
    struct rt_budget *budget = conn->options.budget;
    pthread_mutex_lock(&budget->waiters_lock);
    conn->grant_posted = false;
    pthread_mutex_unlock(&budget->waiters_lock);
    conn->overdraws = true;
    if (conn->state == CONN_OPEN && conn->parked)
        unpark(conn);
    else
        overdraft_end(conn);
    rt_conn_task_ran(conn);
}

void rt_input_budget_init(struct rt_conn *conn) {
    rt_task_init(&conn->wake, wake_run, conn->events->name);
    rt_task_init(&conn->grant, grant_run, conn->events->name);
}

bool rt_input_budget_fini(struct rt_conn *conn) {
    struct rt_budget *budget = conn->options.budget;
    conn->parked = false;
    overdraft_end(conn);
    if (conn->wake_waits && rt_budget_forget(budget, conn->loop, &conn->wake))
        conn->wake_waits = false;
    pthread_mutex_lock(&budget->waiters_lock);
    overdraft_unqueue(&budget->overdraft, conn);
    bool granted = conn->grant_posted;
    pthread_mutex_unlock(&budget->waiters_lock);
    return !conn->wake_waits && !granted;
}
