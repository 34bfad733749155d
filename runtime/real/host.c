#include "runtime/host.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <netdb.h>
#include <nng/nng.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "runtime/real/machine.h"

enum { LINE_SIZE = 512 };

// rocksdb/version.h is C++; the build reads the number out of it.
#ifndef GEMINGA_ROCKSDB_VERSION
#    define GEMINGA_ROCKSDB_VERSION "unknown"
#endif

// The first line of a file without its end; false when there is none.
static bool line_read(const char *path, char line[LINE_SIZE]) {
    FILE *file = fopen(path, "re");
    if (!file) return false;
    bool got = fgets(line, LINE_SIZE, file) != NULL;
    fclose(file);
    if (got) line[strcspn(line, "\n")] = '\0';
    return got;
}

// IPv4 first, since the peers we replace name themselves by it.
void rt_host_address(char address[RT_HOST_TEXT_SIZE]) {
    const struct addrinfo wanted = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    if (gethostname(address, RT_HOST_TEXT_SIZE) || !address[0])
        snprintf(address, RT_HOST_TEXT_SIZE, "localhost");
    address[RT_HOST_TEXT_SIZE - 1] = '\0';
    if (getaddrinfo(address, NULL, &wanted, &found) || !found) return;
    const struct sockaddr_in *first = (const struct sockaddr_in *)(const void *)found->ai_addr;
    inet_ntop(AF_INET, &first->sin_addr, address, RT_HOST_TEXT_SIZE);
    freeaddrinfo(found);
}

int rt_process_id(void) {
    return (int)getpid();
}

// Field 22 of /proc/self/stat is the start in clock ticks since boot; the name in field 2 may hold
// anything, so fields are counted from the last parenthesis.
uint64_t rt_process_age_ms(void) {
    char line[LINE_SIZE];
    if (!line_read("/proc/self/stat", line)) return 0;
    const char *at = strrchr(line, ')');
    for (int field = 2; at && field < 22; field++) at = strchr(at + 1, ' ');
    struct timespec now;
    long ticks_per_s = sysconf(_SC_CLK_TCK);
    if (!at || ticks_per_s <= 0 || clock_gettime(CLOCK_BOOTTIME, &now) != 0) return 0;
    uint64_t start_ms = strtoull(at, NULL, 10) * 1000 / (uint64_t)ticks_per_s;
    uint64_t now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / RT_NS_PER_MS;
    return now_ms > start_ms ? now_ms - start_ms : 0;
}

const char *rt_version_nng(void) {
    return nng_version();
}

const char *rt_version_rocksdb(void) {
    return GEMINGA_ROCKSDB_VERSION;
}

const char *rt_version_compiler(void) {
#ifdef __clang__
    return "clang " __clang_version__;
#else
    return "gcc " __VERSION__;
#endif
}

static void memory_look(struct rt_host *host) {
    FILE *file = fopen("/proc/meminfo", "re");
    if (!file) return;
    char line[LINE_SIZE];
    while (fgets(line, sizeof(line), file)) {
        uint64_t kib = 0;
        if (sscanf(line, "MemTotal: %" SCNu64, &kib) == 1) host->memory_bytes = kib << 10;
        if (sscanf(line, "MemAvailable: %" SCNu64, &kib) == 1) {
            host->memory_available_bytes = kib << 10;
        }
        if (sscanf(line, "SwapTotal: %" SCNu64, &kib) == 1) host->swap_bytes = kib << 10;
    }
    fclose(file);
}

static void limit_lower(struct rt_host *host, const char *path) {
    char line[LINE_SIZE];
    uint64_t bytes = 0;
    if (!line_read(path, line) || sscanf(line, "%" SCNu64, &bytes) != 1) return;  // "max"
    bool is_lower = host->memory_limit_bytes == 0 || bytes < host->memory_limit_bytes;
    if (bytes < host->memory_bytes && is_lower) host->memory_limit_bytes = bytes;
}

// The strictest of our group and the groups above it (v2), or of the one group (v1).
static void memory_limit_look(struct rt_host *host) {
    limit_lower(host, "/sys/fs/cgroup/memory/memory.limit_in_bytes");
    char group[LINE_SIZE];
    if (!line_read("/proc/self/cgroup", group) || strncmp(group, "0::", 3) != 0) return;
    for (char *end = group + strlen(group); end; end = strrchr(group, '/')) {
        *end = '\0';
        char path[LINE_SIZE + 64];
        snprintf(path, sizeof(path), "/sys/fs/cgroup%s/memory.max",
                 strlen(group) > 3 ? group + 3 : "");
        limit_lower(host, path);
        if (strlen(group) <= 3) break;
    }
}

// Of "always [madvise] never" what is in brackets.
static void huge_pages_look(struct rt_host *host) {
    char line[LINE_SIZE];
    if (!line_read("/sys/kernel/mm/transparent_hugepage/enabled", line)) return;
    const char *open = strchr(line, '[');
    if (!open) return;
    snprintf(host->huge_pages, sizeof(host->huge_pages), "%.*s", (int)strcspn(open + 1, "]"),
             open + 1);
}

void rt_host_look(struct rt_host *host) {
    *host = (struct rt_host){.cpus_usable = real_cpu_count()};
    struct utsname name;
    if (uname(&name) == 0) {
        snprintf(host->kernel, sizeof(host->kernel), "%.32s %.60s %.30s", name.sysname,
                 name.release, name.machine);
    }
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    host->cpus_online = online > 0 ? (unsigned)online : 1;
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        host->files_soft = files.rlim_cur;
        host->files_hard = files.rlim_max;
    }
    memory_look(host);
    memory_limit_look(host);
    huge_pages_look(host);
}
