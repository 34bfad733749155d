// The common operations, as requests.
#include "meta/client/client.h"

static const struct proto_zk_acl open_acl[] = {
    {.perms = PROTO_ZK_PERM_ALL,
     .id = {.scheme = {(const uint8_t *)"world", 5}, .id = {(const uint8_t *)"anyone", 6}}}};

void meta_client_create(struct meta_client *client, struct meta_client_op *op, struct rt_bytes path,
                        struct rt_bytes data, int32_t flags, const struct proto_zk_acls *acl,
                        meta_client_done_fn *done) {
    struct proto_zk_request request = {.op = {.opcode = PROTO_ZK_OP_CREATE2,
                                              .create = {.path = path,
                                                         .data = data,
                                                         .acl = {.items = open_acl, .count = 1},
                                                         .flags = flags}}};
    if (acl) request.op.create.acl = *acl;
    if (flags == PROTO_ZK_MODE_CONTAINER) request.op.opcode = PROTO_ZK_OP_CREATE_CONTAINER;
    meta_client_send(client, op, &request, NULL, done);
}

void meta_client_delete(struct meta_client *client, struct meta_client_op *op, struct rt_bytes path,
                        int32_t version, meta_client_done_fn *done) {
    struct proto_zk_request request = {
        .op = {.opcode = PROTO_ZK_OP_DELETE, .versioned = {.path = path, .version = version}}};
    meta_client_send(client, op, &request, NULL, done);
}

void meta_client_set(struct meta_client *client, struct meta_client_op *op, struct rt_bytes path,
                     struct rt_bytes data, int32_t version, meta_client_done_fn *done) {
    struct proto_zk_request request = {
        .op = {.opcode = PROTO_ZK_OP_SET_DATA,
               .set_data = {.path = path, .data = data, .version = version}}};
    meta_client_send(client, op, &request, NULL, done);
}

static void read_send(struct meta_client *client, struct meta_client_op *op, int32_t opcode,
                      struct rt_bytes path, struct meta_client_watch *watch,
                      meta_client_done_fn *done) {
    struct proto_zk_request request = {.op = {.opcode = opcode, .read = {.path = path}}};
    meta_client_send(client, op, &request, watch, done);
}

void meta_client_get(struct meta_client *client, struct meta_client_op *op, struct rt_bytes path,
                     struct meta_client_watch *watch, meta_client_done_fn *done) {
    read_send(client, op, PROTO_ZK_OP_GET_DATA, path, watch, done);
}

void meta_client_exists(struct meta_client *client, struct meta_client_op *op, struct rt_bytes path,
                        struct meta_client_watch *watch, meta_client_done_fn *done) {
    read_send(client, op, PROTO_ZK_OP_EXISTS, path, watch, done);
}

void meta_client_children(struct meta_client *client, struct meta_client_op *op,
                          struct rt_bytes path, struct meta_client_watch *watch,
                          meta_client_done_fn *done) {
    read_send(client, op, PROTO_ZK_OP_GET_CHILDREN2, path, watch, done);
}

void meta_client_sync(struct meta_client *client, struct meta_client_op *op, struct rt_bytes path,
                      meta_client_done_fn *done) {
    struct proto_zk_request request = {.op = {.opcode = PROTO_ZK_OP_SYNC, .path = path}};
    meta_client_send(client, op, &request, NULL, done);
}

void meta_client_multi(struct meta_client *client, struct meta_client_op *op,
                       const struct proto_zk_op *ops, size_t count, meta_client_done_fn *done) {
    struct proto_zk_request request = {
        .op = {.opcode = PROTO_ZK_OP_MULTI}, .ops = ops, .op_count = count};
    meta_client_send(client, op, &request, NULL, done);
}

void meta_client_add_watch(struct meta_client *client, struct meta_client_op *op,
                           struct rt_bytes path, int32_t mode, struct meta_client_watch *watch,
                           meta_client_done_fn *done) {
    struct proto_zk_request request = {
        .op = {.opcode = PROTO_ZK_OP_ADD_WATCH, .watch = {.path = path, .type = mode}}};
    meta_client_send(client, op, &request, watch, done);
}
