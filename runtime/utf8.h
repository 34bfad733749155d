// UTF-8, strictly (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF.
#ifndef GEMINGA_RUNTIME_UTF8_H
#define GEMINGA_RUNTIME_UTF8_H

#include "runtime/bytes.h"

enum { RT_UTF8_SIZE_MAX = 4 };

// The size of the character at the start of `bytes`, and its code where `code` is not NULL.
// 0: none starts there (or it is cut off), or `bytes` is empty.
size_t rt_utf8_decode(struct rt_bytes bytes, uint32_t *code);

// The number of leading bytes that are valid: bytes.size when all are.
size_t rt_utf8_valid_size(struct rt_bytes bytes);

// Writes up to RT_UTF8_SIZE_MAX bytes and returns how many. The code is not a surrogate.
size_t rt_utf8_encode(uint32_t code, uint8_t *out);

#endif
