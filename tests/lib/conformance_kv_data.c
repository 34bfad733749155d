#include <stdio.h>
#include <string.h>

#include "tests/lib/conformance_kv_cases.h"

static void batch_put(struct rt_kv_batch *batch, unsigned column, const char *key,
                      const char *value) {
    rt_kv_put(batch, column, rt_bytes_of(key), rt_bytes_of(value));
}

static void batch_write(struct kv_run *run, struct rt_kv_batch *batch) {
    KV_EXPECT_ERR(run, rt_kv_write_now(run->kv, batch, RT_KV_LAZY), RT_OK);
}

static void range_delete(struct kv_run *run, const char *first, const char *end) {
    struct rt_kv_batch *batch = rt_kv_batch_new(run->kv);
    rt_kv_delete_range(batch, KV_PLAIN, rt_bytes_of(first), rt_bytes_of(end));
    batch_write(run, batch);
    rt_kv_batch_free(batch);
}

// BATCHES

void a_batch_applies_to_all_columns(struct kv_run *run) {
    struct rt_kv_batch *batch = rt_kv_batch_new(run->kv);
    KV_EXPECT(run, rt_kv_batch_count(batch) == 0);
    batch_put(batch, KV_PLAIN, "k", "1");
    batch_put(batch, KV_PREFIXED, "k", "2");
    batch_put(batch, KV_PACKED, "k", "3");
    KV_EXPECT(run, rt_kv_batch_count(batch) == 3);
    KV_EXPECT(run, rt_kv_batch_bytes(batch) >= 6);
    kv_run_expect_value(run, KV_PLAIN, "k", NULL);
    batch_write(run, batch);
    rt_kv_batch_free(batch);
    kv_run_expect_value(run, KV_PLAIN, "k", "1");
    kv_run_expect_value(run, KV_PREFIXED, "k", "2");
    kv_run_expect_value(run, KV_PACKED, "k", "3");
    kv_run_put(run, KV_PREFIXED, "k", NULL, RT_KV_DURABLE);
    kv_run_expect_value(run, KV_PLAIN, "k", "1");
    kv_run_expect_value(run, KV_PREFIXED, "k", NULL);
}

void the_last_change_of_a_key_in_a_batch_wins(struct kv_run *run) {
    kv_run_put(run, KV_PLAIN, "c", "old", RT_KV_LAZY);
    struct rt_kv_batch *batch = rt_kv_batch_new(run->kv);
    batch_put(batch, KV_PLAIN, "a", "1");
    batch_put(batch, KV_PLAIN, "a", "2");
    batch_put(batch, KV_PLAIN, "b", "1");
    rt_kv_delete(batch, KV_PLAIN, rt_bytes_of("b"));
    rt_kv_delete(batch, KV_PLAIN, rt_bytes_of("c"));
    batch_put(batch, KV_PLAIN, "c", "new");
    batch_put(batch, KV_PLAIN, "d1", "1");
    rt_kv_delete_range(batch, KV_PLAIN, rt_bytes_of("d"), rt_bytes_of("e"));
    batch_put(batch, KV_PLAIN, "d2", "2");
    batch_write(run, batch);
    rt_kv_batch_free(batch);
    kv_run_expect_all(run, NULL, KV_PLAIN, "a=2 c=new d2=2 ");
}

void a_cleared_batch_is_empty(struct kv_run *run) {
    struct rt_kv_batch *batch = rt_kv_batch_new(run->kv);
    batch_put(batch, KV_PLAIN, "a", "1");
    rt_kv_batch_clear(batch);
    KV_EXPECT(run, rt_kv_batch_count(batch) == 0);
    KV_EXPECT(run, rt_kv_batch_bytes(batch) == 0);
    batch_put(batch, KV_PLAIN, "b", "2");
    batch_write(run, batch);
    batch_put(batch, KV_PLAIN, "c", "3");  // a written batch keeps what it has
    batch_write(run, batch);
    rt_kv_batch_free(batch);
    kv_run_expect_all(run, NULL, KV_PLAIN, "b=2 c=3 ");
}

void an_empty_batch_is_written(struct kv_run *run) {
    struct rt_kv_batch *batch = rt_kv_batch_new(run->kv);
    KV_EXPECT_ERR(run, rt_kv_write_now(run->kv, batch, RT_KV_DURABLE), RT_OK);
    KV_EXPECT_ERR(run, rt_kv_write_now(run->kv, batch, RT_KV_LAZY), RT_OK);
    KV_EXPECT_ERR(run, rt_kv_write_now(run->kv, batch, RT_KV_NO_LOG), RT_OK);
    rt_kv_batch_free(batch);
    kv_run_expect_all(run, NULL, KV_PLAIN, "");
}

// VALUES

enum { LONG_KEY = 4096, LONG_VALUE = 1 << 20 };

static void sized_put(struct kv_run *run, const uint8_t *bytes, size_t key_size,
                      size_t value_size) {
    struct rt_kv_batch *batch = rt_kv_batch_new(run->kv);
    for (unsigned column = 0; column < KV_COLUMNS; column++) {
        rt_kv_put(batch, column, RT_BYTES(bytes, key_size), RT_BYTES(bytes, value_size));
    }
    KV_EXPECT_ERR(run, rt_kv_write_now(run->kv, batch, RT_KV_LAZY), RT_OK);
    rt_kv_batch_free(batch);
}

static void sized_expect(struct kv_run *run, const uint8_t *bytes, size_t key_size,
                         size_t value_size) {
    struct rt_buf value = {0};
    for (unsigned column = 0; column < KV_COLUMNS; column++) {
        struct rt_bytes key = RT_BYTES(bytes, key_size);
        rt_err err = rt_kv_get_now(run->kv, NULL, column, key, &value);
        bool is_same = rt_bytes_equal(rt_buf_bytes(&value), RT_BYTES(bytes, value_size));
        kv_run_expect(run, !err && is_same, "key of %zu, value of %zu in column %u: %s", key_size,
                      value_size, column, rt_err_name(err));
    }
    rt_buf_fini(&value);
}

void values_and_keys_of_any_size_come_back(struct kv_run *run) {
    static const struct {
        size_t key, value;
    } sizes[] = {{1, 0},      {2, 1},        {3, LONG_VALUE},
                 {255, 4096}, {LONG_KEY, 0}, {LONG_KEY - 1, LONG_VALUE / 2}};
    size_t size_count = sizeof(sizes) / sizeof(sizes[0]);
    uint8_t *bytes = rt_alloc(LONG_VALUE);
    for (size_t i = 0; i < LONG_VALUE; i++) bytes[i] = (uint8_t)(i * 31 + (i >> 8));
    for (size_t i = 0; i < size_count; i++) sized_put(run, bytes, sizes[i].key, sizes[i].value);
    for (size_t i = 0; i < size_count; i++) sized_expect(run, bytes, sizes[i].key, sizes[i].value);
    kv_run_reopen(run);
    for (size_t i = 0; i < size_count; i++) sized_expect(run, bytes, sizes[i].key, sizes[i].value);
    rt_free(bytes);
}

void a_value_replaces_what_the_buffer_held(struct kv_run *run) {
    struct rt_buf value = {0};
    kv_run_put(run, KV_PLAIN, "k", "short", RT_KV_LAZY);
    rt_buf_append(&value, RT_BYTES_LITERAL("something longer"));
    KV_EXPECT_ERR(run, rt_kv_get_now(run->kv, NULL, KV_PLAIN, rt_bytes_of("k"), &value), RT_OK);
    KV_EXPECT(run, rt_bytes_equal(rt_buf_bytes(&value), rt_bytes_of("short")));
    KV_EXPECT_ERR(run, rt_kv_get_now(run->kv, NULL, KV_PLAIN, rt_bytes_of("no"), &value),
                  RT_ENOTFOUND);
    KV_EXPECT(run, value.size == 0);
    rt_buf_fini(&value);
}

// RANGES

static void letters_put(struct kv_run *run) {
    static const char *const keys[] = {"a", "b", "ba", "bb", "c", "d"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        kv_run_put(run, KV_PLAIN, keys[i], "1", RT_KV_LAZY);
    }
}

void a_range_is_deleted_without_its_end(struct kv_run *run) {
    letters_put(run);
    range_delete(run, "b", "c");
    kv_run_expect_all(run, NULL, KV_PLAIN, "a=1 c=1 d=1 ");
    KV_EXPECT_ERR(run, rt_kv_flush_now(run->kv), RT_OK);
    range_delete(run, "", "b");
    kv_run_put(run, KV_PLAIN, "aa", "2", RT_KV_LAZY);
    kv_run_expect_all(run, NULL, KV_PLAIN, "aa=2 c=1 d=1 ");
    kv_run_reopen(run);
    kv_run_expect_all(run, NULL, KV_PLAIN, "aa=2 c=1 d=1 ");
    kv_run_expect_value(run, KV_PLAIN, "bb", NULL);
    range_delete(run, "", "\xff\xff");
    kv_run_expect_all(run, NULL, KV_PLAIN, "");
}

void an_empty_range_deletes_nothing(struct kv_run *run) {
    letters_put(run);
    range_delete(run, "b", "b");
    range_delete(run, "c", "a");
    range_delete(run, "", "");
    range_delete(run, "bc", "bd");
    range_delete(run, "x", "z");
    kv_run_expect_all(run, NULL, KV_PLAIN, "a=1 b=1 ba=1 bb=1 c=1 d=1 ");
}

// FROM MEMORY

void try_get_is_never_wrong(struct kv_run *run) {
    struct rt_buf value = {0};
    kv_run_put(run, KV_PLAIN, "k", "v", RT_KV_LAZY);
    KV_EXPECT_ERR(run, rt_kv_try_get(run->kv, KV_PLAIN, rt_bytes_of("k"), &value), RT_OK);
    KV_EXPECT(run, rt_bytes_equal(rt_buf_bytes(&value), rt_bytes_of("v")));
    KV_EXPECT_ERR(run, rt_kv_flush_now(run->kv), RT_OK);
    kv_run_reopen(run);
    rt_err err = rt_kv_try_get(run->kv, KV_PLAIN, rt_bytes_of("k"), &value);
    KV_EXPECT(run, err == RT_EAGAIN || err == RT_OK);
    err = rt_kv_try_get(run->kv, KV_PLAIN, rt_bytes_of("absent"), &value);
    KV_EXPECT(run, err == RT_EAGAIN || err == RT_ENOTFOUND);
    kv_run_expect_value(run, KV_PLAIN, "k", "v");  // and now it is in the cache
    KV_EXPECT_ERR(run, rt_kv_try_get(run->kv, KV_PLAIN, rt_bytes_of("k"), &value), RT_OK);
    KV_EXPECT(run, rt_bytes_equal(rt_buf_bytes(&value), rt_bytes_of("v")));
    rt_buf_fini(&value);
}

// A MODEL: 64 keys of two letters, each absent or with a number.

enum { LETTERS = 8, KEYS = LETTERS * LETTERS, ROUNDS = 400, NONE = -1 };

struct model {
    int values[KEYS];
};

static void key_name(unsigned index, char *name) {
    name[0] = (char)('a' + index / LETTERS);
    name[1] = (char)('a' + index % LETTERS);
    name[2] = '\0';
}

static void model_print(const struct model *model, struct rt_buf *out) {
    char name[3];
    for (unsigned i = 0; i < KEYS; i++) {
        key_name(i, name);
        if (model->values[i] != NONE) rt_buf_print(out, "%s=%d ", name, model->values[i]);
    }
    rt_buf_append(out, RT_BYTES("", 1));
}

static void change_one(struct rt_random *random, struct model *model, struct rt_kv_batch *batch,
                       unsigned column, int round) {
    char name[3], end[3], number[12];
    unsigned index = (unsigned)rt_random_below(random, KEYS);
    unsigned last = index + (unsigned)rt_random_below(random, 6);
    key_name(index, name);
    switch (rt_random_below(random, 4)) {
    case 0:
        rt_kv_delete(batch, column, rt_bytes_of(name));
        model->values[index] = NONE;
        break;
    case 1:
        if (last >= KEYS) last = KEYS - 1;
        key_name(last, end);
        rt_kv_delete_range(batch, column, rt_bytes_of(name), rt_bytes_of(end));
        for (unsigned i = index; i < last; i++) model->values[i] = NONE;
        break;
    default:
        snprintf(number, sizeof(number), "%d", round);
        rt_kv_put(batch, column, rt_bytes_of(name), rt_bytes_of(number));
        model->values[index] = round;
    }
}

static void model_expect(struct kv_run *run, const struct model *model, unsigned column) {
    struct rt_buf expected = {0};
    char name[3], number[12];
    model_print(model, &expected);
    kv_run_expect_all(run, NULL, column, (const char *)expected.data);
    rt_buf_fini(&expected);
    for (unsigned i = 0; i < KEYS; i++) {
        key_name(i, name);
        snprintf(number, sizeof(number), "%d", model->values[i]);
        kv_run_expect_value(run, column, name, model->values[i] == NONE ? NULL : number);
    }
}

void random_changes_match_a_model(struct kv_run *run) {
    struct rt_random random;
    rt_random_seed(&random, 42);
    struct model models[KV_COLUMNS];
    for (unsigned i = 0; i < KV_COLUMNS * KEYS; i++) models[i / KEYS].values[i % KEYS] = NONE;
    struct rt_kv_batch *batch = rt_kv_batch_new(run->kv);
    for (int round = 0; round < ROUNDS && !run->failure[0]; round++) {
        unsigned column = (unsigned)rt_random_below(&random, KV_COLUMNS);
        uint64_t changes = 1 + rt_random_below(&random, 4);
        for (uint64_t i = 0; i < changes; i++) {
            change_one(&random, &models[column], batch, column, round);
        }
        batch_write(run, batch);
        rt_kv_batch_clear(batch);
        if (rt_random_below(&random, 20) == 0) {
            KV_EXPECT_ERR(run, rt_kv_flush_now(run->kv), RT_OK);
        }
        if (rt_random_below(&random, 10) == 0) model_expect(run, &models[column], column);
    }
    rt_kv_batch_free(batch);
    kv_run_reopen(run);
    for (unsigned column = 0; column < KV_COLUMNS; column++) {
        model_expect(run, &models[column], column);
    }
}
