// The inside of the protocol server: what its files share. Private to bookie/server/protocol.
//
//   server.c  life: the listener, acceptance, congestion, closing
//   conn.c    a connection: packets in, calls, pausing, the end
//   answer.c  responses out, and the requests that need no core
#ifndef GEMINGA_BOOKIE_SERVER_PROTOCOL_CONN_H
#define GEMINGA_BOOKIE_SERVER_PROTOCOL_CONN_H

#include "bookie/server/protocol/server.h"

struct bookie_conn;

// A request and its answer. From the server's pool.
struct conn_call {
    struct rt_list link;  // of conn->calls, or of server->idle
    struct bookie_conn *conn;
    size_t reserved;  // of conn->reading_bytes
    struct bookie_call call;
};

// Why a connection is not read; several at once.
enum conn_pause {
    PAUSE_CONGESTED = 1 << 0,  // the core has adds parked
    PAUSE_CALLS = 1 << 1,      // too many of its requests are under way
    PAUSE_READS = 1 << 2,      // what it has asked to read is more than we want to hold for it
    PAUSE_OUTPUT = 1 << 3,     // it does not read its answers
    PAUSE_CLOSING = 1 << 4
};

struct bookie_conn {
    struct rt_conn stream;
    struct bookie_server *server;
    struct rt_list link;            // of server->conns
    struct rt_list congested_link;  // of server->congested
    struct rt_list calls;           // under way
    unsigned call_count;
    unsigned pauses;       // of enum conn_pause
    size_t reading_bytes;  // what the answers of reads under way may need
    size_t entry_size;     // of the largest entry it was sent, or the least we reckon with
    bool is_over;          // closed: what its calls answer is dropped
};

struct bookie_server {
    struct rt_machine *machine;
    struct rt_loop *loop;
    struct bookie_server_options options;
    struct rt_stream_options streams;
    struct bookie_core *core;
    struct rt_listener listener;
    bool is_listening;
    bool is_congested;
    struct rt_list conns, congested;
    size_t conn_count;    // also those that are over and wait for their calls
    struct rt_list idle;  // calls
    unsigned idle_count;
    struct rt_buf scratch;  // a packet that is being encoded
    struct rt_log_limit log_limit;
    struct rt_task *closed;
    struct bookie_server_stats stats;
};

// server.c
struct conn_call *bookie_server_call_take(struct bookie_server *server, struct bookie_conn *conn);
void bookie_server_call_give(struct bookie_server *server, struct conn_call *call);
void bookie_server_maybe_closed(struct bookie_server *server);

// conn.c
extern const struct rt_conn_events bookie_conn_events;
void bookie_conn_pause(struct bookie_conn *conn, enum conn_pause why);
void bookie_conn_unpause(struct bookie_conn *conn, enum conn_pause why);
void bookie_conn_wind_down(struct bookie_conn *conn);  // the server closes

// answer.c
// True: it was answered here; false: it is the core's.
bool bookie_conn_answer_alone(struct bookie_conn *conn, const struct proto_bk_request *request);
void bookie_conn_answer(struct bookie_conn *conn, struct bookie_call *call);

#endif
