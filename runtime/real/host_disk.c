// How fast a directory makes things durable: what the journal will live on.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "runtime/host.h"
#include "runtime/mem.h"
#include "runtime/real/file_posix.h"

enum { SYNCS = 100, SMALL = 4 << 10, LARGE = 64 << 10, FILE_SIZE = SYNCS * LARGE };

static const struct {
    long magic;
    const char *name;
} file_systems[] = {
    {0xef53, "ext4"},      {0x58465342, "xfs"},       {0x9123683e, "btrfs"},
    {0x01021994, "tmpfs"}, {0x794c7630, "overlayfs"}, {0x6969, "nfs"},
    {0x2fc12fc1, "zfs"},   {0xf2f52010, "f2fs"},      {0x65735546, "fuse"},
    {0x01021997, "9p"},    {0xca451a4e, "bcachefs"},  {0x6a656a63, "virtiofs"},
};

static rt_err file_system_look(const char *directory, struct rt_host_disk *disk,
                               struct rt_why *why) {
    struct statfs status;
    struct statvfs space;
    if (statfs(directory, &status) != 0 || statvfs(directory, &space) != 0) {
        return real_path_why(why, errno, "look at", directory);
    }
    long magic = (long)status.f_type;
    snprintf(disk->file_system, sizeof(disk->file_system), "type 0x%lx", (unsigned long)magic);
    for (size_t i = 0; i < sizeof(file_systems) / sizeof(file_systems[0]); i++) {
        if (file_systems[i].magic != magic) continue;
        snprintf(disk->file_system, sizeof(disk->file_system), "%s", file_systems[i].name);
    }
    disk->total_bytes = (uint64_t)space.f_blocks * space.f_frsize;
    disk->free_bytes = (uint64_t)space.f_bavail * space.f_frsize;
    return RT_OK;
}

static int compare_ns(const void *a, const void *b) {
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

// Overwrites the file from its start, a sync after each write.
static rt_err syncs_time(int fd, const uint8_t *memory, size_t size, uint64_t *median_ns,
                         uint64_t *worst_ns) {
    uint64_t taken[SYNCS];
    for (size_t i = 0; i < SYNCS; i++) {
        uint64_t start = real_mono_ns();
        ssize_t written = pwrite(fd, memory, size, (off_t)(i * size));
        if (written < 0 || fdatasync(fd) != 0) return rt_err_from_errno(errno);
        if ((size_t)written != size) return RT_ENOSPACE;
        taken[i] = real_mono_ns() - start;
    }
    qsort(taken, SYNCS, sizeof(taken[0]), compare_ns);
    *median_ns = taken[SYNCS / 2];
    *worst_ns = taken[SYNCS - 1];
    return RT_OK;
}

// As the journal does: the space is written once beforehand, so a sync is about data only.
static rt_err file_prepare(int fd, const uint8_t *memory) {
    for (off_t at = 0; at < FILE_SIZE; at += LARGE) {
        ssize_t written = pwrite(fd, memory, LARGE, at);
        if (written < 0) return rt_err_from_errno(errno);
        if (written != LARGE) return RT_ENOSPACE;
    }
    return fdatasync(fd) == 0 ? RT_OK : rt_err_from_errno(errno);
}

static rt_err file_time(int fd, const char *path, struct rt_host_disk *disk) {
    uint8_t *memory = rt_alloc_aligned(4096, LARGE);
    memset(memory, 0x5a, LARGE);
    rt_err err = file_prepare(fd, memory);
    if (!err) {
        err = syncs_time(fd, memory, SMALL, &disk->sync_4k_median_ns, &disk->sync_4k_worst_ns);
    }
    if (!err) {
        err = syncs_time(fd, memory, LARGE, &disk->sync_64k_median_ns, &disk->sync_64k_worst_ns);
    }
    disk->syncs = SYNCS;
    rt_free(memory);
    int direct = open(path, O_WRONLY | O_DIRECT | O_CLOEXEC);
    disk->has_direct = direct >= 0;
    if (direct >= 0) close(direct);
    return err;
}

rt_err rt_host_try_disk(const char *directory, struct rt_host_disk *disk, struct rt_why *why) {
    *disk = (struct rt_host_disk){.has_direct = false};
    rt_err err = file_system_look(directory, disk, why);
    if (err) return err;
    struct rt_buf path = {0};
    rt_buf_print(&path, "%s/geminga-doctor-XXXXXX", directory);
    rt_buf_append(&path, RT_BYTES("", 1));
    char *name = (char *)path.data;
    int fd = mkostemp(name, O_CLOEXEC);
    if (fd < 0) {
        err = real_path_why(why, errno, "create a file in", directory);
    } else {
        err = file_time(fd, name, disk);
        close(fd);
        unlink(name);
        if (err) err = rt_why_set(why, err, "writing in %s: %s", directory, rt_err_text(err));
    }
    rt_buf_fini(&path);
    return err;
}
