// zoo_client HOSTS CASE: tries one thing with the ZooKeeper C client and says "ok", or "not ok:
// ...".
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/interop/c_client/cases.h"

static const struct {
    const char *name;
    void (*run)(struct test *test);
} cases[] = {
    {"nodes", case_nodes},
    {"refusals", case_refusals},
    {"kinds_of_nodes", case_kinds_of_nodes},
    {"watches", case_watches},
    {"removed_watches", case_removed_watches},
    {"transactions", case_transactions},
    {"pipeline", case_pipeline},
    {"acls", case_acls},
    {"expiry", case_expiry},
    {"config", case_config},
    {"failover", case_failover},
    {"pipeline_over_failover", case_pipeline_over_failover},
    {"missed_changes", case_missed_changes},
};

const char *at(const char *root, const char *name) {
    static char texts[8][PATH_SIZE];
    static unsigned next;
    char *text = texts[next++ % 8];
    snprintf(text, PATH_SIZE, "%s/%s", root, name);
    return text;
}

int main(int argc, char **argv) {
    const struct ACL_vector acl = ZOO_OPEN_ACL_UNSAFE;
    char root[PATH_SIZE];
    if (argc != 3) return 2;
    zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (strcmp(cases[i].name, argv[2]) != 0) continue;
        struct test test = {.hosts = argv[1], .root = root};
        session_open(&test.session, test.hosts, NULL, WAIT_MS);
        snprintf(root, sizeof(root), "/c-%s-%d", cases[i].name, (int)getpid());
        CHECK_RC(zoo_create(test.session.handle, root, "", 0, &acl, ZOO_PERSISTENT, NULL, 0), ZOK);
        cases[i].run(&test);
        if (zoo_state(test.session.handle) == ZOO_CONNECTED_STATE) session_close(&test.session);
        printf("ok\n");
        return 0;
    }
    printf("not ok: there is no case %s\n", argv[2]);
    return 2;
}
