// Peers that lie, flood or say nothing: their connection ends, the cluster does not notice, and
// memory stays within bounds.
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "meta/server/replica/wire.h"
#include "runtime/mem.h"
#include "runtime/random.h"
#include "tests/unit/meta_replica/stranger.h"

enum { SEED = 23, MIB = 1 << 20 };

static struct stranger stranger;  // large

static uint64_t open_three(struct stage *stage) {
    stage_open(stage, 3, 3, SEED);
    stage_start_all(stage);
    stranger_open(&stranger, stage);
    stage_session(stage, stage_leader(stage), 77, 60000);
    stage_lead(stage, 1);
    return stage_status(&stage->nodes[0]).cluster;
}

static void close_unharmed(struct stage *stage) {
    cr_assert_eq(stage_leader(stage), 1, "the leader stayed");
    stage_fill(stage_node(stage, 2), "after", 3);
    stage_agree(stage);
    for (unsigned i = 0; i < 3; i++) {
        cr_assert_not(stage->nodes[i].has_failed);
        cr_assert_eq(stage->nodes[i].interrupted, 0);
    }
    stage_close(stage);
}

// HELLOS

Test(meta_replica_hostile, another_cluster_is_told_ours_and_hung_up_on) {
    struct stage stage;
    uint64_t cluster = open_three(&stage);
    stranger_dial(&stranger, 0, 1);
    stranger_hello(&stranger, 0, cluster + 1, 2, 1, "x:2888:3888");
    stage_pass(&stage, 1000);
    cr_assert_not(stranger.conns[0].is_open);
    cr_assert_eq(stranger.conns[0].frames, 1);
    cr_assert_eq(stranger.answer.cluster, cluster);
    cr_assert_eq(stranger.dialed, 0);
    close_unharmed(&stage);
}

Test(meta_replica_hostile, who_means_another_node_or_is_nobody_is_hung_up_on_without_an_answer) {
    struct stage stage;
    uint64_t cluster = open_three(&stage);
    stranger_dial(&stranger, 0, 1);
    stranger_hello(&stranger, 0, cluster, 2, 3, "x:2888:3888");  // to another
    stranger_dial(&stranger, 1, 1);
    stranger_hello(&stranger, 1, cluster, 1, 1, "x:2888:3888");  // from itself
    stranger_dial(&stranger, 2, 1);
    stranger_frame(&stranger, 2, RT_BYTES_LITERAL("\x01GMP2 of a later version"));
    stranger_dial(&stranger, 3, 1);
    stranger_frame(&stranger, 3, RT_BYTES_LITERAL(""));
    stranger_dial(&stranger, 4, 1);
    stranger_say(&stranger, 4, RT_BYTES_LITERAL("GET / HTTP/1.1\r\nHost: m1\r\n\r\n"));
    stage_pass(&stage, 1000);
    cr_assert_eq(stranger_open_count(&stranger), 0);
    for (unsigned i = 0; i < 5; i++) cr_assert_eq(stranger.conns[i].frames, 0, "%u", i);
    close_unharmed(&stage);
}

// Each is dialed, and here that takes until it is given up: there is no power at the address.
Test(meta_replica_hostile, only_so_many_who_are_no_members_are_known_at_once) {
    struct stage stage;
    uint64_t cluster = open_three(&stage);
    size_t before = stage_heap_bytes(&stage.nodes[0]);
    stage_crash(&stage, 3, RT_SIM_POWER_LOSS);
    for (unsigned i = 0; i < 200; i++) {
        stranger_dial(&stranger, i, 1);
        stranger_hello(&stranger, i, cluster, 1000 + i, 1, "m3:2888:3888");
    }
    stage_pass(&stage, 500);
    cr_assert_eq(stranger_open_count(&stranger), 32);
    cr_assert_lt(stage_heap_bytes(&stage.nodes[0]), before + MIB);
    for (unsigned i = 0; i < 200; i++) stranger_frame(&stranger, i, RT_BYTES_LITERAL(""));
    stage_pass(&stage, 10000);
    for (unsigned i = 0; i < 20; i++) {  // those before are forgotten
        stranger_dial(&stranger, i, 1);
        stranger_hello(&stranger, i, cluster, 2000 + i, 1, "m3:2888:3888");
    }
    stage_pass(&stage, 500);
    cr_assert_eq(stranger_open_count(&stranger), 20);
    stage_start(&stage, 3);
    stage_pass(&stage, 10000);
    close_unharmed(&stage);
}

// A member that is away is dialed again and again, and others are not.
Test(meta_replica_hostile, who_is_no_member_is_not_dialed_again) {
    struct stage stage;
    uint64_t cluster = open_three(&stage);
    stranger_dial(&stranger, 0, 1);
    stranger_hello(&stranger, 0, cluster, 9, 1, "x:2888:3888");
    stage_pass(&stage, 20000);
    cr_assert_eq(stranger.dialed, 1);
    close_unharmed(&stage);
}

// LENGTHS AND SILENCE

Test(meta_replica_hostile, a_length_buys_no_memory_and_ends_in_time) {
    struct stage stage;
    open_three(&stage);
    size_t before = stage_heap_bytes(&stage.nodes[0]);
    stranger_dial(&stranger, 0, 1);
    stranger_say(&stranger, 0, RT_BYTES_LITERAL("\xff\xff\xff\xff"));
    stage_pass(&stage, 100);
    cr_assert_not(stranger.conns[0].is_open, "larger than any frame");
    for (unsigned i = 0; i < 50; i++) {
        stranger_dial(&stranger, i, 1);
        stranger_say(&stranger, i, RT_BYTES_LITERAL("\x02\x00\x00\x00 and a little"));
    }
    stage_pass(&stage, 1000);
    cr_assert_lt(stage_heap_bytes(&stage.nodes[0]), before + 8 * MIB, "not 50 times 32 MiB");
    stage_pass(&stage, 40000);
    cr_assert_eq(stranger_open_count(&stranger), 0);
    close_unharmed(&stage);
}

// More than there are places: peers find one again when the silent are hung up on.
Test(meta_replica_hostile, those_who_say_nothing_do_not_keep_peers_out_for_long) {
    struct stage stage;
    open_three(&stage);
    for (unsigned i = 0; i < 300; i++) stranger_dial(&stranger, i, 1);
    stage_pass(&stage, 100);
    cr_assert_geq(stranger_open_count(&stranger), 200);
    rt_sim_reset_connections(stage.sim, stage.nodes[0].sim_node, stage.nodes[1].sim_node);
    stage_pass(&stage, 20000);
    cr_assert_eq(stranger_open_count(&stranger), 0);
    stage_leader(&stage);
    for (unsigned i = 0; i < 3; i++) cr_assert_eq(stage_status(&stage.nodes[i]).peers_connected, 2);
    stage_agree(&stage);
    stage_close(&stage);
}

// PEERS THAT ARE GONE WITHOUT A SIGN

// It took our hello, and then nothing came: we have nothing to say before the answer, so no
// time limit of the network ends it.
Test(meta_replica_hostile, a_peer_that_does_not_answer_a_hello_is_dialed_again) {
    struct stage stage;
    open_three(&stage);
    struct rt_sim_node *m1 = stage.nodes[0].sim_node, *m3 = stage.nodes[2].sim_node;
    stage_crash(&stage, 1, RT_SIM_POWER_LOSS);
    rt_sim_pause(m3);
    stage_start(&stage, 1);
    stage_pass(&stage, 500);
    rt_sim_half_open(stage.sim, m3, m1);
    rt_sim_resume(m3);
    stage_pass(&stage, 20000);
    for (unsigned i = 0; i < 3; i++)
        cr_assert_eq(stage_status(&stage.nodes[i]).peers_connected, 2, "node %u", i + 1);
    stage_agree(&stage);
    stage_close(&stage);
}

// Each time a connection from it is left behind, which nothing ends.
Test(meta_replica_hostile, connections_that_a_peer_left_behind_do_not_keep_it_out) {
    struct stage stage;
    open_three(&stage);
    rt_sim_connection_patience(stage.sim, 3600 * RT_NS_PER_S);
    for (unsigned i = 0; i < 300; i++) {
        rt_sim_half_open(stage.sim, stage.nodes[1].sim_node, stage.nodes[2].sim_node);
        stage_pass(&stage, 100);
    }
    stage_pass(&stage, 3000);
    cr_assert_eq(stage_status(&stage.nodes[1]).peers_connected, 2);
    close_unharmed(&stage);
}

// FRAMES OF ONE WHO KNOWS THE CLUSTER

static void greet(uint64_t cluster, unsigned conn) {
    stranger_dial(&stranger, conn, 1);
    stranger_hello(&stranger, conn, cluster, 9, 1, "x:2888:3888");
    stage_pass(stranger.stage, 50);
    cr_assert(stranger.conns[conn].is_open);
}

Test(meta_replica_hostile, frames_that_make_no_sense_end_the_connection) {
    static const struct rt_bytes frames[] = {
        RT_BYTES_LITERAL(""),
        RT_BYTES_LITERAL("\x00"),
        RT_BYTES_LITERAL("\x09"),
        RT_BYTES_LITERAL("\xff what"),
        RT_BYTES_LITERAL("\x01GMP1"),
        RT_BYTES_LITERAL("\x02"),
        RT_BYTES_LITERAL("\x02 no message of the core at all, but long enough to be one"),
        RT_BYTES_LITERAL("\x03"),
        RT_BYTES_LITERAL("\x03\0\0\0\0\0\0\0\x02 no command"),
        RT_BYTES_LITERAL("\x04 no"),
        RT_BYTES_LITERAL("\x05"),
        RT_BYTES_LITERAL("\x05\xff\xff"),
        RT_BYTES_LITERAL("\x05\0\x02\0\0\0\0\0\0\0\x01"),
    };
    enum { COUNT = sizeof(frames) / sizeof(frames[0]) };
    struct stage stage;
    uint64_t cluster = open_three(&stage);
    for (unsigned i = 0; i < COUNT; i++) greet(cluster, i);
    for (unsigned i = 0; i < COUNT; i++) stranger_frame(&stranger, i, frames[i]);
    stage_pass(&stage, 1000);
    for (unsigned i = 0; i < COUNT; i++) cr_assert_not(stranger.conns[i].is_open, "%u", i);
    close_unharmed(&stage);
}

static void raft_say(uint64_t cluster, unsigned conn, const struct raft_message *message) {
    struct rt_buf frame = {0};
    struct rt_writer w = rt_writer_into(&frame);
    rt_write_u8(&w, META_PEER_RAFT);
    meta_wire_encode(cluster, message, &frame);
    stranger_frame(&stranger, conn, rt_buf_bytes(&frame));
    rt_buf_fini(&frame);
}

Test(meta_replica_hostile, messages_in_the_name_of_others_are_not_heard) {
    struct stage stage;
    uint64_t cluster = open_three(&stage);
    uint64_t term = stage_status(&stage.nodes[0]).raft.term;
    struct raft_message message = {
        .kind = RAFT_HEARTBEAT, .from = 2, .to = 1, .term = term + 100};  // would depose it
    greet(cluster, 0);
    raft_say(cluster, 0, &message);
    message.from = 9;
    message.to = 2;
    greet(cluster, 1);
    raft_say(cluster, 1, &message);
    message.to = 1;
    greet(cluster, 2);
    raft_say(cluster + 1, 2, &message);
    stage_pass(&stage, 1000);
    cr_assert_eq(stranger_open_count(&stranger), 0);
    cr_assert_eq(stage_status(&stage.nodes[0]).raft.term, term);
    close_unharmed(&stage);
}

// A command of the stranger's, who says to be node 9.
static struct rt_buf forward_of(struct stage *stage, uint64_t origin, uint64_t term, size_t size) {
    struct rt_buf payload = {0}, encoded = {0}, frame = {0};
    uint8_t *data = rt_alloc_zero(1, size + 1);
    struct meta_command command = stage_create(stage, "/evil", RT_BYTES(data, size), 0, &payload);
    struct rt_writer w = rt_writer_into(&encoded);
    command.origin = origin;
    command.ticket = 5;
    meta_command_encode(&command, &w);
    w = rt_writer_into(&frame);
    meta_peer_forward_encode(term, rt_buf_bytes(&encoded), &w);
    rt_buf_fini(&payload);
    rt_buf_fini(&encoded);
    rt_free(data);
    return frame;
}

static void forward_say(struct stage *stage, unsigned conn, uint64_t origin, uint64_t term) {
    struct rt_buf frame = forward_of(stage, origin, term, 10);
    stranger_frame(&stranger, conn, rt_buf_bytes(&frame));
    rt_buf_fini(&frame);
}

// Of an older term: those before it were refused then, so its order would have a hole.
Test(meta_replica_hostile, a_command_is_proposed_in_the_term_it_was_forwarded_in_only) {
    struct stage stage;
    uint64_t cluster = open_three(&stage);
    uint64_t term = stage_status(&stage.nodes[0]).raft.term;
    greet(cluster, 0);
    forward_say(&stage, 0, 9, term - 1);
    forward_say(&stage, 0, 9, term + 1);
    stage_pass(&stage, 1000);
    cr_assert_null(stage_find(&stage.nodes[0], "/evil"));
    forward_say(&stage, 0, 9, term);
    stage_pass(&stage, 1000);
    cr_assert_not_null(stage_find(&stage.nodes[0], "/evil"));
    cr_assert(stranger.conns[0].is_open);
    close_unharmed(&stage);
}

Test(meta_replica_hostile, a_command_in_the_name_of_another_origin_is_not_proposed) {
    struct stage stage;
    uint64_t cluster = open_three(&stage);
    greet(cluster, 0);
    forward_say(&stage, 0, 2, stage_status(&stage.nodes[0]).raft.term);
    stage_pass(&stage, 1000);
    cr_assert_not(stranger.conns[0].is_open);
    cr_assert_null(stage_find(&stage.nodes[0], "/evil"));
    close_unharmed(&stage);
}

Test(meta_replica_hostile, a_flood_of_commands_is_held_in_bounds) {
    enum { SIZE = 256 << 10, COUNT = 100 };
    struct stage stage;
    stage_open(&stage, 3, 3, SEED);
    for (unsigned i = 0; i < 3; i++) {
        stage.nodes[i].options.queue_bytes_max = 4 * MIB;
        stage.nodes[i].options.uncommitted_bytes_max = MIB;
        stage.nodes[i].options.election_ms = 10000;
    }
    stage_start_all(&stage);
    stranger_open(&stranger, &stage);
    stage_session(&stage, stage_leader(&stage), 77, 60000);
    stage_lead(&stage, 1);
    greet(stage_status(&stage.nodes[0]).cluster, 0);
    size_t before = stage_heap_bytes(&stage.nodes[0]);
    for (uint64_t id = 2; id <= 3; id++) stage_cut(&stage, 1, id);  // nothing is committed
    struct rt_buf frame = forward_of(&stage, 9, stage_status(&stage.nodes[0]).raft.term, SIZE);
    for (unsigned i = 0; i < COUNT; i++) stranger_frame(&stranger, 0, rt_buf_bytes(&frame));
    rt_buf_fini(&frame);
    stage_pass(&stage, 1000);
    cr_assert_lt(stage_heap_bytes(&stage.nodes[0]), before + 12 * MIB, "and not 25");
    stage_heal(&stage);
    stage_pass(&stage, 3000);
    cr_assert_not_null(stage_find(&stage.nodes[0], "/evil"));
    close_unharmed(&stage);
}

// Noise behind a right hello, in frames whose first byte is a known type.
Test(meta_replica_hostile, noise_does_nothing_but_end_its_connection) {
    struct stage stage;
    uint64_t cluster = open_three(&stage);
    struct rt_random random;
    size_t before = stage_heap_bytes(&stage.nodes[0]);
    rt_random_seed(&random, SEED);
    for (unsigned round = 0; round < 500; round++) {
        uint8_t noise[300];
        size_t size = 1 + (size_t)rt_random_below(&random, sizeof(noise) - 1);
        for (size_t i = 0; i < size; i++) noise[i] = (uint8_t)rt_random_below(&random, 256);
        noise[0] = (uint8_t)(1 + rt_random_below(&random, 5));
        stranger_dial(&stranger, 0, 1);
        stranger_hello(&stranger, 0, cluster, 9, 1, "x:2888:3888");
        stranger_frame(&stranger, 0, RT_BYTES(noise, size));
        stage_pass(&stage, 2);
        stranger_frame(&stranger, 0, RT_BYTES_LITERAL(""));
        stage_pass(&stage, 2);
    }
    cr_assert_lt(stage_heap_bytes(&stage.nodes[0]), before + MIB);
    close_unharmed(&stage);
}
