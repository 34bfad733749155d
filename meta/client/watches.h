// The watches of a session, by path, as the server knows the paths.
//
// A registration joins one watch, one path and one kind. An event takes the registrations it
// consumes out of the table and gives a copy of those that stay, all into one list, and then calls
// them: callbacks may register and cancel as they like.
#ifndef GEMINGA_META_CLIENT_WATCHES_H
#define GEMINGA_META_CLIENT_WATCHES_H

#include "meta/client/client.h"

// Exist is a watch set where no node was.
enum meta_client_watch_kind {
    META_CLIENT_WATCH_DATA,
    META_CLIENT_WATCH_EXIST,
    META_CLIENT_WATCH_CHILD,
    META_CLIENT_WATCH_PERSISTENT,
    META_CLIENT_WATCH_RECURSIVE
};
enum { META_CLIENT_WATCH_KINDS = META_CLIENT_WATCH_RECURSIVE + 1 };

// A path can be registered again if it fits a request together with this.
enum { META_CLIENT_RESYNC_OVERHEAD = 40 };

struct meta_client_watch_entry;

struct meta_client_watches {
    struct meta_client_watch_entry *entries;  // uthash: iterated in the order of insertion
    struct rt_list resync;                    // entries not yet registered on this connection
    struct rt_list firing;
    size_t recursive_count;
    size_t recursive_size_max;  // of their paths, since there were none
};

void meta_client_watches_init(struct meta_client_watches *watches);
void meta_client_watches_fini(struct meta_client_watches *watches);
void meta_client_watches_add(struct meta_client_watches *watches, struct rt_bytes path,
                             enum meta_client_watch_kind kind, struct meta_client_watch *watch);
void meta_client_watches_cancel(struct meta_client_watches *watches,
                                struct meta_client_watch *watch);

// `path` is the event's as the server knows it; the callbacks are given `event`.
void meta_client_watches_fire(struct meta_client_watches *watches, struct rt_bytes path,
                              const struct proto_zk_event *event);
// The server has removed those of a type (enum proto_zk_watch_type) and path; they are told.
void meta_client_watches_remove(struct meta_client_watches *watches, struct rt_bytes path,
                                int32_t type, struct rt_bytes inner);
// The session is over: every watch once; the table is empty then.
void meta_client_watches_end(struct meta_client_watches *watches,
                             const struct proto_zk_event *event);

// After a new connection: all paths, a request's worth at a time.
void meta_client_watches_resync_start(struct meta_client_watches *watches);
bool meta_client_watches_resync_is_over(const struct meta_client_watches *watches);
// Fills the lists (in the arena; the paths are borrowed) with the next ones, as many as fit a
// request of size_max bytes, at least one. Returns the opcode.
int32_t meta_client_watches_resync_next(struct meta_client_watches *watches, size_t size_max,
                                        struct rt_arena *arena,
                                        struct proto_zk_set_watches *request);

#endif
