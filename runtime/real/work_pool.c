#include "runtime/real/work_pool.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>

#include "runtime/backend.h"
#include "runtime/real/loop_thread.h"
#include "runtime/real/machine.h"

struct real_work_pool {
    struct rt_machine *machine;
    struct real_thread **threads;
    unsigned thread_count, thread_count_max;
    pthread_mutex_t lock;  // guards what follows
    pthread_cond_t changed;
    struct rt_work *first, *last;
    atomic_size_t queued;  // read without the lock too
    size_t waiting;        // threads without work, also those that are about to wake
    bool stopping;
};

struct worker {
    struct real_adopter adopter;
    struct real_work_pool *pool;
};

static bool pool_is_quiet(struct real_work_pool *pool) {
    return atomic_load_explicit(&pool->queued, memory_order_relaxed) == 0;
}

static bool worker_may_go_on(struct real_adopter *adopter) {
    return pool_is_quiet(rt_container_of(adopter, struct worker, adopter)->pool);
}

// The oldest work, or NULL when the pool ends.
static struct rt_work *pool_take(struct real_work_pool *pool) {
    pthread_mutex_lock(&pool->lock);
    while (!pool->first && !pool->stopping) {
        pool->waiting++;
        pthread_cond_wait(&pool->changed, &pool->lock);
        pool->waiting--;
    }
    struct rt_work *work = pool->first;
    if (work) {
        pool->first = work->next;
        if (!pool->first) pool->last = NULL;
        atomic_fetch_sub_explicit(&pool->queued, 1, memory_order_relaxed);
    }
    pthread_mutex_unlock(&pool->lock);
    return work;
}

// Without more work this thread would sleep, so it rather runs the turn that the completion asks
// for.
static void worker_finish(struct worker *worker, struct rt_work *work) {
    if (!pool_is_quiet(worker->pool)) {
        rt_work_finished(work);
        return;
    }
    real_adopter_begin(&worker->adopter);
    rt_work_finished(work);
    real_adopter_end();
}

static void worker_run(void *argument) {
    struct worker worker = {.adopter.may_go_on = worker_may_go_on, .pool = argument};
    rt_machine_enter(worker.pool->machine);
    for (struct rt_work *work; (work = pool_take(worker.pool));) {
        work->run(work);
        worker_finish(&worker, work);
    }
    rt_machine_leave();
}

// Under the lock. Each waiting thread, signalled or not, takes one of the queued works.
static void pool_rouse(struct real_work_pool *pool) {
    pthread_cond_signal(&pool->changed);
    if (atomic_load(&pool->queued) <= pool->waiting) return;
    if (pool->thread_count == pool->thread_count_max) return;
    char name[16];
    snprintf(name, sizeof(name), "worker-%u", pool->thread_count % 1000000);
    pool->threads[pool->thread_count++] = real_thread_start(name, worker_run, pool);
}

void real_work_pool_submit(struct real_work_pool *pool, struct rt_work *work) {
    work->next = NULL;
    pthread_mutex_lock(&pool->lock);
    assert(!pool->stopping);
    if (pool->last) {
        pool->last->next = work;
    } else {
        pool->first = work;
    }
    pool->last = work;
    atomic_fetch_add_explicit(&pool->queued, 1, memory_order_relaxed);
    pool_rouse(pool);
    pthread_mutex_unlock(&pool->lock);
}

struct real_work_pool *real_work_pool_new(struct rt_machine *machine, unsigned thread_count) {
    assert(thread_count > 0);
    struct real_work_pool *pool = RT_NEW(struct real_work_pool);
    pool->machine = machine;
    pool->threads = rt_alloc_zero(thread_count, sizeof(pool->threads[0]));
    pool->thread_count_max = thread_count;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->changed, NULL);
    return pool;
}

void real_work_pool_free(struct real_work_pool *pool) {
    pthread_mutex_lock(&pool->lock);
    assert(!pool->first);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->thread_count; i++) real_thread_join(pool->threads[i]);
    pthread_cond_destroy(&pool->changed);
    pthread_mutex_destroy(&pool->lock);
    rt_free(pool->threads);
    rt_free(pool);
}
