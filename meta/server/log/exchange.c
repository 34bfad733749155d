#include "meta/server/log/exchange.h"

#include <string.h>

#include "runtime/crc32c.h"
#include "runtime/log.h"

enum { COPY_SIZE = 256 << 10 };

static char *path_with(const char *store, const char *ending) {
    struct rt_buf path = {0};
    rt_buf_print(&path, "%s%s", store, ending);
    rt_buf_append(&path, RT_BYTES("", 1));
    return (char *)path.data;
}

static rt_err parent_sync_now(struct rt_machine *machine, const char *path) {
    const char *slash = strrchr(path, '/');
    if (!slash) return rt_dir_sync_now(machine, ".");
    if (slash == path) return rt_dir_sync_now(machine, "/");
    size_t size = (size_t)(slash - path);
    char *parent = rt_alloc(size + 1);
    memcpy(parent, path, size);
    parent[size] = '\0';
    rt_err err = rt_dir_sync_now(machine, parent);
    rt_free(parent);
    return err;
}

// COPYING

static rt_err bytes_copy_now(struct rt_file *in, struct rt_file *out,
                             const struct meta_manifest_file *file) {
    uint8_t *bytes = rt_alloc(COPY_SIZE);
    uint32_t crc = 0;
    uint64_t at = 0;
    rt_err err = RT_OK;
    while (!err && at < file->size) {
        size_t size = file->size - at < COPY_SIZE ? (size_t)(file->size - at) : COPY_SIZE, got;
        err = rt_file_read_now(in, at, bytes, size, &got);
        if (!err && got == 0) err = RT_ECORRUPT;
        if (err) break;
        crc = rt_crc32c(crc, RT_BYTES(bytes, got));
        err = rt_file_write_now(out, at, RT_BYTES(bytes, got));
        at += got;
    }
    rt_free(bytes);
    if (!err && crc != file->crc) err = RT_ECORRUPT;
    return err ? err : rt_file_sync_now(out);
}

static rt_err file_copy_now(struct rt_machine *machine, const char *snapshot, const char *to,
                            const struct meta_manifest_file *file, struct rt_why *why) {
    char *from_path = meta_path(snapshot, file->name), *to_path = meta_path(to, file->name);
    struct rt_file *in, *out;
    rt_err err = rt_file_open_now(machine, from_path, RT_FILE_READ, &in, why);
    if (err) goto free_paths;
    err = rt_file_open_now(machine, to_path, RT_FILE_WRITE | RT_FILE_CREATE, &out, why);
    if (err) goto close_in;
    err = bytes_copy_now(in, out, file);
    if (err) rt_why_set(why, err, "cannot copy %s: %s", from_path, rt_err_text(err));
    rt_file_close_now(out);
close_in:
    rt_file_close_now(in);
free_paths:
    rt_free(from_path);
    rt_free(to_path);
    return err;
}

rt_err meta_exchange_prepare_now(struct rt_machine *machine, const char *snapshot,
                                 const char *store, struct rt_why *why) {
    struct meta_manifest manifest;
    char *making = path_with(store, ".making"), *ready = path_with(store, ".new");
    rt_err err = meta_manifest_read_now(machine, snapshot, NULL, &manifest);
    if (err) rt_why_set(why, err, "the manifest of %s: %s", snapshot, rt_err_text(err));
    if (!err) err = rt_path_remove_tree_now(machine, making);
    if (!err) err = rt_path_remove_tree_now(machine, ready);
    if (!err) err = rt_dir_create_now(machine, making, why);
    for (size_t i = 0; !err && i < manifest.count; i++)
        err = file_copy_now(machine, snapshot, making, &manifest.files[i], why);
    if (!err) err = rt_dir_sync_now(machine, making);
    if (!err) err = rt_path_rename_now(machine, making, ready);
    if (!err) err = parent_sync_now(machine, store);
    meta_manifest_fini(&manifest);
    rt_free(making);
    rt_free(ready);
    return err ? rt_why_prefix(why, err, "making a store from a snapshot") : RT_OK;
}

// EXCHANGING: each rename is durable before the next.

rt_err meta_exchange_swap_now(struct rt_machine *machine, const char *store, struct rt_why *why) {
    char *ready = path_with(store, ".new"), *old = path_with(store, ".old");
    bool exists = false;
    rt_err err = rt_path_exists_now(machine, store, &exists);
    if (!err && exists) err = rt_path_remove_tree_now(machine, old);
    if (!err && exists) err = rt_path_rename_now(machine, store, old);
    if (!err && exists) err = parent_sync_now(machine, store);
    if (!err) err = rt_path_rename_now(machine, ready, store);
    if (!err) err = parent_sync_now(machine, store);
    rt_free(ready);
    rt_free(old);
    return err ? rt_why_set(why, err, "cannot exchange %s: %s", store, rt_err_text(err)) : RT_OK;
}

rt_err meta_exchange_finish_now(struct rt_machine *machine, const char *store) {
    char *old = path_with(store, ".old");
    rt_err err = rt_path_remove_tree_now(machine, old);
    if (!err) err = parent_sync_now(machine, store);
    rt_free(old);
    return err;
}

rt_err meta_exchange_recover_now(struct rt_machine *machine, const char *store,
                                 struct rt_why *why) {
    char *making = path_with(store, ".making"), *ready = path_with(store, ".new");
    char *old = path_with(store, ".old");
    bool has_new = false, has_old = false, has_store = false;
    rt_err err = rt_path_remove_tree_now(machine, making);
    if (!err) err = rt_path_exists_now(machine, ready, &has_new);
    if (!err) err = rt_path_exists_now(machine, old, &has_old);
    if (!err) err = rt_path_exists_now(machine, store, &has_store);
    if (err) goto free_paths;
    if (has_new) {
        rt_log_info("snapshots", "interrupted installation was finished store=%s", store);
        err = meta_exchange_swap_now(machine, store, why);
    } else if (has_old && !has_store) {
        err = rt_path_rename_now(machine, old, store);
        if (!err) err = parent_sync_now(machine, store);
    }
    if (!err) err = meta_exchange_finish_now(machine, store);

free_paths:
    rt_free(making);
    rt_free(ready);
    rt_free(old);
    return err ? rt_why_prefix(why, err, "finishing an installation in %s", store) : RT_OK;
}
