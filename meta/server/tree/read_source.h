// What answers a read: the store on its loop (memory and small scans only), or a view on a worker.
#ifndef GEMINGA_META_SERVER_TREE_READ_SOURCE_H
#define GEMINGA_META_SERVER_TREE_READ_SOURCE_H

#include "meta/server/tree/read.h"

struct meta_read_source {
    struct meta_store *store;  // NULL: ask the view
    struct meta_view view;     // of a store: taken when the first scan needs it
    const struct meta_read_context *context;
    struct rt_arena *arena;
    size_t scan_left;   // nodes that scans may still pass
    size_t bytes_left;  // that answers may still have
};

enum {
    META_READ_LOOP_SCAN = 500,         // more nodes or operations go to a worker
    META_READ_LOOP_BYTES = 4 << 20,    // as do more bytes
    META_READ_REPLY_BYTES = 256 << 20  // a bigger reply is refused; clients accept far less
};

// RT_EAGAIN: only a worker can. Others: the store failed.
RT_CHECK
rt_err meta_read_answer(struct meta_read_source *source, const struct proto_zk_request *request,
                        struct proto_zk_reply *reply);

#endif
