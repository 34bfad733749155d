// The servers of a client and the part of the tree it sees: "h1:2181,[::1]:2182/chroot".
//
// A port may be left out (2181). The order is shuffled once, so that clients spread, and then
// walked round and round.
#ifndef GEMINGA_META_CLIENT_SERVERS_H
#define GEMINGA_META_CLIENT_SERVERS_H

#include "runtime/arena.h"
#include "runtime/random.h"

struct meta_client_servers {
    struct rt_arena arena;   // holds all below
    const char **addresses;  // "tcp://host:port"
    unsigned count, next;
    struct rt_bytes chroot;  // "" or "/a/b"
};

// Nothing is left behind after an error.
RT_CHECK
rt_err meta_client_servers_parse(struct meta_client_servers *servers, const char *text, bool tls,
                                 struct rt_random *random, struct rt_why *why);
void meta_client_servers_fini(struct meta_client_servers *servers);
const char *meta_client_servers_take(struct meta_client_servers *servers);        // the next one
const char *meta_client_servers_last(const struct meta_client_servers *servers);  // host:port

// What the server calls `path` (chroot in front), and back; both may answer `path` itself. A path
// of the server that does not lie in the chroot is left as it is.
struct rt_bytes meta_client_servers_outer(const struct meta_client_servers *servers,
                                          struct rt_bytes path, struct rt_arena *arena);
struct rt_bytes meta_client_servers_inner(const struct meta_client_servers *servers,
                                          struct rt_bytes path);

#endif
