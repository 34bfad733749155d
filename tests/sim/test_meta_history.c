// The checker of client histories must see each kind of lie.
#include <criterion/criterion.h>

#include "tests/sim/meta/history.h"

static struct history_op op(enum history_kind kind, enum history_result result, uint64_t value,
                            uint64_t began, uint64_t ended, int64_t zxid) {
    static uint64_t answers;
    return (struct history_op){.kind = kind,
                               .result = result,
                               .value = value,
                               .began_ns = began,
                               .ended_ns = ended,
                               .zxid = zxid,
                               .answer = ++answers};
}

static bool accepts(const struct history_op *ops, size_t count) {
    struct history history = {0};
    char text[512];
    for (size_t i = 0; i < count; i++) history_add(&history, &ops[i]);
    bool sound = history_check(&history, text, sizeof(text));
    history_fini(&history);
    return sound;
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

Test(sim_meta_history, a_plain_history_is_accepted) {
    struct history_op ops[] = {
        op(HISTORY_CREATE, HISTORY_OK, 1, 10, 20, 5), op(HISTORY_SET, HISTORY_OK, 2, 30, 40, 6),
        op(HISTORY_READ, HISTORY_OK, 2, 50, 60, 6), op(HISTORY_DELETE, HISTORY_OK, 0, 70, 80, 9),
        op(HISTORY_READ, HISTORY_ABSENT, 0, 90, 95, 9)};
    ops[2].mzxid = 6;
    cr_assert(accepts(ops, COUNT(ops)));
}

Test(sim_meta_history, a_later_write_with_the_smaller_zxid_is_seen) {
    struct history_op ops[] = {op(HISTORY_CREATE, HISTORY_OK, 1, 10, 20, 5),
                               op(HISTORY_SET, HISTORY_OK, 2, 30, 40, 4)};
    ops[1].client = 1;
    cr_assert_not(accepts(ops, COUNT(ops)));
}

Test(sim_meta_history, a_lost_acknowledged_write_is_seen) {
    struct history_op ops[] = {op(HISTORY_CREATE, HISTORY_OK, 1, 10, 20, 5),
                               op(HISTORY_SET, HISTORY_OK, 2, 30, 40, 6),
                               op(HISTORY_READ, HISTORY_OK, 1, 50, 60, 7)};
    ops[2].mzxid = 5;
    cr_assert_not(accepts(ops, COUNT(ops)));
}

Test(sim_meta_history, an_unknown_write_may_be_seen_but_a_refused_one_not) {
    struct history_op ops[] = {op(HISTORY_CREATE, HISTORY_OK, 1, 10, 20, 5),
                               op(HISTORY_SET, HISTORY_UNKNOWN, 2, 30, 40, 0),
                               op(HISTORY_READ, HISTORY_OK, 2, 50, 60, 7)};
    ops[2].mzxid = 6;
    ops[1].client = 1;
    cr_assert(accepts(ops, COUNT(ops)));
    ops[1].result = HISTORY_OTHER;
    ops[1].zxid = 6;
    cr_assert_not(accepts(ops, COUNT(ops)));
}

Test(sim_meta_history, absence_needs_a_delete) {
    struct history_op ops[] = {op(HISTORY_CREATE, HISTORY_OK, 1, 10, 20, 5),
                               op(HISTORY_READ, HISTORY_ABSENT, 0, 50, 60, 7),
                               op(HISTORY_DELETE, HISTORY_UNKNOWN, 0, 30, 70, 0)};
    ops[2].client = 1;
    cr_assert(accepts(ops, COUNT(ops)));
    cr_assert_not(accepts(ops, 2));
}

Test(sim_meta_history, a_session_that_goes_back_is_seen) {
    struct history_op ops[] = {op(HISTORY_READ, HISTORY_ABSENT, 0, 10, 20, 9),
                               op(HISTORY_READ, HISTORY_ABSENT, 0, 30, 40, 8)};
    cr_assert_not(accepts(ops, COUNT(ops)));
    ops[1].session = 1;
    cr_assert(accepts(ops, COUNT(ops)));
}

Test(sim_meta_history, a_stale_read_behind_a_sync_is_seen) {
    struct history_op ops[] = {op(HISTORY_CREATE, HISTORY_OK, 1, 10, 20, 5),
                               op(HISTORY_READ, HISTORY_ABSENT, 0, 50, 60, 4)};
    ops[1].client = 1;
    cr_assert(accepts(ops, COUNT(ops)), "a read may be stale");
    ops[1].synced_ns = 30;
    cr_assert_not(accepts(ops, COUNT(ops)));
}

Test(sim_meta_history, one_sequence_number_twice_is_seen) {
    struct history_op ops[] = {op(HISTORY_SEQUENCE, HISTORY_OK, 1, 10, 20, 5),
                               op(HISTORY_SEQUENCE, HISTORY_OK, 2, 30, 40, 6)};
    ops[0].sequence = ops[1].sequence = 3;
    cr_assert_not(accepts(ops, COUNT(ops)));
}
