// The inside of the ZooKeeper server: what its files share. Private to meta/server/zk.
//
//   server.c     life: listeners, acceptance, what the replica tells
//   conn.c       life of a connection: frames in, replies out, pausing, closing
//   handshake.c  sessions: opened, attached, refused
//   pipeline.c   requests in their order: queued, submitted, answered
//   reading.c    reads: at once or by a worker
//   watching.c   watches: registered, removed, caught up with, fired
//   auth.c       who a connection is
//   reconfig.c   changes of the cluster's members
//   words*.c     four-letter words
#ifndef GEMINGA_META_SERVER_ZK_CONN_H
#define GEMINGA_META_SERVER_ZK_CONN_H

#include "meta/server/tree/acl.h"
#include "meta/server/tree/read.h"
#include "meta/server/zk/server.h"
#include "runtime/hash.h"
#include "runtime/metrics.h"

struct meta_conn;

// A REQUEST THAT IS NOT ANSWERED YET
//
//   QUEUED -- all before it answered --> run --> answered, or WAITING for a worker or the members
//   BUSY -- room in the replica --> WAITING -- outcome --> answered, or DONE where others are
//   before it
enum meta_pending_state {
    META_PENDING_QUEUED,   // `bytes` is the payload; run when it is the first
    META_PENDING_BUSY,     // `bytes` is the command, which the replica has no room for
    META_PENDING_WAITING,  // under way
    META_PENDING_DONE      // `bytes` is the reply, which waits for its turn
};

// What a reply needs to know of its request.
struct meta_asked {
    int32_t xid, opcode;
    uint64_t since_ns;
};

struct meta_pending {
    struct rt_list link;  // of conn->pending, oldest first
    struct meta_conn *conn;
    enum meta_pending_state state;
    struct meta_asked asked;
    bool is_fixed;     // QUEUED: nothing to run, err is the answer
    bool has_zxid;     // of a fixed answer; else it is the applied one
    bool is_last;      // the connection ends behind its reply
    bool is_ticketed;  // in server->waiting
    int32_t err;
    int64_t zxid;
    size_t charged;   // of server->outstanding_bytes
    size_t cursor;    // setWatches: so many paths are done
    size_t id_count;  // of the connection, when the request came
    bool is_barrier;
    uint64_t ticket;
    UT_hash_handle hh;  // of server->waiting, by ticket
    struct rt_buf bytes;
    struct meta_sync sync;
    bool is_syncing;
};

// A CONNECTION

enum meta_conn_state {
    META_CONN_NEW,        // nothing said yet
    META_CONN_HANDSHAKE,  // its session is being opened or attached
    META_CONN_READY,
    META_CONN_ENDED  // closed or finishing: nothing more is said
};

enum meta_conn_pause {  // bits: why nothing is read
    META_PAUSE_HANDSHAKE = 1 << 0,
    META_PAUSE_FULL = 1 << 1,       // the client does not read its replies
    META_PAUSE_BUSY = 1 << 2,       // a command waits for the replica
    META_PAUSE_THROTTLED = 1 << 3,  // too much is under way in the whole server
    META_PAUSE_LAST = 1 << 4,       // what came was the last
    META_PAUSE_ORDER = 1 << 5       // a request that writes must not overtake (meta_pending_bar)
};

struct meta_slow_read;

struct meta_conn {
    struct rt_conn stream;
    struct meta_server *server;
    struct rt_list link;       // of server->conns, in the order of acceptance
    struct rt_list busy_link;  // of server->busy
    struct rt_list throttled_link;
    struct rt_list slice_link;
    struct meta_host *host;
    bool is_secure, is_word, has_read_only, is_new_session;
    enum meta_conn_state state;
    unsigned pauses;

    int64_t session;
    uint64_t attachment;
    int32_t timeout_ms;
    uint8_t password[PROTO_ZK_PASSWORD_SIZE];
    UT_hash_handle by_session;  // of server->sessions, while ready

    struct proto_zk_id *ids;  // owned, with what they point to; the peer's address is the first
    size_t id_count, id_bytes;
    struct meta_watcher watcher;
    struct rt_list pending;
    size_t pending_count, submitted;  // submitted: commands and syncs whose outcome is not known
    unsigned barriers;
    struct meta_slow_read *slow;  // of the first pending
    struct rt_buf held;           // events behind that

    uint64_t received, sent, established_ms, last_response_ns;
    uint64_t latency_count, latency_sum_us, latency_min_us, latency_max_us, latency_last_us;
    struct meta_asked last;
    int64_t last_zxid;
};

// Connections of one address.
struct meta_host {
    UT_hash_handle hh;
    unsigned count;
    size_t size;
    char name[];
};

struct meta_door {
    struct rt_listener listener;
    struct meta_server *server;
    bool is_open, is_secure;
};

// One at a time: of the leader.
struct meta_reconfig {
    struct rt_task task;
    struct meta_pending *pending;
    bool is_queued, is_under_way;
};

// An event, encoded once for all who hear of it.
struct meta_event_frame {
    enum proto_zk_event_type type;
    struct rt_bytes path;
    bool is_encoded;
    int64_t zxid;
    struct rt_buf bytes;
};

struct meta_server {
    struct rt_machine *machine;
    struct rt_loop *loop;
    struct meta_server_options options;  // texts are borrowed
    struct meta_replica *replica;
    struct meta_store *store;
    struct meta_watches *watches;
    struct meta_watch_sink sink;
    struct meta_event_frame event;
    struct meta_door doors[2];
    struct rt_stream_options streams;

    struct rt_list conns;
    size_t conn_count;
    struct meta_conn *sessions;  // ready connections
    struct meta_host *hosts;
    struct meta_pending *waiting;  // submitted, by ticket
    struct rt_list spare;          // pendings to use again
    size_t spare_count;
    struct rt_list busy, throttled, sliced;  // connections
    struct rt_task slice;
    bool slice_queued;
    size_t outstanding, outstanding_bytes;
    unsigned command_flags;
    uint64_t next_session;
    size_t slow_reads;
    struct meta_reconfig reconfig;
    struct rt_timer leaderless;
    struct rt_log_limit log_limit;

    struct rt_arena arena;  // of the request at hand
    struct rt_buf scratch;  // its reply
    struct meta_server_stats stats;
    struct rt_histogram read_latency, update_latency;
    int64_t proposal_last, proposal_min, proposal_max;  // bytes; -1: none yet
    uint64_t started_ms;
    struct rt_task *closed;
    struct rt_task gone;
    bool closing, gone_queued;
};

// server.c
uint64_t meta_server_applied(const struct meta_server *server);
uint64_t meta_server_wall_ms(const struct meta_server *server);
void meta_server_maybe_gone(struct meta_server *server);
struct meta_conn *meta_server_conn_of(struct meta_server *server, int64_t session);

// conn.c. Closing and finishing are immediate and final: requests, watches and the session's place
// are gone when they return; the memory stays until the stream says that it is closed.
extern const struct rt_conn_events meta_conn_events;
rt_err meta_conn_measure(struct rt_conn *stream, struct rt_bytes have, size_t *size);
void meta_conn_close(struct meta_conn *conn, rt_err why);
void meta_conn_finish(struct meta_conn *conn);  // what is queued still leaves
void meta_conn_pause(struct meta_conn *conn, enum meta_conn_pause why);
void meta_conn_unpause(struct meta_conn *conn, enum meta_conn_pause why);
// Encodes as a frame into server->scratch.
struct rt_bytes meta_reply_frame(struct meta_server *server, const struct proto_zk_reply *reply,
                                 int32_t opcode);
void meta_conn_reply(struct meta_conn *conn, const struct meta_asked *asked,
                     const struct proto_zk_reply *reply);
void meta_conn_reply_sent(struct meta_conn *conn, const struct meta_asked *asked, int64_t zxid);
bool meta_conn_is_slow(const struct meta_conn *conn);  // does not read what it is sent

// handshake.c
void meta_conn_greet(struct meta_conn *conn, struct rt_bytes payload);
void meta_conn_greeted(struct meta_pending *pending, const struct meta_outcome *outcome);

// pipeline.c
void meta_conn_request(struct meta_conn *conn, struct rt_bytes payload);
void meta_conn_advance(struct meta_conn *conn);
void meta_conn_advance_later(struct meta_conn *conn);  // in the next turn
struct meta_pending *meta_pending_new(struct meta_conn *conn, const struct meta_asked *asked);
void meta_pending_free(struct meta_pending *pending);  // whatever its state
// It takes long: until it is answered nothing more is read, for a write that is taken now could be
// applied before a read that came before it.
void meta_pending_bar(struct meta_pending *pending);
void meta_pending_command(struct meta_pending *pending, struct meta_command *command);
void meta_pending_submit(struct meta_pending *pending);  // may close the connection
void meta_pending_answer(struct meta_pending *pending, struct proto_zk_reply *reply);
void meta_conn_fail(struct meta_conn *conn, const struct meta_asked *asked, int32_t err);
void meta_server_unthrottle(struct meta_server *server);

// reading.c. `pending` is the request's own, or NULL while it has none. False: it is under way.
bool meta_conn_read(struct meta_conn *conn, struct meta_pending *pending,
                    const struct meta_asked *asked, const struct proto_zk_request *request,
                    struct rt_bytes payload);
void meta_slow_read_abandon(struct meta_slow_read *slow);

// watching.c
void meta_watching_init(struct meta_server *server);
// False: too many; the connection is closed.
bool meta_conn_watch(struct meta_conn *conn, struct rt_bytes path, unsigned kinds);
void meta_conn_watch_read(struct meta_conn *conn, const struct proto_zk_request *request,
                          const struct proto_zk_reply *reply);
unsigned meta_watch_kind_of_read(const struct proto_zk_op *op);  // 0: none asked for
void meta_conn_add_watch(struct meta_conn *conn, const struct meta_asked *asked,
                         const struct proto_zk_op *op);
void meta_conn_check_watch(struct meta_conn *conn, const struct meta_asked *asked,
                           const struct proto_zk_op *op);  // checkWatches, removeWatches
bool meta_conn_set_watches(struct meta_conn *conn, struct meta_pending *pending,
                           const struct meta_asked *asked, const struct proto_zk_request *request,
                           struct rt_bytes payload);
void meta_server_fire(struct meta_server *server, const struct meta_outcome *outcome);

// auth.c
void meta_conn_ids_init(struct meta_conn *conn, struct rt_bytes address);
struct proto_zk_ids meta_conn_ids(const struct meta_conn *conn);
// When the request came; NULL: now.
struct proto_zk_ids meta_pending_ids(const struct meta_conn *conn,
                                     const struct meta_pending *pending);
int32_t meta_conn_authenticate(struct meta_conn *conn, struct rt_bytes scheme,
                               struct rt_bytes auth);
bool meta_conn_may_ask(const struct meta_conn *conn, int32_t opcode);  // enforced authentication
void meta_conn_who_am_i(struct meta_conn *conn, const struct meta_asked *asked,
                        const struct proto_zk_ids *ids);

// reconfig.c
void meta_reconfig_init(struct meta_server *server);
bool meta_conn_reconfig(struct meta_conn *conn, struct meta_pending *pending,
                        const struct meta_asked *asked, const struct proto_zk_request *request,
                        struct rt_bytes payload);
void meta_reconfig_outcome(struct meta_server *server, const struct meta_outcome *outcome);
void meta_reconfig_forget(struct meta_server *server, const struct meta_pending *pending);

// stats.c
void meta_server_latencies_init(struct meta_server *server);
void meta_server_latencies_fini(struct meta_server *server);
void meta_server_latency_record(struct meta_server *server, int32_t opcode, uint64_t ns);

// words.c, words_lists.c
void meta_word_connections(struct meta_server *server, struct rt_buf *out, bool extended);
void meta_word_dump(struct meta_server *server, struct rt_buf *out);
void meta_word_watches_by_path(struct meta_server *server, struct rt_buf *out);
void meta_word_watches_by_session(struct meta_server *server, struct rt_buf *out);
void meta_word_directories(struct meta_server *server, struct rt_buf *out);
// Bytes on disk: all but the log, and the log.
void meta_data_sizes(struct meta_server *server, uint64_t *data, uint64_t *log);

#endif
