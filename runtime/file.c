#include "runtime/file.h"

#include <assert.h>

#include "runtime/backend.h"
#include "runtime/log.h"

// The last byte any file can have, kept a multiple of RT_FILE_ALIGN: off_t is signed.
#define FILE_SIZE_MAX ((UINT64_C(1) << 63) - RT_FILE_ALIGN)

static const char *const kind_names[] = {
    [RT_FILE_DO_READ] = "read",         [RT_FILE_DO_WRITE] = "write",
    [RT_FILE_DO_APPEND] = "append",     [RT_FILE_DO_SYNC] = "sync",
    [RT_FILE_DO_TRUNCATE] = "truncate", [RT_FILE_DO_ALLOCATE] = "allocate",
    [RT_FILE_DO_CLOSE] = "close",
};

static bool kind_has_bytes(enum rt_file_kind kind) {
    return kind == RT_FILE_DO_READ || kind == RT_FILE_DO_WRITE || kind == RT_FILE_DO_APPEND;
}

static bool kind_changes(enum rt_file_kind kind) {
    return kind != RT_FILE_DO_READ && kind != RT_FILE_DO_CLOSE;
}

static uint64_t parts_size(const struct rt_bytes *parts, unsigned part_count) {
    uint64_t size = 0;
    for (unsigned i = 0; i < part_count; i++) {
        assert(parts[i].size <= FILE_SIZE_MAX - size);
        size += parts[i].size;
    }
    return size;
}

static bool is_aligned(uint64_t number) {
    return number % RT_FILE_ALIGN == 0;
}

static bool memory_is_aligned(const struct rt_file_op *op) {
    if (op->kind == RT_FILE_DO_READ) return is_aligned((uintptr_t)op->memory);
    for (unsigned i = 0; i < op->part_count; i++) {
        if (!is_aligned((uintptr_t)op->parts[i].data)) return false;
        if (!is_aligned(op->parts[i].size)) return false;
    }
    return true;
}

// What the caller promised; the offset of an append is known only when its turn has come.
static void op_assert(const struct rt_file_op *op) {
    unsigned flags = op->file->flags;
    assert(op->part_count <= RT_FILE_PARTS_MAX);
    if (op->kind == RT_FILE_DO_READ) assert(flags & RT_FILE_READ);
    if (kind_changes(op->kind)) assert(flags & RT_FILE_WRITE);
    if (!(flags & RT_FILE_DIRECT) || !kind_has_bytes(op->kind)) return;
    assert(memory_is_aligned(op));
    assert(is_aligned(op->size));
    if (op->kind != RT_FILE_DO_APPEND) assert(is_aligned(op->offset));
}

// CARRYING OUT, on the backend's threads

rt_err rt_file_begin(struct rt_file_op *op) {
    struct rt_file *file = op->file;
    if (!kind_changes(op->kind)) return RT_OK;
    if (file->failed) return RT_EFAILED;
    if (op->kind == RT_FILE_DO_APPEND) {
        op->offset = file->append_offset;
        assert(!(file->flags & RT_FILE_DIRECT) || is_aligned(op->offset));
    }
    if (op->offset > FILE_SIZE_MAX || op->size > FILE_SIZE_MAX - op->offset) return RT_ETOOBIG;
    return RT_OK;
}

// An allocation that found no room changed nothing that anybody relies on.
static bool failure_is_fatal(const struct rt_file_op *op, rt_err err) {
    if (!kind_changes(op->kind) || op->file->failed) return false;
    return op->kind != RT_FILE_DO_ALLOCATE || (err != RT_ENOSPACE && err != RT_ETOOBIG);
}

static void file_free(struct rt_file *file) {
    rt_free(file->path);
    rt_free(file);
}

rt_err rt_file_settle(struct rt_file_op *op, rt_err err) {
    struct rt_file *file = op->file;
    if (err && failure_is_fatal(op, err)) {
        file->failed = true;
        rt_log_error("file", "writing given up path=%s at=%s err=%s", file->path,
                     kind_names[op->kind], rt_err_name(err));
    }
    if (!err && op->kind == RT_FILE_DO_APPEND) file->append_offset = op->offset + op->size;
    if (!err && op->kind == RT_FILE_DO_TRUNCATE) file->append_offset = op->size;
    if (op->kind == RT_FILE_DO_CLOSE) {
        op->file = NULL;
        file_free(file);
    }
    return err;
}

rt_err rt_file_perform(struct rt_file_op *op) {
    rt_err err = rt_file_begin(op);
    if (!err) err = op->file->backend->execute(op);
    return rt_file_settle(op, err);
}

static void op_completed(struct rt_task *task) {
    struct rt_file_op *op = rt_container_of(task, struct rt_file_op, task);
    op->done(op, op->err);
}

void rt_file_finished(struct rt_file_op *op, rt_err err) {
    op->err = err;
    rt_task_init(&op->task, op_completed, kind_names[op->kind]);
    rt_post(op->loop, &op->task);
}

// STARTING, on a loop

static void op_start(struct rt_file_op *op, rt_file_done_fn *done) {
    op->loop = rt_loop_current();
    op->done = done;
    assert(op->loop);
    op_assert(op);
    op->file->backend->submit(op);
}

void rt_file_read(struct rt_file_op *op, struct rt_file *file, uint64_t offset, void *memory,
                  size_t size, rt_file_done_fn *done) {
    *op = (struct rt_file_op){
        .kind = RT_FILE_DO_READ, .file = file, .offset = offset, .memory = memory, .size = size};
    op_start(op, done);
}

void rt_file_write(struct rt_file_op *op, struct rt_file *file, uint64_t offset,
                   const struct rt_bytes *parts, unsigned part_count, bool sync,
                   rt_file_done_fn *done) {
    *op = (struct rt_file_op){.kind = RT_FILE_DO_WRITE,
                              .file = file,
                              .offset = offset,
                              .parts = parts,
                              .part_count = part_count,
                              .sync = sync,
                              .size = parts_size(parts, part_count)};
    op_start(op, done);
}

void rt_file_append(struct rt_file_op *op, struct rt_file *file, const struct rt_bytes *parts,
                    unsigned part_count, bool sync, rt_file_done_fn *done) {
    *op = (struct rt_file_op){.kind = RT_FILE_DO_APPEND,
                              .file = file,
                              .parts = parts,
                              .part_count = part_count,
                              .sync = sync,
                              .size = parts_size(parts, part_count)};
    op_start(op, done);
}

void rt_file_sync(struct rt_file_op *op, struct rt_file *file, rt_file_done_fn *done) {
    *op = (struct rt_file_op){.kind = RT_FILE_DO_SYNC, .file = file, .sync = true};
    op_start(op, done);
}

void rt_file_truncate(struct rt_file_op *op, struct rt_file *file, uint64_t size,
                      rt_file_done_fn *done) {
    *op = (struct rt_file_op){.kind = RT_FILE_DO_TRUNCATE, .file = file, .size = size};
    op_start(op, done);
}

void rt_file_allocate(struct rt_file_op *op, struct rt_file *file, uint64_t size,
                      rt_file_done_fn *done) {
    *op = (struct rt_file_op){.kind = RT_FILE_DO_ALLOCATE, .file = file, .size = size};
    op_start(op, done);
}

void rt_file_close(struct rt_file_op *op, struct rt_file *file, rt_file_done_fn *done) {
    *op = (struct rt_file_op){.kind = RT_FILE_DO_CLOSE, .file = file};
    op_start(op, done);
}

// BLOCKING

rt_err rt_file_open_now(struct rt_machine *machine, const char *path, unsigned flags,
                        struct rt_file **file, struct rt_why *why) {
    assert(flags & (RT_FILE_READ | RT_FILE_WRITE));
    assert(!(flags & RT_FILE_CREATE) || flags & RT_FILE_WRITE);
    struct rt_file *opened = RT_NEW(struct rt_file);
    opened->machine = machine;
    opened->backend = machine->backend->files;
    opened->path = rt_strdup(path);
    opened->flags = flags;
    rt_err err = opened->backend->open(machine, path, flags, opened, why);
    if (err) goto free_file;
    err = opened->backend->size(opened, &opened->append_offset);
    if (err) goto close_file;
    *file = opened;
    return RT_OK;

close_file:
    rt_file_close_now(opened);
    return rt_why_set(why, err, "cannot tell the size of %s", path);
free_file:
    file_free(opened);
    return err;
}

static rt_err op_perform_now(struct rt_file_op *op) {
    op_assert(op);
    return rt_file_perform(op);
}

rt_err rt_file_read_now(struct rt_file *file, uint64_t offset, void *memory, size_t size,
                        size_t *done_size) {
    struct rt_file_op op = {
        .kind = RT_FILE_DO_READ, .file = file, .offset = offset, .memory = memory, .size = size};
    rt_err err = op_perform_now(&op);
    *done_size = (size_t)op.done_size;
    return err;
}

rt_err rt_file_write_now(struct rt_file *file, uint64_t offset, struct rt_bytes bytes) {
    struct rt_file_op op = {.kind = RT_FILE_DO_WRITE,
                            .file = file,
                            .offset = offset,
                            .parts = &bytes,
                            .part_count = 1,
                            .size = parts_size(&bytes, 1)};
    return op_perform_now(&op);
}

rt_err rt_file_sync_now(struct rt_file *file) {
    struct rt_file_op op = {.kind = RT_FILE_DO_SYNC, .file = file, .sync = true};
    return op_perform_now(&op);
}

rt_err rt_file_truncate_now(struct rt_file *file, uint64_t size) {
    struct rt_file_op op = {.kind = RT_FILE_DO_TRUNCATE, .file = file, .size = size};
    return op_perform_now(&op);
}

rt_err rt_file_allocate_now(struct rt_file *file, uint64_t size) {
    struct rt_file_op op = {.kind = RT_FILE_DO_ALLOCATE, .file = file, .size = size};
    return op_perform_now(&op);
}

void rt_file_close_now(struct rt_file *file) {
    struct rt_file_op op = {.kind = RT_FILE_DO_CLOSE, .file = file};
    RT_IGNORE(op_perform_now(&op));  // what had to be durable was synced before
}

rt_err rt_file_size_now(struct rt_file *file, uint64_t *size) {
    return file->backend->size(file, size);
}

void rt_file_append_at(struct rt_file *file, uint64_t offset) {
    file->append_offset = offset;
}

const char *rt_file_path(const struct rt_file *file) {
    return file->path;
}
