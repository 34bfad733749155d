// LACs: explicit ones, and reads that wait for them.
#include <criterion/criterion.h>

#include "tests/unit/bookie_core/stage.h"

enum { WAIT_MS = 10000, PIGGYBACK = PROTO_BK_PIGGYBACK };

Test(bookie_core_lac, an_explicit_lac_is_durable_before_its_answer_and_read_back) {
    struct stage *stage = stage_open();
    stage_add(stage, 1, 1, 0, 0);
    stage->journals[1].holds = true;
    stage_write_lac(stage, 2, 1, 41);
    stage_expect(stage, "1:EOK ");
    stage_journals_release(stage);
    stage_simple(stage, 3, PROTO_BK_READ_LAC, 1);
    stage_expect(stage, "2:EOK 3:EOKexplicit=41last=e0 ");
    stage_expect_journal(stage, 1, "key 1, entry 1/0, key 1, lac 1");
    stage_close(stage);
}

Test(bookie_core_lac, it_creates_the_ledger_with_its_key_and_an_older_one_changes_nothing) {
    struct stage *stage = stage_open();
    stage_write_lac(stage, 1, 1, 7);
    stage_write_lac(stage, 2, 1, 5);
    stage_simple(stage, 3, PROTO_BK_READ_LAC, 1);
    stage_add_key(stage, 4, 1, 0, stage_key('x'));
    stage_read(stage, 5, 1, 0);
    stage_expect(stage, "1:EOK 2:EOK 3:EOKexplicit=7 4:EUA 5:ENOENTRY ");
    stage_close(stage);
}

Test(bookie_core_lac, read_lac_tells_what_there_is) {
    struct stage *stage = stage_open();
    stage_simple(stage, 1, PROTO_BK_READ_LAC, 1);
    stage_fence(stage, 2, 1, -1);
    stage_simple(stage, 3, PROTO_BK_READ_LAC, 1);
    stage_add(stage, 4, 2, 0, 0);
    stage_simple(stage, 5, PROTO_BK_READ_LAC, 2);
    stage->store.is_slow = true;
    stage_simple(stage, 6, PROTO_BK_READ_LAC, 2);
    stage->store.read_err = RT_EIO;
    stage_simple(stage, 7, PROTO_BK_READ_LAC, 2);
    stage_expect(stage, "1:ENOLEDGER 2:ENOENTRY 3:ENOENTRY 4:EOK 5:EOKlast=e0 6:EOKlast=e0 7:EIO ");
    stage_close(stage);
}

Test(bookie_core_lac, a_body_that_is_not_the_requests_lac_is_a_bad_request) {
    struct stage *stage = stage_open();
    static const uint8_t zeroes[300];
    struct proto_bk_request request = {.form = PROTO_BK_V3,
                                       .kind = PROTO_BK_WRITE_LAC,
                                       .flags = PROTO_BK_HAS_KEY,
                                       .key = stage_key('k'),
                                       .body = RT_BYTES(zeroes, 15)};
    stage_ask(stage, 1, &request);
    request.body.size = sizeof(zeroes);
    stage_ask(stage, 2, &request);
    request.body.size = 16;
    request.lac = 1;
    stage_ask(stage, 3, &request);
    request.lac = 0;
    stage_ask(stage, 4, &request);
    stage_expect(stage, "1:EBADREQ 2:EBADREQ 3:EBADREQ 4:EOK ");
    stage_close(stage);
}

// LONG POLLS

Test(bookie_core_lac, a_long_poll_is_answered_at_once_when_the_lac_is_past_it) {
    struct stage *stage = stage_open();
    stage_add_lac(stage, 1, 1, 0, -1);
    stage_add_lac(stage, 2, 1, 1, 0);
    stage_poll(stage, 3, 1, -1, WAIT_MS, 0);
    stage_poll(stage, 4, 1, -1, WAIT_MS, PIGGYBACK);
    stage_poll(stage, 5, 2, -1, WAIT_MS, PIGGYBACK);
    stage_expect(stage, "1:EOK 2:EOK 3:EOK=e1lac=0 4:EOK=e0@0lac=0 5:ENOLEDGER ");
    stage_close(stage);
}

Test(bookie_core_lac, it_waits_for_the_lac_to_pass_what_it_knows) {
    struct stage *stage = stage_open();
    stage_add_lac(stage, 1, 1, 0, -1);
    stage_add_lac(stage, 2, 1, 1, 0);
    stage_poll(stage, 3, 1, 0, WAIT_MS, PIGGYBACK);
    stage_poll(stage, 4, 1, 1, WAIT_MS, PIGGYBACK);
    stage_poll(stage, 5, 1, 0, WAIT_MS, 0);
    cr_assert_eq(bookie_core_stats(stage->core).long_polls, 3);
    stage_add_lac(stage, 6, 1, 2, 1);
    stage_expect(stage, "1:EOK 2:EOK 3:EOK=e1@1lac=1 5:EOK=e2lac=1 6:EOK ");
    stage_add_lac(stage, 7, 1, 3, 2);
    stage_expect(stage, "4:EOK=e2@2lac=2 7:EOK ");
    cr_assert_eq(bookie_core_stats(stage->core).long_polls, 0);
    stage_close(stage);
}

Test(bookie_core_lac, it_ends_with_its_time) {
    struct stage *stage = stage_open();
    stage_add_lac(stage, 1, 1, 0, -1);
    stage_poll(stage, 2, 1, 5, WAIT_MS, PIGGYBACK);
    stage_poll(stage, 3, 1, 5, WAIT_MS, 0);
    stage_poll(stage, 4, 1, 5, 0, PIGGYBACK);
    stage_poll(stage, 5, 1, 5, -1, PIGGYBACK);  // no timeout: it does not wait
    stage_expect(stage, "1:EOK 4:EOKlac=-1 5:EOKlac=-1 ");
    stage_run(stage, WAIT_MS - 1000);
    stage_expect(stage, "");
    stage_run(stage, 1000);
    stage_expect(stage, "2:EOKlac=-1 3:EOK=e0lac=-1 ");
    stage_close(stage);
}

Test(bookie_core_lac, a_fence_wakes_it_and_a_fenced_ledger_does_not_let_it_wait) {
    struct stage *stage = stage_open();
    stage_add_lac(stage, 1, 1, 0, -1);
    stage_poll(stage, 2, 1, 5, WAIT_MS, PIGGYBACK);
    stage_fence(stage, 3, 1, -1);
    stage_poll(stage, 4, 1, 5, WAIT_MS, PIGGYBACK);
    stage_expect(stage, "1:EOK 2:EOKlac=-1 3:EOK=e0 4:EOKlac=-1 ");
    stage_close(stage);
}

Test(bookie_core_lac, an_explicit_lac_wakes_it) {
    struct stage *stage = stage_open();
    stage_add_lac(stage, 1, 1, 0, -1);
    stage_poll(stage, 2, 1, -1, WAIT_MS, PIGGYBACK);
    stage_write_lac(stage, 3, 1, 0);
    stage_expect(stage, "1:EOK 2:EOK=e0@0lac=0 3:EOK ");
    stage_close(stage);
}

static void poke_act(struct stage *stage) {
    bookie_core_poke(stage->core, 1);
    bookie_core_poke(stage->core, 99);
}

Test(bookie_core_lac, a_poke_wakes_it) {
    struct stage *stage = stage_open();
    stage_add_lac(stage, 1, 1, 0, -1);
    stage_poll(stage, 2, 1, 5, WAIT_MS, 0);
    stage_act(stage, poke_act);
    stage_expect(stage, "1:EOK 2:EOK=e0lac=-1 ");
    stage_close(stage);
}

Test(bookie_core_lac, the_entry_of_a_piggyback_read_may_lie_elsewhere) {
    struct stage *stage = stage_open();
    stage_add_lac(stage, 1, 1, 5, 4);
    stage_poll(stage, 2, 1, 2, WAIT_MS, PIGGYBACK);
    stage->store.is_slow = true;
    stage->store.read_err = RT_EIO;
    stage_poll(stage, 3, 1, 2, WAIT_MS, PIGGYBACK);
    stage_expect(stage, "1:EOK 2:EOK@3lac=4 3:EIO@3lac=4 ");
    stage_close(stage);
}

Test(bookie_core_lac, a_piggyback_read_must_ask_for_the_last_entry_and_name_its_lac) {
    struct stage *stage = stage_open();
    struct proto_bk_request request = {
        .form = PROTO_BK_V3, .kind = PROTO_BK_READ, .flags = PIGGYBACK, .ledger = 1, .entry = -1};
    stage_add(stage, 1, 1, 0, 0);
    stage_ask(stage, 2, &request);
    request.flags |= PROTO_BK_HAS_PREVIOUS_LAC;
    request.entry = 0;
    stage_ask(stage, 3, &request);
    request.entry = -1;
    request.previous_lac = -2;
    stage_ask(stage, 4, &request);
    request.previous_lac = INT64_MAX;
    stage_ask(stage, 5, &request);
    stage_expect(stage, "1:EOK 2:EBADREQ 3:EBADREQ 4:EBADREQ 5:EOKlac=-1 ");
    stage_close(stage);
}

static void forget_lac_act(struct stage *stage) {
    fake_store_ledger(&stage->store, 1)->lac = -1;
}

Test(bookie_core_lac, after_a_restart_the_last_entry_tells_the_lac) {
    struct stage *stage = stage_open();
    stage_add_lac(stage, 1, 1, 0, -1);
    stage_add_lac(stage, 2, 1, 1, 0);
    stage_act(stage, forget_lac_act);
    stage->store.is_slow = true;
    stage_poll(stage, 3, 1, -1, WAIT_MS, PIGGYBACK);
    stage_expect(stage, "1:EOK 2:EOK 3:EOK=e0@0lac=0 ");
    stage_act(stage, forget_lac_act);
    stage->store.read_err = RT_EIO;
    stage_poll(stage, 4, 1, -1, WAIT_MS, PIGGYBACK);
    stage_expect(stage, "4:EIO ");
    stage_close(stage);
}

Test(bookie_core_lac, a_poll_of_a_client_that_is_gone_ends_and_so_does_one_at_the_cores_close) {
    struct stage *stage = stage_open();
    stage_add_lac(stage, 1, 1, 0, -1);
    stage_poll(stage, 2, 1, 5, WAIT_MS, PIGGYBACK);
    stage_poll(stage, 3, 1, 5, WAIT_MS, PIGGYBACK);
    stage_abandon(stage, 2);
    stage_expect(stage, "1:EOK 2:EIO ");
    stage_close(stage);
}

Test(bookie_core_lac, a_thousand_years_are_a_timeout_too) {
    struct stage *stage = stage_open();
    stage_add_lac(stage, 1, 1, 0, -1);
    stage_poll(stage, 2, 1, 5, INT64_MAX, PIGGYBACK);
    stage_run(stage, 1000);
    stage_expect(stage, "1:EOK ");
    stage_abandon(stage, 2);
    stage_expect(stage, "2:EIO ");
    stage_close(stage);
}
