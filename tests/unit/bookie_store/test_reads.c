// Reads: what is shared, what is fetched ahead, what is refused, and what memory is taken.
#include <assert.h>

#include "tests/unit/bookie_store/cases.h"

enum { MANY = 9000, TOGETHER = 200 };

static struct many {
    struct bookie_read_op ops[MANY];
    struct fixture *fixture;
    unsigned count, asked, answered, found, busy;
    bool cancels;
} many;

static void many_done(struct bookie_read_op *op, rt_err err) {
    struct fixture *fixture = many.fixture;
    cr_assert(err == RT_OK || err == RT_EBUSY, "%s", rt_err_name(err));
    if (!err) {
        many.found++;
        cr_assert(fixture_body_is(rt_slice_bytes(op->body), 5, op->found, 0, fixture->body_size));
    }
    many.busy += err == RT_EBUSY;
    rt_slice_drop(&op->body);
    if (++many.answered < many.asked) return;
    bookie_ledger_release(fixture->store, fixture->ledger);
    fixture_done(fixture, RT_OK);
}

static void many_piece(struct fixture *fixture) {
    many.asked = many.answered = many.found = many.busy = 0;
    many.fixture = fixture;
    struct bookie_ledger *ledger;
    cr_assert_eq(bookie_ledger_acquire_now(fixture->store, 5, &ledger, NULL), RT_OK);
    fixture->ledger = ledger;
    for (unsigned i = 0; i < many.count; i++) {
        many.ops[i] = (struct bookie_read_op){
            .ledger = ledger, .entry = i % TOGETHER, .ahead = 1, .done = many_done};
        bookie_store_read(fixture->store, &many.ops[i]);
        many.asked++;
        if (!many.cancels || i % 2 == 0) continue;
        bookie_store_read_cancel(fixture->store, &many.ops[i]);
        many.asked--;
    }
}

static void fill(struct fixture *fixture, size_t body_size) {
    fixture->options.extent_bytes = 64 << 10;
    fixture->body_size = body_size;
    fixture_open(fixture);
    fixture_put_range(fixture, 5, 0, TOGETHER - 1);
    fixture_reopen(fixture);
}

BOTH_CASE(bookie_store_reads, reads_of_one_extent_share_one_read_of_the_disk) {
    fill(fixture, 100);
    many.count = TOGETHER;
    many.cancels = false;
    fixture_run(fixture, many_piece);
    cr_assert_eq(many.found, TOGETHER);
    cr_assert_eq(fixture_stats(fixture).disk_reads, 1);
    fixture_run(fixture, many_piece);
    cr_assert_eq(many.found, TOGETHER);
    cr_assert_eq(fixture_stats(fixture).disk_reads, 1);
    cr_assert_geq(fixture_stats(fixture).read_cache_hits, TOGETHER);
}

BOTH_CASE(bookie_store_reads, canceled_reads_are_not_answered) {
    fill(fixture, 1000);
    many.count = TOGETHER;
    many.cancels = true;
    fixture_run(fixture, many_piece);
    cr_assert_eq(many.found, TOGETHER / 2);
    cr_assert_eq(many.answered, TOGETHER / 2);
}

SIM_CASE(bookie_store_reads, too_many_reads_are_refused) {
    fill(fixture, 100);
    many.count = MANY;
    many.cancels = false;
    fixture_run(fixture, many_piece);
    cr_assert_eq(many.answered, MANY);
    cr_assert_gt(many.busy, 0);
    cr_assert_eq(many.busy + many.found, MANY);
}

SIM_CASE(bookie_store_reads, what_is_likely_to_follow_is_read_ahead) {
    fixture->options.extent_bytes = 4 << 10;
    fixture->body_size = 1000;
    fixture_open(fixture);
    fixture_put_range(fixture, 5, 0, 99);
    fixture_reopen(fixture);
    fixture->ahead = 20;
    fixture_expect(fixture, 5, 0, 0, 0);
    rt_sim_run_for(fixture->world.sim, RT_NS_PER_S);
    uint64_t reads = fixture_stats(fixture).disk_reads;
    cr_assert_geq(reads, 5);
    cr_assert_leq(reads, 9);
    fixture->ahead = 0;
    fixture_expect(fixture, 5, 1, 20, 0);
    cr_assert_eq(fixture_stats(fixture).disk_reads, reads);
    fixture_expect(fixture, 5, 90, 90, 0);
    rt_sim_run_for(fixture->world.sim, RT_NS_PER_S);
    cr_assert_eq(fixture_stats(fixture).disk_reads, reads + 1);
}

static void try_piece(struct fixture *fixture) {
    struct rt_slice body;
    rt_err err = bookie_store_try_read(fixture->store, fixture->ledger, fixture->entry, &body);
    if (!err)
        fixture->body_is_right = fixture_body_is(rt_slice_bytes(body), 5, fixture->entry, 0, 0);
    rt_slice_drop(&body);
    fixture_done(fixture, err);
}

static rt_err try_read(struct fixture *fixture, struct bookie_ledger *ledger, int64_t entry) {
    fixture->ledger = ledger;
    fixture->entry = entry;
    fixture_run(fixture, try_piece);
    return fixture->err;
}

BOTH_CASE(bookie_store_reads, absence_is_said_without_the_disk_only_when_it_is_known) {
    fixture_open(fixture);
    fixture_put_range(fixture, 5, 3, 9);
    fixture_reopen(fixture);
    struct bookie_ledger *ledger = fixture_acquire(fixture, 5);
    cr_assert_eq(try_read(fixture, ledger, 10), RT_ENOTFOUND);
    cr_assert_eq(try_read(fixture, ledger, 1), RT_EAGAIN);
    cr_assert_eq(try_read(fixture, ledger, 5), RT_EAGAIN);
    fixture_expect(fixture, 5, 5, 5, 0);
    ledger = fixture_acquire(fixture, 5);
    cr_assert_eq(try_read(fixture, ledger, 6), RT_OK);
    cr_assert(fixture->body_is_right);
    fixture_release(fixture, ledger);
    fixture_release(fixture, ledger);
}

// A slice that is held outlives the cache and the flush it was in.
static struct rt_slice held[4000];
static size_t held_count;

static void hold_piece(struct fixture *fixture) {
    struct rt_slice *body = &held[held_count];
    rt_err err = bookie_store_try_read(fixture->store, fixture->ledger, fixture->entry, body);
    if (!err) held_count++;
    fixture_done(fixture, err);
}

static void drop_piece(struct fixture *fixture) {
    while (held_count > 0) rt_slice_drop(&held[--held_count]);
    fixture_done(fixture, RT_OK);
}

SIM_CASE(bookie_store_reads, slices_that_are_kept_do_not_keep_the_caches_in_memory) {
    fixture->body_size = 8000;
    fixture->options.extent_bytes = 64 << 10;
    fixture->options.write_cache_bytes = 1 << 20;
    fixture_open(fixture);
    for (int64_t entry = 0; entry < 1500; entry++) {
        cr_assert_eq(fixture_put(fixture, 5, entry, 0), RT_OK);
        cr_assert_leq(fixture_stats(fixture).write_cache_bytes, 1 << 20);
        if (entry % 8) continue;
        struct bookie_ledger *ledger = fixture_acquire(fixture, 5);
        fixture->entry = entry;
        fixture_run(fixture, hold_piece);
        cr_assert_eq(fixture->err, RT_OK);
        fixture_release(fixture, ledger);
    }
    for (int64_t entry = 0; entry < 1500; entry += 5) {
        fixture_expect(fixture, 5, entry, entry, 0);
        struct bookie_ledger *ledger = fixture_acquire(fixture, 5);
        fixture->entry = entry;
        fixture_run(fixture, hold_piece);
        fixture_release(fixture, ledger);
        // What is held for long is a quarter of the budget at the most, beside what is cached.
        cr_assert_leq(fixture_stats(fixture).read_cache_bytes, (1 << 20) * 3 / 2);
    }
    for (size_t i = 0; i < held_count; i++) cr_assert_eq(held[i].size, 8000);
    fixture_run(fixture, drop_piece);
}

enum { LEDGERS = 100000 };

static void ledgers_piece(struct fixture *fixture) {
    for (unsigned i = 0; i < 1000 && fixture->entry < LEDGERS; i++) {
        struct bookie_ledger *ledger;
        cr_assert_eq(bookie_ledger_acquire_now(fixture->store, fixture->entry, &ledger, NULL),
                     RT_OK);
        rt_err err = fixture_put_now(fixture, ledger, 0, 0);
        bookie_ledger_release(fixture->store, ledger);
        if (err) {
            cr_assert_eq(err, RT_EBUSY);
            break;
        }
        fixture->entry++;
    }
    fixture_done(fixture, RT_OK);
}

BOTH_CASE(bookie_store_reads, a_hundred_thousand_ledgers_stay_within_their_memory) {
    static_assert(sizeof(struct bookie_ledger) <= 192, "200 bytes for a ledger, with the heap's");
    fixture->options.write_cache_bytes = 16 << 20;
    fixture_open(fixture);
    fixture->entry = 0;
    uint64_t most = 0;
    while (fixture->entry < LEDGERS) {
        fixture_run(fixture, ledgers_piece);
        uint64_t count = fixture_stats(fixture).ledgers_in_memory;
        most = count > most ? count : most;
        cr_assert_leq(fixture_stats(fixture).write_cache_bytes, 16 << 20);
    }
    cr_assert_eq(fixture_flush(fixture), RT_OK);
    cr_assert_leq(fixture_stats(fixture).ledgers_in_memory, 16384);
    cr_assert_lt(most, LEDGERS);
    for (int64_t i = 0; i < LEDGERS; i += 997) fixture_expect(fixture, i, 0, 0, 0);
    fixture_reopen(fixture);
    for (int64_t i = 0; i < LEDGERS; i += 1499) fixture_expect(fixture, i, 0, 0, 0);
}

static struct bookie_read_op slow_op;
static unsigned slow_ended;

static void slow_done(struct bookie_read_op *op, rt_err err) {
    cr_assert_eq(err, RT_OK);
    rt_slice_drop(&op->body);
    slow_ended++;
}

static void slow_piece(struct fixture *fixture) {
    slow_op = (struct bookie_read_op){.ledger = fixture->ledger, .entry = 5, .done = slow_done};
    bookie_store_read(fixture->store, &slow_op);
    fixture_done(fixture, RT_OK);
}

static void workers_take(struct fixture *fixture, uint64_t work_ns) {
    rt_sim_cpu(fixture->world.node, 0, 2000, work_ns, work_ns);
}

// A read is held up for so long; meanwhile its entry is written again and flushed, or deleted.
static void outrun(struct fixture *fixture, uint64_t held_up_ns, bool deletes) {
    fixture_open(fixture);
    fixture_put_range(fixture, 5, 0, 9);
    fixture_reopen(fixture);
    struct bookie_ledger *ledger = fixture_acquire(fixture, 5);
    slow_ended = 0;
    workers_take(fixture, RT_NS_PER_S);
    fixture_run(fixture, slow_piece);
    rt_sim_run_for(fixture->world.sim, held_up_ns);
    workers_take(fixture, 1000);
    if (deletes) {
        cr_assert_eq(fixture_delete(fixture, 5), RT_OK);
    } else {
        cr_assert_eq(fixture_put(fixture, 5, 5, 1), RT_OK);
        cr_assert_eq(fixture_flush(fixture), RT_OK);
    }
    cr_assert_eq(slow_ended, 0);
    rt_sim_run_for(fixture->world.sim, 10 * RT_NS_PER_S);
    cr_assert_eq(slow_ended, 1);
    fixture_release(fixture, ledger);
}

SIM_CASE(bookie_store_reads, extent_that_was_outrun_by_a_flush_is_not_kept) {
    outrun(fixture, RT_NS_PER_S + 500 * RT_NS_PER_MS, false);  // in the middle of its load
    fixture_expect(fixture, 5, 5, 5, 1);
    fixture_expect(fixture, 5, 6, 6, 0);
}

SIM_CASE(bookie_store_reads, lookup_that_was_outrun_by_a_flush_is_done_again) {
    outrun(fixture, 500 * RT_NS_PER_MS, false);
    fixture_expect(fixture, 5, 5, 5, 1);
    fixture_expect(fixture, 5, 6, 6, 0);
}

SIM_CASE(bookie_store_reads, extent_that_was_outrun_by_a_deletion_is_not_kept) {
    outrun(fixture, RT_NS_PER_S + 500 * RT_NS_PER_MS, true);
    cr_assert_eq(fixture_put(fixture, 5, 9, 1), RT_OK);
    cr_assert_eq(fixture_flush(fixture), RT_OK);
    cr_assert_eq(fixture_read(fixture, 5, 5, 0), RT_ENOTFOUND);
    fixture_expect(fixture, 5, 9, 9, 1);
}
