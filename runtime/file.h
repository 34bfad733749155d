// Files and directories.
//
// Operations are caller-owned structs; `done` runs exactly once, on the loop that started it, never
// before the starting call returned. What changes a file, and its close, is carried out and
// answered in the order in which it was started; reads may overtake it. A failed write, truncate or
// sync is fatal to the file: every later change or sync answers RT_EFAILED (the kernel may have
// dropped the pages), so nothing is ever acknowledged on top of a hole. An allocation that finds no
// room (RT_ENOSPACE, RT_ETOOBIG) is not.
//
// The *_now calls block: for start-up, for workers (work.h), and for tools; never inside a turn
// that serves clients.
#ifndef GEMINGA_RUNTIME_FILE_H
#define GEMINGA_RUNTIME_FILE_H

#include "runtime/loop.h"
#include "runtime/machine.h"

struct rt_file;

enum rt_file_flags {
    RT_FILE_READ = 1 << 0,
    RT_FILE_WRITE = 1 << 1,
    RT_FILE_CREATE = 1 << 2,  // must not exist unless RT_FILE_EXISTING is given too
    RT_FILE_EXISTING = 1 << 3,
    // Around the page cache: memory, offset and size in units of RT_FILE_ALIGN. Where the file
    // system cannot, through the cache after all.
    RT_FILE_DIRECT = 1 << 4,
    RT_FILE_OWN_THREAD = 1 << 5  // journals: operations never queue behind those of other files
};

enum { RT_FILE_ALIGN = 4096, RT_FILE_PARTS_MAX = 64 };

enum rt_file_kind {
    RT_FILE_DO_READ,
    RT_FILE_DO_WRITE,
    RT_FILE_DO_APPEND,
    RT_FILE_DO_SYNC,
    RT_FILE_DO_TRUNCATE,
    RT_FILE_DO_ALLOCATE,
    RT_FILE_DO_CLOSE
};

struct rt_file_op {
    struct rt_task task;  // private: the completion
    enum rt_file_kind kind;
    struct rt_file *file;
    struct rt_loop *loop;
    void (*done)(struct rt_file_op *op, rt_err err);
    const struct rt_bytes *parts;  // to write; array and bytes are borrowed until done
    unsigned part_count;
    void *memory;        // to read into; borrowed until done
    uint64_t offset;     // of a read or write; of an append: set when done
    uint64_t size;       // bytes to read, to truncate or allocate to
    uint64_t done_size;  // bytes read: less than asked only at the end
    bool sync;           // a write: done only when its bytes are durable
    rt_err err;
    struct rt_file_op *next;
};

typedef void rt_file_done_fn(struct rt_file_op *op, rt_err err);

void rt_file_read(struct rt_file_op *op, struct rt_file *file, uint64_t offset, void *memory,
                  size_t size, rt_file_done_fn *done);
void rt_file_write(struct rt_file_op *op, struct rt_file *file, uint64_t offset,
                   const struct rt_bytes *parts, unsigned part_count, bool sync,
                   rt_file_done_fn *done);
// At the append position: the file's size when it was opened, moved by appends (to their end) and
// by truncates (to the new size) only: allocating and writing do not move it; rt_file_append_at
// sets it.
void rt_file_append(struct rt_file_op *op, struct rt_file *file, const struct rt_bytes *parts,
                    unsigned part_count, bool sync, rt_file_done_fn *done);
void rt_file_sync(struct rt_file_op *op, struct rt_file *file, rt_file_done_fn *done);
void rt_file_truncate(struct rt_file_op *op, struct rt_file *file, uint64_t size,
                      rt_file_done_fn *done);
// Makes the file at least `size` long with zeroes written and durable, so that later writes inside
// it change no metadata and fdatasync is one device write.
void rt_file_allocate(struct rt_file_op *op, struct rt_file *file, uint64_t size,
                      rt_file_done_fn *done);
void rt_file_close(struct rt_file_op *op, struct rt_file *file, rt_file_done_fn *done);

// Opening is rare, so it blocks. `why` names path and reason.
RT_CHECK rt_err rt_file_open_now(struct rt_machine *machine, const char *path, unsigned flags,
                                 struct rt_file **file, struct rt_why *why);
RT_CHECK rt_err rt_file_read_now(struct rt_file *file, uint64_t offset, void *memory, size_t size,
                                 size_t *done_size);
RT_CHECK rt_err rt_file_write_now(struct rt_file *file, uint64_t offset, struct rt_bytes bytes);
RT_CHECK rt_err rt_file_sync_now(struct rt_file *file);
RT_CHECK rt_err rt_file_truncate_now(struct rt_file *file, uint64_t size);
RT_CHECK rt_err rt_file_allocate_now(struct rt_file *file, uint64_t size);
void rt_file_close_now(struct rt_file *file);  // no operation may be in flight
RT_CHECK rt_err rt_file_size_now(struct rt_file *file, uint64_t *size);
void rt_file_append_at(struct rt_file *file, uint64_t offset);
const char *rt_file_path(const struct rt_file *file);

// DIRECTORIES (all blocking). A rename or a new file is durable after rt_dir_sync_now of its
// directory.

struct rt_dir_entry {
    const char *name;
    bool is_dir;
    uint64_t size;
};

struct rt_dir_listing {
    struct rt_dir_entry *entries;  // sorted by name
    size_t count;
};

// With its parents, all durable.
RT_CHECK rt_err rt_dir_create_now(struct rt_machine *machine, const char *path, struct rt_why *why);
RT_CHECK rt_err rt_dir_list_now(struct rt_machine *machine, const char *path,
                                struct rt_dir_listing *listing, struct rt_why *why);
void rt_dir_listing_fini(struct rt_dir_listing *listing);
RT_CHECK rt_err rt_dir_sync_now(struct rt_machine *machine, const char *path);
RT_CHECK rt_err rt_path_rename_now(struct rt_machine *machine, const char *from, const char *to);
// A file or an empty directory (RT_EEXIST: it is not).
RT_CHECK rt_err rt_path_remove_now(struct rt_machine *machine, const char *path);
// RT_OK when absent. Symbolic links are removed and not followed; the root is refused (RT_EINVAL).
RT_CHECK rt_err rt_path_remove_tree_now(struct rt_machine *machine, const char *path);
RT_CHECK rt_err rt_path_exists_now(struct rt_machine *machine, const char *path, bool *exists);

struct rt_disk_space {
    uint64_t total_bytes, free_bytes;
};
RT_CHECK rt_err rt_dir_space_now(struct rt_machine *machine, const char *path,
                                 struct rt_disk_space *space);

// Takes `path`/LOCK until released or the process ends. RT_ELOCKED names the holder. Not for the
// directory of a store, which has a lock of its own.
struct rt_dir_lock;
RT_CHECK rt_err rt_dir_lock_now(struct rt_machine *machine, const char *path,
                                struct rt_dir_lock **lock, struct rt_why *why);
void rt_dir_unlock(struct rt_dir_lock *lock);

#endif
