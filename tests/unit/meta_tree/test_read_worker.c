// A read on a worker answers from the moment when it was started, and answers once.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meta/server/tree/read.h"
#include "runtime/file.h"
#include "runtime/mem.h"
#include "tests/lib/harness.h"

enum { CHILDREN = 2000 };

static struct {
    struct harness harness;
    struct rt_loop *loop;
    const char *path;
    struct meta_store *store;
    struct meta_read read;
    struct proto_zk_request request;
    struct rt_arena arena;
    unsigned answers;
} run;

static void child_put(unsigned i) {
    char path[16];
    struct meta_znode node = {.czxid = 1};
    snprintf(path, sizeof(path), "/%u", i);
    meta_store_put(run.store, rt_bytes_of(path), &node);
}

static void read_done(struct meta_read *read, rt_err err) {
    HARNESS_CHECK(&run.harness, err == RT_OK);
    HARNESS_CHECK(&run.harness, ++run.answers == 1);
    HARNESS_CHECK(&run.harness, read->reply.header.err == 0);
    HARNESS_CHECK(&run.harness, read->reply.header.zxid == 5);
    HARNESS_CHECK(&run.harness, read->reply.body.names.count == CHILDREN);
    HARNESS_CHECK(&run.harness, read->reply.body.stat.children == CHILDREN);
    rt_arena_fini(&run.arena);
    meta_store_close_now(run.store);
    harness_end(&run.harness);
}

static void tree_fill(unsigned children) {
    struct meta_znode root = {.children = (int32_t)children, .creates = (int32_t)children};
    meta_store_put(run.store, RT_BYTES_LITERAL("/"), &root);
    for (unsigned i = 0; i < children; i++) child_put(i);
}

// The change behind the start is not in the answer.
static void start(struct harness *harness, struct rt_loop *loop) {
    const struct meta_store_options options = {.path = run.path, .cache_bytes = 1 << 20};
    const struct meta_read_context context = {.session = 1};
    rt_err err = meta_store_open_now(harness->machines[0], &options, &run.store, NULL);
    HARNESS_CHECK(harness, err == RT_OK);
    tree_fill(CHILDREN);
    meta_store_set_applied(run.store, (struct meta_position){5, 1}, 0);
    run.request.op.opcode = PROTO_ZK_OP_GET_CHILDREN2;
    run.request.op.read.path = RT_BYTES_LITERAL("/");
    struct proto_zk_reply reply;
    err = meta_read_try(run.store, &context, &run.request, &run.arena, &reply);
    HARNESS_CHECK(harness, err == RT_EAGAIN);
    meta_read_start(&run.read, loop, run.store, &context, &run.request, &run.arena, read_done);
    HARNESS_CHECK(harness, run.answers == 0);
    tree_fill(CHILDREN + 10);
    meta_store_set_applied(run.store, (struct meta_position){6, 1}, 0);
    HARNESS_CHECK(harness, meta_store_flush_now(run.store) == RT_OK);
}

Test(meta_tree_read_worker, an_answer_is_of_the_moment_of_the_start) {
    char root[] = "/tmp/geminga-read-XXXXXX", path[64];
    cr_assert_not_null(mkdtemp(root));
    snprintf(path, sizeof(path), "%s/store", root);
    run.path = path;
    run.harness = (struct harness){.sides = {{start}}};
    cr_assert(harness_run_real(&run.harness), "%s", run.harness.failure);
    char command[96];
    snprintf(command, sizeof(command), "rm -r %s", root);
    cr_assert_eq(system(command), 0);
}

Test(meta_tree_read_worker, an_answer_is_of_the_moment_of_the_start_simulated) {
    for (uint64_t seed = 1; seed <= 5; seed++) {
        memset(&run, 0, sizeof(run));
        run.path = "store";
        run.harness = (struct harness){.sides = {{start}}, .seed = seed};
        cr_assert(harness_run_sim(&run.harness), "%s", run.harness.failure);
    }
}
