#include "runtime/real/file_posix.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include "runtime/log.h"

enum { ZERO_CHUNK_SIZE = 256 << 10, FILE_MODE = 0640 };

// The kernel refuses ranges that end beyond this; kept a multiple of RT_FILE_ALIGN.
#define OFFSET_MAX ((UINT64_C(1) << 63) - RT_FILE_ALIGN)

static struct real_file *state_of(const struct rt_file *file) {
    return file->state;
}

// OPENING

static int open_flags_of(unsigned flags) {
    // Without O_NONBLOCK the opening of a FIFO would wait for its other end.
    int open_flags = O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    if ((flags & RT_FILE_READ) && (flags & RT_FILE_WRITE)) {
        open_flags |= O_RDWR;
    } else {
        open_flags |= flags & RT_FILE_WRITE ? O_WRONLY : O_RDONLY;
    }
    if (flags & RT_FILE_CREATE) open_flags |= flags & RT_FILE_EXISTING ? O_CREAT : O_CREAT | O_EXCL;
    return open_flags;
}

static rt_err path_open(const char *path, unsigned flags, int *fd, struct rt_why *why) {
    *fd = -1;
    do {
        *fd = open(path, open_flags_of(flags), FILE_MODE);
    } while (*fd < 0 && errno == EINTR);
    if (*fd < 0) return real_path_why(why, errno, flags & RT_FILE_CREATE ? "create" : "open", path);
    struct stat status;
    if (fstat(*fd, &status) != 0) return real_path_why(why, errno, "look at", path);
    if (S_ISREG(status.st_mode)) return RT_OK;
    return rt_why_set(why, RT_EINVAL, "cannot open %s: it is not a regular file", path);
}

// O_DIRECT is set on the open file because open(2) with it may create the file and fail all the
// same.
static rt_err direct_set(struct real_file *rf, const char *path, struct rt_why *why) {
    int flags = fcntl(rf->fd, F_GETFL);
    if (flags < 0) return real_path_why(why, errno, "look at", path);
    if (fcntl(rf->fd, F_SETFL, flags | O_DIRECT) == 0) {
        rf->is_direct = true;
        return RT_OK;
    }
    if (errno != EINVAL) return real_path_why(why, errno, "set direct I/O on", path);
    if (!real_files_direct_warned(rf->files)) {
        rt_log_warn("file", "direct I/O refused by the file system, page cache used path=%s", path);
    }
    return RT_OK;
}

static rt_err file_open(struct rt_machine *machine, const char *path, unsigned flags,
                        struct rt_file *file, struct rt_why *why) {
    struct real_file *rf = RT_NEW(struct real_file);
    rf->machine = machine;
    rf->files = real_files_of(machine);
    rt_err err = path_open(path, flags, &rf->fd, why);
    if (!err && flags & RT_FILE_DIRECT) err = direct_set(rf, path, why);
    if (err) {
        if (rf->fd >= 0) close(rf->fd);
        rt_free(rf);
        return err;
    }
    file->state = rf;
    real_file_queue_open(rf, flags & RT_FILE_OWN_THREAD);
    return RT_OK;
}

static rt_err file_size(struct rt_file *file, uint64_t *size) {
    struct stat status;
    if (fstat(state_of(file)->fd, &status) != 0) return rt_err_from_errno(errno);
    *size = (uint64_t)status.st_size;
    return RT_OK;
}

// WRITING

struct piece_list {
    struct iovec pieces[RT_FILE_PARTS_MAX];
    struct iovec *at;
    int count;
};

static void pieces_from(struct piece_list *list, const struct rt_file_op *op) {
    list->at = list->pieces;
    list->count = 0;
    for (unsigned i = 0; i < op->part_count; i++) {
        if (op->parts[i].size == 0) continue;
        list->pieces[list->count++] = (struct iovec){
            .iov_base = (void *)(uintptr_t)op->parts[i].data, .iov_len = op->parts[i].size};
    }
}

static void pieces_skip(struct piece_list *list, size_t size) {
    while (size > 0) {
        size_t step = size < list->at->iov_len ? size : list->at->iov_len;
        list->at->iov_base = (char *)list->at->iov_base + step;
        list->at->iov_len -= step;
        size -= step;
        if (list->at->iov_len > 0) continue;
        list->at++;
        list->count--;
    }
}

// A write that ends early is continued: the next attempt tells the reason, if there is one.
static rt_err pieces_write(const struct real_file *rf, struct piece_list *list, uint64_t offset,
                           int flags) {
    while (list->count > 0) {
        real_count_syscalls(rf->machine, 1);
        ssize_t written = pwritev2(rf->fd, list->at, list->count, (off_t)offset, flags);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return rt_err_from_errno(errno);
        if (written == 0) return RT_EIO;
        pieces_skip(list, (size_t)written);
        offset += (uint64_t)written;
    }
    return RT_OK;
}

rt_err real_file_write(struct rt_file_op *op) {
    struct real_file *rf = state_of(op->file);
    struct piece_list list;
    pieces_from(&list, op);
    rf->is_dirty = true;
    return pieces_write(rf, &list, op->offset, 0);
}

rt_err real_file_sync(struct real_file *rf) {
    real_count_syscalls(rf->machine, 1);
    if (fdatasync(rf->fd) != 0) return rt_err_from_errno(errno);
    rf->is_dirty = false;
    return RT_OK;
}

// One call instead of two, and on disks that can, one device write without a flush of all else. It
// speaks for its own bytes only, so nothing unsynced may be before it.
static rt_err write_through(struct rt_file_op *op) {
    struct piece_list list;
    pieces_from(&list, op);
    return pieces_write(state_of(op->file), &list, op->offset, RWF_DSYNC);
}

static rt_err write_and_sync(struct rt_file_op *op) {
    struct real_file *rf = state_of(op->file);
    if (op->sync && !rf->is_dirty) {
        rt_err err = write_through(op);
        if (err != RT_EUNSUPPORTED) return err;  // else nothing was written: not every kernel can
    }
    rt_err err = real_file_write(op);
    if (err || !op->sync) return err;
    return real_file_sync(rf);
}

// READING

static rt_err file_read(struct rt_file_op *op) {
    const struct real_file *rf = state_of(op->file);
    uint64_t left = op->offset < OFFSET_MAX ? OFFSET_MAX - op->offset : 0;
    uint64_t size = op->size < left ? op->size : left;
    op->done_size = 0;
    while (op->done_size < size) {
        real_count_syscalls(rf->machine, 1);
        ssize_t got = pread(rf->fd, (char *)op->memory + op->done_size, size - op->done_size,
                            (off_t)(op->offset + op->done_size));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return rt_err_from_errno(errno);
        op->done_size += (uint64_t)got;
        // Around the page cache only the end of the file can be at an odd place.
        bool is_end = rf->is_direct && op->done_size % RT_FILE_ALIGN != 0;
        if (got == 0 || is_end) break;
    }
    return RT_OK;
}

// SIZES

static rt_err fd_truncate(int fd, uint64_t size) {
    int result = 0;
    do {
        result = ftruncate(fd, (off_t)size);
    } while (result != 0 && errno == EINTR);
    return result == 0 ? RT_OK : rt_err_from_errno(errno);
}

static rt_err file_truncate(struct rt_file_op *op) {
    struct real_file *rf = state_of(op->file);
    rf->is_dirty = true;
    return fd_truncate(rf->fd, op->size);
}

// Takes the space, without moving the end: zeroes do that, so an allocation that is interrupted is
// completed by the next. Where the file system cannot, the zeroes take the space. What can never
// fit is refused at once: trying would fill the disk for everybody before it fails.
static rt_err space_reserve(int fd, uint64_t from, uint64_t to) {
    struct statvfs status;
    if (fstatvfs(fd, &status) != 0) return rt_err_from_errno(errno);
    if (to - from > (uint64_t)status.f_bavail * status.f_frsize) return RT_ENOSPACE;
    int result = 0;
    do {
        result = fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)from, (off_t)(to - from));
    } while (result != 0 && errno == EINTR);
    if (result == 0 || errno == EOPNOTSUPP || errno == ENOSYS) return RT_OK;
    return rt_err_from_errno(errno);
}

// Each chunk is on its way out before the next is written: a whole file of zeroes at once would let
// the syncs of every other file wait behind it.
static void zeroes_push(struct real_file *rf, uint64_t from, size_t size) {
    if (rf->is_direct) return;
    real_count_syscalls(rf->machine, 1);
    // Best effort, whatever it says: the sync at the end is what counts.
    (void)!sync_file_range(rf->fd, (off_t)from, (off_t)size,
                           SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
}

static rt_err zeroes_write(struct real_file *rf, uint64_t from, uint64_t to) {
    void *zeroes = rt_alloc_aligned(RT_FILE_ALIGN, ZERO_CHUNK_SIZE);
    memset(zeroes, 0, ZERO_CHUNK_SIZE);
    rt_err err = RT_OK;
    while (from < to && !err) {
        size_t size = to - from < ZERO_CHUNK_SIZE ? (size_t)(to - from) : ZERO_CHUNK_SIZE;
        struct piece_list list = {.pieces = {{.iov_base = zeroes, .iov_len = size}}, .count = 1};
        list.at = list.pieces;
        err = pieces_write(rf, &list, from, 0);
        if (!err) zeroes_push(rf, from, size);
        from += size;
    }
    rt_free(zeroes);
    return err;
}

static uint64_t align_up(uint64_t number) {
    return (number + RT_FILE_ALIGN - 1) & ~(uint64_t)(RT_FILE_ALIGN - 1);
}

// Direct writes start and end at block boundaries: the rest of a last, partial block is zero
// already once the end of the file is moved over it.
static rt_err ends_align(struct real_file *rf, uint64_t *from, uint64_t *to) {
    if (!rf->is_direct) return RT_OK;
    *to = align_up(*to);
    if (*from % RT_FILE_ALIGN == 0) return RT_OK;
    *from = align_up(*from);
    return fd_truncate(rf->fd, *from);
}

static rt_err file_allocate(struct rt_file_op *op) {
    struct real_file *rf = state_of(op->file);
    uint64_t size_before = 0;
    rt_err err = file_size(op->file, &size_before);
    if (err || op->size <= size_before) return err;
    uint64_t from = size_before, to = op->size;
    rf->is_dirty = true;
    err = space_reserve(rf->fd, from, to);
    if (!err) err = ends_align(rf, &from, &to);
    if (!err) err = zeroes_write(rf, from, to);
    if (err) {
        RT_IGNORE(fd_truncate(rf->fd, size_before));  // best effort: gives the space back
        return err;
    }
    err = real_file_sync(rf);
    return err == RT_ENOSPACE ? RT_EIO : err;  // a failed sync is final, whatever the reason
}

// CLOSING

static rt_err file_close(struct rt_file_op *op) {
    struct real_file *rf = state_of(op->file);
    int result = close(rf->fd);  // never repeated: Linux has released the descriptor in any case
    rt_err err = result == 0 || errno == EINTR ? RT_OK : rt_err_from_errno(errno);
    op->file->state = NULL;
    real_file_queue_close(rf);
    return err;
}

rt_err real_file_execute(struct rt_file_op *op) {
    switch (op->kind) {
    case RT_FILE_DO_READ: return file_read(op);
    case RT_FILE_DO_WRITE:
    case RT_FILE_DO_APPEND: return write_and_sync(op);
    case RT_FILE_DO_SYNC: return real_file_sync(state_of(op->file));
    case RT_FILE_DO_TRUNCATE: return file_truncate(op);
    case RT_FILE_DO_ALLOCATE: return file_allocate(op);
    case RT_FILE_DO_CLOSE: return file_close(op);
    }
    rt_panic("file operation of unknown kind %d", (int)op->kind);
}

const struct rt_file_backend *real_file_backend(void) {
    static const struct rt_file_backend backend = {
        .open = file_open,
        .submit = real_file_submit,
        .execute = real_file_execute,
        .size = file_size,
        .dir_create = real_dir_create,
        .dir_list = real_dir_list,
        .dir_sync = real_dir_sync,
        .rename = real_path_rename,
        .remove = real_path_remove,
        .exists = real_path_exists,
        .space = real_dir_space,
        .lock = real_dir_lock,
        .unlock = real_dir_unlock,
    };
    return &backend;
}
