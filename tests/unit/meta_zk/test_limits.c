#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/meta_zk/stage.h"

static void ask(struct stage *stage, unsigned client, int32_t xid, struct proto_zk_op op) {
    stage_ask(stage, client, xid, &op);
}

static void hold(struct stage *stage) {
    stage->replica.holds = true;
}

static void release(struct stage *stage) {
    fake_replica_release(&stage->replica);
}

static void narrow(struct stage *stage) {
    stage->replica.is_narrow = true;
}

Test(meta_zk_limits, one_address_has_so_many_connections) {
    struct stage stage;
    stage_init(&stage);
    stage.options.connections_per_host_max = 2;
    stage_open(&stage);
    stage_enter(&stage, 0);
    stage_enter(&stage, 1);
    stage_dial(&stage, 2);
    stage_run(&stage, 50);
    stage_expect(&stage, 2, "closed ");
    cr_assert_eq(meta_server_stats(stage.server).connections_refused, 1);
    stage_hang_up(&stage, 0);
    stage_enter(&stage, 2);
    cr_assert_eq(meta_server_stats(stage.server).connections, 2);
    stage_close(&stage);
}

Test(meta_zk_limits, server_has_so_many_connections) {
    struct stage stage;
    stage_init(&stage);
    stage.options.connections_max = 1;
    stage_open(&stage);
    stage_enter(&stage, 0);
    stage_dial(&stage, 1);
    stage_run(&stage, 50);
    stage_expect(&stage, 1, "closed ");
    stage_close(&stage);
}

// Over the limit sockets are not read; nobody gets an error.
Test(meta_zk_limits, what_is_under_way_is_limited_by_not_reading) {
    enum { REQUESTS = 40, LIMIT = 5 };
    struct stage stage;
    stage_init(&stage);
    stage.options.outstanding_max = LIMIT;
    stage_open(&stage);
    stage_enter(&stage, 0);
    stage_enter(&stage, 1);
    stage_act(&stage, hold);
    char path[2][REQUESTS][16];
    for (unsigned i = 0; i < REQUESTS; i++) {
        for (unsigned c = 0; c < 2; c++) {
            snprintf(path[c][i], sizeof(path[c][i]), "/%u-%u", c, i);
            ask(&stage, c, (int32_t)i, stage_create(path[c][i], "", 0));
        }
    }
    stage.clients[0].counts_only = stage.clients[1].counts_only = true;
    stage_go(&stage);
    uint64_t outstanding = meta_server_stats(stage.server).outstanding;
    cr_assert(outstanding >= LIMIT && outstanding <= LIMIT + 1, "one more for each connection");
    cr_assert_eq(meta_server_stats(stage.server).throttled, 2);
    stage_act(&stage, release);
    stage_run(&stage, 500);
    cr_assert_eq(stage.clients[0].replies, REQUESTS);
    cr_assert_eq(stage.clients[1].replies, REQUESTS);
    cr_assert_eq(meta_server_stats(stage.server).outstanding, 0);
    stage_close(&stage);
}

// The replica has room for two commands: the rest waits in its place, none is lost or swapped.
Test(meta_zk_limits, commands_wait_for_room_in_the_replica) {
    enum { REQUESTS = 30 };
    struct stage stage;
    stage_init(&stage);
    stage_open(&stage);
    stage_enter(&stage, 0);
    stage_enter(&stage, 1);
    ask(&stage, 0, 1, stage_create("/s", "", 0));
    stage_go(&stage);
    stage_act(&stage, narrow);
    for (int i = 0; i < REQUESTS; i++) {
        ask(&stage, 0, 10 + i, stage_create("/s/n-", "", PROTO_ZK_MODE_PERSISTENT_SEQUENTIAL));
        ask(&stage, 1, 10 + i, stage_read(PROTO_ZK_OP_EXISTS, "/s", false));
        ask(&stage, 1, 50 + i, stage_set("/s", "x"));
    }
    stage_dial(&stage, 2);
    const struct proto_zk_connect connect = stage_hello_new();
    stage_hello(&stage, 2, &connect);
    stage_go(&stage);
    stage_run(&stage, 1000);
    stage_expect(&stage, 2, "connected 10000 ");
    struct rt_buf text = {0};
    rt_buf_print(&text, "1:OK=/s ");
    for (int i = 0; i < REQUESTS; i++) rt_buf_print(&text, "%d:OK=/s/n-%010d ", 10 + i, i);
    rt_buf_print(&text, "%c", 0);
    stage_expect(&stage, 0, (const char *)text.data);
    rt_buf_clear(&text);
    for (int i = 0; i < REQUESTS; i++) rt_buf_print(&text, "%d:OK %d:OK ", 10 + i, 50 + i);
    rt_buf_print(&text, "%c", 0);
    stage_expect(&stage, 1, (const char *)text.data);
    rt_buf_fini(&text);
    stage_close(&stage);
}

static void stop_reading(struct stage *stage) {
    rt_conn_pause(&stage->clients[0].conn);
}

static void read_again(struct stage *stage) {
    rt_conn_resume(&stage->clients[0].conn);
}

// Who does not read his replies is not read either; the others do not notice.
Test(meta_zk_limits, client_that_does_not_read_is_not_read) {
    enum { SIZE = 500000, READS = 60 };
    struct stage stage;
    static char data[SIZE];
    stage_init(&stage);
    stage_open(&stage);
    stage_enter(&stage, 0);
    stage_enter(&stage, 1);
    memset(data, 'x', sizeof(data));
    struct proto_zk_op create = stage_create("/big", "", 0);
    create.create.data = RT_BYTES(data, sizeof(data));
    ask(&stage, 1, 1, create);
    stage_go(&stage);
    stage_expect(&stage, 1, "1:OK=/big ");

    stage.clients[0].counts_only = true;
    stage_act(&stage, stop_reading);
    ask(&stage, 0, 1, stage_set("/none", ""));
    for (int i = 0; i < READS; i++)
        ask(&stage, 0, 2 + i, stage_read(PROTO_ZK_OP_GET_DATA, "/big", false));
    stage_go(&stage);
    ask(&stage, 1, 2, stage_read(PROTO_ZK_OP_EXISTS, "/big", false));
    stage_go(&stage);
    stage_expect(&stage, 1, "2:OK ");
    cr_assert_lt(meta_server_stats(stage.server).requests, READS, "replies pile up");

    stage_act(&stage, read_again);
    stage_run(&stage, 2000);
    cr_assert_eq(stage.clients[0].replies, READS + 1);
    stage_close(&stage);
}

static void shed_half(struct stage *stage) {
    cr_assert_eq(meta_server_shed(stage->server, 50), 2);
}

Test(meta_zk_limits, shedding_closes_so_many_as_were_asked_for) {
    struct stage stage;
    stage_init(&stage);
    stage_open(&stage);
    for (unsigned i = 0; i < 4; i++) stage_enter(&stage, i);
    stage_act(&stage, shed_half);
    cr_assert_eq(meta_server_stats(stage.server).connections, 2);
    stage_close(&stage);
}
