// Rot and foreign files: entries that were acknowledged are never dropped in silence.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/file.h"
#include "tests/sim/disk_world.h"
#include "tests/unit/meta_log/fixture.h"

enum { WRITES = 30, PER_WRITE = 4, LAST = WRITES * PER_WRITE };

struct damage {
    struct disk_world world;
    struct fixture fixture;
    rt_err err;
    uint64_t next;  // index of the next entry to write
    uint64_t version;
};

static void open_piece(struct disk_world *world, void *argument) {
    struct damage *damage = argument;
    damage->err =
        fixture_open(&damage->fixture, world->machine, rt_machine_loop(world->machine, 0));
}

static void hard_piece(struct disk_world *world, void *argument) {
    struct damage *damage = argument;
    (void)world;
    const struct raft_hard_state hard = {.version = 1, .term = 2, .vote = 3};
    meta_log_write_hard_state(damage->fixture.log, &hard);
}

static void write_piece(struct disk_world *world, void *argument) {
    struct damage *damage = argument;
    (void)world;
    fixture_write(&damage->fixture, ++damage->version, 0, (struct raft_position){damage->next, 2},
                  PER_WRITE);
    damage->next += PER_WRITE;
}

static void run_until_written(struct damage *damage) {
    while (damage->fixture.log_version < damage->version) {
        cr_assert_not(damage->fixture.failed, "%s", damage->fixture.failure);
        cr_assert(rt_sim_step(damage->world.sim));
    }
}

static void writes(struct damage *damage, uint64_t from, unsigned count) {
    damage->next = from;
    damage->version = 0;
    for (unsigned i = 0; i < count; i++) {
        disk_world_run(&damage->world, write_piece, damage);
        run_until_written(damage);
    }
    rt_sim_run_for(damage->world.sim, 3 * RT_NS_PER_S);  // the hard state knows of the last
}

static void begin(struct damage *damage, uint64_t seed) {
    disk_world_open(&damage->world, seed);
    fixture_init(&damage->fixture, "data/log");
    disk_world_run(&damage->world, open_piece, damage);
    cr_assert_eq(damage->err, RT_OK);
    disk_world_run(&damage->world, hard_piece, damage);
    writes(damage, 1, WRITES);
}

static void restart(struct damage *damage) {
    disk_world_crash(&damage->world, RT_SIM_POWER_LOSS);
    disk_world_run(&damage->world, open_piece, damage);
}

static uint64_t last_found(struct damage *damage) {
    return fixture_last(&damage->fixture).index;
}

// What a member does that others repair: it goes on where its log ends.
static void repair(struct damage *damage, uint64_t seed) {
    struct fixture *fixture = &damage->fixture;
    uint64_t last = last_found(damage);
    cr_assert_geq(fixture->found.claimed_last.index, LAST, "seed %d", (int)seed);
    restart(damage);
    cr_assert_eq(damage->err, RT_OK, "seed %d: %s", (int)seed, fixture->why.text);
    cr_assert_eq(last_found(damage), last, "seed %d", (int)seed);
    cr_assert_geq(fixture->found.claimed_last.index, LAST, "seed %d: forgotten", (int)seed);
    writes(damage, last + 1, WRITES + 1);
    restart(damage);
    cr_assert_eq(damage->err, RT_OK, "seed %d: %s", (int)seed, fixture->why.text);
    cr_assert_eq(last_found(damage), damage->next - 1, "seed %d", (int)seed);
    cr_assert_eq(fixture->found.claimed_last.index, 0, "seed %d: repaired", (int)seed);
}

static unsigned rot_and_restart(uint64_t seed, bool is_alone) {
    struct damage *damage = calloc(1, sizeof(*damage));
    unsigned noticed = 0;
    begin(damage, seed);
    damage->fixture.options.is_alone = is_alone;
    cr_assert(rt_sim_bit_rot(damage->world.node, "data/log/0"));
    restart(damage);
    if (damage->err) {
        cr_assert(is_alone, "seed %d: %s", (int)seed, damage->fixture.why.text);
        cr_assert_eq(damage->err, RT_ECORRUPT);
        cr_assert_not_null(strstr(damage->fixture.why.text, "does not verify in data/log/0"));
        noticed = 1;
    } else if (last_found(damage) < LAST) {
        cr_assert_not(is_alone, "seed %d", (int)seed);
        repair(damage, seed);
        noticed = 1;
    } else {
        cr_assert_eq(damage->fixture.found.claimed_last.index, 0, "seed %d", (int)seed);
    }
    cr_assert_not(damage->fixture.is_garbled, "seed %d", (int)seed);
    disk_world_close(&damage->world);
    free(damage);
    return noticed;
}

Test(meta_log_damage, rotten_entries_are_claimed_until_they_are_repaired) {
    unsigned noticed = 0;
    for (uint64_t seed = 1; seed <= 150; seed++) noticed += rot_and_restart(seed, false);
    cr_assert_gt(noticed, 5);
}

Test(meta_log_damage, node_that_is_alone_refuses_to_start_with_rotten_entries) {
    unsigned noticed = 0;
    for (uint64_t seed = 1; seed <= 150; seed++) noticed += rot_and_restart(seed, true);
    cr_assert_gt(noticed, 5);
}

Test(meta_log_damage, one_rotten_page_of_the_hard_state_loses_nothing) {
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct damage *damage = calloc(1, sizeof(*damage));
        begin(damage, seed);
        cr_assert(rt_sim_bit_rot(damage->world.node, "data/log/hard_state"));
        restart(damage);
        cr_assert_eq(damage->err, RT_OK, "%s", damage->fixture.why.text);
        cr_assert_eq(damage->fixture.found.hard_state.term, 2);
        cr_assert_eq(damage->fixture.found.hard_state.vote, 3);
        cr_assert_eq(last_found(damage), LAST);
        disk_world_close(&damage->world);
        free(damage);
    }
}

static void check_refused(void (*change)(struct disk_world *, void *), const char *text) {
    struct damage *damage = calloc(1, sizeof(*damage));
    begin(damage, 1);
    disk_world_crash(&damage->world, RT_SIM_POWER_LOSS);
    if (change) {
        disk_world_run(&damage->world, change, damage);
    } else {
        damage->fixture.options.cluster = 8;
    }
    disk_world_run(&damage->world, open_piece, damage);
    cr_assert_eq(damage->err, RT_ECORRUPT);
    cr_assert_not_null(strstr(damage->fixture.why.text, text), "%s", damage->fixture.why.text);
    disk_world_close(&damage->world);
    free(damage);
}

static void lose_hard_state(struct disk_world *world, void *argument) {
    (void)argument;
    cr_assert_eq(rt_path_remove_now(world->machine, "data/log/hard_state"), RT_OK);
}

Test(meta_log_damage, log_of_another_cluster_is_refused) {
    check_refused(NULL, "belongs to node 3 of cluster 7");
}

Test(meta_log_damage, log_without_its_hard_state_is_refused) {
    check_refused(lose_hard_state, "no hard state");
}

static void lose_segments(struct disk_world *world, void *argument) {
    struct rt_dir_listing listing;
    (void)argument;
    cr_assert_eq(rt_dir_list_now(world->machine, "data/log", &listing, NULL), RT_OK);
    for (size_t i = 0; i < listing.count; i++) {
        char path[300];
        snprintf(path, sizeof(path), "data/log/%s", listing.entries[i].name);
        if (listing.entries[i].name[0] == '0')
            cr_assert_eq(rt_path_remove_now(world->machine, path), RT_OK);
    }
    rt_dir_listing_fini(&listing);
}

Test(meta_log_damage, lost_log_is_claimed_as_long_as_the_hard_state_is_there) {
    struct damage *damage = calloc(1, sizeof(*damage));
    begin(damage, 1);
    disk_world_crash(&damage->world, RT_SIM_POWER_LOSS);
    disk_world_run(&damage->world, lose_segments, damage);
    disk_world_run(&damage->world, open_piece, damage);
    cr_assert_eq(damage->err, RT_OK, "%s", damage->fixture.why.text);
    cr_assert_not(damage->fixture.found.is_new);
    cr_assert_eq(last_found(damage), 0);
    repair(damage, 1);
    disk_world_close(&damage->world);
    free(damage);
}
