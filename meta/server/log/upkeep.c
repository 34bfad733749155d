// Files are made ahead and put away on a worker, so that the loop never waits for them.
//
// A segment that is no longer needed becomes a spare, from which the next is made: its space is
// allocated already, and what it holds does not verify under another number and salt. A name is
// durable before anything is written under it.
#include <string.h>

#include "meta/server/log/log_internal.h"
#include "runtime/log.h"

static const char spare_ending[] = ".spare";

static rt_err file_make_now(struct meta_log *log, struct meta_log_segment *segment,
                            struct rt_why *why) {
    unsigned flags = RT_FILE_WRITE | RT_FILE_OWN_THREAD;
    bool reuses = log->upkeep.spare_count && segment->size == log->segment_bytes;
    if (reuses) {
        char *spare = log->upkeep.spares[--log->upkeep.spare_count];
        rt_err err = rt_path_rename_now(log->machine, spare, segment->path);
        rt_free(spare);
        if (err) return rt_why_set(why, err, "cannot rename a file to %s", segment->path);
    } else {
        flags |= RT_FILE_CREATE | RT_FILE_EXISTING;
    }
    return rt_file_open_now(log->machine, segment->path, flags, &segment->file, why);
}

rt_err meta_log_prepare_now(struct meta_log *log, struct meta_log_segment *segment,
                            struct rt_why *why) {
    assert(!segment->ready && !segment->file);
    rt_err err = file_make_now(log, segment, why);
    if (err) return err;
    err = rt_file_allocate_now(segment->file, segment->size);
    if (!err) err = rt_dir_sync_now(log->machine, log->directory);
    if (!err) return RT_OK;
    rt_file_close_now(segment->file);
    segment->file = NULL;
    // An empty file of this name would do no harm.
    RT_IGNORE(rt_path_remove_now(log->machine, segment->path));
    return rt_why_set(why, err, "cannot allocate %s: %s", segment->path, rt_err_text(err));
}

static rt_err spare_make_now(struct meta_log *log, const char *path) {
    struct rt_buf spare = {0};
    rt_buf_print(&spare, "%s%s", path, spare_ending);
    rt_buf_append(&spare, RT_BYTES("", 1));
    rt_err err = rt_path_rename_now(log->machine, path, (const char *)spare.data);
    if (err) {
        rt_buf_fini(&spare);
    } else {
        log->upkeep.spares[log->upkeep.spare_count++] = (char *)spare.data;
    }
    return err;
}

// In order and one after the other durable: a crash leaves no gap in the numbers that are needed.
void meta_log_put_away_now(struct meta_log *log, struct meta_log_segment *segment) {
    bool has_room = log->upkeep.spare_count < META_LOG_SPARES_MAX;
    bool keeps = has_room && segment->size == log->segment_bytes;
    rt_err err = keeps ? spare_make_now(log, segment->path)
                       : rt_path_remove_now(log->machine, segment->path);
    if (!err || err == RT_ENOTFOUND) err = rt_dir_sync_now(log->machine, log->directory);
    if (err) {
        rt_log_warn("log", "old segment could not be removed path=%s err=%s", segment->path,
                    rt_err_name(err));
    }
}

// THE JOB

static void job_run(struct rt_work *work) {
    struct meta_log_upkeep *upkeep = rt_container_of(work, struct meta_log_upkeep, work);
    struct meta_log *log = rt_container_of(upkeep, struct meta_log, upkeep);
    for (size_t i = 0; i < upkeep->file_count; i++) rt_file_close_now(upkeep->files[i]);
    rt_list_each (link, &upkeep->retired) {
        meta_log_put_away_now(log, meta_log_segment_at(link));
    }
    upkeep->err = RT_OK;
    if (upkeep->prepare) upkeep->err = meta_log_prepare_now(log, upkeep->prepare, &upkeep->why);
}

static bool is_awaited(const struct meta_log *log, const struct meta_log_segment *segment) {
    return segment->header.kind != 0 && !rt_list_is_empty(&log->queue);
}

static void job_done(struct rt_work *work) {
    struct meta_log_upkeep *upkeep = rt_container_of(work, struct meta_log_upkeep, work);
    struct meta_log *log = rt_container_of(upkeep, struct meta_log, upkeep);
    struct meta_log_segment *prepared = upkeep->prepare;
    upkeep->is_busy = false;
    upkeep->file_count = 0;
    upkeep->prepare = NULL;
    rt_free(upkeep->files);
    upkeep->files = NULL;
    while (!rt_list_is_empty(&upkeep->retired))
        meta_log_segment_free(meta_log_segment_at(rt_list_pop_front(&upkeep->retired)));
    upkeep->has_failed = upkeep->err != RT_OK;
    if (upkeep->err && is_awaited(log, prepared)) {
        meta_log_fail(log, upkeep->err, upkeep->why.text);
    } else if (upkeep->err) {
        rt_log_warn("log", "segment could not be made ahead why=%s", upkeep->why.text);
    } else {
        if (prepared) prepared->ready = true;
        rt_flush_later(log->loop, &log->flush);
        meta_log_upkeep_start(log);
    }
    meta_log_maybe_close(log);
}

// The first that is not ready: one that is waited for, or the next.
static struct meta_log_segment *to_prepare(struct meta_log *log) {
    rt_list_each (link, &log->segments) {
        struct meta_log_segment *segment = meta_log_segment_at(link);
        if (!segment->ready) return segment;
    }
    if (log->upkeep.has_failed) return NULL;
    rt_list_each (link, &log->prepared) {
        struct meta_log_segment *segment = meta_log_segment_at(link);
        if (!segment->ready) return segment;
    }
    return NULL;
}

static void file_take(struct meta_log_upkeep *upkeep, struct meta_log_segment *segment) {
    if (!segment->file) return;
    upkeep->files = rt_realloc(upkeep->files, (upkeep->file_count + 1) * sizeof(struct rt_file *));
    upkeep->files[upkeep->file_count++] = segment->file;
    segment->file = NULL;
}

static void retired_take(struct meta_log *log) {
    rt_list_each_safe (link, &log->retired) {
        struct meta_log_segment *segment = meta_log_segment_at(link);
        if (segment->loads) break;  // those behind it wait too: the order counts
        file_take(&log->upkeep, segment);
        rt_list_remove(link);
        rt_list_push_back(&log->upkeep.retired, link);
    }
    rt_list_each (link, &log->segments) {
        struct meta_log_segment *segment = meta_log_segment_at(link);
        if (segment == log->written) break;
        file_take(&log->upkeep, segment);
    }
}

void meta_log_upkeep_start(struct meta_log *log) {
    struct meta_log_upkeep *upkeep = &log->upkeep;
    if (upkeep->is_busy || log->failed || log->is_ended) return;
    retired_take(log);
    upkeep->prepare = to_prepare(log);
    bool is_idle = !upkeep->prepare && !upkeep->file_count && rt_list_is_empty(&upkeep->retired);
    if (is_idle) return;
    upkeep->is_busy = true;
    rt_work_submit(&upkeep->work, log->loop, job_run, job_done, "log.upkeep");
}
