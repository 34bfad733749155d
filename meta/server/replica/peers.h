// Connections between the nodes: each dials all others and sends on what it dialed; what it
// accepted it only receives from (and answers the hello). Private to the replica.
//
// A connection that one side has lost and the other has not (a reset that never arrived, a firewall
// that forgot it) would swallow messages for ever: pings go out every second, and after five
// without an answer it is closed. A peer that is away is dialed again after 50 ms, then at growing
// intervals up to a second. A peer that does not read is cut off once its queue is over its limit:
// Raft repeats what was lost.
#ifndef GEMINGA_META_SERVER_REPLICA_PEERS_H
#define GEMINGA_META_SERVER_REPLICA_PEERS_H

#include "meta/server/replica/peer_wire.h"
#include "runtime/stream.h"

struct meta_peers;

struct meta_peers_events {
    // From another node, whose id a hello has told. The frame is borrowed, type byte included. An
    // error closes the connection.
    rt_err (*received)(struct meta_peers_events *events, uint64_t from, struct rt_bytes frame);
    // A hello, on either side of a connection. False: we do not belong together; it is closed.
    bool (*greeted)(struct meta_peers_events *events, const struct meta_peer_hello *hello);
    void (*hello)(struct meta_peers_events *events, struct meta_peer_hello *hello);  // fill ours
    void (*connected)(struct meta_peers_events *events, uint64_t peer);  // sending reaches it
    void (*lost)(struct meta_peers_events *events, uint64_t peer);
    bool (*is_member)(struct meta_peers_events *events, uint64_t peer);
};

struct meta_peers_options {
    uint64_t self;
    const char *listen;  // NULL: nobody dials us
    const struct rt_tls *tls;
    struct meta_peers_events *events;
};

RT_CHECK
rt_err meta_peers_open_now(struct rt_loop *loop, const struct meta_peers_options *options,
                           struct meta_peers **peers, struct rt_why *why);
// Whom to dial: adds it or changes its address. Who is no member (any more) is forgotten when its
// connection ends; of those only so many are known at once, false beyond it.
bool meta_peers_know(struct meta_peers *peers, uint64_t id, const char *member_address);
bool meta_peers_is_connected(const struct meta_peers *peers, uint64_t id);
unsigned meta_peers_connected(const struct meta_peers *peers);
// False: not connected, or too much queued; the frame is lost.
bool meta_peers_send(struct meta_peers *peers, uint64_t to, struct rt_bytes frame);
size_t meta_peers_queued(const struct meta_peers *peers, uint64_t to);
void meta_peers_close(struct meta_peers *peers, struct rt_task *closed);

#endif
