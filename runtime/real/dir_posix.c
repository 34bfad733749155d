#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "runtime/real/file_posix.h"

enum { DIR_MODE = 0750, LOCK_MODE = 0640 };

// WHY

static const struct path_hint {
    int code;
    const char *text;  // instead of the system's words, where these say more
} path_hints[] = {
    {ENOENT, "it or a directory above it does not exist"},
    {ENOTDIR, "a part of the path is not a directory"},
    {EISDIR, "it is a directory"},
    {EROFS, "the file system is mounted read-only"},
    {ENOSPC, "no space left on the file system; free some, or use a larger one"},
    {EDQUOT, "the disk quota is used up; raise it, or free some space"},
    {EMFILE, "this process has no file descriptors left; raise its limit (ulimit -n)"},
    {ENFILE, "the system has no file descriptors left; raise fs.file-max"},
    {ELOOP, "too many symbolic links"},
    {ENAMETOOLONG, "the path is too long"},
};

static const char *path_hint_find(int code) {
    for (size_t i = 0; i < sizeof(path_hints) / sizeof(path_hints[0]); i++) {
        if (path_hints[i].code == code) return path_hints[i].text;
    }
    return NULL;
}

rt_err real_path_why(struct rt_why *why, int code, const char *verb, const char *path) {
    rt_err err = rt_err_from_errno(code);
    if (code == EACCES || code == EPERM) {
        return rt_why_set(why, err, "cannot %s %s: permission denied for user id %u", verb, path,
                          (unsigned)geteuid());
    }
    const char *hint = path_hint_find(code);
    char system_text[128];
    if (!hint) hint = strerror_r(code, system_text, sizeof(system_text));
    return rt_why_set(why, err, "cannot %s %s: %s", verb, path, hint);
}

// CREATING

// The directory of a path, on the heap.
static char *parent_of(const char *path) {
    char *copy = rt_strdup(path);
    char *parent = rt_strdup(dirname(copy));
    rt_free(copy);
    return parent;
}

rt_err real_parent_sync(struct rt_machine *machine, const char *path) {
    char *parent = parent_of(path);
    rt_err err = real_dir_sync(machine, parent);
    rt_free(parent);
    return err;
}

static bool is_dir(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static rt_err dir_make(struct rt_machine *machine, const char *path, struct rt_why *why) {
    if (mkdir(path, DIR_MODE) != 0) {
        int code = errno;
        if (code == EEXIST && is_dir(path)) return RT_OK;
        if (code == EEXIST) code = ENOTDIR;
        return real_path_why(why, code, "create directory", path);
    }
    rt_err err = real_parent_sync(machine, path);
    if (!err) return RT_OK;
    return rt_why_set(why, err, "cannot sync the directory of %s: %s", path, rt_err_text(err));
}

// From the outermost directory inwards, each one durable before the next.
rt_err real_dir_create(struct rt_machine *machine, const char *path, struct rt_why *why) {
    if (path[0] == '\0') return rt_why_set(why, RT_EINVAL, "the path of a directory is empty");
    char *partial = rt_strdup(path);
    rt_err err = RT_OK;
    for (char *at = partial + 1; !err; at++) {
        if (*at != '/' && *at != '\0') continue;
        char end = *at;
        *at = '\0';
        if (!is_dir(partial)) err = dir_make(machine, partial, why);
        *at = end;
        if (end == '\0') break;
    }
    rt_free(partial);
    return err;
}

// LISTING

static rt_err entry_add(struct rt_dir_listing *listing, size_t *capacity, int dir_fd,
                        const char *name) {
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) return RT_OK;
    struct stat status;
    if (fstatat(dir_fd, name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
        return errno == ENOENT ? RT_OK : rt_err_from_errno(errno);  // removed since it was read
    }
    if (listing->count == *capacity) {
        *capacity = *capacity ? *capacity * 2 : 16;
        size_t size = *capacity * sizeof(struct rt_dir_entry);
        listing->entries = rt_realloc(listing->entries, size);
    }
    listing->entries[listing->count++] = (struct rt_dir_entry){
        .name = rt_strdup(name),
        .is_dir = S_ISDIR(status.st_mode),
        .size = S_ISREG(status.st_mode) ? (uint64_t)status.st_size : 0,
    };
    return RT_OK;
}

static rt_err entries_read(DIR *dir, struct rt_dir_listing *listing) {
    size_t capacity = 0;
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (!entry) return errno == 0 ? RT_OK : rt_err_from_errno(errno);
        rt_err err = entry_add(listing, &capacity, dirfd(dir), entry->d_name);
        if (err) return err;
    }
}

rt_err real_dir_list(struct rt_machine *machine, const char *path, struct rt_dir_listing *listing,
                     struct rt_why *why) {
    (void)machine;  // there is one file system
    DIR *dir = opendir(path);
    if (!dir) return real_path_why(why, errno, "list", path);
    rt_err err = entries_read(dir, listing);
    closedir(dir);
    if (err) rt_why_set(why, err, "cannot list %s: %s", path, rt_err_text(err));
    return err;
}

// CHANGING

rt_err real_dir_sync(struct rt_machine *machine, const char *path) {
    (void)machine;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return rt_err_from_errno(errno);
    rt_err err = fsync(fd) == 0 ? RT_OK : rt_err_from_errno(errno);
    if (err == RT_EINVAL) err = RT_OK;  // a file system that keeps directories durable by itself
    close(fd);
    return err;
}

rt_err real_path_rename(struct rt_machine *machine, const char *from, const char *to) {
    (void)machine;
    return rename(from, to) == 0 ? RT_OK : rt_err_from_errno(errno);
}

rt_err real_path_remove(struct rt_machine *machine, const char *path) {
    (void)machine;
    if (unlink(path) == 0) return RT_OK;
    if (errno != EISDIR) return rt_err_from_errno(errno);
    return rmdir(path) == 0 ? RT_OK : rt_err_from_errno(errno);
}

// ASKING

rt_err real_path_exists(struct rt_machine *machine, const char *path, bool *exists) {
    (void)machine;
    struct stat status;
    *exists = lstat(path, &status) == 0;
    if (*exists || errno == ENOENT || errno == ENOTDIR) return RT_OK;
    return rt_err_from_errno(errno);
}

rt_err real_dir_space(struct rt_machine *machine, const char *path, struct rt_disk_space *space) {
    (void)machine;
    struct statvfs status;
    if (statvfs(path, &status) != 0) return rt_err_from_errno(errno);
    space->total_bytes = (uint64_t)status.f_blocks * status.f_frsize;
    space->free_bytes = (uint64_t)status.f_bavail * status.f_frsize;  // without what root keeps
    return RT_OK;
}

// LOCKING: a lock on the open file LOCK, so two holders in one process exclude each other too, and
// the end of the process releases it. The file stays; in it is the process id of the last holder.

struct rt_dir_lock {
    const struct rt_file_backend *backend;
    int fd;
};

static long lock_holder(int fd) {
    char text[24] = {0};
    ssize_t size = pread(fd, text, sizeof(text) - 1, 0);
    if (size <= 0) return 0;
    char *end = NULL;
    long pid = strtol(text, &end, 10);
    return end != text && *end == '\n' ? pid : 0;
}

static rt_err lock_take(int fd, const char *path, struct rt_why *why) {
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_OFD_SETLK, &whole) == 0) return RT_OK;
    if (errno != EAGAIN && errno != EACCES) return real_path_why(why, errno, "lock", path);
    long pid = lock_holder(fd);
    if (pid <= 0) return rt_why_set(why, RT_ELOCKED, "%s is in use by another process", path);
    return rt_why_set(why, RT_ELOCKED, "%s is in use by process %ld%s", path, pid,
                      pid == (long)getpid() ? " (this one)" : "");
}

static rt_err holder_write(int fd, const char *path, struct rt_why *why) {
    char text[24];
    int size = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)size, 0) != size) {
        return real_path_why(why, errno, "write to LOCK in", path);
    }
    return RT_OK;
}

rt_err real_dir_lock(struct rt_machine *machine, const char *path, struct rt_dir_lock **lock,
                     struct rt_why *why) {
    (void)machine;
    struct rt_buf name = {0};
    rt_buf_print(&name, "%s/LOCK", path);
    rt_buf_append(&name, RT_BYTES("", 1));
    int fd = open((const char *)name.data, O_RDWR | O_CREAT | O_CLOEXEC, LOCK_MODE);
    int code = errno;
    rt_buf_fini(&name);
    if (fd < 0) return real_path_why(why, code, "create LOCK in", path);
    rt_err err = lock_take(fd, path, why);
    if (!err) err = holder_write(fd, path, why);
    if (err) {
        close(fd);
        return err;
    }
    *lock = RT_NEW(struct rt_dir_lock);
    **lock = (struct rt_dir_lock){.backend = real_file_backend(), .fd = fd};
    return RT_OK;
}

void real_dir_unlock(struct rt_dir_lock *lock) {
    close(lock->fd);
    rt_free(lock);
}
