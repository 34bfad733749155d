// A store that is obviously right: a fixed set of paths, and an array for each thing there is.
#ifndef GEMINGA_TESTS_UNIT_META_TREE_MODEL_H
#define GEMINGA_TESTS_UNIT_META_TREE_MODEL_H

#include "meta/server/tree/store.h"
#include "runtime/random.h"

enum { MODEL_WIDTH = 5, MODEL_NODES = 1 + 5 + 25 + 125, MODEL_SESSIONS = 300 };
enum { MODEL_DATA_MAX = 9000 };

struct model_node {
    bool exists;
    struct meta_znode node;  // its bytes are made from the sizes when they are needed
    size_t data_size, acl_size;
    uint8_t fill;
};

struct model {
    struct model_node nodes[MODEL_NODES];  // the children of i begin at MODEL_WIDTH * i + 1
    bool session_exists[MODEL_SESSIONS];
    struct meta_session sessions[MODEL_SESSIONS];
    uint64_t index;
};

void model_start(struct model *model, struct meta_store *store);  // both get the root
// One random change of both; the tree stays one.
void model_change(struct model *model, struct meta_store *store, struct rt_random *random);
void model_applied(struct model *model, struct meta_store *store);  // the next index
// Both are the same, by lookups and totals.
void model_compare(const struct model *model, struct meta_store *store);
// By scans of a view, which flush.
void model_compare_scans(const struct model *model, struct meta_store *store);
// Puts everything there is into another, empty store, in an order of its own.
void model_rebuild(const struct model *model, struct meta_store *store);

#endif
