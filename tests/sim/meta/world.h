// A metadata cluster in the simulator: production nodes, clients that use the production client,
// and what must hold among the nodes after every event.
#ifndef GEMINGA_TESTS_SIM_META_WORLD_H
#define GEMINGA_TESTS_SIM_META_WORLD_H

#include "meta/client/client.h"
#include "meta/server/node/node.h"
#include "runtime/sim/sim.h"
#include "tests/sim/meta/history.h"

enum { WORLD_NODES_MAX = 5, WORLD_CLIENTS_MAX = 6, WORLD_KEYS = 6, WORLD_LANES = 3 };

struct world;

// A server process. The struct survives its crashes, `node` does not.
struct world_node {
    struct rt_sim_program program;
    struct world *world;
    unsigned id;  // from 1
    struct rt_sim_node *sim_node;
    struct meta_node *node;
    struct meta_zoo_config config;
    struct rt_http_owner owner;
    struct rt_sim_event restart;
    uint64_t term, applied;  // as last seen in this life
    bool failed;
    bool retired;  // its disk rotted, and it refused to start
};

struct world_lane {
    struct meta_client_op op;
    struct rt_timer pace;
    struct world_client *client;
    struct history_op doing;
    bool busy;
    bool arms;  // the read under way registers the key's watch
};

struct world_key {
    struct meta_client_watch watch;
    struct world_client *client;
    bool arming, armed;
    int64_t mzxid;  // of what the read saw that armed it
};

struct world_client {
    struct rt_sim_program program;
    struct world *world;
    unsigned index;
    struct rt_machine *machine;
    struct rt_loop *loop;
    struct meta_client *client;
    struct meta_client_owner owner;
    struct world_lane lanes[WORLD_LANES];
    struct world_key keys[WORLD_KEYS];
    struct rt_task closed;
    struct rt_timer reopen;
    uint64_t sessions, answers, next_value, acked;
    bool stopping, over;
    struct meta_client_op parent_op;
    bool creates_parent;
};

struct world_options {
    uint64_t seed;
    unsigned nodes, clients;
    unsigned planted_bugs;  // of meta/raft/bugs.h
    bool no_sync;           // a planted bug: acknowledged before it is durable
    uint64_t snapshot_entries;
    bool bit_rot, disk_errors;
    const char *replay;
};

struct world {
    struct world_options options;
    struct rt_sim *sim;
    struct world_node nodes[WORLD_NODES_MAX];
    struct world_client clients[WORLD_CLIENTS_MAX];
    struct rt_sim_node *sim_nodes[WORLD_NODES_MAX];
    struct rt_random random;
    struct rt_sim_check check;
    struct history history;
    uint64_t *leaders;  // by term
    size_t leader_count;
    struct world_digest {
        uint64_t digest;
        unsigned node;
        bool known;
    } * digests;  // by applied index
    size_t digest_count;
};

void world_open(struct world *world, const struct world_options *options);
void world_close(struct world *world);

// nodes.c
void world_node_init(struct world *world, unsigned id);
void world_check_nodes(struct rt_sim_check *check, struct rt_sim *sim);
// clients.c
void world_client_init(struct world *world, unsigned index);
uint64_t world_acked(const struct world *world);         // writes
void world_stop_clients(struct world *world);            // they close their sessions ...
bool world_clients_are_over(const struct world *world);  // ... and have done so

#endif
