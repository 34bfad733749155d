// What the parts of the state machine share: one command on its way through the tree. Private.
#ifndef GEMINGA_META_SERVER_TREE_APPLY_INTERNAL_H
#define GEMINGA_META_SERVER_TREE_APPLY_INTERNAL_H

#include "meta/server/tree/acl.h"
#include "meta/server/tree/apply.h"

struct apply {
    struct meta_store *store;
    struct rt_arena *arena;
    struct proto_zk_ids ids;
    unsigned flags;
    int64_t zxid, time_ms, session;
    bool session_is_gone;  // found by each operation when its turn is
    struct meta_change *changes;
    size_t change_count, change_capacity;
    struct meta_view view;  // the tree before this entry, for counting below a new quota; the
                            // entry's own changes are only in memory until it is done
    bool has_view;
};

// Operations: each checks in the order of the protocol sheet, changes the store only when all is
// well, and answers a PROTO_ZK_ERR code. `body` gets what the reply says of the node.
int32_t apply_create(struct apply *apply, const struct proto_zk_op *op, struct proto_zk_body *body);
int32_t apply_delete(struct apply *apply, const struct proto_zk_op *op);
int32_t apply_set_data(struct apply *apply, const struct proto_zk_op *op,
                       struct proto_zk_body *body);
int32_t apply_set_acl(struct apply *apply, const struct proto_zk_op *op,
                      struct proto_zk_body *body);
int32_t apply_check(struct apply *apply, const struct proto_zk_op *op);
// Any of the above, by opcode; -6 for others.
int32_t apply_op(struct apply *apply, const struct proto_zk_op *op, struct proto_zk_body *body);
void apply_multi(struct apply *apply, const struct proto_zk_request *request,
                 struct proto_zk_reply *reply);
void apply_close_session(struct apply *apply, int64_t session);

// Removes a node that exists and has no children, and tells. Here and below: a failure of the disk
// is remembered by the store, and what is done after it does not matter.
void apply_remove(struct apply *apply, struct rt_bytes path);
bool apply_may(const struct apply *apply, const struct meta_znode *node, int32_t perm);
struct meta_change *apply_change(struct apply *apply, enum proto_zk_event_type type,
                                 struct rt_bytes path, const struct meta_znode *node,
                                 const struct meta_znode *parent);

// QUOTA (section 18 of the protocol sheet): counted always, enforced where the command says so.
// -125: the change by so many nodes and bytes would break a hard limit above path.
int32_t apply_quota_check(struct apply *apply, struct rt_bytes path, int64_t nodes, int64_t bytes);
void apply_quota_count(struct apply *apply, struct rt_bytes path, int64_t nodes, int64_t bytes);
bool apply_quota_is_stats(struct rt_bytes path);
// A statistics node was made by this entry: it gets what the subtree has now.
void apply_quota_begin(struct apply *apply, struct rt_bytes path);

#endif
