#include "meta/server/replica/replica.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "meta/server/replica/replica_internal.h"

enum { URL_SIZE = RAFT_ADDRESS_SIZE + 24, LOOKING_TICKS = 10 };

void replica_fail(struct meta_replica *replica, rt_err err, const char *what) {
    if (replica->failing || replica->closing) return;
    replica->failing = true;
    rt_log_error("meta", "this node cannot go on what=\"%s\" error=\"%s\"", what, rt_err_text(err));
    replica->options.events->failed(replica->options.events, err, what);
}

// WHAT IS ON DISK

struct opened {
    struct meta_log_found log;
    struct meta_snapshots_found snapshot;
};

static char *path_in(const struct meta_replica *replica, const char *name) {
    struct rt_buf text = {0};
    rt_buf_print(&text, "%s/%s", replica->data_dir, name);
    char *path = rt_alloc(text.size + 1);
    memcpy(path, text.data, text.size);
    path[text.size] = '\0';
    rt_buf_fini(&text);
    return path;
}

static rt_err log_open(struct meta_replica *replica, struct meta_log_found *found,
                       struct rt_why *why) {
    const struct meta_log_options options = {.directory = replica->log_dir,
                                             .cluster = replica->identity.cluster,
                                             .node = replica->options.node_id,
                                             .sync = replica->options.sync,
                                             .is_alone = replica->is_alone,
                                             .events = &replica->log_events};
    rt_err err =
        meta_log_open_now(replica->machine, replica->loop, &options, &replica->log, found, why);
    return err ? rt_why_prefix(why, err, "log") : RT_OK;
}

static rt_err log_found(struct meta_replica *replica, struct meta_log_found *found,
                        struct rt_why *why) {
    struct raft_config config;
    struct rt_buf bytes = {0};
    struct rt_writer w = rt_writer_into(&bytes);
    replica_founding_config(replica, &config);
    raft_config_encode(&config, &w);
    struct raft_entry entry = {
        .at = {1, RAFT_FIRST_TERM}, .kind = RAFT_CONFIG, .data = rt_buf_bytes(&bytes)};
    found->hard_state = (struct raft_hard_state){.term = RAFT_FIRST_TERM, .commit = 1};
    rt_err err = meta_log_found_now(replica->log, &entry, &found->hard_state, why);
    rt_buf_fini(&bytes);
    if (err) return rt_why_prefix(why, err, "log");
    replica->founded = true;  // said in the first turn, when there is a log to say it to
    return RT_OK;
}

static rt_err snapshots_open(struct meta_replica *replica, struct meta_snapshots_found *found,
                             struct rt_why *why) {
    const struct meta_snapshots_options options = {.directory = replica->snapshot_dir,
                                                   .store_path = replica->store_dir,
                                                   .cluster = replica->identity.cluster,
                                                   .events = &replica->snapshot_events};
    rt_err err = meta_snapshots_open_now(replica->machine, replica->loop, &options,
                                         &replica->snapshots, found, why);
    return err ? rt_why_prefix(why, err, "snapshots") : RT_OK;
}

// Never deleted: an operator may want to look.
static rt_err store_put_aside(struct meta_replica *replica, struct rt_buf *aside,
                              struct rt_why *why) {
    rt_buf_print(aside, "%s.damaged%c", replica->store_dir, 0);
    rt_err err = rt_path_remove_tree_now(replica->machine, (const char *)aside->data);
    if (!err)
        err = rt_path_rename_now(replica->machine, replica->store_dir, (const char *)aside->data);
    return err ? rt_why_set(why, err, "%s: %s", replica->store_dir, rt_err_text(err)) : RT_OK;
}

// The latest snapshot and the log make a damaged store again.
static rt_err store_rebuild(struct meta_replica *replica, const struct opened *opened,
                            struct rt_why *why) {
    struct rt_why damage = *why;
    bool can = opened->snapshot.at.index || !opened->log.base.index;
    if (!can)
        return rt_why_set(
            why, RT_ECORRUPT,
            "%.300s; there is no snapshot and the log does not begin at the first "
            "entry: empty the data directory, the node then catches up from its peers",
            damage.text);
    struct rt_buf aside = {0};
    rt_err err = store_put_aside(replica, &aside, why);
    rt_log_error("meta",
                 "the store is damaged and is made again from snapshot and log kept=%s "
                 "damage=\"%s\"",
                 (const char *)aside.data, damage.text);
    rt_buf_fini(&aside);
    if (err) return err;
    return opened->snapshot.at.index ? meta_snapshots_restore_now(replica->snapshots, why) : RT_OK;
}

static rt_err store_open(struct meta_replica *replica, const struct opened *opened,
                         struct rt_why *why) {
    const struct meta_store_options options = {.path = replica->store_dir,
                                               .cache_bytes = replica->options.cache_bytes,
                                               .node_bytes = replica->options.node_bytes};
    rt_err err = meta_store_open_now(replica->machine, &options, &replica->store, why);
    if (err != RT_ECORRUPT) return err ? rt_why_prefix(why, err, "store") : RT_OK;
    err = store_rebuild(replica, opened, why);
    if (!err) err = meta_store_open_now(replica->machine, &options, &replica->store, why);
    return err ? rt_why_prefix(why, err, "store") : RT_OK;
}

// The log has lost what the store has applied: the store begins anew and the peers give the rest.
// What was applied was acknowledged, so until then this node votes for nobody who has less.
static rt_err store_begin_anew(struct meta_replica *replica, struct opened *opened,
                               struct rt_why *why) {
    struct meta_position had = meta_store_totals(replica->store).applied;
    struct raft_position claimed = {had.index, had.term};
    struct rt_buf aside = {0};
    meta_store_close_files_now(replica->store);
    rt_err err = store_put_aside(replica, &aside, why);
    if (!err) err = meta_store_reopen_now(replica->store, why);
    rt_log_error("meta",
                 "the log is shorter than the store, which is made again from log and peers "
                 "kept=%s applied=%" PRIu64,
                 (const char *)aside.data, had.index);
    rt_buf_fini(&aside);
    if (raft_position_covers(claimed, opened->log.claimed_last)) opened->log.claimed_last = claimed;
    return err;
}

// The store is at least as far as the snapshot, and not beyond what the log can continue.
static rt_err store_fit(struct meta_replica *replica, struct opened *opened, uint64_t log_last,
                        struct rt_why *why) {
    const struct meta_snapshots_found *found = &opened->snapshot;
    uint64_t applied = meta_store_totals(replica->store).applied.index;
    bool behind = applied < found->at.index;
    bool ahead = applied > log_last && applied > found->at.index;
    if (!behind && !ahead) return RT_OK;
    if (!found->at.index && !opened->log.base.index && !replica->is_alone)
        return store_begin_anew(replica, opened, why);
    if (!found->at.index)
        return rt_why_set(why, RT_ECORRUPT,
                          "the store has applied entry %" PRIu64 ", the log ends at %" PRIu64
                          ", and there is no snapshot; remove this node from the cluster, empty "
                          "its data directory, and add it again",
                          applied, log_last);
    meta_store_close_files_now(replica->store);
    rt_err err = meta_snapshots_restore_now(replica->snapshots, why);
    if (!err) err = meta_store_reopen_now(replica->store, why);
    return err;
}

struct restoring {
    struct meta_log_replay replay;
    struct raft *raft;
    uint64_t last;
};

static rt_err restore_each(struct meta_log_replay *replay, const struct raft_entry *entries,
                           size_t count, struct rt_why *why) {
    struct restoring *restoring = rt_container_of(replay, struct restoring, replay);
    if (count) restoring->last = entries[count - 1].at.index;
    if (!restoring->raft) return RT_OK;
    return raft_restore(restoring->raft, entries, count, why);
}

// BRINGING IT UP

static struct raft_options core_options(struct meta_replica *replica) {
    const struct meta_replica_options *options = &replica->options;
    uint64_t seed;
    rt_machine_entropy(replica->machine, &seed, sizeof(seed));
    struct raft_options core = raft_options_default(options->node_id, seed);
    core.election_ticks = options->election_ms / options->tick_ms;
    core.heartbeat_ticks = 1;
    core.planted_bugs = options->planted_bugs;
    core.entry_bytes_max = options->command_bytes_max;
    if (options->log_entries_kept) {
        core.trailing_entries = options->log_entries_kept;
        core.lagging_entries_max = 10 * options->log_entries_kept;
    }
    if (options->uncommitted_bytes_max) core.uncommitted_bytes_max = options->uncommitted_bytes_max;
    return core;
}

static rt_err files_open(struct meta_replica *replica, struct opened *opened, struct rt_why *why) {
    rt_err err = log_open(replica, &opened->log, why);
    if (!err && opened->log.is_new && !replica->is_joining) {
        err = log_found(replica, &opened->log, why);
    }
    if (!err) err = snapshots_open(replica, &opened->snapshot, why);
    if (!err) err = store_open(replica, opened, why);
    return err;
}

// One that ran alone has a cluster of its own, and no address in it: beside the one that the other
// servers found, its tree would be a second truth.
static rt_err company_check(const struct meta_replica *replica, const struct raft *raft,
                            struct rt_why *why) {
    const struct raft_config *config = raft_config(raft);
    bool was_alone = config->count == 1 && !config->members[0].address[0];
    if (!was_alone || replica->is_alone) return RT_OK;
    return rt_why_set(why, RT_EINVAL,
                      "%s is of a server that ran alone, and there are %u server lines now: run it "
                      "alone again, or empty its data directory",
                      replica->data_dir, replica->options.member_count);
}

rt_err replica_core_start(struct meta_replica *replica, struct raft_position claimed,
                          struct rt_why *why) {
    struct meta_log_found log = replica->found_log;
    struct meta_snapshots_found *snapshot = &replica->found_snapshot;
    struct raft_options options = core_options(replica);
    struct raft_found found = {.hard_state = log.hard_state,
                               .snapshot = snapshot->at,
                               .config = snapshot->at.index ? &snapshot->config : NULL,
                               .log_base = log.base,
                               .applied = meta_store_totals(replica->store).applied.index,
                               .claimed_last = log.claimed_last};
    if (raft_position_covers(claimed, found.claimed_last) && claimed.index)
        found.claimed_last = claimed;
    if (claimed.index)
        rt_log_warn("meta",
                    "this node has no history and its peers have: it catches up before it "
                    "votes claimed_index=%" PRIu64,
                    claimed.index);
    struct raft *raft;
    rt_err err = raft_new(&options, &found, &raft, why);
    if (err) return err;
    struct restoring restoring = {.replay = {restore_each}, .raft = raft};
    err = meta_log_replay_now(replica->log, &restoring.replay, why);
    if (!err) err = raft_start(raft, why);
    if (!err) err = company_check(replica, raft, why);
    if (err) {
        raft_free(raft);
        return err;
    }
    replica->raft = raft;
    replica->leaderless_ns = rt_loop_clock(replica->loop) | 1;
    replica_know_members(replica);
    // Its first effects are carried out by the first tick, inside a turn.
    replica->starts = true;
    return RT_OK;
}

rt_err replica_bring_up_now(struct meta_replica *replica, struct rt_why *why) {
    struct opened opened = {0};
    rt_err err = files_open(replica, &opened, why);
    if (err) return err;
    struct restoring measuring = {.replay = {restore_each}, .last = opened.log.base.index};
    err = meta_log_replay_now(replica->log, &measuring.replay, why);
    if (!err) err = store_fit(replica, &opened, measuring.last, why);
    if (err) return err;
    if (!meta_store_totals(replica->store).applied.index) meta_apply_genesis(replica->store);
    replica->found_log = opened.log;
    replica->found_snapshot = opened.snapshot;
    replica->is_virgin = measuring.last <= 1 && !opened.snapshot.at.index;
    replica_upkeep_init(replica);
    return RT_OK;
}

static rt_err identify(struct meta_replica *replica, struct rt_why *why) {
    bool found = false;
    rt_err err = rt_dir_create_now(replica->machine, replica->data_dir, why);
    if (!err) err = replica_identity_read_now(replica, &found, why);
    if (err || found || replica->is_joining) return err;
    replica->identity =
        (struct replica_identity){replica_cluster_of(replica), replica->options.node_id};
    return replica_identity_write_now(replica, why);
}

// TIME

static void tick(struct rt_timer *timer) {
    struct meta_replica *replica = rt_container_of(timer, struct meta_replica, tick);
    struct raft_event event = {.kind = RAFT_TICK};
    rt_timer_after(timer, replica->options.tick_ms * RT_NS_PER_MS);
    if (replica->failing) return;
    if (!replica->raft) {
        if (replica->log) replica_virgin_tick(replica);
        return;
    }
    if (replica->founded) {
        rt_log_info("meta", "founded a cluster cluster=%016" PRIx64 " node=%" PRIu64,
                    replica->identity.cluster, replica->options.node_id);
        replica->founded = false;
    }
    // The very first tick counts already: a node that is alone leads with it.
    RT_IGNORE(replica_step(replica, &event));  // a tick is never refused
}

// LIFE

static void options_default(struct meta_replica_options *options) {
    if (!options->tick_ms) options->tick_ms = 50;
    if (!options->election_ms) options->election_ms = 500;
    if (!options->session_tick_ms) options->session_tick_ms = 2000;
    if (!options->container_reap_max) options->container_reap_max = 10000;
    if (!options->snapshot_entries) options->snapshot_entries = 100000;
    if (!options->snapshot_log_bytes) options->snapshot_log_bytes = 64 << 20;
    if (!options->queue_bytes_max) options->queue_bytes_max = 256 << 20;
    if (!options->command_bytes_max) options->command_bytes_max = REPLICA_COMMAND_BYTES_MAX;
    if (!options->node_id) options->node_id = 1;
}

static rt_err peers_open(struct meta_replica *replica, struct rt_why *why) {
    char listen[URL_SIZE] = "";
    const struct meta_replica_options *options = &replica->options;
    const char *scheme = options->peer_tls ? "tls+tcp" : "tcp";
    struct meta_peers_options peers = {
        .self = options->node_id, .tls = options->peer_tls, .events = &replica->peer_events};
    for (unsigned i = 0; i < options->member_count && !replica->is_alone; i++) {
        if (replica->members[i].id != options->node_id) continue;
        if (!meta_peer_url(replica->members[i].address, scheme, true, listen, sizeof(listen)))
            return rt_why_set(why, RT_EINVAL, "server.%" PRIu64 "=%s has no peer port",
                              options->node_id, replica->members[i].address);
        peers.listen = listen;
    }
    if (options->peer_listen) peers.listen = options->peer_listen;
    return meta_peers_open_now(replica->loop, &peers, &replica->peers, why);
}

static struct meta_replica *replica_new(struct rt_machine *machine, struct rt_loop *loop,
                                        const struct meta_replica_options *options) {
    struct meta_replica *replica = RT_NEW(struct meta_replica);
    replica->machine = machine;
    replica->loop = loop;
    replica->options = *options;
    options_default(&replica->options);
    replica->members = rt_alloc_zero(options->member_count + 1u, sizeof(*replica->members));
    for (unsigned i = 0; i < options->member_count; i++) replica->members[i] = options->members[i];
    replica->is_alone = options->member_count <= 1 && !options->is_joining;
    replica->is_joining = options->is_joining;
    replica->data_dir = rt_strdup(options->data_dir);
    replica->log_dir = path_in(replica, "log");
    replica->store_dir = path_in(replica, "store");
    replica->snapshot_dir = path_in(replica, "snapshots");
    replica->looking_ticks = LOOKING_TICKS;
    rt_list_init(&replica->letters);
    rt_timer_init(&replica->tick, loop, tick, "meta.tick");
    replica_requests_init(replica);
    replica_drive_events(replica);
    replica_hear_init(replica);
    return replica;
}

rt_err meta_replica_open_now(struct rt_machine *machine, struct rt_loop *loop,
                             const struct meta_replica_options *options,
                             struct meta_replica **replica, struct rt_why *why) {
    struct meta_replica *self = replica_new(machine, loop, options);
    *replica = NULL;
    rt_err err = identify(self, why);
    if (!err) err = peers_open(self, why);
    // Who joins learns the cluster first; who has been in one knows it.
    if (!err && self->identity.cluster) err = replica_bring_up_now(self, why);
    bool knows = self->is_alone || !self->is_virgin || self->is_joining;
    if (!err && self->log && knows) err = replica_core_start(self, (struct raft_position){0}, why);
    if (err)
        meta_replica_close(self, NULL);
    else
        *replica = self;
    return err;
}

rt_err meta_replica_start(struct meta_replica *replica, struct rt_why *why) {
    (void)why;  // what can fail has been done
    replica->started = true;
    for (unsigned i = 0; i < replica->options.member_count; i++)
        RT_IGNORE(meta_peers_know(replica->peers, replica->members[i].id,
                                  replica->members[i].address));  // there is room for members
    rt_timer_after(&replica->tick, 0);
    return RT_OK;
}

struct meta_store *meta_replica_store(struct meta_replica *replica) {
    return replica->store;
}

// CLOSING: the parts one after the other, each waited for.

static void replica_free(struct meta_replica *replica) {
    if (replica->closed) rt_defer(replica->loop, replica->closed);
    raft_free(replica->raft);
    replica_letters_drop(replica);
    replica_requests_fini(replica);
    if (replica->store) meta_store_close_now(replica->store);
    rt_arena_fini(&replica->arena);
    rt_buf_fini(&replica->frame);
    rt_free(replica->members);
    rt_free(replica->data_dir);
    rt_free(replica->log_dir);
    rt_free(replica->store_dir);
    rt_free(replica->snapshot_dir);
    rt_free(replica);
}

static void part_closed(struct rt_task *task) {
    struct meta_replica *replica = rt_container_of(task, struct meta_replica, part_closed);
    if (replica->peers) {
        struct meta_peers *peers = replica->peers;
        replica->peers = NULL;
        meta_peers_close(peers, task);
    } else if (replica->reap) {
        return;  // comes again when the worker is done
    } else if (replica->snapshots) {
        struct meta_snapshots *snapshots = replica->snapshots;
        replica->snapshots = NULL;
        meta_snapshots_close(snapshots, task);
    } else if (replica->log) {
        struct meta_log *log = replica->log;
        replica->log = NULL;
        meta_log_close(log, task);
    } else {
        replica_free(replica);
    }
}

void meta_replica_close(struct meta_replica *replica, struct rt_task *closed) {
    assert(!replica->closing);
    replica->closing = true;
    replica->closed = closed;
    rt_timer_cancel(&replica->tick);
    replica_upkeep_fini(replica);
    rt_task_init(&replica->part_closed, part_closed, "meta.close");
    rt_defer(replica->loop, &replica->part_closed);
}

// OPERATION

void meta_replica_status(const struct meta_replica *replica, struct meta_replica_status *status) {
    *status = (struct meta_replica_status){.is_alone = replica->is_alone,
                                           .cluster = replica->identity.cluster,
                                           .leaderless_ns = replica->leaderless_ns,
                                           .outstanding = replica->own.count,
                                           .applied_entries = replica->applied_entries,
                                           .snapshots_taken = replica->snapshots_taken};
    if (replica->peers) status->peers_connected = meta_peers_connected(replica->peers);
    if (!replica->raft) return;
    raft_status(replica->raft, &status->raft);
    bool led = status->raft.role == RAFT_LEADER
                   ? status->raft.ready
                   : status->raft.leader && replica->peers &&
                         meta_peers_is_connected(replica->peers, status->raft.leader);
    status->is_serving = led && !replica->closing && !replica->failing;
}

const struct raft_config *meta_replica_config(const struct meta_replica *replica) {
    return replica->raft ? raft_config(replica->raft) : NULL;
}

bool meta_replica_peer_status(const struct meta_replica *replica, uint64_t id,
                              struct raft_peer_status *status) {
    return replica->raft && raft_peer_status(replica->raft, id, status);
}

rt_err meta_replica_transfer(struct meta_replica *replica, uint64_t to) {
    struct raft_event event = {.kind = RAFT_TRANSFER_ASKED, .peer = to};
    return replica_step(replica, &event);
}

rt_err meta_replica_change_members(struct meta_replica *replica, const struct raft_config *to,
                                   struct rt_why *why) {
    struct raft_event event = {.kind = RAFT_CONFIG_PROPOSED, .config = to};
    rt_err err = replica_step(replica, &event);
    if (err == RT_EAGAIN)
        return rt_why_set(why, err, "node %" PRIu64 " is not the leader, node %" PRIu64 " is",
                          replica->options.node_id, replica->status.leader);
    return err ? rt_why_set(why, err, "the change was refused: %s", rt_err_text(err)) : RT_OK;
}

bool meta_replica_has_leader_ready(const struct meta_replica *replica) {
    struct meta_replica_status status;
    meta_replica_status(replica, &status);
    return status.is_serving;
}
