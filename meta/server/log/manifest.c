#include "meta/server/log/manifest.h"

#include <assert.h>
#include <string.h>

#include "runtime/crc32c.h"

enum { MAGIC = 0x476d536e, VERSION = 1, CHECKSUM_SIZE = 4, READ_SIZE = 256 << 10 };

#define FILES_BYTES_MAX (UINT64_C(1) << 62)

void meta_manifest_fini(struct meta_manifest *manifest) {
    for (size_t i = 0; i < manifest->count; i++) rt_free(manifest->files[i].name);
    rt_free(manifest->files);
    manifest->files = NULL;
    manifest->count = 0;
}

void meta_manifest_add(struct meta_manifest *manifest, struct rt_bytes name, uint64_t size,
                       uint32_t crc) {
    size_t count = manifest->count;
    if ((count & (count - 1)) == 0) {  // the capacity is the next power of two
        size_t capacity = count ? 2 * count : 1;
        manifest->files = rt_realloc(manifest->files, capacity * sizeof(*manifest->files));
    }
    char *copy = rt_alloc(name.size + 1);
    memcpy(copy, name.data, name.size);
    copy[name.size] = '\0';
    manifest->files[manifest->count++] = (struct meta_manifest_file){copy, size, crc};
}

uint64_t meta_manifest_bytes(const struct meta_manifest *manifest) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < manifest->count; i++) bytes += manifest->files[i].size;
    return bytes;
}

// FORMAT

void meta_manifest_encode(const struct meta_manifest *manifest, struct rt_buf *buf) {
    uint8_t config[RAFT_CONFIG_SIZE_MAX];
    struct rt_writer c = rt_writer_over(config, sizeof(config));
    raft_config_encode(&manifest->config, &c);
    assert(!rt_writer_failed(&c));
    rt_buf_clear(buf);
    struct rt_writer w = rt_writer_into(buf);
    rt_write_be32(&w, MAGIC);
    rt_write_be32(&w, VERSION);
    rt_write_be64(&w, manifest->cluster);
    rt_write_be64(&w, manifest->at.index);
    rt_write_be64(&w, manifest->at.term);
    size_t config_size = (size_t)(c.at - config);
    rt_write_be32(&w, (uint32_t)config_size);
    rt_write_bytes(&w, RT_BYTES(config, config_size));
    rt_write_be32(&w, (uint32_t)manifest->count);
    for (size_t i = 0; i < manifest->count; i++) {
        const struct meta_manifest_file *file = &manifest->files[i];
        struct rt_bytes name = rt_bytes_of(file->name);
        rt_write_be16(&w, (uint16_t)name.size);
        rt_write_bytes(&w, name);
        rt_write_be64(&w, file->size);
        rt_write_be32(&w, file->crc);
    }
    rt_write_be32(&w, rt_crc32c(0, rt_buf_bytes(buf)));
}

static bool name_is_plain(struct rt_bytes name) {
    if (name.size == 0 || name.size > META_MANIFEST_NAME_MAX) return false;
    if (rt_bytes_equal(name, RT_BYTES_LITERAL(META_MANIFEST_NAME))) return false;
    if (name.data[0] == '.') return false;
    for (size_t i = 0; i < name.size; i++) {
        uint8_t c = name.data[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool is_digit = c >= '0' && c <= '9';
        if (!is_letter && !is_digit && c != '.' && c != '-' && c != '_') return false;
    }
    return true;
}

static void file_decode(struct rt_reader *r, struct meta_manifest *manifest, uint64_t *total) {
    struct rt_bytes name = rt_read_bytes(r, rt_read_be16(r));
    uint64_t size = rt_read_be64(r);
    uint32_t crc = rt_read_be32(r);
    if (rt_reader_failed(r)) return;
    bool ascends = true;
    if (manifest->count) {
        struct rt_bytes before = rt_bytes_of(manifest->files[manifest->count - 1].name);
        ascends = rt_bytes_compare(before, name) < 0;
    }
    if (!name_is_plain(name) || !ascends || size > FILES_BYTES_MAX - *total) {
        rt_reader_fail(r);
        return;
    }
    *total += size;
    meta_manifest_add(manifest, name, size, crc);
}

rt_err meta_manifest_decode(struct rt_bytes bytes, struct meta_manifest *manifest) {
    *manifest = (struct meta_manifest){0};
    if (bytes.size < CHECKSUM_SIZE || bytes.size > META_MANIFEST_SIZE_MAX) return RT_ECORRUPT;
    struct rt_bytes content = RT_BYTES(bytes.data, bytes.size - CHECKSUM_SIZE);
    struct rt_reader sum = rt_reader_over(rt_bytes_skip(bytes, content.size));
    if (rt_read_be32(&sum) != rt_crc32c(0, content)) return RT_ECORRUPT;
    struct rt_reader r = rt_reader_over(content);
    if (rt_read_be32(&r) != MAGIC || rt_read_be32(&r) != VERSION) rt_reader_fail(&r);
    manifest->cluster = rt_read_be64(&r);
    manifest->at.index = rt_read_be64(&r);
    manifest->at.term = rt_read_be64(&r);
    struct rt_bytes config = rt_read_bytes(&r, rt_read_be32(&r));
    if (rt_reader_failed(&r) || raft_config_decode(config, &manifest->config)) return RT_ECORRUPT;
    uint32_t count = rt_read_be32(&r);
    if (count > META_MANIFEST_FILES_MAX) rt_reader_fail(&r);
    uint64_t total = 0;
    for (uint32_t i = 0; i < count && !rt_reader_failed(&r); i++) file_decode(&r, manifest, &total);
    return rt_reader_done(&r) ? RT_OK : RT_ECORRUPT;
}

// FILES

char *meta_path(const char *directory, const char *name) {
    struct rt_buf path = {0};
    rt_buf_print(&path, "%s/%s", directory, name);
    rt_buf_append(&path, RT_BYTES("", 1));
    return (char *)path.data;
}

rt_err meta_file_read_now(struct rt_machine *machine, const char *path, size_t size_max,
                          struct rt_buf *content) {
    struct rt_file *file;
    uint64_t size;
    rt_err err = rt_file_open_now(machine, path, RT_FILE_READ, &file, NULL);
    if (err) return err;
    rt_buf_clear(content);
    err = rt_file_size_now(file, &size);
    if (!err && size > size_max) err = RT_ECORRUPT;
    if (!err) {
        rt_buf_reserve(content, (size_t)size);
        err = rt_file_read_now(file, 0, content->data, (size_t)size, &content->size);
    }
    rt_file_close_now(file);
    return err;
}

rt_err meta_file_write_now(struct rt_machine *machine, const char *path, struct rt_bytes content) {
    struct rt_file *file;
    rt_err err = rt_file_open_now(machine, path, RT_FILE_WRITE | RT_FILE_CREATE, &file, NULL);
    if (err) return err;
    err = rt_file_write_now(file, 0, content);
    if (!err) err = rt_file_sync_now(file);
    rt_file_close_now(file);
    return err;
}

rt_err meta_manifest_read_now(struct rt_machine *machine, const char *directory, struct rt_buf *raw,
                              struct meta_manifest *manifest) {
    *manifest = (struct meta_manifest){0};
    struct rt_buf content = {0};
    char *path = meta_path(directory, META_MANIFEST_NAME);
    rt_err err = meta_file_read_now(machine, path, META_MANIFEST_SIZE_MAX, &content);
    if (!err) err = meta_manifest_decode(rt_buf_bytes(&content), manifest);
    if (!err && raw) rt_buf_append(raw, rt_buf_bytes(&content));
    rt_buf_fini(&content);
    rt_free(path);
    return err;
}

rt_err meta_manifest_check_now(struct rt_machine *machine, const char *directory,
                               const struct meta_manifest *manifest) {
    struct rt_dir_listing listing;
    rt_err err = rt_dir_list_now(machine, directory, &listing, NULL);
    if (err) return err;
    size_t at = 0;  // both are sorted by name
    for (size_t i = 0; i < manifest->count && !err; i++) {
        const struct meta_manifest_file *file = &manifest->files[i];
        while (at < listing.count && strcmp(listing.entries[at].name, file->name) < 0) at++;
        bool is_there = at < listing.count && strcmp(listing.entries[at].name, file->name) == 0 &&
                        !listing.entries[at].is_dir && listing.entries[at].size == file->size;
        if (!is_there) err = RT_ECORRUPT;
    }
    rt_dir_listing_fini(&listing);
    return err;
}

static rt_err file_sum_now(struct rt_machine *machine, const char *path, uint64_t *size,
                           uint32_t *crc) {
    struct rt_file *file;
    rt_err err = rt_file_open_now(machine, path, RT_FILE_READ | RT_FILE_WRITE, &file, NULL);
    if (err) return err;
    uint8_t *bytes = rt_alloc(READ_SIZE);
    size_t got = 1;
    *size = 0;
    *crc = 0;
    while (!err && got > 0) {
        err = rt_file_read_now(file, *size, bytes, READ_SIZE, &got);
        if (err) break;
        *crc = rt_crc32c(*crc, RT_BYTES(bytes, got));
        *size += got;
    }
    if (!err) err = rt_file_sync_now(file);
    rt_free(bytes);
    rt_file_close_now(file);
    return err;
}

// A lock, and what a store writes for people.
static bool is_of_process(const char *name) {
    return strcmp(name, "LOCK") == 0 || strcmp(name, "LOG") == 0 ||
           strncmp(name, "LOG.old.", strlen("LOG.old.")) == 0;
}

rt_err meta_manifest_make_now(struct rt_machine *machine, const char *directory,
                              struct meta_manifest *manifest) {
    struct rt_dir_listing listing;
    rt_err err = rt_dir_list_now(machine, directory, &listing, NULL);
    if (err) return err;
    for (size_t i = 0; !err && i < listing.count; i++) {
        const struct rt_dir_entry *entry = &listing.entries[i];
        char *path = meta_path(directory, entry->name);
        uint64_t size;
        uint32_t crc;
        if (entry->is_dir || is_of_process(entry->name)) {
            err = rt_path_remove_tree_now(machine, path);
        } else {
            err = file_sum_now(machine, path, &size, &crc);
            if (!err) meta_manifest_add(manifest, rt_bytes_of(entry->name), size, crc);
        }
        rt_free(path);
    }
    rt_dir_listing_fini(&listing);
    return err;
}
