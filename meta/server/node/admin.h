// The inside of a node, for the HTTP routes. Private to meta/server/node.
#ifndef GEMINGA_META_SERVER_NODE_ADMIN_H
#define GEMINGA_META_SERVER_NODE_ADMIN_H

#include "meta/server/node/metrics.h"
#include "meta/server/node/node.h"

struct meta_node {
    struct rt_machine *machine;
    struct rt_loop *loop;
    struct meta_node_options options;
    struct meta_replica_events events;
    struct meta_replica *replica;
    struct meta_server *server;
    struct meta_metrics *metrics;
    struct rt_http_server *admin;
    struct rt_http_owner admin_owner;
    struct rt_http_closing admin_closing;
    bool served;
    struct rt_task *closed;
    struct rt_task part_closed;
    struct rt_timer transfer_timer;
    uint64_t transfer_end_ns;
};

// admin_commands.c
void meta_admin_commands_list(struct rt_http_request *request);
void meta_admin_command(struct rt_http_request *request);

#endif
