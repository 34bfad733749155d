// Opening the disks: the store, the journals from the store's marks on, and the replay between.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bookie/server/node/node_internal.h"
#include "runtime/crc32c.h"
#include "runtime/log.h"

#define MIB ((size_t)1 << 20)

// EVENTS OF THE DISKS

static void store_flushed(struct bookie_store_events *events, const struct bookie_mark *marks,
                          unsigned count) {
    struct bookie_node *node = rt_container_of(events, struct bookie_node, store_events);
    for (unsigned i = 0; i < count && i < node->journal_count; i++) {
        if (node->journals[i]) bookie_journal_release(node->journals[i], marks[i]);
    }
}

// The core hears of room through its own ops; who was parked goes on.
static void store_drained(struct bookie_store_events *events) {
    struct bookie_node *node = rt_container_of(events, struct bookie_node, store_events);
    if (node->core) bookie_core_on_drained(node->core);
}

// While journals are replayed a flush covers what was replayed so far, and no more.
static struct bookie_mark store_journal_end(struct bookie_store_events *events, unsigned index) {
    const struct bookie_node *node = rt_container_of(events, struct bookie_node, store_events);
    if (node->is_replaying || !node->journals[index]) return node->replay_marks[index];
    return bookie_journal_end(node->journals[index]);
}

static void store_failed(struct bookie_store_events *events, rt_err err, const char *what) {
    bookie_node_fail(rt_container_of(events, struct bookie_node, store_events), err, what);
}

static void journal_failed(struct bookie_journal_events *events, rt_err err, const char *what) {
    struct bookie_node *node = rt_container_of(events, struct bookie_node, journal_events);
    if (node->core) bookie_core_on_failed(node->core);
    bookie_node_fail(node, err, what);
}

static void journal_drained(struct bookie_journal_events *events) {
    struct bookie_node *node = rt_container_of(events, struct bookie_node, journal_events);
    if (node->core) bookie_core_on_drained(node->core);
}

static void core_congested(struct bookie_core_events *events) {
    struct bookie_node *node = rt_container_of(events, struct bookie_node, core_events);
    if (node->server) bookie_server_on_congested(node->server);
}

static void core_relieved(struct bookie_core_events *events) {
    struct bookie_node *node = rt_container_of(events, struct bookie_node, core_events);
    if (node->server) bookie_server_on_relieved(node->server);
}

// OPENING

static rt_err store_open(struct bookie_node *node, struct rt_why *why) {
    const struct bookie_config *config = node->options.config;
    const struct bookie_values *values = &config->values;
    node->store_events = (struct bookie_store_events){.journal_end = store_journal_end,
                                                      .flushed = store_flushed,
                                                      .drained = store_drained,
                                                      .failed = store_failed};
    const struct bookie_store_options options = {.ledger_dirs = config->ledger_dirs,
                                                 .ledger_dir_count = config->ledger_dir_count,
                                                 .index_dir = config->index_dir,
                                                 .journal_count = config->journal_count,
                                                 .write_cache_bytes = values->write_cache_mb * MIB,
                                                 .read_cache_bytes = values->read_cache_mb * MIB,
                                                 .index_cache_bytes = values->index_cache_mb * MIB,
                                                 .file_bytes_max = values->file_bytes_max,
                                                 .extent_bytes = values->extent_bytes,
                                                 .compress = values->compress,
                                                 .flush_ms = values->flush_ms,
                                                 .events = &node->store_events};
    return bookie_store_open_now(node->machine, node->loop, &options, &node->store, why);
}

// Of this bookie, and of this one of its journals.
static uint64_t journal_owner(const struct bookie_node *node, unsigned index) {
    uint32_t name = rt_crc32c(0, rt_bytes_of(node->id));
    return ((uint64_t)name << 32) | (index + 1);
}

static rt_err journal_open(struct bookie_node *node, unsigned index, struct rt_why *why) {
    const struct bookie_config *config = node->options.config;
    const struct bookie_values *values = &config->values;
    char path[1024];
    snprintf(path, sizeof(path), "%.1000s/current", config->journal_dirs[index]);
    const struct bookie_journal_options options = {
        .directory = path,
        .owner = journal_owner(node, index),
        .segment_bytes = values->journal_segment_mb * MIB,
        .queue_bytes_max = values->journal_memory_mb * MIB,
        .spare_max = (unsigned)values->journal_backups,
        .sync = values->journal_sync,
        .planted_no_sync = node->options.planted_bugs & BOOKIE_BUG_NO_SYNC,
        .events = &node->journal_events};
    return bookie_journal_open_now(node->machine, node->loop, &options,
                                   bookie_store_mark(node->store, index), &node->journals[index],
                                   why);
}

struct replay {
    struct bookie_journal_replay each;
    struct bookie_node *node;
    unsigned journal;
};

static rt_err record_replay(struct bookie_journal_replay *each, struct rt_bytes record,
                            struct bookie_mark at, struct rt_why *why) {
    struct replay *replay = rt_container_of(each, struct replay, each);
    struct bookie_node *node = replay->node;
    rt_err err = bookie_core_replay_now(node->core, replay->journal, record, why);
    node->replayed++;
    node->replay_marks[replay->journal] = at;
    return err;
}

static rt_err journals_open(struct bookie_node *node, struct rt_why *why) {
    rt_err err = RT_OK;
    node->journal_events =
        (struct bookie_journal_events){.failed = journal_failed, .drained = journal_drained};
    node->journal_count = node->options.config->journal_count;
    node->is_replaying = true;
    for (unsigned i = 0; i < node->journal_count && !err; i++) err = journal_open(node, i, why);
    for (unsigned i = 0; i < node->journal_count; i++)
        node->replay_marks[i] = bookie_store_mark(node->store, i);
    for (unsigned i = 0; i < node->journal_count && !err; i++) {
        struct replay replay = {.each = {record_replay}, .node = node, .journal = i};
        err = bookie_journal_replay_now(node->journals[i], &replay.each, why);
    }
    node->is_replaying = false;
    return err;
}

static void core_open(struct bookie_node *node) {
    const struct bookie_values *values = &node->options.config->values;
    node->core_events =
        (struct bookie_core_events){.congested = core_congested, .relieved = core_relieved};
    const struct bookie_core_options options = {
        .store = node->store,
        .journals = node->journals,
        .journal_count = node->options.config->journal_count,
        .journal_writes = values->journal_write,
        .batch_read_bytes_max = (int64_t)values->batch_read_bytes_max,
        .frame_size_max = (size_t)values->frame_size_max,
        .adds_in_progress_max = (unsigned)values->adds_in_progress_max,
        .reads_in_progress_max = (unsigned)values->reads_in_progress_max,
        .events = &node->core_events};
    node->core = bookie_core_new(node->machine, node->loop, &options);
}

static void replayed_flushed(struct bookie_flush_op *op, rt_err err) {
    struct bookie_node *node = rt_container_of(op, struct bookie_node, flush);
    if (err) return bookie_node_fail(node, err, "what was replayed cannot be flushed");
    bookie_node_storage_opened(node);
}

void bookie_node_storage_open(struct bookie_node *node) {
    struct rt_why why = {{0}};
    uint64_t since = rt_loop_clock(node->loop);
    rt_loop_may_block(node->loop);
    rt_err err = store_open(node, &why);
    if (!err) {
        core_open(node);
        err = journals_open(node, &why);
    }
    if (err) return bookie_node_fail(node, err, why.text);
    rt_log_info("bookie", "disks are open records_replayed=%" PRIu64 " ms=%" PRIu64, node->replayed,
                (rt_loop_clock(node->loop) - since) / RT_NS_PER_MS);
    node->flush.done = replayed_flushed;
    bookie_store_flush(node->store, &node->flush);
}
