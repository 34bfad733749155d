// Who a connection is: the address it comes from, and what it proved since. It belongs to the
// connection, not to the session; every command carries it along.
#include <string.h>

#include "meta/server/zk/conn.h"

enum { IDS_MAX = 64, ID_BYTES_MAX = 16 << 10 };  // of one connection: they go with every command

static const char scheme_ip[] = "ip", scheme_digest[] = "digest", scheme_super[] = "super";

static bool is_known(const struct meta_conn *conn, struct rt_bytes scheme, struct rt_bytes id) {
    for (size_t i = 0; i < conn->id_count; i++) {
        const struct proto_zk_id *known = &conn->ids[i];
        if (rt_bytes_equal(known->scheme, scheme) && rt_bytes_equal(known->id, id)) return true;
    }
    return false;
}

// False: too many. scheme: a literal.
static bool id_add(struct meta_conn *conn, const char *scheme_text, struct rt_bytes id) {
    struct rt_bytes scheme = rt_bytes_of(scheme_text);
    if (is_known(conn, scheme, id)) return true;
    if (conn->id_count == IDS_MAX || conn->id_bytes + id.size > ID_BYTES_MAX) return false;
    uint8_t *copy = rt_alloc(id.size + 1);
    if (id.size) memcpy(copy, id.data, id.size);
    conn->ids = rt_realloc(conn->ids, (conn->id_count + 1) * sizeof(*conn->ids));
    conn->ids[conn->id_count++] = (struct proto_zk_id){scheme, RT_BYTES(copy, id.size)};
    conn->id_bytes += id.size;
    return true;
}

void meta_conn_ids_init(struct meta_conn *conn, struct rt_bytes address) {
    id_add(conn, scheme_ip, address);
}

struct proto_zk_ids meta_conn_ids(const struct meta_conn *conn) {
    return (struct proto_zk_ids){.items = conn->ids, .count = conn->id_count};
}

// Ids only ever come to a connection, the latest last.
struct proto_zk_ids meta_pending_ids(const struct meta_conn *conn,
                                     const struct meta_pending *pending) {
    struct proto_zk_ids ids = meta_conn_ids(conn);
    if (pending) ids.count = pending->id_count;
    return ids;
}

static int32_t digest_authenticate(struct meta_conn *conn, struct rt_bytes auth) {
    struct meta_server *server = conn->server;
    const char *super = server->options.super_digest;
    if (!auth.data || auth.size > ID_BYTES_MAX) return PROTO_ZK_ERR_AUTHFAILED;
    struct rt_bytes id = meta_digest_id(auth, &server->arena);
    bool is_super = super && rt_bytes_equal(id, rt_bytes_of(super));
    if (is_super && !id_add(conn, scheme_super, RT_BYTES_LITERAL("")))
        return PROTO_ZK_ERR_AUTHFAILED;
    return id_add(conn, scheme_digest, id) ? PROTO_ZK_ERR_OK : PROTO_ZK_ERR_AUTHFAILED;
}

int32_t meta_conn_authenticate(struct meta_conn *conn, struct rt_bytes scheme,
                               struct rt_bytes auth) {
    if (rt_bytes_equal(scheme, rt_bytes_of(scheme_ip))) return PROTO_ZK_ERR_OK;  // known already
    if (rt_bytes_equal(scheme, rt_bytes_of(scheme_digest))) return digest_authenticate(conn, auth);
    return PROTO_ZK_ERR_AUTHFAILED;
}

// ENFORCED AUTHENTICATION

static bool is_listed(const char *list, struct rt_bytes name) {
    for (const char *at = list; *at;) {
        size_t size = strcspn(at, ",");
        struct rt_bytes item = RT_BYTES(at, size);
        while (item.size && item.data[0] == ' ') item = rt_bytes_skip(item, 1);
        while (item.size && item.data[item.size - 1] == ' ') item.size--;
        if (rt_bytes_equal(item, name)) return true;
        at += size + (at[size] == ',');
    }
    return false;
}

// Without a list, whatever was proved will do; an address is none.
static bool is_authenticated(const struct meta_conn *conn) {
    const char *schemes = conn->server->options.enforce_auth_schemes;
    for (size_t i = 0; i < conn->id_count; i++) {
        struct rt_bytes scheme = conn->ids[i].scheme;
        bool is_address = rt_bytes_equal(scheme, rt_bytes_of(scheme_ip));
        if (schemes ? is_listed(schemes, scheme) : !is_address) return true;
    }
    return false;
}

bool meta_conn_may_ask(const struct meta_conn *conn, int32_t opcode) {
    if (!conn->server->options.enforce_auth) return true;
    if (opcode == PROTO_ZK_OP_AUTH || opcode == PROTO_ZK_OP_SASL) return true;
    return is_authenticated(conn);
}

// WHO AM I: schemes and names, without the hashes.

static struct rt_bytes name_of(const struct proto_zk_id *id) {
    if (!rt_bytes_equal(id->scheme, rt_bytes_of(scheme_digest))) return id->id;
    struct rt_bytes name = id->id;
    const uint8_t *colon = memchr(name.data, ':', name.size);
    if (colon) name.size = (size_t)(colon - name.data);
    return name;
}

void meta_conn_who_am_i(struct meta_conn *conn, const struct meta_asked *asked,
                        const struct proto_zk_ids *ids) {
    struct meta_server *server = conn->server;
    size_t count = ids->count;
    struct proto_zk_id *names = rt_arena_zero(&server->arena, count + 1, sizeof(*names));
    for (size_t i = 0; i < count; i++)
        names[i] = (struct proto_zk_id){ids->items[i].scheme, name_of(&ids->items[i])};
    struct proto_zk_reply reply = {
        .header = {asked->xid, (int64_t)meta_server_applied(server), PROTO_ZK_ERR_OK},
        .body.ids = {.items = names, .count = count}};
    meta_conn_reply(conn, asked, &reply);
}
