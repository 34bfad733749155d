// The timers of sessions: never early, never later than a tick, in the order of being filed.
#include <criterion/criterion.h>
#include <string.h>

#include "meta/server/replica/expiry.h"
#include "runtime/random.h"

enum { TICK = 100, IDS = 400 };

struct seen {
    struct meta_expiry_due due;
    struct meta_expiry *expiry;
    int64_t ids[IDS];
    size_t count;
    bool removes;
};

static void on_due(struct meta_expiry_due *due, int64_t session) {
    struct seen *seen = rt_container_of(due, struct seen, due);
    cr_assert(seen->count < IDS);
    seen->ids[seen->count++] = session;
    if (seen->removes) meta_expiry_remove(seen->expiry, session);
}

static struct seen seen_of(struct meta_expiry *expiry) {
    return (struct seen){.due = {on_due}, .expiry = expiry};
}

static size_t run_at(struct seen *seen, uint64_t now) {
    seen->count = 0;
    meta_expiry_run(seen->expiry, now, &seen->due);
    return seen->count;
}

Test(meta_replica_expiry, a_session_is_due_after_its_timeout_and_within_a_tick) {
    struct meta_expiry *expiry = meta_expiry_new(TICK);
    struct seen seen = seen_of(expiry);
    meta_expiry_add(expiry, 7, 250, 1030);
    cr_assert_eq(run_at(&seen, 1279), 0);
    cr_assert_eq(run_at(&seen, 1380), 1);
    cr_assert_eq(seen.ids[0], 7);
    meta_expiry_free(expiry);
}

Test(meta_replica_expiry, a_touch_gives_a_whole_timeout) {
    struct meta_expiry *expiry = meta_expiry_new(TICK);
    struct seen seen = seen_of(expiry);
    meta_expiry_add(expiry, 7, 250, 1000);
    meta_expiry_touch(expiry, 7, 1200);
    meta_expiry_touch(expiry, 8, 1200);  // nobody
    cr_assert_eq(run_at(&seen, 1449), 0);
    cr_assert_eq(run_at(&seen, 1550), 1);
    cr_assert_eq(meta_expiry_count(expiry), 1);
    meta_expiry_free(expiry);
}

Test(meta_replica_expiry, what_is_due_and_stays_is_due_again_after_another_timeout) {
    struct meta_expiry *expiry = meta_expiry_new(TICK);
    struct seen seen = seen_of(expiry);
    meta_expiry_add(expiry, 7, 300, 1000);
    cr_assert_eq(run_at(&seen, 1400), 1);
    cr_assert_eq(run_at(&seen, 1600), 0);
    cr_assert_eq(run_at(&seen, 1800), 1);
    meta_expiry_free(expiry);
}

Test(meta_replica_expiry, what_is_removed_is_not_due) {
    struct meta_expiry *expiry = meta_expiry_new(TICK);
    struct seen seen = seen_of(expiry);
    meta_expiry_add(expiry, 7, 300, 1000);
    meta_expiry_add(expiry, 8, 300, 1000);
    meta_expiry_remove(expiry, 7);
    seen.removes = true;  // also from inside
    cr_assert_eq(run_at(&seen, 2000), 1);
    cr_assert_eq(seen.ids[0], 8);
    cr_assert_eq(meta_expiry_count(expiry), 0);
    meta_expiry_free(expiry);
}

Test(meta_replica_expiry, those_filed_for_one_tick_are_due_in_the_order_of_being_filed) {
    struct meta_expiry *expiry = meta_expiry_new(TICK);
    struct seen seen = seen_of(expiry);
    for (int64_t id = 9; id > 4; id--) meta_expiry_add(expiry, id, 350, 1000);
    cr_assert_eq(run_at(&seen, 1400), 5);
    for (size_t i = 0; i < 5; i++) cr_assert_eq(seen.ids[i], 9 - (int64_t)i);
    meta_expiry_free(expiry);
}

Test(meta_replica_expiry, a_timeout_beyond_the_table_is_kept) {
    struct meta_expiry *expiry = meta_expiry_new(TICK);
    struct seen seen = seen_of(expiry);
    const uint64_t timeout = TICK * 5000;
    uint64_t due = 0;
    meta_expiry_add(expiry, 7, timeout, 1000);
    for (uint64_t now = 1000; !due; now += TICK) {
        if (run_at(&seen, now)) due = now;
        cr_assert(now < 1000 + timeout + 2 * TICK);
    }
    cr_assert_geq(due, 1000 + timeout);
    meta_expiry_free(expiry);
}

// A model: when each was last heard of.
Test(meta_replica_expiry, random_sessions_are_never_early_and_at_most_a_tick_late) {
    struct meta_expiry *expiry = meta_expiry_new(TICK);
    struct seen seen = seen_of(expiry);
    struct rt_random random;
    uint64_t deadline[IDS] = {0}, timeout[IDS] = {0}, now = 10000;
    rt_random_seed(&random, 5);
    seen.removes = true;
    for (unsigned step = 0; step < 20000; step++) {
        size_t id = 1 + (size_t)rt_random_below(&random, IDS - 1);
        bool known = deadline[id] != 0;
        if (!known || rt_random_below(&random, 10) == 0) {
            timeout[id] = 1 + rt_random_below(&random, TICK * 2000);
            meta_expiry_add(expiry, (int64_t)id, timeout[id], now);
            deadline[id] = now + timeout[id];
        } else {
            meta_expiry_touch(expiry, (int64_t)id, now);
            deadline[id] = now + timeout[id] > deadline[id] ? now + timeout[id] : deadline[id];
        }
        now += rt_random_below(&random, rt_random_below(&random, 500) == 0 ? TICK * 1500 : TICK);
        run_at(&seen, now);
        for (size_t i = 0; i < seen.count; i++) {
            cr_assert_leq(deadline[seen.ids[i]], now, "early");
            deadline[seen.ids[i]] = 0;
        }
        for (size_t i = 0; i < IDS; i++)
            cr_assert(!deadline[i] || deadline[i] + TICK > now, "late: %zu", i);
    }
    meta_expiry_free(expiry);
}
