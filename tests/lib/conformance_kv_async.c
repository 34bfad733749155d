#include <stdio.h>
#include <string.h>

#include "runtime/file.h"
#include "tests/lib/conformance_kv_cases.h"

// WRITES

enum { WRITES = 40 };

struct write_talk;

struct write_op {
    struct rt_kv_op op;
    struct rt_kv_batch *batch;
    unsigned number;
};

struct write_talk {
    struct kv_run *run;
    struct write_op writes[WRITES];
    unsigned answered, restarted;
    bool starting;
    bool restarts;  // each answer of the first half starts that op once more
};

static struct write_talk *talk_of(struct write_op *write) {
    return rt_container_of(write - write->number, struct write_talk, writes);
}

static void write_done(struct rt_kv_op *op, rt_err err);

static void write_start(struct write_talk *talk, unsigned number) {
    static const enum rt_kv_durability durabilities[] = {RT_KV_DURABLE, RT_KV_LAZY, RT_KV_DURABLE,
                                                         RT_KV_LAZY, RT_KV_LAZY};
    struct write_op *write = &talk->writes[number];
    struct rt_loop *loop = rt_machine_loop(talk->run->machine, 0);
    char text[16];
    snprintf(text, sizeof(text), "%u", number);
    write->number = number;
    if (!write->batch) write->batch = rt_kv_batch_new(talk->run->kv);
    rt_kv_batch_clear(write->batch);
    rt_kv_put(write->batch, KV_PLAIN, rt_bytes_of("last"), rt_bytes_of(text));
    rt_kv_put(write->batch, KV_PACKED, rt_bytes_of(text), rt_bytes_of("1"));
    talk->starting = true;
    rt_kv_write(&write->op, loop, talk->run->kv, write->batch, durabilities[number % 5],
                write_done);
    talk->starting = false;
}

static void talk_end(struct write_talk *talk) {
    struct kv_run *run = talk->run;
    char text[16];
    snprintf(text, sizeof(text), "%u", talk->restarts ? WRITES / 2 - 1 : WRITES - 1);
    kv_run_expect_value(run, KV_PLAIN, "last", text);
    for (unsigned i = 0; i < WRITES; i++) {
        rt_kv_batch_free(talk->writes[i].batch);
        snprintf(text, sizeof(text), "%u", i);
        kv_run_expect_value(run, KV_PACKED, text, "1");
    }
    rt_free(talk);
    kv_run_end(run);
}

static void write_done(struct rt_kv_op *op, rt_err err) {
    struct write_op *write = rt_container_of(op, struct write_op, op);
    struct write_talk *talk = talk_of(write);
    KV_EXPECT(talk->run, err == RT_OK);
    KV_EXPECT(talk->run, !talk->starting);
    KV_EXPECT(talk->run, rt_loop_current() == rt_machine_loop(talk->run->machine, 0));
    KV_EXPECT(talk->run, write->number == talk->answered % WRITES);
    talk->answered++;
    if (talk->restarts && talk->restarted < WRITES / 2) {
        talk->restarted++;
        write_start(talk, write->number);
    }
    if (talk->answered == WRITES + talk->restarted) talk_end(talk);
}

static void talk_start(struct kv_run *run, bool restarts) {
    struct write_talk *talk = RT_NEW(struct write_talk);
    talk->run = run;
    talk->restarts = restarts;
    for (unsigned i = 0; i < WRITES; i++) write_start(talk, i);
}

void writes_are_applied_and_answered_in_order(struct kv_run *run) {
    talk_start(run, false);
}

void the_first_answer_may_start_more(struct kv_run *run) {
    talk_start(run, true);
}

// READS AND CHECKPOINTS

struct read_talk {
    struct kv_run *run;
    struct rt_kv_op present, absent, checkpoint;
    struct rt_buf present_value, absent_value;
    char *path;
    unsigned answered;
};

static void one_answered(struct read_talk *talk) {
    if (++talk->answered < 3) return;
    struct kv_run *run = talk->run;
    kv_run_close(run);
    KV_EXPECT_ERR(run, kv_run_open(run, "copy", KV_COLUMNS, false, NULL), RT_OK);
    if (run->kv) kv_run_expect_all(run, NULL, KV_PLAIN, "k=value ");
    rt_buf_fini(&talk->present_value);
    rt_buf_fini(&talk->absent_value);
    rt_free(talk->path);
    rt_free(talk);
    kv_run_end(run);
}

static void present_done(struct rt_kv_op *op, rt_err err) {
    struct read_talk *talk = rt_container_of(op, struct read_talk, present);
    struct rt_bytes value = rt_buf_bytes(&talk->present_value);
    KV_EXPECT(talk->run, !err && rt_bytes_equal(value, rt_bytes_of("value")));
    one_answered(talk);
}

static void absent_done(struct rt_kv_op *op, rt_err err) {
    struct read_talk *talk = rt_container_of(op, struct read_talk, absent);
    KV_EXPECT(talk->run, err == RT_ENOTFOUND && talk->absent_value.size == 0);
    one_answered(talk);
}

static void checkpoint_done(struct rt_kv_op *op, rt_err err) {
    struct read_talk *talk = rt_container_of(op, struct read_talk, checkpoint);
    KV_EXPECT(talk->run, err == RT_OK);
    one_answered(talk);
}

void reads_and_checkpoints_are_answered(struct kv_run *run) {
    struct rt_loop *loop = rt_machine_loop(run->machine, 0);
    struct read_talk *talk = RT_NEW(struct read_talk);
    talk->run = run;
    talk->path = kv_run_path(run, "copy");
    rt_buf_append(&talk->absent_value, RT_BYTES_LITERAL("left over"));
    kv_run_put(run, KV_PLAIN, "k", "value", RT_KV_LAZY);
    rt_kv_get(&talk->present, loop, run->kv, KV_PLAIN, RT_BYTES_LITERAL("k"), &talk->present_value,
              present_done);
    rt_kv_get(&talk->absent, loop, run->kv, KV_PLAIN, RT_BYTES_LITERAL("no"), &talk->absent_value,
              absent_done);
    rt_kv_checkpoint(&talk->checkpoint, loop, run->kv, talk->path, checkpoint_done);
    KV_EXPECT(run, talk->answered == 0);
}
