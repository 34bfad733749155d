// A bookie's configuration (bookkeeper.conf) as it is: the keys that BookKeeper and Pulsar's images
// know, with BookKeeper's defaults. Section 5.12 of the BookKeeper sheet. Keys that have no meaning
// here are accepted with a debug line, unknown ones warned about with the nearest known name.
#ifndef GEMINGA_BOOKIE_SERVER_NODE_BK_CONFIG_H
#define GEMINGA_BOOKIE_SERVER_NODE_BK_CONFIG_H

#include "bookie/server/store/store.h"
#include "runtime/config.h"

// Values of the table; texts are owned (rt_config_fini).
struct bookie_values {
    int64_t port;
    char *bookie_id, *advertised_address, *listening_interface;
    bool use_host_name, use_short_host_name, allow_loopback, allow_ephemeral_ports;
    char *metadata_uri, *zk_servers, *zk_root;
    uint64_t zk_timeout_ms;
    char *journal_dirs, *ledger_dirs, *index_dirs;
    bool allow_storage_expansion;
    bool journal_sync, journal_write;
    uint64_t journal_segment_mb, journal_memory_mb, journal_backups;
    uint64_t flush_ms, file_bytes_max;
    uint64_t write_cache_mb, read_cache_mb, index_cache_mb;
    uint64_t extent_bytes;
    bool compress;
    uint64_t batch_read_bytes_max;
    uint64_t gc_wait_ms;
    char *minor_threshold, *major_threshold;  // fractions
    uint64_t minor_interval_s, major_interval_s, compaction_bytes_per_s;
    bool force_allow_compaction;
    char *disk_threshold, *disk_warn_threshold, *disk_low_threshold;
    uint64_t disk_check_ms;
    bool read_only_enabled, read_only_on_any, force_read_only, persist_status;
    uint64_t usable_for_recovery;
    int64_t frame_size_max, adds_in_progress_max, reads_in_progress_max;
    bool http_enabled;
    int64_t http_port;
    char *http_address;
};

struct bookie_config {
    struct bookie_values values;
    char *servers;      // of the metadata, "h1:2181,h2:2181"
    char *root;         // "/ledgers"
    char *directories;  // what the lists below point into
    const char *journal_dirs[BOOKIE_JOURNALS_MAX];
    const char *ledger_dirs[BOOKIE_DIRS_MAX];
    const char *index_dir;
    unsigned journal_count, ledger_dir_count;
    // In thousandths of a disk, or of a file.
    unsigned disk_full, disk_warn, disk_low, minor_live, major_live;
};

extern const struct rt_option_table bookie_options;

// All that is wrong is in the report; RT_EINVAL if anything is.
RT_CHECK
rt_err bookie_config_load(const struct rt_config_source *source, struct bookie_config *config,
                          struct rt_config_report *report);
void bookie_config_fini(struct bookie_config *config);
// Fills the rest of a config whose values are set (standalone, tests).
RT_CHECK
rt_err bookie_config_finish(struct bookie_config *config, struct rt_why *why);

// "zk+hierarchical://h1:2181;h2:2181/ledgers", also with zk, zk+flat's kin refused; Pulsar's
// "metadata-store:zk:h1:2181,h2:2181/ledgers". Both texts are the caller's to free.
RT_CHECK
rt_err bookie_metadata_uri_parse(const char *uri, char **servers, char **root, struct rt_why *why);

#endif
