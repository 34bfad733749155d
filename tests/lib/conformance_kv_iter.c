#include <string.h>

#include "tests/lib/conformance_kv_cases.h"

static bool iter_is_at(struct rt_kv_iter *iter, const char *key) {
    if (!key) return !rt_kv_iter_valid(iter);
    return rt_kv_iter_valid(iter) && rt_bytes_equal(rt_kv_iter_key(iter), rt_bytes_of(key));
}

static void keys_put(struct kv_run *run, unsigned column, const char *const *keys) {
    for (; *keys; keys++) kv_run_put(run, column, *keys, "v", RT_KV_LAZY);
}

void keys_order_bytewise(struct kv_run *run) {
    static const struct rt_bytes sorted[] = {
        {(const uint8_t *)"\x00", 1},     {(const uint8_t *)"\x00\x00", 2},
        {(const uint8_t *)"\x00\xff", 2}, {(const uint8_t *)"\x01", 1},
        {(const uint8_t *)"a", 1},        {(const uint8_t *)"a\x00", 2},
        {(const uint8_t *)"a\x00z", 3},   {(const uint8_t *)"aa", 2},
        {(const uint8_t *)"b", 1},        {(const uint8_t *)"\x7f", 1},
        {(const uint8_t *)"\x80", 1},     {(const uint8_t *)"\xff", 1},
        {(const uint8_t *)"\xff\x00", 2}, {(const uint8_t *)"\xff\xff", 2},
    };
    enum { COUNT = sizeof(sorted) / sizeof(sorted[0]) };
    struct rt_kv_batch *batch = rt_kv_batch_new(run->kv);
    for (size_t i = 0; i < COUNT; i++) {
        rt_kv_put(batch, KV_PLAIN, sorted[i * 5 % COUNT], RT_BYTES(NULL, 0));
    }
    KV_EXPECT_ERR(run, rt_kv_write_now(run->kv, batch, RT_KV_LAZY), RT_OK);
    rt_kv_batch_free(batch);
    struct rt_kv_iter *iter = rt_kv_iter_new(run->kv, NULL, KV_PLAIN);
    size_t found = 0;
    for (rt_kv_iter_first(iter); rt_kv_iter_valid(iter) && found < COUNT; rt_kv_iter_next(iter)) {
        KV_EXPECT(run, rt_bytes_equal(rt_kv_iter_key(iter), sorted[found]));
        KV_EXPECT(run, rt_kv_iter_value(iter).size == 0);
        found++;
    }
    KV_EXPECT(run, found == COUNT && !rt_kv_iter_valid(iter));
    rt_kv_iter_free(iter);
}

void an_empty_column_has_no_ends(struct kv_run *run) {
    kv_run_put(run, KV_PREFIXED, "elsewhere", "1", RT_KV_LAZY);
    struct rt_kv_iter *iter = rt_kv_iter_new(run->kv, NULL, KV_PLAIN);
    KV_EXPECT(run, !rt_kv_iter_valid(iter));
    rt_kv_iter_first(iter);
    KV_EXPECT(run, iter_is_at(iter, NULL));
    rt_kv_iter_last(iter);
    KV_EXPECT(run, iter_is_at(iter, NULL));
    rt_kv_iter_seek(iter, rt_bytes_of("k"));
    KV_EXPECT(run, iter_is_at(iter, NULL));
    rt_kv_iter_seek_for_prev(iter, rt_bytes_of("k"));
    KV_EXPECT(run, iter_is_at(iter, NULL));
    KV_EXPECT_ERR(run, rt_kv_iter_err(iter), RT_OK);
    rt_kv_iter_free(iter);
}

// What a seek and a seek for the previous find, in a column with b, bb, d and the deleted c.
static const struct {
    const char *sought, *next, *prev;
} neighbours[] = {
    {"", "b", NULL},    {"a", "b", NULL},   {"b", "b", "b"},     {"ba", "bb", "b"},
    {"bb", "bb", "bb"}, {"bba", "d", "bb"}, {"c", "d", "bb"},    {"cc", "d", "bb"},
    {"d", "d", "d"},    {"da", NULL, "d"},  {"\xff", NULL, "d"},
};

static void neighbours_expect(struct kv_run *run, unsigned column) {
    struct rt_kv_iter *iter = rt_kv_iter_new(run->kv, NULL, column);
    for (size_t i = 0; i < sizeof(neighbours) / sizeof(neighbours[0]); i++) {
        rt_kv_iter_seek(iter, rt_bytes_of(neighbours[i].sought));
        kv_run_expect(run, iter_is_at(iter, neighbours[i].next), "column %u, seek of \"%s\"",
                      column, neighbours[i].sought);
        rt_kv_iter_seek_for_prev(iter, rt_bytes_of(neighbours[i].sought));
        kv_run_expect(run, iter_is_at(iter, neighbours[i].prev),
                      "column %u, seek for the previous of \"%s\"", column, neighbours[i].sought);
        KV_EXPECT_ERR(run, rt_kv_iter_err(iter), RT_OK);
    }
    rt_kv_iter_free(iter);
}

void seeks_find_their_neighbours(struct kv_run *run) {
    static const char *const keys[] = {"b", "bb", "c", "d", NULL};
    for (unsigned column = 0; column < KV_COLUMNS; column++) {
        keys_put(run, column, keys);
        kv_run_put(run, column, "c", NULL, RT_KV_LAZY);
        neighbours_expect(run, column);
    }
    KV_EXPECT_ERR(run, rt_kv_flush_now(run->kv), RT_OK);
    kv_run_reopen(run);
    for (unsigned column = 0; column < KV_COLUMNS; column++) neighbours_expect(run, column);
}

void iterators_walk_both_ways(struct kv_run *run) {
    static const char *const keys[] = {"a", "b", "c", NULL};
    keys_put(run, KV_PLAIN, keys);
    struct rt_kv_iter *iter = rt_kv_iter_new(run->kv, NULL, KV_PLAIN);
    rt_kv_iter_first(iter);
    rt_kv_iter_next(iter);
    KV_EXPECT(run, iter_is_at(iter, "b"));
    rt_kv_iter_prev(iter);
    KV_EXPECT(run, iter_is_at(iter, "a"));
    rt_kv_iter_next(iter);
    rt_kv_iter_next(iter);
    KV_EXPECT(run, iter_is_at(iter, "c"));
    rt_kv_iter_next(iter);
    KV_EXPECT(run, iter_is_at(iter, NULL));
    rt_kv_iter_last(iter);
    KV_EXPECT(run, iter_is_at(iter, "c"));
    rt_kv_iter_prev(iter);
    rt_kv_iter_next(iter);
    KV_EXPECT(run, iter_is_at(iter, "c"));
    rt_kv_iter_seek(iter, rt_bytes_of("b"));
    rt_kv_iter_prev(iter);
    KV_EXPECT(run, iter_is_at(iter, "a"));
    rt_kv_iter_prev(iter);
    KV_EXPECT(run, iter_is_at(iter, NULL));
    rt_kv_iter_seek_for_prev(iter, rt_bytes_of("bz"));
    rt_kv_iter_next(iter);
    KV_EXPECT(run, iter_is_at(iter, "c"));
    KV_EXPECT_ERR(run, rt_kv_iter_err(iter), RT_OK);
    rt_kv_iter_free(iter);
}

// The column's prefixes have two bytes; some keys are shorter.
void iterators_cross_prefixes(struct kv_run *run) {
    static const char *const old[] = {"aa1", "ab1", "b", "zz9", NULL};
    static const char *const young[] = {"aa2", "ac1", "ba1", "z", NULL};
    static const char all[] = "aa1=v aa2=v ab1=v ac1=v b=v ba1=v z=v zz9=v ";
    keys_put(run, KV_PREFIXED, old);
    KV_EXPECT_ERR(run, rt_kv_flush_now(run->kv), RT_OK);
    keys_put(run, KV_PREFIXED, young);
    kv_run_expect_all(run, NULL, KV_PREFIXED, all);
    KV_EXPECT_ERR(run, rt_kv_flush_now(run->kv), RT_OK);
    kv_run_reopen(run);
    kv_run_expect_all(run, NULL, KV_PREFIXED, all);
    struct rt_kv_iter *iter = rt_kv_iter_new(run->kv, NULL, KV_PREFIXED);
    rt_kv_iter_seek_for_prev(iter, rt_bytes_of("ad5"));
    KV_EXPECT(run, iter_is_at(iter, "ac1"));
    rt_kv_iter_seek(iter, rt_bytes_of("ab2"));
    KV_EXPECT(run, iter_is_at(iter, "ac1"));
    rt_kv_iter_seek(iter, rt_bytes_of("bb"));
    KV_EXPECT(run, iter_is_at(iter, "z"));
    rt_kv_iter_seek_for_prev(iter, rt_bytes_of("aa"));
    KV_EXPECT(run, iter_is_at(iter, NULL));
    rt_kv_iter_free(iter);
    kv_run_expect_value(run, KV_PREFIXED, "b", "v");
    kv_run_expect_value(run, KV_PREFIXED, "ab1", "v");
    kv_run_expect_value(run, KV_PREFIXED, "ab2", NULL);
    kv_run_expect_value(run, KV_PREFIXED, "ad1", NULL);
}

void iterators_see_the_past(struct kv_run *run) {
    kv_run_put(run, KV_PLAIN, "a", "1", RT_KV_LAZY);
    kv_run_put(run, KV_PLAIN, "c", "1", RT_KV_LAZY);
    struct rt_kv_iter *iter = rt_kv_iter_new(run->kv, NULL, KV_PLAIN);
    kv_run_put(run, KV_PLAIN, "a", "2", RT_KV_LAZY);
    kv_run_put(run, KV_PLAIN, "b", "2", RT_KV_LAZY);
    kv_run_put(run, KV_PLAIN, "c", NULL, RT_KV_LAZY);
    KV_EXPECT_ERR(run, rt_kv_flush_now(run->kv), RT_OK);
    rt_kv_iter_first(iter);
    KV_EXPECT(run, iter_is_at(iter, "a"));
    KV_EXPECT(run, rt_bytes_equal(rt_kv_iter_value(iter), rt_bytes_of("1")));
    rt_kv_iter_next(iter);
    KV_EXPECT(run, iter_is_at(iter, "c"));
    rt_kv_iter_next(iter);
    KV_EXPECT(run, iter_is_at(iter, NULL));
    rt_kv_iter_free(iter);
    kv_run_expect_all(run, NULL, KV_PLAIN, "a=2 b=2 ");
}

static void past_expect(struct kv_run *run, const struct rt_kv_snapshot *snapshot, const char *key,
                        const char *value) {
    struct rt_buf found = {0};
    rt_err err = rt_kv_get_now(run->kv, snapshot, KV_PLAIN, rt_bytes_of(key), &found);
    if (value) {
        KV_EXPECT(run, !err && rt_bytes_equal(rt_buf_bytes(&found), rt_bytes_of(value)));
    } else {
        KV_EXPECT(run, err == RT_ENOTFOUND);
    }
    rt_buf_fini(&found);
}

void snapshots_see_the_past(struct kv_run *run) {
    struct rt_kv_snapshot *empty = rt_kv_snapshot_take(run->kv);
    kv_run_put(run, KV_PLAIN, "a", "1", RT_KV_LAZY);
    kv_run_put(run, KV_PLAIN, "b", "1", RT_KV_LAZY);
    struct rt_kv_snapshot *first = rt_kv_snapshot_take(run->kv);
    kv_run_put(run, KV_PLAIN, "a", "2", RT_KV_LAZY);
    kv_run_put(run, KV_PLAIN, "b", NULL, RT_KV_LAZY);
    struct rt_kv_batch *batch = rt_kv_batch_new(run->kv);
    rt_kv_delete_range(batch, KV_PLAIN, rt_bytes_of("a"), rt_bytes_of("b"));
    rt_kv_put(batch, KV_PLAIN, rt_bytes_of("c"), rt_bytes_of("3"));
    KV_EXPECT_ERR(run, rt_kv_write_now(run->kv, batch, RT_KV_LAZY), RT_OK);
    rt_kv_batch_free(batch);
    KV_EXPECT_ERR(run, rt_kv_flush_now(run->kv), RT_OK);
    kv_run_expect_all(run, empty, KV_PLAIN, "");
    kv_run_expect_all(run, first, KV_PLAIN, "a=1 b=1 ");
    kv_run_expect_all(run, NULL, KV_PLAIN, "c=3 ");
    past_expect(run, empty, "a", NULL);
    past_expect(run, first, "a", "1");
    past_expect(run, first, "c", NULL);
    past_expect(run, NULL, "a", NULL);
    rt_kv_snapshot_drop(run->kv, empty);
    past_expect(run, first, "b", "1");
    rt_kv_snapshot_drop(run->kv, first);
}
