#include "proto/protobuf.h"

#include <string.h>

#include "proto/protobuf_fields.h"

// TAG (varint): number << 3 | wire type. Numbers are 1 to 2^29 - 1.

bool proto_pb_next(struct rt_reader *r, struct proto_pb_item *item) {
    if (rt_reader_left(r) == 0) return false;
    uint64_t tag = rt_read_varint(r);
    if (tag > UINT32_MAX || tag >> 3 == 0) rt_reader_fail(r);
    item->number = (uint32_t)(tag >> 3);
    item->bytes = RT_BYTES(NULL, 0);
    item->value = 0;
    switch (tag & 7) {
    case PROTO_PB_VARINT:
        item->wire = PROTO_PB_VARINT;
        item->value = rt_read_varint(r);
        break;
    case PROTO_PB_FIXED64:
        item->wire = PROTO_PB_FIXED64;
        item->value = rt_read_le64(r);
        break;
    case PROTO_PB_FIXED32:
        item->wire = PROTO_PB_FIXED32;
        item->value = rt_read_le32(r);
        break;
    case PROTO_PB_LENGTH: {
        uint64_t size = rt_read_varint(r);
        item->wire = PROTO_PB_LENGTH;
        if (size > rt_reader_left(r)) rt_reader_fail(r);
        if (!rt_reader_failed(r)) item->bytes = rt_read_bytes(r, (size_t)size);
        break;
    }
    default: rt_reader_fail(r);
    }
    return !rt_reader_failed(r);
}

// READING

// Most messages hold their fields in the order of the table, so the search starts behind the field
// that was found last.
static const struct proto_pb_field *field_find(const struct proto_pb_message *message,
                                               uint32_t number, size_t *next) {
    for (size_t i = 0; i < message->field_count; i++) {
        size_t at = *next + i < message->field_count ? *next + i : *next + i - message->field_count;
        if (message->fields[at].number != number) continue;
        *next = at + 1 < message->field_count ? at + 1 : 0;
        return &message->fields[at];
    }
    return NULL;
}

static bool field_takes(const struct proto_pb_field *field, const struct proto_pb_item *item) {
    if (proto_pb_field_is_length(field)) return item->wire == PROTO_PB_LENGTH;
    if (item->wire != PROTO_PB_VARINT) return false;
    return field->type != PROTO_PB_ENUM || proto_pb_name_of(field->names, (int32_t)item->value);
}

static rt_err field_read(const struct proto_pb_field *field, const struct proto_pb_item *item,
                         struct rt_arena *arena, void *record) {
    void *at = proto_pb_field_take(field, arena, record);
    if (field->type == PROTO_PB_MESSAGE) {
        return proto_pb_decode(field->message, item->bytes, arena, at);
    }
    if (proto_pb_field_is_bytes(field)) {
        *(struct rt_bytes *)at = item->bytes;
    } else {
        proto_pb_value_store(field->type, item->value, at);
    }
    return RT_OK;
}

rt_err proto_pb_decode(const struct proto_pb_message *message, struct rt_bytes bytes,
                       struct rt_arena *arena, void *record) {
    memset(record, 0, message->size);
    struct rt_reader r = rt_reader_over(bytes);
    struct proto_pb_item item;
    uint64_t seen = 0;
    size_t next = 0;
    while (proto_pb_next(&r, &item)) {
        const struct proto_pb_field *field = field_find(message, item.number, &next);
        if (!field || !field_takes(field, &item)) continue;
        rt_err err = field_read(field, &item, arena, record);
        if (err) return err;
        seen |= UINT64_C(1) << (field - message->fields);
    }
    if (rt_reader_failed(&r) || !proto_pb_has_required(message, seen)) return RT_EPROTO;
    return RT_OK;
}

// WRITING

size_t proto_pb_varint_size(uint64_t value) {
    size_t size = 1;
    for (; value >= 0x80; value >>= 7) size++;
    return size;
}

static size_t length_of(const struct proto_pb_field *field, const void *item) {
    if (proto_pb_field_is_bytes(field)) return ((const struct rt_bytes *)item)->size;
    return proto_pb_size(field->message, item);
}

static uint32_t tag_of(const struct proto_pb_field *field) {
    return field->number << 3 |
           (proto_pb_field_is_length(field) ? PROTO_PB_LENGTH : PROTO_PB_VARINT);
}

static size_t field_size(const struct proto_pb_field *field, const void *record) {
    size_t count = proto_pb_field_count(field, record);
    const char *item = proto_pb_field_items(field, record);
    size_t tag_size = proto_pb_varint_size(tag_of(field));
    if (!proto_pb_field_is_length(field)) {
        return count ? tag_size + proto_pb_varint_size(proto_pb_value_load(field->type, item)) : 0;
    }
    size_t total = 0;
    for (size_t i = 0; i < count; i++, item += proto_pb_field_item_size(field)) {
        size_t size = length_of(field, item);
        total += tag_size + proto_pb_varint_size(size) + size;
    }
    return total;
}

size_t proto_pb_size(const struct proto_pb_message *message, const void *record) {
    size_t size = 0;
    for (size_t i = 0; i < message->field_count; i++) {
        size += field_size(&message->fields[i], record);
    }
    return size;
}

static void field_write(const struct proto_pb_field *field, const void *record,
                        struct rt_writer *w) {
    size_t count = proto_pb_field_count(field, record);
    const char *item = proto_pb_field_items(field, record);
    for (size_t i = 0; i < count; i++) {
        rt_write_varint(w, tag_of(field));
        if (!proto_pb_field_is_length(field)) {
            rt_write_varint(w, proto_pb_value_load(field->type, item));
            continue;
        }
        rt_write_varint(w, length_of(field, item));
        if (field->type == PROTO_PB_MESSAGE) {
            proto_pb_encode(field->message, item, w);
        } else if (((const struct rt_bytes *)(const void *)item)->data) {
            rt_write_bytes(w, *(const struct rt_bytes *)(const void *)item);
        }
        item += proto_pb_field_item_size(field);
    }
}

void proto_pb_encode(const struct proto_pb_message *message, const void *record,
                     struct rt_writer *w) {
    for (size_t i = 0; i < message->field_count; i++) field_write(&message->fields[i], record, w);
}
