#include "tests/unit/meta_tree/model.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "runtime/mem.h"

struct path {
    char text[32];
};

static unsigned parent_of(unsigned i) {
    return (i - 1) / MODEL_WIDTH;
}

static struct path path_of(unsigned i) {
    struct path path = {"/"};
    char tail[32] = "";
    for (; i > 0; i = parent_of(i)) {
        snprintf(path.text, sizeof(path.text), "/n%u%s", (i - 1) % MODEL_WIDTH, tail);
        memcpy(tail, path.text, sizeof(tail));
    }
    return path;
}

static uint8_t *bytes_of(const struct model_node *node, size_t size) {
    static uint8_t memory[2][MODEL_DATA_MAX];
    static unsigned turn;
    uint8_t *bytes = memory[turn++ % 2];
    memset(bytes, node->fill, size);
    return bytes;
}

static struct meta_znode node_of(const struct model_node *of) {
    struct meta_znode node = of->node;
    if (node.has_data) node.data = RT_BYTES(bytes_of(of, of->data_size), of->data_size);
    node.acl = RT_BYTES(bytes_of(of, of->acl_size), of->acl_size);
    return node;
}

static void put(const struct model *model, struct meta_store *store, unsigned i) {
    struct path path = path_of(i);
    struct meta_znode node = node_of(&model->nodes[i]);
    meta_store_put(store, rt_bytes_of(path.text), &node);
}

void model_start(struct model *model, struct meta_store *store) {
    *model = (struct model){.nodes[0].exists = true};
    put(model, store, 0);
}

static void data_draw(struct model_node *node, struct rt_random *random) {
    static const size_t sizes[] = {
        0, 1, 100, META_STORE_INLINE_MAX, META_STORE_INLINE_MAX + 1, MODEL_DATA_MAX};
    node->node.has_data = rt_random_chance(random, 800000);
    node->data_size =
        node->node.has_data ? sizes[rt_random_below(random, sizeof(sizes) / sizeof(sizes[0]))] : 0;
    node->acl_size = rt_random_chance(random, 300000) ? rt_random_between(random, 1, 80) : 0;
    node->fill = (uint8_t)rt_random_u64(random);
}

static void create(struct model *model, struct meta_store *store, unsigned i,
                   struct rt_random *random) {
    struct model_node *node = &model->nodes[i], *parent = &model->nodes[parent_of(i)];
    int64_t zxid = (int64_t)model->index + 1;
    *node = (struct model_node){.exists = true,
                                .node = {.kind = (enum meta_znode_kind)rt_random_below(random, 4),
                                         .czxid = zxid,
                                         .mzxid = zxid,
                                         .pzxid = zxid,
                                         .ctime_ms = zxid * 7,
                                         .mtime_ms = zxid * 7}};
    if (node->node.kind == META_EPHEMERAL) node->node.owner = (int64_t)rt_random_below(random, 4);
    if (node->node.kind == META_TTL) node->node.ttl_ms = 1000;
    data_draw(node, random);
    put(model, store, i);
    parent->node.creates++;
    parent->node.children++;
    parent->node.pzxid = zxid;
    put(model, store, parent_of(i));
}

static void node_remove(struct model *model, struct meta_store *store, unsigned i) {
    struct path path = path_of(i);
    model->nodes[i] = (struct model_node){0};
    model->nodes[parent_of(i)].node.children--;
    meta_store_remove(store, rt_bytes_of(path.text));
    put(model, store, parent_of(i));
}

// A change that leaves the data alone passes on what find answered.
static void stat_change(struct model *model, struct meta_store *store, unsigned i) {
    struct path path = path_of(i);
    const struct meta_znode *found = meta_store_find_now(store, rt_bytes_of(path.text));
    cr_assert_not_null(found, "%s", path.text);
    struct meta_znode node = *found;
    node.aversion++;
    model->nodes[i].node.aversion++;
    meta_store_put(store, rt_bytes_of(path.text), &node);
}

static void node_change(struct model *model, struct meta_store *store, struct rt_random *random) {
    unsigned i = (unsigned)rt_random_below(random, MODEL_NODES);
    struct model_node *node = &model->nodes[i];
    if (i > 0 && !node->exists) {
        if (model->nodes[parent_of(i)].exists) create(model, store, i, random);
    } else if (i > 0 && node->node.children == 0 && rt_random_chance(random, 500000)) {
        node_remove(model, store, i);
    } else if (rt_random_chance(random, 500000)) {
        stat_change(model, store, i);
    } else {
        data_draw(node, random);
        node->node.version++;
        put(model, store, i);
    }
}

// Ids on both sides of the sign.
static int64_t session_id(unsigned i) {
    return (int64_t)((uint64_t)(i + 1) * UINT64_C(0x9e3779b97f4a7c15));
}

static void session_change(struct model *model, struct meta_store *store,
                           struct rt_random *random) {
    unsigned i = (unsigned)rt_random_below(random, MODEL_SESSIONS);
    struct meta_session *session = &model->sessions[i];
    if (model->session_exists[i] && rt_random_chance(random, 400000)) {
        model->session_exists[i] = false;
        meta_store_session_remove(store, session->id);
        return;
    }
    *session = (struct meta_session){.id = session_id(i),
                                     .timeout_ms = (int32_t)rt_random_below(random, 90000),
                                     .attachment = model->index + 1};
    rt_random_fill(random, session->password, sizeof(session->password));
    model->session_exists[i] = true;
    meta_store_session_put(store, session);
}

void model_change(struct model *model, struct meta_store *store, struct rt_random *random) {
    if (rt_random_chance(random, 250000)) {
        session_change(model, store, random);
    } else {
        node_change(model, store, random);
    }
}

void model_applied(struct model *model, struct meta_store *store) {
    model->index++;
    meta_store_set_applied(store, (struct meta_position){model->index, 3},
                           (int64_t)model->index * 5);
}

static void node_compare(const struct model_node *expected, const struct meta_znode *found,
                         const char *path) {
    cr_assert_eq(found != NULL, expected->exists, "%s", path);
    if (!found) return;
    struct meta_znode node = node_of(expected);
    cr_assert(rt_bytes_equal(found->data, node.data), "data of %s", path);
    cr_assert(rt_bytes_equal(found->acl, node.acl), "acl of %s", path);
    cr_assert_eq(found->data.data != NULL, node.has_data, "null or empty: %s", path);
    cr_assert(found->kind == node.kind && found->czxid == node.czxid &&
                  found->mzxid == node.mzxid && found->pzxid == node.pzxid &&
                  found->ctime_ms == node.ctime_ms && found->mtime_ms == node.mtime_ms &&
                  found->version == node.version && found->aversion == node.aversion &&
                  found->creates == node.creates && found->children == node.children &&
                  found->owner == node.owner && found->ttl_ms == node.ttl_ms &&
                  found->has_data == node.has_data,
              "%s", path);
}

static void sessions_compare(const struct model *model, struct meta_store *store) {
    size_t count = 0;
    for (unsigned i = 0; i < MODEL_SESSIONS; i++) {
        const struct meta_session *found = meta_store_session(store, session_id(i));
        cr_assert_eq(found != NULL, model->session_exists[i], "session %u", i);
        if (!found) continue;
        const struct meta_session *session = &model->sessions[i];
        cr_assert(found->id == session->id && found->timeout_ms == session->timeout_ms &&
                  found->attachment == session->attachment);
        cr_assert_eq(memcmp(found->password, session->password, sizeof(found->password)), 0);
        count++;
    }
    cr_assert_eq(meta_store_session_count(store), count);
    uint64_t after = 0;
    const struct meta_session *next = meta_store_session_next(store, 0);
    for (; next; next = meta_store_session_next(store, (int64_t)after)) {
        cr_assert_gt((uint64_t)next->id, after);
        after = (uint64_t)next->id;
        count--;
    }
    cr_assert_eq(count, 0);
}

void model_compare(const struct model *model, struct meta_store *store) {
    uint64_t nodes = 0, ephemerals = 0, data_bytes = 0;
    for (unsigned i = 0; i < MODEL_NODES; i++) {
        struct path path = path_of(i);
        const struct model_node *node = &model->nodes[i];
        node_compare(node, meta_store_find_now(store, rt_bytes_of(path.text)), path.text);
        if (!node->exists) continue;
        nodes++;
        ephemerals += node->node.kind == META_EPHEMERAL;
        data_bytes += strlen(path.text) + node->data_size;
    }
    struct meta_store_totals totals = meta_store_totals(store);
    cr_assert_eq(totals.nodes, nodes);
    cr_assert_eq(totals.ephemerals, ephemerals);
    cr_assert_eq(totals.data_bytes, data_bytes);
    cr_assert_eq(totals.applied.index, model->index);
    sessions_compare(model, store);
}

// Notes what a scan gives; a path twice, or one that is not expected, fails.
struct marks {
    struct meta_scan scan;
    bool seen[MODEL_NODES];
    int64_t session;
    int64_t sessions[MODEL_NODES];
};

static bool mark(struct meta_scan *scan, struct rt_bytes path) {
    struct marks *marks = rt_container_of(scan, struct marks, scan);
    unsigned i = 0;
    while (i < MODEL_NODES) {
        struct path is = path_of(i);
        if (rt_bytes_equal(rt_bytes_of(is.text), path)) break;
        i++;
    }
    cr_assert_lt(i, MODEL_NODES, "%.*s", (int)path.size, (const char *)path.data);
    cr_assert_not(marks->seen[i]);
    marks->seen[i] = true;
    marks->sessions[i] = marks->session;
    return true;
}

static uint64_t descendants(const struct model *model, unsigned i) {
    uint64_t count = 0;
    for (unsigned c = MODEL_WIDTH * i + 1; c < MODEL_WIDTH * (i + 1) + 1 && c < MODEL_NODES; c++) {
        if (model->nodes[c].exists) count += 1 + descendants(model, c);
    }
    return count;
}

static void children_compare(const struct model *model, const struct meta_view *view, unsigned i) {
    struct path path = path_of(i);
    struct marks marks = {.scan.each = mark};
    cr_assert_eq(meta_view_children_now(view, rt_bytes_of(path.text), &marks.scan), RT_OK);
    for (unsigned c = 1; c < MODEL_NODES; c++) {
        cr_assert_eq(marks.seen[c], parent_of(c) == i && model->nodes[c].exists);
    }
    uint64_t count = 0;
    cr_assert_eq(meta_view_descendants_now(view, rt_bytes_of(path.text), &count), RT_OK);
    cr_assert_eq(count, descendants(model, i), "%s: %d", path.text, (int)count);
}

static void indexes_compare(const struct model *model, const struct meta_view *view) {
    struct marks owned = {.scan.each = mark}, reapable = {.scan.each = mark};
    cr_assert_eq(meta_view_all_ephemerals_now(view, &owned.scan, &owned.session), RT_OK);
    cr_assert_eq(meta_view_reapable_now(view, RT_BYTES(NULL, 0), &reapable.scan), RT_OK);
    for (unsigned i = 0; i < MODEL_NODES; i++) {
        const struct model_node *node = &model->nodes[i];
        enum meta_znode_kind kind = node->node.kind;
        cr_assert_eq(owned.seen[i], node->exists && kind == META_EPHEMERAL);
        if (owned.seen[i]) cr_assert_eq(owned.sessions[i], node->node.owner);
        cr_assert_eq(reapable.seen[i],
                     node->exists && (kind == META_CONTAINER || kind == META_TTL));
    }
}

void model_compare_scans(const struct model *model, struct meta_store *store) {
    struct meta_view view;
    struct rt_arena arena = {0};
    cr_assert_eq(meta_store_view_now(store, &view), RT_OK);
    cr_assert_eq(view.applied.index, model->index);
    indexes_compare(model, &view);
    for (unsigned i = 0; i < MODEL_NODES; i++) {
        struct path path = path_of(i);
        struct meta_znode node;
        children_compare(model, &view, i);
        rt_err err = meta_view_find_now(&view, rt_bytes_of(path.text), &arena, &node);
        cr_assert(err == RT_OK || err == RT_ENOTFOUND);
        node_compare(&model->nodes[i], err ? NULL : &node, path.text);
        rt_arena_clear(&arena);
    }
    rt_arena_fini(&arena);
}

void model_rebuild(const struct model *model, struct meta_store *store) {
    for (unsigned i = MODEL_SESSIONS; i-- > 0;) {
        if (model->session_exists[i]) meta_store_session_put(store, &model->sessions[i]);
    }
    for (unsigned i = 0; i < MODEL_NODES; i++) {
        if (model->nodes[i].exists) put(model, store, i);
    }
}
