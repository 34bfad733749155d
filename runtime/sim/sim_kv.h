// The inside of the simulated key-value store: what its files share. Private to runtime/sim/.
//
// A store is two things. In memory, of its process: a sorted map for each column, with as many
// versions of a key as snapshots and iterators can see. On the simulated disk, as files like any
// other, so that crashes, full disks, failed syncs and bit rot do to it what they do to files:
//
//   CURRENT        which image and which log are valid
//   NNNNNN.data    an image: all columns as of one batch, checksummed
//   NNNNNN.log     the batches since, each checksummed and numbered
//   LOCK           held while it is open
//
// Opening reads the image and replays the log up to the first batch that is missing or broken.
// Batches without a log take a number all the same, so the log has a gap there and nothing behind
// the gap survives, however it was written, until the next flush: what a crash leaves is always a
// prefix. (RocksDB would keep the logged batches behind the gap; the contract does not, so nobody
// may rely on it.)
#ifndef GEMINGA_RUNTIME_SIM_SIM_KV_H
#define GEMINGA_RUNTIME_SIM_SIM_KV_H

#include "runtime/random.h"
#include "runtime/sim/sim_disk.h"

enum { SIM_KV_COLUMNS_MAX = 4 * RT_KV_COLUMNS_MAX };

// VIEWS: the store as of a batch; snapshots and iterators hold them.
struct rt_kv_snapshot {
    struct rt_list link;  // in store->views, oldest first
    uint64_t sequence;
    unsigned refs;
};

// MAPS (sim_kv_map.c): skip lists with versions.

struct sim_kv_version {
    struct sim_kv_version *older;
    uint64_t sequence;
    bool removed;
    size_t value_size;
    uint8_t value[];
};

struct sim_kv_key {
    struct sim_kv_map *map;
    struct sim_kv_version *newest;
    struct rt_list
        stale;  // in store->stale, by the newest version, when it has more than that to tell
    struct sim_kv_key *prev;
    size_t key_size;
    unsigned height;
    struct sim_kv_key *next[];  // height of them, then the key
};

struct sim_kv_map {
    struct sim_kv_key *head;  // before the first key
    struct sim_kv_key *last;  // the head when empty
    struct rt_random random;  // heights: they change speed, never results
    size_t key_count;
};

struct sim_kv_store {
    struct sim_kv_store *next;  // in node->stores
    struct rt_sim_node *node;
    struct rt_dir_lock *lock;
    struct sim_inode *dir;  // held

    unsigned column_count;  // that the process named; they come first
    unsigned column_total;  // and those that only the files know: kept, and left alone
    char *columns[SIM_KV_COLUMNS_MAX];
    struct sim_kv_map maps[SIM_KV_COLUMNS_MAX];
    size_t flush_bytes;  // memory is written out beyond this
    uint64_t sequence;   // of the last batch
    struct rt_list views, stale;

    uint64_t image_number;  // of CURRENT's files
    uint64_t image_sequence, image_bytes;
    struct sim_inode *log;  // held
    uint64_t log_size, log_synced_size, unlogged_bytes;
    bool failed;  // a write failed: no more of them
};

struct rt_kv {  // in the heap of the process
    struct rt_kv_head head;
    struct sim_kv_store *store;
};

void sim_kv_map_init(struct sim_kv_map *map, unsigned column);
void sim_kv_map_fini(struct sim_kv_map *map);
struct rt_bytes sim_kv_key_bytes(const struct sim_kv_key *key);
struct sim_kv_key *sim_kv_map_find(const struct sim_kv_map *map, struct rt_bytes key);  // or NULL
struct sim_kv_key *sim_kv_map_ceiling(const struct sim_kv_map *map,
                                      struct rt_bytes key);                              // or NULL
struct sim_kv_key *sim_kv_map_floor(const struct sim_kv_map *map, struct rt_bytes key);  // or NULL
// What a view of this sequence sees of the key, or NULL.
const struct sim_kv_version *sim_kv_key_at(const struct sim_kv_key *key, uint64_t sequence);
void sim_kv_put(struct sim_kv_store *store, unsigned column, uint64_t sequence, struct rt_bytes key,
                struct rt_bytes value);
void sim_kv_remove(struct sim_kv_store *store, unsigned column, uint64_t sequence,
                   struct rt_bytes key);
void sim_kv_remove_range(struct sim_kv_store *store, unsigned column, uint64_t sequence,
                         struct rt_bytes first, struct rt_bytes end);
void sim_kv_forget_versions(struct sim_kv_store *store);  // that no view can see

// BATCHES (sim_kv_batch.c): the bytes of a batch are what the log holds of it.

enum sim_kv_change_kind { SIM_KV_PUT = 1, SIM_KV_REMOVE, SIM_KV_REMOVE_RANGE };
struct rt_kv_batch {
    const struct rt_kv_backend *backend;
    struct rt_buf changes;
    size_t count;
    unsigned column_count;
};
struct rt_kv_batch *sim_kv_batch_new(struct rt_kv *kv);
void sim_kv_batch_free(struct rt_kv_batch *batch);
void sim_kv_batch_clear(struct rt_kv_batch *batch);
void sim_kv_batch_put(struct rt_kv_batch *batch, unsigned column, struct rt_bytes key,
                      struct rt_bytes value);
void sim_kv_batch_remove(struct rt_kv_batch *batch, unsigned column, struct rt_bytes key);
void sim_kv_batch_remove_range(struct rt_kv_batch *batch, unsigned column, struct rt_bytes first,
                               struct rt_bytes end);
size_t sim_kv_batch_count(const struct rt_kv_batch *batch);
size_t sim_kv_batch_bytes(const struct rt_kv_batch *batch);
// Applies encoded changes as one batch. columns[i] is where column i of the encoding went.
RT_CHECK
rt_err sim_kv_apply(struct sim_kv_store *store, struct rt_bytes changes, uint64_t sequence,
                    const unsigned *columns, unsigned column_count);

void sim_kv_sized_write(struct rt_writer *w, struct rt_bytes bytes);  // varint size, bytes
struct rt_bytes sim_kv_sized_read(struct rt_reader *r);

// FILES (sim_kv_image.c, sim_kv_log.c)

struct sim_kv_columns {  // as a file lists them, and where each is in the open store
    unsigned count;
    unsigned at[SIM_KV_COLUMNS_MAX];
    bool changed;  // the store has more, or in another order
};
void sim_kv_columns_write(const struct sim_kv_store *store, struct rt_writer *w);
RT_CHECK
rt_err sim_kv_columns_read(struct sim_kv_store *store, struct rt_reader *r,
                           struct sim_kv_columns *columns);
unsigned sim_kv_column_add(struct sim_kv_store *store, struct rt_bytes name);
// A new image with an empty log in `dir`, which CURRENT then names; all durable but for the name of
// `dir`. The log is given held.
RT_CHECK
rt_err sim_kv_image_write(struct sim_kv_store *store, struct sim_inode *dir, uint64_t number,
                          struct sim_inode **log, uint64_t *image_bytes);
RT_CHECK
rt_err sim_kv_current_read(struct sim_kv_store *store);  // image_number; RT_ENOTFOUND: none
// Whether the directory, which has no CURRENT, holds nothing but what an interrupted creation
// leaves.
RT_CHECK
rt_err sim_kv_dir_check_new(const struct sim_kv_store *store);
RT_CHECK
rt_err sim_kv_image_read(struct sim_kv_store *store, bool *columns_changed);
void sim_kv_image_remove_others(struct sim_kv_store *store);
RT_CHECK
rt_err sim_kv_file_find(struct sim_inode *dir, const char *name, struct sim_inode **inode);
RT_CHECK
rt_err sim_kv_file_read(struct sim_inode *inode, struct rt_buf *content);
RT_CHECK
rt_err sim_kv_file_write(struct sim_inode *dir, const char *name, struct rt_bytes content,
                         struct sim_inode **inode);  // created or replaced; synced; not held
void sim_kv_file_name(char name[static 32], uint64_t number, const char *ending);

void sim_kv_log_header(const struct sim_kv_store *store, struct rt_buf *content);
RT_CHECK
rt_err sim_kv_log_append(struct sim_kv_store *store, struct rt_bytes changes, bool durable);
// Replays what is valid. `clean`: the log holds nothing, it can be continued.
RT_CHECK
rt_err sim_kv_log_replay(struct sim_kv_store *store, bool *clean);

// SNAPSHOTS AND ITERATORS (sim_kv_iter.c)
struct rt_kv_snapshot *sim_kv_view_new(struct sim_kv_store *store);  // held
void sim_kv_view_release(struct sim_kv_store *store, struct rt_kv_snapshot *view);
struct rt_kv_iter *sim_kv_iter_new(struct rt_kv *kv, const struct rt_kv_snapshot *snapshot,
                                   unsigned column);
void sim_kv_iter_free(struct rt_kv_iter *iter);
void sim_kv_iter_first(struct rt_kv_iter *iter);
void sim_kv_iter_last(struct rt_kv_iter *iter);
void sim_kv_iter_seek(struct rt_kv_iter *iter, struct rt_bytes key);
void sim_kv_iter_seek_for_prev(struct rt_kv_iter *iter, struct rt_bytes key);
void sim_kv_iter_next(struct rt_kv_iter *iter);
void sim_kv_iter_prev(struct rt_kv_iter *iter);
bool sim_kv_iter_valid(const struct rt_kv_iter *iter);
rt_err sim_kv_iter_err(const struct rt_kv_iter *iter);
struct rt_bytes sim_kv_iter_key(const struct rt_kv_iter *iter);
struct rt_bytes sim_kv_iter_value(const struct rt_kv_iter *iter);

// A crash of the process: its stores are forgotten, their files stay.
void sim_kv_crash(struct rt_sim_node *node);

#endif
