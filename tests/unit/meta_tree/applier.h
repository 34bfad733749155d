// A store with a state machine on it, to which requests are given as committed entries.
#ifndef GEMINGA_TESTS_UNIT_META_TREE_APPLIER_H
#define GEMINGA_TESTS_UNIT_META_TREE_APPLIER_H

#include "meta/server/tree/acl.h"
#include "meta/server/tree/apply.h"
#include "tests/unit/meta_tree/stage.h"

struct applier {
    struct stage *stage;
    struct rt_arena arena;  // of the latest entry
    struct rt_buf payload, entry;
    uint64_t index;  // of the latest entry
    int64_t time_ms;
    struct meta_outcome outcome;
    // Who asks from now on.
    int64_t session;
    uint64_t attachment;
    struct proto_zk_ids ids;
    unsigned flags;
};

enum { APPLIER_SESSION = 7 };

void applier_open(struct applier *a, struct stage *stage);  // a new tree and one session
void applier_close(struct applier *a);

// Each is one entry; the outcome is kept.
const struct meta_outcome *applier_entry(struct applier *a, const struct meta_command *command);
const struct meta_outcome *applier_bytes(struct applier *a, struct rt_bytes entry);
const struct meta_outcome *applier_open_session(struct applier *a, int64_t session);
const struct meta_outcome *applier_attach(struct applier *a, int64_t session,
                                          const char password[PROTO_ZK_PASSWORD_SIZE + 1]);
const struct meta_outcome *applier_close_session(struct applier *a, int64_t session,
                                                 uint64_t attachment, uint64_t origin);
const struct meta_outcome *applier_reap(struct applier *a, const char *path, int64_t czxid,
                                        int64_t mzxid);
// Answers the error in the header.
int32_t applier_ask(struct applier *a, const struct proto_zk_op *op);
int32_t applier_multi(struct applier *a, const struct proto_zk_op *ops, size_t count);

int32_t applier_create(struct applier *a, const char *path, int32_t flags);
int32_t applier_delete(struct applier *a, const char *path);
int32_t applier_set(struct applier *a, const char *path, const char *data);
const struct meta_znode *applier_find(struct applier *a, const char *path);
bool applier_data_is(struct applier *a, const char *path, const char *data);
// The path in the latest reply.
bool applier_path_is(const struct applier *a, const char *path);
// The latest changes: "+/a -/b =/c", in order.
const char *applier_changes(struct applier *a);

extern const struct proto_zk_acls applier_open_acl, applier_bob_acl;  // all rights for all, for bob
extern const struct proto_zk_ids applier_bob;

// Operations. Paths and data live as long as the text.
struct proto_zk_op applier_op_create(int32_t opcode, const char *path, int32_t flags);
struct proto_zk_op applier_op_versioned(int32_t opcode, const char *path, int32_t version);
struct proto_zk_op applier_op_set(const char *path, const char *data, int32_t version);

// One Criterion test on each machine for every case.
#define APPLIER_TEST(suite, name)                  \
    static void name(struct applier *a);           \
    static void name##_case(struct stage *stage) { \
        struct applier applier;                    \
        applier_open(&applier, stage);             \
        name(&applier);                            \
        applier_close(&applier);                   \
    }                                              \
    Test(suite, name) {                            \
        stage_run_real(name##_case);               \
    }                                              \
    Test(suite##_sim, name) {                      \
        stage_run_sim(name##_case);                \
    }                                              \
    static void name(struct applier *a)

#endif
