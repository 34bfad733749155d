// What a log may hold after a crash: what was reported written, and of the next write a prefix.
#ifndef GEMINGA_TESTS_UNIT_META_LOG_LOG_MODEL_H
#define GEMINGA_TESTS_UNIT_META_LOG_LOG_MODEL_H

#include "tests/unit/meta_log/fixture.h"

enum { MODEL_ENTRIES_MAX = 700, MODEL_WRITES_MAX = 40 };

struct model_state {
    struct raft_position base;
    size_t count;
    uint64_t terms[MODEL_ENTRIES_MAX];
};

struct model_write {
    bool cuts;               // or resets
    struct model_state cut;  // before its entries
    struct model_state after;
};

struct model {
    struct model_write writes[MODEL_WRITES_MAX + 1];  // [0]: what was there
    size_t count;                                     // of writes issued; versions 1 to count
    uint64_t released;
};

struct raft_position model_last(const struct model *model);
// Draws a write, notes it and gives it to the log.
void model_write(struct model *model, struct fixture *fixture, struct rt_random *random);
// That what was found is allowed when `written` was the last version reported.
bool model_allows(const struct model *model, const struct fixture *fixture, uint64_t written);
void model_adopt(struct model *model, const struct fixture *fixture);

#endif
