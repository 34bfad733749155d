// What is measured belongs to the loop, a scrape comes on any thread: the loop copies the figures
// into metrics every second. A figure that an operator sets back (srst) is a counter that pauses.
// Section 21 of the protocol sheet has the names; what ZooKeeper has no word for begins with
// geminga_meta_.
#include "meta/server/node/metrics.h"

#include "runtime/machine.h"

enum { EVERY_MS = 1000, US_PER_MS = 1000 };

// All figures that a row may show, taken in one go.
struct figures {
    struct meta_server_stats server;
    struct meta_replica_status replica;
    struct meta_store_totals store;
    size_t sessions;
    unsigned learners, voters;
    uint64_t uptime_ms;
    bool leads;
};

struct row {
    const char *name, *help;
    enum rt_metric_kind kind;
    int64_t (*of)(const struct figures *figures);
};

struct series {
    struct rt_gauge gauge;
    struct rt_counter counter;
    uint64_t last;  // what the counter has got so far
};

// THE FIGURES

#define FIGURE(name, expression)                   \
    static int64_t name(const struct figures *f) { \
        return (int64_t)(expression);              \
    }

static uint64_t latency_avg_us(const struct meta_server_stats *stats) {
    return stats->latency_count ? stats->latency_sum_us / stats->latency_count : 0;
}

FIGURE(latency_avg_of, latency_avg_us(&f->server) / US_PER_MS)
FIGURE(latency_min_of, f->server.latency_min_us / US_PER_MS)
FIGURE(latency_max_of, f->server.latency_max_us / US_PER_MS)
FIGURE(received_of, f->server.received)
FIGURE(sent_of, f->server.sent)
FIGURE(requests_of, f->server.requests)
FIGURE(connections_of, f->server.connections)
FIGURE(opened_of, f->server.connections_opened)
FIGURE(refused_of, f->server.connections_refused)
FIGURE(outstanding_of, f->server.outstanding)
FIGURE(watches_of, f->server.watch_count)
FIGURE(expired_of, f->server.sessions_expired)
FIGURE(auth_failed_of, f->server.auth_failed)
FIGURE(throttled_of, f->server.throttled)
FIGURE(nodes_of, f->store.nodes)
FIGURE(ephemerals_of, f->store.ephemerals)
FIGURE(bytes_of, f->store.data_bytes)
FIGURE(sessions_of, f->sessions)
FIGURE(uptime_of, f->uptime_ms)
FIGURE(learners_of, f->learners)
FIGURE(voters_of, f->voters)
FIGURE(peers_of, f->replica.peers_connected)
FIGURE(leads_of, f->leads)
FIGURE(serving_of, f->replica.is_serving)
FIGURE(term_of, f->replica.raft.term)
FIGURE(last_of, f->replica.raft.last)
FIGURE(durable_of, f->replica.raft.durable)
FIGURE(commit_of, f->replica.raft.commit)
FIGURE(applied_of, f->store.applied.index)
FIGURE(log_base_of, f->replica.raft.log_base.index)
FIGURE(uncommitted_of, f->replica.raft.uncommitted_bytes)
FIGURE(entries_of, f->replica.applied_entries)
FIGURE(snapshots_of, f->replica.snapshots_taken)

static const struct row rows[] = {
    {"avg_latency", "Mean time from request to reply, ms.", RT_METRIC_GAUGE, latency_avg_of},
    {"min_latency", "Shortest time from request to reply, ms.", RT_METRIC_GAUGE, latency_min_of},
    {"max_latency", "Longest time from request to reply, ms.", RT_METRIC_GAUGE, latency_max_of},
    {"packets_received", "Requests received.", RT_METRIC_COUNTER, received_of},
    {"packets_sent", "Replies and events sent.", RT_METRIC_COUNTER, sent_of},
    {"response_count", "Requests answered.", RT_METRIC_COUNTER, requests_of},
    {"num_alive_connections", "Client connections.", RT_METRIC_GAUGE, connections_of},
    {"connection_request_count", "Client connections accepted.", RT_METRIC_COUNTER, opened_of},
    {"connection_rejected", "Client connections refused.", RT_METRIC_COUNTER, refused_of},
    {"outstanding_requests", "Requests under way.", RT_METRIC_GAUGE, outstanding_of},
    {"watch_count", "Watches.", RT_METRIC_GAUGE, watches_of},
    {"stale_sessions_expired", "Sessions that timed out.", RT_METRIC_COUNTER, expired_of},
    {"ensemble_auth_fail", "Refused authentications.", RT_METRIC_COUNTER, auth_failed_of},
    {"request_throttle_wait_count",
     "Times that a connection was not read because too much was "
     "under way.",
     RT_METRIC_COUNTER, throttled_of},
    {"znode_count", "Znodes.", RT_METRIC_GAUGE, nodes_of},
    {"ephemerals_count", "Ephemeral znodes.", RT_METRIC_GAUGE, ephemerals_of},
    {"approximate_data_size", "Bytes of paths and data.", RT_METRIC_GAUGE, bytes_of},
    {"global_sessions", "Sessions.", RT_METRIC_GAUGE, sessions_of},
    {"uptime", "Since the server serves, ms.", RT_METRIC_GAUGE, uptime_of},
    {"learners", "Connected members, on the leader.", RT_METRIC_GAUGE, learners_of},
    {"quorum_size", "Voting members.", RT_METRIC_GAUGE, voters_of},
    {"geminga_meta_peers_connected", "Members this one hears.", RT_METRIC_GAUGE, peers_of},
    {"geminga_meta_leader", "1 on the leader.", RT_METRIC_GAUGE, leads_of},
    {"geminga_meta_serving", "1 while clients are served.", RT_METRIC_GAUGE, serving_of},
    {"geminga_meta_term", "Raft term.", RT_METRIC_GAUGE, term_of},
    {"geminga_meta_last_index", "Last entry of the log.", RT_METRIC_GAUGE, last_of},
    {"geminga_meta_durable_index", "Last entry on this disk.", RT_METRIC_GAUGE, durable_of},
    {"geminga_meta_commit_index", "Last committed entry.", RT_METRIC_GAUGE, commit_of},
    {"geminga_meta_applied_index", "Last applied entry (zxid).", RT_METRIC_GAUGE, applied_of},
    {"geminga_meta_log_base_index", "Entry before the log.", RT_METRIC_GAUGE, log_base_of},
    {"geminga_meta_uncommitted_bytes", "Proposed, not committed.", RT_METRIC_GAUGE, uncommitted_of},
    {"geminga_meta_applied_total", "Entries applied.", RT_METRIC_COUNTER, entries_of},
    {"geminga_meta_snapshots_total", "Snapshots taken.", RT_METRIC_COUNTER, snapshots_of},
};
enum { ROW_COUNT = sizeof(rows) / sizeof(rows[0]) };

// THE COPY

struct meta_metrics {
    struct rt_loop *loop;
    struct meta_replica *replica;
    struct meta_server *server;
    uint64_t opened_ns;
    struct rt_timer timer;
    struct series series[ROW_COUNT];
};

static void members_count(struct figures *figures, const struct raft_config *config) {
    for (unsigned i = 0; config && i < config->count; i++) {
        if (config->members[i].roles & RAFT_VOTER) figures->voters++;
    }
    figures->leads = figures->replica.raft.role == RAFT_LEADER;
    if (figures->leads) figures->learners = figures->replica.peers_connected;
}

static void series_set(struct series *series, enum rt_metric_kind kind, int64_t value) {
    uint64_t now = (uint64_t)value;
    if (kind == RT_METRIC_GAUGE)
        rt_gauge_set(&series->gauge, value);
    else if (now > series->last)
        rt_counter_add(&series->counter, now - series->last);
    series->last = now;
}

static void figures_take(struct meta_metrics *metrics) {
    struct meta_store *store = meta_replica_store(metrics->replica);
    struct figures figures = {.server = meta_server_stats(metrics->server),
                              .store = meta_store_totals(store),
                              .sessions = meta_store_session_count(store),
                              .uptime_ms =
                                  (rt_loop_now(metrics->loop) - metrics->opened_ns) / RT_NS_PER_MS};
    meta_replica_status(metrics->replica, &figures.replica);
    members_count(&figures, meta_replica_config(metrics->replica));
    for (size_t i = 0; i < ROW_COUNT; i++)
        series_set(&metrics->series[i], rows[i].kind, rows[i].of(&figures));
}

static void tick(struct rt_timer *timer) {
    struct meta_metrics *metrics = rt_container_of(timer, struct meta_metrics, timer);
    figures_take(metrics);
    rt_timer_after(timer, EVERY_MS * RT_NS_PER_MS);
}

static void series_register(struct series *series, const struct row *row,
                            struct rt_metrics *registry) {
    if (row->kind == RT_METRIC_GAUGE)
        rt_gauge_register(&series->gauge, registry, row->name, row->help, "");
    else
        rt_counter_register(&series->counter, registry, row->name, row->help, "");
}

struct meta_metrics *meta_metrics_new(struct rt_machine *machine, struct rt_loop *loop,
                                      struct meta_replica *replica, struct meta_server *server) {
    struct meta_metrics *metrics = RT_NEW(struct meta_metrics);
    metrics->loop = loop;
    metrics->replica = replica;
    metrics->server = server;
    metrics->opened_ns = rt_loop_now(loop);
    for (size_t i = 0; i < ROW_COUNT; i++)
        series_register(&metrics->series[i], &rows[i], machine->metrics);
    rt_timer_init(&metrics->timer, loop, tick, "meta.metrics");
    figures_take(metrics);
    rt_timer_after(&metrics->timer, EVERY_MS * RT_NS_PER_MS);
    return metrics;
}

void meta_metrics_free(struct meta_metrics *metrics) {
    if (!metrics) return;
    rt_timer_cancel(&metrics->timer);
    for (size_t i = 0; i < ROW_COUNT; i++) {
        rt_metric_unregister(&metrics->series[i].gauge.metric);
        rt_metric_unregister(&metrics->series[i].counter.metric);
    }
    rt_free(metrics);
}
