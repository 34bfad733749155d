// Files of the real machine, inside. Private to runtime/real/.
//
// Operations of a file that change it form a queue. With RT_FILE_OWN_THREAD a thread of the file's
// own carries it out, else the machine's I/O threads do, one at a time for a file (a strand); reads
// of such files go to the I/O threads one by one. Syncs that queued up together become one.
#ifndef GEMINGA_RUNTIME_REAL_FILE_POSIX_H
#define GEMINGA_RUNTIME_REAL_FILE_POSIX_H

#include <pthread.h>

#include "runtime/backend.h"
#include "runtime/real/loop_thread.h"
#include "runtime/real/machine.h"

const struct rt_file_backend *real_file_backend(void);

// What the open files of a machine share: its I/O threads, started when first needed. Made by the
// first open; the machine ends it after all files were closed and before its reaper ends.
struct real_files;
struct real_files *real_files_of(struct rt_machine *machine);
void real_files_close(struct rt_machine *machine);
// Runs a task on an I/O thread. From any thread.
void real_files_run(struct real_files *files, struct rt_task *task);
// For posts at the end of such a task: goes on while no other task waits.
struct real_files_adopter {
    struct real_adopter adopter;
    struct real_files *files;
};
struct real_files_adopter real_files_adopter(struct real_files *files);
bool real_files_direct_warned(struct real_files *files);  // false the first time

struct real_file {
    struct rt_machine *machine;
    struct real_files *files;
    int fd;
    bool is_direct;              // O_DIRECT is on: not where the file system refuses it
    bool is_dirty;               // written since the last sync; the writing thread's
    struct real_thread *thread;  // its own, or NULL
    struct rt_task strand;       // runs the queue on an I/O thread
    struct rt_task reap;         // joins the own thread

    pthread_mutex_t lock;  // guards what follows
    pthread_cond_t changed;
    struct rt_file_op *first, *last;  // changes to make, in order, and a close at the end
    bool is_running;  // a thread has the queue and looks at it again; the own thread: is awake
    bool is_closed;
    unsigned reads;            // given to I/O threads
    struct rt_file_op *close;  // waits for them
};

// QUEUES (file_thread.c)
void real_file_queue_open(struct real_file *rf, bool has_own_thread);
void real_file_submit(struct rt_file_op *op);
// Nothing is in flight, or only the close that calls it. Frees rf, perhaps later.
void real_file_queue_close(struct real_file *rf);

// ONE OPERATION (file_posix.c)
rt_err real_file_write(struct rt_file_op *op);  // not durable yet
rt_err real_file_sync(struct real_file *rf);
rt_err real_file_execute(struct rt_file_op *op);  // any kind, with its sync

// PATHS (dir_posix.c)
// Says what could not be done to `path`, why, and what to do about it; returns the mapped error.
rt_err real_path_why(struct rt_why *why, int code, const char *verb, const char *path);
rt_err real_dir_create(struct rt_machine *machine, const char *path, struct rt_why *why);
rt_err real_dir_list(struct rt_machine *machine, const char *path, struct rt_dir_listing *listing,
                     struct rt_why *why);
rt_err real_dir_sync(struct rt_machine *machine, const char *path);
rt_err real_parent_sync(struct rt_machine *machine, const char *path);
rt_err real_path_rename(struct rt_machine *machine, const char *from, const char *to);
rt_err real_path_remove(struct rt_machine *machine, const char *path);
rt_err real_path_exists(struct rt_machine *machine, const char *path, bool *exists);
rt_err real_dir_space(struct rt_machine *machine, const char *path, struct rt_disk_space *space);
rt_err real_dir_lock(struct rt_machine *machine, const char *path, struct rt_dir_lock **lock,
                     struct rt_why *why);
void real_dir_unlock(struct rt_dir_lock *lock);

#endif
