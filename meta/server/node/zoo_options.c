// The keys of zoo.cfg, as ZooKeeper's administrator's guide names them, with its defaults.
#include "meta/server/node/zoo_config.h"

#define OPTION_AT(field) .offset = offsetof(struct meta_zoo_values, field)
#define MIB (INT64_C(1) << 20)

#define TEXT(key, field, value, text) \
    { .name = (key), .type = RT_OPTION_TEXT, OPTION_AT(field), .fallback = (value), .help = (text) }
#define TEXT_OR(key, second, field, value, text)                                   \
    {                                                                              \
        .name = (key), .also = (second), .type = RT_OPTION_TEXT, OPTION_AT(field), \
        .fallback = (value), .help = (text)                                        \
    }
#define BOOL(key, field, value, text) \
    { .name = (key), .type = RT_OPTION_BOOL, OPTION_AT(field), .fallback = (value), .help = (text) }
#define BOOL_OR(key, second, field, value, text)                                   \
    {                                                                              \
        .name = (key), .also = (second), .type = RT_OPTION_BOOL, OPTION_AT(field), \
        .fallback = (value), .help = (text)                                        \
    }
#define INT(key, field, value, low, high, text)                                                    \
    {                                                                                              \
        .name = (key), .type = RT_OPTION_INT, OPTION_AT(field), .fallback = (value), .min = (low), \
        .max = (high), .help = (text)                                                              \
    }
#define SIZE(key, field, value, low, high, text)                                      \
    {                                                                                 \
        .name = (key), .type = RT_OPTION_SIZE, OPTION_AT(field), .fallback = (value), \
        .min = (low), .max = (high), .help = (text)                                   \
    }

static const struct rt_option options[] = {
    TEXT("dataDir", data_dir, "data/meta", "Directory of log, store, snapshots and myid."),
    TEXT("dataLogDir", data_log_dir, "", "Accepted; everything is kept in dataDir."),
    INT("clientPort", client_port, "-1", -1, 65535, "Port of clients. 0 takes a free one."),
    TEXT("clientPortAddress", client_address, "", "Address to listen on for clients."),
    INT("secureClientPort", secure_client_port, "-1", -1, 65535, "Port of clients with TLS."),
    TEXT("secureClientPortAddress", secure_client_address, "", "Address of that."),
    INT("tickTime", tick_ms, "3000", 1, 3600000, "Milliseconds of a tick."),
    INT("initLimit", init_limit, "10", 1, 100000, "Accepted; Raft needs no such limit."),
    INT("syncLimit", sync_limit, "5", 1, 100000, "Accepted; Raft needs no such limit."),
    INT("minSessionTimeout", session_timeout_min_ms, "-1", -1, INT32_MAX,
        "Least session timeout in milliseconds; -1 is two ticks."),
    INT("maxSessionTimeout", session_timeout_max_ms, "-1", -1, INT32_MAX,
        "Largest session timeout in milliseconds; -1 is twenty ticks."),
    INT("maxClientCnxns", connections_per_host_max, "60", 0, INT32_MAX,
        "Connections from one address; 0 is no limit."),
    INT("maxCnxns", connections_max, "0", 0, INT32_MAX, "Connections in all; 0 is no limit."),
    INT("globalOutstandingLimit", outstanding_max, "1000", 1, INT32_MAX,
        "Requests under way before clients are made to wait."),
    {.name = "jute.maxbuffer",
     .also = "juteMaxbuffer",
     .type = RT_OPTION_SIZE,
     OPTION_AT(frame_size_max),
     .fallback = "1048575",
     .min = 1024,
     .max = 64 * MIB,
     .help = "Largest request in bytes."},
    TEXT_OR("4lw.commands.whitelist", "zookeeper.4lw.commands.whitelist", words, "srvr",
            "Four-letter words that are answered, with commas; * is all."),
    TEXT_OR("DigestAuthenticationProvider.superDigest",
            "zookeeper.DigestAuthenticationProvider.superDigest", super_digest, "",
            "super:HASH of who passes every ACL."),
    BOOL_OR("forceSync", "zookeeper.forceSync", force_sync, "yes",
            "Whether a write is on disk before it is acknowledged."),
    BOOL_OR("skipACL", "zookeeper.skipACL", skip_acl, "no", "Whether ACLs are not looked at."),
    BOOL_OR("extendedTypesEnabled", "zookeeper.extendedTypesEnabled", extended_types, "false",
            "Whether TTL nodes may be created."),
    BOOL_OR("enforceQuota", "zookeeper.enforceQuota", enforce_quota, "false",
            "Whether hard quotas refuse writes."),
    BOOL("reconfigEnabled", reconfig_enabled, "false",
         "Accepted; members are changed with 'geminga meta add' and 'remove'."),
    BOOL("standaloneEnabled", standalone_enabled, "true", "Accepted; one server is a cluster."),
    BOOL_OR("enforce.auth.enabled", "zookeeper.enforce.auth.enabled", enforce_auth, "false",
            "Whether clients must authenticate first."),
    TEXT_OR("enforce.auth.schemes", "zookeeper.enforce.auth.schemes", enforce_auth_schemes, "",
            "Schemes that count for that, with commas."),
    BOOL_OR("admin.enableServer", "zookeeper.admin.enableServer", admin_enabled, "true",
            "Whether the AdminServer's HTTP port is opened."),
    INT("admin.serverPort", admin_port, "8080", 0, 65535, "Port of HTTP. 0 takes a free one."),
    TEXT("admin.serverAddress", admin_address, "0.0.0.0", "Address of HTTP."),
    TEXT("dynamicConfigFile", dynamic_config_file, "", "File with the server lines."),
    INT("snapCount", snap_count, "100000", 2, INT32_MAX, "Writes between snapshots."),
    INT("znode.container.checkIntervalMs", container_check_ms, "60000", 0, INT32_MAX,
        "How often empty containers and old TTL nodes are looked for; 0 is never."),
    INT("znode.container.maxPerMinute", container_reap_max, "10000", 1, INT32_MAX,
        "How many of them are removed in a minute."),
    INT("znode.container.maxNeverUsedIntervalMs", container_never_used_ms, "300000", 0, INT32_MAX,
        "Age at which containers that never had children go; 0 is never."),
    TEXT("ssl.keyStore.location", ssl_cert, "", "PEM file of the server's certificate and key."),
    TEXT("ssl.key.location", ssl_key, "", "PEM file of the key, if it is in another."),
    TEXT("ssl.trustStore.location", ssl_ca, "", "PEM file of the authorities of clients."),
    TEXT("ssl.clientAuth", ssl_client_auth, "need", "need, want or none."),
    BOOL("sslQuorum", ssl_quorum, "false", "Whether servers speak TLS to each other."),
    TEXT("ssl.quorum.keyStore.location", ssl_quorum_cert, "", "PEM file for that."),
    TEXT("ssl.quorum.key.location", ssl_quorum_key, "", "PEM file of its key."),
    TEXT("ssl.quorum.trustStore.location", ssl_quorum_ca, "", "PEM file of its authorities."),
    SIZE("geminga.cacheBytes", cache_bytes, "64M", MIB, MIB << 20,
         "Memory for blocks of the store."),
    SIZE("geminga.nodeBytes", node_bytes, "16M", MIB, MIB << 20,
         "Memory for znodes that were used lately."),
    INT("geminga.myid", my_id, "0", 0, 254, "Instead of dataDir/myid."),
    BOOL("geminga.join", join, "false", "Starts empty and waits to be added to a cluster."),
    INT("geminga.electionMs", election_ms, "500", 100, 60000,
        "Milliseconds without a leader after which a follower stands for election."),
};

// Known to ZooKeeper and without effect here. Sorted.
static const char *const ignored[] = {
    "authProvider.1",
    "autopurge.purgeInterval",
    "autopurge.snapRetainCount",
    "clientPortListenBacklog",
    "cnxTimeout",
    "electionAlg",
    "fsync.warningthresholdms",
    "leaderServes",
    "localSessionsEnabled",
    "localSessionsUpgradingEnabled",
    "metricsProvider.className",
    "metricsProvider.exportJvmInfo",
    "metricsProvider.httpHost",
    "metricsProvider.httpPort",
    "peerType",
    "portUnification",
    "preAllocSize",
    "quorumListenOnAllIPs",
    "serverCnxnFactory",
    "syncEnabled",
    "zookeeper.serverCnxnFactory",
};

const struct rt_option_table meta_zoo_options = {.name = "zoo.cfg",
                                                 .options = options,
                                                 .count = sizeof(options) / sizeof(options[0]),
                                                 .ignored = ignored,
                                                 .ignored_count =
                                                     sizeof(ignored) / sizeof(ignored[0])};
