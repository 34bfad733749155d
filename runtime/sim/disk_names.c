// The names of a simulated disk: the tree its node sees, and the changes that are not durable yet.
#include <assert.h>
#include <string.h>

#include "runtime/sim/sim_disk.h"

// SORTED NAMES

static size_t names_place(const struct sim_names *names, const char *name, bool *found) {
    size_t low = 0, high = names->count;
    *found = false;
    while (low < high && !*found) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(names->items[middle].name, name);
        if (order == 0) {
            *found = true;
            low = middle;
        } else if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct sim_inode *sim_names_find(const struct sim_names *names, const char *name) {
    bool found;
    size_t place = names_place(names, name, &found);
    return found ? names->items[place].inode : NULL;
}

static void entry_taken(struct sim_inode *inode, bool used) {
    if (used) {
        sim_inode_use(inode);
    } else {
        sim_inode_hold(inode);
    }
}

static void entry_dropped(struct sim_inode *inode, bool used) {
    if (used) {
        sim_inode_unuse(inode);
    } else {
        sim_inode_release(inode);
    }
}

// `used`: these are names the node sees.
static void names_put(struct sim_names *names, const char *name, struct sim_inode *inode,
                      bool used) {
    bool found;
    size_t place = names_place(names, name, &found);
    entry_taken(inode, used);
    if (found) {
        entry_dropped(names->items[place].inode, used);
        names->items[place].inode = inode;
        return;
    }
    if (names->count == names->capacity) {
        names->capacity = names->capacity * 2 + 8;
        names->items = rt_realloc(names->items, names->capacity * sizeof(*names->items));
    }
    memmove(names->items + place + 1, names->items + place,
            (names->count - place) * sizeof(*names->items));
    names->items[place] = (struct sim_name){.name = rt_strdup(name), .inode = inode};
    names->count++;
}

static void names_take_out(struct sim_names *names, const char *name, bool used) {
    bool found;
    size_t place = names_place(names, name, &found);
    assert(found);
    struct sim_name gone = names->items[place];
    names->count--;
    memmove(names->items + place, names->items + place + 1,
            (names->count - place) * sizeof(*names->items));
    rt_free(gone.name);
    entry_dropped(gone.inode, used);
}

void sim_names_fini(struct sim_names *names, bool used) {
    struct sim_names gone = *names;
    *names = (struct sim_names){0};
    for (size_t i = 0; i < gone.count; i++) {
        rt_free(gone.items[i].name);
        entry_dropped(gone.items[i].inode, used);
    }
    rt_free(gone.items);
}

// PATHS

static size_t part_size(const char *path) {
    return strcspn(path, "/");
}

static const char *part_next(const char *path) {
    for (;;) {
        path += strspn(path, "/");
        if (part_size(path) != 1 || path[0] != '.') return path;
        path++;
    }
}

static rt_err part_copy(const char *part, char *name) {
    size_t size = part_size(part);
    if (size > SIM_NAME_MAX || (size == 2 && memcmp(part, "..", 2) == 0)) return RT_EINVAL;
    memcpy(name, part, size);
    name[size] = '\0';
    return RT_OK;
}

static struct sim_inode *step(const struct sim_inode *dir, const char *name, bool durable) {
    return dir->is_dir ? sim_names_find(durable ? &dir->durable : &dir->now, name) : NULL;
}

// The directory of the last part, and that part in `name`: empty when the path names the root.
static rt_err path_walk(struct sim_disk *disk, const char *path, bool durable,
                        struct sim_inode **dir, char *name) {
    struct sim_inode *at = disk->root;
    const char *part = part_next(path);
    name[0] = '\0';
    while (*part) {
        rt_err err = part_copy(part, name);
        if (err) return err;
        part = part_next(part + part_size(part));
        if (*part) at = step(at, name, durable);
        if (!at || !at->is_dir) return RT_ENOTFOUND;
    }
    *dir = at;
    return RT_OK;
}

rt_err sim_path_parent(struct sim_disk *disk, const char *path, struct sim_inode **dir,
                       char *name) {
    return path_walk(disk, path, false, dir, name);
}

static rt_err path_find(struct sim_disk *disk, const char *path, bool durable,
                        struct sim_inode **inode) {
    char name[SIM_NAME_MAX + 1];
    struct sim_inode *dir;
    rt_err err = path_walk(disk, path, durable, &dir, name);
    if (err) return err;
    *inode = name[0] ? step(dir, name, durable) : dir;
    if (!*inode) return RT_ENOTFOUND;
    size_t size = strlen(path);
    bool wants_dir = size > 0 && path[size - 1] == '/';
    return wants_dir && !(*inode)->is_dir ? RT_ENOTFOUND : RT_OK;
}

rt_err sim_path_find(struct sim_disk *disk, const char *path, struct sim_inode **inode) {
    return path_find(disk, path, false, inode);
}

struct sim_inode *sim_path_find_durable(struct sim_disk *disk, const char *path) {
    struct sim_inode *inode;
    return path_find(disk, path, true, &inode) ? NULL : inode;
}

// CHANGES

static void change_add(struct sim_disk *disk, struct sim_inode *inode, struct sim_inode *from,
                       const char *from_name, struct sim_inode *to, const char *to_name) {
    struct sim_change *change = RT_NEW(struct sim_change);
    change->inode = inode;
    change->from = from;
    change->to = to;
    sim_inode_hold(inode);
    if (from) sim_inode_hold(from);
    if (to) sim_inode_hold(to);
    change->from_name = from ? rt_strdup(from_name) : NULL;
    change->to_name = to ? rt_strdup(to_name) : NULL;
    rt_list_push_back(&disk->changes, &change->link);
}

static void change_free(struct sim_change *change) {
    rt_list_remove(&change->link);
    rt_free(change->from_name);
    rt_free(change->to_name);
    sim_inode_release(change->inode);
    if (change->from) sim_inode_release(change->from);
    if (change->to) sim_inode_release(change->to);
    rt_free(change);
}

static void change_commit(struct sim_change *change) {
    if (change->to) names_put(&change->to->durable, change->to_name, change->inode, false);
    if (change->from) names_take_out(&change->from->durable, change->from_name, false);
    change_free(change);
}

struct sim_inode *sim_dir_add(struct sim_inode *dir, const char *name, bool is_dir) {
    assert(dir->is_dir && name[0] && !sim_names_find(&dir->now, name));
    struct sim_inode *inode = sim_inode_new(dir->disk, is_dir);
    if (is_dir) inode->parent = dir;
    names_put(&dir->now, name, inode, true);
    change_add(dir->disk, inode, NULL, NULL, dir, name);
    sim_inode_release(inode);
    return inode;
}

void sim_dir_remove(struct sim_inode *dir, const char *name) {
    struct sim_inode *inode = sim_names_find(&dir->now, name);
    assert(inode && (!inode->is_dir || !inode->now.count));
    change_add(dir->disk, inode, dir, name, NULL, NULL);
    names_take_out(&dir->now, name, true);
}

static rt_err rename_allowed(const struct sim_inode *inode, const struct sim_inode *to,
                             const struct sim_inode *replaced) {
    for (const struct sim_inode *up = to; inode->is_dir && up; up = up->parent) {
        if (up == inode) return RT_EINVAL;
    }
    if (!replaced || replaced == inode) return RT_OK;
    if (inode->is_dir && !replaced->is_dir) return RT_ENOTFOUND;  // as ENOTDIR reads
    if (!inode->is_dir && replaced->is_dir) return RT_EIO;        // as EISDIR reads
    return replaced->is_dir && replaced->now.count ? RT_EEXIST : RT_OK;
}

rt_err sim_dir_rename(struct sim_inode *from, const char *from_name, struct sim_inode *to,
                      const char *to_name) {
    struct sim_inode *inode = sim_names_find(&from->now, from_name);
    struct sim_inode *replaced = sim_names_find(&to->now, to_name);
    if (!inode) return RT_ENOTFOUND;
    rt_err err = rename_allowed(inode, to, replaced);
    if (err || replaced == inode) return err;
    change_add(from->disk, inode, from, from_name, to, to_name);
    names_put(&to->now, to_name, inode, true);
    names_take_out(&from->now, from_name, true);
    if (inode->is_dir) inode->parent = to;
    return RT_OK;
}

// SYNC AND LOSS. A pass over the changes marks the directories it has met.

static bool change_moves_dir(const struct sim_change *change) {
    return change->inode->is_dir && change->from && change->to;
}

// A directory that moves is touched as well, so that no loss can put it into itself.
static bool change_touches_marked(const struct sim_change *change) {
    return (change->from && change->from->marked) || (change->to && change->to->marked) ||
           (change_moves_dir(change) && change->inode->marked);
}

static void change_mark(const struct sim_change *change) {
    if (change->from) change->from->marked = true;
    if (change->to) change->to->marked = true;
    if (change_moves_dir(change)) change->inode->marked = true;
}

static struct sim_change *change_of(struct rt_list *link) {
    return rt_container_of(link, struct sim_change, link);
}

static void marks_clear(struct sim_disk *disk) {
    rt_list_each (link, &disk->inodes)
        rt_container_of(link, struct sim_inode, link)->marked = false;
}

void sim_dir_sync(struct sim_inode *dir) {
    struct rt_list *changes = &dir->disk->changes;
    if (rt_list_is_empty(changes)) return;
    marks_clear(dir->disk);
    dir->marked = true;
    for (struct rt_list *link = changes->prev; link != changes; link = link->prev) {
        struct sim_change *change = change_of(link);
        change->wanted = change_touches_marked(change);
        if (change->wanted) change_mark(change);
    }
    sim_inode_hold(dir);
    rt_list_each_safe (link, changes) {
        if (change_of(link)->wanted) change_commit(change_of(link));
    }
    sim_inode_release(dir);
}

// Returns how many were lost.
static uint64_t changes_draw(struct sim_disk *disk) {
    uint64_t lost = 0;
    marks_clear(disk);
    rt_list_each_safe (link, &disk->changes) {
        struct sim_change *change = change_of(link);
        bool kept = !change_touches_marked(change) &&
                    !rt_random_chance(&disk->node->disk_random, disk->options.lost_per_million);
        if (kept) {
            change_commit(change);
        } else {
            change_mark(change);
            change_free(change);
            lost++;
        }
    }
    return lost;
}

// Guarded inodes outlive the rebuilding of the tree even while nothing names them.
static void inodes_guard(struct sim_disk *disk) {
    rt_list_each (link, &disk->inodes)
        sim_inode_hold(rt_container_of(link, struct sim_inode, link));
}

static void inodes_unguard(struct sim_disk *disk) {
    struct rt_list guarded;
    rt_list_init(&guarded);
    rt_list_splice(&guarded, &disk->inodes);
    while (!rt_list_is_empty(&guarded)) {
        struct rt_list *link = rt_list_pop_front(&guarded);
        rt_list_push_back(&disk->inodes, link);
        sim_inode_release(rt_container_of(link, struct sim_inode, link));
    }
}

void sim_names_power_loss(struct sim_disk *disk) {
    inodes_guard(disk);
    uint64_t lost = changes_draw(disk);
    rt_list_each (link, &disk->inodes) {
        struct sim_inode *inode = rt_container_of(link, struct sim_inode, link);
        sim_names_fini(&inode->now, true);
        inode->parent = NULL;
    }
    rt_list_each (link, &disk->inodes) {
        struct sim_inode *dir = rt_container_of(link, struct sim_inode, link);
        for (size_t i = 0; i < dir->durable.count; i++) {
            const struct sim_name *name = &dir->durable.items[i];
            names_put(&dir->now, name->name, name->inode, true);
            if (name->inode->is_dir) name->inode->parent = dir;
        }
    }
    inodes_unguard(disk);
    if (lost) sim_trace_text(disk->node->sim, SIM_DISK_LOSS, disk->node, "names", lost);
}
