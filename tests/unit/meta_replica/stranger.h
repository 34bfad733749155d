// Somebody on the network who says to a node's peer port whatever a test wants.
#ifndef GEMINGA_TESTS_UNIT_META_REPLICA_STRANGER_H
#define GEMINGA_TESTS_UNIT_META_REPLICA_STRANGER_H

#include "meta/server/replica/peer_wire.h"
#include "tests/unit/meta_replica/stage.h"

enum { STRANGER_CONNS_MAX = 400 };

struct stranger;

struct stranger_conn {
    struct rt_conn conn;
    struct stranger *stranger;
    bool is_open;
    unsigned frames;  // heard
};

struct stranger {
    struct rt_sim_program program;
    struct stage *stage;
    struct rt_sim_node *sim_node;
    struct rt_machine *machine;
    struct stranger_conn conns[STRANGER_CONNS_MAX];
    struct meta_peer_hello answer;  // the last
    // The act that runs in its loop.
    struct rt_task task;
    void (*act)(struct stranger *stranger);
    bool is_done;
    unsigned conn;
    const char *url;
    struct rt_bytes bytes;
    // Who dials it is counted and hung up on.
    struct rt_listener listener;
    unsigned dialed;
};

// A node "x" in the stage's simulation, which listens on port 2888.
void stranger_open(struct stranger *stranger, struct stage *stage);
void stranger_dial(struct stranger *stranger, unsigned conn, uint64_t node);
void stranger_say(struct stranger *stranger, unsigned conn, struct rt_bytes bytes);  // as they are
void stranger_frame(struct stranger *stranger, unsigned conn, struct rt_bytes frame);
// As node `from` of that cluster.
void stranger_hello(struct stranger *stranger, unsigned conn, uint64_t cluster, uint64_t from,
                    uint64_t to, const char *address);
unsigned stranger_open_count(const struct stranger *stranger);

#endif
