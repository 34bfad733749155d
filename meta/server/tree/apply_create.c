// Creating nodes.
//
// The number in a sequential name is the parent's count of creates, a 32-bit signed integer. Past
// 2147483647 it goes on at -2147483648, as documented for ZooKeeper; a name that is taken is
// answered NODEEXISTS like any other.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "meta/server/tree/apply_internal.h"
#include "proto/zookeeper_path.h"

// What a create asks for, before the tree is looked at.
static int32_t mode_check(const struct apply *apply, const struct proto_zk_op *op,
                          const struct proto_zk_create_mode *mode) {
    bool is_ttl_op = op->opcode == PROTO_ZK_OP_CREATE_TTL;
    if (!mode || mode->has_ttl != is_ttl_op) return PROTO_ZK_ERR_BADARGUMENTS;
    // Without a session nobody would ever remove it.
    if (mode->is_ephemeral && !apply->session) return PROTO_ZK_ERR_BADARGUMENTS;
    if (!is_ttl_op) return PROTO_ZK_ERR_OK;
    if (!(apply->flags & META_EXTENDED_TYPES)) return PROTO_ZK_ERR_UNIMPLEMENTED;
    bool in_range = op->create.ttl_ms >= 1 && op->create.ttl_ms <= PROTO_ZK_TTL_MS_MAX;
    return in_range ? PROTO_ZK_ERR_OK : PROTO_ZK_ERR_BADARGUMENTS;
}

static struct rt_bytes final_path(struct apply *apply, const struct proto_zk_op *op,
                                  const struct proto_zk_create_mode *mode, int32_t number) {
    struct rt_bytes path = op->create.path;
    if (!mode->is_sequential) return path;
    enum { NUMBER_SIZE = 12 };
    char *memory = rt_arena_alloc(apply->arena, path.size + NUMBER_SIZE);
    memcpy(memory, path.data, path.size);
    char number_text[NUMBER_SIZE];
    int size = snprintf(number_text, sizeof(number_text), "%010" PRId32, number);
    memcpy(memory + path.size, number_text, (size_t)size);
    return RT_BYTES(memory, path.size + (size_t)size);
}

static enum meta_znode_kind kind_of(const struct proto_zk_create_mode *mode) {
    if (mode->is_ephemeral) return META_EPHEMERAL;
    if (mode->is_container) return META_CONTAINER;
    return mode->has_ttl ? META_TTL : META_PERSISTENT;
}

static void parent_counts(struct apply *apply, struct rt_bytes path, struct meta_znode *parent) {
    // Unsigned, so that going over the largest number is defined.
    parent->creates = (int32_t)((uint32_t)parent->creates + 1);
    parent->children++;
    parent->pzxid = apply->zxid;
    meta_store_put(apply->store, path, parent);
}

static void node_make(struct apply *apply, const struct proto_zk_op *op,
                      const struct proto_zk_create_mode *mode, struct rt_bytes acl,
                      struct meta_znode *node) {
    *node = (struct meta_znode){.kind = kind_of(mode),
                                .czxid = apply->zxid,
                                .mzxid = apply->zxid,
                                .pzxid = apply->zxid,
                                .ctime_ms = apply->time_ms,
                                .mtime_ms = apply->time_ms,
                                .owner = mode->is_ephemeral ? apply->session : 0,
                                .ttl_ms = mode->has_ttl ? op->create.ttl_ms : 0,
                                .has_data = op->create.data.data != NULL,
                                .data = op->create.data,
                                .acl = acl};
}

// Behind the checks that need no tree. `acl` is fixed.
static int32_t create_in(struct apply *apply, const struct proto_zk_op *op,
                         const struct proto_zk_create_mode *mode, struct rt_bytes acl,
                         struct proto_zk_body *body) {
    struct rt_bytes parent_path = proto_zk_path_parent(op->create.path);
    const struct meta_znode *found = meta_store_find_now(apply->store, parent_path);
    if (!found) return PROTO_ZK_ERR_NONODE;
    if (!apply_may(apply, found, PROTO_ZK_PERM_CREATE)) return PROTO_ZK_ERR_NOAUTH;
    bool under_ephemeral = found->kind == META_EPHEMERAL;
    struct rt_bytes path = final_path(apply, op, mode, found->creates);
    if (proto_zk_path_check(path) != PROTO_ZK_PATH_OK) return PROTO_ZK_ERR_BADARGUMENTS;
    if (meta_store_find_now(apply->store, path)) return PROTO_ZK_ERR_NODEEXISTS;
    if (under_ephemeral) return PROTO_ZK_ERR_NOCHILDRENFOREPHEMERALS;
    int64_t bytes = (int64_t)op->create.data.size;
    int32_t err = apply_quota_check(apply, path, 1, bytes);
    if (err) return err;
    struct meta_znode node;
    node_make(apply, op, mode, acl, &node);
    struct meta_znode parent = *found;
    apply_change(apply, PROTO_ZK_EVENT_NODE_CREATED, path, &node, &parent);
    parent_counts(apply, parent_path, &parent);
    meta_store_put(apply->store, path, &node);
    body->path = path;
    meta_znode_stat(&node, &body->stat);
    apply_quota_count(apply, path, 1, bytes);
    apply_quota_begin(apply, path);
    return PROTO_ZK_ERR_OK;
}

int32_t apply_create(struct apply *apply, const struct proto_zk_op *op,
                     struct proto_zk_body *body) {
    const struct proto_zk_create_mode *mode = proto_zk_create_mode_find(op->create.flags);
    int32_t err = mode_check(apply, op, mode);
    if (err) return err;
    if (apply->session_is_gone) return PROTO_ZK_ERR_SESSIONEXPIRED;
    if (!op->create.path.data) return PROTO_ZK_ERR_MARSHALLINGERROR;
    if (!proto_zk_path_is_splittable(op->create.path)) return PROTO_ZK_ERR_BADARGUMENTS;
    struct rt_bytes acl;
    err = meta_acl_fix(&op->create.acl, &apply->ids, apply->arena, &acl);
    return err ? err : create_in(apply, op, mode, acl, body);
}
