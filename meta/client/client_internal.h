// What the files of meta/client share: the client, and who calls whom.
//
//   client.c      opening, the end of a session, freeing
//   connection.c  dialing, the handshake, pings, what to do when it breaks
//   operations.c  requests and replies, events
//
// PHASES
//   WAITING --timer--> DIALING --opened--> HANDSHAKE --accepted--> READY
//      ^                  |                    |                     |
//      +---- broken ------+--------------------+---------------------+   READY --close--> CLOSING
//   Any phase but WAITING has a connection. OVER: the session has ended or was given up; a
//   connection may still be on its way out.
#ifndef GEMINGA_META_CLIENT_CLIENT_INTERNAL_H
#define GEMINGA_META_CLIENT_CLIENT_INTERNAL_H

#include "meta/client/client.h"
#include "meta/client/servers.h"
#include "meta/client/watches.h"

enum meta_client_phase {
    META_CLIENT_WAITING,
    META_CLIENT_DIALING,
    META_CLIENT_HANDSHAKE,
    META_CLIENT_READY,
    META_CLIENT_CLOSING,  // the session's end was sent, its reply is awaited
    META_CLIENT_OVER
};

struct meta_client {
    struct rt_loop *loop;
    struct meta_client_options options;  // servers is NULL, auths is ours
    struct rt_tls tls;
    struct meta_client_servers servers;
    enum meta_client_phase phase;
    enum meta_client_state state;
    rt_err over_err;  // what operations end with from now on

    int64_t session_id, last_zxid;
    uint8_t password[PROTO_ZK_PASSWORD_SIZE];
    int32_t timeout_ms;  // negotiated; 0 before

    struct rt_conn conn;
    bool conn_used;         // from the dial until on_closed
    struct rt_timer timer;  // of the phase: next dial, time limit, next ping
    uint64_t attempts;      // to connect, since a connection was good
    uint64_t ready_ns, sent_ns, heard_ns, pinged_ns;

    int32_t last_xid, close_xid;
    struct rt_list waiting;  // operations not sent yet: the connection is absent, full or new
    struct rt_list sent;     // their replies come in this order
    struct rt_list ended;    // without a reply; `deliver` tells
    size_t waiting_bytes;
    struct rt_task deliver;
    bool deliver_queued;

    struct meta_client_watches watches;
    struct rt_arena request_arena, reply_arena;
    struct rt_buf scratch;  // a request while it is encoded

    struct rt_task *closed;  // set: being closed
    bool end_told;
};

// client.c
uint64_t meta_client_timeout_ns(const struct meta_client *client);  // negotiated, or wanted
// The session is over for good (not by close): tells everybody.
void meta_client_session_end(struct meta_client *client, enum meta_client_state state, rt_err err);
void meta_client_deliver_later(struct meta_client *client);

// connection.c
void meta_client_connection_init(struct meta_client *client);
void meta_client_dial_after(struct meta_client *client, uint64_t delay_ns);
void meta_client_session_close(struct meta_client *client);  // asks the server, phase READY

// operations.c
void meta_client_op_finish(struct meta_client_op *op, rt_err err,
                           const struct proto_zk_reply *reply);
void meta_client_ops_end(struct meta_client *client, struct rt_list *ops, rt_err err);
// A request of the client's own: `xid` is one of the special ones, or 0 for the next.
void meta_client_request_now(struct meta_client *client, struct proto_zk_request *request);
int32_t meta_client_xid_next(struct meta_client *client);
void meta_client_pump(struct meta_client *client);  // sends what waits, as far as there is room
void meta_client_on_reply(struct meta_client *client, struct rt_bytes payload);

#endif
