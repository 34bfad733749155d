// A power loss leaves a store that is whole: the state of some moment of a flush, with the
// position, the totals and the digest of just that moment.
#include <criterion/criterion.h>

#include "runtime/mem.h"
#include "tests/sim/disk_world.h"
#include "tests/unit/meta_tree/model.h"

enum { SEEDS = 12, ENTRIES = 120, FLUSH_EACH = 3 };

struct world {
    struct disk_world disk;
    struct rt_random random;
    struct model *past;  // by index; entry 0 is the empty store
    uint64_t index;      // of the latest entry
    uint64_t durable;    // at least this one must be there after a crash
};

static struct meta_store *store_open(struct disk_world *disk) {
    const struct meta_store_options options = {
        .path = "store", .cache_bytes = 1 << 20, .node_bytes = 50000};
    struct meta_store *store;
    struct rt_why why = {0};
    rt_err err = meta_store_open_now(disk->machine, &options, &store, &why);
    cr_assert_eq(err, RT_OK, "%s", why.text);
    return store;
}

static void check_past(struct world *world, struct meta_store *store) {
    uint64_t index = meta_store_totals(store).applied.index;
    cr_assert_leq(index, world->index);
    cr_assert_geq(index, world->durable);
    world->index = index;
    if (index == 0) return;
    model_compare(&world->past[index], store);
    model_compare_scans(&world->past[index], store);
}

static void entry_apply(struct world *world, struct meta_store *store) {
    struct model *model = &world->past[world->index + 1];
    if (world->index == 0) {
        model_start(model, store);
    } else {
        *model = world->past[world->index];
    }
    for (unsigned n = 0; n < 5; n++) model_change(model, store, &world->random);
    model_applied(model, store);
    world->index++;
}

// The store is left as it is at the crash.
static void life(struct disk_world *disk, void *argument) {
    struct world *world = argument;
    struct meta_store *store = store_open(disk);
    check_past(world, store);
    uint64_t end = world->index + rt_random_between(&world->random, 1, ENTRIES / 4);
    while (world->index < end && world->index < ENTRIES) {
        entry_apply(world, store);
        if (world->index % FLUSH_EACH) continue;
        cr_assert_eq(meta_store_flush_now(store), RT_OK);
        if (!rt_random_chance(&world->random, 100000)) continue;
        cr_assert_eq(rt_kv_flush_now(meta_store_kv(store)), RT_OK);
        world->durable = world->index;
    }
}

Test(meta_tree_store_crash, a_power_loss_leaves_the_state_of_one_moment) {
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        static struct world world;
        world = (struct world){.past = rt_alloc_zero(ENTRIES + 1, sizeof(struct model))};
        rt_random_seed(&world.random, seed);
        disk_world_open(&world.disk, seed);
        for (unsigned n = 0; n < 8; n++) {
            disk_world_run(&world.disk, life, &world);
            disk_world_crash(&world.disk, n % 2 ? RT_SIM_KILL : RT_SIM_POWER_LOSS);
        }
        disk_world_close(&world.disk);
        rt_free(world.past);
    }
}
