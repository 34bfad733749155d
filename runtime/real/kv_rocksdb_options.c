#include <rocksdb/c.h>

#include "runtime/real/kv_rocksdb.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

enum {
    OPEN_FILES_MAX = 512,  // table files; more are opened and closed as needed
    BACKGROUND_JOBS = 2,   // one flush and one compaction at a time
    BLOOM_BITS_PER_KEY = 10,
    INFO_LOG_WARN = 2
};

static size_t or_default(size_t value, size_t when_zero) {
    return value ? value : when_zero;
}

static size_t write_buffers_size(const struct rt_kv_options *options) {
    size_t size = 0;
    for (unsigned i = 0; i < options->column_count; i++) {
        size += or_default(options->columns[i].write_buffer_bytes, 16 * MIB);
    }
    return or_default(size, 16 * MIB);
}

// RocksDB's own log is for its authors: small, and warnings only.
static void own_log_options(rocksdb_options_t *o) {
    rocksdb_options_set_info_log_level(o, INFO_LOG_WARN);
    rocksdb_options_set_max_log_file_size(o, 1 * MIB);
    rocksdb_options_set_keep_log_file_num(o, 2);
    rocksdb_options_set_stats_dump_period_sec(o, 0);
    rocksdb_options_set_stats_persist_period_sec(o, 0);
}

rocksdb_options_t *real_kv_store_options(const struct rt_kv_options *options) {
    rocksdb_options_t *o = rocksdb_options_create();
    size_t write_buffers = write_buffers_size(options);
    own_log_options(o);
    rocksdb_options_set_create_if_missing(o, options->create_if_missing);
    rocksdb_options_set_create_missing_column_families(o, 1);
    rocksdb_options_set_paranoid_checks(o, 1);
    rocksdb_options_set_skip_stats_update_on_db_open(o, 1);
    rocksdb_options_set_max_open_files(o, OPEN_FILES_MAX);
    rocksdb_options_set_max_background_jobs(o, BACKGROUND_JOBS);
    // What is lost without a log must be lost in all columns alike: a flush takes them together.
    rocksdb_options_set_atomic_flush(o, options->column_count > 1);
    rocksdb_options_set_db_write_buffer_size(o, write_buffers);
    rocksdb_options_set_max_total_wal_size(o, 2 * write_buffers);  // bounds what opening replays
    rocksdb_options_set_max_manifest_file_size(o, 4 * MIB);
    rocksdb_options_set_bytes_per_sync(o, 512 * KIB);  // no write-back storm under a journal's sync
    rocksdb_options_compaction_readahead_size(o, 512 * KIB);
    return o;
}

// Index and filter blocks live in the cache, so that cache_bytes bounds them too, in partitions, so
// that a lookup needs only its part of them. What level 0 and the tops of the indexes take stays
// there.
static rocksdb_block_based_table_options_t *table_options(const struct rt_kv_column *column,
                                                          rocksdb_cache_t *cache) {
    rocksdb_block_based_table_options_t *t = rocksdb_block_based_options_create();
    rocksdb_block_based_options_set_block_cache(t, cache);
    rocksdb_block_based_options_set_block_size(t, or_default(column->block_bytes, 4 * KIB));
    rocksdb_block_based_options_set_cache_index_and_filter_blocks(t, 1);
    rocksdb_block_based_options_set_cache_index_and_filter_blocks_with_high_priority(t, 1);
    rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(t, 1);
    rocksdb_block_based_options_set_pin_top_level_index_and_filter(t, 1);
    rocksdb_block_based_options_set_index_type(
        t, rocksdb_block_based_table_index_type_two_level_index_search);
    rocksdb_block_based_options_set_partition_filters(t, 1);
    rocksdb_block_based_options_set_format_version(t, 5);
    rocksdb_block_based_options_set_filter_policy(
        t, rocksdb_filterpolicy_create_bloom_full(BLOOM_BITS_PER_KEY));  // taken
    rocksdb_block_based_options_set_whole_key_filtering(t, column->prefix_bytes == 0);
    return t;
}

rocksdb_options_t *real_kv_column_options(const struct rt_kv_column *column,
                                          rocksdb_cache_t *cache) {
    rocksdb_options_t *o = rocksdb_options_create();
    rocksdb_options_set_write_buffer_size(o, or_default(column->write_buffer_bytes, 16 * MIB));
    rocksdb_options_set_arena_block_size(o, 64 * KIB);  // what an idle column costs
    rocksdb_options_set_level_compaction_dynamic_level_bytes(o, 1);
    rocksdb_options_set_compression(o, column->compress ? rocksdb_lz4_compression
                                                        : rocksdb_no_compression);
    if (column->prefix_bytes > 0) {
        rocksdb_options_set_prefix_extractor(
            o, rocksdb_slicetransform_create_fixed_prefix(column->prefix_bytes));  // taken
    }
    rocksdb_block_based_table_options_t *t = table_options(column, cache);
    rocksdb_options_set_block_based_table_factory(o, t);
    rocksdb_block_based_options_destroy(t);
    return o;
}

rocksdb_cache_t *real_kv_cache_new(const struct rt_kv_options *options) {
    return rocksdb_cache_create_lru(or_default(options->cache_bytes, 64 * MIB));
}
