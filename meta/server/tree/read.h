// Requests that only read: answered from the tree as it is after the last applied entry.
//
// What is in memory is answered at once. What needs the disk, or scans more than a few hundred
// nodes, runs on a worker against a snapshot taken at that moment; the caller holds back whatever
// else it has for that connection until it is done.
#ifndef GEMINGA_META_SERVER_TREE_READ_H
#define GEMINGA_META_SERVER_TREE_READ_H

#include "meta/server/tree/store.h"

struct meta_read_context {
    int64_t session;  // getEphemerals
    struct proto_zk_ids ids;
    bool skip_acl;
};

// exists, getData, getACL, getChildren, getChildren2, getAllChildrenNumber, getEphemerals,
// multiRead. Fills reply (header without xid, body, results), which lies in the arena; errors of
// the protocol are in reply.header.err. RT_EAGAIN: start a meta_read instead. Others: the store
// failed.
RT_CHECK
rt_err meta_read_try(struct meta_store *store, const struct meta_read_context *context,
                     const struct proto_zk_request *request, struct rt_arena *arena,
                     struct proto_zk_reply *reply);

// Caller-owned; everything given is borrowed until done, which runs on the loop. `applied` of the
// view is what the answer reflects.
struct meta_read {
    struct rt_work work;
    struct meta_store *store;
    struct meta_view view;
    struct meta_read_context context;
    const struct proto_zk_request *request;
    struct rt_arena *arena;
    struct proto_zk_reply reply;
    void (*done)(struct meta_read *read, rt_err err);
    rt_err err;
};
void meta_read_start(struct meta_read *read, struct rt_loop *loop, struct meta_store *store,
                     const struct meta_read_context *context,
                     const struct proto_zk_request *request, struct rt_arena *arena,
                     void (*done)(struct meta_read *read, rt_err err));

#endif
