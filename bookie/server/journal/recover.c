// Recovery, second part: where the journal ends, and whether it may end there.
//
// Batches are followed from `from` on, each named by the next. Behind the first that does not
// verify, headers still tell what was durable when they were written: if that is more than what was
// found, acknowledged records are lost, and nothing is touched.
#include "bookie/server/journal/recover.h"
#include "runtime/log.h"

struct walk {
    struct journal_recovery *recovery;
    struct journal_found *item;
    struct journal_reader reader;
    uint64_t offset;
    bool is_first;  // of all: what it follows may be gone
};

static uint64_t number_of(const struct journal_found *item) {
    return item->segment->header.number;
}

static struct journal_found *first_linked(const struct journal_recovery *recovery) {
    for (size_t i = 0; i < recovery->count; i++) {
        if (recovery->items[i].is_linked) return &recovery->items[i];
    }
    return NULL;
}

static void claim(struct journal_recovery *recovery, struct bookie_mark mark,
                  const struct journal_segment *claimant) {
    if (bookie_mark_compare(mark, recovery->claimed) <= 0) return;
    recovery->claimed = mark;
    recovery->claimant = claimant;
}

static rt_err item_enter(struct walk *walk, struct journal_found *item, struct rt_why *why) {
    walk->item = item;
    walk->offset = JOURNAL_PAGE;
    return bookie_journal_reader_open_now(&walk->reader, walk->recovery->journal, item->segment,
                                          why);
}

static void item_leave(struct walk *walk) {
    walk->item->segment->end = walk->offset;
    bookie_journal_reader_close_now(&walk->reader);
}

static rt_err unreadable(const struct walk *walk, rt_err err, struct rt_why *why) {
    return rt_why_set(why, err, "cannot read %s: %s", walk->item->segment->path, rt_err_text(err));
}

// Where the next segment says that this one ends; 0: it does not say.
static uint64_t item_limit(const struct journal_recovery *recovery,
                           const struct journal_found *item) {
    const struct journal_found *next = bookie_journal_find_after(recovery, item);
    return next ? next->segment->header.follows.offset : 0;
}

// FROM

static rt_err from_refused(const struct walk *walk, const char *what, struct rt_why *why) {
    uint64_t offset = walk->recovery->journal->from.offset;
    return rt_why_set(why, RT_ECORRUPT,
                      "byte %llu of %s, where what is not yet in the ledgers begins, %s",
                      (unsigned long long)offset, walk->item->segment->path, what);
}

static rt_err from_seek(struct walk *walk, struct rt_why *why) {
    const struct journal_recovery *recovery = walk->recovery;
    struct bookie_mark from = recovery->journal->from;
    uint64_t limit = item_limit(recovery, walk->item);
    if (from.segment) {
        if (limit && from.offset > limit) return from_refused(walk, "is beyond the end", why);
        rt_err err = bookie_journal_reader_seek_now(&walk->reader, from.offset, &walk->offset);
        if (err == RT_ENOTFOUND) return from_refused(walk, "is beyond the end", why);
        if (err) return unreadable(walk, err, why);
    }
    walk->recovery->end = (struct bookie_mark){number_of(walk->item), walk->offset};
    return RT_OK;
}

// The batch that `from` is in was durable as a whole.
static rt_err from_check(struct walk *walk, struct rt_why *why) {
    struct journal_recovery *recovery = walk->recovery;
    struct bookie_mark from = recovery->journal->from;
    uint64_t end = walk->offset + bookie_journal_page_up(walk->reader.batch.size);
    bool is_inside =
        from.segment == number_of(walk->item) && from.offset > walk->offset && from.offset < end;
    if (!is_inside) return RT_OK;
    if (!bookie_journal_reader_is_between(&walk->reader, walk->offset, from.offset))
        return from_refused(walk, "is inside a record", why);
    recovery->certain = (struct bookie_mark){from.segment, end};
    return RT_OK;
}

// THE WALK

static bool batch_follows(const struct walk *walk) {
    const struct journal_batch_header *batch = &walk->reader.batch;
    uint64_t limit = item_limit(walk->recovery, walk->item);
    if (limit && walk->offset + bookie_journal_page_up(batch->size) > limit) return false;
    if (walk->is_first && walk->offset == JOURNAL_PAGE) return true;
    return bookie_mark_compare(batch->before, walk->recovery->end) == 0;
}

static rt_err batch_read(struct walk *walk, struct rt_why *why) {
    uint64_t limit = item_limit(walk->recovery, walk->item);
    if (limit && walk->offset >= limit) return RT_ENOTFOUND;
    rt_err err = bookie_journal_reader_batch_now(&walk->reader, walk->offset);
    if (!err && !batch_follows(walk)) err = RT_ENOTFOUND;
    return err && err != RT_ENOTFOUND ? unreadable(walk, err, why) : err;
}

static rt_err batches_walk(struct walk *walk, struct rt_why *why) {
    struct journal_recovery *recovery = walk->recovery;
    rt_err err;
    while ((err = batch_read(walk, why)) == RT_OK) {
        err = from_check(walk, why);
        if (err) return err;
        claim(recovery, walk->reader.batch.durable, walk->item->segment);
        walk->offset += bookie_journal_page_up(walk->reader.batch.size);
        recovery->end = (struct bookie_mark){number_of(walk->item), walk->offset};
        walk->is_first = false;
    }
    return err == RT_ENOTFOUND ? RT_OK : err;
}

// BEHIND THE END

static rt_err claims_scan(struct walk *walk, struct rt_why *why) {
    struct journal_recovery *recovery = walk->recovery;
    struct journal_segment *segment = walk->item->segment;
    uint64_t limit = item_limit(recovery, walk->item);
    uint64_t end = limit ? limit : segment->size;
    for (uint64_t at = walk->offset; at < end; at += JOURNAL_PAGE) {
        rt_err err = bookie_journal_reader_header_now(&walk->reader, at);
        if (err == RT_ENOTFOUND) continue;
        if (err) return unreadable(walk, err, why);
        claim(recovery, walk->reader.batch.durable, segment);
        if (at == walk->offset) {
            rt_log_info("journal", "torn batch was cut off path=%s at=%llu", segment->path,
                        (unsigned long long)at);
        }
    }
    if (!limit) return RT_OK;
    const struct journal_found *next = bookie_journal_find_after(recovery, walk->item);
    claim(recovery, (struct bookie_mark){number_of(walk->item), limit}, next->segment);
    return RT_OK;
}

// Whether the journal goes on there.
static bool is_continued(struct walk *walk, rt_err *err, struct rt_why *why) {
    const struct journal_found *next = walk->item;
    const struct journal_found *before =
        bookie_journal_find(walk->recovery, next->segment->header.follows.segment);
    uint64_t limit = next->segment->header.follows.offset;
    if (limit) return limit == before->segment->end;
    *err = batch_read(walk, why);
    bool is_there = *err == RT_OK;
    if (*err == RT_ENOTFOUND) *err = RT_OK;
    return is_there;
}

// Void: nothing in it is valid, or what it follows is not.
static rt_err rest_scan(struct walk *walk, struct journal_found *item, struct rt_why *why) {
    rt_err err = RT_OK;
    while (item && !err) {
        struct journal_found *next = bookie_journal_find_after(walk->recovery, item);
        err = item_enter(walk, item, why);
        if (err) return err;
        err = claims_scan(walk, why);
        bookie_journal_reader_close_now(&walk->reader);
        item = next;
    }
    return err;
}

static rt_err item_walk(struct walk *walk, bool *goes_on, struct rt_why *why) {
    rt_err err = RT_OK;
    if (walk->is_first) err = from_seek(walk, why);
    if (!err && !walk->is_first) *goes_on = is_continued(walk, &err, why);
    if (!err && *goes_on) err = batches_walk(walk, why);
    return err;
}

static rt_err end_scan(struct journal_recovery *recovery, struct walk *walk,
                       struct journal_found *last, struct rt_why *why) {
    uint64_t offset = last->segment->end;
    rt_err err = item_enter(walk, last, why);
    if (err) return err;
    walk->offset = offset;
    err = claims_scan(walk, why);
    item_leave(walk);
    if (err) return err;
    return rest_scan(walk, bookie_journal_find_after(recovery, last), why);
}

// Afterwards only what is valid is linked.
static void unlink_rest(struct journal_recovery *recovery, const struct journal_found *last) {
    for (size_t i = (size_t)(last - recovery->items) + 1; i < recovery->count; i++)
        recovery->items[i].is_linked = false;
}

static rt_err ends_find(struct journal_recovery *recovery, struct journal_found **last,
                        struct rt_why *why) {
    struct walk walk = {.recovery = recovery, .is_first = true};
    struct journal_found *item = first_linked(recovery);
    bool goes_on = true;
    rt_err err = RT_OK;
    while (item && goes_on && !err) {
        err = item_enter(&walk, item, why);
        if (err) return err;
        err = item_walk(&walk, &goes_on, why);
        walk.is_first = false;
        if (goes_on) *last = item;
        item_leave(&walk);
        item = bookie_journal_find_after(recovery, item);
    }
    return err ? err : end_scan(recovery, &walk, *last, why);
}

// THE VERDICT

static rt_err damaged(const struct journal_recovery *recovery, const struct journal_found *last,
                      struct rt_why *why) {
    const struct bookie_mark *claimed = &recovery->claimed;
    return rt_why_set(
        why, RT_ECORRUPT,
        "what follows byte %llu of %s does not verify, but the journal was durable up to byte %llu "
        "of segment %llx, says %s: acknowledged records are damaged; nothing was changed",
        (unsigned long long)last->segment->end, last->segment->path,
        (unsigned long long)claimed->offset, (unsigned long long)claimed->segment,
        recovery->claimant ? recovery->claimant->path : "the index of the ledgers");
}

rt_err bookie_journal_judge_now(struct journal_recovery *recovery, struct rt_why *why) {
    if (!first_linked(recovery)) return RT_OK;
    struct journal_found *last = NULL;
    claim(recovery, recovery->journal->from, NULL);
    rt_err err = ends_find(recovery, &last, why);
    if (err) return err;
    const struct journal_found *claimed = bookie_journal_find(recovery, recovery->claimed.segment);
    bool is_beyond = bookie_mark_compare(recovery->claimed, recovery->end) > 0;
    if (claimed && claimed->is_linked && recovery->claimed.offset > claimed->segment->end)
        is_beyond = true;
    if (is_beyond) return damaged(recovery, last, why);
    if (bookie_mark_compare(recovery->claimed, recovery->certain) > 0)
        recovery->certain = recovery->claimed;
    unlink_rest(recovery, last);
    return RT_OK;
}
