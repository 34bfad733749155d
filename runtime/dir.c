#include <stdlib.h>
#include <string.h>

#include "runtime/backend.h"
#include "runtime/file.h"

static const struct rt_file_backend *files_of(const struct rt_machine *machine) {
    return machine->backend->files;
}

rt_err rt_dir_create_now(struct rt_machine *machine, const char *path, struct rt_why *why) {
    return files_of(machine)->dir_create(machine, path, why);
}

static int entry_compare(const void *a, const void *b) {
    const struct rt_dir_entry *left = a, *right = b;
    return strcmp(left->name, right->name);
}

rt_err rt_dir_list_now(struct rt_machine *machine, const char *path, struct rt_dir_listing *listing,
                       struct rt_why *why) {
    *listing = (struct rt_dir_listing){0};
    rt_err err = files_of(machine)->dir_list(machine, path, listing, why);
    if (err) {
        rt_dir_listing_fini(listing);
        return err;
    }
    if (listing->count > 1) {
        qsort(listing->entries, listing->count, sizeof(struct rt_dir_entry), entry_compare);
    }
    return RT_OK;
}

void rt_dir_listing_fini(struct rt_dir_listing *listing) {
    for (size_t i = 0; i < listing->count; i++)
        rt_free((void *)(uintptr_t)listing->entries[i].name);
    rt_free(listing->entries);
    *listing = (struct rt_dir_listing){0};
}

rt_err rt_dir_sync_now(struct rt_machine *machine, const char *path) {
    return files_of(machine)->dir_sync(machine, path);
}

rt_err rt_path_rename_now(struct rt_machine *machine, const char *from, const char *to) {
    return files_of(machine)->rename(machine, from, to);
}

rt_err rt_path_remove_now(struct rt_machine *machine, const char *path) {
    return files_of(machine)->remove(machine, path);
}

rt_err rt_path_exists_now(struct rt_machine *machine, const char *path, bool *exists) {
    return files_of(machine)->exists(machine, path, exists);
}

static char *path_join(const char *dir, const char *name) {
    struct rt_buf joined = {0};
    rt_buf_print(&joined, "%s/%s", dir, name);
    rt_buf_append(&joined, RT_BYTES("", 1));
    return (char *)joined.data;
}

static rt_err tree_remove(struct rt_machine *machine, const char *path);

static rt_err children_remove(struct rt_machine *machine, const char *path,
                              const struct rt_dir_listing *listing) {
    rt_err err = RT_OK;
    for (size_t i = 0; i < listing->count && !err; i++) {
        char *child = path_join(path, listing->entries[i].name);
        err = tree_remove(machine, child);
        rt_free(child);
    }
    return err;
}

// Removing comes first and listing second, so that a symbolic link is removed and never followed:
// what cannot be removed at once is a directory with something in it, or not ours to remove.
static rt_err tree_remove(struct rt_machine *machine, const char *path) {
    rt_err err = rt_path_remove_now(machine, path);
    if (!err || err == RT_ENOTFOUND) return RT_OK;
    struct rt_dir_listing listing;
    if (rt_dir_list_now(machine, path, &listing, NULL) != RT_OK) return err;
    err = children_remove(machine, path, &listing);
    rt_dir_listing_fini(&listing);
    if (err) return err;
    err = rt_path_remove_now(machine, path);
    return err == RT_ENOTFOUND ? RT_OK : err;
}

rt_err rt_path_remove_tree_now(struct rt_machine *machine, const char *path) {
    if (path[strspn(path, "/.")] == '\0') return RT_EINVAL;  // the root, or where we stand
    return tree_remove(machine, path);
}

rt_err rt_dir_space_now(struct rt_machine *machine, const char *path, struct rt_disk_space *space) {
    return files_of(machine)->space(machine, path, space);
}

rt_err rt_dir_lock_now(struct rt_machine *machine, const char *path, struct rt_dir_lock **lock,
                       struct rt_why *why) {
    return files_of(machine)->lock(machine, path, lock, why);
}

void rt_dir_unlock(struct rt_dir_lock *lock) {
    const struct rt_file_backend *const *backend = (const void *)lock;
    (*backend)->unlock(lock);
}
