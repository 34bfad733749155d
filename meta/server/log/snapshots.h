// Snapshots: checkpoints of the store as directories, taken while serving, streamed to peers in
// chunks, received, verified and put in place.
//
// A snapshot is DIRECTORY/INDEX-TERM (16 hex digits each) with the store's files and a MANIFEST
// (position, configuration, and size and CRC32C of every file; its own checksum at the end). It
// exists once it has that name: it is built under another, synced, and renamed. As a stream it is
// the manifest (u32 size, bytes), then the files in the manifest's order.
//
// Loop: the node's. Blocking parts run on workers; installing blocks.
#ifndef GEMINGA_META_SERVER_LOG_SNAPSHOTS_H
#define GEMINGA_META_SERVER_LOG_SNAPSHOTS_H

#include "meta/raft/raft.h"
#include "runtime/kv.h"

struct meta_snapshots;

struct meta_snapshots_events {
    // A checkpoint is in place. The state it holds is that after `applied`, which may be later than
    // when it was asked for. err: nothing is left of it, and the log line has been written.
    void (*taken)(struct meta_snapshots_events *events, rt_err err, uint64_t applied);
    // Called between checkpoint and MANIFEST, on the loop: what a snapshot of `applied` stores
    // besides the state (raft_snapshot_facts). False: unknown; the snapshot is given up.
    bool (*facts)(struct meta_snapshots_events *events, uint64_t applied, struct raft_position *at,
                  const struct raft_config **config);
    void (*chunk_read)(struct meta_snapshots_events *events, const struct raft_event *event);
    void (*chunk_written)(struct meta_snapshots_events *events, const struct raft_event *event);
    void (*installed)(struct meta_snapshots_events *events, rt_err err, uint64_t index,
                      struct rt_why *why);
    // Around the exchange of the store's files (meta_store_close_files_now, meta_store_reopen_now).
    void (*store_close)(struct meta_snapshots_events *events);
    rt_err (*store_open)(struct meta_snapshots_events *events, struct rt_why *why);
    // The applied position in the files of a store (meta_store_peek_now); called on a worker.
    rt_err (*store_peek)(struct rt_machine *machine, const char *path, struct raft_position *at,
                         struct rt_why *why);
};

struct meta_snapshots_options {
    const char *directory;   // of snapshots; created if missing
    const char *store_path;  // of the live store
    uint64_t cluster;
    struct meta_snapshots_events *events;
};

struct meta_snapshots_found {
    struct raft_position at;  // of the latest whole one; zero: none
    struct raft_config config;
};

// Blocks. Removes what is half made, finishes an exchange that a crash interrupted. If the store's
// files are missing the caller installs the latest with meta_snapshots_restore_now.
RT_CHECK
rt_err meta_snapshots_open_now(struct rt_machine *machine, struct rt_loop *loop,
                               const struct meta_snapshots_options *options,
                               struct meta_snapshots **snapshots,
                               struct meta_snapshots_found *found, struct rt_why *why);
// The latest snapshot becomes the (closed) store.
RT_CHECK
rt_err meta_snapshots_restore_now(struct meta_snapshots *snapshots, struct rt_why *why);

// One at a time (false: one is under way). The store may go on changing.
bool meta_snapshots_take(struct meta_snapshots *snapshots, struct rt_kv *kv);
// Carries out OPEN, READ, CLOSE, WRITE and INSTALL of the core.
void meta_snapshots_carry_out(struct meta_snapshots *snapshots,
                              const struct raft_snapshot_effect *effect);

struct meta_snapshots_stats {
    struct raft_position last;
    uint64_t taken, sent_bytes, received_bytes, installed, last_bytes;
};
struct meta_snapshots_stats meta_snapshots_stats(const struct meta_snapshots *snapshots);
void meta_snapshots_close(struct meta_snapshots *snapshots, struct rt_task *closed);

#endif
