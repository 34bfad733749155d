// Reads: absence is said only when it is known, budgets of batches, workers.
#include <criterion/criterion.h>

#include "tests/unit/bookie_core/stage.h"

static struct stage *with_entries(unsigned count) {
    struct stage *stage = stage_open();
    for (unsigned i = 0; i < count; i++) stage_add(stage, i, 1, i, 0);
    stage->log_size = 0;
    stage->log[0] = '\0';
    return stage;
}

Test(bookie_core_read, no_ledger_no_entry_and_io_errors_are_different_answers) {
    struct stage *stage = with_entries(3);
    stage_read(stage, 1, 1, 1);
    stage_read(stage, 2, 1, 3);
    stage_read(stage, 3, 2, 0);
    stage_read(stage, 4, 2, -1);
    stage_read(stage, 5, 1, -1);
    stage_read(stage, 6, 1, -2);
    stage_expect(stage, "1:EOK=e1 2:ENOENTRY 3:ENOLEDGER 4:ENOLEDGER 5:EOK=e2 6:EBADREQ ");
    stage->store.is_slow = true;
    stage->store.read_err = RT_EIO;
    stage_read(stage, 1, 1, 1);
    stage->store.read_err = RT_ECORRUPT;
    stage_read(stage, 2, 1, 1);
    stage_read(stage, 3, 1, -1);
    stage->store.read_err = RT_EBUSY;
    stage_read(stage, 4, 1, 1);
    stage->store.read_err = RT_OK;
    stage_read(stage, 5, 1, 1);
    stage_expect(stage, "1:EIO 2:EIO 3:EIO 4:ETOOMANYREQUESTS 5:EOK=e1 ");
    stage_close(stage);
}

Test(bookie_core_read, a_ledger_that_was_only_fenced_has_no_entry) {
    struct stage *stage = stage_open();
    stage_fence(stage, 1, 1, -1);
    stage_read(stage, 2, 1, -1);
    stage_read(stage, 3, 1, 0);
    stage_batch(stage, 4, 1, 0, 1, 1000);
    stage_batch(stage, 5, 2, 0, 1, 1000);
    stage_expect(stage, "1:ENOENTRY 2:ENOENTRY 3:ENOENTRY 4:ENOENTRY 5:ENOLEDGER ");
    stage_close(stage);
}

Test(bookie_core_read, v3_tells_the_lac_and_fences_do_not) {
    struct stage *stage = with_entries(3);
    struct proto_bk_request request = {
        .form = PROTO_BK_V3, .kind = PROTO_BK_READ, .ledger = 1, .entry = 0};
    stage_ask(stage, 1, &request);
    request.flags = PROTO_BK_FENCE | PROTO_BK_HAS_KEY;
    request.key = stage_key('k');
    stage_ask(stage, 2, &request);
    stage_expect(stage, "1:EOK=e0lac=1 2:EOK=e0 ");
    stage_close(stage);
}

static void forget_lac_act(struct stage *stage) {
    fake_store_ledger(&stage->store, 1)->lac = -1;
}

Test(bookie_core_read, v3_tells_the_lac_of_the_entry_itself_after_a_restart) {
    struct stage *stage = with_entries(3);
    stage_act(stage, forget_lac_act);
    stage_simple(stage, 1, PROTO_BK_READ, 1);
    stage_expect(stage, "1:EOK=e0lac=-1 ");
    stage_ask(stage, 2,
              &(struct proto_bk_request){
                  .form = PROTO_BK_V3, .kind = PROTO_BK_READ, .ledger = 1, .entry = 2});
    stage_expect(stage, "2:EOK=e2lac=1 ");
    stage_close(stage);
}

// BATCHES: 36 bytes, and of each entry 4 and its 26.

Test(bookie_core_read, a_batch_ends_at_its_count_at_its_size_and_at_a_gap) {
    struct stage *stage = with_entries(6);
    stage_add(stage, 9, 1, 7, 0);
    stage_expect(stage, "9:EOK ");
    stage_batch(stage, 1, 1, 0, 2, 1000);
    stage_batch(stage, 2, 1, 4, 0, 1000);
    stage_batch(stage, 3, 1, 0, 10, 36 + 3 * 30);
    stage_batch(stage, 4, 1, 0, 10, 36 + 3 * 30 - 1);
    stage_batch(stage, 5, 1, 0, 10, 1);
    stage_batch(stage, 6, 1, 2, -1, 0);
    stage_batch(stage, 7, 1, 6, 10, 1000);
    stage_batch(stage, 8, 1, 7, 10, 1000);
    stage_batch(stage, 10, 1, -1, 10, 1000);
    stage_batch(stage, 11, 1, INT64_MAX, 10, 1000);
    stage_expect(stage,
                 "1:EOK=e0,e1 2:EOK=e4,e5 3:EOK=e0,e1,e2 4:EOK=e0,e1 5:EOK=e0 6:EOK=e2 "
                 "7:ENOENTRY 8:EOK=e7 10:EBADREQ 11:ENOENTRY ");
    stage_close(stage);
}

Test(bookie_core_read, the_bookies_own_batch_size_and_frame_size_bound_a_batch) {
    struct stage *stage = stage_new();
    stage->options.batch_read_bytes_max = 36 + 2 * 30;
    stage_start(stage);
    for (unsigned i = 0; i < 4; i++) stage_add(stage, i, 1, i, 0);
    stage_batch(stage, 5, 1, 0, 10, INT64_MAX);
    stage_expect(stage, "0:EOK 1:EOK 2:EOK 3:EOK 5:EOK=e0,e1 ");
    stage_stop(stage);
    stage->options.batch_read_bytes_max = 1000;
    stage->options.frame_size_max = 36 + 30;
    stage_start(stage);
    stage_batch(stage, 5, 1, 0, 10, INT64_MAX);
    stage_stop(stage);
    stage->options.frame_size_max = 36 + 29;
    stage_start(stage);
    stage_batch(stage, 6, 1, 0, 10, INT64_MAX);
    stage_expect(stage, "5:EOK=e0 6:EIO ");
    stage_close(stage);
}

Test(bookie_core_read, a_batch_goes_on_over_slow_reads_and_ends_at_the_first_failure) {
    struct stage *stage = with_entries(4);
    stage->store.is_slow = true;
    stage_batch(stage, 1, 1, 0, 10, 1000);
    stage_batch(stage, 2, 1, 1, 2, 1000);
    stage_expect(stage, "1:EOK=e0,e1,e2,e3 2:EOK=e1,e2 ");
    stage->store.read_err = RT_EIO;
    stage_batch(stage, 3, 1, 0, 10, 1000);
    stage_expect(stage, "3:EIO ");
    stage_close(stage);
}

Test(bookie_core_read, no_more_reads_are_under_way_than_allowed) {
    struct stage *stage = stage_new();
    stage->options.reads_in_progress_max = 2;
    stage_start(stage);
    for (unsigned i = 0; i < 5; i++) stage_add(stage, i, 1, i, 0);
    stage->store.is_slow = stage->store.holds = true;
    for (unsigned i = 0; i < 5; i++) stage_read(stage, i, 1, i);
    cr_assert_eq(bookie_core_stats(stage->core).reads_in_progress, 2);
    stage_store_release(stage);
    stage_expect(stage,
                 "0:EOK 1:EOK 2:EOK 3:EOK 4:EOK "
                 "0:EOK=e0 1:EOK=e1 2:EOK=e2 3:EOK=e3 4:EOK=e4 ");
    cr_assert_eq(bookie_core_stats(stage->core).reads_in_progress, 0);
    stage_close(stage);
}

Test(bookie_core_read, reads_of_a_client_that_is_gone_are_stopped) {
    struct stage *stage = stage_new();
    stage->options.reads_in_progress_max = 1;
    stage_start(stage);
    stage_add(stage, 1, 1, 0, 0);
    stage->store.is_slow = stage->store.holds = true;
    stage_read(stage, 2, 1, 0);
    stage_read(stage, 3, 1, 0);
    stage_read(stage, 4, 1, 0);
    stage_expect(stage, "1:EOK ");
    stage_abandon(stage, 2);
    stage_expect(stage, "2:EIO ");
    stage_abandon(stage, 4);
    stage_expect(stage, "4:EIO ");
    stage_store_release(stage);
    stage_expect(stage, "3:EOK=e0 ");
    cr_assert_eq(stage->store.reads_done, 1);
    stage_close(stage);
}

// LISTS

Test(bookie_core_read, the_list_of_entries_has_what_is_there) {
    struct stage *stage = with_entries(3);
    stage_simple(stage, 1, PROTO_BK_LIST_ENTRIES, 1);
    stage_simple(stage, 2, PROTO_BK_LIST_ENTRIES, 2);
    stage->store.read_err = RT_EIO;
    stage_simple(stage, 3, PROTO_BK_LIST_ENTRIES, 1);
    stage_expect(stage, "1:EOKn=3 2:ENOLEDGER 3:EIO ");
    stage_close(stage);
}
