#include "proto/decimal.h"

#include <string.h>

bool proto_decimal_read(struct rt_bytes text, int64_t *value) {
    bool negative = text.size > 0 && text.data[0] == '-';
    if (negative) text = rt_bytes_skip(text, 1);
    uint64_t magnitude = 0;
    for (size_t i = 0; i < text.size; i++) {
        unsigned digit = text.data[i] - (unsigned)'0';
        if (digit > 9 || __builtin_mul_overflow(magnitude, 10, &magnitude)) return false;
        if (__builtin_add_overflow(magnitude, digit, &magnitude)) return false;
    }
    if (text.size == 0 || magnitude > (uint64_t)INT64_MAX + negative) return false;
    *value = (int64_t)(negative ? 0 - magnitude : magnitude);
    return true;
}

struct rt_bytes proto_text_take(struct rt_bytes *text, char separator) {
    const uint8_t *at = text->size ? memchr(text->data, separator, text->size) : NULL;
    size_t size = at ? (size_t)(at - text->data) : text->size;
    struct rt_bytes taken = RT_BYTES(text->data, size);
    *text = rt_bytes_skip(*text, at ? size + 1 : size);
    return taken;
}
