// The commit rule (section 5.4.2), and the way from committed to applied.
#include "meta/raft/core.h"

static uint64_t durable_at(const struct raft *raft, const struct raft_peer *peer) {
    if (peer->id != raft->options.id) return peer->match;
    return raft_has_bug(raft, RAFT_BUG_COUNT_SELF_EARLY) ? raft->log.last : raft->log.durable;
}

// An entry of an earlier term is committed only by one of the own term behind it (figure 8).
bool raft_maybe_commit(struct raft *raft) {
    assert(raft->role == RAFT_LEADER);
    uint64_t index = raft_quorum_value(raft, durable_at);
    uint64_t term;
    if (index <= raft->commit || !raft_log_term(&raft->log, index, &term)) return false;
    if (term != raft->hard_state.term && !raft_has_bug(raft, RAFT_BUG_COMMIT_OLD_TERM)) {
        return false;
    }
    raft_commit_to(raft, index);
    return true;
}

void raft_commit_to(struct raft *raft, uint64_t index) {
    assert(index > raft->commit && index <= raft->log.last);
    if (raft->role == RAFT_LEADER) {
        uint64_t first = raft->commit + 1 > raft->term_first ? raft->commit + 1 : raft->term_first;
        for (uint64_t i = first; i <= index; i++) {
            const struct raft_entry *entry = raft_log_cached(&raft->log, i);
            raft->uncommitted_bytes -= raft_entry_cost(entry->kind, entry->data.size);
        }
    }
    raft->commit = index;
}

bool raft_is_ready(const struct raft *raft) {
    return raft->role == RAFT_LEADER && raft->commit >= raft->term_first;
}

void raft_after_commit(struct raft *raft) {
    if (raft_is_ready(raft)) raft_reads_ready(raft);
    raft_broadcast_append(raft);
    raft_after_config_commit(raft);
}

// An entry is applied when it is committed and on the own disk: a stored applied index that points
// behind the stored log could not be told from a lost log.
static uint64_t applicable_to(const struct raft *raft) {
    return raft->commit < raft->log.durable ? raft->commit : raft->log.durable;
}

static void ask_apply_load(struct raft *raft, uint64_t first, uint64_t last) {
    if (raft->apply_loading) return;
    raft->apply_loading = true;
    uint64_t behind_cache = raft->log.cached_first - 1;
    *RAFT_PUSH(&raft->loads) = (struct raft_load){
        .peer = raft->options.id,
        .first = first,
        .last = last < behind_cache ? last : behind_cache,
        .bytes_max = raft->options.apply_bytes_max,
    };
}

static size_t apply_cached(struct raft *raft, uint64_t first, uint64_t last) {
    size_t room = (size_t)(last - first + 1), count = 0, bytes = 0;
    if (room > raft->options.append_entries_max) room = raft->options.append_entries_max;
    struct raft_entry *entries = rt_arena_zero(&raft->arena, room, sizeof(*entries));
    while (count < room) {
        const struct raft_entry *entry = raft_log_cached(&raft->log, first + count);
        if (count && bytes + entry->data.size > raft->options.apply_bytes_max) break;
        raft_hold(raft, entry->payload);
        entries[count++] = *entry;
        bytes += entry->data.size;
    }
    raft->effects.apply = entries;
    return count;
}

void raft_apply_more(struct raft *raft) {
    uint64_t first = raft->applied + 1, last = applicable_to(raft);
    if (raft->installing || raft->applying > raft->applied || first > last) return;
    if (raft->apply_loaded_count && raft->apply_loaded[0].at.index == first) {
        raft->effects.apply = raft->apply_loaded;
        raft->effects.apply_count = raft->apply_loaded_count;
    } else if (first >= raft->log.cached_first) {
        raft->effects.apply_count = apply_cached(raft, first, last);
    } else {
        ask_apply_load(raft, first, last);
        return;
    }
    raft->applying = first + raft->effects.apply_count - 1;
}

void raft_on_apply_loaded(struct raft *raft, const struct raft_event *event) {
    raft->apply_loading = false;
    if (event->loaded.failed || event->loaded.first != raft->applied + 1) return;
    uint64_t last = applicable_to(raft);
    size_t count = 0;
    while (count < event->loaded.count) {
        const struct raft_entry *entry = &event->loaded.entries[count];
        if (entry->at.index != event->loaded.first + count || entry->at.index > last) break;
        if (!raft_log_has(&raft->log, entry->at)) break;
        count++;
    }
    raft->apply_loaded = raft_hold_entries(raft, event->loaded.entries, count);
    raft->apply_loaded_count = count;
}

// Late reports of what a snapshot replaced meanwhile change nothing.
void raft_on_applied(struct raft *raft, uint64_t index) {
    if (index <= raft->applied) return;
    assert(index == raft->applying);
    raft->applied = index;
}
