// Bytes as tests write them down.
#ifndef GEMINGA_TESTS_UNIT_PROTO_HEX_H
#define GEMINGA_TESTS_UNIT_PROTO_HEX_H

#include "runtime/bytes.h"

// Appends the bytes that the digits say; spaces are ignored.
void hex_append(struct rt_buf *buf, const char *hex);
struct rt_buf hex_bytes(const char *hex);
bool bytes_are_hex(struct rt_bytes bytes, const char *hex);

// A copy with nothing behind it, so that sanitizers see a read past its end. Freed with rt_free.
struct rt_bytes exact_copy(struct rt_bytes bytes);

#endif
