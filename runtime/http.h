// An HTTP/1.1 server on our streams: a route table, handlers on the loop, bodies, streamed replies.
//
// Requests are parsed strictly (RFC 9112): Content-Length or chunked bodies up to body_size_max,
// headers up to 32 KiB, keep-alive and pipelining, Expect: 100-continue, HEAD answered from GET.
// What is malformed gets 400 and a close, too large 413 or 431, unknown paths 404, known paths with
// another method 405 with Allow; the bodies of these replies are JSON, {"reason":"..."}. It runs on
// the real machine and in the simulator alike.
//
// Peers are bounded: a request's head must be whole 30 s after its first byte, a body must not
// pause for 30 s, a reply must not stall for 30 s, heads and bodies are charged to the machine's
// budget (503 when it is used up). Requests of one connection are answered one after the other;
// meanwhile some KiB are read ahead, then the peer is held back.
#ifndef GEMINGA_RUNTIME_HTTP_H
#define GEMINGA_RUNTIME_HTTP_H

#include "runtime/arena.h"
#include "runtime/stream.h"

struct rt_http_request;

// Called on the connection's loop, which may be any loop of the machine where options.spread is
// set. The request stays valid until the handler has replied to it, now or in a later turn; every
// request must be replied to exactly once, also when the peer has gone (the reply then goes
// nowhere).
typedef void rt_http_handler_fn(struct rt_http_request *request);

struct rt_http_route {
    const char *method;   // "GET", ...; "*" matches all
    const char *pattern;  // "/admin/v2/:tenant/:namespace", a last segment "*" takes the rest
    rt_http_handler_fn *run;
    const char *help;
};

struct rt_http_server;

struct rt_http_options {
    size_t body_size_max;      // [1 MiB]
    unsigned connections_max;  // [1024] more are refused with one rate-limited log line
    uint64_t idle_timeout_ms;  // [60000] between requests
    bool spread;               // connections on all loops
    const struct rt_tls *tls;
    struct rt_http_owner *owner;  // what handlers get back; borrowed while the server lives
};

// Routes are borrowed for the server's life; the first match wins, fixed segments before ":name".
// Called on the loop or before the loops run.
RT_CHECK
rt_err rt_http_server_open(struct rt_loop *loop, const char *address,
                           const struct rt_http_route *routes, size_t route_count,
                           const struct rt_http_options *options, struct rt_http_server **server,
                           struct rt_why *why);
uint16_t rt_http_server_port(const struct rt_http_server *server);

// Closes listener and connections; requests that handlers have are waited for. Called on the loop;
// `closed` runs there when nothing is left and the server has been freed.
struct rt_http_closing {
    void (*closed)(struct rt_http_closing *closing);
};
void rt_http_server_close(struct rt_http_server *server, struct rt_http_closing *closing);

// What belongs to a server's owner: embedded there, given in the options, recovered by handlers
// with rt_container_of.
struct rt_http_owner {
    const char *name;
};
struct rt_http_owner *rt_http_owner(const struct rt_http_request *request);

// THE REQUEST: everything is borrowed until the reply ends.
const char *rt_http_method(const struct rt_http_request *request);
const char *rt_http_path(const struct rt_http_request *request);  // raw, without the query
struct rt_loop *rt_http_loop(const struct rt_http_request *request);
const char *rt_http_peer(const struct rt_http_request *request);
// Percent-decoded; NULL when absent. Parameters are pattern segments, "*" is the rest of the path.
// Each call decodes anew, into the arena.
const char *rt_http_param(const struct rt_http_request *request, const char *name);
const char *rt_http_query(const struct rt_http_request *request, const char *name);
const char *rt_http_header(const struct rt_http_request *request, const char *name);  // the first
struct rt_bytes rt_http_body(const struct rt_http_request *request);
struct rt_arena *rt_http_arena(struct rt_http_request *request);  // lives as long as the request

// THE REPLY: headers first (optional), then either one whole reply or begin, chunks, end. Names,
// values and content types without control characters (asserted): what a peer said is encoded
// before it becomes one. Length, framing and connection headers are the server's. Bodies are
// copied.
void rt_http_reply_header(struct rt_http_request *request, const char *name, const char *value);
void rt_http_reply(struct rt_http_request *request, int status, const char *content_type,
                   struct rt_bytes body);
void rt_http_reply_begin(struct rt_http_request *request, int status, const char *content_type);
// Copies. Returns false once more than 1 MiB waits for a slow peer: go on when `drained` was called
// (set it before; it is called once for every false, also when the peer has gone: chunks then go
// nowhere and are answered with true).
bool rt_http_reply_chunk(struct rt_http_request *request, struct rt_bytes bytes);
struct rt_http_drain {
    void (*drained)(struct rt_http_drain *drain);
};
void rt_http_on_drained(struct rt_http_request *request, struct rt_http_drain *drain);
bool rt_http_peer_is_gone(const struct rt_http_request *request);
void rt_http_reply_end(struct rt_http_request *request);
// Ends a begun reply that cannot be completed: the connection is closed, so the peer sees it cut.
void rt_http_reply_abort(struct rt_http_request *request);
void rt_http_reply_reason(struct rt_http_request *request, int status, const char *reason);  // JSON

const char *rt_http_status_text(int status);  // "Unknown" where RFC 9110 has none

#endif
