// The log under power losses and kills, over many seeds: whatever was reported written is there,
// and of what was not nothing but a prefix.
#include <criterion/criterion.h>
#include <stdlib.h>

#include "tests/sim/disk_world.h"
#include "tests/unit/meta_log/log_model.h"

struct life {
    struct disk_world world;
    struct fixture fixture;
    struct model model;
    struct rt_random random;
    struct raft_hard_state hard[MODEL_WRITES_MAX + 1];
    size_t hard_count;
    rt_err err;
    uint64_t seed;
};

static void open_piece(struct disk_world *world, void *argument) {
    struct life *life = argument;
    life->err = fixture_open(&life->fixture, world->machine, rt_machine_loop(world->machine, 0));
}

static void found_piece(struct disk_world *world, void *argument) {
    struct life *life = argument;
    (void)world;
    struct raft_entry entry = fixture_entry((struct raft_position){1, 1});
    const struct raft_hard_state hard = {.term = 1, .commit = 1};
    life->err = meta_log_found_now(life->fixture.log, &entry, &hard, &life->fixture.why);
}

static void hard_piece(struct life *life) {
    struct raft_hard_state *next = &life->hard[life->hard_count + 1];
    *next = life->hard[life->hard_count];
    next->version = ++life->hard_count;
    next->term += rt_random_below(&life->random, 2);
    next->vote = rt_random_below(&life->random, 4);
    meta_log_write_hard_state(life->fixture.log, next);
}

static void write_piece(struct disk_world *world, void *argument) {
    struct life *life = argument;
    (void)world;
    if (rt_random_below(&life->random, 4) == 0) hard_piece(life);
    if (rt_random_below(&life->random, 10) == 0) {
        // What is released is applied, and so durable.
        uint64_t version = life->fixture.log_version;
        const struct model_state *state = &life->model.writes[version].after;
        uint64_t index = state->base.index + state->count / 2;
        for (size_t i = version; i <= life->model.count; i++) {
            const struct model_state *cut = &life->model.writes[i].cut;
            uint64_t end = cut->base.index + cut->count;
            if (i > version && end < index) index = end;
        }
        if (index > life->model.released) life->model.released = index;
        meta_log_release(life->fixture.log, life->model.released);
    }
    model_write(&life->model, &life->fixture, &life->random);
}

static void check_found(struct life *life) {
    struct fixture *fixture = &life->fixture;
    cr_assert_eq(life->err, RT_OK, "seed %d: %s", (int)life->seed, fixture->why.text);
    cr_assert_not(fixture->is_garbled, "seed %d", (int)life->seed);
    cr_assert_eq(fixture->found.claimed_last.index, 0, "seed %d", (int)life->seed);
}

static void check_hard(struct life *life, uint64_t written) {
    const struct raft_hard_state *found = &life->fixture.found.hard_state;
    bool is_known = false;
    for (size_t i = written; i <= life->hard_count; i++) {
        bool is_it = life->hard[i].term == found->term && life->hard[i].vote == found->vote;
        is_known = is_known || is_it;
    }
    cr_assert(is_known, "seed %d", (int)life->seed);
    life->hard[0] = *found;
    life->hard_count = 0;
}

static void until_quiet(struct life *life) {
    for (unsigned i = 0; i < 400; i++) rt_sim_step(life->world.sim);
}

static void live(struct life *life) {
    unsigned writes = 1 + (unsigned)rt_random_below(&life->random, 20);
    for (unsigned i = 0; i < writes; i++) {
        disk_world_run(&life->world, write_piece, life);
        unsigned steps = (unsigned)rt_random_below(&life->random, 12);
        for (unsigned step = 0; step < steps; step++) rt_sim_step(life->world.sim);
    }
    if (rt_random_below(&life->random, 4) == 0) until_quiet(life);
    if (rt_random_below(&life->random, 6) == 0) rt_sim_run_for(life->world.sim, 2 * RT_NS_PER_S);
    cr_assert_not(life->fixture.failed, "seed %d: %s", (int)life->seed, life->fixture.failure);
}

static void lives(struct life *life, unsigned count) {
    rt_random_seed(&life->random, life->seed);
    disk_world_open(&life->world, life->seed);
    fixture_init(&life->fixture, "data/log");
    disk_world_run(&life->world, open_piece, life);
    check_found(life);
    cr_assert(life->fixture.found.is_new);
    disk_world_run(&life->world, found_piece, life);
    cr_assert_eq(life->err, RT_OK);
    life->model.writes[0].after = (struct model_state){.count = 1, .terms = {1}};
    life->hard[0] = (struct raft_hard_state){.term = 1};
    for (unsigned i = 0; i < count; i++) {
        live(life);
        uint64_t written = life->fixture.log_version, hard = life->fixture.hard_version;
        bool kills = rt_random_below(&life->random, 3) == 0;
        disk_world_crash(&life->world, kills ? RT_SIM_KILL : RT_SIM_POWER_LOSS);
        disk_world_run(&life->world, open_piece, life);
        check_found(life);
        cr_assert(model_allows(&life->model, &life->fixture, written),
                  "seed %d, life %u: %zu entries behind %llu, version %llu of %zu", (int)life->seed,
                  i, life->fixture.count, (unsigned long long)life->fixture.found.base.index,
                  (unsigned long long)written, life->model.count);
        model_adopt(&life->model, &life->fixture);
        check_hard(life, hard);
    }
    disk_world_close(&life->world);
}

Test(meta_log_crash, what_was_reported_survives_and_nothing_but_a_prefix_follows) {
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct life *life = calloc(1, sizeof(*life));
        life->seed = seed;
        lives(life, 8);
        free(life);
    }
}
