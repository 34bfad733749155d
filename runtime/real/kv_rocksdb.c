#include "runtime/real/kv_rocksdb.h"

#include <assert.h>
#include <rocksdb/c.h>
#include <string.h>

#include "runtime/real/file_posix.h"

enum { READ_BLOCK_CACHE = 1 };

// IS IT A STORE? RocksDB would make one of any directory, and take files it does not know for its
// own garbage.

static bool is_own_file(const struct rt_dir_entry *entry) {
    static const char *const beginnings[] = {"LOCK", "LOG", "IDENTITY", "MANIFEST-", "OPTIONS-"};
    if (entry->is_dir) return strcmp(entry->name, "lost+found") == 0;
    for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++) {
        if (strncmp(entry->name, beginnings[i], strlen(beginnings[i])) == 0) return true;
    }
    const char *end = strrchr(entry->name, '.');
    return end && (strcmp(end, ".log") == 0 || strcmp(end, ".dbtmp") == 0);
}

static rt_err new_dir_check(const char *path, const struct rt_dir_listing *listing,
                            struct rt_why *why) {
    for (size_t i = 0; i < listing->count; i++) {
        const char *name = listing->entries[i].name;
        const char *end = strrchr(name, '.');
        if (end && strcmp(end, ".sst") == 0) {
            return rt_why_set(why, RT_ECORRUPT,
                              "cannot open store %s: there is %s, but its file CURRENT is missing",
                              path, name);
        }
        if (is_own_file(&listing->entries[i])) continue;
        return rt_why_set(why, RT_EINVAL,
                          "cannot create a store in %s: the directory holds other files (%s)", path,
                          name);
    }
    return RT_OK;
}

static rt_err dir_check(struct rt_machine *machine, const char *path, bool create, bool *is_store,
                        struct rt_why *why) {
    if (create) {
        rt_err err = real_dir_create(machine, path, why);
        if (err) return rt_why_prefix(why, err, "cannot create store %s", path);
    }
    struct rt_dir_listing listing = {0};
    rt_err err = real_dir_list(machine, path, &listing, why);
    *is_store = false;
    for (size_t i = 0; i < listing.count && !err; i++) {
        if (strcmp(listing.entries[i].name, "CURRENT") == 0) *is_store = true;
    }
    if (!err && !*is_store && create) err = new_dir_check(path, &listing, why);
    if (!err && !*is_store && !create) {
        err = rt_why_set(why, RT_ENOTFOUND, "cannot open store %s: there is none", path);
    }
    rt_dir_listing_fini(&listing);
    return err;
}

// COLUMNS: first those the caller names, created where they are missing, then those that only the
// store knows (written by a later version): RocksDB wants all opened, so they are kept and left
// alone.

struct column_set {
    const char **names;
    rocksdb_options_t **options;
    unsigned count;
    char **known;  // RocksDB's list
    size_t known_count;
};

static bool column_set_has(const struct column_set *set, const char *name) {
    for (unsigned i = 0; i < set->count; i++) {
        if (strcmp(set->names[i], name) == 0) return true;
    }
    return false;
}

static void column_set_add(struct column_set *set, const struct rt_kv_column *column,
                           rocksdb_cache_t *cache) {
    set->names[set->count] = column->name;
    set->options[set->count] = real_kv_column_options(column, cache);
    set->count++;
}

static rt_err column_set_init(struct column_set *set, struct rt_kv *kv, bool is_store,
                              const rocksdb_options_t *store_options,
                              const struct rt_kv_options *options, struct rt_why *why) {
    char *error = NULL;
    *set = (struct column_set){0};
    if (is_store) {
        set->known =
            rocksdb_list_column_families(store_options, kv->path, &set->known_count, &error);
    }
    if (error) set->known = NULL;
    if (error) return real_kv_why(why, error, "open", kv->path);
    size_t count_max = options->column_count + set->known_count + 1;
    set->names = rt_alloc_zero(count_max, sizeof(*set->names));
    set->options = rt_alloc_zero(count_max, sizeof(*set->options));
    for (unsigned i = 0; i < options->column_count; i++) {
        column_set_add(set, &options->columns[i], kv->cache);
    }
    if (set->count == 0) column_set_add(set, &(struct rt_kv_column){.name = "default"}, kv->cache);
    kv->column_count = set->count;
    for (size_t i = 0; i < set->known_count; i++) {
        struct rt_kv_column column = {.name = set->known[i]};
        if (!column_set_has(set, column.name)) column_set_add(set, &column, kv->cache);
    }
    return RT_OK;
}

static void column_set_fini(struct column_set *set) {
    for (unsigned i = 0; i < set->count; i++) rocksdb_options_destroy(set->options[i]);
    rt_free(set->options);
    rt_free(set->names);
    if (set->known) rocksdb_list_column_families_destroy(set->known, set->known_count);
}

// OPENING AND CLOSING

static rt_err db_open(struct rt_kv *kv, const rocksdb_options_t *store_options,
                      const struct column_set *set, struct rt_why *why) {
    char *error = NULL;
    kv->handles = rt_alloc_zero(set->count, sizeof(*kv->handles));
    kv->db = rocksdb_open_column_families(store_options, kv->path, (int)set->count, set->names,
                                          (const rocksdb_options_t *const *)set->options,
                                          kv->handles, &error);
    if (error) {
        kv->db = NULL;
        return real_kv_why(why, error, "open", kv->path);
    }
    kv->handle_count = set->count;
    for (unsigned i = kv->column_count; i < set->count; i++) {
        if (strcmp(set->names[i], REAL_KV_MARKER_COLUMN) == 0) kv->marker = kv->handles[i];
    }
    return RT_OK;
}

static void access_options_make(struct rt_kv *kv) {
    for (unsigned i = RT_KV_DURABLE; i <= RT_KV_NO_LOG; i++) {
        kv->write_options[i] = rocksdb_writeoptions_create();
    }
    rocksdb_writeoptions_set_sync(kv->write_options[RT_KV_DURABLE], 1);
    rocksdb_writeoptions_disable_WAL(kv->write_options[RT_KV_NO_LOG], 1);
    kv->read_options = rocksdb_readoptions_create();
    kv->read_memory_options = rocksdb_readoptions_create();
    rocksdb_readoptions_set_read_tier(kv->read_memory_options, READ_BLOCK_CACHE);
}

static void kv_close(struct rt_kv *kv) {
    bool marker_is_extra = kv->marker != NULL;
    for (unsigned i = 0; kv->db && i < kv->handle_count; i++) {
        if (kv->handles[i] == kv->marker) marker_is_extra = false;
        rocksdb_column_family_handle_destroy(kv->handles[i]);
    }
    if (marker_is_extra) rocksdb_column_family_handle_destroy(kv->marker);
    if (kv->db) rocksdb_close(kv->db);  // flushes what has no log, all columns together
    for (unsigned i = RT_KV_DURABLE; i <= RT_KV_NO_LOG; i++) {
        rocksdb_writeoptions_destroy(kv->write_options[i]);
    }
    rocksdb_readoptions_destroy(kv->read_options);
    rocksdb_readoptions_destroy(kv->read_memory_options);
    rocksdb_cache_destroy(kv->cache);
    pthread_mutex_destroy(&kv->flush_lock);
    rt_free(kv->handles);
    rt_free(kv->path);
    rt_free(kv);
}

static struct rt_kv *kv_new(struct rt_machine *machine, const char *path,
                            const struct rt_kv_options *options) {
    struct rt_kv *kv = RT_NEW(struct rt_kv);
    rt_kv_head_init(&kv->head, machine, real_kv_backend());
    kv->path = rt_strdup(path);
    kv->cache = real_kv_cache_new(options);
    pthread_mutex_init(&kv->flush_lock, NULL);
    access_options_make(kv);
    return kv;
}

static rt_err kv_open(struct rt_machine *machine, const char *path,
                      const struct rt_kv_options *options, struct rt_kv **opened,
                      struct rt_why *why) {
    bool is_store = false;
    rt_err err = dir_check(machine, path, options->create_if_missing, &is_store, why);
    if (err) return err;
    struct rt_kv *kv = kv_new(machine, path, options);
    rocksdb_options_t *store_options = real_kv_store_options(options);
    struct column_set set;
    err = column_set_init(&set, kv, is_store, store_options, options, why);
    if (!err) err = db_open(kv, store_options, &set, why);
    column_set_fini(&set);
    rocksdb_options_destroy(store_options);
    if (err) {
        kv_close(kv);
        return err;
    }
    *opened = kv;
    return RT_OK;
}

// ASKING

static uint64_t property_sum(struct rt_kv *kv, const char *name) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < kv->handle_count; i++) {
        uint64_t value = 0;
        if (rocksdb_property_int_cf(kv->db, kv->handles[i], name, &value) == 0) sum += value;
    }
    return sum;
}

static struct rt_kv_stats kv_stats(struct rt_kv *kv) {
    return (struct rt_kv_stats){
        .memtable_bytes = property_sum(kv, "rocksdb.cur-size-all-mem-tables"),
        .cache_bytes = rocksdb_cache_get_usage(kv->cache),
        .table_reader_bytes = property_sum(kv, "rocksdb.estimate-table-readers-mem"),
        .live_bytes = property_sum(kv, "rocksdb.estimate-live-data-size"),
        .keys_estimate = property_sum(kv, "rocksdb.estimate-num-keys"),
    };
}

const struct rt_kv_backend *real_kv_backend(void) {
    static const struct rt_kv_backend backend = {
        .open = kv_open,
        .close = kv_close,
        .batch_new = real_kv_batch_new,
        .batch_free = real_kv_batch_free,
        .batch_clear = real_kv_batch_clear,
        .put = real_kv_put,
        .remove = real_kv_remove,
        .remove_range = real_kv_remove_range,
        .batch_count = real_kv_batch_count,
        .batch_bytes = real_kv_batch_bytes,
        .write = real_kv_write,
        .get = real_kv_get,
        .flush = real_kv_flush,
        .checkpoint = real_kv_checkpoint,
        .snapshot_take = real_kv_snapshot_take,
        .snapshot_drop = real_kv_snapshot_drop,
        .iter_new = real_kv_iter_new,
        .iter_free = real_kv_iter_free,
        .iter_first = real_kv_iter_first,
        .iter_last = real_kv_iter_last,
        .iter_seek = real_kv_iter_seek,
        .iter_seek_for_prev = real_kv_iter_seek_for_prev,
        .iter_next = real_kv_iter_next,
        .iter_prev = real_kv_iter_prev,
        .iter_valid = real_kv_iter_valid,
        .iter_err = real_kv_iter_err,
        .iter_key = real_kv_iter_key,
        .iter_value = real_kv_iter_value,
        .stats = kv_stats,
    };
    return &backend;
}
