// Fences: durable before the answer, remembered, and no add behind them.
#include <criterion/criterion.h>

#include "tests/unit/bookie_core/stage.h"

static const int64_t day_ms = INT64_C(24) * 60 * 60 * 1000;

Test(bookie_core_fence, a_fence_is_answered_when_its_record_is_durable) {
    struct stage *stage = stage_open();
    stage_add(stage, 1, 1, 0, 0);
    stage->journals[1].holds = true;
    stage_fence(stage, 2, 1, -1);
    stage_expect(stage, "1:EOK ");
    stage_add(stage, 3, 1, 1, 0);
    stage_expect(stage, "3:EFENCED ");
    stage_journals_release(stage);
    stage_expect(stage, "2:EOK=e0 ");
    stage_expect_journal(stage, 1, "key 1, entry 1/0, fence 1");
    stage_close(stage);
}

Test(bookie_core_fence, the_store_is_told_of_a_fence_so_that_it_goes_with_the_next_flush) {
    struct stage *stage = stage_open();
    stage_add(stage, 1, 1, 0, 0);
    unsigned changes = stage->store.changes;
    stage_fence(stage, 2, 1, -1);
    cr_expect_gt(stage->store.changes, changes);
    changes = stage->store.changes;
    stage_fence(stage, 3, 1, -1);
    cr_expect_eq(stage->store.changes, changes);
    stage_expect(stage, "1:EOK 2:EOK=e0 3:EOK=e0 ");
    stage_close(stage);
}

Test(bookie_core_fence, of_an_unknown_ledger_it_is_kept_with_the_key_and_durable_before_no_entry) {
    struct stage *stage = stage_open();
    stage->journals[1].holds = true;
    stage_fence(stage, 1, 1, -1);
    stage_expect(stage, "");
    stage_journals_release(stage);
    stage_expect(stage, "1:ENOENTRY ");
    stage_expect_journal(stage, 1, "fence 1");
    stage_add(stage, 2, 1, 0, 0);
    stage_add_key(stage, 3, 1, 0, stage_key('x'));
    stage_read(stage, 4, 1, 0);
    stage_expect(stage, "2:EFENCED 3:EUA 4:ENOENTRY ");
    cr_assert_gt(stage->store.changes, 0, "the store was told");
    stage_close(stage);
}

Test(bookie_core_fence, a_recovery_add_passes_on_fenced_and_on_unknown_ledgers) {
    struct stage *stage = stage_open();
    stage_fence(stage, 1, 1, -1);
    stage_add(stage, 2, 1, 0, PROTO_BK_RECOVERY);
    stage_add(stage, 3, 5, 0, PROTO_BK_RECOVERY);
    stage_fence(stage, 4, 1, -1);
    stage_expect(stage, "1:ENOENTRY 2:EOK 3:EOK 4:EOK=e0 ");
    stage_close(stage);
}

Test(bookie_core_fence, the_second_waits_for_the_record_of_the_first) {
    struct stage *stage = stage_open();
    stage->journals[1].holds = true;
    stage_fence(stage, 1, 1, -1);
    stage_fence(stage, 2, 1, 0);
    stage_fence(stage, 3, 1, -1);
    stage_read(stage, 4, 1, 0);
    stage_expect(stage, "4:ENOENTRY ");
    stage_journals_release(stage);
    stage_expect(stage, "1:ENOENTRY 2:ENOENTRY 3:ENOENTRY ");
    stage_expect_journal(stage, 1, "fence 1");
    stage_fence(stage, 5, 1, 0);
    stage_expect(stage, "5:ENOENTRY ");
    stage_expect_journal(stage, 1, "fence 1");
    stage_close(stage);
}

Test(bookie_core_fence, the_second_fails_with_the_first) {
    struct stage *stage = stage_open();
    stage->journals[1].holds = true;
    stage_fence(stage, 1, 1, -1);
    stage_fence(stage, 2, 1, 0);
    stage->journals[1].fails = true;
    stage_journals_release(stage);
    stage_expect(stage, "1:EIO 2:EIO ");
    stage_add(stage, 3, 1, 0, 0);
    stage_expect(stage, "3:EIO ");
    stage_close(stage);
}

Test(bookie_core_fence, it_needs_the_key_and_a_plain_read_does_not) {
    struct stage *stage = stage_open();
    struct proto_bk_request request = {.form = PROTO_BK_V2,
                                       .kind = PROTO_BK_READ,
                                       .flags = PROTO_BK_FENCE,
                                       .ledger = 1,
                                       .entry = 0};
    stage_add(stage, 1, 1, 0, 0);
    stage_ask(stage, 2, &request);
    request.flags |= PROTO_BK_HAS_KEY;
    request.key = stage_key('x');
    stage_ask(stage, 3, &request);
    stage_read(stage, 4, 1, 0);
    stage_add(stage, 5, 1, 1, 0);
    stage_expect(stage, "1:EOK 2:EUA 3:EUA 4:EOK=e0 5:EOK ");
    request.ledger = 9;
    request.flags = PROTO_BK_FENCE;
    stage_ask(stage, 6, &request);
    stage_read(stage, 7, 9, 0);
    stage_expect(stage, "6:EUA 7:ENOLEDGER ");
    stage_close(stage);
}

Test(bookie_core_fence, an_add_before_it_counts_and_is_seen_by_its_read) {
    struct stage *stage = stage_open();
    stage->journals[1].holds = true;
    stage_add(stage, 1, 1, 0, 0);
    stage_fence(stage, 2, 1, -1);
    stage_add(stage, 3, 1, 1, 0);
    stage_journals_release(stage);
    stage_expect(stage, "3:EFENCED 1:EOK 2:EOK=e0 ");
    stage_expect_journal(stage, 1, "key 1, entry 1/0, fence 1");
    stage_close(stage);
}

Test(bookie_core_fence, a_batch_read_fences_too) {
    struct stage *stage = stage_open();
    stage_add(stage, 1, 1, 0, 0);
    stage->journals[1].holds = true;
    stage_ask(stage, 2,
              &(struct proto_bk_request){.form = PROTO_BK_V2,
                                         .kind = PROTO_BK_BATCH_READ,
                                         .flags = PROTO_BK_FENCE | PROTO_BK_HAS_KEY,
                                         .ledger = 1,
                                         .key = stage_key('k'),
                                         .size_max = 1000});
    stage_add(stage, 3, 1, 1, 0);
    stage_expect(stage, "1:EOK 3:EFENCED ");
    stage_journals_release(stage);
    stage_expect(stage, "2:EOK=e0 ");
    stage_close(stage);
}

Test(bookie_core_fence, a_negative_ledger_is_never_created) {
    struct stage *stage = stage_open();
    stage_fence(stage, 1, -7, 0);
    stage_read(stage, 2, -7, 0);
    stage_expect(stage, "1:EBADREQ 2:EBADREQ ");
    stage_expect_journal(stage, 1, "");
    stage_close(stage);
}

// FENCED AND DELETED

static void forget_act(struct stage *stage) {
    bookie_core_forget_ledger(stage->core, 1, true);
    bookie_core_forget_ledger(stage->core, 3, false);
    fake_store_delete(&stage->store, 1);
    fake_store_delete(&stage->store, 3);
}

Test(bookie_core_fence, a_ledger_that_was_fenced_and_deleted_stays_fenced_for_a_week) {
    struct stage *stage = stage_open();
    stage_fence(stage, 1, 1, -1);
    stage_add(stage, 2, 3, 0, 0);
    stage_act(stage, forget_act);
    stage_read(stage, 3, 1, 0);
    stage_add(stage, 4, 1, 0, 0);
    stage_write_lac(stage, 5, 1, 0);
    stage_add(stage, 6, 3, 1, 0);
    stage_run(stage, (uint64_t)(7 * day_ms));
    stage_add(stage, 7, 1, 0, 0);
    stage_run(stage, (uint64_t)(1 * day_ms));
    stage_add(stage, 8, 1, 0, 0);
    stage_expect(stage,
                 "1:ENOENTRY 2:EOK 3:ENOLEDGER 4:EFENCED 5:ENOLEDGER 6:EOK 7:EFENCED 8:EOK ");
    stage_close(stage);
}

Test(bookie_core_fence, replicated_back_after_its_deletion_it_is_fenced_again) {
    struct stage *stage = stage_open();
    stage_fence(stage, 1, 1, -1);
    stage_act(stage, forget_act);
    stage_add(stage, 2, 1, 0, PROTO_BK_RECOVERY);
    stage_run(stage, (uint64_t)(9 * day_ms));
    stage_add(stage, 3, 1, 1, 0);
    stage_expect(stage, "1:ENOENTRY 2:EOK 3:EFENCED ");
    stage_expect_journal(stage, 1, "fence 1, key 1, fence 1, entry 1/0");
    stage_close(stage);
}

static void about_to_delete_act(struct stage *stage) {
    bookie_core_forget_ledger(stage->core, 1, false);
}

static void delete_act(struct stage *stage) {
    fake_store_delete(&stage->store, 1);
}

Test(bookie_core_fence, one_that_comes_while_the_ledger_is_deleted_is_remembered) {
    struct stage *stage = stage_open();
    stage_add(stage, 1, 1, 0, 0);
    stage_act(stage, about_to_delete_act);
    stage->journals[1].holds = true;
    stage_fence(stage, 2, 1, -1);
    stage_act(stage, delete_act);
    stage_journals_release(stage);
    stage_add(stage, 3, 1, 1, 0);
    stage_expect(stage, "1:EOK 2:ENOLEDGER 3:EFENCED ");
    stage_close(stage);
}

// LIMBO

static void limbo_act(struct stage *stage) {
    struct bookie_ledger *ledger = fake_store_ledger(&stage->store, 1);
    ledger->exists = ledger->fenced = ledger->limbo = true;
    ledger->key_size = 0;
}

static void limbo_only_act(struct stage *stage) {
    struct bookie_ledger *ledger = fake_store_ledger(&stage->store, 1);
    ledger->exists = ledger->limbo = true;
}

Test(bookie_core_fence, in_limbo_what_is_missing_is_unknown_and_what_is_there_is_served) {
    struct stage *stage = stage_open();
    stage_add(stage, 1, 1, 0, 0);
    stage_act(stage, limbo_act);
    stage_read(stage, 2, 1, 0);
    stage_read(stage, 3, 1, 1);
    stage_read(stage, 4, 1, -1);
    stage_batch(stage, 5, 1, 0, 10, 1000);
    stage_batch(stage, 6, 1, 1, 10, 1000);
    stage_simple(stage, 7, PROTO_BK_READ_LAC, 1);
    stage_simple(stage, 8, PROTO_BK_LIST_ENTRIES, 1);
    stage_poll(stage, 9, 1, -1, 1000, 0);
    stage_fence(stage, 10, 1, 3);
    stage_add(stage, 11, 1, 1, 0);
    stage_add(stage, 12, 1, 1, PROTO_BK_RECOVERY);
    stage_expect(stage,
                 "1:EOK 2:EOK=e0 3:EUNKNOWNLEDGERSTATE 4:EUNKNOWNLEDGERSTATE 5:EOK=e0 "
                 "6:EUNKNOWNLEDGERSTATE 7:EUNKNOWNLEDGERSTATE 8:EUNKNOWNLEDGERSTATE "
                 "9:EUNKNOWNLEDGERSTATE 10:EUNKNOWNLEDGERSTATE 11:EFENCED 12:EOK ");
    stage_close(stage);
}

Test(bookie_core_fence, in_limbo_and_not_fenced_an_add_is_unauthorized) {
    struct stage *stage = stage_open();
    stage_act(stage, limbo_only_act);
    stage_add(stage, 1, 1, 0, 0);
    stage_expect(stage, "1:EUA ");
    stage_close(stage);
}
