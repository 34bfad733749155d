// The inside of the HTTP server. Private to runtime/http_*.c.
//
// A server belongs to its loop; its connections live in shards, one for each loop that it uses, and
// a shard is touched by its loop only. What crosses loops: the number of connections (an atomic),
// the close of a shard and the news that it is empty (posts).
#ifndef GEMINGA_RUNTIME_HTTP_CONN_H
#define GEMINGA_RUNTIME_HTTP_CONN_H

#include "runtime/http.h"
#include "runtime/http_parse.h"
#include "runtime/http_route.h"
#include "runtime/log.h"

enum {
    HTTP_RECEIVE_MAX = 64 << 10,  // delivered at once
    HTTP_PENDING_MAX = 16 << 10,  // read ahead behind a request that is being answered
    HTTP_REQUESTS_PER_TURN = 32   // of one connection
};

#define HTTP_PROGRESS_NS (30 * RT_NS_PER_S)
#define HTTP_LINGER_NS (2 * RT_NS_PER_S)

struct http_shard {
    struct rt_http_server *server;
    struct rt_loop *loop;
    struct rt_list conns;
    struct rt_log_limit log_limit;
    struct rt_task close, empty;  // to this loop; back to the server's
    bool closing, is_empty;
};

struct rt_http_server {
    struct rt_loop *loop;
    struct rt_listener listener;
    struct rt_http_options options;  // defaults filled in
    struct rt_http_router *router;
    struct rt_http_owner *owner;  // set before the first connection
    atomic_uint conn_count;
    struct rt_http_closing *closing;
    bool listener_closed;
    unsigned shards_open, shard_count;
    struct http_shard shards[];
};

//  accepted -> IDLE -> READING -> ANSWERING -> IDLE ...
//               |         |           |
//               `---------+-----------+----> LEAVING -> freed
enum http_phase {
    HTTP_IDLE,       // no request, no memory but this struct
    HTTP_READING,    // the request is arriving
    HTTP_ANSWERING,  // a handler has the request; what arrives meanwhile is pending
    HTTP_LEAVING     // the last reply is queued; what arrives is thrown away
};

struct http_conn {
    struct rt_conn stream;
    struct http_shard *shard;
    struct rt_list link;
    enum http_phase phase;
    struct rt_http_request *request;  // READING and ANSWERING
    struct rt_buf pending;            // input behind the request, from pending_at
    size_t pending_at, pending_charged;
    struct rt_task pump;
    struct rt_timer timer;  // armed no later than deadline_ns, and then armed again
    uint64_t deadline_ns, timer_ns;
    bool pump_queued, consuming, paused;
    bool gone;  // the stream has closed; the struct waits for the handler's reply
};

enum http_reply { HTTP_REPLY_NONE, HTTP_REPLY_BEGUN };

struct rt_http_request {
    struct http_conn *conn;
    struct rt_http_parser parser;
    struct rt_arena arena;
    const struct rt_http_route *route;
    struct rt_buf reply_fields;  // lines that the handler added
    struct rt_http_drain *drain;
    size_t charged_bytes;
    uint64_t since_ns;
    enum http_reply reply;
    bool is_head, continued, waits_for_drain;
    bool keep_alive;  // the connection goes on after the reply
    bool lingers;     // the peer may still be sending a request that we do not want
    bool chunked;     // the reply
    bool bodiless;    // the reply ends with its head
};

// CONNECTIONS (http_conn.c)

void http_conn_accept(struct http_shard *shard, struct rt_incoming *incoming);
void http_conn_leave(struct http_conn *conn);  // no further request: closes when the reply has left
void http_conn_replied(struct rt_http_request *request);  // frees the request, goes on

// THE SERVER (http_server.c)

void http_server_conn_freed(struct http_shard *shard);

#endif
