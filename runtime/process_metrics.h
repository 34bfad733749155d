// The process as Prometheus clients show it (process_resident_memory_bytes and so on), and which
// build it is. For cli/, once per process; the real machine only.
#ifndef GEMINGA_RUNTIME_PROCESS_METRICS_H
#define GEMINGA_RUNTIME_PROCESS_METRICS_H

#include "runtime/metrics.h"

struct rt_process_metrics;

struct rt_process_metrics *rt_process_metrics_new(struct rt_metrics *metrics, const char *version);
void rt_process_metrics_free(struct rt_process_metrics *metrics);

#endif
