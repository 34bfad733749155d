#include "meta/server/tree/apply.h"

#include <string.h>

#include "meta/server/tree/apply_internal.h"
#include "meta/server/tree/store_internal.h"
#include "runtime/mem.h"

static bool is_create(const struct proto_zk_op *op) {
    return op->opcode == PROTO_ZK_OP_CREATE || op->opcode == PROTO_ZK_OP_CREATE2 ||
           op->opcode == PROTO_ZK_OP_CREATE_CONTAINER || op->opcode == PROTO_ZK_OP_CREATE_TTL;
}

// A create looks at its flags before it looks at the session.
int32_t apply_op(struct apply *apply, const struct proto_zk_op *op, struct proto_zk_body *body) {
    if (is_create(op)) return apply_create(apply, op, body);
    if (apply->session_is_gone) return PROTO_ZK_ERR_SESSIONEXPIRED;
    switch (op->opcode) {
    case PROTO_ZK_OP_DELETE: return apply_delete(apply, op);
    case PROTO_ZK_OP_SET_DATA: return apply_set_data(apply, op, body);
    case PROTO_ZK_OP_SET_ACL: return apply_set_acl(apply, op, body);
    case PROTO_ZK_OP_CHECK: return apply_check(apply, op);
    default: return PROTO_ZK_ERR_UNIMPLEMENTED;
    }
}

// REQUESTS

static bool makes_stats(const struct proto_zk_op *op) {
    return is_create(op) && apply_quota_is_stats(op->create.path);
}

// Flushing is for entry boundaries, so it is done before the first change.
static void view_take(struct apply *apply, const struct proto_zk_request *request) {
    bool needed = makes_stats(&request->op);
    for (size_t i = 0; i < request->op_count && !needed; i++)
        needed = makes_stats(&request->ops[i]);
    if (needed) apply->has_view = !meta_store_view_now(apply->store, &apply->view);
}

static int32_t err_of_decode(rt_err err) {
    if (!err) return PROTO_ZK_ERR_OK;
    return err == RT_EUNSUPPORTED ? PROTO_ZK_ERR_UNIMPLEMENTED : PROTO_ZK_ERR_MARSHALLINGERROR;
}

static void request_answer(struct apply *apply, const struct proto_zk_request *request,
                           struct proto_zk_reply *reply) {
    view_take(apply, request);
    if (request->op.opcode == PROTO_ZK_OP_MULTI) {
        apply_multi(apply, request, reply);
    } else {
        reply->header.err = apply_op(apply, &request->op, &reply->body);
    }
}

static void request_apply(struct apply *apply, const struct meta_command *command,
                          struct meta_outcome *outcome) {
    struct proto_zk_request request = {0};
    struct proto_zk_reply *reply = &outcome->reply;
    rt_err err = proto_zk_request_decode(command->request.payload, apply->arena, &request);
    outcome->opcode = request.op.opcode;
    reply->header.xid = request.xid;
    reply->header.err = err_of_decode(err);
    bool is_internal = !command->session && !command->origin;
    const struct meta_session *session = meta_store_session(apply->store, command->session);
    apply->session_is_gone = !session && !is_internal;
    if (session && session->attachment != command->attachment) {
        outcome->verdict = META_SESSION_MOVED;
    } else if (!err) {
        request_answer(apply, &request, reply);
    }
}

// SESSIONS

static void session_open(struct apply *apply, const struct meta_command *command,
                         struct meta_outcome *outcome) {
    bool taken = !command->session || meta_store_session(apply->store, command->session);
    outcome->verdict = taken ? META_SESSION_REFUSED : META_SESSION_OPENED;
    if (taken) return;
    struct meta_session session = {.id = command->session,
                                   .timeout_ms = command->open.timeout_ms,
                                   .attachment = (uint64_t)apply->zxid,
                                   .created_ms = apply->time_ms};
    memcpy(session.password, command->open.password, PROTO_ZK_PASSWORD_SIZE);
    meta_store_session_put(apply->store, &session);
}

static void session_attach(struct apply *apply, const struct meta_command *command,
                           struct meta_outcome *outcome) {
    const struct meta_session *known = meta_store_session(apply->store, command->session);
    outcome->verdict = META_SESSION_REFUSED;
    if (!known || memcmp(known->password, command->open.password, PROTO_ZK_PASSWORD_SIZE) != 0)
        return;
    struct meta_session session = *known;
    session.attachment = (uint64_t)apply->zxid;
    session.timeout_ms = command->open.timeout_ms;
    meta_store_session_put(apply->store, &session);
    outcome->verdict = META_SESSION_OPENED;
}

struct ephemerals {
    struct meta_scan scan;
    struct rt_arena *arena;
    struct rt_bytes *paths;
    size_t count, capacity;
};

static bool ephemeral_each(struct meta_scan *scan, struct rt_bytes path) {
    struct ephemerals *found = rt_container_of(scan, struct ephemerals, scan);
    if (found->count == found->capacity) {
        found->capacity = found->capacity ? found->capacity * 2 : 16;
        found->paths = rt_realloc(found->paths, found->capacity * sizeof(*found->paths));
    }
    found->paths[found->count++] = rt_arena_copy(found->arena, path);
    return true;
}

static void ephemerals_remove(struct apply *apply, int64_t session) {
    struct ephemerals found = {.scan = {ephemeral_each}, .arena = apply->arena};
    struct meta_view view;
    rt_err err = meta_store_view_now(apply->store, &view);
    if (!err) err = meta_view_ephemerals_now(&view, session, &found.scan);
    if (err) meta_store_fail(apply->store, err);
    for (size_t i = 0; i < found.count && !err; i++) apply_remove(apply, found.paths[i]);
    rt_free(found.paths);
}

void apply_close_session(struct apply *apply, int64_t session) {
    // Without any there is nothing to look for, which spares the flush.
    if (meta_store_totals(apply->store).ephemerals) ephemerals_remove(apply, session);
    meta_store_session_remove(apply->store, session);
}

static void session_close(struct apply *apply, const struct meta_command *command,
                          struct meta_outcome *outcome) {
    const struct meta_session *known = meta_store_session(apply->store, command->session);
    outcome->opcode = PROTO_ZK_OP_CLOSE_SESSION;
    if (!known) {
        outcome->verdict = command->origin ? META_ANSWERED : META_IGNORED;
        outcome->reply.header.err = PROTO_ZK_ERR_SESSIONEXPIRED;
        return;
    }
    if (command->attachment && command->attachment != known->attachment) {
        outcome->verdict = command->origin ? META_SESSION_MOVED : META_IGNORED;
        return;
    }
    apply_close_session(apply, command->session);
    outcome->verdict = META_SESSION_CLOSED;
}

// Removes a container or TTL node that is still what the leader saw.
static void reap(struct apply *apply, const struct meta_command *command) {
    struct rt_bytes path = command->reap.path;
    const struct meta_znode *node = meta_store_find_now(apply->store, path);
    bool due = node && (node->kind == META_CONTAINER || node->kind == META_TTL) &&
               !node->children && node->czxid == command->reap.czxid &&
               node->mzxid == command->reap.mzxid;
    if (due) apply_remove(apply, path);
}

// ENTRIES

static void command_apply(struct apply *apply, const struct meta_command *command,
                          struct meta_outcome *outcome) {
    outcome->verdict = META_ANSWERED;
    switch (command->kind) {
    case META_REQUEST: request_apply(apply, command, outcome); break;
    case META_OPEN_SESSION: session_open(apply, command, outcome); break;
    case META_ATTACH_SESSION: session_attach(apply, command, outcome); break;
    case META_CLOSE_SESSION: session_close(apply, command, outcome); break;
    case META_REAP:
        reap(apply, command);
        outcome->verdict = META_IGNORED;
        break;
    }
}

static int64_t time_of(struct meta_store *store, int64_t time_ms) {
    int64_t latest = meta_store_totals(store).time_ms;
    return time_ms > latest ? time_ms : latest;
}

void meta_apply(struct meta_store *store, struct meta_position at, struct rt_bytes data,
                struct rt_arena *arena, struct meta_outcome *outcome) {
    struct meta_command command;
    *outcome = (struct meta_outcome){.verdict = META_IGNORED, .zxid = (int64_t)at.index};
    outcome->reply.header.zxid = (int64_t)at.index;
    if (meta_command_decode(data, arena, &command)) {
        meta_apply_nothing(store, at);
        return;
    }
    struct apply apply = {.store = store,
                          .arena = arena,
                          .ids = command.kind == META_REQUEST ? command.request.ids
                                                              : (struct proto_zk_ids){0},
                          .flags = command.flags,
                          .zxid = (int64_t)at.index,
                          .time_ms = time_of(store, command.time_ms),
                          .session = command.session};
    outcome->origin = command.origin;
    outcome->ticket = command.ticket;
    outcome->session = command.session;
    command_apply(&apply, &command, outcome);
    outcome->changes = apply.changes;
    outcome->change_count = apply.change_count;
    meta_store_set_applied(store, at, apply.time_ms);
}

void meta_apply_nothing(struct meta_store *store, struct meta_position at) {
    meta_store_set_applied(store, at, meta_store_totals(store).time_ms);
}

// BUILT-IN NODES

#define CONFIG_PATH RT_BYTES_LITERAL("/zookeeper/config")

static void builtin_put(struct meta_store *store, const char *path, int32_t children,
                        struct rt_bytes acl, int32_t aversion) {
    struct meta_znode node = {
        .children = children, .acl = acl, .aversion = aversion, .has_data = true};
    node.data = RT_BYTES_LITERAL("");
    meta_store_put(store, rt_bytes_of(path), &node);
}

void meta_apply_genesis(struct meta_store *store) {
    if (meta_store_find_now(store, RT_BYTES_LITERAL("/"))) return;
    struct rt_arena arena = {0};
    const struct proto_zk_acl read_only = {PROTO_ZK_PERM_READ,
                                           {RT_BYTES_LITERAL("world"), RT_BYTES_LITERAL("anyone")}};
    const struct proto_zk_acls acls = {.items = &read_only, .count = 1};
    struct rt_bytes stored;
    meta_acl_encode(&acls, &arena, &stored);
    builtin_put(store, "/", 1, (struct rt_bytes){0}, 0);
    builtin_put(store, "/zookeeper", 2, (struct rt_bytes){0}, 0);
    builtin_put(store, "/zookeeper/quota", 0, (struct rt_bytes){0}, 0);
    builtin_put(store, "/zookeeper/config", 0, stored, -1);
    rt_arena_fini(&arena);
}

void meta_apply_config(struct meta_store *store, struct meta_position at, struct rt_bytes text,
                       struct rt_arena *arena, struct meta_outcome *outcome) {
    *outcome = (struct meta_outcome){.verdict = META_IGNORED, .zxid = (int64_t)at.index};
    const struct meta_znode *found = meta_store_find_now(store, CONFIG_PATH);
    if (found && !rt_bytes_equal(found->data, text)) {
        struct apply apply = {.store = store, .arena = arena, .zxid = (int64_t)at.index};
        struct meta_znode node = *found;
        node.data = text;
        node.mzxid = (int64_t)at.index;
        node.mtime_ms = meta_store_totals(store).time_ms;
        node.version = (int32_t)((uint32_t)node.version + 1);
        apply_change(&apply, PROTO_ZK_EVENT_NODE_DATA_CHANGED, CONFIG_PATH, &node, NULL);
        meta_store_put(store, CONFIG_PATH, &node);
        outcome->changes = apply.changes;
        outcome->change_count = apply.change_count;
    }
    meta_apply_nothing(store, at);
}
