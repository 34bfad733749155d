// One simulated node whose code is given piece by piece from the test: each piece runs in a turn of
// its loop, inside its process, and the test goes on when it has run.
#ifndef GEMINGA_TESTS_SIM_DISK_WORLD_H
#define GEMINGA_TESTS_SIM_DISK_WORLD_H

#include "runtime/file.h"
#include "runtime/sim/sim.h"

struct disk_world {
    struct rt_sim_program program;
    struct rt_sim *sim;
    struct rt_sim_node *node;
    struct rt_machine *machine;  // of the process that runs; NULL: none
    struct rt_task task;
    void (*piece)(struct disk_world *world, void *argument);
    void *argument;
    bool is_done;
};

void disk_world_open(struct disk_world *world, uint64_t seed);
void disk_world_close(struct disk_world *world);
void disk_world_run(struct disk_world *world, void (*piece)(struct disk_world *, void *argument),
                    void *argument);
void disk_world_crash(struct disk_world *world,
                      enum rt_sim_crash_kind kind);  // and starts it again

// What a power loss does to each unsynced sector and name, in parts of a million.
void disk_world_losses(struct disk_world *world, uint32_t lost, uint32_t torn);

// Inside a piece. They fail the test when the call fails.
struct rt_file *disk_file_open(struct disk_world *world, const char *path);  // or created
void disk_file_write(struct rt_file *file, uint64_t offset, const void *bytes, size_t size);
void disk_file_fill(struct rt_file *file, uint64_t offset, uint8_t byte, size_t size);
void disk_file_sync(struct rt_file *file);
void disk_dir_sync(struct disk_world *world, const char *path);
void disk_put(struct disk_world *world, const char *path,
              const char *text);  // synced, but the name
bool disk_exists(struct disk_world *world, const char *path);
// The whole content of a file; `content` belongs to the test, not to the node.
rt_err disk_read(struct disk_world *world, const char *path, struct rt_buf *content);

// From the test: the same in a piece of its own.
rt_err disk_world_read(struct disk_world *world, const char *path, struct rt_buf *content);
bool disk_world_exists(struct disk_world *world, const char *path);
bool disk_buf_is(const struct rt_buf *buf, const char *text);
bool disk_buf_is_filled(const struct rt_buf *buf, uint8_t byte, size_t size);

#endif
