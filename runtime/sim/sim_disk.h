// The inside of a simulated disk: what its files share. Private to runtime/sim/.
//
// A disk holds two states at once: the one its node sees, and the one a power loss would leave.
//
//   content  sectors of 512 bytes in blocks of 4096. A write changes the cached bytes and marks
//            the sector dirty and stale; a sync copies dirty sectors to the durable bytes. A power
//            loss keeps, loses or tears each dirty sector; bytes of it that are as they were synced
//            stay so. A failed sync forgets that sectors are dirty, as Linux does: they read back
//            well, stay stale, and no later sync saves them.
//   size     grows and shrinks in the cache; a sync makes it durable. It is kept by a journaling
//            file system, so a truncate that is lost takes with it all that came after it.
//   names    every create, remove and rename is a change in one list and knows the directories it
//            touches. Syncing a directory makes durable its changes and all those they build on.
//            At a power loss each directory keeps a prefix of its changes; a change that touches
//            two is kept by both or by neither. Syncing a file says nothing of its name.
//
// A kill keeps the node's view whole, but for the operations that were going on.
#ifndef GEMINGA_RUNTIME_SIM_SIM_DISK_H
#define GEMINGA_RUNTIME_SIM_SIM_DISK_H

#include "runtime/list.h"
#include "runtime/sim/sim_internal.h"

enum { SIM_SECTOR = 512, SIM_BLOCK = 4096, SIM_BLOCK_SECTORS = SIM_BLOCK / SIM_SECTOR };
#define SIM_FILE_SIZE_MAX (UINT64_C(16) << 40)

struct sim_block {
    uint8_t *cached;   // what a read sees; NULL: zeroes
    uint8_t *durable;  // what the disk holds, while stale is not 0; NULL: zeroes
    uint8_t dirty;     // sectors that the next sync writes; a subset of stale
    uint8_t stale;     // sectors whose cached bytes are not durable
    bool allocated;    // takes space on the disk
};

// Entries sorted by name; each holds its inode.
struct sim_name {
    char *name;
    struct sim_inode *inode;
};
struct sim_names {
    struct sim_name *items;
    size_t count, capacity;
};

struct sim_inode {
    struct rt_list link;  // in disk->inodes, oldest first
    struct sim_disk *disk;
    uint64_t id;
    unsigned refs;  // who holds it: names of both states, changes, open files
    unsigned uses;  // names the node sees, and open files: without any, it takes no space
    bool is_dir;
    bool marked;  // of a directory, in passes over the changes

    uint64_t size, durable_size;
    uint64_t cut_size;  // least size it was truncated to since the last sync; UINT64_MAX: none
    struct sim_block **leaves;  // of 512 blocks each; NULL: zeroes, no space taken
    size_t leaf_count;
    uint64_t *unsynced;  // numbers of the blocks with stale sectors
    size_t unsynced_count, unsynced_capacity;
    uint64_t allocated_bytes;

    struct sim_names now, durable;  // of a directory
    struct sim_inode *parent;       // of a directory the node sees; not held
};

// A change of names that is not durable yet. A create has no `from`, a remove no `to`.
struct sim_change {
    struct rt_list link;  // in disk->changes, oldest first
    struct sim_inode *inode, *from, *to;
    char *from_name, *to_name;
    bool wanted;  // by the sync that is going on
};

struct sim_disk {
    struct rt_sim_node *node;
    struct rt_sim_disk options;
    struct rt_list inodes, changes;
    struct rt_list opens;  // struct sim_open (disk_ops.c)
    struct rt_list locks;  // struct rt_dir_lock (disk_dirs.c)
    struct sim_inode *root;
    uint64_t inode_id, used_bytes;
    uint64_t pipe_free_ns;  // until then the bandwidth is taken
};

// A file that a process has open: the state of a struct rt_file.
struct sim_open {
    struct rt_list link;  // in disk->opens
    struct sim_disk *disk;
    struct sim_inode *inode;
    struct rt_file_op *first, *last;  // writes, syncs and the like, in order; the first is going on
    struct sim_file_run *running;     // of the first
    struct rt_list reads;             // struct sim_file_run
};

// INODES (disk.c). Release frees what nobody holds.
struct sim_inode *sim_inode_new(struct sim_disk *disk, bool is_dir);
void sim_inode_hold(struct sim_inode *inode);
void sim_inode_release(struct sim_inode *inode);
void sim_inode_use(struct sim_inode *inode);  // holds too
void sim_inode_unuse(struct sim_inode *inode);

// CONTENT (disk_content.c): no faults, no time.
// Returns how much fitted on the disk: less than asked only when it is full.
size_t sim_content_write(struct sim_inode *inode, uint64_t offset, struct rt_bytes bytes);
size_t sim_content_read(const struct sim_inode *inode, uint64_t offset, void *memory, size_t size);
void sim_content_truncate(struct sim_inode *inode, uint64_t size);
// Grows to `size` with zeroes that take space; false when they do not all fit: give back what did.
bool sim_content_allocate(struct sim_inode *inode, uint64_t size);
void sim_content_give_back(struct sim_inode *inode, uint64_t size);
void sim_content_sync(struct sim_inode *inode);
void sim_content_sync_failed(struct sim_inode *inode);
void sim_content_free(struct sim_inode *inode);
struct sim_block *sim_content_block(const struct sim_inode *inode, uint64_t number);  // or NULL
void sim_content_read_durable(const struct sim_inode *inode, struct rt_buf *content);
uint64_t sim_content_dirty_bytes(const struct sim_inode *inode);
void sim_content_flip(struct sim_inode *inode, uint64_t offset,
                      unsigned bit);  // in the durable bytes
// At a power loss: whether the truncate since the last sync survives; then, when every unsynced
// block's durable bytes are what was drawn, the size. Afterwards nothing is unsynced.
void sim_content_cut_decided(struct sim_inode *inode, bool kept);
void sim_content_settle(struct sim_inode *inode, uint64_t size);

// NAMES (disk_names.c). Paths have no root of their own: "a/b" and "/a/b" are one; ".." is refused.
// "" is the root.
RT_CHECK
rt_err sim_path_find(struct sim_disk *disk, const char *path, struct sim_inode **inode);
struct sim_inode *sim_path_find_durable(struct sim_disk *disk, const char *path);  // or NULL
enum { SIM_NAME_MAX = 255 };
// The directory of `path`, and its last part in name[SIM_NAME_MAX + 1].
RT_CHECK
rt_err sim_path_parent(struct sim_disk *disk, const char *path, struct sim_inode **dir, char *name);
struct sim_inode *sim_names_find(const struct sim_names *names, const char *name);
void sim_names_fini(struct sim_names *names, bool used);
struct sim_inode *sim_dir_add(struct sim_inode *dir, const char *name,
                              bool is_dir);  // new; not held
void sim_dir_remove(struct sim_inode *dir, const char *name);
RT_CHECK
rt_err sim_dir_rename(struct sim_inode *from, const char *from_name, struct sim_inode *to,
                      const char *to_name);
void sim_dir_sync(struct sim_inode *dir);
void sim_names_power_loss(struct sim_disk *disk);

// FAULTS (disk_faults.c): content with the draws of options and the trace.
RT_CHECK
rt_err sim_disk_write(struct sim_inode *inode, uint64_t offset, const struct rt_bytes *parts,
                      unsigned part_count);
RT_CHECK
rt_err sim_disk_read(struct sim_inode *inode, uint64_t offset, void *memory, size_t size,
                     size_t *done_size);
RT_CHECK
rt_err sim_disk_read_blocks(struct sim_disk *disk);  // of no file in particular
RT_CHECK
rt_err sim_disk_sync(struct sim_inode *inode);
RT_CHECK
rt_err sim_disk_allocate(struct sim_inode *inode, uint64_t size);
RT_CHECK
rt_err sim_disk_truncate(struct sim_inode *inode, uint64_t size);
RT_CHECK
rt_err sim_disk_change_names(struct sim_disk *disk);  // before a create, remove or rename
RT_CHECK
rt_err sim_disk_sync_names(struct sim_inode *dir);
void sim_content_power_loss(struct sim_inode *inode);
// What a crash leaves of a write that was going on; not whole: up to somewhere inside.
void sim_disk_interrupt_write(struct sim_inode *inode, uint64_t offset,
                              const struct rt_bytes *parts, unsigned part_count, bool whole);
void sim_disk_interrupt_sync(struct sim_inode *inode);  // by a kill; a power loss draws anyway

// OPEN FILES (disk_ops.c) AND DIRECTORIES (disk_dirs.c): the backend's functions.
rt_err sim_file_open(struct rt_machine *machine, const char *path, unsigned flags,
                     struct rt_file *file, struct rt_why *why);
void sim_file_submit(struct rt_file_op *op);
rt_err sim_file_execute(struct rt_file_op *op);
rt_err sim_file_size(struct rt_file *file, uint64_t *size);
void sim_opens_crash(struct sim_disk *disk, enum rt_sim_crash_kind kind);

struct rt_dir_lock {
    const struct rt_file_backend *backend;
    struct rt_list link;  // in disk->locks
    struct sim_inode *inode;
};
// Takes `dir`/LOCK; RT_ELOCKED when the process has it already.
RT_CHECK
rt_err sim_lock_take(struct sim_inode *dir, struct rt_dir_lock **lock);
void sim_lock_drop(struct rt_dir_lock *lock);
void sim_locks_crash(struct sim_disk *disk);

#endif
