// The computer under the real machine, for people who must judge it: `geminga doctor`. Everything
// here blocks and nothing is needed to serve. The simulator has no such thing.
#ifndef GEMINGA_RUNTIME_HOST_H
#define GEMINGA_RUNTIME_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/err.h"

enum { RT_HOST_TEXT_SIZE = 128 };

struct rt_host {
    char kernel[RT_HOST_TEXT_SIZE];     // "Linux 6.1.0 x86_64"
    unsigned cpus_online, cpus_usable;  // usable: affinity and control group
    uint64_t memory_bytes, memory_available_bytes;
    uint64_t memory_limit_bytes;  // of the control group; 0: none
    uint64_t swap_bytes;
    uint64_t files_soft, files_hard;     // limits of open files
    char huge_pages[RT_HOST_TEXT_SIZE];  // the mode of transparent huge pages, "" unknown
};
void rt_host_look(struct rt_host *host);

// A directory, tried out: a file in it is written, synced and removed again.
struct rt_host_disk {
    char file_system[32];  // "ext4", or the number of its type
    bool has_direct;       // takes O_DIRECT
    uint64_t total_bytes, free_bytes;
    unsigned syncs;                                  // so many of each size were timed
    uint64_t sync_4k_median_ns, sync_4k_worst_ns;    // write of 4 KiB and fdatasync
    uint64_t sync_64k_median_ns, sync_64k_worst_ns;  // 64 KiB
};
RT_CHECK
rt_err rt_host_try_disk(const char *directory, struct rt_host_disk *disk, struct rt_why *why);

// The address by which its name is known, else the name itself; "localhost" when it has none.
void rt_host_address(char address[RT_HOST_TEXT_SIZE]);

int rt_process_id(void);
uint64_t rt_process_age_ms(void);  // since its start, to 10 ms; 0: unknown
// Once it serves: code that only start-up ran is no longer counted as its memory.
void rt_process_code_release(void);

const char *rt_version_nng(void);      // of the library that is loaded
const char *rt_version_rocksdb(void);  // that it was built against
const char *rt_version_compiler(void);

#endif
