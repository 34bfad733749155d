// What is found at start-up is given to the bookie, record by record.
#include "bookie/server/journal/reader.h"

static rt_err batch_give(struct bookie_journal *journal, struct bookie_journal_replay *replay,
                         const struct journal_reader *reader, uint64_t offset, struct rt_why *why) {
    const struct journal_batch_header *batch = &reader->batch;
    struct rt_reader r = rt_reader_over(RT_BYTES(reader->bytes, batch->size));
    rt_read_bytes(&r, JOURNAL_BATCH_HEADER_SIZE);
    while (!rt_reader_done(&r)) {
        struct bookie_mark begin = {batch->at.segment, offset + batch->size - rt_reader_left(&r)};
        struct rt_bytes record = rt_read_bytes(&r, rt_read_be32(&r));
        assert(!rt_reader_failed(&r));
        struct bookie_mark at = {batch->at.segment, offset + batch->size - rt_reader_left(&r)};
        if (rt_reader_done(&r)) at.offset = bookie_journal_page_up(at.offset);
        if (bookie_mark_compare(begin, journal->from) < 0) continue;
        rt_err err = replay->each(replay, record, at, why);
        if (err) return err;
        journal->reached = at;
    }
    return RT_OK;
}

static rt_err batches_give(struct bookie_journal *journal, struct bookie_journal_replay *replay,
                           struct journal_reader *reader, struct rt_why *why) {
    const struct journal_segment *segment = reader->segment;
    uint64_t offset = JOURNAL_PAGE;
    rt_err err = RT_OK;
    if (segment->header.number == journal->from.segment)
        err = bookie_journal_reader_seek_now(reader, journal->from.offset, &offset);
    while (!err && offset < segment->end) {
        err = bookie_journal_reader_batch_now(reader, offset);
        if (err) break;
        err = batch_give(journal, replay, reader, offset, why);
        if (err) return err;
        offset += bookie_journal_page_up(reader->batch.size);
    }
    if (!err) return RT_OK;
    return rt_why_set(why, err == RT_ENOTFOUND ? RT_ECORRUPT : err,
                      "the batch at byte %llu of %s, which verified before, cannot be read: %s",
                      (unsigned long long)offset, segment->path, rt_err_text(err));
}

rt_err bookie_journal_replay_now(struct bookie_journal *journal,
                                 struct bookie_journal_replay *replay, struct rt_why *why) {
    rt_err err = RT_OK;
    rt_list_each (link, &journal->segments) {
        struct journal_reader reader;
        err =
            bookie_journal_reader_open_now(&reader, journal, bookie_journal_segment_at(link), why);
        if (err) break;
        err = batches_give(journal, replay, &reader, why);
        bookie_journal_reader_close_now(&reader);
        if (err) break;
    }
    journal->is_replayed = journal->is_replayed || !err;
    return err ? rt_why_prefix(why, err, "reading the journal") : RT_OK;
}
