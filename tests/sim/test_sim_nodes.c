// Nodes: crashes of both kinds as the node and its peers see them, pauses, memory, work, failures.
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/work.h"
#include "tests/sim/peer.h"

#define MS RT_NS_PER_MS
#define SECOND RT_NS_PER_S

// CRASHES, seen by a peer

Test(sim_nodes, the_peer_of_a_killed_process_hears_of_it_at_once) {
    unsigned ends = 0, resets = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct pair p;
        pair_open(&p, seed);
        pair_connect(&p);
        rt_sim_crash(p.server.node, RT_SIM_KILL);
        rt_sim_run_for(p.sim, MS);
        cr_assert_eq(p.client.closed, 1);
        ends += p.client.why_count[RT_OK];
        resets += p.client.why_count[RT_ERESET];
        pair_close(&p);
    }
    cr_assert_eq(ends + resets, 20);
    cr_assert(ends > 0 && resets > 0, "a kernel does either: %u ends, %u resets", ends, resets);
}

Test(sim_nodes, a_killed_node_refuses_and_serves_again_when_restarted) {
    struct pair p;
    pair_open(&p, 1);
    p.client.redials = true;
    pair_connect(&p);
    rt_sim_crash(p.server.node, RT_SIM_KILL);
    rt_sim_run_for(p.sim, 100 * MS);
    cr_assert_geq(p.client.why_count[RT_EREFUSED], 5);
    rt_sim_start(p.server.node);
    rt_sim_run_for(p.sim, 20 * MS);
    cr_assert(p.client.is_connected);
    cr_assert_eq(p.server.boots, 2);
    cr_assert_eq(p.server.crashes, 1);
    pair_close(&p);
}

Test(sim_nodes, the_peer_of_an_unpowered_host_hears_nothing) {
    struct pair p;
    pair_open(&p, 2);
    pair_connect(&p);
    rt_sim_crash(p.server.node, RT_SIM_POWER_LOSS);
    rt_sim_run_for(p.sim, 3600 * SECOND);
    cr_assert_eq(p.client.closed, 0);
    rt_sim_start(p.server.node);
    rt_sim_run_for(p.sim, 3600 * SECOND);
    cr_assert_eq(p.client.closed, 0, "nobody asked, so nobody answered");
    pair_close(&p);
}

Test(sim_nodes, after_a_power_loss_the_next_send_is_answered_with_a_reset) {
    struct pair p;
    pair_open(&p, 3);
    p.client.ping_every_ns = SECOND;
    pair_connect(&p);
    rt_sim_crash(p.server.node, RT_SIM_POWER_LOSS);
    rt_sim_start(p.server.node);
    rt_sim_run_for(p.sim, 2 * SECOND);
    cr_assert_eq(p.client.why_count[RT_ERESET], 1);
    pair_close(&p);
}

Test(sim_nodes, what_was_sent_to_an_unpowered_host_is_answered_when_it_is_back) {
    struct pair p;
    pair_open(&p, 4);
    p.client.ping_every_ns = SECOND;
    pair_connect(&p);
    rt_sim_crash(p.server.node, RT_SIM_POWER_LOSS);
    rt_sim_run_for(p.sim, 5 * SECOND);
    cr_assert_eq(p.client.closed, 0);
    rt_sim_start(p.server.node);
    rt_sim_run_for(p.sim, 10 * MS);
    cr_assert_eq(p.client.why_count[RT_ERESET], 1);
    pair_close(&p);
}

Test(sim_nodes, a_sender_to_an_unpowered_host_loses_patience) {
    struct pair p;
    pair_open(&p, 5);
    rt_sim_connection_patience(p.sim, 10 * SECOND);
    p.client.ping_every_ns = SECOND;
    pair_connect(&p);
    rt_sim_crash(p.server.node, RT_SIM_POWER_LOSS);
    rt_sim_run_for(p.sim, 5 * SECOND);
    cr_assert_eq(p.client.closed, 0);
    rt_sim_run_for(p.sim, 70 * SECOND);
    cr_assert_eq(p.client.why_count[RT_ETIMEDOUT], 1);
    pair_close(&p);
}

Test(sim_nodes, a_dial_to_an_unpowered_host_is_not_refused_but_waits) {
    struct pair p;
    pair_open(&p, 6);
    rt_sim_connection_patience(p.sim, 10 * SECOND);
    pair_start(&p);
    rt_sim_crash(p.client.node, RT_SIM_KILL);
    rt_sim_crash(p.server.node, RT_SIM_POWER_LOSS);
    rt_sim_start(p.client.node);
    rt_sim_run_for(p.sim, 5 * SECOND);
    cr_assert_eq(p.client.closed, 0);
    rt_sim_start(p.server.node);
    rt_sim_run_for(p.sim, 10 * MS);
    cr_assert(p.client.is_connected);
    pair_close(&p);
}

Test(sim_nodes, a_crash_in_the_middle_of_everything_leaks_nothing) {
    for (uint64_t seed = 0; seed < 30; seed++) {
        struct pair p;
        pair_open(&p, seed);
        p.server.echoes = p.client.pings_in_turn = p.client.redials = true;
        p.client.burst = 40;
        p.client.frame_size = 20000;
        pair_start(&p);
        for (unsigned i = 0; i < 10; i++) {
            rt_sim_run_for(p.sim, rt_random_below(rt_sim_random(p.sim), 5 * MS));
            struct peer *victim = i % 2 ? &p.client : &p.server;
            rt_sim_crash(victim->node, i % 3 ? RT_SIM_KILL : RT_SIM_POWER_LOSS);
            if (seed % 2) rt_sim_run_for(p.sim, MS);
            rt_sim_start(victim->node);
        }
        cr_assert(!p.server.damaged && !p.client.damaged);
        pair_close(&p);
    }
}

// PAUSES

Test(sim_nodes, a_paused_node_does_nothing_and_what_came_waits) {
    struct pair p;
    pair_open(&p, 7);
    p.server.echoes = p.client.pings_in_turn = true;
    pair_connect(&p);
    rt_sim_pause(p.server.node);
    uint64_t turns = rt_loop_stats(p.server.loop).turns;
    unsigned before = p.server.frames;
    rt_sim_run_for(p.sim, 5 * SECOND);
    cr_assert_eq(p.server.frames, before);
    cr_assert_eq(rt_loop_stats(p.server.loop).turns, turns);
    cr_assert(p.client.is_connected, "its kernel goes on");
    rt_sim_resume(p.server.node);
    rt_sim_run_for(p.sim, 100 * MS);
    cr_assert_gt(p.server.frames, before + 100);
    pair_close(&p);
}

Test(sim_nodes, a_paused_node_still_accepts_in_its_kernel) {
    struct pair p;
    pair_open(&p, 8);
    rt_sim_start(p.server.node);
    rt_sim_run_for(p.sim, MS);
    rt_sim_pause(p.server.node);
    rt_sim_start(p.client.node);
    rt_sim_run_for(p.sim, SECOND);
    cr_assert(p.client.is_connected);
    cr_assert_eq(p.server.accepted, 0);
    rt_sim_resume(p.server.node);
    rt_sim_run_for(p.sim, MS);
    cr_assert_eq(p.server.accepted, 1);
    pair_close(&p);
}

Test(sim_nodes, a_paused_node_can_crash) {
    struct pair p;
    pair_open(&p, 9);
    pair_connect(&p);
    rt_sim_pause(p.server.node);
    rt_sim_crash(p.server.node, RT_SIM_KILL);
    rt_sim_run_for(p.sim, MS);
    cr_assert_eq(p.client.closed, 1);
    rt_sim_start(p.server.node);
    rt_sim_run_for(p.sim, MS);
    cr_assert_eq(p.server.boots, 2);
    pair_close(&p);
}

// A PROGRAM that works, posts, waits and ends itself

struct worker {
    struct rt_sim_program program;
    struct rt_sim *sim;
    struct rt_sim_node *node;
    unsigned ran, done, hops, fired;
    bool dies_in_turn, dies_in_work;
    uint8_t entropy[16];
    bool chance[1000];
    struct rt_loop *loops[3];
    struct rt_task hop;
    struct job {
        struct rt_work work;
        struct worker *worker;
    } jobs[8];
    struct rt_timer timer;
    struct rt_loop *done_on;
};

static void worker_run(struct rt_work *work) {
    struct worker *self = rt_container_of(work, struct job, work)->worker;
    self->ran++;
    cr_assert_null(rt_loop_current());
    if (self->dies_in_work) rt_sim_crash(self->node, RT_SIM_KILL);
}

static void worker_done(struct rt_work *work) {
    struct worker *self = rt_container_of(work, struct job, work)->worker;
    self->done++;
    self->done_on = rt_loop_current();
    cr_assert_eq(rt_loop_current(), work->loop);
}

static void worker_hop(struct rt_task *task) {
    struct worker *self = rt_container_of(task, struct worker, hop);
    cr_assert(rt_loop_is_current(self->loops[self->hops % 3]));
    self->hops++;
    if (self->hops < 30) rt_post(self->loops[self->hops % 3], &self->hop);
}

static void worker_fire(struct rt_timer *timer) {
    struct worker *self = rt_container_of(timer, struct worker, timer);
    self->fired++;
    rt_timer_after(timer, 10 * MS);
}

static void worker_boot(struct rt_sim_program *program, struct rt_machine *machine) {
    struct worker *self = rt_container_of(program, struct worker, program);
    for (unsigned i = 0; i < 3; i++) self->loops[i] = rt_machine_loop(machine, i);
    void *left_behind = rt_alloc(1000);  // goes away with the process
    memset(left_behind, 1, 1000);
    rt_machine_entropy(machine, self->entropy, sizeof self->entropy);
    for (unsigned i = 0; i < 1000; i++) {
        self->chance[i] = rt_machine_chance(machine, "test.point", 100000);
    }
    rt_task_init(&self->hop, worker_hop, "test.hop");
    rt_post(self->loops[0], &self->hop);
    rt_timer_init(&self->timer, self->loops[0], worker_fire, "test.timer");
    rt_timer_after(&self->timer, 10 * MS);
    for (unsigned i = 0; i < 8; i++) {
        self->jobs[i].worker = self;
        rt_work_submit(&self->jobs[i].work, self->loops[0], worker_run, worker_done, "test.work");
    }
    if (self->dies_in_turn) rt_sim_crash(self->node, RT_SIM_KILL);
}

static void worker_open(struct worker *self, uint64_t seed) {
    *self = (struct worker){.program.boot = worker_boot};
    self->sim = rt_sim_new(&(struct rt_sim_options){.seed = seed});
    self->node = rt_sim_node_add(self->sim, "worker", 3, &self->program);
}

Test(sim_nodes, work_runs_outside_turns_and_completes_on_its_loop) {
    struct worker w;
    worker_open(&w, 1);
    rt_sim_start(w.node);
    rt_sim_run_for(w.sim, MS);
    cr_assert_eq(w.ran, 8);
    cr_assert_eq(w.done, 8);
    cr_assert_eq(w.done_on, w.loops[0]);
    rt_sim_free(w.sim);
}

Test(sim_nodes, posts_travel_between_the_loops_of_a_node) {
    struct worker w;
    worker_open(&w, 2);
    rt_sim_start(w.node);
    rt_sim_run_for(w.sim, MS);
    cr_assert_eq(w.hops, 30);
    rt_sim_free(w.sim);
}

Test(sim_nodes, work_of_a_crashed_node_is_forgotten) {
    struct worker w;
    worker_open(&w, 3);
    rt_sim_cpu(w.node, 0, 0, MS, 2 * MS);
    rt_sim_start(w.node);
    rt_sim_run_for(w.sim, 10);
    rt_sim_crash(w.node, RT_SIM_KILL);
    rt_sim_run_for(w.sim, 10 * MS);
    cr_assert_eq(w.ran, 0);
    cr_assert_eq(w.fired, 0);
    rt_sim_free(w.sim);
}

Test(sim_nodes, work_of_a_paused_node_waits) {
    struct worker w;
    worker_open(&w, 4);
    rt_sim_cpu(w.node, 0, 0, MS, 2 * MS);
    rt_sim_start(w.node);
    rt_sim_run_for(w.sim, 10);
    rt_sim_pause(w.node);
    rt_sim_run_for(w.sim, 100 * MS);
    cr_assert_eq(w.ran, 0);
    rt_sim_resume(w.node);
    rt_sim_run_for(w.sim, MS);
    cr_assert_eq(w.done, 8);
    rt_sim_free(w.sim);
}

Test(sim_nodes, a_node_may_end_itself_in_a_turn_and_in_work) {
    for (unsigned i = 0; i < 2; i++) {
        struct worker w;
        worker_open(&w, 5);
        w.dies_in_turn = i == 0;
        w.dies_in_work = i == 1;
        rt_sim_start(w.node);
        rt_sim_run_for(w.sim, 100 * MS);
        cr_assert(!rt_sim_is_running(w.node));
        cr_assert_eq(w.ran, i);
        cr_assert_eq(w.done, 0);
        rt_sim_free(w.sim);
    }
}

Test(sim_nodes, a_timer_fires_again_and_again_until_the_crash) {
    struct worker w;
    worker_open(&w, 6);
    rt_sim_start(w.node);
    rt_sim_run_for(w.sim, SECOND + MS);
    cr_assert_geq(w.fired, 99);
    cr_assert_leq(w.fired, 100);
    uint64_t events = rt_sim_events(w.sim);
    rt_sim_run_for(w.sim, SECOND);
    cr_assert_leq(rt_sim_events(w.sim) - events, 101, "one event for each turn, no more");
    rt_sim_crash(w.node, RT_SIM_KILL);
    unsigned fired = w.fired;
    rt_sim_run_for(w.sim, SECOND);
    cr_assert_eq(w.fired, fired);
    rt_sim_free(w.sim);
}

Test(sim_nodes, entropy_and_chances_come_from_the_seed) {
    struct worker a, b, c;
    worker_open(&a, 7);
    worker_open(&b, 7);
    worker_open(&c, 8);
    struct worker *all[] = {&a, &b, &c};
    for (unsigned i = 0; i < 3; i++) {
        rt_sim_start(all[i]->node);
        rt_sim_run_for(all[i]->sim, MS);
    }
    cr_assert_arr_eq(a.entropy, b.entropy, sizeof a.entropy);
    cr_assert_arr_neq(a.entropy, c.entropy, sizeof a.entropy);
    cr_assert_arr_eq(a.chance, b.chance, sizeof a.chance);
    cr_assert_arr_neq(a.chance, c.chance, sizeof a.chance);
    unsigned hits = 0;
    for (unsigned i = 0; i < 1000; i++) hits += a.chance[i];
    cr_assert(hits > 50 && hits < 200, "%u of 1000 at one in ten", hits);
    for (unsigned i = 0; i < 3; i++) rt_sim_free(all[i]->sim);
}

Test(sim_nodes, chances_can_be_switched_off) {
    struct worker w;
    worker_open(&w, 9);
    rt_sim_chance_rate(w.node, false);
    rt_sim_start(w.node);
    rt_sim_run_for(w.sim, MS);
    for (unsigned i = 0; i < 1000; i++) cr_assert(!w.chance[i]);
    rt_sim_free(w.sim);
}

// SCRIPTS, CHECKS AND FAILURE

struct script {
    struct rt_sim_event event;
    struct rt_sim_check check;
    struct rt_sim_condition condition;
    unsigned runs, checks;
    uint64_t at_ns[3];
};

static void script_run(struct rt_sim_event *event, struct rt_sim *sim) {
    struct script *script = rt_container_of(event, struct script, event);
    script->at_ns[script->runs++ % 3] = rt_sim_now(sim);
}

static void script_check(struct rt_sim_check *check, struct rt_sim *sim) {
    struct script *script = rt_container_of(check, struct script, check);
    script->checks++;
    if (script->runs == 3) rt_sim_fail(sim, "%u runs are too many", script->runs);
}

static bool script_ran_twice(struct rt_sim_condition *condition) {
    return rt_container_of(condition, struct script, condition)->runs >= 2;
}

Test(sim_nodes, scripts_run_at_their_times_and_checks_after_each_event) {
    struct script s = {.event = {.run = script_run, .name = "test"},
                       .check.check = script_check,
                       .condition.done = script_ran_twice};
    struct rt_sim *sim = rt_sim_new(&(struct rt_sim_options){.seed = 1});
    rt_sim_add_check(sim, &s.check);
    rt_sim_schedule(sim, &s.event, 3 * MS);
    rt_sim_schedule(sim, &s.event, MS);
    rt_sim_schedule(sim, &s.event, 100 * MS);
    cr_assert(!rt_sim_run_until(sim, &s.condition, 2 * MS));
    cr_assert_eq(rt_sim_now(sim), 2 * MS);
    cr_assert(rt_sim_run_until(sim, &s.condition, 2 * MS));
    cr_assert_eq(s.at_ns[0], MS);
    cr_assert_eq(s.at_ns[1], 3 * MS);
    cr_assert_eq(s.checks, 2);
    cr_assert(!rt_sim_failed(sim));

    rt_sim_run_for(sim, SECOND);
    cr_assert(rt_sim_failed(sim));
    cr_assert_str_eq(rt_sim_failure(sim), "3 runs are too many");
    cr_assert_eq(rt_sim_now(sim), 100 * MS, "a failed run stands still");
    rt_sim_free(sim);
}

struct place {
    struct rt_sim_event event;
    unsigned number;
    unsigned *next;
};

static void place_run(struct rt_sim_event *event, struct rt_sim *sim) {
    struct place *place = rt_container_of(event, struct place, event);
    if (place->number != *place->next) rt_sim_fail(sim, "%u overtook", place->number);
    ++*place->next;
}

Test(sim_nodes, events_of_one_time_run_in_the_order_they_were_scheduled) {
    enum { PLACES = 200 };
    struct place places[PLACES];
    struct rt_sim *sim = rt_sim_new(&(struct rt_sim_options){.seed = 1});
    for (unsigned round = 0; round < 3; round++) {
        unsigned next = 0;
        for (unsigned i = 0; i < PLACES; i++) {
            places[i] = (struct place){.event.run = place_run, .number = i, .next = &next};
            rt_sim_schedule(sim, &places[i].event, MS);
        }
        rt_sim_run_for(sim, MS);
        cr_assert_eq(next, PLACES);
    }
    cr_assert(!rt_sim_failed(sim));
    rt_sim_free(sim);
}

Test(sim_nodes, a_world_can_be_freed_with_everything_in_flight) {
    struct script s = {.event = {.run = script_run}};
    struct pair p;
    pair_open(&p, 10);
    p.client.burst = 30;
    p.client.frame_size = 60000;
    pair_start(&p);
    rt_sim_schedule(p.sim, &s.event, SECOND);
    rt_sim_run_for(p.sim, MS / 2);
    rt_sim_cut(p.sim, p.client.node, p.server.node);
    rt_sim_run_for(p.sim, MS);
    pair_close(&p);
    cr_assert_eq(s.runs, 0);
}

// LAST WORDS: read back from a child process that dies inside a run.

static void dying_boot(struct rt_sim_program *program, struct rt_machine *machine) {
    (void)program;
    (void)machine;
    abort();
}

static void die_inside_a_run(int stderr_to) {
    dup2(stderr_to, STDERR_FILENO);
    struct rt_sim_program program = {.boot = dying_boot};
    struct rt_sim *sim =
        rt_sim_new(&(struct rt_sim_options){.seed = 4711, .replay = "replay --seed=%llu --once"});
    rt_sim_start(rt_sim_node_add(sim, "victim", 1, &program));
    rt_sim_run_for(sim, SECOND);
    _exit(0);
}

Test(sim_nodes, a_death_inside_a_run_says_its_seed_and_how_to_replay_it) {
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) die_inside_a_run(ends[1]);
    close(ends[1]);
    char said[4096] = "";
    size_t size = 0;
    ssize_t got;
    while ((got = read(ends[0], said + size, sizeof said - 1 - size)) > 0) size += (size_t)got;
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    cr_assert_not_null(strstr(said, "inside victim"), "%s", said);
    cr_assert_not_null(strstr(said, "seed=4711"), "%s", said);
    cr_assert_not_null(strstr(said, "replay --seed=4711 --once"), "%s", said);
}
