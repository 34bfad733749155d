#include "tests/interop/c_client/cases.h"

#include <stdio.h>
#include <string.h>

static struct ACL_vector everybody(void) {
    return ZOO_OPEN_ACL_UNSAFE;
}

static int create(struct test *test, const char *name, const char *data) {
    const struct ACL_vector acl = everybody();
    return zoo_create(test->session.handle, at(test->root, name), data, (int)strlen(data), &acl,
                      ZOO_PERSISTENT, NULL, 0);
}

void case_nodes(struct test *test) {
    zhandle_t *zk = test->session.handle;
    const struct ACL_vector acl = everybody();
    char path[PATH_SIZE], data[16];
    int size = sizeof(data);
    struct Stat stat, other;
    CHECK_RC(zoo_create2(zk, at(test->root, "a"), "one", 3, &acl, ZOO_PERSISTENT, path,
                         sizeof(path), &stat),
             ZOK);
    CHECK(strcmp(path, at(test->root, "a")) == 0 && stat.dataLength == 3 && stat.version == 0);
    CHECK_RC(zoo_get(zk, path, 0, data, &size, &other), ZOK);
    CHECK(size == 3 && memcmp(data, "one", 3) == 0 && other.czxid == stat.czxid);
    CHECK_RC(zoo_set2(zk, path, "four", 4, 0, &stat), ZOK);
    CHECK(stat.version == 1 && stat.dataLength == 4 && stat.mzxid > stat.czxid);
    CHECK_RC(zoo_set(zk, path, NULL, -1, 1), ZOK);
    size = sizeof(data);
    CHECK_RC(zoo_get(zk, path, 0, data, &size, &other), ZOK);
    CHECK(size == -1 && other.dataLength == 0);
    CHECK_RC(zoo_delete(zk, path, 2), ZOK);
    CHECK_RC(zoo_exists(zk, path, 0, &stat), ZNONODE);
}

void case_refusals(struct test *test) {
    zhandle_t *zk = test->session.handle;
    const struct ACL_vector acl = everybody();
    struct Stat stat;
    CHECK_RC(create(test, "a", ""), ZOK);
    CHECK_RC(create(test, "a/b", ""), ZOK);
    CHECK_RC(create(test, "a", ""), ZNODEEXISTS);
    CHECK_RC(create(test, "x/y", ""), ZNONODE);
    CHECK_RC(zoo_delete(zk, at(test->root, "a"), -1), ZNOTEMPTY);
    CHECK_RC(zoo_delete(zk, at(test->root, "a/b"), 7), ZBADVERSION);
    CHECK_RC(zoo_set(zk, at(test->root, "a"), "", 0, 7), ZBADVERSION);
    CHECK_RC(zoo_set(zk, at(test->root, "x"), "", 0, -1), ZNONODE);
    CHECK_RC(zoo_create(zk, at(test->root, "e"), "", 0, &acl, ZOO_EPHEMERAL, NULL, 0), ZOK);
    CHECK_RC(create(test, "e/child", ""), ZNOCHILDRENFOREPHEMERALS);
    CHECK_RC(zoo_exists(zk, at(test->root, "e"), 0, &stat), ZOK);
    CHECK(stat.ephemeralOwner == session_id(&test->session));
    struct ACL strange = {ZOO_PERM_ALL, {(char *)"nonesuch", (char *)"x"}};
    const struct ACL_vector bad = {1, &strange};
    CHECK_RC(zoo_create(zk, at(test->root, "c"), "", 0, &bad, ZOO_PERSISTENT, NULL, 0),
             ZINVALIDACL);
}

static void check_children(struct test *test, int32_t want) {
    struct String_vector names = {0, NULL};
    struct Stat stat;
    CHECK_RC(zoo_get_children2(test->session.handle, test->root, 0, &names, &stat), ZOK);
    CHECK(names.count == want && stat.numChildren == want);
    deallocate_String_vector(&names);
}

void case_kinds_of_nodes(struct test *test) {
    zhandle_t *zk = test->session.handle;
    const struct ACL_vector acl = everybody();
    char path[PATH_SIZE];
    static char large[1000 * 1000], back[sizeof(large)];
    int size = sizeof(back);
    struct Stat stat;
    for (int i = 0; i < 3; i++) {
        char name[32];
        CHECK_RC(zoo_create(zk, at(test->root, "s-"), "", 0, &acl, ZOO_PERSISTENT_SEQUENTIAL, path,
                            sizeof(path)),
                 ZOK);
        snprintf(name, sizeof(name), "s-%010d", i);
        CHECK(strcmp(path, at(test->root, name)) == 0);
    }
    CHECK_RC(zoo_create(zk, at(test->root, "c"), "", 0, &acl, ZOO_CONTAINER, NULL, 0), ZOK);
    CHECK_RC(zoo_create_ttl(zk, at(test->root, "t"), "", 0, &acl, ZOO_PERSISTENT_WITH_TTL, 3600000,
                            NULL, 0),
             ZOK);
    check_children(test, 5);
    memset(large, 'x', sizeof(large));
    CHECK_RC(zoo_set(zk, at(test->root, "c"), large, sizeof(large), -1), ZOK);
    CHECK_RC(zoo_get(zk, at(test->root, "c"), 0, back, &size, &stat), ZOK);
    CHECK(size == sizeof(large) && memcmp(large, back, sizeof(large)) == 0);
}

static void check_event(struct session *session, int type, const char *path) {
    struct event event = session_next_event(session);
    CHECK_RC(event.type, type);
    CHECK(strcmp(event.path, path) == 0 && event.state == ZOO_CONNECTED_STATE);
}

void case_watches(struct test *test) {
    struct session *session = &test->session;
    zhandle_t *zk = session->handle;
    char data[16];
    int size = sizeof(data);
    struct Stat stat;
    struct String_vector names = {0, NULL};
    const char *path = at(test->root, "a");
    CHECK_RC(zoo_wexists(zk, path, session_watch, session, &stat), ZNONODE);
    CHECK_RC(zoo_wget_children(zk, test->root, session_watch, session, &names), ZOK);
    deallocate_String_vector(&names);
    CHECK_RC(create(test, "a", ""), ZOK);
    check_event(session, ZOO_CREATED_EVENT, path);
    check_event(session, ZOO_CHILD_EVENT, test->root);
    CHECK_RC(zoo_wget(zk, path, session_watch, session, data, &size, &stat), ZOK);
    CHECK_RC(zoo_set(zk, path, "1", 1, -1), ZOK);
    check_event(session, ZOO_CHANGED_EVENT, path);
    CHECK_RC(zoo_set(zk, path, "2", 1, -1), ZOK);
    session_check_quiet(session, path);
    CHECK_RC(zoo_wexists(zk, path, session_watch, session, &stat), ZOK);
    CHECK_RC(zoo_delete(zk, path, -1), ZOK);
    check_event(session, ZOO_DELETED_EVENT, path);
    session_check_quiet(session, path);
}

void case_removed_watches(struct test *test) {
    struct session *session = &test->session;
    zhandle_t *zk = session->handle;
    struct Stat stat;
    const char *path = at(test->root, "a");
    CHECK_RC(zoo_remove_watches(zk, path, ZWATCHTYPE_DATA, session_watch, session, 0), ZNOWATCHER);
    CHECK_RC(zoo_wexists(zk, path, session_watch, session, &stat), ZNONODE);
    CHECK_RC(zoo_remove_watches(zk, path, ZWATCHTYPE_ANY, session_watch, session, 0), ZOK);
    CHECK_RC(create(test, "a", ""), ZOK);
    session_check_quiet(session, path);
}

void case_transactions(struct test *test) {
    zhandle_t *zk = test->session.handle;
    const struct ACL_vector acl = everybody();
    zoo_op_result_t results[4];
    zoo_op_t ops[4];
    struct Stat stat;
    char path[PATH_SIZE];
    const char *a = at(test->root, "a"), *b = at(test->root, "b");
    zoo_create_op_init(&ops[0], a, "", 0, &acl, 0, path, sizeof(path));
    zoo_set_op_init(&ops[1], a, "data", 4, 0, &stat);
    zoo_check_op_init(&ops[2], a, 1);
    zoo_create_op_init(&ops[3], b, "", 0, &acl, 0, NULL, 0);
    CHECK_RC(zoo_multi(zk, 4, ops, results), ZOK);
    CHECK(strcmp(path, a) == 0 && stat.version == 1 && stat.dataLength == 4);
    for (int i = 0; i < 4; i++) CHECK_RC(results[i].err, ZOK);
    zoo_delete_op_init(&ops[0], b, -1);
    zoo_check_op_init(&ops[1], a, 7);
    zoo_delete_op_init(&ops[2], a, -1);
    CHECK_RC(zoo_multi(zk, 3, ops, results), ZBADVERSION);
    CHECK_RC(results[1].err, ZBADVERSION);
    CHECK_RC(results[2].err, ZRUNTIMEINCONSISTENCY);
    CHECK_RC(zoo_exists(zk, b, 0, &stat), ZOK);
}

// AUTHENTICATION

static void on_auth(int rc, const void *data) {
    session_complete(data, rc);
}

static int authenticate(struct session *session, const char *scheme, const char *secret) {
    int rc = zoo_add_auth(session->handle, scheme, secret, (int)strlen(secret), on_auth, session);
    return rc == ZOK ? session_next_completion(session) : rc;
}

void case_acls(struct test *test) {
    struct session *session = &test->session, owner;
    const struct ACL_vector mine = ZOO_CREATOR_ALL_ACL;
    const char *path = at(test->root, "a");
    struct ACL_vector acl = {0, NULL};
    struct Stat stat;
    CHECK_RC(zoo_create(session->handle, path, "", 0, &mine, ZOO_PERSISTENT, NULL, 0), ZINVALIDACL);
    session_open(&owner, test->hosts, NULL, WAIT_MS);
    CHECK_RC(authenticate(&owner, "digest", "bob:pw"), ZOK);
    CHECK_RC(zoo_create(owner.handle, path, "", 0, &mine, ZOO_PERSISTENT, NULL, 0), ZOK);
    CHECK_RC(zoo_get_acl(owner.handle, path, &acl, &stat), ZOK);
    CHECK(acl.count == 1 && acl.data[0].perms == ZOO_PERM_ALL);
    CHECK(strcmp(acl.data[0].id.scheme, "digest") == 0);
    CHECK(strcmp(acl.data[0].id.id, "bob:ikIaKsbtGweaHnb/jKn7OHqbunM=") == 0);
    deallocate_ACL_vector(&acl);
    CHECK_RC(authenticate(session, "digest", "eve:pw"), ZOK);
    CHECK_RC(zoo_set(session->handle, path, "", 0, -1), ZNOAUTH);
    acl = everybody();
    CHECK_RC(zoo_set_acl(owner.handle, path, 0, &acl), ZOK);
    CHECK_RC(zoo_set(session->handle, path, "", 0, -1), ZOK);
    CHECK_RC(authenticate(session, "nonesuch", "x"), ZAUTHFAILED);
    session_close(&owner);
}

// THE END OF A SESSION

// Another client takes the session over and closes it, again if this one is quicker.
void case_expiry(struct test *test) {
    struct session victim, witness = test->session;
    const struct ACL_vector acl = everybody();
    struct Stat stat;
    const char *path = at(test->root, "e");
    session_open(&victim, test->hosts, NULL, WAIT_MS);
    CHECK_RC(zoo_create(victim.handle, path, "", 0, &acl, ZOO_EPHEMERAL, NULL, 0), ZOK);
    clientid_t id = *zoo_client_id(victim.handle);
    while (zoo_state(victim.handle) != ZOO_EXPIRED_SESSION_STATE) {
        zhandle_t *thief = zookeeper_init(test->hosts, NULL, WAIT_MS, &id, NULL, 0);
        CHECK(thief);
        while (zoo_state(thief) != ZOO_CONNECTED_STATE &&
               zoo_state(thief) != ZOO_EXPIRED_SESSION_STATE)
            zoo_exists(thief, "/", 0, &stat);
        zookeeper_close(thief);
        zoo_exists(victim.handle, "/", 0, &stat);
    }
    CHECK_RC(zoo_exists(victim.handle, path, 0, &stat), ZINVALIDSTATE);
    CHECK_RC(zoo_set(witness.handle, test->root, "", 0, -1), ZOK);  // it is behind no longer
    CHECK_RC(zoo_exists(witness.handle, path, 0, &stat), ZNONODE);
    session_close(&victim);
}

void case_config(struct test *test) {
    static char text[8192];
    int size = sizeof(text) - 1;
    struct Stat stat;
    CHECK_RC(zoo_getconfig(test->session.handle, 0, text, &size, &stat), ZOK);
    text[size > 0 ? size : 0] = '\0';
    unsigned servers = 0;
    for (const char *at_server = strstr(text, "server."); at_server;
         at_server = strstr(at_server + 1, "server."))
        servers++;
    unsigned hosts = 1;
    for (const char *c = test->hosts; *c; c++) hosts += *c == ',';
    CHECK(servers == (hosts > 1 ? hosts : 0));
}
