// The Prometheus text format (0.0.4) of one metric. Private to runtime/.
#ifndef GEMINGA_RUNTIME_METRICS_FORMAT_H
#define GEMINGA_RUNTIME_METRICS_FORMAT_H

#include "runtime/metrics.h"

void rt_metric_format_header(struct rt_buf *out, const char *name, const char *help,
                             enum rt_metric_kind shown_as);
void rt_metric_format(struct rt_buf *out, struct rt_metric *metric);  // its sample lines

#endif
