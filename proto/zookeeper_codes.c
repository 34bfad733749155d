#include "proto/zookeeper_codes.h"

// Lookups go through a switch, which compilers turn into a jump table or a search: the codes are
// sparse and partly negative.

const struct proto_zk_op_info *proto_zk_op_find(int32_t code) {
#define OP_INFO(id, op_code, op_name, op_kind, op_use, request, reply) \
    {.code = (op_code), .name = (op_name), .kind = PROTO_ZK_##op_kind, .uses = PROTO_ZK_##op_use},
#define OP_ROW(id, ...) ROW_##id,
#define OP_CASE(id, op_code, ...) \
    case op_code: return &ops[ROW_##id];
    enum { PROTO_ZK_OPS(OP_ROW) };
    static const struct proto_zk_op_info ops[] = {PROTO_ZK_OPS(OP_INFO)};
    switch (code) { PROTO_ZK_OPS(OP_CASE) }
    return NULL;
}

const char *proto_zk_op_name(int32_t code) {
    const struct proto_zk_op_info *info = proto_zk_op_find(code);
    return info ? info->name : "unknown";
}

struct err_info {
    const char *name, *text;
    bool sent;
};

static const struct err_info *err_find(int32_t code) {
#define ERR_INFO(id, err_code, err_sent, err_text) \
    {.name = #id, .text = (err_text), .sent = (err_sent)},
#define ERR_ROW(id, ...) ROW_##id,
#define ERR_CASE(id, err_code, ...) \
    case err_code: return &errs[ROW_##id];
    enum { PROTO_ZK_ERRS(ERR_ROW) };
    static const struct err_info errs[] = {PROTO_ZK_ERRS(ERR_INFO)};
    switch (code) { PROTO_ZK_ERRS(ERR_CASE) }
    return NULL;
}

const char *proto_zk_err_name(int32_t code) {
    const struct err_info *info = err_find(code);
    return info ? info->name : "UNKNOWN";
}

const char *proto_zk_err_text(int32_t code) {
    const struct err_info *info = err_find(code);
    return info ? info->text : "unknown error";
}

bool proto_zk_err_is_sendable(int32_t code) {
    const struct err_info *info = err_find(code);
    return info && info->sent;
}

const char *proto_zk_event_name(int32_t type) {
#define EVENT_CASE(id, code, name) \
    case code: return name;
    switch (type) { PROTO_ZK_EVENTS(EVENT_CASE) }
    return "unknown";
}

const struct proto_zk_create_mode *proto_zk_create_mode_find(int32_t flags) {
#define MODE_INFO(id, code, mode_name, ephemeral, sequential, container, ttl) \
    [(code)] = {.flags = (code),                                              \
                .name = (mode_name),                                          \
                .is_ephemeral = (ephemeral),                                  \
                .is_sequential = (sequential),                                \
                .is_container = (container),                                  \
                .has_ttl = (ttl)},
    static const struct proto_zk_create_mode modes[] = {PROTO_ZK_CREATE_MODES(MODE_INFO)};
    if (flags < 0 || (size_t)flags >= sizeof(modes) / sizeof(modes[0])) return NULL;
    return &modes[flags];
}
