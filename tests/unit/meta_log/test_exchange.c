// The exchange of a store's files under disk errors and power losses: old or new, never a mixture.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "meta/server/log/exchange.h"
#include "tests/sim/disk_world.h"

enum { FILES = 3, FILE_SIZE = 20000 };

struct exchange {
    struct disk_world world;
    struct rt_buf content;  // the test's, not the node's
    rt_err err;
    bool is_new, is_old;
};

static void file_fill(struct disk_world *world, const char *directory, unsigned i, uint8_t byte) {
    char path[64];
    snprintf(path, sizeof(path), "%s/f%u", directory, i);
    struct rt_file *file = disk_file_open(world, path);
    disk_file_fill(file, 0, byte, FILE_SIZE);
    disk_file_sync(file);
    rt_file_close_now(file);
}

static void directory_fill(struct disk_world *world, const char *directory, uint8_t byte) {
    cr_assert_eq(rt_dir_create_now(world->machine, directory, NULL), RT_OK);
    for (unsigned i = 0; i < FILES; i++) file_fill(world, directory, i, byte);
    disk_dir_sync(world, directory);
}

static void set_up_piece(struct disk_world *world, void *argument) {
    (void)argument;
    directory_fill(world, "data/store", 'o');
    directory_fill(world, "data/snapshot", 'n');
    struct meta_manifest manifest = {.at = {5, 1}};
    cr_assert_eq(raft_config_put(&manifest.config, 1, RAFT_VOTER, "here"), RT_OK);
    cr_assert_eq(meta_manifest_make_now(world->machine, "data/snapshot", &manifest), RT_OK);
    struct rt_buf bytes = {0};
    meta_manifest_encode(&manifest, &bytes);
    cr_assert_eq(
        meta_file_write_now(world->machine, "data/snapshot/MANIFEST", rt_buf_bytes(&bytes)), RT_OK);
    disk_dir_sync(world, "data/snapshot");
    rt_buf_fini(&bytes);
    meta_manifest_fini(&manifest);
}

static void exchange_piece(struct disk_world *world, void *argument) {
    struct exchange *exchange = argument;
    struct rt_why why;
    rt_err err = meta_exchange_prepare_now(world->machine, "data/snapshot", "data/store", &why);
    if (!err) err = meta_exchange_swap_now(world->machine, "data/store", &why);
    if (!err) err = meta_exchange_finish_now(world->machine, "data/store");
    exchange->err = err;
}

static void recover_piece(struct disk_world *world, void *argument) {
    struct exchange *exchange = argument;
    exchange->err = meta_exchange_recover_now(world->machine, "data/store", NULL);
}

static void look_piece(struct disk_world *world, void *argument) {
    struct exchange *exchange = argument;
    struct rt_buf *content = &exchange->content;
    exchange->is_new = exchange->is_old = true;
    for (unsigned i = 0; i < FILES; i++) {
        char path[64];
        snprintf(path, sizeof(path), "data/store/f%u", i);
        bool is_there = disk_read(world, path, content) == RT_OK;
        exchange->is_new =
            exchange->is_new && is_there && disk_buf_is_filled(content, 'n', FILE_SIZE);
        exchange->is_old =
            exchange->is_old && is_there && disk_buf_is_filled(content, 'o', FILE_SIZE);
    }
    cr_assert_not(disk_exists(world, "data/store.old"));
    cr_assert_not(disk_exists(world, "data/store.new"));
    cr_assert_not(disk_exists(world, "data/store.making"));
}

static void faults(struct exchange *exchange, uint32_t per_million) {
    struct rt_sim_disk disk = rt_sim_disk_get(exchange->world.node);
    disk.write_fail_per_million = disk.sync_fail_per_million = per_million;
    rt_sim_disk_set(exchange->world.node, &disk);
}

static void attempt(struct exchange *exchange, void (*piece)(struct disk_world *, void *)) {
    faults(exchange, 60000);
    disk_world_run(&exchange->world, piece, exchange);
    faults(exchange, 0);
}

Test(meta_log_exchange, leaves_the_old_store_or_the_new_one_whenever_it_is_interrupted) {
    unsigned old = 0, new = 0, interrupted = 0;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        struct exchange *exchange = calloc(1, sizeof(*exchange));
        disk_world_open(&exchange->world, seed);
        disk_world_run(&exchange->world, set_up_piece, NULL);
        attempt(exchange, exchange_piece);
        bool succeeded = exchange->err == RT_OK;
        if (!succeeded) interrupted++;
        disk_world_crash(&exchange->world, seed % 3 ? RT_SIM_POWER_LOSS : RT_SIM_KILL);
        attempt(exchange, recover_piece);  // which may be interrupted too
        disk_world_crash(&exchange->world, RT_SIM_POWER_LOSS);
        disk_world_run(&exchange->world, recover_piece, exchange);
        cr_assert_eq(exchange->err, RT_OK, "seed %d", (int)seed);
        disk_world_run(&exchange->world, look_piece, exchange);
        cr_assert(exchange->is_new || exchange->is_old, "seed %d", (int)seed);
        if (succeeded) cr_assert(exchange->is_new, "seed %d", (int)seed);
        old += exchange->is_old;
        new += exchange->is_new;
        disk_world_close(&exchange->world);
        rt_buf_fini(&exchange->content);
        free(exchange);
    }
    cr_assert(old > 20 && new > 20 && interrupted > 100, "%u old, %u new", old, new);
}
