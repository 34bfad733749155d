#include "proto/protobuf_fields.h"

#include <assert.h>
#include <string.h>

static void *member(void *record, uint16_t offset) {
    return (char *)record + offset;
}

static const void *member_of(const void *record, uint16_t offset) {
    return (const char *)record + offset;
}

bool proto_pb_field_is_bytes(const struct proto_pb_field *field) {
    return field->type == PROTO_PB_BYTES || field->type == PROTO_PB_STRING;
}

bool proto_pb_field_is_length(const struct proto_pb_field *field) {
    return proto_pb_field_is_bytes(field) || field->type == PROTO_PB_MESSAGE;
}

size_t proto_pb_field_item_size(const struct proto_pb_field *field) {
    assert(proto_pb_field_is_length(field));
    return field->type == PROTO_PB_MESSAGE ? field->message->size : sizeof(struct rt_bytes);
}

// READING

// A list doubles when its count is a power of two, so its capacity need not be kept.
static void *list_add(const struct proto_pb_field *field, struct rt_arena *arena, void *record) {
    size_t size = proto_pb_field_item_size(field);
    size_t *count = member(record, field->has);
    void **items = member(record, field->offset);
    if ((*count & (*count - 1)) == 0) {
        void *more = rt_arena_zero(arena, *count ? 2 * *count : 1, size);
        if (*count) memcpy(more, *items, *count * size);
        *items = more;
    }
    return (char *)*items + (*count)++ * size;
}

void *proto_pb_field_take(const struct proto_pb_field *field, struct rt_arena *arena,
                          void *record) {
    if (field->label == PROTO_PB_REPEATED) return list_add(field, arena, record);
    if (field->label == PROTO_PB_OPTIONAL && field->has != PROTO_PB_NOWHERE) {
        *(bool *)member(record, field->has) = true;
    }
    return member(record, field->offset);
}

static bool is_number(enum proto_pb_type type) {
    return type < PROTO_PB_BYTES;
}

void proto_pb_value_store(enum proto_pb_type type, uint64_t value, void *at) {
    assert(is_number(type));
    switch (type) {
    case PROTO_PB_INT32:
    case PROTO_PB_ENUM:
    case PROTO_PB_UINT32: *(uint32_t *)at = (uint32_t)value; break;
    case PROTO_PB_INT64:
    case PROTO_PB_UINT64: *(uint64_t *)at = value; break;
    case PROTO_PB_BOOL: *(bool *)at = value != 0; break;
    case PROTO_PB_BYTES:
    case PROTO_PB_STRING:
    case PROTO_PB_MESSAGE: break;
    }
}

bool proto_pb_has_required(const struct proto_pb_message *message, uint64_t seen) {
    assert(message->field_count <= PROTO_PB_FIELDS_MAX);
    for (size_t i = 0; i < message->field_count; i++) {
        if (message->fields[i].label == PROTO_PB_REQUIRED && !(seen >> i & 1)) return false;
    }
    return true;
}

// WRITING

size_t proto_pb_field_count(const struct proto_pb_field *field, const void *record) {
    switch (field->label) {
    case PROTO_PB_REQUIRED: return 1;
    case PROTO_PB_REPEATED: return *(const size_t *)member_of(record, field->has);
    case PROTO_PB_OPTIONAL: break;
    }
    return field->has == PROTO_PB_NOWHERE || *(const bool *)member_of(record, field->has);
}

const void *proto_pb_field_items(const struct proto_pb_field *field, const void *record) {
    const void *at = member_of(record, field->offset);
    return field->label == PROTO_PB_REPEATED ? *(const void *const *)at : at;
}

uint64_t proto_pb_value_load(enum proto_pb_type type, const void *at) {
    assert(is_number(type));
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
    return 0;
}

const char *proto_pb_name_of(const struct proto_pb_name *names, int32_t value) {
    for (; names->name; names++) {
        if (names->value == value) return names->name;
    }
    return NULL;
}
