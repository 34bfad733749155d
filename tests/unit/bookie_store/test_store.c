// What the store promises, on both machines: entries put are readable, now and after a restart.
#include "tests/unit/bookie_store/cases.h"

#define STORE_CASE(name) BOTH_CASE(bookie_store, name)

STORE_CASE(what_was_put_is_read_at_once_after_a_flush_and_after_a_restart) {
    fixture_open(fixture);
    fixture_put_range(fixture, 7, 0, 300);
    fixture_expect(fixture, 7, 0, 300, 0);
    cr_assert_eq(fixture_flush(fixture), RT_OK);
    fixture_expect(fixture, 7, 0, 300, 0);
    fixture_reopen(fixture);
    fixture_expect(fixture, 7, 0, 300, 0);
    cr_assert_eq(fixture_read(fixture, 7, 301, 0), RT_ENOTFOUND);
    cr_assert_eq(fixture_read(fixture, 8, 0, 0), RT_ENOTFOUND);
}

STORE_CASE(ledger_record_comes_back) {
    fixture_open(fixture);
    struct bookie_ledger *ledger = fixture_acquire(fixture, 5);
    cr_assert_not(ledger->exists);
    cr_assert_eq(ledger->last_entry, -1);
    fixture_release(fixture, ledger);
    fixture_put_range(fixture, 5, 10, 12);
    fixture_reopen(fixture);
    ledger = fixture_acquire(fixture, 5);
    cr_assert(ledger->exists);
    cr_assert_eq(ledger->last_entry, 12);
    cr_assert_eq(ledger->lac, -1);
    fixture_release(fixture, ledger);
}

STORE_CASE(read_of_minus_one_is_the_last_entry) {
    fixture_open(fixture);
    fixture_put_range(fixture, 5, 0, 40);
    cr_assert_eq(fixture_read(fixture, 5, -1, 0), RT_OK);
    cr_assert_eq(fixture->found, 40);
    fixture_reopen(fixture);
    cr_assert_eq(fixture_read(fixture, 5, -1, 0), RT_OK);
    cr_assert_eq(fixture->found, 40);
    cr_assert(fixture->body_is_right);
    cr_assert_eq(fixture_read(fixture, 6, -1, 0), RT_ENOTFOUND);
}

STORE_CASE(deleted_ledger_is_gone_and_may_begin_anew) {
    fixture_open(fixture);
    fixture_put_range(fixture, 5, 0, 100);
    fixture_put_range(fixture, 6, 0, 100);
    cr_assert_eq(fixture_flush(fixture), RT_OK);
    fixture_put_range(fixture, 5, 101, 120);
    cr_assert_eq(fixture_delete(fixture, 5), RT_OK);
    cr_assert_eq(fixture_read(fixture, 5, 0, 0), RT_ENOTFOUND);
    cr_assert_eq(fixture_read(fixture, 5, 110, 0), RT_ENOTFOUND);
    cr_assert_eq(fixture_put(fixture, 5, 50, 1), RT_OK);
    fixture_reopen(fixture);
    cr_assert_eq(fixture_read(fixture, 5, 0, 0), RT_ENOTFOUND);
    fixture_expect(fixture, 5, 50, 50, 1);
    fixture_expect(fixture, 6, 0, 100, 0);
}

STORE_CASE(lists_name_ledgers_and_entries) {
    fixture_open(fixture);
    fixture_put_range(fixture, 5, 0, 10);
    fixture_put_range(fixture, 9, 3, 4);
    cr_assert_eq(fixture_flush(fixture), RT_OK);
    fixture_put_range(fixture, 5, 11, 12);
    fixture_put_range(fixture, 7, 0, 0);
    cr_assert_eq(fixture_entries(fixture, 5), RT_OK);
    cr_assert_eq(fixture->id_count, 13);
    for (int64_t i = 0; i < 13; i++) cr_assert_eq(fixture->ids[i], i);
    cr_assert_eq(fixture_list(fixture, 0, 100), RT_OK);
    cr_assert_eq(fixture->id_count, 3);
    cr_assert_eq(fixture->ids[1], 7);
    cr_assert_eq(fixture_list(fixture, 6, 1), RT_OK);
    cr_assert_eq(fixture->id_count, 1);
    cr_assert_eq(fixture->ids[0], 7);
}

STORE_CASE(cache_that_is_full_is_flushed_and_nothing_is_lost) {
    fixture->options.write_cache_bytes = 256 << 10;
    fixture_open(fixture);
    fixture_put_range(fixture, 1, 0, 2500);
    cr_assert_geq(fixture->flushed, 2);
    fixture_expect(fixture, 1, 0, 2500, 0);
    fixture_reopen(fixture);
    fixture_expect(fixture, 1, 0, 2500, 0);
}

enum { REPLAYED = 3000 };

// Puts until the cache is full again and again, all in the turn in which the store was opened.
static void replay_piece(struct fixture *fixture) {
    struct rt_machine *machine = fixture_machine(fixture);
    struct bookie_ledger *ledger;
    unsigned flushes = 0;
    fixture->options.events = &fixture->events;
    cr_assert_eq(bookie_store_open_now(machine, rt_machine_loop(machine, 0), &fixture->options,
                                       &fixture->store, NULL),
                 RT_OK);
    cr_assert_eq(bookie_ledger_acquire_now(fixture->store, 3, &ledger, NULL), RT_OK);
    for (int64_t entry = 0; entry <= REPLAYED; entry++) {
        fixture->journal_end.offset = (uint64_t)entry + 1;
        rt_err err = fixture_put_now(fixture, ledger, entry, 0);
        if (!err) continue;
        cr_assert_eq(err, RT_EBUSY);
        cr_assert_eq(bookie_store_flush_now(fixture->store, NULL), RT_OK);
        cr_assert_eq(bookie_store_mark(fixture->store, 0).offset, (uint64_t)entry + 1);
        cr_assert_eq(fixture_put_now(fixture, ledger, entry, 0), RT_OK);
        flushes++;
    }
    cr_assert_gt(flushes, 2);
    cr_assert_eq(bookie_store_flush_now(fixture->store, NULL), RT_OK);
    bookie_ledger_release(fixture->store, ledger);
    fixture_done(fixture, RT_OK);
}

STORE_CASE(replay_flushes_without_a_turn_of_the_loop) {
    fixture->options.write_cache_bytes = 256 << 10;
    fixture_run(fixture, replay_piece);
    cr_assert_eq(fixture->flushed, 0);
    fixture_expect(fixture, 3, 0, REPLAYED, 0);
    fixture_reopen(fixture);
    fixture_expect(fixture, 3, 0, REPLAYED, 0);
}

static void change_piece(struct fixture *fixture) {
    struct bookie_ledger *ledger = fixture->ledger;
    ledger->exists = ledger->fenced = true;
    ledger->key_size = 3;
    ledger->key[0] = 'k';
    rt_buf_append(&ledger->explicit_lac, RT_BYTES_LITERAL("explicit"));
    fixture->journal_end.offset = 500;
    bookie_ledger_changed(fixture->store, ledger);
    fixture_done(fixture, RT_OK);
}

// BookKeeper sheet, trap 10: a flush of an empty cache must not lose what came without data.
STORE_CASE(fence_without_data_is_flushed_with_the_marks_that_cover_it) {
    fixture_open(fixture);
    fixture_acquire(fixture, 5);
    fixture_run(fixture, change_piece);
    fixture_release(fixture, fixture->ledger);
    cr_assert_eq(fixture_flush(fixture), RT_OK);
    cr_assert_eq(fixture->flushed_mark.offset, 500);
    fixture_reopen(fixture);
    cr_assert_eq(bookie_store_mark(fixture->store, 0).offset, 500);
    struct bookie_ledger *ledger = fixture_acquire(fixture, 5);
    cr_assert(ledger->exists && ledger->fenced);
    cr_assert_eq(ledger->last_entry, -1);
    cr_assert_eq(ledger->key_size, 3);
    cr_assert(rt_bytes_equal(rt_buf_bytes(&ledger->explicit_lac), RT_BYTES_LITERAL("explicit")));
    fixture_release(fixture, ledger);
}

STORE_CASE(delete_empties_a_record_that_is_held) {
    fixture_open(fixture);
    fixture_put_range(fixture, 5, 0, 9);
    struct bookie_ledger *ledger = fixture_acquire(fixture, 5);
    fixture_run(fixture, change_piece);
    ledger->user = fixture;
    cr_assert_eq(fixture_delete(fixture, 5), RT_OK);
    cr_assert_not(ledger->exists || ledger->fenced || ledger->limbo);
    cr_assert_eq(ledger->last_entry, -1);
    cr_assert_eq(ledger->lac, -1);
    cr_assert_eq(ledger->key_size, 0);
    cr_assert_eq(ledger->explicit_lac.size, 0);
    cr_assert_eq(ledger->user, fixture);
    ledger->user = NULL;
    fixture_release(fixture, ledger);
    cr_assert_eq(fixture_list(fixture, INT64_MIN, 10), RT_OK);
    cr_assert_eq(fixture->id_count, 0);
}

STORE_CASE(flush_with_nothing_new_writes_nothing) {
    fixture_open(fixture);
    fixture_put_range(fixture, 5, 0, 9);
    cr_assert_eq(fixture_flush(fixture), RT_OK);
    cr_assert_eq(fixture_flush(fixture), RT_OK);
    cr_assert_eq(fixture_stats(fixture).flushes, 1);
}

STORE_CASE(marks_of_every_journal_are_kept_and_never_go_back) {
    fixture_open(fixture);
    fixture->journal_end = (struct bookie_mark){3, 100};
    fixture_put_range(fixture, 5, 0, 0);
    cr_assert_eq(fixture_flush(fixture), RT_OK);
    fixture->journal_end = (struct bookie_mark){2, 900};
    fixture_put_range(fixture, 5, 1, 1);
    fixture->options.journal_count = 1;
    fixture_reopen(fixture);
    fixture->options.journal_count = 2;
    fixture_reopen(fixture);
    cr_assert_eq(bookie_store_mark(fixture->store, 0).segment, 3);
    cr_assert_eq(bookie_store_mark(fixture->store, 0).offset, 100);
    cr_assert_eq(bookie_store_mark(fixture->store, 1).segment, 4);
}

STORE_CASE(last_entry_stays_true_when_low_ids_are_written_again) {
    fixture_open(fixture);
    fixture_put_range(fixture, 5, 0, 50);
    cr_assert_eq(fixture_flush(fixture), RT_OK);
    cr_assert_eq(fixture_put(fixture, 5, 0, 1), RT_OK);
    cr_assert_eq(fixture_put(fixture, 5, 20, 1), RT_OK);
    cr_assert_eq(fixture_read(fixture, 5, -1, 0), RT_OK);
    cr_assert_eq(fixture->found, 50);
    fixture_reopen(fixture);
    cr_assert_eq(fixture_read(fixture, 5, -1, 0), RT_OK);
    cr_assert_eq(fixture->found, 50);
    // The new extent begins with the same entry as the old one and hides nothing else of it.
    fixture_expect(fixture, 5, 0, 0, 1);
    fixture_expect(fixture, 5, 1, 19, 0);
    fixture_expect(fixture, 5, 20, 20, 1);
    fixture_expect(fixture, 5, 21, 50, 0);
}

STORE_CASE(same_entry_again_replaces_the_one_that_is_cached) {
    fixture_open(fixture);
    fixture_put_range(fixture, 5, 0, 20);
    cr_assert_eq(fixture_put(fixture, 5, 7, 1), RT_OK);
    fixture_expect(fixture, 5, 7, 7, 1);
    fixture_reopen(fixture);
    fixture_expect(fixture, 5, 7, 7, 1);  // and its extent is in the read cache now
    cr_assert_eq(fixture_put(fixture, 5, 7, 2), RT_OK);
    fixture_expect(fixture, 5, 7, 7, 2);
    cr_assert_eq(fixture_flush(fixture), RT_OK);
    fixture_expect(fixture, 5, 7, 7, 2);
    fixture_expect(fixture, 5, 6, 6, 0);
}

STORE_CASE(ids_reach_from_one_end_to_the_other) {
    static const int64_t ledgers[] = {INT64_MIN, -1, 0, INT64_MAX};
    static const int64_t entries[] = {0, 1, INT64_MAX - 1, INT64_MAX};
    fixture_open(fixture);
    for (unsigned i = 0; i < 4; i++) {
        for (unsigned k = 0; k < 4; k++)
            cr_assert_eq(fixture_put(fixture, ledgers[i], entries[k], 0), RT_OK);
    }
    fixture_reopen(fixture);
    for (unsigned i = 0; i < 4; i++) {
        for (unsigned k = 0; k < 4; k++)
            fixture_expect(fixture, ledgers[i], entries[k], entries[k], 0);
        cr_assert_eq(fixture_read(fixture, ledgers[i], INT64_MAX / 2, 0), RT_ENOTFOUND);
    }
    cr_assert_eq(fixture_list(fixture, INT64_MIN, 10), RT_OK);
    cr_assert_eq(fixture->id_count, 4);
    cr_assert_eq(fixture->ids[0], INT64_MIN);
    cr_assert_eq(fixture_delete(fixture, INT64_MAX), RT_OK);
    cr_assert_eq(fixture_delete(fixture, -1), RT_OK);
    fixture_reopen(fixture);
    fixture_expect(fixture, 0, INT64_MAX, INT64_MAX, 0);
    fixture_expect(fixture, INT64_MIN, 0, 0, 0);
    cr_assert_eq(fixture_read(fixture, INT64_MAX, INT64_MAX, 0), RT_ENOTFOUND);
    cr_assert_eq(fixture_read(fixture, -1, 0, 0), RT_ENOTFOUND);
}

// E > W: a bookie gets every third entry.
STORE_CASE(striped_ledger_takes_one_record_for_many_entries) {
    fixture->options.extent_bytes = 64 << 10;
    fixture->body_size = 100;
    fixture_open(fixture);
    for (int64_t i = 0; i < 1000; i++) cr_assert_eq(fixture_put(fixture, 5, i * 3, 0), RT_OK);
    cr_assert_eq(fixture_flush(fixture), RT_OK);
    cr_assert_leq(fixture_stats(fixture).flushed_extents, 3);
    fixture_reopen(fixture);
    for (int64_t i = 0; i < 1000; i += 7) {
        fixture_expect(fixture, 5, i * 3, i * 3, 0);
        cr_assert_eq(fixture_read(fixture, 5, i * 3 + 1, 0), RT_ENOTFOUND);
    }
    cr_assert_eq(fixture_entries(fixture, 5), RT_OK);
    cr_assert_eq(fixture->id_count, 1000);
    cr_assert_eq(fixture->ids[999], 2997);
}

STORE_CASE(directories_take_turns_and_may_be_given_in_another_order) {
    fixture->options.ledger_dir_count = 2;
    fixture_open(fixture);
    for (int64_t i = 0; i < 4; i++) {
        fixture_put_range(fixture, i, 0, 50);
        cr_assert_eq(fixture_flush(fixture), RT_OK);
    }
    struct bookie_dir_status dirs[2];
    cr_assert_eq(bookie_store_dirs(fixture->store, dirs, 2), 2);
    cr_assert_gt(dirs[0].file_bytes, 0);
    cr_assert_gt(dirs[1].file_bytes, 0);
    fixture_close(fixture);
    fixture->dir_list[0] = fixture->dirs[1];
    fixture->dir_list[1] = fixture->dirs[0];
    fixture_open(fixture);
    for (int64_t i = 0; i < 4; i++) fixture_expect(fixture, i, 0, 50, 0);
    cr_assert_eq(fixture_delete(fixture, 2), RT_OK);
    fixture_reopen(fixture);
    fixture_expect(fixture, 3, 0, 50, 0);
}

STORE_CASE(entry_larger_than_the_cache_is_taken) {
    fixture->options.write_cache_bytes = 64 << 10;
    fixture->body_size = 200 << 10;
    fixture_open(fixture);
    fixture_put_range(fixture, 5, 0, 3);
    fixture_reopen(fixture);
    fixture_expect(fixture, 5, 0, 3, 0);
}
