// Protocol Buffers (proto2): a walk over the fields of a message, and messages described by tables.
//
// Strict where a reader can be fooled: a tag that is cut off or has no valid number, a length
// beyond the message, a varint of more than 64 bits, a missing required field are RT_EPROTO, and
// so are groups, which nothing that we speak uses. Lenient as the language demands: fields that
// are not known, known ones of another wire type and enum values that are not known are skipped,
// and of a field that comes twice the last one counts (of a message, too: it is not merged).
#ifndef GEMINGA_PROTO_PROTOBUF_H
#define GEMINGA_PROTO_PROTOBUF_H

#include "runtime/arena.h"
#include "runtime/bytes.h"
#include "runtime/err.h"

enum proto_pb_wire {
    PROTO_PB_VARINT = 0,
    PROTO_PB_FIXED64 = 1,
    PROTO_PB_LENGTH = 2,  // bytes, strings, messages
    PROTO_PB_FIXED32 = 5
};

// One field as it lies in the message.
struct proto_pb_item {
    uint32_t number;
    enum proto_pb_wire wire;
    uint64_t value;         // all but PROTO_PB_LENGTH
    struct rt_bytes bytes;  // PROTO_PB_LENGTH
};
// False at the end of the message, and at a failure, which the reader remembers.
bool proto_pb_next(struct rt_reader *r, struct proto_pb_item *item);

// MESSAGES BY TABLE. A message is a struct, described by its fields in the order in which they are
// written. Values are int64_t, int32_t, uint32_t, uint64_t, bool; enums int32_t or an enum; bytes
// and strings struct rt_bytes, borrowed; messages the embedded struct. Of repeated fields
// (bytes and messages only) there is a pointer to the first and a size_t count.
enum proto_pb_type {
    PROTO_PB_INT32,
    PROTO_PB_INT64,
    PROTO_PB_UINT32,
    PROTO_PB_UINT64,
    PROTO_PB_BOOL,
    PROTO_PB_ENUM,
    PROTO_PB_BYTES,  // this and those behind it have a length
    PROTO_PB_STRING,
    PROTO_PB_MESSAGE
};
enum proto_pb_label { PROTO_PB_OPTIONAL, PROTO_PB_REQUIRED, PROTO_PB_REPEATED };

// Where a table holds PROTO_PB_NOWHERE for `has`, an optional field is always written.
enum { PROTO_PB_NOWHERE = UINT16_MAX, PROTO_PB_FIELDS_MAX = 64 };

struct proto_pb_name {
    const char *name;  // NULL ends the list
    int32_t value;
};

struct proto_pb_message;
struct proto_pb_field {
    const char *name;  // as the text form has it
    uint32_t number;
    enum proto_pb_type type;
    enum proto_pb_label label;
    uint16_t offset;
    uint16_t has;                            // optional: of a bool; repeated: of the count
    const struct proto_pb_message *message;  // PROTO_PB_MESSAGE
    const struct proto_pb_name *names;       // PROTO_PB_ENUM
};

struct proto_pb_message {
    const struct proto_pb_field *fields;
    size_t field_count;
    size_t size;  // of the struct
};

// Rows of a table: a required field, an optional one (the struct has a bool has_<member>), an
// optional one that is always written, and a repeated one. What is behind `kind` are initialisers:
// .message = or .names =.
#define PROTO_PB_FIELD(record, member, num, text, kind, ...) \
    .name = text, .number = num, .type = PROTO_PB_##kind,    \
    .offset = (uint16_t)offsetof(record, member), __VA_ARGS__
#define PROTO_PB_MUST(record, ...) \
    { .label = PROTO_PB_REQUIRED, .has = PROTO_PB_NOWHERE, PROTO_PB_FIELD(record, __VA_ARGS__) }
#define PROTO_PB_ALWAYS(record, ...) \
    { .label = PROTO_PB_OPTIONAL, .has = PROTO_PB_NOWHERE, PROTO_PB_FIELD(record, __VA_ARGS__) }
#define PROTO_PB_MAY(record, member, ...)                                            \
    {                                                                                \
        .label = PROTO_PB_OPTIONAL, .has = (uint16_t)offsetof(record, has_##member), \
        PROTO_PB_FIELD(record, member, __VA_ARGS__)                                  \
    }
#define PROTO_PB_LIST(record, member, count, ...)                             \
    {                                                                         \
        .label = PROTO_PB_REPEATED, .has = (uint16_t)offsetof(record, count), \
        PROTO_PB_FIELD(record, member, __VA_ARGS__)                           \
    }
#define PROTO_PB_MESSAGE_OF(record, table) \
    { .fields = table, .field_count = sizeof(table) / sizeof(table[0]), .size = sizeof(record) }

// Clears the record first. The arena holds the lists (NULL where the message has none).
RT_CHECK
rt_err proto_pb_decode(const struct proto_pb_message *message, struct rt_bytes bytes,
                       struct rt_arena *arena, void *record);

// Bytes whose data is NULL are left to the caller, who sends them behind: they are counted, and
// nothing that is written may follow them.
size_t proto_pb_size(const struct proto_pb_message *message, const void *record);
void proto_pb_encode(const struct proto_pb_message *message, const void *record,
                     struct rt_writer *w);
size_t proto_pb_varint_size(uint64_t value);

#endif
