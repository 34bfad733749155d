// The journal under kills, power losses and bad disks, over many seeds: what was acknowledged is
// there afterwards, in order and as it was, and what a start has replayed stays.
#include <criterion/criterion.h>
#include <stdlib.h>

#include "tests/sim/disk_world.h"
#include "tests/unit/bookie_journal/fixture.h"

enum { LIVES = 8 };

struct crashes {
    struct disk_world world;
    struct fixture *fixture;
    struct rt_random random;
    uint64_t seed;
    rt_err err;
    unsigned refused;    // starts
    bool is_planted;     // then they are counted and not asserted
    bool has_bad_disks;  // then a start may fail, and is repeated
    const char *broken;
};

static bool draw(struct crashes *crashes, unsigned of) {
    return rt_random_below(&crashes->random, of) == 0;
}

static void open_piece(struct disk_world *world, void *argument) {
    struct crashes *crashes = argument;
    crashes->err =
        fixture_open(crashes->fixture, world->machine, rt_machine_loop(world->machine, 0));
}

static size_t size_tiny(uint64_t number) {
    return number % 90;
}

static void work_piece(struct disk_world *world, void *argument) {
    struct crashes *crashes = argument;
    struct fixture *fixture = crashes->fixture;
    (void)world;
    if (fixture->failures) return;
    unsigned count = 1 + (unsigned)rt_random_below(&crashes->random, draw(crashes, 5) ? 300 : 6);
    for (unsigned i = 0; i < count && fixture->next < FIXTURE_RECORDS_MAX - 1; i++) {
        rt_err err = fixture_append(fixture, draw(crashes, 4) ? FIXTURE_DEFERRED : FIXTURE_PLAIN);
        if (err == RT_EBUSY) break;
        cr_assert_eq(err, RT_OK);
    }
    if (draw(crashes, 8)) cr_assert_eq(fixture_force(fixture), RT_OK);
    if (draw(crashes, 25)) fixture_checkpoint(fixture);
}

static void disk_break(struct crashes *crashes, uint32_t write, uint32_t sync, uint32_t read) {
    struct rt_sim_disk disk = rt_sim_disk_get(crashes->world.node);
    disk.write_fail_per_million = write;
    disk.sync_fail_per_million = sync;
    disk.read_fail_per_million = read;
    rt_sim_disk_set(crashes->world.node, &disk);
}

static void live(struct crashes *crashes) {
    unsigned works = 1 + (unsigned)rt_random_below(&crashes->random, 25);
    for (unsigned i = 0; i < works; i++) {
        disk_world_run(&crashes->world, work_piece, crashes);
        unsigned steps = (unsigned)rt_random_below(&crashes->random, 12);
        for (unsigned step = 0; step < steps; step++) rt_sim_step(crashes->world.sim);
    }
    if (draw(crashes, 5)) rt_sim_run_for(crashes->world.sim, 100 * RT_NS_PER_MS);
    if (draw(crashes, 9)) rt_sim_run_for(crashes->world.sim, 2 * RT_NS_PER_S);
    if (!crashes->has_bad_disks) cr_assert_eq(crashes->fixture->failures, 0);
}

static enum rt_sim_crash_kind crash(struct crashes *crashes) {
    enum rt_sim_crash_kind kind = draw(crashes, 3) ? RT_SIM_KILL : RT_SIM_POWER_LOSS;
    disk_world_crash(&crashes->world, kind);
    return kind;
}

// A start on a bad disk says so, and does no harm.
static void open_until_good(struct crashes *crashes) {
    for (unsigned tries = 0; tries < 4 && crashes->has_bad_disks; tries++) {
        disk_break(crashes, 30000, 60000, 20000);
        disk_world_run(&crashes->world, open_piece, crashes);
        disk_break(crashes, 0, 0, 0);
        if (!crashes->err) return;
        cr_assert_eq(crashes->err, RT_EIO, "seed %d: %s", (int)crashes->seed,
                     crashes->fixture->why.text);
        crash(crashes);
    }
    disk_world_run(&crashes->world, open_piece, crashes);
}

static bool reopen(struct crashes *crashes, uint64_t expected) {
    struct fixture *fixture = crashes->fixture;
    open_until_good(crashes);
    const char *wrong = crashes->err ? fixture->why.text : fixture_check(fixture, expected);
    if (!wrong) return true;
    crashes->broken = wrong;
    cr_assert(crashes->is_planted, "seed %d: %s (%d to %d, expected %d)", (int)crashes->seed, wrong,
              (int)fixture->first, (int)(fixture->first + fixture->count), (int)expected);
    return false;
}

static void lives(struct crashes *crashes) {
    for (unsigned i = 0; i < LIVES; i++) {
        if (crashes->has_bad_disks && draw(crashes, 2)) disk_break(crashes, 3000, 6000, 0);
        live(crashes);
        disk_break(crashes, 0, 0, 0);
        uint64_t durable = crashes->fixture->durable, acked = crashes->fixture->acked;
        // Bad disks make for more crashes before the next start succeeds.
        bool keeps_all = crash(crashes) == RT_SIM_KILL && !crashes->has_bad_disks;
        if (!reopen(crashes, keeps_all ? acked : durable)) return;
    }
}

static struct crashes *crashes_new(uint64_t seed) {
    struct crashes *crashes = calloc(1, sizeof(*crashes));
    crashes->seed = seed;
    rt_random_seed(&crashes->random, seed);
    disk_world_open(&crashes->world, seed);
    struct fixture *fixture = crashes->fixture = fixture_new("data/journal");
    static const size_t segment_sizes[] = {64 << 10, 300000, 1 << 20, 3 << 20};
    fixture->options.segment_bytes = segment_sizes[rt_random_below(&crashes->random, 4)];
    if (draw(crashes, 3)) fixture->options.queue_bytes_max = 200000;
    if (draw(crashes, 3)) fixture->size_of = size_tiny;
    if (draw(crashes, 4)) disk_world_losses(&crashes->world, 900000, 50000);
    if (draw(crashes, 4)) disk_world_losses(&crashes->world, 100000, 500000);
    return crashes;
}

static const char *run(struct crashes *crashes) {
    if (reopen(crashes, 0)) lives(crashes);
    disk_world_close(&crashes->world);
    const char *broken = crashes->broken;
    free(crashes->fixture);
    free(crashes);
    return broken;
}

// GEMINGA_SEEDS asks for fewer, as a sanitizer does that makes them many times slower.
static uint64_t seeds_of(uint64_t all) {
    const char *text = getenv("GEMINGA_SEEDS");
    uint64_t wanted = text ? strtoull(text, NULL, 10) : all;
    return wanted < all ? wanted : all;
}

Test(bookie_journal_crash, what_was_acknowledged_survives_in_order) {
    for (uint64_t seed = 1; seed <= seeds_of(300); seed++) run(crashes_new(seed));
}

Test(bookie_journal_crash, what_was_acknowledged_survives_bad_disks) {
    for (uint64_t seed = 1; seed <= seeds_of(300); seed++) {
        struct crashes *crashes = crashes_new(seed);
        crashes->has_bad_disks = true;
        run(crashes);
    }
}

// Acknowledged without a sync: only what a force said is sure, and a hole is no damage.
Test(bookie_journal_crash, without_syncs_it_starts_after_any_crash) {
    for (uint64_t seed = 1; seed <= seeds_of(200); seed++) {
        struct crashes *crashes = crashes_new(seed);
        crashes->fixture->options.sync = false;
        crashes->fixture->acks_lie = true;
        run(crashes);
    }
}

Test(bookie_journal_crash, planted_acknowledgement_before_the_sync_is_found) {
    unsigned found = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct crashes *crashes = crashes_new(seed);
        crashes->is_planted = true;
        crashes->fixture->options.planted_no_sync = true;
        if (run(crashes)) found++;
    }
    cr_assert_gt(found, 20, "%u", found);
}
