// Each read finds its node, asks the node's ACL, and fills the body. Errors of the protocol come in
// the order of section 11 of the protocol sheet.
//
// Paths are not checked: an ill-formed one is the path of no node. The empty one means the root.
#include "meta/server/tree/read.h"

#include <assert.h>
#include <string.h>

#include "meta/server/tree/acl.h"
#include "meta/server/tree/read_source.h"
#include "meta/server/tree/store_internal.h"

// Over a budget: on the loop a worker has to do it, on a worker nobody can.
static rt_err budget_take(const struct meta_read_source *source, size_t *left, size_t count,
                          int32_t *code) {
    if (count <= *left) {
        *left -= count;
        return RT_OK;
    }
    if (source->store) return RT_EAGAIN;
    *code = PROTO_ZK_ERR_BADARGUMENTS;
    return RT_OK;
}

// Of a view the node is copied, with its data, so it counts; what is over the budget is not read.
static rt_err view_find(struct meta_read_source *source, struct rt_bytes path,
                        const struct meta_znode **node, int32_t *code) {
    struct meta_znode *copy = rt_arena_zero(source->arena, 1, sizeof(*copy));
    *node = copy;
    rt_err err = budget_take(source, &source->bytes_left, sizeof(*copy), code);
    if (err || *code) return err;
    err = meta_view_find_now(&source->view, path, source->arena, copy);
    if (err) return err;
    size_t size = copy->data.size + copy->acl.size;
    err = budget_take(source, &source->bytes_left, size, code);
    if (*code) source->bytes_left = 0;
    return err;
}

// Sets the code to NONODE where there is none.
static rt_err node_find(struct meta_read_source *source, struct rt_bytes path,
                        const struct meta_znode **node, int32_t *code) {
    rt_err err;
    if (path.size == 0) path = RT_BYTES_LITERAL("/");
    if (source->store) {
        err = meta_store_try_find(source->store, path, node);
    } else {
        err = view_find(source, path, node, code);
    }
    if (err != RT_ENOTFOUND) return err;
    *code = PROTO_ZK_ERR_NONODE;
    return RT_OK;
}

static bool is_allowed(const struct meta_read_source *source, const struct meta_znode *node,
                       int32_t perms) {
    const struct meta_read_context *context = source->context;
    if (context->skip_acl || node->acl.size == 0) return true;
    return meta_acl_allows(node->acl, perms, &context->ids);
}

// The node, once it may be read.
static rt_err readable_find(struct meta_read_source *source, struct rt_bytes path, int32_t perms,
                            const struct meta_znode **node, int32_t *code) {
    rt_err err = node_find(source, path, node, code);
    if (err || *code) return err;
    if (!is_allowed(source, *node, perms)) *code = PROTO_ZK_ERR_NOAUTH;
    return RT_OK;
}

static rt_err view_have(struct meta_read_source *source) {
    if (source->view.kv) return RT_OK;
    assert(source->store);
    return meta_store_view_now(source->store, &source->view);
}

// LISTS OF PATHS OR NAMES

struct names {
    struct meta_scan scan;
    struct meta_read_source *source;
    struct rt_bytes prefix;  // getEphemerals: only paths that start with it
    bool whole_paths;        // else the names behind the last slash
    struct rt_bytes *items;
    size_t count, capacity;
    rt_err err;
    int32_t code;
};

static void names_add(struct names *names, struct rt_bytes name) {
    struct rt_arena *arena = names->source->arena;
    if (names->count == names->capacity) {
        size_t capacity = names->capacity ? 2 * names->capacity : 16;
        struct rt_bytes *items = rt_arena_alloc(arena, capacity * sizeof(*items));
        if (names->count) memcpy(items, names->items, names->count * sizeof(*items));
        names->items = items;
        names->capacity = capacity;
    }
    names->items[names->count++] = rt_arena_copy(arena, name);
}

static bool names_each(struct meta_scan *scan, struct rt_bytes path) {
    struct names *names = rt_container_of(scan, struct names, scan);
    struct meta_read_source *source = names->source;
    names->err = budget_take(source, &source->scan_left, 1, &names->code);
    if (names->err || names->code) return false;
    if (names->whole_paths && !rt_bytes_starts_with(path, names->prefix)) return true;
    size_t at = 0;
    for (size_t i = 0; !names->whole_paths && i < path.size; i++) {
        if (path.data[i] == '/') at = i + 1;
    }
    struct rt_bytes name = rt_bytes_skip(path, at);
    size_t cost = name.size + sizeof(name);
    names->err = budget_take(source, &source->bytes_left, cost, &names->code);
    if (names->err || names->code) return false;
    names_add(names, name);
    return true;
}

static rt_err names_end(const struct names *names, rt_err err, struct proto_zk_body *body,
                        int32_t *code) {
    if (!err) err = names->err;
    *code = names->code;
    body->names = (struct proto_zk_strings){.items = names->items, .count = names->count};
    return err;
}

static rt_err children_list(struct meta_read_source *source, struct rt_bytes path, size_t children,
                            struct proto_zk_body *body, int32_t *code) {
    if (children == 0) return RT_OK;
    if (source->store && children > source->scan_left) return RT_EAGAIN;
    rt_err err = view_have(source);
    if (err) return err;
    if (path.size == 0) path = RT_BYTES_LITERAL("/");
    struct names names = {.scan.each = names_each, .source = source};
    err = meta_view_children_now(&source->view, path, &names.scan);
    return names_end(&names, err, body, code);
}

// THE OPERATIONS. Each is given a body of zeroes and the code 0.

static rt_err on_exists(struct meta_read_source *source, const struct proto_zk_op *op,
                        struct proto_zk_body *body, int32_t *code) {
    const struct meta_znode *node;
    struct rt_bytes path = op->read.path;
    if (path.size && memchr(path.data, 0, path.size)) {
        *code = PROTO_ZK_ERR_BADARGUMENTS;
        return RT_OK;
    }
    rt_err err = readable_find(source, path, PROTO_ZK_PERM_READ, &node, code);
    if (!err && !*code) meta_znode_stat(node, &body->stat);
    return err;
}

static rt_err on_get_data(struct meta_read_source *source, const struct proto_zk_op *op,
                          struct proto_zk_body *body, int32_t *code) {
    const struct meta_znode *node;
    rt_err err = readable_find(source, op->read.path, PROTO_ZK_PERM_READ, &node, code);
    if (err || *code) return err;
    meta_znode_stat(node, &body->stat);
    body->data = node->data;
    if (!source->store || node->data.size == 0) return RT_OK;
    err = budget_take(source, &source->bytes_left, node->data.size, code);
    if (!err) body->data = rt_arena_copy(source->arena, node->data);
    return err;
}

static rt_err on_get_acl(struct meta_read_source *source, const struct proto_zk_op *op,
                         struct proto_zk_body *body, int32_t *code) {
    const struct meta_znode *node;
    const int32_t perms = PROTO_ZK_PERM_READ | PROTO_ZK_PERM_ADMIN;
    rt_err err = readable_find(source, op->path, perms, &node, code);
    if (err || *code) return err;
    struct rt_bytes acl = source->store ? rt_arena_copy(source->arena, node->acl) : node->acl;
    meta_znode_stat(node, &body->stat);
    meta_acl_decode(acl, source->arena, &body->acl);
    if (!is_allowed(source, node, PROTO_ZK_PERM_ADMIN)) meta_acl_mask(&body->acl, source->arena);
    return RT_OK;
}

// The stat comes before the scan: that may flush, and the node is then no longer ours to look at.
static rt_err on_get_children(struct meta_read_source *source, const struct proto_zk_op *op,
                              struct proto_zk_body *body, int32_t *code) {
    const struct meta_znode *node;
    rt_err err = readable_find(source, op->read.path, PROTO_ZK_PERM_READ, &node, code);
    if (err || *code) return err;
    meta_znode_stat(node, &body->stat);
    return children_list(source, op->read.path, (size_t)body->stat.children, body, code);
}

static rt_err on_get_all_children_number(struct meta_read_source *source,
                                         const struct proto_zk_op *op, struct proto_zk_body *body,
                                         int32_t *code) {
    const struct meta_znode *node;
    struct rt_bytes path = op->path.size ? op->path : RT_BYTES_LITERAL("/");
    rt_err err = readable_find(source, path, PROTO_ZK_PERM_READ, &node, code);
    if (err || *code || node->children == 0) return err;
    uint64_t count = 0;
    if (!source->store) {
        err = meta_view_descendants_now(&source->view, path, &count);
    } else if (path.size == 1) {
        count = meta_store_totals(source->store).nodes - 1;
    } else {
        err = RT_EAGAIN;
    }
    body->number = count < INT32_MAX ? (int32_t)count : INT32_MAX;
    return err;
}

static bool is_blank(struct rt_bytes bytes) {
    for (size_t i = 0; i < bytes.size; i++) {
        if (bytes.data[i] > ' ') return false;
    }
    return true;
}

static rt_err on_get_ephemerals(struct meta_read_source *source, const struct proto_zk_op *op,
                                struct proto_zk_body *body, int32_t *code) {
    if (source->store && meta_store_totals(source->store).ephemerals == 0) return RT_OK;
    rt_err err = view_have(source);
    if (err) return err;
    struct names names = {.scan.each = names_each, .source = source, .whole_paths = true};
    if (!is_blank(op->path)) names.prefix = op->path;
    err = meta_view_ephemerals_now(&source->view, source->context->session, &names.scan);
    return names_end(&names, err, body, code);
}

typedef rt_err read_fn(struct meta_read_source *source, const struct proto_zk_op *op,
                       struct proto_zk_body *body, int32_t *code);

static const struct read_op {
    int32_t opcode;
    bool takes_null;  // else a null path could not be decoded
    read_fn *run;
} read_ops[] = {
    {PROTO_ZK_OP_GET_DATA, false, on_get_data},
    {PROTO_ZK_OP_EXISTS, false, on_exists},
    {PROTO_ZK_OP_GET_CHILDREN, false, on_get_children},
    {PROTO_ZK_OP_GET_CHILDREN2, false, on_get_children},
    {PROTO_ZK_OP_GET_ACL, false, on_get_acl},
    {PROTO_ZK_OP_GET_EPHEMERALS, true, on_get_ephemerals},
    {PROTO_ZK_OP_GET_ALL_CHILDREN_NUMBER, false, on_get_all_children_number},
};

// The path is the first member of what each of these operations has.
static struct rt_bytes op_path(const struct proto_zk_op *op) {
    switch (op->opcode) {
    case PROTO_ZK_OP_GET_ACL:
    case PROTO_ZK_OP_GET_EPHEMERALS:
    case PROTO_ZK_OP_GET_ALL_CHILDREN_NUMBER: return op->path;
    default: return op->read.path;
    }
}

static rt_err op_answer(struct meta_read_source *source, const struct proto_zk_op *op,
                        struct proto_zk_body *body, int32_t *code) {
    *code = PROTO_ZK_ERR_OK;
    for (size_t i = 0; i < sizeof(read_ops) / sizeof(read_ops[0]); i++) {
        if (read_ops[i].opcode != op->opcode) continue;
        if (read_ops[i].takes_null || op_path(op).data) {
            return read_ops[i].run(source, op, body, code);
        }
        *code = PROTO_ZK_ERR_MARSHALLINGERROR;
        return RT_OK;
    }
    *code = PROTO_ZK_ERR_UNIMPLEMENTED;
    return RT_OK;
}

// Each operation succeeds or fails on its own.
static rt_err multi_answer(struct meta_read_source *source, const struct proto_zk_request *request,
                           struct proto_zk_reply *reply) {
    size_t count = request->op_count;
    if (source->store && count > META_READ_LOOP_SCAN) return RT_EAGAIN;
    if (count == 0) return RT_OK;
    for (size_t i = 0; i < count; i++) {  // a part without a path is an error of the whole
        if (!request->ops[i].read.path.data) reply->header.err = PROTO_ZK_ERR_MARSHALLINGERROR;
    }
    if (reply->header.err) return RT_OK;
    struct proto_zk_result *results = rt_arena_zero(source->arena, count, sizeof(*results));
    for (size_t i = 0; i < count; i++) {
        struct proto_zk_result *result = &results[i];
        rt_err err = op_answer(source, &request->ops[i], &result->body, &result->err);
        if (err) return err;
        result->opcode = proto_zk_result_opcode(&request->ops[i]);
        if (result->err) result->opcode = PROTO_ZK_RESULT_ERROR;
    }
    reply->results = results;
    reply->result_count = count;
    return RT_OK;
}

rt_err meta_read_answer(struct meta_read_source *source, const struct proto_zk_request *request,
                        struct proto_zk_reply *reply) {
    *reply = (struct proto_zk_reply){0};
    if (request->op.opcode == PROTO_ZK_OP_MULTI_READ) return multi_answer(source, request, reply);
    return op_answer(source, &request->op, &reply->body, &reply->header.err);
}

rt_err meta_read_try(struct meta_store *store, const struct meta_read_context *context,
                     const struct proto_zk_request *request, struct rt_arena *arena,
                     struct proto_zk_reply *reply) {
    struct meta_read_source source = {.store = store,
                                      .context = context,
                                      .arena = arena,
                                      .scan_left = META_READ_LOOP_SCAN,
                                      .bytes_left = META_READ_LOOP_BYTES};
    rt_err err = meta_read_answer(&source, request, reply);
    reply->header.zxid = (int64_t)meta_store_totals(store).applied.index;
    return err;
}
