// Space comes back, and nothing that lives is lost by it; the scrubber finds what is damaged.
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "bookie/server/store/compaction.h"
#include "tests/unit/bookie_store/cases.h"

#define COMPACTION_CASE(name) BOTH_CASE(bookie_store_compaction, name)

static struct {
    struct fixture *fixture;
    struct bookie_compact_op op;
    struct bookie_verify_op verify;
    uint64_t file;
    struct bookie_damage damaged[100];
    size_t damaged_count;
    unsigned ended;
    rt_err ended_err;
} run;

static void compacted(struct bookie_compact_op *op, rt_err err) {
    (void)op;
    fixture_done(run.fixture, err);
}

static void compact_piece(struct fixture *fixture) {
    run.fixture = fixture;
    run.op = (struct bookie_compact_op){.done = compacted};
    bookie_store_compact(fixture->store, &run.op, run.file);
}

static rt_err compact(struct fixture *fixture, uint64_t file) {
    run.file = file;
    fixture_run(fixture, compact_piece);
    return fixture->err;
}

static void pick_piece(struct fixture *fixture) {
    run.file = 0;
    (void)bookie_store_compactable(fixture->store, 60, &run.file, 1);
    fixture_done(fixture, RT_OK);
}

static uint64_t pick(struct fixture *fixture) {
    fixture_run(fixture, pick_piece);
    return run.file;
}

static void verified(struct bookie_verify_op *op, rt_err err) {
    run.damaged_count = op->damaged.size / sizeof(run.damaged[0]);
    assert(run.damaged_count <= 100);
    if (run.damaged_count > 0) memcpy(run.damaged, op->damaged.data, op->damaged.size);
    rt_buf_fini(&op->damaged);
    fixture_done(run.fixture, err);
}

static void verify_piece(struct fixture *fixture) {
    run.fixture = fixture;
    run.verify = (struct bookie_verify_op){.done = verified};
    bookie_store_verify_file(fixture->store, &run.verify, run.file);
}

static rt_err verify(struct fixture *fixture, uint64_t file) {
    run.file = file;
    fixture_run(fixture, verify_piece);
    return fixture->err;
}

// Files of 200 KiB with entries of five ledgers, of which one is kept.
static void fill(struct fixture *fixture) {
    fixture->options.file_bytes_max = 200 << 10;
    fixture->options.compress = false;
    fixture->body_size = 500;
    fixture_open(fixture);
    for (int64_t round = 0; round < 8; round++) {
        for (int64_t ledger = 0; ledger < 5; ledger++)
            fixture_put_range(fixture, ledger, round * 40, round * 40 + 39);
        cr_assert_eq(fixture_flush(fixture), RT_OK);
    }
}

static void delete_most(struct fixture *fixture) {
    for (int64_t ledger = 0; ledger < 5; ledger++) {
        if (ledger != 3) cr_assert_eq(fixture_delete(fixture, ledger), RT_OK);
    }
}

COMPACTION_CASE(what_lives_is_kept_and_the_rest_of_the_space_comes_back) {
    fill(fixture);
    struct bookie_store_stats before = fixture_stats(fixture);
    delete_most(fixture);
    struct bookie_store_stats deleted = fixture_stats(fixture);
    cr_assert_lt(deleted.live_bytes, before.live_bytes / 4);
    cr_assert_eq(deleted.file_bytes, before.file_bytes);
    unsigned count = 0;
    for (uint64_t file; (file = pick(fixture)) != 0; count++) {
        cr_assert_eq(compact(fixture, file), RT_OK);
        cr_assert_eq(run.op.freed_bytes > run.op.copied_bytes, true);
    }
    cr_assert_geq(count, 3);
    struct bookie_store_stats after = fixture_stats(fixture);
    cr_assert_eq(after.live_bytes, deleted.live_bytes);
    cr_assert_lt(after.file_bytes, before.file_bytes * 3 / 4);
    fixture_expect(fixture, 3, 0, 319, 0);
    fixture_reopen(fixture);
    cr_assert_eq(fixture_stats(fixture).live_bytes, deleted.live_bytes);
    fixture_expect(fixture, 3, 0, 319, 0);
    cr_assert_eq(fixture_read(fixture, 2, 0, 0), RT_ENOTFOUND);
}

COMPACTION_CASE(file_with_nothing_live_goes_without_a_copy) {
    fill(fixture);
    for (int64_t ledger = 0; ledger < 5; ledger++)
        cr_assert_eq(fixture_delete(fixture, ledger), RT_OK);
    cr_assert_eq(fixture_stats(fixture).live_bytes, 0);
    for (uint64_t file; (file = pick(fixture)) != 0;) {
        cr_assert_eq(compact(fixture, file), RT_OK);
        cr_assert_eq(run.op.copied_extents, 0);
    }
    cr_assert_leq(fixture_stats(fixture).files, 1);
    fixture_reopen(fixture);
    cr_assert_leq(fixture_stats(fixture).files, 1);
}

COMPACTION_CASE(newer_of_two_extents_stays_the_newer_one) {
    fill(fixture);
    cr_assert_eq(fixture_put(fixture, 3, 5, 9), RT_OK);
    cr_assert_eq(fixture_put(fixture, 3, 0, 9), RT_OK);
    cr_assert_eq(fixture_flush(fixture), RT_OK);
    delete_most(fixture);
    cr_assert_eq(compact(fixture, 1), RT_OK);  // has the older ones
    fixture_expect(fixture, 3, 0, 0, 9);
    fixture_expect(fixture, 3, 5, 5, 9);
    fixture_expect(fixture, 3, 6, 6, 0);
    fixture_reopen(fixture);
    fixture_expect(fixture, 3, 5, 5, 9);
}

COMPACTION_CASE(file_that_is_written_to_is_left_alone) {
    fill(fixture);
    struct bookie_store_stats stats = fixture_stats(fixture);
    cr_assert_eq(compact(fixture, stats.files), RT_ENOTFOUND);
    cr_assert_eq(compact(fixture, 4711), RT_ENOTFOUND);
}

static void slow_ended(struct bookie_compact_op *op, rt_err err) {
    (void)op;
    run.ended++;
    run.ended_err = err;
}

static void slow_piece(struct fixture *fixture) {
    run.op = (struct bookie_compact_op){.done = slow_ended, .bytes_per_s = 1};
    bookie_store_compact(fixture->store, &run.op, 1);
    fixture_done(fixture, RT_OK);
}

COMPACTION_CASE(slow_compaction_does_not_hold_up_the_end) {
    fill(fixture);
    delete_most(fixture);
    run.ended = 0;
    fixture_run(fixture, slow_piece);
    fixture_close(fixture);
    cr_assert_eq(run.ended, 1);
    cr_assert_eq(run.ended_err, RT_ECLOSED);
    fixture_open(fixture);
    fixture_expect(fixture, 3, 0, 319, 0);
}

// IN THE SIMULATOR

#define SIM_ONLY(name) SIM_CASE(bookie_store_compaction, name)

static char path[160];

static void damage_piece(struct disk_world *world, void *argument) {
    struct rt_file *file = disk_file_open(world, argument);
    disk_file_fill(file, 4096 + 56 + 700, 0x5a, 1);  // in the first extent
    disk_file_fill(file, 60000, 0x5a, 40);           // somewhere
    rt_file_close_now(file);
}

SIM_ONLY(damaged_file_is_kept_and_the_scrubber_names_what_is_lost) {
    fill(fixture);
    delete_most(fixture);
    cr_assert_eq(verify(fixture, 1), RT_OK);
    cr_assert_eq(run.damaged_count, 0);
    uint64_t extents = run.verify.extents;
    cr_assert_gt(extents, 10);
    snprintf(path, sizeof(path), "%s/current/%016x.gel", fixture->dirs[0], 1);
    disk_world_run(&fixture->world, damage_piece, path);
    cr_assert_eq(verify(fixture, 1), RT_OK);
    cr_assert_geq(run.damaged_count, 2);
    cr_assert_eq(run.damaged[0].offset, 4096);
    cr_assert_gt(run.verify.extents, extents / 2);
    cr_assert_eq(compact(fixture, 1), RT_ECORRUPT);
    cr_assert_neq(pick(fixture), 1);
    fixture_expect(fixture, 3, 200, 319, 0);
    fixture_reopen(fixture);
    fixture_expect(fixture, 3, 200, 319, 0);
}

SIM_ONLY(compaction_without_space_changes_nothing) {
    fill(fixture);
    delete_most(fixture);
    struct bookie_store_stats before = fixture_stats(fixture);
    struct rt_sim_disk disk = rt_sim_disk_get(fixture->world.node);
    uint64_t capacity = disk.capacity_bytes;
    disk.capacity_bytes = before.file_bytes + 60000;
    rt_sim_disk_set(fixture->world.node, &disk);
    cr_assert_eq(compact(fixture, 1), RT_ENOSPACE);
    disk.capacity_bytes = capacity;
    rt_sim_disk_set(fixture->world.node, &disk);
    struct bookie_store_stats after = fixture_stats(fixture);
    cr_assert_eq(after.file_bytes, before.file_bytes);
    cr_assert_eq(after.live_bytes, before.live_bytes);
    cr_assert_eq(fixture->failed, 0);
    cr_assert_eq(compact(fixture, 1), RT_OK);
    fixture_reopen(fixture);
    fixture_expect(fixture, 3, 0, 319, 0);
}
