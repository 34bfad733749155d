#include "bookie/server/node/layout.h"

#include <stdio.h>
#include <string.h>

#include "proto/ledger_metadata.h"
#include "runtime/machine.h"

enum { PATH_SIZE = 512, ENTROPY = 16, OPS = 5 };

// A random UUID (RFC 9562, version 4).
static void uuid_make(struct rt_machine *machine, char text[BOOKIE_INSTANCE_SIZE]) {
    uint8_t b[ENTROPY];
    rt_machine_entropy(machine, b, sizeof(b));
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    snprintf(text, BOOKIE_INSTANCE_SIZE,
             "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
             b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
             b[15]);
}

static void done(struct bookie_layout *layout, rt_err err) {
    layout->done(layout, err, layout->why.text);
}

static void parent_make(struct bookie_layout *layout);

// True: it is over.
static bool is_refused(struct bookie_layout *layout, rt_err err, const char *what) {
    int32_t code = layout->op.zk_err;
    if (!err) return false;
    const char *text = err == RT_EREFUSED ? proto_zk_err_text(code) : rt_err_text(err);
    if (err == RT_EREFUSED && code == PROTO_ZK_ERR_NODEEXISTS) err = RT_EEXIST;
    done(layout, rt_why_set(&layout->why, err, "%s: %s: %s", layout->root, what, text));
    return true;
}

// One transaction, so that a cluster is there whole or not at all.
static void all_done(struct meta_client_op *op, rt_err err, const struct proto_zk_reply *reply) {
    struct bookie_layout *layout = rt_container_of(op, struct bookie_layout, op);
    if (is_refused(layout, err, "the layout cannot be made")) return;
    for (size_t i = 0; i < reply->result_count; i++) {
        int32_t code = reply->results[i].err;
        if (!code || code == PROTO_ZK_ERR_RUNTIMEINCONSISTENCY) continue;
        op->zk_err = code;
        is_refused(layout, RT_EREFUSED, "the layout cannot be made");
        return;
    }
    done(layout, RT_OK);
}

static struct proto_zk_op create_op(const char *path, struct rt_bytes data,
                                    const struct proto_zk_acl *anyone) {
    return (struct proto_zk_op){
        .opcode = PROTO_ZK_OP_CREATE,
        .create = {.path = rt_bytes_of(path), .data = data, .acl = {.items = anyone, .count = 1}}};
}

static void all_make(struct bookie_layout *layout) {
    static const char *const names[OPS] = {"", "/available", "/available/readonly", "/INSTANCEID",
                                           "/LAYOUT"};
    char paths[OPS][PATH_SIZE];
    struct proto_zk_op ops[OPS];
    const struct proto_zk_acl anyone = {PROTO_ZK_PERM_ALL,
                                        {rt_bytes_of("world"), rt_bytes_of("anyone")}};
    struct rt_buf text = {0};
    proto_layout_encode(&text);
    const struct rt_bytes data[OPS] = {
        [3] = rt_bytes_of(layout->instance), [4] = rt_buf_bytes(&text)};
    for (unsigned i = 0; i < OPS; i++) {
        snprintf(paths[i], PATH_SIZE, "%s%s", layout->root, names[i]);
        ops[i] = create_op(paths[i], data[i], &anyone);
    }
    meta_client_multi(layout->client, &layout->op, ops, OPS, all_done);
    rt_buf_fini(&text);
}

static void parent_done(struct meta_client_op *op, rt_err err, const struct proto_zk_reply *reply) {
    struct bookie_layout *layout = rt_container_of(op, struct bookie_layout, op);
    (void)reply;
    if (err == RT_EREFUSED && op->zk_err == PROTO_ZK_ERR_NODEEXISTS) err = RT_OK;
    if (is_refused(layout, err, "a parent cannot be made")) return;
    parent_make(layout);
}

// What is above the root, one after the other.
static void parent_make(struct bookie_layout *layout) {
    const char *slash = strchr(layout->root + layout->parent + 1, '/');
    if (!slash) return all_make(layout);
    layout->parent = (size_t)(slash - layout->root);
    meta_client_create(layout->client, &layout->op, RT_BYTES(layout->root, layout->parent),
                       (struct rt_bytes){0}, 0, NULL, parent_done);
}

void bookie_layout_make(struct bookie_layout *layout, struct rt_machine *machine) {
    uuid_make(machine, layout->instance);
    layout->parent = 0;
    parent_make(layout);
}
