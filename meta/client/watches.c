#include "meta/client/watches.h"

#include <assert.h>
#include <string.h>

#include "proto/zookeeper_path.h"
#include "runtime/hash.h"

enum {
    STANDARD_DATA = 1u << META_CLIENT_WATCH_DATA | 1u << META_CLIENT_WATCH_EXIST,
    STANDARD_CHILD = 1u << META_CLIENT_WATCH_CHILD,
    PERSISTENT = 1u << META_CLIENT_WATCH_PERSISTENT,
    RECURSIVE = 1u << META_CLIENT_WATCH_RECURSIVE,
    RESYNC_SIZE_MAX = 128 << 10,  // of one request
    PATH_PREFIX_SIZE = 4
};
static_assert(META_CLIENT_RESYNC_OVERHEAD == 4 + 4 + 8 + 5 * 4 + PATH_PREFIX_SIZE,
              "xid, opcode, zxid, five counts, and the length of one path");

struct meta_client_watch_entry {
    UT_hash_handle hh;
    struct rt_list registrations;
    struct rt_list resync;
    unsigned resync_kinds;  // still to be registered on this connection
    size_t path_size;
    char path[];
};

// entry is NULL while it is on the list of those to be called.
struct registration {
    struct rt_list by_path;
    struct rt_list by_watch;  // those to be called are in front
    struct meta_client_watches *watches;
    struct meta_client_watch_entry *entry;
    struct meta_client_watch *watch;
    enum meta_client_watch_kind kind;
};

void meta_client_watches_init(struct meta_client_watches *watches) {
    *watches = (struct meta_client_watches){.entries = NULL};
    rt_list_init(&watches->resync);
    rt_list_init(&watches->firing);
}

// ENTRIES

static struct meta_client_watch_entry *entry_find(struct meta_client_watches *watches,
                                                  struct rt_bytes path) {
    struct meta_client_watch_entry *entry = NULL;
    HASH_FIND(hh, watches->entries, path.data, path.size, entry);
    return entry;
}

static struct meta_client_watch_entry *entry_add(struct meta_client_watches *watches,
                                                 struct rt_bytes path) {
    struct meta_client_watch_entry *entry = rt_alloc_zero(1, sizeof(*entry) + path.size);
    rt_list_init(&entry->registrations);
    rt_list_init(&entry->resync);
    entry->path_size = path.size;
    memcpy(entry->path, path.data, path.size);
    HASH_ADD_KEYPTR(hh, watches->entries, entry->path, entry->path_size, entry);
    return entry;
}

static void entry_drop_if_empty(struct meta_client_watches *watches,
                                struct meta_client_watch_entry *entry) {
    if (!rt_list_is_empty(&entry->registrations)) return;
    HASH_DEL(watches->entries, entry);
    rt_list_remove(&entry->resync);
    rt_free(entry);
}

// REGISTRATIONS

static struct registration *registration_of(struct rt_list *by_path) {
    return rt_container_of(by_path, struct registration, by_path);
}

static struct registration *registration_new(struct meta_client_watches *watches,
                                             struct meta_client_watch *watch,
                                             enum meta_client_watch_kind kind) {
    struct registration *reg = RT_NEW(struct registration);
    reg->watches = watches;
    reg->watch = watch;
    reg->kind = kind;
    rt_list_init(&reg->by_path);
    rt_list_init(&reg->by_watch);
    return reg;
}

static void registration_free(struct registration *reg) {
    rt_list_remove(&reg->by_path);
    rt_list_remove(&reg->by_watch);
    rt_free(reg);
}

// Takes it off its path; whoever calls drops the entry if that was the last.
static void registration_detach(struct registration *reg) {
    if (reg->kind == META_CLIENT_WATCH_RECURSIVE) reg->watches->recursive_count--;
    rt_list_remove(&reg->by_path);
    reg->entry = NULL;
}

static bool is_registered(const struct meta_client_watch_entry *entry,
                          const struct meta_client_watch *watch, enum meta_client_watch_kind kind) {
    rt_list_each (node, &entry->registrations) {
        const struct registration *reg = registration_of(node);
        if (reg->watch == watch && reg->kind == kind) return true;
    }
    return false;
}

void meta_client_watches_add(struct meta_client_watches *watches, struct rt_bytes path,
                             enum meta_client_watch_kind kind, struct meta_client_watch *watch) {
    assert(watch->fired);
    if (!watch->registrations.next) rt_list_init(&watch->registrations);
    struct meta_client_watch_entry *entry = entry_find(watches, path);
    if (!entry) entry = entry_add(watches, path);
    if (is_registered(entry, watch, kind)) return;
    struct registration *reg = registration_new(watches, watch, kind);
    reg->entry = entry;
    rt_list_push_back(&entry->registrations, &reg->by_path);
    rt_list_push_back(&watch->registrations, &reg->by_watch);
    if (kind != META_CLIENT_WATCH_RECURSIVE) return;
    if (watches->recursive_count++ == 0) watches->recursive_size_max = 0;
    if (path.size > watches->recursive_size_max) watches->recursive_size_max = path.size;
}

static void registration_cancel(struct registration *reg) {
    struct meta_client_watches *watches = reg->watches;
    struct meta_client_watch_entry *entry = reg->entry;
    if (entry) registration_detach(reg);
    registration_free(reg);
    if (entry) entry_drop_if_empty(watches, entry);
}

// The watch may be registered with other clients too: theirs stay.
void meta_client_watches_cancel(struct meta_client_watches *watches,
                                struct meta_client_watch *watch) {
    if (!watch->registrations.next) return;
    rt_list_each_safe (node, &watch->registrations) {
        struct registration *reg = rt_container_of(node, struct registration, by_watch);
        if (reg->watches == watches) registration_cancel(reg);
    }
}

// FIRING

static bool watch_is_firing(const struct meta_client_watches *watches,
                            const struct meta_client_watch *watch) {
    rt_list_each (node, &watch->registrations) {
        const struct registration *reg = rt_container_of(node, struct registration, by_watch);
        if (reg->entry) return false;
        if (reg->watches == watches) return true;
    }
    return false;
}

static void registration_fire_later(struct registration *reg) {
    assert(!reg->entry);
    rt_list_remove(&reg->by_watch);
    rt_list_push_front(&reg->watch->registrations, &reg->by_watch);
    rt_list_push_back(&reg->watches->firing, &reg->by_path);
}

static void consume(struct registration *reg) {
    bool is_firing = watch_is_firing(reg->watches, reg->watch);
    registration_detach(reg);
    if (is_firing) registration_free(reg);
    if (!is_firing) registration_fire_later(reg);
}

// Standard ones are consumed, persistent ones stay. The entry may be gone afterwards.
static void match(struct meta_client_watches *watches, struct meta_client_watch_entry *entry,
                  unsigned consumed, unsigned staying) {
    rt_list_each_safe (node, &entry->registrations) {
        struct registration *reg = registration_of(node);
        if (consumed & 1u << reg->kind) {
            consume(reg);
        } else if (staying & 1u << reg->kind && !watch_is_firing(watches, reg->watch)) {
            registration_fire_later(registration_new(watches, reg->watch, reg->kind));
        }
    }
    entry_drop_if_empty(watches, entry);
}

static void match_path(struct meta_client_watches *watches, struct rt_bytes path, unsigned consumed,
                       unsigned staying) {
    struct meta_client_watch_entry *entry = entry_find(watches, path);
    if (entry) match(watches, entry, consumed, staying);
}

// Those that are longer than any recursive one are passed over: a path may have a million.
static void match_ancestors(struct meta_client_watches *watches, struct rt_bytes path) {
    size_t size_max = watches->recursive_size_max;
    if (path.size > size_max + 1) path.size = size_max + 1;
    while (path.size > 1) {
        path = proto_zk_path_parent(path);
        match_path(watches, path, 0, RECURSIVE);
    }
}

// Calls take a registration off the list first, so that a callback may do anything.
static void call_firing(struct meta_client_watches *watches, const struct proto_zk_event *event) {
    while (!rt_list_is_empty(&watches->firing)) {
        struct registration *reg = registration_of(watches->firing.next);
        struct meta_client_watch *watch = reg->watch;
        registration_free(reg);
        watch->fired(watch, event);
    }
}

static unsigned standard_kinds(int32_t event_type) {
    switch (event_type) {
    case PROTO_ZK_EVENT_NODE_CREATED:
    case PROTO_ZK_EVENT_NODE_DATA_CHANGED: return STANDARD_DATA;
    case PROTO_ZK_EVENT_NODE_DELETED: return STANDARD_DATA | STANDARD_CHILD;
    case PROTO_ZK_EVENT_NODE_CHILDREN_CHANGED: return STANDARD_CHILD;
    default: return 0;  // not from a server: changes nothing
    }
}

void meta_client_watches_fire(struct meta_client_watches *watches, struct rt_bytes path,
                              const struct proto_zk_event *event) {
    unsigned consumed = standard_kinds(event->type);
    bool is_path = proto_zk_path_is_splittable(path) && path.data[0] == '/';
    if (consumed == 0 || !is_path) return;
    bool is_for_recursive = event->type != PROTO_ZK_EVENT_NODE_CHILDREN_CHANGED;
    match_path(watches, path, consumed, PERSISTENT | (is_for_recursive ? RECURSIVE : 0u));
    if (is_for_recursive && watches->recursive_count > 0) match_ancestors(watches, path);
    call_firing(watches, event);
}

void meta_client_watches_remove(struct meta_client_watches *watches, struct rt_bytes path,
                                int32_t type, struct rt_bytes inner) {
    static const struct {
        int32_t type, event_type;
        unsigned kinds;
    } removals[] = {
        {PROTO_ZK_WATCH_DATA, PROTO_ZK_EVENT_DATA_WATCH_REMOVED, STANDARD_DATA},
        {PROTO_ZK_WATCH_CHILDREN, PROTO_ZK_EVENT_CHILD_WATCH_REMOVED, STANDARD_CHILD},
        {PROTO_ZK_WATCH_PERSISTENT, PROTO_ZK_EVENT_PERSISTENT_WATCH_REMOVED, PERSISTENT},
        {PROTO_ZK_WATCH_PERSISTENT_RECURSIVE, PROTO_ZK_EVENT_PERSISTENT_WATCH_REMOVED, RECURSIVE},
    };
    for (unsigned i = 0; i < sizeof(removals) / sizeof(removals[0]); i++) {
        if (type != PROTO_ZK_WATCH_ANY && type != removals[i].type) continue;
        struct proto_zk_event event = {
            .type = removals[i].event_type, .state = PROTO_ZK_STATE_SYNC_CONNECTED, .path = inner};
        match_path(watches, path, removals[i].kinds, 0);
        call_firing(watches, &event);
    }
}

static void consume_all(struct meta_client_watches *watches) {
    struct meta_client_watch_entry *entry = NULL, *next = NULL;
    HASH_ITER (hh, watches->entries, entry, next) {
        match(watches, entry, STANDARD_DATA | STANDARD_CHILD | PERSISTENT | RECURSIVE, 0);
    }
}

void meta_client_watches_end(struct meta_client_watches *watches,
                             const struct proto_zk_event *event) {
    consume_all(watches);
    call_firing(watches, event);
}

void meta_client_watches_fini(struct meta_client_watches *watches) {
    consume_all(watches);
    while (!rt_list_is_empty(&watches->firing)) {
        registration_free(registration_of(watches->firing.next));
    }
}

// ANOTHER CONNECTION

static unsigned entry_kinds(const struct meta_client_watch_entry *entry) {
    unsigned kinds = 0;
    rt_list_each (node, &entry->registrations) kinds |= 1u << registration_of(node)->kind;
    return kinds;
}

void meta_client_watches_resync_start(struct meta_client_watches *watches) {
    struct meta_client_watch_entry *entry = NULL, *next = NULL;
    HASH_ITER (hh, watches->entries, entry, next) {
        rt_list_remove(&entry->resync);
        rt_list_push_back(&watches->resync, &entry->resync);
        entry->resync_kinds = entry_kinds(entry);
    }
}

bool meta_client_watches_resync_is_over(const struct meta_client_watches *watches) {
    return rt_list_is_empty(&watches->resync);
}

static struct meta_client_watch_entry *resync_entry(struct rt_list *node) {
    return rt_container_of(node, struct meta_client_watch_entry, resync);
}

// How many entries have a part in the next request.
static size_t resync_count(const struct meta_client_watches *watches, size_t size_max) {
    size_t count = 0, size = 0;
    rt_list_each (node, &watches->resync) {
        const struct meta_client_watch_entry *entry = resync_entry(node);
        if (count > 0 && size + entry->path_size > size_max) break;
        size += entry->path_size + PATH_PREFIX_SIZE;
        count++;
    }
    return count;
}

struct resync {
    struct rt_bytes *items[META_CLIENT_WATCH_KINDS];
    struct proto_zk_strings *lists[META_CLIENT_WATCH_KINDS];
    size_t size, size_max;
};

// False when no more fits; the first path does in any case.
static bool resync_add(struct resync *resync, struct meta_client_watch_entry *entry) {
    for (unsigned kind = 0; kind < META_CLIENT_WATCH_KINDS; kind++) {
        if (!(entry->resync_kinds & entry_kinds(entry) & 1u << kind)) continue;
        size_t size = resync->size + entry->path_size + (resync->size > 0 ? PATH_PREFIX_SIZE : 0);
        if (resync->size > 0 && size > resync->size_max) return false;
        resync->size = size;
        resync->items[kind][resync->lists[kind]->count++] = RT_BYTES(entry->path, entry->path_size);
        entry->resync_kinds &= ~(1u << kind);
    }
    return true;
}

int32_t meta_client_watches_resync_next(struct meta_client_watches *watches, size_t size_max,
                                        struct rt_arena *arena,
                                        struct proto_zk_set_watches *request) {
    assert(!rt_list_is_empty(&watches->resync));
    if (size_max > RESYNC_SIZE_MAX) size_max = RESYNC_SIZE_MAX;
    assert(size_max > META_CLIENT_RESYNC_OVERHEAD);
    struct resync resync = {.lists =
                                {
                                    [META_CLIENT_WATCH_DATA] = &request->data,
                                    [META_CLIENT_WATCH_EXIST] = &request->exist,
                                    [META_CLIENT_WATCH_CHILD] = &request->child,
                                    [META_CLIENT_WATCH_PERSISTENT] = &request->persistent,
                                    [META_CLIENT_WATCH_RECURSIVE] = &request->persistent_recursive,
                                },
                            .size_max = size_max - META_CLIENT_RESYNC_OVERHEAD};
    size_t count = resync_count(watches, resync.size_max);
    for (unsigned kind = 0; kind < META_CLIENT_WATCH_KINDS; kind++) {
        resync.items[kind] = rt_arena_zero(arena, count, sizeof(resync.items[kind][0]));
        *resync.lists[kind] = (struct proto_zk_strings){.items = resync.items[kind]};
    }
    while (count-- > 0) {
        struct meta_client_watch_entry *entry = resync_entry(watches->resync.next);
        if (!resync_add(&resync, entry)) break;
        rt_list_remove(&entry->resync);
    }
    bool is_old = request->persistent.count == 0 && request->persistent_recursive.count == 0;
    return is_old ? PROTO_ZK_OP_SET_WATCHES : PROTO_ZK_OP_SET_WATCHES2;
}
