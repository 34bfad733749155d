// Quotas: limits and statistics of a subtree, in nodes below /zookeeper/quota.
//
// /zookeeper/quota PATH /zookeeper_limits holds the limits, .../zookeeper_stats what the subtree
// has, both as "count=N,bytes=N" and optionally hard limits, in the spelling of ZooKeeper's tools:
// "count=5,bytes=-1=;byteHardLimit=-1;countHardLimit=8". -1: none. The root of the subtree counts
// too. The statistics are rewritten in place: no version, zxid or event tells of it.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "meta/server/tree/apply_internal.h"
#include "meta/server/tree/store_internal.h"
#include "proto/zookeeper_path.h"
#include "runtime/mem.h"

#define QUOTA_ROOT "/zookeeper/quota"
#define LIMITS "/zookeeper_limits"
#define STATS "/zookeeper_stats"

struct quota {
    int64_t count, bytes, count_hard, bytes_hard;
};

static bool key_is(struct rt_bytes key, const char *name) {
    return rt_bytes_equal(key, rt_bytes_of(name));
}

static bool number_parse(struct rt_bytes text, int64_t *number) {
    bool negative = text.size && text.data[0] == '-';
    if (negative) text = rt_bytes_skip(text, 1);
    if (!text.size || text.size > 18) return false;
    *number = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') return false;
        *number = *number * 10 + (text.data[i] - '0');
    }
    if (negative) *number = -*number;
    return true;
}

static void field_parse(struct rt_bytes field, struct quota *quota) {
    size_t equals = 0;
    while (equals < field.size && field.data[equals] != '=') equals++;
    struct rt_bytes key = RT_BYTES(field.data, equals), value = rt_bytes_skip(field, equals + 1);
    while (value.size && value.data[value.size - 1] == '=') value.size--;  // a tool's slip
    int64_t number;
    if (!number_parse(value, &number)) return;
    if (key_is(key, "count")) quota->count = number;
    if (key_is(key, "bytes")) quota->bytes = number;
    if (key_is(key, "countHardLimit")) quota->count_hard = number;
    if (key_is(key, "byteHardLimit")) quota->bytes_hard = number;
}

static struct quota quota_parse(struct rt_bytes text) {
    struct quota quota = {-1, -1, -1, -1};
    while (text.size) {
        size_t end = 0;
        while (end < text.size && text.data[end] != ',' && text.data[end] != ';') end++;
        field_parse(RT_BYTES(text.data, end), &quota);
        text = rt_bytes_skip(text, end + 1);
    }
    return quota;
}

static bool is_quota_path(struct rt_bytes path) {
    return rt_bytes_starts_with(path, RT_BYTES_LITERAL("/zookeeper/")) ||
           key_is(path, "/zookeeper");
}

static struct rt_bytes quota_path(struct apply *apply, struct rt_bytes path, const char *leaf) {
    const char *text = rt_arena_print(apply->arena, QUOTA_ROOT "%.*s%s", (int)path.size,
                                      (const char *)path.data, leaf);
    return rt_bytes_of(text);
}

// The nearest path from `path` upwards with limits; empty: none. It is looked for from the top, as
// far down as there are nodes of quotas: in a tree without any that is one look.
static struct rt_bytes nearest(struct apply *apply, struct rt_bytes path) {
    struct rt_bytes root = RT_BYTES_LITERAL(QUOTA_ROOT), limits = RT_BYTES_LITERAL(LIMITS);
    const struct meta_znode *node = meta_store_find_now(apply->store, root);
    if (!node || !node->children || is_quota_path(path)) return (struct rt_bytes){0};
    uint8_t *probe = rt_arena_alloc(apply->arena, root.size + path.size + limits.size);
    memcpy(probe, root.data, root.size);
    size_t end = 0, found = 0;
    while (end < path.size) {
        size_t start = end++;
        while (end < path.size && path.data[end] != '/') end++;
        memcpy(probe + root.size + start, path.data + start, end - start);
        node = meta_store_find_now(apply->store, RT_BYTES(probe, root.size + end));
        if (!node || !node->children) break;
        memcpy(probe + root.size + end, limits.data, limits.size);
        struct rt_bytes leaf = RT_BYTES(probe, root.size + end + limits.size);
        if (meta_store_find_now(apply->store, leaf)) found = end;
    }
    return RT_BYTES(path.data, found);
}

static struct quota quota_at(struct apply *apply, struct rt_bytes path) {
    const struct meta_znode *node = meta_store_find_now(apply->store, path);
    return quota_parse(node ? node->data : (struct rt_bytes){0});
}

int32_t apply_quota_check(struct apply *apply, struct rt_bytes path, int64_t nodes, int64_t bytes) {
    if (!(apply->flags & META_ENFORCE_QUOTA)) return PROTO_ZK_ERR_OK;
    struct rt_bytes top = nearest(apply, path);
    if (!top.size) return PROTO_ZK_ERR_OK;
    struct quota limits = quota_at(apply, quota_path(apply, top, LIMITS));
    struct quota have = quota_at(apply, quota_path(apply, top, STATS));
    bool too_many = nodes > 0 && limits.count_hard >= 0 && have.count + nodes > limits.count_hard;
    bool too_large = bytes > 0 && limits.bytes_hard >= 0 && have.bytes + bytes > limits.bytes_hard;
    return too_many || too_large ? PROTO_ZK_ERR_QUOTAEXCEEDED : PROTO_ZK_ERR_OK;
}

static void stats_write(struct apply *apply, struct rt_bytes path, int64_t count, int64_t bytes) {
    const struct meta_znode *found = meta_store_find_now(apply->store, path);
    if (!found) return;
    struct meta_znode node = *found;
    node.has_data = true;
    node.data =
        rt_bytes_of(rt_arena_print(apply->arena, "count=%" PRId64 ",bytes=%" PRId64, count, bytes));
    meta_store_put(apply->store, path, &node);
}

void apply_quota_count(struct apply *apply, struct rt_bytes path, int64_t nodes, int64_t bytes) {
    if (!nodes && !bytes) return;
    struct rt_bytes top = nearest(apply, path);
    if (!top.size) return;
    struct rt_bytes stats = quota_path(apply, top, STATS);
    struct quota have = quota_at(apply, stats);
    stats_write(apply, stats, have.count + nodes, have.bytes + bytes);
}

// COUNTING A SUBTREE: what was there before this entry level by level, then what the entry made.

struct subtree {
    struct meta_scan scan;
    struct apply *apply;
    struct rt_bytes *paths;
    size_t count, capacity;
    int64_t nodes, bytes;
};

static void path_add(struct subtree *subtree, struct rt_bytes path) {
    if (subtree->count == subtree->capacity) {
        subtree->capacity = subtree->capacity ? subtree->capacity * 2 : 64;
        subtree->paths = rt_realloc(subtree->paths, subtree->capacity * sizeof(*subtree->paths));
    }
    subtree->paths[subtree->count++] = path;
}

static bool subtree_each(struct meta_scan *scan, struct rt_bytes path) {
    struct subtree *subtree = rt_container_of(scan, struct subtree, scan);
    path_add(subtree, rt_arena_copy(subtree->apply->arena, path));
    return true;
}

static void count_node(struct subtree *subtree, const struct meta_znode *node) {
    subtree->nodes++;
    subtree->bytes += (int64_t)node->data.size;
}

// Below a node that the entry made is nothing older.
static void count_older(struct subtree *subtree, struct rt_bytes top) {
    struct apply *apply = subtree->apply;
    rt_err err = RT_OK;
    subtree->count = 0;
    path_add(subtree, top);
    for (size_t i = 0; i < subtree->count && !err; i++) {
        const struct meta_znode *node = meta_store_find_now(apply->store, subtree->paths[i]);
        if (!node || node->czxid == apply->zxid) continue;
        count_node(subtree, node);
        if (node->children)
            err = meta_view_children_now(&apply->view, subtree->paths[i], &subtree->scan);
    }
    if (err) meta_store_fail(apply->store, err);
}

static int compare_paths(const void *left, const void *right) {
    return rt_bytes_compare(*(const struct rt_bytes *)left, *(const struct rt_bytes *)right);
}

static bool is_at_or_below(struct rt_bytes path, struct rt_bytes top) {
    if (!rt_bytes_starts_with(path, top)) return false;
    return path.size == top.size || path.data[top.size] == '/';
}

static void count_newer(struct subtree *subtree, struct rt_bytes top) {
    struct apply *apply = subtree->apply;
    subtree->count = 0;
    for (size_t i = 0; i < apply->change_count; i++) {
        const struct meta_change *change = &apply->changes[i];
        bool made = change->type == PROTO_ZK_EVENT_NODE_CREATED;
        if (made && is_at_or_below(change->path, top)) path_add(subtree, change->path);
    }
    if (!subtree->count) return;
    qsort(subtree->paths, subtree->count, sizeof(*subtree->paths), compare_paths);
    for (size_t i = 0; i < subtree->count; i++) {
        // Made, deleted and made again: once.
        if (i && rt_bytes_equal(subtree->paths[i], subtree->paths[i - 1])) continue;
        const struct meta_znode *node = meta_store_find_now(apply->store, subtree->paths[i]);
        if (node) count_node(subtree, node);
    }
}

static bool ends_with(struct rt_bytes path, const char *leaf) {
    size_t size = strlen(leaf);
    return path.size > size && memcmp(path.data + path.size - size, leaf, size) == 0;
}

bool apply_quota_is_stats(struct rt_bytes path) {
    return rt_bytes_starts_with(path, RT_BYTES_LITERAL(QUOTA_ROOT "/")) && ends_with(path, STATS);
}

void apply_quota_begin(struct apply *apply, struct rt_bytes path) {
    size_t root = strlen(QUOTA_ROOT);
    if (!apply->has_view || !apply_quota_is_stats(path)) return;
    struct rt_bytes top = RT_BYTES(path.data + root, path.size - root - strlen(STATS));
    if (!top.size) return;
    struct subtree subtree = {.scan = {subtree_each}, .apply = apply};
    count_older(&subtree, top);
    count_newer(&subtree, top);
    rt_free(subtree.paths);
    stats_write(apply, path, subtree.nodes, subtree.bytes);
}
