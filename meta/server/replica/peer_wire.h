// Frames between metadata nodes, behind the stream's 4-byte length. The first byte is the type.
//
// HELLO    magic "GMP1", flags (u8): 1 virgin (nothing but the founding entry), 2 answer; cluster,
//          from, to, last index, last term (u64 each), address of the sender (u8 size and bytes).
//          First on every connection, both ways; beside it only PONG comes back on a dialed one.
// RAFT     a message of the core (proto/raft.h)
// FORWARD  the term (u64) in which the receiver leads, as far as the sender knows, and an encoded
//          command to propose. In any other term all are refused: were some of a session's commands
//          lost with an old term and later ones taken in a new one, its order would have a hole.
// REFUSED  nothing: the receiver's forwarded commands are not, or no longer, being proposed; or the
//          ticket (u64) of the one that is not
// TOUCH    count (u16), sessions (u64 each) that said something since the last
// PING     nothing, every second on a dialed connection; the answer is a PONG. Whoever lost the
//          connection without being told finds out by it.
#ifndef GEMINGA_META_SERVER_REPLICA_PEER_WIRE_H
#define GEMINGA_META_SERVER_REPLICA_PEER_WIRE_H

#include "meta/raft/raft.h"

enum meta_peer_frame {
    META_PEER_HELLO = 1,
    META_PEER_RAFT,
    META_PEER_FORWARD,
    META_PEER_REFUSED,
    META_PEER_TOUCH,
    META_PEER_PING,
    META_PEER_PONG
};

enum { META_PEER_TOUCHES_MAX = 4096, META_PEER_FRAME_MAX = 36 << 20 };

struct meta_peer_hello {
    bool is_virgin, is_answer;
    uint64_t cluster;  // 0: not known yet, wants to join
    uint64_t from, to;
    struct raft_position last;
    char address[RAFT_ADDRESS_SIZE];
};

void meta_peer_hello_encode(const struct meta_peer_hello *hello, struct rt_writer *w);
RT_CHECK
rt_err meta_peer_hello_decode(struct rt_bytes frame, struct meta_peer_hello *hello);
void meta_peer_touch_encode(const int64_t *sessions, size_t count, struct rt_writer *w);
// At most META_PEER_TOUCHES_MAX.
RT_CHECK
rt_err meta_peer_touch_decode(struct rt_bytes frame, int64_t *sessions, size_t *count);

void meta_peer_forward_encode(uint64_t term, struct rt_bytes command, struct rt_writer *w);
RT_CHECK
rt_err meta_peer_forward_decode(struct rt_bytes frame, uint64_t *term, struct rt_bytes *command);
void meta_peer_refused_encode(const uint64_t *ticket, struct rt_writer *w);  // NULL: all of them
RT_CHECK
rt_err meta_peer_refused_decode(struct rt_bytes frame, bool *is_one, uint64_t *ticket);

// "host:peerPort:..." as "scheme://host:port"; false: no such thing.
bool meta_peer_url(const char *member_address, const char *scheme, bool any_host, char *url,
                   size_t url_size);

#endif
