// Sending: each peer has a snapshot open, from which chunks of the stream are read on a worker.
#include "meta/server/log/snapshots_internal.h"
#include "runtime/log.h"

#include <string.h>

enum { HEAD_SIZE = 4 };  // the manifest's size

struct sender {
    struct rt_list link;
    struct meta_snapshots *snapshots;
    uint64_t peer;
    struct raft_position at;
    char *path;
    unsigned refs;  // its place in the list, and reads under way
    // Of the job.
    bool is_loaded;
    struct rt_buf head;  // size and manifest
    struct meta_manifest manifest;
    uint64_t total;
    struct rt_file *file;  // the last one read from
    size_t file_index;
};

struct chunk_block {
    struct raft_payload payload;
    struct rt_buf bytes;
};

struct chunk_read {
    struct rt_work work;
    struct meta_snapshots *snapshots;
    struct sender *sender;  // held, or NULL: nothing is open
    struct raft_event event;
    uint64_t offset;
    size_t size_max;
    struct chunk_block *block;
    rt_err err;
};

static void block_release(struct raft_payload *payload) {
    struct chunk_block *block = rt_container_of(payload, struct chunk_block, payload);
    rt_buf_fini(&block->bytes);
    rt_free(block);
}

static struct sender *sender_at(struct rt_list *link) {
    return rt_container_of(link, struct sender, link);
}

static struct sender *sender_find(struct meta_snapshots *snapshots, uint64_t peer) {
    rt_list_each (link, &snapshots->senders) {
        if (sender_at(link)->peer == peer) return sender_at(link);
    }
    return NULL;
}

static void sender_drop(struct sender *sender) {
    if (--sender->refs) return;
    struct meta_snapshots *snapshots = sender->snapshots;
    struct meta_snapshot *item = meta_snapshot_find(snapshots, sender->at);
    if (item) item->readers--;
    if (sender->file) rt_file_close_now(sender->file);
    meta_manifest_fini(&sender->manifest);
    rt_buf_fini(&sender->head);
    rt_free(sender->path);
    rt_free(sender);
    meta_snapshots_put_away(snapshots);
}

void meta_sender_close(struct meta_snapshots *snapshots, uint64_t peer) {
    struct sender *sender = sender_find(snapshots, peer);
    if (!sender) return;
    rt_list_remove(&sender->link);
    sender_drop(sender);
}

void meta_senders_close(struct meta_snapshots *snapshots) {
    while (!rt_list_is_empty(&snapshots->senders))
        meta_sender_close(snapshots, sender_at(snapshots->senders.next)->peer);
}

// One that is gone meanwhile is told by the answer to the first read.
void meta_sender_open(struct meta_snapshots *snapshots, const struct raft_snapshot_effect *effect) {
    meta_sender_close(snapshots, effect->peer);
    struct meta_snapshot *item = meta_snapshot_find(snapshots, effect->at);
    if (!item) return;
    item->readers++;
    struct sender *sender = RT_NEW(struct sender);
    sender->snapshots = snapshots;
    sender->peer = effect->peer;
    sender->at = effect->at;
    sender->path = meta_snapshot_path(snapshots, effect->at);
    sender->refs = 1;
    rt_list_push_back(&snapshots->senders, &sender->link);
}

// ON A WORKER

static rt_err sender_load(struct sender *sender) {
    if (sender->is_loaded) return RT_OK;
    struct rt_buf raw = {0};
    rt_err err =
        meta_manifest_read_now(sender->snapshots->machine, sender->path, &raw, &sender->manifest);
    if (err) {
        meta_manifest_fini(&sender->manifest);
    } else {
        struct rt_writer w = rt_writer_into(&sender->head);
        rt_write_be32(&w, (uint32_t)raw.size);
        rt_write_bytes(&w, rt_buf_bytes(&raw));
        sender->total = sender->head.size + meta_manifest_bytes(&sender->manifest);
        sender->is_loaded = true;
    }
    rt_buf_fini(&raw);
    return err;
}

static rt_err file_select(struct sender *sender, size_t index) {
    if (sender->file && sender->file_index == index) return RT_OK;
    if (sender->file) rt_file_close_now(sender->file);
    sender->file = NULL;
    char *path = meta_path(sender->path, sender->manifest.files[index].name);
    rt_err err =
        rt_file_open_now(sender->snapshots->machine, path, RT_FILE_READ, &sender->file, NULL);
    if (err) sender->file = NULL;
    sender->file_index = index;
    rt_free(path);
    return err;
}

static void head_copy(const struct sender *sender, uint64_t offset, size_t size_max,
                      struct rt_buf *out) {
    if (offset >= sender->head.size) return;
    struct rt_bytes rest = rt_bytes_skip(rt_buf_bytes(&sender->head), (size_t)offset);
    if (rest.size > size_max) rest.size = size_max;
    rt_buf_append(out, rest);
}

static rt_err part_copy(struct sender *sender, size_t index, uint64_t skip, size_t size,
                        struct rt_buf *out) {
    rt_err err = file_select(sender, index);
    if (err) return err;
    size_t got;
    rt_buf_reserve(out, size);
    err = rt_file_read_now(sender->file, skip, out->data + out->size, size, &got);
    if (err) return err;
    out->size += got;
    return got == size ? RT_OK : RT_ECORRUPT;
}

static rt_err files_copy(struct sender *sender, uint64_t offset, size_t size_max,
                         struct rt_buf *out) {
    uint64_t begin = sender->head.size;
    for (size_t i = 0; i < sender->manifest.count && out->size < size_max; i++) {
        uint64_t at = offset + out->size, end = begin + sender->manifest.files[i].size;
        if (at >= begin && at < end) {
            uint64_t left = end - at;
            size_t size = left < size_max - out->size ? (size_t)left : size_max - out->size;
            rt_err err = part_copy(sender, i, at - begin, size, out);
            if (err) return err;
        }
        begin = end;
    }
    return RT_OK;
}

static void read_run(struct rt_work *work) {
    struct chunk_read *read = rt_container_of(work, struct chunk_read, work);
    struct sender *sender = read->sender;
    read->err = sender ? sender_load(sender) : RT_ENOTFOUND;
    if (read->err) return;
    if (read->offset >= sender->total) {
        read->err = RT_EINVAL;
        return;
    }
    head_copy(sender, read->offset, read->size_max, &read->block->bytes);
    read->err = files_copy(sender, read->offset, read->size_max, &read->block->bytes);
    read->event.chunk.total = sender->total;
}

// ON THE LOOP

static void read_done(struct rt_work *work) {
    struct chunk_read *read = rt_container_of(work, struct chunk_read, work);
    struct meta_snapshots *snapshots = read->snapshots;
    read->event.chunk.failed = read->err != RT_OK;
    read->event.chunk.data = rt_buf_bytes(&read->block->bytes);
    read->event.chunk.payload = &read->block->payload;
    if (read->err && read->err != RT_ENOTFOUND) {
        rt_log_error("snapshots", "snapshot could not be read path=%s err=%s", read->sender->path,
                     rt_err_name(read->err));
    }
    if (!read->err) snapshots->stats.sent_bytes += read->block->bytes.size;
    snapshots->reads--;
    if (!snapshots->is_closing) snapshots->events->chunk_read(snapshots->events, &read->event);
    raft_payload_drop(&read->block->payload);
    if (read->sender) sender_drop(read->sender);
    rt_free(read);
    meta_snapshots_maybe_close(snapshots);
}

void meta_sender_read(struct meta_snapshots *snapshots, const struct raft_snapshot_effect *effect) {
    struct sender *sender = sender_find(snapshots, effect->peer);
    struct chunk_read *read = RT_NEW(struct chunk_read);
    read->snapshots = snapshots;
    bool is_open = sender && raft_position_equal(sender->at, effect->at);
    if (is_open) {
        sender->refs++;
        read->sender = sender;
    }
    read->offset = effect->offset;
    read->size_max = effect->size_max;
    read->block = RT_NEW(struct chunk_block);
    raft_payload_init(&read->block->payload, block_release);
    read->event.kind = RAFT_CHUNK_READ;
    read->event.chunk.peer = effect->peer;
    read->event.chunk.at = effect->at;
    read->event.chunk.offset = effect->offset;
    snapshots->reads++;
    rt_work_submit(&read->work, snapshots->loop, read_run, read_done, "snapshots.read");
}
