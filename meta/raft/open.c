// From what was found on disk to a running core, and the end of it.
#include "meta/raft/core.h"
#include "runtime/mem.h"

struct raft_options raft_options_default(uint64_t id, uint64_t seed) {
    return (struct raft_options){
        .id = id,
        .seed = seed,
        .election_ticks = 10,
        .heartbeat_ticks = 1,
        .entry_bytes_max = 2u << 20,
        .append_bytes_max = 1u << 20,
        .append_entries_max = 1024,
        .inflight_bytes_max = 8u << 20,
        .inflight_messages_max = 32,
        .uncommitted_bytes_max = 64u << 20,
        .cache_bytes_max = 16u << 20,
        .apply_bytes_max = 4u << 20,
        .snapshot_chunk_bytes = 512u << 10,
        .snapshot_chunks_ahead = 4,
        .trailing_entries = 10000,
        .lagging_entries_max = 100000,
        .reads_max = 10000,
    };
}

static void options_assert(const struct raft_options *options) {
    assert(options->id != 0);
    assert(options->heartbeat_ticks > 0);
    assert(options->election_ticks >= 3 * options->heartbeat_ticks);
    assert(options->append_bytes_max > 0 && options->append_entries_max > 0);
    assert(options->inflight_bytes_max > 0 && options->inflight_messages_max > 0);
    assert(options->apply_bytes_max > 0 && options->reads_max > 0);
    assert(options->snapshot_chunk_bytes > 0 && options->snapshot_chunks_ahead > 0);
}

static rt_err found_check(const struct raft_found *found, struct rt_why *why) {
    uint64_t snapshot = found->snapshot.index;
    if (found->log_base.index > snapshot) {
        return rt_why_set(why, RT_ECORRUPT,
                          "the log begins behind entry %llu but the snapshot ends with %llu",
                          (unsigned long long)found->log_base.index, (unsigned long long)snapshot);
    }
    if (found->applied < snapshot) {
        return rt_why_set(why, RT_ECORRUPT,
                          "the state has entries up to %llu but the snapshot up to %llu",
                          (unsigned long long)found->applied, (unsigned long long)snapshot);
    }
    bool has_config = found->config && raft_config_is_valid(found->config);
    if (snapshot && !has_config) {
        return rt_why_set(why, RT_ECORRUPT, "the snapshot has no configuration");
    }
    return RT_OK;
}

rt_err raft_new(const struct raft_options *options, const struct raft_found *found,
                struct raft **out, struct rt_why *why) {
    options_assert(options);
    rt_err err = found_check(found, why);
    if (err) return err;
    struct raft *raft = RT_NEW(struct raft);
    raft->options = *options;
    rt_random_seed(&raft->random, options->seed ^ options->id * UINT64_C(0x9e3779b97f4a7c15));
    raft->arena.chunk_size = 64u << 10;
    raft->hard_state = found->hard_state;
    raft->hard_state.version = 0;
    raft->snapshot = found->snapshot;
    raft->claimed_last = found->claimed_last;
    raft->applied = raft->applying = found->applied;
    raft_log_init(&raft->log, found->log_base);
    raft->log.bug_stale_reports = raft_has_bug(raft, RAFT_BUG_WRITTEN_BY_INDEX);
    struct raft_config *config = RAFT_PUSH(&raft->configs);
    if (found->snapshot.index) raft->snapshot_config = *config = *found->config;
    raft_peers_sync(raft);
    *out = raft;
    return RT_OK;
}

static rt_err restore_one(struct raft *raft, const struct raft_entry *entry, struct rt_why *why) {
    struct raft_position last = raft_log_last(&raft->log);
    if (entry->at.index != last.index + 1 || entry->at.term < last.term) {
        return rt_why_set(why, RT_ECORRUPT,
                          "log entry %llu of term %llu follows entry %llu of term %llu",
                          (unsigned long long)entry->at.index, (unsigned long long)entry->at.term,
                          (unsigned long long)last.index, (unsigned long long)last.term);
    }
    raft_log_restore(&raft->log, entry);
    if (entry->kind != RAFT_CONFIG || entry->at.index <= raft->snapshot.index) return RT_OK;
    struct raft_config config;
    rt_err err = raft_config_decode(entry->data, &config);
    if (err || config.index != entry->at.index) {
        return rt_why_set(why, RT_ECORRUPT, "log entry %llu is not a valid configuration",
                          (unsigned long long)entry->at.index);
    }
    raft_config_push(raft, &config);
    return RT_OK;
}

rt_err raft_restore(struct raft *raft, const struct raft_entry *entries, size_t count,
                    struct rt_why *why) {
    assert(!raft->started);
    for (size_t i = 0; i < count; i++) {
        rt_err err = restore_one(raft, &entries[i], why);
        if (err) return err;
    }
    raft_log_evict(&raft->log, raft->log.last, raft->options.cache_bytes_max);
    return RT_OK;
}

// A crash between "snapshot durable" and "log replaced" leaves a log that does not meet it.
static void connect_log(struct raft *raft) {
    if (raft->snapshot.index == 0 || raft_log_has(&raft->log, raft->snapshot)) return;
    raft_log_reset(&raft->log, raft->snapshot);
    struct raft_config config = raft->snapshot_config;
    raft_config_reset(raft, &config, false);
}

// Entries of a term may be durable when the term itself is not: the two are written side by side.
// No vote of that term has left this node then, so having none is the truth.
static void adopt_term(struct raft *raft) {
    uint64_t term = raft_log_last(&raft->log).term;
    if (term <= raft->hard_state.term) return;
    raft->hard_state.term = term;
    raft->hard_state.vote = 0;
    raft_hard_state_touch(raft);
}

static void adopt_commit(struct raft *raft) {
    uint64_t hint = raft->hard_state.commit;
    raft->commit = hint < raft->log.last ? hint : raft->log.last;
    if (raft->commit < raft->applied) raft->commit = raft->applied;
}

rt_err raft_start(struct raft *raft, struct rt_why *why) {
    assert(!raft->started);
    connect_log(raft);
    if (raft->applied > raft->log.last) {
        return rt_why_set(why, RT_ECORRUPT,
                          "the state has entries up to %llu but the log ends with %llu",
                          (unsigned long long)raft->applied, (unsigned long long)raft->log.last);
    }
    adopt_term(raft);
    adopt_commit(raft);
    raft->role = RAFT_FOLLOWER;
    bool forgets = raft_has_bug(raft, RAFT_BUG_VOTE_AFTER_RESTART);
    raft->heard_ticks = forgets ? raft->options.election_ticks : 0;
    raft_reset_timer(raft);
    raft->started = true;
    raft_apply_more(raft);
    raft_effects_finish(raft);
    raft_assert(raft);
    return RT_OK;
}

void raft_free(struct raft *raft) {
    if (!raft) return;
    raft_effects_fini(raft);
    raft_log_fini(&raft->log);
    for (size_t i = 0; i < raft->peers.count; i++) raft_peer_fini(&raft->peers.items[i]);
    rt_free(raft->peers.items);
    rt_free(raft->configs.items);
    rt_free(raft->reads.items);
    rt_free(raft->requests.items);
    rt_free(raft);
}

void raft_status(const struct raft *raft, struct raft_status *status) {
    *status = (struct raft_status){
        .id = raft->options.id,
        .term = raft->hard_state.term,
        .leader = raft->leader,
        .role = raft->role,
        .commit = raft->commit,
        .applied = raft->applied,
        .last = raft->log.last,
        .durable = raft->log.durable,
        .log_base = raft->log.base,
        .snapshot = raft->snapshot,
        .uncommitted_bytes = raft->role == RAFT_LEADER ? raft->uncommitted_bytes : 0,
        .cached_bytes = raft->log.cached_bytes,
        .repairing = !raft_position_covers(raft_log_last(&raft->log), raft->claimed_last),
        .ready = raft_is_ready(raft),
        .transfer_to = raft->transfer_to,
    };
}

const char *raft_role_name(enum raft_role role) {
    static const char *const names[] = {
        [RAFT_FOLLOWER] = "follower",
        [RAFT_PRE_CANDIDATE] = "pre-candidate",
        [RAFT_CANDIDATE] = "candidate",
        [RAFT_LEADER] = "leader",
    };
    return names[role];
}
