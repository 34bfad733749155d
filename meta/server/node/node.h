// A whole metadata node: replica, ZooKeeper server and admin HTTP, from one configuration.
//
// A value: everything hangs off the struct and is reached through its machine, so the simulator
// runs five of them in a process, and `standalone` one beside other tiers. Loop: the machine's
// first.
#ifndef GEMINGA_META_SERVER_NODE_NODE_H
#define GEMINGA_META_SERVER_NODE_NODE_H

#include "meta/server/node/zoo_config.h"
#include "meta/server/zk/server.h"
#include "runtime/http.h"

struct meta_node;

struct meta_node_options {
    const struct meta_zoo_config *config;  // borrowed while the node lives
    const char *version;
    bool no_admin;          // standalone has an HTTP server of its own
    unsigned planted_bugs;  // tests only
    // The node cannot go on (disk, removed, corrupt): close it, exit with this text. On the loop.
    void (*failed)(struct meta_node *node, rt_err err, const char *what);
    void (*serving)(struct meta_node *node);  // serves clients for the first time; may be NULL
    struct rt_http_owner *owner;              // recovered by callbacks: meta_node_owner
};

// Blocks. `why` says where, what and what to do. Listens on the client port at once; clients are
// served as soon as there is a leader. After a failure there is no node; what was opened is closed
// in the loop's next turns, and borrows the configuration until then.
RT_CHECK
rt_err meta_node_open_now(struct rt_machine *machine, const struct meta_node_options *options,
                          struct meta_node **node, struct rt_why *why);
struct rt_http_owner *meta_node_owner(const struct meta_node *node);
uint16_t meta_node_client_port(const struct meta_node *node);
uint16_t meta_node_secure_port(const struct meta_node *node);  // 0: none
uint16_t meta_node_admin_port(const struct meta_node *node);   // 0: none
struct meta_replica *meta_node_replica(struct meta_node *node);
struct meta_server *meta_node_server(struct meta_node *node);
// On the loop; gives leadership away first where it can. Then `closed`; the node is freed.
void meta_node_close(struct meta_node *node, struct rt_task *closed);

// AdminServer's routes (/commands/...) and ours for operators (/meta/...), for whoever serves HTTP
// in its place.
extern const struct rt_http_route meta_admin_routes[];
extern const size_t meta_admin_route_count;

#endif
