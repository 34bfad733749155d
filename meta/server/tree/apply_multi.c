// multi: all or nothing, at one zxid, each operation seeing those before it.
#include "meta/server/tree/apply_internal.h"

static void results_of_failure(struct proto_zk_result *results, size_t count, size_t failed,
                               int32_t err) {
    for (size_t i = 0; i < count; i++) {
        int32_t code = i < failed    ? PROTO_ZK_ERR_OK
                       : i == failed ? err
                                     : PROTO_ZK_ERR_RUNTIMEINCONSISTENCY;
        results[i] = (struct proto_zk_result){.opcode = PROTO_ZK_RESULT_ERROR, .err = code};
    }
}

// What ZooKeeper finds while it takes a multi apart is an error of the whole: a create without path
// or ACL, or with a flag that is none, or one of a TTL
// where there is no room for it.
static bool is_torn(const struct proto_zk_op *op) {
    const struct proto_zk_create_mode *mode;
    switch (op->opcode) {
    case PROTO_ZK_OP_CREATE:
    case PROTO_ZK_OP_CREATE2:
    case PROTO_ZK_OP_CREATE_CONTAINER:
    case PROTO_ZK_OP_CREATE_TTL:
        mode = proto_zk_create_mode_find(op->create.flags);
        return !op->create.path.data || op->create.acl.is_null || !mode ||
               (mode->has_ttl && op->opcode != PROTO_ZK_OP_CREATE_TTL);
    default: return false;
    }
}

static bool any_is_torn(const struct proto_zk_request *request) {
    for (size_t i = 0; i < request->op_count; i++) {
        if (is_torn(&request->ops[i])) return true;
    }
    return false;
}

// A failed multi has no error in its header: the results say it.
void apply_multi(struct apply *apply, const struct proto_zk_request *request,
                 struct proto_zk_reply *reply) {
    if (any_is_torn(request)) {
        reply->header.err = PROTO_ZK_ERR_MARSHALLINGERROR;
        return;
    }
    size_t count = request->op_count;
    struct proto_zk_result *results = rt_arena_zero(apply->arena, count + 1, sizeof(*results));
    int32_t err = PROTO_ZK_ERR_OK;
    size_t done = 0;
    meta_store_mark(apply->store);
    for (; done < count && !err; done++) {
        const struct proto_zk_op *op = &request->ops[done];
        results[done].opcode = proto_zk_result_opcode(op);
        err = apply_op(apply, op, &results[done].body);
    }
    if (err) {
        meta_store_rollback(apply->store);
        apply->change_count = 0;
        results_of_failure(results, count, done - 1, err);
    } else {
        meta_store_commit(apply->store);
    }
    reply->results = results;
    reply->result_count = count;
}
