// The worked example's client: one connection to one node, redialed when it is lost.
//
// Calls are caller-owned. Each completes exactly once, never before the starting call has returned;
// RT_ERESET and RT_ECLOSED mean that nobody knows whether an append happened.
#ifndef GEMINGA_TESTS_EXAMPLE_APPEND_CLIENT_H
#define GEMINGA_TESTS_EXAMPLE_APPEND_CLIENT_H

#include "tests/example/append_wire.h"

struct append_call {
    struct rt_list link;
    struct rt_task task;
    uint64_t request;
    uint64_t id;             // append: the answer
    struct rt_buf *content;  // read and echo: the answer, appended; borrowed until done
    rt_err err;
    void (*done)(struct append_call *call, rt_err err);
};

typedef void append_call_done(struct append_call *call, rt_err err);

struct append_client {
    struct rt_conn conn;
    struct rt_loop *loop;
    const char *address;
    struct rt_timer redial;
    struct rt_timer patience;  // a peer that lost its power says nothing, for ever
    uint64_t heard_ns;
    struct rt_task closed;
    struct rt_list calls;  // in flight
    uint64_t last_request;
    bool connected, closing;
    void (*on_open)(struct append_client *client);  // may be NULL
    void (*on_closed)(struct append_client *client);
};

void append_client_start(struct append_client *client, struct rt_loop *loop, const char *address);
void append_client_close(struct append_client *client, void (*on_closed)(struct append_client *));

void append_client_append(struct append_client *client, struct append_call *call,
                          struct rt_bytes body, append_call_done *done);
void append_client_read(struct append_client *client, struct append_call *call, uint64_t id,
                        struct rt_buf *content, append_call_done *done);
void append_client_echo(struct append_client *client, struct append_call *call,
                        struct rt_bytes body, struct rt_buf *content, append_call_done *done);

#endif
