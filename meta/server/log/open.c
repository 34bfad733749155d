// Opening a log, handing over what is in it, and a new log's first entry. All of it blocks.
#include <string.h>

#include "meta/server/log/log_internal.h"

enum { REPLAY_BYTES = 1 << 20, SEGMENT_BYTES_DEFAULT = 16 << 20 };

static struct meta_log *log_new(struct rt_machine *machine, struct rt_loop *loop,
                                const struct meta_log_options *options) {
    struct meta_log *log = RT_NEW(struct meta_log);
    log->machine = machine;
    log->loop = loop;
    log->directory = rt_strdup(options->directory);
    log->cluster = options->cluster;
    log->node = options->node;
    log->segment_bytes = options->segment_bytes ? options->segment_bytes : SEGMENT_BYTES_DEFAULT;
    log->segment_bytes = (size_t)meta_segment_page_up(log->segment_bytes);
    assert(log->segment_bytes >= 4 * META_SEGMENT_PAGE);
    log->sync = options->sync;
    log->is_alone = options->is_alone;
    log->events = options->events;
    rt_list_init(&log->segments);
    rt_list_init(&log->prepared);
    rt_list_init(&log->retired);
    rt_list_init(&log->upkeep.retired);
    rt_list_init(&log->queue);
    rt_flush_init(&log->flush, meta_log_batch_flush, "log.flush");
    rt_timer_init(&log->claim_timer, loop, meta_log_claim_fire, "log.claim");
    log->hard.bytes = rt_alloc(META_HARD_SLOT_SIZE);
    log->is_blocking = true;
    return log;
}

static bool name_ends(const char *name, const char *ending) {
    size_t size = strlen(name), end = strlen(ending);
    return size >= end && strcmp(name + size - end, ending) == 0;
}

// What an interrupted creation left, and files that waited to be used again.
static rt_err leftovers_remove_now(struct meta_log *log, struct rt_why *why) {
    struct rt_dir_listing listing;
    rt_err err = rt_dir_list_now(log->machine, log->directory, &listing, why);
    if (err) return err;
    for (size_t i = 0; !err && i < listing.count; i++) {
        const char *name = listing.entries[i].name;
        if (!name_ends(name, ".spare") && strcmp(name, "hard_state.new") != 0) continue;
        struct rt_buf path = {0};
        rt_buf_print(&path, "%s/%s", log->directory, name);
        rt_buf_append(&path, RT_BYTES("", 1));
        err = rt_path_remove_now(log->machine, (const char *)path.data);
        if (err) rt_why_set(why, err, "cannot remove %s", (const char *)path.data);
        rt_buf_fini(&path);
    }
    rt_dir_listing_fini(&listing);
    return err;
}

static rt_err hard_open_now(struct meta_log *log, bool *found, struct rt_why *why) {
    struct meta_log_hard *hard = &log->hard;
    hard->slot = (struct meta_hard_slot){.cluster = log->cluster, .node = log->node};
    rt_err err =
        meta_hard_state_open_now(log->machine, log->directory, &hard->slot, &hard->file, why);
    *found = !err;
    if (err == RT_ENOTFOUND) {
        hard->slot = (struct meta_hard_slot){.cluster = log->cluster, .node = log->node};
        err = RT_OK;
    }
    if (err) hard->file = NULL;
    hard->wanted = (struct raft_hard_state){
        .term = hard->slot.term, .vote = hard->slot.vote, .commit = hard->slot.commit};
    return err;
}

static rt_err hard_create_now(struct meta_log *log, struct rt_why *why) {
    log->hard.slot.sequence = 1;
    return meta_hard_state_create_now(log->machine, log->directory, &log->hard.slot,
                                      &log->hard.file, why);
}

// Whether a hard state file has to be made is known only when the segments were looked at, and it
// has to be there before the first of them.
static rt_err hard_ensure_now(struct meta_log *log, bool found, struct rt_why *why) {
    if (found) return RT_OK;
    struct rt_dir_listing listing;
    rt_err err = rt_dir_list_now(log->machine, log->directory, &listing, why);
    if (err) return err;
    for (size_t i = 0; i < listing.count; i++) {
        uint64_t number, salt;
        if (!meta_segment_name_parse(listing.entries[i].name, &number, &salt)) continue;
        err = rt_why_set(why, RT_ECORRUPT,
                         "there is a log in %s but no hard state: this member must be removed from "
                         "the cluster and join under a new id",
                         log->directory);
    }
    rt_dir_listing_fini(&listing);
    return err ? err : hard_create_now(log, why);
}

static rt_err open_now(struct meta_log *log, struct rt_why *why) {
    bool found = false;
    rt_err err = rt_dir_create_now(log->machine, log->directory, why);
    if (!err) err = rt_dir_lock_now(log->machine, log->directory, &log->lock, why);
    if (!err) err = leftovers_remove_now(log, why);
    if (!err) err = hard_open_now(log, &found, why);
    if (!err) err = hard_ensure_now(log, found, why);
    if (!err) err = meta_log_recover_now(log, why);
    if (err) return err;
    // Written again: what was read may never have been synced.
    struct raft_position claim =
        raft_position_covers(log->durable, log->claimed) ? log->durable : log->claimed;
    err = meta_log_hard_write_now(log, log->written->header.id.number, claim);
    return err ? rt_why_set(why, err, "cannot write the hard state: %s", rt_err_text(err)) : RT_OK;
}

rt_err meta_log_open_now(struct rt_machine *machine, struct rt_loop *loop,
                         const struct meta_log_options *options, struct meta_log **out,
                         struct meta_log_found *found, struct rt_why *why) {
    struct meta_log *log = log_new(machine, loop, options);
    rt_err err = open_now(log, why);
    if (err) {
        meta_log_files_close_now(log);
        meta_log_free(log);
        return rt_why_prefix(why, err, "opening the log in %s", options->directory);
    }
    log->is_blocking = false;
    *found = (struct meta_log_found){
        .is_new = log->hard.slot.term == 0,
        .hard_state = log->hard.wanted,
        .base = log->base,
        .claimed_last = log->claimed,
    };
    *out = log;
    return RT_OK;
}

// REPLAY

static rt_err block_give(struct meta_log_block *block, struct meta_log_replay *replay,
                         struct rt_why *why) {
    meta_log_block_place(block);
    rt_err err = block->count ? replay->each(replay, block->entries, block->count, why) : RT_OK;
    raft_payload_drop(&block->payload);
    return err;
}

static rt_err entries_replay(struct meta_segment_reader *reader, uint64_t last,
                             struct meta_log_replay *replay, struct rt_why *why) {
    struct meta_log_block *block = meta_log_block_new();
    rt_err err = RT_OK;
    while (!err && reader->last.index < last) {
        struct raft_entry entry;
        err = meta_segment_reader_next(reader, &entry);
        if (err) break;
        meta_log_block_add(block, &entry);
        if (block->bytes.size < REPLAY_BYTES && block->count < REPLAY_BYTES / 256) continue;
        err = block_give(block, replay, why);
        block = meta_log_block_new();
    }
    if (!err) return block_give(block, replay, why);
    raft_payload_drop(&block->payload);
    return err;
}

static rt_err segment_replay(struct meta_log *log, const struct meta_log_segment *segment,
                             struct meta_log_replay *replay, struct rt_why *why) {
    struct rt_file *file;
    rt_err err = rt_file_open_now(log->machine, segment->path, RT_FILE_READ, &file, why);
    if (err) return err;
    struct meta_segment_reader reader;
    meta_segment_reader_init(&reader, file, segment->seed, 0);
    meta_segment_reader_follow(&reader, segment->header.base, segment->header.chain);
    err = entries_replay(&reader, segment->last, replay, why);
    if (err == RT_ENOTFOUND) {
        err = rt_why_set(why, RT_ECORRUPT, "entry %llu does not verify in %s at byte %llu",
                         (unsigned long long)reader.last.index + 1, segment->path,
                         (unsigned long long)reader.at);
    }
    meta_segment_reader_fini(&reader);
    rt_file_close_now(file);
    return err;
}

rt_err meta_log_replay_now(struct meta_log *log, struct meta_log_replay *replay,
                           struct rt_why *why) {
    rt_err err = RT_OK;
    rt_list_each (link, &log->segments) {
        if (!err) err = segment_replay(log, meta_log_segment_at(link), replay, why);
    }
    return err ? rt_why_prefix(why, err, "reading the log") : RT_OK;
}

rt_err meta_log_found_now(struct meta_log *log, const struct raft_entry *entry,
                          const struct raft_hard_state *hard_state, struct rt_why *why) {
    assert(log->last.index == 0 && log->hard.slot.term == 0);
    log->is_blocking = true;
    meta_log_batch_add(log, entry);
    rt_err err = meta_log_batches_write_now(log);
    log->hard.wanted = *hard_state;
    if (!err) err = meta_log_hard_write_now(log, log->written->header.id.number, log->durable);
    log->is_blocking = false;
    return err ? rt_why_set(why, err, "cannot write the first entry to %s: %s", log->directory,
                            rt_err_text(err))
               : RT_OK;
}
