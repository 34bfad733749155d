// The store, on both machines: each case once.
#include "meta/server/tree/store.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "runtime/mem.h"
#include "tests/unit/meta_tree/model.h"
#include "tests/unit/meta_tree/stage.h"

static void a_new_store_is_empty(struct stage *stage) {
    stage_open(stage);
    struct meta_store_totals totals = meta_store_totals(stage->store);
    cr_assert_eq(totals.applied.index, 0);
    cr_assert_eq(totals.nodes + totals.digest + totals.data_bytes, 0);
    cr_assert_null(stage_find(stage, "/"));
    cr_assert_not(meta_store_has_changes(stage->store));
    stage_close(stage);
}

static void what_is_flushed_comes_back_and_nothing_else(struct stage *stage) {
    stage_open(stage);
    stage_create(stage, "/", 1, NULL);
    stage_create(stage, "/a", 2, "x");
    stage_applied(stage, 2);
    stage_flush(stage);
    stage_create(stage, "/b", 3, "y");
    stage_delete(stage, "/a");
    stage_applied(stage, 3);
    cr_assert(meta_store_has_changes(stage->store));
    stage_crash(stage);
    cr_assert_eq(meta_store_totals(stage->store).applied.index, 2);
    cr_assert_eq(meta_store_totals(stage->store).time_ms, 20);
    cr_assert_not_null(stage_find(stage, "/a"));
    cr_assert_null(stage_find(stage, "/b"));
    stage_close(stage);
}

static void null_and_empty_data_differ_after_a_reopen(struct stage *stage) {
    stage_open(stage);
    stage_create(stage, "/", 1, NULL);
    stage_create(stage, "/null", 2, NULL);
    uint64_t digest = meta_store_totals(stage->store).digest;
    stage_create(stage, "/empty", 2, "");
    stage_flush(stage);
    stage_crash(stage);
    cr_assert_not(stage_find(stage, "/null")->has_data);
    cr_assert_null(stage_find(stage, "/null")->data.data);
    cr_assert(stage_find(stage, "/empty")->has_data);
    cr_assert_not_null(stage_find(stage, "/empty")->data.data);
    struct meta_znode node = *stage_find(stage, "/null");
    node.has_data = true;
    node.data = RT_BYTES("", 0);
    stage_delete(stage, "/empty");
    meta_store_put(stage->store, RT_BYTES_LITERAL("/null"), &node);
    cr_assert_neq(meta_store_totals(stage->store).digest, digest);
    stage_close(stage);
}

static void random_changes_match_a_model(struct stage *stage) {
    static struct model model, flushed, marked;
    struct rt_random random;
    rt_random_seed(&random, 7);
    stage->node_bytes = 20000;  // most comes from the disk
    stage_open(stage);
    model_start(&model, stage->store);
    stage_flush(stage);
    flushed = model;
    for (unsigned round = 0; round < 400; round++) {
        bool is_marked = rt_random_chance(&random, 400000);
        marked = model;
        if (is_marked) meta_store_mark(stage->store);
        for (unsigned n = 0; n < 12; n++) model_change(&model, stage->store, &random);
        if (is_marked && rt_random_chance(&random, 500000)) {
            meta_store_rollback(stage->store);
            model = marked;
        } else if (is_marked) {
            meta_store_commit(stage->store);
        }
        model_applied(&model, stage->store);
        if (round % 8 == 0) model_compare(&model, stage->store);
        if (rt_random_chance(&random, 300000)) {
            stage_flush(stage);
            flushed = model;
        }
        if (rt_random_chance(&random, 30000)) {
            stage_crash(stage);
            model = flushed;
            model_compare(&model, stage->store);
        }
        if (rt_random_chance(&random, 40000)) {
            model_compare_scans(&model, stage->store);
            flushed = model;
        }
    }
    cr_assert_gt(meta_store_totals(stage->store).nodes, 10);
    model_compare(&model, stage->store);
    model_compare_scans(&model, stage->store);
    stage_close(stage);
}

// The same content by a long history with flushes, and by a short one without.
static void the_digest_depends_on_the_content_only(struct stage *stage) {
    static struct model model;
    struct rt_random random;
    rt_random_seed(&random, 11);
    stage_open(stage);
    model_start(&model, stage->store);
    for (unsigned n = 0; n < 3000; n++) {
        model_change(&model, stage->store, &random);
        if (n % 100 == 0) stage_flush(stage);
        if (n % 700 == 0) stage_crash(stage);  // right after a flush
    }
    struct meta_store_totals totals = meta_store_totals(stage->store);
    stage_close(stage);
    char other[96];
    snprintf(other, sizeof(other), "%s-other", stage->path);
    stage->path = other;
    stage_open(stage);
    model_rebuild(&model, stage->store);
    cr_assert_eq(meta_store_totals(stage->store).digest, totals.digest);
    cr_assert_eq(meta_store_totals(stage->store).data_bytes, totals.data_bytes);
    struct meta_znode node = *stage_find(stage, "/");
    node.pzxid++;
    meta_store_put(stage->store, RT_BYTES_LITERAL("/"), &node);
    cr_assert_neq(meta_store_totals(stage->store).digest, totals.digest);
    stage_close(stage);
}

static void a_rollback_leaves_no_trace(struct stage *stage) {
    stage_open(stage);
    stage_create(stage, "/", 1, NULL);
    stage_create(stage, "/a", 2, "data");
    const struct meta_session session = {.id = 5, .timeout_ms = 100};
    meta_store_session_put(stage->store, &session);
    uint64_t digest = meta_store_totals(stage->store).digest;
    meta_store_mark(stage->store);
    stage_delete(stage, "/a");
    stage_create(stage, "/a", 9, "other");
    stage_create(stage, "/a/b", 9, "below");
    meta_store_session_remove(stage->store, 5);
    meta_store_session_put(stage->store, &(struct meta_session){.id = 6});
    meta_store_rollback(stage->store);
    cr_assert_eq(meta_store_totals(stage->store).digest, digest);
    cr_assert_eq(meta_store_totals(stage->store).nodes, 2);
    cr_assert_eq(stage_find(stage, "/a")->czxid, 2);
    cr_assert(rt_bytes_equal(stage_find(stage, "/a")->data, RT_BYTES_LITERAL("data")));
    cr_assert_null(stage_find(stage, "/a/b"));
    cr_assert_null(meta_store_session(stage->store, 6));
    stage_flush(stage);
    stage_crash(stage);
    cr_assert_eq(stage_find(stage, "/a")->czxid, 2);
    cr_assert_eq(meta_store_session(stage->store, 5)->timeout_ms, 100);
    cr_assert_eq(meta_store_session_count(stage->store), 1);
    stage_close(stage);
}

static void a_snapshot_stays_as_it_was(struct stage *stage) {
    struct meta_view view;
    struct meta_znode node;
    struct rt_arena arena = {0};
    stage_open(stage);
    stage_create(stage, "/", 1, NULL);
    stage_create(stage, "/a", 2, "old");
    stage_applied(stage, 2);
    cr_assert_eq(meta_store_snapshot_now(stage->store, &view), RT_OK);
    stage_delete(stage, "/a");
    stage_create(stage, "/b", 3, NULL);
    stage_applied(stage, 3);
    stage_flush(stage);
    struct stage_list list = stage_list_start();
    cr_assert_eq(meta_view_children_now(&view, RT_BYTES_LITERAL("/"), &list.scan), RT_OK);
    cr_assert_str_eq(list.text, "/a ");
    cr_assert_eq(meta_view_find_now(&view, RT_BYTES_LITERAL("/a"), &arena, &node), RT_OK);
    cr_assert(rt_bytes_equal(node.data, RT_BYTES_LITERAL("old")));
    cr_assert_eq(view.applied.index, 2);
    meta_store_snapshot_drop(stage->store, &view);
    rt_arena_fini(&arena);
    stage_close(stage);
}

static void children_are_not_mixed_with_similar_names(struct stage *stage) {
    static const char *const paths[] = {"/", "/a", "/a-b", "/a0", "/a/x", "/a/x/y", "/a/y", "/ab"};
    struct meta_view view;
    stage_open(stage);
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        stage_create(stage, paths[i], 1, NULL);
    }
    cr_assert_eq(meta_store_view_now(stage->store, &view), RT_OK);
    struct stage_list list = stage_list_start();
    cr_assert_eq(meta_view_children_now(&view, RT_BYTES_LITERAL("/a"), &list.scan), RT_OK);
    cr_assert_str_eq(list.text, "/a/x /a/y ");
    list = stage_list_start();
    cr_assert_eq(meta_view_children_now(&view, RT_BYTES_LITERAL("/"), &list.scan), RT_OK);
    cr_assert_str_eq(list.text, "/a /a-b /a0 /ab ");
    list = stage_list_start();
    list.count_max = 2;
    cr_assert_eq(meta_view_children_now(&view, RT_BYTES_LITERAL("/"), &list.scan), RT_OK);
    cr_assert_str_eq(list.text, "/a /a-b ");
    uint64_t count;
    cr_assert_eq(meta_view_descendants_now(&view, RT_BYTES_LITERAL("/a"), &count), RT_OK);
    cr_assert_eq(count, 3);
    stage_close(stage);
}

static void kind_put(struct stage *stage, const char *path, enum meta_znode_kind kind,
                     int64_t owner) {
    stage_create(stage, path, 1, NULL);
    struct meta_znode node = *stage_find(stage, path);
    node.kind = kind;
    node.owner = owner;
    node.ttl_ms = 5;
    meta_store_put(stage->store, rt_bytes_of(path), &node);
}

static void indexes_follow_the_kind_and_the_owner(struct stage *stage) {
    struct meta_view view;
    stage_open(stage);
    stage_create(stage, "/", 1, NULL);
    kind_put(stage, "/c", META_CONTAINER, 0);
    kind_put(stage, "/e1", META_EPHEMERAL, -7);
    kind_put(stage, "/e2", META_EPHEMERAL, 7);
    kind_put(stage, "/e3", META_EPHEMERAL, -7);
    kind_put(stage, "/t", META_TTL, 0);
    stage_flush(stage);
    stage_delete(stage, "/e3");
    stage_delete(stage, "/c");
    kind_put(stage, "/c", META_EPHEMERAL, 7);
    cr_assert_eq(meta_store_view_now(stage->store, &view), RT_OK);
    struct stage_list list = stage_list_start();
    cr_assert_eq(meta_view_ephemerals_now(&view, 7, &list.scan), RT_OK);
    cr_assert_str_eq(list.text, "/c /e2 ");
    list = stage_list_start();
    cr_assert_eq(meta_view_ephemerals_now(&view, -7, &list.scan), RT_OK);
    cr_assert_str_eq(list.text, "/e1 ");
    list = stage_list_start();
    cr_assert_eq(meta_view_reapable_now(&view, RT_BYTES(NULL, 0), &list.scan), RT_OK);
    cr_assert_str_eq(list.text, "/t ");
    list = stage_list_start();
    cr_assert_eq(meta_view_reapable_now(&view, RT_BYTES_LITERAL("/t"), &list.scan), RT_OK);
    cr_assert_str_eq(list.text, "");
    stage_close(stage);
}

// A key holds only 16 bits of the depth.
static void paths_may_be_deeper_than_a_key_can_say(struct stage *stage) {
    enum { DEPTH = 65540 };
    static uint8_t path[2 * DEPTH];
    struct meta_view view;
    stage_open(stage);
    for (size_t i = 0; i < sizeof(path); i++) path[i] = i % 2 ? 'a' : '/';
    struct meta_znode node = {.children = 1};
    for (size_t depth = 65530; depth <= DEPTH; depth++) {
        if (depth == DEPTH) node.children = 0;
        meta_store_put(stage->store, RT_BYTES(path, 2 * depth), &node);
    }
    cr_assert_eq(meta_store_view_now(stage->store, &view), RT_OK);
    for (size_t depth = 65530; depth <= DEPTH; depth++) {
        struct rt_bytes at = RT_BYTES(path, 2 * depth);
        struct stage_list list = stage_list_start();
        uint64_t count;
        cr_assert_eq(meta_view_children_now(&view, at, &list.scan), RT_OK);
        cr_assert_eq(list.count, depth < DEPTH, "depth %zu has %u", depth, list.count);
        cr_assert_eq(meta_view_descendants_now(&view, at, &count), RT_OK);
        cr_assert_eq(count, DEPTH - depth);
    }
    stage_close(stage);
}

static void try_find_answers_from_memory(struct stage *stage) {
    const struct meta_znode *node;
    stage_open(stage);
    stage_create(stage, "/", 1, NULL);
    stage_create(stage, "/a", 2, "x");
    cr_assert_eq(meta_store_try_find(stage->store, RT_BYTES_LITERAL("/a"), &node), RT_OK);
    cr_assert_eq(node->czxid, 2);
    cr_assert_eq(meta_store_try_find(stage->store, RT_BYTES_LITERAL("/a/b"), &node), RT_ENOTFOUND);
    stage_flush(stage);
    stage_crash(stage);
    cr_assert_not_null(stage_find(stage, "/a"));
    cr_assert_null(stage_find(stage, "/c"));
    cr_assert_eq(meta_store_try_find(stage->store, RT_BYTES_LITERAL("/a"), &node), RT_OK);
    cr_assert_eq(meta_store_try_find(stage->store, RT_BYTES_LITERAL("/c"), &node), RT_ENOTFOUND);
    stage_close(stage);
}

static void many_nodes_do_not_stay_in_memory(struct stage *stage) {
    enum { NODES = 100000, BATCH = 1000 };
    char path[32];
    stage->node_bytes = 1 << 20;
    stage_open(stage);
    struct meta_znode root = {.children = NODES, .creates = NODES};
    meta_store_put(stage->store, RT_BYTES_LITERAL("/"), &root);
    for (unsigned i = 0; i < NODES; i++) {
        struct meta_znode node = {.czxid = i, .has_data = true, .data = RT_BYTES_LITERAL("some")};
        snprintf(path, sizeof(path), "/%u", i);
        meta_store_put(stage->store, rt_bytes_of(path), &node);
        if (i % BATCH == 0) stage_flush(stage);
        cr_assert_lt(meta_store_dirty_bytes(stage->store), 1 << 20);
        cr_assert_lt(meta_store_clean_bytes(stage->store), (1 << 20) + 64 * 1024);
    }
    stage_flush(stage);
    cr_assert_eq(meta_store_dirty_bytes(stage->store), 0);
    for (unsigned i = 0; i < NODES; i += 97) {
        snprintf(path, sizeof(path), "/%u", i);
        cr_assert_eq(stage_find(stage, path)->czxid, i);
        snprintf(path, sizeof(path), "/%u-not", i);
        cr_assert_null(stage_find(stage, path));
        cr_assert_lt(meta_store_clean_bytes(stage->store), (1 << 20) + 64 * 1024);
    }
    cr_assert_eq(meta_store_totals(stage->store).nodes, NODES + 1);
    stage_close(stage);
}

static void a_copy_is_looked_into_and_takes_the_place(struct stage *stage) {
    struct meta_position at;
    char copy[96], old[96];
    snprintf(copy, sizeof(copy), "%s-copy", stage->path);
    snprintf(old, sizeof(old), "%s-old", stage->path);
    stage_open(stage);
    stage_create(stage, "/", 1, NULL);
    stage_applied(stage, 4);
    stage_flush(stage);
    cr_assert_eq(rt_kv_checkpoint_now(meta_store_kv(stage->store), copy), RT_OK);
    stage_create(stage, "/later", 5, NULL);
    stage_applied(stage, 5);
    cr_assert_eq(meta_store_peek_now(stage->machine, copy, &at, NULL), RT_OK);
    cr_assert_eq(at.index, 4);
    cr_assert_eq(at.term, 1);
    meta_store_close_files_now(stage->store);
    cr_assert_eq(meta_store_reopen_now(stage->store, NULL), RT_OK);
    cr_assert_eq(meta_store_totals(stage->store).applied.index, 4);
    cr_assert_null(stage_find(stage, "/later"));
    cr_assert_neq(meta_store_peek_now(stage->machine, old, &at, NULL), RT_OK);
    stage_close(stage);
}

#define STORE_CASES(X)                             \
    X(a_new_store_is_empty)                        \
    X(what_is_flushed_comes_back_and_nothing_else) \
    X(null_and_empty_data_differ_after_a_reopen)   \
    X(random_changes_match_a_model)                \
    X(the_digest_depends_on_the_content_only)      \
    X(a_rollback_leaves_no_trace)                  \
    X(a_snapshot_stays_as_it_was)                  \
    X(children_are_not_mixed_with_similar_names)   \
    X(indexes_follow_the_kind_and_the_owner)       \
    X(paths_may_be_deeper_than_a_key_can_say)      \
    X(try_find_answers_from_memory)                \
    X(many_nodes_do_not_stay_in_memory)            \
    X(a_copy_is_looked_into_and_takes_the_place)

#define REAL(name)                \
    Test(meta_tree_store, name) { \
        stage_run_real(name);     \
    }
STORE_CASES(REAL)

#define SIM(name)                     \
    Test(meta_tree_store_sim, name) { \
        stage_run_sim(name);          \
    }
STORE_CASES(SIM)
