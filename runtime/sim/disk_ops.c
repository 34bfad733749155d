// Open files of the simulated machine: operations as events in virtual time.
//
// Operations that change a file go through its queue, one at a time; reads have events of their own
// and overtake them. An operation takes effect when its event comes, so a crash before that finds
// it in flight.
#include <assert.h>

#include "runtime/sim/sim_disk.h"

struct sim_file_run {
    struct sim_event event;
    struct rt_list link;  // a read: in open->reads
    struct sim_open *open;
    struct rt_file_op *op;
};

static struct sim_open *open_of(const struct rt_file *file) {
    return file->state;
}

// OPENING

static rt_err inode_open(struct sim_disk *disk, const char *path, unsigned flags,
                         struct sim_inode **inode) {
    char name[SIM_NAME_MAX + 1];
    struct sim_inode *dir;
    rt_err err = sim_path_parent(disk, path, &dir, name);
    if (err) return err;
    if (!name[0]) return RT_EINVAL;
    *inode = sim_names_find(&dir->now, name);
    if (*inode && flags & RT_FILE_CREATE && !(flags & RT_FILE_EXISTING)) return RT_EEXIST;
    if (*inode) return (*inode)->is_dir ? RT_EINVAL : RT_OK;
    if (!(flags & RT_FILE_CREATE)) return RT_ENOTFOUND;
    err = sim_disk_change_names(disk);
    if (err) return err;
    *inode = sim_dir_add(dir, name, false);
    return RT_OK;
}

static struct sim_open *open_new(struct sim_inode *inode) {
    struct sim_open *open = RT_NEW(struct sim_open);
    open->disk = inode->disk;
    open->inode = inode;
    sim_inode_use(inode);
    rt_list_init(&open->reads);
    rt_list_push_back(&open->disk->opens, &open->link);
    return open;
}

static void open_free(struct sim_open *open) {
    rt_list_remove(&open->link);
    sim_inode_unuse(open->inode);
    rt_free(open);
}

rt_err sim_file_open(struct rt_machine *machine, const char *path, unsigned flags,
                     struct rt_file *file, struct rt_why *why) {
    struct rt_sim_node *node = sim_node_of(machine);
    struct rt_heap *inside = sim_world_enter();
    struct sim_inode *inode = NULL;
    rt_err err = inode_open(node->disk, path, flags, &inode);
    if (!err) file->state = open_new(inode);
    sim_trace_text(node->sim, SIM_FILE_OP, node, path, (uint64_t)flags << 32 | err);
    sim_world_leave(inside);
    if (!err) return RT_OK;
    const char *verb = flags & RT_FILE_CREATE ? "create" : "open";
    return rt_why_set(why, err, "cannot %s %s: %s", verb, path, rt_err_text(err));
}

rt_err sim_file_size(struct rt_file *file, uint64_t *size) {
    *size = open_of(file)->inode->size;
    return RT_OK;
}

// CARRYING OUT, at once

static rt_err execute_write(struct sim_inode *inode, const struct rt_file_op *op) {
    rt_err err = sim_disk_write(inode, op->offset, op->parts, op->part_count);
    if (err || !op->sync) return err;
    return sim_disk_sync(inode);
}

static rt_err execute_read(struct sim_inode *inode, struct rt_file_op *op) {
    size_t done_size;
    rt_err err = sim_disk_read(inode, op->offset, op->memory, (size_t)op->size, &done_size);
    op->done_size = done_size;
    return err;
}

static rt_err execute(struct sim_open *open, struct rt_file_op *op) {
    struct sim_inode *inode = open->inode;
    switch (op->kind) {
    case RT_FILE_DO_READ: return execute_read(inode, op);
    case RT_FILE_DO_WRITE:
    case RT_FILE_DO_APPEND: return execute_write(inode, op);
    case RT_FILE_DO_SYNC: return sim_disk_sync(inode);
    case RT_FILE_DO_TRUNCATE: return sim_disk_truncate(inode, op->size);
    case RT_FILE_DO_ALLOCATE: return sim_disk_allocate(inode, op->size);
    case RT_FILE_DO_CLOSE:
        assert(!open->first && rt_list_is_empty(&open->reads));
        open_free(open);
        return RT_OK;
    }
    rt_panic("file operation of unknown kind %d", (int)op->kind);
}

static uint64_t content_hash(const struct rt_file_op *op) {
    uint64_t hash = 0;
    for (unsigned i = 0; i < op->part_count; i++) {
        hash = hash * 31 + sim_hash(op->parts[i].data, op->parts[i].size);
    }
    if (op->kind == RT_FILE_DO_READ) hash = sim_hash(op->memory, (size_t)op->done_size);
    return hash;
}

rt_err sim_file_execute(struct rt_file_op *op) {
    struct sim_open *open = open_of(op->file);
    struct rt_sim_node *node = open->disk->node;
    uint64_t id = open->inode->id;
    struct rt_heap *inside = sim_world_enter();
    rt_err err = execute(open, op);
    sim_trace(node->sim, SIM_FILE_DONE, node, id << 16 | (uint64_t)op->kind << 8 | err, op->offset,
              content_hash(op));
    sim_world_leave(inside);
    return err;
}

// TIME

static uint64_t transfer_bytes(const struct sim_open *open, const struct rt_file_op *op) {
    uint64_t size = open->inode->size;
    switch (op->kind) {
    case RT_FILE_DO_READ: {
        uint64_t behind = op->offset < size ? size - op->offset : 0;
        return op->size < behind ? op->size : behind;
    }
    case RT_FILE_DO_WRITE:
    case RT_FILE_DO_APPEND: return op->size;
    case RT_FILE_DO_SYNC: return sim_content_dirty_bytes(open->inode);
    case RT_FILE_DO_ALLOCATE: return op->size > size ? op->size - size : 0;
    case RT_FILE_DO_TRUNCATE:
    case RT_FILE_DO_CLOSE: return 0;
    }
    return 0;
}

static uint64_t transfer_ns(uint64_t size, uint64_t bytes_per_s) {
    __extension__ unsigned __int128 ns = (unsigned __int128)size * RT_NS_PER_S / bytes_per_s;
    return ns > UINT32_MAX * RT_NS_PER_S ? UINT32_MAX * RT_NS_PER_S : (uint64_t)ns;
}

// All transfers of a disk share its bandwidth; what each waits besides, it waits on its own.
static uint64_t finish_time(const struct sim_open *open, const struct rt_file_op *op) {
    struct sim_disk *disk = open->disk;
    const struct rt_sim_disk *options = &disk->options;
    struct rt_random *random = &disk->node->disk_random;
    uint64_t now = disk->node->sim->now_ns;
    uint64_t start = disk->pipe_free_ns > now ? disk->pipe_free_ns : now;
    disk->pipe_free_ns = start + transfer_ns(transfer_bytes(open, op), options->bytes_per_s);
    uint64_t wait = rt_random_between(random, options->latency_min_ns, options->latency_max_ns);
    if (op->sync || op->kind == RT_FILE_DO_ALLOCATE) {
        wait += rt_random_between(random, options->sync_min_ns, options->sync_max_ns);
    }
    return disk->pipe_free_ns + wait;
}

// EVENTS

static void queue_go_on(struct sim_open *open);

// Afterwards the process may be gone, by its own doing, and `open` with it.
static void op_complete(struct rt_sim_node *node, struct rt_file_op *op) {
    struct rt_heap *outside = sim_node_enter(node);
    rt_err err = rt_file_perform(op);
    rt_file_finished(op, err);
    sim_node_leave(node, outside);
}

static void run_ended(struct sim_event *event) {
    struct sim_file_run *run = rt_container_of(event, struct sim_file_run, event);
    struct rt_sim_node *node = event->node;
    struct sim_open *open = run->open;
    struct rt_file_op *op = run->op;
    uint32_t incarnation = node->incarnation;
    bool closes = op->kind == RT_FILE_DO_CLOSE;
    if (op->kind == RT_FILE_DO_READ) {
        rt_list_remove(&run->link);
    } else {
        assert(open->running == run && open->first == op);
        open->running = NULL;
        open->first = op->next;
        if (!open->first) open->last = NULL;
    }
    rt_free(run);
    op_complete(node, op);
    if (!closes && node->running && node->incarnation == incarnation) queue_go_on(open);
}

static struct sim_file_run *run_start(struct sim_open *open, struct rt_file_op *op) {
    struct rt_sim_node *node = open->disk->node;
    struct sim_file_run *run = RT_NEW(struct sim_file_run);
    sim_event_init(&run->event, node->sim, node, SIM_FILE_DONE, run_ended);
    rt_list_init(&run->link);
    run->open = open;
    run->op = op;
    sim_schedule(node->sim, &run->event, finish_time(open, op));
    return run;
}

// A close waits for the reads.
static void queue_go_on(struct sim_open *open) {
    struct rt_file_op *op = open->first;
    if (open->running || !op) return;
    if (op->kind == RT_FILE_DO_CLOSE && !rt_list_is_empty(&open->reads)) return;
    open->running = run_start(open, op);
}

void sim_file_submit(struct rt_file_op *op) {
    struct sim_open *open = open_of(op->file);
    struct rt_sim_node *node = open->disk->node;
    struct rt_heap *inside = sim_world_enter();
    sim_trace(node->sim, SIM_FILE_OP, node, open->inode->id << 8 | (uint64_t)op->kind, op->offset,
              op->size);
    op->next = NULL;
    if (op->kind == RT_FILE_DO_READ) {
        struct sim_file_run *run = run_start(open, op);
        rt_list_push_back(&open->reads, &run->link);
    } else {
        if (open->last) {
            open->last->next = op;
        } else {
            open->first = op;
        }
        open->last = op;
        queue_go_on(open);
    }
    sim_world_leave(inside);
}

// CRASH

static bool coin(const struct sim_open *open) {
    return rt_random_below(&open->disk->node->disk_random, 2) == 0;
}

static void interrupt_write(struct sim_open *open, const struct rt_file_op *op,
                            enum rt_sim_crash_kind kind) {
    const struct rt_file *file = op->file;
    uint64_t offset = op->kind == RT_FILE_DO_APPEND ? file->append_offset : op->offset;
    bool syncing = op->sync && kind == RT_SIM_KILL && coin(open);
    bool whole = syncing || kind == RT_SIM_POWER_LOSS;
    sim_disk_interrupt_write(open->inode, offset, op->parts, op->part_count, whole);
    if (syncing) sim_disk_interrupt_sync(open->inode);
}

static void interrupt_allocate(struct sim_open *open, const struct rt_file_op *op) {
    struct sim_inode *inode = open->inode;
    if (op->size <= inode->size || op->size > SIM_FILE_SIZE_MAX) return;
    struct rt_random *random = &open->disk->node->disk_random;
    uint64_t size = rt_random_between(random, inode->size, op->size);
    if (!sim_content_allocate(inode, size)) sim_content_give_back(inode, size);
}

// The heap of the process still stands, so what was to be written can be read.
static void interrupt(struct sim_open *open, const struct rt_file_op *op,
                      enum rt_sim_crash_kind kind) {
    if (op->file->failed) return;
    switch (op->kind) {
    case RT_FILE_DO_WRITE:
    case RT_FILE_DO_APPEND: interrupt_write(open, op, kind); break;
    case RT_FILE_DO_SYNC:
        if (kind == RT_SIM_KILL) sim_disk_interrupt_sync(open->inode);
        break;
    case RT_FILE_DO_TRUNCATE:
        if (coin(open) && op->size <= SIM_FILE_SIZE_MAX)
            sim_content_truncate(open->inode, op->size);
        break;
    case RT_FILE_DO_ALLOCATE: interrupt_allocate(open, op); break;
    case RT_FILE_DO_READ:
    case RT_FILE_DO_CLOSE: break;
    }
}

static void run_cancel(struct sim_file_run *run) {
    sim_cancel(run->event.sim, &run->event);
    rt_list_remove(&run->link);
    rt_free(run);
}

void sim_opens_crash(struct sim_disk *disk, enum rt_sim_crash_kind kind) {
    rt_list_each_safe (link, &disk->opens) {
        struct sim_open *open = rt_container_of(link, struct sim_open, link);
        if (open->running) {
            interrupt(open, open->first, kind);
            run_cancel(open->running);
        }
        rt_list_each_safe (read, &open->reads) {
            run_cancel(rt_container_of(read, struct sim_file_run, link));
        }
        open_free(open);
    }
}
