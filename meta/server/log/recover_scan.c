// Recovery, first half: which segments there are, where the valid log ends, and how far it is
// claimed to have been durable.
#include <string.h>

#include "meta/server/log/recover.h"

// NAMES AND HEADERS

static rt_err header_read_now(struct meta_walk *walk, struct meta_found_segment *item,
                              struct rt_why *why) {
    struct meta_log *log = walk->log;
    struct meta_log_segment *segment = item->segment;
    struct rt_file *file;
    uint8_t bytes[META_SEGMENT_HEADER_SIZE];
    size_t size;
    rt_err err = rt_file_open_now(log->machine, segment->path, RT_FILE_READ, &file, why);
    if (err) return err;
    err = rt_file_read_now(file, 0, bytes, sizeof(bytes), &size);
    rt_file_close_now(file);
    if (err) return rt_why_set(why, err, "cannot read %s: %s", segment->path, rt_err_text(err));
    struct meta_segment_header header;
    if (meta_segment_header_decode(RT_BYTES(bytes, size), &header)) return RT_OK;
    const struct meta_segment_id *id = &segment->header.id;
    // The former life of a file that is used again.
    if (header.id.number != id->number || header.id.salt != id->salt) return RT_OK;
    if (header.id.cluster != id->cluster || header.id.node != id->node) {
        return rt_why_set(why, RT_ECORRUPT, "%s belongs to node %llu of cluster %llx",
                          segment->path, (unsigned long long)header.id.node,
                          (unsigned long long)header.id.cluster);
    }
    segment->header = header;
    segment->last = header.base.index;
    item->is_valid = true;
    return RT_OK;
}

static void item_add(struct meta_walk *walk, const struct rt_dir_entry *entry, uint64_t number,
                     uint64_t salt) {
    walk->items = rt_realloc(walk->items, (walk->count + 1) * sizeof(*walk->items));
    struct meta_found_segment *item = &walk->items[walk->count++];
    *item = (struct meta_found_segment){.limit = UINT64_MAX};
    item->segment = meta_log_segment_new(walk->log, number, salt);
    item->segment->size = entry->size;
    item->segment->ready = true;
}

static void limits_set(struct meta_walk *walk) {
    uint64_t limit = UINT64_MAX;
    bool is_void = false;
    for (size_t i = walk->count; i-- > 0;) {
        struct meta_found_segment *item = &walk->items[i];
        const struct meta_segment_header *header = &item->segment->header;
        item->limit = limit;
        item->is_void = is_void;
        if (!item->is_valid) continue;
        if (limit != UINT64_MAX && header->base.index >= limit) item->is_void = true;
        if (header->kind == META_SEGMENT_RESETS) is_void = true;
        if (header->base.index < limit) limit = header->base.index;
    }
}

// The listing is sorted by name, which is by number.
rt_err meta_walk_scan_now(struct meta_walk *walk, struct rt_why *why) {
    struct rt_dir_listing listing;
    rt_err err = rt_dir_list_now(walk->log->machine, walk->log->directory, &listing, why);
    if (err) return err;
    for (size_t i = 0; i < listing.count; i++) {
        uint64_t number, salt;
        if (listing.entries[i].is_dir) continue;
        if (!meta_segment_name_parse(listing.entries[i].name, &number, &salt)) continue;
        item_add(walk, &listing.entries[i], number, salt);
    }
    rt_dir_listing_fini(&listing);
    for (size_t i = 0; !err && i < walk->count; i++)
        err = header_read_now(walk, &walk->items[i], why);
    limits_set(walk);
    return err;
}

void meta_walk_fini(struct meta_walk *walk) {
    for (size_t i = 0; i < walk->count; i++) {
        if (walk->items[i].segment) meta_log_segment_free(walk->items[i].segment);
    }
    rt_free(walk->items);
}

// CLAIMS: a later segment that cut the log also cuts what was claimed before.

void meta_walk_claim(struct meta_walk *walk, struct meta_claim claim) {
    for (size_t i = 0; i < walk->count; i++) {
        const struct meta_segment_header *header = &walk->items[i].segment->header;
        if (!walk->items[i].is_valid || header->id.number <= claim.number) continue;
        bool resets = header->kind == META_SEGMENT_RESETS;
        if (resets || header->base.index < claim.at.index) claim.at = header->base;
    }
    if (!raft_position_covers(walk->claimed, claim.at)) walk->claimed = claim.at;
}

static void batch_claim(struct meta_walk *walk, const struct meta_found_segment *item,
                        const struct meta_batch_header *batch) {
    meta_walk_claim(walk, (struct meta_claim){item->segment->header.id.number, batch->durable});
}

// Batches that stand behind the end still tell what was durable when they were written.
static rt_err rest_scan(struct meta_walk *walk, struct meta_found_segment *item,
                        struct meta_segment_reader *reader) {
    struct meta_batch_header batch;
    rt_err err;
    while ((err = meta_segment_reader_scan(reader, &batch)) == RT_OK) {
        batch_claim(walk, item, &batch);
        item->is_damaged = true;
    }
    return err == RT_ENOTFOUND ? RT_OK : err;
}

// ENTRIES

static void batch_noted(struct meta_walk *walk, struct meta_found_segment *item,
                        const struct meta_segment_reader *reader) {
    if (walk->batch_item == item && walk->batch_at == reader->batch_at) return;
    walk->batch_item = item;
    walk->batch_at = reader->batch_at;
    walk->batch_size = reader->batch.size;
    walk->batch_before = reader->batch_before;
    batch_claim(walk, item, &reader->batch);
    meta_log_segment_mark(item->segment, reader->batch.first, reader->batch_at);
}

// RT_OK: up to the limit. RT_ENOTFOUND: up to where nothing valid follows.
static rt_err entries_walk(struct meta_walk *walk, struct meta_found_segment *item,
                           struct meta_segment_reader *reader) {
    struct meta_log_segment *segment = item->segment;
    while (walk->end.index < item->limit) {
        struct raft_entry entry;
        rt_err err = meta_segment_reader_next(reader, &entry);
        if (err) return err;
        batch_noted(walk, item, reader);
        walk->end = entry.at;
        walk->end_chain = reader->chain;
        segment->last = entry.at.index;
        segment->end = meta_segment_page_up(reader->batch_end);
        meta_log_term_push(walk->log, entry.at);
    }
    return RT_OK;
}

static rt_err item_walk(struct meta_walk *walk, struct meta_found_segment *item,
                        struct rt_why *why) {
    struct meta_log_segment *segment = item->segment;
    struct rt_file *file;
    rt_err err = rt_file_open_now(walk->log->machine, segment->path, RT_FILE_READ, &file, why);
    if (err) return err;
    struct meta_segment_reader reader;
    meta_segment_reader_init(&reader, file, segment->seed, 0);
    meta_segment_reader_follow(&reader, segment->header.base, segment->header.chain);
    err = entries_walk(walk, item, &reader);
    item->is_walked = true;
    walk->end_item = item;
    walk->end_offset = reader.at;
    if (err == RT_ENOTFOUND) {
        item->is_damaged = meta_segment_reader_in_batch(&reader);
        err = rest_scan(walk, item, &reader);
    }
    meta_segment_reader_fini(&reader);
    rt_file_close_now(file);
    if (err) rt_why_set(why, err, "cannot read %s: %s", segment->path, rt_err_text(err));
    return err;
}

static rt_err item_scan(struct meta_walk *walk, struct meta_found_segment *item,
                        struct rt_why *why) {
    struct meta_log_segment *segment = item->segment;
    struct rt_file *file;
    rt_err err = rt_file_open_now(walk->log->machine, segment->path, RT_FILE_READ, &file, why);
    if (err) return err;
    struct meta_segment_reader reader;
    meta_segment_reader_init(&reader, file, segment->seed, 0);
    err = rest_scan(walk, item, &reader);
    meta_segment_reader_fini(&reader);
    rt_file_close_now(file);
    if (err) rt_why_set(why, err, "cannot read %s: %s", segment->path, rt_err_text(err));
    return err;
}

static bool item_follows(const struct meta_walk *walk, const struct meta_found_segment *item) {
    const struct meta_segment_header *header = &item->segment->header;
    if (!walk->end_item) return true;
    if (!raft_position_equal(header->base, walk->end)) return false;
    return header->kind != META_SEGMENT_CONTINUES || header->chain == walk->end_chain;
}

static void walk_begin(struct meta_walk *walk, const struct meta_found_segment *item) {
    walk->base = walk->end = item->segment->header.base;
    meta_log_term_push(walk->log, walk->base);
}

static void header_claim(struct meta_walk *walk, const struct meta_found_segment *item) {
    const struct meta_segment_header *header = &item->segment->header;
    meta_walk_claim(walk, (struct meta_claim){header->id.number, header->base});
    meta_walk_claim(walk, (struct meta_claim){header->id.number, header->claimed});
}

rt_err meta_walk_read_now(struct meta_walk *walk, struct rt_why *why) {
    rt_err err = RT_OK;
    bool is_over = false;
    for (size_t i = 0; !err && i < walk->count; i++) {
        struct meta_found_segment *item = &walk->items[i];
        if (item->is_valid) header_claim(walk, item);
        if (item->is_valid && item->is_void) continue;
        if (item->is_valid && !is_over && item_follows(walk, item)) {
            if (!walk->end_item) walk_begin(walk, item);
            err = item_walk(walk, item, why);
        } else {
            // Something is missing before it, its header itself, or it was never begun.
            is_over = is_over || item->is_valid;
            if (item->is_valid) item->is_damaged = true;
            err = item_scan(walk, item, why);
        }
    }
    return err;
}
