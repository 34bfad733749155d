// What is measured belongs to the loop, a scrape comes on any thread: the loop copies the figures
// into metrics every second. Section 5.11 of the BookKeeper sheet has the names; what BookKeeper
// has no word for begins with geminga_bookie_.
#include "bookie/server/node/metrics.h"

#include "bookie/server/node/node_internal.h"
#include "runtime/metrics.h"

enum { EVERY_MS = 1000 };

struct figures {
    struct bookie_store_stats store;
    struct bookie_core_stats core;
    struct bookie_server_stats server;
    struct bookie_journal_stats journal;  // of all
    struct rt_disk_space space;
    unsigned dirs, writable_dirs, journals;
    int64_t status;  // 1 writable, 0 read-only, -1 not registered
};

struct row {
    const char *name, *help;
    enum rt_metric_kind kind;
    int64_t (*of)(const struct figures *figures);
};

struct series {
    struct rt_gauge gauge;
    struct rt_counter counter;
    uint64_t last;  // what the counter has got so far
};

#define FIGURE(name, expression)                   \
    static int64_t name(const struct figures *f) { \
        return (int64_t)(expression);              \
    }

FIGURE(status_of, f->status)
FIGURE(ledgers_of, f->store.ledgers_in_memory)
FIGURE(dirs_of, f->dirs)
FIGURE(writable_of, f->writable_dirs)
FIGURE(journals_of, f->journals)
FIGURE(write_bytes_of, f->core.add_bytes)
FIGURE(read_bytes_of, f->core.read_bytes)
FIGURE(adds_of, f->core.kinds[PROTO_BK_ADD].calls)
FIGURE(reads_of, f->core.kinds[PROTO_BK_READ].calls)
FIGURE(batch_reads_of, f->core.kinds[PROTO_BK_BATCH_READ].calls)
FIGURE(forces_of, f->core.kinds[PROTO_BK_FORCE_LEDGER].calls)
FIGURE(adds_now_of, f->core.adds_in_progress)
FIGURE(reads_now_of, f->core.reads_in_progress)
FIGURE(adds_parked_of, f->core.parked)
FIGURE(rejected_of, f->core.rejected)
FIGURE(polls_of, f->core.long_polls)
FIGURE(fences_of, f->core.fences)
FIGURE(journal_adds_of, f->journal.appends)
FIGURE(journal_bytes_of, f->journal.bytes)
FIGURE(journal_batches_of, f->journal.batches)
FIGURE(journal_queue_of, f->journal.queued_bytes)
FIGURE(journal_segments_of, f->journal.segments)
FIGURE(cache_count_of, f->store.write_cache_entries)
FIGURE(cache_size_of, f->store.write_cache_bytes)
FIGURE(cache_hits_of, f->store.write_cache_hits)
FIGURE(read_cache_size_of, f->store.read_cache_bytes)
FIGURE(read_cache_hits_of, f->store.read_cache_hits)
FIGURE(disk_reads_of, f->store.disk_reads)
FIGURE(flushes_of, f->store.flushes)
FIGURE(flush_bytes_of, f->store.flushed_bytes)
FIGURE(extents_of, f->store.flushed_extents)
FIGURE(index_records_of, f->store.index_records)
FIGURE(index_bytes_of, f->store.index_bytes)
FIGURE(corrupt_of, f->store.corrupt_extents)
FIGURE(files_of, f->store.files)
FIGURE(file_bytes_of, f->store.file_bytes)
FIGURE(live_bytes_of, f->store.live_bytes)
FIGURE(connections_of, f->server.connections)
FIGURE(protocol_errors_of, f->server.protocol_errors)
FIGURE(total_of, f->space.total_bytes)
FIGURE(free_of, f->space.free_bytes)

#define COUNTER RT_METRIC_COUNTER
#define GAUGE RT_METRIC_GAUGE

static const struct row rows[] = {
    {"bookie_SERVER_STATUS", "1 writable, 0 read-only, -1 not registered.", GAUGE, status_of},
    {"bookie_ledgers_count", "Ledgers whose records are in memory.", GAUGE, ledgers_of},
    {"bookie_ledger_num_dirs", "Ledger directories.", GAUGE, dirs_of},
    {"bookie_ledger_writable_dirs", "Those that are written to.", GAUGE, writable_of},
    {"bookie_JOURNAL_DIRS", "Journals.", GAUGE, journals_of},
    {"bookie_WRITE_BYTES", "Bytes of entries added.", COUNTER, write_bytes_of},
    {"bookie_READ_BYTES", "Bytes of entries read.", COUNTER, read_bytes_of},
    {"bookkeeper_server_ADD_ENTRY_REQUEST_count", "Adds.", COUNTER, adds_of},
    {"bookkeeper_server_READ_ENTRY_REQUEST_count", "Reads.", COUNTER, reads_of},
    {"bookkeeper_server_BATCH_READ_ENTRY_REQUEST_count", "Batch reads.", COUNTER, batch_reads_of},
    {"bookkeeper_server_FORCE_LEDGER_REQUEST_count", "Forces.", COUNTER, forces_of},
    {"bookkeeper_server_ADD_ENTRY_IN_PROGRESS", "Adds under way.", GAUGE, adds_now_of},
    {"bookkeeper_server_READ_ENTRY_IN_PROGRESS", "Reads under way.", GAUGE, reads_now_of},
    {"bookkeeper_server_ADD_ENTRY_BLOCKED", "Adds that wait for room.", GAUGE, adds_parked_of},
    {"bookkeeper_server_ADD_ENTRY_REJECTED", "Adds refused, too many waited.", COUNTER,
     rejected_of},
    {"bookkeeper_server_READ_ENTRY_LONG_POLL", "Reads that wait for a LAC.", GAUGE, polls_of},
    {"bookkeeper_server_READ_ENTRY_FENCE_REQUEST_count", "Fences.", COUNTER, fences_of},
    {"bookie_journal_JOURNAL_ADD_ENTRY_count", "Journal records.", COUNTER, journal_adds_of},
    {"bookie_journal_JOURNAL_WRITE_BYTES", "Bytes of journal records.", COUNTER, journal_bytes_of},
    {"bookie_journal_JOURNAL_SYNC_count", "Journal writes with a sync.", COUNTER,
     journal_batches_of},
    {"bookie_journal_JOURNAL_MEMORY_USED", "Bytes that wait for it.", GAUGE, journal_queue_of},
    {"geminga_bookie_journal_segments", "Journal segments in use.", GAUGE, journal_segments_of},
    {"bookie_write_cache_count", "Entries in the write cache.", GAUGE, cache_count_of},
    {"bookie_write_cache_size", "Bytes in the write cache.", GAUGE, cache_size_of},
    {"bookie_write_cache_hits_count", "Reads from the write cache.", COUNTER, cache_hits_of},
    {"bookie_read_cache_size", "Bytes in the read cache.", GAUGE, read_cache_size_of},
    {"bookie_read_cache_hits_count", "Reads from the read cache.", COUNTER, read_cache_hits_of},
    {"bookie_read_cache_misses_count", "Reads from a disk.", COUNTER, disk_reads_of},
    {"bookie_flush_count", "Flushes of the write cache.", COUNTER, flushes_of},
    {"bookie_flush_size_sum", "Bytes flushed.", COUNTER, flush_bytes_of},
    {"geminga_bookie_extents_written", "Extents flushed.", COUNTER, extents_of},
    {"geminga_bookie_index_records", "Index records written.", COUNTER, index_records_of},
    {"geminga_bookie_index_bytes", "Index bytes written.", COUNTER, index_bytes_of},
    {"geminga_bookie_corrupt_extents", "Extents found damaged.", COUNTER, corrupt_of},
    {"bookie_ACTIVE_ENTRY_LOG_TOTAL", "Ledger files.", GAUGE, files_of},
    {"bookie_ENTRY_LOG_SPACE_BYTES", "Bytes of ledger files.", GAUGE, file_bytes_of},
    {"bookie_ACTIVE_ENTRY_LOG_SPACE_BYTES", "Those that live.", GAUGE, live_bytes_of},
    {"geminga_bookie_connections", "Client connections.", GAUGE, connections_of},
    {"geminga_bookie_protocol_errors", "Connections closed for nonsense.", COUNTER,
     protocol_errors_of},
    {"geminga_bookie_disk_bytes", "Size of the ledger disks.", GAUGE, total_of},
    {"geminga_bookie_disk_free_bytes", "Room on them.", GAUGE, free_of},
};
enum { ROW_COUNT = sizeof(rows) / sizeof(rows[0]) };

struct bookie_metrics {
    struct bookie_node *node;
    struct rt_timer timer;
    struct series series[ROW_COUNT];
};

static void journals_sum(const struct bookie_node *node, struct bookie_journal_stats *sum) {
    for (unsigned i = 0; i < node->journal_count; i++) {
        struct bookie_journal_stats one = bookie_journal_stats(node->journals[i]);
        sum->appends += one.appends;
        sum->batches += one.batches;
        sum->bytes += one.bytes;
        sum->queued_bytes += one.queued_bytes;
        sum->segments += one.segments;
    }
}

static void disks_count(const struct bookie_node *node, struct figures *figures) {
    const struct bookie_disk *disks = bookie_disks_all(node->disks, &figures->dirs);
    for (unsigned i = 0; i < figures->dirs; i++) figures->writable_dirs += !disks[i].is_full;
}

static void series_set(struct series *series, enum rt_metric_kind kind, int64_t value) {
    uint64_t now = (uint64_t)value;
    if (kind == RT_METRIC_GAUGE)
        rt_gauge_set(&series->gauge, value);
    else if (now > series->last)
        rt_counter_add(&series->counter, now - series->last);
    series->last = now;
}

static void figures_take(struct bookie_metrics *metrics) {
    const struct bookie_node *node = metrics->node;
    struct figures figures = {.store = bookie_store_stats(node->store),
                              .core = bookie_core_stats(node->core),
                              .server = bookie_server_stats(node->server),
                              .space = bookie_disks_space(node->disks),
                              .journals = node->journal_count};
    journals_sum(node, &figures.journal);
    disks_count(node, &figures);
    bool registered = node->registrar && bookie_registrar_is_registered(node->registrar);
    figures.status = registered ? !bookie_node_is_read_only(node) : -1;
    for (size_t i = 0; i < ROW_COUNT; i++)
        series_set(&metrics->series[i], rows[i].kind, rows[i].of(&figures));
}

static void tick(struct rt_timer *timer) {
    struct bookie_metrics *metrics = rt_container_of(timer, struct bookie_metrics, timer);
    figures_take(metrics);
    rt_timer_after(timer, EVERY_MS * RT_NS_PER_MS);
}

static void series_register(struct series *series, const struct row *row,
                            struct rt_metrics *registry) {
    if (row->kind == RT_METRIC_GAUGE)
        rt_gauge_register(&series->gauge, registry, row->name, row->help, "");
    else
        rt_counter_register(&series->counter, registry, row->name, row->help, "");
}

struct bookie_metrics *bookie_metrics_new(struct bookie_node *node) {
    struct bookie_metrics *metrics = RT_NEW(struct bookie_metrics);
    metrics->node = node;
    for (size_t i = 0; i < ROW_COUNT; i++)
        series_register(&metrics->series[i], &rows[i], node->machine->metrics);
    rt_timer_init(&metrics->timer, node->loop, tick, "bookie.metrics");
    figures_take(metrics);
    rt_timer_after(&metrics->timer, EVERY_MS * RT_NS_PER_MS);
    return metrics;
}

void bookie_metrics_free(struct bookie_metrics *metrics) {
    if (!metrics) return;
    rt_timer_cancel(&metrics->timer);
    for (size_t i = 0; i < ROW_COUNT; i++) {
        rt_metric_unregister(&metrics->series[i].gauge.metric);
        rt_metric_unregister(&metrics->series[i].counter.metric);
    }
    rt_free(metrics);
}
