// The ZooKeeper client protocol over a replica: listeners, connections, sessions' connections,
// watches, four-letter words.
//
// A connection answers its requests in order. Writes are submitted as they come and answered when
// their entry is applied here; reads are answered when everything before them is. An event is
// queued when its change is applied, so it precedes the reply of the same write and of every read
// that sees it. While a connection's read is with a worker its events wait behind it.
//
// Loop: the node's; connections too.
#ifndef GEMINGA_META_SERVER_ZK_SERVER_H
#define GEMINGA_META_SERVER_ZK_SERVER_H

#include "meta/server/replica/replica.h"
#include "meta/server/watch/watches.h"

struct meta_server;

// Names and defaults are ZooKeeper's; 0 takes the default in brackets.
struct meta_server_options {
    const char *client_listen;  // "tcp://0.0.0.0:2181"; NULL: none
    const char *secure_listen;  // "tls+tcp://..."; NULL: none
    const struct rt_tls *secure_tls;
    uint32_t tick_ms;                   // [2000]
    int32_t session_timeout_min_ms;     // [2 ticks]
    int32_t session_timeout_max_ms;     // [20 ticks]
    size_t frame_size_max;              // jute.maxbuffer [0xfffff]
    unsigned connections_per_host_max;  // maxClientCnxns [60]; UINT_MAX: unlimited
    unsigned connections_max;           // maxCnxns [unlimited]
    unsigned outstanding_max;           // globalOutstandingLimit [1000]: then sockets are not read
    const char *words;                  // 4lw.commands.whitelist ["srvr"]; "*": all
    const char *super_digest;           // "super:base64"; NULL: none
    bool skip_acl, extended_types, enforce_quota;
    bool reconfig_enabled;
    bool enforce_auth;  // enforce.auth.enabled
    const char *enforce_auth_schemes;
    const char *config_text;  // what `conf` prints: key=value lines
    const char *data_dir;     // for `dirs` and `conf`
    const char *version;      // of geminga
    uint64_t server_id;
};

// The ZooKeeper version that clients are told (srvr, stat, envi): kazoo and others parse it.
#define META_ZOOKEEPER_VERSION "3.9.3"

// Does not listen yet. `replica` is borrowed; the server does not take its events: the owner passes
// them on through the meta_server_on_ functions.
struct meta_server *meta_server_new(struct rt_machine *machine, struct rt_loop *loop,
                                    const struct meta_server_options *options,
                                    struct meta_replica *replica);
RT_CHECK
rt_err meta_server_listen(struct meta_server *server, struct rt_why *why);
uint16_t meta_server_port(const struct meta_server *server);
uint16_t meta_server_secure_port(const struct meta_server *server);
// No new connections; those there are closed. Then `closed`, and the server is freed.
void meta_server_close(struct meta_server *server, struct rt_task *closed);

void meta_server_on_applied(struct meta_server *server, const struct meta_outcome *outcome);
void meta_server_on_replaced(struct meta_server *server);
void meta_server_on_interrupted(struct meta_server *server);
void meta_server_on_refused(struct meta_server *server, uint64_t ticket);
void meta_server_on_status_changed(struct meta_server *server);
void meta_server_on_drained(struct meta_server *server);

struct meta_server_stats {
    uint64_t received, sent, requests, latency_count, latency_sum_us, latency_min_us,
        latency_max_us;
    uint64_t connections, connections_opened, connections_refused, outstanding, watch_count,
        sessions_expired, auth_failed, throttled;
};
struct meta_server_stats meta_server_stats(const struct meta_server *server);
void meta_server_stats_reset(struct meta_server *server);
void meta_server_connection_stats_reset(struct meta_server *server);
const struct meta_watches *meta_server_watches(const struct meta_server *server);
unsigned meta_server_shed(struct meta_server *server,
                          unsigned percent);  // closes so many; how many

// FOUR-LETTER WORDS (words.c), also the source of the AdminServer's answers.
// The text a client gets; NULL: not a word. An empty whitelist answer is text too.
bool meta_word_is_known(const char word[4]);
void meta_word_answer(struct meta_server *server, const char word[4], struct rt_buf *out);
// Whatever the whitelist says: for the AdminServer.
void meta_word_print(struct meta_server *server, const char word[4], struct rt_buf *out);

// For `cons`, `dump`, AdminServer: facts of each connection, in the order of acceptance.
struct meta_conn_facts {
    const char *peer;
    int64_t session;
    int32_t timeout_ms;
    bool is_secure, has_session;
    uint64_t queued, received, sent, established_ms, last_latency_ms, min_latency_ms,
        max_latency_ms, avg_latency_ms, last_response_ms;
    int32_t last_opcode, last_xid;
    int64_t last_zxid;
    struct meta_watcher *watcher;
};
struct meta_conn_visit {
    void (*each)(struct meta_conn_visit *visit, const struct meta_conn_facts *facts);
};
void meta_server_visit(const struct meta_server *server, struct meta_conn_visit *visit);
const char *meta_opcode_short_name(int32_t opcode);                // as in `cons`
int64_t meta_watcher_session(const struct meta_watcher *watcher);  // of a connection's watcher

#endif
