// Directories, paths and locks of the simulated machine, and the table of its file backend.
#include <assert.h>
#include <string.h>

#include "runtime/sim/sim_disk.h"

static struct sim_disk *disk_of(const struct rt_machine *machine) {
    return sim_node_of(machine)->disk;
}

static void trace_path(struct sim_disk *disk, const char *path, rt_err err) {
    sim_trace_text(disk->node->sim, SIM_FILE_OP, disk->node, path, err);
}

// DIRECTORIES

static rt_err dir_step_create(struct sim_disk *disk, const char *path) {
    char name[SIM_NAME_MAX + 1];
    struct sim_inode *dir = NULL;
    rt_err err = sim_path_parent(disk, path, &dir, name);
    if (err || !name[0]) return err;
    struct sim_inode *inode = sim_names_find(&dir->now, name);
    if (inode) return inode->is_dir ? RT_OK : RT_ENOTFOUND;  // as ENOTDIR reads
    err = sim_disk_change_names(disk);
    if (err) return err;
    sim_dir_add(dir, name, true);
    return sim_disk_sync_names(dir);
}

// Each prefix of the path that ends before a '/', then the path; each is durable before the next.
static rt_err dir_create(struct rt_machine *machine, const char *path, struct rt_why *why) {
    struct sim_disk *disk = disk_of(machine);
    if (!path[0]) return rt_why_set(why, RT_EINVAL, "the path of a directory is empty");
    struct rt_heap *inside = sim_world_enter();
    char *prefix = rt_strdup(path);
    rt_err err = RT_OK;
    for (size_t at = 0; prefix[at] && !err; at++) {
        if (path[at] != '/') continue;
        prefix[at] = '\0';
        err = dir_step_create(disk, prefix);
        prefix[at] = '/';
    }
    if (!err) err = dir_step_create(disk, prefix);
    rt_free(prefix);
    trace_path(disk, path, err);
    sim_world_leave(inside);
    if (!err) return RT_OK;
    return rt_why_set(why, err, "cannot create directory %s: %s", path, rt_err_text(err));
}

static rt_err dir_find(struct sim_disk *disk, const char *path, struct sim_inode **dir) {
    rt_err err = sim_path_find(disk, path, dir);
    if (err) return err;
    return (*dir)->is_dir ? RT_OK : RT_ENOTFOUND;
}

// The listing belongs to the caller, so it comes from the heap he is in.
static rt_err dir_list(struct rt_machine *machine, const char *path, struct rt_dir_listing *listing,
                       struct rt_why *why) {
    struct sim_inode *dir = NULL;
    rt_err err = dir_find(disk_of(machine), path, &dir);
    trace_path(disk_of(machine), path, err);
    if (err) return rt_why_set(why, err, "cannot list %s: %s", path, rt_err_text(err));
    listing->count = dir->now.count;
    listing->entries = rt_alloc_zero(listing->count, sizeof(*listing->entries));
    for (size_t i = 0; i < listing->count; i++) {
        const struct sim_name *name = &dir->now.items[i];
        listing->entries[i] = (struct rt_dir_entry){.name = rt_strdup(name->name),
                                                    .is_dir = name->inode->is_dir,
                                                    .size = name->inode->size};
    }
    return RT_OK;
}

static rt_err dir_sync(struct rt_machine *machine, const char *path) {
    struct sim_disk *disk = disk_of(machine);
    struct rt_heap *inside = sim_world_enter();
    struct sim_inode *dir = NULL;
    rt_err err = dir_find(disk, path, &dir);
    if (!err) err = sim_disk_sync_names(dir);
    trace_path(disk, path, err);
    sim_world_leave(inside);
    return err;
}

// PATHS

static rt_err rename_in_world(struct sim_disk *disk, const char *from, const char *to) {
    char from_name[SIM_NAME_MAX + 1], to_name[SIM_NAME_MAX + 1];
    struct sim_inode *from_dir = NULL, *to_dir = NULL;
    rt_err err = sim_path_parent(disk, from, &from_dir, from_name);
    if (!err) err = sim_path_parent(disk, to, &to_dir, to_name);
    if (err) return err;
    if (!from_name[0] || !to_name[0]) return RT_EBUSY;  // the root
    err = sim_disk_change_names(disk);
    if (err) return err;
    return sim_dir_rename(from_dir, from_name, to_dir, to_name);
}

static rt_err path_rename(struct rt_machine *machine, const char *from, const char *to) {
    struct sim_disk *disk = disk_of(machine);
    struct rt_heap *inside = sim_world_enter();
    rt_err err = rename_in_world(disk, from, to);
    trace_path(disk, from, err);
    trace_path(disk, to, err);
    sim_world_leave(inside);
    return err;
}

static rt_err remove_in_world(struct sim_disk *disk, const char *path) {
    char name[SIM_NAME_MAX + 1];
    struct sim_inode *dir = NULL;
    rt_err err = sim_path_parent(disk, path, &dir, name);
    if (err) return err;
    if (!name[0]) return RT_EBUSY;  // the root
    struct sim_inode *inode = sim_names_find(&dir->now, name);
    if (!inode) return RT_ENOTFOUND;
    if (inode->is_dir && inode->now.count) return RT_EEXIST;
    err = sim_disk_change_names(disk);
    if (!err) sim_dir_remove(dir, name);
    return err;
}

static rt_err path_remove(struct rt_machine *machine, const char *path) {
    struct sim_disk *disk = disk_of(machine);
    struct rt_heap *inside = sim_world_enter();
    rt_err err = remove_in_world(disk, path);
    trace_path(disk, path, err);
    sim_world_leave(inside);
    return err;
}

static rt_err path_exists(struct rt_machine *machine, const char *path, bool *exists) {
    struct sim_inode *inode = NULL;
    rt_err err = sim_path_find(disk_of(machine), path, &inode);
    *exists = !err;
    return err == RT_ENOTFOUND ? RT_OK : err;
}

static rt_err dir_space(struct rt_machine *machine, const char *path, struct rt_disk_space *space) {
    struct sim_disk *disk = disk_of(machine);
    struct sim_inode *inode = NULL;
    rt_err err = sim_path_find(disk, path, &inode);
    if (err) return err;
    uint64_t total = disk->options.capacity_bytes;
    space->total_bytes = total;
    space->free_bytes = disk->used_bytes < total ? total - disk->used_bytes : 0;
    return RT_OK;
}

// LOCKS: held by the process, so a crash lets go of them.

rt_err sim_lock_take(struct sim_inode *dir, struct rt_dir_lock **lock) {
    struct sim_disk *disk = dir->disk;
    struct sim_inode *inode = sim_names_find(&dir->now, "LOCK");
    rt_list_each (link, &disk->locks) {
        if (rt_container_of(link, struct rt_dir_lock, link)->inode == inode) return RT_ELOCKED;
    }
    rt_err err = inode ? RT_OK : sim_disk_change_names(disk);
    if (err) return err;
    if (!inode) inode = sim_dir_add(dir, "LOCK", false);
    if (inode->is_dir) return RT_EINVAL;
    *lock = RT_NEW(struct rt_dir_lock);
    (*lock)->backend = sim_file_backend();
    (*lock)->inode = inode;
    sim_inode_hold(inode);
    rt_list_push_back(&disk->locks, &(*lock)->link);
    return RT_OK;
}

void sim_lock_drop(struct rt_dir_lock *lock) {
    rt_list_remove(&lock->link);
    sim_inode_release(lock->inode);
    rt_free(lock);
}

void sim_locks_crash(struct sim_disk *disk) {
    rt_list_each_safe (link, &disk->locks) {
        sim_lock_drop(rt_container_of(link, struct rt_dir_lock, link));
    }
}

static rt_err dir_lock(struct rt_machine *machine, const char *path, struct rt_dir_lock **lock,
                       struct rt_why *why) {
    struct sim_disk *disk = disk_of(machine);
    struct rt_heap *inside = sim_world_enter();
    struct sim_inode *dir = NULL;
    rt_err err = dir_find(disk, path, &dir);
    if (!err) err = sim_lock_take(dir, lock);
    trace_path(disk, path, err);
    sim_world_leave(inside);
    if (err != RT_ELOCKED) {
        return err ? rt_why_set(why, err, "cannot lock %s: %s", path, rt_err_text(err)) : RT_OK;
    }
    return rt_why_set(why, err, "%s is in use by process %s (this one)", path, disk->node->name);
}

static void dir_unlock(struct rt_dir_lock *lock) {
    struct rt_heap *inside = sim_world_enter();
    sim_lock_drop(lock);
    sim_world_leave(inside);
}

const struct rt_file_backend *sim_file_backend(void) {
    static const struct rt_file_backend backend = {
        .open = sim_file_open,
        .submit = sim_file_submit,
        .execute = sim_file_execute,
        .size = sim_file_size,
        .dir_create = dir_create,
        .dir_list = dir_list,
        .dir_sync = dir_sync,
        .rename = path_rename,
        .remove = path_remove,
        .exists = path_exists,
        .space = dir_space,
        .lock = dir_lock,
        .unlock = dir_unlock,
    };
    return &backend;
}
