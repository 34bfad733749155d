// Many connections, slow readers, greedy ones, congestion, and the end of the server.
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/bookie_protocol/front.h"

enum { CROWD = 1000, LARGE = 1 << 20 };

static void add_many(struct front *front, unsigned client, int64_t first, unsigned count,
                     size_t size) {
    struct rt_buf body = {0}, packets = {0};
    for (unsigned i = 0; i < count; i++) {
        struct proto_bk_request add =
            front_add(PROTO_BK_V2, 1, first + i, front_body(1, first + i, size, &body));
        front_encode(&add, &packets);
    }
    front_send(front, client, rt_buf_bytes(&packets));
    rt_buf_fini(&body);
    rt_buf_fini(&packets);
}

static void read_many(struct front *front, unsigned client, unsigned count, int64_t entries) {
    struct rt_buf packets = {0};
    for (unsigned i = 0; i < count; i++) {
        const struct proto_bk_request read = front_read(PROTO_BK_V2, 1, i % entries);
        front_encode(&read, &packets);
    }
    front_send(front, client, rt_buf_bytes(&packets));
    rt_buf_fini(&packets);
}

static unsigned added(struct front *front, unsigned client) {
    struct proto_bk_response response;
    unsigned count = 0;
    while (front_next(front, client, &response, PROTO_BK_V2)) {
        cr_expect_eq(response.kind, PROTO_BK_ADD);
        cr_expect_eq(response.code, PROTO_BK_OK);
        count++;
    }
    return count;
}

Test(bookie_protocol_load, a_thousand_connections_are_served) {
    struct front *front = front_open(CROWD);
    struct rt_buf body = {0}, packet = {0};
    for (unsigned i = 0; i < CROWD; i++) front_dial(front, i);
    front_run(front, 1000);
    cr_assert_eq(bookie_server_stats(front->server).connections, CROWD);
    front->store.is_slow = true;
    for (unsigned i = 0; i < CROWD; i++) {
        const struct proto_bk_request add =
            front_add(PROTO_BK_V2, i % 10, i, front_body(i % 10, i, 100, &body));
        const struct proto_bk_request read = front_read(PROTO_BK_V2, i % 10, i);
        rt_buf_clear(&packet);
        front_encode(&add, &packet);
        front_encode(&read, &packet);
        front_send(front, i, rt_buf_bytes(&packet));
    }
    for (unsigned i = 0; i < CROWD; i++)
        cr_assert_eq(front->clients[i].in_size, 28 + 28 + 100, "client %u", i);
    rt_buf_fini(&body);
    rt_buf_fini(&packet);
    front_close(front);
}

Test(bookie_protocol_load, who_does_not_read_its_answers_is_not_read) {
    struct front *front = front_open(2);
    front_dial(front, 0);
    front_dial(front, 1);
    add_many(front, 0, 0, 4, LARGE);
    cr_assert_eq(added(front, 0), 4);
    front->clients[0].only_counts = true;
    front->clients[0].bytes = 0;
    front_set_slow(front, 0, true);
    read_many(front, 0, 400, 4);
    front_run(front, 1000);
    uint64_t responses = bookie_server_stats(front->server).responses;
    cr_expect_lt(responses, 50, "%llu answers wait", (unsigned long long)responses);
    add_many(front, 1, 100, 3, 100);
    cr_expect_eq(added(front, 1), 3, "others are served");
    front_set_slow(front, 0, false);
    front_run(front, 20000);
    cr_expect_eq(front->clients[0].bytes, 400 * ((size_t)LARGE + 28));
    front_close(front);
}

static void store_release_act(struct front *front) {
    fake_store_release(&front->store);
}

Test(bookie_protocol_load, reads_under_way_are_bounded_for_each_connection) {
    struct front *front = front_open(1);
    front_dial(front, 0);
    add_many(front, 0, 0, 1, LARGE);
    cr_assert_eq(added(front, 0), 1);
    front->clients[0].only_counts = true;
    front->clients[0].bytes = 0;
    read_many(front, 0, 1, 1);  // now it is known for its large entries
    front->store.is_slow = front->store.holds = true;
    read_many(front, 0, 100, 1);
    cr_expect_leq(bookie_core_stats(front->core).reads_in_progress, 9);
    front_act(front, store_release_act);
    front_run(front, 1000);
    cr_expect_eq(front->clients[0].bytes, 101 * ((size_t)LARGE + 28));
    front_close(front);
}

Test(bookie_protocol_load, calls_under_way_are_bounded_for_each_connection) {
    struct front *front = front_new(1);
    front->options.calls_per_conn_max = 4;
    front_start(front);
    front_dial(front, 0);
    front->journal.holds = true;
    add_many(front, 0, 0, 10, 100);
    cr_expect_eq(bookie_server_stats(front->server).requests, 4);
    front_journal_release(front);
    front_run(front, 100);
    cr_expect_eq(added(front, 0), 10);
    front_close(front);
}

Test(bookie_protocol_load, nobody_is_read_while_the_core_is_congested) {
    struct front *front = front_open(3);
    for (unsigned i = 0; i < 3; i++) front_dial(front, i);
    front->store.room = 0;
    add_many(front, 0, 0, 5, 100);
    add_many(front, 1, 10, 5, 100);
    cr_expect_eq(bookie_server_stats(front->server).requests, 2, "one of each");
    cr_expect_eq(bookie_core_stats(front->core).parked, 2);
    front->store.room = 3;
    front_drained(front);
    front->store.room = UINT32_MAX;
    front_drained(front);
    cr_expect_eq(added(front, 0), 5);
    cr_expect_eq(added(front, 1), 5);
    add_many(front, 2, 20, 1, 100);
    cr_expect_eq(added(front, 2), 1);
    front_close(front);
}

Test(bookie_protocol_load, adds_of_a_client_that_is_gone_are_carried_out) {
    struct front *front = front_open(2);
    front_dial(front, 0);
    front->journal.holds = true;
    add_many(front, 0, 0, 5, 100);
    front_hang_up(front, 0);
    cr_expect_eq(bookie_server_stats(front->server).connections, 0);
    front_journal_release(front);
    cr_expect_eq(front->journal.told, 6);
    front_dial(front, 1);
    front_run(front, 100);
    cr_expect_eq(bookie_server_stats(front->server).connections, 1);
    front_close(front);
}

Test(bookie_protocol_load, more_connections_than_allowed_are_refused) {
    struct front *front = front_new(3);
    front->options.connections_max = 2;
    front_start(front);
    for (unsigned i = 0; i < 3; i++) {
        front_dial(front, i);
        front_run(front, 1000);
    }
    cr_expect(!front->clients[2].is_open);
    cr_expect_eq(bookie_server_stats(front->server).connections_refused, 1);
    front_hang_up(front, 0);
    front_dial(front, 2);
    front_run(front, 1000);
    cr_expect(front->clients[2].is_open);
    front_close(front);
}

static void close_act(struct front *front) {
    bookie_server_close(front->server, &front->server_closed);
    front->server = NULL;
}

Test(bookie_protocol_load, the_server_answers_what_is_under_way_and_closes) {
    struct front *front = front_open(3);
    struct proto_bk_request poll = front_read(PROTO_BK_V3, 1, -1);
    poll.flags = PROTO_BK_HAS_PREVIOUS_LAC | PROTO_BK_HAS_TIMEOUT;
    poll.previous_lac = 100;
    poll.timeout_ms = 1000000000;
    for (unsigned i = 0; i < 3; i++) front_dial(front, i);
    add_many(front, 0, 0, 1, 100);
    front->journal.holds = true;
    add_many(front, 0, 1, 3, 100);
    front_ask(front, 1, &poll);
    front_act(front, close_act);
    front_run(front, 1000);
    cr_expect(!front->is_server_closed && front->clients[0].is_open);
    cr_expect(!front->clients[1].is_open && !front->clients[2].is_open);
    front_journal_release(front);
    front_run(front, 1000);
    cr_expect_eq(added(front, 0), 4);
    cr_expect(front->is_server_closed && !front->clients[0].is_open);
    front_close(front);
}

Test(bookie_protocol_load, one_that_never_reads_does_not_hold_up_the_close) {
    struct front *front = front_open(1);
    front_dial(front, 0);
    add_many(front, 0, 0, 4, LARGE);
    front->clients[0].only_counts = true;
    front_set_slow(front, 0, true);
    read_many(front, 0, 100, 4);
    front_shut(front);
    front_set_slow(front, 0, false);
    front_run(front, 1000);
    front_close(front);
}
