// Budgets, groups, large and tiny records, what is used again, and the edges of the calls.
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/disk_world.h"
#include "tests/unit/bookie_journal/fixture.h"

struct limits {
    struct disk_world world;
    struct fixture *fixture;
    struct rt_task closed;
    rt_err err;
    unsigned records;
    enum fixture_kind kind;
    bool is_closed;
};

static void open_piece(struct disk_world *world, void *argument) {
    struct limits *limits = argument;
    limits->err = fixture_open(limits->fixture, world->machine, rt_machine_loop(world->machine, 0));
}

static void append_piece(struct disk_world *world, void *argument) {
    struct limits *limits = argument;
    (void)world;
    limits->err = RT_OK;
    for (unsigned i = 0; i < limits->records && !limits->err; i++)
        limits->err = fixture_append(limits->fixture, limits->kind);
}

static void force_piece(struct disk_world *world, void *argument) {
    struct limits *limits = argument;
    (void)world;
    limits->err = fixture_force(limits->fixture);
    cr_assert_eq(limits->fixture->forces_answered, 0, "done before the call returned");
}

static void checkpoint_piece(struct disk_world *world, void *argument) {
    struct limits *limits = argument;
    (void)world;
    fixture_checkpoint(limits->fixture);
}

static void on_closed(struct rt_task *task) {
    rt_container_of(task, struct limits, closed)->is_closed = true;
}

static void close_piece(struct disk_world *world, void *argument) {
    struct limits *limits = argument;
    (void)world;
    rt_task_init(&limits->closed, on_closed, "test.closed");
    bookie_journal_close(limits->fixture->journal, &limits->closed);
}

static void run(struct limits *limits, void (*piece)(struct disk_world *, void *)) {
    disk_world_run(&limits->world, piece, limits);
}

static void append(struct limits *limits, unsigned records) {
    limits->records = records;
    run(limits, append_piece);
}

static void settle(struct limits *limits) {
    while (limits->fixture->answered < limits->fixture->next)
        cr_assert(rt_sim_step(limits->world.sim));
}

static void open_journal(struct limits *limits) {
    run(limits, open_piece);
    cr_assert_eq(limits->err, RT_OK, "%s", limits->fixture->why.text);
}

static size_t size_tiny(uint64_t number) {
    return number % 5;
}

static struct limits *limits_new(void) {
    struct limits *limits = calloc(1, sizeof(*limits));
    disk_world_open(&limits->world, 1);
    limits->fixture = fixture_new("data/journal");
    limits->fixture->options.segment_bytes = 1 << 20;
    limits->fixture->size_of = size_tiny;
    return limits;
}

static void end(struct limits *limits) {
    cr_assert_null(limits->fixture->wrong, "%s", limits->fixture->wrong);
    disk_world_close(&limits->world);
    free(limits->fixture);
    free(limits);
}

static struct bookie_journal_stats stats_of(const struct limits *limits) {
    return bookie_journal_stats(limits->fixture->journal);
}

static void power_loss(struct limits *limits) {
    disk_world_losses(&limits->world, 1000000, 0);
    disk_world_crash(&limits->world, RT_SIM_POWER_LOSS);
    open_journal(limits);
}

Test(bookie_journal_limits, what_one_turn_appends_is_one_write) {
    struct limits *limits = limits_new();
    open_journal(limits);
    append(limits, 500);
    cr_assert_eq(stats_of(limits).batches, 0);
    settle(limits);
    cr_assert_eq(stats_of(limits).batches, 1);
    cr_assert_eq(stats_of(limits).appends, 500);
    cr_assert_eq(stats_of(limits).queued_bytes, 0);
    end(limits);
}

Test(bookie_journal_limits, what_comes_during_a_write_is_one_write) {
    struct limits *limits = limits_new();
    open_journal(limits);
    append(limits, 1);
    for (unsigned i = 0; i < 5; i++) append(limits, 3);
    cr_assert_eq(limits->fixture->answered, 1, "a test that takes no virtual time");
    settle(limits);
    cr_assert_leq(stats_of(limits).batches, 3);
    end(limits);
}

Test(bookie_journal_limits, thousands_of_tiny_records_come_back) {
    struct limits *limits = limits_new();
    open_journal(limits);
    append(limits, 50000);
    settle(limits);
    power_loss(limits);
    cr_assert_eq(limits->fixture->count, 50000);
    end(limits);
}

static size_t size_huge(uint64_t number) {
    return number % 2 ? (16 << 20) - 12 : (5 << 20) + 77;
}

Test(bookie_journal_limits, records_of_sixteen_megabytes_come_back) {
    struct limits *limits = limits_new();
    limits->fixture->size_of = size_huge;
    open_journal(limits);
    for (unsigned i = 0; i < 4; i++) {
        append(limits, 1);
        settle(limits);
    }
    cr_assert_eq(stats_of(limits).batches, 4);
    power_loss(limits);
    cr_assert_eq(limits->fixture->count, 4);
    power_loss(limits);
    cr_assert_eq(limits->fixture->count, 4);
    end(limits);
}

static size_t size_thousand(uint64_t number) {
    (void)number;
    return 1000 - 16;
}

Test(bookie_journal_limits, full_queue_takes_nothing_until_it_has_drained) {
    struct limits *limits = limits_new();
    limits->fixture->size_of = size_thousand;
    limits->fixture->options.queue_bytes_max = 100 * 1000;
    open_journal(limits);
    append(limits, 1000);
    cr_assert_eq(limits->err, RT_EBUSY);
    cr_assert_eq(limits->fixture->next, 101);
    cr_assert_eq(stats_of(limits).queued_bytes, 100 * 1000);
    cr_assert_eq(limits->fixture->drains, 0);
    settle(limits);
    cr_assert_eq(limits->fixture->drains, 1);
    append(limits, 100);
    cr_assert_eq(limits->err, RT_OK);
    settle(limits);
    cr_assert_eq(limits->fixture->drains, 1, "nobody was refused");
    end(limits);
}

Test(bookie_journal_limits, record_larger_than_the_queue_is_taken_alone) {
    struct limits *limits = limits_new();
    limits->fixture->size_of = size_huge;
    limits->fixture->options.queue_bytes_max = 1000;
    open_journal(limits);
    append(limits, 2);
    cr_assert_eq(limits->err, RT_EBUSY);
    cr_assert_eq(limits->fixture->next, 2);
    settle(limits);
    cr_assert_eq(limits->fixture->drains, 1);
    append(limits, 1);
    cr_assert_eq(limits->err, RT_OK);
    settle(limits);
    end(limits);
}

// DEFERRED, FORCED, NOT SYNCED

static void check_deferred(struct limits *limits, bool is_forced, uint64_t wait_ns) {
    uint64_t kept = limits->fixture->next;
    limits->kind = FIXTURE_DEFERRED;
    append(limits, 10);
    settle(limits);
    cr_assert_eq(limits->fixture->durable, kept, "a deferred record waited for its sync");
    if (is_forced) {
        run(limits, force_piece);
        while (!limits->fixture->forces_answered) cr_assert(rt_sim_step(limits->world.sim));
    }
    rt_sim_run_for(limits->world.sim, wait_ns);
    power_loss(limits);
    bool survives = is_forced || wait_ns;
    cr_assert_eq(limits->fixture->next, survives ? kept + 10 : kept);
}

Test(bookie_journal_limits, deferred_records_are_sure_when_forced_or_after_a_second) {
    struct limits *limits = limits_new();
    open_journal(limits);
    check_deferred(limits, false, 0);
    check_deferred(limits, true, 0);
    check_deferred(limits, false, 2 * RT_NS_PER_S);
    end(limits);
}

Test(bookie_journal_limits, without_syncs_records_are_sure_when_forced_or_after_a_second) {
    struct limits *limits = limits_new();
    limits->fixture->options.sync = false;
    limits->fixture->acks_lie = true;
    open_journal(limits);
    check_deferred(limits, false, 0);
    check_deferred(limits, true, 0);
    check_deferred(limits, false, 2 * RT_NS_PER_S);
    end(limits);
}

Test(bookie_journal_limits, force_of_an_idle_journal_is_done) {
    struct limits *limits = limits_new();
    open_journal(limits);
    run(limits, force_piece);
    while (!limits->fixture->forces_answered) cr_assert(rt_sim_step(limits->world.sim));
    cr_assert_eq(stats_of(limits).batches, 0);
    end(limits);
}

// CLOSING

Test(bookie_journal_limits, close_writes_and_syncs_what_was_given) {
    struct limits *limits = limits_new();
    open_journal(limits);
    limits->kind = FIXTURE_DEFERRED;
    append(limits, 700);
    run(limits, close_piece);
    while (!limits->is_closed) cr_assert(rt_sim_step(limits->world.sim));
    cr_assert_eq(limits->fixture->acked, 701);
    power_loss(limits);
    cr_assert_eq(limits->fixture->count, 700);
    end(limits);
}

static void append_after_close_piece(struct disk_world *world, void *argument) {
    struct limits *limits = argument;
    close_piece(world, argument);
    limits->err = fixture_append(limits->fixture, FIXTURE_PLAIN);
}

Test(bookie_journal_limits, nothing_is_taken_while_it_closes) {
    struct limits *limits = limits_new();
    open_journal(limits);
    run(limits, append_after_close_piece);
    cr_assert_eq(limits->err, RT_ECLOSED);
    while (!limits->is_closed) cr_assert(rt_sim_step(limits->world.sim));
    end(limits);
}

static void second_piece(struct disk_world *world, void *argument) {
    struct limits *limits = argument;
    struct bookie_journal *second = NULL;
    limits->err = bookie_journal_open_now(world->machine, rt_machine_loop(world->machine, 0),
                                          &limits->fixture->options, (struct bookie_mark){0, 0},
                                          &second, &limits->fixture->why);
}

Test(bookie_journal_limits, journal_is_opened_once_only) {
    struct limits *limits = limits_new();
    open_journal(limits);
    run(limits, second_piece);
    cr_assert_eq(limits->err, RT_ELOCKED);
    end(limits);
}

// REPLAY AND REUSE

Test(bookie_journal_limits, error_of_a_record_ends_replay) {
    struct limits *limits = limits_new();
    open_journal(limits);
    append(limits, 20);
    settle(limits);
    disk_world_crash(&limits->world, RT_SIM_KILL);
    limits->fixture->stop_at = 11;
    limits->fixture->replay_stop = RT_EBUSY;
    run(limits, open_piece);
    cr_assert_eq(limits->err, RT_EBUSY);
    cr_assert_eq(limits->fixture->count, 10);
    cr_assert_not_null(strstr(limits->fixture->why.text, "record 11"));
    struct bookie_mark reached = bookie_journal_end(limits->fixture->journal);
    cr_assert_eq(bookie_mark_compare(reached, limits->fixture->at_last), 0);
    end(limits);
}

Test(bookie_journal_limits, starts_without_progress_take_no_more_space) {
    struct limits *limits = limits_new();
    open_journal(limits);
    append(limits, 20);
    settle(limits);
    uint64_t segments = 0;
    for (unsigned i = 0; i < 12; i++) {
        rt_sim_run_for(limits->world.sim, RT_NS_PER_S);
        power_loss(limits);
        cr_assert_eq(limits->fixture->count, 20);
        if (i == 2) segments = stats_of(limits).segments + stats_of(limits).spare_segments;
    }
    cr_assert_leq(stats_of(limits).segments + stats_of(limits).spare_segments, segments);
    end(limits);
}

static size_t size_large(uint64_t number) {
    return 100000 + number % 1000;
}

Test(bookie_journal_limits, released_segments_are_kept_up_to_a_number_and_used_again) {
    struct limits *limits = limits_new();
    limits->fixture->size_of = size_large;
    limits->fixture->options.spare_max = 2;
    open_journal(limits);
    for (unsigned i = 0; i < 100; i++) {
        append(limits, 1);
        settle(limits);
    }
    cr_assert_gt(stats_of(limits).segments, 8);
    cr_assert_gt(stats_of(limits).bytes_since_release, 100 * 100000);
    run(limits, checkpoint_piece);
    rt_sim_run_for(limits->world.sim, RT_NS_PER_S);
    cr_assert_eq(stats_of(limits).segments, 1);
    cr_assert_eq(stats_of(limits).spare_segments, 2);
    cr_assert_eq(stats_of(limits).bytes_since_release, 0);
    // What the spares still hold is never taken for records.
    for (unsigned i = 0; i < 25; i++) {
        append(limits, 1);
        settle(limits);
    }
    power_loss(limits);
    cr_assert_eq(limits->fixture->first, 101);
    cr_assert_eq(limits->fixture->count, 25);
    end(limits);
}
