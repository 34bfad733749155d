#include "meta/client/servers.h"

#include <assert.h>
#include <string.h>

#include "proto/zookeeper_path.h"
#include "runtime/address.h"

static const char default_port[] = "2181";

// A colon behind the bracket of an IPv6 address, or the only one there is.
static bool has_port(struct rt_bytes server) {
    const uint8_t *from = memrchr(server.data, ']', server.size);
    if (!from) from = server.data;
    return memchr(from, ':', (size_t)(server.data + server.size - from)) != NULL;
}

static rt_err address_add(struct meta_client_servers *servers, struct rt_bytes server, bool tls,
                          struct rt_why *why) {
    char *text = rt_arena_print(&servers->arena, "%s%.*s%s%s", tls ? "tls+tcp://" : "tcp://",
                                (int)server.size, (const char *)server.data,
                                has_port(server) ? "" : ":", has_port(server) ? "" : default_port);
    struct rt_address address;
    rt_err err = rt_address_parse(text, &address, why);
    if (err) return rt_why_prefix(why, RT_EINVAL, "server list");
    bool is_any = address.host[0] == '\0' || strcmp(address.host, "*") == 0;  // to listen on
    if (is_any || address.port == 0) {
        return rt_why_set(why, RT_EINVAL, "server list: '%.*s' is not host:port", (int)server.size,
                          (const char *)server.data);
    }
    servers->addresses[servers->count++] = text;
    return RT_OK;
}

static rt_err addresses_parse(struct meta_client_servers *servers, struct rt_bytes list, bool tls,
                              struct rt_why *why) {
    size_t parts = 1;
    for (size_t i = 0; i < list.size; i++) parts += list.data[i] == ',';
    servers->addresses = rt_arena_zero(&servers->arena, parts, sizeof(servers->addresses[0]));
    while (list.size > 0) {
        const uint8_t *comma = memchr(list.data, ',', list.size);
        size_t size = comma ? (size_t)(comma - list.data) : list.size;
        struct rt_bytes server = {list.data, size};
        list = rt_bytes_skip(list, size + 1);
        while (server.size > 0 && server.data[0] == ' ') server = rt_bytes_skip(server, 1);
        while (server.size > 0 && server.data[server.size - 1] == ' ') server.size--;
        if (server.size == 0) continue;
        rt_err err = address_add(servers, server, tls, why);
        if (err) return err;
    }
    if (servers->count == 0) return rt_why_set(why, RT_EINVAL, "server list: no server in it");
    return RT_OK;
}

static rt_err chroot_parse(struct meta_client_servers *servers, struct rt_bytes path,
                           struct rt_why *why) {
    servers->chroot = RT_BYTES_LITERAL("");
    if (path.size <= 1) return RT_OK;
    enum proto_zk_path_fault fault = proto_zk_path_check(path);
    if (fault != PROTO_ZK_PATH_OK) {
        return rt_why_set(why, RT_EINVAL, "server list: chroot '%.*s': %s", (int)path.size,
                          (const char *)path.data, proto_zk_path_fault_text(fault));
    }
    servers->chroot = rt_arena_copy(&servers->arena, path);
    return RT_OK;
}

static void shuffle(struct meta_client_servers *servers, struct rt_random *random) {
    for (unsigned i = servers->count - 1; i > 0; i--) {
        unsigned other = (unsigned)rt_random_below(random, i + 1);
        const char *address = servers->addresses[i];
        servers->addresses[i] = servers->addresses[other];
        servers->addresses[other] = address;
    }
}

rt_err meta_client_servers_parse(struct meta_client_servers *servers, const char *text, bool tls,
                                 struct rt_random *random, struct rt_why *why) {
    *servers = (struct meta_client_servers){.count = 0};
    struct rt_bytes all = rt_bytes_of(text);
    const uint8_t *slash = memchr(all.data, '/', all.size);
    size_t list_size = slash ? (size_t)(slash - all.data) : all.size;
    rt_err err = addresses_parse(servers, RT_BYTES(all.data, list_size), tls, why);
    if (!err) err = chroot_parse(servers, rt_bytes_skip(all, list_size), why);
    if (err) {
        meta_client_servers_fini(servers);
        return err;
    }
    shuffle(servers, random);
    return RT_OK;
}

void meta_client_servers_fini(struct meta_client_servers *servers) {
    rt_arena_fini(&servers->arena);
}

const char *meta_client_servers_take(struct meta_client_servers *servers) {
    const char *address = servers->addresses[servers->next];
    servers->next = (servers->next + 1) % servers->count;
    return address;
}

const char *meta_client_servers_last(const struct meta_client_servers *servers) {
    const char *address = servers->addresses[(servers->next + servers->count - 1) % servers->count];
    return strstr(address, "://") + strlen("://");
}

struct rt_bytes meta_client_servers_outer(const struct meta_client_servers *servers,
                                          struct rt_bytes path, struct rt_arena *arena) {
    struct rt_bytes chroot = servers->chroot;
    if (chroot.size == 0) return path;
    if (path.size == 1) return chroot;
    uint8_t *memory = rt_arena_alloc(arena, chroot.size + path.size);
    memcpy(memory, chroot.data, chroot.size);
    memcpy(memory + chroot.size, path.data, path.size);
    return RT_BYTES(memory, chroot.size + path.size);
}

struct rt_bytes meta_client_servers_inner(const struct meta_client_servers *servers,
                                          struct rt_bytes path) {
    struct rt_bytes chroot = servers->chroot;
    if (chroot.size == 0 || !rt_bytes_starts_with(path, chroot)) return path;
    if (path.size == chroot.size) return RT_BYTES_LITERAL("/");
    if (path.data[chroot.size] != '/') return path;
    return rt_bytes_skip(path, chroot.size);
}
