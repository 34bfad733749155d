#include "tests/unit/meta_tree/stage.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/file.h"
#include "runtime/real/real.h"
#include "tests/sim/disk_world.h"

void stage_run_real(stage_case *run) {
    char root[] = "/tmp/geminga-tree-XXXXXX", path[64];
    cr_assert_not_null(mkdtemp(root));
    snprintf(path, sizeof(path), "%s/store", root);
    struct stage stage = {.path = path};
    const struct rt_real_options options = {.loop_count = 1, .worker_count = 1};
    cr_assert_eq(rt_real_open(&options, &stage.machine, NULL), RT_OK);
    run(&stage);
    cr_assert_eq(rt_path_remove_tree_now(stage.machine, root), RT_OK);
    rt_real_close(stage.machine);
}

static void sim_piece(struct disk_world *world, void *argument) {
    stage_case **run = argument;
    struct stage stage = {.machine = world->machine, .path = "store"};
    (*run)(&stage);
}

void stage_run_sim(stage_case *run) {
    struct disk_world world;
    disk_world_open(&world, 1);
    disk_world_run(&world, sim_piece, &run);
    disk_world_close(&world);
}

void stage_open(struct stage *stage) {
    const struct meta_store_options options = {.path = stage->path,
                                               .cache_bytes = 4 << 20,
                                               .node_bytes =
                                                   stage->node_bytes ? stage->node_bytes : 1 << 20};
    struct rt_why why = {0};
    rt_err err = meta_store_open_now(stage->machine, &options, &stage->store, &why);
    cr_assert_eq(err, RT_OK, "%s", why.text);
}

void stage_close(struct stage *stage) {
    meta_store_close_now(stage->store);
    stage->store = NULL;
}

void stage_crash(struct stage *stage) {
    stage_close(stage);
    stage_open(stage);
}

const struct meta_znode *stage_find(struct stage *stage, const char *path) {
    return meta_store_find_now(stage->store, rt_bytes_of(path));
}

static void parent_count(struct stage *stage, const char *path, int by) {
    char parent[128];
    snprintf(parent, sizeof(parent), "%s", path);
    char *slash = strrchr(parent, '/');
    slash[slash == parent] = '\0';
    if (strcmp(parent, path) == 0) return;
    const struct meta_znode *found = stage_find(stage, parent);
    cr_assert_not_null(found, "%s has no parent", path);
    struct meta_znode node = *found;
    node.children += by;
    if (by > 0) node.creates += by;
    meta_store_put(stage->store, rt_bytes_of(parent), &node);
}

void stage_create(struct stage *stage, const char *path, int64_t index, const char *data) {
    struct meta_znode node = {.czxid = index, .mzxid = index, .pzxid = index};
    node.has_data = data != NULL;
    if (data) node.data = rt_bytes_of(data);
    meta_store_put(stage->store, rt_bytes_of(path), &node);
    parent_count(stage, path, 1);
}

void stage_delete(struct stage *stage, const char *path) {
    meta_store_remove(stage->store, rt_bytes_of(path));
    parent_count(stage, path, -1);
}

void stage_applied(struct stage *stage, uint64_t index) {
    meta_store_set_applied(stage->store, (struct meta_position){index, 1}, (int64_t)index * 10);
}

void stage_flush(struct stage *stage) {
    cr_assert_eq(meta_store_flush_now(stage->store), RT_OK);
}

static bool list_each(struct meta_scan *scan, struct rt_bytes path) {
    struct stage_list *list = rt_container_of(scan, struct stage_list, scan);
    size_t used = strlen(list->text);
    snprintf(list->text + used, sizeof(list->text) - used, "%.*s ", (int)path.size,
             (const char *)path.data);
    return ++list->count != list->count_max;
}

struct stage_list stage_list_start(void) {
    return (struct stage_list){.scan.each = list_each};
}
