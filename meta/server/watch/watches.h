// Who watches which path. Pure bookkeeping in memory: watches belong to a connection, are not
// replicated and are gone with it. Section 13 of the protocol sheet is the source of the rules.
//
// A watcher is embedded in a connection. Firing calls `deliver` at most once for each watcher and
// event. Cost: a lookup for each ancestor while anybody watches recursively, else two lookups.
#ifndef GEMINGA_META_SERVER_WATCH_WATCHES_H
#define GEMINGA_META_SERVER_WATCH_WATCHES_H

#include "meta/server/tree/apply.h"
#include "runtime/list.h"

struct meta_watches;

enum meta_watch_kind {         // bits: a watcher may hold several on one path
    META_WATCH_DATA = 1 << 0,  // exists and getData share it
    META_WATCH_CHILD = 1 << 1,
    META_WATCH_PERSISTENT = 1 << 2,
    META_WATCH_RECURSIVE = 1 << 3
};

struct meta_watcher {
    struct rt_list watches;  // private: all of its watches
    size_t count;            // of its watches
    uint64_t last_event;     // private: number of the last event it was told
};

struct meta_watches *meta_watches_new(void);
void meta_watches_free(struct meta_watches *watches);  // no watcher holds any

void meta_watcher_init(struct meta_watcher *watcher);
void meta_watches_add(struct meta_watches *watches, struct meta_watcher *watcher,
                      struct rt_bytes path, unsigned kinds);
// False: it held none of them there.
bool meta_watches_has(const struct meta_watches *watches, const struct meta_watcher *watcher,
                      struct rt_bytes path, unsigned kinds);
bool meta_watches_remove(struct meta_watches *watches, struct meta_watcher *watcher,
                         struct rt_bytes path, unsigned kinds);
void meta_watches_drop(struct meta_watches *watches, struct meta_watcher *watcher);  // all of it

// Standard watches that match are consumed, also where deliver drops the event for want of a right.
struct meta_watch_sink {
    // acl: of the node that the event names. path is borrowed for the call. Must not change the
    // watches.
    void (*deliver)(struct meta_watch_sink *sink, struct meta_watcher *watcher,
                    enum proto_zk_event_type type, struct rt_bytes path, struct rt_bytes acl);
};
void meta_watches_fire(struct meta_watches *watches, const struct meta_change *change,
                       struct meta_watch_sink *sink);

// For the four-letter words and metrics.
struct meta_watch_totals {
    size_t watchers, paths, watches;
    size_t bytes;  // of the paths of all watches
};
struct meta_watch_totals meta_watches_totals(const struct meta_watches *watches);
struct meta_watch_visit {
    void (*each)(struct meta_watch_visit *visit, struct rt_bytes path, struct meta_watcher *watcher,
                 unsigned kinds);
};
void meta_watches_visit_paths(const struct meta_watches *watches, struct meta_watch_visit *visit);
void meta_watches_visit_watcher(const struct meta_watches *watches, struct meta_watcher *watcher,
                                struct meta_watch_visit *visit);

#endif
