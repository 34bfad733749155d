#include "proto/protobuf.h"

#include <assert.h>
#include <string.h>

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

// RECORDS

static void *member(void *record, uint16_t offset) {
    return (char *)record + offset;
}

static const void *member_of(const void *record, uint16_t offset) {
    return (const char *)record + offset;
}

static bool is_bytes(const struct proto_pb_field *field) {
    return field->type == PROTO_PB_BYTES || field->type == PROTO_PB_STRING;
}

static bool is_length_delimited(const struct proto_pb_field *field) {
    return is_bytes(field) || field->type == PROTO_PB_MESSAGE;
}

static size_t item_size(const struct proto_pb_field *field) {
    assert(is_length_delimited(field));
    return is_bytes(field) ? sizeof(struct rt_bytes) : field->message->size;
}

// The list doubles when its count is a power of two, so its capacity need not be kept.
void *proto_pb_list_add(const struct proto_pb_field *field, struct rt_arena *arena, void *record) {
    assert(field->label == PROTO_PB_REPEATED);
    size_t size = item_size(field);
    size_t *count = member(record, field->has);
    void **items = member(record, field->offset);
    if ((*count & (*count - 1)) == 0) {
        void *more = rt_arena_zero(arena, *count ? 2 * *count : 1, size);
        if (*count) memcpy(more, *items, *count * size);
        *items = more;
    }
    return (char *)*items + (*count)++ * size;
}

const char *proto_pb_name_of(const struct proto_pb_name *names, int32_t value) {
    for (; names->name; names++) {
        if (names->value == value) return names->name;
    }
    return NULL;
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

static void value_store(enum proto_pb_type type, uint64_t value, void *at) {
    switch (type) {
    case PROTO_PB_INT32:
    case PROTO_PB_ENUM:
    case PROTO_PB_UINT32: *(uint32_t *)at = (uint32_t)value; break;
    case PROTO_PB_INT64:
    case PROTO_PB_UINT64: *(uint64_t *)at = value; break;
    case PROTO_PB_BOOL: *(bool *)at = value != 0; break;
    case PROTO_PB_BYTES:
    case PROTO_PB_STRING:
    case PROTO_PB_MESSAGE: assert(!"not a number");
    }
}

static bool field_takes(const struct proto_pb_field *field, const struct proto_pb_item *item) {
    if (is_length_delimited(field)) return item->wire == PROTO_PB_LENGTH;
    if (item->wire != PROTO_PB_VARINT) return false;
    return field->type != PROTO_PB_ENUM || proto_pb_name_of(field->names, (int32_t)item->value);
}

static rt_err field_read(const struct proto_pb_field *field, const struct proto_pb_item *item,
                         struct rt_arena *arena, void *record) {
    void *at = member(record, field->offset);
    if (field->label == PROTO_PB_REPEATED) at = proto_pb_list_add(field, arena, record);
    if (field->label == PROTO_PB_OPTIONAL && field->has != PROTO_PB_NOWHERE) {
        *(bool *)member(record, field->has) = true;
    }
    if (field->type == PROTO_PB_MESSAGE) {
        return proto_pb_decode(field->message, item->bytes, arena, at);
    }
    if (is_bytes(field)) {
        *(struct rt_bytes *)at = item->bytes;
    } else {
        value_store(field->type, item->value, at);
    }
    return RT_OK;
}

static bool has_all_required(const struct proto_pb_message *message, uint64_t seen) {
    for (size_t i = 0; i < message->field_count; i++) {
        if (message->fields[i].label == PROTO_PB_REQUIRED && !(seen >> i & 1)) return false;
    }
    return true;
}

rt_err proto_pb_decode(const struct proto_pb_message *message, struct rt_bytes bytes,
                       struct rt_arena *arena, void *record) {
    assert(message->field_count <= PROTO_PB_FIELDS_MAX);
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
    if (rt_reader_failed(&r) || !has_all_required(message, seen)) return RT_EPROTO;
    return RT_OK;
}

// WRITING

size_t proto_pb_varint_size(uint64_t value) {
    size_t size = 1;
    for (; value >= 0x80; value >>= 7) size++;
    return size;
}

// As a varint has it: 32-bit numbers with a sign are extended.
static uint64_t value_load(enum proto_pb_type type, const void *at) {
    switch (type) {
    case PROTO_PB_INT32:
    case PROTO_PB_ENUM: return (uint64_t)(int64_t)(*(const int32_t *)at);
    case PROTO_PB_UINT32: return *(const uint32_t *)at;
    case PROTO_PB_INT64:
    case PROTO_PB_UINT64: return *(const uint64_t *)at;
    case PROTO_PB_BOOL: return *(const bool *)at;
    case PROTO_PB_BYTES:
    case PROTO_PB_STRING:
    case PROTO_PB_MESSAGE: break;
    }
    assert(!"not a number");
    return 0;
}

static size_t field_item_count(const struct proto_pb_field *field, const void *record) {
    switch (field->label) {
    case PROTO_PB_REQUIRED: return 1;
    case PROTO_PB_REPEATED: return *(const size_t *)member_of(record, field->has);
    case PROTO_PB_OPTIONAL: break;
    }
    return field->has == PROTO_PB_NOWHERE || *(const bool *)member_of(record, field->has);
}

static const void *field_items(const struct proto_pb_field *field, const void *record) {
    const void *at = member_of(record, field->offset);
    return field->label == PROTO_PB_REPEATED ? *(const void *const *)at : at;
}

static size_t length_of(const struct proto_pb_field *field, const void *item) {
    if (is_bytes(field)) return ((const struct rt_bytes *)item)->size;
    return proto_pb_size(field->message, item);
}

static uint32_t tag_of(const struct proto_pb_field *field) {
    return field->number << 3 | (is_length_delimited(field) ? PROTO_PB_LENGTH : PROTO_PB_VARINT);
}

static size_t field_size(const struct proto_pb_field *field, const void *record) {
    size_t count = field_item_count(field, record);
    const char *item = field_items(field, record);
    size_t tag_size = proto_pb_varint_size(tag_of(field));
    if (!is_length_delimited(field)) {
        return count ? tag_size + proto_pb_varint_size(value_load(field->type, item)) : 0;
    }
    size_t total = 0;
    for (size_t i = 0; i < count; i++, item += item_size(field)) {
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
    size_t count = field_item_count(field, record);
    const char *item = field_items(field, record);
    for (size_t i = 0; i < count; i++) {
        rt_write_varint(w, tag_of(field));
        if (!is_length_delimited(field)) {
            rt_write_varint(w, value_load(field->type, item));
            continue;
        }
        rt_write_varint(w, length_of(field, item));
        if (field->type == PROTO_PB_MESSAGE) {
            proto_pb_encode(field->message, item, w);
        } else if (((const struct rt_bytes *)(const void *)item)->data) {
            rt_write_bytes(w, *(const struct rt_bytes *)(const void *)item);
        }
        item += item_size(field);
    }
}

void proto_pb_encode(const struct proto_pb_message *message, const void *record,
                     struct rt_writer *w) {
    for (size_t i = 0; i < message->field_count; i++) field_write(&message->fields[i], record, w);
}
