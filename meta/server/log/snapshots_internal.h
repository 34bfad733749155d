// The inside of the snapshots: what their files share. Private to meta/server/log/.
//
// Everything that touches the disk is a job on a worker. There is one for taking and installing,
// one for receiving, one for putting away, and one for each peer that is sent something; a job
// touches only its own struct and what does not change.
#ifndef GEMINGA_META_SERVER_LOG_SNAPSHOTS_INTERNAL_H
#define GEMINGA_META_SERVER_LOG_SNAPSHOTS_INTERNAL_H

#include <assert.h>

#include "meta/server/log/exchange.h"
#include "meta/server/log/snapshots.h"
#include "runtime/work.h"

struct meta_snapshot {
    struct rt_list link;  // in items, oldest first
    struct raft_position at;
    unsigned readers;
};

// TAKING
struct meta_taking {
    struct rt_work work;
    bool is_busy;
    struct rt_kv *kv;
    struct raft_position at;
    struct raft_config config;
    uint64_t bytes;
    rt_err err;
    struct rt_why why;
};

// INSTALLING: waits until nothing is being taken.
struct meta_installing {
    struct rt_work work;
    bool is_wanted, is_busy;
    struct raft_position at;
    char *path;  // of the snapshot
    rt_err err;
    struct rt_why why;
};

// RECEIVING: chunks wait in order, one is written at a time.
struct meta_chunk {
    struct rt_list link;
    uint64_t transfer, offset, total;
    struct raft_position at;
    struct rt_bytes data;
    struct raft_payload *payload;
};

struct meta_receiving {
    struct rt_work work;
    bool is_busy;
    struct rt_list chunks;
    struct meta_chunk *chunk;  // being written
    // Of the job.
    uint64_t transfer;   // 0: none
    uint64_t offset;     // of the next byte
    struct rt_buf head;  // size and manifest
    struct meta_manifest manifest;
    bool has_manifest;
    size_t file_index;
    struct rt_file *file;
    uint64_t file_at;
    uint32_t file_crc;
    rt_err err;
    struct rt_why why;
};

struct meta_removed {
    struct rt_list link;
    char *path;
};

struct meta_putting_away {
    struct rt_work work;
    bool is_busy, ends_exchange;
    struct rt_list removed;  // paths of the job
    struct rt_list waiting;
    bool exchange_waits;
};

struct meta_snapshots {
    struct rt_machine *machine;
    struct rt_loop *loop;
    char *directory, *store_path, *building, *incoming;
    uint64_t cluster;
    struct meta_snapshots_events *events;
    struct rt_list items;
    struct raft_position current;  // those before it may go
    struct rt_list senders;
    unsigned reads;  // jobs under way
    struct meta_taking taking;
    struct meta_installing installing;
    struct meta_receiving receiving;
    struct meta_putting_away away;
    struct meta_snapshots_stats stats;
    bool is_closing, is_ended;
    struct rt_task *closed;
    struct rt_work close_work;
};

// snapshots.c
char *meta_snapshot_path(const struct meta_snapshots *snapshots, struct raft_position at);
struct meta_snapshot *meta_snapshot_find(struct meta_snapshots *snapshots, struct raft_position at);
void meta_snapshot_add(struct meta_snapshots *snapshots, struct raft_position at);
void meta_snapshots_advance(struct meta_snapshots *snapshots, struct raft_position at);
void meta_snapshots_put_away(struct meta_snapshots *snapshots);
void meta_snapshots_maybe_close(struct meta_snapshots *snapshots);
// The directory `from`, complete and synced, becomes the snapshot `at`.
RT_CHECK
rt_err meta_snapshot_publish_now(struct meta_snapshots *snapshots, const char *from,
                                 const struct meta_manifest *manifest, struct rt_why *why);

// snapshot_send.c
void meta_sender_open(struct meta_snapshots *snapshots, const struct raft_snapshot_effect *effect);
void meta_sender_read(struct meta_snapshots *snapshots, const struct raft_snapshot_effect *effect);
void meta_sender_close(struct meta_snapshots *snapshots, uint64_t peer);
void meta_senders_close(struct meta_snapshots *snapshots);

// snapshot_receive.c
void meta_receive(struct meta_snapshots *snapshots, const struct raft_snapshot_effect *effect);
void meta_receiving_drop(struct meta_snapshots *snapshots);     // what waits
void meta_receiving_end_now(struct meta_snapshots *snapshots);  // what is half received

// snapshot_install.c
void meta_install(struct meta_snapshots *snapshots, const struct raft_snapshot_effect *effect);
void meta_install_start(struct meta_snapshots *snapshots);  // if it is wanted and may start

#endif
