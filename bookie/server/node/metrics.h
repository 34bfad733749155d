// What a bookie measures, under BookKeeper's names. Private to bookie/server/node.
#ifndef GEMINGA_BOOKIE_SERVER_NODE_METRICS_H
#define GEMINGA_BOOKIE_SERVER_NODE_METRICS_H

struct bookie_node;
struct bookie_metrics;

struct bookie_metrics *bookie_metrics_new(struct bookie_node *node);
void bookie_metrics_free(struct bookie_metrics *metrics);  // NULL is allowed

#endif
