// Adds: durability, keys, order, and who is refused.
#include <criterion/criterion.h>

#include "tests/unit/bookie_core/stage.h"

enum { RECOVERY = PROTO_BK_RECOVERY, URGENT = PROTO_BK_RECOVERY | PROTO_BK_HIGH_PRIORITY };

Test(bookie_core_add, an_add_is_answered_when_its_record_is_durable_and_readable_before) {
    struct stage *stage = stage_open();
    stage->journals[1].holds = true;
    stage_add(stage, 1, 1, 0, 0);
    stage_expect(stage, "");
    stage_read(stage, 2, 1, 0);
    stage_expect(stage, "2:EOK=e0 ");
    stage_journals_release(stage);
    stage_expect(stage, "1:EOK ");
    stage_close(stage);
}

Test(bookie_core_add, the_first_add_writes_the_key_in_front_of_its_entry_and_once) {
    struct stage *stage = stage_open();
    stage_add(stage, 1, 1, 0, 0);
    stage_add(stage, 2, 1, 1, 0);
    stage_add(stage, 3, 2, 0, 0);
    stage_expect(stage, "1:EOK 2:EOK 3:EOK ");
    stage_expect_journal(stage, 1, "key 1, entry 1/0, entry 1/1");
    stage_expect_journal(stage, 0, "key 2, entry 2/0");
    stage_close(stage);
}

Test(bookie_core_add, another_key_is_unauthorized_and_changes_nothing) {
    struct stage *stage = stage_open();
    stage_add(stage, 1, 1, 0, 0);
    stage_add_key(stage, 2, 1, 1, stage_key('x'));
    stage_add_key(stage, 3, 1, 1, RT_BYTES(NULL, 0));
    stage_expect(stage, "1:EOK 2:EUA 3:EUA ");
    stage_read(stage, 4, 1, 1);
    stage_expect(stage, "4:ENOENTRY ");
    stage_expect_journal(stage, 1, "key 1, entry 1/0");
    stage_close(stage);
}

Test(bookie_core_add, a_key_larger_than_any_is_unauthorized) {
    struct stage *stage = stage_open();
    static const uint8_t key[BOOKIE_KEY_MAX + 1] = {1};
    stage_add_key(stage, 1, 1, 0, RT_BYTES(key, sizeof(key)));
    stage_expect(stage, "1:EUA ");
    stage_add_key(stage, 2, 1, 0, RT_BYTES(key, BOOKIE_KEY_MAX));
    stage_expect(stage, "2:EOK ");
    stage_close(stage);
}

Test(bookie_core_add, a_key_of_zeroes_counts_as_unset_and_the_first_real_one_stays) {
    static const uint8_t zeroes[STAGE_KEY];
    struct stage *stage = stage_open();
    stage_add_key(stage, 1, 1, 0, RT_BYTES(zeroes, sizeof(zeroes)));
    stage_add_key(stage, 2, 1, 1, RT_BYTES(NULL, 0));
    stage_add_key(stage, 3, 1, 2, stage_key('k'));
    stage_add_key(stage, 4, 1, 3, stage_key('x'));
    stage_add_key(stage, 5, 1, 3, RT_BYTES(zeroes, sizeof(zeroes)));
    stage_expect(stage, "1:EOK 2:EOK 3:EOK 4:EUA 5:EUA ");
    stage_expect_journal(stage, 1, "key 1, entry 1/0, entry 1/1, key 1, entry 1/2");
    stage_close(stage);
}

Test(bookie_core_add, the_same_entry_again_succeeds) {
    struct stage *stage = stage_open();
    stage_add(stage, 1, 1, 5, 0);
    stage_add(stage, 2, 1, 5, 0);
    stage_add(stage, 3, 1, 2, 0);
    stage_read(stage, 4, 1, -1);
    stage_expect(stage, "1:EOK 2:EOK 3:EOK 4:EOK=e5 ");
    stage_close(stage);
}

Test(bookie_core_add, answers_of_one_ledger_keep_the_order_over_loading) {
    struct stage *stage = stage_new();
    stage->store.is_cold = stage->store.holds = true;
    stage_start(stage);
    for (unsigned i = 0; i < 5; i++) stage_add(stage, i, 1, i, 0);
    stage_expect(stage, "");
    stage_store_release(stage);
    stage_expect(stage, "0:EOK 1:EOK 2:EOK 3:EOK 4:EOK ");
    stage_expect_journal(stage, 1, "key 1, entry 1/0, entry 1/1, entry 1/2, entry 1/3, entry 1/4");
    cr_assert_eq(stage->store.loads_done, 1, "one load for all");
    stage_close(stage);
}

Test(bookie_core_add, a_ledger_that_cannot_be_loaded_is_an_io_error) {
    struct stage *stage = stage_new();
    stage->store.is_cold = true;
    stage->store.load_err = RT_ECORRUPT;
    stage_start(stage);
    stage_add(stage, 1, 1, 0, 0);
    stage_read(stage, 2, 1, 0);
    stage_fence(stage, 3, 1, 0);
    stage_expect(stage, "1:EIO 2:EIO 3:EIO ");
    stage_close(stage);
}

Test(bookie_core_add, a_body_that_is_not_the_requests_entry_is_a_bad_request) {
    struct stage *stage = stage_open();
    struct rt_buf body = {0};
    struct proto_bk_request request = {.form = PROTO_BK_V3,
                                       .kind = PROTO_BK_ADD,
                                       .ledger = 1,
                                       .entry = 0,
                                       .key = stage_key('k'),
                                       .flags = PROTO_BK_HAS_KEY};
    request.body = stage_body(2, 0, -1, &body);
    stage_ask(stage, 1, &request);
    request.body = stage_body(1, 1, -1, &body);
    stage_ask(stage, 2, &request);
    request.body = RT_BYTES(body.data, 23);
    stage_ask(stage, 3, &request);
    request.body = stage_body(-1, 0, -1, &body);
    request.ledger = -1;
    stage_ask(stage, 4, &request);
    stage_expect(stage, "1:EBADREQ 2:EBADREQ 3:EBADREQ 4:EBADREQ ");
    rt_buf_fini(&body);
    stage_close(stage);
}

static void read_only_act(struct stage *stage) {
    bookie_core_set_read_only(stage->core, true, false);
}

static void room_for_recovery_act(struct stage *stage) {
    bookie_core_set_read_only(stage->core, true, true);
}

Test(bookie_core_add, a_read_only_bookie_takes_urgent_adds_only_and_only_with_room) {
    struct stage *stage = stage_open();
    stage_add(stage, 1, 1, 0, 0);
    stage_act(stage, read_only_act);
    stage_add(stage, 2, 1, 1, 0);
    stage_add(stage, 3, 1, 1, URGENT);
    stage_write_lac(stage, 4, 1, 0);
    stage_act(stage, room_for_recovery_act);
    stage_add(stage, 5, 1, 1, 0);
    stage_add(stage, 6, 1, 1, RECOVERY);
    stage_add(stage, 7, 1, 1, URGENT);
    stage_write_lac(stage, 8, 1, 0);
    stage_fence(stage, 9, 1, -1);
    stage_expect(stage,
                 "1:EOK 2:EREADONLY 3:EREADONLY 4:EREADONLY 5:EREADONLY 6:EREADONLY 7:EOK "
                 "8:EREADONLY 9:EOK=e1 ");
    stage_close(stage);
}

Test(bookie_core_add, a_deferred_add_is_answered_before_the_sync_and_force_waits_for_it) {
    struct stage *stage = stage_open();
    stage->journals[1].holds_syncs = true;
    stage_add(stage, 1, 1, 0, PROTO_BK_DEFERRED_SYNC);
    stage_expect(stage, "");  // the key in front of it is not deferred
    stage_journals_release(stage);
    stage_expect(stage, "1:EOK ");
    stage->journals[1].holds_syncs = true;
    stage_add(stage, 2, 1, 1, PROTO_BK_DEFERRED_SYNC);
    stage_expect(stage, "2:EOK ");
    stage_simple(stage, 3, PROTO_BK_FORCE_LEDGER, 1);
    stage_simple(stage, 4, PROTO_BK_FORCE_LEDGER, 2);
    stage_expect(stage, "4:EOK ");
    stage_journals_release(stage);
    stage_expect(stage, "3:EOK ");
    stage_expect_journal(stage, 0, "force");
    stage_close(stage);
}

Test(bookie_core_add, without_a_journal_an_add_is_answered_when_it_is_in_the_cache) {
    struct stage *stage = stage_new();
    stage->options.journal_writes = false;
    stage_start(stage);
    stage->journals[1].holds = true;
    stage_add(stage, 1, 1, 0, 0);
    stage_expect(stage, "1:EOK ");
    stage_expect_journal(stage, 1, "");
    stage_fence(stage, 2, 1, -1);
    stage_expect(stage, "");
    stage_journals_release(stage);
    stage_expect(stage, "2:EOK=e0 ");
    stage_expect_journal(stage, 1, "fence 1");
    stage_close(stage);
}

Test(bookie_core_add, nothing_is_answered_ok_after_the_journal_failed) {
    struct stage *stage = stage_open();
    stage_add(stage, 1, 1, 0, 0);
    stage_expect(stage, "1:EOK ");
    stage->journals[1].fails = true;
    stage_add(stage, 2, 1, 1, 0);
    stage->journals[1].fails = false;
    stage_add(stage, 3, 1, 2, 0);
    stage_add(stage, 4, 2, 0, RECOVERY);
    stage_fence(stage, 5, 1, 0);
    stage_fence(stage, 6, 7, 0);
    stage_write_lac(stage, 7, 1, 0);
    stage_simple(stage, 8, PROTO_BK_FORCE_LEDGER, 1);
    stage_expect(stage, "2:EIO 3:EIO 4:EIO 5:EIO 6:EIO 7:EIO 8:EIO ");
    stage_read(stage, 9, 1, 0);
    stage_expect(stage, "9:EOK=e0 ");
    stage_close(stage);
}

static void failed_act(struct stage *stage) {
    bookie_core_on_failed(stage->core);
}

Test(bookie_core_add, what_is_under_way_when_a_journal_fails_is_not_answered_ok) {
    struct stage *stage = stage_open();
    stage->journals[1].holds = true;
    stage_add(stage, 1, 1, 0, 0);
    stage_fence(stage, 2, 3, 0);
    stage_act(stage, failed_act);
    stage_journals_release(stage);
    stage_expect(stage, "1:EIO 2:EIO ");
    stage_close(stage);
}

Test(bookie_core_add, a_put_that_fails_is_an_io_error_and_not_journaled) {
    struct stage *stage = stage_open();
    stage->store.put_err = RT_EFAILED;
    stage_add(stage, 1, 1, 0, 0);
    stage_expect(stage, "1:EIO ");
    stage_expect_journal(stage, 1, "");
    stage_close(stage);
}
