#include "meta/server/watch/watches.h"
#include "runtime/mem.h"

#include "proto/zookeeper_path.h"
#include "runtime/hash.h"
#include <assert.h>
#include <string.h>

// All that one watcher holds on one path.
struct watch {
    struct rt_list of_path, of_watcher;
    struct watched *watched;
    struct meta_watcher *watcher;
    unsigned kinds;
};

// A path that somebody watches.
struct watched {
    UT_hash_handle hh;
    struct rt_list watches;  // oldest first
    size_t count;            // of them
    size_t path_size;
    uint8_t path[];
};

struct meta_watches {
    struct watched *paths;
    size_t watcher_count, watch_count, bytes;
    size_t recursive_count;  // watches with META_WATCH_RECURSIVE
    uint64_t events;
};

struct meta_watches *meta_watches_new(void) {
    return RT_NEW(struct meta_watches);
}

void meta_watches_free(struct meta_watches *watches) {
    assert(!watches->paths);
    rt_free(watches);
}

void meta_watcher_init(struct meta_watcher *watcher) {
    rt_list_init(&watcher->watches);
    watcher->count = 0;
    watcher->last_event = 0;
}

// FINDING

static struct watched *watched_find(const struct meta_watches *watches, struct rt_bytes path) {
    struct watched *watched;
    HASH_FIND(hh, watches->paths, path.data, path.size, watched);
    return watched;
}

// Looks through the shorter one of what the watcher watches and who watches the path.
static struct watch *watch_find(const struct meta_watches *watches,
                                const struct meta_watcher *watcher, struct rt_bytes path) {
    struct watched *watched = watched_find(watches, path);
    if (!watched) return NULL;
    if (watcher->count <= watched->count) {
        rt_list_each (node, &watcher->watches) {
            struct watch *watch = rt_container_of(node, struct watch, of_watcher);
            if (watch->watched == watched) return watch;
        }
        return NULL;
    }
    rt_list_each (node, &watched->watches) {
        struct watch *watch = rt_container_of(node, struct watch, of_path);
        if (watch->watcher == watcher) return watch;
    }
    return NULL;
}

// CHANGING

static struct watched *watched_new(struct meta_watches *watches, struct rt_bytes path) {
    struct watched *watched = rt_alloc(sizeof(*watched) + path.size);
    *watched = (struct watched){.path_size = path.size};
    if (path.size) memcpy(watched->path, path.data, path.size);
    rt_list_init(&watched->watches);
    HASH_ADD_KEYPTR(hh, watches->paths, watched->path, watched->path_size, watched);
    return watched;
}

static void watch_kinds_set(struct meta_watches *watches, struct watch *watch, unsigned kinds) {
    bool was = (watch->kinds & META_WATCH_RECURSIVE) != 0, is = (kinds & META_WATCH_RECURSIVE) != 0;
    watches->recursive_count += (size_t)is;
    watches->recursive_count -= (size_t)was;
    watch->kinds = kinds;
}

static void watch_free(struct meta_watches *watches, struct watch *watch) {
    struct watched *watched = watch->watched;
    watch_kinds_set(watches, watch, 0);
    watches->watch_count--;
    watches->bytes -= watched->path_size;
    watched->count--;
    watch->watcher->count--;
    if (!watch->watcher->count) watches->watcher_count--;
    rt_list_remove(&watch->of_watcher);
    rt_list_remove(&watch->of_path);
    rt_free(watch);
    if (!rt_list_is_empty(&watched->watches)) return;
    HASH_DEL(watches->paths, watched);
    rt_free(watched);
}

void meta_watches_add(struct meta_watches *watches, struct meta_watcher *watcher,
                      struct rt_bytes path, unsigned kinds) {
    struct watch *watch = watch_find(watches, watcher, path);
    if (!watch) {
        struct watched *watched = watched_find(watches, path);
        if (!watched) watched = watched_new(watches, path);
        watch = RT_NEW(struct watch);
        watch->watched = watched;
        watch->watcher = watcher;
        rt_list_init(&watch->of_path);
        rt_list_init(&watch->of_watcher);
        rt_list_push_back(&watched->watches, &watch->of_path);
        rt_list_push_back(&watcher->watches, &watch->of_watcher);
        if (!watcher->count++) watches->watcher_count++;
        watches->watch_count++;
        watches->bytes += path.size;
        watched->count++;
    }
    watch_kinds_set(watches, watch, watch->kinds | kinds);
}

bool meta_watches_has(const struct meta_watches *watches, const struct meta_watcher *watcher,
                      struct rt_bytes path, unsigned kinds) {
    const struct watch *watch = watch_find(watches, watcher, path);
    return watch && (watch->kinds & kinds);
}

bool meta_watches_remove(struct meta_watches *watches, struct meta_watcher *watcher,
                         struct rt_bytes path, unsigned kinds) {
    struct watch *watch = watch_find(watches, watcher, path);
    if (!watch || !(watch->kinds & kinds)) return false;
    watch_kinds_set(watches, watch, watch->kinds & ~kinds);
    if (!watch->kinds) watch_free(watches, watch);
    return true;
}

void meta_watches_drop(struct meta_watches *watches, struct meta_watcher *watcher) {
    while (!rt_list_is_empty(&watcher->watches))
        watch_free(watches, rt_container_of(watcher->watches.next, struct watch, of_watcher));
}

// FIRING

struct firing {
    struct meta_watches *watches;
    struct meta_watch_sink *sink;
    enum proto_zk_event_type type;
    struct rt_bytes path, acl;
    unsigned told;      // kinds that hear of it on this path
    unsigned consumed;  // of those, what is gone with it
};

static void fire_on(const struct firing *firing, struct rt_bytes on) {
    struct watched *watched = watched_find(firing->watches, on);
    if (!watched) return;
    rt_list_each_safe (node, &watched->watches) {
        struct watch *watch = rt_container_of(node, struct watch, of_path);
        bool hears = (watch->kinds & firing->told) != 0;
        struct meta_watcher *watcher = watch->watcher;
        bool last = watched->count == 1;
        if (!hears) continue;
        bool again = watcher->last_event == firing->watches->events;
        watcher->last_event = firing->watches->events;
        watch_kinds_set(firing->watches, watch, watch->kinds & ~firing->consumed);
        if (!watch->kinds) watch_free(firing->watches, watch);
        if (!again)
            firing->sink->deliver(firing->sink, watcher, firing->type, firing->path, firing->acl);
        if (last) return;  // the list may be gone with its last watch
    }
}

static void fire_recursive(struct firing *firing, struct rt_bytes path) {
    firing->told = META_WATCH_RECURSIVE;
    firing->consumed = 0;
    while (path.size > 1) {
        path = proto_zk_path_parent(path);
        fire_on(firing, path);
    }
}

static void fire(struct firing firing, unsigned told, unsigned consumed) {
    firing.watches->events++;
    bool recursive = (told & META_WATCH_RECURSIVE) && firing.watches->recursive_count;
    firing.told = told;
    firing.consumed = consumed;
    fire_on(&firing, firing.path);
    if (recursive) fire_recursive(&firing, firing.path);
}

void meta_watches_fire(struct meta_watches *watches, const struct meta_change *change,
                       struct meta_watch_sink *sink) {
    const unsigned lasting = META_WATCH_PERSISTENT | META_WATCH_RECURSIVE;
    struct firing firing = {.watches = watches,
                            .sink = sink,
                            .type = change->type,
                            .path = change->path,
                            .acl = change->acl};
    if (!watches->paths) return;
    bool deleted = change->type == PROTO_ZK_EVENT_NODE_DELETED;
    unsigned standard = META_WATCH_DATA | (deleted ? (unsigned)META_WATCH_CHILD : 0u);
    fire(firing, standard | lasting, standard);
    if (change->type == PROTO_ZK_EVENT_NODE_DATA_CHANGED) return;
    firing.type = PROTO_ZK_EVENT_NODE_CHILDREN_CHANGED;
    firing.path = proto_zk_path_parent(change->path);
    firing.acl = change->parent_acl;
    fire(firing, META_WATCH_CHILD | META_WATCH_PERSISTENT, META_WATCH_CHILD);
}

// LOOKING

struct meta_watch_totals meta_watches_totals(const struct meta_watches *watches) {
    return (struct meta_watch_totals){.watchers = watches->watcher_count,
                                      .paths = HASH_COUNT(watches->paths),
                                      .watches = watches->watch_count,
                                      .bytes = watches->bytes};
}

void meta_watches_visit_paths(const struct meta_watches *watches, struct meta_watch_visit *visit) {
    for (struct watched *watched = watches->paths; watched; watched = watched->hh.next) {
        rt_list_each (node, &watched->watches) {
            struct watch *watch = rt_container_of(node, struct watch, of_path);
            visit->each(visit, RT_BYTES(watched->path, watched->path_size), watch->watcher,
                        watch->kinds);
        }
    }
}

void meta_watches_visit_watcher(const struct meta_watches *watches, struct meta_watcher *watcher,
                                struct meta_watch_visit *visit) {
    (void)watches;  // the watcher knows its own
    rt_list_each (node, &watcher->watches) {
        struct watch *watch = rt_container_of(node, struct watch, of_watcher);
        visit->each(visit, RT_BYTES(watch->watched->path, watch->watched->path_size), watcher,
                    watch->kinds);
    }
}
