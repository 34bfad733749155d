// One seed is one run: same hash and the same trace byte for byte, again in the same process, in
// another process with another address layout, and while the machine is busy.
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/sim/peer.h"

#define MS RT_NS_PER_MS
#define SECOND RT_NS_PER_S

// A run with all faults, traffic, crashes and two loops.
static uint64_t run(uint64_t seed, const char *trace_path, uint64_t *events) {
    struct rt_sim *sim =
        rt_sim_new(&(struct rt_sim_options){.seed = seed, .trace_path = trace_path});
    struct peer server = {.listen = "tcp://*:7000", .echoes = true};
    struct peer pinger = {.dial = "tcp://server:7000", .redials = true, .pings_in_turn = true};
    struct peer sender = {.dial = "tcp://server:7000", .redials = true, .burst = 20};
    sender.frame_size = 30000;
    peer_add(&server, sim, "server", 2);
    rt_sim_start(server.node);
    peer_start(&pinger, sim, "pinger");
    peer_start(&sender, sim, "sender");
    struct rt_sim_node *nodes[] = {server.node, pinger.node, sender.node};
    rt_sim_connection_patience(sim, SECOND);
    rt_sim_chaos_start(sim, &(struct rt_sim_chaos){.nodes = nodes,
                                                   .node_count = 3,
                                                   .mean_interval_ns = 20 * MS,
                                                   .crashes = true,
                                                   .power_losses = true,
                                                   .pauses = true,
                                                   .partitions = true,
                                                   .one_way_cuts = true,
                                                   .slow_links = true,
                                                   .resets = true,
                                                   .half_opens = true,
                                                   .clock_jumps = true});
    rt_sim_run_for(sim, SECOND);
    uint64_t hash = rt_sim_trace_hash(sim);
    if (events) *events = rt_sim_events(sim);
    rt_sim_free(sim);
    return hash;
}

static char *trace_of(uint64_t seed, size_t *size) {
    char path[] = "/tmp/geminga-trace-XXXXXX";
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    run(seed, path, NULL);
    off_t end = lseek(fd, 0, SEEK_END);
    char *trace = malloc((size_t)end + 1);
    cr_assert_eq(pread(fd, trace, (size_t)end, 0), end);
    *size = (size_t)end;
    close(fd);
    unlink(path);
    return trace;
}

Test(sim_determinism, the_same_seed_gives_the_same_hash) {
    for (uint64_t seed = 0; seed < 10; seed++) {
        uint64_t first_events, second_events;
        uint64_t first = run(seed, NULL, &first_events);
        void *moved = malloc(12345);  // other addresses for what follows
        uint64_t second = run(seed, NULL, &second_events);
        free(moved);
        cr_assert_eq(first, second, "seed %u", (unsigned)seed);
        cr_assert_eq(first_events, second_events);
        cr_assert_gt(first_events, 1000);
    }
}

Test(sim_determinism, the_same_seed_gives_the_same_trace_byte_for_byte) {
    size_t first_size, second_size;
    char *first = trace_of(42, &first_size);
    char *second = trace_of(42, &second_size);
    cr_assert_eq(first_size, second_size);
    cr_assert_gt(first_size, 10000);
    cr_assert_eq(memcmp(first, second, first_size), 0);
    free(first);
    free(second);
}

Test(sim_determinism, tracing_to_a_file_changes_nothing) {
    size_t size;
    uint64_t without = run(5, NULL, NULL);
    char path[] = "/tmp/geminga-trace-XXXXXX";
    int fd = mkstemp(path);
    uint64_t with = run(5, path, NULL);
    size = (size_t)lseek(fd, 0, SEEK_END);
    close(fd);
    unlink(path);
    cr_assert_eq(with, without);
    cr_assert_gt(size, 0);
}

Test(sim_determinism, other_seeds_give_other_hashes) {
    enum { SEEDS = 20 };
    uint64_t hashes[SEEDS];
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        hashes[seed] = run(seed, NULL, NULL);
        for (uint64_t other = 0; other < seed; other++) {
            cr_assert_neq(hashes[seed], hashes[other]);
        }
    }
}

Test(sim_determinism, the_hash_sees_the_bytes_that_arrive) {
    uint64_t hashes[2], events[2];
    for (unsigned i = 0; i < 2; i++) {
        struct pair p;
        pair_open(&p, 1);
        p.client.burst = 1;
        p.client.next_number = i;  // all that differs: what is in the frame
        pair_connect(&p);
        hashes[i] = rt_sim_trace_hash(p.sim);
        events[i] = rt_sim_events(p.sim);
        pair_close(&p);
    }
    cr_assert_eq(events[0], events[1]);
    cr_assert_neq(hashes[0], hashes[1]);
}

// Run by the test below in a process of its own; on its own it has nothing to say.
Test(sim_determinism, a_process_that_was_asked_writes_its_hash) {
    const char *path = getenv("GEMINGA_SIM_HASH_TO");
    if (!path) return;
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    fprintf(file, "%016llx", (unsigned long long)run(77, NULL, NULL));
    fclose(file);
}

// Without our environment: the harness tells its own processes by it.
static uint64_t hash_of_another_process(void) {
    char path[] = "/tmp/geminga-hash-XXXXXX";
    int fd = mkstemp(path);
    char program[4096] = "", command[8192];
    ssize_t size = readlink("/proc/self/exe", program, sizeof program - 1);
    cr_assert_gt(size, 0);
    snprintf(command, sizeof command,
             "env -i GEMINGA_SIM_HASH_TO=%s '%s' "
             "--filter=sim_determinism/a_process_that_was_asked_writes_its_hash >/dev/null 2>&1",
             path, program);
    cr_assert_eq(system(command), 0);
    char text[32] = "";
    ssize_t got = read(fd, text, sizeof text - 1);
    close(fd);
    unlink(path);
    cr_assert_eq(got, 16, "the other process wrote no hash");
    return strtoull(text, NULL, 16);
}

Test(sim_determinism, another_process_gets_the_same_hash) {
    uint64_t here = run(77, NULL, NULL);
    cr_assert_eq(hash_of_another_process(), here);
    cr_assert_eq(hash_of_another_process(), here);
}

static atomic_bool busy_enough;

static void *be_busy(void *unused) {
    (void)unused;
    while (!atomic_load(&busy_enough)) continue;
    return NULL;
}

Test(sim_determinism, a_busy_machine_changes_nothing) {
    uint64_t calm = run(9, NULL, NULL);
    pthread_t threads[4];
    atomic_store(&busy_enough, false);
    for (unsigned i = 0; i < 4; i++) pthread_create(&threads[i], NULL, be_busy, NULL);
    uint64_t busy = run(9, NULL, NULL);
    atomic_store(&busy_enough, true);
    for (unsigned i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    cr_assert_eq(calm, busy);
}
