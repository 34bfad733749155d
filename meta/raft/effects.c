// What a step asks the driver to do. Arrays live in an arena until the next step begins; entries
// and chunks in them are held as long.
#include <string.h>

#include "meta/raft/core.h"
#include "runtime/mem.h"

void *raft_vector_grow(void *items, size_t count, size_t *capacity, size_t item_size) {
    if (count == *capacity) {
        *capacity = *capacity ? *capacity * 2 : 8;
        items = rt_realloc(items, *capacity * item_size);
    }
    memset((char *)items + count * item_size, 0, item_size);
    return items;
}

static void drop_held(struct raft *raft) {
    for (size_t i = 0; i < raft->held.count; i++) raft_payload_drop(raft->held.items[i]);
    raft->held.count = 0;
}

void raft_effects_begin(struct raft *raft) {
    drop_held(raft);
    rt_arena_clear(&raft->arena);
    raft->messages.count = raft->loads.count = 0;
    raft->snapshots.count = raft->reads_done.count = 0;
    raft->hard_state_changed = raft->config_changed = false;
    raft->apply_loaded = NULL;
    raft->apply_loaded_count = 0;
    raft->effects = (struct raft_effects){0};
}

void raft_effects_fini(struct raft *raft) {
    drop_held(raft);
    rt_arena_fini(&raft->arena);
    rt_free(raft->messages.items);
    rt_free(raft->loads.items);
    rt_free(raft->snapshots.items);
    rt_free(raft->reads_done.items);
    rt_free(raft->held.items);
}

void raft_hold(struct raft *raft, struct raft_payload *payload) {
    if (!payload) return;
    raft_payload_hold(payload);
    *RAFT_PUSH(&raft->held) = payload;
}

struct raft_entry *raft_hold_entries(struct raft *raft, const struct raft_entry *entries,
                                     size_t count) {
    struct raft_entry *copy = rt_arena_zero(&raft->arena, count, sizeof(*copy));
    for (size_t i = 0; i < count; i++) {
        copy[i] = entries[i];
        raft_hold(raft, entries[i].payload);
    }
    return copy;
}

void raft_hard_state_touch(struct raft *raft) {
    if (!raft->hard_state_changed) raft->hard_state.version++;
    raft->hard_state_changed = true;
}

struct raft_message *raft_send(struct raft *raft, enum raft_message_kind kind, uint64_t to) {
    assert(to != 0 && to != raft->options.id);
    struct raft_message *message = RAFT_PUSH(&raft->messages);
    message->kind = kind;
    message->from = raft->options.id;
    message->to = to;
    message->term = raft->hard_state.term;
    message->needs.hard_state = raft->hard_state.version;
    return message;
}

struct raft_snapshot_effect *raft_snapshot_effect(struct raft *raft, enum raft_snapshot_kind kind,
                                                  uint64_t peer, struct raft_position at) {
    struct raft_snapshot_effect *effect = RAFT_PUSH(&raft->snapshots);
    effect->kind = kind;
    effect->peer = peer;
    effect->at = at;
    return effect;
}

// Everything that this step put behind the cut; all of it is still in memory.
static void log_write_fill(struct raft *raft) {
    struct raft_log *log = &raft->log;
    if (!log->write.begun) return;
    struct raft_log_write *write = &raft->effects.log;
    raft->effects.write_log = true;
    write->version = log->version;
    write->reset = log->write.reset;
    write->base = log->base;
    write->truncate_from = log->write.truncate_from;
    uint64_t first = log->write.append_from;
    if (first <= log->last) {
        write->entry_count = (size_t)(log->last - first + 1);
        struct raft_entry *entries =
            rt_arena_zero(&raft->arena, write->entry_count, sizeof(*entries));
        for (size_t i = 0; i < write->entry_count; i++) {
            entries[i] = *raft_log_cached(log, first + i);
            raft_hold(raft, entries[i].payload);
        }
        write->entries = entries;
    }
    raft_log_end_write(log);
}

static uint64_t evictable_to(const struct raft *raft) {
    if (raft->role != RAFT_LEADER) return raft->log.last;
    // The sizes of own proposals are needed until they are committed.
    uint64_t to = raft->term_first - 1;
    return raft->commit > to ? raft->commit : to;
}

void raft_effects_finish(struct raft *raft) {
    struct raft_effects *effects = &raft->effects;
    if (raft->hard_state_changed) {
        uint64_t safe = raft->commit < raft->log.durable ? raft->commit : raft->log.durable;
        raft->hard_state.commit = safe;
        effects->write_hard_state = true;
        effects->hard_state = raft->hard_state;
    }
    log_write_fill(raft);
    raft_log_evict(&raft->log, evictable_to(raft), raft->options.cache_bytes_max);
    effects->messages = raft->messages.items;
    effects->message_count = raft->messages.count;
    effects->loads = raft->loads.items;
    effects->load_count = raft->loads.count;
    effects->snapshots = raft->snapshots.items;
    effects->snapshot_count = raft->snapshots.count;
    effects->reads = raft->reads_done.items;
    effects->read_count = raft->reads_done.count;
    if (raft->config_changed) effects->config = raft_config(raft);
}

const struct raft_effects *raft_effects(const struct raft *raft) {
    return &raft->effects;
}
