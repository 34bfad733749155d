#include "bookie/server/store/walk.h"

#include "runtime/mem.h"

rt_err bookie_walk_open_now(struct bookie_walk *walk, struct rt_machine *machine, struct rt_kv *kv,
                            const char *path, uint64_t owner, uint64_t id, uint64_t size) {
    *walk = (struct bookie_walk){.kv = kv, .file_id = id, .at = BOOKIE_FILE_HEADER, .end = size};
    rt_err err = bookie_file_open_read_now(machine, path, owner, id, &walk->file);
    if (err) walk->file = NULL;
    return err == RT_ENOTFOUND ? RT_ECORRUPT : err;  // the index says that it is there
}

void bookie_walk_close_now(struct bookie_walk *walk) {
    if (walk->file) rt_file_close_now(walk->file);
    rt_buf_fini(&walk->stored);
    rt_free(walk->plain);
    *walk = (struct bookie_walk){0};
}

static uint64_t page_up(uint64_t offset) {
    return (offset + RT_FILE_ALIGN - 1) / RT_FILE_ALIGN * RT_FILE_ALIGN;
}

// Reads `size` bytes at walk->at behind what is gathered. Short: RT_ECORRUPT.
static rt_err gather(struct bookie_walk *walk, size_t size) {
    size_t got = 0;
    uint64_t at = walk->at + walk->stored.size;
    if (size > walk->end - at) return RT_ECORRUPT;
    rt_buf_reserve(&walk->stored, size);
    rt_err err =
        rt_file_read_now(walk->file, at, walk->stored.data + walk->stored.size, size, &got);
    walk->stored.size += got;
    if (err) return err;
    return got == size ? RT_OK : RT_ECORRUPT;
}

// What a flush left of its last page.
static rt_err padding_skip(struct bookie_walk *walk) {
    uint64_t next = page_up(walk->at);
    uint64_t left = next - walk->at;
    uint8_t bytes[4];
    size_t got = 0;
    if (left == 0 || walk->at >= walk->end) return RT_OK;
    size_t size = left < sizeof(bytes) ? (size_t)left : sizeof(bytes);
    rt_err err = rt_file_read_now(walk->file, walk->at, bytes, size, &got);
    if (err) return err;
    for (size_t i = 0; i < got; i++) {
        if (bytes[i] != 0) return RT_OK;
    }
    walk->at = next;
    return RT_OK;
}

// How long it is, the index knows better, if it names it.
static rt_err live_look(struct bookie_walk *walk, uint64_t *stored_size) {
    struct bookie_location location;
    const struct bookie_extent_head *head = &walk->head;
    *stored_size = head->stored_size;
    rt_err err =
        bookie_index_extent_now(walk->kv, head->ledger, head->first, head->generation, &location);
    if (err) return err == RT_ENOTFOUND ? RT_OK : err;
    walk->is_live = location.file == walk->file_id && location.offset == walk->at;
    if (walk->is_live) *stored_size = location.stored_size;
    return RT_OK;
}

static rt_err extent_check(struct bookie_walk *walk) {
    struct bookie_extent extent;
    if (walk->plain_size < walk->head.plain_size) {
        rt_free(walk->plain);
        walk->plain = rt_alloc(walk->head.plain_size);
        walk->plain_size = walk->head.plain_size;
    }
    return bookie_extent_open(rt_buf_bytes(&walk->stored), walk->plain, &extent);
}

static rt_err extent_read(struct bookie_walk *walk) {
    rt_err err = gather(walk, BOOKIE_EXTENT_HEADER);
    if (!err) err = bookie_extent_head_decode(rt_buf_bytes(&walk->stored), &walk->head);
    if (err) {
        // Where the next extent begins is known again at a page that begins with one.
        walk->head = (struct bookie_extent_head){0};
        walk->at = page_up(walk->at + 1);
        return err;
    }
    uint64_t stored_size;
    err = live_look(walk, &stored_size);
    if (err) return err == RT_ECORRUPT ? RT_EIO : err;  // of the index, not of the file
    err = gather(walk, (size_t)stored_size);
    if (!err) err = extent_check(walk);
    walk->at += BOOKIE_EXTENT_HEADER + stored_size;
    return err;
}

rt_err bookie_walk_next_now(struct bookie_walk *walk) {
    rt_err err = padding_skip(walk);
    if (err) return err;
    if (walk->at >= walk->end) return RT_ENOTFOUND;
    walk->offset = walk->at;
    walk->is_live = false;
    rt_buf_clear(&walk->stored);
    err = extent_read(walk);
    walk->seen_bytes += walk->stored.size;
    return err;
}
