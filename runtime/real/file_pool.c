#include <assert.h>

#include "runtime/real/file_posix.h"

// As many reads and writes of different files go on at once.
enum { IO_THREADS_MAX = 4 };

struct real_files {
    struct rt_machine *machine;
    atomic_bool direct_warned;

    pthread_mutex_t lock;  // guards what follows
    pthread_cond_t changed;
    struct rt_task *first, *last;
    struct real_thread *threads[IO_THREADS_MAX];
    unsigned thread_count, idle_count;
    bool is_closed;
};

static struct real_files *files_new(struct rt_machine *machine) {
    struct real_files *files = RT_NEW(struct real_files);
    files->machine = machine;
    pthread_mutex_init(&files->lock, NULL);
    pthread_cond_init(&files->changed, NULL);
    return files;
}

static void files_free(struct real_files *files) {
    pthread_cond_destroy(&files->changed);
    pthread_mutex_destroy(&files->lock);
    rt_free(files);
}

struct real_files *real_files_of(struct rt_machine *machine) {
    void *files = atomic_load(&machine->files);
    if (files) return files;
    struct real_files *made = files_new(machine);
    if (atomic_compare_exchange_strong(&machine->files, &files, made)) return made;
    files_free(made);  // another thread opened its first file at the same time
    return files;
}

bool real_files_direct_warned(struct real_files *files) {
    return atomic_exchange(&files->direct_warned, true);
}

// Waits for a task; NULL when there will be no more.
static struct rt_task *task_take(struct real_files *files) {
    pthread_mutex_lock(&files->lock);
    while (!files->first && !files->is_closed) {
        files->idle_count++;
        pthread_cond_wait(&files->changed, &files->lock);
        files->idle_count--;
    }
    struct rt_task *task = files->first;
    if (task) {
        files->first = task->next;
        if (!files->first) files->last = NULL;
    }
    pthread_mutex_unlock(&files->lock);
    return task;
}

static void io_thread_run(void *argument) {
    struct real_files *files = argument;
    rt_machine_enter(files->machine);
    for (struct rt_task *task = task_take(files); task; task = task_take(files)) task->run(task);
    rt_machine_leave();
}

void real_files_run(struct real_files *files, struct rt_task *task) {
    task->next = NULL;
    pthread_mutex_lock(&files->lock);
    assert(!files->is_closed);
    if (files->last) {
        files->last->next = task;
    } else {
        files->first = task;
    }
    files->last = task;
    if (files->idle_count > 0) {
        pthread_cond_signal(&files->changed);
    } else if (files->thread_count < IO_THREADS_MAX) {
        struct real_thread *thread = real_thread_start("io", io_thread_run, files);
        files->threads[files->thread_count++] = thread;
    }
    pthread_mutex_unlock(&files->lock);
}

static bool pool_may_go_on(struct real_adopter *adopter) {
    struct real_files *files = rt_container_of(adopter, struct real_files_adopter, adopter)->files;
    pthread_mutex_lock(&files->lock);
    bool is_quiet = !files->first && !files->is_closed;
    pthread_mutex_unlock(&files->lock);
    return is_quiet;
}

struct real_files_adopter real_files_adopter(struct real_files *files) {
    return (struct real_files_adopter){.adopter.may_go_on = pool_may_go_on, .files = files};
}

void real_files_close(struct rt_machine *machine) {
    struct real_files *files = atomic_exchange(&machine->files, NULL);
    if (!files) return;
    pthread_mutex_lock(&files->lock);
    assert(!files->first);
    files->is_closed = true;
    pthread_cond_broadcast(&files->changed);
    pthread_mutex_unlock(&files->lock);
    for (unsigned i = 0; i < files->thread_count; i++) real_thread_join(files->threads[i]);
    files_free(files);
}
