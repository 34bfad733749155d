#include <string.h>

#include "runtime/file.h"
#include "tests/lib/conformance_kv_cases.h"

void closing_keeps_all_that_was_written(struct kv_run *run) {
    kv_run_put(run, KV_PLAIN, "durable", "1", RT_KV_DURABLE);
    kv_run_put(run, KV_PLAIN, "lazy", "2", RT_KV_LAZY);
    kv_run_put(run, KV_PREFIXED, "nolog", "3", RT_KV_NO_LOG);
    kv_run_put(run, KV_PACKED, "nolog", "4", RT_KV_NO_LOG);
    kv_run_reopen(run);
    kv_run_expect_all(run, NULL, KV_PLAIN, "durable=1 lazy=2 ");
    kv_run_expect_all(run, NULL, KV_PREFIXED, "nolog=3 ");
    kv_run_expect_all(run, NULL, KV_PACKED, "nolog=4 ");
    kv_run_put(run, KV_PLAIN, "lazy", NULL, RT_KV_LAZY);
    kv_run_reopen(run);
    kv_run_expect_all(run, NULL, KV_PLAIN, "durable=1 ");
}

void flushed_batches_without_log_come_back(struct kv_run *run) {
    for (int round = 0; round < 3; round++) {
        kv_run_put(run, KV_PLAIN, "a", round % 2 ? "odd" : "even", RT_KV_NO_LOG);
        kv_run_put(run, KV_PACKED, "b", round % 2 ? "odd" : "even", RT_KV_NO_LOG);
        KV_EXPECT_ERR(run, rt_kv_flush_now(run->kv), RT_OK);
        KV_EXPECT_ERR(run, rt_kv_flush_now(run->kv), RT_OK);
        if (round == 1) kv_run_reopen(run);
    }
    kv_run_reopen(run);
    kv_run_expect_all(run, NULL, KV_PLAIN, "a=even ");
    kv_run_expect_all(run, NULL, KV_PREFIXED, "");
    kv_run_expect_all(run, NULL, KV_PACKED, "b=even ");
}

// OPENING

void columns_may_be_added(struct kv_run *run) {
    kv_run_close(run);
    KV_EXPECT_ERR(run, kv_run_open(run, "grown", 1, true, NULL), RT_OK);
    if (!run->kv) return;
    kv_run_put(run, KV_PLAIN, "a", "1", RT_KV_LAZY);
    kv_run_close(run);
    KV_EXPECT_ERR(run, kv_run_open(run, "grown", KV_COLUMNS, false, NULL), RT_OK);
    if (!run->kv) return;
    kv_run_expect_all(run, NULL, KV_PLAIN, "a=1 ");
    kv_run_expect_all(run, NULL, KV_PACKED, "");
    kv_run_put(run, KV_PACKED, "a", "2", RT_KV_LAZY);
    kv_run_expect_all(run, NULL, KV_PACKED, "a=2 ");
}

void unknown_columns_are_kept(struct kv_run *run) {
    kv_run_put(run, KV_PACKED, "later", "1", RT_KV_LAZY);
    kv_run_close(run);
    KV_EXPECT_ERR(run, kv_run_open(run, "store", 1, false, NULL), RT_OK);
    if (!run->kv) return;
    kv_run_put(run, KV_PLAIN, "earlier", "2", RT_KV_LAZY);
    KV_EXPECT_ERR(run, rt_kv_flush_now(run->kv), RT_OK);
    kv_run_reopen(run);
    kv_run_expect_all(run, NULL, KV_PACKED, "later=1 ");
    kv_run_expect_all(run, NULL, KV_PLAIN, "earlier=2 ");
}

void opening_says_what_is_wrong_with_a_store(struct kv_run *run) {
    struct rt_why why = {0};
    kv_run_close(run);
    KV_EXPECT_ERR(run, kv_run_open(run, "absent", KV_COLUMNS, false, &why), RT_ENOTFOUND);
    KV_EXPECT(run, strstr(why.text, "/absent") != NULL);
    bool exists = false;
    char *path = kv_run_path(run, "absent");
    KV_EXPECT_ERR(run, rt_path_exists_now(run->machine, path, &exists), RT_OK);
    KV_EXPECT(run, !exists);
    rt_free(path);
}

void an_open_store_cannot_be_opened_again(struct kv_run *run) {
    struct rt_why why = {0};
    struct rt_kv *first = run->kv;
    KV_EXPECT_ERR(run, kv_run_open(run, "store", KV_COLUMNS, false, &why), RT_ELOCKED);
    KV_EXPECT(run, strstr(why.text, "/store") != NULL);
    kv_run_close(run);
    run->kv = first;
    kv_run_put(run, KV_PLAIN, "a", "still works", RT_KV_DURABLE);
    kv_run_expect_value(run, KV_PLAIN, "a", "still works");
}

// CHECKPOINTS

void a_checkpoint_is_a_store_of_that_time(struct kv_run *run) {
    kv_run_put(run, KV_PLAIN, "a", "1", RT_KV_LAZY);
    kv_run_put(run, KV_PACKED, "b", "1", RT_KV_NO_LOG);
    char *path = kv_run_path(run, "copy");
    KV_EXPECT_ERR(run, rt_kv_checkpoint_now(run->kv, path), RT_OK);
    rt_free(path);
    kv_run_put(run, KV_PLAIN, "a", "2", RT_KV_DURABLE);
    kv_run_put(run, KV_PACKED, "c", "2", RT_KV_DURABLE);
    struct rt_kv *original = run->kv;
    KV_EXPECT_ERR(run, kv_run_open(run, "copy", KV_COLUMNS, false, NULL), RT_OK);
    if (run->kv) {
        kv_run_expect_all(run, NULL, KV_PLAIN, "a=1 ");
        kv_run_expect_all(run, NULL, KV_PACKED, "b=1 ");
        kv_run_put(run, KV_PLAIN, "a", "3", RT_KV_DURABLE);
        kv_run_close(run);
    }
    run->kv = original;
    kv_run_expect_all(run, NULL, KV_PLAIN, "a=2 ");
    kv_run_expect_all(run, NULL, KV_PACKED, "b=1 c=2 ");
}

void a_checkpoint_needs_a_new_directory(struct kv_run *run) {
    char *path = kv_run_path(run, "taken");
    KV_EXPECT_ERR(run, rt_dir_create_now(run->machine, path, NULL), RT_OK);
    KV_EXPECT_ERR(run, rt_kv_checkpoint_now(run->kv, path), RT_EEXIST);
    rt_free(path);
    kv_run_put(run, KV_PLAIN, "a", "still works", RT_KV_DURABLE);
}

void stats_follow_the_content(struct kv_run *run) {
    KV_EXPECT(run, rt_kv_stats(run->kv).keys_estimate == 0);
    kv_run_put(run, KV_PLAIN, "a", "1", RT_KV_LAZY);
    kv_run_put(run, KV_PACKED, "b", "1", RT_KV_LAZY);
    struct rt_kv_stats stats = rt_kv_stats(run->kv);
    KV_EXPECT(run, stats.keys_estimate == 2);
    KV_EXPECT(run, stats.memtable_bytes > 0);
    KV_EXPECT_ERR(run, rt_kv_flush_now(run->kv), RT_OK);
    KV_EXPECT(run, rt_kv_stats(run->kv).live_bytes > 0);
}
