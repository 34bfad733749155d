// Loads: entries that the core has forgotten are read from their segment on a worker, verified
// again. An answer comes from one segment, so it may be shorter than what was asked for.
#include "meta/server/log/log_internal.h"

struct load {
    struct meta_log *log;
    struct rt_work work;
    struct raft_load wanted;
    struct meta_log_segment *segment;  // counted in its loads
    const char *path;
    uint64_t from, end, last;  // of the segment, when the load began
    struct meta_log_block *block;
    rt_err err;
    struct rt_why why;
};

// ON A WORKER

static bool has_room(const struct load *load, const struct raft_entry *entry) {
    if (load->block->count == 0) return true;
    size_t used = load->block->bytes.size;
    return used <= load->wanted.bytes_max && entry->data.size <= load->wanted.bytes_max - used;
}

static rt_err entries_read(struct load *load, struct meta_segment_reader *reader) {
    uint64_t index = 0;
    while (index < load->last && index < load->wanted.last) {
        struct raft_entry entry;
        rt_err err = meta_segment_reader_next(reader, &entry);
        if (err) return err;
        index = entry.at.index;
        if (index < load->wanted.first) continue;
        if (index > load->last || !has_room(load, &entry)) break;
        meta_log_block_add(load->block, &entry);
    }
    return RT_OK;
}

static void load_run(struct rt_work *work) {
    struct load *load = rt_container_of(work, struct load, work);
    struct rt_file *file;
    load->err = rt_file_open_now(load->log->machine, load->path, RT_FILE_READ, &file, &load->why);
    if (load->err) return;
    struct meta_segment_reader reader;
    meta_segment_reader_init(&reader, file, load->segment->seed, load->from);
    reader.limit = load->end;
    load->err = entries_read(load, &reader);
    if (load->err == RT_ENOTFOUND) {
        load->err = rt_why_set(
            &load->why, RT_ECORRUPT, "entry %llu does not verify in %s at byte %llu",
            (unsigned long long)reader.last.index + 1, load->path, (unsigned long long)reader.at);
    } else if (load->err) {
        rt_why_set(&load->why, load->err, "cannot read %s: %s", load->path, rt_err_text(load->err));
    }
    meta_log_block_place(load->block);
    meta_segment_reader_fini(&reader);
    rt_file_close_now(file);
}

// ON THE LOOP

static void load_done(struct rt_work *work) {
    struct load *load = rt_container_of(work, struct load, work);
    struct meta_log *log = load->log;
    if (load->segment) load->segment->loads--;
    if (load->err) {
        meta_log_fail(log, load->err, load->why.text);
    } else if (!log->is_closing && !log->failed) {
        log->events->loaded(log->events, &load->wanted, load->block->entries, load->block->count);
    }
    log->loads--;
    raft_payload_drop(&load->block->payload);
    rt_free(load);
    meta_log_upkeep_start(log);
    meta_log_maybe_close(log);
}

static void nothing_run(struct rt_work *work) {
    (void)work;  // what was asked for is gone: the answer has no entries
}

static struct meta_log_segment *segment_of(struct meta_log *log, uint64_t index) {
    for (struct rt_list *link = log->segments.prev; link != &log->segments; link = link->prev) {
        struct meta_log_segment *segment = meta_log_segment_at(link);
        if (segment->header.base.index < index && index <= segment->last) return segment;
    }
    return NULL;
}

void meta_log_load(struct meta_log *log, const struct raft_load *wanted) {
    if (log->failed || log->is_closing) return;
    struct load *load = RT_NEW(struct load);
    load->log = log;
    load->wanted = *wanted;
    load->block = meta_log_block_new();
    log->loads++;
    load->segment = segment_of(log, wanted->first);
    if (!load->segment) {
        rt_work_submit(&load->work, log->loop, nothing_run, load_done, "log.load");
        return;
    }
    load->segment->loads++;
    load->path = load->segment->path;
    load->from = meta_log_segment_mark_before(load->segment, wanted->first);
    load->end = load->segment->end;
    load->last = load->segment->last;
    rt_work_submit(&load->work, log->loop, load_run, load_done, "log.load");
}
