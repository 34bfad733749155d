#include <assert.h>

#include "meta/server/tree/read_source.h"
#include "runtime/mem.h"

static void read_run(struct rt_work *work) {
    struct meta_read *read = rt_container_of(work, struct meta_read, work);
    if (read->err) return;
    struct meta_read_source source = {.view = read->view,
                                      .context = &read->context,
                                      .arena = read->arena,
                                      .scan_left = SIZE_MAX,
                                      .bytes_left = META_READ_REPLY_BYTES};
    read->err = meta_read_answer(&source, read->request, &read->reply);
    assert(read->err != RT_EAGAIN);
    read->reply.header.zxid = (int64_t)read->view.applied.index;
}

static void read_ran(struct rt_work *work) {
    struct meta_read *read = rt_container_of(work, struct meta_read, work);
    if (read->view.snapshot) meta_store_snapshot_drop(read->store, &read->view);
    read->done(read, read->err);
}

// A failure to take the snapshot is answered like any other, on a later turn.
void meta_read_start(struct meta_read *read, struct rt_loop *loop, struct meta_store *store,
                     const struct meta_read_context *context,
                     const struct proto_zk_request *request, struct rt_arena *arena,
                     void (*done)(struct meta_read *read, rt_err err)) {
    *read = (struct meta_read){
        .store = store, .context = *context, .request = request, .arena = arena, .done = done};
    read->err = meta_store_snapshot_now(store, &read->view);
    rt_work_submit(&read->work, loop, read_run, read_ran, "meta_read");
}
