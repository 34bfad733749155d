// The worker threads of a real machine. Private to runtime/real/.
#ifndef GEMINGA_RUNTIME_REAL_WORK_POOL_H
#define GEMINGA_RUNTIME_REAL_WORK_POOL_H

#include "runtime/work.h"

struct real_work_pool;

// Starts a thread when there is work and none is idle, up to thread_count.
struct real_work_pool *real_work_pool_new(struct rt_machine *machine, unsigned thread_count);
void real_work_pool_submit(struct real_work_pool *pool, struct rt_work *work);
void real_work_pool_free(struct real_work_pool *pool);  // nothing may be queued or running

#endif
