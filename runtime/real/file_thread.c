#include <assert.h>

#include "runtime/real/file_posix.h"

// Bytes written under one sync, so that the first of a long queue is not answered too late.
enum { GROUP_BYTES_MAX = 1 << 20 };

// Ops are answered in the order of the queue, by the thread that carried them out. It touches
// neither ops nor file once they are answered, but for the queue: whoever closes the file waits for
// that.

struct op_list {
    struct rt_file_op *first, *last;
};

static void list_push(struct op_list *list, struct rt_file_op *op) {
    op->next = NULL;
    if (list->last) {
        list->last->next = op;
    } else {
        list->first = op;
    }
    list->last = op;
}

static struct rt_file_op *list_pop(struct op_list *list) {
    struct rt_file_op *op = list->first;
    list->first = op->next;
    if (!list->first) list->last = NULL;
    op->next = NULL;
    return op;
}

static struct op_list queue_take(struct real_file *rf) {
    struct op_list list = {rf->first, rf->last};
    rf->first = NULL;
    rf->last = NULL;
    return list;
}

static void list_answer(struct op_list *list) {
    while (list->first) {
        struct rt_file_op *op = list_pop(list);
        rt_file_finished(op, op->err);
    }
}

// GROUPS: writes that came together, and one sync for all that want one.

static bool joins_group(const struct rt_file_op *op) {
    return op->kind == RT_FILE_DO_WRITE || op->kind == RT_FILE_DO_APPEND ||
           op->kind == RT_FILE_DO_SYNC;
}

static rt_err group_op_write(struct rt_file_op *op) {
    rt_err err = rt_file_begin(op);
    if (!err && op->kind != RT_FILE_DO_SYNC) err = real_file_write(op);
    return rt_file_settle(op, err);
}

static void group_sync(struct real_file *rf, struct op_list *group) {
    rt_err err = real_file_sync(rf);
    if (!err) return;
    for (struct rt_file_op *op = group->first; op; op = op->next) {
        if (op->sync && !op->err) op->err = rt_file_settle(op, err);
    }
}

// Moves the ops that belong together from the list into the group and carries them out.
static void group_carry_out(struct real_file *rf, struct op_list *list, struct op_list *group) {
    uint64_t size = 0;
    bool wants_sync = false;
    while (list->first && joins_group(list->first) && size < GROUP_BYTES_MAX) {
        struct rt_file_op *op = list_pop(list);
        op->err = group_op_write(op);
        if (op->sync && !op->err) wants_sync = true;
        size += op->size;
        list_push(group, op);
    }
    if (wants_sync) group_sync(rf, group);
}

static void some_carry_out(struct real_file *rf, struct op_list *list, struct op_list *finished) {
    bool is_group = joins_group(list->first) && list->first->next;
    if (is_group) {
        group_carry_out(rf, list, finished);
        return;
    }
    struct rt_file_op *op = list_pop(list);
    op->err = rt_file_perform(op);
    list_push(finished, op);
}

// Carries out a list up to a close. The last answers are left to the caller.
static void list_carry_out(struct real_file *rf, struct op_list *list, struct op_list *finished) {
    while (list->first && list->first->kind != RT_FILE_DO_CLOSE) {
        list_answer(finished);
        some_carry_out(rf, list, finished);
    }
}

// ON AN I/O THREAD

// Frees the file, and everything of it but the op.
static void close_carry_out(struct rt_file_op *op) {
    op->err = rt_file_perform(op);
    rt_file_finished(op, op->err);
}

// Gives the queue back, or the close that came last; then rf may be gone.
static void strand_leave(struct real_file *rf, struct rt_file_op *close) {
    pthread_mutex_lock(&rf->lock);
    assert(!close || !rf->first);
    bool has_more = rf->first != NULL;
    bool closes_now = close && rf->reads == 0;
    if (close && !closes_now) rf->close = close;
    if (!has_more) {
        rf->is_running = false;
        pthread_cond_signal(&rf->changed);
    }
    pthread_mutex_unlock(&rf->lock);
    if (closes_now) close_carry_out(close);
    if (has_more) real_files_run(rf->files, &rf->strand);
}

static void strand_run(struct rt_task *task) {
    struct real_file *rf = rt_container_of(task, struct real_file, strand);
    pthread_mutex_lock(&rf->lock);
    struct op_list list = queue_take(rf);
    pthread_mutex_unlock(&rf->lock);
    struct op_list finished = {0};
    list_carry_out(rf, &list, &finished);
    struct real_files_adopter adopter = real_files_adopter(rf->files);
    real_adopter_begin(&adopter.adopter);
    list_answer(&finished);
    strand_leave(rf, list.first);
    real_adopter_end();
}

// Returns the close that waited for this read. Without one, rf may be gone afterwards.
static struct rt_file_op *read_leave(struct real_file *rf) {
    struct rt_file_op *close = NULL;
    pthread_mutex_lock(&rf->lock);
    rf->reads--;
    if (rf->reads == 0) {
        close = rf->close;
        rf->close = NULL;
        pthread_cond_signal(&rf->changed);
    }
    pthread_mutex_unlock(&rf->lock);
    return close;
}

static void read_run(struct rt_task *task) {
    struct rt_file_op *op = rt_container_of(task, struct rt_file_op, task);
    struct real_file *rf = op->file->state;
    rt_err err = rt_file_perform(op);
    struct real_files_adopter adopter = real_files_adopter(rf->files);
    struct rt_file_op *close = read_leave(rf);
    real_adopter_begin(&adopter.adopter);
    rt_file_finished(op, err);
    if (close) close_carry_out(close);
    real_adopter_end();
}

// ON A THREAD OF THE FILE'S OWN

struct file_adopter {
    struct real_adopter adopter;
    struct real_file *rf;
};

static bool queue_is_quiet(struct real_file *rf) {
    pthread_mutex_lock(&rf->lock);
    bool is_quiet = !rf->first && !rf->is_closed;
    pthread_mutex_unlock(&rf->lock);
    return is_quiet;
}

static bool file_may_go_on(struct real_adopter *adopter) {
    return queue_is_quiet(rt_container_of(adopter, struct file_adopter, adopter)->rf);
}

// Answers, and runs the loop's next turn here if it slept: what that turn writes is in the queue
// when this thread looks, and neither of the two had to be woken.
static void own_thread_answer(struct real_file *rf, struct op_list *finished) {
    if (!queue_is_quiet(rf)) {
        list_answer(finished);
        return;
    }
    struct file_adopter adopter = {.adopter.may_go_on = file_may_go_on, .rf = rf};
    real_adopter_begin(&adopter.adopter);
    list_answer(finished);
    real_adopter_end();
}

// Waits for work; an empty list when the file was closed.
static struct op_list own_thread_take(struct real_file *rf) {
    pthread_mutex_lock(&rf->lock);
    while (!rf->first && !rf->is_closed) {
        rf->is_running = false;
        pthread_cond_wait(&rf->changed, &rf->lock);
    }
    rf->is_running = true;
    struct op_list list = queue_take(rf);
    pthread_mutex_unlock(&rf->lock);
    return list;
}

static void own_thread_run(void *argument) {
    struct real_file *rf = argument;
    rt_machine_enter(rf->machine);
    for (struct op_list list = own_thread_take(rf); list.first; list = own_thread_take(rf)) {
        struct op_list finished = {0};
        list_carry_out(rf, &list, &finished);
        if (list.first) {
            list_answer(&finished);
            close_carry_out(list_pop(&list));
        } else {
            own_thread_answer(rf, &finished);
        }
    }
    rt_machine_leave();
}

// THE QUEUE

void real_file_queue_open(struct real_file *rf, bool has_own_thread) {
    pthread_mutex_init(&rf->lock, NULL);
    pthread_cond_init(&rf->changed, NULL);
    rt_task_init(&rf->strand, strand_run, "file strand");
    if (has_own_thread) rf->thread = real_thread_start("file", own_thread_run, rf);
}

static void queue_push(struct real_file *rf, struct rt_file_op *op) {
    pthread_mutex_lock(&rf->lock);
    assert(!rf->is_closed && !rf->close && (!rf->last || rf->last->kind != RT_FILE_DO_CLOSE));
    struct op_list queue = {rf->first, rf->last};
    list_push(&queue, op);
    rf->first = queue.first;
    rf->last = queue.last;
    bool was_running = rf->is_running;
    bool starts_strand = !rf->thread && !was_running;
    rf->is_running = true;
    if (rf->thread && !was_running) pthread_cond_signal(&rf->changed);
    pthread_mutex_unlock(&rf->lock);
    // Unless it is up to us that the queue runs, a close in it may have freed rf by now.
    if (starts_strand) real_files_run(rf->files, &rf->strand);
}

void real_file_submit(struct rt_file_op *op) {
    struct real_file *rf = op->file->state;
    if (rf->thread || op->kind != RT_FILE_DO_READ) {
        queue_push(rf, op);
        return;
    }
    pthread_mutex_lock(&rf->lock);
    rf->reads++;
    pthread_mutex_unlock(&rf->lock);
    rt_task_init(&op->task, read_run, "file read");
    real_files_run(rf->files, &op->task);
}

static void queue_free(struct real_file *rf) {
    pthread_cond_destroy(&rf->changed);
    pthread_mutex_destroy(&rf->lock);
    rt_free(rf);
}

static void own_thread_reap(struct rt_task *task) {
    struct real_file *rf = rt_container_of(task, struct real_file, reap);
    real_thread_join(rf->thread);
    queue_free(rf);
}

void real_file_queue_close(struct real_file *rf) {
    pthread_mutex_lock(&rf->lock);
    rf->is_closed = true;
    if (rf->thread) pthread_cond_signal(&rf->changed);
    // The thread that answered the last op may still be about to leave the strand.
    while (!rf->thread && (rf->is_running || rf->reads > 0)) {
        pthread_cond_wait(&rf->changed, &rf->lock);
    }
    pthread_mutex_unlock(&rf->lock);
    if (!rf->thread) {
        queue_free(rf);
        return;
    }
    // This may be the own thread: in its close, or in a turn that it has adopted.
    rt_task_init(&rf->reap, own_thread_reap, "file thread");
    real_reap(rf->machine, &rf->reap);
}
