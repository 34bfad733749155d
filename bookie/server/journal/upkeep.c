// Segments are made ahead, and put away when they are released, by a worker, so that the loop never
// waits for them. One job at a time.
//
// The next segment is begun as soon as the one before it becomes the tail, so a roll takes a file
// that is there. If it cannot be made (a full disk) that is tried again every second; once records
// wait for it and it cannot be made even then, the journal has failed.
#include <string.h>

#include "bookie/server/journal/journal_internal.h"
#include "runtime/log.h"

static const uint64_t retry_ns = RT_NS_PER_S;

// ON THE WORKER

static void retired_put_away_now(struct bookie_journal *journal) {
    struct journal_upkeep *upkeep = &journal->upkeep;
    rt_list_each (link, &upkeep->retired) {
        char *spare = bookie_journal_segment_put_away_now(journal, bookie_journal_segment_at(link));
        if (spare) upkeep->put_away[upkeep->put_away_count++] = spare;
    }
}

static void prepare_now(struct bookie_journal *journal) {
    struct journal_upkeep *upkeep = &journal->upkeep;
    if (!upkeep->spare && upkeep->put_away_count)
        upkeep->spare = upkeep->put_away[--upkeep->put_away_count];
    struct journal_segment *segment = upkeep->prepare;
    upkeep->err = bookie_journal_segment_make_now(journal, segment, &upkeep->spare, &upkeep->why);
    if (!upkeep->err)
        upkeep->err = bookie_journal_segment_commit_now(journal, segment, &upkeep->why);
}

static void job_run(struct rt_work *work) {
    struct journal_upkeep *upkeep = rt_container_of(work, struct journal_upkeep, work);
    struct bookie_journal *journal = rt_container_of(upkeep, struct bookie_journal, upkeep);
    if (upkeep->closes) rt_file_close_now(upkeep->closes);
    retired_put_away_now(journal);
    upkeep->err = RT_OK;
    if (upkeep->prepare) prepare_now(journal);
}

// ON THE LOOP

static void spares_take(struct bookie_journal *journal) {
    struct journal_upkeep *upkeep = &journal->upkeep;
    for (unsigned i = 0; i < upkeep->put_away_count; i++)
        journal->spares[journal->spare_count++] = upkeep->put_away[i];
    upkeep->put_away_count = 0;
    assert(journal->spare_count <= journal->spare_max);
}

static void prepared(struct bookie_journal *journal, struct journal_segment *segment) {
    struct journal_upkeep *upkeep = &journal->upkeep;
    if (!upkeep->err) {
        journal->next = segment;
        return;
    }
    bookie_journal_segment_free(segment);
    if (upkeep->is_awaited) {
        bookie_journal_fail(journal, upkeep->err, upkeep->why.text);
    } else {
        rt_log_warn("journal", "segment could not be made ahead why=%s", upkeep->why.text);
        if (!journal->is_closing) rt_timer_after(&journal->retry_timer, retry_ns);
    }
}

static void job_done(struct rt_work *work) {
    struct journal_upkeep *upkeep = rt_container_of(work, struct journal_upkeep, work);
    struct bookie_journal *journal = rt_container_of(upkeep, struct bookie_journal, upkeep);
    struct journal_segment *segment = upkeep->prepare;
    upkeep->is_busy = false;
    upkeep->closes = NULL;
    upkeep->prepare = NULL;
    while (!rt_list_is_empty(&upkeep->retired))
        bookie_journal_segment_free(bookie_journal_segment_at(rt_list_pop_front(&upkeep->retired)));
    spares_take(journal);
    if (segment) prepared(journal, segment);
    rt_flush_later(journal->loop, &journal->flush);
    bookie_journal_upkeep_start(journal);
    bookie_journal_maybe_close(journal);
}

// What failed is tried again when its time has come, or at once for those that wait.
static bool wants_next(const struct bookie_journal *journal) {
    if (journal->next) return false;
    if (bookie_journal_is_waiting(journal)) return true;
    return !journal->is_closing && !rt_timer_is_armed(&journal->retry_timer);
}

static struct journal_segment *next_new(struct bookie_journal *journal) {
    struct bookie_mark follows = {.segment = journal->tail->header.number};
    struct journal_segment *segment = bookie_journal_segment_next(journal, follows);
    segment->size = journal->segment_bytes;
    return segment;
}

void bookie_journal_upkeep_start(struct bookie_journal *journal) {
    struct journal_upkeep *upkeep = &journal->upkeep;
    if (upkeep->is_busy || journal->failed || journal->is_ended) return;
    upkeep->closes = journal->old_file;
    journal->old_file = NULL;
    rt_list_splice(&upkeep->retired, &journal->retired);
    if (wants_next(journal)) {
        upkeep->prepare = next_new(journal);
        upkeep->is_awaited = bookie_journal_is_waiting(journal);
        if (journal->spare_count) upkeep->spare = journal->spares[--journal->spare_count];
    }
    if (!upkeep->closes && !upkeep->prepare && rt_list_is_empty(&upkeep->retired)) return;
    upkeep->is_busy = true;
    rt_work_submit(&upkeep->work, journal->loop, job_run, job_done, "journal.upkeep");
}

void bookie_journal_retry_fire(struct rt_timer *timer) {
    bookie_journal_upkeep_start(rt_container_of(timer, struct bookie_journal, retry_timer));
}

// Spares are counted with those that are on their way to become one.
static unsigned spares_expected(const struct bookie_journal *journal) {
    unsigned count = journal->spare_count;
    const struct rt_list *lists[] = {&journal->retired, &journal->upkeep.retired};
    for (unsigned i = 0; i < 2; i++) {
        rt_list_each (link, lists[i]) {
            if (bookie_journal_segment_at(link)->is_kept) count++;
        }
    }
    return count;
}

void bookie_journal_segment_retire(struct bookie_journal *journal,
                                   struct journal_segment *segment) {
    bool is_usable = segment->size == journal->segment_bytes;
    segment->is_kept = is_usable && spares_expected(journal) < journal->spare_max;
    rt_list_remove(&segment->link);
    rt_list_push_back(&journal->retired, &segment->link);
    journal->segment_count--;
}
