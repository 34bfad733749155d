// A node's simulated disk: what it is made of, what a crash does to it, and what scripts ask of it.
#include <assert.h>
#include <string.h>

#include "runtime/sim/sim_disk.h"
#include "runtime/sim/sim_kv.h"

static const struct rt_sim_disk defaults = {
    .latency_min_ns = 20 * RT_NS_PER_US,
    .latency_max_ns = 200 * RT_NS_PER_US,
    .sync_min_ns = 100 * RT_NS_PER_US,
    .sync_max_ns = 2 * RT_NS_PER_MS,
    .bytes_per_s = UINT64_C(1000000000),
    .capacity_bytes = UINT64_C(1) << 40,
    .lost_per_million = 400000,
    .torn_per_million = 100000,
};

// INODES

struct sim_inode *sim_inode_new(struct sim_disk *disk, bool is_dir) {
    struct sim_inode *inode = RT_NEW(struct sim_inode);
    inode->disk = disk;
    inode->id = ++disk->inode_id;
    inode->is_dir = is_dir;
    inode->refs = 1;
    inode->cut_size = UINT64_MAX;
    rt_list_push_back(&disk->inodes, &inode->link);
    return inode;
}

void sim_inode_hold(struct sim_inode *inode) {
    inode->refs++;
}

void sim_inode_release(struct sim_inode *inode) {
    assert(inode->refs > 0);
    if (--inode->refs > 0) return;
    assert(!inode->uses);
    sim_names_fini(&inode->now, true);
    sim_names_fini(&inode->durable, false);
    sim_content_free(inode);
    rt_list_remove(&inode->link);
    rt_free(inode);
}

void sim_inode_use(struct sim_inode *inode) {
    sim_inode_hold(inode);
    if (inode->uses++ == 0) inode->disk->used_bytes += inode->allocated_bytes;
}

void sim_inode_unuse(struct sim_inode *inode) {
    assert(inode->uses > 0);
    if (--inode->uses == 0) inode->disk->used_bytes -= inode->allocated_bytes;
    sim_inode_release(inode);
}

// LIFE

void sim_disk_new(struct rt_sim_node *node) {
    struct sim_disk *disk = RT_NEW(struct sim_disk);
    disk->node = node;
    disk->options = defaults;
    rt_list_init(&disk->inodes);
    rt_list_init(&disk->changes);
    rt_list_init(&disk->opens);
    rt_list_init(&disk->locks);
    disk->root = sim_inode_new(disk, true);
    node->disk = disk;
}

// What a process had of the disk goes with it; then the disk decides what it kept.
void sim_disk_crash(struct rt_sim_node *node, enum rt_sim_crash_kind kind) {
    struct sim_disk *disk = node->disk;
    struct rt_heap *inside = sim_world_enter();
    sim_kv_crash(node);
    sim_opens_crash(disk, kind);
    sim_locks_crash(disk);
    disk->pipe_free_ns = 0;
    if (kind == RT_SIM_POWER_LOSS) {
        sim_names_power_loss(disk);
        rt_list_each (link, &disk->inodes) {
            struct sim_inode *inode = rt_container_of(link, struct sim_inode, link);
            if (!inode->is_dir) sim_content_power_loss(inode);
        }
    }
    sim_world_leave(inside);
}

static void changes_forget(struct sim_disk *disk) {
    disk->options.lost_per_million = 0;
    sim_names_power_loss(disk);
    assert(rt_list_is_empty(&disk->changes));
}

void sim_disk_free(struct rt_sim_node *node) {
    struct sim_disk *disk = node->disk;
    assert(rt_list_is_empty(&disk->opens) && !node->stores);
    changes_forget(disk);
    sim_inode_release(disk->root);
    assert(rt_list_is_empty(&disk->inodes));
    rt_free(disk);
    node->disk = NULL;
}

// FOR SCRIPTS

void rt_sim_disk_set(struct rt_sim_node *node, const struct rt_sim_disk *disk) {
    assert(disk->latency_min_ns <= disk->latency_max_ns && disk->sync_min_ns <= disk->sync_max_ns);
    assert(disk->bytes_per_s > 0);
    node->disk->options = *disk;
}

struct rt_sim_disk rt_sim_disk_get(const struct rt_sim_node *node) {
    return node->disk->options;
}

// A walk over the tree in the order of names: counts the files with something to rot, or picks one.
struct rot_search {
    const char *prefix;
    uint64_t wanted;  // which of the candidates
    uint64_t seen;
    struct sim_inode *found;
};

static void rot_search(struct rot_search *search, const struct sim_inode *dir,
                       struct rt_buf *path) {
    size_t size = path->size;
    for (size_t i = 0; i < dir->now.count; i++) {
        struct sim_inode *inode = dir->now.items[i].inode;
        rt_buf_print(path, "%s", dir->now.items[i].name);
        if (inode->is_dir) {
            rt_buf_append(path, RT_BYTES_LITERAL("/"));
            rot_search(search, inode, path);
        } else if (inode->durable_size &&
                   rt_bytes_starts_with(rt_buf_bytes(path), rt_bytes_of(search->prefix))) {
            if (search->seen++ == search->wanted) search->found = inode;
        }
        path->size = size;
    }
}

static struct rot_search rot_candidates(struct sim_disk *disk, const char *prefix,
                                        uint64_t wanted) {
    struct rt_buf path = {0};
    struct rot_search search = {.prefix = prefix + strspn(prefix, "/"), .wanted = wanted};
    rot_search(&search, disk->root, &path);
    rt_buf_fini(&path);
    return search;
}

bool rt_sim_bit_rot(struct rt_sim_node *node, const char *path_prefix) {
    struct sim_disk *disk = node->disk;
    struct rt_heap *inside = sim_world_enter();
    uint64_t count = rot_candidates(disk, path_prefix, UINT64_MAX).seen;
    if (count) {
        uint64_t wanted = rt_random_below(&node->disk_random, count);
        struct sim_inode *inode = rot_candidates(disk, path_prefix, wanted).found;
        uint64_t offset = rt_random_below(&node->disk_random, inode->durable_size);
        unsigned bit = (unsigned)rt_random_below(&node->disk_random, 8);
        sim_content_flip(inode, offset, bit);
        sim_trace(node->sim, SIM_BIT_ROT, node, inode->id, offset, bit);
    }
    sim_world_leave(inside);
    return count > 0;
}

rt_err rt_sim_durable_content(struct rt_sim_node *node, const char *path, struct rt_buf *content) {
    struct sim_inode *inode = sim_path_find_durable(node->disk, path);
    rt_buf_clear(content);
    if (!inode) return RT_ENOTFOUND;
    if (inode->is_dir) return RT_EINVAL;
    sim_content_read_durable(inode, content);
    return RT_OK;
}
