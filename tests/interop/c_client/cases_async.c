// Many requests in flight, and servers that die under them.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/interop/c_client/cases.h"

enum { REQUESTS = 10000, NODES = 2000 };

// PIPELINE

// Answers come on one thread of the client, in the order of the requests: each names the next.
struct pipeline {
    const struct session *session;
    int answered, failed, disordered;
};
struct request {
    struct pipeline *pipeline;
    int number;
};

static void answered(const struct request *request, bool ok) {
    struct pipeline *pipeline = request->pipeline;
    pipeline->disordered += pipeline->answered != request->number;
    pipeline->failed += !ok;
    if (++pipeline->answered == REQUESTS) session_complete(pipeline->session, ZOK);
}

static void on_created(int rc, const char *path, const void *data) {
    const struct request *request = data;
    int number = path && strlen(path) > 10 ? atoi(path + strlen(path) - 10) : -1;
    answered(request, rc == ZOK && number == request->number / 5);
}

static void on_set(int rc, const struct Stat *stat, const void *data) {
    const struct request *request = data;
    answered(request, rc == ZOK && stat->version == request->number / 5 + 1);
}

static void on_got(int rc, const char *value, int size, const struct Stat *stat, const void *data) {
    const struct request *request = data;
    char want[16];
    snprintf(want, sizeof(want), "%d", request->number / 5);
    answered(request, rc == ZOK && size == (int)strlen(want) &&
                          memcmp(value, want, (size_t)size) == 0 &&
                          stat->version == request->number / 5 + 1);
}

static void on_listed(int rc, const struct String_vector *names, const struct Stat *stat,
                      const void *data) {
    const struct request *request = data;
    answered(request, rc == ZOK && names->count == stat->numChildren && names->count == 1);
}

static void on_deleted(int rc, const void *data) {
    answered(data, rc == ZOK);
}

// Every five requests: a node, a write and the read that sees it, its name in the list, its end.
static int start(struct test *test, const struct request *request) {
    zhandle_t *zk = test->session.handle;
    const struct ACL_vector acl = ZOO_OPEN_ACL_UNSAFE;
    char text[16], name[32];
    snprintf(text, sizeof(text), "%d", request->number / 5);
    snprintf(name, sizeof(name), "list/s-%010d", request->number / 5);
    switch (request->number % 5) {
    case 0:
        return zoo_acreate(zk, at(test->root, "list/s-"), "", 0, &acl, ZOO_PERSISTENT_SEQUENTIAL,
                           on_created, request);
    case 1: return zoo_aset(zk, at(test->root, "n"), text, (int)strlen(text), -1, on_set, request);
    case 2: return zoo_aget(zk, at(test->root, "n"), 0, on_got, request);
    case 3: return zoo_aget_children2(zk, at(test->root, "list"), 0, on_listed, request);
    default: return zoo_adelete(zk, at(test->root, name), 0, on_deleted, request);
    }
}

void case_pipeline(struct test *test) {
    static struct request requests[REQUESTS];
    struct pipeline pipeline = {.session = &test->session};
    const struct ACL_vector acl = ZOO_OPEN_ACL_UNSAFE;
    zhandle_t *zk = test->session.handle;
    for (int i = 0; i < 2; i++)
        CHECK_RC(zoo_create(zk, at(test->root, i ? "n" : "list"), "", 0, &acl, 0, NULL, 0), ZOK);
    for (int i = 0; i < REQUESTS; i++) {
        requests[i] = (struct request){.pipeline = &pipeline, .number = i};
        CHECK_RC(start(test, &requests[i]), ZOK);
    }
    CHECK_RC(session_next_completion(&test->session), ZOK);
    CHECK_RC(pipeline.disordered, 0);
    CHECK_RC(pipeline.failed, 0);
}

// FAILOVER

// Until it is known what became of it; the answer to an earlier attempt may have been lost.
static void create_surely(zhandle_t *zk, const char *path) {
    const struct ACL_vector acl = ZOO_OPEN_ACL_UNSAFE;
    int rc = ZCONNECTIONLOSS;
    while (rc == ZCONNECTIONLOSS || rc == ZOPERATIONTIMEOUT)
        rc = zoo_create(zk, path, "", 0, &acl, ZOO_PERSISTENT, NULL, 0);
    CHECK(rc == ZOK || rc == ZNODEEXISTS);
}

static int exists_surely(zhandle_t *zk, const char *path, struct Stat *stat) {
    int rc = ZCONNECTIONLOSS;
    while (rc == ZCONNECTIONLOSS || rc == ZOPERATIONTIMEOUT) rc = zoo_exists(zk, path, 0, stat);
    return rc;
}

static void create_number(struct test *test, int number) {
    char name[32];
    snprintf(name, sizeof(name), "n%d", number);
    create_surely(test->session.handle, at(test->root, name));
}

// A session keeps its id, its ephemeral node and all that was acknowledged while leaders die.
void case_failover(struct test *test) {
    const struct ACL_vector acl = ZOO_OPEN_ACL_UNSAFE;
    zhandle_t *zk = test->session.handle;
    int64_t id = session_id(&test->session);
    struct Stat stat;
    CHECK_RC(zoo_create(zk, at(test->root, "e"), "", 0, &acl, ZOO_EPHEMERAL, NULL, 0), ZOK);
    for (int i = 0; i < NODES; i++) {
        if (i == NODES / 4 || i == NODES / 2) ask("kill-leader");
        create_number(test, i);
        if (i == 3 * NODES / 8) ask("restart");
    }
    ask("restart");
    CHECK_RC(exists_surely(zk, at(test->root, "e"), &stat), ZOK);
    CHECK(stat.ephemeralOwner == id && session_id(&test->session) == id);
    CHECK_RC(exists_surely(zk, test->root, &stat), ZOK);
    CHECK_RC(stat.numChildren, NODES + 1);
}

static void on_maybe_created(int rc, const char *path, const void *data) {
    const struct request *request = data;
    (void)path;
    struct pipeline *pipeline = request->pipeline;
    pipeline->disordered += pipeline->answered != request->number;
    pipeline->failed += rc == ZCONNECTIONLOSS;
    if (rc != ZOK && rc != ZCONNECTIONLOSS) session_complete(pipeline->session, rc);
    if (++pipeline->answered == REQUESTS) session_complete(pipeline->session, ZOK);
}

// Each of the requests is answered once, in order; what was not confirmed may have happened.
void case_pipeline_over_failover(struct test *test) {
    static struct request requests[REQUESTS];
    struct pipeline pipeline = {.session = &test->session};
    const struct ACL_vector acl = ZOO_OPEN_ACL_UNSAFE;
    zhandle_t *zk = test->session.handle;
    struct Stat stat;
    for (int i = 0; i < REQUESTS; i++) {
        requests[i] = (struct request){.pipeline = &pipeline, .number = i};
        if (i == REQUESTS / 2) ask("kill-leader");
        CHECK_RC(zoo_acreate(zk, at(test->root, "s-"), "", 0, &acl, ZOO_PERSISTENT_SEQUENTIAL,
                             on_maybe_created, &requests[i]),
                 ZOK);
    }
    CHECK_RC(session_next_completion(&test->session), ZOK);
    CHECK_RC(pipeline.disordered, 0);
    ask("restart");
    CHECK_RC(exists_surely(zk, test->root, &stat), ZOK);
    CHECK(stat.numChildren >= REQUESTS - pipeline.failed && stat.numChildren <= REQUESTS);
}

// What changes while the client is away is told when it is back: it sets its watches again.
void case_missed_changes(struct test *test) {
    struct session watcher;
    struct Stat stat;
    struct String_vector names = {0, NULL};
    const char *a = at(test->root, "a"), *b = at(test->root, "b");
    create_surely(test->session.handle, a);
    session_open(&watcher, test->hosts, NULL, WAIT_MS);
    CHECK_RC(zoo_wexists(watcher.handle, a, session_watch, &watcher, &stat), ZOK);
    CHECK_RC(zoo_wexists(watcher.handle, b, session_watch, &watcher, &stat), ZNONODE);
    CHECK_RC(zoo_wget_children(watcher.handle, test->root, session_watch, &watcher, &names), ZOK);
    deallocate_String_vector(&names);
    ask("kill-leader");
    int rc = ZCONNECTIONLOSS;
    while (rc == ZCONNECTIONLOSS) rc = zoo_set(test->session.handle, a, "", 0, -1);
    CHECK_RC(rc, ZOK);
    create_surely(test->session.handle, b);
    int seen = 0;
    for (int i = 0; i < 3; i++) {
        struct event event = session_next_event(&watcher);
        if (event.type == ZOO_CHANGED_EVENT) seen |= strcmp(event.path, a) == 0 ? 1 : 8;
        if (event.type == ZOO_CREATED_EVENT) seen |= strcmp(event.path, b) == 0 ? 2 : 8;
        if (event.type == ZOO_CHILD_EVENT) seen |= strcmp(event.path, test->root) == 0 ? 4 : 8;
    }
    CHECK_RC(seen, 7);
    session_close(&watcher);
}
