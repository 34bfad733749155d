// Streams: connections that deliver whole frames as counted slices, and flush once per turn.
//
// Addresses: tcp://host:port, tls+tcp://host:port, inproc://name (within one machine, references
// instead of copies). Port 0 listens on a free port. In the simulator a host is a node's name.
//
// A connection is a caller-owned struct that belongs to one loop; all calls and callbacks happen
// on it. Its life: rt_conn_dial or rt_conn_accept -> (dial: on_open) -> on_frame ... -> on_closed.
// on_closed is called exactly once for every connection that was dialed or accepted, also when the
// dial failed, is the last callback, and gives the memory back to the caller.
//
// Limits are part of the contract: a frame larger than frame_size_max closes the connection before
// a byte of it is stored; a connection whose budget is used up is not read until there is room;
// three time limits end peers that say nothing, dribble, or never read.
#ifndef GEMINGA_RUNTIME_STREAM_H
#define GEMINGA_RUNTIME_STREAM_H

#include <stdatomic.h>

#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/machine.h"
#include "runtime/slice_queue.h"

struct rt_conn;
struct rt_listener;
struct rt_transport;

// FRAMES

enum { RT_FRAME_PIECES_MAX = 8 };

// A frame as it lies in memory: one piece from a socket, several where an in-process peer sent
// references. The pieces are borrowed for the callback; take what must live longer with
// rt_frame_slice. Offsets count from behind the length prefix (RT_FRAMES_BE32).
struct rt_frame {
    size_t size;
    unsigned piece_count;
    const struct rt_slice *pieces;
    struct rt_loop *loop;
    struct rt_slab **scratch;  // private: copies made by rt_frame_bytes, dropped after the callback
};

// Contiguous bytes [offset, offset + size), borrowed for the callback; copied to loop memory only
// where they cross pieces. The range must lie inside the frame (check against frame->size first).
struct rt_bytes rt_frame_bytes(const struct rt_frame *frame, size_t offset, size_t size);
// The same range as a slice that the caller owns: a reference where it lies in one piece.
struct rt_slice rt_frame_slice(const struct rt_frame *frame, size_t offset, size_t size);

enum rt_framing {
    RT_FRAMES_BE32,  // 4-byte big-endian length, then that many bytes; the prefix is not delivered
    RT_FRAMES_RAW,   // whatever arrived, as it arrived
    RT_FRAMES_MEASURED  // `measure` says how long the next frame is; all its bytes are delivered
};

// `have` starts at a frame boundary. Sets *size to the whole frame's length, or to 0 when more
// bytes are needed to tell (only while have.size < 64). An error closes the connection with it.
typedef rt_err rt_measure_fn(struct rt_conn *conn, struct rt_bytes have, size_t *size);

// CONNECTIONS

struct rt_conn_events {
    const char *name;                       // of the protocol, for logs and metrics
    void (*on_open)(struct rt_conn *conn);  // dialed connections only; may be NULL
    void (*on_frame)(struct rt_conn *conn, const struct rt_frame *frame);
    void (*on_closed)(struct rt_conn *conn,
                      rt_err why);          // RT_OK: closed by us or cleanly by the peer
    void (*on_full)(struct rt_conn *conn);  // queued output rose over out_high_bytes; may be NULL
    void (*on_drained)(struct rt_conn *conn);  // and fell under out_low_bytes again; may be NULL
};

struct rt_tls {
    const char *cert_file, *key_file;  // PEM; a server needs both, a client may have them
    const char *ca_file;               // peers are verified against it
    bool verify_peer;                  // a server demands certificates, a client checks the server
    const char *server_name;  // client: SNI and the name to verify; NULL: host of the address
};

// Zero fields take the default in brackets.
struct rt_stream_options {
    enum rt_framing framing;
    rt_measure_fn *measure;
    size_t frame_size_max;      // [1 MiB]; for RAW the most delivered at once [256 KiB]
    size_t out_high_bytes;      // [1 MiB] on_full
    size_t out_low_bytes;       // [half of high] on_drained
    size_t out_bytes_max;       // [64 MiB] more queued output closes it with RT_EBUSY
    uint64_t open_timeout_ms;   // [30000] dial, TLS, and a server's wait for the first whole frame
    uint64_t frame_timeout_ms;  // [30000] from the first to the last byte of one frame
    uint64_t stall_timeout_ms;  // [30000] output queued and the peer takes none of it
    struct rt_budget *budget;   // [the machine's] receive memory
    const struct rt_tls *tls;   // for tls+tcp; borrowed while the listener or connection lives
};

// Time limits that do not apply are set to this.
#define RT_NO_TIMEOUT UINT64_MAX

struct rt_conn_stats {
    uint64_t in_bytes, in_frames, out_bytes, out_flushes;
};

// Private to runtime/stream*.c and the transports, public so that it can be embedded.
struct rt_conn {
    struct rt_loop *loop;
    const struct rt_conn_events *events;
    const struct rt_transport *transport;  // runtime/transport.h
    void *transport_state;
    struct rt_stream_options options;
    struct rt_conn_input {
        struct rt_slab *slab;         // where the transport receives ...
        size_t start, end;            // ... and what of it came and is not delivered yet
        struct rt_slice_queue queue;  // the same for transports that pass references
        size_t frame_size;            // of the frame at start, prefix included; 0: not known yet
        size_t frame_size_seen;       // the largest that came whole
        size_t receive_size;          // adapts to what the peer sends
        unsigned small_receives;      // in a row
        uint64_t open_since_ns, frame_since_ns, active_ns, delay_since_ns;
    } in;
    struct rt_conn_output {
        struct rt_slice_queue queue;  // bytes queued and not yet taken by the transport
        struct rt_slab *staging;      // where small pieces are gathered
        size_t staging_used;
        uint64_t progress_ns;
    } out;
    struct rt_flush flush;
    struct rt_timer timer;  // one for all limits, moved only when an earlier one comes up
    uint64_t timer_ns;
    struct rt_task task;   // goes on in the next turn
    struct rt_task wake;   // there is room in the budget again, or ...
    struct rt_task grant;  // ... this connection may go over it (stream_budget.c)
    struct rt_conn *next_overdraft;
    struct rt_conn_stats stats;
    rt_err why;
    unsigned state;
    bool dialed, paused, receiving, unreceiving, ended, saw_frame;
    bool behind_send;  // the next receive waits until this turn's answers have left
    bool parked, wake_waits, overdraws, overdraft_spent;
    bool grant_posted, in_overdraft_queue;  // under the lock of the budget
    bool sending, full, told_full, finishing, lingering, task_queued, detached;
    char peer[64];
};

// Starts to connect. Address errors arrive through on_closed like every other failure.
void rt_conn_dial(struct rt_conn *conn, struct rt_loop *loop, const char *address,
                  const struct rt_conn_events *events, const struct rt_stream_options *options);

// Queues output; it leaves at the end of the turn, in order. After a close, and also after
// on_closed while the memory lives, it is dropped (reserve then answers scratch memory). Small
// pieces are gathered by copy, large slices are referenced.
void rt_conn_send(struct rt_conn *conn, struct rt_bytes bytes);
void rt_conn_send_slice(struct rt_conn *conn, struct rt_slice slice);  // holds its own reference
// Room for `size` (at most 64 KiB) bytes of output, to be written in place before the callback
// returns: saves the copy of an encoded header.
uint8_t *rt_conn_reserve(struct rt_conn *conn, size_t size);
size_t rt_conn_queued_bytes(const struct rt_conn *conn);
bool rt_conn_is_full(const struct rt_conn *conn);

void rt_conn_pause(struct rt_conn *conn);  // no on_frame until resumed, and the peer feels it
void rt_conn_resume(struct rt_conn *conn);

// Now: queued output is dropped, and the peer sees an end or a reset. Idempotent.
void rt_conn_close(struct rt_conn *conn, rt_err why);
void rt_conn_finish(struct rt_conn *conn);             // after queued output left
bool rt_conn_is_open(const struct rt_conn *conn);      // opened, and not closing
const char *rt_conn_peer(const struct rt_conn *conn);  // "host:port", "inproc:name", for people

// LISTENERS

struct rt_incoming;  // a connection nobody owns yet

struct rt_listener_events {
    const char *name;
    // Called on `loop`, one of the machine's (all take turns if options.spread, else the
    // listener's). Must accept or refuse before it returns.
    void (*on_incoming)(struct rt_listener *listener, struct rt_loop *loop,
                        struct rt_incoming *incoming);
    void (*on_closed)(struct rt_listener *listener);  // last callback, on the listener's loop
};

struct rt_listener {
    struct rt_loop *loop;
    const struct rt_listener_events *events;
    const struct rt_transport *transport;
    void *transport_state;
    const struct rt_tls *tls;
    bool spread;
    atomic_bool closing;
    unsigned next_loop;
    atomic_uint holds;      // one while open, one for each connection on its way to a loop
    struct rt_timer retry;  // after running out of file descriptors: one log line, then tries again
    bool failing;           // accepts fail; said once
    uint64_t failed_ns;
    struct rt_task task;
    char address[128];
    uint16_t port;
};

// Listens before it returns; called on the loop or before the loops run. The error says which
// address and why (in use, not ours, no permission).
RT_CHECK
rt_err rt_listener_open(struct rt_listener *listener, struct rt_loop *loop, const char *address,
                        const struct rt_listener_events *events, bool spread,
                        const struct rt_tls *tls, struct rt_why *why);
uint16_t rt_listener_port(const struct rt_listener *listener);  // the real one where 0 was asked
void rt_listener_close(struct rt_listener *listener);           // then on_closed

void rt_conn_accept(struct rt_conn *conn, struct rt_loop *loop, struct rt_incoming *incoming,
                    const struct rt_conn_events *events, const struct rt_stream_options *options);
void rt_incoming_refuse(struct rt_incoming *incoming);
const char *rt_incoming_peer(const struct rt_incoming *incoming);

#endif
