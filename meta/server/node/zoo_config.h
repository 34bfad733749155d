// A ZooKeeper configuration (zoo.cfg) as it is: the keys ZooKeeper knows, with its defaults, and
// server.N lines. Keys that have no meaning here are accepted with a debug line, unknown ones
// warned about with the nearest known name.
#ifndef GEMINGA_META_SERVER_NODE_ZOO_CONFIG_H
#define GEMINGA_META_SERVER_NODE_ZOO_CONFIG_H

#include "meta/server/replica/replica.h"
#include "runtime/config.h"
#include "runtime/stream.h"

// Values of the table; texts are owned (rt_config_fini).
struct meta_zoo_values {
    char *data_dir, *data_log_dir;
    int64_t client_port, secure_client_port;       // -1: not given; 0: any free port
    char *client_address, *secure_client_address;  // clientPortAddress
    int64_t tick_ms, init_limit, sync_limit, session_timeout_min_ms, session_timeout_max_ms;
    int64_t connections_per_host_max, connections_max, outstanding_max;
    uint64_t frame_size_max;  // jute.maxbuffer
    char *words, *super_digest;
    bool force_sync, skip_acl, extended_types, enforce_quota, reconfig_enabled, standalone_enabled;
    bool enforce_auth;
    char *enforce_auth_schemes;
    bool admin_enabled;
    int64_t admin_port;
    char *admin_address;
    char *dynamic_config_file;
    int64_t snap_count, container_check_ms, container_reap_max, container_never_used_ms;
    char *ssl_key, *ssl_cert, *ssl_ca, *ssl_client_auth;  // PEM; for the client port
    bool ssl_quorum;
    char *ssl_quorum_key, *ssl_quorum_cert, *ssl_quorum_ca;
    // Ours: no counterpart in ZooKeeper.
    uint64_t cache_bytes, node_bytes;
    int64_t my_id;  // instead of dataDir/myid
    bool join;      // starts empty and waits to be added
    int64_t election_ms;
};

struct meta_zoo_config {
    struct meta_zoo_values values;
    uint64_t node_id;  // 1 when alone
    struct meta_member members[RAFT_MEMBERS_MAX];
    unsigned member_count;
    struct rt_tls client_tls, peer_tls;
    bool has_client_tls;
    char *effective;  // key=value lines, for `conf`
};

extern const struct rt_option_table meta_zoo_options;

// Reads the file (NULL: none), flags override it; dataDir/myid where there are servers. Blocks. All
// that is wrong is in the report; RT_EINVAL if anything is.
RT_CHECK
rt_err meta_zoo_config_load(struct rt_machine *machine, const struct rt_config_source *source,
                            struct meta_zoo_config *config, struct rt_config_report *report);
void meta_zoo_config_fini(struct meta_zoo_config *config);

// One server line: "host:peerPort:electionPort[:participant|observer][;[clientHost:]clientPort]",
// and what stands behind another ";" is left; IPv6 in brackets. group.N is refused, and weight.N
// other than 1: every participant has one vote. RT_EINVAL with what is wrong in it.
struct meta_server_line {
    char host[RAFT_ADDRESS_SIZE], client_host[RAFT_ADDRESS_SIZE];
    uint16_t peer_port, election_port, client_port;  // client_port 0: not given
    bool is_observer, has_role;
};
RT_CHECK
rt_err meta_server_line_parse(struct rt_bytes text, struct meta_server_line *line,
                              struct rt_why *why);

#endif
