// The worked example: a small replicated echo-and-append service that uses every port of the
// runtime and runs unchanged on the real machine and in the simulator.
//
// One primary, two followers, fixed. An append is acknowledged when it is durable on the primary
// and on one follower. The primary is the authority: a follower that has more than the primary
// remembers (never acknowledged, by the rule above) drops the rest when the primary says hello.
//
// Loop: everything lives on loop 0 of the machine it is created with.
#ifndef GEMINGA_TESTS_EXAMPLE_APPEND_SERVER_H
#define GEMINGA_TESTS_EXAMPLE_APPEND_SERVER_H

#include "tests/example/append_log.h"
#include "tests/example/append_wire.h"

enum { APPEND_FOLLOWERS = 2 };

struct append_options {
    const char *directory;
    const char *listen_address;
    const char *followers[APPEND_FOLLOWERS];  // NULL on a follower
    bool ack_before_sync;                     // the planted bug
};

struct append_server;

// The primary's end of the connection to one follower.
struct append_replica {
    struct rt_conn conn;
    struct append_server *server;
    const char *address;
    struct rt_timer redial;    // while not connected
    struct rt_timer patience;  // while connected: ends one that owes answers and is silent
    uint64_t heard_ns;
    bool connected, welcomed, copying;
    uint64_t next_id;     // to copy
    uint64_t durable_id;  // the follower said so, on this connection
    struct rt_work copy;
    struct rt_buf copied;
    uint64_t copied_to;
    rt_err copy_err;
};

struct append_server {
    struct rt_machine *machine;
    struct rt_loop *loop;
    struct rt_listener listener;
    struct append_log log;
    struct append_replica replicas[APPEND_FOLLOWERS];
    bool is_primary, closing, listening, log_closed;
    struct rt_list sessions;  // of struct session
    struct rt_list waiting;   // of struct pending: appends not yet acknowledged, by id
    struct session *primary;  // on a follower: the connection that said hello last
    void (*on_closed)(struct append_server *server);
};

RT_CHECK rt_err append_server_open_now(struct append_server *server, struct rt_machine *machine,
                                       const struct append_options *options, struct rt_why *why);
uint16_t append_server_port(const struct append_server *server);
// Ends connections, waits for what is in flight, then on_closed; called on the loop.
void append_server_close(struct append_server *server,
                         void (*on_closed)(struct append_server *server));

#endif
