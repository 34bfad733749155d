// Requests on their way: proposed here when this node leads, forwarded in order when another does.
//
// What was given to a leader is never given to another: whether it came into the log is not known,
// and a second try could do it twice. When that leader goes, whoever waits is told so.
#include <assert.h>
#include <string.h>

#include "meta/server/replica/replica_internal.h"

enum {
    OWN_COUNT_MAX = 4000,
    OWN_BYTES_MAX = 16 << 20,
    PROPOSALS_MAX = 256,
    PROPOSAL_BYTES_MAX = 1 << 20,
    QUEUE_BYTES_MAX = 256 << 20  // of all followers; each bounds its own share
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

static bool own_is_full(const struct meta_replica *replica) {
    return replica->own.count >= OWN_COUNT_MAX || replica->own.bytes >= OWN_BYTES_MAX;
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
    if (!replica->told_busy || own_is_full(replica)) return;
    replica->told_busy = false;
    replica->options.events->drained(replica->options.events);
}

void replica_interrupt(struct meta_replica *replica) {
    bool any = replica->own.count || !rt_list_is_empty(&replica->syncs);
    while (replica->own.count) own_pop(&replica->own);
    if (any && !replica->closing) replica->options.events->interrupted(replica->options.events);
    if (replica->told_busy && !replica->closing) {
        replica->told_busy = false;
        replica->options.events->drained(replica->options.events);
    }
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

void replica_enqueue(struct meta_replica *replica, struct rt_bytes command) {
    struct replica_box *box = box_new(replica);
    rt_buf_append(&box->bytes, command);
    box_added(replica, box);
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
}

// PROPOSING

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
    replica->proposing = true;
    rt_err err = replica_step(replica, &event);
    replica->proposing = false;
    if (err == RT_EBUSY) return false;  // asked again with the next step: some are done by then
    if (err == RT_EAGAIN) {
        replica_leadership_changed(replica);
        return false;
    }
    assert(!err);  // too large ones were never queued
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
    while (propose_some(replica)) continue;
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

rt_err meta_replica_submit(struct meta_replica *replica, struct rt_buf *command) {
    bool leads = replica->raft && replica->status.role == RAFT_LEADER;
    uint64_t leader = replica->raft ? replica->status.leader : 0;
    if (!leader || replica->closing || replica->failing) return RT_EAGAIN;
    if (!leads && !meta_peers_is_connected(replica->peers, leader)) return RT_EAGAIN;
    if (command->size > replica->options.command_bytes_max) return RT_ETOOBIG;
    if (own_is_full(replica)) {
        replica->told_busy = true;
        return RT_EBUSY;
    }
    own_add(&replica->own, ticket_of(rt_buf_bytes(command)), command->size);
    replica->sent_to = leader;
    replica->sent_term = replica->status.term;
    if (leads) {
        struct replica_box *box = box_new(replica);
        box->bytes = *command;
        *command = (struct rt_buf){0};
        box_added(replica, box);
    } else {
        replica_send(replica, leader, META_PEER_FORWARD, rt_buf_bytes(command));
        rt_buf_fini(command);
        *command = (struct rt_buf){0};
    }
    return RT_OK;
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
    rt_machine_entropy(replica->machine, &replica->ticket_first, sizeof(replica->ticket_first));
    replica->ticket = replica->ticket_first;
}

void replica_requests_fini(struct meta_replica *replica) {
    queue_clear(replica);
    rt_flush_forget(replica->loop, &replica->flush);
    rt_free(replica->own.tickets);
    rt_free(replica->own.sizes);
}
