// Every fault of the network: that it happens, and what the nodes see of it.
#include <criterion/criterion.h>

#include "tests/sim/peer.h"

#define MS RT_NS_PER_MS
#define SECOND RT_NS_PER_S

// The client sends a frame each 100 ms; the server keeps them.
static void connected(struct pair *p, uint64_t seed) {
    pair_open(p, seed);
    p->client.ping_every_ns = 100 * MS;
    pair_connect(p);
}

Test(sim_network, a_frame_arrives_within_the_links_latency) {
    struct pair p;
    pair_open(&p, 1);
    rt_sim_link_set_all(p.sim,
                        &(struct rt_sim_link){.latency_min_ns = 5 * MS, .latency_max_ns = 6 * MS});
    p.client.burst = 1;
    pair_connect(&p);

    uint64_t took_ns = p.server.first_frame_ns - p.client.opened_ns;
    cr_assert_eq(p.server.frames, 1);
    cr_assert(took_ns >= 5 * MS && took_ns < 7 * MS, "%llu ns", (unsigned long long)took_ns);
    pair_close(&p);
}

Test(sim_network, connecting_takes_a_round_trip) {
    struct pair p;
    pair_open(&p, 2);
    rt_sim_link_set_all(
        p.sim, &(struct rt_sim_link){.latency_min_ns = 10 * MS, .latency_max_ns = 10 * MS});
    pair_start(&p);
    uint64_t since_ns = rt_sim_now(p.sim);
    rt_sim_run_for(p.sim, 19 * MS);
    cr_assert(!p.client.is_connected);
    rt_sim_run_for(p.sim, 2 * MS);
    cr_assert(p.client.is_connected);
    cr_assert_geq(p.client.opened_ns - since_ns, 20 * MS);
    pair_close(&p);
}

Test(sim_network, bandwidth_limits_what_arrives) {
    struct pair p;
    pair_open(&p, 3);
    rt_sim_link_set_all(p.sim, &(struct rt_sim_link){.bytes_per_s = 100000});
    p.client.frame_size = 10000;
    p.client.burst = 20;
    pair_start(&p);
    rt_sim_run_for(p.sim, SECOND);
    cr_assert(p.server.bytes >= 80000 && p.server.bytes <= 100000, "%llu",
              (unsigned long long)p.server.bytes);
    rt_sim_run_for(p.sim, 2 * SECOND);
    cr_assert_eq(p.server.frames, 20);
    pair_close(&p);
}

Test(sim_network, a_slow_segment_takes_ten_times_as_long_and_more) {
    struct pair p;
    pair_open(&p, 4);
    p.client.pings_in_turn = true;
    p.server.echoes = true;
    pair_connect(&p);
    unsigned fast = p.client.frames;
    rt_sim_link_set_all(p.sim, &(struct rt_sim_link){.slow_per_million = 1000000});
    rt_sim_run_for(p.sim, 100 * MS);
    unsigned slow = p.client.frames - fast;
    cr_assert_gt(fast, 200);
    cr_assert_lt(slow, fast / 10);
    pair_close(&p);
}

Test(sim_network, frames_come_whole_and_in_order_however_they_are_cut) {
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct pair p;
        pair_open(&p, seed);
        p.server.echoes = true;
        p.client.burst = 100;
        p.client.frame_size = 8 + (size_t)seed * 971;
        pair_connect(&p);
        rt_sim_run_for(p.sim, SECOND);
        cr_assert_eq(p.server.frames, 100);
        cr_assert_eq(p.client.frames, 100);
        cr_assert(!p.server.damaged && !p.client.damaged);
        pair_close(&p);
    }
}

Test(sim_network, a_receiver_that_does_not_read_stalls_its_sender) {
    struct pair p;
    pair_open(&p, 5);
    p.server.deaf = true;
    p.client.burst = 100;
    p.client.frame_size = 60000;
    pair_connect(&p);
    rt_sim_run_for(p.sim, 10 * SECOND);
    size_t queued = rt_conn_queued_bytes(&p.client.conn);
    cr_assert_eq(p.server.frames, 0);
    cr_assert_gt(queued, 4 << 20, "only %zu bytes wait", queued);
    cr_assert(p.client.is_connected);
    pair_close(&p);
}

Test(sim_network, a_live_receiver_that_does_not_read_outlasts_the_patience) {
    struct pair p;
    pair_open(&p, 6);
    rt_sim_connection_patience(p.sim, SECOND);
    p.server.deaf = true;
    p.client.burst = 100;
    p.client.frame_size = 60000;
    pair_connect(&p);
    rt_sim_run_for(p.sim, 20 * SECOND);
    cr_assert(p.client.is_connected);
    pair_close(&p);
}

Test(sim_network, nobody_listens_is_refused) {
    struct pair p;
    pair_open(&p, 7);
    p.client.dial = "tcp://server:7001";
    pair_start(&p);
    rt_sim_run_for(p.sim, 10 * MS);
    cr_assert_eq(p.client.closed, 1);
    cr_assert_eq(p.client.why, RT_EREFUSED);
    pair_close(&p);
}

Test(sim_network, an_unknown_host_is_an_address_error) {
    struct pair p;
    pair_open(&p, 8);
    p.client.dial = "tcp://nobody:7000";
    pair_start(&p);
    rt_sim_run_for(p.sim, 10 * MS);
    cr_assert_eq(p.client.closed, 1);
    cr_assert_eq(p.client.why, RT_EADDRESS);
    pair_close(&p);
}

Test(sim_network, an_incoming_connection_can_be_refused) {
    struct pair p;
    pair_open(&p, 9);
    p.server.refuses = true;
    pair_start(&p);
    rt_sim_run_for(p.sim, 10 * MS);
    cr_assert_eq(p.client.closed, 1);
    cr_assert_eq(p.server.accepted, 0);
    pair_close(&p);
}

Test(sim_network, tls_and_plain_do_not_understand_each_other) {
    static const char *const server[] = {"tcp://*:7000", "tls+tcp://*:7000", "tls+tcp://*:7000"};
    static const char *const client[] = {"tls+tcp://server:7000", "tcp://server:7000",
                                         "tls+tcp://server:7000"};
    static const rt_err why[] = {RT_ETLS, RT_ERESET, RT_OK};
    for (unsigned i = 0; i < 3; i++) {
        struct pair p;
        pair_open(&p, 10);
        p.server.listen = server[i];
        p.client.dial = client[i];
        pair_start(&p);
        rt_sim_run_for(p.sim, 10 * MS);
        cr_assert_eq(p.client.why, why[i]);
        cr_assert_eq(p.client.closed, why[i] ? 1 : 0);
        cr_assert_eq(p.server.accepted, why[i] ? 0 : 1);
        pair_close(&p);
    }
}

Test(sim_network, a_used_port_is_refused_and_port_zero_finds_a_free_one) {
    struct rt_sim *sim = rt_sim_new(&(struct rt_sim_options){.seed = 11});
    struct peer peers[3] = {
        {.listen = "tcp://*:0"}, {.listen = "tcp://n2:7000"}, {.listen = "tcp://n2:7000"}};
    peer_start(&peers[0], sim, "n1");
    peer_start(&peers[1], sim, "n2");
    rt_sim_run_for(sim, MS);
    cr_assert_eq(peers[0].listen_err, RT_OK);
    cr_assert_neq(peers[0].port, 0);
    cr_assert_eq(peers[1].port, 7000);
    peer_start(&peers[2], sim, "n3");
    rt_sim_run_for(sim, MS);
    cr_assert_eq(peers[2].listen_err, RT_EADDRESS, "n2 is not an address of n3");
    rt_sim_free(sim);
}

struct double_listen {
    struct rt_sim_program program;
    struct rt_listener first, second;
    rt_err first_err, second_err, after_err;
    struct rt_task again;
    struct rt_loop *loop;
};

static void refuse_incoming(struct rt_listener *listener, struct rt_loop *loop,
                            struct rt_incoming *incoming) {
    (void)listener;
    (void)loop;
    rt_incoming_refuse(incoming);
}

static void first_closed(struct rt_listener *listener);
static const struct rt_listener_events double_events = {
    .name = "test.double", .on_incoming = refuse_incoming, .on_closed = first_closed};

static void first_closed(struct rt_listener *listener) {
    struct double_listen *self = rt_container_of(listener, struct double_listen, first);
    self->after_err = rt_listener_open(&self->second, self->loop, "tcp://*:7000", &double_events,
                                       false, NULL, NULL);
}

static void double_boot(struct rt_sim_program *program, struct rt_machine *machine) {
    struct double_listen *self = rt_container_of(program, struct double_listen, program);
    self->loop = machine->loops[0];
    self->first_err = rt_listener_open(&self->first, self->loop, "tcp://*:7000", &double_events,
                                       false, NULL, NULL);
    self->second_err = rt_listener_open(&self->second, self->loop, "tcp://localhost:7000",
                                        &double_events, false, NULL, NULL);
    rt_listener_close(&self->first);
}

Test(sim_network, a_port_is_taken_until_its_listener_closed) {
    struct rt_sim *sim = rt_sim_new(&(struct rt_sim_options){.seed = 12});
    struct double_listen program = {.program.boot = double_boot, .after_err = RT_EFAILED};
    rt_sim_start(rt_sim_node_add(sim, "n1", 1, &program.program));
    rt_sim_run_for(sim, MS);
    cr_assert_eq(program.first_err, RT_OK);
    cr_assert_eq(program.second_err, RT_EADDRINUSE);
    cr_assert_eq(program.after_err, RT_OK);
    rt_sim_free(sim);
}

Test(sim_network, a_clean_close_reaches_the_peer_behind_the_last_frame) {
    struct pair p;
    pair_open(&p, 13);
    p.client.burst = 50;
    pair_connect(&p);
    peer_close(&p.client);
    rt_sim_run_for(p.sim, 10 * MS);
    cr_assert_eq(p.server.frames, 50);
    cr_assert_eq(p.server.closed, 1);
    cr_assert_eq(p.server.why, RT_OK);
    cr_assert_eq(p.client.why, RT_OK);
    pair_close(&p);
}

Test(sim_network, a_reset_is_seen_by_both_ends) {
    struct pair p;
    pair_open(&p, 14);
    pair_connect(&p);
    rt_sim_reset_connections(p.sim, p.server.node, p.client.node);
    rt_sim_run_for(p.sim, 10 * MS);
    cr_assert_eq(p.client.why_count[RT_ERESET], 1);
    cr_assert_eq(p.server.why_count[RT_ERESET], 1);
    pair_close(&p);
}

Test(sim_network, a_link_that_resets_does_so_in_the_middle_of_the_traffic) {
    struct pair p;
    pair_open(&p, 15);
    rt_sim_link_set_all(p.sim, &(struct rt_sim_link){.reset_per_million = 10000});
    p.client.pings_in_turn = p.client.redials = p.server.echoes = true;
    pair_start(&p);
    rt_sim_run_for(p.sim, 5 * SECOND);
    cr_assert_gt(p.client.why_count[RT_ERESET], 3);
    cr_assert_gt(p.client.opened, 3);
    cr_assert_gt(p.client.frames, 100);
    pair_close(&p);
}

Test(sim_network, a_cut_link_holds_what_was_sent_until_it_heals) {
    struct pair p;
    connected(&p, 16);
    rt_sim_cut(p.sim, p.client.node, p.server.node);
    rt_sim_cut(p.sim, p.server.node, p.client.node);
    rt_sim_run_for(p.sim, SECOND);
    unsigned before = p.server.frames;
    rt_sim_run_for(p.sim, 5 * SECOND);
    cr_assert_eq(p.server.frames, before);
    rt_sim_heal(p.sim, p.client.node, p.server.node);
    rt_sim_heal(p.sim, p.server.node, p.client.node);
    rt_sim_run_for(p.sim, 100 * MS);
    cr_assert_geq(p.server.frames, before + 50, "what waited came late or never");
    cr_assert_eq(p.server.closed + p.client.closed, 0);
    pair_close(&p);
}

Test(sim_network, a_one_way_cut_lets_data_through_until_the_sender_gives_up) {
    struct pair p;
    connected(&p, 17);
    rt_sim_connection_patience(p.sim, 5 * SECOND);
    unsigned before = p.server.frames;
    rt_sim_cut(p.sim, p.server.node, p.client.node);
    rt_sim_run_for(p.sim, 2 * SECOND);
    cr_assert_geq(p.server.frames, before + 15, "data flows the open way");
    cr_assert_eq(p.client.frames, 0);
    cr_assert(p.client.is_connected);
    rt_sim_run_for(p.sim, 70 * SECOND);
    cr_assert_eq(p.client.why_count[RT_ETIMEDOUT], 1, "no answer came for the patience");
    pair_close(&p);
}

Test(sim_network, a_partition_cuts_one_side_from_the_other_only) {
    struct rt_sim *sim = rt_sim_new(&(struct rt_sim_options){.seed = 18});
    struct peer server = {.listen = "tcp://*:7000", .echoes = true};
    struct peer near = {.dial = "tcp://server:7000", .ping_every_ns = 10 * MS};
    struct peer far = {.dial = "tcp://server:7000", .ping_every_ns = 10 * MS};
    peer_start(&server, sim, "server");
    rt_sim_run_for(sim, MS);
    peer_start(&near, sim, "near");
    peer_start(&far, sim, "far");
    rt_sim_run_for(sim, 100 * MS);
    struct rt_sim_node *side[] = {server.node, near.node};

    rt_sim_partition(sim, side, 2);
    rt_sim_run_for(sim, 100 * MS);
    unsigned near_before = near.frames;
    unsigned far_before = far.frames;
    rt_sim_run_for(sim, SECOND);
    cr_assert_gt(near.frames, near_before + 50);
    cr_assert_eq(far.frames, far_before);

    rt_sim_heal_all(sim);
    rt_sim_run_for(sim, SECOND);
    cr_assert_gt(far.frames, far_before + 100);
    rt_sim_free(sim);
}

Test(sim_network, a_dial_over_a_cut_link_times_out) {
    struct pair p;
    pair_open(&p, 19);
    rt_sim_connection_patience(p.sim, 3 * SECOND);
    rt_sim_cut(p.sim, p.client.node, p.server.node);
    pair_start(&p);
    rt_sim_run_for(p.sim, 2 * SECOND);
    cr_assert_eq(p.client.closed, 0);
    rt_sim_run_for(p.sim, 2 * SECOND);
    cr_assert_eq(p.client.why, RT_ETIMEDOUT);
    pair_close(&p);
}

Test(sim_network, a_dial_over_a_cut_link_connects_when_it_heals) {
    struct pair p;
    pair_open(&p, 20);
    rt_sim_cut(p.sim, p.server.node, p.client.node);
    pair_start(&p);
    rt_sim_run_for(p.sim, 2 * SECOND);
    cr_assert(!p.client.is_connected && p.server.accepted == 0);
    rt_sim_heal(p.sim, p.server.node, p.client.node);
    rt_sim_run_for(p.sim, 10 * MS);
    cr_assert(p.client.is_connected && p.server.accepted == 1);
    pair_close(&p);
}

Test(sim_network, a_half_open_connection_is_found_out_only_by_patience) {
    struct pair p;
    connected(&p, 21);
    rt_sim_connection_patience(p.sim, 4 * SECOND);
    rt_sim_half_open(p.sim, p.server.node, p.client.node);
    rt_sim_run_for(p.sim, 3 * SECOND);
    cr_assert_eq(p.server.why_count[RT_ERESET], 1, "the gone side sees a reset");
    cr_assert_eq(p.client.closed, 0);
    rt_sim_run_for(p.sim, 70 * SECOND);
    cr_assert_eq(p.client.why_count[RT_ETIMEDOUT], 1);
    pair_close(&p);
}

Test(sim_network, a_half_open_connection_that_only_reads_never_ends) {
    struct pair p;
    pair_open(&p, 22);
    p.server.redials = true;
    pair_connect(&p);
    rt_sim_half_open(p.sim, p.server.node, p.client.node);
    rt_sim_run_for(p.sim, 600 * SECOND);
    cr_assert_eq(p.client.closed, 0);
    pair_close(&p);
}

Test(sim_network, new_connections_work_beside_a_half_open_one) {
    struct pair p;
    connected(&p, 23);
    rt_sim_half_open(p.sim, p.client.node, p.server.node);
    p.client.redials = true;
    rt_sim_run_for(p.sim, SECOND);
    cr_assert_eq(p.client.why_count[RT_ERESET], 1);
    cr_assert(p.client.is_connected);
    cr_assert_eq(p.server.accepted, 2);
    pair_close(&p);
}

Test(sim_network, connections_spread_over_the_loops_of_a_node) {
    struct rt_sim *sim = rt_sim_new(&(struct rt_sim_options){.seed = 24});
    struct peer server = {.listen = "tcp://*:7000", .echoes = true};
    struct peer clients[4];
    peer_add(&server, sim, "server", 4);
    rt_sim_start(server.node);
    rt_sim_run_for(sim, MS);
    static const char *const names[] = {"c1", "c2", "c3", "c4"};
    for (unsigned i = 0; i < 4; i++) {
        clients[i] = (struct peer){.dial = "tcp://server:7000", .pings_in_turn = true};
        peer_start(&clients[i], sim, names[i]);
    }
    rt_sim_run_for(sim, 100 * MS);
    for (unsigned i = 0; i < 4; i++) {
        cr_assert_gt(clients[i].frames, 50);
        cr_assert_gt(rt_loop_stats(server.machine->loops[i]).turns, 50);
    }
    rt_sim_free(sim);
}
