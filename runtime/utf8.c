#include "runtime/utf8.h"

#include <assert.h>

// First byte to sequence size; 0 for continuation bytes and for bytes that never occur.
static size_t sequence_size(uint8_t first) {
    if (first < 0x80) return 1;
    if (first < 0xc2) return 0;
    if (first < 0xe0) return 2;
    if (first < 0xf0) return 3;
    return first < 0xf5 ? 4 : 0;
}

// Overlong forms, surrogates and codes past the end are what the first two bytes alone allow.
static bool code_is_allowed(uint32_t code, size_t size) {
    if (size == 3) return code >= 0x800 && (code < 0xd800 || code > 0xdfff);
    if (size == 4) return code >= 0x10000 && code <= 0x10ffff;
    return true;
}

size_t rt_utf8_decode(struct rt_bytes bytes, uint32_t *code) {
    if (bytes.size == 0) return 0;
    size_t size = sequence_size(bytes.data[0]);
    if (size == 0 || size > bytes.size) return 0;
    uint32_t value = size == 1 ? bytes.data[0] : bytes.data[0] & (0x7fu >> size);
    for (size_t i = 1; i < size; i++) {
        if ((bytes.data[i] & 0xc0) != 0x80) return 0;
        value = value << 6 | (bytes.data[i] & 0x3fu);
    }
    if (!code_is_allowed(value, size)) return 0;
    if (code) *code = value;
    return size;
}

size_t rt_utf8_valid_size(struct rt_bytes bytes) {
    size_t at = 0;
    while (at < bytes.size) {
        size_t size = rt_utf8_decode(RT_BYTES(bytes.data + at, bytes.size - at), NULL);
        if (size == 0) break;
        at += size;
    }
    return at;
}

size_t rt_utf8_encode(uint32_t code, uint8_t *out) {
    assert(code <= 0x10ffff && (code < 0xd800 || code > 0xdfff));
    if (code < 0x80) {
        out[0] = (uint8_t)code;
        return 1;
    }
    size_t size = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = size - 1; i > 0; i--) {
        out[i] = (uint8_t)(0x80 | (code & 0x3f));
        code >>= 6;
    }
    out[0] = (uint8_t)((0xff00u >> size & 0xff) | code);
    return size;
}
