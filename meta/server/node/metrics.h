// What a metadata node measures, under ZooKeeper's names where ZooKeeper has one. Private to
// meta/server/node.
#ifndef GEMINGA_META_SERVER_NODE_METRICS_H
#define GEMINGA_META_SERVER_NODE_METRICS_H

#include "meta/server/zk/server.h"
#include "runtime/metrics.h"

struct meta_metrics;

// Both parts are borrowed; freed before them.
struct meta_metrics *meta_metrics_new(struct rt_machine *machine, struct rt_loop *loop,
                                      struct meta_replica *replica, struct meta_server *server);
void meta_metrics_free(struct meta_metrics *metrics);  // NULL is allowed

#endif
