// The simulated disk: operations that fail, that take their time, and that a crash interrupts.
#include <criterion/criterion.h>
#include <string.h>

#include "tests/sim/disk_world.h"

enum { MILLION = 1000000, KIB = 1024 };

static char name[] = "f";  // of the one file in most tests

static void disk_change(struct disk_world *world, void (*change)(struct rt_sim_disk *)) {
    struct rt_sim_disk disk = rt_sim_disk_get(world->node);
    change(&disk);
    rt_sim_disk_set(world->node, &disk);
}

// FAILURES

static void writes_fail(struct rt_sim_disk *disk) {
    disk->write_fail_per_million = MILLION;
}

static void syncs_fail(struct rt_sim_disk *disk) {
    disk->sync_fail_per_million = MILLION;
}

static void reads_fail(struct rt_sim_disk *disk) {
    disk->read_fail_per_million = MILLION;
}

static void nothing_fails(struct rt_sim_disk *disk) {
    disk->write_fail_per_million = disk->sync_fail_per_million = disk->read_fail_per_million = 0;
}

static void write_fail_piece(struct disk_world *world, void *argument) {
    struct rt_file *file = disk_file_open(world, argument);
    disk_change(world, writes_fail);
    static const uint8_t bytes[100 * KIB] = {1};
    cr_assert_eq(rt_file_write_now(file, 0, RT_BYTES(bytes, sizeof(bytes))), RT_EIO);
    disk_change(world, nothing_fails);
    cr_assert_eq(rt_file_write_now(file, 0, RT_BYTES(bytes, 1)), RT_EFAILED);
    uint64_t size = UINT64_MAX;
    cr_assert_eq(rt_file_size_now(file, &size), RT_OK);
    cr_assert_lt(size, sizeof(bytes));
    cr_assert_gt(size, 0);
    rt_file_close_now(file);
}

Test(sim_disk_faults, failed_write_leaves_a_part_and_is_final) {
    struct disk_world world;
    disk_world_open(&world, 1);
    disk_world_run(&world, write_fail_piece, name);
    disk_world_close(&world);
}

static void read_fail_piece(struct disk_world *world, void *argument) {
    disk_put(world, argument, "content");
    struct rt_file *file = disk_file_open(world, argument);
    char memory[16];
    size_t done_size;
    disk_change(world, reads_fail);
    cr_assert_eq(rt_file_read_now(file, 0, memory, sizeof(memory), &done_size), RT_EIO);
    disk_change(world, nothing_fails);
    cr_assert_eq(rt_file_read_now(file, 0, memory, sizeof(memory), &done_size), RT_OK);
    cr_assert_eq(done_size, strlen("content"));
    rt_file_close_now(file);
}

Test(sim_disk_faults, failed_read_may_succeed_when_repeated) {
    struct disk_world world;
    disk_world_open(&world, 1);
    disk_world_run(&world, read_fail_piece, name);
    disk_world_close(&world);
}

static void sync_fail_piece(struct disk_world *world, void *argument) {
    struct rt_file *file = disk_file_open(world, argument);
    disk_file_write(file, 0, "old", 3);
    disk_file_sync(file);
    disk_dir_sync(world, "/");
    disk_file_write(file, 0, "new", 3);
    disk_change(world, syncs_fail);
    cr_assert_eq(rt_file_sync_now(file), RT_EIO);
    disk_change(world, nothing_fails);
    cr_assert_eq(rt_file_sync_now(file), RT_EFAILED);
    rt_file_close_now(file);
}

static void resync_piece(struct disk_world *world, void *argument) {
    struct rt_file *file = disk_file_open(world, argument);
    disk_file_sync(file);
    rt_file_close_now(file);
}

Test(sim_disk_faults, what_a_failed_sync_dropped_reads_well_until_the_power_goes) {
    struct disk_world world;
    struct rt_buf content = {0};
    disk_world_open(&world, 1);
    disk_world_losses(&world, 0, 0);
    disk_world_run(&world, sync_fail_piece, name);
    cr_assert_eq(disk_world_read(&world, "f", &content), RT_OK);
    cr_assert(disk_buf_is(&content, "new"));
    disk_world_crash(&world, RT_SIM_KILL);
    disk_world_run(&world, resync_piece, name);
    cr_assert_eq(disk_world_read(&world, "f", &content), RT_OK);
    cr_assert(disk_buf_is(&content, "new"));
    disk_world_crash(&world, RT_SIM_POWER_LOSS);
    cr_assert_eq(disk_world_read(&world, "f", &content), RT_OK);
    cr_assert(disk_buf_is(&content, "old"));
    rt_buf_fini(&content);
    disk_world_close(&world);
}

static void dir_sync_fail_piece(struct disk_world *world, void *argument) {
    disk_put(world, argument, "content");
    disk_change(world, syncs_fail);
    cr_assert_eq(rt_dir_sync_now(world->machine, "/"), RT_EIO);
    disk_change(world, nothing_fails);
}

Test(sim_disk_faults, failed_directory_sync_makes_no_name_durable) {
    struct disk_world world;
    disk_world_open(&world, 1);
    disk_world_losses(&world, MILLION, 0);
    disk_world_run(&world, dir_sync_fail_piece, name);
    disk_world_crash(&world, RT_SIM_POWER_LOSS);
    cr_assert_not(disk_world_exists(&world, "f"));
    disk_world_close(&world);
}

static void names_fail_piece(struct disk_world *world, void *argument) {
    disk_put(world, argument, "content");
    disk_change(world, writes_fail);
    cr_assert_eq(rt_path_rename_now(world->machine, argument, "g"), RT_EIO);
    cr_assert_eq(rt_path_remove_now(world->machine, argument), RT_EIO);
    cr_assert_eq(rt_dir_create_now(world->machine, "d", NULL), RT_EIO);
    disk_change(world, nothing_fails);
    cr_assert(disk_exists(world, argument));
    cr_assert_not(disk_exists(world, "g"));
    cr_assert_not(disk_exists(world, "d"));
}

Test(sim_disk_faults, failed_change_of_a_name_changes_nothing) {
    struct disk_world world;
    disk_world_open(&world, 1);
    disk_world_run(&world, names_fail_piece, name);
    disk_world_close(&world);
}

// SPACE

static void small_disk(struct rt_sim_disk *disk) {
    disk->capacity_bytes = 64 * KIB;
}

static uint64_t free_bytes(struct disk_world *world) {
    struct rt_disk_space space;
    cr_assert_eq(rt_dir_space_now(world->machine, "/", &space), RT_OK);
    cr_assert_eq(space.total_bytes, 64 * KIB);
    return space.free_bytes;
}

static void full_piece(struct disk_world *world, void *argument) {
    static const uint8_t bytes[100 * KIB];
    struct rt_file *file = disk_file_open(world, argument);
    disk_change(world, small_disk);
    cr_assert_eq(rt_file_write_now(file, 0, RT_BYTES(bytes, sizeof(bytes))), RT_ENOSPACE);
    uint64_t size = 0;
    cr_assert_eq(rt_file_size_now(file, &size), RT_OK);
    cr_assert_eq(size, 64 * KIB);
    cr_assert_eq(free_bytes(world), 0);
    rt_file_close_now(file);
    cr_assert_eq(rt_path_remove_now(world->machine, argument), RT_OK);
    cr_assert_eq(free_bytes(world), 64 * KIB);
}

Test(sim_disk_faults, full_disk_takes_what_fits_and_a_remove_gives_it_back) {
    struct disk_world world;
    disk_world_open(&world, 1);
    disk_world_run(&world, full_piece, name);
    disk_world_close(&world);
}

static void allocate_full_piece(struct disk_world *world, void *argument) {
    struct rt_file *file = disk_file_open(world, argument);
    disk_change(world, small_disk);
    cr_assert_eq(rt_file_allocate_now(file, 100 * KIB), RT_ENOSPACE);
    uint64_t size = UINT64_MAX;
    cr_assert_eq(rt_file_size_now(file, &size), RT_OK);
    cr_assert_eq(size, 0);
    cr_assert_eq(free_bytes(world), 64 * KIB);
    cr_assert_eq(rt_file_allocate_now(file, 60 * KIB), RT_OK);
    cr_assert_eq(free_bytes(world), 4 * KIB);
    cr_assert_eq(rt_file_truncate_now(file, 1), RT_OK);
    cr_assert_eq(free_bytes(world), 60 * KIB);
    rt_file_close_now(file);
}

Test(sim_disk_faults, allocation_that_does_not_fit_takes_nothing) {
    struct disk_world world;
    disk_world_open(&world, 1);
    disk_world_run(&world, allocate_full_piece, name);
    disk_world_close(&world);
}

static void cut_piece(struct disk_world *world, void *argument) {
    struct rt_file *file = disk_file_open(world, argument);
    disk_change(world, small_disk);
    disk_dir_sync(world, "/");
    disk_file_fill(file, 0, 'x', 60 * KIB);
    disk_file_sync(file);
    cr_assert_eq(rt_file_truncate_now(file, 0), RT_OK);
    rt_file_close_now(file);
}

static void all_free_piece(struct disk_world *world, void *argument) {
    (void)argument;
    cr_assert_eq(free_bytes(world), 64 * KIB);
}

Test(sim_disk_faults, truncated_space_stays_free_through_a_power_loss) {
    struct disk_world world;
    disk_world_open(&world, 1);
    disk_world_losses(&world, 0, 0);
    disk_world_run(&world, cut_piece, name);
    disk_world_run(&world, all_free_piece, NULL);
    disk_world_crash(&world, RT_SIM_POWER_LOSS);
    disk_world_run(&world, all_free_piece, NULL);
    disk_world_close(&world);
}

// ROT

static void rot_piece(struct disk_world *world, void *argument) {
    (void)argument;
    cr_assert_eq(rt_dir_create_now(world->machine, "d", NULL), RT_OK);
    struct rt_file *file = disk_file_open(world, "d/f");
    disk_file_fill(file, 0, 'x', 20 * KIB);
    disk_file_sync(file);
    rt_file_close_now(file);
    disk_put(world, "e", "untouched");
}

Test(sim_disk_faults, bit_rot_flips_one_bit_of_a_file_with_that_prefix) {
    struct disk_world world;
    struct rt_buf content = {0};
    disk_world_open(&world, 1);
    disk_world_run(&world, rot_piece, NULL);
    cr_assert_not(rt_sim_bit_rot(world.node, "nothing"));
    cr_assert(rt_sim_bit_rot(world.node, "d/"));
    cr_assert_eq(disk_world_read(&world, "d/f", &content), RT_OK);
    unsigned flipped = 0;
    for (size_t i = 0; i < content.size; i++) {
        flipped += (unsigned)__builtin_popcount((unsigned)content.data[i] ^ 'x');
    }
    cr_assert_eq(flipped, 1);
    cr_assert_eq(disk_world_read(&world, "e", &content), RT_OK);
    cr_assert(disk_buf_is(&content, "untouched"));
    rt_buf_fini(&content);
    disk_world_close(&world);
}

// TIME AND ORDER

struct ops {
    struct rt_file *file;
    struct rt_file_op write, sync, read, close;
    struct rt_bytes part;
    uint8_t *bytes;
    size_t size;
    char memory[8];
    char order[8];
    unsigned done_count;
    rt_err err;
};

static void op_done(struct ops *ops, char letter, rt_err err) {
    ops->order[ops->done_count++] = letter;
    if (err) ops->err = err;
}

static void on_write(struct rt_file_op *op, rt_err err) {
    op_done(rt_container_of(op, struct ops, write), 'w', err);
}

static void on_sync(struct rt_file_op *op, rt_err err) {
    op_done(rt_container_of(op, struct ops, sync), 's', err);
}

static void on_read(struct rt_file_op *op, rt_err err) {
    op_done(rt_container_of(op, struct ops, read), 'r', err);
}

static void on_close(struct rt_file_op *op, rt_err err) {
    op_done(rt_container_of(op, struct ops, close), 'c', err);
}

static void write_start(struct disk_world *world, struct ops *ops, bool sync) {
    ops->file = disk_file_open(world, "f");
    disk_dir_sync(world, "/");
    ops->bytes = rt_alloc(ops->size);
    memset(ops->bytes, 'n', ops->size);
    ops->part = RT_BYTES(ops->bytes, ops->size);
    rt_file_append(&ops->write, ops->file, &ops->part, 1, sync, on_write);
}

static void ops_piece(struct disk_world *world, void *argument) {
    struct ops *ops = argument;
    write_start(world, ops, false);
    rt_file_sync(&ops->sync, ops->file, on_sync);
    rt_file_close(&ops->close, ops->file, on_close);
    rt_file_read(&ops->read, ops->file, 0, ops->memory, sizeof(ops->memory), on_read);
    cr_assert_eq(ops->done_count, 0, "a completion ran before its call returned");
}

static void slow_disk(struct rt_sim_disk *disk) {
    disk->bytes_per_s = MILLION;
    disk->latency_min_ns = disk->latency_max_ns = RT_NS_PER_MS;
    disk->sync_min_ns = disk->sync_max_ns = 5 * RT_NS_PER_MS;
}

static void steps_until(struct disk_world *world, const struct ops *ops, unsigned done_count) {
    while (ops->done_count < done_count) cr_assert(rt_sim_step(world->sim));
}

Test(sim_disk_faults, operations_take_latency_sync_time_and_bandwidth) {
    struct disk_world world;
    struct ops ops = {.size = MILLION};
    disk_world_open(&world, 1);
    disk_change(&world, slow_disk);
    uint64_t start = rt_sim_now(world.sim);
    disk_world_run(&world, ops_piece, &ops);
    steps_until(&world, &ops, 2);
    cr_assert_geq(rt_sim_now(world.sim) - start, RT_NS_PER_S + RT_NS_PER_MS);
    steps_until(&world, &ops, 4);
    cr_assert_geq(rt_sim_now(world.sim) - start, 2 * RT_NS_PER_S);
    cr_assert_eq(ops.err, RT_OK);
    cr_assert_leq(rt_sim_now(world.sim) - start, 3 * RT_NS_PER_S);
    disk_world_close(&world);
}

Test(sim_disk_faults, writes_keep_their_order_and_a_close_waits_for_all) {
    bool overtaken = false;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct disk_world world;
        struct ops ops = {.size = 100};
        disk_world_open(&world, seed);
        disk_world_run(&world, ops_piece, &ops);
        steps_until(&world, &ops, 4);
        cr_assert_lt(strchr(ops.order, 'w'), strchr(ops.order, 's'));
        cr_assert_eq(ops.order[3], 'c');
        overtaken = overtaken || ops.order[0] == 'r';
        disk_world_close(&world);
    }
    cr_assert(overtaken, "no read ever overtook a write");
}

static void read_and_close_piece(struct disk_world *world, void *argument) {
    struct ops *ops = argument;
    disk_put(world, name, "content");
    ops->file = disk_file_open(world, name);
    rt_file_read(&ops->read, ops->file, 0, ops->memory, sizeof(ops->memory), on_read);
    rt_file_close(&ops->close, ops->file, on_close);
}

Test(sim_disk_faults, close_waits_for_a_read) {
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct disk_world world;
        struct ops ops = {0};
        disk_world_open(&world, seed);
        disk_world_run(&world, read_and_close_piece, &ops);
        steps_until(&world, &ops, 2);
        cr_assert_str_eq(ops.order, "rc");
        cr_assert_eq(memcmp(ops.memory, "content", strlen("content")), 0);
        disk_world_close(&world);
    }
}

// IN FLIGHT

static void in_flight_piece(struct disk_world *world, void *argument) {
    write_start(world, argument, true);
}

static size_t left_of_a_write_in_flight(uint64_t seed, enum rt_sim_crash_kind kind, bool *whole) {
    struct disk_world world;
    struct ops ops = {.size = 64 * KIB};
    struct rt_buf content = {0};
    disk_world_open(&world, seed);
    disk_world_run(&world, in_flight_piece, &ops);
    disk_world_crash(&world, kind);
    rt_sim_run_for(world.sim, RT_NS_PER_S);
    cr_assert_eq(ops.done_count, 0, "an operation completed after its process had gone");
    cr_assert_eq(disk_world_read(&world, "f", &content), RT_OK);
    *whole = disk_buf_is_filled(&content, 'n', content.size);
    size_t size = content.size;
    rt_buf_fini(&content);
    disk_world_close(&world);
    return size;
}

Test(sim_disk_faults, kill_leaves_the_beginning_of_a_write_in_flight) {
    unsigned partial = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        bool whole;
        size_t size = left_of_a_write_in_flight(seed, RT_SIM_KILL, &whole);
        cr_assert(whole);
        partial += size > 0 && size < 64 * KIB;
    }
    cr_assert_gt(partial, 3);
}

Test(sim_disk_faults, power_loss_leaves_any_sectors_of_a_write_in_flight) {
    unsigned holes = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        bool whole;
        size_t size = left_of_a_write_in_flight(seed, RT_SIM_POWER_LOSS, &whole);
        holes += size > 0 && !whole;
    }
    cr_assert_gt(holes, 5);
}

static void overwrite_piece(struct disk_world *world, void *argument) {
    struct ops *ops = argument;
    ops->file = disk_file_open(world, name);
    disk_file_fill(ops->file, 0, 'o', ops->size);
    disk_file_sync(ops->file);
    disk_dir_sync(world, "/");
    ops->bytes = rt_alloc(ops->size);
    memset(ops->bytes, 'n', ops->size);
    ops->part = RT_BYTES(ops->bytes, ops->size);
    rt_file_write(&ops->write, ops->file, 0, &ops->part, 1, true, on_write);
}

Test(sim_disk_faults, kill_may_find_a_sync_half_done) {
    unsigned half = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct disk_world world;
        struct ops ops = {.size = 64 * KIB};
        struct rt_buf content = {0};
        disk_world_open(&world, seed);
        disk_world_losses(&world, MILLION, 0);
        disk_world_run(&world, overwrite_piece, &ops);
        disk_world_crash(&world, RT_SIM_KILL);
        disk_world_crash(&world, RT_SIM_POWER_LOSS);
        cr_assert_eq(disk_world_read(&world, name, &content), RT_OK);
        cr_assert_eq(content.size, ops.size);
        half += memchr(content.data, 'o', ops.size) && memchr(content.data, 'n', ops.size);
        rt_buf_fini(&content);
        disk_world_close(&world);
    }
    cr_assert(half > 3 && half < 20);
}

// LOCKS

static void lock_piece(struct disk_world *world, void *argument) {
    struct rt_dir_lock *lock = NULL, *second = NULL;
    struct rt_why why = {0};
    (void)argument;
    cr_assert_eq(rt_dir_create_now(world->machine, "d", &why), RT_OK);
    cr_assert_eq(rt_dir_lock_now(world->machine, "d", &lock, &why), RT_OK, "%s", why.text);
    cr_assert_eq(rt_dir_lock_now(world->machine, "d", &second, &why), RT_ELOCKED);
    cr_assert_neq(strstr(why.text, "node"), NULL);
    rt_dir_unlock(lock);
    cr_assert_eq(rt_dir_lock_now(world->machine, "d", &lock, &why), RT_OK);
}

Test(sim_disk_faults, lock_of_a_directory_ends_with_its_process) {
    struct disk_world world;
    disk_world_open(&world, 1);
    disk_world_run(&world, lock_piece, NULL);
    disk_world_crash(&world, RT_SIM_KILL);
    disk_world_run(&world, lock_piece, NULL);
    disk_world_crash(&world, RT_SIM_POWER_LOSS);
    disk_world_run(&world, lock_piece, NULL);
    disk_world_close(&world);
}
