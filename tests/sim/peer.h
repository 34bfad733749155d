// A small program for the simulator's own tests: it listens, dials, sends frames and remembers what
// it saw. The struct belongs to the test and survives the node's crashes.
#ifndef GEMINGA_TESTS_SIM_PEER_H
#define GEMINGA_TESTS_SIM_PEER_H

#include "runtime/sim/sim.h"
#include "runtime/stream.h"

enum { PEER_PORT = 7000 };

struct peer {
    struct rt_sim_program program;
    struct rt_sim *sim;
    struct rt_sim_node *node;

    // What it does. Set before its node starts.
    const char *listen;      // address, or NULL
    const char *dial;        // address, or NULL
    bool echoes;             // every frame goes back
    bool deaf;               // accepts, and never reads
    bool redials;            // after its connection closed, 10 ms later
    bool refuses;            // what comes in
    size_t frame_size;       // of what it sends; 0: 64
    unsigned burst;          // frames sent when its connection opened
    uint64_t ping_every_ns;  // sends one frame so often while it is connected; 0: never
    bool pings_in_turn;      // sends the next frame when the last came back

    // What it saw.
    unsigned boots, crashes, opened, accepted, closed, frames, pings;
    uint64_t bytes, opened_ns, closed_ns, first_frame_ns, last_frame_ns;
    rt_err why;  // of the last close
    unsigned why_count[RT_ERR_COUNT];
    bool damaged;  // a frame came with other bytes than were sent
    uint64_t next_number, expected_number;
    rt_err listen_err;
    uint16_t port;

    // Its process, while that lives.
    struct rt_machine *machine;
    struct rt_loop *loop;
    struct rt_listener listener;
    struct rt_conn conn;  // dialed
    bool is_connected;
    struct rt_timer ping, redial;
    struct rt_task close_task;
};

// Adds a node that runs the peer and starts it.
void peer_start(struct peer *peer, struct rt_sim *sim, const char *name);
void peer_add(struct peer *peer, struct rt_sim *sim, const char *name, unsigned loop_count);
// From the test: its dialed connection closes.
void peer_close(struct peer *peer);

// A sim with this seed, and a server ("server") and a client ("client") that dials it; started.
struct pair {
    struct rt_sim *sim;
    struct peer server, client;
};
void pair_open(struct pair *pair, uint64_t seed);  // nodes added, not started: options may be set
void pair_start(struct pair *pair);
void pair_connect(struct pair *pair);  // started, and until the client is connected
void pair_close(struct pair *pair);

#endif
