// A whole bookie: metadata, directories, store, journals, core, server and HTTP, from one
// configuration.
//
// STARTING, in this order (BookKeeper sheet, 5.3): directories are locked and their cookies
// compared with the metadata; store and journals are opened and the journals replayed; everything
// replayed is flushed; the port is opened; the bookie registers last.
//
// STOPPING: it unregisters, refuses new requests, answers those under way, flushes, closes.
//
// A value: everything hangs off the struct and is reached through its machine. Loop: the machine's
// first.
#ifndef GEMINGA_BOOKIE_SERVER_NODE_NODE_H
#define GEMINGA_BOOKIE_SERVER_NODE_NODE_H

#include "bookie/server/node/bk_config.h"
#include "runtime/http.h"

struct bookie_node;

struct bookie_node_options {
    const struct bookie_config *config;  // borrowed while the node lives
    const char *version;
    const char *host;  // this computer, where the configuration does not say; as clients reach it
    unsigned planted_bugs;  // tests only: BOOKIE_BUG_...
    // The bookie cannot go on: close it, exit with this text. On the loop, once.
    void (*failed)(struct bookie_node *node, rt_err err, const char *what);
    void (*serving)(struct bookie_node *node);  // registered for the first time; may be NULL
    struct rt_http_owner *owner;                // recovered by callbacks: bookie_node_owner
};

enum { BOOKIE_BUG_NO_SYNC = 1 << 0 };  // acknowledges adds before the sync

// Blocks: directories and cookies are read. The rest happens on the loop.
RT_CHECK
rt_err bookie_node_open_now(struct rt_machine *machine, const struct bookie_node_options *options,
                            struct bookie_node **node, struct rt_why *why);
struct rt_http_owner *bookie_node_owner(const struct bookie_node *node);
const char *bookie_node_id(const struct bookie_node *node);
uint16_t bookie_node_port(const struct bookie_node *node);       // 0: not open yet
uint16_t bookie_node_http_port(const struct bookie_node *node);  // 0: none
void bookie_node_close(struct bookie_node *node, struct rt_task *closed);

#endif
