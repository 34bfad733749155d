// Receiving: chunks are written in their order to DIRECTORY/incoming. Nothing of them is trusted
// before the manifest was checked as a whole and each file against it; then the directory becomes a
// snapshot like any other.
#include <string.h>

#include "meta/server/log/snapshots_internal.h"
#include "runtime/crc32c.h"
#include "runtime/log.h"

enum { HEAD_SIZE = 4 };

// ON A WORKER

void meta_receiving_end_now(struct meta_snapshots *snapshots) {
    struct meta_receiving *in = &snapshots->receiving;
    if (in->file) rt_file_close_now(in->file);
    in->file = NULL;
    meta_manifest_fini(&in->manifest);
    rt_buf_fini(&in->head);
    in->head = (struct rt_buf){0};
    in->has_manifest = false;
    in->transfer = 0;
}

static rt_err transfer_begin(struct meta_snapshots *snapshots, const struct meta_chunk *chunk) {
    struct meta_receiving *in = &snapshots->receiving;
    meta_receiving_end_now(snapshots);
    rt_err err = rt_path_remove_tree_now(snapshots->machine, snapshots->incoming);
    if (!err) err = rt_dir_create_now(snapshots->machine, snapshots->incoming, &in->why);
    if (err) return err;
    in->transfer = chunk->transfer;
    in->offset = 0;
    in->file_index = 0;
    return RT_OK;
}

static rt_err manifest_take(struct meta_snapshots *snapshots, const struct meta_chunk *chunk) {
    struct meta_receiving *in = &snapshots->receiving;
    struct meta_manifest *manifest = &in->manifest;
    rt_err err = meta_manifest_decode(rt_bytes_skip(rt_buf_bytes(&in->head), HEAD_SIZE), manifest);
    if (err) return rt_why_set(&in->why, err, "the manifest is not valid");
    in->has_manifest = true;
    bool fits = manifest->cluster == snapshots->cluster &&
                raft_position_equal(manifest->at, chunk->at) &&
                in->head.size + meta_manifest_bytes(manifest) == chunk->total;
    return fits ? RT_OK : rt_why_set(&in->why, RT_EPROTO, "the manifest is of something else");
}

static size_t least(uint64_t a, uint64_t b) {
    return (size_t)(a < b ? a : b);
}

// Size and manifest come first; they are kept in memory, which their limit bounds.
static rt_err head_write(struct meta_snapshots *snapshots, const struct meta_chunk *chunk,
                         struct rt_bytes *bytes) {
    struct meta_receiving *in = &snapshots->receiving;
    while (!in->has_manifest && bytes->size) {
        size_t need = HEAD_SIZE;
        if (in->head.size >= HEAD_SIZE) {
            struct rt_reader r = rt_reader_over(rt_buf_bytes(&in->head));
            uint32_t size = rt_read_be32(&r);
            if (size == 0 || size > META_MANIFEST_SIZE_MAX)
                return rt_why_set(&in->why, RT_EPROTO, "a manifest of %u bytes", size);
            need += size;
        }
        size_t size = least(bytes->size, need - in->head.size);
        rt_buf_append(&in->head, RT_BYTES(bytes->data, size));
        *bytes = rt_bytes_skip(*bytes, size);
        if (in->head.size < need || need == HEAD_SIZE) continue;
        rt_err err = manifest_take(snapshots, chunk);
        if (err) return err;
    }
    return RT_OK;
}

static rt_err file_begin(struct meta_snapshots *snapshots) {
    struct meta_receiving *in = &snapshots->receiving;
    char *path = meta_path(snapshots->incoming, in->manifest.files[in->file_index].name);
    rt_err err = rt_file_open_now(snapshots->machine, path, RT_FILE_WRITE | RT_FILE_CREATE,
                                  &in->file, &in->why);
    if (err) in->file = NULL;
    in->file_at = 0;
    in->file_crc = 0;
    rt_free(path);
    return err;
}

static rt_err file_end(struct meta_snapshots *snapshots) {
    struct meta_receiving *in = &snapshots->receiving;
    const struct meta_manifest_file *file = &in->manifest.files[in->file_index];
    rt_err err = rt_file_sync_now(in->file);
    rt_file_close_now(in->file);
    in->file = NULL;
    in->file_index++;
    if (err) return err;
    if (in->file_crc == file->crc) return RT_OK;
    return rt_why_set(&in->why, RT_ECORRUPT, "%s does not match its checksum", file->name);
}

static rt_err files_write(struct meta_snapshots *snapshots, struct rt_bytes bytes) {
    struct meta_receiving *in = &snapshots->receiving;
    rt_err err = RT_OK;
    while (!err && in->has_manifest && in->file_index < in->manifest.count) {
        const struct meta_manifest_file *file = &in->manifest.files[in->file_index];
        if (!in->file) err = file_begin(snapshots);
        if (err) break;
        size_t size = least(bytes.size, file->size - in->file_at);
        if (size) err = rt_file_write_now(in->file, in->file_at, RT_BYTES(bytes.data, size));
        if (err) break;
        in->file_crc = rt_crc32c(in->file_crc, RT_BYTES(bytes.data, size));
        in->file_at += size;
        bytes = rt_bytes_skip(bytes, size);
        if (in->file_at < file->size) break;
        err = file_end(snapshots);
    }
    if (!err && bytes.size) err = rt_why_set(&in->why, RT_EPROTO, "bytes behind the last file");
    return err;
}

static rt_err chunk_write(struct meta_snapshots *snapshots, const struct meta_chunk *chunk) {
    struct meta_receiving *in = &snapshots->receiving;
    rt_err err = chunk->offset == 0 ? transfer_begin(snapshots, chunk) : RT_OK;
    if (err) return err;
    if (in->transfer != chunk->transfer || in->offset != chunk->offset)
        return rt_why_set(&in->why, RT_ECANCELED, "the transfer failed before");
    struct rt_bytes bytes = chunk->data;
    err = head_write(snapshots, chunk, &bytes);
    if (!err) err = files_write(snapshots, bytes);
    in->offset += chunk->data.size;
    if (err || in->offset < chunk->total) return err;
    bool is_whole = in->has_manifest && in->file_index == in->manifest.count;
    if (!is_whole) return rt_why_set(&in->why, RT_EPROTO, "the stream ends too early");
    err = meta_snapshot_publish_now(snapshots, snapshots->incoming, &in->manifest, &in->why);
    meta_receiving_end_now(snapshots);
    return err;
}

static void receive_run(struct rt_work *work) {
    struct meta_receiving *in = rt_container_of(work, struct meta_receiving, work);
    struct meta_snapshots *snapshots = rt_container_of(in, struct meta_snapshots, receiving);
    in->why.text[0] = '\0';
    in->err = chunk_write(snapshots, in->chunk);
    if (!in->err) return;
    rt_why_prefix(&in->why, in->err, "receiving a snapshot");
    meta_receiving_end_now(snapshots);
    // What stays is removed by the next transfer or the next start.
    RT_IGNORE(rt_path_remove_tree_now(snapshots->machine, snapshots->incoming));
}

// ON THE LOOP

static void chunk_free(struct meta_chunk *chunk) {
    raft_payload_drop(chunk->payload);
    rt_free(chunk);
}

static void receive_start(struct meta_snapshots *snapshots);

static void receive_done(struct rt_work *work) {
    struct meta_receiving *in = rt_container_of(work, struct meta_receiving, work);
    struct meta_snapshots *snapshots = rt_container_of(in, struct meta_snapshots, receiving);
    struct meta_chunk *chunk = in->chunk;
    struct raft_event event = {.kind = RAFT_CHUNK_WRITTEN};
    event.chunk_written.transfer = chunk->transfer;
    event.chunk_written.end = chunk->offset + chunk->data.size;
    event.chunk_written.failed = in->err != RT_OK;
    if (in->err) {
        rt_log_warn("snapshots", "transfer failed index=%llu why=%s",
                    (unsigned long long)chunk->at.index, in->why.text);
    } else {
        snapshots->stats.received_bytes += chunk->data.size;
        if (event.chunk_written.end == chunk->total) meta_snapshot_add(snapshots, chunk->at);
    }
    in->is_busy = false;
    in->chunk = NULL;
    chunk_free(chunk);
    if (!snapshots->is_closing) snapshots->events->chunk_written(snapshots->events, &event);
    receive_start(snapshots);
    meta_snapshots_maybe_close(snapshots);
}

static void receive_start(struct meta_snapshots *snapshots) {
    struct meta_receiving *in = &snapshots->receiving;
    if (in->is_busy || rt_list_is_empty(&in->chunks)) return;
    in->chunk = rt_container_of(rt_list_pop_front(&in->chunks), struct meta_chunk, link);
    in->is_busy = true;
    rt_work_submit(&in->work, snapshots->loop, receive_run, receive_done, "snapshots.receive");
}

void meta_receiving_drop(struct meta_snapshots *snapshots) {
    struct rt_list *chunks = &snapshots->receiving.chunks;
    while (!rt_list_is_empty(chunks))
        chunk_free(rt_container_of(rt_list_pop_front(chunks), struct meta_chunk, link));
}

void meta_receive(struct meta_snapshots *snapshots, const struct raft_snapshot_effect *effect) {
    struct meta_chunk *chunk = RT_NEW(struct meta_chunk);
    chunk->transfer = effect->transfer;
    chunk->offset = effect->offset;
    chunk->total = effect->total;
    chunk->at = effect->at;
    chunk->data = effect->data;
    chunk->payload = effect->payload;
    raft_payload_hold(chunk->payload);
    rt_list_push_back(&snapshots->receiving.chunks, &chunk->link);
    receive_start(snapshots);
}
