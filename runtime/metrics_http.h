// The registry over HTTP, in pieces: a scrape of a million series takes turns with other work and
// holds no more memory than a slow peer may leave waiting.
#ifndef GEMINGA_RUNTIME_METRICS_HTTP_H
#define GEMINGA_RUNTIME_METRICS_HTTP_H

#include "runtime/http.h"

// A handler for GET /metrics: the registry of the machine in the Prometheus text format.
void rt_metrics_reply(struct rt_http_request *request);

#endif
