#include "tests/unit/raft/cluster.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "runtime/mem.h"
#include "tests/unit/raft/wire.h"

enum { TRACE_SIZE = 1 << 20 };

struct cluster_options cluster_options_default(uint64_t seed) {
    struct cluster_options options = {.seed = seed, .founders = 3, .nodes = 3};
    options.core = raft_options_default(1, 0);
    options.core.heartbeat_ticks = 2;
    return options;
}

static void found_cluster(struct cluster *c) {
    struct raft_config config = {.index = 1};
    for (unsigned id = 1; id <= c->options.founders; id++) {
        rt_err err = raft_config_put(&config, id, RAFT_VOTER, "somewhere:1");
        assert(!err);
    }
    uint8_t memory[RAFT_CONFIG_SIZE_MAX];
    struct rt_writer w = rt_writer_over(memory, sizeof(memory));
    raft_config_encode(&config, &w);
    struct raft_entry entry = {.at = {1, RAFT_FIRST_TERM}, .kind = RAFT_CONFIG};
    entry.payload = raft_payload_copy(RT_BYTES(memory, w.written), &entry.data);
    for (unsigned id = 1; id <= c->options.founders; id++) {
        cells_append(&c->nodes[id].disk.log, &entry);
        c->nodes[id].disk.hard_state.term = RAFT_FIRST_TERM;
        c->nodes[id].disk.hard_state.commit = 1;
    }
    raft_payload_drop(entry.payload);
}

void cluster_init(struct cluster *c, const struct cluster_options *options) {
    memset(c, 0, sizeof(*c));
    c->options = *options;
    assert(options->nodes <= NODES_MAX && options->founders <= options->nodes);
    rt_random_split(&c->random, options->seed, "cluster");
    rt_random_split(&c->network, options->seed, "network");
    for (unsigned id = 1; id <= NODES_MAX; id++) c->nodes[id].id = id;
    found_cluster(c);
    for (unsigned id = 1; id <= options->founders; id++) node_start(c, &c->nodes[id]);
}

static void letters_fini(struct letters *letters) {
    for (size_t i = 0; i < letters->count; i++) rt_buf_fini(&letters->items[i].frame);
    rt_free(letters->items);
}

static void node_fini(struct cluster *c, struct node *node) {
    node_crash_disk(c, node);
    node_stop(c, node);
    cells_fini(&node->disk.log);
    letters_fini(&node->outbox);
    rt_buf_fini(&node->incoming.bytes);
    rt_free(node->work);
    rt_free(node->reads);
}

void cluster_fini(struct cluster *c) {
    for (unsigned id = 1; id <= NODES_MAX; id++) node_fini(c, &c->nodes[id]);
    letters_fini(&c->network_letters);
    checks_fini(c);
    rt_free(c->trace);
}

void cluster_fail(struct cluster *c, const char *format, ...) {
    if (c->failure[0]) return;
    va_list args;
    va_start(args, format);
    int used = snprintf(c->failure, sizeof(c->failure), "seed %" PRIu64 " tick %" PRIu64 ": ",
                        c->options.seed, c->now);
    vsnprintf(c->failure + used, sizeof(c->failure) - (size_t)used, format, args);
    va_end(args);
}

bool cluster_has_failed(const struct cluster *c) {
    return c->failure[0] != 0;
}

// NETWORK

static void deliver(struct cluster *c, struct letter *letter) {
    struct node *node = &c->nodes[letter->to];
    if (!node->raft || c->cut[letter->from][letter->to]) return;
    struct rt_bytes frame;
    struct raft_payload *payload = raft_payload_copy(rt_buf_bytes(&letter->frame), &frame);
    struct rt_arena arena = {0};
    struct raft_message message;
    rt_err err = wire_decode(frame, payload, &arena, &message);
    if (err) {
        cluster_fail(c, "a frame cannot be read");
    } else {
        struct raft_event event = {.kind = RAFT_RECEIVED, .message = &message};
        err = node_step(c, node, &event);
        if (err)
            cluster_fail(c, "node %" PRIu64 " refuses a message: %s", node->id, rt_err_name(err));
    }
    rt_arena_fini(&arena);
    raft_payload_drop(payload);
}

// The earliest that is due: equal times in random order where there is delay at all.
static bool network_work(struct cluster *c) {
    struct letters *letters = &c->network_letters;
    size_t best = letters->count;
    for (size_t i = 0; i < letters->count; i++) {
        const struct letter *letter = &letters->items[i];
        if (letter->due > c->now || c->nodes[letter->to].paused_until > c->now) continue;
        bool earlier =
            best == letters->count || letter->due < letters->items[best].due ||
            (letter->due == letters->items[best].due && letter->order < letters->items[best].order);
        if (earlier) best = i;
    }
    if (best == letters->count) return false;
    struct letter letter = letters->items[best];
    letters->items[best] = letters->items[--letters->count];
    deliver(c, &letter);
    rt_buf_fini(&letter.frame);
    return true;
}

void cluster_settle(struct cluster *c) {
    bool busy = true;
    while (busy && !cluster_has_failed(c)) {
        busy = false;
        for (unsigned id = 1; id <= c->options.nodes && !cluster_has_failed(c); id++) {
            while (!cluster_has_failed(c) && node_work(c, &c->nodes[id])) busy = true;
        }
        while (!cluster_has_failed(c) && network_work(c)) busy = true;
    }
}

static void timers(struct cluster *c) {
    struct raft_event tick = {.kind = RAFT_TICK};
    c->now++;
    for (unsigned id = 1; id <= c->options.nodes && !cluster_has_failed(c); id++) {
        struct node *node = &c->nodes[id];
        if (!node->raft || node->paused_until > c->now) continue;
        RT_IGNORE(node_step(c, node, &tick));  // never refused
    }
}

void cluster_tick(struct cluster *c) {
    timers(c);
    cluster_settle(c);
}

void cluster_run(struct cluster *c, unsigned ticks) {
    while (ticks-- && !cluster_has_failed(c)) cluster_tick(c);
}

struct node *cluster_leader(struct cluster *c) {
    struct node *best = NULL;
    for (unsigned id = 1; id <= c->options.nodes; id++) {
        struct node *node = &c->nodes[id];
        if (!node->raft || !node->status.ready) continue;
        if (!best || node->status.term > best->status.term) best = node;
    }
    return best;
}

uint64_t cluster_elect(struct cluster *c, uint64_t id) {
    enum { ATTEMPTS = 40 };
    for (unsigned i = 0; i < ATTEMPTS * c->options.core.election_ticks; i++) {
        if (cluster_has_failed(c)) return 0;
        cluster_tick(c);
        struct node *leader = cluster_leader(c);
        if (!leader) continue;
        if (id == 0 || leader->id == id) return leader->id;
        struct raft_event event = {.kind = RAFT_TRANSFER_ASKED, .peer = id};
        RT_IGNORE(node_step(c, leader, &event));  // tried again
        cluster_settle(c);
    }
    cluster_fail(c, "nobody is elected");
    return 0;
}

// FAULTS

void cluster_crash(struct cluster *c, uint64_t id) {
    struct node *node = &c->nodes[id];
    if (!node->raft) return;
    node_crash_disk(c, node);
    node_stop(c, node);
}

void cluster_rot(struct cluster *c, uint64_t id) {
    for (unsigned other = 1; other <= c->options.nodes; other++) {
        if (c->nodes[other].disk.claimed_last.index) return;  // a second fault may be too many
    }
    struct node *node = &c->nodes[id];
    cluster_crash(c, id);
    uint64_t floor = node->disk.applied > node->disk.snapshot.index ? node->disk.applied
                                                                    : node->disk.snapshot.index;
    uint64_t last = cells_last(&node->disk.log);
    if (last <= floor || last == node->disk.log.base.index) return;
    node->disk.claimed_last = cells_at(&node->disk.log, last)->entry.at;
    cells_truncate(&node->disk.log, rt_random_between(&c->random, floor + 1, last));
}

void cluster_restart(struct cluster *c, uint64_t id) {
    if (c->nodes[id].raft) return;
    c->nodes[id].paused_until = 0;
    node_start(c, &c->nodes[id]);
}

void cluster_cut(struct cluster *c, uint64_t from, uint64_t to, bool cut) {
    c->cut[from][to] = cut;
}

void cluster_isolate(struct cluster *c, uint64_t id, bool isolated) {
    for (unsigned other = 1; other <= c->options.nodes; other++) {
        if (other == id) continue;
        c->cut[id][other] = c->cut[other][id] = isolated;
    }
}

void cluster_heal(struct cluster *c) {
    memset(c->cut, 0, sizeof(c->cut));
    c->options.drop_ppm = c->options.duplicate_ppm = 0;
    for (unsigned id = 1; id <= c->options.nodes; id++) c->nodes[id].paused_until = 0;
}

// REQUESTS

rt_err cluster_event(struct cluster *c, uint64_t id, const struct raft_event *event) {
    struct node *node = &c->nodes[id];
    return node->raft ? node_step(c, node, event) : RT_ECLOSED;
}

rt_err cluster_propose(struct cluster *c, uint64_t id, const char *text) {
    struct raft_proposal proposal;
    proposal.payload = raft_payload_copy(rt_bytes_of(text), &proposal.data);
    struct raft_event event = {.kind = RAFT_PROPOSED};
    event.proposals.items = &proposal;
    event.proposals.count = 1;
    rt_err err = cluster_event(c, id, &event);
    raft_payload_drop(proposal.payload);
    if (err) {
        c->nodes[id].refused++;
    } else {
        c->proposals++;
    }
    return err;
}

rt_err cluster_read(struct cluster *c, uint64_t id) {
    struct node *node = &c->nodes[id];
    if (!node->raft) return RT_ECLOSED;
    if (node->read_count == node->read_capacity) {
        node->read_capacity = node->read_capacity ? node->read_capacity * 2 : 16;
        node->reads = rt_realloc(node->reads, node->read_capacity * sizeof(*node->reads));
    }
    uint64_t context = ++c->contexts;
    node->reads[node->read_count].context = context;
    node->reads[node->read_count++].fresh_from = c->committed.count;
    struct raft_event event = {.kind = RAFT_READ_ASKED, .read_context = context};
    rt_err err = node_step(c, node, &event);
    if (err) node->read_count--;
    return err;
}

rt_err cluster_change(struct cluster *c, uint64_t id, const struct raft_config *target) {
    struct raft_event event = {.kind = RAFT_CONFIG_PROPOSED, .config = target};
    rt_err err = cluster_event(c, id, &event);
    if (!err) c->changes++;
    return err;
}

// LIVENESS

static bool has_converged(struct cluster *c) {
    struct node *leader = cluster_leader(c);
    if (!leader) return false;
    const struct raft_config *config = raft_config(leader->raft);
    if (raft_config_is_joint(config) || leader->status.commit < leader->status.last) return false;
    for (unsigned i = 0; i < config->count; i++) {
        struct node *node = &c->nodes[config->members[i].id];
        if (node->state.applied != leader->status.last || node->status.leader != leader->id) {
            return false;
        }
    }
    return true;
}

void cluster_converge(struct cluster *c, unsigned ticks) {
    cluster_heal(c);
    for (unsigned id = 1; id <= c->options.nodes; id++) cluster_restart(c, id);
    bool proposed = false;
    while (ticks-- && !cluster_has_failed(c)) {
        cluster_tick(c);
        if (!has_converged(c)) continue;
        if (proposed) return;
        proposed = cluster_propose(c, cluster_leader(c)->id, "the last one") == RT_OK;
    }
    cluster_fail(c, "liveness: no agreement after the faults ended");
}

// TRANSCRIPTS

void cluster_trace_begin(struct cluster *c) {
    if (!c->trace) c->trace = rt_alloc(TRACE_SIZE);
    c->trace[0] = 0;
    c->trace_size = 0;
}

void cluster_trace_line(struct cluster *c, const char *format, ...) {
    if (!c->trace) return;
    va_list args;
    va_start(args, format);
    size_t left = TRACE_SIZE - c->trace_size;
    int used = vsnprintf(c->trace + c->trace_size, left - 2, format, args);
    va_end(args);
    assert(used >= 0 && (size_t)used < left - 2);
    c->trace_size += (size_t)used;
    memcpy(c->trace + c->trace_size, "\n", 2);
    c->trace_size++;
}

const char *cluster_trace(struct cluster *c) {
    return c->trace;
}
