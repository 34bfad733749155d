// The BookKeeper protocol over a core: listeners, connections, authentication, TLS.
//
// Requests are taken as they come and answered as they are done, in any order, in the form (v2 or
// v3) in which they were asked; a connection may mix both. All answers of one turn leave in one
// write. A connection whose client does not read its answers is not read either; none is read while
// the core is congested.
//
// Loop: the bookie's; connections too.
#ifndef GEMINGA_BOOKIE_SERVER_PROTOCOL_SERVER_H
#define GEMINGA_BOOKIE_SERVER_PROTOCOL_SERVER_H

#include "bookie/server/core/core.h"
#include "runtime/stream.h"

struct bookie_server;

struct bookie_server_events {
    // What GET_BOOKIE_INFO answers.
    void (*space)(struct bookie_server_events *events, uint64_t *total_bytes, uint64_t *free_bytes);
};

struct bookie_server_options {
    const char *listen;     // "tcp://0.0.0.0:3181"
    size_t frame_size_max;  // nettyMaxFrameSizeBytes [PROTO_BK_FRAME_MAX]; counts the length word
    unsigned connections_max;     // [unlimited]
    unsigned calls_per_conn_max;  // [10000] then the socket is not read
    struct bookie_server_events *events;
};

struct bookie_server *bookie_server_new(struct rt_machine *machine, struct rt_loop *loop,
                                        const struct bookie_server_options *options,
                                        struct bookie_core *core);
RT_CHECK
rt_err bookie_server_listen(struct bookie_server *server, struct rt_why *why);
uint16_t bookie_server_port(const struct bookie_server *server);
// To be called from the core's events.
void bookie_server_on_congested(struct bookie_server *server);
void bookie_server_on_relieved(struct bookie_server *server);
// No new connections, no new requests; what is under way is answered; then `closed`.
void bookie_server_close(struct bookie_server *server, struct rt_task *closed);

struct bookie_server_stats {
    uint64_t connections, connections_opened, connections_refused, requests, responses, bytes_in,
        bytes_out, protocol_errors;
};
struct bookie_server_stats bookie_server_stats(const struct bookie_server *server);

#endif
