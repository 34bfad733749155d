// Where a case about the store runs: on the real machine or in the simulator, each time in a
// directory of its own. What a case opens, it closes.
#ifndef GEMINGA_TESTS_UNIT_META_TREE_STAGE_H
#define GEMINGA_TESTS_UNIT_META_TREE_STAGE_H

#include "meta/server/tree/store.h"

struct stage {
    struct rt_machine *machine;
    const char *path;   // of the store
    size_t node_bytes;  // [1 MiB] options of the store
    struct meta_store *store;
};

typedef void stage_case(struct stage *stage);

void stage_run_real(stage_case *run);
void stage_run_sim(stage_case *run);

void stage_open(struct stage *stage);
void stage_close(struct stage *stage);
void stage_crash(struct stage *stage);  // closed without a flush, and open again

// "/path" with data, and counted in its parent. The index is czxid and mzxid.
void stage_create(struct stage *stage, const char *path, int64_t index, const char *data);
void stage_delete(struct stage *stage, const char *path);
const struct meta_znode *stage_find(struct stage *stage, const char *path);
void stage_applied(struct stage *stage, uint64_t index);
void stage_flush(struct stage *stage);
// The paths that the scan gives, each followed by a space.
struct stage_list {
    struct meta_scan scan;
    char text[512];
    unsigned count, count_max;  // the scan ends at count_max, 0: never
};
struct stage_list stage_list_start(void);
#endif
