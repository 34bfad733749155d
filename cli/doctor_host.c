// Cores, memory, limits, disk: facts, and advice where one is known to hurt.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/doctor.h"
#include "runtime/crc32c.h"
#include "runtime/file.h"
#include "runtime/host.h"

enum { FILES_ADVISED = 65536, SYNC_SLOW_US = 2000, SYNC_DREAM_US = 5 };

static uint64_t mib(uint64_t bytes) {
    return bytes >> 20;
}

static void warn_about_host(struct doctor *doctor, const struct rt_host *host) {
    if (host->files_soft < FILES_ADVISED) {
        doctor_warn(doctor,
                    "only %" PRIu64
                    " open files allowed; each connection is one. Raise it to %d "
                    "or more: ulimit -n, LimitNOFILE= of systemd, or the container's limit",
                    host->files_soft, FILES_ADVISED);
    }
    uint64_t memory = host->memory_limit_bytes ? host->memory_limit_bytes : host->memory_bytes;
    if (memory > 0 && memory < UINT64_C(512) << 20) {
        doctor_warn(doctor, "%" PRIu64 " MiB of memory: lower --memory to a quarter of it",
                    mib(memory));
    }
    if (host->swap_bytes > 0) {
        doctor_warn(doctor,
                    "there is swap: a node that swaps misses its time limits. Turn it off "
                    "(swapoff -a) or set vm.swappiness=1");
    }
    if (strcmp(host->huge_pages, "always") == 0) {
        doctor_warn(doctor,
                    "transparent huge pages are always on: memory grows and stalls. Write "
                    "madvise to /sys/kernel/mm/transparent_hugepage/enabled");
    }
    if (strcmp(rt_crc32c_implementation(), "table") == 0) {
        doctor_warn(doctor,
                    "this processor has no CRC32C instruction: checksums cost ten times "
                    "as much");
    }
}

void doctor_host(struct doctor *doctor) {
    struct rt_host host;
    rt_host_look(&host);
    printf("computer\n");
    doctor_fact("kernel", "%s", host.kernel);
    doctor_fact("cores", "%u, usable %u", host.cpus_online, host.cpus_usable);
    doctor_fact("memory", "%" PRIu64 " MiB, available %" PRIu64 " MiB", mib(host.memory_bytes),
                mib(host.memory_available_bytes));
    if (host.memory_limit_bytes) {
        doctor_fact("memory limit", "%" PRIu64 " MiB (control group)",
                    mib(host.memory_limit_bytes));
    } else {
        doctor_fact("memory limit", "none");
    }
    doctor_fact("swap", "%" PRIu64 " MiB", mib(host.swap_bytes));
    doctor_fact("open files", "%" PRIu64 ", at most %" PRIu64, host.files_soft, host.files_hard);
    doctor_fact("huge pages", "%s", host.huge_pages[0] ? host.huge_pages : "unknown");
    warn_about_host(doctor, &host);
}

// The directory, or the nearest one above it that exists, in memory of the caller's size.
static void nearest_directory(struct doctor *doctor, const char *data_dir, char *path,
                              size_t size) {
    snprintf(path, size, "%s", data_dir);
    for (;;) {
        bool exists = false;
        rt_err err = rt_path_exists_now(doctor->machine, path, &exists);
        char *slash = strrchr(path, '/');
        if ((!err && exists) || slash == path) return;
        if (!slash) {
            snprintf(path, size, ".");
            return;
        }
        *slash = '\0';
    }
}

static void warn_about_disk(struct doctor *doctor, const struct rt_host_disk *disk) {
    uint64_t median_us = disk->sync_4k_median_ns / RT_NS_PER_US;
    if (strcmp(disk->file_system, "tmpfs") == 0) {
        doctor_warn(doctor, "the data directory is in memory: a restart of the computer loses all");
    } else if (strcmp(disk->file_system, "nfs") == 0) {
        doctor_warn(doctor, "the data directory is on NFS: locks and syncs are not to be trusted");
    } else if (median_us < SYNC_DREAM_US) {
        doctor_warn(doctor,
                    "a sync in %" PRIu64
                    " us is too good to be true: does it reach the "
                    "device?",
                    median_us);
    }
    if (median_us > SYNC_SLOW_US) {
        doctor_warn(doctor,
                    "a sync takes %" PRIu64
                    " us: every acknowledgement waits for one. Put "
                    "the data directory on an SSD",
                    median_us);
    }
    if (!disk->has_direct) {
        doctor_warn(doctor,
                    "the file system has no direct I/O: bulk writes go through the page "
                    "cache and can delay syncs");
    }
    if (disk->free_bytes < disk->total_bytes / 10) {
        doctor_warn(doctor, "less than a tenth of the file system is free");
    }
}

void doctor_disk(struct doctor *doctor, const char *data_dir) {
    enum { PATH_SIZE = 4096 };
    char path[PATH_SIZE];
    nearest_directory(doctor, data_dir, path, sizeof(path));
    printf("disk\n");
    doctor_fact("directory", "%s%s", path,
                strcmp(path, data_dir) == 0 ? "" : " (nearest there is)");
    struct rt_host_disk disk;
    struct rt_why why = {{0}};
    rt_err err = rt_host_try_disk(path, &disk, &why);
    if (err) {
        doctor_warn(doctor, "%s", why.text);
        return;
    }
    doctor_fact("file system", "%s, %" PRIu64 " MiB, free %" PRIu64 " MiB", disk.file_system,
                mib(disk.total_bytes), mib(disk.free_bytes));
    doctor_fact("direct I/O", "%s", disk.has_direct ? "yes" : "no");
    doctor_fact("sync of 4 KiB", "median %" PRIu64 " us, worst of %u %" PRIu64 " us",
                disk.sync_4k_median_ns / RT_NS_PER_US, disk.syncs,
                disk.sync_4k_worst_ns / RT_NS_PER_US);
    doctor_fact("sync of 64 KiB", "median %" PRIu64 " us, worst of %u %" PRIu64 " us",
                disk.sync_64k_median_ns / RT_NS_PER_US, disk.syncs,
                disk.sync_64k_worst_ns / RT_NS_PER_US);
    warn_about_disk(doctor, &disk);
}
