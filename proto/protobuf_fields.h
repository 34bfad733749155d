// The fields of a record, for the readers and writers of either form. Private to them.
#ifndef GEMINGA_PROTO_PROTOBUF_FIELDS_H
#define GEMINGA_PROTO_PROTOBUF_FIELDS_H

#include "proto/protobuf.h"

bool proto_pb_field_is_bytes(const struct proto_pb_field *field);   // or a string
bool proto_pb_field_is_length(const struct proto_pb_field *field);  // or a message
size_t proto_pb_field_item_size(const struct proto_pb_field *field);

// READING. Where the next value belongs: marks it as there, adds to a list.
void *proto_pb_field_take(const struct proto_pb_field *field, struct rt_arena *arena, void *record);
// The number as a varint has it; of one that is not length-delimited.
void proto_pb_value_store(enum proto_pb_type type, uint64_t value, void *at);
// `seen` has a bit for each field of the table.
bool proto_pb_has_required(const struct proto_pb_message *message, uint64_t seen);

// WRITING. How many values there are, and the first; they lie item_size apart.
size_t proto_pb_field_count(const struct proto_pb_field *field, const void *record);
const void *proto_pb_field_items(const struct proto_pb_field *field, const void *record);
// As a varint has it: 32-bit numbers with a sign are extended.
uint64_t proto_pb_value_load(enum proto_pb_type type, const void *at);

// The name of an enum's value, or NULL.
const char *proto_pb_name_of(const struct proto_pb_name *names, int32_t value);

#endif
