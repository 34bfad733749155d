#include "tests/interop/c_client/session.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void check_that(bool fact, const char *text, const char *file, int line) {
    if (fact) return;
    printf("not ok: %s:%d: %s\n", file, line, text);
    fflush(stdout);
    _exit(1);
}

void check_rc(int rc, int want, const char *text, const char *file, int line) {
    if (rc == want) return;
    printf("not ok: %s:%d: %s is %d (%s), not %d\n", file, line, text, rc, zerror(rc), want);
    fflush(stdout);
    _exit(1);
}

// What is written is smaller than PIPE_BUF, so it arrives as one piece or not at all.
static void tell(int pipe_end, const void *data, size_t size) {
    CHECK(write(pipe_end, data, size) == (ssize_t)size);
}

static void hear(int pipe_end, void *data, size_t size) {
    struct pollfd wanted = {.fd = pipe_end, .events = POLLIN};
    CHECK(poll(&wanted, 1, WAIT_MS) == 1);
    CHECK(read(pipe_end, data, size) == (ssize_t)size);
}

static void tell_event(int pipe_end, int type, int state, const char *path) {
    struct event event = {.type = type, .state = state};
    snprintf(event.path, sizeof(event.path), "%s", path ? path : "");
    tell(pipe_end, &event, sizeof(event));
}

void session_watch(zhandle_t *handle, int type, int state, const char *path, void *context) {
    const struct session *session = context;
    (void)handle;
    // A node's watch hears of the session too; that has its own pipe.
    if (type != ZOO_SESSION_EVENT) tell_event(session->events[1], type, state, path);
}

static void on_session(zhandle_t *handle, int type, int state, const char *path, void *context) {
    const struct session *session = context;
    (void)handle;
    if (type == ZOO_SESSION_EVENT) tell_event(session->states[1], type, state, path);
}

void session_open(struct session *session, const char *hosts, const clientid_t *id,
                  int timeout_ms) {
    memset(session, 0, sizeof(*session));
    CHECK(pipe(session->events) == 0);
    CHECK(pipe(session->states) == 0);
    CHECK(pipe(session->completions) == 0);
    session->handle = zookeeper_init(hosts, on_session, timeout_ms, id, session, 0);
    CHECK(session->handle);
    session_wait_state(session, ZOO_CONNECTED_STATE);
}

void session_close(struct session *session) {
    CHECK_RC(zookeeper_close(session->handle), ZOK);
    for (int i = 0; i < 2; i++) {
        close(session->events[i]);
        close(session->states[i]);
        close(session->completions[i]);
    }
}

int64_t session_id(const struct session *session) {
    return zoo_client_id(session->handle)->client_id;
}

struct event session_next_event(struct session *session) {
    struct event event;
    hear(session->events[0], &event, sizeof(event));
    return event;
}

void session_check_quiet(struct session *session, const char *path) {
    struct pollfd wanted = {.fd = session->events[0], .events = POLLIN};
    struct Stat stat;
    int rc = zoo_exists(session->handle, path, 0, &stat);
    CHECK(rc == ZOK || rc == ZNONODE);
    CHECK(poll(&wanted, 1, 0) == 0);
}

void session_wait_state(struct session *session, int state) {
    struct event event = {0};
    while (event.state != state) hear(session->states[0], &event, sizeof(event));
}

void session_complete(const struct session *session, int rc) {
    tell(session->completions[1], &rc, sizeof(rc));
}

int session_next_completion(struct session *session) {
    int rc = 0;
    hear(session->completions[0], &rc, sizeof(rc));
    return rc;
}

void ask(const char *what) {
    char line[64];
    printf("ask %s\n", what);
    fflush(stdout);
    CHECK(fgets(line, sizeof(line), stdin));
}
