#include "tests/unit/meta_tree/applier.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct proto_zk_acl open_entry = {
    PROTO_ZK_PERM_ALL, {RT_BYTES_LITERAL("world"), RT_BYTES_LITERAL("anyone")}};
static const struct proto_zk_id bob = {RT_BYTES_LITERAL("digest"),
                                       RT_BYTES_LITERAL("bob:ikIaKsbtGweaHnb/jKn7OHqbunM=")};
static const struct proto_zk_acl bob_entry = {
    PROTO_ZK_PERM_ALL,
    {RT_BYTES_LITERAL("digest"), RT_BYTES_LITERAL("bob:ikIaKsbtGweaHnb/jKn7OHqbunM=")}};

const struct proto_zk_acls applier_open_acl = {.items = &open_entry, .count = 1};
const struct proto_zk_acls applier_bob_acl = {.items = &bob_entry, .count = 1};
const struct proto_zk_ids applier_bob = {.items = &bob, .count = 1};

void applier_open(struct applier *a, struct stage *stage) {
    *a = (struct applier){.stage = stage, .time_ms = 1000};
    stage_open(stage);
    meta_apply_genesis(stage->store);
    cr_assert_eq(applier_open_session(a, APPLIER_SESSION)->verdict, META_SESSION_OPENED);
    a->session = APPLIER_SESSION;
    a->attachment = a->index;
}

void applier_close(struct applier *a) {
    cr_assert_eq(meta_store_failure(a->stage->store), RT_OK);
    stage_close(a->stage);
    rt_arena_fini(&a->arena);
    rt_buf_fini(&a->payload);
    rt_buf_fini(&a->entry);
}

const struct meta_outcome *applier_bytes(struct applier *a, struct rt_bytes entry) {
    a->index++;
    rt_arena_clear(&a->arena);
    struct meta_position at = {a->index, 1};
    meta_apply(a->stage->store, at, entry, &a->arena, &a->outcome);
    cr_assert_eq(meta_store_totals(a->stage->store).applied.index, a->index);
    cr_assert_eq(a->outcome.zxid, (int64_t)a->index);
    return &a->outcome;
}

const struct meta_outcome *applier_entry(struct applier *a, const struct meta_command *command) {
    struct meta_command stamped = *command;
    stamped.time_ms = a->time_ms;
    rt_buf_clear(&a->entry);
    struct rt_writer w = rt_writer_into(&a->entry);
    meta_command_encode(&stamped, &w);
    return applier_bytes(a, rt_buf_bytes(&a->entry));
}

static struct meta_command with_password(enum meta_command_kind kind, int64_t session,
                                         const char *password) {
    struct meta_command command = {
        .kind = kind, .session = session, .origin = 1, .ticket = 5, .open.timeout_ms = 4000};
    memcpy(command.open.password, password, PROTO_ZK_PASSWORD_SIZE);
    return command;
}

const struct meta_outcome *applier_open_session(struct applier *a, int64_t session) {
    struct meta_command command = with_password(META_OPEN_SESSION, session, "0123456789abcdef");
    return applier_entry(a, &command);
}

const struct meta_outcome *applier_attach(struct applier *a, int64_t session,
                                          const char password[PROTO_ZK_PASSWORD_SIZE + 1]) {
    struct meta_command command = with_password(META_ATTACH_SESSION, session, password);
    command.open.timeout_ms = 9000;
    return applier_entry(a, &command);
}

const struct meta_outcome *applier_close_session(struct applier *a, int64_t session,
                                                 uint64_t attachment, uint64_t origin) {
    const struct meta_command command = {
        .kind = META_CLOSE_SESSION, .origin = origin, .session = session, .attachment = attachment};
    return applier_entry(a, &command);
}

const struct meta_outcome *applier_reap(struct applier *a, const char *path, int64_t czxid,
                                        int64_t mzxid) {
    const struct meta_command command = {.kind = META_REAP,
                                         .reap = {czxid, mzxid, rt_bytes_of(path)}};
    return applier_entry(a, &command);
}

static int32_t request(struct applier *a, const struct proto_zk_request *request) {
    rt_buf_clear(&a->payload);
    struct rt_writer w = rt_writer_into(&a->payload);
    proto_zk_request_encode(request, &w);
    const struct meta_command command = {.kind = META_REQUEST,
                                         .flags = a->flags,
                                         .origin = 1,
                                         .ticket = 9,
                                         .session = a->session,
                                         .attachment = a->attachment,
                                         .request = {a->ids, rt_buf_bytes(&a->payload)}};
    applier_entry(a, &command);
    if (a->outcome.verdict == META_SESSION_MOVED) return PROTO_ZK_ERR_SESSIONMOVED;
    cr_assert_eq(a->outcome.verdict, META_ANSWERED);
    cr_assert_eq(a->outcome.reply.header.xid, request->xid);
    cr_assert_eq(a->outcome.reply.header.zxid, (int64_t)a->index);
    return a->outcome.reply.header.err;
}

int32_t applier_ask(struct applier *a, const struct proto_zk_op *op) {
    const struct proto_zk_request asked = {.xid = 31, .op = *op};
    return request(a, &asked);
}

int32_t applier_multi(struct applier *a, const struct proto_zk_op *ops, size_t count) {
    const struct proto_zk_request asked = {
        .xid = 32, .op.opcode = PROTO_ZK_OP_MULTI, .ops = ops, .op_count = count};
    return request(a, &asked);
}

struct proto_zk_op applier_op_create(int32_t opcode, const char *path, int32_t flags) {
    struct proto_zk_op op = {.opcode = opcode};
    op.create.path = rt_bytes_of(path);
    op.create.data = RT_BYTES_LITERAL("data");
    op.create.acl = applier_open_acl;
    op.create.flags = flags;
    return op;
}

struct proto_zk_op applier_op_versioned(int32_t opcode, const char *path, int32_t version) {
    struct proto_zk_op op = {.opcode = opcode};
    op.versioned.path = rt_bytes_of(path);
    op.versioned.version = version;
    return op;
}

struct proto_zk_op applier_op_set(const char *path, const char *data, int32_t version) {
    struct proto_zk_op op = {.opcode = PROTO_ZK_OP_SET_DATA};
    op.set_data.path = rt_bytes_of(path);
    if (data) op.set_data.data = rt_bytes_of(data);
    op.set_data.version = version;
    return op;
}

int32_t applier_create(struct applier *a, const char *path, int32_t flags) {
    struct proto_zk_op op = applier_op_create(PROTO_ZK_OP_CREATE2, path, flags);
    return applier_ask(a, &op);
}

int32_t applier_delete(struct applier *a, const char *path) {
    struct proto_zk_op op = applier_op_versioned(PROTO_ZK_OP_DELETE, path, -1);
    return applier_ask(a, &op);
}

int32_t applier_set(struct applier *a, const char *path, const char *data) {
    struct proto_zk_op op = applier_op_set(path, data, -1);
    return applier_ask(a, &op);
}

const struct meta_znode *applier_find(struct applier *a, const char *path) {
    return stage_find(a->stage, path);
}

bool applier_data_is(struct applier *a, const char *path, const char *data) {
    const struct meta_znode *node = applier_find(a, path);
    return node && rt_bytes_equal(node->data, rt_bytes_of(data));
}

bool applier_path_is(const struct applier *a, const char *path) {
    return rt_bytes_equal(a->outcome.reply.body.path, rt_bytes_of(path));
}

const char *applier_changes(struct applier *a) {
    const char *text = "";
    for (size_t i = 0; i < a->outcome.change_count; i++) {
        const struct meta_change *change = &a->outcome.changes[i];
        char sign = change->type == PROTO_ZK_EVENT_NODE_CREATED   ? '+'
                    : change->type == PROTO_ZK_EVENT_NODE_DELETED ? '-'
                                                                  : '=';
        text = rt_arena_print(&a->arena, "%s%s%c%.*s", text, i ? " " : "", sign,
                              (int)change->path.size, (const char *)change->path.data);
    }
    return text;
}
