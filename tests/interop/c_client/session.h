// A session of the ZooKeeper C client, and what a test case needs around it. The client runs
// callbacks on threads of its own; they write what they have to say into a pipe, and the case reads
// it from there with a limit in time.
#ifndef GEMINGA_TESTS_INTEROP_C_CLIENT_SESSION_H
#define GEMINGA_TESTS_INTEROP_C_CLIENT_SESSION_H

#include <stdbool.h>
#include <stdint.h>
#include <zookeeper/zookeeper.h>

enum { PATH_SIZE = 256, WAIT_MS = 60 * 1000 };

struct event {
    int type, state;
    char path[PATH_SIZE];
};

struct session {
    zhandle_t *handle;
    int events[2];       // pipe of struct event from watches on nodes
    int states[2];       // pipe of struct event from the session
    int completions[2];  // pipe of int: what asynchronous operations ended with
};

// Ends the process with a line "not ok: ..." unless `fact`.
#define CHECK(fact) check_that(fact, #fact, __FILE__, __LINE__)
#define CHECK_RC(call, want) check_rc(call, want, #call, __FILE__, __LINE__)
void check_that(bool fact, const char *text, const char *file, int line);
void check_rc(int rc, int want, const char *text, const char *file, int line);

// Connects, to a session that exists already unless `id` is NULL.
void session_open(struct session *session, const char *hosts, const clientid_t *id, int timeout_ms);
void session_close(struct session *session);
int64_t session_id(const struct session *session);

// The watcher of nodes; its context is the session.
void session_watch(zhandle_t *handle, int type, int state, const char *path, void *context);
struct event session_next_event(struct session *session);
// Nothing has been told, although an answer came behind it.
void session_check_quiet(struct session *session, const char *path);
// Drops earlier ones. CONNECTED, EXPIRED, ...
void session_wait_state(struct session *session, int state);

void session_complete(const struct session *session, int rc);
int session_next_completion(struct session *session);

// Tells the test to do something to the servers and waits until that is done.
void ask(const char *what);

#endif
