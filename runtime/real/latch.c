#include "runtime/latch.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>

#include "runtime/loop.h"
#include "runtime/mem.h"

struct rt_latch {
    pthread_mutex_t lock;
    pthread_cond_t opened;
    bool open;
};

struct rt_latch *rt_latch_new(void) {
    struct rt_latch *latch = RT_NEW(struct rt_latch);
    pthread_mutex_init(&latch->lock, NULL);
    pthread_cond_init(&latch->opened, NULL);
    return latch;
}

void rt_latch_free(struct rt_latch *latch) {
    if (!latch) return;
    pthread_cond_destroy(&latch->opened);
    pthread_mutex_destroy(&latch->lock);
    rt_free(latch);
}

// Signalled inside the lock: whoever waited gets it only after this thread let it go, and may then
// free the latch at once.
void rt_latch_open(struct rt_latch *latch) {
    pthread_mutex_lock(&latch->lock);
    latch->open = true;
    pthread_cond_broadcast(&latch->opened);
    pthread_mutex_unlock(&latch->lock);
}

void rt_latch_wait(struct rt_latch *latch) {
    assert(!rt_loop_current());
    pthread_mutex_lock(&latch->lock);
    while (!latch->open) pthread_cond_wait(&latch->opened, &latch->lock);
    pthread_mutex_unlock(&latch->lock);
}
