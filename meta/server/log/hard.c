// The hard state is written on request, and about a second after appends so that what it says of
// the log's end is never far behind: that tells a rotten last record from a torn one.
#include "meta/server/log/log_internal.h"

#define CLAIM_DELAY_NS RT_NS_PER_S

static void slot_fill(struct meta_log *log, uint64_t segment, struct raft_position durable) {
    struct meta_log_hard *hard = &log->hard;
    hard->slot.sequence++;
    hard->slot.cluster = log->cluster;
    hard->slot.node = log->node;
    hard->slot.term = hard->wanted.term;
    hard->slot.vote = hard->wanted.vote;
    hard->slot.commit = hard->wanted.commit;
    hard->slot.segment = segment;
    hard->slot.durable = durable;
}

static struct raft_position claim_of(const struct meta_log *log) {
    return raft_position_covers(log->durable, log->claimed) ? log->durable : log->claimed;
}

static bool claim_is_stored(const struct meta_log *log) {
    return raft_position_equal(claim_of(log), log->hard.slot.durable) &&
           log->hard.slot.segment == log->written->header.id.number;
}

bool meta_log_hard_is_settled(const struct meta_log *log) {
    const struct meta_log_hard *hard = &log->hard;
    if (hard->is_writing) return false;
    return log->failed || (!hard->is_wanted && claim_is_stored(log));
}

static void written(struct rt_file_op *op, rt_err err) {
    struct meta_log_hard *hard = rt_container_of(op, struct meta_log_hard, op);
    struct meta_log *log = rt_container_of(hard, struct meta_log, hard);
    hard->is_writing = false;
    if (err) {
        meta_log_fail(log, err, "writing the hard state");
        meta_log_maybe_close(log);
        return;
    }
    bool is_news = hard->version_writing > hard->version_written;
    hard->version_written = hard->version_writing;
    if (is_news && !log->is_closing)
        log->events->hard_state_written(log->events, hard->version_written);
    if (hard->is_wanted) meta_log_hard_write(log);
    meta_log_maybe_close(log);
}

void meta_log_hard_write(struct meta_log *log) {
    struct meta_log_hard *hard = &log->hard;
    if (hard->is_writing || log->failed) return;
    slot_fill(log, log->written->header.id.number, claim_of(log));
    meta_hard_slot_encode(&hard->slot, hard->bytes);
    hard->part = RT_BYTES(hard->bytes, META_HARD_SLOT_SIZE);
    hard->version_writing = hard->wanted.version;
    hard->is_wanted = false;
    hard->is_writing = true;
    rt_file_write(&hard->op, hard->file, meta_hard_slot_offset(&hard->slot), &hard->part, 1,
                  log->sync, written);
}

rt_err meta_log_hard_write_now(struct meta_log *log, uint64_t segment,
                               struct raft_position durable) {
    slot_fill(log, segment, durable);
    return meta_hard_state_write_now(log->hard.file, &log->hard.slot, log->sync);
}

void meta_log_write_hard_state(struct meta_log *log, const struct raft_hard_state *hard_state) {
    if (log->failed || log->is_closing) return;
    log->hard.wanted = *hard_state;
    log->hard.is_wanted = true;
    meta_log_hard_write(log);
}

void meta_log_claim_fire(struct rt_timer *timer) {
    struct meta_log *log = rt_container_of(timer, struct meta_log, claim_timer);
    if (!claim_is_stored(log)) meta_log_hard_write(log);
}

void meta_log_claim_later(struct meta_log *log) {
    if (!rt_timer_is_armed(&log->claim_timer)) rt_timer_after(&log->claim_timer, CLAIM_DELAY_NS);
}
