// Four-letter words: what operators and their tools ask with netcat. Section 20 of the protocol
// sheet has the formats; scripts and client libraries parse them.
#include <string.h>

#include "meta/server/zk/conn.h"

// The day that version of ZooKeeper was built: some scripts insist on one.
#define ZOOKEEPER_BUILT "2024-10-17 23:21 UTC"

enum { WORD_SIZE = 4, FLOAT_SIZE = 48 };

typedef void word_fn(struct meta_server *server, struct rt_buf *out);

static const char *version_of(const struct meta_server *server) {
    return server->options.version ? server->options.version : "0";
}

static void text_add(struct rt_buf *out, const char *text) {
    rt_buf_append(out, rt_bytes_of(text));
}

// STATE

static struct meta_replica_status status_of(const struct meta_server *server) {
    struct meta_replica_status status;
    meta_replica_status(server->replica, &status);
    return status;
}

static bool is_observer(const struct meta_server *server) {
    const struct raft_config *config = meta_replica_config(server->replica);
    return config && raft_config_has_role(config, server->options.server_id, RAFT_LEARNER);
}

static const char *mode_of(const struct meta_server *server) {
    struct meta_replica_status status = status_of(server);
    if (status.is_alone) return "standalone";
    if (status.raft.role == RAFT_LEADER) return "leader";
    return is_observer(server) ? "observer" : "follower";
}

static double average_ms(const struct meta_server_stats *stats) {
    if (!stats->latency_count) return 0;
    return (double)stats->latency_sum_us / (double)stats->latency_count / 1000.0;
}

// Four decimals at most, one at least.
static void average_print(double value, char text[FLOAT_SIZE]) {
    int size = snprintf(text, FLOAT_SIZE, "%.4f", value);
    while (size > 2 && text[size - 1] == '0' && text[size - 2] != '.') text[--size] = 0;
}

// WORDS

static void word_ruok(struct meta_server *server, struct rt_buf *out) {
    (void)server;
    text_add(out, "imok");
}

static void word_isro(struct meta_server *server, struct rt_buf *out) {
    text_add(out, status_of(server).is_serving ? "rw" : "null");
}

static void version_print(const struct meta_server *server, struct rt_buf *out) {
    rt_buf_print(out, "Zookeeper version: %s-geminga-%s, built on %s\n", META_ZOOKEEPER_VERSION,
                 version_of(server), ZOOKEEPER_BUILT);
}

static void figures_print(struct meta_server *server, struct rt_buf *out) {
    struct meta_server_stats stats = meta_server_stats(server);
    struct meta_store_totals totals = meta_store_totals(server->store);
    const char *mode = mode_of(server);
    char average[FLOAT_SIZE];
    average_print(average_ms(&stats), average);
    rt_buf_print(out, "Latency min/avg/max: %llu/%s/%llu\n",
                 (unsigned long long)(stats.latency_min_us / 1000), average,
                 (unsigned long long)(stats.latency_max_us / 1000));
    rt_buf_print(out, "Received: %llu\nSent: %llu\nConnections: %llu\nOutstanding: %llu\n",
                 (unsigned long long)stats.received, (unsigned long long)stats.sent,
                 (unsigned long long)stats.connections, (unsigned long long)stats.outstanding);
    rt_buf_print(out, "Zxid: 0x%llx\nMode: %s\nNode count: %llu\n",
                 (unsigned long long)totals.applied.index, mode, (unsigned long long)totals.nodes);
    if (strcmp(mode, "leader") != 0) return;
    rt_buf_print(out, "Proposal sizes last/min/max: %lld/%lld/%lld\n",
                 (long long)server->proposal_last, (long long)server->proposal_min,
                 (long long)server->proposal_max);
}

static void word_srvr(struct meta_server *server, struct rt_buf *out) {
    version_print(server, out);
    figures_print(server, out);
}

static void word_stat(struct meta_server *server, struct rt_buf *out) {
    version_print(server, out);
    text_add(out, "Clients:\n");
    meta_word_connections(server, out, false);
    text_add(out, "\n");
    figures_print(server, out);
}

static void word_cons(struct meta_server *server, struct rt_buf *out) {
    meta_word_connections(server, out, true);
    text_add(out, "\n");
}

static void number_print(struct rt_buf *out, const char *key, uint64_t value) {
    rt_buf_print(out, "zk_%s\t%llu\n", key, (unsigned long long)value);
}

static void followers_print(const struct meta_server *server, struct rt_buf *out) {
    const struct meta_replica_status status = status_of(server);
    const struct raft_config *config = meta_replica_config(server->replica);
    uint64_t followers = 0, learners = 0, synced = 0;
    for (unsigned i = 0; config && i < config->count; i++) {
        struct raft_peer_status peer;
        const struct raft_member *member = &config->members[i];
        if (member->id == status.raft.id) continue;
        if (!meta_replica_peer_status(server->replica, member->id, &peer)) continue;
        learners++;
        if (member->roles & RAFT_LEARNER) continue;
        followers++;
        synced += peer.progress == RAFT_REPLICATE && peer.match >= status.raft.commit;
    }
    number_print(out, "learners", learners);
    number_print(out, "followers", followers);
    number_print(out, "synced_followers", synced);
    number_print(out, "synced_non_voting_followers", 0);
    number_print(out, "synced_observers", learners - followers);
    number_print(out, "pending_syncs", 0);
    rt_buf_print(out, "zk_last_proposal_size\t%lld\nzk_min_proposal_size\t%lld\n",
                 (long long)server->proposal_last, (long long)server->proposal_min);
    rt_buf_print(out, "zk_max_proposal_size\t%lld\n", (long long)server->proposal_max);
}

static unsigned voters_of(const struct meta_server *server) {
    const struct raft_config *config = meta_replica_config(server->replica);
    unsigned voters = 0;
    for (unsigned i = 0; config && i < config->count; i++)
        voters += (config->members[i].roles & RAFT_VOTER) != 0;
    return voters;
}

static void peer_print(const struct meta_server *server, const char *mode, struct rt_buf *out) {
    const char *doing = strcmp(mode, "leader") == 0     ? "leading"
                        : strcmp(mode, "observer") == 0 ? "observing"
                                                        : "following";
    rt_buf_print(out, "zk_peer_state\t%s - broadcast\n", doing);
    number_print(out, "quorum_size", voters_of(server));
}

static void latencies_print(const struct meta_server_stats *stats, struct rt_buf *out) {
    char average[FLOAT_SIZE];
    average_print(average_ms(stats), average);
    rt_buf_print(out, "zk_avg_latency\t%s\n", average);
    number_print(out, "min_latency", stats->latency_min_us / 1000);
    number_print(out, "max_latency", stats->latency_max_us / 1000);
}

static void word_mntr(struct meta_server *server, struct rt_buf *out) {
    struct meta_server_stats stats = meta_server_stats(server);
    struct meta_store_totals totals = meta_store_totals(server->store);
    const char *mode = mode_of(server);
    rt_buf_print(out, "zk_version\t%s-geminga-%s, built on %s\n", META_ZOOKEEPER_VERSION,
                 version_of(server), ZOOKEEPER_BUILT);
    rt_buf_print(out, "zk_server_state\t%s\n", mode);
    latencies_print(&stats, out);
    number_print(out, "packets_received", stats.received);
    number_print(out, "packets_sent", stats.sent);
    number_print(out, "num_alive_connections", stats.connections);
    number_print(out, "connection_rejected", stats.connections_refused);
    number_print(out, "outstanding_requests", stats.outstanding);
    number_print(out, "znode_count", totals.nodes);
    number_print(out, "watch_count", stats.watch_count);
    number_print(out, "ephemerals_count", totals.ephemerals);
    number_print(out, "approximate_data_size", totals.data_bytes);
    number_print(out, "global_sessions", meta_store_session_count(server->store));
    number_print(out, "local_sessions", 0);
    number_print(out, "stale_sessions_expired", stats.sessions_expired);
    number_print(out, "auth_failed_count", stats.auth_failed);
    number_print(out, "throttled_ops", stats.throttled);
    number_print(out, "watch_bytes", meta_watches_totals(server->watches).bytes);
    number_print(out, "uptime", meta_server_wall_ms(server) - server->started_ms);
    if (!status_of(server).is_alone) peer_print(server, mode, out);
    if (strcmp(mode, "leader") == 0) followers_print(server, out);
}

static void conf_print(const struct meta_server *server, struct rt_buf *out) {
    const struct meta_server_options *options = &server->options;
    const char *data_dir = options->data_dir ? options->data_dir : "";
    bool unlimited = options->connections_per_host_max == UINT32_MAX;
    rt_buf_print(out, "clientPort=%u\nsecureClientPort=%u\n", (unsigned)meta_server_port(server),
                 (unsigned)meta_server_secure_port(server));
    rt_buf_print(out, "dataDir=%s\ndataLogDir=%s\ntickTime=%u\nmaxClientCnxns=%u\n", data_dir,
                 data_dir, options->tick_ms, unlimited ? 0 : options->connections_per_host_max);
    rt_buf_print(out, "minSessionTimeout=%d\nmaxSessionTimeout=%d\nserverId=%llu\n",
                 options->session_timeout_min_ms, options->session_timeout_max_ms,
                 (unsigned long long)options->server_id);
}

// The members are those of now, whatever the configuration said at the start.
static void members_print(const struct meta_server *server, struct rt_buf *out) {
    const struct raft_config *config = meta_replica_config(server->replica);
    if (!config || status_of(server).is_alone) return;
    text_add(out, "membership: \n");
    for (unsigned i = 0; i < config->count; i++)
        rt_buf_print(out, "server.%llu=%s\n", (unsigned long long)config->members[i].id,
                     config->members[i].address);
    rt_buf_print(out, "version=%llx", (unsigned long long)config->index);
}

static void word_conf(struct meta_server *server, struct rt_buf *out) {
    uint64_t data, log;
    if (server->options.config_text)
        text_add(out, server->options.config_text);
    else
        conf_print(server, out);
    meta_data_sizes(server, &data, &log);
    rt_buf_print(out, "dataDirSize=%llu\ndataLogSize=%llu\n", (unsigned long long)data,
                 (unsigned long long)log);
    members_print(server, out);
}

static void word_envi(struct meta_server *server, struct rt_buf *out) {
    rt_buf_print(out, "Environment:\nzookeeper.version=%s-geminga-%s, built on %s\n",
                 META_ZOOKEEPER_VERSION, version_of(server), ZOOKEEPER_BUILT);
    rt_buf_print(out, "host.name=%s\ngeminga.version=%s\nos.name=Linux\n",
                 server->machine->name[0] ? server->machine->name : "localhost",
                 version_of(server));
}

static void word_wchs(struct meta_server *server, struct rt_buf *out) {
    struct meta_watch_totals totals = meta_watches_totals(server->watches);
    rt_buf_print(out, "%zu connections watching %zu paths\nTotal watches:%zu\n", totals.watchers,
                 totals.paths, totals.watches);
}

static void word_srst(struct meta_server *server, struct rt_buf *out) {
    meta_server_stats_reset(server);
    text_add(out, "Server stats reset.\n");
}

static void word_crst(struct meta_server *server, struct rt_buf *out) {
    meta_server_connection_stats_reset(server);
    text_add(out, "Connection stats reset.\n");
}

static const struct word {
    char name[WORD_SIZE + 1];
    bool needs_service;  // else it is answered in any state
    word_fn *run;
} words[] = {
    {"ruok", false, word_ruok},
    {"isro", false, word_isro},
    {"srvr", true, word_srvr},
    {"stat", true, word_stat},
    {"mntr", true, word_mntr},
    {"cons", true, word_cons},
    {"conf", true, word_conf},
    {"envi", false, word_envi},
    {"dump", true, meta_word_dump},
    {"wchs", true, word_wchs},
    {"wchc", true, meta_word_watches_by_session},
    {"wchp", true, meta_word_watches_by_path},
    {"dirs", true, meta_word_directories},
    {"srst", true, word_srst},
    {"crst", true, word_crst},
};

static const struct word *word_find(const char name[WORD_SIZE]) {
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (memcmp(words[i].name, name, WORD_SIZE) == 0) return &words[i];
    }
    return NULL;
}

bool meta_word_is_known(const char word[4]) {
    return word_find(word) != NULL;
}

// The list: words with commas between them, or a star.
static bool is_allowed(const struct meta_server *server, const char *name) {
    struct rt_bytes rest = rt_bytes_of(server->options.words);
    while (rest.size) {
        size_t size = 0;
        while (size < rest.size && rest.data[size] != ',') size++;
        struct rt_bytes item = RT_BYTES(rest.data, size);
        rest = rt_bytes_skip(rest, size + 1);
        while (item.size && item.data[0] == ' ') item = rt_bytes_skip(item, 1);
        while (item.size && item.data[item.size - 1] == ' ') item.size--;
        if (rt_bytes_equal(item, RT_BYTES_LITERAL("*"))) return true;
        if (rt_bytes_equal(item, rt_bytes_of(name))) return true;
    }
    return false;
}

void meta_word_answer(struct meta_server *server, const char word[4], struct rt_buf *out) {
    const struct word *found = word_find(word);
    if (!found) return;
    if (!is_allowed(server, found->name)) {
        rt_buf_print(out, "%s is not executed because it is not in the whitelist.\n", found->name);
    } else if (found->needs_service && !status_of(server).is_serving) {
        text_add(out, "This ZooKeeper instance is not currently serving requests\n");
    } else {
        found->run(server, out);
    }
}

void meta_word_print(struct meta_server *server, const char word[4], struct rt_buf *out) {
    const struct word *found = word_find(word);
    if (found) found->run(server, out);
}
