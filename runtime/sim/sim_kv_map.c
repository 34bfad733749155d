// One column of a simulated store in memory: a skip list of keys, each with its versions.
//
// A key keeps its newest version and those that a view can still see. Keys that have more than one
// live version to tell wait in store->stale, ordered by their newest version; once no view is older
// than that, they shrink to it, and removed ones vanish. A key that an iterator stands on has a
// version its view sees, so it never vanishes under it.
#include <assert.h>
#include <string.h>

#include "runtime/sim/sim_kv.h"

enum { HEIGHT_MAX = 12 };

static uint8_t *key_data(const struct sim_kv_key *key) {
    return (uint8_t *)(uintptr_t)(key->next + key->height);
}

struct rt_bytes sim_kv_key_bytes(const struct sim_kv_key *key) {
    return RT_BYTES(key_data(key), key->key_size);
}

static struct sim_kv_key *key_new(struct sim_kv_map *map, struct rt_bytes bytes, unsigned height) {
    size_t size = sizeof(struct sim_kv_key) + height * sizeof(struct sim_kv_key *) + bytes.size;
    struct sim_kv_key *key = rt_alloc(size);
    *key = (struct sim_kv_key){.map = map, .key_size = bytes.size, .height = height};
    for (unsigned i = 0; i < height; i++) key->next[i] = NULL;
    rt_list_init(&key->stale);
    if (bytes.size) memcpy(key_data(key), bytes.data, bytes.size);
    return key;
}

static void versions_free(struct sim_kv_version *version) {
    while (version) {
        struct sim_kv_version *older = version->older;
        rt_free(version);
        version = older;
    }
}

static void key_free(struct sim_kv_key *key) {
    versions_free(key->newest);
    rt_list_remove(&key->stale);
    rt_free(key);
}

void sim_kv_map_init(struct sim_kv_map *map, unsigned column) {
    map->head = key_new(map, RT_BYTES(NULL, 0), HEIGHT_MAX);
    map->last = map->head;
    map->key_count = 0;
    rt_random_seed(&map->random, column);
}

void sim_kv_map_fini(struct sim_kv_map *map) {
    struct sim_kv_key *key = map->head;
    while (key) {
        struct sim_kv_key *next = key->next[0];
        key_free(key);
        key = next;
    }
}

// The last key before `bytes` on every level; the head where there is none.
static struct sim_kv_key *before(const struct sim_kv_map *map, struct rt_bytes bytes,
                                 struct sim_kv_key *levels[HEIGHT_MAX]) {
    struct sim_kv_key *at = map->head;
    for (unsigned level = HEIGHT_MAX; level-- > 0;) {
        struct sim_kv_key *next;
        while ((next = at->next[level]) && rt_bytes_compare(sim_kv_key_bytes(next), bytes) < 0) {
            at = next;
        }
        if (levels) levels[level] = at;
    }
    return at;
}

struct sim_kv_key *sim_kv_map_ceiling(const struct sim_kv_map *map, struct rt_bytes key) {
    return before(map, key, NULL)->next[0];
}

struct sim_kv_key *sim_kv_map_find(const struct sim_kv_map *map, struct rt_bytes key) {
    struct sim_kv_key *found = sim_kv_map_ceiling(map, key);
    return found && rt_bytes_equal(sim_kv_key_bytes(found), key) ? found : NULL;
}

struct sim_kv_key *sim_kv_map_floor(const struct sim_kv_map *map, struct rt_bytes key) {
    struct sim_kv_key *low = before(map, key, NULL);
    struct sim_kv_key *next = low->next[0];
    if (next && rt_bytes_equal(sim_kv_key_bytes(next), key)) return next;
    return low == map->head ? NULL : low;
}

const struct sim_kv_version *sim_kv_key_at(const struct sim_kv_key *key, uint64_t sequence) {
    const struct sim_kv_version *version = key->newest;
    while (version && version->sequence > sequence) version = version->older;
    return version && !version->removed ? version : NULL;
}

static unsigned height_draw(struct sim_kv_map *map) {
    uint64_t bits = rt_random_u64(&map->random);
    unsigned height = 1;
    for (; height < HEIGHT_MAX && (bits & 3) == 0; bits >>= 2) height++;
    return height;
}

static struct sim_kv_key *key_insert(struct sim_kv_map *map, struct rt_bytes bytes,
                                     struct sim_kv_key *levels[HEIGHT_MAX]) {
    struct sim_kv_key *key = key_new(map, bytes, height_draw(map));
    for (unsigned level = 0; level < key->height; level++) {
        key->next[level] = levels[level]->next[level];
        levels[level]->next[level] = key;
    }
    key->prev = levels[0];
    if (key->next[0]) {
        key->next[0]->prev = key;
    } else {
        map->last = key;
    }
    map->key_count++;
    return key;
}

static void key_vanish(struct sim_kv_key *key) {
    struct sim_kv_map *map = key->map;
    struct sim_kv_key *levels[HEIGHT_MAX];
    before(map, sim_kv_key_bytes(key), levels);
    for (unsigned level = 0; level < key->height; level++) {
        assert(levels[level]->next[level] == key);
        levels[level]->next[level] = key->next[level];
    }
    if (key->next[0]) {
        key->next[0]->prev = key->prev;
    } else {
        map->last = key->prev;
    }
    map->key_count--;
    key_free(key);
}

// VERSIONS

// Sequences of views only grow, so the newest view decides whether anybody sees a version that is
// being replaced.
static bool is_seen(const struct sim_kv_store *store, const struct sim_kv_version *version) {
    if (rt_list_is_empty(&store->views)) return false;
    const struct rt_kv_snapshot *newest =
        rt_container_of(store->views.prev, struct rt_kv_snapshot, link);
    return newest->sequence >= version->sequence;
}

static void version_add(struct sim_kv_store *store, struct sim_kv_key *key, uint64_t sequence,
                        bool removed, struct rt_bytes value) {
    struct sim_kv_version *version = rt_alloc(sizeof(*version) + value.size);
    *version = (struct sim_kv_version){
        .older = key->newest, .sequence = sequence, .removed = removed, .value_size = value.size};
    if (value.size) memcpy(version->value, value.data, value.size);
    key->newest = version;
    struct sim_kv_version *replaced = version->older;
    if (replaced && !is_seen(store, replaced)) {
        version->older = replaced->older;
        rt_free(replaced);
    }
    rt_list_remove(&key->stale);
    if (version->older) {
        rt_list_push_back(&store->stale, &key->stale);
    } else if (removed) {
        key_vanish(key);
    }
}

void sim_kv_put(struct sim_kv_store *store, unsigned column, uint64_t sequence, struct rt_bytes key,
                struct rt_bytes value) {
    struct sim_kv_map *map = &store->maps[column];
    struct sim_kv_key *levels[HEIGHT_MAX];
    struct sim_kv_key *found = before(map, key, levels)->next[0];
    if (!found || !rt_bytes_equal(sim_kv_key_bytes(found), key)) {
        found = key_insert(map, key, levels);
    }
    version_add(store, found, sequence, false, value);
}

void sim_kv_remove(struct sim_kv_store *store, unsigned column, uint64_t sequence,
                   struct rt_bytes key) {
    struct sim_kv_key *found = sim_kv_map_find(&store->maps[column], key);
    if (found) version_add(store, found, sequence, true, RT_BYTES(NULL, 0));
}

void sim_kv_remove_range(struct sim_kv_store *store, unsigned column, uint64_t sequence,
                         struct rt_bytes first, struct rt_bytes end) {
    struct sim_kv_key *key = sim_kv_map_ceiling(&store->maps[column], first);
    while (key && rt_bytes_compare(sim_kv_key_bytes(key), end) < 0) {
        struct sim_kv_key *next = key->next[0];
        version_add(store, key, sequence, true, RT_BYTES(NULL, 0));
        key = next;
    }
}

static uint64_t oldest_view(const struct sim_kv_store *store) {
    if (rt_list_is_empty(&store->views)) return UINT64_MAX;
    return rt_container_of(store->views.next, struct rt_kv_snapshot, link)->sequence;
}

void sim_kv_forget_versions(struct sim_kv_store *store) {
    uint64_t oldest = oldest_view(store);
    while (!rt_list_is_empty(&store->stale)) {
        struct sim_kv_key *key = rt_container_of(store->stale.next, struct sim_kv_key, stale);
        if (key->newest->sequence > oldest) return;
        rt_list_remove(&key->stale);
        versions_free(key->newest->older);
        key->newest->older = NULL;
        if (key->newest->removed) key_vanish(key);
    }
}
