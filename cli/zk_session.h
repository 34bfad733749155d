// A ZooKeeper session for a terminal: the calls block until the server has answered.
//
// main's thread calls, the machine's loop works; a call hands over and waits for a latch, so the
// two never touch a thing at the same time.
#ifndef GEMINGA_CLI_ZK_SESSION_H
#define GEMINGA_CLI_ZK_SESSION_H

#include "meta/client/client.h"

struct rt_latch;
struct rt_log;

struct zk_session_options {
    const char *servers;
    uint64_t timeout_ms;  // of the session, and of one answer
    const char *auth;     // "scheme:credential", or ""
    const struct rt_tls *tls;
};

struct zk_session {
    struct rt_machine *machine;
    struct rt_loop *loop;
    struct rt_log *log;
    struct meta_client *client;
    struct meta_client_owner owner;
    struct rt_latch *waiting;  // of the call under way
    struct rt_task task, closed;
    struct rt_timer limit;
    bool timed_out, expired, auth_failed;
    const struct zk_session_options *options;
    rt_err open_err;
    struct rt_why *why;
};

// Blocks, but does not wait for a server.
RT_CHECK
rt_err zk_session_open(struct zk_session *session, const struct zk_session_options *options,
                       struct rt_why *why);
void zk_session_close(struct zk_session *session);  // ends it on the server, too

// An answer, copied. Zero-initialise; zk_answer_fini releases it. It may be used again.
struct zk_answer {
    rt_err err;
    int32_t zk_err;
    struct proto_zk_body body;
    struct rt_arena arena;
};
void zk_answer_fini(struct zk_answer *answer);

// The answer has the error too. watch may be NULL; it is called on the loop.
void zk_session_call(struct zk_session *session, const struct proto_zk_request *request,
                     struct meta_client_watch *watch, struct zk_answer *answer);
// In words, for an answer with an error.
const char *zk_session_error(const struct zk_session *session, const struct zk_answer *answer);

#endif
