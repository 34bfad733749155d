// The driver: one step of the core at a time, then its effects in their order (raft.h).
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "meta/server/replica/replica_internal.h"
#include "meta/server/replica/wire.h"

// MESSAGES

static void frame_begin(struct meta_replica *replica) {
    struct rt_writer w;
    rt_buf_clear(&replica->frame);
    w = rt_writer_into(&replica->frame);
    rt_write_u8(&w, META_PEER_RAFT);
}

static bool is_released(const struct meta_replica *replica, struct raft_needs needs) {
    return needs.hard_state <= replica->done.hard_state && needs.log <= replica->done.log;
}

static void message_send(struct meta_replica *replica, const struct raft_message *message) {
    if (!meta_peers_is_connected(replica->peers, message->to)) return;  // Raft says it again
    frame_begin(replica);
    meta_wire_encode(replica->identity.cluster, message, &replica->frame);
    if (is_released(replica, message->needs)) {
        meta_peers_send(replica->peers, message->to, rt_buf_bytes(&replica->frame));
        return;
    }
    struct replica_letter *letter = RT_NEW(struct replica_letter);
    letter->needs = message->needs;
    letter->to = message->to;
    rt_buf_append(&letter->frame, rt_buf_bytes(&replica->frame));
    rt_list_init(&letter->link);
    rt_list_push_back(&replica->letters, &letter->link);
}

static void letter_free(struct replica_letter *letter) {
    rt_list_remove(&letter->link);
    rt_buf_fini(&letter->frame);
    rt_free(letter);
}

static void letters_release(struct meta_replica *replica) {
    rt_list_each_safe (node, &replica->letters) {
        struct replica_letter *letter = rt_container_of(node, struct replica_letter, link);
        if (!is_released(replica, letter->needs)) continue;
        meta_peers_send(replica->peers, letter->to, rt_buf_bytes(&letter->frame));
        letter_free(letter);
    }
}

void replica_letters_drop(struct meta_replica *replica) {
    while (!rt_list_is_empty(&replica->letters))
        letter_free(rt_container_of(replica->letters.next, struct replica_letter, link));
}

// APPLYING

static void config_text(const struct meta_replica *replica, const struct raft_config *config,
                        struct rt_buf *text) {
    if (replica->is_alone && config->count <= 1) return;
    for (unsigned i = 0; i < config->count; i++) {
        const struct raft_member *member = &config->members[i];
        rt_buf_print(text, "server.%llu=%s\n", (unsigned long long)member->id, member->address);
    }
    rt_buf_print(text, "version=%llx", (unsigned long long)config->index);
}

static void config_apply(struct meta_replica *replica, const struct raft_entry *entry,
                         struct meta_outcome *outcome) {
    struct meta_position at = {entry->at.index, entry->at.term};
    struct raft_config config;
    struct rt_buf text = {0};
    if (raft_config_decode(entry->data, &config) || raft_config_is_joint(&config)) {
        meta_apply_nothing(replica->store, at);
        return;
    }
    config.index = entry->at.index;
    config_text(replica, &config, &text);
    struct rt_bytes copy = rt_arena_copy(&replica->arena, rt_buf_bytes(&text));
    rt_buf_fini(&text);
    meta_apply_config(replica->store, at, copy, &replica->arena, outcome);
}

enum { DIRTY_BYTES_MAX = 16 << 20 };  // of one batch, before it is written

// Nobody hears of an entry that was applied to a store which could not be read.
static rt_err entry_apply(struct meta_replica *replica, const struct raft_entry *entry) {
    struct meta_position at = {entry->at.index, entry->at.term};
    struct meta_outcome outcome = {.verdict = META_IGNORED, .zxid = (int64_t)entry->at.index};
    rt_arena_clear(&replica->arena);
    switch (entry->kind) {
    case RAFT_NOOP: meta_apply_nothing(replica->store, at); break;
    case RAFT_DATA: meta_apply(replica->store, at, entry->data, &replica->arena, &outcome); break;
    case RAFT_CONFIG: config_apply(replica, entry, &outcome); break;
    }
    rt_err err = meta_store_failure(replica->store);
    if (err) return err;
    replica->applied_entries++;
    replica_upkeep_outcome(replica, &outcome);
    replica->options.events->applied(replica->options.events, &outcome);
    replica_outcome_seen(replica, &outcome);
    bool large = meta_store_dirty_bytes(replica->store) > DIRTY_BYTES_MAX;
    return large ? meta_store_flush_now(replica->store) : RT_OK;
}

static void apply(struct meta_replica *replica, const struct raft_effects *fx) {
    if (!fx->apply_count) return;
    rt_err err = RT_OK;
    for (size_t i = 0; i < fx->apply_count && !err; i++) err = entry_apply(replica, &fx->apply[i]);
    if (!err) err = meta_store_flush_now(replica->store);
    if (err) {
        replica_fail(replica, err, "writing the metadata store");
        return;
    }
    replica->applied_now = fx->apply[fx->apply_count - 1].at.index;
}

// EFFECTS

void replica_know_members(struct meta_replica *replica) {
    const struct raft_config *config = raft_config(replica->raft);
    for (unsigned i = 0; i < config->count; i++)
        RT_IGNORE(meta_peers_know(replica->peers, config->members[i].id,
                                  config->members[i].address));  // there is room for members
}

static void status_take(struct meta_replica *replica) {
    struct raft_status before = replica->status;
    raft_status(replica->raft, &replica->status);
    bool changed = before.role != replica->status.role || before.term != replica->status.term ||
                   before.leader != replica->status.leader || before.ready != replica->status.ready;
    if (!changed) return;
    uint64_t now = rt_loop_now(replica->loop);
    replica->leaderless_ns = replica->status.leader ? 0 : replica->leaderless_ns;
    if (!replica->status.leader && !replica->leaderless_ns) replica->leaderless_ns = now ? now : 1;
    if (before.role != replica->status.role || before.leader != replica->status.leader)
        rt_log_info("meta", "role changed role=%s term=%llu leader=%llu",
                    raft_role_name(replica->status.role), (unsigned long long)replica->status.term,
                    (unsigned long long)replica->status.leader);
    replica_leadership_changed(replica);
    replica_upkeep_role(replica);
    if (replica->started) replica->options.events->status_changed(replica->options.events);
}

static void disk_effects(struct meta_replica *replica, const struct raft_effects *fx) {
    if (fx->write_hard_state) meta_log_write_hard_state(replica->log, &fx->hard_state);
    if (fx->write_log) meta_log_write(replica->log, &fx->log);
    for (size_t i = 0; i < fx->message_count; i++) message_send(replica, &fx->messages[i]);
    for (size_t i = 0; i < fx->load_count; i++) meta_log_load(replica->log, &fx->loads[i]);
    for (size_t i = 0; i < fx->snapshot_count; i++)
        meta_snapshots_carry_out(replica->snapshots, &fx->snapshots[i]);
}

static void carry_out(struct meta_replica *replica) {
    const struct raft_effects *fx = raft_effects(replica->raft);
    status_take(replica);
    disk_effects(replica, fx);
    apply(replica, fx);
    if (replica->failing) return;
    replica_reads_done(replica, fx->reads, fx->read_count);
    if (fx->log_unneeded_to) meta_log_release(replica->log, fx->log_unneeded_to);
    if (fx->config) replica_know_members(replica);
    if (fx->removed) replica_fail(replica, RT_ECLOSED, "removed from the cluster");
}

// The steps that a step leads to at once: what was applied is reported, which may apply more.
static void carry_on(struct meta_replica *replica) {
    replica->stepping = true;
    carry_out(replica);
    while (replica->applied_now && !replica->failing) {
        struct raft_event applied = {.kind = RAFT_APPLIED, .index = replica->applied_now};
        replica->applied_now = 0;
        RT_IGNORE(raft_step(replica->raft, &applied));  // completions are never refused
        carry_out(replica);
    }
    replica->stepping = false;
    if (replica->failing) return;
    replica_upkeep_applied(replica);
    replica_queue_go_on(replica);
}

rt_err replica_step(struct meta_replica *replica, const struct raft_event *event) {
    assert(!replica->stepping);
    if (!replica->raft || replica->failing) return RT_EAGAIN;
    if (replica->starts) replica_first_step(replica);
    rt_err err = raft_step(replica->raft, event);
    carry_on(replica);
    return err;
}

void replica_first_step(struct meta_replica *replica) {
    replica->starts = false;
    carry_on(replica);
}

// COMPLETIONS

static void complete(struct meta_replica *replica, const struct raft_event *event) {
    RT_IGNORE(replica_step(replica, event));  // completions are never refused
}

static void hard_state_written(struct meta_log_events *events, uint64_t version) {
    struct meta_replica *replica = rt_container_of(events, struct meta_replica, log_events);
    struct raft_event event = {.kind = RAFT_HARD_STATE_WRITTEN, .version = version};
    if (replica->closing) return;
    replica->done.hard_state = version;
    letters_release(replica);
    complete(replica, &event);
}

static void log_written(struct meta_log_events *events, uint64_t version) {
    struct meta_replica *replica = rt_container_of(events, struct meta_replica, log_events);
    struct raft_event event = {.kind = RAFT_LOG_WRITTEN, .version = version};
    if (replica->closing) return;
    replica->done.log = version;
    letters_release(replica);
    complete(replica, &event);
}

static void loaded(struct meta_log_events *events, const struct raft_load *load,
                   const struct raft_entry *entries, size_t count) {
    struct meta_replica *replica = rt_container_of(events, struct meta_replica, log_events);
    struct raft_event event = {.kind = RAFT_LOADED};
    if (replica->closing) return;
    event.loaded.peer = load->peer;
    event.loaded.first = load->first;
    event.loaded.entries = entries;
    event.loaded.count = count;
    event.loaded.failed = count == 0;
    complete(replica, &event);
}

static void log_failed(struct meta_log_events *events, rt_err err, const char *what) {
    replica_fail(rt_container_of(events, struct meta_replica, log_events), err, what);
}

static void snapshot_taken(struct meta_snapshots_events *events, rt_err err, uint64_t applied) {
    struct meta_replica *replica = rt_container_of(events, struct meta_replica, snapshot_events);
    struct raft_event event = {.kind = RAFT_SNAPSHOT_TAKEN, .index = applied};
    replica->snapshotting = false;
    if (replica->closing || err) return;
    replica->snapshots_taken++;
    complete(replica, &event);
}

static bool snapshot_facts(struct meta_snapshots_events *events, uint64_t applied,
                           struct raft_position *at, const struct raft_config **config) {
    struct meta_replica *replica = rt_container_of(events, struct meta_replica, snapshot_events);
    return !replica->closing && raft_snapshot_facts(replica->raft, applied, at, config);
}

// A snapshot that cannot be read (rot) would be offered to whoever needs one until the next is due,
// and nobody can catch up with it: the next is taken now.
static void chunk_read(struct meta_snapshots_events *events, const struct raft_event *event) {
    struct meta_replica *replica = rt_container_of(events, struct meta_replica, snapshot_events);
    if (replica->closing) return;
    bool is_newest = event->chunk.at.index == replica->status.snapshot.index;
    complete(replica, event);
    if (!event->chunk.failed || !is_newest || replica->failing) return;
    bool takes = meta_replica_snapshot(replica);
    if (takes)
        rt_log_warn("meta", "a snapshot cannot be read; takes another index=%llu",
                    (unsigned long long)event->chunk.at.index);
}

static void chunk_done(struct meta_snapshots_events *events, const struct raft_event *event) {
    struct meta_replica *replica = rt_container_of(events, struct meta_replica, snapshot_events);
    if (!replica->closing) complete(replica, event);
}

static void installed(struct meta_snapshots_events *events, rt_err err, uint64_t index,
                      struct rt_why *why) {
    struct meta_replica *replica = rt_container_of(events, struct meta_replica, snapshot_events);
    struct raft_event event = {.kind = RAFT_SNAPSHOT_INSTALLED, .index = index};
    if (replica->closing) return;
    if (err) {
        replica_fail(replica, err, why->text);
        return;
    }
    replica->options.events->replaced(replica->options.events);
    complete(replica, &event);
    replica_upkeep_role(replica);
}

static void store_close(struct meta_snapshots_events *events) {
    struct meta_replica *replica = rt_container_of(events, struct meta_replica, snapshot_events);
    meta_store_close_files_now(replica->store);
}

static rt_err store_open(struct meta_snapshots_events *events, struct rt_why *why) {
    struct meta_replica *replica = rt_container_of(events, struct meta_replica, snapshot_events);
    return meta_store_reopen_now(replica->store, why);
}

static rt_err store_peek(struct rt_machine *machine, const char *path, struct raft_position *at,
                         struct rt_why *why) {
    struct meta_position applied = {0};
    rt_err err = meta_store_peek_now(machine, path, &applied, why);
    *at = (struct raft_position){applied.index, applied.term};
    return err;
}

void replica_drive_events(struct meta_replica *replica) {
    replica->log_events = (struct meta_log_events){
        .hard_state_written = hard_state_written,
        .log_written = log_written,
        .loaded = loaded,
        .failed = log_failed,
    };
    replica->snapshot_events = (struct meta_snapshots_events){
        .taken = snapshot_taken,
        .facts = snapshot_facts,
        .chunk_read = chunk_read,
        .chunk_written = chunk_done,
        .installed = installed,
        .store_close = store_close,
        .store_open = store_open,
        .store_peek = store_peek,
    };
}
