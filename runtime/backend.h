// What a backend gives to a machine. Private to runtime/: the common code of loops, streams, files,
// key-value stores and work calls it; tier code never does.
#ifndef GEMINGA_RUNTIME_BACKEND_H
#define GEMINGA_RUNTIME_BACKEND_H

#include "runtime/file.h"
#include "runtime/kv.h"
#include "runtime/machine.h"
#include "runtime/transport.h"
#include "runtime/work.h"

struct rt_backend {
    const char *name;  // "real", "sim"
    uint64_t (*mono_ns)(const struct rt_machine *machine);
    uint64_t (*wall_ns)(const struct rt_machine *machine);
    void (*entropy)(struct rt_machine *machine, void *memory, size_t size);
    bool (*chance)(struct rt_machine *machine, const char *point, uint32_t per_million);

    // A task was pushed to a loop that had none. Any thread (the simulator: its one).
    void (*notify)(struct rt_loop *loop);

    // Scheme ("tcp", "tls+tcp") to transport; NULL when unknown. inproc is handled before.
    const struct rt_transport *(*transport)(struct rt_machine *machine, const char *scheme,
                                            size_t scheme_size);

    // Runs work->run somewhere, then posts the completion (rt_work_finished) to work->loop.
    void (*work_submit)(struct rt_machine *machine, struct rt_work *work);

    const struct rt_file_backend *files;
    const struct rt_kv_backend *kv;
};

// LOOP INTERNALS, for the backends' drivers (loop.c).

struct rt_loop *rt_loop_new(struct rt_machine *machine, unsigned index, uint64_t seed);
void rt_loop_free(struct rt_loop *loop);  // nothing may be queued
// One whole turn. Returns true when there is more to do right away.
bool rt_loop_turn(struct rt_loop *loop, bool adopted);
// Pushes without notifying; true when the loop had no task before (somebody must run or wake it).
bool rt_loop_push(struct rt_loop *loop, struct rt_task *task);
bool rt_loop_has_work(const struct rt_loop *loop);           // tasks waiting; from any thread
uint64_t rt_loop_next_deadline(const struct rt_loop *loop);  // UINT64_MAX: none; between turns only
void *rt_loop_driver(const struct rt_loop *loop);            // the backend's own state
void rt_loop_set_driver(struct rt_loop *loop, void *driver);
void rt_loop_count_wakeup(struct rt_loop *loop);

// Marks this thread as working for `machine` outside a turn (workers): logs and memory go there.
void rt_machine_enter(struct rt_machine *machine);
void rt_machine_leave(void);
struct rt_machine *rt_machine_current(void);

// BUDGETS. `wake` is the caller's (rt_task_init), borrowed until it runs or is forgotten: it is
// posted to loop once, when three quarters of the limit or less are used (at once if that is so).
void rt_budget_wait(struct rt_budget *budget, struct rt_loop *loop, struct rt_task *wake);
// True: withdrawn, it will not run. False: it was posted and runs (or ran), or it never waited.
bool rt_budget_forget(struct rt_budget *budget, struct rt_loop *loop, struct rt_task *wake);

void rt_work_finished(struct rt_work *work);  // from any thread: posts the completion

// FILES: file.c keeps order and failure; a backend executes one operation at a time.
struct rt_file {
    struct rt_machine *machine;
    const struct rt_file_backend *backend;
    char *path;
    unsigned flags;
    uint64_t append_offset;
    bool failed;  // a write or sync failed: no more of them
    void *state;  // the backend's
};

struct rt_file_backend {
    rt_err (*open)(struct rt_machine *machine, const char *path, unsigned flags,
                   struct rt_file *file, struct rt_why *why);
    // Carries op out later (rt_file_perform) and posts its completion (rt_file_finished).
    void (*submit)(struct rt_file_op *op);
    rt_err (*execute)(
        struct rt_file_op *op);  // right now, on this thread; only rt_file_perform calls it
    rt_err (*size)(struct rt_file *file, uint64_t *size);
    rt_err (*dir_create)(struct rt_machine *machine, const char *path, struct rt_why *why);
    // Entries (and names) come from rt_alloc, in any order: dir.c sorts and frees them.
    rt_err (*dir_list)(struct rt_machine *machine, const char *path, struct rt_dir_listing *listing,
                       struct rt_why *why);
    rt_err (*dir_sync)(struct rt_machine *machine, const char *path);
    rt_err (*rename)(struct rt_machine *machine, const char *from, const char *to);
    rt_err (*remove)(struct rt_machine *machine, const char *path);
    rt_err (*exists)(struct rt_machine *machine, const char *path, bool *exists);
    rt_err (*space)(struct rt_machine *machine, const char *path, struct rt_disk_space *space);
    rt_err (*lock)(struct rt_machine *machine, const char *path, struct rt_dir_lock **lock,
                   struct rt_why *why);
    void (*unlock)(
        struct rt_dir_lock *lock);  // which begins with a `const struct rt_file_backend *`
};
// A backend's submit leads to this for each operation: writes, syncs, truncates and allocates of
// one file one at a time in the order of submission, reads in any order, a close after all others.
// It refuses with RT_EFAILED after a failure, gives an append its offset, calls execute, moves the
// append position, remembers a failure, and after a close frees op->file. Then rt_file_finished.
RT_CHECK rt_err rt_file_perform(struct rt_file_op *op);
// The same in two steps, for a backend that covers several writes by one sync.
RT_CHECK rt_err rt_file_begin(struct rt_file_op *op);               // not RT_OK: do not execute
RT_CHECK rt_err rt_file_settle(struct rt_file_op *op, rt_err err);  // returns err
void rt_file_finished(struct rt_file_op *op, rt_err err);  // from any thread: posts the completion

// KEY-VALUE: struct rt_kv begins with this head in both backends, and struct rt_kv_batch and struct
// rt_kv_iter begin with a `const struct rt_kv_backend *`. kv.c does the asynchronous calls with
// work.h, the backend the blocking ones. rt_kv_head_init comes first in the backend's open.
struct rt_kv_head {
    struct rt_machine *machine;
    const struct rt_kv_backend *backend;
    atomic_size_t writes;  // queued or being written; the one that finds 0 starts the writer
    _Atomic(struct rt_kv_op *) incoming;  // newest first; pushed by any loop
    struct rt_kv_op *group;               // the writer's, oldest first
    struct rt_work writer;
};
void rt_kv_head_init(struct rt_kv_head *head, struct rt_machine *machine,
                     const struct rt_kv_backend *backend);

struct rt_kv_backend {
    rt_err (*open)(struct rt_machine *machine, const char *path,
                   const struct rt_kv_options *options, struct rt_kv **kv, struct rt_why *why);
    void (*close)(struct rt_kv *kv);
    struct rt_kv_batch *(*batch_new)(struct rt_kv *kv);
    void (*batch_free)(struct rt_kv_batch *batch);
    void (*batch_clear)(struct rt_kv_batch *batch);
    void (*put)(struct rt_kv_batch *batch, unsigned column, struct rt_bytes key,
                struct rt_bytes value);
    void (*remove)(struct rt_kv_batch *batch, unsigned column, struct rt_bytes key);
    void (*remove_range)(struct rt_kv_batch *batch, unsigned column, struct rt_bytes first,
                         struct rt_bytes end);
    size_t (*batch_count)(const struct rt_kv_batch *batch);
    size_t (*batch_bytes)(const struct rt_kv_batch *batch);
    rt_err (*write)(struct rt_kv *kv, struct rt_kv_batch *batch, enum rt_kv_durability durability);
    rt_err (*get)(struct rt_kv *kv, const struct rt_kv_snapshot *snapshot, unsigned column,
                  struct rt_bytes key, struct rt_buf *value, bool memory_only);
    rt_err (*flush)(struct rt_kv *kv);
    rt_err (*checkpoint)(struct rt_kv *kv, const char *path);
    struct rt_kv_snapshot *(*snapshot_take)(struct rt_kv *kv);
    void (*snapshot_drop)(struct rt_kv *kv, struct rt_kv_snapshot *snapshot);
    struct rt_kv_iter *(*iter_new)(struct rt_kv *kv, const struct rt_kv_snapshot *snapshot,
                                   unsigned column);
    void (*iter_free)(struct rt_kv_iter *iter);
    void (*iter_first)(struct rt_kv_iter *iter);
    void (*iter_last)(struct rt_kv_iter *iter);
    void (*iter_seek)(struct rt_kv_iter *iter, struct rt_bytes key);
    void (*iter_seek_for_prev)(struct rt_kv_iter *iter, struct rt_bytes key);
    void (*iter_next)(struct rt_kv_iter *iter);
    void (*iter_prev)(struct rt_kv_iter *iter);
    bool (*iter_valid)(const struct rt_kv_iter *iter);
    rt_err (*iter_err)(const struct rt_kv_iter *iter);
    struct rt_bytes (*iter_key)(const struct rt_kv_iter *iter);
    struct rt_bytes (*iter_value)(const struct rt_kv_iter *iter);
    struct rt_kv_stats (*stats)(struct rt_kv *kv);
};

// Heaps of simulated nodes (mem.c): while one is set for this thread, rt_alloc charges to it.
struct rt_heap;
struct rt_heap *rt_heap_new(void);
void rt_heap_free_all(struct rt_heap *heap);          // takes back everything, then the heap itself
struct rt_heap *rt_heap_enter(struct rt_heap *heap);  // returns the previous one
size_t rt_heap_bytes(const struct rt_heap *heap);

#endif
