// Files of the real machine: what the conformance cases, which also hold in the simulator, cannot
// say.
#include "runtime/file.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/real/real.h"

enum {
    READ_WRITE = RT_FILE_READ | RT_FILE_WRITE,
    CREATE = READ_WRITE | RT_FILE_CREATE,
    NOBODY = 65534
};

static struct rt_machine *machine;
static char root[64];

static void set_up(void) {
    snprintf(root, sizeof(root), "/tmp/geminga-files-XXXXXX");
    cr_assert_not_null(mkdtemp(root));
    const struct rt_real_options options = {.loop_count = 1, .worker_count = 1};
    cr_assert_eq(rt_real_open(&options, &machine, NULL), RT_OK);
}

static void tear_down(void) {
    cr_assert_eq(rt_path_remove_tree_now(machine, root), RT_OK);
    rt_real_close(machine);
}

TestSuite(runtime_file, .init = set_up, .fini = tear_down);

static const char *below(const char *name) {
    static char path[128];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    return path;
}

static struct rt_file *file_open(const char *name, unsigned flags) {
    struct rt_file *file = NULL;
    struct rt_why why = {0};
    cr_assert_eq(rt_file_open_now(machine, below(name), flags, &file, &why), RT_OK, "%s", why.text);
    return file;
}

static rt_err open_fails(const char *name, unsigned flags, struct rt_why *why) {
    struct rt_file *file = NULL;
    return rt_file_open_now(machine, below(name), flags, &file, why);
}

// PROMISES OF THE CALLER

static void direct_write(size_t memory_at, uint64_t offset, size_t size) {
    struct rt_file *file = file_open("f", CREATE | RT_FILE_DIRECT);
    cr_assert_eq(rt_path_remove_tree_now(machine, root), RT_OK);  // an abort would leave it
    uint8_t *memory = rt_alloc_aligned(RT_FILE_ALIGN, 3 * RT_FILE_ALIGN);
    memset(memory, 1, 3 * RT_FILE_ALIGN);
    cr_assert_eq(rt_file_write_now(file, offset, RT_BYTES(memory + memory_at, size)), RT_OK);
    rt_free(memory);
    rt_file_close_now(file);
}

Test(runtime_file, aligned_direct_write_works) {
    direct_write(RT_FILE_ALIGN, RT_FILE_ALIGN, RT_FILE_ALIGN);
}

Test(runtime_file, direct_write_of_odd_size_is_a_bug, .signal = SIGABRT) {
    direct_write(0, 0, 100);
}

Test(runtime_file, direct_write_at_odd_offset_is_a_bug, .signal = SIGABRT) {
    direct_write(0, 512, RT_FILE_ALIGN);
}

Test(runtime_file, direct_write_from_odd_memory_is_a_bug, .signal = SIGABRT) {
    direct_write(16, 0, RT_FILE_ALIGN);
}

Test(runtime_file, writing_a_file_opened_to_read_is_a_bug, .signal = SIGABRT) {
    rt_file_close_now(file_open("f", CREATE));
    struct rt_file *file = file_open("f", RT_FILE_READ);
    cr_assert_eq(rt_path_remove_tree_now(machine, root), RT_OK);   // an abort would leave it
    RT_IGNORE(rt_file_write_now(file, 0, RT_BYTES_LITERAL("x")));  // does not return
}

// WHAT IS THERE ALREADY

Test(runtime_file, a_fifo_is_refused_and_not_waited_for) {
    struct rt_why why = {0};
    cr_assert_eq(mkfifo(below("fifo"), 0600), 0);
    cr_assert_eq(open_fails("fifo", RT_FILE_READ, &why), RT_EINVAL);
    cr_assert_not_null(strstr(why.text, "not a regular file"), "%s", why.text);
    cr_assert_eq(open_fails("fifo", READ_WRITE, &why), RT_EINVAL);
}

Test(runtime_file, missing_permission_names_the_user) {
    struct rt_why why = {0};
    cr_assert_eq(chmod(root, 0555), 0);
    if (geteuid() == 0) cr_assert_eq(seteuid(NOBODY), 0);
    rt_err err = open_fails("f", CREATE, &why);
    if (getuid() == 0) cr_assert_eq(seteuid(0), 0);
    cr_assert_eq(chmod(root, 0755), 0);
    cr_assert_eq(err, RT_EACCESS);
    cr_assert_not_null(strstr(why.text, "permission denied for user id"), "%s", why.text);
    cr_assert_not_null(strstr(why.text, below("f")), "%s", why.text);
}

Test(runtime_file, missing_directory_is_said) {
    struct rt_why why = {0};
    cr_assert_eq(open_fails("absent/f", CREATE, &why), RT_ENOTFOUND);
    cr_assert_not_null(strstr(why.text, "directory above it does not exist"), "%s", why.text);
}

Test(runtime_file, links_are_listed_and_removed_but_not_followed) {
    char target[128];
    struct rt_dir_listing listing = {0};
    struct rt_file *file = file_open("kept", CREATE);
    rt_file_close_now(file);
    snprintf(target, sizeof(target), "%s", root);
    cr_assert_eq(rt_dir_create_now(machine, below("tree"), NULL), RT_OK);
    cr_assert_eq(symlink(target, below("tree/link")), 0);
    cr_assert_eq(symlink("nowhere", below("tree/broken")), 0);
    cr_assert_eq(rt_dir_list_now(machine, below("tree"), &listing, NULL), RT_OK);
    cr_assert_eq(listing.count, 2);
    cr_assert(!listing.entries[0].is_dir && !listing.entries[1].is_dir);
    rt_dir_listing_fini(&listing);
    cr_assert_eq(rt_path_remove_tree_now(machine, below("tree")), RT_OK);
    bool exists = false;
    cr_assert_eq(rt_path_exists_now(machine, below("kept"), &exists), RT_OK);
    cr_assert(exists);
}

Test(runtime_file, a_directory_link_is_a_directory_to_create_in) {
    cr_assert_eq(rt_dir_create_now(machine, below("disk"), NULL), RT_OK);
    cr_assert_eq(symlink("disk", below("data")), 0);
    cr_assert_eq(rt_dir_create_now(machine, below("data/a/b"), NULL), RT_OK);
    bool exists = false;
    cr_assert_eq(rt_path_exists_now(machine, below("disk/a/b"), &exists), RT_OK);
    cr_assert(exists);
}

// LOCKS BETWEEN PROCESSES

// Locks the root and says so through a pipe, then waits to be killed.
static pid_t holder_start(void) {
    int ready[2];
    char byte = 0;
    cr_assert_eq(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        struct rt_dir_lock *lock = NULL;
        if (rt_dir_lock_now(machine, root, &lock, NULL) != RT_OK) _exit(1);
        if (write(ready[1], &byte, 1) != 1) _exit(1);
        for (;;) pause();
    }
    close(ready[1]);
    cr_assert_eq(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return child;
}

Test(runtime_file, a_lock_names_its_holder_and_dies_with_it) {
    struct rt_dir_lock *lock = NULL;
    struct rt_why why = {0};
    char holder[32];
    pid_t child = holder_start();
    snprintf(holder, sizeof(holder), "process %ld", (long)child);
    cr_assert_eq(rt_dir_lock_now(machine, root, &lock, &why), RT_ELOCKED);
    cr_assert_not_null(strstr(why.text, holder), "%s", why.text);
    kill(child, SIGKILL);
    cr_assert_eq(waitpid(child, NULL, 0), child);
    cr_assert_eq(rt_dir_lock_now(machine, root, &lock, &why), RT_OK);
    cr_assert_eq(rt_dir_lock_now(machine, root, &lock, &why), RT_ELOCKED);
    cr_assert_not_null(strstr(why.text, "(this one)"), "%s", why.text);
    rt_dir_unlock(lock);
}
