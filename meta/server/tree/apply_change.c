// Deleting nodes, changing their data and ACLs, checking versions.
#include "meta/server/tree/apply_internal.h"
#include "proto/zookeeper_path.h"

bool apply_may(const struct apply *apply, const struct meta_znode *node, int32_t perm) {
    if (apply->flags & META_SKIP_ACL) return true;
    return meta_acl_allows(node->acl, perm, &apply->ids);
}

struct meta_change *apply_change(struct apply *apply, enum proto_zk_event_type type,
                                 struct rt_bytes path, const struct meta_znode *node,
                                 const struct meta_znode *parent) {
    if (apply->change_count == apply->change_capacity) {
        size_t grown = apply->change_capacity ? apply->change_capacity * 2 : 4;
        struct meta_change *more = rt_arena_zero(apply->arena, grown, sizeof(*more));
        for (size_t i = 0; i < apply->change_count; i++) more[i] = apply->changes[i];
        apply->changes = more;
        apply->change_capacity = grown;
    }
    struct meta_change *change = &apply->changes[apply->change_count++];
    *change = (struct meta_change){.type = type, .path = rt_arena_copy(apply->arena, path)};
    change->acl = rt_arena_copy(apply->arena, node->acl);
    if (parent) change->parent_acl = rt_arena_copy(apply->arena, parent->acl);
    return change;
}

static bool version_differs(int32_t asked, int32_t version) {
    return asked != -1 && asked != version;
}

// -1 stands for "any", so it is left out.
static int32_t version_after(int32_t version) {
    int32_t next = (int32_t)((uint32_t)version + 1);
    return next == -1 ? 0 : next;
}

void apply_remove(struct apply *apply, struct rt_bytes path) {
    struct rt_bytes parent_path = proto_zk_path_parent(path);
    const struct meta_znode *above = meta_store_find_now(apply->store, parent_path);
    const struct meta_znode *node = meta_store_find_now(apply->store, path);
    if (!above || !node) return;
    int64_t bytes = (int64_t)node->data.size;
    apply_change(apply, PROTO_ZK_EVENT_NODE_DELETED, path, node, above);
    meta_store_remove(apply->store, path);
    above = meta_store_find_now(apply->store, parent_path);
    if (!above) return;
    struct meta_znode parent = *above;
    parent.children--;
    parent.pzxid = apply->zxid;
    meta_store_put(apply->store, parent_path, &parent);
    apply_quota_count(apply, path, -1, -bytes);
}

int32_t apply_delete(struct apply *apply, const struct proto_zk_op *op) {
    struct rt_bytes path = op->versioned.path;
    if (!path.data) return PROTO_ZK_ERR_MARSHALLINGERROR;
    if (!proto_zk_path_is_splittable(path) || proto_zk_path_is_builtin(path))
        return PROTO_ZK_ERR_BADARGUMENTS;
    const struct meta_znode *parent = meta_store_find_now(apply->store, proto_zk_path_parent(path));
    if (!parent) return PROTO_ZK_ERR_NONODE;
    if (!apply_may(apply, parent, PROTO_ZK_PERM_DELETE)) return PROTO_ZK_ERR_NOAUTH;
    const struct meta_znode *node = meta_store_find_now(apply->store, path);
    if (!node) return PROTO_ZK_ERR_NONODE;
    if (version_differs(op->versioned.version, node->version)) return PROTO_ZK_ERR_BADVERSION;
    if (node->children) return PROTO_ZK_ERR_NOTEMPTY;
    apply_remove(apply, path);
    return PROTO_ZK_ERR_OK;
}

static bool path_is_bad(struct rt_bytes path) {
    return proto_zk_path_check(path) != PROTO_ZK_PATH_OK;
}

int32_t apply_set_data(struct apply *apply, const struct proto_zk_op *op,
                       struct proto_zk_body *body) {
    struct rt_bytes path = op->set_data.path;
    if (path_is_bad(path)) return PROTO_ZK_ERR_BADARGUMENTS;
    const struct meta_znode *found = meta_store_find_now(apply->store, path);
    if (!found) return PROTO_ZK_ERR_NONODE;
    if (!apply_may(apply, found, PROTO_ZK_PERM_WRITE)) return PROTO_ZK_ERR_NOAUTH;
    int64_t bytes = (int64_t)op->set_data.data.size - (int64_t)found->data.size;
    int32_t err = apply_quota_check(apply, path, 0, bytes);
    if (err) return err;
    struct meta_znode node = *found;
    if (version_differs(op->set_data.version, node.version)) return PROTO_ZK_ERR_BADVERSION;
    node.version = version_after(node.version);
    node.mzxid = apply->zxid;
    node.mtime_ms = apply->time_ms;
    node.has_data = op->set_data.data.data != NULL;
    node.data = op->set_data.data;
    apply_change(apply, PROTO_ZK_EVENT_NODE_DATA_CHANGED, path, &node, NULL);
    meta_store_put(apply->store, path, &node);
    meta_znode_stat(&node, &body->stat);
    apply_quota_count(apply, path, 0, bytes);
    return PROTO_ZK_ERR_OK;
}

int32_t apply_set_acl(struct apply *apply, const struct proto_zk_op *op,
                      struct proto_zk_body *body) {
    struct rt_bytes path = op->set_acl.path, acl;
    if (path_is_bad(path)) return PROTO_ZK_ERR_BADARGUMENTS;
    int32_t err = meta_acl_fix(&op->set_acl.acl, &apply->ids, apply->arena, &acl);
    if (err) return err;
    const struct meta_znode *found = meta_store_find_now(apply->store, path);
    if (!found) return PROTO_ZK_ERR_NONODE;
    if (!apply_may(apply, found, PROTO_ZK_PERM_ADMIN)) return PROTO_ZK_ERR_NOAUTH;
    if (version_differs(op->set_acl.version, found->aversion)) return PROTO_ZK_ERR_BADVERSION;
    struct meta_znode node = *found;
    node.aversion = version_after(node.aversion);
    node.acl = acl;
    meta_store_put(apply->store, path, &node);
    meta_znode_stat(&node, &body->stat);
    return PROTO_ZK_ERR_OK;
}

int32_t apply_check(struct apply *apply, const struct proto_zk_op *op) {
    struct rt_bytes path = op->versioned.path;
    if (path_is_bad(path)) return PROTO_ZK_ERR_BADARGUMENTS;
    const struct meta_znode *node = meta_store_find_now(apply->store, path);
    if (!node) return PROTO_ZK_ERR_NONODE;
    if (!apply_may(apply, node, PROTO_ZK_PERM_READ)) return PROTO_ZK_ERR_NOAUTH;
    if (version_differs(op->versioned.version, node->version)) return PROTO_ZK_ERR_BADVERSION;
    return PROTO_ZK_ERR_OK;
}
