// The simulated key-value store: maps, snapshots, iterators, and its files.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/kv.h"
#include "tests/sim/disk_world.h"

enum { KEYS = 40, MILLION = 1000000 };

static rt_err open_at(struct disk_world *world, const char *path, bool create, struct rt_kv **kv,
                      struct rt_why *why) {
    struct rt_kv_column columns[] = {{.name = "default"}, {.name = "second"}};
    struct rt_kv_options options = {
        .columns = columns, .column_count = 2, .create_if_missing = create};
    return rt_kv_open_now(world->machine, path, &options, kv, why);
}

static struct rt_kv *kv_open(struct disk_world *world, const char *path) {
    struct rt_kv *kv = NULL;
    struct rt_why why = {0};
    cr_assert_eq(open_at(world, path, true, &kv, &why), RT_OK, "%s", why.text);
    return kv;
}

static void put(struct rt_kv *kv, const char *key, const char *value) {
    struct rt_kv_batch *batch = rt_kv_batch_new(kv);
    rt_kv_put(batch, 0, rt_bytes_of(key), rt_bytes_of(value));
    cr_assert_eq(rt_kv_write_now(kv, batch, RT_KV_LAZY), RT_OK);
    rt_kv_batch_free(batch);
}

static bool value_is(struct rt_kv *kv, const struct rt_kv_snapshot *snapshot, const char *key,
                     const char *value) {
    struct rt_buf buf = {0};
    rt_err err = rt_kv_get_now(kv, snapshot, 0, rt_bytes_of(key), &buf);
    bool same = value ? !err && disk_buf_is(&buf, value) : err == RT_ENOTFOUND;
    rt_buf_fini(&buf);
    return same;
}

// AGAINST A MODEL: an array of what each key holds, and copies of it for snapshots and iterators.

struct model {
    int values[KEYS];  // -1: none
};

struct view {
    struct rt_kv_snapshot *snapshot;
    struct rt_kv_iter *iter;
    struct model model;
};

enum { VIEWS = 4 };
struct scene {
    struct rt_random random;
    struct rt_kv *kv;
    struct model model;
    struct view views[VIEWS];
};

static struct rt_bytes key_of(int i, char text[8]) {
    snprintf(text, 8, "k%03u", (unsigned)i % 1000u);
    return rt_bytes_of(text);
}

static int draw(struct scene *scene, int below) {
    return (int)rt_random_below(&scene->random, (uint64_t)below);
}

static void change(struct scene *scene, struct rt_kv_batch *batch) {
    char text[8], other[8], value[16];
    int i = draw(scene, KEYS), j = i + 1 + draw(scene, 5);
    int kind = draw(scene, 6);
    if (kind < 3) {
        int number = draw(scene, 1000);
        snprintf(value, sizeof(value), "%d", number);
        rt_kv_put(batch, 1, key_of(i, text), rt_bytes_of(value));
        scene->model.values[i] = number;
    } else if (kind < 5) {
        rt_kv_delete(batch, 1, key_of(i, text));
        scene->model.values[i] = -1;
    } else {
        rt_kv_delete_range(batch, 1, key_of(i, text), key_of(j, other));
        for (int at = i; at < j && at < KEYS; at++) scene->model.values[at] = -1;
    }
}

static void batch_apply(struct scene *scene) {
    struct rt_kv_batch *batch = rt_kv_batch_new(scene->kv);
    int count = 1 + draw(scene, 5);
    for (int i = 0; i < count; i++) change(scene, batch);
    cr_assert_eq(rt_kv_batch_count(batch), (size_t)count);
    cr_assert_eq(rt_kv_write_now(scene->kv, batch, RT_KV_LAZY), RT_OK);
    rt_kv_batch_free(batch);
}

static int next_in(const struct model *model, int from, int step) {
    while (from >= 0 && from < KEYS && model->values[from] < 0) from += step;
    return from >= 0 && from < KEYS ? from : -1;
}

static void expect_at(const struct rt_kv_iter *iter, const struct model *model, int i) {
    char text[8], value[16];
    cr_assert_eq(rt_kv_iter_valid(iter), i >= 0);
    cr_assert_eq(rt_kv_iter_err(iter), RT_OK);
    if (i < 0) return;
    snprintf(value, sizeof(value), "%d", model->values[i]);
    cr_assert(rt_bytes_equal(rt_kv_iter_key(iter), key_of(i, text)));
    cr_assert(rt_bytes_equal(rt_kv_iter_value(iter), rt_bytes_of(value)));
}

static void iter_check(struct scene *scene, struct rt_kv_iter *iter, const struct model *model) {
    char text[8];
    int at = draw(scene, KEYS);
    rt_kv_iter_seek(iter, key_of(at, text));
    at = next_in(model, at, 1);
    expect_at(iter, model, at);
    if (draw(scene, 2)) {
        at = draw(scene, KEYS);
        rt_kv_iter_seek_for_prev(iter, key_of(at, text));
        at = next_in(model, at, -1);
        expect_at(iter, model, at);
    }
    for (int moves = 0; moves < 20 && at >= 0; moves++) {
        int step = draw(scene, 2) ? 1 : -1;
        if (step > 0) {
            rt_kv_iter_next(iter);
        } else {
            rt_kv_iter_prev(iter);
        }
        at = next_in(model, at + step, step);
        expect_at(iter, model, at);
    }
    rt_kv_iter_first(iter);
    expect_at(iter, model, next_in(model, 0, 1));
    rt_kv_iter_last(iter);
    expect_at(iter, model, next_in(model, KEYS - 1, -1));
}

static void get_check(struct scene *scene, const struct view *view, const struct model *model) {
    char text[8], value[16];
    struct rt_buf buf = {0};
    int i = draw(scene, KEYS);
    rt_err err = rt_kv_get_now(scene->kv, view ? view->snapshot : NULL, 1, key_of(i, text), &buf);
    snprintf(value, sizeof(value), "%d", model->values[i]);
    cr_assert_eq(err, model->values[i] < 0 ? RT_ENOTFOUND : RT_OK);
    if (!err) cr_assert(disk_buf_is(&buf, value));
    rt_buf_fini(&buf);
}

static void view_close(struct scene *scene, struct view *view) {
    if (view->iter) rt_kv_iter_free(view->iter);
    if (view->snapshot) rt_kv_snapshot_drop(scene->kv, view->snapshot);
    *view = (struct view){0};
}

static void view_turn(struct scene *scene) {
    struct view *view = &scene->views[draw(scene, VIEWS)];
    if (view->iter && draw(scene, 3) == 0) {
        view_close(scene, view);
    } else if (view->iter) {
        iter_check(scene, view->iter, &view->model);
        if (view->snapshot) get_check(scene, view, &view->model);
    } else {
        view->model = scene->model;
        if (draw(scene, 2)) view->snapshot = rt_kv_snapshot_take(scene->kv);
        view->iter = rt_kv_iter_new(scene->kv, view->snapshot, 1);
    }
}

static void scene_piece(struct disk_world *world, void *argument) {
    struct scene *scene = argument;
    scene->kv = kv_open(world, "store");
    for (int i = 0; i < KEYS; i++) scene->model.values[i] = -1;
    for (int step = 0; step < 400; step++) {
        int kind = draw(scene, 4);
        if (kind < 2) batch_apply(scene);
        if (kind == 2) view_turn(scene);
        if (kind == 3) get_check(scene, NULL, &scene->model);
    }
    for (int i = 0; i < VIEWS; i++) view_close(scene, &scene->views[i]);
    uint64_t keys = 0;
    for (int i = 0; i < KEYS; i++) keys += scene->model.values[i] >= 0;
    cr_assert_eq(rt_kv_stats(scene->kv).keys_estimate, keys, "versions nobody sees were kept");
    rt_kv_close_now(scene->kv);
    scene->kv = kv_open(world, "store");
    struct rt_kv_iter *iter = rt_kv_iter_new(scene->kv, NULL, 1);
    iter_check(scene, iter, &scene->model);
    rt_kv_iter_free(iter);
    rt_kv_close_now(scene->kv);
}

Test(sim_kv_data, store_answers_as_a_sorted_table_with_snapshots_would) {
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct disk_world world;
        struct scene *scene = calloc(1, sizeof(*scene));
        rt_random_seed(&scene->random, seed);
        disk_world_open(&world, seed);
        disk_world_run(&world, scene_piece, scene);
        disk_world_close(&world);
        free(scene);
    }
}

// OPENING

static void twice_piece(struct disk_world *world, void *argument) {
    struct rt_kv *second = NULL;
    struct rt_why why = {0};
    (void)argument;
    struct rt_kv *kv = kv_open(world, "store");
    cr_assert_eq(open_at(world, "store", true, &second, &why), RT_ELOCKED);
    cr_assert_neq(strstr(why.text, "store"), NULL);
    rt_kv_close_now(kv);
    kv_open(world, "store");
}

Test(sim_kv_data, store_is_open_once_until_its_process_ends) {
    struct disk_world world;
    disk_world_open(&world, 1);
    disk_world_run(&world, twice_piece, NULL);
    disk_world_crash(&world, RT_SIM_KILL);
    disk_world_run(&world, twice_piece, NULL);
    disk_world_close(&world);
}

static void missing_piece(struct disk_world *world, void *argument) {
    struct rt_kv *kv = NULL;
    (void)argument;
    cr_assert_eq(open_at(world, "store", false, &kv, NULL), RT_ENOTFOUND);
    cr_assert_eq(rt_dir_create_now(world->machine, "store", NULL), RT_OK);
    cr_assert_eq(open_at(world, "store", false, &kv, NULL), RT_ENOTFOUND);
    disk_put(world, "store/letter", "mine");
    cr_assert_eq(open_at(world, "store", true, &kv, NULL), RT_EINVAL);
}

Test(sim_kv_data, store_is_neither_found_nor_made_where_it_does_not_belong) {
    struct disk_world world;
    disk_world_open(&world, 1);
    disk_world_run(&world, missing_piece, NULL);
    disk_world_close(&world);
}

static void columns_piece(struct disk_world *world, void *argument) {
    (void)argument;
    struct rt_kv *kv = kv_open(world, "store");
    put(kv, "key", "value");
    rt_kv_close_now(kv);
    struct rt_kv_column other[] = {{.name = "third"}};
    struct rt_kv_options options = {.columns = other, .column_count = 1, .create_if_missing = true};
    cr_assert_eq(rt_kv_open_now(world->machine, "store", &options, &kv, NULL), RT_OK);
    cr_assert(value_is(kv, NULL, "key", NULL));
    put(kv, "key", "third");
    rt_kv_close_now(kv);
    kv = kv_open(world, "store");
    cr_assert(value_is(kv, NULL, "key", "value"));
    rt_kv_close_now(kv);
    cr_assert_eq(rt_kv_open_now(world->machine, "store", &options, &kv, NULL), RT_OK);
    cr_assert(value_is(kv, NULL, "key", "third"));
    rt_kv_close_now(kv);
}

Test(sim_kv_data, columns_are_found_by_name_and_unknown_ones_are_kept) {
    struct disk_world world;
    disk_world_open(&world, 1);
    disk_world_run(&world, columns_piece, NULL);
    disk_world_close(&world);
}

// CHECKPOINTS

static void file_copy(struct disk_world *world, const char *from, const char *to) {
    struct rt_buf content = {0};
    cr_assert_eq(disk_read(world, from, &content), RT_OK);
    struct rt_file *file = disk_file_open(world, to);
    disk_file_write(file, 0, content.data, content.size);
    disk_file_sync(file);
    rt_file_close_now(file);
    free(content.data);
}

static void dir_copy(struct disk_world *world, const char *from, const char *to) {
    struct rt_dir_listing listing;
    char source[64], target[64];
    cr_assert_eq(rt_dir_create_now(world->machine, to, NULL), RT_OK);
    cr_assert_eq(rt_dir_list_now(world->machine, from, &listing, NULL), RT_OK);
    for (size_t i = 0; i < listing.count; i++) {
        snprintf(source, sizeof(source), "%s/%s", from, listing.entries[i].name);
        snprintf(target, sizeof(target), "%s/%s", to, listing.entries[i].name);
        file_copy(world, source, target);
    }
    disk_dir_sync(world, to);
    rt_dir_listing_fini(&listing);
}

static void checkpoint_piece(struct disk_world *world, void *argument) {
    (void)argument;
    struct rt_kv *kv = kv_open(world, "store");
    put(kv, "key", "before");
    cr_assert_eq(rt_kv_checkpoint_now(kv, "copy"), RT_OK);
    cr_assert_eq(rt_kv_checkpoint_now(kv, "copy"), RT_EEXIST);
    put(kv, "key", "after");
    dir_copy(world, "copy", "incoming");
    cr_assert_eq(rt_path_rename_now(world->machine, "incoming", "restored"), RT_OK);
    disk_dir_sync(world, "/");
    struct rt_kv *restored = kv_open(world, "restored");
    cr_assert(value_is(restored, NULL, "key", "before"));
    cr_assert(value_is(kv, NULL, "key", "after"));
    put(restored, "key", "restored");
    rt_kv_close_now(restored);
    rt_kv_close_now(kv);
    cr_assert_eq(rt_path_remove_tree_now(world->machine, "store"), RT_OK);
    cr_assert_not(disk_exists(world, "store"));
}

static void restored_piece(struct disk_world *world, void *argument) {
    struct rt_kv *kv = kv_open(world, argument);
    cr_assert(value_is(kv, NULL, "key", strcmp(argument, "copy") == 0 ? "before" : "restored"));
    rt_kv_close_now(kv);
}

Test(sim_kv_data, checkpoint_copied_file_by_file_opens_elsewhere) {
    struct disk_world world;
    disk_world_open(&world, 1);
    disk_world_losses(&world, MILLION, 0);
    disk_world_run(&world, checkpoint_piece, NULL);
    disk_world_crash(&world, RT_SIM_POWER_LOSS);
    char restored[] = "restored", copy[] = "copy";
    disk_world_run(&world, restored_piece, restored);
    disk_world_run(&world, restored_piece, copy);
    disk_world_close(&world);
}

static void cut_copy_piece(struct disk_world *world, void *argument) {
    (void)argument;
    struct rt_kv *kv = kv_open(world, "store");
    put(kv, "key", "value");
    cr_assert_eq(rt_kv_checkpoint_now(kv, "copy"), RT_OK);
    struct rt_dir_listing listing;
    cr_assert_eq(rt_dir_list_now(world->machine, "copy", &listing, NULL), RT_OK);
    for (size_t i = 0; i < listing.count; i++) {
        char target[64], damaged[64];
        struct rt_kv *opened = NULL;
        snprintf(target, sizeof(target), "cut%zu", i);
        snprintf(damaged, sizeof(damaged), "cut%zu/%s", i, listing.entries[i].name);
        dir_copy(world, "copy", target);
        struct rt_file *file = disk_file_open(world, damaged);
        cr_assert_eq(rt_file_truncate_now(file, listing.entries[i].size / 2), RT_OK);
        rt_file_close_now(file);
        cr_assert_eq(open_at(world, target, true, &opened, NULL), RT_ECORRUPT, "%s", damaged);
        cr_assert_eq(rt_path_remove_now(world->machine, damaged), RT_OK);
        cr_assert_eq(open_at(world, target, true, &opened, NULL), RT_ECORRUPT, "no %s", damaged);
    }
    rt_dir_listing_fini(&listing);
    rt_kv_close_now(kv);
}

Test(sim_kv_data, copy_with_a_file_cut_short_or_missing_is_corrupt) {
    struct disk_world world;
    disk_world_open(&world, 1);
    disk_world_run(&world, cut_copy_piece, NULL);
    disk_world_close(&world);
}

// OPERATIONS

static void try_get_piece(struct disk_world *world, void *argument) {
    unsigned *misses = argument;
    struct rt_buf value = {0};
    struct rt_kv *kv = kv_open(world, "store");
    put(kv, "key", "value");
    for (unsigned i = 0; i < 200; i++) {
        rt_err err = rt_kv_try_get(kv, 0, RT_BYTES_LITERAL("key"), &value);
        cr_assert(err == RT_EAGAIN || (err == RT_OK && disk_buf_is(&value, "value")));
        *misses += err == RT_EAGAIN;
    }
    rt_buf_fini(&value);
    rt_kv_close_now(kv);
}

Test(sim_kv_data, get_from_memory_misses_now_and_then) {
    struct disk_world world;
    unsigned misses = 0;
    disk_world_open(&world, 1);
    disk_world_run(&world, try_get_piece, &misses);
    cr_assert(misses > 5 && misses < 60);
    rt_sim_chance_rate(world.node, false);
    misses = 0;
    disk_world_run(&world, try_get_piece, &misses);
    cr_assert_eq(misses, 0);
    disk_world_close(&world);
}

static void read_fail_piece(struct disk_world *world, void *argument) {
    (void)argument;
    struct rt_buf value = {0};
    struct rt_kv *kv = kv_open(world, "store");
    put(kv, "key", "value");
    struct rt_kv_iter *iter = rt_kv_iter_new(kv, NULL, 0);
    struct rt_sim_disk disk = rt_sim_disk_get(world->node);
    disk.read_fail_per_million = MILLION;
    rt_sim_disk_set(world->node, &disk);
    cr_assert_eq(rt_kv_get_now(kv, NULL, 0, RT_BYTES_LITERAL("key"), &value), RT_EIO);
    rt_kv_iter_first(iter);
    cr_assert_not(rt_kv_iter_valid(iter));
    cr_assert_eq(rt_kv_iter_err(iter), RT_EIO);
    disk.read_fail_per_million = 0;
    rt_sim_disk_set(world->node, &disk);
    rt_kv_iter_first(iter);
    cr_assert(rt_kv_iter_valid(iter));
    rt_kv_iter_free(iter);
    rt_buf_fini(&value);
    rt_kv_close_now(kv);
}

Test(sim_kv_data, disk_that_cannot_be_read_is_an_error_and_no_absence) {
    struct disk_world world;
    disk_world_open(&world, 1);
    disk_world_run(&world, read_fail_piece, NULL);
    disk_world_close(&world);
}

static void many_piece(struct disk_world *world, void *argument) {
    enum { MANY = 100000, BATCH = 1000 };
    (void)argument;
    struct rt_kv *kv = kv_open(world, "store");
    struct rt_kv_batch *batch = rt_kv_batch_new(kv);
    char key[16];
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(key, sizeof(key), "%08x", i * 2654435761u);
        rt_kv_put(batch, 0, rt_bytes_of(key),
                  RT_BYTES_LITERAL("a value of middling size, as they are"));
        if (i % BATCH != BATCH - 1) continue;
        cr_assert_eq(rt_kv_write_now(kv, batch, RT_KV_LAZY), RT_OK);
        rt_kv_batch_clear(batch);
    }
    rt_kv_batch_free(batch);
    rt_kv_close_now(kv);
    kv = kv_open(world, "store");
    struct rt_kv_iter *iter = rt_kv_iter_new(kv, NULL, 0);
    unsigned count = 0;
    for (rt_kv_iter_first(iter); rt_kv_iter_valid(iter); rt_kv_iter_next(iter)) count++;
    cr_assert_eq(count, MANY);
    rt_kv_iter_free(iter);
    rt_kv_close_now(kv);
}

Test(sim_kv_data, hundred_thousand_keys_are_held_and_found_again) {
    struct disk_world world;
    disk_world_open(&world, 1);
    disk_world_run(&world, many_piece, NULL);
    disk_world_close(&world);
}
