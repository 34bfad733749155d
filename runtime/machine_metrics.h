// What a machine measures about itself: turns, callbacks and timers of each loop, its slabs, the
// memory budget. On the real machine runtime/real/process_metrics.h adds the process.
#ifndef GEMINGA_RUNTIME_MACHINE_METRICS_H
#define GEMINGA_RUNTIME_MACHINE_METRICS_H

#include "runtime/machine.h"

struct rt_machine_metrics;

// Registers with machine->metrics, which must be set. Freed before the machine.
struct rt_machine_metrics *rt_machine_metrics_new(struct rt_machine *machine);
void rt_machine_metrics_free(struct rt_machine_metrics *metrics);

#endif
