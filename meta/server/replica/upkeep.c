// What a leader does beside leading: sessions that have gone silent are closed, containers and TTL
// nodes that are due are removed, each by a command like any other. And what every node does: it
// tells the leader which sessions it heard from, and takes snapshots.
#include "meta/server/replica/replica_internal.h"
#include "runtime/hash.h"
#include "runtime/mem.h"
#include <stdlib.h>
#include <string.h>

// SESSIONS

struct replica_touched {
    UT_hash_handle hh;
    int64_t session;
};

// The clock of sessions stands still while the loop does: nobody could be heard.
static uint64_t session_now(const struct meta_replica *replica) {
    return rt_loop_now(replica->loop) - replica->stalled_ns;
}

static void session_watch(struct meta_replica *replica, const struct meta_session *session) {
    meta_expiry_add(replica->expiry, session->id, (uint64_t)session->timeout_ms * RT_NS_PER_MS,
                    session_now(replica));
}

static bool leads(const struct meta_replica *replica) {
    return replica->raft && replica->status.role == RAFT_LEADER && replica->status.ready;
}

// A new leader gives every session a whole timeout: the old one's clocks are not known.
void replica_upkeep_role(struct meta_replica *replica) {
    bool leading = leads(replica);
    if (leading == replica->watching_sessions) return;
    replica->watching_sessions = leading;
    meta_expiry_clear(replica->expiry);
    if (!leading) return;
    replica->stalled_ns = 0;
    const struct meta_session *session = NULL;
    int64_t after = 0;
    while ((session = meta_store_session_next(replica->store, after))) {
        session_watch(replica, session);
        after = session->id;
    }
}

void replica_upkeep_outcome(struct meta_replica *replica, const struct meta_outcome *outcome) {
    if (!replica->watching_sessions) return;
    if (outcome->verdict == META_SESSION_OPENED)
        session_watch(replica, meta_store_session(replica->store, outcome->session));
    if (outcome->verdict == META_SESSION_CLOSED)
        meta_expiry_remove(replica->expiry, outcome->session);
}

struct expiring {
    struct meta_expiry_due due;
    struct meta_replica *replica;
};

static void session_due(struct meta_expiry_due *due, int64_t id) {
    struct meta_replica *replica = rt_container_of(due, struct expiring, due)->replica;
    const struct meta_session *session = meta_store_session(replica->store, id);
    if (!session) {
        meta_expiry_remove(replica->expiry, id);
        return;
    }
    struct meta_command close = {
        .kind = META_CLOSE_SESSION, .session = id, .attachment = session->attachment};
    rt_log_info("meta", "session expired session=0x%llx timeout_ms=%d", (unsigned long long)id,
                session->timeout_ms);
    replica_propose(replica, &close);
}

static void session_tick(struct rt_timer *timer) {
    struct meta_replica *replica = rt_container_of(timer, struct meta_replica, session_tick);
    uint64_t now = rt_loop_now(replica->loop);
    uint64_t tick_ns = replica->options.session_tick_ms * RT_NS_PER_MS;
    uint64_t late = now > replica->session_tick_due_ns ? now - replica->session_tick_due_ns : 0;
    if (late > tick_ns / 4) {
        replica->stalled_ns += late;
        rt_log_warn("meta", "the loop stood still, sessions get that time back ms=%llu",
                    (unsigned long long)(late / RT_NS_PER_MS));
    }
    replica->session_tick_due_ns = now + tick_ns / 2;
    rt_timer_at(timer, replica->session_tick_due_ns);
    if (!replica->watching_sessions) return;
    struct expiring expiring = {{session_due}, replica};
    meta_expiry_run(replica->expiry, session_now(replica), &expiring.due);
}

// TOUCHES

static void touched_clear(struct meta_replica *replica) {
    struct replica_touched *item, *next;
    HASH_ITER (hh, replica->touched, item, next) {
        HASH_DEL(replica->touched, item);
        rt_free(item);
    }
}

void replica_touched_by(struct meta_replica *replica, const int64_t *sessions, size_t count) {
    if (!replica->watching_sessions) return;
    for (size_t i = 0; i < count; i++)
        meta_expiry_touch(replica->expiry, sessions[i], session_now(replica));
}

void meta_replica_touch(struct meta_replica *replica, int64_t session) {
    if (!replica->raft || replica->closing) return;
    if (replica->status.role == RAFT_LEADER) {
        replica_touched_by(replica, &session, 1);
        return;
    }
    struct replica_touched *item;
    HASH_FIND(hh, replica->touched, &session, sizeof(session), item);
    if (item) return;
    item = RT_NEW(struct replica_touched);
    item->session = session;
    HASH_ADD(hh, replica->touched, session, sizeof(item->session), item);
}

static void touches_send(struct meta_replica *replica, const int64_t *sessions, size_t count) {
    struct rt_buf frame = {0};
    struct rt_writer w = rt_writer_into(&frame);
    meta_peer_touch_encode(sessions, count, &w);
    meta_peers_send(replica->peers, replica->status.leader, rt_buf_bytes(&frame));
    rt_buf_fini(&frame);
}

static void touch_tick(struct rt_timer *timer) {
    struct meta_replica *replica = rt_container_of(timer, struct meta_replica, touch_tick);
    rt_timer_after(timer, replica->options.session_tick_ms * RT_NS_PER_MS / 2);
    bool can_send = replica->raft && replica->status.leader &&
                    replica->status.role != RAFT_LEADER &&
                    meta_peers_is_connected(replica->peers, replica->status.leader);
    if (!can_send || !replica->touched) return;  // kept for the leader to come
    int64_t *sessions = rt_alloc_zero(META_PEER_TOUCHES_MAX, sizeof(*sessions));
    size_t count = 0;
    struct replica_touched *item, *next;
    HASH_ITER (hh, replica->touched, item, next) {
        sessions[count++] = item->session;
        if (count < META_PEER_TOUCHES_MAX) continue;
        touches_send(replica, sessions, count);
        count = 0;
    }
    if (count) touches_send(replica, sessions, count);
    rt_free(sessions);
    touched_clear(replica);
}

// REAPING: a worker looks through a snapshot, so that a million containers cost the loop nothing.

struct reap_item {
    int64_t czxid, mzxid;
    struct rt_bytes path;
};

struct replica_reap {
    struct rt_work work;
    struct meta_scan scan;
    struct meta_replica *replica;
    struct meta_view view;
    struct rt_arena arena;
    int64_t now_ms;
    uint64_t never_used_ms;
    struct reap_item *items;
    size_t count, count_max;
};

static bool reap_is_due(const struct replica_reap *reap, const struct meta_znode *node) {
    uint64_t age_ms = reap->now_ms > node->mtime_ms ? (uint64_t)(reap->now_ms - node->mtime_ms) : 0;
    if (node->children) return false;
    if (node->kind == META_TTL) return age_ms > (uint64_t)node->ttl_ms;
    if (node->kind != META_CONTAINER) return false;
    return node->creates || (reap->never_used_ms && age_ms > reap->never_used_ms);
}

static bool reap_each(struct meta_scan *scan, struct rt_bytes path) {
    struct replica_reap *reap = rt_container_of(scan, struct replica_reap, scan);
    struct meta_znode node;
    struct rt_bytes copy = rt_arena_copy(&reap->arena, path);
    if (meta_view_find_now(&reap->view, copy, &reap->arena, &node)) return true;
    if (reap_is_due(reap, &node))
        reap->items[reap->count++] = (struct reap_item){node.czxid, node.mzxid, copy};
    return reap->count < reap->count_max;
}

static void reap_run(struct rt_work *work) {
    struct replica_reap *reap = rt_container_of(work, struct replica_reap, work);
    // What cannot be read now is looked at again next time.
    RT_IGNORE(meta_view_reapable_now(&reap->view, (struct rt_bytes){0}, &reap->scan));
}

static void reap_done(struct rt_work *work) {
    struct replica_reap *reap = rt_container_of(work, struct replica_reap, work);
    struct meta_replica *replica = reap->replica;
    meta_store_snapshot_drop(replica->store, &reap->view);
    for (size_t i = 0; i < reap->count && leads(replica) && !replica->closing; i++) {
        struct meta_command command = {.kind = META_REAP};
        command.reap.czxid = reap->items[i].czxid;
        command.reap.mzxid = reap->items[i].mzxid;
        command.reap.path = reap->items[i].path;
        replica_propose(replica, &command);
    }
    rt_arena_fini(&reap->arena);
    rt_free(reap->items);
    rt_free(reap);
    replica->reap = NULL;
    if (replica->closing) rt_defer(replica->loop, &replica->part_closed);
}

static void reap_tick(struct rt_timer *timer) {
    struct meta_replica *replica = rt_container_of(timer, struct meta_replica, reap_tick);
    rt_timer_after(timer, replica->options.container_check_ms * RT_NS_PER_MS);
    if (!leads(replica) || replica->reap || replica->failing) return;
    struct replica_reap *reap = RT_NEW(struct replica_reap);
    if (meta_store_snapshot_now(replica->store, &reap->view)) {
        rt_free(reap);
        return;
    }
    reap->replica = replica;
    reap->scan.each = reap_each;
    reap->now_ms = (int64_t)(rt_machine_wall_ns(replica->machine) / RT_NS_PER_MS);
    reap->never_used_ms = replica->options.container_never_used_ms;
    uint64_t interval = replica->options.container_check_ms;
    reap->count_max = (size_t)(replica->options.container_reap_max * interval / 60000 + 1);
    reap->items = rt_alloc_zero(reap->count_max, sizeof(*reap->items));
    replica->reap = reap;
    rt_work_submit(&reap->work, replica->loop, reap_run, reap_done, "meta.reap");
}

// SNAPSHOTS

// A share of chance, so that the nodes of a cluster do not all snapshot at once.
static void snapshot_plan(struct meta_replica *replica) {
    struct rt_random *random = rt_loop_random(replica->loop);
    replica->snapshot_at = replica->status.applied;
    replica->snapshot_log_bytes = meta_log_stats(replica->log).bytes;
    replica->snapshot_jitter = rt_random_below(random, replica->options.snapshot_entries / 4 + 1);
}

void replica_upkeep_applied(struct meta_replica *replica) {
    uint64_t entries = meta_store_totals(replica->store).applied.index - replica->snapshot_at;
    if (replica->snapshotting || !replica->log || entries < 16) return;
    bool many = entries >= replica->options.snapshot_entries + replica->snapshot_jitter;
    if (!many && entries % 64 == 0) {
        uint64_t bytes = meta_log_stats(replica->log).bytes;
        many = bytes > replica->snapshot_log_bytes + replica->options.snapshot_log_bytes;
    }
    if (many) meta_replica_snapshot(replica);
}

bool meta_replica_snapshot(struct meta_replica *replica) {
    if (replica->snapshotting || !replica->raft || replica->closing || replica->failing)
        return false;
    snapshot_plan(replica);
    replica->snapshotting = meta_snapshots_take(replica->snapshots, meta_store_kv(replica->store));
    return replica->snapshotting;
}

// LIFE

void replica_upkeep_init(struct meta_replica *replica) {
    const struct meta_replica_options *options = &replica->options;
    uint64_t tick_ns = options->session_tick_ms * RT_NS_PER_MS;
    replica->expiry = meta_expiry_new(tick_ns);
    rt_timer_init(&replica->session_tick, replica->loop, session_tick, "meta.expiry");
    rt_timer_init(&replica->touch_tick, replica->loop, touch_tick, "meta.touch");
    rt_timer_init(&replica->reap_tick, replica->loop, reap_tick, "meta.reap");
    replica->session_tick_due_ns = rt_loop_clock(replica->loop) + tick_ns / 2;
    rt_timer_at(&replica->session_tick, replica->session_tick_due_ns);
    rt_timer_after(&replica->touch_tick, tick_ns / 2);
    if (options->container_check_ms)
        rt_timer_after(&replica->reap_tick, options->container_check_ms * RT_NS_PER_MS);
    replica->snapshot_at = meta_store_totals(replica->store).applied.index;
    replica->snapshot_log_bytes = 0;
}

bool replica_upkeep_is_idle(const struct meta_replica *replica) {
    return !replica->reap;
}

void replica_upkeep_fini(struct meta_replica *replica) {
    if (!replica->expiry) return;
    rt_timer_cancel(&replica->session_tick);
    rt_timer_cancel(&replica->touch_tick);
    rt_timer_cancel(&replica->reap_tick);
    touched_clear(replica);
    meta_expiry_free(replica->expiry);
    replica->expiry = NULL;
}
