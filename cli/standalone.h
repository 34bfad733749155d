// All tiers as one node. So far: the data directory, a metadata server that is a cluster of one, a
// bookie, and HTTP for metrics and health.
//
// A value: everything it owns hangs off the struct, which is created with a machine. It lives on
// the machine's first loop.
#ifndef GEMINGA_CLI_STANDALONE_H
#define GEMINGA_CLI_STANDALONE_H

#include "cli/standalone_bookie.h"
#include "meta/server/node/node.h"
#include "runtime/file.h"
#include "runtime/http.h"

struct standalone;

struct standalone_options {
    const char *data_dir;  // these two are borrowed while it lives
    const char *bind_address;
    uint16_t http_port, meta_port, bookie_port;  // 0: a free one
    const char *version;
    // Once, on the loop, when clients are served.
    void (*serving)(struct standalone *node);
    // The node cannot go on: close it. On the loop.
    void (*failed)(struct standalone *node, rt_err err, const char *what);
};

enum { STANDALONE_ADDRESS_SIZE = 320 };

struct standalone {
    struct rt_machine *machine;
    struct rt_loop *loop;
    const char *version;
    struct rt_dir_lock *lock;
    struct rt_http_server *http;
    struct rt_http_owner owner, meta_owner;
    struct rt_http_closing http_closing;
    struct meta_zoo_config meta_config;
    struct meta_node *meta;
    struct standalone_bookie bookie;
    struct rt_task meta_closed, bookie_closed;
    void (*serving)(struct standalone *node);
    void (*failed)(struct standalone *node, rt_err err, const char *what);
    void (*closed)(struct standalone *node);
    const char *data_dir, *bind_address;  // borrowed from the options
    uint16_t bookie_port;
    uint64_t opened_ns;
    bool ready;
    char http_url[STANDALONE_ADDRESS_SIZE];      // as a client on this computer reaches it
    char meta_address[STANDALONE_ADDRESS_SIZE];  // host:port, likewise
    char bookie_address[STANDALONE_ADDRESS_SIZE];
};

// Blocks; called before the loops run. `why` says where and what to do. version is borrowed.
RT_CHECK
rt_err standalone_open_now(struct standalone *node, struct rt_machine *machine,
                           const struct standalone_options *options, struct rt_why *why);
uint64_t standalone_uptime_ns(const struct standalone *node);

// On the loop. `closed` runs there when nothing is left in flight; the data directory is free then.
void standalone_close(struct standalone *node, void (*closed)(struct standalone *node));

// The HTTP routes (standalone_http.c).
extern const struct rt_http_route standalone_routes[];
extern const size_t standalone_route_count;

#endif
