// Recovery, first part: the files, their headers, and the chain that the headers make.
//
// Each segment names the one before it. The newest is the end of the chain; a segment that no newer
// one leads to was given up by a start in between. The chain has to reach the segment of `from`, or
// the first there ever was. What lies before that was released, and may be gone or used again.
#include "bookie/server/journal/recover.h"

// FILES

static void item_add(struct journal_recovery *recovery, uint64_t number, uint64_t size) {
    struct bookie_journal *journal = recovery->journal;
    recovery->items = rt_realloc(recovery->items, (recovery->count + 1) * sizeof(*recovery->items));
    struct journal_header header = {.owner = journal->owner, .number = number};
    struct journal_segment *segment = bookie_journal_segment_new(journal, &header);
    segment->size = size;
    recovery->items[recovery->count++] = (struct journal_found){.segment = segment};
    if (number > journal->number_last) journal->number_last = number;
}

static void leftover_add(struct journal_recovery *recovery, const char *name) {
    size_t count = recovery->leftover_count + 1;
    recovery->leftovers = rt_realloc(recovery->leftovers, count * sizeof(*recovery->leftovers));
    recovery->leftovers[count - 1] = bookie_journal_path(recovery->journal, name);
    recovery->leftover_count = count;
}

static void entry_sort_out(struct journal_recovery *recovery, const struct rt_dir_entry *entry) {
    struct bookie_journal *journal = recovery->journal;
    uint64_t number = 0;
    enum journal_name kind = bookie_journal_name_parse(entry->name, &number);
    if (entry->is_dir || kind == JOURNAL_NAME_OTHER) return;
    if (kind == JOURNAL_NAME_SEGMENT) {
        item_add(recovery, number, entry->size);
        return;
    }
    bool is_spare = kind == JOURNAL_NAME_SPARE && entry->size == journal->segment_bytes &&
                    journal->spare_count < journal->spare_max;
    if (is_spare) {
        journal->spares[journal->spare_count++] = bookie_journal_path(journal, entry->name);
    } else {
        leftover_add(recovery, entry->name);
    }
}

static rt_err files_list_now(struct journal_recovery *recovery, struct rt_why *why) {
    struct bookie_journal *journal = recovery->journal;
    struct rt_dir_listing listing;
    rt_err err = rt_dir_list_now(journal->machine, journal->directory, &listing, why);
    if (err) return err;
    for (size_t i = 0; i < listing.count; i++) entry_sort_out(recovery, &listing.entries[i]);
    rt_dir_listing_fini(&listing);
    return RT_OK;
}

// HEADERS

static rt_err header_bytes_now(const struct journal_recovery *recovery, const char *path,
                               uint8_t *bytes, size_t *size, struct rt_why *why) {
    struct rt_file *file;
    rt_err err = rt_file_open_now(recovery->journal->machine, path, RT_FILE_READ, &file, why);
    if (err) return err;
    err = rt_file_read_now(file, 0, bytes, JOURNAL_SEGMENT_HEADER_SIZE, size);
    rt_file_close_now(file);
    return err ? rt_why_set(why, err, "cannot read %s: %s", path, rt_err_text(err)) : RT_OK;
}

// Of a segment that was released, the file may hold the header of its next use.
static rt_err header_read_now(struct journal_recovery *recovery, struct journal_found *item,
                              struct rt_why *why) {
    struct journal_segment *segment = item->segment;
    uint64_t number = segment->header.number;
    uint8_t bytes[JOURNAL_SEGMENT_HEADER_SIZE];
    size_t size = 0;
    rt_err err = header_bytes_now(recovery, segment->path, bytes, &size, why);
    if (err) return err;
    struct journal_header header;
    item->is_valid = !bookie_journal_header_decode(RT_BYTES(bytes, size), &header);
    if (item->is_valid && header.owner != recovery->journal->owner) {
        return rt_why_set(why, RT_ECORRUPT, "%s belongs to another journal: its owner is %016llx",
                          segment->path, (unsigned long long)header.owner);
    }
    item->is_valid = item->is_valid && header.number == number;
    if (item->is_valid) {
        segment->header = header;
        segment->seed = bookie_journal_seed(&header);
        return RT_OK;
    }
    if (number < recovery->journal->from.segment) return RT_OK;
    return rt_why_set(why, RT_ECORRUPT, "the header of %s does not verify", segment->path);
}

// THE CHAIN

struct journal_found *bookie_journal_find(const struct journal_recovery *recovery,
                                          uint64_t number) {
    for (size_t i = 0; i < recovery->count; i++) {
        if (recovery->items[i].segment->header.number == number) return &recovery->items[i];
    }
    return NULL;
}

struct journal_found *bookie_journal_find_after(const struct journal_recovery *recovery,
                                                const struct journal_found *item) {
    struct journal_found *end = recovery->items + recovery->count;
    for (struct journal_found *next = recovery->items + (item - recovery->items) + 1; next < end;
         next++) {
        if (next->is_linked) return next;
    }
    return NULL;
}

static rt_err missing(const struct journal_recovery *recovery, uint64_t number,
                      const struct journal_found *follower, struct rt_why *why) {
    char name[JOURNAL_NAME_SIZE];
    bookie_journal_name(JOURNAL_NAME_SEGMENT, number, name);
    if (follower) {
        return rt_why_set(why, RT_ECORRUPT, "%s is missing, which %s follows", name,
                          follower->segment->path);
    }
    return rt_why_set(why, RT_ECORRUPT,
                      "%s is missing, where what is not yet in the ledgers begins%s", name,
                      recovery->count ? "" : "; there is no journal at all");
}

static rt_err skipped(const struct journal_recovery *recovery, uint64_t number,
                      const struct journal_found *follower, struct rt_why *why) {
    return rt_why_set(why, RT_ECORRUPT,
                      "%s was given up: %s follows segment %llx; the ledgers are ahead of the "
                      "journal",
                      bookie_journal_find(recovery, number)->segment->path, follower->segment->path,
                      (unsigned long long)follower->segment->header.follows.segment);
}

static rt_err chain_link(struct journal_recovery *recovery, struct rt_why *why) {
    uint64_t first = recovery->journal->from.segment;
    struct journal_found *item = recovery->count ? &recovery->items[recovery->count - 1] : NULL;
    if (first && !bookie_journal_find(recovery, first)) return missing(recovery, first, NULL, why);
    while (item) {
        assert(item->is_valid);
        item->is_linked = true;
        uint64_t before = item->segment->header.follows.segment;
        if (item->segment->header.number == first) break;
        if (before < first) return skipped(recovery, first, item, why);
        if (before == 0) break;
        struct journal_found *follower = item;
        item = bookie_journal_find(recovery, before);
        if (!item) return missing(recovery, before, follower, why);
    }
    return RT_OK;
}

rt_err bookie_journal_scan_now(struct journal_recovery *recovery, struct rt_why *why) {
    rt_err err = files_list_now(recovery, why);
    for (size_t i = 0; !err && i < recovery->count; i++)
        err = header_read_now(recovery, &recovery->items[i], why);
    return err ? err : chain_link(recovery, why);
}

void bookie_journal_recovery_fini(struct journal_recovery *recovery) {
    for (size_t i = 0; i < recovery->count; i++) {
        if (recovery->items[i].segment) bookie_journal_segment_free(recovery->items[i].segment);
    }
    for (size_t i = 0; i < recovery->leftover_count; i++) rt_free(recovery->leftovers[i]);
    rt_free(recovery->items);
    rt_free(recovery->leftovers);
}
