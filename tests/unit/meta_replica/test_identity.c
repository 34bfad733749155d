// Whose directory it is: what belongs to another is refused with the reason and left as it is.
#include <criterion/criterion.h>
#include <string.h>

#include "runtime/file.h"
#include "runtime/mem.h"
#include "tests/unit/meta_replica/stage.h"

static void open_alone(struct stage *stage, uint64_t seed) {
    stage_open(stage, 1, 1, seed);
    stage_start(stage, 1);
    stage_leader(stage);
    stage_session(stage, 1, 7, 30000);
    stage_fill(stage_node(stage, 1), "n", 20);
}

static void expect_refused(struct stage *stage, rt_err err, const char *text) {
    struct stage_node *node = stage_node(stage, 1);
    stage_start(stage, 1);
    cr_assert_eq(node->open_err, err, "%s: %s", rt_err_name(node->open_err), node->why.text);
    cr_assert_not_null(strstr(node->why.text, text), "%s", node->why.text);
    node->replica = NULL;
    stage_crash(stage, 1, RT_SIM_KILL);
}

static void expect_whole(struct stage *stage) {
    stage_start(stage, 1);
    cr_assert_eq(stage_node(stage, 1)->open_err, RT_OK, "%s", stage_node(stage, 1)->why.text);
    stage_leader(stage);
    cr_assert_not_null(stage_find(stage_node(stage, 1), "/n19"));
}

Test(meta_replica_identity, what_was_acknowledged_is_there_after_a_crash) {
    struct stage *stage = RT_NEW(struct stage);
    open_alone(stage, 1);
    stage_crash(stage, 1, RT_SIM_POWER_LOSS);
    expect_whole(stage);
    stage_close(stage);
    rt_free(stage);
}

Test(meta_replica_identity, the_directory_of_another_node_is_refused_and_left_alone) {
    struct stage *stage = RT_NEW(struct stage);
    open_alone(stage, 2);
    stage_crash(stage, 1, RT_SIM_KILL);
    stage_node(stage, 1)->options.node_id = 2;
    stage->members[0].id = 2;
    expect_refused(stage, RT_ECORRUPT, "data is of node 1, but this is node 2");
    stage_node(stage, 1)->options.node_id = 1;
    stage->members[0].id = 1;
    expect_whole(stage);
    stage_close(stage);
    rt_free(stage);
}

Test(meta_replica_identity, a_node_of_another_cluster_is_not_let_in) {
    struct stage *stage = RT_NEW(struct stage);
    stage_open(stage, 4, 3, 3);
    // The fourth founds a cluster of its own and then is told to be the third of this one.
    struct stage_node *stranger = stage_node(stage, 4);
    stranger->options.is_joining = false;
    stranger->options.member_count = 1;
    stranger->options.members = &stage->members[3];
    stage_start(stage, 4);
    stage_pass(stage, 3000);
    for (uint64_t id = 1; id <= 3; id++) stage_start(stage, id);
    stage_pass(stage, 5000);
    cr_assert_eq(stage_status(stage_node(stage, 1)).peers_connected, 2);
    cr_assert_neq(stage_status(stage_node(stage, 4)).cluster,
                  stage_status(stage_node(stage, 1)).cluster);
    stage_close(stage);
    rt_free(stage);
}
