#include "tests/lib/conformance_file_checks.h"

#include <string.h>

#define EXPECT(run, condition) \
    file_run_expect((run), (condition), "%s:%d: %s", __FILE__, __LINE__, #condition)

enum { READ_WRITE = RT_FILE_READ | RT_FILE_WRITE };

static void err_expect(struct file_run *run, rt_err err, rt_err expected, const char *what) {
    file_run_expect_err(run, err, expected, what);
}

// PATHS OF A RUN, from rt_alloc

static void file_make(struct file_run *run, const char *name, const char *text) {
    char *path = file_run_path(run, name);
    struct rt_file *file = NULL;
    rt_err err = rt_file_open_now(run->machine, path, READ_WRITE | RT_FILE_CREATE, &file, NULL);
    err_expect(run, err, RT_OK, name);
    if (!err) {
        err_expect(run, rt_file_write_now(file, 0, rt_bytes_of(text)), RT_OK, "write");
        rt_file_close_now(file);
    }
    rt_free(path);
}

static void dir_make(struct file_run *run, const char *name) {
    char *path = file_run_path(run, name);
    err_expect(run, rt_dir_create_now(run->machine, path, NULL), RT_OK, name);
    rt_free(path);
}

static bool exists(struct file_run *run, const char *name) {
    char *path = file_run_path(run, name);
    bool answer = false;
    err_expect(run, rt_path_exists_now(run->machine, path, &answer), RT_OK, "exists");
    rt_free(path);
    return answer;
}

static bool file_has(struct file_run *run, const char *name, const char *text) {
    char *path = file_run_path(run, name);
    char content[64];
    size_t size = 0;
    struct rt_file *file = NULL;
    rt_err err = rt_file_open_now(run->machine, path, RT_FILE_READ, &file, NULL);
    if (!err) err = rt_file_read_now(file, 0, content, sizeof(content), &size);
    if (file) rt_file_close_now(file);
    rt_free(path);
    return !err && size == strlen(text) && memcmp(content, text, size) == 0;
}

static rt_err name_open(struct file_run *run, const char *name, unsigned flags,
                        struct rt_why *why) {
    char *path = file_run_path(run, name);
    struct rt_file *file = NULL;
    rt_err err = rt_file_open_now(run->machine, path, flags, &file, why);
    if (!err) rt_file_close_now(file);
    rt_free(path);
    return err;
}

static rt_err name_rename(struct file_run *run, const char *from, const char *to) {
    char *from_path = file_run_path(run, from), *to_path = file_run_path(run, to);
    rt_err err = rt_path_rename_now(run->machine, from_path, to_path);
    rt_free(from_path);
    rt_free(to_path);
    return err;
}

static rt_err name_remove(struct file_run *run, const char *name) {
    char *path = file_run_path(run, name);
    rt_err err = rt_path_remove_now(run->machine, path);
    rt_free(path);
    return err;
}

static rt_err name_remove_tree(struct file_run *run, const char *name) {
    char *path = file_run_path(run, name);
    rt_err err = rt_path_remove_tree_now(run->machine, path);
    rt_free(path);
    return err;
}

// FILES

void opening_says_what_is_wrong(struct file_run *run) {
    struct rt_why why = {0};
    err_expect(run, name_open(run, "absent", RT_FILE_READ, &why), RT_ENOTFOUND, "absent");
    EXPECT(run, strstr(why.text, "/absent") != NULL);
    why.text[0] = '\0';
    unsigned create = READ_WRITE | RT_FILE_CREATE;
    err_expect(run, name_open(run, "no/dir", create, &why), RT_ENOTFOUND, "in no directory");
    EXPECT(run, strstr(why.text, "/no/dir") != NULL);
    file_make(run, "plain", "");
    err_expect(run, name_open(run, "plain/x", create, &why), RT_ENOTFOUND, "below a file");
    EXPECT(run, strstr(why.text, "/plain/x") != NULL);
    dir_make(run, "dir");
    EXPECT(run, name_open(run, "dir", READ_WRITE, &why) != RT_OK);
    EXPECT(run, name_open(run, "dir", RT_FILE_READ, &why) != RT_OK);
    EXPECT(run, strstr(why.text, "/dir") != NULL);
}

void creating_is_exclusive_unless_told_otherwise(struct file_run *run) {
    unsigned create = READ_WRITE | RT_FILE_CREATE;
    err_expect(run, name_open(run, "f", create | RT_FILE_EXISTING, NULL), RT_OK, "both, new");
    err_expect(run, name_open(run, "f", create, NULL), RT_EEXIST, "exclusive, old");
    err_expect(run, name_open(run, "f", create | RT_FILE_EXISTING, NULL), RT_OK, "both, old");
    err_expect(run, name_open(run, "f", READ_WRITE, NULL), RT_OK, "old");
    err_expect(run, name_open(run, "g", create, NULL), RT_OK, "exclusive, new");
}

void blocking_calls_read_what_they_wrote(struct file_run *run) {
    char *path = file_run_path(run, "f");
    struct rt_file *file = NULL;
    char text[8];
    size_t read_size = 99;
    uint64_t size = 0;
    unsigned create = READ_WRITE | RT_FILE_CREATE;
    err_expect(run, rt_file_open_now(run->machine, path, create, &file, NULL), RT_OK, "open");
    EXPECT(run, strcmp(rt_file_path(file), path) == 0);
    err_expect(run, rt_file_read_now(file, 0, text, 8, &read_size), RT_OK, "read empty");
    EXPECT(run, read_size == 0);
    err_expect(run, rt_file_write_now(file, 2, RT_BYTES_LITERAL("abc")), RT_OK, "write");
    err_expect(run, rt_file_sync_now(file), RT_OK, "sync");
    err_expect(run, rt_file_allocate_now(file, 100), RT_OK, "allocate");
    err_expect(run, rt_file_truncate_now(file, 4), RT_OK, "truncate");
    err_expect(run, rt_file_size_now(file, &size), RT_OK, "size");
    EXPECT(run, size == 4);
    err_expect(run, rt_file_read_now(file, 1, text, 8, &read_size), RT_OK, "read");
    EXPECT(run, read_size == 3 && memcmp(text, "\0ab", 3) == 0);
    rt_file_close_now(file);
    rt_free(path);
}

void an_open_file_outlives_its_name(struct file_run *run) {
    file_make(run, "f", "still here");
    char *path = file_run_path(run, "f");
    struct rt_file *file = NULL;
    char text[16];
    size_t size = 0;
    err_expect(run, rt_file_open_now(run->machine, path, READ_WRITE, &file, NULL), RT_OK, "open");
    err_expect(run, rt_path_remove_now(run->machine, path), RT_OK, "remove");
    EXPECT(run, !exists(run, "f"));
    err_expect(run, rt_file_read_now(file, 0, text, sizeof(text), &size), RT_OK, "read");
    EXPECT(run, size == 10 && memcmp(text, "still here", 10) == 0);
    rt_file_close_now(file);
    rt_free(path);
}

// DIRECTORIES

void directories_are_created_with_their_parents(struct file_run *run) {
    struct rt_why why = {0};
    dir_make(run, "a/b/c");
    dir_make(run, "a/b/c");
    dir_make(run, "a//b/d/");
    EXPECT(run, exists(run, "a/b/c") && exists(run, "a/b/d"));
    EXPECT(run, !exists(run, "a/x") && !exists(run, "x/y"));
    file_make(run, "a/plain", "");
    char *path = file_run_path(run, "a/plain/b");
    EXPECT(run, rt_dir_create_now(run->machine, path, &why) != RT_OK);
    EXPECT(run, strstr(why.text, "a/plain") != NULL);
    rt_free(path);
    path = file_run_path(run, "a/plain");
    EXPECT(run, rt_dir_create_now(run->machine, path, NULL) != RT_OK);
    rt_free(path);
}

static bool entry_is(const struct rt_dir_entry *entry, const char *name, bool is_dir,
                     uint64_t size) {
    if (strcmp(entry->name, name) != 0 || entry->is_dir != is_dir) return false;
    return is_dir || entry->size == size;
}

void listings_are_sorted(struct file_run *run) {
    struct rt_dir_listing listing = {0};
    dir_make(run, "d");
    char *path = file_run_path(run, "d");
    err_expect(run, rt_dir_list_now(run->machine, path, &listing, NULL), RT_OK, "list empty");
    EXPECT(run, listing.count == 0);
    rt_dir_listing_fini(&listing);
    file_make(run, "d/b", "22");
    file_make(run, "d/a10", "");
    dir_make(run, "d/c/inner");
    file_make(run, "d/a", "1");
    file_make(run, "d/B", "333");
    err_expect(run, rt_dir_list_now(run->machine, path, &listing, NULL), RT_OK, "list");
    if (EXPECT(run, listing.count == 5)) {
        EXPECT(run, entry_is(&listing.entries[0], "B", false, 3));
        EXPECT(run, entry_is(&listing.entries[1], "a", false, 1));
        EXPECT(run, entry_is(&listing.entries[2], "a10", false, 0));
        EXPECT(run, entry_is(&listing.entries[3], "b", false, 2));
        EXPECT(run, entry_is(&listing.entries[4], "c", true, 0));
    }
    rt_dir_listing_fini(&listing);
    rt_free(path);
}

void listing_says_what_is_wrong(struct file_run *run) {
    struct rt_dir_listing listing = {0};
    struct rt_why why = {0};
    char *path = file_run_path(run, "absent");
    err_expect(run, rt_dir_list_now(run->machine, path, &listing, &why), RT_ENOTFOUND, "absent");
    EXPECT(run, strstr(why.text, "/absent") != NULL);
    EXPECT(run, listing.count == 0 && listing.entries == NULL);
    rt_free(path);
    file_make(run, "plain", "");
    path = file_run_path(run, "plain");
    EXPECT(run, rt_dir_list_now(run->machine, path, &listing, &why) != RT_OK);
    rt_free(path);
}

void synced_directories_answer(struct file_run *run) {
    dir_make(run, "d");
    char *path = file_run_path(run, "d");
    err_expect(run, rt_dir_sync_now(run->machine, path), RT_OK, "sync");
    rt_free(path);
    path = file_run_path(run, "absent");
    err_expect(run, rt_dir_sync_now(run->machine, path), RT_ENOTFOUND, "sync of nothing");
    rt_free(path);
}

// NAMES

void rename_replaces_the_target(struct file_run *run) {
    file_make(run, "old", "old");
    file_make(run, "new", "new");
    err_expect(run, name_rename(run, "new", "old"), RT_OK, "rename");
    EXPECT(run, !exists(run, "new"));
    EXPECT(run, file_has(run, "old", "new"));
    dir_make(run, "d/e");
    file_make(run, "d/e/f", "moved");
    err_expect(run, name_rename(run, "d/e", "g"), RT_OK, "rename of a directory");
    EXPECT(run, file_has(run, "g/f", "moved"));
    err_expect(run, name_rename(run, "g/f", "g/f"), RT_OK, "rename to itself");
    EXPECT(run, file_has(run, "g/f", "moved"));
}

void rename_of_nothing_changes_nothing(struct file_run *run) {
    file_make(run, "kept", "kept");
    err_expect(run, name_rename(run, "absent", "kept"), RT_ENOTFOUND, "rename of nothing");
    err_expect(run, name_rename(run, "kept", "no/dir"), RT_ENOTFOUND, "rename to nowhere");
    EXPECT(run, file_has(run, "kept", "kept"));
    dir_make(run, "full/inner");
    dir_make(run, "other");
    EXPECT(run, name_rename(run, "other", "full") != RT_OK);
    EXPECT(run, exists(run, "other") && exists(run, "full/inner"));
}

void remove_takes_files_and_empty_directories(struct file_run *run) {
    file_make(run, "f", "");
    dir_make(run, "d/e");
    err_expect(run, name_remove(run, "f"), RT_OK, "file");
    err_expect(run, name_remove(run, "f"), RT_ENOTFOUND, "absent");
    err_expect(run, name_remove(run, "d"), RT_EEXIST, "full directory");
    err_expect(run, name_remove(run, "d/e"), RT_OK, "empty directory");
    err_expect(run, name_remove(run, "d"), RT_OK, "emptied directory");
    EXPECT(run, !exists(run, "f") && !exists(run, "d"));
}

void remove_tree_takes_all_below(struct file_run *run) {
    dir_make(run, "t/a/b/c");
    dir_make(run, "t/empty");
    file_make(run, "t/f", "1");
    file_make(run, "t/a/b/g", "2");
    file_make(run, "beside", "3");
    err_expect(run, name_remove_tree(run, "t"), RT_OK, "tree");
    EXPECT(run, !exists(run, "t"));
    EXPECT(run, file_has(run, "beside", "3"));
    err_expect(run, name_remove_tree(run, "t"), RT_OK, "absent");
    err_expect(run, name_remove_tree(run, "beside"), RT_OK, "a file");
    EXPECT(run, !exists(run, "beside"));
}

void remove_tree_refuses_the_root(struct file_run *run) {
    const char *const paths[] = {"/", "", ".", "..", "./", "/..", "//"};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        rt_err err = rt_path_remove_tree_now(run->machine, paths[i]);
        err_expect(run, err, RT_EINVAL, paths[i]);
    }
}

void space_is_told(struct file_run *run) {
    struct rt_disk_space space = {0};
    err_expect(run, rt_dir_space_now(run->machine, run->dir, &space), RT_OK, "space");
    EXPECT(run, space.total_bytes > 0 && space.free_bytes <= space.total_bytes);
}

void more_than_the_space_cannot_be_allocated(struct file_run *run) {
    struct rt_disk_space space = {0};
    struct rt_file *file = NULL;
    uint64_t size = 0;
    file_make(run, "f", "abc");
    char *path = file_run_path(run, "f");
    err_expect(run, rt_dir_space_now(run->machine, run->dir, &space), RT_OK, "space");
    err_expect(run, rt_file_open_now(run->machine, path, READ_WRITE, &file, NULL), RT_OK, "open");
    uint64_t too_much = space.total_bytes + (1 << 30);
    err_expect(run, rt_file_allocate_now(file, too_much), RT_ENOSPACE, "allocate");
    err_expect(run, rt_file_size_now(file, &size), RT_OK, "size");
    EXPECT(run, size == 3);
    err_expect(run, rt_file_write_now(file, 3, RT_BYTES_LITERAL("d")), RT_OK, "write");
    rt_file_close_now(file);
    EXPECT(run, file_has(run, "f", "abcd"));
    rt_free(path);
}

// LOCKS

void a_locked_directory_cannot_be_locked_again(struct file_run *run) {
    struct rt_dir_lock *lock = NULL, *other = NULL;
    struct rt_why why = {0};
    dir_make(run, "d");
    dir_make(run, "e");
    char *d = file_run_path(run, "d"), *e = file_run_path(run, "e");
    err_expect(run, rt_dir_lock_now(run->machine, d, &lock, NULL), RT_OK, "lock");
    err_expect(run, rt_dir_lock_now(run->machine, d, &other, &why), RT_ELOCKED, "second lock");
    EXPECT(run, strstr(why.text, "/d") != NULL);
    err_expect(run, rt_dir_lock_now(run->machine, e, &other, NULL), RT_OK, "another directory");
    rt_dir_unlock(other);
    rt_dir_unlock(lock);
    err_expect(run, rt_dir_lock_now(run->machine, d, &lock, NULL), RT_OK, "lock again");
    rt_dir_unlock(lock);
    rt_free(d);
    rt_free(e);
}

void a_missing_directory_cannot_be_locked(struct file_run *run) {
    struct rt_dir_lock *lock = NULL;
    struct rt_why why = {0};
    char *path = file_run_path(run, "absent");
    err_expect(run, rt_dir_lock_now(run->machine, path, &lock, &why), RT_ENOTFOUND, "lock");
    EXPECT(run, strstr(why.text, "/absent") != NULL);
    rt_free(path);
}
