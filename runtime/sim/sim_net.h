// The inside of the simulated network: what its files share. Private to runtime/sim/.
//
// A connection has two ends and two pipes. A pipe carries what one end's process wrote: segments in
// flight with their times of arrival, then bytes that the other kernel holds for its process. A
// segment that meets a cut link or a host that is down is held and tried again when either comes
// back, as TCP's retransmissions do; the sender gives up when nothing was answered for the
// patience.
//
// All of it belongs to the world: a crash takes the process from its end, and the end goes on as
// the kernel (killed process) or as silence (lost power) would.
#ifndef GEMINGA_RUNTIME_SIM_SIM_NET_H
#define GEMINGA_RUNTIME_SIM_SIM_NET_H

#include "runtime/sim/sim_internal.h"

enum {
    SIM_WINDOW = 256 << 10,  // bytes sent and not read, for each direction
    SIM_SEGMENT_MIN = 1460,
    SIM_SEGMENT_MAX = 64 << 10,
    SIM_PIECES_MAX = 16,          // of one send
    SIM_ODD_PER_MILLION = 125000  // how often a read, a write or a segment is cut short
};

struct sim_link {  // one direction between two nodes
    struct rt_sim_link config;
    uint64_t free_ns;  // until then its bandwidth is taken
    bool cut;
};

struct sim_net {
    struct rt_sim *sim;
    struct rt_sim_link default_link;
    uint64_t patience_ns;
    struct rt_list conns;  // struct sim_conn, oldest first
    uint64_t conn_count;   // ever made: their ids
};

struct sim_net_node {
    struct sim_link *links;  // to each node, by its index
    unsigned link_count;
    struct rt_list listeners;
    uint32_t port_next;  // for listeners on port 0, and for the peers' names
    bool host_down;      // lost power and has not started again
};

enum sim_segment_kind { SIM_SEGMENT_DATA, SIM_SEGMENT_OPEN, SIM_SEGMENT_END, SIM_SEGMENT_RESET };

struct sim_segment {
    uint64_t arrives_ns;
    uint32_t size;
    enum sim_segment_kind kind;
};

struct sim_bytes {  // ring
    uint8_t *data;
    size_t head, size, capacity;
};

struct sim_segments {  // ring
    struct sim_segment *items;
    size_t head, count, capacity;
};

struct sim_pipe {
    struct sim_event deliver;   // of the oldest segment
    struct sim_event answer;    // what arrived and what was read gets known to the sender
    struct sim_event patience;  // of the sender
    struct sim_segments segments;
    struct sim_bytes bytes;              // sent and not read
    uint64_t sent, arrived, read;        // bytes ever
    uint64_t known_arrived, known_read;  // as the sender knows
    uint64_t last_arrival_ns;            // order is kept: none arrives before
    uint64_t answered_ns;                // or asked since: the patience counts from here
    bool held, answer_held;
};

enum sim_end_state {
    SIM_END_DIALING,  // the dialing side until it is answered
    SIM_END_UNBORN,   // the other side until the first segment arrived
    SIM_END_WAITING,  // in the listener's hands
    SIM_END_OPEN,     // a process holds it
    SIM_END_GONE      // no process does, nor ever will
};

struct sim_end {
    struct sim_conn *owner;
    struct rt_sim_node *node;  // NULL: the address named none
    enum sim_end_state state;
    struct sim_pipe out;
    rt_err failed;     // reset or timed out: what receive and send answer
    bool end_arrived;  // the peer closed, after what is still to be read

    struct rt_conn *conn;  // of the process; NULL before accept and after the end
    struct rt_task report;
    bool report_posted, open_due, closing, receiving, unreceiving, sending;
    uint8_t *memory;  // of the receive
    size_t memory_size;
    struct rt_bytes pieces[SIM_PIECES_MAX];  // of the send
    unsigned piece_count;
    size_t taken;  // by the send, to be reported

    struct rt_list link;  // of a listener's waiting ends
    struct rt_incoming incoming;
};

enum sim_handshake { SIM_ASKING, SIM_ACCEPTED, SIM_REFUSED, SIM_NOT_TLS };

struct sim_conn {
    struct rt_sim *sim;
    struct rt_list link;  // of net->conns
    uint64_t id;
    struct sim_end ends[2];  // 0 dialed
    struct sim_event handshake;
    enum sim_handshake stage;
    bool handshake_held;
    bool dead_air;  // half open: nothing arrives any more
    bool tls;       // what the dialer speaks
    uint16_t port;
};

struct sim_listener {
    struct rt_list link;  // of its node's listeners
    struct rt_sim_node *node;
    struct rt_listener *listener;
    uint16_t port;
    bool tls, closing, report_posted;
    struct rt_list waiting;  // struct sim_end, arrived and not yet given to the process
    struct rt_task report;
};

static inline struct sim_end *sim_end_peer(struct sim_end *end) {
    return &end->owner->ends[end == &end->owner->ends[0] ? 1 : 0];
}
static inline struct sim_link *sim_link_between(const struct rt_sim_node *from,
                                                const struct rt_sim_node *to) {
    return &from->net->links[to->index];
}
// Which end, for traces.
static inline uint64_t sim_end_id(const struct sim_end *end) {
    return end->owner->id << 1 | (end == &end->owner->ends[1]);
}

// PIPES (net_pipe.c), each named by the end that writes into it.
void sim_pipe_init(struct sim_end *end);
void sim_pipe_fini(struct sim_end *end);
uint64_t sim_latency(struct rt_sim *sim, struct sim_link *link);  // drawn
void sim_pipe_push(struct sim_end *end, enum sim_segment_kind kind, uint32_t size);
// Takes what the window admits of the pending send; false when it admits nothing.
bool sim_pipe_send(struct sim_end *end);
void sim_pipe_arrived(struct sim_end *end, uint32_t size);
size_t sim_pipe_readable(const struct sim_end *end);                      // what its peer can read
size_t sim_pipe_read(struct sim_end *end, uint8_t *memory, size_t size);  // by its peer
void sim_pipe_drop_in_flight(struct sim_end *end);
void sim_pipe_drop_readable(struct sim_end *end);
void sim_pipe_retry(struct sim_end *end);   // what was held may get through now
void sim_pipe_expect(struct sim_end *end);  // an answer: starts the patience if it does not run

// CONNECTIONS (net_conn.c)
struct sim_conn *sim_conn_new(struct rt_sim *sim, struct rt_sim_node *from, struct rt_sim_node *to,
                              uint16_t port);
void sim_conn_dial(struct sim_conn *conn);
void sim_conn_free(struct sim_conn *conn);
bool sim_conn_free_if_done(struct sim_conn *conn);  // true: it is freed
void sim_conn_retry(struct sim_conn *conn);
void sim_conn_reset(struct sim_conn *conn);  // as a box in the middle would: both ends hear it
void sim_end_wake(struct sim_end *end);      // reports to the process in a turn
void sim_end_fail(struct sim_end *end, rt_err err);
void sim_end_leave(struct sim_end *end,
                   bool hard);  // the process lets go: end or reset for the peer
void sim_end_arrive(struct sim_end *end, struct sim_segment segment);

// LISTENERS AND THE TRANSPORT (net.c)
struct sim_listener *sim_listener_find(const struct rt_sim_node *node, uint16_t port);
void sim_listener_give(struct sim_listener *listener, struct sim_end *end);
void sim_listener_free(struct sim_listener *listener);

// What is zero takes its default (net_faults.c).
struct rt_sim_link sim_link_defaults(struct rt_sim_link link);

#endif
