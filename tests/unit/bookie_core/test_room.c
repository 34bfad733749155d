// Congestion: adds wait in their order, nothing is dropped, and a limit is a limit.
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/unit/bookie_core/stage.h"

Test(bookie_core_room, adds_wait_for_the_cache_in_their_order) {
    struct stage *stage = stage_open();
    stage->store.room = 1;
    for (unsigned i = 0; i < 4; i++) stage_add(stage, i, 1, i, 0);
    stage_expect(stage, "0:EOK congested ");
    stage_read(stage, 9, 1, 1);
    stage_expect(stage, "9:ENOENTRY ");
    stage->store.room = 2;
    stage_drained(stage);
    stage_expect(stage, "1:EOK 2:EOK ");
    stage->store.room = 10;
    stage_drained(stage);
    stage_expect(stage, "relieved 3:EOK ");
    stage_expect_journal(stage, 1, "key 1, entry 1/0, entry 1/1, entry 1/2, entry 1/3");
    cr_assert_eq(bookie_core_stats(stage->core).parked_bytes, 0);
    stage_close(stage);
}

Test(bookie_core_room, an_add_whose_journal_is_full_is_readable_and_keeps_its_place) {
    struct stage *stage = stage_open();
    stage->journals[1].room = 1;  // for the key, not for the entry
    stage_add(stage, 1, 1, 0, 0);
    stage_add(stage, 2, 1, 1, 0);
    stage_read(stage, 3, 1, 0);
    stage_read(stage, 4, 1, 1);
    stage_expect(stage, "congested 3:EOK=e0 4:ENOENTRY ");
    stage->journals[1].room = 10;
    stage_drained(stage);
    stage_expect(stage, "relieved 1:EOK 2:EOK ");
    stage_expect_journal(stage, 1, "key 1, entry 1/0, entry 1/1");
    stage_close(stage);
}

Test(bookie_core_room, room_that_the_core_was_not_told_of_yet_lets_nobody_overtake) {
    struct stage *stage = stage_open();
    stage->store.room = 0;
    stage_add(stage, 1, 1, 0, 0);
    stage->store.room = 10;
    stage_add(stage, 2, 1, 1, 0);
    stage_expect(stage, "congested ");
    stage_drained(stage);
    stage_expect(stage, "relieved 1:EOK 2:EOK ");
    stage->journals[1].room = 0;
    stage_fence(stage, 3, 3, -1);
    stage->journals[1].room = 10;
    stage_fence(stage, 4, 5, -1);
    stage_expect(stage, "congested ");
    stage_drained(stage);
    stage_expect(stage, "relieved 3:ENOENTRY 4:ENOENTRY ");
    stage_expect_journal(stage, 1, "key 1, entry 1/0, entry 1/1, fence 3, fence 5");
    stage_close(stage);
}

Test(bookie_core_room, a_parked_add_is_looked_at_again_a_fence_may_have_come_first) {
    struct stage *stage = stage_open();
    stage_add(stage, 1, 1, 0, 0);
    stage->store.room = 0;
    stage_add(stage, 2, 1, 1, 0);
    stage_fence(stage, 3, 1, -1);
    stage_expect(stage, "1:EOK congested 3:EOK=e0 ");
    stage->store.room = 10;
    stage_drained(stage);
    stage_expect(stage, "2:EFENCED relieved ");
    stage_close(stage);
}

Test(bookie_core_room, a_fence_waits_behind_the_add_that_was_put_before_it) {
    struct stage *stage = stage_open();
    stage_add(stage, 1, 1, 0, 0);
    stage->journals[1].room = 0;
    stage_add(stage, 2, 1, 1, 0);
    stage_fence(stage, 3, 1, -1);
    stage_write_lac(stage, 4, 1, 0);
    stage_simple(stage, 5, PROTO_BK_FORCE_LEDGER, 1);
    stage_expect(stage, "1:EOK congested ");
    stage->journals[1].room = 10;
    stage_drained(stage);
    stage_expect(stage, "relieved 2:EOK 3:EOK=e1 4:EOK 5:EOK ");
    stage_expect_journal(stage, 1, "key 1, entry 1/0, entry 1/1, fence 1, key 1, lac 1, force");
    stage_close(stage);
}

Test(bookie_core_room, one_full_journal_does_not_stop_fences_of_another) {
    struct stage *stage = stage_open();
    stage->journals[1].room = 0;
    stage_add(stage, 1, 1, 0, 0);
    stage_fence(stage, 2, 2, -1);
    stage_expect(stage, "congested 2:ENOENTRY ");
    stage->journals[1].room = 10;
    stage_drained(stage);
    stage_expect(stage, "relieved 1:EOK ");
    stage_close(stage);
}

Test(bookie_core_room, over_the_parked_bytes_adds_are_too_many_requests) {
    struct stage *stage = stage_new();
    stage->options.parked_bytes_max = 1200;  // two: each counts 512 at least
    stage_start(stage);
    stage->store.room = 0;
    for (unsigned i = 0; i < 4; i++) stage_add(stage, i, 1, i, 0);
    stage_expect(stage, "congested 2:ETOOMANYREQUESTS 3:ETOOMANYREQUESTS ");
    cr_assert_eq(bookie_core_stats(stage->core).rejected, 2);
    stage->store.room = 10;
    stage_drained(stage);
    stage_expect(stage, "relieved 0:EOK 1:EOK ");
    stage_close(stage);
}

Test(bookie_core_room, no_more_adds_are_under_way_than_allowed) {
    struct stage *stage = stage_new();
    stage->options.adds_in_progress_max = 2;
    stage_start(stage);
    stage->journals[1].holds = true;
    for (unsigned i = 0; i < 5; i++) stage_add(stage, i, 1, i, 0);
    stage_expect(stage, "congested ");
    stage_expect_journal(stage, 1, "key 1, entry 1/0, entry 1/1");
    stage_journals_release(stage);
    stage_run(stage, 10);
    stage_expect(stage, "0:EOK 1:EOK 2:EOK 3:EOK relieved 4:EOK ");
    cr_assert_eq(bookie_core_stats(stage->core).adds_in_progress, 0);
    stage_close(stage);
}

Test(bookie_core_room, what_is_parked_when_the_journal_fails_is_not_answered_ok) {
    struct stage *stage = stage_open();
    stage_add(stage, 1, 1, 0, 0);
    stage->store.room = 1;
    stage->journals[1].room = 0;
    stage_add(stage, 2, 1, 1, 0);
    stage_add(stage, 3, 1, 2, 0);
    stage_fence(stage, 4, 1, -1);
    stage->journals[0].fails = true;
    stage_add(stage, 5, 2, 0, 0);
    stage->journals[1].room = 10;
    stage_expect(stage, "1:EOK congested ");
    stage_simple(stage, 6, PROTO_BK_FORCE_LEDGER, 2);
    stage_expect(stage, "6:EIO 2:EIO 4:EIO 3:EIO 5:EIO relieved ");
    stage_close(stage);
}

Test(bookie_core_room, the_core_closes_when_what_is_parked_was_answered) {
    struct stage *stage = stage_open();
    stage->store.room = 0;
    stage_add(stage, 1, 1, 0, 0);
    stage->is_closed = false;
    stage->store.room = 1;
    stage_drained(stage);
    stage_expect(stage, "congested relieved 1:EOK ");
    stage_close(stage);
}
