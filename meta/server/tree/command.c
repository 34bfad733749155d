#include "meta/server/tree/command.h"

#include <assert.h>
#include <string.h>

enum { FLAGS_ALL = META_SKIP_ACL | META_EXTENDED_TYPES | META_ENFORCE_QUOTA, TIME_AT = 4 };
enum { ID_SIZE_MIN = 2 * sizeof(uint32_t) };

static void sized_encode(struct rt_bytes bytes, struct rt_writer *w) {
    assert(bytes.size <= UINT32_MAX);
    rt_write_be32(w, (uint32_t)bytes.size);
    rt_write_bytes(w, bytes);
}

static struct rt_bytes sized_decode(struct rt_reader *r) {
    size_t size = rt_read_be32(r);
    return rt_read_bytes(r, size);
}

static void request_encode(const struct meta_command *command, struct rt_writer *w) {
    const struct proto_zk_ids *ids = &command->request.ids;
    assert(ids->count <= UINT32_MAX);
    rt_write_be32(w, (uint32_t)ids->count);
    for (size_t i = 0; i < ids->count; i++) {
        sized_encode(ids->items[i].scheme, w);
        sized_encode(ids->items[i].id, w);
    }
    rt_write_bytes(w, command->request.payload);
}

static void open_encode(const struct meta_command *command, struct rt_writer *w) {
    rt_write_be32(w, (uint32_t)command->open.timeout_ms);
    rt_write_bytes(w, RT_BYTES(command->open.password, sizeof(command->open.password)));
}

static void reap_encode(const struct meta_command *command, struct rt_writer *w) {
    rt_write_be64(w, (uint64_t)command->reap.czxid);
    rt_write_be64(w, (uint64_t)command->reap.mzxid);
    sized_encode(command->reap.path, w);
}

void meta_command_encode(const struct meta_command *command, struct rt_writer *w) {
    assert((command->flags & ~(unsigned)FLAGS_ALL) == 0);
    rt_write_u8(w, META_COMMAND_VERSION);
    rt_write_u8(w, (uint8_t)command->kind);
    rt_write_be16(w, (uint16_t)command->flags);
    rt_write_be64(w, (uint64_t)command->time_ms);
    rt_write_be64(w, command->origin);
    rt_write_be64(w, command->ticket);
    rt_write_be64(w, (uint64_t)command->session);
    rt_write_be64(w, command->attachment);
    switch (command->kind) {
    case META_REQUEST: request_encode(command, w); break;
    case META_OPEN_SESSION:
    case META_ATTACH_SESSION: open_encode(command, w); break;
    case META_CLOSE_SESSION: break;
    case META_REAP: reap_encode(command, w); break;
    }
}

void meta_command_stamp(uint8_t *encoded, int64_t time_ms) {
    struct rt_writer w = rt_writer_over(encoded + TIME_AT, sizeof(uint64_t));
    rt_write_be64(&w, (uint64_t)time_ms);
}

// The count is believed only as far as there are bytes for it.
static rt_err request_decode(struct rt_reader *r, struct rt_arena *arena,
                             struct meta_command *command) {
    size_t count = rt_read_be32(r);
    if (count > rt_reader_left(r) / ID_SIZE_MIN) return RT_ECORRUPT;
    struct proto_zk_id *ids = count ? rt_arena_zero(arena, count, sizeof(*ids)) : NULL;
    for (size_t i = 0; i < count; i++) {
        ids[i].scheme = sized_decode(r);
        ids[i].id = sized_decode(r);
    }
    command->request.ids = (struct proto_zk_ids){.items = ids, .count = count};
    command->request.payload = rt_read_rest(r);
    return RT_OK;
}

static void open_decode(struct rt_reader *r, struct meta_command *command) {
    command->open.timeout_ms = (int32_t)rt_read_be32(r);
    struct rt_bytes password = rt_read_bytes(r, sizeof(command->open.password));
    if (!rt_reader_failed(r)) memcpy(command->open.password, password.data, password.size);
}

static void reap_decode(struct rt_reader *r, struct meta_command *command) {
    command->reap.czxid = (int64_t)rt_read_be64(r);
    command->reap.mzxid = (int64_t)rt_read_be64(r);
    command->reap.path = sized_decode(r);
}

rt_err meta_command_decode(struct rt_bytes bytes, struct rt_arena *arena,
                           struct meta_command *command) {
    *command = (struct meta_command){.kind = META_REQUEST};
    struct rt_reader r = rt_reader_over(bytes);
    if (rt_read_u8(&r) != META_COMMAND_VERSION) return RT_ECORRUPT;
    uint8_t kind = rt_read_u8(&r);
    command->flags = rt_read_be16(&r);
    command->time_ms = (int64_t)rt_read_be64(&r);
    command->origin = rt_read_be64(&r);
    command->ticket = rt_read_be64(&r);
    command->session = (int64_t)rt_read_be64(&r);
    command->attachment = rt_read_be64(&r);
    if (rt_reader_failed(&r) || command->flags & ~(unsigned)FLAGS_ALL) return RT_ECORRUPT;
    if (kind < META_REQUEST || kind > META_REAP) return RT_ECORRUPT;
    command->kind = (enum meta_command_kind)kind;
    rt_err err = RT_OK;
    switch (command->kind) {
    case META_REQUEST: err = request_decode(&r, arena, command); break;
    case META_OPEN_SESSION:
    case META_ATTACH_SESSION: open_decode(&r, command); break;
    case META_CLOSE_SESSION: break;
    case META_REAP: reap_decode(&r, command); break;
    }
    return err || !rt_reader_done(&r) ? RT_ECORRUPT : RT_OK;
}
