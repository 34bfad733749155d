// Stores of the real machine: what the conformance cases, which also hold in the simulator, cannot
// say.
#include "runtime/kv.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/file.h"
#include "runtime/real/real.h"

enum { COLUMNS = 3, ROUNDS = 54, FLUSH_EACH = 7 };
enum { LAST_FLUSHED = (ROUNDS - 1) / FLUSH_EACH * FLUSH_EACH };

static struct rt_machine *machine;
static char root[64];

static const struct rt_kv_column columns[COLUMNS] = {
    {.name = "default"}, {.name = "second"}, {.name = "third"}};

// Not before a fork: threads do not survive it.
static void machine_open(void) {
    const struct rt_real_options options = {.loop_count = 1, .worker_count = 1};
    cr_assert_eq(rt_real_open(&options, &machine, NULL), RT_OK);
}

static void set_up(void) {
    snprintf(root, sizeof(root), "/tmp/geminga-stores-XXXXXX");
    cr_assert_not_null(mkdtemp(root));
}

static void tear_down(void) {
    if (!machine) machine_open();
    cr_assert_eq(rt_path_remove_tree_now(machine, root), RT_OK);
    rt_real_close(machine);
}

TestSuite(runtime_kv, .init = set_up, .fini = tear_down);

static const char *below(const char *name) {
    static char path[128];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    return path;
}

static rt_err store_open(const char *name, bool create, struct rt_kv **kv, struct rt_why *why) {
    const struct rt_kv_options options = {
        .columns = columns, .column_count = COLUMNS, .create_if_missing = create};
    return rt_kv_open_now(machine, below(name), &options, kv, why);
}

static struct rt_kv *store(void) {
    struct rt_kv *kv = NULL;
    struct rt_why why = {0};
    rt_err err = store_open("store", true, &kv, &why);
    cr_assert_eq(err, RT_OK, "%s", why.text);
    return kv;
}

static void number_put(struct rt_kv *kv, unsigned column, int number,
                       enum rt_kv_durability durability) {
    char text[12];
    struct rt_kv_batch *batch = rt_kv_batch_new(kv);
    snprintf(text, sizeof(text), "%d", number);
    rt_kv_put(batch, column, rt_bytes_of(text), rt_bytes_of(text));
    if (rt_kv_write_now(kv, batch, durability) != RT_OK) _exit(1);
    rt_kv_batch_free(batch);
}

static bool number_is_in(struct rt_kv *kv, unsigned column, int number) {
    char text[12];
    struct rt_buf value = {0};
    snprintf(text, sizeof(text), "%d", number);
    rt_err err = rt_kv_get_now(kv, NULL, column, rt_bytes_of(text), &value);
    rt_buf_fini(&value);
    return err == RT_OK;
}

static void text_write(const char *name, const char *text) {
    FILE *file = fopen(below(name), "w");
    cr_assert_not_null(file);
    cr_assert_geq(fputs(text, file), 0);
    cr_assert_eq(fclose(file), 0);
}

// WHAT CANNOT BE OPENED

static void fails_to_open(const char *name, bool create, rt_err expected, const char *reason) {
    struct rt_kv *kv = NULL;
    struct rt_why why = {0};
    rt_err err = store_open(name, create, &kv, &why);
    cr_assert_eq(err, expected, "%s: %s", rt_err_name(err), why.text);
    cr_assert_not_null(strstr(why.text, below(name)), "%s", why.text);
    cr_assert_not_null(strstr(why.text, reason), "%s", why.text);
}

Test(runtime_kv, a_corrupt_store_says_so) {
    machine_open();
    rt_kv_close_now(store());
    text_write("store/CURRENT", "no manifest");
    fails_to_open("store", true, RT_ECORRUPT, "CURRENT");
    text_write("store/CURRENT", "MANIFEST-999999\n");
    fails_to_open("store", true, RT_ECORRUPT, "MANIFEST-999999");
}

Test(runtime_kv, a_foreign_directory_is_not_touched) {
    machine_open();
    cr_assert_eq(rt_dir_create_now(machine, below("home"), NULL), RT_OK);
    text_write("home/letter.txt", "dear");
    fails_to_open("home", true, RT_EINVAL, "letter.txt");
    fails_to_open("home", false, RT_ENOTFOUND, "none");
    struct rt_dir_listing listing = {0};
    cr_assert_eq(rt_dir_list_now(machine, below("home"), &listing, NULL), RT_OK);
    cr_assert_eq(listing.count, 1);
    rt_dir_listing_fini(&listing);
}

Test(runtime_kv, tables_without_a_list_of_them_are_not_thrown_away) {
    machine_open();
    cr_assert_eq(rt_dir_create_now(machine, below("half"), NULL), RT_OK);
    text_write("half/000008.sst", "data");
    fails_to_open("half", true, RT_ECORRUPT, "CURRENT is missing");
}

Test(runtime_kv, an_interrupted_creation_is_completed) {
    machine_open();
    cr_assert_eq(rt_dir_create_now(machine, below("store"), NULL), RT_OK);
    text_write("store/LOCK", "");
    text_write("store/LOG", "");
    text_write("store/IDENTITY", "x");
    text_write("store/MANIFEST-000001", "");
    text_write("store/000001.dbtmp", "MANI");
    rt_kv_close_now(store());
}

Test(runtime_kv, a_file_is_not_a_store) {
    machine_open();
    text_write("plain", "");
    fails_to_open("plain", true, RT_ENOTFOUND, "not a directory");
    fails_to_open("plain", false, RT_ENOTFOUND, "not a directory");
}

Test(runtime_kv, a_store_is_created_with_its_parents) {
    machine_open();
    struct rt_kv *kv = NULL;
    cr_assert_eq(store_open("a/b/c", true, &kv, NULL), RT_OK);
    rt_kv_close_now(kv);
}

// OTHER PROCESSES

// Runs `body` on a store in a process that then dies without closing it.
static void in_killed_process(void (*body)(struct rt_kv *kv)) {
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        machine_open();
        body(store());
        _exit(0);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    machine_open();
}

static void logged_writes(struct rt_kv *kv) {
    for (int i = 0; i < ROUNDS; i++) {
        number_put(kv, (unsigned)i % COLUMNS, i, i % 2 ? RT_KV_DURABLE : RT_KV_LAZY);
    }
}

Test(runtime_kv, logged_writes_survive_the_process) {
    in_killed_process(logged_writes);
    struct rt_kv *kv = store();
    for (int i = 0; i < ROUNDS; i++) cr_assert(number_is_in(kv, (unsigned)i % COLUMNS, i));
    rt_kv_close_now(kv);
}

static void unlogged_writes(struct rt_kv *kv) {
    for (int i = 0; i < ROUNDS; i++) {
        number_put(kv, (unsigned)i % COLUMNS, i, RT_KV_NO_LOG);
        if (i % FLUSH_EACH == 0 && rt_kv_flush_now(kv) != RT_OK) _exit(2);
    }
}

Test(runtime_kv, unlogged_writes_survive_the_process_up_to_the_last_flush) {
    in_killed_process(unlogged_writes);
    struct rt_kv *kv = store();
    for (int i = 0; i < ROUNDS; i++) {
        bool is_flushed = i <= LAST_FLUSHED;
        cr_assert_eq(number_is_in(kv, (unsigned)i % COLUMNS, i), is_flushed, "%d", i);
    }
    rt_kv_close_now(kv);
}

static void filled_columns(struct rt_kv *kv) {
    char value[4096];
    memset(value, 'v', sizeof(value));
    struct rt_kv_batch *batch = rt_kv_batch_new(kv);
    for (int i = 0; rt_kv_stats(kv).live_bytes == 0; i++) {
        char key[12];
        snprintf(key, sizeof(key), "%08d", i);
        rt_kv_batch_clear(batch);
        rt_kv_put(batch, (unsigned)i % COLUMNS, rt_bytes_of(key),
                  RT_BYTES(value, i % COLUMNS ? 100 : sizeof(value)));
        if (rt_kv_write_now(kv, batch, RT_KV_NO_LOG) != RT_OK) _exit(1);
    }
    rt_kv_batch_free(batch);
}

static unsigned count_column(struct rt_kv *kv, unsigned column) {
    unsigned count = 0;
    struct rt_kv_iter *iter = rt_kv_iter_new(kv, NULL, column);
    for (rt_kv_iter_first(iter); rt_kv_iter_valid(iter); rt_kv_iter_next(iter)) count++;
    rt_kv_iter_free(iter);
    return count;
}

// A full write buffer is flushed by RocksDB itself, and the other columns with it.
Test(runtime_kv, unlogged_writes_leave_a_prefix_over_all_columns) {
    in_killed_process(filled_columns);
    struct rt_kv *kv = store();
    unsigned first = count_column(kv, 0);
    cr_assert_gt(first, 0);
    for (unsigned column = 1; column < COLUMNS; column++) {
        unsigned count = count_column(kv, column);
        cr_assert(count == first || count + 1 == first, "%u of %u", count, first);
    }
    rt_kv_close_now(kv);
}

Test(runtime_kv, a_store_is_locked_for_other_processes) {
    int ready[2];
    char byte = 0;
    cr_assert_eq(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        machine_open();
        store();
        if (write(ready[1], &byte, 1) != 1) _exit(1);
        for (;;) pause();
    }
    cr_assert_eq(read(ready[0], &byte, 1), 1);
    machine_open();
    fails_to_open("store", true, RT_ELOCKED, "lock");
    kill(child, SIGKILL);
    cr_assert_eq(waitpid(child, NULL, 0), child);
    rt_kv_close_now(store());
}
