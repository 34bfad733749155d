// The seam under a stream: what carries bytes. Private to runtime/; tier code uses stream.h.
//
// stream.c frames, queues, limits and times; a transport moves bytes, at most one receive and one
// send at a time per connection. Three transports: real/stream_nng.c (tcp, tls+tcp),
// stream_inproc.c (one machine, by reference), sim/sim_net.c. All reports run on conn->loop, in a
// turn, never inside the call that caused them.
#ifndef GEMINGA_RUNTIME_TRANSPORT_H
#define GEMINGA_RUNTIME_TRANSPORT_H

#include "runtime/stream.h"

struct rt_transport {
    const char *scheme;
    // Ends with rt_conn_opened or rt_conn_detached.
    void (*dial)(struct rt_conn *conn, const char *address);
    // Attaches an incoming connection; ends with rt_conn_opened or rt_conn_detached.
    void (*accept)(struct rt_conn *conn, struct rt_incoming *incoming);
    void (*refuse)(struct rt_incoming *incoming);
    // One receive: into memory (then rt_conn_received), or, for transports that pass references,
    // memory is ignored and rt_conn_received_slices reports.
    void (*receive)(struct rt_conn *conn, uint8_t *memory, size_t capacity);
    // Gives up on a receive that has waited for long, so that its memory can be used elsewhere: it
    // reports, with what came after all or with RT_ECANCELED. NULL where that is not possible.
    void (*unreceive)(struct rt_conn *conn);
    // One send: takes a prefix of the pieces (at least a byte), then rt_conn_sent with how many
    // bytes. The array is borrowed for the call; what the pieces refer to stays until the report.
    void (*send)(struct rt_conn *conn, const struct rt_slice *pieces, unsigned count);
    // Cancels what is in flight (it still reports), lets the peer see the end, then
    // rt_conn_detached, after which the transport never touches conn again.
    void (*close)(struct rt_conn *conn);

    rt_err (*listen)(struct rt_listener *listener, const char *address, struct rt_why *why);
    // Then rt_listener_detached.
    void (*unlisten)(struct rt_listener *listener);
    unsigned send_pieces_max;  // 1 .. RT_SEND_PIECES_MAX; 0: 8
    // A receive may be started after the answers of a turn have left (stream_input.c): nothing that
    // happens meanwhile is missed. Not over TLS: nng forgets one that starts after the peer went.
    bool receive_may_wait;
    bool late_handshake;  // a dialed connection is truly open with the first bytes
    uint64_t linger_ms;   // a close cuts off what was reported as sent less than this ago
    bool by_reference;    // reports receives with rt_conn_received_slices
};

enum { RT_SEND_PIECES_MAX = 64 };

struct rt_incoming {
    const struct rt_transport *transport;
    struct rt_listener *listener;
    struct rt_task task;  // carries it to the loop that is to accept it
    struct rt_loop *loop;
    void *transport_state;
    bool taken;  // accepted or refused
    char peer[64];
};

// Reports from a transport to stream.c.
void rt_conn_opened(struct rt_conn *conn);
// 0 and RT_OK: the peer's clean end; output may still be taken
void rt_conn_received(struct rt_conn *conn, size_t size, rt_err err);
void rt_conn_received_slices(struct rt_conn *conn, struct rt_slice *slices, unsigned count,
                             rt_err err);  // takes the references; none and RT_OK: clean end
void rt_conn_sent(struct rt_conn *conn, size_t size, rt_err err);
void rt_conn_detached(struct rt_conn *conn, rt_err err);
void rt_listener_incoming(struct rt_listener *listener, struct rt_incoming *incoming);
void rt_listener_failed(struct rt_listener *listener, rt_err err);  // one accept failed; it goes on
void rt_listener_detached(struct rt_listener *listener);

const struct rt_transport *rt_transport_inproc(void);
// By scheme; NULL when the machine has none of that name.
const struct rt_transport *rt_transport_of(struct rt_machine *machine, struct rt_bytes scheme);

#endif
