// Recovery, last part: the segment that is written next.
//
// Every start begins a segment of its own. It says where the one before ends, which cuts off
// whatever stands behind, so nothing valid is ever overwritten. What may never have been synced is
// written again into the new segment: the write may have failed on its way to the disk, and no
// later sync would tell. The new segment gets its name when all of that is durable; until then
// nothing has changed.
#include <string.h>

#include "bookie/server/journal/recover.h"

struct copy {
    struct journal_recovery *recovery;
    size_t first;     // item
    uint64_t offset;  // in it
    uint64_t bytes;
};

static struct journal_segment *segment_of(const struct journal_recovery *recovery, size_t item) {
    return recovery->items[item].segment;
}

// WHAT IS UNCERTAIN

static uint64_t copy_from(const struct copy *copy, size_t item) {
    return item == copy->first ? copy->offset : JOURNAL_PAGE;
}

static void copy_find(struct copy *copy) {
    struct journal_recovery *recovery = copy->recovery;
    struct bookie_mark certain = recovery->certain;
    copy->first = recovery->count;
    for (size_t i = recovery->count; i-- > 0;) {
        const struct journal_segment *segment = segment_of(recovery, i);
        if (!recovery->items[i].is_linked || segment->header.number < certain.segment) continue;
        copy->first = i;
        copy->offset = segment->header.number == certain.segment ? certain.offset : JOURNAL_PAGE;
        assert(copy->offset <= segment->end);
        copy->bytes += segment->end - copy->offset;
    }
}

// Where the journal is cut: before the first batch that is uncertain.
static struct bookie_mark copy_cut(const struct copy *copy) {
    const struct journal_recovery *recovery = copy->recovery;
    if (copy->first == recovery->count) return recovery->end;
    return (struct bookie_mark){segment_of(recovery, copy->first)->header.number, copy->offset};
}

// COPYING

static rt_err batch_copy_now(struct bookie_journal *journal, struct journal_reader *reader) {
    struct journal_segment *tail = journal->tail;
    struct journal_batch_header header = reader->batch;
    size_t size = (size_t)bookie_journal_page_up(header.size);
    header.at = (struct bookie_mark){tail->header.number, tail->end};
    header.before = journal->written;
    header.durable = journal->durable;
    bookie_journal_batch_encode(&header, tail->seed, reader->bytes);
    memset(reader->bytes + header.size, 0, size - header.size);
    rt_err err = rt_file_write_now(tail->file, tail->end, RT_BYTES(reader->bytes, size));
    tail->end += size;
    journal->written = (struct bookie_mark){tail->header.number, tail->end};
    return err;
}

static rt_err item_copy_now(struct copy *copy, size_t item, struct rt_why *why) {
    struct bookie_journal *journal = copy->recovery->journal;
    const struct journal_segment *segment = segment_of(copy->recovery, item);
    struct journal_reader reader;
    rt_err err = bookie_journal_reader_open_now(&reader, journal, segment, why);
    if (err) return err;
    uint64_t offset = copy_from(copy, item);
    while (!err && offset < segment->end) {
        err = bookie_journal_reader_batch_now(&reader, offset);
        if (err) break;
        offset += bookie_journal_page_up(reader.batch.size);
        if (reader.batch.count) err = batch_copy_now(journal, &reader);
    }
    bookie_journal_reader_close_now(&reader);
    if (!err) return RT_OK;
    return rt_why_set(why, err == RT_ENOTFOUND ? RT_ECORRUPT : err,
                      "cannot copy the end of %s from byte %llu on: %s", segment->path,
                      (unsigned long long)offset, rt_err_text(err));
}

// THE TAIL

static char *spare_take(struct bookie_journal *journal) {
    return journal->spare_count ? journal->spares[--journal->spare_count] : NULL;
}

static void tail_drop_now(struct bookie_journal *journal) {
    if (journal->tail->file) rt_file_close_now(journal->tail->file);
    journal->tail->file = NULL;
    bookie_journal_segment_free(journal->tail);
    journal->tail = NULL;
}

static rt_err tail_make_now(struct copy *copy, struct rt_why *why) {
    struct journal_recovery *recovery = copy->recovery;
    struct bookie_journal *journal = recovery->journal;
    struct bookie_mark cut = copy_cut(copy);
    char *spare = spare_take(journal);
    journal->tail = bookie_journal_segment_next(journal, cut);
    journal->written = journal->durable = cut;
    uint64_t size = spare || journal->segment_bytes < JOURNAL_FIRST_BYTES ? journal->segment_bytes
                                                                          : JOURNAL_FIRST_BYTES;
    if (size < JOURNAL_PAGE + copy->bytes) size = JOURNAL_PAGE + copy->bytes;
    journal->tail->size = size;
    rt_err err = bookie_journal_segment_make_now(journal, journal->tail, &spare, why);
    for (size_t i = copy->first; !err && i < recovery->count; i++) {
        if (recovery->items[i].is_linked) err = item_copy_now(copy, i, why);
    }
    if (!err) err = bookie_journal_segment_commit_now(journal, journal->tail, why);
    if (err) {
        tail_drop_now(journal);
        return err;
    }
    journal->durable = journal->written;
    return RT_OK;
}

// WHAT IS KEPT

static void items_adopt(struct journal_recovery *recovery, struct bookie_mark cut) {
    struct bookie_journal *journal = recovery->journal;
    for (size_t i = 0; i < recovery->count; i++) {
        struct journal_found *item = &recovery->items[i];
        struct journal_segment *segment = item->segment;
        if (!item->is_linked || segment->header.number > cut.segment) continue;
        if (segment->header.number == cut.segment) segment->end = cut.offset;
        rt_list_push_back(&journal->segments, &segment->link);
        journal->segment_count++;
        item->segment = NULL;
    }
    rt_list_push_back(&journal->segments, &journal->tail->link);
    journal->segment_count++;
}

static rt_err names_sync_now(const struct bookie_journal *journal, struct rt_why *why) {
    rt_err err = rt_dir_sync_now(journal->machine, journal->directory);
    if (!err) return RT_OK;
    return rt_why_set(why, err, "cannot sync %s: %s", journal->directory, rt_err_text(err));
}

static rt_err rest_put_away_now(struct journal_recovery *recovery, struct rt_why *why) {
    struct bookie_journal *journal = recovery->journal;
    for (size_t i = 0; i < recovery->count; i++) {
        struct journal_segment *segment = recovery->items[i].segment;
        if (!segment) continue;
        segment->is_kept =
            segment->size == journal->segment_bytes && journal->spare_count < journal->spare_max;
        char *spare = bookie_journal_segment_put_away_now(journal, segment);
        if (spare) journal->spares[journal->spare_count++] = spare;
    }
    for (size_t i = 0; i < recovery->leftover_count; i++) {
        // Best effort: the next start tries again.
        RT_IGNORE(rt_path_remove_now(journal->machine, recovery->leftovers[i]));
    }
    return names_sync_now(journal, why);
}

static bool has_records(const struct bookie_journal *journal) {
    rt_list_each (link, &journal->segments) {
        const struct journal_segment *segment = bookie_journal_segment_at((struct rt_list *)link);
        bool is_first = segment->header.number == journal->from.segment;
        if (segment->end > (is_first ? journal->from.offset : JOURNAL_PAGE)) return true;
    }
    return false;
}

// The names of spares are durable before one of them is used, those of an earlier start too: under
// its old name a segment with the header of its next use would be refused.
static rt_err begin_now(struct journal_recovery *recovery, struct rt_why *why) {
    struct bookie_journal *journal = recovery->journal;
    struct copy copy = {.recovery = recovery};
    copy_find(&copy);
    rt_err err = names_sync_now(journal, why);
    if (!err) err = tail_make_now(&copy, why);
    if (err) return err;
    items_adopt(recovery, journal->tail->header.follows);
    journal->is_replayed = !has_records(journal);
    return rest_put_away_now(recovery, why);
}

// A start that was interrupted may have left directories whose names are not durable yet.
static rt_err parents_sync_now(struct bookie_journal *journal, struct rt_why *why) {
    char *path = rt_strdup(journal->directory);
    rt_err err = RT_OK;
    for (char *slash = strrchr(path, '/'); slash && !err; slash = strrchr(path, '/')) {
        *slash = '\0';
        err = rt_dir_sync_now(journal->machine, slash == path ? "/" : path);
        if (err == RT_EACCESS) err = RT_OK;  // not ours, so not made by us
    }
    if (!err && journal->directory[0] != '/') err = rt_dir_sync_now(journal->machine, ".");
    rt_free(path);
    if (!err) return RT_OK;
    return rt_why_set(why, err, "cannot sync the directories of %s: %s", journal->directory,
                      rt_err_text(err));
}

rt_err bookie_journal_recover_now(struct bookie_journal *journal, struct rt_why *why) {
    struct journal_recovery recovery = {.journal = journal};
    rt_err err = bookie_journal_scan_now(&recovery, why);
    if (!err) err = bookie_journal_judge_now(&recovery, why);
    if (!err && !recovery.count) err = parents_sync_now(journal, why);
    if (!err) err = begin_now(&recovery, why);
    bookie_journal_recovery_fini(&recovery);
    return err;
}
