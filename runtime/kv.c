#include "runtime/kv.h"

#include <assert.h>

#include "runtime/backend.h"

// WRITES of one store run in order, one group at a time on a worker: while one group is being
// written the next gathers. Within a group only the last durable batch waits for the disk; it makes
// those before it durable too, and none is answered before that.
//
// The counter `writes` goes up before an op is pushed and down after its group was taken off, so
// whoever raises it from zero starts the writer, and a writer that leaves it above zero runs again.

enum kv_kind { KV_WRITE, KV_GET, KV_CHECKPOINT };

static struct rt_kv_head *head_of(struct rt_kv *kv) {
    return (struct rt_kv_head *)(void *)kv;
}

static const struct rt_kv_backend *backend_of(struct rt_kv *kv) {
    return head_of(kv)->backend;
}

static const struct rt_kv_backend *batch_backend(const struct rt_kv_batch *batch) {
    return *(const struct rt_kv_backend *const *)(const void *)batch;
}

static const struct rt_kv_backend *iter_backend(const struct rt_kv_iter *iter) {
    return *(const struct rt_kv_backend *const *)(const void *)iter;
}

void rt_kv_head_init(struct rt_kv_head *head, struct rt_machine *machine,
                     const struct rt_kv_backend *backend) {
    head->machine = machine;
    head->backend = backend;
    head->group = NULL;
    atomic_init(&head->writes, 0);
    atomic_init(&head->incoming, NULL);
}

rt_err rt_kv_open_now(struct rt_machine *machine, const char *path,
                      const struct rt_kv_options *options, struct rt_kv **kv, struct rt_why *why) {
    assert(options->column_count <= RT_KV_COLUMNS_MAX);
    return machine->backend->kv->open(machine, path, options, kv, why);
}

void rt_kv_close_now(struct rt_kv *kv) {
    assert(atomic_load(&head_of(kv)->writes) == 0);
    backend_of(kv)->close(kv);
}

// THE WRITER

static struct rt_kv_op *list_reverse(struct rt_kv_op *op) {
    struct rt_kv_op *reversed = NULL;
    while (op) {
        struct rt_kv_op *next = op->next;
        op->next = reversed;
        reversed = op;
        op = next;
    }
    return reversed;
}

static bool is_durable(const struct rt_kv_op *op) {
    return op->durability == RT_KV_DURABLE;
}

// Only the last durable batch waits for the disk; when it fails, none is durable.
static void ops_write(struct rt_kv *kv, struct rt_kv_op *group) {
    const struct rt_kv_op *last = NULL;
    for (const struct rt_kv_op *op = group; op; op = op->next) {
        if (is_durable(op)) last = op;
    }
    for (struct rt_kv_op *op = group; op; op = op->next) {
        bool waits_later = is_durable(op) && op != last;
        op->err = backend_of(kv)->write(kv, op->batch, waits_later ? RT_KV_LAZY : op->durability);
    }
    for (struct rt_kv_op *op = group; op; op = op->next) {
        if (last && is_durable(op) && !op->err) op->err = last->err;
    }
}

static void group_write(struct rt_work *work) {
    struct rt_kv_head *head = rt_container_of(work, struct rt_kv_head, writer);
    head->group = list_reverse(atomic_exchange(&head->incoming, NULL));
    ops_write((struct rt_kv *)(void *)head, head->group);
}

static void op_completed(struct rt_task *task) {
    struct rt_work *work = rt_container_of(task, struct rt_work, task);
    struct rt_kv_op *op = rt_container_of(work, struct rt_kv_op, work);
    op->done(op, op->err);
}

// Answers in order. The first answer may close the store, unless more writes are under way.
static void group_complete(struct rt_loop *loop, struct rt_kv_op *first) {
    struct rt_kv_op *next = NULL;
    for (struct rt_kv_op *op = first; op; op = next) {
        next = op->next;
        rt_task_init(&op->work.task, op_completed, "kv write");
        if (op->loop == loop) {
            rt_defer(loop, &op->work.task);
        } else {
            rt_post(op->loop, &op->work.task);
        }
    }
}

static void group_written(struct rt_work *work) {
    struct rt_kv_head *head = rt_container_of(work, struct rt_kv_head, writer);
    struct rt_loop *loop = work->loop;
    struct rt_kv_op *group = head->group;
    size_t count = 0;
    for (const struct rt_kv_op *op = group; op; op = op->next) count++;
    head->group = NULL;
    if (atomic_fetch_sub(&head->writes, count) > count) {
        rt_work_submit(&head->writer, loop, group_write, group_written, "kv write");
    }
    group_complete(loop, group);
}

static void write_push(struct rt_kv_head *head, struct rt_kv_op *op) {
    op->next = atomic_load(&head->incoming);
    while (!atomic_compare_exchange_weak(&head->incoming, &op->next, op)) {
    }
}

static void op_init(struct rt_kv_op *op, enum kv_kind kind, struct rt_loop *loop, struct rt_kv *kv,
                    rt_kv_done_fn *done) {
    *op = (struct rt_kv_op){.kind = kind, .loop = loop, .kv = kv, .done = done};
}

void rt_kv_write(struct rt_kv_op *op, struct rt_loop *loop, struct rt_kv *kv,
                 struct rt_kv_batch *batch, enum rt_kv_durability durability, rt_kv_done_fn *done) {
    assert(rt_loop_is_current(loop));
    struct rt_kv_head *head = head_of(kv);
    op_init(op, KV_WRITE, loop, kv, done);
    op->batch = batch;
    op->durability = durability;
    bool is_idle = atomic_fetch_add(&head->writes, 1) == 0;
    write_push(head, op);
    if (is_idle) rt_work_submit(&head->writer, loop, group_write, group_written, "kv write");
}

// OTHER OPERATIONS, each on a worker of its own

static void op_run(struct rt_work *work) {
    struct rt_kv_op *op = rt_container_of(work, struct rt_kv_op, work);
    if (op->kind == KV_GET) {
        op->err = rt_kv_get_now(op->kv, NULL, op->column, op->key, op->value);
    } else {
        op->err = rt_kv_checkpoint_now(op->kv, op->path);
    }
}

static void op_ran(struct rt_work *work) {
    struct rt_kv_op *op = rt_container_of(work, struct rt_kv_op, work);
    op->done(op, op->err);
}

void rt_kv_get(struct rt_kv_op *op, struct rt_loop *loop, struct rt_kv *kv, unsigned column,
               struct rt_bytes key, struct rt_buf *value, rt_kv_done_fn *done) {
    op_init(op, KV_GET, loop, kv, done);
    op->column = column;
    op->key = key;
    op->value = value;
    rt_work_submit(&op->work, loop, op_run, op_ran, "kv get");
}

void rt_kv_checkpoint(struct rt_kv_op *op, struct rt_loop *loop, struct rt_kv *kv, const char *path,
                      rt_kv_done_fn *done) {
    op_init(op, KV_CHECKPOINT, loop, kv, done);
    op->path = path;
    rt_work_submit(&op->work, loop, op_run, op_ran, "kv checkpoint");
}

// BLOCKING CALLS, straight to the backend

struct rt_kv_batch *rt_kv_batch_new(struct rt_kv *kv) {
    return backend_of(kv)->batch_new(kv);
}

void rt_kv_batch_free(struct rt_kv_batch *batch) {
    batch_backend(batch)->batch_free(batch);
}

void rt_kv_batch_clear(struct rt_kv_batch *batch) {
    batch_backend(batch)->batch_clear(batch);
}

void rt_kv_put(struct rt_kv_batch *batch, unsigned column, struct rt_bytes key,
               struct rt_bytes value) {
    batch_backend(batch)->put(batch, column, key, value);
}

void rt_kv_delete(struct rt_kv_batch *batch, unsigned column, struct rt_bytes key) {
    batch_backend(batch)->remove(batch, column, key);
}

void rt_kv_delete_range(struct rt_kv_batch *batch, unsigned column, struct rt_bytes first,
                        struct rt_bytes end) {
    if (rt_bytes_compare(first, end) >= 0) return;
    batch_backend(batch)->remove_range(batch, column, first, end);
}

size_t rt_kv_batch_count(const struct rt_kv_batch *batch) {
    return batch_backend(batch)->batch_count(batch);
}

size_t rt_kv_batch_bytes(const struct rt_kv_batch *batch) {
    return batch_backend(batch)->batch_bytes(batch);
}

rt_err rt_kv_write_now(struct rt_kv *kv, struct rt_kv_batch *batch,
                       enum rt_kv_durability durability) {
    return backend_of(kv)->write(kv, batch, durability);
}

rt_err rt_kv_get_now(struct rt_kv *kv, const struct rt_kv_snapshot *snapshot, unsigned column,
                     struct rt_bytes key, struct rt_buf *value) {
    rt_buf_clear(value);
    return backend_of(kv)->get(kv, snapshot, column, key, value, false);
}

rt_err rt_kv_try_get(struct rt_kv *kv, unsigned column, struct rt_bytes key, struct rt_buf *value) {
    rt_buf_clear(value);
    return backend_of(kv)->get(kv, NULL, column, key, value, true);
}

rt_err rt_kv_flush_now(struct rt_kv *kv) {
    return backend_of(kv)->flush(kv);
}

rt_err rt_kv_checkpoint_now(struct rt_kv *kv, const char *path) {
    return backend_of(kv)->checkpoint(kv, path);
}

struct rt_kv_snapshot *rt_kv_snapshot_take(struct rt_kv *kv) {
    return backend_of(kv)->snapshot_take(kv);
}

void rt_kv_snapshot_drop(struct rt_kv *kv, struct rt_kv_snapshot *snapshot) {
    backend_of(kv)->snapshot_drop(kv, snapshot);
}

struct rt_kv_iter *rt_kv_iter_new(struct rt_kv *kv, const struct rt_kv_snapshot *snapshot,
                                  unsigned column) {
    return backend_of(kv)->iter_new(kv, snapshot, column);
}

void rt_kv_iter_free(struct rt_kv_iter *iter) {
    iter_backend(iter)->iter_free(iter);
}

void rt_kv_iter_first(struct rt_kv_iter *iter) {
    iter_backend(iter)->iter_first(iter);
}

void rt_kv_iter_last(struct rt_kv_iter *iter) {
    iter_backend(iter)->iter_last(iter);
}

void rt_kv_iter_seek(struct rt_kv_iter *iter, struct rt_bytes key) {
    iter_backend(iter)->iter_seek(iter, key);
}

void rt_kv_iter_seek_for_prev(struct rt_kv_iter *iter, struct rt_bytes key) {
    iter_backend(iter)->iter_seek_for_prev(iter, key);
}

void rt_kv_iter_next(struct rt_kv_iter *iter) {
    iter_backend(iter)->iter_next(iter);
}

void rt_kv_iter_prev(struct rt_kv_iter *iter) {
    iter_backend(iter)->iter_prev(iter);
}

bool rt_kv_iter_valid(const struct rt_kv_iter *iter) {
    return iter_backend(iter)->iter_valid(iter);
}

rt_err rt_kv_iter_err(const struct rt_kv_iter *iter) {
    return iter_backend(iter)->iter_err(iter);
}

struct rt_bytes rt_kv_iter_key(const struct rt_kv_iter *iter) {
    return iter_backend(iter)->iter_key(iter);
}

struct rt_bytes rt_kv_iter_value(const struct rt_kv_iter *iter) {
    return iter_backend(iter)->iter_value(iter);
}

struct rt_kv_stats rt_kv_stats(struct rt_kv *kv) {
    return backend_of(kv)->stats(kv);
}
