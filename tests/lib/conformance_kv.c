#include "tests/lib/conformance_kv.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tests/lib/conformance_kv_cases.h"

const struct kv_case kv_cases[] = {KV_CHECKS(KV_CASE_CHECK) KV_STARTS(KV_CASE_START)};

const size_t kv_case_count = sizeof(kv_cases) / sizeof(kv_cases[0]);

static const struct rt_kv_column columns[KV_COLUMNS] = {
    [KV_PLAIN] = {.name = "default"},
    [KV_PREFIXED] = {.name = "prefixed", .prefix_bytes = 2, .write_buffer_bytes = 1 << 20},
    [KV_PACKED] = {.name = "packed", .compress = true, .block_bytes = 16 << 10},
};

bool kv_run_expect(struct kv_run *run, bool ok, const char *format, ...) {
    if (ok || run->failure[0]) return ok;
    int size = snprintf(run->failure, sizeof(run->failure), "%s: ", run->is->name);
    va_list args;
    va_start(args, format);
    vsnprintf(run->failure + size, sizeof(run->failure) - (size_t)size, format, args);
    va_end(args);
    return false;
}

char *kv_run_path(const struct kv_run *run, const char *name) {
    struct rt_buf path = {0};
    rt_buf_print(&path, "%s/%s", run->dir, name);
    rt_buf_append(&path, RT_BYTES("", 1));
    return (char *)path.data;
}

rt_err kv_run_open(struct kv_run *run, const char *name, unsigned column_count, bool create,
                   struct rt_why *why) {
    const struct rt_kv_options options = {.columns = columns,
                                          .column_count = column_count,
                                          .cache_bytes = 8 << 20,
                                          .create_if_missing = create};
    char *path = kv_run_path(run, name);
    rt_err err = rt_kv_open_now(run->machine, path, &options, &run->kv, why);
    rt_free(path);
    if (err) run->kv = NULL;
    return err;
}

void kv_run_close(struct kv_run *run) {
    if (run->kv) rt_kv_close_now(run->kv);
    run->kv = NULL;
}

void kv_run_reopen(struct kv_run *run) {
    struct rt_why why = {0};
    kv_run_close(run);
    rt_err err = kv_run_open(run, "store", KV_COLUMNS, false, &why);
    kv_run_expect(run, err == RT_OK, "reopen: %s", why.text);
}

void kv_run_put(struct kv_run *run, unsigned column, const char *key, const char *value,
                enum rt_kv_durability durability) {
    struct rt_kv_batch *batch = rt_kv_batch_new(run->kv);
    if (value) {
        rt_kv_put(batch, column, rt_bytes_of(key), rt_bytes_of(value));
    } else {
        rt_kv_delete(batch, column, rt_bytes_of(key));
    }
    KV_EXPECT_ERR(run, rt_kv_write_now(run->kv, batch, durability), RT_OK);
    rt_kv_batch_free(batch);
}

void kv_run_expect_value(struct kv_run *run, unsigned column, const char *key, const char *value) {
    struct rt_buf found = {0};
    rt_err err = rt_kv_get_now(run->kv, NULL, column, rt_bytes_of(key), &found);
    if (value) {
        bool is_same = rt_bytes_equal(rt_buf_bytes(&found), rt_bytes_of(value));
        kv_run_expect(run, !err && is_same, "%s is not %s: %s, %zu bytes", key, value,
                      rt_err_name(err), found.size);
    } else {
        kv_run_expect(run, err == RT_ENOTFOUND, "%s should be absent: %s", key, rt_err_name(err));
    }
    rt_buf_fini(&found);
}

static void pair_print(struct rt_buf *out, const struct rt_kv_iter *iter) {
    struct rt_bytes key = rt_kv_iter_key(iter), value = rt_kv_iter_value(iter);
    rt_buf_print(out, "%.*s=%.*s ", (int)key.size, (const char *)key.data, (int)value.size,
                 (const char *)value.data);
}

static void all_forwards(struct rt_kv_iter *iter, struct rt_buf *out) {
    for (rt_kv_iter_first(iter); rt_kv_iter_valid(iter); rt_kv_iter_next(iter)) {
        pair_print(out, iter);
    }
}

// In the same order, though walked from the other end.
static void all_backwards(struct rt_kv_iter *iter, struct rt_buf *out) {
    for (rt_kv_iter_last(iter); rt_kv_iter_valid(iter); rt_kv_iter_prev(iter)) {
        struct rt_buf longer = {0};
        pair_print(&longer, iter);
        rt_buf_append(&longer, rt_buf_bytes(out));
        rt_buf_fini(out);
        *out = longer;
    }
}

void kv_run_expect_all(struct kv_run *run, const struct rt_kv_snapshot *snapshot, unsigned column,
                       const char *expected) {
    struct rt_kv_iter *iter = rt_kv_iter_new(run->kv, snapshot, column);
    for (int backwards = 0; backwards < 2; backwards++) {
        struct rt_buf found = {0};
        if (backwards) {
            all_backwards(iter, &found);
        } else {
            all_forwards(iter, &found);
        }
        kv_run_expect(run, rt_bytes_equal(rt_buf_bytes(&found), rt_bytes_of(expected)),
                      "%s: found \"%.*s\", not \"%s\"", backwards ? "backwards" : "forwards",
                      (int)found.size, found.size ? (const char *)found.data : "", expected);
        KV_EXPECT_ERR(run, rt_kv_iter_err(iter), RT_OK);
        rt_buf_fini(&found);
    }
    rt_kv_iter_free(iter);
}

void kv_run_end(struct kv_run *run) {
    kv_run_close(run);
    run->ended(run);
}

static void run_start(struct rt_task *task) {
    struct kv_run *run = rt_container_of(task, struct kv_run, task);
    struct rt_why why = {0};
    rt_err err = kv_run_open(run, "store", KV_COLUMNS, true, &why);
    kv_run_expect(run, err == RT_OK, "open: %s", why.text);
    if (!err && run->is->start) {
        run->is->start(run);
        return;
    }
    if (!err) run->is->check(run);
    kv_run_end(run);
}

void kv_run_start(struct kv_run *run) {
    rt_task_init(&run->task, run_start, run->is->name);
    rt_post(rt_machine_loop(run->machine, 0), &run->task);
}
