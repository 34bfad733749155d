// Files of the real machine under several threads.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/file.h"
#include "tests/lib/harness.h"

enum { RECORD_SIZE = 64, RECORDS = 400, AT_ONCE = 16 };

// Two loops append records of their own letter to one file.
struct crowd;

struct member {
    struct rt_file_op op;
    struct crowd *crowd;
    struct rt_bytes part;
    uint8_t record[RECORD_SIZE];
    unsigned left;
};

struct crowd {
    struct harness harness;
    char dir[64], path[80];
    struct rt_file *file;
    struct member members[2][AT_ONCE];
    unsigned running[2];
    atomic_uint sides_left;
    unsigned flags;
    bool sync;
};

static void crowd_check(struct crowd *crowd) {
    uint64_t size = 0;
    unsigned count[2] = {0};
    uint8_t record[RECORD_SIZE];
    size_t done = 0;
    struct harness *harness = &crowd->harness;
    HARNESS_CHECK(harness, rt_file_size_now(crowd->file, &size) == RT_OK);
    HARNESS_CHECK(harness, size == UINT64_C(2) * RECORDS * RECORD_SIZE);
    for (uint64_t at = 0; at < size; at += RECORD_SIZE) {
        rt_err err = rt_file_read_now(crowd->file, at, record, RECORD_SIZE, &done);
        HARNESS_CHECK(harness, err == RT_OK && done == RECORD_SIZE);
        HARNESS_CHECK(harness, memcmp(record, record + 1, RECORD_SIZE - 1) == 0);
        count[record[0] == 'b']++;
    }
    HARNESS_CHECK(harness, count[0] == RECORDS && count[1] == RECORDS);
    rt_file_close_now(crowd->file);
}

static void appended(struct rt_file_op *op, rt_err err) {
    struct member *member = rt_container_of(op, struct member, op);
    struct crowd *crowd = member->crowd;
    unsigned side = rt_loop_index(rt_loop_current());
    HARNESS_CHECK(&crowd->harness, err == RT_OK);
    if (--member->left > 0) {
        rt_file_append(op, crowd->file, &member->part, 1, crowd->sync, appended);
        return;
    }
    if (--crowd->running[side] > 0) return;
    if (atomic_fetch_sub(&crowd->sides_left, 1) == 1) crowd_check(crowd);
    harness_end(&crowd->harness);
}

static void side_start(struct harness *harness, struct rt_loop *loop) {
    struct crowd *crowd = rt_container_of(harness, struct crowd, harness);
    unsigned side = rt_loop_index(loop);
    if (side == 0) {
        unsigned flags = RT_FILE_READ | RT_FILE_WRITE | RT_FILE_CREATE | crowd->flags;
        rt_err err =
            rt_file_open_now(rt_loop_machine(loop), crowd->path, flags, &crowd->file, NULL);
        HARNESS_CHECK(harness, err == RT_OK);
        harness_ready(harness, 0);
    }
    crowd->running[side] = AT_ONCE;
    for (unsigned i = 0; i < AT_ONCE; i++) {
        struct member *member = &crowd->members[side][i];
        memset(member->record, 'a' + (int)side, RECORD_SIZE);
        member->crowd = crowd;
        member->part = RT_BYTES(member->record, RECORD_SIZE);
        member->left = RECORDS / AT_ONCE;
        rt_file_append(&member->op, crowd->file, &member->part, 1, crowd->sync, appended);
    }
}

static void crowd_run(unsigned flags, bool sync) {
    struct crowd *crowd = rt_alloc_aligned(64, sizeof(*crowd));
    memset(crowd, 0, sizeof(*crowd));
    snprintf(crowd->dir, sizeof(crowd->dir), "/tmp/geminga-crowd-XXXXXX");
    cr_assert_not_null(mkdtemp(crowd->dir));
    snprintf(crowd->path, sizeof(crowd->path), "%s/f", crowd->dir);
    crowd->harness.sides[0].start = side_start;
    crowd->harness.sides[1].start = side_start;
    crowd->harness.place = HARNESS_TWO_LOOPS;
    crowd->flags = flags;
    crowd->sync = sync;
    atomic_store(&crowd->sides_left, 2);
    cr_assert(harness_run_real(&crowd->harness), "%s", crowd->harness.failure);
    cr_assert_eq(remove(crowd->path), 0);
    cr_assert_eq(remove(crowd->dir), 0);
    rt_free(crowd);
}

Test(runtime_file_threads, two_loops_append_to_one_file) {
    crowd_run(0, false);
}

Test(runtime_file_threads, two_loops_append_to_one_journal) {
    crowd_run(RT_FILE_OWN_THREAD, true);
}

// CLOSING WHERE IT IS ANSWERED: such a turn may run on the file's own thread.

struct closer {
    struct harness harness;
    char dir[64], path[80];
    struct rt_file *file;
    struct rt_file_op op;
    struct rt_bytes part;
    unsigned left, flags;
};

static void closer_next(struct closer *closer);

static void closer_appended(struct rt_file_op *op, rt_err err) {
    struct closer *closer = rt_container_of(op, struct closer, op);
    HARNESS_CHECK(&closer->harness, err == RT_OK);
    rt_file_close_now(closer->file);
    if (--closer->left > 0) {
        closer_next(closer);
    } else {
        harness_end(&closer->harness);
    }
}

static void closer_next(struct closer *closer) {
    unsigned flags = RT_FILE_WRITE | RT_FILE_CREATE | RT_FILE_EXISTING | closer->flags;
    struct rt_machine *machine = rt_loop_machine(rt_loop_current());
    rt_err err = rt_file_open_now(machine, closer->path, flags, &closer->file, NULL);
    HARNESS_CHECK(&closer->harness, err == RT_OK);
    rt_file_append(&closer->op, closer->file, &closer->part, 1, false, closer_appended);
}

static void closer_start(struct harness *harness, struct rt_loop *loop) {
    (void)loop;  // the current one
    closer_next(rt_container_of(harness, struct closer, harness));
}

static void closer_run(unsigned flags) {
    struct closer *closer = RT_NEW(struct closer);
    snprintf(closer->dir, sizeof(closer->dir), "/tmp/geminga-closer-XXXXXX");
    cr_assert_not_null(mkdtemp(closer->dir));
    snprintf(closer->path, sizeof(closer->path), "%s/f", closer->dir);
    closer->harness.sides[0].start = closer_start;
    closer->part = RT_BYTES_LITERAL("record");
    closer->flags = flags;
    closer->left = 100;
    cr_assert(harness_run_real(&closer->harness), "%s", closer->harness.failure);
    cr_assert_eq(remove(closer->path), 0);
    cr_assert_eq(remove(closer->dir), 0);
    rt_free(closer);
}

Test(runtime_file_threads, a_file_is_closed_in_the_answer_of_its_last_append) {
    closer_run(0);
}

Test(runtime_file_threads, a_journal_is_closed_in_the_answer_of_its_last_append) {
    closer_run(RT_FILE_OWN_THREAD);
}
