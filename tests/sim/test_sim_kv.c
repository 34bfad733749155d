// The simulated key-value store: what survives a crash, and what a damaged or full disk does to it.
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "runtime/kv.h"
#include "tests/sim/disk_world.h"

enum { MILLION = 1000000 };

static const struct rt_kv_column columns[] = {{.name = "default"}, {.name = "second"}};

static rt_err kv_open_at(struct disk_world *world, const char *path, struct rt_kv **kv) {
    struct rt_kv_options options = {
        .columns = columns, .column_count = 2, .create_if_missing = true};
    return rt_kv_open_now(world->machine, path, &options, kv, NULL);
}

static struct rt_kv *kv_open(struct disk_world *world) {
    struct rt_kv *kv = NULL;
    cr_assert_eq(kv_open_at(world, "store", &kv), RT_OK);
    return kv;
}

// Batch n puts n under its own key in one column and as the last in the other.
static rt_err batch_write(struct rt_kv *kv, unsigned n, enum rt_kv_durability durability) {
    char key[16];
    struct rt_kv_batch *batch = rt_kv_batch_new(kv);
    snprintf(key, sizeof(key), "%06u", n);
    rt_kv_put(batch, 0, rt_bytes_of(key), rt_bytes_of(key));
    rt_kv_put(batch, 1, rt_bytes_of("last"), rt_bytes_of(key));
    rt_err err = rt_kv_write_now(kv, batch, durability);
    rt_kv_batch_free(batch);
    return err;
}

static bool has_batch(struct rt_kv *kv, unsigned n) {
    char key[16];
    struct rt_buf value = {0};
    snprintf(key, sizeof(key), "%06u", n);
    rt_err err = rt_kv_get_now(kv, NULL, 0, rt_bytes_of(key), &value);
    cr_assert(err == RT_OK || err == RT_ENOTFOUND);
    rt_buf_fini(&value);
    return err == RT_OK;
}

// How many batches the store holds: a prefix, whole, and nothing else.
static unsigned prefix_of(struct rt_kv *kv, unsigned written) {
    char text[16];
    struct rt_buf value = {0};
    unsigned count = 0;
    while (count < written && has_batch(kv, count + 1)) count++;
    for (unsigned n = count + 1; n <= written; n++) {
        cr_assert_not(has_batch(kv, n), "batch %u is there, %u is not", n, count + 1);
    }
    snprintf(text, sizeof(text), "%06u", count);
    rt_err err = rt_kv_get_now(kv, NULL, 1, RT_BYTES_LITERAL("last"), &value);
    if (count == 0) {
        cr_assert_eq(err, RT_ENOTFOUND);
    } else {
        cr_assert_eq(err, RT_OK);
        cr_assert(disk_buf_is(&value, text), "half of a batch survived");
    }
    rt_buf_fini(&value);
    return count;
}

// CRASHES

struct history {
    struct rt_random random;
    unsigned batches;   // written, this life's included
    unsigned durable;   // the last that was written so
    unsigned survived;  // found at the last start
    unsigned flushed;
    bool no_log;
};

static void history_piece(struct disk_world *world, void *argument) {
    struct history *history = argument;
    struct rt_kv *kv = kv_open(world);
    history->survived = prefix_of(kv, history->batches);
    history->batches = history->durable = history->flushed = history->survived;
    for (unsigned step = 0; step < 30; step++) {
        if (history->no_log && rt_random_below(&history->random, 10) == 0) {
            cr_assert_eq(rt_kv_flush_now(kv), RT_OK);
            history->flushed = history->batches;
            continue;
        }
        bool durable = rt_random_below(&history->random, 8) == 0;
        enum rt_kv_durability how = history->no_log ? RT_KV_NO_LOG
                                    : durable       ? RT_KV_DURABLE
                                                    : RT_KV_LAZY;
        cr_assert_eq(batch_write(kv, ++history->batches, how), RT_OK);
        if (how == RT_KV_DURABLE) history->durable = history->batches;
    }
}

static void survivors_piece(struct disk_world *world, void *argument) {
    struct history *history = argument;
    struct rt_kv *kv = kv_open(world);
    history->survived = prefix_of(kv, history->batches);
    rt_kv_close_now(kv);
}

Test(sim_kv, power_loss_leaves_a_prefix_with_every_durable_batch) {
    unsigned beyond = 0, short_of_all = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct disk_world world;
        struct history history = {0};
        rt_random_seed(&history.random, seed);
        disk_world_open(&world, seed);
        for (unsigned life = 0; life < 4; life++) {
            disk_world_run(&world, history_piece, &history);
            disk_world_crash(&world, RT_SIM_POWER_LOSS);
            disk_world_run(&world, survivors_piece, &history);
            cr_assert_geq(history.survived, history.durable, "seed %d", (int)seed);
            beyond += history.survived > history.durable;
            short_of_all += history.survived < history.batches;
        }
        disk_world_close(&world);
    }
    cr_assert_gt(beyond, 20, "nothing survived that was not durable");
    cr_assert_gt(short_of_all, 20, "nothing was ever lost");
}

Test(sim_kv, kill_loses_no_batch_that_has_a_log) {
    struct disk_world world;
    struct history history = {0};
    disk_world_open(&world, 1);
    disk_world_losses(&world, MILLION, 0);
    disk_world_run(&world, history_piece, &history);
    disk_world_crash(&world, RT_SIM_KILL);
    disk_world_run(&world, survivors_piece, &history);
    cr_assert_eq(history.survived, 30);
    disk_world_crash(&world, RT_SIM_POWER_LOSS);
    disk_world_run(&world, survivors_piece, &history);
    cr_assert_eq(history.survived, 30);
    disk_world_close(&world);
}

Test(sim_kv, batches_without_a_log_end_at_the_last_flush) {
    static const enum rt_sim_crash_kind kinds[] = {RT_SIM_KILL, RT_SIM_POWER_LOSS};
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct disk_world world;
        struct history history = {.no_log = true};
        rt_random_seed(&history.random, seed);
        disk_world_open(&world, seed);
        disk_world_run(&world, history_piece, &history);
        disk_world_crash(&world, kinds[seed % 2]);
        disk_world_run(&world, survivors_piece, &history);
        cr_assert_eq(history.survived, history.flushed);
        disk_world_close(&world);
    }
}

static void mixed_piece(struct disk_world *world, void *argument) {
    struct history *history = argument;
    struct rt_kv *kv = kv_open(world);
    cr_assert_eq(batch_write(kv, 1, RT_KV_DURABLE), RT_OK);
    cr_assert_eq(batch_write(kv, 2, RT_KV_NO_LOG), RT_OK);
    cr_assert_eq(batch_write(kv, 3, RT_KV_LAZY), RT_OK);
    history->batches = 3;
}

Test(sim_kv, what_follows_a_batch_without_a_log_survives_no_longer_than_it) {
    struct disk_world world;
    struct history history = {0};
    disk_world_open(&world, 1);
    disk_world_run(&world, mixed_piece, &history);
    disk_world_crash(&world, RT_SIM_KILL);
    disk_world_run(&world, survivors_piece, &history);
    cr_assert_eq(history.survived, 1);
    disk_world_close(&world);
}

static void close_piece(struct disk_world *world, void *argument) {
    struct history *history = argument;
    struct rt_kv *kv = kv_open(world);
    cr_assert_eq(batch_write(kv, 1, RT_KV_LAZY), RT_OK);
    cr_assert_eq(batch_write(kv, 2, RT_KV_NO_LOG), RT_OK);
    rt_kv_close_now(kv);
    history->batches = 2;
}

Test(sim_kv, close_makes_everything_durable) {
    struct disk_world world;
    struct history history = {0};
    disk_world_open(&world, 1);
    disk_world_losses(&world, MILLION, 0);
    disk_world_run(&world, close_piece, &history);
    disk_world_crash(&world, RT_SIM_POWER_LOSS);
    disk_world_run(&world, survivors_piece, &history);
    cr_assert_eq(history.survived, 2);
    disk_world_close(&world);
}

// A small write buffer, so memory is written out over and over behind the caller's back.
static void overflow_piece(struct disk_world *world, void *argument) {
    struct history *history = argument;
    struct rt_kv_column small[] = {{.name = "default", .write_buffer_bytes = 500},
                                   {.name = "second", .write_buffer_bytes = 500}};
    struct rt_kv_options options = {.columns = small, .column_count = 2, .create_if_missing = true};
    struct rt_kv *kv = NULL;
    cr_assert_eq(rt_kv_open_now(world->machine, "store", &options, &kv, NULL), RT_OK);
    for (unsigned n = 1; n <= 300; n++) cr_assert_eq(batch_write(kv, n, RT_KV_LAZY), RT_OK);
    struct rt_dir_listing listing;
    cr_assert_eq(rt_dir_list_now(world->machine, "store", &listing, NULL), RT_OK);
    cr_assert_eq(listing.count, 4, "old images were left behind");
    cr_assert_str_neq(listing.entries[0].name, "000001.data");
    rt_dir_listing_fini(&listing);
    history->batches = 300;
}

Test(sim_kv, memory_that_is_full_is_written_out) {
    struct disk_world world;
    struct history history = {0};
    disk_world_open(&world, 1);
    disk_world_losses(&world, MILLION, 0);
    disk_world_run(&world, overflow_piece, &history);
    disk_world_crash(&world, RT_SIM_POWER_LOSS);
    disk_world_run(&world, survivors_piece, &history);
    cr_assert_gt(history.survived, 100);
    disk_world_close(&world);
}

// DAMAGE

struct opening {
    rt_err err;
};

static void opening_piece(struct disk_world *world, void *argument) {
    struct opening *opening = argument;
    struct rt_kv *kv = NULL;
    opening->err = kv_open_at(world, "store", &kv);
    if (opening->err) return;
    prefix_of(kv, 30);
    rt_kv_close_now(kv);
}

Test(sim_kv, rotten_bit_is_never_answered_as_data) {
    unsigned corrupt = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct disk_world world;
        struct history history = {0};
        struct opening opening;
        rt_random_seed(&history.random, seed);
        disk_world_open(&world, seed);
        disk_world_run(&world, history_piece, &history);
        rt_sim_crash(world.node, RT_SIM_KILL);
        cr_assert(rt_sim_bit_rot(world.node, "store/"));
        rt_sim_start(world.node);
        while (!world.machine) rt_sim_step(world.sim);
        disk_world_run(&world, opening_piece, &opening);
        cr_assert(opening.err == RT_OK || opening.err == RT_ECORRUPT);
        corrupt += opening.err == RT_ECORRUPT;
        disk_world_close(&world);
    }
    cr_assert_gt(corrupt, 30);
}

// DAMAGE TO EACH BYTE

static void byte_flip(struct disk_world *world, const char *path, uint64_t offset) {
    struct rt_file *file = disk_file_open(world, path);
    uint8_t byte = 0;
    size_t size = 0;
    cr_assert_eq(rt_file_read_now(file, offset, &byte, 1, &size), RT_OK);
    byte ^= 0x10;
    disk_file_write(file, offset, &byte, 1);
    rt_file_close_now(file);
}

static void each_byte_piece(struct disk_world *world, void *argument) {
    (void)argument;
    struct rt_kv *kv = kv_open(world);
    cr_assert_eq(batch_write(kv, 1, RT_KV_LAZY), RT_OK);
    cr_assert_eq(rt_kv_flush_now(kv), RT_OK);
    rt_kv_close_now(kv);
    struct rt_dir_listing listing;
    cr_assert_eq(rt_dir_list_now(world->machine, "store", &listing, NULL), RT_OK);
    for (size_t i = 0; i < listing.count; i++) {
        char path[64];
        snprintf(path, sizeof(path), "store/%s", listing.entries[i].name);
        for (uint64_t at = 0; at < listing.entries[i].size; at++) {
            byte_flip(world, path, at);
            cr_assert_eq(kv_open_at(world, "store", &kv), RT_ECORRUPT, "%s at %d", path, (int)at);
            byte_flip(world, path, at);
        }
    }
    rt_dir_listing_fini(&listing);
    kv = kv_open(world);
    cr_assert_eq(prefix_of(kv, 1), 1);
    rt_kv_close_now(kv);
}

Test(sim_kv, damage_to_any_byte_of_a_flushed_store_is_found) {
    struct disk_world world;
    disk_world_open(&world, 1);
    disk_world_run(&world, each_byte_piece, NULL);
    disk_world_close(&world);
}

static void log_piece(struct disk_world *world, void *argument) {
    struct rt_kv *kv = kv_open(world);
    for (unsigned n = 1; n <= 5; n++) {
        cr_assert_eq(batch_write(kv, n, RT_KV_DURABLE), RT_OK);
    }
    byte_flip(world, "store/000001.log", *(const uint64_t *)argument);
}

// Where the log has been durable, a bad record is no torn tail: giving way there would lose
// batches.
Test(sim_kv, damage_inside_the_durable_log_is_not_taken_for_a_torn_tail) {
    for (uint64_t at = 0; at < 200; at += 7) {
        struct disk_world world;
        struct opening opening;
        disk_world_open(&world, 1);
        disk_world_run(&world, log_piece, &at);
        disk_world_crash(&world, RT_SIM_KILL);
        disk_world_run(&world, opening_piece, &opening);
        cr_assert_eq(opening.err, RT_ECORRUPT, "at %d", (int)at);
        disk_world_close(&world);
    }
}

// FAILURES

static void fault_set(struct disk_world *world, uint32_t write_fail, uint32_t sync_fail) {
    struct rt_sim_disk disk = rt_sim_disk_get(world->node);
    disk.write_fail_per_million = write_fail;
    disk.sync_fail_per_million = sync_fail;
    rt_sim_disk_set(world->node, &disk);
}

struct failing {
    uint32_t write_fail, sync_fail;
};

static void failing_piece(struct disk_world *world, void *argument) {
    const struct failing *failing = argument;
    struct rt_kv *kv = kv_open(world);
    cr_assert_eq(batch_write(kv, 1, RT_KV_DURABLE), RT_OK);
    fault_set(world, failing->write_fail, failing->sync_fail);
    cr_assert_eq(batch_write(kv, 2, RT_KV_DURABLE), RT_EIO);
    fault_set(world, 0, 0);
    cr_assert_eq(batch_write(kv, 3, RT_KV_DURABLE), RT_EFAILED);
    cr_assert_eq(rt_kv_flush_now(kv), RT_EFAILED);
    cr_assert_eq(prefix_of(kv, 3), 1);
    rt_kv_close_now(kv);
}

Test(sim_kv, failed_write_or_sync_stops_the_store_until_it_is_opened_again) {
    static struct failing failing[] = {{.write_fail = MILLION}, {.sync_fail = MILLION}};
    for (unsigned i = 0; i < 2; i++) {
        struct disk_world world;
        struct history history = {.batches = 3};
        disk_world_open(&world, 1);
        disk_world_run(&world, failing_piece, &failing[i]);
        disk_world_run(&world, survivors_piece, &history);
        cr_assert(history.survived == 1 || history.survived == 2);
        disk_world_close(&world);
    }
}

static void capacity_set(struct disk_world *world, uint64_t capacity_bytes) {
    struct rt_sim_disk disk = rt_sim_disk_get(world->node);
    disk.capacity_bytes = capacity_bytes;
    rt_sim_disk_set(world->node, &disk);
}

static void full_piece(struct disk_world *world, void *argument) {
    struct history *history = argument;
    struct rt_kv *kv = kv_open(world);
    capacity_set(world, 64 << 10);
    rt_err err = RT_OK;
    while (!err) err = batch_write(kv, ++history->batches, RT_KV_DURABLE);
    cr_assert_eq(err, RT_ENOSPACE);
    cr_assert_eq(batch_write(kv, history->batches + 1, RT_KV_DURABLE), RT_EFAILED);
    rt_kv_close_now(kv);
    capacity_set(world, 1 << 30);
}

Test(sim_kv, full_disk_stops_the_store_and_loses_nothing) {
    struct disk_world world;
    struct history history = {0};
    disk_world_open(&world, 1);
    disk_world_run(&world, full_piece, &history);
    unsigned acknowledged = history.batches - 1;
    cr_assert_gt(acknowledged, 100);
    disk_world_run(&world, survivors_piece, &history);
    cr_assert_geq(history.survived, acknowledged);
    disk_world_close(&world);
}

static uint64_t hash_of_run(uint64_t seed, unsigned *survived) {
    struct disk_world world;
    struct history history = {0};
    rt_random_seed(&history.random, seed);
    disk_world_open(&world, seed);
    disk_world_run(&world, history_piece, &history);
    disk_world_crash(&world, RT_SIM_POWER_LOSS);
    disk_world_run(&world, survivors_piece, &history);
    uint64_t hash = rt_sim_trace_hash(world.sim);
    *survived = history.survived;
    disk_world_close(&world);
    return hash;
}

Test(sim_kv, equal_seeds_lose_the_same_batches) {
    for (uint64_t seed = 1; seed <= 5; seed++) {
        unsigned first, second, other;
        cr_assert_eq(hash_of_run(seed, &first), hash_of_run(seed, &second));
        cr_assert_eq(first, second);
        cr_assert_neq(hash_of_run(seed + 100, &other), hash_of_run(seed, &first));
    }
}
