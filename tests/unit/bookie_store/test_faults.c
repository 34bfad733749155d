// Damage, lost files, full and failing disks: an error, never an absence, and the rest goes on.
#include <stdio.h>
#include <string.h>

#include "runtime/file.h"
#include "tests/unit/bookie_store/cases.h"

#define FAULT_CASE(name) SIM_CASE(bookie_store_faults, name)

static void path_piece(struct fixture *fixture, const char *dir, const char *name, char *path,
                       size_t size) {
    snprintf(path, size, "%s/current/%s", fixture->dirs[0], name);
    (void)dir;
}

static char file_path[160];

static const char *path_of(struct fixture *fixture, unsigned id) {
    char name[32];
    snprintf(name, sizeof(name), "%016x.gel", id);
    path_piece(fixture, NULL, name, file_path, sizeof(file_path));
    return file_path;
}

// FILES

static void remove_piece(struct disk_world *world, void *path) {
    cr_assert_eq(rt_path_remove_now(world->machine, path), RT_OK);
}

static void cut_piece(struct disk_world *world, void *path) {
    struct rt_file *file = disk_file_open(world, path);
    uint64_t size;
    cr_assert_eq(rt_file_size_now(file, &size), RT_OK);
    cr_assert_eq(rt_file_truncate_now(file, size - 1), RT_OK);
    rt_file_close_now(file);
}

static void append_piece(struct disk_world *world, void *path) {
    struct rt_file *file = disk_file_open(world, path);
    uint64_t size;
    cr_assert_eq(rt_file_size_now(file, &size), RT_OK);
    disk_file_fill(file, size, 0x5a, 10000);
    rt_file_close_now(file);
}

static void damage_piece(struct disk_world *world, void *path) {
    struct rt_file *file = disk_file_open(world, path);
    disk_file_fill(file, 4096 + 200, 0x5a, 1);
    rt_file_close_now(file);
}

static void fill_and_close(struct fixture *fixture) {
    fixture_open(fixture);
    fixture_put_range(fixture, 5, 0, 200);
    fixture_put_range(fixture, 6, 0, 200);
    fixture_close(fixture);
}

static void expect_refusal(struct fixture *fixture, const char *words) {
    cr_assert_eq(fixture_try_open(fixture), RT_ECORRUPT);
    cr_assert_not_null(strstr(fixture->why.text, words), "%s", fixture->why.text);
    cr_assert_not_null(strstr(fixture->why.text, "0000000000000001.gel"), "%s", fixture->why.text);
}

FAULT_CASE(file_that_is_missing_is_named) {
    fill_and_close(fixture);
    disk_world_run(&fixture->world, remove_piece, (void *)(uintptr_t)path_of(fixture, 1));
    expect_refusal(fixture, "is missing");
}

FAULT_CASE(file_that_is_too_short_is_named) {
    fill_and_close(fixture);
    disk_world_run(&fixture->world, cut_piece, (void *)(uintptr_t)path_of(fixture, 1));
    expect_refusal(fixture, "should have");
}

FAULT_CASE(files_without_their_index_are_not_touched) {
    fill_and_close(fixture);
    char other[] = "data/other";
    fixture->options.index_dir = other;
    expect_refusal(fixture, "another store");
    cr_assert(disk_world_exists(&fixture->world, path_of(fixture, 1)));
    fixture->options.index_dir = fixture->index;
    fixture_open(fixture);
    fixture_expect(fixture, 5, 0, 200, 0);
}

FAULT_CASE(rest_of_an_unfinished_flush_is_cut_off) {
    fill_and_close(fixture);
    struct rt_buf before = {0}, after = {0};
    cr_assert_eq(disk_world_read(&fixture->world, path_of(fixture, 1), &before), RT_OK);
    disk_world_run(&fixture->world, append_piece, file_path);
    fixture_open(fixture);
    cr_assert_eq(disk_world_read(&fixture->world, file_path, &after), RT_OK);
    cr_assert(rt_bytes_equal(rt_buf_bytes(&before), rt_buf_bytes(&after)));
    fixture_put_range(fixture, 5, 201, 400);
    fixture_reopen(fixture);
    fixture_expect(fixture, 5, 0, 400, 0);
    rt_buf_fini(&before);
    rt_buf_fini(&after);
}

FAULT_CASE(file_of_an_unfinished_flush_is_removed_and_a_large_one_set_aside) {
    fill_and_close(fixture);
    disk_world_run(&fixture->world, append_piece, (void *)(uintptr_t)path_of(fixture, 9));
    fixture_open(fixture);
    cr_assert_not(disk_world_exists(&fixture->world, path_of(fixture, 9)));
    fixture_close(fixture);
    for (unsigned i = 0; i < 8000; i++)
        disk_world_run(&fixture->world, append_piece, (void *)(uintptr_t)path_of(fixture, 9));
    fixture_open(fixture);
    cr_assert_not(disk_world_exists(&fixture->world, path_of(fixture, 9)));
    char aside[200];
    snprintf(aside, sizeof(aside), "%s.unknown", path_of(fixture, 9));
    cr_assert(disk_world_exists(&fixture->world, aside));
    fixture_expect(fixture, 6, 0, 200, 0);
}

FAULT_CASE(damaged_extent_is_an_error_counted_once_and_the_others_are_read) {
    fill_and_close(fixture);
    disk_world_run(&fixture->world, damage_piece, (void *)(uintptr_t)path_of(fixture, 1));
    fixture_open(fixture);
    cr_assert_eq(fixture_read(fixture, 5, 0, 0), RT_ECORRUPT);
    cr_assert_eq(fixture_read(fixture, 5, 1, 0), RT_ECORRUPT);
    cr_assert_eq(fixture_read(fixture, 5, 0, 0), RT_ECORRUPT);
    cr_assert_eq(fixture_stats(fixture).corrupt_extents, 1);
    fixture_expect(fixture, 5, 100, 200, 0);
    fixture_expect(fixture, 6, 0, 200, 0);
    // What is put again over it is read from where it is whole.
    cr_assert_eq(fixture_put(fixture, 5, 0, 3), RT_OK);
    fixture_reopen(fixture);
    fixture_expect(fixture, 5, 0, 0, 3);
    cr_assert_eq(fixture_read(fixture, 5, 1, 0), RT_ECORRUPT);
}

FAULT_CASE(file_that_vanishes_is_an_error_and_no_absence) {
    fill_and_close(fixture);
    fixture_open(fixture);
    disk_world_run(&fixture->world, remove_piece, (void *)(uintptr_t)path_of(fixture, 1));
    cr_assert_eq(fixture_read(fixture, 5, 0, 0), RT_ECORRUPT);
}

FAULT_CASE(rot_anywhere_in_a_file_never_gives_wrong_bytes_nor_an_absence) {
    unsigned noticed = 0;
    fill_and_close(fixture);
    for (unsigned i = 0; i < 40; i++) {
        cr_assert(rt_sim_bit_rot(fixture->world.node, fixture->dirs[0]));
        fixture_open(fixture);
        for (int64_t entry = 0; entry <= 200; entry++) {
            rt_err err = fixture_read(fixture, 5, entry, 0);
            if (!err) cr_assert(fixture->body_is_right);
            if (err) cr_assert_eq(err, RT_ECORRUPT);
            noticed += err != RT_OK;
        }
        fixture_close(fixture);
    }
    cr_assert_gt(noticed, 0);
}

// DISKS

static void disk_set(struct fixture *fixture, uint32_t write, uint32_t sync, uint32_t read) {
    struct rt_sim_disk disk = rt_sim_disk_get(fixture->world.node);
    disk.write_fail_per_million = write;
    disk.sync_fail_per_million = sync;
    disk.read_fail_per_million = read;
    rt_sim_disk_set(fixture->world.node, &disk);
}

static void check_failure(struct fixture *fixture) {
    cr_assert_eq(fixture_flush(fixture), RT_EIO);
    cr_assert_eq(fixture->failed, 1);
    cr_assert_eq(fixture->failed_err, RT_EIO);
    cr_assert_eq(fixture_put(fixture, 5, 300, 0), RT_EFAILED);
    fixture_expect(fixture, 5, 0, 50, 0);  // from the half that was not flushed
    cr_assert_eq(fixture_flush(fixture), RT_EIO);
    cr_assert_eq(fixture->failed, 1);
    disk_set(fixture, 0, 0, 0);
    fixture_reopen(fixture);
    cr_assert_eq(bookie_store_mark(fixture->store, 0).offset, 0);
    cr_assert_eq(fixture_read(fixture, 5, 0, 0), RT_ENOTFOUND);
}

FAULT_CASE(write_that_fails_stops_the_store_and_moves_no_mark) {
    fixture_open(fixture);
    fixture->journal_end.offset = 77;
    fixture_put_range(fixture, 5, 0, 50);
    disk_set(fixture, 1000000, 0, 0);
    check_failure(fixture);
}

FAULT_CASE(sync_that_fails_stops_the_store_and_moves_no_mark) {
    fixture_open(fixture);
    fixture->journal_end.offset = 77;
    fixture_put_range(fixture, 5, 0, 50);
    disk_set(fixture, 0, 1000000, 0);
    check_failure(fixture);
}

FAULT_CASE(read_that_fails_is_an_error_of_that_read_only) {
    fill_and_close(fixture);
    fixture_open(fixture);
    disk_set(fixture, 0, 0, 1000000);
    cr_assert_eq(fixture_read(fixture, 5, 0, 0), RT_EIO);
    disk_set(fixture, 0, 0, 0);
    fixture_expect(fixture, 5, 0, 200, 0);
}

static void capacity_set(struct fixture *fixture, uint64_t bytes) {
    struct rt_sim_disk disk = rt_sim_disk_get(fixture->world.node);
    disk.capacity_bytes = bytes;
    rt_sim_disk_set(fixture->world.node, &disk);
}

static void try_put_piece(struct fixture *fixture) {
    rt_err err = fixture_put_now(fixture, fixture->ledger, fixture->entry, 0);
    if (!err) fixture->entry++;
    fixture_done(fixture, err);
}

// Fills both halves; returns the first entry that found no room.
static int64_t fill_up(struct fixture *fixture) {
    struct bookie_ledger *ledger = fixture_acquire(fixture, 5);
    fixture->entry = 0;
    do {
        fixture->ledger = ledger;
        fixture_run(fixture, try_put_piece);
    } while (!fixture->err);
    cr_assert_eq(fixture->err, RT_EBUSY);
    fixture_release(fixture, ledger);
    return fixture->entry;
}

FAULT_CASE(full_disk_refuses_puts_until_there_is_space_and_loses_nothing) {
    fixture->options.write_cache_bytes = 256 << 10;
    fixture->options.compress = false;
    fixture_open(fixture);
    capacity_set(fixture, 80 << 10);
    int64_t end = fill_up(fixture);
    rt_sim_run_for(fixture->world.sim, 20 * RT_NS_PER_S);
    cr_assert_eq(fixture->failed, 0);
    cr_assert_eq(fixture->drained, 0);
    fixture_expect(fixture, 5, 0, end - 1, 0);
    capacity_set(fixture, 1 << 30);
    rt_sim_run_for(fixture->world.sim, 20 * RT_NS_PER_S);
    cr_assert_eq(fixture->drained, 1);
    fixture_put_range(fixture, 5, end, end + 10);
    fixture_reopen(fixture);
    fixture_expect(fixture, 5, 0, end + 10, 0);
}

static void first_full_piece(struct fixture *fixture) {
    bookie_store_dir_set_full(fixture->store, 0, true);
    fixture_done(fixture, RT_OK);
}

static void second_full_piece(struct fixture *fixture) {
    bookie_store_dir_set_full(fixture->store, 1, true);
    fixture_done(fixture, RT_OK);
}

static void second_free_piece(struct fixture *fixture) {
    bookie_store_dir_set_full(fixture->store, 1, false);
    fixture_done(fixture, RT_OK);
}

FAULT_CASE(directories_said_to_be_full_get_no_files) {
    fixture->options.write_cache_bytes = 256 << 10;
    fixture->options.ledger_dir_count = 2;
    fixture_open(fixture);
    fixture_run(fixture, second_full_piece);
    for (int64_t i = 0; i < 6; i++) {
        fixture_put_range(fixture, i + 10, 0, 9);
        cr_assert_eq(fixture_flush(fixture), RT_OK);
    }
    struct bookie_dir_status dirs[2];
    bookie_store_dirs(fixture->store, dirs, 2);
    cr_assert_eq(dirs[1].file_bytes, 0);
    cr_assert(dirs[1].is_full);
    fixture_run(fixture, first_full_piece);
    int64_t end = fill_up(fixture);
    rt_sim_run_for(fixture->world.sim, 20 * RT_NS_PER_S);
    cr_assert_eq(fixture->drained, 0);
    fixture_run(fixture, second_free_piece);
    rt_sim_run_for(fixture->world.sim, 20 * RT_NS_PER_S);
    cr_assert_eq(fixture->drained, 1);
    fixture_reopen(fixture);
    fixture_expect(fixture, 5, 0, end - 1, 0);
}

FAULT_CASE(store_without_space_can_be_closed) {
    fixture->options.write_cache_bytes = 256 << 10;
    fixture_open(fixture);
    fixture_put_range(fixture, 4, 0, 9);
    cr_assert_eq(fixture_flush(fixture), RT_OK);
    capacity_set(fixture, 80 << 10);
    (void)fill_up(fixture);
    fixture_close(fixture);
    capacity_set(fixture, 1 << 30);
    fixture_open(fixture);
    fixture_expect(fixture, 4, 0, 9, 0);
}

static void boot_piece(struct fixture *fixture) {
    struct rt_machine *machine = fixture_machine(fixture);
    struct bookie_ledger *ledger;
    fixture->options.events = &fixture->events;
    cr_assert_eq(bookie_store_open_now(machine, rt_machine_loop(machine, 0), &fixture->options,
                                       &fixture->store, NULL),
                 RT_OK);
    cr_assert_eq(bookie_ledger_acquire_now(fixture->store, 5, &ledger, NULL), RT_OK);
    cr_assert_eq(fixture_put_now(fixture, ledger, 0, 0), RT_OK);
    bookie_ledger_release(fixture->store, ledger);
    fixture_done(fixture, bookie_store_flush_now(fixture->store, &fixture->why));
}

static void check_boot(struct fixture *fixture, rt_err err, const char *words) {
    fixture_run(fixture, boot_piece);
    cr_assert_eq(fixture->err, err, "%s", rt_err_name(fixture->err));
    cr_assert_not_null(strstr(fixture->why.text, words), "%s", fixture->why.text);
    disk_set(fixture, 0, 0, 0);
    capacity_set(fixture, 1 << 30);
    fixture_reopen(fixture);
    cr_assert_eq(fixture_read(fixture, 5, 0, 0), RT_ENOTFOUND);
}

FAULT_CASE(replay_that_cannot_be_flushed_says_why_and_can_be_closed) {
    fixture_open(fixture);  // so that the index is there
    fixture_close(fixture);
    capacity_set(fixture, 80 << 10);
    fixture->body_size = 100 << 10;
    fixture->options.compress = false;
    check_boot(fixture, RT_ENOSPACE, "directory is full");
}
