// The invariants of a replicated log, checked after every step of every node. They look at the
// simulated disks and at the whole history, not at what nodes believe.
#include <inttypes.h>
#include <string.h>

#include "meta/raft/core.h"
#include "runtime/mem.h"
#include "tests/unit/raft/cluster.h"

void checks_fini(struct cluster *c) {
    rt_free(c->committed.chains);
    rt_free(c->committed.terms);
    rt_free(c->leaders.ids);
    rt_free(c->votes.votes);
    rt_free(c->known);
}

static uint64_t *grown(uint64_t *items, size_t *capacity, size_t index) {
    if (index < *capacity) return items;
    size_t next = index * 2 + 64;
    items = rt_realloc(items, next * sizeof(*items));
    memset(items + *capacity, 0, (next - *capacity) * sizeof(*items));
    *capacity = next;
    return items;
}

// LOG MATCHING: an index and a term name one history.

static struct known_entry *known_slot(struct known_entry *table, size_t capacity, uint64_t index,
                                      uint64_t term) {
    uint64_t hash = (index * UINT64_C(0x9e3779b97f4a7c15)) ^ (term * UINT64_C(0xbf58476d1ce4e5b9));
    size_t at = (size_t)(hash >> 20) & (capacity - 1);
    while (table[at].index && (table[at].index != index || table[at].term != term)) {
        at = (at + 1) & (capacity - 1);
    }
    return &table[at];
}

static void known_grow(struct cluster *c) {
    size_t capacity = c->known_capacity ? c->known_capacity * 2 : 1024;
    struct known_entry *table = rt_alloc_zero(capacity, sizeof(*table));
    for (size_t i = 0; i < c->known_capacity; i++) {
        struct known_entry *old = &c->known[i];
        if (old->index) *known_slot(table, capacity, old->index, old->term) = *old;
    }
    rt_free(c->known);
    c->known = table;
    c->known_capacity = capacity;
}

static void check_matching(struct cluster *c, struct node *node, const struct cell *cell) {
    if (c->known_count * 2 >= c->known_capacity) known_grow(c);
    struct raft_position at = cell->entry.at;
    struct known_entry *slot = known_slot(c->known, c->known_capacity, at.index, at.term);
    if (!slot->index) {
        *slot = (struct known_entry){at.index, at.term, cell->chain};
        c->known_count++;
    } else if (slot->chain != cell->chain) {
        cluster_fail(c, "log matching: node %" PRIu64 " has another entry %" PRIu64 "/%" PRIu64,
                     node->id, at.index, at.term);
    }
}

// TRUNCATION never removes what is committed, and leaders only append.

void check_log_write(struct cluster *c, struct node *node, const struct raft_log_write *write) {
    bool cuts = write->reset || write->truncate_from;
    if (cuts && node->status.role == RAFT_LEADER) {
        cluster_fail(c, "leader append-only: node %" PRIu64 " cuts its log", node->id);
    }
    if (!cuts) return;
    uint64_t from = write->reset ? write->base.index + 1 : write->truncate_from;
    for (uint64_t i = from; i <= cells_last(&node->log) && i <= c->committed.count; i++) {
        const struct cell *cell = cells_at(&node->log, i);
        // What a later term decided, a node that is still in an earlier one may cut once more.
        bool decided = c->committed.terms[i - 1] <= node->status.term;
        if (cell && decided && cell->chain == c->committed.chains[i - 1]) {
            cluster_fail(c, "truncation: node %" PRIu64 " cuts committed entry %" PRIu64, node->id,
                         i);
            return;
        }
    }
}

// ELECTION SAFETY and LEADER COMPLETENESS.

static void check_leader(struct cluster *c, struct node *node) {
    uint64_t term = node->status.term;
    c->leaders.ids = grown(c->leaders.ids, &c->leaders.capacity, term);
    if (c->leaders.ids[term] == node->id) return;
    if (c->leaders.ids[term]) {
        cluster_fail(c, "election safety: nodes %" PRIu64 " and %" PRIu64 " lead term %" PRIu64,
                     c->leaders.ids[term], node->id, term);
        return;
    }
    c->leaders.ids[term] = node->id;
    c->elections++;
    cluster_trace_line(c, "%" PRIu64 " leads t%" PRIu64, node->id, term);
    // What was decided in earlier terms; a leader may come to know of its election late.
    size_t last = c->committed.count;
    while (last && c->committed.terms[last - 1] >= term) last--;
    uint64_t chain = 0;
    if (last == 0 || last < node->log.base.index) return;
    if (!cells_chain(&node->log, last, &chain) || chain != c->committed.chains[last - 1]) {
        cluster_fail(
            c, "leader completeness: node %" PRIu64 " leads term %" PRIu64 " without entry %zu",
            node->id, term, last);
    }
}

// STATE MACHINE SAFETY.

static void commit_entry(struct cluster *c, struct node *node, uint64_t index) {
    const struct cell *cell = cells_at(&node->log, index);
    if (!cell) return;  // in a snapshot
    size_t at = (size_t)index - 1;
    if (at < c->committed.count) {
        if (c->committed.chains[at] != cell->chain) {
            cluster_fail(c, "state machine safety: node %" PRIu64 " commits another entry %" PRIu64,
                         node->id, index);
        }
        return;
    }
    if (at > c->committed.count) {
        cluster_fail(c, "node %" PRIu64 " commits entry %" PRIu64 " after %zu", node->id, index,
                     c->committed.count);
        return;
    }
    size_t capacity = c->committed.capacity;
    c->committed.chains = grown(c->committed.chains, &capacity, at);
    c->committed.terms = grown(c->committed.terms, &c->committed.capacity, at);
    c->committed.chains[at] = cell->chain;
    c->committed.terms[at] = node->status.term;
    c->committed.count++;
}

static bool disk_has(const struct node *node, uint64_t index, uint64_t chain) {
    if (node->disk.snapshot.index >= index) return true;
    if (node->disk.claimed_last.index >= index) return true;  // lost since, and known to be
    uint64_t own = 0;
    return cells_chain(&node->disk.log, index, &own) && own == chain;
}

// Counted on the disks, with the configuration that the leader goes by.
static void check_commit_durable(struct cluster *c, struct node *node, uint64_t index) {
    const struct raft_config *config = raft_config(node->raft);
    static const unsigned sets[] = {RAFT_VOTER, RAFT_VOTER_OLD};
    // A configuration that came into force in this very step did not take part in the decision.
    if (config->index >= node->status.last && node->status.last > index) return;
    for (size_t s = 0; s < 2; s++) {
        unsigned voters = 0, have = 0;
        for (unsigned i = 0; i < config->count; i++) {
            if (!(config->members[i].roles & sets[s])) continue;
            voters++;
            have +=
                disk_has(&c->nodes[config->members[i].id], index, c->committed.chains[index - 1]);
        }
        if (voters && have <= voters / 2) {
            cluster_fail(c, "commit: node %" PRIu64 " commits %" PRIu64 " with %u of %u disks",
                         node->id, index, have, voters);
        }
    }
}

static void check_commit(struct cluster *c, struct node *node) {
    uint64_t commit = node->status.commit;
    if (commit < node->commit_seen) {
        cluster_fail(c, "commit of node %" PRIu64 " falls from %" PRIu64 " to %" PRIu64, node->id,
                     node->commit_seen, commit);
    }
    for (uint64_t i = node->commit_seen + 1; i <= commit; i++) commit_entry(c, node, i);
    bool decides = node->status.role == RAFT_LEADER && commit > node->commit_seen &&
                   !c->options.indirect_only && !cluster_has_failed(c);
    if (decides) check_commit_durable(c, node, commit);
    node->commit_seen = commit;
}

// MATCH at the leader is never more than what the follower's disk has.
static void check_matches(struct cluster *c, struct node *node) {
    const struct raft_config *config = raft_config(node->raft);
    for (unsigned i = 0; i < config->count; i++) {
        uint64_t id = config->members[i].id;
        struct raft_peer_status peer;
        if (!raft_peer_status(node->raft, id, &peer) || peer.match == 0) continue;
        const struct node *follower = &c->nodes[id];
        uint64_t term = follower->raft ? follower->status.term : follower->disk.hard_state.term;
        uint64_t chain = 0;
        bool comparable = term <= node->status.term && !follower->disk.claimed_last.index &&
                          cells_chain(&node->log, peer.match, &chain);
        if (comparable && !disk_has(follower, peer.match, chain)) {
            cluster_fail(c, "match: leader %" PRIu64 " believes that %" PRIu64 " has %" PRIu64,
                         node->id, id, peer.match);
        }
    }
}

// LEASES: as if the leader answered reads by the clock alone. While it may, nobody else leads.
static uint64_t lease_round(const struct raft *raft, const struct raft_peer *peer) {
    return peer->id == raft->options.id ? UINT64_MAX : peer->acked_round;
}

static bool has_lease(const struct cluster *c, const struct node *node) {
    if (!node->raft || node->status.role != RAFT_LEADER) return false;
    if (node->transferred_in == node->status.term || node->round_term != node->status.term) {
        return false;
    }
    uint64_t round = raft_quorum_value(node->raft, lease_round);
    if (round == 0 || round > node->round_last || round + ROUNDS_KEPT <= node->round_last) {
        return false;
    }
    return c->now < node->round_tick[round % ROUNDS_KEPT] + c->options.core.election_ticks;
}

static void check_leases(struct cluster *c, struct node *node) {
    if (c->options.odds.pause) return;  // clocks that stop prove nothing
    for (unsigned id = 1; id <= c->options.nodes; id++) {
        struct node *other = &c->nodes[id];
        if (other != node && other->status.term < node->status.term && has_lease(c, other)) {
            cluster_fail(c,
                         "lease: %u may still answer reads of term %" PRIu64 " while %" PRIu64
                         " leads term %" PRIu64,
                         id, other->status.term, node->id, node->status.term);
        }
    }
}

static void check_memory(struct cluster *c, struct node *node) {
    const struct raft_options *options = &c->options.core;
    if (node->status.uncommitted_bytes >
        options->uncommitted_bytes_max + options->entry_bytes_max) {
        cluster_fail(c, "node %" PRIu64 " has %zu uncommitted bytes", node->id,
                     node->status.uncommitted_bytes);
    }
}

// What was lost is back: from now on the node is like all others.
static void settle_repair(struct node *node) {
    const struct cell *last = cells_at(&node->disk.log, cells_last(&node->disk.log));
    struct raft_position at = last ? last->entry.at : node->disk.log.base;
    bool whole = !node->status.repairing && raft_position_covers(at, node->disk.claimed_last);
    if (whole) node->disk.claimed_last = (struct raft_position){0};
}

void check_after_step(struct cluster *c, struct node *node) {
    raft_status(node->raft, &node->status);
    settle_repair(node);
    const struct raft_log_write *write = &raft_effects(node->raft)->log;
    for (size_t i = 0; i < write->entry_count; i++) {
        check_matching(c, node, cells_at(&node->log, write->entries[i].at.index));
    }
    if (node->status.term < node->term_seen) {
        cluster_fail(c, "term of node %" PRIu64 " falls", node->id);
    }
    // A term that never left the node may be forgotten in a crash; one on the disk may not.
    node->term_seen = node->disk.hard_state.term;
    check_commit(c, node);
    if (node->status.role != RAFT_LEADER || cluster_has_failed(c)) return;
    check_leader(c, node);
    check_leases(c, node);
    check_memory(c, node);
    if (!c->options.indirect_only) check_matches(c, node);
}

void check_apply(struct cluster *c, struct node *node, const struct raft_entry *entry) {
    uint64_t index = entry->at.index;
    if (index != node->state.applied + 1) {
        cluster_fail(c, "node %" PRIu64 " applies %" PRIu64 " after %" PRIu64, node->id, index,
                     node->state.applied);
        return;
    }
    uint64_t chain = chain_next(node->state.chain, entry);
    if (index > c->committed.count || chain != c->committed.chains[index - 1]) {
        cluster_fail(c, "state machine safety: node %" PRIu64 " applies another entry %" PRIu64,
                     node->id, index);
    }
}

void check_read(struct cluster *c, struct node *node, const struct raft_read_done *read) {
    for (size_t i = 0; i < node->read_count; i++) {
        if (node->reads[i].context != read->context) continue;
        bool stale = !read->err && node->state.applied < node->reads[i].fresh_from;
        if (stale) {
            cluster_fail(c,
                         "read: node %" PRIu64 " answers from %" PRIu64 ", %" PRIu64
                         " was committed before",
                         node->id, node->state.applied, node->reads[i].fresh_from);
        }
        if (read->err) {
            node->reads_failed++;
        } else {
            node->reads_done++;
        }
        node->reads[i] = node->reads[--node->read_count];
        return;
    }
    cluster_fail(c, "node %" PRIu64 " answers a read that nobody asked", node->id);
}

void check_message(struct cluster *c, struct node *node, const struct raft_message *message) {
    if (message->kind == RAFT_TIMEOUT_NOW) node->transferred_in = message->term;
    if (message->kind != RAFT_HEARTBEAT) return;
    if (node->round_term != message->term) node->round_last = 0;
    node->round_term = message->term;
    if (message->heartbeat.round > node->round_last) {
        node->round_last = message->heartbeat.round;
        node->round_tick[node->round_last % ROUNDS_KEPT] = c->now;
    }
}

static void check_vote(struct cluster *c, struct node *node, const struct letter *letter) {
    uint64_t term = letter->granted_term;
    if (!term) return;
    size_t slot = (size_t)term * (NODES_MAX + 1) + (size_t)node->id;
    c->votes.votes = grown(c->votes.votes, &c->votes.capacity, slot);
    uint64_t before = c->votes.votes[slot];
    c->votes.votes[slot] = letter->to;
    if (c->options.indirect_only) return;
    const struct raft_hard_state *disk = &node->disk.hard_state;
    bool durable = disk->term > term || (disk->term == term && disk->vote == letter->to);
    if (!durable || (before && before != letter->to)) {
        cluster_fail(
            c, "vote: node %" PRIu64 " votes for %" PRIu64 " in term %" PRIu64 " after %" PRIu64,
            node->id, letter->to, term, before);
    }
}

// What leaves the node is on its disk.
void check_release(struct cluster *c, struct node *node, const struct letter *letter) {
    check_vote(c, node, letter);
    if (c->options.indirect_only) return;
    if (letter->term > node->disk.hard_state.term) {
        cluster_fail(c, "node %" PRIu64 " reveals term %" PRIu64 " before it is durable", node->id,
                     letter->term);
    }
    // What waited for the disk into a later term is like a message that was long on its way:
    // whoever leads the later term was elected with the entry, or it cannot be committed any more.
    if (letter->is_ack && letter->term < node->status.term) return;
    if (letter->is_ack && !disk_has(node, letter->acked.index, letter->acked_chain)) {
        cluster_fail(c, "acknowledgement: node %" PRIu64 " does not have %" PRIu64 " on disk",
                     node->id, letter->acked.index);
    }
}
