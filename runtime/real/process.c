// What the kernel says about this process, from /proc and the control groups.
#include <dirent.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "runtime/real/machine.h"
#include "runtime/real/real.h"

enum { TEXT_MAX = 4096 };

// The beginning of a small file as text; empty when it cannot be read.
static void text_read(const char *path, char text[TEXT_MAX]) {
    text[0] = 0;
    FILE *file = fopen(path, "re");
    if (!file) return;
    text[fread(text, 1, TEXT_MAX - 1, file)] = 0;
    fclose(file);
}

// CPUS

// cgroup v2 "max 100000" or "200000 100000"; no limit is 0.
static unsigned quota_of(const char *text) {
    uint64_t quota = 0, period = 0;
    if (sscanf(text, "%" SCNu64 " %" SCNu64, &quota, &period) != 2 || period == 0) return 0;
    uint64_t cpus = (quota + period - 1) / period;
    return cpus < UINT16_MAX ? (unsigned)cpus : 0;
}

static unsigned stricter(unsigned a, unsigned b) {
    if (a == 0 || b == 0) return a + b;
    return a < b ? a : b;
}

// The limit of our group and of every group above it. `group` is "/a/b", and consumed.
static unsigned quota_v2(char *group) {
    unsigned quota = 0;
    for (;;) {
        char path[TEXT_MAX + 64], text[TEXT_MAX];
        snprintf(path, sizeof(path), "/sys/fs/cgroup%s/cpu.max", group);
        text_read(path, text);
        quota = stricter(quota, quota_of(text));
        char *slash = strrchr(group, '/');
        if (!slash) return quota;
        *slash = 0;
    }
}

static unsigned quota_v1(void) {
    char quota[TEXT_MAX], period[TEXT_MAX], both[2 * TEXT_MAX];
    text_read("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", quota);
    text_read("/sys/fs/cgroup/cpu/cpu.cfs_period_us", period);
    if (quota[0] == '-') return 0;
    snprintf(both, sizeof(both), "%s %s", quota, period);
    return quota_of(both);
}

static unsigned cgroup_cpus(void) {
    char text[TEXT_MAX];
    text_read("/proc/self/cgroup", text);
    char *line = strstr(text, "0::");
    if (!line) return quota_v1();
    line += strlen("0::");
    line[strcspn(line, "\n")] = 0;
    return stricter(quota_v2(line), quota_v1());
}

unsigned real_cpu_count(void) {
    cpu_set_t set;
    CPU_ZERO(&set);
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    if (sched_getaffinity(0, sizeof(set), &set) == 0) cpus = CPU_COUNT(&set);
    unsigned count = stricter(cpus > 0 ? (unsigned)cpus : 1, cgroup_cpus());
    return count ? count : 1;
}

// STATISTICS

static uint64_t resident_bytes(void) {
    char text[TEXT_MAX];
    text_read("/proc/self/statm", text);
    uint64_t total = 0, resident = 0;
    if (sscanf(text, "%" SCNu64 " %" SCNu64, &total, &resident) != 2) return 0;
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t open_files(void) {
    DIR *dir = opendir("/proc/self/fd");
    if (!dir) return 0;
    uint64_t count = 0;
    for (const struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] != '.') count++;
    }
    closedir(dir);
    return count ? count - 1 : 0;  // without the directory just read
}

static uint64_t open_files_max(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
    return limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : limit.rlim_cur;
}

static uint64_t cpu_ns(void) {
    struct timespec used;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) != 0) return 0;
    return (uint64_t)used.tv_sec * RT_NS_PER_S + (uint64_t)used.tv_nsec;
}

// Field `index` (from 1) of /proc/self/stat; the second, in parentheses, may hold anything.
static uint64_t stat_field(unsigned index) {
    char text[TEXT_MAX];
    text_read("/proc/self/stat", text);
    const char *at = strrchr(text, ')');
    for (unsigned i = 2; at && i < index; i++) at = strchr(at + 1, ' ');
    return at ? strtoull(at + 1, NULL, 10) : 0;
}

static uint64_t boot_s(void) {
    FILE *file = fopen("/proc/stat", "re");
    if (!file) return 0;
    char line[TEXT_MAX];
    uint64_t at = 0;
    while (at == 0 && fgets(line, sizeof(line), file)) {
        if (sscanf(line, "btime %" SCNu64, &at) != 1) at = 0;
    }
    fclose(file);
    return at;
}

struct rt_process_stats rt_process_stats(void) {
    enum { START_TIME_FIELD = 22 };
    uint64_t ticks_per_s = (uint64_t)sysconf(_SC_CLK_TCK);
    uint64_t start_ticks = stat_field(START_TIME_FIELD);
    return (struct rt_process_stats){
        .resident_bytes = resident_bytes(),
        .open_files = open_files(),
        .open_files_max = open_files_max(),
        .cpu_ns = cpu_ns(),
        .start_ns = boot_s() * RT_NS_PER_S + start_ticks * (RT_NS_PER_S / ticks_per_s),
    };
}
