// What the server counts and measures, and its connections as people see them.
#include <string.h>

#include "meta/server/zk/conn.h"

struct meta_server_stats meta_server_stats(const struct meta_server *server) {
    struct meta_server_stats stats = server->stats;
    stats.outstanding = server->outstanding;
    stats.watch_count = meta_watches_totals(server->watches).watches;
    return stats;
}

// LATENCIES, in ms

static const double latency_bounds[] = {0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000};
enum { LATENCY_BOUNDS = sizeof(latency_bounds) / sizeof(latency_bounds[0]) };

static void latency_register(struct meta_server *server, struct rt_histogram *histogram,
                             const char *name, const char *help) {
    rt_histogram_register(histogram, server->machine->metrics, name, help, "", latency_bounds,
                          LATENCY_BOUNDS, (double)RT_NS_PER_MS);
}

void meta_server_latencies_init(struct meta_server *server) {
    latency_register(server, &server->read_latency, "readlatency",
                     "From a request that reads to its reply, ms.");
    latency_register(server, &server->update_latency, "updatelatency",
                     "From a request that writes to its reply, ms.");
}

void meta_server_latencies_fini(struct meta_server *server) {
    rt_metric_unregister(&server->read_latency.metric);
    rt_metric_unregister(&server->update_latency.metric);
}

void meta_server_latency_record(struct meta_server *server, int32_t opcode, uint64_t ns) {
    const struct proto_zk_op_info *info = proto_zk_op_find(opcode);
    bool is_update = info && info->kind == PROTO_ZK_WRITE;
    rt_histogram_record(is_update ? &server->update_latency : &server->read_latency, ns);
}

// COUNTS

// What is now stays; what was counted starts again.
void meta_server_stats_reset(struct meta_server *server) {
    struct meta_server_stats *stats = &server->stats;
    stats->received = stats->sent = stats->requests = 0;
    stats->latency_count = stats->latency_sum_us = 0;
    stats->latency_min_us = stats->latency_max_us = 0;
    server->proposal_last = server->proposal_min = server->proposal_max = -1;
}

void meta_server_connection_stats_reset(struct meta_server *server) {
    rt_list_each (node, &server->conns) {
        struct meta_conn *conn = rt_container_of(node, struct meta_conn, link);
        conn->received = conn->sent = 0;
        conn->latency_count = conn->latency_sum_us = conn->latency_last_us = 0;
        conn->latency_min_us = conn->latency_max_us = 0;
        conn->last.opcode = 0;  // which has no name
        conn->last.xid = -1;
        conn->last_zxid = -1;
        conn->last_response_ns = 0;
    }
}

int64_t meta_watcher_session(const struct meta_watcher *watcher) {
    return rt_container_of(watcher, const struct meta_conn, watcher)->session;
}

const struct meta_watches *meta_server_watches(const struct meta_server *server) {
    return server->watches;
}

// Each connection is as likely as any other to be among those.
unsigned meta_server_shed(struct meta_server *server, unsigned percent) {
    uint64_t left = server->stats.connections;
    uint64_t wanted = percent >= 100 ? left : left * percent / 100;
    unsigned shed = 0;
    rt_list_each_safe (node, &server->conns) {
        struct meta_conn *conn = rt_container_of(node, struct meta_conn, link);
        if (wanted == 0) break;
        bool goes = rt_random_below(rt_loop_random(server->loop), left) < wanted;
        left--;
        if (!goes) continue;
        wanted--;
        shed++;
        meta_conn_close(conn, RT_OK);
    }
    return shed;
}

static struct meta_conn_facts facts_of(struct meta_conn *conn) {
    const uint64_t us_per_ms = 1000;
    uint64_t count = conn->latency_count ? conn->latency_count : 1;
    uint64_t silent_ns = rt_loop_now(conn->server->loop) - conn->last_response_ns;
    uint64_t response_ms = meta_server_wall_ms(conn->server) - silent_ns / RT_NS_PER_MS;
    return (struct meta_conn_facts){.peer = rt_conn_peer(&conn->stream),
                                    .session = conn->session,
                                    .timeout_ms = conn->timeout_ms,
                                    .is_secure = conn->is_secure,
                                    .has_session = conn->state == META_CONN_READY,
                                    .queued = conn->pending_count,
                                    .received = conn->received,
                                    .sent = conn->sent,
                                    .established_ms = conn->established_ms,
                                    .last_latency_ms = conn->latency_last_us / us_per_ms,
                                    .min_latency_ms = conn->latency_min_us / us_per_ms,
                                    .max_latency_ms = conn->latency_max_us / us_per_ms,
                                    .avg_latency_ms = conn->latency_sum_us / count / us_per_ms,
                                    .last_response_ms = conn->last_response_ns ? response_ms : 0,
                                    .last_opcode = conn->last.opcode,
                                    .last_xid = conn->last.xid,
                                    .last_zxid = conn->last_zxid,
                                    .watcher = &conn->watcher};
}

void meta_server_visit(const struct meta_server *server, struct meta_conn_visit *visit) {
    rt_list_each (node, &server->conns) {
        struct meta_conn_facts facts = facts_of(rt_container_of(node, struct meta_conn, link));
        visit->each(visit, &facts);
    }
}
