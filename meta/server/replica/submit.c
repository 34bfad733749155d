// Requests on their way: proposed here when this node leads, forwarded in order when another does.
//
// What was given to a leader is never given to another: whether it came into the log is not known,
// and a second try could do it twice. When that leader goes, whoever waits is told so. A command
// that cannot be taken is refused by itself, before it is queued: behind that, all that is queued
// is proposed, or lost with the leadership.
#include <assert.h>
#include <string.h>

#include "meta/server/replica/replica_internal.h"

enum {
    OWN_COUNT_MAX = 4000,
    OWN_BYTES_MAX = 16 << 20,
    PROPOSALS_MAX = 256,
    PROPOSAL_BYTES_MAX = 1 << 20
};

// WHAT WAS SUBMITTED HERE

static void own_add(struct replica_own *own, uint64_t ticket, size_t size) {
    if (own->count == own->capacity) {
        size_t grown = own->capacity ? own->capacity * 2 : 64;
        uint64_t *tickets = rt_alloc_zero(grown, sizeof(*tickets));
        size_t *sizes = rt_alloc_zero(grown, sizeof(*sizes));
        for (size_t i = 0; i < own->count; i++) {
            tickets[i] = own->tickets[(own->first + i) % own->capacity];
            sizes[i] = own->sizes[(own->first + i) % own->capacity];
        }
        rt_free(own->tickets);
        rt_free(own->sizes);
        own->tickets = tickets;
        own->sizes = sizes;
        own->first = 0;
        own->capacity = grown;
    }
    size_t at = (own->first + own->count++) % own->capacity;
    own->tickets[at] = ticket;
    own->sizes[at] = size;
    own->bytes += size;
}

static void own_pop(struct replica_own *own) {
    own->bytes -= own->sizes[own->first];
    own->first = (own->first + 1) % own->capacity;
    own->count--;
}

static bool own_remove(struct replica_own *own, uint64_t ticket) {
    size_t at = 0;
    while (at < own->count && own->tickets[(own->first + at) % own->capacity] != ticket) at++;
    if (at == own->count) return false;
    own->bytes -= own->sizes[(own->first + at) % own->capacity];
    for (; at + 1 < own->count; at++) {
        size_t to = (own->first + at) % own->capacity, from = (own->first + at + 1) % own->capacity;
        own->tickets[to] = own->tickets[from];
        own->sizes[to] = own->sizes[from];
    }
    own->count--;
    return true;
}

static bool own_is_full(const struct meta_replica *replica) {
    return replica->own.count >= OWN_COUNT_MAX || replica->own.bytes >= OWN_BYTES_MAX;
}

static void drain(struct meta_replica *replica) {
    if (!replica->told_busy || own_is_full(replica)) return;
    replica->told_busy = false;
    if (!replica->closing) replica->options.events->drained(replica->options.events);
}

// Outcomes come in the order of submission; one that is skipped will never come.
void replica_outcome_seen(struct meta_replica *replica, const struct meta_outcome *outcome) {
    struct replica_own *own = &replica->own;
    bool ours = outcome->origin == replica->options.node_id &&
                outcome->ticket - replica->ticket_first < replica->ticket - replica->ticket_first;
    if (!ours) return;
    while (own->count && own->tickets[own->first] - replica->ticket_first <=
                             outcome->ticket - replica->ticket_first)
        own_pop(own);
    drain(replica);
}

void replica_interrupt(struct meta_replica *replica) {
    bool any = replica->own.count || !rt_list_is_empty(&replica->syncs);
    while (replica->own.count) own_pop(&replica->own);
    if (any && !replica->closing) replica->options.events->interrupted(replica->options.events);
    drain(replica);
}

void replica_refused(struct meta_replica *replica, uint64_t ticket) {
    if (!own_remove(&replica->own, ticket)) return;
    replica->options.events->refused(replica->options.events, ticket);
    drain(replica);
}

// BOXES

static void box_release(struct raft_payload *payload) {
    struct replica_box *box = rt_container_of(payload, struct replica_box, payload);
    rt_buf_fini(&box->bytes);
    rt_free(box);
}

static struct replica_box *box_new(struct meta_replica *replica) {
    struct replica_box *box = RT_NEW(struct replica_box);
    raft_payload_init(&box->payload, box_release);
    rt_list_init(&box->link);
    rt_list_push_back(&replica->queue, &box->link);
    rt_flush_later(replica->loop, &replica->flush);
    return box;
}

static void box_added(struct meta_replica *replica, const struct replica_box *box) {
    replica->queue_bytes += box->bytes.size;
    replica->queue_count++;
}

static void box_out(struct meta_replica *replica, struct replica_box *box) {
    rt_list_remove(&box->link);
    replica->queue_bytes -= box->bytes.size;
    replica->queue_count--;
    raft_payload_drop(&box->payload);
}

void replica_propose(struct meta_replica *replica, const struct meta_command *command) {
    struct replica_box *box = box_new(replica);
    struct rt_writer w = rt_writer_into(&box->bytes);
    meta_command_encode(command, &w);
    box_added(replica, box);
}

static void queue_clear(struct meta_replica *replica) {
    while (!rt_list_is_empty(&replica->queue))
        box_out(replica, rt_container_of(replica->queue.next, struct replica_box, link));
    replica->queue_waits = false;
}

// PROPOSING

// Refused with RT_EBUSY, the queue waits until something is committed or a transfer has ended: to
// ask in every turn would keep the loop spinning until then.
void replica_queue_go_on(struct meta_replica *replica) {
    const struct raft_status *status = &replica->status;
    bool moved = status->uncommitted_bytes < replica->waits_uncommitted ||
                 status->transfer_to != replica->waits_transfer;
    if (replica->proposing || !replica->queue_count) return;
    if (replica->queue_waits && !moved) return;
    replica->queue_waits = false;
    rt_flush_later(replica->loop, &replica->flush);
}

static rt_err proposed(struct meta_replica *replica, const struct raft_event *event) {
    replica->waits_uncommitted = replica->status.uncommitted_bytes;
    replica->waits_transfer = replica->status.transfer_to;
    replica->proposing = true;
    rt_err err = replica_step(replica, event);
    replica->proposing = false;
    return err;
}

static int64_t stamp_now(struct meta_replica *replica) {
    int64_t now = (int64_t)(rt_machine_wall_ns(replica->machine) / RT_NS_PER_MS);
    int64_t applied = meta_store_totals(replica->store).time_ms;
    if (now < applied) now = applied;
    if (now > replica->stamp_ms) replica->stamp_ms = now;
    return replica->stamp_ms;
}

static bool propose_some(struct meta_replica *replica) {
    struct raft_proposal proposals[PROPOSALS_MAX];
    size_t count = 0, bytes = 0;
    int64_t stamp = stamp_now(replica);
    rt_list_each (node, &replica->queue) {
        struct replica_box *box = rt_container_of(node, struct replica_box, link);
        bool full =
            count == PROPOSALS_MAX || (count && bytes + box->bytes.size > PROPOSAL_BYTES_MAX);
        if (full) break;
        meta_command_stamp(box->bytes.data, stamp);
        proposals[count++] = (struct raft_proposal){rt_buf_bytes(&box->bytes), &box->payload};
        bytes += box->bytes.size;
    }
    if (!count) return false;
    struct raft_event event = {.kind = RAFT_PROPOSED, .proposals = {proposals, count}};
    rt_err err = proposed(replica, &event);
    if (err == RT_EBUSY) {
        replica->queue_waits = true;
        replica_queue_go_on(replica);
        return false;
    }
    if (err == RT_EAGAIN) {
        replica_leadership_changed(replica);
        return false;
    }
    assert(!err);  // sizes were checked when they were queued
    for (; count && !rt_list_is_empty(&replica->queue); count--)
        box_out(replica, rt_container_of(replica->queue.next, struct replica_box, link));
    return true;
}

static void syncs_ask(struct meta_replica *replica) {
    while (!rt_list_is_empty(&replica->new_syncs)) {
        struct meta_sync *sync =
            rt_container_of(rt_list_pop_front(&replica->new_syncs), struct meta_sync, link);
        sync->context = ++replica->sync_context;
        rt_list_push_back(&replica->syncs, &sync->link);
        struct raft_event event = {.kind = RAFT_READ_ASKED, .read_context = sync->context};
        if (!replica_step(replica, &event)) continue;
        rt_list_remove(&sync->link);
        sync->done(sync, RT_ETIMEDOUT);
    }
}

static void requests_flush(struct rt_flush *flush) {
    struct meta_replica *replica = rt_container_of(flush, struct meta_replica, flush);
    if (!replica->raft || replica->closing || replica->failing) return;
    while (!replica->queue_waits && propose_some(replica)) continue;
    syncs_ask(replica);
}

// FOR CLIENTS

uint64_t meta_replica_next_ticket(struct meta_replica *replica) {
    return replica->ticket++;
}

static uint64_t ticket_of(struct rt_bytes command) {
    enum { TICKET_OFFSET = 20 };
    struct rt_reader r = rt_reader_over(rt_bytes_skip(command, TICKET_OFFSET));
    return rt_read_be64(&r);
}

static bool is_too_big(struct meta_replica *replica, uint64_t origin, size_t size) {
    if (size <= replica->options.command_bytes_max) return false;
    if (rt_log_allows(&replica->refusal_limit, "meta"))
        rt_log_warn("meta",
                    "a request is larger than the log takes origin=%llu bytes=%zu bytes_max=%zu",
                    (unsigned long long)origin, size, replica->options.command_bytes_max);
    return true;
}

static void enqueue(struct meta_replica *replica, struct rt_buf *command) {
    struct replica_box *box = box_new(replica);
    box->bytes = *command;
    *command = (struct rt_buf){0};
    box_added(replica, box);
}

static void forward(struct meta_replica *replica, struct rt_buf *command) {
    struct rt_writer w;
    rt_buf_clear(&replica->frame);
    w = rt_writer_into(&replica->frame);
    meta_peer_forward_encode(replica->status.term, rt_buf_bytes(command), &w);
    meta_peers_send(replica->peers, replica->status.leader, rt_buf_bytes(&replica->frame));
    rt_buf_fini(command);
    *command = (struct rt_buf){0};
}

rt_err meta_replica_submit(struct meta_replica *replica, struct rt_buf *command) {
    bool leads = replica->raft && replica->status.role == RAFT_LEADER;
    uint64_t leader = replica->raft ? replica->status.leader : 0;
    if (!leader || replica->closing || replica->failing) return RT_EAGAIN;
    if (!leads && !meta_peers_is_connected(replica->peers, leader)) return RT_EAGAIN;
    if (is_too_big(replica, replica->options.node_id, command->size)) return RT_ETOOBIG;
    if (own_is_full(replica)) {
        replica->told_busy = true;
        return RT_EBUSY;
    }
    own_add(&replica->own, ticket_of(rt_buf_bytes(command)), command->size);
    replica->sent_to = leader;
    replica->sent_term = replica->status.term;
    if (leads)
        enqueue(replica, command);
    else
        forward(replica, command);
    return RT_OK;
}

void replica_refuse(struct meta_replica *replica, uint64_t to, const uint64_t *ticket) {
    struct rt_writer w;
    rt_buf_clear(&replica->frame);
    w = rt_writer_into(&replica->frame);
    meta_peer_refused_encode(ticket, &w);
    meta_peers_send(replica->peers, to, rt_buf_bytes(&replica->frame));
}

void replica_forwarded(struct meta_replica *replica, uint64_t from, uint64_t term,
                       struct rt_bytes command) {
    bool leads = replica->status.role == RAFT_LEADER && replica->status.term == term;
    bool full = replica->queue_bytes + command.size > replica->options.queue_bytes_max;
    if (!leads) {
        replica_refuse(replica, from, NULL);
        return;
    }
    if (is_too_big(replica, from, command.size) || full) {
        uint64_t ticket = ticket_of(command);
        replica_refuse(replica, from, &ticket);
        return;
    }
    struct rt_buf copy = {0};
    rt_buf_append(&copy, command);
    enqueue(replica, &copy);
}

// What was given to the old leader stays with it.
void replica_leadership_changed(struct meta_replica *replica) {
    bool leads = replica->status.role == RAFT_LEADER;
    if (!leads && replica->queue_count) {
        queue_clear(replica);
    }
    bool moved =
        replica->sent_to != replica->status.leader || replica->sent_term != replica->status.term;
    if (moved) replica_interrupt(replica);
}

void meta_replica_sync(struct meta_replica *replica, struct meta_sync *sync) {
    rt_list_push_back(&replica->new_syncs, &sync->link);
    rt_flush_later(replica->loop, &replica->flush);
}

void meta_replica_sync_cancel(struct meta_replica *replica, struct meta_sync *sync) {
    (void)replica;  // whichever list it is in
    rt_list_remove(&sync->link);
}

void replica_reads_done(struct meta_replica *replica, const struct raft_read_done *reads,
                        size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct meta_sync *found = NULL;
        rt_list_each (node, &replica->syncs) {
            struct meta_sync *sync = rt_container_of(node, struct meta_sync, link);
            if (sync->context == reads[i].context) found = sync;
            if (found) break;
        }
        if (!found) continue;  // canceled
        rt_list_remove(&found->link);
        found->done(found, reads[i].err);
    }
}

void replica_requests_init(struct meta_replica *replica) {
    rt_list_init(&replica->queue);
    rt_list_init(&replica->syncs);
    rt_list_init(&replica->new_syncs);
    rt_flush_init(&replica->flush, requests_flush, "meta.propose");
    replica->refusal_limit.burst = 5;
    rt_machine_entropy(replica->machine, &replica->ticket_first, sizeof(replica->ticket_first));
    replica->ticket = replica->ticket_first;
}

void replica_requests_fini(struct meta_replica *replica) {
    queue_clear(replica);
    rt_flush_forget(replica->loop, &replica->flush);
    rt_free(replica->own.tickets);
    rt_free(replica->own.sizes);
}
