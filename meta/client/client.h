// The asynchronous ZooKeeper client that the other tiers use: one session, kept over reconnects, on
// one loop. Works against geminga meta and Apache ZooKeeper alike.
//
// Operations are caller-owned, pipelined, and complete once, in the order in which they were
// started, on the loop, never before the starting call returned. What was in flight when a
// connection broke completes with RT_ERESET: it may have happened or not. What was started while
// disconnected waits for the connection (or the end of the session). What is refused here
// (RT_ETOOBIG, RT_EBUSY, a relative path) was not sent and completes in the next turn.
//
// Watches: callbacks are registered with reads, or stay (persistent); they are registered again on
// every new connection of the session. A read's with the last zxid seen, so that no change is
// missed; a persistent one is not told of what happened meanwhile: read again after CONNECTED. An
// event is delivered before the completion of any read that sees the change.
//
// Session states come in this order: CONNECTED, DISCONNECTED, CONNECTED, ... EXPIRED or CLOSED or
// AUTH_FAILED, the last one once. After EXPIRED everything outstanding completes with
// RT_EACCESS and the session is over: close the client and open another.
#ifndef GEMINGA_META_CLIENT_CLIENT_H
#define GEMINGA_META_CLIENT_CLIENT_H

#include "proto/zookeeper.h"
#include "runtime/stream.h"

struct meta_client;

enum meta_client_state {
    META_CLIENT_CONNECTING,
    META_CLIENT_CONNECTED,
    META_CLIENT_DISCONNECTED,
    META_CLIENT_EXPIRED,
    META_CLIENT_AUTH_FAILED,
    META_CLIENT_CLOSED
};

struct meta_client_options {
    const char *servers;          // "h1:2181,h2:2181/chroot"; IPv6 in brackets; order is shuffled
    int32_t session_timeout_ms;   // [30000] wanted
    const struct rt_tls *tls;     // NULL: plain; what it points to is borrowed until closed
    size_t reply_size_max;        // [4 MiB]
    size_t request_size_max;      // [1 MiB - 1, what servers accept by default]
    size_t queue_bytes_max;       // [64 MiB] of requests that wait for a connection
    uint64_t connect_timeout_ms;  // [session timeout / servers]
    struct meta_client_auth {
        const char *scheme;
        struct rt_bytes auth;
    } const *auths;  // sent on every connection; copied
    unsigned auth_count;
    int64_t session_id;  // of a session to take over; 0: a new one
    uint8_t password[PROTO_ZK_PASSWORD_SIZE];
    void (*on_state)(struct meta_client *client, enum meta_client_state state);
    struct meta_client_owner *owner;  // recovered by callbacks
};

struct meta_client_owner {
    const char *name;  // for log lines
};

// RT_EINVAL: the server list. Copies the options; starts to connect in the next turn.
RT_CHECK
rt_err meta_client_open(struct rt_loop *loop, const struct meta_client_options *options,
                        struct meta_client **client, struct rt_why *why);
struct meta_client_owner *meta_client_owner(const struct meta_client *client);
int64_t meta_client_session_id(const struct meta_client *client);  // 0: none yet
const uint8_t *meta_client_password(const struct meta_client *client);
int32_t meta_client_session_timeout_ms(const struct meta_client *client);  // negotiated
int64_t meta_client_last_zxid(const struct meta_client *client);
enum meta_client_state meta_client_state(const struct meta_client *client);
const char *meta_client_server(const struct meta_client *client);  // connected to; "" if none
// Ends the session on the server if it can be told; outstanding operations complete with CLOSED
// first; then `closed`, and the client is freed.
void meta_client_close(struct meta_client *client, struct rt_task *closed);
// Without telling the server: the session stays until it expires (tests, hand-over).
void meta_client_abandon(struct meta_client *client, struct rt_task *closed);

// OPERATIONS

// Beside RT_OK an operation ends with one of: a ZooKeeper error (zk_err below, err RT_EREFUSED),
// RT_ERESET (connection lost, outcome unknown), RT_EACCESS (session expired), RT_ECLOSED,
// RT_EPROTO (the reply made no sense), RT_ETOOBIG (the request is over the limit and was not sent;
// or the reply is, then the connection broke), RT_EBUSY (too much waits for a connection),
// RT_EUNSUPPORTED (an opcode that the client keeps for itself: auth, ping, setWatches, ...).
struct meta_client_op {
    struct rt_list link;  // private
    struct meta_client *client;
    struct rt_buf frame;  // private: the encoded request while it waits
    int32_t opcode, xid;
    rt_err err;  // private: what it ends with, once that is known
    bool sent;
    uint8_t watch_kind;  // private
    int32_t removes;     // private: the type of watches
    struct meta_client_watch *watch;
    char *watch_path;  // private: as the server knows it
    void (*done)(struct meta_client_op *op, rt_err err, const struct proto_zk_reply *reply);
    int32_t zk_err;  // PROTO_ZK_ERR_...; 0 unless err is RT_EREFUSED
};
// `reply` is borrowed for the call and NULL unless a reply came (also with errors: its header).
// Paths in it are without the chroot.
typedef void meta_client_done_fn(struct meta_client_op *op, rt_err err,
                                 const struct proto_zk_reply *reply);

// A watch: caller-owned, may be registered with any number of reads; linked until it fired (unless
// persistent), is cancelled, is removed by a removeWatches (then it is called with the event of the
// removal), or the session ends (with EVENT_NONE and the state). One event calls it once, however
// often it is registered.
enum { META_CLIENT_EVENT_STATE_CLOSED = 7 };  // beside enum proto_zk_state: ended by us
struct meta_client_watch {
    void (*fired)(struct meta_client_watch *watch, const struct proto_zk_event *event);
    struct rt_list registrations;  // private; zero-initialise
};
// It will not be called again; also for reads under way.
void meta_client_watch_cancel(struct meta_client *client, struct meta_client_watch *watch);

// Any request; what it points to is copied. Paths are relative to the chroot. watch: for exists,
// getData, getChildren(2) (sets the flag of the request) and addWatch; else NULL.
void meta_client_send(struct meta_client *client, struct meta_client_op *op,
                      const struct proto_zk_request *request, struct meta_client_watch *watch,
                      meta_client_done_fn *done);

// The common ones. acl NULL: world:anyone, all rights.
void meta_client_create(struct meta_client *client, struct meta_client_op *op, struct rt_bytes path,
                        struct rt_bytes data, int32_t flags, const struct proto_zk_acls *acl,
                        meta_client_done_fn *done);  // create2: reply has path and Stat
void meta_client_delete(struct meta_client *client, struct meta_client_op *op, struct rt_bytes path,
                        int32_t version, meta_client_done_fn *done);
void meta_client_set(struct meta_client *client, struct meta_client_op *op, struct rt_bytes path,
                     struct rt_bytes data, int32_t version, meta_client_done_fn *done);
void meta_client_get(struct meta_client *client, struct meta_client_op *op, struct rt_bytes path,
                     struct meta_client_watch *watch, meta_client_done_fn *done);
void meta_client_exists(struct meta_client *client, struct meta_client_op *op, struct rt_bytes path,
                        struct meta_client_watch *watch, meta_client_done_fn *done);
void meta_client_children(struct meta_client *client, struct meta_client_op *op,
                          struct rt_bytes path, struct meta_client_watch *watch,
                          meta_client_done_fn *done);  // getChildren2
void meta_client_sync(struct meta_client *client, struct meta_client_op *op, struct rt_bytes path,
                      meta_client_done_fn *done);
void meta_client_multi(struct meta_client *client, struct meta_client_op *op,
                       const struct proto_zk_op *ops, size_t count, meta_client_done_fn *done);
void meta_client_add_watch(struct meta_client *client, struct meta_client_op *op,
                           struct rt_bytes path, int32_t mode, struct meta_client_watch *watch,
                           meta_client_done_fn *done);

#endif
