// The simulated disk: what is durable when, and every fault it has.
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/disk_world.h"

enum { SECTOR = 512, MILLION = 1000000 };

// CONTENT

struct write_piece {
    const char *path;
    const char *synced, *unsynced;  // written in this order; NULL: not
};

static void write_piece(struct disk_world *world, void *argument) {
    const struct write_piece *piece = argument;
    struct rt_file *file = disk_file_open(world, piece->path);
    if (piece->synced) {
        disk_file_write(file, 0, piece->synced, strlen(piece->synced));
        disk_file_sync(file);
        disk_dir_sync(world, "/");
    }
    if (piece->unsynced) disk_file_write(file, 0, piece->unsynced, strlen(piece->unsynced));
    rt_file_close_now(file);
}

static void expect(struct disk_world *world, const char *path, const char *text) {
    struct rt_buf content = {0};
    cr_assert_eq(disk_world_read(world, path, &content), RT_OK);
    cr_assert(disk_buf_is(&content, text), "%.*s", (int)content.size, (const char *)content.data);
    rt_buf_fini(&content);
}

Test(sim_disk, unsynced_bytes_are_lost_at_a_power_loss_at_worst) {
    struct disk_world world;
    disk_world_open(&world, 1);
    disk_world_losses(&world, MILLION, 0);
    disk_world_run(&world, write_piece,
                   &(struct write_piece){"f", "durable", "changed and longer"});
    expect(&world, "f", "changed and longer");
    disk_world_crash(&world, RT_SIM_POWER_LOSS);
    expect(&world, "f", "durable");
    disk_world_close(&world);
}

Test(sim_disk, unsynced_bytes_are_kept_at_a_power_loss_at_best) {
    struct disk_world world;
    disk_world_open(&world, 1);
    disk_world_losses(&world, 0, 0);
    disk_world_run(&world, write_piece,
                   &(struct write_piece){"f", "durable", "changed and longer"});
    disk_world_crash(&world, RT_SIM_POWER_LOSS);
    expect(&world, "f", "changed and longer");
    disk_world_close(&world);
}

Test(sim_disk, kill_keeps_the_page_cache_and_its_names) {
    struct disk_world world;
    disk_world_open(&world, 1);
    disk_world_losses(&world, MILLION, 0);
    disk_world_run(&world, write_piece, &(struct write_piece){"f", NULL, "never synced"});
    disk_world_crash(&world, RT_SIM_KILL);
    expect(&world, "f", "never synced");
    disk_world_crash(&world, RT_SIM_POWER_LOSS);
    cr_assert_not(disk_world_exists(&world, "f"));
    disk_world_close(&world);
}

static void sectors_piece(struct disk_world *world, void *argument) {
    (void)argument;
    struct rt_file *file = disk_file_open(world, "f");
    disk_file_fill(file, 0, 'o', 64 * SECTOR);
    disk_file_sync(file);
    disk_dir_sync(world, "/");
    disk_file_fill(file, 0, 'n', 64 * SECTOR);
    rt_file_close_now(file);
}

struct sectors {
    unsigned old, new, torn;
};

static struct sectors sectors_count(const struct rt_buf *content) {
    struct sectors sectors = {0};
    cr_assert_eq(content->size, 64 * SECTOR);
    for (size_t at = 0; at < content->size; at += SECTOR) {
        size_t new = 0, old = 0;
        for (size_t i = at; i < at + SECTOR; i++) {
            new += content->data[i] == 'n';
            old += content->data[i] == 'o';
        }
        sectors.new += new == SECTOR;
        sectors.old += old == SECTOR;
        sectors.torn += new != SECTOR &&old != SECTOR;
    }
    return sectors;
}

static struct sectors sectors_after_loss(uint64_t seed, uint32_t lost, uint32_t torn) {
    struct disk_world world;
    struct rt_buf content = {0};
    disk_world_open(&world, seed);
    disk_world_losses(&world, lost, torn);
    disk_world_run(&world, sectors_piece, NULL);
    disk_world_crash(&world, RT_SIM_POWER_LOSS);
    cr_assert_eq(disk_world_read(&world, "f", &content), RT_OK);
    struct sectors sectors = sectors_count(&content);
    rt_buf_fini(&content);
    disk_world_close(&world);
    return sectors;
}

Test(sim_disk, power_loss_keeps_any_subset_of_the_unsynced_sectors) {
    struct sectors sectors = sectors_after_loss(7, 500000, 0);
    cr_assert_gt(sectors.old, 10);
    cr_assert_gt(sectors.new, 10);
    cr_assert_eq(sectors.torn, 0);
}

Test(sim_disk, power_loss_tears_sectors) {
    struct sectors sectors = sectors_after_loss(7, 0, MILLION);
    cr_assert_eq(sectors.torn, 64);
}

Test(sim_disk, default_losses_show_all_three_outcomes) {
    struct disk_world world;
    disk_world_open(&world, 1);
    struct rt_sim_disk disk = rt_sim_disk_get(world.node);
    disk_world_close(&world);
    struct sectors sectors = sectors_after_loss(3, disk.lost_per_million, disk.torn_per_million);
    cr_assert(sectors.old > 0 && sectors.new > 0 && sectors.torn > 0);
}

static void truncate_piece(struct disk_world *world, void *argument) {
    (void)argument;
    struct rt_file *file = disk_file_open(world, "f");
    disk_file_fill(file, 0, 'o', 10000);
    disk_file_sync(file);
    disk_dir_sync(world, "/");
    cr_assert_eq(rt_file_truncate_now(file, 700), RT_OK);
    disk_file_fill(file, 5000, 'n', 1000);
    rt_file_close_now(file);
}

Test(sim_disk, lost_truncate_takes_with_it_what_was_written_behind_it) {
    struct disk_world world;
    struct rt_buf content = {0};
    disk_world_open(&world, 1);
    disk_world_losses(&world, MILLION, 0);
    disk_world_run(&world, truncate_piece, NULL);
    disk_world_crash(&world, RT_SIM_POWER_LOSS);
    cr_assert_eq(disk_world_read(&world, "f", &content), RT_OK);
    cr_assert(disk_buf_is_filled(&content, 'o', 10000));
    rt_buf_fini(&content);
    disk_world_close(&world);
}

Test(sim_disk, kept_truncate_leaves_zeroes_where_the_old_bytes_were) {
    struct disk_world world;
    struct rt_buf content = {0};
    disk_world_open(&world, 1);
    disk_world_losses(&world, 0, 0);
    disk_world_run(&world, truncate_piece, NULL);
    disk_world_crash(&world, RT_SIM_POWER_LOSS);
    cr_assert_eq(disk_world_read(&world, "f", &content), RT_OK);
    cr_assert_eq(content.size, 6000);
    for (size_t i = 0; i < content.size; i++) {
        cr_assert_eq(content.data[i], i < 700 ? 'o' : i < 5000 ? 0 : 'n', "at %zu", i);
    }
    rt_buf_fini(&content);
    disk_world_close(&world);
}

static void rewrite_piece(struct disk_world *world, void *argument) {
    (void)argument;
    struct rt_file *file = disk_file_open(world, "f");
    disk_file_fill(file, 0, 'o', 10000);
    disk_file_sync(file);
    disk_dir_sync(world, "/");
    cr_assert_eq(rt_file_truncate_now(file, 0), RT_OK);
    disk_file_fill(file, 0, 'n', 10000);
    rt_file_close_now(file);
}

Test(sim_disk, bytes_before_and_behind_a_truncate_never_mix) {
    unsigned old = 0, new = 0;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct disk_world world;
        struct rt_buf content = {0};
        disk_world_open(&world, seed);
        disk_world_losses(&world, 500000, 0);
        disk_world_run(&world, rewrite_piece, NULL);
        disk_world_crash(&world, RT_SIM_POWER_LOSS);
        cr_assert_eq(disk_world_read(&world, "f", &content), RT_OK);
        bool has_old = content.size && memchr(content.data, 'o', content.size);
        bool has_new = content.size && memchr(content.data, 'n', content.size);
        cr_assert_not(has_old && has_new, "seed %d", (int)seed);
        old += has_old;
        new += has_new;
        rt_buf_fini(&content);
        disk_world_close(&world);
    }
    cr_assert(old > 0 && new > 0);
}

static void allocate_piece(struct disk_world *world, void *argument) {
    struct rt_file *file = disk_file_open(world, argument);
    disk_dir_sync(world, "/");
    cr_assert_eq(rt_file_allocate_now(file, 200 << 20), RT_OK);
    disk_file_write(file, 100 << 20, "x", 1);
    rt_file_close_now(file);
}

Test(sim_disk, allocated_zeroes_are_durable) {
    struct disk_world world;
    char path[] = "journal";
    struct rt_buf content = {0};
    disk_world_open(&world, 1);
    disk_world_losses(&world, MILLION, 0);
    disk_world_run(&world, allocate_piece, path);
    disk_world_crash(&world, RT_SIM_POWER_LOSS);
    cr_assert_eq(rt_sim_durable_content(world.node, "journal", &content), RT_OK);
    cr_assert(disk_buf_is_filled(&content, 0, 200 << 20));
    rt_buf_fini(&content);
    disk_world_close(&world);
}

// NAMES

static void name_piece(struct disk_world *world, void *argument) {
    bool dir_synced = argument != NULL;
    cr_assert_eq(rt_dir_create_now(world->machine, "d", NULL), RT_OK);
    disk_put(world, "d/f", "content");
    if (dir_synced) disk_dir_sync(world, "d");
}

Test(sim_disk, syncing_a_file_does_not_make_its_name_durable) {
    struct disk_world world;
    disk_world_open(&world, 1);
    disk_world_losses(&world, MILLION, 0);
    disk_world_run(&world, name_piece, NULL);
    cr_assert(disk_world_exists(&world, "d/f"));
    disk_world_crash(&world, RT_SIM_POWER_LOSS);
    cr_assert_not(disk_world_exists(&world, "d/f"));
    cr_assert(disk_world_exists(&world, "d"));
    disk_world_close(&world);
}

Test(sim_disk, name_is_durable_once_its_directory_is_synced) {
    struct disk_world world;
    disk_world_open(&world, 1);
    disk_world_losses(&world, MILLION, 0);
    disk_world_run(&world, name_piece, &world);
    disk_world_crash(&world, RT_SIM_POWER_LOSS);
    expect(&world, "d/f", "content");
    disk_world_close(&world);
}

static void replace_piece(struct disk_world *world, void *argument) {
    (void)argument;
    disk_put(world, "f", "old");
    disk_dir_sync(world, "/");
    disk_put(world, "f.tmp", "new");
    cr_assert_eq(rt_path_rename_now(world->machine, "f.tmp", "f"), RT_OK);
}

Test(sim_disk, rename_is_atomic_whatever_is_lost) {
    unsigned old = 0, new = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct disk_world world;
        struct rt_buf content = {0};
        disk_world_open(&world, seed);
        disk_world_run(&world, replace_piece, NULL);
        disk_world_crash(&world, RT_SIM_POWER_LOSS);
        cr_assert_eq(disk_world_read(&world, "f", &content), RT_OK, "seed %d", (int)seed);
        old += disk_buf_is(&content, "old");
        new += disk_buf_is(&content, "new");
        if (disk_buf_is(&content, "new")) cr_assert_not(disk_world_exists(&world, "f.tmp"));
        rt_buf_fini(&content);
        disk_world_close(&world);
    }
    cr_assert_eq(old + new, 40);
    cr_assert(old > 0 && new > 0);
}

static void remove_piece(struct disk_world *world, void *argument) {
    (void)argument;
    disk_put(world, "f", "content");
    disk_dir_sync(world, "/");
    cr_assert_eq(rt_path_remove_now(world->machine, "f"), RT_OK);
    cr_assert_not(disk_exists(world, "f"));
}

Test(sim_disk, removed_file_comes_back_when_the_remove_is_lost) {
    struct disk_world world;
    disk_world_open(&world, 1);
    disk_world_losses(&world, MILLION, 0);
    disk_world_run(&world, remove_piece, NULL);
    disk_world_crash(&world, RT_SIM_POWER_LOSS);
    expect(&world, "f", "content");
    disk_world_close(&world);
}

enum { FILES = 10 };

static void many_names_piece(struct disk_world *world, void *argument) {
    (void)argument;
    char path[16] = "a/0";
    cr_assert_eq(rt_dir_create_now(world->machine, "a", NULL), RT_OK);
    cr_assert_eq(rt_dir_create_now(world->machine, "b", NULL), RT_OK);
    for (unsigned i = 0; i < FILES; i++) {
        path[2] = (char)('0' + i);
        path[0] = 'a';
        disk_put(world, path, "a");
        path[0] = 'b';
        disk_put(world, path, "b");
    }
}

static unsigned prefix_count(struct disk_world *world, char dir) {
    char path[16] = "?/0";
    unsigned count = 0;
    bool ended = false;
    path[0] = dir;
    for (unsigned i = 0; i < FILES; i++) {
        path[2] = (char)('0' + i);
        bool exists = disk_world_exists(world, path);
        cr_assert_not(ended && exists, "%s survived without those before it", path);
        ended = !exists;
        count += exists;
    }
    return count;
}

Test(sim_disk, each_directory_keeps_a_prefix_of_its_changes_on_its_own) {
    unsigned differing = 0;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct disk_world world;
        disk_world_open(&world, seed);
        disk_world_losses(&world, 200000, 0);
        disk_world_run(&world, many_names_piece, NULL);
        disk_world_crash(&world, RT_SIM_POWER_LOSS);
        differing += prefix_count(&world, 'a') != prefix_count(&world, 'b');
        disk_world_close(&world);
    }
    cr_assert_gt(differing, 10);
}

static void move_piece(struct disk_world *world, void *argument) {
    (void)argument;
    cr_assert_eq(rt_dir_create_now(world->machine, "a", NULL), RT_OK);
    cr_assert_eq(rt_dir_create_now(world->machine, "b", NULL), RT_OK);
    disk_put(world, "a/f", "content");
    disk_dir_sync(world, "a");
    cr_assert_eq(rt_path_rename_now(world->machine, "a/f", "b/g"), RT_OK);
}

Test(sim_disk, file_that_moves_between_directories_is_in_exactly_one) {
    unsigned moved = 0;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct disk_world world;
        disk_world_open(&world, seed);
        disk_world_run(&world, move_piece, NULL);
        disk_world_crash(&world, RT_SIM_POWER_LOSS);
        bool in_a = disk_world_exists(&world, "a/f"), in_b = disk_world_exists(&world, "b/g");
        cr_assert_neq(in_a, in_b);
        expect(&world, in_a ? "a/f" : "b/g", "content");
        moved += in_b;
        disk_world_close(&world);
    }
    cr_assert(moved > 0 && moved < 30);
}

// A directory synced only on one side of a move makes the move durable whole.
static void move_sync_piece(struct disk_world *world, void *argument) {
    move_piece(world, NULL);
    disk_dir_sync(world, argument);
}

Test(sim_disk, syncing_either_directory_completes_a_move) {
    char dirs[2][2] = {"a", "b"};
    for (unsigned i = 0; i < 2; i++) {
        struct disk_world world;
        disk_world_open(&world, 1);
        disk_world_losses(&world, MILLION, 0);
        disk_world_run(&world, move_sync_piece, dirs[i]);
        disk_world_crash(&world, RT_SIM_POWER_LOSS);
        cr_assert_not(disk_world_exists(&world, "a/f"));
        expect(&world, "b/g", "content");
        disk_world_close(&world);
    }
}

static void into_each_other_piece(struct disk_world *world, void *argument) {
    (void)argument;
    cr_assert_eq(rt_dir_create_now(world->machine, "p/x", NULL), RT_OK);
    cr_assert_eq(rt_dir_create_now(world->machine, "q/y", NULL), RT_OK);
    cr_assert_eq(rt_path_rename_now(world->machine, "p/x", "q/y/x"), RT_OK);
    cr_assert_eq(rt_path_rename_now(world->machine, "q/y", "q/y/x/y"), RT_EINVAL);
    cr_assert_eq(rt_path_rename_now(world->machine, "q/y/x", "p/x"), RT_OK);
    cr_assert_eq(rt_path_rename_now(world->machine, "q/y", "p/x/y"), RT_OK);
}

Test(sim_disk, no_loss_puts_directories_into_each_other) {
    unsigned last = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct disk_world world;
        disk_world_open(&world, seed);
        disk_world_run(&world, into_each_other_piece, NULL);
        disk_world_crash(&world, RT_SIM_POWER_LOSS);
        bool x_is_home = disk_world_exists(&world, "p/x");
        cr_assert_neq(x_is_home, disk_world_exists(&world, "q/y/x"), "seed %d", (int)seed);
        bool y_is_home = disk_world_exists(&world, "q/y");
        cr_assert_neq(y_is_home, disk_world_exists(&world, "p/x/y"), "seed %d", (int)seed);
        last += !y_is_home;
        disk_world_close(&world);
    }
    cr_assert(last > 0 && last < 60);
}

// FOR CHECKERS

Test(sim_disk, durable_content_is_what_was_synced_under_synced_names) {
    struct disk_world world;
    struct rt_buf content = {0};
    disk_world_open(&world, 1);
    disk_world_run(&world, write_piece, &(struct write_piece){"f", "synced", "changed"});
    cr_assert_eq(rt_sim_durable_content(world.node, "f", &content), RT_OK);
    cr_assert(disk_buf_is(&content, "synced"));
    disk_world_run(&world, write_piece, &(struct write_piece){"g", NULL, "unsynced"});
    cr_assert_eq(rt_sim_durable_content(world.node, "g", &content), RT_ENOTFOUND);
    rt_buf_fini(&content);
    disk_world_close(&world);
}

static uint64_t hash_of_run(uint64_t seed, struct rt_buf *content) {
    struct disk_world world;
    disk_world_open(&world, seed);
    disk_world_run(&world, sectors_piece, NULL);
    disk_world_run(&world, many_names_piece, NULL);
    disk_world_crash(&world, RT_SIM_POWER_LOSS);
    cr_assert(rt_sim_bit_rot(world.node, ""));
    cr_assert_eq(disk_world_read(&world, "f", content), RT_OK);
    uint64_t hash = rt_sim_trace_hash(world.sim);
    disk_world_close(&world);
    return hash;
}

Test(sim_disk, equal_seeds_lose_the_same_bytes) {
    struct rt_buf first = {0}, second = {0}, other = {0};
    cr_assert_eq(hash_of_run(5, &first), hash_of_run(5, &second));
    cr_assert(rt_bytes_equal(rt_buf_bytes(&first), rt_buf_bytes(&second)));
    cr_assert_neq(hash_of_run(6, &other), hash_of_run(5, &second));
    cr_assert_not(rt_bytes_equal(rt_buf_bytes(&first), rt_buf_bytes(&other)));
    rt_buf_fini(&first);
    rt_buf_fini(&second);
    rt_buf_fini(&other);
}
