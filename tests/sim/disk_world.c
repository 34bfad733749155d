#include "tests/sim/disk_world.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/backend.h"

static void on_boot(struct rt_sim_program *program, struct rt_machine *machine) {
    rt_container_of(program, struct disk_world, program)->machine = machine;
}

static void on_crashed(struct rt_sim_program *program) {
    rt_container_of(program, struct disk_world, program)->machine = NULL;
}

static void until_booted(struct disk_world *world) {
    rt_sim_start(world->node);
    while (!world->machine) cr_assert(rt_sim_step(world->sim));
}

void disk_world_open(struct disk_world *world, uint64_t seed) {
    *world = (struct disk_world){.program = {.boot = on_boot, .crashed = on_crashed}};
    world->sim = rt_sim_new(&(struct rt_sim_options){.seed = seed});
    world->node = rt_sim_node_add(world->sim, "node", 1, &world->program);
    until_booted(world);
}

void disk_world_close(struct disk_world *world) {
    cr_assert_not(rt_sim_failed(world->sim));
    rt_sim_free(world->sim);
}

static void on_piece(struct rt_task *task) {
    struct disk_world *world = rt_container_of(task, struct disk_world, task);
    world->piece(world, world->argument);
    world->is_done = true;
}

void disk_world_run(struct disk_world *world, void (*piece)(struct disk_world *, void *),
                    void *argument) {
    world->piece = piece;
    world->argument = argument;
    world->is_done = false;
    rt_task_init(&world->task, on_piece, "test.piece");
    rt_post(rt_machine_loop(world->machine, 0), &world->task);
    while (!world->is_done) cr_assert(rt_sim_step(world->sim));
}

void disk_world_crash(struct disk_world *world, enum rt_sim_crash_kind kind) {
    rt_sim_crash(world->node, kind);
    cr_assert_null(world->machine);
    until_booted(world);
}

void disk_world_losses(struct disk_world *world, uint32_t lost, uint32_t torn) {
    struct rt_sim_disk disk = rt_sim_disk_get(world->node);
    disk.lost_per_million = lost;
    disk.torn_per_million = torn;
    rt_sim_disk_set(world->node, &disk);
}

struct rt_file *disk_file_open(struct disk_world *world, const char *path) {
    struct rt_file *file = NULL;
    struct rt_why why = {0};
    unsigned flags = RT_FILE_READ | RT_FILE_WRITE | RT_FILE_CREATE | RT_FILE_EXISTING;
    cr_assert_eq(rt_file_open_now(world->machine, path, flags, &file, &why), RT_OK, "%s", why.text);
    return file;
}

void disk_file_write(struct rt_file *file, uint64_t offset, const void *bytes, size_t size) {
    cr_assert_eq(rt_file_write_now(file, offset, RT_BYTES(bytes, size)), RT_OK);
}

void disk_file_fill(struct rt_file *file, uint64_t offset, uint8_t byte, size_t size) {
    uint8_t *bytes = rt_alloc(size);
    memset(bytes, byte, size);
    disk_file_write(file, offset, bytes, size);
    rt_free(bytes);
}

void disk_file_sync(struct rt_file *file) {
    cr_assert_eq(rt_file_sync_now(file), RT_OK);
}

void disk_dir_sync(struct disk_world *world, const char *path) {
    cr_assert_eq(rt_dir_sync_now(world->machine, path), RT_OK);
}

void disk_put(struct disk_world *world, const char *path, const char *text) {
    struct rt_file *file = disk_file_open(world, path);
    disk_file_write(file, 0, text, strlen(text));
    disk_file_sync(file);
    rt_file_close_now(file);
}

bool disk_exists(struct disk_world *world, const char *path) {
    bool exists = false;
    cr_assert_eq(rt_path_exists_now(world->machine, path, &exists), RT_OK);
    return exists;
}

static rt_err file_read_all(struct rt_file *file, struct rt_buf *content) {
    uint64_t size = 0;
    rt_err err = rt_file_size_now(file, &size);
    if (err) return err;
    uint8_t *memory = rt_alloc((size_t)size);
    size_t done_size = 0;
    err = rt_file_read_now(file, 0, memory, (size_t)size, &done_size);
    struct rt_heap *inside = rt_heap_enter(NULL);
    rt_buf_clear(content);
    rt_buf_append(content, RT_BYTES(memory, done_size));
    rt_heap_enter(inside);
    rt_free(memory);
    return err;
}

rt_err disk_read(struct disk_world *world, const char *path, struct rt_buf *content) {
    struct rt_file *file = NULL;
    rt_err err = rt_file_open_now(world->machine, path, RT_FILE_READ, &file, NULL);
    if (err) return err;
    err = file_read_all(file, content);
    rt_file_close_now(file);
    return err;
}

struct question {
    const char *path;
    struct rt_buf *content;
    rt_err err;
    bool exists;
};

static void read_piece(struct disk_world *world, void *argument) {
    struct question *question = argument;
    question->err = disk_read(world, question->path, question->content);
}

rt_err disk_world_read(struct disk_world *world, const char *path, struct rt_buf *content) {
    struct question question = {.path = path, .content = content};
    disk_world_run(world, read_piece, &question);
    return question.err;
}

static void exists_piece(struct disk_world *world, void *argument) {
    struct question *question = argument;
    question->exists = disk_exists(world, question->path);
}

bool disk_world_exists(struct disk_world *world, const char *path) {
    struct question question = {.path = path};
    disk_world_run(world, exists_piece, &question);
    return question.exists;
}

bool disk_buf_is(const struct rt_buf *buf, const char *text) {
    return rt_bytes_equal(rt_buf_bytes(buf), rt_bytes_of(text));
}

bool disk_buf_is_filled(const struct rt_buf *buf, uint8_t byte, size_t size) {
    if (buf->size != size) return false;
    for (size_t i = 0; i < size; i++) {
        if (buf->data[i] != byte) return false;
    }
    return true;
}
