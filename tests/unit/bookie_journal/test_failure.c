// Disks that fail and disks that are full: one failure, nothing acknowledged behind it, and all
// that was acknowledged before it still there.
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/disk_world.h"
#include "tests/unit/bookie_journal/fixture.h"

struct failing {
    struct disk_world world;
    struct fixture *fixture;
    rt_err err;
    unsigned records;
    struct rt_task closed;
    bool is_closed;
};

static void open_piece(struct disk_world *world, void *argument) {
    struct failing *failing = argument;
    failing->err =
        fixture_open(failing->fixture, world->machine, rt_machine_loop(world->machine, 0));
}

static void append_piece(struct disk_world *world, void *argument) {
    struct failing *failing = argument;
    (void)world;
    fixture_appends(failing->fixture, failing->records);
}

static void checkpoint_piece(struct disk_world *world, void *argument) {
    struct failing *failing = argument;
    (void)world;
    fixture_checkpoint(failing->fixture);
}

static void on_closed(struct rt_task *task) {
    rt_container_of(task, struct failing, closed)->is_closed = true;
}

static void close_piece(struct disk_world *world, void *argument) {
    struct failing *failing = argument;
    (void)world;
    rt_task_init(&failing->closed, on_closed, "test.closed");
    bookie_journal_close(failing->fixture->journal, &failing->closed);
}

static void append(struct failing *failing, unsigned records) {
    failing->records = records;
    disk_world_run(&failing->world, append_piece, failing);
}

static void settle(struct failing *failing) {
    while (failing->fixture->answered < failing->fixture->next)
        cr_assert(rt_sim_step(failing->world.sim));
}

static void close_and_wait(struct failing *failing) {
    disk_world_run(&failing->world, close_piece, failing);
    while (!failing->is_closed) cr_assert(rt_sim_step(failing->world.sim));
}

static size_t size_half(uint64_t number) {
    return 400 + number % 100;
}

static struct failing *begin(uint64_t seed) {
    struct failing *failing = calloc(1, sizeof(*failing));
    disk_world_open(&failing->world, seed);
    failing->fixture = fixture_new("data/journal");
    failing->fixture->options.segment_bytes = 128 << 10;
    disk_world_run(&failing->world, open_piece, failing);
    cr_assert_eq(failing->err, RT_OK, "%s", failing->fixture->why.text);
    return failing;
}

static void end(struct failing *failing) {
    cr_assert_null(failing->fixture->wrong, "%s", failing->fixture->wrong);
    disk_world_close(&failing->world);
    free(failing->fixture);
    free(failing);
}

static void check_failed(struct failing *failing, rt_err err, const char *text) {
    struct fixture *fixture = failing->fixture;
    cr_assert_eq(fixture->failures, 1);
    cr_assert_eq(fixture->failure, err);
    cr_assert_not_null(strstr(fixture->failure_text, text), "%s", fixture->failure_text);
    append(failing, 1);
    cr_assert_eq(fixture->answered, fixture->next, "taken after the failure");
}

static void check_restart(struct failing *failing) {
    uint64_t acked = failing->fixture->acked;
    disk_world_crash(&failing->world, RT_SIM_POWER_LOSS);
    disk_world_run(&failing->world, open_piece, failing);
    cr_assert_eq(failing->err, RT_OK, "%s", failing->fixture->why.text);
    const char *wrong = fixture_check(failing->fixture, acked);
    cr_assert_null(wrong, "%s", wrong);
}

static void disk_break(struct failing *failing, uint32_t write, uint32_t sync) {
    struct rt_sim_disk disk = rt_sim_disk_get(failing->world.node);
    disk.write_fail_per_million = write;
    disk.sync_fail_per_million = sync;
    rt_sim_disk_set(failing->world.node, &disk);
}

static void disk_limit(struct failing *failing, uint64_t bytes) {
    struct rt_sim_disk disk = rt_sim_disk_get(failing->world.node);
    disk.capacity_bytes = bytes;
    rt_sim_disk_set(failing->world.node, &disk);
}

static void check_failure(uint32_t write, uint32_t sync, bool closes) {
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct failing *failing = begin(seed);
        append(failing, 30);
        settle(failing);
        cr_assert_eq(failing->fixture->acked, 31);
        rt_sim_run_for(failing->world.sim, RT_NS_PER_S);  // the next segment is there
        disk_break(failing, write, sync);
        append(failing, 20);
        settle(failing);
        cr_assert_eq(failing->fixture->acked, 31);
        check_failed(failing, RT_EIO, "cannot write data/journal/0");
        if (closes) close_and_wait(failing);
        disk_break(failing, 0, 0);
        check_restart(failing);
        end(failing);
    }
}

Test(bookie_journal_failure, failed_write_is_final) {
    check_failure(1000000, 0, false);
}

Test(bookie_journal_failure, failed_sync_is_final) {
    check_failure(0, 1000000, false);
}

Test(bookie_journal_failure, failed_journal_can_be_closed) {
    check_failure(0, 1000000, true);
}

Test(bookie_journal_failure, full_disk_fails_when_the_next_segment_is_needed_and_not_before) {
    struct failing *failing = begin(3);
    failing->fixture->size_of = size_half;
    append(failing, 10);
    settle(failing);
    rt_sim_run_for(failing->world.sim, RT_NS_PER_S);
    disk_limit(failing, 0);  // what is allocated stays
    unsigned records = 0;
    for (; !failing->fixture->failures && records < 4000; records += 10) {
        append(failing, 10);
        settle(failing);
    }
    cr_assert_gt(records, 50);
    check_failed(failing, RT_ENOSPACE, "cannot allocate data/journal/0");
    disk_limit(failing, UINT64_C(1) << 40);
    check_restart(failing);
    cr_assert_gt(failing->fixture->count, 50);
    end(failing);
}

Test(bookie_journal_failure,
     segment_that_could_not_be_made_ahead_is_made_when_there_is_room_again) {
    struct failing *failing = begin(4);
    failing->fixture->size_of = size_half;
    disk_limit(failing, 0);
    rt_sim_run_for(failing->world.sim, 5 * RT_NS_PER_S);
    append(failing, 5);
    settle(failing);
    cr_assert_eq(failing->fixture->failures, 0);
    disk_limit(failing, UINT64_C(1) << 40);
    rt_sim_run_for(failing->world.sim, 3 * RT_NS_PER_S);
    disk_limit(failing, 0);
    while (bookie_journal_stats(failing->fixture->journal).segments < 2) {
        append(failing, 5);
        settle(failing);
        cr_assert_eq(failing->fixture->failures, 0, "%s", failing->fixture->failure_text);
    }
    end(failing);
}

static void rounds_on_full_disk(struct failing *failing) {
    for (unsigned i = 0; i < 300; i++) {
        append(failing, 10);
        settle(failing);
        disk_world_run(&failing->world, checkpoint_piece, failing);
        rt_sim_run_for(failing->world.sim, 100 * RT_NS_PER_MS);
    }
}

// Released segments are used again: no space is asked for.
Test(bookie_journal_failure, released_segments_serve_for_ever_on_a_full_disk) {
    struct failing *failing = begin(5);
    failing->fixture->size_of = size_half;
    for (unsigned i = 0; i < 60; i++) {
        append(failing, 20);
        settle(failing);
    }
    disk_world_run(&failing->world, checkpoint_piece, failing);
    rt_sim_run_for(failing->world.sim, RT_NS_PER_S);
    struct bookie_journal_stats stats = bookie_journal_stats(failing->fixture->journal);
    cr_assert_geq(stats.spare_segments, 2);
    cr_assert_eq(stats.segments, 1);
    disk_limit(failing, 0);
    rounds_on_full_disk(failing);
    cr_assert_eq(failing->fixture->failures, 0, "%s", failing->fixture->failure_text);
    check_restart(failing);
    end(failing);
}
