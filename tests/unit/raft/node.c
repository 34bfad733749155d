// The driver: carries out effects against a simulated disk, and reports what was done.
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "runtime/mem.h"
#include "tests/unit/raft/cluster.h"
#include "tests/unit/raft/wire.h"

static bool has_driver_bug(const struct cluster *c, enum driver_bug bug) {
    return (c->options.driver_bugs & (unsigned)bug) != 0;
}

static uint64_t committed_chain(const struct cluster *c, uint64_t index) {
    return index && index <= c->committed.count ? c->committed.chains[index - 1] : 0;
}

// WORK

static struct work *work_add(struct cluster *c, struct node *node, enum work_kind kind) {
    if (node->work_count == node->work_capacity) {
        node->work_capacity = node->work_capacity ? node->work_capacity * 2 : 16;
        node->work = rt_realloc(node->work, node->work_capacity * sizeof(*node->work));
    }
    uint64_t due = c->now + rt_random_below(&c->random, c->options.disk_delay_max + 1);
    for (size_t i = 0; i < node->work_count; i++) {  // one kind is done in order
        if (node->work[i].kind == kind && node->work[i].due > due) due = node->work[i].due;
    }
    struct work *work = &node->work[node->work_count++];
    *work = (struct work){.kind = kind, .due = due};
    return work;
}

static void work_release(struct work *work) {
    for (size_t i = 0; i < work->log.entry_count; i++) {
        raft_payload_drop(work->log.entries[i].payload);
    }
    rt_free((void *)(uintptr_t)work->log.entries);
    raft_payload_drop(work->snapshot.payload);
    rt_free(work->config);
}

static void queue_log(struct cluster *c, struct node *node, const struct raft_log_write *write) {
    struct work *work = work_add(c, node, WORK_LOG);
    work->log = *write;
    work->base_chain = committed_chain(c, write->base.index);
    struct raft_entry *entries = rt_alloc_zero(write->entry_count + 1, sizeof(*entries));
    for (size_t i = 0; i < write->entry_count; i++) {
        entries[i] = write->entries[i];
        raft_payload_hold(entries[i].payload);
    }
    work->log.entries = entries;
}

static void queue_snapshot(struct cluster *c, struct node *node,
                           const struct raft_snapshot_effect *effect) {
    static const enum work_kind kinds[] = {
        [RAFT_SNAPSHOT_READ] = WORK_CHUNK_READ,
        [RAFT_SNAPSHOT_WRITE] = WORK_CHUNK_WRITE,
        [RAFT_SNAPSHOT_INSTALL] = WORK_INSTALL,
    };
    if (effect->kind == RAFT_SNAPSHOT_OPEN || effect->kind == RAFT_SNAPSHOT_CLOSE) return;
    struct work *work = work_add(c, node, kinds[effect->kind]);
    work->snapshot = *effect;
    raft_payload_hold(effect->payload);
    if (effect->config) {
        work->config = RT_NEW(struct raft_config);
        *work->config = *effect->config;
    }
}

// MESSAGES

static const char *const message_names[] = {
    [RAFT_PRE_VOTE] = "pre-vote",
    [RAFT_PRE_VOTE_REPLY] = "pre-vote-reply",
    [RAFT_VOTE] = "vote",
    [RAFT_VOTE_REPLY] = "vote-reply",
    [RAFT_APPEND] = "append",
    [RAFT_APPEND_REPLY] = "append-reply",
    [RAFT_HEARTBEAT] = "heartbeat",
    [RAFT_HEARTBEAT_REPLY] = "heartbeat-reply",
    [RAFT_SNAPSHOT] = "snapshot",
    [RAFT_SNAPSHOT_REPLY] = "snapshot-reply",
    [RAFT_READ] = "read",
    [RAFT_READ_REPLY] = "read-reply",
    [RAFT_TIMEOUT_NOW] = "timeout-now",
    [RAFT_REMOVED] = "removed",
};

static void describe(const struct raft_message *m, char text[TEXT_MAX]) {
    text[0] = 0;
    if (m->kind == RAFT_PRE_VOTE || m->kind == RAFT_VOTE) {
        snprintf(text, TEXT_MAX, " last=%" PRIu64 "/%" PRIu64, m->vote.last.index,
                 m->vote.last.term);
    } else if (m->kind == RAFT_PRE_VOTE_REPLY || m->kind == RAFT_VOTE_REPLY) {
        snprintf(text, TEXT_MAX, " %s", m->vote_reply.granted ? "granted" : "refused");
    } else if (m->kind == RAFT_APPEND) {
        snprintf(text, TEXT_MAX, " prev=%" PRIu64 "/%" PRIu64 " entries=%zu commit=%" PRIu64,
                 m->append.prev.index, m->append.prev.term, m->append.entry_count,
                 m->append.commit);
    } else if (m->kind == RAFT_APPEND_REPLY && m->append_reply.rejected) {
        snprintf(text, TEXT_MAX, " rejected=%" PRIu64 " hint=%" PRIu64 "/%" PRIu64,
                 m->append_reply.index, m->append_reply.hint.index, m->append_reply.hint.term);
    } else if (m->kind == RAFT_APPEND_REPLY) {
        snprintf(text, TEXT_MAX, " match=%" PRIu64, m->append_reply.index);
    } else if (m->kind == RAFT_HEARTBEAT) {
        snprintf(text, TEXT_MAX, " commit=%" PRIu64, m->heartbeat.commit);
    } else if (m->kind == RAFT_SNAPSHOT) {
        snprintf(text, TEXT_MAX, " at=%" PRIu64 " offset=%" PRIu64, m->snapshot.at.index,
                 m->snapshot.offset);
    } else if (m->kind == RAFT_SNAPSHOT_REPLY) {
        snprintf(text, TEXT_MAX, " offset=%" PRIu64 "%s", m->snapshot_reply.offset,
                 m->snapshot_reply.rewind ? " rewind" : "");
    }
}

static void letter_add(struct letters *letters, const struct letter *letter) {
    if (letters->count == letters->capacity) {
        letters->capacity = letters->capacity ? letters->capacity * 2 : 16;
        letters->items = rt_realloc(letters->items, letters->capacity * sizeof(*letters->items));
    }
    letters->items[letters->count++] = *letter;
}

static void queue_message(struct cluster *c, struct node *node, const struct raft_message *m) {
    check_message(c, node, m);
    struct letter letter = {.order = c->orders++, .from = m->from, .to = m->to, .needs = m->needs};
    bool reveals = m->kind != RAFT_PRE_VOTE && m->kind != RAFT_REMOVED &&
                   !(m->kind == RAFT_PRE_VOTE_REPLY && m->vote_reply.granted);
    letter.term = reveals ? m->term : 0;
    if (m->kind == RAFT_APPEND_REPLY && !m->append_reply.rejected) {
        letter.is_ack = true;
        letter.acked.index = m->append_reply.index;
        if (!cells_chain(&node->log, m->append_reply.index, &letter.acked_chain)) {
            letter.is_ack = false;  // below the base: a snapshot has it
        }
    }
    if (m->kind == RAFT_VOTE_REPLY && m->vote_reply.granted) letter.granted_term = m->term;
    wire_encode(m, &letter.frame);
    letter_add(&node->outbox, &letter);
    char text[TEXT_MAX];
    if (c->trace) {
        describe(m, text);
        cluster_trace_line(c, "%" PRIu64 ">%" PRIu64 " %s t%" PRIu64 "%s", m->from, m->to,
                           message_names[m->kind], m->term, text);
    }
}

static void post(struct cluster *c, struct letter *letter) {
    bool lost = letter->to > c->options.nodes || c->cut[letter->from][letter->to] ||
                rt_random_chance(&c->network, c->options.drop_ppm);
    if (lost) {
        rt_buf_fini(&letter->frame);
        return;
    }
    letter->due = c->now + rt_random_below(&c->network, c->options.delay_max + 1);
    if (rt_random_chance(&c->network, c->options.duplicate_ppm)) {
        struct letter copy = *letter;
        copy.frame = (struct rt_buf){0};
        rt_buf_append(&copy.frame, rt_buf_bytes(&letter->frame));
        copy.due += rt_random_below(&c->network, 4 * c->options.delay_max + 1);
        copy.order = c->orders++;
        letter_add(&c->network_letters, &copy);
    }
    letter_add(&c->network_letters, letter);
}

static void release_messages(struct cluster *c, struct node *node) {
    size_t kept = 0;
    for (size_t i = 0; i < node->outbox.count; i++) {
        struct letter letter = node->outbox.items[i];
        bool log_ready =
            letter.needs.log <= node->done.log || has_driver_bug(c, DRIVER_SENDS_BEFORE_LOG);
        bool state_ready = letter.needs.hard_state <= node->done.hard_state ||
                           has_driver_bug(c, DRIVER_SENDS_BEFORE_HARD_STATE);
        if (log_ready && state_ready) {
            check_release(c, node, &letter);
            post(c, &letter);
        } else {
            node->outbox.items[kept++] = letter;
        }
    }
    node->outbox.count = kept;
}

// EFFECTS

static void apply(struct cluster *c, struct node *node, const struct raft_effects *fx) {
    for (size_t i = 0; i < fx->apply_count; i++) {
        check_apply(c, node, &fx->apply[i]);
        node->state.applied = fx->apply[i].at.index;
        node->state.chain = chain_next(node->state.chain, &fx->apply[i]);
    }
    if (fx->apply_count) work_add(c, node, WORK_APPLY)->index = node->state.applied;
}

static void carry_out(struct cluster *c, struct node *node) {
    const struct raft_effects *fx = raft_effects(node->raft);
    raft_status(node->raft, &node->status);
    if (fx->write_hard_state) work_add(c, node, WORK_HARD_STATE)->hard_state = fx->hard_state;
    if (fx->write_log) {
        check_log_write(c, node, &fx->log);
        cells_write(&node->log, &fx->log, committed_chain(c, fx->log.base.index),
                    fx->log.entry_count);
        queue_log(c, node, &fx->log);
    }
    check_after_step(c, node);
    for (size_t i = 0; i < fx->message_count; i++) queue_message(c, node, &fx->messages[i]);
    for (size_t i = 0; i < fx->load_count; i++) work_add(c, node, WORK_LOAD)->load = fx->loads[i];
    for (size_t i = 0; i < fx->snapshot_count; i++) queue_snapshot(c, node, &fx->snapshots[i]);
    apply(c, node, fx);
    for (size_t i = 0; i < fx->read_count; i++) check_read(c, node, &fx->reads[i]);
    if (fx->log_unneeded_to) {
        cells_drop_to(&node->log, fx->log_unneeded_to);
        cells_drop_to(&node->disk.log, fx->log_unneeded_to);
    }
    if (fx->removed) node->removed = true;
    release_messages(c, node);
}

rt_err node_step(struct cluster *c, struct node *node, const struct raft_event *event) {
    assert(node->raft);
    c->steps++;
    rt_err err = raft_step(node->raft, event);
    bool wrote = raft_effects(node->raft)->write_log;
    uint64_t version = raft_effects(node->raft)->log.version;
    carry_out(c, node);
    if (wrote && has_driver_bug(c, DRIVER_REPORTS_LOG_EARLY)) {
        struct raft_event early = {.kind = RAFT_LOG_WRITTEN, .version = version};
        node->done.log = version;
        RT_IGNORE(raft_step(node->raft, &early));  // completions are never refused
        carry_out(c, node);
    }
    return err;
}

// COMPLETIONS

static void load_done(struct cluster *c, struct node *node, const struct raft_load *load) {
    struct raft_event event = {.kind = RAFT_LOADED};
    event.loaded.peer = load->peer;
    event.loaded.first = load->first;
    size_t most = (size_t)(load->last - load->first + 1), bytes = 0, count = 0;
    struct raft_entry *entries = rt_alloc_zero(most, sizeof(*entries));
    for (; count < most; count++) {
        const struct cell *cell = cells_at(&node->disk.log, load->first + count);
        if (!cell || (count && bytes + cell->entry.data.size > load->bytes_max)) break;
        bytes += cell->entry.data.size;
        entries[count] = cell->entry;
    }
    event.loaded.entries = entries;
    event.loaded.count = count;
    event.loaded.failed = count == 0;
    RT_IGNORE(node_step(c, node, &event));  // completions are never refused
    rt_free(entries);
}

static void chunk_read_done(struct cluster *c, struct node *node,
                            const struct raft_snapshot_effect *effect) {
    struct rt_buf bytes = {0};
    uint64_t chain = committed_chain(c, effect->at.index);
    snapshot_bytes(node->id, effect->at, chain, &bytes);
    size_t left = bytes.size - (size_t)effect->offset;
    size_t size = left < effect->size_max ? left : effect->size_max;
    struct raft_event event = {.kind = RAFT_CHUNK_READ};
    event.chunk.peer = effect->peer;
    event.chunk.at = effect->at;
    event.chunk.offset = effect->offset;
    event.chunk.total = bytes.size;
    event.chunk.payload =
        raft_payload_copy(RT_BYTES(bytes.data + effect->offset, size), &event.chunk.data);
    rt_buf_fini(&bytes);
    RT_IGNORE(node_step(c, node, &event));  // completions are never refused
    raft_payload_drop(event.chunk.payload);
}

static void snapshot_stored(struct node *node, struct raft_position at, uint64_t chain,
                            const struct raft_config *config) {
    if (at.index <= node->disk.snapshot.index) return;
    node->disk.snapshot = at;
    node->disk.snapshot_chain = chain;
    node->disk.snapshot_config = *config;
}

static void chunk_write_done(struct cluster *c, struct node *node, const struct work *work) {
    const struct raft_snapshot_effect *effect = &work->snapshot;
    struct rt_buf *bytes = &node->incoming.bytes;
    if (effect->transfer != node->incoming.transfer) {
        node->incoming.transfer = effect->transfer;
        rt_buf_clear(bytes);
    }
    if (bytes->size != effect->offset) {
        cluster_fail(c, "node %" PRIu64 ": snapshot chunk at %" PRIu64 " after %zu bytes", node->id,
                     effect->offset, bytes->size);
        return;
    }
    rt_buf_append(bytes, effect->data);
    if (bytes->size == effect->total) {
        struct raft_position at = {0};
        uint64_t chain = 0;
        bool sound = snapshot_parse(rt_buf_bytes(bytes), &at, &chain) &&
                     raft_position_equal(at, effect->at) && chain == committed_chain(c, at.index);
        if (!sound) {
            cluster_fail(c, "node %" PRIu64 ": received a broken snapshot", node->id);
            return;
        }
        snapshot_stored(node, at, chain, work->config);
    }
    struct raft_event event = {.kind = RAFT_CHUNK_WRITTEN};
    event.chunk_written.transfer = effect->transfer;
    event.chunk_written.end = effect->offset + effect->data.size;
    RT_IGNORE(node_step(c, node, &event));  // completions are never refused
}

static void hard_state_done(struct cluster *c, struct node *node, const struct work *work) {
    if (!has_driver_bug(c, DRIVER_FORGETS_VOTES)) node->disk.hard_state = work->hard_state;
    node->done.hard_state = work->hard_state.version;
    struct raft_event event = {.kind = RAFT_HARD_STATE_WRITTEN, .version = node->done.hard_state};
    RT_IGNORE(node_step(c, node, &event));  // completions are never refused
}

static void disk_log_write(struct cluster *c, struct node *node, const struct work *work,
                           size_t entry_count) {
    struct raft_log_write write = work->log;
    cells_write(&node->disk.log, &write, work->base_chain, entry_count);
    (void)c;
}

static void log_done(struct cluster *c, struct node *node, const struct work *work) {
    disk_log_write(c, node, work, work->log.entry_count);
    if (node->done.log < work->log.version) node->done.log = work->log.version;
    struct raft_event event = {.kind = RAFT_LOG_WRITTEN, .version = work->log.version};
    RT_IGNORE(node_step(c, node, &event));  // completions are never refused
}

static void install_done(struct cluster *c, struct node *node, const struct work *work) {
    node->state.applied = work->snapshot.at.index;
    node->state.chain = committed_chain(c, node->state.applied);
    c->snapshots_installed++;
    struct raft_event event = {.kind = RAFT_SNAPSHOT_INSTALLED, .index = node->state.applied};
    RT_IGNORE(node_step(c, node, &event));  // completions are never refused
}

static void snapshot_done(struct cluster *c, struct node *node, const struct work *work) {
    node->snapshotting = false;
    snapshot_stored(node, work->snapshot.at, work->chain, work->config);
    struct raft_event event = {.kind = RAFT_SNAPSHOT_TAKEN, .index = work->snapshot.at.index};
    RT_IGNORE(node_step(c, node, &event));  // completions are never refused
}

static void work_done(struct cluster *c, struct node *node, const struct work *work) {
    struct raft_event applied = {.kind = RAFT_APPLIED, .index = work->index};
    switch (work->kind) {
    case WORK_HARD_STATE: hard_state_done(c, node, work); break;
    case WORK_LOG: log_done(c, node, work); break;
    case WORK_LOAD: load_done(c, node, &work->load); break;
    case WORK_CHUNK_READ: chunk_read_done(c, node, &work->snapshot); break;
    case WORK_CHUNK_WRITE: chunk_write_done(c, node, work); break;
    case WORK_INSTALL: install_done(c, node, work); break;
    case WORK_SNAPSHOT: snapshot_done(c, node, work); break;
    case WORK_APPLY: RT_IGNORE(node_step(c, node, &applied)); break;  // never refused
    }
}

bool node_work(struct cluster *c, struct node *node) {
    if (node->paused_until > c->now) return false;
    for (size_t i = 0; node->raft && i < node->work_count; i++) {
        if (node->work[i].due > c->now) continue;
        struct work work = node->work[i];
        memmove(&node->work[i], &node->work[i + 1],
                (node->work_count - i - 1) * sizeof(node->work[0]));
        node->work_count--;
        work_done(c, node, &work);
        work_release(&work);
        return true;
    }
    return false;
}

void cluster_take_snapshot(struct cluster *c, uint64_t id) {
    struct node *node = &c->nodes[id];
    if (!node->raft || node->snapshotting || node->status.applied == 0) return;
    const struct raft_config *config;
    struct raft_position at;
    if (node->status.applied <= node->disk.snapshot.index) return;
    if (!raft_snapshot_facts(node->raft, node->status.applied, &at, &config)) return;
    struct work *work = work_add(c, node, WORK_SNAPSHOT);
    node->snapshotting = true;
    work->snapshot.at = at;
    work->chain = committed_chain(c, at.index);
    work->config = RT_NEW(struct raft_config);
    *work->config = *config;
}

// LIFE

// What was under way reaches the disk up to any point: a prefix of the writes, the last one in
// part.
void node_crash_disk(struct cluster *c, struct node *node) {
    bool states_end = false, log_ends = false;
    for (size_t i = 0; i < node->work_count; i++) {
        struct work *work = &node->work[i];
        bool reaches = rt_random_below(&c->random, 2) == 0;
        if (work->kind == WORK_HARD_STATE && !states_end) {
            states_end = !reaches;
            bool writes = reaches && !has_driver_bug(c, DRIVER_FORGETS_VOTES);
            if (writes) node->disk.hard_state = work->hard_state;
        } else if (work->kind == WORK_LOG && !log_ends) {
            size_t most = work->log.entry_count;
            log_ends = !reaches;
            bool starts = reaches || rt_random_below(&c->random, 2) == 0;
            size_t count = reaches ? most : (size_t)rt_random_below(&c->random, most + 1);
            if (starts) disk_log_write(c, node, work, count);
        }
        work_release(work);
    }
    node->work_count = 0;
    uint64_t floor = node->disk.applied > node->disk.snapshot.index ? node->disk.applied
                                                                    : node->disk.snapshot.index;
    uint64_t top = node->state.applied > floor ? node->state.applied : floor;
    node->disk.applied = rt_random_between(&c->random, floor, top);
}

void node_stop(struct cluster *c, struct node *node) {
    (void)c;
    raft_free(node->raft);
    node->raft = NULL;
    for (size_t i = 0; i < node->outbox.count; i++) rt_buf_fini(&node->outbox.items[i].frame);
    node->outbox.count = 0;
    cells_fini(&node->log);
    node->read_count = 0;
    node->snapshotting = false;
    node->done = (struct raft_needs){0};
    node->incoming.transfer = 0;
    rt_buf_clear(&node->incoming.bytes);
    node->status = (struct raft_status){0};
}

static void restore(struct cluster *c, struct node *node, struct rt_why *why) {
    const struct cells *disk = &node->disk.log;
    cells_clear(&node->log, disk->base, disk->base_chain);
    for (size_t i = 0; i < disk->count; i++) {
        cells_append(&node->log, &disk->items[i].entry);
        rt_err err = raft_restore(node->raft, &disk->items[i].entry, 1, why);
        if (err) cluster_fail(c, "node %" PRIu64 " cannot restore: %s", node->id, why->text);
    }
}

void node_start(struct cluster *c, struct node *node) {
    struct raft_options options = c->options.core;
    options.id = node->id;
    options.seed = rt_random_u64(&c->random);
    options.planted_bugs = c->options.planted_bugs;
    struct raft_found found = {
        .hard_state = node->disk.hard_state,
        .snapshot = node->disk.snapshot,
        .config = node->disk.snapshot.index ? &node->disk.snapshot_config : NULL,
        .log_base = node->disk.log.base,
        .applied = node->disk.applied,
        .claimed_last = node->disk.claimed_last,
    };
    if (found.applied < found.snapshot.index) found.applied = found.snapshot.index;
    struct rt_why why = {{0}};
    rt_err err = raft_new(&options, &found, &node->raft, &why);
    if (!err) restore(c, node, &why);
    if (!err && !cluster_has_failed(c)) err = raft_start(node->raft, &why);
    if (err) {
        cluster_fail(c, "node %" PRIu64 " cannot start: %s", node->id, why.text);
        return;
    }
    if (cluster_has_failed(c)) return;
    node->state.applied = found.applied;
    node->state.chain = committed_chain(c, found.applied);
    node->commit_seen = 0;
    carry_out(c, node);
}
