// The C client of ZooKeeper (libzookeeper_mt) against a server: "ok NAME" or "not ok NAME: why" for
// each case on stdout. Usage: cases HOSTS. Between "kill the leader" on stdout and a line on stdin
// somebody kills it.
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zookeeper/zookeeper.h>

enum {
    TIMEOUT_MS = 10000,
    VICTIM_TIMEOUT_MS = 2000,
    WAIT_S = 30,
    PIPELINE = 10000,
    PATH_SIZE = 128,
    TEXT_SIZE = 256
};

struct box {  // what watchers and completions tell, for the main thread to wait for
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int state, events, last_type, done, failed, in_order;
    char last_path[PATH_SIZE];
};

static struct box *box_new(void) {
    struct box *box = calloc(1, sizeof(*box));
    pthread_mutex_init(&box->lock, NULL);
    pthread_cond_init(&box->changed, NULL);
    return box;
}

static void watch(zhandle_t *zh, int type, int state, const char *path, void *context) {
    struct box *box = context;
    (void)zh;
    pthread_mutex_lock(&box->lock);
    if (type == ZOO_SESSION_EVENT) {
        box->state = state;
    } else {
        box->events++;
        box->last_type = type;
        snprintf(box->last_path, sizeof(box->last_path), "%s", path ? path : "");
    }
    pthread_cond_broadcast(&box->changed);
    pthread_mutex_unlock(&box->lock);
}

static bool wait_for(struct box *box, const int *what, int value) {
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += WAIT_S;
    pthread_mutex_lock(&box->lock);
    int failed = 0;
    while (*what != value && !failed)
        failed = pthread_cond_timedwait(&box->changed, &box->lock, &end);
    bool is_so = *what == value;
    pthread_mutex_unlock(&box->lock);
    return is_so;
}

// The C client has no sync that waits.
static void synced(int rc, const char *value, const void *context) {
    struct box *box = (struct box *)(uintptr_t)context;
    (void)value;
    pthread_mutex_lock(&box->lock);
    box->failed = rc;
    box->done = 1;
    pthread_cond_broadcast(&box->changed);
    pthread_mutex_unlock(&box->lock);
}

static int sync_now(zhandle_t *zh, const char *path) {
    struct box *box = box_new();
    int rc = zoo_async(zh, path, synced, box);
    if (rc) return rc;
    return wait_for(box, &box->done, 1) ? box->failed : ZOPERATIONTIMEOUT;
}

// CASES: each has a client and a root of its own, and says what is wrong, or NULL.

struct stage {
    zhandle_t *zh;
    struct box *box;
    const char *hosts, *program;
    char root[PATH_SIZE], path[PATH_SIZE];
};

static char wrong[TEXT_SIZE];

static const char *wrongly(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(wrong, sizeof(wrong), format, arguments);
    va_end(arguments);
    return wrong;
}

#define MUST(call, expected)                                                              \
    do {                                                                                  \
        int got_ = (call), want_ = (expected);                                            \
        if (got_ != want_)                                                                \
            return wrongly("line %d: %s, not %s", __LINE__, zerror(got_), zerror(want_)); \
    } while (0)
#define CHECK(condition) \
    if (!(condition)) return wrongly("line %d: not so: %s", __LINE__, #condition)

static const char *at(struct stage *stage, const char *name) {
    snprintf(stage->path, sizeof(stage->path), "%.60s/%.60s", stage->root, name);
    return stage->path;
}

static int make(struct stage *stage, const char *name, const char *data, int flags) {
    return zoo_create(stage->zh, at(stage, name), data, (int)strlen(data), &ZOO_OPEN_ACL_UNSAFE,
                      flags, NULL, 0);
}

static const char *nodes_live(struct stage *stage) {
    char data[32];
    int size = sizeof(data);
    struct Stat stat;
    MUST(make(stage, "a", "one", 0), ZOK);
    MUST(make(stage, "a", "one", 0), ZNODEEXISTS);
    MUST(zoo_get(stage->zh, at(stage, "a"), 0, data, &size, &stat), ZOK);
    CHECK(size == 3 && memcmp(data, "one", 3) == 0 && stat.version == 0);
    MUST(zoo_set2(stage->zh, at(stage, "a"), "two!", 4, 0, &stat), ZOK);
    CHECK(stat.version == 1 && stat.dataLength == 4);
    MUST(zoo_set(stage->zh, at(stage, "a"), "x", 1, 0), ZBADVERSION);
    MUST(make(stage, "a/b", "", 0), ZOK);
    MUST(zoo_delete(stage->zh, at(stage, "a"), -1), ZNOTEMPTY);
    MUST(zoo_delete(stage->zh, at(stage, "a/b"), 0), ZOK);
    MUST(zoo_delete(stage->zh, at(stage, "a"), 1), ZOK);
    MUST(zoo_exists(stage->zh, at(stage, "a"), 0, &stat), ZNONODE);
    MUST(make(stage, "x/y", "", 0), ZNONODE);
    return NULL;
}

static const char *children_are_listed(struct stage *stage) {
    struct String_vector names;
    struct Stat stat;
    char real[PATH_SIZE];
    for (int i = 0; i < 3; i++)
        MUST(zoo_create(stage->zh, at(stage, "s-"), "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_SEQUENCE, real,
                        sizeof(real)),
             ZOK);
    CHECK(strcmp(real + strlen(real) - 10, "0000000002") == 0);
    MUST(zoo_get_children2(stage->zh, stage->root, 0, &names, &stat), ZOK);
    CHECK(names.count == 3 && stat.numChildren == 3);
    deallocate_String_vector(&names);
    return NULL;
}

static const char *watches_fire_once(struct stage *stage) {
    struct box *box = box_new();
    struct Stat stat;
    char data[8];
    int size = sizeof(data);
    MUST(zoo_wexists(stage->zh, at(stage, "w"), watch, box, &stat), ZNONODE);
    MUST(make(stage, "w", "", 0), ZOK);
    CHECK(wait_for(box, &box->events, 1) && box->last_type == ZOO_CREATED_EVENT);
    MUST(zoo_wget(stage->zh, at(stage, "w"), watch, box, data, &size, &stat), ZOK);
    MUST(zoo_set(stage->zh, at(stage, "w"), "1", 1, -1), ZOK);
    MUST(zoo_set(stage->zh, at(stage, "w"), "2", 1, -1), ZOK);
    CHECK(wait_for(box, &box->events, 2) && box->last_type == ZOO_CHANGED_EVENT);
    struct String_vector names;
    MUST(zoo_wget_children(stage->zh, stage->root, watch, box, &names), ZOK);
    deallocate_String_vector(&names);
    MUST(make(stage, "v", "", 0), ZOK);
    CHECK(wait_for(box, &box->events, 3) && box->last_type == ZOO_CHILD_EVENT);
    CHECK(strcmp(box->last_path, stage->root) == 0);
    return NULL;
}

static const char *transactions_are_whole(struct stage *stage) {
    zoo_op_t ops[3];
    zoo_op_result_t results[3];
    char one[PATH_SIZE], two[PATH_SIZE], made[PATH_SIZE];
    struct Stat stat;
    snprintf(one, sizeof(one), "%s", at(stage, "m1"));
    snprintf(two, sizeof(two), "%s", at(stage, "m2"));
    zoo_create_op_init(&ops[0], one, "a", 1, &ZOO_OPEN_ACL_UNSAFE, 0, made, sizeof(made));
    zoo_create_op_init(&ops[1], two, "b", 1, &ZOO_OPEN_ACL_UNSAFE, 0, made, sizeof(made));
    zoo_set_op_init(&ops[2], one, "c", 1, 0, &stat);
    MUST(zoo_multi(stage->zh, 3, ops, results), ZOK);
    CHECK(stat.version == 1);
    zoo_delete_op_init(&ops[0], one, -1);
    zoo_check_op_init(&ops[1], two, 7);
    zoo_delete_op_init(&ops[2], two, -1);
    MUST(zoo_multi(stage->zh, 3, ops, results), ZBADVERSION);
    CHECK(results[0].err == ZOK && results[1].err == ZBADVERSION);
    CHECK(results[2].err == ZRUNTIMEINCONSISTENCY);
    MUST(zoo_exists(stage->zh, one, 0, &stat), ZOK);
    return NULL;
}

static void auth_done(int rc, const void *context) {
    struct box *box = (struct box *)(uintptr_t)context;
    pthread_mutex_lock(&box->lock);
    box->failed = rc;
    box->done = 1;
    pthread_cond_broadcast(&box->changed);
    pthread_mutex_unlock(&box->lock);
}

static const char *acls_admit_who_knows_the_password(struct stage *stage) {
    struct box *box = box_new(), *other_box = box_new();
    char data[8];
    int size = sizeof(data);
    MUST(zoo_add_auth(stage->zh, "digest", "bob:secret", 10, auth_done, box), ZOK);
    CHECK(wait_for(box, &box->done, 1) && box->failed == ZOK);
    MUST(zoo_create(stage->zh, at(stage, "p"), "x", 1, &ZOO_CREATOR_ALL_ACL, 0, NULL, 0), ZOK);
    MUST(zoo_get(stage->zh, at(stage, "p"), 0, data, &size, NULL), ZOK);
    zhandle_t *other = zookeeper_init(stage->hosts, watch, TIMEOUT_MS, NULL, other_box, 0);
    CHECK(other && wait_for(other_box, &other_box->state, ZOO_CONNECTED_STATE));
    MUST(sync_now(other, stage->root), ZOK);
    size = sizeof(data);
    MUST(zoo_get(other, at(stage, "p"), 0, data, &size, NULL), ZNOAUTH);
    zookeeper_close(other);
    return NULL;
}

static void set_done(int rc, const struct Stat *stat, const void *context) {
    struct box *box = (struct box *)(uintptr_t)context;
    pthread_mutex_lock(&box->lock);
    if (rc) box->failed++;
    if (!rc && stat->version != box->done + 1) box->in_order = -1;
    box->done++;
    pthread_cond_broadcast(&box->changed);
    pthread_mutex_unlock(&box->lock);
}

static const char *pipelines_are_answered_in_order(struct stage *stage) {
    struct box *box = box_new();
    MUST(make(stage, "p", "", 0), ZOK);
    for (int i = 0; i < PIPELINE; i++)
        MUST(zoo_aset(stage->zh, at(stage, "p"), "0123456789", 10, -1, set_done, box), ZOK);
    CHECK(wait_for(box, &box->done, PIPELINE));
    CHECK(box->failed == 0 && box->in_order == 0);
    return NULL;
}

static const char *ephemerals_go_with_their_session(struct stage *stage) {
    struct box *box = box_new(), *other_box = box_new();
    struct Stat stat;
    zhandle_t *other = zookeeper_init(stage->hosts, watch, TIMEOUT_MS, NULL, other_box, 0);
    CHECK(other && wait_for(other_box, &other_box->state, ZOO_CONNECTED_STATE));
    MUST(zoo_create(other, at(stage, "e"), "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL, NULL, 0),
         ZOK);
    MUST(sync_now(stage->zh, stage->root), ZOK);
    MUST(zoo_wexists(stage->zh, at(stage, "e"), watch, box, &stat), ZOK);
    CHECK(stat.ephemeralOwner == zoo_client_id(other)->client_id);
    zookeeper_close(other);
    CHECK(wait_for(box, &box->events, 1) && box->last_type == ZOO_DELETED_EVENT);
    return NULL;
}

// Another process, which is stopped for longer than its session lives.
static int be_victim(const char *hosts) {
    struct box *box = box_new();
    zhandle_t *zh = zookeeper_init(hosts, watch, VICTIM_TIMEOUT_MS, NULL, box, 0);
    if (!zh || !wait_for(box, &box->state, ZOO_CONNECTED_STATE)) return 1;
    printf("%d\n", (int)getpid());
    fflush(stdout);
    printf(wait_for(box, &box->state, ZOO_EXPIRED_SESSION_STATE) ? "expired\n" : "not expired\n");
    return 0;
}

static const char *a_client_that_was_silent_for_too_long_is_expired(struct stage *stage) {
    char command[4 * TEXT_SIZE], line[64] = "";
    snprintf(command, sizeof(command), "%.400s %.400s victim", stage->program, stage->hosts);
    FILE *victim = popen(command, "r");
    CHECK(victim && fgets(line, sizeof(line), victim));
    pid_t pid = (pid_t)atoi(line);
    struct timespec pause = {3 * VICTIM_TIMEOUT_MS / 1000, 0};
    kill(pid, SIGSTOP);
    nanosleep(&pause, NULL);
    kill(pid, SIGCONT);
    bool said = fgets(line, sizeof(line), victim) != NULL;
    pclose(victim);
    CHECK(said && strcmp(line, "expired\n") == 0);
    return NULL;
}

// Writes that were answered are there afterwards, the session and its node too.
static const char *a_leader_may_die(struct stage *stage) {
    char line[16], name[32];
    struct Stat stat;
    int64_t session = zoo_client_id(stage->zh)->client_id;
    MUST(make(stage, "mine", "", ZOO_EPHEMERAL), ZOK);
    bool acked[300] = {false};
    for (int i = 0; i < 300; i++) {
        if (i == 100) {
            printf("kill the leader\n");
            fflush(stdout);
            CHECK(fgets(line, sizeof(line), stdin));
        }
        snprintf(name, sizeof(name), "n%d", i);
        for (int tries = 0; tries < 3000 && !acked[i]; tries++) {
            int rc = make(stage, name, "x", 0);
            acked[i] = rc == ZOK || rc == ZNODEEXISTS;
            struct timespec pause = {0, 10 * 1000 * 1000};
            if (!acked[i]) nanosleep(&pause, NULL);
        }
        CHECK(acked[i]);
    }
    MUST(sync_now(stage->zh, stage->root), ZOK);
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        MUST(zoo_exists(stage->zh, at(stage, name), 0, &stat), ZOK);
    }
    CHECK(zoo_client_id(stage->zh)->client_id == session);
    MUST(zoo_exists(stage->zh, at(stage, "mine"), 0, &stat), ZOK);
    CHECK(stat.ephemeralOwner == session);
    return NULL;
}

static const struct {
    const char *name;
    const char *(*run)(struct stage *stage);
} cases[] = {
    {"nodes_live", nodes_live},
    {"children_are_listed", children_are_listed},
    {"watches_fire_once", watches_fire_once},
    {"transactions_are_whole", transactions_are_whole},
    {"acls_admit_who_knows_the_password", acls_admit_who_knows_the_password},
    {"pipelines_are_answered_in_order", pipelines_are_answered_in_order},
    {"ephemerals_go_with_their_session", ephemerals_go_with_their_session},
    {"a_client_that_was_silent_for_too_long_is_expired",
     a_client_that_was_silent_for_too_long_is_expired},
    {"a_leader_may_die", a_leader_may_die},
};
enum { CASE_COUNT = sizeof(cases) / sizeof(cases[0]) };

static const char *case_run(unsigned number, const char *hosts, const char *program) {
    struct stage stage = {.hosts = hosts, .program = program, .box = box_new()};
    stage.zh = zookeeper_init(hosts, watch, TIMEOUT_MS, NULL, stage.box, 0);
    if (!stage.zh || !wait_for(stage.box, &stage.box->state, ZOO_CONNECTED_STATE))
        return "cannot connect";
    snprintf(stage.root, sizeof(stage.root), "/c%" PRIx64 "-%u",
             (uint64_t)zoo_client_id(stage.zh)->client_id, number);
    int rc = zoo_create(stage.zh, stage.root, "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0);
    const char *what = rc == ZOK ? cases[number].run(&stage) : zerror(rc);
    zookeeper_close(stage.zh);
    return what;
}

int main(int argc, char **argv) {
    int failed = 0;
    if (argc < 2) return 2;
    zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);
    if (argc == 3) return be_victim(argv[1]);
    for (unsigned i = 0; i < CASE_COUNT; i++) {
        const char *what = case_run(i, argv[1], argv[0]);
        printf(what ? "not ok %s: %s\n" : "ok %s\n", cases[i].name, what);
        fflush(stdout);
        failed += what != NULL;
    }
    return failed != 0;
}
