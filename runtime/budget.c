// A release that makes room and a wait that begins at the same moment must not miss each other: the
// waiter sets `starved` before it reads the use, the releaser lowers the use before it reads
// `starved`, all sequentially consistent; so at least one of them sees the other.
#include <assert.h>

#include "runtime/backend.h"
#include "runtime/mem.h"

struct rt_budget_waiter {
    struct rt_list link;
    struct rt_loop *loop;
    struct rt_task *wake;
};

// Thousands of connections may wait and close at once, so a waiter must be found by its task. While
// it waits, the task's own link, which no queue uses then, leads to it, marked by the lowest bit.
// A task that was posted, or ran, never has that bit: its link is NULL or another task.
enum { WAITING = 1 };

static void task_link(struct rt_task *wake, struct rt_budget_waiter *waiter) {
    wake->next = (struct rt_task *)((uintptr_t)waiter | WAITING);
}

static struct rt_budget_waiter *waiter_of(const struct rt_task *wake) {
    uintptr_t link = (uintptr_t)wake->next;
    return link & WAITING ? (struct rt_budget_waiter *)(link - WAITING) : NULL;
}

void rt_budget_init(struct rt_budget *budget, const char *name, size_t limit_bytes) {
    budget->name = name;
    budget->limit_bytes = limit_bytes;
    atomic_init(&budget->used_bytes, 0);
    atomic_init(&budget->peak_bytes, 0);
    atomic_init(&budget->starved, false);
    pthread_mutex_init(&budget->waiters_lock, NULL);
    rt_list_init(&budget->waiters);
    budget->overdraft = (struct rt_overdraft){0};
}

static void note_peak(struct rt_budget *budget, size_t used) {
    size_t peak = atomic_load_explicit(&budget->peak_bytes, memory_order_relaxed);
    while (used > peak &&
           !atomic_compare_exchange_weak_explicit(&budget->peak_bytes, &peak, used,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

bool rt_budget_try_charge(struct rt_budget *budget, size_t size) {
    size_t used = atomic_load_explicit(&budget->used_bytes, memory_order_relaxed);
    do {
        if (used > budget->limit_bytes || size > budget->limit_bytes - used) return false;
    } while (!atomic_compare_exchange_weak_explicit(&budget->used_bytes, &used, used + size,
                                                    memory_order_relaxed, memory_order_relaxed));
    note_peak(budget, used + size);
    return true;
}

void rt_budget_charge(struct rt_budget *budget, size_t size) {
    size_t used = atomic_fetch_add_explicit(&budget->used_bytes, size, memory_order_relaxed);
    note_peak(budget, used + size);
}

static bool has_room(const struct rt_budget *budget, size_t used) {
    return used <= budget->limit_bytes - budget->limit_bytes / 4;
}

// Posted under the lock: a waiter that forgets meanwhile learns that its task is on its way.
static void wake_waiters(struct rt_budget *budget) {
    pthread_mutex_lock(&budget->waiters_lock);
    atomic_store(&budget->starved, false);
    for (struct rt_list *node; (node = rt_list_pop_front(&budget->waiters));) {
        struct rt_budget_waiter *waiter = rt_container_of(node, struct rt_budget_waiter, link);
        rt_post(waiter->loop, waiter->wake);
        rt_free(waiter);
    }
    pthread_mutex_unlock(&budget->waiters_lock);
}

void rt_budget_release(struct rt_budget *budget, size_t size) {
    size_t used = atomic_fetch_sub(&budget->used_bytes, size);
    assert(used >= size);
    if (atomic_load(&budget->starved) && has_room(budget, used - size)) wake_waiters(budget);
}

size_t rt_budget_used(const struct rt_budget *budget) {
    return atomic_load_explicit(&budget->used_bytes, memory_order_relaxed);
}

void rt_budget_wait(struct rt_budget *budget, struct rt_loop *loop, struct rt_task *wake) {
    struct rt_budget_waiter *waiter = RT_NEW(struct rt_budget_waiter);
    waiter->loop = loop;
    waiter->wake = wake;
    pthread_mutex_lock(&budget->waiters_lock);
    task_link(wake, waiter);
    rt_list_push_back(&budget->waiters, &waiter->link);
    atomic_store(&budget->starved, true);
    pthread_mutex_unlock(&budget->waiters_lock);
    if (has_room(budget, atomic_load(&budget->used_bytes))) wake_waiters(budget);
}

bool rt_budget_forget(struct rt_budget *budget, struct rt_loop *loop, struct rt_task *wake) {
    pthread_mutex_lock(&budget->waiters_lock);
    struct rt_budget_waiter *waiter = waiter_of(wake);
    if (waiter) {
        assert(waiter->loop == loop && waiter->wake == wake);
        (void)loop;
        wake->next = NULL;
        rt_list_remove(&waiter->link);
    }
    if (rt_list_is_empty(&budget->waiters)) atomic_store(&budget->starved, false);
    pthread_mutex_unlock(&budget->waiters_lock);
    rt_free(waiter);
    return waiter != NULL;
}
