#include "proto/protobuf_text.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "proto/protobuf_fields.h"

// WRITING

static void string_write(struct rt_bytes bytes, struct rt_buf *out) {
    static const char plain[] = "abfnrtv\\'\"";
    static const char meant[] = "\a\b\f\n\r\t\v\\'\"";
    for (size_t i = 0; i < bytes.size; i++) {
        uint8_t byte = bytes.data[i];
        const char *at = byte ? memchr(meant, byte, sizeof(meant) - 1) : NULL;
        if (at) {
            rt_buf_print(out, "\\%c", plain[at - meant]);
        } else if (byte < 0x20 || byte > 0x7e) {
            rt_buf_print(out, "\\%03o", byte);
        } else {
            rt_buf_append(out, RT_BYTES(&byte, 1));
        }
    }
}

static void number_write(const struct proto_pb_field *field, const void *item, struct rt_buf *out) {
    uint64_t value = proto_pb_value_load(field->type, item);
    const char *name = NULL;
    if (field->type == PROTO_PB_ENUM) name = proto_pb_name_of(field->names, (int32_t)value);
    if (field->type == PROTO_PB_BOOL) name = value ? "true" : "false";
    if (name) {
        rt_buf_print(out, "%s\n", name);
    } else if (field->type == PROTO_PB_UINT32 || field->type == PROTO_PB_UINT64) {
        rt_buf_print(out, "%" PRIu64 "\n", value);
    } else {
        rt_buf_print(out, "%" PRId64 "\n", (int64_t)value);
    }
}

static void message_write(const struct proto_pb_message *message, const void *record, int indent,
                          struct rt_buf *out);

static void item_write(const struct proto_pb_field *field, const void *item, int indent,
                       struct rt_buf *out) {
    rt_buf_print(out, "%*s%s", indent, "", field->name);
    if (field->type == PROTO_PB_MESSAGE) {
        rt_buf_print(out, " {\n");
        message_write(field->message, item, indent + 2, out);
        rt_buf_print(out, "%*s}\n", indent, "");
    } else if (proto_pb_field_is_bytes(field)) {
        rt_buf_print(out, ": \"");
        string_write(*(const struct rt_bytes *)item, out);
        rt_buf_print(out, "\"\n");
    } else {
        rt_buf_print(out, ": ");
        number_write(field, item, out);
    }
}

static void message_write(const struct proto_pb_message *message, const void *record, int indent,
                          struct rt_buf *out) {
    for (size_t i = 0; i < message->field_count; i++) {
        const struct proto_pb_field *field = &message->fields[i];
        size_t count = proto_pb_field_count(field, record);
        const char *item = proto_pb_field_items(field, record);
        for (size_t j = 0; j < count; j++) {
            item_write(field, item, indent, out);
            if (field->label == PROTO_PB_REPEATED) item += proto_pb_field_item_size(field);
        }
    }
}

void proto_pb_text_encode(const struct proto_pb_message *message, const void *record,
                          struct rt_buf *out) {
    message_write(message, record, 0, out);
}
