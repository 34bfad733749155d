// The program's code in memory. What start-up ran, and what lay next to it, stays mapped for ever
// although most of it is never needed again: of the libraries' symbol tables and RocksDB's opening
// alone that is several MiB.
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime/host.h"

// Only what was never written to is left to the page cache: whatever is run again is mapped again,
// without a read as long as the cache has it.
static int image_release(struct dl_phdr_info *image, size_t size, void *argument) {
    const uintptr_t page = *(const uintptr_t *)argument;
    (void)size;
    if (strncmp(image->dlpi_name, "linux-", 6) == 0) return 0;  // the kernel's own
    for (unsigned i = 0; i < image->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &image->dlpi_phdr[i];
        if (part->p_type != PT_LOAD || (part->p_flags & PF_W)) continue;
        uintptr_t begin = (image->dlpi_addr + part->p_vaddr) & ~(page - 1);
        uintptr_t end = (image->dlpi_addr + part->p_vaddr + part->p_memsz) & ~(page - 1);
        if (begin < end) madvise((void *)begin, end - begin, MADV_DONTNEED);  // or it stays
    }
    return 0;
}

// A debugger has written its breakpoints into the code.
static bool is_traced(void) {
    char line[RT_HOST_TEXT_SIZE];
    bool traced = false;
    FILE *file = fopen("/proc/self/status", "re");
    if (!file) return true;
    while (fgets(line, sizeof(line), file)) {
        if (strncmp(line, "TracerPid:", 10) == 0) traced = strcmp(line + 10, "\t0\n") != 0;
    }
    fclose(file);
    return traced;
}

void rt_process_code_release(void) {
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    if (!is_traced()) dl_iterate_phdr(image_release, &page);
}
