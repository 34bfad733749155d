#include "meta/server/log/hard_state.h"

#include <assert.h>
#include <string.h>

#include "runtime/crc32c.h"
#include "runtime/log.h"

enum {
    MAGIC = 0x476d4873,
    VERSION = 1,
    COPY_SIZE = META_HARD_SLOT_SIZE / 2,
    COPIES = 4,
    CONTENT_SIZE = 84,
    FILE_SIZE = 2 * META_HARD_SLOT_SIZE
};

void meta_hard_slot_encode(const struct meta_hard_slot *slot, uint8_t *out) {
    memset(out, 0, META_HARD_SLOT_SIZE);
    struct rt_writer w = rt_writer_over(out, CONTENT_SIZE);
    rt_write_be32(&w, MAGIC);
    rt_write_be32(&w, VERSION);
    rt_write_be64(&w, slot->cluster);
    rt_write_be64(&w, slot->node);
    rt_write_be64(&w, slot->sequence);
    rt_write_be64(&w, slot->term);
    rt_write_be64(&w, slot->vote);
    rt_write_be64(&w, slot->commit);
    rt_write_be64(&w, slot->segment);
    rt_write_be64(&w, slot->durable.index);
    rt_write_be64(&w, slot->durable.term);
    rt_write_be32(&w, rt_crc32c(0, RT_BYTES(out, CONTENT_SIZE - 4)));
    assert(!rt_writer_failed(&w) && w.at == w.end);
    memcpy(out + COPY_SIZE, out, CONTENT_SIZE);
}

rt_err meta_hard_slot_decode(struct rt_bytes page, struct meta_hard_slot *slot) {
    if (page.size < CONTENT_SIZE) return RT_ECORRUPT;
    struct rt_reader r = rt_reader_over(RT_BYTES(page.data, CONTENT_SIZE));
    if (rt_read_be32(&r) != MAGIC || rt_read_be32(&r) != VERSION) rt_reader_fail(&r);
    slot->cluster = rt_read_be64(&r);
    slot->node = rt_read_be64(&r);
    slot->sequence = rt_read_be64(&r);
    slot->term = rt_read_be64(&r);
    slot->vote = rt_read_be64(&r);
    slot->commit = rt_read_be64(&r);
    slot->segment = rt_read_be64(&r);
    slot->durable.index = rt_read_be64(&r);
    slot->durable.term = rt_read_be64(&r);
    if (rt_read_be32(&r) != rt_crc32c(0, RT_BYTES(page.data, CONTENT_SIZE - 4))) rt_reader_fail(&r);
    return rt_reader_failed(&r) ? RT_ECORRUPT : RT_OK;
}

uint64_t meta_hard_slot_offset(const struct meta_hard_slot *slot) {
    return slot->sequence % 2 * META_HARD_SLOT_SIZE;
}

rt_err meta_hard_state_write_now(struct rt_file *file, const struct meta_hard_slot *slot,
                                 bool sync) {
    uint8_t *bytes = rt_alloc(META_HARD_SLOT_SIZE);
    meta_hard_slot_encode(slot, bytes);
    rt_err err =
        rt_file_write_now(file, meta_hard_slot_offset(slot), RT_BYTES(bytes, META_HARD_SLOT_SIZE));
    rt_free(bytes);
    if (!err && sync) err = rt_file_sync_now(file);
    return err;
}

static char *path_of(const char *directory, const char *name) {
    struct rt_buf path = {0};
    rt_buf_print(&path, "%s/%s", directory, name);
    rt_buf_append(&path, RT_BYTES("", 1));
    return (char *)path.data;
}

// READING

// The newest valid copy. RT_ECORRUPT: there is none.
static rt_err slots_read(struct rt_file *file, struct meta_hard_slot *newest) {
    uint8_t *bytes = rt_alloc(FILE_SIZE);
    size_t size;
    unsigned valid = 0;
    rt_err err = rt_file_read_now(file, 0, bytes, FILE_SIZE, &size);
    for (size_t at = 0; !err && at < size; at += COPY_SIZE) {
        struct meta_hard_slot slot;
        size_t page = size - at < COPY_SIZE ? size - at : COPY_SIZE;
        if (meta_hard_slot_decode(RT_BYTES(bytes + at, page), &slot)) continue;
        if (valid == 0 || slot.sequence > newest->sequence) *newest = slot;
        valid++;
    }
    rt_free(bytes);
    if (err) return err;
    if (valid > 0 && valid < COPIES && newest->sequence > 1) {
        rt_log_warn("log", "hard state was partly unreadable path=%s copies=%u of=%d",
                    rt_file_path(file), valid, COPIES);
    }
    return valid ? RT_OK : RT_ECORRUPT;
}

rt_err meta_hard_state_open_now(struct rt_machine *machine, const char *directory,
                                struct meta_hard_slot *slot, struct rt_file **file,
                                struct rt_why *why) {
    struct meta_hard_slot found;
    char *path = path_of(directory, "hard_state");
    bool exists;
    rt_err err = rt_path_exists_now(machine, path, &exists);
    if (!err && !exists) err = RT_ENOTFOUND;
    if (err) goto free_path;
    err = rt_file_open_now(machine, path, RT_FILE_READ | RT_FILE_WRITE, file, why);
    if (err) goto free_path;
    err = slots_read(*file, &found);
    if (err) {
        rt_why_set(why, err,
                   "no copy of the hard state in %s is valid: this member must be "
                   "removed from the cluster and join under a new id",
                   path);
    } else if (found.cluster != slot->cluster || found.node != slot->node) {
        err = rt_why_set(why, RT_ECORRUPT, "%s belongs to node %llu of cluster %llx", path,
                         (unsigned long long)found.node, (unsigned long long)found.cluster);
    }
    if (err) rt_file_close_now(*file);
    *slot = found;

free_path:
    rt_free(path);
    return err;
}

// CREATING

rt_err meta_hard_state_create_now(struct rt_machine *machine, const char *directory,
                                  const struct meta_hard_slot *slot, struct rt_file **file,
                                  struct rt_why *why) {
    char *path = path_of(directory, "hard_state"), *making = path_of(directory, "hard_state.new");
    rt_err err = rt_file_open_now(machine, making,
                                  RT_FILE_WRITE | RT_FILE_CREATE | RT_FILE_EXISTING, file, why);
    if (err) goto free_paths;
    err = rt_file_allocate_now(*file, FILE_SIZE);
    if (!err) err = meta_hard_state_write_now(*file, slot, true);
    rt_file_close_now(*file);
    if (!err) err = rt_path_rename_now(machine, making, path);
    if (!err) err = rt_dir_sync_now(machine, directory);
    if (err) {
        rt_why_set(why, err, "cannot create %s: %s", path, rt_err_text(err));
        goto free_paths;
    }
    err = rt_file_open_now(machine, path, RT_FILE_READ | RT_FILE_WRITE, file, why);

free_paths:
    rt_free(path);
    rt_free(making);
    return err;
}
