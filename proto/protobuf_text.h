// The text form of Protocol Buffers, for records that people look at: BookKeeper keeps cookies,
// older ledger metadata and what its auto-recovery knows in it.
//
// Written as BookKeeper writes: a field on each line, messages indented by two blanks, and in
// strings all that is not printable ASCII as octal escapes. Read: also comments, either quotes,
// strings in pieces, hexadecimal and octal numbers, messages with and without a colon and in either
// brackets, lists in [ ], fields parted by commas or semicolons. Fields that are not known are
// skipped.
#ifndef GEMINGA_PROTO_PROTOBUF_TEXT_H
#define GEMINGA_PROTO_PROTOBUF_TEXT_H

#include "proto/protobuf.h"

void proto_pb_text_encode(const struct proto_pb_message *message, const void *record,
                          struct rt_buf *out);

// Clears the record first. Strings and lists are in the arena. RT_EPROTO says in which line.
RT_CHECK
rt_err proto_pb_text_decode(const struct proto_pb_message *message, struct rt_bytes text,
                            struct rt_arena *arena, void *record, struct rt_why *why);

#endif
