#include "meta/server/tree/session_table.h"

#include <criterion/criterion.h>
#include <string.h>

#include "runtime/random.h"

enum { IDS = 3000, STEPS = 40000 };

static uint64_t id_of(unsigned i) {
    return (uint64_t)(i + 1) << 52 | i;
}

// Ids in ascending order, both ways of asking.
static void compare(const struct meta_session_table *table, const bool *there) {
    uint64_t after = 0;
    size_t count = 0;
    for (unsigned i = 0; i < IDS; i++) {
        struct meta_session_entry *entry = meta_session_table_find(table, id_of(i));
        cr_assert_eq(entry != NULL, there[i]);
        if (!entry) continue;
        cr_assert_eq((uint64_t)entry->session.id, id_of(i));
        cr_assert_eq(meta_session_table_next(table, after), entry);
        cr_assert_eq(meta_session_table_next(table, id_of(i) - 1), entry);
        after = id_of(i);
        count++;
    }
    cr_assert_null(meta_session_table_next(table, after));
    cr_assert_eq(table->count, count);
}

Test(meta_tree_session_table, random_changes_keep_the_order) {
    static bool there[IDS];
    struct meta_session_table table = {0};
    struct rt_random random;
    rt_random_seed(&random, 3);
    for (unsigned n = 0; n < STEPS; n++) {
        // Grows first, shrinks to nothing at the end.
        bool adds = rt_random_chance(&random, n < STEPS / 2 ? 800000 : 50000);
        unsigned i = (unsigned)rt_random_below(&random, IDS);
        if (adds && !there[i]) {
            meta_session_table_add(&table, id_of(i))->session.id = (int64_t)id_of(i);
            there[i] = true;
        } else if (!adds && there[i]) {
            meta_session_table_remove(&table, id_of(i));
            there[i] = false;
        }
        if (n % 1000 == 0) compare(&table, there);
    }
    compare(&table, there);
    meta_session_table_fini(&table);
    cr_assert_eq(table.count, 0);
}

Test(meta_tree_session_table, ids_in_order_fill_whole_blocks) {
    struct meta_session_table table = {0};
    for (uint64_t id = 1; id <= 10 * META_SESSION_BLOCK; id++) meta_session_table_add(&table, id);
    cr_assert_leq(table.block_count, 11);
    cr_assert_eq(table.count, 10 * META_SESSION_BLOCK);
    meta_session_table_fini(&table);
}

Test(meta_tree_session_table, the_greatest_id_has_none_behind_it) {
    struct meta_session_table table = {0};
    meta_session_table_add(&table, UINT64_MAX);
    cr_assert_not_null(meta_session_table_next(&table, UINT64_MAX - 1));
    cr_assert_null(meta_session_table_next(&table, UINT64_MAX));
    meta_session_table_fini(&table);
}

Test(meta_tree_session_table, a_session_at_rest_has_one_size) {
    uint8_t key[8] = {0xff}, memory[64];
    struct meta_session session = {.timeout_ms = 5, .attachment = 6, .created_ms = -7}, decoded;
    memset(session.password, 9, sizeof(session.password));
    session.id = (int64_t)UINT64_C(0xff00000000000000);
    struct rt_writer w = rt_writer_over(memory, sizeof(memory));
    meta_session_encode(&session, &w);
    for (size_t size = 0; size <= w.written + 1; size++) {
        rt_err err = meta_session_decode(RT_BYTES(key, 8), RT_BYTES(memory, size), &decoded);
        cr_assert_eq(err, size == w.written ? RT_OK : RT_ECORRUPT, "%zu", size);
    }
    cr_assert_eq(meta_session_decode(RT_BYTES(key, 8), RT_BYTES(memory, w.written), &decoded),
                 RT_OK);
    cr_assert_eq(decoded.id, session.id);
    cr_assert_eq(decoded.created_ms, -7);
    cr_assert_eq(meta_session_decode(RT_BYTES(key, 7), RT_BYTES(memory, w.written), &decoded),
                 RT_ECORRUPT);
}
