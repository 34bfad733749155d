// The storage node of a standalone: its metadata made, then opened. Private to cli/standalone.
#ifndef GEMINGA_CLI_STANDALONE_BOOKIE_H
#define GEMINGA_CLI_STANDALONE_BOOKIE_H

#include "bookie/server/node/layout.h"
#include "bookie/server/node/node.h"

struct standalone_bookie {
    struct rt_machine *machine;
    struct rt_loop *loop;
    const char *version;
    struct bookie_config config;
    char *meta;  // "host:port"
    struct meta_client *client;
    struct meta_client_owner client_owner;
    struct bookie_layout layout;
    bool is_making;
    struct bookie_node *node;
    struct rt_http_owner owner;
    struct rt_task client_closed, node_closed;
    struct rt_task *closed;
    void (*serving)(struct standalone_bookie *bookie);
    void (*failed)(struct standalone_bookie *bookie, rt_err err, const char *what);
};

struct standalone_bookie_options {
    const char *data_dir, *bind_address, *host;  // host: as clients reach it
    uint16_t port;
    const char *meta;  // where the metadata is served, "host:port"
    const char *version;
    void (*serving)(struct standalone_bookie *bookie);
    void (*failed)(struct standalone_bookie *bookie, rt_err err, const char *what);
};

// On the loop; all else happens there too.
void standalone_bookie_start(struct standalone_bookie *bookie, struct rt_machine *machine,
                             const struct standalone_bookie_options *options);
uint16_t standalone_bookie_port(const struct standalone_bookie *bookie);  // 0: not open
// Also of one that was never started (zero-initialised). Then `closed`.
void standalone_bookie_close(struct standalone_bookie *bookie, struct rt_loop *loop,
                             struct rt_task *closed);

#endif
