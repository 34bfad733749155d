// Recovery, second half: torn or damaged, and from what was found to a log that is written.
//
// Every start begins a segment of its own. It cuts off whatever stands behind the end, and it
// repeats the last batch: that one may never have been synced, and after a sync that failed no
// later sync would tell.
#include "meta/server/log/recover.h"

#include "runtime/log.h"

// DAMAGE

static const char *damaged_path(const struct meta_walk *walk) {
    if (walk->end_item) return walk->end_item->segment->path;
    return walk->log->directory;
}

static rt_err refuse(const struct meta_walk *walk, struct rt_why *why) {
    return rt_why_set(
        why, RT_ECORRUPT,
        "entry %llu does not verify in %s at byte %llu, but the log was durable up to "
        "entry %llu: acknowledged entries are lost, and no other member can replace "
        "them",
        (unsigned long long)walk->end.index + 1, damaged_path(walk),
        (unsigned long long)walk->end_offset, (unsigned long long)walk->claimed.index);
}

static rt_err copy_aside_now(struct meta_walk *walk, const char *from, const char *to) {
    struct rt_file *in, *out;
    struct rt_machine *machine = walk->log->machine;
    uint8_t *bytes = rt_alloc(META_LOG_FIRST_SEGMENT_BYTES);
    rt_err err = rt_file_open_now(machine, from, RT_FILE_READ, &in, NULL);
    if (err) goto free_bytes;
    err = rt_file_open_now(machine, to, RT_FILE_WRITE | RT_FILE_CREATE | RT_FILE_EXISTING, &out,
                           NULL);
    if (err) goto close_in;
    size_t size = 1;
    for (uint64_t at = 0; !err && size > 0; at += size) {
        err = rt_file_read_now(in, at, bytes, META_LOG_FIRST_SEGMENT_BYTES, &size);
        if (!err && size) err = rt_file_write_now(out, at, RT_BYTES(bytes, size));
    }
    if (!err) err = rt_file_sync_now(out);
    rt_file_close_now(out);
close_in:
    rt_file_close_now(in);
free_bytes:
    rt_free(bytes);
    return err;
}

// Nothing is destroyed: what holds valid entries too is copied, the rest renamed.
static rt_err set_aside_now(struct meta_walk *walk, struct rt_why *why) {
    rt_err err = RT_OK;
    for (size_t i = 0; !err && i < walk->count; i++) {
        struct meta_found_segment *item = &walk->items[i];
        if (!item->is_damaged) continue;
        const char *path = item->segment->path;
        struct rt_buf aside = {0};
        rt_buf_print(&aside, "%s.damaged", path);
        rt_buf_append(&aside, RT_BYTES("", 1));
        const char *to = (const char *)aside.data;
        err = item->is_walked ? copy_aside_now(walk, path, to)
                              : rt_path_rename_now(walk->log->machine, path, to);
        rt_log_error("log", "damaged segment was set aside path=%s", to);
        if (err) rt_why_set(why, err, "cannot set aside %s: %s", path, rt_err_text(err));
        rt_buf_fini(&aside);
        if (item->is_walked || err) continue;
        meta_log_segment_free(item->segment);
        item->segment = NULL;
    }
    if (!err) err = rt_dir_sync_now(walk->log->machine, walk->log->directory);
    return err;
}

static rt_err damaged(struct meta_walk *walk, struct rt_why *why) {
    struct meta_log *log = walk->log;
    if (log->is_alone) return refuse(walk, why);
    rt_log_error("log", "acknowledged entries are damaged path=%s at=%llu first=%llu claimed=%llu",
                 damaged_path(walk), (unsigned long long)walk->end_offset,
                 (unsigned long long)walk->end.index + 1, (unsigned long long)walk->claimed.index);
    log->claimed = walk->claimed;
    // First of all, so that no crash makes us forget it.
    rt_err err = meta_log_hard_write_now(log, log->number_last + 1, walk->claimed);
    if (err) return rt_why_set(why, err, "cannot write the hard state: %s", rt_err_text(err));
    return set_aside_now(walk, why);
}

static void torn_tell(const struct meta_walk *walk) {
    const struct meta_found_segment *item = walk->end_item;
    if (!item || !item->is_damaged) return;
    rt_log_info("log", "torn tail was cut path=%s at=%llu last=%llu", item->segment->path,
                (unsigned long long)walk->end_offset, (unsigned long long)walk->end.index);
}

// A NEW SEGMENT

static void adopt(struct meta_walk *walk) {
    struct meta_log *log = walk->log;
    for (size_t i = 0; i < walk->count; i++) {
        struct meta_found_segment *item = &walk->items[i];
        if (!item->segment) continue;
        rt_list_push_back(item->is_walked ? &log->segments : &log->retired, &item->segment->link);
        item->segment = NULL;
    }
}

static rt_err batch_repeat_now(struct meta_log *log, const struct meta_log_segment *segment,
                               uint64_t at, struct raft_position end, struct rt_why *why) {
    struct rt_file *file;
    rt_err err = rt_file_open_now(log->machine, segment->path, RT_FILE_READ, &file, why);
    if (err) return err;
    struct meta_segment_reader reader;
    meta_segment_reader_init(&reader, file, segment->seed, at);
    while (!err && log->last.index < end.index) {
        struct raft_entry entry;
        err = meta_segment_reader_next(&reader, &entry);
        if (err) break;
        entry.payload = raft_payload_copy(entry.data, &entry.data);
        meta_log_batch_add(log, &entry);
        raft_payload_drop(entry.payload);
    }
    meta_segment_reader_fini(&reader);
    rt_file_close_now(file);
    if (err) err = err == RT_ENOTFOUND ? RT_ECORRUPT : err;
    return err ? rt_why_set(why, err, "cannot read %s again", segment->path) : RT_OK;
}

static void first_prepare(struct meta_log *log, uint64_t batch_size) {
    uint64_t salt;
    rt_machine_entropy(log->machine, &salt, sizeof(salt));
    struct meta_log_segment *segment = meta_log_segment_new(log, log->number_last + 1, salt);
    segment->size = META_LOG_FIRST_SEGMENT_BYTES;
    uint64_t need = meta_segment_page_up(META_SEGMENT_PAGE + batch_size);
    if (segment->size < need) segment->size = need;
    rt_list_push_back(&log->prepared, &segment->link);
}

static rt_err begin_now(struct meta_walk *walk, struct rt_why *why) {
    struct meta_log *log = walk->log;
    bool has_batch = walk->batch_item != NULL;
    struct raft_position before = has_batch ? walk->batch_before : walk->end;
    const struct meta_log_segment *source = has_batch ? walk->batch_item->segment : NULL;
    bool resets = !walk->end_item;
    meta_log_term_cut(log, before.index);
    meta_log_term_push(log, before);
    adopt(walk);
    first_prepare(log, walk->batch_size);
    meta_log_segment_next(log, resets ? META_SEGMENT_RESETS : META_SEGMENT_CUTS, before);
    rt_err err = RT_OK;
    if (source) err = batch_repeat_now(log, source, walk->batch_at, walk->end, why);
    if (err) return err;
    err = meta_log_batches_write_now(log);
    if (err)
        rt_why_set(why, err, "cannot write a segment in %s: %s", log->directory, rt_err_text(err));
    return err;
}

static void retired_put_away_now(struct meta_log *log) {
    while (!rt_list_is_empty(&log->retired)) {
        struct meta_log_segment *segment = meta_log_segment_at(rt_list_pop_front(&log->retired));
        meta_log_put_away_now(log, segment);
        meta_log_segment_free(segment);
    }
}

static rt_err judge_now(struct meta_walk *walk, struct rt_why *why) {
    struct meta_log *log = walk->log;
    rt_err err = meta_walk_read_now(walk, why);
    if (err) return err;
    meta_walk_claim(walk, (struct meta_claim){log->hard.slot.segment, log->hard.slot.durable});
    if (!raft_position_covers(walk->end, walk->claimed)) return damaged(walk, why);
    torn_tell(walk);
    return RT_OK;
}

// New: whatever there is of a log was never acknowledged.
rt_err meta_log_recover_now(struct meta_log *log, struct rt_why *why) {
    struct meta_walk walk = {.log = log};
    bool is_new = log->hard.slot.term == 0;
    rt_err err = meta_walk_scan_now(&walk, why);
    if (!err && !is_new) err = judge_now(&walk, why);
    if (!err && is_new) meta_log_term_push(log, (struct raft_position){0});
    if (!err) err = begin_now(&walk, why);
    if (!err) retired_put_away_now(log);
    meta_walk_fini(&walk);
    return err;
}
