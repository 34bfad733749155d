// Linearizable reads without log entries (section 6.4 of the thesis).
//
// The leader notes its commit index when a question comes, then begins a round of heartbeats; when
// a quorum has answered that round it led at some moment after the question, so the index is fresh
// enough. It must have committed an entry of its term, else its commit index may be an old one.
//
// The reads of a node go to the leader as one question at a time, which the reads that come
// meanwhile do not join: one round serves them all. A question lost is asked again under the same
// id; the id is random, so no answer serves another life's question.
#include "meta/raft/core.h"

static uint64_t round_of(const struct raft *raft, const struct raft_peer *peer) {
    return peer->id == raft->options.id ? UINT64_MAX : peer->acked_round;
}

static void local_answer(struct raft *raft, uint64_t batch, uint64_t index) {
    if (batch == 0 || batch != raft->read_batch) return;
    for (size_t i = 0; i < raft->reads.count; i++) {
        struct raft_pending_read *read = &raft->reads.items[i];
        if (read->batch != batch || read->answered) continue;
        read->answered = true;
        read->index = index;
    }
    raft->read_batch = 0;
}

static void answer(struct raft *raft, const struct raft_read_request *request) {
    if (request->from == raft->options.id) {
        local_answer(raft, request->id, request->index);
        return;
    }
    struct raft_message *message = raft_send(raft, RAFT_READ_REPLY, request->from);
    message->read_reply.id = request->id;
    message->read_reply.index = request->index;
}

// Begins a round for the questions that wait for one, unless one is under way for others.
static void begin_round(struct raft *raft) {
    bool waiting = false;
    for (size_t i = 0; i < raft->requests.count; i++) {
        uint64_t round = raft->requests.items[i].round;
        if (round != 0 && round <= raft->round) return;
        if (round > raft->round) waiting = true;
    }
    if (waiting) raft_broadcast_heartbeat(raft);
}

void raft_reads_confirm(struct raft *raft) {
    if (raft->requests.count == 0) return;
    uint64_t confirmed = raft_quorum_value(raft, round_of);
    size_t kept = 0;
    for (size_t i = 0; i < raft->requests.count; i++) {
        struct raft_read_request request = raft->requests.items[i];
        if (request.round != 0 && request.round <= confirmed) {
            answer(raft, &request);
        } else {
            raft->requests.items[kept++] = request;
        }
    }
    raft->requests.count = kept;
    begin_round(raft);
    raft_reads_send(raft);
}

static void request_assign(struct raft *raft, struct raft_read_request *request) {
    bool old = raft_has_bug(raft, RAFT_BUG_READ_OLD_ROUND) && raft->round > 0;
    request->index = raft->commit;
    request->round = raft->round + (old ? 0 : 1);
}

void raft_reads_ready(struct raft *raft) {
    bool any = false;
    for (size_t i = 0; i < raft->requests.count; i++) {
        if (raft->requests.items[i].round != 0) continue;
        request_assign(raft, &raft->requests.items[i]);
        any = true;
    }
    if (!any) return;
    begin_round(raft);
    raft_reads_confirm(raft);
}

static bool is_asked_already(const struct raft *raft, uint64_t from, uint64_t id) {
    for (size_t i = 0; i < raft->requests.count; i++) {
        const struct raft_read_request *request = &raft->requests.items[i];
        if (request->from == from && request->id == id) return true;
    }
    return false;
}

void raft_on_read(struct raft *raft, uint64_t from, uint64_t id) {
    bool welcome = raft->role == RAFT_LEADER && raft_config_is_member(raft_config(raft), from);
    if (from == raft->options.id) welcome = true;
    if (!welcome || id == 0 || is_asked_already(raft, from, id)) return;
    if (raft->requests.count >= raft->options.reads_max) return;  // it asks again
    struct raft_read_request *request = RAFT_PUSH(&raft->requests);
    *request = (struct raft_read_request){.from = from, .id = id};
    if (!raft_is_ready(raft) && !raft_has_bug(raft, RAFT_BUG_READ_BEFORE_NOOP)) return;
    request_assign(raft, request);
    begin_round(raft);
    raft_reads_confirm(raft);
}

void raft_on_read_reply(struct raft *raft, const struct raft_message *message) {
    local_answer(raft, message->read_reply.id, message->read_reply.index);
    raft_reads_send(raft);
}

static void batch_send(struct raft *raft) {
    raft->read_batch_ticks = 0;
    if (raft->role == RAFT_LEADER) {
        raft_on_read(raft, raft->options.id, raft->read_batch);
    } else if (raft->leader) {
        raft_send(raft, RAFT_READ, raft->leader)->read.id = raft->read_batch;
    }
}

void raft_reads_send(struct raft *raft) {
    if (raft->read_batch != 0 || raft->leader == 0) return;
    uint64_t batch = rt_random_u64(&raft->random) | 1;
    bool any = false;
    for (size_t i = 0; i < raft->reads.count; i++) {
        struct raft_pending_read *read = &raft->reads.items[i];
        if (read->batch != 0) continue;
        read->batch = batch;
        any = true;
    }
    if (!any) return;
    raft->read_batch = batch;
    batch_send(raft);
}

rt_err raft_on_read_asked(struct raft *raft, uint64_t context) {
    if (raft->reads.count >= raft->options.reads_max) return RT_EBUSY;
    RAFT_PUSH(&raft->reads)->context = context;
    raft_reads_send(raft);
    return RT_OK;
}

// Nothing that was asked of, or as, an earlier leader will be answered.
void raft_reads_role_changed(struct raft *raft) {
    raft->requests.count = 0;
    raft->read_batch = 0;
    for (size_t i = 0; i < raft->reads.count; i++) {
        if (!raft->reads.items[i].answered) raft->reads.items[i].batch = 0;
    }
    raft_reads_send(raft);
}

void raft_reads_release(struct raft *raft) {
    size_t kept = 0;
    for (size_t i = 0; i < raft->reads.count; i++) {
        struct raft_pending_read read = raft->reads.items[i];
        if (read.answered && read.index <= raft->applied && !raft->installing) {
            *RAFT_PUSH(&raft->reads_done) =
                (struct raft_read_done){.context = read.context, .index = read.index};
        } else {
            raft->reads.items[kept++] = read;
        }
    }
    raft->reads.count = kept;
}

static void expire(struct raft *raft) {
    size_t kept = 0;
    for (size_t i = 0; i < raft->reads.count; i++) {
        struct raft_pending_read read = raft->reads.items[i];
        if (++read.age_ticks >= 2 * raft->options.election_ticks) {
            *RAFT_PUSH(&raft->reads_done) =
                (struct raft_read_done){.context = read.context, .err = RT_ETIMEDOUT};
        } else {
            raft->reads.items[kept++] = read;
        }
    }
    raft->reads.count = kept;
}

void raft_tick_reads(struct raft *raft) {
    expire(raft);
    if (raft->reads.count == 0) raft->read_batch = 0;
    if (raft->read_batch == 0) return;
    if (++raft->read_batch_ticks >= raft->options.heartbeat_ticks) batch_send(raft);
}
