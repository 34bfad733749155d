// The metadata of a new cluster, as BookKeeper's tools make and accept it: the root with
// available/, available/readonly/, INSTANCEID and LAYOUT. Section 4.1 of the BookKeeper sheet.
//
// Loop: the client's.
#ifndef GEMINGA_BOOKIE_SERVER_NODE_LAYOUT_H
#define GEMINGA_BOOKIE_SERVER_NODE_LAYOUT_H

#include "meta/client/client.h"

enum { BOOKIE_INSTANCE_SIZE = 37, BOOKIE_ROOT_MAX = 400 };

// Caller-owned; everything but root, client and done is private.
struct bookie_layout {
    struct meta_client *client;
    const char *root;  // "/ledgers"; borrowed until done
    // RT_EEXIST: there is a cluster already, and nothing was changed.
    void (*done)(struct bookie_layout *layout, rt_err err, const char *why);
    char instance[BOOKIE_INSTANCE_SIZE];  // set when done with RT_OK
    struct meta_client_op op;
    size_t parent;  // so many bytes of the root's path are there
    struct rt_why why;
};
void bookie_layout_make(struct bookie_layout *layout, struct rt_machine *machine);

#endif
