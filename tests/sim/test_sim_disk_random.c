// The simulated disk against a model, over many seeds: whatever is lost, what was synced and not
// touched since is there, byte for byte.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/disk_world.h"

enum { FILES = 3, SIZE_MAX_BYTES = 40000 };

struct model_file {
    uint8_t now[SIZE_MAX_BYTES], synced[SIZE_MAX_BYTES];
    size_t now_size, synced_size;
    size_t cut;                    // least size since the last sync
    bool touched[SIZE_MAX_BYTES];  // since the last sync
};

struct model {
    struct model_file files[FILES];
    struct rt_file *open[FILES];
    struct rt_random random;
    uint64_t seed;
};

static const char *const paths[FILES] = {"a", "b", "c"};

static void model_synced(struct model_file *f) {
    memcpy(f->synced, f->now, sizeof(f->now));
    memset(f->touched, 0, sizeof(f->touched));
    f->synced_size = f->cut = f->now_size;
}

static void touch(struct model_file *f, size_t from, size_t to) {
    memset(f->touched + from, 1, to - from);
}

static void do_write(struct model *model, unsigned i) {
    struct model_file *f = &model->files[i];
    size_t offset = (size_t)rt_random_below(&model->random, f->now_size + 1000);
    if (offset >= SIZE_MAX_BYTES) offset = 0;
    size_t size = 1 + (size_t)rt_random_below(&model->random, 6000);
    if (size > SIZE_MAX_BYTES - offset) size = SIZE_MAX_BYTES - offset;
    rt_random_fill(&model->random, f->now + offset, size);
    if (offset + size > f->now_size) f->now_size = offset + size;
    touch(f, offset, offset + size);
    disk_file_write(model->open[i], offset, f->now + offset, size);
}

static void do_truncate(struct model *model, unsigned i) {
    struct model_file *f = &model->files[i];
    size_t size = (size_t)rt_random_below(&model->random, f->now_size + 2000);
    if (size > SIZE_MAX_BYTES) size = SIZE_MAX_BYTES;
    if (size < f->now_size) {
        memset(f->now + size, 0, f->now_size - size);
        touch(f, size, f->now_size);
    }
    f->now_size = size;
    if (size < f->cut) f->cut = size;
    cr_assert_eq(rt_file_truncate_now(model->open[i], size), RT_OK);
}

static void do_sync(struct model *model, unsigned i) {
    disk_file_sync(model->open[i]);
    model_synced(&model->files[i]);
}

static void do_allocate(struct model *model, unsigned i) {
    struct model_file *f = &model->files[i];
    size_t size = (size_t)rt_random_below(&model->random, SIZE_MAX_BYTES);
    cr_assert_eq(rt_file_allocate_now(model->open[i], size), RT_OK);
    if (size <= f->now_size) return;
    f->now_size = size;
    model_synced(f);
}

static void check_reads(struct model *model, unsigned i) {
    struct model_file *f = &model->files[i];
    uint8_t *memory = rt_alloc(SIZE_MAX_BYTES);
    size_t offset = (size_t)rt_random_below(&model->random, f->now_size + 1), size = 0;
    cr_assert_eq(rt_file_read_now(model->open[i], offset, memory, SIZE_MAX_BYTES, &size), RT_OK);
    cr_assert_eq(size, f->now_size - offset);
    cr_assert_eq(memcmp(memory, f->now + offset, size), 0, "seed %d", (int)model->seed);
    rt_free(memory);
}

static void life_piece(struct disk_world *world, void *argument) {
    static void (*const dos[])(struct model *, unsigned) = {
        do_write, do_write, do_write, do_write, do_truncate, do_sync, do_allocate, check_reads};
    struct model *model = argument;
    for (unsigned i = 0; i < FILES; i++) model->open[i] = disk_file_open(world, paths[i]);
    disk_dir_sync(world, "/");
    for (unsigned step = 0; step < 60; step++) {
        unsigned i = (unsigned)rt_random_below(&model->random, FILES);
        uint64_t which = rt_random_below(&model->random, sizeof(dos) / sizeof(dos[0]));
        dos[which](model, i);
    }
}

static void check_after_loss(const struct model *model, unsigned i, const struct rt_buf *content) {
    const struct model_file *f = &model->files[i];
    size_t safe_size = f->cut < f->synced_size ? f->cut : f->synced_size;
    cr_assert_geq(content->size, safe_size, "seed %d", (int)model->seed);
    cr_assert_leq(content->size, SIZE_MAX_BYTES);
    for (size_t at = 0; at < safe_size; at++) {
        if (f->touched[at]) continue;
        cr_assert_eq(content->data[at], f->synced[at], "seed %d, file %s, byte %zu",
                     (int)model->seed, paths[i], at);
    }
}

// What a crash left is the durable state from which the next life starts.
static void adopt(struct model_file *f, const struct rt_buf *content) {
    memset(f->now, 0, sizeof(f->now));
    if (content->size) memcpy(f->now, content->data, content->size);
    f->now_size = content->size;
    model_synced(f);
}

static void check_worst_case(struct disk_world *world, const struct model *model) {
    struct rt_buf content = {0};
    for (unsigned i = 0; i < FILES; i++) {
        const struct model_file *f = &model->files[i];
        cr_assert_eq(rt_sim_durable_content(world->node, paths[i], &content), RT_OK);
        cr_assert_eq(content.size, f->synced_size);
        cr_assert(!content.size || memcmp(content.data, f->synced, content.size) == 0);
    }
    rt_buf_fini(&content);
}

static void lives(struct model *model, unsigned count) {
    struct disk_world world;
    struct rt_buf content = {0};
    disk_world_open(&world, model->seed);
    for (unsigned life = 0; life < count; life++) {
        disk_world_run(&world, life_piece, model);
        check_worst_case(&world, model);
        bool killed = rt_random_below(&model->random, 3) == 0;
        disk_world_crash(&world, killed ? RT_SIM_KILL : RT_SIM_POWER_LOSS);
        for (unsigned i = 0; i < FILES; i++) {
            cr_assert_eq(disk_world_read(&world, paths[i], &content), RT_OK);
            check_after_loss(model, i, &content);
            if (killed) {
                const struct model_file *f = &model->files[i];
                cr_assert_eq(content.size, f->now_size);
                cr_assert(!content.size || memcmp(content.data, f->now, content.size) == 0);
            } else {
                adopt(&model->files[i], &content);
            }
        }
    }
    rt_buf_fini(&content);
    disk_world_close(&world);
}

Test(sim_disk_random, synced_bytes_survive_every_crash) {
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct model *model = calloc(1, sizeof(*model));
        model->seed = seed;
        rt_random_seed(&model->random, seed);
        lives(model, 5);
        free(model);
    }
}

// NAMES: a model of which file each name may lead to after a power loss would repeat the disk;
// instead every file says in its content which names it ever had.

enum { NAMES = 6, DIRS = 3 };

struct tree {
    struct rt_random random;
    uint64_t next_id;
};

static void name_draw(struct tree *tree, char path[16]) {
    unsigned dir = (unsigned)rt_random_below(&tree->random, DIRS);
    unsigned name = (unsigned)rt_random_below(&tree->random, NAMES);
    snprintf(path, 16, "d%u/%u", dir, name);
}

static void create(struct disk_world *world, struct tree *tree) {
    char path[16], text[32];
    name_draw(tree, path);
    if (disk_exists(world, path)) return;
    snprintf(text, sizeof(text), "%llu", (unsigned long long)++tree->next_id);
    disk_put(world, path, text);
}

static void tree_piece(struct disk_world *world, void *argument) {
    struct tree *tree = argument;
    char from[16], to[16];
    for (unsigned i = 0; i < DIRS; i++) {
        snprintf(from, sizeof(from), "d%u", i);
        cr_assert_eq(rt_dir_create_now(world->machine, from, NULL), RT_OK);
    }
    for (unsigned step = 0; step < 40; step++) {
        name_draw(tree, from);
        name_draw(tree, to);
        switch (rt_random_below(&tree->random, 5)) {
        case 0:
        case 1: create(world, tree); break;
        case 2:
            if (disk_exists(world, from))
                cr_assert_eq(rt_path_remove_now(world->machine, from), RT_OK);
            break;
        case 3:
            if (!disk_exists(world, from)) break;
            cr_assert_eq(rt_path_rename_now(world->machine, from, to), RT_OK);
            break;
        case 4:
            from[2] = '\0';
            disk_dir_sync(world, from);
            break;
        }
    }
}

// No file is under two names, none is empty: all were synced before they could be renamed.
static void tree_check_piece(struct disk_world *world, void *argument) {
    const struct tree *tree = argument;
    bool *seen = rt_alloc_zero(tree->next_id + 1, sizeof(*seen));
    for (unsigned dir = 0; dir < DIRS; dir++) {
        struct rt_dir_listing listing;
        char path[16];
        snprintf(path, sizeof(path), "d%u", dir);
        cr_assert_eq(rt_dir_list_now(world->machine, path, &listing, NULL), RT_OK);
        for (size_t i = 0; i < listing.count; i++) {
            struct rt_file *file = NULL;
            char text[32] = {0};
            size_t size = 0;
            snprintf(path, sizeof(path), "d%u/%s", dir, listing.entries[i].name);
            cr_assert_eq(rt_file_open_now(world->machine, path, RT_FILE_READ, &file, NULL), RT_OK);
            cr_assert_eq(rt_file_read_now(file, 0, text, sizeof(text) - 1, &size), RT_OK);
            rt_file_close_now(file);
            unsigned long long id = strtoull(text, NULL, 10);
            cr_assert(id > 0 && id <= tree->next_id && !seen[id], "file %s has id '%s'", path,
                      text);
            seen[id] = true;
        }
        rt_dir_listing_fini(&listing);
    }
    rt_free(seen);
}

Test(sim_disk_random, names_stay_a_tree_through_every_power_loss) {
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct disk_world world;
        struct tree tree = {0};
        rt_random_seed(&tree.random, seed);
        disk_world_open(&world, seed);
        for (unsigned life = 0; life < 5; life++) {
            disk_world_run(&world, tree_piece, &tree);
            disk_world_crash(&world, RT_SIM_POWER_LOSS);
            disk_world_run(&world, tree_check_piece, &tree);
        }
        disk_world_close(&world);
    }
}
