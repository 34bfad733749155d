// The files of a simulated store, but for its log.
//
// CURRENT (little-endian)  4 magic, 4 version, 8 number of the image and its log, 4 CRC32C
// IMAGE    4 magic, 4 version, 8 sequence of the last batch in it, columns, for each column 8 count
//          and as many times varint key size, key, varint value size, value; 4 CRC32C
// COLUMNS  1 count, for each varint size and the name
//
// A checksum covers all that is before it.
// All of it was synced before CURRENT named it, so a byte that does not fit is corruption.
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "runtime/crc32c.h"
#include "runtime/sim/sim_kv.h"

enum { CURRENT_MAGIC = 0x564b4353, IMAGE_MAGIC = 0x564b4953, VERSION = 1, CHECKSUM_SIZE = 4 };

// FILES OF A DIRECTORY

void sim_kv_file_name(char name[static 32], uint64_t number, const char *ending) {
    snprintf(name, 32, "%06llu.%s", (unsigned long long)number, ending);
}

rt_err sim_kv_file_find(struct sim_inode *dir, const char *name, struct sim_inode **inode) {
    *inode = sim_names_find(&dir->now, name);
    if (!*inode) return RT_ENOTFOUND;
    return (*inode)->is_dir ? RT_ECORRUPT : RT_OK;
}

rt_err sim_kv_file_read(struct sim_inode *inode, struct rt_buf *content) {
    rt_buf_clear(content);
    if (inode->size > SIZE_MAX / 2) return RT_ETOOBIG;
    rt_buf_reserve(content, (size_t)inode->size);
    return sim_disk_read(inode, 0, content->data, (size_t)inode->size, &content->size);
}

rt_err sim_kv_file_write(struct sim_inode *dir, const char *name, struct rt_bytes content,
                         struct sim_inode **inode) {
    rt_err err = sim_disk_change_names(dir->disk);
    if (err) return err;
    if (sim_names_find(&dir->now, name)) sim_dir_remove(dir, name);
    *inode = sim_dir_add(dir, name, false);
    err = sim_disk_write(*inode, 0, &content, 1);
    if (err) return err;
    return sim_disk_sync(*inode);
}

// CHECKSUMS AT THE END

static void seal(struct rt_buf *content) {
    struct rt_writer w = rt_writer_into(content);
    rt_write_le32(&w, rt_crc32c(0, rt_buf_bytes(content)));
}

static struct rt_reader sealed_reader(const struct rt_buf *content) {
    struct rt_reader r = rt_reader_over(RT_BYTES(content->data, 0));
    if (content->size < CHECKSUM_SIZE) {
        rt_reader_fail(&r);
        return r;
    }
    size_t size = content->size - CHECKSUM_SIZE;
    struct rt_reader sum = rt_reader_over(RT_BYTES(content->data + size, CHECKSUM_SIZE));
    r = rt_reader_over(RT_BYTES(content->data, size));
    if (rt_read_le32(&sum) != rt_crc32c(0, RT_BYTES(content->data, size))) rt_reader_fail(&r);
    return r;
}

static void magic_read(struct rt_reader *r, uint32_t magic) {
    if (rt_read_le32(r) != magic || rt_read_le32(r) != VERSION) rt_reader_fail(r);
}

// CURRENT

static rt_err current_write(struct sim_inode *dir, uint64_t number) {
    struct rt_buf content = {0};
    struct rt_writer w = rt_writer_into(&content);
    rt_write_le32(&w, CURRENT_MAGIC);
    rt_write_le32(&w, VERSION);
    rt_write_le64(&w, number);
    seal(&content);
    struct sim_inode *inode;
    rt_err err = sim_kv_file_write(dir, "CURRENT.tmp", rt_buf_bytes(&content), &inode);
    rt_buf_fini(&content);
    if (!err) err = sim_disk_change_names(dir->disk);
    if (!err) err = sim_dir_rename(dir, "CURRENT.tmp", dir, "CURRENT");
    return err;
}

rt_err sim_kv_current_read(struct sim_kv_store *store) {
    struct sim_inode *inode;
    rt_err err = sim_kv_file_find(store->dir, "CURRENT", &inode);
    if (err) return err;
    struct rt_buf content = {0};
    err = sim_kv_file_read(inode, &content);
    struct rt_reader r = sealed_reader(&content);
    magic_read(&r, CURRENT_MAGIC);
    store->image_number = rt_read_le64(&r);
    if (!err && !rt_reader_done(&r)) err = RT_ECORRUPT;
    rt_buf_fini(&content);
    return err;
}

// A creation that was interrupted leaves the first image; any later one had a CURRENT, as had the
// second, with which checkpoints begin.
rt_err sim_kv_dir_check_new(const struct sim_kv_store *store) {
    static const char *const left[] = {"LOCK", "CURRENT.tmp", "000001.data", "000001.log"};
    const struct sim_names *names = &store->dir->now;
    for (size_t i = 0; i < names->count; i++) {
        const char *name = names->items[i].name, *ending = strrchr(name, '.');
        bool known = false;
        for (size_t j = 0; j < sizeof(left) / sizeof(left[0]); j++) {
            known = known || strcmp(name, left[j]) == 0;
        }
        if (!known) return ending && strcmp(ending, ".data") == 0 ? RT_ECORRUPT : RT_EINVAL;
    }
    return RT_OK;
}

// COLUMNS

void sim_kv_columns_write(const struct sim_kv_store *store, struct rt_writer *w) {
    rt_write_u8(w, (uint8_t)store->column_total);
    for (unsigned i = 0; i < store->column_total; i++) {
        sim_kv_sized_write(w, rt_bytes_of(store->columns[i]));
    }
}

static unsigned column_find(const struct sim_kv_store *store, struct rt_bytes name) {
    unsigned at = 0;
    while (at < store->column_total && !rt_bytes_equal(name, rt_bytes_of(store->columns[at]))) at++;
    return at;
}

rt_err sim_kv_columns_read(struct sim_kv_store *store, struct rt_reader *r,
                           struct sim_kv_columns *columns) {
    columns->count = rt_read_u8(r);
    if (rt_reader_failed(r) || columns->count > SIM_KV_COLUMNS_MAX) return RT_ECORRUPT;
    columns->changed = false;
    for (unsigned i = 0; i < columns->count; i++) {
        struct rt_bytes name = sim_kv_sized_read(r);
        if (rt_reader_failed(r)) return RT_ECORRUPT;
        unsigned at = column_find(store, name);
        if (at == SIM_KV_COLUMNS_MAX) return RT_ETOOBIG;
        if (at == store->column_total) sim_kv_column_add(store, name);
        columns->at[i] = at;
        columns->changed = columns->changed || at != i;
    }
    columns->changed = columns->changed || columns->count != store->column_total;
    return RT_OK;
}

// IMAGE

static void column_write(const struct sim_kv_store *store, const struct sim_kv_map *map,
                         struct rt_writer *w) {
    uint64_t count = 0;
    const struct sim_kv_key *key;
    for (key = map->head->next[0]; key; key = key->next[0]) {
        if (sim_kv_key_at(key, store->sequence)) count++;
    }
    rt_write_le64(w, count);
    for (key = map->head->next[0]; key; key = key->next[0]) {
        const struct sim_kv_version *version = sim_kv_key_at(key, store->sequence);
        if (!version) continue;
        sim_kv_sized_write(w, sim_kv_key_bytes(key));
        sim_kv_sized_write(w, RT_BYTES(version->value, version->value_size));
    }
}

static void image_encode(const struct sim_kv_store *store, struct rt_buf *content) {
    struct rt_writer w = rt_writer_into(content);
    rt_write_le32(&w, IMAGE_MAGIC);
    rt_write_le32(&w, VERSION);
    rt_write_le64(&w, store->sequence);
    sim_kv_columns_write(store, &w);
    for (unsigned i = 0; i < store->column_total; i++) column_write(store, &store->maps[i], &w);
    seal(content);
}

static rt_err numbered_write(struct sim_inode *dir, uint64_t number, const char *ending,
                             const struct rt_buf *content, struct sim_inode **inode) {
    char name[32];
    sim_kv_file_name(name, number, ending);
    return sim_kv_file_write(dir, name, rt_buf_bytes(content), inode);
}

static void numbered_remove(struct sim_inode *dir, uint64_t number, const char *ending) {
    char name[32];
    sim_kv_file_name(name, number, ending);
    if (sim_names_find(&dir->now, name)) sim_dir_remove(dir, name);
}

// Until CURRENT is renamed the old image stands; from then on, which of the two a crash finds is
// open until the last sync, so both stay when that one fails.
static rt_err image_publish(struct sim_inode *dir, uint64_t number) {
    rt_err err = sim_disk_sync_names(dir);
    if (!err) err = current_write(dir, number);
    if (err) {
        numbered_remove(dir, number, "data");
        numbered_remove(dir, number, "log");
        return err;
    }
    return sim_disk_sync_names(dir);
}

rt_err sim_kv_image_write(struct sim_kv_store *store, struct sim_inode *dir, uint64_t number,
                          struct sim_inode **log, uint64_t *image_bytes) {
    struct rt_buf image = {0}, header = {0};
    struct sim_inode *inode;
    image_encode(store, &image);
    sim_kv_log_header(store, &header);
    *image_bytes = image.size;
    rt_err err = numbered_write(dir, number, "data", &image, &inode);
    if (!err) err = numbered_write(dir, number, "log", &header, log);
    rt_buf_fini(&image);
    rt_buf_fini(&header);
    if (err) {
        numbered_remove(dir, number, "data");
        numbered_remove(dir, number, "log");
        return err;
    }
    sim_inode_hold(*log);
    err = image_publish(dir, number);
    if (err) sim_inode_release(*log);
    return err;
}

static void column_read(struct sim_kv_store *store, unsigned column, struct rt_reader *r) {
    uint64_t count = rt_read_le64(r);
    for (uint64_t i = 0; i < count && !rt_reader_failed(r); i++) {
        struct rt_bytes key = sim_kv_sized_read(r);
        struct rt_bytes value = sim_kv_sized_read(r);
        if (!rt_reader_failed(r)) sim_kv_put(store, column, store->image_sequence, key, value);
    }
}

static rt_err image_decode(struct sim_kv_store *store, const struct rt_buf *content,
                           bool *changed) {
    struct rt_reader r = sealed_reader(content);
    magic_read(&r, IMAGE_MAGIC);
    store->image_sequence = store->sequence = rt_read_le64(&r);
    if (rt_reader_failed(&r)) return RT_ECORRUPT;
    struct sim_kv_columns columns;
    rt_err err = sim_kv_columns_read(store, &r, &columns);
    if (err) return err;
    for (unsigned i = 0; i < columns.count; i++) column_read(store, columns.at[i], &r);
    *changed = columns.changed;
    return rt_reader_done(&r) ? RT_OK : RT_ECORRUPT;
}

rt_err sim_kv_image_read(struct sim_kv_store *store, bool *columns_changed) {
    char name[32];
    struct sim_inode *inode;
    sim_kv_file_name(name, store->image_number, "data");
    rt_err err = sim_kv_file_find(store->dir, name, &inode);
    if (err) return RT_ECORRUPT;  // CURRENT named it
    struct rt_buf content = {0};
    err = sim_kv_file_read(inode, &content);
    store->image_bytes = content.size;
    if (!err) err = image_decode(store, &content, columns_changed);
    rt_buf_fini(&content);
    return err;
}

// What earlier images, or an interrupted one, left behind. Names of others stay.
void sim_kv_image_remove_others(struct sim_kv_store *store) {
    const struct sim_names *names = &store->dir->now;
    char data[32], log[32];
    sim_kv_file_name(data, store->image_number, "data");
    sim_kv_file_name(log, store->image_number, "log");
    for (size_t i = names->count; i-- > 0;) {
        const char *name = names->items[i].name, *ending = strrchr(name, '.');
        bool ours = ending && (strcmp(ending, ".data") == 0 || strcmp(ending, ".log") == 0);
        bool valid = strcmp(name, data) == 0 || strcmp(name, log) == 0;
        if (!ours || valid || names->items[i].inode->is_dir) continue;
        char gone[SIM_NAME_MAX + 1];
        snprintf(gone, sizeof(gone), "%s", name);
        sim_dir_remove(store->dir, gone);
    }
}
